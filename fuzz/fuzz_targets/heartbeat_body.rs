#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nearcast::fuzzing::heartbeat_body(bytes));
