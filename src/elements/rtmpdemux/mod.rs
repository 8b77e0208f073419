//! `rtmpdemux`: takes `video/x-flv` apart, legacy and Enhanced RTMP, into a pad for each track.
//!
//! Input may be cut at any byte. Headers are taken from the caps (`streamheader`) if the stream starts without.
//!
//! # Pads
//!
//! `video_%u` and `audio_%u` have the number of the track, which is 0 but in Multitrack. Pads appear together, with one
//! stream collection and no-more-pads behind them, when every track is known that the metadata and the file header
//! promise, or 200 ms of the stream after its first frame. A track that turns up later gets its pad and a new
//! collection all the same. A sequence end is a GAP event on the pad and no EOS, which would be for good: another
//! sequence start may follow, as after advertisement. The pad's EOS is that of the stream.
//!
//! # Time
//!
//! A segment of upstream in time is taken over, and the first frame is where its buffer is; without one, the stream
//! starts a segment of its own. Timestamps wrap, and those of a publisher that starts over go on where it stopped, with
//! RESYNC on the buffers.
//!
//! # Messages
//!
//! Script data other than `onMetaData` is posted as an element message `rtmp-script-data`, with the string `handler`
//! (such as `onTextData`, `onCuePoint`, `onFI`), the structure `values` of fields `0`, `1`, ... and the `timestamp` of the
//! stream. Objects are structures. Metadata is told by tags and caps.
//!
//! # flvdemux
//!
//! The rank is above flvdemux's, so that decodebin, parsebin and playbin use this element and play Enhanced RTMP. But it
//! does not seek. Where one of these has plugged it behind something that can be pulled from and seeked in, such as a
//! file, it declines to start, and flvdemux gets its turn, if there is one with a rank. `filesrc ! rtmpdemux` plays
//! from start to end.

use gst::glib;
use gst::prelude::*;

mod autoplug;
mod clock;
mod demux;
mod imp;
mod output;
mod pads;
mod promise;
mod script;
mod track;

glib::wrapper! {
    /// The element; see the [module](self).
    pub struct RtmpDemux(ObjectSubclass<imp::RtmpDemux>)
        @extends gst::Element, gst::Object;
}

/// One above flvdemux's, so that what is auto-plugged for FLV knows Enhanced RTMP.
const RANK: i32 = 257;

/// Registers the element as `rtmpdemux`.
pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "rtmpdemux",
        gst::Rank::from(RANK),
        RtmpDemux::static_type(),
    )
}
