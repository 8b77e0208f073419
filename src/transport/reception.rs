//! Where a server's connections come in: their first byte tells RTMP, TLS and HTTP apart, so that one port serves all.
//!
//! ```text
//!   16           TLS, if there is a certificate; then, inside of it,
//!   03           RTMP -------------------> Guest: the connection itself
//!   06, 08, 09   RTMPE ------------------> Guest: likewise
//!   A to Z       HTTP: /open ------------> Guest: a session whose bytes come by the requests that follow
//! ```
//!
//! What begins with anything else is a guest as well, of whom the session will say what is wrong. HTTP connections stay
//! here: they belong to no session. Whoever owns the reception watches its sockets, calls
//! [`handle_ready`](Reception::handle_ready), drives the guests, and has the requests answered by
//! [`answer`](Reception::answer) after that, so that what a session says to a request is in the answer to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};

use super::carrier::Carrier;
use super::driver::Driver;
use super::hosted::{self, Mailbox};
use super::stream::Stream;
use super::tcp::{Interest, Socket};
use super::tls;
use crate::session::Session;
use crate::tunnel::server::{Answer, Connection, SessionId, Sessions, Step, Turn};
use crate::url::Scheme;

pub use crate::tunnel::server::Limits as TunnelLimits;

/// Bytes read from a connection at a time.
const READ_SIZE: usize = 64 << 10;

/// Reads of one connection before the others get their turn.
const MAX_READS: usize = 16;

/// What TLS begins with: the type of a record of the handshake, RFC 8446 section 5.1.
const TLS_HANDSHAKE: u8 = 22;

/// What a reception puts up with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are no guests: those of HTTP, and those that have said nothing.
    pub connections: usize,
    /// How long a connection may take to say its first byte.
    pub silence: Duration,
    /// How long an HTTP connection may take from one whole request to the next.
    pub request: Duration,
    /// Sessions through HTTP.
    pub tunnels: TunnelLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            silence: Duration::from_secs(10),
            request: Duration::from_secs(60),
            tunnels: TunnelLimits::default(),
        }
    }
}

/// A client that has come, for a session of its own.
pub struct Guest {
    carrier: Carrier,
    received: BytesMut,
    /// Where it comes from; through a tunnel, where its first request came from.
    pub peer: SocketAddr,
    /// How its bytes come.
    pub scheme: Scheme,
}

impl Guest {
    /// Drives `session` over the guest's connection, see [`Driver::new`].
    #[must_use]
    pub fn drive(self, session: Session, write_timeout: Option<Duration>, now: Instant) -> Driver {
        let mut driver = Driver::new(self.carrier, session, write_timeout, now);
        driver.handle_received(now, self.received);
        driver
    }
}

/// Shows no bytes: a stream key may be among them.
impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("peer", &self.peer)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// Names a connection of a [`Reception`].
pub type Key = u64;

/// See the module.
pub struct Reception {
    limits: Limits,
    tls: Option<tls::Server>,
    visitors: BTreeMap<Key, Visitor>,
    last_key: Key,
    sessions: Sessions,
    mailboxes: HashMap<SessionId, Mailbox>,
    guests: VecDeque<Guest>,
    /// Visitors whose requests wait for their answers.
    asked: BTreeSet<Key>,
    /// Visitors with something to do though their sockets need not be ready.
    busy: BTreeSet<Key>,
}

/// A connection that is no guest.
struct Visitor {
    stream: Stream,
    peer: SocketAddr,
    input: BytesMut,
    stage: Stage,
    deadline: Option<Instant>,
    /// It sends nothing more and takes nothing more. What it has asked for before is done all the same: librtmp sends
    /// its last requests without waiting for the answers.
    has_gone: bool,
}

enum Stage {
    /// Nothing has come.
    Silent,
    /// HTTP, and the request that waits for its answer.
    Http(Connection, Option<Turn>),
}

/// What becomes of a visitor.
enum Fate {
    Stays,
    Leaves,
    /// It speaks RTMP.
    Enters,
}

impl Reception {
    /// A reception without connections, which does TLS with `tls`.
    #[must_use]
    pub fn new(limits: Limits, tls: Option<tls::Server>) -> Self {
        Self {
            tls,
            sessions: Sessions::new(limits.tunnels),
            limits,
            visitors: BTreeMap::new(),
            last_key: 0,
            mailboxes: HashMap::new(),
            guests: VecDeque::new(),
            asked: BTreeSet::new(),
            busy: BTreeSet::new(),
        }
    }

    /// Takes a connection that was accepted; false if there are too many, and it is closed.
    pub fn receive(&mut self, now: Instant, socket: Socket) -> bool {
        if self.visitors.len() >= self.limits.connections {
            return false;
        }
        self.last_key += 1;
        let peer = socket.peer_addr();
        let visitor = Visitor {
            stream: socket.into(),
            peer,
            input: BytesMut::new(),
            stage: Stage::Silent,
            deadline: now.checked_add(self.limits.silence),
            has_gone: false,
        };
        self.visitors.insert(self.last_key, visitor);
        // Most clients have said something by the time that they are accepted.
        self.busy.insert(self.last_key);
        true
    }

    /// The sockets to watch, and for what.
    pub fn watched(&self) -> impl Iterator<Item = (Key, &Socket, Interest)> {
        self.visitors
            .iter()
            .map(|(key, visitor)| (*key, visitor.stream.socket(), visitor.interest()))
    }

    /// When there is something to do though no socket is ready.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let busy =
            (!self.busy.is_empty() || self.asked.iter().any(|key| self.can_answer(*key))).then_some(now);
        let deadlines = self.visitors.values().filter_map(|visitor| visitor.deadline);
        let held = self.visitors.values().any(Visitor::holds_input);
        deadlines
            .chain(busy)
            .chain(held.then_some(now))
            .chain(self.sessions.poll_timeout())
            .min()
    }

    /// Whether nothing keeps the request of a visitor from being answered.
    fn can_answer(&self, key: Key) -> bool {
        let turn = match self.visitors.get(&key).map(|visitor| &visitor.stage) {
            Some(Stage::Http(_, Some(turn))) => turn,
            Some(Stage::Http(_, None) | Stage::Silent) | None => return true,
        };
        self.mailboxes
            .get(&turn.session)
            .is_none_or(|mailbox| !mailbox.is_full())
    }

    /// Reads and writes what the sockets of `ready` visitors allow, and does what time has made due.
    pub fn handle_ready(&mut self, now: Instant, ready: impl IntoIterator<Item = Key>) {
        for gone in self.sessions.handle_timeout(now) {
            self.mailboxes.remove(&gone);
        }
        let mut due = std::mem::take(&mut self.busy);
        due.extend(ready);
        for (key, visitor) in &self.visitors {
            if visitor.holds_input() || visitor.deadline.is_some_and(|deadline| deadline <= now) {
                due.insert(*key);
            }
        }
        for key in due {
            self.serve(now, key);
        }
    }

    fn serve(&mut self, now: Instant, key: Key) {
        let Some(visitor) = self.visitors.remove(&key) else {
            return;
        };
        let Some((mut visitor, has_spoken)) = self.secured(visitor) else {
            return;
        };
        // Not read before it is known what it is: what comes between the two would be taken for RTMP.
        let fate = match has_spoken {
            true => self.advance(now, key, &mut visitor),
            false => Fate::Stays,
        };
        let is_late = visitor.deadline.is_some_and(|deadline| deadline <= now);
        match fate {
            Fate::Stays if !is_late => {
                self.visitors.insert(key, visitor);
            }
            Fate::Enters => self.guests.push_back(visitor.into_guest()),
            // Its requests may be repeated by another connection.
            Fate::Stays | Fate::Leaves => {
                self.asked.remove(&key);
            }
        }
    }

    /// Puts TLS over a connection that begins with it, and tells whether it has begun; none if that cannot be done.
    fn secured(&self, visitor: Visitor) -> Option<(Visitor, bool)> {
        match (visitor, &self.tls) {
            (
                Visitor {
                    stream: Stream::Plain(socket),
                    stage: Stage::Silent,
                    peer,
                    input,
                    deadline,
                    has_gone,
                },
                Some(tls),
            ) => {
                let (stream, has_spoken) = match socket.peek() {
                    Ok(Some(TLS_HANDSHAKE)) => (tls.start(socket).ok()?.into(), true),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => (Stream::Plain(socket), false),
                    Ok(Some(_) | None) | Err(_) => (Stream::Plain(socket), true),
                };
                let visitor = Visitor {
                    stream,
                    peer,
                    input,
                    stage: Stage::Silent,
                    deadline,
                    has_gone,
                };
                Some((visitor, has_spoken))
            }
            (visitor, _) => Some((visitor, true)),
        }
    }

    /// Does what can be done for a visitor without waiting.
    fn advance(&mut self, now: Instant, key: Key, visitor: &mut Visitor) -> Fate {
        let is_secure = matches!(visitor.stream, Stream::Tls(_));
        if let Stage::Silent = visitor.stage {
            // TLS shakes hands. What fails is told by the read.
            let _ = visitor.stream.flush();
        }
        for _ in 0..MAX_READS {
            if let Stage::Http(connection, turn) = &mut visitor.stage {
                if visitor.has_gone {
                    connection.output().clear();
                }
                match write(&mut visitor.stream, connection.output()) {
                    Ok(true) if connection.is_over() => return Fate::Leaves,
                    Ok(true) => {}
                    // Who does not take its answers may ask no more.
                    Ok(false) => return Fate::Stays,
                    // What it has sent is still to be read.
                    Err(_) => connection.output().clear(),
                }
                if turn.is_none()
                    && let Some(request) = connection.handle_input(&mut visitor.input)
                {
                    visitor.deadline = now.checked_add(self.limits.request);
                    let mut entropy = [0; 16];
                    if getrandom::fill(&mut entropy).is_err() {
                        connection.answer(&Answer::Busy);
                        continue;
                    }
                    let step = self
                        .sessions
                        .handle_request(now, visitor.peer.ip(), request, entropy);
                    match self.take(step, visitor.peer, is_secure) {
                        Ok(answer) => connection.answer(&answer),
                        Err(asked) => {
                            *turn = Some(asked);
                            self.asked.insert(key);
                        }
                    }
                    continue;
                }
                if !connection.output().is_empty() {
                    // A request that was refused without being handed out.
                    continue;
                }
                if turn.is_some() && (visitor.has_gone || visitor.input.len() >= READ_SIZE) {
                    return Fate::Stays;
                }
            }
            if visitor.has_gone {
                return Fate::Leaves;
            }
            match visitor.stream.read(&mut visitor.input, READ_SIZE) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Fate::Stays,
                Ok(0) | Err(_) => {
                    visitor.has_gone = true;
                    continue;
                }
            }
            if let (Stage::Silent, Some(first)) = (&visitor.stage, visitor.input.first()) {
                if !first.is_ascii_uppercase() {
                    return Fate::Enters;
                }
                visitor.stage = Stage::Http(Connection::new(), None);
                visitor.deadline = now.checked_add(self.limits.request);
            }
        }
        self.busy.insert(key);
        Fate::Stays
    }

    /// Does what a request asks for; its answer, or the turn in which it gets one.
    fn take(&mut self, step: Step, peer: SocketAddr, is_secure: bool) -> Result<Answer, Turn> {
        match step {
            Step::Answered(answer) => Ok(answer),
            Step::Opened(opened) => {
                let (hosted, mailbox) = hosted::pair();
                self.mailboxes.insert(opened.session, mailbox);
                self.guests.push_back(Guest {
                    carrier: Carrier::Hosted(hosted),
                    received: BytesMut::new(),
                    peer,
                    scheme: if is_secure { Scheme::Rtmpts } else { Scheme::Rtmpt },
                });
                Ok(opened.answer)
            }
            Step::Closed(session, answer) => {
                self.mailboxes.remove(&session);
                Ok(answer)
            }
            Step::Taken(turn, bytes) => {
                if let Some(mailbox) = self.mailboxes.get(&turn.session) {
                    mailbox.deliver(bytes);
                }
                Err(turn)
            }
        }
    }

    /// The next client that has come.
    pub fn poll_guest(&mut self) -> Option<Guest> {
        self.guests.pop_front()
    }

    /// Answers the requests whose sessions have had their say.
    pub fn answer(&mut self, now: Instant) {
        for key in std::mem::take(&mut self.asked) {
            let Some(Visitor {
                stage: Stage::Http(connection, waiting @ Some(_)),
                ..
            }) = self.visitors.get_mut(&key)
            else {
                continue;
            };
            let Some(turn) = waiting.take() else { continue };
            let answer = match self.mailboxes.get(&turn.session) {
                // Until the session has caught up.
                Some(mailbox) if mailbox.is_full() => {
                    *waiting = Some(turn);
                    self.asked.insert(key);
                    continue;
                }
                Some(mailbox) => {
                    mailbox.collect(|output, has_ended| self.sessions.answer(&turn, output, has_ended))
                }
                None => Answer::NotFound,
            };
            if !self.sessions.knows(&turn.session) {
                self.mailboxes.remove(&turn.session);
            }
            connection.answer(&answer);
            self.serve(now, key);
        }
    }
}

impl Visitor {
    /// Whether answers wait for it to read them.
    fn is_blocked(&self) -> bool {
        match &self.stage {
            Stage::Silent => false,
            Stage::Http(connection, _) => connection.has_output() || self.stream.has_output(),
        }
    }

    /// Whether more is read of it: not while it leaves its answers alone, nor while it is ahead of them.
    fn is_read(&self) -> bool {
        let is_ahead = matches!(&self.stage, Stage::Http(_, Some(_)) if self.input.len() >= READ_SIZE);
        !self.has_gone && !self.is_blocked() && !is_ahead
    }

    /// Whether there is something to read though its socket has nothing.
    fn holds_input(&self) -> bool {
        self.is_read() && self.stream.has_input()
    }

    fn interest(&self) -> Interest {
        if self.has_gone {
            return Interest::default();
        }
        self.stream.interest(Interest {
            readable: self.is_read(),
            writable: self.is_blocked() || self.stream.has_output(),
        })
    }

    fn into_guest(self) -> Guest {
        Guest {
            scheme: match (&self.stream, self.input.first()) {
                (Stream::Tls(_), _) => Scheme::Rtmps,
                (Stream::Plain(_), Some(6 | 8 | 9)) => Scheme::Rtmpe,
                (Stream::Plain(_), _) => Scheme::Rtmp,
            },
            carrier: self.stream.into(),
            received: self.input,
            peer: self.peer,
        }
    }
}

/// Writes `output`; whether all of it has gone.
fn write(stream: &mut Stream, output: &mut BytesMut) -> io::Result<bool> {
    let blocked = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock => Ok(false),
        _ => Err(error),
    };
    while !output.is_empty() {
        match stream.write_vectored(&[IoSlice::new(output)]) {
            Ok(0) => return Ok(false),
            Ok(count) => output.advance(count),
            Err(error) => return blocked(error),
        }
    }
    match stream.flush() {
        Ok(()) => Ok(!stream.has_output()),
        Err(error) => blocked(error),
    }
}

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reception")
            .field("connections", &self.visitors.len())
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
