//! Action Message Format: the values in commands, data messages and FLV script tags, to and from bytes.
//!
//! Messages are AMF0 throughout; an AMF3 value may stand in one behind the avmplus marker, for one value
//! only. The format selector byte in front of message types 15 to 17 belongs to `message`, not here.
//!
//! Decoding is bounded by [`MAX_DEPTH`], [`MAX_VALUES`] and [`MAX_REPEATED_BYTES`] and copies no text.
//! Encoding writes no references, so what it writes reads the same whatever scope a peer gives its tables.
//!
//! Values of a live session are never to be logged: command objects hold stream keys and passwords.

pub mod amf0;
pub mod amf3;
mod input;
mod u29;
mod value;

use bytes::{Bytes, BytesMut};

pub use self::amf0::encode_avmplus;
pub use self::input::{MAX_DEPTH, MAX_REPEATED_BYTES, MAX_VALUES};
pub use self::value::{Dictionary, Object, Properties, Text, Value, Vector, VectorItems};
use crate::wire::Malformed;

/// All AMF0 values of a command, which has to be intact to its end but for the end of its ECMA arrays.
pub fn decode_all(bytes: &Bytes) -> Result<Vec<Value>, Malformed> {
    let mut decoder = amf0::Decoder::new(bytes);
    let mut values = Vec::new();
    while let Some(value) = decoder.next_value()? {
        values.push(value);
    }
    Ok(values)
}

/// The AMF0 values of a data message as far as they can be read, and what stopped the reading. An object or
/// ECMA array that breaks off is the last value, with the properties in front of the break.
#[must_use]
pub fn decode_prefix(bytes: &Bytes) -> (Vec<Value>, Option<Malformed>) {
    let mut decoder = amf0::Decoder::salvaging(bytes);
    let mut values = Vec::new();
    loop {
        match decoder.next_value() {
            Ok(Some(value)) => values.push(value),
            Ok(None) => return (values, None),
            Err(reason) => return (values, Some(reason)),
        }
    }
}

/// Writes `values` one after the other as AMF0.
pub fn encode_all(values: &[Value], out: &mut BytesMut) {
    for value in values {
        amf0::encode(value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Bytes from hexadecimal digits, with white space anywhere.
    pub(super) fn hex(digits: &str) -> Bytes {
        let digits: Vec<u32> = digits
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_digit(16).unwrap())
            .collect();
        assert!(digits.len().is_multiple_of(2));
        digits
            .chunks(2)
            .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
            .collect()
    }

    /// Any number that equals itself.
    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<i32>().prop_map(f64::from),
            any::<u64>()
                .prop_map(f64::from_bits)
                .prop_filter("NaN differs from itself", |n| !n.is_nan()),
        ]
    }

    fn text(shortest: usize) -> impl Strategy<Value = Text> {
        vec(any::<u8>(), shortest..20).prop_map(|bytes| Text::from(Bytes::from(bytes)))
    }

    fn properties(
        fewest: usize,
        text: impl Strategy<Value = Text>,
        value: impl Strategy<Value = Value>,
    ) -> impl Strategy<Value = Properties> {
        vec((text, value), fewest..4).prop_map(Properties::from_iter)
    }

    fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        let class = text(0).prop_map(|class| Some(class).filter(|class| !class.is_empty()));
        (class, properties(0, text(0), value))
            .prop_map(|(class, properties)| Value::Object(Object { class, properties }))
    }

    fn leaf() -> impl Strategy<Value = Value> {
        let items = prop_oneof![
            vec(any::<i32>(), 0..4).prop_map(VectorItems::Int),
            vec(any::<u32>(), 0..4).prop_map(VectorItems::Uint),
            vec(number(), 0..4).prop_map(VectorItems::Number),
        ];
        prop_oneof![
            number().prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            text(0).prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            number().prop_map(Value::Date),
            text(0).prop_map(Value::Xml),
            vec(any::<u8>(), 0..20).prop_map(|bytes| Value::ByteArray(bytes.into())),
            (any::<bool>(), items).prop_map(|(fixed, items)| Value::Vector(Vector { fixed, items })),
        ]
    }

    /// Values that AMF3 gives back unchanged: no ECMA array is empty or has an empty name.
    fn amf3_value(levels: u32) -> impl Strategy<Value = Value> {
        leaf().prop_recursive(levels, 32, 4, |inner| {
            prop_oneof![
                object(inner.clone()),
                properties(1, text(1), inner.clone()).prop_map(Value::EcmaArray),
                vec(inner.clone(), 0..4).prop_map(Value::StrictArray),
                (any::<bool>(), text(0), vec(inner.clone(), 0..4)).prop_map(|(fixed, class, items)| {
                    Value::Vector(Vector {
                        fixed,
                        items: VectorItems::Object { class, items },
                    })
                }),
                (any::<bool>(), vec((inner.clone(), inner), 0..4))
                    .prop_map(|(weak_keys, entries)| Value::Dictionary(Dictionary { weak_keys, entries })),
            ]
        })
    }

    /// Values that AMF0 gives back unchanged, some of them behind an avmplus marker.
    fn amf0_value() -> impl Strategy<Value = Value> {
        amf3_value(2).prop_recursive(2, 32, 4, |inner| {
            prop_oneof![
                object(inner.clone()),
                properties(0, text(0), inner.clone()).prop_map(Value::EcmaArray),
                vec(inner, 0..4).prop_map(Value::StrictArray),
            ]
        })
    }

    /// Bytes that look like AMF often enough to get anywhere: markers, small lengths and end markers.
    fn plausible_bytes() -> impl Strategy<Value = Bytes> {
        let token = prop_oneof![
            4 => (0..=0x12_u8).prop_map(|byte| vec![byte]),
            2 => vec(0..4_u8, 1..5),
            1 => Just(vec![0, 0, 9]),
            1 => Just(vec![0, 1, b'a']),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        (any::<bool>(), vec(token, 0..60)).prop_map(|(avmplus, tokens)| {
            avmplus
                .then_some(0x11)
                .into_iter()
                .chain(tokens.into_iter().flatten())
                .collect()
        })
    }

    fn encoded(values: &[Value]) -> Bytes {
        let mut out = BytesMut::new();
        encode_all(values, &mut out);
        out.freeze()
    }

    proptest! {
        #[test]
        fn amf0_gives_values_back(values in vec(amf0_value(), 0..3)) {
            let bytes = encoded(&values);
            prop_assert_eq!(decode_all(&bytes), Ok(values.clone()));
            prop_assert_eq!(decode_prefix(&bytes), (values, None));
        }

        #[test]
        fn amf3_gives_values_back(value in amf3_value(3)) {
            let mut out = BytesMut::new();
            amf3::encode(&value, &mut out);
            let bytes = out.freeze();
            let mut decoder = amf3::Decoder::new(&bytes);
            prop_assert_eq!(decoder.next_value(), Ok(Some(value)));
            prop_assert_eq!(decoder.next_value(), Ok(None));
        }

        /// Any message decodes without a panic, and what came of it is written and read without a change. The
        /// bytes are compared, since NaN differs from itself.
        #[test]
        fn what_was_decoded_survives_a_round_trip(bytes in plausible_bytes()) {
            let (values, stopped) = decode_prefix(&bytes);
            match decode_all(&bytes) {
                Ok(all) => {
                    prop_assert_eq!(stopped, None);
                    prop_assert_eq!(encoded(&all), encoded(&values));
                }
                Err(reason) => prop_assert_eq!(stopped, Some(reason)),
            }
            let once = encoded(&values);
            prop_assert_eq!(encoded(&decode_all(&once).unwrap()), once);
        }
    }
}
