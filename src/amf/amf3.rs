//! AMF3, the Adobe specification of January 2013: values to and from bytes.
//!
//! Decoding knows every marker from 0x00 to 0x11 and the externalizable classes of Flex that wrap one value.
//! The tables of strings, objects and traits last for a message, not only for one value of it.

use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};

use super::input::{Input, References};
use super::u29::{self, Header};
use super::value::{Dictionary, Object, Properties, Text, Value, Vector, VectorItems};
use crate::wire::Malformed;

/// Externalizable classes whose body is the one value that they wrap.
const WRAPPERS: [&str; 2] = [
    "flex.messaging.io.ArrayCollection",
    "flex.messaging.io.ObjectProxy",
];

/// Type markers, section 3.1. From 0x12 there are none.
mod marker {
    pub(super) const UNDEFINED: u8 = 0x00;
    pub(super) const NULL: u8 = 0x01;
    pub(super) const FALSE: u8 = 0x02;
    pub(super) const TRUE: u8 = 0x03;
    pub(super) const INTEGER: u8 = 0x04;
    pub(super) const DOUBLE: u8 = 0x05;
    pub(super) const STRING: u8 = 0x06;
    pub(super) const XML_DOCUMENT: u8 = 0x07;
    pub(super) const DATE: u8 = 0x08;
    pub(super) const ARRAY: u8 = 0x09;
    pub(super) const OBJECT: u8 = 0x0A;
    pub(super) const XML: u8 = 0x0B;
    pub(super) const BYTE_ARRAY: u8 = 0x0C;
    pub(super) const VECTOR_INT: u8 = 0x0D;
    pub(super) const VECTOR_UINT: u8 = 0x0E;
    pub(super) const VECTOR_DOUBLE: u8 = 0x0F;
    pub(super) const VECTOR_OBJECT: u8 = 0x10;
    pub(super) const DICTIONARY: u8 = 0x11;
}

/// Low bits of the U29 that starts an object, section 3.12.
mod traits {
    /// An object of its own, not a reference.
    pub(super) const INSTANCE: u32 = 0b0001;
    /// With its traits, not a reference to them.
    pub(super) const INLINE: u32 = 0b0010;
    /// With a body that only its class understands.
    pub(super) const EXTERNALIZABLE: u32 = 0b0100;
    /// With members of its own after those of its class.
    pub(super) const DYNAMIC: u32 = 0b1000;
}

/// Reads a run of AMF3 values, with one set of reference tables and limits.
#[derive(Debug)]
pub struct Decoder<'a> {
    input: Input<'a>,
    tables: Tables,
    stopped: Option<Malformed>,
}

impl<'a> Decoder<'a> {
    /// Reads a message of nothing but AMF3 values.
    #[must_use]
    pub fn new(message: &'a Bytes) -> Self {
        Self {
            input: Input::new(message),
            tables: Tables::default(),
            stopped: None,
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
        self.tables
            .value(&mut self.input, 0)
            .map(Some)
            .inspect_err(|reason| self.stopped = Some(*reason))
    }
}

/// What the objects of a class have in common, section 3.12.
#[derive(Debug)]
struct Traits {
    /// Empty for an anonymous object.
    class: Text,
    members: Members,
}

#[derive(Debug)]
enum Members {
    Declared { sealed: Vec<Text>, dynamic: bool },
    Externalizable,
}

impl Traits {
    /// Bytes of the names that every object repeats.
    fn text_len(&self) -> usize {
        match &self.members {
            Members::Declared { sealed, .. } => {
                sealed.iter().map(Text::len).sum::<usize>() + self.class.len()
            }
            Members::Externalizable => self.class.len(),
        }
    }
}

/// Strings, objects and traits that later values of the message may refer to, section 2.2.
#[derive(Debug, Default)]
pub(super) struct Tables {
    strings: Vec<Text>,
    objects: References,
    traits: Vec<Rc<Traits>>,
}

impl Tables {
    /// One value, marker first, in `depth` containers.
    pub(super) fn value(&mut self, input: &mut Input<'_>, depth: usize) -> Result<Value, Malformed> {
        input.spend_values(1)?;
        match input.reader.u8("AMF3 marker")? {
            marker::UNDEFINED => Ok(Value::Undefined),
            marker::NULL => Ok(Value::Null),
            marker::FALSE => Ok(Value::Boolean(false)),
            marker::TRUE => Ok(Value::Boolean(true)),
            marker::INTEGER => {
                let bits = u29::decode(&mut input.reader, "AMF3 integer")?;
                // The shifts drag the sign from bit 28 to the bits above it.
                Ok(Value::Number(((bits << 3).cast_signed() >> 3).into()))
            }
            marker::DOUBLE => Ok(Value::Number(input.reader.f64("AMF3 double")?)),
            marker::STRING => Ok(Value::String(self.string(input)?)),
            marker::XML_DOCUMENT | marker::XML => {
                self.complex(input, depth, "AMF3 XML", |_, input, length| {
                    Ok(Value::Xml(input.text(length, "AMF3 XML")?))
                })
            }
            marker::DATE => self.complex(input, depth, "AMF3 date", |_, input, _| {
                Ok(Value::Date(input.reader.f64("AMF3 date")?))
            }),
            marker::ARRAY => self.complex(input, depth, "AMF3 array", |tables, input, count| {
                tables.array(input, count, depth)
            }),
            marker::OBJECT => self.object(input, depth),
            marker::BYTE_ARRAY => self.complex(input, depth, "AMF3 byte array", |_, input, length| {
                Ok(Value::ByteArray(input.bytes(length, "AMF3 byte array")?))
            }),
            vector @ marker::VECTOR_INT..=marker::VECTOR_OBJECT => {
                self.complex(input, depth, "AMF3 vector", |tables, input, count| {
                    tables.vector(input, vector, count, depth)
                })
            }
            marker::DICTIONARY => self.complex(input, depth, "AMF3 dictionary", |tables, input, count| {
                tables.dictionary(input, count, depth)
            }),
            unknown => Err(Malformed::Invalid {
                field: "AMF3 marker",
                value: unknown.into(),
            }),
        }
    }

    /// A reference into the object table, or a value for it that `read` reads, given its length or count.
    fn complex<'a>(
        &mut self,
        input: &mut Input<'a>,
        depth: usize,
        field: &'static str,
        read: impl FnOnce(&mut Self, &mut Input<'a>, usize) -> Result<Value, Malformed>,
    ) -> Result<Value, Malformed> {
        match Header::decode(&mut input.reader, field)? {
            Header::Reference(index) => self.objects.resolve(index, depth, input, "AMF3 object reference"),
            Header::Literal(number) => self.enter_object(|tables| read(tables, input, number)),
        }
    }

    /// Reads a value that takes its place in the object table before its children.
    fn enter_object(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, Malformed>,
    ) -> Result<Value, Malformed> {
        let index = self.objects.begin();
        let value = read(self)?;
        self.objects.complete(index, &value);
        Ok(value)
    }

    /// UTF-8-vr, section 1.3.2. The empty string never enters the table.
    fn string(&mut self, input: &mut Input<'_>) -> Result<Text, Malformed> {
        match Header::decode(&mut input.reader, "AMF3 string")? {
            Header::Reference(index) => {
                let text = self.strings.get(index).ok_or(Malformed::Invalid {
                    field: "AMF3 string reference",
                    value: index as u64,
                })?;
                input.spend_repeated(text.len())?;
                Ok(text.clone())
            }
            Header::Literal(length) => {
                let text = input.text(length, "AMF3 string")?;
                if !text.is_empty() {
                    self.strings.push(text.clone());
                }
                Ok(text)
            }
        }
    }

    /// Named values up to the empty name: the associative part of an array, or dynamic members.
    fn append_named(
        &mut self,
        input: &mut Input<'_>,
        properties: &mut Properties,
        depth: usize,
    ) -> Result<(), Malformed> {
        loop {
            let name = self.string(input)?;
            if name.is_empty() {
                return Ok(());
            }
            let value = self.value(input, depth)?;
            properties.push(name, value);
        }
    }

    fn items(&mut self, input: &mut Input<'_>, count: usize, depth: usize) -> Result<Vec<Value>, Malformed> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(input, depth)?);
        }
        Ok(items)
    }

    /// Section 3.11. ActionScript arrays have named and dense elements at once, AMF0 has not.
    fn array(&mut self, input: &mut Input<'_>, count: usize, depth: usize) -> Result<Value, Malformed> {
        let inner = input.enter(depth)?;
        input.expect(count, 1, "AMF3 array")?;
        let mut properties = Properties::default();
        self.append_named(input, &mut properties, inner)?;
        let items = self.items(input, count, inner)?;
        if properties.is_empty() {
            return Ok(Value::StrictArray(items));
        }
        for (index, item) in items.into_iter().enumerate() {
            properties.push(index.to_string(), item);
        }
        Ok(Value::EcmaArray(properties))
    }

    fn object(&mut self, input: &mut Input<'_>, depth: usize) -> Result<Value, Malformed> {
        let bits = u29::decode(&mut input.reader, "AMF3 object")?;
        if bits & traits::INSTANCE == 0 {
            let index = (bits >> 1) as usize;
            return self.objects.resolve(index, depth, input, "AMF3 object reference");
        }
        let inner = input.enter(depth)?;
        let traits = self.traits(input, bits)?;
        self.enter_object(|tables| match &traits.members {
            Members::Declared { sealed, dynamic } => {
                let mut properties = Properties::default();
                for name in sealed {
                    properties.push(name.clone(), tables.value(input, inner)?);
                }
                if *dynamic {
                    tables.append_named(input, &mut properties, inner)?;
                }
                let class = Some(traits.class.clone()).filter(|class| !class.is_empty());
                Ok(Value::Object(Object { class, properties }))
            }
            // Read as what it wraps; the wrapper has a place in the object table all the same.
            Members::Externalizable if WRAPPERS.iter().any(|wrapper| traits.class == *wrapper) => {
                tables.value(input, inner)
            }
            Members::Externalizable => Err(Malformed::Invalid {
                field: "AMF3 traits of an unknown externalizable class",
                value: bits.into(),
            }),
        })
    }

    fn traits(&mut self, input: &mut Input<'_>, bits: u32) -> Result<Rc<Traits>, Malformed> {
        if bits & traits::INLINE == 0 {
            let index = bits >> 2;
            let traits = self.traits.get(index as usize).ok_or(Malformed::Invalid {
                field: "AMF3 traits reference",
                value: index.into(),
            })?;
            input.spend_repeated(traits.text_len())?;
            return Ok(Rc::clone(traits));
        }
        let class = self.string(input)?;
        let members = if bits & traits::EXTERNALIZABLE != 0 {
            Members::Externalizable
        } else {
            let count = (bits >> 4) as usize;
            // A name and a value each.
            input.expect(count, 2, "AMF3 traits")?;
            let mut sealed = Vec::new();
            for _ in 0..count {
                sealed.push(self.string(input)?);
            }
            Members::Declared {
                sealed,
                dynamic: bits & traits::DYNAMIC != 0,
            }
        };
        let traits = Rc::new(Traits { class, members });
        self.traits.push(Rc::clone(&traits));
        Ok(traits)
    }

    /// Section 3.15.
    fn vector(
        &mut self,
        input: &mut Input<'_>,
        marker: u8,
        count: usize,
        depth: usize,
    ) -> Result<Value, Malformed> {
        let inner = input.enter(depth)?;
        let fixed = input.reader.u8("AMF3 vector")? != 0;
        let items = match marker {
            marker::VECTOR_INT => VectorItems::Int(numbers(input, count, i32::from_be_bytes)?),
            marker::VECTOR_UINT => VectorItems::Uint(numbers(input, count, u32::from_be_bytes)?),
            marker::VECTOR_DOUBLE => VectorItems::Number(numbers(input, count, f64::from_be_bytes)?),
            // The caller passes no other marker than that of Vector.<Object>.
            _ => {
                let class = self.string(input)?;
                input.expect(count, 1, "AMF3 vector")?;
                VectorItems::Object {
                    class,
                    items: self.items(input, count, inner)?,
                }
            }
        };
        Ok(Value::Vector(Vector { fixed, items }))
    }

    /// Section 3.16.
    fn dictionary(&mut self, input: &mut Input<'_>, count: usize, depth: usize) -> Result<Value, Malformed> {
        let inner = input.enter(depth)?;
        let weak_keys = input.reader.u8("AMF3 dictionary")? != 0;
        input.expect(count, 2, "AMF3 dictionary")?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push((self.value(input, inner)?, self.value(input, inner)?));
        }
        Ok(Value::Dictionary(Dictionary { weak_keys, entries }))
    }
}

/// `count` numbers of `N` bytes each. They are values like others: a reference may repeat them.
fn numbers<T, const N: usize>(
    input: &mut Input<'_>,
    count: usize,
    number: fn([u8; N]) -> T,
) -> Result<Vec<T>, Malformed> {
    input.expect(count, N, "AMF3 vector")?;
    input.spend_values(count)?;
    let (numbers, _) = input.reader.take(count * N, "AMF3 vector")?.as_chunks::<N>();
    Ok(numbers.iter().copied().map(number).collect())
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    u29::put_literal(bytes.len(), out);
    out.put_slice(bytes);
}

/// Writes one value as AMF3, without references.
///
/// Whole numbers of 29 bits become integers. A name that is empty ends a list of names, so an ECMA array with
/// one is written as an object, whose sealed members may have any name; an empty ECMA array is the same bytes
/// as an empty strict array.
pub fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::Null => out.put_u8(marker::NULL),
        Value::Boolean(false) => out.put_u8(marker::FALSE),
        Value::Boolean(true) => out.put_u8(marker::TRUE),
        Value::Number(number) => put_number(*number, out),
        Value::String(text) => {
            out.put_u8(marker::STRING);
            put_bytes(text.as_bytes(), out);
        }
        // The kind that AMF0 knows. E4X, marker 0x0B, came with AMF3.
        Value::Xml(text) => {
            out.put_u8(marker::XML_DOCUMENT);
            put_bytes(text.as_bytes(), out);
        }
        Value::Date(millis) => {
            out.put_u8(marker::DATE);
            u29::put_literal(0, out);
            out.put_f64(*millis);
        }
        Value::StrictArray(items) => {
            out.put_u8(marker::ARRAY);
            u29::put_literal(items.len(), out);
            put_bytes(&[], out);
            for item in items {
                encode(item, out);
            }
        }
        Value::EcmaArray(properties) if has_empty_name(properties) => put_object(None, properties, out),
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ARRAY);
            u29::put_literal(0, out);
            put_named(properties, out);
        }
        Value::Object(Object { class, properties }) => put_object(class.as_ref(), properties, out),
        Value::ByteArray(bytes) => {
            out.put_u8(marker::BYTE_ARRAY);
            put_bytes(bytes, out);
        }
        Value::Vector(vector) => put_vector(vector, out),
        Value::Dictionary(Dictionary { weak_keys, entries }) => {
            out.put_u8(marker::DICTIONARY);
            u29::put_literal(entries.len(), out);
            out.put_u8((*weak_keys).into());
            for (key, value) in entries {
                encode(key, out);
                encode(value, out);
            }
        }
    }
}

fn put_number(number: f64, out: &mut BytesMut) {
    let integer = number as i32;
    // The cast saturates and drops fractions; bits that come back the same also rule out -0 and NaN.
    let exact = f64::from(integer).to_bits() == number.to_bits();
    if exact && (-(1 << 28)..1 << 28).contains(&integer) {
        out.put_u8(marker::INTEGER);
        u29::encode(integer.cast_unsigned(), out);
    } else {
        out.put_u8(marker::DOUBLE);
        out.put_f64(number);
    }
}

/// Anonymous objects have dynamic members, as ActionScript writes them. Those of a class are sealed, and so
/// are those of an object that has an empty name among them.
fn put_object(class: Option<&Text>, properties: &Properties, out: &mut BytesMut) {
    let class = class.map_or(&[][..], Text::as_bytes);
    out.put_u8(marker::OBJECT);
    if class.is_empty() && !has_empty_name(properties) {
        u29::put_flagged(0, traits::INSTANCE | traits::INLINE | traits::DYNAMIC, 4, out);
        put_bytes(class, out);
        put_named(properties, out);
        return;
    }
    u29::put_flagged(properties.len(), traits::INSTANCE | traits::INLINE, 4, out);
    put_bytes(class, out);
    for (name, _) in properties {
        put_bytes(name.as_bytes(), out);
    }
    for (_, value) in properties {
        encode(value, out);
    }
}

fn put_named(properties: &Properties, out: &mut BytesMut) {
    for (name, value) in properties {
        put_bytes(name.as_bytes(), out);
        encode(value, out);
    }
    put_bytes(&[], out);
}

fn has_empty_name(properties: &Properties) -> bool {
    properties.iter().any(|(name, _)| name.is_empty())
}

fn put_vector(vector: &Vector, out: &mut BytesMut) {
    let mut head = |marker, count| {
        out.put_u8(marker);
        u29::put_literal(count, out);
        out.put_u8(vector.fixed.into());
    };
    match &vector.items {
        VectorItems::Int(items) => {
            head(marker::VECTOR_INT, items.len());
            items.iter().for_each(|item| out.put_i32(*item));
        }
        VectorItems::Uint(items) => {
            head(marker::VECTOR_UINT, items.len());
            items.iter().for_each(|item| out.put_u32(*item));
        }
        VectorItems::Number(items) => {
            head(marker::VECTOR_DOUBLE, items.len());
            items.iter().for_each(|item| out.put_f64(*item));
        }
        VectorItems::Object { class, items } => {
            head(marker::VECTOR_OBJECT, items.len());
            put_bytes(class.as_bytes(), out);
            items.iter().for_each(|item| encode(item, out));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::tests::hex;
    use crate::amf::{MAX_DEPTH, MAX_VALUES, decode_all, encode_avmplus};

    fn decode(bytes: &Bytes) -> Result<Value, Malformed> {
        let mut decoder = Decoder::new(bytes);
        let value = decoder.next_value()?.ok_or(Malformed::Truncated("nothing"))?;
        assert_eq!(decoder.next_value(), Ok(None), "{bytes:02x?}");
        Ok(value)
    }

    fn encoded(value: &Value) -> Bytes {
        let mut out = BytesMut::new();
        encode(value, &mut out);
        out.freeze()
    }

    fn array<const N: usize>(items: [Value; N]) -> Value {
        Value::StrictArray(items.into())
    }

    fn numbers<const N: usize>(numbers: [f64; N]) -> Value {
        array(numbers.map(Value::Number))
    }

    fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
        Value::object(properties)
    }

    fn point(x: f64, y: f64) -> Value {
        let properties = [("x", Value::Number(x)), ("y", Value::Number(y))]
            .into_iter()
            .collect();
        Value::Object(Object {
            class: Some("P".into()),
            properties,
        })
    }

    fn vector(fixed: bool, items: VectorItems) -> Value {
        Value::Vector(Vector { fixed, items })
    }

    /// Values that are written exactly as they are read.
    fn canonical() -> Vec<(Bytes, Value)> {
        let number = Value::Number;
        [
            ("00", Value::Undefined),
            ("01", Value::Null),
            ("02", Value::Boolean(false)),
            ("03", Value::Boolean(true)),
            ("04 00", number(0.0)),
            ("04 ffffffff", number(-1.0)),
            ("04 7f", number(127.0)),
            ("04 8100", number(128.0)),
            ("04 bfffffff", number(268_435_455.0)),
            ("04 c0808000", number(-268_435_456.0)),
            ("05 41b0000000000000", number(268_435_456.0)),
            ("05 c1b0000001000000", number(-268_435_457.0)),
            ("05 4004000000000000", number(2.5)),
            ("05 7ff0000000000000", number(f64::INFINITY)),
            ("06 01", "".into()),
            ("06 05 6f6b", "ok".into()),
            ("07 09 3c612f3e", Value::Xml("<a/>".into())),
            ("08 01 0000000000000000", Value::Date(0.0)),
            ("09 01 01", array([])),
            (
                "09 07 01 04 01 04 ffffffff 05 4004000000000000",
                numbers([1.0, -1.0, 2.5]),
            ),
            ("09 01 03 61 03 01", Value::ecma_array([("a", Value::from(true))])),
            ("0a 0b 01 01", object([])),
            (
                "0a 0b 01 03 61 0a 0b 01 03 62 01 01 01",
                object([("a", object([("b", Value::Null)]))]),
            ),
            ("0a 23 03 50 03 78 03 79 04 01 04 02", point(1.0, 2.0)),
            ("0a 13 01 01 04 01", object([("", number(1.0))])),
            ("0c 07 010203", Value::ByteArray(Bytes::from_static(&[1, 2, 3]))),
            (
                "0d 05 00 00000001 ffffffff",
                vector(false, VectorItems::Int(vec![1, -1])),
            ),
            (
                "0e 05 01 00000001 ffffffff",
                vector(true, VectorItems::Uint(vec![1, u32::MAX])),
            ),
            (
                "0f 03 00 3ff0000000000000",
                vector(false, VectorItems::Number(vec![1.0])),
            ),
            (
                "10 05 00 03 2a 04 01 06 03 61",
                vector(
                    false,
                    VectorItems::Object {
                        class: "*".into(),
                        items: vec![number(1.0), "a".into()],
                    },
                ),
            ),
            (
                "11 05 01 04 01 03 06 03 61 01",
                Value::Dictionary(Dictionary {
                    weak_keys: true,
                    entries: vec![(number(1.0), true.into()), ("a".into(), Value::Null)],
                }),
            ),
        ]
        .map(|(bytes, value)| (hex(bytes), value))
        .into()
    }

    /// Values that are read but would be written in another way.
    fn tolerated() -> Vec<(Bytes, Value)> {
        let ok = || Value::from("ok");
        let a = || object([("a", Value::from(true))]);
        [
            ("04 8005", Value::Number(5.0)),
            ("04 80808005", Value::Number(5.0)),
            ("0b 09 3c612f3e", Value::Xml("<a/>".into())),
            (
                "0a0b01 09636f6465 06056f6b 0b6c6576656c 0602
                 036e 0907010401 04ffffffff 054004000000000000 01",
                object([("code", ok()), ("level", ok()), ("n", numbers([1.0, -1.0, 2.5]))]),
            ),
            (
                "09 05 01 0a 0b 01 05 6964 04 01 01 0a 01 00 04 02 01",
                array([object([("id", 1.0.into())]), object([("id", 2.0.into())])]),
            ),
            (
                "09 05 01 0a 23 03 50 03 78 03 79 04 01 04 02 0a 01 04 03 04 04",
                array([point(1.0, 2.0), point(3.0, 4.0)]),
            ),
            ("09 05 01 0a 0b 01 03 61 03 01 0a 02", array([a(), a()])),
            // An associative and a dense part.
            (
                "09 03 03 61 02 01 04 07",
                Value::ecma_array([("a", Value::from(false)), ("0", 7.0.into())]),
            ),
            // A sealed and a dynamic member, in an object and in another one of the same traits.
            (
                "09 05 01 0a 1b 03 50 03 78 04 01 03 79 04 02 01 0a 01 04 03 04 04 04 01",
                array([point(1.0, 2.0), point(3.0, 4.0)]),
            ),
        ]
        .into_iter()
        .map(|(bytes, value)| (hex(bytes), value))
        .collect()
    }

    #[test]
    fn vectors_decode() {
        for (bytes, value) in canonical().into_iter().chain(tolerated()) {
            assert_eq!(decode(&bytes), Ok(value), "{bytes:02x?}");
        }
    }

    #[test]
    fn vectors_encode() {
        for (bytes, value) in canonical() {
            assert_eq!(encoded(&value), bytes, "{value:?}");
        }
    }

    #[test]
    fn a_cut_anywhere_is_truncated_with_and_without_the_avmplus_marker() {
        for (bytes, _) in canonical().into_iter().chain(tolerated()) {
            for end in 1..bytes.len() {
                let cut = bytes.slice(..end);
                assert!(matches!(decode(&cut), Err(Malformed::Truncated(_))), "{cut:02x?}");
                let avmplus = Bytes::from([&[0x11], &cut[..]].concat());
                assert!(
                    matches!(decode_all(&avmplus), Err(Malformed::Truncated(_))),
                    "{avmplus:02x?}"
                );
            }
        }
    }

    #[test]
    fn numbers_that_are_no_integers_of_29_bits_stay_doubles() {
        for number in [-0.0, 0.5, 1e300, f64::NAN, f64::NEG_INFINITY, 2_147_483_647.0] {
            let bytes = encoded(&Value::Number(number));
            assert_eq!(bytes[0], marker::DOUBLE, "{number}");
            let read = decode(&bytes).unwrap().as_number().unwrap();
            assert_eq!(read.to_bits(), number.to_bits());
        }
    }

    #[test]
    fn empty_names_and_empty_arrays_take_another_shape() {
        let properties = || [("", Value::Null), ("a", 1.0.into())];
        let object = decode(&encoded(&Value::ecma_array(properties())));
        assert_eq!(object, Ok(Value::object(properties())));
        assert_eq!(
            decode(&encoded(&Value::EcmaArray(Properties::default()))),
            Ok(array([]))
        );
    }

    #[test]
    fn every_literal_but_the_empty_one_and_xml_takes_a_slot_of_the_string_table() {
        // Class P, sealed a, dynamic b, value v; XML and byte array do not count, nor does "".
        let bytes = hex(
            "09 13 01 0a 1b 03 50 03 61 06 03 76 03 62 06 01 01 07 03 78 0c 03 79
                         06 00 06 02 06 04 06 06 06 03 7a 06 08",
        );
        let Ok(Value::StrictArray(items)) = decode(&bytes) else {
            panic!("{:?}", decode(&bytes))
        };
        let strings: Vec<_> = items[3..].iter().map(|item| item.as_str().unwrap()).collect();
        assert_eq!(strings, ["P", "a", "v", "b", "z", "z"]);
    }

    #[test]
    fn every_complex_value_takes_a_slot_of_the_object_table() {
        let date = Value::Date(0.0);
        let kinds = [
            ("08 01 0000000000000000", date),
            ("07 03 78", Value::Xml("x".into())),
            ("0b 03 79", Value::Xml("y".into())),
            ("0c 03 7a", Value::ByteArray(Bytes::from_static(b"z"))),
            ("09 03 01 01", array([Value::Null])),
            ("0d 03 00 00000001", vector(false, VectorItems::Int(vec![1]))),
            (
                "10 01 00 01",
                vector(
                    false,
                    VectorItems::Object {
                        class: "".into(),
                        items: vec![],
                    },
                ),
            ),
            ("11 01 00", Value::Dictionary(Dictionary::default())),
            ("0a 0b 01 01", object([])),
        ];
        let literals: String = kinds.iter().map(|(bytes, _)| *bytes).collect();
        let references: String = kinds
            .iter()
            .zip(1..)
            .map(|((bytes, _), index)| format!("{}{:02x}", &bytes[..2], index * 2))
            .collect();
        let values: Vec<_> = kinds.into_iter().map(|(_, value)| value).collect();
        let bytes = hex(&format!("09 25 01 {literals} {references}"));
        assert_eq!(
            decode(&bytes),
            Ok(Value::StrictArray([values.clone(), values].concat()))
        );
    }

    #[test]
    fn tables_last_for_the_message() {
        let strings = hex("11 06 03 61 05 11 06 00");
        assert_eq!(
            decode_all(&strings),
            Ok(vec!["a".into(), Value::Null, "a".into()])
        );
        let objects = hex("11 0a 0b 01 03 61 03 01 11 0a 00 11 0a 01 00 02 01");
        let a = |value: bool| object([("a", value.into())]);
        assert_eq!(decode_all(&objects), Ok(vec![a(true), a(true), a(false)]));
    }

    #[test]
    fn references_to_nothing_are_errors() {
        for (bytes, field, value) in [
            ("06 02", "AMF3 string reference", 1),
            ("0a 02", "AMF3 object reference", 1),
            ("09 00", "AMF3 object reference", 0),
            ("0a 01", "AMF3 traits reference", 0),
            ("0a 0d", "AMF3 traits reference", 3),
        ] {
            let expected = Malformed::Invalid { field, value };
            assert_eq!(decode(&hex(bytes)), Err(expected), "{bytes}");
            assert_eq!(decode_all(&hex(&format!("11 {bytes}"))), Err(expected), "{bytes}");
        }
    }

    #[test]
    fn a_reference_to_an_open_value_is_undefined() {
        assert_eq!(decode(&hex("09 03 01 09 00")), Ok(array([Value::Undefined])));
        assert_eq!(
            decode(&hex("0a 0b 01 03 61 0a 00 01")),
            Ok(object([("a", Value::Undefined)]))
        );
        let expected = Dictionary {
            weak_keys: false,
            entries: vec![(Value::Undefined, Value::Null)],
        };
        assert_eq!(decode(&hex("11 03 00 11 00 01")), Ok(Value::Dictionary(expected)));
    }

    #[test]
    fn flex_wrappers_read_as_what_they_wrap() {
        let collection = "43 666c65782e6d6573736167696e672e696f2e4172726179436f6c6c656374696f6e";
        let proxy = "3b 666c65782e6d6573736167696e672e696f2e4f626a65637450726f7879";
        assert_eq!(
            decode(&hex(&format!("0a 07 {collection} 09 03 01 04 07"))),
            Ok(numbers([7.0]))
        );
        assert_eq!(
            decode(&hex(&format!("0a 07 {proxy} 0a 0b 01 03 61 01 01"))),
            Ok(object([("a", Value::Null)]))
        );
        // Again by its traits, then both wrappers (objects 1 and 3) and both arrays (2 and 4) by reference.
        let bytes = hex(&format!(
            "09 0d 01 0a 07 {collection} 09 03 01 04 07 0a 01 09 03 01 04 08
                                  0a 02 09 04 0a 06 09 08"
        ));
        let (seven, eight) = (|| numbers([7.0]), || numbers([8.0]));
        assert_eq!(
            decode(&bytes),
            Ok(array([seven(), eight(), seven(), seven(), eight(), eight()]))
        );
    }

    #[test]
    fn an_unknown_externalizable_class_ends_the_reading() {
        let expected = Malformed::Invalid {
            field: "AMF3 traits of an unknown externalizable class",
            value: 7,
        };
        let bytes = hex("0a 07 03 58 01");
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.next_value(), Err(expected));
        assert_eq!(decoder.next_value(), Err(expected));
    }

    #[test]
    fn unknown_markers_are_refused() {
        for marker in 0x12..=0xFF {
            let expected = Malformed::Invalid {
                field: "AMF3 marker",
                value: marker.into(),
            };
            assert_eq!(decode(&Bytes::from(vec![marker, 1, 1, 1])), Err(expected));
        }
    }

    #[test]
    fn claimed_counts_are_not_believed() {
        for (bytes, field) in [
            ("09 ffffffff 01", "AMF3 array"),
            ("0d ffffffff 00", "AMF3 vector"),
            ("0e 05 00 00000001 000000", "AMF3 vector"),
            ("0f 03 00 00000000 000000", "AMF3 vector"),
            ("10 ffffffff 00 01", "AMF3 vector"),
            ("11 ffffffff 00", "AMF3 dictionary"),
            ("11 05 00 010101", "AMF3 dictionary"),
            ("0a fffffff3 01", "AMF3 traits"),
            ("0c ffffffff", "AMF3 byte array"),
            ("07 ffffffff", "AMF3 XML"),
            ("06 ffffffff", "AMF3 string"),
        ] {
            assert_eq!(decode(&hex(bytes)), Err(Malformed::Truncated(field)), "{bytes}");
        }
    }

    #[test]
    fn counts_beyond_the_limit_of_values_are_refused_before_anything_is_read() {
        // What follows is no value, which who started to read would have said first.
        let expected = Err(Malformed::Excessive("AMF values in one message"));
        let with_count = |marker: u8, count: usize, flags: u32, width: u32, rest: &[u8]| {
            let mut out = BytesMut::from(&[marker][..]);
            u29::put_flagged(count, flags, width, &mut out);
            out.put_slice(rest);
            out.resize(out.len() + count * 8, 0xFF);
            decode(&out.freeze())
        };
        for (marker, rest) in [
            (marker::ARRAY, &[1][..]),
            (marker::VECTOR_INT, &[0]),
            (marker::VECTOR_UINT, &[0]),
            (marker::VECTOR_DOUBLE, &[0]),
            (marker::VECTOR_OBJECT, &[0, 1]),
            (marker::DICTIONARY, &[0]),
        ] {
            assert_eq!(
                with_count(marker, MAX_VALUES, 1, 1, rest),
                expected,
                "{marker:#x}"
            );
        }
        let sealed = traits::INSTANCE | traits::INLINE;
        let names = [1; 1 + MAX_VALUES];
        assert_eq!(
            with_count(marker::OBJECT, MAX_VALUES, sealed, 4, &names),
            expected
        );
        let most = encoded(&vector(false, VectorItems::Int(vec![1; MAX_VALUES - 1])));
        assert!(decode(&most).is_ok());
    }

    #[test]
    fn containers_nest_sixteen_deep_and_no_deeper() {
        let expected = Err(Malformed::Excessive("nested AMF values"));
        let collection = "0a07 43 666c65782e6d6573736167696e672e696f2e4172726179436f6c6c656374696f6e";
        for (open, close) in [
            ("09 03 01", ""),
            ("0a 0b 01 03 61", "01"),
            ("0a 13 01 03 61", ""),
            ("10 03 00 01", ""),
            ("11 03 00 01", ""),
            (collection, ""),
        ] {
            let nested = |n: usize| hex(&format!("{} 01 {}", open.repeat(n), close.repeat(n)));
            assert!(decode(&nested(MAX_DEPTH)).is_ok(), "{open}");
            assert_eq!(decode(&nested(MAX_DEPTH + 1)), expected, "{open}");
            assert_eq!(decode(&nested(100_000)), expected, "{open}");
        }
        // The containers of AMF0 around the value count too.
        let inside = |n: usize| {
            let rest = MAX_DEPTH - n;
            hex(&format!(
                "{} 11 {} 01",
                "0a 00000001".repeat(n),
                "09 03 01".repeat(rest)
            ))
        };
        assert!(decode_all(&inside(6)).is_ok());
        let deeper = hex(&format!("0a 00000001 11 {} 01", "09 03 01".repeat(MAX_DEPTH)));
        assert_eq!(decode_all(&deeper), expected.map(|_| vec![]));
    }

    #[test]
    fn references_cannot_multiply_beyond_the_limits() {
        let values = Err(Malformed::Excessive("AMF values in one message"));
        // Each array holds the one before it ten times over.
        let laughs = |arrays: usize| {
            let first = format!("09 15 01 {}", "01".repeat(10));
            let others: String = (1..arrays)
                .map(|n| format!("09 15 01 {}", format!("09 {:02x}", n * 2).repeat(10)))
                .collect();
            hex(&format!("09 {:02x} 01 {first} {others}", arrays << 1 | 1))
        };
        assert!(decode(&laughs(3)).is_ok());
        assert_eq!(decode(&laughs(4)), values);
        assert_eq!(decode(&laughs(15)), values);
        // The elements of a vector count one by one.
        let vectors = format!("0d 8f51 00 {}", "00000000".repeat(1000));
        assert!(decode(&hex(&format!("09 07 01 {vectors} 0d 02 0d 02"))).is_ok());
        assert_eq!(
            decode(&hex(&format!("09 0b 01 {vectors} {}", "0d 02".repeat(4)))),
            values
        );
    }

    #[test]
    fn references_cannot_repeat_text_beyond_the_limit() {
        let expected = Err(Malformed::Excessive("repeated AMF text"));
        let long = format!("8f51 {}", "61".repeat(1000));
        for (first, again) in [
            (format!("06 {long}"), "06 00"),
            (format!("07 {long}"), "07 02"),
            (format!("0c {long}"), "0c 02"),
            (format!("0a 03 {long}"), "0a 01"),
            (format!("0a 13 01 {long} 01"), "0a 01 01"),
            (format!("0a 0b 01 {long} 01 01"), "0a 02"),
        ] {
            let repeated = |times: usize| {
                let mut head = BytesMut::new();
                u29::put_literal(times + 1, &mut head);
                let mut bytes = hex(&format!("09 {head:02x} 01 {first}")).to_vec();
                bytes.extend(hex(again).repeat(times));
                decode(&bytes.into())
            };
            assert!(repeated(1000).is_ok(), "{again}");
            assert_eq!(repeated(1100), expected, "{again}");
        }
    }

    #[test]
    fn text_and_byte_arrays_are_slices_of_the_message() {
        for bytes in [hex("06 05 6f6b"), hex("0c 05 6f6b"), hex("07 05 6f6b")] {
            let slice = match decode(&bytes) {
                Ok(Value::String(text) | Value::Xml(text)) => text.as_bytes().as_ptr(),
                Ok(Value::ByteArray(slice)) => slice.as_ptr(),
                other => panic!("{other:?}"),
            };
            assert_eq!(slice, bytes[2..].as_ptr());
        }
    }

    #[test]
    fn avmplus_is_one_value_and_amf0_goes_on_behind_it() {
        let mut out = BytesMut::new();
        encode_avmplus(&object([("level", "status".into())]), &mut out);
        assert_eq!(out, hex("11 0a0b01 0b6c6576656c 06 0d737461747573 01"));
        assert_eq!(
            decode_all(&hex("11 01 05 11 02")),
            Ok(vec![Value::Null, Value::Null, false.into()])
        );
        assert_eq!(decode_all(&hex("11")), Err(Malformed::Truncated("AMF3 marker")));
    }
}
