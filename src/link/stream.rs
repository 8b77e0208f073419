//! The link over a byte stream (TCP, TLS, an HTTP tunnel): handshake first, chunk stream after.

use std::iter::Take;

use bytes::{Buf as _, Bytes, BytesMut};

use super::cipher::Cipher;
use super::{Flow, SendQueue};
use crate::chunk;
use crate::handshake::{self, Agreement, Entropy, SWF_CHALLENGE_SIZE, SignatureCipher, Style};
use crate::message::{self, Command, Control, Incoming, SubMessages, UserControl, type_id};
use crate::timestamp::Timestamp;
use crate::wire::Malformed;

/// Above this many unsent bytes of controls and commands pings are not answered and nothing is acknowledged: a
/// peer that asks without reading cannot make the queue grow. Media does not count, so that the pings of a slow
/// peer are answered.
const MAX_REPLY_BACKLOG: usize = 1 << 20;

/// Messages taken from one aggregate. Senders put a second or so into each; without a limit 16 MiB of empty
/// messages would become a hundred times as much memory.
const MAX_PARTS: usize = 16 << 10;

/// Chunk stream of protocol control and user control messages, RTMP 1.0 section 5.4.
const CONTROL: u32 = 2;

/// One message that the link does not handle itself.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) timestamp: Timestamp,
    /// Message stream id; 0 is the NetConnection.
    pub(crate) stream_id: u32,
    pub(crate) incoming: Incoming,
}

/// Figures of media since the start, by kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ByKind {
    /// Type 8.
    pub audio: u64,
    /// Type 9.
    pub video: u64,
    /// Types 18 and 15.
    pub data: u64,
}

/// Media messages one way: how many, and the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) messages: ByKind,
    pub(crate) bytes: ByKind,
}

impl Counters {
    /// Counts a message; false if it is not of media.
    fn count(&mut self, type_id: u8, length: usize) -> bool {
        let (messages, bytes) = match type_id {
            type_id::AUDIO => (&mut self.messages.audio, &mut self.bytes.audio),
            type_id::VIDEO => (&mut self.messages.video, &mut self.bytes.video),
            type_id::DATA_AMF0 | type_id::DATA_AMF3 => (&mut self.messages.data, &mut self.bytes.data),
            _ => return false,
        };
        *messages += 1;
        *bytes = bytes.saturating_add(length as u64);
        true
    }
}

enum Handshake {
    Client(handshake::Client),
    Server(handshake::Server),
    Done,
}

/// See the module.
pub(crate) struct Link {
    handshake: Handshake,
    /// What the ends agreed on in the handshake.
    agreement: Agreement,
    /// Under RTMPE, once the handshake is done.
    cipher: Option<Box<Cipher>>,
    reader: chunk::Reader,
    writer: chunk::Writer,
    queue: SendQueue,
    flow: Flow,
    /// The messages of an aggregate that were not handed out yet.
    parts: Option<Take<SubMessages>>,
    /// Bytes of controls and commands queued since the queue was last empty.
    replies: usize,
    /// Whether commands are sent as type 17, RTMP 1.0 section 7.1.1.
    amf3: bool,
    pub(crate) received: Counters,
    pub(crate) sent: Counters,
}

impl Link {
    /// A client's link; C0 and C1 are queued.
    pub(crate) fn client(style: Style, time: u32, entropy: &mut Entropy) -> Self {
        let mut link = Self::new(Handshake::Client(handshake::Client::new(style, time, entropy)));
        link.flush_handshake();
        link
    }

    /// A server's link; it waits for C0. Clients of RTMPE get the type of `rtmpe` if they know it.
    pub(crate) fn server(rtmpe: SignatureCipher, entropy: &mut Entropy) -> Self {
        let mut handshake = handshake::Server::new(entropy);
        handshake.prefer(rtmpe);
        Self::new(Handshake::Server(handshake))
    }

    fn new(handshake: Handshake) -> Self {
        Self {
            handshake,
            agreement: Agreement::default(),
            cipher: None,
            reader: chunk::Reader::new(),
            writer: chunk::Writer::new(),
            queue: SendQueue::new(),
            flow: Flow::default(),
            parts: None,
            replies: 0,
            amf3: false,
            received: Counters::default(),
            sent: Counters::default(),
        }
    }

    /// Whether the chunk stream has begun.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.handshake, Handshake::Done)
    }

    /// What a proof for SWF verification is made with: the end of S1.
    pub(crate) const fn swf_challenge(&self) -> &[u8; SWF_CHALLENGE_SIZE] {
        &self.agreement.swf_challenge
    }

    /// Whether a peer may have computed other keys than we.
    pub(crate) fn has_ambiguous_keys(&self) -> bool {
        self.agreement.keys.as_ref().is_some_and(|keys| keys.ambiguous)
    }

    pub(crate) const fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(crate) const fn queue(&self) -> &SendQueue {
        &self.queue
    }

    pub(crate) const fn queue_mut(&mut self) -> &mut SendQueue {
        &mut self.queue
    }

    /// Chunk sizes in bytes: the peer's and ours.
    pub(crate) const fn chunk_sizes(&self) -> (u32, u32) {
        (self.reader.chunk_size(), self.writer.chunk_size())
    }

    /// Caps the length of the messages that the peer may send.
    pub(crate) fn set_message_limit(&mut self, bytes: usize) {
        self.reader.set_message_limit(bytes);
    }

    /// Sends commands as AMF3 (type 17) from now on.
    pub(crate) const fn use_amf3_commands(&mut self) {
        self.amf3 = true;
    }

    /// Goes on with the handshake. True when it is done; what follows it stays in `input`.
    pub(crate) fn shake(&mut self, input: &mut BytesMut, time: u32) -> Result<bool, handshake::Error> {
        let done = match &mut self.handshake {
            Handshake::Client(client) => client.handle_input(input, time)?,
            Handshake::Server(server) => server.handle_input(input, time)?,
            Handshake::Done => true,
        };
        self.flush_handshake();
        if done {
            self.agreement = match &self.handshake {
                Handshake::Client(client) => client.agreement().clone(),
                Handshake::Server(server) => server.agreement().clone(),
                Handshake::Done => return Ok(true),
            };
            // Nothing but the handshake is queued before it is done, so both directions begin here.
            self.cipher = self
                .agreement
                .keys
                .as_ref()
                .map(|keys| Box::new(Cipher::new(keys)));
            self.handshake = Handshake::Done;
        }
        Ok(done)
    }

    fn flush_handshake(&mut self) {
        loop {
            let packet = match &mut self.handshake {
                Handshake::Client(client) => client.poll_transmit(),
                Handshake::Server(server) => server.poll_transmit(),
                Handshake::Done => None,
            };
            let Some(packet) = packet else { return };
            self.queue.push(packet);
        }
    }

    /// The next message that is not the link's own business, or `None` when more bytes are needed.
    pub(crate) fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Received>, Malformed> {
        loop {
            let message = match self.parts.as_mut().and_then(Iterator::next) {
                Some(part) => part,
                None => {
                    self.parts = None;
                    if let Some(cipher) = &mut self.cipher {
                        cipher.decipher(input);
                    }
                    let before = input.remaining();
                    let message = self.reader.read(input);
                    let taken = before.saturating_sub(input.remaining());
                    if let Some(cipher) = &mut self.cipher {
                        cipher.taken(taken);
                    }
                    let message = message?;
                    if let Some(due) = self.flow.received(taken) {
                        self.reply(&due);
                    }
                    match message {
                        Some(message) => message,
                        None => return Ok(None),
                    }
                }
            };
            if message.type_id == type_id::AGGREGATE {
                self.parts = Some(message::split_aggregate(&message).take(MAX_PARTS));
                continue;
            }
            self.received.count(message.type_id, message.payload.len());
            let (timestamp, stream_id) = (message.timestamp, message.stream_id);
            match message::decode(message)? {
                Incoming::Control(control) => self.handle_control(&control),
                Incoming::UserControl(UserControl::PingRequest(time)) => {
                    if !self.is_flooded() {
                        self.send_user_control(&UserControl::PingResponse(time));
                    }
                }
                incoming => {
                    return Ok(Some(Received {
                        timestamp,
                        stream_id,
                        incoming,
                    }));
                }
            }
        }
    }

    fn handle_control(&mut self, control: &Control) {
        match *control {
            Control::SetChunkSize(size) => self.reader.set_chunk_size(size),
            Control::Abort(chunk_stream) => self.reader.abort(chunk_stream),
            Control::Acknowledgement(sequence) => self.flow.acknowledged_by_peer(sequence),
            Control::WindowAckSize(size) => self.flow.set_peer_window(size),
            Control::SetPeerBandwidth { window, limit } => {
                if let Some(answer) = self.flow.set_peer_bandwidth(window, limit) {
                    self.reply(&answer);
                }
            }
        }
    }

    /// Sends what the peer asked for, unless it does not read.
    fn reply(&mut self, control: &Control) {
        if !self.is_flooded() {
            self.send_control(control);
        }
    }

    /// Whether the peer makes us say more than it reads.
    pub(crate) fn is_flooded(&self) -> bool {
        // What is not in the queue any more has been read, or is the kernel's business.
        self.replies.min(self.queue.remaining()) > MAX_REPLY_BACKLOG
    }

    /// Announces `size`, unless that is what is written with already, and writes with it from then on. To a publishing
    /// FFmpeg, no announcement over RTMPE is a good one: see `tests/peers_variants.rs`.
    pub(crate) fn set_chunk_size(&mut self, size: u32) {
        let size = size.clamp(1, chunk::MAX_CHUNK_SIZE);
        if size != self.writer.chunk_size() {
            self.send_control(&Control::SetChunkSize(size));
            self.writer.set_chunk_size(size);
        }
    }

    /// Announces a window acknowledgement size unless it was announced already.
    pub(crate) fn announce_window(&mut self, size: u32) {
        if let Some(control) = self.flow.announce_window(size) {
            self.send_control(&control);
        }
    }

    pub(crate) fn send_control(&mut self, control: &Control) {
        let (type_id, payload) = control.encode();
        self.send_small(CONTROL, type_id, 0, payload);
    }

    pub(crate) fn send_user_control(&mut self, event: &UserControl) {
        self.send_small(CONTROL, type_id::USER_CONTROL, 0, event.encode());
    }

    pub(crate) fn send_command(
        &mut self,
        chunk_stream: u32,
        stream_id: u32,
        command: &Command,
    ) -> Result<(), Malformed> {
        let (type_id, payload) = if self.amf3 {
            command.encode_amf3()
        } else {
            command.encode()
        };
        self.send(chunk::Outgoing {
            chunk_stream,
            timestamp: Timestamp::ZERO,
            type_id,
            stream_id,
            head: Bytes::new(),
            body: payload,
        })
    }

    fn send_small(&mut self, chunk_stream: u32, type_id: u8, stream_id: u32, body: Bytes) {
        let sent = self.send(chunk::Outgoing {
            chunk_stream,
            timestamp: Timestamp::ZERO,
            type_id,
            stream_id,
            head: Bytes::new(),
            body,
        });
        debug_assert!(sent.is_ok(), "a control message is far below the longest message");
    }

    /// Queues one message. Refused only when it is longer than a message can be.
    pub(crate) fn send(&mut self, message: chunk::Outgoing) -> Result<(), Malformed> {
        let length = message.head.len().saturating_add(message.body.len());
        if !self.sent.count(message.type_id, length) {
            let earlier = if self.queue.has_remaining() {
                self.replies
            } else {
                0
            };
            self.replies = earlier.saturating_add(length);
        }
        match &mut self.cipher {
            None => self.writer.write(message, &mut self.queue),
            Some(cipher) => cipher.write(&mut self.writer, message, &mut self.queue),
        }
    }
}
