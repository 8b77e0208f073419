//! AMF of both versions: what decodes is encoded in a way that decodes to the same.

use bytes::{Bytes, BytesMut};
use gstrtmp::amf::{self, Value, amf3};

pub(crate) fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(values) = amf::decode_all(&bytes) {
        let encoded = amf0(&values);
        // A reference is written out in full and so may be too much to be read back.
        if let Ok(again) = amf::decode_all(&encoded) {
            assert_eq!(amf0(&again), encoded);
        }
    }
    // Of a broken message the front is kept.
    let (kept, broken) = amf::decode_prefix(&bytes);
    if broken.is_none() {
        assert!(amf::decode_all(&bytes).is_ok() || !kept.is_empty());
    }
    if let Some(values) = amf3(&bytes) {
        let encoded = encode_amf3(&values);
        if let Some(again) = amf3(&encoded) {
            assert_eq!(encode_amf3(&again), encoded);
        }
    }
}

// Compared as bytes: a NaN does not equal itself.
fn amf0(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    amf::encode_all(values, &mut out);
    out.freeze()
}

fn amf3(bytes: &Bytes) -> Option<Vec<Value>> {
    let mut decoder = amf3::Decoder::new(bytes);
    let mut values = Vec::new();
    while let Some(value) = decoder.next_value().ok()? {
        values.push(value);
    }
    Some(values)
}

fn encode_amf3(values: &[Value]) -> Bytes {
    let mut out = BytesMut::new();
    for value in values {
        amf3::encode(value, &mut out);
    }
    out.freeze()
}
