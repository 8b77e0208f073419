//! What goes over the wire: what the element says there, and the ways in which servers say things to it.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use gst::prelude::*;
use gstrtmp::amf::Value;
use gstrtmp::message::{Control, UserControl, type_id};

use super::fixture::*;
use crate::support::script::{Client, Connection, Server, connect_result, outgoing, stream_result};
use crate::support::wait::{self, LONG};
use crate::support::{Failure, Result};

/// How soon a ping is answered whatever else goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// A body of `length` bytes behind `start`, without a period that a chunk size could hide.
fn long(start: &[u8], length: usize) -> Vec<u8> {
    let rest = (start.len()..length).map(|i| (i % 251) as u8);
    start.iter().copied().chain(rest).collect()
}

/// A stream of audio and video with messages of a few and of many bytes.
fn mixed() -> Vec<Message> {
    let mut messages = vec![
        data(0, metadata(true, true)),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
        video(0, &long(KEY_FRAME, 9000)),
    ];
    for n in 1..5 {
        messages.push(audio(40 * n - 7, SOUND));
        messages.push(video(40 * n, &long(INTER_FRAME, 300 * n as usize)));
    }
    messages
}

/// Plays what `script` sends, which is to be `expected`.
fn plays(
    expected: &[Message],
    script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static,
) -> Result<()> {
    let server = serving(move |client| {
        script(client)?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    assert_eq!(source.run()?, expected);
    source.stop()?;
    server.join()?;
    Ok(())
}

#[test]
fn a_server_may_send_byte_by_byte() -> Result<()> {
    plays(&mixed(), |client| {
        client.trickle();
        client.accept_play(1)?;
        send(client, 1, &mixed())
    })
}

#[test]
fn any_chunk_size_may_be_announced_at_any_time() -> Result<()> {
    for size in [1, 4 << 20, 0x7fff_ffff] {
        plays(&mixed(), move |client| {
            client.accept_play(1)?;
            send(client, 1, &mixed()[..4])?;
            client.set_chunk_size(size)?;
            send(client, 1, &mixed()[4..])
        })?;
        plays(&mixed(), move |client| {
            client.handshake()?;
            client.set_chunk_size(size)?;
            let connect = client.expect_command("connect")?;
            client.send_command(0, &connect_result(&connect))?;
            let create_stream = client.expect_command("createStream")?;
            client.send_command(0, &stream_result(&create_stream, 1))?;
            client.expect_command("play")?;
            send(client, 1, &mixed())
        })?;
    }
    Ok(())
}

#[test]
fn messages_may_be_interleaved_chunk_by_chunk() -> Result<()> {
    let frame = long(KEY_FRAME, 600);
    let sound = long(SOUND, 500);
    // The one that ends first comes first.
    let expected = [audio(0, &sound), video(0, &frame)];
    plays(&expected, move |client| {
        client.accept_play(1)?;
        let chunks = |encoded: Vec<u8>| {
            // 12 bytes of header, then 1 before every 128 of the rest.
            let (first, rest) = encoded.split_at(12 + 128);
            let rest = rest.chunks(129).map(<[u8]>::to_vec);
            std::iter::once(first.to_vec()).chain(rest).collect::<Vec<_>>()
        };
        let frame = chunks(client.encode(outgoing(6, 1, type_id::VIDEO, 0, frame))?);
        let sound = chunks(client.encode(outgoing(4, 1, type_id::AUDIO, 0, sound))?);
        let ping = client.encode(outgoing(2, 0, type_id::USER_CONTROL, 0, &b"\0\x06\0\0\0\x01"[..]))?;
        for (n, chunk) in frame.iter().enumerate() {
            client.send_raw(chunk)?;
            client.send_raw(sound.get(n).map_or(&[], Vec::as_slice))?;
            if n == 1 {
                client.send_raw(&ping)?;
            }
        }
        Ok(())
    })
}

/// MonaServer has audio, video, data and status on chunk stream 4, and begins messages with types 1 and 3.
#[test]
fn new_messages_may_begin_with_any_chunk_type() -> Result<()> {
    let expected = [
        video(0, KEY_FRAME),
        video(40, KEY_FRAME),
        video(80, KEY_FRAME),
        audio(90, SOUND),
        audio(113, SOUND),
    ];
    plays(&expected, |client| {
        client.accept_play(1)?;
        let full = [
            4,
            0,
            0,
            0,
            0,
            0,
            KEY_FRAME.len() as u8,
            type_id::VIDEO,
            1,
            0,
            0,
            0,
        ];
        // Type 2: the delta. Type 3: all as before. Type 1: another length and type, then type 2 again.
        let delta = [0x84, 0, 0, 40];
        let other = [0x44, 0, 0, 10, 0, 0, SOUND.len() as u8, type_id::AUDIO];
        let again = [0x84, 0, 0, 23];
        let wire: [&[u8]; 10] = [
            &full,
            KEY_FRAME,
            &delta,
            KEY_FRAME,
            &[0xc4],
            KEY_FRAME,
            &other,
            SOUND,
            &again,
            SOUND,
        ];
        client.send_raw(&wire.concat())
    })
}

#[test]
fn every_window_is_acknowledged() -> Result<()> {
    let server = playing(|client| {
        client.send_control(Control::WindowAckSize(4096))?;
        let mut last = 0;
        for n in 0..4 {
            send(client, 1, &[video(40 * n, &long(KEY_FRAME, 5000))])?;
            let ack = client.read_until("an acknowledgement", |message| {
                message.type_id == type_id::ACKNOWLEDGEMENT
            })?;
            let sequence = ack.payload.clone().get_u32();
            assert!(sequence >= last + 4096, "{sequence} after {last}");
            last = sequence;
        }
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.run()?;
    source.stop()?;
    server.join()?;
    Ok(())
}

/// Sends a ping every now and then and a lot of media, and wants every ping answered in time.
fn ping_and_send(client: &mut Client) -> Result<()> {
    client.send_control(Control::WindowAckSize(20_000))?;
    for n in 1..4 {
        for _ in 0..20 {
            send(client, 1, &[video(n, &long(INTER_FRAME, 2000))])?;
        }
        let sent = Instant::now();
        client.send_user_control(&UserControl::PingRequest(n))?;
        let answer = UserControl::PingResponse(n).encode();
        client.read_until("the answer to a ping", |message| message.payload == answer)?;
        assert!(sent.elapsed() < PATIENCE, "{:?}", sent.elapsed());
    }
    Ok(())
}

/// Waits until the server of [`ping_and_send`] has all that it is owed.
fn wait_for_answers(server: &Server) -> Result<()> {
    server.wait_for("answers to three pings and windows", |connections| {
        let connection = connections.first()?;
        let pongs = connection.of_type(type_id::USER_CONTROL);
        let pongs = pongs
            .filter(|message| message.payload.starts_with(&[0, 7]))
            .count();
        let acks = connection.of_type(type_id::ACKNOWLEDGEMENT).count();
        (pongs == 3 && acks >= 3).then_some(())
    })
}

/// rtmp2src answers nothing while downstream takes nothing.
#[test]
fn pings_and_windows_are_answered_while_downstream_blocks() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 2))?;
        client.wait_for_cue()?;
        ping_and_send(client)?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_tags(2)?;
    let block = source.block()?;
    server.cue();
    wait_for_answers(&server)?;
    source.pad.remove_probe(block);
    source.wait_for_eos()?;
    assert_eq!(source.tags()?.len(), 62, "nothing is lost by it");
    source.stop()?;
    server.join()?;
    Ok(())
}

#[test]
fn pings_and_windows_are_answered_behind_a_full_queue() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 20))?;
        ping_and_send(client)?;
        finish(client, 1)
    })?;
    let source = Source::before(
        "queue max-size-buffers=2 max-size-time=0 max-size-bytes=0 ! identity name=gate ! fakesink sync=false",
        &server.url("live", "key"),
        &[],
    )?;
    let gate = source
        .sink
        .downcast_ref::<gst::Bin>()
        .and_then(|bin| bin.by_name("gate"));
    let pad = gate
        .and_then(|gate| gate.static_pad("sink"))
        .context_missing("the gate's pad")?;
    let types = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
    let block = pad
        .add_probe(types, |_, _| gst::PadProbeReturn::Ok)
        .context_missing("a probe")?;
    source.play()?;
    wait_for_answers(&server)?;
    pad.remove_probe(block);
    source.wait_for_eos()?;
    assert_eq!(source.tags()?.len(), 80);
    source.stop()?;
    server.join()?;
    Ok(())
}

#[test]
fn pings_and_windows_are_answered_while_paused() -> Result<()> {
    for has_played in [false, true] {
        let server = playing(|client| {
            send(client, 1, &group(0, 2))?;
            client.wait_for_cue()?;
            ping_and_send(client)?;
            finish(client, 1)
        })?;
        let source = Source::new(&server.url("live", "key"))?;
        if has_played {
            source.play()?;
            source.wait_for_tags(2)?;
        }
        source.pause()?;
        server.cue();
        wait_for_answers(&server)?;
        source.stop()?;
        server.join()?;
    }
    Ok(())
}

/// More than is kept for later: a live stream goes on without what is too old.
#[test]
fn pings_are_answered_while_paused_however_much_comes() -> Result<()> {
    const HEADERS: usize = 2;
    let server = playing(|client| {
        client.set_chunk_size(65_536)?;
        send(client, 1, &video_start())?;
        let frame: Bytes = long(INTER_FRAME, 1 << 20).into();
        for n in 0..4 {
            for _ in 0..8 {
                client.send_media(1, type_id::VIDEO, 1000 * n, frame.clone())?;
            }
            let sent = Instant::now();
            client.send_user_control(&UserControl::PingRequest(n))?;
            let answer = UserControl::PingResponse(n).encode();
            client.read_until("the answer to a ping", |message| message.payload == answer)?;
            assert!(sent.elapsed() < PATIENCE, "{:?}", sent.elapsed());
        }
        client.wait_for_cue()?;
        send(client, 1, &group(5000, 2))?;
        client.wait_for_cue()?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.pause()?;
    server.wait_for("the answer to the last ping", |connections| {
        let mut pongs = connections.first()?.of_type(type_id::USER_CONTROL);
        pongs
            .any(|message| message.payload[..] == [0, 7, 0, 0, 0, 3])
            .then_some(())
    })?;
    server.cue();
    wait::until("the key frame to come", LONG, || {
        (source.figure("in-video-messages") == 1 + 32 + 2).then_some(())
    })?;
    source.play()?;
    source.wait_for_time(5040)?;
    server.cue();
    source.wait_for_eos()?;
    let tags = source.tags()?;
    assert_eq!(
        tags[HEADERS - 1].body,
        AVC_HEADER,
        "what a decoder needs is still there"
    );
    assert_eq!(tags.last(), group(5000, 2).last());
    source.stop()?;
    server.join()?;
    Ok(())
}

trait OrMissing<T> {
    fn context_missing(self, what: &str) -> Result<T>;
}

impl<T> OrMissing<T> for Option<T> {
    fn context_missing(self, what: &str) -> Result<T> {
        self.ok_or_else(|| Failure::new(format!("{what} is missing")))
    }
}

/// What a source of these settings says to its server. `URL` stands for the server's stream.
fn said(location: &str, properties: &[(&str, &str)]) -> Result<Connection> {
    let server = stream_of(group(0, 1))?;
    let source = Source::with(&location.replace("URL", &server.url("live", "key")), properties)?;
    source.run()?;
    source.stop()?;
    server.join_one()
}

/// The start argument of play and the milliseconds of SetBufferLength.
fn start_and_buffer(location: &str, properties: &[(&str, &str)]) -> Result<(f64, u32)> {
    let connection = said(location, properties)?;
    let play = connection.command("play")?;
    assert_eq!(
        play.arguments.first().and_then(Value::as_str).as_deref(),
        Some("key")
    );
    let start = play
        .arguments
        .get(1)
        .and_then(Value::as_number)
        .context_missing("start")?;
    let buffer = connection
        .of_type(type_id::USER_CONTROL)
        .find(|message| message.payload.starts_with(&[0, 3]))
        .context_missing("SetBufferLength")?;
    let mut fields = buffer.payload.slice(2..);
    assert_eq!(fields.get_u32(), 1, "the message stream");
    Ok((start, fields.get_u32()))
}

#[test]
fn where_to_start_and_how_far_ahead_are_said() -> Result<()> {
    for (location, properties, expected) in [
        ("URL", vec![], (-2.0, 30_000)),
        ("URL", vec![("play-start", "live")], (-1.0, 30_000)),
        ("URL", vec![("play-start", "recorded")], (0.0, 30_000)),
        ("URL", vec![("buffer-length", "0")], (-2.0, 0)),
        ("URL live=1 buffer=100", vec![], (-1.0, 100)),
        // Milliseconds in both: what the specification says of seconds no player and no server keeps to.
        (
            "URL start=5500 timeout=10",
            vec![("buffer-length", "7")],
            (5500.0, 7),
        ),
    ] {
        assert_eq!(
            start_and_buffer(location, &properties)?,
            expected,
            "{location} {properties:?}"
        );
    }
    Ok(())
}

#[test]
fn connect_says_what_the_properties_say() -> Result<()> {
    let connection = said(
        "URL conn=S:first",
        &[
            ("flash-version", "LNX 9"),
            ("swf-url", "http://h/a.swf"),
            ("page-url", "http://h/p"),
            ("tc-url", "rtmp://elsewhere/live"),
            ("extra-connect-args", "B:1 N:2.5"),
            ("connect-args", "O:1 NS:key:text O:0 Z:"),
        ],
    )?;
    let connect = connection.command("connect")?;
    for (name, expected) in [
        ("app", "live"),
        ("flashVer", "LNX 9"),
        ("swfUrl", "http://h/a.swf"),
        ("pageUrl", "http://h/p"),
        ("tcUrl", "rtmp://elsewhere/live"),
    ] {
        let value = connect.object.get(name).and_then(Value::as_str);
        assert_eq!(value.as_deref(), Some(expected), "{name}");
    }
    let expected = [
        "first".into(),
        true.into(),
        2.5.into(),
        Value::object([("key", "text")].map(|(k, v)| (k, Value::from(v)))),
        Value::Null,
    ];
    assert_eq!(connect.arguments, expected);
    Ok(())
}

#[test]
fn connect_leaves_out_what_nobody_asked_for() -> Result<()> {
    let connection = said("URL", &[])?;
    let connect = connection.command("connect")?;
    for name in ["flashVer", "swfUrl", "pageUrl"] {
        assert_eq!(connect.object.get(name), None, "{name}");
    }
    assert!(connect.arguments.is_empty());
    let tc_url = connect
        .object
        .get("tcUrl")
        .and_then(Value::as_str)
        .context_missing("tcUrl")?;
    assert!(
        tc_url.starts_with("rtmp://127.0.0.1:") && tc_url.ends_with("/live"),
        "{tc_url}"
    );
    assert_eq!(
        connection.command_names(),
        ["connect", "createStream", "play", "closeStream", "deleteStream"]
    );
    let ids: Vec<_> = connection
        .commands()
        .map(|command| command.transaction_id)
        .collect();
    assert_eq!(ids, [1.0, 2.0, 3.0, 0.0, 4.0]);
    Ok(())
}

/// rtmp2src refuses it.
#[test]
fn a_location_may_have_no_stream() -> Result<()> {
    let server = stream_of(group(0, 1))?;
    let source = Source::new(&format!("rtmp://{}/live", server.address()))?;
    source.run()?;
    source.stop()?;
    let connection = server.join_one()?;
    let app = connection
        .command("connect")?
        .object
        .get("app")
        .and_then(Value::as_str);
    assert_eq!(app.as_deref(), Some("live"));
    assert_eq!(
        connection.command("play")?.arguments.first(),
        Some(&Value::from(""))
    );
    Ok(())
}

#[test]
fn a_subscription_precedes_play_if_asked_for() -> Result<()> {
    let connection = said("URL subscribe=other", &[])?;
    let names = connection.command_names();
    assert_eq!(
        names,
        [
            "connect",
            "createStream",
            "FCSubscribe",
            "play",
            "closeStream",
            "deleteStream"
        ]
    );
    Ok(())
}

/// TCP_NODELAY, and no wait for what some servers never send: rtmp2src takes 100 ms on loopback.
#[test]
fn a_session_starts_without_delays() -> Result<()> {
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let server = stream_of(group(0, 1))?;
        let source = Source::new(&server.url("live", "key"))?;
        let started = Instant::now();
        source.play()?;
        source.wait_for_tags(1)?;
        fastest = fastest.min(started.elapsed());
    }
    assert!(fastest < Duration::from_millis(40), "{fastest:?}");
    Ok(())
}

#[test]
fn stats_tell_what_has_gone_over_the_wire() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &mixed())?;
        client.wait_for_cue()?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    let stats = || source.element.property::<gst::Structure>("stats");
    assert_eq!(stats().name(), "GstRtmpConnectionStats");
    assert_eq!(stats().get::<u64>("in-bytes-total")?, 0);
    source.play()?;
    source.wait_for_tags(mixed().len())?;
    wait::until("figures of all messages", LONG, || {
        (source.figure("in-video-messages") == 6).then_some(())
    })?;
    let figures = stats();
    assert_eq!(figures.get::<&str>("state")?, "connected");
    assert_eq!(figures.get::<u32>("in-chunk-size")?, 128);
    assert_eq!(figures.get::<u64>("in-audio-messages")?, 5);
    assert_eq!(figures.get::<u64>("in-data-messages")?, 1);
    assert_eq!(figures.get::<&str>("server-version")?, "FMS/3,0,1,123");
    assert_eq!(figures.get::<&str>("last-status")?, "NetStream.Play.Start");
    let payload: usize = mixed().iter().map(|message| message.body.len()).sum();
    assert!(figures.get::<u64>("in-bytes-total")? > 3073 + payload as u64);
    server.cue();
    source.wait_for_eos()?;
    source.stop()?;
    let last = stats();
    assert_eq!(last.get::<&str>("state")?, "closed");
    assert_eq!(last.get::<u64>("in-video-messages")?, 6, "the last figures stay");
    let connection: Connection = server.join_one()?;
    assert_eq!(last.get::<u64>("out-bytes-total")?, connection.bytes);
    Ok(())
}

#[test]
fn a_message_of_megabytes_is_one_buffer() -> Result<()> {
    let frame: Bytes = long(KEY_FRAME, 12_000_000).into();
    let expected = [video(0, &frame)];
    plays(&expected, move |client| {
        client.accept_play(1)?;
        client.set_chunk_size(60_000)?;
        client.send_media(1, type_id::VIDEO, 0, frame)
    })
}
