//! NAL units behind lengths, and behind start codes where a sender got it wrong. ISO 14496-15 section 5.3.2, ITU-T
//! H.264 Annex B.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::{Malformed, Reader};

/// What stands in front of NAL units in Annex B, after any number of zeros.
const START_CODE: [u8; 3] = [0, 0, 1];

/// An access unit with lengths of `size` bytes, as it ought to be. One with start codes is converted, but only if its
/// bytes make no sense as lengths: those of 256 to 511 bytes look like start codes.
pub(super) fn with_lengths(unit: Bytes, size: u8) -> Result<Bytes, Malformed> {
    let Err(cause) = check_lengths(&unit, size) else {
        return Ok(unit);
    };
    let is_annex_b = unit.starts_with(&START_CODE) || unit.starts_with(&[0, 0, 0, 1]);
    if !is_annex_b {
        return Err(cause);
    }
    let mut out = BytesMut::with_capacity(unit.len() + unit.len() / 2);
    for nal in nal_units(&unit) {
        if nal.len() as u64 >= 1 << (8 * u32::from(size)) {
            return Err(Malformed::Excessive("NAL unit length"));
        }
        out.put_uint(nal.len() as u64, size.into());
        // A copy: the lengths need other space than the start codes had.
        out.put_slice(nal);
    }
    Ok(out.freeze())
}

/// Whether lengths lead exactly to the end.
fn check_lengths(unit: &[u8], size: u8) -> Result<(), Malformed> {
    let field = "NAL unit length";
    let mut r = Reader::new(unit);
    while !r.is_empty() {
        let length = match size {
            1 => r.u8(field)?.into(),
            2 => r.u16(field)?.into(),
            _ => r.u32(field)? as usize,
        };
        r.take(length, "NAL unit")?;
    }
    Ok(())
}

/// The NAL units between start codes, without zeros at their ends.
fn nal_units(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = unit;
    let mut is_first = true;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = rest
                .windows(START_CODE.len())
                .position(|window| window == START_CODE);
            let (nal, behind) = match end {
                Some(at) => {
                    let (nal, behind) = rest.split_at(at);
                    (nal, behind.get(START_CODE.len()..).unwrap_or_default())
                }
                None => (rest, &[][..]),
            };
            rest = behind;
            // What comes ahead of the first start code is zeros.
            let is_nal = !std::mem::replace(&mut is_first, false);
            let zeros = nal.iter().rev().take_while(|byte| **byte == 0).count();
            let nal = nal.get(..nal.len() - zeros).unwrap_or_default();
            if is_nal && !nal.is_empty() {
                return Some(nal);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_stay_as_they_are() {
        for (size, unit) in [
            (4, &b"\0\0\0\x02\x65\x88\0\0\0\x01\x41"[..]),
            (2, b"\0\x02\x65\x88"),
            (1, b"\x02\x65\x88\x01\x41"),
            (4, b"\0\0\0\0\0\0\0\x01\x41"),
            (4, b""),
        ] {
            let unit = Bytes::from_static(unit);
            assert_eq!(with_lengths(unit.clone(), size), Ok(unit));
        }
    }

    #[test]
    fn a_length_that_looks_like_a_start_code_is_a_length() {
        let unit = Bytes::from([&[0, 0, 1, 0x41][..], &[7; 0x141]].concat());
        assert_eq!(with_lengths(unit.clone(), 4), Ok(unit));
    }

    #[test]
    fn start_codes_become_lengths() {
        let annex_b = Bytes::from_static(b"\0\0\0\x01\x09\xf0\0\0\x01\x65\x88\0\0\0\0\x01\x41\0");
        assert_eq!(
            with_lengths(annex_b.clone(), 4),
            Ok(Bytes::from_static(
                b"\0\0\0\x02\x09\xf0\0\0\0\x02\x65\x88\0\0\0\x01\x41"
            ))
        );
        assert_eq!(
            with_lengths(annex_b, 1),
            Ok(Bytes::from_static(b"\x02\x09\xf0\x02\x65\x88\x01\x41"))
        );
        let long = Bytes::from([&[0, 0, 1][..], &[7; 256]].concat());
        assert_eq!(
            with_lengths(long, 1),
            Err(Malformed::Excessive("NAL unit length"))
        );
    }

    #[test]
    fn what_is_neither_is_refused() {
        for unit in [&b"\0\0\0\x09\x65"[..], b"\0\0\0", b"\xff\xff\xff\xff\x65"] {
            assert!(with_lengths(Bytes::from_static(unit), 4).is_err());
        }
    }
}
