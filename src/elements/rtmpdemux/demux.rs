//! FLV in pieces -> [`Action`]s: what is to be done about pads, in order. Knows no pads itself, so that nothing is
//! locked while they push.
//!
//! Until all tracks that are promised are known, or frames have waited for long enough, what comes is held, so that the
//! pads appear together and with one collection.

use std::mem::{self, Discriminant};

use bytes::Bytes;

use super::clock::Clock;
use super::output::{Action, NewTrack, Output, time};
use super::promise::{Promise, promises};
use super::script;
use super::track::{Track, TrackId};
use crate::elements::track::{self, Error, Mark, TrackKind, TrackMetadata, tags_of};
use crate::flv::audio::AudioPayload;
use crate::flv::script::is_metadata;
use crate::flv::video::VideoPayload;
use crate::flv::{
    self, AudioPacket, FileHeader, Item, Metadata, Reader, ScriptData, Tag, TagKind, VideoPacket,
};
use crate::timestamp::Timestamp;

/// Most tracks of a kind.
const MAX_TRACKS: usize = 16;

/// A track that is behind the others by more is told so by a GAP event; flvdemux's figure, in milliseconds.
const SPARSE: i64 = 3000;

/// What flvmux writes for a duration that is not known yet, in seconds.
const UNKNOWN_DURATION: f64 = 86_400.0;

/// What there is one warning about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Encrypted,
    Malformed(TagKind),
    Track(TrackId, Discriminant<Error>),
    TooManyTracks,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Demux {
    reader: Reader,
    /// Whether a byte has come since the reader was new.
    has_input: bool,
    /// What to read ahead of input that does not begin with a file header.
    stream_headers: Vec<Bytes>,
    header: Option<FileHeader>,
    metadata: Option<(Bytes, Metadata)>,
    clock: Clock,
    tracks: Vec<Track>,
    faults: Vec<Fault>,
    output: Output,
}

impl Demux {
    pub(super) fn new() -> Self {
        Self {
            reader: Reader::new(),
            has_input: false,
            stream_headers: Vec::new(),
            header: None,
            metadata: None,
            clock: Clock::default(),
            tracks: Vec::new(),
            faults: Vec::new(),
            output: Output::new(),
        }
    }

    /// Headers of the stream, from its caps.
    pub(super) fn set_stream_headers(&mut self, headers: Vec<Bytes>) {
        self.stream_headers = headers;
    }

    /// Takes a segment of upstream.
    pub(super) fn set_segment(&mut self, event: &gst::event::Segment) -> Vec<Action> {
        if self.output.has_frames() {
            self.show();
        }
        self.output.set_segment(event);
        if !self.output.is_upstreams() {
            self.restart_reader();
        }
        self.clock = Clock::default();
        for track in &mut self.tracks {
            track.last = None;
        }
        self.output.take()
    }

    /// What was in flight is void, and time starts anew.
    pub(super) fn flush(&mut self) {
        self.restart_reader();
        self.clock = Clock::default();
        self.tracks.iter_mut().for_each(Track::interrupt);
        self.output.flush();
        for track in &mut self.tracks {
            // Those in flight may have been new.
            let Some(caps) = track.decoder.caps().cloned() else {
                continue;
            };
            if track.has_pad {
                self.output.now(Action::Caps(track.id, caps));
            } else {
                track.caps = Some(caps);
                track.has_buffers = false;
            }
        }
    }

    /// Bytes may be missing ahead of what comes next.
    pub(super) fn set_discont(&mut self) {
        if self.reader.pending() > 0 {
            self.restart_reader();
            self.tracks.iter_mut().for_each(Track::interrupt);
        } else {
            for track in &mut self.tracks {
                track.decoder.set_discont();
            }
        }
    }

    /// Takes the bytes of a buffer of this time.
    ///
    /// # Errors
    ///
    /// The input cannot be read any further than to the actions.
    pub(super) fn push(
        &mut self,
        pieces: impl IntoIterator<Item = Bytes>,
        time: Option<gst::ClockTime>,
    ) -> (Vec<Action>, Result<(), flv::Error>) {
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            if !mem::replace(&mut self.has_input, true) && !piece.starts_with(b"F") {
                self.read_stream_headers();
            }
            self.reader.push(piece);
        }
        let result = self.read(time);
        (self.output.take(), result)
    }

    /// The input has ended. Whether there is a pad to say so to.
    pub(super) fn finish(&mut self) -> (Vec<Action>, bool) {
        self.show();
        (self.output.take(), !self.output.is_holding())
    }

    /// Bytes of a tag that has not come to its end.
    pub(super) fn pending(&self) -> usize {
        self.reader.pending()
    }

    /// How long the recording is, if it is one.
    pub(super) fn duration(&self) -> Option<gst::ClockTime> {
        let (_, metadata) = self.metadata.as_ref()?;
        let seconds = metadata.recording().duration?;
        let is_known = seconds > 0.0 && (seconds - UNKNOWN_DURATION).abs() > f64::EPSILON;
        let seconds = is_known.then_some(seconds)?;
        gst::ClockTime::try_from_seconds_f64(seconds).ok()
    }

    /// Time of the stream that the track is at.
    pub(super) fn position(&self, id: TrackId) -> Option<gst::ClockTime> {
        let track = self.tracks.iter().find(|track| track.id == id)?;
        self.output.stream_time(track.position)
    }

    fn restart_reader(&mut self) {
        self.reader = Reader::new();
        self.has_input = false;
    }

    fn read_stream_headers(&mut self) {
        let mut reader = Reader::new();
        for header in &self.stream_headers {
            reader.push(header.clone());
        }
        // Headers that cannot be read are as good as none.
        while let Ok(Some(item)) = reader.next() {
            self.item(item, None);
        }
    }

    fn read(&mut self, time: Option<gst::ClockTime>) -> Result<(), flv::Error> {
        while let Some(item) = self.reader.next()? {
            self.item(item, time);
        }
        Ok(())
    }

    fn item(&mut self, item: Item, time: Option<gst::ClockTime>) {
        match item {
            Item::Header(header) => self.header = Some(header),
            Item::Tag(tag) => self.tag(&tag, time),
            Item::Encrypted { offset, .. } => self.warn(Fault::Encrypted, || {
                format!("Tags are encrypted, such as the one at byte {offset}. They are left out.")
            }),
        }
        let is_due = |demux: &Self| demux.output.is_overdue(demux.clock.now()) || demux.is_complete();
        if self.output.is_holding() && is_due(self) {
            self.show();
        }
    }

    fn tag(&mut self, tag: &Tag, time: Option<gst::ClockTime>) {
        let body = tag.joined();
        let malformed = |cause| {
            let (kind, offset) = (tag.kind, tag.offset);
            format!("The tag at byte {offset} ({kind:?}) is broken and left out: {cause}.")
        };
        match tag.kind {
            TagKind::Audio => {
                for packet in AudioPacket::decode(&body) {
                    match packet {
                        Ok(packet) => self.audio(tag, time, packet),
                        Err(cause) => self.warn(Fault::Malformed(tag.kind), || malformed(cause.to_string())),
                    }
                }
            }
            TagKind::Video => {
                for packet in VideoPacket::decode(&body) {
                    match packet {
                        Ok(packet) => self.video(tag, time, packet),
                        Err(cause) => self.warn(Fault::Malformed(tag.kind), || malformed(cause.to_string())),
                    }
                }
            }
            TagKind::Script | TagKind::ScriptAmf3 => {
                // Ahead of AMF3 data is a byte that says how it is encoded, which is AMF0 until a marker in it.
                let selector = usize::from(tag.kind == TagKind::ScriptAmf3);
                let body = body.slice(selector.min(body.len())..);
                if !body.is_empty() && !self.script(&body) {
                    self.warn(Fault::Malformed(tag.kind), || malformed("no name".to_owned()));
                }
            }
            TagKind::Unknown(_) => {}
        }
    }

    fn audio(&mut self, tag: &Tag, time: Option<gst::ClockTime>, packet: AudioPacket) {
        if packet.payload == AudioPayload::Silence {
            for index in 0..self.tracks.len() {
                let is_audio = |track: &&mut Track| track.id.kind == TrackKind::Audio;
                let at = self.clock.now();
                if let Some(track) = self.tracks.get_mut(index).filter(is_audio) {
                    let output = track.decoder.audio(packet.clone(), self::time(at));
                    self.put(index, at, output);
                }
            }
            return;
        }
        let id = TrackId::audio(packet.track);
        let Some(index) = self.track(id, packet.codec.is_some()) else {
            return;
        };
        let at = if matches!(packet.payload, AudioPayload::Frames(_)) {
            self.place(index, tag, time)
        } else {
            self.clock.now()
        };
        if let Some(track) = self.tracks.get_mut(index) {
            let output = track.decoder.audio(packet, self::time(at));
            self.put(index, at, output);
        }
    }

    fn video(&mut self, tag: &Tag, time: Option<gst::ClockTime>, packet: VideoPacket) {
        let id = TrackId::video(packet.track);
        let Some(index) = self.track(id, packet.codec.is_some()) else {
            return;
        };
        let at = match packet.payload {
            VideoPayload::Frame { .. } | VideoPayload::Vp6Frame { .. } => self.place(index, tag, time),
            _ => self.clock.now(),
        };
        if let Some(track) = self.tracks.get_mut(index) {
            let output = track.decoder.video(packet, self::time(at));
            self.put(index, at, output);
        }
    }

    /// Takes script data; false if it is none.
    fn script(&mut self, body: &Bytes) -> bool {
        if is_metadata(body)
            && let Some(metadata) = Metadata::parse(body.clone())
        {
            if self.metadata.as_ref().is_none_or(|(known, _)| known != body) {
                // A copy, since a slice would keep the whole buffer for as long as the stream lasts.
                self.metadata = Some((Bytes::copy_from_slice(body), metadata));
                self.tell_metadata();
            }
            return true;
        }
        let Some(data) = ScriptData::decode(body) else {
            return false;
        };
        let message = script::message(&data, time(self.clock.now()));
        self.output.now(Action::Script(message));
        true
    }

    /// Lets tracks and pads know of new metadata.
    fn tell_metadata(&mut self) {
        let Some((_, metadata)) = &self.metadata else {
            return;
        };
        if let Some(tags) = tags_of(metadata) {
            self.output.now(Action::Tags(tags));
        }
        for index in 0..self.tracks.len() {
            let Some((_, metadata)) = &self.metadata else {
                return;
            };
            let Some(track) = self.tracks.get_mut(index) else {
                return;
            };
            let of_track = of_track(metadata, track.id);
            if let (true, Some(tags)) = (track.has_pad, of_track.tags()) {
                self.output.now(Action::TrackTags(track.id, tags));
            }
            let caps = track.decoder.set_metadata(of_track);
            if let Some(caps) = caps {
                self.put_caps(index, caps);
            }
        }
    }

    /// The place of a track; if it is new, only with a codec.
    fn track(&mut self, id: TrackId, has_codec: bool) -> Option<usize> {
        let place = self.tracks.iter().position(|track| track.id == id);
        if place.is_some() || !has_codec {
            return place;
        }
        let of_kind = self.tracks.iter().filter(|track| track.id.kind == id.kind);
        if of_kind.count() >= MAX_TRACKS {
            self.warn(Fault::TooManyTracks, || {
                format!(
                    "There are more than {MAX_TRACKS} tracks of a kind. Others, such as {id}, are left out."
                )
            });
            return None;
        }
        let mut track = Track::new(id);
        if let Some((_, metadata)) = &self.metadata {
            // It has no caps yet that this could change.
            let _ = track.decoder.set_metadata(of_track(metadata, id));
        }
        self.tracks.push(track);
        Some(self.tracks.len() - 1)
    }

    /// Milliseconds at which the frame in `tag` is.
    fn place(&mut self, index: usize, tag: &Tag, time: Option<gst::ClockTime>) -> i64 {
        let timestamp = Timestamp::from_millis(tag.timestamp);
        if let (true, Some(time)) = (self.output.is_upstreams(), time)
            && !self.clock.has_started()
        {
            let at = i64::try_from(time.mseconds()).unwrap_or(i64::MAX);
            self.clock = Clock::tied(timestamp, at);
        }
        let before = self.tracks.get(index).and_then(|track| track.last);
        let placed = self.clock.place(timestamp, before);
        if placed.is_restart {
            for track in &mut self.tracks {
                track.decoder.set_discont();
                track.is_resync = true;
            }
        }
        let at = before.map_or(placed.at, |before| before.max(placed.at));
        if let Some(track) = self.tracks.get_mut(index) {
            track.last = Some(at);
        }
        at
    }

    /// Takes what a packet at `at` has come to.
    fn put(&mut self, index: usize, at: i64, output: Result<track::Output, Error>) {
        let Some(track) = self.tracks.get_mut(index) else {
            return;
        };
        let id = track.id;
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                track.is_unsupported |= matches!(error, Error::UnknownCodec(_));
                self.warn(Fault::Track(id, mem::discriminant(&error)), || {
                    format!("Track {id} cannot be read in full: {error}.")
                });
                return;
            }
        };
        if let Some(caps) = output.caps {
            self.put_caps(index, caps);
        }
        if let Some(buffer) = output.buffer {
            self.put_buffer(index, at, buffer);
        }
        let Some(track) = self.tracks.get_mut(index) else {
            return;
        };
        let was_idle = track.is_idle;
        track.is_idle |= output.mark.is_some();
        match output.mark {
            // Some servers say so over and over.
            Some(Mark::Silence) if was_idle => {}
            Some(Mark::Silence | Mark::SequenceEnd) => {
                self.output.put(at, Action::Gap(id, time(at), None));
            }
            None => {}
        }
    }

    fn put_caps(&mut self, index: usize, caps: gst::Caps) {
        let at = self.clock.now();
        let Some(track) = self.tracks.get_mut(index) else {
            return;
        };
        track.is_unsupported = false;
        let id = track.id;
        if track.has_pad || track.has_buffers {
            self.output.put(at, Action::Caps(id, caps));
            return;
        }
        track.caps = Some(caps);
        if !self.output.is_holding() {
            self.show();
        }
    }

    fn put_buffer(&mut self, index: usize, at: i64, mut buffer: gst::Buffer) {
        let Some(track) = self.tracks.get_mut(index) else {
            return;
        };
        track.position = at;
        track.has_buffers = true;
        track.is_idle = false;
        if mem::take(&mut track.is_resync)
            && let Some(buffer) = buffer.get_mut()
        {
            buffer.set_flags(gst::BufferFlags::RESYNC);
        }
        let id = track.id;
        self.output.put(at, Action::Buffer(id, buffer));
        self.fill_gaps(at);
    }

    /// Tells pads that are behind.
    fn fill_gaps(&mut self, at: i64) {
        for track in self.tracks.iter_mut().filter(|track| track.has_pad) {
            // Decoders drain at a GAP event, after which they need a key frame.
            let can_wait = track.id.kind == TrackKind::Audio || track.is_idle;
            let behind = at.saturating_sub(track.position);
            if can_wait && behind > SPARSE {
                let gap = Action::Gap(track.id, time(track.position), Some(time(behind)));
                self.output.put(track.position, gap);
                track.position = at;
            }
        }
    }

    /// Whether all is known of the tracks that are promised.
    fn is_complete(&self) -> bool {
        let metadata = self.metadata.as_ref().map(|(_, metadata)| metadata);
        let is_settled = |id| {
            self.tracks
                .iter()
                .any(|track: &Track| track.id == id && track.is_settled())
        };
        let (audio, video) = promises(self.header, metadata);
        let is_kept = |promise, first| match promise {
            Promise::Given => is_settled(first),
            Promise::Denied => true,
            Promise::Open => false,
        };
        self.tracks.iter().all(Track::is_settled)
            && is_kept(audio, TrackId::audio(0))
            && is_kept(video, TrackId::video(0))
            && metadata.is_none_or(|metadata| {
                metadata.audio_tracks().all(|id| is_settled(TrackId::audio(id)))
                    && metadata.video_tracks().all(|id| is_settled(TrackId::video(id)))
            })
    }

    /// Lets the pads of the tracks that are known appear, if there are any.
    fn show(&mut self) {
        let metadata = self.metadata.as_ref().map(|(_, metadata)| metadata);
        let now = self.clock.now();
        let mut added = Vec::new();
        for track in self.tracks.iter_mut().filter(|track| !track.has_pad) {
            if let Some(caps) = track.caps.clone() {
                track.has_pad = true;
                track.position = now;
                let tags = metadata.and_then(|metadata| of_track(metadata, track.id).tags());
                let id = track.id;
                added.push(NewTrack { id, caps, tags });
            }
        }
        if !added.is_empty() {
            self.output.release(added);
        }
    }

    /// Warns of the first fault of its kind.
    fn warn(&mut self, fault: Fault, sentence: impl FnOnce() -> String) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
            self.output.now(Action::Warning(sentence()));
        }
    }
}

/// What metadata says of a track.
fn of_track(metadata: &Metadata, id: TrackId) -> TrackMetadata {
    TrackMetadata::of(metadata, id.kind, id.number)
}
