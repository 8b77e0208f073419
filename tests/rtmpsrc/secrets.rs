//! Stream keys and passwords show neither in logs nor in messages.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gstrtmp::message::{Level, Status};
use gstrtmp::url::Proxy;

use super::fixture::*;
use crate::support::script::connect_error;
use crate::support::{Failure, Result};

const KEY: &str = "kEyOfThisStream";
const TOKEN: &str = "tOkEnOfThisTest";

/// Everything of our own categories that is logged from now on.
fn record_logs() -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    gst::log::remove_default_log_function();
    gst::log::set_threshold_from_string("rtmpsrc:9", false);
    gst::log::add_log_function(move |category, level, _, _, _, object, text| {
        if category.name() == "rtmpsrc" {
            let line = format!("{level:?} {object:?} {:?}", text.get());
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    lines
}

#[test]
fn no_log_and_no_message_shows_a_secret() -> Result<()> {
    let logs = record_logs();
    let words = format!("stream {KEY}?token={TOKEN} of {TOKEN} is not for {KEY}");
    let refused = {
        let words = words.clone();
        serving(move |client| {
            client.handshake()?;
            let connect = client.expect_command("connect")?;
            client.send_command(0, &connect_error(&connect, &format!("Nope.{KEY}"), &words))?;
            client.read_to_end()
        })?
    };
    let not_found = {
        let words = words.clone();
        serving(move |client| {
            client.accept_stream(1)?;
            client.send_status(1, Level::Error, "NetStream.Play.StreamNotFound", &words)?;
            client.read_to_end()
        })?
    };
    let talkative = playing(move |client| {
        send(client, 1, &group(0, 2))?;
        let code = format!("NetStream.{TOKEN}");
        let status = Status::new(Level::Status, &code, &words);
        client.send_command(1, &gstrtmp::message::Command::on_status(&status))?;
        finish(client, 1)
    })?;
    let closing = playing(|client| client.finish())?;
    let name = format!("{KEY}?token={TOKEN}");
    let mut messages = Vec::new();
    for location in [
        refused.url("live", &name),
        not_found.url("live", &name),
        talkative.url("live", &name),
        closing.url("live", &name),
        format!("rtmp://127.0.0.1:1/live/{name}"),
        format!("rtmp://{TOKEN}:{KEY}@127.0.0.1/live/{name}"),
        format!("rtmp://127.0.0.1:99999/live/{name}"),
        format!("rtmp://127.0.0.1/live/x nonsense={KEY} token={TOKEN}"),
    ] {
        let source = Source::new(&location)?;
        // Some cannot be started at all, and say why on the bus.
        let _ = source.pipeline.set_state(gst::State::Playing);
        source.end()?;
        let stats = source.element.property::<gst::Structure>("stats");
        messages.push(format!("{stats:?}"));
        let bus = source.pipeline.bus();
        messages.extend(
            bus.iter()
                .flat_map(|bus| bus.iter())
                .map(|message| format!("{message:?}")),
        );
        source.stop()?;
    }
    let lines = logs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(lines.len() > 8, "{lines:?}");
    for line in lines.iter().chain(&messages) {
        assert!(!line.contains(KEY) && !line.contains(TOKEN), "{line}");
    }
    Ok(())
}

#[test]
fn errors_and_statuses_show_none_either() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &group(0, 1))?;
        let words = format!("{KEY} has {TOKEN}");
        client.send_status(1, Level::Status, "NetStream.Data.Start", &words)?;
        client.send_status(1, Level::Error, "NetStream.Play.Failed", &words)?;
        client.read_to_end()
    })?;
    let source = Source::new(&server.url("live", &format!("{KEY}?a={TOKEN}")))?;
    source.play()?;
    let types = [gst::MessageType::Element, gst::MessageType::Error];
    loop {
        let message = source.wait_for_message(&types)?;
        let shown = match message.view() {
            gst::MessageView::Error(error) => format!("{error:?} {:?}", error.debug()),
            _ => format!("{:?}", message.structure()),
        };
        assert!(!shown.contains(KEY) && !shown.contains(TOKEN), "{shown}");
        if message.type_() == gst::MessageType::Error {
            return Ok(());
        }
    }
}

#[test]
fn the_login_of_a_proxy_shows_in_neither() -> Result<()> {
    let logs = record_logs();
    let login = Proxy::parse(&format!("http://{TOKEN}:{KEY}@127.0.0.1"))?
        .basic_authorization()
        .ok_or(Failure::new("a login"))?;
    let encoded = login.expose().trim_start_matches("Basic ").to_owned();
    let request = format!(
        "CONNECT 127.0.0.1:1935 HTTP/1.1\r\nHost: 127.0.0.1:1935\r\nProxy-Authorization: {}\r\n\r\n",
        login.expose()
    );
    let echo = request;
    let refusing = serving(move |client| {
        let heard = client.read_raw(echo.len())?;
        assert_eq!(heard, echo.as_bytes());
        // As a debugging page of a proxy may.
        client.send_raw(format!("HTTP/1.1 407 {echo}").as_bytes())?;
        client.finish()
    })?;
    let at = refusing.url("live", "x");
    let refusing_at = at.trim_start_matches("rtmp://").trim_end_matches("/live/x");
    let mut messages = Vec::new();
    for (proxy, said) in [
        (format!("http://{TOKEN}:{KEY}@{refusing_at}"), "refused the login"),
        (
            format!("socks5h://{TOKEN}:{KEY}@127.0.0.1:1"),
            "refused the connection",
        ),
        (format!("socks4://{TOKEN}:{KEY}@127.0.0.1"), "SOCKS 4"),
        (format!("{TOKEN}://{KEY}@127.0.0.1"), "scheme"),
        (format!("http://{TOKEN}:{KEY}/@127.0.0.1"), "behind its port"),
    ] {
        let source = Source::with("rtmp://127.0.0.1/live/x", &[("proxy", &proxy)])?;
        // Some cannot be started at all, and say why on the bus.
        let _ = source.pipeline.set_state(gst::State::Playing);
        let error = source.wait_for_error()?;
        assert!(error.sentence.contains(said), "{error:?}");
        messages.push(format!("{error:?}"));
        source.stop()?;
    }
    let lines = logs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for line in lines.iter().chain(&messages) {
        for secret in [KEY, TOKEN, &encoded] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    Ok(())
}
