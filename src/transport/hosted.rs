//! The server's end of a tunnel as a session's driver has it: no socket, two queues in memory.
//!
//! Whoever reads the HTTP requests has the other end, a [`Mailbox`], and moves bytes between it and the client's
//! requests.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

/// Bytes for the client that wait for its requests; more stay with the session, whose owner may count them.
const MAX_OUTGOING: usize = 256 << 10;

/// Bytes from the client beyond which its requests are not answered until the session has taken some.
const MAX_INCOMING: usize = 1 << 20;

#[derive(Default)]
struct Queues {
    incoming: BytesMut,
    outgoing: BytesMut,
    /// The client sends nothing more.
    is_closed: bool,
    /// The session sends nothing more.
    has_ended: bool,
}

fn lock(queues: &Mutex<Queues>) -> MutexGuard<'_, Queues> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The driver's end. Dropping it ends the session for the client, behind what it has been sent.
pub struct Hosted(Arc<Mutex<Queues>>);

/// The end of whoever serves the client.
pub struct Mailbox(Arc<Mutex<Queues>>);

/// Both ends of one session.
#[must_use]
pub fn pair() -> (Hosted, Mailbox) {
    let queues = Arc::new(Mutex::new(Queues::default()));
    (Hosted(Arc::clone(&queues)), Mailbox(queues))
}

impl Hosted {
    pub(super) fn read(&self, buffer: &mut BytesMut, max: usize) -> io::Result<usize> {
        let mut queues = lock(&self.0);
        let count = queues.incoming.len().min(max);
        match count {
            0 if queues.is_closed => Ok(0),
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => {
                buffer.unsplit(queues.incoming.split_to(count));
                Ok(count)
            }
        }
    }

    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut queues = lock(&self.0);
        if queues.is_closed || queues.has_ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut taken = 0;
        for slice in slices {
            let room = MAX_OUTGOING.saturating_sub(queues.outgoing.len());
            let part = slice.get(..room).unwrap_or(slice);
            queues.outgoing.extend_from_slice(part);
            taken += part.len();
        }
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    /// Whether reading gives something: bytes, or the end.
    pub(super) fn is_readable(&self) -> bool {
        let queues = lock(&self.0);
        !queues.incoming.is_empty() || queues.is_closed
    }

    /// Whether writing takes something, or fails.
    pub(super) fn is_writable(&self) -> bool {
        let queues = lock(&self.0);
        queues.outgoing.len() < MAX_OUTGOING || queues.is_closed
    }

    /// Nothing more will be written.
    pub(super) fn end(&self) {
        lock(&self.0).has_ended = true;
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted").finish_non_exhaustive()
    }
}

impl Mailbox {
    /// Hands bytes of the client to the session.
    pub fn deliver(&self, bytes: BytesMut) {
        if !bytes.is_empty() {
            lock(&self.0).incoming.unsplit(bytes);
        }
    }

    /// Whether the session has to take something before the client is told to go on.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let queues = lock(&self.0);
        queues.incoming.len() > MAX_INCOMING && !queues.has_ended
    }

    /// Lets `take` have the front of what waits for the client; it is told whether nothing will follow it.
    pub fn collect<T>(&self, take: impl FnOnce(&mut BytesMut, bool) -> T) -> T {
        let mut queues = lock(&self.0);
        let has_ended = queues.has_ended;
        take(&mut queues.outgoing, has_ended)
    }

    /// Tells the session that the client has gone.
    pub fn close(&self) {
        lock(&self.0).is_closed = true;
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(hosted: &Hosted, bytes: &[u8]) -> io::Result<usize> {
        hosted.write_vectored(&[IoSlice::new(bytes)])
    }

    #[test]
    fn bytes_go_both_ways_and_each_end_hears_of_the_other_s() {
        let (hosted, mailbox) = pair();
        let mut buffer = BytesMut::new();
        assert!(!hosted.is_readable() && hosted.is_writable());
        assert_eq!(
            hosted.read(&mut buffer, 9).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        mailbox.deliver(BytesMut::from("request"));
        assert_eq!(hosted.read(&mut buffer, 4).unwrap(), 4);
        assert_eq!(hosted.read(&mut buffer, 4).unwrap(), 3);
        assert_eq!(&buffer[..], b"request");
        assert_eq!(written(&hosted, b"answer").unwrap(), 6);
        assert_eq!(
            mailbox.collect(|output, ended| (output.split(), ended)),
            (BytesMut::from("answer"), false)
        );
        hosted.end();
        assert!(mailbox.collect(|output, ended| output.is_empty() && ended));
        assert!(!hosted.is_readable());
        drop(mailbox);
        assert_eq!(hosted.read(&mut buffer, 9).unwrap(), 0);
        assert_eq!(
            written(&hosted, b"x").unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn what_waits_for_a_client_is_bounded() {
        let (hosted, mailbox) = pair();
        let all = vec![0; 2 * MAX_OUTGOING];
        assert_eq!(written(&hosted, &all).unwrap(), MAX_OUTGOING);
        assert!(!hosted.is_writable());
        assert_eq!(
            written(&hosted, &all).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        mailbox.collect(|output, _| output.split_to(10));
        assert!(hosted.is_writable());
        assert_eq!(written(&hosted, &all).unwrap(), 10);
    }

    #[test]
    fn a_client_that_is_ahead_of_its_session_is_held_back_while_there_is_one() {
        let (hosted, mailbox) = pair();
        mailbox.deliver(BytesMut::zeroed(MAX_INCOMING + 1));
        assert!(mailbox.is_full());
        assert_eq!(hosted.read(&mut BytesMut::new(), 1).unwrap(), 1);
        assert!(!mailbox.is_full());
        mailbox.deliver(BytesMut::zeroed(1));
        drop(hosted);
        assert!(!mailbox.is_full());
    }
}
