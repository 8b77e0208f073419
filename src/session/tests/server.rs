//! The server session against clients of every kind, and its limits.

use super::*;

fn connect(app: &str) -> Command {
    let object = Value::object(
        [("app", app), ("tcUrl", "rtmp://host/live"), ("flashVer", "x/1")]
            .map(|(key, text)| (key, Value::from(text))),
    );
    Command::new("connect", 1.0, object, vec![])
}

fn refusal(code: &str) -> Result<(), Status> {
    Err(Status::new(Level::Error, code, "not here"))
}

impl Script {
    fn shaken(config: ServerConfig) -> Self {
        let mut script = Self::client_of(config);
        script.raw(&handshake()).unwrap();
        assert_eq!(script.session.stats().queued_bytes, HANDSHAKE);
        script
    }

    fn connected(config: ServerConfig) -> Self {
        let mut script = Self::shaken(config);
        script.command(0, &connect("live")).unwrap();
        script.answer(Ok(())).unwrap();
        assert_eq!(script.told(), ["connected"]);
        script.hear();
        script
    }

    fn serving(command: &Command) -> Self {
        let mut script = Self::connected(to_serve());
        script.command(0, &Command::create_stream(2.0)).unwrap();
        script.command(1, command).unwrap();
        script.answer(Ok(())).unwrap();
        assert_eq!(script.told(), ["ready"]);
        script.hear();
        script
    }

    fn publishing() -> Self {
        Self::serving(&Command::publish(3.0, "key", "live"))
    }

    fn playing() -> Self {
        Self::serving(&Command::play(3.0, "key", -2.0))
    }

    fn send(&mut self, kind: MediaKind) -> Result<(), Error> {
        let media = Media {
            kind,
            timestamp: Timestamp::ZERO,
            head: Bytes::new(),
            body: Bytes::from_static(&[1]),
        };
        self.session.send(self.now, media)
    }
}

#[test]
fn connect_publish_and_unpublish_are_answered_as_servers_do() {
    let mut script = Script::shaken(to_serve());
    script.command(0, &connect("live/")).unwrap();
    assert_eq!(script.session.phase(), Phase::Connect);
    match script.session.poll_event() {
        Some(Event::Requested(request @ Request::Connect { .. })) => {
            if let Request::Connect {
                application,
                tc_url,
                object,
            } = &request
            {
                assert_eq!(application, &Text::from("live"));
                assert_eq!(tc_url, &Some(Text::from("rtmp://host/live")));
                assert_eq!(object.get("app"), Some(&Value::from("live/")));
            }
            script.session.answer(script.now, &request, Ok(())).unwrap();
        }
        other => panic!("{other:?} is not a request"),
    }
    assert_eq!(
        script.hear(),
        [
            "2/0 WindowAckSize(2500000)",
            "2/0 SetPeerBandwidth { window: 2500000, limit: Dynamic }",
            "2/0 SetChunkSize(4096)",
            concat!(
                r#"3/0 _result(1, {fmsVer: "FMS/3,0,1,123", capabilities: 31}, "#,
                r#"{level: "status", code: "NetConnection.Connect.Success", "#,
                r#"description: "Connection succeeded.", objectEncoding: 0})"#
            ),
        ]
    );
    script.command(0, &Command::release_stream(2.0, "key")).unwrap();
    script.command(0, &Command::fc_publish(3.0, "key")).unwrap();
    script.command(0, &Command::create_stream(4.0)).unwrap();
    assert_eq!(
        script.hear(),
        [
            "3/0 _result(2, null, undefined)",
            concat!(
                r#"3/0 onFCPublish(0, null, {level: "status", code: "NetStream.Publish.Start", "#,
                r#"description: "FCPublish"})"#
            ),
            "3/0 _result(3, null, undefined)",
            "3/0 _result(4, null, 1)",
        ]
    );
    script
        .command(1, &Command::publish(5.0, "key?token=1", "live"))
        .unwrap();
    assert_eq!(script.hear(), [""; 0]);
    assert_eq!(
        script.told(),
        ["connected", r#"asks to publish "key?token=1" "live""#]
    );
    let request = Request::Publish {
        stream: "key?token=1".into(),
        kind: "live".into(),
    };
    script.session.answer(script.now, &request, Ok(())).unwrap();
    assert_eq!(
        script.hear(),
        [
            "2/0 StreamBegin(1)",
            r#"8/1 onStatus(0, null, {level: "status", code: "NetStream.Publish.Start", description: "publishing"})"#,
        ]
    );
    script.say(1, type_id::VIDEO, 5, &[0x17, 0]).unwrap();
    // Some encoders send their metadata on message stream 0.
    script.data(0, &["@setDataFrame".into()]).unwrap();
    script.say(9, type_id::VIDEO, 5, &[0x17, 0]).unwrap();
    assert_eq!(
        script.told(),
        ["ready", "Video at 5 of 2 bytes", "Data at 0 of 16 bytes"]
    );
    script.command(0, &Command::fc_unpublish(6.0, "key")).unwrap();
    script.command(0, &Command::delete_stream(7.0, 1)).unwrap();
    assert_eq!(
        script.hear(),
        [
            concat!(
                r#"3/0 onFCUnpublish(0, null, {level: "status", code: "NetStream.Unpublish.Success", "#,
                r#"description: "FCUnpublish"})"#
            ),
            "3/0 _result(6, null, undefined)",
            concat!(
                r#"8/1 onStatus(0, null, {level: "status", code: "NetStream.Unpublish.Success", "#,
                r#"description: "the stream has ended"})"#
            ),
        ]
    );
    assert_eq!(script.told(), ["eof"]);
    script.eof().unwrap();
    assert_eq!(script.told(), ["closed"]);
}

#[test]
fn play_is_answered_and_ends_when_the_stream_does() {
    let mut script = Script::connected(to_serve());
    script.command(0, &Command::create_stream(2.0)).unwrap();
    script.command(1, &Command::play(0.0, "key", -1.0)).unwrap();
    script.hear();
    assert_eq!(script.told(), [r#"asks to play "key" -1"#]);
    let request = Request::Play {
        stream: "key".into(),
        start: -1.0,
        length: -1.0,
    };
    script.session.answer(script.now, &request, Ok(())).unwrap();
    assert_eq!(
        script.hear(),
        [
            "2/0 StreamBegin(1)",
            r#"8/1 onStatus(0, null, {level: "status", code: "NetStream.Play.Reset", description: "playing anew"})"#,
            r#"8/1 onStatus(0, null, {level: "status", code: "NetStream.Play.Start", description: "playing"})"#,
        ]
    );
    script.send(MediaKind::Audio).unwrap();
    assert_eq!(script.hear(), ["5/1 audio at 0 of 1 bytes"]);
    script.session.end_stream(script.now);
    let ended = concat!(
        r#"8/1 onStatus(0, null, {level: "status", code: "NetStream.Play.UnpublishNotify", "#,
        r#"description: "the publisher has left"})"#
    );
    assert_eq!(script.hear(), [ended, "2/0 StreamEof(1)"]);
    // It is over once, and the client may play again.
    script.session.end_stream(script.now);
    assert_eq!(script.hear(), [""; 0]);
    assert!(script.send(MediaKind::Audio).is_err());
    assert_eq!(script.told(), ["ready"]);
    script.command(1, &Command::play(0.0, "other", -2.0)).unwrap();
    assert_eq!(script.told(), [r#"asks to play "other" -2"#]);
    let request = Request::Play {
        stream: "other".into(),
        start: -2.0,
        length: -1.0,
    };
    script.session.answer(script.now, &request, Ok(())).unwrap();
    script.hear();
    script.session.close(script.now);
    assert_eq!(script.hear(), [ended, "2/0 StreamEof(1)"]);
    assert_eq!(script.told(), ["ready"]);
    script.eof().unwrap();
    assert_eq!(script.told(), ["closed"]);
}

#[test]
fn object_encoding_3_is_agreed_to_and_commands_of_type_17_are_understood() {
    let mut script = Script::shaken(to_serve());
    let mut command = connect("live");
    if let Value::Object(object) = &mut command.object {
        object.properties.push("objectEncoding", Value::Number(3.0));
    }
    script.command(0, &command).unwrap();
    script.answer(Ok(())).unwrap();
    assert!(script.hear().pop().unwrap().ends_with("objectEncoding: 3})"));
    let (type_id, payload) = Command::create_stream(2.0).encode_amf3();
    script.say(0, type_id, 0, &payload).unwrap();
    assert_eq!(script.hear(), ["3/0 _result(2, null, 1)"]);
}

#[test]
fn a_refused_connect_ends_the_session() {
    let mut script = Script::shaken(to_serve());
    script.command(0, &connect("live")).unwrap();
    script.answer(refusal("NetConnection.Connect.Rejected")).unwrap();
    assert_eq!(
        script.hear(),
        [concat!(
            r#"3/0 _error(1, null, {level: "error", code: "NetConnection.Connect.Rejected", "#,
            r#"description: "not here"})"#
        )]
    );
    assert_eq!(script.told(), ["closed"]);
    script.command(0, &Command::create_stream(2.0)).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    script.eof().unwrap();
    script.pass(seconds(60)).unwrap();
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn a_refused_stream_leaves_the_connection() {
    let mut script = Script::connected(to_serve());
    script.command(0, &Command::create_stream(2.0)).unwrap();
    script.hear();
    for (command, code) in [
        (Command::publish(3.0, "key", "live"), "NetStream.Publish.BadName"),
        (Command::play(3.0, "key", -2.0), "NetStream.Play.StreamNotFound"),
        (Command::publish(3.0, "key", "record"), "NetStream.Publish.Denied"),
    ] {
        script.command(1, &command).unwrap();
        script.answer(refusal(code)).unwrap();
        let expected =
            format!(r#"8/1 onStatus(0, null, {{level: "error", code: "{code}", description: "not here"}})"#);
        assert_eq!(script.hear(), [expected]);
        assert_eq!(script.session.phase(), Phase::CreateStream);
    }
}

#[test]
fn answers_have_to_fit() {
    let mut script = Script::connected(to_serve());
    let play = Request::Play {
        stream: "key".into(),
        start: -2.0,
        length: -1.0,
    };
    let answer = |script: &mut Script, request| script.session.answer(script.now, request, Ok(()));
    assert!(matches!(answer(&mut script, &play), Err(Error::ApiMisuse(_))));
    script.command(1, &Command::publish(3.0, "key", "live")).unwrap();
    assert!(matches!(answer(&mut script, &play), Err(Error::ApiMisuse(_))));
    script.answer(Ok(())).unwrap();
    assert!(matches!(answer(&mut script, &play), Err(Error::ApiMisuse(_))));
    let mut client = Script::flowing(to_play());
    assert!(matches!(answer(&mut client, &play), Err(Error::ApiMisuse(_))));
}

#[test]
fn everything_may_come_in_one_segment() {
    let mut script = Script::client_of(to_serve());
    let mut segment = handshake();
    for (stream_id, command) in [
        (0, connect("live")),
        (0, Command::create_stream(2.0)),
        (1, Command::publish(3.0, "key", "live")),
    ] {
        let (type_id, payload) = command.encode();
        segment.extend(script.chunks(3, stream_id, type_id, 0, &payload));
    }
    // Longer than what may come before connect is accepted.
    segment.extend(script.chunks(6, 1, type_id::VIDEO, 0, &[0x17; 100_000]));
    script.raw(&segment).unwrap();
    // Nothing is read while the application decides.
    script.resume().unwrap();
    assert_eq!(script.session.stats().messages_in, ByKind::default());
    script.answer(Ok(())).unwrap();
    assert_eq!(script.session.poll_event(), Some(Event::Connected));
    script.answer(Ok(())).unwrap();
    assert_eq!(script.told(), ["ready", "Video at 0 of 100000 bytes"]);
    assert!(script.input.is_empty());
}

#[test]
fn a_long_message_before_connect_is_refused() {
    let mut script = Script::shaken(to_serve());
    let long = script.chunks(3, 0, type_id::COMMAND_AMF0, 0, &vec![2; (64 << 10) + 1]);
    assert_eq!(script.raw(&long[..11]), Ok(()));
    assert_eq!(
        script.raw(&long[11..12]),
        Err(Error::LimitExceeded("message length"))
    );
}

#[test]
fn many_bytes_before_connect_are_refused() {
    let mut script = Script::shaken(to_serve());
    let control = script.chunks(
        2,
        0,
        type_id::USER_CONTROL,
        0,
        &UserControl::PingRequest(1).encode(),
    );
    let flood = control.repeat(1000);
    let refused = (0..20).find_map(|_| script.raw(&flood).err());
    assert_eq!(refused, Some(Error::LimitExceeded("bytes before connect")));

    // Unfinished messages count too.
    let mut script = Script::shaken(to_serve());
    script.control(&Control::SetChunkSize(60_000)).unwrap();
    let refused = (3..20).find_map(|chunk_stream| {
        let wire = script.chunks(chunk_stream, 0, type_id::COMMAND_AMF0, 0, &[2; 60_001]);
        // The header and the first of two chunks.
        script.raw(&wire[..12 + 60_000]).err()
    });
    assert_eq!(refused, Some(Error::LimitExceeded("bytes before connect")));
}

#[test]
fn commands_before_connect_are_refused() {
    for command in [Command::create_stream(2.0), Command::publish(5.0, "key", "live")] {
        let mut script = Script::shaken(to_serve());
        assert!(matches!(
            script.command(0, &command),
            Err(Error::PeerMisbehaved(_))
        ));
    }
    let mut script = Script::shaken(to_serve());
    let bare = Command::new("connect", 1.0, Value::Null, vec![]);
    assert!(matches!(script.command(0, &bare), Err(Error::PeerMisbehaved(_))));
    // Media is merely ignored.
    let mut script = Script::shaken(to_serve());
    script.say(1, type_id::AUDIO, 0, &[0xaf]).unwrap();
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn streams_are_numbered_up_to_a_limit() {
    let mut script = Script::connected(to_serve());
    for id in 1..=64 {
        script.command(0, &Command::create_stream(2.0)).unwrap();
        assert_eq!(script.hear(), [format!("3/0 _result(2, null, {id})")]);
    }
    let refused = script.command(0, &Command::create_stream(2.0));
    assert_eq!(
        refused,
        Err(Error::LimitExceeded("message streams on one connection"))
    );
}

#[test]
fn one_stream_at_a_time() {
    let busy = |code: &str| {
        [format!(
            r#"8/2 onStatus(0, null, {{level: "error", code: "{code}", description: "one stream at a time on a connection"}})"#
        )]
    };
    for mut script in [Script::publishing(), Script::playing()] {
        script
            .command(2, &Command::publish(6.0, "other", "live"))
            .unwrap();
        assert_eq!(script.hear(), busy("NetStream.Publish.BadName"));
        script.command(2, &Command::play(6.0, "other", -2.0)).unwrap();
        assert_eq!(script.hear(), busy("NetStream.Play.Failed"));
        assert_eq!(script.told(), [""; 0]);
        assert_eq!(script.session.phase(), Phase::Media);
        // After the end of the first one there can be another.
        script.command(0, &Command::delete_stream(0.0, 1)).unwrap();
        script
            .command(2, &Command::publish(7.0, "other", "live"))
            .unwrap();
        assert_eq!(script.told(), ["eof", r#"asks to publish "other" "live""#]);
    }
}

#[test]
fn a_stream_needs_a_name() {
    let mut script = Script::connected(to_serve());
    for name in ["publish", "play"] {
        for arguments in [vec![], vec![Value::from(false)]] {
            script
                .command(1, &Command::new(name, 3.0, Value::Null, arguments))
                .unwrap();
            let sent = script.hear().pop().unwrap();
            assert!(sent.contains("names no stream"), "{sent}");
        }
    }
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn only_the_stream_that_flows_can_be_ended() {
    let name = Command::new("deleteStream", 0.0, Value::Null, vec![Value::from("key")]);
    for (on, command, ends) in [
        (0, Command::delete_stream(0.0, 1), true),
        (0, Command::delete_stream(0.0, 2), false),
        // GStreamer's rtmp2sink sends the name.
        (0, name, true),
        (0, Command::close_stream(0.0), true),
        (1, Command::close_stream(0.0), true),
        (2, Command::close_stream(0.0), false),
    ] {
        for mut script in [Script::publishing(), Script::playing()] {
            script.command(on, &command).unwrap();
            assert_eq!(script.told() == ["eof"], ends, "{command:?} on {on}");
        }
    }
}

#[test]
fn a_player_can_turn_audio_and_video_off_and_on() {
    let mut script = Script::playing();
    let receive = |name: &str, on: bool| Command::new(name, 0.0, Value::Null, vec![on.into()]);
    script.command(1, &receive("receiveAudio", false)).unwrap();
    let all = |script: &mut Script| {
        for kind in [MediaKind::Audio, MediaKind::Video, MediaKind::Data] {
            script.send(kind).unwrap();
        }
        script
            .hear()
            .iter()
            .map(|line| line.split(' ').nth(1).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(all(&mut script), ["video", "data"]);
    script.command(1, &receive("receiveVideo", false)).unwrap();
    assert_eq!(all(&mut script), ["data"]);
    script.command(1, &receive("receiveAudio", true)).unwrap();
    script.command(1, &receive("receiveVideo", true)).unwrap();
    assert_eq!(all(&mut script), ["audio", "video", "data"]);
    assert_eq!(
        script.told(),
        [
            "receives Audio false",
            "receives Video false",
            "receives Audio true",
            "receives Video true"
        ]
    );
}

#[test]
fn what_a_player_does_not_want_may_be_said_before_it_plays() {
    let mut script = Script::connected(to_serve());
    let refuse = Command::receive_audio(0.0, false);
    script.command(1, &refuse).unwrap();
    script.command(1, &Command::play(0.0, "key", -2.0)).unwrap();
    script.told();
    let request = Request::Play {
        stream: "key".into(),
        start: -2.0,
        length: -1.0,
    };
    script.session.answer(script.now, &request, Ok(())).unwrap();
    script.hear();
    script.send(MediaKind::Audio).unwrap();
    assert_eq!(script.hear(), [""; 0]);
}

fn status(level: &str, code: &str, description: &str) -> String {
    format!(r#"8/1 onStatus(0, null, {{level: "{level}", code: "{code}", description: "{description}"}})"#)
}

/// What comes of a player's command that the application allows, and of one that it refuses.
#[test]
fn what_a_player_asks_for_is_the_applications_to_decide() {
    let switch = Value::object([
        ("oldStreamName", "key".into()),
        ("streamName", "b".into()),
        ("transition", "swap".into()),
    ]);
    for (command, asked, answers) in [
        (
            Command::seek(3.0, 1500),
            "asks to seek 1500",
            vec![
                status("status", "NetStream.Seek.Notify", "seeking"),
                "2/0 StreamBegin(1)".to_owned(),
                status("status", "NetStream.Play.Start", "playing"),
            ],
        ),
        (
            Command::pause(3.0, true, 40),
            "asks to pause true 40",
            vec![status("status", "NetStream.Pause.Notify", "paused")],
        ),
        (
            Command::pause(3.0, false, 40),
            "asks to pause false 40",
            vec![status("status", "NetStream.Unpause.Notify", "going on")],
        ),
        (
            Command::play2(3.0, switch),
            r#"asks to "swap" to "b""#,
            vec![status(
                "status",
                "NetStream.Play.Transition",
                "changing to another stream",
            )],
        ),
        (
            Command::get_stream_length(3.0, "key"),
            r#"asks for the length of "key""#,
            vec!["3/0 _result(3, null, 0)".to_owned()],
        ),
    ] {
        let mut script = Script::playing();
        script.command(1, &command).unwrap();
        // What comes behind it waits.
        script.command(1, &command).unwrap();
        let mut request = None;
        while let Some(event) = script.session.poll_event() {
            let Event::Requested(is) = &event else {
                panic!("{event:?}")
            };
            assert!(request.replace(is.clone()).is_none(), "one request at a time");
            assert_eq!(describe(event), asked);
        }
        let request = request.expect("it asks");
        script.session.answer(script.now, &request, Ok(())).unwrap();
        assert_eq!(script.hear(), answers);
        assert!(matches!(
            script.session.answer(script.now, &request, Ok(())),
            Err(Error::ApiMisuse(_))
        ));
        script.resume().unwrap();
        assert_eq!(script.told(), [asked]);
        let refusal = Status::new(Level::Error, "NetStream.Failed", "no");
        script.session.answer(script.now, &request, Err(refusal)).unwrap();
        let [answer] = &script.hear()[..] else {
            panic!("one answer")
        };
        assert!(answer.contains(r#"code: "NetStream.Failed""#), "{answer}");
    }
}

#[test]
fn a_recording_has_a_length_and_ends_without_ending_the_stream() {
    let mut script = Script::playing();
    script.session.tell_recorded(script.now);
    script
        .command(0, &Command::get_stream_length(3.0, "key"))
        .unwrap();
    script.session.answer_length(script.now, 12.5).unwrap();
    assert_eq!(
        script.hear(),
        ["2/0 StreamIsRecorded(1)", "3/0 _result(3, null, 12.5)"]
    );
    assert!(matches!(
        script.session.answer_length(script.now, 12.5),
        Err(Error::ApiMisuse(_))
    ));
    script.told();
    script.session.complete_stream(script.now, 12.5).unwrap();
    let said = script.hear();
    assert_eq!(said.first().map(String::as_str), Some("2/0 StreamEof(1)"));
    assert!(said[1].starts_with("8/1 data at 0"), "{said:?}");
    assert_eq!(
        said.get(2),
        Some(&status("status", "NetStream.Play.Stop", "all of it was played"))
    );
    // And one can seek in it.
    script.command(1, &Command::seek(4.0, 0)).unwrap();
    assert_eq!(script.told(), ["asks to seek 0"]);
}

#[test]
fn positions_that_are_none_are_refused() {
    for position in [
        Value::Number(-1.0),
        Value::Number(f64::NAN),
        Value::Number(1e10),
        Value::Null,
    ] {
        let mut script = Script::playing();
        let seek = Command::new("seek", 0.0, Value::Null, vec![position]);
        script.command(1, &seek).unwrap();
        assert_eq!(script.told(), [""; 0]);
        assert_eq!(
            script.hear(),
            [status("error", "NetStream.Seek.InvalidTime", "no position")]
        );
    }
}

#[test]
fn events_that_nobody_takes_hold_the_input_back() {
    let mut script = Script::publishing();
    script.told();
    let wire: Vec<u8> = (0..MAX_EVENTS + 100)
        .flat_map(|_| script.chunks(5, 1, type_id::AUDIO, 0, b"x"))
        .collect();
    script.raw(&wire).unwrap();
    assert!(script.session.is_held() && !script.input.is_empty());
    assert_eq!(script.told().len(), MAX_EVENTS);
    assert!(!script.session.is_held());
    script.resume().unwrap();
    assert_eq!(script.told().len(), 100);
    assert!(script.input.is_empty());
}

#[test]
fn questions_that_have_no_better_answer() {
    let mut script = Script::playing();
    let ask = |name: &str, transaction| Command::new(name, transaction, Value::Null, vec!["key".into()]);
    for (command, answers) in [
        (ask("_checkbw", 5.0), &["3/0 _result(5, null, undefined)"][..]),
        (ask("releaseStream", 0.0), &[]),
        (ask("pause", 0.0), &[]),
        (ask("whatever", 0.0), &[]),
        (
            ask("whatever", 6.0),
            &[concat!(
                r#"3/0 _error(6, null, {level: "error", code: "NetConnection.Call.Failed", "#,
                r#"description: "no such command"})"#
            )],
        ),
        (
            ask("seek", 0.0),
            &[concat!(
                r#"8/0 onStatus(0, null, {level: "error", code: "NetStream.Seek.InvalidTime", "#,
                r#"description: "no position"})"#
            )],
        ),
        (
            ask("FCSubscribe", 0.0),
            &[concat!(
                r#"3/0 onFCSubscribe(0, null, {level: "status", code: "NetStream.Play.Start", "#,
                r#"description: "FCSubscribe"})"#
            )],
        ),
    ] {
        script.command(0, &command).unwrap();
        assert_eq!(script.hear(), answers);
    }
}

#[test]
fn a_client_that_dawdles_is_dropped() {
    let timeout = to_serve().timeout.unwrap();
    for (phase, mut script) in [
        (Phase::Handshake, Script::client_of(to_serve())),
        (Phase::Connect, Script::shaken(to_serve())),
        (Phase::CreateStream, Script::connected(to_serve())),
    ] {
        script.pass(timeout - Duration::from_nanos(1)).unwrap();
        assert_eq!(script.pass(Duration::from_nanos(1)), Err(Error::TimedOut(phase)));
    }
    // Whatever else it does meanwhile.
    let mut script = Script::connected(to_serve());
    for _ in 0..9 {
        script.pass(seconds(1)).unwrap();
        script.command(0, &Command::create_stream(2.0)).unwrap();
    }
    assert_eq!(script.pass(seconds(1)), Err(Error::TimedOut(Phase::CreateStream)));
}

#[test]
fn handshake_and_connect_share_one_deadline() {
    let mut script = Script::client_of(to_serve());
    script.pass(seconds(6)).unwrap();
    script.raw(&handshake()).unwrap();
    script.pass(Duration::from_millis(3999)).unwrap();
    assert_eq!(
        script.pass(Duration::from_millis(1)),
        Err(Error::TimedOut(Phase::Connect))
    );
}

#[test]
fn the_application_has_a_deadline_too() {
    let mut script = Script::shaken(to_serve());
    script.command(0, &connect("live")).unwrap();
    assert_eq!(script.pass(seconds(10)), Err(Error::TimedOut(Phase::Connect)));
}

#[test]
fn a_silent_client_is_pinged_and_then_dropped() {
    for mut script in [Script::publishing(), Script::playing()] {
        script.pass(seconds(29)).unwrap();
        assert_eq!(script.hear(), [""; 0]);
        script.pass(seconds(1)).unwrap();
        assert_eq!(script.hear(), ["2/0 PingRequest(30000)"]);
        script.pass(seconds(29)).unwrap();
        script.user_control(&UserControl::PingResponse(30_000)).unwrap();
        // Alive: it is asked again, and does not answer.
        script.pass(seconds(30)).unwrap();
        assert_eq!(script.hear(), ["2/0 PingRequest(89000)"]);
        script.pass(Duration::from_millis(29_999)).unwrap();
        assert_eq!(
            script.pass(Duration::from_millis(1)),
            Err(Error::TimedOut(Phase::Media))
        );
    }
}

#[test]
fn a_client_that_sends_is_not_pinged() {
    let mut script = Script::publishing();
    for millis in 0..100 {
        script.pass(seconds(1)).unwrap();
        script.say(1, type_id::AUDIO, millis, &[0xaf]).unwrap();
    }
    assert_eq!(script.hear(), [""; 0]);
}

#[test]
fn the_end_of_the_bytes_is_told_by_what_was_going_on() {
    let deciding = || {
        let mut script = Script::shaken(to_serve());
        script.command(0, &connect("live")).unwrap();
        script.told();
        script
    };
    for (phase, mut script) in [
        (Phase::Handshake, Script::client_of(to_serve())),
        (Phase::Connect, Script::shaken(to_serve())),
        (Phase::Connect, deciding()),
        (Phase::Media, Script::publishing()),
    ] {
        assert_eq!(script.eof(), Err(Error::Disconnected(phase)));
    }
    for mut script in [Script::connected(to_serve()), Script::playing()] {
        assert_eq!(script.eof(), Ok(()));
        assert_eq!(script.eof(), Ok(()));
        assert_eq!(script.told(), ["closed"]);
    }
}

#[test]
fn closing_takes_no_more_than_its_time() {
    for mut script in [
        Script::client_of(to_serve()),
        Script::shaken(to_serve()),
        Script::publishing(),
        Script::playing(),
    ] {
        script.session.close(script.now);
        script.session.close(script.now);
        script.hear();
        script.pass(Duration::from_millis(9999)).unwrap();
        assert_eq!(script.told(), [""; 0]);
        script.pass(Duration::from_millis(1)).unwrap();
        assert_eq!(script.told(), ["closed"]);
        script.eof().unwrap();
        script.pass(seconds(60)).unwrap();
        assert_eq!(script.told(), [""; 0]);
    }
}

#[test]
fn close_during_the_handshake_leads_to_nothing() {
    let mut script = Script::client_of(to_serve());
    script.session.close(script.now);
    script.raw(&handshake()).unwrap();
    script.command(0, &connect("live")).unwrap();
    assert_eq!(script.told(), [""; 0]);
    assert_eq!(script.hear(), [""; 0]);
}

#[test]
fn answers_that_nobody_reads_are_no_amplifier() {
    let mut script = Script::connected(to_serve());
    let (type_id, payload) = Command::new("x", 2.0, Value::Null, vec![]).encode();
    let flood = script.chunks(5, 0, type_id, 0, &payload).repeat(1000);
    let refused = (0..100).find_map(|_| script.raw(&flood).err());
    assert_eq!(
        refused,
        Some(Error::LimitExceeded("answers that the client does not read"))
    );
    assert!(script.session.stats().queued_bytes < 2 << 20);
    // The same number of questions is no offence when the answers are read.
    let mut script = Script::connected(to_serve());
    for _ in 0..100 {
        script.raw(&flood).unwrap();
        script.hear();
    }
}

#[test]
fn questions_behind_a_backlog_of_media_are_answered() {
    let mut script = Script::playing();
    for _ in 0..64 {
        let media = Media {
            kind: MediaKind::Video,
            timestamp: Timestamp::ZERO,
            head: Bytes::new(),
            body: Bytes::from(vec![0x17; 1 << 20]),
        };
        script.session.send(script.now, media).unwrap();
    }
    script.command(0, &Command::create_stream(9.0)).unwrap();
    assert_eq!(script.hear().pop().unwrap(), "3/0 _result(9, null, 2)");
}
