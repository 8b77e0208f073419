//! Playing: what the element pushes ends in a pad that only counts.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gst::prelude::*;

use crate::clock;
use crate::contender::Contender;
use crate::peer::{NUMBER, Peer, say};
use crate::publish::{location, report_times};
use crate::terms::Terms;
use crate::wire::PlainWire;

/// Bytes that pass before anything is measured.
const WARM_UP: u64 = 8 << 20;

/// Bytes of an FLV tag before its body.
const TAG_HEADER: usize = 11;

/// Most time for that.
const PATIENCE: u64 = 20_000_000_000;

/// What an element has pushed.
#[derive(Default)]
struct Counted {
    buffers: AtomicU64,
    bytes: AtomicU64,
}

/// A playing element.
pub(crate) struct Player {
    pipeline: gst::Pipeline,
    /// Linked to the element for as long as it is here.
    _pad: gst::Pad,
}

impl Player {
    /// `arrived` is called with each buffer, on the streaming thread.
    pub(crate) fn start(
        contender: Contender,
        port: u16,
        terms: &Terms,
        arrived: impl Fn(&gst::Buffer) + Send + Sync + 'static,
    ) -> Self {
        let source = contender.element(false, &location(port, terms));
        let pipeline = gst::Pipeline::new();
        pipeline.add(&source).expect("a pipeline takes an element");
        let arrived = Arc::new(arrived);
        let of_list = Arc::clone(&arrived);
        let pad = gst::Pad::builder(gst::PadDirection::Sink)
            .name("counter")
            .chain_function(move |_, _, buffer| {
                arrived(&buffer);
                Ok(gst::FlowSuccess::Ok)
            })
            .chain_list_function(move |_, _, list| {
                list.iter_owned().for_each(|buffer| of_list(&buffer));
                Ok(gst::FlowSuccess::Ok)
            })
            .event_function(|_, _, _| true)
            .build();
        pad.set_active(true).expect("a pad of its own");
        source
            .static_pad("src")
            .expect("a source has a pad")
            .link(&pad)
            .expect("it takes anything");
        pipeline
            .set_state(gst::State::Playing)
            .expect("the source starts");
        Self { pipeline, _pad: pad }
    }

    pub(crate) fn stop(self) {
        self.pipeline
            .set_state(gst::State::Null)
            .expect("the source stops");
    }
}

/// Plays messages of `size` bytes in chunks of `chunk` for `milliseconds`. Tells `result NANOSECONDS CPU MESSAGES BYTES`.
pub(crate) fn throughput(terms: &Terms) {
    let contender = Contender::parse(terms.text("contender"));
    let duration = Duration::from_millis(terms.number("milliseconds"));
    let server = terms
        .of_peer("peer-write")
        .with("size", terms.number("size"))
        .with("chunk", terms.number("chunk"))
        .with("plain", u8::from(contender == Contender::Plain));
    let peer = Peer::start(&server);
    let counted = Arc::new(Counted::default());
    let count = {
        let counted = Arc::clone(&counted);
        move |bytes: usize| {
            counted.buffers.fetch_add(1, Ordering::Relaxed);
            counted.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    };
    let player = if contender == Contender::Plain {
        let mut stream = PlainWire::connect(peer.port, terms).expect("the peer listens");
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(taken @ 1..) = stream.read(&mut buffer) {
                count(taken);
            }
        });
        None
    } else {
        gst::init().expect("GStreamer starts");
        Some(Player::start(contender, peer.port, terms, move |buffer| {
            count(buffer.size())
        }))
    };
    let bytes = || counted.bytes.load(Ordering::Relaxed);
    let buffers = || counted.buffers.load(Ordering::Relaxed);
    let patience = clock::now() + PATIENCE;
    while bytes() < WARM_UP {
        assert!(clock::now() < patience, "{contender} gives no media");
        thread::sleep(Duration::from_millis(1));
    }
    let before = (clock::now(), clock::cpu(), buffers(), bytes());
    thread::sleep(duration);
    let after = (clock::now(), clock::cpu(), buffers(), bytes());
    say(format_args!(
        "result {} {} {} {}",
        after.0 - before.0,
        after.1 - before.1,
        after.2 - before.2,
        after.3 - before.3
    ));
    drop(peer);
    if let Some(player) = player {
        player.stop();
    }
}

/// Plays `count` messages of `size` bytes that come `rate` a second. Tells `result NANOSECONDS ..`: from the peer's
/// write of each to the pad.
pub(crate) fn latency(terms: &Terms) {
    let contender = Contender::parse(terms.text("contender"));
    let (size, count) = (terms.number("size") as usize, terms.number("count") as usize);
    let is_plain = contender == Contender::Plain;
    let server = Terms::new("peer-write")
        .with("size", size)
        .with("chunk", terms.number("chunk"))
        .with("rate", terms.number("rate"))
        .with("count", count)
        .with("plain", u8::from(is_plain));
    let mut peer = Peer::start(&server);
    // When which message was there.
    let arrivals = Arc::new(Mutex::new(vec![None; count + 1]));
    let record = {
        let arrivals = Arc::clone(&arrivals);
        move |number: usize| {
            let now = clock::now();
            arrivals.lock().expect("nobody panics with it")[number] = Some(now);
        }
    };
    let player = if is_plain {
        let mut stream = TcpStream::connect(("127.0.0.1", peer.port)).expect("the peer listens");
        thread::spawn(move || {
            // What opens the stream comes at once, and is over before the first message is due.
            let mut buffer = vec![0; 256 << 10];
            let mut total = 0;
            let mut opened = 0;
            stream
                .set_read_timeout(Some(Duration::from_millis(150)))
                .expect("a timeout above zero");
            while let Ok(taken @ 1..) = stream.read(&mut buffer) {
                opened += taken;
            }
            assert!(opened > 0, "the peer has opened the stream");
            stream.set_read_timeout(None).expect("no timeout");
            while let Ok(taken @ 1..) = stream.read(&mut buffer) {
                let before = total / size;
                total += taken;
                (before..(total / size).min(count)).for_each(|number| record(number + 1));
            }
        });
        None
    } else {
        gst::init().expect("GStreamer starts");
        Some(Player::start(contender, peer.port, terms, move |buffer| {
            let mut number = [0; 4];
            if buffer.size() >= size && buffer.copy_to_slice(TAG_HEADER + NUMBER, &mut number).is_ok() {
                record(u32::from_be_bytes(number) as usize);
            }
        }))
    };
    let writes = peer.expect("times");
    thread::sleep(Duration::from_millis(100));
    let arrivals = arrivals.lock().expect("nobody panics with it").clone();
    let (writes, arrivals): (Vec<u64>, Vec<u64>) = writes
        .iter()
        .zip(&arrivals[1..])
        .filter_map(|(write, arrival)| Some((*write, (*arrival)?)))
        .unzip();
    // rtmp2src keeps the last one until more comes.
    assert!(
        arrivals.len() + 2 > count,
        "{} messages at the pad of {contender}",
        arrivals.len()
    );
    report_times(&writes, &arrivals);
    if let Some(player) = player {
        player.stop();
    }
}
