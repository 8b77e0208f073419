//! `rtmpsinkbin` and `rtmpsrcbin`, against each other with the embedded server in between.

#[path = "../../examples/relay/mod.rs"]
mod relay;
#[path = "../support/mod.rs"]
mod support;

mod inspect;
mod pads;
mod properties;
mod states;
mod streams;

use relay::{Options, Relay};
use support::wait::LONG;
use support::{Context, Failure, Result};

use gst::prelude::*;

fn start() -> Result<Relay> {
    Relay::start(Options::default()).context("starting the relay")
}

fn wait_for_players(relay: &Relay, n: usize) -> Result<()> {
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == n)?;
    Ok(())
}

/// The element itself, so that nothing else of its name is tested.
fn make(name: &str) -> Result<gst::Bin> {
    support::pipeline::register()?;
    let element = gst::ElementFactory::make(name).build().context(name)?;
    let type_ = element.type_().name();
    let bin = element.downcast::<gst::Bin>();
    bin.ok()
        .filter(|_| type_.starts_with("GstRsRtmp"))
        .ok_or_else(|| Failure::new(format!("{name} is a {type_}")))
}

/// The element inside a bin.
fn inner(bin: &gst::Bin, name: &str) -> Result<gst::Element> {
    bin.by_name(name)
        .ok_or_else(|| Failure::new(format!("{} has no element {name}", bin.name())))
}

/// Factories of the parsers in a bin, in the order of the alphabet.
fn parsers(bin: &gst::Bin) -> Vec<String> {
    let elements = bin.iterate_elements().into_iter().flatten();
    let mut names: Vec<String> = elements
        .filter_map(|element| Some(element.factory()?.name().into()))
        .filter(|name: &String| name.ends_with("parse"))
        .collect();
    names.sort();
    names
}
