//! Timestamps of tags -> times of a segment, which neither wrap nor leap back when a publisher starts over.

use crate::timestamp::{Timeline, Timestamp};

/// A track that steps back by more than this has been started over, flvdemux's figure. By less, its muxer put
/// tags out of order.
const RESTART: i64 = 2000;

/// Longest pause of a sender, in milliseconds, over which its timestamps are believed to have wrapped. Otherwise they
/// have started over, after more than a month.
const LONGEST_PAUSE: i64 = 3_600_000;

/// A stream that begins with such a timestamp begins before 0, in the signed reading of FLV 10.1.
const SIGNED_LIMIT: i64 = 1 << 31;

/// Where a frame lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Placed {
    /// Milliseconds, not negative.
    pub(super) at: i64,
    /// The sender started over: what was at another time by its timestamp goes on where the stream was.
    pub(super) is_restart: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    timeline: Timeline,
    /// What is added to the timeline for the segment's time.
    offset: i64,
    previous: Option<Timestamp>,
    /// The latest time of any track.
    last: Option<i64>,
}

impl Clock {
    /// A clock by which a frame of `timestamp` is at `at`.
    pub(super) fn tied(timestamp: Timestamp, at: i64) -> Self {
        let mut clock = Self::default();
        clock.offset = at.saturating_sub(clock.timeline.place(timestamp));
        clock
    }

    /// The latest time, at which belongs what has none of its own.
    pub(super) fn now(&self) -> i64 {
        self.last.unwrap_or_default()
    }

    /// Whether a frame was placed.
    pub(super) const fn has_started(&self) -> bool {
        self.last.is_some()
    }

    /// Places a frame of a track whose last one was at `before`.
    pub(super) fn place(&mut self, timestamp: Timestamp, before: Option<i64>) -> Placed {
        let on_timeline = self.timeline.place(timestamp);
        if self.previous.is_none() && self.offset == 0 && on_timeline >= SIGNED_LIMIT {
            self.offset = -on_timeline;
        }
        let mut at = on_timeline.saturating_add(self.offset);
        let is_smaller = self
            .previous
            .is_some_and(|previous| timestamp.millis() < previous.millis());
        self.previous = Some(timestamp);
        let mut is_restart = false;
        if let Some(last) = self.last {
            let leaps_back = at < before.unwrap_or(last).saturating_sub(RESTART);
            let leaps_over_the_wrap = is_smaller && at > last.saturating_add(LONGEST_PAUSE);
            if leaps_back || leaps_over_the_wrap {
                self.offset = self.offset.saturating_add(last.saturating_sub(at));
                at = last;
                is_restart = true;
            }
        }
        let at = at.max(0);
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        Placed { at, is_restart }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: &mut Clock, millis: u32, before: Option<i64>) -> (i64, bool) {
        let placed = clock.place(Timestamp::from_millis(millis), before);
        (placed.at, placed.is_restart)
    }

    #[test]
    fn time_goes_on_over_the_wrap() {
        let mut clock = Clock::default();
        at(&mut clock, 2_000_000_000, None);
        let wrap: i64 = 1 << 32;
        for (timestamp, expected) in [
            (4_000_000_000, 4_000_000_000),
            (4_294_967_290, 4_294_967_290),
            (4, wrap + 4),
            (4_294_967_295, wrap - 1),
            (2_000_000, wrap + 2_000_000),
            (2_000_000_000, wrap + 2_000_000_000),
            (4_000_000_000, wrap + 4_000_000_000),
            (4_294_967_290, 2 * wrap - 6),
            (3_000_000, 2 * wrap + 3_000_000),
        ] {
            assert_eq!(at(&mut clock, timestamp, None), (expected, false));
        }
    }

    #[test]
    fn a_long_pause_over_the_wrap_is_a_restart() {
        let mut clock = Clock::default();
        at(&mut clock, 2_000_000_000, None);
        at(&mut clock, 3_600_000_000, None);
        assert_eq!(at(&mut clock, 0, None), (3_600_000_000, true));
        assert_eq!(at(&mut clock, 40, None), (3_600_000_040, false));
    }

    #[test]
    fn a_start_before_0_is_at_0() {
        let mut clock = Clock::default();
        assert_eq!(at(&mut clock, u32::MAX - 15, None), (0, false));
        assert_eq!(at(&mut clock, 24, Some(0)), (40, false));
    }

    #[test]
    fn a_restart_goes_on_at_the_latest_time() {
        let mut clock = Clock::default();
        at(&mut clock, 60_000, None);
        at(&mut clock, 59_900, None);
        assert_eq!(at(&mut clock, 0, Some(59_900)), (60_000, true));
        assert_eq!(at(&mut clock, 20, Some(60_000)), (60_020, false));
    }

    #[test]
    fn a_track_that_lags_has_not_started_over() {
        let mut clock = Clock::default();
        at(&mut clock, 5000, None);
        assert_eq!(at(&mut clock, 1000, Some(980)), (1000, false));
        assert_eq!(at(&mut clock, 900, Some(1000)), (900, false), "out of order");
    }

    #[test]
    fn a_tied_clock_keeps_its_distance() {
        let mut clock = Clock::tied(Timestamp::from_millis(7_000_000), 40);
        assert_eq!(at(&mut clock, 7_000_000, None), (40, false));
        assert_eq!(at(&mut clock, 7_000_100, None), (140, false));
        let mut clock = Clock::tied(Timestamp::from_millis(10), 1 << 40);
        assert_eq!(at(&mut clock, 50, None), ((1 << 40) + 40, false));
        assert_eq!(at(&mut clock, 5, None), ((1 << 40) - 5, false));
    }
}
