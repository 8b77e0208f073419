//! `onMetaData` of tracks and tags, and back.

use bytes::Bytes;

use super::encoder::TrackEncoder;
use super::format::TrackKind;
use crate::flv::Metadata;

/// What `onMetaData` says of one track, as far as caps can use it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TrackMetadata {
    /// Pixels.
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) frame_rate: Option<gst::Fraction>,
    pub(crate) pixel_aspect_ratio: Option<gst::Fraction>,
}

impl TrackMetadata {
    /// Of a track of the stream, from the top level or `videoTrackIdInfoMap`.
    pub(crate) fn of(metadata: &Metadata, kind: TrackKind, track: u8) -> Self {
        let _ = (metadata, kind, track);
        todo!()
    }
}

/// The body of an `onMetaData` tag without `@setDataFrame`, from what the tracks know and tags of the whole stream.
pub(crate) fn on_meta_data<'a>(
    tracks: impl IntoIterator<Item = &'a TrackEncoder>,
    tags: &gst::TagListRef,
) -> Bytes {
    let _ = (tracks.into_iter().count(), tags);
    todo!()
}

/// Tags of the whole stream that metadata holds; `None` if there are none.
pub(crate) fn tags_of(metadata: &Metadata) -> Option<gst::TagList> {
    let _ = metadata;
    todo!()
}
