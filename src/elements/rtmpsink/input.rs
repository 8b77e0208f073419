//! What comes down a pipeline, by its caps: FLV, or one elementary stream.

use bytes::Bytes;

use super::tags::Tags;
use super::track::Track;
use crate::elements::enums::EnhancedRtmp;
use crate::elements::track;
use crate::flv;
use crate::session::Media;

/// See the module.
#[derive(Debug)]
pub(super) enum Input {
    Flv(Box<Tags>),
    Track(Box<Track>),
}

/// What is wrong with the input.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not FLV, and cannot go on.
    Flv(flv::Error),
    /// Caps that no tag can carry, or a frame that is left out.
    Track(track::Error),
}

impl Default for Input {
    fn default() -> Self {
        Self::Flv(Box::default())
    }
}

impl Input {
    /// Takes new caps.
    pub(super) fn set_caps(&mut self, caps: &gst::CapsRef, policy: EnhancedRtmp) -> Result<(), Fault> {
        if caps
            .structure(0)
            .is_some_and(|structure| structure.name() == "video/x-flv")
        {
            if matches!(self, Self::Track(_)) {
                *self = Self::default();
            }
            let headers = stream_headers(caps);
            return match self {
                Self::Flv(tags) if !headers.is_empty() => tags.set_headers(headers).map_err(Fault::Flv),
                Self::Flv(_) | Self::Track(_) => Ok(()),
            };
        }
        match self {
            Self::Track(track) => track.set_caps(caps).map_err(Fault::Track),
            Self::Flv(tags) => {
                let mut track = Track::new(caps, policy).map_err(Fault::Track)?;
                track.follow(tags.last());
                *self = Self::Track(Box::new(track));
                Ok(())
            }
        }
    }

    /// Takes tags of the stream. A muxer has put those of FLV into its metadata.
    pub(super) fn set_tags(&mut self, list: &gst::TagListRef) {
        if let Self::Track(track) = self {
            track.set_tags(list);
        }
    }

    /// Forgets what a server was told: another connection begins.
    pub(super) fn start_over(&mut self) {
        match self {
            Self::Flv(tags) => tags.start_over(),
            Self::Track(track) => track.start_over(),
        }
    }

    /// Drops what was cut off by a flush.
    pub(super) fn flush(&mut self) {
        match self {
            Self::Flv(tags) => tags.flush(),
            Self::Track(track) => track.flush(),
        }
    }

    /// Adds a buffer of the stream. FLV has its own time, and no need of a segment.
    pub(super) fn push(
        &mut self,
        buffer: gst::Buffer,
        segment: impl FnOnce() -> gst::Segment,
    ) -> Result<(), gst::FlowError> {
        match self {
            Self::Flv(tags) => {
                for piece in pieces(buffer) {
                    tags.push(piece?);
                }
            }
            Self::Track(track) => track.push(buffer, &segment()),
        }
        Ok(())
    }

    /// The next message to publish, or `None` until more is pushed.
    pub(super) fn next(&mut self) -> Result<Option<Media>, Fault> {
        match self {
            Self::Flv(tags) => tags.next().map_err(Fault::Flv),
            Self::Track(track) => track.next().map_err(Fault::Track),
        }
    }

    /// Whether a frame is the first to be left out for a reason of this kind.
    pub(super) fn tells(&mut self, error: &track::Error) -> bool {
        match self {
            Self::Flv(_) => true,
            Self::Track(track) => track.told.is_new(error),
        }
    }

    /// How many tags were left out because they are encrypted.
    pub(super) const fn encrypted(&self) -> u64 {
        match self {
            Self::Flv(tags) => tags.encrypted(),
            Self::Track(_) => 0,
        }
    }

    /// Bytes of a tag that has not come to its end.
    pub(super) fn pending(&self) -> usize {
        match self {
            Self::Flv(tags) => tags.pending(),
            Self::Track(_) => 0,
        }
    }

    /// The message that ends the stream, if there is one; a muxer has sent its own.
    pub(super) fn end(&self) -> Option<Media> {
        match self {
            Self::Flv(_) => None,
            Self::Track(track) => track.end(),
        }
    }
}

/// The bytes of a buffer as they lie in its memories, without a copy: to map them all in one piece would join
/// them. What a muxer makes has three, of which the frame is one.
fn pieces(buffer: gst::Buffer) -> impl Iterator<Item = Result<Bytes, gst::FlowError>> {
    let count = buffer.n_memory();
    let mut whole = Some(buffer);
    (0..count).map(move |index| {
        if count == 1 {
            // The buffer itself, which may have to go back to a pool with its memory.
            let mapped = whole.take().map(gst::Buffer::into_mapped_buffer_readable);
            return match mapped {
                Some(Ok(mapped)) => Ok(Bytes::from_owner(mapped)),
                Some(Err(_)) | None => Err(gst::FlowError::Error),
            };
        }
        let memory = whole.as_ref().and_then(|buffer| buffer.memory(index));
        match memory.map(gst::Memory::into_mapped_memory_readable) {
            Some(Ok(mapped)) => Ok(Bytes::from_owner(mapped)),
            Some(Err(_)) | None => Err(gst::FlowError::Error),
        }
    })
}

fn stream_headers(caps: &gst::CapsRef) -> Vec<Bytes> {
    let Some(value) = caps.structure(0).and_then(|s| s.value("streamheader").ok()) else {
        return Vec::new();
    };
    let buffers: Vec<gst::Buffer> = if let Ok(array) = value.get::<gst::ArrayRef<'_>>() {
        array.iter().filter_map(|value| value.get().ok()).collect()
    } else {
        value.get().into_iter().collect()
    };
    buffers
        .into_iter()
        .flat_map(pieces)
        .filter_map(Result::ok)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{FileHeader, TagHeader, TagKind};
    use bytes::{BufMut as _, BytesMut};

    const KEY_FRAME: &[u8] = b"\x17\x01\x00\x00\x00\x00\x00\x00\x01\x65";
    const AVC: &str = "video/x-h264, stream-format=avc, alignment=au, \
        codec_data=(buffer)0142c01effe1000a6742c01ed90141fb011001000568cb83cb20";

    #[test]
    fn an_elementary_stream_goes_on_where_flv_has_come() {
        gst::init().unwrap();
        let mut input = Input::default();
        let segment = || gst::FormattedSegment::<gst::ClockTime>::new().upcast();
        let mut flv = BytesMut::new();
        FileHeader {
            has_audio: false,
            has_video: true,
        }
        .encode(&mut flv);
        let header = TagHeader::new(TagKind::Video, 60_000, KEY_FRAME.len()).unwrap();
        header.encode(&mut flv);
        flv.put_slice(KEY_FRAME);
        flv.put_u32(header.previous_tag_size());
        input
            .push(gst::Buffer::from_slice(flv.freeze()), segment)
            .unwrap();
        assert_eq!(input.next().unwrap().unwrap().timestamp.millis(), 60_000);

        let caps: gst::Caps = AVC.parse().unwrap();
        input.set_caps(&caps, EnhancedRtmp::Auto).unwrap();
        assert_eq!(input.end(), None, "nothing of it has begun");
        for millis in [1000, 1040] {
            let mut buffer = gst::Buffer::from_slice(*b"\x00\x00\x00\x01\x65");
            buffer
                .get_mut()
                .unwrap()
                .set_pts(gst::ClockTime::from_mseconds(millis));
            input.push(buffer, segment).unwrap();
        }
        let mut times = Vec::new();
        while let Some(media) = input.next().unwrap() {
            times.push(media.timestamp.millis());
        }
        // Metadata, header and two frames.
        assert_eq!(times, [60_000, 60_000, 60_000, 60_040]);
        // Another connection begins with 0.
        input.start_over();
        let mut buffer = gst::Buffer::from_slice(*b"\x00\x00\x00\x01\x65");
        buffer
            .get_mut()
            .unwrap()
            .set_pts(gst::ClockTime::from_mseconds(1080));
        input.push(buffer, segment).unwrap();
        assert_eq!(input.next().unwrap().unwrap().timestamp.millis(), 0);
    }
}
