#!/usr/bin/env python3
"""Check that every engine reads the output of the program and of its Spark job with the right sums.

usage: engines.py PROGRAM [--spark PYTHON] [--reports 300]      PYTHON: of tests/spark-requirements.txt; without it no Spark

The reports are in mixed forms, with damaged files among them. `ingest` and `export` are each killed several times, then run twice;
the Spark job runs twice, into plain Parquet and into Delta tables. Prints a table of engines and sources: `equal`, or what differs, or
`-` where an engine does not read a format. DuckDB, chdb and Spark need extensions for Delta and Iceberg: here they read the files that the
table's log lists. Exits with 1 if anything differs.
"""
import argparse, glob, json, os, pathlib, shutil, subprocess, sys, tempfile, time

import chdb, deltalake, duckdb, pandas, polars, pyarrow.compute as pc, pyarrow.dataset, pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import spark as made

os.environ.setdefault("POLARS_ICEBERG_PLANNER", "pyiceberg")

COLUMNS = ["report_key", "count", "dmarc_pass"]


def of_arrow(table):
    """Records, messages, messages that pass, reports."""
    passing = table.filter(table["dmarc_pass"])
    return table.num_rows, pc.sum(table["count"]).as_py(), pc.sum(passing["count"]).as_py(), len(pc.unique(table["report_key"]))


def of_sql(rows):
    return tuple(map(int, rows))


SUMS = "count(*), sum(count), sum(CASE WHEN dmarc_pass THEN count ELSE 0 END), count(DISTINCT report_key)"
SPARK = f"""
import json, os, pathlib, sys
import pyspark
os.environ.update({{"SPARK_HOME": str(pathlib.Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}})
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
for files in json.loads(sys.argv[1]):
    spark.read.parquet(*files).createOrReplaceTempView("records")
    print("SUMS", json.dumps([int(value) for value in spark.sql("SELECT {SUMS} FROM records").collect()[0]]))
spark.stop()
"""


class Source:
    """A table `records`, and how the engines read it."""

    def __init__(self, name, path, work):
        self.name, self.path, self.kind = name, path, "delta" if name == "Delta" else "iceberg" if name == "Iceberg" else "parquet"
        self.work = work
        self.files = sorted(glob.glob(f"{path}/month=*/*.parquet"))
        if self.kind == "delta":
            self.delta = deltalake.DeltaTable(str(path))
            self.files = [uri.removeprefix("file://") for uri in self.delta.file_uris()]
        if self.kind == "iceberg":
            self.iceberg = iceberg(self.files, work / "iceberg")
            self.files = [task.file.file_path.removeprefix("file://") for task in self.iceberg.scan().plan_files()]


def iceberg(files, folder):
    """An Iceberg table of the files, added in two steps; a loader that repeats the second step adds nothing."""
    folder.mkdir()
    catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    catalog.create_namespace("dmarc")
    table = catalog.create_table("dmarc.records", schema=pq.read_schema(files[0]))
    for part in filter(None, (files[::2], files[1::2])):
        table.add_files(part)
        try:
            table.add_files(part)
        except ValueError:
            continue
        sys.exit("expected Iceberg to refuse files that are there, found them added twice")
    return catalog.load_table("dmarc.records")


def read_duckdb(source):
    return of_sql(duckdb.connect().execute(f"SELECT {SUMS} FROM read_parquet({source.files})").fetchall()[0])


def read_pandas(source):
    if source.kind == "delta":
        frame = source.delta.to_pandas(columns=COLUMNS)
    elif source.kind == "iceberg":
        frame = source.iceberg.scan(selected_fields=COLUMNS).to_pandas()
    else:
        frame = pandas.read_parquet(source.path, columns=COLUMNS)
    return of_sql((len(frame), frame["count"].sum(), frame.loc[frame["dmarc_pass"], "count"].sum(), frame["report_key"].nunique()))


def read_polars(source):
    if source.kind == "delta":
        frame = polars.read_delta(str(source.path), columns=COLUMNS)
    elif source.kind == "iceberg":
        frame = polars.scan_iceberg(source.iceberg).select(COLUMNS).collect()
    else:
        frame = polars.scan_parquet(f"{source.path}/**/*.parquet").select(COLUMNS).collect()
    return of_arrow(frame.to_arrow())


def read_pyarrow(source):
    if source.kind == "delta":
        return of_arrow(source.delta.to_pyarrow_table(columns=COLUMNS))
    if source.kind == "iceberg":
        return of_arrow(source.iceberg.scan(selected_fields=COLUMNS).to_arrow())
    return of_arrow(pyarrow.dataset.dataset(source.path, partitioning="hive", format="parquet").to_table(columns=COLUMNS))


def read_chdb(source):
    rows = " UNION ALL ".join(f"SELECT {', '.join(COLUMNS)} FROM file('{file}', Parquet)" for file in source.files)
    return of_sql(str(chdb.query(f"SELECT {SUMS} FROM ({rows})", "CSV")).strip().split(","))


def read_deltalake(source):
    if source.kind == "delta":
        return read_pyarrow(source)
    if source.kind == "iceberg":
        return None
    copy = source.work / f"delta-of-{source.name.lower().replace(' ', '-')}"
    shutil.copytree(source.path, copy)
    deltalake.convert_to_deltalake(str(copy), partition_by=deltalake.Schema([deltalake.Field("month", "string")]), partition_strategy="hive")
    return of_arrow(deltalake.DeltaTable(str(copy)).to_pyarrow_table(columns=COLUMNS))


def read_pyiceberg(source):
    if source.kind == "iceberg":
        return read_pyarrow(source)
    table = iceberg(source.files, source.work / f"iceberg-of-{source.name.lower().replace(' ', '-')}")
    return of_arrow(table.scan(selected_fields=COLUMNS).to_arrow())


ENGINES = {"DuckDB": read_duckdb, "pandas": read_pandas, "Polars": read_polars, "pyarrow": read_pyarrow, "chdb": read_chdb,
           "deltalake": read_deltalake, "pyiceberg": read_pyiceberg}


def killed_and_run_twice(*command):
    for after in (0.02, 0.05, 0.1, 0.2):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(after)
        child.kill()
        child.wait()
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        # 1: what is damaged was named.
        if done.returncode > 1:
            sys.exit(f"{command}: exit {done.returncode}: {done.stderr}")


def main():
    about = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    about.add_argument("program")
    about.add_argument("--spark", metavar="PYTHON")
    about.add_argument("--reports", type=int, default=300)
    args = about.parse_args()
    program = str(pathlib.Path(args.program).resolve())
    work = pathlib.Path(tempfile.mkdtemp(prefix="dmarquet-engines-"))
    for name in ("in", "plain"):
        (work / name).mkdir()
    sums = made.make(work / "in", work / "plain", args.reports).values()
    for name, body in made.POISON.items():
        (work / "in" / name).write_bytes(body)
    total = lambda name: sum(week[name] for week in sums)
    expected = (total("records"), total("messages"), total("dmarc_pass"), args.reports)

    config = ("--config", "/dev/null")
    killed_and_run_twice(program, "--store", f"{work}/store", "ingest", f"{work}/in", f"{work}/plain", *config)
    killed_and_run_twice(program, "--store", f"{work}/store", "export", "--out", f"{work}/export", *config)
    sources = [Source("store", work / "store/records", work), Source("export", work / "export/records", work)]
    if args.spark:
        for name, more in (("lake", []), ("delta", ["--delta"])):
            for _ in range(2):
                job = [args.spark, ROOT / "notebooks/spark/lake.py", "--dmarquet", program, "--out", work / name, "--master", "local[2]", *more]
                done = subprocess.run([*map(str, job), f"{work}/in"], capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{job}: exit {done.returncode}: {done.stderr[-2000:]}")
        sources += [Source("Spark lake", work / "lake/records", work), Source("Delta", work / "delta/records", work)]
    sources.append(Source("Iceberg", work / "export/records", work))

    found = {engine: [read(source) for source in sources] for engine, read in ENGINES.items()}
    if args.spark:
        files = json.dumps([source.files for source in sources])
        done = subprocess.run([args.spark, "-c", SPARK, files], capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("SUMS")]
        found["Spark"] = [tuple(json.loads(line[5:])) for line in lines] or [done.stderr[-300:]] * len(sources)
    print(f"{expected[3]} reports, {expected[0]} records, {expected[1]} messages, {expected[2]} of them pass")
    print(f"\n| engine | {' | '.join(source.name for source in sources)} |\n|---|{'---|' * len(sources)}")
    cell = lambda sums: "-" if sums is None else "equal" if sums == expected else str(sums)
    for engine, cells in found.items():
        print(f"| {engine} | {' | '.join(map(cell, cells))} |")
    shutil.rmtree(work)
    return any(cells not in (expected, None) for row in found.values() for cells in row)


if __name__ == "__main__":
    sys.exit(main())
