//! The other end of the connection, in a process of its own so that its CPU is not the element's.
//!
//! A peer prints `port NUMBER`, serves one connection, and tells on its standard output what it saw.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use gstrtmp::session::{Event, Input, Media, MediaKind, Request, ServerConfig, Session};
use gstrtmp::timestamp::Timestamp;

use crate::tally::{Counted, Tally};
use crate::terms::Terms;
use crate::wire::Wire;
use crate::{clock, path};

/// Bytes of C0, C1 and C2, RTMP 1.0 section 5.2.
const HANDSHAKE: usize = 1 + 1536 + 1536;

/// Length of the messages by which a publisher marks the beginning and the end of what is measured.
pub(crate) const MARK: usize = 33;

/// Where in the body of a paced message its number stands, from 1 on.
pub(crate) const NUMBER: usize = 5;

/// Bytes asked of the kernel at once.
const READ_SIZE: usize = 256 << 10;

/// Bytes of the messages that are written over and over.
const BLOCK: usize = 1 << 20;

/// Most of those messages.
const BLOCK_MESSAGES: usize = 1024;

/// A peer as its user sees it. Is killed when dropped.
pub(crate) struct Peer {
    child: Child,
    output: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Peer {
    pub(crate) fn start(terms: &Terms) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("a program knows its file"))
            .args(terms.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the harness can start itself");
        let output = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        let mut peer = Self {
            child,
            output,
            port: 0,
        };
        peer.port = peer.expect("port")[0].try_into().expect("a port number");
        peer
    }

    /// Waits for the line that begins with `word` and gives the numbers behind it.
    pub(crate) fn expect(&mut self, word: &str) -> Vec<u64> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the peer's line is readable");
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some(word), "what the peer said");
        words.map(|number| number.parse().expect("a number")).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this process when the one that started it has ended, however it did.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0; 1]);
        std::process::exit(1);
    });
}

/// Prints one line at once.
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    // Whoever started this may have heard enough.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

pub(crate) fn listen() -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on the loopback interface");
    let address = listener.local_addr().expect("a bound socket has an address");
    say(format_args!("port {}", address.port()));
    listener
}

/// Whether only a session can read what is sent.
fn is_enciphered(terms: &Terms) -> bool {
    terms.text("scheme") == "rtmpe"
}

/// The one connection that a peer serves, by the scheme of `terms` and over a path with `delay` nanoseconds each way;
/// with `accepted=1` the time is told at which it was there.
fn connection(terms: &Terms) -> io::Result<Wire> {
    let listener = listen();
    let (mut stream, _) = listener.accept()?;
    if terms.number("accepted") > 0 {
        say(format_args!("accepted {}", clock::now()));
    }
    let delay = terms.number("delay");
    if delay > 0 {
        stream = path::lay(stream, delay)?;
    }
    stream.set_nodelay(true)?;
    Ok(Wire::accepted(stream, listener, terms))
}

/// A client that has come as far as media.
pub(crate) struct Client {
    pub(crate) stream: Wire,
    pub(crate) session: Session,
    pub(crate) tally: Tally,
    /// Of the stream.
    pub(crate) name: String,
    /// What the session has not taken yet.
    input: BytesMut,
}

impl Client {
    /// Answers everything until media may flow; what the publisher sent by then is told to `counted`. What
    /// `is_enciphered` only the session can read.
    pub(crate) fn accept(
        mut stream: Wire,
        chunk_size: u32,
        is_enciphered: bool,
        mut counted: impl FnMut(Counted),
    ) -> io::Result<Self> {
        let mut config = ServerConfig::new([7; 32]);
        config.chunk_size = chunk_size;
        let mut session = Session::server(Arc::new(config), Instant::now());
        let mut tally = Tally::new();
        let mut handshake = HANDSHAKE;
        let mut input = BytesMut::new();
        let mut buffer = vec![0; READ_SIZE];
        let mut name = String::new();
        let mut is_ready = false;
        while !is_ready {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let bytes = &buffer[..count];
            let skipped = handshake.min(count);
            handshake -= skipped;
            if !is_enciphered {
                tally.feed(&bytes[skipped..], &mut counted);
            }
            input.extend_from_slice(bytes);
            loop {
                let now = Instant::now();
                session
                    .handle_input(now, Input::Stream(&mut input))
                    .expect("a client that speaks RTMP");
                let mut answered = false;
                while let Some(event) = session.poll_event() {
                    if let Event::Requested(request) = &event {
                        if let Request::Publish { stream, .. } | Request::Play { stream, .. } = request {
                            name = stream.to_str_lossy().into_owned();
                        }
                        session.answer(now, request, Ok(())).expect("it has asked");
                        answered = true;
                    }
                    is_ready |= event == Event::Ready;
                    if let (Event::Media(media), true) = (event, is_enciphered) {
                        counted(Counted::from(&media));
                    }
                }
                if !answered {
                    break;
                }
            }
            stream.write_all(&taken(&mut session))?;
        }
        Ok(Self {
            stream,
            session,
            tally,
            name,
            input,
        })
    }
}

impl From<&Media> for Counted {
    fn from(media: &Media) -> Self {
        Self {
            type_id: if media.kind == MediaKind::Audio { 8 } else { 9 },
            length: media.len(),
        }
    }
}

/// What the session wants written.
fn taken(session: &mut Session) -> Bytes {
    session
        .poll_transmit(Instant::now())
        .map_or_else(Bytes::new, |queue| queue.copy_to_bytes(queue.remaining()))
}

/// Reads what is published. Tells `mark TIME MESSAGES BYTES` for each mark, and with `record=1` before it
/// `times TIME ..` of each message since the mark before.
pub(crate) fn read(terms: &Terms) -> io::Result<()> {
    let records = terms.number("record") > 0;
    let stream = connection(terms)?;
    let mut messages = 0_u64;
    let mut bytes = 0_u64;
    let mut times = Vec::new();
    let mut count = move |message: Counted| {
        if !matches!(message.type_id, 8 | 9) {
            return;
        }
        let now = if records || message.length == MARK {
            clock::now()
        } else {
            0
        };
        if message.length == MARK {
            if records {
                say_times(&mut times);
            }
            say(format_args!("mark {now} {messages} {bytes}"));
            (messages, bytes) = (0, 0);
            return;
        }
        messages += 1;
        bytes += message.length as u64;
        if records {
            times.push(now);
        }
    };
    let is_enciphered = is_enciphered(terms);
    let mut client = Client::accept(stream, 4096, is_enciphered, &mut count)?;
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let taken = client.stream.read(&mut buffer)?;
        if taken == 0 {
            return Ok(());
        }
        if is_enciphered {
            client.input.extend_from_slice(&buffer[..taken]);
            client
                .session
                .handle_input(Instant::now(), Input::Stream(&mut client.input))
                .expect("a client that speaks RTMP");
            while let Some(event) = client.session.poll_event() {
                if let Event::Media(media) = event {
                    count(Counted::from(&media));
                }
            }
            continue;
        }
        client.tally.feed(&buffer[..taken], &mut count);
    }
}

fn say_times(times: &mut Vec<u64>) {
    let words: Vec<String> = times.drain(..).map(|time| time.to_string()).collect();
    say(format_args!("times {}", words.join(" ")));
}

/// Reads messages of `size` bytes that are nothing but payload, to compare with. Tells `mark TIME MESSAGES BYTES` at
/// the end, and with `record=1` the times before it.
pub(crate) fn read_plain(terms: &Terms) -> io::Result<()> {
    let records = terms.number("record") > 0;
    let size = terms.number("size");
    let mut stream = connection(terms)?;
    let mut buffer = vec![0; READ_SIZE];
    let mut times = Vec::new();
    let mut bytes = 0;
    loop {
        let taken = stream.read(&mut buffer)? as u64;
        if taken == 0 {
            break;
        }
        let before = bytes / size;
        bytes += taken;
        if records {
            let now = clock::now();
            times.extend((before..bytes / size).map(|_| now));
        }
    }
    let now = clock::now();
    if records {
        say_times(&mut times);
    }
    say(format_args!("mark {now} {} {bytes}", bytes / size));
    Ok(())
}

/// The body of a video message of `size` bytes.
pub(crate) fn video_body(size: usize) -> Vec<u8> {
    // FLV 10.1 section E.4.3.1: an inter frame of AVC, one NAL unit.
    let mut body = vec![0x27, 1, 0, 0, 0];
    // Where others have a number there is none.
    body.extend([0; 4]);
    body.extend((0..size).map(|i| (i % 251) as u8));
    body.truncate(size);
    body
}

/// A sequence header of AVC, ISO/IEC 14496-15 section 5.3.3.1.
pub(crate) const SEQUENCE_HEADER: &[u8] = &[
    0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 9, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6,
    0x80, 1, 0, 4, 0x68, 0xce, 0x3c, 0x80,
];

/// Messages of one size as a server sends them: first what opens the stream, then a block that can be repeated.
struct Repeated {
    kind: MediaKind,
    body: Bytes,
    /// Of the next message.
    at: Timestamp,
}

impl Repeated {
    fn new(size: usize, kind: MediaKind) -> Self {
        let body = match kind {
            MediaKind::Video => Bytes::from(video_body(size)),
            MediaKind::Audio | MediaKind::Data => Bytes::from(audio_body(size)),
        };
        let at = Timestamp::ZERO;
        Self { kind, body, at }
    }

    fn send(&mut self, session: &mut Session, body: Bytes) {
        let media = Media {
            kind: self.kind,
            timestamp: self.at,
            head: Bytes::new(),
            body,
        };
        session
            .send(Instant::now(), media)
            .expect("a player that is ready");
        self.at = self.at.advanced(1);
    }

    /// To be written at once: whoever waits for the first media is not to wait for the block as well.
    fn opening(&mut self, session: &mut Session) -> Bytes {
        if self.kind == MediaKind::Video {
            self.send(session, Bytes::from_static(SEQUENCE_HEADER));
        }
        let mut key_frame = self.body.to_vec();
        key_frame[0] = 0x17;
        self.send(session, key_frame.into());
        // Headers are compressed by what goes before them, so that the first of them all is not the repeated one.
        self.send(session, self.body.clone());
        self.send(session, self.body.clone());
        taken(session)
    }

    fn block(&mut self, session: &mut Session) -> Bytes {
        for _ in 0..(BLOCK / self.body.len()).clamp(1, BLOCK_MESSAGES) {
            self.send(session, self.body.clone());
        }
        taken(session)
    }
}

/// The body of an audio message of `size` bytes: AAC, FLV 10.1 section E.4.2.1.
pub(crate) fn audio_body(size: usize) -> Vec<u8> {
    let mut body = vec![0xaf, 1];
    body.extend((0..size).map(|i| (i % 251) as u8));
    body.truncate(size);
    body
}

/// Serves one player with messages of `size` bytes in chunks of `chunk`, as fast as it reads; or `count` of them,
/// `rate` a second, and tells `times TIME ..` when each was about to be written. `plain=1` writes the same bytes
/// without RTMP around them.
pub(crate) fn write(terms: &Terms) -> io::Result<()> {
    let size = terms.number("size") as usize;
    let chunk_size = u32::try_from(terms.number("chunk")).expect("a chunk size");
    let is_enciphered = is_enciphered(terms);
    let mut repeated = Repeated::new(size, MediaKind::Video);
    let stream = connection(terms)?;
    let mut client = if terms.number("plain") > 0 {
        Client {
            session: player(chunk_size),
            stream,
            tally: Tally::new(),
            name: String::new(),
            input: BytesMut::new(),
        }
    } else {
        Client::accept(stream, chunk_size, is_enciphered, |_| {})?
    };
    let rate = terms.number("rate");
    if let Some(period) = 1_000_000_000_u64.checked_div(rate) {
        let mut times = Vec::new();
        client.stream.write_all(&repeated.opening(&mut client.session))?;
        let block = repeated.block(&mut client.session);
        let messages = (BLOCK / size).clamp(1, BLOCK_MESSAGES);
        let mut message = block[..block.len() / messages].to_vec();
        // The header of the first chunk is what is there beside the body and the headers of the others, one byte each.
        let header = message.len() - size - (size - 1) / chunk_size as usize;
        let mut next = clock::now() + 300_000_000;
        for i in 0..terms.number("count") {
            message[header + NUMBER..header + NUMBER + 4].copy_from_slice(&(i as u32 + 1).to_be_bytes());
            clock::sleep_until(next);
            next += period;
            times.push(clock::now());
            client.stream.write_all(&message)?;
        }
        say_times(&mut times);
        // The player has closed when it has heard that.
        let _ = client.stream.read(&mut [0; 1]);
        return Ok(());
    }
    if is_enciphered {
        // No two blocks are alike.
        let mut body = video_body(size);
        body[0] = 0x17;
        return write_enciphered(&mut client, &body.into());
    }
    client.stream.write_all(&repeated.opening(&mut client.session))?;
    let block = repeated.block(&mut client.session);
    loop {
        client.stream.write_all(&block)?;
    }
}

/// Writes `body` over and over, each time enciphered anew.
fn write_enciphered(client: &mut Client, body: &Bytes) -> io::Result<()> {
    let mut message = |body| {
        let media = Media {
            kind: MediaKind::Video,
            timestamp: Timestamp::ZERO,
            head: Bytes::new(),
            body,
        };
        let now = Instant::now();
        client.session.send(now, media).expect("a player that is ready");
        client.stream.write_all(&taken(&mut client.session))
    };
    message(Bytes::from_static(SEQUENCE_HEADER))?;
    loop {
        message(body.clone())?;
    }
}

/// A server's session with a player that nobody has to connect, for the bytes that it writes.
fn player(chunk_size: u32) -> Session {
    use gstrtmp::amf::Text;
    use gstrtmp::session::{ClientConfig, Intent, PlayStart};

    let now = Instant::now();
    let mut config = ServerConfig::new([7; 32]);
    config.chunk_size = chunk_size;
    let mut server = Session::server(Arc::new(config), now);
    let intent = Intent::Play {
        start: PlayStart::Any,
        buffer_length: 0,
    };
    let text = |text: &str| Text::from(text);
    let config = ClientConfig::new(
        intent,
        text("live"),
        text("rtmp://localhost/live"),
        text("bench"),
        [9; 32],
    );
    let mut client = Session::client(Arc::new(config), now);
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    loop {
        to_server.extend_from_slice(&taken(&mut client));
        server
            .handle_input(now, Input::Stream(&mut to_server))
            .expect("our own client");
        while let Some(event) = server.poll_event() {
            if let Event::Requested(request) = &event {
                server.answer(now, request, Ok(())).expect("it has asked");
            }
            if event == Event::Ready {
                taken(&mut server);
                return server;
            }
        }
        to_client.extend_from_slice(&taken(&mut server));
        client
            .handle_input(now, Input::Stream(&mut to_client))
            .expect("our own server");
    }
}
