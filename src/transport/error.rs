//! Why a connection failed: the session's reasons, and those of the network below it.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::session;

/// What a connection was doing, from the name of the host to the last byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Turning the host's name into addresses.
    Resolve,
    /// Connecting to one of them.
    Connect,
    /// The session's own phases.
    Session(session::Phase),
    /// Writing to a peer that does not read.
    Write,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve => f.write_str("looking up the host's name"),
            Self::Connect => f.write_str("the TCP connection"),
            Self::Session(phase) => phase.fmt(f),
            Self::Write => f.write_str("sending: the peer has stopped reading"),
        }
    }
}

/// A fatal error of a connection. Cheap to clone: whoever asks again is told again.
#[derive(Clone, Debug)]
pub enum Error {
    /// The host's name has no address, or no name server answered.
    Resolve {
        /// The name as it was asked for.
        host: Arc<str>,
        /// What the resolver said.
        source: Arc<io::Error>,
    },
    /// No address accepted a TCP connection.
    Connect {
        /// `host:port` as it was asked for.
        authority: Arc<str>,
        /// What the last address tried said.
        source: Arc<io::Error>,
    },
    /// A phase took longer than it may.
    TimedOut(Phase),
    /// The socket failed with an established connection.
    Io {
        /// What was going on.
        phase: session::Phase,
        /// The operating system's word.
        source: Arc<io::Error>,
    },
    /// The session failed.
    Session(session::Error),
    /// The owner closed the connection.
    Closed,
}

impl From<session::Error> for Error {
    fn from(error: session::Error) -> Self {
        match error {
            session::Error::TimedOut(phase) => Self::TimedOut(Phase::Session(phase)),
            error => Self::Session(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { host, source } => write!(f, "cannot resolve {host}: {source}"),
            Self::Connect { authority, source } => write!(f, "cannot connect to {authority}: {source}"),
            Self::TimedOut(phase) => write!(f, "timed out during {phase}"),
            Self::Io { phase, source } => write!(f, "connection lost during {phase}: {source}"),
            Self::Session(error) => error.fmt(f),
            Self::Closed => f.write_str("the connection is closed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve { source, .. } | Self::Connect { source, .. } | Self::Io { source, .. } => {
                Some(source.as_ref())
            }
            Self::Session(error) => Some(error),
            Self::TimedOut(_) | Self::Closed => None,
        }
    }
}
