//! What the source pads are asked, and what they pass on.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use crate::fixture::{AAC_HEADER, AVC_HEADER, Harness, KEY, SOUND, audio, header, lock, metadata, video};
use crate::support::{Failure, Result};

fn seconds(seconds: u64) -> gst::ClockTime {
    gst::ClockTime::from_seconds(seconds)
}

fn started(harness: Harness) -> Result<Harness> {
    for bytes in [
        header(true, true),
        metadata(&[("duration", 12.5.into())]),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
        video(5000, KEY),
        audio(7000, SOUND),
    ] {
        harness.push(bytes)?;
    }
    Ok(harness)
}

#[test]
fn recordings_know_how_long_they_are_and_where() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    let pad = harness.pad("audio_0")?;
    let duration = Some(gst::ClockTime::from_mseconds(12_500));
    assert_eq!(pad.query_duration::<gst::ClockTime>(), duration);
    assert_eq!(
        pad.query_position::<gst::ClockTime>(),
        Some(seconds(2)),
        "since the first frame"
    );
    Ok(())
}

#[test]
fn a_duration_that_nobody_knows_is_not_told() -> Result<()> {
    for unknown in [0.0, 86_400.0, -1.0] {
        let harness = Harness::in_bytes()?;
        harness.push(header(true, false))?;
        harness.push(metadata(&[
            ("duration", unknown.into()),
            ("audiocodecid", 10.0.into()),
        ]))?;
        harness.push(audio(0, AAC_HEADER))?;
        let pad = harness.pad("audio_0")?;
        assert_eq!(pad.query_duration::<gst::ClockTime>(), None, "{unknown}");
    }
    Ok(())
}

#[test]
fn there_is_no_seeking() -> Result<()> {
    let harness = started(Harness::in_bytes()?)?;
    let pad = harness.pad("video_0")?;
    let mut query = gst::query::Seeking::new(gst::Format::Time);
    assert!(pad.query(&mut query));
    assert!(!query.result().0);
    Ok(())
}

#[test]
fn what_upstream_knows_is_asked() -> Result<()> {
    let harness = Harness::new()?;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let source = gst::Pad::builder(gst::PadDirection::Src)
        .query_function(|pad, parent, query| match query.view_mut() {
            gst::QueryViewMut::Latency(latency) => {
                latency.set(true, seconds(1), gst::ClockTime::NONE);
                true
            }
            gst::QueryViewMut::Duration(duration) if duration.format() == gst::Format::Time => {
                duration.set(seconds(99));
                true
            }
            gst::QueryViewMut::Seeking(seeking) => {
                seeking.set(true, gst::ClockTime::ZERO, seconds(99));
                true
            }
            _ => gst::Pad::query_default(pad, parent, query),
        })
        .event_function(move |_, _, event| {
            lock(&log).push(event.type_());
            true
        })
        .build();
    let sink = harness
        .element
        .static_pad("sink")
        .ok_or(Failure::new("no sink"))?;
    harness.src.unlink(&sink)?;
    source.set_active(true)?;
    source.link(&sink)?;
    source.push_event(gst::event::StreamStart::new("upstream"));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    source.push_event(gst::event::Segment::new(&segment));
    for bytes in [header(true, true), video(0, AVC_HEADER), audio(0, AAC_HEADER)] {
        source.push(gst::Buffer::from_slice(bytes))?;
    }
    let pad = harness.pad("video_0")?;
    let mut latency = gst::query::Latency::new();
    assert!(pad.query(&mut latency));
    assert_eq!(latency.result(), (true, seconds(1), None));
    assert_eq!(pad.query_duration::<gst::ClockTime>(), Some(seconds(99)));
    let mut seeking = gst::query::Seeking::new(gst::Format::Time);
    assert!(pad.query(&mut seeking) && seeking.result().0);
    lock(&asked).clear();
    let qos = gst::event::Qos::builder(gst::QOSType::Overflow, 1.0, 0).build();
    assert!(pad.send_event(qos));
    assert!(pad.send_event(gst::event::Latency::new(seconds(1))));
    let flags = gst::SeekFlags::FLUSH;
    assert!(pad.send_event(gst::event::Seek::new(
        1.0,
        flags,
        gst::SeekType::Set,
        seconds(3),
        gst::SeekType::None,
        gst::ClockTime::NONE,
    )));
    assert_eq!(
        *lock(&asked),
        [gst::EventType::Qos, gst::EventType::Latency, gst::EventType::Seek]
    );
    source.set_active(false)?;
    Ok(())
}
