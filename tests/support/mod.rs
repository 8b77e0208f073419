//! What the integration tests share: real peers as child processes, and ways to wait for them that end.
//!
//! Everything here returns [`Failure`], which says what is missing or what the peer said, so that a test is
//! `fn behaviour() -> support::Result<()>` and uses `?`. Dropping a peer kills it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its own part of this"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "peers live in real time behind real sockets"
)]

pub mod certificates;
pub mod ffmpeg;
pub mod gstreamer;
pub mod nginx;
pub mod node;
pub mod pipeline;
pub mod port;
pub mod process;
pub mod proxy;
pub mod pyav;
pub mod refusal;
pub mod responder;
pub mod rtmpdump;
pub mod script;
pub mod tags;
pub mod terminator;
pub mod wait;

use std::fmt;

/// What a test or a helper ends with.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a test cannot go on, in a sentence. `Debug` is that sentence too: it is what a failed test prints.
pub struct Failure(String);

impl Failure {
    /// A failure that says `sentence`.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Puts `doing` before the reason.
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{doing}: {error}")))
    }
}
