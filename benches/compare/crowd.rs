//! Many live sinks in one process, while one peer has stopped reading and another is slow; and what each of them has of
//! the process's memory.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::Duration;

use gst::prelude::*;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::clock;
use crate::contender::Contender;
use crate::peer::{Client, MARK, Peer, listen, say, video_body};
use crate::publish::{Publisher, tag};
use crate::tally::{Counted, Tally};
use crate::terms::Terms;

/// Bytes of a message: 1.2 Mbit/s at 30 a second.
const SIZE: usize = 5000;

/// Type of video messages, RTMP 1.0 section 7.1.5.
const VIDEO: u8 = 9;

/// Nanoseconds between two messages of a sink.
const PERIOD: u64 = 1_000_000_000 / 30;

/// The sink whose peer stops reading, and the one whose peer reads little.
const STALLED: usize = 0;
const SLOW: usize = 1;

/// What the slow peer reads every time the others were read for [`SLOW_PAUSE`] nanoseconds.
const SLOW_BYTES: usize = 4096;
const SLOW_PAUSE: u64 = 100_000_000;

/// How long the peer waits for anything.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Threads that feed the sinks whose peers keep up. More would compete with the sinks for the processor, and one for
/// each sink would have the system's scheduler decide how late they are.
const FEEDERS: usize = 2;

/// Sinks that are there before memory is looked at, so that what all of them share is.
const BEFORE: usize = 20;

/// What a feeding thread has to do before anybody looks, and at the end.
struct Script {
    buffer: gst::Buffer,
    mark: gst::Buffer,
    body: Vec<u8>,
}

impl Script {
    fn new() -> Arc<Self> {
        let body = video_body(SIZE);
        Arc::new(Self {
            buffer: tag(9, 0, &body),
            mark: tag(9, 0, &video_body(MARK)),
            body,
        })
    }
}

/// When message `k` of sink `i` of `count` is due, behind the beginning.
fn due(i: usize, count: usize, k: u64) -> u64 {
    PERIOD * i as u64 / count as u64 + PERIOD * k
}

/// Publishes by `count` elements for `milliseconds`, with `stall=1` while two peers do not keep up. Tells `result CPU
/// NANOSECONDS THREADS WORST P99 MEDIAN`: threads besides the one that waits and those that feed, and how late messages
/// were whole at those peers that keep up.
pub(crate) fn publish(terms: &Terms) {
    allow_descriptors();
    let contender = Contender::parse(terms.text("contender"));
    let count = terms.number("count") as usize;
    let stalls = terms.number("stall") > 0;
    let messages = terms.number("milliseconds") * 1_000_000 / PERIOD;
    gst::init().expect("GStreamer starts");
    let mut crowd = Crowd::start(contender, count, stalls);

    // A sink that blocks while its peer stalls has a thread for itself, as in any pipeline; it is no other's fault.
    let own = if stalls { SLOW + 1 } else { 0 };
    let mut shares: Vec<Vec<(usize, Outlet)>> = (0..own + FEEDERS.min(count)).map(|_| Vec::new()).collect();
    for i in 0..count {
        let outlet = crowd.outlet(i);
        let share = if i < own { i } else { own + i % FEEDERS };
        shares[share].push((i, outlet));
    }
    shares.retain(|share| !share.is_empty());
    let feeding = shares.len();
    let start: Arc<OnceLock<u64>> = Arc::default();
    let begin = Arc::new(Barrier::new(feeding + 1));
    let script = Script::new();
    for mut share in shares {
        let (start, begin, script) = (Arc::clone(&start), Arc::clone(&begin), Arc::clone(&script));
        thread::spawn(move || {
            share.iter_mut().for_each(|(_, outlet)| outlet.open(&script));
            begin.wait();
            let at = start.get().expect("set before the barrier");
            for k in 0..messages {
                for (i, outlet) in &mut share {
                    clock::sleep_until(at + due(*i, count, k));
                    outlet.send(&script);
                }
            }
            share.iter_mut().for_each(|(_, outlet)| outlet.end(&script));
        });
    }
    crowd.peer.expect("ready");
    // Let those threads end that connecting has needed.
    thread::sleep(Duration::from_millis(500));

    let at = clock::now() + 200_000_000;
    start.set(at).expect("set once");
    begin.wait();
    clock::sleep_until(at);
    let cpu = clock::cpu();
    clock::sleep_until(at + PERIOD * messages / 2);
    let threads = threads().saturating_sub(feeding + 1);
    clock::sleep_until(at + PERIOD * messages);
    let (cpu, elapsed) = (clock::cpu() - cpu, clock::now() - at);

    let mut late: Vec<u64> = Vec::new();
    for _ in own..count {
        let times = crowd.peer.expect("times");
        let (i, times) = times.split_first().expect("the number of the sink");
        assert_eq!(times.len() as u64, messages, "messages of sink {i}");
        late.extend(
            (0..)
                .zip(times)
                .map(|(k, time)| time.saturating_sub(at + due(*i as usize, count, k))),
        );
    }
    late.sort_unstable();
    let part = |part: usize| late[(late.len() - 1) * part / 100];
    say(format_args!(
        "result {cpu} {elapsed} {threads} {} {} {}",
        part(100),
        part(99),
        part(50)
    ));
    // Some of the threads are still held up by their peers.
    std::process::exit(0);
}

/// Connects `count` elements one after the other, has each send two messages, and leaves them alone. Tells `result BYTES`:
/// memory of the process that each has added, whoever has asked for it and whether it is in use or not.
pub(crate) fn rest(terms: &Terms) {
    allow_descriptors();
    let contender = Contender::parse(terms.text("contender"));
    let count = terms.number("count") as usize;
    gst::init().expect("GStreamer starts");
    let mut crowd = Crowd::start(contender, BEFORE + count, false);
    let script = Script::new();
    let mut outlets = Vec::with_capacity(BEFORE + count);
    let mut before = 0;
    for i in 0..BEFORE + count {
        if i == BEFORE {
            thread::sleep(Duration::from_secs(1));
            before = memory();
        }
        let mut outlet = crowd.outlet(i);
        outlet.open(&script);
        outlets.push(outlet);
    }
    crowd.peer.expect("ready");
    thread::sleep(Duration::from_secs(1));
    let each = memory().saturating_sub(before) / count as u64;
    say(format_args!("result {each}"));
    std::process::exit(0);
}

/// Sinks of one process and the peer of them all.
struct Crowd {
    contender: Contender,
    peer: Peer,
    pipeline: gst::Pipeline,
}

impl Crowd {
    fn start(contender: Contender, count: usize, stalls: bool) -> Self {
        let server = Terms::new("peer-crowd")
            .with("count", count)
            .with("stall", u8::from(stalls))
            .with("plain", u8::from(contender == Contender::Plain));
        let pipeline = gst::Pipeline::new();
        // Nobody reads what the sinks say, and it is not to be kept.
        pipeline.bus().expect("a pipeline has a bus").set_flushing(true);
        pipeline.set_state(gst::State::Playing).expect("it is empty");
        Self {
            contender,
            peer: Peer::start(&server),
            pipeline,
        }
    }

    /// One more sink, which is connecting.
    fn outlet(&self, i: usize) -> Outlet {
        if self.contender == Contender::Plain {
            let mut stream = TcpStream::connect(("127.0.0.1", self.peer.port)).expect("the peer listens");
            stream.set_nodelay(true).expect("a TCP socket");
            stream
                .write_all(&(i as u32).to_be_bytes())
                .expect("the peer reads");
            return Outlet::Socket(stream);
        }
        let sink = self
            .contender
            .element(true, &format!("rtmp://127.0.0.1:{}/live/{i}", self.peer.port));
        self.pipeline.add(&sink).expect("a pipeline takes an element");
        sink.set_state(gst::State::Playing).expect("the sink starts");
        Outlet::Element(Publisher::feed(&sink), self.contender)
    }
}

/// Where a feeding thread puts its messages.
enum Outlet {
    Element(gst::Pad, Contender),
    Socket(TcpStream),
}

impl Outlet {
    /// Connects if that has not been done, and uses what is used for every message.
    fn open(&mut self, script: &Script) {
        if let Self::Element(pad, contender) = self {
            Publisher::push_file_header(pad, *contender);
            for buffer in [&script.buffer, &script.buffer, &script.mark] {
                pad.push(buffer.clone()).expect("the sink takes a tag");
            }
        }
    }

    fn send(&mut self, script: &Script) {
        match self {
            Self::Element(pad, _) => _ = pad.push(script.buffer.clone()),
            Self::Socket(stream) => _ = stream.write_all(&script.body),
        }
    }

    fn end(&mut self, script: &Script) {
        match self {
            Self::Element(pad, _) => _ = pad.push(script.mark.clone()),
            Self::Socket(stream) => _ = stream.shutdown(Shutdown::Write),
        }
    }
}

/// Hundreds of connections need more than the usual number of file descriptors.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("anybody may use what is granted");
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux").count()
}

/// Bytes of memory that the process has for itself alone: heaps, stacks, and what of files it has changed.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next());
    kilobytes
        .and_then(|number| number.parse::<u64>().ok())
        .expect("kilobytes")
        << 10
}

/// Commands may happen to be as long.
fn is_mark(message: &Counted) -> bool {
    message.type_id == VIDEO && message.length == MARK
}

/// What one publisher has sent.
struct Connection {
    stream: TcpStream,
    tally: Option<Tally>,
    index: usize,
    marks: u32,
    bytes: usize,
    times: Vec<u64>,
    is_over: bool,
}

impl Connection {
    /// An RTMP client whose stream's name is its number, or a plain one that begins with it.
    fn accept(mut stream: TcpStream, is_plain: bool) -> io::Result<Self> {
        let mut connection = Self {
            tally: None,
            index: 0,
            marks: 0,
            bytes: 0,
            times: Vec::new(),
            is_over: false,
            stream: stream.try_clone()?,
        };
        if is_plain {
            let mut number = [0; 4];
            stream.read_exact(&mut number)?;
            connection.index = u32::from_be_bytes(number) as usize;
            connection.marks = 1;
        } else {
            let mut marks = 0;
            stream.set_nodelay(true)?;
            let client = Client::accept(stream.into(), 4096, false, |message| {
                marks += u32::from(is_mark(&message))
            })?;
            connection.index = client.name.parse().expect("a number for a name");
            connection.marks = marks;
            connection.tally = Some(client.tally);
        }
        Ok(connection)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let taken = self.stream.read(buffer)?;
        self.is_over = taken == 0;
        let now = clock::now();
        match &mut self.tally {
            Some(tally) => {
                let (marks, times) = (&mut self.marks, &mut self.times);
                tally.feed(&buffer[..taken], |message| {
                    if is_mark(&message) {
                        *marks += 1;
                    } else if message.type_id == VIDEO && *marks > 0 {
                        times.push(now);
                    }
                });
            }
            None => {
                let before = self.bytes / SIZE;
                self.bytes += taken;
                self.times.extend((before..self.bytes / SIZE).map(|_| now));
                self.marks += u32::from(self.is_over);
            }
        }
        if self.marks == 2 {
            self.marks = 3;
            let words: Vec<String> = self.times.iter().map(u64::to_string).collect();
            say(format_args!("times {} {}", self.index, words.join(" ")));
        }
        Ok(())
    }
}

/// Serves `count` publishers. Tells `ready` when all have sent their first mark, and for each that sends its second
/// `times NUMBER TIME ..`.
pub(crate) fn serve(terms: &Terms) -> io::Result<()> {
    allow_descriptors();
    let count = terms.number("count") as usize;
    let stalls = terms.number("stall") > 0;
    let is_plain = terms.number("plain") > 0;
    let listener = listen();
    let (send, receive) = mpsc::channel();
    // All connect at once, and none is to wait for another.
    thread::spawn(move || {
        for stream in listener.incoming().take(count).flatten() {
            let send = send.clone();
            thread::spawn(move || {
                // Nobody hears of it any more once this process ends.
                let _ = send.send(Connection::accept(stream, is_plain));
            });
        }
    });
    let mut connections = receive.into_iter().collect::<io::Result<Vec<_>>>()?;
    let watch = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (key, connection) in (0..).zip(&connections) {
        let data = epoll::EventData::new_u64(key);
        epoll::add(&watch, &connection.stream, data, epoll::EventFlags::IN)?;
    }
    let mut events = Vec::with_capacity(count);
    let mut buffer = vec![0; 64 << 10];
    let mut is_ready = false;
    let mut slow_at = 0;
    loop {
        if !is_ready && connections.iter().all(|connection| connection.marks > 0) {
            is_ready = true;
            say(format_args!("ready"));
            if stalls {
                for connection in connections
                    .iter()
                    .filter(|one| matches!(one.index, STALLED | SLOW))
                {
                    epoll::delete(&watch, &connection.stream)?;
                }
            }
        }
        let now = clock::now();
        if stalls && is_ready && now > slow_at {
            slow_at = now + SLOW_PAUSE;
            if let Some(slow) = connections.iter_mut().find(|connection| connection.index == SLOW) {
                slow.read(&mut buffer[..SLOW_BYTES])?;
            }
        }
        events.clear();
        epoll::wait(&watch, spare_capacity(&mut events), Some(&PAUSE))?;
        for event in &events {
            let connection = &mut connections[event.data.u64() as usize];
            connection.read(&mut buffer)?;
            if connection.is_over {
                epoll::delete(&watch, &connection.stream)?;
            }
        }
    }
}
