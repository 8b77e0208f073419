//! A bin has the properties of what is in it, and they do what they do there.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use gst::glib;
use gst::prelude::*;
use gstrtmp::session::Request;

use crate::relay::{Options, Relay};
use crate::support::pipeline::Pipeline;
use crate::support::wait::LONG;
use crate::support::{Context, Failure, Result};
use crate::{inner, make, start, wait_for_players};

/// What `gst-inspect-1.0` shows of a property.
#[derive(Debug, Eq, PartialEq)]
struct Shown {
    name: String,
    nick: String,
    blurb: Option<String>,
    type_: glib::Type,
    flags: glib::ParamFlags,
    range: String,
}

impl Shown {
    fn of(property: &glib::ParamSpec) -> Self {
        macro_rules! range {
            ($($spec:ty),*) => {
                [$(property.downcast_ref::<$spec>().map(|range| {
                    format!("{}..={}", range.minimum(), range.maximum())
                })),*]
            };
        }
        let ranges = range!(
            glib::ParamSpecInt,
            glib::ParamSpecUInt,
            glib::ParamSpecInt64,
            glib::ParamSpecUInt64
        );
        let range = ranges.into_iter().flatten().collect::<String>();
        // The values of others have no default, and cannot be shown without one.
        let is_writable = property.flags().contains(glib::ParamFlags::WRITABLE);
        let at_construction = glib::ParamFlags::CONSTRUCT | glib::ParamFlags::CONSTRUCT_ONLY;
        Self {
            name: property.name().to_owned(),
            nick: property.nick().to_owned(),
            blurb: property.blurb().map(str::to_owned),
            type_: property.value_type(),
            flags: property.flags() - at_construction,
            range: format!("{range} {:?}", is_writable.then(|| property.default_value())),
        }
    }
}

/// Another value than the one that the property has.
fn another(property: &glib::ParamSpec, value: &glib::Value) -> Result<glib::Value> {
    if let Ok(switch) = value.get::<bool>() {
        return Ok((!switch).to_value());
    }
    macro_rules! next {
        ($($type_:ty: $spec:ty),*) => {
            $(if let (Ok(number), Some(range)) = (value.get::<$type_>(), property.downcast_ref::<$spec>()) {
                let other = if number == range.maximum() { range.minimum() } else { number + 1 };
                return Ok(other.to_value());
            })*
        };
    }
    next!(i32: glib::ParamSpecInt, u32: glib::ParamSpecUInt, i64: glib::ParamSpecInt64, u64: glib::ParamSpecUInt64);
    if value.type_() == glib::Type::STRING {
        let [one, other] = match property.name() {
            "location" => ["rtmp://example.com/one/stream", "rtmp://example.com/other/stream"],
            "tc-url" => ["rtmp://example.com/one", "rtmp://example.com/other"],
            _ => ["one", "other"],
        };
        let is_first = value.get::<Option<&str>>()? == Some(one);
        return Ok(if is_first { other } else { one }.to_value());
    }
    let one_of: Vec<_> = if let Some(class) = glib::EnumClass::with_type(property.value_type()) {
        let values = class.values().iter();
        values.filter_map(|of| class.to_value(of.value())).collect()
    } else if let Some(class) = glib::FlagsClass::with_type(property.value_type()) {
        let flags = class.values().iter();
        flags.filter_map(|flag| class.to_value(flag.value())).collect()
    } else {
        Vec::new()
    };
    one_of
        .into_iter()
        .find(|other| text(other) != text(value))
        .ok_or_else(|| Failure::new(format!("no other value for {}", property.name())))
}

fn text(value: &glib::Value) -> String {
    format!("{value:?}")
}

/// Asserts that `outer` has every property of `within`, but for those that a class of `base` has anyway, and nothing
/// besides those of `others`.
fn assert_shows(outer: &glib::Object, within: &glib::Object, base: glib::Type) -> Result<BTreeSet<String>> {
    let base = glib::object::ObjectClass::from_type(base).ok_or(Failure::new("no class"))?;
    let mut names = BTreeSet::new();
    for property in within.list_properties().iter() {
        let name = property.name();
        if base.find_property(name).is_some() {
            continue;
        }
        let shown = outer.find_property(name).ok_or_else(|| {
            Failure::new(format!(
                "{name} is missing; does src/elements/proxy.rs know its type?"
            ))
        })?;
        assert_eq!(Shown::of(&shown), Shown::of(property));
        names.insert(name.to_owned());
        if !property.flags().contains(glib::ParamFlags::WRITABLE) {
            assert_eq!(
                outer.property_value(name).type_(),
                within.property_value(name).type_()
            );
            continue;
        }
        // Either way round: one may be set by what the application got to know of the element inside.
        for (set, read) in [(outer, within), (within, outer)] {
            let old = read.property_value(name);
            let new = another(property, &old)?;
            set.set_property_from_value(name, &new);
            assert_eq!(text(&read.property_value(name)), text(&new), "{name}");
            assert_ne!(text(&new), text(&old), "{name}");
        }
    }
    Ok(names)
}

/// Names of the properties that the object's class has and `base` has not.
fn own(object: &glib::Object, base: glib::Type) -> Result<BTreeSet<String>> {
    let base = glib::object::ObjectClass::from_type(base).ok_or(Failure::new("no class"))?;
    let properties = object.list_properties();
    let names = properties.iter().map(|property| property.name());
    Ok(names
        .filter(|name| base.find_property(name).is_none())
        .map(str::to_owned)
        .collect())
}

fn assert_bin_shows(bin: &str, elements: [&str; 2]) -> Result<()> {
    let bin = make(bin)?;
    let mut names = BTreeSet::new();
    for element in elements {
        let element = inner(&bin, element)?;
        names.extend(assert_shows(
            bin.upcast_ref(),
            element.upcast_ref(),
            gst::Bin::static_type(),
        )?);
    }
    assert_eq!(own(bin.upcast_ref(), gst::Bin::static_type())?, names);
    Ok(())
}

#[test]
fn the_sink_bin_has_the_properties_of_sink_and_muxer() -> Result<()> {
    assert_bin_shows("rtmpsinkbin", ["sink", "mux"])
}

#[test]
fn the_source_bin_has_the_properties_of_source_and_demuxer() -> Result<()> {
    assert_bin_shows("rtmpsrcbin", ["src", "demux"])
}

#[test]
fn a_pad_has_the_properties_of_the_muxers() -> Result<()> {
    let bin = make("rtmpsinkbin")?;
    let pad = bin
        .request_pad_simple("video_3")
        .ok_or(Failure::new("no pad video_3"))?;
    let track = inner(&bin, "mux")?
        .static_pad("video_3")
        .ok_or(Failure::new("the muxer has no pad video_3"))?;
    assert_eq!(pad.property::<u32>("track-id"), 3);
    let base = track.type_().parent().ok_or(Failure::new("no base class"))?;
    let names = assert_shows(pad.upcast_ref(), track.upcast_ref(), base)?;
    assert_eq!(own(pad.upcast_ref(), gst::GhostPad::static_type())?, names);
    Ok(())
}

#[test]
fn tracks_are_enhanced_as_the_bin_says_unless_their_pads_say_otherwise() -> Result<()> {
    let bin = make("rtmpsinkbin")?;
    let mux = inner(&bin, "mux")?;
    let request = |name| bin.request_pad_simple(name).ok_or(Failure::new("no pad"));
    let enhanced = |name| -> Result<String> {
        let pad = mux.static_pad(name).ok_or(Failure::new("no pad of the muxer"))?;
        Ok(text(&pad.property_value("enhanced")))
    };
    let video = request("video")?;
    let auto = enhanced("video")?;
    bin.set_property_from_str("enhanced-rtmp", "never");
    request("audio")?;
    let never = enhanced("audio")?;
    assert_ne!(never, auto);
    assert_eq!(enhanced("video")?, never);
    video.set_property_from_str("enhanced", "auto");
    assert_eq!((enhanced("video")?, enhanced("audio")?), (auto, never));
    Ok(())
}

fn assert_uri_is_the_location(name: &str) -> Result<()> {
    let bin = make(name)?;
    let handler = bin
        .dynamic_cast_ref::<gst::URIHandler>()
        .ok_or(Failure::new("no URI handler"))?;
    handler.set_uri("rtmp://example.com/live/main")?;
    assert_eq!(bin.property::<String>("location"), "rtmp://example.com/live/main");
    bin.set_property("stream", "other");
    assert_eq!(handler.uri().as_deref(), Some("rtmp://example.com/live/other"));
    let refused = handler.set_uri("rtmp://[::1/live/main");
    assert!(refused.is_err_and(|error| error.matches(gst::URIError::BadUri)));
    let every = ["rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpts", "rtmpte", "rtmfp"];
    assert_eq!(handler.protocols(), every);
    Ok(())
}

#[test]
fn the_sink_bins_uri_is_its_location() -> Result<()> {
    assert_uri_is_the_location("rtmpsinkbin")
}

#[test]
fn the_source_bins_uri_is_its_location() -> Result<()> {
    assert_uri_is_the_location("rtmpsrcbin")
}

#[test]
fn the_source_bin_hands_its_signal_to_the_source() -> Result<()> {
    let (heard, switches) = channel();
    let relay = Relay::start(Options {
        admit: Box::new(move |request| {
            if let Request::Switch(switch) = request {
                // The test may be over.
                let _ = heard.send(switch.stream.0.clone());
            }
            Ok(())
        }),
        ..Options::default()
    })?;
    let location = relay.url("live", "main");
    let player = Pipeline::new(&format!(
        "fakesink rtmpsrcbin name=src location={location} is-live=false"
    ))?;
    let src = player.element("src")?;
    let play2 = |parameters: &str| -> Result<bool> {
        Ok(src.emit_by_name("play2", &[&parameters.parse::<gst::Structure>()?]))
    };
    assert!(!play2("play2,stream=other")?, "nothing is played");
    player.play()?;
    wait_for_players(&relay, 1)?;
    assert!(!play2("play2,transition=switch")?);
    assert!(play2("play2,stream=other")?);
    let stream = switches.recv_timeout(LONG).context("waiting for play2")?;
    assert_eq!(stream.as_bytes(), b"other");
    Ok(())
}

#[test]
fn statistics_are_those_of_the_connection() -> Result<()> {
    let relay = start()?;
    let pipeline = Pipeline::new(&format!(
        "videotestsrc num-buffers=5 ! x264enc ! sink.video rtmpsinkbin name=sink sync=false location={}",
        relay.url("live", "main")
    ))?;
    assert_eq!(pipeline.figure("sink", "out-bytes-total")?, 0);
    pipeline.play()?;
    pipeline.wait_for_eos()?;
    assert!(pipeline.figure("sink", "out-bytes-total")? > 3000);
    Ok(())
}
