//! Whether the element was plugged by one that would rather have flvdemux.

use gst::prelude::*;

/// Bins that plug demuxers by rank, and try the next one when one does not start. All other players and decoders
/// of GStreamer are made of these.
const AUTOPLUGGERS: [&str; 2] = ["decodebin", "parsebin"];

/// Whether to decline, since flvdemux would seek in what is upstream of `sink`.
pub(super) fn leaves_to_flvdemux(element: &gst::Element, sink: &gst::Pad) -> bool {
    is_autoplugged(element) && is_seekable(sink) && has_flvdemux()
}

fn is_autoplugged(element: &gst::Element) -> bool {
    let bin = element
        .parent()
        .and_then(|parent| parent.downcast::<gst::Element>().ok());
    bin.and_then(|bin| bin.factory())
        .is_some_and(|factory| AUTOPLUGGERS.contains(&factory.name().as_str()))
}

fn is_seekable(sink: &gst::Pad) -> bool {
    let mut query = gst::query::Scheduling::new();
    sink.peer_query(&mut query)
        && query.has_scheduling_mode_with_flags(gst::PadMode::Pull, gst::SchedulingFlags::SEEKABLE)
}

fn has_flvdemux() -> bool {
    gst::ElementFactory::find("flvdemux").is_some_and(|factory| factory.rank() > gst::Rank::NONE)
}
