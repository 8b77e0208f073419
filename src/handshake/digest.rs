//! Digests in C1 and S1, and the signatures that answer them in C2 and S2. Flash Player 9.0.115 and Flash
//! Media Server introduced them; no specification of Adobe's describes them.
//!
//! The keys are public constants, so none of this proves who the peer is. Of the Diffie-Hellman keys that share
//! these packets under RTMPE, only the place is known here.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::diffie_hellman::Key;
use super::signature::SignatureCipher;
use super::simple::{PACKET_SIZE, Packet};

/// Bytes of a digest or a signature.
const DIGEST_SIZE: usize = 32;

/// Bytes of C2 or S2 in front of the signature.
const SIGNED_SIZE: usize = PACKET_SIZE - DIGEST_SIZE;

/// A digest or a signature: HMAC-SHA-256.
pub(super) type Digest = [u8; DIGEST_SIZE];

/// What follows the name in a signature key.
const SIGNATURE_KEY_SUFFIX: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e,
    0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];

/// Who signs: each end has its own pair of keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signer {
    /// The client.
    Player,
    /// The server.
    MediaServer,
}

impl Signer {
    /// Key of the digest in C1 or S1.
    const fn digest_key(self) -> &'static [u8] {
        match self {
            Self::Player => b"Genuine Adobe Flash Player 001",
            Self::MediaServer => b"Genuine Adobe Flash Media Server 001",
        }
    }

    /// Key of the signature in C2 or S2 that answers the digest `answered`.
    fn signature_key(self, answered: &Digest) -> Digest {
        hmac(&[self.digest_key(), &SIGNATURE_KEY_SUFFIX].concat(), &[answered])
    }
}

/// Which half of C1 or S1 holds the digest; the other one is for a Diffie-Hellman key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layout {
    /// In bytes 8..772. Clients that ask for version 3 use it.
    DigestFirst,
    /// In bytes 772..1536. Clients that ask for RTMPE use it.
    KeyFirst,
}

impl Layout {
    /// Start of the digest: 12..=739 or 776..=1503, whatever the packet holds.
    fn digest_position(self, packet: &Packet) -> usize {
        let (offset_bytes, base) = match self {
            Self::DigestFirst => (&packet[8..12], 12),
            Self::KeyFirst => (&packet[772..776], 776),
        };
        let offset: usize = offset_bytes.iter().copied().map(usize::from).sum();
        // The 764 bytes of the half, less the four offset bytes and the digest itself.
        base + offset % 728
    }

    /// The layout that this one is not.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::DigestFirst => Self::KeyFirst,
            Self::KeyFirst => Self::DigestFirst,
        }
    }

    /// Start of the Diffie-Hellman key: 772..=1403 or 8..=639, whatever the packet holds.
    pub(super) fn key_position(self, packet: &Packet) -> usize {
        let (offset_bytes, base) = match self {
            Self::DigestFirst => (&packet[1532..1536], 772),
            Self::KeyFirst => (&packet[768..772], 8),
        };
        let offset: usize = offset_bytes.iter().copied().map(usize::from).sum();
        // The 764 bytes of the half, less the four offset bytes and the key itself.
        base + offset % 632
    }

    /// What stands where the Diffie-Hellman key has its place.
    pub(super) fn key(self, packet: &Packet) -> &Key {
        packet
            .split_at(self.key_position(packet))
            .1
            .first_chunk()
            .expect("the last key position leaves 132 bytes")
    }

    /// Puts a Diffie-Hellman key into C1 or S1, which has to be done before the digest.
    pub(super) fn embed_key(self, packet: &mut Packet, key: &Key) {
        let position = self.key_position(packet);
        for (byte, new) in packet.iter_mut().skip(position).zip(key) {
            *byte = *new;
        }
    }

    /// The packet in front of its digest, the digest, and the rest.
    fn split(self, packet: &Packet) -> (&[u8], &Digest, &[u8]) {
        let (before, rest) = packet.split_at(self.digest_position(packet));
        let (digest, after) = rest
            .split_first_chunk()
            .expect("the last digest position leaves 33 bytes");
        (before, digest, after)
    }
}

/// Makes C1 or S1 out of `packet`: version number, then the digest over everything else.
pub(super) fn embed(packet: &mut Packet, version: [u8; 4], layout: Layout, signer: Signer) {
    packet[4..8].copy_from_slice(&version);
    let (before, _, after) = layout.split(packet);
    let digest = hmac(signer.digest_key(), &[before, after]);
    let position = layout.digest_position(packet);
    for (byte, new) in packet.iter_mut().skip(position).zip(digest) {
        *byte = new;
    }
}

/// Layout and value of the valid digest that `signer` put into C1 or S1, if there is one. The version number
/// is no guide: MonaServer2 and crtmpserver send zeros there along with a valid digest.
pub(super) fn find(packet: &Packet, signer: Signer) -> Option<(Layout, Digest)> {
    [Layout::DigestFirst, Layout::KeyFirst]
        .into_iter()
        .find_map(|layout| {
            let (before, digest, after) = layout.split(packet);
            let valid = keyed(signer.digest_key(), &[before, after])
                .verify_slice(digest)
                .is_ok();
            valid.then_some((layout, *digest))
        })
}

/// Makes C2 or S2 out of `packet`: replaces its end by the signature that answers the peer's digest, enciphered by
/// `cipher`.
pub(super) fn sign(packet: &mut Packet, signer: Signer, answered: &Digest, cipher: SignatureCipher) {
    let (signed, end) = packet.split_at_mut(SIGNED_SIZE);
    let key = signer.signature_key(answered);
    let mut signature = hmac(&key, &[signed]);
    cipher.encipher(&mut signature, &key);
    end.copy_from_slice(&signature);
}

pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Digest {
    keyed(key, parts).finalize().into_bytes().into()
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mac = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().fold(mac, |mac, part| mac.chain_update(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::diffie_hellman::KEY_SIZE;
    use crate::handshake::vectors::{c1, c2, hex, s1, s2};
    use sha2::Digest as _;

    fn sha256(bytes: &[u8]) -> String {
        hex(&Sha256::digest(bytes))
    }

    const C1_DIGEST: &str = "bc6ed2411b468aa3df28bd057d39ac1dc7b23ef1508e69ee4a447c87fad50bab";
    const S1_DIGEST: &str = "cee3da7ff6196d8dd7e692474214b9a6962f6fc4a06cf57ec37616a164b233ed";

    #[test]
    fn c1_and_s1_carry_the_known_digests() {
        let mut c1 = c1();
        embed(&mut c1, [0x0a, 0, 0x2d, 2], Layout::DigestFirst, Signer::Player);
        assert_eq!(Layout::DigestFirst.digest_position(&c1), 450);
        assert_eq!(hex(&c1[450..482]), C1_DIGEST);
        assert_eq!(
            sha256(&c1),
            "d082e5612632e9002a4d46d39a69bfd1ed4d57f56adb5cbf8e5395fb21a5153d"
        );

        let mut s1 = s1();
        embed(&mut s1, [3, 5, 1, 1], Layout::DigestFirst, Signer::MediaServer);
        assert_eq!(Layout::DigestFirst.digest_position(&s1), 678);
        assert_eq!(hex(&s1[678..710]), S1_DIGEST);
        assert_eq!(
            sha256(&s1),
            "f87a09dc76ca7f4cd6db8fc05127ac29f534fcb11d0af416967c51028c943d29"
        );
    }

    #[test]
    fn c1_carries_the_known_digest_behind_the_key() {
        let mut c1 = c1();
        embed(&mut c1, [0x0a, 0, 0x2d, 2], Layout::KeyFirst, Signer::Player);
        assert_eq!(Layout::KeyFirst.digest_position(&c1), 1486);
        assert_eq!(
            hex(&c1[1486..1518]),
            "5ca1831211f794d763cd618965afe0dea69a2a2dd774ed0e3cbb390a01488cd2"
        );
    }

    #[test]
    fn c2_and_s2_carry_the_known_signatures() {
        let mut c1 = c1();
        embed(&mut c1, [0x0a, 0, 0x2d, 2], Layout::DigestFirst, Signer::Player);
        let (_, c1_digest) = find(&c1, Signer::Player).unwrap();
        let mut s1 = s1();
        embed(&mut s1, [3, 5, 1, 1], Layout::DigestFirst, Signer::MediaServer);
        let (_, s1_digest) = find(&s1, Signer::MediaServer).unwrap();

        assert_eq!(
            hex(&Signer::Player.signature_key(&s1_digest)),
            "91e6b74cec9b097a9c5feae4922c3a556929e78bd3cdac8382361aaa084e4138"
        );
        let mut c2 = c2();
        sign(&mut c2, Signer::Player, &s1_digest, SignatureCipher::None);
        assert_eq!(
            hex(&c2[1504..]),
            "7ea8efd158f226c79ba122885f3e4dbdc27a92d54b2e87e51a9d5a5f240b8339"
        );
        assert_eq!(
            sha256(&c2),
            "f2c004c3970e22c4b43929fe9e76cb490c1983471a656f58df8aed464fe6be4c"
        );

        assert_eq!(
            hex(&Signer::MediaServer.signature_key(&c1_digest)),
            "92ba56f9461e255d3ee91688dbf9d0ad184a55a45d26324859c8f0be3ab18d9b"
        );
        let mut s2 = s2();
        sign(&mut s2, Signer::MediaServer, &c1_digest, SignatureCipher::None);
        assert_eq!(
            hex(&s2[1504..]),
            "4c8dddfa19c7feb6ab25696d0982bd84a2b6c5d4bc3e747d68c661abf3922e53"
        );
        assert_eq!(
            sha256(&s2),
            "cdeaf0993036cf7f90ebb3acd92ae6aa6ab7e1bcbb2b92462387269966419623"
        );
    }

    #[test]
    fn keys_have_their_known_places() {
        assert_eq!(Layout::DigestFirst.key_position(&c1()), 882);
        assert_eq!(Layout::KeyFirst.key_position(&c1()), 222);
        assert_eq!(Layout::KeyFirst.key_position(&s1()), 130);
    }

    #[test]
    fn a_key_is_found_at_every_position_and_leaves_the_digest_alone() {
        for layout in [Layout::DigestFirst, Layout::KeyFirst] {
            for offset in 0..632_usize {
                let mut packet = s1();
                let at = match layout {
                    Layout::DigestFirst => 1532,
                    Layout::KeyFirst => 768,
                };
                for (i, byte) in packet[at..at + 4].iter_mut().enumerate() {
                    *byte = u8::try_from(offset.saturating_sub(255 * i).min(255)).unwrap();
                }
                let digest = layout.digest_position(&packet);
                let key = [0xaa; KEY_SIZE];
                layout.embed_key(&mut packet, &key);
                assert_eq!(*layout.key(&packet), key, "offset {offset}");
                assert_eq!(layout.digest_position(&packet), digest);
                let key = layout.key_position(&packet);
                assert!(key + KEY_SIZE <= digest || digest + DIGEST_SIZE <= key);
            }
        }
    }

    #[test]
    fn every_digest_is_found_in_its_layout_at_every_position() {
        for layout in [Layout::DigestFirst, Layout::KeyFirst] {
            for offset in 0..728_usize {
                let mut packet = s1();
                let at = match layout {
                    Layout::DigestFirst => 8,
                    Layout::KeyFirst => 772,
                };
                for (i, byte) in packet[at..at + 4].iter_mut().enumerate() {
                    *byte = u8::try_from(offset.saturating_sub(255 * i).min(255)).unwrap();
                }
                embed(&mut packet, [3, 5, 1, 1], layout, Signer::MediaServer);
                let position = layout.digest_position(&packet);
                let digest = packet[position..position + 32].try_into().unwrap();
                assert_eq!(
                    find(&packet, Signer::MediaServer),
                    Some((layout, digest)),
                    "offset {offset}"
                );
            }
        }
    }

    #[test]
    fn no_digest_is_found_in_filler_in_a_changed_packet_or_with_the_other_key() {
        assert_eq!(find(&c1(), Signer::Player), None);
        let mut c1 = c1();
        embed(&mut c1, [0x0a, 0, 0x2d, 2], Layout::DigestFirst, Signer::Player);
        assert_eq!(find(&c1, Signer::MediaServer), None);
        for at in [0, 4, 449, 450, 481, 482, 1535] {
            let mut changed = c1;
            changed[at] ^= 1;
            assert_eq!(find(&changed, Signer::Player), None, "byte {at}");
        }
    }
}
