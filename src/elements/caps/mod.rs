//! The caps of elementary streams, as templates of pads, and what their fields say in the words of tags.

mod color;
mod profile;

pub(crate) use self::color::{color_info, is_full_range, set_color};
pub(crate) use self::profile::{set_aac_profile, set_avc_profile, set_hevc_profile, set_samples};

use std::str::FromStr;

use crate::elements::track::TrackKind;

/// Video that can be written.
const VIDEO_SINK: &str = "\
    video/x-h264, stream-format=avc, alignment=au; \
    video/x-h265, stream-format=hvc1, alignment=au; \
    video/x-h266, stream-format=vvc1, alignment=au; \
    video/x-av1, stream-format=obu-stream, alignment=tu; \
    video/x-vp9; \
    video/x-vp8; \
    video/x-flash-video, flvversion=1; \
    video/x-flash-screen; \
    video/x-flash-screen2; \
    video/x-vp6-flash; \
    video/x-vp6-alpha";

/// Video that is read.
const VIDEO_SRC: &str = "\
    video/x-h264, stream-format=avc, alignment=au; \
    video/x-h265, stream-format=hvc1, alignment=au; \
    video/x-h266, stream-format=vvc1, alignment=au; \
    video/x-av1, stream-format=obu-stream, alignment=tu; \
    video/x-vp9; \
    video/x-vp8; \
    video/x-flash-video, flvversion=1; \
    video/x-flash-screen; \
    video/x-flash-screen2; \
    video/x-vp6-flash; \
    video/x-vp6-alpha; \
    video/x-h263, variant=itu; \
    video/mpeg, mpegversion=4, systemstream=false";

/// Audio that can be written.
const AUDIO_SINK: &str = "\
    audio/mpeg, mpegversion={ (int) 4, (int) 2 }, stream-format=raw; \
    audio/mpeg, mpegversion=1, layer=3, channels=[ 1, 2 ], parsed=true; \
    audio/x-opus; \
    audio/x-flac, framed=true; \
    audio/x-ac3, framed=true, alignment=frame; \
    audio/x-eac3, framed=true, alignment=frame; \
    audio/x-raw, format={ U8, S16LE }, layout=interleaved, channels=[ 1, 2 ], \
        rate={ (int) 5512, (int) 11025, (int) 22050, (int) 44100 }; \
    audio/x-alaw, rate=8000, channels=[ 1, 2 ]; \
    audio/x-mulaw, rate=8000, channels=[ 1, 2 ]; \
    audio/x-speex, rate=16000, channels=1; \
    audio/x-nellymoser, channels=[ 1, 2 ], \
        rate={ (int) 5512, (int) 8000, (int) 11025, (int) 16000, (int) 22050, (int) 44100 }; \
    audio/x-adpcm, layout=swf, channels=[ 1, 2 ], \
        rate={ (int) 5512, (int) 11025, (int) 22050, (int) 44100 }";

/// Audio that is read.
const AUDIO_SRC: &str = "\
    audio/mpeg, mpegversion=4, stream-format=raw, framed=true; \
    audio/mpeg, mpegversion=1, layer=3, channels=[ 1, 2 ], parsed=true; \
    audio/x-opus; \
    audio/x-flac, framed=true; \
    audio/x-ac3, framed=true, alignment=frame; \
    audio/x-eac3, framed=true, alignment=frame; \
    audio/x-raw, format={ U8, S16LE }, layout=interleaved, channels=[ 1, 2 ], \
        rate={ (int) 5512, (int) 11025, (int) 22050, (int) 44100 }; \
    audio/x-alaw, rate=8000, channels=[ 1, 2 ]; \
    audio/x-mulaw, rate=8000, channels=[ 1, 2 ]; \
    audio/x-speex, rate=16000, channels=1; \
    audio/x-nellymoser, channels=[ 1, 2 ], \
        rate={ (int) 5512, (int) 8000, (int) 11025, (int) 16000, (int) 22050, (int) 44100 }; \
    audio/x-adpcm, layout=swf, channels=[ 1, 2 ], \
        rate={ (int) 5512, (int) 11025, (int) 22050, (int) 44100 }";

/// What a pad takes that writes a track.
pub(crate) fn sink_template(kind: TrackKind) -> gst::Caps {
    parse(match kind {
        TrackKind::Audio => AUDIO_SINK,
        TrackKind::Video => VIDEO_SINK,
    })
}

/// What a pad puts out that reads a track.
pub(crate) fn src_template(kind: TrackKind) -> gst::Caps {
    parse(match kind {
        TrackKind::Audio => AUDIO_SRC,
        TrackKind::Video => VIDEO_SRC,
    })
}

/// FLV, or one elementary stream that `template` has.
pub(crate) fn flv_or(template: fn(TrackKind) -> gst::Caps) -> gst::Caps {
    let mut caps = gst::Caps::new_empty_simple("video/x-flv");
    caps.merge(template(TrackKind::Video));
    caps.merge(template(TrackKind::Audio));
    caps
}

fn parse(caps: &str) -> gst::Caps {
    gst::Caps::from_str(caps).expect("a test parses each of the constants")
}
