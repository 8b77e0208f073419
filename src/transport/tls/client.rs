//! The client's side of TLS: what it trusts, and what it shows when it is asked who it is.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::fault::{Failure, Fault};
use super::identity::{Anchors, Identity};
use super::provider;
use super::stream::TlsStream;
use super::verifier::{Checks, Pin, Verifier};
use crate::session;
use crate::transport::error::{Error, Phase};
use crate::transport::tcp::{Interest, Socket, poll};
use crate::transport::wake::Wake;

/// How a client takes servers.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What is checked of a server's certificate.
    pub checks: Checks,
    /// What is trusted instead of the system's authorities. A server's certificate that is itself among these needs
    /// nobody else to vouch for it.
    pub anchors: Option<Anchors>,
    /// The one certificate that is taken, and without any check.
    pub pin: Option<Pin>,
    /// What is shown to servers that ask for a certificate.
    pub identity: Option<Identity>,
    /// The name to ask for and to check, instead of the host's.
    pub server_name: Option<String>,
}

/// What a client brings to every connection. Cheap to clone; `Debug` shows no key.
#[derive(Clone)]
pub struct Client {
    pub(super) config: Arc<ClientConfig>,
    /// The same without a certificate of ours.
    pub(super) anonymous: Arc<ClientConfig>,
    pub(super) server_name: Option<Arc<str>>,
}

impl Client {
    /// A client with these options. The system's authorities are read when the first certificate is checked.
    ///
    /// # Errors
    ///
    /// The key of the identity cannot be used.
    pub fn new(options: Options) -> Result<Self, rustls::Error> {
        let verifier = Verifier::new(options.checks, options.anchors, options.pin, provider());
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let anonymous = Arc::new(builder.clone().with_no_client_auth());
        let config = match options.identity {
            Some(identity) => Arc::new(builder.with_client_auth_cert(identity.chain(), identity.key())?),
            None => Arc::clone(&anonymous),
        };
        Ok(Self {
            config,
            anonymous,
            server_name: options.server_name.map(Into::into),
        })
    }

    /// The same for another host than the one that the options were made for: it goes by its own name, and sees our
    /// certificate only if it is trusted. What is asked of its certificate stays.
    #[must_use]
    pub fn elsewhere(&self, is_trusted: bool) -> Self {
        let config = if is_trusted { &self.config } else { &self.anonymous };
        Self {
            config: Arc::clone(config),
            anonymous: Arc::clone(&self.anonymous),
            server_name: None,
        }
    }

    /// TLS to `host` over a connection that was made to it; the handshake goes on inside of the stream.
    ///
    /// # Errors
    ///
    /// The name of the host cannot be that of a certificate, or the operating system has no random bytes.
    pub fn start(&self, socket: Socket, host: &str) -> Result<TlsStream, Failure> {
        let host = self.server_name.as_deref().unwrap_or(host);
        let failure = |fault| Failure {
            host: host.into(),
            fault,
        };
        let name = server_name(host).ok_or_else(|| failure(Fault::BadName))?;
        let connection = rustls::ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|error| failure(error.into()))?;
        Ok(TlsStream::new(
            connection.into(),
            socket,
            host.into(),
            BytesMut::new(),
        ))
    }

    /// [`start`](Self::start), and the handshake to its end, until `deadline` or until `cancel` is awake.
    pub(in crate::transport) fn handshake(
        &self,
        socket: Socket,
        host: &str,
        deadline: Instant,
        cancel: &Wake,
    ) -> Result<TlsStream, Error> {
        let mut stream = self.start(socket, host)?;
        let lost = |source| Error::io(session::Phase::Handshake, source);
        while !stream.handshake().map_err(lost)? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::TimedOut(Phase::Tls));
            }
            let interest = stream.interest(Interest::default());
            let ready = poll(Some((stream.socket(), interest)), cancel, Some(left)).map_err(lost)?;
            if ready.woken {
                return Err(Error::Closed);
            }
        }
        Ok(stream)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// The name of `host` in a certificate. Addresses are no names there, and are not sent as such (RFC 6066 section 3).
fn server_name(host: &str) -> Option<ServerName<'static>> {
    // The zone of a link-local address is nobody's business but ours.
    let without_zone = host.split_once('%').map_or(host, |(address, _)| address);
    if let Ok(address) = without_zone.parse::<IpAddr>() {
        return Some(ServerName::IpAddress(address.into()));
    }
    ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()).ok()
}
