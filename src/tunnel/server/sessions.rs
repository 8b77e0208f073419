//! The sessions that clients have opened, and the order of their requests.
//!
//! Requests of a session are numbered from 0 (librtmp, FFmpeg) or 1 (Red5) on, all verbs together. The number that is
//! expected is the next, and one that was answered already is answered again without being taken again: the last with
//! the same bytes, an older one with none. Any other number is refused: a client that waits for each answer, as all
//! do that are known, can send none through any proxy.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};

use super::connection::{Answer, Request};

/// RTMP bytes of one answer; Red5's `Short.MAX_VALUE + 1`.
const MAX_ANSWER: usize = 32 << 10;

/// Polling bytes for clients of whom nothing is wanted, as Red5 and rtmplite have them.
const POLLING: [u8; 6] = [1, 3, 5, 9, 0x11, 0x21];

/// Answers without bytes after which the next of [`POLLING`] is given.
const EMPTY_STEP: usize = 10;

/// Id of a session: 128 random bits, which are all that a client has to show.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct SessionId(String);

impl SessionId {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How many sessions there may be, and for how long without a request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions in all.
    pub sessions: usize,
    /// Sessions of one address.
    pub per_address: usize,
    /// After how long without a request a session is given up.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 256,
            per_address: 16,
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Every session of a server.
#[derive(Debug, Default)]
pub struct Sessions {
    limits: Limits,
    table: HashMap<SessionId, Session>,
}

struct Session {
    address: IpAddr,
    /// Number of the last request that was taken, and its answer once it has one.
    last: Option<(u32, Option<Bytes>)>,
    /// Answers without bytes in a row.
    empty: usize,
    last_request: Instant,
    /// No more bytes come from what speaks RTMP.
    has_ended: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("address", &self.address)
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}

/// What becomes of a request. `Debug` shows no bytes.
pub enum Step {
    /// It is answered.
    Answered(Answer),
    /// It has opened this session, and is answered.
    Opened(Opened),
    /// It has closed this session, and is answered.
    Closed(SessionId, Answer),
    /// These bytes go to the session, and [`Sessions::answer`] gives the answer when that has had its say.
    Taken(Turn, BytesMut),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => write!(f, "Answered({answer:?})"),
            Self::Opened(opened) => opened.fmt(f),
            Self::Closed(..) => f.write_str("Closed"),
            Self::Taken(turn, bytes) => write!(f, "Taken({}, {} bytes)", turn.number, bytes.len()),
        }
    }
}

/// A session that has just been opened.
#[derive(Debug)]
pub struct Opened {
    /// Its id.
    pub session: SessionId,
    /// What the client is told.
    pub answer: Answer,
}

/// A request that waits for its answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turn {
    /// Its session.
    pub session: SessionId,
    number: u32,
}

impl Sessions {
    /// A server without sessions.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            table: HashMap::new(),
        }
    }

    /// Sessions that there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether the session lasts.
    #[must_use]
    pub fn knows(&self, session: &SessionId) -> bool {
        self.table.contains_key(session)
    }

    /// Takes a request of a client at `address`. `entropy` is new for each, and is used if it opens a session.
    pub fn handle_request(
        &mut self,
        now: Instant,
        address: IpAddr,
        request: Request,
        entropy: [u8; 16],
    ) -> Step {
        match request {
            Request::Open => self.open(now, address, entropy),
            Request::Exchange {
                session,
                number,
                bytes,
            } => self.exchange(now, session, number, bytes),
            Request::Close { session } => match self.table.remove(&session) {
                Some(_) => Step::Closed(session, Answer::Body(Bytes::from_static(&[0]))),
                None => Step::Answered(Answer::NotFound),
            },
        }
    }

    fn open(&mut self, now: Instant, address: IpAddr, entropy: [u8; 16]) -> Step {
        let of_address = self
            .table
            .values()
            .filter(|session| session.address == address)
            .count();
        if self.table.len() >= self.limits.sessions || of_address >= self.limits.per_address {
            return Step::Answered(Answer::Busy);
        }
        let id: String = entropy.iter().map(|byte| format!("{byte:02x}")).collect();
        let session = SessionId(id);
        if self.table.contains_key(&session) {
            return Step::Answered(Answer::Busy);
        }
        let answer = Answer::Body(format!("{}\n", session.0).into());
        self.table.insert(
            session.clone(),
            Session {
                address,
                last: None,
                empty: 0,
                last_request: now,
                has_ended: false,
            },
        );
        Step::Opened(Opened { session, answer })
    }

    fn exchange(&mut self, now: Instant, session: SessionId, number: u32, bytes: BytesMut) -> Step {
        let Some(known) = self.table.get_mut(&session) else {
            return Step::Answered(Answer::NotFound);
        };
        known.last_request = now;
        let turn = Turn { session, number };
        let Some((last, answer)) = &known.last else {
            return if number <= 1 {
                known.last = Some((number, None));
                Step::Taken(turn, bytes)
            } else {
                Step::Answered(Answer::Bad)
            };
        };
        // Numbers wrap, so half of them are behind any other.
        match number.wrapping_sub(*last) {
            0 => match answer {
                Some(answer) => Step::Answered(Answer::Body(answer.clone())),
                // The connection that it first came by may be gone.
                None => Step::Taken(turn, BytesMut::new()),
            },
            1 => {
                known.last = Some((number, None));
                Step::Taken(turn, bytes)
            }
            difference if difference > u32::MAX / 2 => {
                let polling = known.polling();
                Step::Answered(Answer::Body(Bytes::copy_from_slice(&[polling])))
            }
            _ => Step::Answered(Answer::Bad),
        }
    }

    /// The answer to a request that was taken, with what `output` begins with. When `has_ended`, nothing will follow
    /// what is in `output`.
    pub fn answer(&mut self, turn: &Turn, output: &mut BytesMut, has_ended: bool) -> Answer {
        let Some(session) = self.table.get_mut(&turn.session) else {
            return Answer::NotFound;
        };
        session.has_ended = has_ended;
        match &session.last {
            Some((number, None)) if *number == turn.number => {}
            // It came by two connections, and the other one has got the answer.
            Some((number, Some(answer))) if *number == turn.number => return Answer::Body(answer.clone()),
            _ => return Answer::Bad,
        }
        let bytes = output.split_to(output.len().min(MAX_ANSWER));
        session.empty = if bytes.is_empty() { session.empty + 1 } else { 0 };
        let is_last = bytes.is_empty() && has_ended;
        let mut body = BytesMut::with_capacity(1 + bytes.len());
        body.put_u8(if is_last { 0 } else { session.polling() });
        body.extend_from_slice(&bytes);
        let body = body.freeze();
        session.last = Some((turn.number, Some(body.clone())));
        if is_last {
            self.table.remove(&turn.session);
        }
        Answer::Body(body)
    }

    /// Forgets sessions without a request for too long, and names them.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<SessionId> {
        let timeout = self.limits.idle_timeout;
        let gone: Vec<SessionId> = self
            .table
            .iter()
            .filter(|(_, session)| now.saturating_duration_since(session.last_request) >= timeout)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &gone {
            self.table.remove(id);
        }
        gone
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let oldest = self.table.values().map(|session| session.last_request).min()?;
        oldest.checked_add(self.limits.idle_timeout)
    }
}

impl Session {
    fn polling(&self) -> u8 {
        POLLING
            .get(self.empty / EMPTY_STEP)
            .or(POLLING.last())
            .copied()
            .unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[allow(clippy::disallowed_methods, reason = "virtual time starts at some time")]
    fn now() -> Instant {
        Instant::now()
    }

    fn open(sessions: &mut Sessions, entropy: u8) -> SessionId {
        match sessions.handle_request(now(), HERE, Request::Open, [entropy; 16]) {
            Step::Opened(opened) => opened.session,
            step => panic!("{step:?}"),
        }
    }

    fn send(sessions: &mut Sessions, session: &SessionId, number: u32, bytes: &[u8]) -> Step {
        let request = Request::Exchange {
            session: session.clone(),
            number,
            bytes: bytes.into(),
        };
        sessions.handle_request(now(), HERE, request, [0; 16])
    }

    /// What was taken of a request, and the body of its answer, with `output` waiting.
    fn exchanged(
        sessions: &mut Sessions,
        session: &SessionId,
        number: u32,
        output: &mut BytesMut,
    ) -> (Vec<u8>, Vec<u8>) {
        match send(sessions, session, number, b"bytes") {
            Step::Taken(turn, bytes) => match sessions.answer(&turn, output, false) {
                Answer::Body(body) => (bytes.to_vec(), body.to_vec()),
                answer => panic!("{answer:?}"),
            },
            Step::Answered(Answer::Body(body)) => (Vec::new(), body.to_vec()),
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn an_id_is_the_entropy_and_debug_shows_neither_it_nor_bytes() {
        let mut sessions = Sessions::default();
        let step = sessions.handle_request(now(), HERE, Request::Open, [0xab; 16]);
        assert!(!format!("{step:?} {sessions:?}").contains("abab"));
        let Step::Opened(opened) = step else {
            panic!("{step:?}")
        };
        let sent = send(&mut sessions, &opened.session, 0, b"secret");
        assert_eq!(format!("{sent:?}"), "Taken(0, 6 bytes)");
        assert_eq!(
            opened.answer,
            Answer::Body(format!("{}\n", "ab".repeat(16)).into())
        );
    }

    #[test]
    fn numbers_begin_with_zero_or_one_and_count_up() {
        for first in [0, 1] {
            let mut sessions = Sessions::default();
            let id = open(&mut sessions, 1);
            let mut output = BytesMut::from("answer");
            let (taken, body) = exchanged(&mut sessions, &id, first, &mut output);
            assert_eq!((&taken[..], &body[..]), (&b"bytes"[..], &b"\x01answer"[..]));
            let (taken, body) = exchanged(&mut sessions, &id, first + 1, &mut output);
            assert_eq!((&taken[..], &body[..]), (&b"bytes"[..], &b"\x01"[..]));
            assert!(matches!(
                send(&mut sessions, &id, first + 3, b"x"),
                Step::Answered(Answer::Bad)
            ));
            exchanged(&mut sessions, &id, first + 2, &mut output);
        }
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1);
        assert!(matches!(
            send(&mut sessions, &id, 2, b"x"),
            Step::Answered(Answer::Bad)
        ));
    }

    #[test]
    fn a_repeated_request_is_taken_once_and_answered_again() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1);
        let mut output = BytesMut::from("one");
        exchanged(&mut sessions, &id, 0, &mut output);
        let first = exchanged(&mut sessions, &id, 1, &mut BytesMut::from("two"));
        assert_eq!(first, (b"bytes".to_vec(), b"\x01two".to_vec()));
        let again = exchanged(&mut sessions, &id, 1, &mut BytesMut::from("three"));
        assert_eq!(again, (Vec::new(), b"\x01two".to_vec()));
        let older = exchanged(&mut sessions, &id, 0, &mut BytesMut::from("three"));
        assert_eq!(older, (Vec::new(), b"\x01".to_vec()));
    }

    #[test]
    fn a_request_that_is_repeated_before_its_answer_gets_the_same() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1);
        let Step::Taken(first, bytes) = send(&mut sessions, &id, 0, b"bytes") else {
            panic!("taken")
        };
        let Step::Taken(second, none) = send(&mut sessions, &id, 0, b"bytes") else {
            panic!("taken")
        };
        assert_eq!((&bytes[..], &none[..]), (&b"bytes"[..], &b""[..]));
        let mut output = BytesMut::from("answer");
        let answers = [&first, &second].map(|turn| sessions.answer(turn, &mut output, false));
        assert_eq!(answers[0], Answer::Body(Bytes::from_static(b"\x01answer")));
        assert_eq!(answers[0], answers[1]);
    }

    #[test]
    fn numbers_go_on_across_the_wrap() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1);
        exchanged(&mut sessions, &id, 0, &mut BytesMut::new());
        sessions.table.get_mut(&id).unwrap().last = Some((u32::MAX, Some(Bytes::new())));
        let (taken, _) = exchanged(&mut sessions, &id, 0, &mut BytesMut::new());
        assert_eq!(taken, b"bytes");
    }

    #[test]
    fn clients_are_asked_to_come_less_often_while_there_is_nothing() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1);
        let mut output = BytesMut::new();
        let mut given = Vec::new();
        for number in 0..70 {
            given.push(exchanged(&mut sessions, &id, number, &mut output).1[0]);
        }
        given.dedup();
        assert_eq!(given, POLLING);
        output.extend_from_slice(b"x");
        assert_eq!(exchanged(&mut sessions, &id, 70, &mut output).1, b"\x01x");
    }

    #[test]
    fn a_long_output_leaves_in_answers_of_bounded_length() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1);
        let mut output = BytesMut::zeroed(MAX_ANSWER + 10);
        assert_eq!(
            exchanged(&mut sessions, &id, 0, &mut output).1.len(),
            1 + MAX_ANSWER
        );
        assert_eq!(exchanged(&mut sessions, &id, 1, &mut output).1.len(), 1 + 10);
    }

    #[test]
    fn the_end_is_told_behind_the_last_bytes_and_the_session_forgotten() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1);
        let mut output = BytesMut::zeroed(MAX_ANSWER + 1);
        let mut bodies = Vec::new();
        for number in 0..3 {
            let Step::Taken(turn, _) = send(&mut sessions, &id, number, b"x") else {
                panic!("taken")
            };
            let Answer::Body(body) = sessions.answer(&turn, &mut output, true) else {
                panic!("a body")
            };
            bodies.push((body[0], body.len()));
        }
        assert_eq!(bodies, [(1, 1 + MAX_ANSWER), (1, 2), (0, 1)]);
        assert!(sessions.is_empty());
        assert!(matches!(
            send(&mut sessions, &id, 3, b"x"),
            Step::Answered(Answer::NotFound)
        ));
    }

    #[test]
    fn closing_forgets_the_session() {
        let mut sessions = Sessions::default();
        let id = open(&mut sessions, 1);
        let close = || Request::Close { session: id.clone() };
        let step = sessions.handle_request(now(), HERE, close(), [0; 16]);
        let Step::Closed(closed, answer) = step else {
            panic!("{step:?}")
        };
        assert_eq!(
            (closed, answer),
            (id.clone(), Answer::Body(Bytes::from_static(&[0])))
        );
        assert!(matches!(
            sessions.handle_request(now(), HERE, close(), [0; 16]),
            Step::Answered(Answer::NotFound)
        ));
    }

    #[test]
    fn sessions_are_counted_in_all_and_by_address() {
        let mut sessions = Sessions::new(Limits {
            sessions: 3,
            per_address: 2,
            ..Limits::default()
        });
        let mut opened = |last: u8, entropy: u8| {
            let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
            let step = sessions.handle_request(now(), address, Request::Open, [entropy; 16]);
            matches!(step, Step::Opened(_))
        };
        assert_eq!([opened(1, 1), opened(1, 2), opened(1, 3)], [true, true, false]);
        assert_eq!([opened(2, 4), opened(3, 5)], [true, false]);
    }

    #[test]
    fn a_session_without_requests_is_given_up() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.poll_timeout(), None);
        let id = open(&mut sessions, 1);
        let due = sessions.poll_timeout().unwrap();
        assert!(sessions.handle_timeout(due - Duration::from_millis(1)).is_empty());
        assert_eq!(sessions.handle_timeout(due), [id]);
        assert!(sessions.is_empty());
    }
}
