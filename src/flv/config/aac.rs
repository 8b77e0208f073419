//! `AudioSpecificConfig`, ISO 14496-3 section 1.6.2.1.

use super::bits::Bits;
use crate::wire::Malformed;

/// Longest configuration in bytes that is believed; those in use have two to a dozen.
const MAX_CONFIG: usize = 1 << 10;

/// Sample rates in Hz by `samplingFrequencyIndex`.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/// Audio object types that go by more than their number here.
mod object_type {
    pub(super) const SBR: u8 = 5;
    pub(super) const SCALABLE: u8 = 6;
    pub(super) const ER_SCALABLE: u8 = 20;
    pub(super) const ER_BSAC: u8 = 22;
    pub(super) const ER_LD: u8 = 23;
    pub(super) const PS: u8 = 29;
}

/// Spectral band replication that a configuration announces. Without an announcement it may come all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sbr {
    /// Sample rate in Hz of what the decoder puts out.
    pub sample_rate: u32,
    /// Whether parametric stereo makes two channels of the one.
    pub has_ps: bool,
}

/// What AAC needs to be decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AudioSpecificConfig {
    /// `audioObjectType` of the core: 1 Main, 2 LC, 42 xHE, ...
    pub object_type: u8,
    /// Sample rate in Hz of the core.
    pub sample_rate: u32,
    /// Channels of the core; `None` of reserved configurations.
    pub channels: Option<u8>,
    /// What makes it HE-AAC, or HE-AAC version 2, if that is said.
    pub sbr: Option<Sbr>,
    /// Samples of the core in a frame: 1024 or 960, of low delay AAC 512 or 480. `None` of types that do not
    /// say it in this way.
    pub samples_per_frame: Option<u16>,
}

impl AudioSpecificConfig {
    /// Reads a configuration. What follows that is not understood is left alone.
    pub fn decode(config: &[u8]) -> Result<Self, Malformed> {
        if config.len() > MAX_CONFIG {
            return Err(Malformed::Excessive("AudioSpecificConfig"));
        }
        let mut bits = Bits::new(config);
        let mut object_type = read_object_type(&mut bits)?;
        let sample_rate = read_sample_rate(&mut bits)?;
        let channel_configuration = bits.byte(4, "channelConfiguration")?;
        let mut sbr = None;
        if matches!(object_type, object_type::SBR | object_type::PS) {
            sbr = Some(Sbr {
                has_ps: object_type == object_type::PS,
                sample_rate: read_sample_rate(&mut bits)?,
            });
            object_type = read_object_type(&mut bits)?;
            if object_type == object_type::ER_BSAC {
                bits.take(4, "extensionChannelConfiguration")?;
            }
        }
        let mut config = Self {
            object_type,
            sample_rate,
            channels: channels(channel_configuration),
            sbr,
            samples_per_frame: None,
        };
        if config.is_general_audio() {
            config.read_general_audio(&mut bits, channel_configuration)?;
            if sbr.is_none() {
                config.sbr = read_trailing_sbr(&mut bits);
            }
        }
        Ok(config)
    }

    /// Sample rate in Hz of what the decoder puts out, as far as the configuration tells.
    #[must_use]
    pub fn output_sample_rate(&self) -> u32 {
        self.sbr.map_or(self.sample_rate, |sbr| sbr.sample_rate)
    }

    const fn is_general_audio(&self) -> bool {
        matches!(self.object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
    }

    /// `GASpecificConfig`.
    fn read_general_audio(
        &mut self,
        bits: &mut Bits<'_>,
        channel_configuration: u8,
    ) -> Result<(), Malformed> {
        let is_short = bits.flag("frameLengthFlag")?;
        self.samples_per_frame = Some(match (self.object_type == object_type::ER_LD, is_short) {
            (false, false) => 1024,
            (false, true) => 960,
            (true, false) => 512,
            (true, true) => 480,
        });
        if bits.flag("dependsOnCoreCoder")? {
            bits.take(14, "coreCoderDelay")?;
        }
        let has_extension = bits.flag("extensionFlag")?;
        if channel_configuration == 0 {
            self.channels = Some(read_program_channels(bits)?);
        }
        if matches!(self.object_type, object_type::SCALABLE | object_type::ER_SCALABLE) {
            bits.take(3, "layerNr")?;
        }
        if has_extension {
            match self.object_type {
                object_type::ER_BSAC => drop(bits.take(5 + 11, "BSAC extension")?),
                17 | 19 | object_type::ER_SCALABLE | object_type::ER_LD => {
                    bits.take(3, "error resilience flags")?;
                }
                _ => {}
            }
            bits.take(1, "extensionFlag3")?;
        }
        Ok(())
    }
}

fn read_object_type(bits: &mut Bits<'_>) -> Result<u8, Malformed> {
    match bits.byte(5, "audioObjectType")? {
        31 => Ok(32 + bits.byte(6, "audioObjectTypeExt")?),
        object_type => Ok(object_type),
    }
}

fn read_sample_rate(bits: &mut Bits<'_>) -> Result<u32, Malformed> {
    let index = bits.byte(4, "samplingFrequencyIndex")?;
    let (field, rate) = match SAMPLE_RATES.get(usize::from(index)) {
        Some(rate) => return Ok(*rate),
        None if index == 15 => ("samplingFrequency", bits.take(24, "samplingFrequency")?),
        None => ("samplingFrequencyIndex", 0),
    };
    if rate == 0 {
        return Err(Malformed::Invalid {
            field,
            value: index.into(),
        });
    }
    Ok(rate)
}

/// Channels of a `channelConfiguration`; 0 leaves it to a program configuration element.
const fn channels(configuration: u8) -> Option<u8> {
    match configuration {
        1..=6 => Some(configuration),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        _ => None,
    }
}

/// Channels of a `program_config_element`, ISO 14496-3 section 4.4.1.1.
fn read_program_channels(bits: &mut Bits<'_>) -> Result<u8, Malformed> {
    let field = "program_config_element";
    bits.take(4 + 2 + 4, field)?;
    let speakers = bits.byte(4, field)? + bits.byte(4, field)? + bits.byte(4, field)?;
    let effects = bits.byte(2, field)?;
    let associated = bits.byte(3, field)?;
    let coupled = bits.byte(4, field)?;
    for mixdown_bits in [4, 4, 3] {
        if bits.flag(field)? {
            bits.take(mixdown_bits, field)?;
        }
    }
    // At most 45 speaker elements of two channels, and three effects.
    let mut channels = effects;
    for _ in 0..speakers {
        let is_pair = bits.flag(field)?;
        bits.take(4, field)?;
        channels += 1 + u8::from(is_pair);
    }
    for _ in 0..effects + associated {
        bits.take(4, field)?;
    }
    for _ in 0..coupled {
        bits.take(5, field)?;
    }
    bits.align();
    for _ in 0..bits.byte(8, field)? {
        bits.take(8, field)?;
    }
    Ok(channels)
}

/// What encoders append so that older decoders do not stumble over it. It may be cut short or missing.
fn read_trailing_sbr(bits: &mut Bits<'_>) -> Option<Sbr> {
    const SBR_SYNC: u32 = 0x2B7;
    const PS_SYNC: u32 = 0x548;
    let field = "syncExtensionType";
    if bits.take(11, field).ok()? != SBR_SYNC
        || read_object_type(bits).ok()? != object_type::SBR
        || !bits.flag(field).ok()?
    {
        return None;
    }
    let sample_rate = read_sample_rate(bits).ok()?;
    let has_ps = bits.take(11, field) == Ok(PS_SYNC) && bits.flag(field) == Ok(true);
    Some(Sbr { sample_rate, has_ps })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lc(sample_rate: u32, channels: u8) -> Result<AudioSpecificConfig, Malformed> {
        Ok(AudioSpecificConfig {
            object_type: 2,
            sample_rate,
            channels: Some(channels),
            sbr: None,
            samples_per_frame: Some(1024),
        })
    }

    #[test]
    fn low_complexity_is_two_bytes() {
        for (config, rate, channels) in [
            ([0x11, 0x90], 48_000, 2),
            ([0x12, 0x10], 44_100, 2),
            ([0x12, 0x08], 44_100, 1),
            ([0x12, 0x90], 32_000, 2),
            ([0x15, 0x88], 8_000, 1),
            ([0x11, 0xb0], 48_000, 6),
            ([0x11, 0xb8], 48_000, 8),
        ] {
            assert_eq!(
                AudioSpecificConfig::decode(&config),
                lc(rate, channels),
                "{config:02x?}"
            );
        }
    }

    #[test]
    fn a_trailer_may_deny_sbr_announce_it_or_break_off() {
        assert_eq!(
            AudioSpecificConfig::decode(&[0x12, 0x10, 0x56, 0xe5, 0]),
            lc(44_100, 2)
        );
        // Present, 48 kHz, then the sync of parametric stereo, present: 0x2b7, 5, 1, 3, 0x548, 1.
        let v2 = [0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80];
        let sbr = |config: &[u8]| AudioSpecificConfig::decode(config).unwrap().sbr;
        let expected = |has_ps| {
            Some(Sbr {
                sample_rate: 48_000,
                has_ps,
            })
        };
        assert_eq!(sbr(&v2), expected(true));
        assert_eq!(sbr(&v2[..6]), expected(false));
        assert_eq!(sbr(&v2[..4]), None);
        let config = AudioSpecificConfig::decode(&v2).unwrap();
        assert_eq!(
            (config.sample_rate, config.output_sample_rate()),
            (24_000, 48_000)
        );
    }

    #[test]
    fn high_efficiency_names_its_core_behind_it() {
        // 5, index 6, 2 channels, extension index 3, core 2, no flags.
        let config = AudioSpecificConfig::decode(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!(
            config,
            AudioSpecificConfig {
                object_type: 2,
                sample_rate: 24_000,
                channels: Some(2),
                sbr: Some(Sbr {
                    sample_rate: 48_000,
                    has_ps: false
                }),
                samples_per_frame: Some(1024),
            }
        );
        // The same of 29 with one channel.
        let v2 = AudioSpecificConfig::decode(&[0xeb, 0x09, 0x88, 0x00]).unwrap();
        assert!(v2.sbr.unwrap().has_ps);
        assert_eq!(v2.channels, Some(1));
    }

    #[test]
    fn types_and_rates_may_be_escaped() {
        // 31, 10 -> 42 (xHE); index 15, 44056 Hz; 2 channels.
        let config = AudioSpecificConfig::decode(&[0xf9, 0x5e, 0x01, 0x58, 0x30, 0x40]).unwrap();
        assert_eq!(config.object_type, 42);
        assert_eq!((config.sample_rate, config.channels), (44_056, Some(2)));
        assert_eq!(config.samples_per_frame, None);
    }

    #[test]
    fn a_program_configuration_counts_channels() {
        // LC at 48 kHz without a configuration: one front pair, one back pair, one effect channel, no comment.
        let bits = concat!(
            "00010", "0011", "0000", "000", // AudioSpecificConfig up to the element
            "0000", "01", "0011", "0001", "0000", "0001", "01", "000", "0000",
            "000", // counts, no mixdown
            "10000", "10001", "0000", "0000000", // elements, alignment
            "00000000"
        );
        let config: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|byte| byte.iter().fold(0, |all, bit| all << 1 | (bit - b'0')))
            .collect();
        let config = AudioSpecificConfig::decode(&config).unwrap();
        assert_eq!(config.channels, Some(5));
    }

    #[test]
    fn reserved_values_and_early_ends_are_refused() {
        assert_eq!(
            AudioSpecificConfig::decode(&[0x16, 0x90]),
            Err(Malformed::Invalid {
                field: "samplingFrequencyIndex",
                value: 13
            })
        );
        assert_eq!(
            AudioSpecificConfig::decode(&[0x12]),
            Err(Malformed::Truncated("samplingFrequencyIndex"))
        );
        assert_eq!(
            AudioSpecificConfig::decode(&[0x12; MAX_CONFIG + 1]),
            Err(Malformed::Excessive("AudioSpecificConfig"))
        );
        assert_eq!(AudioSpecificConfig::decode(&[0x11, 0xc0]).unwrap().channels, None);
    }
}
