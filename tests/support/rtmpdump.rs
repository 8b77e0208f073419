//! rtmpdump, the player of librtmp.

use std::path::Path;
use std::process::Command;

use super::Result;
use super::process::Peer;

/// What kind of stream is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// One that is being published.
    Live,
    /// A file of the server's.
    Recorded,
}

/// Plays `url` into an FLV file until the stream ends. rtmpdump's exit status is 2 where it thinks that something
/// is missing, which it does of most live streams.
pub fn play(url: &str, stream: Stream, file: &Path) -> Result<Peer> {
    play_with(url, stream, file, &[])
}

/// The same with further arguments.
pub fn play_with(url: &str, stream: Stream, file: &Path, arguments: &[&str]) -> Result<Peer> {
    let mut command = Command::new("rtmpdump");
    command.args(["--quiet", "--rtmp", url, "--flv"]).arg(file);
    command.args(arguments);
    if stream == Stream::Live {
        command.arg("--live");
    }
    Peer::spawn(&mut command, "rtmpdump")
}
