//! The element's class: which pad comes next, and what goes ahead of it.

use std::sync::Mutex;

use bytes::{BufMut as _, Bytes, BytesMut};
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::RtmpMuxPad;
use crate::elements::track::{self, TagBody, Timeline, Times, TrackEncoder, TrackKind, clock_time};
use crate::elements::{caps, lock};
use crate::flv::{FileHeader, TagHeader, TagKind};

static CAT: Lazy<gst::DebugCategory> = Lazy::new(|| {
    gst::DebugCategory::new(
        "rtmpmux",
        gst::DebugColorFlags::empty(),
        Some("FLV muxer for RTMP"),
    )
});

/// How often metadata is sent at most: parsers refine a bit rate with every few frames.
const METADATA_INTERVAL: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// Bytes of `PreviousTagSize` behind a tag.
const TRAILER_SIZE: usize = 4;

/// When a buffer without a timestamp is due.
const AT_ONCE: i128 = i128::MIN;

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
    metadata_sent: gst::ClockTime,
    /// Tags of the whole stream.
    tags: Option<gst::TagList>,
    /// What the caps hold: file header, metadata and the headers of each track.
    stream_headers: Vec<(String, Vec<Bytes>)>,
    /// Time of the last tag in nanoseconds of the stream, for what has none of its own.
    last: gst::ClockTime,
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
            [
                src,
                sink("video", &video),
                sink("audio", &audio),
                sink("video_%u", &video),
                sink("audio_%u", &audio),
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
        caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let kind = if template.name().starts_with("video") {
            "video"
        } else {
            "audio"
        };
        let used: Vec<u8> = self
            .tracks()
            .iter()
            .filter(|pad| pad.name().starts_with(kind))
            .map(|pad| lock(&pad.imp().settings).track)
            .collect();
        // video_2 is track 2; video is 0; whoever does not care gets the first that is free.
        let named = name
            .and_then(|name| name.strip_prefix(kind))
            .map(|rest| rest.trim_start_matches('_'));
        let track = match named {
            Some("") => Some(0),
            Some("%u") | None => (0..=u8::MAX).find(|track| !used.contains(track)),
            Some(number) => number.parse().ok(),
        };
        let Some(track) = track.filter(|track| !used.contains(track)) else {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                (
                    "There is no free {} track for the pad {}.",
                    kind,
                    name.unwrap_or("without a name")
                )
            );
            return None;
        };
        let own_name = match (template.name().ends_with("%u"), name) {
            (true, None | Some("video_%u" | "audio_%u")) => Some(format!("{kind}_{track}")),
            _ => name.map(str::to_owned),
        };
        let pad = self.parent_request_new_pad(template, own_name.as_deref(), caps)?;
        if let Some(pad) = pad.downcast_ref::<RtmpMuxPad>() {
            lock(&pad.imp().settings).track = track;
        }
        Some(pad)
    }

    fn release_pad(&self, pad: &gst::Pad) {
        lock(&self.state).wants_metadata = true;
        self.parent_release_pad(pad);
    }
}

impl AggregatorImpl for RtmpMux {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.state) = State::default();
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        for pad in self.tracks() {
            *lock(&pad.imp().track) = Default::default();
        }
        *lock(&self.state) = State::default();
        Ok(())
    }

    fn flush(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut state = lock(&self.state);
        // Players know the headers; what comes next is placed anew.
        state.timeline = Timeline::default();
        state.last = gst::ClockTime::ZERO;
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

    fn update_src_caps(&self, _caps: &gst::Caps) -> Result<gst::Caps, gst::FlowError> {
        Ok(self.src_caps())
    }

    fn next_time(&self) -> Option<gst::ClockTime> {
        // When the first of what waits is due; others are not waited for beyond that.
        let first = self
            .tracks()
            .iter()
            .filter_map(Self::next_times)
            .map(|times| times.dts)
            .min()?;
        Some(clock_time(first))
    }

    fn aggregate(&self, timeout: bool) -> Result<gst::FlowSuccess, gst::FlowError> {
        let tracks = self.tracks();
        self.drop_gaps(&tracks);
        if !timeout && tracks.iter().any(|pad| !pad.is_eos() && !pad.has_buffer()) {
            return Err(gst_base::AGGREGATOR_FLOW_NEED_DATA);
        }
        let next = tracks
            .iter()
            .filter_map(|pad| Some((Self::next_times(pad)?.dts, pad)))
            .min_by_key(|(dts, _)| *dts);
        let Some((dts, pad)) = next else {
            if tracks.iter().all(|pad| pad.is_eos()) {
                return self.finish();
            }
            return Err(gst_base::AGGREGATOR_FLOW_NEED_DATA);
        };
        {
            let mut state = lock(&self.state);
            if !state.timeline.has_started() {
                state.timeline.start(if dts == AT_ONCE { 0 } else { dts });
            }
        }
        let Some(buffer) = pad.pop_buffer() else {
            return Err(gst_base::AGGREGATOR_FLOW_NEED_DATA);
        };
        self.put_out(pad, buffer)
    }
}

impl RtmpMux {
    fn tracks(&self) -> Vec<RtmpMuxPad> {
        self.obj()
            .sink_pads()
            .into_iter()
            .filter_map(|pad| pad.downcast().ok())
            .collect()
    }

    /// When the pad's next buffer is due.
    fn next_times(pad: &RtmpMuxPad) -> Option<Times> {
        let buffer = pad.peek_buffer()?;
        // A buffer without a timestamp comes at once.
        Some(Times::of(&buffer, &pad.segment()).unwrap_or(Times {
            dts: AT_ONCE,
            pts: AT_ONCE,
        }))
    }

    /// GAP events arrive as empty buffers: they have done their part by not being waited for.
    fn drop_gaps(&self, tracks: &[RtmpMuxPad]) {
        for pad in tracks {
            while pad
                .peek_buffer()
                .is_some_and(|buffer| buffer.flags().contains(gst::BufferFlags::GAP) && buffer.size() == 0)
            {
                pad.drop_buffer();
            }
        }
    }

    fn set_track_caps(&self, pad: &RtmpMuxPad, caps: &gst::CapsRef) -> bool {
        let settings = *lock(&pad.imp().settings);
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
                lock(&self.state).wants_metadata |= changes.metadata;
                true
            }
            Err(error) => {
                drop(track);
                gst::element_imp_error!(
                    self,
                    gst::StreamError::Format,
                    ("The pad {} cannot be muxed: {error}.", pad.name())
                );
                false
            }
        }
    }

    fn take_tags(&self, pad: &RtmpMuxPad, tags: &gst::TagListRef) {
        let mut state = lock(&self.state);
        if tags.scope() == gst::TagScope::Global {
            let known = state.tags.take().unwrap_or_default();
            let merged = known.merge(tags, gst::TagMergeMode::Replace);
            state.wants_metadata |= merged != known;
            state.tags = Some(merged);
        } else if let Some(encoder) = &mut lock(&pad.imp().track).encoder {
            state.wants_metadata |= encoder.set_tags(tags).metadata;
        }
    }

    /// Sends one frame, and ahead of it whatever it needs.
    fn put_out(&self, pad: &RtmpMuxPad, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let times = Times::of(&buffer, &pad.segment());
        let mut out = Vec::new();
        let mut changed = false;
        {
            let mut guard = lock(&pad.imp().track);
            let track = &mut *guard;
            let Some(encoder) = &mut track.encoder else {
                drop(guard);
                gst::element_imp_error!(
                    self,
                    gst::CoreError::Negotiation,
                    ("The pad {} has data and no caps.", pad.name())
                );
                return Err(gst::FlowError::NotNegotiated);
            };
            let mut state = lock(&self.state);
            let running = times.unwrap_or(Times {
                dts: state.last_running(),
                pts: state.last_running(),
            });
            let (dts, pts) = state.timeline.place(running, track.last);

            let mut headers = Vec::new();
            if track.wants_headers {
                match encoder.headers(&buffer) {
                    Ok(bodies) => headers = bodies,
                    Err(error) => {
                        drop(state);
                        drop(guard);
                        self.warn(pad, &error);
                        return Ok(gst::FlowSuccess::Ok);
                    }
                }
            }
            let frame = match encoder.frame(buffer, dts, pts) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(gst::FlowSuccess::Ok),
                Err(error) => {
                    drop(state);
                    drop(guard);
                    self.warn(pad, &error);
                    return Ok(gst::FlowSuccess::Ok);
                }
            };
            if track.wants_headers {
                track.wants_headers = false;
                let name = pad.name().to_string();
                let bodies = headers.iter().map(|body| flat_tag(body, 0)).collect();
                state.stream_headers.retain(|(other, _)| *other != name);
                state.stream_headers.push((name, bodies));
                changed = true;
            }
            track.last = Some(dts);
            track.has_started = true;
            state.last = dts;
            let due = Due {
                pts: clock_time(running.pts),
                dts: clock_time(running.dts),
            };
            out.extend(
                headers
                    .iter()
                    .map(|body| due.buffer(body, frame.timestamp, gst::BufferFlags::HEADER)),
            );
            let flags = if frame.is_key {
                gst::BufferFlags::empty()
            } else {
                gst::BufferFlags::DELTA_UNIT
            };
            out.push(due.buffer(&frame.tag, frame.timestamp, flags));
        }
        let ahead = self.ahead(changed, out.first());
        let mut list = gst::BufferList::new();
        if let Some(list) = list.get_mut() {
            for buffer in ahead.into_iter().chain(out) {
                list.add(buffer);
            }
        }
        self.obj().finish_buffer_list(list)
    }

    /// File header and metadata, if they are due, and new caps if those or a track's headers have changed.
    fn ahead(&self, changed: bool, first: Option<&gst::Buffer>) -> Vec<gst::Buffer> {
        let metadata = self.metadata();
        let mut ahead = Vec::new();
        let mut state = lock(&self.state);
        let is_start = !std::mem::replace(&mut state.has_header, true);
        let is_due = is_start || changed || state.last >= state.metadata_sent + METADATA_INTERVAL;
        let wants_metadata = state.wants_metadata && is_due;
        if wants_metadata {
            state.wants_metadata = false;
            state.metadata_sent = state.last;
        }
        let last = state.last.mseconds();
        drop(state);
        if is_start || wants_metadata || changed {
            self.obj().set_src_caps(&self.src_caps());
        }
        let stamp = |mut buffer: gst::Buffer| {
            if let (Some(buffer), Some(first)) = (buffer.get_mut(), first) {
                buffer.set_pts(first.dts_or_pts());
                buffer.set_dts(first.dts_or_pts());
                buffer.set_flags(gst::BufferFlags::HEADER);
            }
            buffer
        };
        if is_start {
            ahead.push(stamp(gst::Buffer::from_slice(self.file_header())));
        }
        if is_start || wants_metadata {
            ahead.push(stamp(gst::Buffer::from_slice(flat(
                TagKind::Script,
                &metadata,
                &Bytes::new(),
                last,
            ))));
        }
        ahead
    }

    fn metadata(&self) -> Bytes {
        let tracks = self.tracks();
        let encoders: Vec<TrackEncoder> = tracks
            .iter()
            .filter_map(|pad| lock(&pad.imp().track).encoder.clone())
            .collect();
        let tags = lock(&self.state).tags.clone().unwrap_or_default();
        track::on_meta_data(&encoders, &tags)
    }

    fn file_header(&self) -> Bytes {
        // Of pads that have nothing to say yet as well: flvdemux ignores a track that the header denies.
        let tracks = self.tracks();
        let has = |kind: &str| tracks.iter().any(|pad| pad.name().starts_with(kind));
        let mut out = BytesMut::new();
        FileHeader {
            has_audio: has("audio"),
            has_video: has("video"),
        }
        .encode(&mut out);
        out.freeze()
    }

    fn src_caps(&self) -> gst::Caps {
        if !lock(&self.state).has_header {
            return gst::Caps::new_empty_simple("video/x-flv");
        }
        let mut headers = vec![
            self.file_header(),
            flat(TagKind::Script, &self.metadata(), &Bytes::new(), 0),
        ];
        headers.extend(
            lock(&self.state)
                .stream_headers
                .iter()
                .flat_map(|(_, tags)| tags.clone()),
        );
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
        let state = lock(&self.state);
        let (last, running) = (state.last, state.last_running());
        drop(state);
        let due = Due {
            pts: clock_time(running),
            dts: clock_time(running),
        };
        for pad in self.tracks() {
            let end = {
                let track = lock(&pad.imp().track);
                track
                    .encoder
                    .as_ref()
                    .filter(|_| track.has_started)
                    .and_then(TrackEncoder::end)
            };
            if let Some(end) = end {
                self.obj()
                    .finish_buffer(due.buffer(&end, last.mseconds(), gst::BufferFlags::DELTA_UNIT))?;
            }
        }
        Err(gst::FlowError::Eos)
    }

    fn warn(&self, pad: &RtmpMuxPad, error: &track::Error) {
        gst::warning!(CAT, obj = pad, "a frame is left out: {error}");
        gst::element_imp_warning!(
            self,
            gst::StreamError::Mux,
            ("A frame of the pad {} is left out: {error}.", pad.name())
        );
    }
}

impl State {
    /// The last tag's decoding time as running time.
    fn last_running(&self) -> i128 {
        self.timeline.origin().unwrap_or_default() + i128::from(self.last.nseconds())
    }
}

/// When a tag is due downstream, in running time.
#[derive(Clone, Copy)]
struct Due {
    pts: gst::ClockTime,
    dts: gst::ClockTime,
}

impl Due {
    /// A tag as a buffer around the memory of the frame.
    fn buffer(self, tag: &TagBody, millis: u64, flags: gst::BufferFlags) -> gst::Buffer {
        let size = tag.head.len() + tag.body.len();
        let mut buffer = gst::Buffer::new();
        if let Some(writable) = buffer.get_mut() {
            let head = [&tag_header(kind(tag), size, millis), &tag.head[..]].concat();
            writable.append_memory(gst::Memory::from_slice(head));
            if !tag.body.is_empty() {
                writable.append_memory(gst::Memory::from_slice(tag.body.clone()));
            }
            writable.append_memory(gst::Memory::from_slice(trailer(size)));
            writable.set_pts(self.pts);
            writable.set_dts(self.dts);
            writable.set_flags(flags);
        }
        buffer
    }
}

const fn kind(tag: &TagBody) -> TagKind {
    match tag.kind {
        TrackKind::Audio => TagKind::Audio,
        TrackKind::Video => TagKind::Video,
    }
}

fn flat_tag(tag: &TagBody, millis: u64) -> Bytes {
    flat(kind(tag), &tag.head, &tag.body, millis)
}

/// A whole tag in one piece, for headers.
fn flat(kind: TagKind, head: &Bytes, body: &Bytes, millis: u64) -> Bytes {
    let size = head.len() + body.len();
    [&tag_header(kind, size, millis)[..], head, body, &trailer(size)]
        .concat()
        .into()
}

/// A tag header. FLV has 32 bits of milliseconds and 24 of size; the chunk writer refuses longer messages.
#[expect(clippy::cast_possible_truncation, reason = "FLV timestamps wrap")]
fn tag_header(kind: TagKind, size: usize, millis: u64) -> BytesMut {
    let mut out = BytesMut::new();
    if let Ok(header) = TagHeader::new(kind, millis as u32, size) {
        header.encode(&mut out);
    }
    out
}

fn trailer(size: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(TRAILER_SIZE);
    out.put_u32(u32::try_from(size).unwrap_or(u32::MAX).saturating_add(11));
    out.freeze()
}
