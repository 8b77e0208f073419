//! A live source at the edge of its stream: bursts at the start, pauses and flushes.

use std::time::{Duration, Instant};

use gst::prelude::*;

use super::fixture::*;
use crate::support::wait::{self, LONG};
use crate::support::{Failure, Result};

/// What a server has cached: two seconds.
const CACHED: u32 = 50;

/// How much of the stream a sink showed and dropped.
fn shown_and_dropped(source: &Source) -> Result<(u64, u64)> {
    let sink = source
        .sink
        .downcast_ref::<gst::Bin>()
        .and_then(|bin| bin.iterate_sinks().into_iter().flatten().next())
        .ok_or(Failure::new("the bin has no sink"))?;
    let stats: gst::Structure = sink.property("stats");
    Ok((stats.get("rendered")?, stats.get("dropped")?))
}

#[test]
fn a_burst_is_played_to_its_last_frame_in_smooth_mode() -> Result<()> {
    let server = stream_of([video_start(), group(5000, CACHED)].concat())?;
    let source = Source::before(
        "fakesink sync=true qos=true max-lateness=20000000",
        &server.url("live", "key"),
        &[],
    )?;
    let tags = source.run()?;
    assert_eq!(tags.len(), 2 + CACHED as usize);
    assert_eq!(
        source.segments()[0].0.start(),
        Some(gst::ClockTime::from_seconds(5))
    );
    // The file header as well.
    assert_eq!(shown_and_dropped(&source)?, (3 + u64::from(CACHED), 0));
    Ok(())
}

#[test]
fn the_end_of_a_burst_is_due_at_once_in_lowest_latency_mode() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &[video_start(), group(5000, CACHED)].concat())?;
        client.wait_for_cue()?;
        send(client, 1, &[video(5000 + 40 * CACHED, INTER_FRAME)])?;
        finish(client, 1)
    })?;
    let source = Source::before(
        "fakesink sync=true",
        &server.url("live", "key"),
        &[("start-mode", "lowest-latency"), ("latency", "0")],
    )?;
    source.play()?;
    source.wait_for_tags(2 + CACHED as usize)?;
    let edge = gst::ClockTime::from_mseconds(u64::from(5000 + 40 * (CACHED - 1)));
    let [(segment, at)] = &source.segments()[..] else {
        return Err(Failure::new(format!("not one segment: {:?}", source.segments())));
    };
    assert_eq!(segment.start(), Some(edge));
    assert!(segment.base().unwrap_or_default() <= *at, "due now");
    server.cue();
    source.wait_for_eos()?;
    // All goes to the decoder, in order and from the key frame on; the segment keeps it from being shown.
    let frames = source.tags()?.split_off(2);
    assert_eq!(frames, group(5000, CACHED + 1));
    let times: Vec<_> = source.buffers().iter().map(|buffer| buffer.dts()).collect();
    assert!(times.is_sorted(), "{times:?}");
    Ok(())
}

#[test]
fn a_live_stream_without_a_burst_starts_quickly_in_lowest_latency_mode() -> Result<()> {
    let server = playing(|client| {
        send(client, 1, &video_start())?;
        // Audio and video at their own pace never leave a pause that would end a burst.
        let started = Instant::now();
        for n in 0..400 {
            wait::until("the next frame's time", LONG, || {
                (started.elapsed() >= Duration::from_millis(5 * n)).then_some(())
            })?;
            let at = u32::try_from(5 * n)?;
            let body = if n == 0 { KEY_FRAME } else { INTER_FRAME };
            if client.send_media(1, 9, at, body).is_err() {
                break;
            }
        }
        client.read_to_end()
    })?;
    let source = Source::with(&server.url("live", "key"), &[("start-mode", "lowest-latency")])?;
    source.play()?;
    source.wait_for_tags(3)?;
    let (segment, _) = &source.segments()[0];
    // On a loaded machine it takes longer, but not the two seconds that a burst may.
    assert!(
        segment.start() < Some(gst::ClockTime::from_mseconds(1500)),
        "{segment:?}"
    );
    Ok(())
}

#[test]
fn a_stream_that_ends_with_its_burst_is_played_in_lowest_latency_mode() -> Result<()> {
    for how in ["end", "close"] {
        let server = playing(move |client| {
            send(client, 1, &[video_start(), group(0, 5)].concat())?;
            if how == "end" {
                finish(client, 1)
            } else {
                client.finish()
            }
        })?;
        let source = Source::with(
            &server.url("live", "key"),
            &[("start-mode", "lowest-latency"), ("no-eof-is-error", "false")],
        )?;
        assert_eq!(source.run()?.len(), 7, "{how}");
    }
    Ok(())
}

/// A server that sends `first` at once, `meanwhile` on the first cue and `after` on the second.
fn in_three_parts(
    first: Vec<Message>,
    meanwhile: Vec<Message>,
    after: Vec<Message>,
) -> Result<crate::support::script::Server> {
    playing(move |client| {
        send(client, 1, &first)?;
        client.wait_for_cue()?;
        send(client, 1, &meanwhile)?;
        client.wait_for_cue()?;
        send(client, 1, &after)?;
        finish(client, 1)
    })
}

/// Waits until the element has taken so many video messages off its connection, played or not.
fn wait_for_received(source: &Source, messages: u64) -> Result<()> {
    wait::until(&format!("{messages} messages to be received"), LONG, || {
        (source.figure("in-video-messages") >= messages).then_some(())
    })
}

/// The outputs behind the last segment, which are to begin with a key frame that is a discontinuity.
fn after_last_segment(source: &Source) -> Result<(gst::FormattedSegment<gst::ClockTime>, Vec<u64>)> {
    let outputs = source.outputs();
    let (segment, rest) = outputs
        .iter()
        .enumerate()
        .filter_map(|(index, output)| match output {
            Output::Segment(segment, _) => Some((segment, outputs.get(index + 1..)?)),
            _ => None,
        })
        .next_back()
        .ok_or(Failure::new("no segment"))?;
    let buffers = buffers(rest);
    let first = buffers.first().ok_or(Failure::new("nothing in the segment"))?;
    assert!(first.flags().contains(gst::BufferFlags::DISCONT));
    assert!(!first.flags().contains(gst::BufferFlags::DELTA_UNIT));
    let times = buffers.iter().filter_map(|buffer| buffer.dts());
    Ok((segment.clone(), times.map(gst::ClockTime::mseconds).collect()))
}

#[test]
fn after_a_pause_the_stream_goes_on_where_it_is_by_now() -> Result<()> {
    let server = in_three_parts(
        [video_start(), group(0, 2)].concat(),
        [group(80, 40), group(2000, 2)].concat(),
        vec![video(2080, INTER_FRAME)],
    )?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_time(40)?;
    source.pause()?;
    let paused = source.running_time();
    server.cue();
    wait_for_received(&source, 3 + 42)?;
    source.play()?;
    server.cue();
    source.wait_for_eos()?;

    let (segment, times) = after_last_segment(&source)?;
    assert_eq!(times, [2000, 2040, 2080]);
    assert_eq!(segment.start(), Some(gst::ClockTime::from_seconds(2)));
    assert!(segment.base().unwrap_or_default() >= paused);
    // The thread that waited for the next message when the pause began has passed that one on.
    let stale = source
        .tags()?
        .iter()
        .filter(|tag| (80..2000).contains(&tag.timestamp))
        .count();
    assert!(stale <= 1, "{:?}", source.tags()?);
    Ok(())
}

#[test]
fn after_a_pause_without_a_key_frame_the_stream_waits_for_one() -> Result<()> {
    let server = in_three_parts(
        [video_start(), group(0, 2)].concat(),
        vec![video(80, INTER_FRAME), audio(90, SOUND), video(320, INTER_FRAME)],
        [vec![video(360, INTER_FRAME), audio(380, SOUND)], group(400, 2)].concat(),
    )?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_time(40)?;
    source.pause()?;
    server.cue();
    wait_for_received(&source, 5)?;
    source.play()?;
    wait::until("the streaming thread to go on", LONG, || {
        (source.pipeline.current_state() == gst::State::Playing).then_some(())
    })?;
    server.cue();
    source.wait_for_eos()?;
    let (_, times) = after_last_segment(&source)?;
    assert_eq!(times, [400, 440]);
    Ok(())
}

/// What is left of a pause that was too long to be kept whole looks like one that missed nothing.
#[test]
fn after_a_pause_of_megabytes_the_stream_waits_for_a_key_frame() -> Result<()> {
    let large: Vec<u8> = INTER_FRAME.iter().copied().chain(vec![0; 1 << 20]).collect();
    let too_much = (1..=9).map(|n| video(1000 * n, &large));
    let rest = [video(9040, INTER_FRAME), video(9080, INTER_FRAME)];
    let server = in_three_parts(
        [video_start(), group(0, 2)].concat(),
        too_much.chain(rest).collect(),
        [vec![video(9120, INTER_FRAME)], group(9160, 2)].concat(),
    )?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_time(40)?;
    source.pause()?;
    server.cue();
    wait_for_received(&source, 3 + 11)?;
    source.play()?;
    server.cue();
    source.wait_for_eos()?;
    let (_, times) = after_last_segment(&source)?;
    assert_eq!(times, [9160, 9200]);
    Ok(())
}

/// The publisher was silent for as long: what comes next can be decoded.
#[test]
fn after_a_pause_that_missed_nothing_no_key_frame_is_awaited() -> Result<()> {
    let server = in_three_parts(
        [video_start(), group(0, 2)].concat(),
        Vec::new(),
        vec![video(80, INTER_FRAME), video(120, INTER_FRAME)],
    )?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_time(40)?;
    source.pause()?;
    server.cue();
    source.play()?;
    wait::until("the streaming thread to go on", LONG, || {
        (source.element.current_state() == gst::State::Playing).then_some(())
    })?;
    server.cue();
    source.wait_for_eos()?;
    let times: Vec<_> = source.tags()?.iter().map(|tag| tag.timestamp).collect();
    assert!(times.ends_with(&[80, 120]), "{times:?}");
    Ok(())
}

#[test]
fn after_a_pause_headers_that_came_meanwhile_are_there() -> Result<()> {
    let other = b"\x17\x00\x00\x00\x00\x01\x42\x00\x1e\xff\xe1\x00\x01\x67\x01\x00\x01\x68";
    let server = in_three_parts(
        [video_start(), group(0, 2)].concat(),
        [vec![video(80, INTER_FRAME), video(80, other)], group(80, 2)].concat(),
        vec![video(160, INTER_FRAME)],
    )?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_time(40)?;
    source.pause()?;
    server.cue();
    wait_for_received(&source, 3 + 4)?;
    source.play()?;
    server.cue();
    source.wait_for_eos()?;
    let tags = source.tags()?;
    let header = tags.iter().position(|tag| tag.body[..] == other[..]);
    let key = tags.iter().rposition(|tag| tag.body[..] == *KEY_FRAME);
    assert!(header.is_some() && header < key, "{tags:?}");
    Ok(())
}

/// The audio of a stream without video goes on at once: every frame can be the first.
#[test]
fn after_a_pause_sound_alone_goes_on_at_once() -> Result<()> {
    let sounds = |from: u32, count: u32| (0..count).map(move |n| audio(from + 23 * n, SOUND));
    let server = in_three_parts(
        [vec![audio(0, AAC_HEADER)], sounds(0, 2).collect()].concat(),
        sounds(46, 50).collect(),
        sounds(5000, 2).collect(),
    )?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_time(23)?;
    source.pause()?;
    server.cue();
    wait::until("the sound of the pause", LONG, || {
        (source.figure("in-audio-messages") >= 53).then_some(())
    })?;
    source.play()?;
    server.cue();
    source.wait_for_eos()?;
    // The last of what came by the time it went on, and all behind that.
    let (_, times) = after_last_segment(&source)?;
    assert!(
        times[0] >= 46 + 49 * 23 && times.last() == Some(&5023),
        "{times:?}"
    );
    Ok(())
}

#[test]
fn a_stream_that_was_received_long_before_it_is_played_is_played_from_its_end() -> Result<()> {
    let server = in_three_parts(
        [video_start(), group(0, 50), group(2000, 3)].concat(),
        vec![video(2120, INTER_FRAME)],
        vec![],
    )?;
    let source = Source::new(&server.url("live", "key"))?;
    source.pause()?;
    wait_for_received(&source, 54)?;
    let received = Instant::now();
    wait::until("what was received to go stale", LONG, || {
        (received.elapsed() > Duration::from_millis(3100)).then_some(())
    })?;
    source.play()?;
    server.cue();
    server.cue();
    source.wait_for_eos()?;
    let frames = source.tags()?.split_off(2);
    assert_eq!(frames, group(2000, 4));
    assert_eq!(bytes(&source.buffers()[0])?[..3], b"FLV"[..]);
    assert_eq!(
        source.segments()[0].0.start(),
        Some(gst::ClockTime::from_seconds(2))
    );
    Ok(())
}

#[test]
fn after_a_flush_the_stream_goes_on_in_time_at_a_key_frame() -> Result<()> {
    let server = in_three_parts(
        [video_start(), group(0, 2)].concat(),
        [vec![video(80, INTER_FRAME)], group(120, 2)].concat(),
        vec![],
    )?;
    // A sink that prerolls anew would have to be set to PLAYING again.
    let source = Source::before("fakesink sync=false async=false", &server.url("live", "key"), &[])?;
    source.play()?;
    source.wait_for_time(40)?;
    assert!(source.element.send_event(gst::event::FlushStart::new()));
    assert!(source.element.send_event(gst::event::FlushStop::new(false)));
    let flushed = source.running_time();
    server.cue();
    server.cue();
    source.wait_for_eos()?;
    let (segment, times) = after_last_segment(&source)?;
    assert_eq!(times, [120, 160]);
    assert!(segment.base().unwrap_or_default() >= flushed, "{segment:?}");
    Ok(())
}
