//! What the streaming thread works on: what goes downstream, and where its time lies in the pipeline's.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use gst::prelude::*;

use super::tags::{FlvTag, Output, Tags, is_frame, is_key_frame};
use super::track::Track;
use crate::elements::track::clock_time_of_millis;
use crate::session::{Event, Media, MediaKind, Recording};
use crate::timestamp::Timestamp;

/// Tags of at most this size are put in one piece: a copy of them costs less than two more memories.
const SMALL_TAG: usize = 512;

/// What the streaming thread works on.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) tags: Tags,
    /// Instead of FLV, the one track that downstream wants.
    pub(super) track: Option<Track>,
    pub(super) ready: VecDeque<Item>,
    /// Room for what messages become, kept from one to the next.
    pub(super) outputs: Vec<Output>,
    /// The segment that buffers are put out in, once there is one.
    pub(super) segment: Option<Segment>,
    /// The next frame starts a segment of its own.
    pub(super) wants_segment: bool,
    /// Frames are dropped until one at which decoding can start.
    pub(super) wants_key_frame: bool,
    /// The same of pictures, while sound goes on.
    pub(super) wants_key_picture: bool,
    /// What is known of the stream if it is a recording.
    pub(super) recording: Option<Recording>,
    /// Where the next segment starts, if a seek has said so.
    pub(super) sought: Option<Position>,
    /// The frames that came last before a pause: a server may send them once more.
    pub(super) repeats: Repeats,
    /// What the user wants of what downstream takes.
    pub(super) receives: Receives,
    pub(super) is_discont: bool,
    /// What came at the end of a burst.
    pub(super) next: Option<Event>,
    /// When connecting began, and when it was done.
    pub(super) opened: Option<Instant>,
    pub(super) connected: Option<Instant>,
}

/// What goes downstream, in its order.
#[derive(Debug)]
pub(super) enum Item {
    Caps(gst::Caps),
    Tags(gst::TagList),
    Segment(Segment),
    Buffer(gst::Buffer),
}

/// Where the stream's time lies in the pipeline's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Milliseconds of the stream.
    pub(super) start: i64,
    /// Running time at which `start` is due.
    pub(super) base: gst::ClockTime,
    /// What else there is to it in a recording.
    pub(super) recorded: Option<Position>,
}

/// A position in a recording, as the user wants it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The segment starts here, exactly, although it takes earlier frames to show what is there.
    pub(super) exact: Option<gst::ClockTime>,
    /// What the server was asked for, in milliseconds, to go to a key frame of the stream's list.
    pub(super) asked: Option<u32>,
    /// And ends here.
    pub(super) stop: Option<gst::ClockTime>,
    pub(super) flags: gst::SegmentFlags,
}

impl Segment {
    /// When the frame of `dts` is due, in running time.
    pub(super) fn due(&self, dts: i64) -> gst::ClockTime {
        let after = time(dts.saturating_sub(self.start)).unwrap_or_default();
        self.base.saturating_add(after)
    }
}

/// The kinds of media that are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receives {
    pub(super) audio: bool,
    pub(super) video: bool,
}

impl Default for Receives {
    fn default() -> Self {
        Self {
            audio: true,
            video: true,
        }
    }
}

impl Receives {
    pub(super) const fn includes(self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.audio,
            MediaKind::Video => self.video,
            MediaKind::Data => true,
        }
    }
}

/// Tells frames that a server sends once more after a pause.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Repeats {
    audio: Latest,
    video: Latest,
}

/// The latest frame of a kind.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    at: Option<Timestamp>,
    /// Nothing later has come since the pause.
    is_awaited: bool,
}

impl Repeats {
    /// The stream goes on after a pause.
    pub(super) const fn resume(&mut self) {
        self.audio.is_awaited = self.audio.at.is_some();
        self.video.is_awaited = self.video.at.is_some();
    }

    /// Whether a frame has come before.
    fn is_repeat(&mut self, media: &Media) -> bool {
        let latest = match media.kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
            MediaKind::Data => return false,
        };
        if latest.is_awaited && latest.at.is_some_and(|at| media.timestamp.since(at) <= 0) {
            return true;
        }
        *latest = Latest {
            at: Some(media.timestamp),
            is_awaited: false,
        };
        false
    }
}

impl Stream {
    /// Makes ready for the stream to go on elsewhere: what waits is not wanted, but for headers.
    pub(super) fn forget_frames(&mut self) {
        self.ready.retain(|item| match item {
            Item::Caps(_) | Item::Tags(_) => true,
            Item::Segment(_) => false,
            Item::Buffer(buffer) => buffer.flags().contains(gst::BufferFlags::HEADER),
        });
        if matches!(&self.next, Some(Event::Media(media)) if is_frame(media)) {
            self.next = None;
        }
        self.segment = None;
        self.wants_segment = true;
        self.is_discont = true;
    }

    /// The stream goes on elsewhere, with its next frame.
    pub(super) fn jump(&mut self) {
        self.forget_frames();
        self.tags.jump();
        self.repeats = Repeats::default();
        self.wants_key_frame = self.tags.has_video() && self.receives.video;
    }

    /// Length of the stream, if it has one.
    pub(super) fn duration(&self) -> Option<gst::ClockTime> {
        let recording = self.recording?;
        let seconds = || {
            let seconds = self.tags.length()?;
            std::time::Duration::try_from_secs_f64(seconds).ok()
        };
        let length = recording.length.or_else(seconds)?;
        gst::ClockTime::try_from(length).ok()
    }

    /// Whether a message is of use, or comes before the key frame that is awaited.
    fn accepts(&mut self, media: &Media) -> bool {
        if !is_frame(media) {
            return true;
        }
        if !self.receives.includes(media.kind) || self.repeats.is_repeat(media) {
            return false;
        }
        if self.wants_key_picture && media.kind == MediaKind::Video {
            if !is_key_frame(media) {
                return false;
            }
            self.wants_key_picture = false;
        }
        if self.wants_key_frame {
            let has_video = self.tags.has_video() && self.receives.video;
            let can_start = is_key_frame(media) || (media.kind == MediaKind::Audio && !has_video);
            self.wants_key_frame = !can_start;
            return can_start;
        }
        true
    }

    /// Starts the segment that was wanted: ahead of the headers that wait for it.
    pub(super) fn start_segment(&mut self, segment: Segment) {
        self.wants_segment = false;
        self.segment = Some(segment);
        let is_buffer = |item: &Item| matches!(item, Item::Buffer(_));
        let at = self.ready.iter().position(is_buffer).unwrap_or(self.ready.len());
        self.ready.insert(at, Item::Segment(segment));
    }

    /// Whether a message is to be put out.
    pub(super) fn takes(&mut self, media: &Media) -> bool {
        self.wants(media) && self.accepts(media)
    }

    /// Whether a message is for what downstream wants.
    pub(super) fn wants(&mut self, media: &Media) -> bool {
        match &mut self.track {
            Some(track) => track.wants(media, Instant::now()),
            None => true,
        }
    }

    /// Puts out a tag, or what is in it of the track that is wanted.
    pub(super) fn put_tag(&mut self, tag: FlvTag) {
        let Some(track) = &mut self.track else {
            return self.put_buffer(buffer(tag));
        };
        for item in track.take(&tag) {
            match item {
                Item::Buffer(buffer) => self.put_buffer(buffer),
                Item::Caps(_) | Item::Tags(_) | Item::Segment(_) => self.ready.push_back(item),
            }
        }
    }

    pub(super) fn put_buffer(&mut self, mut buffer: gst::Buffer) {
        if let (true, Some(buffer)) = (self.is_discont, buffer.get_mut()) {
            buffer.set_flags(gst::BufferFlags::DISCONT);
            self.is_discont = false;
        }
        self.ready.push_back(Item::Buffer(buffer));
    }
}

pub(super) fn time(millis: i64) -> Option<gst::ClockTime> {
    (millis >= 0).then(|| clock_time_of_millis(millis))
}

pub(super) fn caps(headers: Vec<Bytes>) -> gst::Caps {
    let headers = headers.into_iter().map(|header| {
        let mut buffer = gst::Buffer::from_slice(header);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_flags(gst::BufferFlags::HEADER);
        }
        buffer.to_send_value()
    });
    gst::Caps::builder("video/x-flv")
        .field("streamheader", gst::Array::new(headers))
        .build()
}

pub(super) fn header_buffer(header: Bytes, at: Option<i64>) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(header);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_flags(gst::BufferFlags::HEADER);
        buffer.set_dts(at.and_then(time));
        buffer.set_pts(at.and_then(time));
    }
    buffer
}

/// A small tag in memory of GStreamer's own, which it allocates together with what it has to say of it.
fn copy(tag: &FlvTag) -> Option<gst::Buffer> {
    let size = tag.head.len() + tag.body.len() + tag.trailer.len();
    if size > SMALL_TAG {
        return None;
    }
    let mut buffer = gst::Buffer::with_size(size).ok()?;
    let mut map = buffer.get_mut()?.map_writable().ok()?;
    let (head, rest) = map.split_at_mut_checked(tag.head.len())?;
    let (body, trailer) = rest.split_at_mut_checked(tag.body.len())?;
    head.copy_from_slice(&tag.head);
    body.copy_from_slice(&tag.body);
    trailer.copy_from_slice(&tag.trailer);
    drop(map);
    Some(buffer)
}

fn buffer(tag: FlvTag) -> gst::Buffer {
    let mut buffer = copy(&tag).unwrap_or_else(|| {
        let mut buffer = gst::Buffer::new();
        if let Some(buffer) = buffer.get_mut() {
            buffer.append_memory(gst::Memory::from_slice(tag.head));
            buffer.append_memory(gst::Memory::from_slice(tag.body));
            buffer.append_memory(gst::Memory::from_slice(tag.trailer));
        }
        buffer
    });
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_dts(time(tag.dts));
        buffer.set_pts(time(tag.pts));
        let mut flags = gst::BufferFlags::empty();
        flags.set(gst::BufferFlags::HEADER, tag.is_header);
        flags.set(gst::BufferFlags::DELTA_UNIT, tag.is_delta);
        buffer.set_flags(flags);
    }
    buffer
}
