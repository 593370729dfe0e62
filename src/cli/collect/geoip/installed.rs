//! Finds network databases installed on this machine.

use std::path::{Path, PathBuf};

/// Folders used by packages and their updaters on Debian, other Linux systems, FreeBSD and macOS (Homebrew).
const FOLDERS: &[&str] = &[
    "/var/lib/GeoIP",
    "/usr/share/GeoIP",
    "/usr/local/share/GeoIP",
    "/usr/local/var/GeoIP",
    "/opt/homebrew/var/GeoIP",
    "/var/lib/iptoasn",
    "/usr/local/share/iptoasn",
];
/// File names by content; of each kind, the first one found is used. A `*` is a date.
const KINDS: &[&[&str]] = &[
    &["GeoLite2-ASN.mmdb", "GeoIP2-ISP.mmdb", "dbip-asn-lite*.mmdb", "dbip-asn-lite*.mmdb.gz", "asn.mmdb"],
    &[
        "GeoLite2-Country.mmdb",
        "GeoIP2-Country.mmdb",
        "GeoLite2-City.mmdb",
        "dbip-country-lite*.mmdb",
        "dbip-country-lite*.mmdb.gz",
        "country.mmdb",
    ],
    &["ip2asn-combined.tsv", "ip2asn-combined.tsv.gz", "ip2asn-v4.tsv", "ip2asn-v4.tsv.gz", "ip2asn-v4-u32.tsv"],
    &["ip2asn-v6.tsv", "ip2asn-v6.tsv.gz"],
];
/// The environment variable with other folders, separated as in `PATH`; empty: none.
pub(crate) const VARIABLE: &str = "DMARQUET_GEOIP_PATH";

/// The folders to search.
pub(crate) fn folders() -> Vec<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(folders) => std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()).collect(),
        None => FOLDERS.iter().map(PathBuf::from).collect(),
    }
}

/// The databases in the first folder that has any.
pub(crate) fn databases(folders: &[PathBuf]) -> Vec<PathBuf> {
    folders.iter().map(|folder| of_folder(folder)).find(|found| !found.is_empty()).unwrap_or_default()
}

fn of_folder(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).take(10_000).collect();
    // The newest date first.
    names.sort_unstable_by(|a, b| b.cmp(a));
    let of_kind = |wanted: &&[&str]| {
        let found = wanted.iter().find_map(|pattern| names.iter().find(|name| fits(name, pattern)))?;
        Some(folder.join(found))
    };
    KINDS.iter().filter_map(of_kind).collect()
}

fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            let date = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            date.is_some_and(|date| date.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()))
        }
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_one_is_used_and_of_each_kind_one_file() {
        let (empty, one, two) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in
            ["dbip-asn-lite-2026-10.mmdb", "dbip-asn-lite-2026-11.mmdb", "ip2asn-v4.tsv.gz", "dbip-asn-lite-x.mmdb"]
        {
            std::fs::write(one.path().join(name), "").unwrap();
        }
        std::fs::write(two.path().join("GeoLite2-ASN.mmdb"), "").unwrap();
        let folders = [Path::new("/nowhere"), empty.path(), one.path(), two.path()].map(Path::to_owned);
        let names: Vec<PathBuf> =
            ["dbip-asn-lite-2026-11.mmdb", "ip2asn-v4.tsv.gz"].map(|name| one.path().join(name)).into();
        assert_eq!(databases(&folders), names);
        assert_eq!(databases(&folders[3..]), [two.path().join("GeoLite2-ASN.mmdb")]);
        assert!(databases(&folders[..2]).is_empty());
    }
}
