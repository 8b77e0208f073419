//! Packets of the plain handshake, RTMP 1.0 sections 5.2.3 (C1, S1) and 5.2.4 (C2, S2).

use super::entropy::Entropy;

/// Bytes of C1, S1, C2 and S2 alike.
pub(super) const PACKET_SIZE: usize = 1536;

/// C1, S1, C2 or S2.
pub(super) type Packet = [u8; PACKET_SIZE];

/// C1 or S1: our time in milliseconds, four zero bytes, random filler.
pub(super) fn offer(time: u32, entropy: &mut Entropy) -> Packet {
    let mut packet = [0; PACKET_SIZE];
    entropy.fill(&mut packet[8..]);
    set_time(&mut packet, time);
    packet
}

/// Puts our time into C1 or S1.
pub(super) fn set_time(packet: &mut Packet, time: u32) {
    packet[..4].copy_from_slice(&time.to_be_bytes());
}

/// C2 or S2: what the peer offered, with the time at which we read it in bytes 4..8.
pub(super) fn echo(peer: &Packet, read_time: u32) -> Packet {
    let mut packet = *peer;
    packet[4..8].copy_from_slice(&read_time.to_be_bytes());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offer_is_time_zero_and_filler() {
        let packet = offer(0x0102_0304, &mut Entropy::new([7; 32]));
        assert_eq!(packet[..8], [1, 2, 3, 4, 0, 0, 0, 0]);
        let mut filler = [0; PACKET_SIZE - 8];
        Entropy::new([7; 32]).fill(&mut filler);
        assert_eq!(packet[8..], filler);
    }

    #[test]
    fn echo_changes_only_the_second_time() {
        let peer = offer(1, &mut Entropy::new([7; 32]));
        let packet = echo(&peer, 0x0a0b_0c0d);
        assert_eq!(packet[..8], [0, 0, 0, 1, 0x0a, 0x0b, 0x0c, 0x0d]);
        assert_eq!(packet[8..], peer[8..]);
    }
}
