//! Flow accounting of one connection: byte totals, window acknowledgement sizes and acknowledgements,
//! RTMP 1.0 sections 5.4.3 to 5.4.5.
//!
//! Acknowledgements are owed to the peer, always; what the peer acknowledges is only a statistic. Servers in
//! the field acknowledge increments, wrap early or stay silent (`docs/architecture.md`), so nothing waits
//! for them.

use crate::message::{Control, LimitType};

/// A window below this would ask for an acknowledgement with nearly every message; some servers announce
/// 4096 bytes, none less.
const MIN_WINDOW: u32 = 1024;

/// Byte totals and windows, both ways. Totals count the chunk stream, not the handshake, and wrap at 2^32 on
/// the wire only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// Bytes received.
    pub received: u64,
    /// Bytes received that were acknowledged to the peer.
    pub acknowledged: u64,
    /// After how many bytes the peer wants an acknowledgement; 0 until it has said so.
    pub peer_window: u32,
    /// Bytes the peer says it has received, unwrapped.
    pub peer_acknowledged: u64,
    /// The window acknowledgement size that we announced last; 0 before.
    pub announced_window: u32,
}

impl Flow {
    /// Counts bytes that came off the transport and tells the acknowledgement that is due now, if one is.
    pub fn received(&mut self, bytes: usize) -> Option<Control> {
        self.received = self.received.saturating_add(bytes as u64);
        // Half a window early, as FFmpeg and SRS do: a peer that counts strictly never sees a full window open.
        let due = u64::from(self.peer_window / 2);
        if self.peer_window == 0 || self.received.saturating_sub(self.acknowledged) < due {
            return None;
        }
        self.acknowledged = self.received;
        Some(Control::Acknowledgement(wrap(self.received)))
    }

    /// Takes the peer's Window Acknowledgement Size. Zero means nothing and is ignored.
    pub fn set_peer_window(&mut self, size: u32) {
        if size != 0 {
            self.peer_window = size.max(MIN_WINDOW);
        }
    }

    /// Takes the peer's Set Peer Bandwidth and tells the answer: a Window Acknowledgement Size when it
    /// differs from the one sent last. AWS MediaLive drops a connection that announces one twice.
    pub fn set_peer_bandwidth(&mut self, size: u32, limit: LimitType) -> Option<Control> {
        let size = match limit {
            LimitType::Soft if self.announced_window != 0 => size.min(self.announced_window),
            LimitType::Dynamic if self.announced_window != 0 => return None,
            LimitType::Hard | LimitType::Soft | LimitType::Dynamic | LimitType::Unknown(_) => size,
        };
        self.announce_window(size)
    }

    /// Announces `size` unless that is what was announced last.
    pub fn announce_window(&mut self, size: u32) -> Option<Control> {
        if size == 0 || size == self.announced_window {
            return None;
        }
        self.announced_window = size;
        Some(Control::WindowAckSize(size))
    }

    /// Takes the peer's Acknowledgement, a total modulo 2^32.
    pub fn acknowledged_by_peer(&mut self, sequence: u32) {
        let step = sequence.wrapping_sub(wrap(self.peer_acknowledged));
        // More than half the number space ahead is behind: a late or an odd acknowledgement.
        if step < 1 << 31 {
            self.peer_acknowledged = self.peer_acknowledged.saturating_add(u64::from(step));
        }
    }
}

fn wrap(total: u64) -> u32 {
    u32::try_from(total & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledges_every_half_window_and_not_before_one_is_known() {
        let mut flow = Flow::default();
        assert_eq!(flow.received(10_000_000), None);
        flow.acknowledged = flow.received;
        flow.set_peer_window(4096);
        assert_eq!(flow.received(2047), None);
        assert_eq!(flow.received(1), Some(Control::Acknowledgement(10_002_048)));
        assert_eq!(flow.received(2047), None);
    }

    #[test]
    fn acknowledgement_wraps_at_32_bits() {
        let mut flow = Flow {
            received: u64::from(u32::MAX),
            acknowledged: 0,
            ..Flow::default()
        };
        flow.set_peer_window(4096);
        assert_eq!(flow.received(6), Some(Control::Acknowledgement(5)));
    }

    #[test]
    fn tiny_and_zero_windows_do_not_start_a_storm() {
        let mut flow = Flow::default();
        flow.set_peer_window(0);
        assert_eq!(flow.received(1 << 20), None);
        flow.acknowledged = flow.received;
        flow.set_peer_window(1);
        assert_eq!(flow.received(511), None);
        assert!(flow.received(1).is_some());
    }

    #[test]
    fn bandwidth_is_answered_once() {
        let mut flow = Flow::default();
        assert_eq!(
            flow.set_peer_bandwidth(2_500_000, LimitType::Dynamic),
            Some(Control::WindowAckSize(2_500_000))
        );
        assert_eq!(flow.set_peer_bandwidth(2_500_000, LimitType::Dynamic), None);
        assert_eq!(flow.set_peer_bandwidth(5_000_000, LimitType::Dynamic), None);
        assert_eq!(flow.set_peer_bandwidth(5_000_000, LimitType::Soft), None);
        assert_eq!(
            flow.set_peer_bandwidth(1_000_000, LimitType::Hard),
            Some(Control::WindowAckSize(1_000_000))
        );
    }

    #[test]
    fn peer_totals_are_unwrapped_and_odd_ones_ignored() {
        let mut flow = Flow {
            peer_acknowledged: u64::from(u32::MAX - 5),
            ..Flow::default()
        };
        flow.acknowledged_by_peer(10);
        assert_eq!(flow.peer_acknowledged, (1 << 32) + 10);
        flow.acknowledged_by_peer(3);
        assert_eq!(flow.peer_acknowledged, (1 << 32) + 10);
    }
}
