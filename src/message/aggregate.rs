//! Aggregate messages, RTMP 1.0 section 7.1.6: several messages in the payload of one, each in the form of an
//! FLV tag. AMS and Wowza send them to players; we never do.

use bytes::{Buf, Bytes};

use super::type_id;
use crate::chunk::Message;
use crate::timestamp::Timestamp;
use crate::wire::{Malformed, Reader};

/// Bytes of the field behind each tag that tells the tag's size backward.
const BACK_POINTER: usize = 4;

/// The bits of the first byte that are the type, as in an FLV tag.
const TYPE_MASK: u8 = 0x1F;

/// The messages in an aggregate. See [`split_aggregate`].
#[derive(Clone, Debug)]
pub struct SubMessages {
    rest: Bytes,
    chunk_stream: u32,
    stream_id: u32,
    /// Timestamp of the aggregate, which is that of the first message in it.
    base: Timestamp,
    first: Option<Timestamp>,
}

/// The audio, video and data messages in an aggregate message, as if each had come by itself. Others are left
/// out, and what follows a broken tag is lost.
#[must_use]
pub fn split_aggregate(message: &Message) -> SubMessages {
    SubMessages {
        rest: message.payload.clone(),
        chunk_stream: message.chunk_stream,
        stream_id: message.stream_id,
        base: message.timestamp,
        first: None,
    }
}

impl SubMessages {
    fn read(&mut self) -> Result<Message, Malformed> {
        let mut r = Reader::new(&self.rest);
        let type_id = r.u8("tag type")? & TYPE_MASK;
        let length = r.u24("tag size")? as usize;
        let low = r.u24("tag timestamp")?;
        let high = u32::from(r.u8("tag timestamp")?);
        // The message stream is the aggregate's, whatever is said here.
        r.u24("tag stream id")?;
        r.take(length, "tag body")?;
        let left = r.remaining();

        let end = self.rest.len().saturating_sub(left);
        let payload = self.rest.split_to(end).split_off(end.saturating_sub(length));
        // The last one may be missing.
        self.rest.advance(BACK_POINTER.min(left));

        let time = Timestamp::from_millis(high << 24 | low);
        let elapsed = time
            .millis()
            .wrapping_sub(self.first.get_or_insert(time).millis());
        Ok(Message {
            chunk_stream: self.chunk_stream,
            timestamp: self.base.advanced(elapsed),
            type_id,
            stream_id: self.stream_id,
            payload,
        })
    }
}

impl Iterator for SubMessages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        while !self.rest.is_empty() {
            match self.read() {
                // Never an aggregate in an aggregate.
                Ok(message) => match message.type_id {
                    type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 | type_id::DATA_AMF3 => {
                        return Some(message);
                    }
                    _ => {}
                },
                Err(_) => self.rest.clear(),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::hex;
    use crate::message::tests::message;

    const AGGREGATE: &str = "08 000004 0001f4 00 000000 af012110    0000000f
                             09 000005 000208 00 000000 2701000000  00000010
                             08 000004 00020b 00 000000 af012111    0000000f";

    fn split(payload: &[u8]) -> Vec<(u8, u32, Bytes)> {
        split_aggregate(&message(type_id::AGGREGATE, payload.to_vec()))
            .inspect(|message| assert_eq!((message.chunk_stream, message.stream_id), (4, 1)))
            .map(|message| (message.type_id, message.timestamp.millis(), message.payload))
            .collect()
    }

    fn expected() -> Vec<(u8, u32, Bytes)> {
        [
            (8, 10_000, "af012110"),
            (9, 10_020, "2701000000"),
            (8, 10_023, "af012111"),
        ]
        .map(|(type_id, millis, body)| (type_id, millis, hex(body).into()))
        .into()
    }

    #[test]
    fn timestamps_count_from_the_aggregates_own() {
        assert_eq!(split(&hex(AGGREGATE)), expected());
    }

    #[test]
    fn a_cut_aggregate_yields_the_messages_in_front_of_the_cut() {
        let whole = hex(AGGREGATE);
        // Where the body of each message ends; the back pointer after it may be missing.
        let ends = [15, 35, 54];
        for cut in 0..=whole.len() {
            let complete = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(split(&whole[..cut]), expected()[..complete], "cut at {cut}");
        }
    }

    #[test]
    fn timestamps_have_32_bits_and_wrap() {
        let tags = "08 000000 fffff0 ff 000000 0000000b  08 000000 000010 00 000000 0000000b";
        let times: Vec<u32> = split(&hex(tags))
            .into_iter()
            .map(|(_, millis, _)| millis)
            .collect();
        assert_eq!(times, [10_000, 10_032]);
    }

    #[test]
    fn types_are_masked_and_only_media_and_data_pass() {
        let tags = ["16", "01", "14", "28", "12", "0f"]
            .map(|type_id| format!("{type_id} 000001 000000 00 000000 aa 0000000c"))
            .concat();
        let types: Vec<u8> = split(&hex(&tags))
            .into_iter()
            .map(|(type_id, ..)| type_id)
            .collect();
        assert_eq!(types, [8, 18, 15]);
    }
}
