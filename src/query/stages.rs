//! Queries that need not have all rows of a table in memory: they are answered a stretch of rows at a time.
//!
//! Rows that are chosen and computed one by one are handed over as they come. Sums, counts, least and greatest values by
//! group are worked out of each stretch, then of what came of those. Anything else is one stage, over all rows.

use super::statement::{WIDE, call, function_name};
use crate::store::tables::table::TABLES;
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, Value,
    VisitMut as _, VisitorMut, visit_expressions, visit_expressions_mut,
};
use std::ops::ControlFlow;

/// Functions of one row's values.
const OF_A_ROW: &[&str] = &[
    "abs",
    "array_contains",
    "array_get",
    "array_length",
    "array_to_string",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "date",
    "date_part",
    "div",
    "ends_with",
    "floor",
    "greatest",
    "if",
    "ifnull",
    "initcap",
    "least",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "mod",
    "nullif",
    "octet_length",
    "regexp_like",
    "replace",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sign",
    "split_part",
    "starts_with",
    "strftime",
    "strpos",
    "substr",
    "trunc",
    "truncate",
    "upper",
];

/// The table that the later stages read.
pub(super) const PARTIAL: &str = "dmarquet_partial";

/// How a query over one table is answered a stretch at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stages {
    /// Each stretch gives its rows, as many as are asked for in all.
    Rows { sql: String, limit: Option<usize> },
    /// Each stretch gives groups; groups of several stretches are merged, and at the end made into the answer.
    Groups { first: String, merge: String, last: String },
}

/// The stages of a query; none where it needs all rows at once. `table` is the one whose rows come in stretches, and
/// `names` are those of the answer's columns.
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
        // Without a column it has no rows of its own.
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
    grouped(query, (select, table), groups, names)
}

/// The SELECT, if it is of one table and has no clause that is unknown here.
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

/// What functions a query calls.
#[derive(Default)]
struct Calls {
    aggregates: bool,
    wild_argument: bool,
}

impl Calls {
    /// None where it calls one that is unknown here, has a window, or a query within.
    fn of(query: &Query) -> Option<Self> {
        let mut calls = Self::default();
        let seen = visit_expressions(query, |expression| {
            match expression {
                Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => return ControlFlow::Break(()),
                Expr::Function(function) => {
                    let name = function_name(function);
                    let plain = function.over.is_none() && function.within_group.is_empty();
                    if plain && aggregate(function).is_some() {
                        calls.aggregates = true;
                    } else if !plain || !OF_A_ROW.contains(&name.as_str()) {
                        return ControlFlow::Break(());
                    } else if argument(function).is_some_and(|argument| !matches!(argument, FunctionArgExpr::Expr(_))) {
                        calls.wild_argument = true;
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        (seen == ControlFlow::Continue(())).then_some(calls)
    }
}

/// An aggregate that can be worked out of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Count,
    CountDistinct,
    Min,
    Max,
    Avg,
}

fn aggregate(function: &Function) -> Option<Aggregate> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if !list.clauses.is_empty() || list.args.len() != 1 || !matches!(function.parameters, FunctionArguments::None) {
        return None;
    }
    let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    match (function_name(function).as_str(), distinct) {
        ("sum", false) => Some(Aggregate::Sum),
        ("count", false) => Some(Aggregate::Count),
        // With a filter the distinct values of the rest would count too.
        ("count", true) if function.filter.is_none() => Some(Aggregate::CountDistinct),
        ("min", false) => Some(Aggregate::Min),
        ("max", false) => Some(Aggregate::Max),
        ("avg", false) => Some(Aggregate::Avg),
        _ => None,
    }
}

fn argument(function: &Function) -> Option<&FunctionArgExpr> {
    match &function.args {
        FunctionArguments::List(FunctionArgumentList { args, .. }) => match args.as_slice() {
            [FunctionArg::Unnamed(argument)] => Some(argument),
            _ => None,
        },
        _ => None,
    }
}

fn number(expression: &Expr) -> Option<usize> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// What the first stage works out, by the columns it gives.
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

const GROUP: &str = "dmarquet_group_";
const DISTINCT: &str = "dmarquet_value_";
const AGGREGATE: &str = "dmarquet_aggregate_";

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::new(name))
}

/// Puts what the first stage gives in the place of groups and aggregates.
struct LastStage<'a> {
    groups: &'a [Expr],
    first: &'a mut FirstStage,
}

impl LastStage<'_> {
    /// An expression of the last stage; none where it is of a column that is no group.
    fn of(&mut self, expression: &Expr, known: &[String]) -> Option<Expr> {
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
        if self.groups.contains(expression) {
            *expression = self.first.group(expression, GROUP);
            return ControlFlow::Continue(());
        }
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        let Some(kind) = aggregate(function) else { return ControlFlow::Continue(()) };
        let whole = Expr::Function(function.clone());
        let inner = match argument(function) {
            // What was put here already.
            Some(FunctionArgExpr::Expr(Expr::Identifier(name))) if is_ours(&name.value) => {
                return ControlFlow::Continue(());
            }
            Some(FunctionArgExpr::Expr(inner)) => Some(inner.clone()),
            _ => None,
        };
        *expression = match (kind, inner) {
            // A sum of nothing is null, a count of nothing is none.
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

/// The stages of a query with groups or aggregates.
fn grouped(query: &Query, (select, table): (&Select, &str), groups: &[Expr], names: &[String]) -> Option<Stages> {
    let select = &unqualified(select);
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
            // A column and an item of the same name: others may decide otherwise.
            Some(_) if columns.contains(&name.value.as_str()) => None,
            Some((expression, _)) => Some((*expression).clone()),
            None => Some(group.clone()),
        }
    };
    let groups =
        groups.iter().map(|group| resolve(&unqualified_expression(group, select))).collect::<Option<Vec<_>>>()?;
    let mut first = FirstStage::default();
    for group in &groups {
        first.group(group, GROUP);
    }
    let mut last = LastStage { groups: &groups, first: &mut first };
    let projection = items.iter().zip(names).map(|((expression, _), name)| {
        let made = last.of(expression, &[])?;
        Some(format!("{made} AS {}", quoted(name)))
    });
    let projection = projection.collect::<Option<Vec<_>>>()?.join(", ");
    let having = match &select.having {
        Some(condition) => format!(" HAVING {}", last.of(condition, &[])?),
        None => String::new(),
    };
    let mut tail = String::new();
    if let Some(order) = &query.order_by {
        let OrderByKind::Expressions(order) = &order.kind else { return None };
        let aliases: Vec<String> = names.to_vec();
        let mut made = Vec::new();
        for by in order {
            let mut by = by.clone();
            by.expr = match &by.expr {
                // The name of a column of the answer.
                Expr::Identifier(name) if aliases.contains(&name.value) => by.expr,
                other if number(other).is_some() => by.expr,
                other => last.of(&unqualified_expression(other, select), &aliases)?,
            };
            made.push(by.to_string());
        }
        tail = format!(" ORDER BY {}", made.join(", "));
    }
    if let Some(limit) = &query.limit_clause {
        tail.push_str(&limit.to_string());
    }
    let by = |keys: &[&str]| {
        if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) }
    };
    let keys: Vec<&str> = first.groups.iter().map(|(name, _)| name.as_str()).collect();
    let own: Vec<&str> = keys.iter().copied().filter(|name| name.starts_with(GROUP)).collect();
    let parts = |expression: &dyn Fn(&str, &Expr) -> String, merged: bool| {
        let groups = first.groups.iter().map(|(name, group)| format!("{} AS {name}", expression(name, group)));
        let aggregates = first.aggregates.iter().map(|(name, whole, merge)| {
            match (merged, *merge) {
                (true, _) => format!("{merge}({name}) AS {name}"),
                // What is added up later is as wide as its sum.
                (false, "sum") => format!("{} AS {name}", call(WIDE, whole.clone())),
                (false, _) => format!("{whole} AS {name}"),
            }
        });
        groups.chain(aggregates).collect::<Vec<_>>().join(", ")
    };
    let written: Vec<String> = first.groups.iter().map(|(_, group)| group.to_string()).collect();
    let condition = select.selection.as_ref().map_or_else(String::new, |condition| format!(" WHERE {condition}"));
    let from = select.from.first()?;
    let first_by = by(&written.iter().map(String::as_str).collect::<Vec<_>>());
    Some(Stages::Groups {
        first: format!("SELECT {} FROM {from}{condition}{first_by}", parts(&|_, group| group.to_string(), false)),
        merge: format!("SELECT {} FROM {PARTIAL}{}", parts(&|name, _| name.to_owned(), true), by(&keys)),
        last: format!("SELECT {projection} FROM {PARTIAL}{}{having}{tail}", by(&own)),
    })
}

fn parsed(text: &str) -> Option<Expr> {
    let dialect = sqlparser::dialect::GenericDialect;
    let parser = sqlparser::parser::Parser::new(&dialect).try_with_sql(text);
    parser.and_then(|mut parser| parser.parse_expr()).ok()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A SELECT of one table without the name of the table before those of columns.
fn unqualified(select: &Select) -> Select {
    let mut made = select.clone();
    let names = table_names(select);
    let _ = visit_expressions_mut(&mut made, |expression| strip(expression, &names));
    made
}

fn unqualified_expression(expression: &Expr, select: &Select) -> Expr {
    let mut made = expression.clone();
    let names = table_names(select);
    let _ = visit_expressions_mut(&mut made, |expression| strip(expression, &names));
    made
}

fn table_names(select: &Select) -> Vec<String> {
    match select.from.first().map(|from| &from.relation) {
        Some(TableFactor::Table { name, alias, .. }) => {
            alias.iter().map(|alias| alias.name.value.clone()).chain([name.to_string()]).collect()
        }
        _ => Vec::new(),
    }
}

fn strip(expression: &mut Expr, names: &[String]) -> ControlFlow<()> {
    if let Expr::CompoundIdentifier(parts) = expression
        && let [table, column] = parts.as_slice()
        && names.contains(&table.value)
    {
        *expression = Expr::Identifier(column.clone());
    }
    ControlFlow::Continue(())
}
