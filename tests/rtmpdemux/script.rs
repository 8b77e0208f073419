//! What script data becomes: tags, caps, and messages.

use bytes::BytesMut;
use gst::prelude::*;
use gstrtmp::amf::{self, Value};
use gstrtmp::flv::TagKind;

use crate::fixture::{
    AAC_HEADER, AVC_HEADER, DELTA, Harness, KEY, SOUND, all_caps, audio, header, metadata, script, tag, video,
};
use crate::support::{Failure, Result};

/// The tag lists that a pad has, by scope.
fn tags(pad: &gst::Pad) -> Vec<(gst::TagScope, gst::TagList)> {
    (0..)
        .map_while(|index| pad.sticky_event::<gst::event::Tag>(index))
        .map(|event| (event.tag().scope(), event.tag_owned()))
        .collect()
}

/// The tag list of a scope.
fn tags_of(harness: &Harness, pad: &str, scope: gst::TagScope) -> Result<gst::TagList> {
    let lists = tags(&harness.pad(pad)?).into_iter();
    let mut own = lists.filter(|(of, _)| *of == scope).map(|(_, tags)| tags);
    own.next().ok_or(Failure::new("no such tags"))
}

#[test]
fn metadata_becomes_tags_and_caps() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(metadata(&[
        ("title", "A title".into()),
        ("encoder", "An encoder".into()),
        ("width", 64.0.into()),
        ("height", 48.0.into()),
        ("framerate", 29.97.into()),
        ("AspectRatioX", 4.0.into()),
        ("AspectRatioY", 3.0.into()),
        ("videodatarate", 500.0.into()),
        ("audiodatarate", 125.0.into()),
    ]))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(audio(0, AAC_HEADER))?;
    for pad in ["video_0", "audio_0"] {
        let global = tags_of(&harness, pad, gst::TagScope::Global)?;
        assert_eq!(
            global.get::<gst::tags::Title>().map(|tag| tag.get().to_owned()),
            Some("A title".into())
        );
        assert_eq!(
            global.get::<gst::tags::Encoder>().map(|tag| tag.get().to_owned()),
            Some("An encoder".into())
        );
    }
    for (pad, rate) in [("video_0", 512_000), ("audio_0", 128_000)] {
        let own = tags_of(&harness, pad, gst::TagScope::Stream)?;
        assert_eq!(
            own.get::<gst::tags::NominalBitrate>().map(|tag| tag.get()),
            Some(rate),
            "{pad}"
        );
    }
    let caps = harness
        .pad("video_0")?
        .current_caps()
        .ok_or(Failure::new("no caps"))?;
    let expected = gst::Structure::builder("video/x-h264")
        .field("width", 64)
        .field("height", 48)
        .field("framerate", gst::Fraction::new(30_000, 1001))
        .field("pixel-aspect-ratio", gst::Fraction::new(4, 3))
        .build();
    assert!(
        caps.structure(0).is_some_and(|caps| caps.is_subset(&expected)),
        "{caps}"
    );
    Ok(())
}

#[test]
fn changed_metadata_changes_caps_and_repeated_does_not() -> Result<()> {
    let harness = Harness::in_bytes()?;
    let small = metadata(&[
        ("width", 64.0.into()),
        ("height", 48.0.into()),
        ("title", "one".into()),
    ]);
    let large = metadata(&[
        ("width", 128.0.into()),
        ("height", 96.0.into()),
        ("title", "two".into()),
    ]);
    for bytes in [
        header(true, true),
        small.clone(),
        video(0, AVC_HEADER),
        audio(0, AAC_HEADER),
        video(0, KEY),
        small,
        video(40, DELTA),
        audio(40, SOUND),
        large,
        video(80, KEY),
    ] {
        harness.push(bytes)?;
    }
    let widths: Vec<_> = all_caps(&harness.look(), "video_0")
        .iter()
        .filter_map(|caps| caps.structure(0)?.get::<i32>("width").ok())
        .collect();
    assert_eq!(widths, [64, 128]);
    let global = tags_of(&harness, "audio_0", gst::TagScope::Global)?;
    assert_eq!(
        global.get::<gst::tags::Title>().map(|tag| tag.get().to_owned()),
        Some("two".into())
    );
    Ok(())
}

#[test]
fn other_script_data_is_told_to_the_application() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(audio(60, AAC_HEADER))?;
    harness.push(audio(60, SOUND))?;
    let data = Value::object([("text", Value::from("Hello")), ("language", "en".into())]);
    harness.push(script(0, "onTextData", data))?;
    // With the byte ahead that says that AMF0 follows.
    let mut amf3 = BytesMut::from(&b"\0"[..]);
    amf::encode_all(&["onFI".into(), Value::from(7.0)], &mut amf3);
    harness.push(tag(TagKind::ScriptAmf3, 80, &amf3))?;
    let messages: Vec<_> = harness
        .messages()
        .into_iter()
        .filter_map(|message| match message.view() {
            gst::MessageView::Element(element) => element.structure().map(ToOwned::to_owned),
            _ => None,
        })
        .collect();
    let [text, frame] = messages.as_slice() else {
        return Err(Failure::new(format!("{messages:?}")));
    };
    assert_eq!(text.name(), "rtmp-script-data");
    assert_eq!(text.get("handler"), Ok("onTextData"));
    assert_eq!(text.get("timestamp"), Ok(gst::ClockTime::from_mseconds(60)));
    let values = text.get::<gst::Structure>("values")?;
    let data = values.get::<gst::Structure>("0")?;
    assert_eq!((data.get("text"), data.get("language")), (Ok("Hello"), Ok("en")));
    assert_eq!(frame.get("handler"), Ok("onFI"));
    assert_eq!(frame.get::<gst::Structure>("values")?.get("0"), Ok(7.0));
    Ok(())
}

#[test]
fn texts_with_a_nul_are_no_panic() -> Result<()> {
    let harness = Harness::in_bytes()?;
    harness.push(header(true, true))?;
    harness.push(metadata(&[
        ("title", "a\0b".into()),
        ("creator", "\0".into()),
        ("encoder", "La\0vf".into()),
    ]))?;
    harness.push(audio(0, AAC_HEADER))?;
    harness.push(audio(0, SOUND))?;
    harness.push(audio(200, SOUND))?;
    let tags = tags_of(&harness, "audio_0", gst::TagScope::Global)?;
    let title = tags.get::<gst::tags::Title>();
    assert_eq!(title.as_ref().map(|title| title.get()), Some("a\u{fffd}b"));
    Ok(())
}

#[test]
fn upstreams_tags_reach_the_pads_that_come_after_them() -> Result<()> {
    let harness = Harness::in_bytes()?;
    let mut upstream = gst::TagList::new();
    {
        let tags = upstream.make_mut();
        tags.set_scope(gst::TagScope::Global);
        tags.add::<gst::tags::Title>(&"upstream's", gst::TagMergeMode::Append);
        tags.add::<gst::tags::Organization>(&"a station", gst::TagMergeMode::Append);
    }
    assert!(harness.event(gst::event::Tag::new(upstream.clone())));
    let global = |pad: &str| {
        let tags = tags_of(&harness, pad, gst::TagScope::Global)?;
        Ok::<_, Failure>((
            tags.get::<gst::tags::Title>().map(|tag| tag.get().to_owned()),
            tags.get::<gst::tags::Organization>()
                .map(|tag| tag.get().to_owned()),
        ))
    };
    let station = Some("a station".to_owned());

    harness.push(header(true, true))?;
    harness.push(video(0, AVC_HEADER))?;
    harness.push(audio(0, AAC_HEADER))?;
    harness.push(video(0, KEY))?;
    for pad in ["video_0", "audio_0"] {
        assert_eq!(
            global(pad)?,
            (Some("upstream's".into()), station.clone()),
            "{pad}"
        );
    }
    // The stream itself knows better, and takes nothing else away.
    harness.push(metadata(&[("title", "the stream's".into())]))?;
    assert_eq!(global("video_0")?, (Some("the stream's".into()), station.clone()));
    assert!(harness.event(gst::event::Tag::new(upstream)));
    assert_eq!(global("audio_0")?, (Some("the stream's".into()), station));
    Ok(())
}
