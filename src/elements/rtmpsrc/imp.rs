//! The element's class: states, caps, segments and buffers around one playing connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::glib::subclass::Signal;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;
use once_cell::sync::{Lazy, OnceCell};

use super::orders;
use super::properties::{self, SrcSettings};
use super::seek::Seeks;
use super::stream::{Item, Receives, Repeats, Segment, Stream, caps, header_buffer};
use super::tags::{Output, Tags, is_frame};
use super::track::{Track, Wish};
use crate::elements::caps::{flv_or, src_template};
use crate::elements::enums::StartMode;
use crate::elements::error::{self, Side};
use crate::elements::settings::{self, Role, Settings};
use crate::elements::track::TrackKind;
use crate::elements::{SOONEST_FAILURE, lock, note_swf_verification, notice_hook, post_status, stats};
use crate::session::{self, DEFAULT_CHUNK_SIZE, Event, Intent, Media, Order, Phase, Status, Support};
use crate::transport::tcp;
use crate::transport::wake::Wake;
use crate::transport::{self, Connection, Hooks, Stats, Stopped};
use crate::url::RtmpUrl;

pub(super) static CAT: Lazy<gst::DebugCategory> =
    Lazy::new(|| gst::DebugCategory::new("rtmpsrc", gst::DebugColorFlags::empty(), Some("RTMP player")));

/// How long a stream that is stopped may take to say good-bye. The state change waits for it.
const FAREWELL: Duration = Duration::from_millis(100);

/// A live stream that was received for longer than this before PLAYING has gone stale.
pub(super) const STALE: Duration = Duration::from_secs(3);

/// How long a pipeline that plays a file waits for a frame to pause with, while the server is paused as well: what was
/// under way has come by then.
const STARVATION: Duration = Duration::from_millis(500);

#[derive(Default)]
pub struct RtmpSrc {
    pub(super) settings: Mutex<(Settings, SrcSettings)>,
    pub(super) wake: OnceCell<Wake>,
    /// Whether the base class wants the streaming thread back; it may be woken for other reasons.
    is_unlocked: AtomicBool,
    /// Never held while anything is waited for.
    pub(super) connection: Mutex<Option<Arc<Connection>>>,
    pub(super) stream: Mutex<Stream>,
    pub(super) seeks: Mutex<Seeks>,
    /// The live element has gone to PLAYING, or any was flushed, since the streaming thread looked last.
    pub(super) resumed: AtomicBool,
    /// The server is paused, but the pipeline goes on until it has a frame to pause with.
    may_starve: AtomicBool,
    /// By a flush: what is downstream has forgotten what it needs to decode.
    pub(super) flushed: AtomicBool,
    last_stats: Mutex<Stats>,
}

#[glib::object_subclass]
impl ObjectSubclass for RtmpSrc {
    const NAME: &'static str = "GstRsRtmpSrc";
    type Type = super::RtmpSrc;
    type ParentType = gst_base::PushSrc;
    type Interfaces = (gst::URIHandler,);
}

impl ObjectImpl for RtmpSrc {
    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.set_format(gst::Format::Time);
        obj.set_live(true);
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            let mut properties = settings::properties();
            properties.extend(properties::own());
            properties
        });
        &PROPERTIES
    }

    fn signals() -> &'static [Signal] {
        static SIGNALS: Lazy<Vec<Signal>> = Lazy::new(orders::signals);
        &SIGNALS
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let is_live = {
            let mut settings = lock(&self.settings);
            let (shared, own) = &mut *settings;
            if !own.set(pspec.name(), value) && !shared.set(pspec.name(), value) {
                gst::warning!(CAT, imp = self, "no such property: {}", pspec.name());
            }
            own.is_live
        };
        match pspec.name() {
            "is-live" => self.obj().set_live(is_live),
            "receive-audio" | "receive-video" => self.order_kinds(),
            "subscribe" => {
                let mut settings = lock(&self.settings);
                if let Some(name) = settings.1.subscribe.clone() {
                    settings.0.mask_name(name);
                }
            }
            "latency" => {
                let _ = self
                    .obj()
                    .post_message(gst::message::Latency::builder().src(&*self.obj()).build());
            }
            _ => {}
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == "stats" {
            return self.stats().to_value();
        }
        let settings = lock(&self.settings);
        let (shared, own) = &*settings;
        own.get(pspec.name())
            .or_else(|| shared.get(pspec.name()))
            .unwrap_or_else(|| pspec.default_value().clone())
    }
}

impl GstObjectImpl for RtmpSrc {}

impl ElementImpl for RtmpSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "RTMP source",
                "Source/Network",
                "Plays a stream from an RTMP server as FLV, or one elementary stream of it",
                crate::elements::AUTHORS,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            let caps = flv_or(src_template);
            gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &caps)
                .into_iter()
                .collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            self.check_settings()?;
        }
        let is_recorded = lock(&self.stream).recording.is_some();
        match transition {
            gst::StateChange::PausedToPlaying if is_recorded => self.end_pause(),
            gst::StateChange::PausedToPlaying if self.obj().is_live() => {
                self.may_drop(false);
                self.resumed.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        let done = self.parent_change_state(transition)?;
        match transition {
            gst::StateChange::PlayingToPaused if is_recorded => {
                self.may_starve.store(!self.obj().is_live(), Ordering::Relaxed);
                self.order(Order::Pause(true));
            }
            gst::StateChange::PlayingToPaused if self.obj().is_live() => self.may_drop(true),
            _ => {}
        }
        Ok(done)
    }

    fn send_event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Seek(seek) => {
                let again = event.clone();
                return self.seek(seek, || self.parent_send_event(again));
            }
            // Time starts anew.
            gst::EventView::FlushStop(_) => {
                self.flushed.store(true, Ordering::Relaxed);
                self.resumed.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        self.parent_send_event(event)
    }
}

impl BaseSrcImpl for RtmpSrc {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.wake
            .get_or_try_init(|| Wake::new().map_err(|error| error::no_resources(&error)))?;
        let is_live = lock(&self.settings).1.is_live;
        *lock(&self.stream) = Stream {
            tags: if is_live { Tags::live() } else { Tags::default() },
            wants_segment: true,
            is_discont: true,
            receives: self.receives(),
            ..Stream::default()
        };
        *lock(&self.seeks) = Seeks::default();
        self.may_starve.store(false, Ordering::Relaxed);
        let async_connect = lock(&self.settings).0.async_connect;
        if async_connect {
            self.open(self.prepare()?)?;
            self.may_drop(is_live);
        }
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let connection = lock(&self.connection).take();
        if let (Some(connection), Some(wake)) = (connection, self.wake.get()) {
            // It has ended the streaming thread; nobody cancels the farewell.
            wake.reset();
            if let Err(stopped) = connection.close(wake, FAREWELL) {
                let why = connection.url().scrub(&format!("{stopped:?}"));
                gst::debug!(
                    CAT,
                    imp = self,
                    "the connection was not closed in good order: {why}"
                );
            }
            *lock(&self.last_stats) = connection.stats();
        }
        *lock(&self.stream) = Stream::default();
        Ok(())
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.is_unlocked.store(true, Ordering::SeqCst);
        if let Some(wake) = self.wake.get() {
            wake.wake();
        }
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.is_unlocked.store(false, Ordering::SeqCst);
        if let Some(wake) = self.wake.get() {
            wake.reset();
        }
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        lock(&self.stream).recording.is_some()
    }

    fn do_seek(&self, segment: &mut gst::Segment) -> bool {
        match self.perform_seek(segment) {
            Some(done) => done,
            // The base class's own, of a stream that starts.
            None => self.parent_do_seek(segment),
        }
    }

    fn event(&self, event: &gst::Event) -> bool {
        match event.view() {
            gst::EventView::Seek(seek) => self.seek(seek, || self.parent_event(event)),
            _ => self.parent_event(event),
        }
    }

    /// Caps come with the stream headers, ahead of the first buffer. The base class would take the headers off them
    /// again whenever something downstream is linked anew.
    fn negotiate(&self) -> Result<(), gst::LoggableError> {
        Ok(())
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        let (is_live, latency) = {
            let settings = lock(&self.settings);
            (settings.1.is_live, settings.1.latency)
        };
        match query.view_mut() {
            gst::QueryViewMut::Latency(latency_query) if is_live => {
                // No maximum: what is not taken waits in the connection.
                latency_query.set(
                    true,
                    gst::ClockTime::from_mseconds(latency.into()),
                    gst::ClockTime::NONE,
                );
                true
            }
            gst::QueryViewMut::Scheduling(scheduling) if !is_live => {
                let flags = gst::SchedulingFlags::SEQUENTIAL | gst::SchedulingFlags::BANDWIDTH_LIMITED;
                scheduling.set(flags, 1, -1, 0);
                scheduling.add_scheduling_modes([gst::PadMode::Push]);
                true
            }
            gst::QueryViewMut::Seeking(seeking) if seeking.format() == gst::Format::Time => {
                let (is_seekable, end) = self.reach();
                seeking.set(is_seekable, is_seekable.then_some(gst::ClockTime::ZERO), end);
                true
            }
            gst::QueryViewMut::Duration(duration)
                if duration.format() == gst::Format::Time && self.reach().1.is_some() =>
            {
                duration.set(self.reach().1);
                true
            }
            _ => BaseSrcImplExt::parent_query(self, query),
        }
    }
}

impl PushSrcImpl for RtmpSrc {
    fn create(&self, _buffer: Option<&mut gst::BufferRef>) -> Result<CreateSuccess, gst::FlowError> {
        let wake = self.wake.get().ok_or(gst::FlowError::Flushing)?;
        if wake.is_awake() && self.must_stop(wake) {
            return Err(gst::FlowError::Flushing);
        }
        let connection = lock(&self.connection).clone();
        let connection = match connection {
            Some(connection) => connection,
            None => {
                let opened = self.prepare().and_then(|prepared| self.open(prepared));
                opened.map_err(|error| self.fail(error))?
            }
        };
        if lock(&self.stream).connected.is_none() {
            while let Err(stopped) = connection.wait_ready(wake) {
                if matches!(stopped, Stopped::Interrupted) && !self.must_stop(wake) {
                    continue;
                }
                let age = lock(&self.stream)
                    .opened
                    .map_or(SOONEST_FAILURE, |at| at.elapsed());
                // Fails only where there is nothing to poll with; the wake ends it, so that the element can stop.
                let _ = tcp::poll(None, wake, Some(SOONEST_FAILURE.saturating_sub(age)));
                return Err(self.stopped(stopped));
            }
            let since = connection.stats().ready_since;
            let track = match Wish::of(self.obj().src_pad()) {
                Wish::Flv => None,
                Wish::Track(wanted) => Some(Track::new(wanted)),
            };
            let mut stream = lock(&self.stream);
            stream.connected = Some(since.unwrap_or_else(Instant::now));
            stream.track = track;
            let Receives { audio, video } = stream.receives;
            stream.tags.do_without(!audio, !video);
        }
        if lock(&self.stream).recording.is_none()
            && let Some(recording) = connection.recording()
        {
            self.note_recording(recording);
        }
        if self.resumed.swap(false, Ordering::Relaxed) {
            self.catch_up(&connection, wake);
        }
        loop {
            if let Some(buffer) = self.next_buffer() {
                return Ok(CreateSuccess::NewBuffer(buffer));
            }
            let deadline = self.check_track()?;
            let next = lock(&self.stream).next.take();
            let event = match next {
                Some(event) => event,
                None => match connection.next_event(wake, self.starvation(deadline)) {
                    Ok(event) => event,
                    Err(Stopped::Elapsed) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {
                        self.end_pause();
                        continue;
                    }
                    Err(Stopped::Elapsed) => return Err(self.misfit()),
                    // To send what the application has asked for.
                    Err(Stopped::Interrupted) if !self.must_stop(wake) => continue,
                    Err(stopped) => return Err(self.stopped(stopped)),
                },
            };
            if let Some(media) = self.handle(event)?
                && lock(&self.stream).takes(&media)
            {
                if self.begins_burst(std::slice::from_ref(&media)) {
                    let mut batch = vec![media];
                    self.gather(&connection, wake, |media| batch.push(media));
                    self.put_out(batch);
                } else {
                    self.put_out([media]);
                }
            }
        }
    }
}

impl URIHandlerImpl for RtmpSrc {
    const URI_TYPE: gst::URIType = gst::URIType::Src;

    fn protocols() -> &'static [&'static str] {
        settings::PROTOCOLS
    }

    fn uri(&self) -> Option<String> {
        Some(lock(&self.settings).0.location())
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        let state = self.obj().current_state();
        lock(&self.settings).0.set_uri(uri, state, "playing")
    }
}

impl RtmpSrc {
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

    /// Whether the settings can be used, and what they come to.
    fn prepare(&self) -> Result<settings::Prepared, gst::ErrorMessage> {
        let wish = Wish::of(self.obj().src_pad());
        let settings = lock(&self.settings);
        let (shared, own) = &*settings;
        shared.connection(Role {
            intent: Intent::Play {
                start: own.play_start.into(),
                buffer_length: own.buffer_length,
            },
            chunk_size: DEFAULT_CHUNK_SIZE,
            stop_commands: session::StopCommands {
                fc_unpublish: false,
                close_stream: true,
                delete_stream: true,
            },
            idle_timeout: own.idle_timeout(),
            support: Support::DECODE,
            receive_audio: wish.takes(TrackKind::Audio) && own.receive_audio,
            receive_video: wish.takes(TrackKind::Video) && own.receive_video,
            subscribe: own.subscribe.clone(),
            playlist: own.playlist,
            is_hasty: !own.is_live,
        })
    }

    fn open(&self, (target, config, url): settings::Prepared) -> Result<Arc<Connection>, gst::ErrorMessage> {
        gst::info!(CAT, imp = self, "connecting to {url}");
        // Nobody needs to be told of a loss: the streaming thread finds it behind the last message.
        let hooks = Hooks {
            on_lost: None,
            on_notice: Some(notice_hook(&*self.obj(), *CAT)),
        };
        let connection =
            Connection::open(target, config, url, hooks).map_err(|error| error::no_resources(&error))?;
        *lock(&self.connection) = Some(Arc::clone(&connection));
        lock(&self.stream).opened = Some(Instant::now());
        Ok(connection)
    }

    /// Has the server go on after a pause, if there is one.
    pub(super) fn end_pause(&self) {
        self.may_starve.store(false, Ordering::Relaxed);
        self.order(Order::Pause(false));
    }

    /// Until when to wait for an event, if not until `deadline`.
    fn starvation(&self, deadline: Option<Instant>) -> Option<Instant> {
        let may_starve = self.may_starve.load(Ordering::Relaxed);
        let starved = may_starve.then(|| Instant::now() + STARVATION);
        deadline.into_iter().chain(starved).min()
    }

    /// Whether frames that came long ago make room for new ones: a live stream that is paused goes on without them.
    fn may_drop(&self, may_drop: bool) {
        let connection = lock(&self.connection).clone();
        if let Some(connection) = connection {
            connection.set_expendable(may_drop.then_some(is_frame));
        }
    }

    /// The media of an event, if it is one. The end of the stream is an error to the caller.
    fn handle(&self, event: Event) -> Result<Option<Media>, gst::FlowError> {
        match event {
            Event::Media(media) => return Ok(Some(media)),
            Event::Status(status) => self.tell(&status),
            Event::Recorded(recording) => self.note_recording(recording),
            Event::Resumed => lock(&self.stream).repeats.resume(),
            Event::Switched => {
                let mut stream = lock(&self.stream);
                stream.tags.expect_other();
                stream.repeats = Repeats::default();
                stream.is_discont = true;
            }
            // The answer to a seek that nobody waits for any more.
            Event::Sought(result) => {
                if let Err(failure) = &result {
                    self.tell_seek_failure(failure);
                }
                lock(&self.stream).jump();
            }
            Event::Eof if lock(&self.stream).track.as_ref().is_some_and(Track::was_missed) => {
                return Err(self.misfit());
            }
            Event::Eof => {
                gst::info!(CAT, imp = self, "the stream has ended");
                return Err(gst::FlowError::Eos);
            }
            Event::Idle => {
                let seconds = lock(&self.settings).1.idle_timeout;
                gst::element_imp_warning!(
                    self,
                    gst::ResourceError::Read,
                    (
                        "The server has sent nothing for {} s (idle-timeout): the stream ends here.",
                        seconds
                    )
                );
                return Err(gst::FlowError::Eos);
            }
            Event::Closed(Ok(())) => {
                return Err(self.lost(&session::Error::Disconnected(Phase::Media).into()));
            }
            Event::Closed(Err(status)) => {
                let error = session::Error::Rejected {
                    phase: Phase::Media,
                    status: Box::new(status),
                };
                return Err(self.lost(&error.into()));
            }
            Event::SwfVerification(outcome) => note_swf_verification(&*self.obj(), *CAT, outcome),
            Event::Connected
            | Event::Ready
            | Event::TokenWanted
            | Event::Requested(_)
            | Event::Receives(..) => {}
        }
        Ok(None)
    }

    /// The connection's, whose secrets the server may repeat; the settings may say something else by now.
    fn url(&self) -> Arc<RtmpUrl> {
        let connection = lock(&self.connection).clone();
        match connection {
            Some(connection) => connection.url(),
            None => Arc::new(lock(&self.settings).0.url().clone()),
        }
    }

    /// Whether the base class wants the thread back. If not, it was woken to send something.
    pub(super) fn must_stop(&self, wake: &Wake) -> bool {
        if !self.is_unlocked.load(Ordering::SeqCst) {
            wake.reset();
            // Unlocked meanwhile, which the reset may have undone.
            if self.is_unlocked.load(Ordering::SeqCst) {
                wake.wake();
            }
        }
        self.is_unlocked.load(Ordering::SeqCst)
    }

    pub(super) fn tell(&self, status: &Status) {
        let mut url = RtmpUrl::clone(&self.url());
        // Of streams that were asked for since.
        url.mask_names_of(lock(&self.settings).0.url());
        gst::debug!(CAT, imp = self, "the server says {}", url.scrub(&status.code));
        post_status(self.obj().upcast_ref(), &url, status);
    }

    /// The next buffer that is ready, after downstream was told what has changed before it.
    fn next_buffer(&self) -> Option<gst::Buffer> {
        loop {
            let item = {
                let mut stream = lock(&self.stream);
                // Headers wait for the segment of the frame that they are for.
                stream.segment?;
                stream.ready.pop_front()?
            };
            match item {
                Item::Buffer(buffer) => return Some(buffer),
                Item::Caps(caps) => {
                    // Refused by what cannot take the buffers either, and then the base class says so.
                    if let Err(error) = self.obj().set_caps(&caps) {
                        gst::debug!(CAT, imp = self, "caps were not taken: {error}");
                    }
                }
                Item::Tags(tags) => {
                    // Through the base class, which keeps them behind the segment.
                    self.parent_send_event(gst::event::Tag::new(tags));
                }
                Item::Segment(segment) => {
                    let segment = self.segment(segment);
                    gst::debug!(CAT, imp = self, "segment {segment:?}");
                    if let Err(error) = self.obj().new_segment(segment.upcast_ref()) {
                        gst::warning!(CAT, imp = self, "no new segment: {error}");
                    }
                }
            }
        }
    }

    /// Makes buffers of messages, and of what they change.
    pub(super) fn put_out(&self, batch: impl IntoIterator<Item = Media>) {
        let (is_live, start_mode) = {
            let settings = lock(&self.settings);
            (settings.1.is_live, settings.1.start_mode)
        };
        let now = if is_live {
            // Without a clock nothing is ever late.
            self.obj().current_running_time().unwrap_or_default()
        } else {
            gst::ClockTime::ZERO
        };
        let mut stream = lock(&self.stream);
        // A seek has everything start at running time 0.
        let now = if stream.sought.is_some() {
            gst::ClockTime::ZERO
        } else {
            now
        };
        let has_started = stream.tags.has_started();
        let duration = stream.duration();
        let mut outputs = std::mem::take(&mut stream.outputs);
        outputs.extend(batch.into_iter().map(|media| stream.tags.push(media)));
        let frames = || outputs.iter().flat_map(Output::frames);
        let first = frames().next();
        let edge = match start_mode {
            StartMode::LowestLatency if is_live => frames().max(),
            StartMode::LowestLatency | StartMode::Smooth => first,
        };
        let wants_header = stream.track.is_none() && !has_started && stream.tags.has_started();
        let header = wants_header.then(|| stream.tags.file_header());
        let mut header = header.map(|header| header_buffer(header, first));
        for mut output in outputs.drain(..) {
            if let (Some(headers), None) = (output.headers.take(), &stream.track) {
                stream.ready.push_back(Item::Caps(caps(headers)));
            }
            if output.has_frame() {
                if let (true, Some(start)) = (stream.wants_segment, edge) {
                    let recorded = self.position(&mut stream, start);
                    let base = now;
                    stream.start_segment(Segment {
                        start,
                        base,
                        recorded,
                    });
                }
                if let Some(header) = header.take() {
                    stream.put_buffer(header);
                }
            }
            stream.is_discont |= output.is_restart;
            if let (true, Some(start)) = (is_live && output.is_restart, output.frames().next())
                && stream.segment.is_some_and(|segment| segment.due(start) < now)
            {
                // While the sender was away the pipeline's time went on.
                let recorded = stream.segment.and_then(|segment| segment.recorded);
                let base = now;
                let segment = Segment {
                    start,
                    base,
                    recorded,
                };
                stream.segment = Some(segment);
                stream.ready.push_back(Item::Segment(segment));
            }
            for tag in output.tags.drain(..) {
                stream.put_tag(tag);
            }
            stream.tags.recycle(output.tags);
        }
        stream.outputs = outputs;
        let has_changed = stream.duration() != duration;
        drop(stream);
        if has_changed {
            self.tell_duration();
        }
    }

    /// Warns of packets that were left out, and fails if the stream lacks what downstream wants; until when to wait for
    /// it if it has not come yet.
    fn check_track(&self) -> Result<Option<Instant>, gst::FlowError> {
        let (complaints, is_unfit, deadline) = {
            let mut stream = lock(&self.stream);
            let Some(track) = &mut stream.track else {
                return Ok(None);
            };
            (track.take_complaints(), track.is_unfit(), track.deadline())
        };
        for complaint in complaints {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Demux,
                ("A packet is left out {}.", complaint)
            );
        }
        if is_unfit {
            return Err(self.misfit());
        }
        Ok(deadline)
    }

    /// The stream does not carry what downstream takes.
    fn misfit(&self) -> gst::FlowError {
        let sentence = lock(&self.stream).track.as_ref().map(Track::misfit);
        let sentence = sentence.unwrap_or_default();
        self.post_error_message(error::misfit(&sentence));
        gst::FlowError::NotNegotiated
    }

    fn stopped(&self, stopped: Stopped) -> gst::FlowError {
        match stopped {
            Stopped::Interrupted | Stopped::Elapsed => gst::FlowError::Flushing,
            Stopped::Failed(error) => self.lost(&error),
        }
    }

    /// The connection is lost: an error, or the end if the user takes it for one.
    fn lost(&self, error: &transport::Error) -> gst::FlowError {
        let is_cut = matches!(
            error,
            transport::Error::Io {
                phase: Phase::Media,
                ..
            } | transport::Error::Session(session::Error::Disconnected(Phase::Media))
        );
        let url = self.url();
        let no_eof_is_error = lock(&self.settings).1.no_eof_is_error;
        gst::info!(CAT, imp = self, "failed: {}", url.scrub(&error.to_string()));
        if is_cut && !no_eof_is_error {
            return gst::FlowError::Eos;
        }
        self.fail(error::failed(error, Side::Source, &url))
    }

    fn fail(&self, error: gst::ErrorMessage) -> gst::FlowError {
        self.post_error_message(error);
        gst::FlowError::Error
    }

    fn stats(&self) -> gst::Structure {
        let connection = lock(&self.connection).clone();
        match connection {
            Some(connection) => stats::structure(&connection.stats()),
            None => stats::structure(&lock(&self.last_stats)),
        }
    }
}
