#!/usr/bin/env python3
"""Compare the summary of any store, or of any files, with DuckDB's sums over the exported Parquet: week by week, by domain and by source.

usage: compare_duckdb.py [--bin DMARQUET] [--expected EXPECTED.json] (--store DIR | PATH...)

PATH         report files and folders: ingested into a store of their own first
--expected   the generator's sums by week and domain, compared with the Parquet too

The SQL shares nothing with the program: it works on the columns that reporters wrote (policy_evaluated), falling back to
the recomputed ones only where a reporter left no verdict. Prints differences and exits with 1, or prints what it compared and exits with 0.
"""
import argparse, json, os, pathlib, subprocess, sys, tempfile, time

import duckdb

# Alignment as the reporter wrote it; for a row without a verdict, as its results show it.
ROWS = """
CREATE TABLE rows AS
SELECT *, strftime(date, '%G-W%V') AS week,
    CASE WHEN evaluated_dkim IS NULL AND evaluated_spf IS NULL THEN coalesce(recomputed_dkim, false)
         ELSE coalesce(evaluated_dkim = 'pass', false) END AS dkim_good,
    CASE WHEN evaluated_dkim IS NULL AND evaluated_spf IS NULL THEN coalesce(recomputed_spf, false)
         ELSE coalesce(evaluated_spf = 'pass', false) END AS spf_good
FROM read_parquet('{export}/records/**/*.parquet', hive_partitioning = true)"""
REPORTS = """
CREATE TABLE reports AS
SELECT report_key, lower(org_name) AS reporter, policy_domain, date, strftime(date, '%G-W%V') AS week
FROM read_parquet('{export}/reports/**/*.parquet', hive_partitioning = true)"""
CASES = dict(messages="true", dmarc_pass="dkim_good OR spf_good", dkim_aligned="dkim_good", spf_aligned="spf_good",
             both="dkim_good AND spf_good", dkim_only="dkim_good AND NOT spf_good", spf_only="spf_good AND NOT dkim_good",
             neither="NOT dkim_good AND NOT spf_good")
SUMS = ", ".join(f"coalesce(sum(count) FILTER ({case}), 0)::HUGEINT AS {name}" for name, case in CASES.items()) + ", count(*) AS records"


class Comparison:
    def __init__(self, program, store):
        self.program, self.store = program, store
        self.faults, self.compared = [], 0

    def equal(self, what, found, expected):
        self.compared += 1
        if found != expected:
            self.faults.append(f"{what}: DuckDB {expected}, found {found}")

    def run(self, *args):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DMARQUET_")}
        done = subprocess.run([self.program, "--store", str(self.store), *args], env=environment, capture_output=True)
        # 1: something could not be read, which is the reporters' fault; the rest is there.
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(args)}: exit {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def query(self, sql):
        cursor = self.db.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def load(self, export):
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")
        self.db.execute(ROWS.format(export=export))
        self.db.execute(REPORTS.format(export=export))

    def by(self, column, where):
        return {row.pop("name"): row for row in self.query(f"SELECT {column} AS name, {SUMS} FROM rows WHERE {where} GROUP BY 1")}

    def sums(self, what, found, expected):
        for name, value in expected.items():
            self.equal(f"{what} {name}", found.get(name), value)

    def period(self, what, where, *asked):
        """Compare a summary with the rows of its days."""
        summary = json.loads(self.run("summary", "--format", "json", *asked))
        self.sums(what, summary["totals"], self.query(f"SELECT {SUMS} FROM rows WHERE {where}")[0])
        reports = self.db.execute(f"SELECT count(*) FROM reports WHERE {where}").fetchone()[0]
        self.equal(f"{what} reports", summary["totals"]["reports"], reports)
        for column, told in (("policy_domain", summary["domains"]), ("source_ip", summary["sources"])):
            told = {each[column]: each for each in told if each["messages"] or column == "source_ip"}
            rows = {name: row for name, row in self.by(column, where).items() if row["messages"] or column == "source_ip"}
            self.equal(f"{what} {column}s", len(told), len(rows))
            for name, row in rows.items():
                self.sums(f"{what} {name}", told.get(name, {}), row)

    def expected(self, sums):
        """Compare with the sums of the generator."""
        for column, told in (("week", sums.get("weeks", {})), ("policy_domain", sums.get("domains", {}))):
            rows = self.by(column, "true")
            reports = dict(self.db.execute(f"SELECT {column}, count(*) FROM reports GROUP BY 1").fetchall())
            self.equal(f"made {column}s", sorted(told), sorted(rows))
            for name, row in rows.items():
                row = {**row, "reports": reports.get(name)}
                for key, value in told.get(name, {}).items():
                    self.equal(f"made {name} {key}", value, row.get(key))


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--bin", default="target/debug/dmarquet")
    args.add_argument("--store", type=pathlib.Path)
    args.add_argument("--expected", type=pathlib.Path)
    args.add_argument("paths", nargs="*")
    args = args.parse_args()
    if (args.store is None) == (not args.paths):
        sys.exit("expected either --store DIR or report files")
    with tempfile.TemporaryDirectory(prefix="dmarquet-compare-") as folder:
        folder = pathlib.Path(folder)
        one = Comparison(args.bin, args.store or folder / "store")
        if args.paths:
            one.run("ingest", "--format", "json", *args.paths)
        one.run("export", "--out", str(folder / "export"))
        one.load(folder / "export")
        weeks = [row["week"] for row in one.query("SELECT DISTINCT week FROM reports ORDER BY 1")]
        first, last = one.db.execute("SELECT min(date), max(date) FROM reports").fetchone()
        began = time.monotonic()
        for week in weeks:
            one.period(week, f"week = '{week}'", "--week", week)
        one.period("all days", "true", "--from", str(first), "--to", str(last))
        if args.expected:
            one.expected(json.loads(args.expected.read_text()))
        reports, rows = one.db.execute("SELECT (SELECT count(*) FROM reports), (SELECT count(*) FROM rows)").fetchone()
        print("\n".join(one.faults[:50]))
        print(f"{reports} reports, {rows} rows, {len(weeks)} weeks: {one.compared} numbers compared, {len(one.faults)} differ; "
              f"{len(weeks) + 1} summaries in {time.monotonic() - began:.1f} s")
        return 1 if one.faults else 0


if __name__ == "__main__":
    sys.exit(main())
