//! What was sent, what arrived and when: filled in by the pipelines, read by the report.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts of one run, shared between both pipelines and the report.
#[derive(Default)]
pub struct Tally(Mutex<Counts>);

/// See [`Tally`].
#[derive(Clone, Default)]
pub struct Counts {
    /// When each frame went into the encoder, by its number.
    pub sent: Vec<Instant>,
    /// Audio frames that came out of the encoder.
    pub audio_sent: u64,
    /// Numbers of the frames that were decoded.
    pub arrived: BTreeSet<u16>,
    /// Decoded pictures from which no number could be read.
    pub unreadable: u64,
    /// Audio frames that came out of the demuxer.
    pub audio: u64,
    /// When the first frame was decoded.
    pub first: Option<Instant>,
    /// When the last one was.
    pub last: Option<Instant>,
    /// From encoder to decoded picture, of every frame.
    pub decoded_after: Vec<Duration>,
    /// From encoder to the moment when a screen would show it, of every frame.
    pub shown_after: Vec<Duration>,
}

impl Tally {
    /// The number of the frame that goes into the encoder now.
    pub fn send_frame(&self) -> u16 {
        let mut counts = self.lock();
        counts.sent.push(Instant::now());
        u16::try_from(counts.sent.len() - 1).unwrap_or(u16::MAX)
    }

    /// An audio frame has come out of the encoder.
    pub fn send_audio(&self) {
        self.lock().audio_sent += 1;
    }

    /// A picture was decoded.
    pub fn decoded(&self, number: Option<u16>) {
        let now = Instant::now();
        let mut counts = self.lock();
        counts.first.get_or_insert(now);
        counts.last = Some(now);
        match number.and_then(|number| Some((number, counts.age(number, now)?))) {
            Some((number, age)) => {
                counts.decoded_after.push(age);
                counts.arrived.insert(number);
            }
            None => counts.unreadable += 1,
        }
    }

    /// A picture's time to be shown has come.
    pub fn shown(&self, number: Option<u16>) {
        let now = Instant::now();
        let mut counts = self.lock();
        let age = number.and_then(|number| counts.age(number, now));
        counts.shown_after.extend(age);
    }

    /// An audio frame has come out of the demuxer.
    pub fn receive_audio(&self) {
        self.lock().audio += 1;
    }

    /// Everything up to now.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn age(&self, number: u16, now: Instant) -> Option<Duration> {
        let sent = self.sent.get(usize::from(number))?;
        Some(now.saturating_duration_since(*sent))
    }

    /// Decoded pictures.
    pub fn frames(&self) -> usize {
        self.arrived.len()
    }

    /// Frames that should have been between the first and the last that arrived, and were not.
    pub fn missing(&self) -> usize {
        match (self.arrived.first(), self.arrived.last()) {
            (Some(first), Some(last)) => usize::from(last - first) + 1 - self.arrived.len(),
            _ => 0,
        }
    }

    /// How long frames have been arriving.
    pub fn seconds(&self) -> f64 {
        self.first.map_or(0.0, |first| first.elapsed().as_secs_f64())
    }
}

/// The value that `share` (0 to 1) of the `durations` do not exceed.
pub fn quantile(durations: &[Duration], share: f64) -> Option<Duration> {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index between 0 and the last"
    )]
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied()
}
