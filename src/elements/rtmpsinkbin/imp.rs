//! The element's class: the muxer and the sink as one.

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::{RtmpSinkBinPad, parser};
use crate::elements::track::TrackKind;
use crate::elements::{RtmpMux, RtmpMuxPad, RtmpSink, caps, proxy, settings};

pub(super) static CAT: Lazy<gst::DebugCategory> = Lazy::new(|| {
    gst::DebugCategory::new(
        "rtmpsinkbin",
        gst::DebugColorFlags::empty(),
        Some("RTMP publisher of elementary streams"),
    )
});

pub struct RtmpSinkBin {
    mux: RtmpMux,
    sink: RtmpSink,
}

#[glib::object_subclass]
impl ObjectSubclass for RtmpSinkBin {
    const NAME: &'static str = "GstRsRtmpSinkBin";
    type Type = super::RtmpSinkBin;
    type ParentType = gst::Bin;
    type Interfaces = (gst::URIHandler,);

    fn new() -> Self {
        Self {
            mux: glib::Object::builder().property("name", "mux").build(),
            sink: glib::Object::builder().property("name", "sink").build(),
        }
    }
}

impl ObjectImpl for RtmpSinkBin {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            let inner = [RtmpSink::static_type(), RtmpMux::static_type()];
            proxy::properties(&inner, &[gst::Bin::static_type()])
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        proxy::set(&self.inner(), pspec.name(), value);
        if pspec.name() == "enhanced-rtmp" {
            for pad in self.obj().sink_pads() {
                pad.set_property_from_value("enhanced", value);
            }
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        proxy::get(&self.inner(), pspec)
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.set_suppressed_flags(gst::ElementFlags::SOURCE | gst::ElementFlags::SINK);
        obj.set_element_flags(gst::ElementFlags::SINK);
        obj.add_many([self.mux.upcast_ref::<gst::Element>(), self.sink.upcast_ref()])
            .expect("a new bin takes new elements of different names");
        self.mux.link(&self.sink).expect("both have the caps video/x-flv");
    }
}

impl GstObjectImpl for RtmpSinkBin {}

impl ElementImpl for RtmpSinkBin {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "RTMP sink for elementary streams",
                "Sink/Network",
                "Parses and muxes audio and video and publishes them to an RTMP server",
                crate::elements::AUTHORS,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            let [video, audio] = [TrackKind::Video, TrackKind::Audio]
                .map(|kind| parser::with_parsers(caps::sink_template(kind)));
            [
                ("video", &video),
                ("audio", &audio),
                ("video_%u", &video),
                ("audio_%u", &audio),
            ]
            .into_iter()
            .flat_map(|(name, caps)| {
                gst::PadTemplate::with_gtype(
                    name,
                    gst::PadDirection::Sink,
                    gst::PadPresence::Request,
                    caps,
                    RtmpSinkBinPad::static_type(),
                )
            })
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
        let of_mux = self.mux.pad_template(&template.name())?;
        // The muxer knows which tracks are free, and says so if none is.
        let track = self.mux.request_pad(&of_mux, name, caps)?;
        let track = track.downcast::<RtmpMuxPad>().ok()?;
        // The muxer's tags are what the sink has announced.
        track.set_property_from_value("enhanced", &self.sink.property_value("enhanced-rtmp"));
        let pad = RtmpSinkBinPad::of(template, &track);
        let added = pad.and_then(|pad| {
            pad.set_active(true)?;
            self.obj().add_pad(&pad)?;
            Ok(pad)
        });
        match added {
            Ok(pad) => Some(pad.upcast()),
            Err(error) => {
                gst::error!(CAT, imp = self, "no pad for {}: {error}", track.name());
                self.mux.release_request_pad(&track);
                None
            }
        }
    }

    fn release_pad(&self, pad: &gst::Pad) {
        if let Some(pad) = pad.downcast_ref::<RtmpSinkBinPad>() {
            pad.imp().release(&self.obj(), &self.mux);
        }
        // Fails only of pads that are another element's.
        let _ = self.obj().remove_pad(pad);
    }
}

impl BinImpl for RtmpSinkBin {}

impl URIHandlerImpl for RtmpSinkBin {
    const URI_TYPE: gst::URIType = gst::URIType::Sink;

    fn protocols() -> &'static [&'static str] {
        settings::PROTOCOLS
    }

    fn uri(&self) -> Option<String> {
        self.sink.uri().map(Into::into)
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        self.sink.set_uri(uri)
    }
}

impl RtmpSinkBin {
    fn inner(&self) -> [&glib::Object; 2] {
        [self.sink.upcast_ref(), self.mux.upcast_ref()]
    }
}
