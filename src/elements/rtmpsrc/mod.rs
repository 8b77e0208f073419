//! `rtmpsrc`: plays FLV from RTMP, or the one track of it that the caps behind it ask for.

use gst::glib;
use gst::prelude::*;

mod burst;
mod imp;
mod live;
mod orders;
mod properties;
mod seek;
mod stream;
mod tags;
mod track;

glib::wrapper! {
    /// The element; see the [module](self).
    pub struct RtmpSrc(ObjectSubclass<imp::RtmpSrc>)
        @extends gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object,
        @implements gst::URIHandler;
}

/// Registers the element as `rtmpsrc` and, for systems where another plugin has that name, as `rsrtmpsrc`.
pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    super::register(plugin, "rtmpsrc", "rsrtmpsrc", RtmpSrc::static_type())
}
