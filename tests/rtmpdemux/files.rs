//! Files of real encoders, as flvdemux reads them, however they are cut.

use std::path::{Path, PathBuf};

use gstrtmp::flv::TagKind;
use tempfile::TempDir;

use crate::fixture::{Harness, Seen, data};
use crate::support::ffmpeg::utf8;
use crate::support::pipeline::{Buffer, Pipeline};
use crate::support::{Context, Result, ffmpeg, tags};

/// Seconds of the test signal.
const SECONDS: &str = "2";

/// Two tracks of codecs that FLV has without Enhanced RTMP, and options of ffmpeg that make them.
struct Sample {
    name: &'static str,
    video: &'static [&'static str],
    audio: &'static [&'static str],
}

const SAMPLES: &[Sample] = &[
    Sample {
        name: "h264-aac",
        video: &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "2", "-g", "25"],
        audio: &["-c:a", "aac", "-ac", "2"],
    },
    Sample {
        name: "h264-mp3",
        video: &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0"],
        audio: &["-c:a", "libmp3lame", "-ar", "22050"],
    },
    Sample {
        name: "sorenson-adpcm",
        video: &["-c:v", "flv", "-g", "10"],
        audio: &["-c:a", "adpcm_swf", "-ar", "44100"],
    },
    Sample {
        name: "screen-pcm",
        video: &["-c:v", "flashsv", "-g", "10"],
        audio: &["-c:a", "pcm_s16le", "-ar", "44100"],
    },
    Sample {
        name: "sorenson-nellymoser",
        video: &["-c:v", "flv"],
        audio: &["-c:a", "nellymoser", "-ar", "8000"],
    },
    Sample {
        name: "sorenson-speex",
        video: &["-c:v", "flv"],
        audio: &["-c:a", "libspeex", "-ar", "16000", "-ac", "1"],
    },
    Sample {
        name: "sorenson-mulaw",
        video: &["-c:v", "flv"],
        audio: &["-c:a", "pcm_mulaw", "-ar", "8000"],
    },
    Sample {
        name: "sorenson-alaw",
        video: &["-c:v", "flv"],
        audio: &["-c:a", "pcm_alaw", "-ar", "8000"],
    },
];

impl Sample {
    fn encode(&self, folder: &TempDir) -> Result<PathBuf> {
        let file = folder.path().join(self.name).with_extension("flv");
        let picture = ["-f", "lavfi", "-t", SECONDS, "-i", "testsrc=size=160x120:rate=25"];
        let tone = ["-f", "lavfi", "-t", SECONDS, "-i", "sine=frequency=440"];
        let options = [
            &["-y"][..],
            &picture,
            &tone,
            self.video,
            self.audio,
            &[utf8(&file)?],
        ]
        .concat();
        ffmpeg::run(options).context(self.name)?;
        Ok(file)
    }
}

/// What a demuxer made of a file: packets, then pictures and sounds decoded.
#[derive(Debug, Default, Eq, PartialEq)]
struct Read {
    video: Vec<Buffer>,
    audio: Vec<Buffer>,
    pictures: Vec<Buffer>,
    sounds: Vec<Buffer>,
}

/// Reads a file in push mode.
fn read(file: &Path, demuxer: &str, [video, audio]: [&str; 2]) -> Result<Read> {
    // A queue cannot be pulled from.
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} blocksize=777 ! queue ! {demuxer} name=demux \
         demux.{video} ! queue ! tee name=video ! queue ! decodebin ! fakesink name=pictures sync=false \
         demux.{audio} ! queue ! tee name=audio ! queue ! decodebin ! fakesink name=sounds sync=false",
        utf8(file)?
    ))?;
    let names = ["video", "audio", "pictures", "sounds"];
    let [video, audio, pictures, sounds] = names.map(|name| pipeline.tap(name));
    let taps = (video?, audio?, pictures?, sounds?);
    pipeline.play()?;
    pipeline.wait_for_eos()?;
    Ok(Read {
        video: taps.0.buffers()?,
        audio: taps.1.buffers()?,
        pictures: taps.2.buffers()?,
        sounds: taps.3.buffers()?,
    })
}

/// Reads a file with ours and with flvdemux, which have to agree.
fn compare(file: &Path) -> Result<Read> {
    let ours = read(file, "rtmpdemux", ["video_0", "audio_0"])?;
    let theirs = read(file, "flvdemux", ["video", "audio"])?;
    assert_eq!(ours.video, theirs.video, "{}", file.display());
    assert_eq!(ours.audio, theirs.audio, "{}", file.display());
    assert_eq!(ours.pictures, theirs.pictures, "{}", file.display());
    // Without their times: behind flvdemux 1.22, decodebin gives the first two sounds of AAC the same one.
    let untimed = |sounds: &[Buffer]| -> Vec<_> { sounds.iter().map(|sound| sound.md5.clone()).collect() };
    assert_eq!(
        untimed(&ours.sounds),
        untimed(&theirs.sounds),
        "{}",
        file.display()
    );
    Ok(ours)
}

/// All of a buffer that a pad puts out.
#[derive(Debug, Eq, PartialEq)]
struct Out {
    pad: String,
    dts: Option<gst::ClockTime>,
    pts: Option<gst::ClockTime>,
    flags: gst::BufferFlags,
    md5: String,
}

/// Buffers as they come out of pieces of `size` bytes.
fn split(bytes: &[u8], size: usize) -> Result<Vec<Out>> {
    let harness = Harness::in_bytes()?;
    for piece in bytes.chunks(size) {
        harness.push(piece.to_vec())?;
    }
    harness.eos();
    let out = |seen| match seen {
        Seen::Buffer(pad, buffer) => Some(Out {
            pad,
            dts: buffer.dts(),
            pts: buffer.pts(),
            flags: buffer.flags(),
            md5: tags::md5(&data(&buffer)),
        }),
        Seen::Pad(_) | Seen::NoMorePads | Seen::Event(..) => None,
    };
    Ok(harness.look().into_iter().filter_map(out).collect())
}

#[test]
fn ffmpegs_files_read_as_with_flvdemux() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for sample in SAMPLES {
        let file = sample.encode(&folder)?;
        let read = compare(&file)?;
        let tags = tags::read(&file)?;
        let count = |kind| tags::frames_of(kind, &tags).len();
        assert_eq!(read.video.len(), count(TagKind::Video), "{}", sample.name);
        assert_eq!(read.audio.len(), count(TagKind::Audio), "{}", sample.name);
        assert_eq!(read.pictures.len(), 50, "{}", sample.name);
        assert!(!read.sounds.is_empty(), "{}", sample.name);
    }
    Ok(())
}

#[test]
fn flvmuxs_files_read_as_with_flvdemux() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (streamable, audio) in [
        (false, "avenc_aac"),
        (true, "avenc_aac"),
        (true, "lamemp3enc ! mpegaudioparse"),
        (false, "speexenc"),
        (true, "mulawenc"),
    ] {
        let file = folder.path().join("muxed.flv");
        let rate = match audio {
            "speexenc" => 16_000,
            "mulawenc" => 8000,
            _ => 44_100,
        };
        Pipeline::run(&format!(
            "videotestsrc num-buffers=50 ! video/x-raw,width=160,height=120,framerate=25/1 \
             ! x264enc bframes=2 key-int-max=25 ! video/x-h264,profile=main ! flvmux name=mux streamable={streamable} \
             ! filesink location={} \
             audiotestsrc num-buffers=40 samplesperbuffer={} ! audio/x-raw,rate={rate},channels=1 ! {audio} ! mux.",
            utf8(&file)?,
            rate / 20,
        ))?;
        let read = compare(&file).context(audio)?;
        assert_eq!((read.video.len(), read.pictures.len()), (50, 50), "{audio}");
        assert!(!read.sounds.is_empty(), "{audio}");
    }
    Ok(())
}

#[test]
fn files_may_be_cut_at_any_byte() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for sample in SAMPLES {
        let bytes = std::fs::read(sample.encode(&folder)?)?;
        let whole = split(&bytes, bytes.len())?;
        assert!(!whole.is_empty());
        for size in [1, 2, 13, 777, 4096, 100_003] {
            assert_eq!(split(&bytes, size)?, whole, "{} in pieces of {size}", sample.name);
        }
    }
    Ok(())
}
