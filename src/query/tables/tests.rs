//! Answers in parts against answers at once, and what is refused.

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
fn answers_in_batches_equal_answers_over_all_rows() {
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
        (true, "SELECT r.policy_domain, AVG(r.count) AS mean FROM records AS r GROUP BY r.policy_domain ORDER BY 1"),
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
        (false, "SELECT count FROM records ORDER BY count DESC LIMIT 5"),
        (false, "SELECT date FROM records WHERE count > 1 ORDER BY date LIMIT 5 OFFSET 2"),
        (
            false,
            "SELECT STRFTIME(date, '%Y-%m') AS month, date, SUM(count) AS n FROM records GROUP BY STRFTIME(date, '%Y-%m'), date ORDER BY date",
        ),
        (true, "SELECT count * 2 AS n, SUM(count * 1) AS c FROM records GROUP BY count * 2 ORDER BY n"),
        (true, "SELECT count * 2 AS n, COUNT(*) AS c FROM records GROUP BY count * 2 ORDER BY n"),
        (
            false,
            "SELECT n, COUNT(*) AS c FROM (SELECT SUM(count) AS n FROM records GROUP BY source_ip) AS x GROUP BY n ORDER BY n",
        ),
        (false, "SELECT COUNT(*) AS n FROM records AS a JOIN reports AS b ON a.report_key = b.report_key"),
        (false, "SELECT policy_domain, FIRST(date) AS d FROM records GROUP BY policy_domain ORDER BY policy_domain"),
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
    let wanted = rows.clone().lazy().filter(col("count").gt(1)).select([col("date"), col("count")]).collect().unwrap();
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
fn rows_beyond_the_limit_are_an_error_and_parts_of_them_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let none = || Ok::<_, QueryError>(Vec::new());
    let rows = |stretch| {
        let tables = QueryTables::open_within(&store, ["records"], none, 2 << 10).unwrap();
        QueryTables { stretch, ..tables }
    };
    let told = answered(&rows(8), "SELECT DISTINCT report_key FROM records").unwrap_err().to_string();
    assert!(told.starts_with("query: its rows take more than 0 MiB, and it needs all of them at once: "), "{told}");
    assert!(told.ends_with("ask for fewer days with WHERE, or name fewer columns"), "{told}");
    // A few columns fit, and so does a stretch of all.
    assert!(answered(&rows(8), "SELECT DISTINCT dmarc_pass FROM records").is_ok());
    assert!(answered(&rows(8), "SELECT report_key, COUNT(*) AS n FROM records GROUP BY report_key").is_ok());
}

#[test]
fn sums_in_subqueries_are_as_wide_as_others() {
    let dir = tempfile::tempdir().unwrap();
    let tables = opened(&store(dir.path()), 4);
    let whole = answered(&tables, "SELECT SUM(count) AS n FROM records").unwrap();
    for sql in [
        "WITH x AS (SELECT policy_domain, SUM(count) AS n FROM records GROUP BY policy_domain) SELECT SUM(n) AS n FROM x",
        "SELECT SUM(n) AS n FROM (SELECT policy_domain, SUM(count) AS n FROM records GROUP BY policy_domain) AS t",
        "SELECT SUM(count) AS n FROM records UNION SELECT SUM(count) AS n FROM records",
    ] {
        assert_eq!(answered(&tables, sql).unwrap(), whole, "{sql}");
    }
    let product = answered(&tables, "SELECT SUM(count * 9223372036854775807) AS n FROM records").unwrap();
    let wanted = whole[0][0].as_deref().and_then(|sum| sum.parse::<i128>().ok()).map(|sum| sum * i128::from(i64::MAX));
    assert_eq!(product[0][0], wanted.map(|sum| sum.to_string()));
    let product = answered(&tables, "SELECT MAX(count * 9223372036854775807) AS n FROM records").unwrap();
    let most = answered(&tables, "SELECT MAX(count) AS n FROM records").unwrap();
    let wanted =
        most[0][0].as_deref().and_then(|most| most.parse::<i128>().ok()).map(|most| most * i128::from(i64::MAX));
    assert_eq!(product[0][0], wanted.map(|most| most.to_string()));
    let above = answered(&tables, "SELECT COUNT(*) AS n FROM records WHERE count * 9223372036854775807 > 0").unwrap();
    assert_eq!(above, answered(&tables, "SELECT COUNT(*) AS n FROM records WHERE count > 0").unwrap());
    let long = format!("SELECT SUM(count{}) AS n FROM records", " * 1".repeat(400));
    assert_eq!(answered(&tables, &long).unwrap(), whole);
}

#[test]
fn a_query_that_fails_has_a_reason_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let tables = opened(&store, 4);
    for sql in ["SELECT nowhere FROM records", "SELECT NOPE(count) FROM records", "SELECT count + FROM records"] {
        let told = answered(&tables, sql).unwrap_err().to_string();
        assert!(told.starts_with("query: ") && !told.contains('\n'), "{told}");
    }
}
