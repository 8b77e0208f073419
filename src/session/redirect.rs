//! Redirects: a server refuses connect, publish or play and names another URL in `ex`. FMS, AMS and nginx-rtmp give the
//! application, `ex.redirect`; SRS also gives the stream, `ex.redirect2`.
//!
//! A redirect lets a server send clients anywhere, so what goes along is up to the user: the stream's name, the login
//! and the like go to the same host, and to hosts that the user has named. Encryption is not given up unless allowed.

use std::fmt;

use super::Status;
use crate::amf::Value;
use crate::url::{RtmpUrl, Scheme};

/// Redirects that are followed one after the other.
pub const MAX_REDIRECTS: usize = 3;

/// Bytes of a URL.
const MAX_URL: usize = 2048;

/// `ex.code` of a redirect, as in HTTP.
const FOUND: f64 = 302.0;

/// Which redirects are followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirects {
    /// Whether any is.
    pub follow: bool,
    /// Hosts besides the one that redirects come from which may be told stream, login and tokens: names, or
    /// `*.domain` for all below a domain, or `*` for all.
    pub hosts: Vec<String>,
    /// Whether a redirect may lead from an encrypted scheme to one that is not, or not as well.
    pub to_unencrypted: bool,
}

impl Default for Redirects {
    fn default() -> Self {
        Self {
            follow: true,
            hosts: Vec::new(),
            to_unencrypted: false,
        }
    }
}

impl Redirects {
    /// Whether the user has named `host`.
    #[must_use]
    pub fn trusts(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.hosts.iter().any(|pattern| {
            let pattern = pattern.to_ascii_lowercase();
            match pattern.strip_prefix('*') {
                Some("") => true,
                Some(domain) if domain.starts_with('.') => host.ends_with(domain) && host != domain,
                _ => host == pattern,
            }
        })
    }
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RedirectFault {
    /// The user does not want it.
    Disabled,
    /// It is one too many.
    TooMany,
    /// It leads back to where the client was.
    Circular,
    /// It names no URL of RTMP.
    Unusable,
    /// It leads to a scheme that protects less.
    Unencrypted,
    /// Its host would have to be told the stream's name.
    Untrusted,
}

impl fmt::Display for RedirectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disabled => "redirects are not wanted",
            Self::TooMany => "one redirect too many",
            Self::Circular => "a redirect in a circle",
            Self::Unusable => "a redirect to no URL of RTMP",
            Self::Unencrypted => "a redirect to a scheme that protects less",
            Self::Untrusted => "a redirect to a host that may not be told the stream's name",
        })
    }
}

/// Whether a refusal is a redirect, usable or not.
pub(super) fn is_redirect(status: &Status) -> bool {
    let code = status
        .info
        .get("ex")
        .and_then(|ex| ex.get("code"))
        .and_then(Value::as_number);
    status.redirect().is_some_and(|url| !url.is_empty()) && code.is_none_or(|code| code == FOUND)
}

/// Where a redirect leads. A URL that does not name a stream has an empty one. `stream` is the client's, which some
/// servers put behind the application.
pub(super) fn target(status: &Status, stream: &str) -> Result<RtmpUrl, RedirectFault> {
    let ex = status.info.get("ex").ok_or(RedirectFault::Unusable)?;
    let text = |key| ex.get(key).and_then(Value::as_str);
    if let Some(url) = text("redirect2").and_then(|whole| parsed(&whole, RtmpUrl::parse)) {
        return Ok(url);
    }
    let application = text("redirect").ok_or(RedirectFault::Unusable)?;
    let name = stream.split('?').next().unwrap_or(stream);
    let without_stream = application
        .split_once('?')
        .is_none()
        .then(|| application.strip_suffix(name)?.strip_suffix('/'))
        .flatten()
        .filter(|_| !name.is_empty());
    parsed(without_stream.unwrap_or(&application), RtmpUrl::parse_tc_url).ok_or(RedirectFault::Unusable)
}

fn parsed<E>(text: &str, parse: impl Fn(&str) -> Result<RtmpUrl, E>) -> Option<RtmpUrl> {
    if text.len() > MAX_URL || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let url = parse(text).ok()?;
    // A login of the server's choice would go to a host of its choice.
    let is_usable = url.scheme() != Scheme::Rtmfp && url.username().is_none() && url.password().is_none();
    is_usable.then_some(url)
}

/// How well a scheme protects what goes over it.
pub(super) const fn protection(scheme: Scheme) -> u8 {
    match scheme {
        Scheme::Rtmp | Scheme::Rtmpt => 0,
        Scheme::Rtmpe | Scheme::Rtmpte | Scheme::Rtmfp => 1,
        Scheme::Rtmps | Scheme::Rtmpts => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Level;

    fn redirect(members: &[(&'static str, Value)]) -> Status {
        let ex = Value::object(members.iter().cloned());
        Status {
            level: Level::Error,
            code: "NetConnection.Connect.Rejected".to_owned(),
            description: String::new(),
            info: Value::object([("ex", ex)]),
        }
    }

    /// (redirect, redirect2, scheme://host:port, application, stream)
    #[test]
    fn targets_are_application_or_stream() {
        for (members, expected) in [
            (
                [("redirect", "rtmp://b.example/live"), ("", "")],
                ("b.example", 1935, "live", ""),
            ),
            (
                [("redirect", "rtmp://b.example:1936/live/inst/"), ("", "")],
                ("b.example", 1936, "live/inst", ""),
            ),
            // With the client's own stream behind it.
            (
                [("redirect", "rtmp://b.example/live/key"), ("", "")],
                ("b.example", 1935, "live", ""),
            ),
            (
                [("redirect", "rtmp://b.example/live?a=b/key"), ("", "")],
                ("b.example", 1935, "live?a=b/key", ""),
            ),
            (
                [
                    ("redirect", "rtmp://b.example/live"),
                    ("redirect2", "rtmps://c.example/app/name?x=y"),
                ],
                ("c.example", 443, "app", "name?x=y"),
            ),
            // SRS leaves redirect2 empty when it does not know.
            (
                [("redirect", "rtmp://b.example/live"), ("redirect2", "")],
                ("b.example", 1935, "live", ""),
            ),
        ] {
            let members = members.map(|(name, value)| (name, Value::from(value)));
            let url = target(&redirect(&members), "key?token=1").expect("a URL");
            let got = (url.host(), url.port(), url.application(), url.stream().expose());
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn what_is_no_absolute_url_of_rtmp_is_unusable() {
        let long = format!("rtmp://b.example/{}", "x".repeat(2048));
        for text in [
            "b.example",
            "/live",
            "//b.example/live",
            "http://b.example/live",
            "rtmfp://b.example/live",
            "rtmp://me:pw@b.example/live",
            "rtmp://b.example/li ve",
            "rtmp://b.example/live\r\n",
            "rtmp://b.example:0/live",
            "rtmp:///live",
            "rtmp://b.example/ü",
            &long,
        ] {
            let status = redirect(&[("redirect", text.into())]);
            assert!(is_redirect(&status));
            assert_eq!(
                target(&status, "key").err(),
                Some(RedirectFault::Unusable),
                "{text:.40}"
            );
        }
        let longest = format!("rtmp://b.example/{}", "x".repeat(2048 - 17));
        assert!(target(&redirect(&[("redirect", longest.as_str().into())]), "key").is_ok());
    }

    #[test]
    fn only_a_302_or_no_code_at_all_redirects() {
        let url = ("redirect", Value::from("rtmp://b.example/live"));
        assert!(is_redirect(&redirect(std::slice::from_ref(&url))));
        assert!(is_redirect(&redirect(&[
            url.clone(),
            ("code", Value::from(302.0))
        ])));
        assert!(!is_redirect(&redirect(&[url, ("code", Value::from(404.0))])));
        assert!(!is_redirect(&redirect(&[("redirect", Value::from(""))])));
        assert!(!is_redirect(&redirect(&[("code", Value::from(302.0))])));
    }

    #[test]
    fn hosts_are_trusted_by_name_or_domain() {
        let redirects = Redirects {
            hosts: vec!["Edge.example".to_owned(), "*.cdn.example".to_owned()],
            ..Redirects::default()
        };
        for host in ["edge.example", "EDGE.EXAMPLE", "a.cdn.example", "a.b.CDN.example"] {
            assert!(redirects.trusts(host), "{host}");
        }
        for host in [
            "",
            "example",
            "x.edge.example",
            "cdn.example",
            "evilcdn.example",
            ".cdn.example",
        ] {
            assert!(!redirects.trusts(host), "{host}");
        }
        let all = Redirects {
            hosts: vec!["*".to_owned()],
            ..Redirects::default()
        };
        assert!(all.trusts("anybody.example"));
        assert!(!Redirects::default().trusts("anybody.example"));
    }
}
