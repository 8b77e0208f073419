//! The client's end of a tunnel against any server: the first byte says how much comes at a time, the second when the
//! connection ends, the rest are answers.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use gstrtmp::tunnel::{Client, Config};

/// What is written at a time, C0 and C1 at first.
const WRITTEN: &[u8] = &[3; 1537];

pub(crate) fn run(data: &[u8]) {
    let [step, lifetime, answers @ ..] = data else {
        return;
    };
    #[allow(clippy::disallowed_methods, reason = "virtual time starts at some time")]
    let mut now = Instant::now();
    let config = Config {
        host: "example.com".to_owned(),
        port: 80,
        is_secure: false,
        absolute_form: false,
        proxy_authorization: None,
        timeout: Some(Duration::from_secs(5)),
    };
    let mut client = Client::new(&config);
    client.handle_connected();
    let mut input = BytesMut::new();
    let mut written = 0_usize;
    for (turn, piece) in answers.chunks(usize::from(*step) + 1).enumerate() {
        written += client.write(&[IoSlice::new(WRITTEN)]);
        while let Some(transmit) = client.poll_transmit(now) {
            let part = transmit.chunk().len().min(1000);
            assert!(part > 0);
            transmit.advance(part);
        }
        if client.wants_connection() {
            client.handle_connected();
        }
        input.extend_from_slice(piece);
        if client.handle_input(now, &mut input).is_err() {
            return;
        }
        while let Some(bytes) = client.poll_input(777) {
            assert!((1..=777).contains(&bytes.len()));
        }
        assert_eq!(client.received(), 0);
        let ends = *lifetime > 0 && turn % usize::from(*lifetime) == 0;
        if (ends || client.is_spent()) && client.handle_disconnected(now).is_err() {
            return;
        }
        if ends {
            input.clear();
        }
        if let Some(redirect) = client.redirect() {
            assert!(redirect.port > 0 && !redirect.host.is_empty());
            return;
        }
        if client.has_ended() {
            assert!(client.poll_transmit(now).is_none() && !client.has_unanswered());
            return;
        }
        // What cannot be sent is not taken for ever either.
        assert!(written < (1 << 20) + answers.len() * WRITTEN.len());
        if let Some(due) = client.poll_timeout() {
            now = now.max(due);
            if client.handle_timeout(now).is_err() {
                return;
            }
        }
    }
    client.close();
    let _ = client.poll_transmit(now);
}
