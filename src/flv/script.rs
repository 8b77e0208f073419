//! Script tag bodies: metadata, and the `@setDataFrame` by which RTMP publishers have a server keep it. FLV
//! 10.1 section E.4.4, RTMP 1.0 section 7.1.2.
//!
//! Metadata is a hint: what the tags hold is told by the tags. Bodies are those of AMF0 tags and messages,
//! without the selector byte of type 15.

use bytes::{Buf, Bytes};

use super::audio::{AudioCodec, SoundFormat};
use super::video::{CodecId, VideoCodec};
use crate::amf::{self, Properties, Value};
use crate::fourcc::FourCc;

/// Largest width or height in pixels that is believed.
const MAX_PIXELS: f64 = 32_768.0;

/// Largest frame rate in frames a second that is believed.
const MAX_FRAME_RATE: f64 = 1_000.0;

/// The AMF0 string `@setDataFrame`, which stands in front of metadata that is published and not of any other.
pub const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// The AMF0 string `onMetaData`.
const ON_METADATA: &[u8] = b"\x02\x00\x0aonMetaData";

/// Whether a body is metadata, in the form of a file (`onMetaData` first) or of a publisher (`@setDataFrame`
/// first).
#[must_use]
pub fn is_metadata(body: &[u8]) -> bool {
    body.starts_with(ON_METADATA) || body.starts_with(SET_DATA_FRAME)
}

/// What to send ahead of a body to publish it: `@setDataFrame` ahead of metadata that lacks it, else nothing.
#[must_use]
pub fn publishing_head(body: &[u8]) -> Bytes {
    if body.starts_with(ON_METADATA) {
        Bytes::from_static(SET_DATA_FRAME)
    } else {
        Bytes::new()
    }
}

/// A body as a file or player wants it: without a leading `@setDataFrame`.
#[must_use]
pub fn strip_set_data_frame(mut body: Bytes) -> Bytes {
    if body.starts_with(SET_DATA_FRAME) {
        body.advance(SET_DATA_FRAME.len());
    }
    body
}

/// `onMetaData`, with values that cannot be meant taken for absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    properties: Properties,
}

impl Metadata {
    /// Reads a body in either form. `None` if it is something else or nothing of its properties can be read.
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

    /// All properties as they arrived.
    #[must_use]
    pub const fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Width of the picture in pixels.
    #[must_use]
    pub fn width(&self) -> Option<u32> {
        self.pixels("width")
    }

    /// Height of the picture in pixels.
    #[must_use]
    pub fn height(&self) -> Option<u32> {
        self.pixels("height")
    }

    /// Frames a second.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        self.number("framerate")
            .filter(|rate| *rate > 0.0 && *rate <= MAX_FRAME_RATE)
    }

    /// `audiocodecid`. Of a codec that has a legacy number and a FourCC it does not tell which the tags use.
    #[must_use]
    pub fn audio_codec(&self) -> Option<AudioCodec> {
        Some(match self.codec("audiocodecid")? {
            Codec::Id(id) => AudioCodec::Legacy(SoundFormat::from_id(id)),
            Codec::FourCc(code) => AudioCodec::Enhanced(code),
        })
    }

    /// `videocodecid`. Of a codec that has a legacy number and a FourCC it does not tell which the tags use.
    #[must_use]
    pub fn video_codec(&self) -> Option<VideoCodec> {
        Some(match self.codec("videocodecid")? {
            Codec::Id(id) => VideoCodec::Legacy(CodecId::from_id(id)),
            Codec::FourCc(code) => VideoCodec::Enhanced(code),
        })
    }

    /// Whether the stream is said to have audio; `None` if nothing is said.
    #[must_use]
    pub fn has_audio(&self) -> Option<bool> {
        self.boolean("hasAudio")
            .or_else(|| self.audio_codec().map(|_| true))
    }

    /// Whether the stream is said to have video; `None` if nothing is said.
    #[must_use]
    pub fn has_video(&self) -> Option<bool> {
        self.boolean("hasVideo")
            .or_else(|| self.video_codec().map(|_| true))
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.properties
            .get(key)?
            .as_number()
            .filter(|number| number.is_finite())
    }

    fn boolean(&self, key: &str) -> Option<bool> {
        self.properties.get(key)?.as_bool()
    }

    fn pixels(&self, key: &str) -> Option<u32> {
        let pixels = self
            .number(key)
            .filter(|pixels| (1.0..=MAX_PIXELS).contains(pixels))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in range as checked"
        )]
        Some(pixels as u32)
    }

    /// The codec under `key`. Numbers below 16 are those of legacy tags, but 0 is what nginx-rtmp writes for
    /// a track that it has not seen. Others are a FourCC, whose characters eflvmux of GStreamer 1.28
    /// reverses. Old encoders write strings.
    fn codec(&self, key: &str) -> Option<Codec> {
        if let Some(name) = self.properties.get(key)?.as_str() {
            let characters = name.as_bytes().try_into().ok()?;
            return Some(Codec::FourCc(FourCc::new(characters)));
        }
        let number = self
            .number(key)
            .filter(|number| number.fract() == 0.0 && *number > 0.0 && *number <= f64::from(u32::MAX))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in range as checked"
        )]
        let number = number as u32;
        if let Ok(id @ 0..16) = u8::try_from(number) {
            return Some(Codec::Id(id));
        }
        let spelled = FourCc::new(number.to_be_bytes());
        let reversed = FourCc::new(number.to_le_bytes());
        let is_reversed = !FourCc::KNOWN.contains(&spelled) && FourCc::KNOWN.contains(&reversed);
        Some(Codec::FourCc(if is_reversed { reversed } else { spelled }))
    }
}

/// A codec as metadata names it.
enum Codec {
    Id(u8),
    FourCc(FourCc),
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

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
    fn known_metadata_reads_back() {
        assert_eq!(BODY.len(), 156);
        let metadata = Metadata::parse(Bytes::from_static(BODY)).unwrap();
        assert_eq!((metadata.width(), metadata.height()), (Some(64), Some(64)));
        assert_eq!(metadata.frame_rate(), Some(25.0));
        assert_eq!(metadata.video_codec(), Some(VideoCodec::Legacy(CodecId::Avc)));
        assert_eq!(metadata.audio_codec(), Some(AudioCodec::Legacy(SoundFormat::Aac)));
        assert_eq!(
            (metadata.has_audio(), metadata.has_video()),
            (Some(true), Some(true))
        );
        let rate = metadata.properties().get("audiosamplerate");
        assert_eq!(rate.and_then(Value::as_number), Some(44_100.0));
    }

    #[test]
    fn set_data_frame_comes_and_goes() {
        let body = Bytes::from_static(BODY);
        assert_eq!(
            publishing_head(&body)[..],
            b"\x02\0\x0d\x40\x73\x65\x74\x44\x61\x74\x61\x46\x72\x61\x6d\x65"[..]
        );
        let published = Bytes::from([&publishing_head(&body), BODY].concat());
        assert_eq!(publishing_head(&published), Bytes::new());
        assert_eq!(strip_set_data_frame(published.clone()), body);
        assert_eq!(strip_set_data_frame(body.clone()), body);
        assert_eq!(Metadata::parse(published), Metadata::parse(body));
    }

    #[test]
    fn only_the_two_names_are_metadata() {
        assert!(is_metadata(BODY));
        assert!(is_metadata(SET_DATA_FRAME));
        for other in [
            &b"\x02\0\x0aonTextData\x05"[..],
            b"\x02\0\x0bonMetaData2",
            b"\x02\0\x0aonMeta",
            b"",
            b"\0",
        ] {
            assert!(!is_metadata(other));
            assert_eq!(publishing_head(other), Bytes::new());
            assert_eq!(Metadata::parse(Bytes::copy_from_slice(other)), None);
        }
    }

    #[test]
    fn metadata_that_breaks_off_keeps_what_came_before() {
        let cut = Metadata::parse(Bytes::from_static(&BODY[..60])).unwrap();
        assert_eq!(
            (cut.width(), cut.height(), cut.frame_rate()),
            (Some(64), Some(64), None)
        );
    }

    #[test]
    fn metadata_may_be_an_object_behind_other_values() {
        let mut out = BytesMut::new();
        let object = Value::object([("width", Value::from(320.0))]);
        amf::encode_all(&["onMetaData".into(), Value::Null, object], &mut out);
        assert_eq!(Metadata::parse(out.freeze()).unwrap().width(), Some(320));
    }

    #[test]
    fn absurd_numbers_are_absent() {
        for absurd in [0.0, -1.0, 40_000.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let value = Value::from(absurd);
            let metadata = metadata(&[
                ("width", value.clone()),
                ("framerate", value),
                ("height", "720".into()),
            ]);
            assert_eq!(
                (metadata.width(), metadata.height(), metadata.frame_rate()),
                (None, None, None)
            );
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
        let video = |value: Value| metadata(&[("videocodecid", value)]).video_codec();
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
        let audio = metadata(&[("audiocodecid", "mp4a".into())]).audio_codec();
        assert_eq!(audio, Some(AudioCodec::Enhanced(FourCc::AAC)));
    }
}
