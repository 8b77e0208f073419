//! What holds for every sequence of messages, from either side, in any state.

use proptest::prelude::*;

use super::*;

/// Something that a peer, the clock or the owner does.
#[derive(Clone, Debug)]
enum Step {
    Command {
        on: u32,
        transaction: u32,
        name: usize,
        code: usize,
        argument: usize,
        amf3: bool,
    },
    Data {
        on: u32,
        name: usize,
        code: usize,
    },
    UserControl {
        event: u16,
        value: u32,
    },
    Control {
        type_id: u8,
        value: u32,
    },
    Message {
        on: u32,
        type_id: u8,
        length: usize,
    },
    Bytes(Vec<u8>),
    Wait(u64),
    Eof,
    Close,
    EndStream,
    Send,
    Answer(bool),
    Order(usize),
}

const NAMES: [&str; 27] = [
    "_result",
    "_error",
    "onStatus",
    "onFCPublish",
    "onFCSubscribe",
    "onFCUnsubscribe",
    "onBWDone",
    "close",
    "connect",
    "createStream",
    "releaseStream",
    "FCPublish",
    "FCUnpublish",
    "FCSubscribe",
    "publish",
    "play",
    "deleteStream",
    "closeStream",
    "receiveAudio",
    "receiveVideo",
    "seek",
    "pause",
    "play2",
    "getStreamLength",
    "_checkbw",
    "unheard",
    "",
];

const CODES: [&str; 17] = [
    "NetConnection.Connect.Success",
    "NetConnection.Connect.Rejected",
    "NetConnection.Connect.Closed",
    "NetStream.Publish.Start",
    "NetStream.Publish.BadName",
    "NetStream.Play.Start",
    "NetStream.Play.Stop",
    "NetStream.Play.UnpublishNotify",
    "NetStream.Play.StreamNotFound",
    "NetStream.Failed",
    "NetStream.Seek.Failed",
    "NetStream.Seek.Notify",
    "NetStream.Pause.Notify",
    "NetStream.Unpause.Notify",
    "NetStream.Play.Transition",
    "NetStream.Play.PublishNotify",
    "",
];

fn arguments(argument: usize, code: usize) -> Vec<Value> {
    match argument {
        0 => vec![],
        1 => vec![info("status", CODES[code])],
        2 => vec![info("error", CODES[code])],
        3 => vec![Value::Number(1.0)],
        4 => vec!["key".into(), "live".into()],
        5 => vec!["key".into(), Value::Number(-2.0)],
        6 => vec![false.into()],
        _ => vec![Value::Number(f64::NAN), Value::StrictArray(vec![Value::Null])],
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0_u32..3, 0_u32..8, 0..NAMES.len(), 0..CODES.len(), 0_usize..8, any::<bool>()).prop_map(
            |(on, transaction, name, code, argument, amf3)| {
                Step::Command { on, transaction, name, code, argument, amf3 }
            }
        ),
        3 => (0_u32..3, 0_usize..4, 0..CODES.len()).prop_map(|(on, name, code)| Step::Data { on, name, code }),
        3 => (0_u16..40, 0_u32..3).prop_map(|(event, value)| Step::UserControl { event, value }),
        3 => (1_u8..7, prop_oneof![Just(0), 1_u32..10_000, any::<u32>()])
            .prop_map(|(type_id, value)| Step::Control { type_id, value }),
        6 => (0_u32..3, 7_u8..24, 0_usize..300)
            .prop_map(|(on, type_id, length)| Step::Message { on, type_id, length }),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Step::Bytes),
        2 => prop_oneof![Just(0), 1_u64..3000, 1_u64..40_000].prop_map(Step::Wait),
        1 => Just(Step::Eof),
        1 => Just(Step::Close),
        2 => Just(Step::EndStream),
        3 => Just(Step::Send),
        9 => prop::bool::weighted(0.8).prop_map(Step::Answer),
        4 => (0_usize..5).prop_map(Step::Order),
    ]
}

impl Step {
    fn take(self, script: &mut Script, asked: &mut Option<Request>) -> Result<(), Error> {
        match self {
            Self::Command {
                on,
                transaction,
                name,
                code,
                argument,
                amf3,
            } => {
                let object = if NAMES[name] == "connect" {
                    Value::object([("app", Value::from("live"))])
                } else {
                    Value::Null
                };
                let command =
                    Command::new(NAMES[name], transaction.into(), object, arguments(argument, code));
                let (type_id, payload) = if amf3 {
                    command.encode_amf3()
                } else {
                    command.encode()
                };
                script.say(on, type_id, 0, &payload)
            }
            Self::Data { on, name, code } => {
                let name = ["onMetaData", "onStatus", "onPlayStatus", "|RtmpSampleAccess"][name];
                script.data(on, &[name.into(), info("status", CODES[code])])
            }
            Self::UserControl { event, value } => {
                let payload = [&event.to_be_bytes()[..], &value.to_be_bytes()].concat();
                script.say(0, type_id::USER_CONTROL, 0, &payload)
            }
            Self::Control { type_id, value } => {
                let wire = script.chunks(2, 0, type_id, 0, &value.to_be_bytes());
                if type_id == type_id::SET_CHUNK_SIZE {
                    script.writer.set_chunk_size(value);
                }
                script.raw(&wire)
            }
            Self::Message { on, type_id, length } => script.say(on, type_id, 0, &vec![2; length]),
            Self::Bytes(bytes) => script.raw(&bytes),
            Self::Wait(millis) => script.pass(Duration::from_millis(millis)),
            Self::Eof => script.eof(),
            Self::Close => {
                script.session.close(script.now);
                Ok(())
            }
            Self::EndStream => {
                script.session.end_stream(script.now);
                Ok(())
            }
            Self::Send => {
                let media = Media {
                    kind: MediaKind::Audio,
                    timestamp: Timestamp::ZERO,
                    head: Bytes::new(),
                    body: Bytes::from_static(&[0xaf]),
                };
                // Whether it may be sent just now is the caller's business and ends nothing.
                match script.session.send(script.now, media) {
                    Ok(()) | Err(Error::ApiMisuse(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Self::Order(which) => {
                let order = match which {
                    0 => Order::Seek(1000),
                    1 => Order::Pause(true),
                    2 => Order::Pause(false),
                    3 => Order::Receive(MediaKind::Video, false),
                    _ => Order::Switch(Switch::default()),
                };
                match script.session.order(script.now, &order) {
                    Ok(()) | Err(Error::ApiMisuse(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Self::Answer(yes) => {
                let Some(request) = asked.take() else {
                    return Ok(());
                };
                let verdict = if yes {
                    Ok(())
                } else {
                    Err(Status::new(Level::Error, "NetStream.Play.Failed", "no"))
                };
                // The owner may have closed the session before it answers.
                match script.session.answer(script.now, &request, verdict) {
                    Ok(()) => script.resume(),
                    Err(Error::ApiMisuse(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// What a session has told its owner.
#[derive(Default)]
struct Progress {
    connected: bool,
    flowing: bool,
}

/// Runs `steps` up to the first error and holds what a session promises its owner.
fn check(mut script: Script, progress: Progress, steps: Vec<Step>) {
    let Progress {
        mut connected,
        mut flowing,
    } = progress;
    let mut closed = false;
    let mut asked = None;
    let is_client = matches!(script.session.role, Role::Client(_));
    for step in steps {
        let result = step.take(&mut script, &mut asked);
        let phase = script.session.phase();
        for event in std::iter::from_fn(|| script.session.poll_event()) {
            assert!(!closed, "{event:?} after the session was closed");
            match event {
                Event::Connected => assert!(!std::mem::replace(&mut connected, true), "connected once"),
                Event::Ready => {
                    assert!(connected && !flowing);
                    flowing = true;
                }
                Event::Media(_) => assert!(flowing, "media comes on a stream"),
                Event::Eof | Event::Idle => {
                    assert!(flowing, "only what flows can end");
                    flowing = false;
                }
                Event::Requested(request) => {
                    assert!(!is_client && asked.is_none(), "one request at a time");
                    asked = Some(request);
                }
                Event::Closed(_) => {
                    closed = true;
                    assert_eq!(phase, Phase::Closing);
                }
                Event::Sought(_) | Event::Switched => {
                    assert!(is_client);
                    flowing = true;
                }
                Event::Receives(..) => assert!(!is_client),
                Event::Status(_)
                | Event::SwfVerification(_)
                | Event::TokenWanted
                | Event::Resumed
                | Event::Recorded(_) => assert!(is_client),
            }
        }
        // An owner is not told that the stream has ended which it has ended itself.
        flowing &= phase != Phase::CreateStream;
        if closed {
            assert_eq!(
                script.session.poll_timeout(),
                None,
                "nothing is due after the end"
            );
        }
        if let Some(due) = script.session.poll_timeout() {
            assert!(result.is_err() || due >= script.now, "what is due has been done");
        }
        // Whatever is sent can be read.
        script.hear();
        if result.is_err() {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_client_keeps_its_promises(
        state in 0_usize..5,
        publishes in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let config = if publishes { to_publish() } else { to_play() };
        let config = ClientConfig { idle_timeout: Some(seconds(20)), ..config };
        let script = match state {
            0 => Script::server_for(config),
            1 => Script::asked_to_connect(config),
            2 => Script::asked_for_stream(config),
            3 => Script::asked_to_start(config),
            _ => Script::flowing(config),
        };
        check(script, Progress { connected: state >= 2, flowing: state == 4 }, steps);
    }

    #[test]
    fn a_server_keeps_its_promises(
        shaken in prop::bool::weighted(0.9),
        connects in prop::bool::weighted(0.9),
        mut steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut script = Script::client_of(to_serve());
        if shaken {
            script.raw(&handshake()).unwrap();
        }
        if connects {
            let name = NAMES.iter().position(|name| *name == "connect").unwrap();
            steps.insert(0, Step::Answer(true));
            steps.insert(
                0,
                Step::Command { on: 0, transaction: 1, name, code: 0, argument: 0, amf3: false },
            );
        }
        check(script, Progress::default(), steps);
    }
}
