//! What a session takes in and gives out.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::amf::{Properties, Text};
use crate::message::Status;
use crate::timestamp::Timestamp;

pub use crate::link::SendQueue as Transmit;

/// What the transport hands to a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes in the order of the stream. The session takes off the front what it can use; the caller appends
    /// what comes next to the rest.
    Stream(&'a mut BytesMut),
    /// The peer has closed its sending side.
    Eof,
}

/// Kind of a media message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MediaKind {
    /// Type 8, FLV AUDIODATA.
    Audio,
    /// Type 9, FLV VIDEODATA.
    Video,
    /// Type 18 (or 15), FLV SCRIPTDATA in AMF0.
    Data,
}

/// One audio, video or data message. Its payload is `head` followed by `body`; received ones have no head. `Debug`
/// shows no payload.
#[derive(Clone, PartialEq)]
pub struct Media {
    /// Audio, video or data.
    pub kind: MediaKind,
    /// Decoding time in milliseconds of the sender's epoch.
    pub timestamp: Timestamp,
    /// What the sender puts before the body: a codec header, or `@setDataFrame`.
    pub head: Bytes,
    /// The FLV tag body.
    pub body: Bytes,
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media")
            .field("kind", &self.kind)
            .field("timestamp", &self.timestamp.millis())
            .field("length", &self.len())
            .finish()
    }
}

impl Media {
    /// Bytes of the payload.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len().saturating_add(self.body.len())
    }

    /// Whether the payload is empty. An empty audio message means silence.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a client asks of a server session; answered with [`Session::answer`](super::Session::answer).
/// `Debug` does not show stream names.
#[derive(Clone, PartialEq)]
pub enum Request {
    /// The NetConnection command connect.
    Connect {
        /// `app`, without trailing slashes.
        application: Text,
        /// `tcUrl`, if the client sent one.
        tc_url: Option<Text>,
        /// The whole command object.
        object: Properties,
    },
    /// The NetStream command publish.
    Publish {
        /// Stream name with its query. Secret.
        stream: Text,
        /// `live`, `record` or `append`.
        kind: Text,
    },
    /// The NetStream command play.
    Play {
        /// Stream name with its query. Secret.
        stream: Text,
        /// The start argument, -2 when absent.
        start: f64,
        /// The duration argument, -1 when absent.
        length: f64,
    },
    /// The NetStream command seek of a player.
    Seek {
        /// Where to, in milliseconds.
        position: u32,
    },
    /// The NetStream command pause of a player.
    Pause {
        /// Whether to stop or to go on.
        paused: bool,
        /// Where the player is, in milliseconds.
        position: u32,
    },
    /// The NetStream command play2 of a player.
    Switch(Switch),
    /// getStreamLength; [`Session::answer_length`](super::Session::answer_length) tells it.
    Length {
        /// Stream name with its query. Secret.
        stream: Text,
    },
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect { .. } => "Connect",
            Self::Publish { .. } => "Publish",
            Self::Play { .. } => "Play",
            Self::Seek { .. } => "Seek",
            Self::Pause { .. } => "Pause",
            Self::Switch(_) => "Switch",
            Self::Length { .. } => "Length",
        })
    }
}

/// What has come of SWF verification, see [`swf`](crate::swf).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SwfVerification {
    /// Client: the server's request was answered. What the server makes of it, it does not say.
    Answered,
    /// Client: the server has asked for a proof and got none, as no SWF file is known. Servers close the connection
    /// after a while.
    Unanswerable,
    /// Client: the server has asked for a proof of this type, whose making is not known to the public.
    UnknownType(u8),
    /// Server: the client has proven that it knows the file.
    Proven,
}

/// What a player asks for while its stream flows. `Debug` does not show stream names.
#[derive(Clone, PartialEq)]
pub enum Order {
    /// Go to a position in milliseconds, RTMP 1.0 section 7.2.2.7. [`Event::Sought`] answers it.
    Seek(u32),
    /// Stop sending, or go on from where the stream has come, RTMP 1.0 section 7.2.2.8.
    Pause(bool),
    /// Whether audio or video is sent, RTMP 1.0 sections 7.2.2.4 and 7.2.2.5.
    Receive(MediaKind, bool),
    /// Change to another stream, RTMP 1.0 section 7.2.2.2.
    Switch(Switch),
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seek(position) => f.debug_tuple("Seek").field(position).finish(),
            Self::Pause(paused) => f.debug_tuple("Pause").field(paused).finish(),
            Self::Receive(kind, wanted) => f.debug_tuple("Receive").field(kind).field(wanted).finish(),
            Self::Switch(_) => f.write_str("Switch"),
        }
    }
}

/// The parameters of play2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Switch {
    /// `oldStreamName`: what is to be changed, for those transitions that name it. Secret.
    pub old_stream: Option<Secret>,
    /// `streamName`: what to change to. Secret.
    pub stream: Secret,
    /// `start` in milliseconds, as that of play.
    pub start: Option<f64>,
    /// `len` in milliseconds.
    pub length: Option<f64>,
    /// `offset` in seconds, for the transition `resume`.
    pub offset: Option<f64>,
    /// `transition`: `append`, `appendAndWait`, `reset`, `resume`, `stop`, `swap` or `switch`.
    pub transition: Text,
}

/// A stream name, which often is the stream key: `Debug` does not show it.
#[derive(Clone, Default, PartialEq)]
pub struct Secret(pub Text);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is known of a stream that is a recording.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Recording {
    /// Its length, if the server has told it.
    pub length: Option<Duration>,
}

/// Why a seek has come to nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum SeekFailure {
    /// The server's words.
    Refused(Box<Status>),
    /// The server has not answered in time.
    Unanswered,
}

/// What a session tells its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The handshake is done and connect was accepted.
    Connected,
    /// Media may be sent (publishing) or will come (playing).
    Ready,
    /// Server: the client asks for something that the application decides.
    Requested(Request),
    /// A media message has come.
    Media(Media),
    /// The peer said something with onStatus that changes nothing by itself.
    Status(Status),
    /// Something has come of SWF verification.
    SwfVerification(SwfVerification),
    /// The server wants SecureToken answered, and there is no key: it may refuse what comes next.
    TokenWanted,
    /// Server: the player does not want audio or video any more, which is not sent from then on, or wants it again.
    Receives(MediaKind, bool),
    /// Player: the answer to the last of the seeks. What came before it is from where the stream was.
    Sought(Result<(), SeekFailure>),
    /// Player: the stream goes on after a pause. Servers may begin with what they have sent before.
    Resumed,
    /// Player: what comes from here on, or soon, is of the stream that was changed to.
    Switched,
    /// Player: the stream is a recording. Once more when its length is known.
    Recorded(Recording),
    /// The server has sent nothing for the idle timeout: the stream counts as ended.
    Idle,
    /// The stream has ended in good order; the connection still stands.
    Eof,
    /// The connection has ended in good order, or with the peer's words.
    Closed(Result<(), Status>),
}
