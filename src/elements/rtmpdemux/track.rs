//! One track of the stream, between its packets and its pad.

use std::fmt;

use crate::elements::track::{TrackDecoder, TrackKind};

/// Which track of the stream. Audio and video are numbered apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TrackId {
    pub(super) kind: TrackKind,
    /// 0 is the default, and the only one of legacy tags.
    pub(super) number: u8,
}

impl TrackId {
    pub(super) const fn audio(number: u8) -> Self {
        let kind = TrackKind::Audio;
        Self { kind, number }
    }

    pub(super) const fn video(number: u8) -> Self {
        let kind = TrackKind::Video;
        Self { kind, number }
    }
}

impl fmt::Display for TrackId {
    /// The name of the track's pad.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            TrackKind::Audio => "audio",
            TrackKind::Video => "video",
        };
        write!(f, "{kind}_{}", self.number)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: TrackId,
    pub(super) decoder: TrackDecoder,
    /// What its pad begins with, once that is known.
    pub(super) caps: Option<gst::Caps>,
    /// Whether there is a pad.
    pub(super) has_pad: bool,
    /// GStreamer has no caps for it, so that there will be no pad.
    pub(super) is_unsupported: bool,
    /// Milliseconds at its last frame.
    pub(super) last: Option<i64>,
    /// Milliseconds up to which its pad has been told what there is.
    pub(super) position: i64,
    /// Whether it has had a frame.
    pub(super) has_buffers: bool,
    /// Nothing that came can be needed to decode what comes next: there was nothing yet, or the sequence has ended.
    pub(super) is_idle: bool,
    /// The next buffer goes on at another time than it was sent for.
    pub(super) is_resync: bool,
}

impl Track {
    pub(super) fn new(id: TrackId) -> Self {
        let mut decoder = TrackDecoder::new(id.kind);
        decoder.wait_for_key_frame();
        Self {
            id,
            decoder,
            caps: None,
            has_pad: false,
            is_unsupported: false,
            last: None,
            position: 0,
            has_buffers: false,
            is_idle: true,
            is_resync: false,
        }
    }

    /// Whether it is known what becomes of it.
    pub(super) const fn is_settled(&self) -> bool {
        self.caps.is_some() || self.is_unsupported
    }

    /// Bytes of the stream were lost, or its time has been given up.
    pub(super) fn interrupt(&mut self) {
        self.decoder.wait_for_key_frame();
        self.decoder.set_discont();
        self.last = None;
        self.is_idle = true;
    }
}
