#![forbid(unsafe_code)]
//! RTMP for GStreamer.
pub mod wire;
pub mod timestamp;
