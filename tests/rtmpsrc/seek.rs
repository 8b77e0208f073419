//! Seeks in recordings of servers that answer in their own ways, or not at all.

use std::time::Instant;

use gst::prelude::*;
use gstrtmp::amf::Value;
use gstrtmp::message::{Command, Level, UserControl};

use super::fixture::*;
use crate::support::script::{Client, Server};
use crate::support::{Failure, Result};

const FIVE: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// A server with one client, which plays a recording on message stream 1 before `script` goes on.
fn recorded(script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static) -> Result<Server> {
    playing(move |client| {
        client.send_user_control(&UserControl::StreamIsRecorded(1))?;
        let mut start = video_start();
        start.extend(group(0, 3));
        send(client, 1, &start)?;
        script(client)
    })
}

fn notify(client: &mut Client, code: &str) -> Result<()> {
    client.send_status(1, Level::Status, code, "")
}

/// A source that plays it.
fn player(server: &Server) -> Result<Source> {
    let source = Source::with(
        &server.url("vod", "film"),
        &[("is-live", "false"), ("timeout", "1")],
    )?;
    source.play()?;
    source.wait_for_time(80)?;
    Ok(source)
}

fn seek_event() -> gst::Event {
    gst::event::Seek::new(
        1.0,
        gst::SeekFlags::FLUSH,
        gst::SeekType::Set,
        FIVE,
        gst::SeekType::None,
        gst::ClockTime::NONE,
    )
}

fn times(tags: &[Message]) -> Vec<u32> {
    tags.iter().map(|tag| tag.timestamp).collect()
}

#[test]
fn nothing_of_where_the_stream_was_comes_after_a_seek() -> Result<()> {
    let server = recorded(|client| {
        let seek = client.expect_command("seek")?;
        assert_eq!(seek.arguments, [Value::Number(5000.0)]);
        // On its way already.
        send(client, 1, &group(120, 3))?;
        client.send_user_control(&UserControl::StreamEof(1))?;
        send(client, 1, &[video(0, AVC_HEADER)])?;
        notify(client, "NetStream.Seek.Notify")?;
        client.send_user_control(&UserControl::StreamBegin(1))?;
        send(client, 1, &[video(4960, INTER_FRAME)])?;
        send(client, 1, &group(4000, 3))?;
        finish(client, 1)
    })?;
    let source = player(&server)?;
    assert!(source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
    let (segments, tags) = source.wait_since_flush(usize::MAX)?;
    // Neither what was sent before the answer, nor what cannot be decoded after it.
    let frames: Vec<_> = tags
        .iter()
        .filter(|tag| &tag.body[..] != AVC_HEADER)
        .cloned()
        .collect();
    assert_eq!(frames, group(4000, 3));
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].start(), Some(gst::ClockTime::from_seconds(4)));
    source.stop()?;
    server.join_one()?;
    Ok(())
}

#[test]
fn a_seek_that_is_refused_fails_and_the_stream_goes_on() -> Result<()> {
    for code in ["NetStream.Seek.Failed", "NetStream.Seek.InvalidTime"] {
        let server = recorded(move |client| {
            client.expect_command("seek")?;
            client.send_status(1, Level::Error, code, "no")?;
            send(client, 1, &group(120, 3))?;
            finish(client, 1)
        })?;
        let source = player(&server)?;
        assert!(!source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
        source.wait_for_time(200)?;
        source.wait_for_eos()?;
        source.stop()?;
        server.join_one()?;
    }
    let server = recorded(|client| {
        let seek = client.expect_command("seek")?;
        client.send_command(0, &Command::error(seek.transaction_id, Value::Null, vec![]))?;
        finish(client, 1)
    })?;
    let source = player(&server)?;
    assert!(!source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
    source.wait_for_eos()
}

#[test]
fn a_seek_that_is_not_answered_fails_in_time() -> Result<()> {
    let server = recorded(|client| {
        client.expect_command("seek")?;
        client.wait_for_cue()?;
        send(client, 1, &group(120, 3))?;
        finish(client, 1)
    })?;
    let source = player(&server)?;
    let started = Instant::now();
    assert!(!source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
    let elapsed = started.elapsed().as_millis();
    assert!((900..5000).contains(&elapsed), "{elapsed} ms");
    server.cue();
    source.wait_for_time(200)?;
    source.wait_for_eos()
}

#[test]
fn stopping_does_not_wait_for_the_answer_to_a_seek() -> Result<()> {
    let server = recorded(|client| {
        client.expect_command("seek")?;
        client.read_to_end()
    })?;
    let source = Source::with(
        &server.url("vod", "film"),
        &[("is-live", "false"), ("timeout", "20")],
    )?;
    source.play()?;
    source.wait_for_time(80)?;
    // By the pad, as players do: an element holds its lock of states while it is asked itself.
    let pad = source.pad.clone();
    let seeker = std::thread::spawn(move || pad.send_event(seek_event()));
    server.wait_for_command("seek")?;
    let took = source.stop()?;
    assert!(took.as_secs() < 5, "{took:?}");
    let sought = seeker.join().map_err(|_| Failure::new("the seek panicked"))?;
    assert!(!sought);
    server.join_one()?;
    Ok(())
}

#[test]
fn an_answer_that_comes_twice_is_one_answer() -> Result<()> {
    let server = recorded(|client| {
        client.expect_command("seek")?;
        for _ in 0..2 {
            notify(client, "NetStream.Seek.Notify")?;
        }
        send(client, 1, &group(5000, 3))?;
        finish(client, 1)
    })?;
    let source = player(&server)?;
    assert!(source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
    let (segments, tags) = source.wait_since_flush(usize::MAX)?;
    assert_eq!(segments.len(), 1);
    assert_eq!(tags, group(5000, 3));
    Ok(())
}

#[test]
fn the_end_may_follow_a_seek_at_once_and_a_seek_the_end() -> Result<()> {
    let server = recorded(|client| {
        client.expect_command("seek")?;
        notify(client, "NetStream.Seek.Notify")?;
        client.send_user_control(&UserControl::StreamEof(1))?;
        notify(client, "NetStream.Play.Stop")?;
        client.expect_command("seek")?;
        notify(client, "NetStream.Seek.Notify")?;
        send(client, 1, &group(0, 3))?;
        finish(client, 1)
    })?;
    let source = player(&server)?;
    assert!(source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
    source.wait_for_eos()?;
    assert!(source.seek(gst::SeekFlags::KEY_UNIT, gst::ClockTime::ZERO));
    let (segments, tags) = source.wait_since_flush(usize::MAX)?;
    assert_eq!(tags, group(0, 3));
    assert_eq!(segments[0].time(), Some(gst::ClockTime::ZERO));
    Ok(())
}

#[test]
fn a_seek_during_a_pause_shows_where_it_leads() -> Result<()> {
    let server = recorded(|client| {
        client.expect_command("pause")?;
        notify(client, "NetStream.Pause.Notify")?;
        client.expect_command("seek")?;
        notify(client, "NetStream.Seek.Notify")?;
        send(client, 1, &group(5000, 3))?;
        client.expect_command("pause")?;
        notify(client, "NetStream.Unpause.Notify")?;
        // Once more, as some do.
        send(client, 1, &group(5000, 4))?;
        finish(client, 1)
    })?;
    let source = player(&server)?;
    source.pause()?;
    server.wait_for_command("pause")?;
    assert!(source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
    source.wait_since_flush(1)?;
    source.play()?;
    let (_, tags) = source.wait_since_flush(usize::MAX)?;
    assert_eq!(tags, group(5000, 4));
    source.stop()?;
    let connection = server.join_one()?;
    let pauses = connection.commands().filter(|command| command.name == "pause");
    let pauses: Vec<_> = pauses.map(|command| command.arguments.clone()).collect();
    let [before, after] = &pauses[..] else {
        return Err(Failure::new(format!("not two pauses: {pauses:?}")));
    };
    assert_eq!(*before, [Value::from(true), 80.0.into()]);
    // As far as it had been read by then.
    let position = after.get(1).and_then(Value::as_number);
    assert!(
        position.is_some_and(|position| (5000.0..=5080.0).contains(&position)),
        "{after:?}"
    );
    Ok(())
}

#[test]
fn a_stop_position_ends_the_stream() -> Result<()> {
    let server = recorded(|client| {
        client.expect_command("seek")?;
        notify(client, "NetStream.Seek.Notify")?;
        send(client, 1, &group(5000, 50))?;
        client.read_to_end()
    })?;
    let source = player(&server)?;
    let stop = gst::ClockTime::from_mseconds(5200);
    source.pipeline.seek(
        1.0,
        gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT,
        gst::SeekType::Set,
        FIVE,
        gst::SeekType::Set,
        stop,
    )?;
    source.wait_for_eos()?;
    let (segments, tags) = source.wait_since_flush(0)?;
    assert_eq!(segments[0].stop(), Some(stop));
    let last = times(&tags).last().copied();
    assert!(last.is_some_and(|last| (5120..=5200).contains(&last)), "{last:?}");
    Ok(())
}

#[test]
fn start_and_stop_of_the_location_are_plays_arguments() -> Result<()> {
    let server = recorded(|client| client.read_to_end())?;
    let location = format!("{} start=1000 stop=1080 playlist=1", server.url("vod", "film"));
    let source = Source::with(&location, &[("is-live", "false")])?;
    source.play()?;
    source.wait_for_tags(3)?;
    source.stop()?;
    let connection = server.join_one()?;
    let play = connection.command("play")?;
    assert_eq!(
        play.arguments.get(1..),
        Some(&[Value::from(1000.0), 80.0.into()][..])
    );
    let mut names = connection.command_names();
    // Said if the pipeline came to PLAYING before it was stopped.
    names.retain(|name| name != "pause");
    assert_eq!(
        names,
        [
            "connect",
            "createStream",
            "set_playlist",
            "getStreamLength",
            "play",
            "closeStream",
            "deleteStream"
        ]
    );
    Ok(())
}

#[test]
fn seeks_that_no_server_can_do_are_refused_without_a_flush() -> Result<()> {
    let server = recorded(|client| client.read_to_end())?;
    let source = player(&server)?;
    let flush = gst::SeekFlags::FLUSH;
    let set = gst::SeekType::Set;
    let none = gst::ClockTime::NONE;
    let element = &source.element;
    assert!(
        element
            .seek(1.0, gst::SeekFlags::empty(), set, FIVE, gst::SeekType::None, none)
            .is_err()
    );
    assert!(
        element
            .seek(2.0, flush, set, FIVE, gst::SeekType::None, none)
            .is_err()
    );
    assert!(
        element
            .seek(-1.0, flush, set, FIVE, gst::SeekType::None, none)
            .is_err()
    );
    assert!(
        element
            .seek(1.0, flush, gst::SeekType::End, FIVE, gst::SeekType::None, none)
            .is_err()
    );
    assert!(
        element
            .seek_simple(flush, gst::format::Bytes::from_u64(1))
            .is_err()
    );
    assert!(
        !source
            .outputs()
            .iter()
            .any(|output| matches!(output, Output::Flush))
    );
    source.stop()?;
    assert!(server.join_one()?.command("seek").is_err());
    Ok(())
}

#[test]
fn one_seek_that_comes_by_two_pads_is_one() -> Result<()> {
    let server = recorded(|client| {
        client.expect_command("seek")?;
        notify(client, "NetStream.Seek.Notify")?;
        send(client, 1, &group(5000, 3))?;
        client.read_to_end()
    })?;
    let source = player(&server)?;
    let event = seek_event();
    assert!(source.pad.send_event(event.clone()));
    assert!(source.pad.send_event(event));
    source.wait_since_flush(3)?;
    source.stop()?;
    let connection = server.join_one()?;
    let seeks = connection.commands().filter(|command| command.name == "seek");
    assert_eq!(seeks.count(), 1);
    Ok(())
}

#[test]
fn a_connection_that_is_lost_during_a_seek_is_an_error() -> Result<()> {
    let server = recorded(|client| {
        client.expect_command("seek")?;
        client.finish()
    })?;
    let source = player(&server)?;
    assert!(!source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
    source.wait_for_error()?;
    Ok(())
}

#[test]
fn a_live_stream_cannot_be_sought_in_even_if_its_metadata_has_a_duration() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &video_start())?;
        send(client, 1, &group(0, 3))?;
        client.read_to_end()
    })?;
    let source = player(&server)?;
    assert!(!source.reach().0);
    assert!(!source.seek(gst::SeekFlags::KEY_UNIT, FIVE));
    assert!(
        !source
            .outputs()
            .iter()
            .any(|output| matches!(output, Output::Flush))
    );
    Ok(())
}
