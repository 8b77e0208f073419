//! Every variant of RTMP over TCP, with and without a login, with clients of other makers at our server: ffmpeg publishes
//! and plays, rtmpdump plays and proves to know a SWF file. Our own client does the same beside them.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gstrtmp::session::Request;
use gstrtmp::session::login::{Credentials, Gate, Scheme};
use gstrtmp::swf::Identity;
use gstrtmp::transport::tls;
use relay::{Options, Relay};
use support::certificates::{Certificates, Kind};
use support::ffmpeg::{self, Client, Form, utf8};
use support::pipeline::{Pipeline, publisher};
use support::process::Peer;
use support::wait::LONG;
use support::{Context, Result, rtmpdump, tags};

/// All that this plugin has.
const SCHEMES: [&str; 6] = ["rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpts", "rtmpte"];

/// A SWF file of 24 bytes, and its hash.
const SWF: [u8; 24] = [
    0x46, 0x57, 0x53, 0x0a, 24, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];
const SWF_HASH: &str = "783752bdedd74343c34da22eb46317cb8f68b060ea87fa8bf5a6a12f084a626d";

/// The only chunk size with which FFmpeg (5.1 to 9.0) can publish over RTMPE. To any that is announced it answers with the
/// same message, which it enciphers in place, and takes what comes of that for the size.
const CHUNK_SIZE_FOR_FFMPEG: u32 = 128;

/// A server of every variant on one port.
struct Server<'a> {
    relay: Relay,
    certificates: &'a Certificates,
}

impl<'a> Server<'a> {
    fn start(certificates: &'a Certificates, options: Options) -> Result<Self> {
        let certificate = certificates.issue(Kind::Good)?;
        let tls = tls::Server::from_pem(
            certificate.certificate_pem.as_bytes(),
            certificate.key_pem.as_bytes(),
        )?;
        let options = Options {
            tls: Some(tls),
            ..options
        };
        let relay = Relay::start(options).context("starting the relay")?;
        Ok(Self { relay, certificates })
    }

    /// The stream by a scheme, with a login if `user` is one.
    fn url(&self, scheme: &str, user: &str) -> String {
        format!("{scheme}://{user}{}/live/main", self.relay.address())
    }

    /// `rtmpsrc` at a URL, into a file.
    fn player(&self, url: &str, file: &Path) -> Result<Pipeline> {
        Pipeline::new(&format!(
            "rtmpsrc location={url} ca-file={} ! filesink location={}",
            utf8(&self.certificates.authority())?,
            utf8(file)?
        ))
    }

    /// A file to `rtmpsink` at a URL.
    fn publish(&self, file: &Path, url: &str) -> Result<()> {
        Pipeline::run(&format!(
            "filesrc location={} ! rtmpsink location={url} ca-file={} sync=false",
            utf8(file)?,
            utf8(&self.certificates.authority())?
        ))
    }

    /// Waits for `count` players, of which one is `peer`.
    fn wait_for_players(&self, count: usize, peer: &Peer) -> Result<()> {
        self.relay
            .wait_for(LONG, |snapshot| snapshot.players("live/main").count() == count)
            .context(peer.stderr())?;
        Ok(())
    }
}

/// Lets in who knows the password, and counts whom it has let in.
#[expect(clippy::disallowed_methods, reason = "a server lives in real time")]
fn guarded(scheme: Scheme, admitted: &Arc<AtomicUsize>) -> Options {
    let account = Credentials::new("bob", "s3cret".into());
    let mut gate = Gate::new(scheme, account.into_iter().collect(), [3; 32]);
    let admitted = Arc::clone(admitted);
    let admit = move |request: &Request| match request {
        Request::Connect { application, .. } => {
            gate.check(Instant::now(), &application.to_str_lossy())?;
            admitted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        _ => Ok(()),
    };
    Options {
        admit: Box::new(admit),
        ..Options::default()
    }
}

/// ffmpeg and we publish and play, by all variants that ffmpeg was built with.
fn ffmpeg_and_we_publish_and_play(login: Option<Scheme>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [file, by_ffmpeg, by_us] =
        ["sent.flv", "ffmpeg.flv", "ours.flv"].map(|name| folder.path().join(name));
    ffmpeg::encode_sample(&file, 1)?;
    let sent = ffmpeg::frames(utf8(&file)?, Form::Encoded)?;
    let certificates = Certificates::new()?;
    let (system, current) = (Client::system()?, Client::current(&certificates.authority())?);
    assert!(
        ["rtmp", "rtmps", "rtmpt", "rtmpts"]
            .iter()
            .all(|scheme| system.schemes().contains(scheme))
    );
    assert_eq!(current.schemes(), ["rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpte"]);
    for client in [system, current] {
        for scheme in client.schemes() {
            for publisher in ["ffmpeg", "rtmpsink"] {
                let admitted = Arc::default();
                let mut options = login.map_or_else(Options::default, |login| guarded(login, &admitted));
                if scheme.ends_with('e') {
                    options.chunk_size = CHUNK_SIZE_FOR_FFMPEG;
                }
                let server = Server::start(&certificates, options)?;
                let url = server.url(scheme, login.map_or("", |_| "bob:s3cret@"));
                let case = format!("{client:?} {scheme} {login:?} {publisher}");
                let player = server.player(&url, &by_us)?;
                player.play()?;
                let ffmpeg = client.play(&url, &by_ffmpeg)?;
                server.wait_for_players(2, &ffmpeg).context(&case)?;
                match publisher {
                    "ffmpeg" => drop(client.publish(&file, &url)?.succeed(LONG).context(&case)?),
                    _ => server.publish(&file, &url).context(&case)?,
                }
                player.wait_for_eos().context(&case)?;
                ffmpeg.succeed(LONG).context(&case)?;
                for got in [&by_us, &by_ffmpeg] {
                    assert_eq!(ffmpeg::frames(utf8(got)?, Form::Encoded)?, sent, "{case}");
                }
                assert_eq!(
                    admitted.load(Ordering::SeqCst),
                    if login.is_some() { 3 } else { 0 },
                    "{case}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn ffmpeg_and_we_publish_and_play_by_every_variant() -> Result<()> {
    ffmpeg_and_we_publish_and_play(None)
}

#[test]
fn ffmpeg_and_we_log_in_by_adobe_in_every_variant() -> Result<()> {
    ffmpeg_and_we_publish_and_play(Some(Scheme::Adobe))
}

#[test]
fn ffmpeg_and_we_log_in_by_llnw_in_every_variant() -> Result<()> {
    ffmpeg_and_we_publish_and_play(Some(Scheme::Llnw))
}

#[test]
fn rtmpdump_ffmpeg_and_we_prove_to_know_the_swf_file_in_every_variant() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::new()?;
    let ffmpeg = Client::current(&certificates.authority())?;
    for scheme in SCHEMES {
        let [by_rtmpdump, by_ffmpeg, by_us, sent] =
            ["rtmpdump", "ffmpeg", "ours", "sent"].map(|name| folder.path().join(name));
        let options = Options {
            swf: Some(Identity::of_file(&SWF)?),
            ..Options::default()
        };
        let server = Server::start(&certificates, options)?;
        let url = server.url(scheme, "");
        let proof = ["--swfhash", SWF_HASH, "--swfsize", "24"];
        let rtmpdump = rtmpdump::play_with(&url, rtmpdump::Stream::Live, &by_rtmpdump, &proof)?;
        let known = format!("\"{url} swfVfy=1\" swf-hash={SWF_HASH} swf-size=24");
        let player = server.player(&known, &by_us)?;
        player.play()?;
        let players: Vec<Peer> = ffmpeg
            .schemes()
            .contains(&scheme)
            .then(|| {
                ffmpeg.play_with(
                    &url,
                    &by_ffmpeg,
                    &["-rtmp_swfhash", SWF_HASH, "-rtmp_swfsize", "24"],
                )
            })
            .into_iter()
            .collect::<Result<_>>()?;
        server
            .wait_for_players(2 + players.len(), &rtmpdump)
            .context(scheme)?;
        let authority = certificates.authority();
        let publisher = Pipeline::new(&publisher(&format!("{url} ca-file={}", utf8(&authority)?), 2))?;
        let published = publisher.tap("sink")?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        player.wait_for_eos()?;
        rtmpdump.end(LONG)?;
        let published = published.tags()?;
        for got in [&by_rtmpdump, &by_us] {
            assert_eq!(
                tags::frames(&tags::read(got)?),
                tags::frames(&published),
                "{scheme}"
            );
        }
        tags::write(&sent, &published)?;
        for player in players {
            player.succeed(LONG).context(scheme)?;
            let [got, sent] = [&by_ffmpeg, &sent].map(|file| ffmpeg::frames(utf8(file)?, Form::Encoded));
            assert_eq!(got?, sent?, "{scheme}");
        }
    }
    Ok(())
}
