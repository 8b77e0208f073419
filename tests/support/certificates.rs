//! Certificates of one test, good ones and bad ones, in PEM files that are gone with it.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::{Context, Result};

/// What is wrong with a certificate of a server at 127.0.0.1, if something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Nothing: it is for localhost and 127.0.0.1, from the authority.
    Good,
    /// It is from another authority.
    Stranger,
    /// It is from nobody, as `openssl req -x509` makes it.
    SelfSigned,
    /// It was good until 2021.
    Expired,
    /// It will be good from 2110 on.
    Early,
    /// It is for example.com.
    WrongHost,
}

/// A certificate and its key, as PEM and in files.
pub struct Certificate {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// The certificate.
    pub certificate_pem: String,
    /// The key.
    pub key_pem: String,
    /// The certificate's bytes.
    pub der: Vec<u8>,
}

/// An authority and what it has issued.
pub struct Certificates {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    stranger: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    /// An authority that nobody knows yet.
    pub fn new() -> Result<Self> {
        let authority = |name: &str| -> Result<_> {
            let mut params = CertificateParams::new([])?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
        };
        let certificates = Self {
            folder: tempfile::tempdir().context("making a folder for certificates")?,
            authority: authority("authority")?,
            stranger: authority("stranger")?,
        };
        fs::write(certificates.authority(), certificates.authority.pem())?;
        Ok(certificates)
    }

    /// The file of the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The authority's certificate.
    pub fn authority_pem(&self) -> String {
        self.authority.pem()
    }

    /// A new certificate.
    pub fn issue(&self, kind: Kind) -> Result<Certificate> {
        let names: &[&str] = match kind {
            Kind::WrongHost => &["example.com"],
            _ => &["localhost", "127.0.0.1"],
        };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "server");
        params.not_before = match kind {
            Kind::Early => date_time_ymd(2110, 1, 1),
            _ => date_time_ymd(2020, 1, 1),
        };
        params.not_after = match kind {
            Kind::Expired => date_time_ymd(2021, 1, 1),
            _ => date_time_ymd(2120, 1, 1),
        };
        let key = KeyPair::generate()?;
        let certificate = match kind {
            Kind::SelfSigned => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.self_signed(&key)?
            }
            Kind::Stranger => params.signed_by(&key, &self.stranger)?,
            Kind::Good | Kind::Expired | Kind::Early | Kind::WrongHost => {
                params.signed_by(&key, &self.authority)?
            }
        };
        let path = |name: &str| self.folder.path().join(format!("{kind:?}.{name}"));
        let made = Certificate {
            certificate: path("pem"),
            key: path("key"),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().to_vec(),
        };
        fs::write(&made.certificate, &made.certificate_pem)?;
        fs::write(&made.key, &made.key_pem)?;
        Ok(made)
    }
}
