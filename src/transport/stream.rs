//! A byte stream to the peer: TCP itself, or what is laid over it.
//!
//! Calls never block. A layer that has to read in order to write, or the other way round, says so by
//! [`Stream::interest`], and what it holds back in either direction by [`Stream::has_input`] and
//! [`Stream::has_output`].

use std::io::{self, IoSlice};

use bytes::BytesMut;

use super::tcp::{Interest, Socket};

/// See the module.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(Socket),
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self::Plain(socket)
    }
}

impl Stream {
    /// Receives up to `max` bytes and appends them to `buffer`, as [`Socket::read`] does. `Ok(0)` is the end of the
    /// stream.
    pub(super) fn read(&mut self, buffer: &mut BytesMut, max: usize) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer, max),
        }
    }

    /// Takes the front of `slices` and says how many bytes of it. What was taken may still be here, see
    /// [`has_output`](Self::has_output).
    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(slices),
        }
    }

    /// Writes what was taken and is still here.
    pub(super) const fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
        }
    }

    /// Whether bytes that were taken have not reached the system yet.
    pub(super) const fn has_output(&self) -> bool {
        match self {
            Self::Plain(_) => false,
        }
    }

    /// Whether bytes can be read though the socket has none.
    pub(super) const fn has_input(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.has_input(),
        }
    }

    /// What the socket has to be ready for, so that `wish` can go on.
    pub(super) const fn interest(&self, wish: Interest) -> Interest {
        match self {
            Self::Plain(_) => wish,
        }
    }

    /// Puts the layer's own good-bye behind what was written. It leaves with [`flush`](Self::flush).
    pub(super) const fn finish(&mut self) {
        match self {
            Self::Plain(_) => {}
        }
    }

    /// The socket at the bottom.
    pub(super) const fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
        }
    }
}
