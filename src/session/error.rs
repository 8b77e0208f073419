//! Why a session cannot go on, sorted by whose fault it is.

use std::fmt;

use super::login::LoginFault;
use super::redirect::RedirectFault;
use crate::handshake;
use crate::message::Status;
use crate::wire::Malformed;

/// What a session was doing, for errors and statistics. In the order in which a session passes through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The handshake, RTMP 1.0 section 5.2.
    Handshake,
    /// connect was sent or is awaited.
    Connect,
    /// createStream was sent or is awaited.
    CreateStream,
    /// publish was sent or is awaited.
    Publish,
    /// play was sent or is awaited.
    Play,
    /// Media flows.
    Media,
    /// The stop commands are queued or sent.
    Closing,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "the handshake",
            Self::Connect => "connect",
            Self::CreateStream => "createStream",
            Self::Publish => "publish",
            Self::Play => "play",
            Self::Media => "the stream",
            Self::Closing => "closing",
        })
    }
}

/// A fatal error of a session. `Display` leaves out what the peer said in its own words, which may repeat a
/// stream key.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The peer's bytes break the protocol's format.
    Malformed(Malformed),
    /// The peer's messages are well formed but make no sense here.
    PeerMisbehaved(&'static str),
    /// RTMPE was asked for, and the server answered in clear text.
    ClearText,
    /// The peer refused: its words are in the status.
    Rejected {
        /// What was refused.
        phase: Phase,
        /// The peer's words.
        status: Box<Status>,
    },
    /// The server asks for a login, or does not like it.
    Login {
        /// What is wrong.
        fault: LoginFault,
        /// The server's words.
        status: Box<Status>,
    },
    /// The server sends the client on, where it does not go.
    Redirect {
        /// What is wrong.
        fault: RedirectFault,
        /// The server's words.
        status: Box<Status>,
    },
    /// The peer did not answer in time.
    TimedOut(Phase),
    /// The peer closed the connection.
    Disconnected(Phase),
    /// The peer asked for SWF verification, got no proof, and closed the connection.
    Unverified(Phase),
    /// The peer asked for more than a limit of ours allows.
    LimitExceeded(&'static str),
    /// The caller broke the contract of [`Session`](super::Session).
    ApiMisuse(&'static str),
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Excessive(what) => Self::LimitExceeded(what),
            Malformed::Truncated(_) | Malformed::Invalid { .. } => Self::Malformed(malformed),
        }
    }
}

impl From<handshake::Error> for Error {
    fn from(error: handshake::Error) -> Self {
        match error {
            handshake::Error::Malformed(malformed) => malformed.into(),
            handshake::Error::ClearText => Self::ClearText,
            handshake::Error::NoDigest => Self::PeerMisbehaved("its RTMPE handshake has no digest"),
            handshake::Error::BadKey => {
                Self::PeerMisbehaved("its RTMPE handshake has a public key that cannot be used")
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => write!(f, "the peer sent bad data: {malformed}"),
            Self::PeerMisbehaved(what) => write!(f, "the peer misbehaved: {what}"),
            Self::ClearText => f.write_str("the server answered RTMPE in clear text"),
            Self::Rejected { phase, status } => write!(f, "the server refused {phase}: {}", status.code),
            Self::Login { status, .. } => write!(f, "the login has failed: {}", status.code),
            Self::Redirect { fault, .. } => fault.fmt(f),
            Self::TimedOut(phase) => write!(f, "the peer did not answer in time during {phase}"),
            Self::Disconnected(phase) => write!(f, "the peer closed the connection during {phase}"),
            Self::Unverified(phase) => write!(
                f,
                "the peer closed the connection during {phase}, after it had asked in vain for SWF verification"
            ),
            Self::LimitExceeded(what) => write!(f, "the peer exceeded a limit: {what}"),
            Self::ApiMisuse(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for Error {}
