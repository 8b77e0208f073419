#![no_main]

#[path = "../../tests/fuzz_corpus/flv_tag.rs"]
mod flv_tag;

libfuzzer_sys::fuzz_target!(|data: &[u8]| flv_tag::run(data));
