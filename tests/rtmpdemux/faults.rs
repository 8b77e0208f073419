//! Input that is broken, unknown or short, and how far the stream goes on.

use gst::prelude::*;
use gstrtmp::flv::TagKind;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fixture::{
    AAC_HEADER, AVC_HEADER, DELTA, Harness, KEY, SOUND, audio, buffers, header, metadata, pads, script, tag,
    times, video,
};
use crate::support::{Failure, Result};

fn started() -> Result<Harness> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(audio(0, AAC_HEADER))?;
    harness.look();
    harness.messages();
    Ok(harness)
}

#[test]
fn tags_that_hold_nothing_are_passed_over() -> Result<()> {
    let harness = started()?;
    for empty in [
        video(0, b""),
        video(0, b"\x17\x01\x00\x00\x00"),
        audio(0, b"\xaf\x01"),
        tag(TagKind::Script, 0, b""),
        tag(TagKind::ScriptAmf3, 0, b""),
        tag(TagKind::Unknown(20), 0, b"whatever"),
    ] {
        harness.push(empty)?;
    }
    harness.push(video(40, KEY))?;
    let seen = harness.look();
    assert_eq!(times(&seen, "video_0"), [40]);
    assert!(buffers(&seen, "audio_0").is_empty());
    assert!(harness.warnings().is_empty());
    Ok(())
}

#[test]
fn broken_tags_are_warned_of_once_and_left_out() -> Result<()> {
    let harness = started()?;
    let start = header(true, true).len() + video(0, AVC_HEADER).len() + audio(0, AAC_HEADER).len();
    for at in 0..3 {
        harness.push(video(at, b"\x17\x01\x00"))?;
        harness.push(audio(at, b"\xaf"))?;
        harness.push(tag(TagKind::Script, at, b"\x05"))?;
    }
    harness.push(video(40, KEY))?;
    harness.push(audio(40, SOUND))?;
    let seen = harness.look();
    assert_eq!(
        (times(&seen, "video_0"), times(&seen, "audio_0")),
        (vec![40], vec![40])
    );
    let warnings = harness.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(
        warnings
            .iter()
            .any(|text| text.contains(&format!("byte {start} (Video)"))),
        "{warnings:?}"
    );
    Ok(())
}

#[test]
fn broken_headers_leave_the_other_track() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(video(0, b"\x17\x00\x00\x00\x00\x07"))?;
    harness.push(audio(0, AAC_HEADER))?;
    for at in (0..=200).step_by(20) {
        harness.push(video(at, DELTA))?;
        harness.push(audio(at, SOUND))?;
    }
    let seen = harness.look();
    assert_eq!(pads(&seen), ["audio_0"]);
    assert_eq!(buffers(&seen, "audio_0").len(), 11);
    let warnings = harness.warnings();
    assert_eq!(warnings.len(), 2, "the header, and frames without: {warnings:?}");
    Ok(())
}

#[test]
fn codecs_that_are_not_known_are_not_waited_for() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(audio(0, AAC_HEADER))?;
    harness.push(video(0, b"\x91ABCDwhatever"))?;
    harness.push(video(40, b"\xa1ABCDwhatever"))?;
    assert_eq!(pads(&harness.look()), ["audio_0"]);
    let warnings = harness.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings.iter().all(|text| text.contains("ABCD")), "{warnings:?}");
    Ok(())
}

#[test]
fn encrypted_tags_are_warned_of_once() -> Result<()> {
    let harness = started()?;
    for at in [0, 40] {
        let mut encrypted = video(at, KEY).to_vec();
        if let Some(first) = encrypted.first_mut() {
            *first |= 0x20;
        }
        harness.push(encrypted)?;
    }
    harness.push(audio(40, SOUND))?;
    let seen = harness.look();
    assert!(buffers(&seen, "video_0").is_empty());
    assert_eq!(times(&seen, "audio_0"), [40]);
    assert_eq!(harness.warnings().len(), 1);
    Ok(())
}

#[test]
fn more_tracks_than_anybody_has_are_left_out() -> Result<()> {
    let harness = Harness::in_bytes()?;
    for track in 0..40_u8 {
        let body = [&b"\x95\x01Opus"[..], &[track], b"\xfc\xff\xfe"].concat();
        harness.push(audio(0, &body))?;
    }
    harness.push(audio(200, b"\x91Opus\xfc\xff\xfe"))?;
    assert_eq!(pads(&harness.look()).len(), 16);
    assert_eq!(harness.warnings().len(), 1);
    Ok(())
}

#[test]
fn what_is_no_flv_is_an_error_that_names_the_byte() -> Result<()> {
    let harness = Harness::in_bytes()?;
    assert_eq!(
        harness.push(&b"\x00\x00\x00\x20ftypisom"[..]),
        Err(gst::FlowError::Error)
    );
    let error = harness.error().ok_or(Failure::new("no error"))?;
    assert!(error.matches(gst::StreamError::Demux), "{error}");
    assert!(error.message().contains("not FLV at byte 0"), "{error}");

    let harness = started()?;
    let start = header(true, true).len() + video(0, AVC_HEADER).len() + audio(0, AAC_HEADER).len();
    let last = audio(0, SOUND);
    let broken = [&last[..], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"].concat();
    assert_eq!(harness.push(broken), Err(gst::FlowError::Error));
    assert_eq!(
        times(&harness.look(), "audio_0"),
        [0],
        "what came before is not lost"
    );
    let error = harness.error().ok_or(Failure::new("no error"))?;
    let byte = format!("not FLV at byte {}", start + last.len());
    assert!(error.message().contains(&byte), "{error}");
    Ok(())
}

#[test]
fn a_file_that_is_cut_short_ends_where_it_does() -> Result<()> {
    let harness = started()?;
    harness.push(video(0, KEY))?;
    let cut = video(40, DELTA);
    harness.push(cut.slice(..cut.len() - 5))?;
    harness.eos();
    let seen = harness.look();
    assert_eq!(times(&seen, "video_0"), [0]);
    assert!(harness.error().is_none());
    Ok(())
}

#[test]
fn lost_bytes_cost_the_frames_up_to_a_key_frame() -> Result<()> {
    let harness = started()?;
    harness.push(video(0, KEY))?;
    let cut = video(40, DELTA);
    harness.push(cut.slice(..cut.len() - 5))?;
    let mut next = gst::Buffer::from_slice([video(80, DELTA), audio(80, SOUND), video(120, KEY)].concat());
    let inner = next.get_mut().ok_or(Failure::new("a new buffer is shared"))?;
    inner.set_flags(gst::BufferFlags::DISCONT);
    harness.src.push(next)?;
    let seen = harness.look();
    assert_eq!(
        (times(&seen, "video_0"), times(&seen, "audio_0")),
        (vec![0, 120], vec![80])
    );
    Ok(())
}

#[test]
fn metadata_that_lies_does_no_harm() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(metadata(&[
        ("hasVideo", false.into()),
        ("hasAudio", false.into()),
        ("width", (-1.0).into()),
        ("framerate", f64::INFINITY.into()),
        ("duration", f64::NAN.into()),
        ("audiodatarate", f64::MAX.into()),
        ("videodatarate", "many".into()),
    ]))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(audio(0, AAC_HEADER))?;
    harness.push(video(0, KEY))?;
    harness.push(audio(0, SOUND))?;
    let seen = harness.look();
    assert_eq!(pads(&seen), ["video_0", "audio_0"]);
    assert!(
        harness
            .pad("video_0")?
            .query_duration::<gst::ClockTime>()
            .is_none()
    );
    Ok(())
}

/// A stream of everything, for spoiling.
fn everything() -> Vec<u8> {
    let text = script(0, "onTextData", "text".into());
    let multitrack = video(
        10,
        b"\xa6\x21hvc1\x00\0\0\x07\0\0\0\0\0\x02\x02av01\x01\0\0\x01\x32",
    );
    [
        header(true, true),
        metadata(&[("width", 64.0.into()), ("height", 48.0.into())]),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
        video(0, KEY),
        audio(5, SOUND),
        text,
        multitrack,
        video(40, DELTA),
        audio(28, b"\x95\x01Opus\x01\xfc\xff\xfe"),
        video(80, b"\x17\x02\x00\x00\x00"),
    ]
    .concat()
}

proptest! {
    #[test]
    fn spoiled_streams_never_panic(
        spoiled in vec((any::<Index>(), any::<u8>()), 0..12),
        pieces in vec(1..200_usize, 1..20),
    ) {
        let mut stream = everything();
        for (index, byte) in spoiled {
            let index = index.index(stream.len());
            if let Some(spoiled) = stream.get_mut(index) {
                *spoiled = byte;
            }
        }
        let harness = Harness::in_bytes().map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        let mut rest = stream.as_slice();
        for size in pieces.into_iter().cycle() {
            let (piece, behind) = rest.split_at(size.min(rest.len()));
            rest = behind;
            if piece.is_empty() || harness.push(piece.to_vec()).is_err() {
                break;
            }
        }
        harness.eos();
        // A panic becomes an error of the library's domain.
        let error = harness.error().filter(|error| !error.matches(gst::StreamError::Demux));
        prop_assert!(error.is_none(), "{error:?}");
    }
}
