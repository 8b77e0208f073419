//! Servers of the field that get connect and createStream at a time: all of these take it, so that none is connected to
//! twice.

mod support;

use std::path::Path;

use support::ffmpeg::{self, Form, utf8};
use support::nginx::{Application, Nginx};
use support::node::NodeMediaServer;
use support::pipeline::Pipeline;
use support::refusal::step;
use support::wait::LONG;
use support::{Failure, Result, port};

/// Publishes `file`; the steps beside the straight way that it took.
fn publish(file: &Path, location: &str) -> Result<Vec<String>> {
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} ! rtmpsink location={location} sync=false",
        utf8(file)?
    ))?;
    pipeline.play()?;
    steps(&pipeline)
}

/// Waits until a pipeline has come to its end.
fn steps(pipeline: &Pipeline) -> Result<Vec<String>> {
    let mut steps = Vec::new();
    pipeline.wait_for(LONG, |message| {
        if let gst::MessageView::Element(message) = message {
            steps.extend(step(message.message()));
        }
        matches!(message, gst::MessageView::Eos(_)).then_some(())
    })?;
    Ok(steps)
}

#[test]
fn nginx_takes_one_flight_even_while_it_asks_about_connect() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    ffmpeg::encode_sample(&file, 1)?;
    let sent = ffmpeg::frames(utf8(&file)?, Form::Encoded)?;
    let nginx = Nginx::start()?;
    for application in [Application::Notify, Application::Asks] {
        let location = nginx.url(application, "main");
        let player = Pipeline::new(&format!(
            "rtmpsrc location={location} timeout=30 ! filesink location={}",
            utf8(&got)?
        ))?;
        player.play()?;
        nginx.wait_for_clients(application, "main", 1, LONG)?;
        assert_eq!(publish(&file, &location)?, [""; 0], "{application:?}");
        assert_eq!(steps(&player)?, [""; 0], "{application:?}");
        drop(player);
        let got = ffmpeg::frames(utf8(&got)?, Form::Encoded)?;
        assert_eq!(got, sent, "{application:?}");
    }
    // Once for the publisher and once for the player.
    for _ in 0..2 {
        nginx.connect_hook.next_form(LONG)?;
    }
    if nginx.connect_hook.next_form(std::time::Duration::ZERO).is_ok() {
        return Err(Failure::new("somebody has connected twice"));
    }
    Ok(())
}

#[test]
fn ffmpeg_takes_one_flight() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    ffmpeg::encode_sample(&file, 1)?;
    let [port] = port::free()?;
    let location = format!("rtmp://127.0.0.1:{port}/live/main");
    let server = ffmpeg::serve_publisher(&location, &got)?;
    port::wait_for_listener(port)?;
    assert_eq!(publish(&file, &location)?, [""; 0]);
    server.succeed(LONG)?;
    let [sent, got] = [&file, &got].map(|file| ffmpeg::frames(utf8(file)?, Form::Encoded));
    assert_eq!(got?, sent?);
    Ok(())
}

#[test]
fn node_media_server_takes_one_flight() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sent.flv");
    ffmpeg::encode_sample(&file, 1)?;
    let server = NodeMediaServer::start()?;
    assert_eq!(publish(&file, &server.url("main"))?, [""; 0]);
    Ok(())
}
