//! What a message costs of the allocator while a stream flows: published, nothing but the mapping of its buffer; played,
//! no more than its own memory. What GStreamer's library allocates for buffers is not counted. Its memories around
//! bytes of ours are, as its bindings allocate them: one for each mapping, and three for a tag that is too large to be
//! copied into memory of GStreamer's own.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the peers live in real time behind real sockets"
)]

use std::alloc::System;
use std::io::{Read as _, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use gst::prelude::*;
use gstrtmp::flv::{TagHeader, TagKind};
use gstrtmp::session::{Event, Input, Media, MediaKind, Request, ServerConfig, Session};
use gstrtmp::timestamp::Timestamp;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T = ()> = Result<T, Failure>;

/// A stream flows steadily after so many messages.
const WARM_UP: usize = 200;

/// Messages that are counted.
const MESSAGES: usize = 1000;

/// Most bytes that are read at a time.
const BLOCK: usize = 64 << 10;

/// More than any of it takes.
const LONG: Duration = Duration::from_secs(60);

/// Allocations meanwhile of the thread that looks after idle connections: a list of them every 100 ms. Far below one a
/// message.
const OTHER_THREADS: usize = MESSAGES / 50;

/// The allocator counts for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().expect("GStreamer is installed");
        gstrtmp::plugin_register_static().expect("the plugin registers itself");
    });
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often memory was asked for.
const fn calls(stats: &Stats) -> usize {
    stats.allocations + stats.reallocations
}

/// Serves the client until it publishes or plays.
fn serve(stream: &mut TcpStream, chunk_size: u32) -> Outcome<Session> {
    let config = ServerConfig {
        chunk_size,
        ..ServerConfig::new([7; 32])
    };
    let mut session = Session::server(Arc::new(config), Instant::now());
    let (mut input, mut block) = (BytesMut::new(), vec![0; 4096]);
    let mut is_done = false;
    while !is_done {
        let count = stream.read(&mut block)?;
        input.extend_from_slice(
            block
                .get(..count)
                .filter(|read| !read.is_empty())
                .ok_or("the client has gone")?,
        );
        let mut has_answered = true;
        while has_answered {
            has_answered = false;
            session.handle_input(Instant::now(), Input::Stream(&mut input))?;
            while let Some(event) = session.poll_event() {
                if let Event::Requested(request) = event {
                    is_done |= !matches!(request, Request::Connect { .. });
                    session.answer(Instant::now(), &request, Ok(()))?;
                    has_answered = true;
                }
            }
        }
        write_out(&mut session, stream)?;
    }
    Ok(session)
}

fn write_out(session: &mut Session, out: &mut impl Write) -> Outcome {
    while let Some(queue) = session.poll_transmit(Instant::now()) {
        out.write_all(queue.chunk())?;
        let written = queue.chunk().len();
        queue.advance(written);
    }
    Ok(())
}

/// A server for one client, and the location for it.
fn server(
    serve: impl FnOnce(TcpStream) -> Outcome + Send + 'static,
) -> Outcome<(String, JoinHandle<Outcome>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let location = format!("rtmp://{}/live/key", listener.local_addr()?);
    Ok((location, thread::spawn(move || serve(listener.accept()?.0))))
}

fn join(server: JoinHandle<Outcome>) -> Outcome {
    server.join().map_err(|_| "the server has panicked")?
}

/// Body of an audio message that is a frame.
fn sound(size: usize) -> Bytes {
    let mut body = vec![0x21; size];
    body.splice(..2, [0xaf, 1]);
    body.into()
}

/// A tag as a muxer makes it: its own bytes and the first of the body, the frame, the trailer; in one memory or three.
fn tag(size: usize, memories: usize) -> Outcome<gst::Buffer> {
    let header = TagHeader::new(TagKind::Audio, 40, size)?;
    let mut bytes = BytesMut::new();
    header.encode(&mut bytes);
    bytes.extend_from_slice(&sound(size));
    bytes.extend_from_slice(&header.previous_tag_size().to_be_bytes());
    let bytes = bytes.freeze();
    let pieces = match memories {
        1 => vec![bytes],
        _ => vec![
            bytes.slice(..13),
            bytes.slice(13..11 + size),
            bytes.slice(11 + size..),
        ],
    };
    let mut buffer = gst::Buffer::new();
    let inner = buffer.get_mut().ok_or("a new buffer is shared")?;
    for piece in pieces {
        inner.append_memory(gst::Memory::from_slice(piece));
    }
    Ok(buffer)
}

/// A sink that publishes to a peer which only reads, and the pad before it.
struct Publisher {
    element: gst::Element,
    pad: gst::Pad,
    server: JoinHandle<Outcome>,
}

impl Publisher {
    fn start() -> Outcome<Self> {
        let (location, server) = server(|mut stream| {
            // What the peer allocates would be counted as well.
            let mut block = [0; 1 << 16];
            serve(&mut stream, 4096)?;
            while stream.read(&mut block)? > 0 {}
            Ok(())
        })?;
        let element = gst::ElementFactory::make("rtmpsink")
            .property("location", location)
            .property("sync", false)
            .build()?;
        let pad = gst::Pad::new(gst::PadDirection::Src);
        pad.set_active(true)?;
        pad.link(&element.static_pad("sink").ok_or("no pad")?)?;
        element.set_state(gst::State::Playing)?;
        pad.push_event(gst::event::StreamStart::new("stream"));
        let caps = gst::Caps::new_empty_simple("video/x-flv");
        pad.push_event(gst::event::Caps::new(&caps));
        pad.push_event(gst::event::Segment::new(
            &gst::FormattedSegment::<gst::ClockTime>::new(),
        ));
        Ok(Self { element, pad, server })
    }

    fn stop(self) -> Outcome {
        self.pad.push_event(gst::event::Eos::new());
        self.element.set_state(gst::State::Null)?;
        join(self.server)
    }
}

#[test]
fn publishing_allocates_nothing_but_the_mapping_of_each_memory() -> Outcome {
    let _turn = alone();
    for (size, memories) in [(370, 1), (20_000, 1), (20_000, 3)] {
        let publisher = Publisher::start()?;
        let buffer = tag(size, memories)?;
        for _ in 0..WARM_UP {
            publisher.pad.push(buffer.clone())?;
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..MESSAGES {
            publisher.pad.push(buffer.clone())?;
        }
        let spent = region.change();
        publisher.stop()?;
        let what = format!("{size} B in {memories} memories: {spent:?}");
        assert!(calls(&spent) <= MESSAGES * memories + OTHER_THREADS, "{what}");
        // No copy of any payload either.
        assert!(spent.bytes_allocated <= MESSAGES * memories * 256, "{what}");
    }
    Ok(())
}

#[test]
fn publishing_a_list_allocates_once_more_for_the_list() -> Outcome {
    const LIST: usize = 100;
    let _turn = alone();
    let publisher = Publisher::start()?;
    let buffer = tag(370, 1)?;
    let push = || -> Outcome {
        for _ in 0..MESSAGES / LIST {
            let list: gst::BufferList = std::iter::repeat_n(&buffer, LIST).cloned().collect();
            publisher.pad.push_list(list)?;
        }
        Ok(())
    };
    push()?;
    let region = Region::new(ALLOCATOR);
    push()?;
    let spent = region.change();
    publisher.stop()?;
    // A list's bytes and segments are more than what an empty queue keeps.
    assert!(calls(&spent) <= MESSAGES + 20 * MESSAGES / LIST, "{spent:?}");
    Ok(())
}

/// GStreamer's own part of an element, which is not counted, was measured as 6 KB more.
#[test]
fn a_sink_at_rest_holds_a_few_kilobytes() -> Outcome {
    const SINKS: usize = 20;
    const MOST: isize = 20 << 10;
    let _turn = alone();
    let buffer = tag(20_000, 1)?;
    let publish = || -> Outcome<Publisher> {
        let publisher = Publisher::start()?;
        for _ in 0..WARM_UP {
            publisher.pad.push(buffer.clone())?;
        }
        Ok(publisher)
    };
    // What the first one brings with it stays.
    let first = publish()?;
    let region = Region::new(ALLOCATOR);
    let others = (0..SINKS).map(|_| publish()).collect::<Outcome<Vec<_>>>()?;
    let held = region.change();
    let each = (isize::try_from(held.bytes_allocated)? - isize::try_from(held.bytes_deallocated)?
        + held.bytes_reallocated)
        / isize::try_from(SINKS)?;
    for publisher in others.into_iter().chain([first]) {
        publisher.stop()?;
    }
    assert!(each <= MOST, "{each} B each: {held:?}");
    Ok(())
}

#[test]
fn playing_allocates_no_more_than_once_for_each_message() -> Outcome {
    let _turn = alone();
    for (size, chunk_size, memories) in [
        (370, 128, 0),
        (370, 4096, 0),
        (20_000, 128, 3),
        (20_000, 4096, 3),
        (20_000, 65_536, 3),
    ] {
        let (location, server) = server(move |mut stream| {
            let mut session = serve(&mut stream, chunk_size)?;
            let mut wire = Vec::new();
            for at in 0..WARM_UP + MESSAGES + 100 {
                let media = Media {
                    kind: MediaKind::Audio,
                    timestamp: Timestamp::from_millis(u32::try_from(at)?),
                    head: Bytes::new(),
                    body: sound(size),
                };
                session.send(Instant::now(), media)?;
                write_out(&mut session, &mut wire)?;
            }
            stream.write_all(&wire)?;
            while stream.read(&mut [0; 100])? > 0 {}
            Ok(())
        })?;
        let element = gst::ElementFactory::make("rtmpsrc")
            .property("location", location)
            .build()?;
        let (done, counted) = mpsc::sync_channel(1);
        let begin: Mutex<Option<Region<'static, System>>> = Mutex::new(None);
        let seen = AtomicUsize::new(0);
        let pad = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, _| {
                let mut begin = begin.lock().unwrap_or_else(PoisonError::into_inner);
                match seen.fetch_add(1, Ordering::Relaxed) {
                    WARM_UP => *begin = Some(Region::new(ALLOCATOR)),
                    at if at == WARM_UP + MESSAGES => {
                        let spent = begin.take().map(|region| region.change());
                        // The test has given up waiting.
                        let _ = done.send(spent);
                    }
                    _ => {}
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .event_function(|_, _, _| true)
            .build();
        pad.set_active(true)?;
        element.static_pad("src").ok_or("no pad")?.link(&pad)?;
        element.set_state(gst::State::Playing)?;
        let spent = counted.recv_timeout(LONG)?.ok_or("nothing was counted")?;
        element.set_state(gst::State::Null)?;
        // It may not have got rid of everything.
        let _ = join(server);
        let what = format!("{size} B in chunks of {chunk_size} B: {spent:?}");
        // Messages of the same block were received ahead of the last that was counted, and a block whose end is the
        // begin of a chunk is not used again.
        let others = BLOCK / size + MESSAGES / 20;
        assert!(calls(&spent) <= MESSAGES * (1 + memories) + others, "{what}");
    }
    Ok(())
}
