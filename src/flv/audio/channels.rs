//! `MultichannelConfig`: which channel is where. Enhanced RTMP v2 "Enhanced Audio".
//!
//! Codecs that order their channels themselves (AAC, Opus of family 1 and up, FLAC, AC-3, E-AC-3) need none, and
//! FFmpeg 8 sends one for them all the same, in its own order: there it is to be ignored.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::{Malformed, Reader};

/// Most channels that are believed.
const MAX_CHANNELS: u8 = 64;

/// The place of a channel (`AudioChannel`). Any byte may arrive.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Channel(u8);

#[allow(missing_docs, reason = "the names say it")]
impl Channel {
    pub const FRONT_LEFT: Self = Self(0);
    pub const FRONT_RIGHT: Self = Self(1);
    pub const FRONT_CENTER: Self = Self(2);
    pub const LOW_FREQUENCY_1: Self = Self(3);
    pub const BACK_LEFT: Self = Self(4);
    pub const BACK_RIGHT: Self = Self(5);
    pub const FRONT_LEFT_OF_CENTER: Self = Self(6);
    pub const FRONT_RIGHT_OF_CENTER: Self = Self(7);
    pub const BACK_CENTER: Self = Self(8);
    pub const SIDE_LEFT: Self = Self(9);
    pub const SIDE_RIGHT: Self = Self(10);
    pub const TOP_CENTER: Self = Self(11);
    pub const TOP_FRONT_LEFT: Self = Self(12);
    pub const TOP_FRONT_CENTER: Self = Self(13);
    pub const TOP_FRONT_RIGHT: Self = Self(14);
    pub const TOP_BACK_LEFT: Self = Self(15);
    pub const TOP_BACK_CENTER: Self = Self(16);
    pub const TOP_BACK_RIGHT: Self = Self(17);
    pub const LOW_FREQUENCY_2: Self = Self(18);
    pub const TOP_SIDE_LEFT: Self = Self(19);
    pub const TOP_SIDE_RIGHT: Self = Self(20);
    pub const BOTTOM_FRONT_CENTER: Self = Self(21);
    pub const BOTTOM_FRONT_LEFT: Self = Self(22);
    pub const BOTTOM_FRONT_RIGHT: Self = Self(23);
    /// Holds nothing and can be skipped.
    pub const UNUSED: Self = Self(0xFE);
    /// Holds something, whose place is not known.
    pub const UNKNOWN: Self = Self(0xFF);
}

impl Channel {
    /// From the byte on the wire.
    #[must_use]
    pub const fn from_id(id: u8) -> Self {
        Self(id)
    }

    /// The byte on the wire; also its bit in the mask of [`ChannelConfig::Native`].
    #[must_use]
    pub const fn id(self) -> u8 {
        self.0
    }
}

/// The channels of a stream, in the order in which the codec has them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ChannelConfig {
    /// `AudioChannelOrder` 0: nothing but their number, 1 to 64.
    Unspecified(u8),
    /// 1: a bit of each channel, whose order is that of the bits from the lowest on.
    Native(u32),
    /// 2: each by name, 1 to 64.
    Custom(Vec<Channel>),
}

impl ChannelConfig {
    const UNSPECIFIED: u8 = 0;
    const NATIVE: u8 = 1;
    const CUSTOM: u8 = 2;

    /// Number of channels.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Unspecified(count) => usize::from(*count),
            Self::Native(mask) => mask.count_ones() as usize,
            Self::Custom(channels) => channels.len(),
        }
    }

    /// The channels in the order of the codec; `None` if nothing is said about that.
    #[must_use]
    pub fn channels(&self) -> Option<Vec<Channel>> {
        match self {
            Self::Unspecified(_) => None,
            Self::Native(mask) => Some((0..32).filter(|id| mask >> id & 1 == 1).map(Channel).collect()),
            Self::Custom(channels) => Some(channels.clone()),
        }
    }

    /// Reads what follows the FourCC. It has to agree with itself.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let order = r.u8("AudioChannelOrder")?;
        let count = r.u8("channelCount")?;
        let invalid = |field, value| Err(Malformed::Invalid { field, value });
        if !(1..=MAX_CHANNELS).contains(&count) {
            return invalid("channelCount", count.into());
        }
        match order {
            Self::UNSPECIFIED => Ok(Self::Unspecified(count)),
            Self::NATIVE => {
                let mask = r.u32("audioChannelFlags")?;
                if mask.count_ones() != u32::from(count) {
                    return invalid("audioChannelFlags", mask.into());
                }
                Ok(Self::Native(mask))
            }
            Self::CUSTOM => {
                let channels = r.take(usize::from(count), "audioChannelMapping")?;
                if !r.is_empty() {
                    return invalid("channelCount", count.into());
                }
                Ok(Self::Custom(channels.iter().copied().map(Channel).collect()))
            }
            other => invalid("AudioChannelOrder", other.into()),
        }
    }

    /// Writes what follows the FourCC. `None` if there are no channels or more than 64.
    #[must_use]
    pub fn encode(&self) -> Option<Bytes> {
        let count = u8::try_from(self.count())
            .ok()
            .filter(|count| (1..=MAX_CHANNELS).contains(count))?;
        let mut out = BytesMut::new();
        match self {
            Self::Unspecified(_) => {
                out.put_u8(Self::UNSPECIFIED);
                out.put_u8(count);
            }
            Self::Native(mask) => {
                out.put_u8(Self::NATIVE);
                out.put_u8(count);
                out.put_u32(*mask);
            }
            Self::Custom(channels) => {
                out.put_u8(Self::CUSTOM);
                out.put_u8(count);
                out.extend(channels.iter().map(|channel| channel.id()));
            }
        }
        Some(out.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<ChannelConfig, Malformed> {
        ChannelConfig::decode(&mut Reader::new(bytes))
    }

    #[test]
    fn channels_come_in_the_order_of_the_codec() {
        let surround = decode(b"\x01\x06\0\0\0\x3f").unwrap();
        assert_eq!(surround.count(), 6);
        assert_eq!(
            surround.channels().unwrap(),
            [
                Channel::FRONT_LEFT,
                Channel::FRONT_RIGHT,
                Channel::FRONT_CENTER,
                Channel::LOW_FREQUENCY_1,
                Channel::BACK_LEFT,
                Channel::BACK_RIGHT,
            ]
        );
        let custom = decode(b"\x02\x03\x01\xfe\x00").unwrap();
        assert_eq!(
            custom.channels().unwrap(),
            [Channel::FRONT_RIGHT, Channel::UNUSED, Channel::FRONT_LEFT]
        );
        assert_eq!(decode(b"\x00\x08").unwrap().channels(), None);
        assert_eq!(
            ChannelConfig::Native(1 << 23).channels().unwrap(),
            [Channel::BOTTOM_FRONT_RIGHT]
        );
    }

    #[test]
    fn configurations_that_contradict_themselves_are_refused() {
        let invalid = |field, value| Err(Malformed::Invalid { field, value });
        for (bytes, refused) in [
            (&b"\x00\x00"[..], invalid("channelCount", 0)),
            (b"\x00\x41", invalid("channelCount", 65)),
            (b"\x01\x05\0\0\0\x3f", invalid("audioChannelFlags", 0x3f)),
            (b"\x02\x02\x00\x01\x02", invalid("channelCount", 2)),
            (b"\x03\x02\x00\x01", invalid("AudioChannelOrder", 3)),
            (
                b"\x01\x02\0\0\x03",
                Err(Malformed::Truncated("audioChannelFlags")),
            ),
            (b"\x02\x02\x00", Err(Malformed::Truncated("audioChannelMapping"))),
        ] {
            assert_eq!(decode(bytes), refused, "{bytes:02x?}");
        }
    }

    #[test]
    fn only_believable_numbers_of_channels_are_written() {
        assert_eq!(ChannelConfig::Native(0).encode(), None);
        assert_eq!(ChannelConfig::Unspecified(65).encode(), None);
        assert_eq!(ChannelConfig::Custom(vec![Channel::UNKNOWN; 65]).encode(), None);
        let written = ChannelConfig::Custom(vec![Channel::UNKNOWN; 64])
            .encode()
            .unwrap();
        assert_eq!(written.len(), 66);
    }
}
