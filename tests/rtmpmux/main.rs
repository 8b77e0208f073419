//! `rtmpmux` between sources that the tests feed and a sink that keeps all, and its output in the hands of software
//! that is not ours.
#![allow(
    unreachable_pub,
    reason = "what modules share with each other is not told from what they would export"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "elements live in real time"
)]

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod codecs;
mod fixture;
mod flvmux;
mod input;
mod live;
mod pads;
mod time;
