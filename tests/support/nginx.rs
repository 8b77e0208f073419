//! nginx with Debian's libnginx-mod-rtmp, configured for one test and gone with it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Peer, last_lines};
use super::responder::Responder;
use super::{Context, Failure, Result, port, wait};

/// Where Debian puts the module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/// Between the choice of a port and nginx listening on it, something else may take it.
const ATTEMPTS: usize = 5;

/// The applications of the server, see [`Nginx::start`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Application {
    /// Relays from publishers to players.
    Live,
    /// The same, and tells players by onStatus when the publisher comes and goes.
    Notify,
    /// Relays, and writes what is published to [`Nginx::recording`].
    Record,
    /// Puts audio and video on one chunk stream, and lets players wait for a key frame.
    Interleaved,
    /// Plays the files of [`Nginx::vod_folder`].
    Vod,
    /// Lets nobody publish or play, which it tells only by closing the connection after it has said Start.
    Denied,
    /// Asks an HTTP server about each publisher, which says 403.
    Reject,
    /// On a server of its own that sends a ping request every second and drops who does not answer the next.
    Ping,
    /// On a server of its own that asks an HTTP server about each connect, and reads on before it has its answer.
    Asks,
}

impl Application {
    const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Notify => "notify",
            Self::Record => "record",
            Self::Interleaved => "interleaved",
            Self::Vod => "vod",
            Self::Denied => "denied",
            Self::Reject => "reject",
            Self::Ping => "ping",
            Self::Asks => "asks",
        }
    }
}

/// A running nginx.
pub struct Nginx {
    port: u16,
    ping_port: u16,
    asks_port: u16,
    stat_port: u16,
    // Dropped in this order: the server goes before what it uses.
    process: Peer,
    /// What decides on publishers to [`Application::Reject`].
    pub publish_hook: Responder,
    /// What decides on clients of [`Application::Asks`].
    pub connect_hook: Responder,
    folder: TempDir,
}

impl Nginx {
    /// Starts a server with every [`Application`] on free loopback ports and waits until it listens.
    pub fn start() -> Result<Self> {
        if !Path::new(MODULE).exists() {
            return Err(Failure::new(format!(
                "{MODULE} is missing: install the package libnginx-mod-rtmp (scripts/install-packages)"
            )));
        }
        let mut failure = Failure::new("nginx was not started");
        for _ in 0..ATTEMPTS {
            match Self::try_start() {
                Ok(nginx) => return Ok(nginx),
                Err(error) if error.to_string().contains("Address already in use") => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    fn try_start() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for nginx")?;
        let publish_hook = Responder::start("403 Forbidden")?;
        let connect_hook = Responder::start("200 OK")?;
        let [port, ping_port, asks_port, stat_port] = port::free()?;
        for name in ["vod", "recordings"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let path = folder.path().display();
        let reject = publish_hook.url();
        let asks = connect_hook.url();
        let configuration = format!(
            r#"
load_module {MODULE};
daemon off;
master_process off;
pid "{path}/nginx.pid";
error_log "{path}/error.log" info;
events {{ worker_connections 256; }}
rtmp {{
    access_log off;
    # Beyond the default of 256 messages, nginx drops frames of players that are slow for a moment.
    out_queue 16384;
    max_message 16M;
    server {{
        listen 127.0.0.1:{port};
        application live {{ live on; }}
        application notify {{ live on; publish_notify on; play_restart on; }}
        application record {{ live on; record all; record_path "{path}/recordings"; }}
        application interleaved {{ live on; interleave on; wait_key on; publish_notify on; }}
        application vod {{ play "{path}/vod"; }}
        application denied {{ live on; deny publish all; deny play all; }}
        application reject {{ live on; on_publish {reject}; }}
    }}
    server {{
        listen 127.0.0.1:{ping_port};
        ping 1s;
        ping_timeout 1s;
        application ping {{ live on; }}
    }}
    server {{
        listen 127.0.0.1:{asks_port};
        on_connect {asks};
        application asks {{ live on; publish_notify on; }}
    }}
}}
http {{
    access_log off;
    client_body_temp_path "{path}/body";
    proxy_temp_path "{path}/proxy";
    fastcgi_temp_path "{path}/fastcgi";
    uwsgi_temp_path "{path}/uwsgi";
    scgi_temp_path "{path}/scgi";
    server {{
        listen 127.0.0.1:{stat_port};
        location / {{ rtmp_stat all; }}
    }}
}}
"#
        );
        let process = run(
            folder.path(),
            &configuration,
            &[port, ping_port, asks_port, stat_port],
        )?;
        Ok(Self {
            port,
            ping_port,
            asks_port,
            stat_port,
            process,
            publish_hook,
            connect_hook,
            folder,
        })
    }

    /// Port of all applications but [`Application::Ping`] and [`Application::Asks`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The location of a stream.
    pub fn url(&self, application: Application, stream: &str) -> String {
        let port = match application {
            Application::Ping => self.ping_port,
            Application::Asks => self.asks_port,
            _ => self.port,
        };
        format!("rtmp://127.0.0.1:{port}/{}/{stream}", application.name())
    }

    /// FLV and MP4 files in here can be played from [`Application::Vod`] by name.
    pub fn vod_folder(&self) -> PathBuf {
        self.folder.path().join("vod")
    }

    /// The FLV file that `stream`, published to [`Application::Record`], is written to while it lasts.
    pub fn recording(&self, stream: &str) -> PathBuf {
        self.folder
            .path()
            .join("recordings")
            .join(format!("{stream}.flv"))
    }

    /// What nginx has logged.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.folder.path().join("error.log")).context("reading nginx's log")
    }

    /// Number of connections, publishers and players, that have `stream` of `application` open. A player
    /// counts from its play command on, published or not.
    pub fn clients(&self, application: Application, stream: &str) -> Result<usize> {
        let xml = self.statistics()?;
        let within = |text: &str, open: &str, close: &str| -> Option<String> {
            let (_, rest) = text.split_once(open)?;
            Some(rest.split_once(close)?.0.to_owned())
        };
        let count = || {
            let application = xml
                .split("<application>")
                .find(|part| part.starts_with(&format!("\n<name>{}</name>", application.name())))?;
            let stream = application
                .split("<stream>")
                .find(|part| part.starts_with(&format!("\n<name>{stream}</name>")))?;
            within(stream, "<nclients>", "</nclients>")?.parse().ok()
        };
        Ok(count().unwrap_or(0))
    }

    /// Waits until exactly `n` connections have `stream` open.
    pub fn wait_for_clients(
        &self,
        application: Application,
        stream: &str,
        n: usize,
        within: Duration,
    ) -> Result<()> {
        wait::until(&format!("{n} clients of {stream}"), within, || {
            match self.clients(application, stream) {
                Ok(clients) if clients != n => None,
                result => Some(result.map(drop)),
            }
        })?
    }

    /// Process id, for looking at its sockets.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn statistics(&self) -> Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.stat_port))
            .context("asking nginx for statistics")?;
        stream.set_read_timeout(Some(wait::LONG))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).replace('\r', ""))
    }
}

/// nginx as a reverse proxy for HTTP.
pub struct Proxy {
    port: u16,
    _process: Peer,
    _folder: TempDir,
}

impl Proxy {
    /// Passes what comes on to `upstream`; each connection serves so many `requests`.
    pub fn start(upstream: SocketAddr, requests: u32) -> Result<Self> {
        let mut failure = Failure::new("nginx was not started");
        for _ in 0..ATTEMPTS {
            match Self::try_start(upstream, requests) {
                Ok(proxy) => return Ok(proxy),
                Err(error) if error.to_string().contains("Address already in use") => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    fn try_start(upstream: SocketAddr, requests: u32) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for nginx")?;
        let [port] = port::free()?;
        let path = folder.path().display();
        let configuration = format!(
            r#"
daemon off;
master_process off;
pid "{path}/nginx.pid";
error_log "{path}/error.log" info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path "{path}/body";
    proxy_temp_path "{path}/proxy";
    fastcgi_temp_path "{path}/fastcgi";
    uwsgi_temp_path "{path}/uwsgi";
    scgi_temp_path "{path}/scgi";
    upstream relay {{ server {upstream}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests {requests};
        location / {{
            proxy_pass http://relay;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"#
        );
        let process = run(folder.path(), &configuration, &[port])?;
        Ok(Self {
            port,
            _process: process,
            _folder: folder,
        })
    }

    /// The location of a stream by RTMPT.
    pub fn url(&self, application: &str, stream: &str) -> String {
        format!("rtmpt://127.0.0.1:{}/{application}/{stream}", self.port)
    }
}

/// Starts nginx in `folder` and waits until it listens on all `ports`.
fn run(folder: &Path, configuration: &str, ports: &[u16]) -> Result<Peer> {
    let file = folder.join("nginx.conf");
    fs::write(&file, configuration)?;
    let log = folder.join("error.log");
    let mut process = Peer::spawn(
        // An unprivileged user's path need not contain sbin.
        Command::new(if Path::new("/usr/sbin/nginx").exists() {
            "/usr/sbin/nginx"
        } else {
            "nginx"
        })
        .arg("-e")
        .arg(&log)
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(&file),
        "nginx",
    )?;
    let ready = wait::until("nginx to listen", wait::LONG, || match process.is_running() {
        Ok(true) => ports.iter().copied().all(port::answers).then_some(true),
        _ => Some(false),
    });
    if !matches!(ready, Ok(true)) {
        let log = fs::read_to_string(log).unwrap_or_default();
        return Err(Failure::new(format!("nginx does not run:\n{}", last_lines(&log))));
    }
    Ok(process)
}
