//! SWF verification from either side.

use super::*;
use crate::handshake::Style;
use crate::message::SwfVerification as Proof;
use crate::swf::Identity;

fn identity() -> Identity {
    Identity::new([0x5f; 32], 24)
}

fn knowing(config: ClientConfig) -> ClientConfig {
    ClientConfig {
        swf: Some(identity()),
        ..config
    }
}

/// The handshake of [`handshake`] ends with zeros, and so does its S1.
const CHALLENGE: [u8; 32] = [0; 32];

fn proof() -> UserControl {
    UserControl::SwfVerifyResponse(Proof {
        size: 24,
        digest: identity().prove(&CHALLENGE),
    })
}

#[test]
fn a_client_answers_every_request_and_tells_of_it_once() {
    let mut script = Script::asked_for_stream(knowing(to_play()));
    for _ in 0..3 {
        script.user_control(&UserControl::SwfVerifyRequest(1)).unwrap();
        assert_eq!(script.hear(), [format!("2/0 {:?}", proof())]);
    }
    assert_eq!(script.told(), ["SWF verification: Answered"]);
}

#[test]
fn what_a_client_cannot_answer_it_tells_of() {
    let mut script = Script::flowing(to_play());
    script.user_control(&UserControl::SwfVerifyRequest(1)).unwrap();
    assert_eq!(script.told(), ["SWF verification: Unanswerable"]);
    assert!(script.hear().is_empty());
    assert_eq!(script.eof(), Err(Error::Unverified(Phase::Media)));

    let mut script = Script::flowing(knowing(to_play()));
    script.user_control(&UserControl::SwfVerifyRequest(2)).unwrap();
    assert_eq!(script.told(), ["SWF verification: UnknownType(2)"]);
    assert!(script.hear().is_empty());
}

#[test]
fn a_client_that_has_answered_takes_the_end_for_what_it_is() {
    let mut script = Script::asked_to_start(knowing(to_play()));
    script.user_control(&UserControl::SwfVerifyRequest(1)).unwrap();
    assert_eq!(script.eof(), Err(Error::Disconnected(Phase::Play)));
}

/// A server that asks for proof and has accepted connect.
fn asking() -> Script {
    let mut script = Script::client_of(ServerConfig {
        swf: Some(identity()),
        ..to_serve()
    });
    script.raw(&handshake()).unwrap();
    let connect = Command::connect(1.0, &message::ConnectParameters::default());
    script.command(0, &connect).unwrap();
    script.answer(Ok(())).unwrap();
    let heard = script.hear();
    let request = heard.iter().position(|line| line == "2/0 SwfVerifyRequest(1)");
    let result = heard.iter().position(|line| line.contains("_result"));
    assert!(request.is_some() && request < result, "{heard:?}");
    script
}

fn play(script: &mut Script) -> Result<(), Error> {
    script.command(0, &Command::create_stream(2.0))?;
    script.command(1, &Command::play(3.0, Text::from("key"), -2.0))
}

/// The proof that the server of a script expects.
fn expected(script: &Script) -> Proof {
    Proof {
        size: 24,
        digest: identity().prove(script.session.link.swf_challenge()),
    }
}

#[test]
fn a_server_lets_those_play_who_prove_what_they_know() {
    let mut script = asking();
    let answer = expected(&script);
    script
        .user_control(&UserControl::SwfVerifyResponse(answer))
        .unwrap();
    assert_eq!(script.told(), ["connected", "SWF verification: Proven"]);
    play(&mut script).unwrap();
    assert_eq!(script.told(), ["asks to play \"key\" -2"]);
    // Another answer, of nobody's asking, means nothing.
    let other = Proof { size: 25, ..answer };
    script
        .user_control(&UserControl::SwfVerifyResponse(other))
        .unwrap();
    assert!(script.told().is_empty());
}

#[test]
fn a_server_refuses_to_play_without_proof() {
    let mut script = asking();
    play(&mut script).unwrap();
    assert_eq!(script.told(), ["connected"]);
    let heard = script.hear();
    assert!(
        heard
            .last()
            .is_some_and(|line| line.contains("NetStream.Play.Failed") && line.contains("SWF verification")),
        "{heard:?}"
    );
}

#[test]
fn a_wrong_proof_ends_the_session() {
    for wrong in [
        |proof: Proof| Proof { size: 25, ..proof },
        |proof: Proof| Proof {
            digest: [0; 32],
            ..proof
        },
    ] {
        let mut script = asking();
        let answer = wrong(expected(&script));
        script
            .user_control(&UserControl::SwfVerifyResponse(answer))
            .unwrap();
        assert_eq!(
            script.told(),
            ["connected", "closed by NetConnection.Connect.Rejected"]
        );
        let heard = script.hear();
        assert!(
            heard
                .last()
                .is_some_and(|line| line.contains("NetConnection.Connect.Rejected")),
            "{heard:?}"
        );
        play(&mut script).unwrap();
        assert!(script.told().is_empty() && script.hear().is_empty());
    }
}

#[test]
fn nobody_is_asked_for_a_proof_unless_it_is_wanted() {
    let mut script = Script::client_of(to_serve());
    script.raw(&handshake()).unwrap();
    let connect = Command::connect(1.0, &message::ConnectParameters::default());
    script.command(0, &connect).unwrap();
    script.answer(Ok(())).unwrap();
    assert!(!script.hear().iter().any(|line| line.contains("Swf")));
    script.user_control(&proof()).unwrap();
    assert_eq!(script.told(), ["connected"]);
}

/// Hands what `from` has to send to `to`, and answers what that asks for.
fn pass(
    from: &mut Session,
    to: &mut Session,
    input: &mut BytesMut,
    told: &mut Vec<String>,
) -> Result<(), Error> {
    let now = from.started;
    while let Some(queue) = from.poll_transmit(now) {
        let length = queue.remaining();
        input.extend_from_slice(&queue.copy_to_bytes(length));
    }
    let result = to.handle_input(now, Input::Stream(input));
    while let Some(event) = to.poll_event() {
        if let Event::Requested(request) = &event {
            to.answer(now, request, Ok(()))?;
        }
        told.push(describe(event));
    }
    result
}

#[test]
fn a_client_and_a_server_verify_each_other_whatever_the_handshake() {
    for style in [Style::Simple, Style::Digest, Style::Rtmpe] {
        for (known, verified) in [(identity(), true), (Identity::new([1; 32], 24), false)] {
            let now = epoch();
            let mut client = Session::client(
                Arc::new(ClientConfig {
                    handshake: style,
                    swf: Some(known),
                    ..to_play()
                }),
                now,
            );
            let mut server = Session::server(
                Arc::new(ServerConfig {
                    swf: Some(identity()),
                    ..to_serve()
                }),
                now,
            );
            let (mut to_client, mut to_server) = (BytesMut::new(), BytesMut::new());
            let mut told = Vec::new();
            let mut failed = None;
            for _ in 0..20 {
                let there = pass(&mut client, &mut server, &mut to_server, &mut told);
                let back = pass(&mut server, &mut client, &mut to_client, &mut told);
                failed = failed.or(there.and(back).err());
            }
            assert!(
                told.contains(&"SWF verification: Answered".to_owned()),
                "{told:?}"
            );
            assert_eq!(told.contains(&"SWF verification: Proven".to_owned()), verified);
            assert_eq!(client.phase() == Phase::Media, verified, "{style:?}");
            assert_eq!(rejected(&failed.map_or(Ok(()), Err)).is_some(), !verified);
        }
    }
}
