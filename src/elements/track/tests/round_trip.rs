//! Caps and buffers -> tags -> caps and buffers, codec by codec, on bytes made up or from the specifications.

use proptest::prelude::*;
use proptest::{collection, sample};

use super::*;
use crate::elements::caps as templates;
use crate::flv::audio::{AudioPayload, SoundFlags};
use crate::flv::video::{FrameType, VideoCodec, VideoPayload};
use crate::flv::{FourCc, Unwritable};
use crate::wire::Malformed;

const KEY: gst::BufferFlags = gst::BufferFlags::empty();
const DELTA: gst::BufferFlags = gst::BufferFlags::DELTA_UNIT;

const AVCC: &str = "0164000affe100186764000aacd94426c0440000030004000003\
    00c83c48965801000668ebe3cb22c0fdf8f800";
const HVCC: &str = "01016000000090000000000\
    01ef000fcfdf8f800000f00";
const AV1C: &str = "81000c000a0a00000002afff805f0008";

/// One codec: caps to write, fields that come back besides, a frame, and the first bytes of its tag.
struct Case {
    caps: String,
    /// What the caps read differ in; the rest is as it was.
    more: &'static str,
    frame: &'static [u8],
    /// First byte of the frame's tag as track 0 under `auto`.
    first: u8,
    has_legacy: bool,
}

fn case(
    caps: impl Into<String>,
    more: &'static str,
    frame: &'static [u8],
    first: u8,
    has_legacy: bool,
) -> Case {
    Case {
        caps: caps.into(),
        more,
        frame,
        first,
        has_legacy,
    }
}

const PICTURE: &str = "width=64, height=48, framerate=25/1, pixel-aspect-ratio=4/3";
const NALS: &[u8] = b"\0\0\0\x02\x65\x88\0\0\0\x01\x41";
const OPUS_HEAD: &str = "4f707573486561640102380180bb0000000000";
const OPUS_TAGS: &str = "4f707573546167730000000000000000";
const STREAM_INFO: &str = "800000221200120000046d0005080ac442f0000033ae000102030405060708090a0b0c0d0e0f";

fn video_cases() -> Vec<Case> {
    vec![
        case(
            format!(
                "video/x-h264, stream-format=avc, alignment=au, codec_data=(buffer){AVCC}, profile=high, \
                 level=(string)1, {PICTURE}"
            ),
            "",
            NALS,
            0x17,
            true,
        ),
        case(
            format!(
                "video/x-h265, stream-format=hvc1, alignment=au, codec_data=(buffer){HVCC}, profile=main, tier=main, \
                 level=(string)1, chroma-format=4:2:0, bit-depth-luma=(uint)8, bit-depth-chroma=(uint)8, {PICTURE}"
            ),
            "",
            NALS,
            0x93,
            false,
        ),
        case(
            format!("video/x-h266, stream-format=vvc1, alignment=au, codec_data=(buffer)ff00, {PICTURE}"),
            "",
            NALS,
            0x93,
            false,
        ),
        case(
            format!(
                "video/x-av1, stream-format=obu-stream, alignment=tu, codec_data=(buffer){AV1C}, profile=main, \
                 chroma-format=4:2:0, bit-depth-luma=(uint)8, bit-depth-chroma=(uint)8, {PICTURE}"
            ),
            "",
            b"\x32\x02\x10\x00",
            0x91,
            false,
        ),
        case(
            format!(
                "video/x-vp9, profile=(string)2, chroma-format=4:2:0, bit-depth-luma=(uint)10, \
                 bit-depth-chroma=(uint)10, colorimetry=bt709, {PICTURE}"
            ),
            "",
            b"\xa2\x49\x83\x42",
            0x91,
            false,
        ),
        case(
            format!("video/x-vp8, profile=(string)0, {PICTURE}"),
            "chroma-format=4:2:0, bit-depth-luma=(uint)8, bit-depth-chroma=(uint)8",
            b"\x10\x02\x00\x9d\x01\x2a",
            0x91,
            false,
        ),
        case(
            format!("video/x-flash-video, flvversion=1, {PICTURE}"),
            "",
            b"\x00\x00\x84",
            0x12,
            true,
        ),
        case(
            format!("video/x-flash-screen, {PICTURE}"),
            "",
            b"\x00\x40",
            0x13,
            true,
        ),
        case(
            format!("video/x-flash-screen2, {PICTURE}"),
            "",
            b"\x00\x40",
            0x16,
            true,
        ),
        case(
            format!("video/x-vp6-flash, {PICTURE}"),
            "",
            b"\x12\x34",
            0x14,
            true,
        ),
        case(
            format!("video/x-vp6-alpha, codec_data=(buffer)3c, {PICTURE}"),
            "",
            b"\x00\x00\x02\x12\x34",
            0x15,
            true,
        ),
    ]
}

fn audio_cases() -> Vec<Case> {
    vec![
        case(
            "audio/mpeg, mpegversion=4, framed=true, stream-format=raw, rate=44100, channels=2, base-profile=lc, \
             profile=lc, codec_data=(buffer)1210",
            "",
            b"\x21\x10\x05",
            0xaf,
            true,
        ),
        case(
            "audio/mpeg, mpegversion=1, layer=3, parsed=true, rate=44100, channels=2",
            "mpegaudioversion=1",
            b"\xff\xfb\x90\x00",
            0x2f,
            true,
        ),
        case(
            "audio/mpeg, mpegversion=1, layer=3, parsed=true, rate=8000, channels=1",
            "mpegaudioversion=3",
            b"\xff\xe3\x18\xc0",
            0xe2,
            true,
        ),
        case(
            "audio/mpeg, mpegversion=1, layer=3, parsed=true, rate=48000, channels=2",
            "mpegaudioversion=1",
            b"\xff\xfb\x94\x00",
            0x91,
            false,
        ),
        case(
            format!(
                "audio/x-opus, rate=48000, channels=2, channel-mapping-family=0, stream-count=1, coupled-count=1, \
                 streamheader=(buffer)< {OPUS_HEAD}, {OPUS_TAGS} >"
            ),
            "",
            b"\xfc\xff\xfe",
            0x91,
            false,
        ),
        case(
            format!(
                "audio/x-flac, framed=true, rate=44100, channels=2, streamheader=(buffer)< 664c6143, {STREAM_INFO} >"
            ),
            "",
            b"\xff\xf8\xc9\x18",
            0x91,
            false,
        ),
        case(
            "audio/x-ac3, framed=true, alignment=frame, rate=48000, channels=2",
            "",
            b"\x0b\x77\x00\x00\x14\x40\x40\x00",
            0x91,
            false,
        ),
        case(
            "audio/x-eac3, framed=true, alignment=frame, rate=48000, channels=2",
            "",
            b"\x0b\x77\x00\xff\x34\x80\x00\x00",
            0x91,
            false,
        ),
        case(
            "audio/x-raw, format=S16LE, layout=interleaved, rate=44100, channels=2",
            "",
            b"\x01\x00\xff\xff",
            0x3f,
            true,
        ),
        case(
            "audio/x-raw, format=U8, layout=interleaved, rate=5512, channels=1",
            "",
            b"\x80",
            0x30,
            true,
        ),
        case("audio/x-alaw, rate=8000, channels=1", "", b"\xd5", 0x72, true),
        case(
            "audio/x-mulaw, rate=8000, channels=2",
            "",
            b"\xff\xff",
            0x83,
            true,
        ),
        case(
            "audio/x-speex, rate=16000, channels=1, streamheader=(buffer)< \
             5370656578202020312e312e313200000000000000000000000000000100000050000000803e000001000000040000000100000\
             0ffffffff400100000000000001000000000000000000000000000000, 0000000000000000 >",
            "",
            b"\x36\x9d",
            0xb2,
            true,
        ),
        case(
            "audio/x-nellymoser, rate=16000, channels=1",
            "",
            &[7; 64],
            0x42,
            true,
        ),
        case(
            "audio/x-nellymoser, rate=8000, channels=1",
            "",
            &[7; 64],
            0x52,
            true,
        ),
        case(
            "audio/x-nellymoser, rate=22050, channels=2",
            "",
            &[7; 64],
            0x6b,
            true,
        ),
        case(
            "audio/x-adpcm, layout=swf, rate=11025, channels=1",
            "",
            b"\x80\x01",
            0x16,
            true,
        ),
    ]
}

fn all_cases() -> impl Iterator<Item = Case> {
    let mut cases = video_cases();
    cases.extend(audio_cases());
    cases.into_iter()
}

#[test]
fn every_codec_comes_back_as_it_went() {
    for case in all_cases() {
        for track in [0, 3] {
            for policy in [EnhancedRtmp::Auto, EnhancedRtmp::Always] {
                let Ok(encoder) = encoder(&case.caps, track, policy) else {
                    assert!(track > 0 && case.has_legacy, "{}", case.caps);
                    continue;
                };
                let buffers = [buffer(case.frame, KEY, 40, 40), buffer(case.frame, KEY, 80, 80)];
                let trip = trip(encoder, &buffers);
                let separator = if case.more.is_empty() { "" } else { ", " };
                let mut expected = caps(&format!("{}{separator}{}", case.caps, case.more));
                if track > 0 {
                    // Metadata has the shape of pixels of track 0 only.
                    let structure = expected.get_mut().unwrap().structure_mut(0).unwrap();
                    structure.remove_field("pixel-aspect-ratio");
                }
                assert_eq!(trip.caps, [expected], "track {track}, {policy:?}");
                assert_eq!(trip.buffers.len(), buffers.len());
                for (read, written) in trip.buffers.iter().zip(&buffers) {
                    assert_eq!(read.pts(), written.pts());
                    assert_eq!(read.flags(), written.flags());
                    assert_eq!(read.map_readable().unwrap()[..], *case.frame);
                }
            }
        }
    }
}

#[test]
fn templates_take_what_can_be_written_and_give_what_can_be_read() {
    for case in all_cases() {
        let encoder = encoder(&case.caps, 0, EnhancedRtmp::Auto).unwrap();
        let kind = kind(&encoder);
        let written = caps(&case.caps);
        assert!(written.is_subset(&templates::sink_template(kind)), "{written}");
        let read = &trip(encoder, &[buffer(case.frame, KEY, 0, 0)]).caps[0];
        assert!(read.is_subset(&templates::src_template(kind)), "{read}");
    }
}

#[test]
fn legacy_is_for_track_0_alone_and_only_if_not_forbidden() {
    for case in all_cases() {
        let written = |track, policy| {
            let mut encoder = encoder(&case.caps, track, policy)?;
            let frame = buffer(case.frame, KEY, 0, 0);
            encoder.headers(&frame)?;
            let time = gst::ClockTime::ZERO;
            let tag = encoder.frame(frame, time, time)?.unwrap().tag;
            Ok::<_, Error>((whole(&tag)[0], encoder.is_enhanced()))
        };
        let auto = written(0, EnhancedRtmp::Auto);
        assert_eq!(auto, Ok((case.first, !case.has_legacy)), "{}", case.caps);
        let format = encoder(&case.caps, 0, EnhancedRtmp::Auto).unwrap().format();
        let never = written(0, EnhancedRtmp::Never);
        let other_never = encoder(&case.caps, 1, EnhancedRtmp::Never).unwrap_err();
        if case.has_legacy {
            assert_eq!(never, auto);
            assert_eq!(other_never, Error::TrackNeedsEnhanced(1));
        } else {
            assert_eq!(never, Err(Error::NeedsEnhanced(format)));
            assert_eq!(other_never, Error::NeedsEnhanced(format));
        }
        let always = written(0, EnhancedRtmp::Always).unwrap();
        assert_eq!(always.1, format.four_cc().is_some());
        match written(1, EnhancedRtmp::Auto) {
            Ok((first, is_enhanced)) => {
                let multitrack = if matches!(format, Format::Audio(_)) {
                    0x95
                } else {
                    0x96
                };
                assert_eq!((first, is_enhanced), (multitrack, true));
            }
            Err(error) => assert_eq!((error, format.four_cc()), (Error::NeedsLegacy(format), None)),
        }
    }
}

#[test]
fn bodies_are_the_memory_of_the_buffer() {
    let case = &video_cases()[0];
    let mut encoder = encoder(&case.caps, 0, EnhancedRtmp::Auto).unwrap();
    let data = Bytes::from_static(NALS);
    let buffer = gst::Buffer::from_slice(data.clone());
    let headers = encoder.headers(&buffer).unwrap();
    let frame = encoder
        .frame(buffer, gst::ClockTime::ZERO, gst::ClockTime::ZERO)
        .unwrap()
        .unwrap();
    assert_eq!(frame.tag.body.as_ptr(), data.as_ptr());

    let mut decoder = TrackDecoder::new(TrackKind::Video);
    decode(&mut decoder, &headers[0], 0).remove(0).unwrap();
    let body = whole(&frame.tag);
    let packet = VideoPacket::decode(&body).next().unwrap().unwrap();
    let read = decoder
        .video(packet, gst::ClockTime::ZERO)
        .unwrap()
        .buffer
        .unwrap();
    assert_eq!(read.map_readable().unwrap().as_ptr(), body[5..].as_ptr());
}

#[test]
fn composition_times_are_differences_of_rounded_times() {
    let avc = &video_cases()[0].caps;
    let legacy = encoder(avc, 0, EnhancedRtmp::Auto).unwrap();
    let enhanced = encoder(avc, 0, EnhancedRtmp::Always).unwrap();
    let write = |encoder: &TrackEncoder, dts: u64, pts: u64| {
        let time = gst::ClockTime::from_useconds;
        let frame = encoder
            .frame(buffer(NALS, DELTA, 0, 0), time(dts), time(pts))
            .unwrap()
            .unwrap();
        (frame.timestamp, frame.tag.head)
    };
    assert_eq!(
        write(&legacy, 33_333, 66_667),
        (33, b"\x27\x01\x00\x00\x22"[..].into())
    );
    assert_eq!(
        write(&legacy, 66_667, 66_667),
        (67, b"\x27\x01\x00\x00\x00"[..].into())
    );
    assert_eq!(
        write(&legacy, 100_000, 60_000),
        (100, b"\x27\x01\xff\xff\xd8"[..].into())
    );
    assert_eq!(
        write(&enhanced, 100_000, 60_000),
        (100, b"\xa1avc1\xff\xff\xd8"[..].into())
    );
    assert_eq!(write(&enhanced, 33_400, 33_300), (33, b"\xa3avc1"[..].into()));
    let far = gst::ClockTime::from_seconds(10_000);
    let error = legacy
        .frame(buffer(NALS, KEY, 0, 0), gst::ClockTime::ZERO, far)
        .unwrap_err();
    assert_eq!(error, Error::Unwritable(Unwritable::CompositionTime(10_000_000)));
}

#[test]
fn negative_composition_times_come_back_but_no_negative_times() {
    let case = &video_cases()[0];
    let trip = trip(
        encoder(&case.caps, 0, EnhancedRtmp::Auto).unwrap(),
        &[buffer(NALS, KEY, 100, 60), buffer(NALS, DELTA, 140, 180)],
    );
    let times: Vec<_> = trip
        .buffers
        .iter()
        .map(|buffer| (buffer.dts().unwrap().mseconds(), buffer.pts().unwrap().mseconds()))
        .collect();
    assert_eq!(times, [(100, 60), (140, 180)]);
    assert!(trip.buffers[1].flags().contains(DELTA) && trip.has_ended);

    let mut decoder = TrackDecoder::new(TrackKind::Video);
    let start = VideoPacket::decode(&Bytes::from_static(b"\x17\0\0\0\0\x01\x64\0\x0a\xff\xe0\0"))
        .next()
        .unwrap()
        .unwrap();
    decoder.video(start, gst::ClockTime::ZERO).unwrap();
    let early = Bytes::from_static(b"\x17\x01\xff\xff\xd8\0\0\0\x01\x65");
    let packet = VideoPacket::decode(&early).next().unwrap().unwrap();
    let buffer = decoder
        .video(packet, gst::ClockTime::from_mseconds(30))
        .unwrap()
        .buffer
        .unwrap();
    assert_eq!(buffer.pts(), Some(gst::ClockTime::ZERO));
    assert_eq!(buffer.dts(), Some(gst::ClockTime::from_mseconds(30)));
}

#[test]
fn nanoseconds_come_back_where_they_were_asked_for() {
    let times = [0, 16_666_667, 33_333_333, 50_999_999];
    for case in all_cases() {
        let Ok(mut encoder) = encoder(&case.caps, 0, EnhancedRtmp::Always) else {
            unreachable!("all can be written")
        };
        encoder.set_nanoseconds(true);
        let is_enhanced = encoder.is_enhanced();
        let buffers: Vec<_> = times
            .iter()
            .map(|nanos| {
                let mut buffer = buffer(case.frame, KEY, 0, 0);
                let writable = buffer.get_mut().unwrap();
                writable.set_pts(gst::ClockTime::from_nseconds(*nanos));
                writable.set_dts(gst::ClockTime::from_nseconds(*nanos));
                buffer
            })
            .collect();
        let read: Vec<_> = trip(encoder, &buffers)
            .buffers
            .iter()
            .map(|buffer| buffer.pts().unwrap().nseconds())
            .collect();
        if is_enhanced {
            assert_eq!(read, times, "{}", case.caps);
        } else {
            assert_eq!(read, [0, 17_000_000, 33_000_000, 51_000_000], "{}", case.caps);
        }
    }
}

#[test]
fn headers_go_again_only_when_they_are_others() {
    let h264 = &video_cases()[0].caps;
    let mut encoder = encoder(h264, 0, EnhancedRtmp::Auto).unwrap();
    let mut change = |text: &str| encoder.set_caps(&caps(text));
    let changes = |headers, metadata| Ok(Changes { headers, metadata });
    assert_eq!(change(h264), changes(false, false));
    assert_eq!(change(&h264.replace("25/1", "30/1")), changes(false, true));
    assert_eq!(change(h264), changes(false, true));
    assert_eq!(change(&h264.replace("cb22c0", "cb22c1")), changes(true, false));
    let error = change("video/x-h264, stream-format=byte-stream, alignment=au").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the caps of H.264 need stream-format=avc, as h264parse makes it"
    );
    // The error left all as it was.
    assert_eq!(change(&h264.replace("cb22c0", "cb22c1")), changes(false, false));
    assert_eq!(change(&video_cases()[1].caps), changes(true, true));
    let mp3 = "audio/mpeg, mpegversion=1, layer=3, parsed=true, channels=2, rate=";
    let mut encoder = super::encoder(&format!("{mp3}44100"), 0, EnhancedRtmp::Auto).unwrap();
    assert_eq!(
        encoder.set_caps(&caps(&format!("{mp3}48000"))),
        changes(true, true)
    );
    assert!(encoder.is_enhanced());
}

#[test]
fn caps_that_lack_something_say_what() {
    for (text, sentence) in [
        ("text/x-raw", "no FLV tag can carry text/x-raw"),
        (
            "video/x-h264, stream-format=avc, alignment=au",
            "the caps of H.264 need codec_data",
        ),
        (
            "video/x-h265, stream-format=hvc1, alignment=nal, codec_data=(buffer)00",
            "the caps of H.265 need alignment=au",
        ),
        (
            "video/x-h264, stream-format=avc, codec_data=(buffer)1210",
            "this is not H.264: avcC version cannot be 0x12",
        ),
        (
            "video/x-vp9, alignment=frame",
            "the caps of VP9 need alignment=super-frame, as vp9parse makes it",
        ),
        (
            "video/x-av1, stream-format=annexb, alignment=tu",
            "the caps of AV1 need stream-format=obu-stream, as av1parse makes it",
        ),
        (
            "audio/mpeg, mpegversion=4, stream-format=adts, rate=44100, channels=2",
            "the caps of AAC need stream-format=raw, as aacparse makes it",
        ),
        (
            "audio/x-flac, framed=true, rate=44100, channels=2",
            "the caps of FLAC need streamheader, as flacparse makes it",
        ),
        (
            "audio/x-raw, format=S16LE, layout=interleaved, rate=48000, channels=2",
            "the caps of PCM need a rate of 5512, 11025, 22050 or 44100 Hz and one or two channels",
        ),
        (
            "audio/x-alaw, rate=16000, channels=1",
            "the caps of G.711 A-law need rate=8000 and one or two channels",
        ),
    ] {
        let error = encoder(text, 0, EnhancedRtmp::Auto).unwrap_err();
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn hdr_is_declared_ahead_of_the_sequence_start_and_taken_back() {
    let hevc = &video_cases()[1].caps;
    let hdr = format!(
        "{hevc}, colorimetry=bt2100-pq, content-light-level=(string)\"1000:400\", \
         mastering-display-info=(string)\"35400:14600:8500:39850:6550:2300:15635:16450:10000000:50\""
    );
    let mut encoder = encoder(&hdr, 0, EnhancedRtmp::Auto).unwrap();
    let frame = buffer(NALS, KEY, 0, 0);
    let tags = encoder.headers(&frame).unwrap();
    assert_eq!(tags[0].head[..], b"\xd4hvc1"[..]);
    assert_eq!(tags[1].head[..], b"\x90hvc1"[..]);
    assert!(encoder.set_caps(&caps(hevc)).unwrap().headers);
    let reset = encoder.headers(&frame).unwrap();
    assert_eq!(reset[0].body[..], b"\x02\0\x09colorInfo\x06"[..]);
    assert_eq!(
        encoder.headers(&frame).unwrap().len(),
        1,
        "it was taken back already"
    );

    let mut decoder = TrackDecoder::new(TrackKind::Video);
    let mut read = Vec::new();
    for tag in tags.iter().chain(&reset) {
        for output in decode(&mut decoder, tag, 0) {
            read.extend(output.unwrap().caps);
        }
    }
    let plain = |text: &str| {
        let mut caps = caps(text);
        let structure = caps.get_mut().unwrap().structure_mut(0).unwrap();
        for field in ["width", "height", "framerate", "pixel-aspect-ratio"] {
            structure.remove_field(field);
        }
        caps
    };
    assert_eq!(read, [plain(&hdr), plain(hevc)]);
}

#[test]
fn av1_without_a_record_has_it_made_of_the_first_frame() {
    let unit = b"\x12\x00\x0a\x0a\x00\x00\x00\x02\xaf\xff\x80\x5f\x00\x08\x32\x02\x10\x00";
    let text = "video/x-av1, stream-format=obu-stream, alignment=tu";
    let mut encoder = encoder(text, 0, EnhancedRtmp::Auto).unwrap();
    let delta = buffer(&unit[14..], DELTA, 0, 0);
    assert!(matches!(encoder.headers(&delta), Err(Error::Malformed { .. })));
    let first = buffer(unit, KEY, 0, 0);
    let headers = encoder.headers(&first).unwrap();
    let record: String = headers[0].body.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(record, AV1C);
    let time = gst::ClockTime::ZERO;
    let frame = encoder.frame(first, time, time).unwrap().unwrap();
    assert_eq!(frame.tag.body[..], unit[2..], "no temporal delimiter");
    assert!(
        encoder
            .set_caps(&caps(&format!("{text}, width=64, height=64")))
            .unwrap()
            .headers
    );
}

#[test]
fn stream_headers_that_are_pushed_are_no_frames() {
    let cases = audio_cases();
    let time = gst::ClockTime::ZERO;
    for (case, headers) in [
        (&cases[4], &[&b"OpusHead"[..], b"OpusTags", b""][..]),
        (&cases[5], &[b"fLaC", b"\x84\0\0\0", b"\x7fFLAC"]),
    ] {
        let encoder = encoder(&case.caps, 0, EnhancedRtmp::Auto).unwrap();
        for header in headers {
            let header = buffer(header, gst::BufferFlags::HEADER, 0, 0);
            assert_eq!(encoder.frame(header, time, time), Ok(None));
        }
        let frame = buffer(case.frame, KEY, 0, 0);
        assert!(encoder.frame(frame, time, time).unwrap().is_some());
    }
}

#[test]
fn vp6_is_cropped_by_what_is_missing_to_whole_blocks() {
    let text = "video/x-vp6-flash, width=100, height=50";
    let encoder = encoder(text, 0, EnhancedRtmp::Auto).unwrap();
    let time = gst::ClockTime::ZERO;
    let frame = encoder
        .frame(buffer(b"\x12", DELTA, 0, 0), time, time)
        .unwrap()
        .unwrap();
    assert_eq!(whole(&frame.tag)[..], b"\x24\xce\x12"[..]);
    let trip = trip(encoder, &[buffer(b"\x12", KEY, 0, 0)]);
    assert_eq!(trip.caps, [caps(&format!("{text}, codec_data=(buffer)ce"))]);
}

#[test]
fn disposable_pictures_are_droppable() {
    let text = "video/x-flash-video, flvversion=1";
    let flags = DELTA | gst::BufferFlags::DROPPABLE;
    let trip = trip(
        encoder(text, 0, EnhancedRtmp::Auto).unwrap(),
        &[buffer(b"\0", KEY, 0, 0), buffer(b"\0", flags, 40, 40)],
    );
    assert_eq!(trip.buffers[1].flags(), flags);
}

fn packet(payload: VideoPayload, frame: FrameType, codec: FourCc) -> VideoPacket {
    VideoPacket {
        track: 0,
        codec: Some(VideoCodec::Enhanced(codec)),
        frame,
        nano_offset: 0,
        payload,
    }
}

fn picture(frame: FrameType, codec: FourCc) -> VideoPacket {
    let payload = VideoPayload::Frame {
        composition_time: 0,
        data: Bytes::from_static(NALS),
    };
    packet(payload, frame, codec)
}

fn record(hex: &str) -> VideoPayload {
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    VideoPayload::SequenceStart(bytes.into())
}

#[test]
fn pictures_wait_for_header_and_key_frame_and_complain_once() {
    gst::init().unwrap();
    let time = gst::ClockTime::ZERO;
    let mut decoder = TrackDecoder::new(TrackKind::Video);
    decoder.wait_for_key_frame();
    let key = || picture(FrameType::Key, FourCc::HEVC);
    let delta = || picture(FrameType::Inter, FourCc::HEVC);
    let format = Format::Video(VideoFormat::Hevc);
    assert_eq!(decoder.video(key(), time).unwrap_err(), Error::NoHeader(format));
    assert!(decoder.video(key(), time).unwrap().buffer.is_none());
    let start = || packet(record(HVCC), FrameType::Key, FourCc::HEVC);
    assert!(decoder.video(start(), time).unwrap().caps.is_some());
    assert!(
        decoder.video(start(), time).unwrap().caps.is_none(),
        "it is the same"
    );
    assert!(decoder.video(delta(), time).unwrap().buffer.is_none());
    let first = decoder.video(key(), time).unwrap().buffer.unwrap();
    assert_eq!(first.flags(), gst::BufferFlags::DISCONT);
    assert_eq!(
        decoder.video(delta(), time).unwrap().buffer.unwrap().flags(),
        DELTA
    );

    let end = packet(VideoPayload::SequenceEnd, FrameType::Key, FourCc::HEVC);
    assert_eq!(decoder.video(end, time).unwrap().mark, Some(Mark::SequenceEnd));
    assert!(decoder.video(delta(), time).unwrap().buffer.is_none());
    let changed = packet(
        record(&HVCC.replace("1ef0", "3cf0")),
        FrameType::Key,
        FourCc::HEVC,
    );
    let caps = decoder.video(changed, time).unwrap().caps.unwrap();
    assert_eq!(caps.structure(0).unwrap().get::<&str>("level"), Ok("2"));
    assert!(decoder.video(key(), time).unwrap().buffer.is_some());
}

#[test]
fn a_sequence_header_has_a_limit() {
    gst::init().unwrap();
    let time = gst::ClockTime::ZERO;
    let mut decoder = TrackDecoder::new(TrackKind::Video);
    let long = vec![1; (64 << 10) + 1];
    let error = decoder
        .video(
            packet(
                VideoPayload::SequenceStart(long.into()),
                FrameType::Key,
                FourCc::HEVC,
            ),
            time,
        )
        .unwrap_err();
    let Error::Malformed { cause, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(cause, Malformed::Excessive("sequence header"));
}

#[test]
fn a_track_may_change_its_codec() {
    gst::init().unwrap();
    let time = gst::ClockTime::ZERO;
    let mut decoder = TrackDecoder::new(TrackKind::Video);
    decoder
        .video(packet(record(HVCC), FrameType::Key, FourCc::HEVC), time)
        .unwrap();
    let error = decoder
        .video(picture(FrameType::Key, FourCc::AVC), time)
        .unwrap_err();
    assert_eq!(error, Error::NoHeader(Format::Video(VideoFormat::Avc)));
    let caps = decoder
        .video(packet(record(AVCC), FrameType::Key, FourCc::AVC), time)
        .unwrap()
        .caps
        .unwrap();
    assert_eq!(caps.structure(0).unwrap().name(), "video/x-h264");
    assert!(
        decoder
            .video(picture(FrameType::Key, FourCc::AVC), time)
            .unwrap()
            .buffer
            .is_some()
    );
}

#[test]
fn codecs_that_can_do_without_a_record_start_at_a_key_frame() {
    gst::init().unwrap();
    let time = gst::ClockTime::ZERO;
    for code in [FourCc::VP8, FourCc::VP9, FourCc::AV1] {
        let mut decoder = TrackDecoder::new(TrackKind::Video);
        assert!(decoder.video(picture(FrameType::Inter, code), time).is_err());
        let output = decoder.video(picture(FrameType::Key, code), time).unwrap();
        assert!(output.caps.is_some() && output.buffer.is_some());
        // A record that cannot be read is a warning, and no more than that.
        let broken = VideoPayload::SequenceStart(Bytes::from_static(b"\x12"));
        assert!(decoder.video(packet(broken, FrameType::Key, code), time).is_err());
        assert!(
            decoder
                .video(picture(FrameType::Inter, code), time)
                .unwrap()
                .buffer
                .is_some()
        );
        let mut decoder = TrackDecoder::new(TrackKind::Video);
        let descriptor = VideoPayload::Mpeg2TsSequenceStart(Bytes::from_static(b"\x80\x04"));
        decoder
            .video(packet(descriptor, FrameType::Key, code), time)
            .unwrap();
        assert!(
            decoder
                .video(picture(FrameType::Inter, code), time)
                .unwrap()
                .buffer
                .is_some()
        );
    }
}

#[test]
fn what_is_unknown_is_passed_over() {
    gst::init().unwrap();
    let time = gst::ClockTime::ZERO;
    let mut video = TrackDecoder::new(TrackKind::Video);
    let mut audio = TrackDecoder::new(TrackKind::Audio);
    for body in [
        &b"\x57\x00"[..],
        b"\x99zzzz",
        b"\xd1\x00",
        b"\x17\x07\0\0\0\x01",
        b"\x12",
    ] {
        let body = Bytes::copy_from_slice(body);
        for packet in VideoPacket::decode(&body) {
            let output = video.video(packet.unwrap(), time).unwrap();
            assert!(output.caps.is_none() && output.buffer.is_none() && output.mark.is_none());
        }
    }
    for body in [&b"\x99zzzz"[..], b"\xaf\x05\x00", b"\xaf\x01", b"\x3f"] {
        let body = Bytes::copy_from_slice(body);
        for packet in AudioPacket::decode(&body) {
            let output = audio.audio(packet.unwrap(), time).unwrap();
            assert!(output.caps.is_none() && output.buffer.is_none() && output.mark.is_none());
        }
    }
    let silence = AudioPacket::decode(&Bytes::new()).next().unwrap().unwrap();
    assert_eq!(audio.audio(silence, time).unwrap().mark, Some(Mark::Silence));

    let unknown = picture(FrameType::Key, FourCc::new(*b"dvh1"));
    let error = video.video(unknown.clone(), time).unwrap_err();
    assert_eq!(error.to_string(), "GStreamer has no caps for video codec dvh1");
    assert!(video.video(unknown, time).unwrap().buffer.is_none(), "told once");
    let mut error = |body: &'static [u8]| {
        let body = Bytes::from_static(body);
        let packet = AudioPacket::decode(&body).next().unwrap().unwrap();
        audio.audio(packet, time).map(|output| output.buffer.is_some())
    };
    assert_eq!(
        error(b"\xf2\x01").unwrap_err().to_string(),
        "GStreamer has no caps for audio format 15"
    );
    assert_eq!(
        error(b"\x90fLaCnonsense"),
        Err(Error::Malformed {
            format: Format::Audio(AudioFormat::Flac),
            cause: Malformed::Truncated("STREAMINFO")
        })
    );
}

#[test]
fn codecs_that_are_only_read_have_caps() {
    gst::init().unwrap();
    let time = gst::ClockTime::ZERO;
    let read = |bodies: &[&'static [u8]]| {
        let mut decoder = TrackDecoder::new(TrackKind::Video);
        let mut caps = None;
        for body in bodies {
            let body = Bytes::from_static(body);
            let packet = VideoPacket::decode(&body).next().unwrap().unwrap();
            caps = decoder.video(packet, time).unwrap().caps.or(caps);
        }
        caps.unwrap()
    };
    assert_eq!(read(&[b"\x18\0\0\x80"]), caps("video/x-h263, variant=itu"));
    assert_eq!(
        read(&[b"\x19\0\0\0\0\0\0\x01\xb0", b"\x19\x01\0\0\0\0\0\x01\xb6"]),
        caps("video/mpeg, mpegversion=4, systemstream=false, codec_data=(buffer)000001b0")
    );
    // H.265 as content delivery networks in China number it.
    let caps = read(&[b"\x1c\0\0\0\0\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x1e\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\0"]);
    assert_eq!(caps.structure(0).unwrap().name(), "video/x-h265");
}

#[test]
fn opus_without_a_header_goes_by_its_config_or_its_frames() {
    gst::init().unwrap();
    let channels = |bodies: &[&'static [u8]]| {
        let mut decoder = TrackDecoder::new(TrackKind::Audio);
        let mut caps = None;
        for body in bodies {
            let body = Bytes::from_static(body);
            let packet = AudioPacket::decode(&body).next().unwrap().unwrap();
            caps = decoder.audio(packet, gst::ClockTime::ZERO).unwrap().caps.or(caps);
        }
        caps.unwrap()
            .structure(0)
            .unwrap()
            .get::<i32>("channels")
            .unwrap()
    };
    assert_eq!(channels(&[b"\x91Opus\xfc\xff"]), 2);
    assert_eq!(
        channels(&[b"\x90Opus", b"\x91Opus\xf8\xff", b"\x91Opus\xfc\xff"]),
        1
    );
    assert_eq!(
        channels(&[b"\x94Opus\x01\x02\0\0\0\x03", b"\x90Opus", b"\x91Opus\xf8\xff"]),
        2
    );
}

#[test]
fn sound_that_changes_in_its_frames_or_flags_has_new_caps() {
    gst::init().unwrap();
    let mut decoder = TrackDecoder::new(TrackKind::Audio);
    let mut rate = |body: &'static [u8]| {
        let body = Bytes::from_static(body);
        let packet = AudioPacket::decode(&body).next().unwrap().unwrap();
        let caps = decoder.audio(packet, gst::ClockTime::ZERO).unwrap().caps?;
        caps.structure(0).unwrap().get::<i32>("rate").ok()
    };
    assert_eq!(rate(b"\x91.mp3\xff\xfb\x90\x00"), Some(44_100));
    assert_eq!(rate(b"\x91.mp3\xff\xfb\x90\x00"), None);
    assert_eq!(rate(b"\x91.mp3lost"), None);
    assert_eq!(rate(b"\x91.mp3\xff\xfb\x94\x00"), Some(48_000));
    assert_eq!(rate(b"\x3f\0\0\0\0"), Some(44_100));
    assert_eq!(rate(b"\x3b\0\0\0\0"), Some(22_050));
    assert_eq!(rate(b"\x2flost"), Some(44_100), "the tag has to do");
}

#[test]
fn annex_b_in_avc_tags_is_converted() {
    gst::init().unwrap();
    let mut decoder = TrackDecoder::new(TrackKind::Video);
    let time = gst::ClockTime::ZERO;
    let code = FourCc::AVC;
    decoder
        .video(packet(record(AVCC), FrameType::Key, code), time)
        .unwrap();
    let mut read = |data: &'static [u8]| {
        let data = Bytes::from_static(data);
        let payload = VideoPayload::Frame {
            composition_time: 0,
            data,
        };
        let output = decoder.video(packet(payload, FrameType::Key, code), time)?;
        Ok::<_, Error>(output.buffer.unwrap().map_readable().unwrap().to_vec())
    };
    assert_eq!(read(b"\0\0\0\x01\x65\x88\0\0\x01\x41").unwrap(), NALS);
    assert!(matches!(read(b"\0\0\0\x09\x65"), Err(Error::Malformed { .. })));
    assert_eq!(read(NALS).unwrap(), NALS, "the track goes on");
}

#[test]
fn metadata_tells_all_tracks_and_comes_back() {
    let avc = video_cases().remove(0);
    let aac = audio_cases().remove(0);
    let mut tracks = [
        encoder(&avc.caps, 0, EnhancedRtmp::Auto).unwrap(),
        encoder(
            &avc.caps.replace("64, height=48", "32, height=24"),
            1,
            EnhancedRtmp::Auto,
        )
        .unwrap(),
        encoder(&aac.caps, 0, EnhancedRtmp::Auto).unwrap(),
        encoder(&audio_cases()[4].caps, 2, EnhancedRtmp::Auto).unwrap(),
    ];
    let mut list = gst::TagList::new();
    let tags = list.get_mut().unwrap();
    tags.add::<gst::tags::Title>(&"A title", gst::TagMergeMode::Replace);
    tags.add::<gst::tags::Artist>(&"Somebody", gst::TagMergeMode::Replace);
    tags.add::<gst::tags::Bitrate>(&1_024_000, gst::TagMergeMode::Replace);
    assert!(tracks[0].set_tags(&list).metadata);
    assert!(!tracks[0].set_tags(&list).metadata, "nothing new");

    let metadata = Metadata::parse(on_meta_data(&tracks, &list)).unwrap();
    let number = |key: &str| metadata.properties().get(key).unwrap().as_number();
    assert_eq!(number("videocodecid"), Some(7.0));
    assert_eq!(number("audiocodecid"), Some(10.0));
    assert_eq!(number("videodatarate"), Some(1000.0));
    let video = |track| TrackMetadata::of(&metadata, TrackKind::Video, track);
    assert_eq!(
        video(0),
        TrackMetadata {
            width: Some(64),
            height: Some(48),
            frame_rate: Some(gst::Fraction::new(25, 1)),
            pixel_aspect_ratio: Some(gst::Fraction::new(4, 3)),
            bit_rate: Some(1_024_000),
        }
    );
    assert_eq!((video(1).width, video(1).height), (Some(32), Some(24)));
    assert_eq!(metadata.video(1).codec, Some(VideoCodec::Enhanced(FourCc::AVC)));
    assert_eq!(metadata.audio(2).channels, Some(2));
    assert_eq!(metadata.audio(0).sample_size, Some(16));
    let nominal = video(0).tags().unwrap();
    assert_eq!(
        nominal.get::<gst::tags::NominalBitrate>().unwrap().get(),
        1_024_000
    );
    let read = tags_of(&metadata).unwrap();
    assert_eq!(read.get::<gst::tags::Title>().unwrap().get(), "A title");
    assert_eq!(read.get::<gst::tags::Artist>().unwrap().get(), "Somebody");
    assert!(
        read.get::<gst::tags::Encoder>()
            .unwrap()
            .get()
            .starts_with("gst-plugin-rtmp ")
    );
}

#[test]
fn metadata_that_comes_late_renews_the_caps() {
    let case = video_cases().remove(0);
    let mut writer = encoder(&case.caps, 0, EnhancedRtmp::Auto).unwrap();
    let headers = writer.headers(&buffer(NALS, KEY, 0, 0)).unwrap();
    let mut decoder = TrackDecoder::new(TrackKind::Video);
    decode(&mut decoder, &headers[0], 0).remove(0).unwrap();
    let known = TrackMetadata {
        width: Some(64),
        height: Some(48),
        frame_rate: Some(gst::Fraction::new(25, 1)),
        pixel_aspect_ratio: Some(gst::Fraction::new(4, 3)),
        bit_rate: None,
    };
    assert_eq!(decoder.set_metadata(known), Some(caps(&case.caps)));
    assert_eq!(decoder.set_metadata(known), None);
    assert_eq!(decoder.caps(), Some(&caps(&case.caps)));
}

#[test]
fn frame_rates_of_television_are_fractions_of_1001() {
    gst::init().unwrap();
    for (number, numerator, denominator) in [
        (29.97, 30_000, 1001),
        (29.970_029_97, 30_000, 1001),
        (23.976, 24_000, 1001),
        (59.94, 60_000, 1001),
        (30.0, 30, 1),
        (12.5, 25, 2),
        (15.0, 15, 1),
    ] {
        let metadata = Metadata::builder().property("framerate", number.into()).build();
        assert_eq!(
            TrackMetadata::of(&metadata, TrackKind::Video, 0).frame_rate,
            Some(gst::Fraction::new(numerator, denominator)),
            "{number}"
        );
    }
}

#[test]
fn what_a_tag_says_of_sound_is_what_the_caps_said() {
    let flags = |text: &str| {
        let encoder = encoder(text, 0, EnhancedRtmp::Auto).unwrap();
        let time = gst::ClockTime::ZERO;
        let tag = encoder
            .frame(buffer(b"\0\0", KEY, 0, 0), time, time)
            .unwrap()
            .unwrap()
            .tag;
        let body = whole(&tag);
        let packet = AudioPacket::decode(&body).next().unwrap().unwrap();
        assert!(matches!(packet.payload, AudioPayload::Frames(_)));
        packet.flags
    };
    for (index, rate) in SoundFlags::RATES.into_iter().enumerate() {
        for channels in [1, 2] {
            for (format, is_16_bit) in [("U8", false), ("S16LE", true)] {
                let raw = format!(
                    "audio/x-raw, format={format}, layout=interleaved, rate={rate}, channels={channels}"
                );
                let expected = SoundFlags {
                    rate: index.try_into().unwrap(),
                    is_16_bit,
                    is_stereo: channels == 2,
                };
                assert_eq!(flags(&raw), expected);
            }
        }
    }
}

/// First bytes of tags of either kind.
const HEADS: &[&[u8]] = &[
    b"\x17\0\0\0\0\x01\x64\0\x0a\xff\xe0\0",
    b"\x17\x01\0\0\0\0\0\0\x02",
    b"\x90hvc1\x01\x01",
    b"\x91hvc1\0\0\0",
    b"\x90vp09",
    b"\x91av01\x12\0",
    b"\x90av01\x81",
    b"\xd4hvc1\x02\0\x09colorInfo",
    b"\xaf\0\x12\x10",
    b"\xaf\x01",
    b"\x90OpusOpusHead\x01",
    b"\x91Opus",
    b"\x90fLaC\x80\0\0\x22",
    b"\x91ac-3\x0b\x77",
    b"\x2f\xff\xfb",
    b"\x3f",
];

proptest! {
    #[test]
    fn no_tag_body_does_harm(
        bodies in collection::vec(
            prop_oneof![
                collection::vec(any::<u8>(), 0..40),
                // Behind heads that make sense.
                (sample::select(HEADS), collection::vec(any::<u8>(), 0..40))
                    .prop_map(|(head, rest)| [head, &rest].concat()),
            ],
            1..20,
        ),
    ) {
        gst::init().unwrap();
        let time = gst::ClockTime::ZERO;
        let mut audio = TrackDecoder::new(TrackKind::Audio);
        let mut video = TrackDecoder::new(TrackKind::Video);
        for body in bodies {
            let body = Bytes::from(body);
            let sound = AudioPacket::decode(&body).flatten().map(|packet| audio.audio(packet, time));
            let mut outputs: Vec<_> = sound.collect();
            outputs.extend(VideoPacket::decode(&body).flatten().map(|packet| video.video(packet, time)));
            for output in outputs.into_iter().flatten() {
                prop_assert!(output.caps.is_none_or(|caps| caps.is_fixed()));
                prop_assert!(output.buffer.is_none_or(|buffer| buffer.size() > 0));
            }
            for decoder in [&audio, &video] {
                prop_assert!(decoder.caps().is_none_or(|caps| !caps.is_empty()));
            }
        }
    }
}
