//! What ffmpeg 9 publishes by Enhanced RTMP, decoded. The sessions: `tests/data/captures/README.md`.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use gstrtmp::chunk::Reader;
use gstrtmp::flv::TagKind;
use gstrtmp::message::{self, Control, Incoming};

use crate::support::ffmpeg::utf8;
use crate::support::pipeline::Pipeline;
use crate::support::tags::{self, Tag};
use crate::support::{Context, Result};

/// C0, C1 and C2.
const HANDSHAKE: usize = 1 + 1536 + 1536;

/// The tags that a client published.
pub(crate) fn published(session: &str) -> Result<Vec<Tag>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/captures")
        .join(session)
        .with_extension("client");
    let bytes = Bytes::from(std::fs::read(&file).context(file.display())?);
    let mut input = BytesMut::from(bytes.slice(HANDSHAKE..));
    let mut reader = Reader::new();
    let mut tags = Vec::new();
    while let Some(message) = reader.read(&mut input)? {
        if let Ok(Incoming::Control(Control::SetChunkSize(size))) = message::decode(message.clone()) {
            reader.set_chunk_size(size);
        }
        let kind = TagKind::from_type_id(message.type_id);
        if matches!(kind, TagKind::Audio | TagKind::Video | TagKind::Script) {
            tags.push(Tag {
                kind,
                timestamp: message.timestamp.millis(),
                body: message.payload,
            });
        }
    }
    Ok(tags)
}

/// Writes what a client published as a file.
pub(crate) fn write(session: &str, folder: &Path) -> Result<(PathBuf, Vec<Tag>)> {
    let file = folder.join(session).with_extension("flv");
    let tags = published(session)?;
    tags::write(&file, &tags)?;
    Ok((file, tags))
}

#[test]
fn enhanced_streams_decode_to_the_last_frame() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (session, video, audio) in [
        (
            "rtmprs-ffmpeg9-hevc-aac-publish",
            "h265parse ! avdec_h265",
            "avdec_aac",
        ),
        ("rtmprs-ffmpeg9-av1-opus-publish", "av1parse ! av1dec", "opusdec"),
        (
            "rtmprs-ffmpeg9-vp9-opus-publish",
            "vp9dec",
            "opusparse ! avdec_opus",
        ),
        ("rtmprs-ffmpeg9-h264-ac3-publish", "avdec_h264", "avdec_ac3"),
        (
            "rtmprs-ffmpeg9-h264-flac-publish",
            "h264parse ! avdec_h264",
            "flacparse ! flacdec",
        ),
    ] {
        let (file, tags) = write(session, folder.path())?;
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} blocksize=1021 ! rtmpdemux name=demux \
             demux.video_0 ! queue ! tee name=video ! {video} ! fakesink name=pictures sync=false \
             demux.audio_0 ! queue ! tee name=audio ! {audio} ! fakesink name=sounds sync=false",
            utf8(&file)?
        ))?;
        let names = ["video", "audio", "pictures", "sounds"];
        let [video, audio, pictures, sounds] = names.map(|name| pipeline.tap(name));
        let (video, audio, pictures, sounds) = (video?, audio?, pictures?, sounds?);
        pipeline.play()?;
        pipeline.wait_for_eos().context(session)?;
        let count = |kind| tags::frames_of(kind, &tags).len();
        assert_eq!(video.len(), count(TagKind::Video), "{session}");
        assert_eq!(audio.len(), count(TagKind::Audio), "{session}");
        assert_eq!(pictures.len(), video.len(), "{session}");
        assert!(video.len() > 20 && sounds.len() > 20, "{session}");
    }
    Ok(())
}
