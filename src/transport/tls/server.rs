//! The server's side of TLS: its certificate, and whether it asks for one.

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;

use super::identity::{Anchors, Identity, PemFault};
use super::provider;
use super::stream::TlsStream;
use crate::transport::tcp::Socket;

/// What a server brings to every connection. Cheap to clone; `Debug` shows no key.
#[derive(Clone)]
pub struct Server {
    pub(super) config: Arc<ServerConfig>,
}

impl Server {
    /// A server with the certificates `chain`, its own first, and `key`, both PEM. Clients need not name the host that
    /// they want (SNI): there is one certificate for all.
    ///
    /// # Errors
    ///
    /// The certificate or the key cannot be used.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, PemFault> {
        Self::new(&Identity::from_pem(chain, key)?, None)
    }

    /// A server that identifies itself by `identity` and, if there are `clients`, demands a certificate for which one of
    /// these vouches.
    ///
    /// # Errors
    ///
    /// The certificate or the key cannot be used.
    pub fn new(identity: &Identity, clients: Option<&Anchors>) -> Result<Self, PemFault> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has suites for both versions");
        let builder = match clients {
            Some(clients) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::clone(clients.roots()), provider())
                        .build()
                        .map_err(|_| PemFault::NoCertificate)?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(identity.chain(), identity.key())
            .map_err(|_| PemFault::BadKey)?;
        // librtmp on GnuTLS, as Debian's rtmpdump 2.4, takes a ticket behind the handshake for an error.
        config.send_tls13_tickets = 0;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// TLS over a connection that was accepted; the handshake goes on inside of the stream.
    ///
    /// # Errors
    ///
    /// The operating system has no random bytes.
    pub fn start(&self, socket: Socket) -> Result<TlsStream, rustls::Error> {
        self.start_received(socket, BytesMut::new())
    }

    /// [`start`](Self::start), when `received` has been read from the socket already to see what the client speaks.
    ///
    /// # Errors
    ///
    /// The operating system has no random bytes.
    pub fn start_received(&self, socket: Socket, received: BytesMut) -> Result<TlsStream, rustls::Error> {
        let connection = rustls::ServerConnection::new(Arc::clone(&self.config))?;
        let peer = socket.peer_addr().to_string();
        Ok(TlsStream::new(connection.into(), socket, peer.into(), received))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
