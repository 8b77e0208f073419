use std::net::Ipv4Addr;

use super::*;
use crate::transport::listener::Listener;
use crate::transport::race::connect;
use crate::transport::tcp::{TcpOptions, poll};
use crate::transport::wake::Wake;

const LONG: Duration = Duration::from_secs(20);

/// A reception with time of its own, and the way to it.
struct Scene {
    reception: Reception,
    listener: Listener,
    wake: Wake,
    now: Instant,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        Self {
            reception: Reception::new(limits, None),
            listener: Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap(),
            wake: Wake::new().unwrap(),
            now: Instant::now(),
        }
    }

    /// A client's socket, and whether the other end was taken in.
    fn arrive(&mut self) -> (Socket, bool) {
        let address = self.listener.local_addr().unwrap();
        let client = connect(
            &[address],
            &TcpOptions::default(),
            &self.wake,
            Instant::now() + LONG,
        )
        .unwrap();
        assert!(self.listener.poll(&self.wake, None).unwrap().readable);
        let socket = self.listener.accept(&TcpOptions::default()).unwrap();
        let taken = self.reception.receive(self.now, socket);
        (client, taken)
    }

    /// Serves until `is_done`; `drive` does what sessions would do.
    fn serve(&mut self, mut drive: impl FnMut(&mut Reception) -> bool) {
        let given_up = Instant::now() + LONG;
        loop {
            let all: Vec<Key> = self.reception.watched().map(|(key, ..)| key).collect();
            self.reception.handle_ready(self.now, all);
            let is_done = drive(&mut self.reception);
            self.reception.answer(self.now);
            if is_done {
                return;
            }
            assert!(Instant::now() < given_up);
            std::thread::yield_now();
        }
    }

    fn guest(&mut self) -> Guest {
        let mut guest = None;
        self.serve(|reception| {
            guest = reception.poll_guest();
            guest.is_some()
        });
        guest.unwrap()
    }

    /// What `client` has received when it ends with `end`.
    fn answers(&mut self, client: &mut Socket, end: &[u8]) -> String {
        let mut input = BytesMut::new();
        self.serve(|_| {
            match client.read(&mut input, READ_SIZE) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            input.ends_with(end)
        });
        String::from_utf8_lossy(&input).into_owned()
    }

    /// Opens a session by `client`: its id, and its other end.
    fn open(&mut self, client: &mut Socket) -> (String, Guest) {
        write_all(client, &post("/open/1", b"\0"));
        let answers = self.answers(client, b"\n");
        let (_, id) = answers.split_once("\r\n\r\n").unwrap();
        (id.trim_end().to_owned(), self.reception.poll_guest().unwrap())
    }
}

/// A server of TLS for localhost, and a client that takes its certificate.
fn certified() -> (tls::Client, tls::Server) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let options = tls::Options {
        anchors: Some(tls::Anchors::from_pem(chain.as_bytes()).unwrap()),
        ..tls::Options::default()
    };
    let server = tls::Server::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    (tls::Client::new(options).unwrap(), server)
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn write_all(client: &mut Socket, bytes: &[u8]) {
    assert_eq!(
        client.write_vectored(&[IoSlice::new(bytes)]).unwrap(),
        bytes.len()
    );
}

fn is_closed(client: &mut Socket, wake: &Wake) -> bool {
    let ready = poll(Some((client, Interest::READ)), wake, Some(LONG)).unwrap();
    ready.readable && !matches!(client.read(&mut BytesMut::new(), 1), Ok(1..))
}

fn read(guest: &mut Guest) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    let _ = guest.carrier.read(Instant::now(), &mut buffer, usize::MAX);
    buffer.to_vec()
}

#[test]
fn the_first_byte_tells_who_comes() {
    let mut scene = Scene::new(Limits::default());
    for (first, scheme) in [
        (b"\x03rest", Scheme::Rtmp),
        (b"\x06rest", Scheme::Rtmpe),
        (b"\x08rest", Scheme::Rtmpe),
        (b"\x16rest", Scheme::Rtmp),
    ] {
        let (mut client, _) = scene.arrive();
        write_all(&mut client, first);
        let guest = scene.guest();
        assert_eq!((guest.scheme, &guest.received[..1]), (scheme, &first[..1]));
        assert!(matches!(guest.carrier, Carrier::Direct(_)));
    }
    let (mut client, _) = scene.arrive();
    let (_, guest) = scene.open(&mut client);
    assert_eq!(guest.scheme, Scheme::Rtmpt);
    assert!(matches!(guest.carrier, Carrier::Hosted(_)));
}

/// Whatever the moment in which it speaks: between two looks at its socket too.
#[test]
fn a_client_of_tls_is_never_taken_for_one_of_rtmp() {
    const TRIES: usize = 100;
    let mut scene = Scene::new(Limits::default());
    scene.reception.tls = Some(certified().1);
    for _ in 0..TRIES {
        let (mut client, _) = scene.arrive();
        let speaker = std::thread::spawn(move || {
            write_all(&mut client, &[TLS_HANDSHAKE, 3, 1]);
            client
        });
        scene.serve(|reception| {
            assert!(reception.poll_guest().is_none());
            let is_tls = |visitor: &Visitor| matches!(visitor.stream, Stream::Tls(_));
            reception.visitors.values().all(is_tls)
        });
        drop(speaker.join());
        scene.reception.visitors.clear();
    }
}

#[test]
fn who_says_nothing_is_closed_in_time_and_so_is_who_asks_nothing() {
    let limits = Limits::default();
    let mut scene = Scene::new(limits);
    let (mut silent, _) = scene.arrive();
    let (mut slow, _) = scene.arrive();
    write_all(&mut slow, b"POST /open/1 HTTP/1.1\r\n");
    scene.serve(|reception| {
        reception
            .visitors
            .values()
            .any(|visitor| matches!(visitor.stage, Stage::Http(..)))
    });
    scene.now += limits.silence;
    scene.serve(|reception| reception.visitors.len() == 1);
    assert!(is_closed(&mut silent, &scene.wake));
    scene.now += limits.request;
    scene.serve(|reception| reception.visitors.is_empty());
    assert!(is_closed(&mut slow, &scene.wake));
    assert_eq!(scene.reception.poll_timeout(scene.now), None);
}

#[test]
fn connections_beyond_the_limit_are_not_taken_in() {
    let mut scene = Scene::new(Limits {
        connections: 1,
        ..Limits::default()
    });
    let (_first, taken) = scene.arrive();
    assert!(taken);
    let (mut second, taken) = scene.arrive();
    assert!(!taken);
    assert!(is_closed(&mut second, &scene.wake));
}

#[test]
fn one_connection_serves_two_sessions_and_two_connections_one() {
    let mut scene = Scene::new(Limits::default());
    let ((mut first, _), (mut second, _)) = (scene.arrive(), scene.arrive());
    let (one, mut guest_one) = scene.open(&mut first);
    let (two, mut guest_two) = scene.open(&mut first);
    assert_ne!(one, two);
    write_all(&mut first, &post(&format!("/send/{one}/0"), b"to one"));
    scene.answers(&mut first, b"\x01");
    write_all(&mut first, &post(&format!("/send/{two}/0"), b"to two"));
    scene.answers(&mut first, b"\x01");
    write_all(&mut second, &post(&format!("/send/{one}/1"), b", again"));
    scene.answers(&mut second, b"\x01");
    assert_eq!(read(&mut guest_one), b"to one, again");
    assert_eq!(read(&mut guest_two), b"to two");
}

#[test]
fn what_a_session_says_to_a_request_is_in_the_answer() {
    let mut scene = Scene::new(Limits::default());
    let (mut client, _) = scene.arrive();
    let (id, mut guest) = scene.open(&mut client);
    write_all(&mut client, &post(&format!("/send/{id}/0"), b"question"));
    let mut input = BytesMut::new();
    scene.serve(|_| {
        if read(&mut guest) == b"question" {
            let answer = [IoSlice::new(b"answer")];
            guest.carrier.write_vectored(Instant::now(), &answer).unwrap();
        }
        let _ = client.read(&mut input, READ_SIZE);
        input.ends_with(b"\x01answer")
    });
    drop(guest);
    write_all(&mut client, &post(&format!("/idle/{id}/1"), b"\0"));
    assert!(
        scene
            .answers(&mut client, b"\r\n\r\n\0")
            .contains("Content-Length: 1\r\n")
    );
    write_all(&mut client, &post(&format!("/idle/{id}/2"), b"\0"));
    assert!(
        scene
            .answers(&mut client, b"\r\n\r\n")
            .starts_with("HTTP/1.1 404 ")
    );
}

#[test]
fn requests_of_a_client_that_does_not_wait_are_done_though_it_has_gone() {
    let mut scene = Scene::new(Limits::default());
    let (mut client, _) = scene.arrive();
    let (id, mut guest) = scene.open(&mut client);
    let mut requests = post(&format!("/send/{id}/0"), b"one");
    requests.extend(post(&format!("/send/{id}/1"), b", two"));
    requests.extend(post(&format!("/close/{id}/2"), b"\0"));
    write_all(&mut client, &requests);
    drop(client);
    scene.serve(|reception| reception.visitors.is_empty());
    assert_eq!(read(&mut guest), b"one, two");
    assert_eq!(
        guest
            .carrier
            .read(Instant::now(), &mut BytesMut::new(), 1)
            .unwrap(),
        0
    );
    assert!(scene.reception.sessions.is_empty());
}

#[test]
fn a_client_that_asks_by_tls_and_takes_no_answers_is_waited_for() {
    let (trusting, server) = certified();
    let mut scene = Scene::new(Limits::default());
    scene.reception.tls = Some(server);
    let (client, _) = scene.arrive();
    let mut client = trusting.start(client, "localhost").unwrap();
    // Answers to these are longer than they are, and fill every buffer on the way.
    let request = b"POST /nowhere HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0".repeat(100);
    scene.serve(|_| {
        // Until hands are shaken.
        let _ = client.read(&mut BytesMut::new(), 1);
        client.write_vectored(&[IoSlice::new(&request)]).is_ok()
    });
    let is_blocked = |reception: &Reception| reception.visitors.values().any(Visitor::is_blocked);
    scene.serve(|reception| {
        let _ = client.write_vectored(&[IoSlice::new(&request)]);
        let _ = client.flush();
        is_blocked(reception)
    });
    // More comes, and is left where it is.
    let now = scene.now;
    scene.serve(|reception| {
        let _ = client.write_vectored(&[IoSlice::new(&request)]);
        let _ = client.flush();
        assert!(is_blocked(reception));
        client.has_output()
    });
    assert_eq!(
        scene.reception.poll_timeout(now),
        Some(now + Limits::default().request)
    );
    for (_, _, interest) in scene.reception.watched() {
        assert_eq!(interest, Interest::WRITE);
    }
}

#[test]
fn debug_shows_no_bytes() {
    let mut scene = Scene::new(Limits::default());
    let (mut client, _) = scene.arrive();
    write_all(&mut client, b"\x03secret");
    let guest = scene.guest();
    assert!(guest.received.ends_with(b"secret"));
    assert!(!format!("{guest:?}").contains("secret"));
}

#[test]
fn a_session_without_requests_ends() {
    let limits = Limits::default();
    let mut scene = Scene::new(limits);
    let (mut client, _) = scene.arrive();
    let (_, guest) = scene.open(&mut client);
    assert!(!guest.carrier.has_input());
    scene.now += limits.tunnels.idle_timeout;
    scene.serve(|reception| reception.sessions.is_empty());
    assert!(guest.carrier.has_input(), "its end");
}

#[test]
fn a_client_ahead_of_its_session_waits_for_its_answer() {
    let mut scene = Scene::new(Limits::default());
    let (mut client, _) = scene.arrive();
    let (id, mut guest) = scene.open(&mut client);
    let body = vec![7; 1 << 20];
    let mut number = 0;
    let mut written = 0;
    let mut requests = [
        post(&format!("/send/{id}/0"), &body),
        post(&format!("/send/{id}/1"), b"more"),
    ]
    .concat();
    requests.extend(post(&format!("/idle/{id}/2"), b"\0"));
    let mut input = BytesMut::new();
    scene.serve(|reception| {
        if let Ok(count) = client.write_vectored(&[IoSlice::new(requests.get(written..).unwrap_or_default())])
        {
            written += count;
        }
        let _ = client.read(&mut input, READ_SIZE);
        number = String::from_utf8_lossy(&input).matches("HTTP/1.1 200 ").count();
        number == 1 && reception.asked.len() == 1 && written == requests.len()
    });
    assert_eq!(
        scene.reception.poll_timeout(scene.now).unwrap(),
        scene.now + Limits::default().tunnels.idle_timeout
    );
    assert_eq!(read(&mut guest).len(), body.len() + 4);
    scene.serve(|_| {
        let _ = client.read(&mut input, READ_SIZE);
        String::from_utf8_lossy(&input).matches("HTTP/1.1 200 ").count() == 3
    });
}
