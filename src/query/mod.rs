//! SQL over the tables of a store, and the tables as lazy frames of Polars: the cargo feature `query`.
//!
//! Reads only. Polars is built here without any reader of files and without a network client: a statement can reach the
//! tables that are handed over and nothing else.
//!
//! ```no_run
//! use dmarquet::query::{QueryTables, SelectQuery};
//! use dmarquet::store::Store;
//! use polars::prelude::{IntoLazy, col};
//!
//! let store = Store::open("store".as_ref())?;
//! let tables = QueryTables::open(&store, ["records"], || Ok::<_, dmarquet::query::QueryError>(Vec::new()))?;
//! let records = tables.lazy("records").expect("it was opened");
//! let by_domain = records.group_by([col("policy_domain")]).agg([col("count").sum()]).collect()?;
//!
//! let query = SelectQuery::parse("SELECT policy_domain, SUM(count) AS messages FROM records GROUP BY policy_domain")?;
//! tables.answer(&query, &mut |rows| {
//!     assert_eq!(rows.width(), 2);
//!     Ok(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calls;
mod groups;
mod memory;
mod named;
mod output;
mod scan;
mod stages;
mod statement;
mod tables;
mod whole_numbers;

pub use named::{DefaultPeriod, NAMED_QUERIES, NamedQuery};
pub use output::{AnswerFormat, AnswerWriter, cells};
pub use statement::SelectQuery;
pub use tables::QueryTables;

use crate::store::StoreError;
use polars_error::PolarsError;

/// Why a query failed, on one line.
#[derive(Debug, thiserror::Error)]
#[error("query: {0}")]
pub struct QueryError(String);

impl QueryError {
    fn new(text: String) -> Self {
        Self(text)
    }
}

impl From<PolarsError> for QueryError {
    fn from(error: PolarsError) -> Self {
        let text = match &error {
            PolarsError::ColumnNotFound(text) => {
                format!("expected a column of the tables, found {}", statement::words(text))
            }
            PolarsError::SQLInterface(text)
            | PolarsError::SQLSyntax(text)
            | PolarsError::ComputeError(text)
            | PolarsError::InvalidOperation(text)
            | PolarsError::SchemaMismatch(text)
            | PolarsError::Duplicate(text) => statement::words(text),
            other => statement::words(&other.to_string()),
        };
        Self(text)
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self(statement::words(&error.to_string()))
    }
}

impl From<std::io::Error> for QueryError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
