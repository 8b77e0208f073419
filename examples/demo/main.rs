//! Publishes a live test signal with `rtmpsink`, plays it with `rtmpsrc`, and tells what arrived. `scripts/demo` builds
//! everything and runs this; it is also an example of how an application uses the elements.
//!
//! ```text
//!   videotestsrc, audiotestsrc -> H.264, AAC -> flvmux -> rtmpsink --.
//!                                                                    | rtmp://
//!   pictures, sound, snapshot <- decoders <- flvdemux <- rtmpsrc  <--'
//! ```
#![allow(
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "a program that lives in real time"
)]

mod pipelines;
mod report;
mod server;
mod stamp;
mod tally;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstrtmp::url::RtmpUrl;
use lexopt::{Arg, Parser, ValueExt};

use self::pipelines::{RATE, Side};
use self::report::{Progress, Summary, print};
use self::server::Server;
use self::tally::Tally;

const HELP: &str = "\
Publishes a live H.264/AAC test signal with rtmpsink, plays it with rtmpsrc, and tells what arrived.

Usage: scripts/demo [OPTIONS] [rtmp://HOST/APPLICATION/STREAM]

Without a URL it goes through a server of its own on a free port of this machine.

Options:
      --seconds NUMBER   how long to play, 1 to 1800 [default: 10]
      --snapshot FILE    where to write a decoded frame as PNG [default: demo-out/frame.png]
  -h, --help             print this
";

/// Beyond this the numbers in the frames would start over.
const MAX_SECONDS: u64 = 1800;
const _: () = assert!(
    MAX_SECONDS as usize * RATE < u16::MAX as usize - 60 * RATE,
    "numbers are left for the start"
);

/// How long the first or the next frame may take to come.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long the end of a stream may take to get to the player: some servers never tell.
const FAREWELL: Duration = Duration::from_secs(3);

/// Some servers know a stream only some time after its first frame.
const RETRY: Duration = Duration::from_millis(500);

/// How often everything is looked at.
const TICK: Duration = Duration::from_millis(20);

pub type Result<T> = std::result::Result<T, Failure>;

/// Why the demo failed, in a sentence.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the command line asks for.
struct Arguments {
    url: Option<String>,
    length: Duration,
    snapshot: PathBuf,
}

/// `None` when only help was asked for.
fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> std::result::Result<Option<Arguments>, lexopt::Error> {
    let mut parsed = Arguments {
        url: None,
        length: Duration::from_secs(10),
        snapshot: "demo-out/frame.png".into(),
    };
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("seconds") => {
                let seconds = parser.value()?.parse_with(|text| match text.parse() {
                    Ok(seconds) if (1..=MAX_SECONDS).contains(&seconds) => Ok(seconds),
                    _ => Err("not a number from 1 to 1800"),
                })?;
                parsed.length = Duration::from_secs(seconds);
            }
            Arg::Long("snapshot") => parsed.snapshot = parser.value()?.into(),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(url) if parsed.url.is_none() => parsed.url = Some(url.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(parsed))
}

/// What a pipeline has come to.
enum Outcome {
    Ended,
    /// The server does not have the stream, or not yet.
    NotFound(Failure),
    Failed(Failure),
}

/// What is on the bus of a pipeline, waiting for it no longer than `within`.
fn outcome(side: &Side, within: Duration) -> Option<Outcome> {
    let bus = side.pipeline.bus()?;
    let within = gst::ClockTime::try_from(within).ok();
    let message = bus.timed_pop_filtered(within, &[gst::MessageType::Error, gst::MessageType::Eos])?;
    let gst::MessageView::Error(error) = message.view() else {
        return Some(Outcome::Ended);
    };
    let source = message
        .src()
        .and_then(|source| source.downcast_ref::<gst::Element>());
    let name = source.and_then(|element| Some(element.factory()?.name()));
    let failure = Failure::new(format!(
        "{}: {}",
        name.as_deref().unwrap_or("GStreamer"),
        error.error()
    ));
    if error.error().matches(gst::ResourceError::NotFound) {
        return Some(Outcome::NotFound(failure));
    }
    Some(Outcome::Failed(failure))
}

/// A run from the start of the publisher to the summary.
struct Demo {
    location: String,
    length: Duration,
    snapshot: PathBuf,
    has_snapshot: Arc<AtomicBool>,
    tally: Arc<Tally>,
    is_interrupted: Arc<AtomicBool>,
}

impl Demo {
    fn is_interrupted(&self) -> bool {
        self.is_interrupted.load(Ordering::Relaxed)
    }

    /// Waits until the sink has sent pictures.
    fn publish(&self) -> Result<Side> {
        let publisher = pipelines::publisher(&self.location, &self.tally)?;
        publisher.start();
        let deadline = Instant::now() + PATIENCE;
        while publisher.stat("out-video-messages") == 0 && !self.is_interrupted() {
            match outcome(&publisher, TICK) {
                Some(Outcome::Failed(failure) | Outcome::NotFound(failure)) => return Err(failure),
                Some(Outcome::Ended) => return Err(Failure::new("the test signal has ended by itself")),
                None if Instant::now() > deadline => {
                    return Err(Failure::new(format!(
                        "nothing could be published within {} s: see what the server's log says",
                        PATIENCE.as_secs()
                    )));
                }
                None => {}
            }
        }
        Ok(publisher)
    }

    /// Plays until enough has come or it is interrupted. True if the stream's end came first.
    fn play(&self, publisher: &Side, player: &Side) -> Result<bool> {
        let mut progress = Progress::new();
        let mut retry = None;
        let started = Instant::now();
        let ended = loop {
            if self.is_interrupted() {
                break Ok(false);
            }
            if let Some(Outcome::Failed(failure) | Outcome::NotFound(failure)) =
                outcome(publisher, Duration::ZERO)
            {
                break Err(failure);
            }
            match outcome(player, TICK) {
                Some(Outcome::Ended) => break Ok(true),
                Some(Outcome::Failed(failure)) => break Err(failure),
                Some(Outcome::NotFound(failure)) if started.elapsed() > PATIENCE => break Err(failure),
                Some(Outcome::NotFound(_)) => {
                    let _ = player.pipeline.set_state(gst::State::Null);
                    retry = Some(Instant::now() + RETRY);
                }
                None => {}
            }
            if retry.is_some_and(|at| at <= Instant::now()) {
                retry = None;
                player.start();
            }
            let counts = self.tally.counts();
            if counts.first.is_some() {
                progress.show(&counts, player.stat("in-bytes-total"));
            }
            if counts.seconds() >= self.length.as_secs_f64() {
                break Ok(false);
            }
            if counts.last.unwrap_or(started).elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                break Err(Failure::new(match counts.first {
                    None => format!(
                        "the stream was published, but not one frame came back within {seconds} s: does the server \
                         let players have what is published?"
                    ),
                    Some(_) => format!("no frame has come for {seconds} s: see what the server's log says"),
                }));
            }
        };
        progress.finish();
        ended
    }

    /// Ends the published stream, and sees whether the player gets to know.
    fn end(&self, publisher: &Side, player: &Side) -> Result<bool> {
        publisher.pipeline.send_event(gst::event::Eos::new());
        match outcome(publisher, PATIENCE) {
            Some(Outcome::Ended) => {}
            Some(Outcome::Failed(failure) | Outcome::NotFound(failure)) => return Err(failure),
            None => return Err(Failure::new("the publisher did not get to its end")),
        }
        Ok(matches!(outcome(player, FAREWELL), Some(Outcome::Ended)))
    }

    fn run(&self) -> Result<()> {
        let publisher = self.publish()?;
        let player = pipelines::player(&self.location, &self.tally, &self.snapshot, &self.has_snapshot)?;
        let started = Instant::now();
        player.start();
        let mut has_ended = self.play(&publisher, &player)?;
        if !has_ended {
            has_ended = self.end(&publisher, &player)?;
        }
        let counts = self.tally.counts();
        let is_written = self.has_snapshot.load(Ordering::Relaxed);
        let summary = Summary {
            counts: &counts,
            bytes: (publisher.stat("out-bytes-total"), player.stat("in-bytes-total")),
            first_frame: counts.first.map(|first| first.saturating_duration_since(started)),
            has_ended,
            snapshot: is_written.then_some(&self.snapshot),
        };
        print(&summary.to_string());
        if self.is_interrupted() {
            return Err(Failure::new("interrupted"));
        }
        let what = match (counts.frames(), counts.audio, is_written) {
            (0, ..) => "no video arrived",
            (_, 0, _) => "no audio arrived",
            (.., false) => "the snapshot could not be written",
            (.., true) => return Ok(()),
        };
        Err(Failure::new(what))
    }
}

fn run(arguments: Arguments) -> Result<()> {
    gst::init().map_err(|error| Failure::new(format!("GStreamer does not start: {error}")))?;
    pipelines::check()?;
    let is_interrupted = Arc::new(AtomicBool::new(false));
    ctrlc::set_handler({
        let is_interrupted = Arc::clone(&is_interrupted);
        move || is_interrupted.store(true, Ordering::Relaxed)
    })
    .map_err(|error| Failure::new(format!("cannot handle Ctrl-C: {error}")))?;
    if let Some(folder) = arguments.snapshot.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", folder.display())))?;
    }

    let (server, location) = match arguments.url {
        Some(url) => (None, url),
        None => {
            let server = Server::start()?;
            let location = format!("{}live/demo", server.url);
            (Some(server), location)
        }
    };
    // Its Display shows no stream key.
    let url = RtmpUrl::parse(&location).map_err(|fault| Failure::new(fault.to_string()))?;
    let whose = if server.is_some() {
        "the embedded server at "
    } else {
        ""
    };
    print(&format!("publishing to and playing from {whose}{url}\n"));

    let demo = Demo {
        location,
        length: arguments.length,
        snapshot: arguments.snapshot,
        has_snapshot: Arc::default(),
        tally: Arc::default(),
        is_interrupted,
    };
    demo.run()
}

fn main() -> ExitCode {
    let failure = match parse(std::env::args_os().skip(1)) {
        Ok(None) => {
            print(HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Some(arguments)) => match run(arguments) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(failure) => failure.to_string(),
        },
        Err(error) => format!("{error}; see --help"),
    };
    eprintln!("demo: {failure}");
    ExitCode::FAILURE
}
