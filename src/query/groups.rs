//! Sums, counts, minimums and maximums by group, computed from parts of the rows.

use super::calls::{Aggregate, aggregate, argument};
use super::expression::{call, columns_in, number, parsed, wide};
use crate::store::tables::table::TABLES;
use sqlparser::ast::{
    DuplicateTreatment, Expr, FunctionArgExpr, FunctionArguments, Ident, OrderByKind, Query, Select, SelectItem,
    TableFactor, VisitMut, VisitorMut, visit_expressions, visit_expressions_mut,
};
use std::ops::ControlFlow;

/// The table that the later stages read.
pub(super) const PARTIAL: &str = "dmarquet_partial";

/// What the first stage computes, by its output columns.
#[derive(Default)]
struct FirstStage {
    /// What the rows are grouped by: the query's groups, then what is counted once for each value.
    groups: Vec<(String, Expr)>,
    /// The aggregates, and the function that merges each.
    aggregates: Vec<(String, Expr, &'static str)>,
}

impl FirstStage {
    fn group(&mut self, expression: &Expr, prefix: &str) -> Expr {
        if let Some((name, _)) =
            self.groups.iter().find(|(name, known)| known == expression && name.starts_with(prefix))
        {
            return column(name);
        }
        let name = format!("{prefix}{}", self.groups.len());
        self.groups.push((name.clone(), expression.clone()));
        column(&name)
    }

    fn aggregate(&mut self, expression: Expr, merge: &'static str) -> Expr {
        if let Some((name, ..)) = self.aggregates.iter().find(|(_, known, _)| *known == expression) {
            return call(merge, column(name));
        }
        let name = format!("{AGGREGATE}{}", self.aggregates.len());
        self.aggregates.push((name.clone(), expression, merge));
        call(merge, column(&name))
    }
}

/// The column of days in `records` and `reports`.
const DAY: &str = "date";
const GROUP: &str = "dmarquet_group_";
const DISTINCT: &str = "dmarquet_value_";
const AGGREGATE: &str = "dmarquet_aggregate_";

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::new(name))
}

/// Replaces groups and aggregates by the output columns of the first stage.
struct LastStage<'a> {
    /// The query's groups, each with its expression over the columns of the first stage.
    groups: &'a [(Expr, Expr)],
    first: &'a mut FirstStage,
}

impl LastStage<'_> {
    /// An expression of the last stage; `None` if it contains a column that is not grouped.
    fn rewritten(&mut self, expression: &Expr, known: &[String]) -> Option<Expr> {
        let mut made = expression.clone();
        let _ = made.visit(self);
        let left = visit_expressions(&made, |part| match part {
            Expr::Identifier(name) if is_ours(&name.value) || known.contains(&name.value) => ControlFlow::Continue(()),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        (left == ControlFlow::Continue(())).then_some(made)
    }
}

fn is_ours(name: &str) -> bool {
    [GROUP, DISTINCT, AGGREGATE].iter().any(|prefix| name.starts_with(prefix))
}

impl VisitorMut for LastStage<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some((_, made)) = self.groups.iter().find(|(group, _)| group == expression) {
            *expression = made.clone();
            return ControlFlow::Continue(());
        }
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        let Some(kind) = aggregate(function) else { return ControlFlow::Continue(()) };
        let whole = Expr::Function(function.clone());
        let inner = match argument(function) {
            // Already replaced.
            Some(FunctionArgExpr::Expr(Expr::Identifier(name))) if is_ours(&name.value) => {
                return ControlFlow::Continue(());
            }
            Some(FunctionArgExpr::Expr(inner)) => Some(inner.clone()),
            _ => None,
        };
        *expression = match (kind, inner) {
            // The sum of no rows is null, the count is 0.
            (Aggregate::Count, _) => match parsed(&format!("COALESCE({}, 0)", self.first.aggregate(whole, "sum"))) {
                Some(count) => count,
                None => return ControlFlow::Break(()),
            },
            (Aggregate::Sum, Some(_)) => self.first.aggregate(whole, "sum"),
            (Aggregate::Min, Some(_)) => self.first.aggregate(whole, "min"),
            (Aggregate::Max, Some(_)) => self.first.aggregate(whole, "max"),
            (Aggregate::CountDistinct, Some(inner)) => {
                let value = self.first.group(&inner, DISTINCT);
                let Expr::Function(mut count) = call("count", value) else { return ControlFlow::Break(()) };
                if let FunctionArguments::List(list) = &mut count.args {
                    list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
                }
                Expr::Function(count)
            }
            (Aggregate::Avg, Some(_)) => {
                let renamed = |name: &str| {
                    let mut made = function.clone();
                    made.name = sqlparser::ast::ObjectName::from(vec![Ident::new(name)]);
                    Expr::Function(made)
                };
                let sum = self.first.aggregate(renamed("sum"), "sum");
                let count = self.first.aggregate(renamed("count"), "sum");
                match parsed(&format!("(CAST({sum} AS DOUBLE) / NULLIF({count}, 0))")) {
                    Some(average) => average,
                    None => return ControlFlow::Break(()),
                }
            }
            _ => return ControlFlow::Break(()),
        };
        ControlFlow::Continue(())
    }
}

/// The SELECTs of the stages of a query with groups or aggregates: over a batch of rows, over the groups of several
/// batches, and for the answer.
pub(super) fn grouped(
    query: &Query,
    (select, table): (&Select, &str),
    groups: &[Expr],
    names: &[String],
) -> Option<[String; 3]> {
    let select = &unqualified(select, select);
    let items: Vec<(&Expr, Option<&str>)> = select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expression) => Some((expression, None)),
            SelectItem::ExprWithAlias { expr, alias } => Some((expr, Some(alias.value.as_str()))),
            _ => None,
        })
        .collect::<Option<_>>()?;
    if items.len() != names.len() {
        return None;
    }
    let columns: Vec<&str> = TABLES
        .iter()
        .filter(|other| other.name == table)
        .flat_map(|table| (table.columns)())
        .map(|column| column.name)
        .collect();
    // A group may be the number or the alias of an item.
    let resolve = |group: &Expr| -> Option<Expr> {
        if let Some(at) = number(group) {
            return items.get(at.checked_sub(1)?).map(|(expression, _)| (*expression).clone());
        }
        let Expr::Identifier(name) = group else { return Some(group.clone()) };
        match items.iter().find(|(_, alias)| *alias == Some(name.value.as_str())) {
            Some((expression, _)) if *expression == group => Some(group.clone()),
            // If a column and an item have the same name, databases differ.
            Some(_) if columns.contains(&name.value.as_str()) => None,
            Some((expression, _)) => Some((*expression).clone()),
            None => Some(group.clone()),
        }
    };
    let groups = groups.iter().map(|group| resolve(&unqualified(group, select))).collect::<Option<Vec<_>>>()?;
    let mut first = FirstStage::default();
    let made = |group: Expr| {
        let columns = columns_in(&group);
        if columns.is_empty() {
            return None;
        }
        // What depends on the day alone (a week, a month) is computed once for each day, not for each row.
        let day = columns.iter().all(|name| name == DAY).then(|| first.group(&column(DAY), GROUP));
        let made = match day {
            Some(day) => with_column(&group, &day),
            None => first.group(&group, GROUP),
        };
        Some((group, made))
    };
    let groups: Vec<(Expr, Expr)> = groups.into_iter().map(made).collect::<Option<_>>()?;
    let mut last = LastStage { groups: &groups, first: &mut first };
    let projection = items.iter().zip(names).map(|((expression, _), name)| {
        let made = last.rewritten(expression, &[])?;
        Some(format!("{made} AS {}", quoted(name)))
    });
    let projection = projection.collect::<Option<Vec<_>>>()?.join(", ");
    let having = match &select.having {
        Some(condition) => format!(" HAVING {}", last.rewritten(condition, &[])?),
        None => String::new(),
    };
    let mut tail = String::new();
    if let Some(order) = &query.order_by {
        let OrderByKind::Expressions(order) = &order.kind else { return None };
        let mut made = Vec::new();
        for by in order {
            let mut by = by.clone();
            by.expr = match &by.expr {
                // The name of an output column.
                Expr::Identifier(name) if names.contains(&name.value) => by.expr,
                other if number(other).is_some() => by.expr,
                other => last.rewritten(&unqualified(other, select), names)?,
            };
            made.push(by.to_string());
        }
        tail = format!(" ORDER BY {}", made.join(", "));
    }
    if let Some(limit) = &query.limit_clause {
        tail.push_str(&limit.to_string());
    }
    let by = |keys: &[String]| {
        if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) }
    };
    let keys: Vec<String> = first.groups.iter().map(|(name, _)| name.clone()).collect();
    let own: Vec<String> = groups.iter().map(|(_, made)| made.to_string()).collect();
    let parts = |expression: &dyn Fn(&str, &Expr) -> String, merged: bool| {
        let groups = first.groups.iter().map(|(name, group)| format!("{} AS {name}", expression(name, group)));
        let aggregates = first.aggregates.iter().map(|(name, whole, merge)| {
            match (merged, *merge) {
                (true, _) => format!("{merge}({name}) AS {name}"),
                // Values that are added up later are as wide as their sum.
                (false, "sum") => format!("{} AS {name}", wide(whole)),
                (false, _) => format!("{whole} AS {name}"),
            }
        });
        groups.chain(aggregates).collect::<Vec<_>>().join(", ")
    };
    let written: Vec<String> = first.groups.iter().map(|(_, group)| group.to_string()).collect();
    let condition = select.selection.as_ref().map_or_else(String::new, |condition| format!(" WHERE {condition}"));
    let from = select.from.first()?;
    let first_by = by(&written);
    Some([
        format!("SELECT {} FROM {from}{condition}{first_by}", parts(&|_, group| group.to_string(), false)),
        format!("SELECT {} FROM {PARTIAL}{}", parts(&|name, _| name.to_owned(), true), by(&keys)),
        format!("SELECT {projection} FROM {PARTIAL}{}{having}{tail}", by(&own)),
    ])
}

/// An expression of one column, with another in its place.
fn with_column(expression: &Expr, other: &Expr) -> Expr {
    let mut made = expression.clone();
    let _ = visit_expressions_mut(&mut made, |part| {
        if matches!(part, Expr::Identifier(_)) {
            *part = other.clone();
        }
        ControlFlow::<()>::Continue(())
    });
    made
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A part of a SELECT of one table, without the table name before columns.
fn unqualified<T: Clone + VisitMut>(part: &T, select: &Select) -> T {
    let names: Vec<String> = match select.from.first().map(|from| &from.relation) {
        Some(TableFactor::Table { name, alias, .. }) => {
            alias.iter().map(|alias| alias.name.value.clone()).chain([name.to_string()]).collect()
        }
        _ => Vec::new(),
    };
    let mut made = part.clone();
    let _ = visit_expressions_mut(&mut made, |expression| {
        if let Expr::CompoundIdentifier(parts) = expression
            && let [table, column] = parts.as_slice()
            && names.contains(&table.value)
        {
            *expression = Expr::Identifier(column.clone());
        }
        ControlFlow::<()>::Continue(())
    });
    made
}
