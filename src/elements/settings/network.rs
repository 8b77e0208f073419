//! How TCP connections are made.

use std::time::Duration;

use gst::glib;

use crate::transport::tcp::TcpOptions;

/// Idle time after which the kernel probes a silent peer, so that a half-open connection is found out.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The properties of this group.
#[derive(Clone, Debug, Default)]
pub(super) struct Network {}

impl Network {
    pub(super) fn set(&mut self, _name: &str, _value: &glib::Value) -> bool {
        false
    }

    pub(super) fn get(&self, _name: &str) -> Option<glib::Value> {
        None
    }

    /// The options of every socket.
    pub(super) fn tcp(&self) -> TcpOptions {
        TcpOptions {
            user_timeout: None,
            keepalive: Some(KEEPALIVE),
        }
    }
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    Vec::new()
}
