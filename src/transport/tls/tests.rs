use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::{AlertDescription, Connection, ProtocolVersion, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};

use super::stream::MAX_UNSENT;
use super::*;
use crate::session::{ClientConfig, Event, Intent, Media, MediaKind, PublishKind, ServerConfig, Session};
use crate::timestamp::Timestamp;
use crate::transport::driver::Driver;
use crate::transport::error::{Error, Phase};
use crate::transport::listener::Listener;
use crate::transport::race::connect;
use crate::transport::stream::Stream;
use crate::transport::tcp::{Interest, Socket, TcpOptions, poll};
use crate::transport::wake::Wake;

/// Reached only when something is wrong.
const LONG: Duration = Duration::from_secs(30);

const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A certificate and its key, as PEM and DER.
struct Made {
    chain: String,
    key: String,
    der: Vec<u8>,
}

impl Made {
    fn identity(&self) -> Identity {
        Identity::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }

    fn server(&self) -> Server {
        Server::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }

    fn anchors(&self) -> Anchors {
        Anchors::from_pem(self.chain.as_bytes()).unwrap()
    }
}

/// An authority of a test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn anchors(&self) -> Anchors {
        Anchors::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    fn issue(&self, params: &CertificateParams) -> Made {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Made {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }
}

/// A certificate for `names`, valid now.
fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "server");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

fn expired(names: &[&str]) -> CertificateParams {
    let mut params = params(names);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

fn early(names: &[&str]) -> CertificateParams {
    let mut params = params(names);
    params.not_before = date_time_ymd(2110, 1, 1);
    params
}

fn self_signed(params: &CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Made {
        chain: certificate.pem(),
        key: key.serialize_pem(),
        der: certificate.der().to_vec(),
    }
}

/// A client that trusts `authority` and no other.
fn trusting(authority: &Authority) -> Client {
    Client::new(Options {
        anchors: Some(authority.anchors()),
        ..Options::default()
    })
    .unwrap()
}

/// `server` with other settings.
fn with(server: &Server, change: impl FnOnce(&mut rustls::ServerConfig)) -> Server {
    let mut config = rustls::ServerConfig::clone(&server.config);
    change(&mut config);
    Server {
        config: Arc::new(config),
    }
}

/// A server that speaks these versions only.
fn speaking(made: &Made, versions: &[&'static SupportedProtocolVersion]) -> Server {
    let identity = made.identity();
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain(), identity.key())
        .unwrap();
    Server {
        config: Arc::new(config),
    }
}

fn listen() -> (Listener, SocketAddr) {
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn connected(address: SocketAddr) -> Socket {
    let wake = Wake::new().unwrap();
    connect(&[address], &TcpOptions::default(), &wake, Instant::now() + LONG).unwrap()
}

fn accepted(listener: &Listener) -> Socket {
    let wake = Wake::new().unwrap();
    assert!(listener.poll(&wake, Some(LONG)).unwrap().readable);
    listener.accept(&TcpOptions::default()).unwrap()
}

/// Waits until the stream can go on.
fn wait(stream: &TlsStream, wish: Interest) {
    let wake = Wake::new().unwrap();
    let interest = stream.interest(wish);
    let ready = poll(Some((stream.socket(), interest)), &wake, Some(LONG)).unwrap();
    assert!(ready.readable || ready.writable, "nothing came of {interest:?}");
}

fn finish_handshake(stream: &mut TlsStream) -> io::Result<()> {
    while !stream.handshake()? {
        wait(stream, Interest::default());
    }
    Ok(())
}

/// Reads until `len` bytes have come, or the end.
fn read(stream: &mut TlsStream, len: usize) -> io::Result<BytesMut> {
    let mut buffer = BytesMut::new();
    while buffer.len() < len {
        let max = len - buffer.len();
        match stream.read(&mut buffer, max) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(stream, Interest::READ),
            Err(error) => return Err(error),
        }
    }
    Ok(buffer)
}

fn write(stream: &mut TlsStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write_vectored(&[IoSlice::new(bytes)]) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(stream, Interest::WRITE),
            Err(error) => return Err(error),
        }
    }
    flush(stream)
}

fn flush(stream: &mut TlsStream) -> io::Result<()> {
    loop {
        match stream.flush() {
            Ok(()) if !stream.has_output() => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => wait(stream, Interest::default()),
        }
    }
}

/// Accepts one client, and goes on with it on a thread as `serve` says.
fn serving<T: Send + 'static>(
    server: Server,
    serve: impl FnOnce(TlsStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let (listener, address) = listen();
    let thread = thread::spawn(move || serve(server.start(accepted(&listener)).unwrap()));
    (address, thread)
}

/// A server that sends back `len` bytes, and then waits for the end.
fn echoing(server: Server, len: usize) -> (SocketAddr, JoinHandle<io::Result<TlsStream>>) {
    serving(server, move |mut stream| {
        finish_handshake(&mut stream)?;
        let bytes = read(&mut stream, len)?;
        write(&mut stream, &bytes)?;
        read(&mut stream, 1)?;
        Ok(stream)
    })
}

fn handshake(client: &Client, address: SocketAddr, host: &str) -> Result<TlsStream, Error> {
    let wake = Wake::new().unwrap();
    client.handshake(connected(address), host, Instant::now() + LONG, &wake)
}

fn echo(stream: &mut TlsStream, len: usize) {
    let sent: Vec<u8> = (0..len).map(|at| (at * 31 + at / 251) as u8).collect();
    write(stream, &sent).unwrap();
    assert!(read(stream, len).unwrap() == sent);
}

/// What became of a handshake with a server that has `made`.
fn outcome(client: &Client, made: &Made, host: &str) -> Result<(), Fault> {
    let (address, thread) = echoing(made.server(), 3);
    let result = match handshake(client, address, host) {
        Ok(mut stream) => {
            echo(&mut stream, 3);
            Ok(())
        }
        Err(Error::Tls(failure)) => Err(failure.fault),
        Err(error) => panic!("{error}"),
    };
    // Behind a certificate that was not taken, the server is told so.
    assert_eq!(thread.join().unwrap().is_ok(), result.is_ok());
    result
}

/// The pair of a handshake that went well.
fn pair() -> (TlsStream, TlsStream) {
    let authority = Authority::new("authority");
    let server = authority.issue(&params(&["localhost"])).server();
    pair_of(&trusting(&authority), server)
}

fn pair_of(client: &Client, server: Server) -> (TlsStream, TlsStream) {
    let (address, thread) = serving(server, |mut stream| {
        finish_handshake(&mut stream).unwrap();
        stream
    });
    let client = handshake(client, address, "localhost").unwrap();
    (client, thread.join().unwrap())
}

/// Passes bytes on one at a time.
fn dribble(mut from: TcpStream, mut to: TcpStream) {
    to.set_nodelay(true).unwrap();
    let mut byte = [0];
    while from.read(&mut byte).is_ok_and(|count| count == 1) {
        if to.write_all(&byte).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn a_connection_byte_by_byte_is_one_like_any_other() {
    let authority = Authority::new("authority");
    let made = authority.issue(&params(&["localhost"]));
    for versions in [TLS12, TLS13] {
        let (address, thread) = echoing(speaking(&made, versions), 5000);
        let between = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let dribbling = between.local_addr().unwrap();
        let dribblers = thread::spawn(move || {
            let client = between.accept().unwrap().0;
            let server = TcpStream::connect(address).unwrap();
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let back = thread::spawn(move || dribble(back.0, back.1));
            dribble(client, server);
            back.join().unwrap();
        });
        let mut stream = handshake(&trusting(&authority), dribbling, "localhost").unwrap();
        assert_eq!(stream.connection.protocol_version(), Some(versions[0].version));
        echo(&mut stream, 5000);
        stream.finish();
        flush(&mut stream).unwrap();
        drop(stream);
        thread.join().unwrap().unwrap();
        dribblers.join().unwrap();
    }
}

#[test]
fn megabytes_go_both_ways() {
    let authority = Authority::new("authority");
    let made = authority.issue(&params(&["localhost"]));
    const LEN: usize = 5_000_001;
    let (address, thread) = echoing(made.server(), LEN);
    let mut stream = handshake(&trusting(&authority), address, "localhost").unwrap();
    assert_eq!(
        stream.connection.protocol_version(),
        Some(ProtocolVersion::TLSv1_3)
    );
    echo(&mut stream, LEN);
    stream.finish();
    flush(&mut stream).unwrap();
    thread.join().unwrap().unwrap();
}

/// Lengths of the TLS records in `ciphertext`, headers left out.
fn records(mut ciphertext: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = ciphertext {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length);
        ciphertext = &rest[length..];
    }
    lengths
}

#[test]
fn what_is_flushed_at_once_is_as_few_records_as_can_be() {
    let (mut client, mut server) = pair();
    let piece = [7; 100];
    let slices = [IoSlice::new(&piece); 64];
    assert_eq!(client.write_vectored(&slices).unwrap(), 6400);
    // It waits for the flush.
    let mut ciphertext = BytesMut::new();
    assert_eq!(
        server.socket.read(&mut ciphertext, 1).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    assert!(client.has_output());
    client.flush().unwrap();
    assert!(!client.has_output());
    let wake = Wake::new().unwrap();
    let mut receive = |len: usize| {
        let mut ciphertext = BytesMut::new();
        while ciphertext.len() < len {
            poll(Some((&server.socket, Interest::READ)), &wake, Some(LONG)).unwrap();
            server.socket.read(&mut ciphertext, usize::MAX).unwrap();
        }
        ciphertext
    };
    // One byte for the type and 16 for the tag.
    assert_eq!(records(&receive(5 + 6400 + 17)), [6400 + 17]);

    let frame = vec![7; 40_000];
    write(&mut client, &frame).unwrap();
    let expected = [16384 + 17, 16384 + 17, 40_000 - 2 * 16384 + 17];
    assert_eq!(records(&receive(40_000 + 3 * 22)), expected);
}

#[test]
fn a_peer_that_does_not_read_is_waited_for_with_bounded_memory() {
    let (mut client, mut server) = pair();
    let piece = vec![7; 100_000];
    let mut taken = 0;
    loop {
        match client.write_vectored(&[IoSlice::new(&piece)]) {
            Ok(count) => taken += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    assert!(client.has_output());
    assert_eq!(client.flush().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(client.interest(Interest::default()).writable);
    let mut held = Vec::new();
    while client.connection.wants_write() {
        client.connection.write_tls(&mut held).unwrap();
    }
    // What the last write took may go beyond by the overhead of its records.
    assert!(held.len() <= MAX_UNSENT + 1000, "{}", held.len());
    // All else is in the system's hands; nothing is lost.
    let writer = thread::spawn(move || {
        let wake = Wake::new().unwrap();
        let mut rest = &held[..];
        while !rest.is_empty() {
            poll(Some((&client.socket, Interest::WRITE)), &wake, Some(LONG)).unwrap();
            if let Ok(count) = client.socket.write_vectored(&[IoSlice::new(rest)]) {
                rest = &rest[count..];
            }
        }
    });
    assert_eq!(read(&mut server, taken).unwrap().len(), taken);
    writer.join().unwrap();
}

#[test]
fn a_slow_peer_gets_everything() {
    let (mut client, mut server) = pair();
    let sent: Vec<u8> = (0..8_000_000_u32).map(|at| (at / 7) as u8).collect();
    let expected = sent.clone();
    let reader = thread::spawn(move || {
        let mut got = BytesMut::new();
        while got.len() < expected.len() {
            // Small reads leave plaintext behind, which is told.
            let max = if got.len().is_multiple_of(2) {
                1000
            } else {
                100_001
            };
            match server.read(&mut got, max) {
                Ok(count) => assert!(count > 0 && count <= max),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    assert!(!server.has_input());
                    wait(&server, Interest::READ);
                }
            }
        }
        assert!(got == expected);
    });
    write(&mut client, &sent).unwrap();
    reader.join().unwrap();
}

#[test]
fn plaintext_that_was_left_is_input_that_the_socket_does_not_tell_of() {
    let (mut client, mut server) = pair();
    write(&mut client, b"0123456789").unwrap();
    assert_eq!(&read(&mut server, 4).unwrap()[..], b"0123");
    assert!(server.has_input());
    assert_eq!(&read(&mut server, 6).unwrap()[..], b"456789");
    let mut rest = BytesMut::new();
    assert_eq!(
        server.read(&mut rest, 1).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    assert!(!server.has_input());
}

#[test]
fn each_check_that_is_switched_off_is_that_check_only() {
    let all = Checks::default();
    let no_issuer = Checks { issuer: false, ..all };
    let no_host = Checks { host: false, ..all };
    let no_early = Checks {
        not_before: false,
        ..all
    };
    let no_late = Checks {
        not_after: false,
        ..all
    };
    let none = Checks { any: false, ..all };

    let authority = Authority::new("authority");
    let stranger = Authority::new("stranger");
    let mut like_openssl = params(&["localhost"]);
    like_openssl.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let wrong = ["example.com", "*.example.org", "192.0.2.1"];
    let names = "example.com, *.example.org, 192.0.2.1";
    // Each with the checks that let it pass, and the fault that the others find.
    let cases = [
        (
            authority.issue(&params(&["localhost"])),
            vec![all, no_issuer, no_host, no_early, no_late],
            "",
        ),
        (
            stranger.issue(&params(&["localhost"])),
            vec![no_issuer],
            "the certificate's issuer is not known",
        ),
        (
            self_signed(&params(&["localhost"])),
            vec![no_issuer],
            "the certificate is signed by itself",
        ),
        (
            self_signed(&like_openssl),
            vec![no_issuer],
            "the certificate is signed by itself",
        ),
        (
            authority.issue(&params(&wrong)),
            vec![no_host],
            &format!("the certificate is for {names}"),
        ),
        (
            authority.issue(&params(&[])),
            vec![no_host],
            "the certificate names no host",
        ),
        (
            authority.issue(&expired(&["localhost"])),
            vec![no_late],
            "the certificate has expired",
        ),
        (
            authority.issue(&early(&["localhost"])),
            vec![no_early],
            "the certificate is not valid yet",
        ),
        // Two faults are one too many.
        (
            stranger.issue(&expired(&["localhost"])),
            vec![],
            "the certificate",
        ),
        (self_signed(&early(&["localhost"])), vec![], "the certificate"),
        (authority.issue(&expired(&wrong)), vec![], "the certificate"),
        (stranger.issue(&params(&wrong)), vec![], "the certificate"),
    ];
    for (at, (made, passing, fault)) in cases.iter().enumerate() {
        for checks in [all, no_issuer, no_host, no_early, no_late, none] {
            let client = Client::new(Options {
                checks,
                anchors: Some(authority.anchors()),
                ..Options::default()
            })
            .unwrap();
            match outcome(&client, made, "localhost") {
                Ok(()) => assert!(passing.contains(&checks) || !checks.any, "{at} passed {checks:?}"),
                Err(found) => {
                    assert!(
                        !passing.contains(&checks) && checks.any,
                        "{at}, {checks:?}: {found}"
                    );
                    assert!(found.to_string().starts_with(fault), "{at}, {checks:?}: {found}");
                }
            }
        }
    }
    // Each with its own switch, all at once.
    let client = Client::new(Options {
        checks: Checks {
            issuer: false,
            host: false,
            not_after: false,
            ..all
        },
        ..Options::default()
    })
    .unwrap();
    outcome(&client, &stranger.issue(&expired(&wrong)), "localhost").unwrap();
    assert!(matches!(
        outcome(&client, &stranger.issue(&early(&wrong)), "localhost"),
        Err(Fault::NotYetValid)
    ));
}

#[test]
fn a_certificate_above_that_has_expired_counts_as_expired() {
    let authority = Authority::new("authority");
    let mut middle = params(&[]);
    middle.distinguished_name.push(DnType::CommonName, "middle");
    middle.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    middle.not_after = date_time_ymd(2021, 1, 1);
    let key = KeyPair::generate().unwrap();
    let middle = CertifiedIssuer::signed_by(middle, key, &authority.0).unwrap();
    let pem = middle.pem();
    let mut made = Authority(middle).issue(&params(&["localhost"]));
    made.chain += &pem;
    assert!(matches!(
        outcome(&trusting(&authority), &made, "localhost"),
        Err(Fault::Expired)
    ));
    let client = Client::new(Options {
        checks: Checks {
            not_after: false,
            ..Checks::default()
        },
        anchors: Some(authority.anchors()),
        ..Options::default()
    })
    .unwrap();
    outcome(&client, &made, "localhost").unwrap();
}

#[test]
fn the_system_does_not_trust_an_authority_of_ours() {
    let made = Authority::new("authority").issue(&params(&["localhost"]));
    let client = Client::new(Options::default()).unwrap();
    let fault = outcome(&client, &made, "localhost").unwrap_err();
    assert!(matches!(fault, Fault::UnknownIssuer | Fault::NoRoots), "{fault}");
}

#[test]
fn a_servers_own_certificate_can_be_trusted() {
    let mut like_openssl = params(&["localhost"]);
    like_openssl.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for params in [params(&["localhost"]), like_openssl] {
        let made = self_signed(&params);
        let client = Client::new(Options {
            anchors: Some(made.anchors()),
            ..Options::default()
        })
        .unwrap();
        outcome(&client, &made, "localhost").unwrap();
        // For its own host only.
        assert!(matches!(
            outcome(&client, &made, "example.com"),
            Err(Fault::WrongHost { .. })
        ));
        // And no other that says the same of itself.
        let other = outcome(&client, &self_signed(&params), "localhost").unwrap_err();
        assert!(
            matches!(
                other,
                Fault::SelfSigned | Fault::Certificate(rustls::CertificateError::BadSignature)
            ),
            "{other}"
        );
    }
    let late = self_signed(&expired(&["localhost"]));
    let client = Client::new(Options {
        anchors: Some(late.anchors()),
        ..Options::default()
    })
    .unwrap();
    assert!(matches!(
        outcome(&client, &late, "localhost"),
        Err(Fault::Expired)
    ));
}

#[test]
fn the_pinned_certificate_is_taken_and_no_other() {
    let authority = Authority::new("authority");
    let pinned = self_signed(&expired(&["example.com"]));
    let client = Client::new(Options {
        anchors: Some(authority.anchors()),
        pin: Some(Sha256::digest(&pinned.der).into()),
        ..Options::default()
    })
    .unwrap();
    outcome(&client, &pinned, "localhost").unwrap();
    let good = authority.issue(&params(&["localhost"]));
    assert!(matches!(
        outcome(&client, &good, "localhost"),
        Err(Fault::WrongPin)
    ));
}

#[test]
fn addresses_are_looked_for_among_addresses_and_not_sent_as_names() {
    let authority = Authority::new("authority");
    let made = authority.issue(&params(&["localhost", "127.0.0.1", "::1"]));
    let client = trusting(&authority);
    let named = Client {
        server_name: Some("localhost".into()),
        ..client.clone()
    };
    for (client, host, sni) in [
        (&client, "localhost", Some("localhost")),
        (&client, "localhost.", Some("localhost")),
        (&client, "127.0.0.1", None),
        (&client, "::1", None),
        (&client, "::1%lo", None),
        (&named, "192.0.2.1", Some("localhost")),
    ] {
        let (address, thread) = serving(made.server(), |mut stream| {
            finish_handshake(&mut stream).unwrap();
            match &stream.connection {
                Connection::Server(server) => server.server_name().map(ToOwned::to_owned),
                Connection::Client(_) => panic!("a server's stream is a client's"),
            }
        });
        handshake(client, address, host).unwrap_or_else(|error| panic!("{host}: {error}"));
        assert_eq!(thread.join().unwrap().as_deref(), sni, "{host}");
    }
    match outcome(&client, &made, "127.0.0.2") {
        Err(Fault::WrongHost { names }) => assert_eq!(names[..], ["localhost", "127.0.0.1", "::1"]),
        other => panic!("{other:?}"),
    }
    let (_listener, address) = listen();
    match client.start(connected(address), "not a name") {
        Err(Failure {
            fault: Fault::BadName,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_demands_a_certificate_gets_one_or_says_that_it_did_not() {
    let authority = Authority::new("authority");
    let clients = Authority::new("clients");
    let made = authority.issue(&params(&["localhost"]));
    let demanding = Server::new(&made.identity(), Some(&clients.anchors())).unwrap();
    let client = |identity: Option<&Made>| {
        Client::new(Options {
            anchors: Some(authority.anchors()),
            identity: identity.map(Made::identity),
            ..Options::default()
        })
        .unwrap()
    };
    let good = clients.issue(&params(&["me"]));
    let foreign = authority.issue(&params(&["me"]));
    for version in [TLS12, TLS13] {
        for (identity, alert) in [
            (Some(&good), None),
            (None, Some(AlertDescription::CertificateRequired)),
            (Some(&foreign), Some(AlertDescription::UnknownCA)),
        ] {
            let mut client = client(identity);
            let mut config = rustls::ClientConfig::clone(&client.config);
            if version == TLS12 {
                // What the server does with that is up to it; the alert is another.
                config = rustls::ClientConfig::builder_with_provider(provider())
                    .with_protocol_versions(version)
                    .unwrap()
                    .with_root_certificates(Arc::clone(authority.anchors().roots()))
                    .with_client_cert_resolver(Arc::clone(&config.client_auth_cert_resolver));
            }
            client.config = Arc::new(config);
            let (address, thread) = echoing(demanding.clone(), 3);
            // In TLS 1.3 the client is done before the server has seen the certificate.
            let error = match handshake(&client, address, "localhost") {
                Ok(mut stream) => write(&mut stream, b"abc")
                    .and_then(|()| read(&mut stream, 3))
                    .map_err(|error| Error::io(crate::session::Phase::Handshake, error))
                    .err(),
                Err(error) => Some(error),
            };
            match (error, alert) {
                (None, None) => assert!(thread.join().unwrap().is_ok()),
                (Some(Error::Tls(Failure { fault, .. })), Some(alert)) => {
                    assert!(thread.join().unwrap().is_err());
                    match fault {
                        Fault::Refused(found) if version == TLS13 => assert_eq!(found, alert),
                        Fault::Refused(_) => {}
                        fault => panic!("{fault}"),
                    }
                }
                (error, _) => panic!("{alert:?}: {error:?}"),
            }
        }
    }
}

#[test]
fn another_host_goes_by_its_own_name_and_sees_our_certificate_only_if_it_is_trusted() {
    let authority = Authority::new("authority");
    let made = authority.issue(&params(&["localhost"]));
    let demanding = Server::new(&made.identity(), Some(&authority.anchors())).unwrap();
    let ours = Client::new(Options {
        anchors: Some(authority.anchors()),
        identity: Some(authority.issue(&params(&["me"])).identity()),
        server_name: Some("first.example".to_owned()),
        ..Options::default()
    })
    .unwrap();
    let exchanged = |client: &Client| {
        let (address, _thread) = echoing(demanding.clone(), 3);
        let mut stream = handshake(client, address, "localhost")?;
        write(&mut stream, b"abc")
            .and_then(|()| read(&mut stream, 3))
            .map_err(|error| Error::io(crate::session::Phase::Handshake, error))
    };
    let fault = |result| match result {
        Err(Error::Tls(Failure { fault, .. })) => fault,
        other => panic!("{other:?}"),
    };
    assert!(matches!(fault(exchanged(&ours)), Fault::WrongHost { .. }));
    assert_eq!(&exchanged(&ours.elsewhere(true)).unwrap()[..], b"abc");
    let stranger = ours.elsewhere(false);
    for client in [stranger.elsewhere(false), stranger] {
        assert!(matches!(fault(exchanged(&client)), Fault::Refused(_)));
    }
}

#[test]
fn tickets_and_new_keys_are_neither_data_nor_an_end() {
    let authority = Authority::new("authority");
    let made = authority.issue(&params(&["localhost"]));
    let generous = with(&made.server(), |config| config.send_tls13_tickets = 4);
    let (mut client, mut server) = pair_of(&trusting(&authority), generous);
    wait(&client, Interest::READ);
    let mut buffer = BytesMut::new();
    assert_eq!(
        client.read(&mut buffer, 100).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    server.connection.refresh_traffic_keys().unwrap();
    write(&mut server, b"behind new keys").unwrap();
    assert_eq!(&read(&mut client, 15).unwrap()[..], b"behind new keys");
    // The reply to the new keys comes with the next words.
    write(&mut client, b"and back").unwrap();
    assert_eq!(&read(&mut server, 8).unwrap()[..], b"and back");
}

#[test]
fn records_with_nothing_in_them_do_not_keep_the_thread() {
    let authority = Authority::new("authority");
    let made = authority.issue(&params(&["localhost"]));
    let flooding = with(&made.server(), |config| config.send_tls13_tickets = 600);
    let (address, thread) = serving(flooding, |mut stream| {
        finish_handshake(&mut stream).unwrap();
        write(&mut stream, b"behind the tickets").unwrap();
    });
    let mut client = handshake(&trusting(&authority), address, "localhost").unwrap();
    // All at once, as from a peer that is faster than we.
    let mut flood = BytesMut::new();
    while flood.len() < 45_000 {
        wait(&client, Interest::READ);
        assert!(client.socket.read(&mut flood, 64 << 10).unwrap() > 0);
    }
    client.socket.unread(flood);

    let mut buffer = BytesMut::new();
    let error = client.read(&mut buffer, 100).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
    assert!(client.has_input(), "it is to be called again");
    while let Err(error) = client.read(&mut buffer, 100) {
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
        if !client.has_input() {
            wait(&client, Interest::READ);
        }
    }
    assert_eq!(&buffer[..], b"behind the tickets");
    thread.join().unwrap();
}

#[test]
fn our_server_sends_no_tickets() {
    let (mut client, _server) = pair();
    // librtmp on GnuTLS does not survive one.
    let mut buffer = BytesMut::new();
    assert_eq!(
        client.read(&mut buffer, 100).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    let Connection::Client(client) = &client.connection else {
        panic!("a client's stream is a server's");
    };
    assert_eq!(client.tls13_tickets_received(), 0);
}

#[test]
fn the_end_is_the_end_with_close_notify_or_without() {
    for in_good_order in [true, false] {
        let (mut client, mut server) = pair();
        write(&mut client, b"bye").unwrap();
        if in_good_order {
            client.finish();
            assert!(client.has_output());
            flush(&mut client).unwrap();
        }
        client.socket().shutdown_write().unwrap();
        assert_eq!(&read(&mut server, 3).unwrap()[..], b"bye");
        let mut buffer = BytesMut::new();
        wait(&server, Interest::READ);
        assert_eq!(server.read(&mut buffer, 100).unwrap(), 0);
        assert_eq!(server.read(&mut buffer, 100).unwrap(), 0);
        // The other direction is still open.
        write(&mut server, b"farewell").unwrap();
        assert_eq!(&read(&mut client, 8).unwrap()[..], b"farewell");
    }
}

/// A client's driver, whose first bytes are still to be sent.
fn publishing(client: TlsStream, now: Instant) -> Driver {
    let intent = Intent::Publish {
        kind: PublishKind::Live,
    };
    let url = "rtmps://localhost/app";
    let config = ClientConfig::new(intent, "app".into(), url.into(), "key".into(), [7; 32]);
    let session = Session::client(Arc::new(config), now);
    Driver::new(Stream::from(client), session, None, now)
}

/// Serves whoever comes through `stream`, until the end.
fn serve_session(stream: TlsStream) {
    let now = Instant::now();
    let session = Session::server(Arc::new(ServerConfig::new([8; 32])), now);
    let mut driver = Driver::new(Stream::from(stream), session, None, now);
    let wake = Wake::new().unwrap();
    while let Ok(event) = driver.next_event(&wake, Some(now + LONG)) {
        if let Event::Requested(request) = event {
            let now = Instant::now();
            driver.session_mut().answer(now, &request, Ok(())).unwrap();
            driver.resume(now);
        }
    }
}

#[test]
fn a_driver_that_is_held_back_by_its_own_rate_holds_nothing_in_tls() {
    let (client, server) = pair();
    let server = thread::spawn(|| serve_session(server));
    let mut driver = publishing(client, Instant::now());
    let wake = Wake::new().unwrap();
    while !matches!(
        driver.next_event(&wake, Some(Instant::now() + LONG)).unwrap(),
        Event::Ready
    ) {}
    let now = Instant::now();
    driver.set_peak_rate(1, now);
    let sent = driver.totals().sent;
    for _ in 0..2 {
        let media = Media {
            kind: MediaKind::Video,
            timestamp: Timestamp::from_millis(0),
            head: Bytes::new(),
            body: Bytes::from_static(&[7; 100_000]),
        };
        driver.send(now, media).unwrap();
    }
    driver.service(now);
    assert!(driver.totals().sent > sent);
    // Otherwise it would be woken again and again by a socket that takes what it has no leave to send.
    assert!(driver.queued() > 0);
    assert!(!driver.interest(now).writable);
    drop(driver);
    server.join().unwrap();
}

#[test]
fn a_connection_that_is_closed_says_close_notify_behind_its_last_bytes() {
    let (client, mut server) = pair();
    let now = Instant::now();
    let mut driver = publishing(client, now);
    // The peer does not end its side, which is its right.
    driver
        .close(&Wake::new().unwrap(), now + LONG, Duration::ZERO)
        .unwrap();
    // C0 and C1.
    assert_eq!(read(&mut server, usize::MAX).unwrap().len(), 1537);
    assert!(server.connection.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn close_notify_ends_a_stream_whose_connection_stays_open() {
    let (mut client, mut server) = pair();
    client.finish();
    flush(&mut client).unwrap();
    assert!(read(&mut server, 1).unwrap().is_empty());
}

#[test]
fn a_broken_record_is_a_loss_like_any_other() {
    let (mut client, mut server) = pair();
    write(&mut client, b"good").unwrap();
    client
        .socket
        .write_vectored(&[IoSlice::new(&[0x17, 3, 3, 0, 20]), IoSlice::new(&[0; 20])])
        .unwrap();
    assert_eq!(&read(&mut server, 4).unwrap()[..], b"good");
    for _ in 0..2 {
        let error = read(&mut server, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(Failure::of(&error).is_none(), "{error}");
        assert_eq!(server.write_vectored(&[]).unwrap_err().kind(), error.kind());
    }
    assert!(!server.has_output());
    // It was told what was wrong.
    let error = read(&mut client, 1).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
}

/// A peer that answers `answer` to whatever comes first, and closes.
fn answering(answer: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).unwrap() > 0);
        // RFC 8446 section 5.1: a handshake record of the first of versions.
        assert_eq!(hello[..3], [0x16, 3, 1]);
        stream.write_all(answer).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        while stream.read(&mut hello).is_ok_and(|count| count > 0) {}
    });
    (address, thread)
}

#[test]
fn what_is_no_tls_is_told_by_what_it_is() {
    type Expected = fn(&Fault) -> bool;
    let cases: [(&'static [u8], Expected); 7] = [
        (b"\x03\0\0\0\0", |fault| {
            matches!(fault, Fault::NotTls(Plain::Rtmp))
        }),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", |fault| {
            matches!(fault, Fault::NotTls(Plain::Http))
        }),
        (b"220 mail.example.com\r\n", |fault| {
            matches!(fault, Fault::NotTls(Plain::Other))
        }),
        (b"", |fault| matches!(fault, Fault::Dropped)),
        // A fatal alert: protocol_version.
        (&[0x15, 3, 1, 0, 2, 2, 70], |fault| {
            matches!(fault, Fault::Version)
        }),
        // handshake_failure.
        (&[0x15, 3, 1, 0, 2, 2, 40], |fault| {
            matches!(fault, Fault::Alert(AlertDescription::HandshakeFailure))
        }),
        // A record that is no message of the handshake.
        (&[0x16, 3, 3, 0, 4, 99, 0, 0, 0], |fault| {
            matches!(fault, Fault::Protocol(_))
        }),
    ];
    let client = Client::new(Options::default()).unwrap();
    for (answer, is_expected) in cases {
        let (address, thread) = answering(answer);
        match handshake(&client, address, "localhost") {
            Err(Error::Tls(Failure { host, fault })) => {
                assert_eq!(&*host, "localhost");
                assert!(is_expected(&fault), "{answer:?}: {fault}");
            }
            other => panic!("{answer:?}: {other:?}"),
        }
        thread.join().unwrap();
    }
}

#[test]
fn a_server_is_told_when_a_client_speaks_something_else() {
    let made = self_signed(&params(&["localhost"]));
    let (address, thread) = serving(made.server(), |mut stream| {
        finish_handshake(&mut stream).unwrap_err()
    });
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"\x03\0\0\0\0\0").unwrap();
    let error = thread.join().unwrap();
    let failure = Failure::of(&error).unwrap();
    assert!(matches!(failure.fault, Fault::NotTls(Plain::Rtmp)), "{failure}");
    assert_eq!(*failure.host, *client.local_addr().unwrap().to_string());
}

#[test]
fn a_peer_that_accepts_and_says_nothing_has_its_time() {
    let (_listener, address) = listen();
    let client = Client::new(Options::default()).unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    let error = client
        .handshake(connected(address), "localhost", deadline, &Wake::new().unwrap())
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut(Phase::Tls)), "{error}");
    assert!(Instant::now() >= deadline);
}

#[test]
fn a_handshake_can_be_cancelled() {
    let (listener, address) = listen();
    let client = Client::new(Options::default()).unwrap();
    let wake = Arc::new(Wake::new().unwrap());
    let waker = thread::spawn({
        let wake = Arc::clone(&wake);
        move || {
            let mut peer = accepted(&listener);
            let mut hello = BytesMut::new();
            poll(Some((&peer, Interest::READ)), &wake, Some(LONG)).unwrap();
            assert!(peer.read(&mut hello, 1).unwrap() > 0);
            wake.wake();
            peer
        }
    });
    let error = client
        .handshake(connected(address), "localhost", Instant::now() + LONG, &wake)
        .unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
    waker.join().unwrap();
}

#[test]
fn a_stream_that_was_only_started_shakes_hands_while_it_is_used() {
    let authority = Authority::new("authority");
    let made = authority.issue(&params(&["localhost"]));
    let (address, thread) = serving(made.server(), |mut stream| {
        let bytes = read(&mut stream, 5).unwrap();
        write(&mut stream, &bytes).unwrap();
        stream
    });
    let mut stream = trusting(&authority)
        .start(connected(address), "localhost")
        .unwrap();
    // Nothing is taken before the peer is known.
    assert_eq!(
        stream
            .write_vectored(&[IoSlice::new(b"early")])
            .unwrap_err()
            .kind(),
        io::ErrorKind::WouldBlock
    );
    assert!(stream.interest(Interest::WRITE).readable);
    // Who wants to write has to read meanwhile, as Driver does.
    let mut buffer = BytesMut::new();
    while stream.connection.is_handshaking() {
        wait(&stream, Interest::WRITE);
        assert_eq!(
            stream.read(&mut buffer, 100).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }
    write(&mut stream, b"early").unwrap();
    assert_eq!(&read(&mut stream, 5).unwrap()[..], b"early");
    thread.join().unwrap();
}

#[test]
fn what_was_read_to_see_what_the_client_speaks_is_not_lost() {
    let authority = Authority::new("authority");
    let made = authority.issue(&params(&["localhost"]));
    let (listener, address) = listen();
    let thread = thread::spawn(move || {
        let mut socket = accepted(&listener);
        let wake = Wake::new().unwrap();
        poll(Some((&socket, Interest::READ)), &wake, Some(LONG)).unwrap();
        let mut received = BytesMut::new();
        assert!(socket.read(&mut received, 100).unwrap() > 0);
        let mut stream = made.server().start_received(socket, received).unwrap();
        assert!(stream.has_input());
        let bytes = read(&mut stream, 5).unwrap();
        write(&mut stream, &bytes).unwrap();
        stream
    });
    let mut stream = handshake(&trusting(&authority), address, "localhost").unwrap();
    echo(&mut stream, 5);
    thread.join().unwrap();
}

#[test]
fn keys_are_not_printed() {
    let made = self_signed(&params(&["localhost"]));
    let identity = made.identity();
    let client = Client::new(Options {
        identity: Some(identity.clone()),
        ..Options::default()
    })
    .unwrap();
    let shown = format!("{identity:?} {client:?} {:?}", made.server());
    assert_eq!(
        shown,
        "Identity { certificates: 1, .. } Client { server_name: None, .. } Server { .. }"
    );
}

#[test]
fn pem_that_cannot_be_used_is_told_apart() {
    let one = self_signed(&params(&["localhost"]));
    let other = self_signed(&params(&["localhost"]));
    let identity = |chain: &str, key: &str| Identity::from_pem(chain.as_bytes(), key.as_bytes()).map(drop);
    assert_eq!(identity(&one.chain, &one.key), Ok(()));
    assert_eq!(identity(&one.chain, &other.key), Err(PemFault::KeyMismatch));
    assert_eq!(identity(&one.key, &one.key), Err(PemFault::NoCertificate));
    assert_eq!(identity(&one.chain, &one.chain), Err(PemFault::NoKey));
    assert_eq!(
        identity(&one.chain.repeat(11), &one.key),
        Err(PemFault::ChainTooLong)
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(identity(broken, &one.key), Err(PemFault::BadCertificate));
    let cut = one.chain.replace("-----END CERTIFICATE-----", "");
    assert_eq!(identity(&cut, &one.key), Err(PemFault::NotPem));
    let anchors = |pem: &str| Anchors::from_pem(pem.as_bytes()).map(drop);
    assert_eq!(anchors(&one.key), Err(PemFault::NoCertificate));
    assert_eq!(anchors(broken), Err(PemFault::BadCertificate));
    assert_eq!(anchors(&one.chain), Ok(()));
}
