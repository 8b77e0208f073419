//! The client's side of NetConnection and NetStream, RTMP 1.0 section 7.2.
//!
//! ```text
//!  Handshaking --(S2)--> ExpectConnectResult --(_result)--> ExpectStreamId --(_result)--> ExpectStart
//!    sends C0C1            SetChunkSize                                                   publish, or
//!                          connect (1)                                                    play and
//!                          releaseStream, FCPublish,                                      SetBufferLength
//!                          createStream (4 or 2)
//!  ExpectStart --(Publish.Start | Play.Start | media)--> Flowing --(close)--> Closing --(peer closes)--> Closed
//! ```
//!
//! createStream goes out with connect, in one flight, or in lock-step after the reply (`ClientConfig::one_flight`). The
//! replies may come in any order.
//!
//! What servers in the field do not agree on is not relied on: no StreamBegin, Play.Reset, onBWDone or
//! reply to an optional command is awaited; onStatus counts on any message stream; media counts on our
//! message stream and on 0; an unknown transaction id is taken for the one that is awaited.

mod connect;
mod play;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::habits::{self, Habits};
use super::playback::{End, Outcome, Playback};
use super::{
    Capabilities, ClientConfig, Context, Error, Event, Intent, MediaKind, Phase, PlayStart, SwfVerification,
    chunk_stream, media, redirect,
};
use crate::amf::Value;
use crate::link::{Link, Received};
use crate::message::{Command, Incoming, Status, UserControl};

/// Transaction id of connect, RTMP 1.0 section 7.2.1.1.
const CONNECT_TRANSACTION: f64 = 1.0;

enum State {
    Handshaking,
    ExpectConnectResult {
        /// Transaction of the createStream that was sent with connect.
        create_stream: Option<f64>,
        /// What it has brought already.
        stream_id: Option<u32>,
    },
    ExpectStreamId {
        create_stream: f64,
    },
    ExpectStart {
        stream_id: u32,
        transaction: f64,
    },
    Flowing {
        stream_id: u32,
    },
    /// The player's stream has ended in good order.
    Ended {
        stream_id: u32,
    },
    Closing,
    Closed,
}

pub(super) struct Client {
    config: Arc<ClientConfig>,
    state: State,
    last_transaction: f64,
    /// When the current phase must be over.
    deadline: Option<Instant>,
    last_input: Instant,
    playback: Playback,
    /// What the server was told of the kinds that are wanted.
    receives_audio: bool,
    receives_video: bool,
    server_version: Option<Arc<str>>,
    server_capabilities: Option<Arc<Capabilities>>,
    last_status: Option<Arc<str>>,
    /// What the owner was told of it last.
    swf_verification: Option<SwfVerification>,
    habits: Habits,
}

impl Client {
    pub(super) fn new(config: Arc<ClientConfig>, now: Instant) -> Self {
        let is_recorded = matches!(
            config.intent,
            Intent::Play {
                start: PlayStart::Recorded(_),
                ..
            }
        );
        let playback = if is_recorded {
            Playback::recorded()
        } else {
            Playback::default()
        };
        let mut client = Self {
            playback,
            receives_audio: true,
            receives_video: true,
            config,
            state: State::Handshaking,
            last_transaction: 0.0,
            deadline: None,
            last_input: now,
            server_version: None,
            server_capabilities: None,
            last_status: None,
            swf_verification: None,
            habits: Habits::default(),
        };
        client.enter(State::Handshaking, now);
        client
    }

    fn enter(&mut self, state: State, now: Instant) {
        self.deadline = match state {
            State::Flowing { .. } | State::Ended { .. } | State::Closed => None,
            State::Handshaking
            | State::ExpectConnectResult { .. }
            | State::ExpectStreamId { .. }
            | State::ExpectStart { .. }
            | State::Closing => self.config.timeout.and_then(|timeout| now.checked_add(timeout)),
        };
        self.state = state;
    }

    fn is_publisher(&self) -> bool {
        matches!(self.config.intent, Intent::Publish { .. })
    }

    pub(super) fn phase(&self) -> Phase {
        match self.state {
            State::Handshaking => Phase::Handshake,
            State::ExpectConnectResult { .. } => Phase::Connect,
            State::ExpectStreamId { .. } => Phase::CreateStream,
            State::ExpectStart { .. } if self.is_publisher() => Phase::Publish,
            State::ExpectStart { .. } => Phase::Play,
            State::Flowing { .. } | State::Ended { .. } => Phase::Media,
            State::Closing | State::Closed => Phase::Closing,
        }
    }

    pub(super) const fn peer(&self) -> (Option<&Arc<str>>, Option<&Arc<str>>) {
        (self.server_version.as_ref(), self.last_status.as_ref())
    }

    pub(super) const fn peer_capabilities(&self) -> Option<&Arc<Capabilities>> {
        self.server_capabilities.as_ref()
    }

    /// Whether no stream has flowed yet: until then a session ends by an error only.
    const fn is_starting(&self) -> bool {
        match self.state {
            State::Handshaking
            | State::ExpectConnectResult { .. }
            | State::ExpectStreamId { .. }
            | State::ExpectStart { .. } => true,
            State::Flowing { .. } | State::Ended { .. } | State::Closing | State::Closed => false,
        }
    }

    /// The message stream to publish on, once it flows.
    pub(super) fn sending_stream(&self) -> Option<u32> {
        match self.state {
            State::Flowing { stream_id } if self.is_publisher() => Some(stream_id),
            _ => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let idle = match self.state {
            // A server that was told to pause may be silent for as long as that lasts.
            State::Flowing { .. } if !self.is_publisher() && !self.playback.is_paused() => self
                .config
                .idle_timeout
                .and_then(|idle| self.last_input.checked_add(idle)),
            _ => None,
        };
        [self.deadline, idle, self.answer_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When what a player has asked for must have been answered.
    const fn answer_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Flowing { .. } | State::Ended { .. } => self.playback.deadline(),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.poll_timeout().is_none_or(|due| cx.now < due) {
            return Ok(());
        }
        if self
            .playback
            .deadline()
            .is_some_and(|deadline| cx.now >= deadline)
        {
            let outcome = self.playback.expire(|event| cx.events.push_back(event));
            self.settle(cx, outcome);
            return Ok(());
        }
        match self.state {
            State::Flowing { stream_id } => {
                self.enter(State::Ended { stream_id }, cx.now);
                cx.events.push_back(Event::Idle);
                Ok(())
            }
            State::Closing => {
                self.enter(State::Closed, cx.now);
                cx.events.push_back(Event::Closed(Ok(())));
                Ok(())
            }
            _ => Err(Error::TimedOut(self.phase())),
        }
    }

    /// Bytes have come, whatever they were.
    pub(super) const fn handle_activity(&mut self, now: Instant) {
        self.last_input = now;
    }

    pub(super) fn handle_eof(&mut self, events: &mut VecDeque<Event>) -> Result<(), Error> {
        match self.state {
            State::Ended { .. } | State::Closing => {
                self.state = State::Closed;
                self.deadline = None;
                events.push_back(Event::Closed(Ok(())));
                Ok(())
            }
            State::Closed => Ok(()),
            _ => Err(match self.swf_verification {
                Some(SwfVerification::Unanswerable | SwfVerification::UnknownType(_)) => {
                    Error::Unverified(self.phase())
                }
                _ => Error::Disconnected(self.phase()),
            }),
        }
    }

    fn next_transaction(&mut self) -> f64 {
        self.last_transaction += 1.0;
        self.last_transaction
    }

    pub(super) fn handle_message(&mut self, cx: &mut Context<'_>, received: Received) -> Result<(), Error> {
        if matches!(self.state, State::Closed) {
            return Ok(());
        }
        let stream_id = received.stream_id;
        match received.incoming {
            Incoming::Command(command) => self.handle_command(cx, &command),
            Incoming::UserControl(UserControl::StreamEof(ended)) => {
                if self.is_ours(ended) {
                    self.end(cx, End::StreamEof);
                }
                Ok(())
            }
            Incoming::UserControl(UserControl::SwfVerifyRequest(version)) => {
                self.answer_swf_verification(cx, version);
                Ok(())
            }
            Incoming::UserControl(UserControl::StreamIsRecorded(stream)) => self.handle_recorded(cx, stream),
            Incoming::UserControl(UserControl::BufferEmpty(stream)) if self.config.renews_buffer => {
                self.handle_buffer_empty(cx, stream)
            }
            Incoming::Data(ref data) if !self.is_publisher() => {
                match data.handler().as_deref() {
                    Some("onStatus" | "onPlayStatus") => {
                        let status = Status::from_values(&data.values);
                        return self.handle_status(cx, status);
                    }
                    // Permission to read samples, for Flash code; not part of the stream.
                    Some("|RtmpSampleAccess") => return Ok(()),
                    _ => {}
                }
                self.handle_media(cx, stream_id, received);
                Ok(())
            }
            Incoming::Audio(_) | Incoming::Video(_) if !self.is_publisher() => {
                self.handle_media(cx, stream_id, received);
                Ok(())
            }
            Incoming::Audio(_)
            | Incoming::Video(_)
            | Incoming::Data(_)
            | Incoming::Control(_)
            | Incoming::UserControl(_)
            | Incoming::SharedObject
            | Incoming::Unknown(_) => Ok(()),
        }
    }

    /// node-media-server 4.4, xiu and FFmpeg's listener send media on message stream 0.
    fn handle_media(&mut self, cx: &mut Context<'_>, on: u32, received: Received) {
        let ours = match self.state {
            State::ExpectStart { stream_id, .. } | State::Flowing { stream_id } => on == 0 || on == stream_id,
            _ => false,
        };
        if !ours {
            return;
        }
        let Some(media) = media(received) else { return };
        self.start_flowing(cx);
        self.playback.take_media(&media);
        cx.events.push_back(Event::Media(media));
    }

    /// Whether a control message about a message stream is about the one that flows. Many servers have but one.
    const fn is_ours(&self, stream: u32) -> bool {
        matches!(self.state, State::Flowing { stream_id } if stream_id == stream)
    }

    fn start_flowing(&mut self, cx: &mut Context<'_>) {
        if let State::ExpectStart { stream_id, .. } = self.state {
            self.enter(State::Flowing { stream_id }, cx.now);
            self.last_input = cx.now;
            cx.events.push_back(Event::Ready);
            self.playback.announce(|event| cx.events.push_back(event));
        }
    }

    /// The stream that is played has ended. Nothing of the kind can be said to a publisher.
    fn end(&mut self, cx: &mut Context<'_>, end: End) {
        if let State::Flowing { stream_id } = self.state
            && !self.is_publisher()
            && self.playback.take_end(end)
        {
            self.enter(State::Ended { stream_id }, cx.now);
            cx.events.push_back(Event::Eof);
        }
    }

    fn handle_command(&mut self, cx: &mut Context<'_>, command: &Command) -> Result<(), Error> {
        match command.name.to_str_lossy().as_ref() {
            "_result" => self.handle_result(cx, command),
            "_error" => self.handle_error(cx, command),
            habits::ON_BANDWIDTH_DONE | habits::ON_BANDWIDTH_CHECK | habits::PING => {
                self.keep_up_habit(cx, command)
            }
            "onStatus" => self.handle_status(cx, Status::from_command(command)),
            "onFCSubscribe" => {
                let status = Status::from_command(command);
                if status.is_error() {
                    self.handle_status(cx, status)
                } else {
                    Ok(())
                }
            }
            "onFCUnsubscribe" => {
                self.end(cx, End::Said);
                Ok(())
            }
            "close" if self.is_starting() => Err(Error::Disconnected(self.phase())),
            "close" => {
                self.playback = Playback::default();
                self.end(cx, End::Said);
                self.enter(State::Closed, cx.now);
                cx.events.push_back(Event::Closed(Ok(())));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a reply with `transaction` answers what was asked with `awaited`: it bears its id, or one that
    /// was never given out (the `rtmp2serversrc` plugin and its kin answer with fixed ids).
    fn answers(&self, transaction: f64, awaited: f64) -> bool {
        let known = transaction >= CONNECT_TRANSACTION && transaction <= self.last_transaction;
        transaction == awaited || !known
    }

    fn handle_result(&mut self, cx: &mut Context<'_>, command: &Command) -> Result<(), Error> {
        let transaction = command.transaction_id;
        let number = command.arguments.first().and_then(Value::as_number);
        if self.playback.take_length(transaction, number) {
            if matches!(self.state, State::Flowing { .. } | State::Ended { .. }) {
                self.playback.announce(|event| cx.events.push_back(event));
            }
            return Ok(());
        }
        match self.state {
            State::ExpectConnectResult {
                create_stream: Some(asked),
                ref mut stream_id,
            } if transaction == asked => {
                let number = command.arguments.first().and_then(Value::as_number);
                *stream_id = number.and_then(self::stream_id).or(*stream_id);
                Ok(())
            }
            State::ExpectConnectResult {
                create_stream,
                stream_id,
            } if self.answers(transaction, CONNECT_TRANSACTION) => {
                let status = Status::from_command(command);
                if status.is_error() {
                    return Err(self.rejected(status));
                }
                self.server_version = command
                    .object
                    .get("fmsVer")
                    .and_then(Value::as_str)
                    .map(Arc::from);
                let objects = command.arguments.iter().chain([&command.object]);
                let objects: Vec<_> = objects.filter_map(Value::properties).collect();
                self.server_capabilities = Capabilities::read(&objects).map(Arc::new);
                let encoding = command
                    .arguments
                    .first()
                    .and_then(|info| info.get("objectEncoding"))
                    .and_then(Value::as_number);
                if self.config.amf3 && encoding == Some(3.0) {
                    cx.link.use_amf3_commands();
                }
                self.note(&status);
                cx.events.push_back(Event::Connected);
                self.authenticate(cx, &objects)?;
                match (create_stream, stream_id) {
                    (_, Some(stream_id)) => self.start_stream(cx, stream_id),
                    (Some(create_stream), None) => {
                        self.enter(State::ExpectStreamId { create_stream }, cx.now);
                        Ok(())
                    }
                    (None, None) => {
                        let create_stream = self.create_stream(cx)?;
                        self.enter(State::ExpectStreamId { create_stream }, cx.now);
                        Ok(())
                    }
                }
            }
            State::ExpectStreamId { create_stream } if self.answers(transaction, create_stream) => {
                let number = command.arguments.first().and_then(Value::as_number);
                let Some(stream_id) = number.and_then(stream_id) else {
                    // The reply to another command under an id of its own making, unless it bears ours.
                    if transaction == create_stream {
                        return Err(Error::PeerMisbehaved(
                            "createStream was answered without a stream id",
                        ));
                    }
                    return Ok(());
                };
                self.start_stream(cx, stream_id)
            }
            _ => Ok(()),
        }
    }

    fn start_stream(&mut self, cx: &mut Context<'_>, stream_id: u32) -> Result<(), Error> {
        let config = Arc::clone(&self.config);
        if let Intent::Play { start, .. } = config.intent {
            self.precede_play(cx, stream_id, start)?;
        }
        let transaction = self.next_transaction();
        match config.intent {
            Intent::Publish { kind } => {
                let command = Command::publish(transaction, config.stream.clone(), kind.as_str());
                send(cx.link, chunk_stream::STREAM, stream_id, &command)?;
            }
            Intent::Play { start, buffer_length } => {
                let (stream, start) = (config.stream.clone(), start.as_number());
                let command = match config.play_length {
                    Some(length) => Command::play_length(transaction, stream, start, length.into()),
                    None => Command::play(transaction, stream, start),
                };
                send(cx.link, chunk_stream::STREAM, stream_id, &command)?;
                // Everything is sent unless it is refused, and nobody needs to hear what is so anyway.
                self.receive(cx, stream_id, MediaKind::Audio, config.receive_audio)?;
                self.receive(cx, stream_id, MediaKind::Video, config.receive_video)?;
                cx.link.send_user_control(&UserControl::SetBufferLength {
                    stream_id,
                    millis: buffer_length,
                });
            }
        }
        self.enter(
            State::ExpectStart {
                stream_id,
                transaction,
            },
            cx.now,
        );
        Ok(())
    }

    /// Errors of releaseStream, FCPublish and their like are normal; only those of what we need count.
    fn handle_error(&mut self, cx: &mut Context<'_>, command: &Command) -> Result<(), Error> {
        let transaction = command.transaction_id;
        let status = Status::from_command(command);
        let outcome = self
            .playback
            .take_error(transaction, status, |event| cx.events.push_back(event));
        self.settle(cx, outcome);
        let fatal = match self.state {
            State::ExpectConnectResult {
                create_stream: Some(create_stream),
                ..
            } if transaction == create_stream => {
                // Refused before connect was answered, so that is the phase.
                return Err(Error::Rejected {
                    phase: Phase::CreateStream,
                    status: Box::new(Status::from_command(command)),
                });
            }
            State::ExpectConnectResult { .. } => self.answers(transaction, CONNECT_TRANSACTION),
            State::ExpectStreamId { create_stream } => transaction == create_stream,
            State::ExpectStart {
                transaction: ours, ..
            } => transaction == ours,
            _ => false,
        };
        if fatal {
            Err(self.rejected(Status::from_command(command)))
        } else {
            Ok(())
        }
    }

    fn handle_status(&mut self, cx: &mut Context<'_>, status: Status) -> Result<(), Error> {
        self.note(&status);
        let flows = matches!(self.state, State::Flowing { .. } | State::Ended { .. });
        let was_switching = self.playback.is_switching();
        if flows && !self.is_publisher() {
            let outcome = self
                .playback
                .take_status(&status, |event| cx.events.push_back(event));
            self.settle(cx, outcome);
            if let (Outcome::Renewed, &State::Flowing { stream_id }) = (outcome, &self.state) {
                self.send_pause(cx, stream_id, false)?;
            }
            if was_switching && outcome != Outcome::Unrelated {
                // Not of the stream that flows.
                cx.events.push_back(Event::Status(status));
                return Ok(());
            }
        } else if status.code == "NetStream.Play.PublishNotify" {
            self.playback.take_status(&status, |_| {});
        }
        match status.code.as_str() {
            "NetStream.Publish.Start" if self.is_publisher() && !status.is_error() => self.start_flowing(cx),
            "NetStream.Play.Start" | "NetStream.Play.PublishNotify"
                if !self.is_publisher() && !status.is_error() =>
            {
                self.start_flowing(cx);
            }
            "NetStream.Play.Stop" | "NetStream.Play.UnpublishNotify" | "NetStream.Play.Complete" => {
                self.end(cx, End::Said);
            }
            "NetConnection.Connect.Closed"
            | "NetConnection.Connect.AppShutdown"
            | "NetConnection.Connect.IdleTimeout"
                if !matches!(self.state, State::Closing) =>
            {
                if self.is_starting() {
                    return Err(self.rejected(status));
                }
                self.enter(State::Closed, cx.now);
                cx.events.push_back(Event::Closed(Err(status)));
                return Ok(());
            }
            // SRS says so of a stream that is on another server, and may call it no error.
            _ if self.is_starting() && redirect::is_redirect(&status) => return Err(self.rejected(status)),
            _ if status.is_error() && self.is_fatal(&status) => return Err(self.rejected(status)),
            _ => {}
        }
        cx.events.push_back(Event::Status(status));
        Ok(())
    }

    /// Before the stream flows every error is fatal. After that only those which say that it will not go on:
    /// the peer closes the connection for the rest, or does not mean it.
    fn is_fatal(&self, status: &Status) -> bool {
        match self.state {
            State::ExpectConnectResult { .. } | State::ExpectStreamId { .. } | State::ExpectStart { .. } => {
                true
            }
            State::Flowing { .. } => {
                [
                    "NetStream.Publish.",
                    "NetStream.Play.",
                    "NetStream.Record.",
                    "NetConnection.Connect.",
                ]
                .iter()
                .any(|prefix| {
                    status
                        .code
                        .get(..prefix.len())
                        .is_some_and(|code| code.eq_ignore_ascii_case(prefix))
                }) || status.code == "NetStream.Failed"
            }
            State::Handshaking | State::Ended { .. } | State::Closing | State::Closed => false,
        }
    }

    fn rejected(&mut self, status: Status) -> Error {
        self.note(&status);
        Error::Rejected {
            phase: self.phase(),
            status: Box::new(status),
        }
    }

    fn note(&mut self, status: &Status) {
        if !status.code.is_empty() {
            self.last_status = Some(status.code.as_str().into());
        }
    }

    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        let stream_id = match self.state {
            State::ExpectStart { stream_id, .. }
            | State::Flowing { stream_id }
            | State::Ended { stream_id } => Some(stream_id),
            State::Closing | State::Closed => return,
            State::Handshaking | State::ExpectConnectResult { .. } | State::ExpectStreamId { .. } => None,
        };
        if let Some(stream_id) = stream_id {
            let stop = self.config.stop_commands;
            let mut commands = Vec::new();
            if stop.fc_unpublish && self.is_publisher() {
                let command = Command::fc_unpublish(self.next_transaction(), self.config.stream.clone());
                commands.push((chunk_stream::CONNECTION, 0, command));
            }
            if stop.close_stream {
                commands.push((chunk_stream::STREAM, stream_id, Command::close_stream(0.0)));
            }
            if stop.delete_stream {
                let command = Command::delete_stream(self.next_transaction(), stream_id);
                commands.push((chunk_stream::CONNECTION, 0, command));
            }
            for (chunk_stream, on, command) in commands {
                if send(cx.link, chunk_stream, on, &command).is_err() {
                    break;
                }
            }
        }
        self.enter(State::Closing, cx.now);
    }
}

/// A command can be too long for a message only by its configuration: names and arguments of megabytes.
fn send(link: &mut Link, chunk_stream: u32, stream_id: u32, command: &Command) -> Result<(), Error> {
    link.send_command(chunk_stream, stream_id, command)
        .map_err(|_| Error::ApiMisuse("a stream name or connect argument is too long for an RTMP message"))
}

/// A message stream id has 24 bits in FLV and aggregates, and 0 is the connection's.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn stream_id(number: f64) -> Option<u32> {
    (number >= 1.0 && number <= f64::from(0x00FF_FFFF_u32) && number.fract() == 0.0).then_some(number as u32)
}
