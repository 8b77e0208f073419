//! Every codec that there is an encoder for: what is published arrives, packet by packet.

use super::fixture::*;
use crate::support::{Failure, Result};

const DEEP_PICTURES: &str =
    "videotestsrc num-buffers=10 ! video/x-raw,format=I420_10LE,width=320,height=240,framerate=25/1";
const FEW_PICTURES: &str =
    "videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=160,height=120,framerate=30000/1001";
const RGB_PICTURES: &str =
    "videotestsrc num-buffers=30 ! video/x-raw,format=BGR,width=320,height=240,framerate=25/1";

/// What is published, what is asked for, and what has to take it.
fn lines() -> Vec<(String, &'static str, &'static str)> {
    let pictures =
        |source: &str, encoder: &str, caps, decoder| (format!("{source} ! {encoder}"), caps, decoder);
    let sound = |format: &str, encoder: &str, caps, decoder| {
        let source = format!("audiotestsrc num-buffers=100 ! audio/x-raw,{format} ! {encoder}");
        (source, caps, decoder)
    };
    vec![
        pictures(PICTURES, H264, "video/x-h264", "h264parse ! avdec_h264"),
        pictures(PICTURES, "x264enc tune=zerolatency", "video/x-h264", "avdec_h264"),
        pictures(
            PICTURES,
            "x265enc key-int-max=10 ! h265parse",
            "video/x-h265",
            "h265parse ! avdec_h265",
        ),
        pictures(DEEP_PICTURES, "x265enc ! h265parse", "video/x-h265", "avdec_h265"),
        pictures(
            FEW_PICTURES,
            "av1enc cpu-used=8 lag-in-frames=0 ! av1parse",
            "video/x-av1",
            "av1parse ! av1dec",
        ),
        pictures(PICTURES, "vp8enc deadline=1", "video/x-vp8", "vp8dec"),
        pictures(
            PICTURES,
            "vp9enc deadline=1 cpu-used=8",
            "video/x-vp9",
            "vp9parse ! vp9dec",
        ),
        pictures(PICTURES, "avenc_flv", "video/x-flash-video", "avdec_flv"),
        pictures(
            RGB_PICTURES,
            "avenc_flashsv",
            "video/x-flash-screen",
            "avdec_flashsv",
        ),
        pictures(
            RGB_PICTURES,
            "avenc_flashsv2",
            "video/x-flash-screen2",
            "avdec_flashsv2",
        ),
        sound(
            "rate=48000,channels=2",
            "voaacenc",
            "audio/mpeg",
            "aacparse ! avdec_aac",
        ),
        sound("rate=44100,channels=1", "avenc_aac", "audio/mpeg", "avdec_aac"),
        sound(
            "rate=48000,channels=2",
            "opusenc",
            "audio/x-opus",
            "opusparse ! opusdec",
        ),
        sound(
            "rate=44100,channels=2",
            "flacenc ! flacparse",
            "audio/x-flac",
            "flacparse ! flacdec",
        ),
        sound(
            "rate=48000,channels=2",
            "avenc_ac3 ! ac3parse",
            "audio/x-ac3",
            "ac3parse ! avdec_ac3",
        ),
        sound(
            "rate=48000,channels=2",
            "avenc_eac3 ! ac3parse",
            "audio/x-eac3",
            "ac3parse ! avdec_eac3",
        ),
        sound(
            "rate=44100,channels=2",
            "lamemp3enc ! mpegaudioparse",
            "audio/mpeg",
            "mpegaudioparse ! mpg123audiodec",
        ),
        sound("rate=8000,channels=1", "alawenc", "audio/x-alaw", "alawdec"),
        sound("rate=8000,channels=2", "mulawenc", "audio/x-mulaw", "mulawdec"),
        sound("rate=16000,channels=1", "speexenc", "audio/x-speex", "speexdec"),
        sound(
            "rate=16000,channels=1",
            "avenc_nellymoser",
            "audio/x-nellymoser",
            "avdec_nellymoser",
        ),
        sound(
            "rate=44100,channels=2",
            "avenc_adpcm_swf",
            "audio/x-adpcm",
            "avdec_adpcm_swf",
        ),
        sound(
            "rate=44100,channels=2,format=S16LE",
            "identity",
            "audio/x-raw",
            "audioconvert",
        ),
        sound(
            "rate=11025,channels=1,format=U8",
            "identity",
            "audio/x-raw",
            "audioconvert",
        ),
    ]
}

#[test]
fn every_packet_arrives_with_its_time() -> Result<()> {
    let relay = relay()?;
    for (publisher, caps, decoder) in lines() {
        let player = format!("{caps} ! identity name=got ! {decoder}");
        let (sent, got) = trip(&relay, &publisher, "", &player)
            .map_err(|error| Failure::new(format!("{publisher}: {error}")))?;
        let got_frames = frames(&got.buffers, 0);
        assert!(got_frames.len() >= 10, "{publisher}: {}", got_frames.len());
        assert_eq!(got.caps.len(), 1, "{publisher}: {:?}", got.caps);

        // Some encoders push the headers of a file or of Ogg first.
        let headers = sent.buffers.len() - got_frames.len();
        assert!(headers <= 8, "{publisher}: {headers} of {}", sent.buffers.len());
        let sent = &sent.buffers[headers..];
        // speexenc gives no time to its first frame.
        let origin = sent
            .iter()
            .find_map(|buffer| buffer.dts_or_pts())
            .unwrap()
            .nseconds();
        let sent_frames = frames(sent, origin);
        for (index, (got, sent)) in got_frames.iter().zip(&sent_frames).enumerate() {
            let case = format!("{publisher}: frame {index}");
            assert_eq!((got.dts, got.pts), (sent.dts, sent.pts), "{case}");
            assert_eq!(got.is_key, sent.is_key, "{case}");
            // Temporal delimiters of AV1 stay behind: its file format has none.
            assert!(sent.bytes.ends_with(&got.bytes), "{case}");
            assert!(
                sent.bytes.len() - got.bytes.len() <= if caps == "video/x-av1" { 2 } else { 0 },
                "{case}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_same_arrives_in_tags_of_enhanced_rtmp() -> Result<()> {
    let relay = relay()?;
    let aac = "audiotestsrc num-buffers=40 ! audio/x-raw,rate=48000,channels=2 ! voaacenc";
    for (publisher, caps) in [
        (format!("{PICTURES} ! {H264}"), "video/x-h264"),
        (aac.to_owned(), "audio/mpeg"),
    ] {
        let player = format!("{caps} ! identity name=got");
        let (_, legacy) = trip(&relay, &publisher, "enhanced-rtmp=never", &player)?;
        let (_, enhanced) = trip(&relay, &publisher, "enhanced-rtmp=always", &player)?;
        assert_eq!(frames(&enhanced.buffers, 0), frames(&legacy.buffers, 0));
        assert_eq!(enhanced.caps, legacy.caps);
        assert!(legacy.buffers.len() >= 30);
    }
    Ok(())
}
