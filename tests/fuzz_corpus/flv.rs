//! FLV files: the pieces in which bytes arrive make no difference, and any tag body can be looked at. The first byte
//! says how the rest arrives.

use bytes::Bytes;
use gstrtmp::flv::{AudioTag, Error, Item, Metadata, Reader, TagKind, VideoTag, script};

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
        match tag.kind {
            TagKind::Audio => drop(AudioTag::classify(&tag.body)),
            TagKind::Video => drop(VideoTag::classify(&tag.body)),
            _ => {}
        }
        let stripped = script::strip_set_data_frame(tag.body.clone());
        assert!(script::is_metadata(&tag.body) || !script::is_metadata(&stripped));
        if let Some(metadata) = Metadata::parse(tag.body) {
            let _ = (metadata.has_audio(), metadata.has_video());
            let _ = (metadata.video(0), metadata.audio(0), metadata.recording());
        }
    }
}

fn read(file: &[u8], piece: usize) -> (Vec<Item>, Result<(), Error>) {
    let mut reader = Reader::new();
    let mut items = Vec::new();
    for arrived in file.chunks(piece) {
        reader.push(Bytes::copy_from_slice(arrived));
        loop {
            match reader.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    (items, Ok(()))
}
