//! The tables of a store as lazy frames, and SQL over them.

use super::QueryError;
use super::groups::PARTIAL;
use super::memory::{self, MemoryLimit};
use super::scan::TableScan;
use super::stages::{self, Stages};
use super::statement::{SelectQuery, widened};
use super::whole_numbers::{Widener, is_wide, narrowed};
use crate::store::{Store, StoreError, TableRows, WeekVerdicts, survive_engine};
use polars::prelude::{
    Column, DataFrame, Field, IntoLazy as _, LazyFrame, PlSmallStr, PolarsResult, ScanArgsAnonymous, Schema, SchemaRef,
    Series,
};
use polars::sql::SQLContext;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows processed together.
const STRETCH: usize = 1 << 20;

/// A table.
enum QueryTable {
    Files(TableScan),
    Memory(DataFrame),
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
    /// Where there is no such table, or a file of it or the ledger cannot be read.
    pub fn open<'n, E: From<StoreError> + From<QueryError>>(
        store: &Store,
        names: impl IntoIterator<Item = &'n str>,
        mut weeks: impl FnMut() -> Result<Vec<WeekVerdicts>, E>,
    ) -> Result<Self, E> {
        let memory = MemoryLimit::new(memory::half_of_available());
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
    /// # Errors Where the query cannot be planned, a file cannot be read, or all rows that it needs at once are more
    /// than half of the memory that is available.
    pub fn answer(
        &self,
        query: &SelectQuery,
        each: &mut dyn FnMut(DataFrame) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        survive_engine(|| self.run(query, each))?
    }

    fn run(
        &self,
        query: &SelectQuery,
        each: &mut dyn FnMut(DataFrame) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let whole = self.planned(query)?;
        let Some((scan, stages)) = self.stages(query, whole.clone())? else {
            return each(narrowed(whole.collect()?)?);
        };
        let (name, chunks) = scan;
        let context = |scan: &TableScan| -> PolarsResult<SQLContext> {
            let context = sql_context();
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
                    let groups = context(chunk)?.execute(&first)?.collect()?;
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
        survive_engine(|| self.described(query))?
    }

    fn described(&self, query: &SelectQuery) -> Result<String, QueryError> {
        let whole = self.planned(query)?;
        let mut told = match self.stages(query, whole.clone())? {
            None => "All rows at once:\n".to_owned(),
            Some(((name, chunks), Stages::Rows { .. })) => {
                format!("Rows of {name} as they come, in {} stretches of about {} rows:\n", chunks.len(), self.stretch)
            }
            Some(((name, chunks), Stages::Groups { .. })) => {
                format!("Groups of {name} in {} stretches of about {} rows, then merged:\n", chunks.len(), self.stretch)
            }
        };
        told.push_str(&whole.explain(true)?);
        told.push('\n');
        Ok(told)
    }

    fn planned(&self, query: &SelectQuery) -> Result<LazyFrame, QueryError> {
        let mut context = sql_context();
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
                first: widened_text(&first)?,
                merge: widened_text(&merge)?,
                last: widened_text(&last)?,
            },
        };
        // If a stage cannot be planned or would return other columns, the query is answered as a whole.
        let same = |made: &Stages| -> PolarsResult<bool> {
            let mut context = sql_context();
            context.register(name, scan_lazily(scan)?);
            Ok(match made {
                Stages::Rows { sql, .. } => context.execute(sql)?.collect_schema()? == schema,
                Stages::Groups { first, merge, last } => {
                    let parts = DataFrame::empty_with_schema(&*context.execute(first)?.collect_schema()?);
                    let context = |sql: &str| -> PolarsResult<SchemaRef> {
                        let mut context = sql_context();
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

fn sql_context() -> SQLContext {
    SQLContext::new().with_function_registry(Arc::new(Widener::default()))
}

/// Runs a stage on the output of earlier ones.
fn partial(frame: DataFrame, sql: &str) -> PolarsResult<DataFrame> {
    let mut context = sql_context();
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
mod tests {
    use super::QueryTables;
    use crate::query::{QueryError, SelectQuery, cells};
    use crate::store::tests::accepted;
    use crate::store::{Store, Writer};
    use jiff::Timestamp;
    use polars::prelude::{IntoLazy as _, col};

    /// A store of several parts.
    fn store(dir: &std::path::Path) -> Store {
        let mut writer = Writer::open(dir, Timestamp::UNIX_EPOCH).unwrap();
        for number in 0..60 {
            writer.add(accepted(number, 1 + number % 5)).unwrap();
            if number % 7 == 6 {
                writer.commit().unwrap();
            }
        }
        writer.commit().unwrap();
        Store::open(dir).unwrap()
    }

    fn opened(store: &Store, stretch: usize) -> QueryTables {
        let none = || Ok::<_, QueryError>(Vec::new());
        let tables = QueryTables::open(store, ["records", "reports", "senders", "dns"], none).unwrap();
        QueryTables { stretch, ..tables }
    }

    fn answered(tables: &QueryTables, sql: &str) -> Result<Vec<Vec<Option<String>>>, QueryError> {
        let mut rows = Vec::new();
        tables.answer(&SelectQuery::parse(sql)?, &mut |part| {
            rows.extend(cells(&part)?);
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn a_stretch_at_a_time_gives_the_same_as_all_rows_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        polars_error::set_warning_function(|_, _| {});
        let (few, all) = (opened(&store, 4), opened(&store, usize::MAX));
        for (staged, sql) in [
            (true, "SELECT report_key, source_ip, count FROM records WHERE count > 1"),
            (true, "SELECT * FROM records"),
            (
                true,
                "SELECT LOWER(policy_domain) AS d, count + 1 FROM records AS r WHERE r.date > CAST('1970-01-02' AS DATE)",
            ),
            (true, "SELECT SUM(count), COUNT(*) AS n, MIN(source_ip) AS least, MAX(date) AS newest FROM records"),
            (
                true,
                "SELECT policy_domain, SUM(count) AS n FROM records GROUP BY policy_domain ORDER BY n DESC, policy_domain",
            ),
            (
                true,
                "SELECT r.policy_domain, AVG(r.count) AS mean FROM records AS r GROUP BY r.policy_domain ORDER BY 1",
            ),
            (
                true,
                "SELECT policy_domain AS d, COUNT(DISTINCT source_ip) AS n, SUM(count) AS m FROM records GROUP BY d ORDER BY d",
            ),
            (true, "SELECT COUNT(DISTINCT source_ip) FROM records"),
            (
                true,
                "SELECT COUNT(DISTINCT source_ip), COUNT(*) AS n, SUM(count) AS m, AVG(count) AS a FROM records WHERE count < 0",
            ),
            (
                true,
                "SELECT date, SUM(CASE WHEN dmarc_pass THEN count ELSE 0 END) FROM records GROUP BY 1 HAVING SUM(count) > 3 ORDER BY date LIMIT 3",
            ),
            (
                true,
                "SELECT source_ip, SUM(count) AS n, MIN(date) FROM records GROUP BY source_ip ORDER BY SUM(count) DESC, MIN(date), source_ip",
            ),
            (true, "SELECT COUNT(*) FILTER (WHERE dmarc_pass) AS n FROM records WHERE count > 1000000"),
            (
                true,
                "SELECT STRFTIME(date, '%G-W%V') AS week, SUM(count) AS n FROM records GROUP BY STRFTIME(date, '%G-W%V') ORDER BY week",
            ),
            (false, "SELECT DISTINCT policy_domain FROM records ORDER BY policy_domain"),
            (false, "SELECT source_ip, ROW_NUMBER() OVER (ORDER BY count, source_ip, report_key) AS n FROM records"),
            (false, "SELECT count FROM records ORDER BY count DESC, source_ip LIMIT 5"),
            (false, "SELECT COUNT(*) AS n FROM records AS a JOIN reports AS b ON a.report_key = b.report_key"),
            (
                false,
                "SELECT policy_domain, FIRST(date) AS d FROM records GROUP BY policy_domain ORDER BY policy_domain",
            ),
            (false, "SELECT source_ip FROM records WHERE count IN (SELECT MAX(count) FROM records)"),
        ] {
            let plan = few.explain(&SelectQuery::parse(sql).unwrap()).unwrap();
            assert_eq!(!plan.starts_with("All rows at once"), staged, "{sql}: {plan}");
            let (mut one, mut other) = (answered(&few, sql).unwrap(), answered(&all, sql).unwrap());
            if !sql.contains("ORDER BY") {
                one.sort();
                other.sort();
            }
            assert_eq!(one, other, "{sql}");
            assert!(!one.is_empty(), "{sql}");
        }
        let limited = answered(&few, "SELECT source_ip FROM records WHERE count > 0 LIMIT 7").unwrap();
        assert_eq!(limited.len(), 7);
    }

    #[test]
    fn a_lazy_frame_reads_what_its_plan_needs() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let tables = opened(&store, 4);
        let records = || tables.lazy("records").unwrap();
        let rows = records().collect().unwrap();
        let wanted =
            rows.clone().lazy().filter(col("count").gt(1)).select([col("date"), col("count")]).collect().unwrap();
        let found = records().filter(col("count").gt(1)).select([col("date"), col("count")]).collect().unwrap();
        assert!(found.equals(&wanted) && found.height() > 0 && found.height() < rows.height());
        let plan = records().filter(col("count").gt(1)).select([col("date")]).explain(true).unwrap();
        assert!(plan.contains("PROJECT") && plan.contains("SELECTION"), "{plan}");
        assert_eq!(records().limit(3).collect().unwrap().height(), 3);
        assert!(tables.lazy("nowhere").is_none());
        assert_eq!(tables.lazy("dns").unwrap().collect().unwrap().height(), 0);
    }

    #[test]
    fn sums_do_not_overflow() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), Timestamp::UNIX_EPOCH).unwrap();
        for number in 0..3 {
            let mut report = accepted(number, 1);
            report.report.records[0].count = i64::MAX - 1;
            writer.add(report).unwrap();
            writer.commit().unwrap();
        }
        let store = Store::open(dir.path()).unwrap();
        for stretch in [1, usize::MAX] {
            let sum = |sql| answered(&opened(&store, stretch), sql).unwrap().remove(0);
            assert_eq!(sum("SELECT SUM(count) FROM records"), [Some((3 * (i128::from(i64::MAX) - 1)).to_string())]);
            assert_eq!(
                sum("SELECT SUM(count) OVER () AS n FROM records"),
                [Some((3 * (i128::from(i64::MAX) - 1)).to_string())]
            );
        }
    }

    #[test]
    fn what_cannot_be_answered_is_said_on_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let tables = opened(&store, 4);
        for sql in ["SELECT nowhere FROM records", "SELECT NOPE(count) FROM records", "SELECT count + FROM records"] {
            let told = answered(&tables, sql).unwrap_err().to_string();
            assert!(told.starts_with("query: ") && !told.contains('\n'), "{told}");
        }
    }
}
