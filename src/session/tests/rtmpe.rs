//! Sessions of RTMPE: handshake, then RTMP of which every byte is enciphered.

use super::*;
use crate::handshake::vectors::{MISTAKABLE_CLIENT, mistakable_answer};
use crate::handshake::{SignatureCipher, Style};

fn enciphered(config: ClientConfig) -> ClientConfig {
    ClientConfig {
        handshake: Style::Rtmpe,
        ..config
    }
}

fn server(config: ServerConfig) -> Session {
    Session::server(Arc::new(config), epoch())
}

fn client(config: ClientConfig) -> Session {
    Session::client(Arc::new(config), epoch())
}

/// What a session has to send.
fn sent(session: &mut Session) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(queue) = session.poll_transmit(session.started) {
        let length = queue.remaining();
        bytes.extend_from_slice(&queue.copy_to_bytes(length));
    }
    bytes
}

/// Hands `bytes` to a session, behind what it has left in `input`, and answers what it asks for.
fn feed(session: &mut Session, input: &mut BytesMut, bytes: &[u8]) -> Result<Vec<String>, Error> {
    let now = session.started;
    input.extend_from_slice(bytes);
    let mut told = Vec::new();
    loop {
        session.handle_input(now, Input::Stream(input))?;
        let mut asked = None;
        while let Some(event) = session.poll_event() {
            if let Event::Requested(request) = &event {
                asked = Some(request.clone());
            }
            told.push(describe(event));
        }
        match asked {
            Some(request) => session.answer(now, &request, Ok(()))?,
            None => return Ok(told),
        }
    }
}

/// What a client and a server send each other until the client publishes.
fn recording() -> (Vec<u8>, Vec<u8>) {
    let (mut client, mut server) = (client(enciphered(to_publish())), server(to_serve()));
    let (mut to_client, mut to_server) = (BytesMut::new(), BytesMut::new());
    let (mut by_client, mut by_server) = (Vec::new(), Vec::new());
    loop {
        let (asked, answered) = (sent(&mut client), sent(&mut server));
        if asked.is_empty() && answered.is_empty() {
            assert_eq!(client.phase(), Phase::Media);
            return (by_client, by_server);
        }
        by_client.extend_from_slice(&asked);
        by_server.extend_from_slice(&answered);
        feed(&mut server, &mut to_server, &asked).unwrap();
        feed(&mut client, &mut to_client, &answered).unwrap();
    }
}

/// Places to split `length` bytes at: all around the end of the handshake, where clear text turns into cipher, and
/// some elsewhere, for each costs an agreement on keys.
fn splits(length: usize) -> impl Iterator<Item = usize> {
    (0..length)
        .step_by(211)
        .chain([1536, 1537, 1538])
        .chain(HANDSHAKE - 2..HANDSHAKE + 40)
        .chain([length])
}

#[test]
fn a_server_deciphers_what_comes_wherever_it_is_split() {
    let (by_client, _) = recording();
    let mut whole = server(to_serve());
    let told = feed(&mut whole, &mut BytesMut::new(), &by_client).unwrap();
    assert_eq!(
        told,
        [
            "asks to connect to \"live\"",
            "connected",
            "asks to publish \"key\" \"live\"",
            "ready"
        ]
    );
    for split in splits(by_client.len()) {
        let mut session = server(to_serve());
        let mut input = BytesMut::new();
        let (first, second) = by_client.split_at(split);
        let mut heard = feed(&mut session, &mut input, first).unwrap();
        heard.extend(feed(&mut session, &mut input, second).unwrap());
        assert_eq!(heard, told, "split at {split}");
        assert!(input.is_empty());
    }
}

#[test]
fn a_client_deciphers_what_comes_wherever_it_is_split() {
    let (_, by_server) = recording();
    let expected = ["connected", "ready", "status NetStream.Publish.Start"];
    for split in splits(by_server.len()) {
        let mut session = client(enciphered(to_publish()));
        let mut input = BytesMut::new();
        let (first, second) = by_server.split_at(split);
        let mut heard = feed(&mut session, &mut input, first).unwrap();
        heard.extend(feed(&mut session, &mut input, second).unwrap());
        assert_eq!(heard, expected, "split at {split}");
        assert!(input.is_empty());
    }
}

#[test]
fn nothing_behind_the_handshake_is_in_clear_text() {
    let (by_client, by_server) = recording();
    let has = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    for word in ["connect", "live", "key", "publish", "tcUrl"] {
        assert!(!has(&by_client, word), "{word}");
    }
    for word in ["_result", "NetConnection", "NetStream", "fmsVer"] {
        assert!(!has(&by_server, word), "{word}");
    }
}

#[test]
fn an_input_that_waits_for_an_answer_is_deciphered_once() {
    let (by_client, _) = recording();
    let mut session = server(to_serve());
    let now = session.started;
    let mut input = BytesMut::from(&by_client[..]);
    // Asked again and again before the answer, the session leaves what is behind connect as it is.
    for _ in 0..3 {
        session.handle_input(now, Input::Stream(&mut input)).unwrap();
    }
    let waiting = input.clone();
    assert!(!waiting.is_empty());
    let Some(Event::Requested(request)) = session.poll_event() else {
        panic!("nothing is asked for");
    };
    session.answer(now, &request, Ok(())).unwrap();
    let told = feed(&mut session, &mut input, &[]).unwrap();
    assert_eq!(told, ["connected", "asks to publish \"key\" \"live\"", "ready"]);
}

#[test]
fn a_client_that_knows_all_types_gets_what_the_server_prefers() {
    for (rtmpe, version) in [
        (SignatureCipher::None, 6),
        (SignatureCipher::Xtea, 8),
        (SignatureCipher::Blowfish, 9),
    ] {
        let mut server = server(ServerConfig { rtmpe, ..to_serve() });
        let mut client = client(enciphered(to_play()));
        feed(&mut server, &mut BytesMut::new(), &sent(&mut client)).unwrap();
        let answer = sent(&mut server);
        assert_eq!(answer[0], version);
        feed(&mut client, &mut BytesMut::new(), &answer).unwrap();
        assert_eq!(client.phase(), Phase::Connect);
    }
}

#[test]
fn clear_text_is_no_answer_to_rtmpe() {
    let mut script = Script::server_for(enciphered(to_play()));
    assert_eq!(script.raw(&handshake()), Err(Error::ClearText));
}

#[test]
fn a_broken_handshake_of_rtmpe_is_the_peers_fault() {
    let mut bytes = handshake();
    bytes[0] = 6;
    let mut script = Script::client_of(to_serve());
    assert!(matches!(script.raw(&bytes), Err(Error::PeerMisbehaved(_))));
}

#[test]
fn keys_that_peers_disagree_on_count_until_connect_is_answered() {
    let config = ClientConfig {
        entropy: MISTAKABLE_CLIENT,
        ..enciphered(to_play())
    };
    let mut session = client(config.clone());
    assert!(!session.has_ambiguous_keys());
    feed(&mut session, &mut BytesMut::new(), &mistakable_answer()).unwrap();
    assert_eq!(session.phase(), Phase::Connect);
    assert!(session.has_ambiguous_keys());
    let now = session.started;
    assert!(session.handle_input(now, Input::Eof).is_err());
    assert!(session.has_ambiguous_keys());

    // Of a server of ours a secret never begins with a zero byte.
    let (mut session, mut server) = (client(config), server(to_serve()));
    feed(&mut server, &mut BytesMut::new(), &sent(&mut session)).unwrap();
    feed(&mut session, &mut BytesMut::new(), &sent(&mut server)).unwrap();
    assert_eq!(session.phase(), Phase::Connect);
    assert!(!session.has_ambiguous_keys());
}
