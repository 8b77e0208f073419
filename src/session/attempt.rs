//! What to try next when an attempt to connect has failed: the next step of a login, the URL of a redirect, or the same
//! again in lock-step. Each attempt is a connection of its own; the owner makes it and comes back with its failure.
//!
//! ```text
//!   Plan::new -> attempt() -> [owner: dial, Session::client] -> Ready
//!                    ^                       |
//!                    |                    failure
//!                    +---- Detour <---- handle_failure() ----> the error to tell
//! ```
//!
//! Every way back to another attempt is bounded: two login steps a host, [`MAX_REDIRECTS`] redirects, one fall-back, one
//! change of keys.

use std::fmt;
use std::sync::Arc;

use super::login::{Login, Scheme as Authentication, Step};
use super::redirect::{self, MAX_REDIRECTS, RedirectFault};
use super::{ClientConfig, Error, Phase, Status};
use crate::amf::Text;
use crate::handshake::{Entropy, Style};
use crate::url::{RtmpUrl, Secret};

/// One connection to try.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Where to: scheme, host and port count. Its `scrub` knows every secret that the attempt tells or may be told.
    pub url: Arc<RtmpUrl>,
    /// What to say there.
    pub config: Arc<ClientConfig>,
}

/// Why there is another attempt.
#[derive(Clone, Debug)]
pub enum Detour {
    /// The server asks who is there.
    LoginName(Authentication),
    /// The server asks to prove it.
    LoginAnswer(Authentication),
    /// The server sends the client on. `Display` of the URL shows no secret.
    Redirect(Arc<RtmpUrl>),
    /// The server has not taken connect and createStream at a time.
    LockStep,
    /// RTMPE may have come to different keys at both ends; other ones are agreed on.
    OtherKeys,
}

impl fmt::Display for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoginName(scheme) => write!(f, "the server asks for a login by authmod={scheme}"),
            Self::LoginAnswer(scheme) => write!(f, "answering the challenge of authmod={scheme}"),
            Self::Redirect(url) => write!(f, "redirected to {url}"),
            Self::LockStep => f.write_str("trying again with one command at a time"),
            Self::OtherKeys => f.write_str("trying again with other keys"),
        }
    }
}

/// See the module.
pub struct Plan {
    /// As the user wants it, for hosts that are trusted.
    wanted: Arc<ClientConfig>,
    /// Of the attempt that is due, without what a login appends.
    config: ClientConfig,
    url: Arc<RtmpUrl>,
    origin: String,
    /// Whether the attempt that is due goes to the first host, or to one that the user has named.
    is_trusted: bool,
    login: Login,
    /// Where attempts have been made, redirects apart. Secret.
    places: Vec<Secret>,
    has_changed_keys: bool,
    entropy: Entropy,
}

impl Plan {
    /// A plan whose first attempt is `config` at `url`.
    #[must_use]
    pub fn new(url: RtmpUrl, config: Arc<ClientConfig>) -> Self {
        Self {
            config: (*config).clone(),
            login: Login::new(config.authmod, config.credentials.clone()),
            origin: url.host().to_owned(),
            is_trusted: true,
            places: vec![place(&url, &config.application, &config.stream)],
            url: Arc::new(url),
            has_changed_keys: false,
            entropy: Entropy::new(config.entropy),
            wanted: config,
        }
    }

    /// The attempt that is due. Each call makes other random bytes.
    pub fn attempt(&mut self) -> Attempt {
        let mut config = self.config.clone();
        self.entropy.fill(&mut config.entropy);
        if let Some(suffix) = self.login.suffix() {
            config.application = appended(&config.application, &suffix);
            config.tc_url = appended(&config.tc_url, &suffix);
        }
        Attempt {
            url: Arc::clone(&self.url),
            config: Arc::new(config),
        }
    }

    /// Whether the attempt that is due goes to a host that may be shown what the user has.
    #[must_use]
    pub const fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Looks for a way on after the attempt has failed and its session [had ambiguous
    /// keys](super::Session::has_ambiguous_keys): the same again has other ones. Once is enough, as one connection in
    /// 256 has this.
    pub fn handle_ambiguous_keys(&mut self) -> Option<Detour> {
        let has_changed = std::mem::replace(&mut self.has_changed_keys, true);
        (!has_changed).then_some(Detour::OtherKeys)
    }

    /// Looks for a way on after the attempt has failed in `phase`. A connection that broke counts as closed.
    ///
    /// # Errors
    ///
    /// There is none, for this reason.
    pub fn handle_failure(&mut self, phase: Phase, error: Error) -> Result<Detour, Error> {
        if let Error::Rejected { status, .. } = &error {
            if redirect::is_redirect(status) {
                let followed = self.follow(status);
                return followed.map_err(|fault| Error::Redirect {
                    fault,
                    status: status.clone(),
                });
            }
            if phase == Phase::Connect
                && let Some(step) = self.log_in(status)
            {
                return step;
            }
        }
        if self.config.one_flight && is_confusion(phase, &error) {
            self.config.one_flight = false;
            return Ok(Detour::LockStep);
        }
        Err(error)
    }

    fn log_in(&mut self, status: &Status) -> Option<Result<Detour, Error>> {
        let application = self.config.application.to_str_lossy().into_owned();
        let mut secrets = Vec::new();
        let step =
            self.login
                .handle_refusal(&status.description, &application, &mut self.entropy, &mut secrets)?;
        self.keep(secrets);
        Some(match step {
            Ok(Step::Name(scheme)) => Ok(Detour::LoginName(scheme)),
            Ok(Step::Answer(scheme)) => Ok(Detour::LoginAnswer(scheme)),
            Err(fault) => Err(Error::Login {
                fault,
                status: Box::new(status.clone()),
            }),
        })
    }

    fn keep(&mut self, secrets: impl IntoIterator<Item = Secret>) {
        let url = Arc::make_mut(&mut self.url);
        secrets.into_iter().for_each(|secret| url.keep_secret(secret));
    }

    fn follow(&mut self, status: &Status) -> Result<Detour, RedirectFault> {
        let policy = &self.wanted.redirects;
        if !policy.follow {
            return Err(RedirectFault::Disabled);
        }
        let stream = self.config.stream.to_str_lossy().into_owned();
        let mut target = redirect::target(status, &stream)?;
        if self.places.len() > MAX_REDIRECTS {
            return Err(RedirectFault::TooMany);
        }
        let weaker = redirect::protection(target.scheme()) < redirect::protection(self.url.scheme());
        if weaker && !policy.to_unencrypted {
            return Err(RedirectFault::Unencrypted);
        }
        let is_trusted = target.host().eq_ignore_ascii_case(&self.origin) || policy.trusts(target.host());
        if !is_trusted && target.stream().is_empty() {
            return Err(RedirectFault::Untrusted);
        }
        let mut config = if is_trusted {
            (*self.wanted).clone()
        } else {
            stripped(&self.wanted)
        };
        config.one_flight = self.config.one_flight;
        config.handshake = match (target.scheme().is_rtmpe(), self.wanted.handshake) {
            (true, _) => Style::Rtmpe,
            (false, Style::Rtmpe) => Style::Digest,
            (false, style) => style,
        };
        let query = self.wanted.application.to_str_lossy().into_owned();
        if let (true, Some((_, query)), None) = (
            is_trusted,
            query.split_once('?'),
            target.application().split_once('?'),
        ) {
            let application = format!("{}?{query}", target.application());
            // It was in the first application, so it has no control character.
            let _ = target.set_application(&application);
        }
        config.stream = match target.stream().is_empty() {
            true => Text::from(stream),
            false => target.stream().expose().into(),
        };
        config.application = target.application().into();
        config.tc_url = target.tc_url().as_ref().into();
        let place = place(&target, &config.application, &config.stream);
        if self.places.contains(&place) {
            return Err(RedirectFault::Circular);
        }
        self.places.push(place);
        self.is_trusted = is_trusted;
        self.login = Login::new(config.authmod, config.credentials.clone());
        // A stream that was taken along has been checked where it came from.
        let _ = target.set_stream(&config.stream.to_str_lossy());
        // What was secret before the redirect is so after it.
        target.keep_secrets_of(&self.url);
        self.config = config;
        self.url = Arc::new(target);
        Ok(Detour::Redirect(Arc::clone(&self.url)))
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What tells one redirect from another.
fn place(url: &RtmpUrl, application: &Text, stream: &Text) -> Secret {
    let (scheme, host, port) = (url.scheme(), url.host().to_ascii_lowercase(), url.port());
    let [application, stream] = [application, stream].map(Text::to_str_lossy);
    format!("{scheme}://{host}:{port}/{application}/{stream}").into()
}

/// What a host may hear that nobody has vouched for.
fn stripped(wanted: &ClientConfig) -> ClientConfig {
    ClientConfig {
        credentials: None,
        secure_token: None,
        usher_token: None,
        connect_arguments: Vec::new(),
        swf_url: None,
        page_url: None,
        subscribe: None,
        ..wanted.clone()
    }
}

/// Whether a server may have stumbled over commands that came before it had answered connect: it closes, says nothing,
/// or nonsense, or does not know createStream yet. Its refusal of connect itself is an answer.
fn is_confusion(phase: Phase, error: &Error) -> bool {
    match (phase, error) {
        (Phase::Connect | Phase::CreateStream, Error::TimedOut(_) | Error::Disconnected(_)) => true,
        (Phase::Connect | Phase::CreateStream, Error::Malformed(_) | Error::PeerMisbehaved(_)) => true,
        (_, Error::Rejected { phase, .. }) => *phase == Phase::CreateStream,
        _ => false,
    }
}

fn appended(text: &Text, suffix: &Secret) -> Text {
    let bytes = [text.as_bytes(), suffix.expose().as_bytes()].concat();
    Text::from(bytes::Bytes::from(bytes))
}

#[cfg(test)]
mod tests;
