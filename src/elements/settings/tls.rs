//! How the server's certificate is checked, and what it is shown of ours.

use std::fs::File;
use std::io::{self, Read as _};

use gst::glib;
use gst::prelude::*;

use super::text;
use crate::elements::enums::TlsValidation;
use crate::elements::error;
use crate::transport::tls::{Anchors, Checks, Client, Identity, Options, PemFault, Pin};
use crate::url::Scheme;

/// Longest file of certificates that is read; all authorities of a system have about 250 KB.
const MAX_FILE: u64 = 1 << 20;

/// The properties of this group.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    validation: TlsValidation,
    ca_file: Option<String>,
    client_certificate: Option<String>,
    client_key: Option<String>,
    server_name: Option<String>,
    certificate_pin: Option<String>,
}

impl Tls {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let text = || {
            let text = value.get::<Option<String>>().ok().flatten();
            text.filter(|text| !text.is_empty())
        };
        match name {
            "tls-validation-flags" => self.validation = value.get().unwrap_or_default(),
            "ca-file" => self.ca_file = text(),
            "client-certificate" => self.client_certificate = text(),
            "client-key" => self.client_key = text(),
            "server-name" => self.server_name = text(),
            "certificate-pin" => self.certificate_pin = text(),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "tls-validation-flags" => self.validation.to_value(),
            "ca-file" => self.ca_file.to_value(),
            "client-certificate" => self.client_certificate.to_value(),
            "client-key" => self.client_key.to_value(),
            "server-name" => self.server_name.to_value(),
            "certificate-pin" => self.certificate_pin.to_value(),
            _ => return None,
        })
    }

    /// What is less safe than it looks, or without effect, at a location of `scheme`.
    pub(super) fn warnings(&self, scheme: Scheme) -> Option<String> {
        if self.validation == TlsValidation::default() {
            return None;
        }
        Some(match scheme {
            Scheme::Rtmps | Scheme::Rtmpts if self.certificate_pin.is_some() => {
                "tls-validation-flags is without effect, as certificate-pin names the one certificate that is taken"
                    .to_owned()
            }
            Scheme::Rtmps | Scheme::Rtmpts => {
                let checks = self.checks();
                let skipped: Vec<_> = [
                    (checks.issuer, "who vouches for it"),
                    (checks.host, "whether it is for this host"),
                    (checks.not_before, "whether its time has come"),
                    (checks.not_after, "whether it has expired"),
                    (checks.any, "anything else"),
                ]
                .into_iter()
                .filter_map(|(checked, what)| (!checked).then_some(what))
                .collect();
                if skipped.is_empty() {
                    return None;
                }
                format!(
                    "tls-validation-flags is not validate-all: of the server's certificate is not checked {}. Others may \
                     pass for the server, and get the stream key and password",
                    skipped.join(", ")
                )
            }
            Scheme::Rtmp | Scheme::Rtmpe | Scheme::Rtmpt | Scheme::Rtmpte | Scheme::Rtmfp => format!(
                "tls-validation-flags is without effect: {scheme} has no certificates, use rtmps"
            ),
        })
    }

    /// What these come to. The files are read here.
    pub(super) fn client(&self) -> Result<Client, gst::ErrorMessage> {
        let anchors = match &self.ca_file {
            Some(path) => Some(load("ca-file", path, Anchors::from_pem)?),
            None => None,
        };
        let identity = match (&self.client_certificate, &self.client_key) {
            (Some(certificate), None) => Some(load("client-certificate", certificate, |pem| {
                Identity::from_pem(pem, pem)
            })?),
            (Some(certificate), Some(key)) => {
                let chain = load("client-certificate", certificate, |pem| Ok(pem.to_vec()))?;
                let fault_of = |fault: PemFault| match fault {
                    PemFault::NoKey | PemFault::BadKey | PemFault::KeyMismatch => "client-key",
                    PemFault::NotPem
                    | PemFault::NoCertificate
                    | PemFault::BadCertificate
                    | PemFault::ChainTooLong => "client-certificate",
                };
                let pem = load("client-key", key, |pem| Ok(pem.to_vec()))?;
                let identity = Identity::from_pem(&chain, &pem);
                Some(identity.map_err(|fault| match fault_of(fault) {
                    property @ "client-key" => error::bad_file(property, key, &fault),
                    property => error::bad_file(property, certificate, &fault),
                })?)
            }
            (None, Some(_)) => {
                return Err(error::bad_setting(
                    &"client-key is set without client-certificate: set both, or neither.",
                ));
            }
            (None, None) => None,
        };
        let pin = match &self.certificate_pin {
            Some(pin) => Some(parse_pin(pin).ok_or_else(|| {
                error::bad_setting(
                    &"certificate-pin is not a SHA-256: write 64 hexadecimal digits, with or without colons.",
                )
            })?),
            None => None,
        };
        Client::new(Options {
            checks: self.checks(),
            anchors,
            pin,
            identity,
            server_name: self.server_name.clone(),
        })
        .map_err(|fault| error::bad_setting(&format!("TLS cannot be set up: {fault}.")))
    }

    fn checks(&self) -> Checks {
        let asked = |check| self.validation.contains(check);
        Checks {
            issuer: asked(TlsValidation::UNKNOWN_CA),
            host: asked(TlsValidation::BAD_IDENTITY),
            not_before: asked(TlsValidation::NOT_ACTIVATED),
            not_after: asked(TlsValidation::EXPIRED),
            any: !self.validation.is_empty(),
        }
    }
}

/// Makes something of the file that `property` names.
fn load<T>(
    property: &str,
    path: &str,
    parse: impl FnOnce(&[u8]) -> Result<T, PemFault>,
) -> Result<T, gst::ErrorMessage> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|fault| error::bad_file(property, path, &fault))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(error::bad_file(property, path, &"it is longer than 1 MiB"));
    }
    parse(&bytes).map_err(|fault| error::bad_file(property, path, &fault))
}

/// 64 hexadecimal digits; `openssl x509 -fingerprint -sha256` puts colons between them.
fn parse_pin(text: &str) -> Option<Pin> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    // An odd digit would have made a byte of its own.
    (text.chars().filter(|c| *c != ':').count() == 64).then_some(())?;
    bytes.try_into().ok()
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecFlags::builder::<TlsValidation>("tls-validation-flags")
            .default_value(TlsValidation::default())
            .nick("TLS validation flags")
            .blurb(
                "Checks of the server's certificate at rtmps and rtmpts: unknown-ca, bad-identity, not-activated and \
                 expired are left out each for itself; without any flag nothing is checked at all",
            )
            .mutable_ready()
            .build(),
        text(
            "ca-file",
            "CA file",
            "PEM file with certificates that are trusted instead of the system's authorities; the server's own may be \
             among them",
        ),
        text(
            "client-certificate",
            "Client certificate",
            "PEM file with the certificate that is shown to servers which ask for one, and those that vouch for it",
        ),
        text(
            "client-key",
            "Client key",
            "PEM file with the private key of client-certificate, unencrypted; that file when unset",
        ),
        text(
            "server-name",
            "Server name",
            "Name that the server's certificate is asked for and checked with; the host of the location when unset",
        ),
        text(
            "certificate-pin",
            "Certificate pin",
            "SHA-256 of the server's certificate in hexadecimal: it is taken and no other, and nothing else is checked",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(validation: TlsValidation) -> Tls {
        Tls {
            validation,
            ..Tls::default()
        }
    }

    #[test]
    fn each_flag_is_one_check() {
        let all = Checks::default();
        let default = TlsValidation::default();
        for (flag, checks) in [
            (TlsValidation::UNKNOWN_CA, Checks { issuer: false, ..all }),
            (TlsValidation::BAD_IDENTITY, Checks { host: false, ..all }),
            (
                TlsValidation::NOT_ACTIVATED,
                Checks {
                    not_before: false,
                    ..all
                },
            ),
            (
                TlsValidation::EXPIRED,
                Checks {
                    not_after: false,
                    ..all
                },
            ),
            (TlsValidation::REVOKED, all),
            (TlsValidation::INSECURE, all),
            (TlsValidation::GENERIC_ERROR, all),
        ] {
            assert_eq!(tls(default - flag).checks(), checks, "{flag:?}");
        }
        assert_eq!(tls(default).checks(), all);
        assert!(!tls(TlsValidation::NO_FLAGS).checks().any);
    }

    #[test]
    fn a_warning_says_what_is_not_checked_or_that_there_is_nothing_to_check() {
        let all = TlsValidation::default();
        assert_eq!(tls(all).warnings(Scheme::Rtmps), None);
        assert_eq!(tls(all).warnings(Scheme::Rtmp), None);
        // There is no revocation list whose use could be switched off.
        assert_eq!(tls(all - TlsValidation::REVOKED).warnings(Scheme::Rtmps), None);
        let warning = tls(all - TlsValidation::EXPIRED)
            .warnings(Scheme::Rtmpts)
            .unwrap();
        assert!(
            warning.contains("not checked whether it has expired."),
            "{warning}"
        );
        let warning = tls(TlsValidation::NO_FLAGS).warnings(Scheme::Rtmps).unwrap();
        assert!(
            warning.contains("who vouches") && warning.contains("anything"),
            "{warning}"
        );
        let warning = tls(TlsValidation::NO_FLAGS).warnings(Scheme::Rtmp).unwrap();
        assert!(warning.contains("rtmp has no certificates"), "{warning}");
    }

    #[test]
    fn a_pin_is_64_digits_with_colons_or_without() {
        let pin = "00:01:0A:fF".to_owned() + &":10".repeat(28);
        let bytes = parse_pin(&pin).unwrap();
        assert_eq!(bytes[..5], [0, 1, 10, 255, 16]);
        assert_eq!(parse_pin(&pin.replace(':', "")), Some(bytes));
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert_eq!(parse_pin(bad), None, "{bad}");
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let [empty, missing, long] = ["empty.pem", "missing.pem", "long.pem"].map(path);
        std::fs::write(&empty, "").unwrap();
        std::fs::write(&long, vec![b' '; 1 + (1 << 20)]).unwrap();
        let message = |tls: Tls| tls.client().unwrap_err().to_string();
        for (file, why) in [
            (&empty, "it has no certificate"),
            (&missing, "No such file"),
            (&long, "longer than 1 MiB"),
        ] {
            for property in ["ca-file", "client-certificate"] {
                let mut tls = Tls::default();
                assert!(tls.set(property, &file.to_value()));
                let message = message(tls);
                assert!(
                    message.contains(property) && message.contains(file.as_str()) && message.contains(why),
                    "{message}"
                );
            }
        }
        let mut tls = Tls::default();
        tls.set("client-key", &empty.to_value());
        assert!(message(tls).contains("without client-certificate"));
        let mut tls = Tls::default();
        tls.set("certificate-pin", &"nonsense".to_value());
        assert!(message(tls).contains("certificate-pin"));
    }

    #[test]
    fn a_key_of_another_certificate_is_told_as_such() {
        let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (one, other) = (make(), make());
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let certificate = path("certificate.pem", &one.cert.pem());
        let both = path("both.pem", &(one.cert.pem() + &one.signing_key.serialize_pem()));
        let right = path("right.pem", &one.signing_key.serialize_pem());
        let wrong = path("wrong.pem", &other.signing_key.serialize_pem());
        let client = |certificate: &str, key: Option<&str>| {
            Tls {
                client_certificate: Some(certificate.to_owned()),
                client_key: key.map(ToOwned::to_owned),
                ..Tls::default()
            }
            .client()
        };
        assert!(client(&certificate, Some(&right)).is_ok());
        assert!(client(&both, None).is_ok());
        let message = client(&certificate, Some(&wrong)).unwrap_err().to_string();
        assert!(
            message.contains("client-key") && message.contains("not that of the certificate"),
            "{message}"
        );
        let message = client(&certificate, None).unwrap_err().to_string();
        assert!(message.contains("no unencrypted private key"), "{message}");
    }
}
