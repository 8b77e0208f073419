//! When pads appear, with what, and how they end.

use gst::prelude::*;
use gstrtmp::flv::video::{FrameType, VideoCodec, VideoPacket, VideoPayload};
use gstrtmp::flv::{FourCc, TagKind};

use crate::fixture::{
    AAC_HEADER, AVC_HEADER, DELTA, Harness, KEY, SOUND, Seen, all_caps, audio, buffers, data, events, gaps,
    header, metadata, pads, tag, times, video,
};
use crate::support::{Failure, Result};

/// A configuration record of VP9, 8 bit.
const VP9_RECORD: &[u8] = b"\x01\0\0\0\0\x0a\x82\x02\x02\x02\0\0";

/// An enhanced packet of VP9.
fn vp9(track: u8, payload: VideoPayload) -> VideoPacket {
    VideoPacket {
        track,
        codec: Some(VideoCodec::Enhanced(FourCc::VP9)),
        frame: FrameType::Key,
        nano_offset: 0,
        payload,
    }
}

fn vp9_start(track: u8) -> VideoPacket {
    vp9(track, VideoPayload::SequenceStart(VP9_RECORD.into()))
}

fn vp9_frame(track: u8, data: &'static [u8]) -> VideoPacket {
    let payload = VideoPayload::Frame {
        composition_time: 0,
        data: data.into(),
    };
    vp9(track, payload)
}

/// A tag of one packet.
fn packet(timestamp: u32, packet: &VideoPacket) -> Result<bytes::Bytes> {
    let (head, data) = packet.encode()?;
    Ok(tag(TagKind::Video, timestamp, &[head, data].concat()))
}

/// The names of the collection's streams, of each message since the last look.
fn collections(harness: &Harness) -> Vec<Vec<String>> {
    let messages = harness.messages().into_iter();
    messages
        .filter_map(|message| match message.view() {
            gst::MessageView::StreamCollection(collection) => Some(collection.stream_collection()),
            _ => None,
        })
        .map(|collection| {
            let ids = collection.iter().filter_map(|stream| stream.stream_id());
            ids.map(|id| id.rsplit('/').next().unwrap_or_default().to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn promised_tracks_appear_together_ahead_of_the_first_frame() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(video(0, AVC_HEADER))?;
    assert!(harness.look().is_empty(), "audio is promised too");
    harness.push(audio(0, AAC_HEADER))?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0", "audio_0"]);
    assert!(matches!(seen.last(), Some(Seen::NoMorePads)));
    assert_eq!(collections(&harness), [["video_0", "audio_0"]]);
    harness.push(video(0, KEY))?;
    harness.push(audio(0, SOUND))?;
    let seen = harness.look();
    for pad in ["video_0", "audio_0"] {
        assert_eq!(all_caps(&seen, pad).len(), 1);
        let collection = events(&seen, pad, gst::EventType::StreamCollection);
        assert_eq!(collection.len(), 1, "{pad}");
    }
    assert_eq!(
        (times(&seen, "video_0"), times(&seen, "audio_0")),
        (vec![0], vec![0])
    );
    Ok(())
}

#[test]
fn a_stream_of_video_only_starts_within_200_ms() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(video(5000, AVC_HEADER))?;
    harness.push(video(5000, KEY))?;
    for at in [5040, 5080, 5120, 5160] {
        harness.push(video(at, DELTA))?;
    }
    assert!(harness.look().is_empty());
    harness.push(video(5200, DELTA))?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0"]);
    assert_eq!(
        times(&seen, "video_0"),
        [5000, 5040, 5080, 5120, 5160, 5200],
        "nothing is lost"
    );
    assert!(seen.iter().any(|seen| matches!(seen, Seen::NoMorePads)));
    harness.push(video(5240, DELTA))?;
    assert_eq!(times(&harness.look(), "video_0"), [5240]);
    Ok(())
}

#[test]
fn a_stream_of_audio_only_starts_within_200_ms() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(audio(0, AAC_HEADER))?;
    for at in (0..200).step_by(23) {
        harness.push(audio(at, SOUND))?;
    }
    assert!(harness.look().is_empty());
    harness.push(audio(207, SOUND))?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["audio_0"]);
    assert_eq!(buffers(&seen, "audio_0").len(), 10);
    Ok(())
}

#[test]
fn metadata_that_names_one_kind_is_believed_at_once() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(false, true))?;
    harness.push(metadata(&[("videocodecid", 7.0.into())]))?;
    harness.push(video(0, AVC_HEADER))?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0"]);
    assert!(matches!(seen.last(), Some(Seen::NoMorePads)));
    Ok(())
}

#[test]
fn the_video_flag_alone_denies_no_audio() -> Result<()> {
    // As from rtmp2src, which sets it whatever comes.
    let harness = Harness::in_bytes()?;
    harness.push(header(false, true))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(video(0, KEY))?;
    harness.push(audio(20, AAC_HEADER))?;
    harness.push(audio(20, SOUND))?;
    assert!(harness.look().is_empty());
    harness.push(video(200, DELTA))?;
    assert_eq!(pads(&harness.look()), ["video_0", "audio_0"]);
    Ok(())
}

#[test]
fn frames_of_one_time_do_not_wait_for_ever() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(video(0, AVC_HEADER))?;
    let mut frames = 0;
    while pads(&harness.look()).is_empty() {
        harness.push(video(0, KEY))?;
        frames += 1;
        assert!(frames < 10_000);
    }
    Ok(())
}

#[test]
fn a_late_track_gets_its_pad_and_all_a_new_collection() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(metadata(&[("hasAudio", false.into()), ("hasVideo", true.into())]))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(video(0, KEY))?;
    assert_eq!(pads(&harness.look()), ["video_0"]);
    assert_eq!(collections(&harness), [["video_0"]]);
    harness.push(audio(3000, AAC_HEADER))?;
    harness.push(audio(3000, SOUND))?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["audio_0"]);
    assert_eq!(collections(&harness), [["video_0", "audio_0"]]);
    for pad in ["video_0", "audio_0"] {
        assert_eq!(
            events(&seen, pad, gst::EventType::StreamCollection).len(),
            1,
            "{pad}"
        );
    }
    assert_eq!(events(&seen, "audio_0", gst::EventType::Segment).len(), 1);
    assert_eq!(times(&seen, "audio_0"), [3000]);
    Ok(())
}

#[test]
fn streams_keep_their_names_and_upstreams_group() -> Result<()> {
    let ids = || -> Result<Vec<String>> {
        let harness = Harness::new()?;
        let group = gst::GroupId::next();
        let start = gst::event::StreamStart::builder("camera").group_id(group);
        harness.event(start.build());
        harness.segment_of_bytes();
        harness.push(header(true, true))?;
        harness.push(video(0, AVC_HEADER))?;
        harness.push(audio(0, AAC_HEADER))?;
        let id = |pad| -> Result<String> {
            let start = harness.pad(pad)?.sticky_event::<gst::event::StreamStart>(0);
            let start = start.ok_or(Failure::new("no stream-start"))?;
            assert_eq!(start.group_id(), Some(group));
            assert!(start.stream().is_some(), "a stream of the collection");
            Ok(start.stream_id().to_owned())
        };
        Ok(vec![id("video_0")?, id("audio_0")?])
    };
    let first = ids()?;
    assert_ne!(first.first(), first.last());
    assert_eq!(first, ids()?);
    Ok(())
}

#[test]
fn every_track_of_multitrack_has_its_pad() -> Result<()> {
    let harness = Harness::in_bytes()?;
    let starts = VideoPacket::encode_tracks(&[vp9_start(0), vp9_start(3)])?;
    harness.push(tag(TagKind::Video, 0, &starts))?;
    harness.push(packet(0, &vp9_start(7))?)?;
    let frames = VideoPacket::encode_tracks(&[vp9_frame(0, b"zero"), vp9_frame(3, b"three")])?;
    harness.push(tag(TagKind::Video, 0, &frames))?;
    harness.push(packet(200, &vp9_frame(7, b"seven"))?)?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0", "video_3", "video_7"]);
    for (pad, bytes) in [
        ("video_0", &b"zero"[..]),
        ("video_3", b"three"),
        ("video_7", b"seven"),
    ] {
        let of_pad = buffers(&seen, pad);
        assert_eq!(of_pad.into_iter().map(data).collect::<Vec<_>>(), [bytes]);
        let caps = all_caps(&seen, pad);
        assert_eq!(
            caps.first()
                .and_then(|caps| caps.structure(0)?.name().parse().ok()),
            Some("video/x-vp9".to_owned())
        );
    }
    Ok(())
}

#[test]
fn tracks_that_the_metadata_lists_are_waited_for() -> Result<()> {
    let harness = Harness::in_bytes()?;
    let info = gstrtmp::amf::Value::object([("width", 640.0)].map(|(key, value)| (key, value.into())));
    let map = gstrtmp::amf::Value::object([("1", info)]);
    harness.push(metadata(&[
        ("videocodecid", f64::from(FourCc::VP9.number()).into()),
        ("width", 1280.0.into()),
        ("height", 720.0.into()),
        ("videoTrackIdInfoMap", map),
    ]))?;
    harness.push(packet(0, &vp9_start(0))?)?;
    assert!(pads(&harness.look()).is_empty());
    harness.push(packet(0, &vp9_start(1))?)?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0", "video_1"]);
    for (pad, width) in [("video_0", 1280), ("video_1", 640)] {
        let caps = harness.pad(pad)?.current_caps().ok_or(Failure::new("no caps"))?;
        assert_eq!(
            caps.structure(0).and_then(|caps| caps.get("width").ok()),
            Some(width)
        );
    }
    Ok(())
}

#[test]
fn what_one_pad_refuses_does_not_stop_the_other() -> Result<()> {
    let harness = Harness::linking(|pad| pad == "audio_0")?;
    harness.segment_of_bytes();
    harness.push(header(true, true))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(audio(0, AAC_HEADER))?;
    assert_eq!(harness.push(video(0, KEY)), Ok(gst::FlowSuccess::Ok));
    assert_eq!(harness.push(audio(0, SOUND)), Ok(gst::FlowSuccess::Ok));
    assert_eq!(buffers(&harness.look(), "audio_0").len(), 1);

    let harness = Harness::linking(|_| false)?;
    harness.segment_of_bytes();
    harness.push(header(true, true))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(audio(0, AAC_HEADER))?;
    harness.push(video(0, KEY))?;
    assert_eq!(harness.push(audio(0, SOUND)), Err(gst::FlowError::NotLinked));
    Ok(())
}

#[test]
fn the_end_goes_to_every_pad() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(video(0, KEY))?;
    assert!(harness.look().is_empty());
    harness.eos();
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0"], "nothing more can be waited for");
    assert_eq!(times(&seen, "video_0"), [0]);
    assert!(matches!(seen.last(), Some(Seen::Event(_, event)) if event.type_() == gst::EventType::Eos));
    assert!(harness.error().is_none());
    Ok(())
}

#[test]
fn an_end_without_any_track_is_an_error() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(metadata(&[]))?;
    harness.eos();
    let error = harness.error().ok_or(Failure::new("no error"))?;
    assert!(error.matches(gst::StreamError::Demux), "{error}");
    assert!(
        error.message().contains("without any sound or picture"),
        "{error}"
    );
    Ok(())
}

#[test]
fn the_end_of_a_sequence_is_not_that_of_the_stream() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    for bytes in [
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
        video(0, KEY),
        video(40, b"\x17\x02\x00\x00\x00"),
        audio(4000, SOUND),
        video(5000, b"\x17\x00\x00\x00\x00\x01\x42\x00\x0a\xff\xe1\x00\x04\x67\x42\x00\x0a\x01\x00\x04\x68\xeb\xe3\xcb"),
        video(5000, DELTA),
        video(5040, KEY),
    ] {
        harness.push(bytes)?;
    }
    let seen = harness.look();
    assert!(events(&seen, "video_0", gst::EventType::Eos).is_empty());
    assert_eq!(
        gaps(&seen, "video_0"),
        [(0, None), (0, Some(4000))],
        "and while it is over, time goes on"
    );
    assert_eq!(all_caps(&seen, "video_0").len(), 2);
    assert_eq!(times(&seen, "video_0"), [0, 5040], "a key frame is awaited");
    let last = buffers(&seen, "video_0").pop().ok_or(Failure::new("no buffer"))?;
    assert!(last.flags().contains(gst::BufferFlags::DISCONT));
    Ok(())
}

#[test]
fn caps_change_with_headers_and_not_with_repeats() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    for bytes in [
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
        video(0, KEY),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
        video(40, DELTA),
    ] {
        harness.push(bytes)?;
    }
    let seen = harness.look();
    assert_eq!(all_caps(&seen, "video_0").len(), 1);
    assert_eq!(all_caps(&seen, "audio_0").len(), 1);
    harness.push(audio(40, b"\xaf\x00\x11\x90"))?;
    harness.push(audio(40, SOUND))?;
    let seen = harness.look();
    let rates: Vec<_> = all_caps(&seen, "audio_0")
        .iter()
        .filter_map(|caps| caps.structure(0)?.get::<i32>("rate").ok())
        .collect();
    assert_eq!(rates, [48_000]);
    Ok(())
}

#[test]
fn ready_is_a_new_start() -> Result<()> {
    let harness = Harness::in_bytes()?;
    let start = [
        header(true, true),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
        video(90_000, KEY),
    ];
    for bytes in start.clone() {
        harness.push(bytes)?;
    }
    harness.look();
    harness.element.set_state(gst::State::Ready)?;
    assert_eq!(harness.element.src_pads().len(), 0);
    harness.element.set_state(gst::State::Paused)?;
    harness.event(gst::event::StreamStart::new("again"));
    harness.segment_of_bytes();
    for bytes in start {
        harness.push(bytes)?;
    }
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0", "audio_0"]);
    assert_eq!(times(&seen, "video_0"), [90_000]);
    Ok(())
}

#[test]
fn headers_come_from_the_caps_if_the_stream_has_none() -> Result<()> {
    let headers = [
        header(true, true),
        metadata(&[("width", 64.0.into()), ("height", 48.0.into())]),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
    ];
    let harness = Harness::new()?;
    harness.caps(&headers)?;
    harness.segment_of_bytes();
    harness.push(video(1000, KEY))?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0", "audio_0"]);
    assert_eq!(times(&seen, "video_0"), [1000]);

    // A stream that begins as a file does has its own.
    let harness = Harness::new()?;
    harness.caps(&headers)?;
    harness.segment_of_bytes();
    harness.push(header(true, true))?;
    assert!(harness.look().is_empty());
    harness.push(audio(0, AAC_HEADER))?;
    assert!(pads(&harness.look()).is_empty());
    Ok(())
}

#[test]
fn frames_are_the_memory_that_came() -> Result<()> {
    let frame = [&b"\x17\x01\0\0\0\0\0\x13\x88\x65"[..], &[0x55; 4999]].concat();
    let harness = Harness::in_bytes()?;
    harness.push([header(true, true), video(0, AVC_HEADER), audio(0, AAC_HEADER)].concat())?;
    harness.look();
    let bytes = video(0, &frame);
    let whole = bytes.as_ptr_range();
    harness.push(bytes)?;
    // As from rtmpsrc: a memory for each of the tag's parts.
    let parts = video(40, &frame);
    let mut buffer = gst::Buffer::new();
    let inner = buffer.get_mut().ok_or(Failure::new("a new buffer is shared"))?;
    let body = parts.slice(11..11 + frame.len());
    let part = body.as_ptr_range();
    for piece in [parts.slice(..11), body, parts.slice(11 + frame.len()..)] {
        inner.append_memory(gst::Memory::from_slice(piece));
    }
    harness.src.push(buffer)?;
    let seen = harness.look();
    let out = buffers(&seen, "video_0");
    assert_eq!(out.len(), 2);
    for (buffer, range) in out.into_iter().zip([whole, part]) {
        let map = buffer.map_readable()?;
        let own = map.as_slice().as_ptr_range();
        assert!(range.contains(&own.start) && own.end <= range.end, "a copy");
    }
    Ok(())
}
