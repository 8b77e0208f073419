//! ffmpeg as publisher and player, and as the judge of what arrived.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Peer;
use super::{Context, Failure, Result, pyav, wait};

/// An ffmpeg as client of RTMP, in whatever variants it was built with.
#[derive(Clone, Debug)]
pub struct Client {
    program: PathBuf,
    schemes: Vec<&'static str>,
    authorities: PathBuf,
}

impl Client {
    /// The system's. Debian's has neither RTMPE nor RTMPTE, and checks no certificate unless it is told to.
    pub fn system() -> Result<Self> {
        Self::at("ffmpeg".into(), Path::new(""))
    }

    /// The one of imageio-ffmpeg, which has all variants, and trusts the certificates of these authorities.
    pub fn current(authorities: &Path) -> Result<Self> {
        let mut client = Self::at(pyav::ffmpeg()?, authorities)?;
        // FFmpeg 9.0 says "Cannot reuse HTTP connection for different protocol https vs http" behind its first request.
        client.schemes.retain(|scheme| *scheme != "rtmpts");
        Ok(client)
    }

    fn at(program: PathBuf, authorities: &Path) -> Result<Self> {
        let mut command = Command::new(&program);
        command.args(["-hide_banner", "-protocols"]);
        let ended = Peer::spawn(&mut command, "ffmpeg")?.succeed(wait::LONG)?;
        let printed = String::from_utf8(ended.stdout)?;
        let protocols: Vec<&str> = printed.split_whitespace().collect();
        let schemes = ["rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpts", "rtmpte"];
        let schemes = schemes
            .into_iter()
            .filter(|scheme| protocols.contains(scheme))
            .collect();
        Ok(Self {
            program,
            schemes,
            authorities: authorities.to_owned(),
        })
    }

    /// The variants of RTMP that it can do.
    pub fn schemes(&self) -> &[&'static str] {
        &self.schemes
    }

    fn spawn<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Peer> {
        let mut command = quiet(&self.program);
        // Its option for that does not reach the TLS of a tunnel; this is OpenSSL's own.
        command.env("SSL_CERT_FILE", &self.authorities);
        Peer::spawn(command.args(["-nostdin", "-y"]).args(arguments), "ffmpeg")
    }

    /// Publishes a file as it is, as fast as it is taken. In a tunnel it forgets at the end what it has put together
    /// since its last flush: so it flushes behind each tag.
    pub fn publish(&self, file: &Path, url: &str) -> Result<Peer> {
        let file = ["-copyts", "-i", utf8(file)?, "-c", "copy", "-f", "flv"];
        self.spawn(file.into_iter().chain(["-rtmp_flush_interval", "1", url]))
    }

    /// Plays `url` into an FLV file until the server says that the stream has ended.
    pub fn play(&self, url: &str, file: &Path) -> Result<Peer> {
        self.play_with(url, file, &[])
    }

    /// The same with options of the protocol.
    pub fn play_with(&self, url: &str, file: &Path, options: &[&str]) -> Result<Peer> {
        let copy = ["-copyts", "-i", url, "-c", "copy", "-f", "flv", utf8(file)?];
        self.spawn(options.iter().copied().chain(copy))
    }
}

/// How fast a file is published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    /// One second of it a second.
    Live,
    /// As fast as the server takes it.
    Unpaced,
}

/// What is hashed of each frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// The encoded bytes.
    Encoded,
    /// The decoded picture or samples.
    Decoded,
}

/// One frame of a file as `-f framemd5` tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Decoding time in the units of the stream; FLV's and so RTMP's are milliseconds.
    pub dts: i64,
    /// Presentation time, likewise.
    pub pts: i64,
    /// Bytes in the chosen [`Form`].
    pub size: usize,
    /// MD5 of those bytes, in hexadecimal.
    pub md5: String,
}

/// The frames of a file, in its order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frames {
    /// Of the first video stream.
    pub video: Vec<Frame>,
    /// Of the first audio stream.
    pub audio: Vec<Frame>,
}

impl Frames {
    /// Hashes of the video frames, without the times: these shift when a stream is joined late.
    pub fn video_md5(&self) -> Vec<&str> {
        self.video.iter().map(|frame| frame.md5.as_str()).collect()
    }

    /// Hashes of the audio frames.
    pub fn audio_md5(&self) -> Vec<&str> {
        self.audio.iter().map(|frame| frame.md5.as_str()).collect()
    }
}

/// Packets of a file by kind, counted by ffprobe.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PacketCounts {
    /// Of video streams.
    pub video: usize,
    /// Of audio streams.
    pub audio: usize,
}

/// ffmpeg or ffprobe, quiet but for errors.
fn quiet(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.args(["-hide_banner", "-loglevel", "error"]);
    command
}

/// ffmpeg with `arguments`, running.
pub fn spawn<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Peer> {
    Peer::spawn(quiet("ffmpeg").args(["-nostdin", "-y"]).args(arguments), "ffmpeg")
}

/// ffmpeg with `arguments`, run to its successful end; gives its standard output.
pub fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>> {
    Ok(spawn(arguments)?.succeed(wait::LONG * 2)?.stdout)
}

/// Writes `seconds` of a moving picture and a tone as H.264 (320x240, 25 frames and one key frame a second, with
/// B-frames) and AAC (44100 Hz, stereo); the form follows from the name of the file.
pub fn encode_sample(file: &Path, seconds: u32) -> Result<()> {
    let picture = format!("testsrc2=size=320x240:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=44100:duration={seconds}");
    let codecs = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 25 -bf 2 -b:v 300k \
                  -c:a aac -ac 2 -b:a 64k";
    run(["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone]
        .into_iter()
        .chain(codecs.split_whitespace())
        .chain([utf8(file)?]))?;
    Ok(())
}

/// Publishes a file as it is, times included, to `url`.
pub fn publish(file: &Path, url: &str, pace: Pace) -> Result<Peer> {
    let pace: &[&str] = match pace {
        Pace::Live => &["-re"],
        Pace::Unpaced => &[],
    };
    spawn(
        pace.iter()
            .copied()
            .chain(["-copyts", "-i", utf8(file)?, "-c", "copy", "-f", "flv", url]),
    )
}

/// Serves the one client that connects to `url`: receives what it publishes into an FLV file, and ends with it.
pub fn serve_publisher(url: &str, file: &Path) -> Result<Peer> {
    spawn([
        "-f",
        "flv",
        "-listen",
        "1",
        "-i",
        url,
        "-c",
        "copy",
        "-f",
        "flv",
        utf8(file)?,
    ])
}

/// Serves the one client that connects to `url`: sends it a file as it is, and ends.
pub fn serve_player(file: &Path, url: &str) -> Result<Peer> {
    spawn([
        "-copyts",
        "-i",
        utf8(file)?,
        "-c",
        "copy",
        "-f",
        "flv",
        "-listen",
        "1",
        url,
    ])
}

/// Plays `url` into an FLV file until the server says that the stream has ended, which nginx does for
/// [`super::nginx::Application::Notify`]. While no data comes, an interrupt alone does not end it.
pub fn play(url: &str, file: &Path) -> Result<Peer> {
    spawn(["-copyts", "-i", url, "-c", "copy", "-f", "flv", utf8(file)?])
}

/// Every frame of the first audio and video streams of `input`, a file or an URL that ends.
pub fn frames(input: &str, form: Form) -> Result<Frames> {
    let mut arguments = vec!["-copyts", "-i", input, "-map", "0:v:0?", "-map", "0:a:0?"];
    arguments.extend(match form {
        Form::Encoded => ["-c", "copy"],
        // Neither repeats nor drops a frame to make the rate constant.
        Form::Decoded => ["-fps_mode", "passthrough"],
    });
    arguments.extend(["-f", "framemd5", "-"]);
    parse_framemd5(&String::from_utf8(run(arguments)?)?)
}

/// The packets of a file by kind, as ffprobe counts them.
pub fn packet_counts(input: &str) -> Result<PacketCounts> {
    let arguments = "-count_packets -show_entries stream=codec_type,nb_read_packets -of csv=print_section=0";
    let probe =
        Peer::spawn(quiet("ffprobe").args(arguments.split(' ')).arg(input), "ffmpeg")?.succeed(wait::LONG)?;
    let mut counts = PacketCounts::default();
    for line in String::from_utf8(probe.stdout)?.lines() {
        let (kind, packets) = line
            .split_once(',')
            .ok_or(Failure::new(format!("ffprobe said {line:?}")))?;
        let packets: usize = packets
            .trim_end_matches(',')
            .parse()
            .context(format!("ffprobe said {line:?}"))?;
        match kind {
            "video" => counts.video += packets,
            "audio" => counts.audio += packets,
            _ => {}
        }
    }
    Ok(counts)
}

/// Lines are `stream, dts, pts, duration, size, md5` and perhaps side data; the head says which stream is of which kind.
fn parse_framemd5(text: &str) -> Result<Frames> {
    let mut kinds = HashMap::new();
    let mut frames = Frames::default();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("#media_type ") {
            if let Some((stream, kind)) = head.split_once(": ") {
                kinds.insert(stream, kind);
            }
        } else if !line.starts_with('#') {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let [stream, dts, pts, _duration, size, md5, ..] = fields.as_slice() else {
                return Err(Failure::new(format!("ffmpeg wrote a framemd5 line {line:?}")));
            };
            let frame = Frame {
                dts: dts.parse().context(line)?,
                pts: pts.parse().context(line)?,
                size: size.parse().context(line)?,
                md5: (*md5).to_owned(),
            };
            match kinds.get(stream) {
                Some(&"video") => frames.video.push(frame),
                Some(&"audio") => frames.audio.push(frame),
                _ => {
                    return Err(Failure::new(format!(
                        "ffmpeg did not say what stream {stream} is"
                    )));
                }
            }
        }
    }
    Ok(frames)
}

/// A path as an argument next to others that are text.
pub fn utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .ok_or_else(|| Failure::new(format!("{} is not UTF-8", path.display())))
}
