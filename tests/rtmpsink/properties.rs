//! The properties: names, types and defaults of the C elements, `stats`, `peak-kbps`, URIs, and clear words for
//! what is not supported yet.

use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gstrtmp::message::{Level, type_id};

use crate::fixture::{self, Sink};
use crate::flv::{KEY_FRAME, frame, headers, media, stream, video};
use crate::support::script::{Server, stream_result};
use crate::support::{Failure, Result};

fn element() -> Result<gst::Element> {
    fixture::init();
    Ok(gst::ElementFactory::make("rtmpsink").build()?)
}

/// A property's value as `gst-launch-1.0` takes it.
fn serialized(element: &gst::Element, name: &str) -> Result<String> {
    let value = element.property_value(name);
    if let Some((_, flags)) = glib::FlagsValue::from_value(&value) {
        // gst::Value would write their names.
        let single = flags.iter().filter(|flag| flag.value().is_power_of_two());
        return Ok(single.map(|flag| flag.nick()).collect::<Vec<_>>().join("+"));
    }
    match value.get::<Option<String>>() {
        Ok(text) => Ok(text.unwrap_or_else(|| "NULL".to_owned())),
        Err(_) => Ok(value.serialize()?.to_string()),
    }
}

#[test]
fn defaults_are_those_of_rtmp2sink_but_for_the_chunk_size() -> Result<()> {
    let table = [
        ("location", "gchararray", "rtmp://localhost/live/myStream"),
        ("scheme", "GstRsRtmpScheme", "rtmp"),
        ("host", "gchararray", "localhost"),
        ("port", "gint", "1935"),
        ("application", "gchararray", "live"),
        ("stream", "gchararray", "myStream"),
        ("username", "gchararray", "NULL"),
        ("password", "gchararray", "NULL"),
        ("secure-token", "gchararray", "NULL"),
        ("authmod", "GstRsRtmpAuthmod", "auto"),
        ("timeout", "guint", "5"),
        (
            "tls-validation-flags",
            "GstRsRtmpTlsValidationFlags",
            "unknown-ca+bad-identity+not-activated+expired+revoked+insecure+generic-error",
        ),
        ("ca-file", "gchararray", "NULL"),
        ("client-certificate", "gchararray", "NULL"),
        ("client-key", "gchararray", "NULL"),
        ("server-name", "gchararray", "NULL"),
        ("certificate-pin", "gchararray", "NULL"),
        ("flash-version", "gchararray", "NULL"),
        ("async-connect", "gboolean", "true"),
        ("enhanced-rtmp", "GstRsRtmpEnhanced", "auto"),
        ("extra-connect-args", "gchararray", "NULL"),
        ("connect-args", "gchararray", "NULL"),
        ("tc-url", "gchararray", "rtmp://localhost/live"),
        ("swf-url", "gchararray", "NULL"),
        ("page-url", "gchararray", "NULL"),
        ("swf-file", "gchararray", "NULL"),
        ("swf-hash", "gchararray", "NULL"),
        ("swf-size", "guint", "0"),
        ("peak-kbps", "guint", "0"),
        ("chunk-size", "guint", "4096"),
        (
            "stop-commands",
            "GstRsRtmpStopCommands",
            "fcunpublish+deletestream",
        ),
        ("publish-type", "GstRsRtmpPublishType", "live"),
    ];
    let element = element()?;
    for (name, type_, default) in table {
        let spec = element
            .find_property(name)
            .ok_or_else(|| Failure::new(format!("no property {name}")))?;
        assert_eq!(spec.value_type().name(), type_, "{name}");
        assert_eq!(serialized(&element, name)?, default, "{name}");
    }
    Ok(())
}

#[test]
fn ranges_and_mutability_are_those_of_rtmp2sink() -> Result<()> {
    let element = element()?;
    let unsigned = |name: &str| {
        let spec = element.find_property(name)?.downcast::<glib::ParamSpecUInt>();
        spec.ok().map(|spec| (spec.minimum(), spec.maximum()))
    };
    assert_eq!(unsigned("timeout"), Some((0, u32::MAX)));
    assert_eq!(unsigned("peak-kbps"), Some((0, 17_179_869)));
    assert_eq!(unsigned("chunk-size"), Some((1, 0x7FFF_FFFF)));
    let flags = |name: &str| element.find_property(name).map(|spec| spec.flags());
    assert!(flags("peak-kbps").is_some_and(|f| f.contains(gst::PARAM_FLAG_MUTABLE_PLAYING)));
    assert!(flags("stats").is_some_and(|f| !f.contains(glib::ParamFlags::WRITABLE)));
    Ok(())
}

#[test]
fn what_is_set_is_read_back() -> Result<()> {
    let table = [
        ("host", "example.com"),
        ("port", "1936"),
        ("application", "app/instance"),
        ("stream", "mp4:dir/file.mp4?token=a/b"),
        ("username", "me"),
        ("password", "pass word"),
        ("secure-token", "token"),
        ("authmod", "llnw"),
        ("scheme", "rtmps"),
        ("timeout", "17"),
        ("tls-validation-flags", "unknown-ca+expired"),
        ("ca-file", "/etc/ca.pem"),
        ("client-certificate", "/etc/me.pem"),
        ("client-key", "/etc/me.key"),
        ("server-name", "example.com"),
        ("certificate-pin", "00:11"),
        ("flash-version", "FMLE/3.0 (compatible; FMSc/1.0)"),
        ("async-connect", "false"),
        ("extra-connect-args", "S:text B:1"),
        ("connect-args", "O:1 NS:key:text O:0"),
        ("tc-url", "rtmp://other.example.com/app"),
        ("swf-url", "http://example.com/player.swf"),
        ("page-url", "http://example.com/"),
        ("swf-file", "/home/me/player.swf"),
        ("swf-hash", "0123456789abcdef"),
        ("swf-size", "12345"),
        ("peak-kbps", "3000"),
        ("chunk-size", "60000"),
        ("stop-commands", "closestream"),
        ("publish-type", "append"),
    ];
    let element = element()?;
    for (name, value) in table {
        element.set_property_from_str(name, value);
        assert_eq!(serialized(&element, name)?, value, "{name}");
    }
    Ok(())
}

#[test]
fn location_reads_back_as_it_was_written() -> Result<()> {
    let element = element()?;
    for location in [
        "rtmp://example.com/live/key?token=a/b",
        "rtmp://me:secret@example.com:1935/live/key",
        "rtmp://[::1]/live/key live=1 timeout=10 conn=S:x",
        "rtmp://example.com",
    ] {
        element.set_property("location", location);
        assert_eq!(element.property::<String>("location"), location);
    }
    Ok(())
}

#[test]
fn location_sets_the_parts_and_parts_set_the_location() -> Result<()> {
    let element = element()?;
    element.set_property("location", "rtmp://example.com:1936/app/key");
    assert_eq!(element.property::<String>("host"), "example.com");
    assert_eq!(element.property::<i32>("port"), 1936);
    assert_eq!(element.property::<String>("application"), "app");
    assert_eq!(element.property::<String>("stream"), "key");
    element.set_property("stream", "other");
    assert_eq!(
        element.property::<String>("location"),
        "rtmp://example.com:1936/app/other"
    );
    Ok(())
}

#[test]
fn a_bad_location_is_an_error_that_names_the_part() -> Result<()> {
    for (location, part) in [
        ("http://example.com/live/key", "scheme"),
        ("rtmp://example.com:99999/live/key", "port"),
        ("rtmp:///live/key", "host"),
    ] {
        let sink = Sink::new(location)?;
        assert!(sink.play().is_err(), "{location}");
        sink.wait_for_problem()?.expect("ResourceError::Settings", part)?;
    }
    Ok(())
}

#[test]
fn what_is_not_supported_yet_says_so() -> Result<()> {
    /// A location, properties set after it, and what the sentence names.
    type Row = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let table: &[Row] = &[
        ("rtmfp://127.0.0.1/live/key", &[], "rtmfp"),
        ("rtmp://127.0.0.1/live/key", &[("scheme", "rtmfp")], "rtmfp"),
    ];
    for &(location, properties, expected) in table {
        let sink = Sink::with(location, properties)?;
        assert!(sink.play().is_err(), "{location} {properties:?}");
        let problem = sink.wait_for_problem()?;
        assert!(
            problem.sentence.starts_with("Not supported yet: "),
            "{location}: {problem:?}"
        );
        problem.expect("CoreError::NotImplemented", expected)?;
        // The base class says nothing of its own behind it.
        let more = sink.problems();
        assert!(more.is_empty(), "{location}: {more:?}");
    }
    Ok(())
}

#[test]
fn what_is_said_of_the_swf_file_has_to_be_of_use() -> Result<()> {
    for (location, properties, expected) in [
        (
            "rtmp://127.0.0.1/live/key swfUrl=http://127.0.0.1/a.swf swfVfy=1",
            &[][..],
            "the file at swfUrl is not downloaded. Give swf-file, or swf-hash and swf-size.",
        ),
        ("rtmp://127.0.0.1/live/key", &[("swf-hash", "12")], "set both"),
        (
            "rtmp://127.0.0.1/live/key",
            &[("swf-hash", "12"), ("swf-size", "3")],
            "64 hexadecimal digits",
        ),
        (
            "rtmp://127.0.0.1/live/key",
            &[("swf-file", "/dev/null")],
            "The SWF file /dev/null cannot be used: it is not a SWF file.",
        ),
        (
            "rtmp://127.0.0.1/live/key",
            &[("swf-file", "/dev/zero")],
            "The SWF file /dev/zero cannot be used: it is longer than 32 MiB.",
        ),
    ] {
        let sink = Sink::with(location, properties)?;
        assert!(sink.play().is_err(), "{location} {properties:?}");
        sink.wait_for_problem()?
            .expect("ResourceError::Settings", expected)?;
    }
    Ok(())
}

#[test]
fn what_is_not_supported_shows_at_once_without_async_connect_too() -> Result<()> {
    let sink = Sink::with("rtmfp://127.0.0.1/live/key", &[("async-connect", "false")])?;
    assert!(sink.play().is_err());
    sink.wait_for_problem()?
        .expect("CoreError::NotImplemented", "Not supported yet")
}

#[test]
fn options_that_are_passed_over_are_warned_of() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    let location = format!("{} live=1 nonsense=1", server.url("live", "key"));
    let sink = Sink::playing(&location)?;
    let warnings = sink.warnings();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("option 2 behind the URL")),
        "{warnings:?}"
    );
    sink.publish(stream().concat())?;
    sink.finish()?;
    let connection = server.join_one()?;
    // rtmp2sink publishes "key live=1" (B1).
    let publish = connection.command("publish")?;
    assert_eq!(
        publish
            .arguments
            .first()
            .and_then(|name| name.as_str())
            .as_deref(),
        Some("key")
    );
    Ok(())
}

#[test]
fn uris_come_here_and_cannot_change_while_publishing() -> Result<()> {
    fixture::init();
    let element = gst::Element::make_from_uri(gst::URIType::Sink, "rtmp://127.0.0.1/live/key", None)?;
    assert_eq!(element.type_().name(), "GstRsRtmpSink");
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(video(0, KEY_FRAME))?;
    let handler = sink
        .element
        .dynamic_cast_ref::<gst::URIHandler>()
        .ok_or_else(|| Failure::new("the element is no URI handler"))?;
    let refused = handler.set_uri("rtmp://127.0.0.1/live/other");
    assert!(refused.is_err_and(|error| error.matches(gst::URIError::BadState)));
    assert_eq!(handler.uri().as_deref(), Some(&*server.url("live", "key")));
    sink.finish()?;
    server.join_one()?;
    Ok(())
}

#[test]
fn connect_says_what_the_properties_say() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing_with(
        &server.url("app/instance", "key?a=b/c"),
        &[
            ("flash-version", "FMLE/3.0 (compatible; FMSc/1.0)"),
            ("swf-url", "http://example.com/player.swf"),
            ("page-url", "http://example.com/"),
            ("extra-connect-args", "B:1 N:2.5"),
            ("connect-args", "O:1 NS:key:text O:0"),
            ("chunk-size", "10000"),
        ],
    )?;
    sink.publish(video(0, KEY_FRAME))?;
    sink.finish()?;
    let connection = server.join_one()?;
    let connect = connection.command("connect")?;
    let text = |key: &str| {
        let value = connect.object.get(key)?;
        value.as_str().map(std::borrow::Cow::into_owned)
    };
    assert_eq!(text("app").as_deref(), Some("app/instance"));
    assert_eq!(
        text("flashVer").as_deref(),
        Some("FMLE/3.0 (compatible; FMSc/1.0)")
    );
    assert_eq!(text("swfUrl").as_deref(), Some("http://example.com/player.swf"));
    assert_eq!(text("pageUrl").as_deref(), Some("http://example.com/"));
    assert!(text("tcUrl").is_some_and(|url| url.ends_with("/app/instance")));
    assert_eq!(connect.arguments.len(), 3);
    assert_eq!(
        connect
            .arguments
            .get(2)
            .and_then(|o| o.get("key"))
            .and_then(|v| v.as_str())
            .as_deref(),
        Some("text")
    );
    let ids: Vec<f64> = connection.commands().map(|c| c.transaction_id).take(5).collect();
    assert_eq!(ids, [1.0, 2.0, 3.0, 4.0, 5.0]);
    let chunk_size = connection
        .messages
        .first()
        .map(|m| (m.type_id, m.payload.to_vec()));
    assert_eq!(
        chunk_size,
        Some((type_id::SET_CHUNK_SIZE, 10_000_u32.to_be_bytes().to_vec()))
    );
    Ok(())
}

#[test]
fn stats_count_what_the_server_got() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_connect()?;
        client.set_chunk_size(60_000)?;
        let create_stream = client.expect_command("createStream")?;
        client.send_command(0, &stream_result(&create_stream, 1))?;
        client.expect_command("publish")?;
        client.send_status(1, Level::Status, "NetStream.Publish.Start", "")?;
        client.read_to_end()
    })?;
    let sink = Sink::new(&server.url("live", "key"))?;
    let before = sink.stats();
    assert_eq!(before.name(), "GstRtmpConnectionStats");
    for name in [
        "in-chunk-size",
        "out-chunk-size",
        "in-window-ack-size",
        "out-window-ack-size",
    ] {
        assert_eq!(before.get::<u32>(name), Ok(0), "{name}");
    }
    for name in [
        "in-bytes-total",
        "out-bytes-total",
        "in-bytes-acked",
        "out-bytes-acked",
    ] {
        assert_eq!(before.get::<u64>(name), Ok(0), "{name}");
    }
    sink.play()?;
    sink.begin(&headers())?;
    stream().into_iter().try_for_each(|tag| sink.publish(tag))?;
    let playing = sink.stats();
    assert_eq!(playing.get::<String>("state")?, "connected");
    assert_eq!(playing.get::<u32>("in-chunk-size")?, 60_000);
    assert_eq!(playing.get::<u32>("out-chunk-size")?, 4096);
    assert_eq!(playing.get::<String>("server-version")?, "FMS/3,0,1,123");
    assert_eq!(playing.get::<String>("last-status")?, "NetStream.Publish.Start");
    assert!(playing.get::<u64>("connect-time")? > 0);
    assert!(playing.get::<u64>("round-trip-time")? > 0);
    assert_eq!(playing.get::<u64>("queued-bytes")?, 0);
    sink.finish()?;
    let connection = server.join_one()?;
    // What is known stays when the connection has ended.
    let after = sink.stats();
    assert_eq!(after.get::<String>("state")?, "closed");
    assert_eq!(after.get::<u64>("out-bytes-total")?, connection.bytes);
    let count = |type_id| connection.of_type(type_id).count() as u64;
    assert_eq!(after.get::<u64>("out-video-messages")?, count(type_id::VIDEO));
    assert_eq!(after.get::<u64>("out-audio-messages")?, count(type_id::AUDIO));
    assert_eq!(after.get::<u64>("out-data-messages")?, count(type_id::DATA_AMF0));
    Ok(())
}

#[test]
fn peak_kbps_limits_what_is_sent_and_can_be_lifted() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    // 250 kB a second.
    let sink = Sink::playing_with(&server.url("live", "key"), &[("peak-kbps", "2000")])?;
    sink.publish(frame(0, 10))?;
    let started = Instant::now();
    for number in 1..=10 {
        sink.publish(frame(number, 10_000))?;
    }
    let took = started.elapsed();
    // A burst of 20 ms is for nothing.
    assert!(took > Duration::from_millis(350), "100 kB went out in {took:?}");
    assert!(took < Duration::from_secs(3), "100 kB went out in {took:?}");
    sink.element.set_property("peak-kbps", 0_u32);
    let started = Instant::now();
    for number in 11..=100 {
        sink.publish(frame(number, 10_000))?;
    }
    let took = started.elapsed();
    assert!(
        took < Duration::from_secs(3),
        "900 kB without limit took {took:?}"
    );
    sink.finish()?;
    assert_eq!(media(&server.join_one()?).len(), 101);
    Ok(())
}

#[test]
fn a_rate_that_is_lifted_sets_a_waiting_push_free() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    // A minute and a half at this rate.
    let sink = Sink::playing_with(&server.url("live", "key"), &[("peak-kbps", "80")])?;
    let push = sink.begin_push(frame(0, 1_000_000))?;
    server.wait_for_command("publish")?;
    sink.element.set_property("peak-kbps", 0_u32);
    push.wait()?.map_err(|flow| Failure::new(flow.to_string()))?;
    sink.finish()?;
    assert_eq!(media(&server.join_one()?).len(), 1);
    Ok(())
}

#[test]
fn chunk_size_can_be_changed_while_publishing() -> Result<()> {
    let server = Server::start(|script| {
        let mut client = script.accept()?;
        client.accept_publish(1)?;
        client.read_to_end()
    })?;
    let sink = Sink::playing(&server.url("live", "key"))?;
    sink.publish(frame(0, 10_000))?;
    server.wait_for_media(1)?;
    sink.element.set_property("chunk-size", 777_u32);
    sink.publish(frame(1, 10_000))?;
    server.wait_for_media(2)?;
    sink.finish()?;
    let connection = server.join_one()?;
    let announced: Vec<_> = connection
        .of_type(1)
        .map(|message| message.payload.to_vec())
        .collect();
    assert_eq!(
        announced,
        [4096_u32.to_be_bytes().to_vec(), 777_u32.to_be_bytes().to_vec()]
    );
    assert_eq!(media(&connection).len(), 2, "read with the sizes announced");
    Ok(())
}
