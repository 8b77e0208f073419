//! A current FFmpeg, which reads Enhanced FLV where Debian's does not: PyAV carries its libraries.
//! `scripts/python-peers` installs it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Peer;
use super::{Context, Failure, Result, wait};

/// Names a Python that has PyAV, instead of the one that `scripts/python-peers` makes.
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

/// The streams of `file` with all of their packets, in the order in which they were found.
pub fn streams(file: &Path) -> Result<Vec<Stream>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/pyav/packets.py");
    let ended = run(&script, [file])?;
    let text = String::from_utf8(ended)?;
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

/// Runs a script that imports `av`, to its successful end; gives its standard output.
pub fn run<'a>(script: &Path, arguments: impl IntoIterator<Item = &'a Path>) -> Result<Vec<u8>> {
    let mut command = Command::new(python()?);
    command.arg(script).args(arguments);
    Ok(Peer::spawn(&mut command, "python3")?
        .succeed(wait::LONG * 2)?
        .stdout)
}

/// The Python that has PyAV.
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
