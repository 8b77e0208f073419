//! Times of buffers -> times and order of tags.

use gst::prelude::*;

use crate::fixture::{AAC, AVC, Content, HEVC, Mux, OPUS, Out, Piece, frame};
use crate::support::{Failure, Result, pipeline};

#[test]
fn tracks_are_interleaved_by_decoding_time() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video_0", AVC)?;
    let audio = mux.source("audio_0", AAC)?;
    let more = mux.source("audio_1", OPUS)?;
    mux.play()?;
    for (data, dts, pts) in [("i", 0, 80), ("p", 40, 200), ("b", 80, 120)] {
        video.push(frame(data.as_bytes(), pts).dts(dts))?;
    }
    for (data, pts) in [("q", 10), ("r", 41), ("s", 79)] {
        audio.push(frame(data.as_bytes(), pts))?;
    }
    for (data, pts) in [("x", 5), ("y", 45), ("z", 90)] {
        more.push(frame(data.as_bytes(), pts))?;
    }
    for source in [&video, &audio, &more] {
        source.end()?;
    }
    let stream = mux.finish()?;
    assert_eq!(
        stream.summary(),
        "metadata header:v0 header:a0 header:a1 v0:i a1:x a0:q v0:p a0:r a1:y a0:s v0:b a1:z end:v0 end:a1"
    );
    assert!(
        stream.packets.is_sorted_by_key(|packet| packet.timestamp),
        "the end is no earlier than the last frame"
    );
    Ok(())
}

#[test]
fn decoding_times_before_the_segment_shift_the_stream() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", HEVC)?;
    let audio = mux.source("audio", AAC)?;
    // x264enc and x265enc count from 1000 hours so that their DTS can lie before their first PTS.
    let hours = gst::ClockTime::from_seconds(3_600_000);
    video.set_start(hours);
    mux.play()?;
    for (data, dts, pts) in [("i", -80, 0), ("p", -40, 120), ("b", 0, 40), ("c", 40, 80)] {
        let at = |millis: i64| hours.mseconds().saturating_add_signed(millis);
        video.push(frame(data.as_bytes(), at(pts)).dts(at(dts)))?;
    }
    audio.push(frame(b"s", 0))?;
    audio.push(frame(b"t", 23))?;
    video.end()?;
    audio.end()?;
    let stream = mux.finish()?;
    // What is presented together, is so after the shift by 80 ms too.
    assert_eq!(
        stream.times(),
        [(0, 80), (40, 200), (80, 120), (80, 80), (103, 103), (120, 160)]
    );
    let buffers: Vec<_> = stream
        .pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Buffer(buffer) if !buffer.flags().contains(gst::BufferFlags::HEADER) => {
                Some((buffer.dts()?.mseconds(), buffer.pts()?.mseconds()))
            }
            _ => None,
        })
        .collect();
    // Those of buffers are running times, which are never negative.
    assert_eq!(
        buffers[..6],
        [(0, 0), (0, 120), (0, 40), (0, 0), (23, 23), (40, 80)]
    );
    Ok(())
}

#[test]
fn segments_that_start_later_begin_with_0() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    let audio = mux.source("audio", AAC)?;
    video.set_start(gst::ClockTime::from_seconds(3600));
    audio.set_start(gst::ClockTime::from_seconds(20));
    mux.play()?;
    for time in [0, 40, 80] {
        video.push(frame(b"v", 3_600_000 + time))?;
        audio.push(frame(b"a", 20_005 + time))?;
    }
    video.end()?;
    audio.end()?;
    let times: Vec<_> = mux.finish()?.times().iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [0, 5, 40, 45, 80, 85]);
    Ok(())
}

#[test]
fn streams_that_begin_late_begin_with_0_together() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    let audio = mux.source("audio", AAC)?;
    mux.play()?;
    video.push(frame(b"v", 90_040))?;
    audio.push(frame(b"a", 90_000))?;
    video.end()?;
    audio.end()?;
    assert_eq!(mux.finish()?.times(), [(0, 0), (40, 40)]);
    Ok(())
}

#[test]
fn buffers_without_timestamps_take_the_last_one() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    let audio = mux.source("audio", AAC)?;
    mux.play()?;
    let mut untimed = frame(b"u", 0);
    untimed.pts = None;
    audio.push(untimed.clone())?;
    video.push(frame(b"v", 1000))?;
    video.push(frame(b"w", 1040))?;
    audio.push(frame(b"a", 1020))?;
    audio.push(untimed)?;
    video.end()?;
    audio.end()?;
    let stream = mux.finish()?;
    assert_eq!(
        stream.summary(),
        "metadata header:a0 header:v0 a0:u v0:v a0:a a0:u v0:w end:v0"
    );
    let times: Vec<_> = stream.times().iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [0, 0, 20, 20, 40]);
    Ok(())
}

#[test]
fn gaps_are_not_waited_for() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    let audio = mux.source("audio", AAC)?;
    mux.play()?;
    audio.push(frame(b"a", 0))?;
    let gap = gst::event::Gap::builder(gst::ClockTime::from_mseconds(23))
        .duration(gst::ClockTime::from_mseconds(100))
        .build();
    audio.send(gap)?;
    for time in [0, 40, 80, 120, 160] {
        video.push(frame(b"v", time))?;
    }
    // Those before the end of the gap; what comes after has to wait for sound.
    let stream = mux.frames(5)?;
    assert_eq!(
        stream.times().iter().map(|(time, _)| *time).collect::<Vec<_>>(),
        [0, 0, 40, 80, 120]
    );
    audio.push(frame(b"b", 130))?;
    audio.end()?;
    video.end()?;
    let stream = mux.finish()?;
    assert!(
        stream.summary().ends_with("v0:v v0:v v0:v a0:b v0:v end:v0"),
        "{}",
        stream.summary()
    );
    Ok(())
}

#[test]
fn a_track_does_not_go_backward() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video_0", AVC)?;
    let audio = mux.source("audio_0", OPUS)?;
    mux.play()?;
    for time in [0, 1000, 200, 240, 1040] {
        audio.push(frame(b"a", time))?;
        video.push(frame(b"v", time + 10).dts(time))?;
    }
    video.end()?;
    audio.end()?;
    let stream = mux.finish()?;
    let times = |four_cc: bool| -> Vec<_> {
        stream
            .frames()
            .filter(|frame| frame.four_cc.is_some() == four_cc)
            .map(|frame| (frame.timestamp, frame.pts / 1_000_000))
            .collect()
    };
    // Sound has no other time than that of its tag; a picture keeps its PTS.
    assert_eq!(
        times(true),
        [(0, 0), (1000, 1000), (1000, 1000), (1000, 1000), (1040, 1040)]
    );
    assert_eq!(
        times(false),
        [(0, 10), (1000, 1010), (1000, 210), (1000, 250), (1040, 1050)]
    );
    let mut warnings = mux.warnings();
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "The timestamps of the pad audio_0 went back by 0:00:00.800000000; \
             its tags have the last one until that is made up for.",
            "The timestamps of the pad video_0 went back by 0:00:00.800000000; \
             its tags have the last one until that is made up for.",
        ]
    );
    Ok(())
}

#[test]
fn a_long_pause_is_kept() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    let days = 50 * 24 * 3_600_000;
    for time in [0, 40, days] {
        video.push(frame(b"v", time))?;
    }
    video.end()?;
    let times = mux.finish()?.times();
    // 32 bits of milliseconds wrap after 49.7 days.
    assert_eq!(times[2].0, u32::try_from(days - (1 << 32)).unwrap());
    Ok(())
}

#[test]
fn enhanced_tags_have_times_to_the_nanosecond_if_wanted() -> Result<()> {
    let mux = Mux::new()?;
    mux.element.set_property("nanosecond-timestamps", true);
    let video = mux.source("video_0", HEVC)?;
    let audio = mux.source("audio_0", OPUS)?;
    let legacy = mux.source("audio_1", AAC)?;
    legacy.pad.set_property_from_str("enhanced", "always");
    mux.play()?;
    // 60000/1001 pictures a second, of which every other is presented two later than it is decoded.
    let picture = |number: u64| number * 1_001_000_000_000 / 60_000;
    let mut wanted = Vec::new();
    for number in 0..120 {
        let dts = picture(number);
        let pts = picture(number + 2 * (number % 2));
        let mut buffer = frame(b"v", 0);
        buffer.dts = Some(gst::ClockTime::from_nseconds(dts));
        buffer.pts = Some(gst::ClockTime::from_nseconds(pts));
        video.push(buffer)?;
        wanted.push(i64::try_from(pts)?);
    }
    // 1024 samples at 44.1 kHz.
    let sound: Vec<u64> = (0..80u64)
        .map(|number| number * 1_024_000_000_000 / 44_100)
        .collect();
    for pts in &sound {
        for source in [&audio, &legacy] {
            let mut buffer = frame(b"a", 0);
            buffer.pts = Some(gst::ClockTime::from_nseconds(*pts));
            source.push(buffer)?;
        }
    }
    for source in [&video, &audio, &legacy] {
        source.end()?;
    }
    let stream = mux.finish()?;
    let times = |kind, track| -> Vec<i64> {
        stream
            .frames()
            .filter(|frame| (frame.kind, frame.track) == (kind, track))
            .map(|frame| frame.pts)
            .collect()
    };
    let sound: Vec<i64> = sound.into_iter().map(u64::cast_signed).collect();
    assert_eq!(times(gstrtmp::flv::TagKind::Video, 0), wanted);
    assert_eq!(times(gstrtmp::flv::TagKind::Audio, 0), sound);
    assert_eq!(times(gstrtmp::flv::TagKind::Audio, 1), sound);
    Ok(())
}

#[test]
fn milliseconds_are_the_nearest() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    let mut wanted = Vec::new();
    for number in 0..60u64 {
        let nanos = number * 1_000_000_000 / 30;
        let mut buffer = frame(b"v", 0);
        buffer.pts = Some(gst::ClockTime::from_nseconds(nanos));
        video.push(buffer)?;
        let millis = u32::try_from((nanos + 500_000) / 1_000_000)?;
        wanted.push((millis, i64::from(millis)));
    }
    video.end()?;
    assert_eq!(mux.finish()?.times(), wanted);
    Ok(())
}

#[test]
fn a_seek_begins_the_stream_anew() -> Result<()> {
    pipeline::register()?;
    let pipeline = gst::parse::launch(
        "videotestsrc num-buffers=150 ! video/x-raw,width=64,height=48,framerate=25/1 \
         ! x264enc tune=zerolatency key-int-max=25 ! rtmpmux ! fakesink name=sink sync=false",
    )?
    .downcast::<gst::Pipeline>()
    .map_err(|_| Failure::new("not a pipeline"))?;
    let out = Out::default();
    let sink = pipeline.by_name("sink").unwrap();
    out.record(&sink.static_pad("sink").unwrap());
    pipeline.set_state(gst::State::Paused)?;
    let (change, ..) = pipeline.state(gst::ClockTime::from_seconds(30));
    change?;
    out.lock().clear();
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::ACCURATE;
    pipeline
        .by_name("sink")
        .unwrap()
        .seek_simple(flags, gst::ClockTime::from_seconds(2))?;
    pipeline.set_state(gst::State::Playing)?;
    let ended = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(30),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert!(matches!(
        ended.as_ref().map(|message| message.view()),
        Some(gst::MessageView::Eos(_))
    ));
    pipeline.set_state(gst::State::Null)?;

    let stream = crate::fixture::Stream::of(std::mem::take(&mut *out.lock()))?;
    let begin: Vec<_> = stream
        .packets
        .iter()
        .take(3)
        .map(|packet| &packet.content)
        .collect();
    assert!(
        matches!(
            begin[..],
            [Content::Metadata(_), Content::Header(_), Content::Frame(_)]
        ),
        "{begin:?}"
    );
    let times = stream.times();
    assert_eq!(times[0].0, 0);
    assert_eq!(times[1].0, 40);
    let segment = stream.pieces.iter().find_map(|piece| match piece {
        Piece::Segment(segment) => Some(segment.clone()),
        _ => None,
    });
    let segment = segment.ok_or(Failure::new("no segment after the seek"))?;
    let segment = segment.downcast::<gst::ClockTime>().unwrap();
    let first = stream.pieces.iter().find_map(|piece| match piece {
        Piece::Buffer(buffer) => buffer.pts(),
        _ => None,
    });
    assert_eq!(segment.to_running_time(first), Some(gst::ClockTime::ZERO));
    Ok(())
}
