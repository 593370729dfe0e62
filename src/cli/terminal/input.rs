//! Reads what is named on the command line: a file, or standard input.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The bytes of a file, or of standard input for `-`: at most one more than `most`, which shows the caller that there
/// are too many.
pub(crate) fn read(file: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        io::stdin().take(most + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(file)?.take(most + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
