//! `authmod=llnw`: HTTP's digest authentication (RFC 2617, `qop=auth`) with a realm, a method and a path of its own.

use md5::{Digest as _, Md5};

use super::challenge::Parameters;
use super::{Answer, Credentials, hex, required};

/// Constant in all clients.
const REALM: &str = "live";
/// Constant as well, for players too.
const METHOD: &str = "publish";
/// Every answer is the first to its nonce, since each is on a connection of its own.
pub(super) const COUNT: &str = "00000001";

/// What the server wants to see behind `response=`. A query of `application` does not count.
pub(super) fn response(credentials: &Credentials, application: &str, nonce: &str, client: &str) -> String {
    let application = application.split('?').next().unwrap_or(application);
    let instance = if application.contains('/') {
        ""
    } else {
        "/_definst_"
    };
    let who = digest(&format!(
        "{}:{REALM}:{}",
        credentials.user(),
        credentials.password.expose()
    ));
    let what = digest(&format!("{METHOD}:/{application}{instance}"));
    digest(&format!("{who}:{nonce}:{COUNT}:{client}:auth:{what}"))
}

fn digest(text: &str) -> String {
    hex(&Md5::digest(text))
}

/// The answer to `nonce`.
pub(super) fn answer(
    credentials: &Credentials,
    parameters: &Parameters,
    application: &str,
    client: &str,
) -> Result<Answer, &'static str> {
    let nonce = required(parameters, "nonce", "the nonce is missing")?;
    let response = response(credentials, application, nonce, client);
    Ok(Answer {
        parameters: format!("nonce={nonce}&cnonce={client}&nc={COUNT}&response={response}"),
        response,
    })
}
