//! How long the work for one message takes, by Criterion: `cargo bench --bench micro`.
#![allow(
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark has a clock, and Criterion's macros make what has no documentation"
)]

mod operations;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

use self::operations::OPERATIONS;

/// Messages of one iteration: enough that what an iteration costs does not count.
const MESSAGES: usize = 64;

fn operations(criterion: &mut Criterion) {
    for (name, prepare) in OPERATIONS {
        let mut work = prepare();
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let start = std::time::Instant::now();
                for _ in 0..iterations {
                    work(MESSAGES);
                }
                start.elapsed() / MESSAGES as u32
            });
        });
    }
}

criterion_group! {
    name = messages;
    config = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = operations
}
criterion_main!(messages);
