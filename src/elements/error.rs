//! Every way to fail, in the words and codes of GStreamer. The table is in `docs/errors.md`.
//!
//! The sentence says what happened and what to do next; the debug text has the cause as the layers below told
//! it. Neither holds a secret: what a server said is scrubbed of the URL's, and hosts are all that is named.

mod tls;

use std::fmt;
use std::io;

use gst::glib;

pub(super) use self::tls::bad_file;
use crate::session::login::LoginFault;
use crate::session::redirect::{MAX_REDIRECTS, RedirectFault};
use crate::session::{self, Status, SwfVerification};
use crate::transport::tcp::BindError;
use crate::transport::{self, Phase, ProxyFault, TunnelError};
use crate::url::{RtmpUrl, UrlError};

/// Which element speaks: opening and losing a stream have other codes on either side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Source,
    Sink,
}

impl Side {
    const fn open(self) -> gst::ResourceError {
        match self {
            Self::Source => gst::ResourceError::OpenRead,
            Self::Sink => gst::ResourceError::OpenWrite,
        }
    }

    const fn lost(self) -> gst::ResourceError {
        match self {
            Self::Source => gst::ResourceError::Read,
            Self::Sink => gst::ResourceError::Write,
        }
    }

    /// Before the stream flows, opening it has failed; after that, it is lost.
    const fn during(self, phase: session::Phase) -> gst::ResourceError {
        match phase {
            session::Phase::Handshake
            | session::Phase::Connect
            | session::Phase::CreateStream
            | session::Phase::Publish
            | session::Phase::Play => self.open(),
            session::Phase::Media | session::Phase::Closing => self.lost(),
        }
    }
}

fn message(
    code: impl gst::MessageErrorDomain,
    text: &str,
    debug: Option<&dyn fmt::Display>,
) -> gst::ErrorMessage {
    let debug = debug.map(ToString::to_string);
    gst::ErrorMessage::new(&code, Some(text), debug.as_deref(), file!(), "", line!())
}

/// A location, property or argument that cannot be used.
pub(super) fn bad_url(fault: &UrlError) -> gst::ErrorMessage {
    bad_setting(fault)
}

/// A property that cannot be used; `fault` says why.
pub(super) fn bad_setting(fault: &dyn fmt::Display) -> gst::ErrorMessage {
    message(gst::ResourceError::Settings, &fault.to_string(), None)
}

/// What to warn of when a server wants SWF verification and does not get it; it may go on all the same.
pub(super) const fn swf_unverified(outcome: SwfVerification) -> Option<&'static str> {
    match outcome {
        SwfVerification::Answered | SwfVerification::Proven => None,
        SwfVerification::Unanswerable => Some(
            "The server asks for SWF verification. Give swf-file, or swf-hash and swf-size, if it ends the stream.",
        ),
        SwfVerification::UnknownType(_) => Some(
            "The server asks for SWF verification of a type that is not known to the public. It may end the stream.",
        ),
    }
}

/// Something that a later version will do.
pub(super) fn not_supported_yet(what: &str) -> gst::ErrorMessage {
    let text = format!("Not supported yet: {what}. Leave it out, or use rtmp2src and rtmp2sink for it.");
    message(gst::CoreError::NotImplemented, &text, None)
}

/// The operating system has no random bytes, threads or descriptors.
pub(super) fn no_entropy() -> gst::ErrorMessage {
    message(
        gst::ResourceError::Failed,
        "The operating system gave no random bytes.",
        None,
    )
}

/// The operating system refused a thread or a descriptor.
pub(super) fn no_resources(error: &io::Error) -> gst::ErrorMessage {
    let text = format!("The operating system refused a thread or a file descriptor: {error}.");
    message(gst::ResourceError::NoSpaceLeft, &text, None)
}

/// Input of the sink that is not FLV.
pub(super) fn bad_flv(error: &crate::flv::Error) -> gst::ErrorMessage {
    let text = format!(
        "The input is not FLV at byte {}: {}. Put flvmux streamable=true before rtmpsink.",
        error.offset, error.cause
    );
    message(gst::StreamError::Format, &text, None)
}

/// Caps of an elementary stream that cannot be published.
pub(super) fn bad_track(error: &super::track::Error) -> gst::ErrorMessage {
    let text = format!("The input cannot be published: {error}.");
    message(gst::StreamError::Format, &text, None)
}

/// A stream without the track that downstream asks for; `sentence` names what there is.
pub(super) fn misfit(sentence: &str) -> gst::ErrorMessage {
    message(gst::CoreError::Negotiation, sentence, None)
}

/// A parser that a track needs and that GStreamer does not have.
pub(super) fn missing_parser(factory: &str, pad: &str, caps: &gst::CapsRef) -> gst::ErrorMessage {
    let media = caps
        .structure(0)
        .map_or("data", |structure| structure.name().as_str());
    let text = format!(
        "The {media} at the pad {pad} needs the element {factory}, which is not installed. Install the GStreamer \
         plugin that has it, or put something that does its work before the pad."
    );
    message(gst::CoreError::MissingPlugin, &text, Some(&caps))
}

/// A parser that is there and does not fit.
pub(super) fn bad_parser(factory: &str, pad: &str, cause: &glib::BoolError) -> gst::ErrorMessage {
    let text = format!("The element {factory} could not be put before the track of the pad {pad}.");
    message(gst::CoreError::Pad, &text, Some(cause))
}

/// A connection that failed.
pub(super) fn failed(error: &transport::Error, side: Side, url: &RtmpUrl) -> gst::ErrorMessage {
    let authority = format!("{}:{}", url.host(), url.port());
    match error {
        transport::Error::Resolve { host, source } => message(
            side.open(),
            &format!("Could not find the host {host}. Check its spelling and the name server."),
            Some(source),
        ),
        transport::Error::Connect { source, .. } => {
            let text = match source.kind() {
                io::ErrorKind::ConnectionRefused => format!(
                    "{authority} refused the connection. Is the server running, and is this its RTMP port?"
                ),
                _ => format!("Could not connect to {authority}: {source}."),
            };
            message(side.open(), &text, Some(source))
        }
        transport::Error::OtherFamily { host, family } => message(
            side.open(),
            &format!("{host} has no {family} address. Check address-family, bind-address and proxy."),
            Some(error),
        ),
        transport::Error::Bind(error) => not_bound(error),
        transport::Error::Proxy { proxy, fault } => proxy_failed(proxy, fault, side),
        transport::Error::Tls(failure) => tls::failed(failure, side, &authority),
        transport::Error::TimedOut(phase) => timed_out(*phase, side, &authority),
        transport::Error::Io { phase, source } => message(
            side.during(*phase),
            &format!("The connection to {authority} was lost during {phase}: {source}."),
            Some(source),
        ),
        transport::Error::Tunnel(error) => tunnel_failed(*error, side, &authority),
        transport::Error::Session(error) => session_failed(error, side, url, &authority),
        transport::Error::Closed => message(side.lost(), "The connection is closed.", None),
    }
}

fn not_bound(error: &BindError) -> gst::ErrorMessage {
    let text = match error {
        BindError::Address { address, source } => {
            format!(
                "Could not connect from {address}: {source}. Check that bind-address is one of this machine."
            )
        }
        BindError::Interface { name, source } => match source.kind() {
            io::ErrorKind::Unsupported => format!(
                "Could not connect through the interface {name}: this system cannot bind to one. Use bind-address \
                 instead."
            ),
            io::ErrorKind::PermissionDenied => format!(
                "Could not connect through the interface {name}: this process may not. Give it CAP_NET_RAW, or use \
                 bind-address instead."
            ),
            _ => format!("Could not connect through the interface {name}: {source}. Check bind-interface."),
        },
    };
    message(gst::ResourceError::Settings, &text, Some(error))
}

/// A proxy that does not connect us. `proxy` is where it is, not who we are to it.
fn proxy_failed(proxy: &str, fault: &ProxyFault, side: Side) -> gst::ErrorMessage {
    use crate::proxy::Error as Answer;
    let (code, text) = match fault {
        ProxyFault::Resolve(_) => (
            side.open(),
            format!("Could not find the proxy {proxy}. Check its spelling and the name server."),
        ),
        ProxyFault::Connect(source) if source.kind() == io::ErrorKind::ConnectionRefused => (
            side.open(),
            format!("The proxy {proxy} refused the connection. Is it running, and is this its port?"),
        ),
        ProxyFault::Connect(source) => (
            side.open(),
            format!("Could not connect to the proxy {proxy}: {source}."),
        ),
        ProxyFault::Silent => (
            side.open(),
            format!(
                "The proxy {proxy} did not answer in time. Check scheme, address and firewalls, or raise timeout."
            ),
        ),
        ProxyFault::Io(source) => (
            side.open(),
            format!("The connection to the proxy {proxy} was lost: {source}."),
        ),
        ProxyFault::Handshake { destination, error } => match error {
            Answer::Unfit(why) => (
                gst::ResourceError::Settings,
                format!("The proxy {proxy} cannot be asked for {destination}: {why}."),
            ),
            Answer::LoginRequired => (
                gst::ResourceError::NotAuthorized,
                format!(
                    "The proxy {proxy} wants a user name and a password. Put them into the property proxy."
                ),
            ),
            Answer::LoginRefused => (
                gst::ResourceError::NotAuthorized,
                format!(
                    "The proxy {proxy} refused the login. Check user name and password in the property proxy."
                ),
            ),
            Answer::LoginUnsupported => (
                gst::ResourceError::NotAuthorized,
                format!(
                    "The proxy {proxy} wants a login other than by user name and plain password, which is not known here."
                ),
            ),
            Answer::Refused(refusal) => (
                side.open(),
                format!("The proxy {proxy} did not connect to {destination}: {refusal}."),
            ),
            Answer::NotAProxy(why) => (
                side.open(),
                format!(
                    "{proxy} does not answer as the proxy that it should be: {why}. Check scheme and port of the property proxy."
                ),
            ),
            Answer::LimitExceeded(what) => (
                gst::ResourceError::Failed,
                format!("The proxy {proxy} sent more than is taken: {what}."),
            ),
            Answer::Disconnected => (
                side.open(),
                format!(
                    "The proxy {proxy} closed the connection without an answer. Check scheme and port of the property proxy."
                ),
            ),
        },
    };
    message(code, &text, Some(fault))
}

fn timed_out(phase: Phase, side: Side, authority: &str) -> gst::ErrorMessage {
    let (code, text) = match phase {
        Phase::Resolve => (
            side.open(),
            "No name server answered in time. Check the network, or raise timeout.".to_owned(),
        ),
        Phase::Connect => (
            side.open(),
            format!("{authority} did not answer in time. Check the address and firewalls, or raise timeout."),
        ),
        Phase::Tls => (
            side.open(),
            format!(
                "{authority} accepted the connection but did not answer the TLS handshake in time. Is this the server's port for rtmps?"
            ),
        ),
        Phase::Tunnel => (
            side.open(),
            format!(
                "{authority} accepted the connection but did not answer an HTTP request in time. Is it a server for RTMPT?"
            ),
        ),
        Phase::Session(session::Phase::Handshake) => (
            side.open(),
            format!(
                "{authority} accepted the connection but did not answer the RTMP handshake in time. Is it an RTMP server?"
            ),
        ),
        Phase::Session(phase) => (
            side.during(phase),
            format!(
                "{authority} did not answer {phase} in time. Check application and stream, or raise timeout."
            ),
        ),
        Phase::Write => (
            side.lost(),
            format!("{authority} has stopped reading. Lower the bitrate, or raise timeout."),
        ),
    };
    message(code, &text, Some(&format_args!("timeout during {phase}")))
}

fn tunnel_failed(error: TunnelError, side: Side, authority: &str) -> gst::ErrorMessage {
    let (code, text) = match error {
        TunnelError::NotOffered(status) => (
            side.open(),
            format!(
                "{authority} is a web server without RTMPT: it answered with HTTP status {status}. Check host and port."
            ),
        ),
        TunnelError::Page => (
            side.open(),
            format!(
                "{authority} answered with a web page instead of RTMPT. Check host and port, and whether this network \
                 wants a login in a browser first."
            ),
        ),
        TunnelError::Unauthorized(status) => (
            gst::ResourceError::NotAuthorized,
            format!(
                "{authority} wants a login for HTTP, which RTMPT has no way to give: it answered with HTTP status {status}."
            ),
        ),
        TunnelError::ProxyUnauthorized => (
            gst::ResourceError::NotAuthorized,
            format!("The proxy on the way to {authority} wants a login. Check its user name and password."),
        ),
        TunnelError::Refused(status) => (
            side.open(),
            format!("{authority} opened no session: it answered with HTTP status {status}. Try again later."),
        ),
        TunnelError::Redirected(status) => (
            side.open(),
            format!("{authority} sends clients on to where there is no RTMPT, with HTTP status {status}."),
        ),
        TunnelError::Elsewhere => (
            side.open(),
            format!(
                "{authority} sends clients on to another place by HTTP. If you trust it, name its host in redirect-hosts, \
                 with follow-redirects=true."
            ),
        ),
        TunnelError::SessionLost(status) => (
            side.lost(),
            format!("{authority} has forgotten the session: it answered with HTTP status {status}."),
        ),
        TunnelError::Disconnected => (
            side.open(),
            format!(
                "{authority} closed the connection instead of answering an HTTP request. Is it a server for RTMPT?"
            ),
        ),
        TunnelError::TimedOut => return timed_out(Phase::Write, side, authority),
        TunnelError::Malformed(malformed) => (
            gst::ResourceError::Failed,
            format!("{authority} does not speak HTTP as it should: {malformed}."),
        ),
    };
    message(code, &text, Some(&error))
}

fn session_failed(error: &session::Error, side: Side, url: &RtmpUrl, authority: &str) -> gst::ErrorMessage {
    match error {
        session::Error::Malformed(malformed) => message(
            gst::ResourceError::Failed,
            &format!("{authority} does not speak RTMP as it should: {malformed}."),
            Some(error),
        ),
        session::Error::PeerMisbehaved(what) => message(
            gst::ResourceError::Failed,
            &format!("{authority} does not speak RTMP as it should: {what}."),
            Some(error),
        ),
        session::Error::LimitExceeded(what) => message(
            gst::ResourceError::Failed,
            &format!("{authority} sent more than is taken: {what}."),
            Some(error),
        ),
        session::Error::ClearText => message(
            side.open(),
            &format!("{authority} answered RTMPE in clear text. Use rtmp or rtmps if the server has it."),
            Some(error),
        ),
        session::Error::Rejected { phase, status } => rejected(*phase, status, side, url, authority),
        session::Error::Login { fault, status } => login_failed(*fault, status, url, authority),
        session::Error::Redirect { fault, status } => not_redirected(*fault, status, side, url, authority),
        session::Error::TimedOut(phase) => timed_out(Phase::Session(*phase), side, authority),
        session::Error::Disconnected(phase) => {
            let text = match phase {
                session::Phase::Handshake if url.scheme().is_rtmpe() => {
                    format!(
                        "{authority} closed the connection during the handshake of RTMPE. Does it do RTMPE?"
                    )
                }
                session::Phase::Handshake => {
                    format!("{authority} closed the connection during the handshake. Is it an RTMP server?")
                }
                session::Phase::Connect => format!(
                    "{authority} closed the connection without answering connect. Check the application name."
                ),
                session::Phase::CreateStream | session::Phase::Publish | session::Phase::Play => format!(
                    "{authority} closed the connection instead of answering {phase}. Check the stream name or key."
                ),
                session::Phase::Media | session::Phase::Closing => {
                    format!("{authority} closed the connection before the stream had ended.")
                }
            };
            message(side.during(*phase), &text, Some(error))
        }
        session::Error::Unverified(phase) => message(
            side.during(*phase),
            &format!(
                "{authority} asked for SWF verification and closed the connection without it. Give swf-file, or \
                 swf-hash and swf-size; only type 1 can be answered."
            ),
            Some(error),
        ),
        session::Error::ApiMisuse(what) => message(
            gst::LibraryError::Failed,
            &format!("This is a bug in the element: {what}."),
            None,
        ),
    }
}

/// A login that has come to nothing. The server's challenge is not repeated, only its words before that.
fn login_failed(fault: LoginFault, status: &Status, url: &RtmpUrl, authority: &str) -> gst::ErrorMessage {
    let said = status.description.split('&').next().unwrap_or_default();
    let said = url.scrub(said.trim());
    let text = match fault {
        LoginFault::NoCredentials(scheme) => format!(
            "{authority} asks for a login (authmod {scheme}). Set username and password, or write them into the \
             location: rtmp://user:password@host/.."
        ),
        LoginFault::Disabled(scheme) => format!(
            "{authority} asks for a login (authmod {scheme}), and authmod is none. Set authmod=auto, username and \
             password."
        ),
        LoginFault::OtherScheme { ours, theirs } => format!(
            "{authority} asks for a login by authmod {theirs}, but {ours} was chosen. Set authmod=auto or {theirs}."
        ),
        LoginFault::Refused => format!(
            "{authority} refused the login: {}. Check username and password.",
            printable(&said)
        ),
        LoginFault::AskedAgain => format!(
            "{authority} did not take the login and asks for it again: {}. Check username and password.",
            printable(&said)
        ),
        LoginFault::BadChallenge(what) => {
            format!("{authority} asks for a login in a way that cannot be answered: {what}.")
        }
    };
    let debug = format_args!("the server refused connect: {}", url.scrub(&status.code)).to_string();
    message(gst::ResourceError::NotAuthorized, &text, Some(&debug))
}

/// A redirect that is not followed. Stream name and query of its target are masked as ours are.
fn not_redirected(
    fault: RedirectFault,
    status: &Status,
    side: Side,
    url: &RtmpUrl,
    authority: &str,
) -> gst::ErrorMessage {
    let target = status.redirect().and_then(|target| RtmpUrl::parse(&target).ok());
    let host = target.as_ref().map_or("another host", RtmpUrl::host);
    let shown = target
        .as_ref()
        .map_or_else(|| "another URL".to_owned(), ToString::to_string);
    let shown = printable(&url.scrub(&shown));
    let text = match fault {
        RedirectFault::Disabled => format!(
            "{authority} sends clients on to {shown}. Use that location, or set follow-redirects=true."
        ),
        RedirectFault::TooMany => format!(
            "{authority} sends clients on to {shown}, after {MAX_REDIRECTS} other redirects. The servers do not agree \
             among themselves."
        ),
        RedirectFault::Circular => {
            format!(
                "{authority} sends clients on to {shown}, where this one has been: the servers send it in a circle."
            )
        }
        RedirectFault::Unusable => {
            format!("{authority} sends clients on, but not to a URL of RTMP.")
        }
        RedirectFault::Unencrypted => format!(
            "{authority} sends clients on to {shown}, which protects less. Set redirect-to-unencrypted=true if that \
             will do."
        ),
        RedirectFault::Untrusted => format!(
            "{authority} sends clients on to {shown}, another host, which would be told the stream name. Set \
             redirect-hosts to {} if you trust it.",
            printable(host)
        ),
    };
    message(side.open(), &text, Some(&fault))
}

/// The server's refusal, by its code, in its own words.
fn rejected(
    phase: session::Phase,
    status: &Status,
    side: Side,
    url: &RtmpUrl,
    authority: &str,
) -> gst::ErrorMessage {
    let ends = |words: &[&str]| {
        words.iter().any(|word| {
            status
                .code
                .to_ascii_lowercase()
                .ends_with(&word.to_ascii_lowercase())
        })
    };
    let (code, advice) = if ends(&["BadName"]) {
        (
            gst::ResourceError::Busy,
            "Is somebody publishing under this name already?",
        )
    } else if ends(&["StreamNotFound", "NotFound"]) {
        (
            gst::ResourceError::NotFound,
            "Check the stream name, and that it is being published.",
        )
    } else if ends(&["InvalidApp"]) {
        (gst::ResourceError::NotFound, "Check the application name.")
    } else if ends(&["Rejected", "Denied", "Unauthorized", "NoAccess", "Prohibited"]) {
        (
            gst::ResourceError::NotAuthorized,
            "Check the application, and the stream name or key.",
        )
    } else {
        (side.during(phase), "Check the application and the stream name.")
    };
    // The server may repeat a stream key or a password.
    let words = url.scrub(&status.description);
    let words = words.trim().trim_end_matches('.');
    let said = match (status.code.as_str(), words) {
        ("", "") => "no reason given".to_owned(),
        ("", words) => words.to_owned(),
        (code, "") => url.scrub(code),
        (code, words) => format!("{}, {words}", url.scrub(code)),
    };
    message(
        code,
        &format!("{authority} refused {phase}: {}. {advice}", printable(&said)),
        Some(&format_args!("the server refused {phase}")),
    )
}

/// What a server said, without the control characters that would garble a terminal.
fn printable(text: &str) -> String {
    const MAX_WORDS: usize = 300;
    text.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests;
