//! What the application asks the server for while a stream is played: kinds of media, and other streams.

use gst::prelude::*;
use gstrtmp::amf::Value;
use gstrtmp::message::{Level, UserControl};

use super::fixture::*;
use crate::support::script::{Client, Connection};
use crate::support::{Failure, Result};

fn arguments(connection: &Connection, name: &str) -> Vec<Vec<Value>> {
    let commands = connection.commands().filter(|command| command.name == name);
    commands.map(|command| command.arguments.clone()).collect()
}

#[test]
fn kinds_can_be_refused_before_and_while_the_stream_is_played() -> Result<()> {
    let server = playing(|client| {
        client.expect_command("receiveAudio")?;
        send(
            client,
            1,
            &[
                data(0, metadata(true, true)),
                video(0, AVC_HEADER),
                audio(0, AAC_HEADER),
            ],
        )?;
        // Sound is sent all the same, as nginx-rtmp does.
        send(
            client,
            1,
            &[video(0, KEY_FRAME), audio(20, SOUND), video(40, INTER_FRAME)],
        )?;
        client.expect_command("receiveVideo")?;
        send(client, 1, &group(80, 2))?;
        client.expect_command("receiveAudio")?;
        send(client, 1, &[audio(180, SOUND)])?;
        client.expect_command("receiveVideo")?;
        send(client, 1, &[video(200, INTER_FRAME), audio(210, SOUND)])?;
        send(client, 1, &group(240, 2))?;
        finish(client, 1)
    })?;
    let source = Source::with(&server.url("live", "key"), &[("receive-audio", "false")])?;
    source.play()?;
    source.wait_for_time(40)?;
    source.element.set_property("receive-video", false);
    source.element.set_property("receive-audio", true);
    source.wait_for_time(180)?;
    source.element.set_property("receive-video", true);
    source.wait_for_eos()?;
    let mut expected = group(0, 2);
    expected.extend([audio(180, SOUND), audio(210, SOUND)]);
    expected.extend(group(240, 2));
    let frames: Vec<_> = source.tags()?.into_iter().skip(3).collect();
    assert_eq!(frames, expected);
    // flvdemux is not made to wait for sound.
    let header = bytes(source.buffers().first().ok_or(Failure::new("no header"))?)?;
    assert_eq!(header.get(4), Some(&1));
    source.stop()?;
    let connection = server.join_one()?;
    let [off, on] = [false, true].map(|wanted| vec![Value::from(wanted)]);
    assert_eq!(arguments(&connection, "receiveAudio"), [off.clone(), on.clone()]);
    assert_eq!(arguments(&connection, "receiveVideo"), [off, on]);
    Ok(())
}

fn play2(source: &Source, parameters: &str) -> Result<bool> {
    let parameters: gst::Structure = parameters.parse()?;
    Ok(source.element.emit_by_name("play2", &[&parameters]))
}

/// A server of two streams: `before` and `after` are what it says when the one follows on the other.
fn two_streams(
    change: impl FnOnce(&mut Client) -> Result<()> + Send + 'static,
) -> Result<crate::support::script::Server> {
    playing(move |client| {
        send(client, 1, &video_start())?;
        send(client, 1, &group(10_000, 3))?;
        client.expect_command("play2")?;
        change(client)
    })
}

#[test]
fn another_stream_follows_without_a_gap_or_a_step_back() -> Result<()> {
    for first in [0, 9_000, 10_600, 12_000, 4_000_000] {
        let server = two_streams(move |client| {
            send(client, 1, &[video(10_120, INTER_FRAME)])?;
            client.send_user_control(&UserControl::StreamEof(1))?;
            client.send_status(1, Level::Status, "NetStream.Play.Stop", "")?;
            client.send_status(1, Level::Status, "NetStream.Play.Start", "")?;
            send(client, 1, &group(first, 3))?;
            finish(client, 1)
        })?;
        let source = Source::new(&server.url("live", "secret-a"))?;
        source.play()?;
        source.wait_for_time(10_080)?;
        assert!(play2(
            &source,
            "play2,stream=secret-b,old-stream=secret-a,start=0,transition=swap"
        )?);
        source.wait_for_eos()?;
        let times: Vec<_> = source
            .tags()?
            .into_iter()
            .skip(2)
            .map(|tag| tag.timestamp)
            .collect();
        let begin = if first == 10_600 { first } else { 10_120 };
        let expected = [10_000, 10_040, 10_080, 10_120, begin, begin + 40, begin + 80];
        assert_eq!(times, expected, "{first}");
        source.stop()?;
        let connection = server.join_one()?;
        let parameters = connection.command("play2")?.arguments.first().cloned();
        let parameters = parameters.ok_or(Failure::new("play2 has no argument"))?;
        for (name, value) in [
            ("oldStreamName", Value::from("secret-a")),
            ("streamName", "secret-b".into()),
            ("start", 0.0.into()),
            ("transition", "swap".into()),
        ] {
            assert_eq!(parameters.get(name), Some(&value), "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_change_that_is_refused_is_told_without_the_name_and_the_stream_goes_on() -> Result<()> {
    let server = two_streams(|client| {
        client.send_status(
            1,
            Level::Error,
            "NetStream.Play.StreamNotFound",
            "no secret-b here",
        )?;
        send(client, 1, &[video(10_120, INTER_FRAME)])?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "secret-a"))?;
    source.play()?;
    source.wait_for_time(10_080)?;
    assert!(play2(&source, "play2,stream=secret-b")?);
    let message = source.wait_for_status("NetStream.Play.StreamNotFound")?;
    let refusal = message
        .structure()
        .and_then(|said| said.get::<String>("description").ok());
    assert_eq!(refusal.as_deref(), Some("no *** here"));
    source.wait_for_time(10_120)?;
    source.wait_for_eos()
}

#[test]
fn a_change_that_makes_no_sense_is_refused_at_once() -> Result<()> {
    let server = playing(|client| client.read_to_end())?;
    let source = Source::new(&server.url("live", "key"))?;
    assert!(!play2(&source, "play2,stream=b")?, "nothing is played");
    source.play()?;
    server.wait_for_command("play")?;
    assert!(!play2(&source, "play2,stream=b,transition=teleport")?);
    assert!(!play2(&source, "play2,transition=switch")?);
    assert!(play2(&source, "play2,transition=stop,old-stream=key")?);
    server.wait_for_command("play2")?;
    Ok(())
}

#[test]
fn playlist_and_subscribe_precede_play() -> Result<()> {
    let server = playing(|client| client.read_to_end())?;
    let source = Source::with(
        &server.url("live", "key"),
        &[
            ("playlist", "true"),
            ("subscribe", "channel"),
            ("play-start", "live"),
        ],
    )?;
    source.play()?;
    source.wait_for_connection("connected")?;
    source.stop()?;
    let connection = server.join_one()?;
    assert_eq!(
        connection.command_names(),
        [
            "connect",
            "createStream",
            "FCSubscribe",
            "set_playlist",
            "play",
            "closeStream",
            "deleteStream"
        ]
    );
    assert_eq!(arguments(&connection, "FCSubscribe"), [[Value::from("channel")]]);
    Ok(())
}
