//! TLS over a TCP connection, as RTMPS and RTMPTS have it: from the first byte on, versions 1.2 (RFC 5246) and 1.3
//! (RFC 8446), without ALPN and without early data.
//!
//! ```text
//!   Client / Server    what one side knows: certificates, keys, what is to be checked
//!      | start()       at once; the handshake goes on inside of read, write and flush
//!   TlsStream          a byte stream, as Socket is one
//! ```
//!
//! The cryptography is that of the ring provider, named in every configuration; nothing is installed for the whole
//! process, so that an application may have a rustls of its own.

mod client;
mod fault;
mod identity;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod verifier;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use self::client::{Client, Options};
pub use self::fault::{Failure, Fault, Plain};
pub use self::identity::{Anchors, Identity, PemFault};
pub use self::server::Server;
pub use self::stream::TlsStream;
pub use self::verifier::{Checks, Pin};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
