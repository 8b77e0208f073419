//! An RTMP relay to try things with: publish to it and play from it, any number of streams at a time.
//!
//! ```text
//! cargo run --release --example rtmp_server -- --listen 127.0.0.1:1935
//! ```
//!
//! Prints `listening on rtmp://ADDRESS/`, then a line for each thing that happens. Ctrl-C ends it. Everybody who can
//! connect may publish and play: it is not meant for an open network.

mod relay;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};

use gstrtmp::transport::tls;
use lexopt::{Arg, Parser, ValueExt};

use self::relay::{Notice, Options, Relay};

const HELP: &str = "\
Relays RTMP streams from publishers to players.

Usage: rtmp_server [OPTIONS]

Options:
      --listen ADDRESS:PORT  where to listen; port 0 lets the system choose [default: 127.0.0.1:1935]
      --certificate FILE     do TLS (RTMPS) with this certificate, PEM, and those above it; wants --key
      --key FILE             the certificate's private key, PEM
      --quiet                print nothing but where it listens, and errors
      --max-clients NUMBER   turn away more than so many clients [default: 256]
      --max-queue BYTES      drop a player for whom more is waiting [default: 33554432]
      --chunk-size BYTES     write chunks of that size, 128 to 65536 [default: 4096]
      --vod FOLDER           play the FLV files in there as rtmp://HOST/vod/NAME
      --no-gop-cache         let late joiners wait for a key frame
  -h, --help                 print this
";

/// The port of RTMP, RTMP 1.0 section 5.1.
const RTMP_PORT: u16 = 1935;

/// Chunk sizes that make sense; below 128, clients of the field are not at ease.
const CHUNK_SIZES: RangeInclusive<u32> = 128..=65536;

/// Why the program ends early.
enum Failure {
    Usage(lexopt::Error),
    Listen(SocketAddr, io::Error),
    Signals(ctrlc::Error),
    /// The relay has failed, and said why.
    Relay,
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error)
    }
}

/// What the command line asks for.
struct Arguments {
    options: Options,
    is_quiet: bool,
}

/// `None` when only help was asked for.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Arguments>, lexopt::Error> {
    let mut options = Options {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, RTMP_PORT)),
        ..Options::default()
    };
    let mut is_quiet = false;
    let (mut certificate, mut key) = (None, None);
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("listen") => options.address = parser.value()?.parse()?,
            Arg::Long("certificate") => certificate = Some(PathBuf::from(parser.value()?)),
            Arg::Long("key") => key = Some(PathBuf::from(parser.value()?)),
            Arg::Long("quiet") => is_quiet = true,
            Arg::Long("max-clients") => options.max_clients = parser.value()?.parse()?,
            Arg::Long("max-queue") => options.max_queue = parser.value()?.parse()?,
            Arg::Long("chunk-size") => {
                options.chunk_size = parser.value()?.parse_with(|text| match text.parse() {
                    Ok(size) if CHUNK_SIZES.contains(&size) => Ok(size),
                    _ => Err("not a number from 128 to 65536"),
                })?;
            }
            Arg::Long("vod") => options.vod = Some(parser.value()?.into()),
            Arg::Long("no-gop-cache") => options.gop_cache = false,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    options.tls = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(load(&certificate, &key)?),
        (None, None) => None,
        _ => return Err("--certificate and --key go together".into()),
    };
    Ok(Some(Arguments { options, is_quiet }))
}

/// A certificate and its key from their files.
fn load(certificate: &Path, key: &Path) -> Result<tls::Server, lexopt::Error> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| lexopt::Error::from(format!("{}: {error}", path.display())))
    };
    tls::Server::from_pem(&read(certificate)?, &read(key)?)
        .map_err(|fault| format!("{} and {}: {fault}", certificate.display(), key.display()).into())
}

/// Prints notices, and has the program end with the relay.
fn listen(is_quiet: bool, ended: Sender<Result<(), Failure>>) -> impl FnMut(Notice) + Send {
    move |notice| match notice {
        Notice::Failed(_) | Notice::AcceptFailed(_) => {
            eprintln!("rtmp_server: {notice}");
            if let Notice::Failed(_) = notice {
                let _ = ended.send(Err(Failure::Relay));
            }
        }
        _ if is_quiet => {}
        _ => print_line(&notice.to_string()),
    }
}

/// Whoever started this may have stopped to listen, which is no reason to stop serving.
fn print_line(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn run() -> Result<(), Failure> {
    let Some(Arguments {
        mut options,
        is_quiet,
    }) = parse(std::env::args_os().skip(1))?
    else {
        print_line(HELP.trim_end());
        return Ok(());
    };
    let (end, ended) = channel();
    let interrupt = end.clone();
    ctrlc::set_handler(move || {
        // Fails only when the program is ending already.
        let _ = interrupt.send(Ok(()));
    })
    .map_err(Failure::Signals)?;
    options.listen = Box::new(listen(is_quiet, end));
    let address = options.address;
    let relay = Relay::start(options).map_err(|error| Failure::Listen(address, error))?;
    print_line(&format!("listening on {}://{}/", relay.scheme(), relay.address()));
    let outcome = ended.recv().unwrap_or(Ok(()));
    relay.shut_down();
    outcome
}

fn main() -> ExitCode {
    let error = match run() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Relay) => return ExitCode::FAILURE,
        Err(Failure::Usage(error)) => format!("{error}; see --help"),
        Err(Failure::Listen(address, error)) => format!("cannot listen on {address}: {error}"),
        Err(Failure::Signals(error)) => format!("cannot handle Ctrl-C: {error}"),
    };
    eprintln!("rtmp_server: {error}");
    ExitCode::FAILURE
}
