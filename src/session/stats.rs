//! Figures of a session, in the terms of rtmp2's `stats` where it has one.

use std::sync::Arc;
use std::time::Duration;

use super::{Capabilities, Phase};
use crate::link::ByKind;

/// A snapshot of a session's figures. Sizes and windows are bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// What the session is doing.
    pub phase: Phase,
    /// Chunk size that the peer writes with.
    pub in_chunk_size: u32,
    /// Chunk size that we write with.
    pub out_chunk_size: u32,
    /// Window acknowledgement size that the peer announced; 0 before.
    pub in_window_ack_size: u32,
    /// Window acknowledgement size that we announced; 0 before.
    pub out_window_ack_size: u32,
    /// Bytes received that we acknowledged.
    pub in_bytes_acked: u64,
    /// Bytes sent that the peer acknowledged, by its own count.
    pub out_bytes_acked: u64,
    /// Messages received.
    pub messages_in: ByKind,
    /// Messages queued for sending.
    pub messages_out: ByKind,
    /// Bytes of the payloads of received messages.
    pub media_bytes_in: ByKind,
    /// Bytes of the payloads of queued messages.
    pub media_bytes_out: ByKind,
    /// Bytes that wait to be written.
    pub queued_bytes: usize,
    /// Time from C0 and C1 to the first bytes back (client only).
    pub round_trip: Option<Duration>,
    /// Server: the client's `flashVer`. Client: the server's `fmsVer`.
    pub peer_version: Option<Arc<str>>,
    /// What the peer said it can do of Enhanced RTMP; `None` if it said nothing.
    pub peer_capabilities: Option<Arc<Capabilities>>,
    /// Code of the last status of the peer.
    pub last_status: Option<Arc<str>>,
}
