//! Input that is not as it should be: an error that names the pad where the stream cannot go on, a warning where it
//! can.

use gst::prelude::*;

use crate::fixture::{AAC, AVC, Mux, OPUS, frame};
use crate::support::Result;

fn error_of(name: &str, caps: &str) -> Result<String> {
    let mux = Mux::new()?;
    let source = mux.source(name, caps)?;
    mux.play()?;
    source.push(frame(b"a", 0))?;
    mux.error()
}

#[test]
fn codec_data_is_missing() -> Result<()> {
    assert_eq!(
        error_of("video_0", "video/x-h264, stream-format=avc, alignment=au")?,
        "The pad video_0 cannot be muxed: the caps of H.264 need codec_data."
    );
    assert_eq!(
        error_of(
            "audio",
            "audio/mpeg, mpegversion=4, stream-format=raw, framed=true"
        )?,
        "The pad audio cannot be muxed: the caps of AAC need codec_data."
    );
    assert_eq!(
        error_of("audio_0", "audio/x-flac, framed=true, rate=44100, channels=2")?,
        "The pad audio_0 cannot be muxed: the caps of FLAC need streamheader, as flacparse makes it."
    );
    Ok(())
}

#[test]
fn codec_data_is_of_another_codec() -> Result<()> {
    let h264 = "video/x-h264, stream-format=avc, alignment=au, codec_data=(buffer)";
    for record in ["1210", "81000c000a0a00000002afff805f0008", "00000001674d0015"] {
        let error = error_of("video_3", &format!("{h264}{record}"))?;
        let begin = "The pad video_3 cannot be muxed: this is not H.264: ";
        assert!(error.starts_with(begin), "{error}");
    }
    let avcc = AVC.split("(buffer)").nth(1).unwrap_or_default();
    let hevc = format!("video/x-h265, stream-format=hvc1, alignment=au, codec_data=(buffer){avcc}");
    let error = error_of("video", &hevc)?;
    assert!(
        error.starts_with("The pad video cannot be muxed: this is not H.265: "),
        "{error}"
    );
    Ok(())
}

#[test]
fn caps_without_an_alignment_are_taken_for_whole_pictures() -> Result<()> {
    let mux = Mux::new()?;
    let source = mux.source("video", &AVC.replace("alignment=au, ", ""))?;
    mux.play()?;
    source.push(frame(b"a", 0))?;
    source.end()?;
    assert_eq!(mux.finish()?.summary(), "metadata header:v0 v0:a end:v0");
    Ok(())
}

#[test]
fn frames_are_left_out_with_one_warning() -> Result<()> {
    let mux = Mux::new()?;
    // Without codec_data the header has to be made of the first frame.
    let video = mux.source("video_0", "video/x-av1, stream-format=obu-stream, alignment=tu")?;
    let audio = mux.source("audio_0", AAC)?;
    mux.play()?;
    for time in 0..5 {
        // A frame without a sequence header.
        video.push(frame(b"\x32\x02\x10\x00", time * 40))?;
        audio.push(frame(b"s", time * 40))?;
    }
    let unit = b"\x12\x00\x0a\x0a\x00\x00\x00\x02\xaf\xff\x80\x5f\x00\x08\x32\x02\x10\x00";
    video.push(frame(unit, 200))?;
    video.end()?;
    audio.end()?;
    let stream = mux.finish()?;
    assert_eq!(stream.frames().count(), 6, "{}", stream.summary());
    let warnings = mux.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("A frame of the pad video_0 is left out: this is not AV1: "),
        "{warnings:?}"
    );
    Ok(())
}

#[test]
fn frames_that_no_tag_can_hold_are_left_out_with_a_warning_of_their_own() -> Result<()> {
    let mux = Mux::new()?;
    let source = mux.source("video_0", AVC)?;
    mux.play()?;
    source.push(frame(b"a", 0))?;
    for time in [40, 80] {
        let mut huge = frame(b"", time);
        huge.data = vec![0; 1 << 24];
        source.push(huge)?;
    }
    // Presented hours after it is decoded.
    for time in [120, 160] {
        source.push(frame(b"late", 9_000_000 + time).dts(time))?;
    }
    source.push(frame(b"b", 200))?;
    source.end()?;
    assert_eq!(mux.finish()?.summary(), "metadata header:v0 v0:a v0:b end:v0");
    let warnings = mux.warnings();
    assert_eq!(warnings.len(), 1, "both are too much for a tag: {warnings:?}");
    Ok(())
}

#[test]
fn buffers_that_are_headers_are_no_frames() -> Result<()> {
    let mux = Mux::new()?;
    let source = mux.source("audio", OPUS)?;
    mux.play()?;
    let headers = [
        frame(b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0", 0),
        frame(b"OpusTags\0\0\0\0\0\0\0\0", 0),
    ];
    for header in headers {
        source.push(header)?;
    }
    source.push(frame(b"a", 0))?;
    source.end()?;
    assert_eq!(mux.finish()?.summary(), "metadata header:a0 a0:a end:a0");
    assert!(mux.warnings().is_empty());
    Ok(())
}

#[test]
fn data_without_caps_is_an_error_that_names_the_pad() -> Result<()> {
    let mux = Mux::new()?;
    let pad = mux.element.request_pad_simple("video").unwrap();
    mux.play()?;
    pad.send_event(gst::event::StreamStart::new("test"));
    pad.send_event(gst::event::Segment::new(
        &gst::FormattedSegment::<gst::ClockTime>::new(),
    ));
    pad.chain(frame(b"a", 0).buffer())?;
    assert_eq!(mux.error()?, "The pad video has data and no caps.");
    Ok(())
}
