//! Sessions without sockets, on virtual time: against each other in `pair`, and against a [`Script`] that says
//! what no session of ours would.

mod client;
mod hostile;
mod one_flight;
mod pair;
mod playback;
mod quirks;
mod random;
mod rtmpe;
mod server;
mod sessions;
mod swf;

use std::fmt::Write as _;

use super::*;
use crate::amf::{self, Text, Value};
use crate::chunk::{Outgoing, Reader, Writer};
use crate::message::{self, Command, Control, LimitType, UserControl};
use crate::timestamp::Timestamp;
use crate::wire::Malformed;

/// A handshake that fits both ends: version 3, and an offer and an answer of zeros.
fn handshake() -> Vec<u8> {
    let mut bytes = vec![0; HANDSHAKE];
    bytes[0] = 3;
    bytes
}

/// Bytes of a handshake in each direction.
const HANDSHAKE: usize = 1 + 1536 + 1536;

/// Some point in time for sessions to start at.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant comes from nowhere else; time stands still after it"
)]
fn epoch() -> Instant {
    Instant::now()
}

fn client_config(intent: Intent) -> ClientConfig {
    let (application, tc_url) = (Text::from("live"), Text::from("rtmp://host/live"));
    ClientConfig {
        // Spares the tests of other things the time for digests.
        handshake: crate::handshake::Style::Simple,
        ..ClientConfig::new(intent, application, tc_url, Text::from("key"), [7; 32])
    }
}

fn to_publish() -> ClientConfig {
    client_config(Intent::Publish {
        kind: PublishKind::Live,
    })
}

fn to_play() -> ClientConfig {
    client_config(Intent::Play {
        start: PlayStart::Any,
        buffer_length: 3000,
    })
}

/// The same with one command at a time, as every recorded client does it.
fn in_lock_step(config: ClientConfig) -> ClientConfig {
    ClientConfig {
        one_flight: false,
        ..config
    }
}

fn to_serve() -> ServerConfig {
    ServerConfig::new([9; 32])
}

fn info(level: &str, code: &str) -> Value {
    Value::object([("level", level), ("code", code)].map(|(key, word)| (key, Value::from(word))))
}

fn on_status(level: &str, code: &str) -> Command {
    Command::new("onStatus", 0.0, Value::Null, vec![info(level, code)])
}

/// A `_result` as most servers give it to connect.
fn success(transaction: f64) -> Command {
    let properties = Value::object([("fmsVer", "FMS/3,0,1,123")].map(|(key, word)| (key, Value::from(word))));
    Command::result(
        transaction,
        properties,
        vec![info("status", "NetConnection.Connect.Success")],
    )
}

/// A `_result` as servers give it to createStream.
fn stream_created(transaction: f64, stream_id: f64) -> Command {
    Command::result(transaction, Value::Null, vec![Value::Number(stream_id)])
}

/// What a config without deadlines needs for `poll_timeout` to be about something else.
fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A peer that is not a session: it says what a test tells it to and reports what it hears.
struct Script {
    session: Session,
    now: Instant,
    input: BytesMut,
    writer: Writer,
    reader: Reader,
    heard: BytesMut,
    /// Bytes of the session's handshake that it has not sent yet.
    handshake: usize,
}

impl Script {
    fn new(session: impl FnOnce(Instant) -> Session) -> Self {
        let now = epoch();
        Self {
            session: session(now),
            now,
            input: BytesMut::new(),
            writer: Writer::new(),
            reader: Reader::new(),
            heard: BytesMut::new(),
            handshake: HANDSHAKE,
        }
    }

    /// A server for a client that has just begun its handshake.
    fn server_for(config: ClientConfig) -> Self {
        Self::new(|now| Session::client(Arc::new(config), now))
    }

    /// A client of a server that waits for the handshake.
    fn client_of(config: ServerConfig) -> Self {
        Self::new(|now| Session::server(Arc::new(config), now))
    }

    /// The same with the handshake done: the client has sent connect.
    fn asked_to_connect(config: ClientConfig) -> Self {
        let mut script = Self::server_for(config);
        script.raw(&handshake()).expect("zeros are a handshake");
        script.hear();
        script
    }

    /// The same with connect accepted: the client has sent createStream.
    fn asked_for_stream(config: ClientConfig) -> Self {
        let mut script = Self::asked_to_connect(config);
        script.command(0, &success(1.0)).expect("accepted");
        script.hear();
        assert_eq!(script.told(), ["connected"]);
        script
    }

    /// The same with message stream 1 created: the client has sent publish or play.
    fn asked_to_start(config: ClientConfig) -> Self {
        let publishes = matches!(config.intent, Intent::Publish { .. });
        let mut script = Self::asked_for_stream(config);
        script
            .command(0, &stream_created(if publishes { 4.0 } else { 2.0 }, 1.0))
            .expect("a number is a stream");
        script.hear();
        script
    }

    /// The same with media flowing.
    fn flowing(config: ClientConfig) -> Self {
        let code = match config.intent {
            Intent::Publish { .. } => "NetStream.Publish.Start",
            Intent::Play { .. } => "NetStream.Play.Start",
        };
        let mut script = Self::asked_to_start(config);
        script.command(1, &on_status("status", code)).expect("started");
        assert_eq!(script.told(), ["ready".to_owned(), format!("status {code}")]);
        script
    }

    /// Hands bytes to the session as they are.
    fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.input.extend_from_slice(bytes);
        self.resume()
    }

    /// Hands the session what it has left in its input.
    fn resume(&mut self) -> Result<(), Error> {
        self.session
            .handle_input(self.now, Input::Stream(&mut self.input))
    }

    fn eof(&mut self) -> Result<(), Error> {
        self.session.handle_input(self.now, Input::Eof)
    }

    /// The chunks of one message, by this peer's chunk size.
    fn chunks(
        &mut self,
        chunk_stream: u32,
        stream_id: u32,
        type_id: u8,
        millis: u32,
        body: &[u8],
    ) -> Vec<u8> {
        let mut wire = Vec::new();
        let message = Outgoing {
            chunk_stream,
            timestamp: Timestamp::from_millis(millis),
            type_id,
            stream_id,
            head: Bytes::new(),
            body: Bytes::copy_from_slice(body),
        };
        self.writer.write(message, &mut wire).expect("short enough");
        wire
    }

    fn say(&mut self, stream_id: u32, type_id: u8, millis: u32, body: &[u8]) -> Result<(), Error> {
        let wire = self.chunks(5, stream_id, type_id, millis, body);
        self.raw(&wire)
    }

    fn command(&mut self, stream_id: u32, command: &Command) -> Result<(), Error> {
        let (type_id, payload) = command.encode();
        self.say(stream_id, type_id, 0, &payload)
    }

    fn data(&mut self, stream_id: u32, values: &[Value]) -> Result<(), Error> {
        let mut payload = BytesMut::new();
        amf::encode_all(values, &mut payload);
        self.say(stream_id, type_id::DATA_AMF0, 0, &payload)
    }

    fn control(&mut self, control: &Control) -> Result<(), Error> {
        let (type_id, payload) = control.encode();
        let wire = self.chunks(2, 0, type_id, 0, &payload);
        if let Control::SetChunkSize(size) = *control {
            self.writer.set_chunk_size(size);
        }
        self.raw(&wire)
    }

    fn user_control(&mut self, event: &UserControl) -> Result<(), Error> {
        let wire = self.chunks(2, 0, type_id::USER_CONTROL, 0, &event.encode());
        self.raw(&wire)
    }

    /// Takes the request that is due, answers it and goes on.
    fn answer(&mut self, verdict: Result<(), Status>) -> Result<(), Error> {
        let Some(Event::Requested(request)) = self.session.poll_event() else {
            panic!("nothing is asked for");
        };
        self.session.answer(self.now, &request, verdict)?;
        self.resume()
    }

    /// Lets the clock run, calling on the session whenever it wants to be.
    fn pass(&mut self, time: Duration) -> Result<(), Error> {
        let end = self.now + time;
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now)?;
        }
        self.now = end;
        Ok(())
    }

    /// What the session has sent since the last call, a line for each message.
    fn hear(&mut self) -> Vec<String> {
        while let Some(transmit) = self.session.poll_transmit(self.now) {
            let length = transmit.chunk().len();
            self.heard.extend_from_slice(transmit.chunk());
            transmit.advance(length);
        }
        let skipped = self.handshake.min(self.heard.len());
        self.handshake -= skipped;
        self.heard.advance(skipped);
        let mut lines = Vec::new();
        while let Some(message) = self.reader.read(&mut self.heard).expect("well-formed chunks") {
            if message.type_id == type_id::SET_CHUNK_SIZE {
                let size = message
                    .payload
                    .first_chunk()
                    .map(|size| u32::from_be_bytes(*size));
                self.reader.set_chunk_size(size.expect("four bytes"));
            }
            lines.push(line(message));
        }
        lines
    }

    /// What the session has told its owner since the last call.
    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_event())
            .map(describe)
            .collect()
    }
}

fn describe(event: Event) -> String {
    match event {
        Event::Connected => "connected".to_owned(),
        Event::Ready => "ready".to_owned(),
        Event::Requested(request) => match request {
            Request::Connect { application, .. } => format!("asks to connect to {application:?}"),
            Request::Publish { stream, kind } => format!("asks to publish {stream:?} {kind:?}"),
            Request::Play {
                stream,
                start,
                length: -1.0,
            } => format!("asks to play {stream:?} {start}"),
            Request::Play {
                stream,
                start,
                length,
            } => format!("asks to play {stream:?} {start} {length}"),
            Request::Seek { position } => format!("asks to seek {position}"),
            Request::Pause { paused, position } => format!("asks to pause {paused} {position}"),
            Request::Switch(switch) => {
                format!("asks to {:?} to {:?}", switch.transition, switch.stream.0)
            }
            Request::Length { stream } => format!("asks for the length of {stream:?}"),
        },
        Event::Media(media) => {
            format!(
                "{:?} at {} of {} bytes",
                media.kind,
                media.timestamp.millis(),
                media.len()
            )
        }
        Event::Receives(kind, wanted) => format!("receives {kind:?} {wanted}"),
        Event::Sought(Ok(())) => "sought".to_owned(),
        Event::Sought(Err(SeekFailure::Refused(status))) => format!("refused to seek by {}", status.code),
        Event::Sought(Err(SeekFailure::Unanswered)) => "unanswered seek".to_owned(),
        Event::Resumed => "resumed".to_owned(),
        Event::Switched => "switched".to_owned(),
        Event::Recorded(Recording { length }) => format!("recorded {length:?}"),
        Event::Status(status) => format!("status {}", status.code),
        Event::SwfVerification(outcome) => format!("SWF verification: {outcome:?}"),
        Event::TokenWanted => "token wanted".to_owned(),
        Event::Idle => "idle".to_owned(),
        Event::Eof => "eof".to_owned(),
        Event::Closed(Ok(())) => "closed".to_owned(),
        Event::Closed(Err(status)) => format!("closed by {}", status.code),
    }
}

/// A message as `chunk stream/message stream what(values)`.
fn line(message: chunk::Message) -> String {
    let place = format!("{}/{}", message.chunk_stream, message.stream_id);
    let (type_id, millis, length) = (message.type_id, message.timestamp.millis(), message.payload.len());
    match message::decode(message).expect("well-formed") {
        Incoming::Control(control) => format!("{place} {control:?}"),
        Incoming::UserControl(event) => format!("{place} {event:?}"),
        Incoming::Command(command) => {
            let mut line = format!("{place} {}", command.name.to_str_lossy());
            if type_id == type_id::COMMAND_AMF3 {
                line.push_str(" as AMF3");
            }
            write!(line, "({}, {}", command.transaction_id, shown(&command.object)).expect("a String");
            for argument in &command.arguments {
                write!(line, ", {}", shown(argument)).expect("a String");
            }
            line.push(')');
            line
        }
        other => {
            let kind = match other {
                Incoming::Audio(_) => "audio",
                Incoming::Video(_) => "video",
                Incoming::Data(_) => "data",
                _ => panic!("no session sends type {type_id}"),
            };
            format!("{place} {kind} at {millis} of {length} bytes")
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Null => "null".to_owned(),
        Value::Undefined => "undefined".to_owned(),
        Value::Object(object) => {
            let properties: Vec<String> = object
                .properties
                .iter()
                .map(|(name, value)| format!("{}: {}", name.to_str_lossy(), shown(value)))
                .collect();
            format!("{{{}}}", properties.join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn rejected(result: &Result<(), Error>) -> Option<(Phase, &str)> {
    match result {
        Err(Error::Rejected { phase, status }) => Some((*phase, &status.code)),
        _ => None,
    }
}
