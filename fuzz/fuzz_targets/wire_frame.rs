#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafkalog::fuzzing::wire_frame(data));
