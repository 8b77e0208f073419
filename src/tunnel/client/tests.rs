//! A client against answers written by hand, on virtual time, and against the server's end in memory.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::tunnel::server::{self, Sessions, Step};

const SECOND: Duration = Duration::from_secs(1);

fn config() -> Config {
    Config {
        host: "example.com".to_owned(),
        port: 80,
        is_secure: false,
        absolute_form: false,
        proxy_authorization: None,
        timeout: Some(5 * SECOND),
    }
}

/// A client with a connection, and the time.
struct Scene {
    client: Client,
    now: Instant,
    input: BytesMut,
}

impl Scene {
    #[allow(clippy::disallowed_methods, reason = "virtual time starts at some time")]
    fn new() -> Self {
        Self::with(&config())
    }

    #[allow(clippy::disallowed_methods, reason = "virtual time starts at some time")]
    fn with(config: &Config) -> Self {
        let mut client = Client::new(config);
        client.handle_connected();
        Self {
            client,
            now: Instant::now(),
            input: BytesMut::new(),
        }
    }

    /// With a session `ab12`.
    fn open() -> Self {
        let mut scene = Self::new();
        assert!(scene.request().0.starts_with("POST /open/1 HTTP/1.1\r\n"));
        scene.answer(b"ab12\n").unwrap();
        assert!(scene.client.is_open());
        scene
    }

    /// With the handshake's first bytes sent, and answered by `body`.
    fn begun(body: &[u8]) -> Self {
        let mut scene = Self::open();
        scene.write(&[3; OPENING]);
        scene.expect("/send/ab12/0", &[3; OPENING]);
        scene.answer(body).unwrap();
        scene
    }

    fn write(&mut self, bytes: &[u8]) {
        assert_eq!(self.client.write(&[IoSlice::new(bytes)]), bytes.len());
    }

    /// What is written now: head and body, empty if there is nothing.
    fn request(&mut self) -> (String, Vec<u8>) {
        let mut wire = Vec::new();
        while let Some(transmit) = self.client.poll_transmit(self.now) {
            let mut slices = [IoSlice::new(&[]); 2];
            let filled = transmit.chunks_vectored(&mut slices);
            let offered: Vec<u8> = slices[..filled].iter().flat_map(|s| s.iter().copied()).collect();
            let taken = offered.len().min(100);
            wire.extend_from_slice(&offered[..taken]);
            transmit.advance(taken);
        }
        let end = wire.windows(4).position(|window| window == b"\r\n\r\n");
        let body = wire.split_off(end.map_or(0, |end| end + 4));
        (String::from_utf8(wire).unwrap(), body)
    }

    fn expect(&mut self, path: &str, body: &[u8]) {
        let (head, got) = self.request();
        assert!(head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
        assert!(got == body, "the body of {path}");
    }

    fn expect_nothing(&mut self) {
        assert_eq!(self.request(), (String::new(), Vec::new()));
    }

    fn receive(&mut self, wire: &[u8]) -> Result<(), Error> {
        self.input.extend_from_slice(wire);
        self.client.handle_input(self.now, &mut self.input)
    }

    fn answer(&mut self, body: &[u8]) -> Result<(), Error> {
        let wire = answer("200 OK", "", body);
        self.receive(&wire)
    }

    fn received(&mut self) -> Vec<u8> {
        self.client
            .poll_input(usize::MAX)
            .map(|bytes| bytes.to_vec())
            .unwrap_or_default()
    }

    fn reconnect(&mut self) -> Result<(), Error> {
        self.client.handle_disconnected(self.now)?;
        self.input.clear();
        // Only what is due makes a connection wanted.
        let _ = self.client.poll_transmit(self.now);
        if self.client.wants_connection() {
            self.client.handle_connected();
        }
        Ok(())
    }

    /// The pause before the next /idle.
    fn pause(&mut self) -> Duration {
        let due = self.client.poll_timeout().unwrap();
        let pause = due.saturating_duration_since(self.now);
        if pause > Duration::from_nanos(1) {
            self.now = due - Duration::from_nanos(1);
            self.expect_nothing();
        }
        self.now = due.max(self.now);
        pause
    }
}

fn answer(status: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn the_first_requests_are_as_everybody_else_s() {
    let mut scene = Scene::new();
    let (head, body) = scene.request();
    assert_eq!(
        head,
        "POST /open/1 HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nUser-Agent: Shockwave Flash\r\n\
         Connection: Keep-Alive\r\nCache-Control: no-cache\r\nContent-Type: application/x-fcs\r\n\
         Content-Length: 1\r\n\r\n"
    );
    assert_eq!(body, [0]);
    scene.answer(b"ab12\n").unwrap();
    // C0 and C1 alone, then whatever there is.
    scene.write(&[3; OPENING - 1]);
    scene.expect_nothing();
    scene.write(&[3; 11]);
    scene.expect("/send/ab12/0", &[3; OPENING]);
    scene.answer(b"\x01S0S1S2").unwrap();
    assert_eq!(scene.received(), b"S0S1S2");
    scene.write(&[4; 700]);
    scene.expect("/send/ab12/1", &[[3; 10].as_slice(), &[4; 700]].concat());
}

#[test]
fn a_proxy_is_told_the_whole_url_and_who_asks() {
    let mut scene = Scene::with(&Config {
        port: 8080,
        absolute_form: true,
        proxy_authorization: Some("Basic c2VjcmV0".to_owned()),
        ..config()
    });
    let (head, _) = scene.request();
    assert!(head.starts_with("POST http://example.com:8080/open/1 HTTP/1.1\r\nHost: example.com:8080\r\n"));
    assert!(head.ends_with("\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n"));
    assert!(!format!("{:?}", scene.client).contains("c2VjcmV0"));
}

#[test]
fn an_id_is_trimmed_and_anything_but_an_id_is_refused() {
    for body in ["ab12", "ab12\n", "ab12\r\n", "ab12 \t\r\n"] {
        let mut scene = Scene::new();
        scene.request();
        scene.answer(body.as_bytes()).unwrap();
        scene.write(&[3; OPENING]);
        scene.expect("/send/ab12/0", &[3; OPENING]);
    }
    let long = "a".repeat(64);
    for body in [
        "", "\n", "a/b", "a b", "a\r\nb", "../x", "<html>", "\u{e4}", &long, "ab12\n\0",
    ] {
        let mut scene = Scene::new();
        scene.request();
        assert_eq!(scene.answer(body.as_bytes()), Err(Error::Page), "{body:?}");
    }
}

#[test]
fn a_page_is_told_from_a_session() {
    for lines in [
        "Content-Type: text/html\r\n",
        "content-type: Text/HTML; charset=utf-8\r\n",
    ] {
        let mut scene = Scene::new();
        scene.request();
        assert_eq!(
            scene.receive(&answer("200 OK", lines, b"ab12\n")),
            Err(Error::Page)
        );
    }
    let mut scene = Scene::new();
    scene.request();
    assert_eq!(
        scene.receive(&answer("200 OK", "", &[b'x'; 65])),
        Err(Error::Page)
    );
}

#[test]
fn a_refusal_to_open_says_what_kind() {
    for (status, error) in [
        ("404 Not Found", Error::NotOffered(404)),
        ("400 Bad Request", Error::NotOffered(400)),
        ("405 Method Not Allowed", Error::NotOffered(405)),
        ("401 Unauthorized", Error::Unauthorized(401)),
        ("403 Forbidden", Error::Unauthorized(403)),
        ("407 Proxy Authentication Required", Error::ProxyUnauthorized),
        ("503 Service Unavailable", Error::Refused(503)),
        ("302 Found", Error::Redirected(302)),
    ] {
        let mut scene = Scene::new();
        scene.request();
        assert_eq!(scene.receive(&answer(status, "", b"")), Err(error));
    }
    for status in [
        "404 Not Found",
        "500 Internal Server Error",
        "302 Found",
        "204 No Content",
    ] {
        let mut scene = Scene::begun(b"\x01");
        scene.write(b"x");
        scene.request();
        let code = status[..3].parse().unwrap();
        assert_eq!(
            scene.receive(&answer(status, "Location: http://o/open/1\r\n", b"")),
            Err(Error::SessionLost(code))
        );
    }
}

#[test]
fn a_redirect_is_followed_once() {
    let found = answer("302 Found", "Location: http://other:81/a/open/1\r\n", b"gone");
    let mut scene = Scene::new();
    scene.request();
    scene.receive(&found).unwrap();
    let redirect = scene.client.redirect().unwrap().clone();
    assert_eq!((&*redirect.host, redirect.port), ("other", 81));
    assert!(scene.client.is_spent());
    scene.expect_nothing();
    let there = Config {
        host: redirect.host.clone(),
        port: redirect.port,
        ..config()
    };
    scene.client = Client::redirected(&there, &redirect);
    scene.client.handle_connected();
    scene.input.clear();
    scene.expect("/a/open/1", &[0]);
    assert_eq!(scene.receive(&found), Err(Error::Redirected(302)));
}

#[test]
fn cookies_of_the_answer_to_open_are_sent_back() {
    let mut scene = Scene::new();
    scene.request();
    let lines = "Set-Cookie: node=a; Path=/; HttpOnly\r\nSet-Cookie: x = y\r\nset-cookie: node=b\r\n\
                 Set-Cookie: nonsense\r\nSet-Cookie: bad name=1\r\n";
    scene.receive(&answer("200 OK", lines, b"ab12\n")).unwrap();
    scene.write(&[3; OPENING]);
    let (head, _) = scene.request();
    assert!(head.ends_with("\r\nCookie: x=y; node=b\r\n\r\n"), "{head}");
}

#[test]
fn answers_are_the_same_at_every_split_and_in_every_coding() {
    let plain = answer("200 OK", "", b"\x01answer");
    let interim = [b"HTTP/1.1 100 Continue\r\n\r\n".as_slice(), &plain].concat();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\x01\r\n4\r\nansw\r\n2\r\ner\r\n0\r\n\r\n";
    for wire in [&plain[..], &interim, chunked] {
        for step in 1..=wire.len() {
            let mut scene = Scene::open();
            scene.write(&[3; OPENING]);
            scene.request();
            let mut got = Vec::new();
            for piece in wire.chunks(step) {
                assert!(scene.client.awaits_answer());
                scene.receive(piece).unwrap();
                got.extend(scene.received());
            }
            assert!(!scene.client.awaits_answer());
            assert_eq!(got, b"answer", "in steps of {step}");
        }
    }
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    for version in ["1.0", "1.1"] {
        let mut scene = Scene::open();
        scene.write(&[3; OPENING]);
        scene.request();
        scene
            .receive(format!("HTTP/{version} 200 OK\r\n\r\n\x01answer").as_bytes())
            .unwrap();
        assert_eq!(scene.received(), b"answer");
        scene.write(b"next");
        scene.expect_nothing();
        scene.reconnect().unwrap();
        scene.expect("/send/ab12/1", b"next");
    }
}

#[test]
fn an_answer_of_ten_megabytes_passes_through() {
    let mut scene = Scene::open();
    scene.write(&[3; OPENING]);
    scene.request();
    let mut body = vec![7; 10 << 20];
    body[0] = 1;
    let mut got = 0;
    for piece in answer("200 OK", "", &body).chunks(60_000) {
        scene.receive(piece).unwrap();
        got += scene.received().len();
    }
    assert_eq!(got, body.len() - 1);
    assert!(!scene.client.awaits_answer());
}

#[test]
fn a_handshake_that_comes_byte_by_byte_over_many_polls_comes_whole() {
    let mut scene = Scene::begun(b"\x01");
    let expected: Vec<u8> = (0..3073_u32).map(|i| (i % 251) as u8).collect();
    let mut got = Vec::new();
    for (number, byte) in (1..).zip(&expected) {
        scene.pause();
        scene.expect(&format!("/idle/ab12/{number}"), &[0]);
        scene.answer(&[1, *byte]).unwrap();
        got.extend(scene.received());
    }
    assert_eq!(got, expected);
}

#[test]
fn every_polling_byte_is_heeded_within_bounds() {
    for polling in 1..=255_u8 {
        let mut scene = Scene::begun(&[polling]);
        let wished = Duration::from_micros(15_625 * u64::from(polling));
        assert_eq!(scene.pause(), wished.clamp(PAUSES.0, PAUSES.1), "{polling}");
        scene.expect("/idle/ab12/1", &[0]);
        scene.answer(&[polling, b'x']).unwrap();
        assert_eq!(scene.pause(), Duration::ZERO);
        scene.expect("/idle/ab12/2", &[0]);
    }
}

#[test]
fn polls_become_rare_while_nothing_comes_and_what_is_to_be_sent_does_not_wait() {
    let mut scene = Scene::begun(b"\x01");
    let mut pauses = Vec::new();
    for number in 1..100 {
        pauses.push(scene.pause());
        scene.expect(&format!("/idle/ab12/{number}"), &[0]);
        scene.answer(b"\x01").unwrap();
    }
    assert!(pauses.is_sorted());
    assert_eq!((pauses[0], pauses[98]), (Duration::from_micros(15_625), PAUSES.1));
    scene.write(b"x");
    scene.expect("/send/ab12/100", b"x");
    scene.answer(b"\x01").unwrap();
    assert_eq!(scene.pause(), Duration::from_micros(15_625));
}

#[test]
fn one_request_is_out_at_a_time_and_what_is_written_meanwhile_goes_together() {
    let mut scene = Scene::begun(b"\x01");
    scene.write(b"one");
    scene.expect("/send/ab12/1", b"one");
    scene.write(b"two");
    scene.expect_nothing();
    scene.write(b"three");
    scene.expect_nothing();
    scene.answer(b"\x01").unwrap();
    scene.expect("/send/ab12/2", b"twothree");
}

#[test]
fn what_waits_is_bounded_and_bodies_grow_while_answers_are_quick() {
    let mut scene = Scene::begun(b"\x01");
    let all = vec![0; 2 * MAX_PENDING];
    assert_eq!(scene.client.write(&[IoSlice::new(&all)]), MAX_PENDING);
    assert_eq!(scene.client.write(&[IoSlice::new(&all)]), 0);
    let mut lengths = Vec::new();
    for quick in [true, true, true, true, false, false] {
        let transmit = scene.client.poll_transmit(scene.now).unwrap();
        lengths.push(transmit.body.len());
        transmit.advance(transmit.remaining());
        scene.client.write(&[IoSlice::new(&all)]);
        scene.now += if quick { QUICK / 2 } else { 5 * QUICK };
        scene.answer(b"\x01").unwrap();
    }
    assert_eq!(lengths, [32, 64, 128, 256, 256, 128].map(|kilo| kilo << 10));
}

#[test]
fn the_end_of_the_session_is_told_by_the_polling_byte() {
    let mut scene = Scene::begun(b"\x01");
    scene.write(b"x");
    scene.request();
    scene.answer(b"\0last").unwrap();
    assert!(scene.client.has_ended());
    assert_eq!(scene.received(), b"last");
    assert_eq!(scene.client.write(&[IoSlice::new(b"x")]), 0);
    scene.expect_nothing();
    assert_eq!(scene.client.poll_timeout(), None);
    assert!(!scene.client.has_unanswered());
}

#[test]
fn closing_sends_what_waits_and_then_says_so() {
    let mut scene = Scene::begun(b"\x01");
    scene.write(b"one");
    scene.request();
    scene.write(b"two");
    scene.client.close();
    scene.expect_nothing();
    scene.answer(b"\x01").unwrap();
    scene.expect("/send/ab12/2", b"two");
    assert!(scene.client.has_unanswered());
    scene.answer(b"\x01").unwrap();
    scene.expect("/close/ab12/3", &[0]);
    assert!(scene.client.has_unanswered());
    scene.answer(b"\0").unwrap();
    assert!(scene.client.has_ended() && !scene.client.has_unanswered());
}

#[test]
fn nothing_that_happens_to_the_close_matters() {
    type Ending = fn(&mut Scene) -> Result<(), Error>;
    let endings: [Ending; 4] = [
        |scene| scene.receive(&answer("404 Not Found", "", b"")),
        |scene| scene.client.handle_disconnected(scene.now),
        |scene| {
            scene.now += CLOSE_PATIENCE;
            scene.client.handle_timeout(scene.now)
        },
        |scene| scene.receive(b"HTTP/1.1 200 OK\r\n\r\n"),
    ];
    for ending in endings {
        let mut scene = Scene::begun(b"\x01");
        scene.client.close();
        scene.expect("/close/ab12/1", &[0]);
        ending(&mut scene).unwrap();
        assert!(scene.client.has_ended());
    }
}

#[test]
fn a_session_that_is_given_up_is_closed_behind_what_is_out() {
    assert!(Scene::new().client.abandon().is_none());
    let mut scene = Scene::begun(b"\x01");
    scene.write(b"x");
    scene.client.poll_transmit(scene.now).unwrap().advance(1);
    assert!(scene.client.abandon().is_none(), "in the midst of a request");
    scene.request();
    let transmit = scene.client.abandon().unwrap();
    assert!(transmit.chunk().starts_with(b"POST /close/ab12/2 HTTP/1.1\r\n"));
    assert!(scene.client.has_ended() && scene.client.abandon().is_none());
}

#[test]
fn a_connection_that_ends_between_requests_is_followed_by_another() {
    for closing in [true, false] {
        let mut scene = Scene::open();
        scene.write(&[3; OPENING]);
        for number in 0..5 {
            let (head, _) = scene.request();
            assert!(head.starts_with(&format!("POST /send/ab12/{number} ")), "{head}");
            let lines = if closing { "Connection: close\r\n" } else { "" };
            scene.receive(&answer("200 OK", lines, b"\x01x")).unwrap();
            assert_eq!(scene.client.is_spent(), closing);
            scene.write(b"x");
            scene.reconnect().unwrap();
        }
    }
}

#[test]
fn a_request_is_repeated_once_when_a_kept_connection_ends_without_a_word() {
    let mut scene = Scene::begun(b"\x01");
    scene.write(b"x");
    scene.expect("/send/ab12/1", b"x");
    scene.reconnect().unwrap();
    scene.expect("/send/ab12/1", b"x");
    assert_eq!(scene.reconnect(), Err(Error::Disconnected));
}

#[test]
fn a_request_that_had_not_gone_out_whole_is_repeated_on_any_connection() {
    let mut scene = Scene::open();
    scene.client.handle_disconnected(scene.now).unwrap();
    scene.client.handle_connected();
    scene.write(&[3; OPENING]);
    scene.client.poll_transmit(scene.now).unwrap().advance(100);
    scene.reconnect().unwrap();
    scene.expect("/send/ab12/0", &[3; OPENING]);
}

#[test]
fn a_request_whose_answer_is_lost_is_not_repeated() {
    // On a new connection, which has not been closed for being idle; and within the answer.
    let mut scene = Scene::open();
    scene.reconnect().unwrap();
    scene.client.handle_connected();
    scene.write(&[3; OPENING]);
    scene.request();
    assert_eq!(scene.reconnect(), Err(Error::Disconnected));
    for part in [
        "HTTP/1.1",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x01ab",
    ] {
        let mut scene = Scene::begun(b"\x01");
        scene.write(b"x");
        scene.request();
        scene.receive(part.as_bytes()).unwrap();
        assert_eq!(scene.reconnect(), Err(Error::Disconnected), "{part:?}");
    }
}

#[test]
fn connections_that_end_before_anything_was_written_are_given_up_in_time() {
    let mut scene = Scene::begun(b"\x01");
    scene.write(b"x");
    let mut lost = 0;
    while scene.client.handle_disconnected(scene.now).is_ok() {
        scene.client.handle_connected();
        // The request is made, and nothing of it written.
        assert!(scene.client.poll_transmit(scene.now).is_some());
        lost += 1;
        assert!(lost < 10);
    }
    assert!(lost >= 2);
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout_and_an_idle_may_be_held_longer() {
    let mut scene = Scene::begun(b"\x01");
    scene.pause();
    scene.expect("/idle/ab12/1", &[0]);
    scene.now += IDLE_PATIENCE - SECOND;
    scene.client.handle_timeout(scene.now).unwrap();
    scene.answer(b"\x01").unwrap();
    scene.write(b"x");
    scene.request();
    assert_eq!(scene.client.poll_timeout(), Some(scene.now + 5 * SECOND));
    scene.now += 5 * SECOND;
    assert_eq!(scene.client.handle_timeout(scene.now), Err(Error::TimedOut));
}

#[test]
fn a_request_that_makes_its_way_slowly_is_no_timeout() {
    let mut scene = Scene::begun(b"\x01");
    scene.write(&[0; 1000]);
    for _ in 0..10 {
        scene.client.poll_transmit(scene.now).unwrap().advance(10);
        scene.client.handle_sent(scene.now);
        scene.now += 4 * SECOND;
        scene.client.handle_timeout(scene.now).unwrap();
    }
    // The last piece is one as well.
    scene.request();
    scene.client.handle_sent(scene.now);
    scene.now += 4 * SECOND;
    scene.client.handle_timeout(scene.now).unwrap();
    scene.now += SECOND;
    assert_eq!(scene.client.handle_timeout(scene.now), Err(Error::TimedOut));
}

#[test]
fn what_comes_unasked_is_the_end_of_the_connection_and_of_nothing_else() {
    let mut scene = Scene::begun(b"\x01");
    scene
        .receive(&answer("408 Request Timeout", "Connection: close\r\n", b""))
        .unwrap();
    assert!(scene.client.is_spent());
    scene.write(b"x");
    scene.reconnect().unwrap();
    scene.expect("/send/ab12/1", b"x");
}

#[test]
fn interim_answers_are_passed_over_but_not_without_end() {
    let mut scene = Scene::begun(b"\x01");
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_INTERIM.into());
    for _ in 0..2 {
        scene.write(b"x");
        scene.request();
        scene.receive(&interim).unwrap();
        scene.answer(b"\x01").unwrap();
    }
    scene.write(b"x");
    scene.request();
    scene.receive(&interim).unwrap();
    let one_more = scene.receive(b"HTTP/1.1 103 Early Hints\r\n\r\n");
    assert!(matches!(one_more, Err(Error::Malformed(Malformed::Excessive(_)))));
}

#[test]
fn broken_answers_are_refused() {
    for wire in [
        &b"garbage\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        &[b'x'; 20_000],
    ] {
        let mut scene = Scene::begun(b"\x01");
        scene.write(b"x");
        scene.request();
        assert!(
            matches!(scene.receive(wire), Err(Error::Malformed(_))),
            "{wire:?}"
        );
    }
    let mut scene = Scene::begun(b"\x01");
    scene.write(&[0; 1000]);
    scene.client.poll_transmit(scene.now).unwrap().advance(10);
    assert!(matches!(scene.answer(b"\x01"), Err(Error::Malformed(_))));
}

#[test]
fn debug_shows_neither_bytes_nor_the_id() {
    let mut scene = Scene::begun(b"\x01secret");
    scene.write(b"secret");
    let transmit = format!("{:?}", scene.client.poll_transmit(scene.now));
    let client = format!("{:?}", scene.client);
    assert!(!transmit.contains("secret") && !client.contains("secret") && !client.contains("ab12"));
}

/// Moves what is written on one side to the other, cut as `cuts` say, with connections that end where they say.
fn exchange(up: &[u8], down: &[u8], cuts: &[(u8, bool)]) -> (Vec<u8>, Vec<u8>) {
    let mut scene = Scene::new();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut sessions = Sessions::default();
    let mut connection = server::Connection::new();
    let mut requests = BytesMut::new();
    let (mut sent, mut output) = (0, BytesMut::from(down));
    let (mut uploaded, mut downloaded) = (Vec::new(), Vec::new());
    for (cut, ends) in cuts.iter().cycle().take(20_000) {
        sent += scene
            .client
            .write(&[IoSlice::new(up.get(sent..).unwrap_or_default())]);
        let cut = usize::from(*cut) * 64 + 1;
        while let Some(transmit) = scene.client.poll_transmit(scene.now) {
            let part = transmit.chunk()[..cut.min(transmit.chunk().len())].to_vec();
            requests.extend_from_slice(&part);
            transmit.advance(part.len());
        }
        while let Some(request) = connection.handle_input(&mut requests) {
            let entropy = [7; 16];
            match sessions.handle_request(scene.now, here, request, entropy) {
                Step::Answered(answer) | Step::Closed(_, answer) => connection.answer(&answer),
                Step::Opened(opened) => connection.answer(&opened.answer),
                Step::Taken(turn, bytes) => {
                    uploaded.extend_from_slice(&bytes);
                    let answer = sessions.answer(&turn, &mut output, false);
                    connection.answer(&answer);
                }
            }
        }
        let answers = connection.output().split();
        for piece in answers.chunks(cut) {
            scene.receive(piece).unwrap();
            downloaded.extend(scene.received());
        }
        if *ends && !scene.client.awaits_answer() {
            scene.reconnect().unwrap();
            connection = server::Connection::new();
            requests.clear();
            if !scene.client.wants_connection() {
                scene.client.handle_connected();
            }
        }
        if uploaded.len() == up.len() && downloaded.len() == down.len() {
            break;
        }
        scene.now = scene.client.poll_timeout().unwrap_or(scene.now).max(scene.now);
    }
    (uploaded, downloaded)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_bytes_come_through_in_their_order(
        up in 0_usize..200_000,
        down in 0_usize..200_000,
        cuts in prop::collection::vec((0_u8..255, any::<bool>()), 1..20),
    ) {
        let pattern = |length: usize| (0..length).map(|i| (i % 251) as u8).collect::<Vec<u8>>();
        let (up, down) = (pattern(OPENING + up), pattern(down));
        let (uploaded, downloaded) = exchange(&up, &down, &cuts);
        prop_assert!(uploaded == up, "{} of {} bytes", uploaded.len(), up.len());
        prop_assert!(downloaded == down, "{} of {} bytes", downloaded.len(), down.len());
    }
}
