//! Waiting for what gives no notice of itself. What does, is waited for at its source: see [`super::process`].

use std::thread;
use std::time::{Duration, Instant};

use super::{Failure, Result};

/// Long enough for any one step of a test on a loaded machine; reached only when something is wrong.
pub const LONG: Duration = Duration::from_secs(30);

/// How often the condition is looked at: often enough to cost a test no time that one would notice.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks at `condition` until it gives a value. `what` completes the sentence "gave up waiting for".
pub fn until<T>(what: &str, within: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(format!(
                "gave up waiting for {what} after {within:?}"
            )));
        }
        thread::sleep(INTERVAL);
    }
}
