//! The fuzz target `zip`; `src/fuzzing.rs` says what it takes and what must hold.
#![no_main]

const TARGET: dmarquet_fuzz::Target = dmarquet_fuzz::target("zip");

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
