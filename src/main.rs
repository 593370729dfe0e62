//! The binary: everything else is in the library, where a test can call it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dmarquet::cli::run()
}
