//! The element's class: the source and the demuxer as one.

use std::ops::ControlFlow;

use gst::glib;
use gst::glib::subclass::Signal;
use gst::prelude::*;
use gst::subclass::prelude::*;
use once_cell::sync::Lazy;

use crate::elements::track::TrackKind;
use crate::elements::{RtmpDemux, RtmpSrc, caps, proxy, settings};

static CAT: Lazy<gst::DebugCategory> = Lazy::new(|| {
    gst::DebugCategory::new(
        "rtmpsrcbin",
        gst::DebugColorFlags::empty(),
        Some("RTMP player of elementary streams"),
    )
});

pub struct RtmpSrcBin {
    src: RtmpSrc,
    demux: RtmpDemux,
}

#[glib::object_subclass]
impl ObjectSubclass for RtmpSrcBin {
    const NAME: &'static str = "GstRsRtmpSrcBin";
    type Type = super::RtmpSrcBin;
    type ParentType = gst::Bin;
    type Interfaces = (gst::URIHandler,);

    fn new() -> Self {
        Self {
            src: glib::Object::builder().property("name", "src").build(),
            demux: glib::Object::builder().property("name", "demux").build(),
        }
    }
}

impl ObjectImpl for RtmpSrcBin {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            let inner = [RtmpSrc::static_type(), RtmpDemux::static_type()];
            proxy::properties(&inner, &[gst::Bin::static_type()])
        });
        &PROPERTIES
    }

    fn signals() -> &'static [Signal] {
        static SIGNALS: Lazy<Vec<Signal>> = Lazy::new(|| {
            vec![
                Signal::builder("play2")
                    .param_types([gst::Structure::static_type()])
                    .return_type::<bool>()
                    .action()
                    .class_handler(|values| {
                        let bin = values.first()?.get::<super::RtmpSrcBin>().ok()?;
                        let arguments = values.get(1..)?;
                        bin.imp().src.emit_by_name_with_values("play2", arguments)
                    })
                    .build(),
            ]
        });
        &SIGNALS
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        proxy::set(&self.inner(), pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        proxy::get(&self.inner(), pspec)
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.set_suppressed_flags(gst::ElementFlags::SOURCE | gst::ElementFlags::SINK);
        obj.set_element_flags(gst::ElementFlags::SOURCE);
        // Tracks come and go.
        obj.set_bin_flags(gst::BinFlags::STREAMS_AWARE);
        obj.add_many([self.src.upcast_ref::<gst::Element>(), self.demux.upcast_ref()])
            .expect("a new bin takes new elements of different names");
        self.src
            .link(&self.demux)
            .expect("both have the caps video/x-flv");

        let on_bin = |act: fn(&Self, &gst::Pad)| {
            let bin = obj.downgrade();
            move |_: &RtmpDemux, pad: &gst::Pad| {
                if let Some(bin) = bin.upgrade() {
                    act(bin.imp(), pad);
                }
            }
        };
        self.demux.connect_pad_added(on_bin(Self::show));
        self.demux.connect_pad_removed(on_bin(Self::hide));
        let bin = obj.downgrade();
        self.demux.connect_no_more_pads(move |_| {
            if let Some(bin) = bin.upgrade() {
                bin.no_more_pads();
            }
        });
    }
}

impl GstObjectImpl for RtmpSrcBin {}

impl ElementImpl for RtmpSrcBin {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "RTMP source of elementary streams",
                "Source/Network",
                "Plays audio and video from an RTMP server, demuxed",
                crate::elements::AUTHORS,
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            [("video_%u", TrackKind::Video), ("audio_%u", TrackKind::Audio)]
                .into_iter()
                .flat_map(|(name, kind)| {
                    let caps = caps::src_template(kind);
                    gst::PadTemplate::new(name, gst::PadDirection::Src, gst::PadPresence::Sometimes, &caps)
                })
                .collect()
        });
        &TEMPLATES
    }
}

impl BinImpl for RtmpSrcBin {}

impl URIHandlerImpl for RtmpSrcBin {
    const URI_TYPE: gst::URIType = gst::URIType::Src;

    fn protocols() -> &'static [&'static str] {
        settings::PROTOCOLS
    }

    fn uri(&self) -> Option<String> {
        self.src.uri().map(Into::into)
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        self.src.set_uri(uri)
    }
}

impl RtmpSrcBin {
    fn inner(&self) -> [&glib::Object; 2] {
        [self.src.upcast_ref(), self.demux.upcast_ref()]
    }

    /// Shows a track that the demuxer has found.
    fn show(&self, track: &gst::Pad) {
        let shown = self.ghost(track).and_then(|pad| {
            pad.set_active(true)?;
            // Whoever is told of the pad sees its caps and its stream.
            track.sticky_events_foreach(|event| {
                // Of an active pad that nobody has linked.
                let _ = pad.store_sticky_event(event);
                ControlFlow::Continue(gst::EventForeachAction::Keep)
            });
            self.obj().add_pad(&pad)
        });
        if let Err(error) = shown {
            gst::error!(CAT, imp = self, "{} is not shown: {error}", track.name());
        }
    }

    fn ghost(&self, track: &gst::Pad) -> Result<gst::GhostPad, glib::BoolError> {
        let template = track
            .pad_template()
            .and_then(|template| self.obj().pad_template(&template.name()))
            .ok_or_else(|| glib::bool_error!("No template"))?;
        let pad = gst::GhostPad::builder_from_template_with_target(&template, track)?;
        Ok(pad.name(track.name()).build())
    }

    /// Forgets a track that the demuxer has forgotten.
    fn hide(&self, track: &gst::Pad) {
        if let Some(pad) = self.obj().static_pad(&track.name()) {
            // Fails only of pads that are another element's.
            let _ = self.obj().remove_pad(&pad);
        }
    }
}
