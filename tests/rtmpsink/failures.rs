//! Servers that misbehave: those a publisher has to get along with, and those that have to become an error, in time
//! and with the right code and words.

use std::time::{Duration, Instant};

use bytes::BufMut as _;
use gstrtmp::amf::Value;
use gstrtmp::message::{Command, Control, Level, LimitType, Status, UserControl, type_id};

use crate::fixture::{Problem, Sink};
use crate::flv::{KEY_FRAME, heavy_frame, media, stream, stream_messages, video};
use crate::support::script::{
    BlackHole, C0C1, Client, Connection, Server, connect_error, connect_result, outgoing, stream_result,
};
use crate::support::{Context, Result, port};

/// Publishes to a server that runs `script` with its one client; the error that comes of it, and only one does.
fn problem_with(script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static) -> Result<Problem> {
    let server = Server::start(move |stage| script(&mut stage.accept()?))?;
    let problem = problem_at(&server.url("live", "key"), |_| Ok(()))?;
    server.join()?;
    Ok(problem)
}

/// Publishes to `location` until something fails, `timeout` being a second.
fn problem_at(location: &str, behind: impl FnOnce(&Sink) -> Result<()>) -> Result<Problem> {
    let sink = Sink::playing_with(location, &[("timeout", "1")])?;
    let started = Instant::now();
    let push = sink.begin_push(video(0, KEY_FRAME))?;
    behind(&sink)?;
    let problem = sink.wait_for_problem()?;
    let took = started.elapsed();
    assert!(took < Duration::from_secs(6), "{problem:?} came after {took:?}");
    // A pipeline that is told of an error on its way to PLAYING stays where it is, and so do its buffers.
    let next = sink.begin_push(video(40, KEY_FRAME))?;
    let eos = sink.begin_eos()?;
    sink.stop()?;
    // The first one may have been sent before the loss showed.
    let _ = push.wait()?;
    assert!(next.wait()?.is_err());
    eos.wait()?;
    assert!(sink.messages(gst::MessageType::Eos).is_empty());
    let more = sink.problems();
    assert!(more.is_empty(), "{problem:?} is followed by {more:?}");
    Ok(problem)
}

/// As [`problem_with`], for a server that waits until the client has given up.
fn silence_after(script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static) -> Result<Problem> {
    problem_with(|client| {
        script(client)?;
        client.read_to_end()
    })
}

/// Publishes to a server that is odd but willing; what it got.
fn published_to(script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static) -> Result<Connection> {
    let server = Server::start(move |stage| {
        let mut client = stage.accept()?;
        script(&mut client)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(stream().concat())?;
    sink.finish()?;
    assert!(sink.problems().is_empty());
    let connection = server.join_one()?;
    assert_eq!(media(&connection), stream_messages());
    Ok(connection)
}

// No answer, in every phase. rtmp2sink waits for ever for each of them from connect on (B2).

#[test]
fn nobody_accepting_times_out() -> Result<()> {
    let hole = BlackHole::dig()?;
    problem_at(&hole.url("live", "key")?, |_| Ok(()))?
        .expect("ResourceError::OpenWrite", "did not answer in time")
}

#[test]
fn no_handshake_times_out() -> Result<()> {
    silence_after(|client| client.read_raw(C0C1).map(drop))?.expect(
        "ResourceError::OpenWrite",
        "did not answer the RTMP handshake in time",
    )
}

#[test]
fn half_a_handshake_times_out() -> Result<()> {
    silence_after(|client| {
        client.read_raw(C0C1)?;
        client.send_raw(&[3; 1536])
    })?
    .expect(
        "ResourceError::OpenWrite",
        "did not answer the RTMP handshake in time",
    )
}

#[test]
fn no_answer_to_connect_times_out() -> Result<()> {
    silence_after(Client::handshake)?.expect("ResourceError::OpenWrite", "did not answer connect in time")
}

#[test]
fn no_answer_to_create_stream_times_out() -> Result<()> {
    silence_after(|client| client.accept_connect().map(drop))?
        .expect("ResourceError::OpenWrite", "did not answer createStream in time")
}

#[test]
fn no_answer_to_publish_times_out() -> Result<()> {
    silence_after(|client| client.accept_stream(1))?
        .expect("ResourceError::OpenWrite", "did not answer publish in time")
}

#[test]
fn pings_do_not_put_a_deadline_off() -> Result<()> {
    silence_after(|client| {
        client.accept_stream(1)?;
        client.expect_command("publish")?;
        // Until the client has gone.
        while client
            .send_user_control(&UserControl::PingRequest(1))
            .and_then(|()| client.read_message())
            .is_ok_and(|message| message.is_some())
        {}
        Ok(())
    })?
    .expect("ResourceError::OpenWrite", "did not answer publish in time")
}

#[test]
fn a_peer_that_stops_reading_times_out() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.wait_for_cue()
    })?;
    let problem = problem_at(&server.url("live", "key"), |sink| {
        sink.push_until_blocked(heavy_frame).map(drop)
    })?;
    server.cue();
    server.join_one()?;
    problem.expect("ResourceError::Write", "has stopped reading")
}

#[test]
fn a_silent_server_is_reported_though_no_data_comes() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_connect()?;
        client.read_to_end()
    })?;
    let sink = Sink::playing_with(&server.url("live", "key"), &[("timeout", "1")])?;
    sink.wait_for_problem()?
        .expect("ResourceError::OpenWrite", "did not answer createStream in time")?;
    sink.stop()?;
    server.join_one()?;
    Ok(())
}

// Refusals.

#[test]
fn a_refused_connection_is_told_as_such() -> Result<()> {
    let [port] = port::free()?;
    problem_at(&format!("rtmp://127.0.0.1:{port}/live/key"), |_| Ok(()))?
        .expect("ResourceError::OpenWrite", "refused the connection")
}

#[test]
fn an_unknown_host_cannot_be_opened() -> Result<()> {
    let problem = problem_at("rtmp://no-such-host.invalid/live/key", |_| Ok(()))?;
    assert_eq!(problem.code, "ResourceError::OpenWrite", "{problem:?}");
    // The second is for machines without a name server.
    let sentences = [
        "Could not find the host no-such-host.invalid",
        "No name server answered",
    ];
    assert!(
        sentences.iter().any(|s| problem.sentence.contains(s)),
        "{problem:?}"
    );
    Ok(())
}

#[test]
fn refused_publishing_is_told_by_its_code() -> Result<()> {
    let table = [
        ("NetStream.Publish.BadName", "ResourceError::Busy"),
        ("NetStream.Publish.Denied", "ResourceError::NotAuthorized"),
        ("NetStream.publish.Unauthorized", "ResourceError::NotAuthorized"),
        ("NetStream.Publish.Rejected", "ResourceError::NotAuthorized"),
        ("NetStream.Publish.Failed", "ResourceError::OpenWrite"),
        ("NetStream.Failed", "ResourceError::OpenWrite"),
    ];
    for (code, expected) in table {
        problem_with(move |client| {
            client.accept_stream(1)?;
            client.expect_command("publish")?;
            client.send_status(1, Level::Error, code, "not you")?;
            client.read_to_end()
        })?
        .expect(expected, &format!("refused publish: {code}, not you."))?;
    }
    Ok(())
}

#[test]
fn a_refused_connect_is_told_by_its_code() -> Result<()> {
    let table = [
        ("NetConnection.Connect.Rejected", "ResourceError::NotAuthorized"),
        ("NetConnection.Connect.InvalidApp", "ResourceError::NotFound"),
        ("NetConnection.Connect.Failed", "ResourceError::OpenWrite"),
    ];
    for (code, expected) in table {
        problem_with(move |client| {
            client.handshake()?;
            let connect = client.expect_command("connect")?;
            client.send_command(0, &connect_error(&connect, code, "no"))?;
            client.read_to_end()
        })?
        .expect(expected, &format!("refused connect: {code}, no."))?;
    }
    Ok(())
}

#[test]
fn mona_swaps_level_and_code_of_a_refusal() -> Result<()> {
    problem_with(|client| {
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        let info = Value::object([
            ("level", Value::from("NetConnection.Connect.Rejected")),
            ("code", Value::from("error")),
            ("description", Value::from("swapped")),
        ]);
        let error = Command::error(connect.transaction_id, Value::Null, vec![info]);
        client.send_command(0, &error)?;
        client.read_to_end()
    })?
    .expect("ResourceError::NotAuthorized", "refused connect")
}

#[test]
fn a_redirect_is_told_with_its_target_and_without_its_secrets() -> Result<()> {
    let problem = problem_with(|client| {
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        let info = Value::object([
            ("level", Value::from("error")),
            ("code", Value::from("NetConnection.Connect.Rejected")),
            (
                "ex",
                Value::object([
                    ("code", Value::from(302.0)),
                    ("redirect", Value::from("rtmp://other.example/live/hidden")),
                ]),
            ),
        ]);
        let error = Command::error(connect.transaction_id, Value::Null, vec![info]);
        client.send_command(0, &error)?;
        client.read_to_end()
    })?;
    assert!(!problem.sentence.contains("hidden"), "{problem:?}");
    problem.expect("ResourceError::OpenWrite", "rtmp://other.example/live")
}

#[test]
fn a_refusal_that_is_closed_upon_at_once_is_still_told() -> Result<()> {
    problem_with(|client| {
        client.accept_stream(1)?;
        client.expect_command("publish")?;
        client.send_status(1, Level::Error, "NetStream.Publish.BadName", "taken")?;
        client.finish()?;
        client.read_to_end()
    })?
    .expect("ResourceError::Busy", "NetStream.Publish.BadName")
}

#[test]
fn what_the_server_says_cannot_garble_a_terminal() -> Result<()> {
    let problem = problem_with(|client| {
        client.accept_stream(1)?;
        client.expect_command("publish")?;
        client.send_status(
            1,
            Level::Error,
            "NetStream.Publish.Denied",
            "\u{1b}[2J\r\nred\u{7}",
        )?;
        client.read_to_end()
    })?;
    assert!(!problem.sentence.contains(char::is_control), "{problem:?}");
    problem.expect("ResourceError::NotAuthorized", "[2Jred")
}

// Lost connections.

#[test]
fn closing_in_any_phase_is_told_with_the_phase() -> Result<()> {
    type Script = fn(&mut Client) -> Result<()>;
    let table: [(Script, &str); 4] = [
        (|client| client.read_raw(C0C1).map(drop), "during the handshake"),
        (
            |client| {
                client.handshake()?;
                client.expect_command("connect").map(drop)
            },
            "without answering connect",
        ),
        (
            |client| {
                client.accept_connect()?;
                client.expect_command("createStream").map(drop)
            },
            "instead of answering createStream",
        ),
        (
            |client| {
                client.accept_stream(1)?;
                client.expect_command("publish").map(drop)
            },
            "instead of answering publish",
        ),
    ];
    for (script, expected) in table {
        problem_with(move |client| {
            script(client)?;
            client.finish()?;
            client.read_to_end()
        })?
        .expect("ResourceError::OpenWrite", expected)?;
    }
    Ok(())
}

#[test]
fn start_followed_by_close_is_an_error() -> Result<()> {
    // nginx with publishing forbidden, node-media-server 4 and xiu with a name that is taken.
    problem_with(|client| {
        client.accept_publish(1)?;
        client.finish()?;
        client.read_to_end()
    })?
    .expect("ResourceError::Write", "closed the connection")
}

#[test]
fn a_reset_in_mid_stream_is_a_write_error() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_media(1)?;
        client.reset()
    })?;
    problem_at(&server.url("live", "key"), |_| Ok(()))?
        .expect("ResourceError::Write", "was lost during the stream")?;
    server.join()?;
    Ok(())
}

#[test]
fn a_connection_lost_while_no_data_comes_is_reported() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_media(1)?;
        client.wait_for_cue()?;
        client.finish()?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(video(0, KEY_FRAME))?;
    server.cue();
    sink.wait_for_problem()?.expect(
        "ResourceError::Write",
        "closed the connection before the stream had ended",
    )?;
    assert_eq!(sink.push(video(40, KEY_FRAME))?, Err(gst::FlowError::Error));
    sink.stop()?;
    assert!(sink.problems().is_empty());
    server.join_one()?;
    Ok(())
}

#[test]
fn a_connection_lost_while_paused_is_reported() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.wait_for_cue()?;
        client.reset()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(video(0, KEY_FRAME))?;
    sink.set_state(gst::State::Paused)?.wait()?;
    server.cue();
    let problem = sink.wait_for_problem()?;
    assert_eq!(problem.code, "ResourceError::Write", "{problem:?}");
    server.join_one()?;
    Ok(())
}

#[test]
fn a_status_error_in_mid_stream_is_told() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_media(1)?;
        client.send_status(1, Level::Error, "NetStream.Publish.Denied", "banned")?;
        client.read_to_end()
    })?;
    problem_at(&server.url("live", "key"), |_| Ok(()))?.expect(
        "ResourceError::NotAuthorized",
        "NetStream.Publish.Denied, banned.",
    )?;
    server.join()?;
    Ok(())
}

/// Bytes that a willing server sends until media may flow.
fn bytes_of_a_good_start() -> Result<usize> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(video(0, KEY_FRAME))?;
    let bytes: u64 = sink.stats().get("in-bytes-total")?;
    sink.finish()?;
    server.join_one()?;
    Ok(usize::try_from(bytes)?)
}

#[test]
fn a_server_may_close_behind_any_byte() -> Result<()> {
    let last = bytes_of_a_good_start()?;
    let handshake = (1..3073).step_by(439);
    for cut in handshake.chain(3073..last) {
        let server = Server::start(move |script| {
            let mut client = script.accept()?;
            client.cut_after(cut);
            client.accept_publish(1)?;
            client.read_to_end()
        })?;
        let sink = Sink::playing(&server.url("live", "key"))?;
        let push = sink.begin_push(video(0, KEY_FRAME))?;
        let cut = format!("cut behind byte {cut} of {last}");
        let problem = sink.wait_for_problem().context(&cut)?;
        assert_eq!(problem.code, "ResourceError::OpenWrite", "{cut}: {problem:?}");
        sink.stop()?;
        assert!(push.wait()?.is_err(), "{cut}");
        server.join_one()?;
    }
    Ok(())
}

// Garbage.

#[test]
fn a_web_server_is_no_rtmp_server() -> Result<()> {
    problem_with(|client| {
        client.read_raw(C0C1)?;
        client.send_raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")?;
        client.read_to_end()
    })?
    .expect("ResourceError::Failed", "does not speak RTMP as it should")
}

#[test]
fn garbage_behind_the_handshake_is_an_error() -> Result<()> {
    problem_with(|client| {
        client.handshake()?;
        // A chunk of type 1 to 3 on every chunk stream there is, for messages that never began.
        client.send_raw(&[0xC3; 5000])?;
        client.read_to_end()
    })
    .map(drop)
}

#[test]
fn a_message_that_is_no_command_is_an_error() -> Result<()> {
    problem_with(|client| {
        client.handshake()?;
        client.expect_command("connect")?;
        client.send(outgoing(3, 0, type_id::COMMAND_AMF0, 0, &b"\x05\x05\x05"[..]))?;
        client.read_to_end()
    })?
    .expect("ResourceError::Failed", "does not speak RTMP as it should")
}

#[test]
fn create_stream_without_an_id_is_an_error() -> Result<()> {
    problem_with(|client| {
        client.accept_connect()?;
        let create_stream = client.expect_command("createStream")?;
        let result = Command::result(create_stream.transaction_id, Value::Null, vec![]);
        client.send_command(0, &result)?;
        client.read_to_end()
    })?
    .expect(
        "ResourceError::Failed",
        "createStream was answered without a stream id",
    )
}

#[test]
fn a_chunk_size_of_zero_is_an_error() -> Result<()> {
    problem_with(|client| {
        client.handshake()?;
        client.send_control(Control::SetChunkSize(0))?;
        client.read_to_end()
    })?
    .expect("ResourceError::Failed", "chunk size")
}

// Servers to get along with.

#[test]
fn a_status_on_message_stream_0_counts() -> Result<()> {
    // pyrtmp, scuffle and rtmpsrv; rtmp2sink hangs (B3).
    published_to(|client| {
        client.accept_stream(1)?;
        client.expect_command("publish")?;
        client.send_status(0, Level::Status, "NetStream.Publish.Start", "")
    })
    .map(drop)
}

#[test]
fn a_status_without_the_null_before_its_info_counts() -> Result<()> {
    published_to(|client| {
        client.accept_stream(1)?;
        client.expect_command("publish")?;
        let info = Status::new(Level::Status, "NetStream.Publish.Start", "").info;
        client.send_command(0, &Command::new("onStatus", 0.0, info, vec![]))
    })
    .map(drop)
}

#[test]
fn transaction_ids_of_the_servers_own_making_count() -> Result<()> {
    // The server that this was seen with answers createStream as 4 whatever was asked; rtmp2sink hangs.
    published_to(|client| {
        client.handshake()?;
        let mut connect = client.expect_command("connect")?;
        connect.transaction_id = 0.0;
        client.send_command(0, &connect_result(&connect))?;
        let mut create_stream = client.expect_command("createStream")?;
        create_stream.transaction_id = 99.0;
        client.send_command(0, &stream_result(&create_stream, 1))?;
        client.expect_command("publish")?;
        client.send_status(1, Level::Status, "NetStream.Publish.Start", "")
    })
    .map(drop)
}

#[test]
fn media_goes_on_whatever_stream_the_server_creates() -> Result<()> {
    for stream_id in [1, 2, 77, 0xFF_FFFF] {
        let connection = published_to(move |client| client.accept_publish(stream_id).map(drop))?;
        assert!(connection.media().all(|message| message.stream_id == stream_id));
        let delete = connection.command("deleteStream")?;
        assert_eq!(delete.arguments, [Value::from(f64::from(stream_id))]);
    }
    Ok(())
}

#[test]
fn optional_commands_may_be_refused_or_answered() -> Result<()> {
    // crtmpserver and MonaServer2 refuse them, SRS answers, and all of them say more than was asked for.
    published_to(|client| {
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        client.send_command(0, &Command::new("onBWDone", 0.0, Value::Null, vec![]))?;
        client.send_control(Control::WindowAckSize(2_500_000))?;
        client.send_control(Control::SetPeerBandwidth {
            window: 2_500_000,
            limit: LimitType::Dynamic,
        })?;
        client.send_user_control(&UserControl::StreamBegin(0))?;
        client.send_command(0, &connect_result(&connect))?;
        let release = client.expect_command("releaseStream")?;
        let refusal = Status::new(Level::Error, "NetConnection.Call.Failed", "no such method").info;
        let error = Command::error(release.transaction_id, Value::Null, vec![refusal.clone()]);
        client.send_command(0, &error)?;
        let fc_publish = client.expect_command("FCPublish")?;
        let error = Command::error(fc_publish.transaction_id, Value::Null, vec![refusal]);
        client.send_command(0, &error)?;
        client.send_command(0, &Command::new("onFCPublish", 0.0, Value::Null, vec![]))?;
        let create_stream = client.expect_command("createStream")?;
        client.send_command(0, &stream_result(&create_stream, 1))?;
        client.expect_command("publish")?;
        client.send_command(0, &Command::new("unheardOf", 9.0, Value::Null, vec![]))?;
        client.send_status(1, Level::Status, "NetStream.Publish.Start", "")
    })
    .map(drop)
}

#[test]
fn a_server_may_send_byte_by_byte() -> Result<()> {
    published_to(|client| {
        client.trickle();
        client.accept_publish(1).map(drop)
    })
    .map(drop)
}

#[test]
fn a_server_may_use_any_chunk_size() -> Result<()> {
    for size in [1, 129, 4 << 20, i32::MAX.cast_unsigned()] {
        published_to(move |client| {
            client.handshake()?;
            client.set_chunk_size(size)?;
            let connect = client.expect_command("connect")?;
            client.send_command(0, &connect_result(&connect))?;
            let create_stream = client.expect_command("createStream")?;
            client.send_command(0, &stream_result(&create_stream, 1))?;
            client.expect_command("publish")?;
            client.send_status(1, Level::Status, "NetStream.Publish.Start", "")
        })?;
    }
    Ok(())
}

#[test]
fn new_messages_may_begin_with_chunks_of_type_1_and_3() -> Result<()> {
    // MonaServer2's control messages, and rtmpsrv's first message of all.
    published_to(|client| {
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        // Type 1 on a chunk stream that has had no type 0: Window Acknowledgement Size; type 3 repeats it.
        client.send_raw(b"\x42\0\0\0\0\0\x04\x05\0\x25\x80\0")?;
        client.send_raw(b"\xC2\0\x25\x80\0")?;
        client.send_command(0, &connect_result(&connect))?;
        let create_stream = client.expect_command("createStream")?;
        client.send_command(0, &stream_result(&create_stream, 1))?;
        client.expect_command("publish")?;
        client.send_status(1, Level::Status, "NetStream.Publish.Start", "")
    })
    .map(drop)
}

#[test]
fn chunks_of_several_messages_may_interleave() -> Result<()> {
    published_to(|client| {
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        let (type_id, result) = connect_result(&connect).encode();
        let mut reply = client.encode(outgoing(3, 0, type_id, 0, result))?;
        let (type_id, done) = Command::new("onBWDone", 0.0, Value::Null, vec![]).encode();
        let other = client.encode(outgoing(8, 0, type_id, 0, done))?;
        // The reply to connect has a second chunk behind 12 bytes of header and 128 of payload.
        let rest = reply.split_off(12 + 128);
        client.send_raw(&[reply, other, rest].concat())?;
        let create_stream = client.expect_command("createStream")?;
        client.send_command(0, &stream_result(&create_stream, 1))?;
        client.expect_command("publish")?;
        client.send_status(1, Level::Status, "NetStream.Publish.Start", "")
    })
    .map(drop)
}

#[test]
fn pings_are_answered_while_no_data_comes() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        for time in [1, 0xFFFF_FFFF] {
            client.send_user_control(&UserControl::PingRequest(time))?;
            let answer = client.read_until("the answer to a ping", |message| {
                message.type_id == type_id::USER_CONTROL && message.payload.starts_with(&[0, 7])
            })?;
            assert_eq!(answer.payload.get(2..6), Some(&time.to_be_bytes()[..]));
        }
        client.wait_for_cue()?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    server.wait_for("two answers to pings", |connections| {
        let answers = connections.first()?.of_type(type_id::USER_CONTROL);
        (answers.count() == 2).then_some(())
    })?;
    server.cue();
    sink.stop()?;
    server.join_one()?;
    Ok(())
}

#[test]
fn a_window_of_4096_bytes_is_acknowledged() -> Result<()> {
    // xiu and scuffle.
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.handshake()?;
        client.send_control(Control::WindowAckSize(4096))?;
        let connect = client.expect_command("connect")?;
        client.send_command(0, &connect_result(&connect))?;
        // More than a window of words that a publisher has no use for.
        let mut words = Vec::new();
        words.put_slice(b"\x02\x00\x04spam\x05");
        words.resize(2000, 5);
        for _ in 0..3 {
            client.send(outgoing(4, 0, type_id::DATA_AMF0, 0, words.clone()))?;
        }
        client.read_until("an acknowledgement", |message| {
            message.type_id == type_id::ACKNOWLEDGEMENT
        })?;
        let create_stream = Command::create_stream(4.0);
        client.send_command(0, &stream_result(&create_stream, 1))?;
        client.expect_command("publish")?;
        client.send_status(1, Level::Status, "NetStream.Publish.Start", "")?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(stream().concat())?;
    sink.finish()?;
    let connection = server.join_one()?;
    assert_eq!(media(&connection), stream_messages());
    Ok(())
}

#[test]
fn what_the_server_says_reaches_the_application() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.send_status(1, Level::Warning, "NetStream.Publish.Slow", "hurry up")?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let mut number = 0;
    // It is taken along with some buffer that follows.
    let said = loop {
        sink.publish(video(number * 40, KEY_FRAME))?;
        number += 1;
        let said = sink
            .messages(gst::MessageType::Element)
            .iter()
            .filter_map(|message| message.structure().map(ToOwned::to_owned))
            .find(|structure| structure.get("code") == Ok("NetStream.Publish.Slow"));
        if let Some(said) = said {
            break said;
        }
        assert!(number < 100_000, "the status was never posted");
    };
    assert_eq!(said.name(), "rtmp-status");
    assert_eq!(said.get("level"), Ok("warning"));
    assert_eq!(said.get("description"), Ok("hurry up"));
    sink.finish()?;
    server.join_one().context("the server")?;
    Ok(())
}

#[test]
fn swf_verification_that_is_asked_for_in_vain_is_warned_of_however_early() -> Result<()> {
    for at_once in [true, false] {
        let server = Server::start(move |script| {
            let mut client = script.accept()?;
            client.accept_stream(1)?;
            if at_once {
                client.send_user_control(&UserControl::SwfVerifyRequest(1))?;
            }
            client.expect_command("publish")?;
            client.send_status(1, Level::Status, "NetStream.Publish.Start", "")?;
            if !at_once {
                client.send_user_control(&UserControl::SwfVerifyRequest(1))?;
            }
            client.read_to_end()
        })?;
        let sink = Sink::playing(&server.url("live", "key"))?;
        let mut number = 0;
        // It is taken along with some buffer that follows.
        let warnings = loop {
            sink.publish(video(number * 40, KEY_FRAME))?;
            number += 1;
            let warnings = sink.warnings();
            if !warnings.is_empty() {
                break warnings;
            }
            assert!(number < 100_000, "no warning was ever posted");
        };
        assert!(warnings[0].contains("asks for SWF verification"), "{warnings:?}");
        sink.finish()?;
        server.join_one().context("the server")?;
    }
    Ok(())
}
