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
mod tests;
