//! Looks up a fuzz target by name at compile time, so that each fuzzer links only the code behind its own target. libFuzzer visits
//! every counter that is linked after each execution.

pub use dmarquet::fuzzing::Target;
use dmarquet::fuzzing::TARGETS;

/// The fuzz target of this name.
///
/// # Panics
/// If this build has no target of that name. The call is evaluated at compile time, so the fuzzer then fails to build.
pub const fn target(name: &str) -> Target {
    let mut at = 0;
    while at < TARGETS.len() {
        if same(TARGETS[at].0.as_bytes(), name.as_bytes()) {
            return TARGETS[at].1;
        }
        at += 1;
    }
    panic!("this build has no fuzz target of that name")
}

const fn same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, rest @ ..], [other_first, other_rest @ ..]) = (one, other) {
        if *first != *other_first {
            return false;
        }
        (one, other) = (rest, other_rest);
    }
    one.is_empty() && other.is_empty()
}
