//! How the server's certificate is checked.

use gst::glib;
use gst::prelude::*;

use crate::elements::enums::TlsValidation;

/// The properties of this group.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    validation: TlsValidation,
}

impl Tls {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "tls-validation-flags" => self.validation = value.get().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "tls-validation-flags" => self.validation.to_value(),
            _ => return None,
        })
    }
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecFlags::builder::<TlsValidation>("tls-validation-flags")
            .default_value(TlsValidation::default())
            .nick("TLS validation flags")
            .blurb("Checks of the server's certificate (used by schemes that are not supported yet)")
            .mutable_ready()
            .build(),
    ]
}
