//! A secret that is named in the settings and fetched when it is needed: from a command, a file or the environment.
//!
//! Comes in: `KEY_command`, `KEY_file` or `KEY_env`. Goes out: a value that cannot be printed. It is never on a command
//! line, in a log or in an error.

use super::reader::Section;
use anyhow::{Context as _, anyhow, bail};
use secrecy::{ExposeSecret as _, SecretString};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command that asks a person, or hangs, must not hang a cron job for ever.
const COMMAND_TIME: Duration = Duration::from_secs(60);
/// No secret is longer: an OAuth2 token has a few thousand characters.
const LONGEST: u64 = 64 << 10;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// The first line that a program prints; the first word is the program, no shell is between.
    Command(Vec<String>),
    /// The first line of a file.
    File(PathBuf),
    /// The value of an environment variable.
    Env(String),
}

/// The three keys of a secret.
pub(super) struct Keys {
    command: &'static str,
    file: &'static str,
    env: &'static str,
}

/// `password_*`.
pub(super) const PASSWORD: Keys = Keys { command: "password_command", file: "password_file", env: "password_env" };
/// `token_*`.
pub(super) const TOKEN: Keys = Keys { command: "token_command", file: "token_file", env: "token_env" };
/// `client_secret_*`.
pub(super) const CLIENT_SECRET: Keys =
    Keys { command: "client_secret_command", file: "client_secret_file", env: "client_secret_env" };
/// `refresh_token_*`.
pub(super) const REFRESH_TOKEN: Keys =
    Keys { command: "refresh_token_command", file: "refresh_token_file", env: "refresh_token_env" };

impl Keys {
    /// How the keys are spoken of.
    pub(super) fn names(&self) -> String {
        format!("{}, {} or {}", self.command, self.file, self.env)
    }
}

impl Secret {
    /// Read the keys of one secret; more than one of them is a fault.
    pub(super) fn of(section: &mut Section<'_>, keys: &Keys, folder: &Path) -> Option<Self> {
        let found = [
            section.texts(keys.command).map(Self::Command),
            section.path(keys.file, folder).map(Self::File),
            section.text(keys.env).map(|name| Self::Env(name.to_owned())),
        ];
        let named = [keys.command, keys.file, keys.env].into_iter().filter(|key| section.has(key));
        if let [_, second, ..] = *named.collect::<Vec<_>>() {
            section.fault(second, &format!("expected only one of {}, found several", keys.names()));
        }
        found.into_iter().flatten().next()
    }

    /// Fetch the secret.
    pub(crate) fn fetch(&self) -> anyhow::Result<SecretString> {
        let (text, whence) = match self {
            Self::Command(words) => (run(words)?, format!("command {}", words[0])),
            Self::File(path) => (read(path)?, format!("file {}", path.display())),
            Self::Env(name) => {
                let value = std::env::var(name).map_err(|_| {
                    anyhow!("environment variable {name}: expected a secret in it, found it unset or not UTF-8")
                })?;
                (value.into(), format!("environment variable {name}"))
            }
        };
        let line: SecretString = text.expose_secret().lines().next().unwrap_or_default().to_owned().into();
        if line.expose_secret().is_empty() {
            bail!("{whence}: expected a secret in its first line, found nothing");
        }
        Ok(line)
    }

    /// Who else may read the secret, where that can be told.
    pub(crate) fn warning(&self) -> Option<String> {
        use std::os::unix::fs::PermissionsExt as _;
        let Self::File(path) = self else { return None };
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| {
            format!(
                "{}: expected a file only its owner may read, found mode {mode:04o}; chmod 600 mends it",
                path.display()
            )
        })
    }
}

fn read(path: &Path) -> anyhow::Result<SecretString> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        .with_context(|| format!("secret file {}", path.display()))?;
    Ok(text.into())
}

/// Run the command; what it says on standard error reaches the person, what it prints only us.
fn run(words: &[String]) -> anyhow::Result<SecretString> {
    let name = &words[0];
    let mut child = Command::new(name)
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("secret command {name}: could not be started"))?;
    let stdout = child.stdout.take().expect("standard output was asked for as a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.take(LONGEST).read_to_string(&mut text).map(|_| SecretString::from(text))
    });
    let end = Instant::now() + COMMAND_TIME;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("secret command {name}"))? {
            break status;
        }
        if Instant::now() > end {
            // It may have ended by itself in this moment.
            let _ = child.kill();
            let _ = child.wait();
            bail!("secret command {name}: expected an end within {} s, found it still at work", COMMAND_TIME.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if !status.success() {
        bail!("secret command {name}: expected success, found {status}");
    }
    let text = reader.join().map_err(|_| anyhow!("secret command {name}: its output could not be read"))?;
    text.with_context(|| format!("secret command {name}: expected UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::Secret;
    use secrecy::ExposeSecret as _;

    fn command(line: &str) -> Secret {
        Secret::Command(["sh", "-c", line].map(str::to_owned).to_vec())
    }

    #[test]
    fn the_first_line_is_the_secret() {
        assert_eq!(command("printf 'pass word\\r\\nurl: x\\n'").fetch().unwrap().expose_secret(), "pass word");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\n").unwrap();
        assert_eq!(Secret::File(file.path().to_owned()).fetch().unwrap().expose_secret(), "hunter2");
    }

    #[test]
    fn an_error_says_where_the_secret_was_looked_for_and_never_what_was_printed() {
        let error = format!("{:#}", command("echo hunter2; exit 3").fetch().unwrap_err());
        assert_eq!(error, "secret command sh: expected success, found exit status: 3");
        let error = format!("{:#}", command("true").fetch().unwrap_err());
        assert_eq!(error, "command sh: expected a secret in its first line, found nothing");
        let error = format!("{:#}", Secret::Env("DMARQUET_TEST_UNSET".to_owned()).fetch().unwrap_err());
        assert!(error.contains("expected a secret in it, found it unset"), "{error}");
    }

    #[test]
    fn a_file_that_others_may_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = Secret::File(file.path().to_owned());
        assert_eq!(secret.warning(), None);
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(secret.warning().unwrap().contains("found mode 0644"));
    }
}
