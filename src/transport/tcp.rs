//! One nonblocking TCP connection, and the wait for it.
//!
//! Neither the round trip time nor the bytes that the system has not sent yet are offered: both need an ioctl
//! or `TCP_INFO`, for which no crate has a safe interface. The session measures the former by its handshake.

use std::fmt;
use std::io::{self, IoSlice, Read as _};
use std::net::{IpAddr, Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustix::event::{PollFd, PollFlags};
use socket2::TcpKeepalive;

use super::wake::Wake;

/// Bytes allocated for receiving at a time, at most. Larger blocks fall out of the cache and were measured slower.
const RECEIVE_BLOCK: usize = 64 << 10;

/// The same at first, and again when nothing comes: all that a publisher hears is a handshake and now and then an
/// acknowledgement, and there may be hundreds of them in a process.
const LEAST_BLOCK: usize = 4 << 10;

/// How much longer the next block is when a read has filled what it was given.
const GROWTH: usize = 4;

/// A block is given up for a new one when less than this part of it is left, so that reads do not become small.
const LEAST_PART: usize = 4;

/// Reads in a row that find nothing, after which no block is kept and the next is a small one. Who waits reads when
/// something has come; so these are looks of a publisher, every 50 ms or so, or of the keepalive thread. To make 4 KiB
/// for a look costs less than its call of the system, and to keep them was a seventh of a publisher at rest.
const IDLE_READS: u32 = 10;

/// Slices that one vectored write takes: `IOV_MAX` of Linux and macOS, past which the call fails.
const MAX_SLICES: usize = 1024;

/// Shortest idle time before keepalive probes: systems count it in whole seconds and refuse zero.
const LEAST_KEEPALIVE: Duration = Duration::from_secs(1);

/// How a TCP connection is set up. `TCP_NODELAY` is always on: what is written is already whole messages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TcpOptions {
    /// Idle time after which the system probes whether the peer is still there, in whole seconds, at least
    /// one. Off by default.
    pub keepalive: Option<Duration>,
    /// Time for which written data may stay unacknowledged before the connection fails (`TCP_USER_TIMEOUT`,
    /// RFC 5482), in milliseconds. Only Linux has it; elsewhere it is ignored. The system's default of about
    /// fifteen minutes by default.
    pub user_timeout: Option<Duration>,
    /// Which addresses may be connected to.
    pub family: Family,
    /// Where to connect: from this address of ours, and so only to addresses of its family.
    pub local_address: Option<IpAddr>,
    /// Name of the network interface to connect through, whatever the routes say. Only Linux has it.
    pub interface: Option<Arc<str>>,
}

/// Families of addresses that may be connected to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Family {
    /// Both.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl Family {
    /// The family of `address`.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Whether `address` may be connected to.
    #[must_use]
    pub const fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl TcpOptions {
    /// Makes `socket` nonblocking and sets the options on it.
    pub(super) fn apply(&self, socket: &socket2::Socket) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(idle) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle.max(LEAST_KEEPALIVE)))?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if self.user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.user_timeout)?;
        }
        Ok(())
    }

    /// The family that is left of [`family`](Self::family) by [`local_address`](Self::local_address). The latter
    /// counts where they contradict each other.
    #[must_use]
    pub fn family(&self) -> Family {
        self.local_address.map_or(self.family, Family::of)
    }

    /// Ties a `socket` that is not connected yet to our own address and interface.
    pub(super) fn bind(&self, socket: &socket2::Socket) -> Result<(), BindError> {
        if let Some(interface) = &self.interface {
            bind_interface(socket, interface).map_err(|source| BindError::Interface {
                name: Arc::clone(interface),
                source: Arc::new(source),
            })?;
        }
        if let Some(address) = self.local_address {
            socket
                .bind(&SocketAddr::new(address, 0).into())
                .map_err(|source| BindError::Address {
                    address,
                    source: Arc::new(source),
                })?;
        }
        Ok(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
fn bind_interface(socket: &socket2::Socket, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "fuchsia")))]
fn bind_interface(_: &socket2::Socket, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Why a connection cannot begin where it was told to.
#[derive(Clone, Debug)]
pub enum BindError {
    /// At an address.
    Address {
        /// The address.
        address: IpAddr,
        /// The operating system's word.
        source: Arc<io::Error>,
    },
    /// At a network interface.
    Interface {
        /// Its name.
        name: Arc<str>,
        /// The operating system's word; [`io::ErrorKind::Unsupported`] where there is no such thing.
        source: Arc<io::Error>,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address, source } => write!(f, "cannot bind to {address}: {source}"),
            Self::Interface { name, source } => write!(f, "cannot bind to the interface {name}: {source}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address { source, .. } | Self::Interface { source, .. } => Some(source.as_ref()),
        }
    }
}

/// An established TCP connection. Calls never block: they fail with [`io::ErrorKind::WouldBlock`] when there
/// is nothing to do yet. Dropping it closes the connection.
pub struct Socket {
    inner: socket2::Socket,
    peer: SocketAddr,
    /// Where the next read goes: all initialised, and right behind what was read before.
    room: BytesMut,
    /// What was read already and is to be read again; never empty.
    unread: Option<BytesMut>,
    /// Bytes of the next block.
    block: usize,
    /// Reads in a row that found nothing.
    idle_reads: u32,
    /// Whether the last read left nothing behind, as far as it can tell.
    is_drained: bool,
}

impl Socket {
    /// `inner` is connected to `peer`, and [`TcpOptions::apply`] has been called on it.
    pub(super) fn new(inner: socket2::Socket, peer: SocketAddr) -> Self {
        Self {
            inner,
            peer,
            room: BytesMut::new(),
            unread: None,
            block: LEAST_BLOCK,
            idle_reads: 0,
            is_drained: false,
        }
    }

    /// Puts back what was read too much: it comes before all that the system has.
    pub(super) fn unread(&mut self, input: BytesMut) {
        self.unread = Some(input).filter(|input| !input.is_empty());
    }

    /// Whether there is something to read though the system has nothing.
    pub(super) const fn has_input(&self) -> bool {
        self.unread.is_some()
    }

    /// Receives up to `max` bytes (a `max` of 0 counts as 1) and appends them to `buffer`. `Ok(0)` is the end
    /// of the stream.
    ///
    /// No byte is copied in user space if `buffer` is empty or ends with what the last read gave: the bytes
    /// are received behind it in the same allocation and rejoined. They go on sharing that allocation, of up to
    /// 64 KiB, with everything split off of `buffer`. It is used again when nothing of it is in use.
    //
    // BytesMut has no safe way to receive into uninitialised capacity, so every byte is zeroed once, and only
    // once: when its block is allocated. Received over loopback at full speed that costs about 0.07 ns CPU a
    // byte, against 0.10 ns for a scratch buffer and a copy, and 0.10 ns for zeroing before each read. A
    // `Vec` read through `rustix::buffer::spare_capacity` costs the same 0.07 ns but lets a 300-byte audio
    // message that someone queues hold 64 KiB of its own.
    pub fn read(&mut self, buffer: &mut BytesMut, max: usize) -> io::Result<usize> {
        if let Some(mut unread) = self.unread.take() {
            let count = max.clamp(1, unread.len());
            buffer.unsplit(unread.split_to(count));
            self.unread(unread);
            self.is_drained = false;
            return Ok(count);
        }
        self.prepare(buffer);
        let limit = max.clamp(1, self.room.len());
        let (target, _) = self.room.split_at_mut(limit);
        let received = match uninterrupted(|| (&self.inner).read(target)) {
            Ok(received) => received,
            Err(error) => {
                self.is_drained = true;
                self.idle_reads = self.idle_reads.saturating_add(1);
                if self.idle_reads >= IDLE_READS {
                    self.block = LEAST_BLOCK;
                    self.room = BytesMut::new();
                }
                return Err(error);
            }
        };
        self.idle_reads = 0;
        self.is_drained = received < limit;
        if received == limit && limit < max {
            self.block = self.block.saturating_mul(GROWTH).min(RECEIVE_BLOCK);
        }
        if received > 0 {
            buffer.unsplit(self.room.split_to(received));
        }
        Ok(received)
    }

    /// Makes room for the next [`read`](Self::read), unless there is enough. Whoever is about to wait for input does it
    /// before: to zero 64 KiB takes 0.4 us, and 1.2 us in memory that has left the caches, by which what comes would be later.
    pub(super) fn prepare(&mut self, buffer: &mut BytesMut) {
        if self.room.len() < self.block / LEAST_PART || self.room.is_empty() {
            self.make_room(buffer);
        }
    }

    /// Makes a block of room: the last one, if nobody holds a part of it, which is so when messages were put
    /// together from chunks or were small, or else a new one.
    fn make_room(&mut self, buffer: &mut BytesMut) {
        if buffer.is_empty() {
            // It would hold the block without holding a byte of it.
            *buffer = BytesMut::new();
        }
        self.room.clear();
        if self.room.try_reclaim(self.block) {
            self.room.resize(self.block, 0);
        } else {
            self.room = BytesMut::zeroed(self.block);
        }
    }

    /// The first byte that has come and was not read, which it still will be; `None` at the end of the stream.
    pub(super) fn peek(&self) -> io::Result<Option<u8>> {
        use rustix::net::{RecvFlags, recv};
        let mut first = [0];
        let (count, _) = uninterrupted(|| Ok(recv(&self.inner, &mut first, RecvFlags::PEEK)?))?;
        Ok(first.first().copied().filter(|_| count > 0))
    }

    /// Whether the last read has taken all that had come, as far as it could tell: it was given more room than it
    /// used. Then the next one is not worth its while before [`poll`] says so.
    pub(super) const fn is_drained(&self) -> bool {
        self.is_drained
    }

    /// Sends the front of `slices` and says how many bytes of it the system took; an incomplete write is
    /// normal. A closed connection is an error, never a `SIGPIPE`.
    pub fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let slices = slices.get(..MAX_SLICES).unwrap_or(slices);
        uninterrupted(|| send(&self.inner, slices))
    }

    /// Tells the peer that nothing more will be written, after what has been. Reading goes on.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.inner.shutdown(Shutdown::Write)
    }

    /// The error that the system holds for this connection, if any, and clears it.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error()
    }

    /// The other end.
    #[must_use]
    pub const fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// This end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local_addr(&self.inner)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// For those who poll it together with descriptors of their own.
#[cfg(unix)]
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// For those who poll it together with sockets of their own.
#[cfg(windows)]
impl AsSocket for Socket {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.inner.as_socket()
    }
}

/// What to wait for on a socket.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Interest {
    /// Bytes to read, the end of the stream, or an error.
    pub readable: bool,
    /// Room to write, or an error.
    pub writable: bool,
}

impl Interest {
    /// Waits for something to read.
    pub const READ: Self = Self {
        readable: true,
        writable: false,
    };
    /// Waits for room to write.
    pub const WRITE: Self = Self {
        readable: false,
        writable: true,
    };
    /// Waits for either.
    pub const BOTH: Self = Self {
        readable: true,
        writable: true,
    };

    fn flags(self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.readable);
        flags.set(PollFlags::OUT, self.writable);
        flags
    }
}

/// What ended a wait. Nothing is set when its time ran out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ready {
    /// Reading will not block. Set only if asked for, as are the others; a broken connection counts as ready,
    /// so that the next call tells its error.
    pub readable: bool,
    /// Writing will not block.
    pub writable: bool,
    /// The wake handle is awake.
    pub woken: bool,
}

/// Waits until `socket` is ready, `wake` is awake or `timeout` has passed (none: for ever), whichever is
/// first. Signals do not end it, and it never returns early with nothing to show.
pub fn poll(
    socket: Option<(&Socket, Interest)>,
    wake: &Wake,
    timeout: Option<Duration>,
) -> io::Result<Ready> {
    match socket {
        // An error on a socket is reported even to those who asked for nothing; leave it out, or they would
        // spin.
        Some((socket, interest)) if interest != Interest::default() => {
            let is_readable = interest.readable && socket.has_input();
            let timeout = if is_readable {
                Some(Duration::ZERO)
            } else {
                timeout
            };
            let mut ready = watch(&socket.inner, interest, wake, timeout)?;
            ready.readable |= is_readable;
            Ok(ready)
        }
        _ => {
            let woken = wake.wait(&mut [wake.entry()], timeout.and_then(from_now))?;
            Ok(Ready {
                woken,
                ..Ready::default()
            })
        }
    }
}

/// [`poll`] for a socket of any kind.
pub(super) fn watch(
    socket: &socket2::Socket,
    interest: Interest,
    wake: &Wake,
    timeout: Option<Duration>,
) -> io::Result<Ready> {
    let mut fds = [wake.entry(), PollFd::new(socket, interest.flags())];
    let woken = wake.wait(&mut fds, timeout.and_then(from_now))?;
    let [_, fd] = &fds;
    let is_ready = |flag| {
        fd.revents()
            .intersects(flag | PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
    };
    Ok(Ready {
        readable: interest.readable && is_ready(PollFlags::IN),
        writable: interest.writable && is_ready(PollFlags::OUT),
        woken,
    })
}

/// None when the clock cannot count that far, which is for ever.
fn from_now(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

pub(super) fn local_addr(socket: &socket2::Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(all(unix, not(target_vendor = "apple")))]
fn send(socket: &socket2::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
    // The application may well have left SIGPIPE at its deadly default.
    if let [slice] = slices {
        // Spares the system the list of slices.
        return Ok(send(socket, slice, SendFlags::NOSIGNAL)?);
    }
    Ok(sendmsg(
        socket,
        slices,
        &mut SendAncillaryBuffer::default(),
        SendFlags::NOSIGNAL,
    )?)
}

/// socket2 has set `SO_NOSIGPIPE` where there is such a signal.
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
fn send(socket: &socket2::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    socket.send_vectored(slices)
}

#[cfg(test)]
mod tests;
