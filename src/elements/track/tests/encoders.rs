//! Real encoders -> tags -> parsers and decoders of GStreamer.

use std::sync::{Arc, Mutex};

use gst::prelude::*;

use super::*;

/// How long a pipeline may take on a busy machine.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(60);

/// Caps and buffers as they reach the end of a pipeline.
type Arrived = Vec<(gst::Caps, gst::Buffer)>;

/// Runs a pipeline to the end of its stream, with what `feed` puts in.
fn run(description: &str, feed: impl FnOnce(&gst::Pipeline)) -> Arrived {
    gst::init().unwrap();
    let description = format!("{description} ! fakesink name=sink signal-handoffs=true");
    let element = gst::parse::launch(&description).unwrap_or_else(|error| panic!("{description}: {error}"));
    let pipeline: gst::Pipeline = element.downcast().unwrap();
    let arrived = Arc::new(Mutex::new(Arrived::new()));
    let taken = arrived.clone();
    pipeline
        .by_name("sink")
        .unwrap()
        .connect("handoff", false, move |values| {
            let buffer = values[1].get().unwrap();
            let pad: gst::Pad = values[2].get().unwrap();
            taken.lock().unwrap().push((pad.current_caps().unwrap(), buffer));
            None
        });
    pipeline.set_state(gst::State::Playing).unwrap();
    feed(&pipeline);
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(PATIENCE, &[gst::MessageType::Eos, gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null).unwrap();
    match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => {}
        Some(gst::MessageView::Error(error)) => {
            panic!("{description}: {}: {:?}", error.error(), error.debug())
        }
        _ => panic!("{description} did not come to its end"),
    }
    std::mem::take(&mut arrived.lock().unwrap())
}

/// What `elements` make of a stream.
pub(super) fn decode_with(caps: &gst::Caps, buffers: &[gst::Buffer], elements: &str) -> Arrived {
    run(
        &format!("appsrc name=source format=time ! {elements}"),
        |pipeline| {
            let source = pipeline.by_name("source").unwrap();
            source.set_property("caps", caps);
            for buffer in buffers {
                let pushed: gst::FlowReturn = source.emit_by_name("push-buffer", &[buffer]);
                assert_eq!(pushed, gst::FlowReturn::Ok);
            }
            let ended: gst::FlowReturn = source.emit_by_name("end-of-stream", &[]);
            assert_eq!(ended, gst::FlowReturn::Ok);
        },
    )
}

const PICTURES: &str =
    "videotestsrc num-buffers=30 ! video/x-raw,format=I420,width=320,height=240,framerate=25/1";
const DEEP_PICTURES: &str =
    "videotestsrc num-buffers=10 ! video/x-raw,format=I420_10LE,width=320,height=240,framerate=25/1";
const FEW_PICTURES: &str =
    "videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=160,height=120,framerate=25/1";
const RGB_PICTURES: &str =
    "videotestsrc num-buffers=30 ! video/x-raw,format=BGR,width=320,height=240,framerate=25/1";
const SOUND: &str = "audiotestsrc num-buffers=40";

/// Encoders, and what has to take what was read of the tags and make the same of it as of what was written.
fn lines() -> Vec<(String, &'static str)> {
    let line = |source: &str, encoder: &str, decoder| (format!("{source} ! {encoder}"), decoder);
    let pictures = |encoder, decoder| line(PICTURES, encoder, decoder);
    let sound =
        |caps: &str, encoder, decoder| line(&format!("{SOUND} ! audio/x-raw,{caps}"), encoder, decoder);
    vec![
        pictures(
            "x264enc bframes=2 key-int-max=10 ! h264parse ! video/x-h264,stream-format=avc,alignment=au",
            "h264parse ! avdec_h264",
        ),
        pictures(
            "x264enc tune=zerolatency ! video/x-h264,stream-format=avc,alignment=au",
            "avdec_h264",
        ),
        pictures(
            "x265enc key-int-max=10 ! h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
            "h265parse ! avdec_h265",
        ),
        line(
            DEEP_PICTURES,
            "x265enc ! h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
            "h265parse ! avdec_h265",
        ),
        line(
            FEW_PICTURES,
            "av1enc cpu-used=8 lag-in-frames=0 ! av1parse ! video/x-av1,stream-format=obu-stream,alignment=tu",
            "av1parse ! av1dec",
        ),
        pictures("vp8enc deadline=1", "vp8dec"),
        pictures("vp9enc deadline=1 cpu-used=8", "vp9parse ! vp9dec"),
        pictures("vp9enc deadline=1 cpu-used=8 ! vp9parse", "vp9dec"),
        pictures("avenc_flv", "avdec_flv"),
        line(RGB_PICTURES, "avenc_flashsv", "avdec_flashsv"),
        line(RGB_PICTURES, "avenc_flashsv2", "avdec_flashsv2"),
        sound("rate=48000,channels=2", "voaacenc", "aacparse"),
        sound("rate=44100,channels=1", "avenc_aac", "avdec_aac"),
        sound("rate=48000,channels=2", "opusenc", "opusparse"),
        sound(
            "rate=48000,channels=6,channel-mask=(bitmask)0x3f",
            "opusenc",
            "opusdec",
        ),
        sound(
            "rate=48000,channels=2",
            "flacenc ! flacparse",
            "flacparse ! flacdec",
        ),
        sound("rate=44100,channels=1", "flacenc ! flacparse", "flacdec"),
        sound(
            "rate=48000,channels=2",
            "avenc_ac3 ! ac3parse",
            "ac3parse ! avdec_ac3",
        ),
        sound(
            "rate=48000,channels=2",
            "avenc_eac3 ! ac3parse",
            "ac3parse ! avdec_eac3",
        ),
        sound(
            "rate=48000,channels=2",
            "lamemp3enc ! mpegaudioparse",
            "mpegaudioparse",
        ),
        sound(
            "rate=22050,channels=1",
            "lamemp3enc ! mpegaudioparse",
            "mpg123audiodec",
        ),
        sound("rate=8000,channels=1", "alawenc", "alawdec"),
        sound("rate=8000,channels=2", "mulawenc", "mulawdec"),
        sound("rate=16000,channels=1", "speexenc", "speexdec"),
        sound("rate=16000,channels=1", "avenc_nellymoser", "avdec_nellymoser"),
        sound("rate=44100,channels=2", "avenc_adpcm_swf", "avdec_adpcm_swf"),
        sound("rate=44100,channels=2,format=S16LE", "identity", "audioconvert"),
        sound("rate=11025,channels=1,format=U8", "identity", "audioconvert"),
    ]
}

/// A buffer without what tags cannot carry, such as the samples that Opus has to drop at its start.
fn without_metas(buffer: &gst::Buffer) -> gst::Buffer {
    let mut bare = gst::Buffer::from_slice(buffer.map_readable().unwrap().to_vec());
    let writable = bare.get_mut().unwrap();
    writable.set_pts(buffer.pts());
    writable.set_dts(buffer.dts());
    writable.set_flags(buffer.flags());
    bare
}

/// Times as tags have them. speexenc gives none to its first frame.
fn millis(time: Option<gst::ClockTime>) -> u64 {
    (time.unwrap_or_default().nseconds() + 500_000) / 1_000_000
}

#[test]
fn what_encoders_make_decodes_the_same_after_a_trip_through_tags() {
    for (name, decoder) in lines() {
        let encoded = run(&name, |_| {});
        let caps = &encoded.first().unwrap().0;
        let buffers: Vec<_> = encoded.iter().map(|(_, buffer)| buffer.clone()).collect();
        let encoder = TrackEncoder::new(caps, 0, EnhancedRtmp::Auto).unwrap();
        let zero = gst::ClockTime::ZERO;
        let frames: Vec<_> = buffers
            .iter()
            .filter(|buffer| encoder.frame((*buffer).clone(), zero, zero).unwrap().is_some())
            .collect();
        let has_dts = encoder.format() == Format::Video(VideoFormat::Avc)
            || encoder.format() == Format::Video(VideoFormat::Hevc);
        let trip = trip(encoder, &buffers);

        assert_eq!(trip.caps.len(), 1, "{name}: {:?}", trip.caps);
        assert_eq!(trip.buffers.len(), frames.len(), "{name}");
        for (read, written) in trip.buffers.iter().zip(&frames) {
            assert_eq!(millis(read.pts()), millis(written.pts()), "{name}");
            if has_dts {
                assert_eq!(millis(read.dts()), millis(written.dts()), "{name}");
            }
            let delta = gst::BufferFlags::DELTA_UNIT;
            assert_eq!(read.flags() & delta, written.flags() & delta, "{name}");
            let (read, written) = (read.map_readable().unwrap(), written.map_readable().unwrap());
            assert!(written.ends_with(&read), "{name}");
        }

        let decoded = decode_with(&trip.caps[0], &trip.buffers, decoder);
        let bare: Vec<_> = buffers.iter().map(without_metas).collect();
        let expected = decode_with(caps, &bare, decoder);
        assert!(!expected.is_empty(), "{name}");
        assert_eq!(decoded.len(), expected.len(), "{name}");
        for ((_, decoded), (_, expected)) in decoded.iter().zip(&expected) {
            let (decoded, expected) = (decoded.map_readable().unwrap(), expected.map_readable().unwrap());
            assert!(decoded == expected, "{name}");
        }
    }
}

#[test]
fn caps_that_are_read_have_the_fields_that_encoders_gave() {
    for (name, _) in lines() {
        let encoded = run(&name, |_| {});
        let written = &encoded.first().unwrap().0;
        let buffers: Vec<_> = encoded.iter().map(|(_, buffer)| buffer.clone()).collect();
        let read = trip(
            TrackEncoder::new(written, 0, EnhancedRtmp::Auto).unwrap(),
            &buffers,
        );
        let read = read.caps[0].structure(0).unwrap();
        let written = written.structure(0).unwrap();
        assert_eq!(read.name(), written.name());
        for (field, value) in read.iter() {
            // Stream headers are those of files there and of Ogg here, and parsers tell more than records.
            if field == "streamheader" {
                continue;
            }
            let Ok(expected) = written.value(field) else {
                continue;
            };
            assert_eq!(
                value.compare(expected),
                Some(std::cmp::Ordering::Equal),
                "{}: {field}",
                name
            );
        }
    }
}
