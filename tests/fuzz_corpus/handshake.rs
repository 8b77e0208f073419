//! Handshakes of both ends, RTMPE included: the pieces in which bytes arrive make no difference. The first byte chooses
//! end and style, the second the pieces. What follows is either what the peer sends, or changes to what a peer of ours
//! sends: of three bytes each, two for the place and one for what is changed there.

use bytes::BytesMut;
use gstrtmp::handshake::{Client, Entropy, Error, Server, SessionKeys, SignatureCipher, Style};

/// Bytes that either end sends in all.
const LENGTH: usize = 1 + 2 * 1536;

/// What one end has made of what it got.
type Outcome = (Result<bool, Error>, Vec<u8>, Vec<u8>, Option<SessionKeys>);

pub(crate) fn run(data: &[u8]) {
    let Some(([choice, piece], rest)) = data.split_first_chunk() else {
        return;
    };
    let is_server = choice & 1 != 0;
    let style = match choice & 6 {
        0 => Style::Simple,
        2 => Style::Digest,
        _ => Style::Rtmpe,
    };
    let cipher = match choice & 24 {
        0 => SignatureCipher::None,
        8 => SignatureCipher::Xtea,
        _ => SignatureCipher::Blowfish,
    };
    let stream = if choice & 32 != 0 {
        changed(genuine(is_server, style, cipher), rest)
    } else {
        rest.to_vec()
    };
    let whole = shake(is_server, style, cipher, &stream, stream.len().max(1));
    let pieces = shake(is_server, style, cipher, &stream, usize::from(*piece) * 16 + 1);
    assert_eq!(whole, pieces);
    if let (Ok(true), _, left, keys) = whole {
        assert_eq!(left.len(), stream.len() - LENGTH);
        // What began as RTMPE is not finished without keys, and a client that asked for it gets nothing else.
        let enciphered = if is_server {
            matches!(stream.first(), Some(6 | 8 | 9))
        } else {
            style == Style::Rtmpe
        };
        assert_eq!(keys.is_some(), enciphered);
    }
}

/// What a peer of ours sends to the end that is looked at.
fn genuine(is_server: bool, style: Style, cipher: SignatureCipher) -> Vec<u8> {
    let mut client = client(style);
    let mut server = server(cipher);
    let mut by_client = client.poll_transmit().unwrap_or_default().to_vec();
    let mut input = BytesMut::from(&by_client[..]);
    server.handle_input(&mut input, 0).expect("a client of ours");
    let by_server = server.poll_transmit().unwrap_or_default().to_vec();
    let mut input = BytesMut::from(&by_server[..]);
    client.handle_input(&mut input, 0).expect("a server of ours");
    by_client.extend(client.poll_transmit().unwrap_or_default());
    if is_server { by_client } else { by_server }
}

fn changed(mut stream: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for &[high, low, bits] in changes.as_chunks().0 {
        let place = usize::from(u16::from_be_bytes([high, low]));
        match stream.get_mut(place) {
            Some(byte) => *byte ^= bits,
            // Places behind the end make it longer.
            None => stream.push(bits),
        }
    }
    stream
}

fn client(style: Style) -> Client {
    Client::new(style, 0, &mut Entropy::new([1; 32]))
}

fn server(cipher: SignatureCipher) -> Server {
    let mut server = Server::new(&mut Entropy::new([2; 32]));
    server.prefer(cipher);
    server
}

/// Hands `stream` to one end in pieces, up to the first error.
fn shake(is_server: bool, style: Style, cipher: SignatureCipher, stream: &[u8], piece: usize) -> Outcome {
    let (mut client, mut server) = (client(style), server(cipher));
    let (mut input, mut sent) = (BytesMut::new(), Vec::new());
    let mut result = Ok(false);
    for arrived in stream.chunks(piece) {
        input.extend_from_slice(arrived);
        let (shaken, packet) = if is_server {
            (server.handle_input(&mut input, 0), server.poll_transmit())
        } else {
            (client.handle_input(&mut input, 0), client.poll_transmit())
        };
        sent.extend(packet.unwrap_or_default());
        result = shaken;
        if result.is_err() {
            break;
        }
    }
    assert!(sent.len() <= LENGTH, "{} bytes sent", sent.len());
    // After an error nobody cares for what is left.
    let left = if result.is_ok() {
        input.to_vec()
    } else {
        Vec::new()
    };
    let agreement = if is_server {
        server.agreement()
    } else {
        client.agreement()
    };
    (result, sent, left, agreement.keys.clone())
}
