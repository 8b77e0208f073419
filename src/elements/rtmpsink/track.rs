//! Buffers of one elementary stream -> the media messages to publish: a track of its own, without a muxer.
//!
//! What a player needs first comes first: metadata, then the sequence header, then frames, the first of which has the
//! time 0.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::elements::enums::EnhancedRtmp;
use crate::elements::track::{self, Changes, TagBody, Timeline, Times, Told, TrackEncoder, on_meta_data};
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
    /// Where the stream's time begins: 0, or where other input has brought the connection.
    begin: gst::ClockTime,
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
    /// What has been told of frames that were left out.
    pub(super) told: Told,
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
            begin: gst::ClockTime::ZERO,
            last: None,
            is_flushed: false,
            wants_headers: true,
            wants_metadata: true,
            metadata_sent: None,
            input: VecDeque::new(),
            output: VecDeque::new(),
            told: Told::default(),
        })
    }

    /// Begins where the server was sent something up to `last`, in milliseconds.
    pub(super) fn follow(&mut self, last: Option<u32>) {
        self.begin = gst::ClockTime::from_mseconds(last.unwrap_or_default().into());
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
        self.begin = gst::ClockTime::ZERO;
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
        let last = self.last.unwrap_or(self.begin);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{AudioTag, VideoTag, audio::AudioRole, video::VideoRole};

    const AVC: &str = "video/x-h264, stream-format=avc, alignment=au, width=320, height=240, \
        codec_data=(buffer)0142c01effe1000a6742c01ed90141fb011001000568cb83cb20";

    fn track(caps: &str) -> Track {
        gst::init().unwrap();
        let caps: gst::Caps = caps.parse().unwrap();
        Track::new(&caps, EnhancedRtmp::Auto).unwrap()
    }

    /// Pushes a frame with its times in milliseconds of a segment that begins with 10 seconds.
    fn push(track: &mut Track, dts: Option<u64>, pts: Option<u64>) {
        let mut buffer = gst::Buffer::from_slice(*b"\x00\x00\x00\x01\x65");
        let writable = buffer.get_mut().unwrap();
        writable.set_dts(dts.map(gst::ClockTime::from_mseconds));
        writable.set_pts(pts.map(gst::ClockTime::from_mseconds));
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_seconds(10));
        track.push(buffer, segment.upcast_ref());
    }

    fn drain(track: &mut Track) -> Vec<Media> {
        std::iter::from_fn(|| track.next().unwrap()).collect()
    }

    fn whole(media: &Media) -> Vec<u8> {
        [&media.head[..], &media.body[..]].concat()
    }

    fn kinds(media: &[Media]) -> Vec<MediaKind> {
        media.iter().map(|media| media.kind).collect()
    }

    /// Timestamps and composition times of the pictures.
    fn times(media: &[Media]) -> Vec<(u32, i32)> {
        let time = |media: &Media| match VideoTag::classify(&whole(media)).ok()?.role {
            VideoRole::Frame { composition_time } => Some((media.timestamp.millis(), composition_time)),
            _ => None,
        };
        let is_video = |media: &&Media| media.kind == MediaKind::Video;
        media.iter().filter(is_video).filter_map(time).collect()
    }

    #[test]
    fn time_begins_with_0_and_pictures_may_be_shown_before_they_are_decoded() {
        let mut track = track(AVC);
        // The first is decoded ahead of the segment.
        for (dts, pts) in [(9960, 10_000), (10_000, 9_990), (10_040, 10_080)] {
            push(&mut track, Some(dts), Some(pts));
        }
        let media = drain(&mut track);
        let [data, video] = [MediaKind::Data, MediaKind::Video];
        assert_eq!(kinds(&media), [data, video, video, video, video]);
        assert_eq!(times(&media), [(0, 40), (40, -10), (80, 40)]);
    }

    #[test]
    fn time_never_goes_backward() {
        let mut track = track(AVC);
        for time in [10_000, 10_080, 10_040, 10_120] {
            push(&mut track, Some(time), Some(time));
        }
        push(&mut track, None, None);
        assert_eq!(
            times(&drain(&mut track)),
            [(0, 0), (80, 0), (80, -40), (120, 0), (120, 0)]
        );
    }

    #[test]
    fn after_a_flush_time_goes_on_and_what_was_not_sent_is_gone() {
        let mut track = track(AVC);
        push(&mut track, Some(70_000), Some(70_000));
        push(&mut track, Some(70_040), Some(70_040));
        assert_eq!(times(&drain(&mut track)), [(0, 0), (40, 0)]);
        push(&mut track, Some(70_080), Some(70_080));
        track.flush();
        push(&mut track, Some(10_000), Some(10_000));
        push(&mut track, Some(10_040), Some(10_040));
        assert_eq!(times(&drain(&mut track)), [(40, 0), (80, 0)]);
    }

    #[test]
    fn another_connection_hears_everything_from_the_start() {
        let mut track = track(AVC);
        assert_eq!(track.end(), None, "nothing has begun");
        push(&mut track, Some(10_000), Some(10_000));
        push(&mut track, Some(10_040), Some(10_040));
        let first = drain(&mut track);
        assert_eq!(track.end().unwrap().timestamp.millis(), 40);
        track.start_over();
        assert_eq!(track.end(), None);
        push(&mut track, Some(20_000), Some(20_000));
        push(&mut track, Some(20_040), Some(20_040));
        assert_eq!(drain(&mut track), first);
    }

    #[test]
    fn metadata_is_sent_when_it_has_changed_but_not_with_every_frame() {
        let mut track = track(AVC);
        let mut sent = Vec::new();
        for frame in 0_u32..100 {
            let mut tags = gst::TagList::new();
            // A parser refines it, and then has it right.
            let rate = (100_000 + frame * 2048).min(150_000);
            let list = tags.get_mut().unwrap();
            list.add::<gst::tags::Bitrate>(&rate, gst::TagMergeMode::Replace);
            track.set_tags(&tags);
            let time = Some(10_000 + 40 * u64::from(frame));
            push(&mut track, time, time);
            let media = drain(&mut track);
            sent.extend(
                media
                    .iter()
                    .find(|media| media.kind == MediaKind::Data)
                    .map(|_| frame),
            );
        }
        assert_eq!(sent, [0, 25]);
    }

    #[test]
    fn new_caps_bring_metadata_and_header_ahead_of_the_next_frame_and_the_same_bring_nothing() {
        let mut track = track(AVC);
        push(&mut track, Some(10_000), Some(10_000));
        drain(&mut track);
        let caps = |text: &str| text.parse::<gst::Caps>().unwrap();
        track.set_caps(&caps(AVC)).unwrap();
        push(&mut track, Some(10_040), Some(10_040));
        assert_eq!(kinds(&drain(&mut track)), [MediaKind::Video]);
        track
            .set_caps(&caps(
                &AVC.replace("42c01e", "42c01f").replace("width=320", "width=640"),
            ))
            .unwrap();
        push(&mut track, Some(10_080), Some(10_080));
        let media = drain(&mut track);
        assert_eq!(
            kinds(&media),
            [MediaKind::Data, MediaKind::Video, MediaKind::Video]
        );
        assert!(media.iter().all(|media| media.timestamp.millis() == 80));
        let role = VideoTag::classify(&whole(&media[1])).unwrap().role;
        assert_eq!(role, VideoRole::SequenceStart);
        // Caps of another codec leave the track as it is.
        assert!(track.set_caps(&caps("video/x-raw")).is_err());
        push(&mut track, Some(10_120), Some(10_120));
        assert_eq!(kinds(&drain(&mut track)), [MediaKind::Video]);
    }

    #[test]
    fn sound_has_its_header_too() {
        let mut track = track(
            "audio/mpeg, mpegversion=4, stream-format=raw, rate=44100, channels=2, codec_data=(buffer)1210",
        );
        push(&mut track, None, Some(10_000));
        push(&mut track, None, Some(10_023));
        let media = drain(&mut track);
        let sound: Vec<_> = media
            .iter()
            .skip(1)
            .map(|media| {
                (
                    AudioTag::classify(&whole(media)).unwrap().role,
                    media.timestamp.millis(),
                )
            })
            .collect();
        assert_eq!(
            sound,
            [
                (AudioRole::SequenceStart, 0),
                (AudioRole::Frames, 0),
                (AudioRole::Frames, 23)
            ]
        );
    }
}
