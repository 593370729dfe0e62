//! The local sendmail, or what stands in for it: a program that is given the recipients and the mail, and has its time.

use super::smtp::seconds;
use lettre::address::Envelope;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What is kept of what the program says on standard error.
const SAID_BYTES: u64 = 2 << 10;
/// How often to look whether it ended.
const PAUSE: Duration = Duration::from_millis(20);
/// What it said may come a little after its end; a process it left behind may keep the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

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
    // A group of its own, so that what it starts ends with it.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("does not start: {error}"))?;
    let (mut input, mut errors) = (child.stdin.take(), child.stderr.take());
    let (mail, (sender, said)) = (mail.to_vec(), mpsc::channel());
    // A program that reads nothing must not hold us; its input ends with this thread.
    std::thread::spawn(move || input.as_mut().map(|input| input.write_all(&mail)));
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(errors) = &mut errors {
            let _ = errors.by_ref().take(SAID_BYTES).read_to_end(&mut text);
            // What else it says is let go, so that it does not wait for a reader.
            let _ = sender.send(text);
            let _ = std::io::copy(errors, &mut std::io::sink());
        }
    });
    let status = wait(&mut child, patience)?;
    if status.success() {
        return Ok(());
    }
    let said = said.recv_timeout(LAST_WORDS).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(if said.is_empty() { format!("ended with {status}") } else { format!("ended with {status}: {said}") })
}

fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus, String> {
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if begin.elapsed() < patience => std::thread::sleep(PAUSE),
            Ok(None) => {
                let group = i32::try_from(child.id()).map(Pid::from_raw);
                let _ = group.map(|group| killpg(group, Signal::SIGKILL));
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "did not end within {} and was stopped; the mail may not have been sent",
                    seconds(patience)
                ));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}
