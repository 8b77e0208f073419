//! The two pipelines: a test signal to `rtmpsink`, and `rtmpsrc` to decoded pictures and sound.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::stamp::{self, Size};
use super::tally::Tally;
use super::{Failure, Result};

const SIZE: Size = Size {
    width: 640,
    height: 360,
};
const _: () = assert!(SIZE.width >= stamp::MIN_WIDTH, "the frame's number has to fit in");

/// Frames per second, and per group of pictures: who joins waits for a key frame.
pub const RATE: usize = 30;

/// Frame of the player that becomes the snapshot.
const SNAPSHOT: usize = RATE;

/// Elements that do the same, the best first, each with the properties it needs.
type Choice = &'static [&'static str];

const VIDEO_ENCODERS: Choice = &[
    "x264enc tune=zerolatency speed-preset=veryfast bitrate=1500 key-int-max=30",
    "openh264enc rate-control=bitrate bitrate=1500000 gop-size=30",
];
const AUDIO_ENCODERS: Choice = &["voaacenc", "fdkaacenc", "avenc_aac", "faac"];
const VIDEO_DECODERS: Choice = &["avdec_h264", "openh264dec"];
const AUDIO_DECODERS: Choice = &["avdec_aac", "fdkaacdec", "faad"];
/// Shows the time in the picture; nothing hangs on it.
const CLOCKS: Choice = &["timeoverlay font-desc=Sans,32", "identity"];

/// What both pipelines need besides, and the Debian package that has it.
const NEEDED: &[(&str, &str)] = &[
    ("videotestsrc", "gstreamer1.0-plugins-base"),
    ("audiotestsrc", "gstreamer1.0-plugins-base"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("flvmux", "gstreamer1.0-plugins-good"),
    ("flvdemux", "gstreamer1.0-plugins-good"),
    ("pngenc", "gstreamer1.0-plugins-good"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("aacparse", "gstreamer1.0-plugins-good"),
];

/// Makes sure that `rtmpsink` and `rtmpsrc` are this project's and that nothing else is missing.
pub fn check() -> Result<()> {
    for name in ["rtmpsink", "rtmpsrc"] {
        let plugin = gst::ElementFactory::find(name).and_then(|factory| factory.plugin());
        let package = plugin.as_ref().map(|plugin| plugin.package());
        if package.as_deref() == Some(env!("CARGO_PKG_NAME")) {
            continue;
        }
        let found = match plugin.and_then(|plugin| plugin.filename()) {
            Some(path) => format!("is that of {}", path.display()),
            None => "is missing".into(),
        };
        return Err(Failure::new(format!(
            "{name} {found}: set GST_PLUGIN_PATH to the folder of the libgstrtmp.so that cargo built, as scripts/demo does"
        )));
    }
    for (name, package) in NEEDED {
        if gst::ElementFactory::find(name).is_none() {
            return Err(Failure::new(format!(
                "the GStreamer element {name} is missing: install {package} (scripts/install-packages run)"
            )));
        }
    }
    Ok(())
}

fn choose(choice: Choice, job: &str, package: &str) -> Result<&'static str> {
    let exists = |line: &&&str| {
        line.split(' ')
            .next()
            .is_some_and(|name| gst::ElementFactory::find(name).is_some())
    };
    choice.iter().find(exists).copied().ok_or_else(|| {
        Failure::new(format!(
            "no GStreamer element {job}: install {package} (scripts/install-packages run)"
        ))
    })
}

fn parse(description: &str) -> Result<gst::Pipeline> {
    let element = gst::parse::launch(description)
        .map_err(|error| Failure::new(format!("GStreamer cannot build a pipeline: {error}")))?;
    element
        .downcast()
        .map_err(|_| Failure::new("GStreamer built something that is no pipeline"))
}

fn element(pipeline: &gst::Pipeline, name: &str) -> Result<gst::Element> {
    pipeline
        .by_name(name)
        .ok_or_else(|| Failure::new(format!("the pipeline has no element {name}")))
}

/// What becomes of a buffer that was seen.
enum Verdict {
    Pass,
    Drop,
}

/// Calls `see` for every buffer that enters the element `name`.
fn watch(
    pipeline: &gst::Pipeline,
    name: &str,
    see: impl FnMut(&mut gst::Buffer) -> Verdict + Send + 'static,
) -> Result<()> {
    let pad = element(pipeline, name)?
        .static_pad("sink")
        .ok_or_else(|| Failure::new(format!("{name} has no sink pad")))?;
    // A probe has to be an Fn that threads can share, though the pad calls it from one at a time.
    let see = Mutex::new(see);
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(buffer) = info.buffer_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        match see.lock().unwrap_or_else(PoisonError::into_inner)(buffer) {
            Verdict::Pass => gst::PadProbeReturn::Ok,
            Verdict::Drop => {
                // Not PadProbeReturn::Drop: GStreamer 1.22 complains about buffers that bindings drop that way.
                info.data = None;
                gst::PadProbeReturn::Handled
            }
        }
    });
    Ok(())
}

/// The element of `pipeline` that has the connection.
fn peer(pipeline: &gst::Pipeline, name: &str, location: &str) -> Result<gst::Element> {
    let element = element(pipeline, name)?;
    element.set_property("location", location);
    Ok(element)
}

/// A pipeline and its element with the connection.
pub struct Side {
    pub pipeline: gst::Pipeline,
    pub peer: gst::Element,
}

impl Side {
    /// A figure of the element's `stats`.
    pub fn stat(&self, field: &str) -> u64 {
        let stats = self.peer.property::<gst::Structure>("stats");
        stats.get(field).unwrap_or_default()
    }

    /// Starts the pipeline; what goes wrong is on its bus.
    pub fn start(&self) {
        // The state change says only that it failed; the bus says why.
        let _ = self.pipeline.set_state(gst::State::Playing);
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // Going to NULL cannot fail.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The test signal: bars with a clock and a tick, in H.264 and AAC, every frame stamped with its number.
pub fn publisher(location: &str, tally: &Arc<Tally>) -> Result<Side> {
    let video = choose(VIDEO_ENCODERS, "encodes H.264", "gstreamer1.0-plugins-ugly")?;
    let audio = choose(AUDIO_ENCODERS, "encodes AAC", "gstreamer1.0-plugins-bad")?;
    let clock = choose(CLOCKS, "passes pictures on", "gstreamer1.0-tools")?;
    let Size { width, height } = SIZE;
    let pipeline = parse(&format!(
        "videotestsrc is-live=true pattern=smpte75 \
         ! video/x-raw,format=I420,width={width},height={height},framerate={RATE}/1 \
         ! {clock} ! queue ! {video} name=stamp ! h264parse ! queue ! mux. \
         audiotestsrc is-live=true wave=ticks volume=0.3 ! audio/x-raw,rate=48000,channels=2 ! audioconvert \
         ! queue ! {audio} ! aacparse name=sound ! queue ! mux. \
         flvmux name=mux streamable=true ! rtmpsink name=peer"
    ))?;
    watch(&pipeline, "stamp", {
        let tally = Arc::clone(tally);
        move |buffer| {
            let number = tally.send_frame();
            if let Ok(mut picture) = buffer.make_mut().map_writable() {
                stamp::paint(&mut picture, SIZE, number);
            }
            Verdict::Pass
        }
    })?;
    watch(&pipeline, "sound", {
        let tally = Arc::clone(tally);
        move |_| {
            tally.send_audio();
            Verdict::Pass
        }
    })?;
    let peer = peer(&pipeline, "peer", location)?;
    Ok(Side { pipeline, peer })
}

/// Decodes everything, counts it, keeps time as a player with a screen does, and writes one frame to `snapshot`.
pub fn player(
    location: &str,
    tally: &Arc<Tally>,
    snapshot: &Path,
    written: &Arc<AtomicBool>,
) -> Result<Side> {
    let video = choose(VIDEO_DECODERS, "decodes H.264", "gstreamer1.0-libav")?;
    let audio = choose(AUDIO_DECODERS, "decodes AAC", "gstreamer1.0-libav")?;
    let Size { width, height } = SIZE;
    let pipeline = parse(&format!(
        "rtmpsrc name=peer ! flvdemux name=demux \
         demux.video ! queue ! h264parse ! {video} ! videoconvert \
         ! video/x-raw,format=RGB,width={width},height={height} ! tee name=decoded \
         decoded. ! queue max-size-bytes=0 max-size-buffers=0 ! fakesink name=screen sync=true signal-handoffs=true \
         decoded. ! queue name=camera ! pngenc ! fakesink name=album async=false \
         demux.audio ! queue ! aacparse name=sound ! {audio} ! fakesink sync=true"
    ))?;
    let number = |buffer: &gst::BufferRef| stamp::read(&buffer.map_readable().ok()?, SIZE);
    watch(&pipeline, "decoded", {
        let tally = Arc::clone(tally);
        move |buffer| {
            tally.decoded(number(buffer));
            Verdict::Pass
        }
    })?;
    let screen = element(&pipeline, "screen")?;
    screen.connect("handoff", false, {
        let tally = Arc::clone(tally);
        move |arguments| {
            let buffer = arguments.get(1).and_then(|value| value.get::<gst::Buffer>().ok());
            tally.shown(buffer.and_then(|buffer| number(&buffer)));
            None
        }
    });
    // Ahead of parser and decoder, which keep a frame to themselves.
    watch(&pipeline, "sound", {
        let tally = Arc::clone(tally);
        move |_| {
            tally.receive_audio();
            Verdict::Pass
        }
    })?;
    let mut frames = 0;
    watch(&pipeline, "camera", move |_| {
        frames += 1;
        if frames == SNAPSHOT {
            Verdict::Pass
        } else {
            Verdict::Drop
        }
    })?;
    watch(&pipeline, "album", {
        let (snapshot, written) = (PathBuf::from(snapshot), Arc::clone(written));
        move |buffer| {
            let picture = buffer.map_readable().ok();
            let is_written = picture.is_some_and(|picture| std::fs::write(&snapshot, &picture).is_ok());
            written.store(is_written, Ordering::Relaxed);
            Verdict::Pass
        }
    })?;
    let peer = peer(&pipeline, "peer", location)?;
    Ok(Side { pipeline, peer })
}
