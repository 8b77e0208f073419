//! `rtmpmux`: elementary streams -> FLV with legacy and Enhanced RTMP tags.

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
