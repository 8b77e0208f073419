//! Live streams: what a server sends in one burst, and what has come while nobody took it.

use std::sync::atomic::Ordering;
use std::time::Instant;

use gst::subclass::prelude::*;

use super::burst::Burst;
use super::imp::{CAT, RtmpSrc, STALE};
use super::stream::Item;
use super::tags::{is_frame, is_key_frame};
use crate::elements::enums::StartMode;
use crate::elements::lock;
use crate::session::{Event, Media, MediaKind};
use crate::transport::Connection;
use crate::transport::wake::Wake;

impl RtmpSrc {
    /// Whether a server that has cached frames is about to send them, and the user wants the last one first.
    pub(super) fn begins_burst(&self, batch: &[Media]) -> bool {
        let wants_edge = {
            let settings = lock(&self.settings);
            settings.1.is_live && settings.1.start_mode == StartMode::LowestLatency
        };
        let stream = lock(&self.stream);
        wants_edge && stream.recording.is_none() && stream.wants_segment && batch.iter().any(is_frame)
    }

    /// Takes what comes in one burst. What ends it, other than time, is met again by the streaming thread.
    pub(super) fn gather(&self, connection: &Connection, wake: &Wake, mut take: impl FnMut(Media)) {
        let mut burst = Burst::new(Instant::now());
        while let Some(deadline) = burst.deadline(Instant::now()) {
            match connection.next_event(wake, Some(deadline)) {
                Ok(Event::Media(media)) if !lock(&self.stream).wants(&media) => {}
                Ok(Event::Media(media)) => {
                    if is_frame(&media) {
                        burst.note(media.timestamp);
                    }
                    take(media);
                }
                Ok(Event::Status(status)) => self.tell(&status),
                Ok(event) => {
                    lock(&self.stream).next = Some(event);
                    break;
                }
                Err(_) => break,
            }
        }
    }

    /// After a pause, or a start that took long, a live stream goes on where it is by now: what came meanwhile is
    /// dropped, but for its headers and what is needed to decode its end.
    pub(super) fn catch_up(&self, connection: &Connection, wake: &Wake) {
        let (is_live, latency) = {
            let settings = lock(&self.settings);
            (settings.1.is_live, settings.1.latency)
        };
        let untaken = {
            let mut stream = lock(&self.stream);
            if stream.recording.is_some() {
                // Nothing of a recording is dropped, and it goes on where it was.
                if self.flushed.swap(false, Ordering::Relaxed) {
                    stream.wants_segment = true;
                    stream.is_discont = true;
                }
                return;
            }
            let is_stale = stream
                .connected
                .is_some_and(|connected| connected.elapsed() > STALE);
            if !(stream.tags.has_started() || is_live && is_stale) {
                return;
            }
            stream.wants_segment = true;
            stream.is_discont = true;
            if !is_live {
                return;
            }
            let mut segment = stream.segment;
            let waiting = stream.ready.len();
            stream.ready.retain(|item| match item {
                Item::Caps(_) | Item::Tags(_) => true,
                Item::Segment(_) => {
                    segment = None;
                    false
                }
                Item::Buffer(buffer) => buffer.flags().contains(gst::BufferFlags::HEADER),
            });
            stream.segment = segment;
            waiting - stream.ready.len()
        };
        let mut backlog = Vec::new();
        self.gather(connection, wake, |media| backlog.push(media));
        // Counted from what was put out last, since the connection throws away what is too much to keep.
        let newest = lock(&self.stream).tags.newest();
        let frames = backlog.iter().filter(|media| is_frame(media));
        let is_jitter = frames
            .map(|media| media.timestamp)
            .all(|timestamp| newest.is_some_and(|newest| timestamp.since(newest).unsigned_abs() <= latency));
        let was_flushed = self.flushed.swap(false, Ordering::Relaxed);
        if !was_flushed && untaken == 0 && is_jitter {
            self.put_out(backlog);
            return;
        }
        let gathered = backlog.len();
        let mut kept = Vec::new();
        let mut has_video = lock(&self.stream).tags.has_video();
        let mut can_start = false;
        for media in backlog {
            has_video |= media.kind == MediaKind::Video;
            let is_start = if has_video {
                is_key_frame(&media)
            } else {
                is_frame(&media)
            };
            if is_start {
                kept.retain(|media| !is_frame(media));
                can_start = true;
            }
            if can_start || !is_frame(&media) {
                kept.push(media);
            }
        }
        let dropped = untaken + gathered - kept.len();
        gst::info!(CAT, imp = self, "dropped {dropped} messages of the pause");
        lock(&self.stream).wants_key_frame = !can_start;
        self.put_out(kept);
    }
}
