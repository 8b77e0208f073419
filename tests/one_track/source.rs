//! What `rtmpsrc` makes of a stream for somebody who takes one track of it.

use std::path::Path;

use gstrtmp::amf::Value;
use gstrtmp::message::type_id;

use super::fixture::*;
use crate::support::Result;
use crate::support::ffmpeg::{self, utf8};
use crate::support::nginx::{Application, Nginx};
use crate::support::pipeline::{self, Pipeline};
use crate::support::script::{Client, Server};
use crate::support::wait::{self, LONG};

const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x0a\x67\x42\xc0\x1e\xd9\x01\x41\xfb\x01\x10\x01\x00\x05\x68\xcb\x83\xcb\x20";
const KEY_FRAME: &[u8] = b"\x17\x01\x00\x00\x00\x00\x00\x00\x01\x65";
const INTER_FRAME: &[u8] = b"\x27\x01\x00\x00\x00\x00\x00\x00\x01\x41";
const AAC_HEADER: &[u8] = b"\xaf\x00\x12\x10";
const AAC_FRAME: &[u8] = b"\xaf\x01\x21\x10\x05";
/// Audio alone.
const AUDIO_METADATA: &[u8] =
    b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x0caudiocodecid\x00\x40\x24\x00\x00\x00\x00\x00\x00\x00\x00\x09";

fn play(location: &str, rest: &str) -> Result<Pipeline> {
    let pipeline = player(location, rest)?;
    pipeline.play()?;
    Ok(pipeline)
}

/// As [`play`], watching the element `name` from the first buffer on.
fn watch(location: &str, rest: &str, name: &str) -> Result<(Pipeline, Seen)> {
    let pipeline = player(location, rest)?;
    let seen = Seen::at(&pipeline, name)?;
    pipeline.play()?;
    Ok((pipeline, seen))
}

fn player(location: &str, rest: &str) -> Result<Pipeline> {
    Pipeline::new(&format!(
        "rtmpsrc name=src timeout=30 location={location} ! {rest}"
    ))
}

/// A server that plays what `script` sends, and then leaves the stream open.
fn playing(script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static) -> Result<Server> {
    Server::start(|server| {
        let mut client = server.accept()?;
        client.accept_play(1)?;
        script(&mut client)?;
        client.read_to_end()
    })
}

#[test]
fn the_kind_that_nobody_takes_is_refused_after_play() -> Result<()> {
    for (caps, refusal) in [
        ("audio/mpeg", Some("receiveVideo")),
        ("video/x-h264", Some("receiveAudio")),
        ("video/x-h264;audio/mpeg", None),
        ("video/x-flv", None),
        ("video/x-flv;video/x-h264", None),
    ] {
        let server = playing(|client| {
            client.send_media(1, type_id::VIDEO, 0, AVC_HEADER)?;
            client.send_media(1, type_id::VIDEO, 0, KEY_FRAME)?;
            client.send_media(1, type_id::AUDIO, 0, AAC_HEADER)?;
            client.send_media(1, type_id::AUDIO, 0, AAC_FRAME)
        })?;
        let (pipeline, end) = watch(
            &server.url("live", "key"),
            &format!("{caps} ! fakesink name=end"),
            "end",
        )?;
        end.wait_for_buffers(1)?;
        drop(pipeline);
        let connection = server.join_one()?;
        let names = connection.command_names();
        let play = names.iter().position(|name| name == "play").unwrap();
        let after: Vec<_> = names[play + 1..]
            .iter()
            .filter(|name| name.starts_with("receive"))
            .collect();
        assert_eq!(after, Vec::from_iter(refusal), "{caps}");
        if let Some(refusal) = refusal {
            assert_eq!(connection.command(refusal)?.arguments, [Value::Boolean(false)]);
        }
    }
    Ok(())
}

#[test]
fn the_wanted_track_is_taken_out_of_a_stream_of_both() -> Result<()> {
    for (caps, bodies) in [
        ("video/x-h264", vec![&KEY_FRAME[5..], &INTER_FRAME[5..]]),
        ("audio/mpeg", vec![&AAC_FRAME[2..], &AAC_FRAME[2..]]),
    ] {
        // This server sends all there is whatever it is told.
        let server = playing(|client| {
            for (kind, time, body) in [
                (type_id::AUDIO, 0, AAC_HEADER),
                (type_id::VIDEO, 0, AVC_HEADER),
                (type_id::VIDEO, 5000, INTER_FRAME),
                (type_id::AUDIO, 5000, AAC_FRAME),
                (type_id::VIDEO, 5000, KEY_FRAME),
                (type_id::AUDIO, 5040, AAC_FRAME),
                (type_id::VIDEO, 5040, INTER_FRAME),
            ] {
                client.send_media(1, kind, time, body)?;
            }
            Ok(())
        })?;
        let (pipeline, end) = watch(
            &server.url("live", "key"),
            &format!("{caps} ! fakesink name=end"),
            "end",
        )?;
        end.wait_for_buffers(2)?;
        let record = end.record();
        let frames = frames(&record.buffers, 0);
        let times: Vec<_> = frames.iter().map(|frame| frame.dts).collect();
        assert_eq!(times, [5000, 5040], "{caps}");
        let got: Vec<_> = frames.iter().map(|frame| &frame.bytes[..]).collect();
        assert_eq!(got, bodies, "{caps}");
        // Live: what comes first is due when it comes.
        let [segment] = &record.segments[..] else {
            panic!("{:?}", record.segments)
        };
        assert_eq!(segment.start(), Some(gst::ClockTime::from_mseconds(5000)));
        assert_eq!(record.caps.len(), 1);
        assert!(record.buffers[0].flags().contains(gst::BufferFlags::DISCONT));
        drop(pipeline);
        server.join_one()?;
    }
    Ok(())
}

#[test]
fn a_stream_that_carries_something_else_is_an_error_that_names_it() -> Result<()> {
    let audio_only: &[(u8, &[u8])] = &[
        (type_id::DATA_AMF0, AUDIO_METADATA),
        (type_id::AUDIO, AAC_HEADER),
        (type_id::AUDIO, AAC_FRAME),
    ];
    let metadata_only: &[(u8, &[u8])] = &[(type_id::DATA_AMF0, AUDIO_METADATA)];
    let video: &[(u8, &[u8])] = &[(type_id::VIDEO, AVC_HEADER), (type_id::VIDEO, KEY_FRAME)];
    let changing: &[(u8, &[u8])] = &[
        (type_id::VIDEO, AVC_HEADER),
        (type_id::VIDEO, KEY_FRAME),
        (type_id::VIDEO, b"\x12\x00\x00\x84\x00"),
    ];
    for (caps, messages, carried) in [
        ("video/x-h264", audio_only, "AAC audio"),
        ("video/x-h264", metadata_only, "AAC audio"),
        ("video/x-h265", video, "H.264 video"),
        ("video/x-h264,profile=high", video, "H.264 video"),
        ("audio/x-opus", video, "H.264 video"),
        ("video/x-h264", changing, "Sorenson H.263 video"),
    ] {
        let messages = messages.to_vec();
        let server = playing(move |client| {
            for (kind, body) in messages {
                client.send_media(1, kind, 0, body)?;
            }
            Ok(())
        })?;
        let pipeline = play(&server.url("live", "key"), &format!("{caps} ! fakesink"))?;
        let error = pipeline.wait_for_error()?;
        assert!(error.matches(gst::CoreError::Negotiation), "{caps}: {error}");
        let sentence = format!("but the stream carries {carried}.");
        assert!(error.message().contains(&sentence), "{caps}: {error}");
        let (wanted, _) = caps.split_once(',').unwrap_or((caps, ""));
        assert!(error.message().contains(wanted), "{caps}: {error}");
        drop(pipeline);
        server.join_one()?;
    }
    Ok(())
}

#[test]
fn a_stream_that_ends_without_the_wanted_track_is_an_error() -> Result<()> {
    let relay = relay()?;
    let location = relay.url("live", "main");
    let player = play(&location, "audio/mpeg ! fakesink")?;
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
    Pipeline::run(&format!(
        "{PICTURES} ! {H264} ! rtmpsink sync=false location={location}"
    ))?;
    let error = player.wait_for_error()?;
    assert!(error.matches(gst::CoreError::Negotiation), "{error}");
    assert!(error.message().contains("H.264 video"), "{error}");
    Ok(())
}

#[test]
fn metadata_becomes_tags_and_fields_of_the_caps() -> Result<()> {
    let relay = relay()?;
    let publisher =
        format!("{PICTURES} ! {H264} ! taginject tags=\"title=Ball,nominal-bitrate=(uint)204800\"");
    let (_, got) = trip(&relay, &publisher, "", "video/x-h264 ! identity name=got")?;
    let caps = got.caps[0].structure(0).unwrap();
    assert_eq!(caps.get("framerate"), Ok(gst::Fraction::new(25, 1)));
    let title = got
        .tags
        .iter()
        .find_map(|tags| Some(tags.get::<gst::tags::Title>()?.get().to_owned()));
    assert_eq!(title.as_deref(), Some("Ball"));
    let rate = got
        .tags
        .iter()
        .find_map(|tags| Some(tags.get::<gst::tags::NominalBitrate>()?.get()));
    assert_eq!(rate, Some(204_800));
    Ok(())
}

#[test]
fn after_a_pause_a_live_track_goes_on_at_a_key_frame_in_a_segment_of_its_own() -> Result<()> {
    let relay = relay()?;
    let location = relay.url("live", "main");
    let publisher = Pipeline::new(&format!(
        "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 \
         ! x264enc tune=zerolatency key-int-max=10 ! rtmpsink name=sink location={location}"
    ))?;
    publisher.play()?;
    let wait_for_more = |count: u64| {
        let sent = || publisher.figure("sink", "out-video-messages").unwrap_or_default();
        let enough = sent() + count;
        wait::until("the publisher to go on", LONG, || {
            (sent() >= enough).then_some(())
        })
    };
    wait_for_more(5)?;
    let (player, end) = watch(&location, "video/x-h264 ! fakesink name=end sync=true", "end")?;
    end.wait_for_buffers(10)?;
    player.pause()?;
    wait_for_more(50)?;
    let before = end.record().buffers.len();
    player.play()?;
    end.wait_for_buffers(before + 10)?;

    let record = end.record();
    assert_eq!(record.caps.len(), 1, "{:?}", record.caps);
    let [first, .., last] = &record.segments[..] else {
        panic!("{:?}", record.segments);
    };
    assert!(last.base() > first.base());
    let start = record
        .buffers
        .iter()
        .rfind(|buffer| buffer.flags().contains(gst::BufferFlags::DISCONT))
        .unwrap();
    assert!(!start.flags().contains(gst::BufferFlags::DELTA_UNIT), "{start:?}");
    assert_eq!(last.start(), start.dts());
    let before = &record.buffers[before - 1];
    assert!(
        start.dts() > before.dts().map(|dts| dts + gst::ClockTime::SECOND),
        "{before:?} {start:?}"
    );
    Ok(())
}

#[test]
fn nginx_passes_one_track_on_to_ffmpeg_and_to_whoever_takes_one() -> Result<()> {
    let nginx = Nginx::start()?;
    let folder = tempfile::tempdir()?;
    let written = folder.path().join("by_ffmpeg.flv");
    let location = nginx.url(Application::Notify, "main");
    let ffmpeg = ffmpeg::play(&location, &written)?;
    let player = play(
        &location,
        "video/x-h264 ! identity name=got ! h264parse ! avdec_h264 ! fakesink sync=false",
    )?;
    let got = Seen::at(&player, "got")?;
    nginx.wait_for_clients(Application::Notify, "main", 2, LONG)?;
    let publisher = Pipeline::new(&format!(
        "{PICTURES} ! {H264} ! rtmpsink name=sink sync=false location={location}"
    ))?;
    let sent = Seen::at(&publisher, "sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    ffmpeg.succeed(LONG)?;

    let sent = sent.record().buffers;
    let origin = sent[0].dts_or_pts().unwrap().nseconds();
    assert_eq!(frames(&got.record().buffers, 0), frames(&sent, origin));
    assert_eq!(count(&written)?, sent.len());
    Ok(())
}

fn count(file: &Path) -> Result<usize> {
    Ok(ffmpeg::packet_counts(utf8(file)?)?.video)
}

#[test]
fn nginx_sends_one_track_of_a_stream_of_both() -> Result<()> {
    let nginx = Nginx::start()?;
    for (caps, point) in [("video/x-h264", "video"), ("audio/mpeg,mpegversion=4", "audio")] {
        let location = nginx.url(Application::Live, point);
        let player = play(
            &location,
            &format!("{caps} ! identity name=got ! fakesink sync=false"),
        )?;
        let got = player.tap("got")?;
        nginx.wait_for_clients(Application::Live, point, 1, LONG)?;
        let publisher = Pipeline::new(&pipeline::publisher(&location, 2))?;
        let sent = publisher.tap(point)?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        player.wait_for_eos()?;
        assert_eq!(got.buffers()?, sent.buffers()?, "{caps}");
    }
    Ok(())
}
