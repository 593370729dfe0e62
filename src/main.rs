//! The binary: everything else is in the library, where a test can call it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A panic over a damaged file becomes an error that names the file, so it is not printed, too.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !dmarquet::store::is_reading() {
            print(panic);
        }
    }));
    dmarquet::cli::run()
}
