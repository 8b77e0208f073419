//! One HTTP connection of the server's: requests off the front of what comes, and answers in their order.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

use super::sessions::SessionId;
use crate::tunnel::http::{self, Body, Framing, HeadEnd, MAX_HEADERS};
use crate::tunnel::{CONTENT_TYPE, is_session_id};
use crate::wire::Malformed;

/// Longest body of a request.
const MAX_BODY: u64 = 1 << 20;

/// Most digits of a number, those of 2^32 - 1.
const MAX_DIGITS: usize = 10;

/// What a client asks for.
pub enum Request {
    /// /open: a new session.
    Open,
    /// /send and, without bytes, /idle.
    Exchange {
        /// Which session.
        session: SessionId,
        /// Number of the request.
        number: u32,
        /// RTMP bytes.
        bytes: BytesMut,
    },
    /// /close.
    Close {
        /// Which session.
        session: SessionId,
    },
}

/// Shows no bytes, and no id.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Exchange { .. } => "Exchange",
            Self::Close { .. } => "Close",
        })
    }
}

/// What is said to a request.
#[derive(Clone, Eq, PartialEq)]
pub enum Answer {
    /// 200, with this body.
    Body(Bytes),
    /// 404: nothing is there, or no such session.
    NotFound,
    /// 400: a request that makes no sense.
    Bad,
    /// 503: no more sessions now.
    Busy,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(body) => write!(f, "Body({} bytes)", body.len()),
            Self::NotFound => f.write_str("NotFound"),
            Self::Bad => f.write_str("Bad"),
            Self::Busy => f.write_str("Busy"),
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct Connection {
    state: State,
    /// Answers that have not been written.
    output: BytesMut,
    /// Whether another request is read behind this one.
    persists: bool,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Head(HeadEnd),
    Body {
        route: Route,
        body: Body,
        bytes: BytesMut,
    },
    /// A request has been handed out and waits for its answer.
    Asked,
    /// Nothing more is read.
    Over,
}

/// What a path says.
enum Route {
    Open,
    Send(SessionId, u32),
    Idle(SessionId, u32),
    Close(SessionId),
    /// Nothing that is here, as /fcs/ident2, by which Flash asked which server this is. The body is read all the same.
    Unknown,
}

impl Connection {
    /// A connection on which nothing has come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next request off the front of `input`; `None` when there is more to come, or while the last one
    /// waits for its answer. What cannot be understood is answered here, and ends the connection.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Option<Request> {
        loop {
            match self.read(input) {
                Ok(Progress::Made) => {}
                Ok(Progress::Blocked) => return None,
                Ok(Progress::Asked(request)) => return Some(request),
                Err(status) => {
                    self.persists = false;
                    self.write(status, &[]);
                    self.state = State::Over;
                }
            }
        }
    }

    fn read(&mut self, input: &mut BytesMut) -> Result<Progress, &'static str> {
        match &mut self.state {
            State::Idle => {
                // RFC 9112 section 2.2: empty lines before a request are passed over.
                while input.starts_with(b"\r\n") {
                    input.advance(2);
                }
                if input.is_empty() || **input == *b"\r" {
                    return Ok(Progress::Blocked);
                }
                self.state = State::Head(HeadEnd::default());
                Ok(Progress::Made)
            }
            State::Head(end) => {
                let Some(length) = end.find(input).map_err(status)? else {
                    return Ok(Progress::Blocked);
                };
                let head = input.split_to(length);
                self.handle_head(&head)
            }
            State::Body { body, bytes, .. } => {
                while let Some(piece) = body.decode(input).map_err(status)? {
                    bytes.unsplit(piece);
                }
                if !body.is_over() {
                    return Ok(Progress::Blocked);
                }
                let State::Body { route, bytes, .. } = std::mem::replace(&mut self.state, State::Asked)
                else {
                    return Ok(Progress::Blocked);
                };
                let exchange = |session, number, bytes| Request::Exchange {
                    session,
                    number,
                    bytes,
                };
                Ok(Progress::Asked(match route {
                    Route::Open => Request::Open,
                    Route::Send(session, number) => exchange(session, number, bytes),
                    Route::Idle(session, number) => exchange(session, number, BytesMut::new()),
                    Route::Close(session) => Request::Close { session },
                    Route::Unknown => {
                        self.answer(&Answer::NotFound);
                        return Ok(Progress::Made);
                    }
                }))
            }
            State::Asked => Ok(Progress::Blocked),
            State::Over => {
                input.clear();
                Ok(Progress::Blocked)
            }
        }
    }

    fn handle_head(&mut self, head: &[u8]) -> Result<Progress, &'static str> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        request
            .parse(head)
            .map_err(|error| status(http::malformed(error)))?;
        let framing = Framing::read(request.version, request.headers).map_err(status)?;
        if request.method != Some("POST") {
            return Err(METHOD_NOT_ALLOWED);
        }
        let length = framing.length.ok_or(LENGTH_REQUIRED)?;
        if length > MAX_BODY {
            return Err(TOO_LARGE);
        }
        if length == 0 {
            return Err(BAD_REQUEST);
        }
        self.persists = framing.persists;
        // Nobody whom we know waits for this, but RFC 9110 section 10.1.1 has clients that do.
        let expects = |header: &httparse::Header<'_>| {
            header.name.eq_ignore_ascii_case("expect") && header.value.eq_ignore_ascii_case(b"100-continue")
        };
        if request.headers.iter().any(expects) {
            self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.state = State::Body {
            route: route(request.path.unwrap_or_default()),
            body: Body::Length(length),
            bytes: BytesMut::new(),
        };
        Ok(Progress::Made)
    }

    /// Answers the request that was handed out last.
    pub fn answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Body(body) => self.write(OK, body),
            Answer::NotFound => self.write(NOT_FOUND, &[]),
            Answer::Bad => self.write(BAD_REQUEST, &[]),
            Answer::Busy => self.write(UNAVAILABLE, &[]),
        }
        self.state = if self.persists { State::Idle } else { State::Over };
    }

    fn write(&mut self, status: &str, body: &[u8]) {
        let persistence = if self.persists { "Keep-Alive" } else { "close" };
        let more = match status {
            METHOD_NOT_ALLOWED => "Allow: POST\r\n",
            UNAVAILABLE => "Retry-After: 10\r\n",
            _ => "",
        };
        // librtmp looks for "HTTP/1.1 200 " and for "Content-Length: " in this very spelling.
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n\
             Connection: {persistence}\r\nCache-Control: no-cache\r\n{more}\r\n",
            body.len()
        );
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(body);
    }

    /// What is to be written. It is taken by advancing it.
    pub const fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether something is to be written.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether a request waits for its answer.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        matches!(self.state, State::Asked)
    }

    /// Whether the connection is to be closed when its output has been written.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("output", &self.output.len())
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}

enum Progress {
    Made,
    Blocked,
    Asked(Request),
}

const OK: &str = "200 OK";
const BAD_REQUEST: &str = "400 Bad Request";
const NOT_FOUND: &str = "404 Not Found";
const METHOD_NOT_ALLOWED: &str = "405 Method Not Allowed";
const LENGTH_REQUIRED: &str = "411 Length Required";
const TOO_LARGE: &str = "413 Content Too Large";
const HEAD_TOO_LARGE: &str = "431 Request Header Fields Too Large";
const UNAVAILABLE: &str = "503 Service Unavailable";

const fn status(malformed: Malformed) -> &'static str {
    match malformed {
        Malformed::Excessive(_) => HEAD_TOO_LARGE,
        Malformed::Truncated(_) | Malformed::Invalid { .. } => BAD_REQUEST,
    }
}

/// What `target` asks for, in origin form or, through a proxy, in absolute form.
fn route(target: &str) -> Route {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => target.strip_prefix('/').unwrap_or_default(),
    };
    let mut segments = path.split('/');
    let (verb, id, number, rest) = (segments.next(), segments.next(), segments.next(), segments.next());
    let id = || id.filter(|id| is_session_id(id)).map(SessionId::new);
    let number = || {
        number
            .filter(|text| text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
    };
    match (verb, rest) {
        // RootEncoder and others leave out the number of what they close.
        (Some("close"), None) => id().map_or(Route::Unknown, Route::Close),
        (Some("open"), None) if path == "open/1" => Route::Open,
        (Some("send"), None) => match (id(), number()) {
            (Some(id), Some(number)) => Route::Send(id, number),
            _ => Route::Unknown,
        },
        (Some("idle"), None) => match (id(), number()) {
            (Some(id), Some(number)) => Route::Idle(id, number),
            _ => Route::Unknown,
        },
        _ => Route::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(path: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// Every request of `wire`, which comes `step` bytes at a time, answered with `answer`; and what was written.
    fn served(wire: &[u8], step: usize, answer: &Answer) -> (Vec<String>, String, bool) {
        let (mut connection, mut input, mut asked) = (Connection::new(), BytesMut::new(), Vec::new());
        for piece in wire.chunks(step) {
            input.extend_from_slice(piece);
            while let Some(request) = connection.handle_input(&mut input) {
                assert!(connection.is_asked());
                assert!(connection.handle_input(&mut input).is_none());
                asked.push(match &request {
                    Request::Exchange { number, bytes, .. } => format!("{number} {bytes:?}"),
                    other => format!("{other:?}"),
                });
                connection.answer(answer);
            }
        }
        let written = String::from_utf8(connection.output().to_vec()).unwrap();
        (asked, written, connection.is_over())
    }

    fn status_of(wire: &str) -> String {
        let (asked, written, is_over) = served(wire.as_bytes(), wire.len(), &Answer::NotFound);
        assert!(asked.is_empty() && is_over, "{wire:?}");
        written.split(' ').nth(1).unwrap_or_default().to_owned()
    }

    #[test]
    fn requests_are_told_apart_at_every_split_and_answered_in_their_order() {
        let mut wire = b"\r\n".to_vec();
        for (path, body) in [
            ("/open/1", &b"\0"[..]),
            ("/send/ab_1/0", b"bytes"),
            ("http://h:80/idle/ab_1/1", b"\0"),
            ("/idle/ab_1/4294967295", b"\0"),
            ("/close/ab_1/2", b"\0"),
            ("/close/ab_1", b"\0"),
        ] {
            wire.extend(post(path, body));
        }
        let answer = Answer::Body(Bytes::from_static(b"x"));
        for step in 1..=wire.len() {
            let (asked, written, is_over) = served(&wire, step, &answer);
            assert_eq!(
                asked,
                [
                    "Open",
                    "0 b\"bytes\"",
                    "1 b\"\"",
                    "4294967295 b\"\"",
                    "Close",
                    "Close"
                ]
            );
            let once = "HTTP/1.1 200 OK\r\nContent-Type: application/x-fcs\r\nContent-Length: 1\r\n\
                        Connection: Keep-Alive\r\nCache-Control: no-cache\r\n\r\nx";
            assert_eq!(written, once.repeat(6));
            assert!(!is_over);
        }
    }

    #[test]
    fn paths_that_are_none_of_ours_are_not_found_and_the_connection_goes_on() {
        let long = format!("/send/{}/0", "a".repeat(64));
        for path in [
            "/",
            "/fcs/ident2",
            "/open",
            "/open/2",
            "/open/1/",
            "/send/ab",
            "/send/ab/",
            "/send/ab/-1",
            "/send/ab/+1",
            "/send/ab/4294967296",
            "/send/ab/00000000001",
            "/send/ab/0/0",
            "/send//0",
            "/send/../0",
            "/send/a%20b/0",
            "/send/a b",
            "/idle/ab/x",
            "*",
            "http://h",
            &long,
        ] {
            if path.contains(' ') {
                assert_eq!(status_of(&String::from_utf8(post(path, b"\0")).unwrap()), "400");
                continue;
            }
            let mut wire = post(path, b"\0");
            wire.extend(post("/open/1", b"\0"));
            let (asked, written, is_over) = served(&wire, wire.len(), &Answer::Busy);
            assert_eq!(asked, ["Open"], "{path}");
            assert!(written.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}");
            assert!(written.contains("HTTP/1.1 503 Service Unavailable\r\n"), "{path}");
            assert!(!is_over);
        }
    }

    #[test]
    fn what_makes_no_sense_ends_the_connection_with_its_status() {
        for (wire, status) in [
            ("GET /open/1 HTTP/1.1\r\n\r\n", "405"),
            ("HEAD / HTTP/1.1\r\n\r\n", "405"),
            ("POST /open/1 HTTP/1.1\r\n\r\n", "411"),
            (
                "POST /open/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\0\r\n0\r\n\r\n",
                "411",
            ),
            ("POST /open/1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "400"),
            ("POST /open/1 HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", "413"),
            (
                "POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                "400",
            ),
            (
                "POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "400",
            ),
            (
                "POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\n folded\r\n\r\n",
                "400",
            ),
            ("POST /open/1 HTTP/1.1\nContent-Length: 1\n\r\n\r\n", "400"),
            ("POST /open/1 HTTP/3.0\r\n\r\n", "400"),
            ("nonsense\r\n\r\n", "400"),
        ] {
            assert_eq!(status_of(wire), status, "{wire:?}");
        }
        assert_eq!(status_of(&"a".repeat(20_000)), "431");
        let lines = "A: b\r\n".repeat(101);
        assert_eq!(status_of(&format!("POST /open/1 HTTP/1.1\r\n{lines}\r\n")), "431");
    }

    #[test]
    fn a_client_that_wants_the_connection_closed_gets_it_closed_behind_the_answer() {
        for head in [
            "POST /open/1 HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n\r\n\0",
            "POST /open/1 HTTP/1.0\r\nContent-Length: 1\r\n\r\n\0",
        ] {
            let (asked, written, is_over) = served(head.as_bytes(), 7, &Answer::Bad);
            assert_eq!(asked, ["Open"]);
            assert!(written.contains("\r\nConnection: close\r\n"));
            assert!(is_over);
        }
    }

    #[test]
    fn a_client_that_waits_to_be_told_to_go_on_is_told() {
        let wire = "POST /open/1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
        let (asked, written, _) = served(wire.as_bytes(), 9, &Answer::Bad);
        assert!(asked.is_empty());
        assert_eq!(written, "HTTP/1.1 100 Continue\r\n\r\n");
    }

    #[test]
    fn debug_shows_no_bytes() {
        let mut connection = Connection::new();
        let request = connection.handle_input(&mut BytesMut::from(&post("/send/secret/0", b"secret")[..]));
        assert_eq!(format!("{request:?}"), "Some(Exchange)");
        connection.answer(&Answer::Body(Bytes::from_static(b"secret")));
        assert!(!format!("{connection:?}").contains("secret"));
    }
}
