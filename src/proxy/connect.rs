//! The method CONNECT of HTTP/1.1, RFC 9110 section 9.3.6, with the login of RFC 7617.
//!
//! Any 2xx answer switches the connection over right behind its head, whatever that says of a body.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{Destination, Error, Refusal, Step};
use crate::url::Proxy;

/// Longest head of an answer, interim ones included.
const MAX_HEAD: usize = 16 << 10;

/// Header fields of one answer.
const MAX_FIELDS: usize = 100;

/// Interim answers (1xx) before the one that counts.
const MAX_INTERIM: usize = 8;

pub(super) fn request(proxy: &Proxy, destination: &Destination) -> Bytes {
    let mut request = format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n");
    if let Some(authorization) = proxy.basic_authorization() {
        request.push_str("Proxy-Authorization: ");
        request.push_str(authorization.expose());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.into()
}

/// The answer as far as it is read.
pub(super) struct Answer {
    has_login: bool,
    interim: usize,
    /// Bytes of the input in which no end of the head begins.
    searched: usize,
}

impl Answer {
    pub(super) fn new(proxy: &Proxy) -> Self {
        Self {
            has_login: proxy.username().is_some(),
            interim: 0,
            searched: 0,
        }
    }

    pub(super) fn handle_input(&mut self, input: &mut BytesMut) -> Result<Step, Error> {
        const BEGINNING: &[u8] = b"HTTP/1.";
        if !input.iter().zip(BEGINNING).all(|(got, want)| got == want) {
            return Err(Error::NotAProxy("it does not begin as an answer of HTTP does"));
        }
        let unsearched = input.get(self.searched..).unwrap_or_default();
        let Some(at) = unsearched
            .windows(2)
            .position(|two| two == b"\n\r" || two == b"\n\n")
        else {
            self.searched = input.len().saturating_sub(1);
            return self.more(input);
        };
        // "\n\r" wants its "\n", which may be the next byte to come.
        let blank = self.searched + at + 1;
        let end = match input.get(blank..) {
            Some([b'\n', ..]) => blank + 1,
            Some([b'\r', b'\n', ..]) => blank + 2,
            Some([b'\r']) => {
                self.searched = blank - 1;
                return self.more(input);
            }
            _ => return Err(Error::NotAProxy("the lines of its head are broken")),
        };
        if end > MAX_HEAD {
            return Err(Error::LimitExceeded("a head of more than 16 KiB"));
        }
        let head = input.get(..end).unwrap_or_default();
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => {
                return Err(Error::NotAProxy("the head of its answer ends in its middle"));
            }
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Error::LimitExceeded("more than 100 header fields"));
            }
            Err(_) => return Err(Error::NotAProxy("the head of its answer cannot be read")),
        }
        let result = self.judge(&response)?;
        input.advance(end);
        self.searched = 0;
        Ok(result)
    }

    fn more(&self, input: &BytesMut) -> Result<Step, Error> {
        if input.len() >= MAX_HEAD {
            return Err(Error::LimitExceeded("a head of more than 16 KiB"));
        }
        Ok(Step::NeedsMore)
    }

    fn judge(&mut self, response: &httparse::Response<'_, '_>) -> Result<Step, Error> {
        match response.code.unwrap_or_default() {
            200..=299 => Ok(Step::Done),
            // Nobody asked for another protocol.
            100..=199 if response.code != Some(101) && self.interim < MAX_INTERIM => {
                self.interim += 1;
                Ok(Step::Again)
            }
            100..=199 => Err(Error::NotAProxy("interim answers without end")),
            407 if !knows_basic(response) => Err(Error::LoginUnsupported),
            // tinyproxy 1.11 answers a wrong login with the word of servers: `tests/peers_proxy.rs`.
            401 | 407 if self.has_login => Err(Error::LoginRefused),
            401 | 407 => Err(Error::LoginRequired),
            code => Err(Error::Refused(Refusal::Http(code))),
        }
    }
}

/// Whether the login that we know is among those that the proxy names; RFC 9110 section 11.7.1. One that names none at
/// all, which it must not, may know it.
fn knows_basic(response: &httparse::Response<'_, '_>) -> bool {
    let mut challenges = response
        .headers
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("Proxy-Authenticate"))
        .peekable();
    challenges.peek().is_none()
        || challenges.any(|field| {
            String::from_utf8_lossy(field.value)
                .split([',', ' ', '\t'])
                .any(|word| word.eq_ignore_ascii_case("basic"))
        })
}

pub(super) const fn words(code: u16) -> &'static str {
    match code {
        400 => "bad request",
        403 => "its rules do not allow the connection",
        404 => "it knows no such host, or is no proxy",
        405 | 501 => "it does not know CONNECT: it may be a web server",
        429 => "too many requests",
        300..=399 => "it sends clients elsewhere: it may be a web server",
        500 => "an error of its own",
        502 => "it could not connect to the server",
        503 => "it is overloaded, or could not connect to the server",
        504 => "the server did not answer it in time",
        _ => "no reason that is known",
    }
}
