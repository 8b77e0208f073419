//! What the application asks the server for while the stream is played: the kinds of media that it wants, other
//! streams, and pauses.

use gst::glib::subclass::Signal;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::imp::{CAT, RtmpSrc};
use super::stream::Receives;
use crate::amf::Text;
use crate::elements::lock;
use crate::session::{self, MediaKind, Order, Switch};
use crate::url::Secret;

/// Transitions of play2, RTMP 1.0 section 7.2.2.2 and the Flash player's NetStreamPlayTransitions.
const TRANSITIONS: [&str; 7] = [
    "append",
    "appendAndWait",
    "reset",
    "resume",
    "stop",
    "swap",
    "switch",
];

/// The element's signals.
pub(super) fn signals() -> Vec<Signal> {
    vec![
        Signal::builder("play2")
            .param_types([gst::Structure::static_type()])
            .return_type::<bool>()
            .action()
            .class_handler(|values| {
                let source = values.first()?.get::<super::RtmpSrc>().ok()?;
                let parameters = values.get(1)?.get::<gst::Structure>().ok();
                let done = parameters.is_some_and(|parameters| source.imp().play2(&parameters));
                Some(done.to_value())
            })
            .build(),
    ]
}

impl RtmpSrc {
    /// Sends an order, if there is a connection to send it on.
    pub(super) fn order(&self, order: Order) -> bool {
        let connection = lock(&self.connection).clone();
        let Some(connection) = connection else {
            return false;
        };
        gst::debug!(CAT, imp = self, "{order:?}");
        let done = connection.order(order);
        // The streaming thread may be waiting for an event with the connection in its hand.
        if let Some(wake) = self.wake.get() {
            wake.wake();
        }
        done
    }

    /// What the user wants of audio and video.
    pub(super) fn receives(&self) -> Receives {
        let settings = lock(&self.settings);
        Receives {
            audio: settings.1.receive_audio,
            video: settings.1.receive_video,
        }
    }

    /// Tells the server of a change in what is wanted, and drops what comes all the same.
    pub(super) fn order_kinds(&self) {
        let now = self.receives();
        let (before, wants) = {
            let mut stream = lock(&self.stream);
            let before = std::mem::replace(&mut stream.receives, now);
            stream.wants_key_picture |= now.video && !before.video;
            (before, stream.track.as_ref().map(super::track::Track::kinds))
        };
        let is_taken = |kind| wants.is_none_or(|wants: Receives| wants.includes(kind));
        for (kind, before, now) in [
            (MediaKind::Audio, before.audio, now.audio),
            (MediaKind::Video, before.video, now.video),
        ] {
            if before != now && is_taken(kind) {
                self.order(Order::Receive(kind, now));
            }
        }
    }

    /// Changes to another stream. The structure has the strings `stream`, `old-stream` and `transition`, and the
    /// numbers `start` and `length` in milliseconds, and `offset` in seconds.
    fn play2(&self, parameters: &gst::StructureRef) -> bool {
        let text = |name| parameters.get::<Option<String>>(name).ok().flatten();
        let number = |name| {
            let value = parameters.value(name).ok()?;
            let value = value.transform::<f64>().ok()?;
            value.get::<f64>().ok().filter(|number| number.is_finite())
        };
        let transition = text("transition").unwrap_or_else(|| "switch".to_owned());
        let stream = text("stream");
        let is_known = TRANSITIONS.contains(&transition.as_str());
        if !is_known || stream.is_none() && transition != "stop" {
            gst::warning!(
                CAT,
                imp = self,
                "play2 needs a stream and a transition that there is"
            );
            return false;
        }
        let old_stream = text("old-stream");
        for name in stream.iter().chain(&old_stream) {
            lock(&self.settings).0.mask_name(Secret::from(name.clone()));
        }
        let secret = |name: String| session::Secret(Text::from(name));
        let switch = Switch {
            old_stream: old_stream.map(secret),
            stream: secret(stream.unwrap_or_default()),
            start: number("start"),
            length: number("length"),
            offset: number("offset"),
            transition: transition.into(),
        };
        self.order(Order::Switch(switch))
    }
}
