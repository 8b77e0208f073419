//! Chunk headers, RTMP 1.0 section 5.3.1. Header compression lives in `reader` and `writer`; this file only
//! maps bytes.

use bytes::BufMut;

use crate::wire::{Malformed, Reader};

/// Bytes of the longest chunk header: basic header, message header, extended timestamp.
pub(super) const MAX_HEADER: usize = 3 + 11 + 4;

/// A timestamp or delta field with this value announces the extended timestamp.
const EXTENDED: u32 = 0xFF_FFFF;

/// First chunk stream whose id takes two bytes, and what those two bytes count from.
const FIRST_TWO_BYTE: u32 = 64;

/// First chunk stream whose id takes three bytes.
const FIRST_THREE_BYTE: u32 = 64 + 256;

/// Message header of one chunk; what is absent is inherited from the chunk stream. Timestamps and deltas are
/// milliseconds, whichever field carried them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MessageHeader {
    /// Type 0: absolute timestamp. Starts a chunk stream, or a timestamp going backward.
    Full {
        timestamp: u32,
        length: u32,
        type_id: u8,
        stream_id: u32,
    },
    /// Type 1: same message stream, new length and type.
    SameStream { delta: u32, length: u32, type_id: u8 },
    /// Type 2: only the timestamp delta changes.
    SameShape { delta: u32 },
    /// Type 3: continues a message, or starts one that repeats everything.
    Continuation,
}

impl MessageHeader {
    /// The `fmt` field, RTMP 1.0 section 5.3.1.2.
    pub(super) const fn format(self) -> u8 {
        match self {
            Self::Full { .. } => 0,
            Self::SameStream { .. } => 1,
            Self::SameShape { .. } => 2,
            Self::Continuation => 3,
        }
    }

    const fn time(self) -> Option<u32> {
        match self {
            Self::Full { timestamp, .. } => Some(timestamp),
            Self::SameStream { delta, .. } | Self::SameShape { delta } => Some(delta),
            Self::Continuation => None,
        }
    }
}

/// Everything in front of a chunk's payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ChunkHeader {
    /// Chunk stream, 2 to 65599.
    pub(super) chunk_stream: u32,
    pub(super) message: MessageHeader,
    /// The extended timestamp field, RTMP 1.0 section 5.3.1.3. Peers may send one for a value that needs
    /// none.
    pub(super) extended: Option<u32>,
}

impl ChunkHeader {
    /// A header with the extended timestamp if and only if `message` needs it.
    pub(super) fn new(chunk_stream: u32, message: MessageHeader) -> Self {
        Self {
            chunk_stream,
            message,
            extended: message.time().filter(|time| *time >= EXTENDED),
        }
    }

    /// Header of the further chunks of the message that `self` starts. They repeat the extended timestamp:
    /// receivers that expect it lose the chunk boundaries without it, and most do.
    pub(super) const fn continuation(self) -> Self {
        Self {
            message: MessageHeader::Continuation,
            ..self
        }
    }

    /// Reads a header. [`Malformed::Truncated`] means that the rest has not arrived. Whether an extended
    /// timestamp follows a type 3 header depends on the chunk stream and on the sender, so it is left unread.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let first = r.u8("basic header")?;
        let chunk_stream = match first & 0x3F {
            0 => FIRST_TWO_BYTE + u32::from(r.u8("chunk stream id")?),
            1 => {
                // The one little-endian number beside the message stream id.
                let low = u32::from(r.u8("chunk stream id")?);
                let high = u32::from(r.u8("chunk stream id")?);
                FIRST_TWO_BYTE + low + (high << 8)
            }
            id => u32::from(id),
        };
        let (message, field) = match first >> 6 {
            0 => {
                let timestamp = r.u24("timestamp")?;
                let length = r.u24("message length")?;
                let type_id = r.u8("message type id")?;
                let stream_id = r.u32_le("message stream id")?;
                (
                    MessageHeader::Full {
                        timestamp,
                        length,
                        type_id,
                        stream_id,
                    },
                    timestamp,
                )
            }
            1 => {
                let delta = r.u24("timestamp delta")?;
                let length = r.u24("message length")?;
                let type_id = r.u8("message type id")?;
                (
                    MessageHeader::SameStream {
                        delta,
                        length,
                        type_id,
                    },
                    delta,
                )
            }
            2 => {
                let delta = r.u24("timestamp delta")?;
                (MessageHeader::SameShape { delta }, delta)
            }
            _ => (MessageHeader::Continuation, 0),
        };
        if field != EXTENDED {
            return Ok(Self {
                chunk_stream,
                message,
                extended: None,
            });
        }
        let value = r.u32("extended timestamp")?;
        let message = match message {
            MessageHeader::Full {
                length,
                type_id,
                stream_id,
                ..
            } => MessageHeader::Full {
                timestamp: value,
                length,
                type_id,
                stream_id,
            },
            MessageHeader::SameStream { length, type_id, .. } => MessageHeader::SameStream {
                delta: value,
                length,
                type_id,
            },
            MessageHeader::SameShape { .. } => MessageHeader::SameShape { delta: value },
            MessageHeader::Continuation => MessageHeader::Continuation,
        };
        Ok(Self {
            chunk_stream,
            message,
            extended: Some(value),
        })
    }

    /// Writes the header with the chunk stream id in its shortest form.
    pub(super) fn encode(&self, out: &mut impl BufMut) {
        let format = self.message.format() << 6;
        match self.chunk_stream {
            id @ FIRST_THREE_BYTE.. => {
                out.put_u8(format | 1);
                out.put_uint_le(u64::from(id - FIRST_TWO_BYTE), 2);
            }
            id @ FIRST_TWO_BYTE.. => {
                out.put_u8(format);
                out.put_uint(u64::from(id - FIRST_TWO_BYTE), 1);
            }
            id => out.put_uint(u64::from(id) | u64::from(format), 1),
        }
        let field = |time: u32| u64::from(if self.extended.is_some() { EXTENDED } else { time });
        match self.message {
            MessageHeader::Full {
                timestamp,
                length,
                type_id,
                stream_id,
            } => {
                out.put_uint(field(timestamp), 3);
                out.put_uint(u64::from(length), 3);
                out.put_u8(type_id);
                out.put_u32_le(stream_id);
            }
            MessageHeader::SameStream {
                delta,
                length,
                type_id,
            } => {
                out.put_uint(field(delta), 3);
                out.put_uint(u64::from(length), 3);
                out.put_u8(type_id);
            }
            MessageHeader::SameShape { delta } => out.put_uint(field(delta), 3),
            MessageHeader::Continuation => {}
        }
        if let Some(value) = self.extended {
            out.put_u32(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::hex;
    use proptest::prelude::*;

    /// Headers and their bytes, in both directions. The extended timestamp of a type 3 header is not here:
    /// `decode` leaves it to the chunk reader.
    fn golden() -> Vec<(ChunkHeader, Vec<u8>)> {
        use MessageHeader::{Continuation, Full, SameShape, SameStream};
        let audio = Full {
            timestamp: 1000,
            length: 32,
            type_id: 8,
            stream_id: 12345,
        };
        let late = Full {
            timestamp: 16_778_000,
            length: 200,
            type_id: 9,
            stream_id: 1,
        };
        let brink = Full {
            timestamp: 16_777_215,
            length: 1,
            type_id: 8,
            stream_id: 1,
        };
        let jump = SameStream {
            delta: 0x0100_0000,
            length: 5,
            type_id: 9,
        };
        [
            (2, Continuation, "c2"),
            (63, Continuation, "ff"),
            (64, Continuation, "c0 00"),
            (100, Continuation, "c0 24"),
            (319, Continuation, "c0 ff"),
            (320, Continuation, "c1 00 01"),
            (1000, Continuation, "c1 a8 03"),
            (65599, Continuation, "c1 ff ff"),
            (3, audio, "03 0003e8 000020 08 39300000"),
            (3, SameShape { delta: 20 }, "83 000014"),
            (320, SameShape { delta: 20 }, "81 00 01 000014"),
            (6, late, "06 ffffff 0000c8 09 01000000 01000310"),
            (
                6,
                SameStream {
                    delta: 40,
                    length: 5,
                    type_id: 9,
                },
                "46 000028 000005 09",
            ),
            (
                64,
                SameStream {
                    delta: 40,
                    length: 5,
                    type_id: 9,
                },
                "40 00 000028 000005 09",
            ),
            (6, jump, "46 ffffff 000005 09 01000000"),
            (6, SameShape { delta: 0xFF_FFFF }, "86 ffffff 00ffffff"),
            (4, brink, "04 ffffff 000001 08 01000000 00ffffff"),
        ]
        .map(|(chunk_stream, message, bytes)| (ChunkHeader::new(chunk_stream, message), hex(bytes)))
        .into()
    }

    #[test]
    fn golden_headers_in_both_directions() {
        for (header, bytes) in golden() {
            let mut written = Vec::new();
            header.encode(&mut written);
            assert_eq!(written, bytes, "{header:?}");
            let mut r = Reader::new(&bytes);
            assert_eq!(ChunkHeader::decode(&mut r), Ok(header));
            assert!(r.is_empty());
            for end in 0..bytes.len() {
                let part = bytes.get(..end).expect("a prefix");
                let cut = ChunkHeader::decode(&mut Reader::new(part));
                assert!(
                    matches!(cut, Err(Malformed::Truncated(_))),
                    "{header:?} cut at {end}"
                );
            }
        }
    }

    #[test]
    fn long_forms_of_small_chunk_stream_ids_are_read() {
        let mut r = Reader::new(&[0xC1, 0x00, 0x00]);
        let header = ChunkHeader::decode(&mut r).expect("a whole header");
        assert_eq!(header.chunk_stream, 64);
    }

    #[test]
    fn an_extended_timestamp_may_carry_a_small_value() {
        let bytes = hex("86 ffffff 00000010");
        let header = ChunkHeader::decode(&mut Reader::new(&bytes)).expect("a whole header");
        assert_eq!(header.message, MessageHeader::SameShape { delta: 16 });
        assert_eq!(header.extended, Some(16));
    }

    #[test]
    fn continuations_repeat_the_extended_timestamp() {
        let message = MessageHeader::Full {
            timestamp: 0x0100_0310,
            length: 200,
            type_id: 9,
            stream_id: 1,
        };
        let mut written = Vec::new();
        ChunkHeader::new(6, message).continuation().encode(&mut written);
        assert_eq!(written, hex("c6 01000310"));
    }

    fn message_headers() -> impl Strategy<Value = MessageHeader> {
        let length = || 0..=0xFF_FFFF_u32;
        prop_oneof![
            (any::<u32>(), length(), any::<u8>(), any::<u32>()).prop_map(
                |(timestamp, length, type_id, stream_id)| MessageHeader::Full {
                    timestamp,
                    length,
                    type_id,
                    stream_id
                }
            ),
            (any::<u32>(), length(), any::<u8>()).prop_map(|(delta, length, type_id)| {
                MessageHeader::SameStream {
                    delta,
                    length,
                    type_id,
                }
            }),
            any::<u32>().prop_map(|delta| MessageHeader::SameShape { delta }),
            Just(MessageHeader::Continuation),
        ]
    }

    proptest! {
        #[test]
        fn headers_survive_the_round_trip(chunk_stream in 2_u32..=65599, message in message_headers()) {
            let header = ChunkHeader::new(chunk_stream, message);
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            prop_assert!(bytes.len() <= MAX_HEADER);
            prop_assert_eq!(ChunkHeader::decode(&mut Reader::new(&bytes)), Ok(header));
        }
    }
}
