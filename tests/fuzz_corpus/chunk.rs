//! The chunk stream: the pieces in which bytes arrive make no difference, and what was read can be written and read
//! again. The first byte says how the rest arrives and is written.

use bytes::{Bytes, BytesMut};
use gstrtmp::chunk::{Message, Outgoing, Output, Reader, Writer};
use gstrtmp::message::{self, Control, Incoming, type_id};
use gstrtmp::wire::Malformed;

pub(crate) fn run(data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let piece = usize::from(choice) + 1;
    let (messages, end) = read(stream, stream.len().max(1));
    let (in_pieces, end_in_pieces) = read(stream, piece);
    assert!(
        messages == in_pieces,
        "pieces of {piece} bytes make other messages"
    );
    assert_eq!(end, end_in_pieces);

    let mut writer = Writer::new();
    let mut wire = Wire::default();
    for message in &messages {
        let outgoing = Outgoing {
            chunk_stream: message.chunk_stream,
            timestamp: message.timestamp,
            type_id: message.type_id,
            stream_id: message.stream_id,
            head: message
                .payload
                .slice(..message.payload.len().min(usize::from(choice & 7))),
            body: message
                .payload
                .slice(message.payload.len().min(usize::from(choice & 7))..),
        };
        writer
            .write(outgoing, &mut wire)
            .expect("a message that was read is not too long to be written");
        if let Some(size) = chunk_size(message) {
            writer.set_chunk_size(size);
        }
    }
    let (again, end) = read(&wire.0, wire.0.len().max(1));
    assert!(messages == again, "messages change by being written");
    assert_eq!(end, Ok(()));
}

#[derive(Default)]
struct Wire(BytesMut);

impl Output for Wire {
    fn header(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn payload(&mut self, bytes: Bytes) {
        self.0.extend_from_slice(&bytes);
    }
}

fn chunk_size(message: &Message) -> Option<u32> {
    match message::decode(message.clone()) {
        Ok(Incoming::Control(Control::SetChunkSize(size))) => Some(size),
        _ => None,
    }
}

fn read(stream: &[u8], piece: usize) -> (Vec<Message>, Result<(), Malformed>) {
    let mut reader = Reader::new();
    let mut input = BytesMut::new();
    let mut messages = Vec::new();
    for arrived in stream.chunks(piece) {
        input.extend_from_slice(arrived);
        loop {
            match reader.read(&mut input) {
                Ok(Some(message)) => {
                    if let Some(size) = chunk_size(&message) {
                        reader.set_chunk_size(size);
                    }
                    // Applied in reading only: there is nothing left to abort when all is written in order.
                    if message.type_id != type_id::ABORT {
                        messages.push(message);
                    } else if let Ok(Incoming::Control(Control::Abort(chunk_stream))) =
                        message::decode(message)
                    {
                        reader.abort(chunk_stream);
                    }
                }
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, Ok(()))
}
