//! Fuzzing without a fuzzer: the corpus in `fuzz/corpus` and mutated samples, for as long as the time allows.
//!
//! Nothing may panic, and no input may take long. `DMARQUET_REPLAY_SECONDS` says how long (default 2); the seed is
//! fixed, so that what a longer run finds is found again.
