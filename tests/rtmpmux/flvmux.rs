//! What GStreamer's flvmux and eflvmux get wrong, up to 1.28.

use gstrtmp::flv::{FileHeader, TagKind};

use crate::fixture::{AAC, AV1, AVC, HEVC, Mux, OPUS, Piece, Source, Stream, frame};
use crate::support::tags::{self, Tag};
use crate::support::{Failure, Result};

/// A stream of one frame a pad.
fn stream(pads: &[(&str, &str)]) -> Result<Stream> {
    let mux = Mux::new()?;
    let sources = pads
        .iter()
        .map(|(name, caps)| mux.source(name, caps))
        .collect::<Result<Vec<Source>>>()?;
    mux.play()?;
    for source in &sources {
        source.push(frame(b"f", 0))?;
        source.end()?;
    }
    mux.finish()
}

/// Its tags, and what stands in front of them.
fn raw(stream: &Stream) -> Result<(Vec<u8>, Vec<Tag>)> {
    let mut pieces = Vec::new();
    for piece in &stream.pieces {
        if let Piece::Buffer(buffer) = piece {
            pieces.push(tags::bytes(buffer.clone())?);
        }
    }
    let first = pieces.first().ok_or(Failure::new("there is nothing"))?.to_vec();
    Ok((first, tags::parse(pieces)?))
}

#[test]
fn codec_ids_of_metadata_are_four_ccs_in_network_order() -> Result<()> {
    let stream = stream(&[("video", HEVC), ("audio", OPUS)])?;
    let properties = stream.metadata()?.properties();
    let number = |key| properties.get(key).and_then(|value| value.as_number());
    // hvc1 and Opus.
    assert_eq!(number("videocodecid"), Some(f64::from(0x6876_6331)));
    assert_eq!(number("audiocodecid"), Some(f64::from(0x4f70_7573)));
    Ok(())
}

#[test]
fn av1_has_neither_coded_frames_x_nor_composition_times() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", AV1)?;
    mux.play()?;
    video.push(frame(b"\x32\x01\x10", 0).dts(0))?;
    // Were it H.265, there would be a composition time of 40 ms.
    video.push(frame(b"\x32\x01\x11", 80).dts(40).delta())?;
    video.end()?;
    let stream = mux.finish()?;
    assert_eq!(stream.times(), [(0, 0), (80, 80)]);
    let (_, tags) = raw(&stream)?;
    let bodies: Vec<_> = tags[2..4].iter().map(|tag| tag.body.to_vec()).collect();
    assert_eq!(bodies, [b"\x91av01\x32\x01\x10", b"\xa1av01\x32\x01\x11"]);
    Ok(())
}

#[test]
fn composition_times_are_negative_where_they_have_to_be() -> Result<()> {
    for (caps, expected) in [
        (AVC, b"\x27\x01\xff\xff\xd8b".to_vec()),
        (HEVC, b"\xa1hvc1\xff\xff\xd8b".to_vec()),
    ] {
        let mux = Mux::new()?;
        let video = mux.source("video", caps)?;
        mux.play()?;
        video.push(frame(b"a", 0).dts(0))?;
        video.push(frame(b"b", 40).dts(80).delta())?;
        video.end()?;
        let stream = mux.finish()?;
        assert_eq!(stream.times(), [(0, 0), (80, 40)]);
        assert_eq!(raw(&stream)?.1[3].body, expected);
    }
    Ok(())
}

#[test]
fn the_file_header_has_the_kinds_of_the_pads() -> Result<()> {
    for (pads, has_audio, has_video) in [
        (&[("video_0", AVC), ("audio_0", AAC)][..], true, true),
        (&[("audio_7", OPUS)], true, false),
        (&[("video_7", HEVC)], false, true),
    ] {
        let (first, _) = raw(&stream(pads)?)?;
        let mut expected = bytes::BytesMut::new();
        FileHeader { has_audio, has_video }.encode(&mut expected);
        assert_eq!(first, expected.to_vec(), "{pads:?}");
    }
    Ok(())
}

#[test]
fn h265_has_no_legacy_tags() -> Result<()> {
    let stream = stream(&[("video", HEVC)])?;
    for packet in &stream.packets {
        assert!(
            packet.kind != TagKind::Video || packet.four_cc.is_some(),
            "{packet:?}"
        );
    }
    Ok(())
}

#[test]
fn no_order_of_channels_is_sent_that_flvdemux_would_take_for_sound() -> Result<()> {
    let surround = "audio/mpeg, mpegversion=4, framed=true, stream-format=raw, rate=48000, channels=6, \
         codec_data=(buffer)11b0";
    for name in ["audio", "audio_1"] {
        // The fixture fails on a packet of any other kind.
        let stream = stream(&[(name, surround)])?;
        assert_eq!(stream.frames().count(), 1);
    }
    Ok(())
}

#[test]
fn sequences_end_with_the_stream_and_not_before() -> Result<()> {
    let mux = Mux::new()?;
    let video = mux.source("video", HEVC)?;
    let audio = mux.source("audio", OPUS)?;
    mux.play()?;
    // flvdemux 1.28 would end both at the end of one.
    audio.push(frame(b"a", 0))?;
    audio.end()?;
    video.push(frame(b"v", 0))?;
    video.push(frame(b"w", 40))?;
    video.end()?;
    assert!(mux.finish()?.summary().ends_with("v0:v a0:a v0:w end:v0 end:a0"));
    Ok(())
}
