//! The element's class: states, caps, segments and buffers around one playing connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;
use once_cell::sync::{Lazy, OnceCell};

use super::burst::Burst;
use super::properties::{self, SrcSettings};
use super::stream::{Item, Segment, Stream, caps, header_buffer, time};
use super::tags::{Output, Tags, is_frame, is_key_frame};
use super::track::{Track, Wish};
use crate::elements::caps::{flv_or, src_template};
use crate::elements::enums::StartMode;
use crate::elements::error::{self, Side};
use crate::elements::settings::{self, Role, Settings};
use crate::elements::track::TrackKind;
use crate::elements::{SOONEST_FAILURE, lock, notice_hook, post_status, stats};
use crate::session::{self, DEFAULT_CHUNK_SIZE, Event, Intent, Media, MediaKind, Phase, Status, Support};
use crate::transport::tcp;
use crate::transport::wake::Wake;
use crate::transport::{self, Connection, Hooks, Stats, Stopped};
use crate::url::RtmpUrl;

static CAT: Lazy<gst::DebugCategory> =
    Lazy::new(|| gst::DebugCategory::new("rtmpsrc", gst::DebugColorFlags::empty(), Some("RTMP player")));

/// How long a stream that is stopped may take to say good-bye. The state change waits for it.
const FAREWELL: Duration = Duration::from_millis(100);

/// A live stream that was received for longer than this before PLAYING has gone stale.
const STALE: Duration = Duration::from_secs(3);

#[derive(Default)]
pub struct RtmpSrc {
    settings: Mutex<(Settings, SrcSettings)>,
    wake: OnceCell<Wake>,
    /// Never held while anything is waited for.
    connection: Mutex<Option<Arc<Connection>>>,
    stream: Mutex<Stream>,
    /// The live element has gone to PLAYING, or any was flushed, since the streaming thread looked last.
    resumed: AtomicBool,
    /// By a flush: what is downstream has forgotten what it needs to decode.
    flushed: AtomicBool,
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
        if transition == gst::StateChange::PausedToPlaying && self.obj().is_live() {
            self.may_drop(false);
            self.resumed.store(true, Ordering::Relaxed);
        }
        let done = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PlayingToPaused && self.obj().is_live() {
            self.may_drop(true);
        }
        Ok(done)
    }

    fn send_event(&self, event: gst::Event) -> bool {
        match event.type_() {
            // The base class would flush what is downstream before it found out that it cannot seek.
            gst::EventType::Seek => return false,
            // Time starts anew.
            gst::EventType::FlushStop => {
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
            ..Stream::default()
        };
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
        if let Some(wake) = self.wake.get() {
            wake.wake();
        }
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(wake) = self.wake.get() {
            wake.reset();
        }
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        false
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
            _ => BaseSrcImplExt::parent_query(self, query),
        }
    }
}

impl PushSrcImpl for RtmpSrc {
    fn create(&self, _buffer: Option<&mut gst::BufferRef>) -> Result<CreateSuccess, gst::FlowError> {
        let wake = self.wake.get().ok_or(gst::FlowError::Flushing)?;
        let connection = lock(&self.connection).clone();
        let connection = match connection {
            Some(connection) => connection,
            None => {
                let opened = self.prepare().and_then(|prepared| self.open(prepared));
                opened.map_err(|error| self.fail(error))?
            }
        };
        if lock(&self.stream).connected.is_none() {
            if let Err(stopped) = connection.wait_ready(wake) {
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
                None => match connection.next_event(wake, deadline) {
                    Ok(event) => event,
                    Err(Stopped::Elapsed) => return Err(self.misfit()),
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
            stop_commands: session::StopCommands::default(),
            idle_timeout: own.idle_timeout(),
            support: Support::DECODE,
            receive_audio: wish.takes(TrackKind::Audio),
            receive_video: wish.takes(TrackKind::Video),
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
            Event::SwfVerification(outcome) => {
                gst::debug!(CAT, imp = self, "SWF verification: {outcome:?}");
                if let Some(warning) = error::swf_unverified(outcome) {
                    gst::element_imp_warning!(self, gst::ResourceError::Settings, ("{}", warning));
                }
            }
            Event::Connected | Event::Ready | Event::TokenWanted | Event::Requested(_) => {}
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

    fn tell(&self, status: &Status) {
        let url = self.url();
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
                Item::Segment(Segment { start, base }) => {
                    let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
                    segment.set_start(time(start));
                    segment.set_position(time(start));
                    segment.set_base(base);
                    gst::debug!(CAT, imp = self, "segment {segment:?}");
                    if let Err(error) = self.obj().new_segment(segment.upcast_ref()) {
                        gst::warning!(CAT, imp = self, "no new segment: {error}");
                    }
                }
            }
        }
    }

    /// Whether a server that has cached frames is about to send them, and the user wants the last one first.
    fn begins_burst(&self, batch: &[Media]) -> bool {
        let wants_edge = {
            let settings = lock(&self.settings);
            settings.1.is_live && settings.1.start_mode == StartMode::LowestLatency
        };
        wants_edge && lock(&self.stream).wants_segment && batch.iter().any(is_frame)
    }

    /// Takes what comes in one burst. What ends it, other than time, is met again by the streaming thread.
    fn gather(&self, connection: &Connection, wake: &Wake, mut take: impl FnMut(Media)) {
        let mut burst = Burst::new(Instant::now());
        while let Some(deadline) = burst.deadline(Instant::now()) {
            match connection.next_event(wake, Some(deadline)) {
                Ok(Event::Media(media)) if !lock(&self.stream).wants(&media) => {}
                Ok(Event::Media(media)) => {
                    if is_frame(&media) {
                        burst.note(media.timestamp);
                    }
                    take(media);
                }
                Ok(Event::Status(status)) => self.tell(&status),
                Ok(event) => {
                    lock(&self.stream).next = Some(event);
                    break;
                }
                Err(_) => break,
            }
        }
    }

    /// Makes buffers of messages, and of what they change.
    fn put_out(&self, batch: impl IntoIterator<Item = Media>) {
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
        let has_started = stream.tags.has_started();
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
                    stream.start_segment(Segment { start, base: now });
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
                let segment = Segment { start, base: now };
                stream.segment = Some(segment);
                stream.ready.push_back(Item::Segment(segment));
            }
            for tag in output.tags.drain(..) {
                stream.put_tag(tag);
            }
            stream.tags.recycle(output.tags);
        }
        stream.outputs = outputs;
    }

    /// After a pause, or a start that took long, a live stream goes on where it is by now: what came meanwhile is
    /// dropped, but for its headers and what is needed to decode its end.
    fn catch_up(&self, connection: &Connection, wake: &Wake) {
        let (is_live, latency) = {
            let settings = lock(&self.settings);
            (settings.1.is_live, settings.1.latency)
        };
        let untaken = {
            let mut stream = lock(&self.stream);
            let is_stale = stream
                .connected
                .is_some_and(|connected| connected.elapsed() > STALE);
            if !(stream.tags.has_started() || is_live && is_stale) {
                return;
            }
            stream.wants_segment = true;
            stream.is_discont = true;
            if !is_live {
                return;
            }
            let mut segment = stream.segment;
            let waiting = stream.ready.len();
            stream.ready.retain(|item| match item {
                Item::Caps(_) | Item::Tags(_) => true,
                Item::Segment(_) => {
                    segment = None;
                    false
                }
                Item::Buffer(buffer) => buffer.flags().contains(gst::BufferFlags::HEADER),
            });
            stream.segment = segment;
            waiting - stream.ready.len()
        };
        let mut backlog = Vec::new();
        self.gather(connection, wake, |media| backlog.push(media));
        // Counted from what was put out last, since the connection throws away what is too much to keep.
        let newest = lock(&self.stream).tags.newest();
        let frames = backlog.iter().filter(|media| is_frame(media));
        let is_jitter = frames
            .map(|media| media.timestamp)
            .all(|timestamp| newest.is_some_and(|newest| timestamp.since(newest).unsigned_abs() <= latency));
        let was_flushed = self.flushed.swap(false, Ordering::Relaxed);
        if !was_flushed && untaken == 0 && is_jitter {
            self.put_out(backlog);
            return;
        }
        let gathered = backlog.len();
        let mut kept = Vec::new();
        let mut has_video = lock(&self.stream).tags.has_video();
        let mut can_start = false;
        for media in backlog {
            has_video |= media.kind == MediaKind::Video;
            let is_start = if has_video {
                is_key_frame(&media)
            } else {
                is_frame(&media)
            };
            if is_start {
                kept.retain(|media| !is_frame(media));
                can_start = true;
            }
            if can_start || !is_frame(&media) {
                kept.push(media);
            }
        }
        let dropped = untaken + gathered - kept.len();
        gst::info!(CAT, imp = self, "dropped {dropped} messages of the pause");
        lock(&self.stream).wants_key_frame = !can_start;
        self.put_out(kept);
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
