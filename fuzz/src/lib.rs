//! What all fuzzers share: the door of a name.

pub use dmarquet::fuzzing::Door;
use dmarquet::fuzzing::DOORS;

/// The door of this name, found while the fuzzer is built: what the other fuzzing alone lead to is not linked, whose counters a
/// fuzzer would go through after every execution.
///
/// # Panics
/// Where there is no such door in this build: the fuzzer is not built then.
pub const fn door(name: &str) -> Door {
    let mut at = 0;
    while at < DOORS.len() {
        if same(DOORS[at].0.as_bytes(), name.as_bytes()) {
            return DOORS[at].1;
        }
        at += 1;
    }
    panic!("no such door in this build")
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
