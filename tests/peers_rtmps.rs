//! RTMPS with the programs of others: nginx's stream module and stunnel do TLS for nginx-rtmp, and ffmpeg, rtmpdump and
//! GStreamer's own elements come to our server.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use gstrtmp::transport::tls::Server;

use relay::{Options, Relay};
use support::certificates::{Certificates, Kind};
use support::ffmpeg::{self, Form, utf8};
use support::gstreamer::GStreamer;
use support::nginx::{Application, Nginx};
use support::pipeline::{PICTURES, Pipeline, publisher};
use support::terminator::{Program, Terminator};
use support::wait::LONG;
use support::{Context, Failure, Result, rtmpdump, tags};

#[test]
fn what_goes_through_other_peoples_tls_comes_out_the_same() -> Result<()> {
    let certificates = Certificates::new()?;
    let certificate = certificates.issue(Kind::Good)?;
    let nginx = Nginx::start()?;
    for program in [
        Program::Nginx("TLSv1.2"),
        Program::Nginx("TLSv1.3"),
        Program::Stunnel,
    ] {
        let terminator = Terminator::start(program, &certificate, nginx.port())?;
        let location = format!(
            "{} ca-file={}",
            terminator.url("notify/main"),
            utf8(&certificates.authority())?
        );
        let player = Pipeline::new(&format!(
            "rtmpsrc location={location} ! fakesink name=out sync=false"
        ))?;
        let played = player.tap("out")?;
        player.play()?;
        nginx.wait_for_clients(Application::Notify, "main", 1, LONG)?;
        let publisher = Pipeline::new(&publisher(&location, 2))?;
        let published = publisher.tap("sink")?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        player.wait_for_eos()?;
        let published = tags::frames(&published.tags()?);
        assert!(published.len() > PICTURES);
        assert_eq!(tags::frames(&played.tags()?), published, "{program:?}");
        drop((player, publisher));
        nginx.wait_for_clients(Application::Notify, "main", 0, LONG)?;
    }
    Ok(())
}

#[test]
fn bad_certificates_of_other_servers_are_refused() -> Result<()> {
    let certificates = Certificates::new()?;
    let nginx = Nginx::start()?;
    for (kind, sentence) in [
        (Kind::Stranger, "No authority that is trusted vouches for"),
        (Kind::SelfSigned, "vouches for its certificate"),
        (Kind::Expired, "has expired"),
        (Kind::Early, "is not valid yet"),
        (Kind::WrongHost, "is for example.com, not for 127.0.0.1"),
    ] {
        let certificate = certificates.issue(kind)?;
        for program in [Program::Nginx("TLSv1.2 TLSv1.3"), Program::Stunnel] {
            let terminator = Terminator::start(program, &certificate, nginx.port())?;
            let location = terminator.url("live/main");
            let pipeline = Pipeline::new(&format!(
                "rtmpsrc location={location} ca-file={} ! fakesink",
                utf8(&certificates.authority())?
            ))?;
            pipeline.play()?;
            let error = pipeline.wait_for_error()?;
            assert_eq!(error.kind(), Some(gst::ResourceError::OpenRead), "{error}");
            assert!(
                error.message().contains(sentence),
                "{program:?}, {kind:?}: {error}"
            );
        }
    }
    assert_eq!(nginx.clients(Application::Live, "main")?, 0);
    Ok(())
}

/// A relay with a good certificate, and its URL by the name that the certificate has.
fn start(certificates: &Certificates) -> Result<(Relay, String)> {
    let certificate = certificates.issue(Kind::Good)?;
    let tls = Server::from_pem(
        certificate.certificate_pem.as_bytes(),
        certificate.key_pem.as_bytes(),
    )?;
    let relay = Relay::start(Options {
        tls: Some(tls),
        ..Options::default()
    })
    .context("starting the relay")?;
    let location = format!("rtmps://localhost:{}/live/main", relay.address().port());
    Ok((relay, location))
}

#[test]
fn everybody_gets_from_our_server_by_rtmps_what_rtmpsink_publishes() -> Result<()> {
    let certificates = Certificates::new()?;
    let authority = certificates.authority();
    let (relay, location) = start(&certificates)?;
    let folder = tempfile::tempdir()?;
    let [sent, by_ffmpeg, by_rtmpdump, by_rtmp2src] =
        ["sent", "ffmpeg", "rtmpdump", "rtmp2src"].map(|name| folder.path().join(name));
    let verify = ["-tls_verify", "1", "-ca_file", utf8(&authority)?];
    let ffmpeg = ffmpeg::spawn(verify.into_iter().chain([
        "-copyts",
        "-i",
        &location,
        "-c",
        "copy",
        "-f",
        "flv",
        utf8(&by_ffmpeg)?,
    ]))?;
    let rtmpdump = rtmpdump::play(&location, rtmpdump::Stream::Live, &by_rtmpdump)?;
    let gstreamer = GStreamer::without_plugin()?;
    let rtmp2src = gstreamer.launch(&format!(
        "rtmp2src tls-validation-flags=no-flags location={location} ! filesink location={}",
        utf8(&by_rtmp2src)?
    ))?;
    relay
        .wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 3)
        .map_err(|overdue| {
            Failure::new(format!(
                "{overdue:?}: {} {} {}",
                ffmpeg.stderr(),
                rtmpdump.stderr(),
                rtmp2src.stderr()
            ))
        })?;
    let publisher = Pipeline::new(&publisher(
        &format!("{location} ca-file={}", utf8(&authority)?),
        2,
    ))?;
    let published = publisher.tap("sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    ffmpeg.succeed(LONG)?;
    rtmpdump.end(LONG)?;
    rtmp2src.succeed(LONG)?;

    let expected = tags::frames(&published.tags()?);
    assert_eq!(tags::frames(&tags::read(&by_rtmpdump)?), expected);
    // rtmp2src 1.22 forgets the message that it has in hand when the stream ends.
    let got = tags::frames(&tags::read(&by_rtmp2src)?);
    assert!(
        expected.starts_with(&got) && got.len() + 1 >= expected.len(),
        "{} of {}",
        got.len(),
        expected.len()
    );
    tags::write(&sent, &published.tags()?)?;
    let sent = ffmpeg::frames(utf8(&sent)?, Form::Encoded)?;
    assert_eq!(sent.video.len(), PICTURES);
    assert_eq!(ffmpeg::frames(utf8(&by_ffmpeg)?, Form::Encoded)?, sent);
    Ok(())
}

#[test]
fn rtmpsrc_gets_what_everybody_publishes_to_our_server_by_rtmps() -> Result<()> {
    let certificates = Certificates::new()?;
    let authority = certificates.authority();
    let folder = tempfile::tempdir()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    ffmpeg::encode_sample(&file, 2)?;
    let sent = ffmpeg::frames(utf8(&file)?, Form::Encoded)?;
    let gstreamer = GStreamer::without_plugin()?;
    for peer in ["ffmpeg", "rtmp2sink"] {
        let (relay, location) = start(&certificates)?;
        let player = Pipeline::new(&format!(
            "rtmpsrc location={location} ca-file={} ! filesink location={}",
            utf8(&authority)?,
            utf8(&got)?
        ))?;
        player.play()?;
        relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
        match peer {
            "ffmpeg" => {
                let publisher = ffmpeg::spawn([
                    "-copyts",
                    "-i",
                    utf8(&file)?,
                    "-c",
                    "copy",
                    "-f",
                    "flv",
                    "-tls_verify",
                    "1",
                    "-ca_file",
                    utf8(&authority)?,
                    &location,
                ])?;
                publisher.succeed(LONG)?;
            }
            sink => {
                let publisher = gstreamer.launch(&format!(
                    "filesrc location={} ! flvdemux name=demux flvmux name=mux streamable=true \
                     ! {sink} tls-validation-flags=no-flags location={location} \
                     demux.video ! queue ! mux.video demux.audio ! queue ! mux.audio",
                    utf8(&file)?
                ))?;
                publisher.succeed(LONG)?;
            }
        }
        player.wait_for_eos()?;
        drop(player);
        let got = ffmpeg::frames(utf8(&got)?, Form::Encoded)?;
        assert_eq!(
            (got.video_md5(), got.audio_md5()),
            (sent.video_md5(), sent.audio_md5()),
            "{peer}"
        );
        if peer == "ffmpeg" {
            assert_eq!(got, sent);
        }
    }
    Ok(())
}

#[test]
fn ffmpeg_and_rtmp2src_refuse_our_server_where_they_do_not_know_its_authority() -> Result<()> {
    let certificates = Certificates::new()?;
    let (relay, location) = start(&certificates)?;
    let ffmpeg = ffmpeg::spawn(["-tls_verify", "1", "-i", &location, "-f", "null", "-"])?;
    assert!(!ffmpeg.end(LONG)?.status.success());
    let gstreamer = GStreamer::without_plugin()?;
    let rtmp2src = gstreamer.launch(&format!("rtmp2src location={location} ! fakesink"))?;
    let ended = rtmp2src.end(LONG)?;
    assert!(
        !ended.status.success() && ended.stderr.contains("Unacceptable TLS certificate"),
        "{}",
        ended.stderr
    );
    // Whoever has not got past TLS is no client, and has said nothing of RTMP.
    let snapshot = relay.snapshot();
    assert!(
        snapshot.clients.is_empty() && snapshot.gone.is_empty(),
        "{snapshot:?}"
    );
    Ok(())
}
