//! What waits to be written to the transport: chunk headers and payload slices in the order of the wire.
//!
//! The queue is a [`Buf`], so a partial write is `advance(n)` and a gathering write is `chunks_vectored`.
//! Payloads are never copied or joined; headers share one buffer that is reused for ever.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

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
    /// The bytes of all `Segment::Inline`, in their order.
    inline: BytesMut,
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
            self.inline = BytesMut::new();
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
            // The queue's own bookkeeping keeps `inline` at least as long as its segments say.
            Some(Segment::Inline(length)) => self.inline.get(..*length).unwrap_or_default(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut inline: &[u8] = &self.inline;
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
                    self.inline.advance(taken);
                    *length -= taken;
                    (taken, *length)
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
            let payload = vec![0x80 | i; 100 + usize::from(i)];
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
        for step in 1..500 {
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
        let allocation = queue.inline.as_ptr_range().start.wrapping_sub(12);
        for i in 0..1000_usize {
            queue.header(&[1; 12]);
            let offset = queue.inline.as_ptr() as usize - allocation as usize;
            assert!(offset < 64, "{offset} bytes away after {i} headers");
            queue.advance(12);
        }
    }

    #[test]
    fn debug_shows_no_bytes() {
        let mut queue = SendQueue::new();
        queue.payload(Bytes::from_static(b"short secret"));
        queue.payload(Bytes::from(b"long secret".repeat(10)));
        assert_eq!(format!("{queue:?}"), "SendQueue { length: 122, .. }");
    }

    #[test]
    fn large_payloads_are_not_copied() {
        let payload = Bytes::from(vec![7; 1000]);
        let mut queue = SendQueue::new();
        queue.payload(payload.clone());
        assert_eq!(queue.chunk().as_ptr(), payload.as_ptr());
    }
}
