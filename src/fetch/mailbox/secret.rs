//! Reads a secret from a command, a file or the environment, each time it is needed.
//!
//! No error of this module contains any part of a secret.

use super::error::ServerError;
use secrecy::SecretString;
use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// How long a command may take to print a secret.
const COMMAND: Duration = Duration::from_mins(1);
/// More than any password or token.
const LONGEST: u64 = 64 << 10;

/// Where a secret comes from.
#[derive(Clone)]
pub enum Secret {
    /// A program and its arguments; the first line it prints.
    Command(Vec<String>),
    /// A file's first line.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// The secret itself.
    Value(SecretString),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret from {self}")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Without the arguments: people put tokens there.
            Self::Command(words) => write!(f, "the command {:?}", words.first().map_or("", String::as_str)),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Value(_) => f.write_str("memory"),
        }
    }
}

impl Secret {
    /// Reads it. Blocks; a command may take up to a minute.
    pub(crate) fn read(&self) -> Result<SecretString, ServerError> {
        let text = match self {
            Self::Value(value) => return Ok(value.clone()),
            Self::Command(words) => run(words).map_err(|why| self.unreadable(&why))?,
            Self::File(path) => std::fs::read_to_string(path).map_err(|error| self.unreadable(&error))?,
            Self::Variable(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => self.unreadable(&"it is not set"),
                std::env::VarError::NotUnicode(_) => self.unreadable(&"it is not UTF-8"),
            })?,
        };
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(SecretString::from(line)),
            _ => Err(self.unreadable(&"expected a line, found nothing")),
        }
    }

    /// Reads it for servers of other protocols; an error says what failed, without any part of the secret.
    ///
    /// # Errors
    /// If it cannot be read; the text names the source and no part of the secret.
    pub fn reveal(&self) -> Result<SecretString, String> {
        self.read().map_err(|fault| fault.reason_and_hint().0)
    }

    fn unreadable(&self, why: &dyn fmt::Display) -> ServerError {
        ServerError::settled(format!("secret from {self}: {why}"))
    }
}

/// The first line of a command that succeeds in time.
fn run(words: &[String]) -> Result<String, String> {
    let (program, arguments) = words.split_first().ok_or("the command is empty")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("it does not start: {error}"))?;
    let output = child.stdout.take().ok_or("it has no output")?;
    let (give, given) = mpsc::channel();
    // Not waited for: a process that the command leaves behind, such as an agent, may hold the output open for days.
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = String::new();
        let read = output.by_ref().take(LONGEST).read_line(&mut line);
        let _ = give.send(read.map(|_| line));
        // The command may write more before it ends.
        let _ = io::copy(&mut output, &mut io::sink());
    });
    let begin = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begin.elapsed() < COMMAND => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end in {} s", COMMAND.as_secs()));
            }
            Err(error) => return Err(format!("it cannot be waited for: {error}")),
        }
    };
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    match given.recv_timeout(COMMAND.saturating_sub(begin.elapsed())) {
        Ok(Ok(line)) => Ok(line),
        Ok(Err(_)) => Err("it did not print UTF-8".to_owned()),
        Err(_) => {
            Err(format!("it ended, and left a process that may still print; no line came in {} s", COMMAND.as_secs()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn words(line: &str) -> Secret {
        Secret::Command(line.split('|').map(str::to_owned).collect())
    }

    #[test]
    fn a_command_gives_its_first_line() {
        let secret = words("sh|-c|printf 'one\\ntwo\\n'").read().unwrap();
        assert_eq!(secret.expose_secret(), "one");
        // More than a pipe holds, and a process left behind with the output open.
        let begin = Instant::now();
        let secret = words("sh|-c|sleep 20 & echo one; head -c 200000 /dev/zero").read().unwrap();
        assert_eq!(secret.expose_secret(), "one");
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    }

    #[test]
    fn a_failure_names_the_program_and_never_its_arguments() {
        let fault = words("sh|-c|echo hidden-token; exit 3").read().unwrap_err();
        let text = format!("{fault:?}");
        assert!(text.contains("exit status: 3") && !text.contains("hidden"), "{text}");
        let secret = Secret::Value(SecretString::from("hidden-token"));
        assert!(!format!("{secret:?} {secret}").contains("hidden"));
    }

    #[test]
    fn an_empty_file_is_no_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Secret::File(file.path().into()).read().is_err());
    }
}
