//! A connection as an element holds it: being made on a short-lived thread, then driven by whoever calls.
//!
//! ```text
//!   open() -> Connecting --(session ready)--> Up --(error, peer gone)--> Down(error)
//!                 |                            |
//!                 +---------- close() ---------+--> Down(Closed)
//! ```
//!
//! Connecting may take several attempts, each with a socket and a session of its own: what to try next is the
//! [`Plan`]'s to say.
//!
//! The state's lock is held across I/O; [`Connection::stats`] and setting the [`Wake`] do not need it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::dial::{Target, dial};
use super::driver::{ByteTotals, Driver, Expendable, Farewell, Stopped};
use super::error::{Error, Phase};
use super::keepalive;
use super::wake::{Wake, WakeOnDrop};
use crate::session::attempt::{Attempt, Detour, Plan};
use crate::session::{self, ClientConfig, Event, Media, Order, Recording, Session, SwfVerification};
use crate::url::RtmpUrl;

/// How long the peer's end of the connection is awaited after ours.
const LINGER: Duration = Duration::from_secs(1);

/// How old the figures of a connection may become while a write is blocked.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// Age that [`Connection::stats`] may reach while somebody waits for an event: the peer's pings, and messages that
/// are long in coming, are no events.
const STATS_AGE: Duration = Duration::from_secs(1);

/// Orders that wait for whoever drives the connection.
const MAX_ORDERS: usize = 64;

/// Figures of a connection. The session's are absent until there is one.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// `connecting`, `connected`, `closing` or `closed`.
    pub state: &'static str,
    /// Bytes received, handshake included.
    pub bytes_in: u64,
    /// Bytes sent, handshake included.
    pub bytes_out: u64,
    /// From the start of the name look-up until media could flow.
    pub connect_time: Option<Duration>,
    /// When media could flow.
    pub ready_since: Option<Instant>,
    /// Round trip time of the handshake's first bytes.
    pub round_trip: Option<Duration>,
    /// The session's own figures.
    pub session: Option<session::Stats>,
}

impl Stats {
    fn set(&mut self, totals: ByteTotals, session: session::Stats) {
        self.bytes_in = totals.received;
        self.bytes_out = totals.sent;
        self.round_trip = session.round_trip;
        self.session = Some(session);
    }
}

/// Called without any lock held, from the keepalive thread, when it finds that the connection was lost.
pub type LostHook = Box<dyn Fn(&Error) + Send + Sync>;

/// What happens while a connection is made and does not end it.
#[derive(Clone, Debug)]
pub enum Notice {
    /// The attempt has failed, and there is another.
    Detour(Detour),
    /// The server wants SecureToken answered, and there is no key.
    TokenWanted,
    /// Something has come of SWF verification.
    SwfVerification(SwfVerification),
}

/// Called without any lock held, from the connecting thread.
pub type NoticeHook = Box<dyn Fn(&Notice) + Send>;

/// Who is told what.
#[derive(Default)]
pub struct Hooks {
    /// When the connection is lost while nobody drives it.
    pub on_lost: Option<LostHook>,
    /// What happens while it is made.
    pub on_notice: Option<NoticeHook>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// See the module.
pub struct Connection {
    state: Mutex<State>,
    stats: Mutex<Stats>,
    url: Arc<Mutex<Arc<RtmpUrl>>>,
    peak_kbps: AtomicU32,
    /// 0 is the configuration's.
    chunk_size: AtomicU32,
    /// Whether it has ever been up: who publishes asks with every buffer, and need not lock for it.
    was_up: AtomicBool,
    /// Whether events may wait to be polled, for the same reason.
    has_events: AtomicBool,
    /// Never held while anything is waited for.
    expendable: Mutex<Option<Expendable>>,
    /// What the server is to be asked, by whoever has the state next. Never held while anything is waited for.
    orders: Mutex<VecDeque<Order>>,
    has_orders: AtomicBool,
    on_lost: Option<LostHook>,
}

enum State {
    Connecting(Connecting),
    Up(Box<Driver>),
    Down(Error),
}

/// A connection being made on its own thread.
struct Connecting {
    thread: JoinHandle<Result<(Driver, Instant), Failure>>,
    /// Ends the attempt, as does dropping it.
    cancel: WakeOnDrop,
    done: Arc<Wake>,
    started: Instant,
}

impl Connection {
    /// Begins to connect to `target` and returns at once. `url` is what the user calls it, with the secrets to mask;
    /// scheme, host and port are the target's until a redirect changes them.
    ///
    /// # Errors
    ///
    /// Only if the operating system has no more threads or descriptors.
    pub fn open(
        target: Target,
        config: Arc<ClientConfig>,
        url: RtmpUrl,
        hooks: Hooks,
    ) -> io::Result<Arc<Self>> {
        let Hooks { on_lost, on_notice } = hooks;
        let told = Arc::new(Mutex::new(Arc::new(url.clone())));
        let mut endeavour = Endeavour {
            plan: Plan::new(url, config),
            wanted: target.clone(),
            target,
            url: Arc::clone(&told),
            on_notice,
        };
        let cancel = Arc::new(Wake::new()?);
        let done = Arc::new(Wake::new()?);
        // Before there is the thread, which may be done before this one goes on.
        let started = Instant::now();
        let thread = thread::Builder::new().name("rtmp-connect".into()).spawn({
            let (cancel, done) = (Arc::clone(&cancel), Arc::clone(&done));
            move || {
                // Set when the thread unwinds as well, so that nobody waits for a result that never comes.
                let _done = WakeOnDrop(done);
                endeavour
                    .establish(&cancel)
                    .map(|driver| (driver, Instant::now()))
            }
        })?;
        let connecting = Connecting {
            thread,
            cancel: WakeOnDrop(cancel),
            done,
            started,
        };
        let connection = Arc::new(Self {
            state: Mutex::new(State::Connecting(connecting)),
            stats: Mutex::new(Stats {
                state: "connecting",
                ..Stats::default()
            }),
            url: told,
            peak_kbps: AtomicU32::new(0),
            chunk_size: AtomicU32::new(0),
            was_up: AtomicBool::new(false),
            has_events: AtomicBool::new(false),
            expendable: Mutex::new(None),
            orders: Mutex::new(VecDeque::new()),
            has_orders: AtomicBool::new(false),
            on_lost,
        });
        keepalive::register(&connection)?;
        Ok(connection)
    }

    /// Whom it is connected to, or being connected, by now. Its `scrub` masks every secret that the connection has to do
    /// with, whatever its owner's settings have become.
    pub fn url(&self) -> Arc<RtmpUrl> {
        Arc::clone(&self.url.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Caps what is sent, in kbit/s; 0 lifts the cap. Takes effect with the next write.
    pub fn set_peak_rate(&self, kbps: u32) {
        self.peak_kbps.store(kbps, Ordering::Relaxed);
    }

    /// Lets media that is `expendable` be thrown away while nobody takes it, oldest first, so that the peer is not
    /// held back and its pings are answered for however long that lasts. `None`, as at first, throws nothing away.
    pub fn set_expendable(&self, expendable: Option<Expendable>) {
        *self.lock_expendable() = expendable;
    }

    /// Asks the server for something without waiting for anything: what cannot be sent at once goes out with the next
    /// call, or from the keepalive thread. False if too much waits already. Whoever waits for an event meanwhile is
    /// best woken.
    pub fn order(&self, order: Order) -> bool {
        {
            let mut orders = self.lock_orders();
            if orders.len() >= MAX_ORDERS {
                return false;
            }
            orders.push_back(order);
            self.has_orders.store(true, Ordering::Release);
        }
        self.service();
        true
    }

    /// Asks the server for something before the next event is taken. False if nothing is played.
    pub fn order_now(&self, order: &Order) -> Result<bool, Stopped> {
        self.drive(|driver, now| Ok(driver.order(now, order).is_ok()))
    }

    /// What is known of the stream that is played if it is a recording.
    pub fn recording(&self) -> Option<Recording> {
        match &*self.lock() {
            State::Up(driver) => driver.session().recording(),
            State::Connecting(_) | State::Down(_) => None,
        }
    }

    /// Gives out the orders that wait. One for which there is no stream is void.
    fn give_orders(&self, driver: &mut Driver, now: Instant) {
        if !self.has_orders.swap(false, Ordering::Acquire) {
            return;
        }
        let orders = std::mem::take(&mut *self.lock_orders());
        for order in &orders {
            let _ = driver.order(now, order);
        }
    }

    /// Changes the chunk size, in bytes, from the configuration's. Takes effect with the next message.
    pub fn set_chunk_size(&self, size: u32) {
        self.chunk_size.store(size, Ordering::Relaxed);
    }

    /// Waits until the session is ready for media. That it was lost since is told by the next call.
    pub fn wait_ready(&self, wake: &Wake) -> Result<(), Stopped> {
        if self.was_up.load(Ordering::Acquire) {
            return Ok(());
        }
        loop {
            let done = {
                let mut state = self.lock();
                self.collect(&mut state);
                match &*state {
                    State::Connecting(connecting) => Arc::clone(&connecting.done),
                    State::Up(_) => return Ok(()),
                    State::Down(error) => return Err(Stopped::Failed(error.clone())),
                }
            };
            // Not under the lock: the keepalive thread collects a finished connection as well.
            let woken = wake
                .wait(&mut [wake.entry(), done.entry()], None)
                .map_err(|source| {
                    Stopped::Failed(Error::Io {
                        phase: session::Phase::Handshake,
                        source: Arc::new(source),
                    })
                })?;
            if woken {
                return Err(Stopped::Interrupted);
            }
        }
    }

    /// Queues `media` and writes until all that is queued is in the kernel. After [`Stopped::Interrupted`] the
    /// rest goes out with the next call; an empty `media` only goes on.
    pub fn send(&self, media: impl IntoIterator<Item = Media>, wake: &Wake) -> Result<(), Stopped> {
        self.drive(|driver, mut now| {
            for media in media {
                driver.send(now, media)?;
            }
            let mut deadline = now;
            loop {
                match driver.flush_from(now, wake, Some(deadline)) {
                    // Held up by a slow peer or by our own rate: meanwhile the figures are wanted, and the rate
                    // may change.
                    Err(Stopped::Elapsed) => {
                        self.publish_stats(driver);
                        now = Instant::now();
                        driver.set_peak_rate(self.peak_kbps.load(Ordering::Relaxed), now);
                        deadline = now + STATS_INTERVAL;
                    }
                    done => return done,
                }
            }
        })
    }

    /// Waits for the next event, until `deadline` if there is one.
    pub fn next_event(&self, wake: &Wake, deadline: Option<Instant>) -> Result<Event, Stopped> {
        loop {
            let result = self.drive(|driver, now| match driver.poll_event() {
                Some(event) => Ok(event),
                None => {
                    // Once per wait, not per event: the thread is about to sleep, so this costs no throughput.
                    self.publish_stats(driver);
                    let stale = now + STATS_AGE;
                    driver.next_event(wake, Some(deadline.map_or(stale, |deadline| deadline.min(stale))))
                }
            });
            match result {
                Err(Stopped::Elapsed) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                result => return result,
            }
        }
    }

    /// The next event that is already here.
    pub fn poll_event(&self) -> Option<Event> {
        if !self.has_events.load(Ordering::Acquire) {
            return None;
        }
        match &mut *self.lock() {
            State::Up(driver) => {
                let event = driver.poll_event();
                self.has_events.store(driver.has_events(), Ordering::Release);
                event
            }
            State::Connecting(_) | State::Down(_) => None,
        }
    }

    /// Ends the connection in good order within `timeout`: the stop commands and all that is queued are
    /// written, our side is shut down, and the peer's end is awaited for a moment. Then, or when that failed,
    /// the socket is closed.
    pub fn close(&self, wake: &Wake, timeout: Duration) -> Result<Farewell, Stopped> {
        let mut state = self.lock();
        let closed = match std::mem::replace(&mut *state, State::Down(Error::Closed)) {
            State::Connecting(connecting) => {
                drop(connecting.cancel);
                // It returns at once: nothing it does is not cancellable.
                drop(connecting.thread.join());
                Ok(Farewell::Said)
            }
            State::Up(mut driver) => {
                self.publish_stats(&driver);
                self.lock_stats().state = "closing";
                let closed = driver.close(wake, Instant::now() + timeout, LINGER.min(timeout));
                self.publish_stats(&driver);
                closed
            }
            State::Down(error) => {
                *state = State::Down(error.clone());
                match error {
                    Error::Closed => Ok(Farewell::Said),
                    error => Err(Stopped::Failed(error)),
                }
            }
        };
        drop(state);
        self.lock_stats().state = "closed";
        keepalive::deregister(self);
        closed
    }

    /// The latest figures. Never waits for the network.
    pub fn stats(&self) -> Stats {
        if let Ok(state) = self.state.try_lock()
            && let State::Up(driver) = &*state
        {
            self.publish_stats(driver);
        }
        let mut stats = self.lock_stats().clone();
        // The server's words, which may repeat a stream key.
        if let Some(session) = &mut stats.session {
            let url = self.url();
            for words in [&mut session.peer_version, &mut session.last_status] {
                *words = words.take().map(|words| url.scrub(&words).into());
            }
        }
        stats
    }

    /// Does what is due without waiting; called by the keepalive thread. Leaves alone what somebody drives.
    pub(super) fn service(&self) {
        let lost = {
            let mut state = match self.state.try_lock() {
                Ok(state) => state,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            // Not before: whoever drove it until now has told it a later time than the lock was asked for.
            let now = Instant::now();
            let was_down = matches!(*state, State::Down(_));
            let was_up = matches!(*state, State::Up(_));
            self.collect(&mut state);
            match &mut *state {
                State::Up(driver) => {
                    // The server may have ended what it had just begun, before anybody could drive it.
                    let before = was_up && driver.lost().is_some();
                    driver.set_peak_rate(self.peak_kbps.load(Ordering::Relaxed), now);
                    driver.set_expendable(*self.lock_expendable());
                    self.give_orders(driver, now);
                    driver.service(now);
                    self.has_events.store(driver.has_events(), Ordering::Release);
                    self.publish_stats(driver);
                    driver.lost().filter(|_| !before).cloned()
                }
                State::Down(error) if !was_down => Some(error.clone()),
                State::Connecting(_) | State::Down(_) => None,
            }
        };
        let Some(error) = lost else { return };
        self.lock_stats().state = "closed";
        if let Some(hook) = &self.on_lost {
            hook(&error);
        }
    }

    /// Has the driver do `action` now, which is looked at once: a look costs as much as a small message.
    fn drive<T>(
        &self,
        action: impl FnOnce(&mut Driver, Instant) -> Result<T, Stopped>,
    ) -> Result<T, Stopped> {
        let mut state = self.lock();
        self.collect(&mut state);
        let result = match &mut *state {
            State::Connecting(_) => return Err(Stopped::Failed(Error::Closed)),
            State::Down(error) => return Err(Stopped::Failed(error.clone())),
            State::Up(driver) => {
                // Not before: whoever drove it until now has told it a later time than the lock was asked for.
                let now = Instant::now();
                driver.set_peak_rate(self.peak_kbps.load(Ordering::Relaxed), now);
                let chunk_size = self.chunk_size.load(Ordering::Relaxed);
                if chunk_size != 0 {
                    driver.session_mut().set_chunk_size(chunk_size);
                }
                self.give_orders(driver, now);
                let result = action(driver, now);
                self.has_events.store(driver.has_events(), Ordering::Release);
                result
            }
        };
        if let Err(Stopped::Failed(error)) = &result {
            if let State::Up(driver) = &*state {
                self.publish_stats(driver);
            }
            self.lock_stats().state = "closed";
            *state = State::Down(error.clone());
        }
        result
    }

    /// Takes over from a connecting thread that has finished.
    fn collect(&self, state: &mut MutexGuard<'_, State>) {
        if !matches!(&**state, State::Connecting(connecting) if connecting.done.is_awake()) {
            return;
        }
        let State::Connecting(connecting) = std::mem::replace(&mut **state, State::Down(Error::Closed))
        else {
            return;
        };
        let result = connecting
            .thread
            .join()
            .unwrap_or_else(|_| Err(Error::Closed.into()));
        let mut stats = self.lock_stats();
        **state = match result {
            Ok((driver, ready)) => {
                stats.state = "connected";
                stats.connect_time = Some(ready.saturating_duration_since(connecting.started));
                stats.ready_since = Some(ready);
                self.has_events.store(driver.has_events(), Ordering::Release);
                self.was_up.store(true, Ordering::Release);
                State::Up(Box::new(driver))
            }
            Err(failure) => {
                stats.state = "closed";
                if let Some(last) = failure.stats {
                    let (totals, session) = *last;
                    stats.set(totals, session);
                }
                State::Down(failure.error)
            }
        };
    }

    fn publish_stats(&self, driver: &Driver) {
        self.lock_stats().set(driver.totals(), driver.session().stats());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while driving leaves a driver that is as usable as any other: its queue is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_orders(&self) -> MutexGuard<'_, VecDeque<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_expendable(&self) -> MutexGuard<'_, Option<Expendable>> {
        self.expendable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_stats(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without [`Connection::close`] nothing is said to the peer.
impl Drop for Connection {
    fn drop(&mut self) {
        keepalive::deregister(self);
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.lock_stats().state)
            .finish_non_exhaustive()
    }
}

/// Why no connection has come about, with the figures of the last session if there was one.
struct Failure {
    error: Error,
    stats: Option<Box<(ByteTotals, session::Stats)>>,
    /// Whether RTMPE may have come to different keys at both ends.
    has_ambiguous_keys: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            stats: None,
            has_ambiguous_keys: false,
        }
    }
}

impl Failure {
    fn of(driver: &Driver, error: Error) -> Self {
        Self {
            error,
            stats: Some(Box::new((driver.totals(), driver.session().stats()))),
            has_ambiguous_keys: driver.session().has_ambiguous_keys(),
        }
    }

    /// What the plan can make something of: the session's own failure, in its phase. A connection that broke is one
    /// that was closed.
    fn of_session(&self) -> Option<(session::Phase, session::Error)> {
        let (_, stats) = self.stats.as_deref()?;
        let error = match &self.error {
            Error::Session(error) => error.clone(),
            Error::TimedOut(Phase::Session(phase)) => session::Error::TimedOut(*phase),
            Error::Io { phase, .. } => session::Error::Disconnected(*phase),
            _ => return None,
        };
        Some((stats.phase, error))
    }
}

/// What the connecting thread works with.
struct Endeavour {
    plan: Plan,
    /// Where the user wants to go.
    wanted: Target,
    /// Where the attempt goes.
    target: Target,
    /// What the owner is told of the attempt that is being made.
    url: Arc<Mutex<Arc<RtmpUrl>>>,
    on_notice: Option<NoticeHook>,
}

impl Endeavour {
    /// Everything from the name to a session that is ready for media, as often as the plan says.
    fn establish(&mut self, cancel: &Wake) -> Result<Driver, Failure> {
        // Of the attempt that is made again in lock-step: it counts if that one does not get as far.
        let mut confused: Option<Failure> = None;
        loop {
            let attempt = self.plan.attempt();
            *self.url.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&attempt.url);
            let failure = match self.try_once(attempt, cancel) {
                Ok(driver) => return Ok(driver),
                Err(failure) => failure,
            };
            if failure.has_ambiguous_keys
                && let Some(detour) = self.plan.handle_ambiguous_keys()
            {
                self.follow(detour);
                continue;
            }
            let planned = match failure.of_session() {
                Some((phase, error)) if phase != session::Phase::Handshake || confused.is_none() => {
                    Some(self.plan.handle_failure(phase, error.clone()).map_err(|better| {
                        // Only a better word than the transport's takes its place.
                        (better != error).then_some(better)
                    }))
                }
                _ => None,
            };
            match planned {
                Some(Ok(detour)) => {
                    let is_repeated = matches!(detour, Detour::LockStep);
                    confused = is_repeated.then_some(failure);
                    self.follow(detour);
                }
                Some(Err(Some(better))) => {
                    return Err(Failure {
                        error: better.into(),
                        ..failure
                    });
                }
                Some(Err(None)) => return Err(failure),
                None if matches!(failure.error, Error::Closed) => return Err(failure),
                None => return Err(confused.unwrap_or(failure)),
            }
        }
    }

    fn follow(&mut self, detour: Detour) {
        if let Detour::Redirect(url) = &detour {
            let (host, is_trusted) = (url.host(), self.plan.is_trusted());
            self.target = self.wanted.redirected(url.scheme(), host, url.port(), is_trusted);
        }
        self.tell(&Notice::Detour(detour));
    }

    fn tell(&self, notice: &Notice) {
        if let Some(hook) = &self.on_notice {
            hook(notice);
        }
    }

    fn try_once(&self, attempt: Attempt, cancel: &Wake) -> Result<Driver, Failure> {
        let timeout = attempt.config.timeout;
        let carrier = dial(&self.target, &attempt.config.redirects, timeout, cancel)?;
        let now = Instant::now();
        let session = Session::client(attempt.config, now);
        let mut driver = Driver::new(carrier, session, timeout, now);
        loop {
            match driver.next_event(cancel, None) {
                Ok(Event::Ready) => return Ok(driver),
                Ok(Event::TokenWanted) => self.tell(&Notice::TokenWanted),
                Ok(Event::SwfVerification(outcome)) => self.tell(&Notice::SwfVerification(outcome)),
                // Until it is ready a session ends by an error only.
                Ok(_) => {}
                Err(Stopped::Interrupted | Stopped::Elapsed) => return Err(Error::Closed.into()),
                Err(Stopped::Failed(error)) => return Err(Failure::of(&driver, error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Intent, PublishKind};
    use crate::transport::listener::Listener;
    use crate::transport::tcp::{Interest, TcpOptions, poll};
    use crate::transport::tls;
    use crate::url::Scheme;
    use bytes::BytesMut;
    use std::net::{Ipv4Addr, SocketAddr};

    #[test]
    fn a_server_name_is_that_of_the_first_host_alone() {
        let url = |text: &str| RtmpUrl::parse(text).unwrap();
        let intent = Intent::Publish {
            kind: PublishKind::Live,
        };
        let (app, tc_url) = ("app".into(), "rtmps://a.example/app".into());
        let config = ClientConfig::new(intent, app, tc_url, "key".into(), [7; 32]);
        let options = tls::Options {
            server_name: Some("name.example".to_owned()),
            ..tls::Options::default()
        };
        let target = Target {
            scheme: Scheme::Rtmps,
            host: "a.example".into(),
            port: 443,
            tcp: TcpOptions::default(),
            proxy: None,
            tls: Some(tls::Client::new(options).unwrap()),
        };
        let mut endeavour = Endeavour {
            plan: Plan::new(url("rtmps://a.example/app/key"), Arc::new(config)),
            wanted: target.clone(),
            target,
            url: Arc::new(Mutex::new(Arc::new(url("rtmps://a.example/app/key")))),
            on_notice: None,
        };
        for (location, has_name) in [
            ("rtmps://b.example/app/key", false),
            ("rtmpts://A.example:444/app/key", true),
        ] {
            endeavour.follow(Detour::Redirect(Arc::new(url(location))));
            assert_eq!(format!("{}:{}", endeavour.target.host, endeavour.target.port), {
                let url = url(location);
                format!("{}:{}", url.host(), url.port())
            });
            let tls = format!("{:?}", endeavour.target.tls);
            assert_eq!(tls.contains("name.example"), has_name, "{location}: {tls}");
        }
    }

    #[test]
    fn a_connection_that_is_dropped_while_it_is_made_leaves_nothing_behind() {
        let wake = Wake::new().unwrap();
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let target = Target {
            scheme: Scheme::Rtmp,
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            tcp: TcpOptions::default(),
            proxy: None,
            tls: None,
        };
        let intent = Intent::Publish {
            kind: PublishKind::Live,
        };
        let config = ClientConfig {
            timeout: None,
            ..ClientConfig::new(
                intent,
                "app".into(),
                "rtmp://host/app".into(),
                "key".into(),
                [7; 32],
            )
        };
        let url = RtmpUrl::parse("rtmp://host/app/key").unwrap();
        let connection = Connection::open(target, Arc::new(config), url, Hooks::default()).unwrap();
        assert!(listener.poll(&wake, None).unwrap().readable);
        let mut peer = listener.accept(&TcpOptions::default()).unwrap();

        let address = Arc::as_ptr(&connection);
        drop(connection);
        // Its end of the connection, behind its handshake.
        let mut received = BytesMut::new();
        loop {
            let timeout = Some(Duration::from_secs(20));
            assert!(
                poll(Some((&peer, Interest::READ)), &wake, timeout)
                    .unwrap()
                    .readable
            );
            if peer.read(&mut received, usize::MAX).unwrap() == 0 {
                break;
            }
        }
        // The keepalive thread may have been about to look after it.
        let given_up = Instant::now() + Duration::from_secs(20);
        while keepalive::looks_after(address) {
            assert!(Instant::now() < given_up);
            thread::yield_now();
        }
    }
}
