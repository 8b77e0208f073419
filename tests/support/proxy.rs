//! Proxies of other makers: dante and microsocks speak SOCKS, tinyproxy speaks HTTP. Each is configured for one test
//! and gone with it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::Peer;
use super::{Context, Failure, Result, port, wait};

/// Where the proxies connect to servers from, so that these can tell them from everybody else.
pub const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// The login that a proxy may want, as it stands in a URL: the password is `p.ss`.
pub const LOGIN: &str = "alice:p%2Ess";

/// Between the choice of a port and the proxy listening on it, something else may take it.
const ATTEMPTS: usize = 5;

/// A running proxy.
pub struct Proxy {
    port: u16,
    // Dropped in this order.
    _process: Peer,
    _folder: TempDir,
}

impl Proxy {
    /// Dante, which speaks SOCKS 4 and 5. It connects to nobody's port 9.
    pub fn dante() -> Result<Self> {
        Self::start("dante-server", |port, folder| {
            let file = folder.join("danted.conf");
            let configuration = format!(
                "logoutput: stderr\n\
                 internal: 127.0.0.1 port = {port}\n\
                 external: {FROM}\n\
                 clientmethod: none\n\
                 socksmethod: none\n\
                 client pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 }}\n\
                 socks block {{ from: 127.0.0.0/8 to: 127.0.0.0/8 port = 9 }}\n\
                 socks pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 protocol: tcp }}\n\
                 socks pass {{ from: 127.0.0.0/8 to: localhost protocol: tcp }}\n"
            );
            fs::write(&file, configuration)?;
            let mut command = Command::new(system_program("danted"));
            command.args(["-N", "1", "-f"]).arg(&file);
            command.arg("-p").arg(folder.join("danted.pid"));
            Ok(command)
        })
    }

    /// microsocks, which speaks SOCKS 5 and wants [`LOGIN`].
    pub fn microsocks() -> Result<Self> {
        Self::start("microsocks", |port, _| {
            let mut command = Command::new("microsocks");
            command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
            command.args(["-u", "alice", "-P", "p.ss", "-b", &FROM.to_string()]);
            Ok(command)
        })
    }

    /// tinyproxy, which speaks HTTP, with or without [`LOGIN`].
    pub fn tinyproxy(wants_login: bool) -> Result<Self> {
        Self::start("tinyproxy", |port, folder| {
            let file = folder.join("tinyproxy.conf");
            let login = if wants_login { "BasicAuth alice p.ss\n" } else { "" };
            let path = folder.display();
            let configuration = format!(
                "Port {port}\nListen 127.0.0.1\nBind {FROM}\nAllow 127.0.0.1\nMaxClients 20\nTimeout 60\n\
                 LogFile \"{path}/tinyproxy.log\"\nPidFile \"{path}/tinyproxy.pid\"\n{login}"
            );
            fs::write(&file, configuration)?;
            let mut command = Command::new("tinyproxy");
            command.arg("-d").arg("-c").arg(&file);
            Ok(command)
        })
    }

    fn start(package: &str, configure: impl Fn(u16, &Path) -> Result<Command>) -> Result<Self> {
        let mut failure = Failure::new(format!("{package} was not started"));
        for _ in 0..ATTEMPTS {
            let folder = tempfile::tempdir().context("making a folder for a proxy")?;
            let [port] = port::free()?;
            let mut process = Peer::spawn(&mut configure(port, folder.path())?, package)?;
            let ready = wait::until(&format!("{package} to listen"), wait::LONG, || {
                match process.is_running() {
                    Ok(true) => port::is_listened_on(port).ok()?.then_some(true),
                    _ => Some(false),
                }
            });
            if matches!(ready, Ok(true)) {
                return Ok(Self {
                    port,
                    _process: process,
                    _folder: folder,
                });
            }
            failure = Failure::new(format!("{package} does not run:\n{}", process.stderr()));
        }
        Err(failure)
    }

    /// The value of the property `proxy`, without a login.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The same with a login, `user:password` or a user alone.
    pub fn url_with(&self, scheme: &str, login: &str) -> String {
        format!("{scheme}://{login}@127.0.0.1:{}", self.port)
    }

    /// `host:port`, as errors name it.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A program that an unprivileged user's path need not contain.
fn system_program(name: &str) -> String {
    let path = format!("/usr/sbin/{name}");
    if Path::new(&path).exists() {
        path
    } else {
        name.to_owned()
    }
}
