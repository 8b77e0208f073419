//! The element's class: states, buffers and events around one publishing connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use once_cell::sync::{Lazy, OnceCell};

use super::codecs;
use super::input::{Fault, Input};
use crate::elements::enums::{PublishType, StopCommands};
use crate::elements::error::{self, Side};
use crate::elements::settings::{self, Role, Settings};
use crate::elements::{SOONEST_FAILURE, caps, lock, note_swf_verification, notice_hook, post_status, stats};
use crate::flv;
use crate::session::{DEFAULT_CHUNK_SIZE, Event, Intent, Media, Support};
use crate::transport::wake::Wake;
use crate::transport::{self, Connection, Farewell, Hooks, LostHook, Stats, Stopped};
use crate::url::RtmpUrl;

static CAT: Lazy<gst::DebugCategory> =
    Lazy::new(|| gst::DebugCategory::new("rtmpsink", gst::DebugColorFlags::empty(), Some("RTMP publisher")));

/// How long a stream that is stopped without EOS may take to say good-bye. The state change waits for it.
const FAREWELL: Duration = Duration::from_millis(100);

/// How long EOS may take when `timeout` sets no limit.
const LONGEST_DRAIN: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy)]
struct SinkSettings {
    chunk_size: u32,
    stop_commands: StopCommands,
    publish_type: PublishType,
    peak_kbps: u32,
}

impl Default for SinkSettings {
    fn default() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            stop_commands: StopCommands::default(),
            publish_type: PublishType::default(),
            peak_kbps: 0,
        }
    }
}

/// What interrupts the streaming thread: `streaming` for as long as the base class says unlock, `closing` from the
/// moment on in which the stream is to end whatever is still queued.
struct Wakes {
    streaming: Wake,
    closing: Wake,
}

/// What a buffer or a list of them has brought.
struct Taken {
    /// Most buffers bring one message, for which nothing has to be allocated.
    first: Option<Media>,
    rest: Vec<Media>,
    /// What ends them.
    error: Option<flv::Error>,
}

#[derive(Default)]
pub struct RtmpSink {
    settings: Mutex<(Settings, SinkSettings)>,
    wakes: OnceCell<Wakes>,
    /// Never held while anything is waited for.
    connection: Mutex<Option<Arc<Connection>>>,
    input: Mutex<Input>,
    last_stats: Mutex<Stats>,
    /// Whether the failure of the connection was posted: it may be found out in more than one place.
    failed: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for RtmpSink {
    const NAME: &'static str = "GstRsRtmpSink";
    type Type = super::RtmpSink;
    type ParentType = gst_base::BaseSink;
    type Interfaces = (gst::URIHandler,);
}

impl ObjectImpl for RtmpSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            let mut properties = settings::properties();
            properties.extend([
                glib::ParamSpecUInt::builder("chunk-size")
                    .nick("Chunk size")
                    .blurb(
                        "Bytes of a message that are sent in one piece; other messages go in between pieces",
                    )
                    .minimum(1)
                    .maximum(i32::MAX.cast_unsigned())
                    .default_value(DEFAULT_CHUNK_SIZE)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("peak-kbps")
                    .nick("Peak rate")
                    .blurb("Most kbit/s to send, 0 = no limit")
                    .maximum(i32::MAX.cast_unsigned() / 125)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecFlags::builder::<StopCommands>("stop-commands")
                    .default_value(StopCommands::default())
                    .nick("Stop commands")
                    .blurb("Commands that end the stream before the connection is closed")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("publish-type", PublishType::default())
                    .nick("Publish type")
                    .blurb("Whether the server records the stream. Many pass it on in any case and do as they are configured")
                    .mutable_ready()
                    .build(),
            ]);
            properties
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let (shared, own) = &mut *settings;
        match pspec.name() {
            "chunk-size" => {
                own.chunk_size = value.get().unwrap_or(DEFAULT_CHUNK_SIZE);
                let chunk_size = own.chunk_size;
                drop(settings);
                if let Some(connection) = &*lock(&self.connection) {
                    connection.set_chunk_size(chunk_size);
                }
            }
            "publish-type" => own.publish_type = value.get().unwrap_or_default(),
            "stop-commands" => own.stop_commands = value.get().unwrap_or_default(),
            "peak-kbps" => {
                own.peak_kbps = value.get().unwrap_or_default();
                let kbps = own.peak_kbps;
                drop(settings);
                if let Some(connection) = &*lock(&self.connection) {
                    connection.set_peak_rate(kbps);
                }
            }
            name => {
                if !shared.set(name, value) {
                    gst::warning!(CAT, imp = self, "no such property: {name}");
                }
            }
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        let (shared, own) = &*settings;
        match pspec.name() {
            "chunk-size" => own.chunk_size.to_value(),
            "stop-commands" => own.stop_commands.to_value(),
            "publish-type" => own.publish_type.to_value(),
            "peak-kbps" => own.peak_kbps.to_value(),
            "stats" => {
                drop(settings);
                self.stats().to_value()
            }
            name => shared.get(name).unwrap_or_else(|| pspec.default_value().clone()),
        }
    }
}

impl GstObjectImpl for RtmpSink {}

impl ElementImpl for RtmpSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "RTMP sink",
                "Sink/Network",
                "Publishes FLV, or one elementary stream, to an RTMP server",
                crate::elements::AUTHORS,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            let caps = caps::flv_or(caps::sink_template);
            gst::PadTemplate::new("sink", gst::PadDirection::Sink, gst::PadPresence::Always, &caps)
                .into_iter()
                .collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::NullToReady => self.check_settings()?,
            gst::StateChange::ReadyToPaused => {
                if let Some(wakes) = self.wakes.get() {
                    wakes.closing.reset();
                }
                // Left by a publish that ended in READY; the first one was begun by start().
                if self.connects_at_once() && lock(&self.connection).is_none() {
                    self.connect().map_err(|error| {
                        self.post_error_message(error);
                        gst::StateChangeError
                    })?;
                }
            }
            gst::StateChange::PausedToReady => {
                // Ends an EOS that is still draining; the base class ends everything else.
                if let Some(wakes) = self.wakes.get() {
                    wakes.closing.wake();
                }
            }
            _ => {}
        }
        let success = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            self.disconnect();
            *lock(&self.input) = Input::default();
        }
        Ok(success)
    }
}

impl BaseSinkImpl for RtmpSink {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.wakes.get_or_try_init(|| {
            Ok(Wakes {
                streaming: Wake::new().map_err(|e| error::no_resources(&e))?,
                closing: Wake::new().map_err(|e| error::no_resources(&e))?,
            })
        })?;
        if self.connects_at_once() {
            self.connect()?;
        }
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        self.disconnect();
        *lock(&self.input) = Input::default();
        Ok(())
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(wakes) = self.wakes.get() {
            wakes.streaming.wake();
        }
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(wakes) = self.wakes.get() {
            wakes.streaming.reset();
        }
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let policy = lock(&self.settings).0.enhanced_rtmp;
        let taken = lock(&self.input).set_caps(caps, policy);
        taken.map_err(|fault| {
            // Upstream hears no more of it than that the caps were refused.
            let (error, why) = match fault {
                Fault::Flv(error) => (error::bad_flv(&error), error.to_string()),
                Fault::Track(error) => (error::bad_track(&error), error.to_string()),
            };
            self.post_error_message(error);
            gst::loggable_error!(CAT, "the caps cannot be published: {why}")
        })
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.publish(1, |input| input.push(buffer.clone(), || self.obj().segment()))
    }

    fn render_list(&self, list: &gst::BufferList) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.publish(list.len(), |input| {
            list.iter_owned()
                .try_for_each(|buffer| input.push(buffer, || self.obj().segment()))
        })
    }

    fn event(&self, event: gst::Event) -> bool {
        match event.view() {
            // After a failure EOS would say that all was published.
            gst::EventView::Eos(_) if !self.drain() => return false,
            gst::EventView::FlushStart(_) => {
                if let Some(wakes) = self.wakes.get() {
                    wakes.closing.wake();
                }
            }
            gst::EventView::FlushStop(_) => {
                if let Some(wakes) = self.wakes.get() {
                    wakes.closing.reset();
                }
                // What follows starts at a tag; messages that were begun are still sent to their end.
                lock(&self.input).flush();
            }
            gst::EventView::Tag(tag) => lock(&self.input).set_tags(tag.tag()),
            _ => {}
        }
        self.parent_event(event)
    }
}

impl URIHandlerImpl for RtmpSink {
    const URI_TYPE: gst::URIType = gst::URIType::Sink;

    fn protocols() -> &'static [&'static str] {
        settings::PROTOCOLS
    }

    fn uri(&self) -> Option<String> {
        Some(lock(&self.settings).0.location())
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        let state = self.obj().current_state();
        lock(&self.settings).0.set_uri(uri, state, "publishing")
    }
}

impl RtmpSink {
    /// Tells of mistakes at once, whenever the connection is made; and before the base class starts the element,
    /// which would follow its error with one of its own.
    fn check_settings(&self) -> Result<(), gst::StateChangeError> {
        let warnings = lock(&self.settings).0.warnings();
        for warning in warnings {
            gst::element_imp_warning!(self, gst::ResourceError::Settings, ("{}", warning));
        }
        self.prepare().map(drop).map_err(|error| {
            self.post_error_message(error);
            gst::StateChangeError
        })
    }

    fn connects_at_once(&self) -> bool {
        lock(&self.settings).0.async_connect
    }

    /// Whether the settings can be used, and what they come to.
    fn prepare(&self) -> Result<settings::Prepared, gst::ErrorMessage> {
        let settings = lock(&self.settings);
        let (shared, own) = &*settings;
        shared.connection(Role {
            intent: Intent::Publish {
                kind: own.publish_type.into(),
            },
            chunk_size: own.chunk_size,
            stop_commands: own.stop_commands.into(),
            idle_timeout: None,
            support: Support::ENCODE,
            receive_audio: true,
            receive_video: true,
            subscribe: None,
            playlist: false,
            is_hasty: false,
        })
    }

    fn connect(&self) -> Result<Arc<Connection>, gst::ErrorMessage> {
        let prepared = self.prepare()?;
        self.open(prepared)
    }

    fn open(&self, (target, config, url): settings::Prepared) -> Result<Arc<Connection>, gst::ErrorMessage> {
        gst::info!(CAT, imp = self, "connecting to {url}");
        lock(&self.input).start_over();
        self.failed.store(false, Ordering::Relaxed);
        let hooks = Hooks {
            on_lost: Some(self.lost_hook()),
            on_notice: Some(notice_hook(&*self.obj(), *CAT)),
        };
        let connection =
            Connection::open(target, config, url, hooks).map_err(|error| error::no_resources(&error))?;
        connection.set_peak_rate(lock(&self.settings).1.peak_kbps);
        *lock(&self.connection) = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Tells the application of a loss while no buffer comes that would find it out.
    fn lost_hook(&self) -> LostHook {
        let element = self.obj().downgrade();
        let soonest = Instant::now() + SOONEST_FAILURE;
        Box::new(move |error| {
            let Some(element) = element.upgrade() else { return };
            let error = error.clone();
            // On a thread of GStreamer's, since the application may do anything in answer, stop the element too.
            element.call_async(move |element| {
                std::thread::sleep(soonest.saturating_duration_since(Instant::now()));
                let imp = element.imp();
                let connection = lock(&imp.connection).clone();
                if let Some(connection) = connection {
                    imp.post_failure(&error, &connection.url());
                }
            });
        })
    }

    /// Publishes what `push` adds to the input, waiting until all of it is in the kernel. About `count` messages.
    fn publish(
        &self,
        count: usize,
        push: impl FnOnce(&mut Input) -> Result<(), gst::FlowError>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let connection = lock(&self.connection).clone();
        let connection = match connection {
            Some(connection) => connection,
            None => self.connect().map_err(|error| self.fail(error))?,
        };
        self.resume_until(&connection, |wake| connection.wait_ready(wake))?;

        let Taken { first, rest, error } = self.take_media(count, push)?;
        for media in first.iter().chain(&rest) {
            self.check_codec(&connection, media);
        }
        let mut media = first.into_iter().chain(rest);
        self.resume_until(&connection, |wake| connection.send(media.by_ref(), wake))?;
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Status(status) => {
                    let url = connection.url();
                    gst::debug!(
                        CAT,
                        imp = self,
                        "the server says {}",
                        url.scrub(&status.to_string())
                    );
                    post_status(self.obj().upcast_ref(), &url, &status);
                }
                Event::SwfVerification(outcome) => note_swf_verification(&*self.obj(), *CAT, outcome),
                _ => {}
            }
        }
        match error {
            Some(error) => {
                // Whatever follows is bad as well, so that it is said once.
                if !self.failed.swap(true, Ordering::Relaxed) {
                    self.post_error_message(error::bad_flv(&error));
                }
                Err(gst::FlowError::Error)
            }
            None => Ok(gst::FlowSuccess::Ok),
        }
    }

    /// Warns of a codec that the server has said it cannot take. It may be wrong: the codec is published all the same.
    fn check_codec(&self, connection: &Connection, media: &Media) {
        let Some(codec) = codecs::announced(media) else {
            return;
        };
        let server = connection
            .stats()
            .session
            .and_then(|session| session.peer_capabilities);
        if server.is_some_and(|server| codecs::is_left_out(codec, media.kind, &server)) {
            gst::element_imp_warning!(
                self,
                gst::StreamError::CodecNotFound,
                (
                    "The server does not list {} among the codecs of Enhanced RTMP that it takes. Players may get nothing.",
                    codec
                )
            );
        }
    }

    /// All complete tags after `push`, about `count` of them.
    fn take_media(
        &self,
        count: usize,
        push: impl FnOnce(&mut Input) -> Result<(), gst::FlowError>,
    ) -> Result<Taken, gst::FlowError> {
        let mut input = lock(&self.input);
        push(&mut input)?;
        let (mut first, mut rest) = (None, Vec::with_capacity(count.saturating_sub(1)));
        let encrypted = input.encrypted();
        let mut left_out = Vec::new();
        let error = loop {
            match input.next() {
                Ok(Some(message)) if first.is_none() => first = Some(message),
                Ok(Some(message)) => rest.push(message),
                Ok(None) => break None,
                Err(Fault::Flv(error)) => break Some(error),
                Err(Fault::Track(error)) => {
                    gst::warning!(CAT, imp = self, "a frame is left out: {error}");
                    if input.tells(&error) {
                        left_out.push(error);
                    }
                }
            }
        };
        let encrypted_now = input.encrypted();
        drop(input);
        for error in left_out {
            gst::element_imp_warning!(self, gst::StreamError::Mux, ("A frame is left out: {}.", error));
        }
        if encrypted == 0 && encrypted_now > 0 {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Decrypt,
                ("The input has encrypted FLV tags, which are left out.")
            );
        }
        Ok(Taken { first, rest, error })
    }

    /// Calls `action` until it is done. When the base class interrupts it for a pause, it goes on after it.
    fn resume_until(
        &self,
        connection: &Connection,
        mut action: impl FnMut(&Wake) -> Result<(), Stopped>,
    ) -> Result<(), gst::FlowError> {
        let wakes = self.wakes.get().ok_or(gst::FlowError::Flushing)?;
        loop {
            match action(&wakes.streaming) {
                Ok(()) => return Ok(()),
                Err(Stopped::Interrupted | Stopped::Elapsed) => {
                    // Lets go of the base class's lock, which the state change or the flush waits for.
                    self.obj().wait_preroll()?;
                }
                Err(Stopped::Failed(error)) => {
                    self.post_failure(&error, &connection.url());
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }

    /// EOS: everything is written, the stop commands are sent and the connection is shut down. Whether it went well.
    fn drain(&self) -> bool {
        let pending = lock(&self.input).pending();
        if pending > 0 {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                (
                    "The input ended inside a tag; its first {} bytes were not sent.",
                    pending
                )
            );
        }
        let timeout = lock(&self.settings).0.timeout().unwrap_or(LONGEST_DRAIN);
        let connection = lock(&self.connection).clone();
        let (Some(connection), Some(wakes)) = (connection, self.wakes.get()) else {
            return true;
        };
        let end = lock(&self.input).end();
        let ended = match end {
            Some(end) => connection.send([end], &wakes.closing),
            None => Ok(()),
        };
        let closed = ended.and_then(|()| connection.close(&wakes.closing, timeout));
        self.keep_stats(&connection);
        *lock(&self.connection) = None;
        let error = match closed {
            Ok(Farewell::Said) => {
                gst::info!(CAT, imp = self, "published to the end");
                return true;
            }
            Ok(Farewell::Unconfirmed { sent, acknowledged }) => {
                gst::element_imp_warning!(
                    self,
                    gst::ResourceError::Write,
                    (
                        "The server has read slowly and not closed the connection in time. It has acknowledged {} of {} bytes: the rest may be lost.",
                        acknowledged,
                        sent
                    )
                );
                return true;
            }
            Err(Stopped::Interrupted) => {
                // By a flush or a state change, which the base class does not let EOS pass either.
                gst::info!(CAT, imp = self, "stopped while draining");
                return true;
            }
            Err(Stopped::Elapsed) => transport::Error::TimedOut(transport::Phase::Write),
            Err(Stopped::Failed(error)) => error,
        };
        self.post_failure(&error, &connection.url());
        false
    }

    fn disconnect(&self) {
        let Some(connection) = lock(&self.connection).take() else {
            return;
        };
        let Ok(never) = Wake::new() else { return };
        if let Err(stopped) = connection.close(&never, FAREWELL) {
            let stopped = connection.url().scrub(&format!("{stopped:?}"));
            gst::debug!(
                CAT,
                imp = self,
                "the connection was not closed in good order: {stopped}"
            );
        }
        self.keep_stats(&connection);
    }

    fn keep_stats(&self, connection: &Connection) {
        *lock(&self.last_stats) = connection.stats();
    }

    fn stats(&self) -> gst::Structure {
        let connection = lock(&self.connection).clone();
        match connection {
            Some(connection) => stats::structure(&connection.stats()),
            None => stats::structure(&lock(&self.last_stats)),
        }
    }

    /// `url` is the connection's, whose secrets the server may repeat, and not the one that is set by now.
    fn post_failure(&self, error: &transport::Error, url: &RtmpUrl) {
        if self.failed.swap(true, Ordering::Relaxed) {
            return;
        }
        gst::info!(CAT, imp = self, "failed: {}", url.scrub(&error.to_string()));
        let message = error::failed(error, Side::Sink, url);
        self.post_error_message(message);
    }

    fn fail(&self, error: gst::ErrorMessage) -> gst::FlowError {
        self.post_error_message(error);
        gst::FlowError::Error
    }
}
