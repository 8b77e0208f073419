//! The headers of Speex in Ogg, Speex manual section 8, which FLV leaves out and decoders want: in FLV it is always
//! wideband and mono.

use bytes::{BufMut, Bytes, BytesMut};

/// Sample rate in Hz.
pub const SAMPLE_RATE: u32 = 16_000;

/// Samples of a frame.
pub const FRAME_SIZE: u32 = 320;

/// Bytes of the header.
const HEADER_SIZE: u32 = 80;

/// The stream header.
#[must_use]
pub fn header() -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(b"Speex   ");
    out.put_slice(b"1.1.12\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let version = 1;
    let wideband = 1;
    let bitstream_version = 4;
    let channels = 1;
    let bit_rate_unknown = u32::MAX;
    let is_vbr = 0;
    let frames_per_packet = 1;
    for field in [
        version,
        HEADER_SIZE,
        SAMPLE_RATE,
        wideband,
        bitstream_version,
        channels,
        bit_rate_unknown,
        FRAME_SIZE,
        is_vbr,
        frames_per_packet,
        // No further headers, and two reserved fields.
        0,
        0,
        0,
    ] {
        out.put_u32_le(field);
    }
    out.freeze()
}

/// The comment header: no vendor, no comments.
#[must_use]
pub const fn comment() -> Bytes {
    Bytes::from_static(&[0; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_flvdemux_but_for_the_frame_size() {
        // GStreamer's writes 80 samples, which decoders do not look at; wideband has 320.
        let expected = b"Speex   1.1.12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
            \x01\0\0\0\x50\0\0\0\x80\x3e\0\0\x01\0\0\0\x04\0\0\0\x01\0\0\0\xff\xff\xff\xff\
            \x40\x01\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(header(), expected[..]);
        assert_eq!(header().len(), HEADER_SIZE as usize);
        assert_eq!(comment().len(), 8);
    }
}
