//! Script tag bodies: a handler's name and its arguments, and the `@setDataFrame` by which RTMP publishers have a
//! server keep metadata. FLV 10.1 section E.4.4, RTMP 1.0 section 7.1.2.
//!
//! Bodies are those of AMF0 tags and messages, without the selector byte of type 15. What is in metadata is told
//! by [`Metadata`](super::Metadata).

use bytes::{Buf, Bytes, BytesMut};

use crate::amf::{self, Text, Value};

/// The AMF0 string `@setDataFrame`, which stands in front of metadata that is published and not of any other.
pub const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// The AMF0 string `onMetaData`.
pub(super) const ON_METADATA: &[u8] = b"\x02\x00\x0aonMetaData";

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

/// Whom script data is for. FLV 10.1 section E.5 and E.6; what no specification names is in use all the same.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Handler {
    /// `onMetaData`.
    MetaData,
    /// `onTextData`: text to show.
    TextData,
    /// `onCaption`: text of captions.
    Caption,
    /// `onCaptionInfo`: CEA-608 captions, base64.
    CaptionInfo,
    /// `onCuePoint`: a named point in time, often of advertisement.
    CuePoint,
    /// `onXMPData`: Extensible Metadata Platform, in `liveXML`.
    XmpData,
    /// `onFI`: time of day and timecode of the next frame.
    FrameInformation,
    /// `onImageData`: a picture to show.
    ImageData,
    /// `onPlayStatus`: the state of a playlist.
    PlayStatus,
    /// `onLastSecond`: the last second of a recording begins.
    LastSecond,
    /// Any other.
    Unknown(Text),
}

impl Handler {
    const NAMES: [(Self, &str); 10] = [
        (Self::MetaData, "onMetaData"),
        (Self::TextData, "onTextData"),
        (Self::Caption, "onCaption"),
        (Self::CaptionInfo, "onCaptionInfo"),
        (Self::CuePoint, "onCuePoint"),
        (Self::XmpData, "onXMPData"),
        (Self::FrameInformation, "onFI"),
        (Self::ImageData, "onImageData"),
        (Self::PlayStatus, "onPlayStatus"),
        (Self::LastSecond, "onLastSecond"),
    ];

    /// From its name.
    #[must_use]
    pub fn from_name(name: Text) -> Self {
        let known = Self::NAMES.into_iter().find(|(_, known)| name == *known);
        known.map_or(Self::Unknown(name), |(handler, _)| handler)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> Text {
        if let Self::Unknown(name) = self {
            return name.clone();
        }
        let known = Self::NAMES.into_iter().find(|(handler, _)| handler == self);
        known.map(|(_, name)| name.into()).unwrap_or_default()
    }
}

/// A script tag body.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptData {
    /// Whom it is for.
    pub handler: Handler,
    /// What it is told; one value in all that is specified.
    pub values: Vec<Value>,
}

impl ScriptData {
    /// Reads a body, in the form of a publisher too. `None` if it does not begin with a name; of what breaks off
    /// the rest is kept.
    #[must_use]
    pub fn decode(body: &Bytes) -> Option<Self> {
        let (mut values, _) = amf::decode_prefix(&strip_set_data_frame(body.clone()));
        if values.is_empty() {
            return None;
        }
        let Value::String(name) = values.remove(0) else {
            return None;
        };
        Some(Self {
            handler: Handler::from_name(name),
            values,
        })
    }

    /// Writes a body, in the form of a file.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        amf::encode_all(&[Value::String(self.handler.name())], &mut out);
        amf::encode_all(&self.values, &mut out);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of the smallest metadata.
    const BODY: &[u8] = b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x05width\0\x40\x50\0\0\0\0\0\0\0\0\x09";

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
        assert_eq!(ScriptData::decode(&published), ScriptData::decode(&body));
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
        }
    }

    #[test]
    fn handlers_are_known_by_name() {
        for (handler, name) in Handler::NAMES {
            assert_eq!(Handler::from_name(name.into()), handler);
            assert_eq!(handler.name(), name);
        }
        let other = Handler::from_name("onFi".into());
        assert_eq!(other, Handler::Unknown("onFi".into()));
        assert_eq!(other.name(), "onFi");
    }

    #[test]
    fn script_data_is_a_name_and_what_it_is_told() {
        let bytes = Bytes::from_static(b"\x02\0\x0aonTextData\x03\0\x04text\x02\0\x02hi\0\0\x09");
        let text = ScriptData {
            handler: Handler::TextData,
            values: vec![Value::object([("text", Value::from("hi"))])],
        };
        assert_eq!(ScriptData::decode(&bytes), Some(text.clone()));
        assert_eq!(text.encode(), bytes);

        for (body, values) in [(&bytes[..13], 0), (&bytes[..20], 1), (&bytes[..], 1)] {
            let cut = ScriptData::decode(&Bytes::copy_from_slice(body)).unwrap();
            assert_eq!((cut.handler, cut.values.len()), (Handler::TextData, values));
        }
        for nameless in [&b""[..], b"\x05", b"\x02\0\x0aonText"] {
            assert_eq!(ScriptData::decode(&Bytes::copy_from_slice(nameless)), None);
        }
    }
}
