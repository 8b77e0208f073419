//! FLV for the element, and what a server should get of it.

use bytes::{BufMut as _, Bytes, BytesMut};
use gstrtmp::flv::{FileHeader, TagHeader, TagKind};
use gstrtmp::message::type_id;

use crate::support::script::Connection;

pub(crate) const METADATA: &[u8] = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09";
pub(crate) const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";
pub(crate) const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00\x01\x64\x00\x0aconfiguration";
pub(crate) const AAC_HEADER: &[u8] = b"\xaf\x00\x12\x10";
pub(crate) const KEY_FRAME: &[u8] = b"\x17\x01\x00\x00\x00key";
pub(crate) const DELTA_FRAME: &[u8] = b"\x27\x01\x00\x00\x00delta";
pub(crate) const SOUND: &[u8] = b"\xaf\x01sound";

/// Type, timestamp and payload of a message.
pub(crate) type Message = (u8, u32, Vec<u8>);

/// FLV file header and the size of the tag before the first.
pub(crate) fn file_header() -> Bytes {
    let mut out = BytesMut::new();
    FileHeader {
        has_audio: true,
        has_video: true,
    }
    .encode(&mut out);
    out.freeze()
}

/// A whole tag.
pub(crate) fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Bytes {
    let header = TagHeader::new(kind, timestamp, body.len()).expect("the body is short");
    let mut out = BytesMut::new();
    header.encode(&mut out);
    out.put_slice(body);
    out.put_u32(header.previous_tag_size());
    out.freeze()
}

pub(crate) fn script(timestamp: u32, body: &[u8]) -> Bytes {
    tag(TagKind::Script, timestamp, body)
}

pub(crate) fn video(timestamp: u32, body: &[u8]) -> Bytes {
    tag(TagKind::Video, timestamp, body)
}

pub(crate) fn audio(timestamp: u32, body: &[u8]) -> Bytes {
    tag(TagKind::Audio, timestamp, body)
}

/// A video frame of `size` bytes that differs from every other one.
pub(crate) fn frame(number: u32, size: usize) -> Bytes {
    video(number * 40, &frame_body(number, size))
}

/// The body of a [`frame`].
pub(crate) fn frame_body(number: u32, size: usize) -> Vec<u8> {
    let mut body = KEY_FRAME.to_vec();
    body.extend_from_slice(&number.to_be_bytes());
    let fill = u8::try_from(number % 251).expect("less than 251");
    body.resize(size.max(body.len()), fill);
    body
}

/// From this one on a [`heavy_frame`] is heavy.
const FIRST_HEAVY: u32 = 8;

/// Some light frames, and then one that no system keeps in its buffers for a peer that does not read: 16 MiB.
pub(crate) fn heavy_frame(number: u32) -> Bytes {
    video(number * 40, &heavy_body(number))
}

/// The body of a [`heavy_frame`].
pub(crate) fn heavy_body(number: u32) -> Vec<u8> {
    frame_body(number, if number < FIRST_HEAVY { 1000 } else { 0xFF_FFFF })
}

/// What a server gets of the first `count` of [`heavy_frame`].
pub(crate) fn heavy_messages(count: u32) -> Vec<Message> {
    (0..count)
        .map(|number| (type_id::VIDEO, number * 40, heavy_body(number)))
        .collect()
}

/// The headers of a stream, in the order in which flvmux has them.
pub(crate) fn headers() -> Vec<Bytes> {
    vec![
        file_header(),
        script(0, METADATA),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
    ]
}

/// What a server gets of [`headers`].
pub(crate) fn header_messages(timestamp: u32) -> Vec<Message> {
    vec![
        (type_id::DATA_AMF0, timestamp, metadata_message()),
        (type_id::VIDEO, timestamp, AVC_HEADER.to_vec()),
        (type_id::AUDIO, timestamp, AAC_HEADER.to_vec()),
    ]
}

/// What a server gets of [`METADATA`].
pub(crate) fn metadata_message() -> Vec<u8> {
    [SET_DATA_FRAME, METADATA].concat()
}

/// A stream with headers and three frames.
pub(crate) fn stream() -> Vec<Bytes> {
    let mut tags = headers();
    tags.extend([video(0, KEY_FRAME), audio(23, SOUND), video(40, DELTA_FRAME)]);
    tags
}

/// What a server gets of the frames of [`stream`].
pub(crate) fn frame_messages() -> Vec<Message> {
    vec![
        (type_id::VIDEO, 0, KEY_FRAME.to_vec()),
        (type_id::AUDIO, 23, SOUND.to_vec()),
        (type_id::VIDEO, 40, DELTA_FRAME.to_vec()),
    ]
}

/// What a server gets of [`stream`].
pub(crate) fn stream_messages() -> Vec<Message> {
    let mut messages = header_messages(0);
    messages.extend(frame_messages());
    messages
}

/// The media that a server got.
pub(crate) fn media(connection: &Connection) -> Vec<Message> {
    connection
        .media()
        .map(|message| (message.type_id, message.timestamp, message.payload.to_vec()))
        .collect()
}
