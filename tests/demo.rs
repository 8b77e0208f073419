//! What `scripts/demo` runs: the example `demo`, with its server, or without one.

mod support;

use std::env;
use std::path::{Path, PathBuf};

use support::gstreamer::GStreamer;
use support::process::Peer;
use support::{Failure, Result, wait};

/// The examples, which cargo builds before the integration tests.
fn program() -> Result<PathBuf> {
    let test = env::current_exe()?;
    test.parent()
        .and_then(Path::parent)
        .map(|target| target.join("examples/demo"))
        .filter(|program| program.exists() && program.with_file_name("rtmp_server").exists())
        .ok_or(Failure::new(
            "the examples are missing: run `cargo build --examples`",
        ))
}

/// Starts the demo in `folder`.
fn start(gstreamer: &GStreamer, folder: &Path, arguments: &[&str]) -> Result<Peer> {
    let mut command = gstreamer.command(program()?);
    Peer::spawn(command.current_dir(folder).args(arguments), "this crate")
}

#[test]
fn every_frame_comes_back_and_one_is_left_as_a_picture() -> Result<()> {
    let (gstreamer, folder) = (GStreamer::new()?, tempfile::tempdir()?);
    let demo = start(&gstreamer, folder.path(), &["--seconds", "2"])?;
    let ended = demo.succeed(wait::LONG)?;
    let report = String::from_utf8(ended.stdout)?;
    let value = |name: &str| -> Result<&str> {
        let value = report.lines().find_map(|line| line.strip_prefix(name));
        let missing = || Failure::new(format!("no {name} in the report:\n{report}"));
        value.map(str::trim).ok_or_else(missing)
    };
    assert!(
        value("frames missing")?.starts_with("0 (of number 0 to "),
        "{report}"
    );
    assert_eq!(value("end of the stream")?, "told to the player");
    let frames: Vec<u32> = value("video frames")?
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    assert!(frames.len() == 2 && frames[0] == frames[1], "{report}");
    assert!(frames[0] >= 60, "{report}");
    let picture = std::fs::read(folder.path().join(value("snapshot")?))?;
    assert!(picture.starts_with(b"\x89PNG\r\n"));
    Ok(())
}

#[test]
fn a_server_that_is_not_there_is_named_and_the_key_is_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let location = "rtmp://127.0.0.1:1/live/a-secret-key?token=b-secret-token";
    let ended = start(&GStreamer::new()?, folder.path(), &[location])?.end(wait::LONG)?;
    let stdout = String::from_utf8(ended.stdout)?;
    assert!(!ended.status.success());
    assert!(stdout.contains("rtmp://127.0.0.1:1/live/***"), "{stdout}");
    assert!(
        ended
            .stderr
            .contains("demo: rtmpsink: 127.0.0.1:1 refused the connection."),
        "{}",
        ended.stderr
    );
    assert!(!format!("{stdout}{}", ended.stderr).contains("secret"));
    Ok(())
}

#[test]
fn another_plugin_of_the_name_is_not_taken_for_this_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ended = start(&GStreamer::without_plugin()?, folder.path(), &[])?.end(wait::LONG)?;
    assert!(!ended.status.success());
    assert!(
        ended.stderr.contains("rtmpsink is that of") && ended.stderr.contains("set GST_PLUGIN_PATH"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[test]
fn an_interrupted_demo_reports_and_says_so() -> Result<()> {
    let (gstreamer, folder) = (GStreamer::new()?, tempfile::tempdir()?);
    let demo = start(&gstreamer, folder.path(), &["--seconds", "60"])?;
    demo.wait_for(" frames ", wait::LONG)?;
    demo.interrupt()?;
    let ended = demo.end(wait::LONG)?;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.ends_with("demo: interrupted\n"), "{}", ended.stderr);
    assert!(String::from_utf8(ended.stdout)?.contains("frames missing          0 "));
    Ok(())
}
