//! The commands of a player: what precedes play, and what is asked for while the stream flows. RTMP 1.0 sections
//! 7.2.2.2 to 7.2.2.8; [`Playback`](super::Playback) keeps what the server owes.

use std::sync::Arc;
use std::time::Instant;

use super::super::playback::{End, Outcome};
use super::super::{
    Context, DEFAULT_TIMEOUT, Error, Event, Intent, MediaKind, Order, PlayStart, Recording, Switch,
    chunk_stream,
};
use super::{Client, State, send};
use crate::amf::Value;
use crate::message::Command;

impl Client {
    /// What some content delivery networks want to hear before play, and what there is to ask of a recording.
    pub(super) fn precede_play(
        &mut self,
        cx: &mut Context<'_>,
        stream_id: u32,
        start: PlayStart,
    ) -> Result<(), Error> {
        let config = Arc::clone(&self.config);
        let live = (start == PlayStart::Live).then_some(&config.stream);
        if let Some(name) = config.subscribe.as_ref().or(live) {
            let command = Command::fc_subscribe(self.next_transaction(), name.clone());
            send(cx.link, chunk_stream::CONNECTION, 0, &command)?;
        }
        if config.playlist {
            let command = Command::set_playlist(0.0, config.stream.clone());
            send(cx.link, chunk_stream::STREAM, stream_id, &command)?;
        }
        if let PlayStart::Recorded(_) = start {
            self.ask_length(cx)?;
        }
        Ok(())
    }

    fn ask_length(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let transaction = self.next_transaction();
        let command = Command::get_stream_length(transaction, self.config.stream.clone());
        self.playback.ask_length(transaction);
        send(cx.link, chunk_stream::CONNECTION, 0, &command)
    }

    /// Whether a kind of media is wanted from now on.
    pub(super) fn receive(
        &mut self,
        cx: &mut Context<'_>,
        stream_id: u32,
        kind: MediaKind,
        wanted: bool,
    ) -> Result<(), Error> {
        let (told, command) = match kind {
            MediaKind::Audio => (&mut self.receives_audio, Command::receive_audio(0.0, wanted)),
            MediaKind::Video => (&mut self.receives_video, Command::receive_video(0.0, wanted)),
            MediaKind::Data => return Err(Error::ApiMisuse("only audio and video can be done without")),
        };
        if std::mem::replace(told, wanted) == wanted {
            return Ok(());
        }
        send(cx.link, chunk_stream::STREAM, stream_id, &command)
    }

    pub(super) fn handle_recorded(&mut self, cx: &mut Context<'_>, stream: u32) -> Result<(), Error> {
        let (is_ours, has_started) = match self.state {
            State::ExpectStart { stream_id, .. } => (stream == stream_id, false),
            State::Flowing { stream_id } => (stream == stream_id, true),
            _ => (false, false),
        };
        let may_be = !matches!(
            self.config.intent,
            Intent::Publish { .. }
                | Intent::Play {
                    start: PlayStart::Live,
                    ..
                }
        );
        if !is_ours || !may_be {
            return Ok(());
        }
        let wants_length = self.playback.take_recorded();
        if has_started {
            self.playback.announce(|event| cx.events.push_back(event));
        }
        if wants_length { self.ask_length(cx) } else { Ok(()) }
    }

    /// The server has sent as much of a recording as it thinks we can hold. librtmp pauses and goes on, which makes it
    /// send more.
    pub(super) fn handle_buffer_empty(&mut self, cx: &mut Context<'_>, stream: u32) -> Result<(), Error> {
        let deadline = self.patience(cx.now);
        if !self.is_ours(stream) || cx.link.is_flooded() || !self.playback.renew(deadline) {
            return Ok(());
        }
        self.send_pause(cx, stream, true)
    }

    pub(super) fn send_pause(
        &mut self,
        cx: &mut Context<'_>,
        stream_id: u32,
        paused: bool,
    ) -> Result<(), Error> {
        let command = Command::pause(self.next_transaction(), paused, self.playback.newest());
        send(cx.link, chunk_stream::STREAM, stream_id, &command)
    }

    /// Until when an answer is awaited. Without a limit of the owner's there is one all the same: whoever waits for a
    /// seek cannot do anything else.
    fn patience(&self, now: Instant) -> Option<Instant> {
        now.checked_add(self.config.timeout.unwrap_or(DEFAULT_TIMEOUT))
    }

    pub(in crate::session) const fn recording(&self) -> Option<Recording> {
        self.playback.recording()
    }

    /// Does what the owner asks for.
    pub(in crate::session) fn order(&mut self, cx: &mut Context<'_>, order: &Order) -> Result<(), Error> {
        let (stream_id, has_ended) = match self.state {
            State::Flowing { stream_id } if !self.is_publisher() => (stream_id, false),
            State::Ended { stream_id } => (stream_id, true),
            _ => return Err(Error::ApiMisuse("no stream is played")),
        };
        let deadline = self.patience(cx.now);
        match order {
            Order::Seek(position) => {
                let transaction = self.next_transaction();
                if !self.playback.seek(transaction, *position, deadline) {
                    return Err(Error::ApiMisuse("too many seeks without an answer"));
                }
                let command = Command::seek(transaction, *position);
                send(cx.link, chunk_stream::STREAM, stream_id, &command)
            }
            Order::Pause(paused) if !has_ended => {
                if self.playback.pause(*paused, deadline) {
                    // Nobody listened during the pause.
                    self.last_input = cx.now;
                    return self.send_pause(cx, stream_id, *paused);
                }
                Ok(())
            }
            Order::Receive(kind, wanted) => self.receive(cx, stream_id, *kind, *wanted),
            Order::Switch(switch) => {
                self.playback.switch(deadline);
                let command = Command::play2(self.next_transaction(), parameters(switch));
                send(cx.link, chunk_stream::STREAM, stream_id, &command)
            }
            // There is nothing to pause.
            Order::Pause(_) => Ok(()),
        }
    }

    /// Does what has come of something that was asked for.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>, outcome: Outcome) {
        match (outcome, &self.state) {
            (Outcome::Moved, &State::Ended { stream_id }) => {
                self.last_input = cx.now;
                self.enter(State::Flowing { stream_id }, cx.now);
            }
            (Outcome::Ended, _) => self.end(cx, End::Said),
            // Its owner has taken it up again, in vain.
            (Outcome::Failed, State::Ended { .. }) => cx.events.push_back(Event::Eof),
            _ => {}
        }
    }
}

/// The argument of play2. What is not set is left out, but for the old name, which servers look for.
fn parameters(switch: &Switch) -> Value {
    let old = switch.old_stream.as_ref().map(|old| old.0.clone());
    let mut parameters = vec![
        ("oldStreamName", old.map_or(Value::Null, Value::String)),
        ("streamName", Value::String(switch.stream.0.clone())),
    ];
    let numbers = [
        ("start", switch.start),
        ("len", switch.length),
        ("offset", switch.offset),
    ];
    parameters.extend(
        numbers
            .into_iter()
            .filter_map(|(name, number)| Some((name, number?.into()))),
    );
    parameters.push(("transition", Value::String(switch.transition.clone())));
    Value::object(parameters)
}
