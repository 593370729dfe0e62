"""Run the named queries of docs/query.md with the program and with DuckDB over an export: both return the same rows, and not none.

usage: query.py --bin PATH [FOLDER]     FOLDER has report files (default: samples/); TLS reports with failures are added
"""
import argparse, datetime as dt, decimal, json, pathlib, re, subprocess, sys, tempfile

import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[1]
TABLES = re.findall(r"^## (\w+)$", (ROOT / "docs/columns.md").read_text(), re.M)
WEEKS = ["2026-W44", "2026-W47"]


# Refused statements, and the one-line error of each.
REFUSED = {
    "SELECT policy_domain, SUM(count) AS n FROM records": "expected policy_domain in GROUP BY",
    "SELECT * FROM records WHERE SUM(count) > 1": "expected no aggregate in WHERE",
    "SELECT MAX(SUM(count)) AS n FROM records": "expected no aggregate of an aggregate",
    "SELECT 1 AS x WHERE FALSE": "expected FROM before WHERE",
    "WITH records AS (SELECT 1 AS x) SELECT * FROM records": "expected another name for a subquery",
    "SELECT Count FROM records": 'expected a column of the tables, found "Count"',
    "SELECT * FROM record": "expected one of the tables",
    "SELECT COUNT(*) AS n FROM records GROUP BY ROLLUP(policy_domain)": "is not supported",
    "SELECT " + " + ".join(["count"] * 5000) + " AS n FROM records": "expected at most 400 operators",
    "SELECT * FROM records WHERE " + " OR ".join(["count = 1"] * 4000): "expected at most 400 operators",
    "SELECT COUNT(*) AS n FROM records WHERE source_ip ~ '((a{100}){100}){100}'": "exceeds size limit",
    # Every record with every other: 64 MiB do not hold that.
    "SELECT MAX(a.count * b.count * c.count) AS n FROM records AS a CROSS JOIN records AS b CROSS JOIN records AS c": "64 MiB",
}


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


def tls(week, reporter, failed):
    """A TLS report of a Monday: the first host fails in two ways, the second in one."""
    day = dt.date.fromisocalendar(*map(int, week.split("-W")), 1)
    kinds = ["certificate-expired", "starttls-not-supported", "certificate-expired"]
    details = [{"result-type": kind, "receiving-mx-hostname": f"mx{1 + at // 2}.example.com", "failed-session-count": failed + at}
               for at, kind in enumerate(kinds)]
    policy = {"policy": {"policy-type": "sts", "policy-domain": "example.com"}, "failure-details": details,
              "summary": {"total-successful-session-count": 90, "total-failure-session-count": 3 * failed + 3}}
    return json.dumps({"organization-name": reporter, "report-id": week, "contact-info": f"tls@{reporter}", "policies": [policy],
                       "date-range": {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"}})


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
    empty = []
    with tempfile.TemporaryDirectory() as work:
        for week in WEEKS:
            for failed, reporter in enumerate(["mx.example.net", "mx.example.org"]):
                pathlib.Path(work, f"{reporter}-{week}.json").write_text(tls(week, reporter, failed))
        run("ingest", "--store", f"{work}/store", args.folder, *map(str, pathlib.Path(work).glob("*.json")), ok=(0, 1))
        run("export", "--store", f"{work}/store", "--out", f"{work}/lake")
        db = duckdb.connect()
        for table in TABLES:
            if list(pathlib.Path(work, "lake", table).glob("**/*.parquet")):
                db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{work}/lake/{table}/**/*.parquet', hive_partitioning = false)")
        for sql, words in REFUSED.items():
            # The program alone takes some 50 MiB: only what is about memory has so small a limit.
            most = ["--memory", "64"] if "64 MiB" in words else []
            done = subprocess.run([program, "query", sql, "--store", f"{work}/store", *most, "--config", "/dev/null"],
                                  capture_output=True, text=True, timeout=60)
            said = done.stderr.splitlines() or [""]
            if done.returncode != 2 or done.stdout or words not in said[0] or any(not line.startswith("hint: ") for line in said[1:]):
                faults += 1
                print(f"{sql[:100]}: expected {words!r} and exit code 2, found {done.returncode}: {done.stderr[:300]}")
        listed = [line.split("  ")[0] for line in run("query", "--list").splitlines()]
        queries = named()
        assert [name for name, _, _ in queries] == listed, f"documented {[name for name, _, _ in queries]}, listed {listed}"
        for name, period, sql in queries:
            before = compared
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
            if compared == before:
                empty.append(name)
    if empty:
        print(f"without a row to compare: {', '.join(empty)}")
    print(f"{len(queries)} queries, {compared} rows compared, {faults} differ")
    return 1 if faults or empty else 0


if __name__ == "__main__":
    sys.exit(main())
