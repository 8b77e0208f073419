//! A cursor over the bits of a byte slice, the highest bit of each byte first.

use crate::wire::Malformed;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Number of bits read.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most 32, as a number.
    pub(super) fn take(&mut self, count: u8, field: &'static str) -> Result<u32, Malformed> {
        let mut value = 0;
        let mut at = self.at;
        for _ in 0..count {
            let byte = self.bytes.get(at / 8).ok_or(Malformed::Truncated(field))?;
            value = value << 1 | u32::from(byte >> (7 - at % 8) & 1);
            at += 1;
        }
        self.at = at;
        Ok(value)
    }

    /// At most eight bits.
    pub(super) fn byte(&mut self, count: u8, field: &'static str) -> Result<u8, Malformed> {
        let [.., low] = self.take(count, field)?.to_be_bytes();
        Ok(low)
    }

    /// One bit.
    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, Malformed> {
        Ok(self.take(1, field)? == 1)
    }

    /// Goes on at the next whole byte.
    pub(super) const fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_from_the_highest_on() {
        let mut bits = Bits::new(&[0b1010_0110, 0x0f, 0xff, 0x80]);
        assert_eq!(bits.flag("a"), Ok(true));
        assert_eq!(bits.take(3, "b"), Ok(0b010));
        assert_eq!(bits.byte(8, "c"), Ok(0b0110_0000));
        bits.align();
        assert_eq!(bits.take(9, "d"), Ok(0b1_1111_1111));
        assert_eq!(bits.take(8, "e"), Err(Malformed::Truncated("e")));
        assert_eq!(bits.take(7, "f"), Ok(0), "a short read takes nothing");
        assert_eq!(bits.flag("g"), Err(Malformed::Truncated("g")));
    }
}
