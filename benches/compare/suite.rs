//! All that is measured.

use std::collections::BTreeMap;

use crate::contender::Contender;
use crate::runner::{Latency, Runner, Throughput, median};
use crate::terms::Terms;

/// Chunk sizes that servers send with.
pub(crate) const CHUNK_SIZES: &[u64] = &[128, 4096, 65536];

/// Variants of the protocol beside plain RTMP.
pub(crate) const SCHEMES: &[&str] = &["rtmpe"];

/// Round trips of the paths, in milliseconds.
pub(crate) const ROUND_TRIPS: &[u64] = &[0, 100];

/// Elements in one process where many are compared.
pub(crate) const CROWD: u64 = 300;

/// By contender.
pub(crate) type By<T> = BTreeMap<Contender, T>;

/// Figures of many elements in one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// Of one core, 1 is all of it.
    pub(crate) cpu: f64,
    /// Besides those that feed.
    pub(crate) threads: f64,
    /// kB that each element has for itself.
    pub(crate) memory: f64,
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
    /// MB/s by size of the messages.
    pub(crate) by_message: By<Vec<(f64, f64)>>,
    /// MB/s by size of the chunks.
    pub(crate) by_chunk_sent: By<Vec<(f64, f64)>>,
    pub(crate) by_chunk_read: By<Vec<(f64, f64)>>,
    /// Part of a core by number of elements.
    pub(crate) by_elements: By<Vec<(f64, f64)>>,
}

impl Results {
    /// Measures everything; a quick run leaves points out.
    pub(crate) fn measure(runner: &Runner, is_quick: bool) -> Self {
        use Contender::{Librtmp, Ours, Plain, Rtmp2, Rtmp2Large};
        const ELEMENTS: &[Contender] = &[Ours, Rtmp2, Librtmp];

        let mut results = Self::default();
        let video = Terms::new("publish").with("size", 20_000);
        runner.say(format_args!("publishing 20 kB frames"));
        results.frames = runner.throughput(Contender::SINKS, &video);
        runner.say(format_args!("publishing messages of 370 bytes"));
        let audio = Terms::new("publish").with("size", 370).with("audio", 1);
        results.small = runner.throughput(Contender::SINKS, &audio);
        results.small_lists = runner.throughput(&[Ours, Rtmp2Large, Librtmp], &audio.with("list", 1));
        for chunk in CHUNK_SIZES {
            runner.say(format_args!("playing 20 kB frames in chunks of {chunk} bytes"));
            let play = Terms::new("play").with("size", 20_000).with("chunk", chunk);
            let played = runner.throughput(Contender::SOURCES, &play);
            results.played.insert(*chunk, played);
        }

        for scheme in SCHEMES {
            runner.say(format_args!("20 kB frames by {scheme}"));
            let publish = video.clone().with("scheme", scheme);
            let play = Terms::new("play")
                .with("size", 20_000)
                .with("chunk", 4096)
                .with("scheme", scheme);
            let published = runner.throughput(&[Ours, Librtmp], &publish);
            results.published_by_scheme.insert(scheme, published);
            let played = runner.throughput(&[Ours, Librtmp], &play);
            results.played_by_scheme.insert(scheme, played);
        }

        let paced = |role| {
            Terms::new(role)
                .with("size", 20_000)
                .with("rate", 200)
                .with("count", 400)
        };
        runner.say(format_args!("latency of publishing, 200 frames a second"));
        results.push_to_peer = runner.latency(Contender::SINKS, &paced("publish-latency"));
        runner.say(format_args!("latency of playing, 200 frames a second"));
        let terms = paced("play-latency").with("chunk", 4096);
        results.peer_to_pad = runner.latency(&[Ours, Rtmp2, Plain], &terms);

        for round_trip in ROUND_TRIPS {
            runner.say(format_args!("time to the first media over {round_trip} ms"));
            let first = |role| {
                let terms = Terms::new(role).with("delay", round_trip * 500_000);
                let runs = runner.rounds(ELEMENTS, &terms);
                let all = runs.into_iter().filter(|(_, runs)| !runs.is_empty());
                all.map(|(contender, runs)| (contender, median(runs.iter().map(|run| run[0] as f64 / 1e6))))
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
        let everybody = &[Ours, Rtmp2, Librtmp, Plain];
        results.crowd = crowd(runner, everybody, CROWD, if is_quick { 3000 } else { 6000 }, true);
        let counts: &[u64] = if is_quick {
            &[1, 30, 300]
        } else {
            &[1, 3, 10, 30, 100, 300]
        };
        for count in counts {
            runner.say(format_args!("CPU of {count} live sinks"));
            for (contender, figures) in crowd(runner, everybody, *count, 2000, false) {
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
            let rates = runner.throughput(Contender::SINKS, &Terms::new("publish").with("size", size));
            add(&mut results.by_message, *size, &rates);
        }
        let chunks: &[u64] = if is_quick {
            &[128, 4096, 65536]
        } else {
            &[128, 512, 2048, 8192, 32768, 65536]
        };
        for chunk in chunks {
            runner.say(format_args!("20 kB frames in chunks of {chunk} bytes both ways"));
            let rates = runner.throughput(&[Ours, Rtmp2], &video.clone().with("out-chunk", chunk));
            add(&mut results.by_chunk_sent, *chunk, &rates);
            let play = Terms::new("play").with("size", 20_000).with("chunk", chunk);
            add(
                &mut results.by_chunk_read,
                *chunk,
                &runner.throughput(&[Ours, Rtmp2, Librtmp], &play),
            );
        }
        results
    }
}

fn add(points: &mut By<Vec<(f64, f64)>>, x: u64, rates: &By<Throughput>) {
    for (contender, throughput) in rates {
        points
            .entry(*contender)
            .or_default()
            .push((x as f64, throughput.rate));
    }
}

fn crowd(
    runner: &Runner,
    contenders: &[Contender],
    count: u64,
    milliseconds: u64,
    stalls: bool,
) -> By<Crowd> {
    let terms = Terms::new("crowd")
        .with("count", count)
        .with("milliseconds", milliseconds)
        .with("stall", u8::from(stalls));
    let runs = runner.rounds(contenders, &terms);
    let all = runs.into_iter().filter(|(_, runs)| !runs.is_empty());
    all.map(|(contender, runs)| {
        let each = |figure: &dyn Fn(&[u64]) -> f64| median(runs.iter().map(|run| figure(run)));
        let crowd = Crowd {
            cpu: each(&|run| run[0] as f64 / run[1] as f64),
            threads: each(&|run| run[2] as f64),
            memory: f64::NAN,
            worst: each(&|run| run[4] as f64 / 1e6),
            p99: each(&|run| run[5] as f64 / 1e6),
            median: each(&|run| run[6] as f64 / 1e6),
        };
        (contender, crowd)
    })
    .collect()
}
