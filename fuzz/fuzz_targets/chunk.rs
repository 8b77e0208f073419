#![no_main]

#[path = "../../tests/fuzz_corpus/chunk.rs"]
mod chunk;

libfuzzer_sys::fuzz_target!(|data: &[u8]| chunk::run(data));
