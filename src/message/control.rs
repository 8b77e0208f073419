//! Protocol control messages (RTMP 1.0 section 5.4) and user control messages (section 7.1.7): how the two
//! ends talk about the connection itself. Always on message stream 0; their timestamps mean nothing.

use bytes::{BufMut, Bytes, BytesMut};

use super::type_id;
use crate::wire::{Malformed, Reader};

/// The bit of a chunk size that has to be zero, RTMP 1.0 section 5.4.1.
const CHUNK_SIZE_RESERVED_BIT: u32 = 1 << 31;

/// Protocol control message, RTMP 1.0 section 5.4, types 1 to 3, 5 and 6. Takes effect on receipt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Control {
    /// Section 5.4.1, type 1: the most payload bytes that the sender puts in a chunk from now on.
    SetChunkSize(u32),
    /// Section 5.4.2, type 2: the rest of the message on this chunk stream will not come.
    Abort(u32),
    /// Section 5.4.3, type 3: bytes that the sender has received, modulo 2^32.
    Acknowledgement(u32),
    /// Section 5.4.4, type 5: an acknowledgement is due whenever this many bytes have been received.
    WindowAckSize(u32),
    /// Section 5.4.5, type 6: limits what the receiver may have sent without acknowledgement.
    SetPeerBandwidth {
        /// Bytes.
        window: u32,
        /// How `window` goes together with the limit in force.
        limit: LimitType,
    },
}

/// How a Set Peer Bandwidth applies, RTMP 1.0 section 5.4.5.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LimitType {
    /// 0: the window is the limit.
    Hard,
    /// 1: the smaller of the window and the limit in force.
    Soft,
    /// 2: as hard if the previous limit was hard, otherwise of no effect.
    Dynamic,
    /// Not in the specification.
    Unknown(u8),
}

impl LimitType {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Hard,
            1 => Self::Soft,
            2 => Self::Dynamic,
            other => Self::Unknown(other),
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Hard => 0,
            Self::Soft => 1,
            Self::Dynamic => 2,
            Self::Unknown(other) => other,
        }
    }
}

impl Control {
    /// Reads the payload of a message of type `type_id`. Bytes after the fields are ignored.
    pub(super) fn decode(type_id: u8, r: &mut Reader<'_>) -> Result<Self, Malformed> {
        match type_id {
            type_id::SET_CHUNK_SIZE => match r.u32("chunk size")? {
                size if size == 0 || size & CHUNK_SIZE_RESERVED_BIT != 0 => Err(Malformed::Invalid {
                    field: "chunk size",
                    value: size.into(),
                }),
                size => Ok(Self::SetChunkSize(size)),
            },
            type_id::ABORT => Ok(Self::Abort(r.u32("chunk stream id")?)),
            type_id::ACKNOWLEDGEMENT => Ok(Self::Acknowledgement(r.u32("sequence number")?)),
            type_id::WINDOW_ACK_SIZE => Ok(Self::WindowAckSize(r.u32("window acknowledgement size")?)),
            type_id::SET_PEER_BANDWIDTH => {
                let window = r.u32("window acknowledgement size")?;
                // Senders that leave the limit type out mean the usual one.
                let limit = r
                    .u8("limit type")
                    .map_or(LimitType::Dynamic, LimitType::from_byte);
                Ok(Self::SetPeerBandwidth { window, limit })
            }
            other => Err(Malformed::Invalid {
                field: "control message type id",
                value: other.into(),
            }),
        }
    }

    /// The message type id and the payload.
    #[must_use]
    pub fn encode(&self) -> (u8, Bytes) {
        let (type_id, value) = match *self {
            Self::SetChunkSize(size) => (type_id::SET_CHUNK_SIZE, size),
            Self::Abort(chunk_stream) => (type_id::ABORT, chunk_stream),
            Self::Acknowledgement(sequence) => (type_id::ACKNOWLEDGEMENT, sequence),
            Self::WindowAckSize(size) => (type_id::WINDOW_ACK_SIZE, size),
            Self::SetPeerBandwidth { window, .. } => (type_id::SET_PEER_BANDWIDTH, window),
        };
        let mut out = BytesMut::with_capacity(5);
        out.put_u32(value);
        if let Self::SetPeerBandwidth { limit, .. } = *self {
            out.put_u8(limit.byte());
        }
        (type_id, out.freeze())
    }
}

/// User control message, RTMP 1.0 section 7.1.7 and type 4. Stream ids are message stream ids.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UserControl {
    /// Event 0: the stream can be used.
    StreamBegin(u32),
    /// Event 1: playback of the stream is over.
    StreamEof(u32),
    /// Event 2: the stream has no data for the time being.
    StreamDry(u32),
    /// Event 3: the client's buffer for a stream.
    SetBufferLength {
        /// Message stream.
        stream_id: u32,
        /// Milliseconds.
        millis: u32,
    },
    /// Event 4: the stream is a recording.
    StreamIsRecorded(u32),
    /// Event 6: to be answered by [`UserControl::PingResponse`] with the same value, the sender's clock.
    PingRequest(u32),
    /// Event 7.
    PingResponse(u32),
    /// Event 26: asks for proof of the player's SWF file. Not in the specification; the value is the type of the
    /// proof, of which only 1 is known to the public.
    SwfVerifyRequest(u8),
    /// Event 27: the answer. Not in the specification.
    SwfVerifyResponse(SwfVerification),
    /// Event 31: the server has sent all that the client's buffer can hold. Not in the specification.
    BufferEmpty(u32),
    /// Event 32: the server sends again. Not in the specification.
    BufferReady(u32),
    /// Anything else.
    Unknown {
        /// Event type.
        event: u16,
        /// Event data.
        data: Bytes,
    },
}

/// Proof of knowing a SWF file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SwfVerification {
    /// Bytes of the decompressed file.
    pub size: u32,
    /// HMAC-SHA256 of the file's own HMAC, keyed by the end of the server's S1.
    pub digest: [u8; 32],
}

impl SwfVerification {
    fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        r.u16("SWF verification type")?;
        let size = r.u32("SWF size")?;
        r.u32("SWF size")?;
        let mut digest = [0; 32];
        digest.copy_from_slice(r.take(32, "SWF digest")?);
        Ok(Self { size, digest })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&[1, 1]);
        out.put_u32(self.size);
        out.put_u32(self.size);
        out.put_slice(&self.digest);
    }
}

mod event {
    pub(super) const STREAM_BEGIN: u16 = 0;
    pub(super) const STREAM_EOF: u16 = 1;
    pub(super) const STREAM_DRY: u16 = 2;
    pub(super) const SET_BUFFER_LENGTH: u16 = 3;
    pub(super) const STREAM_IS_RECORDED: u16 = 4;
    pub(super) const PING_REQUEST: u16 = 6;
    pub(super) const PING_RESPONSE: u16 = 7;
    pub(super) const SWF_VERIFY_REQUEST: u16 = 26;
    pub(super) const SWF_VERIFY_RESPONSE: u16 = 27;
    pub(super) const BUFFER_EMPTY: u16 = 31;
    pub(super) const BUFFER_READY: u16 = 32;
}

impl UserControl {
    /// Reads the payload of a message of type 4. Bytes after the event's data are ignored.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let event = r.u16("event type")?;
        let stream_id = |r: &mut Reader<'_>| r.u32("message stream id of an event");
        Ok(match event {
            event::STREAM_BEGIN => Self::StreamBegin(stream_id(r)?),
            event::STREAM_EOF => Self::StreamEof(stream_id(r)?),
            event::STREAM_DRY => Self::StreamDry(stream_id(r)?),
            event::SET_BUFFER_LENGTH => Self::SetBufferLength {
                stream_id: stream_id(r)?,
                millis: r.u32("buffer length")?,
            },
            event::STREAM_IS_RECORDED => Self::StreamIsRecorded(stream_id(r)?),
            event::PING_REQUEST => Self::PingRequest(r.u32("ping timestamp")?),
            event::PING_RESPONSE => Self::PingResponse(r.u32("ping timestamp")?),
            // Who leaves the type out means the first, as there was no other once.
            event::SWF_VERIFY_REQUEST => Self::SwfVerifyRequest(r.u8("SWF verification type").unwrap_or(1)),
            event::SWF_VERIFY_RESPONSE => Self::SwfVerifyResponse(SwfVerification::decode(r)?),
            event::BUFFER_EMPTY => Self::BufferEmpty(stream_id(r)?),
            event::BUFFER_READY => Self::BufferReady(stream_id(r)?),
            event => Self::Unknown {
                event,
                data: Bytes::copy_from_slice(r.rest()),
            },
        })
    }

    const fn event(&self) -> u16 {
        match self {
            Self::StreamBegin(_) => event::STREAM_BEGIN,
            Self::StreamEof(_) => event::STREAM_EOF,
            Self::StreamDry(_) => event::STREAM_DRY,
            Self::SetBufferLength { .. } => event::SET_BUFFER_LENGTH,
            Self::StreamIsRecorded(_) => event::STREAM_IS_RECORDED,
            Self::PingRequest(_) => event::PING_REQUEST,
            Self::PingResponse(_) => event::PING_RESPONSE,
            Self::SwfVerifyRequest(_) => event::SWF_VERIFY_REQUEST,
            Self::SwfVerifyResponse(_) => event::SWF_VERIFY_RESPONSE,
            Self::BufferEmpty(_) => event::BUFFER_EMPTY,
            Self::BufferReady(_) => event::BUFFER_READY,
            Self::Unknown { event, .. } => *event,
        }
    }

    /// The payload of a message of type 4.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(10);
        out.put_u16(self.event());
        match self {
            Self::StreamBegin(value)
            | Self::StreamEof(value)
            | Self::StreamDry(value)
            | Self::StreamIsRecorded(value)
            | Self::PingRequest(value)
            | Self::PingResponse(value)
            | Self::BufferEmpty(value)
            | Self::BufferReady(value) => out.put_u32(*value),
            Self::SetBufferLength { stream_id, millis } => {
                out.put_u32(*stream_id);
                out.put_u32(*millis);
            }
            Self::SwfVerifyRequest(version) => out.put_u8(*version),
            Self::SwfVerifyResponse(verification) => verification.encode(&mut out),
            Self::Unknown { data, .. } => out.put_slice(data),
        }
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::hex;
    use proptest::prelude::*;

    fn decode(type_id: u8, bytes: &[u8]) -> Result<Control, Malformed> {
        Control::decode(type_id, &mut Reader::new(bytes))
    }

    #[test]
    fn golden_control_messages_in_both_directions() {
        for (control, type_id, bytes) in [
            (Control::SetChunkSize(4096), 1, "00001000"),
            (Control::Abort(4), 2, "00000004"),
            (Control::Acknowledgement(1_310_720), 3, "00140000"),
            (Control::WindowAckSize(2_500_000), 5, "002625a0"),
            (
                Control::SetPeerBandwidth {
                    window: 2_500_000,
                    limit: LimitType::Dynamic,
                },
                6,
                "002625a0 02",
            ),
        ] {
            let bytes = hex(bytes);
            assert_eq!(control.encode(), (type_id, Bytes::from(bytes.clone())));
            assert_eq!(decode(type_id, &bytes), Ok(control));
            let longer = [bytes.as_slice(), &[0xAA]].concat();
            assert_eq!(decode(type_id, &longer), Ok(control), "the tail is ignored");
            for end in 0..4 {
                assert!(matches!(
                    decode(type_id, &bytes[..end]),
                    Err(Malformed::Truncated(_))
                ));
            }
        }
    }

    #[test]
    fn chunk_sizes_of_zero_or_32_bits_are_refused() {
        let refused = |value| {
            Err(Malformed::Invalid {
                field: "chunk size",
                value,
            })
        };
        assert_eq!(decode(1, &[0; 4]), refused(0));
        assert_eq!(decode(1, &[0x80, 0, 0, 1]), refused(0x8000_0001));
        assert_eq!(
            decode(1, &[0x7F, 0xFF, 0xFF, 0xFF]),
            Ok(Control::SetChunkSize(0x7FFF_FFFF))
        );
    }

    #[test]
    fn a_bandwidth_without_limit_type_is_dynamic() {
        let bandwidth = |limit| Ok(Control::SetPeerBandwidth { window: 9, limit });
        assert_eq!(decode(6, &[0, 0, 0, 9]), bandwidth(LimitType::Dynamic));
        assert_eq!(decode(6, &[0, 0, 0, 9, 7]), bandwidth(LimitType::Unknown(7)));
    }

    #[test]
    fn golden_user_control_messages_in_both_directions() {
        let verification = SwfVerification {
            size: 0x0001_0203,
            digest: [0xDD; 32],
        };
        let answer = format!("001b 0101 00010203 00010203 {}", "dd".repeat(32));
        for (event, bytes) in [
            (UserControl::StreamBegin(1), "0000 00000001"),
            (UserControl::StreamEof(1), "0001 00000001"),
            (UserControl::StreamDry(1), "0002 00000001"),
            (
                UserControl::SetBufferLength {
                    stream_id: 1,
                    millis: 3000,
                },
                "0003 00000001 00000bb8",
            ),
            (UserControl::StreamIsRecorded(1), "0004 00000001"),
            (UserControl::PingRequest(0x12_D687), "0006 0012d687"),
            (UserControl::PingResponse(0x12_D687), "0007 0012d687"),
            (UserControl::SwfVerifyRequest(1), "001a 01"),
            (UserControl::SwfVerifyResponse(verification), answer.as_str()),
            (UserControl::BufferEmpty(1), "001f 00000001"),
            (UserControl::BufferReady(1), "0020 00000001"),
        ] {
            let bytes = hex(bytes);
            assert_eq!(event.encode(), bytes);
            let longer = [bytes.as_slice(), &[0xAA]].concat();
            assert_eq!(
                UserControl::decode(&mut Reader::new(&longer)),
                Ok(event),
                "the tail is ignored"
            );
            // The only field that may be left out.
            let least = if bytes.starts_with(&[0, 26]) {
                2
            } else {
                bytes.len()
            };
            for end in 0..least {
                let cut = UserControl::decode(&mut Reader::new(&bytes[..end]));
                assert!(matches!(cut, Err(Malformed::Truncated(_))));
            }
        }
    }

    #[test]
    fn a_request_for_swf_verification_without_a_type_means_the_first() {
        let event = UserControl::decode(&mut Reader::new(&hex("001a")));
        assert_eq!(event, Ok(UserControl::SwfVerifyRequest(1)));
    }

    #[test]
    fn the_known_proof_is_the_known_message() {
        let bytes = hex("001b0101 00000018 00000018
                         ec60b136961a1288adf3a7456c32d246bcd8df9d1c6b44cb3a385a9331ca5b58");
        let digest = bytes[12..].try_into().unwrap();
        let event = UserControl::SwfVerifyResponse(SwfVerification { size: 24, digest });
        assert_eq!(event.encode(), bytes);
    }

    #[test]
    fn unknown_events_are_carried() {
        // Flow sync, which belongs to RTMFP.
        let bytes = hex("0022 0000000000000001");
        let event = UserControl::decode(&mut Reader::new(&bytes)).expect("well-formed");
        assert_eq!(
            event,
            UserControl::Unknown {
                event: 34,
                data: Bytes::from(hex("0000000000000001"))
            }
        );
        assert_eq!(event.encode(), bytes);
    }

    proptest! {
        #[test]
        fn events_survive_the_round_trip(
            event in 0_u16..40,
            data in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let bytes = [event.to_be_bytes().as_slice(), &data].concat();
            if let Ok(event) = UserControl::decode(&mut Reader::new(&bytes)) {
                let written = event.encode();
                prop_assert_eq!(UserControl::decode(&mut Reader::new(&written)), Ok(event));
            }
        }

        #[test]
        fn control_messages_survive_the_round_trip(type_id in 0_u8..8, data in any::<[u8; 5]>()) {
            if let Ok(control) = decode(type_id, &data) {
                let (written_type, written) = control.encode();
                prop_assert_eq!(written_type, type_id);
                prop_assert_eq!(decode(type_id, &written), Ok(control));
            }
        }
    }
}
