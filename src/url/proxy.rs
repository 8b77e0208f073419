//! The URL of a proxy: `scheme://[user[:password]@]host[:port]`, in the words of curl.
//!
//! | scheme | protocol | the server's name is resolved by | port |
//! |---|---|---|---|
//! | `socks5` | SOCKS 5, RFC 1928 and RFC 1929 | us | 1080 |
//! | `socks5h` | the same | the proxy | 1080 |
//! | `socks4` | SOCKS 4 | us, to IPv4 addresses | 1080 |
//! | `socks4a` | SOCKS 4A | the proxy | 1080 |
//! | `http` | CONNECT, RFC 9110 section 9.3.6 | the proxy | 80 |
//!
//! User name and password are percent-decoded. What is said to a proxy is in the module `proxy`.

use std::fmt;
use std::num::NonZeroU16;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::UrlError;
use super::authority::{Authority, host_from, port_from, split_port, written_host};
use super::error::ProxyFault;
use super::secret::{MASK, Secret};

/// Longest user name and password of SOCKS 5, whose lengths are one byte (RFC 1929 section 2). Others get no more.
const MAX_LOGIN: usize = 255;

/// What is spoken to a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyScheme {
    /// SOCKS 5; we resolve the server's name.
    Socks5,
    /// SOCKS 5; the proxy resolves the server's name.
    Socks5h,
    /// SOCKS 4; we resolve the server's name.
    Socks4,
    /// SOCKS 4A; the proxy resolves the server's name.
    Socks4a,
    /// HTTP with CONNECT.
    Http,
}

impl ProxyScheme {
    const ALL: [Self; 5] = [
        Self::Socks5,
        Self::Socks5h,
        Self::Socks4,
        Self::Socks4a,
        Self::Http,
    ];

    /// The name before `://`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Http => "http",
        }
    }

    /// The port of a proxy that names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Socks5 | Self::Socks5h | Self::Socks4 | Self::Socks4a => 1080,
            Self::Http => 80,
        }
    }

    /// Whether the proxy is given the server's name, not an address that we have looked up.
    #[must_use]
    pub const fn resolves(self) -> bool {
        match self {
            Self::Socks5h | Self::Socks4a | Self::Http => true,
            Self::Socks5 | Self::Socks4 => false,
        }
    }
}

/// Where a proxy is, what it speaks, and who we are to it. `Display` and `Debug` show neither user name nor password.
#[derive(Clone, Eq, PartialEq)]
pub struct Proxy {
    scheme: ProxyScheme,
    host: String,
    port: u16,
    username: Option<String>,
    password: Option<Secret>,
}

impl Proxy {
    /// Reads the URL of a proxy. The module tells the grammar.
    ///
    /// # Errors
    ///
    /// The first part that cannot be used, always as [`UrlError::Proxy`].
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        Self::from_url(url).map_err(UrlError::Proxy)
    }

    fn from_url(url: &str) -> Result<Self, ProxyFault> {
        let (scheme, rest) = url.split_once("://").ok_or(ProxyFault::Scheme)?;
        let scheme = ProxyScheme::ALL
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
            .ok_or(ProxyFault::Scheme)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(ProxyFault::Path);
        }
        let Authority {
            username,
            password,
            host,
            port,
        } = Authority::parse(authority).map_err(|fault| match fault {
            UrlError::NotUtf8(_) | UrlError::ControlCharacter(_) => ProxyFault::Login,
            _ => ProxyFault::Address,
        })?;
        let password = password.filter(|password| !password.is_empty());
        let is_too_long = |text: &str| text.len() > MAX_LOGIN;
        if username.as_deref().is_some_and(is_too_long)
            || password.as_ref().map(Secret::expose).is_some_and(is_too_long)
        {
            return Err(ProxyFault::Login);
        }
        match scheme {
            ProxyScheme::Socks4 | ProxyScheme::Socks4a if password.is_some() => {
                return Err(ProxyFault::NoPasswords);
            }
            // A password belongs to somebody.
            _ if password.is_some() && username.is_none() => return Err(ProxyFault::Login),
            // Behind the first colon all is the password (RFC 7617 section 2).
            ProxyScheme::Http if username.as_deref().is_some_and(|name| name.contains(':')) => {
                return Err(ProxyFault::Login);
            }
            _ => {}
        }
        Ok(Self {
            scheme,
            host,
            port: port.map_or(scheme.default_port(), NonZeroU16::get),
            username,
            password,
        })
    }

    /// What librtmp's option `socks` names: `host[:port]`, SOCKS 4.
    pub(super) fn socks4(authority: &str) -> Result<Self, UrlError> {
        let scheme = ProxyScheme::Socks4;
        let (host, port) = split_port(authority)?;
        let port = port.map(port_from).transpose()?;
        Ok(Self {
            scheme,
            host: host_from(host)?,
            port: port.map_or(scheme.default_port(), NonZeroU16::get),
            username: None,
            password: None,
        })
    }

    /// What it speaks.
    #[must_use]
    pub const fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Host name or address; an IPv6 address has no brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, as messages name it.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", written_host(&self.host), self.port)
    }

    /// Who we are, never an empty name.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The password that goes with the name.
    #[must_use]
    pub const fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The value of the header `Proxy-Authorization` for an HTTP proxy, RFC 7617 section 2; none without a name.
    #[must_use]
    pub fn basic_authorization(&self) -> Option<Secret> {
        let username = self.username.as_deref()?;
        let password = self.password.as_ref().map_or("", Secret::expose);
        Some(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))).into())
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user_info = if self.username.is_some() { MASK } else { "" };
        let at = if user_info.is_empty() { "" } else { "@" };
        write!(
            f,
            "{}://{user_info}{at}{}",
            self.scheme.as_str(),
            self.authority()
        )
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        use ProxyScheme::{Http, Socks4, Socks4a, Socks5, Socks5h};
        for (url, scheme, host, port, username, password) in [
            ("socks5://proxy", Socks5, "proxy", 1080, None, None),
            (
                "SOCKS5h://me:pass@10.0.0.1:9050",
                Socks5h,
                "10.0.0.1",
                9050,
                Some("me"),
                Some("pass"),
            ),
            ("socks4://me@[::1]:1", Socks4, "::1", 1, Some("me"), None),
            (
                "socks4a://[2001:db8::1]/",
                Socks4a,
                "2001:db8::1",
                1080,
                None,
                None,
            ),
            ("http://proxy", Http, "proxy", 80, None, None),
            (
                "http://a%40b:c%3ad%2F@proxy:3128",
                Http,
                "proxy",
                3128,
                Some("a@b"),
                Some("c:d/"),
            ),
            (
                "http://me:a@b:c@proxy",
                Http,
                "proxy",
                80,
                Some("me"),
                Some("a@b:c"),
            ),
            ("http://me:@proxy", Http, "proxy", 80, Some("me"), None),
            ("http://@proxy", Http, "proxy", 80, None, None),
        ] {
            let proxy = Proxy::parse(url).unwrap_or_else(|fault| panic!("{url}: {fault}"));
            assert_eq!(
                (proxy.scheme(), proxy.host(), proxy.port(), proxy.username()),
                (scheme, host, port, username),
                "{url}"
            );
            assert_eq!(proxy.password().map(Secret::expose), password, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let long = "x".repeat(256);
        for (url, fault) in [
            ("", ProxyFault::Scheme),
            ("proxy:1080", ProxyFault::Scheme),
            ("https://proxy", ProxyFault::Scheme),
            ("socks://proxy", ProxyFault::Scheme),
            ("socks5://", ProxyFault::Address),
            ("socks5://proxy:0", ProxyFault::Address),
            ("socks5://proxy:99999", ProxyFault::Address),
            ("socks5://::1:1080", ProxyFault::Address),
            ("socks5://[::1", ProxyFault::Address),
            ("socks5://pro xy", ProxyFault::Address),
            ("http://proxy/path", ProxyFault::Path),
            ("http://proxy?x", ProxyFault::Path),
            ("http://me:a/b@proxy", ProxyFault::Path),
            ("http://:pass@proxy", ProxyFault::Login),
            ("http://a%3ab:pass@proxy", ProxyFault::Login),
            ("http://me:%ff@proxy", ProxyFault::Login),
            ("http://me:a%0d%0ab@proxy", ProxyFault::Login),
            (&format!("socks5://{long}@proxy"), ProxyFault::Login),
            (&format!("socks5://me:{long}@proxy"), ProxyFault::Login),
            ("socks4://me:pass@proxy", ProxyFault::NoPasswords),
        ] {
            assert_eq!(Proxy::parse(url), Err(UrlError::Proxy(fault)), "{url}");
        }
    }

    #[test]
    fn neither_name_nor_password_is_shown() {
        let proxy = Proxy::parse("socks5h://alice:hunter2@[::1]:9050").unwrap();
        assert_eq!(proxy.to_string(), "socks5h://***@[::1]:9050");
        assert_eq!(format!("{proxy:?}"), "Proxy(socks5h://***@[::1]:9050)");
        assert_eq!(proxy.authority(), "[::1]:9050");
        assert_eq!(
            Proxy::parse("http://proxy").unwrap().to_string(),
            "http://proxy:80"
        );
    }

    #[test]
    fn basic_credentials_are_those_of_rfc_7617() {
        let authorization = |url| {
            let secret = Proxy::parse(url).unwrap().basic_authorization();
            secret.map(|secret| secret.expose().to_owned())
        };
        assert_eq!(
            authorization("http://Aladdin:open%20sesame@proxy").as_deref(),
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        );
        assert_eq!(
            authorization("http://test:123%C2%A3@proxy").as_deref(),
            Some("Basic dGVzdDoxMjPCow==")
        );
        assert_eq!(authorization("http://proxy"), None);
    }
}
