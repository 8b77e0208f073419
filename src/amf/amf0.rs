//! AMF0, the Adobe specification of 2007: values to and from bytes.
//!
//! Two deviations that senders force: the count of an ECMA array is ignored, because encoders write any
//! number there (`a_lying_count_changes_nothing`), and such an array may end with its message, because
//! some never write the end marker (`an_ecma_array_may_end_with_the_message`).

use bytes::{BufMut, Bytes, BytesMut};

use super::amf3;
use super::input::{Input, References};
use super::value::{Object, Properties, Text, Value};
use crate::wire::Malformed;

/// Type markers, AMF0 section 2.1. 0x04 (movie clip) and 0x0E (record set) are reserved: both are refused,
/// as everything from 0x12 is, since nothing tells where such a value ends.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const XML_DOCUMENT: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVMPLUS: u8 = 0x11;
}

/// Reads the values of one message, with one set of reference tables and limits.
#[derive(Debug)]
pub struct Decoder<'a> {
    input: Input<'a>,
    references: References,
    avmplus: amf3::Tables,
    salvaging: bool,
    stopped: Option<Malformed>,
}

impl<'a> Decoder<'a> {
    /// Reads a message that is to be intact.
    #[must_use]
    pub fn new(message: &'a Bytes) -> Self {
        Self {
            input: Input::new(message),
            references: References::default(),
            avmplus: amf3::Tables::default(),
            salvaging: false,
            stopped: None,
        }
    }

    /// Reads a message that is worth having in part: when an object or ECMA array that is not within
    /// another value breaks off, it is returned with its properties so far, and the reason after it.
    #[must_use]
    pub fn salvaging(message: &'a Bytes) -> Self {
        Self {
            salvaging: true,
            ..Self::new(message)
        }
    }

    /// The next value; `None` at the end of the message. After an error there is no next value: every
    /// further call repeats the error.
    pub fn next_value(&mut self) -> Result<Option<Value>, Malformed> {
        if let Some(reason) = self.stopped {
            return Err(reason);
        }
        if self.input.reader.is_empty() {
            return Ok(None);
        }
        self.value(0)
            .map(Some)
            .inspect_err(|reason| self.stopped = Some(*reason))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.input.spend_values(1)?;
        match self.input.reader.u8("AMF0 marker")? {
            marker::NUMBER => Ok(Value::Number(self.input.reader.f64("AMF0 number")?)),
            marker::BOOLEAN => Ok(Value::Boolean(self.input.reader.u8("AMF0 boolean")? != 0)),
            marker::STRING => Ok(Value::String(self.name("AMF0 string")?)),
            marker::LONG_STRING => Ok(Value::String(self.long_text("AMF0 long string")?)),
            marker::XML_DOCUMENT => Ok(Value::Xml(self.long_text("AMF0 XML document")?)),
            marker::NULL => Ok(Value::Null),
            marker::UNDEFINED | marker::UNSUPPORTED => Ok(Value::Undefined),
            marker::DATE => {
                let millis = self.input.reader.f64("AMF0 date")?;
                self.input.reader.u16("AMF0 time zone")?;
                Ok(Value::Date(millis))
            }
            marker::OBJECT => self.complex(|decoder| {
                let properties = decoder.properties(depth, false)?;
                Ok(Value::Object(Object {
                    class: None,
                    properties,
                }))
            }),
            marker::TYPED_OBJECT => self.complex(|decoder| {
                let class = decoder.name("AMF0 class name")?;
                let properties = decoder.properties(depth, false)?;
                Ok(Value::Object(Object {
                    class: Some(class).filter(|name| !name.is_empty()),
                    properties,
                }))
            }),
            marker::ECMA_ARRAY => self.complex(|decoder| {
                decoder.input.reader.u32("AMF0 ECMA array count")?;
                Ok(Value::EcmaArray(decoder.properties(depth, true)?))
            }),
            marker::STRICT_ARRAY => self.complex(|decoder| decoder.strict_array(depth)),
            marker::REFERENCE => {
                let index = usize::from(self.input.reader.u16("AMF0 reference")?);
                self.references
                    .resolve(index, depth, &mut self.input, "AMF0 reference")
            }
            marker::AVMPLUS => self.avmplus.value(&mut self.input, depth),
            reserved => Err(Malformed::Invalid {
                field: "AMF0 marker",
                value: reserved.into(),
            }),
        }
    }

    /// Reads a value that later ones may refer to; it takes its place in the table before its children.
    fn complex(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, Malformed>,
    ) -> Result<Value, Malformed> {
        let index = self.references.begin();
        let value = read(self)?;
        self.references.complete(index, &value);
        Ok(value)
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Malformed> {
        let inner = self.input.enter(depth)?;
        // A count that no address can hold is more than the message has, too.
        let count = usize::try_from(self.input.reader.u32("AMF0 strict array count")?).unwrap_or(usize::MAX);
        self.input.expect(count, 1, "AMF0 strict array")?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(inner)?);
        }
        Ok(Value::StrictArray(items))
    }

    /// Properties of the container at `depth`. A `sloppy` list may end with the message.
    fn properties(&mut self, depth: usize, sloppy: bool) -> Result<Properties, Malformed> {
        let inner = self.input.enter(depth)?;
        let mut properties = Properties::default();
        match self.append_properties(&mut properties, inner, sloppy) {
            Err(reason) if self.salvaging && depth == 0 => self.stopped = Some(reason),
            read => read?,
        }
        Ok(properties)
    }

    fn append_properties(
        &mut self,
        properties: &mut Properties,
        depth: usize,
        sloppy: bool,
    ) -> Result<(), Malformed> {
        while !(sloppy && self.input.reader.is_empty()) {
            let name = self.name("AMF0 property name")?;
            // The name in front of an end marker should be empty; a marker after another one is still no
            // value. An empty name in front of a value is a name.
            if self.input.reader.peek() == Some(marker::OBJECT_END) {
                self.input.reader.u8("AMF0 object end")?;
                break;
            }
            let value = self.value(depth)?;
            properties.push(name, value);
        }
        Ok(())
    }

    fn name(&mut self, field: &'static str) -> Result<Text, Malformed> {
        let length = self.input.reader.u16(field)?;
        self.input.text(length.into(), field)
    }

    fn long_text(&mut self, field: &'static str) -> Result<Text, Malformed> {
        let length = usize::try_from(self.input.reader.u32(field)?).unwrap_or(usize::MAX);
        self.input.text(length, field)
    }
}

/// Writes one value as AMF0. What AMF0 has no form for goes behind an avmplus marker. A property whose name
/// has more than the 65535 bytes of its length field is left out.
pub fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(boolean) => out.put_slice(&[marker::BOOLEAN, (*boolean).into()]),
        Value::String(text) => match u16::try_from(text.len()) {
            Ok(length) => {
                out.put_u8(marker::STRING);
                put_name(length, text, out);
            }
            Err(_) => put_long_text(marker::LONG_STRING, text, out),
        },
        Value::Object(Object { class, properties }) => {
            let class = class.as_ref().and_then(name).filter(|(length, _)| *length > 0);
            if let Some((length, class)) = class {
                out.put_u8(marker::TYPED_OBJECT);
                put_name(length, class, out);
            } else {
                out.put_u8(marker::OBJECT);
            }
            put_properties(properties, out);
        }
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(length(properties.iter().filter_map(|(key, _)| name(key)).count()));
            put_properties(properties, out);
        }
        Value::StrictArray(items) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(length(items.len()));
            for item in items {
                encode(item, out);
            }
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::Date(millis) => {
            out.put_u8(marker::DATE);
            out.put_f64(*millis);
            out.put_u16(0);
        }
        Value::Xml(text) => put_long_text(marker::XML_DOCUMENT, text, out),
        Value::ByteArray(_) | Value::Vector(_) | Value::Dictionary(_) => encode_avmplus(value, out),
    }
}

/// Writes the avmplus marker and one AMF3 value, for a peer that agreed to `objectEncoding` 3.
pub fn encode_avmplus(value: &Value, out: &mut BytesMut) {
    out.put_u8(marker::AVMPLUS);
    amf3::encode(value, out);
}

/// `text` with its length, if it is short enough for a name.
fn name(text: &Text) -> Option<(u16, &Text)> {
    Some((u16::try_from(text.len()).ok()?, text))
}

fn put_name(length: u16, text: &Text, out: &mut BytesMut) {
    out.put_u16(length);
    out.put_slice(text.as_bytes());
}

fn put_long_text(marker: u8, text: &Text, out: &mut BytesMut) {
    out.put_u8(marker);
    out.put_u32(length(text.len()));
    out.put_slice(text.as_bytes());
}

fn put_properties(properties: &Properties, out: &mut BytesMut) {
    for (key, value) in properties {
        if let Some((length, key)) = name(key) {
            put_name(length, key, out);
            encode(value, out);
        }
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}

/// A count or length as 32 bits. Where it would not fit, the message is beyond 2^24 bytes anyway, and the
/// chunk writer refuses it.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::tests::hex;
    use crate::amf::{MAX_DEPTH, MAX_VALUES, decode_all, decode_prefix, encode_all};

    fn text(text: &str) -> Value {
        Value::from(text)
    }

    fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
        Value::object(properties)
    }

    /// Messages that are written exactly as they are read.
    fn canonical() -> Vec<(Bytes, Vec<Value>)> {
        let number = Value::Number;
        let one = |bytes, value| (hex(bytes), vec![value]);
        vec![
            one("00 3ff0000000000000", number(1.0)),
            one("00 c000000000000000", number(-2.0)),
            one("00 403df851eb851eb8", number(29.97)),
            one("01 01", Value::Boolean(true)),
            one("01 00", Value::Boolean(false)),
            one("05", Value::Null),
            one("06", Value::Undefined),
            one("02 0004 6c697665", text("live")),
            one("02 0000", text("")),
            one("03 000009", object([])),
            one("08 00000000 000009", Value::EcmaArray(Properties::default())),
            one(
                "08 00000001 0001 61 05 000009",
                Value::ecma_array([("a", Value::Null)]),
            ),
            one(
                "0a 00000002 00 3ff0000000000000 02 0001 61",
                Value::StrictArray(vec![number(1.0), text("a")]),
            ),
            one(
                "03 0001 61 03 0001 62 05 000009 000009",
                object([("a", object([("b", Value::Null)]))]),
            ),
            one(
                "03 0001 61 03 0001 62 03 0001 63 05 000009 000009 000009",
                object([("a", object([("b", object([("c", Value::Null)]))]))]),
            ),
            one("03 0000 05 000009", object([("", Value::Null)])),
            one("0b 4278bcfe56800000 0000", Value::Date(1_700_000_000_000.0)),
            one("0f 00000004 3c612f3e", Value::Xml("<a/>".into())),
            one(
                "10 0001 50 0001 78 00 3ff0000000000000 000009",
                Value::Object(Object {
                    class: Some("P".into()),
                    properties: [("x", number(1.0))].into_iter().collect(),
                }),
            ),
            one(
                "11 0c 07 010203",
                Value::ByteArray(Bytes::from_static(&[1, 2, 3])),
            ),
            (
                hex("02 000c 63726561746553747265616d 00 4010000000000000 05"),
                vec![text("createStream"), number(4.0), Value::Null],
            ),
            (
                hex(
                    "02000d40736574446174614672616d65 02000a6f6e4d65746144617461 08 00000004
                     0005 7769647468 00 4094000000000000  0006 686569676874 00 4086800000000000
                     000c 766964656f636f6465636964 00 401c000000000000
                     000c 617564696f636f6465636964 00 4024000000000000 000009",
                ),
                vec![
                    text("@setDataFrame"),
                    text("onMetaData"),
                    Value::ecma_array([
                        ("width", number(1280.0)),
                        ("height", number(720.0)),
                        ("videocodecid", number(7.0)),
                        ("audiocodecid", number(10.0)),
                    ]),
                ],
            ),
            (
                hex("0200075f726573756c74003ff0000000000000030006666d7356657202000d46
                     4d532f332c302c312c313233000c6361706162696c697469657300403f000000
                     0000000000090300056c6576656c0200067374617475730004636f646502001d
                     4e6574436f6e6e656374696f6e2e436f6e6e6563742e53756363657373000b64
                     65736372697074696f6e020015436f6e6e656374696f6e207375636365656465
                     642e000e6f626a656374456e636f64696e67000000000000000000000009"),
                vec![
                    text("_result"),
                    number(1.0),
                    object([("fmsVer", text("FMS/3,0,1,123")), ("capabilities", number(31.0))]),
                    object([
                        ("level", text("status")),
                        ("code", text("NetConnection.Connect.Success")),
                        ("description", text("Connection succeeded.")),
                        ("objectEncoding", number(0.0)),
                    ]),
                ],
            ),
        ]
    }

    /// Messages that are read but would be written in another way.
    fn tolerated() -> Vec<(Bytes, Vec<Value>)> {
        let a = || Value::ecma_array([("a", Value::Null)]);
        vec![
            (hex("0c 00000003 616263"), vec![text("abc")]),
            (hex("01 7f"), vec![Value::Boolean(true)]),
            (hex("0d"), vec![Value::Undefined]),
            (
                hex("0b 4278bcfe56800000 ffc4"),
                vec![Value::Date(1_700_000_000_000.0)],
            ),
            (hex("08 00000005 0001 61 05 000009"), vec![a()]),
            (hex("08 00000000 0001 61 05 000009"), vec![a()]),
            (hex("08 ffffffff 0001 61 05 000009 05"), vec![a(), Value::Null]),
            (
                hex("03 0001 61 05 0001 62 09"),
                vec![object([("a", Value::Null)])],
            ),
            (hex("10 0000 000009"), vec![object([])]),
            (
                hex("02 0008 6f6e537461747573 00 0000000000000000 05
                     11 0a0b01 0b6c6576656c 06 0d737461747573 01"),
                vec![
                    text("onStatus"),
                    Value::Number(0.0),
                    Value::Null,
                    object([("level", text("status"))]),
                ],
            ),
        ]
    }

    #[test]
    fn vectors_decode() {
        for (bytes, values) in canonical().into_iter().chain(tolerated()) {
            assert_eq!(decode_all(&bytes), Ok(values.clone()), "{bytes:02x?}");
            assert_eq!(decode_prefix(&bytes), (values, None), "{bytes:02x?}");
        }
    }

    #[test]
    fn vectors_encode() {
        for (bytes, values) in canonical() {
            let mut out = BytesMut::new();
            encode_all(&values, &mut out);
            assert_eq!(out.freeze(), bytes, "{values:?}");
        }
    }

    #[test]
    fn nan_keeps_its_bits() {
        let bytes = hex("00 7ff8000000000001");
        let values = decode_all(&bytes).unwrap();
        assert!(values[0].as_number().unwrap().is_nan());
        let mut out = BytesMut::new();
        encode_all(&values, &mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn a_cut_anywhere_is_an_error_but_between_values_and_in_an_open_ecma_array() {
        for (bytes, values) in canonical().into_iter().chain(tolerated()) {
            for end in 1..bytes.len() {
                let cut = bytes.slice(..end);
                match decode_all(&cut) {
                    Err(reason) => {
                        assert!(matches!(reason, Malformed::Truncated(_)), "{cut:02x?}: {reason}");
                        assert_eq!(decode_prefix(&cut).1, Some(reason), "{cut:02x?}");
                    }
                    Ok(read) => {
                        let (last, before) = read.split_last().unwrap();
                        assert_eq!(before, &values[..before.len()], "{cut:02x?}");
                        let whole = values.get(before.len()) == Some(last);
                        assert!(
                            whole || matches!(last, Value::EcmaArray(_)),
                            "{cut:02x?}: {last:?}"
                        );
                        assert_eq!(decode_prefix(&cut), (read, None));
                    }
                }
            }
        }
    }

    #[test]
    fn a_lying_count_changes_nothing() {
        let expected = Ok(vec![Value::ecma_array([("a", Value::Null), ("b", true.into())])]);
        for count in ["00000000", "00000001", "00000002", "00000003", "ffffffff"] {
            let bytes = hex(&format!("08 {count} 0001 61 05 0001 62 0101 000009"));
            assert_eq!(decode_all(&bytes), expected);
        }
    }

    #[test]
    fn an_ecma_array_may_end_with_the_message() {
        let bytes = hex("08 00000001 0001 61 05");
        assert_eq!(
            decode_all(&bytes),
            Ok(vec![Value::ecma_array([("a", Value::Null)])])
        );
        let nested = hex("08 00000001 0001 61 08 00000001 0001 62 05");
        let inner = Value::ecma_array([("b", Value::Null)]);
        assert_eq!(decode_all(&nested), Ok(vec![Value::ecma_array([("a", inner)])]));
        let object = hex("03 0001 61 05");
        assert_eq!(
            decode_all(&object),
            Err(Malformed::Truncated("AMF0 property name"))
        );
    }

    #[test]
    fn salvage_keeps_the_finished_properties_of_the_outermost_value() {
        let unknown_marker = Malformed::Invalid {
            field: "AMF0 marker",
            value: 0x12,
        };
        let kept = |value| (vec![text("m"), value], Some(unknown_marker));
        let array = hex("02 0001 6d 08 00000003 0001 61 05 0001 62 03 0001 63 05 0001 64 12 000009 000009");
        assert_eq!(
            decode_prefix(&array),
            kept(Value::ecma_array([("a", Value::Null)]))
        );
        let typed = hex("02 0001 6d 10 0001 50 0001 61 05 0001 62 12 000009 05");
        let part = Object {
            class: Some("P".into()),
            properties: [("a", Value::Null)].into_iter().collect(),
        };
        assert_eq!(decode_prefix(&typed), kept(Value::Object(part)));
        assert_eq!(decode_all(&array), Err(unknown_marker));
    }

    #[test]
    fn salvage_ignores_junk_behind_the_values() {
        let (values, reason) = decode_prefix(&hex("05 0101 00"));
        assert_eq!(values, [Value::Null, Value::Boolean(true)]);
        assert_eq!(reason, Some(Malformed::Truncated("AMF0 number")));
    }

    #[test]
    fn an_error_is_repeated() {
        let bytes = hex("03 0001 61 04 05 05");
        for mut decoder in [Decoder::new(&bytes), Decoder::salvaging(&bytes)] {
            let salvaged = decoder.salvaging.then(|| decoder.next_value());
            assert!(salvaged.is_none_or(|part| part == Ok(Some(object([])))));
            let expected = Err(Malformed::Invalid {
                field: "AMF0 marker",
                value: 4,
            });
            assert_eq!(decoder.next_value(), expected);
            assert_eq!(decoder.next_value(), expected);
        }
    }

    #[test]
    fn reserved_markers_are_refused() {
        for marker in [0x04, 0x09, 0x0E].into_iter().chain(0x12..=0xFF) {
            let bytes = Bytes::from(vec![marker, 0, 0, 0, 0, 0, 0, 0, 0]);
            let expected = Malformed::Invalid {
                field: "AMF0 marker",
                value: marker.into(),
            };
            assert_eq!(decode_all(&bytes), Err(expected));
        }
    }

    #[test]
    fn claimed_lengths_are_not_believed() {
        for (bytes, field) in [
            ("0a ffffffff", "AMF0 strict array"),
            ("0a 00000002 05", "AMF0 strict array"),
            ("0c ffffffff", "AMF0 long string"),
            ("0f ffffffff", "AMF0 XML document"),
            ("02 ffff 61", "AMF0 string"),
            ("03 ffff 61", "AMF0 property name"),
        ] {
            assert_eq!(
                decode_all(&hex(bytes)),
                Err(Malformed::Truncated(field)),
                "{bytes}"
            );
        }
    }

    #[test]
    fn containers_nest_sixteen_deep_and_no_deeper() {
        let expected = Err(Malformed::Excessive("nested AMF values"));
        for open in [
            "03 0001 61",
            "08 00000000 0001 61",
            "10 0001 50 0001 61",
            "0a 00000001",
        ] {
            let close = if open.starts_with("0a") { "" } else { "000009" };
            let nested = |n: usize| hex(&format!("{} 05 {}", open.repeat(n), close.repeat(n)));
            assert_eq!(decode_all(&nested(MAX_DEPTH)).unwrap().len(), 1, "{open}");
            assert_eq!(decode_all(&nested(MAX_DEPTH + 1)), expected, "{open}");
            assert_eq!(decode_all(&nested(100_000)), expected, "{open}");
        }
        let unterminated = hex(&"03 0001 61".repeat(17));
        assert_eq!(decode_all(&unterminated), expected);
    }

    #[test]
    fn a_message_holds_4096_values_and_no_more() {
        let expected = Err(Malformed::Excessive("AMF values in one message"));
        let nulls = |n: usize| Bytes::from(vec![0x05; n]);
        assert_eq!(decode_all(&nulls(MAX_VALUES)).unwrap().len(), MAX_VALUES);
        assert_eq!(decode_all(&nulls(MAX_VALUES + 1)), expected);
        let array = |n: usize| hex(&format!("0a {n:08x} {}", "05".repeat(n)));
        assert_eq!(decode_all(&array(MAX_VALUES - 1)).unwrap().len(), 1);
        assert_eq!(decode_all(&array(MAX_VALUES)), expected);
        let object = |n: usize| hex(&format!("03 {} 000009", "0000 05".repeat(n)));
        assert_eq!(decode_all(&object(MAX_VALUES - 1)).unwrap().len(), 1);
        assert_eq!(decode_all(&object(MAX_VALUES)), expected);
    }

    #[test]
    fn references_count_every_complex_value_of_the_message_in_order() {
        // 0: {}, 1: [..], 2: {p:1}, 3: the ECMA array. Date, string and number are not in the table.
        let bytes = hex("03 000009 0b 0000000000000000 0000 02 0001 61
                         0a 00000001 10 0001 50 000009 08 00000000 0001 61 0101 000009
                         07 0000 07 0001 07 0002 07 0003");
        let values = decode_all(&bytes).unwrap();
        let typed = Value::Object(Object {
            class: Some("P".into()),
            properties: Properties::default(),
        });
        assert_eq!(
            values[5..],
            [
                object([]),
                Value::StrictArray(vec![typed.clone()]),
                typed,
                Value::ecma_array([("a", true.into())]),
            ]
        );
    }

    #[test]
    fn a_reference_to_nothing_is_an_error_and_one_to_an_open_value_is_undefined() {
        let nothing = |value| {
            Err(Malformed::Invalid {
                field: "AMF0 reference",
                value,
            })
        };
        assert_eq!(decode_all(&hex("07 0000")), nothing(0));
        assert_eq!(decode_all(&hex("03 000009 07 0001")), nothing(1));
        assert_eq!(
            decode_all(&hex("03 0001 61 07 0000 000009")),
            Ok(vec![object([("a", Value::Undefined)])])
        );
        let through_another = hex("0a 00000002 03 0001 61 07 0000 000009 07 0001");
        let inner = || object([("a", Value::Undefined)]);
        assert_eq!(
            decode_all(&through_another),
            Ok(vec![Value::StrictArray(vec![inner(), inner()])])
        );
    }

    #[test]
    fn references_cannot_multiply_beyond_the_limit_of_values() {
        // Each array holds the one before it ten times over.
        let laughs = |arrays: usize| {
            let levels: String = (1..arrays)
                .map(|n| format!("0a 0000000a {}", format!("07 {:04x}", n - 1).repeat(10)))
                .collect();
            hex(&format!("0a 0000000a {} {levels}", "05".repeat(10)))
        };
        assert_eq!(decode_all(&laughs(3)).unwrap().len(), 3);
        for arrays in [4, 15] {
            let expected = Err(Malformed::Excessive("AMF values in one message"));
            assert_eq!(decode_all(&laughs(arrays)), expected);
        }
    }

    #[test]
    fn references_cannot_nest_beyond_the_limit_of_depth() {
        let nested = |levels: usize, leaf: &str| format!("{}{leaf}", "0a 00000001".repeat(levels));
        let allowed = hex(&format!("{}{}", nested(8, "05"), nested(8, "07 0000")));
        assert_eq!(decode_all(&allowed).unwrap().len(), 2);
        let refused = hex(&format!("{}{}", nested(8, "05"), nested(9, "07 0000")));
        assert_eq!(
            decode_all(&refused),
            Err(Malformed::Excessive("nested AMF values"))
        );
    }

    #[test]
    fn text_is_a_slice_of_the_message() {
        let bytes = hex("02 0004 6c697665");
        let values = decode_all(&bytes).unwrap();
        let Value::String(text) = &values[0] else {
            panic!("{values:?}")
        };
        assert_eq!(text.as_bytes().as_ptr(), bytes[3..].as_ptr());
    }

    #[test]
    fn long_text_takes_the_long_form_and_long_names_are_left_out() {
        let encoded = |value: &Value| {
            let mut out = BytesMut::new();
            encode(value, &mut out);
            out.freeze()
        };
        let (short, long) = ("a".repeat(0xFFFF), "a".repeat(0x1_0000));
        assert_eq!(encoded(&text(&short))[..3], [0x02, 0xFF, 0xFF]);
        assert_eq!(encoded(&text(&long))[..5], [0x0C, 0, 1, 0, 0]);
        assert_eq!(decode_all(&encoded(&text(&long))), Ok(vec![text(&long)]));
        let properties: Properties = [(long.as_str(), Value::Null), ("b", Value::Null)]
            .into_iter()
            .collect();
        assert_eq!(
            encoded(&Value::EcmaArray(properties.clone())),
            hex("08 00000001 0001 62 05 000009")
        );
        let typed = Value::Object(Object {
            class: Some(long.into()),
            properties,
        });
        assert_eq!(encoded(&typed), hex("03 0001 62 05 000009"));
    }
}
