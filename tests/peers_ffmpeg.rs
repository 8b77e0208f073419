//! ffmpeg and rtmpdump at the other end, through nginx and, ffmpeg being a server too, without it.

mod support;

use std::path::Path;

use support::ffmpeg::{self, Form, Pace, utf8};
use support::nginx::{Application, Nginx};
use support::pipeline::{PICTURES, Pipeline, publisher};
use support::wait::LONG;
use support::{Result, port, rtmpdump, tags};

/// A pipeline that plays `location` into a file.
fn player(location: &str, file: &Path) -> Result<Pipeline> {
    let file = utf8(file)?;
    Pipeline::new(&format!(
        "rtmpsrc location={location} timeout=30 ! filesink location={file}"
    ))
}

#[test]
fn ffmpeg_and_rtmpdump_get_every_packet_that_rtmpsink_publishes() -> Result<()> {
    let nginx = Nginx::start()?;
    let location = nginx.url(Application::Notify, "main");
    let folder = tempfile::tempdir()?;
    let [sent, by_ffmpeg, by_rtmpdump] =
        ["sent.flv", "ffmpeg.flv", "rtmpdump.flv"].map(|name| folder.path().join(name));
    let ffmpeg = ffmpeg::play(&location, &by_ffmpeg)?;
    let rtmpdump = rtmpdump::play(&location, rtmpdump::Stream::Live, &by_rtmpdump)?;
    let publisher = Pipeline::new(&publisher(&location, 2))?;
    let published = publisher.tap("sink")?;
    nginx.wait_for_clients(Application::Notify, "main", 2, LONG)?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    ffmpeg.succeed(LONG)?;
    rtmpdump.end(LONG)?;

    let published = published.tags()?;
    assert_eq!(tags::frames(&tags::read(&by_rtmpdump)?), tags::frames(&published));
    tags::write(&sent, &published)?;
    let sent = ffmpeg::frames(utf8(&sent)?, Form::Encoded)?;
    assert_eq!(sent.video.len(), PICTURES);
    assert_eq!(ffmpeg::frames(utf8(&by_ffmpeg)?, Form::Encoded)?, sent);
    Ok(())
}

#[test]
fn rtmpsrc_gets_every_packet_that_ffmpeg_publishes() -> Result<()> {
    let video = "-f lavfi -i testsrc2=size=160x120:rate=25:duration=2";
    let tone = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=2";
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    for (inputs, codecs, pace) in [
        (
            &[video, tone][..],
            "-c:v libx264 -bf 2 -g 25 -c:a aac -ar 44100 -ac 2",
            Pace::Unpaced,
        ),
        (
            &[video, tone],
            "-c:v libx264 -bf 2 -g 25 -c:a aac -ar 44100 -ac 2",
            Pace::Live,
        ),
        (
            &[video, tone],
            "-c:v libx264 -bf 0 -c:a libmp3lame -ar 44100",
            Pace::Unpaced,
        ),
        (&[video], "-c:v libx264 -bf 3 -g 25", Pace::Unpaced),
        (&[video], "-c:v flv", Pace::Unpaced),
        (&[tone], "-c:a aac -ac 2", Pace::Unpaced),
        (&[tone], "-c:a aac -ar 48000 -ac 1", Pace::Unpaced),
        (&[tone], "-c:a libmp3lame -ar 22050 -ac 1", Pace::Unpaced),
    ] {
        ffmpeg::run(
            inputs
                .iter()
                .chain([&codecs])
                .flat_map(|part| part.split_whitespace())
                .chain([utf8(&file)?]),
        )?;
        let location = nginx.url(Application::Live, "main");
        let player = player(&location, &got)?;
        player.play()?;
        player.wait_for_status("NetStream.Play.Start")?;
        ffmpeg::publish(&file, &location, pace)?.succeed(LONG)?;
        player.wait_for_eos()?;
        drop(player);
        let [sent, got] =
            [&file, &got].map(|file| -> Result<_> { ffmpeg::frames(utf8(file)?, Form::Encoded) });
        let (sent, got) = (sent?, got?);
        assert!(sent.video.len() + sent.audio.len() >= 50, "{codecs}");
        assert_eq!(got, sent, "{codecs}, {pace:?}");
    }
    Ok(())
}

#[test]
fn ffmpeg_serves_rtmpsink() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [sent, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    let [port] = port::free()?;
    let location = format!("rtmp://127.0.0.1:{port}/live/main");
    let server = ffmpeg::serve_publisher(&location, &got)?;
    port::wait_for_listener(port)?;
    let publisher = Pipeline::new(&publisher(&location, 2))?;
    let published = publisher.tap("sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    server.succeed(LONG)?;
    tags::write(&sent, &published.tags()?)?;
    let sent = ffmpeg::frames(utf8(&sent)?, Form::Encoded)?;
    assert_eq!(sent.video.len(), PICTURES);
    assert_eq!(ffmpeg::frames(utf8(&got)?, Form::Encoded)?, sent);
    Ok(())
}

#[test]
fn ffmpeg_serves_rtmpsrc_and_hangs_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    ffmpeg::encode_sample(&file, 2)?;
    let sent = ffmpeg::frames(utf8(&file)?, Form::Encoded)?;
    for is_error in [true, false] {
        let [port] = port::free()?;
        let location = format!("rtmp://127.0.0.1:{port}/live/main");
        let server = ffmpeg::serve_player(&file, &location)?;
        port::wait_for_listener(port)?;
        let player = Pipeline::new(&format!(
            "rtmpsrc location={location} no-eof-is-error={is_error} ! filesink location={}",
            utf8(&got)?
        ))?;
        player.play()?;
        // ffmpeg does not say that the stream has ended.
        if is_error {
            assert_eq!(player.wait_for_error()?.kind(), Some(gst::ResourceError::Read));
        } else {
            player.wait_for_eos()?;
        }
        server.succeed(LONG)?;
        drop(player);
        assert_eq!(ffmpeg::frames(utf8(&got)?, Form::Encoded)?, sent);
    }
    Ok(())
}
