"""Ask the named queries of docs/query.md of the program and of DuckDB over an export: the same rows.

usage: query.py --bin PATH [FOLDER]     FOLDER has report files (default: samples/)
"""
import argparse, datetime as dt, decimal, json, pathlib, re, subprocess, sys, tempfile

import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[1]
TABLES = re.findall(r"^## (\w+)$", (ROOT / "docs/columns.md").read_text(), re.M)
WEEKS = ["2026-W44", "2026-W47"]


def named():
    """(name, period, SELECT) of each query in the page."""
    page = (ROOT / "docs/query.md").read_text()
    found = re.findall(r"^### (\S+)\n\n.*?\*\*(last week|everything)\*\*.*?```sql\n(.*?)```", page, re.M | re.S)
    assert len(found) >= 12, f"expected a dozen queries in docs/query.md, found {len(found)}"
    return found


def plain(value):
    if isinstance(value, decimal.Decimal) and value == int(value):
        return int(value)
    if isinstance(value, float):
        return round(value, 9)
    return str(value) if isinstance(value, (dt.date, dt.datetime)) else value


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin", required=True)
    args.add_argument("folder", nargs="?", default=str(ROOT / "samples"))
    args = args.parse_args()
    program = str(pathlib.Path(args.bin).resolve())

    def run(*words, ok=(0,)):
        done = subprocess.run([program, *words, "--config", "/dev/null"], capture_output=True, text=True, cwd=work)
        assert done.returncode in ok, f"{' '.join(words)}: exit {done.returncode}: {done.stderr}"
        return done.stdout

    faults = compared = 0
    with tempfile.TemporaryDirectory() as work:
        run("ingest", "--store", f"{work}/store", args.folder, ok=(0, 1))
        run("export", "--store", f"{work}/store", "--out", f"{work}/lake")
        db = duckdb.connect()
        for table in TABLES:
            if list(pathlib.Path(work, "lake", table).glob("**/*.parquet")):
                db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{work}/lake/{table}/**/*.parquet', hive_partitioning = false)")
        listed = [line.split("  ")[0] for line in run("query", "--list").splitlines()]
        queries = named()
        assert [name for name, _, _ in queries] == listed, f"documented {[name for name, _, _ in queries]}, listed {listed}"
        for name, period, sql in queries:
            weeks = WEEKS + [None] * (period == "everything")
            for week in weeks:
                monday = dt.date.fromisocalendar(*map(int, week.split("-W")), 1) if week else dt.date(1, 1, 1)
                sunday = monday + dt.timedelta(days=6) if week else dt.date(9999, 12, 31)
                wanted = db.execute(sql.format(week=week or "", **{"from": monday, "to": sunday}))
                columns = [column[0] for column in wanted.description]
                wanted = [[plain(value) for value in row] for row in wanted.fetchall()]
                about = ["--week", week] if week else []
                for source in (["--store", f"{work}/store"], ["--records", f"{work}/lake"]):
                    rows = [json.loads(line) for line in run("query", name, *about, *source, "--format", "ndjson").splitlines()]
                    found = [[plain(row[column]) for column in columns] for row in rows]
                    compared += len(found)
                    if sorted(map(repr, found)) != sorted(map(repr, wanted)):
                        faults += 1
                        print(f"{name} {week} {source[0]}: {found[:5]}, DuckDB has {wanted[:5]}")
    print(f"{len(queries)} queries, {compared} rows compared, {faults} differ")
    return 1 if faults or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
