use super::*;
use crate::session::{ClientConfig, Intent, MediaKind, PublishKind, ServerConfig};
use crate::timestamp::Timestamp;
use crate::transport::listener::Listener;
use crate::transport::race::connect;
use crate::transport::tcp::{TcpOptions, poll};
use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const LONG: Duration = Duration::from_secs(20);

/// An audio message of 100 bytes in one chunk.
const AUDIO: &[u8; 112] = &{
    let mut message = [0; 112];
    (message[0], message[6], message[7], message[8]) = (4, 100, 8, 1);
    message
};

/// A server's driver and the socket of its client, which has shaken hands and called connect.
fn connected() -> (Driver, Socket) {
    let wake = Wake::new().unwrap();
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let now = Instant::now();
    let mut client = connect(
        &[address],
        &TcpOptions::default(),
        &wake,
        now + Duration::from_secs(10),
    )
    .unwrap();
    assert!(listener.poll(&wake, None).unwrap().readable);
    let socket = listener.accept(&TcpOptions::default()).unwrap();
    let session = Session::server(Arc::new(ServerConfig::new([7; 32])), now);

    let mut opening = vec![3];
    opening.resize(1 + 2 * 1536, 0);
    let connect = b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x03\0\x03app\x02\0\x04live\0\0\x09";
    opening.extend([3, 0, 0, 0, 0, 0, connect.len() as u8, 20, 0, 0, 0, 0]);
    opening.extend(connect);
    assert_eq!(
        client.write_vectored(&[IoSlice::new(&opening)]).unwrap(),
        opening.len()
    );
    (Driver::new(socket, session, None, now), client)
}

/// Sends audio until the kernel takes no more. `sent` says where in a message it stopped the last time.
fn flood(client: &mut Socket, sent: &mut usize) {
    let burst = AUDIO.repeat(1000);
    while let Ok(count) = client.write_vectored(&[IoSlice::new(&burst[*sent % AUDIO.len()..])]) {
        *sent += count;
    }
}

#[test]
fn a_peer_that_sends_ahead_of_an_answer_is_held_back() {
    let (mut driver, mut client) = connected();
    let mut sent = 0;
    // Nobody has let the client in.
    let limit = driver.session().held_input_limit();
    assert!(limit <= MAX_BACKLOG / 64);
    while driver.interest(Instant::now()).readable {
        flood(&mut client, &mut sent);
        driver.service(Instant::now());
        assert!(
            driver.input.len() < limit + READ_SIZE,
            "{} bytes",
            driver.input.len()
        );
    }
    assert!(driver.input.len() >= limit - READ_SIZE);

    let Some(Event::Requested(request)) = driver.poll_event() else {
        panic!("connect")
    };
    driver.answer(Instant::now(), &request, Ok(())).unwrap();
    assert!(driver.failure().is_none(), "{:?}", driver.failure());
    assert!(driver.interest(Instant::now()).readable);
}

/// The same with connect accepted.
fn accepted() -> (Driver, Socket) {
    let (mut driver, client) = connected();
    let wake = Wake::new().unwrap();
    let Ok(Event::Requested(request)) = driver.next_event(&wake, None) else {
        panic!("connect")
    };
    let now = Instant::now();
    driver.session_mut().answer(now, &request, Ok(())).unwrap();
    driver.resume(now);
    assert_eq!(driver.poll_event(), Some(Event::Connected));
    driver.flush(&wake, None).unwrap();
    (driver, client)
}

/// Has the client ask for something on the message stream 1, and grants it.
fn grant(driver: &mut Driver, client: &mut Socket, command: &[u8]) {
    let wake = Wake::new().unwrap();
    let mut message = vec![3, 0, 0, 0, 0, 0, command.len() as u8, 20, 1, 0, 0, 0];
    message.extend(command);
    client.write_vectored(&[IoSlice::new(&message)]).unwrap();
    let Ok(Event::Requested(request)) = driver.next_event(&wake, None) else {
        panic!("{}", command.escape_ascii())
    };
    driver
        .session_mut()
        .answer(Instant::now(), &request, Ok(()))
        .unwrap();
    assert_eq!(driver.poll_event(), Some(Event::Ready));
}

#[test]
fn a_peer_that_never_pauses_does_not_keep_a_call_from_ending() {
    let (mut driver, mut client) = accepted();
    let mut sent = 0;
    let (asleep, awake) = (Wake::new().unwrap(), Wake::new().unwrap());
    awake.wake();
    for (wake, deadline) in [(&awake, None), (&asleep, Some(Instant::now()))] {
        flood(&mut client, &mut sent);
        let before = driver.totals().received;
        let stopped = driver.next_event(wake, deadline).unwrap_err();
        assert!(matches!(
            (stopped, deadline),
            (Stopped::Interrupted, None) | (Stopped::Elapsed, Some(_))
        ));
        let read = driver.totals().received - before;
        assert!(read <= READ_SIZE as u64, "{read} bytes");
    }

    flood(&mut client, &mut sent);
    let before = driver.totals().received;
    let stopped = driver.close(&awake, Instant::now() + Duration::from_secs(10), LONG);
    assert!(matches!(stopped, Err(Stopped::Interrupted)), "{stopped:?}");
    assert!(driver.totals().received - before <= READ_SIZE as u64);
}

#[test]
fn waiting_for_an_event_does_not_read_without_end() {
    let (mut driver, mut client) = connected();
    let wake = Wake::new().unwrap();
    let Ok(Event::Requested(_)) = driver.next_event(&wake, None) else {
        panic!("connect")
    };
    let mut sent = 0;
    for _ in 0..3 {
        while !driver.is_full() {
            flood(&mut client, &mut sent);
            let stopped = driver.next_event(&wake, Some(Instant::now()));
            assert!(matches!(stopped, Err(Stopped::Elapsed)), "{stopped:?}");
        }
        flood(&mut client, &mut sent);
        let stopped = driver.next_event(&wake, Some(Instant::now()));
        assert!(matches!(stopped, Err(Stopped::Elapsed)), "{stopped:?}");
    }
    let held = driver.input.len();
    assert!(held < MAX_BACKLOG + READ_SIZE, "{held} bytes");
}

/// Ticks of a hundredth of a second that this thread has computed.
#[cfg(target_os = "linux")]
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<u64>().unwrap())
        .sum()
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_asks_after_the_end_and_stays_does_not_make_us_spin() {
    let (mut driver, mut client) = accepted();
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
    let wake = Wake::new().unwrap();
    // Too late for the answer to be written: it is read when our side has been shut down.
    driver.last_read = Instant::now() + LONG;
    client.write_vectored(&[IoSlice::new(&ping)]).unwrap();
    let linger = Duration::from_millis(500);
    let (start, before) = (Instant::now(), cpu_ticks());
    driver.close(&wake, start + LONG, linger).unwrap();
    assert!(driver.queued() > 0, "the answer");
    assert!(start.elapsed() >= linger);
    let ticks = cpu_ticks() - before;
    assert!(ticks < 10, "{ticks} ticks");
}

#[test]
fn a_slow_peer_gets_all_that_the_kernel_holds_for_it() {
    let (mut driver, mut client) = accepted();
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
    let acknowledgement = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 1];
    // Until the answer to a ping finds no room.
    let block = [0; READ_SIZE];
    while driver.queued() == 0 {
        while let Ok(count) = driver
            .carrier
            .write_vectored(Instant::now(), &[IoSlice::new(&block)])
        {
            driver.totals.sent += count as u64;
        }
        client.write_vectored(&[IoSlice::new(&ping)]).unwrap();
        driver.service(Instant::now());
        assert!(driver.failure.is_none(), "{:?}", driver.failure);
    }
    let closing = std::thread::spawn(move || {
        let wake = Wake::new().unwrap();
        let closed = driver.close(&wake, Instant::now() + LONG, Duration::from_millis(1));
        (closed, driver.totals().sent)
    });
    // A link of some 10 MB/s, whose other end goes on talking.
    let wake = Wake::new().unwrap();
    let (started, mut received) = (Instant::now(), 0);
    while started.elapsed() < LONG {
        let mut input = BytesMut::new();
        match client.read(&mut input, READ_SIZE / 4) {
            Ok(0) => break,
            Ok(count) => received += count as u64,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "after {received} bytes"),
        }
        client.write_vectored(&[IoSlice::new(&acknowledgement)]).unwrap();
        poll(None, &wake, Some(Duration::from_millis(1))).unwrap();
    }
    drop(client);
    let (closed, sent) = closing.join().unwrap();
    assert_eq!(closed.unwrap(), Farewell::Said);
    // What went out before it was blocked has been sent as well.
    assert_eq!(received, sent);
}

#[test]
fn a_slow_peer_that_does_not_read_to_the_end_is_told_of() {
    let (mut driver, mut client) = accepted();
    let block = [0; READ_SIZE];
    let fill = |driver: &mut Driver| {
        while let Ok(count) = driver
            .carrier
            .write_vectored(Instant::now(), &[IoSlice::new(&block)])
        {
            driver.totals.sent += count as u64;
        }
    };
    fill(&mut driver);
    // An answer finds no room, and then some.
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
    client.write_vectored(&[IoSlice::new(&ping)]).unwrap();
    let wake = Wake::new().unwrap();
    while !driver.has_blocked {
        let socket = driver.socket().map(|socket| (socket, Interest::READ));
        assert!(poll(socket, &wake, Some(LONG)).unwrap().readable);
        fill(&mut driver);
        driver.service(Instant::now());
    }
    let acknowledgement = [2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0x30, 0];
    client.write_vectored(&[IoSlice::new(&acknowledgement)]).unwrap();
    let started = Instant::now();
    while driver.has_output() {
        assert!(started.elapsed() < LONG);
        let mut input = BytesMut::new();
        let _ = client.read(&mut input, READ_SIZE);
        driver.service(Instant::now());
    }

    let linger = Duration::from_millis(20);
    let farewell = driver.close(&wake, Instant::now() + linger, linger).unwrap();
    let expected = Farewell::Unconfirmed {
        sent: driver.totals().sent,
        acknowledged: 0x3000,
    };
    assert_eq!(farewell, expected);
}

#[test]
fn a_large_slice_goes_out_at_the_rate() {
    let (mut driver, mut client) = accepted();
    let media = Media {
        kind: MediaKind::Video,
        timestamp: Timestamp::from_millis(0),
        head: Bytes::new(),
        body: vec![0; 100_000].into(),
    };
    grant(
        &mut driver,
        &mut client,
        b"\x02\0\x04play\0\x40\x14\0\0\0\0\0\0\x05\x02\0\x03key",
    );
    driver.flush(&Wake::new().unwrap(), None).unwrap();
    driver.session_mut().set_chunk_size(1 << 20);
    let start = Instant::now();
    driver.send(start, media).unwrap();
    // 2500 bytes in 20 ms.
    driver.set_peak_rate(1000, start);
    let before = driver.totals().sent;
    let mut now = start;
    while driver.queued() > 0 {
        let was = driver.totals().sent;
        driver.write(now).unwrap();
        let burst = driver.totals().sent - was;
        assert!(burst <= 2500, "{burst} bytes");
        now += Duration::from_millis(20);
    }
    assert!(driver.totals().sent - before > 100_000);
    assert!(now - start >= Duration::from_millis(780), "{:?}", now - start);
}

#[test]
fn slices_are_taken_as_far_as_they_fit() {
    let slices = [&[0; 10][..], &[0; 20], &[0; 30]].map(IoSlice::new);
    let bytes = |limit| slices_of(&slices, limit);
    assert_eq!([bytes(0), bytes(9), bytes(10), bytes(29)], [10; 4]);
    assert_eq!([bytes(30), bytes(59)], [30; 2]);
    assert_eq!([bytes(60), bytes(usize::MAX)], [60; 2]);
    assert!(limit(&[], 10).is_empty());
}

fn slices_of(slices: &[IoSlice<'_>], bytes: usize) -> usize {
    limit(slices, bytes).iter().map(|slice| slice.len()).sum()
}

#[test]
fn what_is_read_around_an_event_counts_for_the_backlog() {
    let (mut driver, mut client) = accepted();
    grant(
        &mut driver,
        &mut client,
        b"\x02\0\x07publish\0\x40\x14\0\0\0\0\0\0\x05\x02\0\x03key",
    );

    // One message of audio in so many of a type that nobody knows.
    let mut burst = AUDIO.to_vec();
    let mut unknown = *AUDIO;
    unknown[7] = 99;
    burst.extend(unknown.repeat(600));
    let mut sent = 0;
    while driver.interest(Instant::now()).readable {
        while let Ok(count) = client.write_vectored(&[IoSlice::new(&burst[sent % burst.len()..])]) {
            sent += count;
        }
        driver.service(Instant::now());
        assert!(driver.failure.is_none(), "{:?}", driver.failure);
        let read = driver.totals().received as usize;
        assert!(read < MAX_BACKLOG + 2 * READ_SIZE, "{read} bytes");
    }
    while driver.poll_event().is_some() {}
    assert_eq!(driver.backlog_bytes, 0);
    assert!(driver.interest(Instant::now()).readable);
}

#[test]
fn a_failed_write_does_not_read_without_end_for_its_reason() {
    let (mut driver, mut client) = accepted();
    driver.carrier.shutdown_write().unwrap();
    // To be answered.
    let ping = [2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1];
    client.write_vectored(&[IoSlice::new(&ping)]).unwrap();
    let mut sent = 0;
    flood(&mut client, &mut sent);
    let before = driver.totals().received;
    driver.service(Instant::now());
    assert!(
        matches!(driver.failure(), Some(Error::Io { .. })),
        "{:?}",
        driver.failure()
    );
    let read = driver.totals().received - before;
    assert!(read < 2 * MAX_READ_AHEAD + 2 * READ_SIZE as u64, "{read} bytes");
}

#[test]
fn debug_shows_nothing_received() {
    let (mut driver, _client) = connected();
    driver.input.extend_from_slice(b"secret");
    assert!(!format!("{driver:?}").contains("secret"));
}

#[test]
fn a_peer_that_sends_fast_gets_only_its_share_of_a_call() {
    let (mut driver, mut client) = connected();
    let mut sent = 0;
    let mut most = 0;
    for _ in 0..4 {
        flood(&mut client, &mut sent);
        let before = driver.totals().received;
        driver.service(Instant::now());
        most = most.max(driver.totals().received - before);
    }
    assert!(most < MAX_READ_AHEAD + READ_SIZE as u64, "{most} bytes");
}

/// Both ends of a connection whose client publishes to the server.
fn publishing() -> (Driver, Driver, Wake) {
    let wake = Wake::new().unwrap();
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let options = TcpOptions::default();
    let now = Instant::now();
    let socket = connect(&[listener.local_addr().unwrap()], &options, &wake, now + LONG).unwrap();
    assert!(listener.poll(&wake, None).unwrap().readable);
    let accepted = listener.accept(&options).unwrap();
    let intent = Intent::Publish {
        kind: PublishKind::Live,
    };
    let config = ClientConfig::new(
        intent,
        "app".into(),
        "rtmp://host/app".into(),
        "key".into(),
        [7; 32],
    );
    let mut client = Driver::new(socket, Session::client(Arc::new(config), now), None, now);
    let server = Session::server(Arc::new(ServerConfig::new([8; 32])), now);
    let mut server = Driver::new(accepted, server, None, now);
    let mut is_ready = false;
    while !is_ready {
        let now = Instant::now();
        client.service(now);
        server.service(now);
        while let Some(event) = server.poll_event() {
            if let Event::Requested(request) = event {
                server.session_mut().answer(now, &request, Ok(())).unwrap();
                server.resume(now);
            }
        }
        while let Some(event) = client.poll_event() {
            is_ready |= event == Event::Ready;
        }
    }
    (client, server, wake)
}

fn frame(at: u32, size: usize) -> Media {
    Media {
        kind: MediaKind::Video,
        timestamp: Timestamp::from_millis(at),
        head: Bytes::from_static(b"\x27\x01\0\0\0"),
        body: Bytes::from(vec![1; size]),
    }
}

#[test]
fn a_message_is_one_write_and_a_list_of_messages_is_one_too() {
    let (mut client, mut server, wake) = publishing();
    let before = client.calls();
    let begin = Instant::now();
    for at in 0..100 {
        client.send(Instant::now(), frame(at, 20_000)).unwrap();
        client.flush(&wake, None).unwrap();
        while !matches!(server.next_event(&wake, None).unwrap(), Event::Media(_)) {}
    }
    let after = client.calls();
    assert_eq!((after.writes - before.writes, after.waits), (100, before.waits));
    // Once in a while it looks for what the server says: a read with something, one in vain.
    let looks = begin.elapsed().as_millis() / READ_INTERVAL.as_millis() + 1;
    assert!(
        u128::from(after.reads - before.reads) <= 2 * looks,
        "{after:?} {before:?}"
    );

    let before = client.calls().writes;
    for at in 100..300 {
        client.send(Instant::now(), frame(at, 370)).unwrap();
    }
    client.flush(&wake, None).unwrap();
    assert_eq!(client.calls().writes - before, 1);
}

#[test]
fn messages_that_are_there_cost_less_than_a_call_each_and_those_that_come_two() {
    let (mut client, mut server, wake) = publishing();
    let take = |server: &mut Driver| {
        while !matches!(server.next_event(&wake, None).unwrap(), Event::Media(_)) {}
    };
    for at in 0..400 {
        client.send(Instant::now(), frame(at, 370)).unwrap();
    }
    client.service(Instant::now());
    let before = server.calls();
    for _ in 0..400 {
        take(&mut server);
    }
    let after = server.calls();
    let calls = after.reads - before.reads + after.waits - before.waits + after.writes - before.writes;
    assert!(calls <= 100, "{calls} calls for 400 messages");

    // One by one: a wait and a read, and nothing in vain.
    let before = server.calls();
    for at in 400..450 {
        client.send(Instant::now(), frame(at, 370)).unwrap();
        client.service(Instant::now());
        take(&mut server);
    }
    let after = server.calls();
    assert!(after.reads - before.reads <= 55, "{before:?} {after:?}");
    assert!(after.waits - before.waits <= 55, "{before:?} {after:?}");
}
