//! What comes out: caps, the FLV header, tags and their flags.

use gst::BufferFlags as Flags;

use super::fixture::*;
use crate::support::{Failure, Result};

const KINDS: Flags =
    Flags::from_bits_truncate(Flags::HEADER.bits() | Flags::DELTA_UNIT.bits() | Flags::DISCONT.bits());

/// Pattern with no period that a chunk size could hide.
fn body(start: &[u8], length: usize) -> Vec<u8> {
    let rest = (start.len()..length).map(|i| (i % 251) as u8);
    start.iter().copied().chain(rest).collect()
}

fn whole_start() -> Vec<Message> {
    vec![
        data(0, metadata(true, true)),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
    ]
}

#[test]
fn the_stream_is_flv_with_its_headers_in_the_caps_and_in_front() -> Result<()> {
    let mut messages = whole_start();
    messages.extend([
        video(1000, KEY_FRAME),
        audio(1010, SOUND),
        video(1040, INTER_FRAME),
    ]);
    let source = Source::new(&stream_of(messages)?.url("live", "key"))?;
    source.run()?;

    let outputs = source.outputs();
    let Some(Output::Caps(caps)) = outputs.first() else {
        return Err(Failure::new(format!("no caps in front of {outputs:?}")));
    };
    let caps_events = outputs.iter().filter(|o| matches!(o, Output::Caps(_))).count();
    assert_eq!(caps_events, 1, "{outputs:?}");
    let structure = caps.structure(0).unwrap();
    assert_eq!(structure.name(), "video/x-flv");
    let announced: Vec<gst::Buffer> = structure
        .get::<gst::Array>("streamheader")?
        .iter()
        .map(|value| value.get().unwrap())
        .collect();

    let buffers = source.buffers();
    let flags: Vec<_> = buffers.iter().map(|buffer| buffer.flags() & KINDS).collect();
    let header = Flags::HEADER;
    assert_eq!(
        flags,
        [
            header | Flags::DISCONT,
            header,
            header,
            header,
            Flags::empty(),
            Flags::empty(),
            Flags::DELTA_UNIT
        ]
    );
    assert_eq!(
        bytes(&buffers[0])?[..],
        b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"[..]
    );
    assert_eq!(announced.len(), 4);
    for (announced, buffer) in announced.iter().zip(&buffers) {
        assert_eq!(announced.flags() & KINDS, Flags::HEADER);
        let (announced, buffer) = (bytes(announced)?, bytes(buffer)?);
        // Headers in the stream bear the first frame's time, those in the caps none.
        assert_eq!(announced.get(..4), buffer.get(..4));
        assert_eq!(announced.get(8..), buffer.get(8..));
    }

    let times: Vec<_> = buffers
        .iter()
        .map(|buffer| (buffer.dts(), buffer.pts()))
        .map(|(dts, pts)| (dts.unwrap().mseconds(), pts.unwrap().mseconds()))
        .collect();
    assert_eq!(times[..4], [(1000, 1000); 4]);
    assert_eq!(times[4..], [(1000, 1040), (1010, 1010), (1040, 1080)]);
    Ok(())
}

#[test]
fn the_file_header_tells_which_tracks_there_are() -> Result<()> {
    for (start, first, flags) in [
        (vec![data(0, metadata(true, true))], video(0, KEY_FRAME), 5),
        (vec![data(0, metadata(true, false))], audio(0, SOUND), 4),
        (vec![data(0, metadata(false, true))], video(0, KEY_FRAME), 1),
        // The tags know better than metadata.
        (
            vec![data(0, metadata(false, true)), audio(0, AAC_HEADER)],
            video(0, KEY_FRAME),
            5,
        ),
        // Who says nothing may have both.
        (vec![], video(0, KEY_FRAME), 5),
    ] {
        let messages = start.iter().cloned().chain([first]).collect();
        let source = Source::new(&stream_of(messages)?.url("live", "key"))?;
        source.run()?;
        assert_eq!(bytes(&source.buffers()[0])?[4], flags, "{start:?}");
    }
    Ok(())
}

#[test]
fn every_message_becomes_the_tag_that_it_was() -> Result<()> {
    let mut messages = whole_start();
    // From one byte behind the codec's own to many chunks, and what metadata is not.
    for (n, length) in [6, 7, 127, 128, 129, 500, 4096, 4097, 65_536, 200_000]
        .into_iter()
        .enumerate()
    {
        let at = 40 * n as u32;
        let start = if n == 0 { KEY_FRAME } else { INTER_FRAME };
        messages.push(video(at, &body(&start[..5], length)));
        messages.push(audio(at + 3, &body(&SOUND[..2], length / 3 + 3)));
        messages.push(data(at + 3, b"\x02\x00\x0aonTextData\x02\x00\x01x"));
    }
    let source = Source::new(&stream_of(messages.clone())?.url("live", "key"))?;
    assert_eq!(source.run()?, messages);
    for (tag, buffer) in messages.iter().zip(&source.buffers()[1..]) {
        assert_eq!(buffer.size(), 11 + tag.body.len() + 4, "one tag a buffer");
    }
    Ok(())
}

/// rtmp2src drops video of less than 6 bytes, and with it every end of a sequence.
#[test]
fn small_tags_are_not_dropped() -> Result<()> {
    let mut messages = whole_start();
    messages.extend([
        video(0, KEY_FRAME),
        audio(0, b"\xaf\x01"),
        // Of a codec without a header.
        audio(0, b"\x2f\xff"),
        // AVC end of sequence, a command, and SequenceEnd of Enhanced RTMP.
        video(0, b"\x17\x02\x00\x00\x00"),
        video(0, b"\x57\x00"),
        video(0, b"\x92avc1"),
        audio(0, b"\x92mp4a"),
    ]);
    let source = Source::new(&stream_of(messages.clone())?.url("live", "key"))?;
    assert_eq!(source.run()?, messages);
    Ok(())
}

/// node-media-server, xiu and rml relay the publisher's command to set metadata as it is.
#[test]
fn metadata_loses_its_publishers_prefix() -> Result<()> {
    let plain = metadata(false, true);
    let prefixed = [b"\x02\x00\x0d@setDataFrame", &plain[..]].concat();
    let messages = vec![data(0, prefixed), video(0, AVC_HEADER), video(0, KEY_FRAME)];
    let source = Source::new(&stream_of(messages)?.url("live", "key"))?;
    assert_eq!(source.run()?[0], data(0, plain));
    Ok(())
}

/// librtmp's rtmpsrc collects 4096 bytes first: a slow stream puts out nothing for seconds.
#[test]
fn every_message_comes_out_at_once() -> Result<()> {
    let server = playing(|client| {
        for n in 0..3 {
            send(client, 1, &[audio(23 * n, SOUND)])?;
            client.wait_for_cue()?;
        }
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    for n in 1..=3 {
        assert_eq!(source.wait_for_tags(n)?.len(), n);
        server.cue();
    }
    source.wait_for_eos()
}

#[test]
fn a_changed_header_changes_the_caps_in_front_of_its_tag() -> Result<()> {
    let other = b"\x17\x00\x00\x00\x00\x01\x42\x00\x1e\xff\xe1\x00\x01\x67\x01\x00\x01\x68";
    let mut messages = whole_start();
    messages.extend([
        video(0, KEY_FRAME),
        // Repeated, as crtmpserver does: no news.
        video(40, AVC_HEADER),
        video(40, other),
        video(40, KEY_FRAME),
    ]);
    let source = Source::new(&stream_of(messages)?.url("live", "key"))?;
    source.run()?;
    let caps: Vec<_> = source
        .outputs()
        .iter()
        .enumerate()
        .filter_map(|(index, output)| match output {
            Output::Caps(caps) => Some((index, caps.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(caps.len(), 2);
    let outputs = source.outputs();
    let (index, caps) = &caps[1];
    let headers = caps.structure(0).unwrap().get::<gst::Array>("streamheader")?;
    let video_header: gst::Buffer = headers[2].get()?;
    let Output::Buffer(next) = &outputs[index + 1] else {
        return Err(Failure::new("nothing follows the caps"));
    };
    assert_eq!(bytes(&video_header)?[11..], bytes(next)?[11..]);
    assert_eq!(bytes(next)?[11..11 + other.len()], other[..]);
    Ok(())
}

#[test]
fn caps_keep_their_headers_when_something_is_linked_anew() -> Result<()> {
    use gst::prelude::*;
    let server = playing(|client| {
        send(client, 1, &[video(0, AVC_HEADER), video(0, KEY_FRAME)])?;
        client.wait_for_cue()?;
        send(client, 1, &[video(40, INTER_FRAME)])?;
        finish(client, 1)
    })?;
    let source = Source::new(&server.url("live", "key"))?;
    source.play()?;
    source.wait_for_tags(2)?;
    source.pad.mark_reconfigure();
    server.cue();
    source.wait_for_eos()?;
    let caps = source.pad.current_caps().unwrap();
    assert!(caps.structure(0).unwrap().has_field("streamheader"), "{caps}");
    Ok(())
}
