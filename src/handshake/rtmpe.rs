//! What RTMPE adds to the handshake: a Diffie-Hellman key in C1 and in S1, and from the two the keys of RC4, which
//! enciphers everything behind the handshake. No specification of Adobe's describes it.
//!
//! Neither end proves who it is and nothing that is sent is protected from being changed: see `docs/security.md`. What
//! the keys do to the bytes is the business of `link`.

use std::fmt;

use super::diffie_hellman::{Key, KeyPair, PeerKey};
use super::digest::{self, Layout, Signer};
use super::entropy::Entropy;
use super::simple::Packet;

/// Key pairs that a server makes before it takes one with which peers may disagree on the keys. One in 128 is such a
/// pair, so that the last is hardly ever reached.
const MAX_KEY_PAIRS: usize = 8;

/// Halves of S1 that are tried for one in which digest and key do not meet. They do in every fourth, so that the last is
/// hardly ever reached.
const MAX_HALVES: usize = 16;

/// Where the half of S1 ends that has the key in [`Layout::KeyFirst`].
const KEY_HALF_END: usize = 772;

/// Bytes of a session key.
pub const SESSION_KEY_SIZE: usize = 16;

/// The keys of RC4 that both ends have computed. `Debug` shows none of them.
#[derive(Clone, Eq, PartialEq)]
pub struct SessionKeys {
    /// Of what the peer sends.
    pub incoming: [u8; SESSION_KEY_SIZE],
    /// Of what this end sends.
    pub outgoing: [u8; SESSION_KEY_SIZE],
    /// Whether the secret begins with a zero byte. Some implementations then compute other keys, so that neither end
    /// understands the other: OpenSSL's librtmp, crtmpserver and FFmpeg move the zeros to the end.
    pub ambiguous: bool,
}

impl SessionKeys {
    /// The keys of the end whose pair is `own`.
    pub(super) fn new(own: &KeyPair, peer: &OfferedKey) -> Self {
        let secret = own.agree(&peer.key);
        // Each end's output goes by the public key of whom it is for, in the form that it was sent in.
        let key = |receiver: &Key| {
            let [first, _] = digest::hmac(&secret, &[receiver])
                .as_chunks()
                .0
                .try_into()
                .expect("a digest is two session keys long");
            first
        };
        Self {
            incoming: key(own.public()),
            outgoing: key(&peer.bytes),
            ambiguous: secret.starts_with(&[0]),
        }
    }

    /// A key pair for a server, with which nobody can mistake the secret, and the session keys.
    pub(super) fn answer(peer: &OfferedKey, entropy: &mut Entropy) -> (KeyPair, Self) {
        let mut pair = KeyPair::new(entropy);
        let mut keys = Self::new(&pair, peer);
        for _ in 1..MAX_KEY_PAIRS {
            if !keys.ambiguous && !pair.public().starts_with(&[0]) {
                break;
            }
            pair = KeyPair::new(entropy);
            keys = Self::new(&pair, peer);
        }
        (pair, keys)
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys")
            .field("ambiguous", &self.ambiguous)
            .finish_non_exhaustive()
    }
}

/// A public key as the peer sent it.
pub(super) struct OfferedKey {
    bytes: Key,
    key: PeerKey,
}

impl OfferedKey {
    fn in_layout(packet: &Packet, layout: Layout) -> Option<Self> {
        let bytes = *layout.key(packet);
        PeerKey::new(&bytes).map(|key| Self { bytes, key })
    }

    /// The key in a C1 or S1 whose digest is in `layout`. If that place has what no implementation makes and the other
    /// has a proper key, the digest and the key are of different layouts. `None` if the key cannot be used.
    pub(super) fn find(packet: &Packet, layout: Layout) -> Option<Self> {
        let found = Self::in_layout(packet, layout)?;
        if !found.key.is_square()
            && let Some(other) = Self::in_layout(packet, layout.other())
            && other.key.is_square()
        {
            return Some(other);
        }
        Some(found)
    }
}

/// Puts a server's key and then the digest into S1, both in `layout`.
///
/// FFmpeg (5.1 to 9.0) does not look at the digest when it publishes. Its own C1 is of [`Layout::KeyFirst`], but it takes
/// the server's key from where the other layout has it. So the key stands there too: to all others, these bytes are
/// random ones.
pub(super) fn embed(s1: &mut Packet, version: [u8; 4], layout: Layout, key: &Key, entropy: &mut Entropy) {
    layout.embed_key(s1, key);
    let signer = Signer::MediaServer;
    if layout == Layout::KeyFirst {
        for _ in 0..MAX_HALVES {
            let mut twice = *s1;
            layout.other().embed_key(&mut twice, key);
            digest::embed(&mut twice, version, layout, signer);
            if layout.other().key(&twice) == key {
                *s1 = twice;
                return;
            }
            entropy.fill(&mut s1[KEY_HALF_END..]);
        }
    }
    digest::embed(s1, version, layout, signer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::signature::SignatureCipher;
    use crate::handshake::vectors::{self, CLIENT_KEY, SERVER_KEY, hex, octets};
    use sha2::{Digest as _, Sha256};

    fn offered(digits: &str) -> OfferedKey {
        let bytes = octets(digits).try_into().unwrap();
        OfferedKey {
            bytes,
            key: PeerKey::new(&bytes).unwrap(),
        }
    }

    /// C1 and S1 of the vectors.
    fn packets() -> (Packet, Packet) {
        let (mut c1, mut s1) = (vectors::c1(), vectors::s1());
        Layout::KeyFirst.embed_key(&mut c1, vectors::client().public());
        digest::embed(&mut c1, [0x80, 0, 3, 2], Layout::KeyFirst, Signer::Player);
        Layout::KeyFirst.embed_key(&mut s1, vectors::server().public());
        digest::embed(&mut s1, [3, 5, 1, 1], Layout::KeyFirst, Signer::MediaServer);
        (c1, s1)
    }

    #[test]
    fn both_ends_have_the_known_session_keys() {
        let client = SessionKeys::new(&vectors::client(), &offered(SERVER_KEY));
        let server = SessionKeys::new(&vectors::server(), &offered(CLIENT_KEY));
        assert_eq!(hex(&client.outgoing), "9ffeacbc0af507eb8da9481efe761b07");
        assert_eq!(hex(&client.incoming), "6d5428b06f0a955dbb6aae0eac2c86fa");
        assert_eq!(
            (server.incoming, server.outgoing),
            (client.outgoing, client.incoming)
        );
        assert!(!client.ambiguous && !server.ambiguous);
    }

    #[test]
    fn c1_and_s1_are_the_known_ones() {
        let (c1, s1) = packets();
        assert_eq!(
            hex(&c1[1486..1518]),
            "62fb464557481ff26195beca0b75b0db28d1df6f823520d7dabbf045766f62cd"
        );
        assert_eq!(
            hex(&Sha256::digest(c1)),
            "3c04e168fa16bc960d8ddb09f601d287601fdb249f5614d5cdaf0c4ab59d90a1"
        );
        assert_eq!(
            hex(&s1[1170..1202]),
            "1cdf336b437872ed73f09395dd8a5e1148fcfd833bfd0db26b3bb5cc93868fb1"
        );
        assert_eq!(
            hex(&Sha256::digest(s1)),
            "20b369b728e03dc3b59732c302bd1ec1dc9f95049f69a69ec46dfacac3e9ae34"
        );
    }

    #[test]
    fn keys_are_found_in_c1_and_s1() {
        let (c1, s1) = packets();
        for (packet, signer, key) in [
            (c1, Signer::Player, CLIENT_KEY),
            (s1, Signer::MediaServer, SERVER_KEY),
        ] {
            let (layout, _) = digest::find(&packet, signer).unwrap();
            assert_eq!(OfferedKey::find(&packet, layout).unwrap().bytes[..], octets(key));
        }
    }

    #[test]
    fn the_servers_key_stands_in_both_places_whatever_the_packet_holds() {
        let key = octets(SERVER_KEY).try_into().unwrap();
        for seed in 0..=255 {
            let mut entropy = Entropy::new([seed; 32]);
            let mut s1 = crate::handshake::simple::offer(0, &mut entropy);
            embed(&mut s1, [3, 5, 1, 1], Layout::KeyFirst, &key, &mut entropy);
            assert_eq!(
                (Layout::KeyFirst.key(&s1), Layout::DigestFirst.key(&s1)),
                (&key, &key)
            );
            let (layout, _) = digest::find(&s1, Signer::MediaServer).unwrap();
            assert_eq!(layout, Layout::KeyFirst);
        }
    }

    #[test]
    fn c2_and_s2_carry_the_known_signatures_of_every_type() {
        let (c1, s1) = packets();
        let (_, c1_digest) = digest::find(&c1, Signer::Player).unwrap();
        let (_, s1_digest) = digest::find(&s1, Signer::MediaServer).unwrap();
        for (cipher, of_c2, of_s2) in [
            (
                SignatureCipher::None,
                "a3946076d8e1cde155d25b18e55dd690e43479d159ffb8637c1446665b8f9ce1",
                "80774a8365efd07546116a09485ed23e369e38145a8f50b506d1545af901aacd",
            ),
            (
                SignatureCipher::Xtea,
                "171b53cf7343df424239e5812d421fd9d25eb0044dac83bb56467c64d31b4032",
                "ff157e3ca4bf8337f71ac19c6606551c8e9fe3e489250e34831d26cf3b8b7236",
            ),
            (
                SignatureCipher::Blowfish,
                "4a57df15f7ae88ee8b511aa4845d2d2a384f8ac1e80620a3e4bd3bcb9c95e9ee",
                "e8cc14031142dc8ab703ab671f10622a83159c57c63bdd82584ea9a17d9d1ec7",
            ),
        ] {
            let (mut c2, mut s2) = (vectors::c2(), vectors::s2());
            digest::sign(&mut c2, Signer::Player, &s1_digest, cipher);
            digest::sign(&mut s2, Signer::MediaServer, &c1_digest, cipher);
            assert_eq!(
                (hex(&c2[1504..]), hex(&s2[1504..])),
                (of_c2.into(), of_s2.into()),
                "{cipher:?}"
            );
        }
    }

    #[test]
    fn a_key_in_the_other_layout_is_found_if_its_own_place_has_none() {
        let key = octets(CLIENT_KEY).try_into().unwrap();
        // Minus the client's key is no square, so no client has made it.
        let no_key = {
            let prime = octets(
                "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
                 020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
                 4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
                 EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFB",
            );
            Key::try_from(prime).unwrap()
        };
        let mut packet = vectors::c1();
        Layout::KeyFirst.embed_key(&mut packet, &no_key);
        Layout::DigestFirst.embed_key(&mut packet, &key);
        assert_eq!(OfferedKey::find(&packet, Layout::KeyFirst).unwrap().bytes, key);
        // Without anything better it is taken all the same: the peer may have another idea of generators.
        Layout::DigestFirst.embed_key(&mut packet, &no_key);
        assert_eq!(OfferedKey::find(&packet, Layout::KeyFirst).unwrap().bytes, no_key);
        // What cannot be a key is not looked for elsewhere.
        Layout::DigestFirst.embed_key(&mut packet, &key);
        Layout::KeyFirst.embed_key(&mut packet, &[0; 128]);
        assert!(OfferedKey::find(&packet, Layout::KeyFirst).is_none());
    }

    #[test]
    fn a_server_makes_pairs_until_nobody_can_mistake_the_secret() {
        let peer = offered(CLIENT_KEY);
        // The pairs of 4 and 16 are such that others have to be made.
        for (seed, is_made_again) in [(3, false), (4, true), (16, true)] {
            let first = KeyPair::new(&mut Entropy::new([seed; 32]));
            let is_mistakable = SessionKeys::new(&first, &peer).ambiguous || first.public().starts_with(&[0]);
            let (pair, keys) = SessionKeys::answer(&peer, &mut Entropy::new([seed; 32]));
            assert!(!keys.ambiguous && pair.public()[0] != 0, "seed {seed}");
            assert_eq!(is_mistakable, is_made_again, "seed {seed}");
            assert_eq!(pair.public() != first.public(), is_made_again, "seed {seed}");
        }
    }

    #[test]
    fn debug_shows_no_keys() {
        let keys = SessionKeys::new(&vectors::client(), &offered(SERVER_KEY));
        assert_eq!(format!("{keys:?}"), "SessionKeys { ambiguous: false, .. }");
    }
}
