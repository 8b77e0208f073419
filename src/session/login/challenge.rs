//! The description of a refused connect, read for what it asks of a login. Some of its values are sent back as they
//! are, in the next connect's application and URL, so what could break out of these is refused.

use super::Scheme;

/// Bytes of a description that are looked at; FMS sends some 200.
const MAX_DESCRIPTION: usize = 4096;
/// Parameters behind `?reason=`; FMS sends five.
const MAX_PARAMETERS: usize = 32;
/// Bytes of a parameter's name.
const MAX_NAME: usize = 32;
/// Bytes of a parameter's value.
const MAX_VALUE: usize = 1024;

/// What a description asks for.
pub(super) enum Demand {
    /// To say who is there.
    Name(Scheme),
    /// To prove it; or what is wrong with the challenge.
    Answer(Scheme, Result<Parameters, &'static str>),
    /// To go away.
    Refusal(Scheme),
}

impl Demand {
    /// `None` if the description is not about a login. `in_use` is what the client has named already, for servers that
    /// do not repeat it.
    pub(super) fn read(description: &str, in_use: Option<Scheme>) -> Option<Self> {
        let end = description.floor_char_boundary(MAX_DESCRIPTION);
        let (head, is_whole) = (description.get(..end)?, end == description.len());
        let named = Scheme::ALL
            .into_iter()
            .find(|scheme| head.contains(&format!("authmod={scheme}")));
        let scheme = named.or(in_use)?;
        if named.is_some() && head.contains("code=403 need auth") {
            return Some(Self::Name(scheme));
        }
        let (_, parameters) = head.split_once("?reason=")?;
        let reason = parameters.split('&').next().unwrap_or_default().trim();
        Some(match reason {
            "needauth" if is_whole => Self::Answer(scheme, Parameters::read(parameters)),
            "needauth" => Self::Answer(scheme, Err("the challenge is too long")),
            _ => Self::Refusal(scheme),
        })
    }

    pub(super) const fn scheme(&self) -> Scheme {
        match self {
            Self::Name(scheme) | Self::Answer(scheme, _) | Self::Refusal(scheme) => *scheme,
        }
    }
}

/// `name=value` joined by `&`, values as they are on the wire.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(text: &str) -> Result<Self, &'static str> {
        let mut parameters = Vec::new();
        // The first one is the reason itself, without its name.
        for parameter in text.trim_end().split('&').skip(1) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if parameters.len() == MAX_PARAMETERS {
                return Err("the challenge has too many parameters");
            }
            if name.len() > MAX_NAME || value.len() > MAX_VALUE {
                return Err("the challenge is too long");
            }
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err("the challenge is not printable text");
            }
            parameters.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self(parameters))
    }

    /// The first of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// What only the two ends may know; the user's name is not among it.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        ["salt", "challenge", "opaque", "nonce"]
            .into_iter()
            .filter_map(|name| self.get(name))
    }
}
