#![no_main]

#[path = "../../tests/fuzz_corpus/swf.rs"]
mod swf;

libfuzzer_sys::fuzz_target!(|data: &[u8]| swf::run(data));
