//! What the terminal shows: a progress line while frames arrive, and the summary at the end.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::tally::{Counts, quantile};

/// How often the line changes on a terminal.
const REDRAW: Duration = Duration::from_millis(200);

/// How often there is a line in a log.
const LOG: Duration = Duration::from_secs(1);

/// Frames of which the progress line tells the latency.
const RECENT: usize = 30;

/// The line that tells how it goes.
pub struct Progress {
    is_terminal: bool,
    next: Instant,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            is_terminal: io::stdout().is_terminal(),
            next: Instant::now(),
        }
    }

    /// Shows the counts if the last ones have been there for a while.
    pub fn show(&mut self, counts: &Counts, bytes: u64) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + if self.is_terminal { REDRAW } else { LOG };
        let recent = counts.decoded_after.iter().rev().take(RECENT).copied();
        let latency = quantile(&recent.collect::<Vec<_>>(), 0.5);
        let line = format!(
            "{:5.1} s  {:5} frames  {:5} audio buffers  {:6} kB  latency {}",
            counts.seconds(),
            counts.frames(),
            counts.audio,
            bytes / 1000,
            Millis(latency),
        );
        if self.is_terminal {
            print(&format!("\r{line}\x1b[K"));
        } else {
            print(&format!("{line}\n"));
        }
    }

    /// Leaves the last line as it is.
    pub fn finish(self) {
        if self.is_terminal {
            print("\n");
        }
    }
}

/// A reader that has gone is no reason to stop.
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// What there is to say in the end.
pub struct Summary<'a> {
    pub counts: &'a Counts,
    /// Bytes that went out and came in, everything included.
    pub bytes: (u64, u64),
    /// From the start of the player to its first decoded frame.
    pub first_frame: Option<Duration>,
    /// Whether the end of the published stream was told to the player.
    pub has_ended: bool,
    pub snapshot: Option<&'a Path>,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts;
        writeln!(f, "\n{:24}{:>12}{:>12}", "", "published", "played")?;
        let mut row = |name: &str, out: u64, back: u64| writeln!(f, "{name:24}{out:>12}{back:>12}");
        row("video frames", counts.sent.len() as u64, counts.frames() as u64)?;
        row("audio buffers", counts.audio_sent, counts.audio)?;
        row("kilobytes", self.bytes.0 / 1000, self.bytes.1 / 1000)?;
        writeln!(f)?;
        let frames = counts.arrived.first().zip(counts.arrived.last());
        if let Some((first, last)) = frames {
            writeln!(
                f,
                "{:24}{} (of number {first} to {last})",
                "frames missing",
                counts.missing()
            )?;
        }
        if counts.unreadable > 0 {
            writeln!(f, "{:24}{}", "frames not recognised", counts.unreadable)?;
        }
        writeln!(f, "{:24}{}", "time to first frame", Millis(self.first_frame))?;
        for (name, latencies) in [
            ("encoder to decoded", &counts.decoded_after),
            ("encoder to screen", &counts.shown_after),
        ] {
            let [median, most, worst] = [0.5, 0.95, 1.0].map(|share| Millis(quantile(latencies, share)));
            writeln!(f, "{name:24}{median} (95 % within {most}, worst {worst})")?;
        }
        let end = if self.has_ended {
            "told to the player"
        } else {
            "not told to the player"
        };
        writeln!(f, "{:24}{end}", "end of the stream")?;
        if let Some(snapshot) = self.snapshot {
            writeln!(f, "{:24}{}", "snapshot", snapshot.display())?;
        }
        Ok(())
    }
}

/// A duration in milliseconds, or that there is none.
struct Millis(Option<Duration>);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => write!(f, "{} ms", duration.as_millis()),
            None => f.write_str("unknown"),
        }
    }
}
