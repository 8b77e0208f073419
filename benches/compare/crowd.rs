//! Many live sinks in one process, each fed by a thread of its own as in any pipeline, while one peer has stopped
//! reading and another is slow.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::Duration;

use gst::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};

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

/// Publishes by `count` elements for `milliseconds`, with `stall=1` while two peers do not keep up. Tells `result CPU NANOSECONDS
/// THREADS BYTES WORST P99 MEDIAN`: threads besides those that feed, bytes of heap that all elements together
/// have at rest, and how late messages were whole at those peers that keep up.
pub(crate) fn publish(terms: &Terms) {
    allow_descriptors();
    let contender = Contender::parse(terms.text("contender"));
    let count = terms.number("count") as usize;
    let stalls = terms.number("stall") > 0;
    let messages = terms.number("milliseconds") * 1_000_000 / PERIOD;
    let is_plain = contender == Contender::Plain;
    gst::init().expect("GStreamer starts");
    if !is_plain {
        // What all elements share is there already.
        drop(contender.element(true, "rtmp://127.0.0.1:1/live/bench"));
    }
    let server = Terms::new("peer-crowd")
        .with("count", count)
        .with("stall", u8::from(stalls))
        .with("plain", u8::from(is_plain));
    let mut peer = Peer::start(&server);
    let body = video_body(SIZE);
    let buffer = tag(9, 0, &body);
    let mark = tag(9, 0, &video_body(MARK));

    let start: Arc<OnceLock<u64>> = Arc::default();
    let begin = Arc::new(Barrier::new(count + 1));
    let mut feeders: Vec<Sender<Outlet>> = Vec::new();
    for i in 0..count {
        let (send, receive) = mpsc::channel::<Outlet>();
        let (start, begin) = (Arc::clone(&start), Arc::clone(&begin));
        let (buffer, mark, body) = (buffer.clone(), mark.clone(), body.clone());
        feeders.push(send);
        thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(move || {
                let Ok(mut outlet) = receive.recv() else { return };
                outlet.open(&buffer, &mark);
                begin.wait();
                let first = start.get().expect("set before the barrier") + PERIOD * i as u64 / count as u64;
                for k in 0..messages {
                    clock::sleep_until(first + PERIOD * k);
                    outlet.send(&buffer, &body);
                }
                outlet.end(&mark);
            })
            .expect("a thread");
    }
    let before = heap();

    let pipeline = (!is_plain).then(gst::Pipeline::new);
    let mut outlets = Vec::new();
    for i in 0..count {
        outlets.push(match &pipeline {
            None => {
                let mut stream = TcpStream::connect(("127.0.0.1", peer.port)).expect("the peer listens");
                stream.set_nodelay(true).expect("a TCP socket");
                stream
                    .write_all(&(i as u32).to_be_bytes())
                    .expect("the peer reads");
                Outlet::Socket(stream)
            }
            Some(pipeline) => {
                let sink = contender.element(true, &format!("rtmp://127.0.0.1:{}/live/{i}", peer.port));
                pipeline.add(&sink).expect("a pipeline takes an element");
                Outlet::Element(Publisher::feed(&sink), contender)
            }
        });
    }
    if let Some(pipeline) = &pipeline {
        pipeline.set_state(gst::State::Playing).expect("the sinks start");
    }
    for (feeder, outlet) in feeders.iter().zip(outlets) {
        feeder.send(outlet).expect("it waits for that");
    }
    peer.expect("ready");
    // Let those threads end that connecting has needed.
    thread::sleep(Duration::from_millis(500));
    let memory = heap().saturating_sub(before);

    let at = clock::now() + 200_000_000;
    start.set(at).expect("set once");
    begin.wait();
    clock::sleep_until(at);
    let cpu = clock::cpu();
    clock::sleep_until(at + PERIOD * messages / 2);
    let threads = threads().saturating_sub(count + 1);
    clock::sleep_until(at + PERIOD * messages);
    let (cpu, elapsed) = (clock::cpu() - cpu, clock::now() - at);

    let heard = if stalls { count - 2 } else { count };
    let mut late: Vec<u64> = Vec::new();
    for _ in 0..heard {
        let times = peer.expect("times");
        let (i, times) = times.split_first().expect("the number of the sink");
        assert_eq!(times.len() as u64, messages, "messages of sink {i}");
        let first = at + PERIOD * i / count as u64;
        late.extend(
            (0..)
                .zip(times)
                .map(|(k, time)| time.saturating_sub(first + PERIOD * k)),
        );
    }
    late.sort_unstable();
    let part = |part: usize| late[(late.len() - 1) * part / 100];
    say(format_args!(
        "result {cpu} {elapsed} {threads} {memory} {} {} {}",
        part(100),
        part(99),
        part(50)
    ));
    // Some of the threads are still held up by their peers.
    std::process::exit(0);
}

/// Where a feeding thread puts its messages.
enum Outlet {
    Element(gst::Pad, Contender),
    Socket(TcpStream),
}

impl Outlet {
    /// Connects if that has not been done, and uses what is used for every message.
    fn open(&mut self, buffer: &gst::Buffer, mark: &gst::Buffer) {
        if let Self::Element(pad, contender) = self {
            Publisher::push_file_header(pad, *contender);
            for buffer in [buffer, buffer, mark] {
                pad.push(buffer.clone()).expect("the sink takes a tag");
            }
        }
    }

    fn send(&mut self, buffer: &gst::Buffer, body: &[u8]) {
        match self {
            Self::Element(pad, _) => _ = pad.push(buffer.clone()),
            Self::Socket(stream) => _ = stream.write_all(body),
        }
    }

    fn end(&mut self, mark: &gst::Buffer) {
        match self {
            Self::Element(pad, _) => _ = pad.push(mark.clone()),
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

/// Bytes of the heap that are in memory. The runner has malloc take everything from there.
fn heap() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps").expect("Linux");
    let heap = text.split_once("[heap]").map_or("", |(_, rest)| rest);
    let line = heap.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
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
            let client = Client::accept(stream, 4096, false, |message| {
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
    let mut buffer = vec![0; 64 << 10];
    let mut is_ready = false;
    let mut slow_at = 0;
    loop {
        if !is_ready && connections.iter().all(|connection| connection.marks > 0) {
            is_ready = true;
            say(format_args!("ready"));
        }
        let now = clock::now();
        if stalls && is_ready && now > slow_at {
            slow_at = now + SLOW_PAUSE;
            if let Some(slow) = connections.iter_mut().find(|connection| connection.index == SLOW) {
                slow.read(&mut buffer[..SLOW_BYTES])?;
            }
        }
        let is_read = |connection: &Connection| {
            let is_left_alone = stalls && is_ready && matches!(connection.index, STALLED | SLOW);
            !(connection.is_over || is_left_alone)
        };
        let mut polled: Vec<PollFd<'_>> = connections
            .iter()
            .filter(|connection| is_read(connection))
            .map(|connection| PollFd::new(&connection.stream, PollFlags::IN))
            .collect();
        let patience = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        poll(&mut polled, Some(&patience))?;
        let readable: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        let read = connections.iter_mut().filter(|connection| is_read(connection));
        for (connection, _) in read.zip(readable).filter(|(_, readable)| *readable) {
            connection.read(&mut buffer)?;
        }
    }
}
