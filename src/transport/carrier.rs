//! What carries a session's bytes: a [`Stream`], or a tunnel that cuts them into requests and answers.
//!
//! ```text
//!   Driver            one session, its queue and its events
//!     | Carrier       Direct; Tunnel: timers, several connections one after the other; Hosted: no socket at all
//!     | Stream        TCP, or TLS over it
//!     | Socket        nonblocking TCP
//! ```

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::hosted::Hosted;
use super::stream::Stream;
use super::tcp::{Interest, Ready, Socket, poll};
use super::tunnel::{Tunnel, Watched};
use super::wake::Wake;

/// See the module. Calls never block but for `wait`.
#[derive(Debug)]
pub enum Carrier {
    /// The bytes themselves.
    Direct(Stream),
    /// The bodies of HTTP requests, by a client.
    Tunnel(Box<Tunnel>),
    /// The same, on a server.
    Hosted(Hosted),
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
    pub(super) fn read(&mut self, now: Instant, buffer: &mut BytesMut, max: usize) -> io::Result<usize> {
        match self {
            Self::Direct(stream) => stream.read(buffer, max),
            Self::Tunnel(tunnel) => tunnel.read(now, buffer, max),
            Self::Hosted(hosted) => hosted.read(buffer, max),
        }
    }

    /// Does what can be done for the next read while there is nothing to read.
    pub(super) fn prepare(&mut self, buffer: &mut BytesMut) {
        match self {
            Self::Direct(stream) => stream.prepare(buffer),
            Self::Tunnel(_) | Self::Hosted(_) => {}
        }
    }

    /// Takes the front of `slices` and says how many bytes of it.
    pub(super) fn write_vectored(&mut self, now: Instant, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Direct(stream) => stream.write_vectored(slices),
            Self::Tunnel(tunnel) => tunnel.write_vectored(now, slices),
            Self::Hosted(hosted) => hosted.write_vectored(slices),
        }
    }

    /// Writes what was taken and is still here, as far as the socket takes it. [`io::ErrorKind::WouldBlock`] means that
    /// it took nothing.
    pub(super) fn flush(&mut self, now: Instant) -> io::Result<()> {
        match self {
            Self::Direct(stream) => stream.flush(),
            Self::Tunnel(tunnel) => tunnel.flush(now).map(drop),
            Self::Hosted(_) => Ok(()),
        }
    }

    /// Whether bytes that were taken have to leave before the carrier counts as flushed.
    pub(super) fn has_output(&self) -> bool {
        match self {
            Self::Direct(stream) => stream.has_output(),
            Self::Tunnel(tunnel) => tunnel.has_output(),
            Self::Hosted(_) => false,
        }
    }

    /// Whether bytes can be read though the socket has none.
    pub(super) fn has_input(&self) -> bool {
        match self {
            Self::Direct(stream) => stream.has_input(),
            Self::Tunnel(tunnel) => tunnel.has_input(),
            Self::Hosted(hosted) => hosted.is_readable(),
        }
    }

    /// Whether the last read has taken all that had come, so that the next is worth its while only after a wait. An
    /// answer through a tunnel may let a request go, for which there is no wait.
    pub(super) fn is_drained(&self) -> bool {
        match self {
            Self::Direct(stream) => stream.socket().is_drained(),
            Self::Tunnel(_) | Self::Hosted(_) => false,
        }
    }

    /// Whether bytes can be written though there is no socket to say so.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Direct(_) | Self::Tunnel(_) => false,
            Self::Hosted(hosted) => hosted.is_writable(),
        }
    }

    /// What the socket has to be ready for, so that `wish` can go on.
    pub(super) fn interest(&self, wish: Interest) -> Interest {
        match self {
            Self::Direct(stream) => stream.interest(wish),
            Self::Tunnel(tunnel) => tunnel.interest(wish),
            Self::Hosted(_) => Interest::default(),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`flush`](Self::flush) have something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Tunnel(tunnel) => tunnel.poll_timeout(),
            Self::Direct(_) | Self::Hosted(_) => None,
        }
    }

    /// Does what time has made due.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> io::Result<()> {
        match self {
            Self::Tunnel(tunnel) => tunnel.handle_timeout(now),
            Self::Direct(_) | Self::Hosted(_) => Ok(()),
        }
    }

    /// Puts the carrier's own good-bye behind what was written. It leaves with [`flush`](Self::flush), and the
    /// carrier counts as flushed when the peer is known to have everything, if it can be known.
    pub(super) fn finish(&mut self) {
        match self {
            Self::Direct(stream) => stream.finish(),
            Self::Tunnel(tunnel) => tunnel.finish(),
            Self::Hosted(hosted) => hosted.end(),
        }
    }

    /// Tells the peer that nothing more will be written. Reading goes on.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Direct(stream) => stream.socket().shutdown_write(),
            // Said by closing the session.
            Self::Tunnel(_) => Ok(()),
            Self::Hosted(hosted) => {
                hosted.end();
                Ok(())
            }
        }
    }

    /// Waits until what is below is ready, `wake` is awake or `timeout` has passed.
    pub(super) fn wait(
        &self,
        interest: Interest,
        wake: &Wake,
        timeout: Option<Duration>,
    ) -> io::Result<Ready> {
        if let Self::Tunnel(tunnel) = self
            && let Watched::Dialling(done) = tunnel.watched()
        {
            let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            let woken = wake.wait(&mut [wake.entry(), done.entry()], deadline)?;
            return Ok(Ready {
                woken,
                ..Ready::default()
            });
        }
        poll(self.socket().map(|socket| (socket, interest)), wake, timeout)
    }

    /// The socket that is waited for, if there is one now.
    pub(super) fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Direct(stream) => Some(stream.socket()),
            Self::Tunnel(tunnel) => match tunnel.watched() {
                Watched::Socket(socket) => Some(socket),
                Watched::Dialling(_) | Watched::Nothing => None,
            },
            Self::Hosted(_) => None,
        }
    }
}
