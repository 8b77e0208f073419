//! The server's side of NetConnection and NetStream, RTMP 1.0 section 7.2, for one client with one stream at
//! a time.
//!
//! ```text
//!  Handshaking --(C2)--> ExpectConnect --(connect)--> Deciding --(accepted)--> Idle
//!                                                        |                      |  ^
//!                                        (refused) Closing          (publish, play) | (deleteStream, refused)
//!                                                                               v  |
//!                                                                Deciding --> Publishing | Playing
//! ```
//!
//! While the application decides, nothing further is read: what the client has sent ahead stays in the input
//! until [`Session::answer`](super::Session::answer), after which the owner hands the rest in again.

mod play;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use self::play::Asked;
use super::{
    Capabilities, Context, Error, Event, Level, MediaKind, Phase, Request, ServerConfig, Status,
    SwfVerification, chunk_stream, media,
};
use crate::amf::{Text, Value};
use crate::chunk;
use crate::link::Received;
use crate::message::{self, Command, Control, Incoming, LimitType, UserControl};

/// Longest message before connect is accepted: a connect with long URLs, arguments and authentication.
pub(super) const MAX_UNAUTHORISED_MESSAGE: usize = 64 << 10;

/// Bytes that a client may send in all before connect is accepted.
const MAX_UNAUTHORISED_BYTES: u64 = 256 << 10;

/// Message streams that a client may create on one connection.
const MAX_STREAMS: u32 = 64;

/// `fmsVer` of the connect reply. Flash-era clients parse it; this is what most servers say.
const SERVER_VERSION: &str = "FMS/3,0,1,123";

/// `capabilities` of the connect reply, as every server says.
const CAPABILITIES: f64 = 31.0;

enum State {
    Handshaking,
    ExpectConnect,
    Deciding(Pending),
    Idle,
    Publishing { stream_id: u32 },
    Playing { stream_id: u32 },
    Closing,
    Closed,
}

enum Pending {
    Connect { transaction: f64, object_encoding: f64 },
    Publish { stream_id: u32 },
    Play { stream_id: u32 },
}

/// Whether a media message goes out.
pub(super) enum Outlet {
    Open(u32),
    /// The player asked not to be sent this kind.
    Muted,
    Closed,
}

pub(super) struct Server {
    config: Arc<ServerConfig>,
    state: State,
    /// What a player has asked for and the application has not answered.
    asked: Option<Asked>,
    /// The kinds of media that the player wants.
    receives_audio: bool,
    receives_video: bool,
    streams: u32,
    deadline: Option<Instant>,
    started: Instant,
    last_input: Instant,
    /// When the ping that has not brought a byte back was sent.
    pinged: Option<Instant>,
    client_version: Option<Arc<str>>,
    client_capabilities: Option<Arc<Capabilities>>,
    /// Whether a proof of the SWF file is asked for, and has not come.
    owes_swf_proof: bool,
}

impl Server {
    pub(super) fn new(config: Arc<ServerConfig>, now: Instant) -> Self {
        let mut server = Self {
            owes_swf_proof: config.swf.is_some(),
            config,
            state: State::Handshaking,
            asked: None,
            receives_audio: true,
            receives_video: true,
            streams: 0,
            deadline: None,
            started: now,
            last_input: now,
            pinged: None,
            client_version: None,
            client_capabilities: None,
        };
        server.enter(State::Handshaking, now);
        server
    }

    fn enter(&mut self, state: State, now: Instant) {
        self.deadline = match state {
            State::Publishing { .. } | State::Playing { .. } | State::Closed => None,
            // One deadline from the first byte to connect, so that a trickle does not extend it.
            State::ExpectConnect => self.deadline,
            State::Handshaking | State::Deciding(_) | State::Idle | State::Closing => {
                self.config.timeout.and_then(|timeout| now.checked_add(timeout))
            }
        };
        self.state = state;
    }

    pub(super) const fn phase(&self) -> Phase {
        match self.state {
            State::Handshaking => Phase::Handshake,
            State::ExpectConnect | State::Deciding(Pending::Connect { .. }) => Phase::Connect,
            State::Idle => Phase::CreateStream,
            State::Deciding(Pending::Publish { .. }) => Phase::Publish,
            State::Deciding(Pending::Play { .. }) => Phase::Play,
            State::Publishing { .. } | State::Playing { .. } => Phase::Media,
            State::Closing | State::Closed => Phase::Closing,
        }
    }

    pub(super) const fn peer(&self) -> (Option<&Arc<str>>, Option<&Arc<str>>) {
        (self.client_version.as_ref(), None)
    }

    pub(super) const fn peer_capabilities(&self) -> Option<&Arc<Capabilities>> {
        self.client_capabilities.as_ref()
    }

    /// Bytes that may wait while the application decides.
    pub(super) const fn held_input_limit(&self) -> usize {
        match self.state {
            State::Handshaking | State::ExpectConnect | State::Deciding(Pending::Connect { .. }) => {
                MAX_UNAUTHORISED_MESSAGE
            }
            _ => usize::MAX,
        }
    }

    /// Whether the application owes an answer.
    pub(super) const fn is_deciding(&self) -> bool {
        matches!(self.state, State::Deciding(_)) || self.asked.is_some()
    }

    pub(super) const fn sending_stream(&self, kind: MediaKind) -> Outlet {
        match (&self.state, kind) {
            (State::Playing { .. }, MediaKind::Audio) if !self.receives_audio => Outlet::Muted,
            (State::Playing { .. }, MediaKind::Video) if !self.receives_video => Outlet::Muted,
            (State::Playing { stream_id }, _) => Outlet::Open(*stream_id),
            _ => Outlet::Closed,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let ping = match self.state {
            State::Idle | State::Publishing { .. } | State::Playing { .. } => {
                let since = self.pinged.unwrap_or(self.last_input);
                self.config
                    .ping_interval
                    .and_then(|interval| since.checked_add(interval))
            }
            _ => None,
        };
        [self.deadline, ping].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.poll_timeout().is_none_or(|due| cx.now < due) {
            return Ok(());
        }
        if self.deadline.is_some_and(|deadline| cx.now >= deadline) {
            if matches!(self.state, State::Closing) {
                self.enter(State::Closed, cx.now);
                cx.events.push_back(Event::Closed(Ok(())));
                return Ok(());
            }
            return Err(Error::TimedOut(self.phase()));
        }
        if self.pinged.is_some() {
            return Err(Error::TimedOut(self.phase()));
        }
        self.pinged = Some(cx.now);
        let millis = cx.now.saturating_duration_since(self.started).as_millis();
        cx.link.send_user_control(&UserControl::PingRequest(
            u32::try_from(millis).unwrap_or(u32::MAX),
        ));
        Ok(())
    }

    /// Refuses clients that keep sending without a connect. Counts what is part of an unfinished message too.
    pub(super) fn check_unauthorised(&self, received: u64) -> Result<(), Error> {
        if matches!(self.state, State::ExpectConnect) && received > MAX_UNAUTHORISED_BYTES {
            return Err(Error::LimitExceeded("bytes before connect"));
        }
        Ok(())
    }

    pub(super) const fn handle_activity(&mut self, now: Instant) {
        self.last_input = now;
        self.pinged = None;
    }

    pub(super) fn handle_open(&mut self, cx: &mut Context<'_>) {
        // Unless closed by its owner meanwhile.
        if matches!(self.state, State::Handshaking) {
            self.enter(State::ExpectConnect, cx.now);
        }
    }

    pub(super) fn handle_eof(&mut self, events: &mut VecDeque<Event>) -> Result<(), Error> {
        match self.state {
            // A client that has ended its stream, or never had one, may just go.
            State::Idle | State::Closing | State::Playing { .. } => {
                self.state = State::Closed;
                self.deadline = None;
                events.push_back(Event::Closed(Ok(())));
                Ok(())
            }
            State::Closed => Ok(()),
            State::Handshaking | State::ExpectConnect | State::Deciding(_) | State::Publishing { .. } => {
                Err(Error::Disconnected(self.phase()))
            }
        }
    }

    pub(super) fn handle_message(&mut self, cx: &mut Context<'_>, received: Received) -> Result<(), Error> {
        if matches!(self.state, State::Closing | State::Closed) {
            return Ok(());
        }
        let stream_id = received.stream_id;
        match received.incoming {
            Incoming::Command(command) => self.handle_command(cx, stream_id, &command),
            Incoming::Audio(_) | Incoming::Video(_) | Incoming::Data(_) => {
                // Some encoders send their data on message stream 0.
                if matches!(self.state, State::Publishing { stream_id: ours } if [0, ours].contains(&stream_id))
                    && let Some(media) = media(received)
                {
                    cx.events.push_back(Event::Media(media));
                }
                Ok(())
            }
            Incoming::UserControl(UserControl::SwfVerifyResponse(proof)) => self.handle_swf_proof(cx, &proof),
            Incoming::Control(_)
            | Incoming::UserControl(_)
            | Incoming::SharedObject
            | Incoming::Unknown(_) => Ok(()),
        }
    }

    fn handle_command(
        &mut self,
        cx: &mut Context<'_>,
        stream_id: u32,
        command: &Command,
    ) -> Result<(), Error> {
        let name = command.name.to_str_lossy();
        if matches!(self.state, State::ExpectConnect) {
            return match name.as_ref() {
                "connect" => self.handle_connect(cx, command),
                _ => Err(Error::PeerMisbehaved("a command before connect")),
            };
        }
        if cx.link.is_flooded() {
            return Err(Error::LimitExceeded("answers that the client does not read"));
        }
        let transaction = command.transaction_id;
        let argument = command.arguments.first();
        match name.as_ref() {
            "createStream" => self.handle_create_stream(cx, transaction),
            "publish" => self.handle_publish(cx, stream_id, command),
            "play" => self.handle_play(cx, stream_id, command),
            "FCPublish" => {
                let status = Status::new(Level::Status, "NetStream.Publish.Start", "FCPublish");
                reply(
                    cx,
                    &Command::new("onFCPublish", 0.0, Value::Null, vec![status.info]),
                )?;
                acknowledge(cx, transaction)
            }
            "FCUnpublish" => {
                let status = Status::new(Level::Status, "NetStream.Unpublish.Success", "FCUnpublish");
                reply(
                    cx,
                    &Command::new("onFCUnpublish", 0.0, Value::Null, vec![status.info]),
                )?;
                acknowledge(cx, transaction)
            }
            "FCSubscribe" => {
                let status = Status::new(Level::Status, "NetStream.Play.Start", "FCSubscribe");
                reply(
                    cx,
                    &Command::new("onFCSubscribe", 0.0, Value::Null, vec![status.info]),
                )?;
                acknowledge(cx, transaction)
            }
            "releaseStream" | "_checkbw" => acknowledge(cx, transaction),
            "getStreamLength" => self.handle_get_stream_length(cx, command),
            "deleteStream" => {
                let deleted = argument.and_then(Value::as_number);
                self.handle_close_stream(cx, |ours| {
                    deleted.is_none_or(|deleted| deleted == f64::from(ours))
                })
            }
            "closeStream" => self.handle_close_stream(cx, |ours| stream_id == ours || stream_id == 0),
            "receiveAudio" | "receiveVideo" => {
                let kind = if name == "receiveAudio" {
                    MediaKind::Audio
                } else {
                    MediaKind::Video
                };
                self.handle_receive(cx, kind, argument.and_then(Value::as_bool));
                Ok(())
            }
            "seek" => self.handle_seek(cx, stream_id, argument),
            "pause" => self.handle_pause(cx, command),
            "play2" => self.handle_play2(cx, stream_id, argument),
            // Without a reply: nobody waits for one.
            "set_playlist" => Ok(()),
            "_result" | "_error" | "onStatus" => Ok(()),
            _ if transaction == 0.0 => Ok(()),
            _ => {
                let status = Status::new(Level::Error, "NetConnection.Call.Failed", "no such command");
                reply(cx, &Command::error(transaction, Value::Null, vec![status.info]))
            }
        }
    }

    /// The answer to what was asked when connect was accepted. One that nobody has asked for means nothing.
    fn handle_swf_proof(
        &mut self,
        cx: &mut Context<'_>,
        proof: &message::SwfVerification,
    ) -> Result<(), Error> {
        let (Some(identity), true) = (&self.config.swf, self.owes_swf_proof) else {
            return Ok(());
        };
        if !identity.is_proven(cx.link.swf_challenge(), proof.size, &proof.digest) {
            let status = Status::new(
                Level::Error,
                "NetConnection.Connect.Rejected",
                "SWF verification failed",
            );
            notify(cx, 0, &status)?;
            self.enter(State::Closed, cx.now);
            cx.events.push_back(Event::Closed(Err(status)));
            return Ok(());
        }
        self.owes_swf_proof = false;
        cx.events
            .push_back(Event::SwfVerification(SwfVerification::Proven));
        Ok(())
    }

    fn handle_connect(&mut self, cx: &mut Context<'_>, command: &Command) -> Result<(), Error> {
        let Some(object) = command.object.properties() else {
            return Err(Error::PeerMisbehaved("connect without a command object"));
        };
        let text = |key| object.get(key).and_then(Value::as_text).cloned();
        let object_encoding = object
            .get("objectEncoding")
            .and_then(Value::as_number)
            .unwrap_or(0.0);
        self.client_version = text("flashVer").map(|version| Arc::from(version.to_str_lossy()));
        self.client_capabilities = Capabilities::read(&[object]).map(Arc::new);
        let request = Request::Connect {
            application: text("app").map(without_trailing_slashes).unwrap_or_default(),
            tc_url: text("tcUrl"),
            object: object.clone(),
        };
        cx.events.push_back(Event::Requested(request));
        let pending = Pending::Connect {
            transaction: command.transaction_id,
            object_encoding,
        };
        self.enter(State::Deciding(pending), cx.now);
        Ok(())
    }

    fn handle_create_stream(&mut self, cx: &mut Context<'_>, transaction: f64) -> Result<(), Error> {
        if self.streams >= MAX_STREAMS {
            return Err(Error::LimitExceeded("message streams on one connection"));
        }
        self.streams += 1;
        let id = Value::Number(f64::from(self.streams));
        reply(cx, &Command::result(transaction, Value::Null, vec![id]))
    }

    fn handle_publish(
        &mut self,
        cx: &mut Context<'_>,
        stream_id: u32,
        command: &Command,
    ) -> Result<(), Error> {
        let mut arguments = command.arguments.iter().map(Value::as_text);
        let (stream, kind) = (arguments.next().flatten(), arguments.next().flatten());
        let refusal = match (&self.state, stream) {
            (State::Idle, Some(stream)) => {
                let kind = kind.cloned().unwrap_or_else(|| Text::from("live"));
                cx.events.push_back(Event::Requested(Request::Publish {
                    stream: stream.clone(),
                    kind,
                }));
                self.enter(State::Deciding(Pending::Publish { stream_id }), cx.now);
                return Ok(());
            }
            (_, None) => "publish names no stream",
            _ => "one stream at a time on a connection",
        };
        notify(
            cx,
            stream_id,
            &Status::new(Level::Error, "NetStream.Publish.BadName", refusal),
        )
    }

    fn handle_play(&mut self, cx: &mut Context<'_>, stream_id: u32, command: &Command) -> Result<(), Error> {
        let mut arguments = command.arguments.iter();
        let stream = arguments.next().and_then(Value::as_text);
        let start = arguments.next().and_then(Value::as_number).unwrap_or(-2.0);
        let length = arguments.next().and_then(Value::as_number).unwrap_or(-1.0);
        let refusal = match (&self.state, stream) {
            // A player answers the request before it gets to know that connect was accepted.
            _ if self.owes_swf_proof => "SWF verification comes first",
            (State::Idle, Some(stream)) => {
                cx.events.push_back(Event::Requested(Request::Play {
                    stream: stream.clone(),
                    start,
                    length,
                }));
                self.enter(State::Deciding(Pending::Play { stream_id }), cx.now);
                return Ok(());
            }
            (_, None) => "play names no stream",
            _ => "one stream at a time on a connection",
        };
        notify(
            cx,
            stream_id,
            &Status::new(Level::Error, "NetStream.Play.Failed", refusal),
        )
    }

    fn handle_close_stream(
        &mut self,
        cx: &mut Context<'_>,
        is_meant: impl Fn(u32) -> bool,
    ) -> Result<(), Error> {
        let (stream_id, publishing) = match self.state {
            State::Publishing { stream_id } => (stream_id, true),
            State::Playing { stream_id } => (stream_id, false),
            _ => return Ok(()),
        };
        if !is_meant(stream_id) {
            return Ok(());
        }
        if publishing {
            let status = Status::new(
                Level::Status,
                "NetStream.Unpublish.Success",
                "the stream has ended",
            );
            notify(cx, stream_id, &status)?;
        }
        cx.events.push_back(Event::Eof);
        (self.receives_audio, self.receives_video) = (true, true);
        self.enter(State::Idle, cx.now);
        Ok(())
    }

    pub(super) fn answer(
        &mut self,
        cx: &mut Context<'_>,
        request: &Request,
        verdict: Result<(), Status>,
    ) -> Result<(), Error> {
        match (&self.state, request) {
            (
                &State::Deciding(Pending::Connect {
                    transaction,
                    object_encoding,
                }),
                Request::Connect { .. },
            ) => self.answer_connect(cx, transaction, object_encoding, verdict),
            (&State::Deciding(Pending::Publish { stream_id }), Request::Publish { .. }) => match verdict {
                Ok(()) => {
                    self.enter(State::Publishing { stream_id }, cx.now);
                    cx.link.send_user_control(&UserControl::StreamBegin(stream_id));
                    let status = Status::new(Level::Status, "NetStream.Publish.Start", "publishing");
                    notify(cx, stream_id, &status)?;
                    cx.events.push_back(Event::Ready);
                    Ok(())
                }
                Err(status) => self.refuse_stream(cx, stream_id, &status),
            },
            (&State::Deciding(Pending::Play { stream_id }), Request::Play { .. }) => match verdict {
                Ok(()) => {
                    self.enter(State::Playing { stream_id }, cx.now);
                    cx.link.send_user_control(&UserControl::StreamBegin(stream_id));
                    for (code, description) in [
                        ("NetStream.Play.Reset", "playing anew"),
                        ("NetStream.Play.Start", "playing"),
                    ] {
                        notify(cx, stream_id, &Status::new(Level::Status, code, description))?;
                    }
                    cx.events.push_back(Event::Ready);
                    Ok(())
                }
                Err(status) => self.refuse_stream(cx, stream_id, &status),
            },
            _ => self.answer_player(cx, request, verdict),
        }
    }

    fn answer_connect(
        &mut self,
        cx: &mut Context<'_>,
        transaction: f64,
        object_encoding: f64,
        verdict: Result<(), Status>,
    ) -> Result<(), Error> {
        if let Err(status) = verdict {
            reply(cx, &Command::error(transaction, Value::Null, vec![status.info]))?;
            self.enter(State::Closed, cx.now);
            cx.events.push_back(Event::Closed(Ok(())));
            return Ok(());
        }
        cx.link.set_message_limit(chunk::MAX_MESSAGE);
        cx.link.announce_window(self.config.window);
        cx.link.send_control(&Control::SetPeerBandwidth {
            window: self.config.window,
            limit: LimitType::Dynamic,
        });
        cx.link.set_chunk_size(self.config.chunk_size);
        if self.owes_swf_proof {
            cx.link.send_user_control(&UserControl::SwfVerifyRequest(1));
        }
        let properties = Value::object([
            ("fmsVer", Value::from(SERVER_VERSION)),
            ("capabilities", Value::from(CAPABILITIES)),
        ]);
        let mut status = Status::new(
            Level::Status,
            "NetConnection.Connect.Success",
            "Connection succeeded.",
        )
        .info;
        if let Value::Object(info) = &mut status {
            // AMF0 or AMF3; replies stay AMF0 in either case, as every server in the field does.
            let encoding = if object_encoding == 3.0 { 3.0 } else { 0.0 };
            info.properties.push("objectEncoding", Value::Number(encoding));
            // Only to those who asked: old clients are confused by more than they know.
            if let (Some(ours), Some(_)) = (&self.config.enhanced, &self.client_capabilities) {
                for (name, value) in &ours.properties() {
                    info.properties.push(name.clone(), value.clone());
                }
                info.properties
                    .push("videoFunction", Value::from(f64::from(ours.video_function())));
            }
        }
        reply(cx, &Command::result(transaction, properties, vec![status]))?;
        cx.events.push_back(Event::Connected);
        self.enter(State::Idle, cx.now);
        Ok(())
    }

    fn refuse_stream(&mut self, cx: &mut Context<'_>, stream_id: u32, status: &Status) -> Result<(), Error> {
        self.enter(State::Idle, cx.now);
        notify(cx, stream_id, status)
    }

    pub(super) fn end_stream(&mut self, cx: &mut Context<'_>) {
        if let State::Playing { stream_id } = self.state {
            self.enter(State::Idle, cx.now);
            let status = Status::new(
                Level::Status,
                "NetStream.Play.UnpublishNotify",
                "the publisher has left",
            );
            if notify(cx, stream_id, &status).is_ok() {
                cx.link.send_user_control(&UserControl::StreamEof(stream_id));
            }
        }
    }

    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        self.end_stream(cx);
        self.asked = None;
        if !matches!(self.state, State::Closing | State::Closed) {
            self.enter(State::Closing, cx.now);
        }
    }
}

/// OBS and others leave the slash of a URL that ends in one in the application's name.
fn without_trailing_slashes(name: Text) -> Text {
    let mut kept = name.as_bytes();
    while let Some(shorter) = kept.strip_suffix(b"/") {
        kept = shorter;
    }
    Text::from(Bytes::copy_from_slice(kept))
}

fn reply(cx: &mut Context<'_>, command: &Command) -> Result<(), Error> {
    send(cx, chunk_stream::CONNECTION, 0, command)
}

fn acknowledge(cx: &mut Context<'_>, transaction: f64) -> Result<(), Error> {
    if transaction == 0.0 {
        return Ok(());
    }
    reply(
        cx,
        &Command::result(transaction, Value::Null, vec![Value::Undefined]),
    )
}

fn notify(cx: &mut Context<'_>, stream_id: u32, status: &Status) -> Result<(), Error> {
    let command = Command::new("onStatus", 0.0, Value::Null, vec![status.info.clone()]);
    send(cx, chunk_stream::STREAM, stream_id, &command)
}

fn send(cx: &mut Context<'_>, chunk_stream: u32, stream_id: u32, command: &Command) -> Result<(), Error> {
    cx.link
        .send_command(chunk_stream, stream_id, command)
        .map_err(|_| Error::ApiMisuse("a status is too long for an RTMP message"))
}
