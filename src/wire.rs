//! A cursor over received bytes, and the error of those who read them.
//!
//! Everything on an RTMP connection is big-endian but for the message stream id of a chunk header,
//! so [`Reader::u32_le`] stands alone. Writing needs no counterpart: `bytes::BufMut` is it.

use std::fmt;

/// Received bytes that break the format they claim to follow. Always the peer's (or the input's) fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// The bytes end inside the named field.
    Truncated(&'static str),
    /// The named field holds a value that its format does not allow.
    Invalid {
        /// Name of the field, in the words of its specification.
        field: &'static str,
        /// The value that was read.
        value: u64,
    },
    /// The bytes are well formed as far as they were read but exceed a limit of ours.
    Excessive(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(field) => write!(f, "the bytes end inside {field}"),
            Self::Invalid { field, value } => write!(f, "{field} cannot be {value:#x}"),
            Self::Excessive(what) => write!(f, "too much: {what}"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Reads fields off the front of a byte slice. Every read names its field for the error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Number of bytes not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, left where it is.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Malformed::Truncated(field))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Malformed::Truncated(field))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// An unsigned byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    /// A 16-bit unsigned integer.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// A 24-bit unsigned integer.
    pub fn u24(&mut self, field: &'static str) -> Result<u32, Malformed> {
        let [a, b, c] = self.array(field)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// A 24-bit integer in two's complement (SI24).
    pub fn i24(&mut self, field: &'static str) -> Result<i32, Malformed> {
        let [a, b, c] = self.array(field)?;
        // The arithmetic shift drags the sign bit down over the byte that the field does not have.
        Ok(i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    /// A 32-bit unsigned integer.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// A 32-bit unsigned integer with its lowest byte first.
    pub fn u32_le(&mut self, field: &'static str) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// An IEEE 754 double.
    pub fn f64(&mut self, field: &'static str) -> Result<f64, Malformed> {
        Ok(f64::from_be_bytes(self.array(field)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_width_in_order() {
        let bytes = [
            1, 0, 2, 0, 0, 3, 0xff, 0xff, 0xd8, 0, 0, 0, 4, 5, 0, 0, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 9,
        ];
        let mut r = Reader::new(&bytes);
        assert_eq!(r.u8("a"), Ok(1));
        assert_eq!(r.u16("b"), Ok(2));
        assert_eq!(r.u24("c"), Ok(3));
        assert_eq!(r.i24("d"), Ok(-40));
        assert_eq!(r.u32("e"), Ok(4));
        assert_eq!(r.u32_le("f"), Ok(5));
        assert_eq!(r.f64("g"), Ok(1.0));
        assert_eq!(r.peek(), Some(9));
        assert_eq!(r.take(1, "h"), Ok(&[9][..]));
        assert!(r.is_empty());
        assert_eq!(r.u8("end"), Err(Malformed::Truncated("end")));
    }

    #[test]
    fn a_short_read_takes_nothing() {
        let mut r = Reader::new(&[1, 2]);
        assert_eq!(r.u24("x"), Err(Malformed::Truncated("x")));
        assert_eq!(r.remaining(), 2);
        assert_eq!(r.take(3, "y"), Err(Malformed::Truncated("y")));
        assert_eq!(r.rest(), &[1, 2]);
    }
}
