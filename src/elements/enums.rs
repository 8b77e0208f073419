//! Enumerations and flags of the elements' properties. The nicks are rtmp2's, so that launch lines keep working;
//! the GType names are not, since the C plugins may be loaded in the same process.

#![allow(
    missing_docs,
    reason = "glib::flags does not keep the documentation of its constants"
)]

use crate::session;
use crate::transport::tcp::Family;
use crate::url;

/// Protocol variant that carries RTMP.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, glib::Enum)]
#[enum_type(name = "GstRsRtmpScheme")]
pub enum Scheme {
    /// RTMP over TCP, port 1935.
    #[default]
    #[enum_value(name = "Rtmp: RTMP over TCP, port 1935", nick = "rtmp")]
    Rtmp,
    /// RTMP over TLS, port 443.
    #[enum_value(name = "Rtmps: RTMP over TLS, port 443", nick = "rtmps")]
    Rtmps,
    /// RTMP with Adobe's own encryption, port 1935.
    #[enum_value(name = "Rtmpe: RTMP with Adobe's own encryption, port 1935", nick = "rtmpe")]
    Rtmpe,
    /// RTMP through HTTP, port 80.
    #[enum_value(name = "Rtmpt: RTMP through HTTP, port 80", nick = "rtmpt")]
    Rtmpt,
    /// RTMP through HTTPS, port 443.
    #[enum_value(name = "Rtmpts: RTMP through HTTPS, port 443", nick = "rtmpts")]
    Rtmpts,
    /// RTMPE through HTTP, port 80.
    #[enum_value(name = "Rtmpte: RTMPE through HTTP, port 80", nick = "rtmpte")]
    Rtmpte,
    /// RTMFP over UDP, port 1935.
    #[enum_value(name = "Rtmfp: RTMFP over UDP, port 1935", nick = "rtmfp")]
    Rtmfp,
}

impl From<Scheme> for url::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Rtmp => Self::Rtmp,
            Scheme::Rtmps => Self::Rtmps,
            Scheme::Rtmpe => Self::Rtmpe,
            Scheme::Rtmpt => Self::Rtmpt,
            Scheme::Rtmpts => Self::Rtmpts,
            Scheme::Rtmpte => Self::Rtmpte,
            Scheme::Rtmfp => Self::Rtmfp,
        }
    }
}

impl From<url::Scheme> for Scheme {
    fn from(scheme: url::Scheme) -> Self {
        match scheme {
            url::Scheme::Rtmp => Self::Rtmp,
            url::Scheme::Rtmps => Self::Rtmps,
            url::Scheme::Rtmpe => Self::Rtmpe,
            url::Scheme::Rtmpt => Self::Rtmpt,
            url::Scheme::Rtmpts => Self::Rtmpts,
            url::Scheme::Rtmpte => Self::Rtmpte,
            url::Scheme::Rtmfp => Self::Rtmfp,
        }
    }
}

/// How to log in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, glib::Enum)]
#[enum_type(name = "GstRsRtmpAuthmod")]
pub enum Authmod {
    /// Not at all.
    #[enum_value(name = "None: no authentication", nick = "none")]
    None,
    /// As the server asks.
    #[default]
    #[enum_value(name = "Auto: whatever the server asks for", nick = "auto")]
    Auto,
    /// Adobe's scheme.
    #[enum_value(name = "Adobe: Adobe's scheme", nick = "adobe")]
    Adobe,
    /// Limelight's scheme.
    #[enum_value(name = "Llnw: Limelight's scheme", nick = "llnw")]
    Llnw,
}

/// Which addresses are connected to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, glib::Enum)]
#[enum_type(name = "GstRsRtmpAddressFamily")]
pub enum AddressFamily {
    /// Both.
    #[default]
    #[enum_value(name = "Any: IPv4 and IPv6, whichever answers first", nick = "any")]
    Any,
    /// IPv4 alone.
    #[enum_value(name = "Ipv4: IPv4 alone", nick = "ipv4")]
    Ipv4,
    /// IPv6 alone.
    #[enum_value(name = "Ipv6: IPv6 alone", nick = "ipv6")]
    Ipv6,
}

impl From<AddressFamily> for Family {
    fn from(family: AddressFamily) -> Self {
        match family {
            AddressFamily::Any => Self::Any,
            AddressFamily::Ipv4 => Self::V4,
            AddressFamily::Ipv6 => Self::V6,
        }
    }
}

/// Where to start a stream that may be live or recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, glib::Enum)]
#[enum_type(name = "GstRsRtmpPlayStart")]
pub enum PlayStart {
    /// A live stream, else a recorded one, else wait for a live one.
    #[default]
    #[enum_value(name = "Any: live, else recorded, else wait", nick = "any")]
    Any,
    /// Only a live stream.
    #[enum_value(name = "Live: only a live stream", nick = "live")]
    Live,
    /// Only a recorded stream, from its beginning.
    #[enum_value(
        name = "Recorded: only a recorded stream, from its beginning",
        nick = "recorded"
    )]
    Recorded,
}

impl From<PlayStart> for session::PlayStart {
    fn from(start: PlayStart) -> Self {
        match start {
            PlayStart::Any => Self::Any,
            PlayStart::Live => Self::Live,
            PlayStart::Recorded => Self::Recorded(0),
        }
    }
}

/// What a server does with a stream that is published.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, glib::Enum)]
#[enum_type(name = "GstRsRtmpPublishType")]
pub enum PublishType {
    /// Passes it on.
    #[default]
    #[enum_value(name = "Live: pass it on", nick = "live")]
    Live,
    /// Passes it on and records it to a new file.
    #[enum_value(name = "Record: pass it on and record it to a new file", nick = "record")]
    Record,
    /// Passes it on and records it at the end of a file.
    #[enum_value(
        name = "Append: pass it on and record it at the end of a file",
        nick = "append"
    )]
    Append,
}

impl From<PublishType> for session::PublishKind {
    fn from(kind: PublishType) -> Self {
        match kind {
            PublishType::Live => Self::Live,
            PublishType::Record => Self::Record,
            PublishType::Append => Self::Append,
        }
    }
}

/// What becomes of the frames that a server has cached and sends in one burst at the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, glib::Enum)]
#[enum_type(name = "GstRsRtmpStartMode")]
pub enum StartMode {
    /// All of them are played, so that playback stays behind by their duration.
    #[default]
    #[enum_value(
        name = "Smooth: play cached frames, staying behind by their duration",
        nick = "smooth"
    )]
    Smooth,
    /// They are decoded but not shown.
    #[enum_value(
        name = "Lowest latency: decode cached frames without showing them",
        nick = "lowest-latency"
    )]
    LowestLatency,
}

/// When tags of the Enhanced RTMP specification are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, glib::Enum)]
#[enum_type(name = "GstRsRtmpEnhanced")]
pub enum EnhancedRtmp {
    /// For what legacy tags cannot carry.
    #[default]
    #[enum_value(
        name = "Auto: only for what legacy tags cannot carry, such as H.265, AV1 and Opus",
        nick = "auto"
    )]
    Auto,
    /// For everything that they can carry.
    #[enum_value(
        name = "Always: for every codec that has a FourCC, H.264 and AAC included",
        nick = "always"
    )]
    Always,
    /// Not at all.
    #[enum_value(name = "Never: refuse what legacy tags cannot carry", nick = "never")]
    Never,
}

/// The commands that end a published stream.
#[glib::flags(name = "GstRsRtmpStopCommands")]
pub enum StopCommands {
    /// No command: the connection is just closed.
    #[flags_value(name = "No command", nick = "none")]
    NONE = 0,
    /// FCUnpublish with the stream's name.
    #[flags_value(name = "FCUnpublish", nick = "fcunpublish")]
    FC_UNPUBLISH = 0b001,
    /// closeStream on the stream.
    #[flags_value(name = "CloseStream", nick = "closestream")]
    CLOSE_STREAM = 0b010,
    /// deleteStream with the stream's id.
    #[flags_value(name = "DeleteStream", nick = "deletestream")]
    DELETE_STREAM = 0b100,
}

impl Default for StopCommands {
    fn default() -> Self {
        Self::FC_UNPUBLISH | Self::DELETE_STREAM
    }
}

impl From<StopCommands> for session::StopCommands {
    fn from(commands: StopCommands) -> Self {
        Self {
            fc_unpublish: commands.contains(StopCommands::FC_UNPUBLISH),
            close_stream: commands.contains(StopCommands::CLOSE_STREAM),
            delete_stream: commands.contains(StopCommands::DELETE_STREAM),
        }
    }
}

/// The checks of a server's certificate, with the values and nicks of GIO's `GTlsCertificateFlags`.
#[glib::flags(name = "GstRsRtmpTlsValidationFlags")]
pub enum TlsValidation {
    /// None of these.
    #[flags_value(name = "No flags", nick = "no-flags")]
    NO_FLAGS = 0,
    /// The signing certificate authority is not known.
    #[flags_value(name = "Unknown CA", nick = "unknown-ca")]
    UNKNOWN_CA = 0b000_0001,
    /// The certificate is not for this host.
    #[flags_value(name = "Bad identity", nick = "bad-identity")]
    BAD_IDENTITY = 0b000_0010,
    /// The certificate's time has not come.
    #[flags_value(name = "Not activated", nick = "not-activated")]
    NOT_ACTIVATED = 0b000_0100,
    /// The certificate has expired.
    #[flags_value(name = "Expired", nick = "expired")]
    EXPIRED = 0b000_1000,
    /// The certificate has been revoked.
    #[flags_value(name = "Revoked", nick = "revoked")]
    REVOKED = 0b001_0000,
    /// The certificate's algorithm is insecure.
    #[flags_value(name = "Insecure", nick = "insecure")]
    INSECURE = 0b010_0000,
    /// Anything else.
    #[flags_value(name = "Generic error", nick = "generic-error")]
    GENERIC_ERROR = 0b100_0000,
    /// All of these.
    #[flags_value(name = "Validate all", nick = "validate-all")]
    VALIDATE_ALL = 0b111_1111,
}

impl Default for TlsValidation {
    fn default() -> Self {
        Self::VALIDATE_ALL
    }
}
