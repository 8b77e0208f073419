//! `rtmpsinkbin` where GStreamer lacks parsers. In a process of its own: they are taken out of its registry.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::sync::Once;

use relay::{Options, Relay};
use support::pipeline::Pipeline;
use support::wait::LONG;
use support::{Context, Failure, Result};

fn start() -> Result<Relay> {
    static ONCE: Once = Once::new();
    gst::init()?;
    ONCE.call_once(|| {
        for name in ["h264parse", "opusparse"] {
            let parser = gst::ElementFactory::find(name).expect("the tests need all of GStreamer's parsers");
            gst::Registry::get().remove_feature(&parser);
        }
    });
    Relay::start(Options::default()).context("starting the relay")
}

/// Publishes one track.
fn publisher(relay: &Relay, encoder: &str, pad: &str) -> Result<Pipeline> {
    Pipeline::new(&format!(
        "{encoder} ! sink.{pad} rtmpsinkbin name=sink sync=false location={}",
        relay.url("live", "main")
    ))
}

#[test]
fn a_missing_parser_is_named_and_can_be_installed() -> Result<()> {
    let relay = start()?;
    let encoder = "videotestsrc num-buffers=5 ! x264enc ! video/x-h264,stream-format=byte-stream";
    let pipeline = publisher(&relay, encoder, "video")?;
    pipeline.play()?;
    // What gst_is_missing_plugin_message() and the installers look for.
    let missing = pipeline.wait_for(LONG, |message| match message {
        gst::MessageView::Element(message) => message
            .structure()
            .filter(|structure| structure.name() == "missing-plugin")
            .map(ToOwned::to_owned),
        _ => None,
    })?;
    assert_eq!(missing.get::<&str>("type")?, "element");
    assert_eq!(missing.get::<&str>("detail")?, "h264parse");
    assert_eq!(missing.get::<&str>("name")?, "GStreamer element h264parse");
    let error = pipeline.wait_for_error()?;
    assert!(error.matches(gst::CoreError::MissingPlugin), "{error}");
    for part in ["h264parse", "video/x-h264", "pad video "] {
        assert!(error.message().contains(part), "{error} has no {part}");
    }
    Ok(())
}

#[test]
fn what_needs_no_parser_does_without() -> Result<()> {
    for (encoder, pad, figure) in [
        (
            "videotestsrc num-buffers=5 ! x264enc ! video/x-h264,stream-format=avc",
            "video",
            "out-video-messages",
        ),
        // The parser would find out no more than the defaults.
        (
            "audiotestsrc num-buffers=20 ! audio/x-raw,channels=2 ! opusenc \
             ! capssetter replace=true caps=audio/x-opus,rate=48000,channels=2",
            "audio",
            "out-audio-messages",
        ),
    ] {
        let relay = start()?;
        let pipeline = publisher(&relay, encoder, pad)?;
        pipeline.play()?;
        pipeline.wait_for_eos().context(encoder)?;
        // The header and frames.
        let sent = pipeline.figure("sink", figure)?;
        if sent < 6 {
            return Err(Failure::new(format!("{encoder}: {sent} messages")));
        }
    }
    Ok(())
}
