#![no_main]

#[path = "../../tests/fuzz_corpus/flv.rs"]
mod flv;

libfuzzer_sys::fuzz_target!(|data: &[u8]| flv::run(data));
