//! Messages to chunks, RTMP 1.0 section 5.3.

use std::fmt;

use bytes::Bytes;

use super::header::{ChunkHeader, MAX_HEADER, MessageHeader};
use super::{ChunkStreams, DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE, MAX_MESSAGE};
use crate::timestamp::Timestamp;
use crate::wire::Malformed;

/// Deltas from here on need an extended timestamp, which SRS before 6.0.167 takes for an absolute one. A type
/// 0 header says the same to everybody.
const FIRST_EXTENDED_DELTA: u32 = 0xFF_FFFF;

/// A message to be sent, RTMP 1.0 section 4. `Debug` shows no payload: that may hold a stream key.
#[derive(Clone)]
pub struct Outgoing {
    /// Chunk stream to use, 2 to 65599. Servers know only the ones below 32 (nginx-rtmp 1.2.2 by default).
    pub chunk_stream: u32,
    /// When the message is due, on our clock.
    pub timestamp: Timestamp,
    /// What the payload is: see [`crate::message::type_id`].
    pub type_id: u8,
    /// Message stream: 0 for the NetConnection, else a NetStream.
    pub stream_id: u32,
    /// First part of the payload, such as a codec header that we made; often empty.
    pub head: Bytes,
    /// The rest of the payload.
    pub body: Bytes,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("chunk_stream", &self.chunk_stream)
            .field("timestamp", &self.timestamp.millis())
            .field("type_id", &self.type_id)
            .field("stream_id", &self.stream_id)
            .field("length", &self.head.len().saturating_add(self.body.len()))
            .finish()
    }
}

/// Where a [`Writer`] puts chunks: their bytes in order, headers and payloads apart so that payloads are not
/// copied.
pub trait Output {
    /// Takes a chunk header, at most 18 bytes.
    fn header(&mut self, bytes: &[u8]);
    /// Takes a slice of a message's payload, never empty.
    fn payload(&mut self, bytes: Bytes);
}

/// Cuts messages into chunks.
///
/// Starts messages with the smallest header that every known receiver reads alike: never type 3, whose delta
/// after a type 0 header is disputed, and never an extended delta.
#[derive(Debug)]
pub struct Writer {
    chunk_size: u32,
    streams: ChunkStreams<Sent>,
}

/// What the receiver remembers of the last message on a chunk stream.
#[derive(Clone, Copy, Debug)]
struct Sent {
    timestamp: Timestamp,
    length: u32,
    type_id: u8,
    stream_id: u32,
}

impl Sent {
    /// The shortest header for `self` as the first message on its chunk stream or the one after `last`.
    fn header_after(self, last: Option<Self>) -> MessageHeader {
        let Self {
            timestamp,
            length,
            type_id,
            stream_id,
        } = self;
        let full = MessageHeader::Full {
            timestamp: timestamp.millis(),
            length,
            type_id,
            stream_id,
        };
        let Some(last) = last.filter(|last| last.stream_id == stream_id) else {
            return full;
        };
        match u32::try_from(timestamp.since(last.timestamp)) {
            Ok(delta) if delta >= FIRST_EXTENDED_DELTA => full,
            Ok(delta) if last.length == length && last.type_id == type_id => {
                MessageHeader::SameShape { delta }
            }
            Ok(delta) => MessageHeader::SameStream {
                delta,
                length,
                type_id,
            },
            // Time goes backward.
            Err(_) => full,
        }
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A writer for a connection on which no chunk has been sent.
    #[must_use]
    pub fn new() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            streams: ChunkStreams::new(),
        }
    }

    /// The most payload bytes put in a chunk.
    #[must_use]
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Cuts the messages to come at `bytes`, brought into 1 to [`MAX_CHUNK_SIZE`]. To be called after the Set
    /// Chunk Size message that tells the peer has been written.
    pub fn set_chunk_size(&mut self, bytes: u32) {
        self.chunk_size = bytes.clamp(1, MAX_CHUNK_SIZE);
    }

    /// Writes all chunks of `message`, without copying its payload. A message of more than [`MAX_MESSAGE`]
    /// bytes is refused and leaves `out` as it was.
    pub fn write(&mut self, message: Outgoing, out: &mut impl Output) -> Result<(), Malformed> {
        let Outgoing {
            chunk_stream,
            timestamp,
            type_id,
            stream_id,
            mut head,
            mut body,
        } = message;
        let length = head.len().saturating_add(body.len());
        let length = match u32::try_from(length) {
            Ok(fits) if length <= MAX_MESSAGE => fits,
            _ => return Err(Malformed::Excessive("message length")),
        };

        let now = Sent {
            timestamp,
            length,
            type_id,
            stream_id,
        };
        let message_header = match self.streams.get_mut(chunk_stream) {
            Some(sent) => now.header_after(Some(std::mem::replace(sent, now))),
            None => {
                self.streams.insert(chunk_stream, now);
                now.header_after(None)
            }
        };
        let first = ChunkHeader::new(chunk_stream, message_header);

        put_header(first, out);
        self.payload_of_one_chunk(&mut head, &mut body, out);
        if head.is_empty() && body.is_empty() {
            return Ok(());
        }
        while !(head.is_empty() && body.is_empty()) {
            put_header(first.continuation(), out);
            self.payload_of_one_chunk(&mut head, &mut body, out);
        }
        Ok(())
    }

    fn payload_of_one_chunk(&self, head: &mut Bytes, body: &mut Bytes, out: &mut impl Output) {
        let mut room = self.chunk_size as usize;
        for part in [head, body] {
            let n = room.min(part.len());
            if n > 0 {
                room -= n;
                out.payload(part.split_to(n));
            }
        }
    }
}

fn put_header(header: ChunkHeader, out: &mut impl Output) {
    let mut bytes = [0; MAX_HEADER];
    let mut rest = &mut bytes[..];
    header.encode(&mut rest);
    let length = MAX_HEADER - rest.len();
    out.header(bytes.get(..length).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(head: &'static [u8], body: Bytes) -> Outgoing {
        Outgoing {
            chunk_stream: 6,
            timestamp: Timestamp::ZERO,
            type_id: 9,
            stream_id: 1,
            head: Bytes::from_static(head),
            body,
        }
    }

    /// The payload slices as they come.
    #[derive(Default)]
    struct Slices(Vec<Bytes>);

    impl Output for Slices {
        fn header(&mut self, _: &[u8]) {}

        fn payload(&mut self, bytes: Bytes) {
            self.0.push(bytes);
        }
    }

    #[test]
    fn payloads_are_sliced_not_copied() {
        let body = Bytes::from(vec![7; 300]);
        let mut slices = Slices::default();
        Writer::new()
            .write(video(&[1, 2, 3, 4, 5], body.clone()), &mut slices)
            .expect("short enough");
        let lengths: Vec<usize> = slices.0.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [5, 123, 128, 49]);
        assert_eq!(slices.0[1].as_ptr(), body.as_ptr());
        assert_eq!(slices.0[3].as_ptr(), body.as_ptr().wrapping_add(251));
    }

    #[test]
    fn the_chunk_size_applies_to_the_next_message() {
        let mut writer = Writer::new();
        assert_eq!(writer.chunk_size(), 128);
        let mut wire = Vec::new();
        writer
            .write(video(&[], Bytes::from(vec![7; 200])), &mut wire)
            .expect("short enough");
        assert_eq!(wire.len(), 12 + 128 + 1 + 72);
        writer.set_chunk_size(4096);
        wire.clear();
        writer
            .write(video(&[], Bytes::from(vec![7; 200])), &mut wire)
            .expect("short enough");
        assert_eq!(wire.len(), 4 + 200);
        writer.set_chunk_size(u32::MAX);
        assert_eq!(writer.chunk_size(), MAX_CHUNK_SIZE);
    }

    #[test]
    fn a_message_longer_than_its_length_field_is_refused() {
        let mut writer = Writer::new();
        let mut wire = Vec::new();
        let body = Bytes::from(vec![7; MAX_MESSAGE]);
        assert_eq!(
            writer.write(video(&[1], body.clone()), &mut wire),
            Err(Malformed::Excessive("message length"))
        );
        assert!(wire.is_empty());
        // The refused message has left no trace: the next header is still the first.
        writer.set_chunk_size(MAX_CHUNK_SIZE);
        assert_eq!(writer.write(video(&[], body), &mut wire), Ok(()));
        assert_eq!(wire.len(), 12 + MAX_MESSAGE);
    }
}
