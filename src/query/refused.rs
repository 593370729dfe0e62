//! Refuses statements that Polars would answer differently from standard SQL: a wrong answer is worse than none.

use super::calls::is_aggregate;
use super::expression::columns_in;
use sqlparser::ast::{Expr, Function, GroupByExpr, Query, Select, SelectItem, Visit, Visitor};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;
use std::ops::ControlFlow;

/// Operators in a statement. Chains of them become levels of recursion, and the optimizer's time grows with their square.
const MOST_OPERATORS: usize = 400;

/// Counts what makes a statement deep: operators, and the words that join conditions and SELECTs.
pub(super) fn check_length(tokens: &[Token]) -> Result<(), String> {
    let joins = |token: &&Token| match token {
        Token::Word(word) => {
            matches!(word.keyword, Keyword::AND | Keyword::OR | Keyword::WHEN | Keyword::UNION | Keyword::EXCEPT)
                || matches!(word.keyword, Keyword::INTERSECT | Keyword::JOIN)
        }
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat => true,
        _ => false,
    };
    let found = tokens.iter().filter(joins).count();
    if found <= MOST_OPERATORS {
        return Ok(());
    }
    Err(format!(
        "expected at most {MOST_OPERATORS} operators, AND and OR in a statement, found {found}; IN (...) takes lists"
    ))
}

/// Checks one SELECT, without those inside it.
pub(super) fn check_select(select: &Select) -> Result<(), String> {
    if let (true, Some(condition)) = (select.from.is_empty(), &select.selection) {
        return Err(format!("expected FROM before WHERE {condition}"));
    }
    if let Some(condition) = &select.selection
        && let Some(call) = Aggregates::of(condition).first
    {
        return Err(format!("expected no aggregate in WHERE, found {call}; HAVING takes it"));
    }
    let groups = if let GroupByExpr::Expressions(groups, _) = &select.group_by { groups.as_slice() } else { &[] };
    if let Some(constant) = groups.iter().find(|group| !matches!(group, Expr::Value(_)) && columns_in(group).is_empty())
    {
        return Err(format!("expected a column in GROUP BY, found {constant}"));
    }
    let grouped = matches!(&select.group_by, GroupByExpr::All(_)) || !groups.is_empty();
    let (mut first, mut loose) = (None, None);
    for item in &select.projection {
        let found = match item {
            SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
                Aggregates::of(expression)
            }
            _ => Aggregates { loose: Some(item.to_string()), ..Aggregates::default() },
        };
        if let Some(call) = found.nested {
            return Err(format!("expected no aggregate of an aggregate, found {call}"));
        }
        first = first.or(found.first);
        loose = loose.or(found.loose);
    }
    match (first, loose) {
        (Some(call), Some(column)) if !grouped => {
            Err(format!("expected {column} in GROUP BY, or in an aggregate as {call} is"))
        }
        _ => Ok(()),
    }
}

/// The aggregates in an expression, without those of subqueries.
#[derive(Default)]
struct Aggregates {
    /// The first one.
    first: Option<String>,
    /// The first one in another.
    nested: Option<String>,
    /// The first column outside of them.
    loose: Option<String>,
    open: usize,
    subqueries: usize,
}

impl Aggregates {
    fn of(expression: &Expr) -> Self {
        let mut found = Self::default();
        let _ = Visit::visit(expression, &mut found);
        found
    }
}

fn aggregates(expression: &Expr) -> Option<&Function> {
    match expression {
        Expr::Function(function) if function.over.is_none() && is_aggregate(function) => Some(function),
        _ => None,
    }
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if self.subqueries > 0 {
            return ControlFlow::Continue(());
        }
        if let Some(call) = aggregates(expression) {
            self.first.get_or_insert_with(|| call.to_string());
            if self.open > 0 {
                self.nested.get_or_insert_with(|| call.to_string());
            }
            self.open += 1;
        } else if self.open == 0 && matches!(expression, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            self.loose.get_or_insert_with(|| expression.to_string());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        self.open -= usize::from(self.subqueries == 0 && aggregates(expression).is_some());
        ControlFlow::Continue(())
    }
}
