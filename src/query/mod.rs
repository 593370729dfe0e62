//! SQL over the tables of a store, and the tables as lazy frames of Polars: the cargo feature `query`.
//!
//! Reads only. Polars is built here without any reader of files and without a network client: a statement can reach
//! only the tables passed in.
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
mod error;
mod expression;
mod groups;
pub(crate) mod memory;
mod named;
mod narrow;
mod output;
mod refused;
mod scan;
mod stages;
mod statement;
mod tables;
mod whole_numbers;

pub use error::{QueryError, known_names};
pub use named::{DefaultPeriod, NAMED_QUERIES, NamedQuery};
pub use output::{AnswerFormat, AnswerWriter, cells};
pub use statement::SelectQuery;
pub use tables::QueryTables;
