//! `docs/performance.md` and its charts. What is outside the markers is written by hand and stays.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use gst::glib;

use crate::chart::{self, Axes, Series, three_digits};
use crate::contender::Contender;
use crate::runner::Throughput;
use crate::suite::{By, CROWD, Results};

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
        let verdict = match goal.is_reached {
            Some(true) => "reached",
            Some(false) => "**missed**",
            None => "not measured",
        };
        _ = writeln!(
            text,
            "| {} | {} | {} | {verdict} |",
            goal.what, goal.limit, goal.measured
        );
    }
    text.push_str("\n### Publish\n\n");
    text.push_str(
        "| | 20 kB frames, MB/s | to rtmpsink | CPU s per GB | 370 B messages/s | in lists of 64 |\n",
    );
    text.push_str("|---|---|---|---|---|---|\n");
    let ours = rate(&results.frames, Contender::Ours);
    for (contender, frames) in &results.frames {
        let messages =
            |by: &By<Throughput>| by.get(contender).map_or("-".into(), |t| chart::short(t.messages));
        _ = writeln!(
            text,
            "| {} | {:.0} | {} | {} | {} | {} |",
            contender.sink_name(),
            frames.rate,
            ratio(frames.rate, ours),
            three_digits(frames.cpu),
            messages(&results.small),
            messages(&results.small_lists),
        );
    }
    text.push_str("\n![MB/s of each sink](images/publish.svg)\n\n### Play\n\n20 kB frames.\n\n");
    text.push_str("| | server's chunk size | MB/s | to rtmpsrc | CPU s per GB |\n|---|---|---|---|---|\n");
    for (chunk, played) in &results.played {
        let ours = rate(played, Contender::Ours);
        for (contender, t) in played {
            let name = contender.source_name();
            _ = writeln!(
                text,
                "| {name} | {chunk} | {:.0} | {} | {} |",
                t.rate,
                ratio(t.rate, ours),
                three_digits(t.cpu)
            );
        }
    }
    text.push_str("\n### Variants\n\n20 kB frames. The peer has to decipher or encipher as well, which bounds MB/s.\n\n");
    text.push_str(
        "| | | publish, MB/s | CPU s per GB | play, MB/s | CPU s per GB |\n|---|---|---|---|---|---|\n",
    );
    let plain = results.played.get(&4096);
    let variants = results
        .published_by_scheme
        .iter()
        .map(|(scheme, published)| (*scheme, published, results.played_by_scheme.get(scheme)));
    for (scheme, published, played) in std::iter::once(("rtmp", &results.frames, plain)).chain(variants) {
        for contender in [Contender::Ours, Contender::Librtmp] {
            let figures = |t: Option<&Throughput>| {
                t.map_or("- | -".to_owned(), |t| {
                    format!("{:.0} | {}", t.rate, three_digits(t.cpu))
                })
            };
            let (published, played) = (
                published.get(&contender),
                played.and_then(|by| by.get(&contender)),
            );
            let name = contender.plugin_name();
            _ = writeln!(
                text,
                "| {scheme} | {name} | {} | {} |",
                figures(published),
                figures(played)
            );
        }
    }
    text.push_str("\n### Latency\n\n20 kB frames, 200 a second, microseconds.\n\n");
    text.push_str(
        "| | push to whole message at the peer | 99 % within | | peer's write to pad | 99 % within |\n",
    );
    text.push_str("|---|---|---|---|---|---|\n");
    for (contender, push) in &results.push_to_peer {
        let pad = results.peer_to_pad.get(contender);
        _ = writeln!(
            text,
            "| {} | {:.1} | {:.1} | {} | {} | {} |",
            contender.sink_name(),
            push.median,
            push.p99,
            pad.map_or("", |_| contender.source_name()),
            pad.map_or("-".into(), |pad| format!("{:.1}", pad.median)),
            pad.map_or("-".into(), |pad| format!("{:.1}", pad.p99)),
        );
    }
    text.push_str("\n### Time to the first media\n\nMilliseconds from the server's accept on.\n\n");
    text.push_str("| round trip | | publish: at the server | play: at the pad |\n|---|---|---|---|\n");
    for (round_trip, published) in &results.first_published {
        for (contender, time) in published {
            let played = results
                .first_played
                .get(round_trip)
                .and_then(|by| by.get(contender));
            _ = writeln!(
                text,
                "| {round_trip} ms | {} | {} | {} |",
                contender.plugin_name(),
                three_digits(*time),
                played.map_or("-".into(), |time| three_digits(*time)),
            );
        }
    }
    _ = write!(
        text,
        "\n### Many sinks\n\n{CROWD} live sinks in one process, each fed 30 messages of 5 kB a second by a thread of its \
         own. One peer has stopped reading and another reads 40 kB/s. How late a message is counts from when it was due \
         until it is whole at its peer, and so has in it how late the feeding thread was woken up; plain write() shows \
         how much that is.\n\n"
    );
    text.push_str("| | CPU of one core | threads beside the feeding ones | memory each | median late | 99 % within | worst |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for (contender, crowd) in &results.crowd {
        _ = writeln!(
            text,
            "| {} | {:.1} % | {:.0} | {} kB | {} ms | {} ms | {} ms |",
            contender.sink_name(),
            crowd.cpu * 100.0,
            crowd.threads,
            three_digits(crowd.memory),
            three_digits(crowd.median),
            three_digits(crowd.p99),
            three_digits(crowd.worst),
        );
    }
    text.push_str("\n### How cost grows\n\n");
    for (file, alt) in [
        ("message-size", "MB/s by size of the messages"),
        ("elements", "CPU by number of sinks"),
        ("chunk-size-publish", "MB/s published by chunk size"),
        ("chunk-size-play", "MB/s played by chunk size"),
    ] {
        _ = writeln!(text, "![{alt}](images/{file}.svg)\n");
    }
    text
}

/// One line of the list of what must be reached.
struct Goal {
    what: String,
    limit: String,
    measured: String,
    /// `None` if a figure is missing.
    is_reached: Option<bool>,
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
            is_reached,
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
    for (round_trip, limit) in [(100, 350.0), (0, 2.0)] {
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
            ours.map(|crowd| crowd.memory),
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
    goals
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
    let bars: Vec<(String, f64)> = results
        .frames
        .iter()
        .map(|(c, t)| (c.sink_name().to_owned(), t.rate))
        .collect();
    let axes = Axes {
        title: "Publishing frames of 20 kB",
        x: "MB/s",
        y: "",
    };
    chart::bars(&folder.join("publish.svg"), &axes, &bars)?;
    let lines = |file: &str, title, x, y, by: &By<Vec<(f64, f64)>>, name: fn(Contender) -> &'static str| {
        let series: Vec<Series> = by
            .iter()
            .map(|(c, points)| (name(*c).to_owned(), points.clone()))
            .collect();
        chart::lines(&folder.join(file), &Axes { title, x, y }, &series)
    };
    lines(
        "message-size.svg",
        "Publishing by size of the messages",
        "bytes of a message",
        "MB/s",
        &results.by_message,
        Contender::sink_name,
    )?;
    lines(
        "chunk-size-publish.svg",
        "Publishing frames of 20 kB by size of the chunks",
        "chunk-size of the sink",
        "MB/s",
        &results.by_chunk_sent,
        Contender::plain_sink_name,
    )?;
    lines(
        "chunk-size-play.svg",
        "Playing frames of 20 kB by size of the chunks",
        "chunk size of the server",
        "MB/s",
        &results.by_chunk_read,
        Contender::source_name,
    )?;
    lines(
        "elements.svg",
        "CPU of live sinks, 30 messages of 5 kB a second each",
        "sinks",
        "% of a core",
        &results.by_elements,
        Contender::sink_name,
    )
}
