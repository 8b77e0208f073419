//! Headers of MPEG audio frames, ISO 11172-3 section 2.4.1.3 and ISO 13818-3, with the extension to 2.5 that is in
//! no standard. MP3 is layer 3 of them.

use super::bits::Bits;
use crate::wire::Malformed;

/// Which standard a frame is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MpegVersion {
    /// MPEG-1.
    V1,
    /// MPEG-2, at half the sample rates.
    V2,
    /// MPEG-2.5, at a quarter.
    V2_5,
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MpegAudioFrame {
    /// Which standard it is of.
    pub version: MpegVersion,
    /// The layer, 1 to 3.
    pub layer: u8,
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// Channels, 1 or 2.
    pub channels: u8,
    /// Samples that each channel has in it.
    pub samples: u16,
    /// Bytes of the whole frame; `None` of free format.
    pub size: Option<usize>,
}

/// Bit rates in kbit/s by `bitrate_index` from 1 on: MPEG-1 layers 1 to 3, MPEG-2 layer 1, then layers 2 and 3.
const BIT_RATES: [[u32; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Sample rates in Hz of MPEG-1 by `sampling_frequency`.
const SAMPLE_RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// `mode` of one channel.
const MONO: u8 = 3;

impl MpegAudioFrame {
    /// Reads the header of the frame at the front of `data`.
    pub fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut bits = Bits::new(data);
        let invalid = |field, value: u32| Malformed::Invalid {
            field,
            value: value.into(),
        };
        let sync = bits.take(11, "syncword")?;
        if sync != 0x7ff {
            return Err(invalid("syncword", sync));
        }
        let version = match bits.byte(2, "MPEG version")? {
            0 => MpegVersion::V2_5,
            2 => MpegVersion::V2,
            3 => MpegVersion::V1,
            reserved => return Err(invalid("MPEG version", reserved.into())),
        };
        let layer = match bits.byte(2, "layer")? {
            0 => return Err(invalid("layer", 0)),
            from_the_end => 4 - from_the_end,
        };
        bits.take(1, "protection_bit")?;
        let rate_index = bits.byte(4, "bitrate_index")?;
        let frequency = bits.byte(2, "sampling_frequency")?;
        let padding = bits.take(1, "padding_bit")?;
        bits.take(1, "private_bit")?;
        let mode = bits.byte(2, "mode")?;

        let full_rate = SAMPLE_RATES
            .get(usize::from(frequency))
            .ok_or(invalid("sampling_frequency", frequency.into()))?;
        let sample_rate = match version {
            MpegVersion::V1 => *full_rate,
            MpegVersion::V2 => full_rate / 2,
            MpegVersion::V2_5 => full_rate / 4,
        };
        let is_v1 = version == MpegVersion::V1;
        let samples: u16 = match layer {
            1 => 384,
            3 if !is_v1 => 576,
            _ => 1152,
        };
        let [v1_1, v1_2, v1_3, v2_1, v2_23] = &BIT_RATES;
        let rates = match (is_v1, layer) {
            (true, 1) => v1_1,
            (true, 2) => v1_2,
            (true, _) => v1_3,
            (false, 1) => v2_1,
            (false, _) => v2_23,
        };
        let size = match rate_index.checked_sub(1) {
            None => None,
            Some(index) => {
                let bit_rate = rates
                    .get(usize::from(index))
                    .ok_or(invalid("bitrate_index", rate_index.into()))?;
                // Slots of four bytes in layer 1, of one in the others; the padding is a slot.
                let slot = if layer == 1 { 4 } else { 1 };
                let slots = u32::from(samples) / 8 / slot * bit_rate * 1000 / sample_rate;
                Some(((slots + padding) * slot) as usize)
            }
        };
        Ok(Self {
            version,
            layer,
            sample_rate,
            channels: if mode == MONO { 1 } else { 2 },
            samples,
            size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_headers_read() {
        let frame = |bytes: [u8; 4]| {
            let frame = MpegAudioFrame::decode(&bytes).unwrap();
            (
                frame.version,
                frame.layer,
                frame.sample_rate,
                frame.channels,
                frame.samples,
                frame.size,
            )
        };
        use MpegVersion::{V1, V2, V2_5};
        // 128 kbit/s at 44.1 kHz, joint stereo, without and with padding.
        assert_eq!(
            frame([0xff, 0xfb, 0x90, 0x64]),
            (V1, 3, 44_100, 2, 1152, Some(417))
        );
        assert_eq!(
            frame([0xff, 0xfb, 0x92, 0x64]),
            (V1, 3, 44_100, 2, 1152, Some(418))
        );
        // 320 kbit/s at 48 kHz; 64 kbit/s mono at 22.05 kHz; 8 kHz of MPEG-2.5.
        assert_eq!(
            frame([0xff, 0xfb, 0xe4, 0x00]),
            (V1, 3, 48_000, 2, 1152, Some(960))
        );
        assert_eq!(
            frame([0xff, 0xf3, 0x80, 0xc0]),
            (V2, 3, 22_050, 1, 576, Some(208))
        );
        assert_eq!(
            frame([0xff, 0xe3, 0x18, 0xc0]),
            (V2_5, 3, 8_000, 1, 576, Some(72))
        );
        // Layers 2 and 1.
        assert_eq!(
            frame([0xff, 0xfd, 0xa4, 0x00]),
            (V1, 2, 48_000, 2, 1152, Some(576))
        );
        assert_eq!(
            frame([0xff, 0xff, 0xc4, 0x00]),
            (V1, 1, 48_000, 2, 384, Some(384))
        );
        // Free format.
        assert_eq!(frame([0xff, 0xfb, 0x04, 0x00]), (V1, 3, 48_000, 2, 1152, None));
    }

    #[test]
    fn reserved_values_are_refused() {
        for (bytes, field) in [
            ([0xff, 0x1b, 0x90, 0], "syncword"),
            ([0xff, 0xeb, 0x90, 0], "MPEG version"),
            ([0xff, 0xf9, 0x90, 0], "layer"),
            ([0xff, 0xfb, 0xf0, 0], "bitrate_index"),
            ([0xff, 0xfb, 0x9c, 0], "sampling_frequency"),
        ] {
            let Err(Malformed::Invalid { field: refused, .. }) = MpegAudioFrame::decode(&bytes) else {
                panic!("{bytes:02x?}");
            };
            assert_eq!(refused, field);
        }
        for end in 0..4 {
            assert!(matches!(
                MpegAudioFrame::decode(&[0xff, 0xfb, 0x90, 0x64][..end]),
                Err(Malformed::Truncated(_))
            ));
        }
    }
}
