#![no_main]

#[path = "../../tests/fuzz_corpus/owner.rs"]
mod owner;
#[path = "../../tests/fuzz_corpus/server_session.rs"]
mod server_session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| server_session::run(data));
