//! The source pads: their streams, sticky events and flows.

use std::sync::Mutex;

use gst::prelude::*;

use super::output::NewTrack;
use super::track::TrackId;
use crate::elements::lock;
use crate::elements::track::TrackKind;

/// A track's pad and its place in the collection.
#[derive(Clone, Debug)]
struct Output {
    id: TrackId,
    pad: gst::Pad,
    stream: gst::Stream,
}

#[derive(Debug, Default)]
struct State {
    outputs: Vec<Output>,
    flows: gst_base::UniqueFlowCombiner,
    group: Option<gst::GroupId>,
    segment: Option<gst::Event>,
    /// Tags of the whole stream: those that upstream has sent, and those of its metadata.
    upstream_tags: Option<gst::TagList>,
    tags: Option<gst::TagList>,
}

/// See the module. Locked by no one who pushes.
#[derive(Debug, Default)]
pub(super) struct Pads(Mutex<State>);

impl Pads {
    /// A pad for each of `tracks`, made by `make`, and the collection that holds them and those there were. All know
    /// what they need; the new ones are not part of the element yet.
    pub(super) fn add(
        &self,
        element: &gst::Element,
        sink: &gst::Pad,
        tracks: Vec<NewTrack>,
        make: impl Fn(TrackId) -> gst::Pad,
    ) -> (Vec<gst::Pad>, gst::StreamCollection) {
        let mut added = Vec::new();
        let mut state = lock(&self.0);
        let group = *state.group.get_or_insert_with(gst::GroupId::next);
        for NewTrack { id, caps, tags } in tracks {
            let pad = make(id);
            let stream_id = pad.create_stream_id(element, Some(id.to_string().as_str()));
            let kind = match id.kind {
                TrackKind::Audio => gst::StreamType::AUDIO,
                TrackKind::Video => gst::StreamType::VIDEO,
            };
            let flags = if id.number == 0 {
                gst::StreamFlags::SELECT
            } else {
                gst::StreamFlags::empty()
            };
            let stream = gst::Stream::new(Some(&stream_id), Some(&caps), kind, flags);
            stream.set_tags(tags.as_ref());
            let start = gst::event::StreamStart::builder(&stream_id)
                .group_id(group)
                .flags(flags)
                .stream(stream.clone())
                .build();
            added.push((pad.clone(), start, caps, tags));
            state.flows.add_pad(&pad);
            state.outputs.push(Output { id, pad, stream });
        }
        let streams = state.outputs.iter().map(|output| output.stream.clone());
        let collection = gst::StreamCollection::builder(sink.stream_id().as_deref())
            .streams(streams)
            .build();
        let (segment, global) = (state.segment.clone(), state.global_tags());
        let others: Vec<_> = state.pads().filter(|pad| pad.parent().is_some()).collect();
        drop(state);
        let event = gst::event::StreamCollection::new(&collection);
        for pad in others {
            pad.push_event(event.clone());
        }
        let mut pads = Vec::new();
        for (pad, start, caps, tags) in added {
            // Nobody is linked yet to refuse.
            let _ = pad.set_active(true);
            let events = [start, gst::event::Caps::new(&caps)]
                .into_iter()
                .chain(segment.clone())
                .chain([event.clone()])
                .chain(global.clone().map(gst::event::Tag::new))
                .chain(tags.map(gst::event::Tag::new));
            for event in events {
                pad.push_event(event);
            }
            pads.push(pad);
        }
        (pads, collection)
    }

    /// Takes what belongs together in playback.
    pub(super) fn set_group(&self, group: Option<gst::GroupId>) {
        lock(&self.0).group = group;
    }

    /// Remembers the segment, and pushes it.
    pub(super) fn push_segment(&self, event: gst::Event) {
        lock(&self.0).segment = Some(event.clone());
        self.push_event(&event);
    }

    /// Remembers tags of the whole stream, in place of those before, and pushes them.
    pub(super) fn push_tags(&self, tags: gst::TagList) {
        self.push_global_tags(|state| state.tags = Some(tags));
    }

    /// The same with what upstream says; the metadata knows better.
    pub(super) fn push_upstream_tags(&self, tags: gst::TagList) {
        self.push_global_tags(|state| state.upstream_tags = Some(tags));
    }

    fn push_global_tags(&self, change: impl FnOnce(&mut State)) {
        let tags = {
            let mut state = lock(&self.0);
            change(&mut state);
            state.global_tags()
        };
        if let Some(tags) = tags {
            self.push_event(&gst::event::Tag::new(tags));
        }
    }

    /// Pushes an event to all. Whether one of them took it.
    pub(super) fn push_event(&self, event: &gst::Event) -> bool {
        let pads: Vec<_> = lock(&self.0).pads().collect();
        pads.into_iter()
            .fold(false, |taken, pad| pad.push_event(event.clone()) | taken)
    }

    /// Pushes caps to a track, if they are new.
    pub(super) fn push_caps(&self, id: TrackId, caps: &gst::Caps) {
        if let Some(output) = self.output(id)
            && output.pad.current_caps().as_ref() != Some(caps)
        {
            output.stream.set_caps(Some(caps));
            output.pad.push_event(gst::event::Caps::new(caps));
        }
    }

    /// Pushes tags to one track.
    pub(super) fn push_track_tags(&self, id: TrackId, tags: gst::TagList) {
        if let Some(output) = self.output(id) {
            output.stream.set_tags(Some(&tags));
            output.pad.push_event(gst::event::Tag::new(tags));
        }
    }

    /// Tells a track that nothing comes.
    pub(super) fn push_gap(&self, id: TrackId, at: gst::ClockTime, duration: Option<gst::ClockTime>) {
        if let Some(output) = self.output(id) {
            let event = gst::event::Gap::builder(at).duration(duration).build();
            output.pad.push_event(event);
        }
    }

    /// Pushes a buffer to a track. Fails when no track can go on.
    pub(super) fn push(&self, id: TrackId, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(output) = self.output(id) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let flow = output.pad.push(buffer);
        lock(&self.0).flows.update_pad_flow(&output.pad, flow)
    }

    /// Lets tracks flow again after a flush.
    pub(super) fn reset_flows(&self) {
        let mut state = lock(&self.0);
        state.flows.reset();
        state.segment = None;
    }

    /// Forgets everything, and gives the pads to remove.
    pub(super) fn clear(&self) -> Vec<gst::Pad> {
        std::mem::take(&mut *lock(&self.0)).pads().collect()
    }

    /// The track of a pad.
    pub(super) fn track(&self, pad: &gst::Pad) -> Option<TrackId> {
        let state = lock(&self.0);
        let output = state.outputs.iter().find(|output| output.pad == *pad)?;
        Some(output.id)
    }

    fn output(&self, id: TrackId) -> Option<Output> {
        let state = lock(&self.0);
        state.outputs.iter().find(|output| output.id == id).cloned()
    }
}

impl State {
    /// What is known of the whole stream.
    fn global_tags(&self) -> Option<gst::TagList> {
        let mut tags = match (&self.upstream_tags, &self.tags) {
            (Some(upstream), Some(own)) => upstream.merge(own, gst::TagMergeMode::Replace),
            (tags, None) | (None, tags) => tags.clone()?,
        };
        tags.make_mut().set_scope(gst::TagScope::Global);
        Some(tags)
    }

    fn pads(&self) -> impl Iterator<Item = gst::Pad> + '_ {
        self.outputs.iter().map(|output| output.pad.clone())
    }
}
