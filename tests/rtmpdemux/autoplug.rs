//! Who plugs it: players of RTMP do, and of files that can be seeked in do not.

use gst::prelude::*;
use gstrtmp::flv::TagKind;

use crate::enhanced;
use crate::fixture::register;
use crate::relay::{Options, Relay};
use crate::support::ffmpeg::{self, utf8};
use crate::support::pipeline::Pipeline;
use crate::support::wait::LONG;
use crate::support::{Context, Failure, Result, tags};

/// A playing `playbin` or the like, with sinks that count.
struct Player {
    player: gst::Element,
    video: gst::Element,
    audio: gst::Element,
}

impl Player {
    fn new(factory: &str, uri: &str) -> Result<Self> {
        register()?;
        let sink = || {
            gst::ElementFactory::make("fakesink")
                .property("sync", false)
                .build()
        };
        let (video, audio) = (sink()?, sink()?);
        let player = gst::ElementFactory::make(factory)
            .property("uri", uri)
            .property("video-sink", &video)
            .property("audio-sink", &audio)
            .build()?;
        player.connect("source-setup", false, |values| {
            if let Some(Ok(source)) = values.get(1).map(|value| value.get::<gst::Element>())
                && source.has_property("start-mode")
            {
                // All that is published at once is to be seen.
                source.set_property_from_str("start-mode", "smooth");
            }
            None
        });
        Ok(Self { player, video, audio })
    }

    fn set_state(&self, state: gst::State) -> Result<()> {
        self.player.set_state(state).map(drop).context("changing state")
    }

    /// Waits for a message of this type.
    fn wait_for(&self, of: gst::MessageType) -> Result<()> {
        let bus = self.player.bus().ok_or(Failure::new("no bus"))?;
        let within = gst::ClockTime::try_from(LONG)?;
        let message = bus.timed_pop_filtered(within, &[of, gst::MessageType::Error]);
        match message.as_ref().map(|message| message.view()) {
            None => Err(Failure::new(format!("waited for {of:?} in vain"))),
            Some(gst::MessageView::Error(error)) => Err(Failure::new(format!(
                "{} ({})",
                error.error(),
                error.debug().unwrap_or_default()
            ))),
            Some(_) => Ok(()),
        }
    }

    /// Pictures and sounds that were shown.
    fn rendered(&self) -> Result<(u64, u64)> {
        let rendered = |sink: &gst::Element| sink.property::<gst::Structure>("stats").get("rendered");
        Ok((rendered(&self.video)?, rendered(&self.audio)?))
    }

    fn has(&self, factory: &str) -> bool {
        has(&self.player, factory)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Fails only of elements that have failed already.
        let _ = self.player.set_state(gst::State::Null);
    }
}

/// Whether an element of `factory` is somewhere in `bin`.
fn has(bin: &gst::Element, factory: &str) -> bool {
    let made_by = |element: gst::Element| element.factory().is_some_and(|own| own.name() == factory);
    bin.downcast_ref::<gst::Bin>()
        .is_some_and(|bin| bin.iterate_recurse().into_iter().flatten().any(made_by))
}

/// The top of the pipeline that `name` is in.
fn top(pipeline: &Pipeline, name: &str) -> Result<gst::Element> {
    let mut top = pipeline.element(name)?;
    while let Some(parent) = top.parent().and_then(|parent| parent.downcast().ok()) {
        top = parent;
    }
    Ok(top)
}

#[test]
fn players_use_it_behind_rtmpsrc() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (factory, session) in [
        ("playbin", "rtmprs-ffmpeg9-hevc-aac-publish"),
        ("playbin", "rtmprs-ffmpeg9-av1-opus-publish"),
        ("playbin3", "rtmprs-ffmpeg9-vp9-opus-publish"),
        ("playbin3", "rtmprs-ffmpeg9-h264-ac3-publish"),
    ] {
        let (file, tags) = enhanced::write(session, folder.path())?;
        let relay = Relay::start(Options::default())?;
        let location = relay.url("live", "main");
        let player = Player::new(factory, &location)?;
        player.set_state(gst::State::Playing)?;
        relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
        Pipeline::run(&format!(
            "filesrc location={} ! rtmpsink location={location} sync=false",
            utf8(&file)?
        ))?;
        player.wait_for(gst::MessageType::Eos).context(session)?;
        assert!(player.has("rtmpdemux") && !player.has("flvdemux"), "{session}");
        let (pictures, sounds) = player.rendered()?;
        let sent = tags::frames_of(TagKind::Video, &tags).len() as u64;
        assert_eq!(pictures, sent, "{session}");
        assert!(sounds > 20, "{session}");
    }
    Ok(())
}

#[test]
fn files_that_can_be_seeked_in_are_left_to_flvdemux() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sample.flv");
    ffmpeg::encode_sample(&file, 2)?;
    let uri = format!("file://{}", utf8(&file)?);
    for factory in ["playbin", "playbin3"] {
        let player = Player::new(factory, &uri)?;
        player.set_state(gst::State::Paused)?;
        player.wait_for(gst::MessageType::AsyncDone)?;
        assert!(player.has("flvdemux") && !player.has("rtmpdemux"), "{factory}");
        player
            .player
            .seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::SECOND)
            .context(factory)?;
        player.set_state(gst::State::Playing)?;
        player.wait_for(gst::MessageType::Eos).context(factory)?;
        let (pictures, sounds) = player.rendered()?;
        assert!(pictures > 0 && sounds > 0, "{factory}");
    }
    Ok(())
}

#[test]
fn what_can_only_be_pushed_is_for_decodebin_to_give_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, tags) = enhanced::write("rtmprs-ffmpeg9-vp9-opus-publish", folder.path())?;
    for decoder in ["decodebin", "parsebin"] {
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} ! queue ! {decoder} name=decoder \
             decoder. ! queue ! fakesink name=one sync=false decoder. ! queue ! fakesink name=other sync=false",
            utf8(&file)?
        ))?;
        let (one, other) = (pipeline.tap("one")?, pipeline.tap("other")?);
        pipeline.play()?;
        pipeline.wait_for_eos().context(decoder)?;
        let top = top(&pipeline, "one")?;
        assert!(has(&top, "rtmpdemux") && !has(&top, "flvdemux"), "{decoder}");
        let sent = tags::frames_of(TagKind::Video, &tags).len();
        assert!([one.len(), other.len()].contains(&sent), "{decoder}");
    }
    Ok(())
}

#[test]
fn who_asks_for_it_gets_it_for_files_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sample.flv");
    ffmpeg::encode_sample(&file, 1)?;
    for between in ["", "typefind !"] {
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} ! {between} rtmpdemux name=demux demux.video_0 ! queue ! fakesink name=video sync=false \
             demux.audio_0 ! queue ! fakesink name=audio sync=false",
            utf8(&file)?
        ))?;
        let (video, audio) = (pipeline.tap("video")?, pipeline.tap("audio")?);
        pipeline.play()?;
        pipeline.wait_for_eos().context(between)?;
        let tags = tags::read(&file)?;
        assert_eq!(video.len(), tags::frames_of(TagKind::Video, &tags).len());
        assert_eq!(audio.len(), tags::frames_of(TagKind::Audio, &tags).len());
    }
    Ok(())
}
