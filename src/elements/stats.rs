//! The `stats` property: rtmp2's field names where it has the figure, and ours beside them.

use crate::session::Codecs;
use crate::transport::Stats;

/// The structure for `stats`. A field whose figure is not known yet is 0 or left out.
pub(super) fn structure(stats: &Stats) -> gst::Structure {
    let session = stats.session.as_ref();
    let size = |field: fn(&crate::session::Stats) -> u32| session.map_or(0, field);
    let total = |field: fn(&crate::session::Stats) -> u64| session.map_or(0, field);
    // There has been no connection yet.
    let state = if stats.state.is_empty() {
        "closed"
    } else {
        stats.state
    };
    let mut builder = gst::Structure::builder("GstRtmpConnectionStats")
        .field("in-chunk-size", size(|s| s.in_chunk_size))
        .field("out-chunk-size", size(|s| s.out_chunk_size))
        .field("in-window-ack-size", size(|s| s.in_window_ack_size))
        .field("out-window-ack-size", size(|s| s.out_window_ack_size))
        .field("in-bytes-total", stats.bytes_in)
        .field("out-bytes-total", stats.bytes_out)
        .field("in-bytes-acked", total(|s| s.in_bytes_acked))
        .field("out-bytes-acked", total(|s| s.out_bytes_acked))
        .field("state", state)
        .field("in-audio-messages", total(|s| s.messages_in.audio))
        .field("in-audio-bytes", total(|s| s.media_bytes_in.audio))
        .field("in-video-messages", total(|s| s.messages_in.video))
        .field("in-video-bytes", total(|s| s.media_bytes_in.video))
        .field("in-data-messages", total(|s| s.messages_in.data))
        .field("in-data-bytes", total(|s| s.media_bytes_in.data))
        .field("out-audio-messages", total(|s| s.messages_out.audio))
        .field("out-audio-bytes", total(|s| s.media_bytes_out.audio))
        .field("out-video-messages", total(|s| s.messages_out.video))
        .field("out-video-bytes", total(|s| s.media_bytes_out.video))
        .field("out-data-messages", total(|s| s.messages_out.data))
        .field("out-data-bytes", total(|s| s.media_bytes_out.data))
        .field("queued-bytes", total(|s| s.queued_bytes as u64));
    if let Some(connect_time) = stats.connect_time {
        builder = builder.field("connect-time", nanoseconds(connect_time));
    }
    if let Some(round_trip) = stats.round_trip {
        builder = builder.field("round-trip-time", nanoseconds(round_trip));
    }
    if let Some(version) = session.and_then(|s| s.peer_version.as_deref()) {
        builder = builder.field("server-version", version.replace('\0', "\u{fffd}"));
    }
    if let Some(code) = session.and_then(|s| s.last_status.as_deref()) {
        builder = builder.field("last-status", code.replace('\0', "\u{fffd}"));
    }
    if let Some(capabilities) = session.and_then(|s| s.peer_capabilities.as_deref()) {
        builder = builder
            .field("video-fourcc-info-map", codecs(&capabilities.video))
            .field("audio-fourcc-info-map", codecs(&capabilities.audio))
            .field("reconnect", capabilities.reconnect)
            .field("multitrack", capabilities.multitrack)
            .field("mod-ex", capabilities.mod_ex)
            .field("timestamp-nano-offset", capabilities.nanoseconds)
            .field("hdr", capabilities.hdr);
    }
    builder.build()
}

/// What a server can do with codecs: a sum of 1 decode, 2 encode, 4 forward by FourCC, and under `any` whatever the
/// codec.
fn codecs(codecs: &Codecs) -> gst::Structure {
    let mut map = gst::Structure::new_empty("fourcc-info-map");
    if codecs.any.is_any() {
        map.set("any", u32::from(codecs.any.bits()));
    }
    for (codec, support) in &codecs.named {
        // A server may send characters that no field's name can have, and no codec's does.
        let name = codec.to_string();
        if name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        {
            map.set(name, u32::from(support.bits()));
        }
    }
    map
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
