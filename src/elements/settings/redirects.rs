//! Which redirects are followed, and what goes along.

use gst::glib;
use gst::prelude::*;

use super::text;
use crate::session::redirect::Redirects as Policy;

/// The properties of this group.
#[derive(Clone, Debug)]
pub(super) struct Redirects {
    follow: bool,
    hosts: Option<String>,
    to_unencrypted: bool,
}

impl Default for Redirects {
    fn default() -> Self {
        Self {
            follow: true,
            hosts: None,
            to_unencrypted: false,
        }
    }
}

impl Redirects {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "follow-redirects" => self.follow = value.get().unwrap_or(true),
            "redirect-hosts" => self.hosts = value.get::<Option<String>>().ok().flatten(),
            "redirect-to-unencrypted" => self.to_unencrypted = value.get().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "follow-redirects" => self.follow.to_value(),
            "redirect-hosts" => self.hosts.to_value(),
            "redirect-to-unencrypted" => self.to_unencrypted.to_value(),
            _ => return None,
        })
    }

    pub(super) fn policy(&self) -> Policy {
        let hosts = self.hosts.as_deref().unwrap_or_default();
        Policy {
            follow: self.follow,
            hosts: hosts
                .split([',', ' '])
                .filter(|host| !host.is_empty())
                .map(str::to_owned)
                .collect(),
            to_unencrypted: self.to_unencrypted,
        }
    }
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecBoolean::builder("follow-redirects")
            .nick("Follow redirects")
            .blurb("Whether to go where the server sends clients instead of accepting them; if not, an error names the place")
            .default_value(true)
            .mutable_ready()
            .build(),
        text(
            "redirect-hosts",
            "Redirect hosts",
            "Hosts, separated by commas, that are told stream name, login and tokens after a redirect, besides the \
             location's own; *.example.com stands for all hosts below that domain, * for all",
        ),
        glib::ParamSpecBoolean::builder("redirect-to-unencrypted")
            .nick("Redirect to unencrypted")
            .blurb("Whether a redirect may lead from an encrypted scheme to one that protects less")
            .mutable_ready()
            .build(),
    ]
}
