//! `authmod=adobe`: two rounds of MD5 over user, salt, password and both sides' challenges.
//!
//! All operands are the texts as they are on the wire: the salt `NDU=` is these four characters. The server's opaque
//! takes the place of its challenge wherever it sent one (verified against FFmpeg 5.1 and rtmp2sink 1.22).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};

use super::challenge::Parameters;
use super::{Answer, Credentials, required};

/// What the server wants to see behind `response=`. `challenge` is its opaque if it has one.
pub(super) fn response(credentials: &Credentials, salt: &str, challenge: &str, nonce: &str) -> String {
    let secret = digest(&[credentials.user(), salt, credentials.password.expose()]);
    digest(&[&secret, challenge, nonce])
}

fn digest(parts: &[&str]) -> String {
    let digest = parts
        .iter()
        .fold(Md5::new(), |digest, part| digest.chain_update(part));
    STANDARD.encode(digest.finalize())
}

/// The answer to `salt`, `challenge` and `opaque`.
pub(super) fn answer(
    credentials: &Credentials,
    parameters: &Parameters,
    nonce: &str,
) -> Result<Answer, &'static str> {
    let salt = required(parameters, "salt", "the salt is missing")?;
    let opaque = parameters.get("opaque").filter(|opaque| !opaque.is_empty());
    let challenge = match opaque {
        Some(opaque) => opaque,
        None => required(parameters, "challenge", "the challenge is missing")?,
    };
    let response = response(credentials, salt, challenge, nonce);
    let mut text = format!("challenge={nonce}&response={response}");
    if let Some(opaque) = opaque {
        text.push_str("&opaque=");
        text.push_str(opaque);
    }
    Ok(Answer {
        parameters: text,
        response,
    })
}
