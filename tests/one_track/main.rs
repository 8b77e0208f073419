//! One elementary stream without a muxer: `encoder ! rtmpsink`, and `rtmpsrc ! caps ! parser`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these tests live in real time behind real sockets, and fail by panics"
)]

mod codecs;
mod fixture;
mod sink;
mod source;

#[path = "../../examples/relay/mod.rs"]
mod relay;
#[path = "../support/mod.rs"]
mod support;
