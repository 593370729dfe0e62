//! The error of a query.

use crate::store::StoreError;
use polars_error::PolarsError;

/// Why a query failed, on one line.
#[derive(Debug, thiserror::Error)]
#[error("query: {0}")]
pub struct QueryError(String);

impl QueryError {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}

impl From<PolarsError> for QueryError {
    fn from(error: PolarsError) -> Self {
        let text = match &error {
            PolarsError::ColumnNotFound(text) => {
                format!("expected a column of the tables, found {}", words(text))
            }
            PolarsError::SQLInterface(text)
            | PolarsError::SQLSyntax(text)
            | PolarsError::ComputeError(text)
            | PolarsError::InvalidOperation(text)
            | PolarsError::SchemaMismatch(text)
            | PolarsError::Duplicate(text) => words(text),
            other => words(&other.to_string()),
        };
        Self(text)
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self(words(&error.to_string()))
    }
}

impl From<std::io::Error> for QueryError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// An error message on one line.
pub(super) fn words(text: &str) -> String {
    let text = text.strip_prefix("sql parser error: ").unwrap_or(text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
