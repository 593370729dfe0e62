//! Runs a local program with input and a time limit.

use super::connection::seconds;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Bytes kept of the program's standard error.
const SAID_BYTES: u64 = 2 << 10;
/// How often to check whether it ended.
const PAUSE: Duration = Duration::from_millis(20);
/// Its output may arrive shortly after its end; a process it left behind may keep the pipe open forever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a program with this on its standard input, and waits for its end. `late` is added to the error if it takes too
/// long.
///
/// # Errors
/// What happened, as the rest of a sentence that begins with the program's name.
pub fn feed(mut command: Command, input: &[u8], patience: Duration, late: &str) -> Result<(), String> {
    // Its own process group, so that its children end with it.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("does not start: {error}"))?;
    let (mut pipe, mut errors) = (child.stdin.take(), child.stderr.take());
    let (bytes, (sender, said)) = (input.to_vec(), mpsc::channel());
    // A program that does not read must not block us; its input ends with this thread.
    std::thread::spawn(move || pipe.as_mut().map(|pipe| pipe.write_all(&bytes)));
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(errors) = &mut errors {
            let _ = errors.by_ref().take(SAID_BYTES).read_to_end(&mut text);
            // The rest of its output is discarded, so that it does not block.
            let _ = sender.send(text);
            let _ = std::io::copy(errors, &mut std::io::sink());
        }
    });
    let status = wait(&mut child, patience, late)?;
    if status.success() {
        return Ok(());
    }
    let said = said.recv_timeout(LAST_WORDS).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(if said.is_empty() { format!("ended with {status}") } else { format!("ended with {status}: {said}") })
}

fn wait(child: &mut Child, patience: Duration, late: &str) -> Result<ExitStatus, String> {
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
                return Err(format!("did not end within {} and was stopped; {late}", seconds(patience)));
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}
