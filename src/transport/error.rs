//! Why a connection failed: the session's reasons, and those of the network below it.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::tcp::{BindError, Family};
use super::tls::Failure;
use crate::{proxy, session, tunnel};

/// What a connection was doing, from the name of the host to the last byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Turning the host's name into addresses.
    Resolve,
    /// Connecting to one of them.
    Connect,
    /// The handshake of TLS.
    Tls,
    /// Asking an HTTP server for a tunnel.
    Tunnel,
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
            Self::Tls => f.write_str("the TLS handshake"),
            Self::Tunnel => f.write_str("opening a tunnel"),
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
    /// The host has no address of the family that is asked for.
    OtherFamily {
        /// The host as it was asked for.
        host: Arc<str>,
        /// The family.
        family: Family,
    },
    /// The connection cannot begin at the address or the interface of ours where it should.
    Bind(BindError),
    /// The proxy does not connect us.
    Proxy {
        /// `host:port` of the proxy.
        proxy: Arc<str>,
        /// Why not.
        fault: ProxyFault,
    },
    /// TLS could not be had.
    Tls(Failure),
    /// A phase took longer than it may.
    TimedOut(Phase),
    /// The socket failed with an established connection.
    Io {
        /// What was going on.
        phase: session::Phase,
        /// The operating system's word.
        source: Arc<io::Error>,
    },
    /// The tunnel through HTTP failed.
    Tunnel(tunnel::Error),
    /// The session failed.
    Session(session::Error),
    /// The owner closed the connection.
    Closed,
}

/// Why a proxy does not connect us.
#[derive(Clone, Debug)]
pub enum ProxyFault {
    /// Its name has no address, or no name server answered.
    Resolve(Arc<io::Error>),
    /// No address of it accepted a TCP connection.
    Connect(Arc<io::Error>),
    /// It has not accepted the connection, or not answered, in time.
    Silent,
    /// The connection to it failed.
    Io(Arc<io::Error>),
    /// What it said, or did not say.
    Handshake {
        /// The `host:port` that it was asked for.
        destination: Arc<str>,
        /// Its answer.
        error: proxy::Error,
    },
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(source) => write!(f, "cannot resolve its name: {source}"),
            Self::Connect(source) => write!(f, "cannot connect to it: {source}"),
            Self::Silent => f.write_str("it did not answer in time"),
            Self::Io(source) => write!(f, "the connection to it was lost: {source}"),
            Self::Handshake { destination, error } => write!(f, "asked for {destination}: {error}"),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Tls(failure)
    }
}

impl Error {
    /// What a stream or a carrier said during `phase`. The reasons of TLS and of tunnels come inside.
    pub(super) fn io(phase: session::Phase, source: io::Error) -> Self {
        if let Some(failure) = Failure::of(&source) {
            return Self::Tls(failure.clone());
        }
        let source = match source.downcast::<Self>() {
            // A tunnel that connects anew knows the host already: to its session that is a loss.
            Ok(Self::Connect { source, .. }) => return Self::Io { phase, source },
            Ok(error) => return error,
            Err(source) => source,
        };
        match source.downcast::<tunnel::Error>() {
            Ok(tunnel::Error::Disconnected) => Self::Session(session::Error::Disconnected(phase)),
            Ok(tunnel::Error::TimedOut) => Self::TimedOut(match phase {
                session::Phase::Media | session::Phase::Closing => Phase::Write,
                phase => Phase::Session(phase),
            }),
            Ok(error) => Self::Tunnel(error),
            Err(source) => Self::Io {
                phase,
                source: Arc::new(source),
            },
        }
    }
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
            Self::OtherFamily { host, family } => write!(f, "{host} has no {family} address"),
            Self::Bind(error) => error.fmt(f),
            Self::Proxy { proxy, fault } => write!(f, "the proxy {proxy}: {fault}"),
            Self::Tls(failure) => failure.fmt(f),
            Self::TimedOut(phase) => write!(f, "timed out during {phase}"),
            Self::Io { phase, source } => write!(f, "connection lost during {phase}: {source}"),
            Self::Tunnel(error) => error.fmt(f),
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
            Self::Tunnel(error) => Some(error),
            Self::Session(error) => Some(error),
            Self::Tls(failure) => Some(failure),
            Self::Bind(error) => Some(error),
            Self::Proxy { fault, .. } => match fault {
                ProxyFault::Resolve(source) | ProxyFault::Connect(source) | ProxyFault::Io(source) => {
                    Some(source.as_ref())
                }
                ProxyFault::Handshake { error, .. } => Some(error),
                ProxyFault::Silent => None,
            },
            Self::OtherFamily { .. } | Self::TimedOut(_) | Self::Closed => None,
        }
    }
}
