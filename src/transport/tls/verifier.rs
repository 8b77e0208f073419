//! Which certificates of servers are good enough: by the chain to a trusted authority, the dates and the name (RFC 5280
//! and RFC 6125, as webpki reads them), each of which can be left out for itself.
//!
//! A library tells the first fault only, and of a chain that ends nowhere it tells nothing more. So each check that
//! is left out is answered by a check of what is left:
//!
//! - a date: the same again, at the time at which the certificate was valid;
//! - the name: the chain and the dates, with a name that the certificate has;
//! - the issuer: the dates and the name of the server's own certificate, without a chain.
//!
//! That whoever answers has the certificate's key is always checked.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest as _, Sha256};

use super::fault::Fault;
use super::identity::Anchors;

/// Times at which a chain is looked at: its certificates may have expired one after the other.
const MAX_TIMES: usize = 8;

/// SHA-256 of a certificate in DER form.
pub type Pin = [u8; 32];

/// What is checked of a server's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checks {
    /// That somebody who is trusted vouches for it.
    pub issuer: bool,
    /// That it is for the host.
    pub host: bool,
    /// That its time has come.
    pub not_before: bool,
    /// That its time has not passed.
    pub not_after: bool,
    /// All else: that it is well-formed, meant for servers, and so on. Without this nothing is checked at all,
    /// whatever the others say.
    pub any: bool,
}

impl Default for Checks {
    /// All of them.
    fn default() -> Self {
        Self {
            issuer: true,
            host: true,
            not_before: true,
            not_after: true,
            any: true,
        }
    }
}

/// See the module.
pub(super) struct Verifier {
    pub(super) checks: Checks,
    /// What is trusted instead of the system's authorities.
    pub(super) anchors: Option<Anchors>,
    pub(super) pin: Option<Pin>,
    provider: Arc<CryptoProvider>,
    /// Read from the system when it is asked for the first time.
    system: OnceLock<Result<Arc<dyn ServerCertVerifier>, Error>>,
}

impl Verifier {
    pub(super) fn new(
        checks: Checks,
        anchors: Option<Anchors>,
        pin: Option<Pin>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            checks,
            anchors,
            pin,
            provider,
            system: OnceLock::new(),
        }
    }

    fn verify(&self, presented: &Presented<'_>, now: UnixTime) -> Result<(), Error> {
        if let Some(pin) = self.pin {
            return if Sha256::digest(presented.leaf).as_slice() == pin {
                Ok(())
            } else {
                Err(Fault::WrongPin.into())
            };
        }
        if !self.checks.any {
            return Ok(());
        }
        let mut time = now;
        let mut first = None;
        for _ in 0..MAX_TIMES {
            let error = match self.verify_at(presented, time) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            time =
                match &error {
                    Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })
                        if !self.checks.not_after && *not_after < time =>
                    {
                        *not_after
                    }
                    Error::InvalidCertificate(CertificateError::NotValidYetContext {
                        not_before, ..
                    }) if !self.checks.not_before && *not_before > time => *not_before,
                    // A fault of a date that shows only at another time than now is not the one to be told.
                    Error::InvalidCertificate(
                        CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. },
                    ) => return Err(first.unwrap_or(error)),
                    _ => return Err(error),
                };
            first.get_or_insert(error);
        }
        Err(first.unwrap_or_else(|| Fault::Expired.into()))
    }

    fn verify_at(&self, presented: &Presented<'_>, time: UnixTime) -> Result<(), Error> {
        let leaf = ParsedCertificate::try_from(presented.leaf)?;
        let is_anchor = self
            .anchors
            .as_ref()
            .is_some_and(|anchors| anchors.contains(presented.leaf));
        if is_anchor || !self.checks.issuer {
            self.verify_leaf(&leaf, time)?;
        } else {
            match self.verify_chain(&leaf, presented, time) {
                Ok(()) => {}
                Err(error) if is_unknown_issuer(&error) => return Err(presented.untrusted()),
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) if !self.checks.host => {}
                Err(error) => return Err(error),
            }
        }
        if self.checks.host {
            verify_server_name(&leaf, presented.name)?;
        }
        Ok(())
    }

    /// Whether somebody who is trusted vouches for the certificate, and the dates of all on the way there.
    fn verify_chain(
        &self,
        leaf: &ParsedCertificate<'_>,
        presented: &Presented<'_>,
        time: UnixTime,
    ) -> Result<(), Error> {
        if let Some(anchors) = &self.anchors {
            return verify_server_cert_signed_by_trust_anchor(
                leaf,
                anchors.roots(),
                presented.intermediates,
                time,
                self.provider.signature_verification_algorithms.all,
            );
        }
        let system = self.system.get_or_init(|| {
            let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&self.provider))?;
            Ok(Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
        });
        let Ok(system) = system else {
            return Err(Fault::NoRoots.into());
        };
        // Not every system's verifier looks at the name last.
        let substitute = match self.checks.host || verify_server_name(leaf, presented.name).is_ok() {
            true => None,
            false => presented.own_name(),
        };
        let name = substitute.as_ref().unwrap_or(presented.name);
        system
            .verify_server_cert(
                presented.leaf,
                presented.intermediates,
                name,
                presented.ocsp_response,
                time,
            )
            .map(drop)
    }

    /// What there is to check of a certificate for which nobody vouches.
    fn verify_leaf(&self, leaf: &ParsedCertificate<'_>, time: UnixTime) -> Result<(), Error> {
        let nobody = RootCertStore::empty();
        let algorithms = self.provider.signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(leaf, &nobody, &[], time, algorithms) {
            // webpki comes to the issuer when it has found nothing else.
            Err(error) if is_unknown_issuer(&error) => Ok(()),
            result => result,
        }
    }
}

/// Whether a certificate was not rejected for more than having no issuer. One that says that it is an authority, as
/// those do that `openssl req -x509` makes, is not taken for a server's by webpki, after it has looked at the dates; all
/// others take it, and it vouches for itself only.
fn is_unknown_issuer(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => matches!(
            other.downcast_ref::<webpki::Error>(),
            Some(webpki::Error::CaUsedAsEndEntity)
        ),
        _ => false,
    }
}

/// What a server shows, and to whom it was meant.
struct Presented<'a> {
    leaf: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
    ocsp_response: &'a [u8],
}

impl Presented<'_> {
    /// A host that the certificate is for.
    fn own_name(&self) -> Option<ServerName<'static>> {
        let leaf = webpki::EndEntityCert::try_from(self.leaf).ok()?;
        let names = leaf.valid_dns_names().map(|name| match name.strip_prefix('*') {
            Some(rest) => format!("any{rest}"),
            None => name.to_owned(),
        });
        names.filter_map(|name| ServerName::try_from(name).ok()).next()
    }

    /// The fault of having no trusted issuer.
    fn untrusted(&self) -> Error {
        match webpki::EndEntityCert::try_from(self.leaf) {
            Ok(leaf) if leaf.issuer() == leaf.subject() => Fault::SelfSigned.into(),
            _ => Fault::UnknownIssuer.into(),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = Presented {
            leaf,
            intermediates,
            name,
            ocsp_response,
        };
        self.verify(&presented, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("checks", &self.checks)
            .field("anchors", &self.anchors)
            .field("is_pinned", &self.pin.is_some())
            .finish_non_exhaustive()
    }
}
