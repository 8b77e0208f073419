//! `rtmpsink` and `rtmpsrc` by RTMPT: what they carry, and what they say when HTTP or the server behind it fails.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "servers live in real time behind real sockets"
)]

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relay::{Options, Reason, Relay};
use support::ffmpeg::utf8;
use support::pipeline::{PICTURES, Pipeline, publisher};
use support::wait::{self, LONG};
use support::{Context, Failure, Result, tags};

fn start() -> Result<Relay> {
    Relay::start(Options::default()).context("starting the relay")
}

/// A picture that goes on for ever, published to `location`.
fn live(location: &str, properties: &str) -> String {
    format!(
        "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 \
         ! x264enc tune=zerolatency key-int-max=25 ! flvmux streamable=true \
         ! rtmpsink name=sink location={location} {properties}"
    )
}

/// Waits until `live/main` is published and so many messages of video have come.
fn wait_for_video(relay: &Relay, count: u64) -> Result<()> {
    relay.wait_for(LONG, |snapshot| {
        snapshot
            .publisher("live/main")
            .is_some_and(|publisher| publisher.messages_in.video >= count)
    })?;
    Ok(())
}

/// What stands between client and server, and can cut or hold up what goes through.
struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Answers are not passed on any more.
    is_mute: AtomicBool,
    /// Answers behind which a connection is closed; 0 is never.
    cut_after: AtomicUsize,
    connections: AtomicUsize,
}

impl Wire {
    fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        // Ends with the test's process, as do the threads of the connections.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                theirs.connections.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(server) else {
                    return;
                };
                let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else {
                    return;
                };
                let idle = Arc::default();
                thread::spawn(move || copy(from_client, to_server, &idle, true));
                let shared = Arc::clone(&theirs);
                thread::spawn(move || copy(server, client, &shared, false));
            }
        });
        Ok(Self { address, shared })
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/live/main", self.address)
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, shared: &Shared, is_request: bool) {
    let mut buffer = [0; 16 << 10];
    let mut answers = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if shared.is_mute.load(Ordering::SeqCst) {
            continue;
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        if to.write_all(bytes).is_err() {
            break;
        }
        // Loopback does not cut what was written in one go.
        answers += usize::from(!is_request && bytes.starts_with(b"HTTP/1.1 200"));
        let most = shared.cut_after.load(Ordering::SeqCst);
        if most > 0 && answers >= most && bytes.len() < 1000 {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

/// Answers the first requests on each connection with `answers`, and then with nothing.
fn server(answers: &'static [&'static str]) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut answers = answers.iter();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = client.read(&mut buffer) {
                    if buffer
                        .get(..count)
                        .is_some_and(|request| request.starts_with(b"POST "))
                        && let Some(answer) = answers.next()
                        && client.write_all(answer.as_bytes()).is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

/// The error of a source that plays from `location`.
fn error_of(location: &str) -> Result<glib::Error> {
    let player = Pipeline::new(&format!("rtmpsrc location={location} timeout=1 ! fakesink"))?;
    player.play()?;
    player.wait_for_error()
}

fn assert_says(error: &glib::Error, kind: gst::ResourceError, sentence: &str) {
    assert_eq!(error.kind(), Some(kind), "{error}");
    assert!(error.message().contains(sentence), "{error}");
}

#[test]
fn what_is_published_is_played_to_its_last_frame() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let got = folder.path().join("got.flv");
    for scheme in ["rtmpt", "rtmpte"] {
        let relay = start()?;
        let wire = Wire::to(relay.address())?;
        wire.shared.cut_after.store(5, Ordering::SeqCst);
        let player = Pipeline::new(&format!(
            "rtmpsrc location={} ! filesink location={}",
            wire.url(scheme),
            utf8(&got)?
        ))?;
        player.play()?;
        relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
        let publisher = Pipeline::new(&publisher(&wire.url(scheme), 2))?;
        let published = publisher.tap("sink")?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        player.wait_for_eos()?;
        drop(player);
        let (sent, got) = (tags::frames(&published.tags()?), tags::frames(&tags::read(&got)?));
        assert!(sent.len() > PICTURES);
        assert_eq!(got, sent, "{scheme}");
        let connections = wire.shared.connections.load(Ordering::SeqCst);
        assert!(connections > 4, "{connections} connections");
        let reasons: Vec<_> = relay
            .snapshot()
            .gone
            .into_iter()
            .map(|gone| gone.reason)
            .collect();
        assert!(
            reasons.iter().all(|reason| matches!(reason, Reason::Left)),
            "{reasons:?}"
        );
    }
    Ok(())
}

#[test]
fn a_paused_publisher_goes_on() -> Result<()> {
    let relay = start()?;
    let sink = Pipeline::new(&live(&relay.url_by("rtmpt", "live", "main"), ""))?;
    sink.play()?;
    wait_for_video(&relay, 10)?;
    sink.pause()?;
    sink.play()?;
    let come = relay
        .snapshot()
        .publisher("live/main")
        .map_or(0, |publisher| publisher.messages_in.video);
    wait_for_video(&relay, come + 10)?;
    assert_eq!(relay.snapshot().gone.len(), 0);
    Ok(())
}

#[test]
fn stopping_closes_the_session_at_once() -> Result<()> {
    let relay = start()?;
    let location = relay.url_by("rtmpt", "live", "main");
    let sink = Pipeline::new(&live(&location, ""))?;
    sink.play()?;
    wait_for_video(&relay, 5)?;
    let source = Pipeline::new(&format!("rtmpsrc location={location} ! fakesink"))?;
    source.play()?;
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
    let started = Instant::now();
    source.stop()?;
    sink.stop()?;
    // Long before the server gives up sessions of which it hears nothing.
    let snapshot = relay.wait_for(Duration::from_secs(10), |snapshot| snapshot.gone.len() == 2)?;
    assert!(started.elapsed() < Duration::from_secs(10));
    for gone in &snapshot.gone {
        assert!(
            matches!(gone.reason, Reason::Left | Reason::Failed(_)),
            "{:?}",
            gone.reason
        );
    }
    Ok(())
}

#[test]
fn a_server_that_goes_is_a_loss() -> Result<()> {
    for is_sink in [true, false] {
        let relay = start()?;
        let location = relay.url_by("rtmpt", "live", "main");
        let sink = Pipeline::new(&live(&location, ""))?;
        sink.play()?;
        wait_for_video(&relay, 5)?;
        let source = Pipeline::new(&format!("rtmpsrc location={location} ! fakesink"))?;
        source.play()?;
        relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
        drop(relay);
        let (pipeline, kind) = if is_sink {
            (&sink, gst::ResourceError::Write)
        } else {
            (&source, gst::ResourceError::Read)
        };
        let error = pipeline.wait_for_error()?;
        assert_eq!(error.kind(), Some(kind), "{error}");
    }
    Ok(())
}

#[test]
fn a_server_that_answers_no_more_is_given_up_in_time() -> Result<()> {
    let relay = start()?;
    let wire = Wire::to(relay.address())?;
    let sink = Pipeline::new(&live(&wire.url("rtmpt"), "timeout=1"))?;
    sink.play()?;
    wait_for_video(&relay, 5)?;
    wire.shared.is_mute.store(true, Ordering::SeqCst);
    let muted = Instant::now();
    let error = sink.wait_for_error()?;
    assert_says(&error, gst::ResourceError::Write, "has stopped reading");
    assert!(muted.elapsed() < LONG / 2);
    Ok(())
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() -> Result<()> {
    let silent = server(&[])?;
    let error = error_of(&format!("rtmpt://{silent}/live/main"))?;
    assert_says(
        &error,
        gst::ResourceError::OpenRead,
        "did not answer an HTTP request in time",
    );
    let opens = server(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab12\n"])?;
    let error = error_of(&format!("rtmpt://{opens}/live/main"))?;
    assert_says(
        &error,
        gst::ResourceError::OpenRead,
        "did not answer the RTMP handshake in time",
    );
    Ok(())
}

#[test]
fn web_servers_without_rtmpt_are_told_from_those_with() -> Result<()> {
    use gst::ResourceError::{NotAuthorized, OpenRead};
    for (answers, kind, sentence) in [
        (
            &["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"][..],
            OpenRead,
            "is a web server without RTMPT: it answered with HTTP status 404.",
        ),
        (
            &["HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"],
            OpenRead,
            "answered with a web page instead of RTMPT.",
        ),
        (
            &["HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"],
            NotAuthorized,
            "wants a login for HTTP",
        ),
        (
            &["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"],
            OpenRead,
            "opened no session: it answered with HTTP status 503.",
        ),
        (
            &["HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"],
            OpenRead,
            "sends clients on to where there is no RTMPT",
        ),
    ] {
        let address = server(answers)?;
        let error = error_of(&format!("rtmpt://{address}/live/main"))?;
        assert_says(&error, kind, sentence);
    }
    Ok(())
}

#[test]
fn an_open_that_is_sent_on_to_a_host_that_nobody_named_is_not_followed() -> Result<()> {
    let address =
        server(&["HTTP/1.1 302 Found\r\nLocation: http://localhost/open/1\r\nContent-Length: 0\r\n\r\n"])?;
    let location = format!("rtmpt://{address}/live/main");
    for properties in [
        "",
        "redirect-hosts=elsewhere",
        "redirect-hosts=localhost follow-redirects=false",
    ] {
        let error = error_of(&format!("{location} {properties}"))?;
        assert_says(
            &error,
            gst::ResourceError::OpenRead,
            "sends clients on to another place by HTTP",
        );
    }
    Ok(())
}

#[test]
fn an_open_that_is_sent_on_is_followed() -> Result<()> {
    let relay = start()?;
    // Another name for the same address.
    let there = format!("localhost:{}", relay.address().port());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let here = listener.local_addr()?;
    let asked = thread::spawn(move || -> std::io::Result<()> {
        let (mut client, _) = listener.accept()?;
        let mut buffer = [0; 4096];
        let _ = client.read(&mut buffer)?;
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{there}/open/1\r\nContent-Length: 0\r\n\r\n"
        );
        client.write_all(answer.as_bytes())
    });
    let location = format!("rtmpt://{here}/live/main");
    let sink = Pipeline::new(&live(&location, "redirect-hosts=localhost"))?;
    sink.play()?;
    wait_for_video(&relay, 5)?;
    asked.join().map_err(|_| Failure::new("nobody asked"))??;
    Ok(())
}

/// Ticks of a hundredth of a second that this process has computed.
#[cfg(target_os = "linux")]
fn cpu_ticks() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or(Failure::new("no fields"))?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields
        .iter()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().context("reading /proc"))
        .sum()
}

#[cfg(target_os = "linux")]
#[test]
fn waiting_for_a_publisher_costs_next_to_nothing() -> Result<()> {
    let relay = start()?;
    let source = Pipeline::new(&format!(
        "rtmpsrc name=src location={} ! fakesink",
        relay.url_by("rtmpt", "live", "main")
    ))?;
    source.play()?;
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
    let (from, before) = (Instant::now(), cpu_ticks()?);
    wait::until("two seconds to pass", LONG, || {
        (from.elapsed() >= Duration::from_secs(2)).then_some(())
    })?;
    // Polls and the wait itself: a thread that spins would need 200.
    let ticks = cpu_ticks()? - before;
    assert!(ticks < 40, "{ticks} ticks");
    Ok(())
}
