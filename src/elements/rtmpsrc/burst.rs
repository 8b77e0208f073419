//! Tells what a server sends in one burst, from its cache or after a pause, from a stream at its own pace.

use std::time::{Duration, Instant};

use crate::timestamp::Timestamp;

/// A burst is over when nothing has come for this long.
const PAUSE: Duration = Duration::from_millis(20);

/// How long the pace is measured. Several frames, and the round trips of most networks.
const WINDOW: Duration = Duration::from_millis(60);

/// Media that comes no faster than this many times its own duration does not come in a burst.
const PACE: u32 = 2;

/// A burst is over after this long in any case.
const LONGEST: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Burst {
    end: Instant,
    /// Begin of the window, and the media time then.
    since: Instant,
    from: Option<Timestamp>,
    /// The latest media time.
    reached: Option<Timestamp>,
}

impl Burst {
    /// A burst that begins now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            end: now + LONGEST,
            since: now,
            from: None,
            reached: None,
        }
    }

    /// A frame has come.
    pub(super) fn note(&mut self, timestamp: Timestamp) {
        self.from.get_or_insert(timestamp);
        if self.reached.is_none_or(|reached| timestamp.since(reached) > 0) {
            self.reached = Some(timestamp);
        }
    }

    /// How long to wait for the next frame; `None` when the burst is over.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            let advance = match (self.from, self.reached) {
                (Some(from), Some(reached)) => reached.since(from).max(0).unsigned_abs(),
                _ => 0,
            };
            if Duration::from_millis(advance.into()) < elapsed * PACE {
                return None;
            }
            self.since = now;
            self.from = self.reached;
        }
        (now < self.end).then(|| (now + PAUSE).min(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the burst ends, in milliseconds, if a frame of `step` ms comes every `every` ms.
    fn end_of(step: u32, every: u32) -> u32 {
        let start = Instant::now();
        let mut burst = Burst::new(start);
        let mut frames = 0;
        loop {
            let elapsed = frames * every;
            let now = start + Duration::from_millis(elapsed.into());
            let Some(deadline) = burst.deadline(now) else {
                return elapsed;
            };
            if deadline < now + Duration::from_millis(every.into()) {
                return elapsed + every;
            }
            burst.note(Timestamp::from_millis(u32::MAX - 100).advanced(frames * step));
            frames += 1;
        }
    }

    #[test]
    fn a_stream_at_its_own_pace_is_no_burst() {
        for (step, every) in [(10, 10), (16, 16), (5, 5), (20, 12), (0, 1)] {
            assert!(end_of(step, every) < 80, "{step} ms every {every} ms");
        }
    }

    #[test]
    fn silence_ends_a_burst() {
        assert_eq!(end_of(1000, 21), 21);
    }

    #[test]
    fn a_burst_lasts_while_it_is_ahead_of_time() {
        assert!(end_of(40, 10) >= 2000);
        assert!(end_of(1000, 19) >= 2000);
    }
}
