//! Command messages, RTMP 1.0 section 7.2: remote procedure calls between the two ends, and their replies.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::connect::ConnectParameters;
use super::{FORMAT_SELECTOR, Status, type_id};
use crate::amf::{self, Text, Value};
use crate::wire::Malformed;

/// Bytes of the longest command that is read. The longest in the field, SRS's reply to connect, has 848.
const MAX_COMMAND: usize = 256 << 10;

/// Command message, RTMP 1.0 section 7.1.1, types 20 and 17.
///
/// `Debug` shows neither object nor arguments: they hold stream keys, passwords and tokens.
#[derive(Clone, PartialEq)]
pub struct Command {
    /// What is to be done, or `_result`, `_error`, `onStatus` for what has been.
    pub name: Text,
    /// Ties a reply to its command. With 0 no reply is wanted.
    pub transaction_id: f64,
    /// The command object, [`Value::Null`] for all but connect and its reply.
    pub object: Value,
    /// What follows the command object.
    pub arguments: Vec<Value>,
}

impl Command {
    /// Any command.
    #[must_use]
    pub fn new(name: impl Into<Text>, transaction_id: f64, object: Value, arguments: Vec<Value>) -> Self {
        Self {
            name: name.into(),
            transaction_id,
            object,
            arguments,
        }
    }

    /// A command whose only argument is a text, mostly the name of a stream.
    fn about_stream(name: &str, transaction_id: f64, stream: impl Into<Text>) -> Self {
        Self::new(
            name,
            transaction_id,
            Value::Null,
            vec![Value::String(stream.into())],
        )
    }

    /// Opens the NetConnection, RTMP 1.0 section 7.2.1.1. The transaction id is always 1.
    #[must_use]
    pub fn connect(transaction_id: f64, parameters: &ConnectParameters) -> Self {
        Self::new(
            "connect",
            transaction_id,
            parameters.object(),
            parameters.arguments.clone(),
        )
    }

    /// Asks for a message stream, RTMP 1.0 section 7.2.1.3.
    #[must_use]
    pub fn create_stream(transaction_id: f64) -> Self {
        Self::new("createStream", transaction_id, Value::Null, Vec::new())
    }

    /// Takes a stream name from a publisher that was lost. Not in the specification: encoders send it before
    /// createStream, and servers may answer nothing or `_error`.
    #[must_use]
    pub fn release_stream(transaction_id: f64, stream: impl Into<Text>) -> Self {
        Self::about_stream("releaseStream", transaction_id, stream)
    }

    /// Announces a publisher. Not in the specification: encoders send it with releaseStream.
    #[must_use]
    pub fn fc_publish(transaction_id: f64, stream: impl Into<Text>) -> Self {
        Self::about_stream("FCPublish", transaction_id, stream)
    }

    /// Takes FCPublish back. Not in the specification.
    #[must_use]
    pub fn fc_unpublish(transaction_id: f64, stream: impl Into<Text>) -> Self {
        Self::about_stream("FCUnpublish", transaction_id, stream)
    }

    /// Announces a player. Not in the specification: some content delivery networks want it before play.
    #[must_use]
    pub fn fc_subscribe(transaction_id: f64, stream: impl Into<Text>) -> Self {
        Self::about_stream("FCSubscribe", transaction_id, stream)
    }

    /// Answers the `secureToken` of the reply to connect, without a transaction: Wowza's SecureToken version 1.
    #[must_use]
    pub fn secure_token_response(token: impl Into<Text>) -> Self {
        Self::about_stream("secureTokenResponse", 0.0, token)
    }

    /// Shows a token of justin.tv, librtmp's `jtv`. Not in the specification.
    #[must_use]
    pub fn usher_token(transaction_id: f64, token: impl Into<Text>) -> Self {
        Self::about_stream("NetStream.Authenticate.UsherToken", transaction_id, token)
    }

    /// Starts publishing on the message stream that carries it, RTMP 1.0 section 7.2.2.6. `kind` is `live`,
    /// `record` or `append`.
    #[must_use]
    pub fn publish(transaction_id: f64, stream: impl Into<Text>, kind: &str) -> Self {
        let arguments = vec![Value::String(stream.into()), kind.into()];
        Self::new("publish", transaction_id, Value::Null, arguments)
    }

    /// Starts playing on the message stream that carries it, RTMP 1.0 section 7.2.2.1. -2 as `start` stands for live
    /// or else recorded, -1 for live only; others are positions in milliseconds. The specification says seconds, but
    /// what players send, and servers such as nginx-rtmp read, are milliseconds.
    #[must_use]
    pub fn play(transaction_id: f64, stream: impl Into<Text>, start: f64) -> Self {
        let arguments = vec![Value::String(stream.into()), start.into()];
        Self::new("play", transaction_id, Value::Null, arguments)
    }

    /// The same for so many `length` of it, in the unit of `start`.
    #[must_use]
    pub fn play_length(transaction_id: f64, stream: impl Into<Text>, start: f64, length: f64) -> Self {
        let mut command = Self::play(transaction_id, stream, start);
        command.arguments.push(length.into());
        command
    }

    /// Asks how long a recorded stream is, in seconds. Not in the specification.
    #[must_use]
    pub fn get_stream_length(transaction_id: f64, stream: impl Into<Text>) -> Self {
        Self::about_stream("getStreamLength", transaction_id, stream)
    }

    /// Makes a list of the one stream that play names next. Not in the specification: some content delivery networks
    /// want it.
    #[must_use]
    pub fn set_playlist(transaction_id: f64, stream: impl Into<Text>) -> Self {
        let list = Value::ecma_array([("0", Value::String(stream.into()))]);
        Self::new("set_playlist", transaction_id, Value::Null, vec![list])
    }

    /// Goes to a position, in milliseconds, of the stream that is played on the message stream that carries it, RTMP
    /// 1.0 section 7.2.2.7.
    #[must_use]
    pub fn seek(transaction_id: f64, position: u32) -> Self {
        let arguments = vec![f64::from(position).into()];
        Self::new("seek", transaction_id, Value::Null, arguments)
    }

    /// Stops or goes on with the stream that is played on the message stream that carries it, RTMP 1.0 section
    /// 7.2.2.8. The position, in milliseconds, is the player's.
    #[must_use]
    pub fn pause(transaction_id: f64, paused: bool, position: u32) -> Self {
        let arguments = vec![paused.into(), f64::from(position).into()];
        Self::new("pause", transaction_id, Value::Null, arguments)
    }

    /// Changes what is played on the message stream that carries it, RTMP 1.0 section 7.2.2.2. `parameters` are
    /// `oldStreamName`, `streamName`, `start`, `len`, `offset` and `transition`.
    #[must_use]
    pub fn play2(transaction_id: f64, parameters: Value) -> Self {
        Self::new("play2", transaction_id, Value::Null, vec![parameters])
    }

    /// Whether a player wants audio on the message stream that carries it, RTMP 1.0 section 7.2.2.4.
    #[must_use]
    pub fn receive_audio(transaction_id: f64, wanted: bool) -> Self {
        Self::new("receiveAudio", transaction_id, Value::Null, vec![wanted.into()])
    }

    /// Whether a player wants video on the message stream that carries it, RTMP 1.0 section 7.2.2.5.
    #[must_use]
    pub fn receive_video(transaction_id: f64, wanted: bool) -> Self {
        Self::new("receiveVideo", transaction_id, Value::Null, vec![wanted.into()])
    }

    /// Ends what publish or play began on the message stream that carries it. Not in the specification.
    #[must_use]
    pub fn close_stream(transaction_id: f64) -> Self {
        Self::new("closeStream", transaction_id, Value::Null, Vec::new())
    }

    /// Gives a message stream back, RTMP 1.0 section 7.2.2.3.
    #[must_use]
    pub fn delete_stream(transaction_id: f64, stream_id: u32) -> Self {
        Self::new(
            "deleteStream",
            transaction_id,
            Value::Null,
            vec![f64::from(stream_id).into()],
        )
    }

    /// Answers the command with this transaction id.
    #[must_use]
    pub fn result(transaction_id: f64, object: Value, arguments: Vec<Value>) -> Self {
        Self::new("_result", transaction_id, object, arguments)
    }

    /// Refuses the command with this transaction id.
    #[must_use]
    pub fn error(transaction_id: f64, object: Value, arguments: Vec<Value>) -> Self {
        Self::new("_error", transaction_id, object, arguments)
    }

    /// Tells what became of the message stream that carries it, RTMP 1.0 section 7.2.2.
    #[must_use]
    pub fn on_status(status: &Status) -> Self {
        Self::new("onStatus", 0.0, Value::Null, vec![status.info.clone()])
    }

    /// Reads the values of a command. A missing transaction id is 0 and a missing object null: FFmpeg's
    /// server sends a bare `onFCPublish`.
    pub(super) fn decode(values: &Bytes) -> Result<Self, Malformed> {
        if values.len() > MAX_COMMAND {
            return Err(Malformed::Excessive("command length"));
        }
        let marker = *values.first().ok_or(Malformed::Truncated("command name"))?;
        let mut values = amf::decode_all(values)?.into_iter().peekable();
        let Some(Value::String(name)) = values.next() else {
            return Err(Malformed::Invalid {
                field: "command name's marker",
                value: marker.into(),
            });
        };
        let transaction_id = values.next_if(|value| value.as_number().is_some());
        Ok(Self {
            name,
            transaction_id: transaction_id.and_then(|id| id.as_number()).unwrap_or_default(),
            object: values.next().unwrap_or(Value::Null),
            arguments: values.collect(),
        })
    }

    /// The message type id and the payload, for a peer that need not know AMF3.
    #[must_use]
    pub fn encode(&self) -> (u8, Bytes) {
        let mut out = BytesMut::new();
        self.encode_values(&mut out);
        (type_id::COMMAND_AMF0, out.freeze())
    }

    /// The message type id and the payload, for a peer with which object encoding 3 was agreed on. The values
    /// are AMF0 behind the format selector, which is what every such peer reads.
    #[must_use]
    pub fn encode_amf3(&self) -> (u8, Bytes) {
        let mut out = BytesMut::new();
        out.put_u8(FORMAT_SELECTOR);
        self.encode_values(&mut out);
        (type_id::COMMAND_AMF3, out.freeze())
    }

    fn encode_values(&self, out: &mut BytesMut) {
        amf::amf0::encode(&Value::String(self.name.clone()), out);
        amf::amf0::encode(&Value::Number(self.transaction_id), out);
        amf::amf0::encode(&self.object, out);
        amf::encode_all(&self.arguments, out);
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("name", &self.name)
            .field("transaction_id", &self.transaction_id)
            .field("arguments", &self.arguments.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::hex;
    use crate::message::Level;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Result<Command, Malformed> {
        Command::decode(&Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn golden_commands_in_both_directions() {
        let started = Status::new(Level::Status, "NetStream.Publish.Start", "ok");
        let parameters = Value::object([("streamName", "b".into()), ("transition", "switch".into())]);
        for (command, bytes) in [
            (
                Command::create_stream(4.0),
                "02 000c 63726561746553747265616d 00 4010000000000000 05",
            ),
            (
                Command::result(4.0, Value::Null, vec![1.0.into()]),
                "02 0007 5f726573756c74 00 4010000000000000 05 00 3ff0000000000000",
            ),
            (
                Command::error(4.0, Value::Null, vec![]),
                "02 0006 5f6572726f72 00 4010000000000000 05",
            ),
            (
                Command::publish(5.0, "key", "live"),
                "02 0007 7075626c697368 00 4014000000000000 05 02 0003 6b6579 02 0004 6c697665",
            ),
            (
                Command::play(0.0, "key", -2.0),
                "02 0004 706c6179 00 0000000000000000 05 02 0003 6b6579 00 c000000000000000",
            ),
            (
                Command::release_stream(2.0, "key"),
                "02 000d 72656c6561736553747265616d 00 4000000000000000 05 02 0003 6b6579",
            ),
            (
                Command::fc_publish(2.0, "key"),
                "02 0009 46435075626c697368 00 4000000000000000 05 02 0003 6b6579",
            ),
            (
                Command::fc_unpublish(2.0, "key"),
                "02 000b 4643556e7075626c697368 00 4000000000000000 05 02 0003 6b6579",
            ),
            (
                Command::fc_subscribe(2.0, "key"),
                "02 000b 4643537562736372696265 00 4000000000000000 05 02 0003 6b6579",
            ),
            (
                Command::close_stream(0.0),
                "02 000b 636c6f736553747265616d 00 0000000000000000 05",
            ),
            (
                Command::delete_stream(7.0, 1),
                "02 000c 64656c65746553747265616d 00 401c000000000000 05 00 3ff0000000000000",
            ),
            (
                Command::play_length(0.0, "key", 1500.0, 250.0),
                "02 0004 706c6179 00 0000000000000000 05 02 0003 6b6579 00 4097700000000000 00 406f400000000000",
            ),
            (
                Command::get_stream_length(3.0, "key"),
                "02 000f 67657453747265616d4c656e677468 00 4008000000000000 05 02 0003 6b6579",
            ),
            (
                Command::set_playlist(0.0, "key"),
                "02 000c 7365745f706c61796c697374 00 0000000000000000 05
                 08 00000001 0001 30 02 0003 6b6579 000009",
            ),
            (
                Command::seek(5.0, 1500),
                "02 0004 7365656b 00 4014000000000000 05 00 4097700000000000",
            ),
            (
                Command::play2(0.0, parameters),
                "02 0005 706c617932 00 0000000000000000 05 03 000a 73747265616d4e616d65 02 0001 62
                 000a 7472616e736974696f6e 02 0006 737769746368 000009",
            ),
            (
                Command::pause(0.0, true, 12345),
                "02 0005 7061757365 00 0000000000000000 05 01 01 00 40c81c8000000000",
            ),
            (
                Command::on_status(&started),
                "02 0008 6f6e537461747573 00 0000000000000000 05 03 0005 6c6576656c 02 0006 737461747573
                 0004 636f6465 02 0017 4e657453747265616d2e5075626c6973682e5374617274
                 000b 6465736372697074696f6e 02 0002 6f6b 000009",
            ),
        ] {
            let bytes = hex(bytes);
            assert_eq!(command.encode(), (20, Bytes::from(bytes.clone())), "{command:?}");
            assert_eq!(
                command.encode_amf3(),
                (17, Bytes::from([&[0], bytes.as_slice()].concat()))
            );
            assert_eq!(decode(&bytes).as_ref(), Ok(&command));
        }
    }

    #[test]
    fn transaction_id_and_object_may_be_missing() {
        let bare = "02 0001 61";
        let expected = Command::new("a", 0.0, Value::Null, vec![]);
        assert_eq!(decode(&hex(bare)).as_ref(), Ok(&expected));
        assert_eq!(decode(&hex(&format!("{bare} 05"))).as_ref(), Ok(&expected));
        let numbered = decode(&hex(&format!("{bare} 00 3ff0000000000000")));
        assert_eq!(
            numbered,
            Ok(Command {
                transaction_id: 1.0,
                ..expected
            })
        );
    }

    #[test]
    fn objects_may_be_amf3() {
        let bytes = hex("02 0008 6f6e537461747573 00 0000000000000000 05
                         11 0a 0b 01 0b 6c6576656c 06 0d 737461747573 01");
        let command = decode(&bytes).expect("well-formed");
        assert_eq!(command.arguments, [Value::object([("level", "status".into())])]);
    }

    #[test]
    fn a_command_needs_a_name_and_a_sane_length() {
        assert_eq!(decode(&[]), Err(Malformed::Truncated("command name")));
        assert_eq!(
            decode(&hex("00 3ff0000000000000")),
            Err(Malformed::Invalid {
                field: "command name's marker",
                value: 0
            })
        );
        assert!(matches!(decode(&hex("02 0005 61")), Err(Malformed::Truncated(_))));
        assert_eq!(
            decode(&vec![5; MAX_COMMAND + 1]),
            Err(Malformed::Excessive("command length"))
        );
    }

    #[test]
    fn debug_shows_no_arguments() {
        let shown = format!("{:?}", Command::publish(5.0, "secret", "live"));
        assert_eq!(
            shown,
            r#"Command { name: "publish", transaction_id: 5.0, arguments: 2, .. }"#
        );
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i32>().prop_map(|number| Value::Number(number.into())),
            any::<bool>().prop_map(Value::Boolean),
            "[a-z]{0,9}".prop_map(Value::from),
            Just(Value::Null),
            ("[a-z]{1,9}", any::<bool>()).prop_map(|(name, value)| Value::object([(name, value.into())])),
        ]
    }

    proptest! {
        #[test]
        fn commands_survive_the_round_trip(
            name in "[a-zA-Z_]{1,20}",
            transaction_id in any::<u32>(),
            object in values(),
            arguments in prop::collection::vec(values(), 0..6),
        ) {
            let command = Command::new(name, transaction_id.into(), object, arguments);
            prop_assert_eq!(Command::decode(&command.encode().1), Ok(command));
        }
    }
}
