//! Logins on the elements: every answer that a server may have, tokens, and secrets that are kept outside of the location.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "elements live in real time behind real sockets"
)]

#[path = "../support/mod.rs"]
mod support;

mod authmod;
mod lock_step;
mod masking;
mod outside;
mod token;
