//! `colorimetry`, `mastering-display-info` and `content-light-level` of caps <-> `colorInfo` of tags and the code
//! points of ITU-T H.273.
//!
//! The strings are those of libgstvideo: names for what is common, else four of its own numbers.

use crate::flv::video::{Chromaticity, ColorConfig, ColorInfo, ContentLightLevel, MasteringDisplay};

/// `GST_VIDEO_COLOR_RANGE_16_235`, which tags do not say and video mostly has.
const LIMITED_RANGE: u8 = 2;

/// `GST_VIDEO_COLOR_RANGE_0_255`.
const FULL_RANGE: u8 = 1;

/// Names with their numbers of matrix, transfer and primaries. All but sRGB are of limited range.
const NAMED: [(&str, u8, [u8; 3]); 8] = [
    ("bt601", LIMITED_RANGE, [4, 16, 4]),
    ("bt709", LIMITED_RANGE, [3, 5, 1]),
    ("smpte240m", LIMITED_RANGE, [5, 6, 5]),
    ("sRGB", FULL_RANGE, [1, 7, 1]),
    ("bt2020", LIMITED_RANGE, [6, 11, 7]),
    ("bt2020-10", LIMITED_RANGE, [6, 13, 7]),
    ("bt2100-pq", LIMITED_RANGE, [6, 14, 7]),
    ("bt2100-hlg", LIMITED_RANGE, [6, 15, 7]),
];

/// `GstVideoColorMatrix` with `MatrixCoefficients`. Of several with one meaning the one to write stands first.
const MATRICES: &[(u8, u8)] = &[(1, 0), (3, 1), (2, 4), (4, 6), (4, 5), (5, 7), (6, 9)];

/// `GstVideoTransferFunction` with `TransferCharacteristics`.
const TRANSFERS: &[(u8, u8)] = &[
    (5, 1),
    (4, 4),
    (8, 5),
    (16, 6),
    (6, 7),
    (1, 8),
    (9, 9),
    (10, 10),
    (7, 13),
    (13, 14),
    (11, 15),
    (14, 16),
    (15, 18),
];

/// `GstVideoColorPrimaries` with `ColourPrimaries`.
const PRIMARIES: &[(u8, u8)] = &[
    (1, 1),
    (2, 4),
    (3, 5),
    (4, 6),
    (5, 7),
    (6, 8),
    (7, 9),
    (9, 10),
    (10, 11),
    (11, 12),
    (12, 22),
];

/// Caps count chromaticities in steps of 0.00002 and luminances in steps of 0.0001 cd/m².
const CHROMATICITY_STEPS: f64 = 50_000.0;
const LUMINANCE_STEPS: f64 = 10_000.0;

/// What caps say of colours; what they leave out is absent.
pub(crate) fn color_info(caps: &gst::StructureRef) -> ColorInfo {
    let text = |field| caps.get::<&str>(field).ok();
    ColorInfo {
        config: ColorConfig {
            bit_depth: caps
                .get::<u32>("bit-depth-luma")
                .ok()
                .and_then(|depth| u8::try_from(depth).ok())
                .filter(|depth| matches!(depth, 8 | 10 | 12)),
            ..text("colorimetry").map(parse_colorimetry).unwrap_or_default()
        },
        light_level: text("content-light-level")
            .and_then(parse_light_level)
            .unwrap_or_default(),
        mastering: text("mastering-display-info")
            .and_then(parse_mastering)
            .unwrap_or_default(),
    }
}

/// Says in caps what can be said there: a mastering display only as a whole.
pub(crate) fn set_color(caps: &mut gst::StructureRef, info: &ColorInfo, is_full_range: bool) {
    if let Some(colorimetry) = colorimetry(&info.config, is_full_range) {
        caps.set("colorimetry", colorimetry);
    }
    if let Some(mastering) = mastering(&info.mastering) {
        caps.set("mastering-display-info", mastering);
    }
    if let (Some(max), Some(average)) = (info.light_level.max, info.light_level.max_frame_average) {
        caps.set("content-light-level", format!("{max:.0}:{average:.0}"));
    }
}

/// Whether a colorimetry is of full range.
pub(crate) fn is_full_range(colorimetry: &str) -> bool {
    match NAMED.iter().find(|(name, ..)| *name == colorimetry) {
        Some((_, range, _)) => *range == FULL_RANGE,
        None => numbers::<4>(colorimetry).is_some_and(|[range, ..]| range == u32::from(FULL_RANGE)),
    }
}

fn parse_colorimetry(text: &str) -> ColorConfig {
    let named = NAMED.iter().find(|(name, ..)| *name == text);
    let [matrix, transfer, primaries] = match named {
        Some((_, _, numbers)) => *numbers,
        None => match numbers::<4>(text) {
            Some([_, matrix, transfer, primaries]) => {
                [matrix, transfer, primaries].map(|number| u8::try_from(number).unwrap_or_default())
            }
            None => return ColorConfig::default(),
        },
    };
    let code = |table: &[(u8, u8)], number| {
        let known = table.iter().find(|(own, _)| *own == number);
        known.map(|(_, code)| *code)
    };
    ColorConfig {
        bit_depth: None,
        primaries: code(PRIMARIES, primaries),
        transfer: code(TRANSFERS, transfer),
        matrix: code(MATRICES, matrix),
    }
}

fn colorimetry(config: &ColorConfig, is_full_range: bool) -> Option<String> {
    let number = |table: &[(u8, u8)], code: Option<u8>| {
        let known = table.iter().find(|(_, known)| Some(*known) == code);
        known.map_or(0, |(own, _)| *own)
    };
    let numbers = [
        number(MATRICES, config.matrix),
        number(TRANSFERS, config.transfer),
        number(PRIMARIES, config.primaries),
    ];
    let [matrix, transfer, primaries] = numbers;
    if numbers == [0; 3] {
        return None;
    }
    // RGB has no limited range that anybody uses.
    let range = if is_full_range || matrix == 1 {
        FULL_RANGE
    } else {
        LIMITED_RANGE
    };
    let named = NAMED
        .iter()
        .find(|(_, of, name)| (*of, *name) == (range, numbers));
    Some(match named {
        Some((name, ..)) => (*name).to_owned(),
        None => format!("{range}:{matrix}:{transfer}:{primaries}"),
    })
}

fn parse_light_level(text: &str) -> Option<ContentLightLevel> {
    let [max, average] = numbers::<2>(text)?.map(f64::from);
    // 0 stands for unknown.
    let known = |level: f64| (level > 0.0).then_some(level);
    Some(ContentLightLevel {
        max_frame_average: known(average),
        max: known(max),
    })
}

fn parse_mastering(text: &str) -> Option<MasteringDisplay> {
    let [rx, ry, gx, gy, bx, by, wx, wy, max, min] = numbers::<10>(text)?.map(f64::from);
    let point = |x, y| {
        Some(Chromaticity {
            x: x / CHROMATICITY_STEPS,
            y: y / CHROMATICITY_STEPS,
        })
    };
    Some(MasteringDisplay {
        red: point(rx, ry),
        green: point(gx, gy),
        blue: point(bx, by),
        white_point: point(wx, wy),
        max_luminance: Some(max / LUMINANCE_STEPS),
        min_luminance: Some(min / LUMINANCE_STEPS),
    })
}

fn mastering(display: &MasteringDisplay) -> Option<String> {
    let mut numbers = Vec::with_capacity(10);
    for point in [display.red, display.green, display.blue, display.white_point] {
        let point = point?;
        numbers.extend([point.x, point.y].map(|value| value * CHROMATICITY_STEPS));
    }
    numbers.extend([display.max_luminance?, display.min_luminance?].map(|value| value * LUMINANCE_STEPS));
    let numbers: Vec<_> = numbers.iter().map(|number| format!("{number:.0}")).collect();
    Some(numbers.join(":"))
}

/// Exactly `N` numbers between colons.
fn numbers<const N: usize>(text: &str) -> Option<[u32; N]> {
    let numbers: Vec<u32> = text
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HDR10: &str = "video/x-h265, bit-depth-luma=(uint)10, colorimetry=bt2100-pq, \
        mastering-display-info=(string)\"35400:14600:8500:39850:6550:2300:15635:16450:10000000:50\", \
        content-light-level=(string)\"1000:400\"";

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        text.parse().unwrap()
    }

    #[test]
    fn hdr_goes_into_tags_and_comes_back() {
        let caps = caps(HDR10);
        let info = color_info(caps.structure(0).unwrap());
        assert_eq!(
            info.config,
            ColorConfig {
                bit_depth: Some(10),
                primaries: Some(9),
                transfer: Some(16),
                matrix: Some(9)
            }
        );
        assert_eq!(info.mastering.max_luminance, Some(1000.0));
        assert_eq!(info.mastering.red, Some(Chromaticity { x: 0.708, y: 0.292 }));
        assert_eq!(
            (info.light_level.max, info.light_level.max_frame_average),
            (Some(1000.0), Some(400.0))
        );

        let over_the_wire = ColorInfo::decode(&info.encode()).unwrap();
        let mut back = gst::Structure::new_empty("video/x-h265");
        set_color(&mut back, &over_the_wire, false);
        back.set("bit-depth-luma", 10u32);
        assert!(back == *caps.structure(0).unwrap(), "{back:?}");
    }

    #[test]
    fn every_name_of_a_colorimetry_comes_back() {
        for (name, range, _) in NAMED {
            let config = parse_colorimetry(name);
            assert_eq!(colorimetry(&config, range == FULL_RANGE).as_deref(), Some(name));
        }
        let numeric = "2:6:14:1";
        assert_eq!(
            colorimetry(&parse_colorimetry(numeric), false).as_deref(),
            Some(numeric)
        );
        assert_eq!(
            parse_colorimetry("2:4:0:0"),
            ColorConfig {
                matrix: Some(6),
                ..ColorConfig::default()
            }
        );
        for nonsense in ["", "bt1", "2:4:5", "2:4:5:6:7", "a:b:c:d", "2:999:0:0"] {
            assert_eq!(parse_colorimetry(nonsense), ColorConfig::default(), "{nonsense}");
        }
        assert_eq!(colorimetry(&ColorConfig::default(), false), None);
    }

    #[test]
    fn half_a_mastering_display_stays_out_of_caps() {
        let info = ColorInfo {
            mastering: MasteringDisplay {
                max_luminance: Some(1000.0),
                min_luminance: Some(0.01),
                ..MasteringDisplay::default()
            },
            ..ColorInfo::default()
        };
        gst::init().unwrap();
        let mut caps = gst::Structure::new_empty("video/x-av1");
        set_color(&mut caps, &info, false);
        assert_eq!(caps.n_fields(), 0);
    }
}
