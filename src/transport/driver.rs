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
mod tests {
    use super::*;
    use crate::session::{ClientConfig, Intent, MediaKind, PublishKind, ServerConfig};
    use crate::timestamp::Timestamp;
    use crate::transport::listener::Listener;
    use crate::transport::race::connect;
    use crate::transport::tcp::{TcpOptions, poll};
    use bytes::Bytes;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(20);

    /// An audio message of 100 bytes in one chunk.
    const AUDIO: &[u8; 112] = &{
        let mut message = [0; 112];
        (message[0], message[6], message[7], message[8]) = (4, 100, 8, 1);
        message
    };

    /// A server's driver and the socket of its client, which has shaken hands and called connect.
    fn connected() -> (Driver, Socket) {
        let wake = Wake::new().unwrap();
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let now = Instant::now();
        let mut client = connect(
            &[address],
            &TcpOptions::default(),
            &wake,
            now + Duration::from_secs(10),
        )
        .unwrap();
        assert!(listener.poll(&wake, None).unwrap().readable);
        let socket = listener.accept(&TcpOptions::default()).unwrap();
        let session = Session::server(Arc::new(ServerConfig::new([7; 32])), now);

        let mut opening = vec![3];
        opening.resize(1 + 2 * 1536, 0);
        let connect = b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\x04live\0\0\x09";
        opening.extend([3, 0, 0, 0, 0, 0, connect.len() as u8, 20, 0, 0, 0, 0]);
        opening.extend(connect);
        assert_eq!(
            client.write_vectored(&[IoSlice::new(&opening)]).unwrap(),
            opening.len()
        );
        (Driver::new(socket, session, None, now), client)
    }

    /// Sends audio until the kernel takes no more. `sent` says where in a message it stopped the last time.
    fn flood(client: &mut Socket, sent: &mut usize) {
        let burst = AUDIO.repeat(1000);
        while let Ok(count) = client.write_vectored(&[IoSlice::new(&burst[*sent % AUDIO.len()..])]) {
            *sent += count;
        }
    }

    #[test]
    fn a_peer_that_sends_ahead_of_an_answer_is_held_back() {
        let (mut driver, mut client) = connected();
        let mut sent = 0;
        // Nobody has let the client in.
        let limit = driver.session().held_input_limit();
        assert!(limit <= MAX_BACKLOG / 64);
        while driver.interest(Instant::now()).readable {
            flood(&mut client, &mut sent);
            driver.service(Instant::now());
            assert!(
                driver.input.len() < limit + READ_SIZE,
                "{} bytes",
                driver.input.len()
            );
        }
        assert!(driver.input.len() >= limit - READ_SIZE);

        let Some(Event::Requested(request)) = driver.poll_event() else {
            panic!("connect")
        };
        driver.answer(Instant::now(), &request, Ok(())).unwrap();
        assert!(driver.failure().is_none(), "{:?}", driver.failure());
        assert!(driver.interest(Instant::now()).readable);
    }

    /// The same with connect accepted.
    fn accepted() -> (Driver, Socket) {
        let (mut driver, client) = connected();
        let wake = Wake::new().unwrap();
        let Ok(Event::Requested(request)) = driver.next_event(&wake, None) else {
            panic!("connect")
        };
        let now = Instant::now();
        driver.session_mut().answer(now, &request, Ok(())).unwrap();
        driver.resume(now);
        assert_eq!(driver.poll_event(), Some(Event::Connected));
        driver.flush(&wake, None).unwrap();
        (driver, client)
    }

    /// Has the client ask for something on the message stream 1, and grants it.
    fn grant(driver: &mut Driver, client: &mut Socket, command: &[u8]) {
        let wake = Wake::new().unwrap();
        let mut message = vec![3, 0, 0, 0, 0, 0, command.len() as u8, 20, 1, 0, 0, 0];
        message.extend(command);
        client.write_vectored(&[IoSlice::new(&message)]).unwrap();
        let Ok(Event::Requested(request)) = driver.next_event(&wake, None) else {
            panic!("{}", command.escape_ascii())
        };
        driver
            .session_mut()
            .answer(Instant::now(), &request, Ok(()))
            .unwrap();
        assert_eq!(driver.poll_event(), Some(Event::Ready));
    }

    #[test]
    fn a_peer_that_never_pauses_does_not_keep_a_call_from_ending() {
        let (mut driver, mut client) = accepted();
        let mut sent = 0;
        let (asleep, awake) = (Wake::new().unwrap(), Wake::new().unwrap());
        awake.wake();
        for (wake, deadline) in [(&awake, None), (&asleep, Some(Instant::now()))] {
            flood(&mut client, &mut sent);
            let before = driver.totals().received;
            let stopped = driver.next_event(wake, deadline).unwrap_err();
            assert!(matches!(
                (stopped, deadline),
                (Stopped::Interrupted, None) | (Stopped::Elapsed, Some(_))
            ));
            let read = driver.totals().received - before;
            assert!(read <= READ_SIZE as u64, "{read} bytes");
        }

        flood(&mut client, &mut sent);
        let before = driver.totals().received;
        let stopped = driver.close(&awake, Instant::now() + Duration::from_secs(10), LONG);
        assert!(matches!(stopped, Err(Stopped::Interrupted)), "{stopped:?}");
        assert!(driver.totals().received - before <= READ_SIZE as u64);
    }

    #[test]
    fn waiting_for_an_event_does_not_read_without_end() {
        let (mut driver, mut client) = connected();
        let wake = Wake::new().unwrap();
        let Ok(Event::Requested(_)) = driver.next_event(&wake, None) else {
            panic!("connect")
        };
        let mut sent = 0;
        for _ in 0..3 {
            while !driver.is_full() {
                flood(&mut client, &mut sent);
                let stopped = driver.next_event(&wake, Some(Instant::now()));
                assert!(matches!(stopped, Err(Stopped::Elapsed)), "{stopped:?}");
            }
            flood(&mut client, &mut sent);
            let stopped = driver.next_event(&wake, Some(Instant::now()));
            assert!(matches!(stopped, Err(Stopped::Elapsed)), "{stopped:?}");
        }
        let held = driver.input.len();
        assert!(held < MAX_BACKLOG + READ_SIZE, "{held} bytes");
    }

    /// Ticks of a hundredth of a second that this thread has computed.
    #[cfg(target_os = "linux")]
    fn cpu_ticks() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        fields[11..13]
            .iter()
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_peer_that_asks_after_the_end_and_stays_does_not_make_us_spin() {
        let (mut driver, mut client) = accepted();
        let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
        let wake = Wake::new().unwrap();
        // Too late for the answer to be written: it is read when our side has been shut down.
        driver.last_read = Instant::now() + LONG;
        client.write_vectored(&[IoSlice::new(&ping)]).unwrap();
        let linger = Duration::from_millis(500);
        let (start, before) = (Instant::now(), cpu_ticks());
        driver.close(&wake, start + LONG, linger).unwrap();
        assert!(driver.queued() > 0, "the answer");
        assert!(start.elapsed() >= linger);
        let ticks = cpu_ticks() - before;
        assert!(ticks < 10, "{ticks} ticks");
    }

    #[test]
    fn a_slow_peer_gets_all_that_the_kernel_holds_for_it() {
        let (mut driver, mut client) = accepted();
        let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
        let acknowledgement = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 1];
        // Until the answer to a ping finds no room.
        let block = [0; READ_SIZE];
        while driver.queued() == 0 {
            while let Ok(count) = driver
                .carrier
                .write_vectored(Instant::now(), &[IoSlice::new(&block)])
            {
                driver.totals.sent += count as u64;
            }
            client.write_vectored(&[IoSlice::new(&ping)]).unwrap();
            driver.service(Instant::now());
            assert!(driver.failure.is_none(), "{:?}", driver.failure);
        }
        let closing = std::thread::spawn(move || {
            let wake = Wake::new().unwrap();
            let closed = driver.close(&wake, Instant::now() + LONG, Duration::from_millis(1));
            (closed, driver.totals().sent)
        });
        // A link of some 10 MB/s, whose other end goes on talking.
        let wake = Wake::new().unwrap();
        let (started, mut received) = (Instant::now(), 0);
        while started.elapsed() < LONG {
            let mut input = BytesMut::new();
            match client.read(&mut input, READ_SIZE / 4) {
                Ok(0) => break,
                Ok(count) => received += count as u64,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "after {received} bytes"),
            }
            client.write_vectored(&[IoSlice::new(&acknowledgement)]).unwrap();
            poll(None, &wake, Some(Duration::from_millis(1))).unwrap();
        }
        drop(client);
        let (closed, sent) = closing.join().unwrap();
        assert_eq!(closed.unwrap(), Farewell::Said);
        // What went out before it was blocked has been sent as well.
        assert_eq!(received, sent);
    }

    #[test]
    fn a_slow_peer_that_does_not_read_to_the_end_is_told_of() {
        let (mut driver, mut client) = accepted();
        let block = [0; READ_SIZE];
        let fill = |driver: &mut Driver| {
            while let Ok(count) = driver
                .carrier
                .write_vectored(Instant::now(), &[IoSlice::new(&block)])
            {
                driver.totals.sent += count as u64;
            }
        };
        fill(&mut driver);
        // An answer finds no room, and then some.
        let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
        client.write_vectored(&[IoSlice::new(&ping)]).unwrap();
        let wake = Wake::new().unwrap();
        while !driver.has_blocked {
            let socket = driver.socket().map(|socket| (socket, Interest::READ));
            assert!(poll(socket, &wake, Some(LONG)).unwrap().readable);
            fill(&mut driver);
            driver.service(Instant::now());
        }
        let acknowledgement = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0x30, 0];
        client.write_vectored(&[IoSlice::new(&acknowledgement)]).unwrap();
        let started = Instant::now();
        while driver.has_output() {
            assert!(started.elapsed() < LONG);
            let mut input = BytesMut::new();
            let _ = client.read(&mut input, READ_SIZE);
            driver.service(Instant::now());
        }

        let linger = Duration::from_millis(20);
        let farewell = driver.close(&wake, Instant::now() + linger, linger).unwrap();
        let expected = Farewell::Unconfirmed {
            sent: driver.totals().sent,
            acknowledged: 0x3000,
        };
        assert_eq!(farewell, expected);
    }

    #[test]
    fn a_large_slice_goes_out_at_the_rate() {
        let (mut driver, mut client) = accepted();
        let media = Media {
            kind: MediaKind::Video,
            timestamp: Timestamp::from_millis(0),
            head: Bytes::new(),
            body: vec![0; 100_000].into(),
        };
        grant(
            &mut driver,
            &mut client,
            b"\x02\0\x04play\0\x40\x14\0\0\0\0\0\0\x05\x02\0\x03key",
        );
        driver.flush(&Wake::new().unwrap(), None).unwrap();
        driver.session_mut().set_chunk_size(1 << 20);
        let start = Instant::now();
        driver.send(start, media).unwrap();
        // 2500 bytes in 20 ms.
        driver.set_peak_rate(1000, start);
        let before = driver.totals().sent;
        let mut now = start;
        while driver.queued() > 0 {
            let was = driver.totals().sent;
            driver.write(now).unwrap();
            let burst = driver.totals().sent - was;
            assert!(burst <= 2500, "{burst} bytes");
            now += Duration::from_millis(20);
        }
        assert!(driver.totals().sent - before > 100_000);
        assert!(now - start >= Duration::from_millis(780), "{:?}", now - start);
    }

    #[test]
    fn slices_are_taken_as_far_as_they_fit() {
        let slices = [&[0; 10][..], &[0; 20], &[0; 30]].map(IoSlice::new);
        let bytes = |limit| slices_of(&slices, limit);
        assert_eq!([bytes(0), bytes(9), bytes(10), bytes(29)], [10; 4]);
        assert_eq!([bytes(30), bytes(59)], [30; 2]);
        assert_eq!([bytes(60), bytes(usize::MAX)], [60; 2]);
        assert!(limit(&[], 10).is_empty());
    }

    fn slices_of(slices: &[IoSlice<'_>], bytes: usize) -> usize {
        limit(slices, bytes).iter().map(|slice| slice.len()).sum()
    }

    #[test]
    fn what_is_read_around_an_event_counts_for_the_backlog() {
        let (mut driver, mut client) = accepted();
        grant(
            &mut driver,
            &mut client,
            b"\x02\0\x07publish\0\x40\x14\0\0\0\0\0\0\x05\x02\0\x03key",
        );

        // One message of audio in so many of a type that nobody knows.
        let mut burst = AUDIO.to_vec();
        let mut unknown = *AUDIO;
        unknown[7] = 99;
        burst.extend(unknown.repeat(600));
        let mut sent = 0;
        while driver.interest(Instant::now()).readable {
            while let Ok(count) = client.write_vectored(&[IoSlice::new(&burst[sent % burst.len()..])]) {
                sent += count;
            }
            driver.service(Instant::now());
            assert!(driver.failure.is_none(), "{:?}", driver.failure);
            let read = driver.totals().received as usize;
            assert!(read < MAX_BACKLOG + 2 * READ_SIZE, "{read} bytes");
        }
        while driver.poll_event().is_some() {}
        assert_eq!(driver.backlog_bytes, 0);
        assert!(driver.interest(Instant::now()).readable);
    }

    #[test]
    fn a_failed_write_does_not_read_without_end_for_its_reason() {
        let (mut driver, mut client) = accepted();
        driver.carrier.shutdown_write().unwrap();
        // To be answered.
        let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
        client.write_vectored(&[IoSlice::new(&ping)]).unwrap();
        let mut sent = 0;
        flood(&mut client, &mut sent);
        let before = driver.totals().received;
        driver.service(Instant::now());
        assert!(
            matches!(driver.failure(), Some(Error::Io { .. })),
            "{:?}",
            driver.failure()
        );
        let read = driver.totals().received - before;
        assert!(read < 2 * MAX_READ_AHEAD + 2 * READ_SIZE as u64, "{read} bytes");
    }

    #[test]
    fn debug_shows_nothing_received() {
        let (mut driver, _client) = connected();
        driver.input.extend_from_slice(b"secret");
        assert!(!format!("{driver:?}").contains("secret"));
    }

    #[test]
    fn a_peer_that_sends_fast_gets_only_its_share_of_a_call() {
        let (mut driver, mut client) = connected();
        let mut sent = 0;
        let mut most = 0;
        for _ in 0..4 {
            flood(&mut client, &mut sent);
            let before = driver.totals().received;
            driver.service(Instant::now());
            most = most.max(driver.totals().received - before);
        }
        assert!(most < MAX_READ_AHEAD + READ_SIZE as u64, "{most} bytes");
    }

    /// Both ends of a connection whose client publishes to the server.
    fn publishing() -> (Driver, Driver, Wake) {
        let wake = Wake::new().unwrap();
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let options = TcpOptions::default();
        let now = Instant::now();
        let socket = connect(&[listener.local_addr().unwrap()], &options, &wake, now + LONG).unwrap();
        assert!(listener.poll(&wake, None).unwrap().readable);
        let accepted = listener.accept(&options).unwrap();
        let intent = Intent::Publish {
            kind: PublishKind::Live,
        };
        let config = ClientConfig::new(
            intent,
            "app".into(),
            "rtmp://host/app".into(),
            "key".into(),
            [7; 32],
        );
        let mut client = Driver::new(socket, Session::client(Arc::new(config), now), None, now);
        let server = Session::server(Arc::new(ServerConfig::new([8; 32])), now);
        let mut server = Driver::new(accepted, server, None, now);
        let mut is_ready = false;
        while !is_ready {
            let now = Instant::now();
            client.service(now);
            server.service(now);
            while let Some(event) = server.poll_event() {
                if let Event::Requested(request) = event {
                    server.session_mut().answer(now, &request, Ok(())).unwrap();
                    server.resume(now);
                }
            }
            while let Some(event) = client.poll_event() {
                is_ready |= event == Event::Ready;
            }
        }
        (client, server, wake)
    }

    fn frame(at: u32, size: usize) -> Media {
        Media {
            kind: MediaKind::Video,
            timestamp: Timestamp::from_millis(at),
            head: Bytes::from_static(b"\x27\x01\0\0\0"),
            body: Bytes::from(vec![1; size]),
        }
    }

    #[test]
    fn a_message_is_one_write_and_a_list_of_messages_is_one_too() {
        let (mut client, mut server, wake) = publishing();
        let before = client.calls();
        let begin = Instant::now();
        for at in 0..100 {
            client.send(Instant::now(), frame(at, 20_000)).unwrap();
            client.flush(&wake, None).unwrap();
            while !matches!(server.next_event(&wake, None).unwrap(), Event::Media(_)) {}
        }
        let after = client.calls();
        assert_eq!((after.writes - before.writes, after.waits), (100, before.waits));
        // Once in a while it looks for what the server says: a read with something, one in vain.
        let looks = begin.elapsed().as_millis() / READ_INTERVAL.as_millis() + 1;
        assert!(
            u128::from(after.reads - before.reads) <= 2 * looks,
            "{after:?} {before:?}"
        );

        let before = client.calls().writes;
        for at in 100..300 {
            client.send(Instant::now(), frame(at, 370)).unwrap();
        }
        client.flush(&wake, None).unwrap();
        assert_eq!(client.calls().writes - before, 1);
    }

    #[test]
    fn messages_that_are_there_cost_less_than_a_call_each_and_those_that_come_two() {
        let (mut client, mut server, wake) = publishing();
        let take = |server: &mut Driver| {
            while !matches!(server.next_event(&wake, None).unwrap(), Event::Media(_)) {}
        };
        for at in 0..400 {
            client.send(Instant::now(), frame(at, 370)).unwrap();
        }
        client.service(Instant::now());
        let before = server.calls();
        for _ in 0..400 {
            take(&mut server);
        }
        let after = server.calls();
        let calls = after.reads - before.reads + after.waits - before.waits + after.writes - before.writes;
        assert!(calls <= 100, "{calls} calls for 400 messages");

        // One by one: a wait and a read, and nothing in vain.
        let before = server.calls();
        for at in 400..450 {
            client.send(Instant::now(), frame(at, 370)).unwrap();
            client.service(Instant::now());
            take(&mut server);
        }
        let after = server.calls();
        assert!(after.reads - before.reads <= 55, "{before:?} {after:?}");
        assert!(after.waits - before.waits <= 55, "{before:?} {after:?}");
    }
}
