//! The element's class: what comes into the sink pad, and what the source pads are asked.

use std::sync::Mutex;

use bytes::Bytes;
use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::autoplug;
use super::demux::Demux;
use super::output::{Action, NewTrack};
use super::pads::Pads;
use super::track::TrackId;
use crate::elements::track::TrackKind;
use crate::elements::{caps, lock};

static CAT: Lazy<gst::DebugCategory> =
    Lazy::new(|| gst::DebugCategory::new("rtmpdemux", gst::DebugColorFlags::empty(), Some("FLV demuxer")));

pub struct RtmpDemux {
    sink: gst::Pad,
    /// Never held while anything is pushed or posted.
    demux: Mutex<Demux>,
    pads: Pads,
}

#[glib::object_subclass]
impl ObjectSubclass for RtmpDemux {
    const NAME: &'static str = "GstRsRtmpDemux";
    type Type = super::RtmpDemux;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let template = class
            .pad_template("sink")
            .expect("pad_templates() has one of that name");
        let sink = gst::Pad::builder_from_template(&template)
            .activate_function(|pad, parent| {
                Self::catch_panic_pad_function(
                    parent,
                    || Err(gst::loggable_error!(CAT, "panicked while activating")),
                    |demux| demux.activate(pad),
                )
            })
            .chain_function(|_, parent, buffer| {
                Self::catch_panic_pad_function(
                    parent,
                    || Err(gst::FlowError::Error),
                    |demux| demux.chain(buffer),
                )
            })
            .event_function(|pad, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |demux| demux.sink_event(pad, event))
            })
            .build();
        Self {
            sink,
            demux: Mutex::new(Demux::new()),
            pads: Pads::default(),
        }
    }
}

impl ObjectImpl for RtmpDemux {
    fn constructed(&self) {
        self.parent_constructed();
        self.obj()
            .add_pad(&self.sink)
            .expect("a new element has no pad of that name");
    }
}

impl GstObjectImpl for RtmpDemux {}

impl ElementImpl for RtmpDemux {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "RTMP demuxer",
                "Codec/Demuxer",
                "Takes FLV apart, legacy and Enhanced RTMP",
                crate::elements::AUTHORS,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            let flv = gst::Caps::new_empty_simple("video/x-flv");
            let (sink, src) = (gst::PadDirection::Sink, gst::PadDirection::Src);
            let (always, sometimes) = (gst::PadPresence::Always, gst::PadPresence::Sometimes);
            [
                gst::PadTemplate::new("sink", sink, always, &flv),
                gst::PadTemplate::new("video_%u", src, sometimes, &caps::src_template(TrackKind::Video)),
                gst::PadTemplate::new("audio_%u", src, sometimes, &caps::src_template(TrackKind::Audio)),
            ]
            .into_iter()
            .flatten()
            .collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let success = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            *lock(&self.demux) = Demux::new();
            for pad in self.pads.clear() {
                // Both fail only if somebody else has done it.
                let _ = pad.set_active(false);
                let _ = self.obj().remove_pad(&pad);
            }
        }
        Ok(success)
    }
}

impl RtmpDemux {
    fn activate(&self, pad: &gst::Pad) -> Result<(), gst::LoggableError> {
        if autoplug::leaves_to_flvdemux(self.obj().upcast_ref(), pad) {
            return Err(gst::loggable_error!(
                CAT,
                "upstream can be seeked in, which flvdemux does"
            ));
        }
        pad.activate_mode(gst::PadMode::Push, true)
            .map_err(|error| gst::loggable_error!(CAT, "cannot be pushed to: {error}"))
    }

    fn chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let time = buffer.dts_or_pts();
        let is_discont = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let pieces = pieces(&buffer).map_err(|error| {
            gst::element_imp_error!(
                self,
                gst::StreamError::Failed,
                ("A buffer cannot be read: {error}.")
            );
            gst::FlowError::Error
        })?;
        let (actions, result) = {
            let mut demux = lock(&self.demux);
            if is_discont {
                demux.set_discont();
            }
            demux.push(pieces, time)
        };
        let flow = self.act(actions)?;
        match result {
            Ok(()) => Ok(flow),
            Err(error) => {
                gst::element_imp_error!(
                    self,
                    gst::StreamError::Demux,
                    ("The stream cannot be read any further: {error}.")
                );
                Err(gst::FlowError::Error)
            }
        }
    }

    fn sink_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        gst::log!(CAT, obj = pad, "{event:?}");
        match event.view() {
            gst::EventView::StreamStart(start) => {
                self.pads.set_group(start.group_id());
                true
            }
            gst::EventView::Caps(caps) => {
                let headers = caps.caps().structure(0).map(stream_headers);
                lock(&self.demux).set_stream_headers(headers.unwrap_or_default());
                true
            }
            gst::EventView::Segment(segment) => {
                let actions = lock(&self.demux).set_segment(segment);
                // Upstream hears of it with the next buffer.
                let _ = self.act(actions);
                true
            }
            // Kept for the pads to come as well.
            gst::EventView::Tag(tags) if tags.tag().scope() == gst::TagScope::Global => {
                self.pads.push_upstream_tags(tags.tag_owned());
                true
            }
            gst::EventView::StreamCollection(_) => true,
            gst::EventView::FlushStop(_) => {
                lock(&self.demux).flush();
                self.pads.reset_flows();
                self.pads.push_event(&event)
            }
            gst::EventView::Eos(_) => {
                self.finish(&event);
                true
            }
            _ => self.pads.push_event(&event),
        }
    }

    fn finish(&self, event: &gst::Event) {
        let (actions, has_pads, pending) = {
            let mut demux = lock(&self.demux);
            let (actions, has_pads) = demux.finish();
            (actions, has_pads, demux.pending())
        };
        if pending > 0 {
            gst::warning!(
                CAT,
                imp = self,
                "the input ends inside a tag: {pending} bytes of it came"
            );
        }
        let _ = self.act(actions);
        if !has_pads {
            gst::element_imp_error!(
                self,
                gst::StreamError::Demux,
                ("The stream has ended without any sound or picture that can be read.")
            );
        }
        self.pads.push_event(event);
    }

    /// Does what the input has come to, up to the first failure.
    fn act(&self, actions: Vec<Action>) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut flow = gst::FlowSuccess::Ok;
        for action in actions {
            match action {
                Action::Segment(event) => self.pads.push_segment(event),
                Action::Tags(tags) => self.pads.push_tags(tags),
                Action::Add(tracks) => self.add_pads(tracks),
                Action::NoMorePads => self.obj().no_more_pads(),
                Action::Caps(id, caps) => self.pads.push_caps(id, &caps),
                Action::TrackTags(id, tags) => self.pads.push_track_tags(id, tags),
                Action::Buffer(id, buffer) => flow = self.pads.push(id, buffer)?,
                Action::Gap(id, at, duration) => self.pads.push_gap(id, at, duration),
                Action::Script(structure) => {
                    let obj = self.obj();
                    // Refused only by an element without a bus, which nobody listens to.
                    let _ = obj.post_message(gst::message::Element::builder(structure).src(&*obj).build());
                }
                Action::Warning(sentence) => {
                    gst::element_imp_warning!(self, gst::StreamError::Demux, ("{sentence}"));
                }
            }
        }
        Ok(flow)
    }

    fn add_pads(&self, tracks: Vec<NewTrack>) {
        let obj = self.obj();
        let make = |id| self.make_pad(id);
        let (pads, collection) = self.pads.add(obj.upcast_ref(), &self.sink, tracks, make);
        let message = gst::message::StreamCollection::builder(&collection).src(&*obj);
        let _ = obj.post_message(message.build());
        for pad in pads {
            if let Err(error) = obj.add_pad(&pad) {
                gst::warning!(CAT, imp = self, "a pad is lost: {error}");
            }
        }
    }

    fn make_pad(&self, id: TrackId) -> gst::Pad {
        let template = self
            .obj()
            .pad_template(match id.kind {
                TrackKind::Audio => "audio_%u",
                TrackKind::Video => "video_%u",
            })
            .expect("pad_templates() has one of that name");
        gst::Pad::builder_from_template(&template)
            .name(id.to_string())
            .query_function(|pad, parent, query| {
                Self::catch_panic_pad_function(parent, || false, |demux| demux.src_query(pad, query))
            })
            .build()
    }

    fn src_query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Position(position) if position.format() == gst::Format::Time => {
                let at = self.pads.track(pad).and_then(|id| lock(&self.demux).position(id));
                if let Some(at) = at {
                    position.set(at);
                }
                at.is_some()
            }
            gst::QueryViewMut::Duration(duration) if duration.format() == gst::Format::Time => {
                let length = self
                    .sink
                    .peer_query_duration::<gst::ClockTime>()
                    .or_else(|| lock(&self.demux).duration());
                if let Some(length) = length {
                    duration.set(length);
                }
                length.is_some()
            }
            gst::QueryViewMut::Seeking(seeking) if seeking.format() == gst::Format::Time => {
                // What upstream can, such as an appsrc of recordings, it does.
                let mut upstream = gst::query::Seeking::new(gst::Format::Time);
                if self.sink.peer_query(&mut upstream) && upstream.result().0 {
                    let (_, start, end) = upstream.result();
                    seeking.set(true, start, end);
                } else {
                    seeking.set(false, gst::ClockTime::ZERO, gst::ClockTime::NONE);
                }
                true
            }
            _ => gst::Pad::query_default(pad, Some(&*self.obj()), query),
        }
    }
}

/// The memories of a buffer, shared with it.
fn pieces(buffer: &gst::BufferRef) -> Result<Vec<Bytes>, &'static str> {
    let map = |memory: gst::Memory| memory.into_mapped_memory_readable();
    buffer
        .iter_memories_owned()
        .map(|memory| {
            map(memory)
                .map(Bytes::from_owner)
                .map_err(|_| "its memory cannot be mapped")
        })
        .collect()
}

/// The bytes of `streamheader`, as far as they can be read.
fn stream_headers(caps: &gst::StructureRef) -> Vec<Bytes> {
    let headers = caps.get::<gst::Array>("streamheader").ok();
    let buffers = headers
        .iter()
        .flat_map(|headers| headers.as_slice())
        .filter_map(|header| header.get::<gst::Buffer>().ok());
    buffers
        .filter_map(|buffer| pieces(&buffer).ok())
        .flatten()
        .collect()
}
