//! Message timestamps: 32 bits of milliseconds that wrap every 49.7 days, RTMP 1.0 section 4.
//!
//! [`Timestamp`] is what is on the wire; [`Timeline`] turns a run of them into 64 bits that do not wrap.

/// Milliseconds modulo 2^32 since an epoch that the sender chose.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Timestamp(u32);

impl Timestamp {
    /// The start of the sender's epoch.
    pub const ZERO: Self = Self(0);

    /// From the 32 bits on the wire.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis)
    }

    /// The 32 bits on the wire.
    #[must_use]
    pub const fn millis(self) -> u32 {
        self.0
    }

    /// This timestamp moved forward by `delta` milliseconds, across the wrap if need be.
    #[must_use]
    pub const fn advanced(self, delta: u32) -> Self {
        Self(self.0.wrapping_add(delta))
    }

    /// Milliseconds from `earlier` to `self` by serial number arithmetic (RFC 1982): negative when `self`
    /// is up to 2^31 ms before `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// A run of timestamps laid out on 64 bits: each one is placed within 24.8 days of the one before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeline {
    last: Option<i64>,
}

impl Timeline {
    /// A timeline that starts at the value of its first timestamp.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// Milliseconds of `timestamp` on this timeline. Negative only when the first timestamps run backward
    /// across zero.
    pub fn place(&mut self, timestamp: Timestamp) -> i64 {
        let placed = match self.last {
            None => i64::from(timestamp.millis()),
            Some(last) => {
                // Truncation is the point: the low 32 bits of the last position are its timestamp.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let last_timestamp = Timestamp::from_millis(last as u32);
                last.saturating_add(i64::from(timestamp.since(last_timestamp)))
            }
        };
        self.last = Some(placed);
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_arithmetic_crosses_the_wrap() {
        let before = Timestamp::from_millis(4_000_000_000);
        let after = Timestamp::from_millis(10_000);
        assert_eq!(after.since(before), 294_977_296);
        assert_eq!(before.since(after), -294_977_296);
        assert_eq!(Timestamp::from_millis(u32::MAX).advanced(2).millis(), 1);
    }

    #[test]
    fn timeline_counts_on_past_the_wrap_and_back() {
        let mut timeline = Timeline::new();
        let at = |t: &mut Timeline, ms| t.place(Timestamp::from_millis(ms));
        assert_eq!(at(&mut timeline, 4_294_967_290), 4_294_967_290);
        assert_eq!(at(&mut timeline, 4), 4_294_967_300);
        assert_eq!(at(&mut timeline, 4_294_967_295), 4_294_967_295);
        assert_eq!(at(&mut timeline, 40), 4_294_967_336);
    }
}
