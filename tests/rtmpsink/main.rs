//! `rtmpsink` against servers that do as they are told: what it publishes, how it changes states, and how it fails.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "elements live in real time behind real sockets"
)]

#[path = "../support/mod.rs"]
mod support;

mod failures;
#[allow(dead_code, reason = "rtmpsink_process.rs uses the rest of it")]
mod fixture;
mod flv;
mod input;
mod properties;
mod states;
mod stopping;
