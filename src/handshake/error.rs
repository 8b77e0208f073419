//! Why a handshake cannot go on. Always the peer's doing.

use std::fmt;

use crate::wire::Malformed;

/// A handshake that has failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The peer does not speak RTMP.
    Malformed(Malformed),
    /// The client asked for RTMPE and the server answered in clear text. It may not know RTMPE, or somebody in
    /// between may not want it.
    ClearText,
    /// RTMPE, but C1 or S1 has no digest, so there is no saying where its key is.
    NoDigest,
    /// RTMPE, but the public key in C1 or S1 is none: with it everybody would know the secret.
    BadKey,
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::ClearText => f.write_str("RTMPE was asked for and answered in clear text"),
            Self::NoDigest => f.write_str("RTMPE without a digest"),
            Self::BadKey => f.write_str("RTMPE with a public key that cannot be used"),
        }
    }
}

impl std::error::Error for Error {}
