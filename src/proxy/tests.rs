//! Every branch of the handshakes, with the answers fed at every split point.

use super::*;
use bytes::Buf as _;
use proptest::prelude::*;

/// What follows the proxy's answer: the server's own bytes.
const SERVERS: &[u8] = b"\x03server first";

/// One thing that we say, and what the proxy says to it.
type Turn = (&'static [u8], Vec<u8>);

fn proxy(url: &str) -> Proxy {
    Proxy::parse(url).unwrap()
}

fn destination(host: &str) -> Destination {
    Destination::named(host, 1935)
}

fn start(url: &str, host: &str) -> Handshake {
    Handshake::new(&proxy(url), &destination(host)).unwrap()
}

fn said(handshake: &mut Handshake) -> Vec<u8> {
    let mut said = Vec::new();
    while let Some(output) = handshake.poll_transmit() {
        // As slowly as a socket can take it.
        said.push(output[0]);
        output.advance(1);
    }
    said
}

/// Plays `turns`, each answer broken in two at `split`; what is left of the input afterwards.
fn play(url: &str, host: &str, turns: &[Turn], split: usize) -> Result<Vec<u8>, Error> {
    let mut handshake = start(url, host);
    let mut input = BytesMut::new();
    for (request, answer) in turns {
        assert_eq!(said(&mut handshake), *request, "{url}");
        let (first, second) = answer.split_at(split.min(answer.len()));
        for part in [first, second] {
            input.extend_from_slice(part);
            handshake.handle_input(&mut input)?;
        }
    }
    assert_eq!(said(&mut handshake), b"");
    assert!(handshake.is_done());
    Ok(input.to_vec())
}

/// Asserts that `turns` lead to a connection, however the answers come, and that nothing behind them is lost.
fn succeeds(url: &str, host: &str, turns: &[Turn]) {
    let mut turns = turns.to_vec();
    turns.last_mut().unwrap().1.extend(SERVERS);
    let longest = turns.iter().map(|(_, answer)| answer.len()).max().unwrap();
    for split in 0..=longest {
        assert_eq!(
            play(url, host, &turns, split).as_deref(),
            Ok(SERVERS),
            "{url} at {split}"
        );
    }
}

/// Asserts that `turns` end in `error`, whole or byte by byte.
fn fails(url: &str, turns: &[Turn], error: &Error) {
    let longest = turns.iter().map(|(_, answer)| answer.len()).max().unwrap();
    for split in 0..=longest {
        assert_eq!(
            play(url, "live.example", turns, split).as_ref(),
            Err(error),
            "{url} at {split}"
        );
    }
}

#[test]
fn socks5_without_a_login() {
    let connect = b"\x05\x01\x00\x03\x0clive.example\x07\x8f";
    for bound in [
        b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38".to_vec(),
        b"\x05\x00\x00\x03\x05proxy\x04\x38".to_vec(),
        b"\x05\x00\x00\x03\x00\x04\x38".to_vec(),
        [&b"\x05\x00\x00\x04"[..], &[0; 18]].concat(),
    ] {
        let turns: [Turn; 2] = [(b"\x05\x01\x00", b"\x05\x00".to_vec()), (connect, bound)];
        succeeds("socks5h://proxy", "live.example", &turns);
    }
}

#[test]
fn socks5_carries_addresses_of_either_family() {
    let granted = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38".to_vec();
    let method = || (&b"\x05\x01\x00"[..], b"\x05\x00".to_vec());
    succeeds(
        "socks5://proxy",
        "192.0.2.7",
        &[
            method(),
            (b"\x05\x01\x00\x01\xc0\x00\x02\x07\x07\x8f", granted.clone()),
        ],
    );
    succeeds(
        "socks5://proxy",
        "2001:db8::1%eth0",
        &[
            method(),
            (
                b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x07\x8f",
                granted,
            ),
        ],
    );
}

#[test]
fn socks5_logs_in_when_asked() {
    let granted = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38".to_vec();
    let connect = b"\x05\x01\x00\x03\x0clive.example\x07\x8f";
    let login = b"\x01\x02me\x04pass";
    let url = "socks5h://me:pass@proxy";
    succeeds(
        url,
        "live.example",
        &[
            (b"\x05\x02\x00\x02", b"\x05\x02".to_vec()),
            (login, b"\x01\x00".to_vec()),
            (connect, granted.clone()),
        ],
    );
    // A proxy that does not care.
    succeeds(
        url,
        "live.example",
        &[
            (b"\x05\x02\x00\x02", b"\x05\x00".to_vec()),
            (connect, granted.clone()),
        ],
    );
    succeeds(
        "socks5h://me@proxy",
        "live.example",
        &[
            (b"\x05\x02\x00\x02", b"\x05\x02".to_vec()),
            (b"\x01\x02me\x00", b"\x01\x00".to_vec()),
            (connect, granted),
        ],
    );
    fails(
        url,
        &[
            (b"\x05\x02\x00\x02", b"\x05\x02".to_vec()),
            (login, b"\x01\x01".to_vec()),
        ],
        &Error::LoginRefused,
    );
    fails(
        url,
        &[
            (b"\x05\x02\x00\x02", b"\x05\x02".to_vec()),
            (login, b"\x05\x00".to_vec()),
        ],
        &Error::NotAProxy("its verdict on the login is of another version"),
    );
    fails(
        url,
        &[(b"\x05\x02\x00\x02", b"\x05\xff".to_vec())],
        &Error::LoginUnsupported,
    );
}

#[test]
fn socks5_refusals() {
    let greeting = b"\x05\x01\x00";
    let connect = b"\x05\x01\x00\x03\x0clive.example\x07\x8f";
    let url = "socks5h://proxy";
    fails(url, &[(greeting, b"\x05\xff".to_vec())], &Error::LoginRequired);
    fails(
        url,
        &[(greeting, b"\x05\x02".to_vec())],
        &Error::NotAProxy("it chooses a login that was not offered"),
    );
    for code in 1..=9 {
        // With and without what the RFC has behind the code.
        for rest in [&b""[..], &[0, 1, 0, 0, 0, 0, 0, 0]] {
            fails(
                url,
                &[
                    (greeting, b"\x05\x00".to_vec()),
                    (connect, [&[5, code], rest].concat()),
                ],
                &Error::Refused(Refusal::Socks5(code)),
            );
        }
    }
    for (answer, why) in [
        (&b"\x04\x00"[..], "its reply is of another version"),
        (b"\x05\x00\x00\x02", "its reply has an address of an unknown type"),
    ] {
        fails(
            url,
            &[(greeting, b"\x05\x00".to_vec()), (connect, answer.to_vec())],
            &Error::NotAProxy(why),
        );
    }
    fails(
        url,
        &[(greeting, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())],
        &Error::NotAProxy("it does not begin as one of SOCKS 5 does"),
    );
}

#[test]
fn socks4_gives_an_address_and_socks4a_a_name() {
    let granted = b"\x00\x5a\x00\x00\x00\x00\x00\x00".to_vec();
    succeeds(
        "socks4://me@proxy",
        "192.0.2.7",
        &[(b"\x04\x01\x07\x8f\xc0\x00\x02\x07me\x00", granted.clone())],
    );
    succeeds(
        "socks4a://proxy",
        "192.0.2.7",
        &[(b"\x04\x01\x07\x8f\xc0\x00\x02\x07\x00", granted.clone())],
    );
    succeeds(
        "socks4a://proxy",
        "live.example",
        &[(b"\x04\x01\x07\x8f\0\0\0\x01\x00live.example\x00", granted)],
    );
}

#[test]
fn socks4_refusals() {
    let request = b"\x04\x01\x07\x8f\0\0\0\x01\x00live.example\x00";
    for code in [0, 91, 92, 93, 94] {
        for rest in [&b""[..], &[0; 6]] {
            fails(
                "socks4a://proxy",
                &[(request, [&[0, code], rest].concat())],
                &Error::Refused(Refusal::Socks4(code)),
            );
        }
    }
    fails(
        "socks4a://proxy",
        &[(request, b"\x05\x00".to_vec())],
        &Error::NotAProxy("it does not begin as one of SOCKS 4 does"),
    );
}

#[test]
fn what_a_protocol_cannot_say_is_not_asked() {
    let unfit = |url: &str, host: &str| Handshake::new(&proxy(url), &destination(host)).unwrap_err();
    for url in ["socks4://proxy", "socks4a://proxy"] {
        assert!(matches!(unfit(url, "::1"), Error::Unfit(why) if why.contains("IPv6")));
    }
    let long = "x".repeat(256);
    for url in ["socks5h://proxy", "socks4a://proxy"] {
        assert!(matches!(unfit(url, &long), Error::Unfit(why) if why.contains("255")));
    }
}

const CONNECT: &[u8] = b"CONNECT live.example:1935 HTTP/1.1\r\nHost: live.example:1935\r\n\r\n";

#[test]
fn connect_takes_any_2xx_answer() {
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n",
        "HTTP/1.1 204 \r\nContent-Length: 20\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 OK\nVia: lines without returns\n\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        succeeds(
            "http://proxy",
            "live.example",
            &[(CONNECT, answer.as_bytes().to_vec())],
        );
    }
}

#[test]
fn connect_writes_addresses_in_brackets_and_logs_in() {
    let granted = || b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    succeeds(
        "http://proxy",
        "::1",
        &[(
            b"CONNECT [::1]:1935 HTTP/1.1\r\nHost: [::1]:1935\r\n\r\n",
            granted(),
        )],
    );
    succeeds(
        "http://Aladdin:open%20sesame@proxy",
        "live.example",
        &[(
            b"CONNECT live.example:1935 HTTP/1.1\r\nHost: live.example:1935\r\n\
              Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
            granted(),
        )],
    );
}

#[test]
fn connect_refusals() {
    let refused = |status: &str, error: &Error| {
        let answer = format!("HTTP/1.1 {status}\r\n\r\n").into_bytes();
        fails("http://proxy", &[(CONNECT, answer)], error);
    };
    for code in [301, 400, 403, 404, 405, 500, 502, 503, 504, 999] {
        refused(
            &format!("{code} Some words"),
            &Error::Refused(Refusal::Http(code)),
        );
    }
    refused(
        "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"",
        &Error::LoginRequired,
    );
    refused("407 No challenge", &Error::LoginRequired);
    refused("401 Unauthorized", &Error::LoginRequired);
    refused(
        "407 No\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: Digest realm=x, Basic realm=y",
        &Error::LoginRequired,
    );
    refused(
        "407 No\r\nProxy-Authenticate: Negotiate, NTLM",
        &Error::LoginUnsupported,
    );

    let login = b"CONNECT live.example:1935 HTTP/1.1\r\nHost: live.example:1935\r\n\
                  Proxy-Authorization: Basic bWU6cGFzcw==\r\n\r\n";
    for answer in [
        &b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"[..],
        b"HTTP/1.0 401 Unauthorized\r\n\r\n",
    ] {
        fails(
            "http://me:pass@proxy",
            &[(login, answer.to_vec())],
            &Error::LoginRefused,
        );
    }
}

#[test]
fn connect_knows_what_is_no_http() {
    for (answer, why) in [
        (&b"\x05\xff"[..], "it does not begin as an answer of HTTP does"),
        (
            b"220 mail ready\r\n",
            "it does not begin as an answer of HTTP does",
        ),
        (
            b"HTTP/2 200 OK\r\n\r\n",
            "it does not begin as an answer of HTTP does",
        ),
        (
            b"HTTP/1.1 200 OK\n\rA: b\r\n\r\n",
            "the lines of its head are broken",
        ),
        (b"HTTP/1.1 abc\r\n\r\n", "the head of its answer cannot be read"),
        (
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "the head of its answer cannot be read",
        ),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "interim answers without end"),
    ] {
        fails(
            "http://proxy",
            &[(CONNECT, answer.to_vec())],
            &Error::NotAProxy(why),
        );
    }
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
    let error = play("http://proxy", "live.example", &[(CONNECT, interim)], 0);
    assert_eq!(error, Err(Error::NotAProxy("interim answers without end")));
}

#[test]
fn connect_takes_no_head_without_end() {
    let banner = |fields: usize| {
        let mut answer = b"HTTP/1.1 200 OK\r\n".to_vec();
        answer.extend(b"A: b\r\n".repeat(fields));
        answer
    };
    let whole = |fields| [&banner(fields)[..], b"\r\n"].concat();
    let play = |answer| play("http://proxy", "live.example", &[(CONNECT, answer)], 1 << 20);
    assert_eq!(play(whole(100)), Ok(Vec::new()));
    let many = Err(Error::LimitExceeded("more than 100 header fields"));
    assert_eq!(play(whole(101)), many);
    let long = Err(Error::LimitExceeded("a head of more than 16 KiB"));
    assert_eq!(play(banner(3000)), long);
    assert_eq!(play(whole(3000)), long);

    // Byte by byte it is given up as early.
    let mut handshake = start("http://proxy", "live.example");
    said(&mut handshake);
    let mut input = BytesMut::new();
    let fed = banner(3000)
        .into_iter()
        .take_while(|byte| {
            input.extend_from_slice(&[*byte]);
            handshake.handle_input(&mut input).is_ok()
        })
        .count();
    assert_eq!(fed, (16 << 10) - 1);
}

#[test]
fn an_answer_before_the_question_is_none() {
    for (url, answer) in [
        ("http://proxy", &b"HTTP/1.1 200 OK\r\n\r\n"[..]),
        ("socks5h://proxy", b"\x05\x00"),
        ("socks4a://proxy", &[0, 90, 0, 0, 0, 0, 0, 0]),
    ] {
        let mut handshake = start(url, "live.example");
        let error = handshake.handle_input(&mut BytesMut::from(answer)).unwrap_err();
        assert_eq!(
            error,
            Error::NotAProxy("it answers before it has been asked"),
            "{url}"
        );
        assert!(!handshake.is_done());
    }
}

#[test]
fn refusals_are_told_in_words() {
    for (refusal, words) in [
        (Refusal::Socks5(5), "connection refused (SOCKS 5 code 5)"),
        (Refusal::Socks5(99), "no reason that is known (SOCKS 5 code 99)"),
        (
            Refusal::Socks4(91),
            "request rejected or failed (SOCKS 4 code 91)",
        ),
        (
            Refusal::Http(403),
            "its rules do not allow the connection (HTTP code 403)",
        ),
    ] {
        assert_eq!(refusal.to_string(), words);
    }
}

#[test]
fn debug_shows_no_password() {
    for url in ["http://me:hunter2@proxy", "socks5h://me:hunter2@proxy"] {
        let shown = format!("{:?}", start(url, "live.example"));
        assert!(
            !shown.contains("hunter2") && !shown.contains("aHVudGVyMg"),
            "{shown}"
        );
    }
}

proptest! {
    #[test]
    fn any_answer_is_taken(
        url in prop::sample::select(vec![
            "socks4a://p", "socks5h://p", "socks5h://a:b@p", "http://p", "http://a:b@p",
        ]),
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..20),
                Just(b"HTTP/1.1 200 ".to_vec()),
                Just(b"\r\n".to_vec()),
                Just(b"\x05\x00".to_vec()),
                Just(b"\x05\x02".to_vec()),
                Just(b"\x00\x5a".to_vec()),
            ],
            0..20,
        ),
    ) {
        let mut handshake = start(url, "live.example");
        let mut input = BytesMut::new();
        for part in parts {
            said(&mut handshake);
            input.extend_from_slice(&part);
            if handshake.handle_input(&mut input).is_err() {
                break;
            }
        }
    }
}
