//! Publishing: prebuilt FLV buffers are pushed into the element's pad from the only thread that does anything else.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};

use gst::prelude::*;

use crate::clock;
use crate::contender::Contender;
use crate::peer::{MARK, Peer, audio_body, say, video_body};
use crate::terms::Terms;
use crate::wire::PlainWire;

/// Buffers that are pushed over and over; more of the small ones, so that their time seldom starts over.
const BYTES_PREBUILT: usize = 4 << 20;
const MOST_PREBUILT: usize = 4096;

/// Buffers in a list.
const LIST: usize = 64;

/// An FLV tag, FLV 10.1 section E.4.1, of type 8 or 9.
pub(crate) fn tag(type_id: u8, millis: u32, body: &[u8]) -> gst::Buffer {
    let [_, a, b, c] = u32::try_from(body.len()).expect("a short body").to_be_bytes();
    let [high, x, y, z] = millis.to_be_bytes();
    let mut bytes = vec![type_id, a, b, c, x, y, z, high, 0, 0, 0];
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&u32::try_from(bytes.len()).expect("a short tag").to_be_bytes());
    gst::Buffer::from_mut_slice(bytes)
}

/// The body of the messages of a run.
pub(crate) fn body(size: usize, is_audio: bool) -> Vec<u8> {
    if is_audio {
        audio_body(size)
    } else {
        video_body(size)
    }
}

/// Where elements find the peer at `port`, by the protocol variant that is asked for.
pub(crate) fn location(port: u16, terms: &Terms) -> String {
    let scheme = match terms.text("scheme") {
        "" => "rtmp",
        scheme => scheme,
    };
    format!("{scheme}://127.0.0.1:{port}/live/bench")
}

/// An element between a pad that feeds it and a peer.
pub(crate) struct Publisher {
    pipeline: gst::Pipeline,
    pub(crate) pad: gst::Pad,
}

impl Publisher {
    /// Connects; what comes before the first tag is pushed already. `out-chunk` is its chunk size, if not the default.
    pub(crate) fn start(contender: Contender, port: u16, terms: &Terms) -> Self {
        let chunk_size = terms.number("out-chunk");
        let sink = contender.element(true, &location(port, terms));
        if chunk_size > 0 {
            sink.set_property_from_str("chunk-size", &chunk_size.to_string());
        }
        let pipeline = gst::Pipeline::new();
        pipeline.add(&sink).expect("a pipeline takes an element");
        let pad = Self::feed(&sink);
        pipeline.set_state(gst::State::Playing).expect("the sink starts");
        Self::push_file_header(&pad, contender);
        Self { pipeline, pad }
    }

    /// A pad that is linked to `sink` and has sent what goes before buffers.
    pub(crate) fn feed(sink: &gst::Element) -> gst::Pad {
        let pad = gst::Pad::builder(gst::PadDirection::Src).name("feeder").build();
        pad.set_active(true).expect("a pad of its own");
        pad.link(&sink.static_pad("sink").expect("a sink has a pad"))
            .expect("it takes what has no caps yet");
        let caps = gst::Caps::builder("video/x-flv").build();
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        assert!(pad.push_event(gst::event::StreamStart::new("bench")));
        assert!(pad.push_event(gst::event::Caps::new(&caps)));
        assert!(pad.push_event(gst::event::Segment::new(&segment)));
        pad
    }

    pub(crate) fn push_file_header(pad: &gst::Pad, contender: Contender) {
        // librtmp reads beyond the end of a buffer that ends with the file header.
        if contender != Contender::Librtmp {
            // FLV 10.1 section E.2, and the size of the tag before the first.
            let header = gst::Buffer::from_slice(*b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
            pad.push(header).expect("the sink takes a file header");
        }
    }

    pub(crate) fn stop(self) {
        self.pipeline.set_state(gst::State::Null).expect("the sink stops");
    }
}

/// Pushes messages of `size` bytes for `milliseconds`, one by one or with `list=1` in lists. Tells
/// `result NANOSECONDS CPU MESSAGES BYTES`: from the first push until the peer has the last one whole.
pub(crate) fn throughput(terms: &Terms) {
    let contender = Contender::parse(terms.text("contender"));
    let size = terms.number("size") as usize;
    let duration = terms.number("milliseconds") * 1_000_000;
    if contender == Contender::Plain {
        return plain_throughput(terms, size, duration);
    }
    gst::init().expect("GStreamer starts");
    let is_audio = terms.number("audio") > 0;
    let type_id = if is_audio { 8 } else { 9 };
    let mut peer = Peer::start(&terms.of_peer("peer-read"));
    let publisher = Publisher::start(contender, peer.port, terms);
    let body = body(size, is_audio);
    let count = (BYTES_PREBUILT / size).clamp(2, MOST_PREBUILT);
    let buffers: Vec<gst::Buffer> = (0..count).map(|i| tag(type_id, i as u32, &body)).collect();
    let mark = || tag(type_id, 0, &video_body(MARK));
    let push = |buffer| publisher.pad.push(buffer).expect("the sink takes a tag");
    push(mark());
    peer.expect("mark");

    let mut pushed = 0;
    let (started, cpu) = (clock::now(), clock::cpu());
    if terms.number("list") > 0 {
        let lists: Vec<gst::BufferList> = buffers
            .chunks(LIST)
            .map(|list| list.iter().cloned().collect())
            .collect();
        for list in lists.iter().cycle() {
            publisher
                .pad
                .push_list(list.clone())
                .expect("the sink takes a list");
            pushed += list.len() as u64;
            if clock::now() - started > duration {
                break;
            }
        }
    } else {
        // Looking at the clock costs as much as a tenth of a small message.
        let round = (100_000 / size).clamp(1, 64) as u64;
        for buffer in buffers.iter().cycle() {
            push(buffer.clone());
            pushed += 1;
            if pushed.is_multiple_of(round) && clock::now() - started > duration {
                break;
            }
        }
    }
    push(mark());
    let seen = peer.expect("mark");
    let cpu = clock::cpu() - cpu;
    assert_eq!(
        seen[1..],
        [pushed, pushed * size as u64],
        "messages and bytes at the peer"
    );
    say(format_args!(
        "result {} {cpu} {pushed} {}",
        seen[0] - started,
        seen[2]
    ));
    publisher.stop();
}

fn plain_throughput(terms: &Terms, size: usize, duration: u64) {
    let mut peer = Peer::start(&terms.of_peer("peer-read-plain").with("size", size));
    let mut stream = PlainWire::connect(peer.port, terms).expect("the peer listens");
    let count = (BYTES_PREBUILT / size).clamp(2, MOST_PREBUILT);
    let bodies = vec![video_body(size); count];
    let mut pushed = 0_u64;
    let round = (100_000 / size).clamp(1, 64) as u64;
    let (started, cpu) = (clock::now(), clock::cpu());
    for body in bodies.iter().cycle() {
        stream.write_all(body).expect("the peer reads");
        pushed += 1;
        if pushed.is_multiple_of(round) && clock::now() - started > duration {
            break;
        }
    }
    stream.end().expect("the peer still reads");
    let seen = peer.expect("mark");
    let cpu = clock::cpu() - cpu;
    say(format_args!(
        "result {} {cpu} {pushed} {}",
        seen[0] - started,
        seen[2]
    ));
}

/// Pushes `count` messages of `size` bytes, `rate` a second. Tells `result NANOSECONDS ..`: from each push until the
/// peer has it whole.
pub(crate) fn latency(terms: &Terms) {
    let contender = Contender::parse(terms.text("contender"));
    let size = terms.number("size") as usize;
    let (count, rate) = (terms.number("count"), terms.number("rate"));
    let body = video_body(size);
    let mut pushes = Vec::new();
    let mut pace = |push: &mut dyn FnMut(u32)| {
        let mut next = clock::now() + 50_000_000;
        for i in 0..count {
            clock::sleep_until(next);
            next += 1_000_000_000 / rate;
            pushes.push(clock::now());
            push(i as u32);
        }
    };
    let arrivals = if contender == Contender::Plain {
        let terms = Terms::new("peer-read-plain").with("size", size).with("record", 1);
        let mut peer = Peer::start(&terms);
        let mut stream = TcpStream::connect(("127.0.0.1", peer.port)).expect("the peer listens");
        stream.set_nodelay(true).expect("a TCP socket");
        pace(&mut |_| stream.write_all(&body).expect("the peer reads"));
        stream.shutdown(Shutdown::Write).expect("the peer still reads");
        peer.expect("times")
    } else {
        gst::init().expect("GStreamer starts");
        let mut peer = Peer::start(&Terms::new("peer-read").with("record", 1));
        let publisher = Publisher::start(contender, peer.port, terms);
        let push = |buffer| publisher.pad.push(buffer).expect("the sink takes a tag");
        push(tag(9, 0, &video_body(MARK)));
        peer.expect("times");
        peer.expect("mark");
        let buffers: Vec<gst::Buffer> = (0..64).map(|i| tag(9, i, &body)).collect();
        pace(&mut |i| _ = push(buffers[i as usize % buffers.len()].clone()));
        push(tag(9, 64, &video_body(MARK)));
        let times = peer.expect("times");
        publisher.stop();
        times
    };
    assert_eq!(arrivals.len(), pushes.len(), "messages at the peer");
    report_times(&pushes, &arrivals);
}

/// Tells `result` with the time that each took.
pub(crate) fn report_times(from: &[u64], to: &[u64]) {
    let words: Vec<String> = from
        .iter()
        .zip(to)
        .map(|(from, to)| to.saturating_sub(*from).to_string())
        .collect();
    say(format_args!("result {}", words.join(" ")));
}
