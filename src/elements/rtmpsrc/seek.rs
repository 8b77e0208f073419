//! Recordings: how long they are, and seeking in them.
//!
//! A flushing seek in time becomes NetStream.seek. The thread that seeks holds the streaming thread's lock, so that it
//! may take events in its stead: everything that comes before the server's Seek.Notify is from where the stream was,
//! and dropped. It waits as long as any reply may take, or until the base class wants it back.
//!
//! Where the server has gone shows with the first frame, mostly the key frame at or before the position. There the new
//! segment starts; only for an accurate seek does it start at the position itself, so that the frames up to it are
//! decoded and not shown.

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::imp::{CAT, RtmpSrc};
use super::stream::{Position, Segment, Stream, time};
use super::tags::is_header;
use crate::elements::{lock, note_swf_verification};
use crate::session::{Event, Media, Order, Recording, SeekFailure};
use crate::transport::{Connection, Stopped};

/// Headers that are kept of what comes before the answer to a seek.
const MAX_KEPT: usize = 64;

/// What is going on with seeks.
#[derive(Default)]
pub(crate) struct Seeks {
    /// The one that the base class is about to perform.
    wanted: Option<gst::SeekFlags>,
    /// The last, and whether it was successful: it comes by every pad of a demuxer.
    last: Option<(gst::Seqnum, bool)>,
}

impl RtmpSrc {
    /// Has the base class seek by `perform`, if the seek is one that can be done.
    pub(super) fn seek(&self, event: &gst::event::Seek, perform: impl FnOnce() -> bool) -> bool {
        let seqnum = event.seqnum();
        if let Some((_, done)) = lock(&self.seeks).last.filter(|(last, _)| *last == seqnum) {
            return done;
        }
        let (rate, flags, start_type, start, stop_type, _) = event.get();
        let refusal = if lock(&self.stream).recording.is_none() {
            Some("the stream is not known to be a recording")
        } else if start.format() != gst::Format::Time {
            Some("only times can be sought")
        } else if rate != 1.0 {
            Some("a server sends at one rate only")
        } else if !flags.contains(gst::SeekFlags::FLUSH) {
            Some("what was sent before cannot be followed by what is sent after without a flush")
        } else if start_type == gst::SeekType::End || stop_type == gst::SeekType::End {
            Some("positions count from the start")
        } else {
            None
        };
        if let Some(refusal) = refusal {
            gst::info!(CAT, imp = self, "no seek: {refusal}");
            return false;
        }
        lock(&self.seeks).wanted = Some(flags);
        let done = perform();
        let mut seeks = lock(&self.seeks);
        seeks.wanted = None;
        seeks.last = Some((seqnum, done));
        done
    }

    /// Seeks to where `segment` is; `None` if nobody has asked for that.
    pub(super) fn perform_seek(&self, segment: &gst::Segment) -> Option<bool> {
        let flags = lock(&self.seeks).wanted.take()?;
        let segment = segment.downcast_ref::<gst::ClockTime>()?;
        let connection = lock(&self.connection).clone()?;
        let target = segment.position().or(segment.start()).unwrap_or_default();
        // Beyond 49 days there is nothing to go to.
        let Ok(position) = u32::try_from(target.mseconds()) else {
            return Some(false);
        };
        let is_accurate = flags.contains(gst::SeekFlags::ACCURATE);
        let asked = {
            let tags = &lock(&self.stream).tags;
            let key_frame = tags.key_frame(position, flags);
            key_frame.map(|key_frame| tags.position_of(key_frame, is_accurate))
        };
        let position = asked.unwrap_or(position);
        gst::debug!(CAT, imp = self, "seeking to {target} by {position} ms");
        let (done, headers) = self.go_to(&connection, position);
        if !lock(&self.settings).1.is_live {
            // After a flush a pipeline that is paused waits for a frame, which a server that is paused may not send.
            self.end_pause();
        }
        let mut stream = lock(&self.stream);
        if done {
            stream.jump();
        } else {
            stream.forget_frames();
        }
        // Even in vain, it has flushed.
        stream.sought = Some(Position {
            asked: asked.filter(|_| done),
            exact: (done && is_accurate).then_some(target),
            stop: if done { segment.stop() } else { None },
            flags: if done {
                segment.flags()
            } else {
                gst::SegmentFlags::empty()
            },
        });
        drop(stream);
        self.put_out(headers);
        Some(done)
    }

    /// Has the server go to a position, in milliseconds, and awaits its answer; what of the headers that came before
    /// it is to be kept.
    fn go_to(&self, connection: &Connection, position: u32) -> (bool, Vec<Media>) {
        let mut headers = Vec::new();
        let Some(wake) = self.wake.get() else {
            return (false, headers);
        };
        if !matches!(connection.order_now(&Order::Seek(position)), Ok(true)) {
            return (false, headers);
        }
        loop {
            match connection.next_event(wake, None) {
                Ok(Event::Sought(Ok(()))) => return (true, headers),
                Ok(Event::Sought(Err(failure))) => {
                    self.tell_seek_failure(&failure);
                    return (false, headers);
                }
                Ok(Event::Media(media)) => {
                    if is_header(&media) && headers.len() < MAX_KEPT {
                        headers.push(media);
                    }
                }
                Ok(Event::Status(status)) => self.tell(&status),
                Ok(Event::Recorded(recording)) => self.note_recording(recording),
                Ok(Event::SwfVerification(outcome)) => note_swf_verification(&*self.obj(), *CAT, outcome),
                // The stream had ended, and an end that came before the answer is not one.
                Ok(Event::Eof | Event::Idle | Event::Resumed | Event::Switched) => {}
                Ok(event @ Event::Closed(_)) => {
                    lock(&self.stream).next = Some(event);
                    return (false, headers);
                }
                Ok(
                    Event::Connected
                    | Event::Ready
                    | Event::TokenWanted
                    | Event::Requested(_)
                    | Event::Receives(..),
                ) => {}
                Err(Stopped::Interrupted) if !self.must_stop(wake) => {}
                // The streaming thread meets it again.
                Err(_) => return (false, headers),
            }
        }
    }

    pub(super) fn tell_seek_failure(&self, failure: &SeekFailure) {
        match failure {
            SeekFailure::Refused(status) => self.tell(status),
            SeekFailure::Unanswered => {
                gst::warning!(CAT, imp = self, "the server has not answered a seek in time");
            }
        }
    }

    /// The stream is a recording, or more is known of it.
    pub(super) fn note_recording(&self, recording: Recording) {
        let (before, after) = {
            let mut stream = lock(&self.stream);
            let before = stream.duration();
            stream.recording = Some(recording);
            (before, stream.duration())
        };
        gst::info!(CAT, imp = self, "a recording, of {}", after.display());
        if before != after {
            self.tell_duration();
        }
    }

    pub(super) fn tell_duration(&self) {
        let obj = self.obj();
        let message = gst::message::DurationChanged::builder().src(&*obj);
        // Refused only by an element without a bus, which nobody listens to.
        let _ = obj.post_message(message.build());
    }

    /// Whether it can be sought in, and where it ends.
    pub(super) fn reach(&self) -> (bool, Option<gst::ClockTime>) {
        let stream = lock(&self.stream);
        (stream.recording.is_some(), stream.duration())
    }

    /// What there is to the segment that starts with the frame of `start`, in a recording.
    pub(super) fn position(&self, stream: &mut Stream, start: i64) -> Option<Position> {
        stream.recording?;
        let Some(mut sought) = stream.sought.take() else {
            let stop = lock(&self.settings).0.stop();
            return Some(Position {
                stop: stop.and_then(|stop| gst::ClockTime::try_from(stop).ok()),
                exact: None,
                asked: None,
                flags: gst::SegmentFlags::empty(),
            });
        };
        if let Some(asked) = sought.asked {
            stream.tags.learn_landing(asked, start);
        }
        // Nothing comes between the position and a key frame behind it.
        let landed = time(start);
        sought.exact = sought.exact.filter(|exact| Some(*exact) > landed);
        Some(sought)
    }

    /// The segment as it goes downstream.
    pub(super) fn segment(&self, segment: Segment) -> gst::FormattedSegment<gst::ClockTime> {
        let Segment {
            start,
            base,
            recorded,
        } = segment;
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        let start = recorded.and_then(|recorded| recorded.exact).or(time(start));
        segment.set_start(start);
        segment.set_position(start);
        segment.set_base(base);
        if let Some(recorded) = recorded {
            segment.set_time(start);
            segment.set_stop(recorded.stop.filter(|stop| Some(*stop) > start));
            segment.set_flags(recorded.flags);
        }
        segment
    }
}
