//! The recordings of the embedded server, played by ffmpeg and rtmpdump: as a whole, from a position, and up to one.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::path::Path;
use std::process::Command;

use relay::{Options, Relay};
use support::ffmpeg::{self, utf8};
use support::pipeline::Pipeline;
use support::process::Peer;
use support::tags::{self, Tag};
use support::wait::LONG;
use support::{Context, Result};

/// Seconds of the recording; there is a key frame in each.
const LENGTH: u32 = 4;

/// A server with the recording `film`.
fn cinema(folder: &Path) -> Result<(Relay, Vec<Tag>)> {
    let file = folder.join("film.flv");
    ffmpeg::encode_sample(&file, LENGTH)?;
    let relay = Relay::start(Options {
        vod: Some(folder.to_owned()),
        ..Options::default()
    })
    .context("starting the relay")?;
    Ok((relay, tags::frames(&tags::read(&file)?)))
}

/// The frames from the last key frame that is not behind a time.
fn from(frames: &[Tag], millis: u32) -> &[Tag] {
    let is_entry = |tag: &Tag| tag.body.first() == Some(&0x17) && tag.timestamp <= millis;
    let at = frames.iter().rposition(is_entry).unwrap_or_default();
    frames.get(at..).unwrap_or_default()
}

fn bodies(frames: &[Tag]) -> Vec<&[u8]> {
    frames.iter().map(|tag| &tag.body[..]).collect()
}

#[test]
fn ffmpeg_plays_a_recording_from_its_begin_and_from_a_position() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (relay, frames) = cinema(folder.path())?;
    let location = relay.url("vod", "film");
    for (seek, expected) in [(None, &frames[..]), (Some("2.2"), from(&frames, 2200))] {
        let got = folder.path().join("got.flv");
        let seek = seek.map(|at| ["-noaccurate_seek", "-ss", at]);
        let arguments = ["-copyts", "-i", &location, "-c", "copy", "-f", "flv", utf8(&got)?];
        ffmpeg::run(seek.into_iter().flatten().chain(arguments))?;
        let got = tags::frames(&tags::read(&got)?);
        // It reads some of the begin to know the codecs, and asks to go on from there.
        let (got, expected) = (bodies(&got), bodies(expected));
        assert!(
            got.ends_with(&expected),
            "{} of {} frames",
            got.len(),
            expected.len()
        );
        assert!(seek.is_none() || got.len() < frames.len(), "{} frames", got.len());
    }
    Ok(())
}

#[test]
fn rtmpdump_plays_a_recording_from_a_position_up_to_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (relay, frames) = cinema(folder.path())?;
    let location = relay.url("vod", "film");
    let got = folder.path().join("got.flv");
    let mut command = Command::new("rtmpdump");
    command.args([
        "--quiet", "--rtmp", &location, "--start", "1", "--stop", "3", "--flv",
    ]);
    // Its exit status tells what it thinks is missing.
    Peer::spawn(command.arg(&got), "rtmpdump")?.end(LONG)?;
    let got = tags::frames(&tags::read(&got)?);
    let until = |millis: u32| frames.iter().filter(move |tag| tag.timestamp < millis);
    let expected: Vec<&[u8]> = until(3000).map(|tag| &tag.body[..]).collect();
    let expected = expected
        .get(frames.len() - from(&frames, 1000).len()..)
        .unwrap_or_default();
    assert_eq!(bodies(&got), expected);
    Ok(())
}

#[test]
fn rtmpsrc_plays_a_recording_as_rtmpdump_does() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (relay, frames) = cinema(folder.path())?;
    let got = folder.path().join("got.flv");
    for (options, expected) in [("", &frames[..]), (" start=2500", from(&frames, 2500))] {
        let location = relay.url("vod", "film");
        Pipeline::run(&format!(
            "rtmpsrc is-live=false location=\"{location}{options}\" ! filesink location={}",
            utf8(&got)?
        ))?;
        assert_eq!(tags::frames(&tags::read(&got)?), expected, "{options}");
    }
    Ok(())
}
