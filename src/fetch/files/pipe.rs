//! A named pipe given as a path.
//!
//! Waits a limited time for a writer. Otherwise opening and reading a pipe blocks forever, and a run from cron would
//! hold the store's lock until somebody looks.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for the first byte if no writer has opened the pipe yet.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before checking again.
const PAUSE: Duration = Duration::from_millis(20);

/// A pipe open for reading.
#[derive(Debug)]
pub(crate) struct Pipe {
    file: File,
    patience: Duration,
    /// When it was opened; `None` once a byte arrived.
    waiting_since: Option<Instant>,
}

impl Pipe {
    /// Opens it, whether or not it has a writer.
    pub(crate) fn open(path: &Path, patience: Duration) -> io::Result<Self> {
        // If this process is a writer too, opening returns at once on Linux, macOS and the BSDs. Without permission to
        // write, opening waits for a writer, with a time limit.
        let file = match File::options().read(true).write(true).open(path) {
            Ok(_both_ends) => File::open(path)?,
            Err(_) => open_in_time(path, patience)?,
        };
        Ok(Self { file, patience, waiting_since: Some(Instant::now()) })
    }
}

/// Opens a pipe on a thread, which is abandoned if no writer comes.
fn open_in_time(path: &Path, patience: Duration) -> io::Result<File> {
    let (sender, opened) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || sender.send(File::open(path)));
    opened.recv_timeout(patience).unwrap_or_else(|_| Err(nobody_writes(patience)))
}

fn nobody_writes(patience: Duration) -> io::Error {
    let why = format!("expected a pipe with a writer, found none within {} s", patience.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, why)
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // No byte means that there is no writer: with one, this would wait.
            let count = self.file.read(buffer)?;
            let Some(since) = self.waiting_since.filter(|_| count == 0 && !buffer.is_empty()) else {
                if count > 0 {
                    self.waiting_since = None;
                }
                return Ok(count);
            };
            if since.elapsed() >= self.patience {
                return Err(nobody_writes(self.patience));
            }
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::Command;

    fn pipe() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        (dir, path)
    }

    #[test]
    fn without_a_writer_it_ends_with_an_error() {
        let (_dir, path) = pipe();
        let mut pipe = Pipe::open(&path, Duration::from_millis(100)).unwrap();
        let error = pipe.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().starts_with("expected a pipe with a writer, found none"), "{error}");
    }

    #[test]
    fn a_writer_may_come_late_and_write_in_pieces() {
        let (_dir, path) = pipe();
        let mut pipe = Pipe::open(&path, PATIENCE).unwrap();
        let writer = thread::spawn(move || {
            thread::sleep(3 * PAUSE);
            let mut end = File::options().write(true).open(path).unwrap();
            end.write_all(b"<feed").unwrap();
            thread::sleep(3 * PAUSE);
            end.write_all(b"back/>").unwrap();
        });
        let mut read = Vec::new();
        pipe.read_to_end(&mut read).unwrap();
        writer.join().unwrap();
        assert_eq!(read, b"<feedback/>");
    }
}
