//! Pads that come and go, and caps, tags and states that change while the stream runs.

use gstrtmp::flv::FourCc;
use gstrtmp::flv::video::{ColorConfig, ColorInfo, ContentLightLevel};

use crate::fixture::{AAC, AV1, AVC, Content, HEVC, Mux, OPUS, Piece, frame};
use crate::support::Result;

#[test]
fn a_track_that_ends_leaves_the_others_running() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", HEVC)?;
    let audio = mux.source("audio", AAC)?;
    mux.play()?;
    audio.push(frame(b"a", 0))?;
    audio.end()?;
    for time in [0, 40, 80] {
        video.push(frame(b"v", time))?;
    }
    assert_eq!(mux.frames(4)?.frames().count(), 4);
    video.end()?;
    let stream = mux.finish()?;
    assert!(
        stream.summary().ends_with("v0:v a0:a v0:v v0:v end:v0"),
        "{}",
        stream.summary()
    );
    assert!(matches!(stream.pieces.last(), Some(Piece::Eos)));
    Ok(())
}

#[test]
fn a_stream_without_frames_ends_without_tags() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    video.end()?;
    assert_eq!(mux.finish()?.summary(), "");
    Ok(())
}

#[test]
fn a_pad_is_released_while_the_stream_runs() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video_0", AVC)?;
    let more = mux.source("video_1", HEVC)?;
    mux.play()?;
    video.push(frame(b"v", 0))?;
    more.push(frame(b"m", 0))?;
    // Waits for the other pad, until that is gone.
    video.push(frame(b"w", 2000))?;
    video.end()?;
    mux.frames(2)?;
    more.remove(&mux)?;
    let stream = mux.finish()?;
    let summary = stream.summary();
    assert!(
        summary.ends_with("v0:v v1:m metadata end:v1 v0:w end:v0"),
        "{summary}"
    );
    assert_eq!(stream.metadata()?.video_tracks().count(), 0, "but for track 0");
    assert_eq!(stream.stream_headers()?, "metadata header:v0");
    Ok(())
}

#[test]
fn a_pad_is_added_while_the_stream_runs() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    video.push(frame(b"v", 0))?;
    mux.frames(1)?;
    let audio = mux.source("audio_4", OPUS)?;
    audio.push(frame(b"a", 20))?;
    video.push(frame(b"w", 40))?;
    video.end()?;
    audio.end()?;
    let stream = mux.finish()?;
    assert_eq!(
        stream.summary(),
        "metadata header:v0 v0:v metadata header:a4 a4:a v0:w end:v0 end:a4"
    );
    assert_eq!(stream.metadata()?.audio_tracks().collect::<Vec<_>>(), [4]);
    assert_eq!(stream.stream_headers()?, "metadata header:v0 header:a4");
    Ok(())
}

#[test]
fn new_caps_come_with_a_new_header() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    video.push(frame(b"a", 0))?;
    // Another profile and size.
    let wider = AVC
        .replace("width=64", "width=128")
        .replace("0164000a", "014d000a");
    video.set_caps(&wider)?;
    video.push(frame(b"b", 40))?;
    video.push(frame(b"c", 80).delta())?;
    // Another codec.
    video.set_caps(AV1)?;
    video.push(frame(b"\x32\x01\x10", 120))?;
    video.end()?;
    let stream = mux.finish()?;
    let expected =
        "metadata header:v0 v0:a metadata header:v0 v0:b v0:c metadata header:v0 v0:2\x01\x10 end:v0";
    assert_eq!(stream.summary(), expected);
    let headers: Vec<_> = stream
        .packets
        .iter()
        .filter_map(|packet| match &packet.content {
            Content::Header(header) => Some((packet.four_cc, packet.timestamp, header[1])),
            _ => None,
        })
        .collect();
    assert_eq!(
        headers,
        [(None, 0, 0x64), (None, 40, 0x4d), (Some(FourCc::AV1), 120, 0)],
        "headers have the time of their frame"
    );
    let keys: Vec<_> = stream.frames().map(|frame| frame.is_key).collect();
    assert_eq!(keys, [true, true, false, true]);
    assert_eq!(stream.stream_headers()?, "metadata header:v0");

    // Each change of caps comes ahead of the buffers that it is about.
    let order: Vec<_> = stream
        .pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Caps(_) => Some("caps"),
            Piece::Buffer(buffer) if buffer.flags().contains(gst::BufferFlags::HEADER) => None,
            Piece::Buffer(_) => Some("tag"),
            Piece::Segment(_) | Piece::Eos => None,
        })
        .collect();
    assert_eq!(order, ["caps", "tag", "caps", "tag", "tag", "caps", "tag", "tag"]);
    Ok(())
}

#[test]
fn the_same_caps_again_change_nothing() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    video.push(frame(b"a", 0))?;
    video.set_caps(&format!("{AVC}, interlace-mode=progressive"))?;
    video.push(frame(b"b", 40))?;
    video.end()?;
    assert_eq!(mux.finish()?.summary(), "metadata header:v0 v0:a v0:b end:v0");
    Ok(())
}

#[test]
fn the_stream_begins_with_what_players_need() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video_0", AVC)?;
    let audio = mux.source("audio_0", AAC)?;
    mux.play()?;
    video.push(frame(b"v", 0))?;
    audio.push(frame(b"a", 0))?;
    video.end()?;
    audio.end()?;
    let stream = mux.finish()?;
    let Some([Piece::Caps(_), Piece::Segment(segment), Piece::Buffer(first), ..]) = stream.pieces.get(..3)
    else {
        panic!("{:?}", stream.pieces);
    };
    assert_eq!(segment.format(), gst::Format::Time);
    assert_eq!(first.map_readable()?.as_slice(), b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
    assert_eq!(stream.stream_headers()?, "metadata header:v0 header:a0");
    let flags: Vec<_> = stream
        .pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Buffer(buffer) => Some(buffer.flags().contains(gst::BufferFlags::HEADER)),
            _ => None,
        })
        .collect();
    assert_eq!(flags, [true, true, true, true, false, false, false]);
    Ok(())
}

fn tags(scope: gst::TagScope, fill: impl FnOnce(&mut gst::TagListRef)) -> gst::Event {
    let mut tags = gst::TagList::new();
    if let Some(list) = tags.get_mut() {
        list.set_scope(scope);
        fill(list);
    }
    gst::event::Tag::new(tags)
}

fn title(text: &str) -> gst::Event {
    tags(gst::TagScope::Global, |list| {
        list.add::<gst::tags::Title>(&text, gst::TagMergeMode::Replace);
    })
}

fn measured(rate: u32) -> gst::Event {
    tags(gst::TagScope::Stream, |list| {
        list.add::<gst::tags::Bitrate>(&rate, gst::TagMergeMode::Replace);
    })
}

#[test]
fn tags_become_metadata_once_a_second_at_most() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    for number in 0..100u64 {
        if number > 0 {
            video.send(title(&format!("Title {number}")))?;
        }
        video.push(frame(b"v", number * 40))?;
    }
    video.end()?;
    let stream = mux.finish()?;
    let sent: Vec<_> = stream
        .packets
        .iter()
        .filter_map(|packet| match &packet.content {
            Content::Metadata(metadata) => Some((packet.timestamp, metadata.origin().title)),
            _ => None,
        })
        .collect();
    let title = |number| Some(format!("Title {number}"));
    assert_eq!(
        sent,
        [(0, None), (1000, title(25)), (2000, title(50)), (3000, title(75))]
    );
    assert_eq!(stream.metadata()?.video(0).width, Some(64));
    Ok(())
}

#[test]
fn tags_that_say_nothing_new_are_no_news() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    for number in 0..10u64 {
        video.push(frame(b"v", number * 2000))?;
        video.send(title("The same"))?;
    }
    video.end()?;
    let stream = mux.finish()?;
    let sent = stream
        .packets
        .iter()
        .filter(|packet| matches!(packet.content, Content::Metadata(_)));
    assert_eq!(sent.count(), 2);
    Ok(())
}

#[test]
fn measurements_of_the_bit_rate_are_told_when_they_are_far_off() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    mux.play()?;
    let rates = [1000, 1024, 1100, 900, 1200, 1249, 1300, 1400, 600];
    for (rate, number) in rates.iter().zip(0u64..) {
        video.push(frame(b"v", number * 2000))?;
        video.send(measured(rate * 1024))?;
    }
    video.push(frame(b"v", 20_000))?;
    video.end()?;
    let stream = mux.finish()?;
    let told: Vec<_> = stream
        .packets
        .iter()
        .filter_map(|packet| match &packet.content {
            Content::Metadata(metadata) => Some(metadata.video(0).data_rate),
            _ => None,
        })
        .collect();
    assert_eq!(told, [None, Some(1000.0), Some(1300.0), Some(600.0)]);
    Ok(())
}

#[test]
fn high_dynamic_range_is_declared_ahead_of_the_header() -> Result<()> {
    let mux = Mux::new()?;
    let hdr = format!(
        "{HEVC}, colorimetry=bt2100-pq, bit-depth-luma=(uint)10, content-light-level=(string)1000:400, \
         mastering-display-info=(string)\"35400:14600:8500:39850:6550:2300:15635:16450:10000000:50\""
    );
    let video = mux.source("video_0", &hdr)?;
    mux.play()?;
    video.push(frame(b"a", 0))?;
    // What was declared has to be taken back.
    video.set_caps(HEVC)?;
    video.push(frame(b"b", 40))?;
    video.end()?;
    let stream = mux.finish()?;
    assert_eq!(
        stream.summary(),
        "metadata color:v0 header:v0 v0:a color:v0 header:v0 v0:b end:v0"
    );
    let colors: Vec<_> = stream
        .packets
        .iter()
        .filter_map(|packet| match &packet.content {
            Content::Color(color) => Some(*color),
            _ => None,
        })
        .collect();
    let [declared, taken_back] = colors[..] else {
        panic!("{colors:?}");
    };
    assert_eq!(
        declared.config,
        ColorConfig {
            bit_depth: Some(10),
            primaries: Some(9),
            transfer: Some(16),
            matrix: Some(9)
        }
    );
    assert_eq!(
        declared.light_level,
        ContentLightLevel {
            max: Some(1000.0),
            max_frame_average: Some(400.0)
        }
    );
    assert_eq!(declared.mastering.max_luminance, Some(1000.0));
    assert_eq!(declared.mastering.red.map(|point| point.x), Some(0.708));
    assert_eq!(taken_back, ColorInfo::default());
    Ok(())
}

#[test]
fn layouts_of_many_channels_are_in_the_header() -> Result<()> {
    let surround = "audio/x-opus, rate=48000, channels=6, channel-mapping-family=1, stream-count=4, \
         coupled-count=2, channel-mapping=(int)< 0, 4, 1, 2, 3, 5 >";
    let mux = Mux::new()?;
    let audio = mux.source("audio", surround)?;
    mux.play()?;
    audio.push(frame(b"a", 0))?;
    audio.end()?;
    let stream = mux.finish()?;
    assert_eq!(stream.summary(), "metadata header:a0 a0:a end:a0");
    let Content::Header(header) = &stream.packets[1].content else {
        panic!("{:?}", stream.packets);
    };
    assert_eq!(header[9], 6, "channels");
    assert_eq!(header[18..], [1, 4, 2, 0, 4, 1, 2, 3, 5]);
    assert_eq!(stream.metadata()?.audio(0).channels, Some(6));
    Ok(())
}

#[test]
fn the_memory_of_frames_is_not_copied() -> Result<()> {
    for (name, caps) in [("video", AVC), ("video", HEVC), ("audio_3", OPUS)] {
        let mux = Mux::new()?;
        let source = mux.source(name, caps)?;
        mux.play()?;
        let buffer = frame(&[7; 4096], 0).buffer();
        let given = buffer.peek_memory(0).map_readable()?.as_ptr();
        source.push_buffer(&buffer)?;
        source.end()?;
        let stream = mux.finish()?;
        let taken = stream.pieces.iter().find_map(|piece| match piece {
            Piece::Buffer(buffer) => buffer
                .iter_memories()
                .filter_map(|memory| memory.map_readable().ok().map(|map| map.as_ptr()))
                .find(|address| *address == given),
            _ => None,
        });
        assert!(taken.is_some(), "{caps}");
    }
    Ok(())
}

#[test]
fn the_element_starts_anew_after_ready() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AVC)?;
    let audio = mux.source("audio", AAC)?;
    let mut summaries = Vec::new();
    for start in [5000, 100] {
        mux.play()?;
        video.push(frame(b"v", start))?;
        audio.push(frame(b"a", start + 20))?;
        video.end()?;
        audio.end()?;
        let stream = mux.finish()?;
        assert_eq!(stream.times(), [(0, 0), (20, 20)]);
        summaries.push(stream.summary());
        mux.set_state(gst::State::Ready)?;
    }
    assert_eq!(
        summaries, ["metadata header:v0 header:a0 v0:v a0:a end:v0"; 2],
        "headers too"
    );
    Ok(())
}
