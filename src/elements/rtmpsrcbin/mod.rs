//! `rtmpsrcbin`: plays elementary streams, as `rtmpsrc ! rtmpdemux`.
//!
//! Its properties are those of the two elements. `video_%u` and `audio_%u` are the demuxer's pads, and so are its stream
//! collection and no-more-pads.

use gst::glib;
use gst::prelude::*;

mod imp;

glib::wrapper! {
    /// The element; see the [module](self).
    pub struct RtmpSrcBin(ObjectSubclass<imp::RtmpSrcBin>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy, gst::URIHandler;
}

/// Registers the element. Without a rank: a URI is for `rtmpsrc`, and what is auto-plugged behind it.
pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "rtmpsrcbin",
        gst::Rank::NONE,
        RtmpSrcBin::static_type(),
    )
}
