//! Buffers of one elementary stream -> the media messages to publish: a track of its own, without a muxer.
//!
//! What a player needs first comes first: metadata, then the sequence header, then frames, the first of which has the
//! time 0.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::elements::enums::EnhancedRtmp;
use crate::elements::track::{self, Changes, TagBody, Timeline, Times, TrackEncoder, on_meta_data};
use crate::flv::script;
use crate::session::{Media, MediaKind};
use crate::timestamp::Timestamp;

/// How often metadata is sent at most: parsers refine a bit rate with every few frames.
const METADATA_INTERVAL: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Track {
    encoder: TrackEncoder,
    /// Tags of the whole stream.
    tags: gst::TagList,
    timeline: Timeline,
    /// Decoding time of the last frame, in the stream's time.
    last: Option<gst::ClockTime>,
    /// Running time has started over, and goes on from the last frame.
    is_flushed: bool,
    wants_headers: bool,
    wants_metadata: bool,
    /// The metadata that was sent last, and when in the stream's time.
    metadata_sent: Option<(Bytes, gst::ClockTime)>,
    /// Frames that came in, and messages that go out ahead of them.
    input: VecDeque<(gst::Buffer, Option<Times>)>,
    output: VecDeque<Media>,
}

impl Track {
    /// For a stream of `caps`.
    ///
    /// # Errors
    ///
    /// As of [`TrackEncoder::new`].
    pub(super) fn new(caps: &gst::CapsRef, policy: EnhancedRtmp) -> Result<Self, track::Error> {
        Ok(Self {
            encoder: TrackEncoder::new(caps, 0, policy)?,
            tags: gst::TagList::new(),
            timeline: Timeline::default(),
            last: None,
            is_flushed: false,
            wants_headers: true,
            wants_metadata: true,
            metadata_sent: None,
            input: VecDeque::new(),
            output: VecDeque::new(),
        })
    }

    /// Takes new caps; what they change is due before the next frame.
    pub(super) fn set_caps(&mut self, caps: &gst::CapsRef) -> Result<(), track::Error> {
        let Changes { headers, metadata } = self.encoder.set_caps(caps)?;
        self.wants_headers |= headers;
        if metadata {
            // Before the header, without waiting.
            self.wants_metadata = true;
            self.metadata_sent = None;
        }
        Ok(())
    }

    /// Takes tags of the stream, for the metadata.
    pub(super) fn set_tags(&mut self, tags: &gst::TagListRef) {
        self.tags = self.tags.merge(tags, gst::TagMergeMode::Replace);
        if tags.scope() == gst::TagScope::Stream {
            self.encoder.set_tags(tags);
        }
        self.wants_metadata = true;
    }

    /// Forgets what a server was told: another connection begins, with headers and from 0.
    pub(super) fn start_over(&mut self) {
        self.timeline = Timeline::default();
        self.last = None;
        self.is_flushed = false;
        self.wants_headers = true;
        self.wants_metadata = true;
        self.metadata_sent = None;
        self.output.clear();
    }

    /// Drops what has not gone out. Running time may start over, the stream's does not.
    pub(super) fn flush(&mut self) {
        self.input.clear();
        self.is_flushed = true;
    }

    /// Adds a frame, whose times `segment` makes running times.
    pub(super) fn push(&mut self, buffer: gst::Buffer, segment: &gst::Segment) {
        let times = Times::of(&buffer, segment);
        self.input.push_back((buffer, times));
    }

    /// The next message to publish, or `None` until more is pushed.
    ///
    /// # Errors
    ///
    /// A frame was left out, and the stream can go on.
    pub(super) fn next(&mut self) -> Result<Option<Media>, track::Error> {
        loop {
            if let Some(media) = self.output.pop_front() {
                return Ok(Some(media));
            }
            let Some((buffer, times)) = self.input.pop_front() else {
                return Ok(None);
            };
            self.encode(buffer, times)?;
        }
    }

    /// The tag that ends the track, if it has begun and its codec has one.
    pub(super) fn end(&self) -> Option<Media> {
        let last = self.last?;
        Some(media(self.encoder.end()?, millis(last)))
    }

    fn encode(&mut self, buffer: gst::Buffer, times: Option<Times>) -> Result<(), track::Error> {
        let headers = if self.wants_headers {
            self.encoder.headers(&buffer)?
        } else {
            Vec::new()
        };
        let (dts, pts) = self.place(times);
        let Some(frame) = self.encoder.frame(buffer, dts, pts)? else {
            return Ok(());
        };
        if let Some(body) = self.metadata(dts) {
            self.output.push_back(Media {
                kind: MediaKind::Data,
                timestamp: timestamp(frame.timestamp),
                head: script::publishing_head(&body),
                body,
            });
        }
        self.wants_headers = false;
        let headers = headers.into_iter().map(|header| media(header, frame.timestamp));
        self.output.extend(headers);
        self.output.push_back(media(frame.tag, frame.timestamp));
        self.last = Some(dts);
        Ok(())
    }

    /// Times of the stream; what has none comes with the last frame.
    fn place(&mut self, times: Option<Times>) -> (gst::ClockTime, gst::ClockTime) {
        let last = self.last.unwrap_or_default();
        let Some(times) = times else { return (last, last) };
        if self.is_flushed || !self.timeline.has_started() {
            self.is_flushed = false;
            self.timeline.start(times.dts - i128::from(last.nseconds()));
        }
        self.timeline.place(times, self.last)
    }

    /// The metadata, if it is due and not what was sent last.
    fn metadata(&mut self, now: gst::ClockTime) -> Option<Bytes> {
        let sent = self.metadata_sent.as_ref();
        let is_due = sent.is_none_or(|(_, at)| now >= at.saturating_add(METADATA_INTERVAL));
        if !self.wants_metadata || !is_due {
            return None;
        }
        self.wants_metadata = false;
        let body = on_meta_data([&self.encoder], &self.tags);
        let is_new = sent.is_none_or(|(known, _)| *known != body);
        is_new.then(|| {
            self.metadata_sent = Some((body.clone(), now));
            body
        })
    }
}

fn media(tag: TagBody, millis: u64) -> Media {
    Media {
        kind: tag.kind.into(),
        timestamp: timestamp(millis),
        head: tag.head,
        body: tag.body,
    }
}

/// RTMP has the low 32 bits of a time in milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
const fn timestamp(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis as u32)
}

/// The nearest millisecond, as frames have it.
const fn millis(time: gst::ClockTime) -> u64 {
    time.nseconds().saturating_add(500_000) / 1_000_000
}
