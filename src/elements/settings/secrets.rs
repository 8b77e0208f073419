//! Secrets that are not written where everybody can read them: files, and environment variables named in a text as
//! `{env:NAME}`, which no shell touches. Both are read when the element starts, and what they hold is masked wherever
//! the location is.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};

use crate::session::login::Scheme;
use crate::url::{RtmpUrl, UrlError};

/// Bytes of a file that holds a secret. The longest keys are signed tokens of a few thousand.
const MAX_FILE: u64 = 64 << 10;

/// What stands before the name of a variable, and what ends it.
const OPENING: &str = "{env:";
const CLOSING: char = '}';

/// Why a secret cannot be had. Shows none.
#[derive(Debug)]
pub(in crate::elements) enum SecretFault {
    /// No such environment variable, or an empty one.
    Unset(String),
    /// What a variable or file holds is not one line of UTF-8.
    NotText(String),
    /// `{env:` without a name and a brace behind it.
    Unfinished,
    /// A file that cannot be read.
    Unreadable(String, io::Error),
    /// A file that is empty.
    Empty(String),
    /// A file that is longer than any secret.
    TooLong(String),
    /// Both the location and `stream-key-file` name a stream.
    TwoStreams,
    /// A user name that has a character which no login can carry.
    UserName,
    /// A scheme was chosen, and nobody to log in.
    NoCredentials(Scheme),
    /// What was put together is no part of a URL.
    Url(UrlError),
}

impl fmt::Display for SecretFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset(name) => write!(f, "The environment variable {name} is not set or empty."),
            Self::NotText(name) => write!(f, "{name} holds something else than one line of UTF-8 text."),
            Self::Unfinished => f.write_str("An environment variable is written as {env:NAME}."),
            Self::Unreadable(path, error) => write!(f, "The file {path} cannot be read: {error}."),
            Self::Empty(path) => write!(f, "The file {path} is empty."),
            Self::TooLong(path) => write!(f, "The file {path} is longer than {MAX_FILE} bytes."),
            Self::TwoStreams => f.write_str(
                "Both the location and stream-key-file name a stream. End the location behind the application, with \
                 a slash if the application has one itself.",
            ),
            Self::UserName => f.write_str(
                "The user name has a space or one of & ? =, which a login cannot carry. Write it percent-encoded if \
                 the server takes it so.",
            ),
            Self::NoCredentials(scheme) => write!(f, "authmod={scheme} needs username and password."),
            Self::Url(fault) => fault.fmt(f),
        }
    }
}

/// The text in a file, without the end of its last line.
pub(super) fn read(path: &str) -> Result<String, SecretFault> {
    let unreadable = |error| SecretFault::Unreadable(path.to_owned(), error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(SecretFault::TooLong(path.to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretFault::NotText(path.to_owned()))?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.is_empty() {
        return Err(SecretFault::Empty(path.to_owned()));
    }
    Ok(text)
}

/// `text` with its environment variables in place, which become secrets of `url`; `None` if it has none.
pub(super) fn expand(text: &str, url: &mut RtmpUrl) -> Result<Option<String>, SecretFault> {
    expand_by(text, |name| std::env::var_os(name), url)
}

fn expand_by(
    text: &str,
    lookup: impl Fn(&str) -> Option<OsString>,
    url: &mut RtmpUrl,
) -> Result<Option<String>, SecretFault> {
    let mut parts = text.split(OPENING);
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    if expanded.len() == text.len() {
        return Ok(None);
    }
    for part in parts {
        let (name, rest) = part.split_once(CLOSING).ok_or(SecretFault::Unfinished)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(SecretFault::Unfinished);
        }
        let value = lookup(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| SecretFault::Unset(name.to_owned()))?;
        let value = value
            .into_string()
            .ok()
            .filter(|value| !value.contains(char::is_control))
            .ok_or_else(|| SecretFault::NotText(name.to_owned()))?;
        expanded.push_str(&value);
        expanded.push_str(rest);
        url.keep_secret(value.into());
    }
    Ok(Some(expanded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn expanded(text: &str) -> Result<Option<String>, String> {
        let lookup = |name: &str| match name {
            "KEY" => Some(OsString::from("sEcReT")),
            "N_2" => Some(OsString::from("{env:KEY}")),
            "EMPTY" => Some(OsString::new()),
            "LINES" => Some(OsString::from("a\nb")),
            _ => None,
        };
        let mut url = RtmpUrl::parse("rtmp://host/app/key").unwrap();
        let expanded = expand_by(text, lookup, &mut url);
        if text.contains("{env:KEY}") && expanded.is_ok() {
            assert_eq!(url.scrub("of sEcReT"), "of ***");
        }
        expanded.map_err(|fault| fault.to_string())
    }

    #[test]
    fn variables_stand_anywhere_and_are_not_expanded_twice() {
        for (text, result) in [
            ("", None),
            ("key", None),
            ("$KEY ${KEY} {KEY} env:KEY %7Benv:KEY%7D", None),
            ("{env:KEY}", Some("sEcReT")),
            ("a-{env:KEY}?b={env:KEY}&c", Some("a-sEcReT?b=sEcReT&c")),
            ("{env:N_2}", Some("{env:KEY}")),
        ] {
            assert_eq!(expanded(text), Ok(result.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_told_without_a_secret() {
        for (text, words) in [
            (
                "{env:OTHER}",
                "The environment variable OTHER is not set or empty.",
            ),
            (
                "{env:EMPTY}",
                "The environment variable EMPTY is not set or empty.",
            ),
            (
                "{env:LINES}",
                "LINES holds something else than one line of UTF-8 text.",
            ),
            ("{env:}", "An environment variable is written as {env:NAME}."),
            ("{env:KEY", "An environment variable is written as {env:NAME}."),
            ("{env:A B}", "An environment variable is written as {env:NAME}."),
        ] {
            assert_eq!(expanded(text), Err(words.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_file_holds_one_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        assert!(matches!(read(&path), Err(SecretFault::Empty(_))));
        for end in ["", "\n", "\r\n", "\n\n"] {
            std::fs::write(&path, format!("live_1?a=b {end}")).unwrap();
            assert_eq!(read(&path).unwrap(), "live_1?a=b ");
        }
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert!(matches!(read(&path), Err(SecretFault::NotText(_))));
        file.write_all(&vec![b'x'; 70_000]).unwrap();
        assert!(matches!(read(&path), Err(SecretFault::TooLong(_))));
        assert!(matches!(read("/no/such/file"), Err(SecretFault::Unreadable(..))));
        assert!(
            matches!(read("/"), Err(SecretFault::Unreadable(..))),
            "a folder is no file"
        );
    }
}
