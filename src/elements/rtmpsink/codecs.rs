//! The codecs that are published, against what the server has said of Enhanced RTMP.

use crate::flv::audio::{AudioCodec, AudioRole};
use crate::flv::video::{VideoCodec, VideoRole};
use crate::flv::{AudioTag, FourCc, VideoTag};
use crate::session::{Capabilities, Codecs, Media, MediaKind};

/// Bytes of a tag body that tell its codec and whether it is a sequence header, ModEx packets of a usual length
/// included.
const LONGEST_FRONT: usize = 32;

/// The FourCC of a sequence header; `None` of everything else, legacy headers included.
pub(super) fn announced(media: &Media) -> Option<FourCc> {
    let mut joined = [0; LONGEST_FRONT];
    let front = if media.head.is_empty() {
        &media.body[..]
    } else {
        // A buffer may end anywhere in a tag.
        let bytes = media.head.iter().chain(&media.body);
        let length = joined.iter_mut().zip(bytes).fold(0, |length, (slot, byte)| {
            *slot = *byte;
            length + 1
        });
        joined.get(..length)?
    };
    match media.kind {
        MediaKind::Audio => match AudioTag::classify(front).ok()? {
            AudioTag {
                codec: Some(AudioCodec::Enhanced(codec)),
                role: AudioRole::SequenceStart,
                ..
            } => Some(codec),
            _ => None,
        },
        MediaKind::Video => match VideoTag::classify(front).ok()? {
            VideoTag {
                codec: Some(VideoCodec::Enhanced(codec)),
                role: VideoRole::SequenceStart,
                ..
            } => Some(codec),
            _ => None,
        },
        MediaKind::Data => None,
    }
}

/// Whether a server that speaks of its codecs leaves this one out. A server that is silent may take everything.
pub(super) fn is_left_out(codec: FourCc, kind: MediaKind, server: &Capabilities) -> bool {
    let says = |codecs: &Codecs| codecs.any.is_any() || !codecs.named.is_empty();
    match kind {
        MediaKind::Audio => says(&server.audio) && !server.audio.supports(codec),
        MediaKind::Video => says(&server.video) && !server.video.supports(codec),
        MediaKind::Data => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Support;
    use crate::timestamp::Timestamp;
    use bytes::Bytes;

    fn media(kind: MediaKind, head: &'static [u8], body: &'static [u8]) -> Media {
        Media {
            kind,
            timestamp: Timestamp::ZERO,
            head: Bytes::from_static(head),
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn only_enhanced_headers_announce_a_codec() {
        let video = MediaKind::Video;
        for (kind, head, body, expected) in [
            (video, &b"\x90hvc1"[..], &b"record"[..], Some(FourCc::HEVC)),
            (video, b"", b"\x90av01record", Some(FourCc::AV1)),
            (video, b"\x90a", b"v01record", Some(FourCc::AV1)),
            (video, b"\x93hvc1", b"frame", None),
            (video, b"\x17\x00\x00\x00\x00", b"record", None),
            (MediaKind::Audio, b"\x90Opus", b"OpusHead", Some(FourCc::OPUS)),
            (MediaKind::Audio, b"\xaf\x00", b"\x12\x10", None),
            (MediaKind::Data, b"", b"\x90hvc1", None),
            (video, b"", b"", None),
        ] {
            assert_eq!(announced(&media(kind, head, body)), expected, "{head:?} {body:?}");
        }
    }

    #[test]
    fn silence_of_a_kind_leaves_nothing_out() {
        let only_hevc = Capabilities {
            video: Codecs {
                any: Support::default(),
                named: vec![(FourCc::HEVC, Support::FORWARD)],
            },
            ..Capabilities::default()
        };
        assert!(!is_left_out(FourCc::HEVC, MediaKind::Video, &only_hevc));
        assert!(is_left_out(FourCc::AV1, MediaKind::Video, &only_hevc));
        assert!(!is_left_out(FourCc::OPUS, MediaKind::Audio, &only_hevc));
        let forwarding = Capabilities::forwarding();
        assert!(!is_left_out(FourCc::AV1, MediaKind::Video, &forwarding));
    }
}
