//! The messages of a stream -> the one track that downstream asks for by its caps.
//!
//! Tracks are tried in the order in which they come; the first whose caps fit is the one. All others are left out,
//! and so is the kind of message that no caps ask for.

use std::time::{Duration, Instant};

use gst::prelude::*;

use super::stream::{Item, time};
use super::tags::FlvTag;
use crate::elements::caps;
use crate::elements::track::{
    self, AudioFormat, Output, TrackDecoder, TrackKind, TrackMetadata, VideoFormat, tags_of,
};
use crate::flv::audio::AudioCodec;
use crate::flv::video::VideoCodec;
use crate::flv::{AudioPacket, AudioTag, Metadata, VideoPacket, VideoTag, script};
use crate::session::{Media, MediaKind};

/// How long a track that fits may be in coming once the stream flows.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same if the metadata says that there is no such track; it may be wrong.
const PATIENCE_AGAINST_METADATA: Duration = Duration::from_millis(500);

/// Codecs that are remembered of a stream, to name them.
const MAX_CARRIED: usize = 16;

/// What downstream takes.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// The whole stream as FLV; also of what takes anything, or does not say.
    Flv,
    /// One elementary stream of these caps.
    Track(gst::Caps),
}

impl Wish {
    /// Asks what is linked to `pad`.
    pub(super) fn of(pad: &gst::Pad) -> Self {
        let taken = pad.peer_query_caps(Some(&pad.pad_template_caps()));
        let flv = gst::Caps::new_empty_simple("video/x-flv");
        if taken.is_any() || taken.is_empty() || taken.can_intersect(&flv) {
            return Self::Flv;
        }
        Self::Track(taken)
    }

    /// Whether messages of a kind are of use.
    pub(super) fn takes(&self, kind: TrackKind) -> bool {
        match self {
            Self::Flv => true,
            Self::Track(wanted) => wanted.can_intersect(&caps::src_template(kind)),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Track {
    wanted: gst::Caps,
    takes_audio: bool,
    takes_video: bool,
    candidates: Vec<Candidate>,
    /// The one of them that fits.
    chosen: Option<(TrackKind, u8)>,
    metadata: Option<Metadata>,
    /// Caps with what new metadata says, ahead of the next frame: mostly a header comes first.
    due_caps: Option<gst::Caps>,
    /// What the stream carries, in words.
    carried: Vec<String>,
    /// Since when the stream flows.
    since: Option<Instant>,
    is_unfit: bool,
    /// Why packets were left out.
    complaints: Vec<track::Error>,
}

/// A track that may fit.
#[derive(Debug)]
struct Candidate {
    kind: TrackKind,
    track: u8,
    decoder: TrackDecoder,
}

impl Track {
    pub(super) fn new(wanted: gst::Caps) -> Self {
        let wish = Wish::Track(wanted.clone());
        Self {
            takes_audio: wish.takes(TrackKind::Audio),
            takes_video: wish.takes(TrackKind::Video),
            wanted,
            candidates: Vec::new(),
            chosen: None,
            metadata: None,
            due_caps: None,
            carried: Vec::new(),
            since: None,
            is_unfit: false,
            complaints: Vec::new(),
        }
    }

    /// Takes notice of a message, and says whether it is of use.
    pub(super) fn wants(&mut self, media: &Media, now: Instant) -> bool {
        self.since.get_or_insert(now);
        let kind = match media.kind {
            MediaKind::Data => {
                if script::is_metadata(&media.body) && self.chosen.is_none() {
                    self.metadata = Metadata::parse(media.body.clone());
                }
                return true;
            }
            MediaKind::Audio => TrackKind::Audio,
            MediaKind::Video => TrackKind::Video,
        };
        if self.chosen.is_none() {
            self.note_codec(media.kind, &media.body);
        }
        match self.chosen {
            Some((chosen, _)) => chosen == kind,
            None => self.takes(kind),
        }
    }

    /// When a track that fits should have come; `None` once there is one, and before the stream flows.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.chosen.is_some() {
            return None;
        }
        let patience = if self.is_denied() {
            PATIENCE_AGAINST_METADATA
        } else {
            PATIENCE
        };
        self.since.map(|since| since + patience)
    }

    /// Whether the stream will not bring what is wanted.
    pub(super) const fn is_unfit(&self) -> bool {
        self.is_unfit
    }

    /// Whether the stream has ended without a track that fits, although it carried something.
    pub(super) const fn was_missed(&self) -> bool {
        self.chosen.is_none() && self.since.is_some()
    }

    /// What was wrong with packets that were left out since the last call.
    pub(super) fn take_complaints(&mut self) -> Vec<track::Error> {
        std::mem::take(&mut self.complaints)
    }

    /// What the stream carries and what was asked for, in a sentence.
    pub(super) fn misfit(&self) -> String {
        let mut carried = self.carried.clone();
        if let (true, Some(metadata)) = (carried.is_empty(), &self.metadata) {
            carried.extend(metadata.video(0).codec.map(video_name));
            carried.extend(metadata.audio(0).codec.map(audio_name));
        }
        let carried = if carried.is_empty() {
            "nothing of it".to_owned()
        } else {
            carried.join(" and ")
        };
        let mut wanted: Vec<&str> = self.wanted.iter().map(|caps| caps.name().as_str()).collect();
        wanted.dedup();
        format!(
            "What is linked to the source takes {}, but the stream carries {carried}. Ask for that, or for video/x-flv.",
            wanted.join(" or ")
        )
    }

    /// Takes the next tag. Of other tracks nothing comes of it.
    pub(super) fn take(&mut self, tag: &FlvTag) -> Vec<Item> {
        let mut items = Vec::new();
        let at = time(tag.dts).unwrap_or_default();
        match tag.kind {
            MediaKind::Data => {
                if script::is_metadata(&tag.body)
                    && let Some(metadata) = Metadata::parse(tag.body.clone())
                {
                    self.take_metadata(metadata, &mut items);
                }
            }
            MediaKind::Audio => {
                for packet in AudioPacket::decode(&tag.body).flatten() {
                    self.try_track(
                        TrackKind::Audio,
                        packet.track,
                        tag.is_frame,
                        &mut items,
                        |decoder| decoder.audio(packet, at),
                    );
                }
            }
            MediaKind::Video => {
                for packet in VideoPacket::decode(&tag.body).flatten() {
                    self.try_track(
                        TrackKind::Video,
                        packet.track,
                        tag.is_frame,
                        &mut items,
                        |decoder| decoder.video(packet, at),
                    );
                }
            }
        }
        if self.is_unfit {
            self.note_codec(tag.kind, &tag.body);
        }
        items
    }

    fn note_codec(&mut self, kind: MediaKind, body: &[u8]) {
        if let Some(name) = codec_name(kind, body)
            && self.carried.len() < MAX_CARRIED
            && !self.carried.contains(&name)
        {
            self.carried.push(name);
        }
    }

    const fn takes(&self, kind: TrackKind) -> bool {
        match kind {
            TrackKind::Audio => self.takes_audio,
            TrackKind::Video => self.takes_video,
        }
    }

    /// Whether the metadata names only what is not wanted.
    fn is_denied(&self) -> bool {
        let Some(metadata) = &self.metadata else {
            return false;
        };
        let (audio, video) = (metadata.has_audio(), metadata.has_video());
        let has_audio = audio.unwrap_or(video != Some(true));
        let has_video = video.unwrap_or(audio != Some(true));
        !(self.takes_audio && has_audio || self.takes_video && has_video)
    }

    fn take_metadata(&mut self, metadata: Metadata, items: &mut Vec<Item>) {
        for candidate in &mut self.candidates {
            let said = TrackMetadata::of(&metadata, candidate.kind, candidate.track);
            let caps = candidate.decoder.set_metadata(said);
            if self.chosen == Some((candidate.kind, candidate.track)) {
                self.due_caps = caps.or(self.due_caps.take());
            }
        }
        self.metadata = Some(metadata);
        self.put_tags(items);
    }

    /// What the metadata says of the track that was chosen, and of the stream.
    fn put_tags(&self, items: &mut Vec<Item>) {
        let (Some((kind, track)), Some(metadata)) = (self.chosen, &self.metadata) else {
            return;
        };
        let mut of_stream = tags_of(metadata);
        if let Some(tags) = of_stream.as_mut().and_then(gst::TagList::get_mut) {
            tags.set_scope(gst::TagScope::Global);
        }
        let of_track = TrackMetadata::of(metadata, kind, track).tags();
        items.extend(of_stream.into_iter().chain(of_track).map(Item::Tags));
    }

    /// Has a track's decoder take a packet, and puts out what comes of it if the track is the one.
    fn try_track(
        &mut self,
        kind: TrackKind,
        track: u8,
        is_frame: bool,
        items: &mut Vec<Item>,
        decode: impl FnOnce(&mut TrackDecoder) -> Result<Output, track::Error>,
    ) {
        let id = (kind, track);
        if self.chosen.is_some_and(|chosen| chosen != id) {
            return;
        }
        let known = self
            .candidates
            .iter()
            .position(|candidate| (candidate.kind, candidate.track) == id);
        let index = known.unwrap_or_else(|| {
            let mut decoder = TrackDecoder::new(kind);
            // Somebody who joins may get the middle of a group of pictures.
            decoder.wait_for_key_frame();
            if let Some(metadata) = &self.metadata {
                decoder.set_metadata(TrackMetadata::of(metadata, kind, track));
            }
            self.candidates.push(Candidate { kind, track, decoder });
            self.candidates.len() - 1
        });
        let Some(candidate) = self.candidates.get_mut(index) else {
            return;
        };
        let taken = decode(&mut candidate.decoder);
        let mut is_known = candidate.decoder.caps().is_some();
        let output = taken.unwrap_or_else(|error| {
            is_known |= matches!(error, track::Error::UnknownCodec(_));
            self.complaints.push(error);
            Output::default()
        });
        if let Some(caps) = output.caps {
            let fits = caps.can_intersect(&self.wanted);
            let is_new = fits && self.chosen.is_none();
            if is_new {
                self.chosen = Some(id);
            }
            if fits {
                self.due_caps = None;
                items.push(Item::Caps(caps));
            } else if self.chosen.is_some() {
                // The codec has changed in mid-stream to one that is not wanted.
                self.is_unfit = true;
                self.carried.clear();
            }
            if is_new {
                self.put_tags(items);
            }
        }
        if self.chosen.is_some() {
            if let Some(buffer) = output.buffer {
                items.extend(self.due_caps.take().map(Item::Caps));
                items.push(Item::Buffer(buffer));
            }
        } else if is_frame && is_known && !(self.takes_audio && self.takes_video) {
            // The headers of all tracks have come, and this is what the stream has of the kind.
            self.is_unfit = true;
        }
    }
}

/// The codec of a message, if it is a sequence header or a frame.
fn codec_name(kind: MediaKind, body: &[u8]) -> Option<String> {
    match kind {
        MediaKind::Data => None,
        MediaKind::Audio => AudioTag::classify(body).ok()?.codec.map(audio_name),
        MediaKind::Video => VideoTag::classify(body).ok()?.codec.map(video_name),
    }
}

fn audio_name(codec: AudioCodec) -> String {
    let known = AudioFormat::of(codec).map(AudioFormat::name);
    format!("{} audio", known.unwrap_or("unknown"))
}

fn video_name(codec: VideoCodec) -> String {
    let known = VideoFormat::of(codec).map(VideoFormat::name);
    format!("{} video", known.unwrap_or("unknown"))
}
