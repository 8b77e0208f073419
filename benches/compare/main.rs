//! Compares this plugin's elements with GStreamer's and with the kernel's own calls, side by side in one run.
//!
//! `scripts/bench` builds and runs it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "it measures time, between processes of its own making"
)]

mod clock;
mod contender;
mod peer;
mod play;
mod publish;
mod runner;
mod tally;
mod terms;

use std::process::ExitCode;

use self::terms::Terms;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--baseline") {
        baseline(std::path::Path::new(&arguments[1]));
        return ExitCode::SUCCESS;
    }
    let Some(terms) = Terms::parse(&arguments) else {
        eprintln!("compare: use scripts/bench");
        return ExitCode::FAILURE;
    };
    // A peer ends with its connection, and an error of that is its end as well.
    match terms.role.as_str() {
        "peer-read" => _ = peer::read(&terms),
        "peer-read-plain" => _ = peer::read_plain(&terms),
        "peer-write" => _ = peer::write(&terms),
        "publish" => publish::throughput(&terms),
        "publish-latency" => publish::latency(&terms),
        "play" => play::throughput(&terms),
        "play-latency" => play::latency(&terms),
        role => panic!("no role is called {role}"),
    }
    ExitCode::SUCCESS
}

fn baseline(plugin: &std::path::Path) {
    use contender::Contender;
    let runner = runner::Runner::new(plugin, 5, 500).expect("a copy of the plugin");
    let video = Terms::new("publish").with("size", 20_000);
    for (c, t) in runner.throughput(Contender::SINKS, &video) {
        println!("publish 20 kB      {:28} {:7.0} MB/s {:6.3} CPU s/GB", c.sink_name(), t.rate, t.cpu);
    }
    for list in [0, 1] {
        let audio = Terms::new("publish").with("size", 370).with("audio", 1).with("list", list);
        for (c, t) in runner.throughput(Contender::SINKS, &audio) {
            println!("publish 370 B list={list} {:28} {:9.0} messages/s", c.sink_name(), t.messages);
        }
    }
    for chunk in [128, 4096, 65536] {
        let play = Terms::new("play").with("size", 20_000).with("chunk", chunk);
        for (c, t) in runner.throughput(Contender::SOURCES, &play) {
            println!("play 20 kB, chunks {chunk:5} {:18} {:7.0} MB/s {:6.3} CPU s/GB", c.source_name(), t.rate, t.cpu);
        }
    }
    let terms = Terms::new("publish-latency").with("size", 20_000).with("rate", 200).with("count", 200);
    for (c, t) in runner.latency(Contender::SINKS, &terms) {
        println!("push to peer       {:28} {:7.1} us, p99 {:7.1} us", c.sink_name(), t.median, t.p99);
    }
    let terms = Terms::new("play-latency").with("size", 20_000).with("chunk", 4096).with("rate", 200).with("count", 200);
    for (c, t) in runner.latency(Contender::SOURCES, &terms) {
        println!("peer to pad        {:28} {:7.1} us, p99 {:7.1} us", c.source_name(), t.median, t.p99);
    }
}
