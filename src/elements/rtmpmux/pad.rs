//! A track: its properties, and its encoder once caps have come.

use std::sync::Mutex;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use once_cell::sync::Lazy;

use crate::elements::enums::EnhancedRtmp;
use crate::elements::lock;
use crate::elements::track::{TagBody, Times, Told, TrackEncoder, TrackKind};

/// What the properties say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    /// The track that the tags name.
    pub(super) track: u8,
    pub(super) enhanced: EnhancedRtmp,
}

/// What the muxer knows of the track.
#[derive(Default)]
pub(super) struct Track {
    pub(super) encoder: Option<TrackEncoder>,
    /// Headers go ahead of the next frame.
    pub(super) wants_headers: bool,
    /// The tag that ends the track is due at the end, since something was sent.
    pub(super) has_started: bool,
    /// Decoding time of the last tag, in nanoseconds of the stream.
    pub(super) last: Option<gst::ClockTime>,
    /// The pad is on its way out.
    pub(super) is_released: bool,
    /// It has been told that timestamps went backward.
    pub(super) has_gone_backward: bool,
    /// What has been told of frames that were left out.
    pub(super) told: Told,
}

impl Track {
    /// The tag that ends the track, if it has sent anything since it began.
    pub(super) fn end(&mut self) -> Option<TagBody> {
        if !std::mem::take(&mut self.has_started) {
            return None;
        }
        self.encoder.as_ref()?.end()
    }
}

/// What is next on a pad.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// A frame; without times it is sent as soon as possible.
    Frame(Option<Times>),
    /// Nothing until then, in running time: no other track has to wait so long for this one.
    Gap(Option<i128>),
}

impl Next {
    /// When it is its turn, in running time; `None` comes first.
    pub(super) fn due(self) -> Option<i128> {
        match self {
            Self::Frame(times) => times.map(|times| times.dts),
            Self::Gap(end) => end,
        }
    }
}

#[derive(Default)]
pub struct RtmpMuxPad {
    pub(super) settings: Mutex<Settings>,
    pub(super) track: Mutex<Track>,
}

impl super::RtmpMuxPad {
    /// The kind of the pad's template.
    pub(super) fn kind(&self) -> TrackKind {
        kind(
            &self
                .pad_template()
                .map_or_else(|| self.name(), |template| template.name()),
        )
    }

    /// What waits, if anything does.
    pub(super) fn next(&self) -> Option<Next> {
        let buffer = self.peek_buffer()?;
        let segment = self.segment();
        // GAP events come as empty buffers.
        if !buffer.flags().contains(gst::BufferFlags::GAP) || buffer.size() > 0 {
            return Some(Next::Frame(Times::of(&buffer, &segment)));
        }
        let end =
            |start: Times| start.pts + i128::from(buffer.duration().map_or(0, gst::ClockTime::nseconds));
        Some(Next::Gap(Times::of(&buffer, &segment).map(end)))
    }
}

/// The kind of a track by the name of a pad or of a template.
pub(super) fn kind(name: &str) -> TrackKind {
    if name.starts_with(VIDEO) {
        TrackKind::Video
    } else {
        TrackKind::Audio
    }
}

/// How names of pads begin.
pub(super) const VIDEO: &str = "video";
pub(super) const AUDIO: &str = "audio";

#[glib::object_subclass]
impl ObjectSubclass for RtmpMuxPad {
    const NAME: &'static str = "GstRsRtmpMuxPad";
    type Type = super::RtmpMuxPad;
    type ParentType = gst_base::AggregatorPad;
}

impl ObjectImpl for RtmpMuxPad {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            vec![
                glib::ParamSpecUInt::builder("track-id")
                    .nick("Track id")
                    .blurb("Track that the tags name; 0 is the one that every player reads. Read when the first caps come")
                    .maximum(u8::MAX.into())
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("enhanced", EnhancedRtmp::default())
                    .nick("Enhanced RTMP")
                    .blurb("Whether the tags are of Enhanced RTMP. Read when the first caps come")
                    .mutable_ready()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        match pspec.name() {
            "track-id" => {
                settings.track = value
                    .get::<u32>()
                    .map_or(0, |id| id.try_into().unwrap_or(u8::MAX))
            }
            _ => settings.enhanced = value.get().unwrap_or_default(),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "track-id" => u32::from(settings.track).to_value(),
            _ => settings.enhanced.to_value(),
        }
    }
}

impl GstObjectImpl for RtmpMuxPad {}

impl PadImpl for RtmpMuxPad {}

impl AggregatorPadImpl for RtmpMuxPad {
    fn flush(&self, _aggregator: &gst_base::Aggregator) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut track = lock(&self.track);
        // What comes next is placed anew, and may be for somebody who has just come.
        track.last = None;
        track.wants_headers = true;
        Ok(gst::FlowSuccess::Ok)
    }
}
