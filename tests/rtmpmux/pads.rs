//! Templates, names and properties of pads.

use gst::glib;
use gst::prelude::*;

use crate::fixture::{AAC, AV1, AVC, HEVC, Mux, OPUS, frame};
use crate::support::Result;

fn track(pad: &gst::Pad) -> (String, u32) {
    (pad.name().into(), pad.property("track-id"))
}

#[test]
fn templates_are_one_with_a_number_and_one_without_of_each_kind() -> Result<()> {
    let mux = Mux::new()?;
    let mut names: Vec<_> = mux
        .element
        .pad_template_list()
        .iter()
        .map(|template| (template.name().to_string(), template.presence()))
        .collect();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    let request = |name: &str| (name.to_owned(), gst::PadPresence::Request);
    assert_eq!(
        names,
        [
            request("audio"),
            request("audio_%u"),
            ("src".to_owned(), gst::PadPresence::Always),
            request("video"),
            request("video_%u")
        ]
    );
    for (template, caps) in [
        ("video", HEVC),
        ("video_%u", AV1),
        ("audio", OPUS),
        ("audio_%u", AAC),
    ] {
        let template = mux.element.pad_template(template).unwrap();
        let caps: gst::Caps = caps.parse()?;
        assert!(template.caps().can_intersect(&caps), "{}", template.name());
    }
    Ok(())
}

#[test]
fn names_of_pads_are_those_of_tracks() -> Result<()> {
    let mux = Mux::new()?;
    let request = |name| mux.element.request_pad_simple(name).map(|pad| track(&pad));
    assert_eq!(request("video"), Some(("video".to_owned(), 0)));
    assert_eq!(request("video_%u"), Some(("video_1".to_owned(), 1)));
    assert_eq!(request("video_7"), Some(("video_7".to_owned(), 7)));
    assert_eq!(request("video_%u"), Some(("video_2".to_owned(), 2)));
    assert_eq!(
        request("audio_%u"),
        Some(("audio_0".to_owned(), 0)),
        "sound counts on its own"
    );
    assert_eq!(request("audio_255"), Some(("audio_255".to_owned(), 255)));
    Ok(())
}

#[test]
fn a_track_has_one_pad() -> Result<()> {
    let mux = Mux::new()?;
    for name in ["video", "audio_0", "audio_3"] {
        assert!(mux.element.request_pad_simple(name).is_some(), "{name}");
    }
    let pad = mux.element.static_pad("audio_3").unwrap();
    pad.set_property("track-id", 9u32);
    for name in ["video_0", "audio", "audio_9"] {
        assert!(mux.element.request_pad_simple(name).is_none(), "{name}");
    }
    assert_eq!(
        mux.warnings(),
        [
            "There can be no pad video_0: another pad has track 0.",
            "There can be no pad audio: another pad has track 0.",
            "There can be no pad audio_9: another pad has track 9."
        ]
    );

    mux.element.release_request_pad(&pad);
    assert!(mux.element.request_pad_simple("audio_9").is_some(), "released");
    Ok(())
}

#[test]
fn no_track_has_a_number_over_255() -> Result<()> {
    let mux = Mux::new()?;
    assert!(mux.element.request_pad_simple("video_256").is_none());
    assert_eq!(
        mux.warnings(),
        ["There can be no pad video_256: tracks have numbers up to 255."]
    );
    let pad = mux.element.request_pad_simple("video_255").unwrap();
    let property = pad.find_property("track-id").unwrap();
    let property = property.downcast::<glib::ParamSpecUInt>().unwrap();
    assert_eq!(property.maximum(), 255);
    Ok(())
}

#[test]
fn links_without_names_make_tracks_in_their_order() -> Result<()> {
    let mux = Mux::new()?;
    let bin = mux.element.parent().and_downcast::<gst::Bin>().unwrap();
    for (caps, name) in [
        (AVC, "video_0"),
        (HEVC, "video_1"),
        (AAC, "audio_0"),
        (OPUS, "audio_1"),
    ] {
        let filter = gst::ElementFactory::make("capsfilter")
            .property("caps", caps.parse::<gst::Caps>()?)
            .build()?;
        bin.add(&filter)?;
        filter.link(&mux.element)?;
        let peer = filter.static_pad("src").unwrap().peer().unwrap();
        assert_eq!(peer.name(), name);
    }
    Ok(())
}

#[test]
fn properties_of_pads_are_reached_from_a_command_line() -> Result<()> {
    crate::support::pipeline::register()?;
    let mux = gst::parse::launch(
        "rtmpmux name=mux audio_0::track-id=5 audio_0::enhanced=always \
         capsfilter caps=audio/x-opus ! mux.audio_0",
    )?
    .downcast::<gst::Bin>()
    .unwrap()
    .by_name("mux")
    .unwrap();
    let pad = mux.static_pad("audio_0").unwrap();
    assert_eq!(track(&pad).1, 5);
    let value = pad.property_value("enhanced");
    let (_, value) = glib::EnumValue::from_value(&value).unwrap();
    assert_eq!(value.nick(), "always");
    Ok(())
}

#[test]
fn two_pads_of_one_track_are_an_error_that_names_both() -> Result<()> {
    let mux = Mux::new()?;
    let first = mux.source("audio_0", AAC)?;
    let second = mux.source("audio_1", OPUS)?;
    second.pad.set_property("track-id", 0u32);
    mux.play()?;
    first.push(frame(b"a", 0))?;
    let error = mux.error()?;
    assert!(
        error.contains("audio_0") && error.contains("audio_1") && error.contains("track 0"),
        "{error}"
    );
    Ok(())
}

#[test]
fn tracks_are_legacy_where_they_can_be_and_enhanced_where_wanted() -> Result<()> {
    for (caps, policy, is_enhanced) in [
        (AVC, "auto", false),
        (AVC, "always", true),
        (AVC, "never", false),
        (HEVC, "auto", true),
    ] {
        let mux = Mux::new()?;
        let source = mux.source("video", caps)?;
        source.pad.set_property_from_str("enhanced", policy);
        mux.play()?;
        source.push(frame(b"a", 0))?;
        source.end()?;
        let stream = mux.finish()?;
        assert_eq!(stream.summary(), "metadata header:v0 v0:a end:v0");
        let tags = &stream.packets[1..];
        assert!(
            tags.iter().all(|tag| tag.four_cc.is_some() == is_enhanced),
            "{caps} {policy}"
        );
    }
    Ok(())
}

#[test]
fn what_only_enhanced_tags_carry_is_refused_where_they_are_forbidden() -> Result<()> {
    for (name, caps, expected) in [
        (
            "video",
            HEVC,
            "The pad video cannot be muxed: H.265 needs Enhanced RTMP, which is set to never.",
        ),
        (
            "audio_2",
            AAC,
            "The pad audio_2 cannot be muxed: track 2 needs Enhanced RTMP, which is set to never.",
        ),
    ] {
        let mux = Mux::new()?;
        let source = mux.source(name, caps)?;
        source.pad.set_property_from_str("enhanced", "never");
        mux.play()?;
        source.push(frame(b"a", 0))?;
        assert_eq!(mux.error()?, expected);
    }
    Ok(())
}
