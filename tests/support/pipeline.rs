//! Pipelines in the test's own process, with the elements under test.

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;

use super::tags::Tag;
use super::{Context, Failure, Result, tags, wait};

/// A pipeline that is torn down when dropped.
pub struct Pipeline {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
}

/// Pictures of the signal that [`publisher`] encodes, 25 a second, and as long a tone.
pub const PICTURES: usize = 75;

/// A pipeline that publishes an encoded test signal to `location`, as fast as it is taken, and decodes it itself.
/// `video` and `audio` have what is encoded, `pictures` and `sounds` what is decoded, `sink` what is published.
pub fn publisher(location: &str, b_frames: u32) -> String {
    // Without limits: what one branch waits for may be far ahead in another.
    let queue = "queue max-size-buffers=0 max-size-bytes=0 max-size-time=0";
    format!(
        "videotestsrc num-buffers={PICTURES} pattern=ball ! video/x-raw,width=160,height=120,framerate=25/1 \
         ! x264enc bframes={b_frames} b-adapt=false key-int-max=25 bitrate=200 speed-preset=superfast \
         ! video/x-h264,profile=main,stream-format=avc ! tee name=video \
         audiotestsrc num-buffers=130 wave=ticks ! audio/x-raw,rate=44100,channels=2 ! avenc_aac ! tee name=audio \
         video. ! {queue} ! flvmux name=mux streamable=true ! rtmpsink name=sink location={location} sync=false \
         audio. ! {queue} ! mux. \
         video. ! {queue} ! avdec_h264 ! fakesink name=pictures sync=false async=false \
         audio. ! {queue} ! avdec_aac ! fakesink name=sounds sync=false async=false"
    )
}

/// What has gone through a pad, see [`Pipeline::tap`].
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Vec<gst::Buffer>>>);

/// One buffer of elementary media.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Buffer {
    /// Presentation time after that of the first buffer, in whole milliseconds as FLV has it.
    pub pts: Option<i64>,
    /// Bytes.
    pub size: usize,
    /// MD5 of the bytes, in hexadecimal.
    pub md5: String,
}

/// Makes sure that `rtmpsink` and `rtmpsrc` are the ones of this crate, whatever is installed.
pub fn register() -> Result<()> {
    static ONCE: Once = Once::new();
    gst::init()?;
    let mut result = Ok(());
    ONCE.call_once(|| {
        result = gstrtmp::plugin_register_static().context("registering the plugin");
    });
    result
}

impl Pipeline {
    /// A pipeline as one types it to `gst-launch-1.0`.
    pub fn new(description: &str) -> Result<Self> {
        register()?;
        let pipeline = gst::parse::launch(description)
            .context(description)?
            .downcast::<gst::Pipeline>()
            .map_err(|_| Failure::new(format!("not a pipeline: {description}")))?;
        let bus = pipeline.bus().ok_or(Failure::new("a pipeline has no bus"))?;
        let pipeline = Self { pipeline, bus };
        for element in pipeline.pipeline.iterate_elements().into_iter().flatten() {
            let name = element.factory().map(|factory| factory.name());
            if matches!(name.as_deref(), Some("rtmpsink" | "rtmpsrc"))
                && !element.type_().name().starts_with("GstRs")
            {
                let type_ = element.type_();
                return Err(Failure::new(format!("{type_} is not what is tested here")));
            }
        }
        Ok(pipeline)
    }

    /// A running pipeline with an `rtmpsrc` that the server has told that it plays.
    pub fn playing(description: &str) -> Result<Self> {
        let pipeline = Self::new(description)?;
        pipeline.play()?;
        pipeline.wait_for_status("NetStream.Play.Start")?;
        Ok(pipeline)
    }

    /// A pipeline that has run to the end of its stream.
    pub fn run(description: &str) -> Result<()> {
        let pipeline = Self::new(description)?;
        pipeline.play()?;
        pipeline.wait_for_eos()
    }

    /// An element by its name.
    pub fn element(&self, name: &str) -> Result<gst::Element> {
        self.pipeline
            .by_name(name)
            .ok_or_else(|| Failure::new(format!("the pipeline has no element {name}")))
    }

    /// Keeps all that goes into the element `name` from now on.
    pub fn tap(&self, name: &str) -> Result<Tap> {
        let tap = Tap::default();
        let buffers = Arc::clone(&tap.0);
        let pad = self
            .element(name)?
            .static_pad("sink")
            .ok_or_else(|| Failure::new(format!("{name} has no pad sink")))?;
        pad.add_probe(
            gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
            move |_, info| {
                let mut buffers = buffers.lock().unwrap_or_else(PoisonError::into_inner);
                match &info.data {
                    Some(gst::PadProbeData::Buffer(buffer)) => buffers.push(buffer.clone()),
                    Some(gst::PadProbeData::BufferList(list)) => buffers.extend(list.iter_owned()),
                    _ => {}
                }
                gst::PadProbeReturn::Ok
            },
        );
        Ok(tap)
    }

    /// Starts the pipeline.
    pub fn play(&self) -> Result<()> {
        self.set_state(gst::State::Playing)
    }

    /// Pauses the pipeline.
    pub fn pause(&self) -> Result<()> {
        self.set_state(gst::State::Paused)
    }

    /// Stops the pipeline, so that it can be started again.
    pub fn ready(&self) -> Result<()> {
        self.set_state(gst::State::Ready)
    }

    /// Stops the pipeline, to be started again.
    pub fn stop(&self) -> Result<()> {
        self.set_state(gst::State::Null)
    }

    fn set_state(&self, state: gst::State) -> Result<()> {
        match self.pipeline.set_state(state) {
            Ok(_) => Ok(()),
            // The message on the bus says why.
            Err(error) => Err(self
                .wait_for(Duration::ZERO, |_| None::<()>)
                .err()
                .unwrap_or_else(|| error.into())),
        }
    }

    /// Waits until `find` has found something in the messages, which are taken. An error or a too early end fails.
    pub fn wait_for<T>(
        &self,
        within: Duration,
        mut find: impl FnMut(&gst::MessageView<'_>) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = gst::ClockTime::try_from(left).unwrap_or(gst::ClockTime::MAX);
            let Some(message) = self.bus.timed_pop(left) else {
                return Err(Failure::new(format!(
                    "the pipeline did not do within {within:?} what was awaited of it"
                )));
            };
            let view = message.view();
            if let Some(found) = find(&view) {
                return Ok(found);
            }
            match view {
                gst::MessageView::Error(error) => return Err(describe(error)),
                gst::MessageView::Eos(_) => return Err(Failure::new("the stream ended too early")),
                _ => {}
            }
        }
    }

    /// Waits until the server has sent a status of this code.
    pub fn wait_for_status(&self, code: &str) -> Result<()> {
        self.wait_for(wait::LONG, |message| match message {
            gst::MessageView::Element(message) => message
                .structure()
                .filter(|structure| structure.name() == "rtmp-status")
                .and_then(|structure| structure.get::<String>("code").ok())
                .filter(|said| said == code)
                .map(drop),
            _ => None,
        })
        .context(format!("waiting for {code}"))
    }

    /// Waits until the pipeline has come to the end of its stream.
    pub fn wait_for_eos(&self) -> Result<()> {
        self.wait_for(wait::LONG * 2, |message| {
            matches!(message, gst::MessageView::Eos(_)).then_some(())
        })
        .context("waiting for the end of the stream")
    }

    /// Waits until the pipeline has come to the end of its stream; gives the warnings of the way.
    pub fn warnings_until_eos(&self) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        self.wait_for(wait::LONG * 2, |message| match message {
            gst::MessageView::Warning(warning) => {
                warnings.push(warning.error().message().to_owned());
                None
            }
            message => matches!(message, gst::MessageView::Eos(_)).then_some(()),
        })
        .context("waiting for the end of the stream")?;
        Ok(warnings)
    }

    /// Waits until the pipeline is in the state that it was set to.
    pub fn wait_for_state(&self) -> Result<()> {
        self.wait_for(wait::LONG, |message| {
            matches!(message, gst::MessageView::AsyncDone(_)).then_some(())
        })
        .context("waiting for the change of state")
    }

    /// Waits until the pipeline has failed; gives the first error.
    pub fn wait_for_error(&self) -> Result<glib::Error> {
        self.wait_for(wait::LONG, |message| match message {
            gst::MessageView::Error(error) => Some(error.error()),
            _ => None,
        })
        .context("waiting for an error")
    }

    /// A figure of the property `stats` of the element `name`; 0 when there is none.
    pub fn figure(&self, name: &str, field: &str) -> Result<u64> {
        let stats: gst::Structure = self.element(name)?.property("stats");
        Ok(stats.get(field).unwrap_or_default())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Fails only of elements that have failed already.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn describe(error: &gst::message::Error) -> Failure {
    Failure::new(format!(
        "{} ({})",
        error.error(),
        error.debug().unwrap_or_default()
    ))
}

impl Tap {
    fn lock(&self) -> MutexGuard<'_, Vec<gst::Buffer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Buffers that went through so far.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// The FLV tags that went through.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        let pieces: Result<Vec<_>> = self.lock().iter().cloned().map(tags::bytes).collect();
        tags::parse(pieces?)
    }

    /// Decoding times of the buffers that are no headers, in whole milliseconds.
    pub fn times(&self) -> Vec<Option<u64>> {
        self.lock()
            .iter()
            .filter(|buffer| !buffer.flags().contains(gst::BufferFlags::HEADER))
            .map(|buffer| buffer.dts().map(gst::ClockTime::mseconds))
            .collect()
    }

    /// The buffers that went through.
    pub fn buffers(&self) -> Result<Vec<Buffer>> {
        let buffers = self.lock();
        let millis = |buffer: &gst::Buffer| buffer.pts().map(|pts| pts.mseconds().cast_signed());
        let first = buffers.first().and_then(millis).unwrap_or_default();
        buffers
            .iter()
            .map(|buffer| {
                let bytes = tags::bytes(buffer.clone())?;
                Ok(Buffer {
                    pts: millis(buffer).map(|pts| pts - first),
                    size: bytes.len(),
                    md5: tags::md5(&bytes),
                })
            })
            .collect()
    }
}
