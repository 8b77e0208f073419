//! Pauses of recordings; those of live streams are in `live`.

use std::sync::mpsc::{self, Receiver};

use gst::prelude::*;
use gstrtmp::amf::Value;
use gstrtmp::message::{Level, UserControl};

use super::fixture::*;
use crate::support::wait::LONG;
use crate::support::{Context, Failure, Result};

/// The decoding times of the frames that the element `sink` has shown in PLAYING.
fn shown(source: &Source) -> Result<Receiver<gst::ClockTime>> {
    let sink = source
        .sink
        .downcast_ref::<gst::Bin>()
        .and_then(|bin| bin.by_name("sink"))
        .ok_or(Failure::new("there is no sink of that name"))?;
    let (sender, receiver) = mpsc::channel();
    sink.connect("handoff", false, move |values| {
        let buffer = values.get(1)?.get::<gst::Buffer>().ok()?;
        // Nobody may want to know any more.
        let _ = sender.send(buffer.dts()?);
        None
    });
    Ok(receiver)
}

#[test]
fn a_recording_is_paused_and_goes_on_where_it_was() -> Result<()> {
    for is_live in ["true", "false"] {
        let server = playing(|client| {
            client.send_user_control(&UserControl::StreamIsRecorded(1))?;
            send(client, 1, &video_start())?;
            send(client, 1, &group(0, 3))?;
            client.expect_command("pause")?;
            // Under way, and then SRS's and nginx's word for silence.
            send(client, 1, &[video(120, INTER_FRAME)])?;
            client.send_status(1, Level::Status, "NetStream.Pause.Notify", "")?;
            client.send_user_control(&UserControl::StreamEof(1))?;
            client.expect_command("pause")?;
            client.send_user_control(&UserControl::StreamBegin(1))?;
            client.send_status(1, Level::Status, "NetStream.Unpause.Notify", "")?;
            // From the last key frame, which has come before.
            send(client, 1, &group(0, 6))?;
            finish(client, 1)
        })?;
        let source = Source::with(&server.url("vod", "film"), &[("is-live", is_live)])?;
        source.play()?;
        source.wait_for_time(80)?;
        source.pause()?;
        server.wait_for_command("pause")?;
        source.play()?;
        source.wait_for_eos()?;
        let tags: Vec<_> = source.tags()?.into_iter().skip(2).collect();
        assert_eq!(tags, group(0, 6), "is-live={is_live}");
        assert_eq!(source.segments().len(), 1);
        source.stop()?;
        let connection = server.join_one()?;
        let pauses: Vec<_> = connection
            .commands()
            .filter(|command| command.name == "pause")
            .map(|command| command.arguments.first().cloned())
            .collect();
        assert_eq!(pauses, [Some(Value::from(true)), Some(Value::from(false))]);
    }
    Ok(())
}

#[test]
fn a_pipeline_that_needs_one_more_frame_to_pause_gets_it() -> Result<()> {
    let server = playing(|client| {
        client.send_user_control(&UserControl::StreamIsRecorded(1))?;
        send(client, 1, &video_start())?;
        send(client, 1, &group(0, 3))?;
        client.expect_command("pause")?;
        client.send_status(1, Level::Status, "NetStream.Pause.Notify", "")?;
        // Nothing is under way.
        client.expect_command("pause")?;
        client.send_status(1, Level::Status, "NetStream.Unpause.Notify", "")?;
        send(client, 1, &[video(120, INTER_FRAME), video(160, INTER_FRAME)])?;
        finish(client, 1)
    })?;
    let sink = "fakesink name=sink sync=false signal-handoffs=true";
    let source = Source::before(sink, &server.url("vod", "film"), &[("is-live", "false")])?;
    // A frame that has left the source may still be what the sink pauses with; one that was shown is not.
    let shown = shown(&source)?;
    source.play()?;
    while shown.recv_timeout(LONG).context("the frame at 80 to be shown")?
        != gst::ClockTime::from_mseconds(80)
    {}
    source.pause()?;
    source.wait_for_time(120)?;
    let patience = gst::ClockTime::from_seconds(LONG.as_secs());
    assert_eq!(source.pipeline.state(patience).1, gst::State::Paused);
    source.play()?;
    source.wait_for_eos()?;
    assert_eq!(source.tags()?.len(), 2 + 5);
    Ok(())
}

#[test]
fn a_live_stream_is_not_paused_at_the_server() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &video_start())?;
        send(client, 1, &group(0, 3))?;
        client.read_to_end()
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_time(80)?;
    source.pause()?;
    source.play()?;
    source.stop()?;
    assert!(server.join_one()?.command("pause").is_err());
    Ok(())
}

#[test]
fn prerolling_a_recording_is_no_pause() -> Result<()> {
    let server = playing(|client| {
        client.send_user_control(&UserControl::StreamIsRecorded(1))?;
        send(client, 1, &video_start())?;
        send(client, 1, &group(0, 3))?;
        client.read_to_end()
    })?;
    let source = Source::with(&server.url("vod", "film"), &[("is-live", "false")])?;
    source.pause()?;
    source.wait_for("a buffer", |outputs| (!buffers(outputs).is_empty()).then_some(()))?;
    source.stop()?;
    assert!(server.join_one()?.command("pause").is_err());
    Ok(())
}
