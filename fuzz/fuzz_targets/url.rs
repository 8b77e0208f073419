#![no_main]

#[path = "../../tests/fuzz_corpus/url.rs"]
mod url;

libfuzzer_sys::fuzz_target!(|data: &[u8]| url::run(data));
