//! The player that the element says it is: flashVer, swfUrl and pageUrl of connect.

use gst::glib;
use gst::prelude::*;

use super::text;
use crate::amf::Text;
use crate::session::ClientConfig;
use crate::url::{Options, Secret};

/// The properties of this group.
#[derive(Clone, Debug, Default)]
pub(super) struct Player {
    flash_version: Option<String>,
    swf_url: Option<String>,
    page_url: Option<String>,
}

impl Player {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let text = || value.get::<Option<String>>().ok().flatten();
        match name {
            "flash-version" => self.flash_version = text(),
            "swf-url" => self.swf_url = text(),
            "page-url" => self.page_url = text(),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "flash-version" => self.flash_version.to_value(),
            "swf-url" => self.swf_url.to_value(),
            "page-url" => self.page_url.to_value(),
            _ => return None,
        })
    }

    /// Says it in `config`; a property counts before the location's option.
    pub(super) fn apply(&self, options: &Options, config: &mut ClientConfig) {
        let exposed = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        config.flash_version = self
            .flash_version
            .clone()
            .or_else(|| options.flash_version.clone())
            .map(Text::from);
        config.swf_url = self
            .swf_url
            .clone()
            .or_else(|| exposed(&options.swf_url))
            .map(Text::from);
        config.page_url = self
            .page_url
            .clone()
            .or_else(|| exposed(&options.page_url))
            .map(Text::from);
    }
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        text(
            "flash-version",
            "Flash version",
            "flashVer of connect; left out when unset",
        ),
        text("swf-url", "swfUrl", "swfUrl of connect; left out when unset"),
        text("page-url", "pageUrl", "pageUrl of connect; left out when unset"),
    ]
}
