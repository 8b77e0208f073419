//! How streams end: in good order, by accident, and by silence.

use gst::prelude::*;
use gstrtmp::amf::Value;
use gstrtmp::message::{Command, Control, Level, Status, UserControl, type_id};

use super::fixture::*;
use crate::support::script::{Client, Server, outgoing};
use crate::support::wait::{self, LONG};
use crate::support::{Failure, Result};

/// Plays two frames, then does what `end` does and leaves the connection open; all must be there, and then EOS.
fn ends_with(stream_id: u32, what: &str, end: fn(&mut Client) -> Result<()>) -> Result<()> {
    let server = serving(move |client| {
        client.accept_play(stream_id)?;
        send(client, stream_id, &group(0, 2))?;
        end(client)?;
        client.read_to_end()
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source
        .wait_for_eos()
        .map_err(|why| Failure::new(format!("{what}: {why}")))?;
    assert_eq!(source.tags()?, group(0, 2), "{what}");
    source.stop()?;
    server.join()?;
    Ok(())
}

/// rtmp2src knows StreamEOF of stream 1 only.
#[test]
fn stream_eof_ends_a_stream_of_any_id() -> Result<()> {
    ends_with(1, "stream 1", |client| {
        client.send_user_control(&UserControl::StreamEof(1))
    })?;
    ends_with(7, "stream 7", |client| {
        client.send_user_control(&UserControl::StreamEof(7))
    })
}

#[test]
fn stream_eof_of_another_stream_ends_nothing() -> Result<()> {
    let server = serving(|client| {
        client.accept_play(7)?;
        send(client, 7, &group(0, 1))?;
        for other in [0, 1, 6, 8] {
            client.send_user_control(&UserControl::StreamEof(other))?;
        }
        client.send_user_control(&UserControl::StreamDry(7))?;
        send(client, 7, &[video(40, INTER_FRAME)])?;
        finish(client, 7)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    assert_eq!(source.run()?, group(0, 2));
    Ok(())
}

/// rtmp2src waits for ever after each of these.
#[test]
fn status_messages_that_end_a_stream_end_it() -> Result<()> {
    ends_with(1, "UnpublishNotify", |client| {
        client.send_status(1, Level::Status, "NetStream.Play.UnpublishNotify", "gone")
    })?;
    ends_with(1, "Play.Stop", |client| {
        client.send_status(1, Level::Status, "NetStream.Play.Stop", "stopped")
    })?;
    ends_with(1, "Play.Stop on message stream 0", |client| {
        client.send_status(0, Level::Status, "NetStream.Play.Stop", "stopped")
    })?;
    ends_with(1, "Play.Complete", |client| {
        client.send_status(1, Level::Status, "NetStream.Play.Complete", "all of it")
    })?;
    ends_with(1, "onPlayStatus", |client| {
        let info = Status::new(Level::Status, "NetStream.Play.Complete", "").info;
        let mut body = bytes::BytesMut::new();
        gstrtmp::amf::encode_all(&[Value::from("onPlayStatus"), info], &mut body);
        client.send_media(1, type_id::DATA_AMF0, 80, body.freeze())
    })?;
    ends_with(1, "close", |client| client.send_command(0, &command("close")))?;
    ends_with(1, "onFCUnsubscribe", |client| {
        client.send_command(0, &command("onFCUnsubscribe"))
    })
}

fn command(name: &str) -> Command {
    Command {
        name: name.into(),
        transaction_id: 0.0,
        object: Value::Null,
        arguments: Vec::new(),
    }
}

/// A server that sends two frames and is gone.
fn lost(by_reset: bool) -> Result<Server> {
    Server::start(move |stage| {
        let mut client = stage.accept()?;
        client.accept_play(1)?;
        send(&mut client, 1, &group(0, 2))?;
        // A reset may overtake what it follows.
        client.wait_for_cue()?;
        if by_reset { client.reset() } else { client.finish() }
    })
}

#[test]
fn a_connection_lost_in_mid_stream_is_an_error() -> Result<()> {
    for by_reset in [false, true] {
        let server = lost(by_reset)?;
        let source = Source::new(&server.url("live", "key"))?;
        source.play()?;
        source.wait_for_tags(2)?;
        server.cue();
        source
            .wait_for_error()?
            .expect("ResourceError::Read", "connection")?;
        assert_eq!(source.tags()?, group(0, 2));
    }
    Ok(())
}

#[test]
fn a_connection_lost_in_mid_stream_can_be_taken_for_the_end() -> Result<()> {
    for by_reset in [false, true] {
        let server = lost(by_reset)?;
        let source = Source::with(&server.url("live", "key"), &[("no-eof-is-error", "false")])?;
        source.play()?;
        source.wait_for_tags(2)?;
        server.cue();
        source.wait_for_eos()?;
        assert_eq!(source.tags()?, group(0, 2));
    }
    Ok(())
}

/// nginx with noplay, srs and node-media-server say that it plays, and close.
#[test]
fn a_start_that_is_followed_by_a_close_is_an_error() -> Result<()> {
    let server = playing(Client::finish)?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source
        .wait_for_error()?
        .expect("ResourceError::Read", "before the stream had ended")
}

#[test]
fn what_came_before_the_loss_comes_out_even_if_an_answer_cannot_be_sent() -> Result<()> {
    let server = Server::start(|stage| {
        let mut client = stage.accept()?;
        client.accept_play(1)?;
        // Every window is to be acknowledged, to a peer that has closed by then.
        client.send_control(Control::WindowAckSize(100))?;
        send(&mut client, 1, &group(0, 200))?;
        client.send_user_control(&UserControl::StreamEof(1))
    })?;
    let source = Source::with(&server.url("live", "key"), &[("no-eof-is-error", "false")])?;
    source.pause()?;
    server.join()?;
    // The reset that answers our acknowledgement throws away what the kernel has not handed out yet.
    wait::until("all to be received", LONG, || {
        (source.figure("in-video-messages") == 200).then_some(())
    })?;
    assert_eq!(source.run()?.len(), 200);
    Ok(())
}

#[test]
fn silence_ends_the_stream_with_a_warning_after_idle_timeout() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 2))?;
        client.read_to_end()
    })?;
    let source = Source::with(&server.url("live", "key"), &[("idle-timeout", "1")])?;
    source.play()?;
    source
        .wait_for_warning()?
        .expect("ResourceError::Read", "idle-timeout")?;
    source.wait_for_eos()?;
    assert_eq!(source.tags()?, group(0, 2));
    Ok(())
}

/// Nobody takes more than eight megabytes while downstream is blocked: the silence is ours.
#[test]
fn a_server_that_is_held_back_is_not_idle() -> Result<()> {
    const FRAMES: usize = 600;
    let server = playing(|client| {
        let large: Vec<u8> = INTER_FRAME.iter().copied().chain([0; 65_000]).collect();
        let frames = (0..FRAMES as u32).map(|n| match n {
            0 => video(0, KEY_FRAME),
            n => video(n, &large),
        });
        for frame in frames {
            send(client, 1, &[frame])?;
        }
        finish(client, 1)
    })?;
    let source = Source::with(
        &server.url("live", "key"),
        &[("idle-timeout", "1"), ("is-live", "false")],
    )?;
    let block = source.block()?;
    source.play()?;
    let mut last = (0, std::time::Instant::now());
    wait::until(
        "the source to take nothing more for longer than idle-timeout",
        LONG,
        || {
            let taken = source.figure("in-bytes-total");
            if taken != last.0 {
                last = (taken, std::time::Instant::now());
            }
            (taken > 0 && last.1.elapsed().as_millis() > 1500).then_some(())
        },
    )?;
    assert!(last.0 < 30_000_000, "what is read ahead has a bound: {}", last.0);
    source.pad.remove_probe(block);
    source.wait_for_eos()?;
    assert_eq!(source.tags()?.len(), FRAMES);
    Ok(())
}

#[test]
fn an_application_can_end_a_silent_stream() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 2))?;
        client.read_to_end()
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_tags(2)?;
    assert!(source.pipeline.send_event(gst::event::Eos::new()));
    source.wait_for_eos()?;
    source.stop()?;
    let connection = server.join_one()?;
    let delete = connection.command("deleteStream")?;
    assert_eq!(delete.arguments, [Value::from(1.0)], "with the number");
    Ok(())
}

#[test]
fn the_end_is_met_behind_a_pause() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 2))?;
        client.wait_for_cue()?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_tags(2)?;
    source.pause()?;
    server.cue();
    source.play()?;
    source.wait_for_eos()
}

/// One chunk stream for audio, video and the status that ends them, as MonaServer has it.
#[test]
fn a_status_on_the_chunk_stream_of_the_media_ends_them() -> Result<()> {
    let server = playing(|client| {
        for message in group(0, 2) {
            client.send(outgoing(4, 1, message.type_id, message.timestamp, message.body))?;
        }
        client.send(outgoing(4, 1, type_id::AUDIO, 40, SOUND))?;
        let stop = Command::on_status(&Status::new(Level::Status, "NetStream.Play.Stop", ""));
        let (type_id, body) = stop.encode();
        client.send(outgoing(4, 1, type_id, 40, body))?;
        client.read_to_end()
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    assert_eq!(source.run()?.len(), 3);
    Ok(())
}
