//! What `rtmpsink` makes of elementary streams: the order and the times of messages, and what it refuses.

use gst::prelude::*;
use gstrtmp::amf::Value;
use gstrtmp::flv::Metadata;
use gstrtmp::message::type_id;

use super::fixture::*;
use crate::support::pipeline::Pipeline;
use crate::support::script::{self, Connection, Server};
use crate::support::wait::{self, LONG};
use crate::support::{Failure, Result};

/// The first bytes of messages of type 9: what kind of tag they are.
fn kinds(connection: &Connection) -> Vec<[u8; 2]> {
    connection
        .of_type(type_id::VIDEO)
        .map(|message| [message.payload[0], message.payload[1]])
        .collect()
}

const HEADER: [u8; 2] = [0x17, 0];
const KEY: [u8; 2] = [0x17, 1];
const INTER: [u8; 2] = [0x27, 1];
const END: [u8; 2] = [0x17, 2];

fn publisher(server: &Server, source: &str) -> Result<Pipeline> {
    let location = server.url("live", "key");
    Pipeline::new(&format!(
        "{source} ! rtmpsink name=sink location={location} sync=false"
    ))
}

/// A server that takes so many publishers, one after the other.
fn server(count: usize) -> Result<Server> {
    Server::start(move |script| {
        for _ in 0..count {
            let mut client = script.accept()?;
            client.accept_publish(1)?;
            client.read_to_end()?;
        }
        Ok(())
    })
}

#[test]
fn metadata_and_header_come_first_and_the_end_of_the_sequence_last() -> Result<()> {
    let server = server(1)?;
    let pipeline = publisher(
        &server,
        &format!("{PICTURES} ! {H264} ! taginject tags=title=Ball"),
    )?;
    pipeline.play()?;
    pipeline.wait_for_eos()?;
    let connection = server.join_one()?;

    let media: Vec<_> = connection.media().collect();
    let [metadata, header, key, ..] = &media[..] else {
        return Err(Failure::new("too little was published"));
    };
    assert_eq!(metadata.type_id, type_id::DATA_AMF0);
    assert!(
        metadata
            .payload
            .starts_with(b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData")
    );
    let said = Metadata::parse(metadata.payload.clone()).ok_or(Failure::new("no metadata"))?;
    let video = said.video(0);
    assert_eq!(
        (video.width, video.height, video.frame_rate),
        (Some(320), Some(240), Some(25.0))
    );
    assert_eq!((said.has_video(), said.has_audio()), (Some(true), None));
    assert_eq!(said.origin().title.as_deref(), Some("Ball"));
    assert_eq!((metadata.timestamp, header.timestamp, key.timestamp), (0, 0, 0));

    let kinds = kinds(&connection);
    assert_eq!(kinds.len(), 1 + 30 + 1);
    assert_eq!(kinds[..2], [HEADER, KEY]);
    assert!(kinds[2..31].iter().all(|kind| [KEY, INTER].contains(kind)));
    assert_eq!(kinds[31], END);
    let times: Vec<_> = media.iter().map(|message| message.timestamp).collect();
    assert!(times.is_sorted(), "{times:?}");
    let end = connection.messages.iter().rposition(|message| message.is_media());
    let stop = connection.messages.iter().position(|message| {
        message
            .command
            .as_ref()
            .is_some_and(|command| command.name == "FCUnpublish")
    });
    assert!(end.is_some() && end < stop, "{end:?} {stop:?}");
    Ok(())
}

#[test]
fn a_restart_publishes_the_headers_again_from_0() -> Result<()> {
    let server = server(2)?;
    let pipeline = publisher(
        &server,
        "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 ! x264enc tune=zerolatency",
    )?;
    for _ in 0..2 {
        let sink = pipeline.element("sink")?;
        pipeline.play()?;
        wait::until("frames", LONG, || {
            let stats: gst::Structure = sink.property("stats");
            let sent: u64 = stats.get("out-video-messages").unwrap_or_default();
            (sent > 5 && stats.get::<&str>("state") == Ok("connected")).then_some(())
        })?;
        pipeline.ready()?;
    }
    let connections = server.join()?;
    assert_eq!(connections.len(), 2);
    for connection in connections {
        let first: Vec<_> = connection
            .media()
            .take(3)
            .map(|message| (message.type_id, message.timestamp))
            .collect();
        assert_eq!(
            first,
            [(type_id::DATA_AMF0, 0), (type_id::VIDEO, 0), (type_id::VIDEO, 0)]
        );
        assert_eq!(kinds(&connection)[..2], [HEADER, KEY]);
    }
    Ok(())
}

#[test]
fn new_caps_bring_a_new_header_and_the_time_goes_on() -> Result<()> {
    let relay = relay()?;
    let part = |width: u32| {
        format!(
            "videotestsrc num-buffers=20 ! video/x-raw,width={width},height=120,framerate=25/1 \
             ! x264enc tune=zerolatency ! video/x-h264,stream-format=avc ! queue"
        )
    };
    let publisher = format!("{} ! c. {} ! c. concat name=c", part(160), part(320));
    let (_, got) = trip(
        &relay,
        &publisher,
        "",
        "video/x-h264 ! identity name=got ! h264parse ! avdec_h264",
    )?;
    let widths: Vec<i32> = got
        .caps
        .iter()
        .filter_map(|caps| caps.structure(0)?.get("width").ok())
        .collect();
    assert_eq!(widths, [160, 320]);
    let records: Vec<gst::Buffer> = got
        .caps
        .iter()
        .filter_map(|caps| caps.structure(0)?.get("codec_data").ok())
        .collect();
    assert_eq!(records.len(), 2);
    let times: Vec<_> = frames(&got.buffers, 0).iter().map(|frame| frame.dts).collect();
    let expected: Vec<_> = (0..40).map(|frame| frame * 40).collect();
    assert_eq!(times, expected);
    Ok(())
}

#[test]
fn without_enhanced_rtmp_what_needs_it_is_refused_by_its_caps() -> Result<()> {
    let relay = relay()?;
    for (source, codec) in [
        (format!("{PICTURES} ! vp8enc"), "VP8"),
        ("audiotestsrc ! opusenc".to_owned(), "Opus"),
    ] {
        let pipeline = Pipeline::new(&format!(
            "{source} ! rtmpsink enhanced-rtmp=never location={}",
            relay.url("live", "main")
        ))?;
        pipeline.play()?;
        let error = pipeline.wait_for_error()?;
        assert!(error.matches(gst::StreamError::Format), "{error}");
        let sentence = format!("{codec} needs Enhanced RTMP, which is set to never.");
        assert!(error.message().ends_with(&sentence), "{error}");
    }
    Ok(())
}

/// The `codec` that a server lists, and whether there is a warning of VP8.
fn warned_by_server_of(codec: &'static str) -> Result<(bool, gst::Structure)> {
    let server = Server::start(move |script| {
        let mut client = script.accept()?;
        client.handshake()?;
        let connect = client.expect_command("connect")?;
        assert!(connect.object.get("fourCcList").is_some());
        assert!(
            connect
                .object
                .get("videoFourCcInfoMap")
                .is_some_and(|map| map.get("vp08") == Some(&Value::from(2.0)))
        );
        let mut result = script::connect_result(&connect);
        if let Value::Object(object) = &mut result.object {
            object
                .properties
                .push("videoFourCcInfoMap", Value::object([(codec, Value::from(4.0))]));
            object.properties.push("capsEx", Value::from(2.0));
        }
        client.send_command(0, &result)?;
        let create_stream = client.expect_command("createStream")?;
        client.send_command(0, &script::stream_result(&create_stream, 1))?;
        client.expect_command("publish")?;
        client.send_status(1, gstrtmp::message::Level::Status, "NetStream.Publish.Start", "")?;
        client.read_to_end()
    })?;
    let pipeline = publisher(&server, &format!("{PICTURES} ! vp8enc deadline=1"))?;
    pipeline.play()?;
    let warnings = pipeline.warnings_until_eos()?;
    let stats = pipeline.element("sink")?.property("stats");
    server.join_one()?;
    Ok((
        warnings
            .iter()
            .any(|warning| warning.contains("does not list vp08")),
        stats,
    ))
}

#[test]
fn a_codec_that_the_server_does_not_list_is_published_with_a_warning() -> Result<()> {
    let (is_warned, stats) = warned_by_server_of("hvc1")?;
    assert!(is_warned);
    let map: gst::Structure = stats.get("video-fourcc-info-map")?;
    assert_eq!(map.get::<u32>("hvc1"), Ok(4));
    assert_eq!(
        (stats.get("multitrack"), stats.get("mod-ex")),
        (Ok(true), Ok(false))
    );
    for codec in ["vp08", "*"] {
        assert!(!warned_by_server_of(codec)?.0, "{codec}");
    }
    Ok(())
}

#[test]
fn the_embedded_server_passes_on_every_codec_and_says_so() -> Result<()> {
    let relay = relay()?;
    let location = relay.url("live", "main");
    let publisher = Pipeline::new(&format!(
        "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 ! x264enc tune=zerolatency \
         key-int-max=25 ! rtmpsink name=sink enhanced-rtmp=always location={location}"
    ))?;
    publisher.play()?;
    wait::until("frames", LONG, || {
        let sent = publisher.figure("sink", "out-video-messages").ok()?;
        (sent > 10).then_some(())
    })?;
    let stats: gst::Structure = publisher.element("sink")?.property("stats");
    for map in ["video-fourcc-info-map", "audio-fourcc-info-map"] {
        let map: gst::Structure = stats.get(map)?;
        assert_eq!(map.get::<u32>("any"), Ok(4));
    }
    assert_eq!(
        (stats.get("multitrack"), stats.get("mod-ex")),
        (Ok(true), Ok(true))
    );

    // Who joins late gets the header and the group of pictures in progress, of enhanced tags too.
    let player = Pipeline::new(&format!(
        "rtmpsrc location={location} ! video/x-h264 ! fakesink name=end sync=false"
    ))?;
    let end = Seen::at(&player, "end")?;
    player.play()?;
    end.wait_for_buffers(3)?;
    let record = end.record();
    assert!(frames(&record.buffers, 0)[0].is_key);
    let caps = record.caps[0].structure(0).ok_or(Failure::new("no caps"))?;
    assert!(caps.has_field("codec_data"));
    Ok(())
}

#[test]
fn connect_is_silent_of_enhanced_rtmp_if_it_is_not_wanted() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        let connect = client.accept_connect()?;
        for key in [
            "fourCcList",
            "videoFourCcInfoMap",
            "audioFourCcInfoMap",
            "capsEx",
            "videoFunction",
        ] {
            assert!(connect.object.get(key).is_none(), "{key}");
        }
        Ok(())
    })?;
    let pipeline = Pipeline::new(&format!(
        "videotestsrc ! x264enc tune=zerolatency ! rtmpsink enhanced-rtmp=never location={}",
        server.url("live", "key")
    ))?;
    pipeline.play()?;
    server.join_one()?;
    Ok(())
}

#[test]
fn frames_are_left_out_with_one_warning() -> Result<()> {
    let server = server(1)?;
    // Without codec_data the header has to be made of the first frame.
    let pipeline = publisher(
        &server,
        "appsrc name=source format=time caps=video/x-av1,stream-format=obu-stream,alignment=tu",
    )?;
    let source = pipeline.element("source")?;
    let push = |bytes: &'static [u8], millis| {
        let mut buffer = gst::Buffer::from_slice(bytes);
        {
            let buffer = buffer.get_mut().expect("a new buffer is ours alone");
            buffer.set_pts(gst::ClockTime::from_mseconds(millis));
            buffer.set_dts(gst::ClockTime::from_mseconds(millis));
        }
        let flow = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
        assert_eq!(flow, gst::FlowReturn::Ok);
    };
    // Frames without a sequence header, and one with it.
    for frame in 0..5 {
        push(b"\x32\x02\x10\x00", 40 * frame);
    }
    push(
        b"\x12\x00\x0a\x0a\x00\x00\x00\x02\xaf\xff\x80\x5f\x00\x08\x32\x02\x10\x00",
        200,
    );
    let flow = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    assert_eq!(flow, gst::FlowReturn::Ok);
    pipeline.play()?;
    let warnings = pipeline.warnings_until_eos()?;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("A frame is left out: this is not AV1: "),
        "{warnings:?}"
    );
    let connection = server.join_one()?;
    assert_eq!(
        connection.of_type(type_id::VIDEO).count(),
        3,
        "header, frame, end"
    );
    Ok(())
}
