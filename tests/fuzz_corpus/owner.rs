//! Drives a session as its owner would, with a peer whose bytes are the fuzzer's.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use gstrtmp::session::{Event, Input, Level, Media, MediaKind, Session, Status};
use gstrtmp::timestamp::Timestamp;

/// Most bytes that a session may answer with, by the byte received: it must be no amplifier.
const MAX_GAIN: usize = 100;

/// Bytes that a session may send unasked: handshake, commands, and what ends the stream.
const MAX_UNASKED: usize = 16 << 10;

/// What happens besides input. The first byte of the fuzzer's data chooses.
#[derive(Clone, Copy)]
pub(crate) struct Choice(u8);

impl Choice {
    /// Splits the fuzzer's data into choice and stream.
    pub(crate) fn split(data: &[u8]) -> Option<(Self, &[u8])> {
        data.split_first().map(|(&choice, stream)| (Self(choice), stream))
    }

    fn piece(self) -> usize {
        match self.0 & 3 {
            0 => usize::MAX,
            1 => 1,
            2 => 100,
            _ => 1448,
        }
    }

    const fn rejects(self) -> bool {
        self.0 & 4 != 0
    }

    const fn closes_early(self) -> bool {
        self.0 & 8 != 0
    }

    const fn sends_media(self) -> bool {
        self.0 & 16 != 0
    }

    const fn takes_its_time(self) -> bool {
        self.0 & 32 != 0
    }

    /// For the target to interpret.
    pub(crate) const fn variant(self) -> bool {
        self.0 & 64 != 0
    }

    /// Whether a handshake goes before the stream, which most streams do not get past.
    const fn is_past_handshake(self) -> bool {
        self.0 & 128 != 0
    }
}

/// Feeds `stream` to a session made at `now`, then the end of the connection, then time.
pub(crate) fn drive(mut session: Session, mut now: Instant, choice: Choice, stream: &[u8]) {
    let mut received = Vec::new();
    if choice.is_past_handshake() {
        // Version 3, then two packets that nobody has to like.
        received.push(3);
        received.resize(1 + 2 * 1536, 0);
    }
    received.extend_from_slice(stream);

    let mut tally = Tally::default();
    let mut input = BytesMut::new();
    let pieces: Vec<&[u8]> = received.chunks(choice.piece()).collect();
    let half = pieces.len() / 2;
    for (at, piece) in pieces.into_iter().enumerate() {
        input.extend_from_slice(piece);
        tally.received += piece.len();
        // Once for the piece, and again for what waited behind each answer.
        loop {
            let result = session.handle_input(now, Input::Stream(&mut input));
            let answered = tally.take(&mut session, now, choice);
            if result.is_err() {
                // The error may repeat itself; nothing else may happen.
                let _ = session.handle_input(now, Input::Stream(&mut input));
                tally.take(&mut session, now, choice);
                return;
            }
            if !answered {
                break;
            }
        }
        if choice.sends_media() {
            let media = Media {
                kind: MediaKind::Video,
                timestamp: Timestamp::from_millis(40),
                head: Bytes::new(),
                body: Bytes::from_static(&[0x27, 1, 0, 0, 0]),
            };
            tally.allowed += 64;
            let _ = session.send(now, media);
        }
        if choice.closes_early() && at == half {
            session.close(now);
        }
        if choice.takes_its_time() {
            now += Duration::from_secs(1);
            if !tally.pass_time(&mut session, now, choice) {
                return;
            }
        }
    }
    let _ = session.handle_input(now, Input::Eof);
    session.close(now);
    tally.take(&mut session, now, choice);
    for _ in 0..8 {
        let Some(due) = session.poll_timeout() else { break };
        now = now.max(due);
        if !tally.pass_time(&mut session, now, choice) {
            break;
        }
    }
    let _ = format!("{session:?} {:?}", session.stats());
}

/// What went in and what came out.
#[derive(Default)]
struct Tally {
    received: usize,
    sent: usize,
    /// Bytes that may be sent for reasons other than input.
    allowed: usize,
    events: usize,
}

impl Tally {
    /// Takes all events and all output; says whether a request was answered.
    fn take(&mut self, session: &mut Session, now: Instant, choice: Choice) -> bool {
        let mut answered = false;
        while let Some(event) = session.poll_event() {
            self.events += 1;
            if let Event::Requested(request) = event {
                let verdict = if choice.rejects() {
                    Err(Status::new(Level::Error, "NetStream.Play.Failed", "not here"))
                } else {
                    Ok(())
                };
                answered |= session.answer(now, &request, verdict).is_ok();
            }
        }
        while let Some(transmit) = session.poll_transmit(now) {
            let n = transmit.chunk().len();
            assert!(n > 0, "there is output but no byte of it");
            transmit.advance(n);
            self.sent += n;
        }
        assert!(
            self.sent <= MAX_UNASKED + MAX_GAIN * self.received + self.allowed,
            "{} bytes sent",
            self.sent
        );
        assert!(self.events <= 16 + self.received, "{} events", self.events);
        answered
    }

    /// Lets the session know the time; false when it is over.
    fn pass_time(&mut self, session: &mut Session, now: Instant, choice: Choice) -> bool {
        // Time alone makes a ping now and then.
        self.allowed += 64;
        let result = session.handle_timeout(now);
        self.take(session, now, choice);
        if result.is_ok() {
            let next = session.poll_timeout();
            assert!(next.is_none_or(|next| next > now), "what was due is due again");
        }
        result.is_ok()
    }
}
