//! Sockets, threads and clocks: the only layer that has any. It moves the bytes of a sans-I/O session.
//!
//! I/O is done on the caller's thread: a nonblocking call is tried first, and only when it would block does
//! [`tcp::poll`] wait for the socket, for the [`wake::Wake`] that cancels it, or for a deadline. There are three
//! kinds of threads beside it: a name is looked up on one, because the system offers no way to cancel that (see
//! [`resolve`]); a [`Connection`] is made on one; and one per process looks after those that nobody drives.
//!
//! A connection is made by [`resolve::resolve`], then [`race::connect`]; or taken from a
//! [`listener::Listener`]. Both end in a [`tcp::Socket`]; with what is laid over it, such as TLS, that is a [`Stream`],
//! and with a tunnel through that, a [`Carrier`], which a [`Driver`] joins to a session.
//! [`pace::Pacer`] spreads what is written to it over time.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the clock, the threads and the sockets that the other layers may not touch live here"
)]

mod carrier;
mod connection;
mod dial;
mod driver;
mod error;
pub mod hosted;
mod keepalive;
pub mod listener;
pub mod pace;
mod proxy;
pub mod race;
pub mod reception;
pub mod resolve;
mod stream;
pub mod tcp;
pub mod tls;
mod tunnel;
pub mod wake;

pub use self::carrier::Carrier;
pub use self::connection::{Connection, Hooks, LostHook, Notice, NoticeHook, Stats};
pub use self::dial::Target;
pub use self::driver::{ByteTotals, Calls, Driver, Expendable, Farewell, Stopped};
pub use self::error::{Error, Phase, ProxyFault};
pub use self::stream::Stream;
pub use self::tunnel::Tunnel;
pub use crate::tunnel::Error as TunnelError;
