//! Parses a statement: one SELECT over our tables, and nothing else.

use super::error::{QueryError, words};
use super::expression::{function_name, one_word, wide};
use super::refused::{check_length, check_select};
use crate::store::tables::table::TABLES;
use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, OrderByKind, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserOptions};
use sqlparser::tokenizer::Tokenizer;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// A SELECT over our tables.
#[derive(Debug, Clone)]
pub struct SelectQuery {
    query: Query,
    tables: BTreeSet<&'static str>,
}

impl SelectQuery {
    /// Parses and checks a statement.
    ///
    /// # Errors
    /// If it is not SQL, more than one statement, anything but a SELECT, longer than Polars can plan, or names
    /// an unknown table; or if Polars would answer it differently from standard SQL.
    pub fn parse(sql: &str) -> Result<Self, QueryError> {
        let tokens = Tokenizer::new(&GenericDialect, sql).tokenize();
        check_length(&tokens.unwrap_or_default()).map_err(QueryError::new)?;
        let options = ParserOptions { trailing_commas: true, ..ParserOptions::default() };
        let parsed = Parser::new(&GenericDialect).with_options(options).try_with_sql(sql);
        let statements = parsed.and_then(|mut parser| parser.parse_statements());
        let mut statements = statements.map_err(|error| QueryError::new(words(&error.to_string())))?;
        let only = || QueryError::new("expected one SELECT, found something else".to_owned());
        let (Some(Statement::Query(query)), true) = (statements.pop(), statements.is_empty()) else {
            return Err(only());
        };
        let mut seen = Relations::default();
        if let ControlFlow::Break(fault) = Visit::visit(&query, &mut seen) {
            return Err(QueryError::new(fault));
        }
        let mut tables = BTreeSet::new();
        if let Some(table) = TABLES.iter().find(|table| seen.defined.contains(table.name)) {
            // Polars would read the table.
            let text = format!("expected another name for a subquery, found that of the table {}", table.name);
            return Err(QueryError::new(text));
        }
        for name in seen.named {
            if let Some(table) = TABLES.iter().find(|table| table.name == name) {
                tables.insert(table.name);
            } else if !seen.defined.contains(&name) {
                let known = TABLES.map(|table| table.name).join(", ");
                let text = format!("expected one of the tables {known}, found {name:?}");
                return Err(QueryError::unknown_name(text, &name));
            }
        }
        let mut query = *query;
        let _ = VisitMut::visit(&mut query, &mut Positions);
        let _ = VisitMut::visit(&mut query, &mut WideProducts);
        Ok(Self { query, tables })
    }

    /// The tables it names.
    pub fn tables(&self) -> impl Iterator<Item = &'static str> {
        self.tables.iter().copied()
    }

    /// The statement.
    pub(super) const fn query(&self) -> &Query {
        &self.query
    }
}

/// The statement for Polars: sums of integers use 128 bits, so that they cannot overflow.
pub(super) fn widened(query: &Query) -> String {
    let mut query = query.clone();
    let _ = VisitMut::visit(&mut query, &mut WideSums);
    query.to_string()
}

/// Which tables a query names and defines.
#[derive(Default)]
struct Relations {
    named: Vec<String>,
    defined: BTreeSet<String>,
}

impl Visitor for Relations {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.defined
            .extend(query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| cte.alias.name.value.clone()));
        check_body(&query.body)
    }

    fn pre_visit_select(&mut self, select: &sqlparser::ast::Select) -> ControlFlow<String> {
        if select.into.is_some() {
            return ControlFlow::Break("expected a SELECT, found one that writes to a table".to_owned());
        }
        check_select(select).map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table { name, args: None, .. } => match one_word(name) {
                Some(name) => {
                    self.named.push(name.to_owned());
                    ControlFlow::Continue(())
                }
                None => ControlFlow::Break(format!("expected the name of a table, found {name}")),
            },
            TableFactor::Derived { alias, .. } => {
                self.defined.extend(alias.iter().map(|alias| alias.name.value.clone()));
                ControlFlow::Continue(())
            }
            TableFactor::NestedJoin { .. } | TableFactor::UNNEST { .. } => ControlFlow::Continue(()),
            other => ControlFlow::Break(format!("expected the name of a table, found {other}")),
        }
    }
}

fn check_body(body: &SetExpr) -> ControlFlow<String> {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            check_body(left)?;
            check_body(right)
        }
        _ => ControlFlow::Break("expected one SELECT, found something else".to_owned()),
    }
}

/// Replaces the expressions in ORDER BY and GROUP BY by their positions in the result: Polars does not support aggregates in
/// the first, nor two expressions over one column in the second.
struct Positions;

impl VisitorMut for Positions {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let (SetExpr::Select(select), Some(order)) = (&*query.body, &mut query.order_by)
            && let OrderByKind::Expressions(order) = &mut order.kind
        {
            order.iter_mut().for_each(|by| replace_by_position(&mut by.expr, &select.projection));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
            groups.iter_mut().for_each(|group| replace_by_position(group, &select.projection));
        }
        ControlFlow::Continue(())
    }
}

/// Replaces an expression, if it is one of the items and no star stands for any number of columns before it.
fn replace_by_position(expression: &mut Expr, items: &[SelectItem]) {
    if !matches!(expression, Expr::Function(_) | Expr::BinaryOp { .. } | Expr::Case { .. }) {
        return;
    }
    let same = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr == expression,
        _ => false,
    };
    let star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    if let Some(at) = items.iter().position(same)
        && !items.iter().any(star)
    {
        *expression = Expr::value(Value::Number((at + 1).to_string(), false));
    }
}

/// Widens one side of each product, so that it cannot overflow.
struct WideProducts;

impl VisitorMut for WideProducts {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp { left, op: BinaryOperator::Multiply, .. } = expression
            // A product is wide already.
            && !matches!(**left, Expr::BinaryOp { op: BinaryOperator::Multiply, .. })
        {
            **left = Expr::Nested(Box::new(wide(left)));
        }
        ControlFlow::Continue(())
    }
}

/// Widens the argument of each sum, so that it cannot overflow.
struct WideSums;

impl VisitorMut for WideSums {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        if matches!(function_name(function).as_str(), "sum" | "total")
            && let FunctionArguments::List(list) = &mut function.args
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_mut_slice()
        {
            *argument = wide(argument);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::SelectQuery;

    fn refused(sql: &str) -> String {
        SelectQuery::parse(sql).expect_err(sql).to_string()
    }

    #[test]
    fn only_one_select_over_our_tables_is_accepted() {
        for sql in [
            "INSERT INTO records SELECT * FROM records",
            "CREATE TABLE mine AS SELECT 1 AS x",
            "DROP TABLE records",
            "DELETE FROM records",
            "TRUNCATE records",
            "SHOW TABLES",
            "EXPLAIN SELECT 1",
            "COPY records TO 'x.parquet'",
            "ATTACH 'x.db' AS mine",
            "SELECT 1; DROP TABLE records",
            "SELECT * INTO mine FROM records",
            "SELECT * FROM read_csv('x.csv')",
            "SELECT * FROM 'x.csv'",
            "SELECT * FROM \"https://127.0.0.1/x.parquet\"",
            "SELECT * FROM a.records",
            "SELECT (SELECT 1 FROM 'x.csv') AS x FROM records",
            "SELECT * FROM records WHERE source_ip IN (SELECT a FROM read_parquet('x'))",
            "WITH x AS (SELECT * FROM read_csv('x')) SELECT * FROM x",
            "WITH x AS (DELETE FROM records) SELECT 1",
            "SELECT * FROM records UNION ALL SELECT * FROM nowhere",
            "TABLE records",
            "SELECT policy_domain, SUM(count) AS n FROM records",
            "SELECT *, SUM(count) AS n FROM records",
            "SELECT count FROM records WHERE SUM(count) > 1",
            "SELECT MAX(SUM(count)) AS n FROM records",
            "SELECT SUM(count) AS n FROM records GROUP BY 1 = 1",
            "SELECT 1 AS x WHERE 1 = 2",
            "WITH records AS (SELECT 1 AS x) SELECT * FROM records",
            "",
        ] {
            let told = refused(sql);
            assert!(!told.contains('\n') && !told.is_empty(), "{sql}: {told}");
        }
    }

    #[test]
    fn what_groups_and_windows_may_do_is_accepted() {
        for sql in [
            "SELECT policy_domain, SUM(count) AS n FROM records GROUP BY policy_domain",
            "SELECT policy_domain, SUM(count) AS n FROM records GROUP BY ALL",
            "SELECT policy_domain, SUM(count) OVER () AS n FROM records",
            "SELECT p, SUM(SUM(count)) OVER () AS n FROM records GROUP BY p",
            "SELECT SUM(count) AS n, 1 AS one FROM records",
            "SELECT SUM(count) AS n FROM records WHERE report_key IN (SELECT report_key FROM reports GROUP BY report_key HAVING COUNT(*) > 1)",
        ] {
            assert!(SelectQuery::parse(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn a_statement_that_would_be_too_deep_is_refused_and_a_long_list_is_not() {
        for (sql, accepted) in [
            (format!("SELECT {} AS n", vec!["1"; 401].join(" + ")), true),
            (format!("SELECT {} AS n", vec!["1"; 100_000].join(" + ")), false),
            (format!("SELECT 1 AS x {}", "UNION ALL SELECT 1 AS x ".repeat(10_000)), false),
            (format!("SELECT 1 AS x FROM records WHERE {}", vec!["count = 1"; 10_000].join(" OR ")), false),
            (format!("SELECT 1 AS x FROM records WHERE count IN ({})", vec!["1"; 10_000].join(", ")), true),
        ] {
            assert_eq!(SelectQuery::parse(&sql).is_ok(), accepted, "{}", &sql[..80]);
        }
    }

    #[test]
    fn the_tables_of_a_statement_are_found() {
        let tables = |sql: &str| SelectQuery::parse(sql).unwrap().tables().collect::<Vec<_>>();
        assert_eq!(tables("SELECT 1 AS x"), Vec::<&str>::new());
        assert_eq!(
            tables(
                "WITH x AS (SELECT * FROM records) SELECT * FROM x JOIN reports AS r ON x.report_key = r.report_key"
            ),
            ["records", "reports"]
        );
        assert_eq!(
            tables("SELECT week FROM senders WHERE 1 IN (SELECT messages FROM domains)"),
            ["domains", "senders"]
        );
    }

    #[test]
    fn sums_use_128_bits_everywhere() {
        let wide = |sql: &str| super::widened(SelectQuery::parse(sql).unwrap().query());
        let told = wide("SELECT SUM(count), MAX(SUM(count)) OVER () FROM records GROUP BY p HAVING sum(count) > 1");
        assert_eq!(
            told.matches("SUM((count) + CAST(0 AS HUGEINT))").count()
                + told.matches("sum((count) + CAST(0 AS HUGEINT))").count(),
            3,
            "{told}"
        );
    }
}
