//! What is written is read again: by caps alone, from real encoders, and from recorded sessions.

mod captures;
mod encoders;
mod round_trip;

use bytes::Bytes;

use super::*;
use crate::elements::enums::EnhancedRtmp;
use crate::flv::{AudioPacket, Metadata, VideoPacket};

fn caps(text: &str) -> gst::Caps {
    gst::init().unwrap();
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn encoder(text: &str, track: u8, policy: EnhancedRtmp) -> Result<TrackEncoder, Error> {
    TrackEncoder::new(&caps(text), track, policy)
}

/// A buffer of `data` with flags and times in milliseconds.
fn buffer(data: &[u8], flags: gst::BufferFlags, dts: u64, pts: u64) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(data.to_vec());
    let writable = buffer.get_mut().unwrap();
    writable.set_flags(flags);
    writable.set_dts(gst::ClockTime::from_mseconds(dts));
    writable.set_pts(gst::ClockTime::from_mseconds(pts));
    buffer
}

fn whole(tag: &TagBody) -> Bytes {
    [&tag.head[..], &tag.body[..]].concat().into()
}

/// Reads a tag body as a demuxer would.
fn decode(decoder: &mut TrackDecoder, tag: &TagBody, timestamp: u64) -> Vec<Result<Output, Error>> {
    let time = gst::ClockTime::from_mseconds(timestamp);
    let body = whole(tag);
    match tag.kind {
        TrackKind::Audio => AudioPacket::decode(&body)
            .map(|packet| decoder.audio(packet.unwrap(), time))
            .collect(),
        TrackKind::Video => VideoPacket::decode(&body)
            .map(|packet| decoder.video(packet.unwrap(), time))
            .collect(),
    }
}

fn kind(encoder: &TrackEncoder) -> TrackKind {
    match encoder.format() {
        Format::Audio(_) => TrackKind::Audio,
        Format::Video(_) => TrackKind::Video,
    }
}

/// Writes headers, buffers and the end of a track, and reads all of it.
struct Trip {
    caps: Vec<gst::Caps>,
    buffers: Vec<gst::Buffer>,
    has_ended: bool,
}

fn trip(mut encoder: TrackEncoder, buffers: &[gst::Buffer]) -> Trip {
    let mut decoder = TrackDecoder::new(kind(&encoder));
    let metadata = on_meta_data([&encoder], &gst::TagList::new());
    let metadata = Metadata::parse(metadata).unwrap();
    let known = TrackMetadata::of(&metadata, kind(&encoder), encoder.track());
    assert!(
        decoder.set_metadata(known).is_none(),
        "there is nothing to renew yet"
    );
    let mut trip = Trip {
        caps: Vec::new(),
        buffers: Vec::new(),
        has_ended: false,
    };
    let take = |output: Output, trip: &mut Trip| {
        trip.caps.extend(output.caps);
        trip.buffers.extend(output.buffer);
        trip.has_ended |= output.mark == Some(Mark::SequenceEnd);
    };
    let mut has_headers = false;
    for buffer in buffers {
        // Headers that are pushed have no time.
        let pts = buffer.pts().unwrap_or_default();
        let dts = buffer.dts().unwrap_or(pts);
        let first = buffer.clone();
        let Some(frame) = encoder.frame(buffer.clone(), dts, pts).unwrap() else {
            continue;
        };
        if !has_headers {
            for tag in encoder.headers(&first).unwrap() {
                for output in decode(&mut decoder, &tag, frame.timestamp) {
                    take(output.unwrap(), &mut trip);
                }
            }
            has_headers = true;
        }
        for output in decode(&mut decoder, &frame.tag, frame.timestamp) {
            take(output.unwrap(), &mut trip);
        }
    }
    if let Some(tag) = encoder.end() {
        for output in decode(&mut decoder, &tag, 0) {
            take(output.unwrap(), &mut trip);
        }
    }
    trip
}
