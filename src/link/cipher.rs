//! What RTMPE does to the chunk stream: RC4 over every byte of it, headers included, with one keystream each way for as
//! long as the connection lasts.
//!
//! A byte that is lost or deciphered twice makes nonsense of all that follow, and nothing tells where it began.

use bytes::{Bytes, BytesMut};
use rc4::{KeyInit as _, Rc4, StreamCipher as _};

use super::SendQueue;
use crate::chunk;
use crate::handshake::{SESSION_KEY_SIZE, SessionKeys};
use crate::wire::Malformed;

/// Bytes of either keystream that are left out: C2 and S2 count as enciphered, though they are sent in clear text.
const DISCARDED: usize = 1536;

/// Longest header of a chunk, to know how much memory a message will take.
const MAX_CHUNK_HEADER: usize = 18;

/// The ciphers of one connection.
pub(super) struct Cipher {
    incoming: Rc4,
    /// Bytes at the front of the input that were deciphered and that nobody has taken yet.
    clear: usize,
    outgoing: Rc4,
    chunks: Chunks,
}

impl Cipher {
    pub(super) fn new(keys: &SessionKeys) -> Self {
        Self {
            incoming: keystream(&keys.incoming),
            clear: 0,
            outgoing: keystream(&keys.outgoing),
            chunks: Chunks::default(),
        }
    }

    /// Deciphers what has come to the end of `input` since the last call, in place.
    pub(super) fn decipher(&mut self, input: &mut BytesMut) {
        if let Some(enciphered) = input.get_mut(self.clear..) {
            self.incoming.apply_keystream(enciphered);
        }
        self.clear = input.len();
    }

    /// Takes note that so many bytes were taken off the front of the input.
    pub(super) const fn taken(&mut self, bytes: usize) {
        self.clear = self.clear.saturating_sub(bytes);
    }

    /// Queues the chunks of `message`, enciphered.
    ///
    /// Payloads are shared, among the players of a stream for one thing, and each connection has a keystream of its
    /// own: so they cannot be enciphered in place, and the message is copied, once.
    pub(super) fn write(
        &mut self,
        writer: &mut chunk::Writer,
        message: chunk::Outgoing,
        queue: &mut SendQueue,
    ) -> Result<(), Malformed> {
        let length = message.head.len().saturating_add(message.body.len());
        let headers = (length / writer.chunk_size() as usize + 1).saturating_mul(MAX_CHUNK_HEADER);
        if length <= chunk::MAX_MESSAGE {
            self.chunks.0.reserve(length.saturating_add(headers));
        }
        writer.write(message, &mut self.chunks)?;
        let mut chunks = self.chunks.0.split();
        self.outgoing.apply_keystream(&mut chunks);
        queue.push(chunks.freeze());
        Ok(())
    }
}

/// A keystream from the first byte on that counts.
fn keystream(key: &[u8; SESSION_KEY_SIZE]) -> Rc4 {
    let mut rc4 = Rc4::new_from_slice(key).expect("RC4 takes keys of 16 bytes");
    rc4.apply_keystream(&mut [0; DISCARDED]);
    rc4
}

/// Chunks in one piece.
#[derive(Default)]
struct Chunks(BytesMut);

impl chunk::Output for Chunks {
    fn header(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn payload(&mut self, bytes: Bytes) {
        self.0.extend_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::tests::hex;
    use crate::timestamp::Timestamp;
    use bytes::Buf as _;

    fn keys(incoming: &str, outgoing: &str) -> SessionKeys {
        SessionKeys {
            incoming: hex(incoming).try_into().unwrap(),
            outgoing: hex(outgoing).try_into().unwrap(),
            ambiguous: false,
        }
    }

    const TO_SERVER: &str = "9ffeacbc0af507eb8da9481efe761b07";
    const TO_CLIENT: &str = "6d5428b06f0a955dbb6aae0eac2c86fa";

    fn client() -> Cipher {
        Cipher::new(&keys(TO_CLIENT, TO_SERVER))
    }

    fn server() -> Cipher {
        Cipher::new(&keys(TO_SERVER, TO_CLIENT))
    }

    fn message(body: Bytes) -> chunk::Outgoing {
        chunk::Outgoing {
            chunk_stream: 6,
            timestamp: Timestamp::ZERO,
            type_id: 9,
            stream_id: 1,
            head: Bytes::from_static(b"head"),
            body,
        }
    }

    #[test]
    fn keystreams_are_the_known_ones_behind_the_bytes_left_out() {
        for (key, first, behind) in [
            (
                TO_SERVER,
                "705bf289c6aa9bad766bd27d2a55886f",
                "667b6d522bc6210454b478eef9c13967",
            ),
            (
                TO_CLIENT,
                "850dcc6021f567be247666caf879dd54",
                "4727da1fba94947f3f24ffd4f98e2e09",
            ),
        ] {
            let key = hex(key);
            let mut bytes = [0; 16];
            Rc4::new_from_slice(&key).unwrap().apply_keystream(&mut bytes);
            assert_eq!(bytes[..], hex(first));
            let mut bytes = [0; 16];
            keystream(&key.try_into().unwrap()).apply_keystream(&mut bytes);
            assert_eq!(bytes[..], hex(behind));
        }
    }

    #[test]
    fn each_byte_is_deciphered_once_whatever_is_taken_between() {
        let clear: Vec<u8> = (0..=255).collect();
        let mut enciphered = clear.clone();
        keystream(&hex(TO_CLIENT).try_into().unwrap()).apply_keystream(&mut enciphered);
        for arriving in 1..50 {
            for taking in 0..=arriving {
                let mut cipher = client();
                let (mut input, mut got) = (BytesMut::new(), Vec::new());
                for piece in enciphered.chunks(arriving) {
                    input.extend_from_slice(piece);
                    cipher.decipher(&mut input);
                    let taken = taking.min(input.len());
                    got.extend_from_slice(&input.split_to(taken));
                    cipher.taken(taken);
                    // A second call with nothing new is harmless.
                    cipher.decipher(&mut input);
                }
                got.extend_from_slice(&input);
                assert_eq!(got, clear, "{arriving} come, {taking} are taken");
            }
        }
    }

    #[test]
    fn what_one_end_queues_the_other_deciphers() {
        let (mut client, mut server) = (client(), server());
        let mut writer = chunk::Writer::new();
        let mut plain = chunk::Writer::new();
        let (mut queue, mut expected) = (SendQueue::new(), Vec::new());
        for length in [0, 1, 60, 128, 5000] {
            let body = Bytes::from(vec![7; length]);
            client
                .write(&mut writer, message(body.clone()), &mut queue)
                .unwrap();
            plain.write(message(body), &mut expected).unwrap();
        }
        let mut wire = queue.copy_to_bytes(queue.remaining()).to_vec();
        assert_ne!(wire, expected);
        let mut input = BytesMut::from(&wire[..]);
        server.decipher(&mut input);
        assert_eq!(input[..], expected[..]);
        // The other direction has another keystream.
        wire.fill(0);
        let mut other = BytesMut::from(&wire[..]);
        client.decipher(&mut other);
        let mut same = BytesMut::from(&wire[..]);
        self::server().decipher(&mut same);
        assert_ne!(other, same);
    }

    #[test]
    fn a_shared_payload_stays_as_it_is() {
        let body = Bytes::from(vec![7; 5000]);
        let mut queue = SendQueue::new();
        client()
            .write(&mut chunk::Writer::new(), message(body.clone()), &mut queue)
            .unwrap();
        assert_eq!(body, vec![7; 5000]);
    }

    #[test]
    fn a_message_that_is_too_long_takes_nothing_of_the_keystream() {
        let mut queue = SendQueue::new();
        let mut writer = chunk::Writer::new();
        let mut cipher = client();
        let too_long = message(Bytes::from(vec![0; chunk::MAX_MESSAGE]));
        assert!(cipher.write(&mut writer, too_long, &mut queue).is_err());
        assert!(!queue.has_remaining());
        cipher
            .write(&mut writer, message(Bytes::new()), &mut queue)
            .unwrap();
        let mut input = BytesMut::from(&queue.copy_to_bytes(queue.remaining())[..]);
        server().decipher(&mut input);
        assert!(input.ends_with(b"head"));
    }
}
