//! Logins with software that is not ours: FFmpeg and rtmp2sink compute the answers to our gate's challenges, rtmpdump
//! deciphers a token and writes connect arguments.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gstrtmp::session::Request;
use gstrtmp::session::login::{Credentials, Gate, Scheme};
use relay::{Options, Relay};
use support::ffmpeg::{self, Form, Pace, utf8};
use support::gstreamer::GStreamer;
use support::pipeline::Pipeline;
use support::process::Peer;
use support::refusal::{Act, Attempt, Side, server};
use support::script::text_argument;
use support::wait::LONG;
use support::{Context, Failure, Result};

/// A relay behind a gate, and how many connects the gate has let in.
struct Guarded {
    relay: Relay,
    admitted: Arc<AtomicUsize>,
}

impl Guarded {
    #[expect(clippy::disallowed_methods, reason = "a server lives in real time")]
    fn start(scheme: Scheme) -> Result<Self> {
        let account = Credentials::new("bob", "s3cret".into());
        let mut gate = Gate::new(scheme, account.into_iter().collect(), [3; 32]);
        let admitted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&admitted);
        let admit = move |request: &Request| match request {
            Request::Connect { application, .. } => {
                gate.check(Instant::now(), &application.to_str_lossy())?;
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            _ => Ok(()),
        };
        let relay = Relay::start(Options {
            admit: Box::new(admit),
            ..Options::default()
        })
        .context("starting the relay")?;
        Ok(Self { relay, admitted })
    }

    /// The URL of the stream, with a password that may be wrong.
    fn url(&self, password: &str) -> String {
        format!("rtmp://bob:{password}@{}/live/main", self.relay.address())
    }

    fn wait_for_players(&self, count: usize) -> Result<()> {
        self.relay
            .wait_for(LONG, |snapshot| snapshot.players("live/main").count() == count)?;
        Ok(())
    }

    fn admitted(&self) -> usize {
        self.admitted.load(Ordering::SeqCst)
    }
}

#[test]
fn ffmpeg_and_we_log_in_by_either_scheme_to_publish_and_to_play() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, by_ffmpeg, by_us] =
        ["sent.flv", "ffmpeg.flv", "ours.flv"].map(|name| folder.path().join(name));
    ffmpeg::encode_sample(&file, 1)?;
    let sent = ffmpeg::frames(utf8(&file)?, Form::Encoded)?;
    for scheme in [Scheme::Adobe, Scheme::Llnw] {
        for publisher in ["ffmpeg", "ours"] {
            let server = Guarded::start(scheme)?;
            let location = server.url("s3cret");
            let player = Pipeline::new(&format!(
                "rtmpsrc location={location} ! filesink location={}",
                utf8(&by_us)?
            ))?;
            player.play()?;
            let ffmpeg = ffmpeg::play(&location, &by_ffmpeg)?;
            server.wait_for_players(2)?;
            match publisher {
                "ffmpeg" => drop(ffmpeg::publish(&file, &location, Pace::Unpaced)?.succeed(LONG)?),
                _ => Pipeline::run(&format!(
                    "filesrc location={} ! rtmpsink location={location} sync=false",
                    utf8(&file)?
                ))?,
            }
            player.wait_for_eos()?;
            ffmpeg.succeed(LONG)?;
            assert_eq!(server.admitted(), 3, "{scheme} {publisher}");
            for got in [&by_us, &by_ffmpeg] {
                let got = ffmpeg::frames(utf8(got)?, Form::Encoded)?;
                assert_eq!(got, sent, "{scheme} {publisher}");
            }
        }
    }
    Ok(())
}

#[test]
fn ffmpeg_with_a_wrong_password_stays_outside() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sent.flv");
    ffmpeg::encode_sample(&file, 1)?;
    for scheme in [Scheme::Adobe, Scheme::Llnw] {
        let server = Guarded::start(scheme)?;
        let ended = ffmpeg::publish(&file, &server.url("wrong"), Pace::Unpaced)?.end(LONG)?;
        assert!(!ended.status.success());
        assert_eq!(server.admitted(), 0);
    }
    Ok(())
}

#[test]
fn rtmp2sink_logs_in() -> Result<()> {
    let gstreamer = GStreamer::without_plugin()?;
    for (password, admitted) in [("s3cret", 1), ("wrong", 0)] {
        let server = Guarded::start(Scheme::Adobe)?;
        let peer = gstreamer.launch(&format!(
            "audiotestsrc num-buffers=50 ! voaacenc ! flvmux streamable=true ! rtmp2sink location={}",
            server.url(password)
        ))?;
        let ended = peer.end(LONG)?;
        assert_eq!(ended.status.success(), password == "s3cret", "{}", ended.stderr);
        assert_eq!(server.admitted(), admitted);
    }
    Ok(())
}

fn rtmpdump(url: &str, arguments: &[&str]) -> Result<Peer> {
    let mut command = Command::new("rtmpdump");
    command
        .args(["--quiet", "--live", "--rtmp", url, "--flv", "/dev/null"])
        .args(arguments);
    Peer::spawn(&mut command, "rtmpdump")
}

#[test]
fn rtmpdump_answers_a_token_as_we_do() -> Result<()> {
    const TOKEN: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
    let by_us = {
        let server = server([Act::AcceptWith("secureToken", TOKEN)])?;
        let properties = [("secure-token", "#ed%h0#w@1")];
        let attempt = Attempt::begin(Side::Source, &server.url("live", "key"), &properties)?;
        server.wait_for_command("play")?;
        drop(attempt);
        server.join_one()?
    };
    let by_rtmpdump = {
        let server = server([Act::AcceptWith("secureToken", TOKEN)])?;
        let peer = rtmpdump(&server.url("live", "key"), &["-T", "#ed%h0#w@1"])?;
        server.wait_for_command("play")?;
        drop(peer);
        server.join_one()?
    };
    let ours = by_us.command("secureTokenResponse")?;
    assert!(text_argument(ours).is_some_and(|text| text.len() == 16));
    assert_eq!(
        ours.arguments,
        by_rtmpdump.command("secureTokenResponse")?.arguments
    );
    Ok(())
}

#[test]
fn rtmpdump_writes_connect_arguments_as_we_do() -> Result<()> {
    for arguments in [
        "B:1 S:authMe O:1 NN:code:1.23 NS:flag:ok O:0",
        "O:1 NO:in:1 NB:x:1 O:0 O:0 Z: N:7",
        "O:1 NO:in:0 NS:x:y",
        "S:a:b=c B:0 N:-2.5",
    ] {
        let mut told = Vec::new();
        for property in ["extra-connect-args", "connect-args", "conn"] {
            let server = server([Act::Accept])?;
            let url = server.url("live", "key");
            let attempt = match property {
                "conn" => {
                    let options = arguments.replace(' ', " conn=");
                    Attempt::begin(Side::Source, &format!("{url} conn={options}"), &[])?
                }
                property => Attempt::begin(Side::Source, &url, &[(property, arguments)])?,
            };
            server.wait_for_command("play")?;
            drop(attempt);
            told.push(server.join_one()?.command("connect")?.arguments.clone());
        }
        let server = server([Act::Accept])?;
        let options: Vec<&str> = arguments.split(' ').flat_map(|one| ["-C", one]).collect();
        let peer = rtmpdump(&server.url("live", "key"), &options)?;
        server.wait_for_command("play")?;
        drop(peer);
        told.push(server.join_one()?.command("connect")?.arguments.clone());
        let first = told.first().ok_or_else(|| Failure::new("nobody has connected"))?;
        assert!(!first.is_empty());
        for other in &told {
            assert_eq!(other, first, "{arguments}");
        }
    }
    Ok(())
}
