#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafkalog::fuzzing::record_batch(data));
