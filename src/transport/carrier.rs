//! What carries a session's bytes: a [`Stream`], or a tunnel that cuts them into requests and answers.
//!
//! ```text
//!   Driver            one session, its queue and its events
//!     | Carrier       Direct, or the tunnel: timers, several connections one after the other
//!     | Stream        TCP, or TLS over it
//!     | Socket        nonblocking TCP
//! ```

use std::io::{self, IoSlice};
use std::time::Instant;

use bytes::BytesMut;

use super::stream::Stream;
use super::tcp::{Interest, Socket};

/// See the module. Calls never block.
#[derive(Debug)]
pub enum Carrier {
    /// The bytes themselves.
    Direct(Stream),
}

impl From<Socket> for Carrier {
    fn from(socket: Socket) -> Self {
        Self::Direct(socket.into())
    }
}

impl From<Stream> for Carrier {
    fn from(stream: Stream) -> Self {
        Self::Direct(stream)
    }
}

impl Carrier {
    /// Receives bytes of the session and appends them to `buffer`. `Ok(0)` is the end of the stream.
    pub(super) fn read(&mut self, _now: Instant, buffer: &mut BytesMut, max: usize) -> io::Result<usize> {
        match self {
            Self::Direct(stream) => stream.read(buffer, max),
        }
    }

    /// Takes the front of `slices` and says how many bytes of it.
    pub(super) fn write_vectored(&mut self, _now: Instant, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Direct(stream) => stream.write_vectored(slices),
        }
    }

    /// Writes what was taken and is still here, as far as the socket takes it. [`io::ErrorKind::WouldBlock`] means that
    /// it took nothing.
    pub(super) fn flush(&mut self, _now: Instant) -> io::Result<()> {
        match self {
            Self::Direct(stream) => stream.flush(),
        }
    }

    /// Whether bytes that were taken have not reached the system yet.
    pub(super) fn has_output(&self) -> bool {
        match self {
            Self::Direct(stream) => stream.has_output(),
        }
    }

    /// Whether bytes can be read though the socket has none.
    pub(super) fn has_input(&self) -> bool {
        match self {
            Self::Direct(stream) => stream.has_input(),
        }
    }

    /// What the socket has to be ready for, so that `wish` can go on.
    pub(super) fn interest(&self, wish: Interest) -> Interest {
        match self {
            Self::Direct(stream) => stream.interest(wish),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Direct(_) => None,
        }
    }

    /// Does what time has made due.
    pub(super) const fn handle_timeout(&mut self, _now: Instant) -> io::Result<()> {
        match self {
            Self::Direct(_) => Ok(()),
        }
    }

    /// Puts the carrier's own good-bye behind what was written. It leaves with [`flush`](Self::flush).
    pub(super) fn finish(&mut self, _now: Instant) {
        match self {
            Self::Direct(stream) => stream.finish(),
        }
    }

    /// Tells the peer that nothing more will be written. Reading goes on.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Direct(stream) => stream.socket().shutdown_write(),
        }
    }

    /// The socket that is waited for.
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Self::Direct(stream) => stream.socket(),
        }
    }
}
