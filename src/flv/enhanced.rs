//! What Enhanced RTMP v2 puts between the first byte of an audio or video tag and the codec's own bytes:
//! `ModEx` blocks, the Multitrack header and the FourCC. Both media share it but for the numbers of the
//! packet types.
//!
//! Only the first track of a Multitrack tag is looked at here, and `ModEx` is passed over.

use crate::fourcc::FourCc;
use crate::wire::{Malformed, Reader};

/// Packet type `ModEx`, of audio and video alike.
const MOD_EX: u8 = 7;

/// Most `ModEx` blocks in one tag. One is all that anybody sends.
const MAX_MOD_EX: usize = 16;

/// Reads past `ModEx` blocks and gives the packet type behind them. The first byte of the tag is `first`.
pub(super) fn packet_type(first: u8, r: &mut Reader<'_>) -> Result<u8, Malformed> {
    let mut packet_type = first & 0x0f;
    for _ in 0..MAX_MOD_EX {
        if packet_type != MOD_EX {
            return Ok(packet_type);
        }
        let mut size = usize::from(r.u8("ModEx size")?) + 1;
        if size == 256 {
            size = usize::from(r.u16("ModEx size")?) + 1;
        }
        r.take(size, "ModEx data")?;
        packet_type = r.u8("ModEx type")? & 0x0f;
    }
    Err(Malformed::Excessive("ModEx blocks"))
}

/// The first track of a tag. A tag without a Multitrack header has just this one, of id 0.
#[derive(Debug)]
pub(super) struct FirstTrack<'a> {
    pub(super) packet_type: u8,
    pub(super) codec: FourCc,
    pub(super) id: u8,
    /// Its bytes behind codec, id and size.
    pub(super) body: Reader<'a>,
}

/// Reads what leads to the first track. `multitrack` is the number of that packet type.
pub(super) fn first_track<'a>(
    packet_type: u8,
    multitrack: u8,
    mut r: Reader<'a>,
) -> Result<FirstTrack<'a>, Malformed> {
    if packet_type != multitrack {
        let codec = FourCc::decode(&mut r)?;
        return Ok(FirstTrack {
            packet_type,
            codec,
            id: 0,
            body: r,
        });
    }
    let types = r.u8("AvMultitrackType")?;
    let (multitrack_type, packet_type) = (types >> 4, types & 0x0f);
    if packet_type == multitrack {
        return Err(Malformed::Invalid {
            field: "packet type inside Multitrack",
            value: packet_type.into(),
        });
    }
    // The FourCC comes next in all three: shared by the tracks, or (ManyTracksManyCodecs) of the first one.
    let codec = FourCc::decode(&mut r)?;
    let id = r.u8("track id")?;
    let body = match multitrack_type {
        0 => r,
        1 | 2 => {
            let size = r.u24("size of a track")?;
            Reader::new(r.take(size as usize, "body of a track")?)
        }
        other => {
            return Err(Malformed::Invalid {
                field: "AvMultitrackType",
                value: other.into(),
            });
        }
    };
    Ok(FirstTrack {
        packet_type,
        codec,
        id,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of Multitrack in video.
    const MULTITRACK: u8 = 6;

    fn read(bytes: &[u8]) -> Result<(u8, FourCc, u8, Vec<u8>), Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("first byte")?;
        let packet_type = packet_type(first, &mut r)?;
        let track = first_track(packet_type, MULTITRACK, r)?;
        Ok((
            track.packet_type,
            track.codec,
            track.id,
            track.body.rest().to_vec(),
        ))
    }

    #[test]
    fn plain_tags_are_track_0() {
        assert_eq!(read(b"\xa1av01\x32"), Ok((1, FourCc::AV1, 0, vec![0x32])));
    }

    #[test]
    fn mod_ex_of_every_size_is_passed_over() {
        let body = b"hvc1\0\0\0\x03\x02\x01\xd0";
        let expected = Ok((3, FourCc::HEVC, 0, body[4..].to_vec()));
        let short = [&b"\xa7\x02\x07\xa1\x20\x03"[..], body].concat();
        assert_eq!(read(&short), expected);
        let long = [&b"\xa7\xff\x00\xff"[..], &[0x77; 256], b"\x53", body].concat();
        assert_eq!(read(&long), expected);
        let then_multitrack = [&b"\xa7\x02\x05\x16\x15\x06\x03hvc1\x01"[..], &body[4..]].concat();
        assert_eq!(
            read(&then_multitrack),
            Ok((3, FourCc::HEVC, 1, body[4..].to_vec()))
        );
    }

    #[test]
    fn mod_ex_ends() {
        let blocks = |n| [&[0xa7][..], &[0, 0, 7].repeat(n - 1), &[0, 0, 3], b"hvc1"].concat();
        assert!(read(&blocks(MAX_MOD_EX - 1)).is_ok());
        assert_eq!(
            read(&blocks(MAX_MOD_EX)),
            Err(Malformed::Excessive("ModEx blocks"))
        );
    }

    #[test]
    fn first_of_many_tracks_ends_where_its_size_says() {
        let one_codec =
            b"\xa6\x13hvc1\x00\x00\x00\x07\0\0\0\x03\x02\x01\xd0\x01\x00\x00\x06\0\0\0\x02\x02\x02";
        assert_eq!(
            read(one_codec),
            Ok((3, FourCc::HEVC, 0, b"\0\0\0\x03\x02\x01\xd0".to_vec()))
        );
        let many_codecs = b"\xa6\x21hvc1\x05\x00\x00\x02\x01\x02av01\x01\x00\x00\x01\x32";
        assert_eq!(read(many_codecs), Ok((1, FourCc::HEVC, 5, vec![1, 2])));
    }

    #[test]
    fn impossible_multitrack_headers_are_refused() {
        let invalid = |field, value| Err(Malformed::Invalid { field, value });
        assert_eq!(
            read(b"\xa6\x06hvc1\x00"),
            invalid("packet type inside Multitrack", 6)
        );
        assert_eq!(read(b"\xa6\x31hvc1\x00"), invalid("AvMultitrackType", 3));
        assert_eq!(
            read(b"\xa6\x11hvc1\x00\x00\x00\x02\x01"),
            Err(Malformed::Truncated("body of a track"))
        );
    }
}
