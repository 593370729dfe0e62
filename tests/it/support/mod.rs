//! What tests share: a working folder, servers on loopback, small files of foreign formats, a Python environment.

pub(crate) mod dns_servers;
pub(crate) mod https;
pub(crate) mod imap_dovecot;
pub(crate) mod imap_server;
pub(crate) mod mmdb;
pub(crate) mod smtp;
pub(crate) mod workdir;

use std::path::PathBuf;
use workdir::repository;

/// The Python with DuckDB, pandas and pyarrow. Without it the calling test is skipped, except in CI, where it fails.
pub(crate) fn python() -> Option<PathBuf> {
    let named = std::env::var_os("DMARQUET_TEST_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| repository().join("target/venv/bin/python"));
    if python.exists() {
        return Some(python);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no {} (tests/all makes it)", python.display());
    eprintln!("skipped: no {} (tests/all makes it)", python.display());
    None
}
