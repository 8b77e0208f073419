//! What is wrong with a server's certificate, or ours, or with TLS at all, in words.

use std::fmt;

use super::{Side, message, printable};
use crate::transport::tls::{Failure, Fault, Plain};

/// A file that a property names.
pub(in crate::elements) fn bad_file(property: &str, path: &str, why: &dyn fmt::Display) -> gst::ErrorMessage {
    let text = format!("The file of {property}, {path}, cannot be used: {why}.");
    message(gst::ResourceError::Settings, &text, None)
}

/// TLS that could not be had.
pub(super) fn failed(failure: &Failure, side: Side, authority: &str) -> gst::ErrorMessage {
    let text = match &failure.fault {
        Fault::UnknownIssuer => format!(
            "No authority that is trusted vouches for the certificate of {authority}. If it is the right server, set \
             ca-file to the certificate of its authority."
        ),
        Fault::SelfSigned => format!(
            "Nobody but {authority} vouches for its certificate. If it is the right server, set ca-file to that \
             certificate."
        ),
        Fault::Expired => format!(
            "The certificate of {authority} has expired. The server needs a new one, unless this machine's clock is \
             wrong."
        ),
        Fault::NotYetValid => {
            format!("The certificate of {authority} is not valid yet. Check this machine's clock.")
        }
        Fault::WrongHost { names } => {
            let names = match names.is_empty() {
                true => "no host".to_owned(),
                false => printable(&names.join(", ")),
            };
            format!(
                "The certificate of {authority} is for {names}, not for {}. Check the location, or set server-name.",
                failure.host
            )
        }
        Fault::WrongPin => format!(
            "The certificate of {authority} is not the one of certificate-pin. If the server has a new one, set that."
        ),
        Fault::Insecure => format!(
            "The certificate of {authority} is signed in a way that is not safe. The server needs a new one."
        ),
        Fault::Certificate(error) => {
            format!(
                "The certificate of {authority} cannot be used: {}.",
                printable(&error.to_string())
            )
        }
        Fault::NoRoots => format!(
            "This system has no certificates of authorities to check that of {authority} with. Install them \
             (ca-certificates), or set ca-file."
        ),
        Fault::BadName => {
            let text = format!(
                "No certificate can be for the host {}. Set server-name.",
                printable(&failure.host)
            );
            return message(gst::ResourceError::Settings, &text, Some(&failure.fault));
        }
        Fault::Refused(alert) => {
            let text = format!(
                "{authority} does not take this client's certificate, or wants to see one: {alert:?}. Check \
                 client-certificate and client-key."
            );
            return message(gst::ResourceError::NotAuthorized, &text, Some(&failure.fault));
        }
        Fault::NotTls(plain) => {
            let what = match plain {
                Plain::Rtmp => "plain RTMP",
                Plain::Http => "plain HTTP",
                Plain::Other => "something else",
            };
            format!(
                "{authority} does not speak TLS but {what}. Use the server's port for rtmps, or the scheme rtmp."
            )
        }
        Fault::Dropped => format!(
            "{authority} closed the connection during the TLS handshake. Is this the server's port for rtmps?"
        ),
        Fault::Version => {
            format!("{authority} speaks neither TLS 1.2 nor TLS 1.3, and what came before is not safe.")
        }
        Fault::Alert(alert) => format!("{authority} does not go on with TLS: {alert:?}."),
        Fault::Protocol(error) => {
            format!(
                "{authority} does not speak TLS as it should: {}.",
                printable(&error.to_string())
            )
        }
    };
    message(side.open(), &text, Some(&failure.fault))
}
