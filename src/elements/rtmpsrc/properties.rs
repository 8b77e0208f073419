//! The properties that only the source has.

use std::time::Duration;

use gst::glib;
use gst::prelude::*;

use crate::elements::enums::{PlayStart, StartMode};
use crate::url::Secret;

/// Latency that is reported by default: what a network without trouble varies by.
const DEFAULT_LATENCY: u32 = 200;

/// Client buffer that servers of recorded streams send ahead by; rtmp2src's and librtmp's figure.
const DEFAULT_BUFFER_LENGTH: u32 = 30_000;

#[derive(Clone)]
pub(super) struct SrcSettings {
    pub(super) is_live: bool,
    pub(super) latency: u32,
    pub(super) start_mode: StartMode,
    pub(super) play_start: PlayStart,
    pub(super) buffer_length: u32,
    pub(super) idle_timeout: u32,
    pub(super) no_eof_is_error: bool,
    pub(super) receive_audio: bool,
    pub(super) receive_video: bool,
    pub(super) subscribe: Option<Secret>,
    pub(super) playlist: bool,
}

impl Default for SrcSettings {
    fn default() -> Self {
        Self {
            is_live: true,
            latency: DEFAULT_LATENCY,
            start_mode: StartMode::default(),
            play_start: PlayStart::default(),
            buffer_length: DEFAULT_BUFFER_LENGTH,
            idle_timeout: 0,
            no_eof_is_error: true,
            receive_audio: true,
            receive_video: true,
            subscribe: None,
            playlist: false,
        }
    }
}

impl SrcSettings {
    /// How long the server may be silent.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        (self.idle_timeout > 0).then(|| Duration::from_secs(self.idle_timeout.into()))
    }

    /// Sets a property of the source; false if `name` is not one.
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "is-live" => self.is_live = value.get().unwrap_or(true),
            "latency" => self.latency = value.get().unwrap_or(DEFAULT_LATENCY),
            "start-mode" => self.start_mode = value.get().unwrap_or_default(),
            "play-start" => self.play_start = value.get().unwrap_or_default(),
            "buffer-length" => self.buffer_length = value.get().unwrap_or(DEFAULT_BUFFER_LENGTH),
            "idle-timeout" => self.idle_timeout = value.get().unwrap_or_default(),
            "no-eof-is-error" => self.no_eof_is_error = value.get().unwrap_or(true),
            "receive-audio" => self.receive_audio = value.get().unwrap_or(true),
            "receive-video" => self.receive_video = value.get().unwrap_or(true),
            "subscribe" => {
                let name = value.get::<Option<String>>().ok().flatten();
                self.subscribe = name.map(Secret::from);
            }
            "playlist" => self.playlist = value.get().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    /// Reads a property of the source.
    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "is-live" => self.is_live.to_value(),
            "latency" => self.latency.to_value(),
            "start-mode" => self.start_mode.to_value(),
            "play-start" => self.play_start.to_value(),
            "buffer-length" => self.buffer_length.to_value(),
            "idle-timeout" => self.idle_timeout.to_value(),
            "no-eof-is-error" => self.no_eof_is_error.to_value(),
            "receive-audio" => self.receive_audio.to_value(),
            "receive-video" => self.receive_video.to_value(),
            "subscribe" => self
                .subscribe
                .as_ref()
                .map(|name| name.expose().to_owned())
                .to_value(),
            "playlist" => self.playlist.to_value(),
            _ => return None,
        })
    }
}

/// The properties, as `gst-inspect-1.0` shows them.
pub(super) fn own() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecBoolean::builder("is-live")
            .nick("Is live")
            .blurb("Play in time with other live sources; if not, as fast as data comes, as from a file")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("latency")
            .nick("Latency")
            .blurb("Milliseconds of network jitter that sinks should allow for (live only)")
            .default_value(DEFAULT_LATENCY)
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default("start-mode", StartMode::default())
            .nick("Start mode")
            .blurb("What becomes of the frames that a server has cached and sends at once (live only)")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("play-start", PlayStart::default())
            .nick("Play start")
            .blurb("Whether to play a live or a recorded stream")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("buffer-length")
            .nick("Buffer length")
            .blurb("Milliseconds that a server may send ahead of time (SetBufferLength)")
            .default_value(DEFAULT_BUFFER_LENGTH)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("idle-timeout")
            .nick("Idle timeout")
            .blurb("Seconds without a byte from the server after which the stream ends with EOS, 0 = never")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("no-eof-is-error")
            .nick("No EOF is error")
            .blurb("Whether a connection that is lost without the stream's end is an error; if not, EOS")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("receive-audio")
            .nick("Receive audio")
            .blurb(
                "Whether the server is to send audio (receiveAudio); if it does all the same, it is dropped",
            )
            .default_value(true)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("receive-video")
            .nick("Receive video")
            .blurb(
                "Whether the server is to send video (receiveVideo); if it does all the same, it is dropped",
            )
            .default_value(true)
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("subscribe")
            .nick("Subscribe")
            .blurb("Name that FCSubscribe announces before play; the stream's for play-start=live, else none")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("playlist")
            .nick("Playlist")
            .blurb("Whether set_playlist with the stream's name precedes play")
            .mutable_ready()
            .build(),
    ]
}
