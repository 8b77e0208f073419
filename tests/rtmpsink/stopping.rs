//! How a stream ends: EOS loses nothing and says so only when that is sure, and NULL waits for nobody.

use std::time::{Duration, Instant};

use gstrtmp::amf::Value;

use crate::fixture::{QUICK, Sink};
use crate::flv::{KEY_FRAME, heavy_frame, heavy_messages, media, stream, stream_messages, video};
use crate::support::script::{BlackHole, C0C1, Client, Connection, End, Server};
use crate::support::wait::{self, LONG};
use crate::support::{Context, Failure, Result};

/// What the server has of its first client by now.
fn now(server: &Server) -> Result<Connection> {
    server.wait_for("a client", |connections| connections.first().cloned())
}

#[test]
fn eos_comes_after_everything_was_read_and_the_connection_was_shut_down() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(7)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(stream().concat())?;
    sink.finish()?;
    // The server closes its side when it has read all, and that is what EOS has waited for.
    let connection = now(&server)?;
    assert_eq!(media(&connection), stream_messages());
    assert_eq!(connection.end, Some(End::Fin));
    let last: Vec<_> = connection.messages.iter().rev().take(2).rev().collect();
    let [unpublish, delete] = &*last else {
        return Err(Failure::new("two messages were expected"));
    };
    assert_eq!((unpublish.stream_id, delete.stream_id), (0, 0));
    let unpublish = connection.command("FCUnpublish")?;
    assert_eq!(unpublish.arguments, [Value::from("key")]);
    let delete = connection.command("deleteStream")?;
    assert_eq!(
        (delete.object.clone(), delete.arguments.clone()),
        (Value::Null, vec![Value::from(7.0)])
    );
    assert!(
        connection
            .command_names()
            .ends_with(&["FCUnpublish".to_owned(), "deleteStream".to_owned()]),
        "{:?}",
        connection.command_names()
    );
    server.join_one()?;
    Ok(())
}

#[test]
fn eos_drains_to_a_peer_that_pauses_reading() -> Result<()> {
    // rtmp2sink 1.22 posts EOS at once and loses 4 of 44 messages and the stop commands here (B9).
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.wait_for_cue()?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let (count, push) = sink.push_until_blocked(heavy_frame)?;
    let mut eos = sink.begin_eos()?;
    // Frees the push, with some of its frame still to be written when EOS comes.
    sink.set_state(gst::State::Paused)?.wait()?;
    assert!(sink.messages(gst::MessageType::Eos).is_empty());
    assert!(!eos.is_done());
    sink.set_state(gst::State::Playing)?.wait()?;
    assert!(sink.messages(gst::MessageType::Eos).is_empty());
    server.cue();
    push.wait()?.context("the last push")?;
    sink.wait_for_eos()?;
    let connection = now(&server)?;
    assert_eq!(connection.end, Some(End::Fin));
    assert!(media(&connection) == heavy_messages(count));
    connection.command("FCUnpublish")?;
    connection.command("deleteStream")?;
    server.join_one()?;
    Ok(())
}

#[test]
fn eos_waits_for_the_rest_of_an_interrupted_write() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.wait_for_cue()?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let (count, push) = sink.push_until_blocked(heavy_frame)?;
    sink.push_out_of_band(gst::event::FlushStart::new())?;
    assert_eq!(push.wait()?, Err(gst::FlowError::Flushing));
    sink.push_out_of_band(gst::event::FlushStop::new(true))?;
    sink.begin(&[])?;
    // Nothing but what was left is sent; EOS itself has to do it.
    let mut eos = sink.begin_eos()?;
    wait::until("a drain that has begun", LONG, || {
        sink.is_draining().then_some(())
    })?;
    assert!(!eos.is_done());
    server.cue();
    eos.wait()?;
    let connection = server.join_one()?;
    assert!(media(&connection) == heavy_messages(count));
    connection.command("deleteStream")?;
    assert_eq!(connection.end, Some(End::Fin));
    Ok(())
}

#[test]
fn eos_that_cannot_be_sent_is_an_error_after_timeout() -> Result<()> {
    let server = stalled()?;
    let sink = Sink::playing_with(&server.url("live", "key"), &[("timeout", "1")])?;
    let (_, push) = sink.push_until_blocked(heavy_frame)?;
    sink.push_out_of_band(gst::event::FlushStart::new())?;
    assert_eq!(push.wait()?, Err(gst::FlowError::Flushing));
    sink.push_out_of_band(gst::event::FlushStop::new(true))?;
    sink.begin(&[])?;
    let started = Instant::now();
    let eos = sink.begin_eos()?;
    sink.wait_for_problem()?
        .expect("ResourceError::Write", "has stopped reading")?;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!eos.wait()?, "EOS was taken though the stream was not sent");
    assert!(sink.messages(gst::MessageType::Eos).is_empty());
    server.cue();
    server.join_one()?;
    Ok(())
}

#[test]
fn eos_warns_of_a_slow_peer_that_may_not_have_read_to_the_end() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.wait_for_cue()?;
        client.read_media(9)?;
        // What follows stays where it is.
        client.wait_for_cue()
    })?;
    let sink = Sink::playing_with(&server.url("live", "key"), &[("timeout", "3")])?;
    let (count, push) = sink.push_until_blocked(heavy_frame)?;
    assert_eq!(count, 9);
    server.cue();
    push.wait()?.context("the last push")?;
    assert!(sink.warnings().is_empty());
    let eos = sink.begin_eos()?;
    let message = sink.wait_for(&[gst::MessageType::Warning, gst::MessageType::Eos])?;
    let gst::MessageView::Warning(warning) = message.view() else {
        return Err(Failure::new(format!("no warning, but {message:?}")));
    };
    let said = warning.error();
    assert!(said.matches(gst::ResourceError::Write), "{said}");
    assert!(said.message().contains("has acknowledged 0 of 167"), "{said}");
    assert!(eos.wait()?);
    sink.wait_for_eos()?;
    server.cue();
    server.join_one()?;
    Ok(())
}

#[test]
fn eos_does_not_wait_for_a_peer_that_keeps_its_side_open() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()?;
        client.wait_for_cue()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(stream().concat())?;
    let started = Instant::now();
    sink.finish()?;
    assert!(started.elapsed() < Duration::from_secs(4));
    assert_eq!(now(&server)?.end, Some(End::Fin));
    server.cue();
    assert_eq!(media(&server.join_one()?), stream_messages());
    Ok(())
}

#[test]
fn eos_without_data_comes_at_once() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        // Does not answer, and stays for as long as the client does.
        client.read_raw(C0C1)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.finish()?;
    drop(sink);
    drop(server);
    Ok(())
}

#[test]
fn what_the_server_says_of_the_end_is_no_error() -> Result<()> {
    use gstrtmp::message::Level;
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.expect_command("deleteStream")?;
        client.send_status(1, Level::Status, "NetStream.Unpublish.Success", "gone")?;
        client.reset()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(stream().concat())?;
    sink.finish()?;
    assert!(sink.problems().is_empty());
    server.join_one()?;
    Ok(())
}

#[test]
fn stop_commands_are_those_that_were_chosen() -> Result<()> {
    let table: [(&str, &[&str]); 5] = [
        ("none", &[]),
        ("fcunpublish", &["FCUnpublish"]),
        ("closestream", &["closeStream"]),
        ("deletestream", &["deleteStream"]),
        (
            "fcunpublish+closestream+deletestream",
            &["FCUnpublish", "closeStream", "deleteStream"],
        ),
    ];
    for (chosen, expected) in table {
        let server = Server::start(|script| {
            let mut client = script.accept()?;
            client.accept_publish(3)?;
            client.read_to_end()
        })?;
        let chosen = if chosen == "none" { "0" } else { chosen };
        let sink = Sink::playing_with(&server.url("live", "key"), &[("stop-commands", chosen)])?;
        sink.publish(video(0, KEY_FRAME))?;
        sink.finish()?;
        let connection = server.join_one()?;
        let names = connection.command_names();
        let behind_publish = names.iter().skip_while(|name| *name != "publish").skip(1);
        assert!(behind_publish.eq(expected), "{chosen}: {names:?}");
        assert_eq!(connection.end, Some(End::Fin));
        for message in connection.messages.iter().filter(|m| m.command.is_some()).skip(5) {
            let on_the_stream = message.command.as_ref().is_some_and(|c| c.name == "closeStream");
            assert_eq!(message.stream_id, if on_the_stream { 3 } else { 0 });
        }
    }
    Ok(())
}

#[test]
fn the_publish_type_is_the_one_that_was_chosen() -> Result<()> {
    for kind in ["live", "record", "append"] {
        let server = Server::start(|script| {
            let mut client = script.accept()?;
            client.accept_publish(1)?;
            client.read_to_end()
        })?;
        let sink = Sink::playing_with(&server.url("live", "key"), &[("publish-type", kind)])?;
        sink.publish(video(0, KEY_FRAME))?;
        sink.finish()?;
        let connection = server.join_one()?;
        let said = connection.command("publish")?.arguments.get(1).cloned();
        assert_eq!(said, Some(kind.into()));
    }
    Ok(())
}

/// Runs a test about speed up to three times: what is slow each time is not slow because of a busy machine.
fn at_least_once(test: impl Fn() -> Result<()>) -> Result<()> {
    test().or_else(|_| test()).or_else(|_| test())
}

/// Runs a script, has a push wait for what it does, and goes to NULL when `when` says so.
fn null_is_quick(
    script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static,
    when: impl FnOnce(&Sink, &Server) -> Result<()>,
) -> Result<()> {
    let server = Server::start(move |stage| {
        let mut client = stage.accept()?;
        script(&mut client)?;
        client.wait_for_cue()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    when(&sink, &server)?;
    sink.stop_at_once()?;
    assert!(sink.problems().is_empty(), "stopping is no error");
    server.cue();
    server.join()?;
    Ok(())
}

/// A server that stops reading for good.
fn stalled() -> Result<Server> {
    Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.wait_for_cue()
    })
}

/// Has a push wait for a server that has got `bytes` bytes.
fn waiting(bytes: usize) -> impl FnOnce(&Sink, &Server) -> Result<()> {
    move |sink, server| {
        let mut push = sink.begin_push(video(0, KEY_FRAME))?;
        server.wait_for(&format!("{bytes} bytes"), |connections| {
            let connection = connections.first()?;
            (connection.bytes >= u64::try_from(bytes).ok()?).then_some(())
        })?;
        assert!(!push.is_done());
        Ok(())
    }
}

fn waiting_behind(command: &'static str) -> impl FnOnce(&Sink, &Server) -> Result<()> {
    move |sink, server| {
        let mut push = sink.begin_push(video(0, KEY_FRAME))?;
        server.wait_for_command(command)?;
        assert!(!push.is_done());
        Ok(())
    }
}

#[test]
fn null_is_quick_while_the_host_is_looked_up() -> Result<()> {
    at_least_once(|| {
        let sink = Sink::playing("rtmp://no-such-host.invalid/live/key")?;
        sink.stop_at_once()
    })
}

#[test]
fn null_is_quick_while_nobody_accepts() -> Result<()> {
    at_least_once(|| {
        let hole = BlackHole::dig()?;
        let sink = Sink::playing(&hole.url("live", "key")?)?;
        let mut push = sink.begin_push(video(0, KEY_FRAME))?;
        assert!(!push.is_done());
        sink.stop_at_once()?;
        assert!(sink.problems().is_empty());
        Ok(())
    })
}

#[test]
fn null_is_quick_before_the_handshake() -> Result<()> {
    at_least_once(|| null_is_quick(|client| client.read_raw(C0C1).map(drop), waiting(C0C1)))
}

#[test]
fn null_is_quick_in_mid_handshake() -> Result<()> {
    at_least_once(|| {
        null_is_quick(
            |client| {
                client.read_raw(C0C1)?;
                client.send_raw(&[3; 1000])
            },
            waiting(C0C1),
        )
    })
}

#[test]
fn null_is_quick_behind_connect() -> Result<()> {
    at_least_once(|| {
        null_is_quick(
            |client| {
                client.handshake()?;
                client.expect_command("connect").map(drop)
            },
            waiting_behind("connect"),
        )
    })
}

#[test]
fn null_is_quick_behind_create_stream() -> Result<()> {
    at_least_once(|| {
        null_is_quick(
            |client| {
                client.accept_connect()?;
                client.expect_command("createStream").map(drop)
            },
            waiting_behind("createStream"),
        )
    })
}

#[test]
fn null_is_quick_behind_publish() -> Result<()> {
    at_least_once(|| {
        null_is_quick(
            |client| {
                client.accept_stream(1)?;
                client.expect_command("publish").map(drop)
            },
            waiting_behind("publish"),
        )
    })
}

#[test]
fn null_is_quick_with_an_idle_stream() -> Result<()> {
    at_least_once(|| {
        null_is_quick(
            |client| client.accept_publish(1).map(drop),
            |sink, _| sink.publish(video(0, KEY_FRAME)),
        )
    })
}

#[test]
fn null_is_quick_with_a_stalled_peer_and_full_buffers() -> Result<()> {
    at_least_once(|| {
        // rtmpsink on librtmp never returns here.
        null_is_quick(
            |client| client.accept_publish(1).map(drop),
            |sink, _| sink.push_until_blocked(heavy_frame).map(drop),
        )
    })
}

#[test]
fn null_is_quick_in_the_middle_of_a_drain() -> Result<()> {
    at_least_once(|| {
        let server = stalled()?;
        let sink = Sink::playing(&server.url("live", "key"))?;
        let (_, push) = sink.push_until_blocked(heavy_frame)?;
        sink.push_out_of_band(gst::event::FlushStart::new())?;
        assert_eq!(push.wait()?, Err(gst::FlowError::Flushing));
        sink.push_out_of_band(gst::event::FlushStop::new(true))?;
        sink.begin(&[])?;
        let mut eos = sink.begin_eos()?;
        wait::until("a drain that has begun", LONG, || {
            sink.is_draining().then_some(())
        })?;
        assert!(!eos.is_done());
        sink.stop_at_once()?;
        eos.wait()?;
        assert!(sink.problems().is_empty() && sink.messages(gst::MessageType::Eos).is_empty());
        server.cue();
        server.join_one()?;
        Ok(())
    })
}

#[test]
fn null_is_quick_with_a_half_closed_peer() -> Result<()> {
    at_least_once(|| {
        let server = Server::start(|script| {
            let mut client = script.accept()?;
            client.accept_publish(1)?;
            client.finish()?;
            client.wait_for_cue()
        })?;
        let sink = Sink::playing(&server.url("live", "key"))?;
        let _push = sink.begin_push(video(0, KEY_FRAME))?;
        server.wait_for_command("publish")?;
        sink.stop_at_once()?;
        server.cue();
        server.join_one()?;
        Ok(())
    })
}

#[test]
fn null_sends_the_stop_commands_if_the_peer_reads() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(stream().concat())?;
    sink.stop()?;
    let connection = server.join_one()?;
    assert_eq!(media(&connection), stream_messages());
    connection.command("FCUnpublish")?;
    connection.command("deleteStream")?;
    assert_eq!(connection.end, Some(End::Fin));
    Ok(())
}

#[test]
fn ready_is_quick_with_a_stalled_peer() -> Result<()> {
    at_least_once(|| {
        let server = stalled()?;
        let sink = Sink::playing(&server.url("live", "key"))?;
        let (_, push) = sink.push_until_blocked(heavy_frame)?;
        let took = sink.set_state(gst::State::Ready)?.wait()?;
        if took >= QUICK {
            return Err(Failure::new(format!("going to READY took {took:?}")));
        }
        assert_eq!(push.wait()?, Err(gst::FlowError::Flushing));
        server.cue();
        server.join_one()?;
        Ok(())
    })
}
