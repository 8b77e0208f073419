//! The message being decoded with what is left of its limits, and the table of its complex values.
//!
//! Both decoders read through [`Input`], so an AMF3 value inside of AMF0 spends from the same limits.

use bytes::Bytes;

use super::value::{Text, Value, VectorItems};
use crate::wire::{Malformed, Reader};

/// Containers that may lie within one another. GStreamer and FFmpeg draw the line at the same depth; it
/// bounds the stack of decoding, encoding and dropping.
pub const MAX_DEPTH: usize = 16;

/// Values of one message: properties, elements, and the contents of every reference over again.
pub const MAX_VALUES: usize = 4096;

/// Bytes of text that the references of one message may repeat. Decoding shares them, but who encodes the
/// value again writes them all.
pub const MAX_REPEATED_BYTES: usize = 1 << 20;

/// A message under decoding.
#[derive(Debug)]
pub(super) struct Input<'a> {
    message: &'a Bytes,
    pub(super) reader: Reader<'a>,
    values_left: usize,
    repeated_bytes_left: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(message: &'a Bytes) -> Self {
        Self {
            message,
            reader: Reader::new(message),
            values_left: MAX_VALUES,
            repeated_bytes_left: MAX_REPEATED_BYTES,
        }
    }

    /// The next `n` bytes as a slice of the message, without a copy.
    pub(super) fn bytes(&mut self, n: usize, field: &'static str) -> Result<Bytes, Malformed> {
        let taken = self.reader.take(n, field)?;
        // `slice_ref` wants a part of the message, and the reader has no other bytes.
        Ok(self.message.slice_ref(taken))
    }

    /// The next `n` bytes as text.
    pub(super) fn text(&mut self, n: usize, field: &'static str) -> Result<Text, Malformed> {
        self.bytes(n, field).map(Text::from)
    }

    /// Depth of what lies in a container at `depth`.
    pub(super) fn enter(&self, depth: usize) -> Result<usize, Malformed> {
        self.reach(depth, 1)
    }

    fn reach(&self, depth: usize, levels: usize) -> Result<usize, Malformed> {
        let inner = depth.saturating_add(levels);
        if inner > MAX_DEPTH {
            return Err(Malformed::Excessive("nested AMF values"));
        }
        Ok(inner)
    }

    /// Spends `n` values.
    pub(super) fn spend_values(&mut self, n: usize) -> Result<(), Malformed> {
        self.values_left = self
            .values_left
            .checked_sub(n)
            .ok_or(Malformed::Excessive("AMF values in one message"))?;
        Ok(())
    }

    /// Spends `n` bytes of text that a reference repeats.
    pub(super) fn spend_repeated(&mut self, n: usize) -> Result<(), Malformed> {
        self.repeated_bytes_left = self
            .repeated_bytes_left
            .checked_sub(n)
            .ok_or(Malformed::Excessive("repeated AMF text"))?;
        Ok(())
    }

    /// Refuses a claim of `count` elements of at least `size` bytes that cannot all be here, or that are
    /// more than the message may still hold.
    pub(super) fn expect(&self, count: usize, size: usize, field: &'static str) -> Result<(), Malformed> {
        if count.saturating_mul(size) > self.reader.remaining() {
            return Err(Malformed::Truncated(field));
        }
        if count > self.values_left {
            return Err(Malformed::Excessive("AMF values in one message"));
        }
        Ok(())
    }
}

/// Complex values of a message in order of appearance, for later values to refer to.
///
/// A reference becomes a copy that is paid for value by value, so a few bytes cannot stand for gigabytes.
#[derive(Debug, Default)]
pub(super) struct References(Vec<Option<Value>>);

impl References {
    /// Makes the entry of a value that starts.
    pub(super) fn begin(&mut self) -> usize {
        self.0.push(None);
        self.0.len() - 1
    }

    /// Fills the entry of a value that has been read to its end.
    pub(super) fn complete(&mut self, index: usize, value: &Value) {
        if let Some(entry) = self.0.get_mut(index) {
            *entry = Some(value.clone());
        }
    }

    /// A copy of entry `index` for use at `depth`; undefined for one that is still open, which would make
    /// a cycle.
    pub(super) fn resolve(
        &self,
        index: usize,
        depth: usize,
        input: &mut Input<'_>,
        field: &'static str,
    ) -> Result<Value, Malformed> {
        let entry = self.0.get(index).ok_or(Malformed::Invalid {
            field,
            value: index as u64,
        })?;
        let Some(value) = entry else {
            return Ok(Value::Undefined);
        };
        let extent = Extent::of(value);
        input.reach(depth, extent.levels)?;
        input.spend_values(extent.values)?;
        input.spend_repeated(extent.bytes)?;
        Ok(value.clone())
    }
}

/// How much a value is.
#[derive(Clone, Copy)]
struct Extent {
    /// Itself and all values in it.
    values: usize,
    /// Containers within one another.
    levels: usize,
    /// Text and raw bytes.
    bytes: usize,
}

impl Extent {
    fn of(value: &Value) -> Self {
        match value {
            Value::Number(_) | Value::Boolean(_) | Value::Null | Value::Undefined | Value::Date(_) => {
                Self::leaf(0)
            }
            Value::String(text) | Value::Xml(text) => Self::leaf(text.len()),
            Value::ByteArray(bytes) => Self::leaf(bytes.len()),
            Value::Object(object) => Self::around(object.properties.iter().map(Self::of_property))
                .and_text(object.class.as_ref().map_or(0, Text::len)),
            Value::EcmaArray(properties) => Self::around(properties.iter().map(Self::of_property)),
            Value::StrictArray(items) => Self::around(items.iter().map(Self::of)),
            Value::Vector(vector) => match &vector.items {
                VectorItems::Int(items) => Self::flat(items.len()),
                VectorItems::Uint(items) => Self::flat(items.len()),
                VectorItems::Number(items) => Self::flat(items.len()),
                VectorItems::Object { class, items } => {
                    Self::around(items.iter().map(Self::of)).and_text(class.len())
                }
            },
            Value::Dictionary(dictionary) => Self::around(
                dictionary
                    .entries
                    .iter()
                    .flat_map(|(key, value)| [Self::of(key), Self::of(value)]),
            ),
        }
    }

    fn of_property((name, value): &(Text, Value)) -> Self {
        Self::of(value).and_text(name.len())
    }

    const fn leaf(bytes: usize) -> Self {
        Self {
            values: 1,
            levels: 0,
            bytes,
        }
    }

    const fn flat(items: usize) -> Self {
        Self {
            values: 1 + items,
            levels: 1,
            bytes: 0,
        }
    }

    fn around(children: impl Iterator<Item = Self>) -> Self {
        children.fold(Self::flat(0), |all, child| Self {
            values: all.values + child.values,
            levels: all.levels.max(1 + child.levels),
            bytes: all.bytes.saturating_add(child.bytes),
        })
    }

    const fn and_text(self, bytes: usize) -> Self {
        Self {
            bytes: self.bytes.saturating_add(bytes),
            ..self
        }
    }
}
