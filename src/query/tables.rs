//! The tables of a store as lazy frames, and SQL over them.

use super::QueryError;
use super::groups::PARTIAL;
use super::memory::{self, MemoryLimit};
use super::scan::TableScan;
use super::stages::{self, PartStage, Stages};
use super::statement::{SelectQuery, widened};
use super::whole_numbers::{is_wide, narrowed};
use crate::store::{Store, StoreError, TableRows, WeekVerdicts, survive_engine};
use polars::prelude::{
    Column, DataFrame, Field, IntoLazy as _, LazyFrame, PlSmallStr, PolarsResult, ScanArgsAnonymous, Schema, SchemaRef,
    Series,
};
use polars::sql::SQLContext;
use std::collections::BTreeMap;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use std::thread;

/// Rows processed together.
const STRETCH: usize = 1 << 19;

/// A table.
enum QueryTable {
    Files(TableScan),
    Memory(DataFrame),
}

/// Stack of the thread that plans, in bytes: each operator of a statement is a level of recursion in the engine, of some
/// 80 KiB. Only what is used of it costs memory.
const STACK: usize = 64 << 20;

/// Starts the work on a thread with that stack.
fn deep_thread<'s, T: Send + 's>(
    scope: &'s thread::Scope<'s, '_>,
    work: impl FnOnce() -> T + Send + 's,
) -> io::Result<thread::ScopedJoinHandle<'s, T>> {
    thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)
}

impl QueryTable {
    fn lazy(&self) -> PolarsResult<LazyFrame> {
        match self {
            Self::Files(scan) => scan_lazily(scan),
            Self::Memory(frame) => Ok(frame.clone().lazy()),
        }
    }
}

fn scan_lazily(scan: &TableScan) -> PolarsResult<LazyFrame> {
    LazyFrame::anonymous_scan(
        Arc::new(scan.clone()),
        ScanArgsAnonymous { name: "PARQUET FILES", ..ScanArgsAnonymous::default() },
    )
}

/// The tables of a store at the time they were opened.
pub struct QueryTables {
    tables: BTreeMap<&'static str, QueryTable>,
    /// Rows processed together, if not all.
    stretch: usize,
}

impl QueryTables {
    /// Opens tables by their names: `records`, `reports`, and so on, as an export has them. `weeks` are the verdicts that
    /// `senders` and `domains` consist of; it is called if one of the two is requested and no file has it.
    ///
    /// # Errors
    /// If there is no such table, or a file of it or the ledger cannot be read.
    pub fn open<'n, E: From<StoreError> + From<QueryError>>(
        store: &Store,
        names: impl IntoIterator<Item = &'n str>,
        weeks: impl FnMut() -> Result<Vec<WeekVerdicts>, E>,
    ) -> Result<Self, E> {
        Self::open_within(store, names, weeks, memory::half_of_available())
    }

    /// The same with another limit than half of the available memory: `most` bytes of rows at once.
    ///
    /// # Errors
    /// Those of [`QueryTables::open`].
    pub fn open_within<'n, E: From<StoreError> + From<QueryError>>(
        store: &Store,
        names: impl IntoIterator<Item = &'n str>,
        mut weeks: impl FnMut() -> Result<Vec<WeekVerdicts>, E>,
        most: usize,
    ) -> Result<Self, E> {
        let memory = MemoryLimit::new(most);
        let mut open = |name| -> Result<(&'static str, QueryTable), E> {
            let (table, rows) = store.table_rows(name, &mut weeks)?;
            let columns = (table.columns)();
            let fields = columns.iter().map(|column| Field::from(&column.field()));
            let schema: SchemaRef = Arc::new(fields.collect::<Schema>());
            let made = match rows {
                TableRows::Files(files) => QueryTable::Files(TableScan::new(files, schema, memory.clone())),
                TableRows::Memory(parts) => QueryTable::Memory(in_memory(&schema, parts).map_err(QueryError::from)?),
            };
            Ok((table.name, made))
        };
        let tables = store.at_one_instant(|| names.into_iter().map(&mut open).collect::<Result<_, E>>())?;
        Ok(Self { tables, stretch: STRETCH })
    }

    /// A table as a lazy frame, to be collected by Polars' engine in memory; `None` if it was not opened. Only the columns
    /// and row groups that the plan needs are read.
    pub fn lazy(&self, name: &str) -> Option<LazyFrame> {
        self.tables.get(name).and_then(|table| table.lazy().ok())
    }

    /// Answers a query over the opened tables: passes on its rows, all with the same columns. There is at least one
    /// part, which may have no rows. Sums of whole numbers do not overflow.
    ///
    /// # Errors
    /// If the query cannot be planned, a file cannot be read, or the rows that it needs at once take more memory than the
    /// limit.
    pub fn answer(
        &self,
        query: &SelectQuery,
        each: &mut dyn FnMut(DataFrame) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        thread::scope(|scope| {
            let (parts, passed_on) = mpsc::sync_channel(0);
            // Whoever takes the parts has stopped: its error is the one to report.
            let mut pass =
                move |rows| parts.send(rows).map_err(|_| QueryError::new("nobody takes the rows".to_owned()));
            let engine = deep_thread(scope, move || survive_engine(|| self.run(query, &mut pass)))?;
            let taken = passed_on.iter().try_for_each(each);
            drop(passed_on);
            let ran = engine.join().unwrap_or_else(|panic| resume_unwind(panic));
            taken.and(ran?)
        })
    }

    fn run(
        &self,
        query: &SelectQuery,
        each: &mut dyn FnMut(DataFrame) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let whole = self.planned(query)?;
        let Some(((name, chunks), stages)) = self.stages(query, whole.clone())? else {
            return each(narrowed(whole.collect()?)?);
        };
        let context = |scan: &TableScan| -> PolarsResult<SQLContext> {
            let context = SQLContext::new();
            context.register(name, scan_lazily(scan)?);
            Ok(context)
        };
        match stages {
            Stages::Rows { sql, limit } => {
                let mut left = limit.unwrap_or(usize::MAX);
                for chunk in &chunks {
                    let rows = context(chunk)?.execute(&sql)?.collect()?.head(Some(left));
                    left -= rows.height();
                    each(narrowed(rows)?)?;
                    if left == 0 {
                        break;
                    }
                }
                Ok(())
            }
            Stages::Groups { first, merge, last } => {
                let (mut waiting, mut merged): (Option<DataFrame>, usize) = (None, 0);
                for chunk in &chunks {
                    let narrow = first.narrow.as_ref().filter(|(_, summand)| chunk.sums_are_narrow(*summand));
                    let sql = narrow.map_or(&first.sql, |(sql, _)| sql);
                    let groups = context(chunk)?.execute(sql)?.collect()?;
                    let all = match waiting.take() {
                        Some(mut all) => {
                            all.vstack_mut_owned(groups)?;
                            all
                        }
                        None => groups,
                    };
                    // Merged when there are as many new groups as old ones, so that each group is merged only a few
                    // times.
                    waiting = Some(if all.height() > self.stretch.max(merged.saturating_mul(2)) {
                        let all = partial(all, &merge)?;
                        merged = all.height();
                        all
                    } else {
                        all
                    });
                }
                each(narrowed(partial(waiting.unwrap_or_default(), &last)?)?)
            }
        }
    }

    /// The plan of a query, in words: of all of it, and of the stages in which it is answered.
    ///
    /// # Errors
    /// If the query cannot be planned.
    pub fn explain(&self, query: &SelectQuery) -> Result<String, QueryError> {
        thread::scope(|scope| {
            let engine = deep_thread(scope, || survive_engine(|| self.described(query)))?;
            engine.join().unwrap_or_else(|panic| resume_unwind(panic))?
        })
    }

    fn described(&self, query: &SelectQuery) -> Result<String, QueryError> {
        let whole = self.planned(query)?;
        let mut told = match self.stages(query, whole.clone())? {
            None => "All rows at once:\n".to_owned(),
            Some(((name, chunks), Stages::Rows { .. })) => {
                format!("Rows of {name} as they come, {} rows at a time ({} times):\n", self.stretch, chunks.len())
            }
            Some(((name, chunks), Stages::Groups { .. })) => {
                format!("Groups of {name}, {} rows at a time ({} times), then merged:\n", self.stretch, chunks.len())
            }
        };
        told.push_str(&whole.explain(true)?);
        told.push('\n');
        Ok(told)
    }

    fn planned(&self, query: &SelectQuery) -> Result<LazyFrame, QueryError> {
        let mut context = SQLContext::new();
        for (name, table) in &self.tables {
            context.register(name, table.lazy()?);
        }
        let mut planned = context.execute(&widened(query.query()))?;
        // Names and types are checked before anything is read.
        planned.collect_schema()?;
        Ok(planned)
    }

    /// The parts of the only file-based table in a query, and the stages; `None` if it needs all rows at once.
    fn stages(
        &self,
        query: &SelectQuery,
        mut whole: LazyFrame,
    ) -> Result<Option<((&'static str, Vec<TableScan>), Stages)>, QueryError> {
        let mut tables = query.tables();
        let (Some(name), None) = (tables.next(), tables.next()) else { return Ok(None) };
        let Some(QueryTable::Files(scan)) = self.tables.get(name) else { return Ok(None) };
        let chunks = scan.chunks(self.stretch);
        if chunks.is_empty() {
            return Ok(None);
        }
        let schema = whole.collect_schema()?;
        let names: Vec<String> = schema.iter_names().map(PlSmallStr::to_string).collect();
        let Some(stages) = stages::stages(query.query(), name, &names) else { return Ok(None) };
        // The width of output numbers depends on all of them.
        if matches!(stages, Stages::Rows { .. }) && schema.iter_values().any(is_wide) {
            return Ok(None);
        }
        let made = match stages {
            Stages::Rows { sql, limit } => Stages::Rows { sql: widened_text(&sql)?, limit },
            Stages::Groups { first, merge, last } => Stages::Groups {
                first: PartStage { sql: widened_text(&first.sql)?, ..first },
                merge: widened_text(&merge)?,
                last: widened_text(&last)?,
            },
        };
        // If a stage cannot be planned or would return other columns, the query is answered as a whole.
        let same = |made: &Stages| -> PolarsResult<bool> {
            let mut context = SQLContext::new();
            context.register(name, scan_lazily(scan)?);
            Ok(match made {
                Stages::Rows { sql, .. } => context.execute(sql)?.collect_schema()? == schema,
                Stages::Groups { first, merge, last } => {
                    let parts = DataFrame::empty_with_schema(&*context.execute(&first.sql)?.collect_schema()?);
                    let context = |sql: &str| -> PolarsResult<SchemaRef> {
                        let mut context = SQLContext::new();
                        context.register(PARTIAL, parts.clone().lazy());
                        context.execute(sql)?.collect_schema()
                    };
                    let found = context(last)?;
                    *context(merge)? == **parts.schema() && found.iter_names().eq(schema.iter_names())
                }
            })
        };
        Ok(same(&made).unwrap_or(false).then_some(((name, chunks), made)))
    }
}

fn widened_text(sql: &str) -> Result<String, QueryError> {
    let dialect = sqlparser::dialect::GenericDialect;
    let parsed = sqlparser::parser::Parser::parse_sql(&dialect, sql);
    match parsed.map_err(|error| QueryError::new(error.to_string()))?.pop() {
        Some(sqlparser::ast::Statement::Query(query)) => Ok(widened(&query)),
        _ => Err(QueryError::new("expected a SELECT as a stage".to_owned())),
    }
}

/// Runs a stage on the output of earlier ones.
fn partial(frame: DataFrame, sql: &str) -> PolarsResult<DataFrame> {
    let mut context = SQLContext::new();
    context.register(PARTIAL, frame.lazy());
    context.execute(sql)?.collect()
}

/// Concatenates parts.
fn in_memory(schema: &Schema, parts: Vec<Vec<Box<dyn polars_arrow::array::Array>>>) -> PolarsResult<DataFrame> {
    let mut whole = DataFrame::empty_with_schema(schema);
    for arrays in parts {
        let columns =
            schema.iter_names().zip(arrays).map(|(name, array)| Ok(Series::try_from((name.clone(), array))?.into()));
        whole.vstack_mut_owned(DataFrame::new_infer_height(columns.collect::<PolarsResult<Vec<Column>>>()?)?)?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
