//! The identification header of Opus, RFC 7845 section 5.1, alone in E-RTMP with its lowest bytes first.

use bytes::{BufMut, Bytes, BytesMut};

use super::open;
use crate::wire::{Malformed, Reader};

/// First eight bytes of the header.
const SIGNATURE: &[u8] = b"OpusHead";

/// The bit of a packet's first byte that says it is stereo, RFC 6716 section 3.1.
const STEREO: u8 = 0x04;

/// What an Opus stream says ahead of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpusHead {
    /// Channels that decoders put out, 1 to 255.
    pub channels: u8,
    /// Samples at 48 kHz to drop from the start.
    pub pre_skip: u16,
    /// Sample rate in Hz before encoding, 0 if it is not known. Decoders put out 48 kHz.
    pub input_sample_rate: u32,
    /// Gain to apply, in 256ths of a decibel.
    pub output_gain: i16,
    /// `channel mapping family`: 0 mono and stereo, 1 the order of Vorbis, 255 none.
    pub mapping_family: u8,
    /// Of families other than 0, how streams make channels.
    pub mapping: Option<ChannelMapping>,
}

/// How the streams of a packet make channels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChannelMapping {
    /// Streams in a packet, at least 1.
    pub streams: u8,
    /// Those of them, the first ones, that are stereo.
    pub coupled: u8,
    /// For each channel the decoded one that it is, or 255 for silence.
    pub channels: Bytes,
}

impl OpusHead {
    const VERSION: u8 = 1;

    /// Reads a header.
    pub fn decode(header: &Bytes) -> Result<Self, Malformed> {
        let mut r = open(header)?;
        if r.take(SIGNATURE.len(), "OpusHead")? != SIGNATURE {
            return Err(Malformed::Invalid {
                field: "OpusHead",
                value: Reader::new(header).u32("OpusHead")?.into(),
            });
        }
        let invalid = |field, value: u8| {
            Err(Malformed::Invalid {
                field,
                value: value.into(),
            })
        };
        let version = r.u8("OpusHead version")?;
        // Minor versions stay readable.
        if version & 0xf0 != 0 {
            return invalid("OpusHead version", version);
        }
        let channels = r.u8("OpusHead channels")?;
        let pre_skip = r.u16("OpusHead pre-skip")?.swap_bytes();
        let input_sample_rate = r.u32_le("OpusHead sample rate")?;
        let output_gain = r.u16("OpusHead gain")?.swap_bytes().cast_signed();
        let mapping_family = r.u8("OpusHead mapping family")?;
        let most = if mapping_family == 0 { 2 } else { u8::MAX };
        if !(1..=most).contains(&channels) {
            return invalid("OpusHead channels", channels);
        }
        let mapping = if mapping_family == 0 {
            None
        } else {
            let streams = r.u8("OpusHead streams")?;
            let coupled = r.u8("OpusHead coupled streams")?;
            let Some(decoded) = streams
                .checked_add(coupled)
                .filter(|_| (1..=streams).contains(&coupled.max(1)))
            else {
                return invalid("OpusHead streams", streams);
            };
            let mapping = r.take(usize::from(channels), "OpusHead mapping")?;
            if let Some(beyond) = mapping
                .iter()
                .find(|index| **index >= decoded && **index != u8::MAX)
            {
                return invalid("OpusHead mapping", *beyond);
            }
            Some(ChannelMapping {
                streams,
                coupled,
                channels: header.slice_ref(mapping),
            })
        };
        Ok(Self {
            channels,
            pre_skip,
            input_sample_rate,
            output_gain,
            mapping_family,
            mapping,
        })
    }

    /// The header that a stream of one or two channels would have, as far as a packet of it tells: for streams
    /// that bring an empty one or none. `None` if the packet is empty.
    #[must_use]
    pub fn of_packet(packet: &[u8]) -> Option<Self> {
        let toc = packet.first()?;
        Some(Self {
            channels: if toc & STEREO == 0 { 1 } else { 2 },
            pre_skip: 0,
            input_sample_rate: 48_000,
            output_gain: 0,
            mapping_family: 0,
            mapping: None,
        })
    }

    /// Writes a header.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(SIGNATURE);
        out.put_u8(Self::VERSION);
        out.put_u8(self.channels);
        out.put_u16_le(self.pre_skip);
        out.put_u32_le(self.input_sample_rate);
        out.put_i16_le(self.output_gain);
        out.put_u8(self.mapping_family);
        if let Some(mapping) = &self.mapping {
            out.put_u8(mapping.streams);
            out.put_u8(mapping.coupled);
            out.put_slice(&mapping.channels);
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_headers_read_and_write() {
        let bytes = Bytes::from_static(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0");
        let stereo = OpusHead {
            channels: 2,
            pre_skip: 312,
            input_sample_rate: 48_000,
            output_gain: 0,
            mapping_family: 0,
            mapping: None,
        };
        assert_eq!(OpusHead::decode(&bytes), Ok(stereo.clone()));
        assert_eq!(stereo.encode(), bytes);

        let bytes = Bytes::from_static(
            b"OpusHead\x01\x06\x38\x01\x80\xbb\0\0\0\xff\x01\x04\x02\x00\x04\x01\x02\x03\x05",
        );
        let surround = OpusHead::decode(&bytes).unwrap();
        assert_eq!((surround.mapping_family, surround.output_gain), (1, -256));
        let mapping = surround.mapping.as_ref().unwrap();
        assert_eq!((mapping.streams, mapping.coupled), (4, 2));
        assert_eq!(surround.encode(), bytes);
        for end in 0..bytes.len() {
            assert!(
                matches!(
                    OpusHead::decode(&bytes.slice(..end)),
                    Err(Malformed::Truncated(_))
                ),
                "{end}"
            );
        }
    }

    #[test]
    fn headers_that_no_decoder_takes_are_refused() {
        for (header, field) in [
            (&b"\0\x02\x01\x38\0\0\xbb\x80\0\0\0dOps of MP4"[..], "OpusHead"),
            (b"OpusHead\x10\x02\x38\x01\x80\xbb\0\0\0\0\0", "OpusHead version"),
            (b"OpusHead\x01\0\x38\x01\x80\xbb\0\0\0\0\0", "OpusHead channels"),
            (b"OpusHead\x01\x03\x38\x01\x80\xbb\0\0\0\0\0", "OpusHead channels"),
            (
                b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\x01\0\0\0",
                "OpusHead streams",
            ),
            (
                b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\x01\x01\x02\0",
                "OpusHead streams",
            ),
            (
                b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\x01\x01\0\x01",
                "OpusHead mapping",
            ),
        ] {
            let Err(Malformed::Invalid { field: refused, .. }) =
                OpusHead::decode(&Bytes::from_static(header))
            else {
                panic!("{header:02x?}");
            };
            assert_eq!(refused, field);
        }
    }

    #[test]
    fn packets_tell_their_channels() {
        let channels = |packet| OpusHead::of_packet(packet).map(|head| head.channels);
        assert_eq!(channels(&[0xfc, 0xff, 0xfe]), Some(2));
        assert_eq!(channels(&[0xf8]), Some(1));
        assert_eq!(channels(&[]), None);
    }

    proptest! {
        #[test]
        fn what_is_read_reads_the_same_again(rest: Vec<u8>) {
            let header = [SIGNATURE, &[1], &rest].concat();
            if let Ok(head) = OpusHead::decode(&header.into()) {
                prop_assert_eq!(OpusHead::decode(&head.encode()), Ok(head));
            }
        }
    }
}
