//! SOCKS 4 and its extension 4A, by Ying-Da Lee's notes "SOCKS: A protocol for TCP proxy across firewalls" and
//! "SOCKS 4A: A Simple Extension to SOCKS 4 Protocol". There are no RFCs.

use std::net::{IpAddr, Ipv4Addr};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::{Destination, Error, Host, Refusal, Step};
use crate::url::Proxy;

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
const GRANTED: u8 = 90;

/// Stands in the place of the address where a name follows (4A): 0.0.0.x with x not zero.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

/// Longest name of a host, RFC 1035 section 2.3.4.
const MAX_NAME: usize = 255;

/// VN CD DSTPORT DSTIP USERID NULL, and in 4A a name and NULL.
pub(super) fn request(proxy: &Proxy, destination: &Destination) -> Result<Bytes, Error> {
    let (address, name) = match &destination.host {
        Host::Address(IpAddr::V4(address)) => (*address, None),
        Host::Address(IpAddr::V6(_)) => {
            return Err(Error::Unfit("SOCKS 4 has no IPv6 addresses: use socks5"));
        }
        Host::Name(name) if name.len() > MAX_NAME => {
            return Err(Error::Unfit("the host's name is longer than 255 bytes"));
        }
        Host::Name(name) => (NAME_FOLLOWS, Some(name)),
    };
    let mut request = BytesMut::new();
    request.put_slice(&[VERSION, CONNECT]);
    request.put_u16(destination.port);
    request.put_slice(&address.octets());
    request.put_slice(proxy.username().unwrap_or_default().as_bytes());
    request.put_u8(0);
    if let Some(name) = name {
        request.put_slice(name.as_bytes());
        request.put_u8(0);
    }
    Ok(request.freeze())
}

/// VN, which is 0, CD, and six bytes that mean nothing.
pub(super) fn answer(input: &mut BytesMut) -> Result<Step, Error> {
    match **input {
        [] | [0] => Ok(Step::NeedsMore),
        // What follows may be missing, as the connection ends here.
        [0, code, ..] if code != GRANTED => Err(Error::Refused(Refusal::Socks4(code))),
        [0, _, _, _, _, _, _, _, ..] => {
            input.advance(8);
            Ok(Step::Done)
        }
        [0, ..] => Ok(Step::NeedsMore),
        _ => Err(Error::NotAProxy("it does not begin as one of SOCKS 4 does")),
    }
}

pub(super) const fn words(code: u8) -> &'static str {
    match code {
        91 => "request rejected or failed",
        92 => "the proxy cannot reach identd on this machine",
        93 => "identd on this machine names another user",
        _ => "no reason that is known",
    }
}
