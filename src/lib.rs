#![forbid(unsafe_code)]
//! RTMP for GStreamer.
pub mod amf;
pub mod chunk;
pub mod flv;
pub mod handshake;
pub mod link;
pub mod message;
pub mod session;
pub mod timestamp;
pub mod transport;
pub mod url;
pub mod wire;
