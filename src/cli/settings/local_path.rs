//! Tells local paths from URLs.

use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::{Path, PathBuf};

/// Parses a local path. A URL would be taken as a folder of that name.
pub(crate) fn local_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| if is_url(&path) { Err(NOT_A_URL) } else { Ok(path) })
}

/// The error for a URL given as a path.
pub(crate) const NOT_A_URL: &str = "expected a path on this machine, found a URL; docs/pipelines.md shows how to read from and write to object storage";

/// Whether a path looks like a URL, such as `s3://bucket/reports`.
pub(crate) fn is_url(path: &Path) -> bool {
    path.to_string_lossy().split_once("://").is_some_and(|(scheme, _)| {
        // A single letter is a drive, and a slash before the colon means a path.
        scheme.len() > 1 && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    })
}
