//! Timestamps, segments, and what breaks them.

use gst::prelude::*;

use crate::fixture::{
    AAC_HEADER, AVC_HEADER, DELTA, Harness, KEY, SOUND, all_caps, audio, buffers, events, gaps, header,
    millis, segments, times, video,
};
use crate::support::{Failure, Result};

/// A demuxer that has put out its pads.
fn started(harness: Harness) -> Result<Harness> {
    harness.push(header(true, true))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(audio(0, AAC_HEADER))?;
    Ok(harness)
}

fn seconds(seconds: u64) -> gst::ClockTime {
    gst::ClockTime::from_seconds(seconds)
}

#[test]
fn time_goes_on_over_the_wrap() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    harness.push(video(2_147_483_640, KEY))?;
    harness.push(video(4_294_967_280, KEY))?;
    harness.push(audio(4_294_967_290, SOUND))?;
    harness.push(video(24, DELTA))?;
    harness.push(audio(17, SOUND))?;
    let seen = harness.look();
    assert_eq!(
        times(&seen, "video_0"),
        [2_147_483_640, 4_294_967_280, (1 << 32) + 24]
    );
    assert_eq!(times(&seen, "audio_0"), [4_294_967_290, (1 << 32) + 17]);
    let resync = |buffer: &&gst::Buffer| buffer.flags().contains(gst::BufferFlags::RESYNC);
    assert!(!buffers(&seen, "video_0").iter().any(resync));
    Ok(())
}

#[test]
fn a_publisher_that_starts_over_goes_on_in_time() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    harness.push(video(60_000, KEY))?;
    harness.push(audio(60_010, SOUND))?;
    harness.push(video(0, KEY))?;
    harness.push(audio(10, SOUND))?;
    harness.push(video(40, DELTA))?;
    harness.push(audio(33, SOUND))?;
    let seen = harness.look();
    assert_eq!(times(&seen, "video_0"), [60_000, 60_010, 60_050]);
    assert_eq!(times(&seen, "audio_0"), [60_010, 60_020, 60_043]);
    for pad in ["video_0", "audio_0"] {
        let is_marked: Vec<_> = buffers(&seen, pad)
            .into_iter()
            .map(|buffer| buffer.flags() & (gst::BufferFlags::RESYNC | gst::BufferFlags::DISCONT))
            .skip(1)
            .collect();
        let both = gst::BufferFlags::RESYNC | gst::BufferFlags::DISCONT;
        assert_eq!(is_marked, [both, gst::BufferFlags::empty()], "{pad}");
    }
    Ok(())
}

#[test]
fn a_small_step_back_stands_still() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    for at in [1000, 1040, 990, 1080] {
        harness.push(video(at, KEY))?;
    }
    let seen = harness.look();
    let dts: Vec<_> = buffers(&seen, "video_0")
        .into_iter()
        .map(|buffer| millis(buffer.dts()))
        .collect();
    assert_eq!(dts, [Some(1000), Some(1040), Some(1040), Some(1080)]);
    Ok(())
}

#[test]
fn composition_times_may_be_negative() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    harness.push(video(100, b"\x17\x01\x00\x00\x28\x00\x00\x00\x02\x65\x88"))?;
    harness.push(video(140, b"\x27\x01\xff\xff\xd8\x00\x00\x00\x02\x41\x9a"))?;
    let seen = harness.look();
    let times: Vec<_> = buffers(&seen, "video_0")
        .into_iter()
        .map(|buffer| (millis(buffer.dts()), millis(buffer.pts())))
        .collect();
    assert_eq!(times, [(Some(100), Some(140)), (Some(140), Some(100))]);
    Ok(())
}

#[test]
fn bytes_get_a_segment_that_the_first_frame_starts() -> Result<()> {
    for (first, start) in [(0, 0), (999, 0), (7_200_000, 7_200_000)] {
        let harness = started(Harness::in_bytes()?)?;
        harness.push(video(first, KEY))?;
        let seen = harness.look();
        for pad in ["video_0", "audio_0"] {
            let segments = segments(&seen, pad)?;
            let starts: Vec<_> = segments.iter().map(|segment| millis(segment.start())).collect();
            assert_eq!(starts, [Some(start)], "{pad}");
        }
    }
    Ok(())
}

#[test]
fn of_frames_that_waited_the_earliest_starts_the_segment() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(video(50_000, AVC_HEADER))?;
    harness.push(video(50_000, KEY))?;
    harness.push(audio(49_980, AAC_HEADER))?;
    let seen = harness.look();
    assert_eq!(
        millis(
            segments(&seen, "video_0")?
                .first()
                .and_then(|segment| segment.start())
        ),
        Some(50_000)
    );

    let harness = Harness::in_bytes()?;
    harness.push(header(false, true))?;
    harness.push(video(50_000, AVC_HEADER))?;
    harness.push(video(50_000, b"\x17\x01\xff\xff\xd8\x00\x00\x00\x02\x65\x88"))?;
    harness.push(audio(49_970, AAC_HEADER))?;
    harness.push(audio(49_970, SOUND))?;
    harness.push(video(50_200, DELTA))?;
    let seen = harness.look();
    let segment = segments(&seen, "audio_0")?
        .pop()
        .ok_or(Failure::new("no segment"))?;
    assert_eq!(millis(segment.start()), Some(49_960));
    Ok(())
}

#[test]
fn a_segment_in_time_is_taken_over() -> Result<()> {
    let harness = Harness::new()?;
    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
    segment.set_start(seconds(7));
    segment.set_base(seconds(3));
    segment.set_offset(seconds(1));
    let event = gst::event::Segment::new(&segment);
    let seqnum = event.seqnum();
    harness.event(event);
    let harness = started(harness)?;
    harness.push_at(7000, video(7000, KEY))?;
    harness.push_at(7010, audio(7010, SOUND))?;
    let seen = harness.look();
    for pad in ["video_0", "audio_0"] {
        assert_eq!(segments(&seen, pad)?, [segment.clone()], "{pad}");
        let events = events(&seen, pad, gst::EventType::Segment);
        assert!(events.iter().all(|event| event.seqnum() == seqnum), "{pad}");
    }
    assert_eq!(
        (times(&seen, "video_0"), times(&seen, "audio_0")),
        (vec![7000], vec![7010])
    );

    // Another one, as after a pause of the sender.
    segment.set_base(seconds(20));
    harness.event(gst::event::Segment::new(&segment));
    harness.push_at(7500, video(7500, KEY))?;
    let seen = harness.look();
    assert_eq!(segments(&seen, "audio_0")?, [segment]);
    assert_eq!(times(&seen, "video_0"), [7500]);
    Ok(())
}

#[test]
fn frames_are_where_their_buffers_are_and_keep_their_distance() -> Result<()> {
    // flvmux counts tags from 0, whatever the running time.
    let harness = Harness::new()?;
    harness.segment_in_time();
    let harness = started(harness)?;
    harness.push_at(90_000, video(0, KEY))?;
    harness.push_at(90_037, video(40, DELTA))?;
    harness.push_at(90_020, audio(23, SOUND))?;
    let seen = harness.look();
    assert_eq!(times(&seen, "video_0"), [90_000, 90_040], "no jitter of arrival");
    assert_eq!(times(&seen, "audio_0"), [90_023]);
    // And rtmpsrc after 49.7 days has buffers that go on, and tags that do not.
    let wrapped = (1 << 32) + 500;
    harness.segment_in_time();
    harness.push_at(wrapped, video(500, KEY))?;
    assert_eq!(times(&harness.look(), "video_0"), [wrapped]);
    Ok(())
}

#[test]
fn a_flush_passes_and_starts_anew_at_a_key_frame() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    harness.push(video(60_000, KEY))?;
    let half = video(60_040, DELTA);
    harness.push(half.slice(..half.len() / 2))?;
    harness.look();
    harness.event(gst::event::FlushStart::new());
    assert_eq!(harness.push(video(60_080, DELTA)), Err(gst::FlowError::Flushing));
    harness.event(gst::event::FlushStop::new(true));
    harness.segment_of_bytes();
    for bytes in [video(10_000, DELTA), audio(10_010, SOUND), video(10_040, KEY)] {
        harness.push(bytes)?;
    }
    let seen = harness.look();
    for pad in ["video_0", "audio_0"] {
        assert_eq!(events(&seen, pad, gst::EventType::FlushStart).len(), 1, "{pad}");
        assert_eq!(events(&seen, pad, gst::EventType::FlushStop).len(), 1, "{pad}");
        let segments = segments(&seen, pad)?;
        assert_eq!(segments.len(), 1, "{pad}");
        let first = buffers(&seen, pad).first().map(|buffer| buffer.flags());
        assert!(first.is_some_and(|flags| flags.contains(gst::BufferFlags::DISCONT)));
    }
    assert_eq!(
        (times(&seen, "video_0"), times(&seen, "audio_0")),
        (vec![10_040], vec![10_010])
    );
    Ok(())
}

#[test]
fn caps_that_a_flush_has_cut_off_come_after_it() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    let pad = harness.pad("video_0")?;
    let refusal = pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        info.flow_res = Err(gst::FlowError::Flushing);
        gst::PadProbeReturn::Handled
    });
    let renewed =
        b"\x17\x00\x00\x00\x00\x01\x42\x00\x0a\xff\xe1\x00\x04\x67\x42\x00\x0a\x01\x00\x04\x68\xeb\xe3\xcb";
    let bytes = [video(40, KEY), video(80, renewed), video(80, KEY)].concat();
    assert_eq!(harness.push(bytes), Err(gst::FlowError::Flushing));
    pad.remove_probe(refusal.ok_or(Failure::new("no probe"))?);
    harness.event(gst::event::FlushStart::new());
    harness.event(gst::event::FlushStop::new(true));
    harness.segment_of_bytes();
    for timestamp in [120, 160] {
        harness.push(video(timestamp, KEY))?;
    }
    let seen = harness.look();
    let profiles: Vec<_> = all_caps(&seen, "video_0")
        .iter()
        .filter_map(|caps| caps.structure(0)?.get::<String>("profile").ok())
        .collect();
    assert_eq!(profiles.last().map(String::as_str), Some("baseline"));
    assert_eq!(times(&seen, "video_0"), [120, 160]);
    Ok(())
}

#[test]
fn a_track_that_is_silent_does_not_hold_up_the_other() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    for second in 0..8 {
        harness.push(video(second * 1000, KEY))?;
    }
    let seen = harness.look();
    assert_eq!(gaps(&seen, "audio_0"), [(0, Some(4000))]);
    assert!(gaps(&seen, "video_0").is_empty());
    harness.push(audio(7000, SOUND))?;
    for second in 7..15 {
        harness.push(audio(second * 1000, SOUND))?;
    }
    let seen = harness.look();
    assert!(
        gaps(&seen, "video_0").is_empty(),
        "its decoder would need a key frame next"
    );
    Ok(())
}

#[test]
fn silence_is_a_gap_once() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    harness.push(audio(0, SOUND))?;
    harness.push(video(40, KEY))?;
    for at in [46, 69, 92] {
        harness.push(audio(at, b""))?;
    }
    harness.push(audio(115, SOUND))?;
    harness.push(audio(138, b""))?;
    let seen = harness.look();
    assert_eq!(gaps(&seen, "audio_0"), [(40, None), (115, None)]);
    assert_eq!(times(&seen, "audio_0"), [0, 115]);
    Ok(())
}

#[test]
fn timestamps_that_leap_on_and_on_stay_within_what_can_be_told() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    // One that is smaller starts over, one that is larger by less than half the range leaps forward.
    for timestamp in [0x7fff_ffff, 0xffff_fffe].into_iter().cycle().take(20_000) {
        harness.push(video(timestamp, KEY))?;
    }
    let times = times(&harness.look(), "video_0");
    assert!(times.is_sorted(), "time goes backward");
    assert!(harness.error().is_none());
    Ok(())
}
