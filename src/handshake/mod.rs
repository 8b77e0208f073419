//! The RTMP handshake, section 5.2, for both ends: three packets each way before the first chunk.
//!
//! ```text
//! Client: new -(C0 C1)-> ExpectVersion -(S0)-> ExpectOffer -(S1: C2)-> ExpectAnswer -(S2)-> Done
//! Server: new ---------> ExpectVersion -(C0)-> ExpectOffer -(C1: S0 S1 S2)-> ExpectAnswer -(C2)-> Done
//! ```
//!
//! A client may offer a digest, which Flash Media Server wants before it delivers H.264; both ends fall back
//! to the plain form when the peer sends none. The peer's answer is read but not judged: the published errata
//! to the specification forbid failing on a wrong echo, FFmpeg's publisher echoes where a signature is due,
//! and a digest proves nothing since its keys are public. The deadline is the caller's business, and RTMPE's
//! version numbers are answered with 3.

mod digest;
mod entropy;
mod simple;

use bytes::{BufMut, Bytes, BytesMut};

pub use entropy::Entropy;

use crate::wire::Malformed;
use digest::{Layout, Signer};
use simple::{PACKET_SIZE, Packet};

/// C0 and S0 of RTMP without encryption.
const VERSION: u8 = 3;

/// Version number in a C1 with a digest: Flash Player 9.0.124.2, which FFmpeg claims to be as well.
const PLAYER_VERSION: [u8; 4] = [9, 0, 0x7c, 2];

/// Version number in an S1 with a digest: Flash Media Server 3.5.1.1. Clients take zeros for a server without
/// one.
const MEDIA_SERVER_VERSION: [u8; 4] = [3, 5, 1, 1];

/// What a client's C1 offers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// Random bytes only; the server's are echoed.
    Simple,
    /// A digest; a server's digest is answered with a signature, and random bytes are echoed.
    Digest,
}

/// What has to arrive next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// C0 or S0.
    ExpectVersion,
    /// C1 or S1.
    ExpectOffer,
    /// C2 or S2.
    ExpectAnswer,
    Done,
}

impl State {
    /// Takes what it can use off the front of `input` and hands the peer's C1 or S1 to `answer`. Returns
    /// whether this end has received everything.
    fn advance(
        &mut self,
        input: &mut BytesMut,
        version_field: &'static str,
        mut answer: impl FnMut(&Packet),
    ) -> Result<bool, Malformed> {
        loop {
            match self {
                Self::ExpectVersion => {
                    if !take_version(input, version_field)? {
                        return Ok(false);
                    }
                    *self = Self::ExpectOffer;
                }
                Self::ExpectOffer => {
                    let Some(offer) = take_packet(input) else {
                        return Ok(false);
                    };
                    answer(&offer);
                    *self = Self::ExpectAnswer;
                }
                Self::ExpectAnswer => {
                    if take_packet(input).is_none() {
                        return Ok(false);
                    }
                    *self = Self::Done;
                }
                Self::Done => return Ok(true),
            }
        }
    }
}

/// The client's end of a handshake.
#[derive(Debug)]
pub struct Client {
    style: Style,
    state: State,
    transmit: BytesMut,
}

impl Client {
    /// Queues C0 and C1. `time` is the client's clock in milliseconds, of any epoch.
    #[must_use]
    pub fn new(style: Style, time: u32, entropy: &mut Entropy) -> Self {
        let mut c1 = simple::offer(time, entropy);
        match style {
            Style::Simple => {}
            Style::Digest => digest::embed(&mut c1, PLAYER_VERSION, Layout::DigestFirst, Signer::Player),
        }
        let mut transmit = BytesMut::with_capacity(1 + PACKET_SIZE);
        transmit.put_u8(VERSION);
        transmit.put_slice(&c1);
        Self {
            style,
            state: State::ExpectVersion,
            transmit,
        }
    }

    /// Takes what it can use off the front of `input`, which was read at `time`. Returns whether the
    /// handshake is done; what is left in `input` then belongs to the chunk stream.
    ///
    /// # Errors
    ///
    /// [`Malformed::Invalid`] with the first byte when that cannot start an RTMP connection: the server
    /// speaks something else.
    pub fn handle_input(&mut self, input: &mut BytesMut, time: u32) -> Result<bool, Malformed> {
        let (style, transmit) = (self.style, &mut self.transmit);
        // Some servers send S2 only after C2, so C2 must not wait for it.
        self.state.advance(input, "RTMP version (S0)", |s1| {
            transmit.put_slice(&answer_server(style, s1, time));
        })
    }

    /// Bytes to send, all that there are by now. C0 and C1 come as one, since MonaServer2 wants them in one
    /// segment.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        poll(&mut self.transmit)
    }
}

/// The server's end of a handshake. It takes whatever style the client offers.
#[derive(Debug)]
pub struct Server {
    state: State,
    /// S1 but for its time and, if the client turns out to want one, its digest.
    s1: Box<Packet>,
    transmit: BytesMut,
}

impl Server {
    /// Waits for a client.
    #[must_use]
    pub fn new(entropy: &mut Entropy) -> Self {
        Self {
            state: State::ExpectVersion,
            s1: Box::new(simple::offer(0, entropy)),
            transmit: BytesMut::new(),
        }
    }

    /// Takes what it can use off the front of `input`, which was read at `time`: the server's clock in
    /// milliseconds, of any epoch. Returns whether the handshake is done; what is left in `input` then
    /// belongs to the chunk stream.
    ///
    /// # Errors
    ///
    /// [`Malformed::Invalid`] with the first byte when that cannot start an RTMP connection: the client
    /// speaks something else.
    pub fn handle_input(&mut self, input: &mut BytesMut, time: u32) -> Result<bool, Malformed> {
        let (s1, transmit) = (&mut *self.s1, &mut self.transmit);
        self.state.advance(input, "RTMP version (C0)", |c1| {
            let s2 = answer_client(s1, c1, time);
            transmit.reserve(1 + 2 * PACKET_SIZE);
            transmit.put_u8(VERSION);
            transmit.put_slice(s1);
            transmit.put_slice(&s2);
        })
    }

    /// Bytes to send: S0, S1 and S2 in one piece.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        poll(&mut self.transmit)
    }
}

/// C2. Signed bytes may be any, so a signed C2 is an echo too but for its end.
fn answer_server(style: Style, s1: &Packet, time: u32) -> Packet {
    let mut c2 = simple::echo(s1, time);
    let found = match style {
        Style::Simple => None,
        Style::Digest => digest::find(s1, Signer::MediaServer),
    };
    if let Some((_, answered)) = found {
        digest::sign(&mut c2, Signer::Player, &answered);
    }
    c2
}

/// S2, once S1 is finished: it gets its time, and a digest where the client put its own.
fn answer_client(s1: &mut Packet, c1: &Packet, time: u32) -> Packet {
    let mut s2 = simple::echo(c1, time);
    simple::set_time(s1, time);
    if let Some((layout, answered)) = digest::find(c1, Signer::Player) {
        digest::embed(s1, MEDIA_SERVER_VERSION, layout, Signer::MediaServer);
        digest::sign(&mut s2, Signer::MediaServer, &answered);
    }
    s2
}

/// Takes C0 or S0 off `input` if it is there. Anything from 3 to 31 is treated as 3, the rest refused: text
/// protocols start above, and what is below was never deployed.
fn take_version(input: &mut BytesMut, field: &'static str) -> Result<bool, Malformed> {
    match input.first().copied() {
        None => Ok(false),
        Some(VERSION..32) => {
            let _ = input.split_to(1);
            Ok(true)
        }
        Some(other) => Err(Malformed::Invalid {
            field,
            value: other.into(),
        }),
    }
}

/// Takes a whole packet off `input` if it is there.
fn take_packet(input: &mut BytesMut) -> Option<Packet> {
    let packet = *input.first_chunk()?;
    let _ = input.split_to(PACKET_SIZE);
    Some(packet)
}

fn poll(transmit: &mut BytesMut) -> Option<Bytes> {
    (!transmit.is_empty()).then(|| transmit.split().freeze())
}

#[cfg(test)]
mod tests {
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
        mut handle: impl FnMut(&mut BytesMut) -> Result<bool, Malformed>,
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
        for style in [Style::Simple, Style::Digest] {
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
        digest::sign(&mut signed, Signer::Player, &s1_digest);
        assert_eq!(signed, *c2);
        let mut signed = s2;
        digest::sign(&mut signed, Signer::MediaServer, &c1_digest);
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
                digest::sign(&mut signed, Signer::Player, &answered);
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
        for version in 3..32 {
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
                Err(Malformed::Invalid {
                    field: "RTMP version (S0)",
                    value
                })
            );
            assert_eq!(
                server().handle_input(&mut BytesMut::from(&[first][..]), 0),
                Err(Malformed::Invalid {
                    field: "RTMP version (C0)",
                    value
                })
            );
        }
        let error = client(Style::Simple).handle_input(&mut BytesMut::from("HTTP/1.1 400"), 0);
        assert_eq!(error.unwrap_err().to_string(), "RTMP version (S0) cannot be 0x48");
    }
}
