#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nearcast::fuzzing::dialect_query(bytes));
