//! An `rtmpsrc` in a pipeline of its own, with everything kept that leaves it, and media to send to it.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use gst::glib;
use gst::prelude::*;
use gstrtmp::amf::{Value, encode_all};
use gstrtmp::flv::{self, Item};
use gstrtmp::message::{UserControl, type_id};

use crate::support::script::{Client, Server};
use crate::support::wait::{self, LONG};
use crate::support::{Context, Failure, Result};

pub const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00\x01\x64\x00\x0a\xff\xe1\x00\x01\x67\x01\x00\x01\x68";
pub const AAC_HEADER: &[u8] = b"\xaf\x00\x12\x10";
/// Shown 40 ms after it is decoded.
pub const KEY_FRAME: &[u8] = b"\x17\x01\x00\x00\x28\x00\x00\x00\x01\x65";
pub const INTER_FRAME: &[u8] = b"\x27\x01\x00\x00\x28\x00\x00\x00\x01\x41";
pub const SOUND: &[u8] = b"\xaf\x01\x21\x10";

/// A message of type `type_id` at a time in milliseconds.
#[derive(Clone)]
pub struct Message {
    pub type_id: u8,
    pub timestamp: u32,
    pub body: Bytes,
}

/// `Debug` is short: streams are compared as a whole.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.body.slice(..self.body.len().min(12));
        let (kind, at, length) = (self.type_id, self.timestamp, self.body.len());
        write!(f, "{kind}@{at}[{length}]{}", start.escape_ascii())
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        (self.type_id, self.timestamp, &self.body) == (other.type_id, other.timestamp, &other.body)
    }
}

pub fn video(timestamp: u32, body: &[u8]) -> Message {
    message(type_id::VIDEO, timestamp, body)
}

pub fn audio(timestamp: u32, body: &[u8]) -> Message {
    message(type_id::AUDIO, timestamp, body)
}

pub fn data(timestamp: u32, body: impl AsRef<[u8]>) -> Message {
    message(type_id::DATA_AMF0, timestamp, body.as_ref())
}

fn message(type_id: u8, timestamp: u32, body: &[u8]) -> Message {
    Message {
        type_id,
        timestamp,
        body: Bytes::copy_from_slice(body),
    }
}

/// A group of pictures: `count` of them, 40 ms apart, the first a key frame.
pub fn group(start: u32, count: u32) -> Vec<Message> {
    let later = (1..count).map(|n| video(start.wrapping_add(40 * n), INTER_FRAME));
    std::iter::once(video(start, KEY_FRAME)).chain(later).collect()
}

/// onMetaData of a stream with the tracks.
pub fn metadata(has_audio: bool, has_video: bool) -> Vec<u8> {
    let mut properties = vec![("duration", Value::from(0.0))];
    if has_video {
        properties.extend([
            ("width", Value::from(320.0)),
            ("height", 240.0.into()),
            ("videocodecid", 7.0.into()),
        ]);
    }
    if has_audio {
        properties.push(("audiocodecid", 10.0.into()));
    }
    let mut out = BytesMut::new();
    encode_all(&["onMetaData".into(), Value::ecma_array(properties)], &mut out);
    out.to_vec()
}

/// What a stream of H.264 begins with.
pub fn video_start() -> Vec<Message> {
    vec![data(0, metadata(false, true)), video(0, AVC_HEADER)]
}

pub fn send(client: &mut Client, stream_id: u32, messages: &[Message]) -> Result<()> {
    for Message {
        type_id,
        timestamp,
        body,
    } in messages
    {
        client.send_media(stream_id, *type_id, *timestamp, body.clone())?;
    }
    Ok(())
}

/// Ends the stream in good order and awaits the client's end of the connection.
pub fn finish(client: &mut Client, stream_id: u32) -> Result<()> {
    client.send_user_control(&UserControl::StreamEof(stream_id))?;
    client.read_to_end()
}

/// A server with one client, which plays message stream 1 before `script` goes on.
pub fn playing(script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static) -> Result<Server> {
    serving(move |client| {
        client.accept_play(1)?;
        script(client)
    })
}

/// A server with one client.
pub fn serving(script: impl FnOnce(&mut Client) -> Result<()> + Send + 'static) -> Result<Server> {
    Server::start(move |stage| script(&mut stage.accept()?))
}

/// A server that plays `messages` and ends the stream.
pub fn stream_of(messages: Vec<Message>) -> Result<Server> {
    playing(move |client| {
        send(client, 1, &messages)?;
        finish(client, 1)
    })
}

/// A segment as it left the element.
pub type Segment = gst::FormattedSegment<gst::ClockTime>;

/// What left the element.
#[derive(Clone, Debug)]
pub enum Output {
    Caps(gst::Caps),
    /// A segment, and the running time at which it came by.
    Segment(gst::FormattedSegment<gst::ClockTime>, gst::ClockTime),
    Buffer(gst::Buffer),
    Flush,
    Eos,
}

#[derive(Default)]
struct Record {
    outputs: Mutex<Vec<Output>>,
    changed: Condvar,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Vec<Output>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error or warning as an application gets it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Domain and code as GStreamer names them, such as "ResourceError::Read".
    pub code: String,
    pub sentence: String,
    pub debug: String,
}

impl Problem {
    fn new(error: &glib::Error, debug: Option<glib::GString>) -> Self {
        let code = match (
            error.kind::<gst::ResourceError>(),
            error.kind::<gst::StreamError>(),
            error.kind::<gst::CoreError>(),
        ) {
            (Some(code), ..) => format!("ResourceError::{code:?}"),
            (_, Some(code), _) => format!("StreamError::{code:?}"),
            (.., Some(code)) => format!("CoreError::{code:?}"),
            _ => format!("{error:?}"),
        };
        Self {
            code,
            sentence: error.message().to_owned(),
            debug: debug.unwrap_or_default().to_string(),
        }
    }

    /// Fails unless it has this code and says `part`.
    pub fn expect(&self, code: &str, part: &str) -> Result<()> {
        if self.code == code && self.sentence.contains(part) {
            return Ok(());
        }
        Err(Failure::new(format!("not {code} with {part:?}, but {self:?}")))
    }
}

/// How a stream ended.
#[derive(Clone, Debug)]
pub enum End {
    Eos,
    Error(Problem),
}

/// The element under test in a pipeline, which is set to NULL when dropped.
pub struct Source {
    pub pipeline: gst::Pipeline,
    pub element: gst::Element,
    pub pad: gst::Pad,
    pub sink: gst::Element,
    bus: gst::Bus,
    record: Arc<Record>,
}

/// Initialises GStreamer with the plugin under test.
pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().expect("GStreamer is installed");
        // What GStreamer warns of is a mistake of an element, such as data without a segment.
        let levels = glib::LogLevels::LEVEL_WARNING | glib::LogLevels::LEVEL_CRITICAL;
        glib::log_set_handler(Some("GStreamer"), levels, true, true, |_, _, text| {
            eprintln!("GStreamer warns: {text}");
            std::process::abort();
        });
        gstrtmp::plugin_register_static().expect("the plugin registers itself");
    });
}

/// The element on its own.
pub fn make() -> Result<gst::Element> {
    init();
    let element = gst::ElementFactory::make("rtmpsrc").build()?;
    assert!(
        element.type_().name().starts_with("GstRs"),
        "the system's element came first"
    );
    Ok(element)
}

impl Source {
    /// A source whose output is thrown away at once.
    pub fn new(location: &str) -> Result<Self> {
        Self::with(location, &[])
    }

    /// As [`new`](Self::new), with properties as one types them.
    pub fn with(location: &str, properties: &[(&str, &str)]) -> Result<Self> {
        Self::before("fakesink sync=false", location, properties)
    }

    /// A source before the elements of a bin as one types it.
    pub fn before(downstream: &str, location: &str, properties: &[(&str, &str)]) -> Result<Self> {
        let element = make()?;
        element.set_property("location", location);
        for (name, value) in properties {
            element.set_property_from_str(name, value);
        }
        let sink = gst::parse::bin_from_description(downstream, true).context(downstream)?;
        let pipeline = gst::Pipeline::new();
        pipeline.add(&element)?;
        pipeline.add(&sink)?;
        element.link(&sink)?;
        Self::of(pipeline, element, sink.upcast())
    }

    /// The source `element` of `pipeline`.
    pub fn of(pipeline: gst::Pipeline, element: gst::Element, sink: gst::Element) -> Result<Self> {
        let pad = element
            .static_pad("src")
            .ok_or(Failure::new("the element has no pad src"))?;
        let record = Arc::new(Record::default());
        let probes =
            gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::EVENT_FLUSH;
        let (kept, clock) = (Arc::clone(&record), element.clone());
        pad.add_probe(probes, move |_, info| {
            if let Some(output) = output(info, &clock) {
                kept.lock().push(output);
                kept.changed.notify_all();
            }
            gst::PadProbeReturn::Ok
        });
        let bus = pipeline.bus().ok_or(Failure::new("a pipeline has no bus"))?;
        Ok(Self {
            pipeline,
            element,
            pad,
            sink,
            bus,
            record,
        })
    }

    pub fn play(&self) -> Result<()> {
        self.pipeline.set_state(gst::State::Playing)?;
        Ok(())
    }

    pub fn pause(&self) -> Result<()> {
        self.pipeline.set_state(gst::State::Paused)?;
        Ok(())
    }

    /// Stops the pipeline; how long that took.
    pub fn stop(&self) -> Result<Duration> {
        let started = Instant::now();
        self.pipeline.set_state(gst::State::Null)?;
        Ok(started.elapsed())
    }

    pub fn running_time(&self) -> gst::ClockTime {
        self.pipeline.current_running_time().unwrap_or_default()
    }

    /// A figure of the property `stats`; 0 when there is none.
    pub fn figure(&self, field: &str) -> u64 {
        let stats: gst::Structure = self.element.property("stats");
        stats.get(field).unwrap_or_default()
    }

    /// Waits until the connection is `connecting`, `connected` or `closed`.
    pub fn wait_for_connection(&self, state: &str) -> Result<()> {
        wait::until(&format!("a connection that is {state}"), LONG, || {
            let stats: gst::Structure = self.element.property("stats");
            (stats.get::<&str>("state") == Ok(state)).then_some(())
        })
    }

    /// All that has left the element so far.
    pub fn outputs(&self) -> Vec<Output> {
        self.record.lock().clone()
    }

    /// Waits until what has left the element is as wished.
    pub fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&[Output]) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + LONG;
        let mut outputs = self.record.lock();
        loop {
            if let Some(found) = find(&outputs) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let problem = self.bus.pop_filtered(&[gst::MessageType::Error]);
                return Err(Failure::new(format!(
                    "gave up waiting for {what}; there are {:?} and {problem:?}",
                    *outputs
                )));
            }
            outputs = self
                .record
                .changed
                .wait_timeout(outputs, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until `count` frames have left the element; the tags that have.
    pub fn wait_for_tags(&self, count: usize) -> Result<Vec<Message>> {
        self.wait_for(&format!("{count} tags"), |outputs| {
            tags(outputs).ok().filter(|tags| tags.len() >= count)
        })
    }

    /// Waits for the tag with this time.
    pub fn wait_for_time(&self, timestamp: u32) -> Result<Vec<Message>> {
        self.wait_for(&format!("a tag at {timestamp}"), |outputs| {
            tags(outputs)
                .ok()
                .filter(|tags| tags.iter().any(|tag| tag.timestamp == timestamp))
        })
    }

    /// The tags that have left the element.
    pub fn tags(&self) -> Result<Vec<Message>> {
        tags(&self.record.lock())
    }

    pub fn buffers(&self) -> Vec<gst::Buffer> {
        buffers(&self.record.lock())
    }

    pub fn segments(&self) -> Vec<(gst::FormattedSegment<gst::ClockTime>, gst::ClockTime)> {
        let outputs = self.record.lock();
        let segments = outputs.iter().filter_map(|output| match output {
            Output::Segment(segment, at) => Some((segment.clone(), *at)),
            _ => None,
        });
        segments.collect()
    }

    /// Seeks with a flush; whether that was done.
    pub fn seek(&self, flags: gst::SeekFlags, position: gst::ClockTime) -> bool {
        // Not of the element: that would hold its lock of states, which a pipeline that changes state waits for.
        self.pipeline
            .seek_simple(flags | gst::SeekFlags::FLUSH, position)
            .is_ok()
    }

    /// Waits for `count` tags since the last flush, or for the end; the segments and the tags.
    pub fn wait_since_flush(&self, count: usize) -> Result<(Vec<Segment>, Vec<Message>)> {
        self.wait_for(&format!("{count} tags after a flush"), |outputs| {
            let outputs = since_flush(outputs);
            let tags = tags(outputs).ok()?;
            let has_ended = outputs.iter().any(|output| matches!(output, Output::Eos));
            let segments = outputs.iter().filter_map(|output| match output {
                Output::Segment(segment, _) => Some(segment.clone()),
                _ => None,
            });
            (tags.len() >= count || has_ended).then(|| (segments.collect(), tags))
        })
    }

    /// The times of the queries for seeking and duration.
    pub fn reach(&self) -> (bool, Option<gst::ClockTime>) {
        let mut seeking = gst::query::Seeking::new(gst::Format::Time);
        let is_seekable = self.pad.query(&mut seeking) && seeking.result().0;
        (is_seekable, self.pad.query_duration::<gst::ClockTime>())
    }

    /// Waits for a message of one of the types.
    pub fn wait_for_message(&self, types: &[gst::MessageType]) -> Result<gst::Message> {
        let patience = gst::ClockTime::from_seconds(LONG.as_secs());
        self.bus.timed_pop_filtered(patience, types).ok_or_else(|| {
            Failure::new(format!(
                "no message of {types:?} came; there are {:?}",
                self.outputs()
            ))
        })
    }

    /// Waits until the server has said something by onStatus.
    pub fn wait_for_status(&self, code: &str) -> Result<gst::Message> {
        loop {
            let message = self.wait_for_message(&[gst::MessageType::Element])?;
            let said = message
                .structure()
                .and_then(|said| said.get::<String>("code").ok());
            if said.as_deref() == Some(code) {
                return Ok(message);
            }
        }
    }

    /// Waits for the end of the stream, of whatever kind.
    pub fn end(&self) -> Result<End> {
        let message = self.wait_for_message(&[gst::MessageType::Eos, gst::MessageType::Error])?;
        Ok(match message.view() {
            gst::MessageView::Error(error) => End::Error(Problem::new(&error.error(), error.debug())),
            _ => End::Eos,
        })
    }

    pub fn wait_for_eos(&self) -> Result<()> {
        match self.end()? {
            End::Eos => Ok(()),
            End::Error(problem) => Err(Failure::new(format!("not the end, but {problem:?}"))),
        }
    }

    pub fn wait_for_error(&self) -> Result<Problem> {
        match self.end()? {
            End::Eos => Err(Failure::new("the stream has ended without an error")),
            End::Error(problem) => Ok(problem),
        }
    }

    /// All errors that have come since.
    pub fn errors(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        while let Some(message) = self.bus.pop_filtered(&[gst::MessageType::Error]) {
            if let gst::MessageView::Error(error) = message.view() {
                problems.push(Problem::new(&error.error(), error.debug()));
            }
        }
        problems
    }

    pub fn wait_for_warning(&self) -> Result<Problem> {
        let message = self.wait_for_message(&[
            gst::MessageType::Warning,
            gst::MessageType::Eos,
            gst::MessageType::Error,
        ])?;
        match message.view() {
            gst::MessageView::Warning(warning) => Ok(Problem::new(&warning.error(), warning.debug())),
            other => Err(Failure::new(format!("no warning, but {other:?}"))),
        }
    }

    /// Plays a stream to its end; its tags.
    pub fn run(&self) -> Result<Vec<Message>> {
        self.play()?;
        self.wait_for_eos()?;
        self.tags()
    }

    /// Holds back every buffer from now on, as a sink does that is full, until the probe is removed.
    pub fn block(&self) -> Result<gst::PadProbeId> {
        let types = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
        self.pad
            .add_probe(types, |_, _| gst::PadProbeReturn::Ok)
            .ok_or(Failure::new("the pad takes no probe"))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Fails only of elements that have failed already.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn since_flush(outputs: &[Output]) -> &[Output] {
    let flush = outputs.iter().rposition(|output| matches!(output, Output::Flush));
    outputs.get(flush.map_or(0, |at| at + 1)..).unwrap_or_default()
}

fn output(info: &gst::PadProbeInfo<'_>, element: &gst::Element) -> Option<Output> {
    match &info.data {
        Some(gst::PadProbeData::Buffer(buffer)) => Some(Output::Buffer(buffer.clone())),
        Some(gst::PadProbeData::Event(event)) => match event.view() {
            gst::EventView::Caps(caps) => Some(Output::Caps(caps.caps_owned())),
            gst::EventView::Segment(segment) => {
                let segment = segment.segment().clone();
                let at = element.current_running_time().unwrap_or_default();
                Some(Output::Segment(segment.downcast().ok()?, at))
            }
            // Its end: a buffer that was under way at its begin may still come by before that.
            gst::EventView::FlushStop(_) => Some(Output::Flush),
            gst::EventView::Eos(_) => Some(Output::Eos),
            _ => None,
        },
        _ => None,
    }
}

pub fn buffers(outputs: &[Output]) -> Vec<gst::Buffer> {
    let buffers = outputs.iter().filter_map(|output| match output {
        Output::Buffer(buffer) => Some(buffer.clone()),
        _ => None,
    });
    buffers.collect()
}

/// The bytes of a buffer.
pub fn bytes(buffer: &gst::Buffer) -> Result<Bytes> {
    let map = buffer
        .map_readable()
        .map_err(|_| Failure::new("a buffer cannot be read"))?;
    Ok(Bytes::copy_from_slice(&map))
}

/// The tags of a stream as it left the element.
fn tags(outputs: &[Output]) -> Result<Vec<Message>> {
    let mut reader = flv::Reader::new();
    for buffer in buffers(outputs) {
        reader.push(bytes(&buffer)?);
    }
    let mut tags = Vec::new();
    while let Some(item) = reader
        .next()
        .map_err(|error| Failure::new(format!("{error:?}")))?
    {
        if let Item::Tag(tag) = item {
            tags.push(Message {
                type_id: tag.kind.type_id(),
                timestamp: tag.timestamp,
                body: tag.joined(),
            });
        }
    }
    match reader.pending() {
        0 => Ok(tags),
        pending => Err(Failure::new(format!("{pending} bytes of a tag without an end"))),
    }
}
