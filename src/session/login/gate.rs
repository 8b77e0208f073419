//! The server's side of a login by `authmod`: asks, challenges and checks. It decides on `app` alone, so it goes in
//! front of whatever else decides on a [`Request::Connect`](crate::session::Request::Connect).

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Credentials, Scheme, adobe, llnw};
use crate::handshake::Entropy;
use crate::message::{Level, Status};

/// How long a challenge may be answered.
const LIFETIME: Duration = Duration::from_secs(60);

/// Challenges that may be open at a time; the oldest makes room for a new one.
const MAX_OPEN: usize = 1024;

/// Bytes of randomness in a challenge.
const CHALLENGE: usize = 16;

/// Bytes of a user's name that is challenged.
const MAX_USER: usize = 256;

/// What all clients can read: the brackets are what rtmp2's regular expression demands.
const REJECT: &str = "[ AccessManager.Reject ] : ";

/// A challenge that was given out.
struct Open {
    user: String,
    salt: String,
    challenge: String,
    expires: Instant,
}

/// Lets those in who know a password. Challenges are random, expire, and are good for one answer.
///
/// It does not slow down guessing: whoever serves an open network has to limit attempts by address.
pub struct Gate {
    scheme: Scheme,
    accounts: Vec<Credentials>,
    open: VecDeque<Open>,
    entropy: Entropy,
}

impl Gate {
    /// A gate for `accounts`. `seed` comes from the operating system.
    #[must_use]
    pub const fn new(scheme: Scheme, accounts: Vec<Credentials>, seed: [u8; 32]) -> Self {
        Self {
            scheme,
            accounts,
            open: VecDeque::new(),
            entropy: Entropy::new(seed),
        }
    }

    /// The user who connects to `app`, as the client sent it. [`without_login`] is what it means by it.
    ///
    /// # Errors
    ///
    /// What to refuse the connect with: a question, or that user or password are wrong.
    pub fn check(&mut self, now: Instant, app: &str) -> Result<String, Status> {
        self.open.retain(|open| now < open.expires);
        let (application, login) = split(app);
        let value = |name: &str| {
            let mut parameters = login.split('&').filter_map(|parameter| parameter.split_once('='));
            parameters.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let scheme = self.scheme;
        let (Some(authmod), Some(user)) = (value("authmod"), value("user")) else {
            let question = format!("[ code=403 need auth; authmod={scheme} ] : ");
            return Err(refusal(&question));
        };
        if authmod != scheme.as_str() || user.len() > MAX_USER {
            return Err(self.reason(self.failure(), ""));
        }
        let Some(response) = value("response") else {
            return Err(self.challenge(now, user));
        };
        let server = value(match scheme {
            Scheme::Adobe => "opaque",
            Scheme::Llnw => "nonce",
        });
        let client = value(match scheme {
            Scheme::Adobe => "challenge",
            Scheme::Llnw => "cnonce",
        });
        let place = self
            .open
            .iter()
            .position(|open| Some(open.challenge.as_str()) == server && open.user == user);
        // Gone with this answer, be it right or wrong.
        let open = place.and_then(|place| self.open.remove(place));
        let account = self.accounts.iter().find(|account| account.user() == user);
        let expected = match (open, account, client) {
            (Some(open), Some(account), Some(client)) if is_count(value("nc"), scheme) => match scheme {
                Scheme::Adobe => adobe::response(account, &open.salt, &open.challenge, client),
                Scheme::Llnw => llnw::response(account, application, &open.challenge, client),
            },
            (_, None, _) => return Err(self.reason("nosuchuser", "")),
            _ => return Err(self.reason(self.failure(), "")),
        };
        if self.is_same(&expected, response) {
            Ok(user.to_owned())
        } else {
            Err(self.reason(self.failure(), ""))
        }
    }

    const fn failure(&self) -> &'static str {
        match self.scheme {
            Scheme::Adobe => "authfailed",
            Scheme::Llnw => "authfail",
        }
    }

    fn challenge(&mut self, now: Instant, user: &str) -> Status {
        if self.open.len() >= MAX_OPEN {
            self.open.pop_front();
        }
        let open = Open {
            user: user.to_owned(),
            salt: self.random(),
            challenge: self.random(),
            expires: now.checked_add(LIFETIME).unwrap_or(now),
        };
        let Open { salt, challenge, .. } = &open;
        let parameters = match self.scheme {
            Scheme::Adobe => format!("&user={user}&salt={salt}&challenge={challenge}&opaque={challenge}"),
            Scheme::Llnw => format!("&user={user}&nonce={challenge}"),
        };
        self.open.push_back(open);
        self.reason("needauth", &parameters)
    }

    fn reason(&self, reason: &str, parameters: &str) -> Status {
        let scheme = self.scheme;
        refusal(&format!("[ authmod={scheme} ] : ?reason={reason}{parameters}"))
    }

    fn random(&mut self) -> String {
        let mut bytes = [0; CHALLENGE];
        self.entropy.fill(&mut bytes);
        STANDARD.encode(bytes)
    }

    /// Compares by what nobody can aim at, so that the time which it takes tells nothing.
    fn is_same(&mut self, expected: &str, given: &str) -> bool {
        let mut key = [0; 32];
        self.entropy.fill(&mut key);
        let keyed = |text: &str| {
            let mac: Hmac<Sha256> = Hmac::new_from_slice(&key).expect("HMAC takes a key of any length");
            mac.chain_update(text)
        };
        keyed(given)
            .verify(&keyed(expected).finalize().into_bytes())
            .is_ok()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// Only `llnw` counts its answers.
fn is_count(count: Option<&str>, scheme: Scheme) -> bool {
    match scheme {
        Scheme::Adobe => true,
        Scheme::Llnw => count == Some(llnw::COUNT),
    }
}

fn refusal(question: &str) -> Status {
    let description = format!("{REJECT}{question}");
    Status::new(Level::Error, "NetConnection.Connect.Rejected", &description)
}

/// Application and login parameters. Clients append `?authmod=` whatever stands before; those that know better write
/// `&` behind a query.
fn split(app: &str) -> (&str, &str) {
    ["?authmod=", "&authmod="]
        .into_iter()
        .filter_map(|mark| app.rfind(mark))
        .max()
        .and_then(|at| Some((app.get(..at)?, app.get(at + 1..)?)))
        .unwrap_or((app, ""))
}

/// `app` as the user wrote it, without what a login has appended.
#[must_use]
pub fn without_login(app: &str) -> &str {
    split(app).0
}
