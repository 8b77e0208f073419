//! Media messages as they come from a server -> FLV tags on one timeline.
//!
//! The tags begin with what a decoder needs: metadata and sequence headers that come ahead of the first frame are
//! held back until that frame, so that they can be announced together and bear its time.

use bytes::{Bytes, BytesMut};

use crate::flv::{
    AudioTag, FileHeader, Metadata, TagHeader, TagKind, VideoTag,
    audio::AudioRole,
    script,
    tag::{TAG_HEADER_SIZE, TRAILER_SIZE},
    video::VideoRole,
};
use crate::session::{Media, MediaKind};
use crate::timestamp::{Timeline, Timestamp};

/// A step back by more than this is a publisher that has started over; less is interleaving.
const RESTART: i64 = 2000;

/// A live stream that is silent for longer, by its timestamps, has been started over with later ones: nothing
/// downstream waits so long for the next frame.
const LONGEST_LIVE_GAP: i64 = 10_000;

/// Where one stream follows on another by the user's wish, a longer step is the other's epoch.
const LONGEST_SEAM: i64 = 1000;

/// Messages that are held back until the first frame; more of them are not headers.
const MAX_HELD: usize = 64;

/// From here on FLV readers that take its timestamps for signed see negative ones.
const SIGNED_LIMIT: i64 = 1 << 31;

/// One FLV tag, ready to be made a buffer: `head`, `body` and `trailer` in this order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FlvTag {
    pub(super) kind: MediaKind,
    pub(super) head: [u8; TAG_HEADER_SIZE],
    pub(super) body: Bytes,
    pub(super) trailer: [u8; TRAILER_SIZE],
    /// Decoding and presentation time in milliseconds of the timeline.
    pub(super) dts: i64,
    pub(super) pts: i64,
    /// Metadata or sequence header.
    pub(super) is_header: bool,
    /// A picture that needs earlier ones.
    pub(super) is_delta: bool,
    /// Audio or video proper.
    pub(super) is_frame: bool,
}

/// What became of a message.
#[derive(Debug)]
pub(super) struct Output {
    /// The stream headers as they are from now on, when this message has changed them.
    pub(super) headers: Option<Vec<Bytes>>,
    pub(super) tags: Vec<FlvTag>,
    /// Whether the timeline has been bent: the sender's timestamps have started over. The frame follows on the last.
    pub(super) is_restart: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tags {
    timeline: Timeline,
    /// Added to the sender's timestamps.
    offset: i64,
    last: Option<i64>,
    /// The sender's timestamp of the frame that was put out last.
    newest: Option<Timestamp>,
    /// The longest step forward that is believed, if there is one.
    longest_gap: Option<i64>,
    has_started: bool,
    /// The next step of any length is the begin of another stream.
    expects_other: bool,
    has_video: bool,
    /// Kinds that the user does without.
    without_audio: bool,
    without_video: bool,
    /// Length of the stream in seconds, and times of its key frames in milliseconds, as its metadata has them.
    length: Option<f64>,
    key_frames: Vec<u32>,
    /// Whether the server goes to the key frame behind a position, even behind that of a key frame; `None` until a
    /// seek has shown it.
    lands_behind: Option<bool>,
    held: Vec<Media>,
    /// Room for the tags of the next message: an allocation less for each.
    room: Vec<FlvTag>,
    metadata: Option<Bytes>,
    audio_header: Option<Bytes>,
    video_header: Option<Bytes>,
}

/// What a message is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Metadata,
    AudioHeader,
    VideoHeader,
    Frame {
        is_delta: bool,
        is_key: bool,
        composition_time: i32,
    },
    /// Other script data, and tags that are neither header nor frame.
    Other,
    /// Nothing that an FLV reader could use.
    Nothing,
}

impl Role {
    fn of(media: &Media) -> Self {
        match media.kind {
            MediaKind::Data if script::is_metadata(&media.body) => Self::Metadata,
            MediaKind::Data if media.body.is_empty() => Self::Nothing,
            MediaKind::Data => Self::Other,
            MediaKind::Audio => match AudioTag::classify(&media.body) {
                Ok(tag) => match tag.role {
                    AudioRole::SequenceStart => Self::AudioHeader,
                    AudioRole::Frames => Self::Frame {
                        is_delta: false,
                        is_key: false,
                        composition_time: 0,
                    },
                    // flvdemux reads the byte behind an empty tag.
                    AudioRole::Silence => Self::Nothing,
                    AudioRole::SequenceEnd | AudioRole::ChannelConfig | AudioRole::Unknown(_) => Self::Other,
                },
                Err(_) => Self::Nothing,
            },
            MediaKind::Video => match VideoTag::classify(&media.body) {
                Ok(tag) => match tag.role {
                    VideoRole::SequenceStart => Self::VideoHeader,
                    VideoRole::Frame { composition_time } => Self::Frame {
                        is_delta: tag.is_delta_frame(),
                        is_key: tag.is_key_frame(),
                        composition_time,
                    },
                    _ => Self::Other,
                },
                // flvdemux fails at an empty video tag.
                Err(_) => Self::Nothing,
            },
        }
    }
}

impl Output {
    /// Whether audio or video proper is among the tags.
    pub(super) fn has_frame(&self) -> bool {
        self.frames().next().is_some()
    }

    /// Decoding times of the audio and video proper among the tags.
    pub(super) fn frames(&self) -> impl Iterator<Item = i64> {
        self.tags.iter().filter(|tag| tag.is_frame).map(|tag| tag.dts)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn millis(seconds: f64) -> Option<u32> {
    let millis = (seconds * 1000.0).round();
    (0.0..=f64::from(u32::MAX))
        .contains(&millis)
        .then_some(millis as u32)
}

/// Whether a message is audio or video proper.
pub(super) fn is_frame(media: &Media) -> bool {
    matches!(Role::of(media), Role::Frame { .. })
}

/// Whether a message is what later ones need: metadata or a sequence header.
pub(super) fn is_header(media: &Media) -> bool {
    matches!(
        Role::of(media),
        Role::Metadata | Role::AudioHeader | Role::VideoHeader
    )
}

/// Whether a message is a picture at which decoding can start.
pub(super) fn is_key_frame(media: &Media) -> bool {
    matches!(Role::of(media), Role::Frame { is_key: true, .. })
}

impl Tags {
    /// For a stream that is made while it is played.
    pub(super) fn live() -> Self {
        Self {
            longest_gap: Some(LONGEST_LIVE_GAP),
            ..Self::default()
        }
    }

    /// Whether a frame has been put out.
    pub(super) const fn has_started(&self) -> bool {
        self.has_started
    }

    /// The stream goes on elsewhere: the next frame is where its timestamp says.
    pub(super) const fn jump(&mut self) {
        self.timeline = Timeline::new();
        self.offset = 0;
        self.last = None;
        self.newest = None;
        self.expects_other = false;
    }

    /// Another stream follows on this one, with timestamps that may be of another epoch.
    pub(super) const fn expect_other(&mut self) {
        self.expects_other = true;
    }

    /// Says which kinds there will be nothing of, whatever the metadata promises.
    pub(super) const fn do_without(&mut self, audio: bool, video: bool) {
        self.without_audio = audio;
        self.without_video = video;
    }

    /// The key frame that `flags` mean by a position in milliseconds, if the metadata has a list of them.
    pub(super) fn key_frame(&self, position: u32, flags: gst::SeekFlags) -> Option<u32> {
        let before = self.key_frames.iter().rfind(|time| **time <= position).copied();
        let after = self.key_frames.iter().find(|time| **time >= position).copied();
        let snaps = |snap| flags.contains(gst::SeekFlags::KEY_UNIT) && flags.contains(snap);
        let found = if snaps(gst::SeekFlags::SNAP_NEAREST) {
            [before, after]
                .into_iter()
                .flatten()
                .min_by_key(|time| time.abs_diff(position))
        } else if snaps(gst::SeekFlags::SNAP_AFTER) {
            after.or(before)
        } else {
            before
        };
        found.or(after)
    }

    /// The position to ask for so that the server goes to a key frame of the list. Most go to the last that is not
    /// behind a position, nginx-rtmp to the first that is, unless the position is 0. As long as that is not known, an
    /// accurate seek would rather have too much than too little.
    pub(super) fn position_of(&self, key_frame: u32, is_accurate: bool) -> u32 {
        let earlier = self.key_frames.iter().rfind(|time| **time < key_frame);
        match earlier {
            Some(earlier) if self.lands_behind.unwrap_or(is_accurate) => earlier.midpoint(key_frame),
            _ => key_frame,
        }
    }

    /// The server has gone to `landed` when it was asked for a position: a key frame of the list tells its way.
    pub(super) fn learn_landing(&mut self, asked: u32, landed: i64) {
        let is_known = self.key_frames.iter().any(|time| i64::from(*time) == landed);
        if is_known && asked > 0 {
            self.lands_behind = Some(landed > i64::from(asked));
        }
    }

    /// Length of the stream in seconds, as its metadata has it.
    pub(super) const fn length(&self) -> Option<f64> {
        self.length
    }

    /// The sender's timestamp of the frame that was put out last.
    pub(super) const fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Whether the stream has had video.
    pub(super) const fn has_video(&self) -> bool {
        self.has_video
    }

    /// The FLV file header.
    pub(super) fn file_header(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.tracks().encode(&mut out);
        out.freeze()
    }

    /// A track is absent only when the metadata names nothing but the other one: flvdemux ignores a track that the
    /// header denies, and waits for one that it promises.
    fn tracks(&self) -> FileHeader {
        let metadata = self.metadata.clone().and_then(Metadata::parse);
        let said = |has: fn(&Metadata) -> Option<bool>| metadata.as_ref().and_then(has);
        let (audio, video) = (said(Metadata::has_audio), said(Metadata::has_video));
        let has_audio = self.audio_header.is_some() || audio.unwrap_or(video != Some(true));
        let has_video = self.video_header.is_some() || video.unwrap_or(audio != Some(true));
        let (has_audio, has_video) = (has_audio && !self.without_audio, has_video && !self.without_video);
        // Metadata that denies both is not believed.
        let denied = !has_audio && !has_video;
        FileHeader {
            has_audio: has_audio || denied,
            has_video: has_video || denied,
        }
    }

    /// Takes the room back that the tags of an output had.
    pub(super) fn recycle(&mut self, mut room: Vec<FlvTag>) {
        room.clear();
        self.room = room;
    }

    /// Takes the next message of the server.
    pub(super) fn push(&mut self, media: Media) -> Output {
        let mut output = Output {
            headers: None,
            tags: std::mem::take(&mut self.room),
            is_restart: false,
        };
        let role = Role::of(&media);
        if role == Role::Nothing {
            return output;
        }
        self.has_video |= media.kind == MediaKind::Video;
        if !self.has_started && !matches!(role, Role::Frame { .. }) {
            if self.held.len() < MAX_HELD {
                self.held.push(media);
            }
            return output;
        }
        let mut changed = false;
        if !self.has_started {
            self.has_started = true;
            let first = i64::from(media.timestamp.millis());
            self.offset = if first >= SIGNED_LIMIT { -first } else { 0 };
            let first = self.place(media.timestamp, &mut output);
            for held in std::mem::take(&mut self.held) {
                let role = Role::of(&held);
                self.note_header(role, &held);
                output.tags.extend(Self::tag(held, role, first));
            }
            changed = true;
            output.tags.extend(Self::tag(media, role, first));
        } else {
            let dts = match role {
                Role::Frame { .. } => self.place(media.timestamp, &mut output),
                // Headers and script data often bear 0; they belong where they come.
                _ => self.last.unwrap_or_default(),
            };
            changed |= self.note_header(role, &media);
            output.tags.extend(Self::tag(media, role, dts));
        }
        if changed {
            output.headers = Some(self.stream_headers());
        }
        output
    }

    fn place(&mut self, timestamp: Timestamp, output: &mut Output) -> i64 {
        self.newest = Some(timestamp);
        let mut at = self.timeline.place(timestamp).saturating_add(self.offset);
        let (longest_back, longest_gap) = if self.expects_other {
            (0, Some(LONGEST_SEAM))
        } else {
            (RESTART, self.longest_gap)
        };
        if let Some(last) = self.last
            && (at < last.saturating_sub(longest_back)
                || longest_gap.is_some_and(|gap| at > last.saturating_add(gap)))
        {
            self.expects_other = false;
            self.offset = self.offset.saturating_add(last.saturating_sub(at));
            at = last;
            output.is_restart = true;
        }
        let at = at.max(0);
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        at
    }

    /// Remembers a header; true if it is a new one.
    fn note_header(&mut self, role: Role, media: &Media) -> bool {
        let slot = match role {
            Role::Metadata => &mut self.metadata,
            Role::AudioHeader => &mut self.audio_header,
            Role::VideoHeader => &mut self.video_header,
            Role::Frame { .. } | Role::Other | Role::Nothing => return false,
        };
        if slot.as_ref() == Some(&media.body) {
            return false;
        }
        if role == Role::Metadata {
            let said = Metadata::parse(media.body.clone()).map(|metadata| metadata.recording());
            let said = said.unwrap_or_default();
            self.length = said.duration.filter(|length| length.is_finite() && *length > 0.0);
            self.key_frames = said.keyframes.iter().filter_map(|key| millis(key.time)).collect();
            self.key_frames.sort_unstable();
        }
        // A copy, since a slice would keep the whole receive buffer for as long as the stream lasts.
        *slot = Some(Bytes::copy_from_slice(&media.body));
        true
    }

    fn stream_headers(&self) -> Vec<Bytes> {
        let mut headers = vec![self.file_header()];
        let tags = [
            (MediaKind::Data, Role::Metadata, &self.metadata),
            (MediaKind::Video, Role::VideoHeader, &self.video_header),
            (MediaKind::Audio, Role::AudioHeader, &self.audio_header),
        ];
        for (kind, role, body) in tags {
            let Some(body) = body.clone() else { continue };
            let media = Media {
                kind,
                timestamp: Timestamp::ZERO,
                head: Bytes::new(),
                body,
            };
            if let Some(tag) = Self::tag(media, role, 0) {
                headers.push([&tag.head[..], &tag.body, &tag.trailer].concat().into());
            }
        }
        headers
    }

    fn tag(media: Media, role: Role, dts: i64) -> Option<FlvTag> {
        let (kind, body) = match media.kind {
            MediaKind::Audio => (TagKind::Audio, media.body),
            MediaKind::Video => (TagKind::Video, media.body),
            MediaKind::Data => (TagKind::Script, script::strip_set_data_frame(media.body)),
        };
        // FLV has the low 32 bits; where they wrap, only the buffer's time goes on.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the low bits are meant"
        )]
        let header = TagHeader::new(kind, dts as u32, body.len()).ok()?;
        let mut head = [0; TAG_HEADER_SIZE];
        header.encode(&mut &mut head[..]);
        let (is_delta, composition_time) = match role {
            Role::Frame {
                is_delta,
                composition_time,
                ..
            } => (is_delta, composition_time),
            _ => (false, 0),
        };
        Some(FlvTag {
            kind: media.kind,
            head,
            body,
            trailer: header.previous_tag_size().to_be_bytes(),
            dts,
            pts: dts.saturating_add(composition_time.into()).max(0),
            is_header: matches!(role, Role::Metadata | Role::AudioHeader | Role::VideoHeader),
            is_delta,
            is_frame: matches!(role, Role::Frame { .. }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{self, Item};

    const METADATA: &[u8] =
        b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x0cvideocodecid\x00\x40\x1c\x00\x00\x00\x00\x00\x00\x00\x00\x09";
    const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00\x01\x64\x00\x0a";
    const KEY_FRAME: &[u8] = b"\x17\x01\x00\x00\x28\x00\x00\x00\x01\x65";
    const INTER_FRAME: &[u8] = b"\x27\x01\xff\xff\xd8\x00\x00\x00\x01\x41";
    const AAC_HEADER: &[u8] = b"\xaf\x00\x12\x10";
    const AAC_FRAME: &[u8] = b"\xaf\x01\x21";

    fn message(kind: MediaKind, timestamp: u32, body: &[u8]) -> Media {
        Media {
            kind,
            timestamp: Timestamp::from_millis(timestamp),
            head: Bytes::new(),
            body: Bytes::copy_from_slice(body),
        }
    }

    fn video(timestamp: u32, body: &[u8]) -> Media {
        message(MediaKind::Video, timestamp, body)
    }

    #[test]
    fn headers_wait_for_the_first_frame_and_bear_its_time() {
        let mut tags = Tags::default();
        let prefixed = [script::SET_DATA_FRAME, METADATA].concat();
        for media in [
            message(MediaKind::Data, 0, &prefixed),
            message(MediaKind::Audio, 0, AAC_HEADER),
            video(0, AVC_HEADER),
        ] {
            let output = tags.push(media);
            assert!(output.tags.is_empty() && output.headers.is_none());
        }
        let output = tags.push(video(5000, KEY_FRAME));
        let times: Vec<_> = output
            .tags
            .iter()
            .map(|tag| (tag.dts, tag.pts, tag.is_header))
            .collect();
        assert_eq!(
            times,
            [
                (5000, 5000, true),
                (5000, 5000, true),
                (5000, 5000, true),
                (5000, 5040, false)
            ]
        );
        // Headers in the caps: file, metadata, video, audio. The metadata has lost its prefix.
        let headers = output.headers.unwrap();
        assert_eq!(headers.len(), 4);
        assert_eq!(headers[1][11..headers[1].len() - 4], METADATA[..]);

        let mut reader = flv::Reader::new();
        reader.push(tags.file_header());
        for tag in &output.tags {
            reader.push([&tag.head[..], &tag.body[..], &tag.trailer[..]].concat().into());
        }
        let mut items = std::iter::from_fn(|| reader.next().unwrap());
        let Some(Item::Header(header)) = items.next() else {
            panic!("no header")
        };
        assert_eq!((header.has_audio, header.has_video), (true, true));
        assert_eq!(items.count(), 4);
    }

    #[test]
    fn the_file_header_denies_only_what_the_metadata_leaves_out() {
        let mut tags = Tags::default();
        tags.push(message(MediaKind::Data, 0, METADATA));
        tags.push(video(0, KEY_FRAME));
        assert_eq!(tags.file_header()[4], 0x01);

        let mut tags = Tags::default();
        tags.push(video(0, KEY_FRAME));
        assert_eq!(tags.file_header()[4], 0x05, "nothing was said");

        let mut tags = Tags::default();
        tags.push(message(MediaKind::Data, 0, METADATA));
        tags.push(message(MediaKind::Audio, 0, AAC_HEADER));
        tags.push(video(0, KEY_FRAME));
        assert_eq!(tags.file_header()[4], 0x05, "the metadata was wrong");
    }

    #[test]
    fn time_goes_on_over_the_wrap_of_32_bits() {
        let mut tags = Tags::default();
        let times: Vec<_> = [4_294_967_200, 4_294_967_290, 34, 134]
            .into_iter()
            .map(|at| tags.push(video(at, KEY_FRAME)).tags.remove(0))
            .map(|tag| {
                (
                    tag.dts,
                    u32::from_be_bytes([0, tag.head[4], tag.head[5], tag.head[6]]),
                )
            })
            .collect();
        assert_eq!(times, [(0, 0), (90, 90), (130, 130), (230, 230)]);
    }

    #[test]
    fn a_late_start_keeps_the_senders_timestamps() {
        let mut tags = Tags::default();
        assert_eq!(tags.push(video(7_200_000, KEY_FRAME)).tags[0].dts, 7_200_000);
        assert_eq!(
            tags.push(message(MediaKind::Audio, 7_199_990, AAC_FRAME)).tags[0].dts,
            7_199_990
        );
    }

    #[test]
    fn a_publisher_that_starts_over_goes_on_in_time() {
        let mut tags = Tags::default();
        tags.push(video(60_000, KEY_FRAME));
        let output = tags.push(video(0, KEY_FRAME));
        assert!(output.is_restart);
        assert_eq!(output.tags[0].dts, 60_000);
        let output = tags.push(video(40, INTER_FRAME));
        assert!(!output.is_restart);
        assert_eq!((output.tags[0].dts, output.tags[0].pts), (60_040, 60_000));
        assert!(output.tags[0].is_delta);
    }

    #[test]
    fn a_live_stream_that_leaps_ahead_goes_on_in_time() {
        let mut tags = Tags::live();
        tags.push(video(40, KEY_FRAME));
        assert!(!tags.push(video(9000, INTER_FRAME)).is_restart, "a pause");
        // A new publisher, of a clock that has run for 40 days.
        let output = tags.push(video(3_456_000_000, KEY_FRAME));
        assert!(output.is_restart);
        assert_eq!(output.tags[0].dts, 9000);
        // And back to one that starts at 0, which by serial arithmetic is a leap ahead as well.
        let output = tags.push(video(0, KEY_FRAME));
        assert!(output.is_restart);
        assert_eq!(output.tags[0].dts, 9000);
        assert_eq!(tags.push(video(40, INTER_FRAME)).tags[0].dts, 9040);
    }

    #[test]
    fn a_recorded_stream_may_have_gaps() {
        let mut tags = Tags::default();
        tags.push(video(40, KEY_FRAME));
        let output = tags.push(video(3_600_000, KEY_FRAME));
        assert!(!output.is_restart);
        assert_eq!(output.tags[0].dts, 3_600_000);
    }

    #[test]
    fn a_changed_header_is_announced_and_a_repeated_one_only_passed_on() {
        let mut tags = Tags::default();
        tags.push(video(0, AVC_HEADER));
        tags.push(video(0, KEY_FRAME));
        let repeated = tags.push(video(40, AVC_HEADER));
        assert!(repeated.headers.is_none() && repeated.tags[0].is_header);
        let changed = tags.push(video(0, b"\x17\x00\x00\x00\x00\x01\x42\x00\x1e"));
        assert_eq!(changed.headers.unwrap().len(), 2);
        assert_eq!(changed.tags[0].dts, 0);
    }

    #[test]
    fn small_tags_stay_and_empty_ones_go() {
        let mut tags = Tags::default();
        tags.push(video(0, KEY_FRAME));
        assert_eq!(
            tags.push(video(40, b"\x17\x02\x00\x00\x00")).tags.len(),
            1,
            "end of sequence"
        );
        assert_eq!(
            tags.push(message(MediaKind::Audio, 40, b"\xaf\x01")).tags.len(),
            1
        );
        assert!(tags.push(video(40, b"")).tags.is_empty());
        assert!(tags.push(message(MediaKind::Audio, 40, b"")).tags.is_empty());
        assert!(tags.push(message(MediaKind::Data, 40, b"")).tags.is_empty());
    }
}
