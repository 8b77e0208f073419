//! `rtmpsinkbin`: publishes elementary streams, as `rtmpmux ! rtmpsink` with a parser in front of each track that
//! needs one.
//!
//! Its properties are those of the two elements, and those of its pads are those of the muxer's: `enhanced-rtmp` sets
//! `enhanced` of all pads that there are and will be, which can be set for each afterwards. A track of a form
//! that tags do not carry, such as byte-stream H.264 or ADTS AAC, gets its parser when its caps are known.

use gst::glib;
use gst::prelude::*;

mod imp;
mod pad;
mod parser;

glib::wrapper! {
    /// The element; see the [module](self).
    pub struct RtmpSinkBin(ObjectSubclass<imp::RtmpSinkBin>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy, gst::URIHandler;
}

glib::wrapper! {
    /// One track of the element.
    pub struct RtmpSinkBinPad(ObjectSubclass<pad::RtmpSinkBinPad>)
        @extends gst::GhostPad, gst::ProxyPad, gst::Pad, gst::Object;
}

/// Registers the element. Without a rank: a URI is for `rtmpsink`.
pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "rtmpsinkbin",
        gst::Rank::NONE,
        RtmpSinkBin::static_type(),
    )
}
