//! Text that must not be printed, and the redaction of text that may hold some of it.

use std::fmt;

use super::authority::{Authority, Scheme};

/// What is printed in the place of a secret.
pub(super) const MASK: &str = "***";

/// Text that gives access to something: a stream key, a password, a token.
///
/// `Debug` and `Display` print `***`, whatever the text. [`Secret::expose`] is the only way to it, so a search
/// for that word finds every place where a secret leaves its hiding.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, to be sent to the peer and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// What may be shown of a text that looks like a URL, whether or not it can be parsed as one.
///
/// At most the scheme, the host, the port and the first path segment are left, the segment only when another
/// follows it. Where a secret could have moved one of them out of its place (an `@` behind the first slash is
/// the end of a password or a part of a stream key, nobody can tell) that is masked too, and so is every text
/// that does not begin with a scheme of RTMP or HTTP.
///
/// ```
/// # use gstrtmp::url::redact;
/// assert_eq!(redact("rtmp://me:pass@host:1936/live/key?token=1"), "rtmp://***@host:1936/live/***");
/// ```
#[must_use]
pub fn redact(text: &str) -> String {
    let Some((scheme, rest)) = text.trim_start().split_once("://") else {
        return MASK.to_owned();
    };
    let known = Scheme::from_name(scheme).is_some() || ["http", "https"].contains(&scheme);
    if !known {
        return MASK.to_owned();
    }

    let is_end = |c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace() || c.is_control();
    let (authority, path) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, after)| after);
    if path.contains('@') || Authority::parse(host_and_port).is_err() {
        return format!("{scheme}://{MASK}");
    }

    let user_info = if authority.contains('@') { "***@" } else { "" };
    let segments = path
        .find(|c| c != '/' && is_end(c))
        .map_or(path, |end| path.split_at(end).0);
    let first = segments
        .trim_matches('/')
        .split_once('/')
        .map(|(first, _)| format!("/{first}"));
    match first {
        Some(first) => format!("{scheme}://{user_info}{host_and_port}{first}/{MASK}"),
        None if path.trim_matches('/').is_empty() => format!("{scheme}://{user_info}{host_and_port}"),
        None => format!("{scheme}://{user_info}{host_and_port}/{MASK}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_prints_as_stars_and_compares_as_text() {
        let secret = Secret::from("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
        assert_eq!(
            format!("{:?}", Secret::default()),
            "***",
            "emptiness is not told either"
        );
        assert_eq!(secret, Secret::from("hunter2".to_owned()));
        assert_ne!(secret, Secret::from("hunter3"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn redaction_leaves_scheme_host_and_application() {
        for (text, shown) in [
            ("rtmp://host/live/key", "rtmp://host/live/***"),
            ("rtmp://host/live/inst/key?a=b", "rtmp://host/live/***"),
            ("rtmp://host/live/key/", "rtmp://host/live/***"),
            (
                "rtmps://me:pass@host:444/live/key",
                "rtmps://***@host:444/live/***",
            ),
            ("rtmp://me@there:pass@host/live/key", "rtmp://***@host/live/***"),
            ("RTMP://[::1]:1935/live/key", "RTMP://[::1]:1935/live/***"),
            ("https://host/page.html?token=1", "https://host/***"),
            // One segment may be a key that was pasted into the wrong place.
            ("rtmp://host/key", "rtmp://host/***"),
            ("rtmp://host/key/", "rtmp://host/***"),
            ("rtmp://host", "rtmp://host"),
            ("rtmp://host/", "rtmp://host"),
            ("rtmp://host?token=1", "rtmp://host/***"),
            ("rtmp://host/app?auth=x/st", "rtmp://host/***"),
            ("rtmp://host/key#x/y", "rtmp://host/***"),
            ("rtmp://host/key/?x/y", "rtmp://host/***"),
            ("rtmp://host/live/key live=1 pubPasswd=x", "rtmp://host/live/***"),
            ("rtmp://host/key pageUrl=http://x/y", "rtmp://host/***"),
            ("  rtmp://host/live/key", "rtmp://host/live/***"),
            // A slash, a question mark or a space in a password; or the `@` of a stream name.
            ("rtmp://me:pa/ss@host/live/key", "rtmp://***"),
            ("rtmp://me:1/ss@host/live/key", "rtmp://***"),
            ("rtmp://me:pa ss@host/live/key", "rtmp://***"),
            ("rtmp://me:pa?ss@host/live/key", "rtmp://***"),
            ("rtmp://host/live/name@id", "rtmp://***"),
            ("rtmp://me:pass", "rtmp://***"),
            ("rtmp://", "rtmp://***"),
            ("me:pass@host/live/key", "***"),
            ("key://host/live", "***"),
            ("key", "***"),
            ("", "***"),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn redaction_never_shows_a_secret(
            password in "[a-z]{0,4}[/?#@: %]{0,2}SECRET[a-z/?#@: ]{0,6}",
            key in "[a-z]{0,4}[?#@: %]{0,2}SECRET[a-z/?#@: ]{0,6}",
            tail in "[ -~]{0,12}",
        ) {
            for text in [
                format!("rtmp://me:{password}@host/live/{key}{tail}"),
                format!("rtmp://host/live/{key}{tail}"),
                format!("rtmp://host/{}", key.replace('/', "")),
                format!("{key}{tail}"),
            ] {
                let shown = redact(&text);
                prop_assert!(!shown.contains("SECRET"), "{} of {}", shown, text);
            }
        }

        #[test]
        fn redaction_takes_any_text(text in any::<String>()) {
            let _ = redact(&text);
            let _ = redact(&format!("rtmp://{text}"));
        }
    }
}
