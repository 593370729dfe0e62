//! The door `mbox_gz`: what it takes and what must hold is said where it is, in `src/doors.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dmarquet_fuzz::through("mbox_gz", bytes));
