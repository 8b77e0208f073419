//! From the name of a host to a carrier for a session's bytes, one step after the other; each may take as long as
//! the configuration says.
//!
//! ```text
//!   resolve -> race of the addresses -> [proxy] -> [TLS] -> [tunnel]
//! ```

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::carrier::Carrier;
use super::error::{Error, Phase};
use super::race::{ConnectError, connect};
use super::resolve::{ResolveError, resolve};
use super::tcp::{Socket, TcpOptions};
use super::wake::Wake;
use crate::url::Scheme;

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// What the session's bytes go through on their way.
    pub scheme: Scheme,
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Socket options.
    pub tcp: TcpOptions,
}

/// Connects to `target`, until `cancel` is awake. Each step may take `timeout`.
pub(super) fn dial(target: &Target, timeout: Option<Duration>, cancel: &Wake) -> Result<Carrier, Error> {
    let socket = dial_tcp(target, timeout, cancel)?;
    Ok(socket.into())
}

fn dial_tcp(target: &Target, timeout: Option<Duration>, cancel: &Wake) -> Result<Socket, Error> {
    let addresses =
        resolve(&target.host, target.port, cancel, deadline(timeout)).map_err(|error| match error {
            ResolveError::Cancelled => Error::Closed,
            ResolveError::TimedOut => Error::TimedOut(Phase::Resolve),
            error => Error::Resolve {
                host: target.host.as_str().into(),
                source: Arc::new(io::Error::other(error)),
            },
        })?;
    connect(&addresses, &target.tcp, cancel, deadline(timeout)).map_err(|error| match error {
        ConnectError::Cancelled => Error::Closed,
        ConnectError::TimedOut(_) => Error::TimedOut(Phase::Connect),
        error => Error::Connect {
            authority: format!("{}:{}", target.host, target.port).into(),
            source: Arc::new(io::Error::new(error.kind(), error)),
        },
    })
}

/// Far enough to mean never, near enough to be representable.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn deadline(timeout: Option<Duration>) -> Instant {
    Instant::now() + timeout.unwrap_or(FOREVER)
}
