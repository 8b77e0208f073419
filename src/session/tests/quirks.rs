//! What servers in the field do, each as it was seen on the wire, against a client session.

use super::*;

fn announce(script: &mut Script, window: u32, limit: LimitType, chunk_size: Option<u32>) {
    script.control(&Control::WindowAckSize(window)).unwrap();
    script
        .control(&Control::SetPeerBandwidth { window, limit })
        .unwrap();
    if let Some(size) = chunk_size {
        script.control(&Control::SetChunkSize(size)).unwrap();
    }
}

/// A script whose commands and media come in chunks that somebody else wrote.
fn header(format: u8, chunk_stream: u8, fields: &[u8]) -> Vec<u8> {
    let mut bytes = vec![format << 6 | chunk_stream];
    bytes.extend_from_slice(fields);
    bytes
}

fn u24(value: usize) -> [u8; 3] {
    let [_, a, b, c] = u32::try_from(value).expect("24 bits").to_be_bytes();
    [a, b, c]
}

/// A message as type 1 chunk on a chunk stream of its own, as the first one or not.
fn as_type_1(chunk_stream: u8, delta: usize, type_id: u8, payload: &[u8]) -> Vec<u8> {
    let fields = [&u24(delta)[..], &u24(payload.len()), &[type_id]].concat();
    [header(1, chunk_stream, &fields), payload.to_vec()].concat()
}

#[test]
fn nginx() {
    let mut script = Script::asked_to_connect(to_publish());
    announce(&mut script, 5_000_000, LimitType::Dynamic, Some(4096));
    script.command(0, &success(1.0)).unwrap();
    script.command(0, &stream_created(4.0, 1.0)).unwrap();
    script
        .command(1, &on_status("status", "NetStream.Publish.Start"))
        .unwrap();
    assert_eq!(
        script.told(),
        ["connected", "ready", "status NetStream.Publish.Start"]
    );
    // A key that is taken is refused after the start, and the connection kept.
    let refused = script.command(1, &on_status("error", "NetStream.Publish.BadName"));
    assert_eq!(
        rejected(&refused),
        Some((Phase::Media, "NetStream.Publish.BadName"))
    );
}

#[test]
fn nginx_tells_in_three_ways_that_the_publisher_has_left() {
    let mut script = Script::flowing(to_play());
    script.user_control(&UserControl::StreamEof(1)).unwrap();
    script
        .command(1, &on_status("status", "NetStream.Play.Stop"))
        .unwrap();
    script
        .command(1, &on_status("status", "NetStream.Play.UnpublishNotify"))
        .unwrap();
    assert_eq!(
        script.told(),
        [
            "eof",
            "status NetStream.Play.Stop",
            "status NetStream.Play.UnpublishNotify"
        ]
    );
}

#[test]
fn nginx_plays_a_file_to_its_end_twice() {
    let mut script = Script::asked_to_start(to_play());
    script.user_control(&UserControl::StreamBegin(1)).unwrap();
    script
        .command(1, &on_status("status", "NetStream.Play.Start"))
        .unwrap();
    script.user_control(&UserControl::StreamIsRecorded(1)).unwrap();
    script.say(1, type_id::VIDEO, 0, &[0x17, 0]).unwrap();
    assert_eq!(
        script.told(),
        [
            "ready",
            "status NetStream.Play.Start",
            "recorded None",
            "Video at 0 of 2 bytes"
        ]
    );
    for expected in [
        &[
            "eof",
            "status NetStream.Play.Complete",
            "status NetStream.Play.Stop",
        ][..],
        &["status NetStream.Play.Complete", "status NetStream.Play.Stop"],
    ] {
        script.user_control(&UserControl::StreamEof(1)).unwrap();
        script
            .data(
                1,
                &["onPlayStatus".into(), info("status", "NetStream.Play.Complete")],
            )
            .unwrap();
        script
            .command(1, &on_status("status", "NetStream.Play.Stop"))
            .unwrap();
        assert_eq!(script.told(), expected);
    }
}

#[test]
fn srs_replies_at_length_and_asks_for_the_bandwidth() {
    let mut script = Script::asked_to_connect(to_publish());
    announce(&mut script, 2_500_000, LimitType::Dynamic, Some(60_000));
    let mut reply = success(1.0);
    let credits = Value::ecma_array([("srs_authors", Value::from("x".repeat(700).as_str()))]);
    if let Some(Value::Object(info)) = reply.arguments.first_mut() {
        info.properties.push("data", credits);
    }
    script.command(0, &reply).unwrap();
    script
        .command(0, &Command::new("onBWDone", 0.0, Value::Null, vec![]))
        .unwrap();
    assert_eq!(
        script.hear(),
        ["2/0 WindowAckSize(2500000)", "3/0 _checkbw(5, null)"]
    );
    script
        .command(0, &Command::result(5.0, Value::Null, vec![]))
        .unwrap();
    // Replies to the commands that need none, onFCPublish at publish time.
    script
        .command(0, &Command::result(2.0, Value::Null, vec![Value::Undefined]))
        .unwrap();
    script
        .command(0, &Command::result(3.0, Value::Null, vec![Value::Undefined]))
        .unwrap();
    script.command(0, &stream_created(4.0, 1.0)).unwrap();
    let published = info("status", "NetStream.Publish.Start");
    script
        .command(1, &Command::new("onFCPublish", 0.0, Value::Null, vec![published]))
        .unwrap();
    assert_eq!(script.told(), ["connected"]);
    script
        .command(1, &on_status("status", "NetStream.Publish.Start"))
        .unwrap();
    assert_eq!(script.told(), ["ready", "status NetStream.Publish.Start"]);
}

#[test]
fn srs_rejects_a_connect_with_on_status() {
    let mut script = Script::asked_to_connect(to_publish());
    let refused = script.command(0, &on_status("error", "NetConnection.Connect.Rejected"));
    assert_eq!(
        rejected(&refused),
        Some((Phase::Connect, "NetConnection.Connect.Rejected"))
    );
    assert_eq!(
        script.session.stats().last_status.as_deref(),
        Some("NetConnection.Connect.Rejected")
    );
}

#[test]
fn connect_success_may_come_as_status_before_the_result() {
    let mut script = Script::asked_to_connect(to_publish());
    script
        .command(0, &on_status("status", "NetConnection.Connect.Success"))
        .unwrap();
    assert_eq!(script.told(), ["status NetConnection.Connect.Success"]);
    assert_eq!(script.hear(), [""; 0]);
    script.command(0, &success(1.0)).unwrap();
    assert_eq!(script.told(), ["connected"]);
}

#[test]
fn srs_starts_a_refused_player_and_closes() {
    let mut script = Script::asked_to_start(to_play());
    script
        .command(1, &on_status("status", "NetStream.Play.Reset"))
        .unwrap();
    script
        .command(1, &on_status("status", "NetStream.Play.Start"))
        .unwrap();
    assert_eq!(script.eof(), Err(Error::Disconnected(Phase::Media)));
    assert_eq!(
        script.told(),
        [
            "status NetStream.Play.Reset",
            "ready",
            "status NetStream.Play.Start"
        ]
    );
}

#[test]
fn crtmp_refuses_the_optional_and_raises_its_chunk_size_in_mid_stream() {
    let mut script = Script::asked_to_connect(to_play());
    announce(&mut script, 2_500_000, LimitType::Dynamic, None);
    script.user_control(&UserControl::StreamBegin(0)).unwrap();
    script.command(0, &success(1.0)).unwrap();
    script
        .command(
            0,
            &Command::new("onBWDone", 0.0, Value::Null, vec![Value::Number(8192.0)]),
        )
        .unwrap();
    script.command(0, &stream_created(2.0, 1.0)).unwrap();
    let start = script.chunks(20, 1, type_id::VIDEO, 0, &[0x17; 200]);
    script.raw(&start).unwrap();
    script.control(&Control::SetChunkSize(4_194_304)).unwrap();
    let long = script.chunks(21, 1, type_id::VIDEO, 40, &[0x27; 100_000]);
    assert_eq!(long.len(), 12 + 100_000);
    script.raw(&long).unwrap();
    assert_eq!(
        script.told(),
        [
            "connected",
            "ready",
            "Video at 0 of 200 bytes",
            "Video at 40 of 100000 bytes"
        ]
    );
}

#[test]
fn errors_for_the_optional_commands_are_ignored() {
    let mut script = Script::asked_for_stream(to_publish());
    for transaction in [2.0, 3.0] {
        let info = info("error", "NetConnection.Call.Failed");
        script
            .command(0, &Command::error(transaction, Value::Null, vec![info]))
            .unwrap();
    }
    script.command(0, &stream_created(4.0, 1.0)).unwrap();
    assert_eq!(script.hear(), [r#"8/1 publish(5, null, "key", "live")"#]);
    // Late ones too.
    let late = Command::error(3.0, Value::Null, vec![info("error", "NetConnection.Call.Failed")]);
    script.command(0, &late).unwrap();
    script
        .command(1, &on_status("status", "NetStream.Publish.Start"))
        .unwrap();
    script.command(0, &late).unwrap();
    assert_eq!(script.told(), ["ready", "status NetStream.Publish.Start"]);
}

#[test]
fn errors_for_the_commands_that_count_are_not() {
    for (phase, transaction, mut script) in [
        (Phase::Connect, 1.0, Script::asked_to_connect(to_publish())),
        (Phase::CreateStream, 4.0, Script::asked_for_stream(to_publish())),
        (Phase::Publish, 5.0, Script::asked_to_start(to_publish())),
        (Phase::Play, 3.0, Script::asked_to_start(to_play())),
    ] {
        let info = info("error", "NetConnection.Call.Failed");
        let refused = script.command(0, &Command::error(transaction, Value::Null, vec![info]));
        assert_eq!(rejected(&refused), Some((phase, "NetConnection.Call.Failed")));
    }
}

#[test]
fn rml_asks_for_the_bandwidth_before_it_has_accepted() {
    let mut script = Script::asked_to_connect(to_publish());
    announce(&mut script, 1_073_741_824, LimitType::Dynamic, Some(4096));
    let done = Command::new("onBWDone", 0.0, Value::Null, vec![Value::Number(8192.0)]);
    let (type_id, payload) = done.encode();
    let wire = script.chunks(6, 0, type_id, 128, &payload);
    script.raw(&wire).unwrap();
    assert_eq!(script.told(), [""; 0]);
    script.command(0, &success(1.0)).unwrap();
    assert_eq!(script.told(), ["connected"]);
}

#[test]
fn mona_speaks_type_1_and_3_on_one_chunk_stream_with_the_largest_chunk_size() {
    let mut script = Script::asked_to_connect(in_lock_step(to_play()));
    announce(&mut script, 2_500_000, LimitType::Hard, Some(0x7fff_ffff));
    assert_eq!(script.session.stats().in_chunk_size, chunk::MAX_CHUNK_SIZE);
    // Further control messages as type 1, and as type 3 that repeats all but the payload.
    script
        .raw(&as_type_1(2, 0, type_id::WINDOW_ACK_SIZE, &[0, 0x26, 0x25, 0xa0]))
        .unwrap();
    script.raw(&header(3, 2, &[0, 0x26, 0x25, 0xa1])).unwrap();
    assert_eq!(script.session.stats().in_window_ack_size, 2_500_001);
    let mut reply = success(1.0);
    reply.object = Value::Null;
    script.command(0, &reply).unwrap();
    script.user_control(&UserControl::PingRequest(1500)).unwrap();
    assert_eq!(
        script.hear(),
        [
            "2/0 WindowAckSize(2500000)",
            "3/0 createStream(2, null)",
            "2/0 PingResponse(1500)"
        ]
    );
    script.command(0, &stream_created(2.0, 1.0)).unwrap();

    // Audio, video, data and status all on chunk stream 4: type 0 once, then type 1 and 3.
    let first = script.chunks(4, 1, type_id::AUDIO, 10, &[0xaf, 0]);
    script.raw(&first).unwrap();
    let (type_id, payload) = on_status("status", "NetStream.Play.Start").encode();
    script.raw(&as_type_1(4, 0, type_id, &payload)).unwrap();
    script.raw(&as_type_1(4, 20, type_id::VIDEO, &[0x17; 5])).unwrap();
    script.raw(&header(3, 4, &[0x27; 5])).unwrap();
    assert_eq!(
        script.told(),
        [
            "connected",
            "ready",
            "Audio at 10 of 2 bytes",
            "status NetStream.Play.Start",
            "Video at 30 of 5 bytes",
            "Video at 50 of 5 bytes",
        ]
    );
    assert_eq!(script.session.stats().peer_version, None);
}

#[test]
fn mona_swaps_level_and_code() {
    let mut script = Script::asked_to_connect(to_publish());
    let info = info("NetConnection.Connect.Rejected", "error");
    let refused = script.command(0, &Command::error(1.0, Value::Null, vec![info]));
    assert_eq!(
        rejected(&refused),
        Some((Phase::Connect, "NetConnection.Connect.Rejected"))
    );
}

#[test]
fn tcserver_leaves_out_bandwidth_and_properties() {
    let mut script = Script::asked_to_connect(in_lock_step(to_publish()));
    script.control(&Control::SetChunkSize(1024)).unwrap();
    script.control(&Control::WindowAckSize(2_500_000)).unwrap();
    let mut reply = success(1.0);
    reply.object = Value::Null;
    if let Some(Value::Object(info)) = reply.arguments.first_mut() {
        info.properties.push("connectionID", "abc".into());
        info.properties
            .push("videoFourCcInfoMap", Value::object([("*", Value::Number(4.0))]));
    }
    script.command(0, &reply).unwrap();
    script.control(&Control::Acknowledgement(11_000)).unwrap();
    assert_eq!(script.told(), ["connected"]);
    let sent = script.hear();
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[2], "3/0 createStream(4, null)");
}

#[test]
fn rtmprs_orders_keys_as_it_likes() {
    let keys = [
        ("level", Value::from("status")),
        ("code", Value::from("NetConnection.Connect.Success")),
        ("capsEx", Value::from(15.0)),
        ("objectEncoding", Value::from(0.0)),
    ];
    for first in 0..keys.len() {
        let mut keys = keys.clone();
        keys.rotate_left(first);
        for info in [Value::object(keys.clone()), Value::ecma_array(keys)] {
            let mut script = Script::asked_to_connect(to_publish());
            let properties =
                Value::object([("capsEx", 15.0), ("capabilities", 31.0)].map(|(k, n)| (k, n.into())));
            script
                .command(0, &Command::result(1.0, properties, vec![info]))
                .unwrap();
            assert_eq!(script.told(), ["connected"]);
        }
    }
}

#[test]
fn xiu_wants_an_acknowledgement_every_4096_bytes() {
    let mut script = Script::asked_to_connect(to_play());
    announce(&mut script, 4096, LimitType::Dynamic, Some(4096));
    script.command(0, &success(1.0)).unwrap();
    script.command(0, &stream_created(2.0, 1.0)).unwrap();
    script.hear();
    script.say(0, type_id::VIDEO, 0, &[0x17; 4000]).unwrap();
    assert_eq!(script.hear().len(), 1);
    script.say(0, type_id::VIDEO, 40, &[0x27; 100_000]).unwrap();
    // One message that arrives at once is one step.
    assert_eq!(script.hear().len(), 1);
    for piece in script
        .chunks(5, 0, type_id::VIDEO, 80, &[0x27; 100_000])
        .chunks(1000)
    {
        script.raw(piece).unwrap();
    }
    assert_eq!(script.hear().len(), 33);
}

#[test]
fn xiu_starts_a_player_and_closes_when_there_is_no_stream() {
    let mut script = Script::asked_to_start(to_play());
    script.user_control(&UserControl::StreamBegin(1)).unwrap();
    for code in ["Play.Reset", "Play.Start", "Data.Start", "Play.PublishNotify"] {
        script
            .command(0, &on_status("status", &format!("NetStream.{code}")))
            .unwrap();
    }
    script.user_control(&UserControl::StreamIsRecorded(1)).unwrap();
    assert_eq!(script.told().len(), 5);
    assert_eq!(script.eof(), Err(Error::Disconnected(Phase::Media)));
}

#[test]
fn nms4_and_xiu_send_media_on_message_stream_0() {
    let mut script = Script::flowing(to_play());
    for (kind, on) in [
        (type_id::AUDIO, 0),
        (type_id::VIDEO, 0),
        (type_id::VIDEO, 1),
        (type_id::VIDEO, 2),
    ] {
        script.say(on, kind, 0, &[0xaf]).unwrap();
    }
    script
        .data(
            0,
            &[
                "onMetaData".into(),
                Value::ecma_array([("width", Value::Number(2.0))]),
            ],
        )
        .unwrap();
    let told = script.told();
    assert_eq!(
        told[..3],
        [
            "Audio at 0 of 1 bytes",
            "Video at 0 of 1 bytes",
            "Video at 0 of 1 bytes"
        ]
    );
    // What came on message stream 2 is nobody's.
    assert_eq!(told.len(), 4);
    assert!(told[3].starts_with("Data at 0 of "));
}

#[test]
fn set_data_frame_is_relayed_as_it_comes() {
    let mut script = Script::flowing(to_play());
    let values = [
        "@setDataFrame".into(),
        "onMetaData".into(),
        Value::ecma_array([("width", Value::Number(2.0))]),
    ];
    script.data(1, &values).unwrap();
    let mut expected = BytesMut::new();
    amf::encode_all(&values, &mut expected);
    match script.session.poll_event() {
        Some(Event::Media(media)) => {
            assert_eq!((media.kind, media.body), (MediaKind::Data, expected.freeze()))
        }
        other => panic!("{other:?} is not the data that was sent"),
    }
}

#[test]
fn data_of_type_15_arrives_as_amf0() {
    let mut script = Script::flowing(to_play());
    script
        .say(1, type_id::DATA_AMF3, 0, b"\0\x02\0\x01a\x05")
        .unwrap();
    match script.session.poll_event() {
        Some(Event::Media(media)) => assert_eq!(media.body[..], b"\x02\0\x01a\x05"[..]),
        other => panic!("{other:?} is not the data that was sent"),
    }
}

#[test]
fn sample_access_and_data_start_are_not_part_of_the_stream() {
    let mut script = Script::asked_to_start(to_play());
    script
        .data(1, &["|RtmpSampleAccess".into(), true.into(), true.into()])
        .unwrap();
    assert_eq!(script.told(), [""; 0]);
    script
        .data(1, &["onStatus".into(), info("status", "NetStream.Data.Start")])
        .unwrap();
    assert_eq!(script.told(), ["status NetStream.Data.Start"]);
    assert_eq!(script.session.phase(), Phase::Play);
}

#[test]
fn status_on_message_stream_0_starts_the_stream() {
    // pyrtmp, scuffle, rtmpsrv.
    for (config, code) in [
        (to_publish(), "NetStream.Publish.Start"),
        (to_play(), "NetStream.Play.Start"),
    ] {
        for on in [0, 1, 5] {
            let mut script = Script::asked_to_start(config.clone());
            script.command(on, &on_status("status", code)).unwrap();
            assert_eq!(script.told()[0], "ready");
        }
    }
}

#[test]
fn rtmpsrv_begins_with_type_1_and_leaves_out_null() {
    let mut script = Script::asked_to_connect(to_publish());
    for (transaction, reply) in [(1.0, success(1.0)), (4.0, stream_created(4.0, 1.0))] {
        let (type_id, payload) = reply.encode();
        script.control(&Control::SetChunkSize(4096)).unwrap();
        script.raw(&as_type_1(3, 0, type_id, &payload)).unwrap();
        assert_eq!(reply.transaction_id, transaction);
    }
    let mut payload = BytesMut::new();
    let status = info("status", "NetStream.Publish.Start");
    amf::encode_all(&["onStatus".into(), Value::Number(0.0), status], &mut payload);
    script
        .raw(&as_type_1(3, 0, type_id::COMMAND_AMF0, &payload))
        .unwrap();
    assert_eq!(
        script.told(),
        ["connected", "ready", "status NetStream.Publish.Start"]
    );
}

#[test]
fn any_stream_id_is_taken() {
    for stream_id in [1.0, 2.0, 77.0, 16_777_215.0] {
        let mut script = Script::asked_for_stream(to_publish());
        script.command(0, &stream_created(4.0, stream_id)).unwrap();
        assert_eq!(
            script.hear(),
            [format!(r#"8/{stream_id} publish(5, null, "key", "live")"#)]
        );
    }
    for stream_id in [0.0, -1.0, 1.5, 16_777_216.0, f64::NAN, f64::INFINITY] {
        let mut script = Script::asked_for_stream(to_publish());
        let refused = script.command(0, &stream_created(4.0, stream_id));
        assert!(matches!(refused, Err(Error::PeerMisbehaved(_))), "{stream_id}");
    }
}

#[test]
fn replies_may_bear_a_transaction_id_that_was_never_given_out() {
    for transaction in [0.0, 99.0, -1.0, f64::NAN] {
        let mut script = Script::asked_to_connect(to_publish());
        script.command(0, &success(transaction)).unwrap();
        assert_eq!(script.told(), ["connected"], "{transaction}");
        // A reply to nothing, without a stream id in it.
        script
            .command(0, &Command::result(transaction, Value::Null, vec![]))
            .unwrap();
        script.hear();
        script.command(0, &stream_created(transaction, 3.0)).unwrap();
        assert_eq!(script.hear(), [r#"8/3 publish(5, null, "key", "live")"#]);
    }
}

#[test]
fn replies_to_other_commands_are_not_taken_for_the_one_awaited() {
    let mut script = Script::asked_for_stream(to_publish());
    // A late second reply to connect, and one to FCPublish that bears a number.
    script.command(0, &success(1.0)).unwrap();
    script.command(0, &stream_created(3.0, 9.0)).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn a_result_of_level_error_is_a_refusal() {
    let mut script = Script::asked_to_connect(to_publish());
    let info = info("error", "NetConnection.Connect.Failed");
    let refused = script.command(0, &Command::result(1.0, Value::Null, vec![info]));
    assert_eq!(
        rejected(&refused),
        Some((Phase::Connect, "NetConnection.Connect.Failed"))
    );
}

#[test]
fn nms4_starts_a_refused_publisher_and_closes() {
    let mut script = Script::flowing(to_publish());
    assert_eq!(script.eof(), Err(Error::Disconnected(Phase::Media)));
}

#[test]
fn nms2_refuses_and_keeps_the_connection() {
    for (config, phase, code) in [
        (to_publish(), Phase::Publish, "NetStream.publish.Unauthorized"),
        (to_play(), Phase::Play, "NetStream.play.Unauthorized"),
    ] {
        let mut script = Script::asked_to_start(config);
        let refused = script.command(1, &on_status("error", code));
        assert_eq!(rejected(&refused), Some((phase, code)));
    }
    // Without a level, the end of the code tells.
    let mut script = Script::asked_to_start(to_play());
    let info = Value::object([("code", Value::from("NetStream.Play.StreamNotFound"))]);
    let refused = script.command(0, &Command::new("onStatus", 0.0, Value::Null, vec![info]));
    assert_eq!(
        rejected(&refused),
        Some((Phase::Play, "NetStream.Play.StreamNotFound"))
    );
}

#[test]
fn subscription_to_nothing_is_a_refusal() {
    let mut script = Script::asked_to_start(ClientConfig {
        subscribe: Some("key".into()),
        ..to_play()
    });
    let found = Command::new(
        "onFCSubscribe",
        0.0,
        Value::Null,
        vec![info("status", "NetStream.Play.Start")],
    );
    script.command(0, &found).unwrap();
    assert_eq!(script.told(), [""; 0]);
    let missing = vec![info("error", "NetStream.Play.StreamNotFound")];
    let refused = script.command(0, &Command::new("onFCSubscribe", 0.0, Value::Null, missing));
    assert_eq!(
        rejected(&refused),
        Some((Phase::Play, "NetStream.Play.StreamNotFound"))
    );
}

#[test]
fn close_ends_the_session_once() {
    let close = Command::new("close", 0.0, Value::Null, vec![]);
    let mut script = Script::flowing(to_play());
    script.command(0, &close).unwrap();
    assert_eq!(script.told(), ["eof", "closed"]);
    script.command(0, &close).unwrap();
    script
        .command(0, &on_status("error", "NetConnection.Connect.Closed"))
        .unwrap();
    script.say(1, type_id::AUDIO, 0, &[0xaf]).unwrap();
    script.eof().unwrap();
    script.session.close(script.now);
    script.pass(seconds(60)).unwrap();
    assert_eq!(script.told(), [""; 0]);
    assert_eq!(script.hear(), [""; 0]);

    let mut script = Script::flowing(to_publish());
    script.command(0, &close).unwrap();
    assert_eq!(script.told(), ["closed"]);

    let mut script = Script::asked_for_stream(to_play());
    let refused = script.command(0, &close);
    assert_eq!(refused, Err(Error::Disconnected(Phase::CreateStream)));
}

#[test]
fn the_end_of_the_connection_bears_the_words_of_the_server() {
    for code in ["Closed", "AppShutdown", "IdleTimeout"] {
        let code = format!("NetConnection.Connect.{code}");
        for mut script in [Script::flowing(to_publish()), Script::flowing(to_play())] {
            script.command(0, &on_status("status", &code)).unwrap();
            script.command(0, &on_status("status", &code)).unwrap();
            assert_eq!(script.told(), [format!("closed by {code}")]);
        }
        // Before the stream has started that is a refusal of what was asked for last.
        let mut script = Script::asked_to_start(to_publish());
        let refused = script.command(0, &on_status("status", &code));
        assert_eq!(rejected(&refused), Some((Phase::Publish, code.as_str())));
        let mut script = Script::flowing(to_play());
        script.session.close(script.now);
        script.command(0, &on_status("status", &code)).unwrap();
        script.eof().unwrap();
        assert_eq!(script.told(), [format!("status {code}"), "closed".to_owned()]);
    }
}

#[test]
fn every_known_end_of_a_stream_is_one() {
    type End = fn(&mut Script) -> Result<(), Error>;
    let ends: [End; 6] = [
        |script| script.user_control(&UserControl::StreamEof(1)),
        |script| script.command(1, &on_status("status", "NetStream.Play.Stop")),
        |script| script.command(0, &on_status("status", "NetStream.Play.UnpublishNotify")),
        |script| script.command(1, &on_status("status", "NetStream.Play.Complete")),
        |script| {
            script.data(
                0,
                &["onPlayStatus".into(), info("status", "NetStream.Play.Complete")],
            )
        },
        |script| {
            let info = info("status", "NetStream.Play.Stop");
            script.command(0, &Command::new("onFCUnsubscribe", 0.0, Value::Null, vec![info]))
        },
    ];
    for end in ends {
        let mut script = Script::flowing(to_play());
        end(&mut script).unwrap();
        assert_eq!(script.told()[0], "eof");
        // The end comes once, and nothing of the stream after it.
        for end in ends {
            end(&mut script).unwrap();
        }
        script.say(1, type_id::VIDEO, 0, &[0x17]).unwrap();
        let told = script.told();
        assert!(told.iter().all(|line| line.starts_with("status ")), "{told:?}");

        let mut script = Script::flowing(to_publish());
        end(&mut script).unwrap();
        assert!(
            !script.told().contains(&"eof".to_owned()),
            "a publisher has no stream to end"
        );
        assert_eq!(script.session.phase(), Phase::Media);
    }
}

#[test]
fn stream_eof_counts_for_the_stream_it_names() {
    let mut script = Script::asked_for_stream(to_play());
    script.command(0, &stream_created(2.0, 7.0)).unwrap();
    script
        .command(7, &on_status("status", "NetStream.Play.Start"))
        .unwrap();
    script.told();
    for other in [0, 1, 8] {
        script.user_control(&UserControl::StreamEof(other)).unwrap();
        assert_eq!(script.told(), [""; 0]);
    }
    script.user_control(&UserControl::StreamEof(7)).unwrap();
    assert_eq!(script.told(), ["eof"]);
}

#[test]
fn media_starts_a_stream_that_was_not_announced() {
    let mut script = Script::asked_to_start(to_play());
    script.say(1, type_id::AUDIO, 0, &[]).unwrap();
    assert_eq!(script.told(), ["ready", "Audio at 0 of 0 bytes"]);
}

#[test]
fn media_before_a_stream_exists_is_ignored() {
    let mut script = Script::asked_for_stream(to_play());
    script.say(1, type_id::AUDIO, 0, &[0xaf]).unwrap();
    script.say(0, type_id::VIDEO, 0, &[0x17]).unwrap();
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn commands_of_type_17_are_understood_unasked() {
    let mut script = Script::asked_to_connect(to_publish());
    let started = on_status("status", "NetStream.Publish.Start");
    for reply in [success(1.0), stream_created(4.0, 1.0), started] {
        let (type_id, payload) = reply.encode_amf3();
        assert_eq!(type_id, 17);
        script.say(0, type_id, 0, &payload).unwrap();
    }
    assert_eq!(
        script.told(),
        ["connected", "ready", "status NetStream.Publish.Start"]
    );
    assert_eq!(
        script.hear().last().unwrap(),
        r#"8/1 publish(5, null, "key", "live")"#
    );
}

#[test]
fn what_is_unknown_is_ignored() {
    for (config, phase) in [(to_publish(), Phase::Publish), (to_play(), Phase::Play)] {
        let mut script = Script::asked_to_start(config);
        for type_id in [0, 7, 10, 16, 19, 21, 23, 255] {
            script.say(0, type_id, 0, &[1, 2, 3]).unwrap();
        }
        for event in [5, 9, 34, 41, 999] {
            let data = Bytes::from_static(&[1, 2, 3]);
            script
                .user_control(&UserControl::Unknown { event, data })
                .unwrap();
        }
        for name in ["_onbwdone", "onFCPublish", "somethingNew"] {
            script
                .command(0, &Command::new(name, 0.0, Value::Null, vec![]))
                .unwrap();
        }
        script.control(&Control::Abort(44)).unwrap();
        assert_eq!(script.hear(), [""; 0]);
        assert_eq!(script.told(), [""; 0]);
        assert_eq!(script.session.phase(), phase);
    }
}

#[test]
fn aggregates_come_apart_and_abort_forgets() {
    let mut script = Script::flowing(to_play());
    let aggregate = chunk::tests::hex(
        "08 000004 0001f4 00 000000 af012110    0000000f
         09 000005 000208 00 000000 2701000000  00000010",
    );
    script.say(1, type_id::AGGREGATE, 10_000, &aggregate).unwrap();
    assert_eq!(
        script.told(),
        ["Audio at 10000 of 4 bytes", "Video at 10020 of 5 bytes"]
    );

    let cut = script.chunks(6, 1, type_id::VIDEO, 0, &[0x17; 300]);
    script.raw(&cut[..140]).unwrap();
    script.control(&Control::Abort(6)).unwrap();
    let next = script.chunks(6, 1, type_id::VIDEO, 40, &[0x27; 5]);
    script.raw(&next).unwrap();
    assert_eq!(script.told(), ["Video at 40 of 5 bytes"]);
}
