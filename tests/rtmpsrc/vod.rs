//! Recordings that nginx-rtmp plays from files: their length, and where seeks and pauses lead, to the frame.

use std::sync::mpsc::{Receiver, channel};

use gst::prelude::*;
use gstrtmp::flv::TagKind;
use gstrtmp::session::Request;

use super::fixture::*;
use crate::relay::{Options, Relay};
use crate::support::ffmpeg::{self, utf8};
use crate::support::nginx::{Application, Nginx};
use crate::support::tags::{self, Tag};
use crate::support::wait::LONG;
use crate::support::{Context, Failure, Result};

/// Seconds of the recording; there is a key frame in each.
const LENGTH: u32 = 6;

/// A server that plays a recording.
struct Cinema {
    url: String,
    frames: Vec<Tag>,
    _folder: tempfile::TempDir,
    _nginx: Option<Nginx>,
    relay: Option<Relay>,
    /// Pauses and their ends, as the relay hears of them.
    pauses: Option<Receiver<bool>>,
}

impl Cinema {
    /// The recording with an index of its key frames, from nginx and from the server of this repository.
    fn all() -> Result<[Self; 2]> {
        let folder = || tempfile::tempdir().context("making a folder");
        let (made, of_relay) = (folder()?, folder()?);
        let file = made.path().join("made.flv");
        ffmpeg::encode_sample(&file, LENGTH)?;
        let nginx = Nginx::start()?;
        let [first, second] =
            [nginx.vod_folder(), of_relay.path().into()].map(|folder| folder.join("film.flv"));
        let index = "-c copy -flvflags add_keyframe_index";
        ffmpeg::run(
            ["-i", utf8(&file)?]
                .into_iter()
                .chain(index.split(' '))
                .chain([utf8(&first)?]),
        )?;
        std::fs::copy(&first, &second)?;
        let frames = tags::frames(&tags::read(&first)?);
        let (heard, pauses) = channel();
        let relay = Relay::start(Options {
            admit: Box::new(move |request| {
                if let Request::Pause { paused, .. } = request {
                    // The test may be over.
                    let _ = heard.send(*paused);
                }
                Ok(())
            }),
            vod: Some(of_relay.path().to_owned()),
            ..Options::default()
        })?;
        Ok([
            Self {
                url: nginx.url(Application::Vod, "film"),
                frames: frames.clone(),
                _folder: made,
                _nginx: Some(nginx),
                relay: None,
                pauses: None,
            },
            Self {
                url: relay.url("vod", "film"),
                frames,
                _folder: of_relay,
                _nginx: None,
                relay: Some(relay),
                pauses: Some(pauses),
            },
        ])
    }

    /// The place of the last key frame that is not behind a time.
    fn key_frame(&self, millis: u64) -> Result<usize> {
        let is_it = |tag: &Tag| {
            tag.kind == TagKind::Video
                && tag.body.first() == Some(&0x17)
                && u64::from(tag.timestamp) <= millis
        };
        let place = self.frames.iter().rposition(is_it);
        place.ok_or(Failure::new("the recording has no key frame"))
    }

    /// nginx goes to the key frame behind a position. Once this has shown, it is asked for one earlier.
    fn get_to_know(&self, source: &Source) -> Result<()> {
        assert!(source.seek(gst::SeekFlags::KEY_UNIT, gst::ClockTime::from_mseconds(1500)));
        let (segments, _) = source.wait_since_flush(1)?;
        let segment = segments.first().ok_or(Failure::new("no segment"))?;
        let landed = if self.relay.is_some() { 1000 } else { 2000 };
        assert_eq!(
            segment.time(),
            Some(gst::ClockTime::from_mseconds(landed)),
            "{}",
            self.url
        );
        Ok(())
    }

    /// What is left of the recording from a place on, as it leaves the element.
    fn rest(&self, place: usize) -> Vec<Message> {
        let frames = self.frames.iter().skip(place);
        frames
            .map(|tag| Message {
                type_id: tag.kind.type_id(),
                timestamp: tag.timestamp,
                body: tag.body.clone(),
            })
            .collect()
    }
}

/// Frames proper: neither metadata nor sequence headers.
fn proper(tags: &[Message]) -> Vec<Message> {
    let is_proper = |tag: &&Message| tag.type_id != 18 && tag.body.get(1) == Some(&1);
    tags.iter().filter(is_proper).cloned().collect()
}

fn check_landing(cinema: &Cinema, source: &Source, millis: u64, flags: gst::SeekFlags) -> Result<()> {
    let place = cinema.key_frame(millis)?;
    let rest = cinema.rest(place);
    let first = rest.first().ok_or(Failure::new("nothing is left"))?;
    let landed = gst::ClockTime::from_mseconds(first.timestamp.into());
    let (segments, _) = source.wait_since_flush(usize::MAX)?;
    let got = proper(&source.wait_since_flush(0)?.1);
    assert_eq!(got.first(), rest.first(), "{} {millis} ms", cinema.url);
    assert_eq!(got, rest, "{} {millis} ms", cinema.url);
    let [segment] = &segments[..] else {
        return Err(Failure::new(format!("not one segment: {segments:?}")));
    };
    let start = if flags.contains(gst::SeekFlags::ACCURATE) {
        gst::ClockTime::from_mseconds(millis)
    } else {
        landed
    };
    assert_eq!(
        (segment.start(), segment.time(), segment.base()),
        (Some(start), Some(start), Some(gst::ClockTime::ZERO))
    );
    Ok(())
}

#[test]
fn a_seek_lands_on_the_key_frame_and_plays_to_the_end() -> Result<()> {
    for cinema in Cinema::all()? {
        for is_live in ["true", "false"] {
            let source = Source::with(&cinema.url, &[("is-live", is_live)])?;
            source.play()?;
            source.wait_for_tags(20)?;
            let (is_seekable, duration) = source.reach();
            assert!(is_seekable);
            let seconds = duration.map(gst::ClockTime::seconds);
            assert!(
                seconds == Some(LENGTH.into()) || seconds == Some(u64::from(LENGTH) - 1),
                "{duration:?}"
            );
            cinema.get_to_know(&source)?;
            for (millis, flags) in [
                (3200, gst::SeekFlags::KEY_UNIT),
                (0, gst::SeekFlags::KEY_UNIT),
                (5000, gst::SeekFlags::ACCURATE),
                (4999, gst::SeekFlags::empty()),
                (2500, gst::SeekFlags::ACCURATE),
            ] {
                assert!(
                    source.seek(flags, gst::ClockTime::from_mseconds(millis)),
                    "{millis}"
                );
                // To the end, from where it is sought the next time.
                check_landing(&cinema, &source, millis, flags)?;
            }
        }
    }
    Ok(())
}

#[test]
fn even_the_first_accurate_seek_has_what_its_position_needs() -> Result<()> {
    for cinema in Cinema::all()? {
        let source = Source::with(&cinema.url, &[("is-live", "false")])?;
        source.play()?;
        source.wait_for_tags(20)?;
        let position = gst::ClockTime::from_mseconds(3500);
        assert!(source.seek(gst::SeekFlags::ACCURATE, position));
        let (segments, tags) = source.wait_since_flush(20)?;
        let segment = segments.first().ok_or(Failure::new("no segment"))?;
        assert_eq!(segment.start(), Some(position), "{}", cinema.url);
        let first = proper(&tags).first().map(|tag| tag.timestamp);
        let landed = if cinema.relay.is_some() { 2000 } else { 3000 };
        assert_eq!(first, Some(landed), "{}", cinema.url);
        // By now its way is known, even for the second key frame, ahead of which is only 0.
        for millis in [1500, 2500] {
            assert!(source.seek(gst::SeekFlags::KEY_UNIT, gst::ClockTime::from_mseconds(millis)));
            check_landing(&cinema, &source, millis, gst::SeekFlags::KEY_UNIT)?;
        }
    }
    Ok(())
}

#[test]
fn seeks_that_follow_each_other_at_once_end_where_the_last_one_leads() -> Result<()> {
    for cinema in Cinema::all()? {
        let source = Source::with(&cinema.url, &[("is-live", "false")])?;
        source.play()?;
        source.wait_for_tags(20)?;
        cinema.get_to_know(&source)?;
        for millis in [5000, 100, 4000, 2100, 3333] {
            assert!(source.seek(gst::SeekFlags::KEY_UNIT, gst::ClockTime::from_mseconds(millis)));
        }
        check_landing(&cinema, &source, 3333, gst::SeekFlags::KEY_UNIT)?;
    }
    Ok(())
}

#[test]
fn a_pause_loses_nothing_and_repeats_nothing() -> Result<()> {
    for cinema in Cinema::all()? {
        for is_live in ["true", "false"] {
            // A small buffer has the server send little ahead.
            let source = Source::before(
                "fakesink sync=true",
                &cinema.url,
                &[("is-live", is_live), ("buffer-length", "100")],
            )?;
            source.play()?;
            source.wait_for_tags(30)?;
            // Of the last time.
            if let Some(pauses) = &cinema.pauses {
                pauses.try_iter().for_each(drop);
            }
            source.pause()?;
            // nginx says nothing of pauses in files.
            if let Some(pauses) = &cinema.pauses {
                let paused = pauses.recv_timeout(LONG).context("waiting for a pause")?;
                assert!(paused);
            }
            source.play()?;
            if cinema.relay.is_some() {
                source.wait_for_status("NetStream.Unpause.Notify")?;
            }
            source.wait_for_eos()?;
            let (got, sent) = (proper(&source.tags()?), cinema.rest(0));
            let first = got.iter().zip(&sent).position(|(got, sent)| got != sent);
            assert_eq!(
                (first, got.len()),
                (None, sent.len()),
                "{} is-live={is_live}",
                cinema.url
            );
            assert_eq!(source.segments().len(), 1, "{:?}", source.segments());
        }
    }
    Ok(())
}

#[test]
fn pictures_are_decoded_from_where_was_sought_by_every_demuxer() -> Result<()> {
    for cinema in Cinema::all()? {
        for demuxer in ["flvdemux", "rtmpdemux", "decodebin"] {
            for flags in [gst::SeekFlags::KEY_UNIT, gst::SeekFlags::ACCURATE] {
                let rest = match demuxer {
                    "decodebin" => "! video/x-raw ! fakesink name=end sync=true",
                    _ => "! h264parse ! avdec_h264 ! fakesink name=end sync=true",
                };
                init();
                let pipeline = gst::parse::launch(&format!(
                    "rtmpsrc is-live=false location={} ! {demuxer} {rest}",
                    cinema.url
                ))?;
                let pipeline = pipeline
                    .downcast::<gst::Pipeline>()
                    .map_err(|_| Failure::new("no pipeline"))?;
                let sink = pipeline.by_name("end").ok_or(Failure::new("no sink"))?;
                let case = format!("{} {demuxer} {flags:?}", cinema.url);
                pipeline.set_state(gst::State::Paused)?;
                let (changed, ..) = pipeline.state(gst::ClockTime::from_seconds(30));
                changed.context(&case)?;
                assert!(pipeline.query_duration::<gst::ClockTime>().is_some(), "{case}");
                // The first seek is for nginx, see get_to_know().
                for millis in [1500, 3480] {
                    let target = gst::ClockTime::from_mseconds(millis);
                    pipeline
                        .seek_simple(flags | gst::SeekFlags::FLUSH, target)
                        .context(&case)?;
                    let (changed, ..) = pipeline.state(gst::ClockTime::from_seconds(30));
                    changed.context(&case)?;
                }
                let sample: Option<gst::Sample> = sink.property("last-sample");
                let sample = sample.ok_or(Failure::new("nothing is shown"))?;
                let shown = sample.buffer().and_then(|buffer| buffer.pts());
                let shown = sample
                    .segment()
                    .and_then(|segment| segment.downcast_ref::<gst::ClockTime>()?.to_stream_time(shown));
                let position = pipeline.query_position::<gst::ClockTime>();
                let expected = if flags == gst::SeekFlags::ACCURATE {
                    3480
                } else {
                    3000
                };
                // Presentation of the first picture comes by two pictures later than its decoding.
                let near = |time: Option<gst::ClockTime>| {
                    time.is_some_and(|time| time.mseconds().abs_diff(expected) <= 80)
                };
                assert!(near(shown) && near(position), "{case}: {shown:?} {position:?}");
                pipeline.set_state(gst::State::Null)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_seek_during_a_pause_shows_where_it_leads_and_the_stream_goes_on_from_there() -> Result<()> {
    for cinema in Cinema::all()? {
        // A small buffer has the server send little ahead.
        let source = Source::before(
            "fakesink sync=true",
            &cinema.url,
            &[("is-live", "false"), ("buffer-length", "100")],
        )?;
        source.play()?;
        source.wait_for_tags(30)?;
        source.pause()?;
        assert!(source.seek(gst::SeekFlags::ACCURATE, gst::ClockTime::from_mseconds(4500)));
        source.wait_since_flush(1)?;
        source.play()?;
        let (_, tags) = source.wait_since_flush(usize::MAX)?;
        let place = cinema.key_frame(4500)?;
        assert!(proper(&tags).ends_with(&cinema.rest(place)), "{}", cinema.url);
    }
    Ok(())
}
