//! The element's class: which pad comes next, and what goes ahead of it.

use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::RtmpMuxPad;
use super::pad::{self, Next};
use super::tag::{self, Due};
use crate::elements::track::{self, Format, TagBody, Timeline, Times, TrackEncoder, TrackKind, clock_time};
use crate::elements::{caps, lock};
use crate::flv::FileHeader;

static CAT: Lazy<gst::DebugCategory> = Lazy::new(|| {
    gst::DebugCategory::new(
        "rtmpmux",
        gst::DebugColorFlags::empty(),
        Some("FLV muxer for RTMP"),
    )
});

/// How often metadata is sent at most, but for new headers: parsers refine a bit rate with every few frames.
const METADATA_INTERVAL: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// How far timestamps of a track may go backward without a word: the unit of tags.
const JITTER: gst::ClockTime = gst::ClockTime::from_mseconds(1);

#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    nanoseconds: bool,
}

#[derive(Default)]
struct State {
    timeline: Timeline,
    /// The file header has gone out.
    has_header: bool,
    /// The metadata has changed since it was last sent.
    wants_metadata: bool,
    /// When it was last sent, in the stream's time.
    metadata_sent: Option<gst::ClockTime>,
    /// Tags of the whole stream.
    tags: Option<gst::TagList>,
    /// What the caps hold besides file header and metadata: the headers of each track by the name of its pad.
    stream_headers: Vec<(String, Vec<Bytes>)>,
    /// Ends of tracks whose pads have been released.
    ended: Vec<TagBody>,
    /// Time of the last tag in the stream's time, for what has none of its own.
    last: gst::ClockTime,
    /// Its timestamp.
    timestamp: u64,
    /// By how much pictures are decoded before they are presented.
    reordering: gst::ClockTime,
}

impl State {
    /// The last tag's decoding time as running time.
    fn last_running(&self) -> i128 {
        self.timeline.origin().unwrap_or_default() + i128::from(self.last.nseconds())
    }

    /// At the last tag.
    fn due(&self) -> Due {
        let running = clock_time(self.last_running());
        Due {
            pts: running,
            dts: running,
            timestamp: self.timestamp,
        }
    }
}

/// A frame on its way out.
struct Written {
    due: Due,
    /// Ends of tracks, which come ahead of it.
    ended: Vec<TagBody>,
    headers: Option<Vec<TagBody>>,
    frame: gst::Buffer,
}

#[derive(Default)]
pub struct RtmpMux {
    settings: Mutex<Settings>,
    state: Mutex<State>,
}

#[glib::object_subclass]
impl ObjectSubclass for RtmpMux {
    const NAME: &'static str = "GstRsRtmpMux";
    type Type = super::RtmpMux;
    type ParentType = gst_base::Aggregator;
    type Interfaces = (gst::ChildProxy,);
}

impl ObjectImpl for RtmpMux {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            vec![
                glib::ParamSpecBoolean::builder("nanosecond-timestamps")
                    .nick("Nanosecond timestamps")
                    .blurb("Write times to the nanosecond into tags of Enhanced RTMP (readers must understand ModEx)")
                    .mutable_ready()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, _pspec: &glib::ParamSpec) {
        lock(&self.settings).nanoseconds = value.get().unwrap_or_default();
    }

    fn property(&self, _id: usize, _pspec: &glib::ParamSpec) -> glib::Value {
        lock(&self.settings).nanoseconds.to_value()
    }
}

impl GstObjectImpl for RtmpMux {}

impl ElementImpl for RtmpMux {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "RTMP muxer",
                "Codec/Muxer",
                "Puts elementary streams into FLV with legacy and Enhanced RTMP tags",
                crate::elements::AUTHORS,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            let sink = |name: &str, caps: &gst::Caps| {
                gst::PadTemplate::with_gtype(
                    name,
                    gst::PadDirection::Sink,
                    gst::PadPresence::Request,
                    caps,
                    RtmpMuxPad::static_type(),
                )
            };
            let src = gst::PadTemplate::with_gtype(
                "src",
                gst::PadDirection::Src,
                gst::PadPresence::Always,
                &gst::Caps::new_empty_simple("video/x-flv"),
                gst_base::AggregatorPad::static_type(),
            );
            let (video, audio) = (
                caps::sink_template(TrackKind::Video),
                caps::sink_template(TrackKind::Audio),
            );
            // Links without names take the first template that fits: that is to be one that has another pad left.
            [
                src,
                sink("video_%u", &video),
                sink("audio_%u", &audio),
                sink("video", &video),
                sink("audio", &audio),
            ]
            .into_iter()
            .flatten()
            .collect()
        });
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        // The base class would add one made here with a reference too many: it expects a floating one.
        let pad = self.new_pad(template, name)?;
        let added = pad.set_active(true).and_then(|()| self.obj().add_pad(&pad));
        if let Err(error) = added {
            gst::warning!(CAT, imp = self, "no pad {}: {error}", pad.name());
            return None;
        }
        self.obj().child_added(&pad, &pad.name());
        Some(pad.upcast())
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let name = pad.name();
        if let Some(pad) = pad.downcast_ref::<RtmpMuxPad>() {
            // First, since the others go on as soon as the pad has gone.
            let mut track = lock(&pad.imp().track);
            let end = track.end();
            track.is_released = true;
            let mut state = lock(&self.state);
            state.ended.extend(end);
            state.stream_headers.retain(|(other, _)| *other != name);
            state.wants_metadata = true;
        }
        self.parent_release_pad(pad);
        self.obj().child_removed(pad, &name);
    }
}

impl ChildProxyImpl for RtmpMux {
    fn child_by_index(&self, index: u32) -> Option<glib::Object> {
        let pad = self.tracks().into_iter().nth(index.try_into().ok()?)?;
        Some(pad.upcast())
    }

    fn child_by_name(&self, name: &str) -> Option<glib::Object> {
        let pad = self.tracks().into_iter().find(|pad| pad.name() == name)?;
        Some(pad.upcast())
    }

    fn children_count(&self) -> u32 {
        self.tracks().len().try_into().unwrap_or(u32::MAX)
    }
}

impl AggregatorImpl for RtmpMux {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = State::default();
        self.obj().set_latency(gst::ClockTime::ZERO, None);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        for pad in self.tracks() {
            *lock(&pad.imp().track) = pad::Track::default();
        }
        *lock(&self.state) = State::default();
        Ok(())
    }

    fn flush(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        // A seek has put its own into it, while buffers have running times.
        self.obj()
            .update_segment(&gst::FormattedSegment::<gst::ClockTime>::new());
        let mut state = lock(&self.state);
        state.timeline = Timeline::default();
        state.wants_metadata = true;
        state.metadata_sent = None;
        state.last = gst::ClockTime::ZERO;
        state.timestamp = 0;
        drop(state);
        self.parent_flush()
    }

    fn sink_event(&self, pad: &gst_base::AggregatorPad, event: gst::Event) -> bool {
        let Some(track) = pad.downcast_ref::<RtmpMuxPad>() else {
            return self.parent_sink_event(pad, event);
        };
        match event.view() {
            gst::EventView::Caps(caps) => self.set_track_caps(track, caps.caps()),
            gst::EventView::Tag(tags) => {
                self.take_tags(track, tags.tag());
                // They are in the metadata; of the muxed stream they would be wrong.
                true
            }
            _ => self.parent_sink_event(pad, event),
        }
    }

    fn negotiate(&self) -> bool {
        // The caps hold the headers: they go out with these.
        true
    }

    fn next_time(&self) -> Option<gst::ClockTime> {
        // When the first of what waits is due; others are not waited for beyond that.
        let due = self
            .tracks()
            .iter()
            .filter_map(RtmpMuxPad::next)
            .map(Next::due)
            .min()?;
        Some(due.map_or(gst::ClockTime::ZERO, clock_time))
    }

    fn aggregate(&self, mut timeout: bool) -> Result<gst::FlowSuccess, gst::FlowError> {
        loop {
            let tracks = self.tracks();
            if !timeout && tracks.iter().any(|pad| !pad.is_eos() && !pad.has_buffer()) {
                return Err(gst_base::AGGREGATOR_FLOW_NEED_DATA);
            }
            let waiting: Vec<_> = tracks.iter().filter_map(|pad| Some((pad.next()?, pad))).collect();
            let Some((next, pad)) = waiting.iter().min_by_key(|(next, _)| next.due()) else {
                if tracks.iter().all(|pad| pad.is_eos()) {
                    return self.finish();
                }
                return Err(gst_base::AGGREGATOR_FLOW_NEED_DATA);
            };
            let Next::Frame(times) = next else {
                // Its track is asked for more; time has not run out for that.
                pad.drop_buffer();
                timeout = false;
                continue;
            };
            self.start_timeline(waiting.iter().map(|(next, _)| *next));
            let Some(buffer) = pad.pop_buffer() else {
                return Err(gst_base::AGGREGATOR_FLOW_NEED_DATA);
            };
            return self.put_out(pad, *times, buffer);
        }
    }
}

impl RtmpMux {
    /// A pad of the track that the name asks for, or of one that is free.
    fn new_pad(&self, template: &gst::PadTemplate, name: Option<&str>) -> Option<RtmpMuxPad> {
        let kind = pad::kind(&template.name());
        let track = match self.free_track(kind, &template.name(), name) {
            Ok(track) => track,
            Err(why) => {
                gst::element_imp_warning!(self, gst::CoreError::Pad, ("{}", why));
                return None;
            }
        };
        let prefix = match kind {
            TrackKind::Audio => pad::AUDIO,
            TrackKind::Video => pad::VIDEO,
        };
        let name = if template.name() == prefix {
            prefix.to_owned()
        } else {
            format!("{prefix}_{track}")
        };
        let pad = gst::PadBuilder::<RtmpMuxPad>::from_template(template)
            .name(name)
            .build();
        if kind == TrackKind::Video {
            // Demuxers leave out the alignment. What caps have to have the encoder knows, and says.
            pad.set_pad_flags(gst::PadFlags::ACCEPT_INTERSECT);
        }
        lock(&pad.imp().settings).track = track;
        Some(pad)
    }

    fn tracks(&self) -> Vec<RtmpMuxPad> {
        self.obj()
            .sink_pads()
            .into_iter()
            .filter_map(|pad| pad.downcast().ok())
            .collect()
    }

    /// The track of a new pad: `video_2` is track 2, `video` is 0, and who does not care gets the first that is free.
    fn free_track(&self, kind: TrackKind, template: &str, name: Option<&str>) -> Result<u8, String> {
        let used: Vec<u8> = self
            .tracks()
            .iter()
            .filter(|pad| pad.kind() == kind)
            .map(|pad| lock(&pad.imp().settings).track)
            .collect();
        let name = name.filter(|name| !name.contains('%'));
        let wanted = match name.map(|name| name.rsplit_once('_')) {
            _ if !template.contains('%') => 0,
            Some(Some((_, number))) => number.parse().map_err(|_| {
                format!(
                    "There can be no pad {}: tracks have numbers up to {}.",
                    name.unwrap_or_default(),
                    u8::MAX
                )
            })?,
            Some(None) | None => (0..=u8::MAX)
                .find(|track| !used.contains(track))
                .ok_or_else(|| format!("There can be no more than {} tracks of a kind.", used.len()))?,
        };
        if used.contains(&wanted) {
            let name = name.unwrap_or(template);
            return Err(format!(
                "There can be no pad {name}: another pad has track {wanted}."
            ));
        }
        Ok(wanted)
    }

    fn start_timeline(&self, waiting: impl Iterator<Item = Next>) {
        let mut state = lock(&self.state);
        if state.timeline.has_started() {
            return;
        }
        let frames = waiting.filter_map(|next| match next {
            Next::Frame(times) => times.map(|times| times.dts),
            Next::Gap(_) => None,
        });
        state.timeline.start(frames.min().unwrap_or_default());
    }

    fn set_track_caps(&self, pad: &RtmpMuxPad, caps: &gst::CapsRef) -> bool {
        let refuse = |why: &str| {
            gst::element_imp_error!(
                self,
                gst::StreamError::Format,
                ("The pad {} cannot be muxed: {}.", pad.name(), why)
            );
            false
        };
        let settings = *lock(&pad.imp().settings);
        let twin = self.tracks().into_iter().find(|other| {
            let is_other = other != pad && other.kind() == pad.kind();
            is_other && lock(&other.imp().settings).track == settings.track
        });
        if let Some(twin) = twin {
            return refuse(&format!(
                "track {} is that of the pad {} too",
                settings.track,
                twin.name()
            ));
        }
        let nanoseconds = lock(&self.settings).nanoseconds;
        let mut track = lock(&pad.imp().track);
        let set = match &mut track.encoder {
            Some(encoder) => encoder.set_caps(caps),
            None => TrackEncoder::new(caps, settings.track, settings.enhanced).map(|mut encoder| {
                encoder.set_nanoseconds(nanoseconds);
                track.encoder = Some(encoder);
                track::Changes {
                    headers: true,
                    metadata: true,
                }
            }),
        };
        match set {
            Ok(changes) => {
                track.wants_headers |= changes.headers;
                drop(track);
                lock(&self.state).wants_metadata |= changes.metadata;
                true
            }
            Err(error) => {
                drop(track);
                refuse(&error.to_string())
            }
        }
    }

    fn take_tags(&self, pad: &RtmpMuxPad, tags: &gst::TagListRef) {
        if tags.scope() == gst::TagScope::Global {
            let mut state = lock(&self.state);
            let known = state.tags.take().unwrap_or_default();
            let merged = known.merge(tags, gst::TagMergeMode::Replace);
            state.wants_metadata |= merged != known;
            state.tags = Some(merged);
            return;
        }
        let mut track = lock(&pad.imp().track);
        let changes = track
            .encoder
            .as_mut()
            .map(|encoder| encoder.set_tags(tags))
            .unwrap_or_default();
        drop(track);
        lock(&self.state).wants_metadata |= changes.metadata;
    }

    /// Sends one frame, and ahead of it whatever it needs.
    fn put_out(
        &self,
        pad: &RtmpMuxPad,
        times: Option<Times>,
        buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if lock(&pad.imp().track).encoder.is_none() {
            gst::element_imp_error!(
                self,
                gst::CoreError::Negotiation,
                ("The pad {} has data and no caps.", pad.name())
            );
            return Err(gst::FlowError::NotNegotiated);
        }
        let written = match self.write(pad, times, buffer) {
            Ok(Some(written)) => written,
            Ok(None) => return Ok(gst::FlowSuccess::Ok),
            Err(error) => {
                self.leave_out(pad, &error);
                return Ok(gst::FlowSuccess::Ok);
            }
        };
        let frame = written.frame.clone();
        let mut list = gst::BufferList::new();
        if let Some(list) = list.get_mut() {
            for buffer in self.ahead(written) {
                list.add(buffer);
            }
            list.add(frame);
        }
        self.obj().finish_buffer_list(list)
    }

    /// Makes the tags of one frame; `None` of what is none.
    fn write(
        &self,
        pad: &RtmpMuxPad,
        times: Option<Times>,
        buffer: gst::Buffer,
    ) -> Result<Option<Written>, track::Error> {
        let mut guard = lock(&pad.imp().track);
        let track = &mut *guard;
        let Some(encoder) = track.encoder.as_mut().filter(|_| !track.is_released) else {
            return Ok(None);
        };
        let (timeline, last) = {
            let state = lock(&self.state);
            (state.timeline, state.last_running())
        };
        let times = times.unwrap_or(Times { dts: last, pts: last });
        let has_composition_time =
            matches!(encoder.format(), Format::Video(format) if format.has_composition_time());
        let running = if has_composition_time {
            times
        } else {
            // Tags have but one time, which is that of presentation.
            Times {
                dts: times.pts,
                pts: times.pts,
            }
        };
        let (dts, pts) = timeline.place(running, track.last);
        let pts = if has_composition_time { pts } else { dts };
        let Some(frame) = encoder.frame(buffer.clone(), dts, pts)? else {
            return Ok(None);
        };
        let due = Due {
            pts: clock_time(times.pts),
            dts: clock_time(times.dts),
            timestamp: frame.timestamp,
        };
        let flags = if frame.is_key {
            gst::BufferFlags::empty()
        } else {
            gst::BufferFlags::DELTA_UNIT
        };
        let tag = due.buffer(&frame.tag, flags)?;
        let headers = self.headers(pad, track, &buffer)?;

        let (wanted, _) = timeline.place(running, None);
        let backward = dts.saturating_sub(wanted);
        let tells_backward = backward >= JITTER && !std::mem::replace(&mut track.has_gone_backward, true);
        track.last = Some(dts);
        track.has_started = true;
        let mut state = lock(&self.state);
        state.last = dts;
        state.timestamp = frame.timestamp;
        let ended = std::mem::take(&mut state.ended);
        drop(state);
        // Released from here on, the track has its end behind this frame.
        drop(guard);
        if has_composition_time && frame.is_key {
            self.wait_for_reordering(clock_time(times.pts - times.dts));
        }
        if tells_backward {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                (
                    "The timestamps of the pad {} went back by {}; its tags have the last one until that is made up for.",
                    pad.name(),
                    backward
                )
            );
        }
        Ok(Some(Written {
            due,
            ended,
            headers,
            frame: tag,
        }))
    }

    /// Encoders keep their word on latency for times of presentation. A picture that is put in order by its time of
    /// decoding comes later than that by as much as a key frame is early, and sound has to wait for it.
    fn wait_for_reordering(&self, delay: gst::ClockTime) {
        let mut state = lock(&self.state);
        if delay <= state.reordering {
            return;
        }
        state.reordering = delay;
        drop(state);
        self.obj().set_latency(delay, None);
    }

    /// The headers of a track, if they are due ahead of `first`.
    fn headers(
        &self,
        pad: &RtmpMuxPad,
        track: &mut pad::Track,
        first: &gst::BufferRef,
    ) -> Result<Option<Vec<TagBody>>, track::Error> {
        let Some(encoder) = track.encoder.as_mut().filter(|_| track.wants_headers) else {
            return Ok(None);
        };
        let headers = encoder.headers(first)?;
        let in_caps = headers.iter().map(tag::header).collect::<Result<_, _>>()?;
        track.wants_headers = false;
        let name = pad.name();
        let known = &mut lock(&self.state).stream_headers;
        match known.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = in_caps,
            None => known.push((name.into(), in_caps)),
        }
        Ok(Some(headers))
    }

    /// What goes ahead of a frame: file header, metadata and headers as far as they are due. New caps hold them.
    fn ahead(&self, written: Written) -> Vec<gst::Buffer> {
        let Written {
            due, ended, headers, ..
        } = written;
        let mut state = lock(&self.state);
        let is_start = !std::mem::replace(&mut state.has_header, true);
        let sent = state.metadata_sent;
        let is_due =
            headers.is_some() || sent.is_none_or(|sent| state.last >= sent.saturating_add(METADATA_INTERVAL));
        let sends_metadata = is_start || (state.wants_metadata && is_due);
        if sends_metadata {
            state.wants_metadata = false;
            state.metadata_sent = Some(state.last);
        }
        drop(state);

        let mut tags = ended;
        let has_new_headers = headers.is_some();
        tags.extend(headers.unwrap_or_default());
        if is_start {
            tags.extend(self.other_headers());
        }
        if is_start || sends_metadata || has_new_headers {
            self.obj().set_src_caps(&self.src_caps());
        }
        let mut buffers = Vec::new();
        if is_start {
            buffers.push(due.header(self.file_header()));
        }
        if sends_metadata {
            match tag::script(&self.metadata(), due.timestamp) {
                Ok(metadata) => buffers.push(due.header(metadata)),
                Err(error) => gst::warning!(CAT, imp = self, "metadata is left out: {error}"),
            }
        }
        let tags = tags
            .iter()
            .filter_map(|tag| due.buffer(tag, gst::BufferFlags::HEADER).ok());
        buffers.extend(tags);
        buffers
    }

    /// The headers of all tracks that have a frame, so that players know them from the start. What is wrong with one
    /// is told when it is its turn.
    fn other_headers(&self) -> Vec<TagBody> {
        let mut tags = Vec::new();
        for pad in self.tracks() {
            let track = &mut *lock(&pad.imp().track);
            if let (Some(Next::Frame(_)), Some(first)) = (pad.next(), pad.peek_buffer())
                && let Ok(Some(headers)) = self.headers(&pad, track, &first)
            {
                tags.extend(headers);
            }
        }
        tags
    }

    fn metadata(&self) -> Bytes {
        let encoders: Vec<TrackEncoder> = self
            .tracks()
            .iter()
            .filter_map(|pad| {
                let track = lock(&pad.imp().track);
                track.encoder.clone().filter(|_| !track.is_released)
            })
            .collect();
        let tags = lock(&self.state).tags.clone().unwrap_or_default();
        track::on_meta_data(&encoders, &tags)
    }

    fn file_header(&self) -> Bytes {
        // Of pads that have nothing to say yet as well: flvdemux ignores a track that the header denies.
        let tracks = self.tracks();
        let has = |kind| tracks.iter().any(|pad| pad.kind() == kind);
        let mut out = BytesMut::new();
        FileHeader {
            has_audio: has(TrackKind::Audio),
            has_video: has(TrackKind::Video),
        }
        .encode(&mut out);
        out.freeze()
    }

    fn src_caps(&self) -> gst::Caps {
        let mut headers = vec![self.file_header()];
        headers.extend(tag::script(&self.metadata(), 0));
        let state = lock(&self.state);
        headers.extend(state.stream_headers.iter().flat_map(|(_, tags)| tags.clone()));
        drop(state);
        let buffers = headers.into_iter().map(|header| {
            let mut buffer = gst::Buffer::from_slice(header);
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_flags(gst::BufferFlags::HEADER);
            }
            buffer.to_send_value()
        });
        gst::Caps::builder("video/x-flv")
            .field("streamheader", gst::Array::new(buffers))
            .build()
    }

    /// All pads have ended: so do their tracks.
    fn finish(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut state = lock(&self.state);
        let due = state.due();
        let mut ends = std::mem::take(&mut state.ended);
        drop(state);
        ends.extend(
            self.tracks()
                .iter()
                .filter_map(|pad| lock(&pad.imp().track).end()),
        );
        for end in ends {
            if let Ok(buffer) = due.buffer(&end, gst::BufferFlags::DELTA_UNIT) {
                self.obj().finish_buffer(buffer)?;
            }
        }
        Err(gst::FlowError::Eos)
    }

    /// Goes on without a frame. The application is told of the first one of its kind, the log of all.
    fn leave_out(&self, pad: &RtmpMuxPad, error: &track::Error) {
        gst::warning!(CAT, obj = pad, "a frame is left out: {error}");
        if lock(&pad.imp().track).told.is_new(error) {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                ("A frame of the pad {} is left out: {error}.", pad.name())
            );
        }
    }
}
