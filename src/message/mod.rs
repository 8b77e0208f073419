//! Messages and what they say, RTMP 1.0 sections 5.4, 6 and 7: a [`chunk::Message`] to an [`Incoming`], and
//! the messages of ours to type ids and payloads.
//!
//! Audio and video stay opaque: their payloads are FLV tag bodies and `flv` knows those. Which message is due
//! when is the session's business.

mod aggregate;
mod command;
mod connect;
mod control;
mod data;
mod status;

use bytes::{Buf, Bytes};

use crate::chunk;
use crate::wire::{Malformed, Reader};

pub use self::aggregate::{SubMessages, split_aggregate};
pub use self::command::Command;
pub use self::connect::ConnectParameters;
pub use self::control::{Control, LimitType, SwfVerification, UserControl};
pub use self::data::Data;
pub use self::status::{Level, Status};

/// Message type ids, RTMP 1.0 sections 5.4 and 7.1.
pub mod type_id {
    /// Section 5.4.1.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Section 5.4.2.
    pub const ABORT: u8 = 2;
    /// Section 5.4.3.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// Section 7.1.7.
    pub const USER_CONTROL: u8 = 4;
    /// Section 5.4.4.
    pub const WINDOW_ACK_SIZE: u8 = 5;
    /// Section 5.4.5.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Section 7.1.4.
    pub const AUDIO: u8 = 8;
    /// Section 7.1.5.
    pub const VIDEO: u8 = 9;
    /// Section 7.1.2, behind a format selector.
    pub const DATA_AMF3: u8 = 15;
    /// Section 7.1.3, behind a format selector.
    pub const SHARED_OBJECT_AMF3: u8 = 16;
    /// Section 7.1.1, behind a format selector.
    pub const COMMAND_AMF3: u8 = 17;
    /// Section 7.1.2.
    pub const DATA_AMF0: u8 = 18;
    /// Section 7.1.3.
    pub const SHARED_OBJECT_AMF0: u8 = 19;
    /// Section 7.1.1.
    pub const COMMAND_AMF0: u8 = 20;
    /// Section 7.1.6.
    pub const AGGREGATE: u8 = 22;
}

/// First byte of the types that allow AMF3. AMF0 values follow even so; AMF3 ones have a marker each.
const FORMAT_SELECTOR: u8 = 0;

/// A received message, understood as far as its type goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// Types 1 to 3, 5 and 6.
    Control(Control),
    /// Type 4.
    UserControl(UserControl),
    /// Types 17 and 20.
    Command(Command),
    /// Types 15 and 18.
    Data(Data),
    /// Type 8: an FLV tag body, possibly empty.
    Audio(Bytes),
    /// Type 9: an FLV tag body, possibly empty.
    Video(Bytes),
    /// Types 16 and 19, which are not looked into.
    SharedObject,
    /// To be ignored, by its type. Type 22 counts among these: it takes [`split_aggregate`].
    Unknown(u8),
}

/// Understands a message. Control messages and commands have to be well formed; a data message is read as far
/// as it can be.
pub fn decode(message: chunk::Message) -> Result<Incoming, Malformed> {
    let payload = message.payload;
    Ok(match message.type_id {
        type_id::SET_CHUNK_SIZE
        | type_id::ABORT
        | type_id::ACKNOWLEDGEMENT
        | type_id::WINDOW_ACK_SIZE
        | type_id::SET_PEER_BANDWIDTH => {
            Incoming::Control(Control::decode(message.type_id, &mut Reader::new(&payload))?)
        }
        type_id::USER_CONTROL => Incoming::UserControl(UserControl::decode(&mut Reader::new(&payload))?),
        type_id::AUDIO => Incoming::Audio(payload),
        type_id::VIDEO => Incoming::Video(payload),
        type_id @ (type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3) => match without_selector(type_id, payload)
        {
            Some(values) => Incoming::Command(Command::decode(&values)?),
            None => Incoming::Unknown(type_id),
        },
        type_id @ (type_id::DATA_AMF0 | type_id::DATA_AMF3) => match without_selector(type_id, payload) {
            Some(values) => Incoming::Data(Data::decode(type_id, values)),
            None => Incoming::Unknown(type_id),
        },
        type_id::SHARED_OBJECT_AMF0 | type_id::SHARED_OBJECT_AMF3 => Incoming::SharedObject,
        other => Incoming::Unknown(other),
    })
}

/// The AMF0 values of a command or data message. Some peers leave the format selector out of the AMF3 types
/// or put it into the AMF0 ones. The name that comes first tells: it is a string, marker 2, and never a
/// number, marker 0. `None` for a selector of some other format.
fn without_selector(type_id: u8, mut payload: Bytes) -> Option<Bytes> {
    let selectable = matches!(type_id, type_id::COMMAND_AMF3 | type_id::DATA_AMF3);
    match *payload {
        [FORMAT_SELECTOR, 2, ..] => payload.advance(1),
        [FORMAT_SELECTOR, ..] if selectable => payload.advance(1),
        [2, ..] | [] => {}
        _ if selectable => return None,
        _ => {}
    }
    Some(payload)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::chunk::tests::hex;
    use crate::timestamp::Timestamp;
    use proptest::prelude::*;

    /// A message of type `type_id` on message stream 1, due after 10 s.
    pub(crate) fn message(type_id: u8, payload: Vec<u8>) -> chunk::Message {
        chunk::Message {
            chunk_stream: 4,
            timestamp: Timestamp::from_millis(10_000),
            type_id,
            stream_id: 1,
            payload: payload.into(),
        }
    }

    fn decode_hex(type_id: u8, payload: &str) -> Result<Incoming, Malformed> {
        decode(message(type_id, hex(payload)))
    }

    #[test]
    fn every_type_finds_its_kind() {
        assert_eq!(
            decode_hex(3, "00140000"),
            Ok(Incoming::Control(Control::Acknowledgement(1_310_720)))
        );
        assert_eq!(
            decode_hex(4, "0006 0012d687"),
            Ok(Incoming::UserControl(UserControl::PingRequest(0x12_D687)))
        );
        assert_eq!(decode_hex(8, ""), Ok(Incoming::Audio(Bytes::new())));
        assert_eq!(
            decode_hex(9, "1700"),
            Ok(Incoming::Video(Bytes::from_static(&[0x17, 0])))
        );
        assert_eq!(decode_hex(16, "00"), Ok(Incoming::SharedObject));
        assert_eq!(decode_hex(19, "00"), Ok(Incoming::SharedObject));
        assert_eq!(decode_hex(7, "00"), Ok(Incoming::Unknown(7)));
        assert_eq!(decode_hex(22, "00"), Ok(Incoming::Unknown(22)));
        assert_eq!(decode_hex(4, "00"), Err(Malformed::Truncated("event type")));
    }

    #[test]
    fn format_selectors_may_be_missing_or_misplaced() {
        // createStream(4, null)
        let values = "02 000c 63726561746553747265616d 00 4010000000000000 05";
        let expected = Ok(Incoming::Command(Command::create_stream(4.0)));
        for type_id in [17, 20] {
            assert_eq!(decode_hex(type_id, values), expected);
            assert_eq!(decode_hex(type_id, &format!("00 {values}")), expected);
        }
        assert_eq!(decode_hex(17, &format!("03 {values}")), Ok(Incoming::Unknown(17)));
        assert!(decode_hex(20, &format!("03 {values}")).is_err());

        let values = "02 0001 61";
        for type_id in [15, 18] {
            for selector in ["", "00"] {
                let Ok(Incoming::Data(data)) = decode_hex(type_id, &format!("{selector} {values}")) else {
                    panic!("type {type_id} is data");
                };
                assert_eq!(data.handler().as_deref(), Some("a"));
            }
        }
        assert_eq!(decode_hex(15, &format!("03 {values}")), Ok(Incoming::Unknown(15)));
    }

    proptest! {
        #[test]
        fn any_payload_is_decoded_without_panic(
            type_id in 0_u8..24,
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let message = message(type_id, payload);
            let audio_or_video = matches!(type_id, type_id::AUDIO | type_id::VIDEO);
            prop_assert!(split_aggregate(&message).count() <= message.payload.len() / 11);
            prop_assert!(decode(message).is_ok() || !audio_or_video);
        }
    }
}
