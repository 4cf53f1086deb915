#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafkalog::fuzzing::segment_recover(data));
