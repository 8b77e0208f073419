//! What the two ends of a connection can do of Enhanced RTMP, as they tell each other in connect and its reply.
//! Enhanced RTMP v2, section "Enhancing NetConnection connect Command".
//!
//! A server that says nothing may still understand everything: SRS and node-media-server never answer, MediaMTX
//! reads `fourCcList` alone. So silence is `None` here, and what follows from it is for the elements to decide.

use crate::amf::{Properties, Text, Value};
use crate::fourcc::FourCc;

/// Codecs that are remembered of a peer's maps; there are twelve.
const MAX_CODECS: usize = 64;

/// `capsEx`: the server may ask to reconnect.
const RECONNECT: u32 = 0x01;
/// `capsEx`: several tracks of a kind.
const MULTITRACK: u32 = 0x02;
/// `capsEx`: packets with a ModEx block can be parsed.
const MOD_EX: u32 = 0x04;
/// `capsEx`: timestamps with nanoseconds.
const NANOSECONDS: u32 = 0x08;

/// `videoFunction`: seeking is frame-accurate (RTMP 1.0).
pub(super) const CLIENT_SEEK: u32 = 0x01;
/// `videoFunction`: HDR video can be shown, so that `colorInfo` is of use.
const CLIENT_HDR: u32 = 0x02;
/// `videoFunction`: packets of the type Metadata are understood.
const METADATA_PACKETS: u32 = 0x04;

/// What can be done with a codec, a sum of bits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Support(u8);

impl Support {
    /// It can be decoded.
    pub const DECODE: Self = Self(1);
    /// It can be encoded.
    pub const ENCODE: Self = Self(2);
    /// It can be passed on as it is.
    pub const FORWARD: Self = Self(4);

    /// Whether anything at all can be done with it.
    #[must_use]
    pub const fn is_any(self) -> bool {
        self.0 != 0
    }

    /// The sum: 1 decode, 2 encode, 4 forward.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    fn from_value(value: &Value) -> Self {
        integer(value)
            .and_then(|bits| u8::try_from(bits & 7).ok())
            .map_or(Self::default(), Self)
    }
}

/// What can be done with the codecs of one kind of track.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Codecs {
    /// With any codec, whatever `named` says: the entry `*`.
    pub any: Support,
    /// With one codec each.
    pub named: Vec<(FourCc, Support)>,
}

impl Codecs {
    /// Whether anything can be done with `codec`.
    #[must_use]
    pub fn supports(&self, codec: FourCc) -> bool {
        self.any.is_any()
            || self
                .named
                .iter()
                .any(|(named, support)| *named == codec && support.is_any())
    }

    fn read(map: &Properties) -> Self {
        let mut codecs = Self::default();
        for (name, value) in map.iter().take(MAX_CODECS) {
            codecs.add(name, Support::from_value(value));
        }
        codecs
    }

    fn add(&mut self, name: &Text, support: Support) {
        if name.as_bytes() == b"*" {
            self.any = support;
        } else if let Ok(characters) = <[u8; 4]>::try_from(name.as_bytes()) {
            self.named.push((FourCc::new(characters), support));
        }
    }

    fn to_value(&self) -> Value {
        let any = self.any.is_any().then(|| (Text::from("*"), self.any));
        let named = self.named.iter().map(|(codec, support)| (name(*codec), *support));
        Value::object(
            any.into_iter()
                .chain(named)
                .map(|(name, support)| (name, Value::from(f64::from(support.0)))),
        )
    }
}

/// What one end can do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// Video codecs, `videoFourCcInfoMap`.
    pub video: Codecs,
    /// Audio codecs, `audioFourCcInfoMap`.
    pub audio: Codecs,
    /// The server may ask for a reconnection.
    pub reconnect: bool,
    /// Several tracks of a kind.
    pub multitrack: bool,
    /// Packets with a ModEx block can be parsed.
    pub mod_ex: bool,
    /// Timestamps with nanoseconds.
    pub nanoseconds: bool,
    /// Video metadata packets, and HDR by them.
    pub hdr: bool,
}

impl Capabilities {
    /// Everything, with every codec: what the FLV layer reads and writes. Reconnection is not among it.
    #[must_use]
    pub fn all(support: Support) -> Self {
        let is_video = |codec: &FourCc| {
            [
                FourCc::AVC,
                FourCc::HEVC,
                FourCc::VVC,
                FourCc::VP8,
                FourCc::VP9,
                FourCc::AV1,
            ]
            .contains(codec)
        };
        let (video, audio): (Vec<FourCc>, Vec<FourCc>) = FourCc::KNOWN.into_iter().partition(is_video);
        let named = |codecs: Vec<FourCc>| Codecs {
            any: Support::default(),
            named: codecs.into_iter().map(|codec| (codec, support)).collect(),
        };
        Self {
            video: named(video),
            audio: named(audio),
            reconnect: false,
            multitrack: true,
            mod_ex: true,
            nanoseconds: true,
            hdr: true,
        }
    }

    /// What a server that passes on whatever it gets can do.
    #[must_use]
    pub fn forwarding() -> Self {
        let any = Codecs {
            any: Support::FORWARD,
            named: Vec::new(),
        };
        Self {
            video: any.clone(),
            audio: any,
            ..Self::all(Support::FORWARD)
        }
    }

    /// `videoFunction`, beside the bits that RTMP 1.0 has.
    pub(super) const fn video_function(&self) -> u32 {
        if self.hdr {
            CLIENT_HDR | METADATA_PACKETS
        } else {
            0
        }
    }

    /// The properties for a command object or an info object, but for `videoFunction`, which RTMP 1.0 has too.
    pub(super) fn properties(&self) -> Properties {
        let listed = |codecs: &Codecs| {
            codecs
                .named
                .iter()
                .map(|(codec, _)| name(*codec))
                .collect::<Vec<_>>()
        };
        let mut list: Vec<Text> = [listed(&self.video), listed(&self.audio)].concat();
        if self.video.any.is_any() || self.audio.any.is_any() {
            list = vec![Text::from("*")];
        }
        let caps_ex = [
            (self.reconnect, RECONNECT),
            (self.multitrack, MULTITRACK),
            (self.mod_ex, MOD_EX),
            (self.nanoseconds, NANOSECONDS),
        ]
        .into_iter()
        .filter_map(|(is_set, bit)| is_set.then_some(bit))
        .sum::<u32>();
        [
            (
                "fourCcList",
                Value::StrictArray(list.into_iter().map(Value::String).collect()),
            ),
            ("videoFourCcInfoMap", self.video.to_value()),
            ("audioFourCcInfoMap", self.audio.to_value()),
            ("capsEx", Value::from(f64::from(caps_ex))),
        ]
        .into_iter()
        .collect()
    }

    /// What the objects of a connect or of its reply say; `None` if they are silent. Which of the reply's two
    /// objects has it is not agreed upon, nor is the case of the names: Red5 spells `CapsEx`.
    pub(super) fn read(objects: &[&Properties]) -> Option<Self> {
        let find = |wanted: &str| {
            objects
                .iter()
                .flat_map(|object| object.iter())
                .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(wanted.as_bytes()))
                .map(|(_, value)| value)
        };
        let list = find("fourCcList");
        let video = find("videoFourCcInfoMap")
            .and_then(Value::properties)
            .map(Codecs::read);
        let audio = find("audioFourCcInfoMap")
            .and_then(Value::properties)
            .map(Codecs::read);
        let caps_ex = find("capsEx").and_then(integer);
        if list.is_none() && video.is_none() && audio.is_none() && caps_ex.is_none() {
            return None;
        }
        let mut listed = Codecs::default();
        if let Some(Value::StrictArray(codecs)) = list {
            for codec in codecs.iter().filter_map(Value::as_text).take(MAX_CODECS) {
                listed.add(codec, Support::FORWARD);
            }
        }
        let caps_ex = caps_ex.unwrap_or_default();
        let video_function = find("videoFunction").and_then(integer).unwrap_or_default();
        Some(Self {
            video: video.unwrap_or_else(|| listed.clone()),
            audio: audio.unwrap_or(listed),
            reconnect: caps_ex & RECONNECT != 0,
            multitrack: caps_ex & MULTITRACK != 0,
            mod_ex: caps_ex & MOD_EX != 0,
            nanoseconds: caps_ex & NANOSECONDS != 0,
            hdr: video_function & CLIENT_HDR != 0,
        })
    }
}

fn name(codec: FourCc) -> Text {
    String::from_utf8_lossy(&codec.characters()).into_owned().into()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn integer(value: &Value) -> Option<u32> {
    value
        .as_number()
        .filter(|number| (0.0..=f64::from(u32::MAX)).contains(number))
        .map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(properties: Properties) -> Option<Capabilities> {
        Capabilities::read(&[&Properties::default(), &properties])
    }

    #[test]
    fn silence_is_not_refusal() {
        assert_eq!(read(Properties::default()), None);
        let other = [("fmsVer", Value::from("FMS/3,0,1,123"))].into_iter().collect();
        assert_eq!(read(other), None);
    }

    #[test]
    fn what_is_written_is_read() {
        for capabilities in [Capabilities::all(Support::DECODE), Capabilities::forwarding()] {
            let mut properties = capabilities.properties();
            properties.push(
                "videoFunction",
                Value::from(f64::from(capabilities.video_function())),
            );
            assert_eq!(read(properties), Some(capabilities));
        }
    }

    #[test]
    fn a_list_alone_serves_for_both_kinds() {
        let list = Value::StrictArray(vec!["hvc1".into(), "Opus".into(), Value::Null, "too long".into()]);
        let capabilities = read([("fourCcList", list)].into_iter().collect()).unwrap();
        assert!(capabilities.video.supports(FourCc::HEVC) && !capabilities.video.supports(FourCc::AV1));
        assert!(capabilities.audio.supports(FourCc::OPUS));
        assert!(!capabilities.multitrack);
    }

    #[test]
    fn a_wildcard_overrides_and_odd_values_mean_nothing() {
        let map = Value::object([("*", Value::from(4.0)), ("hvc1", Value::from(0.0))]);
        let properties = [
            ("VideoFourCcInfoMap", map),
            (
                "audioFourCcInfoMap",
                Value::object([("Opus", Value::from(f64::NAN))]),
            ),
            ("CapsEx", Value::from(-1.0)),
        ];
        let capabilities = read(properties.into_iter().collect()).unwrap();
        assert!(capabilities.video.supports(FourCc::HEVC));
        assert!(!capabilities.audio.supports(FourCc::OPUS));
        assert!(!capabilities.multitrack && !capabilities.reconnect);
    }
}
