//! Golden packets and keys for the tests of this module: what scripts computed that have talked to rtmpdump, rtmpsrv and
//! MonaServer2.

use super::diffie_hellman::KeyPair;
use super::digest::{self, Layout, Signer};
use super::entropy::Entropy;
use super::simple::{PACKET_SIZE, Packet};

/// Public key of [`client`].
pub(super) const CLIENT_KEY: &str = "
    a79fb701f20e552b74a5eabb2ff34fcdffe3bd974a132f32d846fca89c9c65d0
    5c1734bc8d9395c894b54b24496da3cbb5f7f46938aa733a63b05fbb08885b64
    191289362dc8a6adac7889ef1590ba65323429c6255ffaca8a36abaa3851a00c
    9f3376deaeec56c2f0070f23d8aee3a9f8bd8d9a5661e3cae21b4cfa105dc00a";

/// Public key of [`server`].
pub(super) const SERVER_KEY: &str = "
    4032d58dc97d1c246f5195e6f47ea45d14e4971fcec9468af6c9d191ae75b0d9
    b435f511963d465be2dece44e6d6890fef09c031866c435d530254ed9ef16902
    b6c9bd7ffa75d1c6de0ee78024a399d4f96a127f2ec41ef4b03642fd9c69fd81
    5ea08cb56017d6a5a5ed5b635804982b007edacec89ed095037818384eb13411";

/// What the two agree on.
pub(super) const SECRET: &str = "
    949fe29851f41e99228e64f7a6f2333ccf7080297ac80b29d85d19f79c47e420
    ee86e7aa2341b7a277aa04c7b855bf0eb7d7b591b3ccf748258ce8a6f99847ad
    550603c23f7290aa4ff681a11276a28ccf2ebfeebce7129e9c90e25eda037505
    5b1ca8f9b35a8b72181e6a97adfe0344819f970aae9e067b87b6a36e56cfada2";

/// Key pair of the client.
pub(super) fn client() -> KeyPair {
    KeyPair::from_private(&[0x1f; 64])
}

/// Key pair of the server.
pub(super) fn server() -> KeyPair {
    KeyPair::from_private(&[0x2e; 64])
}

/// Seed of the entropy of a client for [`mistakable_answer`].
pub(crate) const MISTAKABLE_CLIENT: [u8; 32] = [7; 32];

/// S0, S1 and S2 with a key that gives this client a secret with a zero byte in front. Found by trying.
pub(crate) fn mistakable_answer() -> Vec<u8> {
    let mut seed = [0; 32];
    seed[1] = 141;
    let mut s1 = s1();
    Layout::KeyFirst.embed_key(&mut s1, KeyPair::new(&mut Entropy::new(seed)).public());
    digest::embed(&mut s1, [3, 5, 1, 1], Layout::KeyFirst, Signer::MediaServer);
    [&[6], &s1[..], &s2()].concat()
}

/// C1 without its digest.
pub(super) fn c1() -> Packet {
    with_header([0; 8], 31, 7)
}

/// S1 without its digest.
pub(super) fn s1() -> Packet {
    with_header([0, 0, 0, 1, 0, 0, 0, 0], 17, 5)
}

/// C2 without its signature.
pub(super) fn c2() -> Packet {
    filler(13, 1)
}

/// S2 without its signature.
pub(super) fn s2() -> Packet {
    filler(11, 3)
}

fn with_header(header: [u8; 8], step: usize, start: usize) -> Packet {
    let mut packet = filler(step, start);
    packet[..8].copy_from_slice(&header);
    packet
}

/// A packet whose byte `i` is `step * i + start`.
fn filler(step: usize, start: usize) -> [u8; PACKET_SIZE] {
    std::array::from_fn(|i| (step * i + start).to_le_bytes()[0])
}

/// The bytes that hexadecimal `digits` spell; white space is free.
pub(super) fn octets(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "a byte has two digits");
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(high * 16 + low).unwrap())
        .collect()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
