//! How to log in: authentication modes, tokens, and files that hold a secret.

use gst::glib;
use gst::prelude::*;

use super::secrets::{self, SecretFault};
use super::text;
use crate::elements::enums::Authmod;
use crate::session::ClientConfig;
use crate::session::login::{self, Credentials, Scheme};
use crate::url::{RtmpUrl, Secret};

/// The properties of this group.
#[derive(Clone, Debug, Default)]
pub(super) struct Login {
    authmod: Authmod,
    secure_token: Option<Secret>,
    stream_key_file: Option<String>,
    password_file: Option<String>,
}

impl Login {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let text = || value.get::<Option<String>>().ok().flatten();
        match name {
            "authmod" => self.authmod = value.get().unwrap_or_default(),
            "secure-token" => self.secure_token = text().map(Secret::from),
            "stream-key-file" => self.stream_key_file = text(),
            "password-file" => self.password_file = text(),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "authmod" => self.authmod.to_value(),
            "secure-token" => self
                .secure_token
                .as_ref()
                .map(|token| token.expose().to_owned())
                .to_value(),
            "stream-key-file" => self.stream_key_file.to_value(),
            "password-file" => self.password_file.to_value(),
            _ => return None,
        })
    }

    /// Puts into `url` what is kept outside of it: contents of files, and of environment variables. `is_default` is
    /// whether the location is the one that nobody has set.
    pub(super) fn resolve(&self, url: &mut RtmpUrl, is_default: bool) -> Result<(), SecretFault> {
        let file = |path: &Option<String>| path.clone().filter(|path| !path.is_empty());
        if let Some(path) = file(&self.stream_key_file) {
            if !url.stream().is_empty() && !is_default {
                return Err(SecretFault::TwoStreams);
            }
            let key = secrets::read(&path)?;
            url.set_stream(&key).map_err(|_| SecretFault::NotText(path))?;
            url.keep_secret(key.into());
        } else {
            let stream = url.stream().clone();
            if let Some(expanded) = secrets::expand(stream.expose(), url)? {
                url.set_stream(&expanded).map_err(SecretFault::Url)?;
            }
        }
        if let Some(path) = file(&self.password_file) {
            let password = secrets::read(&path)?;
            url.set_password(&password)
                .map_err(|_| SecretFault::NotText(path))?;
            url.keep_secret(password.into());
        } else if let Some(password) = url.password().cloned()
            && let Some(expanded) = secrets::expand(password.expose(), url)?
        {
            url.set_password(&expanded).map_err(SecretFault::Url)?;
        }
        let application = url.application().to_owned();
        if let Some(expanded) = secrets::expand(&application, url)? {
            url.set_application(&expanded).map_err(SecretFault::Url)?;
        }
        Ok(())
    }

    /// Says it in `config`. Tokens become secrets of `url`, which is [resolved](Self::resolve) already.
    pub(super) fn apply(&self, url: &mut RtmpUrl, config: &mut ClientConfig) -> Result<(), SecretFault> {
        let given = |secret: Option<&Secret>| secret.filter(|secret| !secret.is_empty()).cloned();
        let options = url.options().clone();
        config.secure_token = token(
            given(self.secure_token.as_ref()).or_else(|| given(options.token.as_ref())),
            url,
        )?;
        config.usher_token = token(given(options.jtv.as_ref()), url)?;
        config.authmod = self.authmod.into();
        let user = url.username().filter(|user| !user.is_empty());
        let password = given(url.password());
        config.credentials = match (config.authmod, user, password) {
            (login::Authmod::None, ..) => None,
            (_, Some(user), Some(password)) => {
                Some(Credentials::new(user, password).ok_or(SecretFault::UserName)?)
            }
            (login::Authmod::Only(scheme), ..) => return Err(SecretFault::NoCredentials(scheme)),
            (login::Authmod::Auto, ..) => None,
        };
        Ok(())
    }
}

fn token(token: Option<Secret>, url: &mut RtmpUrl) -> Result<Option<Secret>, SecretFault> {
    let Some(token) = token else { return Ok(None) };
    let expanded = secrets::expand(token.expose(), url)?;
    let token = expanded.map_or(token, Secret::from);
    url.keep_secret(token.clone());
    Ok(Some(token))
}

impl From<Authmod> for login::Authmod {
    fn from(authmod: Authmod) -> Self {
        match authmod {
            Authmod::None => Self::None,
            Authmod::Auto => Self::Auto,
            Authmod::Adobe => Self::Only(Scheme::Adobe),
            Authmod::Llnw => Self::Only(Scheme::Llnw),
        }
    }
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("authmod", Authmod::default())
            .nick("Authentication mode")
            .blurb("Scheme by which username and password are used; auto: the one that the server asks for")
            .mutable_ready()
            .build(),
        text(
            "secure-token",
            "Secure token",
            "Key with which the challenge of Wowza's SecureToken is answered; {env:NAME} stands for an environment \
             variable",
        ),
        text(
            "stream-key-file",
            "Stream key file",
            "File that holds the stream name, for a location that ends behind the application",
        ),
        text(
            "password-file",
            "Password file",
            "File that holds the password for the server's authentication",
        ),
    ]
}
