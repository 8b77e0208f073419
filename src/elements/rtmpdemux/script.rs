//! Script data as messages: `rtmp-script-data` with the name of its `handler`, its `values` as an array, and the
//! `timestamp` of the stream at which it came.
//!
//! | AMF | GStreamer |
//! |---|---|
//! | number | `gdouble` |
//! | boolean | `gboolean` |
//! | string, XML | `gchararray`, with what is not UTF-8 replaced |
//! | object, ECMA array | `GstStructure`, named after its class or `object`; properties that are null or undefined are left out |
//! | strict array, vector of objects | `GstStructure` named `array`, of fields `0`, `1`, ...: a `GstValueArray` may not be mixed |
//! | vector of numbers | `GstValueArray` |
//! | date | `GstDateTime` of milliseconds since 1970, or `gdouble` out of its range |
//! | byte array | `GstBuffer` |
//! | dictionary | as an array of structures `entry` with a `key` and a `value` |
//! | null, undefined | `GstStructure` of that name |
//!
//! GLib never frees the name of a field or structure. Those that a process did not know before are limited, and what
//! bears one beyond that is left out, so that a publisher who makes up names cannot fill the memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gst::glib;
use gst::prelude::*;

use crate::amf::{Properties, Text, Value, VectorItems};
use crate::flv::ScriptData;

/// Names that script data may add to GLib's in the life of the process; real streams have some dozens.
const MAX_NEW_NAMES: usize = 8192;

static NAMES: Names = Names::new(MAX_NEW_NAMES);

/// Gives out names as long as there are any.
struct Names {
    left: AtomicUsize,
}

impl Names {
    const fn new(limit: usize) -> Self {
        Self {
            left: AtomicUsize::new(limit),
        }
    }

    /// Whether something may be called `name`: GLib knows it, or may learn one more.
    fn allow(&self, name: &str) -> bool {
        if glib::Quark::try_from_str(name).is_some() {
            return true;
        }
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() {
            // Known from now on, also where GStreamer (1.26) keeps names of its own.
            glib::Quark::from_str(name);
        }
        left.is_ok()
    }
}

/// The message's structure.
pub(super) fn message(data: &ScriptData, at: gst::ClockTime) -> gst::Structure {
    gst::Structure::builder("rtmp-script-data")
        .field("handler", text(&data.handler.name()))
        .field("values", array(&data.values))
        .field("timestamp", at)
        .build()
}

fn value(of: &Value) -> glib::SendValue {
    match of {
        Value::Number(number) => number.to_send_value(),
        Value::Boolean(boolean) => boolean.to_send_value(),
        Value::String(string) | Value::Xml(string) => text(string).to_send_value(),
        Value::Object(object) => structure(object.class.as_ref(), &object.properties).to_send_value(),
        Value::EcmaArray(properties) => structure(None, properties).to_send_value(),
        Value::StrictArray(items) => array(items).to_send_value(),
        Value::Null => gst::Structure::new_empty("null").to_send_value(),
        Value::Undefined => gst::Structure::new_empty("undefined").to_send_value(),
        Value::Date(millis) => date(*millis).unwrap_or_else(|| millis.to_send_value()),
        Value::ByteArray(bytes) => buffer(bytes).to_send_value(),
        Value::Vector(vector) => match &vector.items {
            VectorItems::Int(items) => gst::Array::new(items).to_send_value(),
            VectorItems::Uint(items) => gst::Array::new(items).to_send_value(),
            VectorItems::Number(items) => gst::Array::new(items).to_send_value(),
            VectorItems::Object { items, .. } => array(items).to_send_value(),
        },
        Value::Dictionary(dictionary) => numbered(dictionary.entries.iter().map(|(key, of)| {
            let mut entry = gst::Structure::new_empty("entry");
            entry.set_value("key", value(key));
            entry.set_value("value", value(of));
            entry.to_send_value()
        }))
        .to_send_value(),
    }
}

fn array(items: &[Value]) -> gst::Structure {
    numbered(items.iter().map(value))
}

fn numbered(values: impl Iterator<Item = glib::SendValue>) -> gst::Structure {
    let mut structure = gst::Structure::new_empty("array");
    for (number, value) in values.enumerate() {
        structure.set_value(number.to_string(), value);
    }
    structure
}

fn structure(class: Option<&Text>, properties: &Properties) -> gst::Structure {
    let name = class.map(text).filter(|name| is_name(name) && NAMES.allow(name));
    let mut structure = gst::Structure::new_empty(name.as_deref().unwrap_or("object"));
    for (key, of) in properties {
        let name = text(key);
        if !matches!(of, Value::Null | Value::Undefined) && NAMES.allow(&name) {
            structure.set_value(name, value(of));
        }
    }
    structure
}

/// Whether GStreamer lets a structure be called so.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-_.:+".contains(&byte))
}

/// As C strings are.
fn text(of: &Text) -> String {
    of.to_str_lossy().replace('\0', "\u{fffd}")
}

fn date(millis: f64) -> Option<glib::SendValue> {
    let date = gst::DateTime::from_unix_epoch_utc_usecs(micros(millis)?).ok()?;
    Some(date.to_send_value())
}

fn micros(millis: f64) -> Option<i64> {
    /// The end of the year 9999, the last that GLib has.
    const LAST: f64 = 253_402_300_799_999.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range has been checked")]
    (-LAST..=LAST).contains(&millis).then(|| millis as i64 * 1000)
}

fn buffer(bytes: &Bytes) -> gst::Buffer {
    gst::Buffer::from_slice(bytes.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::{Dictionary, Object, Vector};
    use crate::flv::script::Handler;

    fn of(values: Vec<Value>) -> gst::Structure {
        gst::init().unwrap();
        let handler = Handler::CuePoint;
        message(&ScriptData { handler, values }, gst::ClockTime::from_mseconds(40))
    }

    #[test]
    fn names_run_out_but_for_those_that_are_known() {
        gst::init().unwrap();
        let names = Names::new(2);
        assert!(names.allow("never-heard-of-1") && names.allow("never-heard-of-2"));
        assert!(!names.allow("never-heard-of-3"));
        assert!(names.allow("never-heard-of-1"));
    }

    #[test]
    fn every_kind_of_value_has_a_form() {
        let object = Value::Object(Object {
            class: Some("a.Class".into()),
            properties: [("inner", Value::from(1.5)), ("nothing", Value::Null)]
                .into_iter()
                .collect(),
        });
        let message = of(vec![
            object,
            Value::StrictArray(vec![Value::from(true), Value::from("text")]),
            Value::Date(1_000_000_000_000.0),
            Value::Date(f64::NAN),
            Value::ByteArray(Bytes::from_static(b"bytes")),
            Value::Vector(Vector {
                fixed: true,
                items: VectorItems::Int(vec![-1, 2]),
            }),
            Value::Undefined,
            Value::Dictionary(Dictionary {
                weak_keys: false,
                entries: vec![(1.0.into(), "one".into())],
            }),
        ]);
        assert_eq!(message.name(), "rtmp-script-data");
        assert_eq!(message.get::<&str>("handler"), Ok("onCuePoint"));
        assert_eq!(message.get("timestamp"), Ok(gst::ClockTime::from_mseconds(40)));
        let values = message.get::<gst::Structure>("values").unwrap();
        assert_eq!((values.name().as_str(), values.n_fields()), ("array", 8));
        let object = values.get::<gst::Structure>("0").unwrap();
        assert_eq!(object.name(), "a.Class");
        assert_eq!(object.get("inner"), Ok(1.5));
        assert_eq!(object.n_fields(), 1);
        let list = values.get::<gst::Structure>("1").unwrap();
        assert_eq!((list.get("0"), list.get("1")), (Ok(true), Ok("text")));
        let date = values.get::<gst::DateTime>("2").unwrap();
        assert_eq!(date.year(), 2001);
        assert!(values.get::<f64>("3").unwrap().is_nan());
        let bytes = values.get::<gst::Buffer>("4").unwrap();
        assert_eq!(*bytes.map_readable().unwrap(), *b"bytes");
        let vector = values.get::<gst::Array>("5").unwrap();
        assert_eq!((vector[0].get(), vector.len()), (Ok(-1), 2));
        assert_eq!(values.get::<gst::Structure>("6").unwrap().name(), "undefined");
        let dictionary = values.get::<gst::Structure>("7").unwrap();
        let entry = dictionary.get::<gst::Structure>("0").unwrap();
        assert_eq!((entry.get("key"), entry.get("value")), (Ok(1.0), Ok("one")));
    }

    #[test]
    fn names_and_strings_that_are_none_are_mended() {
        let message = of(vec![
            Value::object([("a\0b", Value::String(Bytes::from_static(b"\xff\0").into()))]),
            Value::Object(Object {
                class: Some("7 of them".into()),
                properties: Properties::default(),
            }),
        ]);
        let values = message.get::<gst::Structure>("values").unwrap();
        let object = values.get::<gst::Structure>("0").unwrap();
        assert_eq!(object.get::<&str>("a\u{fffd}b"), Ok("\u{fffd}\u{fffd}"));
        assert_eq!(values.get::<gst::Structure>("1").unwrap().name(), "object");
    }
}
