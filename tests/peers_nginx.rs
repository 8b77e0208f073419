//! The main job through nginx: what a pipeline encodes and `rtmpsink` publishes comes out of `rtmpsrc` frame by
//! frame.

mod support;

use gstrtmp::flv::TagKind;
use support::ffmpeg::{self, utf8};
use support::nginx::{Application, Nginx};
use support::pipeline::{PICTURES, Pipeline, publisher};
use support::tags::{self, Tag};
use support::wait::{self, LONG};
use support::{Result, rtmpdump};

/// A pipeline that plays `location` and decodes it. It is patient, since [`Application::Notify`] does not answer play
/// until somebody publishes.
fn player(location: &str) -> String {
    format!(
        "rtmpsrc name=src location={location} timeout=30 ! flvdemux name=demux \
         demux.video ! identity name=video ! queue ! h264parse ! avdec_h264 ! fakesink name=pictures sync=false \
         demux.audio ! identity name=audio ! queue ! avdec_aac ! fakesink name=sounds sync=false"
    )
}

#[test]
fn every_frame_that_is_encoded_is_decoded() -> Result<()> {
    let nginx = Nginx::start()?;
    for (application, b_frames) in [
        (Application::Live, 0),
        (Application::Live, 2),
        (Application::Notify, 2),
        (Application::Interleaved, 2),
    ] {
        let location = nginx.url(application, "main");
        let player = Pipeline::new(&player(&location))?;
        let publisher = Pipeline::new(&publisher(&location, b_frames))?;
        let points = ["video", "audio", "pictures", "sounds"];
        let sent = points.map(|point| publisher.tap(point));
        let got = points.map(|point| player.tap(point));
        let (published, played) = (publisher.tap("sink")?, player.tap("demux")?);

        player.play()?;
        nginx.wait_for_clients(application, "main", 1, LONG)?;
        publisher.play()?;
        publisher.wait_for_eos()?;
        player.wait_for_eos()?;

        let (published, played) = (published.tags()?, played.tags()?);
        let case = format!("{application:?}, {b_frames} B-frames");
        assert_eq!(tags::frames(&played), tags::frames(&published), "{case}");
        assert_eq!(tags::headers(&played), tags::headers(&published), "{case}");
        assert_eq!(tags::headers(&played).len(), 2, "{case}");
        let reordered = tags::frames(&played)
            .iter()
            .filter(|tag| tag.composition_time().is_some_and(|time| time != 0))
            .count();
        assert_eq!(reordered > PICTURES / 2, b_frames > 0, "{case}: {reordered}");
        for (point, (sent, got)) in points.into_iter().zip(sent.into_iter().zip(got)) {
            let (mut sent, mut got) = (sent?.buffers()?, got?.buffers()?);
            // The decoder guesses times of pictures anew.
            if point == "pictures" {
                for buffer in sent.iter_mut().chain(&mut got) {
                    buffer.pts = None;
                }
            }
            assert!(sent.len() >= PICTURES, "{case}: {point}");
            assert_eq!(got, sent, "{case}: {point}");
        }
    }
    Ok(())
}

#[test]
fn recorded_files_are_played_to_their_last_frame() -> Result<()> {
    let nginx = Nginx::start()?;
    let [flv, mp4] = ["sample.flv", "sample.mp4"].map(|name| nginx.vod_folder().join(name));
    ffmpeg::encode_sample(&flv, 2)?;
    ffmpeg::run(["-i", utf8(&flv)?, "-c", "copy", utf8(&mp4)?])?;
    let recorded = tags::frames(&tags::read(&flv)?);
    let folder = tempfile::tempdir()?;
    let [by_rtmpsrc, by_rtmpdump] = ["rtmpsrc.flv", "rtmpdump.flv"].map(|name| folder.path().join(name));
    for stream in ["sample", "sample.flv", "mp4:sample.mp4"] {
        let location = nginx.url(Application::Vod, stream);
        let player = Pipeline::new(&format!(
            "rtmpsrc is-live=false location={location} ! filesink location={}",
            utf8(&by_rtmpsrc)?
        ))?;
        player.play()?;
        player.wait_for_status("NetStream.Play.Start")?;
        player.wait_for_eos()?;
        rtmpdump::play(&location, rtmpdump::Stream::Recorded, &by_rtmpdump)?.end(LONG)?;
        let got = tags::frames(&tags::read(&by_rtmpsrc)?);
        assert_eq!(got, tags::frames(&tags::read(&by_rtmpdump)?), "{stream}");
        if stream.starts_with("mp4:") {
            // nginx's MP4 reader takes other times from the file, and ends with the last picture.
            let bodies = |kind, tags: &[Tag]| -> Vec<_> {
                let tags = tags::frames_of(kind, tags);
                tags.into_iter().map(|tag| tag.body).collect()
            };
            let [got_video, video] = [&got, &recorded].map(|tags| bodies(TagKind::Video, tags).len());
            assert_eq!(got_video, video);
            let [got_audio, audio] = [&got, &recorded].map(|tags| bodies(TagKind::Audio, tags));
            assert!(audio.starts_with(&got_audio) && got_audio.len() + 3 >= audio.len());
        } else {
            assert_eq!(got, recorded, "{stream}");
        }
    }
    Ok(())
}

#[test]
fn a_refusal_says_what_was_refused() -> Result<()> {
    use gst::ResourceError::{Busy, NotFound, OpenRead, OpenWrite, Read, Write};
    let nginx = Nginx::start()?;
    let taken = nginx.url(Application::Live, "taken");
    let unknown = taken.replace("/live/", "/unknown/");
    let endless = |location: &str| {
        format!(
            "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=25/1 \
             ! x264enc tune=zerolatency ! flvmux streamable=true ! rtmpsink location={location}"
        )
    };
    let player = |location: &str| format!("rtmpsrc location={location} ! fakesink");
    let holder = Pipeline::new(&endless(&taken))?;
    holder.play()?;
    holder.wait_for_status("NetStream.Publish.Start")?;
    for (pipeline, code, sentence) in [
        (
            endless(&taken),
            Busy,
            "refused publish: NetStream.Publish.BadName, Already publishing.",
        ),
        (
            endless(&nginx.url(Application::Reject, "secret")),
            OpenWrite,
            "closed the connection instead of answering publish. Check the stream name or key.",
        ),
        (
            endless(&unknown),
            OpenWrite,
            "closed the connection without answering connect. Check the application name.",
        ),
        // nginx says Start, then closes the connection.
        (
            endless(&nginx.url(Application::Denied, "secret")),
            Write,
            "connection",
        ),
        (
            player(&nginx.url(Application::Denied, "secret")),
            Read,
            "closed the connection before the stream had ended.",
        ),
        (
            player(&nginx.url(Application::Vod, "missing.flv")),
            NotFound,
            "refused play: NetStream.Play.StreamNotFound, Video on demand stream not found.",
        ),
        (
            player(&unknown),
            OpenRead,
            "closed the connection without answering connect. Check the application name.",
        ),
    ] {
        let refused = Pipeline::new(&pipeline)?;
        refused.play()?;
        let error = refused.wait_for_error()?;
        assert_eq!(error.kind(), Some(code), "{pipeline}: {error}");
        assert!(error.message().contains(sentence), "{pipeline}: {error}");
        assert!(!error.message().contains("secret"), "{error}");
    }
    assert!(nginx.publish_hook.next_form(LONG)?.contains("name=secret"));
    // The one who was there first has not noticed.
    nginx.wait_for_clients(Application::Live, "taken", 1, LONG)
}

#[test]
fn pings_are_answered_while_nothing_flows() -> Result<()> {
    let nginx = Nginx::start()?;
    let location = nginx.url(Application::Ping, "main");
    // A live player would not go back to what came before a pause.
    let player = Pipeline::new(&player(&location).replace("rtmpsrc ", "rtmpsrc is-live=false "))?;
    // In time, so that there is something left after the pause.
    let publisher = Pipeline::new(&publisher(&location, 0).replace("sync=false", "sync=true"))?;
    let (sent, got) = (publisher.tap("video")?, player.tap("video")?);
    player.play()?;
    nginx.wait_for_clients(Application::Ping, "main", 1, LONG)?;
    publisher.play()?;
    wait::until("the first pictures", LONG, || (got.len() > 10).then_some(()))?;
    player.pause()?;
    publisher.pause()?;
    // Both are asked every second, and dropped a second later unless they answer.
    wait_for_pings(&publisher, "sink", 3)?;
    wait_for_pings(&player, "src", 2)?;
    assert_eq!(nginx.clients(Application::Ping, "main")?, 2);
    player.play()?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    let (sent, got) = (sent.buffers()?, got.buffers()?);
    assert_eq!((sent.len(), got.len()), (PICTURES, PICTURES));
    assert_eq!(got, sent);
    Ok(())
}

/// Waits until `n` messages have come to an element to which nobody sends media.
fn wait_for_pings(pipeline: &Pipeline, element: &str, n: usize) -> Result<()> {
    let mut last = pipeline.figure(element, "in-bytes-total")?;
    let mut pings = 0;
    wait::until("ping requests", LONG, || {
        let bytes = match pipeline.figure(element, "in-bytes-total") {
            Ok(bytes) => bytes,
            Err(failure) => return Some(Err(failure)),
        };
        pings += usize::from(bytes > last);
        last = bytes;
        (pings == n).then_some(Ok(()))
    })?
}

#[test]
fn rtmpsrc_feeds_rtmpsink_without_a_muxer() -> Result<()> {
    let nginx = Nginx::start()?;
    let (from, to) = (
        nginx.url(Application::Live, "a"),
        nginx.url(Application::Interleaved, "b"),
    );
    let player = Pipeline::new(&player(&to))?;
    let relay = Pipeline::new(&format!(
        "rtmpsrc location={from} ! rtmpsink location={to} sync=false"
    ))?;
    let publisher = Pipeline::new(&publisher(&from, 2))?;
    let (published, played) = (publisher.tap("sink")?, player.tap("demux")?);
    player.play()?;
    nginx.wait_for_clients(Application::Interleaved, "b", 1, LONG)?;
    relay.play()?;
    nginx.wait_for_clients(Application::Interleaved, "b", 2, LONG)?;
    nginx.wait_for_clients(Application::Live, "a", 1, LONG)?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    relay.wait_for_eos()?;
    player.wait_for_eos()?;
    let (published, played) = (published.tags()?, played.tags()?);
    assert!(tags::frames(&published).len() > PICTURES);
    assert_eq!(tags::frames(&played), tags::frames(&published));
    assert_eq!(tags::headers(&played), tags::headers(&published));
    Ok(())
}
