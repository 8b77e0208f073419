#![no_main]

#[path = "../../tests/fuzz_corpus/handshake.rs"]
mod handshake;

libfuzzer_sys::fuzz_target!(|data: &[u8]| handshake::run(data));
