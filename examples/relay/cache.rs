//! What a player that joins late is sent first: the metadata, what decoders need, and the group of pictures in
//! progress.
//!
//! A group starts at a key frame of track 0, the default one of Enhanced RTMP, and holds everything since then in
//! the order in which it came. A stream without video keeps its last moments instead. Payloads are shared with the
//! players' queues, never copied.

use std::collections::VecDeque;

use gstrtmp::flv::audio::AudioRole;
use gstrtmp::flv::script::{is_metadata, strip_set_data_frame};
use gstrtmp::flv::video::VideoRole;
use gstrtmp::flv::{AudioTag, VideoTag};
use gstrtmp::session::{Media, MediaKind};
use gstrtmp::timestamp::Timestamp;
use gstrtmp::wire::Malformed;

/// Bytes of a group of pictures that are kept; a longer group is forgotten and its players wait for the next.
const MAX_GROUP_BYTES: usize = 8 << 20;

/// Messages of a group of pictures that are kept: about a minute of video and audio.
const MAX_GROUP_MESSAGES: usize = 5000;

/// Messages that a stream without video keeps: about a second of AAC.
const MAX_AUDIO_MESSAGES: usize = 50;

/// Sequence headers that are kept, one for each track and purpose.
const MAX_HEADERS: usize = 16;

/// Longest metadata or sequence header that is kept, in bytes.
const MAX_HEADER_BYTES: usize = 256 << 10;

/// What a message is to somebody who joins after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// `onMetaData`.
    Metadata,
    /// What the decoder of a track needs before anything else.
    Header(Header),
    /// A picture of track 0 at which decoding can start.
    KeyFrame,
    /// A picture that needs earlier ones, or belongs to another track.
    DeltaFrame,
    /// Anything else: sound, and data such as captions.
    Other,
}

/// A kind of sequence header and the track that it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header {
    /// Decoder configuration of a video track.
    Video(u8),
    /// Colour information of a video track.
    Colour(u8),
    /// Decoder configuration of an audio track.
    Audio(u8),
    /// Order of the channels of an audio track.
    Channels(u8),
}

impl Header {
    const fn is_video(self) -> bool {
        matches!(self, Self::Video(_) | Self::Colour(_))
    }
}

/// A published message as players get it, without `@setDataFrame`, and its purpose.
///
/// # Errors
///
/// A tag that ends too early to mean anything; it is to be dropped.
pub fn classify(mut media: Media) -> Result<(Media, Purpose), Malformed> {
    let purpose = match media.kind {
        MediaKind::Data => {
            media.body = strip_set_data_frame(media.body);
            if is_metadata(&media.body) {
                Purpose::Metadata
            } else {
                Purpose::Other
            }
        }
        MediaKind::Audio => {
            let tag = AudioTag::classify(&media.body)?;
            match tag.role {
                AudioRole::SequenceStart => Purpose::Header(Header::Audio(tag.track)),
                AudioRole::ChannelConfig => Purpose::Header(Header::Channels(tag.track)),
                AudioRole::Frames | AudioRole::SequenceEnd | AudioRole::Silence | AudioRole::Unknown(_) => {
                    Purpose::Other
                }
            }
        }
        MediaKind::Video => {
            let tag = VideoTag::classify(&media.body)?;
            match tag.role {
                VideoRole::SequenceStart => Purpose::Header(Header::Video(tag.track)),
                VideoRole::Metadata => Purpose::Header(Header::Colour(tag.track)),
                VideoRole::Frame { .. } if tag.is_key_frame() && tag.track == 0 => Purpose::KeyFrame,
                VideoRole::Frame { .. } => Purpose::DeltaFrame,
                VideoRole::SequenceEnd | VideoRole::Command | VideoRole::Unknown(_) => Purpose::Other,
            }
        }
    };
    Ok((media, purpose))
}

/// See the module.
#[derive(Debug)]
pub struct Cache {
    metadata: Option<Media>,
    headers: Vec<(Header, Media)>,
    group: VecDeque<Media>,
    group_bytes: usize,
    keeps_groups: bool,
    has_video: bool,
    /// Of the last message.
    time: Timestamp,
}

impl Cache {
    /// An empty cache, which keeps metadata and headers only unless it `keeps_groups`.
    pub const fn new(keeps_groups: bool) -> Self {
        Self {
            metadata: None,
            headers: Vec::new(),
            group: VecDeque::new(),
            group_bytes: 0,
            keeps_groups,
            has_video: false,
            time: Timestamp::ZERO,
        }
    }

    /// Takes notice of a message that all present players get.
    pub fn push(&mut self, media: &Media, purpose: Purpose) {
        self.time = media.timestamp;
        match purpose {
            Purpose::Metadata => {
                if media.len() <= MAX_HEADER_BYTES {
                    self.metadata = Some(media.clone());
                }
            }
            Purpose::Header(header) => {
                if header.is_video() {
                    self.expect_video();
                }
                self.keep_header(header, media);
            }
            Purpose::KeyFrame => {
                self.expect_video();
                self.forget_group();
                self.keep(media);
            }
            Purpose::DeltaFrame => {
                self.expect_video();
                self.keep_in_group(media);
            }
            Purpose::Other if self.has_video => self.keep_in_group(media),
            Purpose::Other => {
                self.keep(media);
                if self.group.len() > MAX_AUDIO_MESSAGES
                    && let Some(oldest) = self.group.pop_front()
                {
                    self.group_bytes = self.group_bytes.saturating_sub(oldest.len());
                }
            }
        }
    }

    /// What somebody who joins now is sent first, in this order. Metadata and headers bear the time at which the
    /// rest begins, since a player would take the distance from an older one for a gap.
    pub fn prologue(&self) -> impl Iterator<Item = Media> + '_ {
        let timestamp = self.group.front().map_or(self.time, |first| first.timestamp);
        self.metadata
            .iter()
            .chain(self.headers.iter().map(|(_, media)| media))
            .map(move |media| Media {
                timestamp,
                ..media.clone()
            })
            .chain(self.group.iter().cloned())
    }

    /// Whether pictures make no sense to somebody who joins now until a key frame has come.
    pub fn awaits_key_frame(&self) -> bool {
        self.has_video && self.group.is_empty()
    }

    /// What was kept of a stream that seemed to have no video cannot be decoded from its start.
    fn expect_video(&mut self) {
        if !self.has_video {
            self.has_video = true;
            self.forget_group();
        }
    }

    fn keep_header(&mut self, header: Header, media: &Media) {
        if media.len() > MAX_HEADER_BYTES {
            return;
        }
        let has_room = self.headers.len() < MAX_HEADERS;
        match self.headers.iter_mut().find(|(kept, _)| *kept == header) {
            Some((_, kept)) if kept.body == media.body => {}
            Some((_, kept)) => {
                *kept = media.clone();
                // The group was meant for the old one.
                self.forget_group();
            }
            None if has_room => self.headers.push((header, media.clone())),
            None => {}
        }
    }

    /// Keeps a message of a group, if its key frame was.
    fn keep_in_group(&mut self, media: &Media) {
        if !self.group.is_empty() {
            self.keep(media);
        }
    }

    fn keep(&mut self, media: &Media) {
        let bytes = self.group_bytes.saturating_add(media.len());
        if self.group.len() >= MAX_GROUP_MESSAGES || bytes > MAX_GROUP_BYTES {
            self.forget_group();
        } else if self.keeps_groups {
            self.group_bytes = bytes;
            self.group.push_back(media.clone());
        }
    }

    fn forget_group(&mut self) {
        self.group.clear();
        self.group_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00configuration";
    const AAC_HEADER: &[u8] = b"\xaf\x00\x12\x10";
    const KEY: &[u8] = b"\x17\x01\x00\x00\x00key";
    const DELTA: &[u8] = b"\x27\x01\x00\x00\x00delta";
    const SOUND: &[u8] = b"\xaf\x01sound";
    const METADATA: &[u8] = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09";

    fn media(kind: MediaKind, millis: u32, body: impl Into<Bytes>) -> Media {
        Media {
            kind,
            timestamp: Timestamp::from_millis(millis),
            head: Bytes::new(),
            body: body.into(),
        }
    }

    fn push(cache: &mut Cache, kind: MediaKind, millis: u32, body: &[u8]) {
        let (media, purpose) = classify(media(kind, millis, body.to_vec())).unwrap();
        cache.push(&media, purpose);
    }

    /// Time and payload of what a late joiner gets.
    fn prologue(cache: &Cache) -> Vec<(u32, Vec<u8>)> {
        cache
            .prologue()
            .map(|media| (media.timestamp.millis(), media.body.to_vec()))
            .collect()
    }

    fn expected<'a>(messages: impl IntoIterator<Item = (u32, &'a [u8])>) -> Vec<(u32, Vec<u8>)> {
        messages
            .into_iter()
            .map(|(millis, body)| (millis, body.to_vec()))
            .collect()
    }

    fn with_headers() -> Cache {
        let mut cache = Cache::new(true);
        push(&mut cache, MediaKind::Video, 0, AVC_HEADER);
        push(&mut cache, MediaKind::Audio, 0, AAC_HEADER);
        cache
    }

    #[test]
    fn late_joiner_gets_metadata_headers_and_the_current_group() {
        let mut cache = Cache::new(true);
        let set_data_frame = [gstrtmp::flv::script::SET_DATA_FRAME, METADATA].concat();
        push(&mut cache, MediaKind::Data, 0, &set_data_frame);
        push(&mut cache, MediaKind::Video, 0, AVC_HEADER);
        push(&mut cache, MediaKind::Audio, 0, AAC_HEADER);
        for start in [0, 1000] {
            push(&mut cache, MediaKind::Video, start, KEY);
            push(&mut cache, MediaKind::Audio, start + 10, SOUND);
            push(&mut cache, MediaKind::Video, start + 40, DELTA);
        }
        assert!(!cache.awaits_key_frame());
        assert_eq!(
            prologue(&cache),
            expected([
                (1000, METADATA),
                (1000, AVC_HEADER),
                (1000, AAC_HEADER),
                (1000, KEY),
                (1010, SOUND),
                (1040, DELTA),
            ])
        );
    }

    #[test]
    fn payloads_are_shared() {
        let body = Bytes::from(KEY.to_vec());
        let (media, purpose) = classify(media(MediaKind::Video, 0, body.clone())).unwrap();
        let mut cache = Cache::new(true);
        cache.push(&media, purpose);
        assert_eq!(cache.prologue().next().unwrap().body.as_ptr(), body.as_ptr());
    }

    #[test]
    fn without_groups_a_late_joiner_waits_for_a_key_frame() {
        let mut cache = Cache::new(false);
        push(&mut cache, MediaKind::Video, 0, AVC_HEADER);
        push(&mut cache, MediaKind::Video, 40, KEY);
        push(&mut cache, MediaKind::Video, 80, DELTA);
        assert!(cache.awaits_key_frame());
        assert_eq!(prologue(&cache), expected([(80, AVC_HEADER)]));
    }

    #[test]
    fn a_new_header_outdates_the_group_and_a_repeated_one_does_not() {
        let mut cache = with_headers();
        push(&mut cache, MediaKind::Video, 0, KEY);
        push(&mut cache, MediaKind::Video, 40, AVC_HEADER);
        assert_eq!(
            prologue(&cache),
            expected([(0, AVC_HEADER), (0, AAC_HEADER), (0, KEY)])
        );

        let other = [AVC_HEADER, b"2"].concat();
        push(&mut cache, MediaKind::Video, 80, &other);
        assert!(cache.awaits_key_frame());
        assert_eq!(prologue(&cache), expected([(80, &*other), (80, AAC_HEADER)]));
    }

    #[test]
    fn a_group_that_outgrows_its_bounds_is_forgotten_until_the_next_key_frame() {
        let large = [DELTA, &[0; MAX_GROUP_BYTES / 4]].concat();
        for (count, delta) in [(4, &*large), (MAX_GROUP_MESSAGES, DELTA)] {
            let mut cache = with_headers();
            push(&mut cache, MediaKind::Video, 0, KEY);
            for _ in 1..count {
                push(&mut cache, MediaKind::Video, 40, delta);
                assert!(!cache.awaits_key_frame());
            }
            for _ in 0..2 {
                push(&mut cache, MediaKind::Video, 80, delta);
                assert!(cache.awaits_key_frame());
            }
            push(&mut cache, MediaKind::Video, 120, KEY);
            assert_eq!(
                prologue(&cache),
                expected([(120, AVC_HEADER), (120, AAC_HEADER), (120, KEY)])
            );
        }
    }

    #[test]
    fn a_stream_without_video_keeps_its_last_moments() {
        let mut cache = Cache::new(true);
        push(&mut cache, MediaKind::Audio, 0, AAC_HEADER);
        let count = u32::try_from(MAX_AUDIO_MESSAGES).unwrap();
        for millis in 1..=count + 7 {
            push(&mut cache, MediaKind::Audio, millis, SOUND);
        }
        assert!(!cache.awaits_key_frame());
        let kept = prologue(&cache);
        assert_eq!(kept[0], (8, AAC_HEADER.to_vec()));
        assert_eq!(kept[1..], expected((8..=count + 7).map(|millis| (millis, SOUND))));

        // Until video shows up after all.
        push(&mut cache, MediaKind::Video, 100, AVC_HEADER);
        assert_eq!(prologue(&cache), expected([(100, AAC_HEADER), (100, AVC_HEADER)]));
    }

    #[test]
    fn headers_are_kept_for_each_track_up_to_a_bound() {
        let mut cache = Cache::new(true);
        for track in 0..=u8::MAX {
            // ModEx-free Enhanced RTMP: Multitrack (6), OneTrack of SequenceStart, FourCC, track id.
            let body = [b"\x96\x00hvc1", &[track][..], b"configuration"].concat();
            push(&mut cache, MediaKind::Video, 0, &body);
        }
        assert_eq!(cache.headers.len(), MAX_HEADERS);
        push(
            &mut cache,
            MediaKind::Data,
            0,
            &[METADATA, &[0; MAX_HEADER_BYTES]].concat(),
        );
        assert_eq!(cache.metadata, None);
    }

    #[test]
    fn tags_that_end_too_early_are_refused() {
        for (kind, body) in [
            (MediaKind::Video, &b""[..]),
            (MediaKind::Video, b"\x17"),
            (MediaKind::Audio, b"\xaf"),
        ] {
            assert!(classify(media(kind, 0, body)).is_err(), "{body:?}");
        }
    }
}
