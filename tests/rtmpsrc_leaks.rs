//! Playing again and again leaves no threads and no descriptors. Alone in its process, since it counts them.
#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
mod support;

use std::fs;

use gst::prelude::*;
use gstrtmp::message::{UserControl, type_id};

use support::script::Server;
use support::wait::{self, LONG};
use support::{Failure, Result};

const KEY_FRAME: &[u8] = b"\x17\x01\x00\x00\x28\x00\x00\x00\x01\x65";

/// The threads of this process, those aside that scripts run on.
fn threads() -> Result<usize> {
    let mut count = 0;
    for task in fs::read_dir("/proc/self/task")? {
        // It may have ended meanwhile.
        let name = fs::read_to_string(task?.path().join("comm")).unwrap_or_default();
        count += usize::from(!name.is_empty() && name.trim() != "script");
    }
    Ok(count)
}

fn descriptors() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

/// How a server treats a client.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Plays,
    StaysSilent,
    ClosesAtOnce,
    ClosesInMidStream,
}

fn cycle(pipeline: &gst::Pipeline, source: &gst::Element, manner: Manner) -> Result<()> {
    let server = Server::start(move |stage| {
        let mut client = stage.accept()?;
        match manner {
            Manner::ClosesAtOnce => return Ok(()),
            Manner::StaysSilent => return client.read_raw(1 << 20).map(drop).or(Ok(())),
            Manner::Plays | Manner::ClosesInMidStream => {}
        }
        client.accept_play(1)?;
        client.send_media(1, type_id::VIDEO, 0, KEY_FRAME)?;
        if let Manner::Plays = manner {
            client.send_user_control(&UserControl::StreamEof(1))?;
            client.read_to_end()?;
        }
        Ok(())
    })?;
    source.set_property("location", server.url("live", "key"));
    pipeline.set_state(gst::State::Playing)?;
    if let Manner::StaysSilent = manner {
        server.wait_for("the client", |connections| connections.first().map(drop))?;
    } else {
        let bus = pipeline.bus().ok_or(Failure::new("no bus"))?;
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(LONG.as_secs()), &ends)
            .ok_or_else(|| Failure::new(format!("no end: {manner:?}")))?;
    }
    pipeline.set_state(gst::State::Null)?;
    server.join()?;
    Ok(())
}

#[test]
fn playing_again_and_again_leaves_nothing_behind() -> Result<()> {
    gst::init()?;
    gstrtmp::plugin_register_static()?;
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("rtmpsrc").build()?;
    let sink = gst::ElementFactory::make("fakesink")
        .property("sync", false)
        .build()?;
    pipeline.add_many([&source, &sink])?;
    source.link(&sink)?;
    let all = [
        Manner::Plays,
        Manner::StaysSilent,
        Manner::ClosesAtOnce,
        Manner::ClosesInMidStream,
    ];
    // What is made once and kept is there after the first time.
    for manner in all {
        cycle(&pipeline, &source, manner)?;
    }
    let (before, threads_before) = (descriptors()?, threads()?);
    for _ in 0..10 {
        for manner in all {
            cycle(&pipeline, &source, manner)?;
        }
    }
    assert_eq!(descriptors()?, before, "descriptors");
    // A thread that has ended is in the list for another moment.
    wait::until("our threads to be gone", LONG, || match threads() {
        Ok(threads) if threads > threads_before => None,
        Ok(_) => Some(Ok(())),
        Err(error) => Some(Err(error)),
    })??;

    drop(source);
    drop(pipeline);
    drop(sink);
    assert!(descriptors()? < before, "the element's own go with it");
    Ok(())
}
