//! Received bytes to messages, RTMP 1.0 section 5.3.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::header::{ChunkHeader, MessageHeader};
use super::{ChunkStreams, DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE, MAX_MESSAGE, Message};
use crate::timestamp::Timestamp;
use crate::wire::{self, Malformed};

/// Chunk streams on one connection. Peers use fewer than ten.
const MAX_CHUNK_STREAMS: usize = 64;

/// Bytes of unfinished messages, all chunk streams together: two of the longest.
const MAX_PARTIAL_BYTES: usize = 32 << 20;

/// Memory taken for the rest of a message on the word of its length field alone. Beyond it, memory grows with
/// the bytes that arrive.
const MAX_RESERVED: usize = 64 << 10;

/// Puts messages together from the bytes of a connection.
///
/// Chunk streams whose first message is of type 1 are taken as starting at time 0 on message stream 0:
/// librtmp and rtmpsrv 2.4 send such (`a_chunk_stream_may_start_with_type_1`).
///
/// `Debug` shows nothing of unfinished messages: they may hold a stream key.
pub struct Reader {
    chunk_size: u32,
    message_limit: usize,
    streams: ChunkStreams<ChunkStream>,
    /// The chunk whose header has been read and whose payload has not.
    open: Option<OpenChunk>,
    partial_bytes: usize,
    /// Whether the peer repeats the extended timestamp on type 3 chunks that continue a message.
    continuing: Repetition,
    /// The same for type 3 chunks that start one. librtmp's forks treat the two differently.
    starting: Repetition,
}

#[derive(Clone, Copy)]
struct OpenChunk {
    chunk_stream: u32,
    /// Payload bytes of this chunk that have not arrived.
    missing: usize,
}

/// The last message header of a chunk stream, resolved, and the message in progress.
#[derive(Default)]
struct ChunkStream {
    timestamp: Timestamp,
    delta: u32,
    length: usize,
    type_id: u8,
    stream_id: u32,
    /// Extended timestamp field of the last header that was not of type 3.
    extended: Option<u32>,
    /// What has arrived of a message that is not complete.
    partial: BytesMut,
}

/// What a peer does about the extended timestamp on type 3 chunks. RTMP 1.0 section 5.3.1.3 wants it there;
/// its draft of 2009 did not, and OBS before 2024 followed the draft.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Repetition {
    Unknown,
    Present,
    Absent,
}

/// Judgement on the bytes after a type 3 header.
enum Extended {
    Repeated,
    NotThere,
    /// The bytes that have arrived could still be either.
    Undecided,
}

impl Repetition {
    /// Looks at `rest`, the bytes after a type 3 header, for the extended timestamp.
    fn judge(&mut self, rest: &[u8], field: u32, timestamp: u32) -> Extended {
        let known = [field, timestamp].map(u32::to_be_bytes);
        // gortmplib writes four zero bytes in place of the value.
        let zeros = (*self == Self::Unknown).then_some([0; 4]);
        let Some(next) = rest.first_chunk::<4>() else {
            let possible = *self == Self::Present
                || known
                    .iter()
                    .chain(&zeros)
                    .any(|candidate| candidate.starts_with(rest));
            if possible {
                return Extended::Undecided;
            }
            // What cannot become the field is payload, and may be all that the peer has to say for now.
            *self = Self::Absent;
            return Extended::NotThere;
        };
        if known.contains(next) {
            *self = Self::Present;
            Extended::Repeated
        } else if *self == Self::Present || zeros.as_ref() == Some(next) {
            Extended::Repeated
        } else {
            *self = Self::Absent;
            Extended::NotThere
        }
    }
}

impl ChunkStream {
    /// Appends the `n` bytes at the front of `input` to the message in progress. This is the one copy that
    /// receiving costs, and only messages of several chunks or several reads pay it.
    fn append(&mut self, input: &mut BytesMut, n: usize) {
        let arrived = self.partial.len();
        if self.partial.capacity() - arrived < n {
            let ahead = MAX_RESERVED.max(arrived).min(self.length.saturating_sub(arrived));
            self.partial.reserve(ahead.max(n));
        }
        self.partial.put(input.take(n));
    }

    fn message(&self, chunk_stream: u32, payload: Bytes) -> Message {
        Message {
            chunk_stream,
            timestamp: self.timestamp,
            type_id: self.type_id,
            stream_id: self.stream_id,
            payload,
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("chunk_size", &self.chunk_size)
            .field("partial_bytes", &self.partial_bytes)
            .finish_non_exhaustive()
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader for a connection on which no chunk has been received.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            message_limit: MAX_MESSAGE,
            streams: ChunkStreams::new(),
            open: None,
            partial_bytes: 0,
            continuing: Repetition::Unknown,
            starting: Repetition::Unknown,
        }
    }

    /// Refuses messages of more than `bytes` from now on. The default is [`MAX_MESSAGE`].
    pub const fn set_message_limit(&mut self, bytes: usize) {
        self.message_limit = bytes;
    }

    /// The most payload bytes that the peer puts in a chunk.
    #[must_use]
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Applies the peer's Set Chunk Size (RTMP 1.0 section 5.4.1) to the chunks after the ones already read,
    /// also in the middle of a message. Brought into 1 to [`MAX_CHUNK_SIZE`]: MonaServer sends 2^31 - 1.
    pub fn set_chunk_size(&mut self, bytes: u32) {
        self.chunk_size = bytes.clamp(1, MAX_CHUNK_SIZE);
    }

    /// Applies the peer's Abort (RTMP 1.0 section 5.4.2): forgets what has arrived of the message on
    /// `chunk_stream`. To be called as soon as [`Reader::read`] has returned the Abort message.
    pub fn abort(&mut self, chunk_stream: u32) {
        if let Some(stream) = self.streams.get_mut(chunk_stream) {
            self.partial_bytes = self.partial_bytes.saturating_sub(stream.partial.len());
            stream.partial = BytesMut::new();
        }
    }

    /// Takes bytes off the front of `input` until a message is complete; `None` when `input` holds no more
    /// that can be used. A message that lies in `input` in one chunk becomes a slice of it, without a copy.
    ///
    /// Returns after every message so that Set Chunk Size and Abort apply to what follows them. After an
    /// error the chunk boundaries are lost and the connection with them.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        loop {
            let open = match self.open.take() {
                Some(open) => open,
                None => match self.read_header(input)? {
                    Some(open) => open,
                    None => return Ok(None),
                },
            };
            let OpenChunk {
                chunk_stream,
                missing,
            } = open;
            let stream = self
                .streams
                .get_mut(chunk_stream)
                .expect("the header of the open chunk entered its chunk stream");

            if missing == stream.length && missing <= input.len() {
                let payload = input.split_to(missing).freeze();
                return Ok(Some(stream.message(chunk_stream, payload)));
            }

            let arrived = missing.min(input.len());
            self.partial_bytes = self.partial_bytes.saturating_add(arrived);
            if self.partial_bytes > MAX_PARTIAL_BYTES {
                return Err(Malformed::Excessive("unfinished messages"));
            }
            stream.append(input, arrived);
            if arrived < missing {
                self.open = Some(OpenChunk {
                    chunk_stream,
                    missing: missing.saturating_sub(arrived),
                });
                return Ok(None);
            }
            if stream.partial.len() == stream.length {
                self.partial_bytes = self.partial_bytes.saturating_sub(stream.length);
                let payload = std::mem::take(&mut stream.partial).freeze();
                return Ok(Some(stream.message(chunk_stream, payload)));
            }
        }
    }

    /// Reads the header of the next chunk and brings its chunk stream up to date. Changes nothing when the
    /// header has not arrived in whole.
    fn read_header(&mut self, input: &mut BytesMut) -> Result<Option<OpenChunk>, Malformed> {
        let mut r = wire::Reader::new(input);
        let header = match ChunkHeader::decode(&mut r) {
            Ok(header) => header,
            Err(Malformed::Truncated(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        let ChunkHeader {
            chunk_stream,
            message,
            ..
        } = header;
        let format = u64::from(message.format());

        if self.streams.get_mut(chunk_stream).is_none() {
            if matches!(
                message,
                MessageHeader::SameShape { .. } | MessageHeader::Continuation
            ) {
                return Err(Malformed::Invalid {
                    field: "first chunk type of a chunk stream",
                    value: format,
                });
            }
            if self.streams.len() == MAX_CHUNK_STREAMS {
                return Err(Malformed::Excessive("chunk streams"));
            }
            self.streams.insert(chunk_stream, ChunkStream::default());
        }
        let stream = self
            .streams
            .get_mut(chunk_stream)
            .expect("entered just now if it was missing");

        let arrived = stream.partial.len();
        let starts = arrived == 0;
        if !starts && message != MessageHeader::Continuation {
            return Err(Malformed::Invalid {
                field: "chunk type within a message",
                value: format,
            });
        }

        match message {
            MessageHeader::Full {
                timestamp,
                length,
                type_id,
                stream_id,
            } => {
                stream.timestamp = Timestamp::from_millis(timestamp);
                // So says section 5.3.1.2.4, for the sake of a type 3 chunk that starts the next message.
                stream.delta = timestamp;
                stream.length = length as usize;
                stream.type_id = type_id;
                stream.stream_id = stream_id;
                stream.extended = header.extended;
            }
            MessageHeader::SameStream {
                delta,
                length,
                type_id,
            } => {
                stream.timestamp = stream.timestamp.advanced(delta);
                stream.delta = delta;
                stream.length = length as usize;
                stream.type_id = type_id;
                stream.extended = header.extended;
            }
            MessageHeader::SameShape { delta } => {
                stream.timestamp = stream.timestamp.advanced(delta);
                stream.delta = delta;
                stream.extended = header.extended;
            }
            MessageHeader::Continuation => {
                let (timestamp, repetition) = if starts {
                    (stream.timestamp.advanced(stream.delta), &mut self.starting)
                } else {
                    (stream.timestamp, &mut self.continuing)
                };
                if let Some(field) = stream.extended {
                    match repetition.judge(r.rest(), field, timestamp.millis()) {
                        Extended::Repeated => _ = r.u32("extended timestamp")?,
                        Extended::NotThere => {}
                        Extended::Undecided => return Ok(None),
                    }
                }
                stream.timestamp = timestamp;
            }
        }
        if starts && stream.length > self.message_limit {
            return Err(Malformed::Excessive("message length"));
        }

        let missing = stream
            .length
            .saturating_sub(arrived)
            .min(self.chunk_size as usize);
        let left = r.remaining();
        input.advance(input.len().saturating_sub(left));
        Ok(Some(OpenChunk {
            chunk_stream,
            missing,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::hex;

    fn input(bytes: &str) -> BytesMut {
        BytesMut::from(hex(bytes).as_slice())
    }

    /// `bytes` in hexadecimal as the message that completes next.
    fn read(reader: &mut Reader, bytes: &str) -> Option<Message> {
        let mut input = input(bytes);
        let message = reader.read(&mut input).expect("well-formed chunks");
        assert!(input.is_empty(), "{} bytes left over", input.len());
        message
    }

    fn error(bytes: &str) -> Malformed {
        let mut reader = Reader::new();
        let mut input = input(bytes);
        loop {
            match reader.read(&mut input) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("not an error: {bytes}"),
                Err(e) => return e,
            }
        }
    }

    #[test]
    fn a_message_in_one_chunk_is_a_slice_of_the_input() {
        let mut reader = Reader::new();
        let mut input = input("04 000000 000003 08 01000000 af0121  04 000000 000000 08 01000000");
        let place = input.as_ptr().wrapping_add(12);
        let message = reader.read(&mut input).expect("well-formed").expect("complete");
        assert_eq!(message.payload.as_ptr(), place);
        assert_eq!(message.payload, [0xAF, 1, 0x21].as_slice());
        // A read never goes past the message it returns.
        assert_eq!(input.len(), 12);
    }

    #[test]
    fn set_chunk_size_applies_in_the_middle_of_another_message() {
        for split in 0.. {
            let video: Vec<u8> = (0..=255).cycle().take(300).collect();
            let mut wire = hex("06 000000 00012c 09 01000000");
            wire.extend(&video[..128]);
            wire.extend(hex("02 000000 000004 01 00000000 00001000"));
            wire.extend(hex("c6"));
            wire.extend(&video[128..]);
            if split > wire.len() {
                break;
            }

            let mut reader = Reader::new();
            let mut messages = Vec::new();
            let mut input = BytesMut::new();
            for part in [&wire[..split], &wire[split..]] {
                input.extend_from_slice(part);
                while let Some(message) = reader.read(&mut input).expect("well-formed chunks") {
                    if message.type_id == 1 {
                        reader.set_chunk_size(4096);
                    }
                    messages.push(message);
                }
            }
            let ids: Vec<u8> = messages.iter().map(|message| message.type_id).collect();
            assert_eq!(ids, [1, 9], "split at {split}");
            assert_eq!(messages[1].payload, video);
        }
    }

    #[test]
    fn chunk_sizes_are_brought_into_range() {
        let mut reader = Reader::new();
        assert_eq!(reader.chunk_size(), 128);
        // MonaServer 2.770 sends 2^31 - 1.
        reader.set_chunk_size(0x7FFF_FFFF);
        assert_eq!(reader.chunk_size(), 0xFF_FFFF);
        reader.set_chunk_size(0);
        assert_eq!(reader.chunk_size(), 1);
        let message = read(&mut reader, "04 000000 000002 08 01000000 aa c4 bb").expect("complete");
        assert_eq!(message.payload, [0xAA, 0xBB].as_slice());
    }

    #[test]
    fn abort_forgets_the_message_and_keeps_its_header() {
        let mut reader = Reader::new();
        reader.set_chunk_size(2);
        assert_eq!(read(&mut reader, "06 000028 000003 09 01000000 aaaa"), None);
        assert_eq!(reader.partial_bytes, 2);
        reader.abort(6);
        reader.abort(7);
        assert_eq!(reader.partial_bytes, 0);
        // A new message, where without the abort it would have been an error.
        let message = read(&mut reader, "86 000014 bbbb c6 bb").expect("complete");
        assert_eq!(message.timestamp.millis(), 60);
        assert_eq!(message.payload, [0xBB; 3].as_slice());
    }

    #[test]
    fn a_chunk_stream_may_start_with_type_1() {
        let mut reader = Reader::new();
        let message = read(&mut reader, "43 000005 000001 14 aa").expect("complete");
        assert_eq!((message.timestamp.millis(), message.stream_id), (5, 0));
    }

    #[test]
    fn control_messages_may_be_compressed() {
        // As MonaServer 2.770 sends them: type 1 and type 3 headers for new messages on chunk stream 2.
        let mut reader = Reader::new();
        let window = read(&mut reader, "02 000000 000004 05 00000000 002625a0").expect("complete");
        let bandwidth = read(&mut reader, "42 000000 000005 06 002625a000").expect("complete");
        let again = read(&mut reader, "c2 002625a001").expect("complete");
        assert_eq!((window.type_id, bandwidth.type_id, again.type_id), (5, 6, 6));
        assert_eq!(again.payload, hex("002625a001"));
    }

    #[test]
    fn one_chunk_stream_may_carry_everything() {
        // As MonaServer 2.770 does: status, data, audio and video on chunk stream 4.
        let mut reader = Reader::new();
        let kinds = [
            "04 000000 000002 14 01000000 0200",
            "44 000000 000003 12 020000",
            "44 000000 000002 08 af00",
            "44 000028 000001 09 17",
        ]
        .map(|bytes| read(&mut reader, bytes).expect("complete"))
        .map(|message| (message.type_id, message.stream_id, message.timestamp.millis()));
        assert_eq!(kinds, [(20, 1, 0), (18, 1, 0), (8, 1, 0), (9, 1, 40)]);
    }

    /// A message of 6 bytes in chunks of 2, late enough for extended timestamps, whose type 3 chunks carry
    /// `field`; another that such a chunk starts; and what follows on another chunk stream.
    fn late_messages(continuing: &str, starting: &str) -> Vec<u8> {
        hex(&format!(
            "06 ffffff 000006 09 01000000 01000310 a1a2  c6 {continuing} a3a4  c6 {continuing} a5a6
             46 ffffff 000006 09 01000000 b1b2  c6 {continuing} b3b4  c6 {continuing} b5b6
             c6 {starting} c1c2  c6 {continuing} c3c4  c6 {continuing} c5c6
             04 000000 000001 08 01000000 dd"
        ))
    }

    fn assert_late_messages(bytes: &[u8]) {
        for split in 0..=bytes.len() {
            let mut reader = Reader::new();
            reader.set_chunk_size(2);
            let mut input = BytesMut::new();
            let mut read = Vec::new();
            for part in [&bytes[..split], &bytes[split..]] {
                input.extend_from_slice(part);
                while let Some(message) = reader.read(&mut input).expect("well-formed chunks") {
                    read.push((message.timestamp.millis(), message.payload));
                }
            }
            let expected = [
                (0x0100_0310, "a1a2a3a4a5a6"),
                (0x0200_0310, "b1b2b3b4b5b6"),
                (0x0300_0310, "c1c2c3c4c5c6"),
                (0, "dd"),
            ]
            .map(|(millis, payload)| (millis, Bytes::from(hex(payload))));
            assert_eq!(read, expected, "split at {split}");
        }
    }

    #[test]
    fn repeated_extended_timestamps_may_be_absent() {
        // OBS before 2024.
        assert_late_messages(&late_messages("", ""));
    }

    #[test]
    fn repeated_extended_timestamps_may_be_zero() {
        // gortmplib.
        assert_late_messages(&late_messages("00000000", "00000000"));
    }

    #[test]
    fn extended_timestamps_on_starting_and_continuing_chunks_are_told_apart() {
        // OBS since 2024: the chunks that continue carry the field, those that start do not.
        let present = "06 ffffff 000004 09 01000000 01000310 a1a2  c6 01000310 a3a4
                       46 ffffff 000004 09 01000000 b1b2  c6 01000000 b3b4
                       c6 c1c2  c6 01000000 c3c4";
        let mut reader = Reader::new();
        reader.set_chunk_size(2);
        let mut input = input(present);
        let mut read = || reader.read(&mut input).expect("well-formed").expect("complete");
        assert_eq!(read().payload, hex("a1a2a3a4"));
        assert_eq!(read().payload, hex("b1b2b3b4"));
        let third = read();
        assert_eq!(
            (third.timestamp.millis(), third.payload),
            (0x0300_0310, Bytes::from(hex("c1c2c3c4")))
        );
    }

    #[test]
    fn an_absent_extended_timestamp_is_not_waited_for() {
        let mut reader = Reader::new();
        reader.set_chunk_size(2);
        assert_eq!(
            read(&mut reader, "06 ffffff 000003 09 01000000 01000310 a1a2"),
            None
        );
        // One byte of payload, which begins no field that could be here; nothing else may come for long.
        let message = read(&mut reader, "c6 a3").expect("complete");
        assert_eq!(message.payload, hex("a1a2a3"));
    }

    #[test]
    fn a_peer_known_to_repeat_extended_timestamps_is_believed() {
        // Old versions of rml_rtmp write a field with a wrong value.
        let mut reader = Reader::new();
        reader.set_chunk_size(2);
        let first = read(
            &mut reader,
            "06 ffffff 000003 09 01000000 01000310 a1a2 c6 01000310 a3",
        );
        assert_eq!(first.expect("complete").payload, hex("a1a2a3"));
        let second = read(
            &mut reader,
            "06 ffffff 000003 09 01000000 01000338 b1b2 c6 01000310 b3",
        );
        assert_eq!(second.expect("complete").payload, hex("b1b2b3"));
    }

    #[test]
    fn debug_shows_nothing_of_unfinished_messages() {
        let mut reader = Reader::new();
        let mut input = input("06 000000 000009 14 01000000");
        input.extend_from_slice(b"secret");
        assert_eq!(reader.read(&mut input), Ok(None));
        assert_eq!(
            format!("{reader:?}"),
            "Reader { chunk_size: 128, partial_bytes: 6, .. }"
        );
    }

    #[test]
    fn chunks_out_of_order_are_refused() {
        let first = |value| Malformed::Invalid {
            field: "first chunk type of a chunk stream",
            value,
        };
        assert_eq!(error("83 000014 aa"), first(2));
        assert_eq!(error("c3 aa"), first(3));
        let within = |value| Malformed::Invalid {
            field: "chunk type within a message",
            value,
        };
        let body = "aa".repeat(128);
        let start = format!("06 000000 000100 09 01000000 {body}");
        assert_eq!(
            error(&format!("{start} 06 000000 000001 09 01000000 aa")),
            within(0)
        );
        assert_eq!(error(&format!("{start} 46 000000 000001 09 aa")), within(1));
        assert_eq!(error(&format!("{start} 86 000000 aa")), within(2));
    }

    #[test]
    fn the_65th_chunk_stream_is_refused() {
        let mut reader = Reader::new();
        for id in 2..66 {
            let mut bytes = BytesMut::new();
            let message = MessageHeader::Full {
                timestamp: 0,
                length: 0,
                type_id: 9,
                stream_id: 1,
            };
            ChunkHeader::new(id, message).encode(&mut bytes);
            assert!(reader.read(&mut bytes).expect("allowed").is_some());
        }
        assert_eq!(
            reader.read(&mut input("00 02 000000 000000 09 01000000")),
            Err(Malformed::Excessive("chunk streams"))
        );
    }

    #[test]
    fn messages_over_the_limit_are_refused_by_their_header() {
        let mut reader = Reader::new();
        reader.set_message_limit(64);
        let at_limit = read(
            &mut reader,
            &format!("04 000000 000040 14 00000000 {}", "aa".repeat(64)),
        );
        assert!(at_limit.is_some());
        assert_eq!(
            reader.read(&mut input("44 000000 000041 14")),
            Err(Malformed::Excessive("message length"))
        );
    }

    #[test]
    fn claimed_lengths_reserve_little() {
        let mut reader = Reader::new();
        reader.set_chunk_size(MAX_CHUNK_SIZE);
        let mut capacity = |bytes: &mut BytesMut| {
            assert_eq!(reader.read(bytes), Ok(None));
            reader.streams.get_mut(6).map(|stream| stream.partial.capacity())
        };
        // A header alone reserves nothing.
        assert_eq!(capacity(&mut input("06 000000 ffffff 09 01000000")), Some(0));
        let mut arrived = 0;
        while arrived < 3 << 20 {
            arrived += 1000;
            let reserved = capacity(&mut BytesMut::from([0xAA; 1000].as_slice())).expect("entered");
            assert!(reserved <= 2 * arrived + MAX_RESERVED, "{reserved} for {arrived}");
        }
    }

    #[test]
    fn unfinished_messages_are_limited_in_sum() {
        let mut reader = Reader::new();
        reader.set_chunk_size(MAX_CHUNK_SIZE - 1);
        let mut almost_all = |id: u8| {
            let mut input = BytesMut::from([id, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0].as_slice());
            input.resize(12 + MAX_MESSAGE - 1, 0xAA);
            reader.read(&mut input)
        };
        assert_eq!(almost_all(4), Ok(None));
        assert_eq!(almost_all(5), Ok(None));
        assert_eq!(almost_all(6), Err(Malformed::Excessive("unfinished messages")));
        // What is finished no longer counts.
        let mut reader = Reader::new();
        reader.set_chunk_size(2);
        for _ in 0..3 {
            assert!(read(&mut reader, "06 000000 000003 09 01000000 aaaa c6 aa").is_some());
            assert_eq!(reader.partial_bytes, 0);
        }
    }
}
