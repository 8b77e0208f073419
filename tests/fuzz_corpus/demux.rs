//! FLV through `rtmpdemux`: the pieces in which bytes arrive make no difference, and what comes to a pad is in the
//! order that GStreamer wants. The first byte says how the rest arrives.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gstrtmp::elements::RtmpDemux;

/// What came, and to which pad.
type Log = Arc<Mutex<Vec<(String, Seen)>>>;

#[derive(Debug, PartialEq)]
enum Seen {
    Caps(gst::Caps),
    Segment(gst::Segment),
    Tags(gst::TagList),
    Frame {
        dts: Option<gst::ClockTime>,
        pts: Option<gst::ClockTime>,
        flags: gst::BufferFlags,
        data: Vec<u8>,
    },
    Gap(gst::ClockTime),
    Eos,
}

pub(crate) fn run(data: &[u8]) {
    let Some((&choice, file)) = data.split_first() else {
        return;
    };
    gst::init().expect("GStreamer is installed");
    let piece = usize::from(choice) + 1;
    let whole = demux(file, file.len().max(1));
    assert_eq!(
        whole,
        demux(file, piece),
        "pieces of {piece} bytes make another stream"
    );

    let mut pads: Vec<&str> = whole.iter().map(|(pad, _)| pad.as_str()).collect();
    pads.sort_unstable();
    pads.dedup();
    for name in pads {
        let of_pad = whole.iter().filter(|(pad, _)| pad == name);
        check(name, of_pad.map(|(_, seen)| seen));
    }
}

/// Caps and a segment go ahead of frames, and pictures are in the order of decoding.
fn check<'a>(pad: &str, log: impl Iterator<Item = &'a Seen>) {
    let (mut has_caps, mut has_segment, mut has_ended) = (false, false, false);
    let mut last = None;
    for seen in log {
        assert!(!has_ended, "{pad}: {seen:?} behind the end");
        match seen {
            Seen::Caps(caps) => {
                assert!(caps.is_fixed(), "{pad}: {caps}");
                has_caps = true;
            }
            Seen::Segment(_) => has_segment = true,
            Seen::Tags(_) => {}
            Seen::Frame { dts, pts, .. } => {
                assert!(has_caps && has_segment, "{pad}: a frame comes first");
                assert!(pts.is_some(), "{pad}: a frame of no time");
                assert!(dts.is_none() || *dts >= last, "{pad}: {dts:?} behind {last:?}");
                last = dts.or(last);
            }
            Seen::Gap(_) => assert!(has_caps && has_segment, "{pad}: a gap comes first"),
            Seen::Eos => has_ended = true,
        }
    }
    assert!(has_ended, "{pad} has no end");
}

/// What comes out of a demuxer that gets `file` in pieces.
fn demux(file: &[u8], piece: usize) -> Vec<(String, Seen)> {
    let element: RtmpDemux = glib::Object::new();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let log = Log::default();
    let sinks = Arc::new(Mutex::new(Vec::new()));
    let (shared, links) = (Arc::clone(&log), Arc::clone(&sinks));
    element.connect_pad_added(move |_, pad| {
        let sink = recorder(&pad.name(), &shared);
        pad.link(&sink).expect("a pad for everything");
        lock(&links).push(sink);
    });
    let src = gst::Pad::builder(gst::PadDirection::Src).build();
    src.set_active(true).expect("a pad of its own");
    src.link(&element.static_pad("sink").expect("an always pad"))
        .expect("a pad without caps yet");
    element
        .set_state(gst::State::Paused)
        .expect("nothing to wait for");
    src.push_event(gst::event::StreamStart::new("upstream"));
    src.push_event(gst::event::Caps::new(&gst::Caps::new_empty_simple("video/x-flv")));
    src.push_event(gst::event::Segment::new(&gst::FormattedSegment::<
        gst::format::Bytes,
    >::new()));
    for arrived in file.chunks(piece) {
        if src.push(gst::Buffer::from_slice(arrived.to_vec())).is_err() {
            break;
        }
    }
    src.push_event(gst::event::Eos::new());

    for message in bus.iter() {
        if let gst::MessageView::Error(error) = message.view() {
            let cause = error.error();
            // That of a panic is of another domain.
            assert!(cause.matches(gst::StreamError::Demux), "{cause}");
        }
    }
    element.set_state(gst::State::Null).expect("nothing to wait for");
    // Messages hold the element, which holds the bus.
    bus.set_flushing(true);
    lock(&sinks).clear();
    std::mem::take(&mut *lock(&log))
}

/// A pad that takes everything and remembers it.
fn recorder(name: &str, log: &Log) -> gst::Pad {
    let (of_frames, frames) = (name.to_owned(), Arc::clone(log));
    let (of_events, events) = (name.to_owned(), Arc::clone(log));
    let sink = gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |_, _, buffer| {
            let data = buffer.map_readable().expect("memory of the system").to_vec();
            let seen = Seen::Frame {
                dts: buffer.dts(),
                pts: buffer.pts(),
                flags: buffer.flags(),
                data,
            };
            lock(&frames).push((of_frames.clone(), seen));
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| {
            let seen = match event.view() {
                gst::EventView::Caps(caps) => Seen::Caps(caps.caps_owned()),
                gst::EventView::Segment(segment) => Seen::Segment(segment.segment().clone()),
                gst::EventView::Tag(tags) => Seen::Tags(tags.tag_owned()),
                gst::EventView::Gap(gap) => Seen::Gap(gap.get().0),
                gst::EventView::Eos(_) => Seen::Eos,
                _ => return true,
            };
            lock(&events).push((of_events.clone(), seen));
            true
        })
        .build();
    sink.set_active(true).expect("a pad of its own");
    sink
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
