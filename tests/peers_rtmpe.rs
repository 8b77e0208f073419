//! RTMPE and SWF verification with rtmpdump, and between the elements, through the embedded server.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::fs;

use gstrtmp::handshake::SignatureCipher;
use gstrtmp::swf::Identity;
use relay::{Options, Relay};
use support::ffmpeg::utf8;
use support::pipeline::{Pipeline, publisher};
use support::wait::LONG;
use support::{Context, Result, rtmpdump, tags};

const TYPES: [SignatureCipher; 3] = [
    SignatureCipher::None,
    SignatureCipher::Xtea,
    SignatureCipher::Blowfish,
];

/// A SWF file of 24 bytes, and its hash.
const SWF: [u8; 24] = [
    0x46, 0x57, 0x53, 0x0a, 24, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];
const SWF_HASH: &str = "783752bdedd74343c34da22eb46317cb8f68b060ea87fa8bf5a6a12f084a626d";

fn start(options: Options) -> Result<Relay> {
    Relay::start(options).context("starting the relay")
}

/// The relay's stream under another scheme.
fn location(relay: &Relay, scheme: &str) -> String {
    relay.url("live", "main").replacen("rtmp", scheme, 1)
}

fn wait_for_players(relay: &Relay, n: usize) -> Result<()> {
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == n)?;
    Ok(())
}

#[test]
fn what_rtmpsink_publishes_over_rtmpe_rtmpdump_and_rtmpsrc_play() -> Result<()> {
    for rtmpe in TYPES {
        let folder = tempfile::tempdir()?;
        let [enciphered, clear] = ["rtmpe.flv", "rtmp.flv"].map(|name| folder.path().join(name));
        let relay = start(Options {
            rtmpe,
            ..Options::default()
        })?;
        let location = location(&relay, "rtmpe");
        let by_rtmpdump = rtmpdump::play(&location, rtmpdump::Stream::Live, &enciphered)?;
        // In the clear, to see that the relay has the same for everybody.
        let in_clear = rtmpdump::play(&relay.url("live", "main"), rtmpdump::Stream::Live, &clear)?;
        let player = Pipeline::new(&format!(
            "rtmpsrc location={location} ! fakesink name=out sync=false"
        ))?;
        let played = player.tap("out")?;
        player.play()?;
        wait_for_players(&relay, 3)?;
        let publisher = Pipeline::new(&publisher(&location, 2))?;
        let published = publisher.tap("sink")?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        player.wait_for_eos()?;
        by_rtmpdump.end(LONG)?;
        in_clear.end(LONG)?;
        let expected = tags::frames(&published.tags()?);
        assert!(expected.len() > 100, "{} frames", expected.len());
        assert_eq!(tags::frames(&tags::read(&enciphered)?), expected, "{rtmpe:?}");
        assert_eq!(tags::frames(&tags::read(&clear)?), expected, "{rtmpe:?}");
        assert_eq!(tags::frames(&played.tags()?), expected, "{rtmpe:?}");
    }
    Ok(())
}

#[test]
fn rtmpsrc_says_when_a_server_does_not_do_rtmpe() -> Result<()> {
    // It takes RTMPE for a version of RTMP that it does not know, and closes the connection.
    let nginx = support::nginx::Nginx::start()?;
    let location = nginx
        .url(support::nginx::Application::Live, "main")
        .replacen("rtmp", "rtmpe", 1);
    let player = Pipeline::new(&format!("rtmpsrc location={location} ! fakesink"))?;
    player.play()?;
    let error = player.wait_for_error()?.to_string();
    assert!(
        error.ends_with("closed the connection during the handshake of RTMPE. Does it do RTMPE?"),
        "{error}"
    );
    Ok(())
}

/// A relay that asks players for [`SWF`].
fn verifying() -> Result<Relay> {
    start(Options {
        swf: Some(Identity::of_file(&SWF)?),
        ..Options::default()
    })
}

#[test]
fn rtmpdump_proves_to_know_the_swf_file() -> Result<()> {
    for scheme in ["rtmp", "rtmpe"] {
        let folder = tempfile::tempdir()?;
        let [right, wrong] = ["right.flv", "wrong.flv"].map(|name| folder.path().join(name));
        let relay = verifying()?;
        let location = location(&relay, scheme);
        let live = rtmpdump::Stream::Live;
        let proving = rtmpdump::play_with(
            &location,
            live,
            &right,
            &["--swfhash", SWF_HASH, "--swfsize", "24"],
        )?;
        wait_for_players(&relay, 1)?;
        // One byte more makes it another file.
        let lying = rtmpdump::play_with(
            &location,
            live,
            &wrong,
            &["--swfhash", SWF_HASH, "--swfsize", "25"],
        )?;
        relay.wait_for(LONG, |snapshot| {
            snapshot.gone.iter().any(|gone| {
                matches!(&gone.reason, relay::Reason::Refused(code) if code == "NetConnection.Connect.Rejected")
            })
        })?;
        drop(lying);
        let publisher = Pipeline::new(&publisher(&location, 0))?;
        let published = publisher.tap("sink")?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        proving.end(LONG)?;
        let expected = tags::frames(&published.tags()?);
        assert_eq!(tags::frames(&tags::read(&right)?), expected, "{scheme}");
    }
    Ok(())
}

#[test]
fn rtmpsrc_proves_to_know_the_swf_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("player.swf");
    fs::write(&file, SWF)?;
    let by_file = format!("swf-file={}", utf8(&file)?);
    let by_hash = format!("swf-hash={SWF_HASH} swf-size=24");
    for (scheme, properties) in [("rtmp", &by_file), ("rtmp", &by_hash), ("rtmpe", &by_file)] {
        let relay = verifying()?;
        let location = location(&relay, scheme);
        let player = Pipeline::new(&format!(
            "rtmpsrc location=\"{location} swfVfy=1\" {properties} ! fakesink name=out sync=false"
        ))?;
        let played = player.tap("out")?;
        player.play()?;
        wait_for_players(&relay, 1)?;
        let publisher = Pipeline::new(&publisher(&location, 0))?;
        let published = publisher.tap("sink")?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        player.wait_for_eos()?;
        assert_eq!(tags::frames(&played.tags()?), tags::frames(&published.tags()?));
    }
    Ok(())
}

#[test]
fn rtmpsrc_is_refused_with_another_swf_file_or_none() -> Result<()> {
    let relay = verifying()?;
    let location = relay.url("live", "main");
    for (properties, words) in [
        ("", "SWF verification comes first"),
        (
            &*format!("swf-hash={SWF_HASH} swf-size=25"),
            "SWF verification failed",
        ),
    ] {
        let player = Pipeline::new(&format!("rtmpsrc location={location} {properties} ! fakesink"))?;
        player.play()?;
        let error = player.wait_for_error()?.to_string();
        assert!(error.contains(words), "{error}");
    }
    Ok(())
}
