//! `colorInfo` of video metadata: how colours are meant, and how bright. Enhanced RTMP v2 "Metadata Frame".
//!
//! Says what a stream declares; what decoders find in the bitstream may say more.

use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};

use crate::amf::{self, Value};

/// The name in front of the only metadata that is defined.
const COLOR_INFO: &str = "colorInfo";

/// Light levels in cd/m² that `hdrCll` allows.
const LIGHT_LEVELS: RangeInclusive<f64> = 0.0001..=10_000.0;

/// Luminances in cd/m² that `hdrMdcv` allows for the brightest and the darkest.
const MAX_LUMINANCES: RangeInclusive<f64> = 5.0..=10_000.0;
const MIN_LUMINANCES: RangeInclusive<f64> = 0.0001..=5.0;

/// CIE 1931 coordinates that `hdrMdcv` allows.
const X_COORDINATES: RangeInclusive<f64> = 0.0001..=0.74;
const Y_COORDINATES: RangeInclusive<f64> = 0.0001..=0.84;

/// All that is declared of colours. Empty, it takes back what was declared before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ColorInfo {
    /// `colorConfig`: how samples stand for colours.
    pub config: ColorConfig,
    /// `hdrCll`: how bright the content is.
    pub light_level: ContentLightLevel,
    /// `hdrMdcv`: the display on which the content was mastered.
    pub mastering: MasteringDisplay,
}

/// `colorConfig`, in the code points of ITU-T H.273.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ColorConfig {
    /// Bits of a sample: 8, 10 or 12.
    pub bit_depth: Option<u8>,
    /// `ColourPrimaries`; 9 is BT.2020.
    pub primaries: Option<u8>,
    /// `TransferCharacteristics`; 16 is PQ, 18 is HLG.
    pub transfer: Option<u8>,
    /// `MatrixCoefficients`; 9 is BT.2020 non-constant luminance.
    pub matrix: Option<u8>,
}

/// `hdrCll`, CTA-861.3, in cd/m², 0.0001 to 10 000.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ContentLightLevel {
    /// Brightest average of a frame.
    pub max_frame_average: Option<f64>,
    /// Brightest pixel.
    pub max: Option<f64>,
}

/// `hdrMdcv`, SMPTE ST 2086.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MasteringDisplay {
    /// The red primary.
    pub red: Option<Chromaticity>,
    /// The green primary.
    pub green: Option<Chromaticity>,
    /// The blue primary.
    pub blue: Option<Chromaticity>,
    /// White.
    pub white_point: Option<Chromaticity>,
    /// The brightest it shows in cd/m², 5 to 10 000.
    pub max_luminance: Option<f64>,
    /// The darkest it shows in cd/m², 0.0001 to 5.
    pub min_luminance: Option<f64>,
}

/// A colour without its brightness, in CIE 1931 coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chromaticity {
    /// 0.0001 to 0.7400.
    pub x: f64,
    /// 0.0001 to 0.8400.
    pub y: f64,
}

impl ColorInfo {
    /// Whether nothing is declared, which takes back what was.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the pairs of name and value of a metadata packet. `None` if `colorInfo` is not among them. Numbers
    /// out of range are taken for the nearest in it, what is no number for absent.
    #[must_use]
    pub fn decode(data: &Bytes) -> Option<Self> {
        // What a writer cut short leaves the properties in front of it.
        let (values, _) = amf::decode_prefix(data);
        let mut pairs = values.chunks_exact(2);
        let info = pairs.find_map(|pair| match pair {
            [name, value] if name.as_str().as_deref() == Some(COLOR_INFO) => Some(value),
            _ => None,
        })?;
        Some(Self {
            config: info.get("colorConfig").map(ColorConfig::read).unwrap_or_default(),
            light_level: info
                .get("hdrCll")
                .map(ContentLightLevel::read)
                .unwrap_or_default(),
            mastering: info
                .get("hdrMdcv")
                .map(MasteringDisplay::read)
                .unwrap_or_default(),
        })
    }

    /// Writes the pair of name and value; `undefined` if nothing is declared.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let parts: Vec<(&str, Value)> = [
            ("colorConfig", self.config.properties()),
            ("hdrCll", self.light_level.properties()),
            ("hdrMdcv", self.mastering.properties()),
        ]
        .into_iter()
        .filter(|(_, properties)| !properties.is_empty())
        .map(|(name, properties)| (name, Value::object(properties)))
        .collect();
        let info = if parts.is_empty() {
            Value::Undefined
        } else {
            Value::object(parts)
        };
        let mut out = BytesMut::new();
        amf::encode_all(&[COLOR_INFO.into(), info], &mut out);
        out.freeze()
    }
}

/// Properties to write.
type Pairs = Vec<(&'static str, Value)>;

impl ColorConfig {
    fn read(object: &Value) -> Self {
        let code = |name| number(object, name, 0.0..=255.0).map(to_u8);
        Self {
            bit_depth: code("bitDepth").filter(|bits| matches!(bits, 8 | 10 | 12)),
            primaries: code("colorPrimaries"),
            transfer: code("transferCharacteristics"),
            matrix: code("matrixCoefficients"),
        }
    }

    fn properties(self) -> Pairs {
        present([
            ("bitDepth", self.bit_depth.map(f64::from)),
            ("colorPrimaries", self.primaries.map(f64::from)),
            ("transferCharacteristics", self.transfer.map(f64::from)),
            ("matrixCoefficients", self.matrix.map(f64::from)),
        ])
    }
}

impl ContentLightLevel {
    fn read(object: &Value) -> Self {
        Self {
            max_frame_average: number(object, "maxFall", LIGHT_LEVELS),
            max: number(object, "maxCLL", LIGHT_LEVELS),
        }
    }

    fn properties(self) -> Pairs {
        present([("maxFall", self.max_frame_average), ("maxCLL", self.max)])
    }
}

impl MasteringDisplay {
    fn read(object: &Value) -> Self {
        let point = |x, y| {
            Some(Chromaticity {
                x: number(object, x, X_COORDINATES)?,
                y: number(object, y, Y_COORDINATES)?,
            })
        };
        Self {
            red: point("redX", "redY"),
            green: point("greenX", "greenY"),
            blue: point("blueX", "blueY"),
            white_point: point("whitePointX", "whitePointY"),
            max_luminance: number(object, "maxLuminance", MAX_LUMINANCES),
            min_luminance: number(object, "minLuminance", MIN_LUMINANCES),
        }
    }

    fn properties(self) -> Pairs {
        let x = |point: Option<Chromaticity>| point.map(|point| point.x);
        let y = |point: Option<Chromaticity>| point.map(|point| point.y);
        present([
            ("redX", x(self.red)),
            ("redY", y(self.red)),
            ("greenX", x(self.green)),
            ("greenY", y(self.green)),
            ("blueX", x(self.blue)),
            ("blueY", y(self.blue)),
            ("whitePointX", x(self.white_point)),
            ("whitePointY", y(self.white_point)),
            ("maxLuminance", self.max_luminance),
            ("minLuminance", self.min_luminance),
        ])
    }
}

fn present<const N: usize>(numbers: [(&'static str, Option<f64>); N]) -> Pairs {
    numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name, Value::from(number?))))
        .collect()
}

fn number(object: &Value, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
    let number = object.get(name)?.as_number()?;
    number
        .is_finite()
        .then(|| number.clamp(*range.start(), *range.end()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a byte holds"
)]
const fn to_u8(number: f64) -> u8 {
    number as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option;
    use proptest::prelude::*;

    fn color(info: Value) -> Option<ColorInfo> {
        let mut out = BytesMut::new();
        amf::encode_all(&[COLOR_INFO.into(), info], &mut out);
        ColorInfo::decode(&out.freeze())
    }

    fn info(part: &'static str, numbers: &[(&'static str, f64)]) -> ColorInfo {
        let numbers = numbers.iter().map(|(name, number)| (*name, Value::from(*number)));
        color(Value::object([(part, Value::object(numbers))])).unwrap()
    }

    #[test]
    fn other_names_are_not_color_info() {
        let mut out = BytesMut::new();
        amf::encode_all(&["a".into(), COLOR_INFO.into()], &mut out);
        assert_eq!(ColorInfo::decode(&out.clone().freeze()), None);
        amf::encode_all(&[COLOR_INFO.into(), Value::Null], &mut out);
        assert_eq!(ColorInfo::decode(&out.freeze()), Some(ColorInfo::default()));
        assert_eq!(ColorInfo::decode(&Bytes::new()), None);
    }

    #[test]
    fn anything_without_content_takes_back_what_was_said() {
        for empty in [
            Value::Undefined,
            Value::Null,
            Value::object::<&str, _>([]),
            Value::object([("colorConfig", Value::Null), ("hdrCll", 7.0.into())]),
        ] {
            assert!(color(empty).unwrap().is_reset());
        }
    }

    #[test]
    fn numbers_are_brought_into_range_or_left_out() {
        let config = |number| info("colorConfig", &[("bitDepth", number), ("colorPrimaries", number)]).config;
        assert_eq!(
            (config(12.0).bit_depth, config(12.0).primaries),
            (Some(12), Some(12))
        );
        assert_eq!((config(9.0).bit_depth, config(9.0).primaries), (None, Some(9)));
        assert_eq!((config(1e9).bit_depth, config(1e9).primaries), (None, Some(255)));
        assert_eq!(config(-1.0).primaries, Some(0));
        assert_eq!(config(f64::NAN), ColorConfig::default());
        assert_eq!(config(f64::INFINITY), ColorConfig::default());

        let light = info("hdrCll", &[("maxFall", 0.0), ("maxCLL", 1e6)]).light_level;
        assert_eq!(
            (light.max_frame_average, light.max),
            (Some(0.0001), Some(10_000.0))
        );
        let display = info(
            "hdrMdcv",
            &[
                ("redX", 2.0),
                ("redY", 2.0),
                ("greenX", 0.3),
                ("maxLuminance", 1.0),
                ("minLuminance", 50.0),
            ],
        )
        .mastering;
        assert_eq!(display.red, Some(Chromaticity { x: 0.74, y: 0.84 }));
        assert_eq!(display.green, None, "half a point");
        assert_eq!(
            (display.max_luminance, display.min_luminance),
            (Some(5.0), Some(5.0))
        );
    }

    fn point() -> impl Strategy<Value = Option<Chromaticity>> {
        option::of((X_COORDINATES, Y_COORDINATES).prop_map(|(x, y)| Chromaticity { x, y }))
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            bit_depth in option::of(proptest::sample::select(&[8_u8, 10, 12])),
            codes: (Option<u8>, Option<u8>, Option<u8>),
            (max_frame_average, max) in (option::of(LIGHT_LEVELS), option::of(LIGHT_LEVELS)),
            (red, green, blue, white_point) in (point(), point(), point(), point()),
            (max_luminance, min_luminance) in (option::of(MAX_LUMINANCES), option::of(MIN_LUMINANCES)),
        ) {
            let (primaries, transfer, matrix) = codes;
            let info = ColorInfo {
                config: ColorConfig { bit_depth, primaries, transfer, matrix },
                light_level: ContentLightLevel { max_frame_average, max },
                mastering: MasteringDisplay { red, green, blue, white_point, max_luminance, min_luminance },
            };
            prop_assert_eq!(ColorInfo::decode(&info.encode()), Some(info));
        }
    }
}
