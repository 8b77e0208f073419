//! From the name of a host to a carrier for a session's bytes, one step after the other; each may take as long as
//! the configuration says.
//!
//! ```text
//!   resolve -> race of the addresses -> [proxy] -> [TLS] -> [tunnel]
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::carrier::Carrier;
use super::error::{Error, Phase, ProxyFault};
use super::proxy::{failed, negotiate};
use super::race::{ConnectError, connect};
use super::resolve::{ResolveError, resolve};
use super::stream::Stream;
use super::tcp::{Family, Socket, TcpOptions};
use super::tls;
use super::tunnel::Tunnel;
use super::wake::Wake;
use crate::proxy::{Destination, Error as Answer, Host};
use crate::session::redirect::Redirects;
use crate::url::{Proxy, ProxyScheme, Scheme};

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// What the session's bytes go through on their way.
    pub scheme: Scheme,
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Socket options: those of the connection to the proxy, if there is one.
    pub tcp: TcpOptions,
    /// The proxy that connects us to the host.
    pub proxy: Option<Proxy>,
    /// How TLS is done where the scheme has it. None: with the system's authorities, and all checks.
    pub tls: Option<tls::Client>,
}

impl Target {
    /// The HTTP proxy that is to be asked for each request by its absolute form, RFC 9112 section 3.2.2, instead of
    /// for a connection to the host. So it is with RTMP in plain HTTP: such proxies may forbid CONNECT to port 80.
    /// What the tunnel has to say to it: [`Proxy::basic_authorization`].
    #[must_use]
    pub fn http_proxy(&self) -> Option<&Proxy> {
        match self.scheme {
            Scheme::Rtmpt | Scheme::Rtmpte => self
                .proxy
                .as_ref()
                .filter(|proxy| proxy.scheme() == ProxyScheme::Http),
            Scheme::Rtmp | Scheme::Rtmps | Scheme::Rtmpe | Scheme::Rtmpts | Scheme::Rtmfp => None,
        }
    }

    /// Where a redirect leads. TLS is done as with the first host only if it is that one.
    pub(super) fn redirected(&self, scheme: Scheme, host: &str, port: u16, is_trusted: bool) -> Self {
        let is_same = host.eq_ignore_ascii_case(&self.host);
        let tls = match &self.tls {
            Some(client) if !is_same => Some(client.elsewhere(is_trusted)),
            tls => tls.clone(),
        };
        Self {
            scheme,
            host: host.to_owned(),
            port,
            tls,
            ..self.clone()
        }
    }

    /// How TLS is done to this target; none if its scheme has no TLS.
    pub(super) fn tls(&self) -> Result<Option<tls::Client>, Error> {
        match (self.scheme, &self.tls) {
            (Scheme::Rtmps | Scheme::Rtmpts, Some(client)) => Ok(Some(client.clone())),
            (Scheme::Rtmps | Scheme::Rtmpts, None) => match tls::Client::new(tls::Options::default()) {
                Ok(client) => Ok(Some(client)),
                Err(error) => Err(Error::Tls(tls::Failure {
                    host: self.host.as_str().into(),
                    fault: error.into(),
                })),
            },
            (Scheme::Rtmp | Scheme::Rtmpe | Scheme::Rtmpt | Scheme::Rtmpte | Scheme::Rtmfp, _) => Ok(None),
        }
    }
}

/// Connects to `target`, until `cancel` is awake. Each step may take `timeout`. Redirects of HTTP are followed as far as
/// `redirects` go.
pub(super) fn dial(
    target: &Target,
    redirects: &Redirects,
    timeout: Option<Duration>,
    cancel: &Wake,
) -> Result<Carrier, Error> {
    match target.scheme {
        Scheme::Rtmpt | Scheme::Rtmpts | Scheme::Rtmpte => {
            let tunnel = Tunnel::open(target, redirects, timeout, cancel)?;
            Ok(Carrier::Tunnel(Box::new(tunnel)))
        }
        Scheme::Rtmp | Scheme::Rtmps | Scheme::Rtmpe | Scheme::Rtmfp => {
            Ok(dial_stream(target, None, timeout, cancel)?.into())
        }
    }
}

/// The steps below the tunnel. `address` is as for [`dial_tcp`].
pub(super) fn dial_stream(
    target: &Target,
    address: Option<SocketAddr>,
    timeout: Option<Duration>,
    cancel: &Wake,
) -> Result<Stream, Error> {
    let socket = dial_tcp(target, address, timeout, cancel)?;
    match target.tls()? {
        Some(client) => Ok(client
            .handshake(socket, &target.host, deadline(timeout), cancel)?
            .into()),
        None => Ok(socket.into()),
    }
}

/// TCP to the host, by way of the proxy if there is one; to the proxy itself where that answers the requests. With an
/// `address`, of an earlier socket's peer, it is that and no other of the host, or of the proxy.
pub(super) fn dial_tcp(
    target: &Target,
    address: Option<SocketAddr>,
    timeout: Option<Duration>,
    cancel: &Wake,
) -> Result<Socket, Error> {
    let addresses_of = |host: &str, port| match address {
        Some(address) => Ok(vec![address]),
        None => look_up(host, port, timeout, cancel),
    };
    let Some(proxy) = &target.proxy else {
        let (host, port) = (&target.host, target.port);
        let addresses = addresses_of(host, port)?;
        return connect(&addresses, &target.tcp, cancel, deadline(timeout)).map_err(|error| match error {
            ConnectError::TimedOut(_) => Error::TimedOut(Phase::Connect),
            error => connect_failed(host, error, |source| Error::Connect {
                authority: format!("{host}:{port}").into(),
                source,
            }),
        });
    };
    let proxies = addresses_of(proxy.host(), proxy.port()).map_err(|error| match error {
        Error::Resolve { source, .. } => failed(proxy, ProxyFault::Resolve(source)),
        error => error,
    })?;
    let reach = || {
        connect(&proxies, &target.tcp, cancel, deadline(timeout)).map_err(|error| match error {
            ConnectError::TimedOut(_) => failed(proxy, ProxyFault::Silent),
            error => connect_failed(proxy.host(), error, |source| {
                failed(proxy, ProxyFault::Connect(source))
            }),
        })
    };
    if target.http_proxy().is_some() {
        return reach();
    }
    let destinations = destinations(target, proxy, timeout, cancel)?;
    let mut until = None;
    let mut refusal = Error::Closed;
    for destination in &destinations {
        let socket = reach()?;
        // All answers together take no longer than one may.
        let until = *until.get_or_insert_with(|| deadline(timeout));
        match negotiate(socket, proxy, destination, cancel, until) {
            // Perhaps it knows a way to another address of the host.
            Err(
                error @ Error::Proxy {
                    fault:
                        ProxyFault::Handshake {
                            error: Answer::Refused(_),
                            ..
                        },
                    ..
                },
            ) => refusal = error,
            done => return done,
        }
    }
    Err(refusal)
}

/// What the proxy is to be asked for, one after the other; at least one.
fn destinations(
    target: &Target,
    proxy: &Proxy,
    timeout: Option<Duration>,
    cancel: &Wake,
) -> Result<Vec<Destination>, Error> {
    let named = Destination::named(&target.host, target.port);
    if proxy.scheme().resolves() || matches!(named.host, Host::Address(_)) {
        return Ok(vec![named]);
    }
    let family = match proxy.scheme() {
        ProxyScheme::Socks4 | ProxyScheme::Socks4a => Family::V4,
        ProxyScheme::Socks5 | ProxyScheme::Socks5h | ProxyScheme::Http => target.tcp.family,
    };
    let destinations: Vec<_> = look_up(&target.host, target.port, timeout, cancel)?
        .into_iter()
        .filter(|address| family.admits(address.ip()))
        .map(|address| Destination {
            host: Host::Address(address.ip()),
            port: address.port(),
        })
        .collect();
    if destinations.is_empty() {
        let host = target.host.as_str().into();
        return Err(Error::OtherFamily { host, family });
    }
    Ok(destinations)
}

fn look_up(
    host: &str,
    port: u16,
    timeout: Option<Duration>,
    cancel: &Wake,
) -> Result<Vec<SocketAddr>, Error> {
    resolve(host, port, cancel, deadline(timeout)).map_err(|error| match error {
        ResolveError::Cancelled => Error::Closed,
        ResolveError::TimedOut => Error::TimedOut(Phase::Resolve),
        error => Error::Resolve {
            host: host.into(),
            source: Arc::new(io::Error::other(error)),
        },
    })
}

/// Why there is no TCP connection to `host`; `told` makes an error of what the peers or the network have to do with.
fn connect_failed(host: &str, error: ConnectError, told: impl FnOnce(Arc<io::Error>) -> Error) -> Error {
    match error {
        ConnectError::Cancelled => Error::Closed,
        ConnectError::OtherFamily(family) => Error::OtherFamily {
            host: host.into(),
            family,
        },
        ConnectError::Bind(error) => Error::Bind(error),
        error @ (ConnectError::TimedOut(_) | ConnectError::Failed(_) | ConnectError::System(_)) => {
            told(Arc::new(io::Error::new(error.kind(), error)))
        }
    }
}

/// Far enough to mean never, near enough to be representable.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn deadline(timeout: Option<Duration>) -> Instant {
    Instant::now() + timeout.unwrap_or(FOREVER)
}
