//! Sockets, threads and clocks: the only layer that has any. It moves the bytes of a sans-I/O session.
//!
//! Everything here runs on the caller's thread: a nonblocking call is tried first, and only when it would
//! block does [`tcp::poll`] wait for the socket, for the [`wake::Wake`] that cancels it, or for a deadline.
//! Name resolution is the one exception, because the system offers no way to cancel it; see [`resolve`].
//!
//! A connection is made by [`resolve::resolve`], then [`race::connect`]; or taken from a
//! [`listener::Listener`]. Both end in a [`tcp::Socket`]. [`pace::Pacer`] spreads what is written to it over
//! time.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the clock, the threads and the sockets that the other layers may not touch live here"
)]

mod connection;
mod driver;
mod error;
mod keepalive;
pub mod listener;
pub mod pace;
pub mod race;
pub mod resolve;
pub mod tcp;
pub mod wake;

pub use self::connection::{Connection, LostHook, Stats, Target};
pub use self::driver::{ByteTotals, Driver, Expendable, Stopped};
pub use self::error::{Error, Phase};
