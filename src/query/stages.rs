//! Queries that do not need all rows of a table in memory: they are answered one batch of rows at a time.
//!
//! Rows that are filtered and computed one by one are passed on as they come. Sums, counts, minimums and maximums by
//! group are computed for each batch, and the results of the batches are merged. Anything else is one stage over all
//! rows.

use super::calls::Calls;
use super::expression::number;
use super::groups::grouped;
use super::narrow::largest_summand;
use sqlparser::ast::{
    Expr, GroupByExpr, LimitClause, Query, Select, SelectItem, SetExpr, TableFactor, visit_expressions,
};
use std::ops::ControlFlow;

/// How to answer a query over one table in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stages {
    /// Each part returns its rows, up to the overall limit.
    Rows { sql: String, limit: Option<usize> },
    /// Each part returns groups; groups of several parts are merged, and finally turned into the result.
    Groups { first: PartStage, merge: String, last: String },
}

/// The first stage of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartStage {
    /// Its SELECT, with sums in 128 bits.
    pub(super) sql: String,
    /// The same with sums in 64 bits, and the largest number that is added up besides counts.
    pub(super) narrow: Option<(String, u64)>,
}

/// The stages of a query; `None` if it needs all rows at once. `table` is the one whose rows are read in parts, and
/// `names` are those of the result's columns.
pub(super) fn stages(query: &Query, table: &str, names: &[String]) -> Option<Stages> {
    let select = plain_select(query, table)?;
    let mut limit = None;
    if let Some(clause) = &query.limit_clause {
        match clause {
            LimitClause::LimitOffset { limit: Some(most), offset: None, limit_by } if limit_by.is_empty() => {
                limit = Some(number(most)?);
            }
            _ => return None,
        }
    }
    let calls = Calls::of(query)?;
    let GroupByExpr::Expressions(groups, modifiers) = &select.group_by else { return None };
    if !modifiers.is_empty() {
        return None;
    }
    if !calls.aggregates && groups.is_empty() {
        // Without a column, it has no rows.
        let of_columns = select.projection.iter().any(|item| {
            matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
                || visit_expressions(item, |part| {
                    let is_column = matches!(part, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                    if is_column { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }) == ControlFlow::Break(())
        });
        let rows = of_columns && select.having.is_none() && query.order_by.is_none() && !calls.wild_argument;
        return rows.then(|| Stages::Rows { sql: query.to_string(), limit });
    }
    let [sql, merge, last] = grouped(query, (select, table), groups, names)?;
    let narrow = largest_summand(query).map(|largest| (sql.clone(), largest));
    Some(Stages::Groups { first: PartStage { sql, narrow }, merge, last })
}

/// The SELECT, if it reads one table and has only supported clauses.
fn plain_select<'q>(query: &'q Query, table: &str) -> Option<&'q Select> {
    let SetExpr::Select(select) = &*query.body else { return None };
    let of_query = query.with.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
        && query.for_clause.is_none()
        && query.settings.is_none()
        && query.format_clause.is_none()
        && query.pipe_operators.is_empty();
    let of_select = select.distinct.is_none()
        && select.select_modifiers.is_none()
        && select.top.is_none()
        && select.exclude.is_none()
        && select.lateral_views.is_empty()
        && select.prewhere.is_none()
        && select.connect_by.is_empty()
        && select.cluster_by.is_empty()
        && select.distribute_by.is_empty()
        && select.sort_by.is_empty()
        && select.named_window.is_empty()
        && select.qualify.is_none()
        && select.value_table_mode.is_none();
    let [from] = select.from.as_slice() else { return None };
    let TableFactor::Table { name, .. } = &from.relation else { return None };
    (of_query && of_select && from.joins.is_empty() && name.to_string() == table).then_some(select)
}
