//! Variable-length unsigned integers of 29 bits, AMF3 section 1.3.1: seven bits a byte, eight in the fourth,
//! the highest first. Lengths, counts and table indices of AMF3 are made of them.

use bytes::{BufMut, BytesMut};

use crate::wire::{Malformed, Reader};

/// Largest value. The table of the specification says 2^30 - 1, but 29 bits end earlier.
const MAX: u32 = (1 << 29) - 1;

/// Reads one; it may be longer than it has to be.
pub(super) fn decode(reader: &mut Reader<'_>, field: &'static str) -> Result<u32, Malformed> {
    let mut value = 0;
    for _ in 0..3 {
        let byte = reader.u8(field)?;
        value = value << 7 | u32::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Ok(value << 8 | u32::from(reader.u8(field)?))
}

/// Writes the low 29 bits of `value`.
pub(super) fn encode(value: u32, out: &mut BytesMut) {
    let value = u64::from(value & MAX);
    let low_groups = (value & 0x3F80) << 1 | value & 0x7F;
    match value {
        0..0x80 => out.put_uint(value, 1),
        0x80..0x4000 => out.put_uint(0x8000 | low_groups, 2),
        0x4000..0x20_0000 => out.put_uint(0x80_8000 | (value & 0x1F_C000) << 2 | low_groups, 3),
        // The fourth byte takes eight bits, so all groups lie one bit lower.
        _ => {
            let groups = (value & 0x1FC0_0000) << 2 | (value & 0x3F_8000) << 1 | value & 0x7FFF;
            out.put_uint(0x8080_8000 | groups, 4);
        }
    }
}

/// What the U29 in front of most types says.
pub(super) enum Header {
    /// Index into a table.
    Reference(usize),
    /// Length or count of what follows.
    Literal(usize),
}

impl Header {
    pub(super) fn decode(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, Malformed> {
        let bits = decode(reader, field)?;
        let number = (bits >> 1) as usize;
        Ok(if bits & 1 == 0 {
            Self::Reference(number)
        } else {
            Self::Literal(number)
        })
    }
}

/// Writes a U29 with `number` above `flags`, which are `width` bits. Where the number would not fit, the
/// message is beyond 2^24 bytes anyway, and the chunk writer refuses it.
pub(super) fn put_flagged(number: usize, flags: u32, width: u32, out: &mut BytesMut) {
    let number = u32::try_from(number).unwrap_or(u32::MAX).min(MAX >> width);
    encode(number << width | flags, out);
}

/// Writes the length or count of something that is no reference.
pub(super) fn put_literal(number: usize, out: &mut BytesMut) {
    put_flagged(number, 1, 1, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::tests::hex;

    #[test]
    fn u29_of_every_length() {
        for (value, bytes) in [
            (0, "00"),
            (0x7F, "7f"),
            (0x80, "8100"),
            (0x12C, "822c"),
            (0x3FFF, "ff7f"),
            (0x4000, "818000"),
            (0x1F_FFFF, "ffff7f"),
            (0x20_0000, "80c08000"),
            (0x1FFF_FFFF, "ffffffff"),
        ] {
            let bytes = hex(bytes);
            let mut out = BytesMut::new();
            encode(value, &mut out);
            assert_eq!(out, bytes);
            let mut reader = Reader::new(&bytes);
            assert_eq!(decode(&mut reader, "U29"), Ok(value));
            assert!(reader.is_empty());
            for end in 0..bytes.len() {
                assert_eq!(
                    decode(&mut Reader::new(&bytes[..end]), "U29"),
                    Err(Malformed::Truncated("U29"))
                );
            }
        }
    }
}
