//! The functions that a query may call: scalar functions and aggregates.

use super::expression::function_name;
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Query,
    visit_expressions,
};
use std::ops::ControlFlow;

/// Functions of one row's values.
const OF_A_ROW: &str = "
    abs array_contains array_get array_length array_to_string ceil ceiling char_length character_length coalesce
    concat concat_ws date date_part div ends_with floor greatest if ifnull initcap least left length lower lpad
    ltrim mod nullif octet_length regexp_like replace right round rpad rtrim sign split_part starts_with strftime
    strpos substr trunc truncate upper
";

/// Functions of many rows.
const OF_ROWS: &str = "
    array_agg avg corr count covar covar_pop covar_samp first group_concat last listagg max median min
    quantile_cont quantile_disc stddev stddev_samp stdev stdev_samp string_agg sum total var var_samp variance
";

/// Whether a function makes one value of many rows.
pub(super) fn is_aggregate(function: &Function) -> bool {
    is_among(OF_ROWS, &function_name(function))
}

fn is_among(words: &str, name: &str) -> bool {
    words.split_whitespace().any(|word| word == name)
}

/// What functions a query calls.
#[derive(Default)]
pub(super) struct Calls {
    /// Whether it sums, counts or compares rows.
    pub(super) aggregates: bool,
    /// Whether a function of a row takes all columns.
    pub(super) wild_argument: bool,
}

impl Calls {
    /// `None` if it calls an unknown function, or has a window or subquery.
    pub(super) fn of(query: &Query) -> Option<Self> {
        let mut calls = Self::default();
        let seen = visit_expressions(query, |expression| {
            match expression {
                Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => return ControlFlow::Break(()),
                Expr::Function(function) => {
                    let plain = function.over.is_none() && function.within_group.is_empty();
                    if plain && aggregate(function).is_some() {
                        calls.aggregates = true;
                    } else if !plain || !is_among(OF_A_ROW, &function_name(function)) {
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

/// An aggregate that can be computed from parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Count,
    CountDistinct,
    Min,
    Max,
    Avg,
}

/// Which aggregate a call is, if it is one.
pub(super) fn aggregate(function: &Function) -> Option<Aggregate> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if !list.clauses.is_empty() || list.args.len() != 1 || !matches!(function.parameters, FunctionArguments::None) {
        return None;
    }
    let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    match (function_name(function).as_str(), distinct) {
        ("sum", false) => Some(Aggregate::Sum),
        ("count", false) => Some(Aggregate::Count),
        // With a filter, distinct values of the other rows would count, too.
        ("count", true) if function.filter.is_none() => Some(Aggregate::CountDistinct),
        ("min", false) => Some(Aggregate::Min),
        ("max", false) => Some(Aggregate::Max),
        ("avg", false) => Some(Aggregate::Avg),
        _ => None,
    }
}

/// The one argument of a call.
pub(super) fn argument(function: &Function) -> Option<&FunctionArgExpr> {
    match &function.args {
        FunctionArguments::List(FunctionArgumentList { args, .. }) => match args.as_slice() {
            [FunctionArg::Unnamed(argument)] => Some(argument),
            _ => None,
        },
        _ => None,
    }
}
