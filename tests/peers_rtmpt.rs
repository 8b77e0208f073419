//! RTMPT with everybody who has it: ffmpeg and librtmp (rtmpdump, GStreamer's C elements) at our server, and our client
//! at our server through nginx as an HTTP proxy that closes its connections.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::path::Path;

use gstrtmp::transport::tls::Server;
use relay::{Options, Relay};
use support::certificates::{Certificates, Kind};
use support::ffmpeg::{self, Form, Frames, Pace, utf8};
use support::gstreamer::GStreamer;
use support::nginx::Proxy;
use support::pipeline::{PICTURES, Pipeline, publisher};
use support::process::Peer;
use support::wait::{self, LONG};
use support::{Context, Result, rtmpdump, tags};

/// Requests that nginx takes by one connection, few and nginx's own default. FFmpeg 5.1 gives up with the connection.
const FEW: u32 = 3;
const MANY: u32 = 1000;

fn start() -> Result<Relay> {
    Relay::start(Options::default()).context("starting the relay")
}

fn wait_for_players(relay: &Relay, n: usize) -> Result<()> {
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == n)?;
    Ok(())
}

/// A file to publish, and its frames.
fn sample(file: &Path) -> Result<Frames> {
    ffmpeg::encode_sample(file, 2)?;
    ffmpeg::frames(utf8(file)?, Form::Encoded)
}

/// ffmpeg publishing a file as it is. What it has put together since its last flush it forgets at the end, at least
/// FFmpeg 5.1 does: so it flushes behind each tag.
fn publish(file: &Path, location: &str, pace: Pace) -> Result<Peer> {
    let pace: &[&str] = match pace {
        Pace::Live => &["-re"],
        Pace::Unpaced => &[],
    };
    let file = ["-copyts", "-i", utf8(file)?, "-c", "copy", "-f", "flv"];
    let flush = ["-rtmp_flush_interval", "1", location];
    ffmpeg::spawn(pace.iter().copied().chain(file).chain(flush))
}

#[test]
fn ffmpeg_and_rtmpdump_get_what_rtmpsink_publishes_by_rtmpt() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let relay = start()?;
    let location = relay.url_by("rtmpt", "live", "main");
    let enciphered = relay.url_by("rtmpte", "live", "main");
    let [sent, by_ffmpeg, by_rtmpdump, by_rtmpte, by_rtmpsrc] =
        ["sent", "ffmpeg", "rtmpdump", "rtmpte", "rtmpsrc"].map(|name| folder.path().join(name));
    let ffmpeg = ffmpeg::play(&location, &by_ffmpeg)?;
    let rtmpdump = rtmpdump::play(&location, rtmpdump::Stream::Live, &by_rtmpdump)?;
    let rtmpte = rtmpdump::play(&enciphered, rtmpdump::Stream::Live, &by_rtmpte)?;
    let player = Pipeline::new(&format!(
        "rtmpsrc location={location} ! filesink location={}",
        utf8(&by_rtmpsrc)?
    ))?;
    player.play()?;
    wait_for_players(&relay, 4)?;
    let publisher = Pipeline::new(&publisher(&location, 2))?;
    let published = publisher.tap("sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    ffmpeg.succeed(LONG)?;
    rtmpdump.end(LONG)?;
    rtmpte.end(LONG)?;

    let published = published.tags()?;
    for file in [&by_rtmpsrc, &by_rtmpdump, &by_rtmpte] {
        assert_eq!(
            tags::frames(&tags::read(file)?),
            tags::frames(&published),
            "{}",
            file.display()
        );
    }
    tags::write(&sent, &published)?;
    let sent = ffmpeg::frames(utf8(&sent)?, Form::Encoded)?;
    assert_eq!(sent.video.len(), PICTURES);
    assert_eq!(ffmpeg::frames(utf8(&by_ffmpeg)?, Form::Encoded)?, sent);
    Ok(())
}

#[test]
fn rtmpsrc_gets_what_ffmpeg_publishes_by_rtmpt() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    let sent = sample(&file)?;
    for pace in [Pace::Unpaced, Pace::Live] {
        let relay = start()?;
        let location = relay.url_by("rtmpt", "live", "main");
        let player = Pipeline::new(&format!(
            "rtmpsrc location={location} ! filesink location={}",
            utf8(&got)?
        ))?;
        player.play()?;
        wait_for_players(&relay, 1)?;
        publish(&file, &location, pace)?.succeed(LONG)?;
        player.wait_for_eos()?;
        drop(player);
        assert_eq!(ffmpeg::frames(utf8(&got)?, Form::Encoded)?, sent, "{pace:?}");
    }
    Ok(())
}

#[test]
fn the_elements_of_librtmp_publish_and_play_by_rtmpt_rtmpe_and_rtmpte() -> Result<()> {
    for scheme in ["rtmpt", "rtmpe", "rtmpte"] {
        librtmp_publishes_and_plays_by(scheme).context(scheme)?;
    }
    Ok(())
}

fn librtmp_publishes_and_plays_by(scheme: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gstreamer = GStreamer::without_plugin()?;
    let [file, got, by_librtmp] = ["sent.flv", "got.flv", "librtmp.flv"].map(|name| folder.path().join(name));
    let sent = sample(&file)?;
    let relay = start()?;
    let location = relay.url_by(scheme, "live", "main");
    let player = Pipeline::new(&format!(
        "rtmpsrc location={location} ! filesink location={}",
        utf8(&got)?
    ))?;
    player.play()?;
    // It hands on no less than a block, and the last one would have to wait for the end.
    let librtmp = gstreamer.launch(&format!(
        "rtmpsrc blocksize=1 location='{location} live=1' ! filesink buffer-mode=unbuffered location={}",
        utf8(&by_librtmp)?
    ))?;
    wait_for_players(&relay, 2)?;
    gstreamer
        .launch(&format!(
            "filesrc location={} ! flvdemux name=demux flvmux name=mux streamable=true ! \
             rtmpsink location={location} demux.video ! queue ! mux.video demux.audio ! queue ! mux.audio",
            utf8(&file)?
        ))?
        .succeed(LONG)?;
    player.wait_for_eos()?;
    drop(player);
    let frames = ffmpeg::frames(utf8(&got)?, Form::Encoded)?;
    assert_eq!(
        (frames.video_md5(), frames.audio_md5()),
        (sent.video_md5(), sent.audio_md5())
    );
    let expected = tags::frames(&tags::read(&got)?);
    let by_librtmp = wait::until("librtmp to have written all", LONG, || {
        let written = tags::frames(&tags::read(&by_librtmp).ok()?);
        (written.len() == expected.len()).then_some(written)
    })?;
    drop(librtmp);
    assert_eq!(by_librtmp, expected);
    Ok(())
}

#[test]
fn a_proxy_that_closes_its_connections_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let relay = start()?;
    let few = Proxy::start(relay.address(), FEW)?;
    let many = Proxy::start(relay.address(), MANY)?;
    let [sent, by_ffmpeg, by_rtmpsrc] =
        ["sent.flv", "ffmpeg.flv", "rtmpsrc.flv"].map(|name| folder.path().join(name));
    let ffmpeg = ffmpeg::play(&many.url("live", "main"), &by_ffmpeg)?;
    let player = Pipeline::new(&format!(
        "rtmpsrc location={} ! filesink location={}",
        few.url("live", "main"),
        utf8(&by_rtmpsrc)?
    ))?;
    player.play()?;
    wait_for_players(&relay, 2)?;
    let publisher = Pipeline::new(&publisher(&few.url("live", "main"), 2))?;
    let published = publisher.tap("sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    ffmpeg.succeed(LONG)?;

    let published = published.tags()?;
    assert_eq!(tags::frames(&tags::read(&by_rtmpsrc)?), tags::frames(&published));
    tags::write(&sent, &published)?;
    let sent = ffmpeg::frames(utf8(&sent)?, Form::Encoded)?;
    assert_eq!(sent.video.len(), PICTURES);
    assert_eq!(ffmpeg::frames(utf8(&by_ffmpeg)?, Form::Encoded)?, sent);
    Ok(())
}

#[test]
fn ffmpeg_publishes_through_a_proxy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    let sent = sample(&file)?;
    let relay = start()?;
    let proxy = Proxy::start(relay.address(), MANY)?;
    let player = Pipeline::new(&format!(
        "rtmpsrc location={} ! filesink location={}",
        proxy.url("live", "main"),
        utf8(&got)?
    ))?;
    player.play()?;
    wait_for_players(&relay, 1)?;
    publish(&file, &proxy.url("live", "main"), Pace::Unpaced)?.succeed(LONG)?;
    player.wait_for_eos()?;
    drop(player);
    assert_eq!(ffmpeg::frames(utf8(&got)?, Form::Encoded)?, sent);
    Ok(())
}

#[test]
fn one_port_serves_every_variant() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::new()?;
    let certificate = certificates.issue(Kind::Good)?;
    let relay = Relay::start(Options {
        tls: Some(Server::from_pem(
            certificate.certificate_pem.as_bytes(),
            certificate.key_pem.as_bytes(),
        )?),
        ..Options::default()
    })
    .context("starting the relay")?;
    let port = relay.address().port();
    let authority = certificates.authority();
    let authority = utf8(&authority)?;
    // The certificate is for that name.
    let location = |scheme: &str| format!("{scheme}://localhost:{port}/live/main");
    let file = |name: &str| folder.path().join(name);

    let schemes = ["rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpts", "rtmpte"];
    let mut players = Vec::new();
    for scheme in schemes {
        let player = Pipeline::new(&format!(
            "rtmpsrc location={} ca-file={authority} ! filesink location={}",
            location(scheme),
            utf8(&file(scheme))?
        ))?;
        player.play()?;
        players.push(player);
    }
    let ffmpeg = ffmpeg::play(&location("rtmpts"), &file("ffmpeg"))?;
    let rtmpdump = rtmpdump::play(&location("rtmpts"), rtmpdump::Stream::Live, &file("rtmpdump"))?;
    wait_for_players(&relay, schemes.len() + 2)?;
    let publisher = Pipeline::new(&publisher(
        &format!("{} ca-file={authority}", location("rtmpts")),
        2,
    ))?;
    let published = publisher.tap("sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    for player in &players {
        player.wait_for_eos()?;
    }
    drop(players);
    ffmpeg.succeed(LONG)?;
    rtmpdump.end(LONG)?;

    let published = published.tags()?;
    let expected = tags::frames(&published);
    for name in schemes.into_iter().chain(["rtmpdump"]) {
        assert_eq!(tags::frames(&tags::read(&file(name))?), expected, "{name}");
    }
    tags::write(&file("sent"), &published)?;
    let sent = ffmpeg::frames(utf8(&file("sent"))?, Form::Encoded)?;
    assert_eq!(ffmpeg::frames(utf8(&file("ffmpeg"))?, Form::Encoded)?, sent);

    // ffmpeg checks no certificate unless it is told to.
    let sent = sample(&file("sample.flv"))?;
    let player = Pipeline::new(&format!(
        "rtmpsrc location={} ca-file={authority} ! filesink location={}",
        location("rtmpts"),
        utf8(&file("again"))?
    ))?;
    player.play()?;
    wait_for_players(&relay, 1)?;
    publish(&file("sample.flv"), &location("rtmpts"), Pace::Unpaced)?.succeed(LONG)?;
    player.wait_for_eos()?;
    drop(player);
    assert_eq!(ffmpeg::frames(utf8(&file("again"))?, Form::Encoded)?, sent);
    Ok(())
}
