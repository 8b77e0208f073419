//! The server's end of tunnels: requests into bytes of sessions, bytes into answers.
//!
//! A [`Connection`] is one HTTP connection: it reads requests and writes answers, in turn. [`Sessions`] is what all of
//! them have in common: a session is known by its id alone, and may come by another connection with every request, or
//! share one with others through a proxy. Between the two, the owner moves the bytes of a session to and from whatever
//! speaks RTMP, and lets that have its say before the request is answered.

mod connection;
mod sessions;

pub use self::connection::{Answer, Connection, Request};
pub use self::sessions::{Limits, Opened, SessionId, Sessions, Step, Turn};
