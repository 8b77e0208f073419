//! Compares this plugin's elements with GStreamer's and with the kernel's own calls, side by side in one run.
//!
//! `scripts/bench` builds and runs it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "it measures time, between processes of its own making"
)]

mod chart;
mod clock;
mod contender;
mod crowd;
mod path;
mod peer;
mod play;
mod publish;
mod report;
mod runner;
mod startup;
mod suite;
mod tally;
mod terms;
mod wire;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::Arg;

use self::runner::{Effort, Runner};
use self::suite::Results;
use self::terms::Terms;

const HELP: &str = "\
Compares this plugin's elements with GStreamer's, and writes docs/performance.md. scripts/bench builds what it needs.

Usage: compare --plugin LIBRARY [--quick] [--print]

Options:
      --plugin LIBRARY  measure this libgstrtmp.so
      --quick           measure fewer points, for a shorter time
      --print           print the report instead of writing it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_none_or(|first| first.starts_with('-')) {
        return match compare(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("bench: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let Some(terms) = Terms::parse(&arguments) else {
        eprintln!("bench: {HELP}");
        return ExitCode::FAILURE;
    };
    if terms.role.starts_with("peer-") {
        peer::end_with_parent();
    }
    // A peer ends with its connection, and an error of that is its end as well.
    match terms.role.as_str() {
        "peer-read" => _ = peer::read(&terms),
        "peer-read-plain" => _ = peer::read_plain(&terms),
        "peer-write" => _ = peer::write(&terms),
        "peer-crowd" => _ = crowd::serve(&terms),
        "crowd" => crowd::publish(&terms),
        "rest" => crowd::rest(&terms),
        "startup-publish" => startup::publish(&terms),
        "startup-play" => startup::play(&terms),
        "publish" => publish::throughput(&terms),
        "publish-latency" => publish::latency(&terms),
        "play" => play::throughput(&terms),
        "play-latency" => play::latency(&terms),
        role => panic!("no role is called {role}"),
    }
    ExitCode::SUCCESS
}

/// Measures everything and writes the report.
fn compare(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let mut is_quick = false;
    let mut writes = true;
    let mut plugin = None;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => is_quick = true,
            Arg::Long("print") => writes = false,
            Arg::Long("plugin") => plugin = Some(PathBuf::from(parser.value()?)),
            // What `cargo bench` says to each of them.
            Arg::Long("bench") | Arg::Short('h') | Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let plugin = plugin.ok_or("--plugin is missing; see --help")?;
    gst::init()?;
    let effort = if is_quick {
        Effort {
            rounds: 3,
            curve_rounds: 1,
            milliseconds: 250,
        }
    } else {
        Effort {
            rounds: 5,
            curve_rounds: 3,
            milliseconds: 400,
        }
    };
    let runner = Runner::new(&plugin, effort)?;
    let results = Results::measure(&runner, is_quick);
    let how = if is_quick {
        "`scripts/bench --quick`"
    } else {
        "`scripts/bench`"
    };
    if writes {
        report::write(Path::new(env!("CARGO_MANIFEST_DIR")), &results, how)?;
        runner.say(format_args!("written to docs/performance.md"));
    } else {
        println!("{}", report::text(&results, how));
    }
    Ok(())
}
