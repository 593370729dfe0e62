//! The door: everything else is in the library, where a test can call it.

use std::process::ExitCode;

fn main() -> ExitCode {
    dmarquet::cli::run()
}
