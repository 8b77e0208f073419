//! RTMP URLs as people write them, taken apart into what the session and the transport need.
//!
//! Pure text: nothing is resolved, opened or sent. A location is a URL and, behind a space, options of librtmp:
//!
//! ```text
//! rtmp://[user[:password]@]host[:port]/application[/instance]/stream[?query] [option=value ..]
//! rtmp://[user[:password]@]host[:port]/application[?query]#stream            [option=value ..]
//! ```
//!
//! # Where the application ends
//!
//! The path does not say. The rule here is that of FFmpeg (5.1 to 8), behind the one for fragments:
//!
//! 1. A `#` separates: application, instance and query before it, stream behind it. (zenomt's memo, gortmplib.)
//! 2. A parameter `slist=` in the query is the stream, and the whole path is the application. (Akamai.)
//! 3. Behind `/ondemand/` all is the stream. (Akamai.)
//! 4. One segment is the application, and there is no stream. If the application is given by other means
//!    ([`RtmpUrl::set_application`], the option `app`) it is the stream.
//! 5. Of two segments the first is the application, the second is the stream.
//! 6. Of three or more the first two are the application, the rest is the stream; but if the second has a colon
//!    (`vod/mp4:dir/file.mp4`) only the first is the application.
//!
//! By 2 to 6 a stream without a colon that ends in `.mp4` or `.f4v` gets `mp4:` before it, and from any other an
//! ending `.flv` is taken, for playing as well as for publishing. Apart from that, application and stream are
//! the text as written: servers compare raw strings, so no percent escape is decoded or made.
//!
//! A query belongs to the segment that it is attached to, slashes included: `app/key?token=a/b` has the stream
//! `key?token=a/b`. If that is the first segment, FMLE's form is meant: `app?auth=x/key` has the application
//! `app?auth=x`, the last slash separating (the last before a second `?`, or the one before an `mp4:`).
//!
//! # Where peers disagree
//!
//! | path | here | elsewhere |
//! |---|---|---|
//! | `a/b/c/d` | `a/b`, `c/d` | GStreamer's rtmp2: `a/b/c`, `d`; librtmp: `a/b/c`, `d` |
//! | `vod/mp4:dir/f.mp4` | `vod`, `mp4:dir/f.mp4` | rtmp2: `vod/mp4:dir`, `f.mp4` |
//! | `app/key?token=a/b` | `app`, `key?token=a/b` | rtmp2 and FFmpeg: `app/key?token=a`, `b` |
//! | `app//a/b` | `app`, `a/b`, as librtmp | FFmpeg: `app/`, `a/b` |
//! | `app/file.mp4` | `app`, `mp4:file.mp4` | librtmp: `mp4:file`; rtmp2, OBS: `file.mp4` |
//! | `app/file.mp3` | `app`, `file.mp3` | librtmp: `mp3:file` |
//! | `app/a%20b` | `app`, `a%20b` | librtmp: `a b` |
//! | `app/key live=1` | `app`, `key` and an option | rtmp2: a stream named `key live=1` |
//! | `app/key#1` | `app/key`, `1` | FFmpeg, librtmp, rtmp2: `app`, `key#1` |
//! | `app/inst` | `app`, `inst` | OBS, for its server field: `app/inst` and a key elsewhere |
//!
//! Whoever is on the other side of one of these gives application and stream by themselves, which always wins:
//! by the setters first, then by the options `app` and `playpath`, then by the path.
//!
//! # Secrets
//!
//! Stream names, queries, passwords and tokens are kept as [`Secret`], `Display` and `Debug` of [`RtmpUrl`] mask
//! them, and no error quotes the location. [`redact`] does the same for text that nobody has parsed and
//! [`RtmpUrl::scrub`] for what a peer says.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

mod authority;
pub mod connect_args;
mod error;
mod options;
mod path;
mod proxy;
mod secret;

pub use authority::Scheme;
pub use connect_args::ConnectArgs;
pub use error::{ConnectArgFault, Part, ProxyFault, UrlError, UrlWarning};
pub use options::Options;
pub use proxy::{Proxy, ProxyScheme};
pub use secret::{Secret, redact};

use authority::{Authority, host_from, written_host};
use path::{Split, file_name};
use secret::MASK;

/// Shorter pieces of a query are words like `1` or `on`, and to mask them everywhere would leave no message.
const MIN_SCRUBBED_PIECE: usize = 4;

/// Where to connect, what to ask for there, and as whom.
///
/// Made by [`RtmpUrl::parse`] from a location, or by [`RtmpUrl::new`] from parts. The setters override one part
/// each; they are what an element's properties are for. `Display` and `Debug` show no secret.
#[derive(Clone, PartialEq)]
pub struct RtmpUrl {
    location: Option<Secret>,
    authority: Authority,
    scheme: Scheme,
    /// An `@` behind the authority: what seems to be host, port and path may be pieces of a password.
    is_doubtful: bool,
    path: PathParts,
    overrides: Overrides,
    options: Options,
    warnings: Vec<UrlWarning>,
    /// Secrets that are no part of the URL and that [`RtmpUrl::scrub`] masks all the same.
    kept: Vec<Secret>,
}

/// Names of other streams that are masked; the oldest make room.
const MAX_OTHER_NAMES: usize = 32;

/// What the path of the location says.
#[derive(Clone, Default, PartialEq)]
struct PathParts {
    application: String,
    stream: Secret,
    /// The stream if the application is given by other means.
    sole_segment: Option<Secret>,
}

/// What the setters have said; it goes before options and path.
#[derive(Clone, Default, PartialEq)]
struct Overrides {
    application: Option<String>,
    stream: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    tc_url: Option<String>,
    /// Names of other streams that were asked for on the same connection.
    other_names: Vec<Secret>,
}

impl RtmpUrl {
    /// A URL without application and stream, for the setters to complete.
    ///
    /// # Errors
    ///
    /// `host` is neither a name nor an address. An IPv6 address may stand in brackets.
    pub fn new(scheme: Scheme, host: &str) -> Result<Self, UrlError> {
        Ok(Self {
            location: None,
            scheme,
            authority: Authority {
                username: None,
                password: None,
                host: host_from(host)?,
                port: None,
            },
            is_doubtful: false,
            path: PathParts::default(),
            overrides: Overrides::default(),
            options: Options::default(),
            warnings: Vec::new(),
            kept: Vec::new(),
        })
    }

    /// Reads a location: a URL and, behind a space, options of librtmp. The module tells the grammar.
    ///
    /// # Errors
    ///
    /// The first part that cannot be understood. What librtmp would refuse but nobody would miss is in
    /// [`RtmpUrl::warnings`] instead.
    pub fn parse(location: &str) -> Result<Self, UrlError> {
        let text = location.trim_start_matches(' ');
        let (url, options) = text.split_once(' ').unwrap_or((text, ""));

        let (scheme, rest) = url.split_once("://").ok_or(UrlError::SchemeMissing)?;
        if scheme.is_empty() {
            return Err(UrlError::SchemeMissing);
        }
        let scheme = Scheme::from_name(scheme).ok_or(UrlError::SchemeUnknown)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let authority = Authority::parse(authority)?;
        let path = path.strip_prefix('/').unwrap_or(path);
        let split = Split::of(path);
        without_controls(split.application, Part::Application)?;
        without_controls(&split.stream, Part::Stream)?;
        let (parsed_options, warnings) = Options::parse(options)?;
        let is_doubtful = path.contains('@') || (options.contains('@') && !warnings.is_empty());

        Ok(Self {
            location: Some(location.into()),
            scheme,
            authority,
            path: PathParts {
                application: split.application.to_owned(),
                stream: split.stream.into_owned().into(),
                sole_segment: split.alone.then(|| file_name(path).into_owned().into()),
            },
            overrides: Overrides::default(),
            options: parsed_options,
            warnings,
            is_doubtful,
            kept: Vec::new(),
        })
    }

    /// Reads a tcUrl: all of the path is the application, and there is no stream.
    ///
    /// # Errors
    ///
    /// As [`RtmpUrl::parse`].
    pub fn parse_tc_url(text: &str) -> Result<Self, UrlError> {
        let mut url = Self::parse(text)?;
        let (_, rest) = text.split_once("://").ok_or(UrlError::SchemeMissing)?;
        let path = rest.find(['/', '?', '#']).and_then(|at| rest.get(at..));
        let path = path.unwrap_or_default();
        let application = path.strip_prefix('/').unwrap_or(path).trim_end_matches('/');
        url.path = PathParts {
            application: application.to_owned(),
            ..PathParts::default()
        };
        Ok(url)
    }

    /// The location as it was written, secrets included; `None` for a URL that was made from parts. The setters
    /// do not change it.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_ref().map(Secret::expose)
    }

    /// How RTMP is carried.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host name or address, for the resolver: an IPv6 address has no brackets, but its zone if it has one.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.authority.host
    }

    /// Port number; the scheme's default if none is given.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority
            .port
            .map_or(self.scheme.default_port(), NonZeroU16::get)
    }

    /// Name of the application, with instance and query, for the connect command. Empty if there is none. A query
    /// is a secret.
    #[must_use]
    pub fn application(&self) -> &str {
        self.given_application().unwrap_or(&self.path.application)
    }

    /// The application that was given by other means than the path.
    fn given_application(&self) -> Option<&str> {
        let option = self.options.application.as_ref().map(Secret::expose);
        self.overrides.application.as_deref().or(option)
    }

    /// Name of the stream, with its query, for the publish and play commands. Empty if there is none.
    #[must_use]
    pub fn stream(&self) -> &Secret {
        let of_path = match &self.path.sole_segment {
            Some(segment) if self.given_application().is_some() => segment,
            Some(_) | None => &self.path.stream,
        };
        let given = self.overrides.stream.as_ref();
        given.or(self.options.playpath.as_ref()).unwrap_or(of_path)
    }

    /// User name for the server's authentication.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        let given = self.overrides.username.as_deref();
        given
            .or(self.options.username.as_deref())
            .or(self.authority.username.as_deref())
    }

    /// Password for the server's authentication.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        let given = self.overrides.password.as_ref();
        given
            .or(self.options.password.as_ref())
            .or(self.authority.password.as_ref())
    }

    /// The URL for the connect command: `scheme://host[:port]/application`, the port only if it is not the
    /// scheme's default, without user information, stream, fragment, or the zone of an address. It is secret as
    /// far as the application is.
    #[must_use]
    pub fn tc_url(&self) -> Cow<'_, str> {
        let option = self.options.tc_url.as_ref().map(Secret::expose);
        match self.overrides.tc_url.as_deref().or(option) {
            Some(given) => Cow::Borrowed(given),
            None => Cow::Owned(format!(
                "{}://{}/{}",
                self.scheme,
                self.host_and_port(),
                self.application()
            )),
        }
    }

    fn host_and_port(&self) -> String {
        let host = written_host(self.host());
        if self.port() == self.scheme.default_port() {
            host
        } else {
            format!("{host}:{}", self.port())
        }
    }

    /// The options behind the URL. Those that name application, stream, tcUrl, user name and password are in the
    /// answers of the methods above already.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// What was passed over in the location.
    #[must_use]
    pub fn warnings(&self) -> &[UrlWarning] {
        &self.warnings
    }

    /// Overrides the scheme, and with it the port if none is given.
    pub const fn set_scheme(&mut self, scheme: Scheme) {
        self.scheme = scheme;
    }

    /// Overrides the host.
    ///
    /// # Errors
    ///
    /// `host` is neither a name nor an address. An IPv6 address may stand in brackets.
    pub fn set_host(&mut self, host: &str) -> Result<(), UrlError> {
        self.authority.host = host_from(host)?;
        Ok(())
    }

    /// Overrides the port.
    ///
    /// # Errors
    ///
    /// `port` is 0.
    pub fn set_port(&mut self, port: u16) -> Result<(), UrlError> {
        self.authority.port = Some(NonZeroU16::new(port).ok_or(UrlError::PortOutOfRange)?);
        Ok(())
    }

    /// Overrides the application. A path of one segment becomes the stream.
    ///
    /// # Errors
    ///
    /// `application` has a control character.
    pub fn set_application(&mut self, application: &str) -> Result<(), UrlError> {
        without_controls(application, Part::Application)?;
        self.overrides.application = Some(application.to_owned());
        Ok(())
    }

    /// Overrides the stream, which is sent as it is given.
    ///
    /// # Errors
    ///
    /// `stream` has a control character.
    pub fn set_stream(&mut self, stream: &str) -> Result<(), UrlError> {
        without_controls(stream, Part::Stream)?;
        self.overrides.stream = Some(stream.into());
        Ok(())
    }

    /// Overrides the user name, which is not percent-decoded.
    ///
    /// # Errors
    ///
    /// `username` has a control character.
    pub fn set_username(&mut self, username: &str) -> Result<(), UrlError> {
        without_controls(username, Part::Username)?;
        self.overrides.username = Some(username.to_owned());
        Ok(())
    }

    /// Overrides the password, which is not percent-decoded.
    ///
    /// # Errors
    ///
    /// `password` has a control character.
    pub fn set_password(&mut self, password: &str) -> Result<(), UrlError> {
        without_controls(password, Part::Password)?;
        self.overrides.password = Some(password.into());
        Ok(())
    }

    /// Overrides the URL for the connect command; where to connect stays the same.
    ///
    /// # Errors
    ///
    /// `tc_url` has a control character.
    pub fn set_tc_url(&mut self, tc_url: &str) -> Result<(), UrlError> {
        without_controls(tc_url, Part::TcUrl)?;
        self.overrides.tc_url = Some(tc_url.to_owned());
        Ok(())
    }

    /// Has [`scrub`](Self::scrub) mask another secret that is in use beside this URL. What is as short as a word is
    /// left alone, as it is in queries.
    pub fn keep_secret(&mut self, secret: Secret) {
        if secret.expose().len() >= MIN_SCRUBBED_PIECE && !self.kept.contains(&secret) {
            self.kept.push(secret);
        }
    }

    /// Has [`scrub`](Self::scrub) mask the secrets of another URL too.
    pub fn keep_secrets_of(&mut self, other: &Self) {
        for secret in other.secrets().map(Secret::from) {
            if !secret.is_empty() && !self.kept.contains(&secret) {
                self.kept.push(secret);
            }
        }
    }

    /// `text`, mostly what a server says of a stream, with every secret of this URL that it repeats masked, and no
    /// NUL, at which a string of C would end.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        mask_all(&text.replace('\0', "\u{fffd}"), self.secrets())
    }

    /// Has [`scrub`](Self::scrub) mask one more name, of a stream that is asked for by other means.
    pub fn mask_name(&mut self, name: Secret) {
        let names = &mut self.overrides.other_names;
        if !names.contains(&name) {
            if names.len() >= MAX_OTHER_NAMES {
                names.remove(0);
            }
            names.push(name);
        }
    }

    /// The same for all such names of another URL.
    pub fn mask_names_of(&mut self, other: &Self) {
        for name in &other.overrides.other_names {
            self.mask_name(name.clone());
        }
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let options = &self.options;
        let whole = [
            Some(self.stream()),
            self.password(),
            options.token.as_ref(),
            options.jtv.as_ref(),
            options.weeb.as_ref(),
            options.subscribe.as_ref(),
        ];
        let stream = self.stream().expose();
        let name = stream.split_once('?').map_or(stream, |(name, _)| name);
        let queries = [self.application(), stream].into_iter().filter_map(|text| {
            let (_, query) = text.split_once('?')?;
            Some(query)
        });
        let values = queries.clone().flat_map(|query| {
            let parameters = query.split(['&', '/', '?']);
            parameters.filter_map(|parameter| Some(parameter.split_once('=')?.1))
        });
        let pieces = queries
            .chain(values)
            .filter(|piece| piece.len() >= MIN_SCRUBBED_PIECE);
        whole
            .into_iter()
            .flatten()
            .chain(&self.kept)
            .chain(&self.overrides.other_names)
            .map(Secret::expose)
            .chain([name])
            .chain(pieces)
    }
}

/// `text` with `secrets` masked.
fn mask_all<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let mut secrets: Vec<&str> = secrets.filter(|secret| !secret.is_empty()).collect();
    // A secret within a longer one must not break that one up before it is found.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
        .into_iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
}

impl FromStr for RtmpUrl {
    type Err = UrlError;

    fn from_str(location: &str) -> Result<Self, UrlError> {
        Self::parse(location)
    }
}

/// Scheme, host, port and the first segment of the application; the rest masked. A lone application may be a
/// stream key in the wrong place, so it is shown only in front of something. With an `@` behind the authority
/// nobody can tell the pieces of a password from the rest, so only the scheme is shown.
impl fmt::Display for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_doubtful {
            return write!(f, "{}://{MASK}", self.scheme);
        }
        let anybody = self.username().is_some() || self.password().is_some();
        let user_info = if anybody { "***@" } else { "" };
        write!(f, "{}://{user_info}{}/", self.scheme, self.host_and_port())?;

        let application = &mask_all(self.application(), self.kept.iter().map(Secret::expose));
        let first = application
            .find(['/', '?'])
            .and_then(|end| application.get(..end));
        match first {
            Some(first) => write!(f, "{first}/{MASK}"),
            None if !self.stream().is_empty() => write!(f, "{application}/{MASK}"),
            None if application.is_empty() => Ok(()),
            None => f.write_str(MASK),
        }
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtmpUrl({self})")
    }
}

/// Control characters are in no part: they would end a line of somebody's log, or of a server's configuration.
fn without_controls(text: &str, part: Part) -> Result<(), UrlError> {
    if text.contains(char::is_control) {
        return Err(UrlError::ControlCharacter(part));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn url(location: &str) -> RtmpUrl {
        RtmpUrl::parse(location).unwrap_or_else(|error| panic!("{location}: {error}"))
    }

    /// (location, application, stream, tcUrl). Playing and publishing split alike, so there is one table.
    const SPLITS: &[(&str, &str, &str, &str)] = &[
        // By the number of segments.
        ("rtmp://h", "", "", "rtmp://h/"),
        ("rtmp://h/", "", "", "rtmp://h/"),
        ("rtmp://h/app", "app", "", "rtmp://h/app"),
        ("rtmp://h/app/", "app", "", "rtmp://h/app"),
        (
            "rtmp://localhost/live/myStream",
            "live",
            "myStream",
            "rtmp://localhost/live",
        ),
        ("rtmp://h/a/b/c", "a/b", "c", "rtmp://h/a/b"),
        ("rtmp://h/a/b/c/d", "a/b", "c/d", "rtmp://h/a/b"),
        ("rtmp://h/app/st/", "app/st", "", "rtmp://h/app/st"),
        ("rtmp://h//st", "", "st", "rtmp://h/"),
        ("rtmp://h/app//a/b", "app", "a/b", "rtmp://h/app"),
        ("rtmp://h/app/inst//a", "app/inst", "a", "rtmp://h/app/inst"),
        // A colon marks the file: rtmp2 and QtAV issue 213 took the directory for an instance.
        (
            "rtmp://h/app/mp4:dir/f.mp4",
            "app",
            "mp4:dir/f.mp4",
            "rtmp://h/app",
        ),
        (
            "rtmp://h/vod/mp4:dir/file.mp4",
            "vod",
            "mp4:dir/file.mp4",
            "rtmp://h/vod",
        ),
        (
            "rtmp://h/vod/_definst_/mp4:dir/f.mp4",
            "vod/_definst_",
            "mp4:dir/f.mp4",
            "rtmp://h/vod/_definst_",
        ),
        ("rtmp://h/app/mp4:f", "app", "mp4:f", "rtmp://h/app"),
        ("rtmp://h/a:b/c/d", "a:b/c", "d", "rtmp://h/a:b/c"),
        // File names.
        ("rtmp://h/vod/f.mp4", "vod", "mp4:f.mp4", "rtmp://h/vod"),
        (
            "rtmp://h/vod/inst/dir/f.f4v",
            "vod/inst",
            "mp4:dir/f.f4v",
            "rtmp://h/vod/inst",
        ),
        ("rtmp://h/vod/f.flv", "vod", "f", "rtmp://h/vod"),
        ("rtmp://h/vod/flv:f.flv", "vod", "flv:f", "rtmp://h/vod"),
        ("rtmp://h/vod/f.mp3", "vod", "f.mp3", "rtmp://h/vod"),
        ("rtmp://h/vod/f.mp4?x=1", "vod", "f.mp4?x=1", "rtmp://h/vod"),
        ("rtmp://h/vod/f.MP4", "vod", "f.MP4", "rtmp://h/vod"),
        // Akamai's two forms.
        (
            "rtmp://cp1.edgefcs.net/ondemand/mp4:dir/f?auth=x&aifp=y",
            "ondemand",
            "mp4:dir/f?auth=x&aifp=y",
            "rtmp://cp1.edgefcs.net/ondemand",
        ),
        (
            "rtmp://h/ondemand?auth=x&slist=dir/f&aifp=y",
            "ondemand?auth=x&slist=dir/f&aifp=y",
            "dir/f",
            "rtmp://h/ondemand?auth=x&slist=dir/f&aifp=y",
        ),
        (
            "rtmp://h/a/b?slist=f.mp4",
            "a/b?slist=f.mp4",
            "mp4:f.mp4",
            "rtmp://h/a/b?slist=f.mp4",
        ),
        (
            "rtmp://h/app/st?userslist=a",
            "app",
            "st?userslist=a",
            "rtmp://h/app",
        ),
        // A query stays with its segment.
        (
            "rtmp://h/app/st?token=a/b&x=1",
            "app",
            "st?token=a/b&x=1",
            "rtmp://h/app",
        ),
        (
            "rtmp://a.example/live/KEY?token=abc",
            "live",
            "KEY?token=abc",
            "rtmp://a.example/live",
        ),
        (
            "rtmp://h/live/inst/key?tok=1",
            "live/inst",
            "key?tok=1",
            "rtmp://h/live/inst",
        ),
        (
            "rtmp://h/live/inst/key?u=http://x/y",
            "live/inst",
            "key?u=http://x/y",
            "rtmp://h/live/inst",
        ),
        ("rtmp://h/app/st?u=a:b/c", "app", "st?u=a:b/c", "rtmp://h/app"),
        ("rtmp://h/app/?st", "app", "?st", "rtmp://h/app"),
        ("rtmp://h/app?auth=x", "app?auth=x", "", "rtmp://h/app?auth=x"),
        ("rtmp://h?auth=x", "?auth=x", "", "rtmp://h/?auth=x"),
        (
            "rtmp://h/app?auth=x/st",
            "app?auth=x",
            "st",
            "rtmp://h/app?auth=x",
        ),
        (
            "rtmp://h/app?auth=x/inst/st",
            "app?auth=x/inst",
            "st",
            "rtmp://h/app?auth=x/inst",
        ),
        (
            "rtmp://h/app?auth=x/st?t=a/b",
            "app?auth=x",
            "st?t=a/b",
            "rtmp://h/app?auth=x",
        ),
        (
            "rtmp://h/app?auth=x?y/st",
            "app?auth=x?y",
            "st",
            "rtmp://h/app?auth=x?y",
        ),
        (
            "rtmp://h/app?auth=x/mp4:dir/f.mp4",
            "app?auth=x",
            "mp4:dir/f.mp4",
            "rtmp://h/app?auth=x",
        ),
        (
            "rtmp://h/app?auth=x/f.flv",
            "app?auth=x",
            "f",
            "rtmp://h/app?auth=x",
        ),
        // A fragment is the stream, as it is.
        ("rtmp://h/app#st", "app", "st", "rtmp://h/app"),
        (
            "rtmp://h/app/inst/x?k=v#a/b.flv",
            "app/inst/x?k=v",
            "a/b.flv",
            "rtmp://h/app/inst/x?k=v",
        ),
        ("rtmp://h/app/st#", "app/st", "", "rtmp://h/app/st"),
        ("rtmp://h#st", "", "st", "rtmp://h/"),
        // Nothing is decoded, encoded or normalised.
        (
            "rtmp://h/a%2Fb/c%20d+é?e=%41",
            "a%2Fb",
            "c%20d+é?e=%41",
            "rtmp://h/a%2Fb",
        ),
        ("rtmp://h/App/../x", "App/..", "x", "rtmp://h/App/.."),
        // The `@` of a stream name is not that of the user information.
        (
            "rtmp://h/EntryPoint/name_1_500@1234",
            "EntryPoint",
            "name_1_500@1234",
            "rtmp://h/EntryPoint",
        ),
        // Options are no part of the path, which is what breaks old pipelines with rtmp2.
        ("rtmp://h/app/st live=1", "app", "st", "rtmp://h/app"),
        ("rtmp://h/app live=1", "app", "", "rtmp://h/app"),
        ("rtmp://h/x app=live", "live", "x", "rtmp://h/live"),
        (
            "rtmp://h/x.flv?k=a app=live",
            "live",
            "x.flv?k=a",
            "rtmp://h/live",
        ),
        ("rtmp://h/x.flv app=live", "live", "x", "rtmp://h/live"),
        (
            "rtmp://h/a/b app=live/inst",
            "live/inst",
            "b",
            "rtmp://h/live/inst",
        ),
        ("rtmp://h/a/b playpath=x/y.flv", "a", "x/y.flv", "rtmp://h/a"),
        (
            "rtmp://h app=a/b/c playpath=d/e",
            "a/b/c",
            "d/e",
            "rtmp://h/a/b/c",
        ),
        ("rtmp://h/a/b tcUrl=rtmp://other/c", "a", "b", "rtmp://other/c"),
    ];

    #[test]
    fn paths_are_split_as_the_module_says() {
        for (location, application, stream, tc_url) in SPLITS {
            let url = url(location);
            let split = (url.application(), url.stream().expose(), &*url.tc_url());
            assert_eq!(split, (*application, *stream, *tc_url), "{location}");
            assert_eq!(url.location(), Some(*location));
            assert_eq!(url.warnings(), [], "{location}");
        }
    }

    #[test]
    fn authorities_give_host_and_port() {
        for (location, scheme, host, port, tc_url) in [
            ("rtmp://h/a/s", Scheme::Rtmp, "h", 1935, "rtmp://h/a"),
            (
                "RTMP://H.Example/a/s",
                Scheme::Rtmp,
                "H.Example",
                1935,
                "rtmp://H.Example/a",
            ),
            ("rtmps://h/a/s", Scheme::Rtmps, "h", 443, "rtmps://h/a"),
            ("rtmpe://h/a/s", Scheme::Rtmpe, "h", 1935, "rtmpe://h/a"),
            ("rtmpt://h/a/s", Scheme::Rtmpt, "h", 80, "rtmpt://h/a"),
            ("rtmpts://h/a/s", Scheme::Rtmpts, "h", 443, "rtmpts://h/a"),
            ("rtmpte://h/a/s", Scheme::Rtmpte, "h", 80, "rtmpte://h/a"),
            ("rtmfp://h/a/s", Scheme::Rtmfp, "h", 1935, "rtmfp://h/a"),
            ("rtmp://h:1935/a/s", Scheme::Rtmp, "h", 1935, "rtmp://h/a"),
            ("rtmp://h:443/a/s", Scheme::Rtmp, "h", 443, "rtmp://h:443/a"),
            ("rtmps://h:1935/a/s", Scheme::Rtmps, "h", 1935, "rtmps://h:1935/a"),
            (
                "rtmp://h:00065535/a/s",
                Scheme::Rtmp,
                "h",
                65535,
                "rtmp://h:65535/a",
            ),
            (
                "rtmp://127.0.0.1:1/a/s",
                Scheme::Rtmp,
                "127.0.0.1",
                1,
                "rtmp://127.0.0.1:1/a",
            ),
            (
                "rtmp://[::1]:1935/app/st",
                Scheme::Rtmp,
                "::1",
                1935,
                "rtmp://[::1]/app",
            ),
            (
                "rtmps://[2001:db8::1]/a/s",
                Scheme::Rtmps,
                "2001:db8::1",
                443,
                "rtmps://[2001:db8::1]/a",
            ),
            (
                "rtmp://[2001:DB8::1]:1936/a/s",
                Scheme::Rtmp,
                "2001:DB8::1",
                1936,
                "rtmp://[2001:DB8::1]:1936/a",
            ),
            (
                "rtmp://u:p@[::1]:2/a/s",
                Scheme::Rtmp,
                "::1",
                2,
                "rtmp://[::1]:2/a",
            ),
            (
                "rtmp://[fe80::1%25eth0]:2/a/s",
                Scheme::Rtmp,
                "fe80::1%eth0",
                2,
                "rtmp://[fe80::1]:2/a",
            ),
            ("  rtmp://h/a/s", Scheme::Rtmp, "h", 1935, "rtmp://h/a"),
        ] {
            let url = url(location);
            let parts = (url.scheme(), url.host(), url.port(), &*url.tc_url());
            assert_eq!(parts, (scheme, host, port, tc_url), "{location}");
        }
    }

    #[test]
    fn user_information_is_decoded_and_ends_at_the_last_at() {
        for (location, username, password) in [
            ("rtmp://h/a/s", None, None),
            ("rtmp://@h/a/s", None, None),
            ("rtmp://me@h/a/s", Some("me"), None),
            ("rtmp://me:pass@h/a/s", Some("me"), Some("pass")),
            ("rtmp://me:@h/a/s", Some("me"), Some("")),
            ("rtmp://:pass@h/a/s", None, Some("pass")),
            ("rtmp://me:a:b@c@h/a/s", Some("me"), Some("a:b@c")),
            ("rtmp://m%40e:p%2Fa%3a%C3%A9@h/a/s", Some("m@e"), Some("p/a:é")),
            ("rtmp://me:100%@h/a/s", Some("me"), Some("100%")),
            ("rtmp://me:p+s@h/a/s", Some("me"), Some("p+s")),
            ("rtmp://h/a/s pubUser=me pubPasswd=a%20b", Some("me"), Some("a b")),
            ("rtmp://x:y@h/a/s pubPasswd=pass", Some("x"), Some("pass")),
        ] {
            let url = url(location);
            let parts = (url.username(), url.password().map(Secret::expose));
            assert_eq!(parts, (username, password), "{location}");
            assert_eq!((url.host(), &*url.tc_url()), ("h", "rtmp://h/a"), "{location}");
        }
    }

    #[test]
    fn a_location_carries_options() {
        let url = url(r"rtmp://host/app/key live=1 timeout=10 conn=S:x\20y timout=3");
        assert_eq!(url.options().live, Some(true));
        assert_eq!(url.options().timeout, Some(Duration::from_secs(10)));
        assert_eq!(url.options().connect_args, ConnectArgs::parse("S:x%20y").unwrap());
        assert_eq!(
            url.warnings(),
            [UrlWarning::UnknownOption {
                place: 4,
                name: "timout".into()
            }]
        );
    }

    #[test]
    fn errors_name_the_part_and_the_remedy() {
        for (location, message) in [
            (
                "",
                "the location does not begin with a scheme: write it as rtmp://host/application/stream",
            ),
            (
                "host/SECRET",
                "the location does not begin with a scheme: write it as rtmp://host/application/stream",
            ),
            (
                "://h/SECRET",
                "the location does not begin with a scheme: write it as rtmp://host/application/stream",
            ),
            (
                "http://h/a/SECRET",
                "the scheme of the location is not one of RTMP: write rtmp, rtmps, rtmpe, rtmpt, rtmpts, rtmpte or \
                 rtmfp before ://",
            ),
            (
                "rtmp:///a/SECRET",
                "the host is missing: write a name or an address behind ://, as in rtmp://host/application/stream",
            ),
            (
                "rtmp://SECRET@:1935/a/b",
                "the host is missing: write a name or an address behind ://, as in rtmp://host/application/stream",
            ),
            (
                "rtmp://h<SECRET>/a",
                "the host has a character that no host has: write a name, an IPv4 address, or an IPv6 address in \
                 brackets",
            ),
            (
                "rtmp://[::1]x:1935/a/SECRET",
                "the host has a character that no host has: write a name, an IPv4 address, or an IPv6 address in \
                 brackets",
            ),
            (
                "rtmp://[::1/a/SECRET",
                "the host begins with [ but has no ]: write ] behind the IPv6 address, as in [::1]:1935",
            ),
            (
                "rtmp://::1/a/SECRET",
                "the host has more than one colon: write an IPv6 address in brackets, as in [::1]:1935, and %3A for \
                 a colon and %40 for an @ in a user name",
            ),
            (
                "rtmp://[SECRET]/a/b",
                "the host is not an IPv6 address: write one such as [2001:db8::1], in brackets",
            ),
            (
                "rtmp://h:/a/SECRET",
                "the port is not a number: write digits behind the colon of the host, as in host:1935, and %2F for \
                 a slash in a password",
            ),
            (
                "rtmp://me:SEC/RET@h/a/SECRET",
                "the port is not a number: write digits behind the colon of the host, as in host:1935, and %2F for \
                 a slash in a password",
            ),
            (
                "rtmp://h:+80/a/SECRET",
                "the port is not a number: write digits behind the colon of the host, as in host:1935, and %2F for \
                 a slash in a password",
            ),
            (
                "rtmp://h:0/a/SECRET",
                "the port is out of range: write a number from 1 to 65535",
            ),
            (
                "rtmp://h:65536/a/SECRET",
                "the port is out of range: write a number from 1 to 65535",
            ),
            (
                "rtmp://h:99999999999999999999/a/b",
                "the port is out of range: write a number from 1 to 65535",
            ),
            (
                "rtmp://h/a/SECRET\n",
                "the stream has a control character: remove it, and a line break at the end if it was read from a \
                 file",
            ),
            (
                "rtmp://h/a\0/SECRET",
                "the application has a control character: remove it, and a line break at the end if it was read \
                 from a file",
            ),
            (
                "rtmp://h\r/a/SECRET",
                "the host has a control character: remove it, and a line break at the end if it was read from a file",
            ),
            (
                "rtmp://SECRET%0d@h/a/b",
                "the user name has a control character: remove it, and a line break at the end if it was read from \
                 a file",
            ),
            (
                "rtmp://me:SECRET\u{85}@h/a/b",
                "the password has a control character: remove it, and a line break at the end if it was read from a \
                 file",
            ),
            (
                r"rtmp://h/a/b pubPasswd=SECRET\0a",
                "the option pubPasswd has a control character: remove it, and a line break at the end if it was \
                 read from a file",
            ),
            (
                "rtmp://me:SECRET%ff@h/a/b",
                "the password is not UTF-8 once its escapes are decoded: escape the bytes of its UTF-8 form",
            ),
            (
                r"rtmp://h/a/b playpath=SECRET\e9",
                "the option playpath is not UTF-8 once its escapes are decoded: escape the bytes of its UTF-8 form",
            ),
            (
                r"rtmp://h/a/b token=SECRET\2",
                r"the option token has a backslash without two hexadecimal digits: write \5c for a backslash, \20 for a space",
            ),
            (
                "rtmp://h/a/b timeout=SECRET",
                "the option timeout has a value that it does not take: write a whole number of seconds",
            ),
            (
                "rtmp://h/a/b buffer=-1",
                "the option buffer has a value that it does not take: write a whole number of milliseconds",
            ),
            (
                "rtmp://h/a/b swfAge=",
                "the option swfAge has a value that it does not take: write a whole number of days",
            ),
            (
                "rtmp://h/a/b socks=SECRET:x",
                "the option socks has a value that it does not take: write host or host:port",
            ),
            (
                "rtmp://h/a/b conn=Z: conn=X:SECRET",
                "the connect argument 2 has no type: begin it with B:, N:, S:, O: or Z:, or with N and one of these",
            ),
            (
                r"rtmp://h/a/b conn=S:SECRET\zz",
                r"the connect argument 1 has a backslash without two hexadecimal digits: write \5c for a backslash, \20 for a space",
            ),
        ] {
            let error = RtmpUrl::parse(location).unwrap_err();
            assert_eq!(error.to_string(), message, "{location:?}");
            assert!(
                !format!("{error} {error:?} {error:#?}").contains("SEC"),
                "{location:?}"
            );
        }
    }

    #[test]
    fn setters_go_before_options_and_options_before_the_path() {
        let mut url =
            url("rtmp://me:pass@h:1936/a/b app=c playpath=d tcUrl=rtmp://e/f pubUser=you pubPasswd=word");
        assert_eq!(
            (url.application(), url.stream().expose(), &*url.tc_url()),
            ("c", "d", "rtmp://e/f")
        );
        assert_eq!(
            (url.username(), url.password()),
            (Some("you"), Some(&"word".into()))
        );

        url.set_scheme(Scheme::Rtmps);
        url.set_host("::1").unwrap();
        url.set_application("live/x").unwrap();
        url.set_stream("y/z.flv").unwrap();
        url.set_username("100%25").unwrap();
        url.set_password("p@/:").unwrap();
        url.set_tc_url("rtmp://g/h").unwrap();
        assert_eq!(
            (url.scheme(), url.host(), url.port()),
            (Scheme::Rtmps, "::1", 1936)
        );
        assert_eq!((url.application(), url.stream().expose()), ("live/x", "y/z.flv"));
        assert_eq!(
            (url.username(), url.password()),
            (Some("100%25"), Some(&"p@/:".into()))
        );
        assert_eq!(url.tc_url(), "rtmp://g/h");
        assert_eq!(
            url.location(),
            Some("rtmp://me:pass@h:1936/a/b app=c playpath=d tcUrl=rtmp://e/f pubUser=you pubPasswd=word")
        );

        assert_eq!(url.set_port(0), Err(UrlError::PortOutOfRange));
        assert_eq!(url.port(), 1936);
        url.set_port(443).unwrap();
        assert_eq!(url.port(), 443);
    }

    #[test]
    fn a_url_is_built_from_parts() {
        let mut url = RtmpUrl::new(Scheme::Rtmp, "[2001:db8::1]").unwrap();
        assert_eq!(url.location(), None);
        assert_eq!((url.application(), url.stream().expose()), ("", ""));
        url.set_application("live").unwrap();
        url.set_stream("key").unwrap();
        assert_eq!((url.host(), url.port()), ("2001:db8::1", 1935));
        assert_eq!(url.tc_url(), "rtmp://[2001:db8::1]/live");
        url.set_scheme(Scheme::Rtmpt);
        assert_eq!((url.port(), &*url.tc_url()), (80, "rtmpt://[2001:db8::1]/live"));
        assert_eq!(RtmpUrl::new(Scheme::Rtmp, ""), Err(UrlError::HostMissing));
    }

    #[test]
    fn an_application_of_its_own_makes_the_only_segment_the_stream() {
        let mut url = url("rtmp://h/key.mp4");
        assert_eq!((url.application(), url.stream().expose()), ("key.mp4", ""));
        url.set_application("live").unwrap();
        assert_eq!(
            (url.application(), url.stream().expose()),
            ("live", "mp4:key.mp4")
        );
        url.set_stream("other").unwrap();
        assert_eq!(url.stream().expose(), "other");
    }

    #[test]
    fn setters_refuse_what_a_location_could_not_say() {
        let mut url = RtmpUrl::new(Scheme::Rtmp, "h").unwrap();
        let before = url.clone();
        assert_eq!(url.set_host("a/b"), Err(UrlError::HostInvalid));
        assert_eq!(url.set_host("[::1"), Err(UrlError::BracketUnclosed));
        assert_eq!(url.set_host("h:1935"), Err(UrlError::AddressInvalid));
        assert_eq!(
            url.set_application("a\n"),
            Err(UrlError::ControlCharacter(Part::Application))
        );
        assert_eq!(
            url.set_stream("key\n"),
            Err(UrlError::ControlCharacter(Part::Stream))
        );
        assert_eq!(
            url.set_username("a\t"),
            Err(UrlError::ControlCharacter(Part::Username))
        );
        assert_eq!(
            url.set_password("\0"),
            Err(UrlError::ControlCharacter(Part::Password))
        );
        assert_eq!(
            url.set_tc_url("rtmp://h/\n"),
            Err(UrlError::ControlCharacter(Part::TcUrl))
        );
        assert_eq!(url, before);
    }

    #[test]
    fn display_shows_where_but_not_what() {
        for (location, shown) in [
            ("rtmp://h/live/key", "rtmp://h/live/***"),
            (
                "rtmps://me:pass@h:1936/live/inst/key?token=x",
                "rtmps://***@h:1936/live/***",
            ),
            ("rtmp://:pass@[::1]/live/key", "rtmp://***@[::1]/live/***"),
            ("rtmp://h/live/key pubUser=me timeout=7", "rtmp://***@h/live/***"),
            ("rtmp://h/key", "rtmp://h/***"),
            ("rtmp://h/key/", "rtmp://h/***"),
            ("rtmp://h/live/key/", "rtmp://h/live/***"),
            ("rtmp://h/key app=live", "rtmp://h/live/***"),
            ("rtmp://h/app?auth=x", "rtmp://h/app/***"),
            ("rtmp://h/app?auth=x/st", "rtmp://h/app/***"),
            ("rtmp://h/app#st", "rtmp://h/app/***"),
            ("rtmp://h", "rtmp://h/"),
            // Whose `@` is it?
            ("rtmp://me:12/34@h/live/key", "rtmp://***"),
            ("rtmp://me:12 34@h/live/key", "rtmp://***"),
            ("rtmp://me:1@2/34@h/live/key", "rtmp://***"),
            ("rtmp://me:pass@h/live/name@1234", "rtmp://***"),
            ("rtmp://h/live/key pubUser=me@x", "rtmp://***@h/live/***"),
        ] {
            let url = url(location);
            assert_eq!(url.to_string(), shown, "{location}");
            assert_eq!(format!("{url:?}"), format!("RtmpUrl({shown})"), "{location}");
        }
    }

    #[test]
    fn scrubbing_masks_what_a_server_repeats() {
        let url = url("rtmp://me:hunter2@h/live?auth=abcd1234/key-5?token=wxyz9&v=1 token=tea");
        for (text, scrubbed) in [
            ("key-5?token=wxyz9&v=1 is now published.", "*** is now published."),
            ("stream key-5 exists", "stream *** exists"),
            ("token wxyz9 has expired; v=1", "token *** has expired; v=1"),
            ("bad app live?auth=abcd1234", "bad app live?***"),
            ("hunter2 tea abcd1234", "*** *** ***"),
            ("cut\0off", "cut\u{fffd}off"),
            (
                "[ AccessManager.Reject ] : [ code=403 need auth ]",
                "[ AccessManager.Reject ] : [ code=403 need auth ]",
            ),
        ] {
            assert_eq!(url.scrub(text), scrubbed);
        }
        assert_eq!(
            RtmpUrl::new(Scheme::Rtmp, "h").unwrap().scrub("as it was"),
            "as it was"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_panic(text in any::<String>(), tail in "[ -~]{0,40}") {
            for location in [text.clone(), format!("rtmp://{text}"), format!("rtmp://h/{text}"), format!("rtmp://{tail}"),
                format!("rtmp://h/{tail}"), format!("rtmp://h/a/b {tail}"), format!("rtmp://h/a/b conn={tail}")] {
                if let Ok(url) = RtmpUrl::parse(&location) {
                    prop_assert_eq!(url.location(), Some(&*location));
                    let _ = (url.to_string(), url.tc_url(), url.scrub(&text));
                }
            }
        }

        #[test]
        fn no_secret_is_displayed(
            username in "[a-z:@%]{0,5}SECRET[a-z@%]{0,5}",
            password in "[a-z:@/?#% ]{0,5}SECRET[a-z:@/?#% ]{0,5}",
            key in "[a-z:@/?#%=&. ]{0,5}SECRET[a-z:@/?#%=&. ]{0,5}",
            query in "[a-z:@/?#%=& ]{0,5}SECRET[a-z:@/?#%=& ]{0,5}",
            part in 0_usize..7,
        ) {
            let location = match part {
                0 => format!("rtmp://{username}:{password}@h/live/key"),
                1 => format!("rtmp://h/live/{key}"),
                2 => format!("rtmp://h/live/key?{query}"),
                3 => format!("rtmp://h/live?{query}/key"),
                4 => format!("rtmp://h/live/key#{key}"),
                5 => format!("rtmp://h/live/key playpath={key} pubPasswd={password} token={query}"),
                _ => format!("rtmp://h/live/key conn=S:{query} timeout={password} {key}"),
            };
            let shown = match RtmpUrl::parse(&location) {
                Ok(url) => format!("{url} {url:?} {:?} {:?}", url.options(), url.warnings()),
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!shown.contains("SECRET"), "{} shows {}", location, shown);
        }

        #[test]
        fn a_simple_location_comes_apart_as_it_was_put_together(
            scheme in 0_usize..7,
            host in "[a-z][a-z0-9.-]{0,20}",
            port in 1_u16..,
            application in "[a-zA-Z0-9_%-]{1,12}",
            stream in "[a-zA-Z0-9_%-]{1,12}",
            query in "[a-zA-Z0-9_%=&/:?@-]{0,20}",
        ) {
            let scheme = Scheme::ALL[scheme];
            let url = url(&format!("{scheme}://{host}:{port}/{application}/{stream}?a=b{query}"));
            prop_assert_eq!((url.scheme(), url.host(), url.port()), (scheme, &*host, port));
            prop_assert_eq!(url.application(), &application);
            prop_assert_eq!(url.stream().expose(), format!("{stream}?a=b{query}"));
            let port = if port == scheme.default_port() { String::new() } else { format!(":{port}") };
            prop_assert_eq!(url.tc_url(), format!("{scheme}://{host}{port}/{application}"));
        }
    }
}
