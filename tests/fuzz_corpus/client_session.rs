//! A client session, publishing or playing, against any server.

use std::sync::Arc;
use std::time::Instant;

use gstrtmp::handshake::Style;
use gstrtmp::session::{ClientConfig, Intent, PlayStart, PublishKind, Session};

use super::owner::{self, Choice};

pub(crate) fn run(data: &[u8]) {
    let Some((choice, stream)) = Choice::split(data) else {
        return;
    };
    let intent = if choice.variant() {
        Intent::Publish {
            kind: PublishKind::Live,
        }
    } else {
        Intent::Play {
            start: PlayStart::Any,
            buffer_length: 3000,
        }
    };
    let mut config = ClientConfig::new(
        intent,
        "live".into(),
        "rtmp://localhost/live".into(),
        "key".into(),
        [7; 32],
    );
    config.handshake = Style::Simple;
    #[allow(clippy::disallowed_methods, reason = "virtual time starts at some time")]
    let now = Instant::now();
    owner::drive(Session::client(Arc::new(config), now), now, choice, stream);
}
