//! Live pipelines, on a clock that the test sets.

use gst::prelude::*;
use gst_check::{Harness, TestClock};

use crate::fixture::{AAC, AVC, frame};
use crate::support::{Failure, Result, pipeline, wait};

const UPSTREAM: gst::ClockTime = gst::ClockTime::from_mseconds(30);
const OWN: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// A live muxer with a video pad that is fed and an audio pad that is silent until a test has it speak.
struct Live {
    video: Harness,
    audio: Harness,
}

impl Live {
    fn new() -> Result<Self> {
        pipeline::register()?;
        let mux = gst::ElementFactory::make("rtmpmux")
            .property("latency", OWN.nseconds())
            .build()?;
        let mut video = Harness::with_element(&mux, Some("video_0"), Some("src"));
        let mut audio = Harness::with_element(&mux, Some("audio_0"), None);
        video.use_testclock();
        for (harness, caps) in [(&mut video, AVC), (&mut audio, AAC)] {
            harness.set_live(true);
            harness.set_upstream_latency(UPSTREAM);
            harness.set_src_caps_str(caps);
        }
        // A harness plays from the start, when the muxer may have asked for a latency that had not been set.
        let live = Self { video, audio };
        latency(&live)?;
        Ok(live)
    }

    fn clock(&self) -> Result<TestClock> {
        self.video
            .testclock()
            .ok_or(Failure::new("the harness has no clock"))
    }

    /// Waits until the muxer waits for the clock, and gives the time until when.
    fn deadline(&mut self) -> Result<gst::ClockTime> {
        let clock = self.clock()?;
        wait::until("the muxer to wait", wait::LONG, || {
            clock.peek_next_pending_id().and_then(|id| id.time().into())
        })
    }

    /// Data of the next tag that is a frame, by its first byte.
    fn next_frame(&mut self) -> Result<Option<u8>> {
        loop {
            let buffer = self.video.pull()?;
            if buffer.flags().contains(gst::BufferFlags::HEADER) {
                continue;
            }
            let map = buffer.map_readable()?;
            return Ok(map.iter().rev().nth(4).copied());
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // While a harness goes, the muxer must neither push into it nor ask it for its latency.
        if let Some(element) = self.video.element() {
            let _ = element.set_state(gst::State::Null);
        }
    }
}

#[test]
fn latency_is_that_of_upstream_and_its_own() -> Result<()> {
    let live = Live::new()?;
    let (is_live, min, max) = latency(&live)?;
    assert!(is_live);
    assert_eq!(min, UPSTREAM + OWN);
    assert!(max.is_none_or(|max| max >= min));
    Ok(())
}

fn latency(live: &Live) -> Result<(bool, gst::ClockTime, Option<gst::ClockTime>)> {
    let mut query = gst::query::Latency::new();
    let pad = live
        .video
        .element()
        .and_then(|element| element.static_pad("src"))
        .ok_or(Failure::new("there is no source pad"))?;
    wait::until("an answer", wait::LONG, || pad.query(&mut query).then_some(()))?;
    Ok(query.result())
}

#[test]
fn sound_waits_for_pictures_that_are_decoded_early() -> Result<()> {
    let mut live = Live::new()?;
    let early = gst::ClockTime::from_mseconds(80);
    let due = gst::ClockTime::from_mseconds(20);
    live.video.push(frame(b"i", 80).dts(0).buffer())?;
    live.audio.push(frame(b"a", due.mseconds()).buffer())?;
    assert_eq!(live.next_frame()?, Some(b'i'));
    assert_eq!(live.deadline()?, due + UPSTREAM + OWN + early);
    assert_eq!(latency(&live)?.1, UPSTREAM + OWN + early);
    // A picture that is due ahead of it is still in time.
    live.video.push(frame(b"p", 160).dts(10).delta().buffer())?;
    assert_eq!(live.next_frame()?, Some(b'p'));
    Ok(())
}

#[test]
fn a_silent_pad_holds_nobody_up_beyond_the_latency() -> Result<()> {
    let mut live = Live::new()?;
    live.video.push(frame(b"v", 0).buffer())?;
    live.video.push(frame(b"w", 40).dts(40).buffer())?;
    let deadline = live.deadline()?;
    assert_eq!(deadline, UPSTREAM + OWN, "of what is due at 0");
    assert_eq!(live.video.buffers_in_queue(), 0, "nothing goes out before");
    live.video.crank_single_clock_wait()?;
    assert_eq!(live.next_frame()?, Some(b'v'));

    let deadline = live.deadline()?;
    let due = gst::ClockTime::from_mseconds(40);
    assert_eq!(deadline, due + UPSTREAM + OWN);
    live.video.crank_single_clock_wait()?;
    assert_eq!(live.next_frame()?, Some(b'w'));
    Ok(())
}

#[test]
fn nobody_waits_where_all_pads_have_something() -> Result<()> {
    let mut live = Live::new()?;
    live.video.push(frame(b"v", 20).buffer())?;
    live.audio.push(frame(b"a", 0).buffer())?;
    // The clock stands still.
    assert_eq!(live.next_frame()?, Some(b'a'));
    live.audio.push(frame(b"b", 23).buffer())?;
    assert_eq!(live.next_frame()?, Some(b'v'));
    Ok(())
}

#[test]
fn a_pad_that_speaks_late_is_heard() -> Result<()> {
    let mut live = Live::new()?;
    live.video.push(frame(b"v", 0).buffer())?;
    live.deadline()?;
    live.video.crank_single_clock_wait()?;
    assert_eq!(live.next_frame()?, Some(b'v'));
    // Its time has passed, but nothing is lost.
    live.audio.push(frame(b"a", 0).buffer())?;
    live.deadline()?;
    live.video.crank_single_clock_wait()?;
    assert_eq!(live.next_frame()?, Some(b'a'));
    Ok(())
}

#[test]
fn buffers_without_timestamps_go_out_at_once() -> Result<()> {
    let mut live = Live::new()?;
    let mut untimed = frame(b"u", 0);
    untimed.pts = None;
    live.audio.push(frame(b"a", 500).buffer())?;
    live.video.push(untimed.buffer())?;
    assert_eq!(live.next_frame()?, Some(b'u'));
    Ok(())
}
