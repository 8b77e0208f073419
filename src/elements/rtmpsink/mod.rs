//! `rtmpsink`: publishes FLV, or one elementary stream, over RTMP.

use gst::glib;
use gst::prelude::*;

mod codecs;
mod imp;
mod input;
mod tags;
mod track;

glib::wrapper! {
    /// The element; see the [module](self).
    pub struct RtmpSink(ObjectSubclass<imp::RtmpSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object,
        @implements gst::URIHandler;
}

/// Registers the element as `rtmpsink` and, for systems where another plugin has that name, as `rsrtmpsink`.
pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    super::register(plugin, "rtmpsink", "rsrtmpsink", RtmpSink::static_type())
}
