//! What goes in at one end comes out at the other: forms that tags carry, and forms that need a parser.

use gst::prelude::*;

use crate::support::pipeline::{Buffer, Pipeline};
use crate::support::{Failure, Result};
use crate::{parsers, start, wait_for_players};

/// Pictures, 25 a second.
const PICTURES: usize = 30;

/// One kind of stream.
struct Track {
    /// Encodes to what the bin gets.
    encoder: &'static str,
    /// Decodes what the bin gets, and what comes out of the other.
    decoder: &'static str,
    /// What the bin plugs.
    parser: Option<&'static str>,
    /// Whether what goes into the decoder is compared, of decoders that do with it as they please.
    is_compared_coded: bool,
}

impl Track {
    const fn decoded(encoder: &'static str, decoder: &'static str, parser: Option<&'static str>) -> Self {
        Self {
            encoder,
            decoder,
            parser,
            is_compared_coded: false,
        }
    }

    /// Decodes into the element `name`, the one to tap.
    fn tail(&self, name: &str) -> String {
        let decoder = self.decoder;
        if self.is_compared_coded {
            format!("{decoder} name={name} ! fakesink sync=false async=false")
        } else {
            format!("{decoder} ! fakesink name={name} sync=false async=false")
        }
    }
}

/// Without limits: what one branch waits for may be far ahead in another.
const QUEUE: &str = "queue max-size-buffers=0 max-size-bytes=0 max-size-time=0";

/// Publishes a test signal with `rtmpsinkbin` and plays it with `rtmpsrcbin`, and compares what is decoded behind it
/// with what is decoded in front.
fn assert_passes(video: &Track, audio: &Track) -> Result<()> {
    let relay = start()?;
    let location = relay.url("live", "main");
    let (see, hear) = (video.tail("pictures"), audio.tail("sounds"));
    let player = Pipeline::new(&format!(
        "rtmpsrcbin name=src location={location} is-live=false \
         src.video_0 ! {QUEUE} ! {see} src.audio_0 ! {QUEUE} ! {hear}"
    ))?;
    let got = [player.tap("pictures")?, player.tap("sounds")?];
    player.play()?;
    wait_for_players(&relay, 1)?;
    let publisher = Pipeline::new(&format!(
        "rtmpsinkbin name=sink location={location} sync=false \
         videotestsrc num-buffers={PICTURES} pattern=ball \
         ! video/x-raw,format=I420,width=160,height=120,framerate=25/1 ! {} ! tee name=video \
         audiotestsrc samplesperbuffer=1024 num-buffers=52 wave=ticks ! audioconvert ! audioresample \
         ! {} ! tee name=audio \
         video. ! {QUEUE} ! sink.video audio. ! {QUEUE} ! sink.audio \
         video. ! {QUEUE} ! {see} audio. ! {QUEUE} ! {hear}",
        video.encoder, audio.encoder,
    ))?;
    let sent = [publisher.tap("pictures")?, publisher.tap("sounds")?];
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;

    let mut expected: Vec<_> = video.parser.into_iter().chain(audio.parser).collect();
    expected.sort_unstable();
    let bin = publisher.element("sink")?;
    let bin = bin.downcast_ref::<gst::Bin>().ok_or(Failure::new("not a bin"))?;
    assert_eq!(parsers(bin), expected);
    let [pictures, sounds] = &sent;
    assert_eq!(pictures.len(), PICTURES, "{}", video.encoder);
    assert!(sounds.len() > 10, "{}: {}", audio.encoder, sounds.len());
    for (sent, got) in sent.iter().zip(&got) {
        assert_same(&sent.buffers()?, &got.buffers()?);
    }
    Ok(())
}

/// The same bytes at the same time, but for what a millisecond rounds away.
fn assert_same(sent: &[Buffer], got: &[Buffer]) {
    let bytes = |buffers: &[Buffer]| -> Vec<_> {
        let buffers = buffers.iter();
        buffers.map(|buffer| (buffer.size, buffer.md5.clone())).collect()
    };
    assert_eq!(bytes(got), bytes(sent));
    for (sent, got) in sent.iter().zip(got) {
        let late = sent.pts.zip(got.pts).map(|(sent, got)| got - sent);
        assert!(matches!(late, Some(-1..=1)), "{sent:?} came as {got:?}");
    }
}

const AVC: Track = Track::decoded(
    "x264enc bframes=2 b-adapt=false key-int-max=10 speed-preset=superfast ! video/x-h264,stream-format=avc",
    "avdec_h264",
    None,
);

const RAW_AAC: Track = Track::decoded(
    "voaacenc ! audio/mpeg,stream-format=raw,rate=44100",
    "avdec_aac",
    None,
);

#[test]
fn what_tags_carry_as_it_is_needs_no_parser() -> Result<()> {
    assert_passes(&AVC, &RAW_AAC)
}

#[test]
fn byte_streams_and_adts_are_parsed() -> Result<()> {
    assert_passes(
        &Track::decoded(
            "x264enc bframes=2 b-adapt=false key-int-max=10 speed-preset=superfast \
             ! video/x-h264,stream-format=byte-stream",
            "avdec_h264",
            Some("h264parse"),
        ),
        &Track::decoded(
            "voaacenc ! audio/mpeg,stream-format=adts,rate=44100",
            "avdec_aac",
            Some("aacparse"),
        ),
    )
}

#[test]
fn h265_and_opus_go_by_enhanced_rtmp() -> Result<()> {
    assert_passes(
        &Track::decoded(
            "x265enc speed-preset=ultrafast key-int-max=10",
            "avdec_h265",
            Some("h265parse"),
        ),
        &Track {
            encoder: "opusenc",
            // It trims what came out of the encoder by what only buffers in memory tell.
            decoder: "opusdec",
            parser: None,
            is_compared_coded: true,
        },
    )
}

#[test]
fn unparsed_vp9_and_mp3_are_parsed() -> Result<()> {
    assert_passes(
        &Track::decoded(
            "vp9enc deadline=1 keyframe-max-dist=10",
            "vp9dec",
            Some("vp9parse"),
        ),
        &Track::decoded("lamemp3enc", "avdec_mp3", Some("mpegaudioparse")),
    )
}

#[test]
fn unparsed_av1_and_ac3_are_parsed() -> Result<()> {
    assert_passes(
        &Track::decoded(
            "av1enc cpu-used=8 keyframe-max-dist=10",
            "av1dec",
            Some("av1parse"),
        ),
        &Track::decoded(
            "avenc_ac3 ! capssetter replace=true caps=audio/x-ac3",
            "avdec_ac3",
            Some("ac3parse"),
        ),
    )
}

#[test]
fn unframed_flac_is_parsed() -> Result<()> {
    assert_passes(
        &AVC,
        &Track::decoded(
            "flacenc ! audio/x-flac,rate=44100",
            "flacparse ! flacdec",
            Some("flacparse"),
        ),
    )
}
