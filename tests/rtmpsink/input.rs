//! Every form in which FLV comes down a pipeline, byte for byte at the server.

use bytes::{Bytes, BytesMut};
use gst::prelude::*;
use gstrtmp::flv::{Item, Reader, TagKind};
use gstrtmp::message::type_id;

use crate::fixture::{self, Sink};
use crate::flv::{
    AAC_HEADER, AVC_HEADER, DELTA_FRAME, KEY_FRAME, METADATA, Message, SET_DATA_FRAME, SOUND, audio,
    file_header, frame, frame_body, frame_messages, header_messages, headers, media, metadata_message,
    script, stream, stream_messages, video,
};
use crate::support::script::{Connection, Server};
use crate::support::{Context, Failure, Result};

/// A server that takes whatever one client publishes.
fn good_server() -> Result<Server> {
    Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })
}

/// Publishes by `feed` and EOS; what the server got.
fn published(feed: impl FnOnce(&Sink) -> Result<()>) -> Result<Connection> {
    let server = good_server()?;
    let sink = Sink::with(&server.url("live", "key"), &[])?;
    sink.play()?;
    feed(&sink)?;
    sink.finish()?;
    server.join_one()
}

#[test]
fn headers_in_caps_and_stream_are_sent_once() -> Result<()> {
    let connection = published(|sink| {
        sink.begin(&headers())?;
        stream().into_iter().try_for_each(|tag| sink.publish(tag))
    })?;
    assert_eq!(media(&connection), stream_messages());
    Ok(())
}

#[test]
fn headers_only_in_caps_are_sent_before_the_first_tag() -> Result<()> {
    let connection = published(|sink| {
        sink.begin(&headers())?;
        let frames = stream().split_off(headers().len());
        frames.into_iter().try_for_each(|tag| sink.publish(tag))
    })?;
    assert_eq!(media(&connection), stream_messages());
    Ok(())
}

#[test]
fn headers_only_in_the_stream_are_sent() -> Result<()> {
    let connection = published(|sink| {
        sink.begin(&[])?;
        stream().into_iter().try_for_each(|tag| sink.publish(tag))
    })?;
    assert_eq!(media(&connection), stream_messages());
    Ok(())
}

#[test]
fn file_header_and_tags_may_share_a_buffer() -> Result<()> {
    let connection = published(|sink| {
        sink.begin(&[])?;
        sink.publish(stream().concat())
    })?;
    assert_eq!(media(&connection), stream_messages());
    Ok(())
}

#[test]
fn tags_may_lie_in_any_number_of_memories() -> Result<()> {
    for size in [1, 5, 16, 500] {
        let connection = published(|sink| {
            sink.begin(&[])?;
            for tag in stream() {
                let mut buffer = gst::Buffer::new();
                let inner = buffer.get_mut().ok_or(Failure::new("a new buffer is shared"))?;
                // A buffer holds 16 memories; what is too much for it is joined by GStreamer.
                for piece in tag.chunks(size.max(tag.len() / 10)) {
                    inner.append_memory(gst::Memory::from_slice(Bytes::copy_from_slice(piece)));
                }
                sink.push_buffer(buffer)?.context("pushing a buffer")?;
            }
            Ok(())
        })?;
        assert_eq!(media(&connection), stream_messages(), "memories of {size} B");
    }
    Ok(())
}

#[test]
fn blocks_of_any_size_are_put_together() -> Result<()> {
    let bytes = Bytes::from(stream().concat());
    for size in [1, 2, 3, 5, 11, 13, 100, 4096] {
        let connection = published(|sink| {
            sink.begin(&[])?;
            bytes
                .chunks(size)
                .try_for_each(|block| sink.publish(Bytes::copy_from_slice(block)))
        })?;
        assert_eq!(media(&connection), stream_messages(), "blocks of {size} B");
    }
    Ok(())
}

#[test]
fn buffer_lists_are_published_in_order() -> Result<()> {
    let connection = published(|sink| {
        sink.begin(&[])?;
        let mut tags = stream();
        let rest = tags.split_off(2);
        for list in [tags, rest] {
            sink.push_list(list)?.context("pushing a list")?;
        }
        Ok(())
    })?;
    assert_eq!(media(&connection), stream_messages());
    Ok(())
}

#[test]
fn buffers_of_several_memories_and_of_none_are_published() -> Result<()> {
    let connection = published(|sink| {
        sink.begin(&[])?;
        sink.publish(Bytes::new())?;
        let mut buffer = gst::Buffer::new();
        let memories = buffer.get_mut().expect("nobody else has the new buffer");
        for tag in stream() {
            memories.append_memory(gst::Memory::from_slice(tag));
        }
        sink.push_buffer(buffer)?.context("pushing a buffer")?;
        Ok(())
    })?;
    assert_eq!(media(&connection), stream_messages());
    Ok(())
}

#[test]
fn new_caps_send_their_headers_before_the_next_tag() -> Result<()> {
    let new_configuration = [AVC_HEADER, b" changed"].concat();
    let new_headers = [file_header(), video(0, &new_configuration)];
    let connection = published(|sink| {
        sink.begin(&headers())?;
        sink.publish(video(0, KEY_FRAME))?;
        assert!(sink.set_headers(&new_headers)?);
        sink.publish(video(40, KEY_FRAME))?;
        sink.publish(audio(46, SOUND))
    })?;
    let mut expected = header_messages(0);
    expected.extend([
        (type_id::VIDEO, 0, KEY_FRAME.to_vec()),
        (type_id::VIDEO, 0, new_configuration),
        (type_id::VIDEO, 40, KEY_FRAME.to_vec()),
        (type_id::AUDIO, 46, SOUND.to_vec()),
    ]);
    assert_eq!(media(&connection), expected);
    Ok(())
}

#[test]
fn metadata_becomes_set_data_frame_once() -> Result<()> {
    let already = [SET_DATA_FRAME, METADATA].concat();
    let other = [METADATA, b"more"].concat();
    let connection = published(|sink| {
        sink.begin(&[])?;
        sink.publish(file_header())?;
        sink.publish(script(0, METADATA))?;
        sink.publish(video(0, KEY_FRAME))?;
        // flvmux repeats its metadata with every tag event, twelve times a second (B21).
        for timestamp in [40, 80, 120] {
            sink.publish(script(timestamp, METADATA))?;
        }
        sink.publish(script(160, &other))?;
        sink.publish(script(200, &already))
    })?;
    assert_eq!(
        media(&connection),
        [
            (type_id::DATA_AMF0, 0, metadata_message()),
            (type_id::VIDEO, 0, KEY_FRAME.to_vec()),
            (type_id::DATA_AMF0, 160, [SET_DATA_FRAME, &other].concat()),
            (type_id::DATA_AMF0, 200, already),
        ]
    );
    Ok(())
}

#[test]
fn data_that_is_not_metadata_passes_unchanged() -> Result<()> {
    let cue = b"\x02\x00\x0aonCuePoint\x08\x00\x00\x00\x00\x00\x00\x09";
    let connection = published(|sink| {
        sink.begin(&[])?;
        [script(10, cue), script(20, cue)]
            .into_iter()
            .try_for_each(|tag| sink.publish(tag))
    })?;
    assert_eq!(
        media(&connection),
        [
            (type_id::DATA_AMF0, 10, cue.to_vec()),
            (type_id::DATA_AMF0, 20, cue.to_vec())
        ]
    );
    Ok(())
}

#[test]
fn frames_of_all_sizes_arrive_byte_exact() -> Result<()> {
    // Around the chunk size, around the size of a read, and the longest that FLV has.
    let sizes = [0, 1, 2, 127, 4095, 4096, 4097, 8192, 65_535, 200_000, 0xFF_FFFF];
    let bodies: Vec<Vec<u8>> = sizes
        .iter()
        .zip(0..)
        .map(|(&size, number)| {
            let mut body = frame_body(number, size);
            body.truncate(size);
            body
        })
        .collect();
    let connection = published(|sink| {
        sink.begin(&[])?;
        bodies
            .iter()
            .zip(0..)
            .try_for_each(|(body, number)| sink.publish(video(number * 40, body)))
    })?;
    let got = media(&connection);
    assert_eq!(got.len(), bodies.len());
    for (((_, timestamp, body), expected), number) in got.iter().zip(&bodies).zip(0..) {
        assert_eq!(*timestamp, number * 40);
        assert!(body == expected, "the frame of {} B differs", expected.len());
    }
    Ok(())
}

#[test]
fn timestamps_pass_through_extension_wrap_and_steps_back() -> Result<()> {
    let times = [
        0,
        40,
        0xFF_FFFE,
        0xFF_FFFF,
        0x100_0000,
        0xFFFF_FFFF,
        20,
        10,
        60,
        0x8000_0000,
    ];
    let connection = published(|sink| {
        sink.begin(&[])?;
        times
            .iter()
            .try_for_each(|&time| sink.publish(video(time, KEY_FRAME)))
    })?;
    let got: Vec<u32> = connection.media().map(|message| message.timestamp).collect();
    assert_eq!(got, times);
    Ok(())
}

#[test]
fn audio_video_and_data_go_on_their_own_chunk_streams_below_32() -> Result<()> {
    let connection = published(|sink| {
        sink.begin(&headers())?;
        stream().into_iter().try_for_each(|tag| sink.publish(tag))
    })?;
    let chunk_stream = |type_id| {
        let mut used: Vec<u32> = connection.of_type(type_id).map(|m| m.chunk_stream).collect();
        used.dedup();
        used
    };
    assert_eq!(chunk_stream(type_id::DATA_AMF0), [4]);
    assert_eq!(chunk_stream(type_id::AUDIO), [5]);
    assert_eq!(chunk_stream(type_id::VIDEO), [6]);
    assert!(
        connection
            .messages
            .iter()
            .all(|message| message.chunk_stream < 32)
    );
    assert!(connection.media().all(|message| message.stream_id == 1));
    Ok(())
}

#[test]
fn garbage_at_the_start_is_an_error_and_nothing_is_sent() -> Result<()> {
    let server = good_server()?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    assert_eq!(
        sink.push(&b"\0\0\0\x20ftypisom, this is an MP4 file"[..])?,
        Err(gst::FlowError::Error)
    );
    sink.wait_for_problem()?
        .expect("StreamError::Format", "The input is not FLV at byte 0")?;
    sink.stop()?;
    assert_eq!(media(&server.join_one()?), []);
    Ok(())
}

#[test]
fn garbage_in_mid_stream_is_an_error_at_its_byte_and_ends_the_stream() -> Result<()> {
    let server = good_server()?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let good = stream().concat();
    let at = good.len();
    sink.publish(good)?;
    assert_eq!(
        sink.push([&[0xFF; 16], &*video(80, KEY_FRAME)].concat())?,
        Err(gst::FlowError::Error)
    );
    sink.wait_for_problem()?
        .expect("StreamError::Format", &format!("at byte {at}"))?;
    // The element does not pick the thread up again by itself.
    assert_eq!(sink.push(video(120, KEY_FRAME))?, Err(gst::FlowError::Error));
    sink.stop()?;
    assert_eq!(media(&server.join_one()?), stream_messages());
    Ok(())
}

#[test]
fn tags_before_garbage_in_the_same_buffer_are_sent() -> Result<()> {
    let server = good_server()?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let mut bytes = stream().concat();
    bytes.extend_from_slice(&[0xEE; 30]);
    assert_eq!(sink.push(bytes)?, Err(gst::FlowError::Error));
    sink.wait_for_problem()?
        .expect("StreamError::Format", "at byte")?;
    sink.stop()?;
    assert_eq!(media(&server.join_one()?), stream_messages());
    Ok(())
}

#[test]
fn caps_whose_headers_are_not_flv_are_an_error() -> Result<()> {
    let server = good_server()?;
    let sink = Sink::with(&server.url("live", "key"), &[])?;
    sink.play()?;
    server.wait_for_command("publish")?;
    sink.begin(&[Bytes::from_static(b"\x80theora, not FLV")])?;
    assert!(sink.push(video(0, KEY_FRAME))?.is_err());
    sink.wait_for_problem()?
        .expect("StreamError::Format", "at byte 0")?;
    sink.stop()?;
    assert_eq!(media(&server.join_one()?), []);
    Ok(())
}

#[test]
fn buffers_shorter_than_a_tag_header_do_no_harm() -> Result<()> {
    // rtmp2sink 1.22 crashes on them.
    let connection = published(|sink| {
        sink.begin(&[])?;
        let tag = video(0, KEY_FRAME);
        for byte in tag.chunks(1) {
            sink.publish(Bytes::copy_from_slice(byte))?;
            sink.publish(Bytes::new())?;
        }
        Ok(())
    })?;
    assert_eq!(media(&connection), [(type_id::VIDEO, 0, KEY_FRAME.to_vec())]);
    Ok(())
}

#[test]
fn eos_inside_a_tag_warns_of_what_was_not_sent() -> Result<()> {
    let server = good_server()?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(video(0, KEY_FRAME))?;
    sink.publish(video(40, DELTA_FRAME).slice(..15))?;
    sink.begin_eos()?.wait()?;
    let warning = sink.wait_for(&[gst::MessageType::Warning])?;
    sink.wait_for_eos()?;
    let gst::MessageView::Warning(warning) = warning.view() else {
        return Err(Failure::new("not a warning"));
    };
    assert!(warning.error().matches(gst::StreamError::Format));
    assert!(warning.error().message().contains("its first 15 bytes"));
    assert_eq!(
        media(&server.join_one()?),
        [(type_id::VIDEO, 0, KEY_FRAME.to_vec())]
    );
    Ok(())
}

#[test]
fn a_second_file_header_in_mid_stream_is_passed_over() -> Result<()> {
    let connection = published(|sink| {
        sink.begin(&[])?;
        let mut twice = stream();
        twice.extend([file_header(), video(80, KEY_FRAME)]);
        sink.publish(twice.concat())
    })?;
    let mut expected = stream_messages();
    expected.push((type_id::VIDEO, 80, KEY_FRAME.to_vec()));
    assert_eq!(media(&connection), expected);
    Ok(())
}

#[test]
fn flv_comes_first_of_the_caps_and_what_no_tag_carries_is_not_among_them() -> Result<()> {
    fixture::init();
    let sink = gst::ElementFactory::make("rtmpsink").build()?;
    let template = sink
        .static_pad("sink")
        .ok_or_else(|| Failure::new("no sink pad"))?
        .pad_template_caps();
    let first = template.structure(0).ok_or_else(|| Failure::new("no caps"))?;
    assert_eq!((first.name().as_str(), first.n_fields()), ("video/x-flv", 0));
    for other in [
        "video/x-raw",
        "video/x-h264,stream-format=byte-stream",
        "video/mpegts",
        "audio/x-vorbis",
    ] {
        let other: gst::Caps = other.parse()?;
        assert!(!template.can_intersect(&other), "{other}");
    }
    Ok(())
}

#[test]
fn chunk_size_of_one_byte_changes_no_byte() -> Result<()> {
    let server = good_server()?;
    let sink = Sink::playing_with(&server.url("live", "key"), &[("chunk-size", "1")])?;
    stream().into_iter().try_for_each(|tag| sink.publish(tag))?;
    sink.finish()?;
    assert_eq!(media(&server.join_one()?), stream_messages());
    Ok(())
}

/// What passes the sink's pad, put together as a server should get it.
fn expected_of(bytes: Bytes) -> Result<Vec<Message>> {
    let mut reader = Reader::new();
    reader.push(bytes);
    let mut messages = Vec::new();
    let mut metadata = None;
    while let Some(item) = reader.next().map_err(|e| Failure::new(e.to_string()))? {
        let Item::Tag(tag) = item else { continue };
        let body = tag.joined();
        match tag.kind {
            TagKind::Video => messages.push((type_id::VIDEO, tag.timestamp, body.to_vec())),
            TagKind::Audio => messages.push((type_id::AUDIO, tag.timestamp, body.to_vec())),
            TagKind::Script if metadata.as_ref() == Some(&body) => {}
            TagKind::Script => {
                let payload = [SET_DATA_FRAME, &body].concat();
                messages.push((type_id::DATA_AMF0, tag.timestamp, payload));
                metadata = Some(body);
            }
            TagKind::ScriptAmf3 | TagKind::Unknown(_) => {
                return Err(Failure::new("flvmux writes no such tag"));
            }
        }
    }
    Ok(messages)
}

/// Runs a pipeline whose sink is called `sink` to its end; the bytes that went into the sink.
fn run(pipeline: &str) -> Result<Bytes> {
    fixture::init();
    let pipeline = gst::parse::launch(pipeline)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| Failure::new("not a pipeline"))?;
    let (sender, receiver) = std::sync::mpsc::channel();
    pipeline
        .by_name("sink")
        .and_then(|sink| sink.static_pad("sink"))
        .ok_or_else(|| Failure::new("no element called sink"))?
        .add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(map) = info.buffer().and_then(|buffer| buffer.map_readable().ok()) {
                let _ = sender.send(map.to_vec());
            }
            gst::PadProbeReturn::Ok
        });
    let bus = pipeline.bus().ok_or_else(|| Failure::new("no bus"))?;
    pipeline.set_state(gst::State::Playing)?;
    let ended = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(60),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline.set_state(gst::State::Null)?;
    drop(pipeline);
    match ended.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => {}
        Some(gst::MessageView::Error(error)) => return Err(Failure::new(error.error().to_string())),
        _ => return Err(Failure::new("the pipeline did not come to its end")),
    }
    let mut bytes = BytesMut::new();
    while let Ok(buffer) = receiver.try_recv() {
        bytes.extend_from_slice(&buffer);
    }
    Ok(bytes.freeze())
}

#[test]
fn what_flvmux_makes_arrives_tag_by_tag() -> Result<()> {
    let server = good_server()?;
    let bytes = run(&format!(
        "flvmux name=mux streamable=true ! rtmpsink name=sink sync=false location={} \
         videotestsrc num-buffers=25 ! video/x-raw,width=64,height=48,framerate=25/1 ! x264enc key-int-max=10 ! mux. \
         audiotestsrc num-buffers=43 samplesperbuffer=1024 ! audio/x-raw,rate=44100,channels=2 ! voaacenc ! mux.",
        server.url("live", "key")
    ))?;
    let connection = server.join_one()?;
    let got = media(&connection);
    assert_eq!(got, expected_of(bytes)?);
    assert!(
        got.iter()
            .filter(|(type_id, ..)| *type_id == type_id::VIDEO)
            .count()
            >= 25
    );
    assert!(got.iter().any(|(.., payload)| payload == AAC_HEADER));
    assert_eq!(
        connection.command_names(),
        [
            "connect",
            "releaseStream",
            "FCPublish",
            "createStream",
            "publish",
            "FCUnpublish",
            "deleteStream"
        ]
    );
    Ok(())
}

#[test]
fn a_file_is_published_in_blocks_of_any_size() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("stream.flv");
    let mut tags = stream();
    tags.extend((1..50).map(|number| frame(number, 3000)));
    std::fs::write(&path, tags.concat())?;
    let mut expected = header_messages(0);
    expected.extend(frame_messages());
    expected.extend((1..50).map(|number| (type_id::VIDEO, number * 40, frame_body(number, 3000))));
    for block in [7, 1000, 65_536] {
        let server = good_server()?;
        run(&format!(
            "filesrc location={} blocksize={block} ! rtmpsink name=sink location={}",
            path.display(),
            server.url("live", "key")
        ))?;
        assert_eq!(media(&server.join_one()?), expected, "blocks of {block} B");
    }
    Ok(())
}
