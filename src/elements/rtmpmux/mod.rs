//! `rtmpmux`: elementary streams -> FLV with legacy and Enhanced RTMP tags.
//!
//! # Pads
//!
//! Every pad is a track. `video` and `audio` are track 0, `video_3` is track 3, and one that is asked for without a
//! number gets the first that is free; `track-id` changes it until caps come. Legacy tags carry what they can of track
//! 0, Enhanced ones all else, unless `enhanced` says otherwise. Pads come and go while the stream runs.
//!
//! # Time
//!
//! Tags have running time, rebased to begin with 0, and to the nearest millisecond; with `nanosecond-timestamps`
//! those of Enhanced RTMP have the rest in a ModEx. Frames go out in the order of decoding. A live pipeline waits for
//! a silent pad as long as its latency, another until there is a frame, a GAP event or the end of the pad.
//!
//! # Headers
//!
//! File header, metadata and sequence headers go out first and are in the caps (`streamheader`). A sequence header is
//! sent again when caps change, and metadata when caps or tags do, once a second at most.

use gst::glib;
use gst::prelude::*;

mod imp;
mod pad;
mod tag;

glib::wrapper! {
    /// The element; see the [module](self).
    pub struct RtmpMux(ObjectSubclass<imp::RtmpMux>)
        @extends gst_base::Aggregator, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

glib::wrapper! {
    /// One track of the element.
    pub struct RtmpMuxPad(ObjectSubclass<pad::RtmpMuxPad>)
        @extends gst_base::AggregatorPad, gst::Pad, gst::Object;
}

/// Registers the element.
pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "rtmpmux", gst::Rank::NONE, RtmpMux::static_type())
}
