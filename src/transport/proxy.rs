//! The handshake with a proxy over a socket that is connected to it.
//!
//! [`Negotiation`] never blocks, so that a loop of any kind can drive it; [`negotiate`] is the loop of a thread that
//! has nothing else to do. What the proxy says is judged by [`crate::proxy`].

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, BytesMut};

use super::error::{Error, ProxyFault};
use super::tcp::{Interest, Socket, poll};
use super::wake::Wake;
use crate::proxy::{self, Destination, Handshake};
use crate::url::Proxy;

/// Bytes read at a time: no answer is longer, and what the server says behind it is put back.
const READ_SIZE: usize = 4 << 10;

/// A handshake on its way.
#[derive(Debug)]
pub(super) struct Negotiation {
    socket: Socket,
    handshake: Handshake,
    input: BytesMut,
}

impl Negotiation {
    /// Asks `proxy`, which `socket` is connected to, for a connection to `destination`.
    pub(super) fn new(
        socket: Socket,
        proxy: &Proxy,
        destination: &Destination,
    ) -> Result<Self, proxy::Error> {
        Ok(Self {
            socket,
            handshake: Handshake::new(proxy, destination)?,
            input: BytesMut::new(),
        })
    }

    /// Goes on as far as the socket allows. True when the proxy has agreed; until then, wait for
    /// [`interest`](Self::interest).
    pub(super) fn advance(&mut self) -> Result<bool, NegotiationError> {
        loop {
            if let Some(output) = self.handshake.poll_transmit() {
                match self.socket.write_vectored(&[IoSlice::new(output)]) {
                    Ok(count) => {
                        output.advance(count);
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // What the proxy has said before it closed the connection is told instead, if it has.
                    Err(error) => self.last_words(error)?,
                }
            }
            match self.socket.read(&mut self.input, READ_SIZE) {
                Ok(0) => return Err(proxy::Error::Disconnected.into()),
                Ok(_) => self.handshake.handle_input(&mut self.input)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(NegotiationError::Io(error)),
            }
            if self.handshake.is_done() {
                return Ok(true);
            }
        }
    }

    fn last_words(&mut self, error: io::Error) -> Result<(), NegotiationError> {
        if matches!(self.socket.read(&mut self.input, READ_SIZE), Ok(1..)) {
            self.handshake.handle_input(&mut self.input)?;
        }
        Err(NegotiationError::Io(error))
    }

    /// What the socket has to be ready for.
    pub(super) const fn interest(&self) -> Interest {
        if self.handshake.has_output() {
            Interest::BOTH
        } else {
            Interest::READ
        }
    }

    /// The socket, to be waited for.
    pub(super) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket, whose bytes are the server's from here on: those that came behind the proxy's answer too.
    pub(super) fn finish(self) -> Socket {
        let Self {
            mut socket, input, ..
        } = self;
        socket.unread(input);
        socket
    }
}

/// Why a negotiation has failed.
#[derive(Debug)]
pub(super) enum NegotiationError {
    /// The connection to the proxy failed.
    Io(io::Error),
    /// What the proxy said, or did not say.
    Proxy(proxy::Error),
}

impl From<proxy::Error> for NegotiationError {
    fn from(error: proxy::Error) -> Self {
        Self::Proxy(error)
    }
}

impl NegotiationError {
    /// The same as the end of a connection through `proxy` to `destination`.
    pub(super) fn into_error(self, proxy: &Proxy, destination: &Destination) -> Error {
        let fault = match self {
            Self::Io(source) => ProxyFault::Io(Arc::new(source)),
            Self::Proxy(error) => ProxyFault::Handshake {
                destination: destination.to_string().into(),
                error,
            },
        };
        failed(proxy, fault)
    }
}

/// The error of a connection through `proxy`.
pub(super) fn failed(proxy: &Proxy, fault: ProxyFault) -> Error {
    Error::Proxy {
        proxy: proxy.authority().into(),
        fault,
    }
}

/// Has `proxy`, which `socket` is connected to, connect us to `destination`, until `deadline` or until `cancel` is
/// awake.
pub(super) fn negotiate(
    socket: Socket,
    proxy: &Proxy,
    destination: &Destination,
    cancel: &Wake,
    deadline: Instant,
) -> Result<Socket, Error> {
    let told = |error: NegotiationError| error.into_error(proxy, destination);
    let mut negotiation = Negotiation::new(socket, proxy, destination).map_err(|error| told(error.into()))?;
    while !negotiation.advance().map_err(told)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(proxy, ProxyFault::Silent));
        }
        let waited = Some((negotiation.socket(), negotiation.interest()));
        let ready = poll(waited, cancel, Some(left)).map_err(|error| told(NegotiationError::Io(error)))?;
        if ready.woken {
            return Err(Error::Closed);
        }
    }
    Ok(negotiation.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{Error as Answer, Refusal};
    use crate::transport::dial::{Target, dial_tcp};
    use crate::transport::error::Phase;
    use crate::transport::tcp::{Family, TcpOptions};
    use crate::url::Scheme;
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(20);

    /// What a scripted proxy does.
    enum Deed {
        /// Reads exactly this.
        Hear(&'static [u8]),
        /// Writes it at once.
        Say(&'static [u8]),
        /// Writes it byte by byte.
        Spell(&'static [u8]),
        /// Reads until the client goes.
        Wait,
    }
    use Deed::{Hear, Say, Spell, Wait};

    /// A proxy that follows a script for each of its clients, one after the other, and closes behind it.
    struct Scripted {
        port: u16,
        thread: JoinHandle<()>,
    }

    impl Scripted {
        fn start(scripts: Vec<Vec<Deed>>) -> Self {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let thread = thread::spawn(move || {
                let serve = |script: Vec<Deed>| {
                    let (mut client, _) = listener.accept().unwrap();
                    client.set_read_timeout(Some(LONG)).unwrap();
                    client.set_nodelay(true).unwrap();
                    for deed in script {
                        match deed {
                            Hear(expected) => {
                                let mut heard = vec![0; expected.len()];
                                client.read_exact(&mut heard).unwrap();
                                assert_eq!(heard, expected);
                            }
                            Say(bytes) => client.write_all(bytes).unwrap(),
                            Spell(bytes) => {
                                for byte in bytes {
                                    client.write_all(&[*byte]).unwrap();
                                    thread::yield_now();
                                }
                            }
                            Wait => drop(client.read_to_end(&mut Vec::new())),
                        }
                    }
                };
                scripts.into_iter().for_each(serve);
            });
            Self { port, thread }
        }

        fn target(&self, scheme: &str, host: &str) -> Target {
            Target {
                scheme: Scheme::Rtmp,
                host: host.into(),
                port: 1935,
                tcp: TcpOptions::default(),
                proxy: Some(Proxy::parse(&format!("{scheme}127.0.0.1:{}", self.port)).unwrap()),
                tls: None,
            }
        }

        /// Dials by way of it, with what it does asserted too.
        fn dial(self, scheme: &str, host: &str) -> Result<Socket, Error> {
            self.dial_with(scheme, host, |_| {})
        }

        fn dial_with(
            self,
            scheme: &str,
            host: &str,
            change: impl FnOnce(&mut Target),
        ) -> Result<Socket, Error> {
            let mut target = self.target(scheme, host);
            change(&mut target);
            let result = dial_tcp(&target, None, Some(LONG), &Wake::new().unwrap());
            self.thread.join().unwrap();
            result
        }
    }

    fn fault(result: Result<Socket, Error>) -> ProxyFault {
        match result {
            Err(Error::Proxy { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    fn answer(result: Result<Socket, Error>) -> Answer {
        match fault(result) {
            ProxyFault::Handshake { error, .. } => error,
            other => panic!("{other:?}"),
        }
    }

    const CONNECT: &[u8] = b"CONNECT live.example:1935 HTTP/1.1\r\nHost: live.example:1935\r\n\r\n";
    const BY_NAME: &[u8] = b"\x05\x01\x00\x03\x0clive.example\x07\x8f";
    const GRANTED: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38";

    #[test]
    fn what_the_server_says_first_is_not_lost() {
        for script in [
            vec![Hear(CONNECT), Say(b"HTTP/1.1 200 OK\r\n\r\nserver first")],
            vec![Hear(CONNECT), Spell(b"HTTP/1.1 200 OK\r\n\r\nserver first")],
        ] {
            let proxy = Scripted::start(vec![script]);
            let mut socket = proxy.dial("http://", "live.example").unwrap();
            let wake = Wake::new().unwrap();
            let mut input = BytesMut::new();
            while input != b"server first"[..] {
                assert!(
                    poll(Some((&socket, Interest::READ)), &wake, Some(LONG))
                        .unwrap()
                        .readable
                );
                socket.read(&mut input, 5).unwrap();
            }
        }
    }

    #[test]
    fn an_address_is_that_of_the_proxy() {
        let script = || vec![Hear(CONNECT), Say(b"HTTP/1.1 200 OK\r\n\r\n")];
        let proxy = Scripted::start(vec![script(), script()]);
        let mut target = proxy.target("http://", "live.example");
        let wake = Wake::new().unwrap();
        let socket = dial_tcp(&target, None, Some(LONG), &wake).unwrap();
        // Another one of that name would not know what the first has been told.
        let url = format!("http://proxy.invalid:{}", proxy.port);
        target.proxy = Some(Proxy::parse(&url).unwrap());
        dial_tcp(&target, Some(socket.peer_addr()), Some(LONG), &wake).unwrap();
        proxy.thread.join().unwrap();
    }

    #[test]
    fn every_protocol_comes_through_byte_by_byte() {
        for (scheme, script) in [
            (
                "http://",
                vec![Hear(CONNECT), Spell(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n")],
            ),
            (
                "socks5h://",
                vec![
                    Hear(b"\x05\x01\x00"),
                    Spell(b"\x05\x00"),
                    Hear(BY_NAME),
                    Spell(GRANTED),
                ],
            ),
            (
                "socks5h://me:pass@",
                vec![
                    Hear(b"\x05\x02\x00\x02"),
                    Spell(b"\x05\x02"),
                    Hear(b"\x01\x02me\x04pass"),
                    Spell(b"\x01\x00"),
                    Hear(BY_NAME),
                    Spell(GRANTED),
                ],
            ),
            (
                "socks4a://me@",
                vec![
                    Hear(b"\x04\x01\x07\x8f\0\0\0\x01me\0live.example\0"),
                    Spell(&[0, 90, 0, 0, 0, 0, 0, 0]),
                ],
            ),
        ] {
            let proxy = Scripted::start(vec![script]);
            let socket = proxy.dial(scheme, "live.example").unwrap();
            assert!(!socket.has_input(), "{scheme}");
        }
    }

    #[test]
    fn a_name_that_is_resolved_here_is_asked_for_by_its_addresses() {
        const V4: &[u8] = b"\x04\x01\x07\x8f\x7f\x00\x00\x01\x00";
        let proxy = Scripted::start(vec![vec![Hear(V4), Say(&[0, 90, 0, 0, 0, 0, 0, 0])]]);
        proxy.dial("socks4://", "localhost").unwrap();

        const REQUEST: &[u8] = b"\x05\x01\x00\x01\x7f\x00\x00\x01\x07\x8f";
        let script = vec![
            Hear(b"\x05\x01\x00"),
            Say(b"\x05\x00"),
            Hear(REQUEST),
            Say(GRANTED),
        ];
        let only_v4 = |target: &mut Target| target.tcp.family = Family::V4;
        let proxy = Scripted::start(vec![script]);
        proxy.dial_with("socks5://", "localhost", only_v4).unwrap();
    }

    #[test]
    fn a_proxy_is_asked_for_each_address_until_it_knows_a_way() {
        let wake = Wake::new().unwrap();
        let addresses = crate::transport::resolve::resolve("localhost", 1935, &wake, Instant::now() + LONG);
        let script = |reply| {
            vec![
                Hear(b"\x05\x01\x00"),
                Say(b"\x05\x00"),
                Hear(b"\x05\x01\x00"),
                Say(reply),
            ]
        };
        let refused: &[u8] = b"\x05\x05\x00\x01\0\0\0\0\0\0";
        let count = addresses.unwrap().len();

        let mut scripts: Vec<_> = (1..count).map(|_| script(refused)).collect();
        scripts.push(script(GRANTED));
        Scripted::start(scripts).dial("socks5://", "localhost").unwrap();

        let scripts = (0..count).map(|_| script(refused)).collect();
        let error = answer(Scripted::start(scripts).dial("socks5://", "localhost"));
        assert_eq!(error, Answer::Refused(Refusal::Socks5(5)));
    }

    #[test]
    fn a_family_that_socks4_has_not_is_told() {
        let proxy = Scripted::start(vec![]);
        let only_v6 = |target: &mut Target| target.tcp.family = Family::V6;
        // Already the proxy has no such address.
        let error = proxy.dial_with("socks4://", "localhost", only_v6).unwrap_err();
        assert!(
            matches!(
                error,
                Error::OtherFamily {
                    family: Family::V6,
                    ..
                }
            ),
            "{error:?}"
        );
        // The proxy is connected to, and not asked.
        let proxy = Scripted::start(vec![vec![Wait]]);
        let error = answer(proxy.dial("socks4://", "::1"));
        assert!(matches!(error, Answer::Unfit(_)), "{error:?}");
    }

    #[test]
    fn requests_in_plain_http_go_to_an_http_proxy_without_connect() {
        for scheme in [Scheme::Rtmpt, Scheme::Rtmpte] {
            let proxy = Scripted::start(vec![vec![Say(b"nothing was asked")]]);
            let tunnelled = |target: &mut Target| {
                target.scheme = scheme;
                assert_eq!(target.http_proxy(), target.proxy.as_ref());
            };
            proxy.dial_with("http://", "live.example", tunnelled).unwrap();
        }
        for (scheme, proxy) in [
            (Scheme::Rtmpts, "http://p"),
            (Scheme::Rtmp, "http://p"),
            (Scheme::Rtmpt, "socks5://p"),
        ] {
            let target = Target {
                scheme,
                host: "live.example".into(),
                port: 80,
                tcp: TcpOptions::default(),
                proxy: Some(Proxy::parse(proxy).unwrap()),
                tls: None,
            };
            assert_eq!(target.http_proxy(), None, "{scheme} {proxy}");
        }
    }

    #[test]
    fn a_refusal_is_the_error_even_of_a_proxy_that_closes_at_once() {
        for (scheme, script, error) in [
            (
                "http://",
                vec![Hear(CONNECT), Say(b"HTTP/1.1 403 Forbidden\r\n\r\n")],
                Answer::Refused(Refusal::Http(403)),
            ),
            (
                "http://",
                vec![
                    Hear(CONNECT),
                    Say(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"),
                ],
                Answer::LoginRequired,
            ),
            (
                "socks5h://",
                vec![Hear(b"\x05\x01\x00"), Say(b"\x05\xff")],
                Answer::LoginRequired,
            ),
            (
                "socks5h://me:pass@",
                vec![
                    Hear(b"\x05\x02\x00\x02"),
                    Say(b"\x05\x02"),
                    Hear(b"\x01\x02me\x04pass"),
                    Say(b"\x01\x01"),
                ],
                Answer::LoginRefused,
            ),
            (
                "socks5h://",
                vec![
                    Hear(b"\x05\x01\x00"),
                    Say(b"\x05\x00"),
                    Hear(BY_NAME),
                    Say(b"\x05\x02"),
                ],
                Answer::Refused(Refusal::Socks5(2)),
            ),
        ] {
            let proxy = Scripted::start(vec![script]);
            assert_eq!(answer(proxy.dial(scheme, "live.example")), error, "{scheme}");
        }
    }

    #[test]
    fn half_an_answer_and_the_end_is_no_answer() {
        for (scheme, script) in [
            ("http://", vec![Hear(CONNECT)]),
            ("http://", vec![Hear(CONNECT), Say(b"HTTP/1.1 200 OK\r\n")]),
            ("socks5h://", vec![Hear(b"\x05\x01\x00"), Say(b"\x05")]),
            (
                "socks5h://",
                vec![
                    Hear(b"\x05\x01\x00"),
                    Say(b"\x05\x00"),
                    Hear(BY_NAME),
                    Say(b"\x05\x00\x00"),
                ],
            ),
        ] {
            let proxy = Scripted::start(vec![script]);
            assert_eq!(
                answer(proxy.dial(scheme, "live.example")),
                Answer::Disconnected,
                "{scheme}"
            );
        }
    }

    #[test]
    fn a_banner_is_not_read_to_its_end() {
        const BANNER: &[u8] = &[b'x'; 1 << 20];
        let proxy = Scripted::start(vec![vec![
            Hear(CONNECT),
            Say(b"HTTP/1.1 200 "),
            Say(&[b'x'; 20_000]),
        ]]);
        let error = answer(proxy.dial("http://", "live.example"));
        assert!(matches!(error, Answer::LimitExceeded(_)), "{error:?}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Scripted {
            port: listener.local_addr().unwrap().port(),
            thread: thread::spawn(move || {
                let (mut client, _) = listener.accept().unwrap();
                // The client goes before all of it is written.
                drop(client.write_all(BANNER));
            }),
        };
        let error = answer(proxy.dial("socks5h://", "live.example"));
        assert!(matches!(error, Answer::NotAProxy(_)), "{error:?}");
    }

    #[test]
    fn a_silent_proxy_takes_no_longer_than_the_timeout() {
        for said in [&b""[..], b"HTTP/1.1 200"] {
            let proxy = Scripted::start(vec![vec![Hear(CONNECT), Say(said), Wait]]);
            let target = proxy.target("http://", "live.example");
            let timeout = Duration::from_millis(100);
            let start = Instant::now();
            let fault = fault(dial_tcp(&target, None, Some(timeout), &Wake::new().unwrap()));
            assert!(matches!(fault, ProxyFault::Silent), "{fault:?}");
            assert!(start.elapsed() >= timeout);
            proxy.thread.join().unwrap();
        }
    }

    #[test]
    fn cancelling_ends_a_handshake_that_is_under_way() {
        let proxy = Scripted::start(vec![vec![Hear(CONNECT), Wait]]);
        let target = proxy.target("http://", "live.example");
        let cancel = Arc::new(Wake::new().unwrap());
        let dialling = {
            let cancel = Arc::clone(&cancel);
            thread::spawn(move || dial_tcp(&target, None, None, &cancel))
        };
        // Whether the request is out already or not: it never returns without the wake.
        cancel.wake();
        let error = dialling.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Closed), "{error:?}");
        // Nobody may have come.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)));
    }

    #[test]
    fn cancelling_ends_the_wait_for_an_answer() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let target = Target {
            scheme: Scheme::Rtmp,
            host: "live.example".into(),
            port: 1935,
            tcp: TcpOptions::default(),
            proxy: Some(Proxy::parse(&proxy).unwrap()),
            tls: None,
        };
        let cancel = Arc::new(Wake::new().unwrap());
        let dialling = {
            let cancel = Arc::clone(&cancel);
            thread::spawn(move || dial_tcp(&target, None, None, &cancel))
        };
        let (mut client, _) = listener.accept().unwrap();
        let mut heard = [0; CONNECT.len()];
        client.read_exact(&mut heard).unwrap();
        let cancelled = Instant::now();
        cancel.wake();
        let error = dialling.join().unwrap().unwrap_err();
        assert!(cancelled.elapsed() < Duration::from_secs(1));
        assert!(matches!(error, Error::Closed), "{error:?}");
        // The socket went with it.
        assert_eq!(client.read(&mut heard).unwrap(), 0);
    }

    #[test]
    fn a_proxy_that_is_not_there_is_told_from_a_server_that_is_not_there() {
        let port = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let dial = |proxy: &str| {
            let target = Target {
                scheme: Scheme::Rtmp,
                host: "live.example".into(),
                port: 1935,
                tcp: TcpOptions::default(),
                proxy: Some(Proxy::parse(proxy).unwrap()),
                tls: None,
            };
            dial_tcp(&target, None, Some(LONG), &Wake::new().unwrap())
        };
        let proxy = format!("http://me:hunter2@127.0.0.1:{port}");
        let error = dial(&proxy).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains(&format!("127.0.0.1:{port}")) && !said.contains("hunter2"),
            "{said}"
        );
        let Error::Proxy {
            fault: ProxyFault::Connect(source),
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
        // RFC 6761: nobody has this name.
        let fault = dial("socks5h://proxy.invalid");
        assert!(
            matches!(
                fault,
                Err(Error::Proxy {
                    fault: ProxyFault::Resolve(_),
                    ..
                } | Error::TimedOut(Phase::Resolve))
            ),
            "{fault:?}"
        );
    }
}
