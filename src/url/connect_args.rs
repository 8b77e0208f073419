//! Extra arguments of the connect command in librtmp's `conn=` notation, turned into AMF values.
//!
//! | argument | value |
//! |---|---|
//! | `B:1`, `B:0` | boolean; any other integer is true |
//! | `N:1.5` | number |
//! | `S:text` | string; the text may have colons |
//! | `Z:` | null |
//! | `O:1` .. `O:0` | object, of the named arguments in between |
//! | `NB:name:1`, `NN:name:1.5`, `NS:name:text`, `NZ:name:` | member of the object around it |
//! | `NO:name:1` .. `O:0` | object as such a member; whatever follows the name opens it |
//!
//! As in librtmp, objects left open are closed at the end. Unlike it, an argument that would make a broken
//! message (a member without a name, `O:0` too many) is an error, and so is `B:true`, which librtmp reads as
//! false and FFmpeg as true.

use std::fmt;

use super::error::{ConnectArgFault, Part, UrlError};
use super::options::{Percent, unescaped};
use crate::amf::{Object, Text, Value};

/// Arguments of one connect command, members of objects included.
pub const MAX_ARGUMENTS: usize = 64;
/// Objects within objects; half of what our own AMF decoder takes.
pub const MAX_DEPTH: usize = 8;
/// Bytes of a name or text; what a 16-bit length can say.
pub const MAX_TEXT: usize = 0xFFFF;

/// AMF values that follow the command object of `connect`. They may be credentials: `Debug` only counts them.
#[derive(Clone, Default, PartialEq)]
pub struct ConnectArgs(Vec<Value>);

impl ConnectArgs {
    /// Reads arguments that are separated by spaces, each with or without `conn=` before it. `\20` and `%20` are
    /// a space within an argument.
    ///
    /// # Errors
    ///
    /// The first argument that breaks the grammar in the module's table, by its place.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let mut builder = Builder::default();
        for argument in text.split(' ').filter(|argument| !argument.is_empty()) {
            let bare = match argument.split_once('=') {
                Some((name, rest)) if name.eq_ignore_ascii_case("conn") => rest,
                _ => argument,
            };
            builder.push(bare)?;
        }
        Ok(builder.finish())
    }

    /// The values, in the order in which they are sent.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.0
    }

    /// The values, in the order in which they are sent.
    #[must_use]
    pub fn into_values(self) -> Vec<Value> {
        self.0
    }
}

impl fmt::Debug for ConnectArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectArgs({} values)", self.0.len())
    }
}

/// Takes arguments one at a time, as they are scattered among a location's options.
#[derive(Default)]
pub(super) struct Builder {
    values: Vec<Value>,
    open: Vec<OpenObject>,
    arguments: usize,
}

struct OpenObject {
    /// `None` for an object that is an argument by itself.
    name: Option<Text>,
    members: Vec<(Text, Value)>,
}

impl Builder {
    pub(super) fn push(&mut self, argument: &str) -> Result<(), UrlError> {
        self.arguments += 1;
        let place = self.arguments;
        let argument = unescaped(argument, Percent::Decode, Part::ConnectArgument(place))?;
        self.push_plain(&argument)
            .map_err(|fault| UrlError::ConnectArgument { place, fault })
    }

    fn push_plain(&mut self, argument: &str) -> Result<(), ConnectArgFault> {
        if self.arguments > MAX_ARGUMENTS {
            return Err(ConnectArgFault::TooMany);
        }
        let (kind, rest) = argument.split_once(':').ok_or(ConnectArgFault::TypeUnknown)?;
        let (kind, name, value) = match kind.strip_prefix('N') {
            Some(kind) if !kind.is_empty() => {
                let (name, value) = rest.split_once(':').ok_or(ConnectArgFault::NameUnfinished)?;
                (kind, Some(text(name)?), value)
            }
            _ => (kind, None, rest),
        };
        let value = match kind {
            "B" => Value::Boolean(flag(value)?),
            "N" => Value::Number(value.trim().parse().map_err(|_| ConnectArgFault::NotANumber)?),
            "S" => Value::String(text(value)?),
            "Z" => Value::Null,
            "O" if name.is_some() || flag(value)? => return self.begin(name),
            "O" => return self.end(),
            _ => return Err(ConnectArgFault::TypeUnknown),
        };
        self.add(name, value)
    }

    fn begin(&mut self, name: Option<Text>) -> Result<(), ConnectArgFault> {
        self.check_name(name.as_ref())?;
        if self.open.len() == MAX_DEPTH {
            return Err(ConnectArgFault::TooDeep);
        }
        self.open.push(OpenObject {
            name,
            members: Vec::new(),
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), ConnectArgFault> {
        let object = self.open.pop().ok_or(ConnectArgFault::NothingToClose)?;
        let properties = object.members.into_iter().collect();
        self.add(
            object.name,
            Value::Object(Object {
                class: None,
                properties,
            }),
        )
    }

    fn add(&mut self, name: Option<Text>, value: Value) -> Result<(), ConnectArgFault> {
        self.check_name(name.as_ref())?;
        match (self.open.last_mut(), name) {
            (Some(object), Some(name)) => object.members.push((name, value)),
            (Some(_), None) | (None, _) => self.values.push(value),
        }
        Ok(())
    }

    /// What is in an object needs a name, and nothing else has one.
    fn check_name(&self, name: Option<&Text>) -> Result<(), ConnectArgFault> {
        match (self.open.is_empty(), name) {
            (true, Some(_)) => Err(ConnectArgFault::NameOutsideObject),
            (false, None) => Err(ConnectArgFault::NameMissing),
            (true, None) | (false, Some(_)) => Ok(()),
        }
    }

    pub(super) fn finish(mut self) -> ConnectArgs {
        // What is open could be begun, so it can be ended.
        while self.end().is_ok() {}
        ConnectArgs(self.values)
    }
}

fn text(text: &str) -> Result<Text, ConnectArgFault> {
    if text.len() > MAX_TEXT {
        return Err(ConnectArgFault::TooLong);
    }
    Ok(Text::from(text))
}

fn flag(value: &str) -> Result<bool, ConnectArgFault> {
    value
        .trim()
        .parse::<i64>()
        .map(|number| number != 0)
        .map_err(|_| ConnectArgFault::NotAFlag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
        Value::object(members)
    }

    #[test]
    fn arguments_become_values() {
        for (text, values) in [
            ("", vec![]),
            (
                "B:1 B:0 B:2",
                vec![Value::from(true), Value::from(false), Value::from(true)],
            ),
            (
                "N:1.5 N:-2 N:1e3",
                vec![Value::from(1.5), Value::from(-2.0), Value::from(1000.0)],
            ),
            ("S:a:b S:", vec![Value::from("a:b"), Value::from("")]),
            ("Z:", vec![Value::Null]),
            (
                r"S:a\20b\5c S:a%20b S:100%",
                vec![Value::from(r"a b\"), Value::from("a b"), Value::from("100%")],
            ),
            // The example of librtmp(3).
            (
                "conn=B:1 conn=S:authMe conn=O:1 conn=NN:code:1.23 conn=NS:flag:ok conn=O:0",
                vec![
                    Value::from(true),
                    Value::from("authMe"),
                    object([("code", Value::from(1.23)), ("flag", Value::from("ok"))]),
                ],
            ),
            (
                "CONN=O:1  NB:flag:1 O:0 S:x=y",
                vec![object([("flag", Value::from(true))]), Value::from("x=y")],
            ),
            (
                "O:1 NO:in:1 NB:x:1 O:0 NZ:none: O:0 Z: N:7",
                vec![
                    object([("in", object([("x", Value::from(true))])), ("none", Value::Null)]),
                    Value::Null,
                    Value::from(7.0),
                ],
            ),
            // rtmpdump opens an object here too, and closes what is open at the end.
            (
                "O:1 NO:in:0 NS:x:y",
                vec![object([("in", object([("x", Value::from("y"))]))])],
            ),
        ] {
            assert_eq!(ConnectArgs::parse(text).unwrap().into_values(), values, "{text}");
        }
    }

    #[test]
    fn the_order_of_members_is_the_users() {
        let args = ConnectArgs::parse("O:1 NS:b:1 NS:a:2 NS:b:3 O:0").unwrap();
        let names: Vec<_> = match args.values() {
            [value] => value
                .properties()
                .unwrap()
                .iter()
                .map(|(name, _)| name.to_str_lossy())
                .collect(),
            _ => panic!("one object"),
        };
        assert_eq!(names, ["b", "a", "b"]);
    }

    #[test]
    fn broken_arguments_are_named_by_place() {
        use ConnectArgFault::*;
        let long = format!("S:{}", "x".repeat(MAX_TEXT + 1));
        for (text, place, fault) in [
            ("x", 1, TypeUnknown),
            ("B:1 X:1", 2, TypeUnknown),
            ("b:1", 1, TypeUnknown),
            ("O:1 NX:a:1", 2, TypeUnknown),
            ("B:true", 1, NotAFlag),
            ("B:", 1, NotAFlag),
            ("O:x", 1, NotAFlag),
            ("O:1 NB:a:yes", 2, NotAFlag),
            ("N:1,5", 1, NotANumber),
            ("N:", 1, NotANumber),
            ("O:1 NS:a", 2, NameUnfinished),
            ("NS:a:b", 1, NameOutsideObject),
            ("NO:a:1", 1, NameOutsideObject),
            ("O:1 S:a", 2, NameMissing),
            ("O:1 O:1", 2, NameMissing),
            ("O:1 O:0 O:0", 3, NothingToClose),
            (&long, 1, TooLong),
            (&format!("O:1 N{long}"), 2, NameUnfinished),
            (&format!("O:1 NS:n:{long}"), 2, TooLong),
        ] {
            let error = ConnectArgs::parse(text).unwrap_err();
            assert_eq!(
                error,
                UrlError::ConnectArgument { place, fault },
                "{}",
                &text[..text.len().min(30)]
            );
        }
        assert_eq!(
            ConnectArgs::parse(r"Z: S:\zz"),
            Err(UrlError::EscapeInvalid(Part::ConnectArgument(2)))
        );
        assert_eq!(
            ConnectArgs::parse(r"S:\ff"),
            Err(UrlError::NotUtf8(Part::ConnectArgument(1)))
        );
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let nested = |depth: usize| format!("O:1 {}", "NO:in:1 ".repeat(depth - 1));
        assert!(ConnectArgs::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            ConnectArgs::parse(&nested(MAX_DEPTH + 1)),
            Err(UrlError::ConnectArgument {
                place: MAX_DEPTH + 1,
                fault: ConnectArgFault::TooDeep
            })
        );
        assert_eq!(
            ConnectArgs::parse(&"Z: ".repeat(MAX_ARGUMENTS))
                .unwrap()
                .values()
                .len(),
            MAX_ARGUMENTS
        );
        assert_eq!(
            ConnectArgs::parse(&"Z: ".repeat(MAX_ARGUMENTS + 1)),
            Err(UrlError::ConnectArgument {
                place: MAX_ARGUMENTS + 1,
                fault: ConnectArgFault::TooMany
            })
        );
        let long = format!("S:{}", "x".repeat(MAX_TEXT));
        assert!(ConnectArgs::parse(&long).is_ok());
    }

    #[test]
    fn messages_tell_the_limits() {
        for (text, message) in [
            (
                "Z: ".repeat(65),
                "the connect argument 65 is one too many: write no more than 64",
            ),
            (
                format!("O:1 {}", "NO:x:1 ".repeat(8)),
                "the connect argument 9 is an object too deep: nest no more than 8",
            ),
            (
                format!("S:{}", "x".repeat(65_536)),
                "the connect argument 1 is too long: write no more than 65535 bytes",
            ),
        ] {
            assert_eq!(ConnectArgs::parse(&text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn debug_does_not_show_the_values() {
        let args = ConnectArgs::parse("S:token N:1").unwrap();
        assert_eq!(format!("{args:?}"), "ConnectArgs(2 values)");
    }
}
