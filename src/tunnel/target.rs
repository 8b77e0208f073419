//! Where a tunnel's requests go: the Host field, the form of request targets, and the redirect of an /open.

use std::fmt;
use std::net::Ipv6Addr;

/// What a request asks a server to open.
const OPEN: &str = "/open/1";

/// Longest URL of a redirect that is looked at, in bytes.
const MAX_LOCATION: usize = 1024;

/// The server of a tunnel as its requests name it.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    host: String,
    port: u16,
    is_secure: bool,
    /// Whether a proxy has to be told the whole URL, RFC 9112 section 3.2.2.
    absolute_form: bool,
    /// What stands before /open and the others.
    prefix: String,
}

impl Origin {
    pub(super) fn new(host: &str, port: u16, is_secure: bool, absolute_form: bool) -> Self {
        Self {
            host: host.to_owned(),
            port,
            is_secure,
            absolute_form,
            prefix: String::new(),
        }
    }

    /// Another path for the requests.
    pub(super) fn set_prefix(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.prefix);
    }

    /// The value of the Host field.
    pub(super) fn authority(&self) -> String {
        let default_port = if self.is_secure { 443 } else { 80 };
        let host = match self.host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => self.host.clone(),
        };
        if self.port == default_port {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// The target of a request for `path`.
    pub(super) fn target(&self, path: &str) -> String {
        if self.absolute_form {
            let scheme = if self.is_secure { "https" } else { "http" };
            format!("{scheme}://{}{}{path}", self.authority(), self.prefix)
        } else {
            format!("{}{path}", self.prefix)
        }
    }

    pub(super) const fn open(&self) -> &'static str {
        OPEN
    }

    /// Where `location`, of a redirect of an /open, leads; `None` if that is no place for a tunnel, or leads from TLS
    /// to a connection without.
    pub(super) fn redirect(&self, location: &str) -> Option<Redirect> {
        if location.len() > MAX_LOCATION || !location.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (is_secure, rest) = if location.starts_with('/') && !location.starts_with("//") {
            return Some(Redirect {
                host: self.host.clone(),
                port: self.port,
                is_secure: self.is_secure,
                prefix: location.strip_suffix(OPEN)?.to_owned(),
            });
        } else if let Some(rest) = without_scheme(location, "http://") {
            (false, rest)
        } else {
            (true, without_scheme(location, "https://")?)
        };
        if self.is_secure && !is_secure {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find('/')?);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok().filter(|port| *port != 0)?),
            _ => (authority, if is_secure { 443 } else { 80 }),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !(host.bytes().all(is_name) || host.parse::<Ipv6Addr>().is_ok()) {
            return None;
        }
        Some(Redirect {
            host: host.to_owned(),
            port,
            is_secure,
            prefix: path.strip_suffix(OPEN)?.to_owned(),
        })
    }
}

fn without_scheme<'a>(location: &'a str, scheme: &str) -> Option<&'a str> {
    let (front, rest) = location.split_at_checked(scheme.len())?;
    front.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Where the answer to an /open sends the client.
#[derive(Clone, Eq, PartialEq)]
pub struct Redirect {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether by TLS.
    pub is_secure: bool,
    /// What stands in the paths there before /open and the others. It may be a secret.
    pub prefix: String,
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("is_secure", &self.is_secure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_name_the_host_where_it_is_wanted() {
        let origin = Origin::new("example.com", 80, false, false);
        assert_eq!(
            (origin.authority(), origin.target("/open/1")),
            ("example.com".to_owned(), "/open/1".to_owned())
        );
        let proxied = Origin::new("::1", 8080, false, true);
        assert_eq!(proxied.authority(), "[::1]:8080");
        assert_eq!(proxied.target("/send/x/1"), "http://[::1]:8080/send/x/1");
        assert_eq!(Origin::new("h", 443, true, false).authority(), "h");
    }

    #[test]
    fn redirects_are_followed_to_tunnels_only() {
        let origin = Origin::new("h", 81, false, false);
        let to = |host: &str, port, is_secure, prefix: &str| {
            Some(Redirect {
                host: host.to_owned(),
                port,
                is_secure,
                prefix: prefix.to_owned(),
            })
        };
        for (location, redirect) in [
            ("/a/open/1", to("h", 81, false, "/a")),
            ("http://o.example/open/1", to("o.example", 80, false, "")),
            ("HTTPS://[::1]/b/open/1", to("::1", 443, true, "/b")),
            ("https://[::1]:9/open/1", to("::1", 9, true, "")),
            ("//o/open/1", None),
            ("http://o/login", None),
            ("http://o", None),
            ("http://user@o/open/1", None),
            ("http://o:0/open/1", None),
            ("ftp://o/open/1", None),
            ("http://o/\r\nX: y/open/1", None),
            ("http:///open/1", None),
        ] {
            assert_eq!(origin.redirect(location), redirect, "{location}");
        }
        let secure = Origin::new("h", 443, true, false);
        assert_eq!(secure.redirect("http://h/open/1"), None);
    }
}
