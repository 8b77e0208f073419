//! One RTMP connection as typed messages: what stands between a session's commands and the transport's bytes.
//!
//! ```text
//!   session        Received / Command, Control, media
//!      |
//!   link           handshake, then chunk stream; flow accounting; pings and acknowledgements answered here
//!      |
//!   transport      BytesMut in, SendQueue (a bytes::Buf) out
//! ```
//!
//! It knows nothing of connect, publish or play.

mod cipher;
mod flow;
mod send_queue;
mod stream;

pub use flow::Flow;
pub use send_queue::SendQueue;
pub use stream::ByKind;
pub(crate) use stream::{Link, Received};
