//! A client session and a server session joined by two pipes, on a clock that jumps to what happens next.

use proptest::prelude::*;

use super::*;
use crate::handshake::{Entropy, Style};

/// How bytes travel.
#[derive(Clone, Debug)]
enum Delivery {
    AtOnce,
    InPieces(usize),
    /// Pieces of 1 to so many bytes.
    InRandomPieces(usize),
}

/// Bytes under way in one direction, and those that arrived and were not used.
#[derive(Default)]
struct Pipe {
    under_way: VecDeque<(Instant, Bytes)>,
    arrived: BytesMut,
}

struct Pair {
    client: Session,
    server: Session,
    now: Instant,
    to_server: Pipe,
    to_client: Pipe,
    delivery: Delivery,
    delay: Duration,
    entropy: Entropy,
    /// The application's answer to each request by its name.
    refuse: Option<&'static str>,
    /// What the server sends as soon as it has accepted play.
    media_on_play: Option<Media>,
    client_told: Vec<String>,
    server_told: Vec<String>,
    client_media: Vec<Media>,
    server_media: Vec<Media>,
}

impl Pair {
    fn new(client: ClientConfig, server: ServerConfig) -> Self {
        let now = epoch();
        Self {
            client: Session::client(Arc::new(client), now),
            server: Session::server(Arc::new(server), now),
            now,
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            delivery: Delivery::AtOnce,
            delay: Duration::ZERO,
            entropy: Entropy::new([5; 32]),
            refuse: None,
            media_on_play: None,
            client_told: Vec::new(),
            server_told: Vec::new(),
            client_media: Vec::new(),
            server_media: Vec::new(),
        }
    }

    /// A pair whose bytes are handed over in some way. Deadlines are off: a byte a millisecond is slow.
    fn by(delivery: Delivery, client: ClientConfig) -> Self {
        let client = ClientConfig {
            timeout: None,
            ..client
        };
        let mut pair = Self::new(
            client,
            ServerConfig {
                timeout: None,
                ping_interval: None,
                ..to_serve()
            },
        );
        pair.delivery = delivery;
        pair
    }

    /// Runs until nothing is under way. Timeouts that come before the next byte are served.
    fn run(&mut self) -> Result<(), Error> {
        loop {
            self.transmit();
            let next = [&self.to_server, &self.to_client]
                .into_iter()
                .filter_map(|pipe| pipe.under_way.front().map(|(at, _)| *at))
                .min();
            let Some(next) = next else { return Ok(()) };
            self.advance(next)?;
            self.deliver()?;
            self.decide()?;
        }
    }

    /// Lets `time` pass while bytes and timeouts come as they are due.
    fn pass(&mut self, time: Duration) -> Result<(), Error> {
        let end = self.now + time;
        loop {
            self.run()?;
            let due = [self.client.poll_timeout(), self.server.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            match due.filter(|due| *due <= end) {
                Some(due) => self.advance(due.max(self.now))?,
                None => break,
            }
        }
        self.now = self.now.max(end);
        Ok(())
    }

    fn advance(&mut self, to: Instant) -> Result<(), Error> {
        while let Some(due) = [self.client.poll_timeout(), self.server.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
            .filter(|due| *due <= to)
        {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now)?;
            self.server.handle_timeout(self.now)?;
            self.listen();
        }
        self.now = self.now.max(to);
        Ok(())
    }

    fn transmit(&mut self) {
        let at = self.now + self.delay;
        for (session, pipe) in [
            (&mut self.client, &mut self.to_server),
            (&mut self.server, &mut self.to_client),
        ] {
            while let Some(queue) = session.poll_transmit(self.now) {
                let ready = queue.chunk().len();
                let piece = match self.delivery {
                    Delivery::AtOnce => queue.remaining(),
                    Delivery::InPieces(size) => size.min(ready),
                    Delivery::InRandomPieces(size) => {
                        let mut random = [0; 4];
                        self.entropy.fill(&mut random);
                        (u32::from_le_bytes(random) as usize % size + 1).min(ready)
                    }
                };
                pipe.under_way.push_back((at, queue.copy_to_bytes(piece)));
            }
        }
    }

    fn deliver(&mut self) -> Result<(), Error> {
        for (session, pipe) in [
            (&mut self.server, &mut self.to_server),
            (&mut self.client, &mut self.to_client),
        ] {
            // One piece a turn, so that the directions take turns.
            if pipe.under_way.front().is_some_and(|(at, _)| *at <= self.now)
                && let Some((_, piece)) = pipe.under_way.pop_front()
            {
                pipe.arrived.extend_from_slice(&piece);
                session.handle_input(self.now, Input::Stream(&mut pipe.arrived))?;
            }
        }
        Ok(())
    }

    /// Takes events, and answers requests until none is left in what has arrived.
    fn decide(&mut self) -> Result<(), Error> {
        while let Some(request) = self.listen() {
            let name = format!("{request:?}");
            let verdict = match self.refuse {
                Some(refused) if refused == name => {
                    Err(Status::new(Level::Error, &format!("Net.{name}.Rejected"), "no"))
                }
                _ => Ok(()),
            };
            self.server.answer(self.now, &request, verdict)?;
            if matches!(request, Request::Play { .. })
                && let Some(media) = self.media_on_play.take()
            {
                self.server.send(self.now, media)?;
            }
            self.server
                .handle_input(self.now, Input::Stream(&mut self.to_server.arrived))?;
        }
        Ok(())
    }

    /// Takes events up to the server's next request.
    fn listen(&mut self) -> Option<Request> {
        while let Some(event) = self.client.poll_event() {
            note(event, &mut self.client_told, &mut self.client_media);
        }
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Requested(request) => return Some(request),
                event => note(event, &mut self.server_told, &mut self.server_media),
            }
        }
        None
    }
}

fn note(event: Event, told: &mut Vec<String>, received: &mut Vec<Media>) {
    match event {
        Event::Media(media) => received.push(media),
        Event::Status(status) => told.push(status.code),
        event => told.push(format!("{event:?}")),
    }
}

fn media(kind: MediaKind, millis: u32, head: &[u8], length: usize) -> Media {
    // A pattern with no period that a chunk size could hide.
    let body = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
    Media {
        kind,
        timestamp: Timestamp::from_millis(millis),
        head: Bytes::copy_from_slice(head),
        body,
    }
}

/// Audio, video and data; of no byte, one, a chunk, more than one and very many; with and without a head; with
/// times that stand still, run backward and need 32 bits.
fn samples() -> Vec<Media> {
    vec![
        media(MediaKind::Data, 0, b"\x02\0\x0d@setDataFrame", 200),
        media(MediaKind::Video, 0, &[], 50),
        media(MediaKind::Audio, 0, &[], 0),
        media(MediaKind::Audio, 23, &[0xaf, 1], 300),
        media(MediaKind::Video, 40, &[0x17, 1, 0, 0, 80], 200_000),
        media(MediaKind::Audio, 46, &[0xaf, 1], 4094),
        media(MediaKind::Audio, 46, &[0xaf, 1], 4095),
        media(MediaKind::Video, 20, &[0x27], 0),
        media(MediaKind::Video, 0x00ff_ffff, &[], 10_000),
        media(MediaKind::Video, 0x0100_0020, &[], 10_000),
        media(MediaKind::Audio, u32::MAX, &[], 5),
        media(MediaKind::Audio, 18, &[], 5),
    ]
}

fn joined(sent: &[Media]) -> Vec<Media> {
    sent.iter()
        .map(|media| Media {
            head: Bytes::new(),
            body: [&media.head[..], &media.body[..]].concat().into(),
            ..media.clone()
        })
        .collect()
}

/// Messages of different chunk streams do not overtake each other here: each is written whole.
fn publish_samples(pair: &mut Pair) {
    pair.run().unwrap();
    assert_eq!(pair.client.phase(), Phase::Media);
    for media in samples() {
        pair.client.send(pair.now, media).unwrap();
    }
    pair.run().unwrap();
    assert!(
        pair.server_media == joined(&samples()),
        "what was published is what came"
    );
    pair.client.close(pair.now);
    pair.run().unwrap();
    assert_eq!(pair.server_told, ["Connected", "Ready", "Eof"]);
    assert_eq!(
        pair.client_told,
        [
            "Connected",
            "Ready",
            "NetStream.Publish.Start",
            "NetStream.Unpublish.Success"
        ]
    );
    pair.server.handle_input(pair.now, Input::Eof).unwrap();
    pair.client.handle_input(pair.now, Input::Eof).unwrap();
    pair.listen();
    assert_eq!(pair.server_told.last().unwrap(), "Closed(Ok(()))");
    assert_eq!(pair.client_told.last().unwrap(), "Closed(Ok(()))");
}

fn play_samples(pair: &mut Pair) {
    pair.run().unwrap();
    assert_eq!(pair.server.phase(), Phase::Media);
    for media in samples() {
        pair.server.send(pair.now, media).unwrap();
    }
    pair.server.end_stream(pair.now);
    pair.run().unwrap();
    assert!(
        pair.client_media == joined(&samples()),
        "what was sent is what came"
    );
    assert_eq!(pair.server_told, ["Connected", "Ready"]);
    assert_eq!(
        pair.client_told,
        [
            "Connected",
            "NetStream.Play.Reset",
            "Ready",
            "NetStream.Play.Start",
            "Eof",
            "NetStream.Play.UnpublishNotify",
        ]
    );
}

#[test]
fn media_arrives_intact_however_it_travels() {
    for delivery in [
        Delivery::AtOnce,
        Delivery::InPieces(1),
        Delivery::InPieces(1447),
        Delivery::InRandomPieces(10),
        Delivery::InRandomPieces(5000),
    ] {
        publish_samples(&mut Pair::by(delivery.clone(), to_publish()));
        play_samples(&mut Pair::by(delivery, to_play()));
    }
}

#[test]
fn every_handshake_and_either_encoding_lead_to_media() {
    for handshake in [Style::Simple, Style::Digest, Style::Rtmpe] {
        for amf3 in [false, true] {
            let config = |config| ClientConfig {
                handshake,
                amf3,
                ..config
            };
            publish_samples(&mut Pair::by(Delivery::AtOnce, config(to_publish())));
            play_samples(&mut Pair::by(Delivery::InRandomPieces(700), config(to_play())));
        }
    }
}

#[test]
fn any_chunk_size_will_do() {
    for (ours, theirs) in [
        (1, 65536),
        (2, 1),
        (127, 128),
        (128, 129),
        (4096, 4097),
        (65536, 2),
    ] {
        for config in [to_publish(), to_play()] {
            let publishes = matches!(config.intent, Intent::Publish { .. });
            let client = ClientConfig {
                chunk_size: ours,
                ..config
            };
            let mut pair = Pair::new(
                client,
                ServerConfig {
                    chunk_size: theirs,
                    ..to_serve()
                },
            );
            if publishes {
                publish_samples(&mut pair);
            } else {
                play_samples(&mut pair);
            }
            let (client, server) = (pair.client.stats(), pair.server.stats());
            assert_eq!((client.in_chunk_size, client.out_chunk_size), (theirs, ours));
            assert_eq!((server.in_chunk_size, server.out_chunk_size), (ours, theirs));
        }
    }
}

#[test]
fn a_chunk_size_out_of_range_is_brought_into_it() {
    for (asked, used) in [(0, 1), (u32::MAX, chunk::MAX_CHUNK_SIZE)] {
        let mut pair = Pair::new(
            ClientConfig {
                chunk_size: asked,
                ..to_publish()
            },
            to_serve(),
        );
        publish_samples(&mut pair);
        assert_eq!(pair.server.stats().in_chunk_size, used);
    }
}

#[test]
fn distance_costs_round_trips_and_nothing_else() {
    // Handshake, connect with createStream, publish: three round trips, or four in lock-step; the media and the stop
    // commands with their reply one and a half more.
    for (config, round_trips) in [(to_publish(), 3), (in_lock_step(to_publish()), 4)] {
        let mut pair = Pair::new(config, to_serve());
        pair.delay = Duration::from_millis(150);
        let start = pair.now;
        publish_samples(&mut pair);
        assert_eq!(pair.client.stats().round_trip, Some(Duration::from_millis(300)));
        assert_eq!(
            pair.now - start,
            Duration::from_millis(round_trips * 300 + 150 + 300)
        );
    }
}

/// The first media is with its receiver three and a half round trips after the TCP connection stands, at the latest.
#[test]
fn first_media_takes_no_more_than_three_and_a_half_round_trips() {
    const ROUND_TRIP: Duration = Duration::from_millis(100);
    for handshake in [Style::Simple, Style::Digest] {
        let styled = |config| ClientConfig { handshake, ..config };
        let mut pair = Pair::new(styled(to_publish()), to_serve());
        pair.delay = ROUND_TRIP / 2;
        let start = pair.now;
        pair.run().unwrap();
        pair.client
            .send(pair.now, media(MediaKind::Video, 0, &[], 20_000))
            .unwrap();
        pair.run().unwrap();
        assert_eq!(pair.server_media.len(), 1);
        assert_eq!(pair.now - start, ROUND_TRIP * 7 / 2, "publish");

        // A server sends what it has right behind its answer to play.
        let mut pair = Pair::new(styled(to_play()), to_serve());
        pair.delay = ROUND_TRIP / 2;
        pair.media_on_play = Some(media(MediaKind::Video, 0, &[], 20_000));
        let start = pair.now;
        pair.run().unwrap();
        assert_eq!(pair.client_media.len(), 1);
        assert_eq!(pair.now - start, ROUND_TRIP * 3, "play");
    }
}

#[test]
fn a_server_too_far_away_is_given_up_in_the_phase_that_took_too_long() {
    let mut pair = Pair::new(to_publish(), to_serve());
    pair.delay = seconds(3);
    assert_eq!(pair.run(), Err(Error::TimedOut(Phase::Handshake)));
    assert_eq!(pair.now - pair.client.started, DEFAULT_TIMEOUT);
}

#[test]
fn refusals_reach_the_client_with_the_words_of_the_server() {
    for (refused, config, phase) in [
        ("Connect", to_publish(), Phase::Connect),
        ("Publish", to_publish(), Phase::Publish),
        ("Play", to_play(), Phase::Play),
    ] {
        let mut pair = Pair::new(config, to_serve());
        pair.refuse = Some(refused);
        let result = pair.run();
        assert_eq!(
            rejected(&result),
            Some((phase, &*format!("Net.{refused}.Rejected")))
        );
    }
}

#[test]
fn a_quiet_connection_is_kept_alive_by_pings() {
    for config in [to_publish(), to_play()] {
        let mut pair = Pair::new(config, to_serve());
        pair.delay = Duration::from_millis(20);
        pair.run().unwrap();
        pair.pass(seconds(3600)).unwrap();
        assert_eq!(
            (pair.client.phase(), pair.server.phase()),
            (Phase::Media, Phase::Media)
        );
    }
}

#[test]
fn windows_are_agreed_on_and_acknowledged_both_ways() {
    let mut pair = Pair::new(
        to_publish(),
        ServerConfig {
            window: 5000,
            ..to_serve()
        },
    );
    pair.run().unwrap();
    for millis in 0..100 {
        let sent = media(MediaKind::Audio, millis, &[], 500);
        pair.client.send(pair.now, sent).unwrap();
        pair.run().unwrap();
    }
    let (client, server) = (pair.client.stats(), pair.server.stats());
    assert_eq!(
        (client.in_window_ack_size, client.out_window_ack_size),
        (5000, 5000)
    );
    assert_eq!(
        (server.in_window_ack_size, server.out_window_ack_size),
        (5000, 5000)
    );
    assert_eq!(client.out_bytes_acked, server.in_bytes_acked);
    assert!(
        (48_000..52_000).contains(&server.in_bytes_acked),
        "{}",
        server.in_bytes_acked
    );
}

#[test]
fn a_player_that_has_enough_ends_the_stream_at_the_server() {
    let mut pair = Pair::new(to_play(), to_serve());
    pair.run().unwrap();
    pair.client.close(pair.now);
    pair.run().unwrap();
    assert_eq!(pair.server_told, ["Connected", "Ready", "Eof"]);
    assert!(
        pair.server
            .send(pair.now, media(MediaKind::Audio, 0, &[], 1))
            .is_err()
    );
}

fn any_media() -> impl Strategy<Value = Vec<Media>> {
    let kind = prop_oneof![Just(MediaKind::Audio), Just(MediaKind::Video)];
    let one = (kind, any::<u32>(), 0_usize..6, 0_usize..9000)
        .prop_map(|(kind, millis, head, length)| media(kind, millis, &b"header"[..head], length));
    prop::collection::vec(one, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_media_arrives_whatever_the_sizes(
        sent in any_media(),
        (ours, theirs) in (1_u32..=65536, 1_u32..=65536),
        window in 1_u32..100_000,
        piece in 1_usize..20_000,
        publishes in any::<bool>(),
    ) {
        let config = if publishes { to_publish() } else { to_play() };
        let client = ClientConfig { chunk_size: ours, ..config };
        let mut pair = Pair::new(client, ServerConfig { chunk_size: theirs, window, ..to_serve() });
        pair.delivery = Delivery::InRandomPieces(piece);
        pair.run().unwrap();
        let sender = if publishes { &mut pair.client } else { &mut pair.server };
        for media in &sent {
            sender.send(pair.now, media.clone()).unwrap();
        }
        pair.run().unwrap();
        let received = if publishes { &pair.server_media } else { &pair.client_media };
        prop_assert!(*received == joined(&sent));
    }
}
