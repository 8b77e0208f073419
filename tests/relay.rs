//! The embedded server: what players get and when, who is refused or dropped, and that real publishers and players
//! get along with it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "clients live in real time behind real sockets"
)]

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use gstrtmp::flv;
use gstrtmp::session::{
    ClientConfig, Event, Intent, Level, Media, MediaKind, Phase, PlayStart, PublishKind, Request, Session,
    Status, StopCommands,
};
use gstrtmp::timestamp::Timestamp;
use gstrtmp::transport::race::connect;
use gstrtmp::transport::tcp::TcpOptions;
use gstrtmp::transport::wake::Wake;
use gstrtmp::transport::{Driver, Error, Stopped};

use relay::{Options, Reason, Relay, Role, Snapshot};
use support::ffmpeg::{self, Form, Pace, utf8};
use support::gstreamer::GStreamer;
use support::process::Peer;
use support::wait::LONG;
use support::{Context, Failure, Result, rtmpdump};

const METADATA: &[u8] = b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09";
const AVC_HEADER: &[u8] = b"\x17\x00\x00\x00\x00configuration";
const AAC_HEADER: &[u8] = b"\xaf\x00\x12\x10";
const KEY: &[u8] = b"\x17\x01\x00\x00\x00key";
const DELTA: &[u8] = b"\x27\x01\x00\x00\x00delta";
const SOUND: &[u8] = b"\xaf\x01sound";

const PUBLISH: Intent = Intent::Publish {
    kind: PublishKind::Live,
};
const PLAY: Intent = Intent::Play {
    start: PlayStart::Any,
    buffer_length: 0,
};

/// Seconds of the sample that real peers exchange.
const SAMPLE_SECONDS: u32 = 3;

/// A client made of the crate's own session and driver.
struct Client {
    driver: Driver,
    wake: Wake,
}

impl Client {
    /// A client of `live/STREAM` that has connected and does nothing yet.
    fn new(relay: &Relay, intent: Intent, stream: &str) -> Result<Self> {
        Self::with(relay, intent, stream, |_| {})
    }

    fn with(
        relay: &Relay,
        intent: Intent,
        stream: &str,
        configure: impl FnOnce(&mut ClientConfig),
    ) -> Result<Self> {
        let wake = Wake::new()?;
        let deadline = Instant::now() + LONG;
        let socket = connect(&[relay.address()], &TcpOptions::default(), &wake, deadline)
            .map_err(|error| Failure::new(format!("connecting to the relay: {error:?}")))?;
        let tc_url = format!("rtmp://{}/live", relay.address());
        let mut config = ClientConfig::new(intent, "live".into(), tc_url.into(), stream.into(), [7; 32]);
        configure(&mut config);
        let now = Instant::now();
        let driver = Driver::new(socket, Session::client(Arc::new(config), now), None, now);
        Ok(Self { driver, wake })
    }

    /// A client whose stream has started.
    fn started(relay: &Relay, intent: Intent, stream: &str) -> Result<Self> {
        let mut client = Self::new(relay, intent, stream)?;
        client.wait_until(|event| *event == Event::Ready)?;
        Ok(client)
    }

    fn next_event(&mut self) -> std::result::Result<Event, Stopped> {
        self.driver.next_event(&self.wake, Some(Instant::now() + LONG))
    }

    fn wait_until(&mut self, is_it: impl Fn(&Event) -> bool) -> Result<()> {
        loop {
            let event = self.next_event().map_err(failure)?;
            if is_it(&event) {
                return Ok(());
            }
        }
    }

    /// The error that the connection ends with.
    fn wait_for_error(&mut self) -> Result<Error> {
        loop {
            match self.next_event() {
                Ok(_) => {}
                Err(Stopped::Failed(error)) => return Ok(error),
                Err(stopped) => return Err(failure(stopped)),
            }
        }
    }

    /// The code of the status by which the relay refuses, and what it refuses.
    fn wait_for_refusal(&mut self) -> Result<(Phase, String)> {
        match self.wait_for_error()? {
            Error::Session(gstrtmp::session::Error::Rejected { phase, status }) => Ok((phase, status.code)),
            error => Err(Failure::new(format!("not refused, but: {error}"))),
        }
    }

    /// The next media message: its time in milliseconds and its payload.
    fn next_media(&mut self) -> Result<(u32, Bytes)> {
        loop {
            if let Event::Media(media) = self.next_event().map_err(failure)? {
                return Ok((media.timestamp.millis(), media.body));
            }
        }
    }

    fn expect(&mut self, messages: &[(u32, &[u8])]) -> Result<()> {
        for (millis, body) in messages {
            let (at, got) = self.next_media()?;
            assert_eq!(
                (at, got.escape_ascii().to_string()),
                (*millis, body.escape_ascii().to_string())
            );
        }
        Ok(())
    }

    /// Sends messages and waits until the kernel has them.
    fn send(&mut self, messages: &[(MediaKind, u32, &[u8])]) -> Result<()> {
        for (kind, millis, body) in messages {
            self.queue(*kind, *millis, Bytes::copy_from_slice(body))?;
        }
        self.flush()
    }

    fn queue(&mut self, kind: MediaKind, millis: u32, body: Bytes) -> Result<()> {
        // Elements do the same: a publisher's metadata goes out with @setDataFrame in front.
        let head = if kind == MediaKind::Data {
            flv::script::publishing_head(&body)
        } else {
            Bytes::new()
        };
        let media = Media {
            kind,
            timestamp: Timestamp::from_millis(millis),
            head,
            body,
        };
        Ok(self.driver.send(Instant::now(), media)?)
    }

    fn flush(&mut self) -> Result<()> {
        self.driver
            .flush(&self.wake, Some(Instant::now() + LONG))
            .map_err(failure)
    }

    fn close(mut self) -> Result<()> {
        let deadline = Instant::now() + LONG;
        self.driver
            .close(&self.wake, deadline, LONG)
            .map(drop)
            .map_err(failure)
    }
}

fn failure(stopped: Stopped) -> Failure {
    Failure::new(match stopped {
        Stopped::Failed(error) => format!("a client failed: {error}"),
        Stopped::Elapsed => "a client heard nothing of what it waited for".into(),
        Stopped::Interrupted => "a client was interrupted".into(),
    })
}

fn start() -> Result<Relay> {
    start_with(Options::default())
}

fn start_with(options: Options) -> Result<Relay> {
    Relay::start(options).context("starting the relay")
}

fn start_sequence() -> [(MediaKind, u32, &'static [u8]); 3] {
    [
        (MediaKind::Data, 0, METADATA),
        (MediaKind::Video, 0, AVC_HEADER),
        (MediaKind::Audio, 0, AAC_HEADER),
    ]
}

/// Messages that the publisher of `live/STREAM` has sent so far.
fn published(snapshot: &Snapshot, stream: &str) -> u64 {
    snapshot.publisher(&format!("live/{stream}")).map_or(0, |client| {
        client.messages_in.audio + client.messages_in.video + client.messages_in.data
    })
}

/// Waits until the relay has `count` messages of the publisher of `live/STREAM`.
fn wait_for_messages(relay: &Relay, stream: &str, count: u64) -> Result<()> {
    relay.wait_for(LONG, |snapshot| published(snapshot, stream) == count)?;
    Ok(())
}

fn wait_for_players(relay: &Relay, stream: &str, count: usize) -> Result<()> {
    relay.wait_for(LONG, |snapshot| {
        snapshot.players(&format!("live/{stream}")).count() == count
    })?;
    Ok(())
}

fn wait_for_gone(relay: &Relay, count: usize) -> Result<Vec<Reason>> {
    let snapshot = relay.wait_for(LONG, |snapshot| snapshot.gone.len() == count)?;
    Ok(snapshot.gone.into_iter().map(|gone| gone.reason).collect())
}

#[test]
fn a_player_that_waits_gets_the_stream_from_its_start() -> Result<()> {
    let relay = start()?;
    let mut early = Client::started(&relay, PLAY, "a")?;
    let mut elsewhere = Client::started(&relay, PLAY, "b")?;
    let mut publisher = Client::started(&relay, PUBLISH, "a?token=x")?;
    publisher.send(&start_sequence())?;
    publisher.send(&[
        (MediaKind::Video, 0, KEY),
        (MediaKind::Audio, 5, SOUND),
        (MediaKind::Video, 40, DELTA),
    ])?;
    early.expect(&[
        (0, METADATA),
        (0, AVC_HEADER),
        (0, AAC_HEADER),
        (0, KEY),
        (5, SOUND),
        (40, DELTA),
    ])?;

    // The other stream's player got none of that.
    let mut publisher = Client::started(&relay, PUBLISH, "b")?;
    publisher.send(&[(MediaKind::Video, 7, KEY)])?;
    elsewhere.expect(&[(7, KEY)])
}

#[test]
fn a_late_joiner_gets_headers_and_the_current_group_first() -> Result<()> {
    let relay = start()?;
    let mut publisher = Client::started(&relay, PUBLISH, "a")?;
    publisher.send(&start_sequence())?;
    for start in [0, 1000] {
        publisher.send(&[
            (MediaKind::Video, start, KEY),
            (MediaKind::Audio, start + 10, SOUND),
        ])?;
        publisher.send(&[(MediaKind::Video, start + 40, DELTA)])?;
    }
    wait_for_messages(&relay, "a", 9)?;

    let mut late = Client::started(&relay, PLAY, "a")?;
    publisher.send(&[(MediaKind::Video, 1080, DELTA)])?;
    late.expect(&[(1000, METADATA), (1000, AVC_HEADER), (1000, AAC_HEADER)])?;
    late.expect(&[(1000, KEY), (1010, SOUND), (1040, DELTA), (1080, DELTA)])
}

#[test]
fn without_the_cache_a_late_joiner_gets_headers_and_waits_for_a_key_frame() -> Result<()> {
    let relay = start_with(Options {
        gop_cache: false,
        ..Options::default()
    })?;
    let mut publisher = Client::started(&relay, PUBLISH, "a")?;
    publisher.send(&start_sequence())?;
    publisher.send(&[(MediaKind::Video, 40, KEY)])?;
    wait_for_messages(&relay, "a", 4)?;

    let mut late = Client::started(&relay, PLAY, "a")?;
    publisher.send(&[(MediaKind::Video, 80, DELTA), (MediaKind::Audio, 90, SOUND)])?;
    publisher.send(&[(MediaKind::Video, 120, KEY), (MediaKind::Video, 160, DELTA)])?;
    late.expect(&[(40, METADATA), (40, AVC_HEADER), (40, AAC_HEADER)])?;
    late.expect(&[(90, SOUND), (120, KEY), (160, DELTA)])
}

#[test]
fn a_second_publisher_of_a_name_is_refused_and_the_first_goes_on() -> Result<()> {
    let relay = start()?;
    let mut first = Client::started(&relay, PUBLISH, "a")?;
    let mut player = Client::started(&relay, PLAY, "a")?;
    let mut second = Client::new(&relay, PUBLISH, "a")?;
    assert_eq!(
        second.wait_for_refusal()?,
        (Phase::Publish, "NetStream.Publish.BadName".into())
    );
    drop(second);
    first.send(&[(MediaKind::Video, 0, KEY)])?;
    player.expect(&[(0, KEY)])?;

    first.close()?;
    relay.wait_for(LONG, |snapshot| snapshot.publisher("live/a").is_none())?;
    Client::started(&relay, PUBLISH, "a")?;
    Ok(())
}

#[test]
fn players_hear_of_the_end_however_the_publisher_ends() -> Result<()> {
    let relay = start()?;
    let none = StopCommands {
        fc_unpublish: false,
        close_stream: false,
        delete_stream: false,
    };
    for stop_commands in [
        Some(StopCommands {
            delete_stream: true,
            ..none
        }),
        Some(StopCommands {
            close_stream: true,
            ..none
        }),
        None,
    ] {
        let mut player = Client::started(&relay, PLAY, "a")?;
        let mut publisher = Client::with(&relay, PUBLISH, "a", |config| {
            config.stop_commands = stop_commands.unwrap_or(none);
        })?;
        publisher.wait_until(|event| *event == Event::Ready)?;
        publisher.send(&[(MediaKind::Video, 0, KEY)])?;
        player.expect(&[(0, KEY)])?;
        match stop_commands {
            Some(_) => publisher.close()?,
            None => drop(publisher),
        }
        player.wait_until(|event| *event == Event::Eof)?;
        // The connection stands until the player closes it.
        player.close()?;
    }
    Ok(())
}

#[test]
fn a_player_that_does_not_read_is_dropped_and_the_others_go_on() -> Result<()> {
    const MAX_QUEUE: usize = 256 << 10;
    let relay = start_with(Options {
        max_queue: MAX_QUEUE,
        ..Options::default()
    })?;
    let _idle = Client::started(&relay, PLAY, "a")?;
    let mut reader = Client::started(&relay, PLAY, "a")?;
    let mut publisher = Client::started(&relay, PUBLISH, "a")?;
    let frame = Bytes::from([KEY, &[0; 100 << 10]].concat());
    // The kernel's buffers are megabytes deep.
    let deadline = Instant::now() + LONG;
    let gone = loop {
        publisher.queue(MediaKind::Video, 0, frame.clone())?;
        publisher.flush()?;
        assert_eq!(reader.next_media()?, (0, frame.clone()));
        if let Some(gone) = relay.snapshot().gone.pop_front() {
            break gone;
        }
        assert!(Instant::now() < deadline, "nobody was dropped");
    };
    assert!(
        matches!(gone.reason, Reason::TooSlow(queued) if queued > MAX_QUEUE),
        "{gone:?}"
    );
    assert!(matches!(gone.role, Role::Player(_)), "{gone:?}");

    publisher.queue(MediaKind::Video, 40, frame.clone())?;
    publisher.flush()?;
    assert_eq!(reader.next_media()?, (40, frame));
    Ok(())
}

#[test]
fn what_is_not_admitted_is_refused_with_the_status_given() -> Result<()> {
    let admit = |request: &Request| {
        let denied = |code| Err(Status::new(Level::Error, code, "not you"));
        match request {
            Request::Connect { object, .. } if object.get("swfUrl").is_some() => {
                denied("NetConnection.Connect.Rejected")
            }
            Request::Publish { stream, .. } if *stream == "a" => denied("NetStream.Publish.Denied"),
            Request::Play { stream, .. } if *stream == "a" => denied("NetStream.Play.StreamNotFound"),
            _ => Ok(()),
        }
    };
    let relay = start_with(Options {
        admit: Box::new(admit),
        ..Options::default()
    })?;

    let mut client = Client::with(&relay, PLAY, "b", |config| {
        config.swf_url = Some("http://swf".into())
    })?;
    assert_eq!(
        client.wait_for_refusal()?,
        (Phase::Connect, "NetConnection.Connect.Rejected".into())
    );
    drop(client);
    let reasons = wait_for_gone(&relay, 1)?;
    assert!(
        matches!(&*reasons, [Reason::Refused(code)] if code == "NetConnection.Connect.Rejected"),
        "{reasons:?}"
    );

    let refusal = Client::new(&relay, PUBLISH, "a")?.wait_for_refusal()?;
    assert_eq!(refusal, (Phase::Publish, "NetStream.Publish.Denied".into()));
    let refusal = Client::new(&relay, PLAY, "a")?.wait_for_refusal()?;
    assert_eq!(refusal, (Phase::Play, "NetStream.Play.StreamNotFound".into()));
    Client::started(&relay, PUBLISH, "b")?;
    Ok(())
}

#[test]
fn a_stream_without_a_name_is_refused_and_so_is_one_with_an_endless_one() -> Result<()> {
    let relay = start()?;
    for stream in [String::from("?key"), "x".repeat(5000)] {
        let mut client = Client::with(&relay, PUBLISH, &stream, |config| {
            config.application = "/?app".into()
        })?;
        assert_eq!(
            client.wait_for_refusal()?,
            (Phase::Publish, "NetStream.Publish.BadName".into())
        );
    }
    Ok(())
}

#[test]
fn clients_beyond_the_limit_are_turned_away() -> Result<()> {
    let relay = start_with(Options {
        max_clients: 2,
        ..Options::default()
    })?;
    let mut publisher = Client::started(&relay, PUBLISH, "a")?;
    let mut player = Client::started(&relay, PLAY, "a")?;
    let mut third = Client::new(&relay, PLAY, "a")?;
    third.wait_for_error()?;
    relay.wait_for(LONG, |snapshot| snapshot.turned_away == 1)?;
    publisher.send(&[(MediaKind::Video, 0, KEY)])?;
    player.expect(&[(0, KEY)])?;

    player.close()?;
    wait_for_players(&relay, "a", 0)?;
    Client::started(&relay, PLAY, "a")?;
    Ok(())
}

#[test]
fn peers_that_speak_something_else_disturb_nobody() -> Result<()> {
    let relay = start()?;
    let mut publisher = Client::started(&relay, PUBLISH, "a")?;
    let mut player = Client::started(&relay, PLAY, "a")?;
    let mut shake = vec![3];
    shake.resize(1 + 1536, 0);
    let zeros = [0; 1536];
    let hostile: [&[&[u8]]; 6] = [
        &[b"\0GET / HTTP/1.1\r\nHost: relay\r\n\r\n"],
        &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
        // A handshake that breaks off, and one that nothing sensible follows.
        &[&shake[..700]],
        &[&shake, &zeros, &[0xff; 4096]],
        // A message of 16 MiB before connect.
        &[
            &shake,
            &zeros,
            b"\x03\x00\x00\x00\xff\xff\xff\x14\x00\x00\x00\x00",
        ],
        // publish before connect.
        &[
            &shake,
            &zeros,
            b"\x03\x00\x00\x00\x00\x00\x14\x14\x00\x00\x00\x00",
            b"\x02\x00\x07publish\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05",
        ],
    ];
    for (count, pieces) in (1..).zip(hostile) {
        let mut stream = TcpStream::connect(relay.address())?;
        for piece in pieces {
            // The relay may have closed the connection already.
            let _ = stream.write_all(piece);
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let reasons = wait_for_gone(&relay, count)?;
        assert!(matches!(reasons.last(), Some(Reason::Failed(_))), "{reasons:?}");
        publisher.send(&[(MediaKind::Video, 0, KEY)])?;
        player.expect(&[(0, KEY)])?;
    }
    Ok(())
}

#[test]
fn whoever_speaks_http_without_a_tunnel_is_told_so_and_is_no_client() -> Result<()> {
    let relay = start()?;
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n"[..], "HTTP/1.1 405 "),
        (
            b"POST /send/x/0 HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
            "HTTP/1.1 404 ",
        ),
        (b"HELLO\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let mut stream = TcpStream::connect(relay.address())?;
        stream.set_read_timeout(Some(LONG))?;
        stream.write_all(request)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert!(answer.starts_with(status), "{answer}");
    }
    let snapshot = relay.snapshot();
    assert!(
        snapshot.clients.is_empty() && snapshot.gone.is_empty(),
        "{snapshot:?}"
    );
    Ok(())
}

/// A command message without a command object, in one chunk.
fn command(name: &str, arguments: &[u8]) -> Vec<u8> {
    let mut values = vec![2, 0, name.len() as u8];
    values.extend_from_slice(name.as_bytes());
    values.extend_from_slice(&[0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
    values.extend_from_slice(arguments);
    let mut message = vec![3, 0, 0, 0, 0, 0, values.len() as u8, 20, 1, 0, 0, 0];
    message.extend_from_slice(&values);
    message
}

#[test]
fn a_client_that_asks_without_end_leaves_others_their_turn() -> Result<()> {
    const QUESTIONS: usize = 1000;
    let hello = |application: &str| {
        let mut opening = vec![3];
        opening.resize(1 + 2 * 1536, 0);
        let object = [b"\x03\0\x03app\x02\0\x05", application.as_bytes(), b"\0\0\x09"].concat();
        opening.extend(command("connect", &object));
        opening
    };
    let question = command("publish", b"\x05\x02\0\x03key");

    let (asked, sockets) = channel::<TcpStream>();
    let (tell, told) = channel();
    let (mut questions, mut asking, mut other) = (0, None, None);
    let (next, other_hello) = (question.clone(), hello("other"));
    let admit = move |request: &Request| {
        match request {
            Request::Connect { application, .. } if *application == "other" => {
                let _ = tell.send(questions);
            }
            Request::Publish { .. } => {
                questions += 1;
                let asking: &mut TcpStream = asking.get_or_insert_with(|| sockets.recv().unwrap());
                if questions == 1 {
                    let address = asking.peer_addr().unwrap();
                    let other = other.insert(TcpStream::connect(address).unwrap());
                    other.write_all(&other_hello).unwrap();
                }
                // The next question is there before this one is answered.
                if questions < QUESTIONS {
                    asking.write_all(&next).unwrap();
                }
                return Err(Status::new(Level::Error, "NetStream.Publish.Denied", "never"));
            }
            _ => {}
        }
        Ok(())
    };
    let relay = start_with(Options {
        admit: Box::new(admit),
        ..Options::default()
    })?;
    let mut stream = TcpStream::connect(relay.address())?;
    asked
        .send(stream.try_clone()?)
        .map_err(|_| Failure::new("the relay is gone"))?;
    stream.write_all(&[hello("asker"), question].concat())?;
    let questions = told
        .recv_timeout(LONG)
        .map_err(|_| Failure::new("the other was not served"))?;
    assert!(questions < QUESTIONS, "{questions}");
    Ok(())
}

#[test]
fn tags_that_end_too_early_are_not_passed_on() -> Result<()> {
    let relay = start()?;
    let mut player = Client::started(&relay, PLAY, "a")?;
    let mut publisher = Client::started(&relay, PUBLISH, "a")?;
    publisher.send(&[
        (MediaKind::Video, 0, b""),
        (MediaKind::Video, 1, b"\x17"),
        (MediaKind::Audio, 2, b"\xaf"),
    ])?;
    publisher.send(&[(MediaKind::Video, 3, KEY)])?;
    player.expect(&[(3, KEY)])
}

#[test]
fn shutting_down_ends_streams_and_dropping_breaks_them() -> Result<()> {
    for in_good_order in [true, false] {
        let relay = start()?;
        let address = relay.address();
        let mut player = Client::started(&relay, PLAY, "a")?;
        let mut publisher = Client::started(&relay, PUBLISH, "a")?;
        publisher.send(&[(MediaKind::Video, 0, KEY)])?;
        player.expect(&[(0, KEY)])?;
        if in_good_order {
            relay.shut_down();
            player.wait_until(|event| *event == Event::Eof)?;
        } else {
            drop(relay);
            let error = player.wait_for_error()?;
            assert!(
                matches!(
                    error,
                    Error::Session(gstrtmp::session::Error::Disconnected(Phase::Media))
                ),
                "{error:?}"
            );
        }
        assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    }
    Ok(())
}

/// The sample in `folder`, and its frames.
fn sample(folder: &Path) -> Result<(std::path::PathBuf, ffmpeg::Frames)> {
    let file = folder.join("sample.flv");
    ffmpeg::encode_sample(&file, SAMPLE_SECONDS)?;
    let frames = ffmpeg::frames(utf8(&file)?, Form::Encoded)?;
    assert_eq!(frames.video.len(), 25 * SAMPLE_SECONDS as usize);
    Ok((file, frames))
}

#[test]
fn ffmpeg_publishes_and_ffmpeg_ffprobe_and_rtmpdump_get_every_packet() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, sent) = sample(folder.path())?;
    let relay = start()?;
    let url = relay.url("live", "a");
    let (by_ffmpeg, by_rtmpdump) = (
        folder.path().join("ffmpeg.flv"),
        folder.path().join("rtmpdump.flv"),
    );
    let ffmpeg = ffmpeg::play(&url, &by_ffmpeg)?;
    let rtmpdump = rtmpdump::play(&url, rtmpdump::Stream::Live, &by_rtmpdump)?;
    let counts = thread::scope(|scope| {
        let ffprobe = scope.spawn(|| ffmpeg::packet_counts(&url));
        wait_for_players(&relay, "a", 3)?;
        ffmpeg::publish(&file, &url, Pace::Unpaced)?.succeed(LONG)?;
        ffprobe
            .join()
            .map_err(|_| Failure::new("counting packets panicked"))?
    })?;
    assert_eq!((counts.video, counts.audio), (sent.video.len(), sent.audio.len()));
    ffmpeg.succeed(LONG)?;
    rtmpdump.end(LONG)?;
    for got in [by_ffmpeg, by_rtmpdump] {
        let got = ffmpeg::frames(utf8(&got)?, Form::Encoded)?;
        assert_eq!(
            (got.video_md5(), got.audio_md5()),
            (sent.video_md5(), sent.audio_md5())
        );
    }
    Ok(())
}

#[test]
fn ffmpeg_joins_late_at_a_key_frame() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, sent) = sample(folder.path())?;
    let relay = start()?;
    let url = relay.url("live", "a");
    let publisher = ffmpeg::publish(&file, &url, Pace::Live)?;
    // Past the second key frame and before the third.
    relay.wait_for(LONG, |snapshot| {
        snapshot
            .publisher("live/a")
            .is_some_and(|client| client.messages_in.video > 30)
    })?;
    let late = folder.path().join("late.flv");
    let player = ffmpeg::play(&url, &late)?;
    publisher.succeed(LONG)?;
    player.succeed(LONG)?;
    let got = ffmpeg::frames(utf8(&late)?, Form::Encoded)?;
    let (got, sent) = (got.video_md5(), sent.video_md5());
    assert!([25, 50].contains(&got.len()), "{} pictures", got.len());
    assert!(sent.ends_with(&got));
    Ok(())
}

#[test]
fn rtmp2sink_publishes_every_frame() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, sent) = sample(folder.path())?;
    let relay = start()?;
    let url = relay.url("live", "a");
    let gstreamer = GStreamer::without_plugin()?;
    let got = folder.path().join("got.flv");
    let player = ffmpeg::play(&url, &got)?;
    wait_for_players(&relay, "a", 1)?;
    let publisher = gstreamer.launch(&format!(
        "filesrc location={} ! flvdemux name=demux flvmux name=mux streamable=true ! rtmp2sink location={url} \
         demux.video ! queue ! mux.video demux.audio ! queue ! mux.audio",
        utf8(&file)?
    ))?;
    publisher.succeed(LONG)?;
    player.succeed(LONG)?;
    let got = ffmpeg::frames(utf8(&got)?, Form::Encoded)?;
    assert_eq!(
        (got.video_md5(), got.audio_md5()),
        (sent.video_md5(), sent.audio_md5())
    );
    Ok(())
}

#[test]
fn rtmp2src_plays_every_frame_but_the_last() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, sent) = sample(folder.path())?;
    let relay = start()?;
    let url = relay.url("live", "a");
    let gstreamer = GStreamer::without_plugin()?;
    let got = folder.path().join("got.flv");
    let player = gstreamer.launch(&format!(
        "rtmp2src location={url} ! filesink location={}",
        utf8(&got)?
    ))?;
    wait_for_players(&relay, "a", 1)?;
    ffmpeg::publish(&file, &url, Pace::Live)?.succeed(LONG)?;
    player.succeed(LONG)?;
    let got = ffmpeg::frames(utf8(&got)?, Form::Encoded)?;
    assert_eq!(got.video_md5(), sent.video_md5());
    // rtmp2src 1.22 forgets the message that it has in hand when the stream ends, which is sound here.
    assert!(sent.audio_md5().starts_with(&got.audio_md5()));
    assert!(
        got.audio.len() + 1 >= sent.audio.len(),
        "{} of {}",
        got.audio.len(),
        sent.audio.len()
    );
    Ok(())
}

#[test]
fn the_program_says_where_it_listens_and_ends_when_interrupted() -> Result<()> {
    let test = env::current_exe()?;
    let program = test
        .parent()
        .and_then(Path::parent)
        .map(|target| target.join("examples/rtmp_server"))
        .filter(|program| program.exists())
        .ok_or(Failure::new(
            "the example is missing: run `cargo build --example rtmp_server`",
        ))?;
    let server = Peer::spawn(
        Command::new(program).args(["--listen", "127.0.0.1:0"]),
        "this crate",
    )?;
    server.wait_for("/\n", LONG)?;
    let stdout = server.stdout();
    let address = stdout
        .strip_prefix("listening on rtmp://")
        .and_then(|rest| rest.split_once("/\n"))
        .map(|(address, _)| address)
        .ok_or(Failure::new(format!("the server said {stdout:?}")))?;

    let folder = tempfile::tempdir()?;
    let (file, _) = sample(folder.path())?;
    ffmpeg::publish(&file, &format!("rtmp://{address}/live/secret"), Pace::Unpaced)?.succeed(LONG)?;
    server.wait_for("client 1 gone", LONG)?;
    let mut connection = TcpStream::connect(address)?;
    // What it speaks is known by its first byte.
    connection.write_all(&[3])?;
    server.wait_for("client 2 connected", LONG)?;
    server.interrupt()?;
    let ended = server.succeed(LONG)?;
    let stdout = String::from_utf8(ended.stdout)?;
    assert!(
        stdout.contains(&format!("client 1 publishes rtmp://{address}/live/***\n")),
        "{stdout}"
    );
    assert!(!stdout.contains("secret"), "{stdout}");
    connection.set_read_timeout(Some(LONG))?;
    assert_eq!(connection.read(&mut [0])?, 0, "connections are closed");
    Ok(())
}
