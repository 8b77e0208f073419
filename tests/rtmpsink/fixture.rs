//! An `rtmpsink` alone in a pipeline: a pad that feeds it, its bus, and threads so that nothing it does holds a test
//! up.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gst::prelude::*;

use crate::support::wait::{self, LONG};
use crate::support::{Context, Failure, Result};

/// What going to NULL or READY may take, whatever the peer does.
pub(crate) const QUICK: Duration = Duration::from_millis(200);

/// What pushing a buffer comes to.
pub(crate) type Flow = std::result::Result<gst::FlowSuccess, gst::FlowError>;

/// The element under test. Dropping it sets it to NULL.
pub(crate) struct Sink {
    pub(crate) element: gst::Element,
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    /// Everything that was ever posted, as text.
    said: Arc<Mutex<Vec<String>>>,
    pad: gst::Pad,
    feeder: Sender<Box<dyn FnOnce() + Send>>,
}

/// Something that goes on beside the test.
pub(crate) struct Pending<T> {
    what: &'static str,
    receiver: Receiver<T>,
    value: Option<T>,
}

impl<T> Pending<T> {
    /// Whether it has come to its end.
    pub(crate) fn is_done(&mut self) -> bool {
        if self.value.is_none() {
            self.value = self.receiver.try_recv().ok();
        }
        self.value.is_some()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<T> {
        if let Some(value) = self.value.take() {
            return Ok(value);
        }
        self.receiver
            .recv_timeout(LONG)
            .map_err(|error| Failure::new(format!("{} did not return: {error}", self.what)))
    }
}

/// Runs `action` on a thread of its own.
pub(crate) fn aside<T: Send + 'static>(
    what: &'static str,
    action: impl FnOnce() -> T + Send + 'static,
) -> Result<Pending<T>> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        // The test may have given up.
        let _ = sender.send(action());
    })?;
    Ok(Pending {
        what,
        receiver,
        value: None,
    })
}

/// An error as an application gets it.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Domain and code as GStreamer names them, such as "ResourceError::OpenWrite".
    pub(crate) code: String,
    pub(crate) sentence: String,
    pub(crate) debug: String,
}

impl Problem {
    fn of(message: &gst::message::Error) -> Self {
        let error = message.error();
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
        assert_ne!(code, "ResourceError::OpenRead", "a sink does not read: {error}");
        Self {
            code,
            sentence: error.message().to_owned(),
            debug: message.debug().unwrap_or_default().to_string(),
        }
    }

    /// Asserts what it is.
    pub(crate) fn expect(self, code: &str, part: &str) -> Result<()> {
        if self.code == code && self.sentence.contains(part) {
            Ok(())
        } else {
            Err(Failure::new(format!("not {code} with {part:?}, but {self:?}")))
        }
    }
}

/// Initialises GStreamer with the plugin under test.
pub(crate) fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().expect("GStreamer is installed");
        gstrtmp::plugin_register_static().expect("the plugin registers itself");
    });
}

impl Sink {
    /// A sink for `location`, not started.
    pub(crate) fn new(location: &str) -> Result<Self> {
        Self::with(location, &[])
    }

    /// As [`new`](Self::new), with properties as one types them.
    pub(crate) fn with(location: &str, properties: &[(&str, &str)]) -> Result<Self> {
        init();
        let element = gst::ElementFactory::make("rtmpsink").build()?;
        assert!(
            element.type_().name().starts_with("GstRs"),
            "the system's element came first"
        );
        element.set_property("location", location);
        for (name, value) in properties {
            element.set_property_from_str(name, value);
        }
        let pipeline = gst::Pipeline::new();
        // What was said on the way to NULL is of interest too.
        pipeline.set_auto_flush_bus(false);
        pipeline.add(&element)?;
        let bus = pipeline
            .bus()
            .ok_or_else(|| Failure::new("the pipeline has no bus"))?;
        let said = Arc::new(Mutex::new(Vec::new()));
        bus.set_sync_handler({
            let said = Arc::clone(&said);
            move |_, message| {
                let text = text_of(message);
                said.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                gst::BusSyncReply::Pass
            }
        });
        let pad = gst::Pad::builder(gst::PadDirection::Src).name("feed").build();
        let sink_pad = element
            .static_pad("sink")
            .ok_or_else(|| Failure::new("the element has no sink pad"))?;
        pad.link(&sink_pad).context("linking to the element")?;
        let (feeder, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        thread::Builder::new().name("feeder".into()).spawn(move || {
            for job in jobs {
                job();
            }
        })?;
        Ok(Self {
            element,
            pipeline,
            bus,
            said,
            pad,
            feeder,
        })
    }

    /// A sink in PLAYING whose stream has begun, with caps without headers.
    pub(crate) fn playing(location: &str) -> Result<Self> {
        Self::playing_with(location, &[])
    }

    /// As [`playing`](Self::playing), with properties.
    pub(crate) fn playing_with(location: &str, properties: &[(&str, &str)]) -> Result<Self> {
        let sink = Self::with(location, properties)?;
        sink.play()?;
        sink.begin(&[])?;
        Ok(sink)
    }

    /// Sets the element to PLAYING, which it reaches with its first buffer.
    pub(crate) fn play(&self) -> Result<()> {
        self.pipeline
            .set_state(gst::State::Playing)
            .context("setting the element to PLAYING")?;
        Ok(())
    }

    /// Sets a state beside the test; how long it took.
    pub(crate) fn set_state(&self, state: gst::State) -> Result<Pending<Duration>> {
        let pipeline = self.pipeline.clone();
        aside("the state change", move || {
            if state == gst::State::Paused {
                // GStreamer 1.22 forgets a pause that meets the end of an asynchronous change.
                let _ = pipeline.state(gst::ClockTime::try_from(LONG).ok());
            }
            let started = Instant::now();
            // Its success shows in what the element does next.
            let _ = pipeline.set_state(state);
            started.elapsed()
        })
    }

    /// Runs `job` on the feeding thread, behind what was given to it before.
    fn feed<T: Send + 'static>(
        &self,
        what: &'static str,
        job: impl FnOnce(&gst::Pad) -> T + Send + 'static,
    ) -> Result<Pending<T>> {
        let (sender, receiver) = mpsc::channel();
        let pad = self.pad.clone();
        self.feeder
            .send(Box::new(move || drop(sender.send(job(&pad)))))
            .context("reaching the feeding thread")?;
        Ok(Pending {
            what,
            receiver,
            value: None,
        })
    }

    /// Begins a stream, the first one or one after READY: STREAM_START, CAPS with these headers, SEGMENT.
    pub(crate) fn begin(&self, headers: &[Bytes]) -> Result<()> {
        let caps = caps(headers);
        self.feed("beginning the stream", move |pad| {
            // Forgets the events of an earlier stream, as the pads of a pipeline in READY do.
            pad.set_active(false)?;
            pad.set_active(true)?;
            pad.push_event(gst::event::StreamStart::new("test"));
            pad.push_event(gst::event::Caps::new(&caps));
            pad.push_event(gst::event::Segment::new(&gst::FormattedSegment::<
                gst::format::Time,
            >::new()));
            Ok::<_, glib::BoolError>(())
        })?
        .wait()?
        .context("activating the feeding pad")
    }

    /// New caps in the middle of a stream; whether the element takes them.
    pub(crate) fn set_headers(&self, headers: &[Bytes]) -> Result<bool> {
        let caps = caps(headers);
        self.feed("new caps", move |pad| {
            pad.push_event(gst::event::Caps::new(&caps))
        })?
        .wait()
    }

    /// Pushes an event behind what was pushed before.
    pub(crate) fn begin_event(&self, event: gst::Event) -> Result<Pending<bool>> {
        self.feed("pushing an event", move |pad| pad.push_event(event))
    }

    /// Pushes an event that overtakes buffers.
    pub(crate) fn push_out_of_band(&self, event: gst::Event) -> Result<bool> {
        let pad = self.pad.clone();
        aside("pushing an event", move || pad.push_event(event))?.wait()
    }

    /// Pushes a buffer behind what was pushed before, which may block.
    pub(crate) fn begin_push(&self, bytes: Bytes) -> Result<Pending<Flow>> {
        self.feed("pushing a buffer", move |pad| {
            pad.push(gst::Buffer::from_slice(bytes))
        })
    }

    /// Pushes a buffer that the test has made.
    pub(crate) fn push_buffer(&self, buffer: gst::Buffer) -> Result<Flow> {
        self.feed("pushing a buffer", move |pad| pad.push(buffer))?.wait()
    }

    /// Pushes a buffer.
    pub(crate) fn push(&self, bytes: impl Into<Bytes>) -> Result<Flow> {
        self.begin_push(bytes.into())?.wait()
    }

    /// Pushes a buffer that has to be taken.
    pub(crate) fn publish(&self, bytes: impl Into<Bytes>) -> Result<()> {
        match self.push(bytes)? {
            Ok(_) => Ok(()),
            Err(flow) => Err(Failure::new(format!(
                "pushing gave {flow}: {:?}",
                self.problems()
            ))),
        }
    }

    /// Pushes a buffer list.
    pub(crate) fn push_list(&self, buffers: Vec<Bytes>) -> Result<Flow> {
        self.feed("pushing a buffer list", move |pad| {
            let list: gst::BufferList = buffers.into_iter().map(gst::Buffer::from_slice).collect();
            pad.push_list(list)
        })?
        .wait()
    }

    /// Begins EOS.
    pub(crate) fn begin_eos(&self) -> Result<Pending<bool>> {
        self.begin_event(gst::event::Eos::new())
    }

    /// EOS, and its message.
    pub(crate) fn finish(&self) -> Result<()> {
        self.begin_eos()?.wait()?;
        self.wait_for_eos()
    }

    /// Waits for the EOS message.
    pub(crate) fn wait_for_eos(&self) -> Result<()> {
        let message = self.wait_for(&[gst::MessageType::Eos, gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => {
                Err(Failure::new(format!("not EOS, but {:?}", Problem::of(error))))
            }
            _ => Ok(()),
        }
    }

    /// Waits for a message of one of these types; others are dropped.
    pub(crate) fn wait_for(&self, types: &[gst::MessageType]) -> Result<gst::Message> {
        let deadline = gst::ClockTime::try_from(LONG).context("converting the deadline")?;
        self.bus
            .timed_pop_filtered(deadline, types)
            .ok_or_else(|| Failure::new(format!("no message of {types:?}")))
    }

    /// Waits for an error message.
    pub(crate) fn wait_for_problem(&self) -> Result<Problem> {
        let message = self.wait_for(&[gst::MessageType::Error, gst::MessageType::Eos])?;
        match message.view() {
            gst::MessageView::Error(error) => Ok(Problem::of(error)),
            _ => Err(Failure::new("EOS instead of an error")),
        }
    }

    /// All messages of one type that have come.
    pub(crate) fn messages(&self, type_: gst::MessageType) -> Vec<gst::Message> {
        std::iter::from_fn(|| self.bus.pop_filtered(&[type_])).collect()
    }

    /// All errors that have come.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let messages = self.messages(gst::MessageType::Error);
        let problems = messages.iter().filter_map(|message| match message.view() {
            gst::MessageView::Error(error) => Some(Problem::of(error)),
            _ => None,
        });
        problems.collect()
    }

    /// The texts of all warnings that have come.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let messages = self.messages(gst::MessageType::Warning);
        let texts = messages.iter().filter_map(|message| match message.view() {
            gst::MessageView::Warning(warning) => Some(warning.error().message().to_owned()),
            _ => None,
        });
        texts.collect()
    }

    /// The texts of everything that was posted: sentences, debug texts and fields.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The `stats` property.
    pub(crate) fn stats(&self) -> gst::Structure {
        self.element.property("stats")
    }

    /// Whether an EOS is about to end the connection.
    pub(crate) fn is_draining(&self) -> bool {
        self.stats()
            .get::<String>("state")
            .is_ok_and(|state| state == "closing")
    }

    /// Pushes `tag` again and again until the element is blocked with some of it queued. Gives the pushes that
    /// were begun; the last one is under way.
    pub(crate) fn push_until_blocked(&self, tag: impl Fn(u32) -> Bytes) -> Result<(u32, Pending<Flow>)> {
        let mut count = 0;
        loop {
            let mut push = self.begin_push(tag(count))?;
            count += 1;
            let blocked = wait::until("a push that returns or blocks", LONG, || {
                if push.is_done() {
                    return Some(false);
                }
                let queued: u64 = self.stats().get("queued-bytes").unwrap_or_default();
                (queued > 0).then_some(true)
            })?;
            if blocked {
                return Ok((count, push));
            }
            if count > 10_000 {
                return Err(Failure::new("the element takes whatever it is given"));
            }
        }
    }

    /// Sets the element to NULL.
    pub(crate) fn stop(&self) -> Result<()> {
        self.set_state(gst::State::Null)?.wait().map(drop)
    }

    /// Sets the element to NULL and asserts that this does not take long.
    pub(crate) fn stop_at_once(&self) -> Result<()> {
        let took = self.set_state(gst::State::Null)?.wait()?;
        if took < QUICK {
            Ok(())
        } else {
            Err(Failure::new(format!("going to NULL took {took:?}")))
        }
    }
}

/// All that a message says.
fn text_of(message: &gst::Message) -> String {
    let said = match message.view() {
        gst::MessageView::Error(error) => format!("{} {:?}", error.error(), error.debug()),
        gst::MessageView::Warning(warning) => format!("{} {:?}", warning.error(), warning.debug()),
        gst::MessageView::Info(info) => format!("{} {:?}", info.error(), info.debug()),
        _ => String::new(),
    };
    format!("{:?} {said} {:?}", message.type_(), message.structure())
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Also when a test fails in the middle of a push.
        let pipeline = self.pipeline.clone();
        if let Ok(pending) = aside("going to NULL", move || {
            pipeline.set_state(gst::State::Null).is_ok()
        }) {
            let _ = pending.wait();
        }
        let _ = self.pad.set_active(false);
        // Its messages hold the elements that posted them.
        self.bus.set_flushing(true);
    }
}

fn caps(headers: &[Bytes]) -> gst::Caps {
    let mut caps = gst::Caps::builder("video/x-flv");
    if !headers.is_empty() {
        let buffers = headers.iter().map(|header| {
            let mut buffer = gst::Buffer::from_slice(header.clone());
            buffer
                .get_mut()
                .expect("nobody else has the new buffer")
                .set_flags(gst::BufferFlags::HEADER);
            buffer
        });
        caps = caps.field("streamheader", gst::Array::new(buffers));
    }
    caps.build()
}
