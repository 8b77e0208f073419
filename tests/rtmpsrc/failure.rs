//! Servers that refuse, do not answer, or answer otherwise than others do.

use std::net::{Ipv4Addr, TcpListener};
use std::panic::resume_unwind;
use std::thread;

use gst::prelude::*;
use gstrtmp::amf::Value;
use gstrtmp::message::{Command, Level, Status, UserControl, type_id};

use super::fixture::*;
use crate::support::script::{
    BlackHole, Client, S0S1S2, Server, connect_error, connect_result, outgoing, stream_result,
};
use crate::support::{Context, Failure, Result};

/// The error of a source whose phases may take a second.
fn error_of(location: &str) -> Result<Problem> {
    let source = Source::with(location, &[("timeout", "1")])?;
    source.play()?;
    source.wait_for_error()
}

/// A server that does the start of a session and then nothing: the error must come in time and name the phase.
fn falls_silent(phase: &str, start: fn(&mut Client) -> Result<()>) -> Result<()> {
    let server = serving(move |client| {
        start(client)?;
        client.read_raw(1 << 20).map(drop).or(Ok(()))
    })?;
    let started = std::time::Instant::now();
    let problem = error_of(&server.url("live", "key"))?;
    problem.expect("ResourceError::OpenRead", phase)?;
    assert!(problem.sentence.contains("in time"), "{problem:?}");
    assert!(problem.debug.contains("timeout during"), "{problem:?}");
    assert!(started.elapsed().as_secs() < 5, "long after its second");
    Ok(())
}

#[test]
fn swf_verification_that_is_asked_for_in_vain_is_warned_of_however_early() -> Result<()> {
    for at_once in [true, false] {
        let server = serving(move |client| {
            client.accept_stream(1)?;
            if at_once {
                client.send_user_control(&UserControl::SwfVerifyRequest(1))?;
            }
            client.expect_command("play")?;
            client.send_status(1, Level::Status, "NetStream.Play.Start", "")?;
            if !at_once {
                client.send_user_control(&UserControl::SwfVerifyRequest(1))?;
            }
            client.read_to_end()
        })?;
        let source = Source::new(&server.url("live", "key"))?;
        source.play()?;
        let warning = source.wait_for_warning()?;
        warning.expect("ResourceError::Settings", "asks for SWF verification")?;
    }
    Ok(())
}

#[test]
fn no_handshake_is_an_error_in_time() -> Result<()> {
    falls_silent("handshake", |_| Ok(()))
}

#[test]
fn half_a_handshake_is_an_error_in_time() -> Result<()> {
    falls_silent("handshake", |client| client.send_raw(&[3; 1000]))
}

#[test]
fn no_answer_to_connect_is_an_error_in_time() -> Result<()> {
    falls_silent("connect", Client::handshake)
}

#[test]
fn no_answer_to_create_stream_is_an_error_in_time() -> Result<()> {
    falls_silent("createStream", |client| client.accept_connect().map(drop))
}

#[test]
fn no_answer_to_play_is_an_error_in_time() -> Result<()> {
    falls_silent("play", |client| client.accept_stream(1))
}

#[test]
fn half_a_message_is_no_answer_to_play() -> Result<()> {
    falls_silent("play", |client| {
        client.accept_stream(1)?;
        client.send_raw(&[5, 0, 0, 0, 0, 0, 200, 20, 1, 0, 0, 0, 2, 0])
    })
}

#[test]
fn no_answer_to_the_tcp_connection_is_an_error_in_time() -> Result<()> {
    let hole = BlackHole::dig()?;
    error_of(&hole.url("live", "key")?)?.expect("ResourceError::OpenRead", "did not answer in time")
}

#[test]
fn a_refused_connection_is_an_error_at_once() -> Result<()> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    error_of(&format!("rtmp://{free}/live/key"))?.expect("ResourceError::OpenRead", "refused the connection")
}

#[test]
fn an_unknown_host_is_an_error_that_names_it() -> Result<()> {
    let problem = error_of("rtmp://no-such-host.invalid/live/key")?;
    assert_eq!(problem.code, "ResourceError::OpenRead");
    let is_told =
        problem.sentence.contains("no-such-host.invalid") || problem.sentence.contains("name server");
    assert!(is_told, "{problem:?}");
    Ok(())
}

#[test]
fn another_protocol_is_told() -> Result<()> {
    let server = serving(|client| client.send_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"))?;
    error_of(&server.url("live", "key"))?.expect("ResourceError::Failed", "does not speak RTMP")
}

/// Without a connection made in advance the same errors come.
#[test]
fn errors_come_without_async_connect_as_well() -> Result<()> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let source = Source::with(&format!("rtmp://{free}/live/key"), &[("async-connect", "false")])?;
    source.play()?;
    source
        .wait_for_error()?
        .expect("ResourceError::OpenRead", "refused")?;

    let source = Source::with(
        &stream_of(group(0, 2))?.url("live", "key"),
        &[("async-connect", "false")],
    )?;
    assert_eq!(source.run()?, group(0, 2));
    Ok(())
}

#[test]
fn a_missing_stream_is_told_in_the_servers_words_without_the_key() -> Result<()> {
    let server = serving(|client| {
        client.accept_stream(1)?;
        client.expect_command("play")?;
        let words = "No stream s3cr3t-key?token=abcdefgh here, abcdefgh\u{7}";
        client.send_status(1, Level::Error, "NetStream.Play.StreamNotFound", words)?;
        client.read_to_end()
    })?;
    let problem = error_of(&server.url("live", "s3cr3t-key?token=abcdefgh"))?;
    problem.expect("ResourceError::NotFound", "NetStream.Play.StreamNotFound")?;
    problem.expect("ResourceError::NotFound", "No stream *** here")?;
    let all = format!("{problem:?}");
    assert!(!all.contains("s3cr3t") && !all.contains("abcdefgh"), "{all}");
    assert!(!problem.sentence.contains('\u{7}'));
    Ok(())
}

#[test]
fn refusals_have_their_own_codes() -> Result<()> {
    for (code, expected) in [
        ("NetConnection.Connect.Rejected", "ResourceError::NotAuthorized"),
        ("NetConnection.Connect.InvalidApp", "ResourceError::NotFound"),
        ("NetConnection.Connect.Failed", "ResourceError::OpenRead"),
    ] {
        let server = serving(move |client| {
            client.handshake()?;
            let connect = client.expect_command("connect")?;
            client.send_command(0, &connect_error(&connect, code, "no"))?;
            client.read_to_end()
        })?;
        error_of(&server.url("live", "key"))?.expect(expected, code)?;
    }
    // nms2: an error on the stream, and the connection stays.
    let server = serving(|client| {
        client.accept_stream(1)?;
        client.expect_command("play")?;
        client.send_status(1, Level::Error, "NetStream.Play.Unauthorized", "who are you")?;
        client.read_to_end()
    })?;
    error_of(&server.url("live", "key"))?.expect("ResourceError::NotAuthorized", "who are you")
}

#[test]
fn a_stream_that_fails_in_the_middle_is_an_error() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 2))?;
        client.send_status(1, Level::Error, "NetStream.Play.Failed", "disk on fire")?;
        client.read_to_end()
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    let problem = source.wait_for_error()?;
    problem.expect("ResourceError::Read", "disk on fire")?;
    assert_eq!(source.tags()?, group(0, 2));
    Ok(())
}

/// The stream of a server that answers as `answer` does.
fn is_played(answer: fn(&mut Client) -> Result<()>) -> Result<()> {
    let server = serving(move |client| {
        answer(client)?;
        finish(client, 1)
    })?;
    let source = Source::with(&server.url("live", "key"), &[("timeout", "2")])?;
    assert_eq!(source.run()?, group(0, 2));
    Ok(())
}

/// rtmp2src hangs for ever on what pyrtmp, scuffle and rtmpsrv do.
#[test]
fn the_status_may_come_on_message_stream_0_or_any() -> Result<()> {
    is_played(|client| {
        client.accept_stream(1)?;
        client.expect_command("play")?;
        client.send_status(0, Level::Status, "NetStream.Play.Start", "playing")?;
        send(client, 1, &group(0, 2))
    })?;
    is_played(|client| {
        client.accept_stream(1)?;
        client.expect_command("play")?;
        client.send_status(5, Level::Status, "NetStream.Play.Start", "playing")?;
        send(client, 1, &group(0, 2))
    })
}

/// rtmp2src ignores type 17, and waits for ever.
#[test]
fn answers_may_come_as_amf3_messages() -> Result<()> {
    is_played(|client| {
        let answer = |client: &mut Client, command: &Command| {
            let (_, body) = command.encode();
            let body = [&[0], &body[..]].concat();
            client.send(outgoing(3, 0, type_id::COMMAND_AMF3, 0, body))
        };
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        answer(client, &connect_result(&connect))?;
        let create_stream = client.expect_command("createStream")?;
        answer(client, &stream_result(&create_stream, 1))?;
        client.expect_command("play")?;
        let start = Status::new(Level::Status, "NetStream.Play.Start", "");
        answer(client, &Command::on_status(&start))?;
        send(client, 1, &group(0, 2))
    })
}

/// rtmp2src drops all that node-media-server 4, xiu and ffmpeg's listener send.
#[test]
fn media_may_come_on_message_stream_0() -> Result<()> {
    is_played(|client| {
        client.accept_play(1)?;
        send(client, 0, &group(0, 2))
    })
}

#[test]
fn media_may_come_without_a_status() -> Result<()> {
    is_played(|client| {
        client.accept_stream(1)?;
        client.expect_command("play")?;
        send(client, 1, &group(0, 2))
    })
}

/// rtmp2src hangs for ever on servers that answer with fixed transaction ids.
#[test]
fn replies_may_bear_other_transaction_ids() -> Result<()> {
    is_played(|client| {
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        let reply = connect_result(&Command {
            transaction_id: 11.0,
            ..connect
        });
        client.send_command(0, &reply)?;
        let create_stream = client.expect_command("createStream")?;
        let reply = stream_result(
            &Command {
                transaction_id: 4.0,
                ..create_stream
            },
            1,
        );
        client.send_command(0, &reply)?;
        client.expect_command("play")?;
        client.send_status(1, Level::Status, "NetStream.Play.Start", "playing")?;
        send(client, 1, &group(0, 2))
    })
}

/// Status messages that look like errors of optional commands, onBWDone ahead of the connect reply, unknown messages.
#[test]
fn what_is_not_asked_for_is_ignored() -> Result<()> {
    is_played(|client| {
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        let call = |name: &str, transaction_id| Command {
            name: name.into(),
            transaction_id,
            object: Value::Null,
            arguments: vec![Value::from(8192.0)],
        };
        client.send_command(0, &call("onBWDone", 0.0))?;
        client.send_command(0, &connect_result(&connect))?;
        let create_stream = client.expect_command("createStream")?;
        client.send_media(0, 77, 0, &b"whatever"[..])?;
        client.send_command(0, &stream_result(&create_stream, 1))?;
        client.expect_command("play")?;
        client.send_status(1, Level::Status, "NetStream.Play.Reset", "")?;
        client.send_status(1, Level::Status, "NetStream.Play.Start", "")?;
        client.send_media(1, 18, 0, &b"\x02\x00\x11|RtmpSampleAccess\x01\x00\x01\x00"[..])?;
        client.send_status(1, Level::Status, "NetStream.Data.Start", "")?;
        send(client, 1, &group(0, 1))?;
        client.send_command(0, &call("onSomething", 9.0))?;
        send(client, 1, &group(0, 2)[1..])
    })
}

/// A short session, whole.
fn session(client: &mut Client) -> Result<()> {
    client.accept_play(1)?;
    send(client, 1, &video_start())?;
    send(client, 1, &group(0, 3))?;
    finish(client, 1)
}

/// Bytes of all that a server sends in [`session`].
fn session_length() -> Result<usize> {
    let server = serving(session)?;
    let source = Source::new(&server.url("live", "key"))?;
    source.run()?;
    usize::try_from(source.figure("in-bytes-total")).map_err(Into::into)
}

/// Cuts sessions after so many bytes each; none may end as if it were whole.
fn cut(cuts: Vec<usize>) -> Result<()> {
    let schedule = cuts.clone();
    let server = Server::start(move |stage| {
        for cut in schedule {
            let mut client = stage.accept()?;
            client.cut_after(cut);
            // Fails at the cut, as it should.
            let _ = session(&mut client);
        }
        Ok(())
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    for cut in cuts {
        source.play()?;
        let problem = source.wait_for_error().context(format!("cut at byte {cut}"))?;
        let is_known = ["ResourceError::OpenRead", "ResourceError::Read"].contains(&&*problem.code);
        assert!(is_known, "{problem:?} at byte {cut}");
        source.stop()?;
    }
    server.join()?;
    Ok(())
}

#[test]
fn a_close_at_any_byte_is_an_error() -> Result<()> {
    // An error takes the element a tenth of a second.
    const AT_A_TIME: usize = 16;
    // The bytes of the handshake are all alike but for the first of S0, S1 and S2.
    let in_handshake = [1, 2, 700, 1536, 1537, 1538, 2000, S0S1S2 - 1];
    // Without the last byte of StreamEOF, the last message, the stream has not ended.
    let cuts = in_handshake.into_iter().chain(S0S1S2..session_length()?);
    let mut lanes = vec![Vec::new(); AT_A_TIME];
    for (n, cut) in cuts.enumerate() {
        lanes[n % AT_A_TIME].push(cut);
    }
    thread::scope(|scope| {
        let lanes: Vec<_> = lanes.into_iter().map(|cuts| scope.spawn(|| cut(cuts))).collect();
        lanes
            .into_iter()
            .try_for_each(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

#[test]
fn garbage_in_mid_stream_is_an_error() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 2))?;
        client.send_raw(&[0xff; 4000])?;
        client.read_to_end()
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source
        .wait_for_error()?
        .expect("ResourceError::Failed", "does not speak RTMP")?;
    assert_eq!(source.tags()?, group(0, 2));
    Ok(())
}

#[test]
fn a_bad_location_is_told_when_it_starts() -> Result<()> {
    let source = Source::new("rtmp://host:99999/live/key")?;
    if source.pipeline.set_state(gst::State::Playing).is_ok() {
        return Err(Failure::new("a port of 99999 was taken"));
    }
    source.wait_for_error()?.expect("ResourceError::Settings", "port")
}

#[test]
fn what_is_not_supported_yet_is_told_when_it_starts() -> Result<()> {
    for (location, properties) in [
        ("rtmp://127.0.0.1/live/key", vec![("scheme", "rtmfp")]),
        ("rtmp://127.0.0.1/live/key weeb=x", vec![]),
    ] {
        let source = Source::with(location, &properties)?;
        assert!(
            source.pipeline.set_state(gst::State::Playing).is_err(),
            "{location} {properties:?}"
        );
        source
            .wait_for_error()?
            .expect("CoreError::NotImplemented", "Not supported yet")?;
        // The base class says nothing of its own behind it.
        let more = source.errors();
        assert!(more.is_empty(), "{location}: {more:?}");
    }
    Ok(())
}

#[test]
fn network_settings_that_cannot_be_used_are_told_when_it_starts() -> Result<()> {
    for (name, value, said) in [
        (
            "proxy",
            "127.0.0.1:1080",
            "does not begin with a scheme of proxies",
        ),
        ("proxy", "socks4://me:hunter2@127.0.0.1", "SOCKS 4 does not know"),
        ("bind-address", "localhost", "not an IP address"),
        (
            "bind-interface",
            "an_interface_of_many_bytes",
            "not the name of a network interface",
        ),
    ] {
        let source = Source::with("rtmp://127.0.0.1/live/key", &[(name, value)])?;
        assert!(
            source.pipeline.set_state(gst::State::Playing).is_err(),
            "{name}={value}"
        );
        let error = source.wait_for_error()?;
        error.expect("ResourceError::Settings", said)?;
        assert!(!error.sentence.contains("hunter2"), "{error:?}");
        assert!(source.errors().is_empty(), "{name}={value}");
    }
    Ok(())
}
