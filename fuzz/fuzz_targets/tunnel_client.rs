#![no_main]

#[path = "../../tests/fuzz_corpus/tunnel_client.rs"]
mod tunnel_client;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tunnel_client::run(data));
