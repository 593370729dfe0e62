//! Shared by tests: a temporary folder, servers on loopback, small files of other formats, a Python environment.

pub(crate) mod dns_servers;
pub(crate) mod https;
pub(crate) mod imap_dovecot;
pub(crate) mod imap_server;
pub(crate) mod mmdb;
pub(crate) mod smtp;
pub(crate) mod workdir;

use std::path::{Path, PathBuf};
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

/// A report of one row whose count is its number, about the day that begins at this time.
pub(crate) fn numbered_report(number: u32, begin: u64) -> String {
    format!(
        "<feedback><report_metadata><org_name>r{number}</org_name><email>d@example.net</email><report_id>{number}\
         </report_id><date_range><begin>{begin}</begin><end>{}</end></date_range></report_metadata><policy_published>\
         <domain>example.com</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.1</source_ip>\
         <count>{number}</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf>\
         </policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers></record></feedback>",
        begin + 86_399
    )
}

/// Copies a folder with all below it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}
