//! The writing half of `onMetaData`.

use super::{
    AUDIO_TRACKS, AudioInfo, AudioKeys, FIRST_AUDIO, Keyframe, Metadata, OTHER_AUDIO, Origin, Recording,
    VIDEO_TRACKS, VideoInfo,
};
use crate::amf::{self, Properties, Value};
use crate::flv::audio::AudioCodec;
use crate::flv::video::VideoCodec;

/// Gathers what is to be said. Each thing said a second time counts as of then.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    properties: Properties,
    video_tracks: Properties,
    audio_tracks: Properties,
}

impl Builder {
    /// Tells of a video track.
    #[must_use]
    pub fn video(mut self, track: u8, info: &VideoInfo) -> Self {
        if track == 0 {
            info.write(&mut self.properties);
            if let Some((x, y)) = info.pixel_aspect_ratio {
                self.properties.push("AspectRatioX", f64::from(x).into());
                self.properties.push("AspectRatioY", f64::from(y).into());
            }
        } else {
            let mut properties = Properties::default();
            info.write(&mut properties);
            self.video_tracks.push(track.to_string(), object(properties));
        }
        self
    }

    /// Tells of an audio track.
    #[must_use]
    pub fn audio(mut self, track: u8, info: &AudioInfo) -> Self {
        let of = &mut self.properties;
        if track == 0 {
            info.write(of, &FIRST_AUDIO);
            push_number(of, "audiosamplesize", info.sample_size.map(f64::from));
            if let Some(channels) = info.channels {
                of.push("stereo", (channels > 1).into());
            }
            push_number(
                of,
                FIRST_AUDIO.channels,
                info.channels.filter(|channels| *channels > 2).map(f64::from),
            );
            push_number(of, "audiodelay", info.delay);
        } else {
            let mut properties = Properties::default();
            info.write(&mut properties, &OTHER_AUDIO);
            push_number(
                &mut properties,
                OTHER_AUDIO.channels,
                info.channels.map(f64::from),
            );
            self.audio_tracks.push(track.to_string(), object(properties));
        }
        self
    }

    /// Tells of the recording.
    #[must_use]
    pub fn recording(mut self, recording: &Recording) -> Self {
        let of = &mut self.properties;
        push_number(of, "duration", recording.duration);
        for (key, bytes) in [
            ("filesize", recording.file_size),
            ("datasize", recording.data_size),
            ("videosize", recording.video_size),
            ("audiosize", recording.audio_size),
            ("lastkeyframelocation", recording.last_keyframe_location),
        ] {
            push_number(of, key, bytes.map(from_integer));
        }
        push_number(of, "lasttimestamp", recording.last_timestamp);
        push_number(of, "lastkeyframetimestamp", recording.last_keyframe_timestamp);
        for (key, said) in [
            ("canSeekToEnd", recording.can_seek_to_end),
            ("hasKeyframes", recording.has_keyframes),
            ("hasMetadata", recording.has_metadata),
        ] {
            if let Some(said) = said {
                of.push(key, said.into());
            }
        }
        if !recording.keyframes.is_empty() {
            let list = |number: fn(&Keyframe) -> f64| {
                Value::StrictArray(
                    recording
                        .keyframes
                        .iter()
                        .map(|keyframe| number(keyframe).into())
                        .collect(),
                )
            };
            of.push(
                "keyframes",
                Value::object([
                    ("times", list(|keyframe| keyframe.time)),
                    ("filepositions", list(|keyframe| from_integer(keyframe.position))),
                ]),
            );
        }
        self
    }

    /// Tells who made the stream.
    #[must_use]
    pub fn origin(mut self, origin: &Origin) -> Self {
        for (key, text) in [
            ("title", &origin.title),
            ("creator", &origin.creator),
            ("encoder", &origin.encoder),
            ("metadatacreator", &origin.metadata_creator),
            ("creationdate", &origin.creation_date),
            ("Server", &origin.server),
        ] {
            if let Some(text) = text {
                self.properties.push(key, text.as_str().into());
            }
        }
        self
    }

    /// Tells of anything else.
    #[must_use]
    pub fn property(mut self, key: &str, value: Value) -> Self {
        self.properties.push(key, value);
        self
    }

    /// All that was said, the first tracks ahead of the others.
    #[must_use]
    pub fn build(self) -> Metadata {
        let mut properties = self.properties;
        for (key, tracks) in [
            (VIDEO_TRACKS, self.video_tracks),
            (AUDIO_TRACKS, self.audio_tracks),
        ] {
            if !tracks.is_empty() {
                properties.push(key, object(tracks));
            }
        }
        Metadata { properties }
    }
}

impl VideoInfo {
    fn write(&self, of: &mut Properties) {
        push_number(of, "width", self.width.map(f64::from));
        push_number(of, "height", self.height.map(f64::from));
        push_number(of, "framerate", self.frame_rate);
        let codec = self.codec.map(|codec| match codec {
            VideoCodec::Legacy(id) => f64::from(id.id()),
            VideoCodec::Enhanced(code) => f64::from(code.number()),
        });
        push_number(of, "videocodecid", codec);
        push_number(of, "videodatarate", self.data_rate);
    }
}

impl AudioInfo {
    fn write(&self, of: &mut Properties, keys: &AudioKeys) {
        let codec = self.codec.map(|codec| match codec {
            AudioCodec::Legacy(format) => f64::from(format.id()),
            AudioCodec::Enhanced(code) => f64::from(code.number()),
        });
        push_number(of, "audiocodecid", codec);
        push_number(of, keys.sample_rate, self.sample_rate.map(f64::from));
        push_number(of, "audiodatarate", self.data_rate);
    }
}

fn object(properties: Properties) -> Value {
    Value::Object(amf::Object {
        class: None,
        properties,
    })
}

fn push_number(of: &mut Properties, key: &'static str, number: Option<f64>) {
    if let Some(number) = number {
        of.push(key, number.into());
    }
}

#[expect(clippy::cast_precision_loss, reason = "no file has so many bytes")]
const fn from_integer(number: u64) -> f64 {
    number as f64
}
