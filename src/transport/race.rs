//! Connecting to the first of several addresses that answers, RFC 8305 section 5 ("Happy Eyeballs").
//!
//! The addresses come in the order to try them, see [`super::resolve`]. Each gets a head start before the
//! next is tried beside it; one that fails gives way at once.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Type};

use super::tcp::{BindError, Family, Socket, TcpOptions};
use super::wake::Wake;

/// Head start of an address over the next: the Connection Attempt Delay of RFC 8305, which recommends 250 ms
/// and allows 100 ms to 2 s. FFmpeg and OBS use 200 ms.
const HEAD_START: Duration = Duration::from_millis(200);

/// Connects to the first of `addresses` that lets us, of the family that `options` leave. Returns within `deadline`, and at once when `cancel` is
/// awake. The attempts that did not win are closed.
pub fn connect(
    addresses: &[SocketAddr],
    options: &TcpOptions,
    cancel: &Wake,
    deadline: Instant,
) -> Result<Socket, ConnectError> {
    let family = options.family();
    let admitted: Vec<SocketAddr> = addresses
        .iter()
        .copied()
        .filter(|address| family.admits(address.ip()))
        .collect();
    if admitted.is_empty() && !addresses.is_empty() {
        return Err(ConnectError::OtherFamily(family));
    }
    let mut waiting = admitted.into_iter();
    let mut pending: Vec<Attempt> = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    let mut next_start = Instant::now();
    while !(pending.is_empty() && waiting.len() == 0) {
        // First of all see who has answered, even when the next is already due.
        let until = if waiting.len() == 0 {
            deadline
        } else {
            deadline.min(next_start)
        };
        let mut fds = Vec::with_capacity(1 + pending.len());
        fds.push(cancel.entry());
        fds.extend(
            pending
                .iter()
                .map(|attempt| PollFd::new(&attempt.socket, PollFlags::OUT)),
        );
        if cancel.wait(&mut fds, Some(until)).map_err(ConnectError::System)? {
            return Err(ConnectError::Cancelled);
        }
        let answered: Vec<bool> = fds.iter().skip(1).map(|fd| !fd.revents().is_empty()).collect();

        let now = Instant::now();
        for (attempt, answered) in std::mem::take(&mut pending).into_iter().zip(answered) {
            if !answered {
                pending.push(attempt);
                continue;
            }
            match attempt.outcome() {
                Ok(()) => return Ok(Socket::new(attempt.socket, attempt.address)),
                Err(source) => {
                    failures.push(Failure {
                        address: attempt.address,
                        source,
                    });
                    next_start = now;
                }
            }
        }
        if now >= deadline {
            failures.extend(pending.iter().map(|attempt| Failure {
                address: attempt.address,
                source: io::ErrorKind::TimedOut.into(),
            }));
            return Err(ConnectError::TimedOut(failures));
        }
        if now >= next_start
            && let Some(address) = waiting.next()
        {
            match Attempt::start(address, options) {
                Ok(attempt) => {
                    pending.push(attempt);
                    next_start = now + HEAD_START;
                }
                Err(StartError::Connect(source)) => failures.push(Failure { address, source }),
                // It would be no other with the next address.
                Err(StartError::Bind(error)) => return Err(ConnectError::Bind(error)),
            }
        }
    }
    Err(ConnectError::Failed(failures))
}

/// A connect that the system is working on.
#[derive(Debug)]
struct Attempt {
    address: SocketAddr,
    socket: socket2::Socket,
}

impl Attempt {
    fn start(address: SocketAddr, options: &TcpOptions) -> Result<Self, StartError> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        options.apply(&socket)?;
        options.bind(&socket).map_err(StartError::Bind)?;
        match socket.connect(&address.into()) {
            Ok(()) => {}
            // An interrupted connect goes on like one in progress. Windows says it would block instead.
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::INPROGRESS | Errno::WOULDBLOCK | Errno::INTR)
                ) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self { address, socket })
    }

    /// How it went, once the socket polls writable.
    fn outcome(&self) -> io::Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        let peer = self.socket.peer_addr()?;
        // A connect to a free local port in the ephemeral range may be given that very port to connect from,
        // and so meet itself (a simultaneous open, RFC 9293 section 3.5). Nobody listens there.
        if peer.as_socket() == self.socket.local_addr()?.as_socket() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(())
    }
}

/// Why an attempt has not even begun.
#[derive(Debug)]
enum StartError {
    Bind(BindError),
    Connect(io::Error),
}

impl From<io::Error> for StartError {
    fn from(source: io::Error) -> Self {
        Self::Connect(source)
    }
}

/// Why one address could not be connected to.
#[derive(Debug)]
pub struct Failure {
    /// The address that was tried.
    pub address: SocketAddr,
    /// What the system said, or [`io::ErrorKind::TimedOut`] if it had said nothing by the deadline.
    pub source: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.source)
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The wake handle was awake: we no longer want it.
    Cancelled,
    /// No address had answered by the deadline. Those that were tried, each with its cause.
    TimedOut(Vec<Failure>),
    /// Every address failed, each with its cause. Empty only if there was no address.
    Failed(Vec<Failure>),
    /// There are addresses, but none of the family that is asked for.
    OtherFamily(Family),
    /// The connection cannot begin where it was told to.
    Bind(BindError),
    /// Our own system could not wait for the answer.
    System(io::Error),
}

impl ConnectError {
    /// What the last address to fail said, as the kind of an I/O error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Cancelled => io::ErrorKind::Interrupted,
            Self::TimedOut(_) => io::ErrorKind::TimedOut,
            Self::Failed(failures) => failures
                .last()
                .map_or(io::ErrorKind::NotFound, |last| last.source.kind()),
            Self::OtherFamily(_) => io::ErrorKind::NotFound,
            Self::Bind(BindError::Address { source, .. } | BindError::Interface { source, .. }) => {
                source.kind()
            }
            Self::System(source) => source.kind(),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = match self {
            Self::Cancelled => return f.write_str("connecting was cancelled"),
            Self::System(source) => return write!(f, "cannot wait for a connection: {source}"),
            Self::OtherFamily(family) => return write!(f, "the host has no {family} address"),
            Self::Bind(error) => return error.fmt(f),
            Self::TimedOut(failures) => {
                f.write_str("no connection in time")?;
                failures
            }
            Self::Failed(failures) => {
                f.write_str("cannot connect")?;
                failures
            }
        };
        for (index, failure) in failures.iter().enumerate() {
            write!(f, "{} {failure}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Cancelled | Self::OtherFamily(_) => None,
            Self::Bind(error) => Some(error),
            Self::TimedOut(failures) | Self::Failed(failures) => Some(&failures.last()?.source),
            Self::System(source) => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::listener::Listener;
    #[cfg(target_os = "linux")]
    use crate::transport::resolve::tests::abandoned_lookup;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// An address that never answers: a listener whose backlog is full drops what comes.
    #[cfg(target_os = "linux")]
    struct BlackHole {
        address: SocketAddr,
        _listener: socket2::Socket,
        _backlog: Vec<Attempt>,
    }

    #[cfg(target_os = "linux")]
    impl BlackHole {
        fn new() -> Self {
            let (listener, address) = refusing();
            listener.listen(0).unwrap();
            let wake = Wake::new().unwrap();
            let mut backlog = Vec::new();
            loop {
                let attempt = Attempt::start(address, &TcpOptions::default()).unwrap();
                // On loopback a connect that is not answered now never is.
                let patience = Instant::now() + Duration::from_millis(100);
                let mut fds = [wake.entry(), PollFd::new(&attempt.socket, PollFlags::OUT)];
                wake.wait(&mut fds, Some(patience)).unwrap();
                let is_full = fds[1].revents().is_empty();
                backlog.push(attempt);
                if is_full {
                    return Self {
                        address,
                        _listener: listener,
                        _backlog: backlog,
                    };
                }
                assert!(backlog.len() < 16, "the backlog does not fill up");
            }
        }

        /// Whether someone's connect to it is under way, besides those that fill the backlog.
        fn is_being_tried(&self) -> bool {
            let port = format!(":{:04X}", self.address.port());
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            // By the port they come from: a table that changes while it is read may tell a line twice.
            let trying: std::collections::BTreeSet<&str> = table
                .lines()
                .filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
                    [_, from, to, "02", ..] if to.ends_with(&port) => Some(from),
                    _ => None,
                })
                .collect();
            trying.len() > 1
        }
    }

    /// A socket with a port of its own. As long as it does not listen, connecting there is refused.
    fn refusing() -> (socket2::Socket, SocketAddr) {
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    fn listener() -> (Listener, SocketAddr) {
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn within(time: Duration) -> Instant {
        Instant::now() + time
    }

    const LONG: Duration = Duration::from_secs(20);

    fn race(addresses: &[SocketAddr], time: Duration) -> Result<Socket, ConnectError> {
        connect(
            addresses,
            &TcpOptions::default(),
            &Wake::new().unwrap(),
            within(time),
        )
    }

    #[test]
    fn connects_to_the_one_address() {
        let (_listener, address) = listener();
        assert_eq!(race(&[address], LONG).unwrap().peer_addr(), address);
    }

    #[test]
    fn a_refused_connection_says_who_refused() {
        let (_socket, address) = refusing();
        let error = race(&[address], LONG).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot connect: {address}: ")),
            "{error}"
        );
        let ConnectError::Failed(failures) = error else {
            panic!("{error:?}")
        };
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].address, address);
        assert_eq!(failures[0].source.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn no_address_fails_at_once() {
        let error = race(&[], LONG).unwrap_err();
        assert!(
            matches!(&error, ConnectError::Failed(failures) if failures.is_empty()),
            "{error:?}"
        );
    }

    #[test]
    fn falls_through_from_a_refused_ipv6_to_ipv4() {
        let (_listener, address) = listener();
        // Refused, or out of reach on a machine without IPv6: either way it gives way.
        let ipv6 = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
        assert_eq!(race(&[ipv6, address], LONG).unwrap().peer_addr(), address);
    }

    #[test]
    fn a_failure_does_not_cost_the_head_start() {
        let (_listener, address) = listener();
        let (_refusing, refused) = refusing();
        let mut addresses = vec![refused; 50];
        addresses.push(address);
        let time = HEAD_START * 25;
        assert_eq!(race(&addresses, time).unwrap().peer_addr(), address);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_that_does_not_answer_is_overtaken_after_its_head_start() {
        let (_listener, address) = listener();
        let hole = BlackHole::new();
        let start = Instant::now();
        assert_eq!(race(&[hole.address, address], LONG).unwrap().peer_addr(), address);
        assert!(start.elapsed() >= HEAD_START);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_earlier_address_may_still_win() {
        let (_listener, address) = listener();
        let hole = BlackHole::new();
        assert_eq!(race(&[address, hole.address], LONG).unwrap().peer_addr(), address);
        assert!(!hole.is_being_tried());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_deadline_ends_a_connect_that_nobody_answers() {
        let hole = BlackHole::new();
        let (_refusing, refused) = refusing();
        let deadline = within(Duration::from_millis(30));
        let error = connect(
            &[refused, hole.address],
            &TcpOptions::default(),
            &Wake::new().unwrap(),
            deadline,
        )
        .unwrap_err();
        assert!(Instant::now() >= deadline);
        let ConnectError::TimedOut(failures) = error else {
            panic!("{error:?}")
        };
        let causes: Vec<_> = failures.iter().map(|f| (f.address, f.source.kind())).collect();
        assert_eq!(
            causes,
            [
                (refused, io::ErrorKind::ConnectionRefused),
                (hole.address, io::ErrorKind::TimedOut)
            ]
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn cancelling_ends_a_connect_that_is_under_way() {
        let hole = BlackHole::new();
        let cancel = Wake::new().unwrap();
        std::thread::scope(|scope| {
            let connecting =
                scope.spawn(|| connect(&[hole.address], &TcpOptions::default(), &cancel, within(LONG)));
            while !hole.is_being_tried() {
                std::thread::yield_now();
            }
            let cancelled = Instant::now();
            cancel.wake();
            let error = connecting.join().unwrap().unwrap_err();
            assert!(cancelled.elapsed() < Duration::from_millis(200));
            assert!(matches!(error, ConnectError::Cancelled), "{error:?}");
        });
        assert!(!hole.is_being_tried());
    }

    #[test]
    fn only_addresses_of_the_family_are_tried() {
        let (_listener, address) = listener();
        let ipv6 = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
        let wake = Wake::new().unwrap();
        let local_address = Some(Ipv4Addr::LOCALHOST.into());
        let race = |addresses: &[SocketAddr], family, local_address| {
            let options = TcpOptions {
                family,
                local_address,
                ..TcpOptions::default()
            };
            connect(addresses, &options, &wake, within(LONG))
        };
        for (family, local_address) in [(Family::V4, None), (Family::Any, local_address)] {
            let error = race(&[ipv6, ipv6], family, local_address).unwrap_err();
            assert!(
                matches!(error, ConnectError::OtherFamily(Family::V4)),
                "{error:?}"
            );
            assert_eq!(error.to_string(), "the host has no IPv4 address");
            let socket = race(&[ipv6, address], family, local_address).unwrap();
            assert_eq!(socket.peer_addr(), address);
        }
        let error = race(&[address], Family::V6, None).unwrap_err();
        assert!(
            matches!(error, ConnectError::OtherFamily(Family::V6)),
            "{error:?}"
        );
        // Nothing at all is another matter.
        let error = race(&[], Family::V6, None).unwrap_err();
        assert!(matches!(error, ConnectError::Failed(_)), "{error:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peer_sees_the_address_that_was_bound() {
        let (listener, address) = listener();
        let wake = Wake::new().unwrap();
        let options = TcpOptions {
            local_address: Some(Ipv4Addr::new(127, 0, 0, 2).into()),
            interface: Some("lo".into()),
            ..TcpOptions::default()
        };
        let socket = connect(&[address], &options, &wake, within(LONG)).unwrap();
        assert!(listener.poll(&wake, None).unwrap().readable);
        let peer = listener.accept(&TcpOptions::default()).unwrap().peer_addr();
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(Some(peer), socket.local_addr().ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_address_or_an_interface_that_is_not_ours_ends_the_race() {
        let (_listener, address) = listener();
        let wake = Wake::new().unwrap();
        let race =
            |options: &TcpOptions| connect(&[address, address], options, &wake, within(LONG)).unwrap_err();
        // Of TEST-NET-1, RFC 5737.
        let error = race(&TcpOptions {
            local_address: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
            ..TcpOptions::default()
        });
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(
            matches!(&error, ConnectError::Bind(BindError::Address { address, .. }) if address.is_ipv4()),
            "{error:?}"
        );
        let error = race(&TcpOptions {
            interface: Some("nosuch0".into()),
            ..TcpOptions::default()
        });
        assert!(
            matches!(&error, ConnectError::Bind(BindError::Interface { name, .. }) if &**name == "nosuch0"),
            "{error:?}"
        );
    }

    #[test]
    fn a_cancelled_connect_does_not_begin() {
        let (listener, address) = listener();
        let cancel = Wake::new().unwrap();
        cancel.wake();
        let error = connect(&[address], &TcpOptions::default(), &cancel, within(LONG)).unwrap_err();
        assert!(matches!(error, ConnectError::Cancelled), "{error:?}");
        let error = listener.accept(&TcpOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_connected_to_itself_counts_as_refused() {
        let (socket, address) = refusing();
        socket.connect(&address.into()).unwrap();
        let error = Attempt { address, socket }.outcome().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// Whether this is the process that runs `test` alone. If not, runs it in one.
    #[cfg(target_os = "linux")]
    fn is_alone(test: &str) -> bool {
        const ALONE: &str = "GSTRTMP_TEST_ALONE";
        if std::env::var_os(ALONE).is_some() {
            return true;
        }
        let (_, path) = module_path!().split_once("::").unwrap();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{path}::{test}")])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        false
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn failures_leave_no_descriptor_behind() {
        // The other tests of this process open and close descriptors as they please.
        if !is_alone("failures_leave_no_descriptor_behind") {
            return;
        }
        let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let hole = BlackHole::new();
        let (_refusing, refused) = refusing();
        let (_listener, address) = listener();
        let (asleep, awake) = (Wake::new().unwrap(), Wake::new().unwrap());
        awake.wake();
        let race = |addresses: &[SocketAddr], cancel: &Wake, time| {
            connect(addresses, &TcpOptions::default(), cancel, within(time))
        };

        let before = descriptors();
        let short = Duration::from_millis(10);
        assert!(matches!(
            race(&[refused, refused], &asleep, LONG),
            Err(ConnectError::Failed(_))
        ));
        assert!(matches!(
            race(&[hole.address], &asleep, short),
            Err(ConnectError::TimedOut(_))
        ));
        assert!(matches!(
            race(&[hole.address], &awake, LONG),
            Err(ConnectError::Cancelled)
        ));
        assert_eq!(descriptors(), before);

        let winner = race(&[hole.address, address], &asleep, LONG).unwrap();
        assert_eq!(descriptors(), before + 1, "the loser is still open");
        drop(winner);

        // The thread of an abandoned lookup lives on, but without a descriptor.
        let lookup = abandoned_lookup(short);
        assert_eq!(descriptors(), before);
        drop(lookup);
    }
}
