//! The GStreamer elements: properties, caps, buffers, events and errors around a connection. The only layer that
//! knows GStreamer.
#![allow(
    clippy::disallowed_methods,
    reason = "elements have a clock, as transport does"
)]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;

use crate::session::attempt::Detour;
use crate::session::{Status, SwfVerification};
use crate::transport::{Notice, NoticeHook};
use crate::url::RtmpUrl;

mod caps;
pub mod enums;
mod error;
mod proxy;
mod rtmpdemux;
mod rtmpmux;
mod rtmpsink;
mod rtmpsinkbin;
mod rtmpsrc;
mod rtmpsrcbin;
mod settings;
mod stats;
mod track;

pub use self::rtmpdemux::RtmpDemux;
pub use self::rtmpmux::{RtmpMux, RtmpMuxPad};
pub use self::rtmpsink::RtmpSink;
pub use self::rtmpsinkbin::{RtmpSinkBin, RtmpSinkBinPad};
pub use self::rtmpsrc::RtmpSrc;
pub use self::rtmpsrcbin::RtmpSrcBin;

/// Above rtmp2src and rtmp2sink, which have PRIMARY + 1, so that `rtmp://` URIs come here.
const RANK: i32 = 258;

/// The alias must not be preferred to the name, but to rtmp2's elements if the name is taken: of equal ranks the
/// first name in the alphabet wins.
const ALIAS_RANK: i32 = 257;

/// No failure to connect is told earlier than this after the attempt began. A refusal may be quicker than the pipeline's
/// change of state; gst-launch-1.0 loses errors that come before its main loop runs, and a bin does not complete a change
/// in which an error came, so that both would wait for ever (`tests/launch.rs`).
const SOONEST_FAILURE: Duration = Duration::from_millis(100);

/// Author of the elements' metadata.
const AUTHORS: &str = "The gst-plugin-rtmp developers";

/// Registers all elements of the plugin.
pub(crate) fn register_all(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    rtmpmux::register(plugin)?;
    rtmpsrc::register(plugin)?;
    rtmpsink::register(plugin)?;
    rtmpdemux::register(plugin)?;
    rtmpsinkbin::register(plugin)?;
    rtmpsrcbin::register(plugin)
}

fn register(plugin: &gst::Plugin, name: &str, alias: &str, type_: glib::Type) -> Result<(), glib::BoolError> {
    let register = |name, rank| gst::Element::register(Some(plugin), name, gst::Rank::from(rank), type_);
    register(alias, ALIAS_RANK)?;
    register(name, RANK)
}

/// Tells the application what the server said, as an element message `rtmp-status` with the strings `level`, `code`
/// and `description`.
fn post_status(element: &gst::Element, url: &RtmpUrl, status: &Status) {
    let structure = gst::Structure::builder("rtmp-status")
        .field("level", status.level.as_str())
        .field("code", url.scrub(&status.code))
        .field("description", url.scrub(&status.description))
        .build();
    // Refused only by an element without a bus, which nobody listens to.
    let _ = element.post_message(gst::message::Element::builder(structure).src(element).build());
}

/// Logs what happens while a connection is made, and tells the application of it: a detour by an element message
/// `rtmp-connecting` with the string `step` (`login-name`, `login-answer`, `redirect`, `lock-step` or `other-keys`), and with
/// `authmod` or the masked `url`; a server that wants a token which is not set by a warning.
fn notice_hook(element: &impl IsA<gst::Element>, category: gst::DebugCategory) -> NoticeHook {
    let element = element.upcast_ref::<gst::Element>().downgrade();
    Box::new(move |notice| {
        let Some(element) = element.upgrade() else { return };
        let builder = gst::Structure::builder("rtmp-connecting");
        let detour = match notice {
            Notice::TokenWanted => {
                let text = "The server asks for a secure token, and none is set. It may refuse the stream: set \
                            secure-token.";
                gst::element_warning!(element, gst::ResourceError::NotAuthorized, ("{}", text));
                return;
            }
            Notice::SwfVerification(outcome) => return note_swf_verification(&element, category, *outcome),
            Notice::Detour(detour) => detour,
        };
        gst::info!(category, obj = element, "{detour}");
        let builder = match detour {
            Detour::LoginName(scheme) => builder
                .field("step", "login-name")
                .field("authmod", scheme.as_str()),
            Detour::LoginAnswer(scheme) => builder
                .field("step", "login-answer")
                .field("authmod", scheme.as_str()),
            Detour::Redirect(url) => builder.field("step", "redirect").field("url", url.to_string()),
            Detour::LockStep => builder.field("step", "lock-step"),
            Detour::OtherKeys => builder.field("step", "other-keys"),
        };
        let message = gst::message::Element::builder(builder.build()).src(&element);
        // Refused only by an element without a bus, which nobody listens to.
        let _ = element.post_message(message.build());
    })
}

/// Logs what has come of SWF verification, and warns if the server may not like it.
fn note_swf_verification(
    element: &impl IsA<gst::Element>,
    category: gst::DebugCategory,
    outcome: SwfVerification,
) {
    let element = element.upcast_ref::<gst::Element>();
    gst::debug!(category, obj = element, "SWF verification: {outcome:?}");
    if let Some(warning) = error::swf_unverified(outcome) {
        gst::element_warning!(element, gst::ResourceError::Settings, ("{}", warning));
    }
}

/// A panic while a lock was held leaves settings and queues that are as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
