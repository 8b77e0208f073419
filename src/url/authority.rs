//! The part of a URL that says where to connect: scheme, user information, host and port (RFC 3986 section 3.2).

use std::fmt;
use std::net::Ipv6Addr;
use std::num::NonZeroU16;

use percent_encoding::percent_decode_str;

use super::secret::Secret;
use super::{Part, UrlError, without_controls};

/// How RTMP is carried, by the name that stands before `://`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// RTMP over TCP.
    #[default]
    Rtmp,
    /// RTMP over TLS.
    Rtmps,
    /// RTMP over TCP with the RTMPE handshake and RC4.
    Rtmpe,
    /// RTMP tunnelled in HTTP.
    Rtmpt,
    /// RTMP tunnelled in HTTPS.
    Rtmpts,
    /// RTMPE tunnelled in HTTP.
    Rtmpte,
    /// RTMFP over UDP, RFC 7016.
    Rtmfp,
}

impl Scheme {
    /// Every scheme, in the order in which messages list them.
    pub const ALL: [Self; 7] = [
        Self::Rtmp,
        Self::Rtmps,
        Self::Rtmpe,
        Self::Rtmpt,
        Self::Rtmpts,
        Self::Rtmpte,
        Self::Rtmfp,
    ];

    /// Whether the session's own bytes are enciphered, as RTMPE does it. That is no security: see `docs/security.md`.
    #[must_use]
    pub const fn is_rtmpe(self) -> bool {
        match self {
            Self::Rtmpe | Self::Rtmpte => true,
            Self::Rtmp | Self::Rtmps | Self::Rtmpt | Self::Rtmpts | Self::Rtmfp => false,
        }
    }

    /// The scheme of that name, in any case; `None` for one that is not ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(name))
    }

    /// The name, in lower case as it is sent in tcUrl.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
            Self::Rtmpe => "rtmpe",
            Self::Rtmpt => "rtmpt",
            Self::Rtmpts => "rtmpts",
            Self::Rtmpte => "rtmpte",
            Self::Rtmfp => "rtmfp",
        }
    }

    /// The port of a URL that names none; of UDP for RTMFP, of TCP for the others.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Rtmp | Self::Rtmpe | Self::Rtmfp => 1935,
            Self::Rtmps | Self::Rtmpts => 443,
            Self::Rtmpt | Self::Rtmpte => 80,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `[user[:password]@]host[:port]`.
#[derive(Clone, PartialEq)]
pub(super) struct Authority {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) host: String,
    pub(super) port: Option<NonZeroU16>,
}

impl Authority {
    pub(super) fn parse(text: &str) -> Result<Self, UrlError> {
        let (user_info, host_and_port) = match text.rsplit_once('@') {
            Some((user_info, rest)) => (user_info, rest),
            None => ("", text),
        };
        let (username, password) = match user_info.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (user_info, None),
        };
        let username = decoded(username, Part::Username)?;
        let password = password.map(|text| decoded(text, Part::Password)).transpose()?;

        let (host, port) = split_port(host_and_port)?;
        Ok(Self {
            username: Some(username).filter(|name| !name.is_empty()),
            password: password.map(Secret::from),
            host: host_from(host)?,
            port: port.map(port_from).transpose()?,
        })
    }
}

fn decoded(text: &str, part: Part) -> Result<String, UrlError> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| UrlError::NotUtf8(part))?;
    without_controls(&text, part)?;
    Ok(text.into_owned())
}

/// Takes `host[:port]` apart, leaving an IPv6 address in its brackets.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<&str>), UrlError> {
    if text.starts_with('[') {
        let (_, after) = text.split_once(']').ok_or(UrlError::BracketUnclosed)?;
        let host = text.strip_suffix(after).unwrap_or(text);
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(UrlError::HostInvalid),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(UrlError::BracketsMissing),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

/// A port in decimal digits.
pub(super) fn port_from(text: &str) -> Result<NonZeroU16, UrlError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::PortNotANumber);
    }
    text.parse().map_err(|_| UrlError::PortOutOfRange)
}

/// The host without its brackets. A zone (RFC 6874) is kept behind a `%`, which is what resolvers take.
pub(super) fn host_from(text: &str) -> Result<String, UrlError> {
    without_controls(text, Part::Host)?;
    let bracketed = text.strip_prefix('[').map(|rest| {
        let inside = rest.strip_suffix(']');
        inside.ok_or(UrlError::BracketUnclosed)
    });
    let address = match bracketed {
        Some(inside) => inside?,
        None if text.contains(':') => text,
        None => return name_from(text),
    };

    let (address, zone) = match address.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (address, None),
    };
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(UrlError::AddressInvalid);
    }
    // In a URL the `%` itself is escaped, but hardly anybody writes it so.
    match zone.map(|zone| {
        zone.strip_prefix("25")
            .filter(|zone| !zone.is_empty())
            .unwrap_or(zone)
    }) {
        Some(zone) if zone.is_empty() || zone.contains(is_no_host_character) => Err(UrlError::AddressInvalid),
        Some(zone) => Ok(format!("{address}%{zone}")),
        None => Ok(address.to_owned()),
    }
}

fn name_from(text: &str) -> Result<String, UrlError> {
    if text.is_empty() {
        return Err(UrlError::HostMissing);
    }
    if text.contains(is_no_host_character) {
        return Err(UrlError::HostInvalid);
    }
    Ok(text.to_owned())
}

/// Characters that delimit something in a URL or that no name has. Other scripts pass: the resolver knows.
fn is_no_host_character(c: char) -> bool {
    c.is_whitespace() || (c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_' | '~'))
}

/// The host as it is written before a port and in tcUrl: an IPv6 address in brackets and, since it means nothing
/// to anybody else, without its zone.
pub(super) fn written_host(host: &str) -> String {
    if host.contains(':') {
        let address = host.split_once('%').map_or(host, |(address, _)| address);
        format!("[{address}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_have_names_and_ports() {
        let ports = Scheme::ALL.map(|scheme| (scheme.as_str(), scheme.default_port()));
        assert_eq!(
            ports,
            [
                ("rtmp", 1935),
                ("rtmps", 443),
                ("rtmpe", 1935),
                ("rtmpt", 80),
                ("rtmpts", 443),
                ("rtmpte", 80),
                ("rtmfp", 1935),
            ]
        );
        assert_eq!(Scheme::from_name("RtmpS"), Some(Scheme::Rtmps));
        assert_eq!(Scheme::from_name("rtmpse"), None);
        assert_eq!(Scheme::Rtmpte.to_string(), "rtmpte");
    }

    #[test]
    fn zones_are_for_the_resolver_only() {
        for text in ["[fe80::1%25eth0]", "[fe80::1%eth0]", "fe80::1%eth0"] {
            let host = host_from(text).unwrap();
            assert_eq!(host, "fe80::1%eth0", "{text}");
            assert_eq!(written_host(&host), "[fe80::1]");
        }
        assert_eq!(host_from("[fe80::1%25]"), Ok("fe80::1%25".to_owned()));
        assert_eq!(host_from("[fe80::1%]"), Err(UrlError::AddressInvalid));
        assert_eq!(host_from("[fe80::1%a/b]"), Err(UrlError::AddressInvalid));
    }

    #[test]
    fn hosts_of_other_scripts_pass() {
        assert_eq!(host_from("bücher.example"), Ok("bücher.example".to_owned()));
        assert_eq!(written_host("bücher.example"), "bücher.example");
    }
}
