//! Profiles, levels and sample formats of configuration records, in the words of GStreamer's parsers.
//!
//! Only what is common is named; parsers find out the rest.

use crate::flv::config::{AudioSpecificConfig, AvcConfig, ChromaFormat, HevcConfig};

/// Says profile and level of H.264.
pub(crate) fn set_avc_profile(caps: &mut gst::StructureRef, config: &AvcConfig) {
    let is_constrained = |set: u8| config.compatibility & 0x80 >> set != 0;
    let profile = match config.profile {
        66 if is_constrained(1) => "constrained-baseline",
        66 => "baseline",
        77 => "main",
        88 => "extended",
        100 if is_constrained(4) && is_constrained(5) => "constrained-high",
        100 if is_constrained(4) => "progressive-high",
        100 => "high",
        110 if is_constrained(3) => "high-10-intra",
        110 => "high-10",
        122 if is_constrained(3) => "high-4:2:2-intra",
        122 => "high-4:2:2",
        244 if is_constrained(3) => "high-4:4:4-intra",
        244 => "high-4:4:4",
        _ => return,
    };
    caps.set("profile", profile);
    // Level 1b has the number of 1.1 in the old profiles.
    let is_1b = config.level == 9 || (config.level == 11 && config.profile <= 88 && is_constrained(3));
    let level = match (config.level / 10, config.level % 10) {
        _ if is_1b => "1b".to_owned(),
        (0, _) => return,
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    };
    caps.set("level", level);
}

/// Says profile, tier, level and samples of H.265.
pub(crate) fn set_hevc_profile(caps: &mut gst::StructureRef, config: &HevcConfig) {
    let profile = match config.profile {
        1 => Some("main"),
        2 => Some("main-10"),
        3 => Some("main-still-picture"),
        // The range extensions and what came after tell their profiles apart by constraints.
        _ => None,
    };
    if let Some(profile) = profile {
        caps.set("profile", profile);
    }
    caps.set("tier", if config.is_high_tier { "high" } else { "main" });
    match (config.level / 30, config.level % 30 / 3) {
        (0, _) => {}
        (whole, 0) => caps.set("level", whole.to_string()),
        (whole, tenth) => caps.set("level", format!("{whole}.{tenth}")),
    }
    set_samples(
        caps,
        Some(config.chroma_format),
        config.bit_depth_luma,
        config.bit_depth_chroma,
    );
}

/// Says the profile of AAC that has no extensions; those have names only together with their level.
pub(crate) fn set_aac_profile(caps: &mut gst::StructureRef, config: &AudioSpecificConfig) {
    let profile = match config.object_type {
        _ if config.sbr.is_some() => return,
        1 => "main",
        2 => "lc",
        3 => "ssr",
        4 => "ltp",
        _ => return,
    };
    caps.set("base-profile", profile);
    caps.set("profile", profile);
}

/// Says subsampling and bits of a sample.
pub(crate) fn set_samples(caps: &mut gst::StructureRef, chroma: Option<ChromaFormat>, luma: u8, colour: u8) {
    if let Some(chroma) = chroma {
        let name = match chroma {
            ChromaFormat::Monochrome => "4:0:0",
            ChromaFormat::Yuv420 => "4:2:0",
            ChromaFormat::Yuv422 => "4:2:2",
            ChromaFormat::Yuv444 => "4:4:4",
        };
        caps.set("chroma-format", name);
    }
    caps.set("bit-depth-luma", u32::from(luma));
    caps.set("bit-depth-chroma", u32::from(colour));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn avc(profile: u8, compatibility: u8, level: u8) -> Vec<Option<String>> {
        gst::init().unwrap();
        let mut caps = gst::Structure::new_empty("video/x-h264");
        let config = AvcConfig {
            profile,
            compatibility,
            level,
            nal_length_size: 4,
        };
        set_avc_profile(&mut caps, &config);
        ["profile", "level"].map(|field| caps.get(field).ok()).into()
    }

    #[test]
    fn names_of_avc_profiles_and_levels_are_those_of_h264parse() {
        let named = |profile: &str, level: &str| vec![Some(profile.to_owned()), Some(level.to_owned())];
        assert_eq!(avc(66, 0xc0, 30), named("constrained-baseline", "3"));
        assert_eq!(avc(66, 0x00, 31), named("baseline", "3.1"));
        assert_eq!(avc(66, 0x10, 11), named("baseline", "1b"));
        assert_eq!(avc(77, 0x40, 11), named("main", "1.1"));
        assert_eq!(avc(100, 0x00, 9), named("high", "1b"));
        assert_eq!(avc(100, 0x0c, 41), named("constrained-high", "4.1"));
        assert_eq!(avc(100, 0x08, 41), named("progressive-high", "4.1"));
        assert_eq!(avc(244, 0x00, 52), named("high-4:4:4", "5.2"));
        assert_eq!(avc(1, 0, 30), [None, None]);
    }
}
