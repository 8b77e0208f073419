//! Certificates and keys from PEM (RFC 7468), as users have them in files.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider;

/// Certificates of one chain that are read; servers send two or three.
const MAX_CHAIN: usize = 10;

/// What is wrong with certificates or a key. It says nothing of what is in them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PemFault {
    /// The text is not PEM.
    NotPem,
    /// There is no certificate in it.
    NoCertificate,
    /// There is no private key in it that is not itself encrypted.
    NoKey,
    /// A certificate cannot be read.
    BadCertificate,
    /// The key cannot be read or used.
    BadKey,
    /// The key is not that of the certificate.
    KeyMismatch,
    /// The chain has more certificates than are taken.
    ChainTooLong,
}

impl fmt::Display for PemFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPem => "it is not PEM",
            Self::NoCertificate => "it has no certificate in PEM form",
            Self::NoKey => "it has no unencrypted private key in PEM form",
            Self::BadCertificate => "a certificate in it cannot be read",
            Self::BadKey => "the private key in it cannot be used",
            Self::KeyMismatch => "the private key is not that of the certificate",
            Self::ChainTooLong => "it has too many certificates for one chain",
        })
    }
}

impl std::error::Error for PemFault {}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemFault> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|_| PemFault::NotPem)?;
    if certificates.is_empty() {
        return Err(PemFault::NoCertificate);
    }
    Ok(certificates)
}

/// A certificate, with those that vouch for it, and its private key. `Debug` shows neither.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// Reads the chain, the own certificate first, and the key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    ///
    /// Either cannot be used, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, PemFault> {
        let chain = certificates(chain)?;
        if chain.len() > MAX_CHAIN {
            return Err(PemFault::ChainTooLong);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PemFault::NoKey)?;
        // The check of the pair is done where it is put to use as well; here it tells what is wrong.
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider()) {
            Ok(_) => Ok(Self {
                chain,
                key: Arc::new(key),
            }),
            Err(rustls::Error::InconsistentKeys(_)) => Err(PemFault::KeyMismatch),
            Err(rustls::Error::InvalidCertificate(_)) => Err(PemFault::BadCertificate),
            Err(_) => Err(PemFault::BadKey),
        }
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// Certificates that are trusted: authorities, or a server's own.
#[derive(Clone)]
pub struct Anchors {
    certificates: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
}

impl Anchors {
    /// Reads all certificates of `pem`.
    ///
    /// # Errors
    ///
    /// There is none, or one of them cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PemFault> {
        let certificates = certificates(pem)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots
                .add(certificate.clone())
                .map_err(|_| PemFault::BadCertificate)?;
        }
        Ok(Self {
            certificates,
            roots: Arc::new(roots),
        })
    }

    pub(super) const fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// Whether `certificate` itself is one of them, byte for byte.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|ours| ours == certificate)
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchors")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}
