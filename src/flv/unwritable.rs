//! What the writers of tag bodies refuse.

use std::fmt;

/// A packet that no tag body can hold. Always the fault of who made the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unwritable {
    /// The codec has no packets of this kind in this form, or the packet needs a codec and has none.
    Payload,
    /// A legacy tag has no place for a track other than 0.
    LegacyTrack(u8),
    /// Nanoseconds that make a whole millisecond, or any in a legacy tag.
    NanoOffset(u32),
    /// A composition time that does not fit 24 bits, or any of a codec whose packets have none.
    CompositionTime(i32),
    /// The frame type of commands, on a packet that is none.
    FrameType,
    /// Packets for one tag that differ in what its tracks share, or more tracks than readers take.
    Tracks,
    /// A tag, or a track of one, whose size does not fit 24 bits.
    Size(usize),
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload => f.write_str("the codec has no packets of this kind"),
            Self::LegacyTrack(track) => write!(f, "a legacy tag cannot be of track {track}"),
            Self::NanoOffset(nanos) => write!(f, "the tag cannot carry an offset of {nanos} ns"),
            Self::CompositionTime(millis) => {
                write!(f, "the tag cannot carry a composition time of {millis} ms")
            }
            Self::FrameType => f.write_str("the frame type of commands is for commands only"),
            Self::Tracks => f.write_str("these packets cannot share a tag"),
            Self::Size(bytes) => write!(f, "{bytes} bytes are more than a tag has room for"),
        }
    }
}

impl std::error::Error for Unwritable {}
