//! Every codec from GStreamer's encoders through the muxer to readers that are not ours, packet by packet: bytes
//! exact, times exact to the millisecond that tags have.
//!
//! `docs/codecs.md` names the rows.

use std::path::Path;

use bytes::Bytes;
use gst::prelude::*;
use gstrtmp::flv::config::obu;
use gstrtmp::flv::{FourCc, TagKind};

use crate::fixture::{Content, Out, Piece, packets};
use crate::support::ffmpeg::{self, Form};
use crate::support::{Context, Failure, Result, pipeline, pyav, tags, wait};

/// A codec, how GStreamer makes it, and what it has to come out as.
struct Row {
    name: &'static str,
    /// A pipeline as for `gst-launch-1.0`.
    line: String,
    /// `None` of legacy tags.
    four_cc: Option<FourCc>,
    /// Whether the pad is told to put what legacy tags could carry into Enhanced ones.
    is_forced: bool,
    /// FFmpeg's name of it.
    ffmpeg: &'static str,
    /// Who else reads it.
    readers: Readers,
}

/// Readers besides `gstrtmp::flv`.
#[derive(Clone, Copy)]
struct Readers {
    /// The FFmpeg that PyAV brings.
    current: bool,
    /// FFmpeg 5.1.
    debian: bool,
    /// flvdemux 1.22.
    flvdemux: bool,
}

/// Legacy tags.
const ALL: Readers = Readers {
    current: true,
    debian: true,
    flvdemux: true,
};
const FFMPEG: Readers = Readers {
    flvdemux: false,
    ..ALL
};
/// Enhanced tags.
const CURRENT: Readers = Readers {
    debian: false,
    ..FFMPEG
};
const NOBODY: Readers = Readers {
    current: false,
    ..CURRENT
};

/// One packet, with times in milliseconds.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Packet {
    pts: i64,
    dts: i64,
    size: usize,
    md5: String,
}

impl Packet {
    fn new(pts: i64, dts: i64, data: &[u8]) -> Self {
        Self {
            pts,
            dts,
            size: data.len(),
            md5: tags::md5(data),
        }
    }
}

const PICTURES: &str =
    "videotestsrc num-buffers=40 ! video/x-raw,format=I420,width=160,height=120,framerate=30/1";
const FEW_PICTURES: &str =
    "videotestsrc num-buffers=8 ! video/x-raw,format=I420,width=160,height=120,framerate=30000/1001";
const SOUND: &str = "audiotestsrc num-buffers=60 wave=ticks ! audio/x-raw";

const AVC: &str = "x264enc bframes=2 b-adapt=false key-int-max=20 ! video/x-h264,profile=main";
const AAC: &str = "rate=44100,channels=2 ! avenc_aac";
const MP3: &str = "rate=44100,channels=2 ! lamemp3enc ! mpegaudioparse";

fn row(
    name: &'static str,
    line: String,
    four_cc: Option<FourCc>,
    ffmpeg: &'static str,
    readers: Readers,
) -> Row {
    Row {
        name,
        line,
        four_cc,
        is_forced: false,
        ffmpeg,
        readers,
    }
}

fn forced(row: Row) -> Row {
    Row {
        is_forced: true,
        ..row
    }
}

fn pictures(encoder: &str) -> String {
    format!("{PICTURES} ! {encoder}")
}

fn sound(encoder: &str) -> String {
    format!("{SOUND},{encoder}")
}

fn rows() -> Vec<Row> {
    vec![
        row("H.264", pictures(AVC), None, "h264", ALL),
        forced(row(
            "H.264, Enhanced",
            pictures(AVC),
            Some(FourCc::AVC),
            "h264",
            CURRENT,
        )),
        row(
            "H.265",
            pictures("x265enc key-int-max=20 speed-preset=superfast ! h265parse"),
            Some(FourCc::HEVC),
            "hevc",
            CURRENT,
        ),
        row(
            "AV1",
            format!("{FEW_PICTURES} ! av1enc cpu-used=8 lag-in-frames=0 ! av1parse"),
            Some(FourCc::AV1),
            "libdav1d",
            CURRENT,
        ),
        row(
            "VP8",
            pictures("vp8enc deadline=1"),
            Some(FourCc::VP8),
            "vp8",
            NOBODY,
        ),
        row(
            "VP9",
            pictures("vp9enc deadline=1 cpu-used=8 ! vp9parse"),
            Some(FourCc::VP9),
            "vp9",
            CURRENT,
        ),
        row("Sorenson H.263", pictures("avenc_flv"), None, "flv", ALL),
        row(
            "Screen video",
            pictures("videoconvert ! avenc_flashsv"),
            None,
            "flashsv",
            ALL,
        ),
        row(
            "Screen video 2",
            pictures("videoconvert ! avenc_flashsv2"),
            None,
            "flashsv2",
            FFMPEG,
        ),
        row("AAC", sound(AAC), None, "aac", ALL),
        forced(row(
            "AAC, Enhanced",
            sound(AAC),
            Some(FourCc::AAC),
            "aac",
            CURRENT,
        )),
        row(
            "AAC 5.1",
            sound("rate=48000,channels=6,channel-mask=(bitmask)0x3f ! avenc_aac"),
            None,
            "aac",
            ALL,
        ),
        row("MP3", sound(MP3), None, "mp3float", ALL),
        forced(row(
            "MP3, Enhanced",
            sound(MP3),
            Some(FourCc::MP3),
            "mp3float",
            CURRENT,
        )),
        row(
            "MP3 at 48 kHz",
            sound("rate=48000,channels=2 ! lamemp3enc ! mpegaudioparse"),
            Some(FourCc::MP3),
            "mp3float",
            CURRENT,
        ),
        // FFmpeg has no name for the number that the specification gives it.
        row(
            "MP3 at 8 kHz",
            sound("rate=8000,channels=1 ! lamemp3enc ! mpegaudioparse"),
            None,
            "-",
            ALL,
        ),
        row(
            "Opus",
            sound("rate=48000,channels=2 ! opusenc"),
            Some(FourCc::OPUS),
            "opus",
            CURRENT,
        ),
        row(
            "Opus 5.1",
            sound("rate=48000,channels=6,channel-mask=(bitmask)0x3f ! opusenc"),
            Some(FourCc::OPUS),
            "opus",
            CURRENT,
        ),
        row(
            "FLAC",
            sound("rate=44100,channels=2 ! flacenc ! flacparse"),
            Some(FourCc::FLAC),
            "flac",
            CURRENT,
        ),
        row(
            "FLAC 5.1",
            sound("rate=48000,channels=6,channel-mask=(bitmask)0x3f ! flacenc ! flacparse"),
            Some(FourCc::FLAC),
            "flac",
            CURRENT,
        ),
        row(
            "AC-3",
            sound("rate=48000,channels=2 ! avenc_ac3 ! ac3parse"),
            Some(FourCc::AC3),
            "ac3",
            CURRENT,
        ),
        row(
            "AC-3 5.1",
            sound("rate=48000,channels=6,channel-mask=(bitmask)0x3f ! audioconvert ! avenc_ac3 ! ac3parse"),
            Some(FourCc::AC3),
            "ac3",
            CURRENT,
        ),
        row(
            "E-AC-3",
            sound("rate=48000,channels=2 ! avenc_eac3 ! ac3parse"),
            Some(FourCc::EAC3),
            "eac3",
            CURRENT,
        ),
        row(
            "G.711 A-law",
            sound("rate=8000,channels=1 ! alawenc"),
            None,
            "pcm_alaw",
            ALL,
        ),
        row(
            "G.711 mu-law",
            sound("rate=8000,channels=2 ! mulawenc"),
            None,
            "pcm_mulaw",
            ALL,
        ),
        row(
            "Speex",
            sound("rate=16000,channels=1 ! speexenc"),
            None,
            "speex",
            ALL,
        ),
        row(
            "Nellymoser",
            sound("rate=16000,channels=1 ! avenc_nellymoser"),
            None,
            "nellymoser",
            ALL,
        ),
        row(
            "ADPCM",
            sound("rate=22050,channels=2 ! avenc_adpcm_swf"),
            None,
            "adpcm_swf",
            ALL,
        ),
        row(
            "PCM",
            sound("rate=44100,channels=2,format=S16LE ! identity"),
            None,
            "pcm_s16le",
            ALL,
        ),
        row(
            "PCM, 8 bit",
            sound("rate=11025,channels=1,format=U8 ! identity"),
            None,
            "pcm_u8",
            ALL,
        ),
    ]
}

impl Row {
    /// The kind by the source of the line.
    fn kind(&self) -> TagKind {
        if self.line.starts_with("video") {
            TagKind::Video
        } else {
            TagKind::Audio
        }
    }

    /// Whether packets have two times.
    fn has_composition_time(&self) -> bool {
        matches!(self.ffmpeg, "h264" | "hevc")
    }

    /// Muxes into `file` as the track `track`; gives what the muxer was given, with the times that tags should have.
    fn mux(&self, file: &Path, track: u8) -> Result<Vec<Packet>> {
        let kind = if self.kind() == TagKind::Video {
            "video"
        } else {
            "audio"
        };
        let pad = format!("{kind}_{track}");
        let policy = if self.is_forced { "always" } else { "auto" };
        let given = Out::default();
        run(
            &format!(
                "rtmpmux name=mux {pad}::enhanced={policy} ! filesink location={} {} ! mux.{pad}",
                file.display(),
                self.line
            ),
            |pipeline| {
                let mux = pipeline.by_name("mux");
                let pad = mux.and_then(|mux| mux.static_pad(&pad));
                given.record(&pad.ok_or(Failure::new("the pad is missing"))?);
                Ok(())
            },
        )?;
        let pieces = std::mem::take(&mut *given.lock());
        self.expected(pieces)
    }

    fn expected(&self, pieces: Vec<Piece>) -> Result<Vec<Packet>> {
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        let mut origin = None;
        let mut packets = Vec::new();
        for piece in pieces {
            let buffer = match piece {
                Piece::Segment(new) => {
                    segment = new
                        .downcast()
                        .map_err(|_| Failure::new("a segment that is not of time"))?;
                    continue;
                }
                // Sound may have headers in buffers of their own; pictures have theirs in front.
                Piece::Buffer(buffer) if self.kind() == TagKind::Video || !is_header(&buffer) => buffer,
                Piece::Buffer(_) | Piece::Caps(_) | Piece::Eos => continue,
            };
            let running = |time: Option<gst::ClockTime>| segment.to_running_time_full(time?);
            let nanos = |time: gst::Signed<gst::ClockTime>| {
                let nanos = time.abs().nseconds().cast_signed();
                if time.is_negative() { -nanos } else { nanos }
            };
            // The first frame of speexenc has no time.
            let pts = running(buffer.pts()).map_or(0, nanos);
            let dts = running(buffer.dts()).map_or(pts, nanos);
            let origin = *origin.get_or_insert(dts);
            let millis = |time: i64| (time - origin + 500_000).div_euclid(1_000_000);
            let data = tags::bytes(buffer)?;
            let data = if self.ffmpeg == "libdav1d" {
                obu::strip_temporal_delimiters(&data)
            } else {
                data
            };
            let dts = if self.has_composition_time() { dts } else { pts };
            packets.push(Packet::new(millis(pts), millis(dts), &data));
        }
        Ok(packets)
    }
}

fn is_header(buffer: &gst::BufferRef) -> bool {
    buffer.flags().contains(gst::BufferFlags::HEADER)
}

/// Runs a pipeline to its end.
fn run(description: &str, prepare: impl FnOnce(&gst::Bin) -> Result<()>) -> Result<()> {
    pipeline::register()?;
    let pipeline = gst::parse::launch(description).context(description)?;
    let bin = pipeline
        .downcast_ref::<gst::Bin>()
        .ok_or(Failure::new("not a pipeline"))?;
    prepare(bin)?;
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().ok_or(Failure::new("no bus"))?;
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = bus.timed_pop_filtered(gst::ClockTime::try_from(wait::LONG)?, &ends);
    pipeline.set_state(gst::State::Null)?;
    match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(error)) => Err(Failure::new(format!(
            "{description}: {} ({:?})",
            error.error(),
            error.debug()
        ))),
        _ => Err(Failure::new(format!("{description} did not come to its end"))),
    }
}

/// What `gstrtmp::flv` reads: headers and frames.
fn own(row: &Row, file: &Path, track: u8) -> Result<(Vec<Bytes>, Vec<Packet>)> {
    let mut headers = Vec::new();
    let mut frames = Vec::new();
    for packet in packets(&tags::read(file)?)? {
        match packet.content {
            Content::Header(header) => headers.push(header),
            Content::Frame(data) => {
                assert_eq!((packet.kind, packet.track), (row.kind(), track), "{}", row.name);
                assert_eq!(
                    packet.four_cc.is_some(),
                    row.four_cc.is_some() || track > 0,
                    "{}",
                    row.name
                );
                if row.four_cc.is_some() {
                    assert_eq!(packet.four_cc, row.four_cc, "{}", row.name);
                }
                let pts = packet.pts / 1_000_000;
                frames.push(Packet::new(pts, packet.timestamp.into(), &data));
            }
            Content::Metadata(_) | Content::Color(_) | Content::End => {}
        }
    }
    Ok((headers, frames))
}

/// What FFmpeg 5.1 reads.
fn debian(row: &Row, file: &Path) -> Result<Vec<Packet>> {
    let frames = ffmpeg::frames(ffmpeg::utf8(file)?, Form::Encoded)?;
    let frames = if row.kind() == TagKind::Video {
        frames.video
    } else {
        frames.audio
    };
    let packet = |frame: ffmpeg::Frame| Packet {
        pts: frame.pts,
        dts: frame.dts,
        size: frame.size,
        md5: frame.md5,
    };
    Ok(frames.into_iter().map(packet).collect())
}

/// What flvdemux reads. It has no DTS of its own where there is no reordering.
fn flvdemux(row: &Row, file: &Path) -> Result<Vec<Packet>> {
    let out = Out::default();
    run(
        &format!(
            "filesrc location={} ! flvdemux ! fakesink name=sink",
            file.display()
        ),
        |pipeline| {
            let pad = pipeline.by_name("sink").and_then(|sink| sink.static_pad("sink"));
            out.record(&pad.ok_or(Failure::new("the pad is missing"))?);
            Ok(())
        },
    )?;
    let mut packets = Vec::new();
    for piece in std::mem::take(&mut *out.lock()) {
        if let Piece::Buffer(buffer) = piece {
            let millis = |time: Option<gst::ClockTime>| time.map(|time| time.mseconds().cast_signed());
            let (pts, dts) = (millis(buffer.pts()), millis(buffer.dts()));
            let pts = pts.ok_or(Failure::new("a buffer without a time"))?;
            let data = tags::bytes(buffer)?;
            let dts = if row.has_composition_time() { dts } else { None };
            packets.push(Packet::new(pts, dts.unwrap_or(pts), &data));
        }
    }
    Ok(packets)
}

/// What a current FFmpeg reads, of one stream.
fn current(file: &Path) -> Result<(String, Option<String>, Vec<Packet>)> {
    let mut streams = pyav::streams(file)?;
    // It makes a stream of text of metadata that comes later.
    streams.retain(|stream| stream.media != "subtitle");
    let [stream] = &streams[..] else {
        return Err(Failure::new(format!("one stream has become {streams:?}")));
    };
    let packet = |packet: &pyav::Packet| Packet {
        pts: packet.pts,
        dts: packet.dts,
        size: packet.size,
        md5: packet.md5.clone(),
    };
    let packets = stream.packets.iter().map(packet).collect();
    Ok((stream.codec.clone(), stream.extradata.clone(), packets))
}

fn differ(row: &Row, reader: &str, read: &[Packet], given: &[Packet]) -> Option<String> {
    let first = read.iter().zip(given).position(|(read, given)| read != given);
    let at = first.unwrap_or(read.len().min(given.len()));
    (read != given).then(|| {
        format!(
            "{}: {reader} reads {} packets of {}, and as packet {at} {:?} instead of {:?}",
            row.name,
            read.len(),
            given.len(),
            read.get(at),
            given.get(at)
        )
    })
}

#[test]
fn every_codec_is_read_by_others_as_it_was_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut faults = Vec::new();
    for row in rows() {
        let file = folder.path().join("muxed.flv");
        let given = row.mux(&file, 0).context(row.name)?;
        assert!(given.len() > 5, "{}", row.name);
        let (headers, read) = own(&row, &file, 0).context(row.name)?;
        faults.extend(differ(&row, "gstrtmp", &read, &given));
        if row.readers.current {
            let (codec, extradata, read) = current(&file).context(row.name)?;
            if codec != row.ffmpeg {
                faults.push(format!("{}: a current FFmpeg takes it for {codec}", row.name));
            }
            let header = headers.iter().find(|header| !header.is_empty());
            if extradata.is_some() != header.is_some() {
                faults.push(format!(
                    "{}: a current FFmpeg makes {extradata:?} of {header:?}",
                    row.name
                ));
            }
            faults.extend(differ(&row, "a current FFmpeg", &read, &given));
        }
        if row.readers.debian {
            let read = debian(&row, &file).context(row.name)?;
            faults.extend(differ(&row, "FFmpeg 5.1", &read, &given));
        }
        if row.readers.flvdemux {
            let read = flvdemux(&row, &file).context(row.name)?;
            faults.extend(differ(&row, "flvdemux", &read, &given));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[test]
fn every_codec_of_enhanced_rtmp_is_read_as_another_track() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut faults = Vec::new();
    for row in rows().iter().filter(|row| row.four_cc.is_some()) {
        let file = folder.path().join("muxed.flv");
        let given = row.mux(&file, 3).context(row.name)?;
        let (_, read) = own(row, &file, 3).context(row.name)?;
        faults.extend(differ(row, "gstrtmp", &read, &given));
        if row.readers.current {
            let (codec, _, read) = current(&file).context(row.name)?;
            if codec != row.ffmpeg {
                faults.push(format!("{}: a current FFmpeg takes it for {codec}", row.name));
            }
            faults.extend(differ(row, "a current FFmpeg", &read, &given));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}
