//! RTMPT: RTMP's bytes in the bodies of HTTP requests and their answers, for networks that let nothing else pass.
//!
//! ```text
//!   POST /open/1                  -> the id of a new session
//!   POST /send/SESSION/NUMBER     RTMP bytes ->  how soon to ask again, RTMP bytes
//!   POST /idle/SESSION/NUMBER     nothing    ->  how soon to ask again, RTMP bytes
//!   POST /close/SESSION/NUMBER    nothing    ->  nothing
//! ```
//!
//! There is no specification. This is what librtmp 2.4, FFmpeg 5 and Red5 agree on; over TLS it is RTMPTS, and with
//! the handshake of RTMPE, of which nothing is seen here, RTMPTE. [`Client`] turns bytes of a session into requests
//! and answers into bytes, [`server`] does the reverse. Neither has a socket or a clock: whoever owns them connects,
//! reads and writes, and tells the time.

mod client;
mod error;
mod http;
pub mod server;
mod target;

pub use self::client::{Client, Config, Transmit};
pub use self::error::Error;
pub use self::target::Redirect;

/// Bytes of C0 and C1, which go in a request of their own: Red5 drops a first one with fewer, RTMP 1.0 section 5.2.
const OPENING: usize = 1 + 1536;

/// Longest session id, in bytes.
const MAX_SESSION_ID: usize = 63;

/// The type of every body, by the name of Flash Communication Server.
const CONTENT_TYPE: &str = "application/x-fcs";

/// Whether `id` can be the id of a session: it becomes part of a path.
fn is_session_id(id: &str) -> bool {
    (1..=MAX_SESSION_ID).contains(&id.len())
        && !id.starts_with('.')
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
