//! Does the work for some messages and nothing else, so that `scripts/instructions` can count what it costs:
//! `instructions OPERATION MESSAGES`, or `instructions --list`.
#![allow(clippy::disallowed_methods, missing_docs, reason = "a benchmark has a clock")]

mod operations;

use std::process::ExitCode;

use self::operations::OPERATIONS;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--list"] => OPERATIONS.iter().for_each(|(name, _)| println!("{name}")),
        [name, count] => {
            let operation = OPERATIONS.iter().find(|(operation, _)| operation == name);
            let (Some((_, prepare)), Ok(count)) = (operation, count.parse()) else {
                eprintln!("instructions: no operation is called {name}, or {count} is no number; see --list");
                return ExitCode::FAILURE;
            };
            prepare()(count);
        }
        // What `cargo bench` says to each of them, and whoever wants to know.
        _ => println!("scripts/instructions counts what the work for a message costs"),
    }
    ExitCode::SUCCESS
}
