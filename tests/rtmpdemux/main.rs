//! `rtmpdemux`: what it makes of files and streams, when its pads appear, how time goes on, what faults do, and who plugs
//! it.

#[path = "../../examples/relay/mod.rs"]
mod relay;
#[path = "../support/mod.rs"]
mod support;

mod autoplug;
mod enhanced;
mod faults;
mod files;
mod fixture;
mod flvdemux;
mod pads;
mod queries;
mod script;
mod time;
