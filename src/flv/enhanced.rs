//! What Enhanced RTMP v2 puts between the first byte of an audio or video tag and the codec's own bytes:
//! `ModEx` blocks, the Multitrack header, and FourCC, id and size of tracks. Both media share it but for the
//! numbers of the packet types.

use bytes::{BufMut, Bytes, BytesMut};

use super::unwritable::Unwritable;
use crate::fourcc::FourCc;
use crate::wire::{Malformed, Reader};

/// Packet type `ModEx`, of audio and video alike.
const MOD_EX: u8 = 7;

/// `ModEx` type `TimestampOffsetNano`.
const TIMESTAMP_OFFSET_NANO: u8 = 0;

/// Most nanoseconds that may be added to a timestamp: more would make a millisecond.
pub(super) const MAX_NANO_OFFSET: u32 = 999_999;

/// Most `ModEx` blocks in one tag. One is all that anybody sends.
const MAX_MOD_EX: usize = 16;

/// Most tracks in one tag. One is what nearly everybody sends.
const MAX_TRACKS: usize = 16;

/// Longest header that is written: first byte, `ModEx`, Multitrack, FourCC, track id, composition time.
const MAX_HEAD: usize = 1 + 5 + 1 + 4 + 1 + 3;

/// `AvMultitrackType`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Multitrack {
    /// 0: one track, whose body goes on to the end.
    OneTrack,
    /// 1: tracks of one codec.
    ManyTracks,
    /// 2: tracks that each name their codec.
    ManyTracksManyCodecs,
}

impl Multitrack {
    fn from_id(id: u8) -> Result<Self, Malformed> {
        match id {
            0 => Ok(Self::OneTrack),
            1 => Ok(Self::ManyTracks),
            2 => Ok(Self::ManyTracksManyCodecs),
            other => Err(Malformed::Invalid {
                field: "AvMultitrackType",
                value: other.into(),
            }),
        }
    }

    const fn id(self) -> u8 {
        match self {
            Self::OneTrack => 0,
            Self::ManyTracks => 1,
            Self::ManyTracksManyCodecs => 2,
        }
    }
}

/// What a tag says ahead of its tracks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Prefix {
    /// The packet type behind `ModEx`, in which Multitrack is one of its own.
    pub(super) packet_type: u8,
    /// Nanoseconds of `TimestampOffsetNano`, 0 without one.
    pub(super) nano_offset: u32,
}

impl Prefix {
    /// Reads `ModEx` blocks up to the packet type behind them. The first byte of the tag is `first`. Blocks of
    /// unknown types, and offsets out of range, are passed over.
    pub(super) fn decode(first: u8, r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut prefix = Self {
            packet_type: first & 0x0f,
            nano_offset: 0,
        };
        let mut blocks = 0;
        while prefix.packet_type == MOD_EX {
            if blocks == MAX_MOD_EX {
                return Err(Malformed::Excessive("ModEx blocks"));
            }
            blocks += 1;
            let mut size = usize::from(r.u8("ModEx size")?) + 1;
            if size == 256 {
                size = usize::from(r.u16("ModEx size")?) + 1;
            }
            let mut data = Reader::new(r.take(size, "ModEx data")?);
            let types = r.u8("ModEx type")?;
            if types >> 4 == TIMESTAMP_OFFSET_NANO
                && let Ok(nanos @ 0..=MAX_NANO_OFFSET) = data.u24("nanoseconds")
            {
                prefix.nano_offset = nanos;
            }
            prefix.packet_type = types & 0x0f;
        }
        Ok(prefix)
    }
}

/// One track of a tag. A tag without a Multitrack header has just one, of id 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Track<'a> {
    pub(super) codec: FourCc,
    pub(super) id: u8,
    /// Its bytes behind codec, id and size.
    pub(super) body: &'a [u8],
}

/// The tracks of a tag, in order.
#[derive(Clone, Debug)]
pub(super) struct Tracks<'a> {
    /// Packet type of all tracks.
    pub(super) packet_type: u8,
    /// How tracks are told apart; `None` without a Multitrack header.
    multitrack: Option<Multitrack>,
    /// The codec that all tracks share; `None` if each names its own.
    codec: Option<FourCc>,
    rest: Reader<'a>,
    count: usize,
    is_over: bool,
}

impl<'a> Tracks<'a> {
    /// Reads what leads to the first track. `multitrack` is the number of that packet type.
    pub(super) fn decode(packet_type: u8, multitrack: u8, mut r: Reader<'a>) -> Result<Self, Malformed> {
        let (packet_type, multitrack) = if packet_type == multitrack {
            let types = r.u8("AvMultitrackType")?;
            if types & 0x0f == multitrack {
                return Err(Malformed::Invalid {
                    field: "packet type inside Multitrack",
                    value: multitrack.into(),
                });
            }
            (types & 0x0f, Some(Multitrack::from_id(types >> 4)?))
        } else {
            (packet_type, None)
        };
        let codec = if multitrack == Some(Multitrack::ManyTracksManyCodecs) {
            None
        } else {
            Some(FourCc::decode(&mut r)?)
        };
        Ok(Self {
            packet_type,
            multitrack,
            codec,
            rest: r,
            count: 0,
            is_over: false,
        })
    }

    /// Reads the next track; every tag has to have one.
    pub(super) fn track(&mut self) -> Result<Track<'a>, Malformed> {
        let r = &mut self.rest;
        let codec = match self.codec {
            Some(codec) => codec,
            None => FourCc::decode(r)?,
        };
        let (id, size) = match self.multitrack {
            None => (0, r.remaining()),
            Some(Multitrack::OneTrack) => (r.u8("track id")?, r.remaining()),
            Some(Multitrack::ManyTracks | Multitrack::ManyTracksManyCodecs) => {
                (r.u8("track id")?, r.u24("size of a track")? as usize)
            }
        };
        let body = r.take(size, "body of a track")?;
        Ok(Track { codec, id, body })
    }
}

impl<'a> Iterator for Tracks<'a> {
    type Item = Result<Track<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        if self.count == MAX_TRACKS {
            self.is_over = true;
            return Some(Err(Malformed::Excessive("tracks in one tag")));
        }
        self.count += 1;
        let track = self.track();
        let has_more = match self.multitrack {
            None | Some(Multitrack::OneTrack) => false,
            Some(Multitrack::ManyTracks | Multitrack::ManyTracksManyCodecs) => !self.rest.is_empty(),
        };
        self.is_over = track.is_err() || !has_more;
        Some(track)
    }
}

/// What a writer says of a packet ahead of its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// The upper half of the first byte.
    pub(super) first: u8,
    pub(super) packet_type: u8,
    /// The number of Multitrack.
    pub(super) multitrack: u8,
    pub(super) nano_offset: u32,
}

impl Head {
    /// Up to the FourCC of a packet of one track. Track 0 needs no Multitrack header.
    pub(super) fn encode(self, codec: FourCc, track: u8) -> Result<BytesMut, Unwritable> {
        if track == 0 {
            let mut out = self.prefix(self.packet_type)?;
            codec.encode(&mut out);
            return Ok(out);
        }
        let mut out = self.multitrack_prefix(Multitrack::OneTrack)?;
        codec.encode(&mut out);
        out.put_u8(track);
        Ok(out)
    }

    /// Up to where a packet without a FourCC has its body.
    pub(super) fn encode_bare(self) -> Result<BytesMut, Unwritable> {
        self.prefix(self.packet_type)
    }

    /// All of a tag of several tracks: FourCC, id and the two parts of the body of each.
    pub(super) fn encode_many(self, tracks: &[(FourCc, u8, Bytes, Bytes)]) -> Result<Bytes, Unwritable> {
        let Some((shared, ..)) = tracks.first() else {
            return Err(Unwritable::Tracks);
        };
        if tracks.len() > MAX_TRACKS {
            return Err(Unwritable::Tracks);
        }
        let is_shared = tracks.iter().all(|(codec, ..)| codec == shared);
        let mut out = if is_shared {
            let mut out = self.multitrack_prefix(Multitrack::ManyTracks)?;
            shared.encode(&mut out);
            out
        } else {
            self.multitrack_prefix(Multitrack::ManyTracksManyCodecs)?
        };
        for (codec, id, head, data) in tracks {
            if !is_shared {
                codec.encode(&mut out);
            }
            out.put_u8(*id);
            let size = head.len().saturating_add(data.len());
            match u32::try_from(size) {
                Ok(fits @ 0..=0xFF_FFFF) => out.put_uint(fits.into(), 3),
                _ => return Err(Unwritable::Size(size)),
            }
            out.put_slice(head);
            // A copy: a tag body of several tracks is one piece.
            out.put_slice(data);
        }
        Ok(out.freeze())
    }

    fn multitrack_prefix(self, multitrack: Multitrack) -> Result<BytesMut, Unwritable> {
        let mut out = self.prefix(self.multitrack)?;
        out.put_u8(multitrack.id() << 4 | self.packet_type);
        Ok(out)
    }

    fn prefix(self, packet_type: u8) -> Result<BytesMut, Unwritable> {
        let mut out = BytesMut::with_capacity(MAX_HEAD);
        match self.nano_offset {
            0 => out.put_u8(self.first | packet_type),
            nanos @ 1..=MAX_NANO_OFFSET => {
                out.put_u8(self.first | MOD_EX);
                out.put_u8(3 - 1);
                out.put_uint(nanos.into(), 3);
                out.put_u8(TIMESTAMP_OFFSET_NANO << 4 | packet_type);
            }
            nanos => return Err(Unwritable::NanoOffset(nanos)),
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of Multitrack in video.
    const MULTITRACK: u8 = 6;

    fn read(bytes: &[u8]) -> Result<(u8, FourCc, u8, Vec<u8>), Malformed> {
        let mut r = Reader::new(bytes);
        let first = r.u8("first byte")?;
        let prefix = Prefix::decode(first, &mut r)?;
        let mut tracks = Tracks::decode(prefix.packet_type, MULTITRACK, r)?;
        let track = tracks.track()?;
        Ok((tracks.packet_type, track.codec, track.id, track.body.to_vec()))
    }

    fn all(bytes: &[u8]) -> Vec<Result<Track<'_>, Malformed>> {
        let mut r = Reader::new(bytes);
        let first = r.u8("first byte").unwrap();
        let prefix = Prefix::decode(first, &mut r).unwrap();
        let tracks = Tracks::decode(prefix.packet_type, MULTITRACK, r).unwrap();
        tracks.collect()
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
        assert!(read(&blocks(MAX_MOD_EX)).is_ok());
        assert_eq!(
            read(&blocks(MAX_MOD_EX + 1)),
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

    #[test]
    fn offsets_are_those_of_the_last_block_that_has_one() {
        let offset = |bytes: &[u8]| Prefix::decode(0xa7, &mut Reader::new(bytes)).unwrap().nano_offset;
        assert_eq!(offset(b"\x02\x07\xa1\x20\x03"), 500_000);
        assert_eq!(offset(b"\x03\x07\xa1\x20\xff\x03"), 500_000, "longer data");
        assert_eq!(offset(b"\x01\x07\xa1\x03"), 0, "too short");
        assert_eq!(offset(b"\x02\x0f\x42\x3f\x03"), 999_999);
        assert_eq!(offset(b"\x02\x0f\x42\x40\x03"), 0, "a whole millisecond");
        assert_eq!(offset(b"\x02\x07\xa1\x20\x13"), 0, "another type");
        assert_eq!(offset(b"\x02\x07\xa1\x20\x07\x00\x00\x13"), 500_000);
    }

    #[test]
    fn a_fault_ends_the_tracks_but_not_those_before_it() {
        let tracks = all(b"\xa6\x13hvc1\x00\0\0\x01\x2a\x01\0\0\x02\x2b");
        let first = Track {
            codec: FourCc::HEVC,
            id: 0,
            body: &[0x2a],
        };
        assert_eq!(tracks, [Ok(first), Err(Malformed::Truncated("body of a track"))]);
        assert_eq!(
            all(b"\xa6\x13hvc1"),
            [Err(Malformed::Truncated("track id"))],
            "none at all"
        );
    }

    #[test]
    fn tracks_of_one_tag_are_limited() {
        let tag = |n: usize| [&b"\xa6\x13hvc1"[..], &b"\x01\0\0\0".repeat(n)].concat();
        assert!(all(&tag(MAX_TRACKS)).iter().all(Result::is_ok));
        let tag = tag(MAX_TRACKS + 1);
        let tracks = all(&tag);
        assert_eq!(tracks.len(), MAX_TRACKS + 1);
        assert_eq!(
            tracks.last(),
            Some(&Err(Malformed::Excessive("tracks in one tag")))
        );
    }
}
