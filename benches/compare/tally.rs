//! Counts the messages of a chunk stream without keeping them: the least that a peer can do and still know when a
//! message has arrived whole.

/// Type of Set Chunk Size, RTMP 1.0 section 5.4.1.
const SET_CHUNK_SIZE: u8 = 1;

/// What of a message header is absent stands in the header before it on the same chunk stream.
#[derive(Clone, Copy, Default)]
struct ChunkStream {
    length: usize,
    type_id: u8,
    has_extended_timestamp: bool,
    /// Bytes of the message in progress that are still to come.
    left: usize,
}

/// A message that has arrived whole.
pub(crate) struct Counted {
    pub(crate) type_id: u8,
    pub(crate) length: usize,
}

/// See the module. Trusts its input, unlike the plugin's reader.
pub(crate) struct Tally {
    chunk_size: usize,
    /// By chunk stream id; those above are refused.
    streams: [ChunkStream; 64],
    current: usize,
    /// Payload bytes of the current chunk that are still to come.
    skip: usize,
    /// A header in pieces, or the payload of Set Chunk Size.
    pending: Vec<u8>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            chunk_size: 128,
            streams: [ChunkStream::default(); 64],
            current: 0,
            skip: 0,
            pending: Vec::new(),
        }
    }

    /// Takes the next bytes of the stream and tells each message that they complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut counted: impl FnMut(Counted)) {
        loop {
            if self.skip > 0 {
                let taken = self.skip.min(bytes.len());
                let (payload, rest) = bytes.split_at(taken);
                let stream = &mut self.streams[self.current];
                if stream.type_id == SET_CHUNK_SIZE {
                    self.pending.extend_from_slice(payload);
                }
                stream.left -= taken;
                self.skip -= taken;
                bytes = rest;
                if self.skip > 0 {
                    return;
                }
                if stream.left == 0 {
                    if stream.type_id == SET_CHUNK_SIZE {
                        let size: [u8; 4] = self.pending[..].try_into().expect("four bytes of chunk size");
                        self.chunk_size = u32::from_be_bytes(size) as usize;
                        self.pending.clear();
                    }
                    counted(Counted {
                        type_id: stream.type_id,
                        length: stream.length,
                    });
                }
            }
            if self.pending.is_empty()
                && let Some(used) = self.header(bytes)
            {
                bytes = &bytes[used..];
                continue;
            }
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.pending.push(*first);
            bytes = rest;
            let pending = std::mem::take(&mut self.pending);
            if self.header(&pending).is_none() {
                self.pending = pending;
            }
        }
    }

    /// Takes a chunk header off the front, if it is there whole.
    fn header(&mut self, bytes: &[u8]) -> Option<usize> {
        let first = *bytes.first()?;
        let id = usize::from(first & 0x3f);
        assert!(id >= 2, "a chunk stream id of more than 63");
        let stream = &mut self.streams[id];
        let fields: &[u8] = match first >> 6 {
            0 => bytes.get(1..12)?,
            1 => bytes.get(1..8)?,
            2 => bytes.get(1..4)?,
            _ => &[],
        };
        let extended = match fields {
            [a, b, c, ..] => [*a, *b, *c] == [0xff; 3],
            _ => stream.has_extended_timestamp,
        };
        let used = 1 + fields.len() + if extended { 4 } else { 0 };
        if bytes.len() < used {
            return None;
        }
        stream.has_extended_timestamp = extended;
        if let [_, _, _, a, b, c, type_id, ..] = fields {
            stream.length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            stream.type_id = *type_id;
        }
        if stream.left == 0 {
            stream.left = stream.length;
        }
        self.current = id;
        self.skip = stream.left.min(self.chunk_size);
        Some(used)
    }
}
