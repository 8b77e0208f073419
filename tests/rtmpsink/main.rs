//! `rtmpsink` against servers that do as they are told: what it publishes, how it changes states, and how it fails.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "elements live in real time behind real sockets"
)]

#[path = "../support/mod.rs"]
mod support;

mod fixture;
mod flv;
mod input;
mod states;
mod stopping;
