//! What codecs say of a stream ahead of it or in their frame headers, as far as caps need it: configuration
//! records of ISO 14496-12 and -15 and their kin, codec headers of Ogg, and headers of self-describing frames.
//!
//! A record that arrives is passed on as it came; reading it here tells its contents and whether decoders can
//! rely on it. Those that senders may have to make themselves can be written too.

mod aac;
mod ac3;
mod av1;
mod avc;
mod bits;
mod flac;
mod hevc;
mod mpeg_audio;
pub mod obu;
mod opus;
pub mod speex;
mod vpx;

pub use aac::{AudioSpecificConfig, Sbr};
pub use ac3::Ac3Frame;
pub use av1::Av1Config;
pub use avc::AvcConfig;
pub use flac::StreamInfo;
pub use hevc::HevcConfig;
pub use mpeg_audio::{MpegAudioFrame, MpegVersion};
pub use opus::{ChannelMapping, OpusHead};
pub use vpx::VpxConfig;

use crate::wire::{Malformed, Reader};

/// Longest record in bytes that is believed: parameter sets come in dozens of bytes each.
const MAX_RECORD: usize = 64 << 10;

/// How much colour the samples of a picture have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChromaFormat {
    /// 4:0:0.
    Monochrome,
    /// 4:2:0.
    Yuv420,
    /// 4:2:2.
    Yuv422,
    /// 4:4:4.
    Yuv444,
}

/// A cursor over a record, unless it is too long to be one.
fn open(record: &[u8]) -> Result<Reader<'_>, Malformed> {
    if record.len() > MAX_RECORD {
        return Err(Malformed::Excessive("configuration record"));
    }
    Ok(Reader::new(record))
}

/// Passes over one NAL unit behind its length.
fn skip_nal_unit(r: &mut Reader<'_>) -> Result<(), Malformed> {
    let length = r.u16("parameter set length")?;
    r.take(usize::from(length), "parameter set").map(drop)
}

/// The bytes of a NAL unit's length field, from the two bits that say it.
fn nal_length_size(bits: u8) -> Result<u8, Malformed> {
    match bits & 3 {
        2 => Err(Malformed::Invalid {
            field: "lengthSizeMinusOne",
            value: 2,
        }),
        minus_one => Ok(minus_one + 1),
    }
}
