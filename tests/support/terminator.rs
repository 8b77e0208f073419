//! Servers that do TLS for a server that does not: nginx's stream module and stunnel.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::certificates::Certificate;
use super::process::{Peer, last_lines};
use super::{Context, Failure, Result, port, wait};

/// Where Debian puts nginx's module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Between the choice of a port and somebody listening on it, something else may take it.
const ATTEMPTS: usize = 5;

/// What does the TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// nginx, with these of its `ssl_protocols`.
    Nginx(&'static str),
    /// stunnel.
    Stunnel,
}

/// A program that takes TLS on one port and connects to another without.
pub struct Terminator {
    port: u16,
    // Dropped in this order.
    _process: Peer,
    _folder: TempDir,
}

impl Terminator {
    /// Starts `program` with `certificate` before the loopback port `upstream`, and waits until it listens.
    pub fn start(program: Program, certificate: &Certificate, upstream: u16) -> Result<Self> {
        let mut failure = Failure::new("nothing was started");
        for _ in 0..ATTEMPTS {
            match Self::try_start(program, certificate, upstream) {
                Ok(terminator) => return Ok(terminator),
                Err(error) if error.to_string().contains("Address already in use") => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    fn try_start(program: Program, certificate: &Certificate, upstream: u16) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for a server")?;
        let [port] = port::free()?;
        let path = folder.path().display();
        let (pem, key) = (certificate.certificate.display(), certificate.key.display());
        let configuration = match program {
            Program::Nginx(protocols) => {
                if !Path::new(MODULE).exists() {
                    return Err(Failure::new(format!(
                        "{MODULE} is missing: install the package libnginx-mod-stream (scripts/install-packages)"
                    )));
                }
                format!(
                    r#"
load_module {MODULE};
daemon off;
master_process off;
pid "{path}/nginx.pid";
error_log stderr info;
events {{ worker_connections 256; }}
stream {{
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate "{pem}";
        ssl_certificate_key "{key}";
        ssl_protocols {protocols};
        proxy_pass 127.0.0.1:{upstream};
    }}
}}
"#
                )
            }
            Program::Stunnel => format!(
                "foreground = yes\npid =\n[rtmps]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{upstream}\n\
                 cert = {pem}\nkey = {key}\n"
            ),
        };
        let file = folder.path().join("configuration");
        fs::write(&file, configuration)?;
        let mut process = match program {
            Program::Nginx(_) => Peer::spawn(
                // An unprivileged user's path need not contain sbin.
                Command::new(if Path::new("/usr/sbin/nginx").exists() {
                    "/usr/sbin/nginx"
                } else {
                    "nginx"
                })
                .args(["-e", "stderr", "-p"])
                .arg(folder.path())
                .arg("-c")
                .arg(&file),
                "nginx",
            )?,
            Program::Stunnel => {
                let name = if Path::new("/usr/bin/stunnel4").exists() {
                    "stunnel4"
                } else {
                    "stunnel"
                };
                Peer::spawn(Command::new(name).arg(&file), "stunnel4")?
            }
        };
        let ready = wait::until("a TLS server to listen", wait::LONG, || {
            match process.is_running() {
                Ok(true) => port::answers(port).then_some(true),
                _ => Some(false),
            }
        });
        if !matches!(ready, Ok(true)) {
            return Err(Failure::new(format!(
                "{program:?} does not run:\n{}",
                last_lines(&process.stderr())
            )));
        }
        Ok(Self {
            port,
            _process: process,
            _folder: folder,
        })
    }

    /// The location of what is at `path`, such as `live/main`.
    pub fn url(&self, path: &str) -> String {
        format!("rtmps://127.0.0.1:{}/{path}", self.port)
    }
}
