//! A track: its properties, and its encoder once caps have come.

use std::sync::Mutex;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::prelude::*;
use once_cell::sync::Lazy;

use crate::elements::enums::EnhancedRtmp;
use crate::elements::lock;
use crate::elements::track::TrackEncoder;

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
}

#[derive(Default)]
pub struct RtmpMuxPad {
    pub(super) settings: Mutex<Settings>,
    pub(super) track: Mutex<Track>,
}

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
                    .blurb("Track that the tags name; 0 is the one that every player reads")
                    .maximum(u8::MAX.into())
                    .mutable_ready()
                    .build(),
                glib::ParamSpecEnum::builder_with_default("enhanced", EnhancedRtmp::default())
                    .nick("Enhanced RTMP")
                    .blurb("Whether the tags are of Enhanced RTMP")
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
        track.last = None;
        track.wants_headers = true;
        Ok(gst::FlowSuccess::Ok)
    }
}
