//! What a player asks for while its stream flows, against servers that answer in all the ways there are.

use super::*;

/// A player whose stream flows, of which everything was heard.
fn playing() -> Script {
    playing_with(to_play())
}

fn playing_with(config: ClientConfig) -> Script {
    let mut script = Script::asked_for_stream(config);
    script.command(0, &stream_created(2.0, 1.0)).unwrap();
    say(&mut script, "NetStream.Play.Start").unwrap();
    script.hear();
    script.told();
    script
}

fn order(script: &mut Script, order: &Order) {
    script.session.order(script.now, order).unwrap();
}

fn say(script: &mut Script, code: &str) -> Result<(), Error> {
    script.command(1, &on_status("status", code))
}

fn frame(script: &mut Script, millis: u32) {
    script.say(1, type_id::VIDEO, millis, &[0x17]).unwrap();
}

const EOF: UserControl = UserControl::StreamEof(1);

#[test]
fn a_seek_is_answered_by_its_notify_whatever_comes_before() {
    let mut script = playing();
    order(&mut script, &Order::Seek(60_000));
    assert_eq!(script.hear(), ["8/1 seek(4, null, 60000)"]);
    frame(&mut script, 40);
    // As nginx-rtmp has it.
    script.user_control(&EOF).unwrap();
    say(&mut script, "NetStream.Seek.Notify").unwrap();
    script.user_control(&UserControl::StreamBegin(1)).unwrap();
    frame(&mut script, 59_000);
    assert_eq!(
        script.told(),
        [
            "Video at 40 of 1 bytes",
            "sought",
            "status NetStream.Seek.Notify",
            "Video at 59000 of 1 bytes"
        ]
    );
    script.user_control(&EOF).unwrap();
    assert_eq!(script.told(), ["eof"]);
}

#[test]
fn of_several_seeks_the_last_answer_counts_and_one_too_many_does_not() {
    let mut script = playing();
    for position in [1000, 2000, 3000] {
        order(&mut script, &Order::Seek(position));
    }
    for _ in 0..2 {
        say(&mut script, "NetStream.Seek.Notify").unwrap();
        assert_eq!(script.told(), ["status NetStream.Seek.Notify"]);
    }
    say(&mut script, "NetStream.Seek.Notify").unwrap();
    assert_eq!(script.told(), ["sought", "status NetStream.Seek.Notify"]);
    say(&mut script, "NetStream.Seek.Notify").unwrap();
    assert_eq!(script.told(), ["status NetStream.Seek.Notify"]);
    for _ in 0..64 {
        order(&mut script, &Order::Seek(1));
    }
    assert!(matches!(
        script.session.order(script.now, &Order::Seek(1)),
        Err(Error::ApiMisuse(_))
    ));
}

#[test]
fn a_seek_is_refused_by_status_or_by_error_and_the_stream_goes_on() {
    for code in ["NetStream.Seek.Failed", "NetStream.Seek.InvalidTime"] {
        let mut script = playing();
        order(&mut script, &Order::Seek(60_000));
        script.command(1, &on_status("error", code)).unwrap();
        assert_eq!(
            script.told(),
            [format!("refused to seek by {code}"), format!("status {code}")]
        );
        frame(&mut script, 40);
        assert_eq!(script.told(), ["Video at 40 of 1 bytes"]);
    }
    let mut script = playing();
    order(&mut script, &Order::Seek(60_000));
    let of_another = Command::error(3.0, Value::Null, vec![info("error", "NetConnection.Call.Failed")]);
    script.command(0, &of_another).unwrap();
    assert_eq!(script.told(), [""; 0]);
    let error = Command::error(4.0, Value::Null, vec![info("error", "NetConnection.Call.Failed")]);
    script.command(0, &error).unwrap();
    assert_eq!(script.told(), ["refused to seek by NetConnection.Call.Failed"]);
}

#[test]
fn a_seek_without_an_answer_is_given_up_even_without_timeouts() {
    for timeout in [Some(seconds(7)), None] {
        let mut script = playing_with(ClientConfig { timeout, ..to_play() });
        order(&mut script, &Order::Seek(60_000));
        let patience = timeout.unwrap_or(DEFAULT_TIMEOUT);
        script.pass(patience - Duration::from_millis(1)).unwrap();
        assert_eq!(script.told(), [""; 0]);
        script.pass(Duration::from_millis(1)).unwrap();
        assert_eq!(script.told(), ["unanswered seek"]);
        assert_eq!(script.session.poll_timeout(), None);
        frame(&mut script, 40);
        assert_eq!(script.told(), ["Video at 40 of 1 bytes"]);
    }
}

#[test]
fn an_end_during_a_seek_is_the_end_only_if_the_seek_fails() {
    for (answer, told) in [
        (
            "NetStream.Seek.Notify",
            &["sought", "status NetStream.Seek.Notify"][..],
        ),
        (
            "NetStream.Seek.Failed",
            &[
                "refused to seek by NetStream.Seek.Failed",
                "eof",
                "status NetStream.Seek.Failed",
            ],
        ),
    ] {
        let mut script = playing();
        order(&mut script, &Order::Seek(0));
        script.user_control(&EOF).unwrap();
        script
            .data(
                1,
                &["onPlayStatus".into(), info("status", "NetStream.Play.Complete")],
            )
            .unwrap();
        say(&mut script, "NetStream.Play.Stop").unwrap();
        assert_eq!(
            script.told(),
            ["status NetStream.Play.Complete", "status NetStream.Play.Stop"]
        );
        let level = if told.len() == 2 { "status" } else { "error" };
        script.command(1, &on_status(level, answer)).unwrap();
        assert_eq!(script.told(), told);
    }
    let mut script = playing();
    order(&mut script, &Order::Seek(0));
    script.user_control(&EOF).unwrap();
    script.pass(DEFAULT_TIMEOUT).unwrap();
    assert_eq!(script.told(), ["unanswered seek", "eof"]);
}

#[test]
fn what_has_ended_can_be_sought_in_and_ends_once_more() {
    let mut script = playing();
    for _ in 0..2 {
        script.user_control(&EOF).unwrap();
        say(&mut script, "NetStream.Play.Stop").unwrap();
        assert_eq!(script.told(), ["eof", "status NetStream.Play.Stop"]);
        order(&mut script, &Order::Seek(0));
        say(&mut script, "NetStream.Seek.Notify").unwrap();
        frame(&mut script, 0);
        assert_eq!(
            script.told(),
            ["sought", "status NetStream.Seek.Notify", "Video at 0 of 1 bytes"]
        );
    }
    // In vain: whoever has sought waits for what comes next, which is the end again.
    script.user_control(&EOF).unwrap();
    assert_eq!(script.told(), ["eof"]);
    order(&mut script, &Order::Seek(0));
    script
        .command(1, &on_status("error", "NetStream.Seek.Failed"))
        .unwrap();
    assert_eq!(
        script.told(),
        [
            "refused to seek by NetStream.Seek.Failed",
            "eof",
            "status NetStream.Seek.Failed"
        ]
    );
}

#[test]
fn a_pause_names_where_the_stream_has_come_and_silence_is_no_end_meanwhile() {
    let mut script = playing_with(ClientConfig {
        idle_timeout: Some(seconds(1)),
        ..to_play()
    });
    frame(&mut script, 1234);
    order(&mut script, &Order::Pause(true));
    order(&mut script, &Order::Pause(true));
    assert_eq!(script.hear(), ["8/1 pause(4, null, true, 1234)"]);
    frame(&mut script, 1300);
    say(&mut script, "NetStream.Pause.Notify").unwrap();
    // As SRS and nginx-rtmp have it.
    script.user_control(&EOF).unwrap();
    script.pass(seconds(60)).unwrap();
    script.told();
    order(&mut script, &Order::Pause(false));
    assert_eq!(script.hear(), ["8/1 pause(5, null, false, 1300)"]);
    say(&mut script, "NetStream.Unpause.Notify").unwrap();
    frame(&mut script, 1340);
    assert_eq!(
        script.told(),
        [
            "resumed",
            "status NetStream.Unpause.Notify",
            "Video at 1340 of 1 bytes"
        ]
    );
    script.pass(seconds(1)).unwrap();
    assert_eq!(script.told(), ["idle"]);
}

#[test]
fn an_end_that_comes_during_a_pause_is_one_if_nothing_follows() {
    let mut script = playing();
    order(&mut script, &Order::Pause(true));
    script.user_control(&EOF).unwrap();
    order(&mut script, &Order::Pause(false));
    assert_eq!(script.told(), [""; 0]);
    script.pass(DEFAULT_TIMEOUT).unwrap();
    assert_eq!(script.told(), ["eof"]);

    let mut script = playing();
    order(&mut script, &Order::Pause(true));
    say(&mut script, "NetStream.Play.Stop").unwrap();
    assert_eq!(script.told(), ["eof", "status NetStream.Play.Stop"]);
}

#[test]
fn a_seek_during_a_pause_leaves_the_stream_paused() {
    let mut script = playing();
    order(&mut script, &Order::Pause(true));
    order(&mut script, &Order::Seek(5000));
    say(&mut script, "NetStream.Pause.Notify").unwrap();
    say(&mut script, "NetStream.Seek.Notify").unwrap();
    script.hear();
    script.told();
    order(&mut script, &Order::Pause(false));
    assert_eq!(script.hear(), ["8/1 pause(6, null, false, 5000)"]);
}

#[test]
fn kinds_are_refused_and_wanted_again_once_each() {
    let mut script = playing();
    for (wanted, said) in [
        (true, vec![]),
        (false, vec!["8/1 receiveVideo(0, null, false)"]),
        (false, vec![]),
        (true, vec!["8/1 receiveVideo(0, null, true)"]),
    ] {
        order(&mut script, &Order::Receive(MediaKind::Video, wanted));
        assert_eq!(script.hear(), said);
    }
    order(&mut script, &Order::Receive(MediaKind::Audio, false));
    assert_eq!(script.hear(), ["8/1 receiveAudio(0, null, false)"]);
    let data = Order::Receive(MediaKind::Data, false);
    assert!(script.session.order(script.now, &data).is_err());
}

fn to(stream: &str) -> Order {
    Order::Switch(Switch {
        old_stream: Some(Secret("key".into())),
        stream: Secret(stream.into()),
        start: Some(0.0),
        transition: "switch".into(),
        ..Switch::default()
    })
}

#[test]
fn a_change_to_another_stream_is_no_end() {
    let mut script = playing();
    order(&mut script, &to("b"));
    assert_eq!(
        script.hear(),
        [concat!(
            r#"8/1 play2(4, null, {oldStreamName: "key", streamName: "b", start: 0, "#,
            r#"transition: "switch"})"#
        )]
    );
    // As nginx-rtmp has it.
    script.user_control(&EOF).unwrap();
    say(&mut script, "NetStream.Play.Stop").unwrap();
    say(&mut script, "NetStream.Play.Start").unwrap();
    frame(&mut script, 0);
    assert_eq!(
        script.told(),
        [
            "status NetStream.Play.Stop",
            "switched",
            "status NetStream.Play.Start",
            "Video at 0 of 1 bytes"
        ]
    );
    script.user_control(&EOF).unwrap();
    assert_eq!(script.told(), ["eof"]);
}

#[test]
fn a_change_and_a_seek_are_answered_each_for_itself() {
    let mut script = playing();
    order(&mut script, &Order::Seek(5000));
    order(&mut script, &to("b"));
    say(&mut script, "NetStream.Seek.Notify").unwrap();
    script.user_control(&EOF).unwrap();
    say(&mut script, "NetStream.Play.Stop").unwrap();
    say(&mut script, "NetStream.Play.Transition").unwrap();
    assert_eq!(
        script.told(),
        [
            "sought",
            "status NetStream.Seek.Notify",
            "status NetStream.Play.Stop",
            "switched",
            "status NetStream.Play.Transition"
        ]
    );
    assert_eq!(script.session.poll_timeout(), None);

    let mut script = playing();
    order(&mut script, &Order::Seek(5000));
    order(&mut script, &to("b"));
    script.user_control(&EOF).unwrap();
    script
        .command(1, &on_status("error", "NetStream.Seek.Failed"))
        .unwrap();
    say(&mut script, "NetStream.Play.Transition").unwrap();
    assert_eq!(
        script.told(),
        [
            "refused to seek by NetStream.Seek.Failed",
            "status NetStream.Seek.Failed",
            "switched",
            "status NetStream.Play.Transition"
        ]
    );

    let mut script = playing();
    order(&mut script, &to("b"));
    order(&mut script, &Order::Seek(5000));
    say(&mut script, "NetStream.Play.Transition").unwrap();
    script.user_control(&EOF).unwrap();
    say(&mut script, "NetStream.Seek.Notify").unwrap();
    assert_eq!(
        script.told(),
        [
            "switched",
            "status NetStream.Play.Transition",
            "sought",
            "status NetStream.Seek.Notify"
        ]
    );
    assert_eq!(script.session.poll_timeout(), None);
    script.user_control(&EOF).unwrap();
    assert_eq!(script.told(), ["eof"]);
}

#[test]
fn a_change_that_is_refused_leaves_the_stream_as_it_is() {
    let refusal = on_status("error", "NetStream.Play.StreamNotFound");
    let mut script = playing();
    order(&mut script, &to("b"));
    script.command(1, &refusal).unwrap();
    frame(&mut script, 40);
    assert_eq!(
        script.told(),
        ["status NetStream.Play.StreamNotFound", "Video at 40 of 1 bytes"]
    );
    // Without a change the same is the end of it all.
    let refused = script.command(1, &refusal);
    assert_eq!(
        rejected(&refused),
        Some((Phase::Media, "NetStream.Play.StreamNotFound"))
    );

    let mut script = playing();
    order(&mut script, &to("b"));
    script.user_control(&EOF).unwrap();
    script.command(1, &refusal).unwrap();
    assert_eq!(script.told(), ["eof", "status NetStream.Play.StreamNotFound"]);
    let mut script = playing();
    order(&mut script, &to("b"));
    script.user_control(&EOF).unwrap();
    script.pass(DEFAULT_TIMEOUT).unwrap();
    assert_eq!(script.told(), ["eof"]);
}

#[test]
fn a_recording_is_known_by_the_servers_word_unless_somebody_publishes() {
    let recorded = UserControl::StreamIsRecorded(1);
    let mut script = playing();
    script.user_control(&recorded).unwrap();
    assert_eq!(script.hear(), [r#"3/0 getStreamLength(4, null, "key")"#]);
    script
        .command(0, &Command::result(4.0, Value::Null, vec![12.5.into()]))
        .unwrap();
    // Once is enough.
    script.user_control(&recorded).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    assert_eq!(script.told(), ["recorded None", "recorded Some(12.5s)"]);

    // xiu says it of live streams.
    let mut script = playing();
    say(&mut script, "NetStream.Play.PublishNotify").unwrap();
    script.user_control(&recorded).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    assert_eq!(script.told(), ["status NetStream.Play.PublishNotify"]);

    // Of another stream, or of one that was to be live.
    let mut script = playing();
    script.user_control(&UserControl::StreamIsRecorded(2)).unwrap();
    assert_eq!(script.session.recording(), None);
    let mut script = playing_with(client_config(Intent::Play {
        start: PlayStart::Live,
        buffer_length: 0,
    }));
    script.user_control(&recorded).unwrap();
    assert_eq!(script.session.recording(), None);
}

#[test]
fn a_recording_that_was_asked_for_has_its_length_asked_for_before() {
    let config = ClientConfig {
        play_length: Some(250),
        playlist: true,
        ..client_config(Intent::Play {
            start: PlayStart::Recorded(1500),
            buffer_length: 3000,
        })
    };
    let mut script = Script::asked_for_stream(config);
    script.command(0, &stream_created(2.0, 1.0)).unwrap();
    assert_eq!(
        script.hear(),
        [
            r#"8/1 set_playlist(0, null, EcmaArray(Properties([("0", String("key"))])))"#,
            r#"3/0 getStreamLength(3, null, "key")"#,
            r#"8/1 play(4, null, "key", 1500, 250)"#,
            "2/0 SetBufferLength { stream_id: 1, millis: 3000 }",
        ]
    );
    for nonsense in [
        Value::Number(f64::NAN),
        Value::Number(-1.0),
        Value::Number(1e300),
        Value::Null,
    ] {
        let mut script = playing_with(client_config(Intent::Play {
            start: PlayStart::Recorded(0),
            buffer_length: 0,
        }));
        script
            .command(0, &Command::result(3.0, Value::Null, vec![nonsense]))
            .unwrap();
        assert_eq!(script.session.recording(), Some(Recording::default()));
    }
    script
        .command(0, &Command::result(3.0, Value::Null, vec![2.0.into()]))
        .unwrap();
    assert_eq!(script.told(), [""; 0]);
    say(&mut script, "NetStream.Play.Start").unwrap();
    assert_eq!(
        script.told(),
        ["ready", "recorded Some(2s)", "status NetStream.Play.Start"]
    );
}

#[test]
fn a_live_stream_that_will_do_is_subscribed_to_by_its_name() {
    let mut script = Script::asked_for_stream(client_config(Intent::Play {
        start: PlayStart::Live,
        buffer_length: 0,
    }));
    script.command(0, &stream_created(2.0, 1.0)).unwrap();
    let said = script.hear();
    assert_eq!(
        said.first().map(String::as_str),
        Some(r#"3/0 FCSubscribe(3, null, "key")"#)
    );
    assert_eq!(
        said.get(1).map(String::as_str),
        Some(r#"8/1 play(4, null, "key", -1)"#)
    );
}

#[test]
fn a_full_buffer_is_emptied_for_the_server_by_a_pause() {
    let empty = UserControl::BufferEmpty(1);
    let hasty = ClientConfig {
        renews_buffer: true,
        ..client_config(Intent::Play {
            start: PlayStart::Recorded(0),
            buffer_length: 0,
        })
    };
    let mut script = playing_with(hasty.clone());
    frame(&mut script, 900);
    script.user_control(&empty).unwrap();
    script.user_control(&empty).unwrap();
    assert_eq!(script.hear(), ["8/1 pause(5, null, true, 900)"]);
    script.user_control(&EOF).unwrap();
    say(&mut script, "NetStream.Pause.Notify").unwrap();
    assert_eq!(script.hear(), ["8/1 pause(6, null, false, 900)"]);
    say(&mut script, "NetStream.Unpause.Notify").unwrap();
    assert_eq!(
        script.told(),
        [
            "Video at 900 of 1 bytes",
            "status NetStream.Pause.Notify",
            "resumed",
            "status NetStream.Unpause.Notify"
        ]
    );
    // Not of who plays in time, nor of a stream that is paused.
    let mut script = playing_with(ClientConfig {
        renews_buffer: false,
        ..hasty.clone()
    });
    script.user_control(&empty).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    let mut script = playing_with(hasty);
    order(&mut script, &Order::Pause(true));
    script.hear();
    script.user_control(&empty).unwrap();
    assert_eq!(script.hear(), [""; 0]);
}

#[test]
fn a_server_that_says_its_buffer_is_full_without_reading_gets_no_more_than_a_backlog() {
    let mut script = playing_with(ClientConfig {
        renews_buffer: true,
        ..client_config(Intent::Play {
            start: PlayStart::Recorded(0),
            buffer_length: 0,
        })
    });
    let empty = UserControl::BufferEmpty(1);
    script.user_control(&empty).unwrap();
    for _ in 0..1000 {
        say(&mut script, "NetStream.Pause.Notify").unwrap();
        script.told();
    }
    assert_eq!(script.hear().len(), 2, "one pause and its end");
    for _ in 0..20_000 {
        script.user_control(&empty).unwrap();
        say(&mut script, "NetStream.Pause.Notify").unwrap();
        say(&mut script, "NetStream.Unpause.Notify").unwrap();
        script.told();
    }
    let queued = script.session.queued();
    assert!((1 << 20..5 << 18).contains(&queued), "{queued}");
}

#[test]
fn only_what_is_played_takes_orders() {
    let mut script = Script::flowing(to_publish());
    assert!(script.session.order(script.now, &Order::Seek(0)).is_err());
    let mut script = Script::asked_to_start(to_play());
    assert!(script.session.order(script.now, &Order::Pause(true)).is_err());
    script.session.close(script.now);
    assert!(script.session.order(script.now, &Order::Seek(0)).is_err());
    let shown = format!("{:?} {:?}", to("secret"), Order::Seek(1));
    assert_eq!(shown, "Switch Seek(1)");
}
