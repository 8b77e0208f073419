//! node-media-server, a relay that carries Enhanced RTMP. `scripts/node-peers` installs it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{Peer, last_lines};
use super::{Context, Failure, Result, port, wait};

/// Between the choice of a port and the server listening on it, something else may take it.
const ATTEMPTS: usize = 5;

/// A running server.
pub struct NodeMediaServer {
    port: u16,
    // Dropped in this order: the server goes before what it uses.
    _process: Peer,
    _folder: TempDir,
}

impl NodeMediaServer {
    /// Starts a server on a free loopback port and waits until it listens.
    pub fn start() -> Result<Self> {
        let program = program()?;
        let mut failure = Failure::new("node-media-server was not started");
        for _ in 0..ATTEMPTS {
            match Self::try_start(&program) {
                Ok(server) => return Ok(server),
                Err(error) if error.to_string().contains("EADDRINUSE") => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    fn try_start(program: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for node-media-server")?;
        let [port] = port::free()?;
        let configuration = folder.path().join("config.json");
        fs::write(
            &configuration,
            format!(r#"{{"bind": "127.0.0.1", "rtmp": {{"port": {port}}}, "store": {{"path": "data"}}}}"#),
        )?;
        let process = Peer::spawn(
            Command::new("node").arg(program).arg("-c").arg(&configuration),
            "nodejs",
        )?;
        // It complains on standard output.
        process
            .wait_for("Rtmp Server listening", wait::LONG)
            .map_err(|error| Failure::new(format!("{error}\n{}", last_lines(&process.stdout()))))?;
        Ok(Self {
            port,
            _process: process,
            _folder: folder,
        })
    }

    /// The location of a stream.
    pub fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port)
    }
}

/// The server's main script.
fn program() -> Result<PathBuf> {
    // This test is in the folder `deps` of a profile of cargo's target folder.
    let test = env::current_exe().context("finding out where this test is")?;
    let target = test.ancestors().nth(3);
    let program = target.map(|target| target.join("node-peers/node_modules/node-media-server/bin/app.js"));
    program
        .filter(|program| program.exists())
        .ok_or_else(|| Failure::new("node-media-server is missing: run scripts/node-peers"))
}
