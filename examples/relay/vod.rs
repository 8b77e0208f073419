//! Recordings: FLV files that are played from a folder, with seeking and pauses.
//!
//! A file is read as a whole. Its frames go out in real time, ahead of it by [`Options::vod_lead`](super::Options).

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstrtmp::flv::{self, Item, TagKind, VideoTag};
use gstrtmp::session::{Level, Media, MediaKind, Status};
use gstrtmp::timestamp::Timestamp;

/// Largest file that is played.
const MAX_FILE: u64 = 256 << 20;

/// Bytes that may wait for a player before more is put to them.
const MAX_AHEAD: usize = 256 << 10;

/// An FLV file in memory.
#[derive(Debug)]
pub struct Recording {
    media: Vec<Media>,
    /// Places in `media` where decoding can start.
    entries: Vec<usize>,
}

impl Recording {
    /// Reads the file of a stream's name in `folder`, with or without its `.flv`.
    pub fn find(folder: &Path, name: &str) -> io::Result<Self> {
        let relative = PathBuf::from(name.strip_suffix(".flv").unwrap_or(name));
        let is_inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !is_inside {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut path = folder.join(relative).into_os_string();
        path.push(".flv");
        if fs::metadata(&path)?.len() > MAX_FILE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Self::read(fs::read(path)?.into()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn read(bytes: Bytes) -> Option<Self> {
        let mut reader = flv::Reader::new();
        reader.push(bytes);
        let mut media = Vec::new();
        // A file that was cut off is played up to there.
        while let Ok(Some(item)) = reader.next() {
            let Item::Tag(tag) = item else { continue };
            let kind = match tag.kind {
                TagKind::Audio => Some(MediaKind::Audio),
                TagKind::Video => Some(MediaKind::Video),
                TagKind::Script => Some(MediaKind::Data),
                TagKind::ScriptAmf3 | TagKind::Unknown(_) => None,
            };
            if let Some(kind) = kind {
                media.push(Media {
                    kind,
                    timestamp: Timestamp::from_millis(tag.timestamp),
                    head: Bytes::new(),
                    body: tag.body,
                });
            }
        }
        let has_video = media.iter().any(|media| media.kind == MediaKind::Video);
        let is_entry = |media: &Media| match media.kind {
            MediaKind::Video => VideoTag::classify(&media.body).is_ok_and(|tag| {
                tag.is_key_frame() && !matches!(tag.role, flv::video::VideoRole::SequenceStart)
            }),
            MediaKind::Audio => !has_video,
            MediaKind::Data => false,
        };
        let places = media.iter().enumerate();
        let entries = places
            .filter(|(_, media)| is_entry(media))
            .map(|(at, _)| at)
            .collect();
        (!media.is_empty()).then_some(Self { media, entries })
    }

    /// The time of the last frame.
    pub fn length(&self) -> Duration {
        let last = self.media.iter().map(|media| media.timestamp.millis()).max();
        Duration::from_millis(last.unwrap_or_default().into())
    }

    /// Where to go on for a position: the place of the last entry that is not behind it.
    fn place(&self, position: u32) -> Option<usize> {
        if Duration::from_millis(position.into()) > self.length() {
            return None;
        }
        let is_before = |at: &&usize| {
            let media = self.media.get(**at);
            media.is_some_and(|media| media.timestamp.millis() <= position)
        };
        let first = self.entries.first();
        self.entries.iter().rfind(is_before).or(first).copied()
    }
}

/// A player in a recording.
#[derive(Debug)]
pub struct Playback {
    recording: Arc<Recording>,
    next: usize,
    /// Until where it plays.
    stop: Option<u32>,
    /// When which position is due.
    started: Instant,
    from: u32,
    is_paused: bool,
    is_over: bool,
    lead: Duration,
}

impl Playback {
    /// A player at the begin of a recording, or as `start` and `length` of play have it.
    pub fn new(recording: Recording, start: f64, length: f64, lead: Duration, now: Instant) -> Self {
        let mut playback = Self {
            recording: Arc::new(recording),
            next: 0,
            stop: None,
            started: now,
            from: 0,
            is_paused: false,
            is_over: false,
            lead,
        };
        let begin = millis(start);
        playback.stop = (length > 0.0).then(|| begin.saturating_add(millis(length)));
        if begin > 0 {
            // From behind the end there is nothing to play, so that it is from the begin.
            let _ = playback.go_to(begin, now);
        }
        playback
    }

    /// What a player needs before anything else.
    pub fn prologue(&self) -> Vec<Media> {
        let first = self.recording.entries.first().copied().unwrap_or_default();
        let head = self.recording.media.iter().take(first.min(self.next));
        head.cloned().collect()
    }

    /// Length of the recording.
    pub fn length(&self) -> Duration {
        self.recording.length()
    }

    /// Goes to a position.
    pub fn go_to(&mut self, position: u32, now: Instant) -> Result<(), Status> {
        let Some(place) = self.recording.place(position) else {
            return Err(Status::new(
                Level::Error,
                "NetStream.Seek.InvalidTime",
                "behind the end",
            ));
        };
        self.next = place;
        self.is_over = false;
        self.set_off(now);
        Ok(())
    }

    /// Stops, or goes on where it stopped.
    pub fn pause(&mut self, is_paused: bool, now: Instant) {
        self.is_paused = is_paused;
        if !is_paused {
            self.set_off(now);
        }
    }

    fn set_off(&mut self, now: Instant) {
        self.started = now;
        let next = self.recording.media.get(self.next);
        self.from = next.map_or(0, |media| media.timestamp.millis());
    }

    /// When the next message is due.
    pub fn due(&self) -> Option<Instant> {
        if self.is_paused || self.is_over {
            return None;
        }
        let at = self.recording.media.get(self.next)?.timestamp.millis();
        let ahead = Duration::from_millis(at.saturating_sub(self.from).into()).saturating_sub(self.lead);
        self.started.checked_add(ahead)
    }

    /// The next message, if it is due and `queued` bytes before it are not too many.
    pub fn next(&mut self, queued: usize, now: Instant) -> Option<Media> {
        if queued > MAX_AHEAD || self.due().is_none_or(|due| now < due) {
            return None;
        }
        let media = self.recording.media.get(self.next)?;
        if self.stop.is_some_and(|stop| media.timestamp.millis() >= stop) {
            self.next = self.recording.media.len();
            return None;
        }
        self.next += 1;
        Some(media.clone())
    }

    /// Whether the end has come, which is told once.
    pub fn ends(&mut self) -> bool {
        let ends = !self.is_over && !self.is_paused && self.next >= self.recording.media.len();
        self.is_over |= ends;
        ends
    }
}

/// A time of play's; negative ones stand for the begin.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "floats saturate"
)]
fn millis(time: f64) -> u32 {
    time.max(0.0) as u32
}
