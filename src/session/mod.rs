//! A session: one client or one server of RTMP, without a socket, a clock or a thread.
//!
//! The owner tells the time, hands in what came off the transport, writes what [`Session::poll_transmit`]
//! holds, calls back by [`Session::poll_timeout`] at the latest, and takes events until there are none:
//!
//! ```text
//!          handle_input(now, bytes)      handle_timeout(now)
//!                     |                         |
//!                     v                         v
//!   send(now, media) -> +---------------------------+ -> poll_event()     Connected, Ready, Media, Eof, ...
//!   answer(request)  -> |          Session          | -> poll_transmit()  bytes::Buf for the transport
//!   close(now)       -> +---------------------------+ -> poll_timeout()   when to call handle_timeout
//! ```
//!
//! The contract: time never runs backward; after an `Err` the session is over and every further call may
//! repeat the error; events and bytes that were ready before the error may still be taken. Media payloads are
//! opaque: this layer does not know FLV.

pub mod attempt;
mod client;
mod config;
mod enhanced;
mod error;
mod event;
mod habits;
pub mod login;
mod playback;
pub mod redirect;
mod server;
mod stats;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};

pub use self::config::{
    ClientConfig, DEFAULT_CHUNK_SIZE, DEFAULT_TIMEOUT, DEFAULT_WINDOW, Intent, PlayStart, PublishKind,
    ServerConfig, StopCommands,
};
pub use self::enhanced::{Capabilities, Codecs, Support};
pub use self::error::{Error, Phase};
pub use self::event::{
    Event, Input, Media, MediaKind, Order, Recording, Request, Secret, SeekFailure, SwfVerification, Switch,
    Transmit,
};
pub use self::stats::Stats;
pub use crate::link::ByKind;
pub use crate::message::{Level, Status};

use self::client::Client;
use self::server::Server;
use crate::chunk;
use crate::handshake::Entropy;
use crate::link::{Link, Received};
use crate::message::{Incoming, type_id};

/// Chunk streams that this side sends on, all below 32: nginx-rtmp drops what comes on higher ones.
mod chunk_stream {
    pub(super) const CONNECTION: u32 = 3;
    pub(super) const DATA: u32 = 4;
    pub(super) const AUDIO: u32 = 5;
    pub(super) const VIDEO: u32 = 6;
    pub(super) const STREAM: u32 = 8;
}

/// Events that wait to be taken. Beyond that, input is left alone: a message of a few bytes becomes an event of a
/// hundred.
const MAX_EVENTS: usize = 1024;

/// See the [module](self).
pub struct Session {
    link: Link,
    role: Role,
    events: VecDeque<Event>,
    started: Instant,
    handshake_sent: Option<Instant>,
    round_trip: Option<Duration>,
}

enum Role {
    Client(Client),
    Server(Server),
}

/// What a role works with while it handles one thing.
struct Context<'a> {
    now: Instant,
    link: &'a mut Link,
    events: &'a mut VecDeque<Event>,
}

impl Session {
    /// A session that connects: its handshake is ready to be sent.
    #[must_use]
    pub fn client(config: Arc<ClientConfig>, now: Instant) -> Self {
        let mut entropy = Entropy::new(config.entropy);
        Self {
            link: Link::client(config.handshake, 0, &mut entropy),
            role: Role::Client(Client::new(config, now)),
            events: VecDeque::new(),
            started: now,
            handshake_sent: Some(now),
            round_trip: None,
        }
    }

    /// A session that was connected to: it waits for the client's handshake.
    #[must_use]
    pub fn server(config: Arc<ServerConfig>, now: Instant) -> Self {
        let mut entropy = Entropy::new(config.entropy);
        let mut link = Link::server(config.rtmpe, &mut entropy);
        link.set_message_limit(server::MAX_UNAUTHORISED_MESSAGE);
        Self {
            link,
            role: Role::Server(Server::new(config, now)),
            events: VecDeque::new(),
            started: now,
            handshake_sent: None,
            round_trip: None,
        }
    }

    /// Takes what came off the transport. All of a stream input is used but for a last incomplete piece; a session
    /// that [is held](Self::is_held) leaves the rest until it is called again.
    ///
    /// # Errors
    ///
    /// Fatal ones: the session is over.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        match input {
            Input::Stream(bytes) => self.handle_stream(now, bytes),
            Input::Eof => match &mut self.role {
                Role::Client(client) => client.handle_eof(&mut self.events),
                Role::Server(server) => server.handle_eof(&mut self.events),
            },
        }
    }

    fn handle_stream(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), Error> {
        if !self.link.is_open() {
            let had = input.remaining();
            if !self.link.shake(input, self.millis(now))? {
                // The first bytes back, however few, have made the round trip.
                if had > 0 {
                    self.measure_round_trip(now);
                }
                return Ok(());
            }
            self.measure_round_trip(now);
            let (role, mut cx) = self.split(now);
            match role {
                Role::Client(client) => client.handle_open(&mut cx)?,
                Role::Server(server) => server.handle_open(&mut cx),
            }
        }
        let arrived = input.remaining();
        while !self.is_held()
            && let Some(received) = self.link.receive(input)?
        {
            let (role, mut cx) = self.split(now);
            match role {
                Role::Client(client) => client.handle_message(&mut cx, received)?,
                Role::Server(server) => server.handle_message(&mut cx, received)?,
            }
        }
        // Called again with the rest of an input, a session hears nothing new.
        let active = input.remaining() < arrived;
        let received = self.link.flow().received;
        match &mut self.role {
            Role::Client(client) if active => client.handle_activity(now),
            Role::Server(server) if active => {
                server.handle_activity(now);
                server.check_unauthorised(received)?;
            }
            Role::Client(_) | Role::Server(_) => {}
        }
        Ok(())
    }

    /// Does what time has made due. Harmless when called early.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the peer has not answered in time: the session is over.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        let (role, mut cx) = self.split(now);
        match role {
            Role::Client(client) => client.handle_timeout(&mut cx),
            Role::Server(server) => server.handle_timeout(&mut cx),
        }
    }

    /// Queues a media message.
    ///
    /// # Errors
    ///
    /// [`Error::ApiMisuse`] when no stream is flowing in that direction or the payload exceeds 16 MiB - 1.
    pub fn send(&mut self, _now: Instant, media: Media) -> Result<(), Error> {
        let stream_id = match &self.role {
            Role::Client(client) => client.sending_stream(),
            Role::Server(server) => match server.sending_stream(media.kind) {
                server::Outlet::Open(stream_id) => Some(stream_id),
                server::Outlet::Muted => return Ok(()),
                server::Outlet::Closed => None,
            },
        };
        let Some(stream_id) = stream_id else {
            return Err(Error::ApiMisuse(
                "media can be sent only on a stream that has started",
            ));
        };
        let (chunk_stream, type_id) = match media.kind {
            MediaKind::Audio => (chunk_stream::AUDIO, type_id::AUDIO),
            MediaKind::Video => (chunk_stream::VIDEO, type_id::VIDEO),
            MediaKind::Data => (chunk_stream::DATA, type_id::DATA_AMF0),
        };
        self.link
            .send(chunk::Outgoing {
                chunk_stream,
                timestamp: media.timestamp,
                type_id,
                stream_id,
                head: media.head,
                body: media.body,
            })
            .map_err(|_| Error::ApiMisuse("a media message must be shorter than 16 MiB"))
    }

    /// Player: asks the server for something while the stream flows.
    ///
    /// # Errors
    ///
    /// [`Error::ApiMisuse`] when no stream is played.
    pub fn order(&mut self, now: Instant, order: &Order) -> Result<(), Error> {
        let (role, mut cx) = self.split(now);
        match role {
            Role::Client(client) => client.order(&mut cx, order),
            Role::Server(_) => Err(Error::ApiMisuse("a server does not ask a player for anything")),
        }
    }

    /// Server: answers a request that [`Event::Requested`] brought.
    ///
    /// # Errors
    ///
    /// [`Error::ApiMisuse`] when that is not what the session waits for.
    pub fn answer(
        &mut self,
        now: Instant,
        request: &Request,
        verdict: Result<(), Status>,
    ) -> Result<(), Error> {
        let (role, mut cx) = self.split(now);
        match role {
            Role::Client(_) => Err(Error::ApiMisuse("a client has nothing to answer")),
            Role::Server(server) => server.answer(&mut cx, request, verdict),
        }
    }

    /// Server: answers [`Request::Length`] with the length of the stream in seconds.
    ///
    /// # Errors
    ///
    /// [`Error::ApiMisuse`] when that is not what the session waits for.
    pub fn answer_length(&mut self, now: Instant, seconds: f64) -> Result<(), Error> {
        let (role, mut cx) = self.split(now);
        match role {
            Role::Client(_) => Err(Error::ApiMisuse("a client has nothing to answer")),
            Role::Server(server) => server.answer_length(&mut cx, seconds),
        }
    }

    /// Server: tells the player that its stream is a recording.
    pub fn tell_recorded(&mut self, now: Instant) {
        let (role, mut cx) = self.split(now);
        if let Role::Server(server) = role {
            server.tell_recorded(&mut cx);
        }
    }

    /// Server: tells the player that all of its recording, of so many seconds, was sent. It may still seek in it.
    ///
    /// # Errors
    ///
    /// None that can be brought about.
    pub fn complete_stream(&mut self, now: Instant, seconds: f64) -> Result<(), Error> {
        let (role, mut cx) = self.split(now);
        match role {
            Role::Client(_) => Err(Error::ApiMisuse("a client sends no recording")),
            Role::Server(server) => server.complete_stream(&mut cx, seconds),
        }
    }

    /// Server: tells the player that its stream has ended. The connection stands and the client may play again.
    pub fn end_stream(&mut self, now: Instant) {
        let (role, mut cx) = self.split(now);
        if let Role::Server(server) = role {
            server.end_stream(&mut cx);
        }
    }

    /// Announces another chunk size, in bytes, and writes with it from then on. Without effect during the handshake.
    pub fn set_chunk_size(&mut self, size: u32) {
        if self.link.is_open() {
            self.link.set_chunk_size(size);
        }
    }

    /// Queues the commands that end the stream. When [`poll_transmit`](Self::poll_transmit) is empty after
    /// that, the transport can be shut down.
    pub fn close(&mut self, now: Instant) {
        let (role, mut cx) = self.split(now);
        match role {
            Role::Client(client) => client.close(&mut cx),
            Role::Server(server) => server.close(&mut cx),
        }
    }

    /// The bytes to write, or `None` when there are none. The transport advances it by what it has written.
    pub fn poll_transmit(&mut self, _now: Instant) -> Option<&mut Transmit> {
        let queue = self.link.queue_mut();
        queue.has_remaining().then_some(queue)
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.link.queue().remaining()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.role {
            Role::Client(client) => client.poll_timeout(),
            Role::Server(server) => server.poll_timeout(),
        }
    }

    /// The next event, if there is one.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`poll_event`](Self::poll_event) has one.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether RTMPE may be why the server has not answered connect, or with nonsense: the secret of the key
    /// agreement begins with a zero byte, of which implementations make different keys. Another connection has another
    /// secret.
    #[must_use]
    pub fn has_ambiguous_keys(&self) -> bool {
        self.phase() == Phase::Connect && self.link.has_ambiguous_keys()
    }

    /// What the session is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match &self.role {
            Role::Client(client) => client.phase(),
            Role::Server(server) => server.phase(),
        }
    }

    /// What the peer said it can do of Enhanced RTMP; `None` if it said nothing.
    #[must_use]
    pub const fn peer_capabilities(&self) -> Option<&Arc<Capabilities>> {
        match &self.role {
            Role::Client(client) => client.peer_capabilities(),
            Role::Server(server) => server.peer_capabilities(),
        }
    }

    /// What is known of the stream that is played if it is a recording.
    #[must_use]
    pub const fn recording(&self) -> Option<Recording> {
        match &self.role {
            Role::Client(client) => client.recording(),
            Role::Server(_) => None,
        }
    }

    /// Figures of the session up to now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (in_chunk_size, out_chunk_size) = self.link.chunk_sizes();
        let flow = self.link.flow();
        let (peer, last_status) = match &self.role {
            Role::Client(client) => client.peer(),
            Role::Server(server) => server.peer(),
        };
        Stats {
            phase: self.phase(),
            in_chunk_size,
            out_chunk_size,
            in_window_ack_size: flow.peer_window,
            out_window_ack_size: flow.announced_window,
            in_bytes_acked: flow.acknowledged,
            out_bytes_acked: flow.peer_acknowledged,
            messages_in: self.link.received.messages,
            messages_out: self.link.sent.messages,
            media_bytes_in: self.link.received.bytes,
            media_bytes_out: self.link.sent.bytes,
            queued_bytes: self.queued(),
            round_trip: self.round_trip,
            peer_version: peer.cloned(),
            peer_capabilities: self.peer_capabilities().cloned(),
            last_status: last_status.cloned(),
        }
    }

    /// Whether input is left alone: a server waits for an [answer](Self::answer), or there are events to be taken
    /// first.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.is_deciding() || self.events.len() >= MAX_EVENTS
    }

    /// Bytes that may wait to be handed in while the session is held: little for a client that nobody has let in.
    #[must_use]
    pub const fn held_input_limit(&self) -> usize {
        match &self.role {
            Role::Client(_) => usize::MAX,
            Role::Server(server) => server.held_input_limit(),
        }
    }

    const fn is_deciding(&self) -> bool {
        match &self.role {
            Role::Client(_) => false,
            Role::Server(server) => server.is_deciding(),
        }
    }

    fn split(&mut self, now: Instant) -> (&mut Role, Context<'_>) {
        (
            &mut self.role,
            Context {
                now,
                link: &mut self.link,
                events: &mut self.events,
            },
        )
    }

    fn measure_round_trip(&mut self, now: Instant) {
        if let Some(sent) = self.handshake_sent.take() {
            self.round_trip = Some(now.saturating_duration_since(sent));
        }
    }

    /// Milliseconds since the session started, as the handshake counts them.
    fn millis(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

/// The media of a received message, if it is one.
fn media(received: Received) -> Option<Media> {
    let (kind, body) = match received.incoming {
        Incoming::Audio(payload) => (MediaKind::Audio, payload),
        Incoming::Video(payload) => (MediaKind::Video, payload),
        Incoming::Data(data) => (MediaKind::Data, data.into_amf0()),
        _ => return None,
    };
    Some(Media {
        kind,
        timestamp: received.timestamp,
        head: Bytes::new(),
        body,
    })
}
