//! SOCKS 5, RFC 1928, with the login of RFC 1929.
//!
//! ```text
//!   methods -> Greeting --(none)-----------------------> request -> Asking
//!                 +--(password)-> login -> LoggingIn --^
//! ```

use std::net::IpAddr;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::{Destination, Error, Host, Refusal, Step};
use crate::url::{Proxy, Secret};

const VERSION: u8 = 5;
const CONNECT: u8 = 1;

/// Methods of authentication, RFC 1928 section 3.
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xFF;

/// Version of the login, RFC 1929 section 2.
const LOGIN_VERSION: u8 = 1;

/// RFC 1928 section 6.
const SUCCEEDED: u8 = 0;

/// Types of address, RFC 1928 section 5.
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What the proxy has to say next; the variants own what we say then.
pub(super) enum State {
    Greeting { login: Option<Bytes>, request: Bytes },
    LoggingIn { request: Bytes },
    Asking,
}

impl State {
    /// The first state, and the greeting that leads to it.
    pub(super) fn new(proxy: &Proxy, destination: &Destination) -> Result<(Self, Bytes), Error> {
        let request = request(destination)?;
        let login = proxy.username().map(|name| login(name, proxy.password()));
        let greeting: &'static [u8] = if login.is_some() {
            &[VERSION, 2, NO_LOGIN, PASSWORD]
        } else {
            &[VERSION, 1, NO_LOGIN]
        };
        Ok((Self::Greeting { login, request }, Bytes::from_static(greeting)))
    }

    pub(super) fn handle_input(&mut self, input: &mut BytesMut) -> Result<Step, Error> {
        match self {
            Self::Greeting { login, request } => {
                let Some(method) = chosen(input)? else {
                    return Ok(Step::NeedsMore);
                };
                let request = std::mem::take(request);
                match (method, login.take()) {
                    (NO_LOGIN, _) => {
                        *self = Self::Asking;
                        Ok(Step::Send(request))
                    }
                    (PASSWORD, Some(login)) => {
                        *self = Self::LoggingIn { request };
                        Ok(Step::Send(login))
                    }
                    (NONE_ACCEPTABLE, Some(_)) => Err(Error::LoginUnsupported),
                    (NONE_ACCEPTABLE, None) => Err(Error::LoginRequired),
                    _ => Err(Error::NotAProxy("it chooses a login that was not offered")),
                }
            }
            Self::LoggingIn { request } => match **input {
                [] | [LOGIN_VERSION] => Ok(Step::NeedsMore),
                [LOGIN_VERSION, 0, ..] => {
                    let request = std::mem::take(request);
                    input.advance(2);
                    *self = Self::Asking;
                    Ok(Step::Send(request))
                }
                [LOGIN_VERSION, _, ..] => Err(Error::LoginRefused),
                _ => Err(Error::NotAProxy("its verdict on the login is of another version")),
            },
            Self::Asking => reply(input),
        }
    }
}

/// VER and METHOD; `None` until they are here.
fn chosen(input: &mut BytesMut) -> Result<Option<u8>, Error> {
    match **input {
        [] | [VERSION] => Ok(None),
        [VERSION, method, ..] => {
            input.advance(2);
            Ok(Some(method))
        }
        _ => Err(Error::NotAProxy("it does not begin as one of SOCKS 5 does")),
    }
}

/// VER REP RSV ATYP BND.ADDR BND.PORT, of which only REP says something.
fn reply(input: &mut BytesMut) -> Result<Step, Error> {
    // What follows a refusal may be missing, as the connection ends there.
    if let [VERSION, code, ..] = **input
        && code != SUCCEEDED
    {
        return Err(Error::Refused(Refusal::Socks5(code)));
    }
    let length = match **input {
        [VERSION, _, _, IPV4, ..] => 4 + 4 + 2,
        [VERSION, _, _, IPV6, ..] => 4 + 16 + 2,
        [VERSION, _, _, NAME, length, ..] => 5 + usize::from(length) + 2,
        [] | [VERSION] | [VERSION, _] | [VERSION, _, _] | [VERSION, _, _, NAME] => {
            return Ok(Step::NeedsMore);
        }
        [VERSION, ..] => return Err(Error::NotAProxy("its reply has an address of an unknown type")),
        _ => return Err(Error::NotAProxy("its reply is of another version")),
    };
    if input.len() < length {
        return Ok(Step::NeedsMore);
    }
    input.advance(length);
    Ok(Step::Done)
}

/// VER CMD RSV ATYP DST.ADDR DST.PORT, RFC 1928 section 4.
fn request(destination: &Destination) -> Result<Bytes, Error> {
    let mut request = BytesMut::new();
    request.put_slice(&[VERSION, CONNECT, 0]);
    match &destination.host {
        Host::Address(IpAddr::V4(address)) => {
            request.put_u8(IPV4);
            request.put_slice(&address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            request.put_u8(IPV6);
            request.put_slice(&address.octets());
        }
        Host::Name(name) => {
            let length = u8::try_from(name.len())
                .map_err(|_| Error::Unfit("the host's name is longer than 255 bytes"))?;
            request.put_slice(&[NAME, length]);
            request.put_slice(name.as_bytes());
        }
    }
    request.put_u16(destination.port);
    Ok(request.freeze())
}

/// VER ULEN UNAME PLEN PASSWD, RFC 1929 section 2. An empty password, which the RFC does not have, is what curl sends
/// for a name alone.
fn login(username: &str, password: Option<&Secret>) -> Bytes {
    let mut login = BytesMut::new();
    login.put_u8(LOGIN_VERSION);
    for text in [username, password.map_or("", Secret::expose)] {
        // The URL is not taken with longer ones.
        login.put_u8(u8::try_from(text.len()).expect("url::Proxy has no more than 255 bytes"));
        login.put_slice(text.as_bytes());
    }
    login.freeze()
}

pub(super) const fn words(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "its rules do not allow the connection",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "it does not know the command",
        8 => "it does not know addresses of this type",
        _ => "no reason that is known",
    }
}
