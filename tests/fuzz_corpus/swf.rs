//! SWF files of any kind.

use gstrtmp::swf::{Identity, MAX_MOVIE};

pub(crate) fn run(data: &[u8]) {
    let Ok(identity) = Identity::of_file(data) else {
        return;
    };
    assert!(identity.size() as usize <= MAX_MOVIE);
    if data.starts_with(b"FWS") {
        assert_eq!(identity.size() as usize, data.len());
    }
    let proof = identity.prove(data);
    assert!(identity.is_proven(data, identity.size(), &proof));
    assert!(!identity.is_proven(data, identity.size() ^ 1, &proof));
}
