//! Servers that mean harm, or nothing at all.

use super::*;

#[test]
fn another_protocol_is_told_by_its_first_byte() {
    let mut script = Script::server_for(to_publish());
    assert_eq!(
        script.raw(b"HTTP/1.1 400 Bad Request\r\n"),
        Err(Error::Malformed(Malformed::Invalid {
            field: "RTMP version (S0)",
            value: b'H'.into()
        }))
    );
}

#[test]
fn garbage_ends_the_session() {
    let mut script = Script::flowing(to_play());
    // A type 3 chunk on a chunk stream that never was.
    assert!(matches!(script.raw(&[0xff; 64]), Err(Error::Malformed(_))));
    let mut script = Script::flowing(to_play());
    // A command that begins with a number.
    let refused = script.say(0, type_id::COMMAND_AMF0, 0, &[0; 9]);
    assert!(matches!(refused, Err(Error::Malformed(_))));
}

#[test]
fn chunk_sizes_that_no_chunk_can_have_are_refused() {
    for size in [0_u32, 1 << 31, u32::MAX] {
        let mut script = Script::asked_to_connect(to_play());
        let wire = script.chunks(2, 0, type_id::SET_CHUNK_SIZE, 0, &size.to_be_bytes());
        assert_eq!(
            script.raw(&wire),
            Err(Error::Malformed(Malformed::Invalid {
                field: "chunk size",
                value: size.into()
            }))
        );
    }
}

#[test]
fn chunks_of_one_byte_are_chunks() {
    let mut script = Script::asked_to_start(to_play());
    script.control(&Control::SetChunkSize(1)).unwrap();
    script
        .command(1, &on_status("status", "NetStream.Play.Start"))
        .unwrap();
    script.say(1, type_id::VIDEO, 0, &[0x17; 1000]).unwrap();
    assert_eq!(
        script.told(),
        ["ready", "status NetStream.Play.Start", "Video at 0 of 1000 bytes"]
    );
}

#[test]
fn commands_of_megabytes_are_refused() {
    let mut script = Script::flowing(to_play());
    let refused = script.say(0, type_id::COMMAND_AMF0, 0, &vec![2; 1 << 20]);
    assert!(matches!(refused, Err(Error::LimitExceeded(_))), "{refused:?}");
}

#[test]
fn the_longest_message_is_taken() {
    let mut script = Script::flowing(to_play());
    script.control(&Control::SetChunkSize(0x7fff_ffff)).unwrap();
    script
        .say(1, type_id::VIDEO, 0, &vec![0x17; chunk::MAX_MESSAGE])
        .unwrap();
    assert_eq!(script.told(), ["Video at 0 of 16777215 bytes"]);
}

/// The first chunk of a message of `length` bytes, 128 of which it holds.
fn first_chunk(chunk_stream: u8, length: u32) -> Vec<u8> {
    let [_, a, b, c] = length.to_be_bytes();
    let mut bytes = vec![chunk_stream, 0, 0, 0, a, b, c, type_id::VIDEO, 1, 0, 0, 0];
    bytes.resize(12 + 128, 0x17);
    bytes
}

#[test]
fn chunk_streams_beyond_64_are_refused() {
    // The script has used two: 2 for controls, 5 for commands. 62 more are left.
    let mut script = Script::flowing(to_play());
    for chunk_stream in [3, 4].into_iter().chain(6..64) {
        script.raw(&first_chunk(chunk_stream, 1000)).unwrap();
    }
    // Chunk streams from 64 on have a second byte.
    let mut wide = first_chunk(0, 1000);
    wide.insert(1, 0);
    script.raw(&wide).unwrap();
    wide[1] = 1;
    script.raw(&wide).unwrap();
    // 64 of them, and every one goes on.
    script.control(&Control::WindowAckSize(5000)).unwrap();
    assert_eq!(script.session.stats().in_window_ack_size, 5000);
    wide[1] = 2;
    assert_eq!(script.raw(&wide), Err(Error::LimitExceeded("chunk streams")));
}

#[test]
fn a_flood_of_pings_does_not_grow_the_queue_without_bound() {
    let mut script = Script::flowing(to_play());
    let ping = script.chunks(
        2,
        0,
        type_id::USER_CONTROL,
        0,
        &UserControl::PingRequest(1).encode(),
    );
    let flood = ping.repeat(10_000);
    for _ in 0..100 {
        script.raw(&flood).unwrap();
    }
    let queued = script.session.stats().queued_bytes;
    assert!((1 << 20..4 << 20).contains(&queued), "{queued} bytes are queued");
    // Once they are read, pings are answered again.
    assert!(script.hear().len() > 10_000);
    script.raw(&ping).unwrap();
    assert_eq!(script.hear(), ["2/0 PingResponse(1)"]);
}

#[test]
fn a_flood_of_bandwidths_does_not_grow_the_queue_without_bound() {
    let mut script = Script::flowing(to_play());
    let flood: Vec<u8> = [1000, 2000]
        .map(|window| Control::SetPeerBandwidth {
            window,
            limit: LimitType::Hard,
        })
        .iter()
        .flat_map(|control| script.chunks(2, 0, control.encode().0, 0, &control.encode().1))
        .collect::<Vec<u8>>()
        .repeat(10_000);
    for _ in 0..100 {
        script.raw(&flood).unwrap();
    }
    let queued = script.session.stats().queued_bytes;
    assert!(queued < 8 << 20, "{queued} bytes are queued");
}

#[test]
fn pings_are_answered_behind_media_that_waits() {
    let mut script = Script::flowing(to_publish());
    // What was said and read long ago does not count.
    let ping = script.chunks(
        2,
        0,
        type_id::USER_CONTROL,
        0,
        &UserControl::PingRequest(1).encode(),
    );
    for _ in 0..20 {
        script.raw(&ping.repeat(10_000)).unwrap();
        assert_eq!(script.hear().len(), 10_000);
    }
    let media = Media {
        kind: MediaKind::Video,
        timestamp: Timestamp::ZERO,
        head: Bytes::new(),
        body: Bytes::from(vec![0x17; 8 << 20]),
    };
    script.session.send(script.now, media).unwrap();
    script.user_control(&UserControl::PingRequest(5)).unwrap();
    assert_eq!(script.hear().pop().unwrap(), "2/0 PingResponse(5)");
}

#[test]
fn a_flood_of_status_changes_nothing() {
    let mut script = Script::flowing(to_publish());
    for _ in 0..1000 {
        script
            .command(0, &on_status("status", "NetStream.Play.PublishNotify"))
            .unwrap();
        script
            .command(0, &on_status("warning", "NetStream.Play.InsufficientBW"))
            .unwrap();
        script
            .command(0, &on_status("error", "NetStream.Seek.Failed"))
            .unwrap();
        assert_eq!(script.told().len(), 3);
    }
    assert_eq!(script.session.phase(), Phase::Media);
    assert_eq!(script.session.stats().queued_bytes, 0);
}

#[test]
fn an_aggregate_of_nothing_is_no_amplifier() {
    let mut script = Script::flowing(to_play());
    script.control(&Control::SetChunkSize(0x7fff_ffff)).unwrap();
    let mut empty = [0; 15];
    empty[0] = type_id::AUDIO;
    script
        .say(1, type_id::AGGREGATE, 0, &empty.repeat(100_000))
        .unwrap();
    let mut events = script.told().len();
    assert_eq!(events, MAX_EVENTS);
    while events < 16 << 10 {
        script.resume().unwrap();
        events += script.told().len();
    }
    script.resume().unwrap();
    assert_eq!((events, script.told().len()), (16 << 10, 0));
    script.say(1, type_id::AUDIO, 0, &[0xaf]).unwrap();
    assert_eq!(script.told(), ["Audio at 0 of 1 bytes"]);
}
