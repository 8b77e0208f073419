//! `onMetaData` of tracks and tags, and back.

use bytes::Bytes;

use super::encoder::TrackEncoder;
use super::format::TrackKind;
use crate::flv::Metadata;
use crate::flv::metadata::Origin;

/// Bits of a kilobit in metadata, by the custom of FFmpeg and GStreamer.
pub(super) const KILOBIT: f64 = 1024.0;

/// Frame rates of television are these numbers of frames in 1.001 seconds.
const NTSC_RATES: [i32; 6] = [24, 30, 48, 60, 120, 240];

/// How far a decimal number may be from such a rate: 29.97 is meant for one, 30 is not.
const NTSC_TOLERANCE: f64 = 0.005;

/// What made the stream, for the metadata.
const ENCODER: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// What `onMetaData` says of one track, as far as caps and tags can use it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TrackMetadata {
    /// Pixels.
    pub(crate) width: Option<u32>,
    pub(crate) height: Option<u32>,
    pub(crate) frame_rate: Option<gst::Fraction>,
    pub(crate) pixel_aspect_ratio: Option<gst::Fraction>,
    /// Bits a second.
    pub(crate) bit_rate: Option<u32>,
}

impl TrackMetadata {
    /// Of a track of the stream. What the maps of the tracks leave out is as of track 0.
    pub(crate) fn of(metadata: &Metadata, kind: TrackKind, track: u8) -> Self {
        match kind {
            TrackKind::Audio => Self {
                bit_rate: metadata.audio(track).data_rate.map(bit_rate),
                ..Self::default()
            },
            TrackKind::Video => {
                let info = metadata.video(track);
                let ratio = info
                    .pixel_aspect_ratio
                    .and_then(|(x, y)| Some(gst::Fraction::new(x.try_into().ok()?, y.try_into().ok()?)));
                Self {
                    width: info.width,
                    height: info.height,
                    frame_rate: info.frame_rate.and_then(frame_rate),
                    pixel_aspect_ratio: ratio,
                    bit_rate: info.data_rate.map(bit_rate),
                }
            }
        }
    }

    /// Tags of the track; `None` if there are none.
    pub(crate) fn tags(&self) -> Option<gst::TagList> {
        let bit_rate = self.bit_rate?;
        let mut tags = gst::TagList::new();
        tags.get_mut()?
            .add::<gst::tags::NominalBitrate>(&bit_rate, gst::TagMergeMode::Replace);
        Some(tags)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast to an integer saturates, and the rate is not negative"
)]
fn bit_rate(kilobits: f64) -> u32 {
    (kilobits * KILOBIT) as u32
}

/// The fraction that is meant by a decimal number.
fn frame_rate(number: f64) -> Option<gst::Fraction> {
    let is_whole = number.fract().abs() < f64::EPSILON;
    let ntsc = NTSC_RATES
        .into_iter()
        .find(|rate| !is_whole && (number - f64::from(*rate) * 1000.0 / 1001.0).abs() < NTSC_TOLERANCE);
    match ntsc {
        Some(rate) => Some(gst::Fraction::new(rate * 1000, 1001)),
        None => gst::Fraction::approximate_f64(number).filter(|rate| rate.numer() > 0),
    }
}

/// The body of an `onMetaData` tag without `@setDataFrame`, from what the tracks know and tags of the whole stream.
/// No duration: it is for streams whose end is not known.
pub(crate) fn on_meta_data<'a>(
    tracks: impl IntoIterator<Item = &'a TrackEncoder>,
    tags: &gst::TagListRef,
) -> Bytes {
    let mut metadata = Metadata::builder();
    for track in tracks {
        metadata = track.describe(metadata);
    }
    let origin = Origin {
        title: tags.get::<gst::tags::Title>().map(|tag| tag.get().to_owned()),
        creator: tags.get::<gst::tags::Artist>().map(|tag| tag.get().to_owned()),
        encoder: Some(ENCODER.to_owned()),
        ..Origin::default()
    };
    metadata.origin(&origin).build().encode()
}

/// Tags of the whole stream that metadata holds; `None` if there are none.
pub(crate) fn tags_of(metadata: &Metadata) -> Option<gst::TagList> {
    let origin = metadata.origin();
    let mut tags = gst::TagList::new();
    let list = tags.get_mut()?;
    // A string of C ends at the first NUL, and the bindings panic at one.
    let said = |text: Option<String>| {
        let text = text?.replace('\0', "\u{fffd}");
        (!text.is_empty()).then_some(text)
    };
    let merge = gst::TagMergeMode::Replace;
    if let Some(title) = said(origin.title) {
        list.add::<gst::tags::Title>(&title.as_str(), merge);
    }
    if let Some(creator) = said(origin.creator) {
        list.add::<gst::tags::Artist>(&creator.as_str(), merge);
    }
    if let Some(encoder) = said(origin.encoder).or(said(origin.metadata_creator)) {
        list.add::<gst::tags::Encoder>(&encoder.as_str(), merge);
    }
    (list.n_tags() > 0).then_some(tags)
}
