//! Data messages, RTMP 1.0 section 7.1.2: a handler name such as `onMetaData` and values for it.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::type_id;
use crate::amf::{self, Value};

/// Data message, types 18 and 15. `Debug` shows the handler's name only.
#[derive(Clone, PartialEq)]
pub struct Data {
    /// All values that could be read, the handler's name first.
    pub values: Vec<Value>,
    amf0: Bytes,
}

impl Data {
    /// Takes the payload of a message of type `type_id` without its format selector.
    pub(super) fn decode(type_id: u8, payload: Bytes) -> Self {
        let (values, _) = amf::decode_prefix(&payload);
        let amf0 = if type_id == type_id::DATA_AMF3 {
            let mut out = BytesMut::with_capacity(payload.len());
            amf::encode_all(&values, &mut out);
            out.freeze()
        } else {
            payload
        };
        Self { values, amf0 }
    }

    /// The name of the handler, which says what the values are.
    #[must_use]
    pub fn handler(&self) -> Option<Cow<'_, str>> {
        self.values.first()?.as_str()
    }

    /// The payload to relay as type 18 or as FLV script tag: the bytes that arrived, or, for a message of
    /// type 15, its values written as AMF0 so far as AMF0 has them.
    #[must_use]
    pub fn into_amf0(self) -> Bytes {
        self.amf0
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Data")
            .field("handler", &self.handler())
            .field("length", &self.amf0.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::hex;
    use crate::message::tests::message;
    use crate::message::{Incoming, decode};

    fn data(type_id: u8, payload: &str) -> Data {
        match decode(message(type_id, hex(payload))) {
            Ok(Incoming::Data(data)) => data,
            other => panic!("not data: {other:?}"),
        }
    }

    /// onMetaData with an ECMA array {a: null}.
    const METADATA: &str = "02 000a 6f6e4d65746144617461 08 00000001 0001 61 05 000009";

    #[test]
    fn values_are_read_and_bytes_kept() {
        let data = data(18, METADATA);
        assert_eq!(data.handler().as_deref(), Some("onMetaData"));
        assert_eq!(data.values.get(1), Some(&Value::ecma_array([("a", Value::Null)])));
        assert_eq!(data.into_amf0(), hex(METADATA));
    }

    #[test]
    fn broken_data_keeps_what_came_before_the_break() {
        // A third value with a marker that does not exist.
        let broken = format!("{METADATA} ff");
        let data = data(18, &broken);
        assert_eq!(data.values.len(), 2);
        assert_eq!(data.into_amf0(), hex(&broken));
    }

    #[test]
    fn data_may_be_empty() {
        let data = data(18, "");
        assert_eq!(data.handler(), None);
        assert_eq!(data.into_amf0(), Bytes::new());
    }

    #[test]
    fn amf3_data_is_relayed_as_amf0() {
        // The same {a: null} as an AMF3 object behind the avmplus marker.
        let data = data(15, "00 02 000a 6f6e4d65746144617461 11 0a0b01 0361 01 01");
        assert_eq!(
            data.values.get(1).and_then(|info| info.get("a")),
            Some(&Value::Null)
        );
        assert_eq!(
            data.into_amf0(),
            hex("02 000a 6f6e4d65746144617461 03 0001 61 05 000009")
        );
    }

    #[test]
    fn debug_shows_the_handler_only() {
        let shown = format!("{:?}", data(18, "02 0001 61 02 0006 736563726574"));
        assert!(shown.contains("\"a\"") && !shown.contains("secret"), "{shown}");
    }
}
