//! Tag bodies -> tags of FLV in buffers.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::elements::track::{Error, TagBody, TrackKind};
use crate::flv::{TagHeader, TagKind, Unwritable};

/// Bytes of `PreviousTagSize` behind a tag.
const TRAILER_SIZE: usize = 4;

/// When a tag is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// In running time.
    pub(super) pts: gst::ClockTime,
    pub(super) dts: gst::ClockTime,
    /// Milliseconds of the stream, for the tag.
    pub(super) timestamp: u64,
}

impl Due {
    /// A tag around the memory of the frame.
    pub(super) fn buffer(self, tag: &TagBody, flags: gst::BufferFlags) -> Result<gst::Buffer, Error> {
        let (front, trailer) = frame(kind(tag), &tag.head, &tag.body, self.timestamp)?;
        let mut buffer = gst::Buffer::new();
        if let Some(writable) = buffer.get_mut() {
            writable.append_memory(gst::Memory::from_slice(front));
            if !tag.body.is_empty() {
                writable.append_memory(gst::Memory::from_slice(tag.body.clone()));
            }
            writable.append_memory(gst::Memory::from_slice(trailer));
        }
        Ok(self.stamp(buffer, flags))
    }

    /// What is no frame.
    pub(super) fn header(self, bytes: Bytes) -> gst::Buffer {
        self.stamp(gst::Buffer::from_slice(bytes), gst::BufferFlags::HEADER)
    }

    fn stamp(self, mut buffer: gst::Buffer, flags: gst::BufferFlags) -> gst::Buffer {
        if let Some(writable) = buffer.get_mut() {
            writable.set_pts(self.pts);
            writable.set_dts(self.dts);
            writable.set_flags(flags);
        }
        buffer
    }
}

/// A header in one piece, as caps hold it: at the stream's begin.
pub(super) fn header(tag: &TagBody) -> Result<Bytes, Error> {
    flat(kind(tag), &tag.head, &tag.body, 0)
}

/// Metadata in one piece.
pub(super) fn script(body: &Bytes, timestamp: u64) -> Result<Bytes, Error> {
    flat(TagKind::Script, body, &Bytes::new(), timestamp)
}

fn flat(kind: TagKind, head: &Bytes, body: &Bytes, timestamp: u64) -> Result<Bytes, Error> {
    let (front, trailer) = frame(kind, head, body, timestamp)?;
    Ok([&front[..], body, &trailer].concat().into())
}

/// What stands in front of the payload of a tag, and behind it.
fn frame(kind: TagKind, head: &Bytes, body: &Bytes, timestamp: u64) -> Result<(BytesMut, Bytes), Error> {
    let size = head.len() + body.len();
    #[expect(clippy::cast_possible_truncation, reason = "FLV timestamps wrap")]
    let header = TagHeader::new(kind, timestamp as u32, size)
        .map_err(|_| Error::Unwritable(Unwritable::Size(size)))?;
    let mut front = BytesMut::new();
    header.encode(&mut front);
    front.put_slice(head);
    let mut trailer = BytesMut::with_capacity(TRAILER_SIZE);
    trailer.put_u32(header.previous_tag_size());
    Ok((front, trailer.freeze()))
}

const fn kind(tag: &TagBody) -> TagKind {
    match tag.kind {
        TrackKind::Audio => TagKind::Audio,
        TrackKind::Video => TagKind::Video,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(body: Bytes) -> TagBody {
        TagBody {
            kind: TrackKind::Video,
            head: Bytes::from_static(b"\x27\x01\xff\xff\xd8"),
            body,
        }
    }

    fn due(timestamp: u64) -> Due {
        gst::init().unwrap();
        Due {
            pts: gst::ClockTime::from_mseconds(7),
            dts: gst::ClockTime::from_mseconds(5),
            timestamp,
        }
    }

    #[test]
    fn a_tag_is_built_around_the_memory_of_its_frame() {
        let body = Bytes::from_static(b"\0\0\0\x05\x41\x9a\0\x11\x22");
        let address = body.as_ptr();
        let buffer = due(0x0100_0028)
            .buffer(&tag(body), gst::BufferFlags::DELTA_UNIT)
            .unwrap();
        // First, since mapping all of a buffer puts its memories together.
        let inner = buffer.peek_memory(1).map_readable().unwrap().as_ptr();
        assert_eq!(inner, address);
        let expected =
            b"\x09\0\0\x0e\0\0\x28\x01\0\0\0\x27\x01\xff\xff\xd8\0\0\0\x05\x41\x9a\0\x11\x22\0\0\0\x19";
        assert_eq!(buffer.map_readable().unwrap().as_slice(), expected);
        assert_eq!((buffer.pts(), buffer.dts()), (Some(due(0).pts), Some(due(0).dts)));
    }

    #[test]
    fn timestamps_wrap_after_32_bits() {
        let tag = script(&Bytes::from_static(b"\x02"), (1 << 32) + 0x0102_0304).unwrap();
        assert_eq!(tag.slice(4..8), b"\x02\x03\x04\x01"[..]);
    }

    #[test]
    fn what_no_tag_can_hold_is_refused() {
        let most = Bytes::from(vec![0; (1 << 24) - 1 - 5]);
        assert!(due(0).buffer(&tag(most), gst::BufferFlags::empty()).is_ok());
        let more = Bytes::from(vec![0; (1 << 24) - 5]);
        assert_eq!(
            due(0).buffer(&tag(more), gst::BufferFlags::empty()).unwrap_err(),
            Error::Unwritable(Unwritable::Size(1 << 24))
        );
    }
}
