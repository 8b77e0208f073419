//! The token bucket behind `peak-kbps`: how much may be written now, and when more may be.
//!
//! It is told the time and touches no socket. Where the system could pace a socket itself
//! (`SO_MAX_PACING_RATE`), no crate has a safe interface for it.

use std::time::{Duration, Instant};

/// How far ahead of the rate a write may run after a pause. Short against the buffers of routers on the way.
const BURST: Duration = Duration::from_millis(20);

/// Least to write at once, one TCP segment on Ethernet: a slow rate makes pauses rather than crumbs.
const SEGMENT: u64 = 1448;

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// Spreads writes so that they stay below a rate, counted over any time longer than a burst of 20 ms (or of
/// one TCP segment).
#[derive(Clone, Debug)]
pub struct Pacer {
    /// Bytes per second; 0 is no limit.
    rate: u64,
    /// What may be written, in bytes times nanoseconds a second so that no rounding adds up. Negative when
    /// more was written than allowed.
    credit: i128,
    /// When `credit` was right.
    since: Instant,
}

impl Pacer {
    /// A pacer for `kbps` thousands of bits a second, 0 for no limit, that may begin with a burst.
    #[must_use]
    pub fn new(kbps: u32, now: Instant) -> Self {
        let mut pacer = Self {
            rate: 0,
            credit: 0,
            since: now,
        };
        pacer.set_peak_kbps(kbps, now);
        pacer.credit = pacer.burst();
        pacer
    }

    /// Changes the rate from `now` on. What has been written before is not forgotten.
    pub fn set_peak_kbps(&mut self, kbps: u32, now: Instant) {
        self.settle(now);
        self.rate = u64::from(kbps) * 125;
        self.credit = self.credit.min(self.burst());
    }

    /// Bytes that may be written at `now`: `usize::MAX` without a limit, and 0 until it is worth a write.
    pub fn allowance(&mut self, now: Instant) -> usize {
        if self.rate == 0 {
            return usize::MAX;
        }
        self.settle(now);
        if self.credit < units(SEGMENT) {
            return 0;
        }
        usize::try_from(self.credit / NANOS_PER_SECOND).unwrap_or(usize::MAX)
    }

    /// Takes `bytes` that were written off the last allowance. More than that is made up for by a longer
    /// pause.
    pub fn spent(&mut self, bytes: usize) {
        if self.rate != 0 {
            self.credit -= units(bytes as u64);
        }
    }

    /// When [`Pacer::allowance`] will next be more than 0; none if it already is at `now`.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let missing = units(SEGMENT) - self.credit_at(now);
        if self.rate == 0 || missing <= 0 {
            return None;
        }
        // Rounded up: a nanosecond early would be a wait for nothing.
        let nanos = missing.cast_unsigned().div_ceil(u128::from(self.rate));
        now.checked_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn burst(&self) -> i128 {
        (i128::from(self.rate) * BURST.as_nanos().cast_signed()).max(units(SEGMENT))
    }

    fn credit_at(&self, now: Instant) -> i128 {
        let elapsed = now.saturating_duration_since(self.since).as_nanos();
        // Both factors are below 2^64, but for a pause of more than 584 years.
        let gained = i128::from(self.rate).saturating_mul(elapsed.cast_signed());
        self.credit.saturating_add(gained).min(self.burst())
    }

    fn settle(&mut self, now: Instant) {
        self.credit = self.credit_at(now);
        self.since = self.since.max(now);
    }
}

fn units(bytes: u64) -> i128 {
    i128::from(bytes) * NANOS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Writes all that is allowed, as soon as it is, for `time`; the bytes written.
    fn write_flat_out(pacer: &mut Pacer, start: Instant, time: Duration) -> usize {
        let (mut now, mut written) = (start, 0);
        while now < start + time {
            let allowed = pacer.allowance(now);
            if let Some(next) = pacer.next(now) {
                assert_eq!(allowed, 0);
                assert!(next > now);
                now = next;
            } else {
                assert!(allowed as u64 >= SEGMENT);
                pacer.spent(allowed);
                written += allowed;
            }
        }
        written
    }

    #[test]
    fn zero_is_no_limit() {
        let now = Instant::now();
        let mut pacer = Pacer::new(0, now);
        pacer.spent(usize::MAX);
        assert_eq!(pacer.allowance(now), usize::MAX);
        assert_eq!(pacer.next(now), None);
    }

    #[test]
    fn holds_the_rate_from_slow_to_fast() {
        for kbps in [64, 1000, 4500, 100_000] {
            let start = Instant::now();
            let mut pacer = Pacer::new(kbps, start);
            let written = write_flat_out(&mut pacer, start, 10 * SECOND) as f64;
            let rate = f64::from(kbps) * 125.0;
            let burst = (rate * BURST.as_secs_f64()).max(SEGMENT as f64);
            assert!((written - rate * 10.0).abs() <= burst + 1.0, "{kbps}: {written}");
        }
    }

    #[test]
    fn the_highest_rate_and_the_longest_pause_do_not_overflow() {
        let start = Instant::now();
        let mut pacer = Pacer::new(u32::MAX, start);
        let burst = u64::from(u32::MAX) * 125 / 50;
        let century = 100 * 365 * 24 * 3600 * SECOND;
        assert_eq!(pacer.allowance(start + century) as u64, burst);
        pacer.spent(usize::MAX);
        assert_eq!(pacer.allowance(start + century), 0);
        // 2^64 bytes at 537 GB/s are paid back after more than a year.
        assert!(pacer.next(start + century).unwrap() > start + century + 365 * 24 * 3600 * SECOND);
    }

    #[test]
    fn next_is_exactly_when_a_segment_is_allowed() {
        let start = Instant::now();
        let mut pacer = Pacer::new(3000, start);
        let burst = pacer.allowance(start);
        assert_eq!(burst, 7500);
        assert_eq!(pacer.next(start), None);
        pacer.spent(burst);
        let next = pacer.next(start).unwrap();
        assert_eq!(pacer.allowance(next - Duration::from_nanos(1)), 0);
        assert_eq!(pacer.allowance(next), SEGMENT as usize);
        assert_eq!(pacer.next(next), None);
    }

    #[test]
    fn a_pause_earns_no_more_than_a_burst() {
        let start = Instant::now();
        let mut pacer = Pacer::new(8000, start);
        assert_eq!(pacer.allowance(start + 3600 * SECOND), 20_000);
        pacer.spent(20_000);
        assert_eq!(pacer.allowance(start + 3600 * SECOND), 0);
    }

    #[test]
    fn writing_too_much_is_paid_back() {
        let start = Instant::now();
        let mut pacer = Pacer::new(8, start);
        assert_eq!(pacer.allowance(start), SEGMENT as usize);
        pacer.spent(10_000);
        let debt = Duration::from_secs(10_000 / 1000);
        assert_eq!(pacer.next(start), Some(start + debt));
        assert_eq!(pacer.allowance(start + debt), SEGMENT as usize);
    }

    #[test]
    fn the_rate_changes_while_running() {
        let start = Instant::now();
        let mut pacer = Pacer::new(100_000, start);
        assert_eq!(pacer.allowance(start), 250_000);
        pacer.set_peak_kbps(1000, start);
        assert_eq!(pacer.allowance(start), 2500);
        pacer.spent(2500);
        pacer.set_peak_kbps(0, start);
        assert_eq!(pacer.allowance(start), usize::MAX);
        let later = start + SECOND;
        pacer.set_peak_kbps(2000, later);
        assert_eq!(pacer.next(later), Some(later + Duration::from_nanos(1448 * 4000)));
        let written = write_flat_out(&mut pacer, later, SECOND);
        assert!((245_000..=255_000).contains(&written), "{written}");
    }

    #[test]
    fn time_that_stands_still_or_goes_back_allows_nothing() {
        let start = Instant::now() + SECOND;
        let mut pacer = Pacer::new(1000, start);
        let burst = pacer.allowance(start);
        pacer.spent(burst);
        assert_eq!(pacer.allowance(start - SECOND), 0);
        assert_eq!(pacer.allowance(start), 0);
    }
}
