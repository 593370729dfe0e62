//! The local sendmail or a compatible program: it gets the recipients and the mail.

use super::program::feed;
use lettre::address::Envelope;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Checks that a program exists and is executable.
///
/// # Errors
/// What is wrong, as the rest of a sentence that begins with the program's name.
pub(super) fn check(program: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::metadata(program) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err("is not an executable program".to_owned()),
        Err(error) => Err(format!("cannot be run: {error}")),
    }
}

/// Passes a mail to a program.
///
/// # Errors
/// What happened, as the rest of a sentence that begins with the program's name.
pub(super) fn run(program: &Path, patience: Duration, envelope: &Envelope, mail: &[u8]) -> Result<(), String> {
    let mut command = Command::new(program);
    // A dot on a line of its own does not end the mail, and addresses are not options.
    command.arg("-i");
    if let Some(from) = envelope.from() {
        command.arg("-f").arg(AsRef::<std::ffi::OsStr>::as_ref(from));
    }
    command.arg("--").args(envelope.to().iter().map(ToString::to_string));
    feed(command, mail, patience, "the mail may not have been sent")
}
