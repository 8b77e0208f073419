//! A byte stream to the peer: TCP itself, or what is laid over it.
//!
//! Calls never block. A layer that has to read in order to write, or the other way round, says so by
//! [`Stream::interest`], and what it holds back in either direction by [`Stream::has_input`] and
//! [`Stream::has_output`].

use std::io::{self, IoSlice};

use bytes::BytesMut;

use super::tcp::{Interest, Socket};
use super::tls::TlsStream;

/// See the module.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(Socket),
    /// TLS over it.
    Tls(Box<TlsStream>),
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self::Plain(socket)
    }
}

impl From<TlsStream> for Stream {
    fn from(stream: TlsStream) -> Self {
        Self::Tls(Box::new(stream))
    }
}

impl Stream {
    /// Receives up to `max` bytes and appends them to `buffer`, as [`Socket::read`] does. `Ok(0)` is the end of the
    /// stream.
    pub(super) fn read(&mut self, buffer: &mut BytesMut, max: usize) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer, max),
            Self::Tls(stream) => stream.read(buffer, max),
        }
    }

    /// Does what can be done for the next read while there is nothing to read.
    pub(super) fn prepare(&mut self, buffer: &mut BytesMut) {
        match self {
            Self::Plain(socket) => socket.prepare(buffer),
            // Reads into a block of its own.
            Self::Tls(_) => {}
        }
    }

    /// Takes the front of `slices` and says how many bytes of it; 0 if the peer has taken something and there is no room
    /// for more yet. What was taken may still be here, see [`has_output`](Self::has_output).
    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
            Self::Tls(stream) => stream.write_vectored(slices),
        }
    }

    /// Writes what was taken and is still here, as far as the socket takes it. [`io::ErrorKind::WouldBlock`] means that
    /// it took nothing.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }

    /// Whether bytes that were taken have not reached the system yet.
    pub(super) fn has_output(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.has_output(),
        }
    }

    /// Whether bytes can be read though the socket has none.
    pub(super) fn has_input(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.has_input(),
            Self::Tls(stream) => stream.has_input(),
        }
    }

    /// What the socket has to be ready for, so that `wish` can go on.
    pub(super) fn interest(&self, wish: Interest) -> Interest {
        match self {
            Self::Plain(_) => wish,
            Self::Tls(stream) => stream.interest(wish),
        }
    }

    /// Puts the layer's own good-bye behind what was written. It leaves with [`flush`](Self::flush).
    pub(super) fn finish(&mut self) {
        match self {
            Self::Plain(_) => {}
            Self::Tls(stream) => stream.finish(),
        }
    }

    /// The socket at the bottom.
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.socket(),
        }
    }
}
