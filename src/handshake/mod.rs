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
//! crtmpserver signs in its own way, and a digest proves nothing since its keys are public. The deadline is the
//! caller's business.
//!
//! Under RTMPE, C0 and S0 are 6, 8 or 9, and the two ends agree on keys for what follows the handshake. There is no
//! falling back from it.

mod diffie_hellman;
mod digest;
mod entropy;
mod error;
mod rtmpe;
mod signature;
mod simple;
#[cfg(test)]
pub(crate) mod vectors;

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

pub use entropy::Entropy;
pub use error::Error;
pub use rtmpe::{SESSION_KEY_SIZE, SessionKeys};
pub use signature::SignatureCipher;

use crate::wire::Malformed;
use diffie_hellman::KeyPair;
use digest::{Layout, Signer};
use rtmpe::OfferedKey;
use simple::{PACKET_SIZE, Packet};

/// C0 and S0 of RTMP without encryption.
const VERSION: u8 = 3;

/// Version number in a C1 with a digest: Flash Player 9.0.124.2, which FFmpeg claims to be as well.
const PLAYER_VERSION: [u8; 4] = [9, 0, 0x7c, 2];

/// Version number in the C1 of RTMPE, the one that librtmp sends: its first byte says that the client knows types 8
/// and 9 too.
const RTMPE_PLAYER_VERSION: [u8; 4] = [0x80, 0, 3, 2];

/// Version number in an S1 with a digest: Flash Media Server 3.5.1.1. Clients take zeros for a server without
/// one.
const MEDIA_SERVER_VERSION: [u8; 4] = [3, 5, 1, 1];

/// Bytes at the end of S1 that a proof for SWF verification is made with.
pub const SWF_CHALLENGE_SIZE: usize = 32;

/// What a client's C1 offers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// Random bytes only; the server's are echoed.
    Simple,
    /// A digest; a server's digest is answered with a signature, and random bytes are echoed.
    Digest,
    /// RTMPE: a digest and a public key. A server that answers in clear text is refused.
    Rtmpe,
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

/// What has arrived.
enum Received {
    /// C0 or S0.
    Version(u8),
    /// C1 or S1.
    Offer(Box<Packet>),
    /// C2 or S2.
    Answer,
}

impl State {
    /// Takes the next part of a handshake off the front of `input`, if it is there in whole.
    fn take(&mut self, input: &mut BytesMut, version_field: &'static str) -> Result<Option<Received>, Error> {
        let (received, next) = match self {
            Self::ExpectVersion => match take_version(input, version_field)? {
                None => return Ok(None),
                Some(version) => (Received::Version(version), Self::ExpectOffer),
            },
            Self::ExpectOffer => match take_packet(input) {
                None => return Ok(None),
                Some(offer) => (Received::Offer(Box::new(offer)), Self::ExpectAnswer),
            },
            Self::ExpectAnswer => match take_packet(input) {
                None => return Ok(None),
                Some(_) => (Received::Answer, Self::Done),
            },
            Self::Done => return Ok(None),
        };
        *self = next;
        Ok(Some(received))
    }
}

/// What the ends have in common after a handshake, besides the connection.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// The keys of what follows, under RTMPE.
    pub keys: Option<SessionKeys>,
    /// The end of S1, with which a proof for SWF verification is made.
    pub swf_challenge: [u8; SWF_CHALLENGE_SIZE],
}

/// The client's end of a handshake.
pub struct Client {
    style: Style,
    state: State,
    transmit: BytesMut,
    /// Under RTMPE, ours, which C1 has told the server of.
    key_pair: Option<KeyPair>,
    signature_cipher: SignatureCipher,
    agreement: Agreement,
}

impl Client {
    /// Queues C0 and C1. `time` is the client's clock in milliseconds, of any epoch.
    #[must_use]
    pub fn new(style: Style, time: u32, entropy: &mut Entropy) -> Self {
        let mut c1 = simple::offer(time, entropy);
        let mut key_pair = None;
        match style {
            Style::Simple => {}
            Style::Digest => digest::embed(&mut c1, PLAYER_VERSION, Layout::DigestFirst, Signer::Player),
            Style::Rtmpe => {
                let layout = Layout::KeyFirst;
                let pair = key_pair.insert(KeyPair::new(entropy));
                layout.embed_key(&mut c1, pair.public());
                digest::embed(&mut c1, RTMPE_PLAYER_VERSION, layout, Signer::Player);
            }
        }
        let mut transmit = BytesMut::with_capacity(1 + PACKET_SIZE);
        // A server that knows more than type 6 says so in S0.
        let version = match key_pair {
            None => VERSION,
            Some(_) => SignatureCipher::None.version(),
        };
        transmit.put_u8(version);
        transmit.put_slice(&c1);
        Self {
            style,
            state: State::ExpectVersion,
            transmit,
            key_pair,
            signature_cipher: SignatureCipher::None,
            agreement: Agreement::default(),
        }
    }

    /// Takes what it can use off the front of `input`, which was read at `time`. Returns whether the
    /// handshake is done; what is left in `input` then belongs to the chunk stream.
    ///
    /// # Errors
    ///
    /// [`Malformed::Invalid`] with the first byte when that cannot start an RTMP connection: the server
    /// speaks something else. Under RTMPE, [`Error::ClearText`] and the others if there are no keys to be had.
    pub fn handle_input(&mut self, input: &mut BytesMut, time: u32) -> Result<bool, Error> {
        while let Some(received) = self.state.take(input, "RTMP version (S0)")? {
            match received {
                Received::Version(version) => self.handle_version(version)?,
                // Some servers send S2 only after C2, so C2 must not wait for it.
                Received::Offer(s1) => self.answer_server(&s1, time)?,
                Received::Answer => {}
            }
        }
        Ok(self.state == State::Done)
    }

    fn handle_version(&mut self, version: u8) -> Result<(), Error> {
        if self.key_pair.is_some() {
            self.signature_cipher = SignatureCipher::from_version(version).ok_or(Error::ClearText)?;
        }
        Ok(())
    }

    /// Queues C2. Signed bytes may be any, so a signed C2 is an echo too but for its end.
    fn answer_server(&mut self, s1: &Packet, time: u32) -> Result<(), Error> {
        let mut c2 = simple::echo(s1, time);
        let found = match self.style {
            Style::Simple => None,
            Style::Digest | Style::Rtmpe => digest::find(s1, Signer::MediaServer),
        };
        if let Some(pair) = &self.key_pair {
            let (layout, _) = found.ok_or(Error::NoDigest)?;
            let key = OfferedKey::find(s1, layout).ok_or(Error::BadKey)?;
            self.agreement.keys = Some(SessionKeys::new(pair, &key));
        }
        if let Some((_, answered)) = found {
            digest::sign(&mut c2, Signer::Player, &answered, self.signature_cipher);
        }
        self.agreement.swf_challenge = swf_challenge(s1);
        self.transmit.put_slice(&c2);
        Ok(())
    }

    /// Bytes to send, all that there are by now. C0 and C1 come as one, since MonaServer2 wants them in one
    /// segment.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        poll(&mut self.transmit)
    }

    /// What was agreed on; of use when the handshake is done.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("style", &self.style)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The server's end of a handshake. It takes whatever style the client offers.
pub struct Server {
    state: State,
    /// S1 but for its time and, if the client turns out to want one, its digest.
    s1: Box<Packet>,
    transmit: BytesMut,
    /// Where key pairs come from.
    entropy: Entropy,
    /// What C0 says of RTMPE.
    rtmpe: Option<SignatureCipher>,
    /// What is answered to type 6, if the client knows other types.
    signature_cipher: SignatureCipher,
    agreement: Agreement,
}

impl Server {
    /// Waits for a client.
    #[must_use]
    pub fn new(entropy: &mut Entropy) -> Self {
        let s1 = Box::new(simple::offer(0, entropy));
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        Self {
            state: State::ExpectVersion,
            s1,
            transmit: BytesMut::new(),
            entropy: Entropy::new(seed),
            rtmpe: None,
            signature_cipher: SignatureCipher::None,
            agreement: Agreement::default(),
        }
    }

    /// Answers clients that ask for type 6 of RTMPE with the type of `cipher`, if they know it. A client that asks for
    /// type 8 or 9 gets that.
    pub const fn prefer(&mut self, cipher: SignatureCipher) {
        self.signature_cipher = cipher;
    }

    /// Takes what it can use off the front of `input`, which was read at `time`: the server's clock in
    /// milliseconds, of any epoch. Returns whether the handshake is done; what is left in `input` then
    /// belongs to the chunk stream.
    ///
    /// # Errors
    ///
    /// [`Malformed::Invalid`] with the first byte when that cannot start an RTMP connection: the client
    /// speaks something else. Under RTMPE, [`Error::NoDigest`] or [`Error::BadKey`].
    pub fn handle_input(&mut self, input: &mut BytesMut, time: u32) -> Result<bool, Error> {
        while let Some(received) = self.state.take(input, "RTMP version (C0)")? {
            match received {
                Received::Version(version) => self.rtmpe = SignatureCipher::from_version(version),
                Received::Offer(c1) => self.answer_client(&c1, time)?,
                Received::Answer => {}
            }
        }
        Ok(self.state == State::Done)
    }

    /// Queues S0, S1 and S2. S1 gets its time, and digest and key where the client put its own.
    fn answer_client(&mut self, c1: &Packet, time: u32) -> Result<(), Error> {
        let mut s2 = simple::echo(c1, time);
        let s1 = &mut *self.s1;
        simple::set_time(s1, time);
        let found = digest::find(c1, Signer::Player);
        let cipher = self.rtmpe.map(|asked| match asked {
            SignatureCipher::None if knows_all_types(c1) => self.signature_cipher,
            asked => asked,
        });
        if cipher.is_some() {
            let (layout, _) = found.ok_or(Error::NoDigest)?;
            let key = OfferedKey::find(c1, layout).ok_or(Error::BadKey)?;
            let (pair, keys) = SessionKeys::answer(&key, &mut self.entropy);
            rtmpe::embed(s1, MEDIA_SERVER_VERSION, layout, pair.public(), &mut self.entropy);
            self.agreement.keys = Some(keys);
        } else if let Some((layout, _)) = found {
            digest::embed(s1, MEDIA_SERVER_VERSION, layout, Signer::MediaServer);
        }
        if let Some((_, answered)) = found {
            digest::sign(
                &mut s2,
                Signer::MediaServer,
                &answered,
                cipher.unwrap_or_default(),
            );
        }
        self.agreement.swf_challenge = swf_challenge(s1);
        self.transmit.reserve(1 + 2 * PACKET_SIZE);
        self.transmit
            .put_u8(cipher.map_or(VERSION, SignatureCipher::version));
        self.transmit.put_slice(s1);
        self.transmit.put_slice(&s2);
        Ok(())
    }

    /// Bytes to send: S0, S1 and S2 in one piece.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        poll(&mut self.transmit)
    }

    /// What was agreed on; of use when the handshake is done.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Whether a client that asks for type 6 of RTMPE knows 8 and 9 as well, by its version number.
const fn knows_all_types(c1: &Packet) -> bool {
    c1[4] & 0x80 != 0
}

fn swf_challenge(s1: &Packet) -> [u8; SWF_CHALLENGE_SIZE] {
    *s1.last_chunk().expect("S1 is longer than its end")
}

/// Takes C0 or S0 off `input` if it is there. What is from 3 to 31 and not of RTMPE is treated as 3, the rest refused:
/// text protocols start above, and what is below was never deployed.
fn take_version(input: &mut BytesMut, field: &'static str) -> Result<Option<u8>, Malformed> {
    match input.first().copied() {
        None => Ok(None),
        Some(version @ VERSION..32) => {
            let _ = input.split_to(1);
            Ok(Some(version))
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
}
