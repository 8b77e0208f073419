//! What GStreamer's registry makes of the plugin, beside the C plugins of the same names: gst-plugins-bad has
//! `rtmpsrc` and `rtmpsink` on librtmp in its own `libgstrtmp.so`, and `rtmp2src` and `rtmp2sink`.

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use gst::glib;
use gst::prelude::*;

use support::gstreamer::{GStreamer, library};
use support::process::{Ended, Peer};
use support::{Context, Failure, Result, wait};

/// Where nobody listens, so that elements fail at once and by their own words.
const NOBODY: &str = "rtmp://127.0.0.1:1/live/stream";

/// What only these elements say when they are refused.
const REFUSED: &str = "127.0.0.1:1 refused the connection";

/// A line `KEY   VALUE` of what gst-inspect-1.0 prints.
fn line<'a>(shown: &'a str, key: &str) -> Result<&'a str> {
    shown
        .lines()
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix("  "))
        .map(str::trim)
        .ok_or_else(|| Failure::new(format!("gst-inspect-1.0 prints no {key}:\n{shown}")))
}

fn inspect(gstreamer: &GStreamer, subject: &str) -> Result<String> {
    let ended = gstreamer.inspect(subject)?;
    if !ended.status.success() {
        return Err(Failure::new(format!(
            "gst-inspect-1.0 does not know {subject}: {}",
            ended.stderr
        )));
    }
    Ok(String::from_utf8(ended.stdout)?)
}

/// The file of the C plugin that has the element `name`.
fn c_plugin(name: &str) -> Result<PathBuf> {
    let shown = inspect(&GStreamer::without_plugin()?, name)?;
    let package = line(&shown, "Source module")?;
    if package != "gst-plugins-bad" {
        return Err(Failure::new(format!(
            "{name} is of {package}, not of gst-plugins-bad"
        )));
    }
    line(&shown, "Filename").map(PathBuf::from)
}

/// What a pipeline says that cannot work.
fn failing_launch(gstreamer: &GStreamer, pipeline: &str) -> Result<String> {
    let Ended { status, stderr, .. } = gstreamer.launch(pipeline)?.end(wait::LONG)?;
    if status.success() {
        return Err(Failure::new(format!("{pipeline} works, where nobody listens")));
    }
    Ok(stderr)
}

#[test]
fn the_plugin_takes_the_place_of_the_c_plugin_of_its_name() -> Result<()> {
    assert!(c_plugin("rtmpsink")?.ends_with("libgstrtmp.so"));
    let gstreamer = GStreamer::new()?;
    let library = gstreamer.plugin_folder().join("libgstrtmp.so");
    for name in ["rtmpsrc", "rtmpsink", "rsrtmpsrc", "rsrtmpsink"] {
        let shown = inspect(&gstreamer, name)?;
        assert_eq!(line(&shown, "Name")?, "rtmp", "{name}");
        assert_eq!(line(&shown, "Filename")?, library.to_string_lossy(), "{name}");
        assert_eq!(line(&shown, "Binary package")?, env!("CARGO_PKG_NAME"), "{name}");
    }
    let rank = |name| -> Result<String> { Ok(line(&inspect(&gstreamer, name)?, "Rank")?.to_owned()) };
    assert_eq!(rank("rtmpsrc")?, "primary + 2 (258)");
    assert_eq!(rank("rtmpsink")?, "primary + 2 (258)");
    // Above nothing of its own name, but as good as rtmp2's.
    assert_eq!(rank("rsrtmpsrc")?, "primary + 1 (257)");
    assert_eq!(rank("rsrtmpsink")?, "primary + 1 (257)");
    Ok(())
}

#[test]
fn the_elements_show_where_they_belong() -> Result<()> {
    let gstreamer = GStreamer::new()?;
    for (name, class, direction) in [
        ("rtmpsrc", "GstRsRtmpSrc", "source"),
        ("rtmpsink", "GstRsRtmpSink", "sink"),
    ] {
        let shown = inspect(&gstreamer, name)?;
        assert_eq!(
            line(&shown, "Klass")?,
            format!("{}/Network", capitalised(direction))
        );
        for part in [
            class,
            "video/x-flv",
            "GstURIHandler",
            &format!("Element can act as {direction}."),
        ] {
            assert!(shown.contains(part), "{name} has no {part}:\n{shown}");
        }
    }
    Ok(())
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

#[test]
fn without_the_plugin_the_c_plugin_is_back() -> Result<()> {
    let gstreamer = GStreamer::without_plugin()?;
    for name in ["rtmpsrc", "rtmpsink"] {
        let shown = inspect(&gstreamer, name)?;
        assert_eq!(line(&shown, "Source module")?, "gst-plugins-bad");
        assert!(!shown.contains("GstRs"), "{shown}");
    }
    assert!(!gstreamer.inspect("rsrtmpsink")?.status.success());
    Ok(())
}

#[test]
fn the_users_plugin_folder_serves_as_well_as_the_path() -> Result<()> {
    let gstreamer = GStreamer::without_plugin()?;
    let home = tempfile::tempdir().context("making a home folder")?;
    let folder = home.path().join("gstreamer-1.0/plugins");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(library()?, folder.join("libgstrtmp.so"))?;
    let inspect = |gstreamer: &GStreamer| -> Result<String> {
        let mut command: Command = gstreamer.command("gst-inspect-1.0");
        command
            .arg("rtmpsink")
            .env_remove("GST_PLUGIN_PATH")
            .env("XDG_DATA_HOME", home.path());
        let ended = Peer::spawn(&mut command, "gstreamer1.0-tools")?.succeed(wait::LONG)?;
        Ok(String::from_utf8(ended.stdout)?)
    };
    assert!(inspect(&gstreamer)?.contains("GstRsRtmpSink"));
    // The way back, with a registry that remembers how it was.
    std::fs::remove_file(folder.join("libgstrtmp.so"))?;
    assert!(inspect(&gstreamer)?.contains("GstRTMPSink"));
    Ok(())
}

#[test]
fn uris_are_played_by_the_plugin_although_rtmp2_is_there() -> Result<()> {
    c_plugin("rtmp2src")?;
    let gstreamer = GStreamer::new()?;
    for pipeline in [
        // A bare URI is handed to gst_element_make_from_uri().
        format!("{NOBODY} ! fakesink"),
        format!("uridecodebin uri={NOBODY} ! fakesink"),
        format!("urisourcebin uri={NOBODY} ! fakesink"),
        format!("playbin uri={NOBODY} video-sink=fakesink audio-sink=fakesink"),
    ] {
        let said = failing_launch(&gstreamer, &pipeline)?;
        assert!(said.contains("GstRsRtmpSrc"), "{pipeline}: {said}");
        assert!(said.contains(REFUSED), "{pipeline}: {said}");
    }
    Ok(())
}

#[test]
fn the_aliases_are_the_same_elements() -> Result<()> {
    let gstreamer = GStreamer::new()?;
    let said = failing_launch(&gstreamer, &format!("rsrtmpsrc location={NOBODY} ! fakesink"))?;
    assert!(said.contains("GstRsRtmpSrc") && said.contains(REFUSED), "{said}");
    let said = failing_launch(
        &gstreamer,
        &format!("audiotestsrc num-buffers=9 ! voaacenc ! aacparse ! flvmux ! rsrtmpsink location={NOBODY}"),
    )?;
    assert!(said.contains("GstRsRtmpSink") && said.contains(REFUSED), "{said}");
    Ok(())
}

/// Names of all types that are registered by now.
fn types() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut unseen = vec![
        glib::Type::OBJECT,
        glib::Type::INTERFACE,
        glib::Type::ENUM,
        glib::Type::FLAGS,
        glib::Type::BOXED,
        glib::Type::PARAM_SPEC,
        glib::Type::POINTER,
    ];
    while let Some(type_) = unseen.pop() {
        unseen.extend(type_.children().iter().copied());
        found.insert(type_.name().to_owned());
    }
    found
}

/// Everything that registers types of its own has to run in one test: the types of a process cannot be told apart.
#[test]
fn types_have_their_own_names_and_clash_with_no_c_plugin() -> Result<()> {
    let c_plugins = [c_plugin("rtmp2src")?, c_plugin("rtmpsrc")?];
    gst::init()?;
    // Elements on the same base classes, so that what those register is there before.
    for name in ["fdsrc", "filesink", "flvmux", "bin"] {
        gst::ElementFactory::make(name).build().context(name)?;
    }
    // Of GStreamer's base library, and registered by the first who uses it.
    gst_base::FlowCombiner::static_type();
    let before = types();
    gstrtmp::plugin_register_static()?;
    let package = |factory: &gst::ElementFactory| Some(factory.plugin()?.package());
    let factories = gst::ElementFactory::factories_with_type(gst::ElementFactoryType::ANY, gst::Rank::NONE);
    for factory in factories {
        if package(&factory).as_deref() == Some(env!("CARGO_PKG_NAME")) {
            factory.create().build().context(factory.name())?;
        }
    }
    let ours: Vec<_> = types().difference(&before).cloned().collect();
    assert!(ours.contains(&"GstRsRtmpSrc".to_owned()), "{ours:?}");
    assert!(ours.contains(&"GstRsRtmpStopCommands".to_owned()), "{ours:?}");
    let foreign: Vec<_> = ours
        .iter()
        .filter(|name| !name.starts_with("GstRsRtmp"))
        .collect();
    assert!(
        foreign.is_empty(),
        "names that could be another plugin's: {foreign:?}"
    );

    // A type that exists already keeps a plugin from loading.
    for path in &c_plugins {
        gst::Plugin::load_file(path).context(path.display())?;
    }
    // The C plugin has taken the names, being the last to register them; the aliases are still ours.
    for (name, type_) in [
        ("rtmpsrc", "GstRTMPSrc"),
        ("rtmpsink", "GstRTMPSink"),
        ("rtmp2src", "GstRtmp2Src"),
        ("rtmp2sink", "GstRtmp2Sink"),
        ("rsrtmpsrc", "GstRsRtmpSrc"),
        ("rsrtmpsink", "GstRsRtmpSink"),
    ] {
        let element = gst::ElementFactory::make(name).build().context(name)?;
        assert_eq!(element.type_().name(), type_, "{name}");
    }
    assert_has_properties("rsrtmpsrc", "rtmp2src")?;
    assert_has_properties("rsrtmpsink", "rtmp2sink")
}

/// Nicks of an enumeration's or flags' values, with the values.
fn nicks(type_: glib::Type) -> BTreeSet<(String, i64)> {
    let mut nicks = BTreeSet::new();
    if let Some(class) = glib::EnumClass::with_type(type_) {
        let values = class.values().iter();
        nicks.extend(values.map(|value| (value.nick().to_owned(), value.value().into())));
    }
    if let Some(class) = glib::FlagsClass::with_type(type_) {
        let values = class.values().iter();
        nicks.extend(values.map(|value| (value.nick().to_owned(), value.value().into())));
    }
    nicks
}

/// Every property of the C element is there with its type, range and nicks.
fn assert_has_properties(ours: &str, theirs: &str) -> Result<()> {
    let properties = |name| -> Result<Vec<glib::ParamSpec>> {
        let element = gst::ElementFactory::make(name).build().context(name)?;
        Ok(element.list_properties().to_vec())
    };
    let own = properties(ours)?;
    for their in properties(theirs)? {
        let name = their.name();
        let our = own.iter().find(|our| our.name() == name);
        let our = our.ok_or_else(|| Failure::new(format!("{ours} has no {name}")))?;
        let (our_type, their_type) = (our.value_type(), their.value_type());
        // Those of enumerations and flags have names of their own.
        if our_type.name().starts_with("GstRs") {
            let missing: Vec<_> = nicks(their_type).difference(&nicks(our_type)).cloned().collect();
            assert!(missing.is_empty(), "{ours}: {name} lacks {missing:?}");
        } else {
            assert_eq!(our_type, their_type, "{ours}: {name}");
        }
        let range = |spec: &glib::ParamSpec| {
            let unsigned = spec.downcast_ref::<glib::ParamSpecUInt>();
            let signed = spec.downcast_ref::<glib::ParamSpecInt>();
            (
                unsigned.map(|spec| (spec.minimum(), spec.maximum())),
                signed.map(|spec| (spec.minimum(), spec.maximum())),
            )
        };
        assert_eq!(range(our), range(&their), "{ours}: {name}");
    }
    Ok(())
}
