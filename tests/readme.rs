//! The README keeps its word: its command lines work as printed, and the files and tests it names exist.
//!
//! The first word behind `sh` of a fenced block says how a line comes to its end: `run` by itself; `publish` by Ctrl-C,
//! when enough was published; `play` by Ctrl-C too, when enough of a stream was played that the README's first line to
//! publish it is publishing meanwhile. Lines run in the order of the page in one folder, so that what one records another can
//! publish. Only the server's address is another: a free port of this machine.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use gstrtmp::session::Request;
use relay::{Options, Reason, Relay, Snapshot};
use support::gstreamer::GStreamer;
use support::process::Peer;
use support::{Context, Failure, Result, wait};

/// Messages of a kind after which a line is taken to work: a second and a half of the test signal's pictures, and as
/// much of its sound.
const ENOUGH: u64 = 45;

/// The server of the README's URLs.
const SERVER: &str = "rtmp://localhost/";
/// The same server through HTTP.
const TUNNEL: &str = "rtmpt://localhost:1935/";
/// The same in properties.
const SERVER_PROPERTIES: &str = "host=localhost port=1935";
/// The stream of `play` lines that name none in a location.
const STREAM: &str = "live/stream";

/// Has sinks show nothing: a test may run where there is no screen, or where somebody is looking at it. DirectFB's sink
/// crashes in the first case.
const NO_SCREEN: &str = "fakevideosink:MAX,fakeaudiosink:MAX,dfbvideosink:NONE";

/// How a line comes to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Run,
    Publish,
    Play,
}

/// A command of the README.
struct Line {
    mode: Mode,
    /// The command, on one line.
    command: String,
    /// What it should print, from the block that follows one to be run.
    prints: Vec<String>,
}

impl Line {
    /// Names of the streams that the command publishes.
    fn publishes(&self) -> impl Iterator<Item = &str> {
        self.streams()
            .filter_map(|(element, name)| element.starts_with("rtmpsink").then_some(name))
    }

    /// Name of the stream that the command plays.
    fn plays(&self) -> &str {
        let mut streams = self.streams();
        let played = streams.find(|(element, _)| !element.starts_with("rtmpsink"));
        played.map_or(STREAM, |(_, name)| name)
    }

    /// The locations and URIs, each with the element that it is a property of.
    fn streams(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut element = "";
        self.command.split_whitespace().filter_map(move |word| {
            let Some((property, value)) = word.split_once('=') else {
                element = word;
                return None;
            };
            let location = value.trim_matches('"');
            let name = location
                .strip_prefix(SERVER)
                .or_else(|| location.strip_prefix(TUNNEL))?;
            matches!(property, "location" | "uri").then_some((element, name))
        })
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> Result<String> {
    fs::read_to_string(root().join("README.md")).context("README.md")
}

/// The fenced blocks of a page, each with what stands behind its opening fence.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info, Vec::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    blocks
}

/// The commands that are marked to be run.
fn lines(page: &str) -> Result<Vec<Line>> {
    let blocks = blocks(page);
    let mut lines = Vec::new();
    for (index, (info, text)) in blocks.iter().enumerate() {
        let mode = match *info {
            "sh run" => Mode::Run,
            "sh publish" => Mode::Publish,
            "sh play" => Mode::Play,
            "sh" | "text" => continue,
            info => return Err(Failure::new(format!("nobody knows what a block of {info:?} is"))),
        };
        let next = blocks.get(index + 1).filter(|(info, _)| *info == "text");
        let prints = match (mode, next) {
            (Mode::Run, Some((_, lines))) => lines.iter().map(|line| (*line).into()).collect(),
            (Mode::Run | Mode::Publish | Mode::Play, _) => Vec::new(),
        };
        lines.push(Line {
            mode,
            command: text.join("\n").replace("\\\n", " "),
            prints,
        });
    }
    Ok(lines)
}

/// A terminal of somebody who follows the README.
struct Reader {
    gstreamer: GStreamer,
    relay: Relay,
    /// Names of the streams that were published, without their applications.
    published: Arc<Mutex<BTreeSet<String>>>,
    folder: tempfile::TempDir,
}

impl Reader {
    fn new() -> Result<Self> {
        let published = Arc::<Mutex<BTreeSet<String>>>::default();
        let admit = {
            let published = Arc::clone(&published);
            move |request: &Request| {
                if let Request::Publish { stream, .. } = request {
                    published
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(stream.to_str_lossy().into_owned());
                }
                Ok(())
            }
        };
        Ok(Self {
            gstreamer: GStreamer::new()?,
            relay: Relay::start(Options {
                admit: Box::new(admit),
                ..Options::default()
            })?,
            published,
            folder: tempfile::tempdir()?,
        })
    }

    fn start(&self, line: &Line) -> Result<Peer> {
        let address = self.relay.address();
        let properties = format!("host={} port={}", address.ip(), address.port());
        let command = line
            .command
            .replace(SERVER, &format!("rtmp://{address}/"))
            .replace(TUNNEL, &format!("rtmpt://{address}/"))
            .replace(SERVER_PROPERTIES, &properties);
        let mut shell = self.gstreamer.command("sh");
        shell
            .env("GST_PLUGIN_FEATURE_RANK", NO_SCREEN)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        // Without `exec` Ctrl-C would get to the shell; `env` takes the variables in front of a command.
        shell.arg("-c").arg(format!("exec env {command}"));
        Peer::spawn(shell.current_dir(self.folder.path()), "gstreamer1.0-tools")
    }

    fn wait_for(&self, line: &Line, peer: &Peer, is_wished: impl FnMut(&Snapshot) -> bool) -> Result<()> {
        let waited = self.relay.wait_for(wait::LONG, is_wished);
        waited
            .map(drop)
            .context(format!("{}\n{}", line.command, peer.stderr()))
    }

    /// Waits until the command has published all that it publishes for a while.
    fn wait_for_publisher(&self, line: &Line, peer: &Peer) -> Result<()> {
        for name in line.publishes() {
            self.wait_for(line, peer, |snapshot| {
                let messages = snapshot.publisher(name).map(|publisher| publisher.messages_in);
                messages.is_some_and(|messages| messages.audio.max(messages.video) >= ENOUGH)
            })?;
        }
        Ok(())
    }

    /// Runs a command to its end, by Ctrl-C where it has no other.
    fn run(&self, line: &Line) -> Result<()> {
        let peer = self.start(line)?;
        if line.mode == Mode::Play {
            // What a server has cached comes at once, when a demuxer may not have its pads yet: an end that comes ahead
            // of them is none to a muxer behind.
            let mut joined = None;
            self.wait_for(line, &peer, |snapshot| {
                let mut players = snapshot.players(line.plays());
                let is_playing = players.any(|player| player.messages_out.video > 0);
                let published = snapshot.publisher(line.plays()).filter(|_| is_playing);
                published.is_some_and(|publisher| {
                    let messages = publisher.messages_in.video;
                    messages >= *joined.get_or_insert(messages) + ENOUGH
                })
            })?;
        }
        if line.mode != Mode::Run {
            self.wait_for_publisher(line, &peer)?;
            peer.interrupt()?;
        }
        let ended = peer.succeed(wait::LONG).context(&line.command)?;
        let printed = String::from_utf8_lossy(&ended.stdout);
        for expected in &line.prints {
            if !printed.lines().any(|line| line == expected) {
                return Err(Failure::new(format!(
                    "{} does not print {expected:?}",
                    line.command
                )));
            }
        }
        self.published_to_the_end(line)
    }

    /// Whatever the command has published came to its end in good order.
    fn published_to_the_end(&self, line: &Line) -> Result<()> {
        for name in line.publishes() {
            let stream = name.rsplit('/').next().unwrap_or_default();
            let was_published = self
                .published
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(stream);
            let last = self
                .relay
                .wait_for(wait::LONG, |now| now.publisher(name).is_none())?;
            let left = last.gone.iter().max_by_key(|gone| gone.id);
            if !was_published || !left.is_some_and(|gone| matches!(gone.reason, Reason::Left)) {
                return Err(Failure::new(format!(
                    "{} publishes nothing: {last:?}",
                    line.command
                )));
            }
        }
        Ok(())
    }
}

#[test]
fn its_command_lines_work_as_printed() -> Result<()> {
    let lines = lines(&readme()?)?;
    assert!(lines.iter().filter(|line| line.mode == Mode::Play).count() > 3);

    let reader = Reader::new()?;
    for line in &lines {
        if line.mode != Mode::Play {
            reader.run(line)?;
            continue;
        }
        let publishes =
            |other: &&Line| other.mode == Mode::Publish && other.publishes().any(|name| name == line.plays());
        let published = lines.iter().find(publishes);
        let published =
            published.ok_or_else(|| Failure::new(format!("no line publishes {}", line.plays())))?;
        let mut publisher = reader.start(published)?;
        reader.wait_for_publisher(published, &publisher)?;
        reader.run(line)?;
        assert!(publisher.is_running()?, "{}", publisher.stderr());
        publisher.interrupt()?;
        publisher.succeed(wait::LONG)?;
    }
    for file in ["recording.flv", "recording.mp4"] {
        let size = fs::metadata(reader.folder.path().join(file)).context(file)?.len();
        assert!(size > 10_000, "{file} has {size} bytes");
    }
    Ok(())
}

/// What stands between backticks in a line.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// What a link to a heading is called.
fn slug(heading: &str) -> String {
    let kept = heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            _ => None,
        });
    kept.collect()
}

#[test]
fn the_files_and_tests_it_names_exist() -> Result<()> {
    let page = readme()?;
    let links: Vec<_> = page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.starts_with("http") && !link.starts_with('#'))
        .collect();
    assert!(links.len() > 3, "{links:?}");
    for link in links {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        assert!(root().join(file).exists(), "{link}");
        if !anchor.is_empty() {
            let page = fs::read_to_string(root().join(file)).context(file)?;
            let mut headings = page.lines().filter(|line| line.starts_with('#')).map(slug);
            assert!(headings.any(|heading| heading == anchor), "{link}");
        }
    }
    let mut tests = 0;
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let mut words = code(line).skip_while(|word| !word.starts_with("tests/"));
        let (Some(file), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        let source = fs::read_to_string(root().join(file)).context(file)?;
        assert!(source.contains(&format!("fn {name}()")), "{file} has no {name}");
        tests += 1;
    }
    assert!(tests > 5);
    Ok(())
}

/// All sources below a folder.
fn sources(folder: &str) -> Result<String> {
    let mut folders = vec![root().join(folder)];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).context(folder.display())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(&path).context(path.display())?);
            }
        }
    }
    Ok(text)
}

/// The tests that a page names, which all exist, and its tables have no empty cells.
fn tests_named_by(page: &str) -> Result<BTreeSet<String>> {
    let page = fs::read_to_string(root().join(page)).context(page)?;
    let tests = sources("src")? + &sources("tests")?;
    let mut named = BTreeSet::new();
    for word in page.lines().flat_map(code) {
        if word.starts_with("tests/") || word.starts_with("src/") {
            assert!(root().join(word).exists(), "{word}");
        } else if word.matches('_').count() > 1 && word.bytes().all(is_in_names) {
            let is_test = tests.match_indices(&format!("fn {word}()")).any(|(at, _)| {
                let before = tests.get(..at).unwrap_or_default();
                before.trim_end().ends_with("#[test]")
            });
            assert!(is_test, "there is no test {word}");
            named.insert(word.to_owned());
        }
    }

    // Nothing in the tables is without its test.
    for row in page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('_'))
    {
        assert!(!cells(row).contains(&""), "{row}");
    }
    Ok(named)
}

/// Whether names of tests are made of it.
const fn is_in_names(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')
}

/// What stands in the row of a table.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn the_tests_that_hold_the_tables_of_codecs_exist() -> Result<()> {
    let named = tests_named_by("docs/codecs.md")?;
    assert!(named.len() > 10, "{named:?}");
    Ok(())
}

#[test]
fn the_tests_that_hold_the_tables_of_variants_exist() -> Result<()> {
    let named = tests_named_by("docs/variants.md")?;
    assert!(named.len() > 30, "{named:?}");

    // No variant is left out at any client or server.
    let page = fs::read_to_string(root().join("docs/variants.md"))?;
    let section = |name: &str| {
        let rest = page.split(&format!("\n# {name}\n")).nth(1).unwrap_or_default();
        rest.split("\n# ").next().unwrap_or_default()
    };
    let clients = "ours, ffmpeg 5.1, ffmpeg 9.0, PyAV, rtmpdump, GStreamer's librtmp, rtmp2sink, rtmp2src";
    let servers = "nginx-rtmp, ffmpeg, PyAV, node-media-server, rtmpsrv";
    for (name, peers) in [("Our server", clients), ("Our client", servers)] {
        for scheme in ["rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpts", "rtmpte"] {
            for peer in peers.split(", ") {
                let is_there = section(name).lines().map(cells).any(|row| match row.as_slice() {
                    [schemes, peers, publishes, plays] => {
                        code(schemes).any(|word| word == scheme)
                            && (peers.contains(peer) || *peers == "all of these")
                            && !publishes.is_empty()
                            && !plays.is_empty()
                    }
                    _ => false,
                });
                assert!(is_there, "{name} has no row for {scheme} and {peer}");
            }
        }
    }
    Ok(())
}
