//! Runs each measurement in a process of its own, the contenders by turns.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::clock;
use crate::contender::Contender;
use crate::terms::Terms;

/// Where processes find the elements that they measure.
pub(crate) struct Runner {
    program: PathBuf,
    /// Holds nothing but our plugin, since GStreamer looks into every folder below.
    plugins: PathBuf,
    folder: PathBuf,
    /// Repetitions of each measurement.
    pub(crate) rounds: usize,
    /// How long one lasts that lasts as long as it is told to.
    pub(crate) milliseconds: u64,
    started: Instant,
}

/// What a run of as much as possible has given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    /// Payload a second, in MB.
    pub(crate) rate: f64,
    /// CPU seconds per GB of payload.
    pub(crate) cpu: f64,
    /// Messages a second.
    pub(crate) messages: f64,
}

/// How long messages took, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Runner {
    /// Measures the elements of the library at `plugin`.
    pub(crate) fn new(plugin: &Path, rounds: usize, milliseconds: u64) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let folder = program
            .parent()
            .expect("a file lies in a folder")
            .join("compare-files");
        let plugins = folder.join("plugins");
        fs::create_dir_all(&plugins)?;
        fs::copy(plugin, plugins.join("libgstrtmp.so"))?;
        Ok(Self {
            program,
            plugins,
            folder,
            rounds,
            milliseconds,
            started: Instant::now(),
        })
    }

    /// Tells what is going on.
    pub(crate) fn say(&self, what: std::fmt::Arguments<'_>) {
        eprintln!("bench: {:4} s  {what}", self.started.elapsed().as_secs());
    }

    /// The numbers of one run, or none if it failed, which its process has told.
    fn run(&self, contender: Contender, terms: &Terms) -> Option<Vec<u64>> {
        let mut command = Command::new(&self.program);
        command
            .args(terms.clone().with("contender", contender).arguments())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .env_remove("GST_PLUGIN_PATH_1_0")
            .env_remove("GST_REGISTRY_1_0")
            .env_remove("GST_PLUGIN_SYSTEM_PATH")
            .env_remove("GST_PLUGIN_SYSTEM_PATH_1_0")
            .env_remove("GST_DEBUG");
        if terms.number("heap") > 0 {
            // One heap for all threads and sizes, whose size the kernel knows.
            command
                .env("MALLOC_ARENA_MAX", "1")
                .env("MALLOC_MMAP_THRESHOLD_", "1073741824");
        }
        if contender == Contender::Ours {
            command.env("GST_PLUGIN_PATH", &self.plugins);
            command.env("GST_REGISTRY", self.folder.join("registry-ours.bin"));
        } else {
            command.env_remove("GST_PLUGIN_PATH");
            command.env("GST_REGISTRY", self.folder.join("registry-theirs.bin"));
        }
        let output = command.output().expect("the harness can start itself");
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers = text
            .lines()
            .find_map(|line| line.strip_prefix("result "))
            .map(|rest| {
                rest.split_whitespace()
                    .filter_map(|word| word.parse().ok())
                    .collect()
            });
        if numbers.is_none() {
            self.say(format_args!("{contender} failed: {:?}", terms.arguments()));
        }
        numbers
    }

    /// Every contender in turn, as many times as there are rounds.
    pub(crate) fn rounds(
        &self,
        contenders: &[Contender],
        terms: &Terms,
    ) -> BTreeMap<Contender, Vec<Vec<u64>>> {
        let mut results: BTreeMap<Contender, Vec<Vec<u64>>> = BTreeMap::new();
        for _ in 0..self.rounds {
            for contender in contenders {
                results
                    .entry(*contender)
                    .or_default()
                    .extend(self.run(*contender, terms));
            }
        }
        results
    }

    /// Medians of a role that tells `NANOSECONDS CPU MESSAGES BYTES`.
    pub(crate) fn throughput(
        &self,
        contenders: &[Contender],
        terms: &Terms,
    ) -> BTreeMap<Contender, Throughput> {
        let terms = terms.clone().with("milliseconds", self.milliseconds);
        let results = self.rounds(contenders, &terms);
        let all = results.into_iter().filter(|(_, runs)| !runs.is_empty());
        all.map(|(contender, runs)| {
            let each = |figure: &dyn Fn(f64, f64, f64, f64) -> f64| {
                median(runs.iter().map(|run| {
                    figure(
                        clock::seconds(run[0]),
                        clock::seconds(run[1]),
                        run[2] as f64,
                        run[3] as f64,
                    )
                }))
            };
            let throughput = Throughput {
                rate: each(&|seconds, _, _, bytes| bytes / 1e6 / seconds),
                cpu: each(&|_, cpu, _, bytes| cpu / (bytes / 1e9)),
                messages: each(&|seconds, _, messages, _| messages / seconds),
            };
            (contender, throughput)
        })
        .collect()
    }

    /// Medians of the rounds' medians and 99th percentiles, of a role that tells how long each message took.
    pub(crate) fn latency(&self, contenders: &[Contender], terms: &Terms) -> BTreeMap<Contender, Latency> {
        let results = self.rounds(contenders, terms);
        let all = results.into_iter().filter(|(_, runs)| !runs.is_empty());
        all.map(|(contender, mut runs)| {
            runs.iter_mut().for_each(|run| run.sort_unstable());
            let at = |part: f64| {
                median(
                    runs.iter()
                        .map(|run| run[((run.len() - 1) as f64 * part) as usize] as f64 / 1e3),
                )
            };
            let latency = Latency {
                median: at(0.5),
                p99: at(0.99),
            };
            (contender, latency)
        })
        .collect()
    }
}

/// The middle one.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
