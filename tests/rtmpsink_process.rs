//! What `rtmpsink` leaves behind in its process, and what it lets out of it: threads, descriptors, memory, and the
//! secrets of a location. A test binary of its own, whose tests run one after the other: they count what the
//! whole process has.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "elements live in real time behind real sockets"
)]

mod support;

#[allow(dead_code, reason = "tests/rtmpsink uses the rest of it")]
#[path = "rtmpsink/fixture.rs"]
mod fixture;
#[allow(dead_code, reason = "tests/rtmpsink uses the rest of it")]
#[path = "rtmpsink/flv.rs"]
mod flv;

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fixture::Sink;
use flv::{KEY_FRAME, heavy_frame, media, stream, stream_messages, video};
use gstrtmp::message::{Level, Status};
use support::script::{BlackHole, Server, connect_error, stream_result};
use support::wait::{self, LONG};
use support::{Context, Failure, Result};

/// `cargo test` runs the tests of a binary side by side.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Entries of a folder of `/proc/self`.
fn count(folder: &str) -> Result<usize> {
    let path = format!("/proc/self/{folder}");
    let entries = fs::read_dir(&path).context(format_args!("reading {path}"))?;
    // Reading it takes a descriptor of its own, each time.
    Ok(entries.count())
}

/// Names of the threads that this crate starts.
fn own_threads() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for task in fs::read_dir("/proc/self/task").context("reading /proc/self/task")? {
        // One may end while it is looked at.
        let Ok(name) = fs::read_to_string(task?.path().join("comm")) else {
            continue;
        };
        if name.starts_with("rtmp-") {
            names.push(name.trim().to_owned());
        }
    }
    Ok(names)
}

/// Does `round` a few times for what is made once and kept, and then often: as many threads and descriptors are
/// there as before.
fn leaves_nothing(round: impl Fn() -> Result<()>) -> Result<()> {
    const ROUNDS: usize = 20;
    let _alone = alone();
    for _ in 0..3 {
        round()?;
    }
    let descriptors = count("fd")?;
    for _ in 0..ROUNDS {
        round()?;
    }
    // Threads end on their own a moment after they have been told to.
    wait::until("the element's threads to end", LONG, || {
        own_threads().is_ok_and(|names| names.is_empty()).then_some(())
    })?;
    wait::until("as many descriptors as before", LONG, || {
        count("fd").is_ok_and(|now| now <= descriptors).then_some(())
    })
}

#[test]
fn cycles_of_publishing_leave_no_threads_and_descriptors() -> Result<()> {
    leaves_nothing(|| {
        let server = Server::start(|script| {
            let mut client = script.accept()?;
            client.accept_publish(1)?;
            client.read_to_end()
        })?;
        let sink = Sink::playing(&server.url("live", "key"))?;
        sink.publish(stream().concat())?;
        sink.finish()?;
        sink.stop()?;
        assert_eq!(media(&server.join_one()?), stream_messages());
        Ok(())
    })
}

#[test]
fn cycles_of_one_element_through_ready_leave_no_threads_and_descriptors() -> Result<()> {
    const ROUNDS: usize = 5;
    leaves_nothing(|| {
        let server = Server::start(|script| {
            for _ in 0..ROUNDS {
                let mut client = script.accept()?;
                client.accept_publish(1)?;
                client.read_to_end()?;
            }
            Ok(())
        })?;
        let sink = Sink::new(&server.url("live", "key"))?;
        for _ in 0..ROUNDS {
            sink.play()?;
            sink.begin(&[])?;
            sink.publish(stream().concat())?;
            sink.set_state(gst::State::Ready)?.wait()?;
        }
        assert_eq!(server.join()?.len(), ROUNDS);
        Ok(())
    })
}

#[test]
fn cycles_of_failing_leave_no_threads_and_descriptors() -> Result<()> {
    leaves_nothing(|| {
        let server = Server::start(|script| {
            let mut client = script.accept()?;
            client.handshake()?;
            let connect = client.expect_command("connect")?;
            client.send_command(0, &connect_error(&connect, "NetConnection.Connect.Rejected", ""))?;
            client.read_to_end()
        })?;
        let sink = Sink::playing(&server.url("live", "key"))?;
        sink.wait_for_problem()?
            .expect("ResourceError::NotAuthorized", "refused connect")?;
        sink.stop()?;
        server.join_one()?;
        Ok(())
    })
}

#[test]
fn cycles_of_being_stopped_in_mid_connect_leave_no_threads_and_descriptors() -> Result<()> {
    leaves_nothing(|| {
        let hole = BlackHole::dig()?;
        let sink = Sink::playing(&hole.url("live", "key")?)?;
        sink.stop()
    })
}

#[test]
fn cycles_of_being_stopped_while_blocked_leave_no_threads_and_descriptors() -> Result<()> {
    leaves_nothing(|| {
        let server = Server::start(|script| {
            let mut client = script.accept()?;
            client.accept_publish(1)?;
            client.wait_for_cue()
        })?;
        let sink = Sink::playing(&server.url("live", "key"))?;
        sink.push_until_blocked(heavy_frame)?;
        sink.stop()?;
        server.cue();
        server.join_one()?;
        Ok(())
    })
}

/// Kilobytes of memory that are this process's own.
fn anonymous_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    status
        .lines()
        .find_map(|line| {
            let figure = line.strip_prefix("RssAnon:")?;
            figure.trim().strip_suffix("kB")?.trim().parse().ok()
        })
        .ok_or_else(|| Failure::new("the kernel does not tell RssAnon"))
}

#[test]
fn a_long_stream_does_not_grow_the_process() -> Result<()> {
    let _alone = alone();
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        // Without a record, which would grow.
        client.drain()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    let publish = |mebibytes: u32| {
        (0..mebibytes * 8).try_for_each(|number| sink.publish(flv::frame(number % 1000, 128 << 10)))
    };
    publish(64)?;
    let before = anonymous_memory()?;
    publish(256)?;
    let after = anonymous_memory()?;
    sink.finish()?;
    server.join_one()?;
    assert!(
        after < before + 64 * 1024,
        "256 MiB have grown the process from {before} to {after} kB"
    );
    Ok(())
}

/// What is never to be seen.
const SECRETS: [&str; 4] = ["SECRETKEY", "SECRETTOKEN", "SECRETPART", "SECRETPW"];

/// Everything that the element's categories log while this lives.
struct Log {
    function: Option<gst::log::DebugLogFunction>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    fn capture() -> Result<Self> {
        fixture::init();
        // Standard error would be filled.
        gst::log::remove_default_log_function();
        // The categories come into being with the first element.
        gst::ElementFactory::make("rtmpsink").build()?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let function = gst::log::add_log_function(move |category, _, file, function, _, _, message| {
            if category.name().starts_with("rtmp") {
                let line = format!("{file} {function} {}", message.get().unwrap_or_default());
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        gst::log::set_threshold_for_name("rtmp*", gst::DebugLevel::Trace);
        Ok(Self {
            function: Some(function),
            lines,
        })
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        gst::log::unset_threshold_for_name("rtmp*");
        if let Some(function) = self.function.take() {
            gst::log::remove_log_function(function);
        }
    }
}

/// Asserts that nothing of what was said and logged has a secret, and that something was.
fn assert_no_secret(sink: &Sink, log: &Log) {
    let texts = sink.texts();
    let lines = log.lines();
    assert!(!lines.is_empty(), "nothing was logged");
    for text in texts.iter().chain(&lines) {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {text:?}");
        }
    }
}

fn secret_url(server: &Server) -> String {
    server.url("app", "SECRETKEY?token=SECRETTOKEN&part=SECRETPART")
}

#[test]
fn a_server_that_repeats_the_key_does_not_make_it_public() -> Result<()> {
    let _alone = alone();
    let log = Log::capture()?;
    let said = "SECRETKEY?token=SECRETTOKEN&part=SECRETPART: SECRETPART of SECRETKEY is now published";
    let server = Server::start(move |script| {
        let mut client = script.accept()?;
        client.accept_stream(1)?;
        client.expect_command("publish")?;
        client.send_status(1, Level::Status, "NetStream.Publish.Start", said)?;
        client.send_status(1, Level::Status, "NetStream.SECRETKEY.Info", said)?;
        client.read_media(2)?;
        client.send_status(1, Level::Error, "NetStream.Publish.Denied", said)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&secret_url(&server))?;
    // The server sees what it must.
    sink.publish(video(0, KEY_FRAME))?;
    server.wait_for_media(1)?;
    sink.publish(video(40, KEY_FRAME))?;
    sink.wait_for_problem()?;
    sink.stop()?;
    let connection = server.join_one()?;
    let publish = connection.command("publish")?;
    assert_eq!(
        support::script::text_argument(publish).map(|name| name.to_str_lossy().into_owned()),
        Some("SECRETKEY?token=SECRETTOKEN&part=SECRETPART".to_owned())
    );
    let texts = sink.texts();
    assert!(texts.iter().any(|text| text.contains("NetStream.Publish.Denied")));
    assert_no_secret(&sink, &log);
    Ok(())
}

#[test]
fn a_refusal_of_the_key_does_not_make_it_public() -> Result<()> {
    let _alone = alone();
    let log = Log::capture()?;
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_connect()?;
        let create_stream = client.expect_command("createStream")?;
        client.send_command(0, &stream_result(&create_stream, 1))?;
        client.expect_command("publish")?;
        let said = "wrong key SECRETKEY?token=SECRETTOKEN&part=SECRETPART, no SECRETTOKEN";
        client.send_status(1, Level::Error, "NetStream.Publish.SECRETKEY.BadName", said)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&secret_url(&server))?;
    sink.wait_for_problem()?;
    sink.stop()?;
    server.join_one()?;
    assert!(sink.texts().iter().any(|text| text.contains("refused publish")));
    assert_no_secret(&sink, &log);
    Ok(())
}

#[test]
fn locations_that_cannot_be_used_do_not_make_their_secrets_public() -> Result<()> {
    let _alone = alone();
    let log = Log::capture()?;
    for location in [
        "rtmp://me:SECRETPW@127.0.0.1/live/SECRETKEY?token=SECRETTOKEN",
        "rtmp://me:SECRETPW@127.0.0.1:SECRETPART/live/SECRETKEY",
        "rtmp://127.0.0.1/live/SECRETKEY token=SECRETTOKEN pubPasswd=SECRETPW",
        "rtmp://127.0.0.1/live/SECRETKEY nonsense=SECRETTOKEN",
        "http://me:SECRETPW@127.0.0.1/live/SECRETKEY",
        "rtmp:SECRETKEY",
    ] {
        let sink = Sink::with(location, &[("timeout", "1")])?;
        // Some can be started: the port is closed, then.
        if sink.play().is_ok() {
            sink.begin(&[])?;
            let _ = sink.push(video(0, KEY_FRAME))?;
        }
        sink.wait_for_problem().context(location)?;
        sink.stop()?;
        for text in sink.texts().iter().chain(&log.lines()) {
            for secret in SECRETS {
                assert!(!text.contains(secret), "{secret} in {text:?} of {location}");
            }
        }
    }
    Ok(())
}

#[test]
fn statuses_do_not_show_what_they_say() {
    let status = Status::new(Level::Error, "NetStream.Publish.Denied", "SECRETKEY");
    assert!(!format!("{status} {status:?}").contains("SECRETKEY"));
}
