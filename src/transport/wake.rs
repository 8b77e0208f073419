//! The cancel handle of a connection: rung from any thread, it ends every wait of the thread that does the
//! I/O.
//!
//! It is sticky and level-triggered like `GCancellable`: once awake, every wait returns at once until
//! [`Wake::reset`]. On Linux it is an eventfd; elsewhere, and where a sandbox denies eventfd, a loopback
//! datagram socket that sends to itself, which every system can poll.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// Longest single call of the system's poll, below the 24 days at which some refuse. Longer waits repeat it.
const LONGEST_POLL: Duration = Duration::from_secs(3600);

/// A sticky cancel handle that can be polled together with sockets.
///
/// The flag is the truth; the bell only makes a poll look at it. So `wake` and `reset` may race without a
/// lock: a bell that rings late finds the flag down and is silenced by the next wait.
#[derive(Debug)]
pub struct Wake {
    awake: AtomicBool,
    bell: Bell,
}

impl Wake {
    /// A handle that is not awake. Fails when the process is out of file descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self::with_bell(Bell::new()?))
    }

    const fn with_bell(bell: Bell) -> Self {
        Self {
            awake: AtomicBool::new(false),
            bell,
        }
    }

    /// Ends the waits of now and of the future, until [`Wake::reset`]. Takes no lock and never blocks; waking
    /// twice is waking once.
    pub fn wake(&self) {
        if !self.awake.swap(true, Ordering::SeqCst) {
            self.bell.ring();
        }
    }

    /// Lets waits wait again. A wake that comes at the same time either holds or is undone, as if it had come
    /// wholly after or wholly before.
    pub fn reset(&self) {
        if self.awake.swap(false, Ordering::SeqCst) {
            self.silence();
        }
    }

    /// Whether it has been woken and not been reset since. One atomic load.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        self.awake.load(Ordering::SeqCst)
    }

    /// Silences the bell, and rings it again if someone woke us meanwhile and we swallowed that ring.
    fn silence(&self) {
        self.bell.silence();
        if self.is_awake() {
            self.bell.ring();
        }
    }

    /// What [`Wake::wait`] wants as the first of its descriptors.
    pub(super) fn entry(&self) -> PollFd<'_> {
        PollFd::new(self, PollFlags::IN)
    }

    /// Waits until one of `fds` is ready (`Ok(false)`), this handle is awake (`Ok(true)`, at once if it
    /// already is) or `deadline` has passed (`Ok(false)`, nothing ready). The first of `fds` is this handle's
    /// `entry`.
    pub(super) fn wait(&self, fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            if self.is_awake() {
                return Ok(true);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = left.map_or(LONGEST_POLL, |left| left.min(LONGEST_POLL));
            let timeout = Timespec::try_from(slice).expect("an hour of seconds fits");
            // The system never returns early (rustix rounds up where it counts in milliseconds), so a poll
            // that found nothing has used up its slice.
            match rustix::event::poll(fds, Some(&timeout)) {
                Ok(0) if left == Some(slice) => return Ok(self.is_awake()),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => {
                    let [bell, others @ ..] = &*fds else {
                        return Ok(self.is_awake());
                    };
                    if others.iter().any(|fd| !fd.revents().is_empty()) {
                        return Ok(self.is_awake());
                    }
                    if !bell.revents().is_empty() && !self.is_awake() {
                        self.silence();
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Wakes whoever waits when it goes, also with a thread that unwinds.
#[derive(Debug)]
pub(super) struct WakeOnDrop(pub(super) Arc<Wake>);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// For those who poll it together with descriptors of their own: readable means that [`Wake::is_awake`] is
/// worth a look.
#[cfg(unix)]
impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.bell {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Bell::Event(event) => event.as_fd(),
            Bell::Datagram(socket) => socket.as_fd(),
        }
    }
}

/// For those who poll it together with sockets of their own: readable means that [`Wake::is_awake`] is worth
/// a look.
#[cfg(windows)]
impl AsSocket for Wake {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        match &self.bell {
            Bell::Datagram(socket) => socket.as_socket(),
        }
    }
}

/// Something that polls readable from `ring` to `silence`.
#[derive(Debug)]
enum Bell {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Event(rustix::fd::OwnedFd),
    Datagram(UdpSocket),
}

impl Bell {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        match eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK) {
            Ok(event) => Ok(Self::Event(event)),
            Err(_) => Self::datagram(),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn new() -> io::Result<Self> {
        Self::datagram()
    }

    fn datagram() -> io::Result<Self> {
        let loopback = [
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        ];
        let socket = UdpSocket::bind(loopback.as_slice())?;
        // Connected to itself, it takes datagrams from nobody else.
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self::Datagram(socket))
    }

    // Failing is harmless: an eventfd refuses only when it has been rung 2^64 - 2 times already, a datagram
    // only when an earlier one still waits.
    fn ring(&self) {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Event(event) => {
                let _ = rustix::io::retry_on_intr(|| rustix::io::write(event, &1_u64.to_ne_bytes()));
            }
            Self::Datagram(socket) => {
                let _ = socket.send(&[1]);
            }
        }
    }

    fn silence(&self) {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Event(event) => {
                let _ = rustix::io::retry_on_intr(|| rustix::io::read(event, &mut [0; 8]));
            }
            Self::Datagram(socket) => while socket.recv(&mut [0]).is_ok() {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// One handle of each kind that this system has.
    fn handles() -> Vec<Wake> {
        vec![Wake::new().unwrap(), Wake::with_bell(Bell::datagram().unwrap())]
    }

    fn rings_within(wake: &Wake, time: Duration) -> bool {
        rustix::event::poll(&mut [wake.entry()], Some(&time.try_into().unwrap())).unwrap() == 1
    }

    /// A datagram may take its time, even to ourselves.
    const SOON: Duration = Duration::from_secs(10);
    const NOW: Duration = Duration::ZERO;

    #[test]
    fn linux_uses_an_eventfd() {
        let wake = Wake::new().unwrap();
        assert_eq!(
            matches!(wake.bell, Bell::Datagram(_)),
            !cfg!(any(target_os = "linux", target_os = "android"))
        );
    }

    #[test]
    fn stays_awake_until_reset() {
        for wake in handles() {
            assert!(!wake.is_awake());
            assert!(!wake.wait(&mut [wake.entry()], Some(Instant::now())).unwrap());
            wake.wake();
            wake.wake();
            for _ in 0..3 {
                assert!(wake.is_awake());
                assert!(rings_within(&wake, SOON));
                assert!(wake.wait(&mut [wake.entry()], None).unwrap());
            }
            wake.reset();
            assert!(!wake.is_awake());
            assert!(!rings_within(&wake, NOW));
            assert!(!wake.wait(&mut [wake.entry()], Some(Instant::now())).unwrap());
        }
    }

    #[test]
    fn wake_from_another_thread_ends_a_wait() {
        // Each side can go on only when the other wakes it, so nearly every wait does wait.
        for (ping, pong) in handles().into_iter().zip(handles()) {
            let (ping, pong) = (Arc::new(ping), Arc::new(pong));
            let (their_ping, their_pong) = (Arc::clone(&ping), Arc::clone(&pong));
            let rounds = 1000;
            let other = thread::spawn(move || {
                for _ in 0..rounds {
                    assert!(their_ping.wait(&mut [their_ping.entry()], None).unwrap());
                    their_ping.reset();
                    their_pong.wake();
                }
            });
            for _ in 0..rounds {
                ping.wake();
                assert!(pong.wait(&mut [pong.entry()], None).unwrap());
                pong.reset();
            }
            other.join().unwrap();
        }
    }

    #[test]
    fn a_wake_in_the_midst_of_a_reset_still_rings() {
        for wake in handles() {
            wake.wake();
            assert!(rings_within(&wake, SOON));
            // What `reset` does, with a wake between its two steps.
            wake.awake.store(false, Ordering::SeqCst);
            wake.wake();
            wake.silence();
            assert!(wake.is_awake());
            assert!(rings_within(&wake, SOON));
        }
    }

    #[test]
    fn a_late_ring_is_silenced_and_the_wait_goes_on() {
        for wake in handles() {
            wake.bell.ring();
            assert!(rings_within(&wake, SOON));
            let deadline = Instant::now() + Duration::from_millis(20);
            assert!(!wake.wait(&mut [wake.entry()], Some(deadline)).unwrap());
            assert!(Instant::now() >= deadline);
            assert!(!rings_within(&wake, NOW));
        }
    }

    #[test]
    fn a_wait_never_returns_before_its_deadline() {
        for wake in handles() {
            for micros in [1, 300, 999, 1001, 2500] {
                let deadline = Instant::now() + Duration::from_micros(micros);
                assert!(!wake.wait(&mut [wake.entry()], Some(deadline)).unwrap());
                assert!(Instant::now() >= deadline);
            }
        }
    }
}
