//! Why a query failed, on one line.

use crate::store::StoreError;
use crate::store::tables::table::TABLES;
use polars_error::PolarsError;

/// Characters kept of a message of Polars.
const LONGEST: usize = 300;

/// Why a query failed, on one line.
#[derive(Debug, thiserror::Error)]
#[error("query: {text}")]
pub struct QueryError {
    text: String,
    /// The name that no table or column has.
    unknown: Option<String>,
}

impl QueryError {
    pub(super) fn new(text: String) -> Self {
        Self { text, unknown: None }
    }

    /// The error for a name that no table or column has.
    pub(super) fn unknown_name(text: String, name: &str) -> Self {
        Self { text, unknown: Some(name.to_owned()) }
    }

    /// The unknown name, if the query failed because no table or column has it.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }
}

/// The names of all tables and columns.
pub fn known_names() -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().flat_map(|table| (table.columns)().into_iter().map(|column| column.name).chain([table.name]))
}

impl From<PolarsError> for QueryError {
    fn from(error: PolarsError) -> Self {
        match &error {
            PolarsError::ColumnNotFound(text) => {
                // unable to find column "x"; valid columns: [...]
                let name = text.split('"').nth(1).unwrap_or_default();
                Self::unknown_name(format!("expected a column of the tables, found {name:?}"), name)
            }
            PolarsError::SQLInterface(text)
            | PolarsError::SQLSyntax(text)
            | PolarsError::ComputeError(text)
            | PolarsError::InvalidOperation(text)
            | PolarsError::SchemaMismatch(text)
            | PolarsError::Duplicate(text) => Self::new(words(text)),
            other => Self::new(words(&other.to_string())),
        }
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::new(words(&error.to_string()))
    }
}

impl From<std::io::Error> for QueryError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// An error message on one line, without the syntax trees that Polars puts into some of them, and without its advice
/// for developers.
pub(super) fn words(text: &str) -> String {
    let text = text.strip_prefix("sql parser error: ").unwrap_or(text);
    let text = text.split("; valid columns:").next().unwrap_or(text);
    let text = text.split("; consider compiling").next().unwrap_or(text);
    let text = text.split(". It's possible that").next().unwrap_or(text);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_tree = ["Span(", "Ident {", "Value(", "Query {"].iter().any(|word| line.contains(word));
    let end = if is_tree { line.find(['(', '{', '[']) } else { None };
    match end.or_else(|| line.char_indices().nth(LONGEST).map(|(at, _)| at)) {
        None => line,
        Some(end) if is_tree && !line[..end].contains("support") => {
            format!("{} is not supported", line[..end].trim_end())
        }
        Some(end) => format!("{}…", line[..end].trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn messages_are_one_line_for_people() {
        for (text, told) in [
            ("regex parse error:\n    (\n    ^\nunclosed group", "regex parse error: ( ^ unclosed group"),
            (
                "expression Rollup([[Identifier(Ident { value: \"p\" })]]) is not currently supported",
                "expression Rollup is not supported",
            ),
            ("unable to find column \"x\"; valid columns: [\"a\", \"b\"]", "unable to find column \"x\""),
            (
                "cross joins would produce more rows than fits into 2^32; consider compiling with x",
                "cross joins would produce more rows than fits into 2^32",
            ),
        ] {
            assert_eq!(words(text), told);
        }
        assert_eq!(words(&"é".repeat(400)).chars().count(), 301);
    }
}
