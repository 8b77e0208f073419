//! The messages of a stream -> the one track that downstream asks for by its caps.
//!
//! Tracks are tried in the order in which they come; the first whose caps fit is the one. All others are left out,
//! and so is the kind of message that no caps ask for.

use std::fmt;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::stream::{Item, Receives, time};
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

/// Tracks that are tried. There may be 256 of a kind, each of which remembers its header.
const MAX_CANDIDATES: usize = 32;

/// Warnings of a stream; one that is broken for good need not fill the bus.
const MAX_COMPLAINTS: usize = 32;

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
    audio: Prospect,
    video: Prospect,
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
    complaints: Vec<String>,
    complained: usize,
}

/// Whether a track of a kind may be the one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Prospect {
    /// No caps ask for one.
    Unwanted,
    /// Nothing of the kind has come.
    Awaited,
    /// Something has, and it may take until the next key frame before more does.
    Coming,
    /// Its codec is another one.
    Unfit,
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
        let prospect = |kind| {
            if wish.takes(kind) {
                Prospect::Awaited
            } else {
                Prospect::Unwanted
            }
        };
        Self {
            audio: prospect(TrackKind::Audio),
            video: prospect(TrackKind::Video),
            wanted,
            candidates: Vec::new(),
            chosen: None,
            metadata: None,
            due_caps: None,
            carried: Vec::new(),
            since: None,
            is_unfit: false,
            complaints: Vec::new(),
            complained: 0,
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
            None => {
                let prospect = self.prospect(kind);
                if *prospect == Prospect::Awaited {
                    *prospect = Prospect::Coming;
                }
                *prospect != Prospect::Unwanted
            }
        }
    }

    /// The kinds that are of use.
    pub(super) fn kinds(&self) -> Receives {
        Receives {
            audio: self.audio != Prospect::Unwanted,
            video: self.video != Prospect::Unwanted,
        }
    }

    /// When something of a kind that is wanted should have come; `None` once it has, and before the stream flows.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.chosen.is_some() || [self.audio, self.video].contains(&Prospect::Coming) {
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
    pub(super) fn take_complaints(&mut self) -> Vec<String> {
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
                for packet in AudioPacket::decode(&tag.body) {
                    match packet {
                        Ok(packet) => {
                            let track = packet.track;
                            self.try_track(TrackKind::Audio, track, tag, &mut items, |decoder| {
                                decoder.audio(packet, at)
                            });
                        }
                        Err(error) => self.complain(tag, &error),
                    }
                }
            }
            MediaKind::Video => {
                for packet in VideoPacket::decode(&tag.body) {
                    match packet {
                        Ok(packet) => {
                            let track = packet.track;
                            self.try_track(TrackKind::Video, track, tag, &mut items, |decoder| {
                                decoder.video(packet, at)
                            });
                        }
                        Err(error) => self.complain(tag, &error),
                    }
                }
            }
        }
        if self.is_unfit {
            self.note_codec(tag.kind, &tag.body);
        }
        items
    }

    fn complain(&mut self, tag: &FlvTag, error: &dyn fmt::Display) {
        self.complained += 1;
        if self.complained <= MAX_COMPLAINTS {
            self.complaints.push(format!("at {} ms: {error}", tag.dts));
        }
    }

    fn note_codec(&mut self, kind: MediaKind, body: &[u8]) {
        if let Some(name) = codec_name(kind, body)
            && self.carried.len() < MAX_CARRIED
            && !self.carried.contains(&name)
        {
            self.carried.push(name);
        }
    }

    const fn prospect(&mut self, kind: TrackKind) -> &mut Prospect {
        match kind {
            TrackKind::Audio => &mut self.audio,
            TrackKind::Video => &mut self.video,
        }
    }

    /// Whether the metadata names nothing that is awaited.
    fn is_denied(&self) -> bool {
        let Some(metadata) = &self.metadata else {
            return false;
        };
        let (audio, video) = (metadata.has_audio(), metadata.has_video());
        let has_audio = audio.unwrap_or(video != Some(true));
        let has_video = video.unwrap_or(audio != Some(true));
        !(self.audio == Prospect::Awaited && has_audio || self.video == Prospect::Awaited && has_video)
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
        tag: &FlvTag,
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
        if known.is_none() && self.candidates.len() >= MAX_CANDIDATES {
            return;
        }
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
            self.complain(tag, &error);
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
        } else if tag.is_frame && is_known {
            // The headers of all tracks have come, and this is what the stream has of the kind.
            *self.prospect(kind) = Prospect::Unfit;
            let is_open = |prospect| matches!(prospect, Prospect::Awaited | Prospect::Coming);
            self.is_unfit = !is_open(self.audio) && !is_open(self.video);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::Timestamp;
    use bytes::Bytes;

    const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x0a\x67\x42\xc0\x1e\xd9\x01\x41\xfb\x01\x10\x01\x00\x05\x68\xcb\x83\xcb\x20";
    const KEY_FRAME: &[u8] = b"\x17\x01\x00\x00\x00\x00\x00\x00\x01\x65";
    const AAC_HEADER: &[u8] = b"\xaf\x00\x12\x10";
    const AAC_FRAME: &[u8] = b"\xaf\x01\x21\x10\x05";
    const AUDIO_METADATA: &[u8] =
        b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x0caudiocodecid\x00\x40\x24\x00\x00\x00\x00\x00\x00\x00\x00\x09";

    fn track(wanted: &str) -> Track {
        gst::init().unwrap();
        Track::new(wanted.parse().unwrap())
    }

    fn media(kind: MediaKind, body: &[u8]) -> Media {
        Media {
            kind,
            timestamp: Timestamp::ZERO,
            head: Bytes::new(),
            body: Bytes::copy_from_slice(body),
        }
    }

    fn tag(kind: MediaKind, is_frame: bool, body: &[u8]) -> FlvTag {
        FlvTag {
            kind,
            head: [0; 11],
            body: Bytes::copy_from_slice(body),
            trailer: [0; 4],
            dts: 40,
            pts: 40,
            is_header: !is_frame,
            is_delta: false,
            is_frame,
        }
    }

    /// What comes of a header and a frame.
    fn feed(track: &mut Track, kind: MediaKind, header: &[u8], frame: &[u8]) -> Vec<Item> {
        let mut items = Vec::new();
        for (is_frame, body) in [(false, header), (true, frame)] {
            if track.wants(&media(kind, body), Instant::now()) {
                items.extend(track.take(&tag(kind, is_frame, body)));
            }
        }
        items
    }

    #[test]
    fn waiting_ends_when_something_of_the_kind_has_come_however_long_its_key_frame_takes() {
        let now = Instant::now();
        let mut track = track("video/x-h264");
        assert_eq!(track.deadline(), None, "nothing flows");
        assert!(!track.wants(&media(MediaKind::Audio, AAC_FRAME), now));
        assert_eq!(track.deadline(), Some(now + PATIENCE));
        assert!(track.wants(&media(MediaKind::Data, AUDIO_METADATA), now + PATIENCE / 2));
        assert_eq!(track.deadline(), Some(now + PATIENCE_AGAINST_METADATA));
        assert!(track.wants(&media(MediaKind::Video, AVC_HEADER), now));
        assert_eq!(track.deadline(), None);
        assert!(track.was_missed());
    }

    #[test]
    fn either_kind_may_be_the_one_and_the_other_is_left_out_then() {
        let mut track = track("video/x-h264; audio/mpeg, mpegversion=4");
        let [Item::Caps(_), Item::Buffer(_)] = &feed(&mut track, MediaKind::Audio, AAC_HEADER, AAC_FRAME)[..]
        else {
            panic!("no caps and buffer");
        };
        assert!(feed(&mut track, MediaKind::Video, AVC_HEADER, KEY_FRAME).is_empty());
        assert!(!track.is_unfit() && !track.was_missed());
    }

    #[test]
    fn only_when_both_kinds_are_something_else_is_the_stream_unfit() {
        let mut track = track("video/x-h265; audio/x-opus");
        assert!(feed(&mut track, MediaKind::Video, AVC_HEADER, KEY_FRAME).is_empty());
        assert!(!track.is_unfit() && track.deadline().is_some());
        assert!(feed(&mut track, MediaKind::Audio, AAC_HEADER, AAC_FRAME).is_empty());
        assert!(track.is_unfit());
        assert_eq!(
            track.misfit(),
            "What is linked to the source takes video/x-h265 or audio/x-opus, but the stream carries H.264 video and \
             AAC audio. Ask for that, or for video/x-flv."
        );
    }

    #[test]
    fn of_several_tracks_the_first_that_fits_is_the_one() {
        let in_track = |packet_type: u8, track: u8, payload: &[u8]| {
            [&[0x96, packet_type], &b"avc1"[..], &[track], payload].concat()
        };
        let mut wanted = track("video/x-h264, profile=main");
        let baseline = &AVC_HEADER[5..];
        let mut main = baseline.to_vec();
        for at in [1, 9] {
            main[at] = 77;
        }
        main[2] = 0;
        let mut items = Vec::new();
        for (is_frame, body) in [
            (false, in_track(0, 1, baseline)),
            (false, in_track(0, 2, &main)),
            (true, in_track(3, 1, b"\x00\x00\x00\x01\x65")),
            (true, in_track(3, 2, b"\x00\x00\x00\x02\x65\x02")),
        ] {
            items.extend(wanted.take(&tag(MediaKind::Video, is_frame, &body)));
        }
        let [Item::Caps(caps), Item::Buffer(buffer)] = &items[..] else {
            panic!("{items:?}");
        };
        assert_eq!(caps.structure(0).unwrap().get("profile"), Ok("main"));
        assert_eq!(buffer.size(), 6);
        assert!(!wanted.is_unfit());
    }

    #[test]
    fn more_tracks_than_anybody_has_are_left_out() {
        let mut track = track("video/x-h265");
        for id in 0..=u8::MAX {
            let body = [&b"\x96\x00avc1"[..], &[id], &AVC_HEADER[5..]].concat();
            assert!(track.take(&tag(MediaKind::Video, false, &body)).is_empty());
        }
        assert_eq!(track.candidates.len(), MAX_CANDIDATES);
    }

    #[test]
    fn broken_packets_are_complained_about_and_the_track_goes_on() {
        let mut track = track("video/x-h264");
        assert!(
            feed(
                &mut track,
                MediaKind::Video,
                b"\x17\x00\x00\x00\x00\x01\x42",
                KEY_FRAME
            )
            .is_empty()
        );
        let complaints = track.take_complaints();
        assert!(complaints[0].starts_with("at 40 ms: "), "{complaints:?}");
        assert!(track.take_complaints().is_empty());
        assert_eq!(feed(&mut track, MediaKind::Video, AVC_HEADER, KEY_FRAME).len(), 2);
        assert!(!track.is_unfit());
        for _ in 0..100 {
            assert!(
                track
                    .take(&tag(MediaKind::Video, false, b"\x17\x01\x00"))
                    .is_empty()
            );
        }
        let complaints = track.take_complaints().len();
        assert!((1..=MAX_COMPLAINTS).contains(&complaints), "{complaints}");
    }
}
