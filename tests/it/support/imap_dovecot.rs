//! A real Dovecot for a test, started by `tests/dovecot/serve` and stopped on drop.
//!
//! Without Dovecot the tests that need it say so and pass, unless `DMARQUET_TEST_DOVECOT` is set (CI).

#![allow(dead_code, reason = "the library's tests and the program's use different halves")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A running server.
#[derive(Debug)]
pub(crate) struct Dovecot {
    child: Child,
    pub(crate) folder: PathBuf,
    pub(crate) imap: u16,
    pub(crate) imaps: u16,
    pub(crate) pop3: u16,
    pub(crate) pop3s: u16,
    pub(crate) token_url: String,
}

impl Dovecot {
    /// Starts one with these arguments for `serve`.
    pub(crate) fn start(words: &[&str]) -> Option<Self> {
        if std::env::var_os("DMARQUET_TEST_DOVECOT").is_none() && !Path::new("/usr/sbin/dovecot").exists() {
            eprintln!("skipped: no Dovecot (apt-get install dovecot-imapd)");
            return None;
        }
        let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dovecot/serve");
        let mut child = Command::new(serve)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/dovecot/serve starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let values: Vec<(String, String)> = lines
            .take_while(|line| line != "READY")
            .filter_map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect();
        let value = |name: &str| {
            let found = values.iter().find(|(each, _)| each == name);
            found.unwrap_or_else(|| panic!("serve says {name}: {values:?}")).1.clone()
        };
        let port = |name| value(name).parse().expect("a port");
        Some(Self {
            folder: value("FOLDER").into(),
            imap: port("IMAP"),
            imaps: port("IMAPS"),
            pop3: port("POP3"),
            pop3s: port("POP3S"),
            token_url: value("TOKEN_URL"),
            child,
        })
    }

    /// The same, if its POP3 server is installed.
    pub(crate) fn start_with_pop3() -> Option<Self> {
        if std::env::var_os("DMARQUET_TEST_DOVECOT").is_none() && !Path::new("/usr/lib/dovecot/pop3").exists() {
            eprintln!("skipped: no POP3 of Dovecot (apt-get install dovecot-pop3d)");
            return None;
        }
        Self::start(&[])
    }

    /// The Maildir of a folder.
    pub(crate) fn maildir(&self, folder: &str) -> PathBuf {
        let mail = self.folder.join("mail");
        if folder == "INBOX" { mail } else { mail.join(format!(".{}", folder.replace('/', "."))) }
    }

    /// Puts a mail into an existing folder.
    pub(crate) fn deliver(&self, folder: &str, name: &str, mail: &[u8]) {
        let folder = self.maildir(folder);
        let tmp = folder.join("tmp").join(name);
        std::fs::write(&tmp, mail).expect("the Maildir can be written");
        std::fs::rename(&tmp, folder.join("new").join(format!("{name}.test"))).expect("the Maildir can be written");
    }

    /// Makes a delivered mail unreadable for the server.
    pub(crate) fn forbid(&self, folder: &str, name: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.maildir(folder).join("new").join(format!("{name}.test"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).expect("it is there");
    }

    /// Everything that clients sent after login.
    pub(crate) fn said(&self) -> String {
        let logs = std::fs::read_dir(self.folder.join("rawlog")).expect("serve makes it");
        let paths =
            logs.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "in"));
        paths.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()).collect()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // its sign to end
        let _ = self.child.wait();
    }
}
