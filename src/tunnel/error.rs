//! Why a tunnel cannot go on, sorted by what there is to do about it.

use std::fmt;
use std::io;

use crate::wire::Malformed;

/// A fatal error of a client's tunnel. None holds the session's id, which is all that a stranger would need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// There is an HTTP server that knows nothing of RTMPT, by the status it gave.
    NotOffered(u16),
    /// The server wants a login for HTTP.
    Unauthorized(u16),
    /// A proxy on the way wants a login: status 407.
    ProxyUnauthorized,
    /// The server would not open a session now.
    Refused(u16),
    /// The answer to /open is a page for people, as a network that wants a login first gives for everything.
    Page,
    /// The server sends clients elsewhere, and this is not followed: a second time, or to what is no tunnel.
    Redirected(u16),
    /// The server sends clients to another host, which the user has not named, or redirects are not wanted.
    Elsewhere,
    /// The server does not know the session any more.
    SessionLost(u16),
    /// The HTTP connection ended while an answer was awaited.
    Disconnected,
    /// No answer came in time.
    TimedOut,
    /// The answer is no HTTP, or not as RTMPT has it.
    Malformed(Malformed),
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::NotOffered(_) | Error::Page | Error::Redirected(_) | Error::Elsewhere => {
                io::ErrorKind::Unsupported
            }
            Error::Unauthorized(_) | Error::ProxyUnauthorized => io::ErrorKind::PermissionDenied,
            Error::Refused(_) => io::ErrorKind::ConnectionRefused,
            Error::SessionLost(_) => io::ErrorKind::ConnectionReset,
            Error::Disconnected => io::ErrorKind::UnexpectedEof,
            Error::TimedOut => io::ErrorKind::TimedOut,
            Error::Malformed(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered(status) => write!(f, "no RTMPT here, HTTP status {status}"),
            Self::Unauthorized(status) => write!(f, "a login for HTTP is wanted, status {status}"),
            Self::ProxyUnauthorized => f.write_str("the proxy wants a login, HTTP status 407"),
            Self::Refused(status) => write!(f, "no session was opened, HTTP status {status}"),
            Self::Page => f.write_str("a page came instead of a session"),
            Self::Redirected(status) => write!(f, "a redirect that is not followed, HTTP status {status}"),
            Self::Elsewhere => f.write_str("a redirect to a host that is not trusted, or not wanted"),
            Self::SessionLost(status) => write!(f, "the session is gone, HTTP status {status}"),
            Self::Disconnected => f.write_str("the HTTP connection ended instead of an answer"),
            Self::TimedOut => f.write_str("no answer to an HTTP request in time"),
            Self::Malformed(malformed) => write!(f, "a bad HTTP message: {malformed}"),
        }
    }
}

impl std::error::Error for Error {}
