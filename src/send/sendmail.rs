//! The local sendmail, or what stands in for it: a program that is given the recipients and the mail.

use super::program::feed;
use lettre::address::Envelope;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// See that a program is there and may be run.
///
/// # Errors
/// What is wrong, as the rest of a sentence that begins with the program's name.
pub(super) fn check(program: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::metadata(program) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err("is no program that can be run".to_owned()),
        Err(error) => Err(format!("cannot be run: {error}")),
    }
}

/// Hand a mail over to a program.
///
/// # Errors
/// What happened, as the rest of a sentence that begins with the program's name.
pub(super) fn run(program: &Path, patience: Duration, envelope: &Envelope, mail: &[u8]) -> Result<(), String> {
    let mut command = Command::new(program);
    // A dot on a line of its own is no end of the mail, and addresses are no options.
    command.arg("-i");
    if let Some(from) = envelope.from() {
        command.arg("-f").arg(AsRef::<std::ffi::OsStr>::as_ref(from));
    }
    command.arg("--").args(envelope.to().iter().map(ToString::to_string));
    feed(command, mail, patience, "the mail may not have been sent")
}
