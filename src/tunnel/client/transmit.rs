//! A request on its way out: its head and its body, neither copied to the other.

use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// What is left to write of a request.
#[derive(Clone)]
pub struct Transmit {
    pub(super) head: Bytes,
    pub(super) body: Bytes,
}

impl Buf for Transmit {
    fn remaining(&self) -> usize {
        self.head.len() + self.body.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.head.is_empty() {
            &self.body
        } else {
            &self.head
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = [&self.head, &self.body];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        slices
            .iter_mut()
            .zip(parts)
            .map(|(slice, part)| *slice = IoSlice::new(part))
            .count()
    }

    fn advance(&mut self, count: usize) {
        let of_head = count.min(self.head.len());
        self.head.advance(of_head);
        self.body.advance(count - of_head);
    }
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmit")
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
