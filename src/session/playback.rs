//! What a player has asked of a stream that flows, and what the server owes it: RTMP 1.0 sections 7.2.2.2 to 7.2.2.8.
//!
//! Servers say StreamEOF in the middle of seeks, of pauses and of changes to another stream (nginx-rtmp, SRS,
//! crtmpserver), so that an end counts only when nothing of the kind is under way, or when it has come to nothing.

use std::time::{Duration, Instant};

use super::event::{Recording, SeekFailure};
use super::{Event, Level, Media, Status};
use crate::timestamp::Timestamp;

/// Seeks that may wait for an answer. A user who drags a slider makes some in a second.
const MAX_SEEKS: u32 = 64;

/// What a stream may end with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// StreamEOF, which servers also say when they stop sending for another reason.
    StreamEof,
    /// The server's words for it.
    Said,
}

/// What the owner is to do about a status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// Nothing that was asked for.
    Unrelated,
    /// What was asked for has been answered.
    Answered,
    /// The same, and the stream flows from another place, even if it had ended.
    Moved,
    /// A seek has failed: the stream goes on as it was, or is as ended as it was.
    Failed,
    /// What was asked for has failed, and the end that was put down to it was the end.
    Ended,
    /// The pause that was only to empty the server's idea of our buffer has come about.
    Renewed,
}

/// How far the pause has come that is only to empty the server's idea of our buffer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Renewal {
    #[default]
    None,
    Pausing,
    Resuming,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Playback {
    /// Seeks without an answer, and the transaction of the last.
    seeks: u32,
    last_seek: f64,
    /// Whether the owner has the stream paused.
    is_paused: bool,
    /// Ends of pauses without an answer.
    resumes: u32,
    /// Changing to another stream.
    is_switching: bool,
    /// Paused for a moment because the server takes our buffer for full.
    renewal: Renewal,
    /// When what was asked for must have been answered.
    deadline: Option<Instant>,
    /// An end has come that may be none.
    holds_end: bool,
    /// The timestamp that came last.
    newest: Timestamp,
    /// Whether somebody publishes the stream, whatever else the server says of it.
    is_live: bool,
    recording: Option<Recording>,
    is_announced: bool,
    /// The transaction of getStreamLength.
    length_asked: Option<f64>,
}

impl Playback {
    /// For a stream that is recorded because nothing else was asked for.
    pub(super) fn recorded() -> Self {
        Self {
            recording: Some(Recording::default()),
            ..Self::default()
        }
    }

    /// The position that goes with pause: up to where the stream has come.
    pub(super) const fn newest(&self) -> u32 {
        self.newest.millis()
    }

    pub(super) const fn recording(&self) -> Option<Recording> {
        self.recording
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether an error of playing is one of what was asked for, and not of the stream.
    pub(super) const fn is_switching(&self) -> bool {
        self.is_switching
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether an end may be the side effect of something else.
    const fn suspends(&self, end: End) -> bool {
        self.seeks > 0
            || self.is_switching
            || (self.is_paused || self.resumes > 0 || self.is_renewing()) && matches!(end, End::StreamEof)
    }

    const fn is_renewing(&self) -> bool {
        !matches!(self.renewal, Renewal::None)
    }

    /// Takes notice of an end; whether it is one.
    pub(super) const fn take_end(&mut self, end: End) -> bool {
        let suspended = self.suspends(end);
        self.holds_end |= suspended;
        !suspended
    }

    pub(super) fn take_media(&mut self, media: &Media) {
        self.newest = media.timestamp;
        if !self.is_paused && self.seeks == 0 && !self.is_switching {
            self.holds_end = false;
        }
    }

    /// Nothing is under way any more; true if an end was put down to it.
    fn settle(&mut self) -> bool {
        self.seeks = 0;
        self.is_switching = false;
        self.resumes = 0;
        self.renewal = Renewal::None;
        self.deadline = None;
        std::mem::take(&mut self.holds_end)
    }

    /// The same of seeks alone, as far as a change to another stream goes on: an end may be its doing.
    fn settle_seek(&mut self) -> bool {
        if self.is_switching {
            self.seeks = 0;
            return false;
        }
        self.settle()
    }

    /// A seek is on its way to the server; false if too many are.
    pub(super) const fn seek(&mut self, transaction: f64, position: u32, deadline: Option<Instant>) -> bool {
        if self.seeks >= MAX_SEEKS {
            return false;
        }
        self.seeks += 1;
        self.last_seek = transaction;
        self.newest = Timestamp::from_millis(position);
        self.deadline = deadline;
        true
    }

    /// A pause, or its end, is on its way to the server; false if that is how things are already.
    pub(super) const fn pause(&mut self, paused: bool, deadline: Option<Instant>) -> bool {
        if self.is_paused == paused {
            return false;
        }
        self.is_paused = paused;
        if !paused {
            self.resumes = self.resumes.saturating_add(1);
        }
        self.renewal = Renewal::None;
        if self.seeks == 0 && !self.is_switching {
            self.deadline = if paused { None } else { deadline };
        }
        true
    }

    /// play2 is on its way to the server.
    pub(super) const fn switch(&mut self, deadline: Option<Instant>) {
        self.is_switching = true;
        self.deadline = deadline;
    }

    /// The server takes our buffer for full; whether to tell it otherwise.
    pub(super) const fn renew(&mut self, deadline: Option<Instant>) -> bool {
        if self.is_paused
            || self.is_renewing()
            || self.seeks > 0
            || self.is_switching
            || self.recording.is_none()
        {
            return false;
        }
        self.renewal = Renewal::Pausing;
        self.deadline = deadline;
        true
    }

    /// Takes notice of a status, and puts down what it comes to.
    pub(super) fn take_status(&mut self, status: &Status, mut put: impl FnMut(Event)) -> Outcome {
        match status.code.as_str() {
            "NetStream.Play.PublishNotify" => {
                self.is_live = true;
                Outcome::Unrelated
            }
            "NetStream.Seek.Notify" if self.seeks > 0 && !status.is_error() => {
                self.seeks -= 1;
                if self.seeks > 0 {
                    return Outcome::Answered;
                }
                self.settle_seek();
                self.holds_end = false;
                put(Event::Sought(Ok(())));
                Outcome::Moved
            }
            "NetStream.Seek.Failed" | "NetStream.Seek.InvalidTime" if self.seeks > 0 => {
                self.fail_seek(status.clone(), put)
            }
            "NetStream.Play.Start"
            | "NetStream.Play.Transition"
            | "NetStream.Play.TransitionComplete"
            | "NetStream.Play.Switch"
                if self.is_switching && !status.is_error() =>
            {
                put(Event::Switched);
                if self.seeks > 0 {
                    self.is_switching = false;
                    return Outcome::Answered;
                }
                self.settle();
                Outcome::Moved
            }
            "NetStream.Pause.Notify" if self.renewal == Renewal::Pausing => {
                self.renewal = Renewal::Resuming;
                Outcome::Renewed
            }
            "NetStream.Unpause.Notify" => {
                self.renewal = Renewal::None;
                self.resumes = self.resumes.saturating_sub(1);
                if self.resumes == 0 && self.seeks == 0 && !self.is_switching {
                    self.deadline = None;
                    self.holds_end &= self.is_paused;
                }
                put(Event::Resumed);
                Outcome::Answered
            }
            code if self.is_switching
                && status.level == Level::Error
                && code.starts_with("NetStream.Play.") =>
            {
                self.is_switching = false;
                let ended = std::mem::take(&mut self.holds_end);
                if ended { Outcome::Ended } else { Outcome::Answered }
            }
            _ => Outcome::Unrelated,
        }
    }

    /// Takes notice of the `_error` of a transaction.
    pub(super) fn take_error(&mut self, transaction: f64, status: Status, put: impl FnMut(Event)) -> Outcome {
        if self.seeks > 0 && transaction == self.last_seek {
            return self.fail_seek(status, put);
        }
        Outcome::Unrelated
    }

    fn fail_seek(&mut self, status: Status, mut put: impl FnMut(Event)) -> Outcome {
        self.seeks -= 1;
        if self.seeks > 0 {
            return Outcome::Answered;
        }
        let ended = self.settle_seek();
        put(Event::Sought(Err(SeekFailure::Refused(Box::new(status)))));
        if ended { Outcome::Ended } else { Outcome::Failed }
    }

    /// What was asked for has not been answered in time.
    pub(super) fn expire(&mut self, mut put: impl FnMut(Event)) -> Outcome {
        let was_seeking = self.seeks > 0;
        let ended = self.settle();
        if was_seeking {
            put(Event::Sought(Err(SeekFailure::Unanswered)));
        }
        match (ended, was_seeking) {
            (true, _) => Outcome::Ended,
            (false, true) => Outcome::Failed,
            (false, false) => Outcome::Answered,
        }
    }

    /// The server says that the stream is a recording; whether its length is worth asking for.
    pub(super) fn take_recorded(&mut self) -> bool {
        if !self.is_live && self.recording.is_none() {
            self.recording = Some(Recording::default());
            self.is_announced = false;
        }
        self.recording.is_some() && self.length_asked.is_none()
    }

    pub(super) const fn ask_length(&mut self, transaction: f64) {
        self.length_asked = Some(transaction);
    }

    /// Takes the reply to getStreamLength, in seconds.
    pub(super) fn take_length(&mut self, transaction: f64, seconds: Option<f64>) -> bool {
        if self.length_asked != Some(transaction) {
            return false;
        }
        // Out of range are what servers say of streams without a length, and nonsense.
        let length = seconds
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if let (Some(length), Some(recording)) = (length, &mut self.recording) {
            recording.length = Some(length);
            self.is_announced = false;
        }
        true
    }

    /// Puts down what there is to say of the recording, once the stream flows.
    pub(super) fn announce(&mut self, mut put: impl FnMut(Event)) {
        if let (Some(recording), false) = (self.recording, self.is_announced) {
            self.is_announced = true;
            put(Event::Recorded(recording));
        }
    }
}
