//! HTTP/1.1 messages as far as the tunnel has them, RFC 9112: where a head ends, what it says of the body, and the
//! body as it comes. `httparse` reads the lines.
//!
//! What two readers could understand in two ways is refused: two lengths, a length beside a transfer coding, folded
//! lines, a carriage return or a line feed alone.

use bytes::{Buf as _, BytesMut};

use crate::wire::Malformed;

/// Longest head of a message, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Most header lines of a message.
pub(super) const MAX_HEADERS: usize = 100;

/// Longest line with the size of a chunk, extensions included, in bytes.
const MAX_CHUNK_LINE: usize = 256;

/// Finds the end of a head that comes in pieces, looking at no byte twice.
#[derive(Debug, Default)]
pub(super) struct HeadEnd {
    seen: usize,
}

impl HeadEnd {
    /// Whether a byte of it has come.
    pub(super) const fn has_seen_any(&self) -> bool {
        self.seen > 0
    }

    /// Length of the head at the front of `input`, its empty line included; `None` if there is more to come.
    pub(super) fn find(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        const END: &[u8] = b"\r\n\r\n";
        let from = self.seen.saturating_sub(END.len() - 1);
        let unseen = input.get(from..).unwrap_or_default();
        self.seen = input.len();
        let end = unseen
            .windows(END.len())
            .position(|window| window == END)
            .map(|at| from + at + END.len());
        match end {
            Some(end) if end <= MAX_HEAD => {
                self.seen = 0;
                check_lines(input.get(..end).unwrap_or_default())?;
                Ok(Some(end))
            }
            None if input.len() <= MAX_HEAD => Ok(None),
            _ => Err(Malformed::Excessive("the head of an HTTP message")),
        }
    }
}

/// Refuses line feeds that stand alone, which `httparse` would take for the end of a line.
fn check_lines(head: &[u8]) -> Result<(), Malformed> {
    let mut last = 0;
    for byte in head {
        if *byte == b'\n' && last != b'\r' {
            return Err(invalid("the end of an HTTP line", *byte));
        }
        last = *byte;
    }
    Ok(())
}

fn invalid(field: &'static str, value: impl Into<u64>) -> Malformed {
    Malformed::Invalid {
        field,
        value: value.into(),
    }
}

/// What `httparse` says in the words of this crate.
pub(super) fn malformed(error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::TooManyHeaders => Malformed::Excessive("the header lines of an HTTP message"),
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => invalid("an HTTP head", 0_u8),
    }
}

/// How a body follows its head, and whether the connection goes on behind it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Framing {
    /// Content-Length, if there is one.
    pub(super) length: Option<u64>,
    /// Transfer-Encoding is there.
    pub(super) coded: bool,
    /// The only transfer coding is chunked.
    pub(super) chunked: bool,
    /// The connection serves another request.
    pub(super) persists: bool,
}

impl Framing {
    /// Reads the header lines of a message of HTTP/1.`minor_version`.
    pub(super) fn read(
        minor_version: Option<u8>,
        headers: &[httparse::Header<'_>],
    ) -> Result<Self, Malformed> {
        let mut framing = Self {
            persists: minor_version == Some(1),
            ..Self::default()
        };
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let length = decimal(header.value)?;
                if framing.length.is_some_and(|other| other != length) {
                    return Err(invalid("a second Content-Length", length));
                }
                framing.length = Some(length);
            } else if is("transfer-encoding") {
                let chunked = header.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                framing.chunked = chunked && !framing.coded;
                framing.coded = true;
            } else if is("connection") {
                for option in header.value.split(|byte| *byte == b',') {
                    if option.trim_ascii().eq_ignore_ascii_case(b"close") {
                        framing.persists = false;
                    } else if option.trim_ascii().eq_ignore_ascii_case(b"keep-alive")
                        && minor_version == Some(0)
                    {
                        framing.persists = true;
                    }
                }
            }
        }
        if framing.coded && framing.length.is_some() {
            return Err(invalid("Transfer-Encoding beside Content-Length", 0_u8));
        }
        Ok(framing)
    }
}

/// A number of digits alone: `+5`, `5, 5` and the like mean different things to different readers.
fn decimal(value: &[u8]) -> Result<u64, Malformed> {
    let value = value.trim_ascii();
    std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid("Content-Length", value.len() as u64))
}

/// A body as it comes.
#[derive(Debug)]
pub(super) enum Body {
    /// So many more bytes.
    Length(u64),
    /// RFC 9112 section 7.1.
    Chunked(Chunk),
    /// All that comes until the connection ends.
    UntilEnd,
}

/// Where in a chunked body the reader is.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Before the line with the size.
    Size,
    /// So many more bytes of data.
    Data(u64),
    /// Before the line end behind the data.
    End,
    /// Behind the last chunk, before the empty line.
    Trailer(HeadEnd),
    /// Behind everything.
    Over,
}

impl Body {
    /// The body of an answer.
    pub(super) const fn of_answer(framing: &Framing) -> Result<Self, Malformed> {
        match (framing.length, framing.coded, framing.chunked) {
            (Some(length), ..) => Ok(Self::Length(length)),
            (None, true, true) => Ok(Self::Chunked(Chunk::Size)),
            (None, true, false) => Err(Malformed::Invalid {
                field: "Transfer-Encoding",
                value: 0,
            }),
            (None, false, _) => Ok(Self::UntilEnd),
        }
    }

    /// Whether nothing more of it will come.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// Takes the next piece off the front of `input`; `None` when there is more to come, or when it is over.
    pub(super) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, Malformed> {
        match self {
            Self::Length(left) => Ok(take(left, input)),
            Self::UntilEnd => Ok((!input.is_empty()).then(|| input.split())),
            Self::Chunked(chunk) => chunk.decode(input),
        }
    }
}

impl Chunk {
    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, Malformed> {
        loop {
            match self {
                Self::Size => match httparse::parse_chunk_size(input) {
                    Ok(httparse::Status::Complete((line, size))) => {
                        input.advance(line);
                        *self = match size {
                            0 => Self::Trailer(HeadEnd::default()),
                            size => Self::Data(size),
                        };
                    }
                    Ok(httparse::Status::Partial) if input.len() <= MAX_CHUNK_LINE => return Ok(None),
                    Ok(httparse::Status::Partial) => {
                        return Err(Malformed::Excessive("the line of an HTTP chunk"));
                    }
                    Err(_) => return Err(invalid("the size of an HTTP chunk", 0_u8)),
                },
                Self::Data(left) => {
                    let piece = take(left, input);
                    if *left == 0 {
                        *self = Self::End;
                    }
                    return Ok(piece);
                }
                Self::End => match input.get(..2) {
                    None => return Ok(None),
                    Some(b"\r\n") => {
                        input.advance(2);
                        *self = Self::Size;
                    }
                    Some(_) => return Err(invalid("the end of an HTTP chunk", 0_u8)),
                },
                Self::Trailer(end) => {
                    let length = match input.get(..2) {
                        None => return Ok(None),
                        Some(b"\r\n") => 2,
                        Some(_) => match end.find(input)? {
                            Some(length) => length,
                            None => return Ok(None),
                        },
                    };
                    input.advance(length);
                    *self = Self::Over;
                }
                Self::Over => return Ok(None),
            }
        }
    }
}

fn take(left: &mut u64, input: &mut BytesMut) -> Option<BytesMut> {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= count as u64;
    (count > 0).then(|| input.split_to(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of `input`, which comes `step` bytes at a time, and what is left behind it.
    fn decoded(mut body: Body, input: &[u8], step: usize) -> Result<(Vec<u8>, usize), Malformed> {
        let (mut out, mut rest) = (Vec::new(), BytesMut::new());
        for piece in input.chunks(step) {
            rest.extend_from_slice(piece);
            while let Some(piece) = body.decode(&mut rest)? {
                out.extend_from_slice(&piece);
            }
        }
        assert!(body.is_over());
        Ok((out, rest.len()))
    }

    fn framing(lines: &str) -> Result<Framing, Malformed> {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let end = HeadEnd::default().find(text.as_bytes())?.expect("an empty line");
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(&text.as_bytes()[..end]).map_err(malformed)?;
        Framing::read(response.version, response.headers)
    }

    #[test]
    fn a_chunked_body_is_the_same_at_every_split() {
        let wire = b"5\r\nhello\r\n00001;name=\"value\"\r\n \r\n5 \r\nworld\r\n0\r\nTrailer: yes\r\n\r\nnext";
        for step in 1..=wire.len() {
            let (body, rest) = decoded(Body::Chunked(Chunk::Size), wire, step).unwrap();
            assert_eq!((&body[..], rest), (&b"hello world"[..], 4), "in steps of {step}");
        }
        let (body, rest) = decoded(Body::Length(5), b"hello world", 2).unwrap();
        assert_eq!((&body[..], rest), (&b"hello"[..], 6));
    }

    #[test]
    fn broken_chunks_are_refused() {
        for wire in [
            &b"x\r\n"[..],
            b"5\r\nhello--",
            b"11111111111111111\r\n",
            &[b'0'; MAX_CHUNK_LINE + 1],
        ] {
            assert!(decoded(Body::Chunked(Chunk::Size), wire, wire.len()).is_err());
        }
    }

    #[test]
    fn a_head_ends_at_its_empty_line_at_every_split() {
        let head = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody\r\n\r\n";
        for step in 1..=head.len() {
            let mut end = HeadEnd::default();
            let mut have = 0;
            let found = loop {
                have = (have + step).min(head.len());
                if let Some(found) = end.find(&head[..have]).unwrap() {
                    break found;
                }
            };
            assert_eq!(&head[found..], b"body\r\n\r\n");
        }
    }

    #[test]
    fn a_head_without_end_or_with_lines_of_two_kinds_is_refused() {
        assert!(HeadEnd::default().find(&[b'a'; MAX_HEAD]).unwrap().is_none());
        assert!(HeadEnd::default().find(&[b'a'; MAX_HEAD + 1]).is_err());
        assert!(HeadEnd::default().find(b"HTTP/1.1 200 OK\nA: b\r\n\r\n").is_err());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for lines in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "A: b\r\n c\r\n",
            "A: b\rc\r\n",
            "A : b\r\n",
        ] {
            assert!(framing(lines).is_err(), "{lines:?}");
        }
        let twice = framing("content-length: 5\r\nCONTENT-LENGTH:5\r\n").unwrap();
        assert_eq!(twice.length, Some(5));
        let gzipped = framing("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n").unwrap();
        assert!(Body::of_answer(&gzipped).is_err());
    }

    #[test]
    fn a_connection_persists_unless_somebody_closes_it() {
        assert!(framing("").unwrap().persists);
        assert!(framing("Connection: Keep-Alive\r\n").unwrap().persists);
        assert!(!framing("Connection: x, Close\r\n").unwrap().persists);
        let old = |value: &'static [u8]| {
            let header = httparse::Header {
                name: "Connection",
                value,
            };
            Framing::read(Some(0), &[header]).unwrap().persists
        };
        assert!(!old(b"other"));
        assert!(old(b"keep-alive"));
    }
}
