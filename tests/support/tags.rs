//! FLV tags in a form that can be compared: what goes into `rtmpsink` and what comes out of `rtmpsrc` and players.

use std::path::Path;

use bytes::{BufMut as _, Bytes, BytesMut};
use gst::glib;
use gstrtmp::flv::{self, AudioTag, FileHeader, Item, TagHeader, TagKind, VideoTag};

use super::{Context, Failure, Result};

/// One tag. `Debug` shows a checksum instead of the bytes.
#[derive(Clone, Eq, PartialEq)]
pub struct Tag {
    /// What it carries.
    pub kind: TagKind,
    /// Decoding time in milliseconds.
    pub timestamp: u32,
    /// All behind the tag's header.
    pub body: Bytes,
}

impl std::fmt::Debug for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind,
            timestamp,
            body,
        } = self;
        write!(f, "{kind:?} at {timestamp}: {} bytes {}", body.len(), md5(body))
    }
}

impl Tag {
    /// Whether the tag is a picture or sound, not what a decoder needs before these nor what ends them.
    pub fn is_frame(&self) -> bool {
        use gstrtmp::flv::{audio::AudioRole, video::VideoRole};
        match self.kind {
            TagKind::Audio => AudioTag::classify(&self.body).is_ok_and(|tag| tag.role == AudioRole::Frames),
            TagKind::Video => {
                VideoTag::classify(&self.body).is_ok_and(|tag| matches!(tag.role, VideoRole::Frame { .. }))
            }
            _ => false,
        }
    }

    /// Whether the tag is a sequence header.
    pub fn is_header(&self) -> bool {
        match self.kind {
            TagKind::Audio => AudioTag::classify(&self.body).is_ok_and(|tag| tag.is_sequence_start()),
            TagKind::Video => VideoTag::classify(&self.body).is_ok_and(|tag| tag.is_sequence_start()),
            _ => false,
        }
    }

    /// Milliseconds from decoding to presentation of a picture.
    pub fn composition_time(&self) -> Option<i32> {
        use gstrtmp::flv::video::VideoRole;
        match VideoTag::classify(&self.body).ok()?.role {
            VideoRole::Frame { composition_time } if self.kind == TagKind::Video => Some(composition_time),
            _ => None,
        }
    }
}

/// The pictures and sounds among tags, in their order.
pub fn frames(tags: &[Tag]) -> Vec<Tag> {
    tags.iter().filter(|tag| tag.is_frame()).cloned().collect()
}

/// The frames of one kind. Players that write files of their own order both kinds anew.
pub fn frames_of(kind: TagKind, tags: &[Tag]) -> Vec<Tag> {
    tags.iter()
        .filter(|tag| tag.kind == kind && tag.is_frame())
        .cloned()
        .collect()
}

/// The sequence headers among tags, each once, without times: servers repeat them when players join.
pub fn headers(tags: &[Tag]) -> Vec<(u8, Bytes)> {
    let mut headers: Vec<_> = tags
        .iter()
        .filter(|tag| tag.is_header())
        .map(|tag| (tag.kind.type_id(), tag.body.clone()))
        .collect();
    headers.sort();
    headers.dedup();
    headers
}

/// The tags of a stream in pieces.
pub fn parse(pieces: impl IntoIterator<Item = Bytes>) -> Result<Vec<Tag>> {
    let mut reader = flv::Reader::new();
    for piece in pieces {
        reader.push(piece);
    }
    let mut tags = Vec::new();
    while let Some(item) = reader.next()? {
        match item {
            Item::Header(_) => {}
            Item::Encrypted { .. } => return Err(Failure::new("an encrypted tag has come from nowhere")),
            Item::Tag(tag) => tags.push(Tag {
                kind: tag.kind,
                timestamp: tag.timestamp,
                body: tag.joined(),
            }),
        }
    }
    match reader.pending() {
        0 => Ok(tags),
        pending => Err(Failure::new(format!("{pending} bytes of a tag that has no end"))),
    }
}

/// The tags of a file.
pub fn read(file: &Path) -> Result<Vec<Tag>> {
    let bytes = std::fs::read(file).context(file.display())?;
    parse([bytes.into()]).context(file.display())
}

/// Writes tags to a file.
pub fn write(file: &Path, tags: &[Tag]) -> Result<()> {
    let mut out = BytesMut::new();
    FileHeader {
        has_audio: tags.iter().any(|tag| tag.kind == TagKind::Audio),
        has_video: tags.iter().any(|tag| tag.kind == TagKind::Video),
    }
    .encode(&mut out);
    for tag in tags {
        let header =
            TagHeader::new(tag.kind, tag.timestamp, tag.body.len()).context("a body for an FLV tag")?;
        header.encode(&mut out);
        out.put_slice(&tag.body);
        out.put_u32(header.previous_tag_size());
    }
    std::fs::write(file, out).context(file.display())
}

/// The bytes of a buffer.
pub fn bytes(buffer: gst::Buffer) -> Result<Bytes> {
    let mapped = buffer
        .into_mapped_buffer_readable()
        .map_err(|_| Failure::new("a buffer cannot be read"))?;
    Ok(Bytes::from_owner(mapped))
}

/// MD5 in hexadecimal, as ffmpeg writes it.
pub fn md5(bytes: &[u8]) -> String {
    glib::compute_checksum_for_data(glib::ChecksumType::Md5, bytes)
        .map(Into::into)
        .unwrap_or_default()
}
