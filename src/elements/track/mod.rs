//! One elementary stream <-> the audio or video tag bodies of one track, whichever element it flows through.
//!
//! [`TrackEncoder`] makes tag bodies of caps and buffers, [`TrackDecoder`] caps and buffers of packets. Both are
//! told timestamps and keep none: mapping time to that of the stream, and putting tracks in order, is up to the
//! element.

mod decoder;
mod description;
mod encoder;
mod error;
mod format;
mod metadata;
mod nal;
mod picture;
mod sound;
#[cfg(test)]
mod tests;
mod timeline;

pub(crate) use self::decoder::{Mark, Output, TrackDecoder};
pub(crate) use self::encoder::{Changes, TagBody, TrackEncoder};
pub(crate) use self::error::{Error, Told};
pub(crate) use self::format::{AudioFormat, Format, TrackKind, VideoFormat};
pub(crate) use self::metadata::{TrackMetadata, on_meta_data, tags_of};
pub(crate) use self::timeline::{Timeline, Times, clock_time, clock_time_of_millis};

/// Bytes of the longest sequence header that is kept; those of real codecs have a few hundred.
const MAX_HEADER: usize = 64 << 10;
