use super::*;

const CLIENT_TIME: u32 = 0x0100_0000;
const SERVER_TIME: u32 = 0x0200_0000;

fn client(style: Style) -> Client {
    Client::new(style, CLIENT_TIME, &mut Entropy::new([1; 32]))
}

fn server() -> Server {
    Server::new(&mut Entropy::new([2; 32]))
}

fn packet(bytes: &[u8]) -> Packet {
    bytes.try_into().unwrap()
}

/// Feeds `bytes` in pieces of `size`, as a connection would: unused bytes stay in front of later ones.
/// Returns what is left and whether the last piece finished the handshake.
fn feed(
    mut handle: impl FnMut(&mut BytesMut) -> Result<bool, Error>,
    bytes: &[u8],
    size: usize,
) -> (BytesMut, bool) {
    let mut input = BytesMut::new();
    let mut done = false;
    for piece in bytes.chunks(size) {
        input.put_slice(piece);
        done = handle(&mut input).unwrap();
    }
    (input, done)
}

/// Runs client against server with pieces of `size` bytes and returns C0C1, S0S1S2 and C2.
fn run(style: Style, size: usize) -> (Bytes, Bytes, Bytes) {
    let (mut client, mut server) = (client(style), server());
    let c0c1 = client.poll_transmit().unwrap();
    assert_eq!(client.poll_transmit(), None);
    assert_eq!(server.poll_transmit(), None);

    let (rest, done) = feed(|input| server.handle_input(input, SERVER_TIME), &c0c1, size);
    assert!(rest.is_empty() && !done);
    let s0s1s2 = server.poll_transmit().unwrap();
    assert_eq!(server.poll_transmit(), None);

    let (rest, done) = feed(|input| client.handle_input(input, CLIENT_TIME + 1), &s0s1s2, size);
    assert!(rest.is_empty() && done);
    let c2 = client.poll_transmit().unwrap();
    assert_eq!(client.poll_transmit(), None);

    let (rest, done) = feed(|input| server.handle_input(input, SERVER_TIME + 1), &c2, size);
    assert!(rest.is_empty() && done);
    assert_eq!(server.poll_transmit(), None);
    (c0c1, s0s1s2, c2)
}

#[test]
fn packets_do_not_depend_on_how_the_bytes_arrive() {
    for style in [Style::Simple, Style::Digest, Style::Rtmpe] {
        let whole = run(style, usize::MAX);
        for size in [1, 2, 7, 1535, 1536, 1537, 1538, 3072] {
            assert_eq!(run(style, size), whole, "pieces of {size}");
        }
    }
}

#[test]
fn simple_handshake_is_zeros_filler_and_echoes_with_the_time_of_reading() {
    let (c0c1, s0s1s2, c2) = run(Style::Simple, usize::MAX);
    let (s0s1, s2) = s0s1s2.split_at(1537);
    assert_eq!(c0c1.len(), 1537);
    assert_eq!(c0c1[..9], [3, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(s0s1[..9], [3, 2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(s2[..8], [1, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!(s2[8..], c0c1[9..]);
    assert_eq!(c2[..8], [2, 0, 0, 0, 1, 0, 0, 1]);
    assert_eq!(c2[8..], s0s1[9..]);
    assert_ne!(c0c1[9..], s0s1[9..]);
}

#[test]
fn digest_handshake_is_signed_on_both_sides() {
    let (c0c1, s0s1s2, c2) = run(Style::Digest, usize::MAX);
    let (c1, s1, s2) = (
        packet(&c0c1[1..]),
        packet(&s0s1s2[1..1537]),
        packet(&s0s1s2[1537..]),
    );
    assert_eq!(c1[..8], [1, 0, 0, 0, 9, 0, 0x7c, 2]);
    assert_eq!(s1[..8], [2, 0, 0, 0, 3, 5, 1, 1]);
    let (c1_layout, c1_digest) = digest::find(&c1, Signer::Player).unwrap();
    let (s1_layout, s1_digest) = digest::find(&s1, Signer::MediaServer).unwrap();
    assert_eq!((c1_layout, s1_layout), (Layout::DigestFirst, Layout::DigestFirst));

    let mut signed = packet(&c2);
    digest::sign(&mut signed, Signer::Player, &s1_digest, SignatureCipher::None);
    assert_eq!(signed, *c2);
    let mut signed = s2;
    digest::sign(
        &mut signed,
        Signer::MediaServer,
        &c1_digest,
        SignatureCipher::None,
    );
    assert_eq!(signed, s2);
}

#[test]
fn server_answers_a_digest_in_the_layout_of_the_client() {
    let mut c1 = simple::offer(0, &mut Entropy::new([3; 32]));
    digest::embed(&mut c1, [0x80, 0, 7, 2], Layout::KeyFirst, Signer::Player);
    let mut server = server();
    let mut input = BytesMut::from(&[&[VERSION], &c1[..]].concat()[..]);
    assert_eq!(server.handle_input(&mut input, 0), Ok(false));
    let answer = server.poll_transmit().unwrap();
    let (layout, _) = digest::find(&packet(&answer[1..1537]), Signer::MediaServer).unwrap();
    assert_eq!(layout, Layout::KeyFirst);
}

#[test]
fn server_answers_a_version_without_a_digest_in_the_simple_style() {
    let mut c1 = simple::offer(0, &mut Entropy::new([3; 32]));
    c1[4..8].copy_from_slice(&PLAYER_VERSION);
    let mut server = server();
    let mut input = BytesMut::from(&[&[VERSION], &c1[..]].concat()[..]);
    assert_eq!(server.handle_input(&mut input, 5), Ok(false));
    let answer = server.poll_transmit().unwrap();
    assert_eq!(answer[1..9], [0, 0, 0, 5, 0, 0, 0, 0]);
    assert_eq!(answer[1545..], c1[8..]);
}

#[test]
fn server_takes_an_echo_or_anything_for_c2() {
    for c2 in [[0; PACKET_SIZE], [0xff; PACKET_SIZE]] {
        let mut server = server();
        let mut input = BytesMut::from(&client(Style::Digest).poll_transmit().unwrap()[..]);
        assert_eq!(server.handle_input(&mut input, 0), Ok(false));
        input.put_slice(&c2);
        assert_eq!(server.handle_input(&mut input, 0), Ok(true));
    }
}

/// Feeds a digest client the given S1 and returns its C2, which has to come before S2.
fn c2_for(s1: &Packet) -> Packet {
    let mut client = client(Style::Digest);
    assert_eq!(client.poll_transmit().unwrap().len(), 1537);
    let (rest, done) = feed(
        |input| client.handle_input(input, 9),
        &[&[VERSION], &s1[..]].concat(),
        100,
    );
    assert!(rest.is_empty() && !done);
    let c2 = packet(&client.poll_transmit().unwrap());
    let (_, done) = feed(|input| client.handle_input(input, 9), &[0x55; PACKET_SIZE], 100);
    assert!(done, "an S2 that is neither echo nor signature is taken");
    c2
}

#[test]
fn client_signs_for_a_digest_in_either_layout_whatever_the_version_and_before_s2() {
    for layout in [Layout::DigestFirst, Layout::KeyFirst] {
        for version in [[0; 4], MEDIA_SERVER_VERSION] {
            let mut s1 = simple::offer(0, &mut Entropy::new([4; 32]));
            digest::embed(&mut s1, version, layout, Signer::MediaServer);
            let (_, answered) = digest::find(&s1, Signer::MediaServer).unwrap();
            let mut signed = simple::echo(&s1, 9);
            digest::sign(&mut signed, Signer::Player, &answered, SignatureCipher::None);
            assert_eq!(c2_for(&s1), signed);
        }
    }
}

#[test]
fn digest_client_echoes_to_a_server_without_digest() {
    let mut s1 = simple::offer(0, &mut Entropy::new([4; 32]));
    s1[4..8].copy_from_slice(&MEDIA_SERVER_VERSION);
    assert_eq!(c2_for(&s1), simple::echo(&s1, 9));
}

#[test]
fn simple_client_echoes_to_a_server_with_digest() {
    let mut s1 = simple::offer(0, &mut Entropy::new([4; 32]));
    digest::embed(
        &mut s1,
        MEDIA_SERVER_VERSION,
        Layout::DigestFirst,
        Signer::MediaServer,
    );
    let mut client = client(Style::Simple);
    assert!(client.poll_transmit().is_some());
    let mut input = BytesMut::from(&[&[VERSION], &s1[..]].concat()[..]);
    assert_eq!(client.handle_input(&mut input, 9), Ok(false));
    assert_eq!(client.poll_transmit().unwrap()[..], simple::echo(&s1, 9));
}

#[test]
fn what_follows_the_handshake_stays_in_the_input() {
    let (_, s0s1s2, c2) = run(Style::Digest, usize::MAX);
    let mut client = client(Style::Digest);
    let mut input = BytesMut::from(&[&s0s1s2[..], b"chunks"].concat()[..]);
    assert_eq!(client.handle_input(&mut input, 0), Ok(true));
    assert_eq!(input[..], b"chunks"[..]);
    assert_eq!(client.handle_input(&mut input, 0), Ok(true));
    assert_eq!(input[..], b"chunks"[..]);

    let mut server = server();
    let c0c1 = client.poll_transmit().unwrap().split_to(1537);
    let mut input = BytesMut::from(&[&c0c1[..], &c2[..], b"connect"].concat()[..]);
    assert_eq!(server.handle_input(&mut input, 0), Ok(true));
    assert_eq!(input[..], b"connect"[..]);
    assert_eq!(server.poll_transmit().unwrap().len(), 3073);
}

#[test]
fn reserved_versions_go_on_as_version_3() {
    for version in (3..32).filter(|version| ![6, 8, 9].contains(version)) {
        let (_, s0s1s2, _) = run(Style::Simple, usize::MAX);
        let mut client = client(Style::Simple);
        let mut input = BytesMut::from(&[&[version], &s0s1s2[1..]].concat()[..]);
        assert_eq!(client.handle_input(&mut input, 0), Ok(true));

        let mut server = server();
        let mut input = client.poll_transmit().map(BytesMut::from).unwrap();
        input[0] = version;
        assert!(server.handle_input(&mut input, 0).is_ok());
        assert_eq!(server.poll_transmit().unwrap()[0], VERSION);
    }
}

#[test]
fn another_protocol_is_refused_at_its_first_byte() {
    for first in (0..3).chain(32..=255) {
        let value = u64::from(first);
        assert_eq!(
            client(Style::Simple).handle_input(&mut BytesMut::from(&[first][..]), 0),
            Err(Error::Malformed(Malformed::Invalid {
                field: "RTMP version (S0)",
                value
            }))
        );
        assert_eq!(
            server().handle_input(&mut BytesMut::from(&[first][..]), 0),
            Err(Error::Malformed(Malformed::Invalid {
                field: "RTMP version (C0)",
                value
            }))
        );
    }
    let error = client(Style::Simple).handle_input(&mut BytesMut::from("HTTP/1.1 400"), 0);
    assert_eq!(error.unwrap_err().to_string(), "RTMP version (S0) cannot be 0x48");
}

/// The keys of both ends after a handshake in pieces of `size` bytes, the server preferring `cipher`, and S0.
fn agree(cipher: SignatureCipher, size: usize) -> (SessionKeys, SessionKeys, u8) {
    let (mut client, mut server) = (client(Style::Rtmpe), server());
    server.prefer(cipher);
    let c0c1 = client.poll_transmit().unwrap();
    feed(|input| server.handle_input(input, SERVER_TIME), &c0c1, size);
    let s0s1s2 = server.poll_transmit().unwrap();
    let (_, done) = feed(|input| client.handle_input(input, CLIENT_TIME), &s0s1s2, size);
    assert!(done);
    let c2 = client.poll_transmit().unwrap();
    let (_, done) = feed(|input| server.handle_input(input, SERVER_TIME), &c2, size);
    assert!(done);
    let (of_client, of_server) = (client.agreement(), server.agreement());
    assert_eq!(of_client.swf_challenge, of_server.swf_challenge);
    assert_eq!(of_client.swf_challenge[..], s0s1s2[1505..1537]);
    let keys = |agreement: &Agreement| agreement.keys.clone().unwrap();
    (keys(of_client), keys(of_server), s0s1s2[0])
}

#[test]
fn rtmpe_gives_both_ends_the_same_keys_however_the_bytes_arrive() {
    for (cipher, version) in [
        (SignatureCipher::None, 6),
        (SignatureCipher::Xtea, 8),
        (SignatureCipher::Blowfish, 9),
    ] {
        let whole = agree(cipher, usize::MAX);
        let (client, server, s0) = &whole;
        assert_eq!(client.outgoing, server.incoming);
        assert_eq!(client.incoming, server.outgoing);
        assert_ne!(client.incoming, client.outgoing);
        assert_eq!(*s0, version);
        for size in [1, 1000, 1536, 1537] {
            assert_eq!(agree(cipher, size), whole, "pieces of {size}");
        }
    }
}

#[test]
fn rtmpe_does_not_depend_on_where_the_bytes_are_split() {
    let mut client = client(Style::Rtmpe);
    let c0c1 = client.poll_transmit().unwrap();
    let mut server = server();
    let mut input = BytesMut::from(&c0c1[..]);
    assert_eq!(server.handle_input(&mut input, 0), Ok(false));
    let answer = server.poll_transmit().unwrap();
    assert_eq!(client.handle_input(&mut BytesMut::from(&answer[..]), 0), Ok(true));
    let c2 = client.poll_transmit().unwrap();
    let keys = client.agreement().keys.clone();
    // Keys are made when C1 or S1 is there, which the splits at their edges decide; the others are for what
    // could be lost or taken twice.
    for split in [
        0, 1, 2, 8, 771, 772, 1503, 1504, 1535, 1536, 1537, 1538, 3072, 3073,
    ] {
        let mut client = Client::new(Style::Rtmpe, CLIENT_TIME, &mut Entropy::new([1; 32]));
        let mut input = BytesMut::from(&answer[..split]);
        let early = client.handle_input(&mut input, 0).unwrap();
        assert_eq!(early, split == 3073);
        input.put_slice(&answer[split..]);
        input.put_slice(b"chunks");
        assert_eq!(client.handle_input(&mut input, 0), Ok(true), "split at {split}");
        assert_eq!(input[..], b"chunks"[..]);
        assert_eq!(client.agreement().keys, keys);
        assert_eq!(client.poll_transmit().unwrap()[1537..], c2);
    }
}

#[test]
fn a_client_of_rtmpe_offers_a_key_behind_which_its_digest_is_valid() {
    let c0c1 = client(Style::Rtmpe).poll_transmit().unwrap();
    assert_eq!(c0c1[0], 6);
    let c1 = packet(&c0c1[1..]);
    assert_eq!(c1[4..8], RTMPE_PLAYER_VERSION);
    let (layout, _) = digest::find(&c1, Signer::Player).unwrap();
    assert_eq!(layout, Layout::KeyFirst);
    let mut entropy = Entropy::new([1; 32]);
    let _ = simple::offer(0, &mut entropy);
    assert_eq!(layout.key(&c1), KeyPair::new(&mut entropy).public());
}

#[test]
fn a_server_answers_8_and_9_to_those_who_ask_for_them_or_know_them() {
    // What C0 and the first byte of C1's version ask for, what the server prefers, and S0.
    for (c0, first, preferred, s0) in [
        (6, 0x80, SignatureCipher::None, 6),
        (6, 0x80, SignatureCipher::Blowfish, 9),
        (6, 9, SignatureCipher::Xtea, 6),
        (6, 0, SignatureCipher::Blowfish, 6),
        (8, 9, SignatureCipher::None, 8),
        (8, 0x80, SignatureCipher::Blowfish, 8),
        (9, 9, SignatureCipher::Xtea, 9),
    ] {
        let mut c1 = simple::offer(0, &mut Entropy::new([3; 32]));
        Layout::KeyFirst.embed_key(&mut c1, KeyPair::new(&mut Entropy::new([4; 32])).public());
        digest::embed(&mut c1, [first, 0, 3, 2], Layout::KeyFirst, Signer::Player);
        let mut server = server();
        server.prefer(preferred);
        let mut input = BytesMut::from(&[&[c0], &c1[..]].concat()[..]);
        assert_eq!(server.handle_input(&mut input, 0), Ok(false));
        assert_eq!(server.poll_transmit().unwrap()[0], s0, "C0 {c0}, version {first}");
    }
}

#[test]
fn rtmpe_in_the_other_layout_is_answered_in_it() {
    let mut c1 = simple::offer(0, &mut Entropy::new([3; 32]));
    let pair = KeyPair::new(&mut Entropy::new([4; 32]));
    Layout::DigestFirst.embed_key(&mut c1, pair.public());
    digest::embed(&mut c1, RTMPE_PLAYER_VERSION, Layout::DigestFirst, Signer::Player);
    let mut server = server();
    let mut input = BytesMut::from(&[&[6], &c1[..]].concat()[..]);
    assert_eq!(server.handle_input(&mut input, 0), Ok(false));
    let s1 = packet(&server.poll_transmit().unwrap()[1..1537]);
    let (layout, _) = digest::find(&s1, Signer::MediaServer).unwrap();
    assert_eq!(layout, Layout::DigestFirst);
    let keys = SessionKeys::new(&pair, &OfferedKey::find(&s1, layout).unwrap());
    assert_eq!(keys.incoming, server.agreement().keys.as_ref().unwrap().outgoing);
}

#[test]
fn a_client_of_rtmpe_refuses_clear_text_at_its_first_byte() {
    for version in (3..32).filter(|version| ![6, 8, 9].contains(version)) {
        let mut input = BytesMut::from(&[version][..]);
        assert_eq!(
            client(Style::Rtmpe).handle_input(&mut input, 0),
            Err(Error::ClearText),
            "S0 {version}"
        );
    }
}

#[test]
fn rtmpe_without_a_digest_or_with_a_bad_key_is_refused() {
    for (key, expected) in [(None, Error::NoDigest), (Some([0; 128]), Error::BadKey)] {
        let mut s1 = simple::offer(0, &mut Entropy::new([4; 32]));
        let mut c1 = s1;
        if let Some(key) = &key {
            for (packet, signer) in [(&mut s1, Signer::MediaServer), (&mut c1, Signer::Player)] {
                Layout::KeyFirst.embed_key(packet, key);
                digest::embed(packet, MEDIA_SERVER_VERSION, Layout::KeyFirst, signer);
            }
        }
        let mut input = BytesMut::from(&[&[6], &s1[..]].concat()[..]);
        assert_eq!(client(Style::Rtmpe).handle_input(&mut input, 0), Err(expected));
        let mut input = BytesMut::from(&[&[6], &c1[..]].concat()[..]);
        let mut server = server();
        assert_eq!(server.handle_input(&mut input, 0), Err(expected));
        assert_eq!(server.poll_transmit(), None);
    }
}

#[test]
fn clear_text_has_no_keys() {
    let (mut client, mut server) = (client(Style::Digest), server());
    let c0c1 = client.poll_transmit().unwrap();
    feed(|input| server.handle_input(input, 0), &c0c1, 2000);
    let answer = server.poll_transmit().unwrap();
    feed(|input| client.handle_input(input, 0), &answer, 4000);
    assert!(client.agreement().keys.is_none() && server.agreement().keys.is_none());
    assert_eq!(client.agreement().swf_challenge, server.agreement().swf_challenge);
    assert_eq!(client.agreement().swf_challenge[..], answer[1505..1537]);
}

#[test]
fn debug_shows_neither_keys_nor_packets() {
    assert_eq!(
        format!("{:?} {:?}", client(Style::Rtmpe), server()),
        "Client { style: Rtmpe, state: ExpectVersion, .. } Server { state: ExpectVersion, .. }"
    );
}
