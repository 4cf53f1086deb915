#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafkalog::fuzzing::net_frame(data));
