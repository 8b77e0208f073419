//! State changes, pauses and flushes: what is published is published once and whole, and nothing is in the way of
//! a state change.

use std::time::Duration;

use gst::prelude::*;
use gstrtmp::message::type_id;

use crate::fixture::Sink;
use crate::flv::{
    AVC_HEADER, DELTA_FRAME, KEY_FRAME, file_header, frame_messages, header_messages, headers, heavy_frame,
    heavy_messages, media, stream, stream_messages, video,
};
use crate::support::script::{End, Server};
use crate::support::{Context, Result};

/// A server that takes one publisher and does not read from it until it gets its cue.
fn stalling_server() -> Result<Server> {
    Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.wait_for_cue()?;
        client.read_to_end()
    })
}

/// A server that takes `count` publishers, one after the other.
fn patient_server(count: usize) -> Result<Server> {
    Server::start(move |script| {
        for _ in 0..count {
            let mut client = script.accept()?;
            client.accept_publish(1)?;
            client.read_to_end()?;
        }
        Ok(())
    })
}

#[test]
fn a_publisher_connects_before_it_has_data() -> Result<()> {
    let server = patient_server(1)?;
    let sink = Sink::new(&server.url("live", "key"))?;
    sink.set_state(gst::State::Ready)?.wait()?;
    server.wait_for_command("publish")?;
    sink.stop()?;
    server.join_one()?;
    Ok(())
}

#[test]
fn without_async_connect_the_first_buffer_connects() -> Result<()> {
    let server = patient_server(1)?;
    let sink = Sink::playing_with(&server.url("live", "key"), &[("async-connect", "false")])?;
    assert_eq!(sink.stats().get::<String>("state")?, "closed");
    sink.publish(stream().concat())?;
    assert_eq!(sink.stats().get::<String>("state")?, "connected");
    sink.finish()?;
    assert_eq!(media(&server.join_one()?), stream_messages());
    Ok(())
}

#[test]
fn ready_ends_the_stream_and_playing_publishes_anew_with_headers() -> Result<()> {
    const ROUNDS: usize = 3;
    let server = patient_server(ROUNDS)?;
    let sink = Sink::new(&server.url("live", "key"))?;
    for _ in 0..ROUNDS {
        sink.play()?;
        sink.begin(&headers())?;
        stream().into_iter().try_for_each(|tag| sink.publish(tag))?;
        sink.set_state(gst::State::Ready)?.wait()?;
    }
    sink.stop()?;
    let connections = server.join()?;
    assert_eq!(connections.len(), ROUNDS);
    for connection in &connections {
        assert_eq!(media(connection), stream_messages());
        assert!(
            connection
                .command_names()
                .ends_with(&["FCUnpublish".to_owned(), "deleteStream".to_owned()])
        );
        assert_eq!(connection.end, Some(End::Fin));
    }
    Ok(())
}

#[test]
fn null_ends_the_stream_and_playing_publishes_anew() -> Result<()> {
    let server = patient_server(2)?;
    let sink = Sink::new(&server.url("live", "key"))?;
    for _ in 0..2 {
        sink.play()?;
        sink.begin(&[])?;
        sink.publish(stream().concat())?;
        sink.finish()?;
        sink.stop()?;
    }
    for connection in server.join()? {
        assert_eq!(media(&connection), stream_messages());
    }
    Ok(())
}

#[test]
fn data_behind_eos_and_flush_is_published_on_a_new_connection() -> Result<()> {
    let server = patient_server(2)?;
    let sink = Sink::new(&server.url("live", "key"))?;
    sink.play()?;
    sink.begin(&headers())?;
    sink.publish(video(0, KEY_FRAME))?;
    sink.finish()?;
    sink.push_out_of_band(gst::event::FlushStart::new())?;
    sink.push_out_of_band(gst::event::FlushStop::new(true))?;
    sink.begin(&headers())?;
    sink.publish(video(40, KEY_FRAME))?;
    sink.finish()?;
    for (connection, timestamp) in server.join()?.iter().zip([0, 40]) {
        let mut expected = header_messages(0);
        expected.push((type_id::VIDEO, timestamp, KEY_FRAME.to_vec()));
        assert_eq!(media(connection), expected);
    }
    Ok(())
}

#[test]
fn flush_in_mid_stream_keeps_the_connection_and_drops_the_tag_it_cuts() -> Result<()> {
    let server = patient_server(1)?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(stream().concat())?;
    sink.publish(video(80, DELTA_FRAME).slice(..14))?;
    sink.push_out_of_band(gst::event::FlushStart::new())?;
    sink.push_out_of_band(gst::event::FlushStop::new(true))?;
    sink.begin(&[])?;
    sink.publish(file_header())?;
    sink.publish(video(120, KEY_FRAME))?;
    sink.finish()?;
    let mut expected = stream_messages();
    expected.push((type_id::VIDEO, 120, KEY_FRAME.to_vec()));
    assert_eq!(media(&server.join_one()?), expected);
    Ok(())
}

#[test]
fn flush_frees_a_blocked_push_and_tears_no_message() -> Result<()> {
    let server = stalling_server()?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let (count, push) = sink.push_until_blocked(heavy_frame)?;
    sink.push_out_of_band(gst::event::FlushStart::new())?;
    assert_eq!(push.wait()?, Err(gst::FlowError::Flushing));
    sink.push_out_of_band(gst::event::FlushStop::new(true))?;
    sink.begin(&[])?;
    server.cue();
    sink.publish(video(1_000_000, KEY_FRAME))?;
    sink.finish()?;
    // The frame that was under way had begun, so it comes to its end.
    let mut expected = heavy_messages(count);
    expected.push((type_id::VIDEO, 1_000_000, KEY_FRAME.to_vec()));
    assert!(media(&server.join_one()?) == expected);
    Ok(())
}

#[test]
fn a_pause_in_the_middle_of_a_blocked_write_loses_nothing() -> Result<()> {
    let server = stalling_server()?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let (count, mut push) = sink.push_until_blocked(heavy_frame)?;
    let took = sink.set_state(gst::State::Paused)?.wait()?;
    assert!(took < Duration::from_secs(2), "pausing took {took:?}");
    assert!(!push.is_done(), "a push returned in PAUSED");
    sink.set_state(gst::State::Playing)?.wait()?;
    server.cue();
    push.wait()?.context("the push that was paused")?;
    sink.publish(video(1_000_000, KEY_FRAME))?;
    sink.finish()?;
    let mut expected = heavy_messages(count);
    expected.push((type_id::VIDEO, 1_000_000, KEY_FRAME.to_vec()));
    assert!(media(&server.join_one()?) == expected);
    Ok(())
}

#[test]
fn what_is_queued_goes_out_while_paused() -> Result<()> {
    let server = stalling_server()?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let (count, push) = sink.push_until_blocked(heavy_frame)?;
    sink.set_state(gst::State::Paused)?.wait()?;
    server.cue();
    server.wait_for_media(usize::try_from(count)?)?;
    sink.set_state(gst::State::Playing)?.wait()?;
    push.wait()?.context("the push that was paused")?;
    sink.finish()?;
    assert!(media(&server.join_one()?) == heavy_messages(count));
    Ok(())
}

#[test]
fn a_pause_while_connecting_loses_nothing() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.wait_for_cue()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing_with(&server.url("live", "key"), &[("async-connect", "false")])?;
    let mut push = sink.begin_push(stream().concat().into())?;
    // So that the push is sure to be under way.
    server.wait_for("a client", |connections| (!connections.is_empty()).then_some(()))?;
    sink.set_state(gst::State::Paused)?.wait()?;
    assert!(!push.is_done(), "a push returned in PAUSED");
    sink.set_state(gst::State::Playing)?.wait()?;
    server.cue();
    push.wait()?.context("the push that was paused")?;
    sink.finish()?;
    assert_eq!(media(&server.join_one()?), stream_messages());
    Ok(())
}

#[test]
fn the_first_buffer_is_published_in_playing_only() -> Result<()> {
    let server = patient_server(1)?;
    let sink = Sink::new(&server.url("live", "key"))?;
    sink.set_state(gst::State::Paused)?.wait()?;
    sink.begin(&[])?;
    let mut push = sink.begin_push(stream().concat().into())?;
    sink.wait_for(&[gst::MessageType::AsyncDone])?;
    assert!(!push.is_done(), "a push returned in PAUSED");
    sink.play()?;
    push.wait()?.context("the first push")?;
    sink.finish()?;
    assert_eq!(media(&server.join_one()?), stream_messages());
    Ok(())
}

#[test]
fn headers_of_the_caps_are_sent_again_on_every_new_connection() -> Result<()> {
    let server = patient_server(2)?;
    let sink = Sink::new(&server.url("live", "key"))?;
    for _ in 0..2 {
        sink.play()?;
        sink.begin(&[file_header(), video(0, AVC_HEADER)])?;
        let frames = stream().split_off(headers().len());
        frames.into_iter().try_for_each(|tag| sink.publish(tag))?;
        sink.finish()?;
        sink.set_state(gst::State::Ready)?.wait()?;
    }
    for connection in server.join()? {
        let mut expected = vec![(type_id::VIDEO, 0, AVC_HEADER.to_vec())];
        expected.extend(frame_messages());
        assert_eq!(media(&connection), expected);
    }
    Ok(())
}

#[test]
fn the_location_may_change_between_streams() -> Result<()> {
    let servers = [patient_server(1)?, patient_server(1)?];
    let sink = Sink::new("rtmp://127.0.0.1:1/live/key")?;
    for server in servers {
        sink.element.set_property("location", server.url("live", "other"));
        sink.play()?;
        sink.begin(&[])?;
        sink.publish(stream().concat())?;
        sink.finish()?;
        sink.stop()?;
        assert_eq!(media(&server.join_one()?), stream_messages());
    }
    Ok(())
}
