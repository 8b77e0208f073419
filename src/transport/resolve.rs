//! Host names to addresses, in the order to try them.
//!
//! The system's resolver blocks for as long as it likes and cannot be cancelled. So it runs on a thread of
//! its own that owns nothing but the name, and is abandoned when its answer is no longer wanted.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use super::wake::Wake;

/// Lookups that may run at once in this process, abandoned ones included. A thread of a dead name server ends
/// by itself after half a minute or so.
const MAX_LOOKUPS: usize = 256;

/// Addresses of one name that are worth trying.
const MAX_ADDRESSES: usize = 16;

static LOOKUPS: Lookups = Lookups::new(MAX_LOOKUPS);

/// The addresses of `host`, both families in turn beginning with the one that the system prefers (RFC 8305
/// section 4), at most 16. An IP address, with or without the brackets of an IPv6 address in a URL, is its
/// own answer. Returns by `deadline`, and at once when `cancel` is awake.
pub fn resolve(
    host: &str,
    port: u16,
    cancel: &Wake,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ResolveError> {
    resolve_with(ask_the_system, &LOOKUPS, host, port, cancel, deadline)
}

fn ask_the_system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

fn resolve_with<L>(
    lookup: L,
    lookups: &'static Lookups,
    host: &str,
    port: u16,
    cancel: &Wake,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, ResolveError>
where
    L: FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + 'static,
{
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if cancel.is_awake() {
        return Err(ResolveError::Cancelled);
    }
    let permit = lookups.begin().ok_or(ResolveError::TooManyLookups)?;
    let done = Arc::new(Wake::new().map_err(ResolveError::System)?);
    let (sender, receiver) = mpsc::sync_channel(1);
    // Weak, so that an abandoned thread does not hold a file descriptor.
    let whom = Arc::downgrade(&done);
    let host = host.to_owned();
    thread::Builder::new()
        .name("rtmp-resolve".into())
        .spawn(move || {
            let _permit = permit;
            let answer = lookup(&host, port);
            if sender.send(answer).is_ok()
                && let Some(done) = whom.upgrade()
            {
                done.wake();
            }
        })
        .map_err(ResolveError::System)?;

    let mut fds = [cancel.entry(), PollFd::new(&*done, PollFlags::IN)];
    if cancel
        .wait(&mut fds, Some(deadline))
        .map_err(ResolveError::System)?
    {
        return Err(ResolveError::Cancelled);
    }
    let Ok(answer) = receiver.try_recv() else {
        return Err(ResolveError::TimedOut);
    };
    let addresses = interleaved(&answer.map_err(ResolveError::Failed)?);
    if addresses.is_empty() {
        Err(ResolveError::NoAddress)
    } else {
        Ok(addresses)
    }
}

/// Each address once, IPv6 and IPv4 in turn, each family in its order and the first one's first.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_family = |address: &&SocketAddr| {
        addresses
            .first()
            .is_some_and(|first| first.is_ipv6() == address.is_ipv6())
    };
    let mut first = addresses.iter().filter(is_first_family);
    let mut second = addresses.iter().filter(|address| !is_first_family(address));
    let mut ordered = Vec::new();
    while ordered.len() < MAX_ADDRESSES {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            break;
        }
        for address in turn.into_iter().flatten() {
            if !ordered.contains(address) {
                ordered.push(*address);
            }
        }
    }
    ordered.truncate(MAX_ADDRESSES);
    ordered
}

/// How many lookups run, and how many may.
#[derive(Debug)]
struct Lookups {
    running: AtomicUsize,
    limit: usize,
}

impl Lookups {
    const fn new(limit: usize) -> Self {
        Self {
            running: AtomicUsize::new(0),
            limit,
        }
    }

    fn begin(&'static self) -> Option<Permit> {
        let more = |running| (running < self.limit).then_some(running + 1);
        self.running
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Permit(self))
    }
}

/// One running lookup; it ends when this is dropped.
#[derive(Debug)]
struct Permit(&'static Lookups);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why there is no address.
#[derive(Debug)]
pub enum ResolveError {
    /// The wake handle was awake: we no longer want it.
    Cancelled,
    /// The resolver had not answered by the deadline.
    TimedOut,
    /// What the resolver said; as a rule, that it does not know the name.
    Failed(io::Error),
    /// The name exists and has no address.
    NoAddress,
    /// 256 lookups run already, as a rule because no name server answers them.
    TooManyLookups,
    /// Our own system could not start the lookup or wait for it.
    System(io::Error),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the lookup of the host name was cancelled"),
            Self::TimedOut => f.write_str("the host name was not resolved in time"),
            Self::Failed(source) => write!(f, "the host name cannot be resolved: {source}"),
            Self::NoAddress => f.write_str("the host name has no address"),
            Self::TooManyLookups => {
                write!(
                    f,
                    "{MAX_LOOKUPS} lookups of host names are waiting already; does the name server answer?"
                )
            }
            Self::System(source) => write!(f, "cannot look up the host name: {source}"),
        }
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Cancelled | Self::TimedOut | Self::NoAddress | Self::TooManyLookups => None,
            Self::Failed(source) | Self::System(source) => Some(source),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::mpsc::{Receiver, Sender};
    use std::time::Duration;

    type Answer = io::Result<Vec<SocketAddr>>;

    /// A resolver that says on `started` that it has been asked, and does not answer before `answer` does.
    fn black_hole() -> (
        impl FnOnce(&str, u16) -> Answer + Send + 'static,
        Receiver<()>,
        Sender<Answer>,
    ) {
        let (start, started) = mpsc::channel();
        let (answer, answers) = mpsc::channel::<Answer>();
        let lookup = move |_: &str, _: u16| {
            let _ = start.send(());
            answers
                .recv()
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        (lookup, started, answer)
    }

    /// A lookup that no name server answers, given up after `patience`. Dropping what it returns ends its
    /// thread.
    pub(in crate::transport) fn abandoned_lookup(patience: Duration) -> impl Sized {
        static ANY_NUMBER: Lookups = Lookups::new(usize::MAX);
        let (lookup, _started, answer) = black_hole();
        let deadline = Instant::now() + patience;
        let error = resolve_with(
            lookup,
            &ANY_NUMBER,
            "example.invalid",
            1935,
            &Wake::new().unwrap(),
            deadline,
        )
        .unwrap_err();
        assert!(matches!(error, ResolveError::TimedOut), "{error:?}");
        assert!(Instant::now() >= deadline);
        answer
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn answering(addresses: &[&str]) -> impl FnOnce(&str, u16) -> Answer + Send + 'static {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        move |_: &str, _: u16| Ok(addresses)
    }

    #[test]
    fn an_address_needs_no_resolver() {
        static NONE: Lookups = Lookups::new(0);
        let cancel = Wake::new().unwrap();
        let literal =
            |host| resolve_with(answering(&[]), &NONE, host, 1935, &cancel, Instant::now()).unwrap();
        assert_eq!(literal("192.0.2.7"), [SocketAddr::from(([192, 0, 2, 7], 1935))]);
        assert_eq!(literal("::1"), [SocketAddr::from((Ipv6Addr::LOCALHOST, 1935))]);
        assert_eq!(literal("[::1]"), [SocketAddr::from((Ipv6Addr::LOCALHOST, 1935))]);
    }

    #[test]
    fn the_system_knows_localhost() {
        let addresses = resolve("localhost", 1935, &Wake::new().unwrap(), soon()).unwrap();
        assert!(
            addresses
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 1935)
        );
    }

    #[test]
    fn the_name_and_the_port_reach_the_resolver() {
        let echo = |host: &str, port| {
            assert_eq!(host, "live.example");
            Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))])
        };
        let addresses = resolve_with(echo, &LOOKUPS, "live.example", 443, &Wake::new().unwrap(), soon());
        assert_eq!(addresses.unwrap(), [SocketAddr::from((Ipv4Addr::LOCALHOST, 443))]);
    }

    #[test]
    fn families_take_turns() {
        let in_turn = |addresses: &[&str]| -> Vec<String> {
            let cancel = Wake::new().unwrap();
            let ordered = resolve_with(answering(addresses), &LOOKUPS, "name", 0, &cancel, soon()).unwrap();
            ordered.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            in_turn(&[
                "[::1]:1",
                "[::2]:1",
                "[::3]:1",
                "[::1]:1",
                "1.1.1.1:1",
                "2.2.2.2:1"
            ]),
            ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]
        );
        assert_eq!(
            in_turn(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"]),
            ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]
        );
        let many: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}:1")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(in_turn(&many), many[..MAX_ADDRESSES]);
    }

    #[test]
    fn failures_tell_whose_they_are() {
        let cancel = Wake::new().unwrap();
        let unknown = |_: &str, _: u16| Err(io::ErrorKind::NotFound.into());
        let error = resolve_with(unknown, &LOOKUPS, "name", 0, &cancel, soon()).unwrap_err();
        assert!(
            matches!(&error, ResolveError::Failed(source) if source.kind() == io::ErrorKind::NotFound),
            "{error:?}"
        );
        let error = resolve_with(answering(&[]), &LOOKUPS, "name", 0, &cancel, soon()).unwrap_err();
        assert!(matches!(error, ResolveError::NoAddress), "{error:?}");
    }

    #[test]
    fn the_deadline_ends_a_lookup_that_nobody_answers() {
        drop(abandoned_lookup(Duration::from_millis(30)));
    }

    #[test]
    fn cancelling_ends_a_lookup_that_nobody_answers() {
        let (lookup, started, _answer) = black_hole();
        let cancel = Wake::new().unwrap();
        thread::scope(|scope| {
            let resolving = scope.spawn(|| resolve_with(lookup, &LOOKUPS, "name", 0, &cancel, soon()));
            started.recv().unwrap();
            let cancelled = Instant::now();
            cancel.wake();
            let error = resolving.join().unwrap().unwrap_err();
            assert!(cancelled.elapsed() < Duration::from_millis(200));
            assert!(matches!(error, ResolveError::Cancelled), "{error:?}");
        });
        // And before it begins.
        let (lookup, started, _answer) = black_hole();
        let error = resolve_with(lookup, &LOOKUPS, "name", 0, &cancel, soon()).unwrap_err();
        assert!(matches!(error, ResolveError::Cancelled), "{error:?}");
        assert!(started.recv().is_err());
    }

    #[test]
    fn abandoned_lookups_are_bounded_until_they_end() {
        static TWO: Lookups = Lookups::new(2);
        let cancel = Wake::new().unwrap();
        let give_up = || {
            let (lookup, _started, answer) = black_hole();
            resolve_with(lookup, &TWO, "name", 0, &cancel, Instant::now()).map_err(|error| (error, answer))
        };
        let (Err((ResolveError::TimedOut, first)), Err((ResolveError::TimedOut, _second))) =
            (give_up(), give_up())
        else {
            panic!("both should have timed out");
        };
        assert!(matches!(give_up(), Err((ResolveError::TooManyLookups, _))));
        // An answer that nobody waits for any more is dropped, and its place is free.
        first.send(Ok(Vec::new())).unwrap();
        while TWO.running.load(Ordering::Relaxed) == 2 {
            thread::yield_now();
        }
        let addresses = resolve_with(answering(&["127.0.0.1:1"]), &TWO, "name", 0, &cancel, soon());
        assert_eq!(addresses.unwrap().len(), 1);
    }
}
