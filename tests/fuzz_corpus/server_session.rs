//! A server session against any client.

use std::sync::Arc;
use std::time::Instant;

use gstrtmp::session::{ServerConfig, Session};

use super::owner::{self, Choice};

pub(crate) fn run(data: &[u8]) {
    let Some((choice, stream)) = Choice::split(data) else {
        return;
    };
    #[allow(clippy::disallowed_methods, reason = "virtual time starts at some time")]
    let now = Instant::now();
    owner::drive(
        Session::server(Arc::new(ServerConfig::new([7; 32])), now),
        now,
        choice,
        stream,
    );
}
