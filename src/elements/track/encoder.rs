//! Caps and buffers of one elementary stream -> tag bodies.

use bytes::Bytes;

use super::error::Error;
use super::format::{Format, TrackKind};
use crate::elements::enums::EnhancedRtmp;

/// The body of a tag: what was made for it, and the bytes of the buffer behind that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TagBody {
    pub(crate) kind: TrackKind,
    pub(crate) head: Bytes,
    pub(crate) body: Bytes,
}

/// One frame as a tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    /// Milliseconds for the tag.
    pub(crate) timestamp: u64,
    /// Whether decoding can start here; true of all audio.
    pub(crate) is_key: bool,
    pub(crate) tag: TagBody,
}

/// What new caps or tags make it necessary to send again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes {
    /// [`TrackEncoder::headers`], ahead of the next frame.
    pub(crate) headers: bool,
    /// What [`on_meta_data`](super::on_meta_data) makes.
    pub(crate) metadata: bool,
}

/// Makes the tags of one track.
#[derive(Clone, Debug)]
pub(crate) struct TrackEncoder {}

impl TrackEncoder {
    /// For a stream of `caps`, which have to be fixed, as track `track`, 0 being the one that everybody reads.
    ///
    /// # Errors
    ///
    /// The caps are of no codec that tags carry, or lack something, or `policy` forbids the only form of tag that
    /// carries it.
    pub(crate) fn new(caps: &gst::CapsRef, track: u8, policy: EnhancedRtmp) -> Result<Self, Error> {
        let _ = (caps, track, policy);
        todo!()
    }

    /// Writes times to the nanosecond (`TimestampOffsetNano`) from now on, into enhanced tags only. Readers that
    /// did not ask for it may stumble over it.
    pub(crate) fn set_nanoseconds(&mut self, wanted: bool) {
        let _ = wanted;
        todo!()
    }

    /// Takes new caps of the same pad. On an error the old ones stay.
    pub(crate) fn set_caps(&mut self, caps: &gst::CapsRef) -> Result<Changes, Error> {
        let _ = caps;
        todo!()
    }

    /// Takes tags of the stream; the bit rate is for the metadata.
    pub(crate) fn set_tags(&mut self, tags: &gst::TagListRef) -> Changes {
        let _ = tags;
        todo!()
    }

    pub(crate) fn kind(&self) -> TrackKind {
        todo!()
    }

    pub(crate) fn format(&self) -> Format {
        todo!()
    }

    pub(crate) fn track(&self) -> u8 {
        todo!()
    }

    /// Whether the tags are of Enhanced RTMP.
    pub(crate) fn is_enhanced(&self) -> bool {
        todo!()
    }

    /// Whether legacy tags could not carry the track, so that the tags are of Enhanced RTMP by need and not by
    /// wish.
    pub(crate) fn needs_enhanced(&self) -> bool {
        todo!()
    }

    /// The tags that go ahead of `first`, which is the next frame: how colours are meant, the sequence header, the
    /// order of channels. Some codecs have their header in the frame. Their timestamp is that of the frame.
    ///
    /// # Errors
    ///
    /// The frame should hold the header and does not: drop it, and try with the next one.
    pub(crate) fn headers(&mut self, first: &gst::BufferRef) -> Result<Vec<TagBody>, Error> {
        let _ = first;
        todo!()
    }

    /// A buffer as a tag, around the buffer's own memory. `None` of a buffer that is no frame, such as the stream
    /// headers that some encoders push ahead. `dts` and `pts` are times of the stream, not of the buffer; of audio
    /// and of codecs that do not reorder pictures, only `pts` counts.
    ///
    /// # Errors
    ///
    /// This frame has to be left out.
    pub(crate) fn frame(
        &mut self,
        buffer: gst::Buffer,
        dts: gst::ClockTime,
        pts: gst::ClockTime,
    ) -> Result<Option<Frame>, Error> {
        let _ = (buffer, dts, pts);
        todo!()
    }

    /// The tag that ends the track, of codecs that have one.
    pub(crate) fn end(&self) -> Option<TagBody> {
        todo!()
    }
}
