//! What the demuxer puts out: [`Action`]s in order, the frames among them in a segment. Until pads appear, what is for
//! them is held.

use std::mem;

use super::track::TrackId;
use crate::elements::track::clock_time_of_millis;

/// Longest time that frames wait for other tracks, in milliseconds of the stream.
const LONGEST_HOLD: i64 = 200;

/// Most bytes that wait for other tracks, in case the stream's time stands still.
const MAX_HELD_BYTES: usize = 16 << 20;

/// Most frames that wait for other tracks, as above.
const MAX_HELD_FRAMES: usize = 1024;

/// A stream that begins earlier is taken to begin at 0, in milliseconds: a recording whose first frame is not at 0
/// precisely, and not a live stream that was joined.
const LATE: i64 = 1000;

/// What is to be done, in order.
#[derive(Debug)]
pub(super) enum Action {
    /// Buffers are in this segment from now on.
    Segment(gst::Event),
    /// Tags of the whole stream, in place of those before.
    Tags(gst::TagList),
    /// Tracks whose pads appear together.
    Add(Vec<NewTrack>),
    /// No more are expected.
    NoMorePads,
    Caps(TrackId, gst::Caps),
    TrackTags(TrackId, gst::TagList),
    Buffer(TrackId, gst::Buffer),
    /// Nothing comes from here on, for the time if it is known.
    Gap(TrackId, gst::ClockTime, Option<gst::ClockTime>),
    /// Script data, for the application.
    Script(gst::Structure),
    /// A sentence for people.
    Warning(String),
}

/// A track whose pad appears.
#[derive(Debug)]
pub(super) struct NewTrack {
    pub(super) id: TrackId,
    pub(super) caps: gst::Caps,
    pub(super) tags: Option<gst::TagList>,
}

/// Where times come from.
#[derive(Debug)]
enum Segment {
    /// Nobody has said: it starts with the first frame.
    Own(gst::Seqnum),
    /// Upstream's.
    Upstream(gst::FormattedSegment<gst::ClockTime>),
    /// Either, with frames in it.
    Begun(gst::FormattedSegment<gst::ClockTime>),
}

/// What waits for pads.
#[derive(Debug, Default)]
struct Held {
    /// Milliseconds at the first frame.
    since: Option<i64>,
    actions: Vec<Action>,
    frames: usize,
    bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Output {
    segment: Segment,
    /// `None` once pads have appeared.
    held: Option<Held>,
    actions: Vec<Action>,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            segment: Segment::Own(gst::Seqnum::next()),
            held: Some(Held::default()),
            actions: Vec::new(),
        }
    }

    /// All that is to be done by now.
    pub(super) fn take(&mut self) -> Vec<Action> {
        mem::take(&mut self.actions)
    }

    /// Whether there are no pads yet.
    pub(super) const fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Whether frames wait for pads.
    pub(super) fn has_frames(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.since.is_some())
    }

    /// Whether frames have waited for long enough.
    pub(super) fn is_overdue(&self, now: i64) -> bool {
        self.held.as_ref().is_some_and(|held| {
            held.since
                .is_some_and(|since| now.saturating_sub(since) >= LONGEST_HOLD)
                || held.frames > MAX_HELD_FRAMES
                || held.bytes > MAX_HELD_BYTES
        })
    }

    /// Whether the segment is upstream's, and frames are where their buffers are.
    pub(super) const fn is_upstreams(&self) -> bool {
        matches!(self.segment, Segment::Upstream(_))
    }

    /// The time of the stream at `at`.
    pub(super) fn stream_time(&self, at: i64) -> Option<gst::ClockTime> {
        match &self.segment {
            Segment::Own(_) | Segment::Upstream(_) => None,
            Segment::Begun(segment) => segment.to_stream_time(time(at)),
        }
    }

    /// Takes over upstream's segment if it is in time; if not, starts an own one with the next frame.
    pub(super) fn set_segment(&mut self, event: &gst::event::Segment) {
        self.segment = match event.segment().downcast_ref::<gst::ClockTime>() {
            Some(segment) => {
                self.now(Action::Segment(event.to_owned().into()));
                Segment::Upstream(segment.clone())
            }
            None => Segment::Own(event.seqnum()),
        };
    }

    /// Forgets what was in flight.
    pub(super) fn flush(&mut self) {
        self.segment = Segment::Own(gst::Seqnum::next());
        self.actions.clear();
        if let Some(held) = &mut self.held {
            *held = Held::default();
        }
    }

    /// Puts out what is not in the order of the frames.
    pub(super) fn now(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Puts out something that is for a pad and at `at`, or holds it.
    pub(super) fn put(&mut self, at: i64, action: Action) {
        let buffer = match &action {
            Action::Buffer(_, buffer) => Some(buffer),
            _ => None,
        };
        if let Some(held) = &mut self.held {
            if let Some(buffer) = buffer {
                held.since.get_or_insert(at);
                held.frames += 1;
                held.bytes += buffer.size();
            }
            held.actions.push(action);
            return;
        }
        if !matches!(action, Action::Caps(..)) {
            let pts = buffer.and_then(|buffer| buffer.pts());
            self.begin_segment(pts.map_or(time(at), |pts| pts.min(time(at))));
        }
        self.actions.push(action);
    }

    /// Lets pads appear, and what was held for them follow.
    pub(super) fn release(&mut self, tracks: Vec<NewTrack>) {
        let Some(held) = self.held.take() else {
            self.actions.push(Action::Add(tracks));
            return;
        };
        let times = held.actions.iter().filter_map(|action| match action {
            Action::Buffer(_, buffer) => buffer.dts().into_iter().chain(buffer.pts()).min(),
            Action::Gap(_, at, _) => Some(*at),
            _ => None,
        });
        if let Some(first) = times.min() {
            self.begin_segment(first);
        }
        self.actions.push(Action::Add(tracks));
        self.actions.push(Action::NoMorePads);
        self.actions.extend(held.actions);
    }

    /// Makes sure that there is a segment, in which the first frame is at `first`.
    fn begin_segment(&mut self, first: gst::ClockTime) {
        match &self.segment {
            Segment::Begun(_) => {}
            Segment::Upstream(segment) => self.segment = Segment::Begun(segment.clone()),
            Segment::Own(seqnum) => {
                let mut segment = gst::FormattedSegment::new();
                if first >= time(LATE) {
                    segment.set_start(first);
                    segment.set_position(first);
                }
                let event = gst::event::Segment::builder(&segment).seqnum(*seqnum);
                self.actions.push(Action::Segment(event.build()));
                self.segment = Segment::Begun(segment);
            }
        }
    }
}

/// Milliseconds of the stream, none of which is negative.
pub(super) fn time(millis: i64) -> gst::ClockTime {
    clock_time_of_millis(millis)
}
