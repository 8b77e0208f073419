//! Which parser makes of a stream what the muxer takes.

use std::str::FromStr;

use once_cell::sync::Lazy;

/// A parser and what it is for.
pub(super) struct Parser {
    /// Name of its factory.
    pub(super) factory: &'static str,
    media: gst::Caps,
    /// A field of what was parsed, if the muxer takes caps without it: they say too little of the stream.
    mark: Option<&'static str>,
}

static PARSERS: Lazy<Vec<Parser>> = Lazy::new(|| {
    [
        ("h264parse", "video/x-h264", Some("stream-format")),
        ("h265parse", "video/x-h265", Some("stream-format")),
        ("h266parse", "video/x-h266", Some("stream-format")),
        ("av1parse", "video/x-av1", Some("stream-format")),
        ("vp9parse", "video/x-vp9", Some("parsed")),
        // It makes nothing but ADTS into raw.
        (
            "aacparse",
            "audio/mpeg, mpegversion={ (int) 2, (int) 4 }, stream-format=adts",
            None,
        ),
        ("mpegaudioparse", "audio/mpeg, mpegversion=1, layer=3", None),
        ("ac3parse", "audio/x-ac3; audio/x-eac3", None),
        ("opusparse", "audio/x-opus", Some("channel-mapping-family")),
        ("flacparse", "audio/x-flac", None),
    ]
    .into_iter()
    .map(|(factory, media, mark)| Parser {
        factory,
        media: gst::Caps::from_str(media).expect("a test parses every one"),
        mark,
    })
    .collect()
});

impl Parser {
    /// The parser of a media type, whatever form of it the stream has.
    pub(super) fn of(caps: &gst::CapsRef) -> Option<&'static Self> {
        PARSERS.iter().find(|parser| parser.takes(caps))
    }

    /// Whether it is for streams of such caps.
    pub(super) fn takes(&self, caps: &gst::CapsRef) -> bool {
        self.media.can_intersect(caps)
    }

    /// Whether caps that the muxer takes lack what this parser would find out.
    pub(super) fn improves(&self, caps: &gst::CapsRef) -> bool {
        self.mark
            .is_some_and(|mark| caps.iter().any(|structure| !structure.has_field(mark)))
    }

    /// Whether GStreamer has it.
    pub(super) fn is_installed(&self) -> bool {
        gst::ElementFactory::find(self.factory).is_some()
    }
}

/// What the muxer takes and, behind it, what parsers make into that.
pub(super) fn with_parsers(mut muxer: gst::Caps) -> gst::Caps {
    for parser in &*PARSERS {
        let has_media = |media: &gst::StructureRef| muxer.iter().any(|taken| taken.name() == media.name());
        if parser.media.iter().all(has_media) {
            muxer.merge(parser.media.clone());
        }
    }
    muxer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(caps: &str) -> gst::Caps {
        gst::init().expect("GStreamer is installed");
        gst::Caps::from_str(caps).expect("a literal")
    }

    fn factory(of: &str) -> Option<&'static str> {
        Parser::of(&caps(of)).map(|parser| parser.factory)
    }

    #[test]
    fn a_stream_has_the_parser_of_its_format() {
        for (stream, parser) in [
            (
                "video/x-h264, stream-format=byte-stream, alignment=nal",
                "h264parse",
            ),
            ("video/x-h265, stream-format=hev1, alignment=au", "h265parse"),
            ("video/x-h266", "h266parse"),
            ("video/x-av1", "av1parse"),
            ("video/x-vp9", "vp9parse"),
            ("audio/mpeg, mpegversion=2, stream-format=adts", "aacparse"),
            ("audio/mpeg, mpegversion=1, layer=3", "mpegaudioparse"),
            ("audio/x-ac3", "ac3parse"),
            ("audio/x-eac3", "ac3parse"),
            ("audio/x-opus", "opusparse"),
            ("audio/x-flac", "flacparse"),
        ] {
            assert_eq!(factory(stream), Some(parser), "{stream}");
        }
    }

    #[test]
    fn what_no_parser_can_help_has_none() {
        for stream in [
            "video/x-vp8",
            "audio/mpeg, mpegversion=4, stream-format=raw",
            "audio/mpeg, mpegversion=4, stream-format=loas",
            "audio/mpeg, mpegversion=1, layer=2",
            "audio/x-raw",
        ] {
            assert_eq!(factory(stream), None, "{stream}");
        }
    }

    #[test]
    fn caps_that_say_enough_are_not_improved() {
        for (stream, is_improved) in [
            ("video/x-vp9, profile=(string)0", true),
            ("video/x-vp9, profile=(string)0, parsed=true", false),
            ("audio/x-opus, rate=48000", true),
            ("audio/x-opus, channel-mapping-family=0", false),
            ("video/x-av1, alignment=tu", true),
            ("video/x-h264, stream-format=avc", false),
            ("audio/x-flac", false),
        ] {
            let stream = caps(stream);
            let parser = Parser::of(&stream).expect("each has one");
            assert_eq!(parser.improves(&stream), is_improved, "{stream}");
        }
    }

    #[test]
    fn a_pad_prefers_what_needs_no_parser() {
        let muxer = caps("video/x-h264, stream-format=avc; video/x-vp8");
        let with = with_parsers(muxer);
        assert_eq!(
            with,
            caps("video/x-h264, stream-format=avc; video/x-vp8; video/x-h264")
        );
        assert_eq!(
            with.structure(0).map(|first| first.has_field("stream-format")),
            Some(true)
        );
    }
}
