//! connect and createStream at a time, with servers that answer them in whatever order, and what a client keeps up of old
//! habits and tokens meanwhile.

use super::*;
use crate::session::habits;

#[test]
fn replies_may_come_in_any_order() {
    // As in the field; createStream first, as a server does that asks somebody else about connect; with the replies to
    // the commands in between, or without.
    for (order, expected) in [
        (&["connect", "createStream"][..], &["connected"][..]),
        (&["createStream", "connect"], &["connected"]),
        (
            &["releaseStream", "FCPublish", "createStream", "connect"],
            &["connected"],
        ),
        (
            &["connect", "releaseStream", "createStream", "FCPublish"],
            &["connected"],
        ),
    ] {
        let mut script = Script::asked_to_connect(to_publish());
        for name in order {
            let reply = match *name {
                "connect" => success(1.0),
                "releaseStream" => Command::error(2.0, Value::Null, vec![]),
                "FCPublish" => Command::result(3.0, Value::Null, vec![]),
                _ => stream_created(4.0, 7.0),
            };
            script.command(0, &reply).unwrap();
        }
        assert_eq!(script.told(), expected, "{order:?}");
        assert_eq!(
            script.hear(),
            [r#"8/7 publish(5, null, "key", "live")"#],
            "{order:?}"
        );
    }
}

#[test]
fn a_refusal_of_create_stream_is_told_as_such_even_before_connect_is_answered() {
    for accepted in [false, true] {
        let mut script = Script::asked_to_connect(to_play());
        if accepted {
            script.command(0, &success(1.0)).unwrap();
        }
        let refusal = Command::error(2.0, Value::Null, vec![info("error", "NetConnection.Call.Failed")]);
        let result = script.command(0, &refusal);
        assert_eq!(
            rejected(&result),
            Some((Phase::CreateStream, "NetConnection.Call.Failed"))
        );
    }
}

#[test]
fn each_reply_has_its_own_deadline() {
    let mut script = Script::asked_to_connect(to_play());
    assert_eq!(script.pass(DEFAULT_TIMEOUT), Err(Error::TimedOut(Phase::Connect)));
    let mut script = Script::asked_to_connect(to_play());
    script.command(0, &success(1.0)).unwrap();
    assert_eq!(
        script.pass(DEFAULT_TIMEOUT),
        Err(Error::TimedOut(Phase::CreateStream))
    );
}

#[test]
fn a_stream_without_a_number_before_connect_is_asked_for_no_second_time() {
    let mut script = Script::asked_to_connect(to_play());
    script
        .command(0, &Command::result(2.0, Value::Null, vec![]))
        .unwrap();
    script.command(0, &success(1.0)).unwrap();
    assert_eq!(script.hear(), [""; 0]);
    assert_eq!(
        script.pass(DEFAULT_TIMEOUT),
        Err(Error::TimedOut(Phase::CreateStream))
    );
}

/// A reply to connect with Wowza's challenge, in the info object or in the properties.
fn challenge(token: &str, is_info: bool) -> Command {
    let mut reply = success(1.0);
    let object = if is_info {
        reply.arguments.first_mut()
    } else {
        Some(&mut reply.object)
    };
    if let Some(Value::Object(object)) = object {
        object.properties.push("secureToken", token.into());
    }
    reply
}

#[test]
fn secure_token_is_answered_before_anything_else() {
    let config = || ClientConfig {
        secure_token: Some("#ed%h0#w@1".into()),
        ..to_publish()
    };
    for is_info in [true, false] {
        let mut script = Script::server_for(config());
        script.raw(&handshake()).unwrap();
        // In lock-step, whatever the configuration says.
        assert_eq!(script.hear().len(), 2);
        script
            .command(0, &challenge("686bcf87d93c00c90050da63fb3f1cf5", is_info))
            .unwrap();
        assert_eq!(
            script.hear(),
            [
                r#"3/0 secureTokenResponse(0, null, "HelloWowza123456")"#,
                r#"3/0 releaseStream(2, null, "key")"#,
                r#"3/0 FCPublish(3, null, "key")"#,
                "3/0 createStream(4, null)",
            ]
        );
        assert_eq!(script.told(), ["connected"]);
    }
    // What is no token is left alone.
    let mut script = Script::asked_to_connect(config());
    script.command(0, &challenge("no token", true)).unwrap();
    assert_eq!(script.hear().len(), 3);
}

#[test]
fn a_token_that_is_wanted_and_not_there_is_told() {
    let mut script = Script::asked_to_connect(to_publish());
    script
        .command(0, &challenge("686bcf87d93c00c90050da63fb3f1cf5", true))
        .unwrap();
    assert_eq!(script.told(), ["connected", "token wanted"]);
    script.command(0, &stream_created(4.0, 1.0)).unwrap();
    assert_eq!(script.hear(), [r#"8/1 publish(5, null, "key", "live")"#]);
}

#[test]
fn an_usher_token_is_shown_once_connect_is_accepted() {
    let config = ClientConfig {
        usher_token: Some("{\"a\":1}".into()),
        ..to_play()
    };
    let mut script = Script::asked_to_connect(config);
    script.command(0, &success(1.0)).unwrap();
    assert_eq!(
        script.hear(),
        [r#"3/0 NetStream.Authenticate.UsherToken(3, null, "{\"a\":1}")"#]
    );
}

fn invoked(name: &str, transaction: f64) -> Command {
    let payload = Value::from("x".repeat(100).as_str());
    Command::new(name, transaction, Value::Null, vec![payload])
}

#[test]
fn bandwidth_is_checked_as_librtmp_does() {
    let mut script = Script::flowing(to_play());
    let mut heard = |command: Command| {
        script.command(0, &command).unwrap();
        script.hear()
    };
    // Asked for once, however often the server says that it is done.
    assert_eq!(
        heard(invoked(habits::ON_BANDWIDTH_DONE, 0.0)),
        ["3/0 _checkbw(4, null)"]
    );
    assert_eq!(heard(invoked(habits::ON_BANDWIDTH_DONE, 0.0)), [""; 0]);
    // Every check is counted.
    for (transaction, count) in [(7.0, 1), (8.0, 2)] {
        assert_eq!(
            heard(invoked(habits::ON_BANDWIDTH_CHECK, transaction)),
            [format!("3/0 _result({transaction}, null, {count})")]
        );
    }
    assert_eq!(heard(invoked("_onbwdone", 0.0)), [""; 0]);
    for name in ["_result", "_error"] {
        assert_eq!(heard(invoked(name, 4.0)), [""; 0]);
    }
    assert_eq!(heard(invoked(habits::PING, 9.0)), ["3/0 pong(9, null)"]);
    assert_eq!(script.told(), [""; 0]);
}

#[test]
fn a_server_that_asks_and_does_not_read_is_not_answered_for_ever() {
    let mut script = Script::flowing(to_play());
    for transaction in 0..60_000 {
        script
            .command(0, &invoked(habits::PING, f64::from(transaction)))
            .unwrap();
    }
    let queued = script.session.queued();
    assert!(queued > 1 << 20, "it is answered up to the limit: {queued}");
    assert!(queued < 2 << 20, "and not beyond: {queued}");
}

#[test]
fn a_redirect_is_a_refusal_whatever_its_level() {
    for level in ["status", "error"] {
        for config in [to_publish(), to_play()] {
            let mut script = Script::asked_to_start(config);
            let ex = Value::object([("redirect", Value::from("rtmp://other/live"))]);
            let mut status = on_status(level, "NetConnection.Connect.Moved");
            if let Some(Value::Object(info)) = status.arguments.first_mut() {
                info.properties.push("ex", ex);
            }
            let result = script.command(0, &status);
            assert!(rejected(&result).is_some(), "{level}");
        }
    }
}
