//! The packets of one track -> caps and buffers.

use super::error::Error;
use super::format::{Format, TrackKind};
use super::metadata::TrackMetadata;
use crate::flv::{AudioPacket, VideoPacket};

/// What a packet comes to, in this order; mostly to a buffer.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Caps that are new, or differ from the last.
    pub(crate) caps: Option<gst::Caps>,
    pub(crate) buffer: Option<gst::Buffer>,
    pub(crate) mark: Option<Mark>,
}

/// What a packet says without a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    /// Nothing follows until another sequence start: a track has ended, and not the stream.
    SequenceEnd,
    /// Silence until sound returns, for which there may be a GAP event.
    Silence,
}

/// Takes the packets of one track apart.
#[derive(Debug)]
pub(crate) struct TrackDecoder {}

impl TrackDecoder {
    pub(crate) fn new(kind: TrackKind) -> Self {
        let _ = kind;
        todo!()
    }

    /// Drops pictures until one at which decoding can start, and marks that as DISCONT: after a start in the
    /// middle, a loss or a flush.
    pub(crate) fn wait_for_key_frame(&mut self) {
        todo!()
    }

    /// Marks the next buffer as DISCONT.
    pub(crate) fn set_discont(&mut self) {
        todo!()
    }

    /// Takes what metadata says of the track. New caps if that changes them.
    pub(crate) fn set_metadata(&mut self, metadata: TrackMetadata) -> Option<gst::Caps> {
        let _ = metadata;
        todo!()
    }

    pub(crate) fn kind(&self) -> TrackKind {
        todo!()
    }

    /// The codec, once a packet has told.
    pub(crate) fn format(&self) -> Option<Format> {
        todo!()
    }

    /// The caps that were last put out.
    pub(crate) fn caps(&self) -> Option<&gst::Caps> {
        todo!()
    }

    /// Takes a packet of an audio track, whose tag has the time `timestamp`.
    ///
    /// # Errors
    ///
    /// The packet was dropped, for which there may be a warning. The track goes on.
    pub(crate) fn audio(&mut self, packet: AudioPacket, timestamp: gst::ClockTime) -> Result<Output, Error> {
        let _ = (packet, timestamp);
        todo!()
    }

    /// Takes a packet of a video track, whose tag has the time `timestamp`: the DTS. A composition time that would
    /// make the PTS negative makes it 0.
    ///
    /// # Errors
    ///
    /// As of [`Self::audio`].
    pub(crate) fn video(&mut self, packet: VideoPacket, timestamp: gst::ClockTime) -> Result<Output, Error> {
        let _ = (packet, timestamp);
        todo!()
    }
}
