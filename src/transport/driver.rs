//! The driver: one carrier and one session, and the loop that moves bytes between them.
//!
//! Whoever holds the driver drives it, on the thread it is on: the read or write is tried first, and only
//! when the kernel would block does the thread wait, for the socket and for a [`Wake`] together. Nothing is
//! lost by an interruption: what was not written stays in the session's queue.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};

use super::carrier::Carrier;
use super::error::{Error, Phase};
use super::pace::Pacer;
use super::tcp::{Interest, Socket};
use super::wake::Wake;
use crate::session::{self, Event, Input, Media, Order, Request, Session, Status, Transmit};

/// Bytes read from the socket at a time, a block of [`Socket::read`]. Large enough that 20 kB frames mostly come
/// whole.
const READ_SIZE: usize = 64 << 10;

/// Slices handed to one gathering write: as many as Linux takes, so that a list of buffers needs few of them.
const MAX_SLICES: usize = 1024;

/// The same for a queue with few of them, which most are: to lay out 1024 empty slices takes longer than to queue a
/// small message.
const FEW_SLICES: usize = 16;

/// How often a sender that is never blocked looks for pings, acknowledgements and status messages.
const READ_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes that are read ahead while nobody takes it, so that pings behind it are answered. Beyond that the
/// peer is held back by TCP.
const MAX_BACKLOG: usize = 8 << 20;

/// Bytes that are read ahead in one go: a peer that sends faster than we read cannot keep the thread to itself.
const MAX_READ_AHEAD: u64 = 1 << 20;

/// How long the end of a peer is awaited that has been slower than we: megabytes may still be on their way to it.
const SLOW_LINGER: Duration = Duration::from_secs(30);

/// Bytes around an event of the backlog that count as its own: the message it was read from, such as the longest
/// command, and the block that it shares with others.
const MAX_SURROUNDINGS: usize = 512 << 10;

/// Why a call came back without its result.
#[derive(Debug)]
pub enum Stopped {
    /// The [`Wake`] was set. Calling again goes on where this call stopped.
    Interrupted,
    /// The deadline of the call passed; the connection is as good as before.
    Elapsed,
    /// The connection is lost.
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What is known of the end of a stream that was ended in good order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Farewell {
    /// Nothing speaks against the peer having all of it.
    Said,
    /// The peer has read slowly, and has not closed its side in time: what the kernel still holds for it may be lost.
    Unconfirmed {
        /// Bytes that the kernel has taken, handshake included.
        sent: u64,
        /// Bytes that the peer has acknowledged, by its own count; many never do.
        acknowledged: u64,
    },
}

/// Tells media that may be thrown away from media that others cannot do without.
pub type Expendable = fn(&Media) -> bool;

/// Bytes that crossed the socket, handshake included.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ByteTotals {
    /// Bytes received.
    pub received: u64,
    /// Bytes that the kernel has taken.
    pub sent: u64,
}

/// Calls of the system, each of which costs as much as to queue several small messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Calls {
    /// Reads, those that found nothing included.
    pub reads: u64,
    /// Writes, those that the kernel had no room for included.
    pub writes: u64,
    /// Waits for the socket.
    pub waits: u64,
}

/// See the module. `Debug` shows no bytes: those received may hold a stream key.
pub struct Driver {
    carrier: Carrier,
    session: Session,
    input: BytesMut,
    pacer: Pacer,
    peak_kbps: u32,
    /// Events that were read ahead of their taker, and the bytes that each weighs.
    backlog: VecDeque<(Event, usize)>,
    backlog_bytes: usize,
    /// Whether the session has left input because there were events enough.
    has_rest: bool,
    /// Bytes that the session has taken since the last event left it.
    uncharged: usize,
    /// What makes room in a full backlog. Without it, the peer is held back.
    expendable: Option<Expendable>,
    /// An error that is due when the backlog has been taken.
    failure: Option<Error>,
    totals: ByteTotals,
    calls: Calls,
    last_read: Instant,
    /// Whether the last read has left nothing, so that waiting comes before the next one.
    is_drained: bool,
    /// Since when bytes have been waiting without one of them going out.
    blocked_since: Option<Instant>,
    /// Whether the kernel has ever had to hold back bytes for the peer.
    has_blocked: bool,
    write_timeout: Option<Duration>,
}

impl Driver {
    /// Drives `session` over `carrier`. A peer that takes no byte for `write_timeout` is given up.
    #[must_use]
    pub fn new(
        carrier: impl Into<Carrier>,
        session: Session,
        write_timeout: Option<Duration>,
        now: Instant,
    ) -> Self {
        Self {
            carrier: carrier.into(),
            session,
            input: BytesMut::new(),
            pacer: Pacer::new(0, now),
            peak_kbps: 0,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            has_rest: false,
            uncharged: 0,
            expendable: None,
            failure: None,
            totals: ByteTotals::default(),
            calls: Calls::default(),
            last_read: now,
            is_drained: false,
            blocked_since: None,
            has_blocked: false,
            write_timeout,
        }
    }

    /// The session, for what has no bearing on the socket.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The session, to answer requests or end streams. What it queues goes out with the next flush.
    pub const fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The socket, to be watched by somebody's own loop. A session that comes by a tunnel has none: then
    /// [`poll_timeout`](Self::poll_timeout) says when there is something to do.
    pub fn socket(&self) -> Option<&Socket> {
        self.carrier.socket()
    }

    /// Tells the peer that nothing more will be sent.
    pub fn shut_down(&self) -> io::Result<()> {
        self.carrier.shutdown_write()
    }

    /// Takes bytes that were received before there was a driver.
    pub fn handle_received(&mut self, now: Instant, bytes: BytesMut) {
        self.totals.received = self.totals.received.saturating_add(bytes.len() as u64);
        self.input.unsplit(bytes);
        self.resume(now);
    }

    /// Bytes that crossed the socket up to now.
    pub const fn totals(&self) -> ByteTotals {
        self.totals
    }

    /// Calls of the system up to now.
    pub const fn calls(&self) -> Calls {
        self.calls
    }

    /// Caps what is sent, in kbit/s; 0 lifts the cap.
    pub(super) fn set_peak_rate(&mut self, kbps: u32, now: Instant) {
        if kbps != self.peak_kbps {
            self.peak_kbps = kbps;
            self.pacer.set_peak_kbps(kbps, now);
        }
    }

    /// Sets what is thrown away when more is read ahead than the backlog holds.
    pub(super) const fn set_expendable(&mut self, expendable: Option<Expendable>) {
        self.expendable = expendable;
    }

    /// Queues a media message for the next flush.
    pub fn send(&mut self, now: Instant, media: Media) -> Result<(), Error> {
        Ok(self.session.send(now, media)?)
    }

    /// Asks the server for something; it goes out with the next flush, or while an event is awaited.
    pub fn order(&mut self, now: Instant, order: &Order) -> Result<(), Error> {
        Ok(self.session.order(now, order)?)
    }

    /// Answers a request, and goes on with what came behind it.
    pub fn answer(
        &mut self,
        now: Instant,
        request: &Request,
        verdict: Result<(), Status>,
    ) -> Result<(), Error> {
        self.session.answer(now, request, verdict)?;
        self.resume(now);
        Ok(())
    }

    /// Writes what is queued until all of it is in the kernel, reading what comes meanwhile.
    pub fn flush(&mut self, wake: &Wake, deadline: Option<Instant>) -> Result<(), Stopped> {
        self.flush_from(Instant::now(), wake, deadline)
    }

    /// [`flush`](Self::flush) for those who have just looked at the clock.
    pub(super) fn flush_from(
        &mut self,
        mut now: Instant,
        wake: &Wake,
        deadline: Option<Instant>,
    ) -> Result<(), Stopped> {
        loop {
            self.fail_early()?;
            self.handle_timeout(now)?;
            self.write(now)?;
            if !self.has_output() {
                if now.saturating_duration_since(self.last_read) >= READ_INTERVAL {
                    self.read_ahead(now);
                }
                // What was read may have to be answered; an empty queue ends it.
                if !self.has_output() {
                    return Ok(());
                }
            } else {
                self.wait(now, wake, deadline, Wish::Write)?;
            }
            now = Instant::now();
        }
    }

    /// Waits for the next event.
    pub fn next_event(&mut self, wake: &Wake, deadline: Option<Instant>) -> Result<Event, Stopped> {
        loop {
            if let Some(event) = self.poll_event() {
                return Ok(event);
            }
            self.fail_early()?;
            let now = Instant::now();
            // Where nothing was left, a read would be in vain, and what time has made due may wait for the next.
            if std::mem::take(&mut self.is_drained) && !self.carrier.has_input() {
                self.carrier.prepare(&mut self.input);
                match self.write(now) {
                    Ok(()) => self.wait(now, wake, deadline, Wish::Read)?,
                    Err(error) => self.failure = Some(error),
                }
                continue;
            }
            // What waits for an answer of the owner is not added to without end.
            let progress = if self.is_full() {
                Ok(Progress::Blocked)
            } else {
                self.read(now)
            };
            let progress = match progress {
                Ok(progress) => progress,
                Err(error) => {
                    self.failure = Some(error);
                    continue;
                }
            };
            // After the read: a peer is not silent if it is us who did not listen. Events that were read before a
            // failure come before it.
            let timely = self.handle_timeout(now);
            if let Err(error) = timely.and_then(|()| self.write(now)) {
                self.failure = Some(error);
                continue;
            }
            if let Some(event) = self.poll_event() {
                return Ok(event);
            }
            match progress {
                // A full read is likely to be followed by another one; an empty one costs no more than the wait.
                // A peer that says nothing of interest without end does not keep us from stopping.
                Progress::Made => check(now, wake, deadline)?,
                Progress::Blocked => self.wait(now, wake, deadline, Wish::Read)?,
            }
        }
    }

    /// The next event that is already here.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some((event, weight)) = self.backlog.pop_front() {
            self.backlog_bytes = self.backlog_bytes.saturating_sub(weight);
            return Some(event);
        }
        self.uncharged = 0;
        let event = self.session.poll_event();
        if event.is_some() || !self.has_rest || self.session.is_held() {
            return event;
        }
        // What the session has left because there were events enough.
        self.resume(Instant::now());
        self.session.poll_event()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    pub fn has_events(&self) -> bool {
        !self.backlog.is_empty() || self.session.has_events() || self.has_rest
    }

    /// What the socket has to be ready for before [`service`](Self::service) can do something.
    pub fn interest(&self, now: Instant) -> Interest {
        self.carrier.interest(Interest {
            readable: !self.is_full(),
            writable: self.carrier.has_output() || self.queued() > 0 && self.pacer.next(now).is_none(),
        })
    }

    /// When [`service`](Self::service) has something to do though the socket is not ready: the session's
    /// timeouts, our own rate, and a peer that has stopped reading.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let stalled = match (self.blocked_since, self.write_timeout) {
            (Some(since), Some(timeout)) => since.checked_add(timeout),
            _ => None,
        };
        let pause = if self.queued() > 0 {
            self.pacer.next(now)
        } else {
            None
        };
        // While its input waits to be taken, the peer's silence is our doing.
        let due = if self.is_full() {
            None
        } else {
            self.session.poll_timeout()
        };
        // What the carrier holds already is no reason for the socket to become ready, nor is room in memory.
        let held = self.carrier.has_input() && !self.is_full();
        let room = self.queued() > 0 && pause.is_none() && self.carrier.has_room();
        let ready = (held || room).then_some(now);
        [due, stalled, pause, ready, self.carrier.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Bytes that wait for the socket to take them.
    pub fn queued(&self) -> usize {
        self.session.queued()
    }

    /// Does what can be done without waiting: for connections that nobody drives just now, and for loops that
    /// watch many sockets. Errors are kept for whoever takes the events.
    pub fn service(&mut self, now: Instant) {
        if self.failure.is_some() {
            return;
        }
        self.read_ahead(now);
        if self.failure.is_none()
            && !self.is_full()
            && let Err(error) = self.handle_timeout(now)
        {
            self.store_events();
            self.failure = Some(error);
            return;
        }
        if let Err(error) = self.write(now) {
            self.failure.get_or_insert(error);
        }
    }

    /// The error that ended the connection, once every event before it was taken.
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref().filter(|_| self.backlog.is_empty())
    }

    /// The error that ended the connection, even if there are events before it that nobody took.
    pub(super) const fn lost(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Ends the stream and the connection in good order: stop commands, everything written, our side shut
    /// down, and the peer's end awaited for as long as `linger`, or longer if the peer has been slow. Any of it stops
    /// at `deadline`.
    pub fn close(&mut self, wake: &Wake, deadline: Instant, linger: Duration) -> Result<Farewell, Stopped> {
        let now = Instant::now();
        self.session.close(now);
        self.flush(wake, Some(deadline))?;
        self.carrier.finish();
        match self.flush(wake, Some(deadline)) {
            // The peer has ended the session itself, and everything was answered.
            Err(Stopped::Failed(_)) if !self.has_output() => return Ok(Farewell::Said),
            flushed => flushed?,
        }
        // Fails when the peer has closed already, as xiu and scuffle do at deleteStream: all was said by then.
        if self.carrier.shutdown_write().is_err() {
            return Ok(Farewell::Said);
        }
        let linger = if self.has_blocked {
            linger.max(SLOW_LINGER)
        } else {
            linger
        };
        let deadline = deadline.min(Instant::now() + linger);
        // Closing a socket with unread bytes would reset the connection, as does what the peer sends after it, and
        // the kernel throws away what it still holds for the peer then: what comes is read and dropped. Any error is
        // the end that is awaited, however the peer brings it about.
        while self.failure.is_none() && self.read(Instant::now()).is_ok() {
            while self.poll_event().is_some() {}
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // The peer keeps its side open, which is its right.
                return Ok(self.unconfirmed());
            }
            // For reading only: replies that the session has queued meanwhile cannot be written any more, and a
            // socket that was shut down always counts as writable.
            let ready = self
                .carrier
                .wait(Interest::READ, wake, Some(left))
                .map_err(|e| self.io_error(e))?;
            if ready.woken {
                return Err(Stopped::Interrupted);
            }
        }
        Ok(Farewell::Said)
    }

    /// The end of a stream that the peer has not answered.
    fn unconfirmed(&self) -> Farewell {
        // One that has always been faster than we has read to the end long ago.
        if !self.has_blocked {
            return Farewell::Said;
        }
        Farewell::Unconfirmed {
            sent: self.totals.sent,
            acknowledged: self.session.stats().out_bytes_acked,
        }
    }

    fn fail_early(&self) -> Result<(), Stopped> {
        match &self.failure {
            Some(error) => Err(Stopped::Failed(error.clone())),
            None => Ok(()),
        }
    }

    fn io_error(&self, source: io::Error) -> Error {
        Error::io(self.session.phase(), source)
    }

    /// Reads without a taker: events go to the backlog, as far as it reaches.
    fn read_ahead(&mut self, now: Instant) {
        let enough = self.totals.received.saturating_add(MAX_READ_AHEAD);
        while self.has_room() && self.totals.received < enough {
            match self.read(now) {
                Ok(Progress::Made) => {
                    self.store_events();
                    while self.has_rest && !self.session.is_held() && self.has_room() {
                        self.resume(now);
                        self.store_events();
                    }
                    if self.failure.is_some() {
                        return;
                    }
                }
                Ok(Progress::Blocked) => return,
                Err(error) => {
                    self.store_events();
                    self.failure = Some(error);
                    return;
                }
            }
        }
    }

    /// Whether reading has to wait for whoever takes the events or owes an answer; while the session waits for
    /// one, it leaves its input alone.
    fn is_full(&self) -> bool {
        self.backlog_bytes.saturating_add(self.input.len()) >= MAX_BACKLOG
            || self.session.is_held() && self.input.len() >= self.session.held_input_limit()
    }

    /// Whether more can be read ahead, if need be instead of what is expendable.
    fn has_room(&mut self) -> bool {
        // A recording waits for whoever plays it.
        let expendable = self.expendable.filter(|_| self.session.recording().is_none());
        if let (true, Some(is_expendable)) = (self.is_full(), expendable) {
            self.backlog
                .retain(|(event, _)| !matches!(event, Event::Media(media) if is_expendable(media)));
            self.backlog_bytes = self.backlog.iter().map(|(_, weight)| weight).sum();
        }
        !self.is_full()
    }

    fn store_events(&mut self) {
        let mut charged = 0;
        while let Some(event) = self.session.poll_event() {
            let weight = cost(&event);
            charged += weight;
            self.backlog.push_back((event, weight));
        }
        // An event keeps the bytes around it in memory, or is itself what became of them. The last one pays for
        // what the others do not.
        if let Some((_, weight)) = self.backlog.back_mut().filter(|_| charged > 0) {
            let rest = std::mem::take(&mut self.uncharged).saturating_sub(charged);
            *weight += rest;
            self.backlog_bytes = self.backlog_bytes.saturating_add(charged + rest);
        }
    }

    /// One read and what the session makes of it.
    fn read(&mut self, now: Instant) -> Result<Progress, Error> {
        self.last_read = now;
        self.calls.reads += 1;
        let read = self.carrier.read(now, &mut self.input, READ_SIZE);
        self.is_drained = read.is_ok() && self.carrier.is_drained();
        match read {
            Ok(0) => {
                // The end comes behind everything else.
                while self.has_rest && !self.is_full() {
                    self.store_events();
                    if self.session.is_held() {
                        break;
                    }
                    self.hand_in(now)?;
                }
                self.session.handle_input(now, Input::Eof)?;
                // A session that had ended is content with the end of the bytes; nothing more will come.
                Err(Error::Closed)
            }
            Ok(count) => {
                self.totals.received = self.totals.received.saturating_add(count as u64);
                self.hand_in(now)?;
                Ok(Progress::Made)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.input.is_empty() {
                    // It would keep the block that it was received into.
                    self.input = BytesMut::new();
                }
                Ok(Progress::Blocked)
            }
            Err(error) => Err(self.io_error(error)),
        }
    }

    /// Hands the input to the session, as far as it takes it.
    fn hand_in(&mut self, now: Instant) -> Result<(), Error> {
        let offered = self.input.len();
        let done = self.session.handle_input(now, Input::Stream(&mut self.input));
        let taken = offered.saturating_sub(self.input.len());
        self.uncharged = self.uncharged.saturating_add(taken).min(MAX_SURROUNDINGS);
        // Not told by the input: of an aggregate, the session has the rest.
        self.has_rest = done.is_ok() && self.session.is_held();
        Ok(done?)
    }

    /// Hands the rest of the input to the session again, after an answer that it waited for.
    pub fn resume(&mut self, now: Instant) {
        if let Err(error) = self.hand_in(now) {
            self.failure.get_or_insert(error);
        }
    }

    /// Writes until the queue is empty, the kernel would block or the peak rate is reached.
    fn write(&mut self, now: Instant) -> Result<(), Error> {
        loop {
            let allowance = self.pacer.allowance(now);
            let Some(queue) = self.session.poll_transmit(now) else {
                return self.flush_carrier(now);
            };
            if allowance == 0 {
                // Held back by our own rate, not by the peer.
                return self.flush_carrier(now);
            }
            let written = if queue.slices() <= FEW_SLICES {
                gather::<FEW_SLICES>(&mut self.carrier, now, queue, allowance)
            } else {
                gather::<MAX_SLICES>(&mut self.carrier, now, queue, allowance)
            };
            self.calls.writes += 1;
            match written {
                Ok(count) => {
                    queue.advance(count);
                    self.pacer.spent(count);
                    self.totals.sent = self.totals.sent.saturating_add(count as u64);
                    self.blocked_since = None;
                }
                Err(error) => return self.write_failed(now, error),
            }
        }
    }

    /// Writes what the carrier has taken and holds.
    fn flush_carrier(&mut self, now: Instant) -> Result<(), Error> {
        match self.carrier.flush(now) {
            Ok(()) => {
                self.blocked_since = None;
                self.has_blocked |= self.carrier.has_output();
                Ok(())
            }
            Err(error) => self.write_failed(now, error),
        }
    }

    /// A write that could not be done: not yet, or never.
    fn write_failed(&mut self, now: Instant, error: io::Error) -> Result<(), Error> {
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(self.write_error(now, error));
        }
        self.has_blocked = true;
        let since = *self.blocked_since.get_or_insert(now);
        let stalled = now.saturating_duration_since(since);
        if self.write_timeout.is_some_and(|timeout| stalled >= timeout) {
            return Err(Error::TimedOut(Phase::Write));
        }
        Ok(())
    }

    /// Whether bytes wait for the system to take them.
    fn has_output(&self) -> bool {
        self.queued() > 0 || self.carrier.has_output()
    }

    /// What time has made due, for the session and for what carries it.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.carrier.handle_timeout(now).map_err(|e| self.io_error(e))?;
        Ok(self.session.handle_timeout(now)?)
    }

    /// A peer that refuses often says why before it closes: its words, or its end, are in the receive buffer when
    /// the write fails.
    fn write_error(&mut self, now: Instant, error: io::Error) -> Error {
        let enough = self.totals.received.saturating_add(MAX_READ_AHEAD);
        while self.totals.received < enough {
            match self.read(now) {
                Ok(Progress::Made) => {}
                Err(
                    said @ Error::Session(session::Error::Rejected { .. } | session::Error::Disconnected(_)),
                ) => {
                    return said;
                }
                Ok(Progress::Blocked) | Err(_) => break,
            }
        }
        self.io_error(error)
    }

    /// Waits until the socket can do what is wished, something is due, or the wait is over.
    fn wait(
        &mut self,
        now: Instant,
        wake: &Wake,
        deadline: Option<Instant>,
        wish: Wish,
    ) -> Result<(), Stopped> {
        check(now, wake, deadline)?;
        let until = [deadline, self.poll_timeout(now)].into_iter().flatten().min();
        let interest = self.interest(now);
        let timeout = until.map(|until| until.saturating_duration_since(now));
        self.calls.waits += 1;
        let ready = self
            .carrier
            .wait(interest, wake, timeout)
            .map_err(|e| self.io_error(e))?;
        if ready.woken {
            return Err(Stopped::Interrupted);
        }
        if (ready.readable || self.carrier.has_input()) && matches!(wish, Wish::Write) {
            self.read_ahead(Instant::now());
        }
        Ok(())
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("carrier", &self.carrier)
            .field("session", &self.session)
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

/// Whether there is still time, and nobody wants the thread back.
fn check(now: Instant, wake: &Wake, deadline: Option<Instant>) -> Result<(), Stopped> {
    if wake.is_awake() {
        Err(Stopped::Interrupted)
    } else if deadline.is_some_and(|deadline| now >= deadline) {
        Err(Stopped::Elapsed)
    } else {
        Ok(())
    }
}

/// What a waiting thread is after.
#[derive(Clone, Copy)]
enum Wish {
    Read,
    Write,
}

/// What an event weighs in the backlog at least, in bytes: its payload, and itself so that none is free.
fn cost(event: &Event) -> usize {
    let payload = match event {
        Event::Media(media) => media.len(),
        _ => 0,
    };
    payload.saturating_add(size_of::<Event>())
}

enum Progress {
    Made,
    Blocked,
}

/// Writes the front of `queue` in one go, at most `N` slices of it.
fn gather<const N: usize>(
    carrier: &mut Carrier,
    now: Instant,
    queue: &Transmit,
    allowance: usize,
) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); N];
    let filled = queue.chunks_vectored(&mut slices);
    let slices = slices.get(..filled).unwrap_or_default();
    // A slice that is longer by itself, of a large chunk, goes in pieces.
    match slices.first().and_then(|slice| slice.get(..allowance)) {
        Some(piece) => carrier.write_vectored(now, &[IoSlice::new(piece)]),
        None => carrier.write_vectored(now, limit(slices, allowance)),
    }
}

/// The front of `slices` that holds at most `bytes` bytes; at least one slice if there is one. Whole slices only:
/// pacing need not be exact to the byte.
fn limit<'a, 'b>(slices: &'b [IoSlice<'a>], bytes: usize) -> &'b [IoSlice<'a>] {
    if bytes == usize::MAX {
        return slices;
    }
    let mut left = bytes;
    let fits = |slice: &&IoSlice<'_>| match left.checked_sub(slice.len()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let count = slices.iter().take_while(fits).count();
    slices.get(..count.max(1)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
