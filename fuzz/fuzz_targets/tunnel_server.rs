#![no_main]

#[path = "../../tests/fuzz_corpus/tunnel_server.rs"]
mod tunnel_server;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tunnel_server::run(data));
