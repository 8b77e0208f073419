//! A demuxer between two ends that the test holds: what is pushed into it, and all that comes out, in order. Everything
//! happens on the test's thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use gst::glib;
use gst::prelude::*;
use gstrtmp::amf::{self, Value};
use gstrtmp::flv::{FileHeader, TagHeader, TagKind};

use crate::support::pipeline::Pipeline;
use crate::support::{Context, Failure, Result};

/// The configuration record and a key frame of nothing, as decoders never see.
pub(crate) const AVC_HEADER: &[u8] =
    b"\x17\x00\x00\x00\x00\x01\x64\x00\x0a\xff\xe1\x00\x04\x67\x64\x00\x0a\x01\x00\x04\x68\xeb\xe3\xcb";
pub(crate) const KEY: &[u8] = b"\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88";
pub(crate) const DELTA: &[u8] = b"\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a";
pub(crate) const AAC_HEADER: &[u8] = b"\xaf\x00\x12\x10";
pub(crate) const SOUND: &[u8] = b"\xaf\x01\x21\x10\x05";

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Pad(String),
    NoMorePads,
    Event(String, gst::Event),
    Buffer(String, gst::Buffer),
}

/// See the module.
pub(crate) struct Harness {
    pub(crate) element: gst::Element,
    pub(crate) src: gst::Pad,
    bus: gst::Bus,
    seen: Arc<Mutex<Vec<Seen>>>,
    sinks: Arc<Mutex<Vec<gst::Pad>>>,
}

impl Harness {
    /// A demuxer that is ready for buffers, all of whose pads get linked.
    pub(crate) fn new() -> Result<Self> {
        Self::linking(|_| true)
    }

    /// A demuxer whose pads get linked if `is_wanted`.
    pub(crate) fn linking(is_wanted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Result<Self> {
        register()?;
        let element = gst::ElementFactory::make("rtmpdemux").build()?;
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sinks = Arc::new(Mutex::new(Vec::new()));
        let (log, links) = (Arc::clone(&seen), Arc::clone(&sinks));
        element.connect_pad_added(move |_, pad| {
            let name = pad.name().to_string();
            lock(&log).push(Seen::Pad(name.clone()));
            if is_wanted(&name) {
                let sink = recorder(name, Arc::clone(&log));
                pad.link(&sink).expect("a pad for everything");
                lock(&links).push(sink);
            }
        });
        let log = Arc::clone(&seen);
        element.connect_no_more_pads(move |_| lock(&log).push(Seen::NoMorePads));
        let src = gst::Pad::builder(gst::PadDirection::Src).name("src").build();
        src.set_active(true)?;
        let sink = element.static_pad("sink").ok_or(Failure::new("no sink pad"))?;
        src.link(&sink)?;
        element.set_state(gst::State::Paused)?;
        src.push_event(gst::event::StreamStart::new("upstream"));
        Ok(Self {
            element,
            src,
            bus,
            seen,
            sinks,
        })
    }

    /// Sends caps and a segment of bytes ahead, as a file source does.
    pub(crate) fn in_bytes() -> Result<Self> {
        let harness = Self::new()?;
        harness.caps(&[])?;
        harness.segment_of_bytes();
        Ok(harness)
    }

    /// Sends a segment of bytes.
    pub(crate) fn segment_of_bytes(&self) {
        let segment = gst::FormattedSegment::<gst::format::Bytes>::new();
        self.event(gst::event::Segment::new(&segment));
    }

    /// Sends a segment in time that starts at 0.
    pub(crate) fn segment_in_time(&self) {
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        self.event(gst::event::Segment::new(&segment));
    }

    /// Sends caps with `streamheader` ahead.
    pub(crate) fn caps(&self, headers: &[Bytes]) -> Result<()> {
        let mut caps = gst::Caps::new_empty_simple("video/x-flv");
        if !headers.is_empty() {
            let headers = headers
                .iter()
                .map(|header| gst::Buffer::from_slice(header.clone()));
            caps.make_mut().set("streamheader", gst::Array::new(headers));
        }
        self.event(gst::event::Caps::new(&caps));
        Ok(())
    }

    pub(crate) fn event(&self, event: gst::Event) -> bool {
        self.src.push_event(event)
    }

    /// Pushes bytes without a time.
    pub(crate) fn push(
        &self,
        bytes: impl Into<Bytes>,
    ) -> std::result::Result<gst::FlowSuccess, gst::FlowError> {
        self.src.push(gst::Buffer::from_slice(bytes.into()))
    }

    /// Pushes bytes that are due at `millis`.
    pub(crate) fn push_at(
        &self,
        millis: u64,
        bytes: impl Into<Bytes>,
    ) -> std::result::Result<gst::FlowSuccess, gst::FlowError> {
        let mut buffer = gst::Buffer::from_slice(bytes.into());
        let time = gst::ClockTime::from_mseconds(millis);
        let inner = buffer.get_mut().expect("just made");
        inner.set_dts(time);
        inner.set_pts(time);
        self.src.push(buffer)
    }

    pub(crate) fn eos(&self) -> bool {
        self.event(gst::event::Eos::new())
    }

    /// All that has happened since the last look.
    pub(crate) fn look(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.seen))
    }

    /// The messages since the last look.
    pub(crate) fn messages(&self) -> Vec<gst::Message> {
        self.bus.iter().collect()
    }

    /// The texts of warnings since the last look at messages.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let text = |message: gst::Message| match message.view() {
            gst::MessageView::Warning(warning) => Some(warning.error().to_string()),
            _ => None,
        };
        self.messages().into_iter().filter_map(text).collect()
    }

    /// The first error since the last look at messages.
    pub(crate) fn error(&self) -> Option<glib::Error> {
        self.messages()
            .into_iter()
            .find_map(|message| match message.view() {
                gst::MessageView::Error(error) => Some(error.error()),
                _ => None,
            })
    }

    /// The pad of a track.
    pub(crate) fn pad(&self, name: &str) -> Result<gst::Pad> {
        self.element
            .static_pad(name)
            .ok_or_else(|| Failure::new(format!("there is no pad {name}")))
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // Fails only of elements that have failed already.
        let _ = self.src.set_active(false);
        let _ = self.element.set_state(gst::State::Null);
        lock(&self.sinks).clear();
    }
}

/// Makes sure that the plugin under test is registered, which pipelines do.
pub(crate) fn register() -> Result<()> {
    Pipeline::new("fakesrc ! fakesink").map(drop)
}

fn recorder(name: String, log: Arc<Mutex<Vec<Seen>>>) -> gst::Pad {
    let (own, events) = (name.clone(), Arc::clone(&log));
    let sink = gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |_, _, buffer| {
            lock(&log).push(Seen::Buffer(name.clone(), buffer));
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |pad, parent, event| {
            lock(&events).push(Seen::Event(own.clone(), event.clone()));
            gst::Pad::event_default(pad, parent, event)
        })
        .flags(gst::PadFlags::ACCEPT_TEMPLATE)
        .build();
    sink.set_active(true).expect("a pad without a parent");
    sink
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The head of a file.
pub(crate) fn header(has_audio: bool, has_video: bool) -> Bytes {
    let mut out = BytesMut::new();
    FileHeader { has_audio, has_video }.encode(&mut out);
    out.freeze()
}

/// One tag.
pub(crate) fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Bytes {
    let header = TagHeader::new(kind, timestamp, body.len()).expect("a short body");
    let mut out = BytesMut::new();
    header.encode(&mut out);
    out.put_slice(body);
    out.put_u32(header.previous_tag_size());
    out.freeze()
}

pub(crate) fn audio(timestamp: u32, body: &[u8]) -> Bytes {
    tag(TagKind::Audio, timestamp, body)
}

pub(crate) fn video(timestamp: u32, body: &[u8]) -> Bytes {
    tag(TagKind::Video, timestamp, body)
}

/// A tag of script data.
pub(crate) fn script(timestamp: u32, handler: &str, value: Value) -> Bytes {
    let mut out = BytesMut::new();
    amf::encode_all(&[handler.into(), value], &mut out);
    tag(TagKind::Script, timestamp, &out)
}

/// Metadata of these properties.
pub(crate) fn metadata(properties: &[(&str, Value)]) -> Bytes {
    let properties = properties.iter().map(|(key, value)| (*key, value.clone()));
    script(0, "onMetaData", Value::ecma_array(properties))
}

pub(crate) fn millis(time: Option<gst::ClockTime>) -> Option<u64> {
    time.map(gst::ClockTime::mseconds)
}

/// The bytes of a buffer.
pub(crate) fn data(buffer: &gst::Buffer) -> Vec<u8> {
    buffer
        .map_readable()
        .map(|map| map.to_vec())
        .expect("memory of the test itself")
}

/// Names of pads in the order of their appearance.
pub(crate) fn pads(seen: &[Seen]) -> Vec<&str> {
    seen.iter()
        .filter_map(|seen| match seen {
            Seen::Pad(name) => Some(name.as_str()),
            Seen::NoMorePads | Seen::Event(..) | Seen::Buffer(..) => None,
        })
        .collect()
}

/// Buffers of a pad.
pub(crate) fn buffers<'a>(seen: &'a [Seen], pad: &str) -> Vec<&'a gst::Buffer> {
    let own = |seen: &'a Seen| match seen {
        Seen::Buffer(of, buffer) if of == pad => Some(buffer),
        _ => None,
    };
    seen.iter().filter_map(own).collect()
}

/// Presentation times of a pad's buffers in milliseconds.
pub(crate) fn times(seen: &[Seen], pad: &str) -> Vec<u64> {
    let buffers = buffers(seen, pad).into_iter();
    buffers.filter_map(|buffer| millis(buffer.pts())).collect()
}

/// Events of a pad of one type.
pub(crate) fn events<'a>(seen: &'a [Seen], pad: &str, of: gst::EventType) -> Vec<&'a gst::Event> {
    let own = |seen: &'a Seen| match seen {
        Seen::Event(name, event) if name == pad && event.type_() == of => Some(event),
        _ => None,
    };
    seen.iter().filter_map(own).collect()
}

/// Start and duration of GAP events of a pad, in milliseconds.
pub(crate) fn gaps(seen: &[Seen], pad: &str) -> Vec<(u64, Option<u64>)> {
    let gap = |event: &gst::Event| match event.view() {
        gst::EventView::Gap(gap) => {
            let (at, duration) = gap.get();
            Some((at.mseconds(), millis(duration)))
        }
        _ => None,
    };
    let events = events(seen, pad, gst::EventType::Gap).into_iter();
    events.filter_map(gap).collect()
}

/// Caps of a pad, one after another.
pub(crate) fn all_caps(seen: &[Seen], pad: &str) -> Vec<gst::Caps> {
    let caps = |event: &gst::Event| match event.view() {
        gst::EventView::Caps(caps) => Some(caps.caps_owned()),
        _ => None,
    };
    let events = events(seen, pad, gst::EventType::Caps).into_iter();
    events.filter_map(caps).collect()
}

/// The segments of a pad.
pub(crate) fn segments(seen: &[Seen], pad: &str) -> Result<Vec<gst::FormattedSegment<gst::ClockTime>>> {
    events(seen, pad, gst::EventType::Segment)
        .into_iter()
        .map(|event| match event.view() {
            gst::EventView::Segment(segment) => segment
                .segment()
                .downcast_ref::<gst::ClockTime>()
                .cloned()
                .ok_or(Failure::new("a segment that is not in time")),
            _ => Err(Failure::new("an event of another type")),
        })
        .collect::<Result<_>>()
        .context(pad)
}
