//! What `gst-inspect-1.0` tells a user.

use crate::support::gstreamer::GStreamer;
use crate::support::{Failure, Result};

fn assert_tells(element: &str, parts: &[&str]) -> Result<()> {
    let ended = GStreamer::new()?.inspect(element)?;
    let shown = String::from_utf8(ended.stdout)?;
    // The columns are as wide as their longest words.
    let lines: Vec<_> = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    match parts
        .iter()
        .find(|part| !lines.iter().any(|line| line.contains(*part)))
    {
        None => Ok(()),
        Some(missing) => Err(Failure::new(format!("{element} has no {missing:?}:\n{shown}"))),
    }
}

#[test]
fn the_sink_bin_tells_what_it_takes() -> Result<()> {
    assert_tells(
        "rtmpsinkbin",
        &[
            "Rank none (0)",
            "Klass Sink/Network",
            "Plugin Details:",
            "+----GstRsRtmpSinkBin",
            "GstURIHandler",
            "Element can act as sink.",
            "SINK template: 'video'",
            "SINK template: 'audio'",
            "SINK template: 'video_%u'",
            "SINK template: 'audio_%u'",
            "Availability: On request",
            "stream-format: adts",
            "Type: GstRsRtmpSinkBinPad",
            "track-id : Track that the tags name",
            "location : Where to connect",
            "chunk-size : Bytes of a message",
            "nanosecond-timestamps: Write times",
            "sync : Sync on the clock",
            "stats : Figures of the connection",
        ],
    )
}

#[test]
fn the_source_bin_tells_what_it_gives() -> Result<()> {
    assert_tells(
        "rtmpsrcbin",
        &[
            "Rank none (0)",
            "Klass Source/Network",
            "+----GstRsRtmpSrcBin",
            "GstURIHandler",
            "Element can act as source.",
            "SRC template: 'video_%u'",
            "SRC template: 'audio_%u'",
            "Availability: Sometimes",
            "location : Where to connect",
            "is-live : Play in time",
            "stats : Figures of the connection",
        ],
    )
}
