//! FLV byte streams cut at any byte -> tags. What a sink is handed: a file read in blocks, a muxer's tags one
//! by one, a stream that is joined in its middle or whose muxer starts over.
//!
//! Forgiving where writers are known to differ: the file header may be missing, repeated or longer than nine
//! bytes, and no `PreviousTagSize` is looked at (some count the body alone, some all tags so far, some write
//! 0). There is no resynchronization: bytes that can be no tag are an error.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

use super::tag::{FILE_HEADER_SIZE, FileHeader, MAX_BODY, TAG_HEADER_SIZE, TRAILER_SIZE, TagHeader, TagKind};
use crate::wire::{self, Malformed};

/// Bits of a tag's first byte that are 0.
const RESERVED: u8 = 0xc0;

/// The rest of a scattered body that is joined to what came before, since a copy of it costs less than to carry
/// it apart.
const SMALL_REST: usize = 512;

/// Most bytes reserved ahead of those that have arrived.
const RESERVE_AHEAD: usize = 64 << 10;

/// Something that the input turned out to hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Item {
    /// A file header: of the whole input, or of a writer that has started over.
    Header(FileHeader),
    /// A tag.
    Tag(Tag),
    /// A tag with an encrypted body (FLV 10.1 Annex F), which is dropped.
    Encrypted {
        /// What it would be in the clear.
        kind: TagKind,
        /// Where the tag starts, in bytes from the start of the input.
        offset: u64,
    },
}

/// One tag of a kind that is known. Its body, the payload of the RTMP message that carries the same, is `head`
/// followed by `body`, and may be empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag {
    /// What the body is.
    pub kind: TagKind,
    /// Milliseconds; of video the decoding time.
    pub timestamp: u32,
    /// What lay in other buffers than the end of the body: behind a muxer's own memory with the first bytes of
    /// a tag comes the frame's. Empty if the body lay in one buffer.
    pub head: Bytes,
    /// The body, or the rest of it.
    pub body: Bytes,
    /// Where the tag starts, in bytes from the start of the input.
    pub offset: u64,
}

impl Tag {
    /// The whole body in one piece, which is a copy unless it lay in one buffer.
    #[must_use]
    pub fn joined(&self) -> Bytes {
        if self.head.is_empty() {
            return self.body.clone();
        }
        let mut joined = BytesMut::with_capacity(self.head.len().saturating_add(self.body.len()));
        joined.extend_from_slice(&self.head);
        joined.extend_from_slice(&self.body);
        joined.freeze()
    }
}

/// Input that is not FLV, or not any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Error {
    /// Where the header at fault starts, in bytes from the start of the input.
    pub offset: u64,
    /// What is wrong with it.
    pub cause: Malformed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the input is not FLV at byte {}: {}", self.offset, self.cause)
    }
}

impl std::error::Error for Error {}

/// Incremental FLV parser: [`push`](Self::push) bytes, then call [`next`](Self::next) until it gives nothing.
#[derive(Debug)]
pub struct Reader {
    input: Input,
    state: State,
    /// Bytes to pass over before anything else.
    skip: u64,
    /// Whether a file header or tag has been seen, so that what follows may hold types that are not known.
    recognized: bool,
    body_limit: usize,
}

#[derive(Debug)]
enum State {
    /// A tag or a file header comes next.
    Boundary,
    /// Between a tag header and the end of its body, with the body as far as it was scattered over buffers.
    Body {
        header: TagHeader,
        offset: u64,
        partial: BytesMut,
    },
    Failed(Error),
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A parser at the start of its input.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            input: Input::new(),
            state: State::Boundary,
            skip: 0,
            recognized: false,
            body_limit: MAX_BODY,
        }
    }

    /// Refuses tags with a body of more than `bytes`. The default is the most that the format allows.
    pub const fn set_body_limit(&mut self, bytes: usize) {
        self.body_limit = bytes;
    }

    /// Adds the next bytes of the input.
    pub fn push(&mut self, bytes: Bytes) {
        self.input.push(bytes);
    }

    /// The next thing that is complete, or `None` until more bytes are pushed. The body of a tag shares the
    /// memory of the pushed buffers if it lies in one of them or in two.
    ///
    /// # Errors
    ///
    /// The input cannot be read any further, and every later call says the same.
    #[expect(
        clippy::should_implement_trait,
        reason = "None asks for more input, it is not the end"
    )]
    pub fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            self.skip -= self.input.discard(self.skip);
            if self.skip > 0 {
                return Ok(None);
            }
            let offset = self.input.offset;
            match &mut self.state {
                State::Boundary if self.input.peek() == Some(*b"F") => {
                    let item = self.file_header().map_err(|cause| self.fail(offset, cause))?;
                    return Ok(item.map(Item::Header));
                }
                State::Boundary => {
                    let Some(header) = self.tag_header().map_err(|cause| self.fail(offset, cause))? else {
                        return Ok(None);
                    };
                    let kind = header.kind;
                    if header.encrypted || matches!(kind, TagKind::Unknown(_)) {
                        self.skip = u64::from(header.size) + TRAILER_SIZE as u64;
                        if header.encrypted {
                            return Ok(Some(Item::Encrypted { kind, offset }));
                        }
                    } else {
                        self.state = State::Body {
                            header,
                            offset,
                            partial: BytesMut::new(),
                        };
                    }
                }
                State::Body {
                    header,
                    offset,
                    partial,
                } => {
                    let Some((head, body)) = self.input.take(header.size as usize, partial) else {
                        return Ok(None);
                    };
                    let tag = Tag {
                        kind: header.kind,
                        timestamp: header.timestamp,
                        head,
                        body,
                        offset: *offset,
                    };
                    self.skip = TRAILER_SIZE as u64;
                    self.state = State::Boundary;
                    return Ok(Some(Item::Tag(tag)));
                }
                State::Failed(error) => return Err(*error),
            }
        }
    }

    /// Bytes held back because what they belong to is not complete. When `next` gives nothing and the input
    /// has ended, anything but 0 means that it was cut short.
    #[must_use]
    pub fn pending(&self) -> usize {
        let consumed = match &self.state {
            State::Body { partial, .. } => TAG_HEADER_SIZE + partial.len(),
            State::Boundary | State::Failed(_) => 0,
        };
        consumed + self.input.len
    }

    fn file_header(&mut self) -> Result<Option<FileHeader>, Malformed> {
        let Some(bytes) = self.input.peek::<FILE_HEADER_SIZE>() else {
            return Ok(None);
        };
        let (header, more) = FileHeader::decode(&mut wire::Reader::new(&bytes))?;
        self.skip = (FILE_HEADER_SIZE + TRAILER_SIZE) as u64 + u64::from(more);
        self.recognized = true;
        Ok(Some(header))
    }

    fn tag_header(&mut self) -> Result<Option<TagHeader>, Malformed> {
        let Some(bytes) = self.input.peek::<TAG_HEADER_SIZE>() else {
            return Ok(None);
        };
        let header = TagHeader::decode(&mut wire::Reader::new(&bytes))?;
        let [first, ..] = bytes;
        // RIFF, which WAV and AVI files begin with, is a script tag but for its reserved bits.
        if !self.recognized && (first & RESERVED != 0 || header.stream_id != 0) {
            return Err(Malformed::Invalid {
                field: "FLV signature or first tag type",
                value: first.into(),
            });
        }
        match header.kind {
            // An MP4 file, for one, begins like a tag of type 0.
            TagKind::Unknown(type_id) if !self.recognized => {
                return Err(Malformed::Invalid {
                    field: "FLV signature or first tag type",
                    value: type_id.into(),
                });
            }
            TagKind::Unknown(_) => {}
            TagKind::Audio | TagKind::Video | TagKind::Script | TagKind::ScriptAmf3 => {
                if !header.encrypted && header.size as usize > self.body_limit {
                    return Err(Malformed::Excessive("FLV tag body"));
                }
            }
        }
        self.recognized = true;
        self.input.discard(TAG_HEADER_SIZE as u64);
        Ok(Some(header))
    }

    fn fail(&mut self, offset: u64, cause: Malformed) -> Error {
        let error = Error { offset, cause };
        self.state = State::Failed(error);
        error
    }
}

/// The pushed buffers as one run of bytes.
#[derive(Debug)]
struct Input {
    /// None of them empty.
    buffers: VecDeque<Bytes>,
    /// Bytes in all `buffers`.
    len: usize,
    /// Bytes taken off the front so far.
    offset: u64,
}

impl Input {
    const fn new() -> Self {
        Self {
            buffers: VecDeque::new(),
            len: 0,
            offset: 0,
        }
    }

    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.buffers.push_back(bytes);
        }
    }

    /// The first `N` bytes, left where they are.
    fn peek<const N: usize>(&self) -> Option<[u8; N]> {
        // A tag's header lies in one buffer unless somebody has cut the stream anywhere.
        if let Some(bytes) = self.buffers.front().and_then(|front| front.first_chunk()) {
            return Some(*bytes);
        }
        if self.len < N {
            return None;
        }
        let mut bytes = [0; N];
        for (slot, byte) in bytes.iter_mut().zip(self.buffers.iter().flatten()) {
            *slot = *byte;
        }
        Some(bytes)
    }

    /// The next at most `most` bytes of one buffer.
    fn next_piece(&mut self, most: usize) -> Option<Bytes> {
        let front = self.buffers.front_mut()?;
        let piece = if front.len() <= most {
            self.buffers.pop_front()?
        } else {
            front.split_to(most)
        };
        self.len -= piece.len();
        self.offset += piece.len() as u64;
        Some(piece)
    }

    /// Passes over at most `most` bytes and says how many there were.
    fn discard(&mut self, most: u64) -> u64 {
        let mut rest = usize::try_from(most).unwrap_or(usize::MAX);
        let mut discarded = 0;
        while rest > 0
            && let Some(front) = self.buffers.front_mut()
        {
            let length = front.len().min(rest);
            if length == front.len() {
                self.buffers.pop_front();
            } else {
                front.advance(length);
            }
            rest -= length;
            self.len -= length;
            self.offset += length as u64;
            discarded += length as u64;
        }
        discarded
    }

    /// The next `size` bytes, of which `partial` has the start: the front part and the rest, without a copy if
    /// they lie in no more than two buffers. While some are missing, all that came are in `partial`, so that a
    /// body in many small buffers is copied once and does not keep them.
    fn take(&mut self, size: usize, partial: &mut BytesMut) -> Option<(Bytes, Bytes)> {
        if partial.is_empty() {
            let mut buffers = self.buffers.iter().map(Bytes::len);
            let first = buffers.next().unwrap_or_default();
            if 0 < first && first < size && buffers.next().is_some_and(|second| second >= size - first) {
                return Some((self.next_piece(first)?, self.next_piece(size - first)?));
            }
            if first >= size {
                return Some((Bytes::new(), self.next_piece(size).unwrap_or_default()));
            }
        }
        loop {
            let missing = size - partial.len();
            if missing == 0 {
                return Some((Bytes::new(), partial.split().freeze()));
            }
            if missing > SMALL_REST && self.buffers.front().is_some_and(|front| front.len() >= missing) {
                return Some((partial.split().freeze(), self.next_piece(missing)?));
            }
            partial.reserve(missing.min(self.len.max(RESERVE_AHEAD)));
            partial.extend_from_slice(&self.next_piece(missing)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;
    use proptest::prelude::*;
    use std::ops::Range;

    const FILE_HEADER: FileHeader = FileHeader {
        has_audio: true,
        has_video: true,
    };

    /// What is written behind a tag, given bytes of its body and of everything before the trailer.
    type Trailer = fn(usize, usize) -> u32;

    #[expect(clippy::cast_possible_truncation, reason = "tests write little")]
    const TRAILERS: [Trailer; 4] = [
        |body, _| body as u32 + 11,
        |body, _| body as u32,
        |_, so_far| so_far as u32,
        |_, _| 0,
    ];

    fn put_tag(out: &mut BytesMut, kind: TagKind, timestamp: u32, body: &[u8], trailer: Trailer) -> Item {
        let offset = out.len() as u64;
        TagHeader::new(kind, timestamp, body.len()).unwrap().encode(out);
        out.put_slice(body);
        out.put_u32(trailer(body.len(), out.len()));
        Item::Tag(Tag {
            kind,
            timestamp,
            head: Bytes::new(),
            body: Bytes::copy_from_slice(body),
            offset,
        })
    }

    /// `item` with the body of a tag in one piece.
    fn joined(item: Item) -> Item {
        match item {
            Item::Tag(tag) => Item::Tag(Tag {
                body: tag.joined(),
                head: Bytes::new(),
                ..tag
            }),
            Item::Header(_) | Item::Encrypted { .. } => item,
        }
    }

    /// A stream with one of everything, and what is in it.
    fn stream(trailer: Trailer) -> (BytesMut, Vec<Item>) {
        let mut out = BytesMut::new();
        let mut items = vec![Item::Header(FILE_HEADER)];
        FILE_HEADER.encode(&mut out);
        items.push(put_tag(
            &mut out,
            TagKind::Script,
            0,
            b"\x02\0\x0aonMetaData\x05",
            trailer,
        ));
        items.push(put_tag(
            &mut out,
            TagKind::Audio,
            23,
            b"\xaf\x00\x12\x10",
            trailer,
        ));
        put_tag(&mut out, TagKind::Unknown(7), 23, b"FLV", trailer);
        items.push(put_tag(
            &mut out,
            TagKind::Video,
            0x0100_0028,
            &[0x27; 40],
            trailer,
        ));
        items.push(put_tag(&mut out, TagKind::Audio, 46, b"", trailer));
        items.push(Item::Header(FILE_HEADER));
        FILE_HEADER.encode(&mut out);
        items.push(put_tag(&mut out, TagKind::ScriptAmf3, 50, b"\0", trailer));
        let offset = out.len() as u64;
        let header = TagHeader {
            encrypted: true,
            ..TagHeader::new(TagKind::Video, 60, 5).unwrap()
        };
        header.encode(&mut out);
        out.put_slice(&[0; 5 + TRAILER_SIZE]);
        items.push(Item::Encrypted {
            kind: TagKind::Video,
            offset,
        });
        items.push(put_tag(&mut out, TagKind::Video, 80, b"\x17\x02\0\0\0", trailer));
        (out, items)
    }

    /// Pushes the pieces one after the other and collects what comes out after each.
    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Item>, Reader) {
        let mut reader = Reader::new();
        let mut items = Vec::new();
        for piece in pieces {
            reader.push(Bytes::copy_from_slice(piece));
            while let Some(item) = reader.next().unwrap() {
                items.push(joined(item));
            }
        }
        (items, reader)
    }

    fn fail(bytes: &[u8]) -> Error {
        let mut reader = Reader::new();
        reader.push(Bytes::copy_from_slice(bytes));
        loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error in {bytes:02x?}"),
                Err(error) => {
                    assert_eq!(reader.next(), Err(error), "the error stays");
                    return error;
                }
            }
        }
    }

    #[test]
    fn other_formats_are_refused_at_their_first_bytes() {
        for start in [
            b"RIFF\x24\x40\x1f\0WAVEfmt ",
            b"\0\0\0\x20ftypisom\0\0\x02\0",
            b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0",
        ] {
            let mut reader = Reader::new();
            reader.push(Bytes::from_static(start));
            assert_eq!(reader.next().unwrap_err().offset, 0, "{start:?}");
        }
    }

    #[test]
    fn any_two_cuts_give_the_same_items() {
        let (bytes, items) = stream(TRAILERS[0]);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let (parsed, reader) = parse(pieces);
                assert_eq!(parsed, items, "cuts at {first} and {second}");
                assert_eq!(reader.pending(), 0);
            }
        }
    }

    #[test]
    fn previous_tag_size_may_be_anything() {
        for trailer in TRAILERS {
            let (bytes, items) = stream(trailer);
            assert_eq!(parse([&bytes[..]]).0, items);
            assert_eq!(parse(bytes.chunks(1)).0, items);
        }
    }

    #[test]
    fn a_tag_is_out_before_its_trailer_is_in() {
        let mut bytes = BytesMut::new();
        let tag = put_tag(&mut bytes, TagKind::Audio, 0, b"\xaf\x01\x21", TRAILERS[0]);
        let (items, reader) = parse([&bytes[..14]]);
        assert_eq!(items, [tag]);
        assert_eq!(reader.pending(), 0);
    }

    /// Addresses of head and body of the only tag of 11 + 600 + 4 bytes, cut at these places.
    fn addresses(cuts: [usize; 2]) -> (Range<*const u8>, Tag) {
        let mut bytes = BytesMut::new();
        put_tag(&mut bytes, TagKind::Video, 0, &[0x27; 600], TRAILERS[0]);
        let bytes = bytes.freeze();
        let mut reader = Reader::new();
        let [first, second] = cuts;
        for piece in [
            bytes.slice(..first),
            bytes.slice(first..second),
            bytes.slice(second..),
        ] {
            reader.push(piece);
        }
        let Ok(Some(Item::Tag(tag))) = reader.next() else {
            panic!("no tag in {reader:?}")
        };
        (bytes.slice(11..611).as_ptr_range(), tag)
    }

    #[test]
    fn a_body_within_one_buffer_or_two_shares_them() {
        let (memory, tag) = addresses([11, 611]);
        assert_eq!((tag.head.len(), tag.body.as_ptr_range()), (0, memory));
        // As a muxer does: the codec's own header goes with the tag's, the trailer has a memory of its own.
        let (memory, tag) = addresses([16, 611]);
        assert_eq!((tag.head.len(), tag.head.as_ptr()), (5, memory.start));
        assert_eq!((tag.body.len(), tag.body.as_ptr_range().end), (595, memory.end));
        let (memory, tag) = addresses([5, 600]);
        assert_eq!((tag.head.len(), tag.head.as_ptr()), (589, memory.start));
        assert_eq!(tag.body.as_ptr_range().end, memory.end);
    }

    #[test]
    fn the_end_of_a_body_in_many_buffers_is_shared_unless_it_is_small() {
        let (memory, tag) = addresses([12, 20]);
        assert_eq!(tag.head.len(), 9);
        assert!(!memory.contains(&tag.head.as_ptr()));
        assert_eq!(tag.body.as_ptr_range().end, memory.end);
        let (memory, tag) = addresses([12, 150]);
        assert_eq!(tag.head.len(), 0);
        assert!(!memory.contains(&tag.body.as_ptr()));
    }

    #[test]
    fn a_large_scattered_body_is_assembled() {
        let body: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[1]).collect();
        let mut bytes = BytesMut::new();
        let tag = put_tag(&mut bytes, TagKind::Video, 0, &body, TRAILERS[0]);
        assert_eq!(parse(bytes.chunks(1000)).0, [tag]);
    }

    #[test]
    fn a_claimed_size_reserves_little() {
        let mut reader = Reader::new();
        reader.push(Bytes::from_static(&[
            9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x17,
        ]));
        assert_eq!(reader.next(), Ok(None));
        let State::Body { partial, .. } = &reader.state else {
            panic!("{reader:?}")
        };
        assert!(partial.capacity() <= 2 * RESERVE_AHEAD, "{}", partial.capacity());
    }

    #[test]
    fn input_may_begin_with_a_tag() {
        for kind in [
            TagKind::Audio,
            TagKind::Video,
            TagKind::Script,
            TagKind::ScriptAmf3,
        ] {
            let mut bytes = BytesMut::new();
            let tag = put_tag(&mut bytes, kind, 7, b"\x27\x01", TRAILERS[0]);
            assert_eq!(parse(bytes.chunks(1)).0, [tag]);
        }
    }

    #[test]
    fn a_longer_file_header_is_passed_over() {
        let mut bytes = BytesMut::from(&b"FLV\x01\x04\0\0\0\x0cFLV\0\0\0\0"[..]);
        let tag = put_tag(&mut bytes, TagKind::Audio, 0, b"\xaf\x01", TRAILERS[0]);
        let header = Item::Header(FileHeader {
            has_audio: true,
            has_video: false,
        });
        assert_eq!(parse(bytes.chunks(1)).0, [header, tag]);
    }

    #[test]
    fn foreign_formats_fail_at_byte_0() {
        let mpeg_ts = [0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 0x0d, 0, 1, 0xc1];
        let error = fail(&mpeg_ts);
        assert_eq!(
            error,
            Error {
                offset: 0,
                cause: Malformed::Invalid {
                    field: "FLV tag type",
                    value: 0x47
                }
            }
        );
        assert_eq!(
            error.to_string(),
            "the input is not FLV at byte 0: FLV tag type cannot be 0x47"
        );
        let mp4 = fail(b"\0\0\0\x20ftypisom");
        assert_eq!(
            (mp4.offset, matches!(mp4.cause, Malformed::Invalid { .. })),
            (0, true)
        );
        let field = "FLV signature or first tag type";
        assert_eq!(fail(&[0; 11]).cause, Malformed::Invalid { field, value: 0 });
        let field = "FLV signature";
        assert_eq!(
            fail(b"FORM\0\0\0\0AIFF").cause,
            Malformed::Invalid {
                field,
                value: 0x46_4f52
            }
        );
        let field = "FLV DataOffset";
        assert_eq!(
            fail(b"FLV\x01\x05\0\0\0\0").cause,
            Malformed::Invalid { field, value: 0 }
        );
    }

    #[test]
    fn garbage_in_mid_stream_fails_where_it_starts() {
        let (mut bytes, items) = stream(TRAILERS[0]);
        let offset = bytes.len() as u64;
        bytes.put_slice(&[0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0, 0, 0, 0]);
        let cause = Malformed::Invalid {
            field: "FLV tag type",
            value: 0xde,
        };
        assert_eq!(fail(&bytes), Error { offset, cause });

        let mut reader = Reader::new();
        let mut parsed = Vec::new();
        let error = bytes.chunks(1).find_map(|piece| {
            reader.push(Bytes::copy_from_slice(piece));
            loop {
                match reader.next() {
                    Ok(Some(item)) => parsed.push(joined(item)),
                    Ok(None) => return None,
                    Err(error) => return Some(error),
                }
            }
        });
        assert_eq!(error, Some(Error { offset, cause }));
        assert_eq!(parsed, items);
    }

    #[test]
    fn bodies_above_the_limit_fail_and_those_at_it_pass() {
        let mut bytes = BytesMut::new();
        let tag = put_tag(&mut bytes, TagKind::Audio, 0, &[0xaf; 10], TRAILERS[0]);
        put_tag(&mut bytes, TagKind::Audio, 0, &[0xaf; 11], TRAILERS[0]);
        let mut reader = Reader::new();
        reader.set_body_limit(10);
        reader.push(bytes.freeze());
        assert_eq!(reader.next(), Ok(Some(tag)));
        let cause = Malformed::Excessive("FLV tag body");
        assert_eq!(reader.next(), Err(Error { offset: 25, cause }));
    }

    #[test]
    fn a_cut_inside_a_header_or_body_is_pending() {
        let mut bytes = BytesMut::new();
        FILE_HEADER.encode(&mut bytes);
        put_tag(&mut bytes, TagKind::Audio, 0, &[0xaf; 10], TRAILERS[0]);
        for end in 0..=bytes.len() {
            for size in [1, 4, usize::MAX] {
                let (_, reader) = parse(bytes[..end].chunks(size));
                let expected = match end {
                    1..9 => end,
                    13..34 => end - 13,
                    _ => 0,
                };
                assert_eq!(reader.pending(), expected, "{end} bytes in pieces of {size}");
            }
        }
    }

    fn any_tag() -> impl Strategy<Value = (u8, u32, Vec<u8>)> {
        (
            prop::sample::select(vec![8_u8, 9, 15, 18, 3]),
            any::<u32>(),
            prop::collection::vec(any::<u8>(), 0..60),
        )
    }

    proptest! {
        #[test]
        fn tags_do_not_depend_on_how_the_stream_is_cut(
            has_header: bool,
            tags in prop::collection::vec(any_tag(), 0..12),
            sizes in prop::collection::vec(1..50_usize, 1..20),
        ) {
            let mut bytes = BytesMut::new();
            let mut items = Vec::new();
            if has_header {
                FILE_HEADER.encode(&mut bytes);
                items.push(Item::Header(FILE_HEADER));
            }
            for (type_id, timestamp, body) in tags {
                let kind = TagKind::from_type_id(type_id);
                if kind == TagKind::Unknown(type_id) && items.is_empty() {
                    continue;
                }
                let item = put_tag(&mut bytes, kind, timestamp, &body, TRAILERS[0]);
                if kind != TagKind::Unknown(type_id) {
                    items.push(item);
                }
            }
            let mut rest = &bytes[..];
            let pieces = sizes.iter().cycle().map_while(|size| {
                let piece = rest.split_off(..(*size).min(rest.len()))?;
                (!piece.is_empty()).then_some(piece)
            });
            let (parsed, reader) = parse(pieces);
            prop_assert_eq!(parsed, items);
            prop_assert_eq!(reader.pending(), 0);
        }

        #[test]
        fn no_input_panics(bytes: Vec<u8>, size in 1..20_usize) {
            let mut reader = Reader::new();
            for piece in bytes.chunks(size) {
                reader.push(Bytes::copy_from_slice(piece));
                while let Ok(Some(_)) = reader.next() {}
            }
        }
    }
}
