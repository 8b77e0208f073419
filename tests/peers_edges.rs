//! Streams at the edges of what RTMP can express, through nginx: extended timestamps, times that wrap, composition
//! times below zero, large and tiny messages in chunks of any size.

mod support;

use bytes::Bytes;
use gstrtmp::flv::TagKind;
use support::ffmpeg::{self, Form, utf8};
use support::nginx::{Application, Nginx};
use support::pipeline::Pipeline;
use support::tags::{self, Tag};
use support::wait::LONG;
use support::{Result, rtmpdump};

/// From here on chunk headers carry a timestamp in 32 bits of its own.
const EXTENDED: u32 = 0xFF_FFFF;

/// A stream as `rtmpsrc` and rtmpdump play it.
struct Played {
    by_rtmpsrc: Vec<Tag>,
    by_rtmpdump: Vec<Tag>,
    /// Decoding times of rtmpsrc's buffers that are no headers, in milliseconds.
    times: Vec<Option<u64>>,
}

/// Publishes `sent` with the sink's `properties`, and plays it.
fn publish(nginx: &Nginx, sent: &[Tag], properties: &str) -> Result<Played> {
    let folder = tempfile::tempdir()?;
    let [file, dumped] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    tags::write(&file, sent)?;
    let location = nginx.url(Application::Notify, "main");
    let player = Pipeline::new(&format!(
        "rtmpsrc location={location} timeout=30 ! fakesink name=out sync=false"
    ))?;
    let tap = player.tap("out")?;
    let rtmpdump = rtmpdump::play(&location, rtmpdump::Stream::Live, &dumped)?;
    player.play()?;
    nginx.wait_for_clients(Application::Notify, "main", 2, LONG)?;
    Pipeline::run(&format!(
        "filesrc location={} blocksize=65535 ! rtmpsink location={location} sync=false {properties}",
        utf8(&file)?
    ))?;
    player.wait_for_eos()?;
    rtmpdump.end(LONG)?;
    drop(player);
    nginx.wait_for_clients(Application::Notify, "main", 0, LONG)?;
    Ok(Played {
        times: tap.times(),
        by_rtmpsrc: tags::frames(&tap.tags()?),
        by_rtmpdump: tags::frames(&tags::read(&dumped)?),
    })
}

/// A second of pictures and sound.
fn sample() -> Result<Vec<Tag>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sample.flv");
    ffmpeg::encode_sample(&file, 1)?;
    tags::read(&file)
}

fn shift(tags: &mut [Tag], by: u32) {
    for tag in tags {
        tag.timestamp = tag.timestamp.wrapping_add(by);
    }
}

#[test]
fn timestamps_go_through_every_boundary() -> Result<()> {
    let nginx = Nginx::start()?;
    for boundary in [EXTENDED, 1 << 31, 0] {
        let mut sent = sample()?;
        shift(&mut sent, boundary.wrapping_sub(500));
        let played = publish(&nginx, &sent, "")?;
        let mut expected = tags::frames(&sent);
        let first = expected[0].timestamp;
        let boundary = format!("from {first} on");
        assert_eq!(played.by_rtmpdump, expected, "{boundary}");
        // Where FLV would run out of bits, rtmpsrc starts at 0; otherwise it keeps the times.
        let start = if first < 1 << 31 { first } else { 0 };
        shift(&mut expected, start.wrapping_sub(first));
        assert_eq!(played.by_rtmpsrc, expected, "{boundary}");
        let times: Vec<_> = expected.iter().map(|tag| Some(tag.timestamp.into())).collect();
        // Behind the last frame comes ffmpeg's end of sequence.
        assert!(played.times.starts_with(&times), "{boundary}: {:?}", played.times);
    }
    Ok(())
}

#[test]
fn ffmpeg_publishes_extended_timestamps() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sent.flv");
    ffmpeg::encode_sample(&file, 1)?;
    let mut sent = tags::read(&file)?;
    shift(&mut sent, EXTENDED - 500);
    let location = nginx.url(Application::Live, "main");
    let player = Pipeline::new(&format!(
        "rtmpsrc location={location} ! fakesink name=out sync=false"
    ))?;
    let tap = player.tap("out")?;
    player.play()?;
    player.wait_for_status("NetStream.Play.Start")?;
    let offset = format!("{}ms", EXTENDED - 500);
    ffmpeg::run([
        "-copyts",
        "-i",
        utf8(&file)?,
        "-c",
        "copy",
        "-output_ts_offset",
        &offset,
        "-f",
        "flv",
        &location,
    ])?;
    player.wait_for_eos()?;
    assert_eq!(tags::frames(&tap.tags()?), tags::frames(&sent));
    Ok(())
}

#[test]
fn ffmpeg_plays_extended_timestamps() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let [file, got] = ["sent.flv", "got.flv"].map(|name| folder.path().join(name));
    let mut sent = sample()?;
    shift(&mut sent, EXTENDED - 500);
    tags::write(&file, &sent)?;
    let location = nginx.url(Application::Notify, "main");
    let ffmpeg = ffmpeg::spawn(["-copyts", "-i", &location, "-c", "copy", "-f", "flv", utf8(&got)?])?;
    nginx.wait_for_clients(Application::Notify, "main", 1, LONG)?;
    Pipeline::run(&format!(
        "filesrc location={} ! rtmpsink location={location} sync=false",
        utf8(&file)?
    ))?;
    ffmpeg.succeed(LONG)?;
    let [sent, got] =
        [&file, &got].map(|file| utf8(file).and_then(|file| ffmpeg::frames(file, Form::Encoded)));
    assert_eq!(got?, sent?);
    Ok(())
}

#[test]
fn composition_times_may_be_negative() -> Result<()> {
    let nginx = Nginx::start()?;
    let mut sent = sample()?;
    shift(&mut sent, 1000);
    for tag in &mut sent {
        if let Some(time) = tag.composition_time() {
            // As Apple's encoders have it: pictures that are not reordered are shown when they are decoded.
            let [_, a, b, c] = (time - 80).to_be_bytes();
            let mut body = tag.body.to_vec();
            body.splice(2..5, [a, b, c]);
            tag.body = Bytes::from(body);
        }
    }
    assert!(sent.iter().any(|tag| tag.composition_time() == Some(-40)));
    let played = publish(&nginx, &sent, "")?;
    let sent = tags::frames(&sent);
    assert_eq!(played.by_rtmpdump, sent);
    assert_eq!(played.by_rtmpsrc, sent);
    Ok(())
}

#[test]
fn messages_of_any_size_go_in_chunks_of_any_size() -> Result<()> {
    const AVC: [u8; 5] = [0x17, 1, 0, 0, 0];
    let nginx = Nginx::start()?;
    let mut sent = vec![Tag {
        kind: TagKind::Audio,
        timestamp: 0,
        body: Bytes::from_static(b"\xaf\x01!"),
    }];
    for (index, size) in [
        6,
        127,
        128,
        129,
        4095,
        4096,
        4097,
        65535,
        65536,
        65537,
        1 << 20,
        3_000_001,
        0xFF_FFFF,
    ]
    .into_iter()
    .enumerate()
    {
        let noise = (0_u32..).map(|n| n.wrapping_mul(0x9E37_79B1).to_be_bytes()[0]);
        let timestamp = u32::try_from(index)? * 40;
        sent.push(Tag {
            kind: TagKind::Video,
            timestamp,
            body: AVC.into_iter().chain(noise).take(size).collect(),
        });
        sent.push(Tag {
            kind: TagKind::Audio,
            timestamp: timestamp + 1,
            body: Bytes::from_static(b"\xaf\x01"),
        });
    }
    let expected = tags::frames(&sent);
    assert_eq!(expected.len(), sent.len());
    for chunk_size in [128, 4096, 65536] {
        let played = publish(&nginx, &sent, &format!("chunk-size={chunk_size}"))?;
        assert_eq!(played.by_rtmpsrc, expected, "chunk size {chunk_size}");
        assert_eq!(played.by_rtmpdump, expected, "chunk size {chunk_size}");
    }
    Ok(())
}
