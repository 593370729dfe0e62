//! Parses, builds and widens the expressions of a query.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Value, visit_expressions,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use std::ops::ControlFlow;

/// A name without a qualifier.
pub(super) fn one_word(name: &ObjectName) -> Option<&str> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(&name.value),
        _ => None,
    }
}

/// The name of a function, in lower case.
pub(super) fn function_name(function: &Function) -> String {
    one_word(&function.name).unwrap_or_default().to_ascii_lowercase()
}

/// An integer literal.
pub(super) fn number(expression: &Expr) -> Option<usize> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The names of the columns in an expression.
pub(super) fn columns_in(expression: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    let _ = visit_expressions(expression, |part| {
        match part {
            Expr::Identifier(name) => names.push(name.value.clone()),
            Expr::CompoundIdentifier(_) => names.push(part.to_string()),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

/// Parses an expression.
pub(super) fn parsed(text: &str) -> Option<Expr> {
    Parser::new(&GenericDialect).try_with_sql(text).and_then(|mut parser| parser.parse_expr()).ok()
}

/// The same value, 128 bits wide if it is an integer. Adding a zero of that type leaves fractions what they are, and Polars
/// knows no functions of ours in subqueries.
pub(super) fn wide(expression: &Expr) -> Expr {
    parsed(&format!("({expression}) + CAST(0 AS HUGEINT)")).unwrap_or_else(|| expression.clone())
}

/// A call of a function of one argument.
pub(super) fn call(name: &str, argument: Expr) -> Expr {
    let args = FunctionArgumentList {
        duplicate_treatment: None,
        args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
        clauses: Vec::new(),
    };
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(args),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
