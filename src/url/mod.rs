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
mod tests;
