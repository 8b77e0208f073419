//! What a client session sends, and what it makes of time and of the end of the bytes.

use super::*;

#[test]
fn publish_speaks_in_the_order_and_with_the_numbers_of_the_field() {
    let mut script = Script::server_for(to_publish());
    assert_eq!(script.hear(), [""; 0]);
    script.raw(&handshake()).unwrap();
    assert_eq!(
        script.hear(),
        [
            "2/0 SetChunkSize(4096)",
            r#"3/0 connect(1, {app: "live", type: "nonprivate", tcUrl: "rtmp://host/live"})"#,
            r#"3/0 releaseStream(2, null, "key")"#,
            r#"3/0 FCPublish(3, null, "key")"#,
            "3/0 createStream(4, null)",
        ]
    );
    script.command(0, &success(1.0)).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    script.command(0, &stream_created(4.0, 1.0)).unwrap();
    assert_eq!(script.hear(), [r#"8/1 publish(5, null, "key", "live")"#]);
    script
        .command(1, &on_status("status", "NetStream.Publish.Start"))
        .unwrap();
    assert_eq!(script.hear(), [""; 0]);
    assert_eq!(
        script.told(),
        ["connected", "ready", "status NetStream.Publish.Start"]
    );

    for (kind, body) in [
        (MediaKind::Data, 40),
        (MediaKind::Audio, 4),
        (MediaKind::Video, 9000),
    ] {
        let media = Media {
            kind,
            timestamp: Timestamp::from_millis(23),
            head: Bytes::from_static(b"head"),
            body: vec![1; body].into(),
        };
        script.session.send(script.now, media).unwrap();
    }
    assert_eq!(
        script.hear(),
        [
            "4/1 data at 23 of 44 bytes",
            "5/1 audio at 23 of 8 bytes",
            "6/1 video at 23 of 9004 bytes",
        ]
    );

    script.session.close(script.now);
    assert_eq!(
        script.hear(),
        [
            r#"3/0 FCUnpublish(6, null, "key")"#,
            "3/0 deleteStream(7, null, 1)",
        ]
    );
    script.eof().unwrap();
    assert_eq!(script.told(), ["closed"]);
}

#[test]
fn play_speaks_in_the_order_and_with_the_numbers_of_the_field() {
    let mut script = Script::server_for(to_play());
    script.raw(&handshake()).unwrap();
    assert_eq!(
        script.hear(),
        [
            "2/0 SetChunkSize(4096)",
            concat!(
                r#"3/0 connect(1, {app: "live", tcUrl: "rtmp://host/live", fpad: false, capabilities: 15, "#,
                "audioCodecs: 4071, videoCodecs: 252, videoFunction: 1})"
            ),
            "3/0 createStream(2, null)",
        ]
    );
    script.command(0, &success(1.0)).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    script.command(0, &stream_created(2.0, 1.0)).unwrap();
    assert_eq!(
        script.hear(),
        [
            r#"8/1 play(3, null, "key", -2)"#,
            "2/0 SetBufferLength { stream_id: 1, millis: 3000 }",
        ]
    );
    script
        .command(1, &on_status("status", "NetStream.Play.Start"))
        .unwrap();
    script.session.close(script.now);
    assert_eq!(script.hear(), ["3/0 deleteStream(4, null, 1)"]);
}

#[test]
fn what_a_player_does_not_want_is_refused_right_after_play() {
    let expected = [
        (true, false, vec!["8/1 receiveVideo(0, null, false)"]),
        (false, true, vec!["8/1 receiveAudio(0, null, false)"]),
        (
            false,
            false,
            vec![
                "8/1 receiveAudio(0, null, false)",
                "8/1 receiveVideo(0, null, false)",
            ],
        ),
        (true, true, vec![]),
    ];
    for (receive_audio, receive_video, refusals) in expected {
        let config = |intent: ClientConfig| ClientConfig {
            receive_audio,
            receive_video,
            ..intent
        };
        let mut script = Script::asked_for_stream(config(to_play()));
        script.command(0, &stream_created(2.0, 1.0)).unwrap();
        let buffer = "2/0 SetBufferLength { stream_id: 1, millis: 3000 }";
        let mut said = vec![r#"8/1 play(3, null, "key", -2)"#];
        said.extend(refusals);
        said.push(buffer);
        assert_eq!(script.hear(), said);

        // A publisher receives nothing and refuses nothing.
        let mut script = Script::asked_for_stream(config(to_publish()));
        script.command(0, &stream_created(4.0, 1.0)).unwrap();
        assert_eq!(script.hear(), [r#"8/1 publish(5, null, "key", "live")"#]);
    }
}

#[test]
fn every_option_finds_its_place_on_the_wire() {
    let config = ClientConfig {
        flash_version: Some("FMLE/3.0 (compatible; x)".into()),
        swf_url: Some("http://host/a.swf".into()),
        page_url: Some("http://host/".into()),
        connect_arguments: vec![Value::from("token"), Value::from(true)],
        subscribe: Some("cdn".into()),
        chunk_size: 65536,
        stop_commands: StopCommands {
            fc_unpublish: true,
            close_stream: true,
            delete_stream: true,
        },
        ..client_config(Intent::Play {
            start: PlayStart::Recorded(1500),
            buffer_length: 100,
        })
    };
    let mut script = Script::server_for(config.clone());
    script.raw(&handshake()).unwrap();
    assert_eq!(
        script.hear(),
        [
            "2/0 SetChunkSize(65536)",
            concat!(
                r#"3/0 connect(1, {app: "live", flashVer: "FMLE/3.0 (compatible; x)", swfUrl: "http://host/a.swf", "#,
                r#"tcUrl: "rtmp://host/live", fpad: false, capabilities: 15, audioCodecs: 4071, videoCodecs: 252, "#,
                r#"videoFunction: 1, pageUrl: "http://host/"}, "token", true)"#
            ),
            "3/0 createStream(2, null)",
        ]
    );
    script.command(0, &success(1.0)).unwrap();
    script.command(0, &stream_created(2.0, 77.0)).unwrap();
    assert_eq!(
        script.hear(),
        [
            r#"3/0 FCSubscribe(3, null, "cdn")"#,
            r#"3/0 getStreamLength(4, null, "key")"#,
            r#"8/77 play(5, null, "key", 1500)"#,
            "2/0 SetBufferLength { stream_id: 77, millis: 100 }",
        ]
    );
    script.session.close(script.now);
    // A player has nothing to unpublish.
    assert_eq!(
        script.hear(),
        ["8/77 closeStream(0, null)", "3/0 deleteStream(6, null, 77)"]
    );

    let config = ClientConfig {
        intent: Intent::Publish {
            kind: PublishKind::Append,
        },
        ..config
    };
    let mut script = Script::asked_for_stream(config);
    script.command(0, &stream_created(4.0, 2.0)).unwrap();
    assert_eq!(script.hear(), [r#"8/2 publish(5, null, "key", "append")"#]);
    script.session.close(script.now);
    assert_eq!(
        script.hear(),
        [
            r#"3/0 FCUnpublish(6, null, "key")"#,
            "8/2 closeStream(0, null)",
            "3/0 deleteStream(7, null, 2)",
        ]
    );
}

#[test]
fn stop_commands_can_be_left_out() {
    let none = StopCommands {
        fc_unpublish: false,
        close_stream: false,
        delete_stream: false,
    };
    let mut script = Script::flowing(ClientConfig {
        stop_commands: none,
        ..to_publish()
    });
    script.session.close(script.now);
    assert_eq!(script.hear(), [""; 0]);
    assert_eq!(script.session.phase(), Phase::Closing);
}

#[test]
fn amf3_commands_follow_a_server_that_agrees_and_no_other() {
    let ask = || {
        let mut script = Script::server_for(ClientConfig {
            amf3: true,
            ..in_lock_step(to_publish())
        });
        script.raw(&handshake()).unwrap();
        let connect = script.hear().pop().unwrap();
        assert!(
            connect.starts_with("3/0 connect(1, ") && connect.ends_with("objectEncoding: 3})"),
            "{connect}"
        );
        script
    };
    for (answer, expected) in [
        (Some(3.0), "3/0 createStream as AMF3(4, null)"),
        (Some(0.0), "3/0 createStream(4, null)"),
        (None, "3/0 createStream(4, null)"),
    ] {
        let mut script = ask();
        let mut reply = success(1.0);
        if let (Some(encoding), Some(Value::Object(info))) = (answer, reply.arguments.first_mut()) {
            info.properties.push("objectEncoding", Value::Number(encoding));
        }
        script.command(0, &reply).unwrap();
        assert_eq!(script.hear().pop().unwrap(), expected);
    }
}

#[test]
fn amf3_is_not_used_when_the_server_offers_it_unasked() {
    let mut script = Script::asked_to_connect(in_lock_step(to_publish()));
    let mut reply = success(1.0);
    if let Some(Value::Object(info)) = reply.arguments.first_mut() {
        info.properties.push("objectEncoding", Value::Number(3.0));
    }
    script.command(0, &reply).unwrap();
    assert_eq!(script.hear().pop().unwrap(), "3/0 createStream(4, null)");
}

#[test]
fn window_is_announced_once_and_only_when_the_bandwidth_is_set() {
    let mut script = Script::asked_to_connect(to_publish());
    script.control(&Control::WindowAckSize(2_500_000)).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    let bandwidth = Control::SetPeerBandwidth {
        window: 2_500_000,
        limit: LimitType::Dynamic,
    };
    script.control(&bandwidth).unwrap();
    assert_eq!(script.hear(), ["2/0 WindowAckSize(2500000)"]);
    script.control(&bandwidth).unwrap();
    script.command(0, &success(1.0)).unwrap();
    script.control(&bandwidth).unwrap();
    assert!(!script.hear().iter().any(|line| line.contains("WindowAckSize")));
}

#[test]
fn bytes_are_acknowledged_by_the_window() {
    let mut script = Script::flowing(to_play());
    script.control(&Control::WindowAckSize(4096)).unwrap();
    script.hear();
    let mut acknowledged = Vec::new();
    for millis in 0..100 {
        script.say(1, type_id::AUDIO, millis, &[0xaf; 100]).unwrap();
        acknowledged.extend(script.hear());
    }
    // 100 bytes and their header, each 104 to 112 bytes, with an acknowledgement every 2048.
    assert_eq!(acknowledged.len(), 5, "{acknowledged:?}");
    let stats = script.session.stats();
    assert_eq!(
        acknowledged.last().unwrap(),
        &format!("2/0 Acknowledgement({})", stats.in_bytes_acked)
    );
    assert_eq!(stats.in_window_ack_size, 4096);
}

/// Every state a client session can be in while bytes come.
fn every_state() -> Vec<(&'static str, Script)> {
    let mut closing = Script::flowing(to_publish());
    closing.session.close(closing.now);
    closing.hear();
    let mut ended = Script::flowing(to_play());
    ended.user_control(&UserControl::StreamEof(1)).unwrap();
    ended.told();
    vec![
        ("connect", Script::asked_to_connect(to_publish())),
        ("createStream", Script::asked_for_stream(to_publish())),
        ("publish", Script::asked_to_start(to_publish())),
        ("play", Script::asked_to_start(to_play())),
        ("publishing", Script::flowing(to_publish())),
        ("playing", Script::flowing(to_play())),
        ("ended", ended),
        ("closing", closing),
    ]
}

#[test]
fn pings_are_answered_in_every_state() {
    for (state, mut script) in every_state() {
        script
            .user_control(&UserControl::PingRequest(0x0012_d687))
            .unwrap();
        assert_eq!(script.hear(), ["2/0 PingResponse(1234567)"], "{state}");
        assert_eq!(script.told(), [""; 0], "{state}");
    }
}

#[test]
fn ping_is_answered_in_the_middle_of_a_fragmented_message() {
    let mut script = Script::flowing(to_play());
    let video = script.chunks(6, 1, type_id::VIDEO, 0, &[0x27; 300]);
    // A header of 12 bytes, 128 bytes, a header of 1, 128 bytes, a header of 1, 44 bytes.
    let (first, rest) = video.split_at(140);
    script.raw(first).unwrap();
    script.user_control(&UserControl::PingRequest(5)).unwrap();
    assert_eq!(script.hear(), ["2/0 PingResponse(5)"]);
    script.raw(rest).unwrap();
    assert_eq!(script.told(), ["Video at 0 of 300 bytes"]);
}

#[test]
fn silence_in_any_phase_ends_at_its_deadline_and_not_before() {
    for (phase, mut script) in [
        (Phase::Handshake, Script::server_for(to_publish())),
        (Phase::Connect, Script::asked_to_connect(to_publish())),
        (Phase::CreateStream, Script::asked_for_stream(to_publish())),
        (Phase::Publish, Script::asked_to_start(to_publish())),
        (Phase::Play, Script::asked_to_start(to_play())),
    ] {
        assert_eq!(
            script.session.poll_timeout(),
            Some(script.now + DEFAULT_TIMEOUT),
            "{phase}"
        );
        let early = DEFAULT_TIMEOUT - Duration::from_nanos(1);
        assert_eq!(script.pass(early), Ok(()), "{phase}");
        assert_eq!(script.session.handle_timeout(script.now), Ok(()), "{phase}");
        assert_eq!(script.pass(Duration::from_nanos(1)), Err(Error::TimedOut(phase)));
    }
}

#[test]
fn chatter_does_not_extend_a_deadline() {
    let mut script = Script::asked_to_connect(to_publish());
    for _ in 0..4 {
        script.pass(seconds(1)).unwrap();
        script.user_control(&UserControl::PingRequest(1)).unwrap();
        script
            .command(0, &Command::new("onBWDone", 0.0, Value::Null, vec![]))
            .unwrap();
    }
    assert_eq!(script.pass(seconds(1)), Err(Error::TimedOut(Phase::Connect)));
}

#[test]
fn a_trickling_handshake_does_not_extend_its_deadline() {
    let mut script = Script::server_for(to_publish());
    for byte in handshake().iter().take(49) {
        script.raw(&[*byte]).unwrap();
        script.pass(Duration::from_millis(100)).unwrap();
    }
    assert_eq!(
        script.pass(Duration::from_millis(100)),
        Err(Error::TimedOut(Phase::Handshake))
    );
}

#[test]
fn without_a_timeout_nothing_is_due() {
    let config = |config| ClientConfig {
        timeout: None,
        ..config
    };
    for mut script in [
        Script::server_for(config(to_publish())),
        Script::asked_to_connect(config(to_play())),
        Script::flowing(config(to_play())),
    ] {
        assert_eq!(script.session.poll_timeout(), None);
        assert_eq!(
            script.session.handle_timeout(script.now + seconds(1_000_000)),
            Ok(())
        );
        assert_eq!(script.told(), [""; 0]);
    }
}

#[test]
fn the_end_of_the_bytes_is_told_by_the_phase_it_comes_in() {
    for (phase, mut script) in [
        (Phase::Handshake, Script::server_for(to_publish())),
        (Phase::Connect, Script::asked_to_connect(to_publish())),
        (Phase::CreateStream, Script::asked_for_stream(to_publish())),
        (Phase::Publish, Script::asked_to_start(to_publish())),
        (Phase::Play, Script::asked_to_start(to_play())),
        (Phase::Media, Script::flowing(to_publish())),
        (Phase::Media, Script::flowing(to_play())),
    ] {
        assert_eq!(script.eof(), Err(Error::Disconnected(phase)));
        assert_eq!(script.told(), [""; 0]);
    }
}

#[test]
fn the_end_of_the_bytes_after_the_end_of_the_stream_is_in_order() {
    let mut ended = Script::flowing(to_play());
    ended
        .command(1, &on_status("status", "NetStream.Play.UnpublishNotify"))
        .unwrap();
    assert_eq!(ended.eof(), Ok(()));
    assert_eq!(
        ended.told(),
        ["eof", "status NetStream.Play.UnpublishNotify", "closed"]
    );

    for (state, mut script) in every_state() {
        script.session.close(script.now);
        assert_eq!(script.eof(), Ok(()), "{state}");
        assert_eq!(script.eof(), Ok(()), "{state}");
        assert_eq!(script.told(), ["closed"], "{state}");
        assert_eq!(script.session.poll_timeout(), None);
    }
}

#[test]
fn closing_waits_for_the_peer_as_long_as_any_phase() {
    let mut script = Script::flowing(to_publish());
    script.session.close(script.now);
    script.pass(DEFAULT_TIMEOUT - Duration::from_millis(1)).unwrap();
    assert_eq!(script.told(), [""; 0]);
    script.pass(Duration::from_millis(1)).unwrap();
    assert_eq!(script.told(), ["closed"]);
    script.session.close(script.now);
    script.pass(seconds(60)).unwrap();
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn close_during_the_handshake_sends_no_connect() {
    let mut script = Script::server_for(to_publish());
    script.session.close(script.now);
    script.raw(&handshake()).unwrap();
    script.command(0, &success(1.0)).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn close_while_a_stream_is_created_leaves_it_at_that() {
    let mut script = Script::asked_for_stream(to_publish());
    script.session.close(script.now);
    script.command(0, &stream_created(4.0, 1.0)).unwrap();
    assert_eq!(script.hear(), [""; 0]);
}

#[test]
fn a_player_without_bytes_is_idle_and_its_stream_has_ended() {
    let mut script = Script::flowing(ClientConfig {
        idle_timeout: Some(seconds(7)),
        ..to_play()
    });
    script.pass(seconds(6)).unwrap();
    script.say(1, type_id::AUDIO, 0, &[0xaf]).unwrap();
    script.told();
    script.pass(Duration::from_millis(6999)).unwrap();
    assert_eq!(script.told(), [""; 0]);
    script.pass(Duration::from_millis(1)).unwrap();
    assert_eq!(script.told(), ["idle"]);
    script.pass(seconds(60)).unwrap();
    assert_eq!(script.told(), [""; 0]);
    script.session.close(script.now);
    assert_eq!(script.hear(), ["3/0 deleteStream(4, null, 1)"]);
}

#[test]
fn handing_in_the_rest_again_is_no_sign_of_life() {
    let mut script = Script::flowing(ClientConfig {
        idle_timeout: Some(seconds(7)),
        ..to_play()
    });
    // The first bytes of a header cannot be used yet.
    script.raw(&[5, 0, 0]).unwrap();
    script.pass(seconds(6)).unwrap();
    script.resume().unwrap();
    script.pass(seconds(1)).unwrap();
    assert_eq!(script.told(), ["idle"]);
}

#[test]
fn a_publisher_is_never_idle() {
    let mut script = Script::flowing(ClientConfig {
        idle_timeout: Some(seconds(7)),
        ..to_publish()
    });
    assert_eq!(script.session.poll_timeout(), None);
    script.pass(seconds(600)).unwrap();
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn media_is_sent_only_while_publishing() {
    let audio = Media {
        kind: MediaKind::Audio,
        timestamp: Timestamp::ZERO,
        head: Bytes::new(),
        body: Bytes::from_static(&[0xaf, 1]),
    };
    for (state, mut script) in every_state() {
        let sent = script.session.send(script.now, audio.clone());
        assert_eq!(sent.is_ok(), state == "publishing", "{state}");
    }
    let mut script = Script::flowing(to_publish());
    let body = Bytes::from(vec![0; 0x100_0000]);
    let sent = script.session.send(script.now, Media { body, ..audio });
    assert!(matches!(sent, Err(Error::ApiMisuse(_))));
    assert_eq!(script.hear(), [""; 0]);
}

#[test]
fn figures_tell_what_was_agreed_on() {
    let mut script = Script::server_for(to_play());
    script.now += Duration::from_millis(30);
    script.raw(&handshake()).unwrap();
    script.control(&Control::WindowAckSize(5_000_000)).unwrap();
    script.control(&Control::SetChunkSize(60_000)).unwrap();
    script
        .control(&Control::SetPeerBandwidth {
            window: 4_000_000,
            limit: LimitType::Hard,
        })
        .unwrap();
    script.control(&Control::Acknowledgement(3000)).unwrap();
    script.command(0, &success(1.0)).unwrap();
    script.command(0, &stream_created(2.0, 1.0)).unwrap();
    script.say(1, type_id::VIDEO, 0, &[0x17, 0]).unwrap();
    let stats = script.session.stats();
    assert_eq!(stats.phase, Phase::Media);
    assert_eq!((stats.in_chunk_size, stats.out_chunk_size), (60_000, 4096));
    assert_eq!(
        (stats.in_window_ack_size, stats.out_window_ack_size),
        (5_000_000, 4_000_000)
    );
    assert_eq!((stats.in_bytes_acked, stats.out_bytes_acked), (0, 3000));
    assert_eq!(
        stats.messages_in,
        ByKind {
            video: 1,
            ..ByKind::default()
        }
    );
    assert_eq!(stats.round_trip, Some(Duration::from_millis(30)));
    assert_eq!(stats.peer_version.as_deref(), Some("FMS/3,0,1,123"));
    assert_eq!(
        stats.last_status.as_deref(),
        Some("NetConnection.Connect.Success")
    );
    assert!(stats.queued_bytes > 0);
    script.hear();
    assert_eq!(script.session.stats().queued_bytes, 0);
}

#[test]
fn nothing_that_is_shown_for_debugging_holds_a_secret() {
    let config = ClientConfig {
        stream: "secret-key".into(),
        ..to_publish()
    };
    let shown = format!(
        "{config:?} {:?}",
        Session::client(Arc::new(config.clone()), epoch())
    );
    assert!(!shown.contains("secret"), "{shown}");
    let error = Error::Rejected {
        phase: Phase::Publish,
        status: Box::new(Status::new(
            Level::Error,
            "NetStream.Publish.BadName",
            "secret-key is in use",
        )),
    };
    assert_eq!(
        error.to_string(),
        "the server refused publish: NetStream.Publish.BadName"
    );
    let request = Request::Publish {
        stream: "secret-key".into(),
        kind: "live".into(),
    };
    assert_eq!(format!("{request:?}"), "Publish");
}
