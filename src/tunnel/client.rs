//! The client's end of a tunnel: bytes of a session into requests, answers into bytes.
//!
//! ```text
//!   Opening --(id of the session)--> Open --(close)--> Closing --(all answered, then /close)--> Ended
//!      |                              |
//!      +--> a redirect, followed once +--(the answer says that the session has ended)-----------> Ended
//! ```
//!
//! One request is out at a time; what is written meanwhile goes with the next, up to a bound that grows while the
//! server is quick. When there is nothing to send the server is asked by /idle: at once after an answer with bytes,
//! and ever later while there are none, but no sooner than the server wishes.
//!
//! The HTTP connection is the caller's and may be another one for each request. If one ends that has served a
//! request, without a byte of the answer to the next, it has most likely been closed for having been idle while that
//! was on its way, and the request is repeated with the same number, once; so is one that had not gone out whole.
//! Any other loss of an answer is final: the bytes of the request may have been taken, and would be taken twice by
//! servers that do not look at numbers (Red5).

use std::fmt;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};

pub use self::transmit::Transmit;
use super::http::{self, Body, Framing, HeadEnd, MAX_HEADERS};
use super::target::{Origin, Redirect};
use super::{CONTENT_TYPE, Error, OPENING, is_session_id};
use crate::wire::Malformed;

mod transmit;

/// Most bytes that wait for the next request, and so the longest body of one.
const MAX_PENDING: usize = 256 << 10;

/// Longest body at first, and shortest bound that slow answers bring about.
const FIRST_BATCH: usize = 32 << 10;

/// An answer within this time lets bodies become longer; four times as long makes them shorter.
const QUICK: Duration = Duration::from_millis(500);

/// Longest body of the answer to /open: an id, and perhaps the end of its line.
const MAX_OPEN_BODY: usize = 64;

/// The unit of the polling byte is told nowhere; servers use 1 to 33 as if it was this.
const POLLING_UNIT: Duration = Duration::from_micros(1_000_000 / 64);

/// Shortest and longest pause before the server is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// Empty answers after which the pause doubles, whatever the server wishes; Red5's own step.
const EMPTY_STEP: u32 = 10;

/// How long the answer to an /idle is awaited at least: servers may hold it until there is something.
const IDLE_PATIENCE: Duration = Duration::from_secs(30);

/// How long the answer to the /close is awaited. Nothing depends on it.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Connections in a row that may end before anything was written to them.
const MAX_UNTRIED: u8 = 2;

/// Interim answers (1xx) before the one that counts.
const MAX_INTERIM: u8 = 8;

/// Cookies that are sent back, and their bytes.
const MAX_COOKIES: usize = 16;
const MAX_COOKIE_BYTES: usize = 4 << 10;

/// What a tunnel is told before it starts. `Debug` shows no login.
#[derive(Clone)]
pub struct Config {
    /// Host name or IP address of the server, without brackets.
    pub host: String,
    /// TCP port of the server.
    pub port: u16,
    /// Whether the connection to the server is TLS.
    pub is_secure: bool,
    /// Whether requests name the whole URL, for an HTTP proxy to which the connections go.
    pub absolute_form: bool,
    /// What that proxy is told of who we are, in a Proxy-Authorization field.
    pub proxy_authorization: Option<String>,
    /// How long an answer may take; `None` is for ever.
    pub timeout: Option<Duration>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("is_secure", &self.is_secure)
            .field("absolute_form", &self.absolute_form)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// See the module. `Debug` shows neither bytes nor the session's id.
pub struct Client {
    origin: Origin,
    proxy_authorization: Option<String>,
    timeout: Option<Duration>,
    state: State,
    cookies: Vec<Cookie>,
    connection: Connection,
    /// Number of the next request.
    number: u32,
    /// Whether C0 and C1 have been put into a request.
    has_begun: bool,
    /// RTMP bytes for the next request.
    pending: BytesMut,
    /// Longest body.
    batch: usize,
    request: Option<Request>,
    answer: Answer,
    /// RTMP bytes of answers.
    received: BytesMut,
    /// What the last polling byte asks for.
    pause: Duration,
    /// Answers without RTMP bytes in a row.
    empty: u32,
    /// When the next /idle is due.
    next_idle: Option<Instant>,
}

enum State {
    /// No session yet.
    Opening { redirected: bool },
    /// The server sends us elsewhere.
    Moved(Redirect),
    /// The session of this id lasts.
    Open { id: String },
    /// The same, to be closed when all has been sent.
    Closing { id: String },
    /// Nothing more is to be sent or received.
    Ended,
}

/// The HTTP connection that the caller has made.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Connection {
    /// There is none.
    Absent,
    /// It has not answered a request.
    Fresh,
    /// It has.
    Used,
    /// It serves no further request.
    Spent,
}

struct Cookie {
    name: String,
    value: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Verb {
    Open,
    Send,
    Idle,
    Close,
}

/// A request without its whole answer.
struct Request {
    verb: Verb,
    transmit: Transmit,
    /// To be sent again from here.
    original: Transmit,
    repeated: bool,
    /// Connections that ended before a byte of it was written to them.
    untried: u8,
    /// Interim answers that have come.
    interim: u8,
    started: Instant,
    deadline: Option<Instant>,
}

/// How much of an answer has come.
enum Answer {
    Head(HeadEnd),
    Body {
        body: Body,
        persists: bool,
        /// Whether the polling byte has come.
        begun: bool,
        /// RTMP bytes that have come.
        count: usize,
        /// The polling byte has told the end.
        ends: bool,
    },
}

impl Answer {
    fn awaited() -> Self {
        Self::Head(HeadEnd::default())
    }
}

impl Client {
    /// A tunnel that asks for a session with its first connection.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            origin: Origin::new(&config.host, config.port, config.is_secure, config.absolute_form),
            proxy_authorization: config.proxy_authorization.clone(),
            timeout: config.timeout,
            state: State::Opening { redirected: false },
            cookies: Vec::new(),
            connection: Connection::Absent,
            number: 0,
            has_begun: false,
            pending: BytesMut::new(),
            batch: FIRST_BATCH,
            request: None,
            answer: Answer::awaited(),
            received: BytesMut::new(),
            pause: PAUSES.0,
            empty: 0,
            next_idle: None,
        }
    }

    /// A tunnel to where an /open was sent on to; it follows no further redirect.
    #[must_use]
    pub fn redirected(config: &Config, redirect: &Redirect) -> Self {
        let mut client = Self::new(config);
        client.origin.set_prefix(&redirect.prefix);
        client.state = State::Opening { redirected: true };
        client
    }

    /// Whether the server has opened a session.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Closing { .. })
    }

    /// Where the server has sent us instead of opening a session.
    #[must_use]
    pub const fn redirect(&self) -> Option<&Redirect> {
        match &self.state {
            State::Moved(redirect) => Some(redirect),
            State::Opening { .. } | State::Open { .. } | State::Closing { .. } | State::Ended => None,
        }
    }

    /// Whether the session is over: nothing more will be received, nothing more is sent.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes the front of `slices` and says how many bytes of it; 0 while there is no room.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> usize {
        let mut taken = 0;
        if matches!(self.state, State::Opening { .. } | State::Open { .. }) {
            for slice in slices {
                let room = MAX_PENDING.saturating_sub(self.pending.len());
                let part = slice.get(..room).unwrap_or(slice);
                self.pending.extend_from_slice(part);
                taken += part.len();
            }
        }
        taken
    }

    /// Has the session closed when all that was written has been answered.
    pub fn close(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Open { id } | State::Closing { id } => State::Closing { id },
            State::Opening { .. } | State::Moved(_) | State::Ended => State::Ended,
        };
        if !self.has_begun && self.pending.len() < OPENING {
            self.pending.clear();
        }
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has begun a request that a connection has to be made for.
    #[must_use]
    pub fn wants_connection(&self) -> bool {
        self.connection == Connection::Absent && self.has_unwritten()
    }

    /// Whether a request has begun that has not been written whole.
    #[must_use]
    pub fn has_unwritten(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.transmit.has_remaining())
    }

    /// Whether the connection is to be closed by the caller: it serves no further request.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.connection == Connection::Spent
    }

    /// Whether the answer to a request is awaited.
    #[must_use]
    pub const fn awaits_answer(&self) -> bool {
        self.request.is_some()
    }

    /// Whether bytes that were taken have not been sent and answered.
    #[must_use]
    pub fn has_unanswered(&self) -> bool {
        !self.has_ended()
            && (!self.pending.is_empty()
                || self
                    .request
                    .as_ref()
                    .is_some_and(|request| request.verb != Verb::Idle)
                || matches!(self.state, State::Closing { .. }))
    }

    /// There is a new connection.
    pub fn handle_connected(&mut self) {
        self.connection = Connection::Fresh;
        self.answer = Answer::awaited();
    }

    /// The connection has ended, by whomever.
    pub fn handle_disconnected(&mut self, now: Instant) -> Result<(), Error> {
        let connection = std::mem::replace(&mut self.connection, Connection::Absent);
        match std::mem::replace(&mut self.answer, Answer::awaited()) {
            Answer::Head(end) => {
                let Some(request) = &mut self.request else {
                    return Ok(());
                };
                let is_unread = !end.has_seen_any();
                let was_kept = connection == Connection::Used || request.transmit.has_remaining();
                if request.verb == Verb::Close {
                    self.request = None;
                    self.state = State::Ended;
                } else if request.transmit.remaining() == request.original.remaining()
                    && request.untried < MAX_UNTRIED
                {
                    // Nothing of it has left, so nothing is repeated.
                    request.untried += 1;
                } else if is_unread && was_kept && !request.repeated {
                    request.repeated = true;
                    request.transmit = request.original.clone();
                } else {
                    return Err(Error::Disconnected);
                }
                Ok(())
            }
            Answer::Body {
                body: Body::UntilEnd,
                count,
                ends,
                ..
            } => self.complete(now, count, ends),
            Answer::Body { .. } => Err(Error::Disconnected),
        }
    }

    /// Reads answers off the front of `input`.
    pub fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), Error> {
        loop {
            match &mut self.answer {
                Answer::Head(end) => {
                    if self.request.is_none() {
                        // Servers say 408 to connections that have been idle for long, then close them.
                        if !input.is_empty() {
                            input.clear();
                            self.connection = Connection::Spent;
                        }
                        return Ok(());
                    }
                    let Some(length) = end.find(input)? else {
                        return Ok(());
                    };
                    let head = input.split_to(length);
                    self.handle_head(&head)?;
                }
                Answer::Body {
                    body,
                    begun,
                    count,
                    ends,
                    ..
                } => {
                    let is_open = matches!(self.state, State::Opening { .. });
                    while let Some(mut piece) = body.decode(input)? {
                        if is_open {
                            if self.received.len().saturating_add(piece.len()) > MAX_OPEN_BODY {
                                return Err(Error::Page);
                            }
                        } else if !*begun {
                            *begun = true;
                            let polling = piece.get_u8();
                            *ends = polling == 0;
                            self.pause = POLLING_UNIT * u32::from(polling);
                        }
                        *count = count.saturating_add(piece.len());
                        if !piece.is_empty() {
                            self.received.unsplit(piece);
                        }
                    }
                    if !body.is_over() {
                        return Ok(());
                    }
                    let (count, ends) = (*count, *ends);
                    self.complete(now, count, ends)?;
                    if self.connection == Connection::Spent {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn handle_head(&mut self, head: &[u8]) -> Result<(), Error> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(head).map_err(http::malformed)?;
        let status = response.code.unwrap_or_default();
        self.answer = Answer::awaited();
        if (100..200).contains(&status) && status != 101 {
            let interim = self.request.as_mut().map(|request| &mut request.interim);
            if let Some(interim) = interim {
                *interim += 1;
                if *interim > MAX_INTERIM {
                    return Err(Malformed::Excessive("the interim answers of an HTTP server").into());
                }
            }
            return Ok(());
        }
        let framing = Framing::read(response.version, response.headers)?;
        let Some(request) = &self.request else {
            return Ok(());
        };
        if request.verb == Verb::Close {
            // Whatever is said of it, the session is over.
            self.request = None;
            self.state = State::Ended;
            self.connection = Connection::Spent;
            return Ok(());
        }
        let value = |name: &str| {
            let found = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(found.value).ok()
        };
        if request.verb == Verb::Open {
            for header in response.headers.iter() {
                if header.name.eq_ignore_ascii_case("set-cookie") {
                    keep_cookie(&mut self.cookies, header.value);
                }
            }
        }
        match (request.verb, status) {
            (_, 200) => {}
            (Verb::Open, 300..400) => {
                let redirect = value("location").and_then(|location| self.origin.redirect(location));
                let State::Opening { redirected: false } = self.state else {
                    return Err(Error::Redirected(status));
                };
                self.state = State::Moved(redirect.ok_or(Error::Redirected(status))?);
                self.request = None;
                self.connection = Connection::Spent;
                return Ok(());
            }
            (_, 407) => return Err(Error::ProxyUnauthorized),
            // tinyproxy 1.11 answers a wrong login with the word of servers: `tests/peers_proxy.rs`.
            (Verb::Open, 401) if self.proxy_authorization.is_some() => return Err(Error::ProxyUnauthorized),
            (_, 401 | 403) => return Err(Error::Unauthorized(status)),
            (Verb::Open, 400 | 404 | 405 | 410 | 501) => return Err(Error::NotOffered(status)),
            (Verb::Open, _) => return Err(Error::Refused(status)),
            (Verb::Send | Verb::Idle | Verb::Close, _) => return Err(Error::SessionLost(status)),
        }
        if request.transmit.has_remaining() {
            return Err(invalid("an answer before its request", status.into()).into());
        }
        let is_page = value("content-type").is_some_and(|kind| {
            let kind = kind.trim_ascii_start().as_bytes();
            kind.get(..9)
                .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"))
        });
        if request.verb == Verb::Open && is_page {
            return Err(Error::Page);
        }
        self.answer = Answer::Body {
            body: Body::of_answer(&framing)?,
            persists: framing.persists,
            begun: false,
            count: 0,
            ends: false,
        };
        Ok(())
    }

    /// An answer has come to its end.
    fn complete(&mut self, now: Instant, count: usize, ends: bool) -> Result<(), Error> {
        let persists = matches!(
            std::mem::replace(&mut self.answer, Answer::awaited()),
            Answer::Body { persists: true, .. }
        );
        if self.connection != Connection::Absent {
            self.connection = if persists {
                Connection::Used
            } else {
                Connection::Spent
            };
        }
        let Some(request) = self.request.take() else {
            return Ok(());
        };
        match request.verb {
            Verb::Open => {
                let text = self.received.split();
                let id = std::str::from_utf8(&text)
                    .map(str::trim_ascii_end)
                    .ok()
                    .filter(|id| is_session_id(id))
                    .ok_or(Error::Page)?;
                self.state = State::Open { id: id.to_owned() };
            }
            Verb::Close => self.state = State::Ended,
            Verb::Send | Verb::Idle => {
                if ends {
                    self.state = State::Ended;
                    self.pending.clear();
                }
                if request.verb == Verb::Send {
                    self.adapt(now, &request);
                }
                self.empty = if count > 0 {
                    0
                } else {
                    self.empty.saturating_add(1)
                };
                self.next_idle = now.checked_add(self.idle_pause());
            }
        }
        Ok(())
    }

    /// Fits the length of bodies to how long they take.
    fn adapt(&mut self, now: Instant, request: &Request) {
        let took = now.saturating_duration_since(request.started);
        if took > 4 * QUICK {
            self.batch = (self.batch / 2).max(FIRST_BATCH);
        } else if took < QUICK && request.original.body.len() >= self.batch {
            self.batch = (self.batch * 2).min(MAX_PENDING);
        }
    }

    fn idle_pause(&self) -> Duration {
        if self.empty == 0 {
            return Duration::ZERO;
        }
        let (shortest, longest) = PAUSES;
        let own = shortest.saturating_mul(1 << (self.empty / EMPTY_STEP).min(8));
        self.pause.max(own).min(longest)
    }

    /// RTMP bytes that have come, at most `max` of them.
    pub fn poll_input(&mut self, max: usize) -> Option<BytesMut> {
        let is_id = matches!(self.state, State::Opening { .. });
        let count = self.received.len().min(max);
        (!is_id && count > 0).then(|| self.received.split_to(count))
    }

    /// RTMP bytes that have come and were not taken.
    #[must_use]
    pub fn received(&self) -> usize {
        match self.state {
            // The id of the session, as far as it has come.
            State::Opening { .. } => 0,
            State::Moved(_) | State::Open { .. } | State::Closing { .. } | State::Ended => {
                self.received.len()
            }
        }
    }

    /// What is to be written to the connection now. It is taken by advancing it.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<&mut Transmit> {
        if self.request.is_none() {
            self.request = self.due(now).map(|verb| self.make(verb, now));
        }
        if matches!(self.connection, Connection::Absent | Connection::Spent) {
            return None;
        }
        let request = self.request.as_mut()?;
        request.transmit.has_remaining().then_some(&mut request.transmit)
    }

    /// Bytes of what was taken have left: it is the answer that may take so long, not a long body on its way.
    pub fn handle_sent(&mut self, now: Instant) {
        if let Some(request) = self
            .request
            .as_mut()
            .filter(|request| request.verb != Verb::Close)
        {
            let patience = patience(request.verb, self.timeout);
            request.deadline = patience.and_then(|patience| now.checked_add(patience));
        }
    }

    /// The /close of a session that is given up as it stands: it goes behind a request that still waits for its
    /// answer. None if there is no session, or no connection that could take it.
    pub fn abandon(&mut self) -> Option<Transmit> {
        let takes_more =
            matches!(self.connection, Connection::Fresh | Connection::Used) && !self.has_unwritten();
        if !self.is_open() || !takes_more {
            return None;
        }
        let body = Bytes::from_static(&[0]);
        let head = self.head(Verb::Close, body.len());
        self.state = State::Ended;
        Some(Transmit { head, body })
    }

    /// What has to be asked for now.
    fn due(&self, now: Instant) -> Option<Verb> {
        let has_body = if self.has_begun {
            !self.pending.is_empty()
        } else {
            self.pending.len() >= OPENING
        };
        match &self.state {
            State::Opening { .. } => Some(Verb::Open),
            State::Open { .. } if has_body => Some(Verb::Send),
            State::Open { .. } => self.next_idle.is_some_and(|due| due <= now).then_some(Verb::Idle),
            State::Closing { .. } => Some(if has_body { Verb::Send } else { Verb::Close }),
            State::Moved(_) | State::Ended => None,
        }
    }

    fn make(&mut self, verb: Verb, now: Instant) -> Request {
        let body = match verb {
            Verb::Open | Verb::Idle | Verb::Close => Bytes::from_static(&[0]),
            Verb::Send => {
                let length = if self.has_begun { self.batch } else { OPENING };
                self.has_begun = true;
                // What is said may be asked for an answer soon.
                self.empty = 0;
                self.pending.split_to(length.min(self.pending.len())).freeze()
            }
        };
        let transmit = Transmit {
            head: self.head(verb, body.len()),
            body,
        };
        Request {
            verb,
            original: transmit.clone(),
            transmit,
            interim: 0,
            repeated: false,
            untried: 0,
            started: now,
            deadline: patience(verb, self.timeout).and_then(|patience| now.checked_add(patience)),
        }
    }

    fn head(&mut self, verb: Verb, length: usize) -> Bytes {
        let path = match (&self.state, verb) {
            (State::Open { id } | State::Closing { id }, Verb::Send | Verb::Idle | Verb::Close) => {
                let name = match verb {
                    Verb::Send => "send",
                    Verb::Idle => "idle",
                    Verb::Open | Verb::Close => "close",
                };
                let number = self.number;
                self.number = number.wrapping_add(1);
                format!("/{name}/{id}/{number}")
            }
            _ => self.origin.open().to_owned(),
        };
        // The spelling of these is compared byte for byte by crtmpserver.
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nUser-Agent: Shockwave Flash\r\n\
             Connection: Keep-Alive\r\nCache-Control: no-cache\r\nContent-Type: {CONTENT_TYPE}\r\n\
             Content-Length: {length}\r\n",
            self.origin.target(&path),
            self.origin.authority(),
        );
        if let Some(authorization) = &self.proxy_authorization {
            head.push_str("Proxy-Authorization: ");
            head.push_str(authorization);
            head.push_str("\r\n");
        }
        for (index, cookie) in self.cookies.iter().enumerate() {
            head.push_str(if index == 0 { "Cookie: " } else { "; " });
            head.push_str(&cookie.name);
            head.push('=');
            head.push_str(&cookie.value);
        }
        head.push_str(if self.cookies.is_empty() {
            "\r\n"
        } else {
            "\r\n\r\n"
        });
        head.into()
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`poll_transmit`](Self::poll_transmit) have something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (&self.request, &self.state) {
            (Some(request), _) => request.deadline,
            (None, State::Open { .. }) => self.next_idle,
            (None, _) => None,
        }
    }

    /// Does what time has made due. Harmless when called early.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        let Some(request) = &self.request else {
            return Ok(());
        };
        if request.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        if request.verb == Verb::Close {
            self.request = None;
            self.state = State::Ended;
            return Ok(());
        }
        Err(Error::TimedOut)
    }
}

/// How long the answer to a request is awaited.
fn patience(verb: Verb, timeout: Option<Duration>) -> Option<Duration> {
    match verb {
        Verb::Open | Verb::Send => timeout,
        Verb::Idle => timeout.map(|timeout| timeout.max(IDLE_PATIENCE)),
        Verb::Close => Some(CLOSE_PATIENCE),
    }
}

/// Keeps the cookie of a Set-Cookie field, RFC 6265 section 5.2: of its attributes none matters to a session that
/// knows one server.
fn keep_cookie(cookies: &mut Vec<Cookie>, field: &[u8]) {
    let pair = field.split(|byte| *byte == b';').next().unwrap_or_default();
    let Some((name, value)) = std::str::from_utf8(pair)
        .ok()
        .and_then(|pair| pair.split_once('='))
    else {
        return;
    };
    let (name, value) = (name.trim_ascii(), value.trim_ascii());
    let is_clean = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    if name.is_empty() || !is_clean(name) || !is_clean(value) {
        return;
    }
    cookies.retain(|cookie| cookie.name != name);
    let bytes: usize = cookies
        .iter()
        .map(|cookie| cookie.name.len() + cookie.value.len())
        .sum();
    if cookies.len() < MAX_COOKIES && bytes + name.len() + value.len() <= MAX_COOKIE_BYTES {
        cookies.push(Cookie {
            name: name.to_owned(),
            value: value.to_owned(),
        });
    }
}

const fn invalid(field: &'static str, value: u64) -> Malformed {
    Malformed::Invalid { field, value }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("is_open", &self.is_open())
            .field("number", &self.number)
            .field("pending", &self.pending.len())
            .field("received", &self.received.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
