//! The Diffie-Hellman key agreement of RTMPE: the Second Oakley Group, RFC 2409 section 6.2, with 2 as its generator.
//!
//! Whoever stands between the ends can answer for either of them, as nothing says whose a key is.

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{JacobiSymbol, U512, U1024, const_monty_params};

use super::entropy::Entropy;

/// Bytes of a public key and of the secret.
pub(super) const KEY_SIZE: usize = 128;

/// Bytes of a private key, twice as many as a group of this strength deserves.
const PRIVATE_KEY_SIZE: usize = 64;

/// The prime of the group.
const PRIME: &str = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
                     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
                     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
                     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF";

const_monty_params!(SecondOakleyGroup, U1024, PRIME, "The prime of the group.");

/// A number of the group.
type Element = ConstMontyForm<SecondOakleyGroup, { U1024::LIMBS }>;

/// A number of the group as it is on the wire: big-endian, with zeros in front.
pub(super) type Key = [u8; KEY_SIZE];

/// A peer's public key that can be used.
#[derive(Clone, Copy)]
pub(super) struct PeerKey(Element);

impl PeerKey {
    /// Takes what stands in C1 or S1. `None` for keys with which everybody would know the secret: 0, 1, p - 1, and
    /// those that are not below p.
    pub(super) fn new(key: &Key) -> Option<Self> {
        let number = U1024::from_be_slice(key);
        let last = U1024::from_be_hex(PRIME).wrapping_sub(&U1024::from_u8(2));
        (number >= U1024::from_u8(2) && number <= last).then(|| Self(Element::new(&number)))
    }

    /// Whether this is a square, as every power of 2 is in this group and of other numbers every other one: a key
    /// that is not was made otherwise, or is no key.
    pub(super) fn is_square(&self) -> bool {
        self.0.jacobi_symbol_vartime() == JacobiSymbol::One
    }
}

/// A private key and the public one that belongs to it. The private key is shown to nobody, so there is no `Debug`.
pub(super) struct KeyPair {
    private: U512,
    public: Key,
}

impl KeyPair {
    /// A new pair.
    pub(super) fn new(entropy: &mut Entropy) -> Self {
        let mut private = [0; PRIVATE_KEY_SIZE];
        entropy.fill(&mut private);
        Self::from_private(&private)
    }

    pub(super) fn from_private(private: &[u8; PRIVATE_KEY_SIZE]) -> Self {
        let private = U512::from_be_slice(private);
        let generator = Element::new(&U1024::from_u8(2));
        Self {
            public: encode(&generator.pow(&private)),
            private,
        }
    }

    /// The public key.
    pub(super) const fn public(&self) -> &Key {
        &self.public
    }

    /// The secret that this end has in common with the peer.
    pub(super) fn agree(&self, peer: &PeerKey) -> Key {
        encode(&peer.0.pow(&self.private))
    }
}

fn encode(element: &Element) -> Key {
    let mut key = [0; KEY_SIZE];
    key.copy_from_slice(element.retrieve().to_be_bytes().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::vectors::{self, CLIENT_KEY, SECRET, SERVER_KEY, octets};

    fn key(digits: &str) -> Key {
        octets(digits).try_into().unwrap()
    }

    #[test]
    fn both_ends_compute_the_known_keys_and_secret() {
        let (client, server) = (vectors::client(), vectors::server());
        assert_eq!(*client.public(), key(CLIENT_KEY));
        assert_eq!(*server.public(), key(SERVER_KEY));
        let [of_client, of_server] = [client.public(), server.public()].map(|key| PeerKey::new(key).unwrap());
        assert_eq!(client.agree(&of_server), key(SECRET));
        assert_eq!(server.agree(&of_client), key(SECRET));
        assert!(of_client.is_square() && of_server.is_square());
    }

    #[test]
    fn keys_that_give_the_secret_away_are_refused() {
        let number = |n: u8| {
            let mut key = [0; KEY_SIZE];
            key[KEY_SIZE - 1] = n;
            key
        };
        let below_prime = |n: u8| {
            let mut prime = key(PRIME);
            prime[KEY_SIZE - 1] -= n;
            prime
        };
        for refused in [
            number(0),
            number(1),
            below_prime(1),
            below_prime(0),
            [0xff; KEY_SIZE],
        ] {
            assert!(PeerKey::new(&refused).is_none(), "{refused:x?}");
        }
        for taken in [number(2), number(3), below_prime(2)] {
            assert!(PeerKey::new(&taken).is_some(), "{taken:x?}");
        }
    }

    #[test]
    fn a_key_that_is_no_power_of_two_is_no_square() {
        // -1 is none in this group, so neither is -2^n.
        let mut key = key(PRIME);
        key[KEY_SIZE - 1] -= 4;
        assert!(!PeerKey::new(&key).unwrap().is_square());
    }

    #[test]
    fn short_numbers_have_zeros_in_front() {
        let pair = KeyPair::from_private(&std::array::from_fn(|i| {
            if i == PRIVATE_KEY_SIZE - 1 { 9 } else { 0 }
        }));
        let mut expected = [0; KEY_SIZE];
        expected[KEY_SIZE - 2] = 2;
        assert_eq!(*pair.public(), expected, "2^9");
        let two = PeerKey::new(&key(&format!("{}02", "00".repeat(KEY_SIZE - 1)))).unwrap();
        assert_eq!(pair.agree(&two), expected);
    }
}
