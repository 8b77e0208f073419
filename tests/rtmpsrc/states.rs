//! Changes of state: quick whatever the server does, and as often as one likes.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use gst::prelude::*;

use super::fixture::*;
use crate::support::script::{BlackHole, Client, Server};
use crate::support::wait::LONG;
use crate::support::{Context, Failure, Result};

/// What a change to NULL may take.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Other tests may hold the processor: the fastest of so many tries counts.
const TRIES: usize = 3;

/// Stops sources of a server whose clients have got to where `start` leaves them.
fn stops_at_once(what: &str, start: fn(&mut Client) -> Result<()>) -> Result<()> {
    let mut fastest = Duration::MAX;
    for _ in 0..TRIES {
        let (sender, there) = mpsc::channel();
        let server = serving(move |client| {
            start(client)?;
            // The test may have given up.
            let _ = sender.send(());
            // Stays as it is, half open, until the test is over.
            client.wait_for_cue()
        })?;
        let source = Source::new(&server.url("live", "key"))?;
        source.play()?;
        there.recv_timeout(LONG).context("waiting for the server")?;
        fastest = fastest.min(source.stop()?);
        server.cue();
        server.join()?;
    }
    assert!(fastest < AT_ONCE, "{what}: {fastest:?}");
    Ok(())
}

#[test]
fn stopping_is_quick_before_the_handshake() -> Result<()> {
    stops_at_once("silent", |_| Ok(()))
}

#[test]
fn stopping_is_quick_in_the_handshake() -> Result<()> {
    stops_at_once("half a handshake", |client| client.send_raw(&[3; 1000]))
}

#[test]
fn stopping_is_quick_before_connect_is_answered() -> Result<()> {
    stops_at_once("connect", |client| {
        client.handshake()?;
        client.expect_command("connect").map(drop)
    })
}

#[test]
fn stopping_is_quick_before_create_stream_is_answered() -> Result<()> {
    stops_at_once("createStream", |client| {
        client.accept_connect()?;
        client.expect_command("createStream").map(drop)
    })
}

#[test]
fn stopping_is_quick_before_play_is_answered() -> Result<()> {
    stops_at_once("play", |client| {
        client.accept_stream(1)?;
        client.expect_command("play").map(drop)
    })
}

#[test]
fn stopping_is_quick_when_nothing_comes() -> Result<()> {
    stops_at_once("playing", |client| client.accept_play(1).map(drop))
}

#[test]
fn stopping_is_quick_in_mid_message() -> Result<()> {
    stops_at_once("half a message", |client| {
        client.accept_play(1)?;
        send(client, 1, &group(0, 2))?;
        client.send_raw(&[6, 0, 0, 0, 0, 1, 0, 9, 1, 0, 0, 0, 0x27, 1])
    })
}

#[test]
fn stopping_is_quick_when_the_server_has_closed_its_half() -> Result<()> {
    stops_at_once("half open", |client| {
        client.accept_play(1)?;
        send(client, 1, &group(0, 2))?;
        client.finish()
    })
}

#[test]
fn stopping_is_quick_while_tcp_connects() -> Result<()> {
    let hole = BlackHole::dig()?;
    let mut fastest = Duration::MAX;
    for _ in 0..TRIES {
        let source = Source::new(&hole.url("live", "key")?)?;
        source.play()?;
        fastest = fastest.min(source.stop()?);
    }
    assert!(fastest < AT_ONCE, "{fastest:?}");
    Ok(())
}

#[test]
fn stopping_is_quick_while_downstream_blocks() -> Result<()> {
    let mut fastest = Duration::MAX;
    for _ in 0..TRIES {
        let server = playing(|client| {
            send(client, 1, &group(0, 2))?;
            client.wait_for_cue()?;
            send(client, 1, &group(80, 100))?;
            client.read_to_end()
        })?;
        let source = Source::new(&server.url("live", "key"))?;
        source.play()?;
        source.wait_for_tags(2)?;
        source.block()?;
        server.cue();
        fastest = fastest.min(source.stop()?);
        server.join()?;
    }
    assert!(fastest < AT_ONCE, "{fastest:?}");
    Ok(())
}

#[test]
fn stopping_is_quick_while_paused() -> Result<()> {
    let mut fastest = Duration::MAX;
    for _ in 0..TRIES {
        let server = playing(|client| {
            send(client, 1, &group(0, 2))?;
            client.read_to_end()
        })?;
        let source = Source::new(&server.url("live", "key"))?;
        source.play()?;
        source.wait_for_tags(2)?;
        source.pause()?;
        fastest = fastest.min(source.stop()?);
        server.join()?;
    }
    assert!(fastest < AT_ONCE, "{fastest:?}");
    Ok(())
}

#[test]
fn a_stream_that_is_stopped_is_ended_on_the_server() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 2))?;
        client.read_to_end()
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_tags(2)?;
    source.stop()?;
    let connection = server.join_one()?;
    connection.command("deleteStream")?;
    assert_eq!(connection.end, Some(crate::support::script::End::Fin));
    Ok(())
}

#[test]
fn every_start_plays_anew() -> Result<()> {
    const TIMES: usize = 5;
    let server = Server::start(|stage| {
        for n in 0..TIMES as u32 {
            let mut client = stage.accept()?;
            client.accept_play(1)?;
            send(&mut client, 1, &video_start())?;
            send(&mut client, 1, &group(1000 * n, 2))?;
            finish(&mut client, 1)?;
        }
        Ok(())
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    for n in 0..TIMES {
        let before = source.buffers().len();
        source.play()?;
        source.wait_for_eos()?;
        let buffers = source.buffers().split_off(before);
        assert_eq!(buffers.len(), 5);
        assert_eq!(bytes(&buffers[0])?[..3], b"FLV"[..]);
        assert!(buffers[0].flags().contains(gst::BufferFlags::DISCONT));
        let (segment, _) = source.segments().pop().ok_or(Failure::new("no segment"))?;
        assert_eq!(segment.start(), Some(gst::ClockTime::from_seconds(n as u64)));
        // READY is enough, and so is NULL.
        source.pipeline.set_state(if n % 2 == 0 {
            gst::State::Ready
        } else {
            gst::State::Null
        })?;
    }
    let connections = server.join()?;
    assert_eq!(connections.len(), TIMES);
    Ok(())
}

#[test]
fn after_a_failure_it_can_be_started_again() -> Result<()> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let source = Source::new(&format!("rtmp://{free}/live/key"))?;
    source.play()?;
    source.wait_for_error()?;
    source.stop()?;
    let server = stream_of(group(0, 2))?;
    source.element.set_property("location", server.url("live", "key"));
    assert_eq!(source.run()?, group(0, 2));
    Ok(())
}

#[test]
fn the_uri_makes_the_element_and_cannot_change_while_it_runs() -> Result<()> {
    init();
    let uri = "rtmp://127.0.0.1/live/key";
    let element = gst::Element::make_from_uri(gst::URIType::Src, uri, None)?;
    assert_eq!(element.type_().name(), "GstRsRtmpSrc");
    let server = playing(Client::read_to_end)?;
    let source = Source::new(&server.url("live", "key"))?;
    let handler = source
        .element
        .dynamic_cast_ref::<gst::URIHandler>()
        .ok_or(Failure::new("no URI handler"))?;
    assert_eq!(handler.uri_type(), gst::URIType::Src);
    handler.set_uri(&server.url("live", "other"))?;
    assert_eq!(source.element.property::<String>("stream"), "other");
    source.play()?;
    server.wait_for_command("play")?;
    let refused = handler
        .set_uri(uri)
        .err()
        .ok_or(Failure::new("the URI was changed"))?;
    assert_eq!(refused.kind::<gst::URIError>(), Some(gst::URIError::BadState));
    assert_eq!(handler.uri().as_deref(), Some(&*server.url("live", "other")));
    Ok(())
}

#[test]
fn a_handler_of_messages_may_read_every_property() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 1))?;
        client.send_status(1, gstrtmp::message::Level::Status, "NetStream.Data.Start", "")?;
        finish(client, 1)
    })?;
    // With an option that is warned of.
    let source = Source::new(&format!("{} nonsense=1", server.url("live", "key")))?;
    let bus = source.pipeline.bus().ok_or(Failure::new("no bus"))?;
    let element = source.element.clone();
    let (sender, codes) = mpsc::channel();
    bus.set_sync_handler(move |_, message| {
        let is_ours = message.src() == Some(element.upcast_ref());
        if is_ours
            && matches!(
                message.type_(),
                gst::MessageType::Element | gst::MessageType::Warning
            )
        {
            let _ = (
                element.property::<String>("location"),
                element.property::<gst::Structure>("stats"),
            );
            let code = message.structure().and_then(|s| s.get::<String>("code").ok());
            let _ = sender.send(code.unwrap_or_default());
        }
        gst::BusSyncReply::Pass
    });
    source.run()?;
    let codes: Vec<_> = codes.try_iter().collect();
    assert_eq!(codes, ["", "NetStream.Play.Start", "NetStream.Data.Start"]);
    Ok(())
}
