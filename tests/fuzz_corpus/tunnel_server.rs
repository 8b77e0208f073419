//! The server's end of tunnels against any client: the first byte says how much comes at a time, the rest are requests.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use bytes::BytesMut;
use gstrtmp::tunnel::server::{Connection, Sessions, Step};

pub(crate) fn run(data: &[u8]) {
    let [step, requests @ ..] = data else {
        return;
    };
    #[allow(clippy::disallowed_methods, reason = "virtual time starts at some time")]
    let now = Instant::now();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut sessions = Sessions::default();
    let mut connection = Connection::new();
    let mut input = BytesMut::new();
    let (mut taken, mut answers) = (0, 0);
    for piece in requests.chunks(usize::from(*step) + 1) {
        input.extend_from_slice(piece);
        while let Some(request) = connection.handle_input(&mut input) {
            assert!(connection.is_asked());
            answers += 1;
            // The first session is ca..ca, for requests of the corpus to know.
            let entropy = [0xca_u8.wrapping_add(u8::try_from(sessions.len()).unwrap_or(u8::MAX)); 16];
            let answer = match sessions.handle_request(now, address, request, entropy) {
                Step::Answered(answer) | Step::Closed(_, answer) => answer,
                Step::Opened(opened) => {
                    assert!(sessions.knows(&opened.session));
                    opened.answer
                }
                Step::Taken(turn, bytes) => {
                    taken += bytes.len();
                    let mut output = BytesMut::from(&b"answer"[..]);
                    sessions.answer(&turn, &mut output, false)
                }
            };
            connection.answer(&answer);
            assert!(!connection.is_asked());
        }
        if connection.is_over() {
            break;
        }
    }
    // Nothing is made of nothing, and each answer is bounded.
    assert!(taken <= requests.len());
    assert!(connection.output().len() <= (answers + 1 + requests.len() / 20) * 400);
    if !requests.is_empty() && answers > 0 {
        assert!(connection.output().starts_with(b"HTTP/1.1 "));
    }
}
