//! All tables, and the version of a file of one of them.

use super::columns::Table;
use super::{dns, domains, reports, schema, senders, sources, tls};
use crate::store::error::StoreError;
use polars_parquet::read::FileMetadata;
use std::path::Path;

/// One row per record of a report.
pub(crate) static RECORDS: Table = Table {
    name: "records",
    about: "One row per `<record>`; the columns of its report are repeated. A column is null where the report says nothing.",
    key: "dmarquet.schema",
    version: schema::VERSION,
    columns: schema::columns,
};

/// All tables.
pub const TABLES: [&Table; 8] = [
    &RECORDS,
    &reports::REPORTS,
    &tls::TLS_REPORTS,
    &tls::TLS_FAILURES,
    &senders::SENDERS,
    &domains::DOMAINS,
    &sources::SOURCES,
    &dns::DNS,
];

/// Checks that a file does not have a newer version than this program.
pub(crate) fn check_version(path: &Path, footer: &FileMetadata) -> Result<(), StoreError> {
    for said in footer.key_value_metadata().iter().flatten() {
        let Some(table) = TABLES.iter().find(|table| table.key == said.key) else { continue };
        let found = said.value.as_deref().unwrap_or_default();
        if found.parse().is_ok_and(|version: u32| version <= table.version) {
            continue;
        }
        return Err(StoreError::NewerFile {
            path: path.to_owned(),
            table: table.name,
            expected: table.version,
            // Somebody else's file may contain anything here.
            found: found.chars().take(20).collect(),
        });
    }
    Ok(())
}

/// Whether a file has the version that this program writes.
pub(crate) fn is_current(table: &Table, footer: &FileMetadata) -> bool {
    let (key, version) = table.metadata();
    footer.key_value_metadata().iter().flatten().any(|said| said.key == key && said.value.as_deref() == Some(&version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars_arrow::datatypes::{ArrowDataType, Field};

    #[test]
    fn field_ids_number_the_columns_first_and_then_the_fields_of_lists() {
        let id = |field: &Field| -> usize {
            let metadata = field.metadata.as_ref().expect("every field has one");
            metadata.get("PARQUET:field_id").expect("an id").parse().unwrap()
        };
        for table in TABLES {
            let fields = table.fields_with_ids();
            let mut ids: Vec<usize> = fields.iter().map(id).collect();
            for field in &fields {
                let ArrowDataType::LargeList(element) = &field.dtype else { continue };
                ids.push(id(element));
                let ArrowDataType::Struct(members) = &element.dtype else { panic!("{:?}", element.dtype) };
                ids.extend(members.iter().map(id));
            }
            assert!(ids.iter().copied().eq(1..=ids.len()), "{}: {ids:?}", table.name);
        }
    }

    #[test]
    fn no_column_has_the_name_of_an_sql_keyword() {
        for table in TABLES {
            for column in (table.columns)() {
                let name = column.name;
                assert!(
                    !["begin", "end", "order", "group", "user", "table", "select", "from", "to"].contains(&name),
                    "{name}"
                );
                assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            }
        }
    }
}
