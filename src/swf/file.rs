//! The container of a SWF file: eight bytes of header, and behind them the movie, compressed or not. SWF File Format
//! Specification 19, page 27.

use std::fmt;
use std::io::Read as _;

use flate2::read::ZlibDecoder;

/// Bytes of the longest file that is read.
pub const MAX_FILE: usize = 32 << 20;

/// Bytes of the longest file when it is not compressed.
pub const MAX_MOVIE: usize = 32 << 20;

/// Bytes of signature, version and length.
const HEADER_SIZE: usize = 8;

/// Bytes that are inflated at a time: no more memory is taken, however long the movie.
const PART_SIZE: usize = 16 << 10;

/// Why a file is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// It does not begin as a SWF file does.
    NotSwf,
    /// It is compressed with LZMA, which no implementation of SWF verification is known to take.
    Lzma,
    /// It is longer than [`MAX_FILE`], or than [`MAX_MOVIE`] when it is not compressed.
    TooLong,
    /// The compressed part cannot be read.
    Damaged,
    /// It is not as long as its header says.
    WrongLength,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSwf => "it is not a SWF file",
            Self::Lzma => "it is compressed with LZMA, which SWF verification does not know",
            Self::TooLong => "it is longer than 32 MiB",
            Self::Damaged => "its compressed part is damaged",
            Self::WrongLength => "it is not as long as its header says",
        })
    }
}

impl std::error::Error for Error {}

/// Hands the file as it is without compression to `take`, piece by piece, and returns its length.
pub(super) fn unpack(file: &[u8], mut take: impl FnMut(&[u8])) -> Result<u32, Error> {
    let (header, body) = file.split_first_chunk::<HEADER_SIZE>().ok_or(Error::NotSwf)?;
    let [signature @ .., version, a, b, c, d] = *header;
    let length = u32::from_le_bytes([a, b, c, d]);
    if file.len() > MAX_FILE {
        return Err(Error::TooLong);
    }
    let inflate = match &signature {
        b"FWS" => false,
        b"CWS" => true,
        b"ZWS" => return Err(Error::Lzma),
        _ => return Err(Error::NotSwf),
    };
    if length as usize > MAX_MOVIE {
        return Err(Error::TooLong);
    }
    // The header as it would be of a file without compression.
    take(&[b'F', b'W', b'S', version, a, b, c, d]);
    // One byte more than there may be tells a longer movie from one of the right length.
    let rest = u64::from(length).saturating_sub(HEADER_SIZE as u64);
    let taken = if inflate {
        pass(ZlibDecoder::new(body).take(rest.saturating_add(1)), take)?
    } else {
        take(body);
        body.len() as u64
    };
    // A header that claims to be shorter than itself is wrong too.
    if taken != rest || (length as usize) < HEADER_SIZE {
        return Err(Error::WrongLength);
    }
    Ok(length)
}

/// Hands what `inflated` gives to `take` and returns how much it was.
fn pass(mut inflated: impl std::io::Read, mut take: impl FnMut(&[u8])) -> Result<u64, Error> {
    let mut part = vec![0; PART_SIZE];
    let mut total = 0_u64;
    loop {
        let length = inflated.read(&mut part).map_err(|_| Error::Damaged)?;
        if length == 0 {
            return Ok(total);
        }
        take(part.get(..length).unwrap_or_default());
        total = total.saturating_add(length as u64);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write as _;

    pub(in crate::swf) const FWS: &[u8] = &[
        0x46, 0x57, 0x53, 0x0a, 24, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ];

    pub(in crate::swf) const CWS: &[u8] = &[
        0x43, 0x57, 0x53, 0x0a, 24, 0, 0, 0, 0x78, 0xda, 0x63, 0x60, 0x64, 0x62, 0x66, 0x61, 0x65, 0x63,
        0xe7, 0xe0, 0xe4, 0xe2, 0xe6, 0xe1, 0xe5, 0xe3, 0x07, 0x00, 0x02, 0xb8, 0x00, 0x79,
    ];

    fn unpacked(file: &[u8]) -> Result<(u32, Vec<u8>), Error> {
        let mut bytes = Vec::new();
        let length = unpack(file, |part| bytes.extend_from_slice(part))?;
        Ok((length, bytes))
    }

    /// A compressed file that claims to be `length` bytes long and has so many bytes behind its header.
    fn compressed(length: usize, behind_header: usize) -> Vec<u8> {
        let mut file = b"CWS\x0a".to_vec();
        file.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        let mut encoder = ZlibEncoder::new(file, Compression::best());
        encoder.write_all(&vec![0; behind_header]).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn both_forms_unpack_to_the_one_without_compression() {
        assert_eq!(unpacked(FWS), Ok((24, FWS.to_vec())));
        assert_eq!(unpacked(CWS), Ok((24, FWS.to_vec())));
    }

    #[test]
    fn no_beginning_of_a_file_passes_for_it() {
        for file in [FWS, CWS] {
            for length in 0..file.len() {
                let error = unpacked(&file[..length]).unwrap_err();
                let expected: &[Error] = if length < HEADER_SIZE {
                    &[Error::NotSwf]
                } else {
                    &[Error::WrongLength, Error::Damaged]
                };
                assert!(expected.contains(&error), "{length} bytes: {error:?}");
            }
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(unpacked(b"<html><body>404"), Err(Error::NotSwf));
        assert_eq!(unpacked(b"GWS\x0a\x08\0\0\0"), Err(Error::NotSwf));
        assert_eq!(unpacked(b"ZWS\x0d\x18\0\0\0lzma"), Err(Error::Lzma));
        let mut damaged = CWS.to_vec();
        damaged[12] ^= 0x55;
        assert!(matches!(
            unpacked(&damaged),
            Err(Error::Damaged | Error::WrongLength)
        ));
    }

    #[test]
    fn a_file_has_the_length_that_its_header_says() {
        let mut longer = FWS.to_vec();
        longer.push(0);
        assert_eq!(unpacked(&longer), Err(Error::WrongLength));
        assert_eq!(unpacked(b"FWS\x0a\x07\0\0\0"), Err(Error::WrongLength));
        assert_eq!(unpacked(&compressed(100, 92)).map(|(length, _)| length), Ok(100));
        assert_eq!(unpacked(&compressed(100, 91)), Err(Error::WrongLength));
        assert_eq!(unpacked(&compressed(100, 93)), Err(Error::WrongLength));
    }

    #[test]
    fn a_bomb_is_given_up_on_one_byte_behind_its_claimed_length() {
        let mut taken = 0;
        let bomb = compressed(1000, MAX_MOVIE);
        let result = unpack(&bomb, |part| taken += part.len());
        assert_eq!(result, Err(Error::WrongLength));
        assert_eq!(taken, 1001);
    }

    #[test]
    fn what_claims_to_be_too_long_is_not_begun_with() {
        let mut taken = 0;
        let file = compressed(MAX_MOVIE + 1, 10);
        assert_eq!(unpack(&file, |part| taken += part.len()), Err(Error::TooLong));
        let mut file = FWS.to_vec();
        file.resize(MAX_FILE + 1, 0);
        assert_eq!(unpack(&file, |part| taken += part.len()), Err(Error::TooLong));
        assert_eq!(taken, 0);
        let longest = compressed(MAX_MOVIE, MAX_MOVIE - HEADER_SIZE);
        assert_eq!(
            unpack(&longest, |_| ()).map(|length| length as usize),
            Ok(MAX_MOVIE)
        );
    }
}
