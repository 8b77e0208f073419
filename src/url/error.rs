//! What can be wrong with a location, told without quoting it: any piece of it may be a secret.

use std::fmt;

use super::connect_args::{MAX_ARGUMENTS, MAX_DEPTH, MAX_TEXT};
use super::secret::Secret;

/// Where in a location something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// What stands before `://`.
    Scheme,
    /// What stands before the colon of the user information.
    Username,
    /// What stands behind the colon of the user information.
    Password,
    /// Host name or address.
    Host,
    /// Port number.
    Port,
    /// First part of the path, with its query.
    Application,
    /// Last part of the path, with its query.
    Stream,
    /// The URL that is sent in the connect command instead of the one that is built.
    TcUrl,
    /// The librtmp option of that name, behind a space.
    Option(&'static str),
    /// The extra argument of the connect command at that place, counted from 1.
    ConnectArgument(usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("scheme"),
            Self::Username => f.write_str("user name"),
            Self::Password => f.write_str("password"),
            Self::Host => f.write_str("host"),
            Self::Port => f.write_str("port"),
            Self::Application => f.write_str("application"),
            Self::Stream => f.write_str("stream"),
            Self::TcUrl => f.write_str("tcUrl"),
            Self::Option(name) => write!(f, "option {name}"),
            Self::ConnectArgument(place) => write!(f, "connect argument {place}"),
        }
    }
}

/// What is wrong with a location or one of its parts. Always the user's to mend, and `Display` says how.
///
/// No variant holds any of the text, so an error can be shown to everybody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UrlError {
    /// There is no `://`.
    SchemeMissing,
    /// What stands before `://` is none of [`Scheme::ALL`](super::Scheme::ALL).
    SchemeUnknown,
    /// Nothing stands where the host should.
    HostMissing,
    /// The host has a character that neither names nor addresses have.
    HostInvalid,
    /// A `[` without its `]`.
    BracketUnclosed,
    /// Several colons outside brackets.
    BracketsMissing,
    /// What stands in brackets is not an IPv6 address.
    AddressInvalid,
    /// The port is empty or has something other than digits.
    PortNotANumber,
    /// The port is 0 or above 65535.
    PortOutOfRange,
    /// A line break or another control character.
    ControlCharacter(Part),
    /// The bytes behind the escapes are not UTF-8.
    NotUtf8(Part),
    /// A backslash that two hexadecimal digits do not follow.
    EscapeInvalid(Part),
    /// An option has a value that it does not take.
    OptionInvalid {
        /// Name of the option.
        option: &'static str,
        /// What it takes, for the message.
        takes: &'static str,
    },
    /// An extra argument of the connect command breaks librtmp's grammar.
    ConnectArgument {
        /// Its place among the arguments, counted from 1.
        place: usize,
        /// How it breaks the grammar.
        fault: ConnectArgFault,
    },
    /// The URL of a proxy cannot be used.
    Proxy(ProxyFault),
}

/// What is wrong with the URL of a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyFault {
    /// It begins with none of the schemes that are known.
    Scheme,
    /// Host or port is missing or is none.
    Address,
    /// Something follows the port.
    Path,
    /// A user name or password that no proxy of the kind can be told.
    Login,
    /// A password for a kind of proxy that knows none.
    NoPasswords,
}

/// How an extra argument of the connect command can break the grammar of librtmp's `conn=`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConnectArgFault {
    /// It does not begin with a type.
    TypeUnknown,
    /// `B:` or `O:` without an integer.
    NotAFlag,
    /// `N:` without a number.
    NotANumber,
    /// A named argument without a colon behind the name.
    NameUnfinished,
    /// A named argument outside every object.
    NameOutsideObject,
    /// An argument without a name inside an object.
    NameMissing,
    /// `O:0` without an open object.
    NothingToClose,
    /// More than [`MAX_ARGUMENTS`].
    TooMany,
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
    /// A name or text longer than [`MAX_TEXT`].
    TooLong,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SchemeMissing => f.write_str(
                "the location does not begin with a scheme: write it as rtmp://host/application/stream",
            ),
            Self::SchemeUnknown => f.write_str(
                "the scheme of the location is not one of RTMP: write rtmp, rtmps, rtmpe, rtmpt, rtmpts, rtmpte \
                 or rtmfp before ://",
            ),
            Self::HostMissing => f.write_str(
                "the host is missing: write a name or an address behind ://, as in \
                 rtmp://host/application/stream",
            ),
            Self::HostInvalid => f.write_str(
                "the host has a character that no host has: write a name, an IPv4 address, or an IPv6 address in \
                 brackets",
            ),
            Self::BracketUnclosed => f.write_str(
                "the host begins with [ but has no ]: write ] behind the IPv6 address, as in [::1]:1935",
            ),
            Self::BracketsMissing => f.write_str(
                "the host has more than one colon: write an IPv6 address in brackets, as in [::1]:1935, and \
                 %3A for a colon and %40 for an @ in a user name",
            ),
            Self::AddressInvalid => {
                f.write_str("the host is not an IPv6 address: write one such as [2001:db8::1], in brackets")
            }
            Self::PortNotANumber => f.write_str(
                "the port is not a number: write digits behind the colon of the host, as in host:1935, and %2F \
                 for a slash in a password",
            ),
            Self::PortOutOfRange => {
                f.write_str("the port is out of range: write a number from 1 to 65535")
            }
            Self::ControlCharacter(part) => write!(
                f,
                "the {part} has a control character: remove it, and a line break at the end if it was read from a \
                 file"
            ),
            Self::NotUtf8(part) => write!(
                f,
                "the {part} is not UTF-8 once its escapes are decoded: escape the bytes of its UTF-8 form"
            ),
            Self::EscapeInvalid(part) => write!(
                f,
                "the {part} has a backslash without two hexadecimal digits: write \\5c for a backslash, \\20 for \
                 a space"
            ),
            Self::OptionInvalid { option, takes } => {
                write!(f, "the option {option} has a value that it does not take: write {takes}")
            }
            Self::ConnectArgument { place, fault } => write!(f, "the connect argument {place} {fault}"),
            Self::Proxy(fault) => write!(f, "the proxy {fault}"),
        }
    }
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "does not begin with a scheme of proxies: write it as socks5://host:port, or with socks5h, socks4, \
                 socks4a or http before ://"
            }
            Self::Address => {
                "has a host or a port that cannot be used: write socks5://[user:password@]host:port, an IPv6 \
                 address in brackets, and %3A for a colon and %40 for an @ in a user name"
            }
            Self::Path => {
                "has something behind its port: end it there, and write %2F for a slash, %3F for a question mark \
                 and %23 for a # in a password"
            }
            Self::Login => {
                "has a user name or a password that cannot be sent: write both as user:password@, no longer than \
                 255 bytes each, escaped where they are not plain, and for http no colon in the name"
            }
            Self::NoPasswords => {
                "has a password, which SOCKS 4 does not know: leave it out, or use socks5"
            }
        })
    }
}

impl fmt::Display for ConnectArgFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::TypeUnknown => {
                "has no type: begin it with B:, N:, S:, O: or Z:, or with N and one of these"
            }
            Self::NotAFlag => "is not a flag: write 1 or 0 behind B: or O:",
            Self::NotANumber => "is not a number: write one such as 1.5 behind N:",
            Self::NameUnfinished => "has a name without an end: write it as NS:name:value",
            Self::NameOutsideObject => "has a name but is in no object: begin one with O:1 before it",
            Self::NameMissing => "is in an object but has no name: write it as NS:name:value",
            Self::NothingToClose => "ends an object that was not begun: write O:1 before, or leave it out",
            Self::TooMany => return write!(f, "is one too many: write no more than {MAX_ARGUMENTS}"),
            Self::TooDeep => return write!(f, "is an object too deep: nest no more than {MAX_DEPTH}"),
            Self::TooLong => return write!(f, "is too long: write no more than {MAX_TEXT} bytes"),
        };
        f.write_str(sentence)
    }
}

impl std::error::Error for UrlError {}

/// What was passed over in a location. The URL is usable; the user may have meant something else.
///
/// Places are counted from 1 among the words behind the URL. `Display` tells them rather than names: behind a
/// stream key with a space in it, the name of an option is a part of the key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UrlWarning {
    /// An option that librtmp does not have either.
    UnknownOption {
        /// Where it stands.
        place: usize,
        /// What stands before its `=`.
        name: Secret,
    },
    /// A word that has no `=`.
    NotAnOption {
        /// Where it stands.
        place: usize,
    },
    /// A boolean option with a value that is neither a yes nor a no; it counts as no, as with librtmp.
    NotABoolean {
        /// Name of the option.
        option: &'static str,
    },
}

impl fmt::Display for UrlWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOption { place, .. } => write!(
                f,
                "option {place} behind the URL has a name that is not known and was ignored: write one of librtmp's"
            ),
            Self::NotAnOption { place } => write!(
                f,
                "word {place} behind the URL has no = and was ignored: write option=value, and \\20 for a space in \
                 the value"
            ),
            Self::NotABoolean { option } => {
                write!(
                    f,
                    "the option {option} is neither yes nor no and counts as no: write 1 or 0"
                )
            }
        }
    }
}
