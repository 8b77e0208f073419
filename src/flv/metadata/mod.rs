//! `onMetaData`: what a stream says of itself ahead of its tracks. FLV 10.1 section E.5, Enhanced RTMP v2 "Enhancing
//! onMetaData".
//!
//! All of it is a hint: what the tags hold is told by the tags. Values that cannot be meant read as absent.

mod builder;

pub use builder::Builder;

use bytes::{Buf, Bytes, BytesMut};

use super::audio::{AudioCodec, SoundFormat};
use super::script::{ON_METADATA, strip_set_data_frame};
use super::video::{CodecId, VideoCodec};
use crate::amf::{self, Properties, Value};
use crate::fourcc::FourCc;

/// Largest width or height in pixels that is believed.
const MAX_PIXELS: f64 = 32_768.0;

/// Largest frame rate in frames a second that is believed.
const MAX_FRAME_RATE: f64 = 1_000.0;

/// Largest sample rate in Hz that is believed.
const MAX_SAMPLE_RATE: f64 = 768_000.0;

/// Largest integer in a double below which there are no gaps.
const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;

/// What is said of a video track.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VideoInfo {
    /// `videocodecid`. Of a codec that has a legacy number and a FourCC it does not tell which the tags use.
    pub codec: Option<VideoCodec>,
    /// Width of the picture in pixels.
    pub width: Option<u32>,
    /// Height of the picture in pixels.
    pub height: Option<u32>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    /// Bit rate in units of 1024 bit/s.
    pub data_rate: Option<f64>,
    /// `AspectRatioX` and `AspectRatioY`: the shape of a pixel, of the first track only.
    pub pixel_aspect_ratio: Option<(u32, u32)>,
}

/// What is said of an audio track.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AudioInfo {
    /// `audiocodecid`. Of a codec that has a legacy number and a FourCC it does not tell which the tags use.
    pub codec: Option<AudioCodec>,
    /// Sample rate in Hz.
    pub sample_rate: Option<u32>,
    /// Bits of a sample, of the first track only.
    pub sample_size: Option<u8>,
    /// Channels: `audiochannels`, or else `stereo`; `channels` of other tracks than the first.
    pub channels: Option<u8>,
    /// Bit rate in units of 1024 bit/s.
    pub data_rate: Option<f64>,
    /// `audiodelay`: seconds by which encoding delayed sound, of the first track only.
    pub delay: Option<f64>,
}

/// What a recording says of itself as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// Seconds. 0 or absent of live streams, and 86 400 from flvmux as long as it is not known.
    pub duration: Option<f64>,
    /// Bytes of the file.
    pub file_size: Option<u64>,
    /// Bytes of all tags.
    pub data_size: Option<u64>,
    /// Bytes of the video tags.
    pub video_size: Option<u64>,
    /// Bytes of the audio tags.
    pub audio_size: Option<u64>,
    /// Seconds at the last tag.
    pub last_timestamp: Option<f64>,
    /// Seconds at the last key frame.
    pub last_keyframe_timestamp: Option<f64>,
    /// Byte offset of the last key frame.
    pub last_keyframe_location: Option<u64>,
    /// Whether the last picture is a key frame.
    pub can_seek_to_end: Option<bool>,
    /// Whether there is an index of key frames.
    pub has_keyframes: Option<bool>,
    /// Whether there is metadata.
    pub has_metadata: Option<bool>,
    /// The index, in order.
    pub keyframes: Vec<Keyframe>,
}

/// A key frame of a recording's index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keyframe {
    /// Seconds.
    pub time: f64,
    /// Byte offset of its tag.
    pub position: u64,
}

/// Who made the stream, in words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    /// `title`.
    pub title: Option<String>,
    /// `creator`.
    pub creator: Option<String>,
    /// `encoder`.
    pub encoder: Option<String>,
    /// `metadatacreator`: what wrote the metadata.
    pub metadata_creator: Option<String>,
    /// `creationdate`, in no fixed form.
    pub creation_date: Option<String>,
    /// `Server`: what passed it on.
    pub server: Option<String>,
}

/// The keys that tracks other than the first have renamed.
struct AudioKeys {
    sample_rate: &'static str,
    channels: &'static str,
}

const FIRST_AUDIO: AudioKeys = AudioKeys {
    sample_rate: "audiosamplerate",
    channels: "audiochannels",
};

const OTHER_AUDIO: AudioKeys = AudioKeys {
    sample_rate: "samplerate",
    channels: "channels",
};

const VIDEO_TRACKS: &str = "videoTrackIdInfoMap";
const AUDIO_TRACKS: &str = "audioTrackIdInfoMap";

/// `onMetaData`, with values that cannot be meant taken for absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    properties: Properties,
}

impl Metadata {
    /// Starts with nothing said.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Reads a body in the form of a file or of a publisher. `None` if it is something else or nothing of its
    /// properties can be read.
    #[must_use]
    pub fn parse(body: Bytes) -> Option<Self> {
        let mut body = strip_set_data_frame(body);
        if !body.starts_with(ON_METADATA) {
            return None;
        }
        body.advance(ON_METADATA.len());
        // What an encoder cut short or got wrong at the end leaves the properties in front of it.
        let (values, _) = amf::decode_prefix(&body);
        let properties = values.iter().find_map(Value::properties)?.clone();
        Some(Self { properties })
    }

    /// Writes a body in the form of a file.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::from(ON_METADATA);
        amf::encode_all(&[Value::EcmaArray(self.properties.clone())], &mut out);
        out.freeze()
    }

    /// All properties as they arrived.
    #[must_use]
    pub const fn properties(&self) -> &Properties {
        &self.properties
    }

    /// What is said of a video track. Of others than the first, what is not said is as with the first.
    #[must_use]
    pub fn video(&self, track: u8) -> VideoInfo {
        let first = VideoInfo::read(&self.properties);
        match self.track(VIDEO_TRACKS, track) {
            None => first,
            Some(properties) => {
                let own = VideoInfo::read(properties);
                VideoInfo {
                    codec: own.codec.or(first.codec),
                    width: own.width.or(first.width),
                    height: own.height.or(first.height),
                    frame_rate: own.frame_rate.or(first.frame_rate),
                    data_rate: own.data_rate.or(first.data_rate),
                    pixel_aspect_ratio: own.pixel_aspect_ratio.or(first.pixel_aspect_ratio),
                }
            }
        }
    }

    /// What is said of an audio track. Of others than the first, what is not said is as with the first.
    #[must_use]
    pub fn audio(&self, track: u8) -> AudioInfo {
        let first = AudioInfo::read(&self.properties, &FIRST_AUDIO);
        match self.track(AUDIO_TRACKS, track) {
            None => first,
            Some(properties) => {
                let own = AudioInfo::read(properties, &OTHER_AUDIO);
                AudioInfo {
                    codec: own.codec.or(first.codec),
                    sample_rate: own.sample_rate.or(first.sample_rate),
                    sample_size: own.sample_size.or(first.sample_size),
                    channels: own.channels.or(first.channels),
                    data_rate: own.data_rate.or(first.data_rate),
                    delay: own.delay.or(first.delay),
                }
            }
        }
    }

    /// Video tracks besides the first that are spoken of, in the order of the metadata.
    pub fn video_tracks(&self) -> impl Iterator<Item = u8> + '_ {
        self.tracks(VIDEO_TRACKS)
    }

    /// Audio tracks besides the first that are spoken of, in the order of the metadata.
    pub fn audio_tracks(&self) -> impl Iterator<Item = u8> + '_ {
        self.tracks(AUDIO_TRACKS)
    }

    /// Whether the stream is said to have audio; `None` if nothing is said.
    #[must_use]
    pub fn has_audio(&self) -> Option<bool> {
        boolean(&self.properties, "hasAudio").or_else(|| self.audio(0).codec.map(|_| true))
    }

    /// Whether the stream is said to have video; `None` if nothing is said.
    #[must_use]
    pub fn has_video(&self) -> Option<bool> {
        boolean(&self.properties, "hasVideo").or_else(|| self.video(0).codec.map(|_| true))
    }

    /// What is said of the recording.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let of = &self.properties;
        let seconds = |key| number(of, key).filter(|seconds| *seconds >= 0.0);
        let bytes = |key| integer(of, key, 0.0..=MAX_INTEGER);
        Recording {
            duration: seconds("duration"),
            file_size: bytes("filesize").or_else(|| bytes("fileSize")),
            data_size: bytes("datasize"),
            video_size: bytes("videosize"),
            audio_size: bytes("audiosize"),
            last_timestamp: seconds("lasttimestamp"),
            last_keyframe_timestamp: seconds("lastkeyframetimestamp"),
            last_keyframe_location: bytes("lastkeyframelocation"),
            can_seek_to_end: boolean(of, "canSeekToEnd"),
            has_keyframes: boolean(of, "hasKeyframes"),
            has_metadata: boolean(of, "hasMetadata"),
            keyframes: self.keyframes(),
        }
    }

    /// Who made the stream.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let text = |key| Some(self.properties.get(key)?.as_str()?.into_owned());
        Origin {
            title: text("title"),
            creator: text("creator"),
            encoder: text("encoder"),
            metadata_creator: text("metadatacreator"),
            creation_date: text("creationdate"),
            server: text("Server"),
        }
    }

    fn keyframes(&self) -> Vec<Keyframe> {
        let list = |key| match self.properties.get("keyframes")?.get(key)? {
            Value::StrictArray(values) => Some(values.as_slice()),
            _ => None,
        };
        let (Some(times), Some(positions)) = (list("times"), list("filepositions")) else {
            return Vec::new();
        };
        times
            .iter()
            .zip(positions)
            .map_while(|(time, position)| {
                let position = position
                    .as_number()
                    .filter(|at| (0.0..=MAX_INTEGER).contains(at))?;
                Some(Keyframe {
                    time: time.as_number().filter(|seconds| seconds.is_finite())?,
                    position: to_integer(position),
                })
            })
            .collect()
    }

    fn track(&self, map: &str, track: u8) -> Option<&Properties> {
        if track == 0 {
            return None;
        }
        self.properties.get(map)?.get(&track.to_string())?.properties()
    }

    fn tracks(&self, map: &str) -> impl Iterator<Item = u8> + '_ {
        self.properties
            .get(map)
            .and_then(Value::properties)
            .into_iter()
            .flatten()
            .filter_map(|(id, _)| id.to_str_lossy().parse().ok())
            .filter(|id| *id != 0)
    }
}

impl VideoInfo {
    fn read(of: &Properties) -> Self {
        let pixels = |key| integer32(of, key, 1.0..=MAX_PIXELS);
        Self {
            codec: codec(of, "videocodecid").map(|codec| match codec {
                Codec::Id(id) => VideoCodec::Legacy(CodecId::from_id(id)),
                Codec::FourCc(code) => VideoCodec::Enhanced(code),
            }),
            width: pixels("width"),
            height: pixels("height"),
            frame_rate: number(of, "framerate").filter(|rate| *rate > 0.0 && *rate <= MAX_FRAME_RATE),
            data_rate: number(of, "videodatarate").filter(|rate| *rate > 0.0),
            pixel_aspect_ratio: pixels("AspectRatioX").zip(pixels("AspectRatioY")),
        }
    }
}

impl AudioInfo {
    fn read(of: &Properties, keys: &AudioKeys) -> Self {
        let small = |key| integer(of, key, 1.0..=255.0).and_then(|number| u8::try_from(number).ok());
        let stereo = || boolean(of, "stereo").map(|is_stereo| if is_stereo { 2 } else { 1 });
        Self {
            codec: codec(of, "audiocodecid").map(|codec| match codec {
                Codec::Id(id) => AudioCodec::Legacy(SoundFormat::from_id(id)),
                Codec::FourCc(code) => AudioCodec::Enhanced(code),
            }),
            sample_rate: integer32(of, keys.sample_rate, 1.0..=MAX_SAMPLE_RATE),
            sample_size: small("audiosamplesize"),
            channels: small(keys.channels).or_else(stereo),
            data_rate: number(of, "audiodatarate").filter(|rate| *rate > 0.0),
            delay: number(of, "audiodelay"),
        }
    }
}

fn number(of: &Properties, key: &str) -> Option<f64> {
    of.get(key)?.as_number().filter(|number| number.is_finite())
}

fn boolean(of: &Properties, key: &str) -> Option<bool> {
    of.get(key)?.as_bool()
}

/// The whole part of a number in a range of what is not negative.
fn integer(of: &Properties, key: &str, range: std::ops::RangeInclusive<f64>) -> Option<u64> {
    number(of, key)
        .filter(|number| range.contains(number))
        .map(to_integer)
}

fn integer32(of: &Properties, key: &str, range: std::ops::RangeInclusive<f64>) -> Option<u32> {
    integer(of, key, range).and_then(|number| u32::try_from(number).ok())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers have checked that it is not negative and at most MAX_INTEGER"
)]
const fn to_integer(number: f64) -> u64 {
    number as u64
}

/// A codec as metadata names it.
enum Codec {
    Id(u8),
    FourCc(FourCc),
}

/// The codec under `key`. Numbers below 16 are those of legacy tags, but 0 is what nginx-rtmp writes for a track
/// that it has not seen. Others are a FourCC, whose characters eflvmux of GStreamer 1.28 reverses. Old encoders
/// write strings.
fn codec(of: &Properties, key: &str) -> Option<Codec> {
    if let Some(name) = of.get(key)?.as_str() {
        let characters = name.as_bytes().try_into().ok()?;
        return Some(Codec::FourCc(FourCc::new(characters)));
    }
    number(of, key).filter(|number| number.fract() == 0.0)?;
    let number = integer32(of, key, 1.0..=f64::from(u32::MAX))?;
    if let Ok(id @ 0..16) = u8::try_from(number) {
        return Some(Codec::Id(id));
    }
    let spelled = FourCc::from_number(number);
    let reversed = FourCc::from_number(number.swap_bytes());
    let is_reversed = !FourCc::KNOWN.contains(&spelled) && FourCc::KNOWN.contains(&reversed);
    Some(Codec::FourCc(if is_reversed { reversed } else { spelled }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::script::SET_DATA_FRAME;
    use proptest::option;
    use proptest::prelude::*;

    /// Body of the smallest `onMetaData` that a player can use: 64x64 H.264 at 25 frames, stereo AAC at 44.1
    /// kHz.
    const BODY: &[u8] = b"\
        \x02\0\x0aonMetaData\x08\0\0\0\x07\
        \0\x05width\0\x40\x50\0\0\0\0\0\0\
        \0\x06height\0\x40\x50\0\0\0\0\0\0\
        \0\x09framerate\0\x40\x39\0\0\0\0\0\0\
        \0\x0cvideocodecid\0\x40\x1c\0\0\0\0\0\0\
        \0\x0caudiocodecid\0\x40\x24\0\0\0\0\0\0\
        \0\x0faudiosamplerate\0\x40\xe5\x88\x80\0\0\0\0\
        \0\x06stereo\x01\x01\0\0\x09";

    fn metadata(properties: &[(&str, Value)]) -> Metadata {
        let mut out = BytesMut::new();
        let properties = properties.iter().map(|(key, value)| (*key, value.clone()));
        amf::encode_all(&["onMetaData".into(), Value::ecma_array(properties)], &mut out);
        Metadata::parse(out.freeze()).unwrap()
    }

    #[test]
    fn known_metadata_reads_and_writes() {
        assert_eq!(BODY.len(), 156);
        let metadata = Metadata::parse(Bytes::from_static(BODY)).unwrap();
        let video = VideoInfo {
            codec: Some(VideoCodec::Legacy(CodecId::Avc)),
            width: Some(64),
            height: Some(64),
            frame_rate: Some(25.0),
            ..VideoInfo::default()
        };
        let audio = AudioInfo {
            codec: Some(AudioCodec::Legacy(SoundFormat::Aac)),
            sample_rate: Some(44_100),
            channels: Some(2),
            ..AudioInfo::default()
        };
        assert_eq!((metadata.video(0), metadata.audio(0)), (video, audio));
        assert_eq!(
            (metadata.has_audio(), metadata.has_video()),
            (Some(true), Some(true))
        );
        let written = Metadata::builder().video(0, &video).audio(0, &audio).build();
        assert_eq!(written, metadata);
        assert_eq!(written.encode(), BODY);
    }

    #[test]
    fn published_metadata_reads_the_same_and_other_data_not_at_all() {
        let published = [SET_DATA_FRAME, BODY].concat();
        assert_eq!(
            Metadata::parse(published.into()),
            Metadata::parse(Bytes::from_static(BODY))
        );
        for other in [
            &b"\x02\0\x0aonTextData\x05"[..],
            b"\x02\0\x0bonMetaData2",
            b"\x02\0\x0aonMeta",
            b"",
            b"\0",
        ] {
            assert_eq!(Metadata::parse(Bytes::copy_from_slice(other)), None);
        }
    }

    #[test]
    fn metadata_that_breaks_off_keeps_what_came_before() {
        let cut = Metadata::parse(Bytes::from_static(&BODY[..60])).unwrap();
        assert_eq!(
            (cut.video(0).width, cut.video(0).height, cut.video(0).frame_rate),
            (Some(64), Some(64), None)
        );
    }

    #[test]
    fn metadata_may_be_an_object_behind_other_values() {
        let mut out = BytesMut::new();
        let object = Value::object([("width", Value::from(320.0))]);
        amf::encode_all(&["onMetaData".into(), Value::Null, object], &mut out);
        assert_eq!(Metadata::parse(out.freeze()).unwrap().video(0).width, Some(320));
    }

    #[test]
    fn absurd_numbers_are_absent() {
        for absurd in [0.0, -1.0, 40_000.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = Value::from(absurd);
            let metadata = metadata(&[
                ("width", value.clone()),
                ("framerate", value.clone()),
                ("height", "720".into()),
                ("audiochannels", value.clone()),
                ("filesize", Value::from(-absurd.abs())),
            ]);
            assert_eq!(metadata.video(0), VideoInfo::default());
            assert_eq!(metadata.audio(0), AudioInfo::default());
            assert_eq!(metadata.recording().file_size, (absurd == 0.0).then_some(0));
        }
    }

    #[test]
    fn tracks_are_there_not_there_or_not_spoken_of() {
        let said = |properties: &[(&str, Value)]| {
            let metadata = metadata(properties);
            (metadata.has_audio(), metadata.has_video())
        };
        assert_eq!(said(&[("width", 64.0.into())]), (None, None));
        assert_eq!(said(&[("audiocodecid", 10.0.into())]), (Some(true), None));
        assert_eq!(
            said(&[("audiocodecid", 0.0.into()), ("videocodecid", "avc1".into())]),
            (None, Some(true))
        );
        assert_eq!(
            said(&[
                ("hasAudio", false.into()),
                ("audiocodecid", 10.0.into()),
                ("hasVideo", true.into())
            ]),
            (Some(false), Some(true))
        );
    }

    #[test]
    fn codecs_are_numbers_codes_in_either_order_or_strings() {
        let video = |value: Value| metadata(&[("videocodecid", value)]).video(0).codec;
        let enhanced = |code| Some(VideoCodec::Enhanced(code));
        assert_eq!(video(7.0.into()), Some(VideoCodec::Legacy(CodecId::Avc)));
        assert_eq!(video(1_635_135_537.0.into()), enhanced(FourCc::AV1));
        assert_eq!(video(f64::from(0x3163_7668).into()), enhanced(FourCc::HEVC));
        assert_eq!(
            video(f64::from(0x4142_4344).into()),
            enhanced(FourCc::new(*b"ABCD"))
        );
        assert_eq!(video("avc1".into()), enhanced(FourCc::AVC));
        for absurd in [0.0, 7.5, -7.0, 1e10, f64::NAN] {
            assert_eq!(video(absurd.into()), None);
        }
        assert_eq!(video("h264 or so".into()), None);
        assert_eq!(video(true.into()), None);
        let audio = metadata(&[("audiocodecid", "mp4a".into())]).audio(0).codec;
        assert_eq!(audio, Some(AudioCodec::Enhanced(FourCc::AAC)));
    }

    #[test]
    fn other_tracks_differ_from_the_first_in_what_they_say() {
        let video = VideoInfo {
            codec: Some(VideoCodec::Enhanced(FourCc::HEVC)),
            width: Some(1920),
            height: Some(1080),
            frame_rate: Some(50.0),
            ..VideoInfo::default()
        };
        let small = VideoInfo {
            width: Some(640),
            height: Some(360),
            ..VideoInfo::default()
        };
        let surround = AudioInfo {
            codec: Some(AudioCodec::Enhanced(FourCc::EAC3)),
            sample_rate: Some(48_000),
            channels: Some(6),
            ..AudioInfo::default()
        };
        let metadata = Metadata::builder()
            .video(3, &small)
            .audio(200, &surround)
            .video(0, &video)
            .build();
        let metadata = Metadata::parse(metadata.encode()).unwrap();
        assert_eq!(metadata.video(0), video);
        assert_eq!(
            metadata.video(3),
            VideoInfo {
                width: Some(640),
                height: Some(360),
                ..video
            }
        );
        assert_eq!(metadata.audio(200), surround);
        assert_eq!(metadata.audio(0), AudioInfo::default());
        assert_eq!(metadata.video_tracks().collect::<Vec<_>>(), [3]);
        assert_eq!(metadata.audio_tracks().collect::<Vec<_>>(), [200]);
        let map = metadata.properties().get("audioTrackIdInfoMap").unwrap();
        let keys: Vec<_> = map.get("200").unwrap().properties().unwrap().iter().collect();
        let names = ["audiocodecid", "samplerate", "channels"];
        assert!(keys.iter().map(|(key, _)| key).eq(&names.map(amf::Text::from)));
    }

    #[test]
    fn track_maps_of_other_shapes_are_passed_over() {
        let entry = Value::object([("width", Value::from(64.0))]);
        let map = Value::ecma_array([
            ("0", entry.clone()),
            ("256", entry.clone()),
            ("one", entry.clone()),
            ("2", Value::from(7.0)),
            ("1", entry),
        ]);
        let metadata = metadata(&[("videoTrackIdInfoMap", map), ("audioTrackIdInfoMap", 7.0.into())]);
        assert_eq!(metadata.video_tracks().collect::<Vec<_>>(), [2, 1]);
        assert_eq!(metadata.video(1).width, Some(64));
        assert_eq!(metadata.video(0), VideoInfo::default());
        assert_eq!(metadata.video(2), VideoInfo::default());
        assert_eq!(metadata.audio_tracks().count(), 0);
    }

    #[test]
    fn recordings_and_their_makers_read_as_written() {
        let recording = Recording {
            duration: Some(12.5),
            file_size: Some(1 << 40),
            data_size: Some(3),
            video_size: Some(2),
            audio_size: Some(1),
            last_timestamp: Some(12.48),
            last_keyframe_timestamp: Some(10.0),
            last_keyframe_location: Some(99_999),
            can_seek_to_end: Some(false),
            has_keyframes: Some(true),
            has_metadata: Some(true),
            keyframes: vec![
                Keyframe {
                    time: 0.0,
                    position: 700,
                },
                Keyframe {
                    time: 10.0,
                    position: 99_999,
                },
            ],
        };
        let text = |text: &str| Some(text.to_owned());
        let origin = Origin {
            title: text("a title"),
            creator: text("somebody"),
            encoder: text("an encoder"),
            metadata_creator: text("a muxer"),
            creation_date: text("Fri Nov 20 2026"),
            server: text("a server"),
        };
        let written = Metadata::builder()
            .recording(&recording)
            .origin(&origin)
            .property("hasAudio", false.into())
            .build();
        let metadata = Metadata::parse(written.encode()).unwrap();
        assert_eq!((metadata.recording(), metadata.origin()), (recording, origin));
        assert_eq!(metadata.has_audio(), Some(false));
        assert_eq!(
            metadata.properties().get("Server").unwrap().as_str().unwrap(),
            "a server"
        );
    }

    #[test]
    fn file_sizes_of_obs_are_read() {
        let metadata = metadata(&[
            ("fileSize", 0.0.into()),
            ("audiochannels", 6.0.into()),
            ("stereo", true.into()),
        ]);
        assert_eq!(metadata.recording().file_size, Some(0));
        assert_eq!(metadata.audio(0).channels, Some(6));
    }

    fn video_info() -> impl Strategy<Value = VideoInfo> {
        let codec = prop_oneof![
            (1..16_u8).prop_map(|id| VideoCodec::Legacy(CodecId::from_id(id))),
            proptest::sample::select(&FourCc::KNOWN).prop_map(VideoCodec::Enhanced),
        ];
        (
            option::of(codec),
            option::of(1..=32_768_u32),
            option::of(1..=32_768_u32),
            option::of(0.1..=1000.0),
            option::of(0.1..1e6),
            option::of((1..100_u32, 1..100_u32)),
        )
            .prop_map(
                |(codec, width, height, frame_rate, data_rate, pixel_aspect_ratio)| VideoInfo {
                    codec,
                    width,
                    height,
                    frame_rate,
                    data_rate,
                    pixel_aspect_ratio,
                },
            )
    }

    fn audio_info() -> impl Strategy<Value = AudioInfo> {
        let codec = prop_oneof![
            (1..16_u8).prop_map(|id| AudioCodec::Legacy(SoundFormat::from_id(id))),
            proptest::sample::select(&FourCc::KNOWN).prop_map(AudioCodec::Enhanced),
        ];
        (
            option::of(codec),
            option::of(1..=768_000_u32),
            option::of(1..=32_u8),
            option::of(1..=255_u8),
            option::of(0.1..1e6),
            option::of(0.0..10.0),
        )
            .prop_map(
                |(codec, sample_rate, sample_size, channels, data_rate, delay)| AudioInfo {
                    codec,
                    sample_rate,
                    sample_size,
                    channels,
                    data_rate,
                    delay,
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_said_of_tracks_is_read(
            video in video_info(),
            audio in audio_info(),
            track in 1..=255_u8,
            other in video_info(),
        ) {
            let metadata = Metadata::builder().video(0, &video).audio(0, &audio).video(track, &other).build();
            let metadata = Metadata::parse(metadata.encode()).unwrap();
            prop_assert_eq!(metadata.video(0), video);
            prop_assert_eq!(metadata.audio(0), audio);
            prop_assert_eq!(
                metadata.video(track),
                VideoInfo {
                    codec: other.codec.or(video.codec),
                    width: other.width.or(video.width),
                    height: other.height.or(video.height),
                    frame_rate: other.frame_rate.or(video.frame_rate),
                    data_rate: other.data_rate.or(video.data_rate),
                    pixel_aspect_ratio: video.pixel_aspect_ratio,
                }
            );
        }
    }
}
