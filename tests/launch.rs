//! `gst-launch-1.0` comes to its end when a server is not there.
//!
//! It loses errors that are posted before its main loop runs, and a bin does not complete a state change in which an
//! error was posted: both together, and it waits for ever.

mod support;

use support::gstreamer::GStreamer;
use support::{Context, Result, wait};

/// Where nobody listens.
const NOBODY: &str = "rtmp://127.0.0.1:1/live/stream";

/// Enough for a race that was lost one time in four.
const ATTEMPTS: usize = 20;

fn fails_by_itself(pipeline: &str) -> Result<()> {
    let gstreamer = GStreamer::new()?;
    for attempt in 0..ATTEMPTS {
        let ended = gstreamer.launch(pipeline)?.end(wait::LONG).context(attempt)?;
        assert!(!ended.status.success());
        assert!(
            ended.stderr.contains("127.0.0.1:1 refused the connection"),
            "{}",
            ended.stderr
        );
    }
    Ok(())
}

#[test]
fn a_refused_publisher_ends() -> Result<()> {
    fails_by_itself(&format!(
        "audiotestsrc num-buffers=9 ! voaacenc ! aacparse ! flvmux ! rtmpsink location={NOBODY}"
    ))
}

#[test]
fn a_refused_player_ends() -> Result<()> {
    fails_by_itself(&format!("rtmpsrc location={NOBODY} ! fakesink"))
}

#[test]
fn a_refused_player_that_prerolls_ends() -> Result<()> {
    fails_by_itself(&format!("rtmpsrc is-live=false location={NOBODY} ! fakesink"))
}
