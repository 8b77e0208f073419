//! Running times of buffers -> times of the stream, which begin with 0.

/// Where the stream's 0 lies in running time, which may be negative, as of encoders that reorder pictures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeline {
    origin: Option<i128>,
}

/// When a buffer is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Times {
    /// Running times in nanoseconds: of decoding, and of presentation.
    pub(crate) dts: i128,
    pub(crate) pts: i128,
}

impl Times {
    /// Of a buffer in its pad's segment; what lies outside of the segment has a running time too. `None` if it has
    /// no timestamp at all.
    pub(crate) fn of(buffer: &gst::BufferRef, segment: &gst::Segment) -> Option<Self> {
        let segment = segment.downcast_ref::<gst::ClockTime>()?;
        let running = |time: Option<gst::ClockTime>| Some(nanoseconds(segment.to_running_time_full(time?)?));
        let (dts, pts) = (running(buffer.dts()), running(buffer.pts()));
        let (dts, pts) = (dts.or(pts)?, pts.or(dts)?);
        Some(Self { dts, pts })
    }
}

fn nanoseconds(time: gst::Signed<gst::ClockTime>) -> i128 {
    match time {
        gst::Signed::Positive(time) => time.nseconds().into(),
        gst::Signed::Negative(time) => -i128::from(time.nseconds()),
    }
}

impl Timeline {
    /// Whether the first buffer has been placed.
    pub(crate) const fn has_started(self) -> bool {
        self.origin.is_some()
    }

    /// Where the stream begins, once it has.
    pub(crate) const fn origin(self) -> Option<i128> {
        self.origin
    }

    /// Begins the stream at `origin`, in nanoseconds of running time.
    pub(crate) const fn start(&mut self, origin: i128) {
        self.origin = Some(origin);
    }

    /// Times of the stream: decoding never before 0 nor before `last`, presentation never before 0.
    pub(crate) fn place(
        self,
        times: Times,
        last: Option<gst::ClockTime>,
    ) -> (gst::ClockTime, gst::ClockTime) {
        let origin = self.origin.unwrap_or(times.dts);
        let (dts, pts) = (clock_time(times.dts - origin), clock_time(times.pts - origin));
        (last.map_or(dts, |last| dts.max(last)), pts)
    }
}

/// From nanoseconds; 0 if they are negative.
pub(crate) fn clock_time(nanoseconds: i128) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX - 1))
}

/// From milliseconds; 0 if they are negative. After some 500 years time stands still: timestamps of a peer that leap by
/// half their range are there after a few thousand tags.
pub(crate) fn clock_time_of_millis(millis: i64) -> gst::ClockTime {
    clock_time(i128::from(millis) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(dts: Option<u64>, pts: Option<u64>) -> gst::Buffer {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        let writable = buffer.get_mut().unwrap();
        writable.set_dts(dts.map(gst::ClockTime::from_mseconds));
        writable.set_pts(pts.map(gst::ClockTime::from_mseconds));
        buffer
    }

    #[test]
    fn decoding_before_the_segment_has_a_negative_running_time() {
        gst::init().unwrap();
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_seconds(3600));
        let segment = segment.upcast();
        let times = Times::of(&buffer(Some(3_599_960), Some(3_600_000)), &segment).unwrap();
        assert_eq!(
            times,
            Times {
                dts: -40_000_000,
                pts: 0
            }
        );
        let mut timeline = Timeline::default();
        timeline.start(times.dts);
        let (dts, pts) = timeline.place(times, None);
        assert_eq!((dts.mseconds(), pts.mseconds()), (0, 40));
    }

    #[test]
    fn one_timestamp_stands_in_for_the_other() {
        gst::init().unwrap();
        let segment = gst::FormattedSegment::<gst::ClockTime>::new().upcast();
        let both = Some(Times {
            dts: 5_000_000,
            pts: 5_000_000,
        });
        assert_eq!(Times::of(&buffer(None, Some(5)), &segment), both);
        assert_eq!(Times::of(&buffer(Some(5), None), &segment), both);
        assert_eq!(Times::of(&buffer(None, None), &segment), None);
    }

    #[test]
    fn time_beyond_what_clocks_have_stands_still() {
        assert_eq!(clock_time_of_millis(-1), gst::ClockTime::ZERO);
        assert_eq!(clock_time_of_millis(40).mseconds(), 40);
        assert_eq!(clock_time_of_millis(i64::MAX), gst::ClockTime::MAX);
        assert_eq!(clock_time(i128::MAX), gst::ClockTime::MAX);
    }

    #[test]
    fn a_track_never_runs_backward() {
        let mut timeline = Timeline::default();
        timeline.start(1_000);
        let (dts, _) = timeline.place(Times { dts: 500, pts: 500 }, None);
        assert_eq!(dts, gst::ClockTime::ZERO);
        let last = Some(gst::ClockTime::from_nseconds(900));
        let (dts, pts) = timeline.place(
            Times {
                dts: 1_500,
                pts: 1_700,
            },
            last,
        );
        assert_eq!((dts.nseconds(), pts.nseconds()), (900, 700));
    }
}
