//! Replays `fuzz/corpus` without a fuzzer: each input of a target through that target's body.
//!
//! The bodies are the modules here; `fuzz/fuzz_targets` mounts the same files. An input that found a bug joins the
//! corpus under a name that says what it found, together with the fix.

mod amf;
mod chunk;
mod client_session;
mod demux;
mod flv;
mod flv_tag;
mod handshake;
mod owner;
mod server_session;
mod swf;
mod tunnel_client;
mod tunnel_server;
mod url;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// What a target does with one input; panics on a bug.
type Body = fn(&[u8]);

const TARGETS: &[(&str, Body)] = &[
    ("amf", amf::run),
    ("chunk", chunk::run),
    ("client_session", client_session::run),
    ("demux", demux::run),
    ("flv", flv::run),
    ("flv_tag", flv_tag::run),
    ("handshake", handshake::run),
    ("server_session", server_session::run),
    ("swf", swf::run),
    ("tunnel_client", tunnel_client::run),
    ("tunnel_server", tunnel_server::run),
    ("url", url::run),
];

fn fuzz(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(path)
}

fn replay(target: &str) {
    let (_, body) = TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target of the table");
    let mut inputs: Vec<PathBuf> = fs::read_dir(fuzz("corpus").join(target))
        .unwrap_or_else(|error| panic!("the corpus of {target}: {error}"))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "the corpus of {target} is empty");
    for input in inputs {
        // Shown when the body panics.
        println!("{}", input.display());
        body(&fs::read(input).expect("a readable input"));
    }
}

#[test]
fn amf_survives_its_corpus() {
    replay("amf");
}

#[test]
fn chunk_survives_its_corpus() {
    replay("chunk");
}

#[test]
fn client_session_survives_its_corpus() {
    replay("client_session");
}

#[test]
fn demux_survives_its_corpus() {
    replay("demux");
}

#[test]
fn flv_survives_its_corpus() {
    replay("flv");
}

#[test]
fn flv_tag_survives_its_corpus() {
    replay("flv_tag");
}

#[test]
fn handshake_survives_its_corpus() {
    replay("handshake");
}

#[test]
fn swf_survives_its_corpus() {
    replay("swf");
}

#[test]
fn server_session_survives_its_corpus() {
    replay("server_session");
}

#[test]
fn tunnel_client_survives_its_corpus() {
    replay("tunnel_client");
}

#[test]
fn tunnel_server_survives_its_corpus() {
    replay("tunnel_server");
}

#[test]
fn url_survives_its_corpus() {
    replay("url");
}

#[test]
fn every_target_is_replayed() {
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    let (_, binaries) = manifest.split_once("\n[[bin]]\n").unwrap();
    let built: BTreeSet<&str> = binaries
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    let replayed: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(built, replayed);
}
