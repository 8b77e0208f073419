//! What a session takes in and gives out.

use std::fmt;

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
    },
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect { .. } => "Connect",
            Self::Publish { .. } => "Publish",
            Self::Play { .. } => "Play",
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
    /// The server has sent nothing for the idle timeout: the stream counts as ended.
    Idle,
    /// The stream has ended in good order; the connection still stands.
    Eof,
    /// The connection has ended in good order, or with the peer's words.
    Closed(Result<(), Status>),
}
