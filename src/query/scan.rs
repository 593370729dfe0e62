//! The Parquet files of a table as a lazy frame, which reads only the columns and rows that a plan needs.

use super::memory::MemoryLimit;
use crate::store::{GroupRows, StoreError, TableFiles};
use polars::prelude::{
    AnonymousScan, AnonymousScanArgs, BooleanChunked, Column, DataFrame, DataType, Expr, IntoLazy as _, NamedFrom as _,
    Operator, PlSmallStr, PolarsResult, SchemaRef, Series,
};
use polars_error::polars_err;
use rayon::prelude::*;
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

/// More days than a row group spans: each part of the store lies within a month.
const MOST_DAYS: i32 = 400;

/// A row group: its file, its index, and the known range of its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanUnit {
    file: usize,
    group: usize,
    pub(super) rows: usize,
    days: Option<(i32, i32)>,
    largest_count: Option<u64>,
}

/// Some row groups of a table.
#[derive(Clone)]
pub(super) struct TableScan {
    files: Arc<TableFiles>,
    units: Arc<[ScanUnit]>,
    schema: SchemaRef,
    memory: MemoryLimit,
}

impl TableScan {
    /// All row groups of a table.
    pub(super) fn new(files: TableFiles, schema: SchemaRef, memory: MemoryLimit) -> Self {
        let of_file = |(file, groups): (usize, &[GroupRows])| -> Vec<ScanUnit> {
            let unit =
                |(group, GroupRows { rows, days, largest_count })| ScanUnit { file, group, rows, days, largest_count };
            groups.iter().copied().enumerate().map(unit).collect()
        };
        let units = files.groups().enumerate().flat_map(of_file).filter(|unit| unit.rows > 0).collect();
        Self { files: Arc::new(files), units, schema, memory }
    }

    /// Splits the table into batches of row groups of about this many rows, with separate accounting of memory.
    pub(super) fn chunks(&self, rows: usize) -> Vec<Self> {
        let mut chunks: Vec<Vec<ScanUnit>> = Vec::new();
        let mut room = 0;
        for unit in self.units.iter() {
            if room < unit.rows || chunks.is_empty() {
                chunks.push(Vec::new());
                room = rows;
            }
            room = room.saturating_sub(unit.rows);
            chunks.last_mut().expect("one was just added").push(*unit);
        }
        let chunk = |units: Vec<ScanUnit>| Self { units: units.into(), memory: self.memory.fresh(), ..self.clone() };
        chunks.into_iter().map(chunk).collect()
    }

    /// Whether no sum overflows 64 bits if each row adds its count or a number up to `summand`.
    pub(super) fn sums_are_narrow(&self, summand: u64) -> bool {
        let largest = |unit: &ScanUnit| Some(u128::from(unit.largest_count?.max(summand)) * unit.rows as u128);
        let sum = self.units.iter().map(largest).try_fold(0_u128, |sum, largest| sum.checked_add(largest?));
        sum.is_some_and(|sum| i64::try_from(sum).is_ok())
    }

    /// Reads columns of row groups of one file, restricted to rows for which a predicate is true, in order.
    fn of_file(
        &self,
        units: &[ScanUnit],
        names: &[PlSmallStr],
        predicate: Option<&Expr>,
    ) -> PolarsResult<Vec<DataFrame>> {
        let Some(first) = units.first() else { return Ok(Vec::new()) };
        let reader = self.files.reader(first.file).map_err(compute_error)?;
        let read = |unit: &ScanUnit| -> PolarsResult<DataFrame> {
            let column = |name: &PlSmallStr| -> PolarsResult<Column> {
                let array = reader.column(unit.group, name).map_err(compute_error)?;
                Ok(Series::try_from((name.clone(), array))?.into())
            };
            let frame = |names: &mut dyn Iterator<Item = &PlSmallStr>| -> PolarsResult<DataFrame> {
                DataFrame::new(unit.rows, names.map(column).collect::<PolarsResult<_>>()?)
            };
            let Some(predicate) = predicate else { return frame(&mut names.iter()) };
            // The columns of the predicate are read first: if it is true for no row, nothing else is read.
            let asked = columns_of(predicate);
            let known = frame(&mut asked.iter())?;
            let mask = mask(&known, predicate)?;
            if !mask.any() {
                return DataFrame::empty_with_schema(&self.schema).select(names.iter().cloned());
            }
            let rest = frame(&mut names.iter().filter(|name| !asked.contains(*name)))?;
            let rows = known.hstack(rest.columns())?;
            // Often all of them: a period that holds the row group.
            let all = mask.null_count() == 0 && mask.all();
            chosen(&if all { rows } else { rows.filter(&mask)? }, names)
        };
        units.par_iter().map(read).map(|frame| frame.and_then(|frame| self.memory.take(frame))).collect()
    }
}

impl AnonymousScan for TableScan {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self, _: Option<usize>) -> PolarsResult<SchemaRef> {
        Ok(self.schema.clone())
    }

    fn allows_predicate_pushdown(&self) -> bool {
        true
    }

    fn allows_projection_pushdown(&self) -> bool {
        true
    }

    fn scan(&self, args: AnonymousScanArgs) -> PolarsResult<DataFrame> {
        let names: Vec<PlSmallStr> = match &args.with_columns {
            Some(names) => names.to_vec(),
            None => self.schema.iter_names_cloned().collect(),
        };
        let mut units = self.units.to_vec();
        if let Some(most) = args.n_rows {
            // The limit is about rows of the table before filtering.
            let mut seen = 0_usize;
            units.retain(|unit| {
                let wanted = seen < most;
                seen = seen.saturating_add(unit.rows);
                wanted
            });
        }
        let predicate = args.predicate.and_then(without_hints);
        let predicate = predicate.as_ref();
        let of_days = predicate.map_or_else(Vec::new, conditions_of_days);
        for condition in &of_days {
            let mut faults = Ok(());
            units.retain(|unit| {
                may_hold(unit, condition).unwrap_or_else(|fault| {
                    faults = Err(fault);
                    true
                })
            });
            faults?;
        }
        let early = predicate.filter(|_| args.n_rows.is_none());
        let mut wanted = names.clone();
        if early.is_none()
            && let Some(predicate) = predicate
        {
            wanted.extend(columns_of(predicate).into_iter().filter(|name| !names.contains(name)));
        }
        let files: Vec<&[ScanUnit]> = units.chunk_by(|one, other| one.file == other.file).collect();
        let frames = files.into_par_iter().map(|units| self.of_file(units, &wanted, early));
        let mut frames = frames.collect::<PolarsResult<Vec<_>>>()?.into_iter().flatten();
        let Some(mut whole) = frames.next() else {
            return DataFrame::empty_with_schema(&self.schema).select(names);
        };
        for frame in frames {
            whole.vstack_mut_owned(frame)?;
        }
        if let Some(most) = args.n_rows {
            whole = whole.head(Some(most));
            if let Some(predicate) = predicate {
                whole = chosen(&whole.filter(&mask(&whole, predicate)?)?, &names)?;
            }
        }
        Ok(whole)
    }
}

fn compute_error(error: StoreError) -> polars_error::PolarsError {
    polars_err!(ComputeError: "{}", error)
}

/// Selects columns of a frame; without any, it still has its rows.
fn chosen(frame: &DataFrame, names: &[PlSmallStr]) -> PolarsResult<DataFrame> {
    if names.is_empty() {
        return Ok(DataFrame::empty_with_height(frame.height()));
    }
    frame.select(names.iter().cloned())
}

/// The rows for which a predicate is true; null is false.
fn mask(frame: &DataFrame, predicate: &Expr) -> PolarsResult<BooleanChunked> {
    let answer = frame.clone().lazy().select([predicate.clone().alias("mask")]).collect()?;
    let mask = answer.column("mask")?.as_materialized_series().bool()?.clone();
    if mask.len() == frame.height() {
        return Ok(mask);
    }
    // It does not depend on the rows: the result applies to all.
    let all = matches!(mask.get(0), Some(true));
    Ok(BooleanChunked::new("mask".into(), vec![all; frame.height()]))
}

/// The columns that an expression names.
fn columns_of(expression: &Expr) -> BTreeSet<PlSmallStr> {
    expression
        .into_iter()
        .filter_map(|part| if let Expr::Column(name) = part { Some(name.clone()) } else { None })
        .collect()
}

/// The predicate without hints of the engine: `ORDER BY` with `LIMIT` adds an expression for the rows that can no
/// longer be in the result, which cannot be computed here. The sort above drops those rows, too.
fn without_hints(predicate: Expr) -> Option<Expr> {
    let kept = conjuncts(&predicate).into_iter().filter(|part| !matches!(part, Expr::Display { .. })).cloned();
    kept.reduce(Expr::and)
}

/// The conditions joined by AND in a predicate.
fn conjuncts(predicate: &Expr) -> Vec<&Expr> {
    let (mut ahead, mut found) = (vec![predicate], Vec::new());
    while let Some(expression) = ahead.pop() {
        if let Expr::BinaryExpr { left, op: Operator::And | Operator::LogicalAnd, right } = expression {
            ahead.extend([&**left, &**right]);
        } else {
            found.push(expression);
        }
    }
    found
}

/// The conjuncts of a predicate that only depend on the day.
fn conditions_of_days(predicate: &Expr) -> Vec<Expr> {
    conjuncts(predicate).into_iter().filter(|part| columns_of(part).iter().eq(["date"])).cloned().collect()
}

/// Whether a condition may be true for a row of a row group: it is tried on each day of its range.
fn may_hold(unit: &ScanUnit, condition: &Expr) -> PolarsResult<bool> {
    let Some((first, last)) = unit.days else { return Ok(true) };
    if first > last || last.saturating_sub(first) > MOST_DAYS {
        return Ok(true);
    }
    let days = Series::new("date".into(), (first..=last).collect::<Vec<i32>>()).cast(&DataType::Date)?;
    let frame = DataFrame::new_infer_height(vec![days.into()])?;
    Ok(mask(&frame, condition)?.any())
}
