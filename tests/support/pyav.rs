//! A current FFmpeg, which reads and writes Enhanced FLV where Debian's does not: PyAV carries its libraries, and
//! imageio-ffmpeg its program. `scripts/python-peers` installs them.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Peer;
use super::{Context, Failure, Result, wait};

/// Names a Python that has both, instead of the one that `scripts/python-peers` makes.
const PYTHON: &str = "GSTRTMP_PYTHON";

/// One packet of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Presentation and decoding time in milliseconds.
    pub pts: i64,
    /// Likewise.
    pub dts: i64,
    /// Bytes.
    pub size: usize,
    /// Whether decoding can start here.
    pub is_key: bool,
    /// MD5 of the bytes, in hexadecimal.
    pub md5: String,
}

/// What FFmpeg takes for one stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stream {
    /// `video`, `audio` or another word of FFmpeg's.
    pub media: String,
    /// FFmpeg's name of the decoder.
    pub codec: String,
    /// MD5 of what the decoder is told ahead of the packets; `None` if it is nothing.
    pub extradata: Option<String>,
    /// In the order of the file.
    pub packets: Vec<Packet>,
}

/// A player that keeps what it gets.
pub struct Player(Peer);

impl Player {
    /// Waits until the stream has ended; gives what was in it, see [`streams`].
    pub fn streams(self) -> Result<Vec<Stream>> {
        parse(self.0.succeed(wait::LONG * 2)?.stdout)
    }
}

/// The streams of `file` with all of their packets, in the order in which they were found.
pub fn streams(file: &Path) -> Result<Vec<Stream>> {
    Player(spawn("packets.py", [file])?).streams()
}

/// Plays `location`.
pub fn play(location: &str) -> Result<Player> {
    Ok(Player(spawn("packets.py", [location])?))
}

/// Waits for a publisher at `location`, and plays what it sends.
pub fn serve_publisher(location: &str) -> Result<Player> {
    Ok(Player(spawn("packets.py", [location, "listen=1"])?))
}

/// Encodes a test signal into `file`, with one stream of each encoder.
pub fn encode(file: &Path, encoders: &[&str]) -> Result<()> {
    let encoders = encoders.iter().map(AsRef::as_ref);
    let arguments = [file.as_os_str()].into_iter().chain(encoders);
    spawn("encode.py", arguments)?.succeed(wait::LONG)?;
    Ok(())
}

/// Publishes `file`, as fast as it is taken.
pub fn publish(file: &Path, location: &str) -> Result<Peer> {
    spawn("remux.py", [file.as_os_str(), location.as_ref()])
}

/// Waits for a player at `location` and sends it `file`.
pub fn serve_player(file: &Path, location: &str) -> Result<Peer> {
    spawn(
        "remux.py",
        [file.as_os_str(), location.as_ref(), "listen=1".as_ref()],
    )
}

fn parse(printed: Vec<u8>) -> Result<Vec<Stream>> {
    let text = String::from_utf8(printed)?;
    let mut streams: Vec<(&str, Stream)> = Vec::new();
    for line in text.lines() {
        let odd = || Failure::new(format!("packets.py printed {line:?}"));
        let fields: Vec<&str> = line.split('\t').collect();
        match fields.as_slice() {
            ["stream", index, media, codec, extradata] => streams.push((
                index,
                Stream {
                    media: (*media).to_owned(),
                    codec: (*codec).to_owned(),
                    extradata: Some(*extradata).filter(|md5| *md5 != "-").map(str::to_owned),
                    packets: Vec::new(),
                },
            )),
            ["packet", index, pts, dts, size, key, md5] => {
                let stream = streams.iter_mut().find(|(known, _)| known == index);
                stream.ok_or_else(odd)?.1.packets.push(Packet {
                    pts: pts.parse().context(line)?,
                    dts: dts.parse().context(line)?,
                    size: size.parse().context(line)?,
                    is_key: *key == "key",
                    md5: (*md5).to_owned(),
                });
            }
            _ => return Err(odd()),
        }
    }
    Ok(streams.into_iter().map(|(_, stream)| stream).collect())
}

/// Runs one of the scripts in the folder `pyav`.
fn spawn(script: &str, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Result<Peer> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/pyav");
    let mut command = Command::new(python()?);
    Peer::spawn(command.arg(folder.join(script)).args(arguments), "python3")
}

/// The program of imageio-ffmpeg, a current ffmpeg.
pub fn ffmpeg() -> Result<PathBuf> {
    let mut command = Command::new(python()?);
    command.args([
        "-c",
        "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())",
    ]);
    let printed = Peer::spawn(&mut command, "python3")?
        .succeed(wait::LONG)
        .context("looking for imageio-ffmpeg, which scripts/python-peers installs")?
        .stdout;
    Ok(String::from_utf8(printed)?.trim_end().into())
}

/// The Python that has PyAV and imageio-ffmpeg.
fn python() -> Result<PathBuf> {
    if let Some(python) = env::var_os(PYTHON) {
        return Ok(python.into());
    }
    // This test is in the folder `deps` of a profile of cargo's target folder.
    let test = env::current_exe().context("finding out where this test is")?;
    let python = test
        .ancestors()
        .nth(3)
        .map(|target| target.join("venv/bin/python3"));
    python.filter(|python| python.exists()).ok_or_else(|| {
        Failure::new(format!(
            "PyAV is missing: run scripts/python-peers, or name a Python that has it in {PYTHON}"
        ))
    })
}
