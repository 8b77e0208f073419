//! All that is measured.

use std::collections::BTreeMap;

use crate::contender::Contender;
use crate::runner::{Effort, Latency, Runner, Throughput, median};
use crate::terms::Terms;

/// Chunk sizes that servers send with.
pub(crate) const CHUNK_SIZES: &[u64] = &[128, 4096, 65536];

/// Variants of the protocol beside plain RTMP, and who is compared: plain calls are those of rustls where it is TLS.
pub(crate) const SCHEMES: &[(&str, &[Contender])] = &[
    (
        "rtmps",
        &[
            Contender::Ours,
            Contender::Rtmp2,
            Contender::Rtmp2Large,
            Contender::Librtmp,
            Contender::Plain,
        ],
    ),
    ("rtmpe", &[Contender::Ours, Contender::Librtmp]),
    ("rtmpt", &[Contender::Ours, Contender::Librtmp]),
];

/// Who publishes lists of buffers.
pub(crate) const LISTS: &[Contender] = &[Contender::Ours, Contender::Rtmp2Large, Contender::Librtmp];

/// Who tells how long a message takes to the pad: librtmp's source pushes when it likes.
pub(crate) const PACED_SOURCES: &[Contender] = &[Contender::Ours, Contender::Rtmp2, Contender::Plain];

/// Sinks and sources with nothing but their defaults.
pub(crate) const ELEMENTS: &[Contender] = &[Contender::Ours, Contender::Rtmp2, Contender::Librtmp];

/// Who is there many times in one process.
pub(crate) const CROWDED: &[Contender] = &[
    Contender::Ours,
    Contender::Rtmp2,
    Contender::Librtmp,
    Contender::Plain,
];

/// Round trips of the paths, in milliseconds.
pub(crate) const ROUND_TRIPS: &[u64] = &[0, 100];

/// Elements in one process where many are compared, and of which memory is measured.
pub(crate) const CROWD: u64 = 300;
pub(crate) const AT_REST: u64 = 100;

/// Repetitions with [`CROWD`] elements, which take seconds each.
const CROWD_ROUNDS: usize = 3;

/// By contender.
pub(crate) type By<T> = BTreeMap<Contender, T>;

/// Points over something that grows.
pub(crate) type Curves<T> = By<Vec<(f64, T)>>;

/// Figures of many elements in one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// Of one core, 1 is all of it.
    pub(crate) cpu: f64,
    /// Besides those that feed.
    pub(crate) threads: f64,
    /// How late messages were whole at their peers, in milliseconds.
    pub(crate) worst: f64,
    pub(crate) p99: f64,
    pub(crate) median: f64,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) frames: By<Throughput>,
    pub(crate) small: By<Throughput>,
    pub(crate) small_lists: By<Throughput>,
    /// By the server's chunk size.
    pub(crate) played: BTreeMap<u64, By<Throughput>>,
    /// By scheme, with elements of this plugin and librtmp's.
    pub(crate) published_by_scheme: BTreeMap<&'static str, By<Throughput>>,
    pub(crate) played_by_scheme: BTreeMap<&'static str, By<Throughput>>,
    pub(crate) push_to_peer: By<Latency>,
    pub(crate) peer_to_pad: By<Latency>,
    /// Milliseconds by round trip.
    pub(crate) first_published: BTreeMap<u64, By<f64>>,
    pub(crate) first_played: BTreeMap<u64, By<f64>>,
    pub(crate) crowd: By<Crowd>,
    /// kB that each element at rest has for itself.
    pub(crate) memory: By<f64>,
    /// By size of the messages.
    pub(crate) by_message: Curves<Throughput>,
    /// By size of the chunks.
    pub(crate) by_chunk_sent: Curves<Throughput>,
    pub(crate) by_chunk_read: Curves<Throughput>,
    /// Percents of a core by number of elements.
    pub(crate) by_elements: Curves<f64>,
}

impl Results {
    /// Measures everything; a quick run leaves points out.
    pub(crate) fn measure(runner: &Runner, is_quick: bool) -> Self {
        use Contender::{Librtmp, Ours, Rtmp2};

        let Effort {
            rounds, curve_rounds, ..
        } = runner.effort;
        let mut results = Self::default();
        let video = Terms::new("publish").with("size", 20_000);
        runner.say(format_args!("publishing 20 kB frames"));
        results.frames = runner.throughput(rounds, Contender::SINKS, &video);
        runner.say(format_args!("publishing messages of 370 bytes"));
        let audio = Terms::new("publish").with("size", 370).with("audio", 1);
        results.small = runner.throughput(rounds, Contender::SINKS, &audio);
        results.small_lists = runner.throughput(rounds, LISTS, &audio.with("list", 1));
        for chunk in CHUNK_SIZES {
            runner.say(format_args!("playing 20 kB frames in chunks of {chunk} bytes"));
            let play = Terms::new("play").with("size", 20_000).with("chunk", chunk);
            let played = runner.throughput(rounds, Contender::SOURCES, &play);
            results.played.insert(*chunk, played);
        }

        for (scheme, contenders) in SCHEMES {
            runner.say(format_args!("20 kB frames by {scheme}"));
            let publish = video.clone().with("scheme", scheme);
            let play = Terms::new("play")
                .with("size", 20_000)
                .with("chunk", 4096)
                .with("scheme", scheme);
            let published = runner.throughput(rounds, contenders, &publish);
            results.published_by_scheme.insert(scheme, published);
            let sources: Vec<Contender> = contenders
                .iter()
                .copied()
                .filter(|contender| Contender::SOURCES.contains(contender))
                .collect();
            let played = runner.throughput(rounds, &sources, &play);
            results.played_by_scheme.insert(scheme, played);
        }

        let paced = |role| {
            Terms::new(role)
                .with("size", 20_000)
                .with("rate", 200)
                .with("count", if is_quick { 200 } else { 400 })
        };
        runner.say(format_args!("latency of publishing, 200 frames a second"));
        results.push_to_peer = runner.latency(Contender::SINKS, &paced("publish-latency"));
        runner.say(format_args!("latency of playing, 200 frames a second"));
        let terms = paced("play-latency").with("chunk", 4096);
        results.peer_to_pad = runner.latency(PACED_SOURCES, &terms);

        for round_trip in ROUND_TRIPS {
            runner.say(format_args!("time to the first media over {round_trip} ms"));
            let first = |role| {
                let terms = Terms::new(role).with("delay", round_trip * 500_000);
                let runs = runner.rounds(rounds, ELEMENTS, &terms);
                runs.into_iter()
                    .map(|(contender, runs)| (contender, median(runs.iter().map(|run| run[0] as f64 / 1e6))))
                    .collect()
            };
            results
                .first_published
                .insert(*round_trip, first("startup-publish"));
            results.first_played.insert(*round_trip, first("startup-play"));
        }

        runner.say(format_args!(
            "{CROWD} live sinks in one process, one peer stalled and one slow"
        ));
        let milliseconds = if is_quick { 2000 } else { 6000 };
        results.crowd = crowd(runner, CROWD_ROUNDS, CROWD, milliseconds, true);
        runner.say(format_args!("memory of {AT_REST} sinks at rest"));
        let rest = Terms::new("rest").with("count", AT_REST);
        results.memory = runner
            // It does not depend on what else goes on.
            .rounds(1, ELEMENTS, &rest)
            .into_iter()
            .map(|(contender, runs)| (contender, median(runs.iter().map(|run| run[0] as f64 / 1e3))))
            .collect();
        let counts: &[u64] = if is_quick {
            &[1, 30, 300]
        } else {
            &[1, 10, 30, 100, 300]
        };
        for count in counts {
            runner.say(format_args!("CPU of {count} live sinks"));
            for (contender, figures) in crowd(runner, curve_rounds, *count, 2000, false) {
                let points = results.by_elements.entry(contender).or_default();
                points.push((*count as f64, figures.cpu * 100.0));
            }
        }

        let sizes: &[u64] = if is_quick {
            &[100, 10_000, 1_000_000]
        } else {
            &[100, 1000, 10_000, 100_000, 1_000_000, 10_000_000]
        };
        for size in sizes {
            runner.say(format_args!("publishing messages of {size} bytes"));
            let rates = runner.throughput(
                curve_rounds,
                Contender::SINKS,
                &Terms::new("publish").with("size", size),
            );
            add(&mut results.by_message, *size, &rates);
        }
        let chunks: &[u64] = if is_quick {
            &[128, 4096, 65536]
        } else {
            &[128, 512, 2048, 8192, 32768, 65536]
        };
        for chunk in chunks {
            runner.say(format_args!("20 kB frames in chunks of {chunk} bytes both ways"));
            let rates = runner.throughput(
                curve_rounds,
                &[Ours, Rtmp2],
                &video.clone().with("out-chunk", chunk),
            );
            add(&mut results.by_chunk_sent, *chunk, &rates);
            let play = Terms::new("play").with("size", 20_000).with("chunk", chunk);
            add(
                &mut results.by_chunk_read,
                *chunk,
                &runner.throughput(curve_rounds, &[Ours, Rtmp2, Librtmp], &play),
            );
        }
        results
    }
}

fn add(points: &mut Curves<Throughput>, x: u64, rates: &By<Throughput>) {
    for (contender, throughput) in rates {
        points
            .entry(*contender)
            .or_default()
            .push((x as f64, *throughput));
    }
}

fn crowd(runner: &Runner, rounds: usize, count: u64, milliseconds: u64, stalls: bool) -> By<Crowd> {
    let terms = Terms::new("crowd")
        .with("count", count)
        .with("milliseconds", milliseconds)
        .with("stall", u8::from(stalls));
    let runs = runner.rounds(rounds, CROWDED, &terms);
    let all = runs.into_iter();
    all.map(|(contender, runs)| {
        let each = |figure: &dyn Fn(&[u64]) -> f64| median(runs.iter().map(|run| figure(run)));
        let crowd = Crowd {
            cpu: each(&|run| run[0] as f64 / run[1] as f64),
            threads: each(&|run| run[2] as f64),
            worst: each(&|run| run[3] as f64 / 1e6),
            p99: each(&|run| run[4] as f64 / 1e6),
            median: each(&|run| run[5] as f64 / 1e6),
        };
        (contender, crowd)
    })
    .collect()
}
