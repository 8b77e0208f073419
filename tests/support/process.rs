//! A peer that is another program: what it prints is kept, it is waited for with a deadline and killed on drop.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Context, Failure, Result, wait};

/// Lines of a peer's last words that a [`Failure`] quotes.
const QUOTED_LINES: usize = 25;

/// A running program.
pub struct Peer {
    name: String,
    child: Child,
    printed: Arc<Printed>,
}

/// A program that has ended.
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: String,
}

#[derive(Default)]
struct Printed {
    pipes: Mutex<Pipes>,
    changed: Condvar,
}

#[derive(Default)]
struct Pipes {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    closed: usize,
}

impl Printed {
    fn pipes(&self) -> MutexGuard<'_, Pipes> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies a pipe into one of the two buffers until the other end closes it.
    fn collect(self: Arc<Self>, mut pipe: impl Read + Send + 'static, of: fn(&mut Pipes) -> &mut Vec<u8>) {
        thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                of(&mut self.pipes()).extend(buffer.iter().take(n));
                self.changed.notify_all();
            }
            self.pipes().closed += 1;
            self.changed.notify_all();
        });
    }

    /// Waits until `condition` holds of what was printed; false when `within` passed first.
    fn wait(&self, within: Duration, mut condition: impl FnMut(&mut Pipes) -> bool) -> bool {
        let (_guard, result) = self
            .changed
            .wait_timeout_while(self.pipes(), within, |pipes| !condition(pipes))
            .unwrap_or_else(PoisonError::into_inner);
        !result.timed_out()
    }
}

impl Peer {
    /// Starts `command`, which Debian's `package` has.
    pub fn spawn(command: &mut Command, package: &str) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(format!(
                "cannot run {name} of the package {package} (scripts/install-packages)"
            ))?;
        let printed = Arc::new(Printed::default());
        let stdout = child
            .stdout
            .take()
            .ok_or(Failure::new("no pipe to standard output"))?;
        let stderr = child
            .stderr
            .take()
            .ok_or(Failure::new("no pipe to standard error"))?;
        Arc::clone(&printed).collect(stdout, |pipes| &mut pipes.stdout);
        Arc::clone(&printed).collect(stderr, |pipes| &mut pipes.stderr);
        Ok(Self { name, child, printed })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the peer has printed `text`, on standard output or standard error.
    pub fn wait_for(&self, text: &str, within: Duration) -> Result<()> {
        let found = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let mut seen = false;
        self.printed.wait(within, |pipes| {
            seen = found(&pipes.stdout) || found(&pipes.stderr);
            seen || pipes.closed == 2
        });
        if seen {
            return Ok(());
        }
        Err(self.failure(&format!("did not print {text:?}")))
    }

    /// What the peer has printed on standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.printed.pipes().stdout).into_owned()
    }

    /// What the peer has printed on standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.printed.pipes().stderr).into_owned()
    }

    /// Asks the peer to end, as Ctrl-C does.
    pub fn interrupt(&self) -> Result<()> {
        let id = i32::try_from(self.id())?;
        let pid = Pid::from_raw(id).ok_or(Failure::new("a child has no process id"))?;
        kill_process(pid, Signal::INT).context(format!("interrupting {}", self.name))
    }

    /// Whether the peer has not ended.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Waits until the peer has ended of itself, however it did.
    pub fn end(mut self, within: Duration) -> Result<Ended> {
        let deadline = Instant::now() + within;
        if !self.printed.wait(within, |pipes| pipes.closed == 2) {
            return Err(self.failure(&format!("did not end within {within:?}")));
        }
        // With its pipes closed it is as good as gone.
        let left = deadline.saturating_duration_since(Instant::now());
        let status = wait::until(&format!("the end of {}", self.name), left, || {
            self.child.try_wait().transpose()
        })??;
        let mut pipes = self.printed.pipes();
        Ok(Ended {
            status,
            stdout: std::mem::take(&mut pipes.stdout),
            stderr: String::from_utf8_lossy(&pipes.stderr).into_owned(),
        })
    }

    /// Waits until the peer has ended with success.
    pub fn succeed(self, within: Duration) -> Result<Ended> {
        let name = self.name.clone();
        let ended = self.end(within)?;
        if ended.status.success() {
            return Ok(ended);
        }
        let said = last_lines(&ended.stderr);
        Err(Failure::new(format!(
            "{name} ended with {}, saying:\n{said}",
            ended.status
        )))
    }

    fn failure(&self, what: &str) -> Failure {
        let said = self.stderr();
        Failure::new(format!("{} {what}, saying:\n{}", self.name, last_lines(&said)))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of what a program printed.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(QUOTED_LINES)..)
        .unwrap_or_default()
        .join("\n")
}
