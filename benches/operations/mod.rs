//! The work that is done for each message, as benchmarks call it: without sockets, on a clock that stands still.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use gstrtmp::amf::{self, Text, Value};
use gstrtmp::chunk::{self, Outgoing};
use gstrtmp::flv::{self, Item};
use gstrtmp::link::SendQueue;
use gstrtmp::message::type_id;
use gstrtmp::session::{
    ClientConfig, Event, Input, Intent, Media, MediaKind, PlayStart, PublishKind, ServerConfig, Session,
};
use gstrtmp::timestamp::Timestamp;

/// A frame of a stream of 4.8 Mbit/s with 30 frames a second.
const FRAME: usize = 20_000;

/// A packet of AAC at 128 kbit/s.
const PACKET: usize = 370;

/// Does the work for so many messages.
pub(crate) type Work = Box<dyn FnMut(usize)>;

/// A name, and what makes the work when it is asked for.
pub(crate) type Operation = (&'static str, fn() -> Work);

/// What is measured.
pub(crate) const OPERATIONS: &[Operation] = &[
    ("chunk_write_frame", || chunk_write(FRAME, 4096)),
    ("chunk_write_packet", || chunk_write(PACKET, 4096)),
    ("chunk_read_frame_128", || chunk_read(FRAME, 128)),
    ("chunk_read_frame_4096", || chunk_read(FRAME, 4096)),
    ("chunk_read_frame_65536", || chunk_read(FRAME, 65536)),
    ("chunk_read_packet", || chunk_read(PACKET, 4096)),
    ("flv_read_frame", || flv_read(FRAME, false)),
    ("flv_read_frame_in_pieces", || flv_read(FRAME, true)),
    ("flv_read_packet", || flv_read(PACKET, false)),
    ("amf_encode_connect", amf_encode),
    ("amf_decode_connect", amf_decode),
    ("session_send_frame", || session_send(FRAME)),
    ("session_send_packet", || session_send(PACKET)),
    ("session_receive_frame", || session_receive(FRAME)),
    ("session_receive_packet", || session_receive(PACKET)),
];

/// A video message, `index` milliseconds after the first.
fn outgoing(index: u32, body: &Bytes) -> Outgoing {
    Outgoing {
        chunk_stream: 6,
        timestamp: Timestamp::from_millis(index),
        type_id: type_id::VIDEO,
        stream_id: 1,
        head: Bytes::new(),
        body: body.clone(),
    }
}

fn chunk_write(size: usize, chunk_size: u32) -> Work {
    let body = Bytes::from(vec![7; size]);
    let mut writer = chunk::Writer::new();
    writer.set_chunk_size(chunk_size);
    let mut queue = SendQueue::new();
    let mut index = 0;
    Box::new(move |count| {
        for _ in 0..count {
            index += 1;
            writer
                .write(outgoing(index, &body), &mut queue)
                .expect("a short message");
            queue.advance(queue.remaining());
        }
    })
}

/// `count` messages as they are on the wire.
fn chunks(count: u32, size: usize, chunk_size: u32) -> Vec<u8> {
    let body = Bytes::from(vec![7; size]);
    let mut writer = chunk::Writer::new();
    writer.set_chunk_size(chunk_size);
    let mut queue = SendQueue::new();
    for index in 0..count {
        writer
            .write(outgoing(index, &body), &mut queue)
            .expect("a short message");
    }
    queue.copy_to_bytes(queue.remaining()).to_vec()
}

/// Messages that arrive together, as one read brings them.
const ARRIVING: usize = 4;

fn chunk_read(size: usize, chunk_size: u32) -> Work {
    // Its header is the only one that says everything.
    let first = chunks(1, size, chunk_size);
    let next = chunks(1 + ARRIVING as u32, size, chunk_size).split_off(first.len());
    let mut reader = chunk::Reader::new();
    reader.set_chunk_size(chunk_size);
    let mut input = BytesMut::from(first.as_slice());
    assert!(reader.read(&mut input).expect("our own chunks").is_some());
    Box::new(move |count| {
        let mut left = count;
        while left > 0 {
            input.extend_from_slice(&next);
            let mut read = 0;
            while let Some(message) = reader.read(&mut input).expect("our own chunks") {
                assert_eq!(message.payload.len(), size);
                read += 1;
            }
            assert_eq!(read, ARRIVING);
            left = left.saturating_sub(read);
        }
    })
}

fn flv_read(size: usize, in_pieces: bool) -> Work {
    let header = flv::TagHeader::new(flv::TagKind::Video, 0, size).expect("a short tag");
    let mut tag = BytesMut::new();
    header.encode(&mut tag);
    tag.extend_from_slice(&vec![7; size]);
    tag.extend_from_slice(&header.previous_tag_size().to_be_bytes());
    let tag = tag.freeze();
    let mut reader = flv::Reader::new();
    Box::new(move |count| {
        for _ in 0..count {
            if in_pieces {
                let mut rest = tag.clone();
                while !rest.is_empty() {
                    reader.push(rest.split_to(rest.len().min(4096)));
                }
            } else {
                reader.push(tag.clone());
            }
            let Some(Item::Tag(read)) = reader.next().expect("our own tag") else {
                panic!("a tag was pushed");
            };
            assert_eq!(read.head.len() + read.body.len(), size);
            // What follows the body is taken with the look for the next tag.
            assert_eq!(reader.next(), Ok(None));
        }
    })
}

/// The values of a connect command.
fn connect() -> Vec<Value> {
    let object = Value::object([
        ("app", Value::from("live")),
        ("type", Value::from("nonprivate")),
        ("flashVer", Value::from("FMLE/3.0 (compatible; Lavf60.16.100)")),
        ("tcUrl", Value::from("rtmp://localhost:1935/live")),
        ("fpad", Value::from(false)),
        ("capabilities", Value::from(15.0)),
        ("audioCodecs", Value::from(4071.0)),
        ("videoCodecs", Value::from(252.0)),
        ("videoFunction", Value::from(1.0)),
    ]);
    vec![Value::from("connect"), Value::from(1.0), object]
}

fn amf_encode() -> Work {
    let values = connect();
    let mut out = BytesMut::new();
    Box::new(move |count| {
        for _ in 0..count {
            out.clear();
            amf::encode_all(&values, &mut out);
            assert!(!out.is_empty());
        }
    })
}

fn amf_decode() -> Work {
    let mut encoded = BytesMut::new();
    amf::encode_all(&connect(), &mut encoded);
    let encoded = encoded.freeze();
    Box::new(move |count| {
        for _ in 0..count {
            assert_eq!(amf::decode_all(&encoded).expect("our own values").len(), 3);
        }
    })
}

/// Everything that `session` wants written.
fn transmitted(session: &mut Session, now: Instant) -> Bytes {
    session
        .poll_transmit(now)
        .map_or_else(Bytes::new, |queue| queue.copy_to_bytes(queue.remaining()))
}

/// A client and a server between which media flows.
fn pair(intent: Intent) -> (Session, Session, Instant) {
    // The only look at the clock: sessions are told the time.
    let now = Instant::now();
    let text = |text: &str| Text::from(text);
    let config = ClientConfig::new(
        intent,
        text("live"),
        text("rtmp://localhost/live"),
        text("stream"),
        [1; 32],
    );
    let mut client = Session::client(Arc::new(config), now);
    let mut server = Session::server(Arc::new(ServerConfig::new([2; 32])), now);
    let (mut to_client, mut to_server) = (BytesMut::new(), BytesMut::new());
    let mut are_ready = (false, false);
    while are_ready != (true, true) {
        to_server.extend_from_slice(&transmitted(&mut client, now));
        server
            .handle_input(now, Input::Stream(&mut to_server))
            .expect("our own client");
        while let Some(event) = server.poll_event() {
            if let Event::Requested(request) = &event {
                server.answer(now, request, Ok(())).expect("it has asked");
                server
                    .handle_input(now, Input::Stream(&mut to_server))
                    .expect("our own client");
            }
            are_ready.1 |= event == Event::Ready;
        }
        to_client.extend_from_slice(&transmitted(&mut server, now));
        client
            .handle_input(now, Input::Stream(&mut to_client))
            .expect("our own server");
        while let Some(event) = client.poll_event() {
            are_ready.0 |= event == Event::Ready;
        }
    }
    (client, server, now)
}

fn media(index: u32, body: &Bytes) -> Media {
    Media {
        kind: MediaKind::Video,
        timestamp: Timestamp::from_millis(index),
        head: Bytes::new(),
        body: body.clone(),
    }
}

fn session_send(size: usize) -> Work {
    let (mut client, _, now) = pair(Intent::Publish {
        kind: PublishKind::Live,
    });
    let body = Bytes::from(vec![7; size]);
    let mut index = 0;
    Box::new(move |count| {
        for _ in 0..count {
            index += 1;
            client
                .send(now, media(index, &body))
                .expect("the stream has started");
            let queue = client.poll_transmit(now).expect("something was queued");
            queue.advance(queue.remaining());
        }
    })
}

fn session_receive(size: usize) -> Work {
    let (mut client, mut server, now) = pair(Intent::Play {
        start: PlayStart::Any,
        buffer_length: 0,
    });
    let body = Bytes::from(vec![7; size]);
    let mut index = 0;
    let mut messages = |server: &mut Session, count| {
        for _ in 0..count {
            index += 1;
            server
                .send(now, media(index, &body))
                .expect("the stream has started");
        }
        transmitted(server, now)
    };
    // Its header is the only one that says everything.
    let first = messages(&mut server, 1);
    let next = messages(&mut server, ARRIVING);
    let mut input = BytesMut::from(first.as_ref());
    client
        .handle_input(now, Input::Stream(&mut input))
        .expect("our own server");
    while client.poll_event().is_some() {}
    Box::new(move |count| {
        let mut left = count;
        while left > 0 {
            input.extend_from_slice(&next);
            client
                .handle_input(now, Input::Stream(&mut input))
                .expect("our own server");
            let mut read = 0;
            while let Some(event) = client.poll_event() {
                assert!(matches!(&event, Event::Media(media) if media.len() == size));
                read += 1;
            }
            assert_eq!(read, ARRIVING);
            // Acknowledgements go nowhere.
            if let Some(queue) = client.poll_transmit(now) {
                queue.advance(queue.remaining());
            }
            left = left.saturating_sub(read);
        }
    })
}
