//! An RTMP server that does what a test writes down, step by step, and misbehaves if told so.
//!
//! ```ignore
//! let server = Server::start(|script| {
//!     let mut client = script.accept()?;
//!     client.handshake()?;
//!     let connect = client.expect_command("connect")?;
//!     client.send_command(0, &connect_result(&connect))?;
//!     client.read_to_end()
//! })?;
//! // ... drive an element at server.url("live", "key") ...
//! let connections = server.join()?;
//! ```
//!
//! The script runs on a thread of its own. All that clients send is recorded and can be looked at while the script
//! goes on: [`Server::wait_for`]. Where a script has to wait for its test, it does so with [`Client::wait_for_cue`].
//! Every step has a deadline, so that a script ends whatever the other end does.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use gstrtmp::amf::{Text, Value};
use gstrtmp::chunk::{self, Outgoing, Output};
use gstrtmp::handshake::{self, Entropy};
use gstrtmp::message::{self, Command, Control, Incoming, Level, Status, UserControl, type_id};
use gstrtmp::timestamp::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use super::wait::LONG;
use super::{Context, Failure, Result};

/// Chunk streams that the script sends on unless told otherwise: those of nginx-rtmp.
pub const CONTROL_CHUNKS: u32 = 2;
pub const COMMAND_CHUNKS: u32 = 3;
pub const STATUS_CHUNKS: u32 = 5;
pub const MEDIA_CHUNKS: u32 = 6;

/// Bytes of C0 and C1, of C2 and of S0, S1 and S2 together.
pub const C0C1: usize = 1537;
pub const C2: usize = 1536;
pub const S0S1S2: usize = 1537 + 1536;

/// Bytes taken off the socket at a time.
const READ_SIZE: usize = 64 << 10;

/// Bytes of a receive buffer that makes a peer stall soon. The kernel doubles it.
const SMALL_BUFFER: usize = 4 << 10;

/// What a client sent on one connection, in order.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Whether the client's part of the handshake came to its end.
    pub handshaken: bool,
    /// Whole messages.
    pub messages: Vec<Received>,
    /// Bytes received, handshake included.
    pub bytes: u64,
    /// How the client ended the connection, if it has.
    pub end: Option<End>,
}

impl Connection {
    /// The messages of one type.
    pub fn of_type(&self, type_id: u8) -> impl Iterator<Item = &Received> {
        self.messages.iter().filter(move |m| m.type_id == type_id)
    }

    /// Audio, video and data messages.
    pub fn media(&self) -> impl Iterator<Item = &Received> {
        self.messages.iter().filter(|message| message.is_media())
    }

    /// The commands, in order.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.messages
            .iter()
            .filter_map(|message| message.command.as_ref())
    }

    /// The names of the commands, in order.
    pub fn command_names(&self) -> Vec<String> {
        self.commands()
            .map(|command| command.name.to_str_lossy().into_owned())
            .collect()
    }

    /// The first command of this name.
    pub fn command(&self, name: &str) -> Result<&Command> {
        self.commands()
            .find(|command| command.name == name)
            .ok_or_else(|| Failure::new(format!("no {name} among {:?}", self.command_names())))
    }
}

/// One message as the client sent it.
#[derive(Clone, PartialEq)]
pub struct Received {
    /// Chunk stream.
    pub chunk_stream: u32,
    /// Milliseconds.
    pub timestamp: u32,
    /// Message type.
    pub type_id: u8,
    /// Message stream.
    pub stream_id: u32,
    /// The bytes of the message.
    pub payload: Bytes,
    /// What types 17 and 20 say.
    pub command: Option<Command>,
    /// When its last byte had come.
    pub at: Instant,
}

impl Received {
    /// Whether it is audio, video or data.
    pub const fn is_media(&self) -> bool {
        matches!(
            self.type_id,
            type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 | type_id::DATA_AMF3
        )
    }

    /// Type, timestamp and payload: all that there is to a media message.
    pub fn content(&self) -> (u8, u32, &[u8]) {
        (self.type_id, self.timestamp, &self.payload)
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            type_id, timestamp, ..
        } = self;
        match &self.command {
            Some(command) => write!(f, "{}", command.name.to_str_lossy()),
            None => write!(f, "type {type_id} at {timestamp} of {} B", self.payload.len()),
        }
    }
}

/// How a client ended its side of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// With FIN, in good order.
    Fin,
    /// With RST.
    Reset,
}

/// What can be chosen of a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Receives into so little memory that a client which is not read from is blocked after a few messages.
    pub small_buffers: bool,
    /// Where to listen; a port that the system chooses if unset.
    pub address: Option<SocketAddr>,
}

/// A scripted server, as its test holds it.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    cues: Sender<()>,
    ended: Receiver<Result<()>>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<Connection>>,
    changed: Condvar,
    /// Whether a script closed a connection by [`Client::cut_after`], so that its later steps may fail.
    cut: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, index: usize, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.lock().get_mut(index) {
            change(connection);
        }
        self.changed.notify_all();
    }
}

impl Server {
    /// Listens on a loopback port and runs `script`.
    pub fn start(script: impl FnOnce(&mut Script) -> Result<()> + Send + 'static) -> Result<Self> {
        Self::with(Options::default(), script)
    }

    /// As [`start`](Self::start), with options.
    pub fn with(
        options: Options,
        script: impl FnOnce(&mut Script) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let address = options
            .address
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = TcpListener::bind(address).context("binding a loopback port")?;
        if options.small_buffers {
            // Accepted sockets inherit it.
            SockRef::from(&listener).set_recv_buffer_size(SMALL_BUFFER)?;
        }
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (cues, cue) = mpsc::channel();
        let (sender, ended) = mpsc::channel();
        let mut stage = Script {
            listener,
            shared: Arc::clone(&shared),
            cue: Arc::new(Mutex::new(cue)),
        };
        let thread = thread::Builder::new().name("script".into()).spawn(move || {
            let result = script(&mut stage);
            // The test may be over already.
            let _ = sender.send(result);
        })?;
        Ok(Self {
            address,
            shared,
            cues,
            ended,
            thread,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a stream.
    pub fn url(&self, application: &str, stream: &str) -> String {
        format!("rtmp://{}/{application}/{stream}", self.address)
    }

    /// Lets the script go on behind its next [`Client::wait_for_cue`] or [`Script::wait_for_cue`].
    pub fn cue(&self) {
        // A script that has failed says so in join().
        let _ = self.cues.send(());
    }

    /// Looks at what clients have sent, whenever something has come, until `condition` gives a value. `what`
    /// completes the sentence "gave up waiting for".
    pub fn wait_for<T>(
        &self,
        what: &str,
        mut condition: impl FnMut(&[Connection]) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + LONG;
        let mut connections = self.shared.lock();
        loop {
            if let Some(value) = condition(&connections) {
                return Ok(value);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::new(format!(
                    "gave up waiting for {what}; the server has {:?}",
                    *connections
                )));
            }
            connections = self
                .shared
                .changed
                .wait_timeout(connections, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the clients have sent `count` media messages in all.
    pub fn wait_for_media(&self, count: usize) -> Result<()> {
        self.wait_for(&format!("{count} media messages"), |connections| {
            let got: usize = connections.iter().map(|c| c.media().count()).sum();
            (got >= count).then_some(())
        })
    }

    /// Waits until a client has sent the command.
    pub fn wait_for_command(&self, name: &str) -> Result<()> {
        self.wait_for(name, |connections| {
            let mut commands = connections.iter().flat_map(Connection::commands);
            commands.any(|command| command.name == name).then_some(())
        })
    }

    /// Waits for the end of the script; what its clients have sent.
    pub fn join(self) -> Result<Vec<Connection>> {
        match self.ended.recv_timeout(LONG) {
            Ok(Err(_)) if self.shared.cut.load(Ordering::SeqCst) => {}
            Ok(result) => result.context("the script")?,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Failure::new(format!(
                    "the script goes on for ever; it has {:?}",
                    *self.shared.lock()
                )));
            }
            Err(RecvTimeoutError::Disconnected) => {}
        }
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
        Ok(std::mem::take(&mut *self.shared.lock()))
    }

    /// As [`join`](Self::join), for a script with one connection.
    pub fn join_one(self) -> Result<Connection> {
        let mut connections = self.join()?;
        match (connections.pop(), connections.len()) {
            (Some(connection), 0) => Ok(connection),
            (_, more) => Err(Failure::new(format!(
                "one connection was expected, {more} more or none came"
            ))),
        }
    }
}

/// What a script has at its start: a listening socket.
pub struct Script {
    listener: TcpListener,
    shared: Arc<Shared>,
    cue: Arc<Mutex<Receiver<()>>>,
}

impl Script {
    /// Waits for the next client.
    pub fn accept(&mut self) -> Result<Client> {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        let patience = Timespec::try_from(LONG).context("converting the deadline")?;
        if poll(&mut fds, Some(&patience))? == 0 {
            return Err(Failure::new("no client connected"));
        }
        let (stream, _) = self.listener.accept().context("accepting a client")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LONG))?;
        stream.set_write_timeout(Some(LONG))?;
        let index = {
            let mut connections = self.shared.lock();
            connections.push(Connection::default());
            connections.len() - 1
        };
        self.shared.changed.notify_all();
        Ok(Client {
            stream,
            index,
            shared: Arc::clone(&self.shared),
            cue: Arc::clone(&self.cue),
            input: BytesMut::new(),
            reader: chunk::Reader::new(),
            writer: chunk::Writer::new(),
            trickles: false,
            cut_after: None,
        })
    }

    /// Waits for [`Server::cue`].
    pub fn wait_for_cue(&self) -> Result<()> {
        wait_for_cue(&self.cue)
    }
}

fn wait_for_cue(cue: &Mutex<Receiver<()>>) -> Result<()> {
    let cue = cue.lock().unwrap_or_else(PoisonError::into_inner);
    cue.recv_timeout(LONG)
        .map_err(|_| Failure::new("the test gave no cue"))
}

/// One client of a script. Dropping it closes the connection as [`close`](Self::close) does.
pub struct Client {
    stream: TcpStream,
    index: usize,
    shared: Arc<Shared>,
    cue: Arc<Mutex<Receiver<()>>>,
    input: BytesMut,
    reader: chunk::Reader,
    writer: chunk::Writer,
    trickles: bool,
    cut_after: Option<usize>,
}

/// Receiving.
impl Client {
    /// Waits for [`Server::cue`] without reading: the client meets a server that has stalled.
    pub fn wait_for_cue(&self) -> Result<()> {
        wait_for_cue(&self.cue)
    }

    /// Takes one read's worth of bytes, at most `limit`. 0 at the end, which is recorded.
    fn receive(&mut self, limit: usize) -> Result<usize> {
        let mut bytes = vec![0; limit.min(READ_SIZE)];
        let count = match self.stream.read(&mut bytes) {
            Ok(0) => {
                self.record_end(End::Fin);
                0
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.record_end(End::Reset);
                0
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Failure::new(format!("the client sent nothing for {LONG:?}")));
            }
            Err(error) => return Err(error).context("reading from the client"),
        };
        self.input
            .extend_from_slice(bytes.get(..count).unwrap_or_default());
        self.shared.record(self.index, |connection| {
            connection.bytes = connection.bytes.saturating_add(count as u64);
        });
        Ok(count)
    }

    fn record_end(&self, end: End) {
        self.shared.record(self.index, |connection| {
            connection.end.get_or_insert(end);
        });
    }

    /// Exactly `count` bytes, whatever they are.
    pub fn read_raw(&mut self, count: usize) -> Result<Bytes> {
        while self.input.len() < count {
            if self.receive(count - self.input.len())? == 0 {
                return Err(Failure::new(format!("the client closed before byte {count}")));
            }
        }
        Ok(self.input.split_to(count).freeze())
    }

    /// The next message, or `None` at the end of the connection.
    pub fn read_message(&mut self) -> Result<Option<Received>> {
        loop {
            if let Some(message) = self.reader.read(&mut self.input).context("reading a message")? {
                return self.record(message).map(Some);
            }
            if self.receive(READ_SIZE)? == 0 {
                return Ok(None);
            }
        }
    }

    /// Keeps a message and obeys it as far as chunks go.
    fn record(&mut self, message: chunk::Message) -> Result<Received> {
        let mut received = Received {
            chunk_stream: message.chunk_stream,
            timestamp: message.timestamp.millis(),
            type_id: message.type_id,
            stream_id: message.stream_id,
            payload: message.payload.clone(),
            command: None,
            at: Instant::now(),
        };
        match message::decode(message).context("decoding a message of the client")? {
            Incoming::Command(command) => received.command = Some(command),
            Incoming::Control(Control::SetChunkSize(size)) => self.reader.set_chunk_size(size),
            _ => {}
        }
        let kept = received.clone();
        self.shared
            .record(self.index, |connection| connection.messages.push(kept));
        Ok(received)
    }

    /// Reads up to and including the first message that `is_it`.
    pub fn read_until(&mut self, what: &str, is_it: impl Fn(&Received) -> bool) -> Result<Received> {
        loop {
            match self.read_message()? {
                Some(message) if is_it(&message) => return Ok(message),
                Some(_) => {}
                None => return Err(Failure::new(format!("the client closed before {what}"))),
            }
        }
    }

    /// Reads up to and including the command of this name.
    pub fn expect_command(&mut self, name: &str) -> Result<Command> {
        let found = self.read_until(name, |message| {
            message
                .command
                .as_ref()
                .is_some_and(|command| command.name == name)
        })?;
        found
            .command
            .ok_or_else(|| Failure::new(format!("{name} is no command")))
    }

    /// Reads `count` media messages.
    pub fn read_media(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.read_until("a media message", Received::is_media)?;
        }
        Ok(())
    }

    /// Reads until the client ends the connection and keeps nothing of it.
    pub fn drain(&mut self) -> Result<()> {
        while self.receive(READ_SIZE)? > 0 {
            self.input.clear();
        }
        Ok(())
    }

    /// Reads until the client ends the connection, in whatever way.
    pub fn read_to_end(&mut self) -> Result<()> {
        while self.read_message()?.is_some() {}
        Ok(())
    }
}

/// Sending.
impl Client {
    /// From now on every byte goes out by itself.
    pub const fn trickle(&mut self) {
        self.trickles = true;
    }

    /// Closes the connection in good order when `bytes` more have been sent. The steps of the script after that
    /// fail, and its server takes no offence.
    pub const fn cut_after(&mut self, bytes: usize) {
        self.cut_after = Some(bytes);
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.cut_after.unwrap_or(usize::MAX).min(bytes.len());
        let due = bytes.get(..end).unwrap_or_default();
        let piece = if self.trickles { 1 } else { due.len().max(1) };
        for piece in due.chunks(piece) {
            self.stream.write_all(piece).context("sending to the client")?;
        }
        if let Some(left) = &mut self.cut_after {
            *left -= due.len();
            if *left == 0 {
                self.shared.cut.store(true, Ordering::SeqCst);
                self.finish()?;
                return Err(Failure::new("the connection was cut as wished"));
            }
        }
        Ok(())
    }

    /// The server's end of the handshake, both ways.
    pub fn handshake(&mut self) -> Result<()> {
        self.answer_handshake()?;
        self.read_c2()
    }

    /// Reads C0 and C1, and sends S0, S1 and S2.
    pub fn answer_handshake(&mut self) -> Result<()> {
        let mut hello = BytesMut::from(self.read_raw(C0C1)?);
        let mut handshake = handshake::Server::new(&mut Entropy::new([1; 32]));
        handshake
            .handle_input(&mut hello, 0)
            .context("reading the client's handshake")?;
        let answer = handshake.poll_transmit().unwrap_or_default();
        self.send_raw(&answer)
    }

    /// Reads C2. What it says is the handshake's own tests' business.
    pub fn read_c2(&mut self) -> Result<()> {
        self.read_raw(C2)?;
        self.shared
            .record(self.index, |connection| connection.handshaken = true);
        Ok(())
    }

    /// Sends a message.
    pub fn send(&mut self, message: Outgoing) -> Result<()> {
        let mut chunks = Chunks::default();
        self.writer
            .write(message, &mut chunks)
            .context("writing a message")?;
        self.send_raw(&chunks.0)
    }

    /// The bytes that [`send`](Self::send) would send; the chunk streams' state goes on as if it had.
    pub fn encode(&mut self, message: Outgoing) -> Result<Vec<u8>> {
        let mut chunks = Chunks::default();
        self.writer
            .write(message, &mut chunks)
            .context("writing a message")?;
        Ok(chunks.0)
    }

    /// Sends a protocol control message.
    pub fn send_control(&mut self, control: Control) -> Result<()> {
        let (type_id, body) = control.encode();
        self.send(outgoing(CONTROL_CHUNKS, 0, type_id, 0, body))
    }

    /// Sends a user control message.
    pub fn send_user_control(&mut self, event: &UserControl) -> Result<()> {
        let body = event.encode();
        self.send(outgoing(CONTROL_CHUNKS, 0, type_id::USER_CONTROL, 0, body))
    }

    /// Announces a chunk size and uses it from then on.
    pub fn set_chunk_size(&mut self, bytes: u32) -> Result<()> {
        self.send_control(Control::SetChunkSize(bytes))?;
        self.writer.set_chunk_size(bytes);
        Ok(())
    }

    /// Sends a command on a message stream.
    pub fn send_command(&mut self, stream_id: u32, command: &Command) -> Result<()> {
        let (type_id, body) = command.encode();
        self.send(outgoing(COMMAND_CHUNKS, stream_id, type_id, 0, body))
    }

    /// Sends an onStatus.
    pub fn send_status(&mut self, stream_id: u32, level: Level, code: &str, description: &str) -> Result<()> {
        let command = Command::on_status(&Status::new(level, code, description));
        let (type_id, body) = command.encode();
        self.send(outgoing(STATUS_CHUNKS, stream_id, type_id, 0, body))
    }

    /// Sends an audio, video or data message.
    pub fn send_media(
        &mut self,
        stream_id: u32,
        type_id: u8,
        timestamp: u32,
        payload: impl Into<Bytes>,
    ) -> Result<()> {
        self.send(outgoing(
            MEDIA_CHUNKS,
            stream_id,
            type_id,
            timestamp,
            payload.into(),
        ))
    }

    /// Ends our side of the connection; the client's stays open. It may have gone already.
    pub fn finish(&mut self) -> Result<()> {
        match self.stream.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result.context("ending our side of the connection"),
        }
    }

    /// Closes the connection. The kernel resets it if there are bytes that were not read.
    pub fn close(self) {}

    /// Closes the connection with RST.
    pub fn reset(self) -> Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
        Ok(())
    }
}

/// What a well-behaved server does, for scripts that misbehave later.
impl Client {
    /// Handshake and connect.
    pub fn accept_connect(&mut self) -> Result<Command> {
        self.handshake()?;
        let connect = self.expect_command("connect")?;
        self.send_command(0, &connect_result(&connect))?;
        Ok(connect)
    }

    /// Everything up to createStream and its reply with message stream `stream_id`.
    pub fn accept_stream(&mut self, stream_id: u32) -> Result<()> {
        self.accept_connect()?;
        let create_stream = self.expect_command("createStream")?;
        self.send_command(0, &stream_result(&create_stream, stream_id))
    }

    /// Everything until a publisher's media may flow on message stream `stream_id`.
    pub fn accept_publish(&mut self, stream_id: u32) -> Result<Command> {
        self.accept_stream(stream_id)?;
        let publish = self.expect_command("publish")?;
        self.send_status(stream_id, Level::Status, "NetStream.Publish.Start", "published")?;
        Ok(publish)
    }

    /// Everything until media may flow to a player on message stream `stream_id`.
    pub fn accept_play(&mut self, stream_id: u32) -> Result<Command> {
        self.accept_stream(stream_id)?;
        let play = self.expect_command("play")?;
        self.send_user_control(&UserControl::StreamBegin(stream_id))?;
        self.send_status(stream_id, Level::Status, "NetStream.Play.Start", "playing")?;
        Ok(play)
    }
}

/// The reply of a contented server to connect.
pub fn connect_result(connect: &Command) -> Command {
    let status = Status::new(Level::Status, "NetConnection.Connect.Success", "connected");
    let properties = Value::object([
        ("fmsVer", Value::from("FMS/3,0,1,123")),
        ("capabilities", Value::from(31.0)),
    ]);
    Command::result(connect.transaction_id, properties, vec![status.info])
}

/// The reply to createStream.
pub fn stream_result(create_stream: &Command, stream_id: u32) -> Command {
    Command::result(
        create_stream.transaction_id,
        Value::Null,
        vec![f64::from(stream_id).into()],
    )
}

/// A refusal of connect.
pub fn connect_error(connect: &Command, code: &str, description: &str) -> Command {
    let status = Status::new(Level::Error, code, description);
    Command::error(connect.transaction_id, Value::Null, vec![status.info])
}

/// The first string argument of a command, such as the stream's name.
pub fn text_argument(command: &Command) -> Option<&Text> {
    command.arguments.iter().find_map(|value| match value {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// A message whose payload is in one piece.
pub fn outgoing(
    chunk_stream: u32,
    stream_id: u32,
    type_id: u8,
    timestamp: u32,
    body: impl Into<Bytes>,
) -> Outgoing {
    Outgoing {
        chunk_stream,
        timestamp: Timestamp::from_millis(timestamp),
        type_id,
        stream_id,
        head: Bytes::new(),
        body: body.into(),
    }
}

/// A port that neither accepts nor refuses: its queue of connections is full.
pub struct BlackHole {
    listener: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

impl BlackHole {
    /// Fills the queue of a loopback port.
    pub fn dig() -> Result<Self> {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?;
        let mut queued = Vec::new();
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            // The kernel takes one or two more than was asked for, and leaves the next one without an answer.
            let taken = socket.connect_timeout(&address, Duration::from_millis(200));
            queued.push(socket);
            match taken {
                Ok(()) if queued.len() < 16 => {}
                Ok(()) => return Err(Failure::new("the queue of connections does not fill")),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
                Err(error) => return Err(error).context("filling the queue of connections"),
            }
        }
        Ok(Self {
            listener,
            _queued: queued,
        })
    }

    /// The URL of a stream that nobody will ever answer for.
    pub fn url(&self, application: &str, stream: &str) -> Result<String> {
        let address = self.listener.local_addr()?.as_socket();
        let address = address.ok_or_else(|| Failure::new("the listener has no IP address"))?;
        Ok(format!("rtmp://{address}/{application}/{stream}"))
    }
}

/// The bytes of chunks.
#[derive(Default)]
struct Chunks(Vec<u8>);

impl Output for Chunks {
    fn header(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn payload(&mut self, bytes: Bytes) {
        self.0.extend_from_slice(&bytes);
    }
}
