//! Why TLS could not be had: whose certificate was not good enough, or what else came instead.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

/// Names of a certificate that are told of; some have hundreds.
const MAX_NAMES: usize = 5;

/// What speaks where TLS was expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plain {
    /// RTMP, by its version byte.
    Rtmp,
    /// HTTP, by its first letter.
    Http,
    /// Neither.
    Other,
}

impl Plain {
    /// By the first byte of an answer that is no TLS record.
    pub(super) const fn from_first_byte(byte: u8) -> Self {
        match byte {
            3 | 6 | 8 | 9 => Self::Rtmp,
            b'H' => Self::Http,
            _ => Self::Other,
        }
    }
}

/// What went wrong. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nobody who is trusted vouches for the certificate.
    UnknownIssuer,
    /// Nobody but the certificate's owner vouches for it.
    SelfSigned,
    /// The certificate, or one that vouches for it, has expired.
    Expired,
    /// The time of the certificate, or of one that vouches for it, has not come yet.
    NotYetValid,
    /// The certificate is for other hosts.
    WrongHost {
        /// Some of those that it is for.
        names: Arc<[String]>,
    },
    /// The certificate is not the one that was pinned.
    WrongPin,
    /// The certificate is signed by an algorithm that is not trusted any more, or is not known.
    Insecure,
    /// The certificate is faulty otherwise.
    Certificate(CertificateError),
    /// The system has no list of trusted authorities.
    NoRoots,
    /// The host's name cannot be that of a certificate.
    BadName,
    /// The peer does not take our certificate, or demands one that we do not have.
    Refused(AlertDescription),
    /// The peer speaks something else.
    NotTls(Plain),
    /// The peer closed or reset the connection during the handshake.
    Dropped,
    /// There is no version of TLS that both speak.
    Version,
    /// The peer said that it would not go on.
    Alert(AlertDescription),
    /// TLS was not spoken as it should be.
    Protocol(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => error.into(),
            Error::AlertReceived(alert) => match alert {
                AlertDescription::NoCertificate
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::CertificateRequired => Self::Refused(alert),
                AlertDescription::ProtocolVersion => Self::Version,
                alert => Self::Alert(alert),
            },
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            ) => Self::Version,
            Error::Other(OtherError(other)) => match other.downcast_ref::<Self>() {
                Some(fault) => fault.clone(),
                None => Self::Protocol(Error::Other(OtherError(other))),
            },
            error => Self::Protocol(error),
        }
    }
}

impl From<CertificateError> for Fault {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName => Self::WrongHost {
                names: Arc::default(),
            },
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongHost {
                names: presented.iter().take(MAX_NAMES).map(|name| bare(name)).collect(),
            },
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::Insecure,
            CertificateError::Other(OtherError(other)) => match other.downcast_ref::<Self>() {
                Some(fault) => fault.clone(),
                None => Self::Certificate(CertificateError::Other(OtherError(other))),
            },
            error => Self::Certificate(error),
        }
    }
}

/// A verifier's own word, through rustls and back.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            // The alert that fits.
            Fault::UnknownIssuer => CertificateError::UnknownIssuer.into(),
            fault @ Fault::NoRoots => Self::Other(OtherError(Arc::new(fault))),
            fault => CertificateError::Other(OtherError(Arc::new(fault))).into(),
        }
    }
}

/// `example.com` of webpki's `DnsName("example.com")`, and likewise for addresses.
fn bare(name: &str) -> String {
    let name = name
        .split_once('(')
        .and_then(|(_, name)| name.strip_suffix(')'))
        .unwrap_or(name)
        .trim_matches('"');
    // There are many ways to write an address.
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name.to_owned(),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str("the certificate's issuer is not known"),
            Self::SelfSigned => f.write_str("the certificate is signed by itself"),
            Self::Expired => f.write_str("the certificate has expired"),
            Self::NotYetValid => f.write_str("the certificate is not valid yet"),
            Self::WrongHost { names } if names.is_empty() => f.write_str("the certificate names no host"),
            Self::WrongHost { names } => write!(f, "the certificate is for {}", names.join(", ")),
            Self::WrongPin => f.write_str("the certificate is not the pinned one"),
            Self::Insecure => f.write_str("the certificate is signed by an algorithm that is not accepted"),
            Self::Certificate(error) => write!(f, "bad certificate: {error}"),
            Self::NoRoots => f.write_str("the system has no trusted certificates"),
            Self::BadName => f.write_str("the host's name cannot be that of a certificate"),
            Self::Refused(alert) => write!(f, "the peer refused our certificate: {alert:?}"),
            Self::NotTls(_) => f.write_str("the peer does not speak TLS"),
            Self::Dropped => f.write_str("the peer closed the connection during the TLS handshake"),
            Self::Version => f.write_str("the peer does not speak TLS 1.2 or 1.3"),
            Self::Alert(alert) => write!(f, "the peer sent the TLS alert {alert:?}"),
            Self::Protocol(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

/// A [`Fault`] and whose it is; this is what the errors of a [`TlsStream`](super::TlsStream) have inside.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The host that was meant; the peer's address at a server.
    pub host: Arc<str>,
    /// What went wrong.
    pub fault: Fault,
}

impl Failure {
    /// The failure inside of `error`, if there is one.
    pub(in crate::transport) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS with {}: {}", self.host, self.fault)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::new(io::ErrorKind::InvalidData, failure)
    }
}
