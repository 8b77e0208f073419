//! The relay of `examples/rtmp_server.rs` as a program of its own, on a port that the system chooses.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{Failure, Result};

/// A running server, which ends with this.
pub struct Server {
    child: Child,
    /// What it prints, kept open so that it can.
    _stdout: BufReader<ChildStdout>,
    /// Its address as a URL that ends in a slash.
    pub url: String,
}

impl Server {
    /// Starts the program that cargo has put beside this one.
    pub fn start() -> Result<Self> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::new(format!("cannot find the embedded server: {error}")))?
            .with_file_name("rtmp_server");
        let mut child = Command::new(&program)
            .args(["--quiet", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C is for the demo alone, which ends the server last.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                Failure::new(format!(
                    "cannot start the embedded server {}: {error}; build it with cargo build --example rtmp_server",
                    program.display()
                ))
            })?;
        let mut url = None;
        let stdout = child.stdout.take().map(BufReader::new).map(|mut stdout| {
            let mut line = String::new();
            if stdout.read_line(&mut line).is_ok() {
                url = line.trim_end().strip_prefix("listening on ").map(str::to_owned);
            }
            stdout
        });
        match (stdout, url) {
            (Some(stdout), Some(url)) => Ok(Self {
                child,
                _stdout: stdout,
                url,
            }),
            _ => {
                // Fails only if it has ended already.
                let _ = child.kill();
                let _ = child.wait();
                Err(Failure::new(
                    "the embedded server did not start; its reason is above",
                ))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
