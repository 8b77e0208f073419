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
mod tests;
