//! What waits to be written to the transport: chunk headers and payload slices in the order of the wire.
//!
//! The queue is a [`Buf`], so a partial write is `advance(n)` and a gathering write is `chunks_vectored`.
//! Payloads are neither copied nor joined, but for small ones; headers share one buffer that is reused for ever.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::chunk;

/// A payload of at most this many bytes is copied behind its header instead of costing a slice of its own.
const SMALL_PAYLOAD: usize = 1024;

/// Bytes of headers and small payloads for which memory is kept when all are written. A queue that was longer
/// for once, behind a slow peer or by a long list of buffers, does not hold it for ever.
const KEPT_INLINE: usize = 16 << 10;

/// Segments for which memory is kept, as [`KEPT_INLINE`].
const KEPT_SEGMENTS: usize = 64;

/// Bytes queued for the transport. `Debug` shows none of them: they may hold a stream key.
#[derive(Default)]
pub struct SendQueue {
    segments: VecDeque<Segment>,
    /// The bytes of all `Segment::Inline`, in their order, behind those that were written.
    inline: Vec<u8>,
    /// How many bytes at the front of `inline` were written.
    written: usize,
    length: usize,
}

enum Segment {
    /// The next so many bytes of `SendQueue::inline`.
    Inline(usize),
    Payload(Bytes),
}

impl SendQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many slices [`chunks_vectored`](Buf::chunks_vectored) could give.
    #[must_use]
    pub fn slices(&self) -> usize {
        self.segments.len()
    }

    /// Queues bytes that are not chunks: the handshake.
    pub fn push(&mut self, bytes: Bytes) {
        chunk::Output::payload(self, bytes);
    }
}

impl SendQueue {
    /// Gives memory back that an empty queue needs no more.
    fn shrink(&mut self) {
        if self.segments.capacity() > KEPT_SEGMENTS {
            self.segments = VecDeque::new();
        }
        if self.inline.capacity() > KEPT_INLINE {
            self.inline = Vec::new();
        }
    }

    /// What is left of `inline`. The queue's own bookkeeping keeps it at least as long as its segments say.
    fn inline(&self) -> &[u8] {
        self.inline.get(self.written..).unwrap_or_default()
    }

    /// Takes `count` bytes off the front of `inline`. The rest moves to the front of the allocation as soon as it
    /// is no longer than what is given up, so that headers reuse it for ever and each byte is moved once or so.
    fn advance_inline(&mut self, count: usize) {
        self.written += count;
        let left = self.inline.len().saturating_sub(self.written);
        if left == 0 {
            self.inline.clear();
            self.written = 0;
        } else if left <= self.written && self.written >= KEPT_INLINE {
            self.inline.drain(..self.written);
            self.written = 0;
        }
    }
}

impl chunk::Output for SendQueue {
    fn header(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.inline.extend_from_slice(bytes);
        self.length += bytes.len();
        if let Some(Segment::Inline(length)) = self.segments.back_mut() {
            *length += bytes.len();
        } else {
            self.segments.push_back(Segment::Inline(bytes.len()));
        }
    }

    fn payload(&mut self, bytes: Bytes) {
        if bytes.len() <= SMALL_PAYLOAD {
            self.header(&bytes);
        } else {
            self.length += bytes.len();
            self.segments.push_back(Segment::Payload(bytes));
        }
    }
}

impl Buf for SendQueue {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        match self.segments.front() {
            None => &[],
            Some(Segment::Payload(bytes)) => bytes,
            Some(Segment::Inline(length)) => self.inline().get(..*length).unwrap_or_default(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut inline = self.inline();
        let mut filled = 0;
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = match segment {
                Segment::Payload(bytes) => IoSlice::new(bytes),
                Segment::Inline(length) => {
                    let Some((head, rest)) = inline.split_at_checked(*length) else {
                        break;
                    };
                    inline = rest;
                    IoSlice::new(head)
                }
            };
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        assert!(
            count <= self.length,
            "a transport cannot have written more than was queued"
        );
        self.length -= count;
        while count > 0 {
            let Some(front) = self.segments.front_mut() else {
                return;
            };
            let (taken, left) = match front {
                Segment::Payload(bytes) => {
                    let taken = count.min(bytes.len());
                    bytes.advance(taken);
                    (taken, bytes.len())
                }
                Segment::Inline(length) => {
                    let taken = count.min(*length);
                    *length -= taken;
                    let left = *length;
                    self.advance_inline(taken);
                    (taken, left)
                }
            };
            count -= taken;
            if left == 0 {
                self.segments.pop_front();
            }
        }
        if self.length == 0 {
            self.shrink();
        }
    }
}

impl fmt::Debug for SendQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendQueue")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Output as _;

    fn sample() -> (SendQueue, Vec<u8>) {
        let mut queue = SendQueue::new();
        let mut flat = Vec::new();
        for i in 0..4u8 {
            let header = [i; 12];
            let payload = vec![0x80 | i; SMALL_PAYLOAD + 1 + usize::from(i)];
            queue.header(&header);
            flat.extend_from_slice(&header);
            flat.extend_from_slice(&payload);
            queue.payload(payload.into());
        }
        queue.payload(Bytes::from_static(b"short"));
        flat.extend_from_slice(b"short");
        (queue, flat)
    }

    #[test]
    fn comes_out_in_order_whatever_is_written_at_a_time() {
        for step in (1..500).chain(2000..2010) {
            let (mut queue, flat) = sample();
            let mut written = Vec::new();
            while queue.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = queue.chunks_vectored(&mut slices);
                let offered: Vec<u8> = slices[..filled].iter().flat_map(|s| s.iter().copied()).collect();
                let taken = step.min(offered.len());
                written.extend_from_slice(&offered[..taken]);
                queue.advance(taken);
            }
            assert_eq!(written, flat, "in steps of {step}");
            assert_eq!(queue.chunk(), b"");
        }
    }

    #[test]
    fn chunk_agrees_with_the_first_slice() {
        let (mut queue, flat) = sample();
        let mut written = Vec::new();
        while queue.has_remaining() {
            let part = queue.chunk().to_vec();
            assert!(!part.is_empty());
            queue.advance(part.len());
            written.extend(part);
        }
        assert_eq!(written, flat);
    }

    #[test]
    fn headers_reuse_their_allocation_for_ever() {
        let mut queue = SendQueue::new();
        queue.header(&[0; 12]);
        queue.advance(12);
        let allocation = queue.inline.as_ptr();
        for _ in 0..1000 {
            queue.header(&[1; 12]);
            queue.advance(12);
        }
        assert_eq!((queue.inline.as_ptr(), queue.inline.len()), (allocation, 0));
        // Never empty, and cut anywhere.
        queue.header(&[1; 12]);
        for _ in 0..100_000 {
            queue.header(&[1; 12]);
            queue.advance(12);
        }
        assert!(
            queue.inline.capacity() <= 4 * KEPT_INLINE,
            "{}",
            queue.inline.capacity()
        );
    }

    #[test]
    fn a_long_queue_gives_its_memory_back() {
        let mut queue = SendQueue::new();
        let payload = Bytes::from(vec![7; 2000]);
        for _ in 0..2000 {
            queue.header(&[1; 12]);
            queue.payload(payload.clone());
        }
        assert_eq!(queue.slices(), 4000);
        queue.advance(queue.remaining());
        assert!(queue.segments.capacity() <= KEPT_SEGMENTS && queue.inline.capacity() <= KEPT_INLINE);
    }

    #[test]
    fn debug_shows_no_bytes() {
        let mut queue = SendQueue::new();
        queue.payload(Bytes::from_static(b"short secret"));
        queue.payload(Bytes::from(b"long secret".repeat(100)));
        assert_eq!(format!("{queue:?}"), "SendQueue { length: 1112, .. }");
    }

    #[test]
    fn large_payloads_are_not_copied() {
        let payload = Bytes::from(vec![7; SMALL_PAYLOAD + 1]);
        let mut queue = SendQueue::new();
        queue.payload(payload.clone());
        assert_eq!(queue.chunk().as_ptr(), payload.as_ptr());
    }
}
