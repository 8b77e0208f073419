//! How to log in: authentication modes and tokens.

use gst::glib;
use gst::prelude::*;

use super::text;
use crate::elements::enums::Authmod;
use crate::url::Secret;

/// The properties of this group.
#[derive(Clone, Debug, Default)]
pub(super) struct Login {
    authmod: Authmod,
    secure_token: Option<Secret>,
}

impl Login {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "authmod" => self.authmod = value.get().unwrap_or_default(),
            "secure-token" => {
                self.secure_token = value.get::<Option<String>>().ok().flatten().map(Secret::from);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "authmod" => self.authmod.to_value(),
            "secure-token" => self
                .secure_token
                .as_ref()
                .map(|token| token.expose().to_owned())
                .to_value(),
            _ => return None,
        })
    }

    /// Whether one mode of authentication was chosen.
    pub(super) const fn names_authmod(&self) -> bool {
        matches!(self.authmod, Authmod::Adobe | Authmod::Llnw)
    }

    pub(super) fn has_token(&self) -> bool {
        self.secure_token.as_ref().is_some_and(|token| !token.is_empty())
    }
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("authmod", Authmod::default())
            .nick("Authentication mode")
            .blurb("Authentication scheme (adobe and llnw are not supported yet)")
            .mutable_ready()
            .build(),
        text(
            "secure-token",
            "Secure token",
            "Key of SecureToken authentication (not supported yet)",
        ),
    ]
}
