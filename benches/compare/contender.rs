//! What is compared: this plugin's elements, GStreamer's, and the kernel's own calls.

use std::fmt;

use gst::prelude::*;

/// One way to publish or to play.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Contender {
    /// `rtmpsink` or `rtmpsrc` of this plugin.
    Ours,
    /// `rtmp2sink` or `rtmp2src` with its defaults.
    Rtmp2,
    /// `rtmp2sink chunk-size=65536`.
    Rtmp2Large,
    /// `rtmpsink` or `rtmpsrc` of gst-plugins-bad, on librtmp.
    Librtmp,
    /// `write()` or `read()`.
    Plain,
}

impl Contender {
    pub(crate) const SINKS: &[Self] = &[
        Self::Ours,
        Self::Rtmp2,
        Self::Rtmp2Large,
        Self::Librtmp,
        Self::Plain,
    ];
    pub(crate) const SOURCES: &[Self] = &[Self::Ours, Self::Rtmp2, Self::Librtmp, Self::Plain];

    /// Red, green and blue in charts. They differ in brightness as well.
    pub(crate) const fn colour(self) -> (u8, u8, u8) {
        match self {
            Self::Ours => (0xd0, 0x3b, 0x1e),
            Self::Rtmp2 => (0x1f, 0x5f, 0xa8),
            Self::Rtmp2Large => (0x6b, 0xae, 0xd6),
            Self::Librtmp => (0x5a, 0x9a, 0x3c),
            Self::Plain => (0x8a, 0x8a, 0x8a),
        }
    }

    /// The word on a command line of the harness.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Rtmp2 => "rtmp2",
            Self::Rtmp2Large => "rtmp2-large",
            Self::Librtmp => "librtmp",
            Self::Plain => "plain",
        }
    }

    pub(crate) fn parse(word: &str) -> Self {
        *Self::SINKS
            .iter()
            .find(|contender| contender.word() == word)
            .unwrap_or_else(|| panic!("no contender is called {word}"))
    }

    pub(crate) const fn sink_name(self) -> &'static str {
        match self {
            Self::Ours => "rtmpsink",
            Self::Rtmp2 => "rtmp2sink",
            Self::Rtmp2Large => "rtmp2sink chunk-size=65536",
            Self::Librtmp => "librtmp's rtmpsink",
            Self::Plain => "plain write()",
        }
    }

    /// The sink, whatever its chunk size.
    pub(crate) const fn plain_sink_name(self) -> &'static str {
        match self {
            Self::Rtmp2Large => Self::Rtmp2.sink_name(),
            Self::Ours | Self::Rtmp2 | Self::Librtmp | Self::Plain => self.sink_name(),
        }
    }

    /// Sink and source together.
    pub(crate) const fn plugin_name(self) -> &'static str {
        match self {
            Self::Ours => "this plugin",
            Self::Rtmp2 | Self::Rtmp2Large => "rtmp2",
            Self::Librtmp => "librtmp",
            Self::Plain => "plain calls",
        }
    }

    /// What it is called by `scheme`.
    pub(crate) fn scheme_name(self, scheme: &str) -> &'static str {
        match (self, scheme) {
            (Self::Plain, "rtmps") => "rustls alone",
            (Self::Rtmp2Large, _) => "rtmp2, chunk-size=65536",
            _ => self.plugin_name(),
        }
    }

    pub(crate) const fn source_name(self) -> &'static str {
        match self {
            Self::Ours => "rtmpsrc",
            Self::Rtmp2 | Self::Rtmp2Large => "rtmp2src",
            Self::Librtmp => "librtmp's rtmpsrc",
            Self::Plain => "plain read()",
        }
    }

    /// The element that publishes to or plays from `location`.
    pub(crate) fn element(self, is_sink: bool, location: &str) -> gst::Element {
        let factory = match (self, is_sink) {
            (Self::Ours | Self::Librtmp, true) => "rtmpsink",
            (Self::Ours | Self::Librtmp, false) => "rtmpsrc",
            (Self::Rtmp2 | Self::Rtmp2Large, true) => "rtmp2sink",
            (Self::Rtmp2 | Self::Rtmp2Large, false) => "rtmp2src",
            (Self::Plain, _) => panic!("the kernel's calls are no element"),
        };
        let element = gst::ElementFactory::make(factory)
            .property("location", location)
            .build()
            .unwrap_or_else(|_| panic!("no {factory}: scripts/install-packages run"));
        let is_ours = element.type_().name().starts_with("GstRsRtmp");
        assert_eq!(is_ours, self == Self::Ours, "{factory} of the wrong plugin");
        if is_sink {
            element.set_property("sync", false);
        }
        // Nobody vouches for the peer's certificate, and librtmp does not ask.
        if location.starts_with("rtmps:") && self != Self::Librtmp {
            element.set_property_from_str("tls-validation-flags", "0");
        }
        if self == Self::Rtmp2Large {
            element.set_property_from_str("chunk-size", "65536");
        }
        element
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
