//! `docs/performance.md` and its charts. What is outside the markers is written by hand and stays.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use gst::glib;

use crate::chart::{self, Axes, Bar, Series, three_digits};
use crate::contender::Contender;
use crate::runner::Throughput;
use crate::suite::{
    AT_REST, By, CROWD, CROWDED, Crowd, Curves, ELEMENTS, LISTS, PACED_SOURCES, Results, SCHEMES,
};

const BEGIN: &str = "<!-- Made by scripts/bench from here on. -->\n";
const END: &str = "<!-- Made by scripts/bench up to here. -->\n";

/// Writes the report and its charts into the repository at `root`.
pub(crate) fn write(root: &Path, results: &Results, how: &str) -> Result<(), Box<dyn Error>> {
    charts(&root.join("docs/images"), results)?;
    let path = root.join("docs/performance.md");
    let old = fs::read_to_string(&path)?;
    let (before, rest) = old
        .split_once(BEGIN)
        .ok_or("docs/performance.md has lost its first marker")?;
    let (_, after) = rest
        .split_once(END)
        .ok_or("docs/performance.md has lost its second marker")?;
    fs::write(
        &path,
        format!("{before}{BEGIN}\n{}\n{END}{after}", text(results, how)),
    )?;
    Ok(())
}

/// The generated part.
pub(crate) fn text(results: &Results, how: &str) -> String {
    let mut text = format!("{}\n\n", machine(how));
    text.push_str("### What must be reached\n\n");
    text.push_str("| what | limit | measured | |\n|---|---|---|---|\n");
    for goal in goals(results) {
        _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            goal.what, goal.limit, goal.measured, goal.verdict
        );
    }
    text.push_str("\n### Publish\n\n");
    text.push_str(
        "| | 20 kB frames, MB/s | to rtmpsink | CPU s per GB | 370 B messages/s | in lists of 64 |\n",
    );
    text.push_str("|---|---|---|---|---|---|\n");
    let ours = rate(&results.frames, Contender::Ours);
    for contender in Contender::SINKS {
        let frames = results.frames.get(contender);
        let messages = |by: &By<Throughput>| cell(by.get(contender), |t| chart::short(t.messages));
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            contender.sink_name(),
            cell(frames, |t| format!("{:.0}", t.rate)),
            cell(frames, |t| ratio(t.rate, ours)),
            cell(frames, |t| three_digits(t.cpu)),
            messages(&results.small),
            if LISTS.contains(contender) {
                messages(&results.small_lists)
            } else {
                "-".to_owned()
            },
        );
    }
    text.push_str("\n![MB/s of each sink](images/publish.svg)\n\n### Play\n\n20 kB frames.\n\n");
    text.push_str("| | server's chunk size | MB/s | to rtmpsrc | CPU s per GB |\n|---|---|---|---|---|\n");
    for (chunk, played) in &results.played {
        let ours = rate(played, Contender::Ours);
        for contender in Contender::SOURCES {
            let t = played.get(contender);
            _ = writeln!(
                text,
                "| {} | {chunk} | {} | {} | {} |",
                contender.source_name(),
                cell(t, |t| format!("{:.0}", t.rate)),
                cell(t, |t| ratio(t.rate, ours)),
                cell(t, |t| three_digits(t.cpu)),
            );
        }
    }
    variants(&mut text, results);
    text.push_str("\n### Latency\n\n20 kB frames, 200 a second, microseconds.\n\n");
    text.push_str(
        "| | push to whole message at the peer | 99 % within | | peer's write to pad | 99 % within |\n",
    );
    text.push_str("|---|---|---|---|---|---|\n");
    for contender in Contender::SINKS {
        let push = results.push_to_peer.get(contender);
        let (name, median, p99) = if PACED_SOURCES.contains(contender) {
            let pad = results.peer_to_pad.get(contender);
            (
                contender.source_name(),
                cell(pad, |l| format!("{:.1}", l.median)),
                cell(pad, |l| format!("{:.1}", l.p99)),
            )
        } else {
            ("", "-".to_owned(), "-".to_owned())
        };
        _ = writeln!(
            text,
            "| {} | {} | {} | {name} | {median} | {p99} |",
            contender.sink_name(),
            cell(push, |l| format!("{:.1}", l.median)),
            cell(push, |l| format!("{:.1}", l.p99)),
        );
    }
    text.push_str("\n### Time to the first media\n\nMilliseconds from the server's accept on.\n\n");
    text.push_str("| round trip | | publish: at the server | play: at the pad |\n|---|---|---|---|\n");
    for (round_trip, published) in &results.first_published {
        let played = results.first_played.get(round_trip);
        for contender in ELEMENTS {
            _ = writeln!(
                text,
                "| {round_trip} ms | {} | {} | {} |",
                contender.plugin_name(),
                cell(published.get(contender), |time| three_digits(*time)),
                cell(played.and_then(|by| by.get(contender)), |time| three_digits(
                    *time
                )),
            );
        }
    }
    many(&mut text, results);
    text.push_str("\n### How cost grows\n\n");
    for (file, alt) in [
        ("message-size", "MB/s by size of the messages"),
        ("message-cpu", "CPU for a message by its size"),
        ("elements", "CPU by number of sinks"),
        ("chunk-size-publish", "MB/s published by chunk size"),
        ("chunk-size-play", "MB/s played by chunk size"),
    ] {
        _ = writeln!(text, "![{alt}](images/{file}.svg)\n");
    }
    text
}

/// A figure in a table, if its measurement has not failed.
fn cell<T>(value: Option<&T>, figure: impl FnOnce(&T) -> String) -> String {
    value.map_or_else(|| "failed".to_owned(), figure)
}

fn variants(text: &mut String, results: &Results) {
    text.push_str(
        "\n### Variants\n\n20 kB frames, played in chunks of 4096 bytes. The peer has to decipher or encipher as well, which \
         bounds MB/s. \"rustls alone\" writes and reads the same sizes through rustls with the same cipher, on a blocking \
         socket.\n\n",
    );
    text.push_str(
        "| | | publish, MB/s | CPU s per GB | play, MB/s | CPU s per GB |\n|---|---|---|---|---|---|\n",
    );
    let plain: &[Contender] = &[
        Contender::Ours,
        Contender::Rtmp2,
        Contender::Rtmp2Large,
        Contender::Librtmp,
        Contender::Plain,
    ];
    let figures = |is_asked: bool, t: Option<&Throughput>| {
        if !is_asked {
            return "- | -".to_owned();
        }
        t.map_or("failed | failed".to_owned(), |t| {
            format!("{:.0} | {}", t.rate, three_digits(t.cpu))
        })
    };
    for (scheme, contenders) in std::iter::once(&("rtmp", plain)).chain(SCHEMES) {
        let (published, played) = if *scheme == "rtmp" {
            (Some(&results.frames), results.played.get(&4096))
        } else {
            (
                results.published_by_scheme.get(scheme),
                results.played_by_scheme.get(scheme),
            )
        };
        for contender in *contenders {
            _ = writeln!(
                text,
                "| {scheme} | {} | {} | {} |",
                contender.scheme_name(scheme),
                figures(true, published.and_then(|by| by.get(contender))),
                figures(
                    Contender::SOURCES.contains(contender),
                    played.and_then(|by| by.get(contender))
                ),
            );
        }
    }
}

fn many(text: &mut String, results: &Results) {
    _ = write!(
        text,
        "\n### Many sinks\n\n{CROWD} live sinks in one process, each fed 30 messages of 5 kB a second. One peer has stopped \
         reading and another reads 40 kB/s; their sinks are fed by a thread each, and all others by two threads together. \
         How late a message is counts from when it was due until it is whole at its peer, for the {} peers that keep up, \
         and so has in it how late the feeding thread was woken up and the peer's own reading; plain write() shows how much \
         that is. Memory is what {AT_REST} more sinks that have sent two messages add to what the process has for itself, \
         heaps and stacks, in use or not.\n\n",
        CROWD - 2
    );
    text.push_str("| | CPU of one core | threads beside the feeding ones | memory each | median late | 99 % within | worst |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for contender in CROWDED {
        let crowd = results.crowd.get(contender);
        let late =
            |figure: fn(&Crowd) -> f64| cell(crowd, |crowd| format!("{} ms", three_digits(figure(crowd))));
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            contender.sink_name(),
            cell(crowd, |crowd| format!("{:.1} %", crowd.cpu * 100.0)),
            cell(crowd, |crowd| format!("{:.0}", crowd.threads)),
            if ELEMENTS.contains(contender) {
                cell(results.memory.get(contender), |each| {
                    format!("{} kB", three_digits(*each))
                })
            } else {
                "-".to_owned()
            },
            late(|crowd| crowd.median),
            late(|crowd| crowd.p99),
            late(|crowd| crowd.worst),
        );
    }
}

/// One line of the list of what must be reached.
struct Goal {
    what: String,
    limit: String,
    measured: String,
    verdict: &'static str,
}

impl Goal {
    fn at_least(what: &str, limit: f64, unit: &str, value: Option<f64>) -> Self {
        Self::new(
            what,
            "at least",
            limit,
            unit,
            value,
            value.map(|value| value >= limit),
        )
    }

    fn at_most(what: &str, limit: f64, unit: &str, value: Option<f64>) -> Self {
        Self::new(
            what,
            "at most",
            limit,
            unit,
            value,
            value.map(|value| value <= limit),
        )
    }

    /// What tests hold, since it is counted and not timed.
    fn tested(what: &str, limit: &str, by: &str) -> Self {
        Self {
            what: what.to_owned(),
            limit: limit.to_owned(),
            measured: by.to_owned(),
            verdict: "tested",
        }
    }

    fn new(
        what: &str,
        word: &str,
        limit: f64,
        unit: &str,
        value: Option<f64>,
        is_reached: Option<bool>,
    ) -> Self {
        let figure = |value: f64| {
            let number = if value >= 1e5 {
                chart::short(value)
            } else {
                three_digits(value)
            };
            format!("{number}{unit}")
        };
        Self {
            what: what.to_owned(),
            limit: format!("{word} {}", figure(limit)),
            measured: value.map_or("-".into(), figure),
            verdict: match is_reached {
                Some(true) => "reached",
                Some(false) => "**missed**",
                None => "not measured",
            },
        }
    }
}

fn goals(results: &Results) -> Vec<Goal> {
    use Contender::{Librtmp, Ours, Plain, Rtmp2, Rtmp2Large};

    fn to<T: Copy>(by: &By<T>, other: Contender, figure: impl Fn(T) -> f64) -> Option<f64> {
        Some(figure(*by.get(&Ours)?) / figure(*by.get(&other)?))
    }
    let frames = &results.frames;
    let mut goals = vec![
        Goal::at_least(
            "20 kB frames to rtmp2sink chunk-size=65536",
            3.0,
            " x",
            to(frames, Rtmp2Large, |t| t.rate),
        ),
        Goal::at_least(
            "20 kB frames to rtmp2sink",
            10.0,
            " x",
            to(frames, Rtmp2, |t| t.rate),
        ),
        Goal::at_least(
            "20 kB frames to plain write()",
            0.5,
            " x",
            to(frames, Plain, |t| t.rate),
        ),
        Goal::at_most(
            "CPU per GB to rtmp2sink chunk-size=65536",
            0.25,
            " x",
            to(frames, Rtmp2Large, |t| t.cpu),
        ),
        Goal::at_least(
            "370 B messages to librtmp's rtmpsink",
            3.0,
            " x",
            to(&results.small, Librtmp, |t| t.messages),
        ),
        Goal::at_least(
            "370 B messages in lists",
            2e6,
            "/s",
            results.small_lists.get(&Ours).map(|t| t.messages),
        ),
    ];
    for (chunk, played) in &results.played {
        let what = format!("play in chunks of {chunk} B, MB/s to rtmp2src");
        goals.push(Goal::at_least(&what, 3.0, " x", to(played, Rtmp2, |t| t.rate)));
        let what = format!("play in chunks of {chunk} B, CPU per GB to rtmp2src");
        goals.push(Goal::at_most(
            &what,
            1.0 / 3.0,
            " x",
            to(played, Rtmp2, |t| t.cpu),
        ));
    }
    let (push, pad) = (&results.push_to_peer, &results.peer_to_pad);
    goals.extend([
        Goal::at_most(
            "push to peer to plain write(), median",
            1.3,
            " x",
            to(push, Plain, |l| l.median),
        ),
        Goal::at_most(
            "push to peer to rtmp2sink, 99 % within",
            1.0,
            " x",
            to(push, Rtmp2, |l| l.p99),
        ),
        Goal::at_most(
            "peer to pad to plain read(), median",
            1.3,
            " x",
            to(pad, Plain, |l| l.median),
        ),
        Goal::at_most(
            "peer to pad to rtmp2src, 99 % within",
            1.0,
            " x",
            to(pad, Rtmp2, |l| l.p99),
        ),
    ]);
    // Three and a half round trips from the accept to media at the server are 350 ms before anybody has done anything.
    for (round_trip, limit) in [(100, 352.0), (0, 2.0)] {
        for (what, first) in [
            ("published", &results.first_published),
            ("played", &results.first_played),
        ] {
            let time = first.get(&round_trip).and_then(|by| by.get(&Ours)).copied();
            let what = format!("first media {what}, round trip of {round_trip} ms");
            goals.push(Goal::at_most(&what, limit, " ms", time));
        }
    }
    let crowd = &results.crowd;
    let ours = crowd.get(&Ours);
    goals.extend([
        Goal::at_most(
            "threads beside the feeding ones",
            2.0,
            "",
            ours.map(|crowd| crowd.threads),
        ),
        Goal::at_most(
            "memory of each sink at rest",
            32.0,
            " kB",
            results.memory.get(&Ours).copied(),
        ),
        Goal::at_most(
            "CPU of many sinks to rtmp2sink's",
            0.5,
            " x",
            to(crowd, Rtmp2, |crowd| crowd.cpu),
        ),
        Goal::at_most(
            "worst lateness of many sinks",
            5.0,
            " ms",
            ours.map(|crowd| crowd.worst),
        ),
    ]);
    for (what, by) in [
        ("published by rtmps to rustls alone", &results.published_by_scheme),
        ("played by rtmps to rustls alone", &results.played_by_scheme),
    ] {
        let ratio = by.get("rtmps").and_then(|by| to(by, Plain, |t| t.rate));
        goals.push(Goal::at_least(what, 0.5, " x", ratio));
    }
    goals.extend([
        Goal::tested(
            "allocations and system calls for a message",
            "none to publish, one to play; one call",
            "tests/allocations.rs and tests/peers_strace.rs",
        ),
        Goal::tested(
            "copies of the payload between rtmpmux and the socket, and on to rtmpdemux's pads",
            "none",
            "tests/rtmpmux/changes.rs and tests/rtmpdemux/pads.rs",
        ),
    ]);
    // Costs of y = a x^s: an exponent of 1 is a line.
    let messages = results.by_message.get(&Ours);
    let by_size = |cost: fn(&(f64, Throughput)) -> f64| {
        let points = messages?.iter().filter(|(size, _)| *size >= LARGE_MESSAGE);
        exponent(points.map(|point| (point.0, cost(point))))
    };
    let elements = results.by_elements.get(&Ours).and_then(|points| {
        let many = points.iter().filter(|(count, _)| *count >= MANY_ELEMENTS);
        exponent(many.copied())
    });
    goals.extend([
        Goal::at_most(
            "time for a message grows by its size, 10 kB to 10 MB, to the power of",
            MOST_GROWTH,
            "",
            by_size(|(_, t)| 1.0 / t.messages),
        ),
        Goal::at_most(
            "CPU for a message grows by its size, 10 kB to 10 MB, to the power of",
            MOST_GROWTH,
            "",
            by_size(|(size, t)| t.cpu * size),
        ),
        Goal::at_most(
            "CPU grows by the number of sinks, 30 to 300, to the power of",
            MOST_GROWTH,
            "",
            elements,
        ),
    ]);
    goals
}

/// What costs do not grow faster than, as an exponent: linear, and what differs from run to run.
const MOST_GROWTH: f64 = 1.1;

/// Bytes from which on what a message costs is not what any message costs, and so many sinks likewise.
const LARGE_MESSAGE: f64 = 10_000.0;
const MANY_ELEMENTS: f64 = 30.0;

/// The exponent s of the curve y = a x^s that is next to the points: the slope of the line through their logarithms.
fn exponent(points: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let points: Vec<(f64, f64)> = points.map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (points.len() > 1).then_some(covariance / variance)
}

fn rate(by: &By<Throughput>, contender: Contender) -> f64 {
    by.get(&contender).map_or(f64::NAN, |t| t.rate)
}

fn ratio(value: f64, of: f64) -> String {
    format!("{} x", three_digits(value / of))
}

/// Where and when it was measured.
fn machine(how: &str) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split(':').nth(1))
        .map_or("unknown processor", str::trim);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let date = glib::DateTime::now_utc().and_then(|now| now.format("%Y-%m-%d"));
    format!(
        "Measured on {} with {how}, on {cores} cores of {model}, Linux {}, {}, version {} of the plugin. Load average at \
         the end: {}.",
        date.map_or_else(|_| "an unknown day".to_owned(), |date| date.to_string()),
        kernel.trim(),
        gst::version_string(),
        env!("CARGO_PKG_VERSION"),
        load.split_whitespace().next().unwrap_or("unknown"),
    )
}

fn charts(folder: &Path, results: &Results) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let bars: Vec<Bar> = results
        .frames
        .iter()
        .map(|(contender, t)| Bar {
            name: contender.sink_name(),
            colour: contender.colour(),
            value: t.rate,
        })
        .collect();
    let axes = Axes {
        title: "Publishing frames of 20 kB",
        x: "MB/s",
        y: "",
    };
    chart::bars(&folder.join("publish.svg"), &axes, &bars)?;
    let lines = |file: &str, title, x, y, series: &[Series]| {
        chart::lines(&folder.join(file), &Axes { title, x, y }, series)
    };
    lines(
        "message-size.svg",
        "Publishing by size of the messages",
        "bytes of a message",
        "MB/s",
        &series(&results.by_message, Contender::sink_name, |(_, t)| t.rate),
    )?;
    lines(
        "message-cpu.svg",
        "CPU for a published message by its size",
        "bytes of a message",
        "microseconds of CPU",
        // Seconds per GB are nanoseconds per byte.
        &series(&results.by_message, Contender::sink_name, |(size, t)| {
            t.cpu * size / 1e3
        }),
    )?;
    lines(
        "chunk-size-publish.svg",
        "Publishing frames of 20 kB by size of the chunks",
        "chunk-size of the sink",
        "MB/s",
        &series(&results.by_chunk_sent, Contender::plain_sink_name, |(_, t)| {
            t.rate
        }),
    )?;
    lines(
        "chunk-size-play.svg",
        "Playing frames of 20 kB by size of the chunks",
        "chunk size of the server",
        "MB/s",
        &series(&results.by_chunk_read, Contender::source_name, |(_, t)| t.rate),
    )?;
    lines(
        "elements.svg",
        "CPU of live sinks, 30 messages of 5 kB a second each",
        "sinks",
        "% of a core",
        &series(&results.by_elements, Contender::sink_name, |(_, cpu)| *cpu),
    )
}

fn series<T>(
    curves: &Curves<T>,
    name: fn(Contender) -> &'static str,
    value: impl Fn(&(f64, T)) -> f64,
) -> Vec<Series> {
    let all = curves.iter();
    all.map(|(contender, points)| Series {
        name: name(*contender),
        colour: contender.colour(),
        points: points.iter().map(|point| (point.0, value(point))).collect(),
    })
    .collect()
}
