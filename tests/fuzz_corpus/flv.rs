//! FLV files: the pieces in which bytes arrive make no difference, and any tag body can be looked at. The first byte
//! says how the rest arrives.

use bytes::Bytes;
use gstrtmp::flv::{AudioTag, Error, Item, Metadata, Reader, Tag, TagKind, VideoTag, script};

pub(crate) fn run(data: &[u8]) {
    let Some((&choice, file)) = data.split_first() else {
        return;
    };
    let piece = usize::from(choice) + 1;
    let (items, end) = read(file, file.len().max(1));
    let (in_pieces, end_in_pieces) = read(file, piece);
    assert_eq!(items, in_pieces, "pieces of {piece} bytes make other tags");
    assert_eq!(end, end_in_pieces);

    for item in items {
        let Item::Tag(tag) = item else { continue };
        let body = tag.body;
        match tag.kind {
            TagKind::Audio => drop(AudioTag::classify(&body)),
            TagKind::Video => drop(VideoTag::classify(&body)),
            _ => {}
        }
        let stripped = script::strip_set_data_frame(body.clone());
        assert!(script::is_metadata(&body) || !script::is_metadata(&stripped));
        if let Some(metadata) = Metadata::parse(body) {
            let _ = (metadata.has_audio(), metadata.has_video());
            let _ = (metadata.video(0), metadata.audio(0), metadata.recording());
        }
    }
}

/// The items of a file that comes in pieces, bodies in one.
fn read(file: &[u8], piece: usize) -> (Vec<Item>, Result<(), Error>) {
    let mut reader = Reader::new();
    let mut items = Vec::new();
    for arrived in file.chunks(piece) {
        reader.push(Bytes::copy_from_slice(arrived));
        loop {
            match reader.next() {
                Ok(Some(Item::Tag(tag))) => items.push(Item::Tag(Tag {
                    body: tag.joined(),
                    head: Bytes::new(),
                    ..tag
                })),
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    (items, Ok(()))
}
