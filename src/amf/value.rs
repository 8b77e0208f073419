//! Values as AMF0 and AMF3 share them: ordered properties, and strings as the bytes that arrived.
//!
//! Command objects hold stream keys, passwords and the answers of authentication schemes. `Debug` prints
//! all of a value, for the sake of tests: values of a live session are never to be logged.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// A string as it is on the wire: meant to be UTF-8, but encoders also send Latin-1 or cut a sequence in
/// half, and what is echoed to a peer must stay byte for byte what it sent.
///
/// A decoded text is a slice of its message and keeps the whole message alive.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Text(Bytes);

impl Text {
    /// The bytes on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text for reading; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), f)
    }
}

impl From<Bytes> for Text {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

/// Named values in the order of the wire. A name may occur twice (the last one counts) or be empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(Vec<(Text, Value)>);

impl Properties {
    /// The value of `name`, compared byte for byte.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Adds a property at the end.
    pub fn push(&mut self, name: impl Into<Text>, value: Value) {
        self.0.push((name.into(), value));
    }

    /// All properties in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Text, Value)> {
        self.0.iter()
    }

    /// Number of properties.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no properties.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = &'a (Text, Value);
    type IntoIter = std::slice::Iter<'a, (Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Into<Text>> FromIterator<(K, Value)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(properties: I) -> Self {
        Self(
            properties
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }
}

/// An object, anonymous or of a class. AMF0 sections 2.5 and 2.18, AMF3 section 3.12.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// Class alias of a typed object; `None`, like an empty name, makes it anonymous.
    pub class: Option<Text>,
    /// Members; those of an AMF3 object that are sealed come first.
    pub properties: Properties,
}

/// A typed array, AMF3 section 3.15.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// Whether its length is fixed.
    pub fixed: bool,
    /// Its elements.
    pub items: VectorItems,
}

/// Elements of a [`Vector`], by AMF3 marker.
#[derive(Clone, Debug, PartialEq)]
pub enum VectorItems {
    /// `Vector.<int>`, marker 0x0D.
    Int(Vec<i32>),
    /// `Vector.<uint>`, marker 0x0E.
    Uint(Vec<u32>),
    /// `Vector.<Number>`, marker 0x0F.
    Number(Vec<f64>),
    /// `Vector.<Object>`, marker 0x10.
    Object {
        /// Class alias of the elements; `*` stands for any.
        class: Text,
        /// The elements.
        items: Vec<Value>,
    },
}

/// A map whose keys are values too, AMF3 section 3.16.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dictionary {
    /// Whether its keys are held weakly by the ActionScript runtime.
    pub weak_keys: bool,
    /// Keys and values in the order of the wire.
    pub entries: Vec<(Value, Value)>,
}

/// One value of AMF0 or AMF3.
///
/// Never to be logged whole: command objects hold secrets.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A double; integers of AMF3 become one too. May be NaN or infinite.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// A string of any length.
    String(Text),
    /// An object.
    Object(Object),
    /// An array with names. An AMF3 array with both parts has its dense elements last, named `0`, `1`, ...
    EcmaArray(Properties),
    /// An array without names.
    StrictArray(Vec<Self>),
    /// `null`.
    Null,
    /// `undefined`; also what AMF0 marks as unsupported, and a reference to a value that is still open.
    Undefined,
    /// Milliseconds since 1970-01-01 UTC. The time zone of AMF0 is reserved: ignored, and written as 0.
    Date(f64),
    /// An XML document as text.
    Xml(Text),
    /// Raw bytes, AMF3 only.
    ByteArray(Bytes),
    /// A typed array, AMF3 only.
    Vector(Vector),
    /// A map with keys of any type, AMF3 only.
    Dictionary(Dictionary),
}

impl Value {
    /// An anonymous object.
    #[must_use]
    pub fn object<K: Into<Text>, I: IntoIterator<Item = (K, Self)>>(properties: I) -> Self {
        Self::Object(Object {
            class: None,
            properties: properties.into_iter().collect(),
        })
    }

    /// An ECMA array, the shape of `onMetaData`.
    #[must_use]
    pub fn ecma_array<K: Into<Text>, I: IntoIterator<Item = (K, Self)>>(properties: I) -> Self {
        Self::EcmaArray(properties.into_iter().collect())
    }

    /// The number, which may be NaN or infinite.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        let Self::Number(number) = self else { return None };
        Some(*number)
    }

    /// The boolean; a number stands for one as in ActionScript, with 0 and NaN false.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Boolean(boolean) = self {
            return Some(*boolean);
        }
        self.as_number().map(|number| number.abs() > 0.0)
    }

    /// The text of a string as it was received, for what is echoed or compared byte by byte.
    #[must_use]
    pub const fn as_text(&self) -> Option<&Text> {
        let Self::String(text) = self else { return None };
        Some(text)
    }

    /// The text of a string or an XML document for reading, without the NUL that C encoders append. What is
    /// to be echoed is taken from the variant's [`Text`] instead.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        let (Self::String(text) | Self::Xml(text)) = self else {
            return None;
        };
        let end = text
            .as_bytes()
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        text.as_bytes().get(..end).map(String::from_utf8_lossy)
    }

    /// The properties of an object or an ECMA array: senders use them interchangeably.
    #[must_use]
    pub const fn properties(&self) -> Option<&Properties> {
        let (Self::Object(Object { properties, .. }) | Self::EcmaArray(properties)) = self else {
            return None;
        };
        Some(properties)
    }

    /// The property `key` of an object or an ECMA array.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.properties()?.get(key)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::String(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_properties_counts_and_both_are_kept() {
        let value = Value::object([("a", 1.0.into()), ("b", true.into()), ("a", 2.0.into())]);
        assert_eq!(value.get("a"), Some(&Value::Number(2.0)));
        let names: Vec<_> = value
            .properties()
            .unwrap()
            .iter()
            .map(|(name, _)| name.to_str_lossy())
            .collect();
        assert_eq!(names, ["a", "b", "a"]);
        assert_eq!(value.get("A"), None);
        assert_eq!(Value::Null.get("a"), None);
    }

    #[test]
    fn objects_and_ecma_arrays_read_alike() {
        let properties = [("live", Value::from(true))];
        assert_eq!(
            Value::object(properties.clone()).get("live"),
            Some(&Value::Boolean(true))
        );
        assert_eq!(
            Value::ecma_array(properties).get("live"),
            Some(&Value::Boolean(true))
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_readable_and_unchanged() {
        let text = Text::from(Bytes::from_static(b"Cam\xe9ra"));
        assert_eq!(text.to_str_lossy(), "Cam\u{fffd}ra");
        assert_eq!(text.as_bytes(), b"Cam\xe9ra");
        assert_eq!(format!("{text:?}"), "\"Cam\u{fffd}ra\"");
        assert_eq!(Text::from("live"), "live");
        assert_ne!(Text::from("live"), *"Live");
    }

    #[test]
    fn as_str_drops_the_terminator_of_c_encoders() {
        assert_eq!(Value::from("avc1\0\0").as_str().as_deref(), Some("avc1"));
        assert_eq!(Value::from("\0").as_str().as_deref(), Some(""));
        assert_eq!(Value::from("a\0b").as_str().as_deref(), Some("a\0b"));
        assert_eq!(Value::Xml("<a/>".into()).as_str().as_deref(), Some("<a/>"));
        assert_eq!(Value::Number(7.0).as_str(), None);
    }

    #[test]
    fn numbers_stand_for_booleans_but_not_the_other_way_round() {
        assert_eq!(Value::Number(2.0).as_bool(), Some(true));
        assert_eq!(Value::Number(-0.0).as_bool(), Some(false));
        assert_eq!(Value::Number(f64::NAN).as_bool(), Some(false));
        assert_eq!(Value::Boolean(true).as_bool(), Some(true));
        assert_eq!(Value::Null.as_bool(), None);
        assert_eq!(Value::Boolean(true).as_number(), None);
    }
}
