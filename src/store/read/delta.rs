//! The live files of a Delta table, found by replaying its log.
//!
//! The folder also has files that a compaction replaced, and files of writers that never committed. Supports what the
//! Delta protocol calls reader version 1; a later one may hide rows or rename columns, and is refused. Paths that lead
//! out of the table are not followed.

use crate::store::error::StoreError;
use crate::store::parquet::arrays::downcast;
use crate::store::parquet::nested::read_leaf;
use crate::store::parquet::rows::ParquetPart;
use polars_arrow::array::{Array, PrimitiveArray, StructArray, Utf8ViewArray};
use polars_arrow::datatypes::ArrowDataType;
use polars_error::{PolarsResult, polars_err};
use polars_parquet::read::RowGroupMetadata;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

const LOG: &str = "_delta_log";
/// The newest reader version of the protocol that hides no rows and renames no columns.
const READER_VERSION: i32 = 1;
/// The longest line, one action; a file's statistics have a few kilobytes.
const LINE_BYTES: u64 = 16 << 20;

/// A line of a commit, of the kinds that list files or restrict readers.
#[derive(Deserialize)]
struct LogAction {
    add: Option<NamedField>,
    remove: Option<NamedField>,
    protocol: Option<LogProtocol>,
}

#[derive(Deserialize)]
struct NamedField {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogProtocol {
    min_reader_version: i32,
}

/// The live files of a table, by path; `None` if the folder has no log and is not a Delta table.
pub(crate) fn live(table: &Path) -> Result<Option<Vec<PathBuf>>, StoreError> {
    let log = table.join(LOG);
    let Some(versions) = Versions::list(&log)? else { return Ok(None) };
    let mut state = LogState { log, paths: BTreeSet::new() };
    let mut next = 0;
    if let Some((version, path)) = versions.checkpoint {
        state.checkpoint(path)?;
        next = version + 1;
    }
    for (version, path) in versions.commits.range(next..) {
        if *version != next {
            return Err(state.missing(next));
        }
        state.commit(path)?;
        next += 1;
    }
    if next == 0 {
        return Err(state.missing(0));
    }
    let paths = state.paths.iter().map(|path| Ok(table.join(state.below(path)?)));
    paths.collect::<Result<_, _>>().map(Some)
}

/// The versions in a log.
struct Versions {
    commits: BTreeMap<u64, PathBuf>,
    checkpoint: Option<(u64, PathBuf)>,
}

impl Versions {
    fn list(log: &Path) -> Result<Option<Self>, StoreError> {
        let entries = match log.read_dir() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(StoreError::io(log, "listing the log"))?,
        };
        let mut found = Self { commits: BTreeMap::new(), checkpoint: None };
        for entry in entries {
            let path = entry.map_err(StoreError::io(log, "listing the log"))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((version, end)) = name.split_once('.') else { continue };
            let Some(version) = version.parse::<u64>().ok().filter(|_| version.len() == 20) else { continue };
            match end {
                "json" => drop(found.commits.insert(version, path)),
                "checkpoint.parquet" if found.checkpoint.as_ref().is_none_or(|(newest, _)| *newest < version) => {
                    found.checkpoint = Some((version, path));
                }
                _ => {}
            }
        }
        Ok(Some(found))
    }
}

/// The table after some of its versions.
struct LogState {
    log: PathBuf,
    /// As the log writes them.
    paths: BTreeSet<String>,
}

impl LogState {
    fn commit(&mut self, path: &Path) -> Result<(), StoreError> {
        let file = File::open(path).map_err(StoreError::io(path, "opening the log"))?;
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = file.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
            if read.map_err(StoreError::io(path, "reading the log"))? == 0 {
                return Ok(());
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let action: LogAction = serde_json::from_slice(&line)
                .map_err(|error| StoreError::damaged(path, "an action of a Delta log", error.to_string()))?;
            if let Some(protocol) = action.protocol {
                readable(path, protocol.min_reader_version)?;
            }
            if let Some(removed) = action.remove {
                self.paths.remove(&removed.path);
            }
            if let Some(added) = action.add {
                self.paths.insert(added.path);
            }
        }
    }

    /// Reads all actions in force at a version.
    fn checkpoint(&mut self, path: PathBuf) -> Result<(), StoreError> {
        let part = ParquetPart::open(path)?;
        let failed = || StoreError::parquet(&part.path, "reading the checkpoint");
        for group in &part.metadata.row_groups {
            let versions = leaf(&part, group, "protocol", "minReaderVersion", ArrowDataType::Int32);
            let versions = versions.and_then(|structs| {
                let values: &PrimitiveArray<i32> = only(&structs)?;
                let present = values.values().iter().enumerate().filter(|(row, _)| structs.is_valid(*row));
                Ok(present.map(|(_, version)| *version).max().unwrap_or_default())
            });
            readable(&part.path, versions.map_err(failed())?)?;
            let paths = leaf(&part, group, "add", "path", ArrowDataType::Utf8View);
            let paths = paths.and_then(|structs| {
                let values: &Utf8ViewArray = only(&structs)?;
                let present = (0..structs.len()).filter(|row| structs.is_valid(*row));
                self.paths.extend(present.filter_map(|row| values.get(row)).map(str::to_owned));
                Ok(())
            });
            paths.map_err(failed())?;
        }
        Ok(())
    }

    /// The path of a file below the table, as the system writes it.
    fn below(&self, path: &str) -> Result<PathBuf, StoreError> {
        let decoded = String::from_utf8(unescaped(path)).ok().map(PathBuf::from);
        let stays = |path: &PathBuf| path.components().all(|component| matches!(component, Component::Normal(_)));
        decoded.filter(stays).ok_or_else(|| {
            StoreError::damaged(&self.log, "files below the table's own folder", format!("the path {path}"))
        })
    }

    fn missing(&self, version: u64) -> StoreError {
        let expected = format!("the commit of version {version}, or a later checkpoint in one Parquet file");
        StoreError::damaged(&self.log, expected, "none")
    }
}

fn readable(path: &Path, version: i32) -> Result<(), StoreError> {
    if version <= READER_VERSION {
        return Ok(());
    }
    let expected = "a Delta table of reader version 1 (no deletion vectors, no column mapping)";
    Err(StoreError::damaged(path, expected, format!("version {version}")))
}

fn leaf(
    part: &ParquetPart,
    group: &RowGroupMetadata,
    root: &str,
    name: &str,
    dtype: ArrowDataType,
) -> PolarsResult<StructArray> {
    downcast(read_leaf(&part.file, group, [root, name], dtype)?.as_ref()).cloned()
}

fn only<T: 'static>(structs: &StructArray) -> PolarsResult<&T> {
    let values = structs.values().first().and_then(|values| values.as_any().downcast_ref());
    values.ok_or_else(|| polars_err!(ComputeError: "expected a column of its type, found another"))
}

/// RFC 3986 section 2.1: `%20` and the like are one byte; invalid escapes stay.
fn unescaped(path: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let [first, after @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(commits: &[(u64, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(LOG)).unwrap();
        for (version, lines) in commits {
            std::fs::write(dir.path().join(LOG).join(format!("{version:020}.json")), lines).unwrap();
        }
        dir
    }

    fn read(dir: &tempfile::TempDir) -> Result<Vec<String>, String> {
        let found = live(dir.path()).map_err(|error| error.to_string().replace(&*dir.path().to_string_lossy(), ""))?;
        let names = found.expect("a log").into_iter();
        Ok(names.map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string()).collect())
    }

    const PROTOCOL: &str = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#;

    #[test]
    fn a_file_is_live_from_its_add_to_its_remove() {
        let first = format!(
            "{PROTOCOL}\n{}\n\n{}",
            r#"{"add":{"path":"month=2026-10/a.parquet","size":1,"partitionValues":{"month":"2026-10"}}}"#,
            r#"{"add":{"path":"month%3D2026-11/b%20c.parquet"}}"#,
        );
        let second = r#"{"commitInfo":{"operation":"OPTIMIZE"}}
{"add":{"path":"month=2026-10/d.parquet"}}
{"remove":{"path":"month=2026-10/a.parquet"}}"#;
        let found = read(&table(&[(0, &first), (1, second)])).unwrap();
        assert_eq!(found, ["month=2026-11/b c.parquet", "month=2026-10/d.parquet"]);
    }

    #[test]
    fn a_folder_without_a_log_is_no_table() {
        assert!(live(tempfile::tempdir().unwrap().path()).unwrap().is_none());
    }

    #[test]
    fn unsupported_tables_are_refused() {
        let of = |line: &str| read(&table(&[(0, line)])).unwrap_err();
        let refused =
            of(r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"]}}"#);
        let expected = "expected a Delta table of reader version 1 (no deletion vectors, no column mapping)";
        assert_eq!(refused, format!("/_delta_log/00000000000000000000.json: {expected}, found version 3"));
        for path in ["../a.parquet", "/etc/a.parquet", "month=2026-10/%2e%2e/%2e%2e/a.parquet"] {
            let refused = of(&format!(r#"{{"add":{{"path":"{path}"}}}}"#));
            let expected = "expected files below the table's own folder";
            assert_eq!(refused, format!("/_delta_log: {expected}, found the path {path}"));
        }
        assert!(
            of("{\"add\":").starts_with("/_delta_log/00000000000000000000.json: expected an action of a Delta log")
        );
    }

    #[test]
    fn a_version_that_is_missing_is_named() {
        let expected = |version: u64| {
            format!(
                "/_delta_log: expected the commit of version {version}, or a later checkpoint in one Parquet file, found none"
            )
        };
        assert_eq!(read(&table(&[])), Err(expected(0)));
        assert_eq!(read(&table(&[(1, PROTOCOL)])), Err(expected(0)));
        assert_eq!(read(&table(&[(0, PROTOCOL), (2, PROTOCOL)])), Err(expected(1)));
    }

    #[test]
    fn an_escape_is_a_byte_and_half_an_escape_is_itself() {
        assert_eq!(unescaped("a%20b%zz%4"), b"a b%zz%4");
    }
}
