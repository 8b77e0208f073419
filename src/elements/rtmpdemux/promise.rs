//! Which tracks a stream promises, by its file header and its metadata.

use crate::flv::{FileHeader, Metadata};

/// Whether there is a kind of track.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Promise {
    Given,
    Denied,
    /// Nothing is said that can be relied upon.
    Open,
}

/// What is promised of audio and of video.
///
/// Metadata goes first. Where it is silent about one kind, the header's flag counts if it is set. If it is not, that
/// means nothing without metadata of the other kind: rtmp2src always sets the video flag alone.
pub(super) fn promises(header: Option<FileHeader>, metadata: Option<&Metadata>) -> (Promise, Promise) {
    let said = |has: fn(&Metadata) -> Option<bool>| metadata.and_then(has);
    let (audio, video) = (said(Metadata::has_audio), said(Metadata::has_video));
    let promise = |own: Option<bool>, other: Option<bool>, flag: bool| match own {
        Some(true) => Promise::Given,
        Some(false) => Promise::Denied,
        None if flag => Promise::Given,
        None if other == Some(true) => Promise::Denied,
        None => Promise::Open,
    };
    let flag = |flag: fn(FileHeader) -> bool| header.is_some_and(flag);
    (
        promise(audio, video, flag(|header| header.has_audio)),
        promise(video, audio, flag(|header| header.has_video)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::Value;
    use Promise::{Denied, Given, Open};

    fn header(has_audio: bool, has_video: bool) -> Option<FileHeader> {
        Some(FileHeader { has_audio, has_video })
    }

    fn metadata(properties: &[(&str, Value)]) -> Metadata {
        let mut builder = Metadata::builder();
        for (key, value) in properties {
            builder = builder.property(key, value.clone());
        }
        builder.build()
    }

    #[test]
    fn flags_promise_what_they_set_and_deny_nothing() {
        assert_eq!(promises(header(true, true), None), (Given, Given));
        assert_eq!(promises(header(false, true), None), (Open, Given));
        assert_eq!(promises(header(false, false), None), (Open, Open));
        assert_eq!(promises(None, None), (Open, Open));
    }

    #[test]
    fn metadata_of_one_kind_denies_the_other_unless_flagged() {
        let video = metadata(&[("videocodecid", 7.0.into())]);
        assert_eq!(promises(None, Some(&video)), (Denied, Given));
        assert_eq!(promises(header(false, true), Some(&video)), (Denied, Given));
        assert_eq!(promises(header(true, true), Some(&video)), (Given, Given));
    }

    #[test]
    fn metadata_goes_before_flags() {
        let audio = metadata(&[("hasVideo", false.into()), ("hasAudio", true.into())]);
        assert_eq!(promises(header(true, true), Some(&audio)), (Given, Denied));
        let silent = metadata(&[("width", 64.0.into())]);
        assert_eq!(promises(header(true, true), Some(&silent)), (Given, Given));
        assert_eq!(promises(None, Some(&silent)), (Open, Open));
    }
}
