//! What a session is told before it starts. Defaults are those of the elements' properties.

use std::fmt;
use std::time::Duration;

use super::Capabilities;
use super::login::{Authmod, Credentials};
use super::redirect::Redirects;
use crate::amf::{Text, Value};
use crate::handshake::{SignatureCipher, Style};
use crate::swf;
use crate::url::Secret;

/// Chunk size that a session announces: FFmpeg's, OBS's and nginx-rtmp's; larger ones delay audio behind video.
pub const DEFAULT_CHUNK_SIZE: u32 = 4096;

/// Window that a server announces, and the bandwidth it grants, in bytes: the usual figure of the field.
pub const DEFAULT_WINDOW: u32 = 2_500_000;

/// How long each phase of a session may take. A second or two is common, five is what rtmp2 grants.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The role of a client session, RTMP 1.0 section 7.2.2.
#[derive(Clone, Debug)]
pub enum Intent {
    /// Send a stream to the server.
    Publish {
        /// What the server does with the stream.
        kind: PublishKind,
    },
    /// Receive a stream from the server.
    Play {
        /// Where to start.
        start: PlayStart,
        /// Client buffer that SetBufferLength announces, in milliseconds.
        buffer_length: u32,
    },
}

/// Publishing type, RTMP 1.0 section 7.2.2.6.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PublishKind {
    /// Relay without recording.
    #[default]
    Live,
    /// Record to a new file.
    Record,
    /// Record at the end of an existing file.
    Append,
}

impl PublishKind {
    /// The string on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Record => "record",
            Self::Append => "append",
        }
    }
}

/// The start argument of play, RTMP 1.0 section 7.2.2.1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PlayStart {
    /// A live stream, else a recorded one, else wait: -2.
    #[default]
    Any,
    /// Only a live stream: -1.
    Live,
    /// Only a recorded stream, from so many milliseconds on.
    Recorded(u32),
}

impl PlayStart {
    /// The number on the wire.
    #[must_use]
    pub fn as_number(self) -> f64 {
        match self {
            Self::Any => -2.0,
            Self::Live => -1.0,
            Self::Recorded(millis) => millis.into(),
        }
    }
}

/// The commands that end a stream before the connection is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StopCommands {
    /// FCUnpublish with the stream name (publishing only).
    pub fc_unpublish: bool,
    /// closeStream on the message stream.
    pub close_stream: bool,
    /// deleteStream with the message stream id.
    pub delete_stream: bool,
}

impl Default for StopCommands {
    fn default() -> Self {
        Self {
            fc_unpublish: true,
            close_stream: false,
            delete_stream: true,
        }
    }
}

/// Configuration of a client session. Holds secrets: `Debug` shows none of them.
#[derive(Clone)]
pub struct ClientConfig {
    /// Publish or play.
    pub intent: Intent,
    /// Application name, sent as `app`.
    pub application: Text,
    /// Stream name, sent verbatim. Secret: it often is the stream key.
    pub stream: Text,
    /// `tcUrl`. Some servers refuse a connect without it, so it is always sent.
    pub tc_url: Text,
    /// `flashVer`; left out when `None`. Some servers require one, others refuse some.
    pub flash_version: Option<Text>,
    /// `swfUrl`, left out when `None`.
    pub swf_url: Option<Text>,
    /// `pageUrl`, left out when `None`.
    pub page_url: Option<Text>,
    /// Values appended after the command object of connect.
    pub connect_arguments: Vec<Value>,
    /// Whether to ask for AMF3 (`objectEncoding` 3). AMF0 serves every known server.
    pub amf3: bool,
    /// What connect says of Enhanced RTMP; nothing when `None`.
    pub enhanced: Option<Capabilities>,
    /// Form of C1, and whether the session is one of RTMPE.
    pub handshake: Style,
    /// The SWF file that this side proves to know if the server asks for it, which needs a handshake with a digest.
    pub swf: Option<swf::Identity>,
    /// Chunk size that this side writes with, in bytes.
    pub chunk_size: u32,
    /// Whether createStream goes out with connect, instead of after the reply. Saves a round trip; servers that take
    /// offence get another connection in lock-step, see [`attempt`](super::attempt).
    pub one_flight: bool,
    /// Which login to take part in.
    pub authmod: Authmod,
    /// Who logs in; `None` if nobody can.
    pub credentials: Option<Credentials>,
    /// Key of SecureToken, see [`secure_token`](super::login::secure_token). With one, connect goes alone: the server
    /// wants its answer before anything else.
    pub secure_token: Option<Secret>,
    /// Token for `NetStream.Authenticate.UsherToken`, sent once connect is accepted (librtmp's `jtv`).
    pub usher_token: Option<Secret>,
    /// Which redirects are followed.
    pub redirects: Redirects,
    /// The name of an FCSubscribe before play; some content delivery networks ask for it. Without one, it is the
    /// stream's where only a live stream will do, as librtmp and FFmpeg have it.
    pub subscribe: Option<Text>,
    /// How much of a recorded stream is played, in milliseconds; all of it when `None`.
    pub play_length: Option<u32>,
    /// Whether set_playlist with the stream's name precedes play; some content delivery networks ask for it.
    pub playlist: bool,
    /// Whether a server that stops sending a recorded stream because it takes our buffer for full is had to go on at
    /// once. For those who keep what comes and do not play it in time.
    pub renews_buffer: bool,
    /// Whether a player wants audio messages; if not, the server is asked with receiveAudio not to send any. Some
    /// send them all the same.
    pub receive_audio: bool,
    /// Whether a player wants video messages, as [`Self::receive_audio`].
    pub receive_video: bool,
    /// How the stream is ended.
    pub stop_commands: StopCommands,
    /// How long the handshake, connect, createStream, and publish or play may take each; `None` is for ever.
    pub timeout: Option<Duration>,
    /// How long a player may go without a byte from the server before the stream counts as ended;
    /// `None` is for ever.
    pub idle_timeout: Option<Duration>,
    /// Seed of all random bytes of the session.
    pub entropy: [u8; 32],
}

impl ClientConfig {
    /// A configuration with every default.
    #[must_use]
    pub fn new(intent: Intent, application: Text, tc_url: Text, stream: Text, entropy: [u8; 32]) -> Self {
        Self {
            intent,
            application,
            stream,
            tc_url,
            flash_version: None,
            swf_url: None,
            page_url: None,
            connect_arguments: Vec::new(),
            amf3: false,
            enhanced: None,
            handshake: Style::Digest,
            swf: None,
            chunk_size: DEFAULT_CHUNK_SIZE,
            one_flight: true,
            authmod: Authmod::default(),
            credentials: None,
            secure_token: None,
            usher_token: None,
            redirects: Redirects::default(),
            subscribe: None,
            play_length: None,
            playlist: false,
            renews_buffer: false,
            receive_audio: true,
            receive_video: true,
            stop_commands: StopCommands::default(),
            timeout: Some(DEFAULT_TIMEOUT),
            idle_timeout: None,
            entropy,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("intent", &self.intent)
            .field("chunk_size", &self.chunk_size)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Configuration of a server session.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Chunk size that this side writes with, in bytes.
    pub chunk_size: u32,
    /// Window acknowledgement size and peer bandwidth, in bytes.
    pub window: u32,
    /// The type of RTMPE that clients of type 6 get if they know the others: 8 enciphers signatures with XTEA, 9 with
    /// Blowfish.
    pub rtmpe: SignatureCipher,
    /// The SWF file that clients are asked to prove to know. A wrong proof ends the session, and without one nothing
    /// can be played.
    pub swf: Option<swf::Identity>,
    /// What the reply to a connect that speaks of Enhanced RTMP says of it; nothing when `None`.
    pub enhanced: Option<Capabilities>,
    /// How long a client may take from the first byte to a publish or play command, and from one to the
    /// application's answer.
    pub timeout: Option<Duration>,
    /// After how long without a byte a client is pinged; it is dropped after the same time again.
    pub ping_interval: Option<Duration>,
    /// Seed of all random bytes of the session.
    pub entropy: [u8; 32],
}

impl ServerConfig {
    /// A configuration with every default.
    #[must_use]
    pub const fn new(entropy: [u8; 32]) -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            window: DEFAULT_WINDOW,
            rtmpe: SignatureCipher::None,
            swf: None,
            enhanced: None,
            timeout: Some(Duration::from_secs(10)),
            ping_interval: Some(Duration::from_secs(30)),
            entropy,
        }
    }
}
