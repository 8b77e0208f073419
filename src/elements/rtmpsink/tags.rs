//! FLV as it comes down a pipeline -> the media messages to publish.
//!
//! A muxer sends its headers twice, in the caps and in front of the stream, and `flvmux` repeats its metadata
//! with every tag event: what the server has already been told is left out. All else goes out as it came.

use bytes::Bytes;

use crate::flv::{self, AudioTag, Item, Tag, TagKind, VideoTag, script};
use crate::session::{Media, MediaKind};
use crate::timestamp::Timestamp;

/// Tags of the caps' `streamheader` that are kept; more are not headers.
const MAX_HEADERS: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tags {
    reader: flv::Reader,
    /// Headers of the caps, and how many of them were sent; the rest is due before the next tag.
    headers: Vec<Tag>,
    sent: usize,
    /// Headers that were sent because the caps had them: the stream's own copies, which follow, are left out.
    announced: Vec<(TagKind, Bytes)>,
    metadata: Option<Bytes>,
    /// Timestamp of the last tag that was sent, in milliseconds.
    last: Option<u32>,
    /// Tags that were left out because they are encrypted.
    encrypted: u64,
}

impl Tags {
    /// Takes the headers of new caps; they are due before the next tag.
    pub(super) fn set_headers(&mut self, headers: impl IntoIterator<Item = Bytes>) -> Result<(), flv::Error> {
        let mut reader = flv::Reader::new();
        for header in headers {
            reader.push(header);
        }
        self.headers.clear();
        self.sent = 0;
        self.announced.clear();
        while let Some(item) = reader.next()? {
            match item {
                Item::Tag(tag) if self.headers.len() < MAX_HEADERS => self.headers.push(tag),
                Item::Tag(_) | Item::Header(_) | Item::Encrypted { .. } => {}
            }
        }
        Ok(())
    }

    /// Forgets what a server was told: another connection begins, and the headers are due again.
    pub(super) fn start_over(&mut self) {
        self.sent = 0;
        self.announced.clear();
        self.metadata = None;
        self.last = None;
    }

    /// Drops what is left of a tag that was cut off by a flush; what follows starts at a tag.
    pub(super) fn flush(&mut self) {
        self.reader = flv::Reader::new();
    }

    /// Adds a buffer of the stream.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.reader.push(bytes);
    }

    /// The next message to publish, or `None` until more is pushed.
    pub(super) fn next(&mut self) -> Result<Option<Media>, flv::Error> {
        loop {
            if let Some(tag) = self.headers.get(self.sent).cloned() {
                self.sent += 1;
                self.announced.push((tag.kind, tag.joined()));
                // In the middle of a stream a header belongs to what follows it, not to the start.
                let timestamp = self.last.unwrap_or(tag.timestamp);
                if let Some(media) = self.publish(Tag { timestamp, ..tag }) {
                    return Ok(Some(media));
                }
                continue;
            }
            match self.reader.next()? {
                None => return Ok(None),
                Some(Item::Header(_)) => {}
                Some(Item::Encrypted { .. }) => self.encrypted += 1,
                Some(Item::Tag(tag)) => {
                    if self.is_announced(&tag) {
                        continue;
                    }
                    if let Some(media) = self.publish(tag) {
                        return Ok(Some(media));
                    }
                }
            }
        }
    }

    /// Timestamp of the last tag that was sent, in milliseconds.
    pub(super) const fn last(&self) -> Option<u32> {
        self.last
    }

    /// How many tags were left out because they are encrypted.
    pub(super) const fn encrypted(&self) -> u64 {
        self.encrypted
    }

    /// Bytes of a tag that has not come to its end.
    pub(super) fn pending(&self) -> usize {
        self.reader.pending()
    }

    /// Whether the headers in front of the stream repeat those of the caps. The first tag that is no header ends
    /// that.
    fn is_announced(&mut self, tag: &Tag) -> bool {
        if self.announced.is_empty() {
            return false;
        }
        // Only until the first frame: a copy of headers.
        let body = tag.joined();
        let is_header = match tag.kind {
            TagKind::Script | TagKind::ScriptAmf3 => true,
            TagKind::Audio => AudioTag::classify(&body).is_ok_and(|tag| tag.is_sequence_start()),
            TagKind::Video => VideoTag::classify(&body).is_ok_and(|tag| tag.is_sequence_start()),
            TagKind::Unknown(_) => false,
        };
        if !is_header {
            self.announced.clear();
            return false;
        }
        match self
            .announced
            .iter()
            .position(|announced| *announced == (tag.kind, body.clone()))
        {
            Some(index) => {
                self.announced.swap_remove(index);
                true
            }
            None => false,
        }
    }

    fn publish(&mut self, tag: Tag) -> Option<Media> {
        let (kind, mut head, body) = match tag.kind {
            TagKind::Audio => (MediaKind::Audio, tag.head, tag.body),
            TagKind::Video => (MediaKind::Video, tag.head, tag.body),
            TagKind::Script => (MediaKind::Data, Bytes::new(), tag.joined()),
            // The same in an AMF0 message: a format selector of 0 goes ahead of AMF0 values.
            TagKind::ScriptAmf3 => {
                let mut body = tag.joined();
                if body.is_empty() {
                    return None;
                }
                (MediaKind::Data, Bytes::new(), body.split_off(1))
            }
            TagKind::Unknown(_) => return None,
        };
        if kind == MediaKind::Data {
            if script::is_metadata(&body) {
                if self.metadata.as_ref() == Some(&body) {
                    return None;
                }
                self.metadata = Some(body.clone());
            }
            head = script::publishing_head(&body);
        }
        self.last = Some(tag.timestamp);
        Some(Media {
            kind,
            timestamp: Timestamp::from_millis(tag.timestamp),
            head,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{FileHeader, TagHeader};
    use bytes::{BufMut as _, BytesMut};

    const METADATA: &[u8] = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09";
    const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00\x01\x64\x00\x0a";
    const KEY_FRAME: &[u8] = b"\x17\x01\x00\x00\x00\x00\x00\x00\x01\x65";

    fn tag(kind: TagKind, timestamp: u32, body: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        let header = TagHeader::new(kind, timestamp, body.len()).unwrap();
        header.encode(&mut out);
        out.put_slice(body);
        out.put_u32(header.previous_tag_size());
        out.freeze()
    }

    fn file_header() -> Bytes {
        let mut out = BytesMut::new();
        FileHeader {
            has_audio: true,
            has_video: true,
        }
        .encode(&mut out);
        out.freeze()
    }

    fn drain(tags: &mut Tags) -> Vec<(MediaKind, u32, Vec<u8>)> {
        std::iter::from_fn(|| tags.next().unwrap())
            .map(|media| {
                (
                    media.kind,
                    media.timestamp.millis(),
                    [&media.head[..], &media.body[..]].concat(),
                )
            })
            .collect()
    }

    fn published(body: &[u8]) -> Vec<u8> {
        [script::SET_DATA_FRAME, body].concat()
    }

    #[test]
    fn headers_of_the_caps_come_first_and_once() {
        let mut tags = Tags::default();
        let headers = [
            file_header(),
            tag(TagKind::Script, 0, METADATA),
            tag(TagKind::Video, 0, AVC_HEADER),
        ];
        tags.set_headers(headers.clone()).unwrap();
        for header in headers {
            tags.push(header);
        }
        tags.push(tag(TagKind::Video, 40, KEY_FRAME));
        tags.push(tag(TagKind::Video, 80, AVC_HEADER));
        assert_eq!(
            drain(&mut tags),
            [
                (MediaKind::Data, 0, published(METADATA)),
                (MediaKind::Video, 0, AVC_HEADER.to_vec()),
                (MediaKind::Video, 40, KEY_FRAME.to_vec()),
                // Not a copy in front of the stream: the stream repeats it on purpose.
                (MediaKind::Video, 80, AVC_HEADER.to_vec()),
            ]
        );
    }

    #[test]
    fn new_headers_in_mid_stream_bear_the_time_of_the_stream() {
        let mut tags = Tags::default();
        tags.push(tag(TagKind::Video, 5000, KEY_FRAME));
        assert_eq!(drain(&mut tags).len(), 1);
        tags.set_headers([file_header(), tag(TagKind::Video, 0, AVC_HEADER)])
            .unwrap();
        tags.push(tag(TagKind::Video, 5040, KEY_FRAME));
        let times: Vec<u32> = drain(&mut tags).iter().map(|(_, time, _)| *time).collect();
        assert_eq!(times, [5000, 5040]);
    }

    #[test]
    fn repeated_metadata_is_left_out_and_changed_metadata_is_not() {
        let other: &[u8] = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x01a\x05\x00\x00\x09";
        let mut tags = Tags::default();
        for body in [METADATA, METADATA, other, other, METADATA] {
            tags.push(tag(TagKind::Script, 0, body));
        }
        let bodies: Vec<_> = drain(&mut tags).into_iter().map(|(_, _, body)| body).collect();
        assert_eq!(
            bodies,
            [published(METADATA), published(other), published(METADATA)]
        );
    }

    #[test]
    fn several_tags_in_one_buffer_and_tags_cut_at_any_byte_all_go_out() {
        let stream = [
            file_header(),
            tag(TagKind::Script, 0, METADATA),
            tag(TagKind::Video, 0, AVC_HEADER),
            tag(TagKind::Audio, 7, b"\xaf\x01\x21"),
            tag(TagKind::Video, 40, KEY_FRAME),
        ]
        .concat();
        let mut whole = Tags::default();
        whole.push(stream.clone().into());
        let expected = drain(&mut whole);
        assert_eq!(expected.len(), 4);
        for split in 0..stream.len() {
            let (a, b) = stream.split_at(split);
            let mut tags = Tags::default();
            tags.push(Bytes::copy_from_slice(a));
            let mut media = drain(&mut tags);
            tags.push(Bytes::copy_from_slice(b));
            media.extend(drain(&mut tags));
            assert_eq!(media, expected, "split at {split}");
        }
    }

    #[test]
    fn tags_before_garbage_go_out_and_the_error_names_its_byte() {
        let mut tags = Tags::default();
        let good = tag(TagKind::Audio, 7, b"\xaf\x01\x21");
        let offset = good.len() as u64;
        tags.push(good);
        tags.push(Bytes::from_static(b"this is not FLV at all, is it?"));
        assert!(tags.next().unwrap().is_some());
        assert_eq!(tags.next().unwrap_err().offset, offset);
        assert!(tags.next().is_err());
    }
}
