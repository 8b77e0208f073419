//! `rtmpsrc` against servers that do as they are told: what it puts out and when, how its streams end and fail, and
//! that nothing a server does holds it up.
#![allow(
    unreachable_pub,
    reason = "what modules share with each other is not told from what they would export"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "elements live in real time behind real sockets"
)]

#[path = "../../examples/relay/mod.rs"]
mod relay;
#[path = "../support/mod.rs"]
mod support;

mod decoding;
mod end;
mod failure;
mod fixture;
mod live;
mod orders;
mod output;
mod pause;
mod properties;
mod secrets;
mod seek;
mod states;
mod time;
mod vod;
mod wire;
