//! The door `zip`: what it takes and what must hold is said where it is, in `src/fuzzing.rs`.
#![no_main]

const DOOR: dmarquet_fuzz::Door = dmarquet_fuzz::door("zip");

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| DOOR(bytes));
