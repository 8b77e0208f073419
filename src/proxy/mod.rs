//! What a client and a proxy say to each other before the proxy passes bytes on: SOCKS 4 and 4A, SOCKS 5 (RFC 1928
//! and RFC 1929), and the method CONNECT of HTTP (RFC 9110 section 9.3.6).
//!
//! A [`Handshake`] has no socket and no clock. Requests that an HTTP proxy answers itself, as for RTMPT, need none.

mod connect;
mod socks4;
mod socks5;

use std::fmt;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};

use crate::url::{Proxy, ProxyScheme};

/// The server that the proxy is to connect to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Destination {
    /// Its name or address.
    pub host: Host,
    /// Its TCP port.
    pub port: u16,
}

/// A host as a proxy is told of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Host {
    /// A name that the proxy has to look up.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Destination {
    /// `host` by its name, or by its address if it is one. The zone of an address means nothing to the proxy.
    #[must_use]
    pub fn named(host: &str, port: u16) -> Self {
        let address = host.split_once('%').map_or(host, |(address, _)| address);
        let host = match address.parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(host.to_owned()),
        };
        Self { host, port }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

/// The client's side of asking a proxy for a connection. `Debug` shows no bytes: a password may be among them.
///
/// ```text
///   poll_transmit -> request      handle_input(answer) -> .. -> is_done: what follows is the server's
/// ```
pub struct Handshake {
    protocol: Protocol,
    output: Bytes,
    is_done: bool,
}

enum Protocol {
    Socks4,
    Socks5(socks5::State),
    Connect(connect::Answer),
}

impl Handshake {
    /// Asks `proxy` for a connection to `destination`.
    ///
    /// # Errors
    ///
    /// [`Error::Unfit`] if the protocol has no words for the destination.
    pub fn new(proxy: &Proxy, destination: &Destination) -> Result<Self, Error> {
        let (protocol, output) = match proxy.scheme() {
            ProxyScheme::Socks4 | ProxyScheme::Socks4a => {
                (Protocol::Socks4, socks4::request(proxy, destination)?)
            }
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => {
                let (state, greeting) = socks5::State::new(proxy, destination)?;
                (Protocol::Socks5(state), greeting)
            }
            ProxyScheme::Http => {
                let answer = connect::Answer::new(proxy);
                (Protocol::Connect(answer), connect::request(proxy, destination))
            }
        };
        Ok(Self {
            protocol,
            output,
            is_done: false,
        })
    }

    /// What is to be sent: to be advanced by what was written. `None` when there is nothing.
    pub fn poll_transmit(&mut self) -> Option<&mut Bytes> {
        (!self.output.is_empty()).then_some(&mut self.output)
    }

    /// Whether something is to be sent.
    #[must_use]
    pub const fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Takes from the front of `input` what belongs to the proxy's answer. What the proxy has sent behind it, which
    /// is the server's, stays there.
    ///
    /// # Errors
    ///
    /// Whatever the proxy says but yes.
    pub fn handle_input(&mut self, input: &mut BytesMut) -> Result<(), Error> {
        while !self.is_done {
            let step = match &mut self.protocol {
                Protocol::Socks4 => socks4::answer(input)?,
                Protocol::Socks5(state) => state.handle_input(input)?,
                Protocol::Connect(answer) => answer.handle_input(input)?,
            };
            match step {
                Step::NeedsMore => return Ok(()),
                Step::Again => {}
                Step::Send(_) | Step::Done if self.has_output() => {
                    return Err(Error::NotAProxy("it answers before it has been asked"));
                }
                Step::Send(bytes) => self.output = bytes,
                Step::Done => self.is_done = true,
            }
        }
        Ok(())
    }

    /// Whether the proxy has agreed: from here on it passes bytes on.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.is_done
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("is_done", &self.is_done)
            .finish_non_exhaustive()
    }
}

/// What came of some input.
enum Step {
    /// It is not whole yet.
    NeedsMore,
    /// It says nothing; another one follows.
    Again,
    /// Something is to be said next.
    Send(Bytes),
    /// The proxy has agreed.
    Done,
}

/// Why a proxy does not connect us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Error {
    /// The protocol cannot express what is wanted: why, and what can.
    Unfit(&'static str),
    /// The proxy wants a user name and a password, and none are given.
    LoginRequired,
    /// The proxy does not know the user, or another password.
    LoginRefused,
    /// The proxy knows only logins that we do not.
    LoginUnsupported,
    /// The proxy could not or would not connect to the server.
    Refused(Refusal),
    /// The answer is not one of the protocol: what is wrong with it.
    NotAProxy(&'static str),
    /// The answer is longer than any should be.
    LimitExceeded(&'static str),
    /// The proxy closed the connection before its answer was whole.
    Disconnected,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(why) => f.write_str(why),
            Self::LoginRequired => f.write_str("the proxy wants a user name and a password"),
            Self::LoginRefused => f.write_str("the proxy refused the user name or the password"),
            Self::LoginUnsupported => f.write_str("the proxy wants a login of a kind that is not known"),
            Self::Refused(refusal) => write!(f, "the proxy refused: {refusal}"),
            Self::NotAProxy(why) => write!(f, "not the answer of a proxy: {why}"),
            Self::LimitExceeded(what) => write!(f, "the proxy sent more than is taken: {what}"),
            Self::Disconnected => f.write_str("the proxy closed the connection without a whole answer"),
        }
    }
}

impl std::error::Error for Error {}

/// The code of a refusal. `Display` has it in words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// CD of SOCKS 4, of a reply other than 90.
    Socks4(u8),
    /// REP of SOCKS 5, RFC 1928 section 6, other than 0.
    Socks5(u8),
    /// Status of HTTP, RFC 9110 section 15, other than 2xx.
    Http(u16),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, protocol, code) = match *self {
            Self::Socks4(code) => (socks4::words(code), "SOCKS 4", u16::from(code)),
            Self::Socks5(code) => (socks5::words(code), "SOCKS 5", u16::from(code)),
            Self::Http(code) => (connect::words(code), "HTTP", code),
        };
        write!(f, "{words} ({protocol} code {code})")
    }
}

#[cfg(test)]
mod tests;
