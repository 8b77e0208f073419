//! `docs/errors.md` and the code say the same: domains, codes and sentences.

use std::sync::Arc;

use gst::prelude::*;

use super::*;
use crate::amf::Value;
use crate::elements::settings::SecretFault;
use crate::session::login::Scheme;
use crate::session::{Level, Phase as SessionPhase};
use crate::transport::tcp::Family;
use crate::transport::tls::{Failure, Fault, Plain};
use crate::wire::Malformed;

const DOCUMENT: &str = include_str!("../../../docs/errors.md");

/// What an application gets: such as `RESOURCE OPEN_WRITE`, and the sentence.
fn posted(message: gst::ErrorMessage) -> (String, String) {
    gst::init().unwrap();
    let element = gst::Bin::new();
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    element.post_error_message(message);
    let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
    let gst::MessageView::Error(message) = message.view() else {
        panic!("an error was posted");
    };
    let error = message.error();
    let domain = error.domain().as_str();
    let domain = domain
        .strip_prefix("gst-")
        .and_then(|name| name.strip_suffix("-error-quark"))
        .unwrap()
        .to_uppercase();
    let code = error
        .kind::<gst::ResourceError>()
        .map(|code| format!("{code:?}"))
        .or_else(|| error.kind::<gst::StreamError>().map(|code| format!("{code:?}")))
        .or_else(|| error.kind::<gst::CoreError>().map(|code| format!("{code:?}")))
        .or_else(|| error.kind::<gst::LibraryError>().map(|code| format!("{code:?}")))
        .unwrap();
    (
        format!("{domain} {}", with_underscores(&code)),
        error.message().to_owned(),
    )
}

/// `OpenWrite` as `OPEN_WRITE`.
fn with_underscores(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// The cells of the tables' rows.
fn rows() -> Vec<Vec<&'static str>> {
    DOCUMENT
        .lines()
        .filter_map(|line| {
            Some(
                line.strip_prefix("| ")?
                    .strip_suffix(" |")?
                    .split(" | ")
                    .collect(),
            )
        })
        .collect()
}

/// The code and the rest of the row that begins with `cause`.
fn row(cause: &str) -> (&'static str, &'static str) {
    let rows = rows();
    let Some([_, code, text]) = rows
        .iter()
        .find(|row| row.first() == Some(&cause))
        .map(Vec::as_slice)
    else {
        panic!("docs/errors.md has no row for {cause:?}");
    };
    (code, text)
}

/// The words in capitals that stand for something else.
const PLACES: &[&str] = &[
    "HOST",
    "NAMES",
    "NAME",
    "PROPERTY",
    "PATH",
    "PROXY",
    "ADDRESS",
    "FAMILY",
    "INTERFACE",
    "COMMAND",
    "PHASE",
    "WHY",
    "URL",
    "SCHEME",
    "WHAT",
    "N",
];

/// Whether `sentence` is `pattern` with something in the place of its words in capitals.
fn is_like(sentence: &str, pattern: &str) -> bool {
    let mut rest = sentence;
    let mut is_open = false;
    for word in pattern.split_inclusive(' ') {
        let name = word.trim_end_matches([' ', '.', ',', ':']);
        if PLACES.contains(&name) {
            is_open = true;
            let behind = word.strip_prefix(name).unwrap_or_default();
            let Some(at) = rest.find(behind) else { return false };
            rest = rest.get(at + behind.len()..).unwrap_or_default();
        } else if is_open {
            let Some(at) = rest.find(word) else { return false };
            rest = rest.get(at + word.len()..).unwrap_or_default();
            is_open = false;
        } else {
            let Some(behind) = rest.strip_prefix(word) else {
                return false;
            };
            rest = behind;
        }
    }
    is_open || rest.is_empty()
}

/// Asserts that what is posted is what is documented for `cause`.
fn assert_documented(cause: &str, side: Side, message: gst::ErrorMessage) {
    let (documented, pattern) = row(cause);
    let (open, lost) = match side {
        Side::Source => ("OPEN_READ", "READ"),
        Side::Sink => ("OPEN_WRITE", "WRITE"),
    };
    let documented = documented
        .replace("RESOURCE OPEN", &format!("RESOURCE {open}"))
        .replace("LOST", lost);
    let (code, sentence) = posted(message);
    assert_eq!(code, documented, "{cause} at {side:?}: {sentence}");
    assert!(
        is_like(&sentence, pattern),
        "{cause}: {sentence:?} is not {pattern:?}"
    );
}

fn url() -> RtmpUrl {
    RtmpUrl::parse("rtmp://example.com/live/key").unwrap()
}

/// Where the document has an error of a connection; none for what no application gets to see.
fn cause(error: &transport::Error) -> Option<&'static str> {
    use transport::Error;
    Some(match error {
        Error::Resolve { .. } => "the host's name has no address",
        Error::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => "refused",
        Error::Connect { .. } => "no TCP connection for another reason",
        Error::OtherFamily { .. } => {
            "the host, or its proxy, has no address of the family that `address-family` or `bind-address` leave"
        }
        Error::Bind(BindError::Address { .. }) => "`bind-address` is no address of this machine",
        Error::Bind(BindError::Interface { source, .. }) => match source.kind() {
            io::ErrorKind::PermissionDenied => "the process may not bind to an interface",
            io::ErrorKind::Unsupported => "the system has no binding to interfaces",
            _ => "`bind-interface` does not exist",
        },
        Error::Proxy { fault, .. } => cause_at_proxy(fault),
        Error::TimedOut(Phase::Resolve) => "no name server answered within `timeout`",
        Error::TimedOut(Phase::Connect) => "no TCP connection within `timeout`",
        Error::Tls(failure) => tls_cause(&failure.fault),
        Error::TimedOut(Phase::Tls) => "no TLS handshake within `timeout`",
        Error::TimedOut(Phase::Write) => "the server reads nothing for `timeout`",
        Error::TimedOut(Phase::Session(phase)) | Error::Session(session::Error::TimedOut(phase)) => {
            match phase {
                SessionPhase::Handshake => "no handshake within `timeout`",
                SessionPhase::Connect
                | SessionPhase::CreateStream
                | SessionPhase::Publish
                | SessionPhase::Play => "no reply to connect, createStream, publish or play within `timeout`",
                // Nothing is awaited then.
                SessionPhase::Media | SessionPhase::Closing => return None,
            }
        }
        Error::TimedOut(Phase::Tunnel) => "no answer to the first request of RTMPT within `timeout`",
        Error::Tunnel(error) => cause_in_tunnel(*error),
        Error::Io { .. } => "the connection fails",
        Error::Session(session::Error::Disconnected(phase)) => match phase {
            SessionPhase::Handshake => "closed during the handshake",
            SessionPhase::Connect => "closed instead of a reply to connect",
            SessionPhase::CreateStream | SessionPhase::Publish | SessionPhase::Play => {
                "closed instead of a reply to another command"
            }
            SessionPhase::Media | SessionPhase::Closing => "the server closes it before the stream's end",
        },
        Error::Session(session::Error::Malformed(_) | session::Error::PeerMisbehaved(_)) => {
            "bytes that are not RTMP"
        }
        Error::Session(session::Error::ClearText) => "RTMPE answered in clear text",
        Error::Session(session::Error::LimitExceeded(_)) => "more than a limit allows",
        Error::Session(session::Error::Unverified(phase)) => match phase {
            SessionPhase::Media | SessionPhase::Closing => {
                "closed after SWF verification was asked for, while the stream flows"
            }
            SessionPhase::Handshake
            | SessionPhase::Connect
            | SessionPhase::CreateStream
            | SessionPhase::Publish
            | SessionPhase::Play => "closed after SWF verification was asked for and not given",
        },
        Error::Session(session::Error::ApiMisuse(_)) => "the element itself",
        Error::Session(session::Error::Login { fault, .. }) => match fault {
            LoginFault::NoCredentials(_) => {
                "the server asks for a login, and user name or password is not set"
            }
            LoginFault::Disabled(_) => "the server asks for a login, and `authmod` is none",
            LoginFault::OtherScheme { .. } => {
                "the server asks for another `authmod` than the one that is set"
            }
            LoginFault::Refused => "user name or password is wrong",
            LoginFault::AskedAgain => "the server asks again for what it was told",
            LoginFault::BadChallenge(_) => "the server's challenge lacks something, or is too long",
        },
        Error::Session(session::Error::Redirect { fault, .. }) => match fault {
            RedirectFault::Disabled => "a redirect, and `follow-redirects` is false",
            RedirectFault::TooMany => "a fourth redirect",
            RedirectFault::Circular => "a redirect back",
            RedirectFault::Unusable => "a redirect to something else than an absolute URL of RTMP",
            RedirectFault::Unencrypted => "a redirect to a scheme that protects less",
            RedirectFault::Untrusted => "a redirect to another host, which would be told the stream name",
        },
        // They have a table of their own.
        Error::Session(session::Error::Rejected { .. }) => return None,
        // The owner knows that it closed the connection.
        Error::Closed => return None,
    })
}

fn cause_in_tunnel(error: TunnelError) -> &'static str {
    match error {
        TunnelError::NotOffered(_) => "an HTTP server that has no RTMPT: status 400, 404, 405, 410 or 501",
        TunnelError::Page => "a page instead of a session id, as from networks that want a login",
        TunnelError::Unauthorized(_) => "HTTP status 401 or 403",
        TunnelError::ProxyUnauthorized => "HTTP status 407",
        TunnelError::Refused(_) => "any other HTTP status",
        TunnelError::Redirected(_) => "a second redirect of RTMPT, or one to something else",
        TunnelError::Elsewhere => {
            "a redirect of RTMPT to a host that is not trusted, or while redirects are not wanted"
        }
        TunnelError::SessionLost(_) => "an HTTP status other than 200 (RTMPT)",
        TunnelError::Disconnected => "closed instead of that answer",
        TunnelError::TimedOut => "the server reads nothing for `timeout`",
        TunnelError::Malformed(_) => "bytes that are not HTTP, or not of RTMPT",
    }
}

fn cause_at_proxy(fault: &ProxyFault) -> &'static str {
    use crate::proxy::Error as Answer;
    match fault {
        ProxyFault::Resolve(_) => "the proxy's name has no address",
        ProxyFault::Connect(source) if source.kind() == io::ErrorKind::ConnectionRefused => {
            "the proxy's port is closed"
        }
        ProxyFault::Connect(_) => "no TCP connection to the proxy for another reason",
        ProxyFault::Silent => "no connection to the proxy, or not all of its answer, within `timeout`",
        ProxyFault::Io(_) => "the connection to the proxy fails before it has agreed",
        ProxyFault::Handshake { error, .. } => match error {
            Answer::Unfit(_) => "the proxy's protocol cannot express the server's address",
            Answer::LoginRequired => "the proxy wants a login, and `proxy` has none",
            Answer::LoginRefused => "the proxy does not take the login",
            Answer::LoginUnsupported => "the proxy wants a login of another kind, such as NTLM",
            Answer::Refused(_) => "the proxy could or would not connect to the server; WHY has its code",
            Answer::NotAProxy(_) => "the answer is not one of the proxy's protocol",
            Answer::LimitExceeded(_) => "the proxy's answer is too long",
            Answer::Disconnected => "the proxy closes the connection before it has agreed",
        },
    }
}

/// Every way in which a proxy fails.
fn faults_of_proxies() -> Vec<ProxyFault> {
    use crate::proxy::{Error as Answer, Refusal};
    let source = || Arc::new(io::Error::other("it broke"));
    let mut faults = vec![
        ProxyFault::Resolve(source()),
        ProxyFault::Connect(source()),
        ProxyFault::Connect(Arc::new(io::ErrorKind::ConnectionRefused.into())),
        ProxyFault::Silent,
        ProxyFault::Io(source()),
    ];
    faults.extend(
        [
            Answer::Unfit("SOCKS 4 has no IPv6 addresses: use socks5"),
            Answer::LoginRequired,
            Answer::LoginRefused,
            Answer::LoginUnsupported,
            Answer::Refused(Refusal::Socks5(5)),
            Answer::NotAProxy("it does not begin as one of SOCKS 5 does"),
            Answer::LimitExceeded("a head of more than 16 KiB"),
            Answer::Disconnected,
        ]
        .map(|error| ProxyFault::Handshake {
            destination: "example.com:1935".into(),
            error,
        }),
    );
    faults
}

/// Where the document has a fault of TLS.
const fn tls_cause(fault: &Fault) -> &'static str {
    match fault {
        Fault::UnknownIssuer => "no trusted authority vouches for the server's certificate",
        Fault::SelfSigned => "the server's certificate is signed by itself",
        Fault::Expired => "the server's certificate, or one above it, has expired",
        Fault::NotYetValid => "the server's certificate, or one above it, is not valid yet",
        Fault::WrongHost { .. } => "the server's certificate is for other hosts",
        Fault::WrongPin => "the server's certificate is not that of `certificate-pin`",
        Fault::Insecure => "the server's certificate is signed by an unsafe algorithm",
        Fault::Certificate(_) => "the server's certificate is faulty otherwise",
        Fault::NoRoots => "the system has no certificates of authorities",
        Fault::BadName => "the host cannot be named by a certificate",
        Fault::Refused(_) => "the server refuses the client's certificate, or demands one",
        Fault::NotTls(_) => "the port does not speak TLS",
        Fault::Dropped => "closed during the TLS handshake",
        Fault::Version => "the server has no safe version of TLS",
        Fault::Alert(_) => "the server ends the TLS handshake otherwise",
        Fault::Protocol(_) => "bytes that are not TLS",
    }
}

/// One of every kind.
fn tls_faults() -> Vec<Fault> {
    let names = Arc::new(["example.org".to_owned(), "*.example.net".to_owned()]);
    vec![
        Fault::UnknownIssuer,
        Fault::SelfSigned,
        Fault::Expired,
        Fault::NotYetValid,
        Fault::WrongHost { names },
        Fault::WrongHost {
            names: Arc::default(),
        },
        Fault::WrongPin,
        Fault::Insecure,
        Fault::Certificate(rustls::CertificateError::BadEncoding),
        Fault::NoRoots,
        Fault::BadName,
        Fault::Refused(rustls::AlertDescription::CertificateRequired),
        Fault::NotTls(Plain::Rtmp),
        Fault::NotTls(Plain::Http),
        Fault::NotTls(Plain::Other),
        Fault::Dropped,
        Fault::Version,
        Fault::Alert(rustls::AlertDescription::UnrecognisedName),
        Fault::Protocol(rustls::Error::DecryptError),
    ]
}

/// One error of every kind.
fn errors() -> Vec<transport::Error> {
    use transport::Error;
    const PHASES: [SessionPhase; 7] = [
        SessionPhase::Handshake,
        SessionPhase::Connect,
        SessionPhase::CreateStream,
        SessionPhase::Publish,
        SessionPhase::Play,
        SessionPhase::Media,
        SessionPhase::Closing,
    ];
    let source = || Arc::new(io::Error::other("it broke"));
    let mut errors = vec![
        Error::Resolve {
            host: "example.com".into(),
            source: source(),
        },
        Error::Connect {
            authority: "example.com:1935".into(),
            source: source(),
        },
        Error::Connect {
            authority: "example.com:1935".into(),
            source: Arc::new(io::ErrorKind::ConnectionRefused.into()),
        },
        Error::OtherFamily {
            host: "example.com".into(),
            family: Family::V6,
        },
        Error::Bind(BindError::Address {
            address: [192, 0, 2, 1].into(),
            source: source(),
        }),
        Error::TimedOut(Phase::Resolve),
        Error::TimedOut(Phase::Connect),
        Error::TimedOut(Phase::Tls),
        Error::TimedOut(Phase::Tunnel),
        Error::TimedOut(Phase::Write),
        Error::Io {
            phase: SessionPhase::Media,
            source: source(),
        },
        session::Error::Malformed(Malformed::Truncated("command name")).into(),
        session::Error::PeerMisbehaved("it did").into(),
        session::Error::ClearText.into(),
        session::Error::LimitExceeded("message length").into(),
        session::Error::ApiMisuse("it was").into(),
    ];
    for kind in [
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::Unsupported,
        io::ErrorKind::NotFound,
    ] {
        errors.push(Error::Bind(BindError::Interface {
            name: "eth9".into(),
            source: Arc::new(kind.into()),
        }));
    }
    errors.extend(faults_of_proxies().into_iter().map(|fault| Error::Proxy {
        proxy: "proxy.example:1080".into(),
        fault,
    }));
    errors.extend(tls_faults().into_iter().map(|fault| {
        let host = "example.com".into();
        Error::Tls(Failure { host, fault })
    }));
    let ex = Value::object([("redirect", Value::from("rtmp://other.example/live/x"))]);
    let status = Status {
        info: Value::object([("ex", ex)]),
        ..Status::new(Level::Error, "NetConnection.Connect.Rejected", "no")
    };
    let (adobe, llnw) = (Scheme::Adobe, Scheme::Llnw);
    for fault in [
        LoginFault::NoCredentials(adobe),
        LoginFault::Disabled(llnw),
        LoginFault::OtherScheme {
            ours: adobe,
            theirs: llnw,
        },
        LoginFault::Refused,
        LoginFault::AskedAgain,
        LoginFault::BadChallenge("the salt is missing"),
    ] {
        let status = Box::new(status.clone());
        errors.push(session::Error::Login { fault, status }.into());
    }
    for fault in [
        RedirectFault::Disabled,
        RedirectFault::TooMany,
        RedirectFault::Circular,
        RedirectFault::Unusable,
        RedirectFault::Unencrypted,
        RedirectFault::Untrusted,
    ] {
        let status = Box::new(status.clone());
        errors.push(session::Error::Redirect { fault, status }.into());
    }
    let of_tunnel = [
        TunnelError::NotOffered(404),
        TunnelError::Page,
        TunnelError::Unauthorized(401),
        TunnelError::ProxyUnauthorized,
        TunnelError::Refused(503),
        TunnelError::Redirected(302),
        TunnelError::Elsewhere,
        TunnelError::SessionLost(404),
        TunnelError::Disconnected,
        TunnelError::TimedOut,
        TunnelError::Malformed(Malformed::Excessive("the head of an HTTP message")),
    ];
    errors.extend(of_tunnel.map(Error::Tunnel));
    for phase in PHASES {
        errors.push(Error::TimedOut(Phase::Session(phase)));
        errors.push(Error::Session(session::Error::Disconnected(phase)));
        errors.push(Error::Session(session::Error::Unverified(phase)));
    }
    errors
}

#[test]
fn failed_connections_are_documented() {
    let mut documented = Vec::new();
    for error in errors() {
        let Some(cause) = cause(&error) else { continue };
        documented.push(cause);
        for side in [Side::Source, Side::Sink] {
            assert_documented(cause, side, failed(&error, side, &url()));
        }
    }
    let cause = "the same with `rtmpe` or `rtmpte`";
    documented.push(cause);
    for scheme in ["rtmpe", "rtmpte"] {
        let url = RtmpUrl::parse(&format!("{scheme}://example.com/live/key")).unwrap();
        let error = session::Error::Disconnected(SessionPhase::Handshake).into();
        assert_documented(cause, Side::Sink, failed(&error, Side::Sink, &url));
    }
    // And nothing is documented that there is not.
    let section = |title: &str| {
        let (_, rest) = DOCUMENT.split_once(title).unwrap();
        rest.split("\n## ").next().unwrap_or_default()
    };
    let tables = [
        "## Connecting\n",
        "## TLS\n",
        "## Logging in, and being sent on\n",
        "## While the stream flows\n",
    ]
    .map(section)
    .concat();
    for row in tables.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cause = row.split(" | ").next().unwrap_or_default();
        // The source finds this out with the caps of its peer.
        let is_exempt = cause == "cause" || cause.starts_with("the stream has no track of the caps");
        assert!(
            is_exempt || documented.contains(&cause),
            "nothing has the cause {cause:?}"
        );
    }
}

#[test]
fn refusals_are_documented() {
    let table = [
        ("NetStream.Publish.BadName", "`BadName`"),
        ("NetStream.Play.StreamNotFound", "`StreamNotFound`, `NotFound`"),
        ("NetConnection.Connect.InvalidApp", "`InvalidApp`"),
        (
            "NetConnection.Connect.Rejected",
            "`Rejected`, `Denied`, `Unauthorized`, `NoAccess`, `Prohibited`",
        ),
        ("NetStream.Publish.Failed", "anything else"),
    ];
    for (code, ending) in table {
        let (documented, advice) = row(ending);
        for (side, open) in [(Side::Source, "OPEN_READ"), (Side::Sink, "OPEN_WRITE")] {
            let error = session::Error::Rejected {
                phase: SessionPhase::Publish,
                status: Box::new(Status::new(Level::Error, code, "no")),
            };
            let (code_posted, sentence) = posted(failed(&error.into(), side, &url()));
            let documented = documented
                .split(',')
                .next()
                .unwrap_or_default()
                .replace("RESOURCE OPEN", &format!("RESOURCE {open}"));
            assert_eq!(code_posted, documented, "{code}");
            let expected = format!("example.com:1935 refused publish: {code}, no. {advice}");
            assert_eq!(sentence, expected);
        }
    }
    for word in ["Denied", "Unauthorized", "NoAccess", "Prohibited"] {
        let error = session::Error::Rejected {
            phase: SessionPhase::Connect,
            status: Box::new(Status::new(
                Level::Error,
                &format!("NetStream.Publish.{word}"),
                "",
            )),
        };
        let (code, _) = posted(failed(&error.into(), Side::Sink, &url()));
        assert_eq!(code, "RESOURCE NOT_AUTHORIZED", "{word}");
    }
}

#[test]
fn what_is_found_out_before_connecting_is_documented() {
    let flv = crate::flv::Error {
        offset: 17,
        cause: Malformed::Truncated("FLV tag header"),
    };
    for (cause, message) in [
        (
            "something is asked for that a later version will do",
            not_supported_yet("rtmpe"),
        ),
        ("input that is not FLV (`rtmpsink`)", bad_flv(&flv)),
        (
            "the system has no more threads or descriptors",
            no_resources(&io::Error::other("none left")),
        ),
        (
            "an environment variable, a file or a login's part that is needed cannot be had",
            bad_setting(&SecretFault::Unset("KEY".to_owned())),
        ),
        ("the system has no random bytes", no_entropy()),
        (
            "a file of certificates or a key cannot be used",
            bad_file("ca-file", "/etc/ca.pem", &"it has no certificate in PEM form"),
        ),
    ] {
        assert_documented(cause, Side::Sink, message);
    }
    let fault = RtmpUrl::parse("rtmp://example.com:99999/live/key").unwrap_err();
    assert_eq!(
        posted(bad_url(&fault)).0,
        row("the location or one of its parts cannot be used").0
    );
}

#[test]
fn the_sink_never_says_that_it_cannot_read() {
    for error in errors() {
        let (code, _) = posted(failed(&error, Side::Sink, &url()));
        assert!(!code.ends_with("READ"), "{error}: {code}");
    }
}
