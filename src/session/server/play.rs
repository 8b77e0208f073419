//! What a player asks for while its stream flows, RTMP 1.0 sections 7.2.2.2 to 7.2.2.8, and the answers to it.

use super::{Server, State, notify, reply, send};
use crate::amf::{Text, Value};
use crate::message::{Command, Level, Status, UserControl, type_id};
use crate::session::event::{Secret, Switch};
use crate::session::{Context, Error, Event, MediaKind, Request, chunk_stream};

/// What the application is to answer, and on which message stream or under which transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Seek(u32),
    Pause(u32, bool),
    Switch(u32),
    Length(f64),
}

impl Server {
    fn ask(&mut self, cx: &mut Context<'_>, asked: Asked, request: Request) {
        self.asked = Some(asked);
        cx.events.push_back(Event::Requested(request));
    }

    pub(super) fn handle_seek(
        &mut self,
        cx: &mut Context<'_>,
        stream_id: u32,
        position: Option<&Value>,
    ) -> Result<(), Error> {
        let position = position.and_then(Value::as_number).and_then(millis);
        let refusal = match (&self.state, position) {
            (State::Playing { stream_id }, Some(position)) => {
                let asked = Asked::Seek(*stream_id);
                self.ask(cx, asked, Request::Seek { position });
                return Ok(());
            }
            (State::Playing { .. }, None) => ("NetStream.Seek.InvalidTime", "no position"),
            _ => ("NetStream.Seek.Failed", "nothing is played"),
        };
        notify(cx, stream_id, &Status::new(Level::Error, refusal.0, refusal.1))
    }

    pub(super) fn handle_pause(&mut self, cx: &mut Context<'_>, command: &Command) -> Result<(), Error> {
        let mut arguments = command.arguments.iter();
        let paused = arguments.next().and_then(Value::as_bool);
        let position = arguments.next().and_then(Value::as_number).and_then(millis);
        if let (&State::Playing { stream_id }, Some(paused)) = (&self.state, paused) {
            let position = position.unwrap_or_default();
            self.ask(
                cx,
                Asked::Pause(stream_id, paused),
                Request::Pause { paused, position },
            );
        }
        Ok(())
    }

    pub(super) fn handle_play2(
        &mut self,
        cx: &mut Context<'_>,
        stream_id: u32,
        parameters: Option<&Value>,
    ) -> Result<(), Error> {
        let text = |name| parameters?.get(name)?.as_text().cloned();
        let number = |name| parameters?.get(name)?.as_number();
        let (&State::Playing { stream_id }, Some(stream)) = (&self.state, text("streamName")) else {
            let status = Status::new(
                Level::Error,
                "NetStream.Play.Failed",
                "play2 has nothing to change",
            );
            return notify(cx, stream_id, &status);
        };
        let switch = Switch {
            old_stream: text("oldStreamName").map(Secret),
            stream: Secret(stream),
            start: number("start"),
            length: number("len"),
            offset: number("offset"),
            transition: text("transition").unwrap_or_else(|| Text::from("switch")),
        };
        self.ask(cx, Asked::Switch(stream_id), Request::Switch(switch));
        Ok(())
    }

    pub(super) fn handle_get_stream_length(
        &mut self,
        cx: &mut Context<'_>,
        command: &Command,
    ) -> Result<(), Error> {
        let transaction = command.transaction_id;
        let Some(stream) = command.arguments.first().and_then(Value::as_text) else {
            let status = Status::new(Level::Error, "NetConnection.Call.Failed", "no stream is named");
            return reply(cx, &Command::error(transaction, Value::Null, vec![status.info]));
        };
        let stream = stream.clone();
        self.ask(cx, Asked::Length(transaction), Request::Length { stream });
        Ok(())
    }

    pub(super) fn handle_receive(&mut self, cx: &mut Context<'_>, kind: MediaKind, wanted: Option<bool>) {
        let receives = match kind {
            MediaKind::Audio => &mut self.receives_audio,
            MediaKind::Video => &mut self.receives_video,
            MediaKind::Data => return,
        };
        if let Some(wanted) = wanted
            && std::mem::replace(receives, wanted) != wanted
        {
            cx.events.push_back(Event::Receives(kind, wanted));
        }
    }

    pub(super) fn answer_player(
        &mut self,
        cx: &mut Context<'_>,
        request: &Request,
        verdict: Result<(), Status>,
    ) -> Result<(), Error> {
        let (stream_id, code, description) = match (self.asked, request) {
            (Some(Asked::Seek(stream_id)), Request::Seek { .. }) => {
                (stream_id, "NetStream.Seek.Notify", "seeking")
            }
            (Some(Asked::Pause(stream_id, true)), Request::Pause { .. }) => {
                (stream_id, "NetStream.Pause.Notify", "paused")
            }
            (Some(Asked::Pause(stream_id, false)), Request::Pause { .. }) => {
                (stream_id, "NetStream.Unpause.Notify", "going on")
            }
            (Some(Asked::Switch(stream_id)), Request::Switch(_)) => (
                stream_id,
                "NetStream.Play.Transition",
                "changing to another stream",
            ),
            (Some(Asked::Length(transaction)), Request::Length { .. }) => {
                self.asked = None;
                return match verdict {
                    // Unknown, which is what live streams have.
                    Ok(()) => tell_length(cx, transaction, 0.0),
                    Err(status) => reply(cx, &Command::error(transaction, Value::Null, vec![status.info])),
                };
            }
            _ => return Err(Error::ApiMisuse("there is no such request to answer")),
        };
        let is_seek = matches!(self.asked, Some(Asked::Seek(_)));
        self.asked = None;
        if let Err(status) = verdict {
            return notify(cx, stream_id, &status);
        }
        notify(cx, stream_id, &Status::new(Level::Status, code, description))?;
        if is_seek {
            cx.link.send_user_control(&UserControl::StreamBegin(stream_id));
            let status = Status::new(Level::Status, "NetStream.Play.Start", "playing");
            notify(cx, stream_id, &status)?;
        }
        Ok(())
    }

    pub(in crate::session) fn answer_length(
        &mut self,
        cx: &mut Context<'_>,
        seconds: f64,
    ) -> Result<(), Error> {
        let Some(Asked::Length(transaction)) = self.asked else {
            return Err(Error::ApiMisuse("nobody has asked for a length"));
        };
        self.asked = None;
        tell_length(cx, transaction, seconds)
    }

    /// Says that what is played is a recording.
    pub(in crate::session) fn tell_recorded(&self, cx: &mut Context<'_>) {
        if let State::Playing { stream_id } = self.state {
            cx.link
                .send_user_control(&UserControl::StreamIsRecorded(stream_id));
        }
    }

    /// Says that all of the recording has been sent. The player may still seek.
    pub(in crate::session) fn complete_stream(
        &self,
        cx: &mut Context<'_>,
        seconds: f64,
    ) -> Result<(), Error> {
        let State::Playing { stream_id } = self.state else {
            return Ok(());
        };
        cx.link.send_user_control(&UserControl::StreamEof(stream_id));
        let mut complete = Status::new(Level::Status, "NetStream.Play.Complete", "").info;
        if let Value::Object(info) = &mut complete {
            info.properties.push("duration", Value::Number(seconds));
            info.properties.push("bytes", Value::Number(0.0));
        }
        let mut body = bytes::BytesMut::new();
        crate::amf::encode_all(&["onPlayStatus".into(), complete], &mut body);
        let message = crate::chunk::Outgoing {
            chunk_stream: chunk_stream::STREAM,
            timestamp: crate::timestamp::Timestamp::ZERO,
            type_id: type_id::DATA_AMF0,
            stream_id,
            head: bytes::Bytes::new(),
            body: body.freeze(),
        };
        cx.link
            .send(message)
            .map_err(|_| Error::ApiMisuse("a status is too long for an RTMP message"))?;
        let stop = Status::new(Level::Status, "NetStream.Play.Stop", "all of it was played");
        notify(cx, stream_id, &stop)
    }
}

fn tell_length(cx: &mut Context<'_>, transaction: f64, seconds: f64) -> Result<(), Error> {
    let result = Command::result(transaction, Value::Null, vec![Value::Number(seconds)]);
    send(cx, chunk_stream::CONNECTION, 0, &result)
}

/// A position on the wire.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked"
)]
fn millis(position: f64) -> Option<u32> {
    (0.0..=f64::from(u32::MAX))
        .contains(&position)
        .then_some(position as u32)
}
