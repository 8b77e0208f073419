//! The chunk stream, RTMP 1.0 section 5: messages cut into chunks so that several can share a connection.
//!
//! [`Reader`] puts messages together from received bytes, [`Writer`] cuts them up for sending. Neither looks
//! into a payload: Set Chunk Size and Abort are applied by whoever understands messages, through
//! [`Reader::set_chunk_size`] and [`Reader::abort`].

mod header;
mod reader;
mod writer;

use std::fmt;

use bytes::Bytes;

use crate::timestamp::Timestamp;

pub use self::reader::Reader;
pub use self::writer::{Outgoing, Output, Writer};

/// Payload bytes of a chunk until Set Chunk Size says otherwise, RTMP 1.0 section 5.4.1.
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// Bytes of the longest message: its length field has 24 bits.
pub const MAX_MESSAGE: usize = 0xFF_FFFF;

/// Larger chunk sizes mean the same as this one, since no message is longer, RTMP 1.0 section 5.4.1.
pub const MAX_CHUNK_SIZE: u32 = 0xFF_FFFF;

/// A message as received, RTMP 1.0 section 4. `Debug` shows no payload: that may hold a stream key.
#[derive(Clone, Eq, PartialEq)]
pub struct Message {
    /// Chunk stream that carried the message, 2 to 65599. It has no meaning beyond its own chunks.
    pub chunk_stream: u32,
    /// When the message is due, on the sender's clock.
    pub timestamp: Timestamp,
    /// What the payload is: see [`crate::message::type_id`].
    pub type_id: u8,
    /// Message stream: 0 for the NetConnection, else a NetStream.
    pub stream_id: u32,
    /// The bytes of the message, possibly none.
    pub payload: Bytes,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("chunk_stream", &self.chunk_stream)
            .field("timestamp", &self.timestamp.millis())
            .field("type_id", &self.type_id)
            .field("stream_id", &self.stream_id)
            .field("length", &self.payload.len())
            .finish()
    }
}

/// What is remembered of each chunk stream. Connections use a handful of them and [`Reader`] allows no more
/// than 64, so a scan is faster than a map.
#[derive(Debug)]
struct ChunkStreams<T> {
    streams: Vec<(u32, T)>,
}

impl<T> ChunkStreams<T> {
    const fn new() -> Self {
        Self { streams: Vec::new() }
    }

    fn len(&self) -> usize {
        self.streams.len()
    }

    fn get_mut(&mut self, chunk_stream: u32) -> Option<&mut T> {
        self.streams
            .iter_mut()
            .find(|(id, _)| *id == chunk_stream)
            .map(|(_, state)| state)
    }

    fn insert(&mut self, chunk_stream: u32, state: T) {
        self.streams.push((chunk_stream, state));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, VecDeque};

    /// The bytes that `digits` spells; white space is free.
    pub(crate) fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
        let (pairs, rest) = digits.as_chunks::<2>();
        assert!(rest.is_empty(), "a byte has two digits");
        pairs
            .iter()
            .map(|[high, low]| u8::try_from(high * 16 + low).expect("two digits make a byte"))
            .collect()
    }

    impl Output for Vec<u8> {
        fn header(&mut self, bytes: &[u8]) {
            self.extend_from_slice(bytes);
        }

        fn payload(&mut self, bytes: Bytes) {
            assert!(!bytes.is_empty());
            self.extend_from_slice(&bytes);
        }
    }

    /// Every chunk by itself.
    #[derive(Default)]
    struct Chunks(VecDeque<Vec<u8>>);

    impl Output for Chunks {
        fn header(&mut self, bytes: &[u8]) {
            self.0.push_back(bytes.to_vec());
        }

        fn payload(&mut self, bytes: Bytes) {
            self.0
                .back_mut()
                .expect("a header goes first")
                .extend_from_slice(&bytes);
        }
    }

    fn message(chunk_stream: u32, millis: u32, type_id: u8, stream_id: u32, length: usize) -> Message {
        Message {
            chunk_stream,
            timestamp: Timestamp::from_millis(millis),
            type_id,
            stream_id,
            // A pattern that neither repeats with the chunk size nor looks like an extended timestamp.
            payload: (0..length)
                .map(|i| u8::try_from(i % 251 + 1).expect("below 252"))
                .collect(),
        }
    }

    fn outgoing(message: &Message) -> Outgoing {
        let mut body = message.payload.clone();
        let head = body.split_to(body.len() / 3);
        Outgoing {
            chunk_stream: message.chunk_stream,
            timestamp: message.timestamp,
            type_id: message.type_id,
            stream_id: message.stream_id,
            head,
            body,
        }
    }

    fn write_all(messages: &[Message]) -> Vec<u8> {
        let mut writer = Writer::new();
        let mut wire = Vec::new();
        for message in messages {
            writer.write(outgoing(message), &mut wire).expect("short enough");
        }
        wire
    }

    /// Reads `pieces` as they arrive one after another.
    fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, chunk_size: u32) -> Vec<Message> {
        let mut reader = Reader::new();
        reader.set_chunk_size(chunk_size);
        let mut input = BytesMut::new();
        let mut messages = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(message) = reader.read(&mut input).expect("well-formed chunks") {
                messages.push(message);
            }
        }
        assert!(input.is_empty(), "{} bytes left over", input.len());
        messages
    }

    /// Reads `wire` cut in two at every point, and byte by byte.
    fn assert_reads_as(wire: &[u8], messages: &[Message]) {
        for split in 0..=wire.len() {
            let (a, b) = wire.split_at(split);
            assert_eq!(
                read_pieces([a, b], DEFAULT_CHUNK_SIZE),
                messages,
                "split at {split}"
            );
        }
        assert_eq!(read_pieces(wire.chunks(1), DEFAULT_CHUNK_SIZE), messages);
    }

    /// `layout` with every `<n>` replaced by the next n bytes of the payloads of `messages`.
    fn wire(layout: &str, messages: &[Message]) -> Vec<u8> {
        let mut payload = messages
            .iter()
            .flat_map(|message| message.payload.iter().copied());
        let mut bytes = Vec::new();
        for (i, part) in layout.split(['<', '>']).enumerate() {
            if i % 2 == 0 {
                bytes.extend(hex(part));
            } else {
                bytes.extend(payload.by_ref().take(part.parse().expect("a length")));
            }
        }
        assert_eq!(payload.next(), None, "the layout covers the payloads");
        bytes
    }

    /// Messages and the chunks that both the reader and the writer know them by.
    fn golden() -> Vec<(Vec<Message>, &'static str)> {
        vec![
            // RTMP 1.0 section 5.3.2.1, but for the type 3 headers that start a message there.
            (
                [1000, 1020, 1040, 1060]
                    .map(|at| message(3, at, 8, 12345, 32))
                    .into(),
                "03 0003e8 000020 08 39300000 <32>  83 000014 <32>  83 000014 <32>  83 000014 <32>",
            ),
            // RTMP 1.0 section 5.3.2.2.
            (
                vec![message(4, 1000, 9, 12346, 307)],
                "04 0003e8 000133 09 3a300000 <128>  c4 <128>  c4 <51>",
            ),
            // Extended timestamps, and none for the delta that comes next.
            (
                vec![message(6, 16_778_000, 9, 1, 200), message(6, 16_778_040, 9, 1, 5)],
                "06 ffffff 0000c8 09 01000000 01000310 <128>  c6 01000310 <72>  46 000028 000005 09 <5>",
            ),
            (
                vec![message(4, 16_777_215, 8, 1, 1)],
                "04 ffffff 000001 08 01000000 00ffffff <1>",
            ),
            (
                vec![message(4, 16_777_214, 8, 1, 1)],
                "04 fffffe 000001 08 01000000 <1>",
            ),
            // A delta that would need the extended timestamp.
            (
                vec![message(6, 0, 9, 1, 5), message(6, 0x0100_0000, 9, 1, 5)],
                "06 000000 000005 09 01000000 <5>  06 ffffff 000005 09 01000000 01000000 <5>",
            ),
            (
                vec![message(6, 0, 9, 1, 5), message(6, 0xFF_FFFE, 9, 1, 5)],
                "06 000000 000005 09 01000000 <5>  86 fffffe <5>",
            ),
            // Time running backward, and over the wrap.
            (
                vec![message(6, 50, 9, 1, 5), message(6, 40, 9, 1, 5)],
                "06 000032 000005 09 01000000 <5>  06 000028 000005 09 01000000 <5>",
            ),
            (
                vec![message(6, u32::MAX - 9, 9, 1, 5), message(6, 30, 9, 1, 5)],
                "06 ffffff 000005 09 01000000 fffffff6 <5>  86 000028 <5>",
            ),
            // Another message stream, type or length.
            (
                vec![message(6, 0, 9, 1, 5), message(6, 0, 9, 2, 5)],
                "06 000000 000005 09 01000000 <5>  06 000000 000005 09 02000000 <5>",
            ),
            (
                vec![
                    message(4, 0, 18, 1, 5),
                    message(4, 0, 8, 1, 5),
                    message(4, 0, 8, 1, 6),
                ],
                "04 000000 000005 12 01000000 <5>  44 000000 000005 08 <5>  44 000000 000006 08 <6>",
            ),
            // No payload.
            (vec![message(4, 7, 8, 1, 0)], "04 000007 000000 08 01000000"),
            // Exactly one chunk, and chunk stream ids of two and three bytes.
            (
                vec![message(64, 0, 9, 1, 128)],
                "00 00 000000 000080 09 01000000 <128>",
            ),
            (
                vec![message(320, 0, 9, 1, 129)],
                "01 00 01 000000 000081 09 01000000 <128>  c1 00 01 <1>",
            ),
        ]
    }

    #[test]
    fn golden_chunks_in_both_directions() {
        for (messages, layout) in golden() {
            let expected = wire(layout, &messages);
            assert_eq!(write_all(&messages), expected, "{layout}");
            assert_reads_as(&expected, &messages);
        }
    }

    /// What others send and the writer does not.
    #[test]
    fn golden_chunks_that_are_only_read() {
        let at = |chunk_stream, times: &[u32], length| -> Vec<Message> {
            times
                .iter()
                .map(|at| message(chunk_stream, *at, 9, 1, length))
                .collect()
        };
        for (messages, layout) in [
            // RTMP 1.0 section 5.3.2.1: type 3 headers start messages.
            (
                at(3, &[1000, 1020, 1040, 1060], 32),
                "03 0003e8 000020 09 01000000 <32>  83 000014 <32>  c3 <32>  c3 <32>",
            ),
            // After a type 0 header the delta is its timestamp, section 5.3.1.2.4.
            (at(3, &[0, 0], 1), "03 000000 000001 09 01000000 <1>  c3 <1>"),
            (at(3, &[40, 80], 1), "03 000028 000001 09 01000000 <1>  c3 <1>"),
            // An extended delta, repeated by the type 3 chunks that follow.
            (
                at(6, &[0, 0x0100_0000, 0x0200_0000], 130),
                "06 000000 000082 09 01000000 <128>  c6 <2>
                 86 ffffff 01000000 <128>  c6 01000000 <2>
                 c6 01000000 <128>  c6 01000000 <2>",
            ),
            // The same with the absolute timestamp repeated by those that continue a message.
            (
                at(6, &[1, 0x0100_0001], 130),
                "06 000001 000082 09 01000000 <128>  c6 <2>  86 ffffff 01000000 <128>  c6 01000001 <2>",
            ),
        ] {
            assert_reads_as(&wire(layout, &messages), &messages);
        }
    }

    /// Messages of several chunk streams, in an order for each, and how their chunks come to lie on the wire.
    fn traffic() -> impl Strategy<Value = (Vec<Message>, Vec<prop::sample::Index>)> {
        let chunk_stream = prop_oneof![2_u32..8, 2_u32..8, 60_u32..70, 300_u32..330, Just(65599_u32)];
        let millis = prop_oneof![
            0_u32..200,
            0xFF_FFF0_u32..0x100_0010,
            (u32::MAX - 100)..=u32::MAX,
            any::<u32>(),
        ];
        let length = prop_oneof![4 => 0_usize..300, 2 => 0_usize..3000, 1 => 60_000_usize..150_000];
        let one = (chunk_stream, millis, 8_u8..10, 0_u32..3, length).prop_map(
            |(chunk_stream, millis, kind, stream, n)| message(chunk_stream, millis, kind, stream, n),
        );
        (
            prop::collection::vec(one, 1..20),
            prop::collection::vec(any::<prop::sample::Index>(), 64),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn interleaved_messages_survive_the_round_trip(
            (messages, picks) in traffic(),
            chunk_size in prop_oneof![1_u32..20, 1_u32..5000, 1_u32..70_000],
            read_size in prop_oneof![1_usize..20, 1_usize..5000, 1_usize..100_000],
        ) {
            let mut writer = Writer::new();
            writer.set_chunk_size(chunk_size);
            let mut queues: BTreeMap<u32, Chunks> = BTreeMap::new();
            for message in &messages {
                let queue = queues.entry(message.chunk_stream).or_default();
                prop_assert_eq!(writer.write(outgoing(message), queue), Ok(()));
            }

            let mut wire = Vec::new();
            let mut picks = picks.iter().cycle();
            while !queues.is_empty() {
                let ids: Vec<u32> = queues.keys().copied().collect();
                let id = *picks.next().expect("endless").get(&ids);
                match queues.get_mut(&id).and_then(|queue| queue.0.pop_front()) {
                    Some(chunk) => wire.extend(chunk),
                    None => _ = queues.remove(&id),
                }
            }

            let mut read = read_pieces(wire.chunks(read_size), chunk_size);
            let mut sent = messages;
            // Order holds within a chunk stream only; these sorts are stable.
            read.sort_by_key(|message| message.chunk_stream);
            sent.sort_by_key(|message| message.chunk_stream);
            prop_assert!(read == sent, "{:?}\n{:?}", read, sent);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = Reader::new();
            let mut input = BytesMut::from(bytes.as_slice());
            let mut read = 0;
            while let Ok(Some(message)) = reader.read(&mut input) {
                read += message.payload.len();
            }
            prop_assert!(read <= bytes.len());
        }
    }

    #[test]
    fn debug_shows_no_payload() {
        let message = Message {
            payload: Bytes::from_static(b"key"),
            ..message(3, 5, 20, 1, 0)
        };
        let shown = format!("{message:?} {:?}", outgoing(&message));
        assert!(shown.contains("length: 3") && !shown.contains("key"), "{shown}");
    }
}
