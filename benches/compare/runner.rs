//! Runs each measurement in a process of its own, the contenders by turns.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::terms::Terms;
use crate::{clock, wire};

/// More than any run takes that ends well.
const PATIENCE: Duration = Duration::from_secs(40);

/// Nanoseconds that a process has for ending once it has told its result.
const GOOD_BYE: u64 = 5_000_000_000;

/// So many failures of a contender in one measurement, and it is not asked again.
const MOST_FAILURES: u32 = 2;

/// Where processes find the elements that they measure.
pub(crate) struct Runner {
    program: PathBuf,
    /// Holds nothing but our plugin, since GStreamer looks into every folder below.
    plugins: PathBuf,
    folder: PathBuf,
    pub(crate) effort: Effort,
    started: Instant,
}

/// How much is done for a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Repetitions of each measurement, and of those that are one point of a curve.
    pub(crate) rounds: usize,
    pub(crate) curve_rounds: usize,
    /// How long one lasts that lasts as long as it is told to.
    pub(crate) milliseconds: u64,
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
    pub(crate) fn new(plugin: &Path, effort: Effort) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let folder = program
            .parent()
            .expect("a file lies in a folder")
            .join("compare-files");
        let plugins = folder.join("plugins");
        fs::create_dir_all(&plugins)?;
        fs::copy(plugin, plugins.join("libgstrtmp.so"))?;
        wire::write_certificate(&folder)?;
        Ok(Self {
            program,
            plugins,
            folder,
            effort,
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
        let told = terms
            .clone()
            .with("contender", contender)
            .with("certificates", self.folder.display());
        command
            .args(told.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .env_remove("GST_PLUGIN_PATH_1_0")
            .env_remove("GST_REGISTRY_1_0")
            .env_remove("GST_PLUGIN_SYSTEM_PATH")
            .env_remove("GST_PLUGIN_SYSTEM_PATH_1_0")
            .env_remove("GST_DEBUG");
        if contender == Contender::Ours {
            command.env("GST_PLUGIN_PATH", &self.plugins);
            command.env("GST_REGISTRY", self.folder.join("registry-ours.bin"));
        } else {
            command.env_remove("GST_PLUGIN_PATH");
            command.env("GST_REGISTRY", self.folder.join("registry-theirs.bin"));
        }
        let mut child = command.spawn().expect("the harness can start itself");
        let output = child.stdout.take().expect("a pipe was asked for");
        let (send, receive) = mpsc::channel();
        let reader = thread::spawn(move || {
            let result = BufReader::new(output)
                .lines()
                .map_while(Result::ok)
                .find_map(|line| numbers(line.strip_prefix("result ")?));
            // Nobody waits for it any more if it took too long.
            let _ = send.send(result);
        });
        let result = receive.recv_timeout(PATIENCE);
        if !matches!(result, Ok(Some(_))) {
            let how = if result.is_err() {
                "took too long"
            } else {
                "failed"
            };
            self.say(format_args!("{contender} {how}: {:?}", terms.arguments()));
            // It may have ended by itself.
            let _ = child.kill();
        }
        // What has told its result may still have a long good-bye.
        let ended = clock::now() + GOOD_BYE;
        while matches!(child.try_wait(), Ok(None)) {
            if clock::now() > ended {
                let _ = child.kill();
                let _ = child.wait();
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let _ = reader.join();
        result.ok().flatten()
    }

    /// Every contender in turn, `rounds` times. One that fails twice is left alone, and one that has given nothing is
    /// not among the results.
    pub(crate) fn rounds(
        &self,
        rounds: usize,
        contenders: &[Contender],
        terms: &Terms,
    ) -> BTreeMap<Contender, Vec<Vec<u64>>> {
        let mut results: BTreeMap<Contender, Vec<Vec<u64>>> = BTreeMap::new();
        let mut failures: BTreeMap<Contender, u32> = BTreeMap::new();
        for _ in 0..rounds {
            for contender in contenders {
                if failures.get(contender) == Some(&MOST_FAILURES) {
                    continue;
                }
                match self.run(*contender, terms) {
                    Some(run) => results.entry(*contender).or_default().push(run),
                    None => *failures.entry(*contender).or_default() += 1,
                }
            }
        }
        results
    }

    /// Medians of a role that tells `NANOSECONDS CPU MESSAGES BYTES`.
    pub(crate) fn throughput(
        &self,
        rounds: usize,
        contenders: &[Contender],
        terms: &Terms,
    ) -> BTreeMap<Contender, Throughput> {
        let terms = terms.clone().with("milliseconds", self.effort.milliseconds);
        let results = self.rounds(rounds, contenders, &terms);
        let all = results.into_iter();
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
        let results = self.rounds(self.effort.rounds, contenders, terms);
        let all = results.into_iter();
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

/// The numbers of a result.
fn numbers(rest: &str) -> Option<Vec<u64>> {
    rest.split_whitespace().map(|word| word.parse().ok()).collect()
}

/// The middle one.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
