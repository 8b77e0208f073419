//! A small RTMP relay on the server session of `gstrtmp`: any number of publishers, each with any number of players.
//!
//! It is the server of the demo and, in the same process, of the tests. One thread with one loop serves all
//! connections; [`hub`] has the loop, [`cache`] what late joiners get, [`vod`] recordings, [`board`] what the relay
//! tells about itself. It does not record, authenticate or transcode.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the server program and each test use their own part of this"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a server lives in real time behind real sockets"
)]

mod board;
mod cache;
mod hub;
mod vod;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gstrtmp::handshake::SignatureCipher;
use gstrtmp::session::{DEFAULT_CHUNK_SIZE, Request, Status};
use gstrtmp::swf;
use gstrtmp::transport::listener::Listener;
use gstrtmp::transport::tls;
use gstrtmp::transport::wake::Wake;

pub use self::board::{Client, ClientId, Gone, Name, Notice, Overdue, Reason, Role, Snapshot};

use self::board::Board;
use self::hub::Hub;

/// Clients that are served at a time unless said otherwise.
const DEFAULT_MAX_CLIENTS: usize = 256;

/// Bytes that may wait for a client unless said otherwise: four of the longest groups of pictures that are kept.
const DEFAULT_MAX_QUEUE: usize = 32 << 20;

/// How far ahead of real time recordings are sent unless said otherwise.
const DEFAULT_LEAD: Duration = Duration::from_secs(3);

/// Decides whether a client gets what it asks for; the status of a refusal is sent to it.
pub type Admit = Box<dyn FnMut(&Request) -> Result<(), Status> + Send>;

/// Hears of everything that happens, on the relay's thread.
pub type Listen = Box<dyn FnMut(Notice) + Send>;

/// What can be chosen of a relay.
pub struct Options {
    /// Where to listen; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// Chunk size to write with, in bytes.
    pub chunk_size: u32,
    /// Whether late joiners get the group of pictures in progress, or wait for the next.
    pub gop_cache: bool,
    /// Clients that are served at a time; more are turned away.
    pub max_clients: usize,
    /// Bytes that may wait for a client to read them; with more it is dropped. Late joiners start with as much as
    /// a group of pictures.
    pub max_queue: usize,
    /// The type of RTMPE that clients get who know more than one.
    pub rtmpe: SignatureCipher,
    /// The SWF file that players have to prove to know.
    pub swf: Option<swf::Identity>,
    /// What TLS is done with, for RTMPS and RTMPTS on the port of the others; without it there is none.
    pub tls: Option<tls::Server>,
    /// Folder with the FLV files that the application `vod` plays, if there is one.
    pub vod: Option<PathBuf>,
    /// How far ahead of real time they are sent.
    pub vod_lead: Duration,
    /// Refuses what it wants to, before the relay itself does.
    pub admit: Admit,
    /// Hears of everything that happens.
    pub listen: Listen,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            chunk_size: DEFAULT_CHUNK_SIZE,
            gop_cache: true,
            max_clients: DEFAULT_MAX_CLIENTS,
            max_queue: DEFAULT_MAX_QUEUE,
            rtmpe: SignatureCipher::None,
            swf: None,
            tls: None,
            vod: None,
            vod_lead: DEFAULT_LEAD,
            admit: Box::new(|_| Ok(())),
            listen: Box::new(drop),
        }
    }
}

/// A running relay. Dropping it closes every connection as it stands.
pub struct Relay {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a relay's thread has in common with its owner.
#[derive(Debug)]
struct Shared {
    board: Board,
    stop: Wake,
    /// Whether players are told that their streams end before the relay does.
    in_good_order: AtomicBool,
}

impl Relay {
    /// Starts to listen, and to serve on a thread of its own.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on, or the system has no more threads or descriptors.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = Listener::bind(options.address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            board: Board::default(),
            stop: Wake::new()?,
            in_good_order: AtomicBool::new(false),
        });
        let scheme = if options.tls.is_some() { "rtmps" } else { "rtmp" };
        let hub = Hub::new(listener, address, options, Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("rtmp-relay".into())
            .spawn(|| hub.run())?;
        Ok(Self {
            address,
            scheme,
            shared,
            thread: Some(thread),
        })
    }

    /// `rtmp`, or `rtmps` if it does TLS.
    pub const fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Where it listens, with the port that the system chose.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a stream.
    pub fn url(&self, application: &str, stream: &str) -> String {
        format!("{}://{}/{application}/{stream}", self.scheme, self.address)
    }

    /// The URL of a stream by another scheme.
    pub fn url_by(&self, scheme: &str, application: &str, stream: &str) -> String {
        format!("{scheme}://{}/{application}/{stream}", self.address)
    }

    /// Who is connected and what has become of the others.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.board.snapshot()
    }

    /// Waits until the relay is as wished.
    ///
    /// # Errors
    ///
    /// It is not, `within` the time.
    pub fn wait_for(
        &self,
        within: Duration,
        is_wished: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Snapshot, Overdue> {
        self.shared.board.wait_for(within, is_wished)
    }

    /// Tells the players that their streams have ended, then stops.
    pub fn shut_down(self) {
        self.shared.in_good_order.store(true, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.wake();
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
            && !thread::panicking()
        {
            // Otherwise a test whose peer brought the relay down could pass.
            std::panic::resume_unwind(panic);
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
