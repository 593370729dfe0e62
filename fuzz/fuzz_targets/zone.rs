//! The fuzz target `zone`; `src/fuzzing.rs` says what it takes and what must hold.
#![no_main]

const TARGET: dmarquet_fuzz::Target = dmarquet_fuzz::target("zone");

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
