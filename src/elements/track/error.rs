//! Why a track cannot be written or read, in sentences for people.

use std::fmt;
use std::mem::{Discriminant, discriminant};

use super::format::Format;
use crate::flv::Unwritable;
use crate::wire::Malformed;

/// What is wrong with caps, a buffer or a packet. None of it ends a stream that can go on without.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Error {
    /// The caps are of a codec that no tag carries.
    UnknownCaps(String),
    /// The caps lack the named field, or have it with a value that no tag can carry.
    Caps { format: Format, lack: &'static str },
    /// Legacy tags cannot carry the codec, and others are not wanted.
    NeedsEnhanced(Format),
    /// Legacy tags cannot carry more than one track of a kind, and others are not wanted.
    TrackNeedsEnhanced(u8),
    /// Enhanced tags have no code for the codec, and they alone carry tracks other than 0.
    NeedsLegacy(Format),
    /// Bytes of the codec that are not what they have to be.
    Malformed { format: Format, cause: Malformed },
    /// A buffer whose memory cannot be read.
    Unreadable,
    /// A frame that no tag can hold.
    Unwritable(Unwritable),
    /// Frames came ahead of what decoders need first, and were dropped.
    NoHeader(Format),
    /// A track of a codec that GStreamer has no caps for.
    UnknownCodec(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCaps(name) => write!(f, "no FLV tag can carry {name}"),
            Self::Caps { format, lack } => write!(f, "the caps of {format} need {lack}"),
            Self::NeedsEnhanced(format) => write!(f, "{format} needs Enhanced RTMP, which is set to never"),
            Self::TrackNeedsEnhanced(track) => {
                write!(f, "track {track} needs Enhanced RTMP, which is set to never")
            }
            Self::NeedsLegacy(format) => {
                write!(f, "Enhanced RTMP has no {format}, so that it can only be track 0")
            }
            Self::Malformed { format, cause } => write!(f, "this is not {format}: {cause}"),
            Self::Unreadable => f.write_str("the buffer cannot be read"),
            Self::Unwritable(cause) => write!(f, "no tag can hold the frame: {cause}"),
            Self::NoHeader(format) => write!(f, "{format} cannot be decoded before its sequence header"),
            Self::UnknownCodec(codec) => write!(f, "GStreamer has no caps for {codec}"),
        }
    }
}

impl std::error::Error for Error {}

/// The kinds of errors that an application has been told of. Each frame of a bad track may have one.
#[derive(Debug, Default)]
pub(crate) struct Told(Vec<Discriminant<Error>>);

impl Told {
    /// Whether `error` is the first of its kind: others say nothing new.
    pub(crate) fn is_new(&mut self, error: &Error) -> bool {
        let kind = discriminant(error);
        let is_new = !self.0.contains(&kind);
        if is_new {
            self.0.push(kind);
        }
        is_new
    }
}
