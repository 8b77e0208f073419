//! What GStreamer's flvdemux gets wrong, up to 1.28, as far as no other test of this program is about it.

use gstrtmp::flv::TagKind;

use crate::fixture::{
    AAC_HEADER, Harness, KEY, SOUND, all_caps, audio, buffers, data, events, header, millis, pads, tag,
    times, video,
};
use crate::support::{Failure, Result};

/// A record of VP9 and one of AV1 for tracks 0 and 2 of one tag.
const TWO_CODECS: &[u8] = b"\x96\x20\
    vp09\x00\0\0\x0c\x01\0\0\0\0\x0a\x82\x01\x01\x01\0\0\
    av01\x02\0\0\x10\x81\0\x0c\0\x0a\x0a\0\0\0\x02\xaf\xff\x80\x5f\0\x08";

#[test]
fn the_end_of_a_sequence_of_sound_is_not_that_of_the_stream() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, false))?;
    for (timestamp, body) in [
        (0, &b"\x90mp4a\x12\x10"[..]),
        (0, b"\x91mp4a\x21\x10\x05"),
        (23, b"\x92mp4a"),
        (300, b"\x91mp4a\x21\x10\x06"),
    ] {
        harness.push(audio(timestamp, body))?;
    }
    let seen = harness.look();
    assert!(events(&seen, "audio_0", gst::EventType::Eos).is_empty());
    assert_eq!(times(&seen, "audio_0"), [0, 300]);
    Ok(())
}

#[test]
fn h265_of_number_12_has_caps_and_composition_times() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(false, true))?;
    let record = b"\x1c\0\0\0\0\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x1e\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\0";
    harness.push(video(0, record))?;
    harness.push(video(0, b"\x1c\x01\0\0\x28\0\0\0\x02\x26\x01"))?;
    harness.push(video(200, b"\x2c\x01\xff\xff\xd8\0\0\0\x02\x02\x01"))?;
    let seen = harness.look();
    let caps = all_caps(&seen, "video_0");
    let structure = caps.first().and_then(|caps| caps.structure(0));
    let structure = structure.ok_or(Failure::new("there are no caps"))?;
    assert_eq!(structure.name(), "video/x-h265");
    assert!(structure.has_field("codec_data"));
    let frames: Vec<_> = buffers(&seen, "video_0")
        .into_iter()
        .map(|buffer| (millis(buffer.dts()), millis(buffer.pts()), data(buffer)))
        .collect();
    assert_eq!(
        frames,
        [
            (Some(0), Some(40), b"\0\0\0\x02\x26\x01".to_vec()),
            (Some(200), Some(160), b"\0\0\0\x02\x02\x01".to_vec()),
        ]
    );
    Ok(())
}

#[test]
fn av1_has_no_composition_times_to_skip() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(false, true))?;
    harness.push(video(
        0,
        b"\x90av01\x81\0\x0c\0\x0a\x0a\0\0\0\x02\xaf\xff\x80\x5f\0\x08",
    ))?;
    harness.push(video(40, b"\x91av01\x32\x01\x10"))?;
    harness.push(video(240, b"\xa3av01\x32\x01\x11"))?;
    let seen = harness.look();
    let frames: Vec<_> = buffers(&seen, "video_0")
        .into_iter()
        .map(|buffer| (millis(buffer.pts()), data(buffer)))
        .collect();
    assert_eq!(
        frames,
        [
            (Some(40), b"\x32\x01\x10".to_vec()),
            (Some(240), b"\x32\x01\x11".to_vec()),
        ]
    );
    Ok(())
}

#[test]
fn the_order_of_channels_is_no_sound() -> Result<()> {
    for order in [
        &b"\x94mp4a\x01\x06\0\0\0\x3f"[..],
        b"\x94mp4a\x02\x02\0\x01",
        b"\x94mp4a\0\x06",
    ] {
        let harness = Harness::in_bytes()?;
        harness.push(header(true, false))?;
        harness.push(audio(0, b"\x90mp4a\x12\x10"))?;
        harness.push(audio(0, order))?;
        harness.push(audio(0, b"\x91mp4a\x21\x10\x05"))?;
        harness.push(audio(200, b"\x91mp4a\x21\x10\x06"))?;
        let seen = harness.look();
        let frames: Vec<_> = buffers(&seen, "audio_0").into_iter().map(data).collect();
        assert_eq!(frames, [b"\x21\x10\x05", b"\x21\x10\x06"]);
        assert!(harness.warnings().is_empty());
    }
    Ok(())
}

#[test]
fn tracks_of_several_codecs_in_one_tag_have_their_pads() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(false, true))?;
    harness.push(tag(TagKind::Video, 0, TWO_CODECS))?;
    let frames = b"\x96\x21vp09\0\0\0\x02\x82\x49av01\x02\0\0\x03\x32\x01\x10";
    harness.push(tag(TagKind::Video, 0, frames))?;
    harness.push(tag(TagKind::Video, 240, frames))?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0", "video_2"]);
    for (pad, name, frame) in [
        ("video_0", "video/x-vp9", &b"\x82\x49"[..]),
        ("video_2", "video/x-av1", b"\x32\x01\x10"),
    ] {
        let caps = all_caps(&seen, pad);
        let names: Vec<_> = caps.iter().filter_map(|caps| caps.structure(0)).collect();
        assert!(names.iter().all(|structure| structure.name() == name), "{caps:?}");
        let frames: Vec<_> = buffers(&seen, pad).into_iter().map(data).collect();
        assert_eq!(frames, [frame, frame]);
    }
    Ok(())
}

#[test]
fn an_end_without_frames_does_not_end_the_other_track() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(audio(0, AAC_HEADER))?;
    harness.push(video(0, b"\x17\x02\0\0\0"))?;
    harness.push(audio(0, SOUND))?;
    harness.push(audio(250, SOUND))?;
    let seen = harness.look();
    assert_eq!(times(&seen, "audio_0"), [0, 250]);
    // Nothing can be decoded of what has no header.
    harness.push(video(300, KEY))?;
    assert_eq!(pads(&harness.look()), Vec::<String>::new());
    Ok(())
}
