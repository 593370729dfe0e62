#!/usr/bin/env python3
"""Read an export with DuckDB, pyarrow, pandas and Polars: the types must be right, and the sums those of the summary.

usage: readers.py EXPORT SUMMARY      EXPORT: what `dmarquet export --out` wrote
                                      SUMMARY: what `dmarquet summary --format json` printed for the same period

The SQL shares nothing with the program. Prints differences and exits with 1, or prints one line and exits with 0.
"""
import json, pathlib, sys

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.types as kinds

TEXT = ["report_key", "org_name", "org_email", "report_id", "policy_domain", "p", "sp", "np", "adkim", "aspf", "fo", "testing",
        "source_ip", "disposition", "evaluated_dkim", "evaluated_spf", "header_from", "envelope_from", "envelope_to",
        "dkim_domain", "dkim_selector", "dkim_result", "spf_domain", "spf_result", "org_domain", "mismatch", "cause",
        "sender_auth"]
YES_NO = ["dkim_aligned", "spf_aligned", "dmarc_pass", "recomputed_dkim", "recomputed_spf"]
LISTS = {"reasons": ["type", "comment"], "dkim_results": ["domain", "selector", "result", "human_result"],
         "spf_results": ["domain", "scope", "result", "human_result"]}

SUMS = """
    sum(count)::BIGINT AS messages,
    coalesce(sum(count) FILTER (dmarc_pass), 0)::BIGINT AS dmarc_pass,
    coalesce(sum(count) FILTER (dkim_aligned), 0)::BIGINT AS dkim_aligned,
    coalesce(sum(count) FILTER (spf_aligned), 0)::BIGINT AS spf_aligned,
    coalesce(sum(count) FILTER (dkim_aligned AND spf_aligned), 0)::BIGINT AS both,
    coalesce(sum(count) FILTER (dkim_aligned AND spf_aligned IS NOT TRUE), 0)::BIGINT AS dkim_only,
    coalesce(sum(count) FILTER (spf_aligned AND dkim_aligned IS NOT TRUE), 0)::BIGINT AS spf_only,
    coalesce(sum(count) FILTER (dkim_aligned IS NOT TRUE AND spf_aligned IS NOT TRUE), 0)::BIGINT AS neither,
    count(*)::BIGINT AS records"""


class Faults(list):
    def equal(self, what, found, expected):
        if found != expected:
            self.append(f"{what}: expected {expected}, found {found}")


def check_types(export, faults):
    """The types in the files, as pyarrow sees them: no strings in place of others."""
    schema = pyarrow.dataset.dataset(export / "records", partitioning="hive").schema
    is_text = lambda kind: kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind) or kinds.is_dictionary(kind)
    for name in TEXT:
        if not is_text(schema.field(name).type):
            faults.append(f"{name}: expected text, found {schema.field(name).type}")
    for name in YES_NO:
        faults.equal(name, schema.field(name).type, pa.bool_())
    for name in ("period_begin", "period_end", "ingested"):
        faults.equal(name, schema.field(name).type, pa.timestamp("ms", tz="UTC"))
    faults.equal("date", schema.field("date").type, pa.date32())
    faults.equal("count", schema.field("count").type, pa.int64())
    if not kinds.is_integer(schema.field("pct").type):
        faults.append(f"pct: expected a whole number, found {schema.field('pct').type}")
    for name, members in LISTS.items():
        kind = schema.field(name).type
        if not (kinds.is_list(kind) or kinds.is_large_list(kind)) or not kinds.is_struct(kind.value_type):
            faults.append(f"{name}: expected a list of structs, found {kind}")
        else:
            faults.equal(name, [field.name for field in kind.value_type], members)


def check_duckdb(export, summary, faults):
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    db.execute(f"CREATE VIEW records AS SELECT * FROM read_parquet('{export}/records/**/*.parquet', hive_partitioning = true)")
    db.execute(f"CREATE VIEW reports AS SELECT * FROM read_parquet('{export}/reports/**/*.parquet', hive_partitioning = true)")

    def rows(sql):
        cursor = db.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    kind = {row["column_name"]: row["column_type"] for row in rows("DESCRIBE records")}
    for name, expected in dict(period_begin="TIMESTAMP WITH TIME ZONE", period_end="TIMESTAMP WITH TIME ZONE", date="DATE", count="BIGINT",
                               dmarc_pass="BOOLEAN", reasons="STRUCT(\"type\" VARCHAR, \"comment\" VARCHAR)[]").items():
        faults.equal(f"DuckDB's {name}", kind.get(name), expected)

    def compare(what, found, expected):
        for name, value in found.items():
            faults.equal(f"{what} {name}", value, expected.get(name))

    compare("totals", rows(f"SELECT {SUMS} FROM records")[0], summary["totals"])
    faults.equal("reports", db.execute("SELECT count(*) FROM reports").fetchone()[0], summary["totals"]["reports"])
    faults.equal("reporters", db.execute("SELECT count(DISTINCT org_name) FROM reports").fetchone()[0], summary["totals"]["reporters"])
    domains = {row.pop("policy_domain"): row for row in rows(f"SELECT policy_domain, {SUMS} FROM records GROUP BY 1")}
    told = {each["policy_domain"]: each for each in summary["domains"] if each["messages"]}
    faults.equal("domains", sorted(domains), sorted(told))
    for name in domains.keys() & told.keys():
        compare(name, domains[name], told[name])
    # One entry an address, whatever stands beside the fixed keys.
    sources = {row["source_ip"]: row for row in rows(f"SELECT source_ip, {SUMS} FROM records GROUP BY 1")}
    told = {each["source_ip"]: each for each in summary["sources"]}
    faults.equal("sources", len(sources), len(summary["sources"]))
    faults.equal("sources", set(sources), set(told))
    for name in sources.keys() & told.keys():
        for key in ("messages", "dmarc_pass", "dkim_aligned", "spf_aligned"):
            faults.equal(f"source {name} {key}", told[name][key], sources[name][key])
    # The lists hold what the deciding columns say.
    faults.equal("rows whose deciding signature is in no list", db.execute(
        "SELECT count(*) FROM records WHERE dkim_domain IS NOT NULL AND NOT list_contains(list_transform(dkim_results, lambda x: x.domain), dkim_domain)"
    ).fetchone()[0], 0)
    faults.equal("rows outside their period", db.execute(
        "SELECT count(*) FROM records WHERE date < CAST(period_begin AS DATE) OR date > CAST(period_end AS DATE)").fetchone()[0], 0)
    faults.equal("rows in another month's folder", db.execute(
        "SELECT count(*) FROM records WHERE strftime(date, '%Y-%m') <> CAST(month AS VARCHAR)").fetchone()[0], 0)


def check_others(export, summary, faults):
    messages, passed = summary["totals"]["messages"], summary["totals"]["dmarc_pass"]
    frame = pandas.read_parquet(export / "records")
    faults.equal("pandas' messages", int(frame["count"].sum()), messages)
    faults.equal("pandas' dmarc_pass", int(frame.loc[frame["dmarc_pass"], "count"].sum()), passed)
    if not isinstance(frame["period_begin"].dtype, pandas.DatetimeTZDtype) or str(frame["period_begin"].dt.tz) != "UTC":
        faults.append(f"pandas' period_begin: expected times in UTC, found {frame['period_begin'].dtype}")
    table = pyarrow.dataset.dataset(export / "records", partitioning="hive").to_table(columns=["count", "dmarc_pass"])
    faults.equal("pyarrow's messages", pa.compute.sum(table["count"]).as_py(), messages)
    lazy = polars.scan_parquet(f"{export}/records/**/*.parquet", hive_partitioning=True)
    sums = lazy.select(polars.col("count").sum(), passed=polars.col("count").filter("dmarc_pass").sum()).collect()
    faults.equal("Polars' sums", sums.row(0), (messages, passed))
    schema = lazy.collect_schema()
    faults.equal("Polars' period_begin", schema["period_begin"], polars.Datetime("ms", "UTC"))
    faults.equal("Polars' date", schema["date"], polars.Date)


def main():
    export, summary = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
    faults = Faults()
    check_types(export, faults)
    check_duckdb(export, summary, faults)
    check_others(export, summary, faults)
    print("\n".join(faults) or f"{summary['totals']['messages']} messages in four readers")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
