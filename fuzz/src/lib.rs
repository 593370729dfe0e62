//! What all fuzzers share: the door of a name.

use dmarquet::doors::{DOORS, Door};
use std::sync::OnceLock;

/// Send bytes through the door of this name; one process only ever uses one.
///
/// # Panics
/// Where there is no such door in this build, and where something does not hold.
pub fn through(name: &str, bytes: &[u8]) {
    static DOOR: OnceLock<Door> = OnceLock::new();
    let find = || DOORS.iter().find(|(door, _)| *door == name).unwrap_or_else(|| panic!("no door {name}")).1;
    DOOR.get_or_init(find)(bytes);
}
