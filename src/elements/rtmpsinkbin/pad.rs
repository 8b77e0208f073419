//! A track's pad: a ghost of the muxer's, with a parser between the two when caps need one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use once_cell::sync::{Lazy, OnceCell};

use super::RtmpSinkBin;
use super::imp::CAT;
use super::parser::{self, Parser};
use crate::elements::{RtmpMux, RtmpMuxPad, error, lock, proxy};

/// A parser and its element.
struct Plugged {
    parser: &'static Parser,
    element: gst::Element,
}

#[derive(Default)]
pub struct RtmpSinkBinPad {
    track: OnceCell<RtmpMuxPad>,
    plugged: Mutex<Option<Plugged>>,
    released: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for RtmpSinkBinPad {
    const NAME: &'static str = "GstRsRtmpSinkBinPad";
    type Type = super::RtmpSinkBinPad;
    type ParentType = gst::GhostPad;
}

impl ObjectImpl for RtmpSinkBinPad {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            let pads = [
                gst::GhostPad::static_type(),
                gst_base::AggregatorPad::static_type(),
            ];
            proxy::properties(&[RtmpMuxPad::static_type()], &pads)
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if let Some(track) = self.track.get() {
            proxy::set(&[track.upcast_ref()], pspec.name(), value);
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match self.track.get() {
            Some(track) => proxy::get(&[track.upcast_ref()], pspec),
            None => pspec.default_value().clone(),
        }
    }
}

impl GstObjectImpl for RtmpSinkBinPad {}

impl PadImpl for RtmpSinkBinPad {}

impl ProxyPadImpl for RtmpSinkBinPad {}

impl GhostPadImpl for RtmpSinkBinPad {}

impl super::RtmpSinkBinPad {
    /// The pad of a track that has no caps yet.
    pub(super) fn of(template: &gst::PadTemplate, track: &RtmpMuxPad) -> Result<Self, glib::BoolError> {
        let pad = gst::PadBuilder::<Self>::from_template(template)
            .name(track.name())
            .event_function(|pad, parent, event| pad.imp().take_event(parent, event))
            .query_function(|pad, parent, query| pad.imp().answer(parent, query))
            .with_target(track)?
            .build();
        pad.imp().track.get_or_init(|| track.clone());
        Ok(pad)
    }
}

impl RtmpSinkBinPad {
    fn take_event(&self, parent: Option<&gst::Object>, event: gst::Event) -> bool {
        if let gst::EventView::Caps(caps) = event.view()
            && let Some(bin) = parent.and_then(|parent| parent.downcast_ref::<RtmpSinkBin>())
            && let Err(error) = self.adapt(bin, caps.caps())
        {
            if !self.released.load(Ordering::Acquire) {
                bin.imp().post_error_message(error);
            }
            return false;
        }
        gst::Pad::event_default(&*self.obj(), parent, event)
    }

    fn answer(&self, parent: Option<&gst::Object>, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Caps(query) => {
                let caps = self.caps();
                let result = match query.filter_owned() {
                    Some(filter) => filter.intersect_with_mode(&caps, gst::CapsIntersectMode::First),
                    None => caps,
                };
                query.set_result(&result);
                true
            }
            gst::QueryViewMut::AcceptCaps(query) => {
                let accepts = query.caps().is_subset(&self.caps());
                query.set_result(accepts);
                true
            }
            _ => gst::Pad::query_default(&*self.obj(), parent, query),
        }
    }

    /// What the track takes, with a parser or without.
    fn caps(&self) -> gst::Caps {
        match self.track.get() {
            Some(track) => parser::with_parsers(track.query_caps(None)),
            None => gst::Caps::new_empty(),
        }
    }

    /// Puts the parser in that a stream needs, or takes the last one's out.
    fn adapt(&self, bin: &RtmpSinkBin, caps: &gst::CapsRef) -> Result<(), gst::ErrorMessage> {
        let Some(track) = self.track.get() else {
            return Ok(());
        };
        let has_parser = {
            let plugged = lock(&self.plugged);
            // A parser lets pass what needs none.
            if plugged.as_ref().is_some_and(|plugged| plugged.parser.takes(caps)) {
                return Ok(());
            }
            plugged.is_some()
        };
        let is_taken = track.query_accept_caps(&caps.to_owned());
        let parser =
            Parser::of(caps).filter(|parser| !is_taken || (parser.improves(caps) && parser.is_installed()));
        if let Some(parser) = parser
            && !parser.is_installed()
        {
            post_missing(bin, parser);
            return Err(error::missing_parser(parser.factory, &self.obj().name(), caps));
        }
        if has_parser {
            self.unplug(bin);
        }
        let Some(parser) = parser else { return Ok(()) };
        gst::debug!(CAT, obj = self.obj(), "{} for {caps}", parser.factory);
        self.plug(bin, track, parser)
            .map_err(|cause| error::bad_parser(parser.factory, &self.obj().name(), &cause))
    }

    fn plug(
        &self,
        bin: &RtmpSinkBin,
        track: &RtmpMuxPad,
        parser: &'static Parser,
    ) -> Result<(), glib::BoolError> {
        let element = gst::ElementFactory::make(parser.factory).build()?;
        bin.add(&element)?;
        // Before anything that can fail, so that release() finds it.
        *lock(&self.plugged) = Some(Plugged {
            parser,
            element: element.clone(),
        });
        let missing = || glib::bool_error!("A parser has the pads sink and src");
        let sink = element.static_pad("sink").ok_or_else(missing)?;
        let src = element.static_pad("src").ok_or_else(missing)?;
        self.obj().set_target(Some(&sink))?;
        src.link(track)
            .map_err(|refusal| glib::bool_error!("Not linked to the muxer: {refusal}"))?;
        element.sync_state_with_parent()
    }

    /// Takes the parser out, after what it has in hand has gone on.
    fn unplug(&self, bin: &RtmpSinkBin) {
        let Some(Plugged { element, .. }) = lock(&self.plugged).take() else {
            return;
        };
        if let (Some(sink), Some(src)) = (element.static_pad("sink"), element.static_pad("src")) {
            // The track goes on. Handled: of an event to drop the bindings leave GStreamer nothing to free.
            src.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
                match info.event() {
                    Some(event) if event.type_() == gst::EventType::Eos => gst::PadProbeReturn::Handled,
                    _ => gst::PadProbeReturn::Ok,
                }
            });
            sink.send_event(gst::event::Eos::new());
        }
        remove(bin, &element);
        let _ = self.obj().set_target(self.track.get());
    }

    /// Ends the track, whoever is pushing into it.
    pub(super) fn release(&self, bin: &RtmpSinkBin, mux: &RtmpMux) {
        self.released.store(true, Ordering::Release);
        if let Some(track) = self.track.get() {
            // Lets go of a thread that waits for other tracks; deactivating would wait for that thread.
            mux.release_request_pad(track);
        }
        let _ = self.obj().set_active(false);
        if let Some(Plugged { element, .. }) = lock(&self.plugged).take() {
            remove(bin, &element);
        }
    }
}

fn remove(bin: &RtmpSinkBin, element: &gst::Element) {
    // Neither fails of a parser in its bin; what else could be done?
    let _ = element.set_state(gst::State::Null);
    let _ = bin.remove(element);
}

/// As gst_missing_element_message_new() has it, for applications that offer to install what is missing.
fn post_missing(bin: &RtmpSinkBin, parser: &Parser) {
    let structure = gst::Structure::builder("missing-plugin")
        .field("type", "element")
        .field("detail", parser.factory)
        .field("name", format!("GStreamer element {}", parser.factory))
        .build();
    // Refused only by an element without a bus, which nobody listens to.
    let _ = bin.post_message(gst::message::Element::builder(structure).src(bin).build());
}
