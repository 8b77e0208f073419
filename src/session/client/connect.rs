//! What a client says of itself, and proves: connect with what goes along in one flight, the answers to a server that
//! wants a token, a SWF file or a habit of old clients kept up. RTMP 1.0 section 7.2.1.

use bytes::Bytes;

use super::super::enhanced::CLIENT_SEEK;
use super::super::login::secure_token;
use super::super::{Capabilities, Context, Error, Event, Intent, SwfVerification, chunk_stream};
use super::{CONNECT_TRANSACTION, Client, State, send};
use crate::amf::{Properties, Text};
use crate::message::{self, Command, ConnectParameters, UserControl};

/// What a Flash player says it can decode: everything (RTMP 1.0 section 7.2.1.1, all audio formats but the
/// raw and device specific ones; all video codecs). Servers filter what they send by these.
const AUDIO_CODECS: f64 = 4071.0;
const VIDEO_CODECS: f64 = 252.0;
/// `capabilities` of every Flash player.
const CAPABILITIES: f64 = 15.0;

impl Client {
    /// The handshake is done: connect.
    pub(in crate::session) fn handle_open(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if !matches!(self.state, State::Handshaking) {
            // Closed by its owner meanwhile.
            return Ok(());
        }
        // Announced before connect, as OBS does: a server that reads with its own idea of our chunk size then
        // reads the long connect right.
        cx.link.set_chunk_size(self.config.chunk_size);
        let transaction = self.next_transaction();
        debug_assert!(transaction == CONNECT_TRANSACTION, "connect comes first");
        let command = Command::connect(transaction, &self.connect_parameters());
        send(cx.link, chunk_stream::CONNECTION, 0, &command)?;
        let in_one_flight = self.config.one_flight && self.config.secure_token.is_none();
        let create_stream = match in_one_flight {
            true => Some(self.create_stream(cx)?),
            false => None,
        };
        let state = State::ExpectConnectResult {
            create_stream,
            stream_id: None,
        };
        self.enter(state, cx.now);
        Ok(())
    }

    fn connect_parameters(&self) -> ConnectParameters {
        let config = &self.config;
        let mut parameters = ConnectParameters {
            app: config.application.clone(),
            flash_version: config.flash_version.clone(),
            swf_url: config.swf_url.clone(),
            tc_url: config.tc_url.clone(),
            page_url: config.page_url.clone(),
            object_encoding: config.amf3.then_some(3.0),
            arguments: config.connect_arguments.clone(),
            ..ConnectParameters::default()
        };
        let enhanced = config.enhanced.as_ref();
        let enhanced_function = enhanced.map_or(0, Capabilities::video_function);
        if let Some(enhanced) = enhanced {
            parameters.properties = enhanced.properties();
            parameters.video_function = Some(f64::from(enhanced_function));
        }
        match config.intent {
            Intent::Publish { .. } => parameters.connection_type = Some("nonprivate".into()),
            Intent::Play { .. } => {
                parameters.fpad = Some(false);
                parameters.capabilities = Some(CAPABILITIES);
                parameters.audio_codecs = Some(AUDIO_CODECS);
                parameters.video_codecs = Some(VIDEO_CODECS);
                parameters.video_function = Some(f64::from(CLIENT_SEEK | enhanced_function));
            }
        }
        parameters
    }

    /// Answers what the reply to connect asks: SecureToken at once, before anything else. librtmp sends UsherToken here
    /// too.
    pub(super) fn authenticate(
        &mut self,
        cx: &mut Context<'_>,
        objects: &[&Properties],
    ) -> Result<(), Error> {
        let challenge = objects
            .iter()
            .find_map(|object| object.get("secureToken")?.as_str());
        match (challenge, &self.config.secure_token) {
            (Some(challenge), Some(key)) => {
                if let Some(plain) = secure_token::decipher(key.expose(), &challenge) {
                    let command = Command::secure_token_response(Text::from(Bytes::from(plain)));
                    send(cx.link, chunk_stream::CONNECTION, 0, &command)?;
                }
            }
            (Some(_), None) => cx.events.push_back(Event::TokenWanted),
            (None, _) => {}
        }
        if let Some(token) = self.config.usher_token.clone() {
            let command = Command::usher_token(self.next_transaction(), token.expose());
            send(cx.link, chunk_stream::CONNECTION, 0, &command)?;
        }
        Ok(())
    }

    pub(super) fn keep_up_habit(&mut self, cx: &mut Context<'_>, command: &Command) -> Result<(), Error> {
        if cx.link.is_flooded() {
            return Ok(());
        }
        let Self {
            habits,
            last_transaction,
            ..
        } = self;
        let next = || {
            *last_transaction += 1.0;
            *last_transaction
        };
        match habits.answer(command, next) {
            Some(answer) => send(cx.link, chunk_stream::CONNECTION, 0, &answer),
            None => Ok(()),
        }
    }

    /// Asks for a message stream; the transaction id.
    pub(super) fn create_stream(&mut self, cx: &mut Context<'_>) -> Result<f64, Error> {
        let stream = self.config.stream.clone();
        if self.is_publisher() {
            let command = Command::release_stream(self.next_transaction(), stream.clone());
            send(cx.link, chunk_stream::CONNECTION, 0, &command)?;
            let command = Command::fc_publish(self.next_transaction(), stream);
            send(cx.link, chunk_stream::CONNECTION, 0, &command)?;
        }
        let create_stream = self.next_transaction();
        send(
            cx.link,
            chunk_stream::CONNECTION,
            0,
            &Command::create_stream(create_stream),
        )?;
        Ok(create_stream)
    }

    /// Servers may ask at any time after connect and more than once.
    pub(super) fn answer_swf_verification(&mut self, cx: &mut Context<'_>, asked: u8) {
        let outcome = match &self.config.swf {
            // Type 0 is answered as librtmp does it.
            _ if asked > 1 => SwfVerification::UnknownType(asked),
            None => SwfVerification::Unanswerable,
            Some(_) if cx.link.is_flooded() => return,
            Some(identity) => {
                let digest = identity.prove(cx.link.swf_challenge());
                cx.link
                    .send_user_control(&UserControl::SwfVerifyResponse(message::SwfVerification {
                        size: identity.size(),
                        digest,
                    }));
                SwfVerification::Answered
            }
        };
        // Told once, however often it is asked.
        if self.swf_verification != Some(outcome) {
            self.swf_verification = Some(outcome);
            cx.events.push_back(Event::SwfVerification(outcome));
        }
    }
}
