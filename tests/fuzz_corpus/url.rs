//! Locations: what is accepted reads back as written, and a password shows in nothing that is printed.

use gstrtmp::url::{ConnectArgs, RtmpUrl, redact};

const SECRET: &str = "Zq7-secret-7qZ";

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = ConnectArgs::parse(text);
    if let Ok(mut url) = RtmpUrl::parse(text) {
        assert_eq!(url.location(), Some(text));
        assert!(!url.host().is_empty());
        let _ = (
            url.port(),
            url.application(),
            url.stream(),
            url.username(),
            url.tc_url(),
            url.scrub(text),
        );
        if !text.contains(SECRET) && url.set_stream(SECRET).is_ok() && url.set_password(SECRET).is_ok() {
            assert!(!format!("{url} {url:?} {:?}", url.options()).contains(SECRET));
        }
    }
    if !text.contains(SECRET) {
        let location = format!("rtmp://user:{SECRET}@{text}");
        assert!(!redact(&location).contains(SECRET));
        match RtmpUrl::parse(&location) {
            Ok(url) => assert!(!format!("{url} {url:?} {:?}", url.warnings()).contains(SECRET)),
            Err(error) => assert!(!format!("{error} {error:?}").contains(SECRET)),
        }
    }
}
