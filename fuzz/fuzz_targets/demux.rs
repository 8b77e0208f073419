#![no_main]

#[path = "../../tests/fuzz_corpus/demux.rs"]
mod demux;

libfuzzer_sys::fuzz_target!(|data: &[u8]| demux::run(data));
