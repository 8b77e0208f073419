#![no_main]

#[path = "../../tests/fuzz_corpus/owner.rs"]
mod owner;
#[path = "../../tests/fuzz_corpus/client_session.rs"]
mod client_session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| client_session::run(data));
