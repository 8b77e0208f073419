#![no_main]

#[path = "../../tests/fuzz_corpus/amf.rs"]
mod amf;

libfuzzer_sys::fuzz_target!(|data: &[u8]| amf::run(data));
