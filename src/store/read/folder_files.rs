//! The files of a folder of Parquet: monthly folders as an export leaves them, or what a Delta log lists.
//!
//! Names that begin with `.` or `_` are not data, as in Hive and Spark.

use super::delta;
use crate::model::ReportKey;
use crate::store::disk::files::list;
use crate::store::disk::layout::{Layout, Month};
use crate::store::error::StoreError;
use crate::store::tables::filter::Filter;
use crate::store::tables::values::parse_key;
use polars_error::{PolarsResult, polars_err};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The Parquet files of a table that may hold rows of the filter, by month and name; of a Delta table the live ones.
pub(crate) fn files(layout: &Layout, table: &str, filter: &Filter) -> Result<Vec<PathBuf>, StoreError> {
    let root = layout.root().join(table);
    let asked = |month: Month| {
        filter.from.is_none_or(|from| Month::of(from) <= month) && filter.to.is_none_or(|to| month <= Month::of(to))
    };
    if let Some(mut live) = delta::live(&root)? {
        // Writers choose where files are: one outside the monthly folders may have rows of any month.
        live.retain(|path| path.parent().and_then(Month::of_folder).is_none_or(asked));
        return Ok(live);
    }
    let mut found = Vec::new();
    below(&root, &asked, DEPTH, &mut found)?;
    Ok(found)
}

/// Depth of folders searched: partitions by year, month, day and something else.
const DEPTH: usize = 4;

/// The Parquet files of a folder and below it, except months that are not requested. A file outside the monthly folders
/// may have rows of any month.
fn below(
    folder: &Path,
    asked: &dyn Fn(Month) -> bool,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), StoreError> {
    for path in visible(folder)? {
        if path.extension().is_some_and(|end| end == "parquet") && !path.is_dir() {
            found.push(path);
        } else if depth > 0 && path.is_dir() && Month::of_folder(&path).is_none_or(asked) {
            below(&path, asked, depth - 1, found)?;
        }
    }
    Ok(())
}

/// The visible content of a folder, by name; empty if it does not exist.
fn visible(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let hidden = |name: &OsStr| matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
    let mut paths = list(folder)?;
    paths.retain(|path| !path.file_name().is_some_and(hidden));
    Ok(paths)
}

/// The identity of a report from the column `report_key`.
///
/// # Errors
/// If it is none.
pub(crate) fn report_key(text: Option<&str>) -> PolarsResult<ReportKey> {
    let key = text.and_then(parse_key);
    key.ok_or_else(|| polars_err!(ComputeError: "expected 32 hexadecimal digits as report_key"))
}

#[cfg(test)]
mod tests {
    use super::report_key;

    #[test]
    fn a_key_is_read_back_from_its_digits_and_from_nothing_else() {
        let digits = "000102030405060708090a0b0c0d0eff";
        let key = |text| report_key(Some(text)).ok().map(|key| key.to_string());
        assert_eq!(key(digits).as_deref(), Some(digits));
        assert_eq!(key("00"), None);
        assert_eq!(key("zz0102030405060708090a0b0c0d0eff"), None);
    }
}
