//! Finds sums that cannot overflow 64 bits: adding up is twice as fast with 64 bits as with 128.

use super::calls::{Aggregate, aggregate, argument};
use sqlparser::ast::{Expr, FunctionArgExpr, Query, Value, visit_expressions};
use std::ops::ControlFlow;

/// The column of `records` whose largest value is known of each row group.
const COUNTS: &str = "count";

/// The largest whole number besides `count` that a query adds up; `None` if it adds up anything else.
pub(super) fn largest_summand(query: &Query) -> Option<u64> {
    let mut largest = 0;
    let seen = visit_expressions(query, |expression| {
        if let Expr::Function(function) = expression
            && let Some(Aggregate::Sum | Aggregate::Avg) = aggregate(function)
        {
            let summand = match argument(function) {
                Some(FunctionArgExpr::Expr(argument)) => summand(argument),
                _ => None,
            };
            let Some(summand) = summand else { return ControlFlow::Break(()) };
            largest = summand.max(largest);
        }
        ControlFlow::Continue(())
    });
    (seen == ControlFlow::Continue(())).then_some(largest)
}

/// The largest number in an expression whose values are counts or numbers in it.
fn summand(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Identifier(name) if name.value == COUNTS => Some(0),
        Expr::CompoundIdentifier(names) if names.last().is_some_and(|name| name.value == COUNTS) => Some(0),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            Value::Null => Some(0),
            _ => None,
        },
        Expr::Nested(inner) => summand(inner),
        Expr::Case { conditions, else_result, .. } => {
            let results = conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
            results.map(summand).try_fold(0, |largest, summand| Some(summand?.max(largest)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::largest_summand;
    use crate::query::SelectQuery;

    #[test]
    fn only_counts_and_numbers_are_known_to_be_small() {
        let largest = |sql: &str| largest_summand(SelectQuery::parse(sql).unwrap().query());
        assert_eq!(largest("SELECT SUM(count), COUNT(*), MAX(date) FROM records"), Some(0));
        assert_eq!(largest("SELECT AVG(r.count) FROM records AS r"), Some(0));
        assert_eq!(largest("SELECT SUM(CASE WHEN dmarc_pass THEN (count) ELSE 7 END) FROM records"), Some(7));
        for sql in ["SUM(count * 2)", "SUM(pct)", "SUM(1.5)", "SUM(CASE WHEN dmarc_pass THEN count ELSE pct END)"] {
            assert_eq!(largest(&format!("SELECT {sql} FROM records")), None, "{sql}");
        }
    }
}
