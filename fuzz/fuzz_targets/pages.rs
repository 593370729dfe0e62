//! The fuzz target `pages`; `src/fuzzing.rs` says what it takes and what must hold.
#![no_main]

const TARGET: dmarquet_fuzz::Target = dmarquet_fuzz::target("pages");

libfuzzer_sys::fuzz_target!(init: end_on_uncaught_panics_only(), |bytes: &[u8]| TARGET(bytes));

/// The hook of libFuzzer ends the process. As in the program, it is not asked about a panic over a damaged file, which becomes
/// an error of that file.
fn end_on_uncaught_panics_only() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !dmarquet::store::is_reading() {
            end(panic);
        }
    }));
}
