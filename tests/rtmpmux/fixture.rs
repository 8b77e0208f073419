//! The muxer with sources that push what a test gives them, and what it makes of that.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gst::prelude::*;
use gstrtmp::flv::audio::{AudioCodec, AudioPayload};
use gstrtmp::flv::video::{ColorInfo, VideoCodec, VideoPayload};
use gstrtmp::flv::{AudioPacket, FourCc, Metadata, TagKind, VideoPacket};

use crate::support::tags::{self, Tag};
use crate::support::{Context, Failure, Result, pipeline, wait};

/// Caps that need no more than is in them.
pub const AVC: &str = "video/x-h264, stream-format=avc, alignment=au, width=64, height=64, framerate=25/1, \
    codec_data=(buffer)0164000affe100186764000aacd94426c044000003000400000300c83c48965801000668ebe3cb22c0fdf8f800";
pub const HEVC: &str = "video/x-h265, stream-format=hvc1, alignment=au, width=64, height=64, framerate=25/1, \
    codec_data=(buffer)0101600000009000000000001ef000fcfdf8f800000f00";
pub const AV1: &str = "video/x-av1, stream-format=obu-stream, alignment=tu, width=64, height=64, framerate=25/1, \
    codec_data=(buffer)81000c000a0a00000002afff805f0008";
pub const AAC: &str = "audio/mpeg, mpegversion=4, framed=true, stream-format=raw, rate=44100, channels=2, codec_data=(buffer)1210";
pub const OPUS: &str =
    "audio/x-opus, rate=48000, channels=2, channel-mapping-family=0, stream-count=1, coupled-count=1";

/// The muxer in a pipeline of its own.
pub struct Mux {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    pub element: gst::Element,
    out: Out,
    warnings: RefCell<Vec<String>>,
}

/// What has come out.
#[derive(Clone, Default)]
pub struct Out(Arc<Mutex<Vec<Piece>>>);

/// In the order of the source pad.
#[derive(Clone, Debug)]
pub enum Piece {
    Buffer(gst::Buffer),
    Caps(gst::Caps),
    Segment(gst::Segment),
    Eos,
}

/// What feeds one pad.
pub struct Source {
    source: gst::Element,
    pub pad: gst::Pad,
    caps: RefCell<gst::Caps>,
    segment: RefCell<gst::FormattedSegment<gst::ClockTime>>,
}

/// A buffer to push, with times in milliseconds.
#[derive(Clone, Default)]
pub struct Frame {
    pub data: Vec<u8>,
    pub dts: Option<gst::ClockTime>,
    pub pts: Option<gst::ClockTime>,
    pub is_delta: bool,
}

/// A frame of `data` at `pts`.
pub fn frame(data: &[u8], pts: u64) -> Frame {
    Frame {
        data: data.to_vec(),
        pts: Some(gst::ClockTime::from_mseconds(pts)),
        ..Frame::default()
    }
}

impl Frame {
    pub fn dts(mut self, millis: u64) -> Self {
        self.dts = Some(gst::ClockTime::from_mseconds(millis));
        self
    }

    pub fn delta(mut self) -> Self {
        self.is_delta = true;
        self
    }

    pub fn buffer(self) -> gst::Buffer {
        let mut buffer = gst::Buffer::from_slice(self.data);
        if let Some(writable) = buffer.get_mut() {
            writable.set_pts(self.pts);
            writable.set_dts(self.dts);
            if self.is_delta {
                writable.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        buffer
    }
}

impl Mux {
    pub fn new() -> Result<Self> {
        pipeline::register()?;
        let element = gst::ElementFactory::make("rtmpmux").build()?;
        let sink = gst::ElementFactory::make("fakesink")
            .property("sync", false)
            .property("async", false)
            .build()?;
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([&element, &sink])?;
        element.link(&sink)?;
        let bus = pipeline.bus().ok_or(Failure::new("a pipeline has no bus"))?;
        let out = Out::default();
        let pad = sink
            .static_pad("sink")
            .ok_or(Failure::new("fakesink has no pad"))?;
        out.record(&pad);
        Ok(Self {
            pipeline,
            bus,
            element,
            out,
            warnings: RefCell::default(),
        })
    }

    /// A pad called `name` and what feeds it with buffers of `caps`. Sources that are added later join in.
    pub fn source(&self, name: &str, caps: &str) -> Result<Source> {
        let pad = self
            .element
            .request_pad_simple(name)
            .ok_or_else(|| Failure::new(format!("there is no pad {name}")))?;
        let source = gst::ElementFactory::make("appsrc")
            .property("format", gst::Format::Time)
            .property("handle-segment-change", true)
            .build()?;
        self.pipeline.add(&source)?;
        source
            .static_pad("src")
            .ok_or(Failure::new("appsrc has no pad"))?
            .link(&pad)?;
        source.sync_state_with_parent()?;
        Ok(Source {
            source,
            pad,
            caps: RefCell::new(parse(caps)?),
            segment: RefCell::default(),
        })
    }

    pub fn play(&self) -> Result<()> {
        self.pipeline.set_state(gst::State::Playing)?;
        Ok(())
    }

    pub fn set_state(&self, state: gst::State) -> Result<()> {
        self.pipeline.set_state(state)?;
        Ok(())
    }

    /// Runs to the end of the stream; gives all that came out since the last time.
    pub fn finish(&self) -> Result<Stream> {
        self.wait(|message| matches!(message, gst::MessageView::Eos(_)).then_some(()))
            .context("waiting for the end of the stream")?;
        Stream::of(std::mem::take(&mut *self.out.lock()))
    }

    /// Waits for an error; gives its sentence.
    pub fn error(&self) -> Result<String> {
        self.wait(|message| match message {
            gst::MessageView::Error(error) => Some(error.error().to_string()),
            _ => None,
        })
        .context("waiting for an error")
    }

    /// Sentences of the warnings so far.
    pub fn warnings(&self) -> Vec<String> {
        while let Some(message) = self.bus.pop() {
            self.note(&message);
        }
        self.warnings.borrow().clone()
    }

    /// Waits until so many frames have come out; gives all that did.
    pub fn frames(&self, count: usize) -> Result<Stream> {
        wait::until(&format!("{count} frames"), wait::LONG, || {
            let stream = Stream::of(self.out.lock().clone());
            match &stream {
                Ok(stream) if stream.frames().count() < count => None,
                _ => Some(stream),
            }
        })?
    }

    fn note(&self, message: &gst::Message) {
        if let gst::MessageView::Warning(warning) = message.view() {
            self.warnings.borrow_mut().push(warning.error().to_string());
        }
    }

    fn wait<T>(&self, find: impl Fn(&gst::MessageView<'_>) -> Option<T>) -> Result<T> {
        let patience = gst::ClockTime::try_from(wait::LONG)?;
        while let Some(message) = self.bus.timed_pop(patience) {
            self.note(&message);
            if let Some(found) = find(&message.view()) {
                return Ok(found);
            }
            match message.view() {
                gst::MessageView::Error(error) => {
                    return Err(Failure::new(format!("{} ({:?})", error.error(), error.debug())));
                }
                gst::MessageView::Eos(_) => return Err(Failure::new("the stream has ended")),
                _ => {}
            }
        }
        Err(Failure::new("it did not come"))
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        // Fails only of elements that have failed already.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Source {
    /// Buffers that follow are of these caps.
    pub fn set_caps(&self, caps: &str) -> Result<()> {
        *self.caps.borrow_mut() = parse(caps)?;
        Ok(())
    }

    /// Buffers that follow are of a segment that begins with `start`.
    pub fn set_start(&self, start: gst::ClockTime) {
        let mut segment = gst::FormattedSegment::new();
        segment.set_start(start);
        *self.segment.borrow_mut() = segment;
    }

    pub fn push(&self, frame: Frame) -> Result<()> {
        self.push_buffer(&frame.buffer())
    }

    pub fn push_buffer(&self, buffer: &gst::Buffer) -> Result<()> {
        let sample = gst::Sample::builder()
            .buffer(buffer)
            .caps(&self.caps.borrow())
            .segment(&self.segment.borrow())
            .build();
        let flow: gst::FlowReturn = self.source.emit_by_name("push-sample", &[&sample]);
        flow.into_result()?;
        Ok(())
    }

    /// An event that goes behind what was pushed.
    pub fn send(&self, event: gst::Event) -> Result<()> {
        if self.source.send_event(event) {
            return Ok(());
        }
        Err(Failure::new("appsrc takes no event"))
    }

    pub fn end(&self) -> Result<()> {
        let flow: gst::FlowReturn = self.source.emit_by_name("end-of-stream", &[]);
        flow.into_result()?;
        Ok(())
    }

    /// Takes the source away as an application does, and releases the pad.
    pub fn remove(self, mux: &Mux) -> Result<()> {
        let pad = self
            .source
            .static_pad("src")
            .ok_or(Failure::new("appsrc has no pad"))?;
        pad.unlink(&self.pad)?;
        mux.element.release_request_pad(&self.pad);
        self.source.set_state(gst::State::Null)?;
        mux.pipeline.remove(&self.source)?;
        Ok(())
    }
}

fn parse(caps: &str) -> Result<gst::Caps> {
    gst::init()?;
    caps.parse().context(caps)
}

impl Out {
    pub fn lock(&self) -> MutexGuard<'_, Vec<Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps all that comes to `pad` from now on.
    pub fn record(&self, pad: &gst::Pad) {
        let out = self.clone();
        let kinds =
            gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST | gst::PadProbeType::EVENT_DOWNSTREAM;
        pad.add_probe(kinds, move |_, info| {
            let mut pieces = out.lock();
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => pieces.push(Piece::Buffer(buffer.clone())),
                Some(gst::PadProbeData::BufferList(list)) => {
                    pieces.extend(list.iter_owned().map(Piece::Buffer));
                }
                Some(gst::PadProbeData::Event(event)) => match event.view() {
                    gst::EventView::Caps(caps) => pieces.push(Piece::Caps(caps.caps_owned())),
                    gst::EventView::Segment(segment) => {
                        pieces.push(Piece::Segment(segment.segment().clone()));
                    }
                    gst::EventView::Eos(_) => pieces.push(Piece::Eos),
                    _ => {}
                },
                _ => {}
            }
            gst::PadProbeReturn::Ok
        });
    }
}

/// What came out of the muxer, read by `gstrtmp::flv`.
#[derive(Debug)]
pub struct Stream {
    pub pieces: Vec<Piece>,
    pub packets: Vec<Packet>,
}

/// One track's part of a tag, or metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub kind: TagKind,
    pub track: u8,
    /// `None` of legacy tags.
    pub four_cc: Option<FourCc>,
    /// Milliseconds of the tag.
    pub timestamp: u32,
    /// Nanoseconds.
    pub pts: i64,
    pub is_key: bool,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Metadata(Metadata),
    Header(Bytes),
    Color(ColorInfo),
    Frame(Bytes),
    End,
}

impl Stream {
    pub fn of(pieces: Vec<Piece>) -> Result<Self> {
        let bytes = pieces.iter().filter_map(|piece| match piece {
            Piece::Buffer(buffer) => Some(tags::bytes(buffer.copy())),
            Piece::Caps(_) | Piece::Segment(_) | Piece::Eos => None,
        });
        let tags = tags::parse(bytes.collect::<Result<Vec<_>>>()?)?;
        Ok(Self {
            packets: packets(&tags)?,
            pieces,
        })
    }

    /// The frames.
    pub fn frames(&self) -> impl Iterator<Item = &Packet> {
        self.packets
            .iter()
            .filter(|packet| matches!(packet.content, Content::Frame(_)))
    }

    /// Data of the frames, and whether it has ended, in short: `v0:a v1:b end:v0`.
    pub fn summary(&self) -> String {
        let words: Vec<String> = self
            .packets
            .iter()
            .map(|packet| {
                let kind = if packet.kind == TagKind::Video { "v" } else { "a" };
                let track = format!("{kind}{}", packet.track);
                match &packet.content {
                    Content::Metadata(_) => "metadata".to_owned(),
                    Content::Header(_) => format!("header:{track}"),
                    Content::Color(_) => format!("color:{track}"),
                    Content::Frame(data) => format!("{track}:{}", String::from_utf8_lossy(data)),
                    Content::End => format!("end:{track}"),
                }
            })
            .collect();
        words.join(" ")
    }

    /// Timestamps of the frames with their PTS, in milliseconds.
    pub fn times(&self) -> Vec<(u32, i64)> {
        self.frames()
            .map(|packet| (packet.timestamp, packet.pts / 1_000_000))
            .collect()
    }

    /// The last metadata.
    pub fn metadata(&self) -> Result<&Metadata> {
        let metadata = self
            .packets
            .iter()
            .rev()
            .find_map(|packet| match &packet.content {
                Content::Metadata(metadata) => Some(metadata),
                _ => None,
            });
        metadata.ok_or(Failure::new("there is no metadata"))
    }

    /// What the last caps hold, in the words of [`Stream::summary`].
    pub fn stream_headers(&self) -> Result<String> {
        let caps = self.pieces.iter().rev().find_map(|piece| match piece {
            Piece::Caps(caps) => Some(caps),
            _ => None,
        });
        let caps = caps.ok_or(Failure::new("there are no caps"))?;
        let structure = caps.structure(0).ok_or(Failure::new("caps are empty"))?;
        let headers = structure.get::<gst::Array>("streamheader")?;
        let headers = headers
            .iter()
            .map(|header| Ok(Piece::Buffer(header.get::<gst::Buffer>()?)))
            .collect::<Result<_>>()?;
        Ok(Self::of(headers)?.summary())
    }
}

/// Takes tags apart.
pub fn packets(tags: &[Tag]) -> Result<Vec<Packet>> {
    let mut packets = Vec::new();
    for tag in tags {
        let millis = i64::from(tag.timestamp);
        let time = |offset: i32, nanos: u32| (millis + i64::from(offset)) * 1_000_000 + i64::from(nanos);
        match tag.kind {
            TagKind::Audio => {
                for packet in AudioPacket::decode(&tag.body) {
                    packets.push(audio(tag.timestamp, packet?, time)?);
                }
            }
            TagKind::Video => {
                for packet in VideoPacket::decode(&tag.body) {
                    packets.push(video(tag.timestamp, packet?, time)?);
                }
            }
            _ => packets.push(Packet {
                kind: tag.kind,
                track: 0,
                four_cc: None,
                timestamp: tag.timestamp,
                pts: time(0, 0),
                is_key: true,
                content: Content::Metadata(
                    Metadata::parse(tag.body.clone()).ok_or(Failure::new("metadata that is none"))?,
                ),
            }),
        }
    }
    Ok(packets)
}

fn audio(timestamp: u32, packet: AudioPacket, time: impl Fn(i32, u32) -> i64) -> Result<Packet> {
    Ok(Packet {
        kind: TagKind::Audio,
        track: packet.track,
        four_cc: match packet.codec {
            Some(AudioCodec::Enhanced(code)) => Some(code),
            _ => None,
        },
        timestamp,
        pts: time(0, packet.nano_offset),
        is_key: true,
        content: match packet.payload {
            AudioPayload::SequenceStart(header) => Content::Header(header),
            AudioPayload::Frames(data) => Content::Frame(data),
            AudioPayload::SequenceEnd => Content::End,
            other => return Err(Failure::new(format!("nobody asked for {other:?}"))),
        },
    })
}

fn video(timestamp: u32, packet: VideoPacket, time: impl Fn(i32, u32) -> i64) -> Result<Packet> {
    let (offset, content) = match packet.payload {
        VideoPayload::SequenceStart(header) => (0, Content::Header(header)),
        VideoPayload::Frame {
            composition_time,
            data,
        } => (composition_time, Content::Frame(data)),
        VideoPayload::Vp6Frame { data, .. } => (0, Content::Frame(data)),
        VideoPayload::SequenceEnd => (0, Content::End),
        VideoPayload::Metadata(color) => (0, Content::Color(color)),
        other => return Err(Failure::new(format!("nobody asked for {other:?}"))),
    };
    Ok(Packet {
        kind: TagKind::Video,
        track: packet.track,
        four_cc: match packet.codec {
            Some(VideoCodec::Enhanced(code)) => Some(code),
            _ => None,
        },
        timestamp,
        pts: time(offset, packet.nano_offset),
        is_key: packet.frame.is_key(),
        content,
    })
}
