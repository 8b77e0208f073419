//! Logging in by `authmod`: what servers of the Adobe lineage ask for when they refuse connect, and the answer.
//!
//! ```text
//!   Anonymous --(code=403 need auth; authmod=X)--> Named --(reason=needauth, challenge)--> Answered --> accepted
//!       |  connect as it is               app and tcUrl += ?authmod=X&user=U      += ?authmod=X&user=U&..response=R
//!       +--------------------- reason=authfailed, nosuchuser; the same again; no credentials --> fault
//! ```
//!
//! Each step is a connect on a new TCP connection: servers close after the refusal. The suffix always begins with
//! `?authmod=`, at the very end, even behind a query: FFmpeg, librtmp, OBS and rtmp2 write it so, and mediamtx looks
//! for that literal in tcUrl. Descriptions are read leniently: crtmpserver, FMS and Wowza put brackets around their
//! parts, mediamtx does not.
//!
//! `adobe` and `llnw` have the formulas, [`Gate`] is the server's side, and [`secure_token`] answers another
//! question: Wowza's, in the reply to a connect that was accepted.

mod adobe;
mod challenge;
mod gate;
mod llnw;
pub mod secure_token;

use std::fmt;

pub use self::gate::{Gate, without_login};

use self::challenge::{Demand, Parameters};
use crate::handshake::Entropy;
use crate::url::Secret;

/// Which scheme to log in by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Authmod {
    /// None: a server that asks for a login is told nothing.
    None,
    /// The one that the server asks for.
    #[default]
    Auto,
    /// This one, without asking the server first.
    Only(Scheme),
}

/// A scheme of `authmod`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// FMS, AMS, Akamai's entry points, Wowza, mediamtx.
    Adobe,
    /// Limelight.
    Llnw,
}

impl Scheme {
    const ALL: [Self; 2] = [Self::Adobe, Self::Llnw];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adobe => "adobe",
            Self::Llnw => "llnw",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user's name and password.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    user: String,
    password: Secret,
}

impl Credentials {
    /// `None` if `user` is empty or cannot stand in the query of an application: it has a space, a control character,
    /// `&`, `?` or `=`. Such a name may be given percent-encoded, if the server takes it so.
    #[must_use]
    pub fn new(user: &str, password: Secret) -> Option<Self> {
        let unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '&' | '?' | '=');
        let user = (!user.is_empty() && !user.contains(unfit)).then(|| user.to_owned())?;
        Some(Self { user, password })
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// Why a login has failed. What the server said is beside it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginFault {
    /// The server asks for a login, and there is no user name or no password.
    NoCredentials(Scheme),
    /// The server asks for a login, and `authmod` is none.
    Disabled(Scheme),
    /// The server asks for another scheme than the one that was chosen.
    OtherScheme {
        /// What is in use.
        ours: Scheme,
        /// What the server asks for.
        theirs: Scheme,
    },
    /// User or password are wrong, or the server has another reason.
    Refused,
    /// The server asks the same question again, after it was answered.
    AskedAgain,
    /// The server's question cannot be answered.
    BadChallenge(&'static str),
}

/// What a login has come to on one host.
#[derive(Clone)]
enum State {
    Anonymous,
    Named(Scheme),
    Answered(Scheme, Secret),
}

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Connect again with the user's name.
    Name(Scheme),
    /// Connect again with the answer to the server's challenge.
    Answer(Scheme),
}

/// A client's login on one host.
pub(super) struct Login {
    mode: Authmod,
    credentials: Option<Credentials>,
    state: State,
}

impl Login {
    pub(super) const fn new(mode: Authmod, credentials: Option<Credentials>) -> Self {
        let state = match (mode, &credentials) {
            (Authmod::Only(scheme), Some(_)) => State::Named(scheme),
            _ => State::Anonymous,
        };
        Self {
            mode,
            credentials,
            state,
        }
    }

    /// What goes behind application and tcUrl. Secret.
    pub(super) fn suffix(&self) -> Option<Secret> {
        match (&self.state, &self.credentials) {
            (State::Named(scheme), Some(Credentials { user, .. })) => {
                Some(format!("?authmod={scheme}&user={user}").into())
            }
            (State::Answered(_, suffix), _) => Some(suffix.clone()),
            _ => None,
        }
    }

    /// Reads the description of a refused connect to `application` (without the suffix). `None` if it is about
    /// something else. What the server's challenge and our answer to it consist of goes to `secrets`.
    pub(super) fn handle_refusal(
        &mut self,
        description: &str,
        application: &str,
        entropy: &mut Entropy,
        secrets: &mut Vec<Secret>,
    ) -> Option<Result<Step, LoginFault>> {
        let in_use = match self.state {
            State::Anonymous => None,
            State::Named(scheme) | State::Answered(scheme, _) => Some(scheme),
        };
        let demand = Demand::read(description, in_use)?;
        Some(self.meet(demand, application, entropy, secrets))
    }

    fn meet(
        &mut self,
        demand: Demand,
        application: &str,
        entropy: &mut Entropy,
        secrets: &mut Vec<Secret>,
    ) -> Result<Step, LoginFault> {
        let theirs = demand.scheme();
        let Some(credentials) = &self.credentials else {
            return Err(match self.mode {
                Authmod::None => LoginFault::Disabled(theirs),
                Authmod::Auto | Authmod::Only(_) => LoginFault::NoCredentials(theirs),
            });
        };
        let ours = match (self.mode, &self.state) {
            (Authmod::None, _) => return Err(LoginFault::Disabled(theirs)),
            (Authmod::Only(ours), _) => ours,
            (Authmod::Auto, State::Named(ours) | State::Answered(ours, _)) => *ours,
            (Authmod::Auto, State::Anonymous) => theirs,
        };
        if ours != theirs {
            return Err(LoginFault::OtherScheme { ours, theirs });
        }
        match (demand, &self.state) {
            (Demand::Refusal(_), _) => Err(LoginFault::Refused),
            (Demand::Name(scheme), State::Anonymous) => {
                self.state = State::Named(scheme);
                Ok(Step::Name(scheme))
            }
            (Demand::Name(_), _) | (Demand::Answer(..), State::Answered(..)) => Err(LoginFault::AskedAgain),
            (Demand::Answer(scheme, parameters), State::Anonymous | State::Named(_)) => {
                let parameters = parameters.map_err(LoginFault::BadChallenge)?;
                secrets.extend(parameters.values().map(Secret::from));
                let answer = match scheme {
                    Scheme::Adobe => adobe::answer(credentials, &parameters, &nonce(entropy)),
                    Scheme::Llnw => llnw::answer(credentials, &parameters, application, &nonce(entropy)),
                };
                let answer = answer.map_err(LoginFault::BadChallenge)?;
                secrets.push(answer.response.as_str().into());
                let user = credentials.user();
                let suffix = format!("?authmod={scheme}&user={user}&{}", answer.parameters);
                self.state = State::Answered(scheme, suffix.into());
                Ok(Step::Answer(scheme))
            }
        }
    }
}

/// The client's answer to a challenge.
struct Answer {
    /// All that follows the user's name in the suffix.
    parameters: String,
    /// The proof itself, which stands in it.
    response: String,
}

/// What makes each answer another: 8 hexadecimal digits, as FFmpeg and rtmp2 send.
fn nonce(entropy: &mut Entropy) -> String {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    hex(&bytes)
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A parameter that a scheme cannot do without.
fn required<'a>(
    parameters: &'a Parameters,
    name: &str,
    missing: &'static str,
) -> Result<&'a str, &'static str> {
    parameters
        .get(name)
        .filter(|value| !value.is_empty())
        .ok_or(missing)
}

#[cfg(test)]
mod tests;
