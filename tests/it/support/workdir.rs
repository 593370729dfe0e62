//! A temporary folder for each test, and the program run in it: exit code, stdout and stderr.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the program did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Standard output of a run that must have exited with 0 and an empty stderr.
    #[track_caller]
    pub(crate) fn quiet(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "stdout: {}", self.stdout);
        self.stdout
    }

    /// Standard output as JSON, whatever the exit code.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON on stdout: {error}\n{self:#?}"))
    }
}

/// A temporary folder: the program runs in it, has its store in `store/` there, and finds no settings.
pub(crate) struct WorkDir {
    folder: tempfile::TempDir,
    zone: &'static str,
}

impl WorkDir {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dmarquet-it-").tempdir().expect("a temporary folder");
        Self { folder, zone: "UTC" }
    }

    /// The same, on a host in another time zone.
    pub(crate) fn in_zone(zone: &'static str) -> Self {
        Self { zone, ..Self::new() }
    }

    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(below)
    }

    /// A file below the folder.
    pub(crate) fn write(&self, below: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().expect("a path below the folder")).expect("a folder can be made");
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// The program, not started yet: for a test that sends signals or writes to its standard input.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dmarquet"));
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("DMARQUET_") || name_text.starts_with("XDG_") || name_text.starts_with("LC_") {
                command.env_remove(name);
            }
        }
        command.current_dir(self.folder.path()).args(args).stdin(Stdio::null());
        command.env("HOME", self.path("home")).env("DMARQUET_STORE", self.path("store"));
        command.env("LANG", "C.UTF-8").env("TZ", self.zone);
        // No database of networks that happens to be installed here.
        command.env("DMARQUET_GEOIP_PATH", "");
        command
    }

    /// The program under a limit of `ulimit`, not started yet.
    pub(crate) fn limited(&self, limit: &str, args: &[&str]) -> Command {
        let program = self.command(args);
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("ulimit {limit}; exec \"$0\" \"$@\""));
        command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
        command.current_dir(self.folder.path());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        let output = self.command(args).output().expect("the program can be started");
        Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }
}

/// Rows as NDJSON without the time each was stored, which differs in every run.
pub(crate) fn without_ingested(rows: &str) -> Vec<String> {
    let cut = |line: &str| line.split_once(",\"ingested\":").expect("every row says when it was stored").0.to_owned();
    rows.lines().map(cut).collect()
}

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The samples folder.
pub(crate) fn samples() -> PathBuf {
    repository().join("samples")
}

/// Every file below a folder, sorted; `rendered/` holds pictures of the program's output and `config/` settings, not input.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if !path.is_dir() {
            files.push(path);
        } else if !["rendered", "config"].map(OsStr::new).map(Some).contains(&path.file_name()) {
            files.extend(files_below(&path));
        }
    }
    files.sort();
    files
}
