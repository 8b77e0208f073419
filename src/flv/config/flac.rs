//! `STREAMINFO` of FLAC, RFC 9639 section 8.2, in the three forms in which senders put it.

use bytes::{BufMut, Bytes, BytesMut};

use super::open;
use crate::wire::{Malformed, Reader};

/// What a FLAC stream starts with.
const MARKER: &[u8] = b"fLaC";

/// The bit of a metadata block's first byte that says it is the last.
const LAST_BLOCK: u8 = 0x80;

/// Bytes of `STREAMINFO`.
const SIZE: u8 = 34;

/// What a FLAC stream says ahead of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StreamInfo {
    /// Fewest samples in a block but the last.
    pub min_block_size: u16,
    /// Most samples in a block.
    pub max_block_size: u16,
    /// Fewest bytes in a frame, 0 if they are not known.
    pub min_frame_size: u32,
    /// Most bytes in a frame, 0 if they are not known.
    pub max_frame_size: u32,
    /// Sample rate in Hz, 20 bits.
    pub sample_rate: u32,
    /// Channels, 1 to 8.
    pub channels: u8,
    /// Bits of a sample, 4 to 32.
    pub bits_per_sample: u8,
    /// Samples of each channel in the whole stream, 36 bits; 0 if they are not known.
    pub total_samples: u64,
    /// MD5 of the samples, zeros if it is not known.
    pub md5: [u8; 16],
}

impl StreamInfo {
    /// Reads the header of a stream: marker and metadata blocks as in Enhanced RTMP v2, or only `STREAMINFO` with
    /// or without its block header as FFmpeg 8 and MediaMTX send it. Further blocks are left alone.
    pub fn decode(header: &[u8]) -> Result<Self, Malformed> {
        let mut r = open(header)?;
        let is_marked = header.starts_with(MARKER);
        if is_marked {
            r.take(MARKER.len(), "fLaC")?;
        }
        let mut ahead = r.clone();
        let has_block_header = matches!(ahead.u32("block header"), Ok(word) if word & 0x7fff_ffff == u32::from(SIZE))
            && ahead.remaining() >= usize::from(SIZE);
        if has_block_header {
            r = ahead;
        } else if is_marked {
            let word = r.u32("STREAMINFO block header")?;
            if word & 0x7fff_ffff == u32::from(SIZE) {
                return Err(Malformed::Truncated("STREAMINFO"));
            }
            return Err(Malformed::Invalid {
                field: "STREAMINFO block header",
                value: word.into(),
            });
        }
        Self::decode_bare(&mut r)
    }

    fn decode_bare(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let field = "STREAMINFO";
        let min_block_size = r.u16(field)?;
        let max_block_size = r.u16(field)?;
        let min_frame_size = r.u24(field)?;
        let max_frame_size = r.u24(field)?;
        let packed = u64::from(r.u32(field)?) << 32 | u64::from(r.u32(field)?);
        let mut md5 = [0; 16];
        md5.copy_from_slice(r.take(16, field)?);
        let sample_rate = (packed >> 44) as u32;
        if sample_rate == 0 {
            return Err(Malformed::Invalid {
                field: "STREAMINFO sample rate",
                value: 0,
            });
        }
        Ok(Self {
            min_block_size,
            max_block_size,
            min_frame_size,
            max_frame_size,
            sample_rate,
            channels: 1 + (packed >> 41 & 7) as u8,
            bits_per_sample: 1 + (packed >> 36 & 31) as u8,
            total_samples: packed & 0xF_FFFF_FFFF,
            md5,
        })
    }

    /// Marker and block, 42 bytes: what Enhanced RTMP v2 asks for.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        [MARKER, &self.encode_block()].concat().into()
    }

    /// The last metadata block with its header, 38 bytes: what follows the marker in a stream.
    #[must_use]
    pub fn encode_block(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(LAST_BLOCK);
        out.put_uint(SIZE.into(), 3);
        out.put_slice(&self.encode_bare());
        out.freeze()
    }

    /// The 34 bytes alone, which is all that MediaMTX reads.
    #[must_use]
    pub fn encode_bare(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u16(self.min_block_size);
        out.put_u16(self.max_block_size);
        out.put_uint(self.min_frame_size.into(), 3);
        out.put_uint(self.max_frame_size.into(), 3);
        let field = |value: u64, bits: u32, shift: u32| (value & ((1 << bits) - 1)) << shift;
        out.put_u64(
            field(self.sample_rate.into(), 20, 44)
                | field(self.channels.saturating_sub(1).into(), 3, 41)
                | field(self.bits_per_sample.saturating_sub(1).into(), 5, 36)
                | field(self.total_samples, 36, 0),
        );
        out.put_slice(&self.md5);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BARE: &[u8] = b"\
        \x12\x00\x12\x00\x00\x04\x6d\x00\x05\x08\x0a\xc4\x42\xf0\x00\x00\x33\xae0123456789abcdef";

    const INFO: StreamInfo = StreamInfo {
        min_block_size: 4608,
        max_block_size: 4608,
        min_frame_size: 1133,
        max_frame_size: 1288,
        sample_rate: 44_100,
        channels: 2,
        bits_per_sample: 16,
        total_samples: 13_230,
        md5: *b"0123456789abcdef",
    };

    #[test]
    fn all_three_forms_read_the_same() {
        let block = [&b"\x80\0\0\x22"[..], BARE].concat();
        let marked = [MARKER, &block].concat();
        let with_comment = [MARKER, &b"\0\0\0\x22"[..], BARE, b"\x84\0\0\x01\0"].concat();
        for header in [BARE, &block, &marked, &with_comment] {
            assert_eq!(StreamInfo::decode(header), Ok(INFO), "{header:02x?}");
        }
        assert_eq!(INFO.encode_bare(), BARE);
        assert_eq!(INFO.encode_block(), block);
        assert_eq!(INFO.encode(), marked);
        assert_eq!(marked.len(), 42);
    }

    #[test]
    fn what_is_too_short_or_another_block_is_refused() {
        let marked = INFO.encode();
        for header in [&BARE[..33], b"", &marked[..41], &marked[..6], &marked[..37]] {
            assert!(
                matches!(StreamInfo::decode(header), Err(Malformed::Truncated(_))),
                "{header:02x?}"
            );
        }
        assert_eq!(
            StreamInfo::decode(b"fLaC\x84\0\0\x22and so on for a while, so that it is long enough"),
            Err(Malformed::Invalid {
                field: "STREAMINFO block header",
                value: 0x8400_0022
            })
        );
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(bare in proptest::collection::vec(any::<u8>(), 34)) {
            if let Ok(info) = StreamInfo::decode(&bare) {
                prop_assert_eq!(&info.encode_bare()[..], &bare[..]);
                prop_assert_eq!(StreamInfo::decode(&info.encode()), Ok(info));
            }
        }
    }
}
