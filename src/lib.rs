#![forbid(unsafe_code)]
#![doc = include_str!("../docs/architecture.md")]

pub mod amf;
pub mod chunk;
pub mod elements;
pub mod flv;
pub mod fourcc;
pub mod handshake;
pub mod link;
pub mod message;
pub mod proxy;
pub mod session;
pub mod swf;
pub mod timestamp;
pub mod transport;
pub mod tunnel;
pub mod url;
pub mod wire;

pub use self::plugin::plugin_register_static;

#[allow(missing_docs, reason = "the macro's items have none")]
mod plugin {
    use gst::glib;

    use crate::elements;

    fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
        elements::register_all(plugin)
    }

    gst::plugin_define!(
        rtmp,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MPL",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "Unknown package origin",
        env!("BUILD_REL_DATE")
    );
}
