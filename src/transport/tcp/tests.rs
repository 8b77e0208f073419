use super::*;
use crate::transport::listener::Listener;
use crate::transport::race::connect;
use std::net::Ipv4Addr;

/// Both ends of one connection.
fn pair() -> (Socket, Socket) {
    let wake = Wake::new().unwrap();
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let options = TcpOptions::default();
    let address = listener.local_addr().unwrap();
    let client = connect(
        &[address],
        &options,
        &wake,
        Instant::now() + Duration::from_secs(10),
    )
    .unwrap();
    assert!(listener.poll(&wake, None).unwrap().readable);
    (client, listener.accept(&options).unwrap())
}

/// Reads until `buffer` has `len` bytes or the stream ends.
fn read_up_to(socket: &mut Socket, buffer: &mut BytesMut, len: usize) {
    let wake = Wake::new().unwrap();
    while buffer.len() < len {
        match socket.read(buffer, len - buffer.len()) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                assert!(
                    poll(Some((socket, Interest::READ)), &wake, None)
                        .unwrap()
                        .readable
                );
            }
        }
    }
}

#[test]
fn options_reach_the_socket() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let options = TcpOptions {
        keepalive: Some(Duration::from_millis(20)),
        user_timeout: Some(Duration::from_secs(15)),
        ..TcpOptions::default()
    };
    options.apply(&socket).unwrap();
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    {
        assert!(socket.nonblocking().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), LEAST_KEEPALIVE);
        assert_eq!(socket.tcp_user_timeout().unwrap(), options.user_timeout);
    }
}

#[test]
fn both_ends_know_each_other() {
    let (client, server) = pair();
    assert_eq!(client.local_addr().unwrap(), server.peer_addr());
    assert_eq!(server.local_addr().unwrap(), client.peer_addr());
    assert!(client.inner.tcp_nodelay().unwrap());
    assert!(server.inner.tcp_nodelay().unwrap());
    assert!(client.take_error().unwrap().is_none());
}

#[test]
fn reads_are_appended_without_a_copy() {
    let (mut client, mut server) = pair();
    let mut buffer = BytesMut::new();
    assert_eq!(
        client.read(&mut buffer, 9).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    assert_eq!(
        server
            .write_vectored(&[IoSlice::new(b"one"), IoSlice::new(b"two")])
            .unwrap(),
        6
    );
    let received_at = client.room.as_ptr();
    read_up_to(&mut client, &mut buffer, 2);
    read_up_to(&mut client, &mut buffer, 5);
    let first = buffer.split_to(4).freeze();
    read_up_to(&mut client, &mut buffer, 2);
    assert_eq!((&first[..], &buffer[..]), (&b"onet"[..], &b"wo"[..]));
    // All where the system put it, and the next read goes right behind.
    assert_eq!(first.as_ptr(), received_at);
    assert_eq!(buffer.as_ptr(), first.as_ptr_range().end);
    assert_eq!(client.room.as_ptr(), buffer.as_ptr_range().end);
}

#[test]
fn reads_go_on_past_the_end_of_a_block() {
    let (mut client, mut server) = pair();
    let sent: Vec<u8> = (0..3 * RECEIVE_BLOCK).map(|i| (i % 251) as u8).collect();
    let mut received = BytesMut::new();
    let mut buffer = BytesMut::new();
    for piece in sent.chunks(5000) {
        assert_eq!(
            server.write_vectored(&[IoSlice::new(piece)]).unwrap(),
            piece.len()
        );
        // Something is always left over from the last piece, as when a message has come in part.
        let whole = buffer.len() + piece.len();
        read_up_to(&mut client, &mut buffer, whole);
        received.extend_from_slice(&buffer.split_to(whole - 7));
    }
    received.extend_from_slice(&buffer);
    assert!(received == sent);
}

#[test]
fn partial_vectored_writes_lose_and_tear_nothing() {
    let (mut client, mut server) = pair();
    let wake = Wake::new().unwrap();
    let sent: Vec<u8> = (0..8 << 20).map(|i| (i % 251) as u8).collect();
    let mut written = 0;
    let mut write_until_full = |socket: &mut Socket| loop {
        let slices: Vec<_> = sent[written..].chunks(1 << 20).map(IoSlice::new).collect();
        match socket.write_vectored(&slices) {
            _ if written == sent.len() => return true,
            Ok(n) => written += n,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return false;
            }
        }
    };
    // The peer does not read: the system's buffers fill up, and waiting does not help.
    assert!(!write_until_full(&mut client));
    let ready = poll(
        Some((&client, Interest::BOTH)),
        &wake,
        Some(Duration::from_millis(5)),
    )
    .unwrap();
    assert_eq!(ready, Ready::default());

    let mut received = BytesMut::new();
    while !write_until_full(&mut client) {
        let more = received.len() + (1 << 16);
        read_up_to(&mut server, &mut received, more);
    }
    client.shutdown_write().unwrap();
    read_up_to(&mut server, &mut received, usize::MAX);
    assert!(received == sent);
}

#[test]
fn a_write_takes_any_number_of_slices() {
    let (mut client, mut server) = pair();
    let slices = vec![IoSlice::new(b"x"); MAX_SLICES + 1];
    assert_eq!(client.write_vectored(&slices).unwrap(), MAX_SLICES);
    let mut buffer = BytesMut::new();
    read_up_to(&mut server, &mut buffer, MAX_SLICES);
    assert!(buffer.iter().all(|byte| *byte == b'x'));
}

#[test]
fn the_end_of_the_stream_reads_as_zero_and_the_other_way_stays_open() {
    let (mut client, mut server) = pair();
    let wake = Wake::new().unwrap();
    client.shutdown_write().unwrap();
    assert!(
        poll(Some((&server, Interest::READ)), &wake, None)
            .unwrap()
            .readable
    );
    let mut buffer = BytesMut::from("kept");
    assert_eq!(server.read(&mut buffer, 100).unwrap(), 0);
    assert_eq!(&buffer[..], b"kept");
    assert_eq!(server.write_vectored(&[IoSlice::new(b"bye")]).unwrap(), 3);
    let mut answer = BytesMut::new();
    read_up_to(&mut client, &mut answer, 3);
    assert_eq!(&answer[..], b"bye");
}

#[test]
fn a_reset_connection_is_ready_and_tells_its_error() {
    let (mut client, server) = pair();
    let wake = Wake::new().unwrap();
    // Closing with unread bytes resets.
    assert_eq!(client.write_vectored(&[IoSlice::new(b"unread")]).unwrap(), 6);
    assert!(
        poll(Some((&server, Interest::READ)), &wake, None)
            .unwrap()
            .readable
    );
    drop(server);
    while poll(Some((&client, Interest::READ)), &wake, None).unwrap() == Ready::default() {}
    let error = client.read(&mut BytesMut::new(), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let ready = poll(Some((&client, Interest::WRITE)), &wake, None).unwrap();
    assert_eq!(
        ready,
        Ready {
            writable: true,
            ..Ready::default()
        }
    );
    let error = client.write_vectored(&[IoSlice::new(b"more")]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    // Whoever asked for nothing is not woken by it.
    let (start, short) = (Instant::now(), Duration::from_millis(5));
    let ready = poll(Some((&client, Interest::default())), &wake, Some(short)).unwrap();
    assert_eq!(ready, Ready::default());
    assert!(start.elapsed() >= short);
}

#[cfg(target_os = "linux")]
#[test]
fn a_hangup_alone_counts_as_readable() {
    // A socket that was never connected polls as hung up and nothing else.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    assert!(
        watch(&socket, Interest::READ, &Wake::new().unwrap(), None)
            .unwrap()
            .readable
    );
}

#[test]
fn waking_ends_a_poll_whatever_the_socket_does() {
    let (client, _server) = pair();
    let wake = Wake::new().unwrap();
    assert_eq!(
        poll(Some((&client, Interest::BOTH)), &wake, None).unwrap(),
        Ready {
            writable: true,
            ..Ready::default()
        }
    );
    wake.wake();
    assert!(poll(Some((&client, Interest::READ)), &wake, None).unwrap().woken);
    assert!(poll(None, &wake, Some(Duration::MAX)).unwrap().woken);
    wake.reset();
    assert_eq!(poll(None, &wake, Some(Duration::ZERO)).unwrap(), Ready::default());
}

#[test]
fn what_was_put_back_is_read_first() {
    let (mut client, mut server) = pair();
    let wake = Wake::new().unwrap();
    server.write_vectored(&[IoSlice::new(b" the wire")]).unwrap();
    assert!(!client.has_input());
    client.unread(BytesMut::from(&b"before"[..]));
    // Whether or not the system has something as well.
    for readable in [Interest::READ, Interest::BOTH] {
        assert!(poll(Some((&client, readable)), &wake, None).unwrap().readable);
    }
    assert!(
        !poll(Some((&client, Interest::WRITE)), &wake, None)
            .unwrap()
            .readable
    );
    let mut buffer = BytesMut::from(&b"> "[..]);
    assert_eq!(client.read(&mut buffer, 2).unwrap(), 2);
    assert!(client.has_input());
    assert_eq!(client.read(&mut buffer, 100).unwrap(), 4);
    assert!(!client.has_input());
    read_up_to(&mut client, &mut buffer, 17);
    assert_eq!(buffer, &b"> before the wire"[..]);
}

#[test]
fn a_local_address_restricts_the_family() {
    let (v4, v6) = (
        IpAddr::from([127, 0, 0, 2]),
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    );
    for (family, local_address, left) in [
        (Family::Any, None, Family::Any),
        (Family::V6, None, Family::V6),
        (Family::Any, Some(v4), Family::V4),
        (Family::Any, Some(v6), Family::V6),
        (Family::V6, Some(v4), Family::V4),
    ] {
        let options = TcpOptions {
            family,
            local_address,
            ..TcpOptions::default()
        };
        assert_eq!(options.family(), left);
    }
    assert!(Family::V4.admits(v4) && !Family::V4.admits(v6));
    assert!(Family::V6.admits(v6) && !Family::V6.admits(v4));
    assert!(Family::Any.admits(v4) && Family::Any.admits(v6));
}
