//! Info objects, RTMP 1.0 section 7.2.2: what onStatus and the replies to commands say has happened.

use std::borrow::Cow;
use std::fmt;

use super::Command;
use crate::amf::Value;

/// How codes of errors end, for peers that leave the level out.
const ERROR_SUFFIXES: [&str; 12] = [
    "Failed",
    "NotFound",
    "BadName",
    "Denied",
    "Rejected",
    "Unauthorized",
    "InvalidApp",
    "InvalidArg",
    "NoAccess",
    "Prohibited",
    "FileStructureInvalid",
    "NoSupportedTrackFound",
];

/// What an info object says. `Display` and `Debug` leave description and object out: they repeat stream names
/// and the challenges of authentication schemes.
#[derive(Clone, PartialEq)]
pub struct Status {
    /// Whether it is an error.
    pub level: Level,
    /// Such as `NetStream.Play.Start`; empty when there is none.
    pub code: String,
    /// For people to read; empty when there is none.
    pub description: String,
    /// The whole info object, [`Value::Null`] when there is none.
    pub info: Value,
}

/// Level of a [`Status`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Things go as they should.
    Status,
    /// They may stop doing so.
    Warning,
    /// What was asked for will not happen.
    Error,
}

impl Level {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Status, Self::Warning, Self::Error]
            .into_iter()
            .find(|level| word.eq_ignore_ascii_case(level.as_str()))
    }

    fn from_code(code: &str) -> Self {
        if ERROR_SUFFIXES.iter().any(|suffix| code.ends_with(suffix)) {
            Self::Error
        } else {
            Self::Status
        }
    }
}

impl Status {
    /// A status of our own, with an info object of these three.
    #[must_use]
    pub fn new(level: Level, code: &str, description: &str) -> Self {
        let info = Value::object([
            ("level", level.as_str().into()),
            ("code", code.into()),
            ("description", description.into()),
        ]);
        Self {
            level,
            code: code.to_owned(),
            description: description.to_owned(),
            info,
        }
    }

    /// The status in an onStatus, `_result`, `_error` or the like. `_error` is an error whatever it says.
    ///
    /// The info object is looked for among the arguments and then in the command object: rtmpsrv 2.4 leaves
    /// out the null in between (`the_null_before_the_info_object_may_be_missing`).
    #[must_use]
    pub fn from_command(command: &Command) -> Self {
        let mut status = Self::find(command.arguments.iter().chain([&command.object]));
        if command.name == "_error" {
            status.level = Level::Error;
        }
        status
    }

    /// The status in the values of a data message, such as onPlayStatus.
    #[must_use]
    pub fn from_values(values: &[Value]) -> Self {
        Self::find(values.iter().skip(1))
    }

    /// Whether what was asked for will not happen.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self.level, Level::Error)
    }

    /// Where the server sends the client instead: the URL of a redirect. AMS and nginx-rtmp name the application
    /// with `ex.redirect`; SRS names the stream as well, with `ex.redirect2`.
    #[must_use]
    pub fn redirect(&self) -> Option<Cow<'_, str>> {
        let ex = self.info.get("ex")?;
        let url = |key| ex.get(key)?.as_str().filter(|url| !url.is_empty());
        url("redirect2").or_else(|| url("redirect"))
    }

    fn find<'a>(values: impl Iterator<Item = &'a Value> + Clone) -> Self {
        let is_info = |value: &&Value| ["code", "level"].iter().any(|key| value.get(key).is_some());
        match values.clone().find(is_info) {
            Some(info) => Self::from_info(info),
            None => Self {
                level: Level::Status,
                code: String::new(),
                // Some say it in so many words.
                description: values
                    .filter_map(Value::as_str)
                    .map(Cow::into_owned)
                    .next()
                    .unwrap_or_default(),
                info: Value::Null,
            },
        }
    }

    fn from_info(info: &Value) -> Self {
        let text = |key| {
            info.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into_owned()
        };
        let (word, mut code, mut description) = (text("level"), text("code"), text("description"));
        let mut level = Level::from_word(&word);
        if level.is_none() && word.starts_with("Net") {
            // MonaServer 2.770 swaps the two in `_error`; node-media-server 2.7 puts the code of a pause
            // here. What stands in the code's place is then the level, or words.
            let displaced = std::mem::replace(&mut code, word);
            level = Level::from_word(&displaced);
            if level.is_none() && description.is_empty() {
                description = displaced;
            }
        }
        // A code that ends like an error is one, whatever the level says, lest a refusal sent as a
        // status end in a timeout.
        let level = match (level, Level::from_code(&code)) {
            (Some(Level::Warning), _) => Level::Warning,
            (Some(Level::Error), _) | (_, Level::Error) => Level::Error,
            (Some(Level::Status) | None, _) => Level::Status,
        };
        Self {
            level,
            code,
            description,
            info: info.clone(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.code.is_empty() {
            "no reason given"
        } else {
            &self.code
        })
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("level", &self.level)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_status(arguments: Vec<Value>) -> Status {
        Status::from_command(&Command::new("onStatus", 0.0, Value::Null, arguments))
    }

    fn info<const N: usize>(properties: [(&str, &str); N]) -> Value {
        Value::object(properties.map(|(name, value)| (name, Value::from(value))))
    }

    #[test]
    fn a_status_survives_the_round_trip() {
        for level in [Level::Status, Level::Warning, Level::Error] {
            let status = Status::new(level, "NetStream.Play.Start", "playing");
            let (_, payload) = Command::on_status(&status).encode();
            let command = Command::decode(&payload).expect("well-formed");
            assert_eq!(Status::from_command(&command), status);
            assert_eq!(status.is_error(), level == Level::Error);
        }
    }

    #[test]
    fn the_null_before_the_info_object_may_be_missing() {
        let object = info([("level", "status"), ("code", "NetStream.Publish.Start")]);
        let command = Command::new("onStatus", 0.0, object.clone(), vec![]);
        let status = Status::from_command(&command);
        assert_eq!(
            (status.code.as_str(), status.info),
            ("NetStream.Publish.Start", object)
        );
    }

    #[test]
    fn ecma_arrays_are_info_objects_too() {
        let status = on_status(vec![Value::ecma_array([(
            "code",
            Value::from("NetStream.Play.Stop"),
        )])]);
        assert_eq!(
            (status.level, status.code.as_str()),
            (Level::Status, "NetStream.Play.Stop")
        );
    }

    #[test]
    fn the_info_object_of_a_connect_reply_is_not_its_properties() {
        let properties = info([("fmsVer", "FMS/3,0,1,123"), ("mode", "1")]);
        let success = info([("level", "status"), ("code", "NetConnection.Connect.Success")]);
        let status = Status::from_command(&Command::result(1.0, properties, vec![success]));
        assert_eq!(status.code, "NetConnection.Connect.Success");
    }

    #[test]
    fn swapped_level_and_code_are_put_right() {
        // MonaServer 2.770.
        let swapped = info([
            ("level", "NetConnection.Call.Failed"),
            ("code", "error"),
            ("description", "no"),
        ]);
        let status = on_status(vec![swapped]);
        assert_eq!(
            (status.level, status.code.as_str()),
            (Level::Error, "NetConnection.Call.Failed")
        );
        assert_eq!(status.description, "no");
        // node-media-server 2.7.
        let shifted = on_status(vec![info([
            ("level", "NetStream.Pause.Notify"),
            ("code", "Paused live"),
        ])]);
        assert_eq!(
            (shifted.level, shifted.code.as_str()),
            (Level::Status, "NetStream.Pause.Notify")
        );
        assert_eq!(shifted.description, "Paused live");
    }

    #[test]
    fn a_redirect_names_its_url() {
        let redirected = |ex| {
            let info = Value::object([("code", "NetConnection.Connect.Rejected".into()), ("ex", ex)]);
            on_status(vec![info]).redirect().map(Cow::into_owned)
        };
        let ex = |name| Value::object([("code", 302.0.into()), (name, "rtmp://b/live".into())]);
        assert_eq!(redirected(ex("redirect")).as_deref(), Some("rtmp://b/live"));
        assert_eq!(redirected(ex("redirect2")).as_deref(), Some("rtmp://b/live"));
        assert_eq!(redirected(Value::Null), None);
    }

    #[test]
    fn a_refusal_that_calls_itself_a_status_is_an_error() {
        let refusal = info([("level", "status"), ("code", "NetStream.Publish.BadName")]);
        assert!(on_status(vec![refusal]).is_error());
        let warning = info([("level", "warning"), ("code", "NetStream.Play.Failed")]);
        assert_eq!(on_status(vec![warning]).level, Level::Warning);
    }

    #[test]
    fn a_missing_level_follows_from_the_code() {
        for (code, level) in [
            ("NetStream.Play.StreamNotFound", Level::Error),
            ("NetStream.Publish.BadName", Level::Error),
            ("NetConnection.Connect.Rejected", Level::Error),
            ("NetStream.publish.Unauthorized", Level::Error),
            ("NetStream.Play.Start", Level::Status),
            ("NetStream.Play.Failed.Not", Level::Status),
        ] {
            assert_eq!(on_status(vec![info([("code", code)])]).level, level, "{code}");
            assert_eq!(
                on_status(vec![info([("code", code), ("level", "odd")])]).level,
                level,
                "{code}"
            );
        }
        // A level that is there is believed.
        let warning = info([("code", "NetStream.Failed"), ("level", "Warning")]);
        assert_eq!(on_status(vec![warning]).level, Level::Warning);
    }

    #[test]
    fn an_error_reply_is_an_error_without_saying_so() {
        let bare = Status::from_command(&Command::error(4.0, Value::Null, vec![]));
        assert!(bare.is_error() && bare.code.is_empty());
        let worded = Status::from_command(&Command::error(4.0, Value::Null, vec!["no such thing".into()]));
        assert_eq!(
            (worded.is_error(), worded.description.as_str()),
            (true, "no such thing")
        );
    }

    #[test]
    fn data_messages_carry_statuses_behind_their_handler() {
        let complete = info([("level", "status"), ("code", "NetStream.Play.Complete")]);
        let status = Status::from_values(&["onPlayStatus".into(), complete]);
        assert_eq!(status.code, "NetStream.Play.Complete");
        assert_eq!(Status::from_values(&["onPlayStatus".into()]).description, "");
    }

    #[test]
    fn debug_shows_level_and_code_only() {
        let shown = format!(
            "{:?}",
            Status::new(Level::Error, "NetStream.Publish.BadName", "secret")
        );
        assert_eq!(
            shown,
            r#"Status { level: Error, code: "NetStream.Publish.BadName", .. }"#
        );
    }
}
