//! How long until media flows: from the moment the server has the connection.

use std::sync::mpsc;
use std::time::Duration;

use gst::prelude::*;

use crate::clock;
use crate::contender::Contender;
use crate::peer::{MARK, Peer, say, video_body};
use crate::play::Player;
use crate::publish::{Publisher, tag};
use crate::terms::Terms;

/// Longer than any element takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Publishes over a path with `delay` nanoseconds each way. Tells `result NANOSECONDS` until the server has media.
pub(crate) fn publish(terms: &Terms) {
    gst::init().expect("GStreamer starts");
    let contender = Contender::parse(terms.text("contender"));
    let server = Terms::new("peer-read")
        .with("accepted", 1)
        .with("delay", terms.number("delay"));
    let mut peer = Peer::start(&server);
    let publisher = Publisher::start(contender, peer.port, terms);
    publisher
        .pad
        .push(tag(9, 0, &video_body(MARK)))
        .expect("the sink takes a tag");
    let accepted = peer.expect("accepted");
    let seen = peer.expect("mark");
    say(format_args!("result {}", seen[0] - accepted[0]));
    publisher.stop();
}

/// Plays over such a path. Tells `result NANOSECONDS` until the pad has media.
pub(crate) fn play(terms: &Terms) {
    gst::init().expect("GStreamer starts");
    let contender = Contender::parse(terms.text("contender"));
    let server = Terms::new("peer-write")
        .with("accepted", 1)
        .with("delay", terms.number("delay"))
        .with("size", 20_000)
        .with("chunk", 4096)
        // It opens the stream with some messages at once.
        .with("rate", 1)
        .with("count", 30);
    let mut peer = Peer::start(&server);
    let (send, receive) = mpsc::channel();
    let player = Player::start(contender, peer.port, terms, move |buffer| {
        let mut kind = [0; 1];
        // An FLV tag of video; librtmp's file header comes in one buffer with what follows.
        if buffer.size() > 100 && buffer.copy_to_slice(0, &mut kind).is_ok() && matches!(kind[0], 9 | b'F') {
            let _ = send.send(clock::now());
        }
    });
    let accepted = peer.expect("accepted");
    let seen = receive.recv_timeout(PATIENCE).expect("the source gives media");
    say(format_args!("result {}", seen - accepted[0]));
    drop(peer);
    player.stop();
}
