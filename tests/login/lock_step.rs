//! Servers that do not take connect and createStream at a time: they get another connection, in lock-step.

use std::time::{Duration, Instant};

use crate::support::Result;
use crate::support::refusal::{Act, Attempt, Side, fail, server, succeed};
use crate::support::script::Server;

#[test]
fn a_server_that_stumbles_is_asked_again_in_lock_step() -> Result<()> {
    for act in [
        Act::CloseAt("connect"),
        Act::CloseAt("createStream"),
        Act::RefuseCreateStream,
        Act::Nonsense,
        Act::Silence,
    ] {
        for side in Side::BOTH {
            let (connections, steps) = succeed(side, [act.clone(), Act::Accept], &[("timeout", "1")])?;
            assert_eq!(steps, ["lock-step"], "{act:?}");
            assert_eq!(connections.len(), 2);
        }
    }
    Ok(())
}

/// Whether commands come that were not asked for: one flight has them with connect.
fn waits_for_connect(server: &Server, count: usize) -> Result<Vec<String>> {
    server.wait_for("the commands", |connections| {
        let names = connections.get(count - 1)?.command_names();
        (!names.is_empty()).then_some(names)
    })
}

#[test]
fn lock_step_means_that_nothing_follows_connect() -> Result<()> {
    let server = Server::start(|script| {
        let mut first = script.accept()?;
        first.handshake()?;
        first.expect_command("createStream")?;
        first.close();
        let mut second = script.accept()?;
        second.handshake()?;
        let connect = second.expect_command("connect")?;
        // The client's answer to a ping comes behind what it has sent before.
        second.send_user_control(&gstrtmp::message::UserControl::PingRequest(7))?;
        second.read_until("the answer to a ping", |message| {
            message.type_id == gstrtmp::message::type_id::USER_CONTROL
        })?;
        second.wait_for_cue()?;
        second.send_command(0, &crate::support::script::connect_result(&connect))?;
        second.read_to_end()
    })?;
    let attempt = Attempt::begin(Side::Sink, &server.url("live", "key"), &[])?;
    server.wait_for("the answer to a ping", |connections| {
        let second = connections.get(1)?;
        second
            .of_type(gstrtmp::message::type_id::USER_CONTROL)
            .next()
            .map(drop)
    })?;
    assert_eq!(waits_for_connect(&server, 2)?, ["connect"]);
    server.cue();
    server.wait_for("createStream", |connections| {
        connections.get(1)?.command("createStream").ok().map(drop)
    })?;
    drop(attempt);
    server.join()?;
    Ok(())
}

#[test]
fn one_flight_asks_for_a_stream_before_connect_is_answered() -> Result<()> {
    for side in Side::BOTH {
        let server = server([Act::Silence])?;
        let attempt = Attempt::begin(side, &server.url("live", "key"), &[("timeout", "0")])?;
        server.wait_for_command("createStream")?;
        drop(attempt);
        server.join()?;
    }
    Ok(())
}

#[test]
fn a_second_failure_is_told_and_a_refusal_is_not_repeated() -> Result<()> {
    let (problem, connections) = fail(
        Side::Sink,
        [Act::CloseAt("connect"), Act::refuse("you are not welcome")],
        &[],
    )?;
    problem.expect(gst::ResourceError::NotAuthorized, "you are not welcome")?;
    assert_eq!(connections.len(), 2);
    let (problem, connections) = fail(Side::Sink, [Act::refuse("no")], &[])?;
    problem.expect(gst::ResourceError::NotAuthorized, "refused connect")?;
    assert_eq!(connections.len(), 1);
    Ok(())
}

#[test]
fn a_server_that_is_gone_at_the_second_attempt_is_told_by_the_first() -> Result<()> {
    let (problem, _) = fail(Side::Sink, [Act::CloseAt("connect")], &[])?;
    problem.expect(gst::ResourceError::OpenWrite, "without answering connect")?;
    let started = Instant::now();
    let (problem, _) = fail(Side::Source, [Act::Silence], &[("timeout", "1")])?;
    problem.expect(gst::ResourceError::OpenRead, "did not answer connect in time")?;
    assert!(started.elapsed() < Duration::from_secs(10));
    Ok(())
}
