//! TLS as a byte stream that never blocks.
//!
//! Whole calls of plaintext become records of up to 16 KiB at once; they leave together, when enough has come or the
//! caller flushes. What the peer has not taken is bounded. A peer that ends the connection without close_notify, as
//! many do, has ended it all the same: RTMP has its own word for the end of a stream.

use std::fmt;
use std::io::{self, BufRead as _, IoSlice, Write as _};
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use rustls::Connection;

use super::fault::{Failure, Fault, Plain};
use crate::transport::tcp::{Interest, Socket};

/// Bytes that wait for the peer, at most. What the system buffers comes on top.
pub(super) const MAX_UNSENT: usize = 256 << 10;

/// Bytes that leave without a flush: enough that a call of the system costs nothing beside the cipher.
const ENOUGH: usize = 128 << 10;

/// Ciphertext that is received at a time.
const READ_SIZE: usize = 64 << 10;

/// Pieces of ciphertext that a read looks at for a byte of plaintext; rustls takes up to 4 KiB at a time, so the longest
/// record comes in five. A peer that sends records with nothing in them cannot keep the thread to itself.
const MAX_IN_VAIN: usize = 8;

/// Room for plaintext that is had at least before more is put into a buffer, and how much is made.
const LEAST_ROOM: usize = 16 << 10;

/// Types of TLS records (RFC 8446 section 5.1): change_cipher_spec to application_data.
const RECORD_TYPES: std::ops::RangeInclusive<u8> = 0x14..=0x17;

/// See the module.
pub struct TlsStream {
    pub(super) connection: Connection,
    pub(super) socket: Socket,
    /// The name of the host, for errors.
    host: Arc<str>,
    /// Ciphertext that was received and not looked at.
    incoming: BytesMut,
    /// Plaintext that was taken since the last time when all had left.
    held: usize,
    /// Whether there is plaintext that nobody has read.
    has_plaintext: bool,
    /// Whether the peer has said anything.
    is_answered: bool,
    /// Whether the peer will say no more.
    is_ended: bool,
    /// What ended the connection; whoever asks again is told again.
    failure: Option<Fault>,
}

impl TlsStream {
    /// Over `socket`, of which `incoming` has been read already.
    pub(super) fn new(
        mut connection: Connection,
        socket: Socket,
        host: Arc<str>,
        incoming: BytesMut,
    ) -> Self {
        connection.set_buffer_limit(Some(MAX_UNSENT));
        Self {
            connection,
            socket,
            host,
            incoming,
            held: 0,
            has_plaintext: false,
            is_answered: false,
            is_ended: false,
            failure: None,
        }
    }

    /// Goes on with the handshake as far as the socket lets it; true when it is done.
    pub(super) fn handshake(&mut self) -> io::Result<bool> {
        loop {
            self.check()?;
            if let Err(error) = self.push() {
                return Err(self.last_words().unwrap_or(error));
            }
            if !self.connection.is_handshaking() {
                return Ok(!self.connection.wants_write());
            }
            match self.receive() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives up to `max` bytes (a `max` of 0 counts as 1) and appends them to `buffer`. `Ok(0)` is the end of the
    /// stream. [`io::ErrorKind::WouldBlock`] may leave [input](Self::has_input) for the next call.
    pub(in crate::transport) fn read(&mut self, buffer: &mut BytesMut, max: usize) -> io::Result<usize> {
        let start = buffer.len();
        let end = start.saturating_add(max.max(1));
        let mut in_vain = 0;
        loop {
            self.take_plaintext(buffer, end);
            let count = buffer.len().saturating_sub(start);
            // All that is here comes in one go, so that the socket tells when there is more.
            if buffer.len() >= end || count > 0 && self.incoming.is_empty() {
                return Ok(count);
            }
            if count == 0 {
                self.check()?;
                if self.is_ended {
                    return Ok(0);
                }
            }
            if let Err(error) = self.receive() {
                self.take_plaintext(buffer, end);
                // What came before it counts; the error is told by the next call.
                return match buffer.len().saturating_sub(start) {
                    0 => Err(error),
                    count => Ok(count),
                };
            }
            in_vain += 1;
            if in_vain >= MAX_IN_VAIN && count == 0 && !self.has_plaintext && !self.is_ended {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Takes the front of `slices` and says how many bytes of it; 0 if the peer has taken some of what it had been
    /// sent, and there is no room for more nevertheless.
    pub(in crate::transport) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check()?;
        if self.connection.is_handshaking() {
            self.push()?;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut count = self.connection.writer().write_vectored(slices)?;
        if count == 0 {
            if !self.push()? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            count = self.connection.writer().write_vectored(slices)?;
        }
        self.held = self.held.saturating_add(count);
        if self.held >= ENOUGH {
            self.push()?;
        }
        Ok(count)
    }

    /// Writes what was taken and is still here, as far as the socket lets it. [`io::ErrorKind::WouldBlock`] means that
    /// not a byte has left.
    pub(in crate::transport) fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        if self.connection.wants_write() && !self.push()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    /// Whether bytes that were taken have not reached the system yet.
    pub(in crate::transport) fn has_output(&self) -> bool {
        self.failure.is_none() && self.connection.wants_write()
    }

    /// Whether something can be read though the socket has nothing.
    pub(in crate::transport) fn has_input(&self) -> bool {
        self.has_plaintext || !self.incoming.is_empty() || self.socket.has_input()
    }

    /// What the socket has to be ready for, so that `wish` can go on.
    pub(in crate::transport) fn interest(&self, wish: Interest) -> Interest {
        if self.connection.is_handshaking() {
            return Interest {
                readable: true,
                writable: self.connection.wants_write(),
            };
        }
        Interest {
            readable: wish.readable,
            writable: wish.writable || self.has_output(),
        }
    }

    /// Puts close_notify (RFC 8446 section 6.1) behind what was written.
    pub(in crate::transport) fn finish(&mut self) {
        if self.failure.is_none() && !self.connection.is_handshaking() {
            self.connection.send_close_notify();
        }
    }

    /// The socket below.
    pub(in crate::transport) const fn socket(&self) -> &Socket {
        &self.socket
    }

    fn check(&self) -> io::Result<()> {
        match &self.failure {
            Some(fault) => Err(self.error(fault.clone())),
            None => Ok(()),
        }
    }

    /// A fault of the handshake is told as such, and so is a certificate that is refused behind it, as in TLS 1.3. What
    /// comes later is like any other loss of a connection.
    fn error(&self, fault: Fault) -> io::Error {
        if !self.connection.is_handshaking() && !matches!(fault, Fault::Refused(_)) {
            return io::Error::new(io::ErrorKind::InvalidData, fault);
        }
        let host = Arc::clone(&self.host);
        Failure { host, fault }.into()
    }

    fn fail(&mut self, fault: Fault) -> io::Error {
        self.incoming.clear();
        self.failure = Some(fault.clone());
        self.error(fault)
    }

    /// Moves what was deciphered to `buffer`, until that has `end` bytes.
    fn take_plaintext(&mut self, buffer: &mut BytesMut, end: usize) {
        if !self.has_plaintext {
            return;
        }
        let mut reader = self.connection.reader();
        while buffer.len() < end {
            // An error says that there is nothing, which is no news here.
            let Ok(plaintext @ [_, ..]) = reader.fill_buf() else {
                self.has_plaintext = false;
                return;
            };
            if buffer.capacity().saturating_sub(buffer.len()) < LEAST_ROOM {
                buffer.reserve(READ_SIZE);
            }
            let count = plaintext.len().min(end.saturating_sub(buffer.len()));
            buffer.extend_from_slice(plaintext.get(..count).unwrap_or_default());
            reader.consume(count);
        }
    }

    /// Receives ciphertext, unless some is here, and deciphers the front of it. Called without plaintext left.
    fn receive(&mut self) -> io::Result<()> {
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
            match self.socket.read(&mut self.incoming, READ_SIZE) {
                Ok(0) => return self.end(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) if self.connection.is_handshaking() && is_loss(&error) => {
                    return Err(self.fail(Fault::Dropped));
                }
                Err(error) => return Err(error),
            }
        }
        if let (false, Some(first)) = (self.is_answered, self.incoming.first()) {
            self.is_answered = true;
            if !RECORD_TYPES.contains(first) {
                let plain = Plain::from_first_byte(*first);
                return Err(self.fail(Fault::NotTls(plain)));
            }
        }
        let mut ciphertext: &[u8] = &self.incoming;
        let taken = self.connection.read_tls(&mut ciphertext)?;
        self.incoming.advance(taken);
        match self.connection.process_new_packets() {
            Ok(state) => {
                self.has_plaintext = state.plaintext_bytes_to_read() > 0;
                if state.peer_has_closed() {
                    self.is_ended = true;
                    self.incoming.clear();
                    if self.connection.is_handshaking() {
                        return Err(self.fail(Fault::Dropped));
                    }
                }
            }
            Err(error) => {
                // Of the records before.
                self.has_plaintext = true;
                // The alert says to the peer what was wrong; if it cannot be sent, the peer will see the end.
                let _ = self.push();
                return Err(self.fail(error.into()));
            }
        }
        // Replies, such as to KeyUpdate. What cannot be sent now is output, and what fails is told to who writes.
        if self.connection.wants_write() {
            let _ = self.push();
        }
        Ok(())
    }

    /// What the peer said before it stopped reading: one that refuses often says why.
    fn last_words(&mut self) -> Option<io::Error> {
        while self.connection.is_handshaking() {
            if let Err(error) = self.receive() {
                return Failure::of(&error).is_some().then_some(error);
            }
        }
        None
    }

    /// The end of what the peer sends, with close_notify or without.
    fn end(&mut self) -> io::Result<()> {
        if self.connection.is_handshaking() {
            return Err(self.fail(Fault::Dropped));
        }
        self.is_ended = true;
        Ok(())
    }

    /// Writes ciphertext as far as the socket takes it; whether it took any.
    fn push(&mut self) -> io::Result<bool> {
        let mut has_progress = false;
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Outlet(&mut self.socket)) {
                Ok(_) => has_progress = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(has_progress),
                Err(error) if self.connection.is_handshaking() && is_loss(&error) => {
                    return Err(self.error(Fault::Dropped));
                }
                Err(error) => return Err(error),
            }
        }
        self.held = 0;
        Ok(has_progress)
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("socket", &self.socket)
            .field("host", &self.host)
            .field("is_handshaking", &self.connection.is_handshaking())
            .finish_non_exhaustive()
    }
}

/// Whether the peer has ended the connection without a word.
fn is_loss(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}

/// A socket as rustls writes to it.
struct Outlet<'a>(&'a mut Socket);

impl io::Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
