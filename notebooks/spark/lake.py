#!/usr/bin/env python3
"""Convert DMARC aggregate reports to a lake with Spark: `dmarquet convert` runs in every executor.

usage: lake.py --out LAKE INPUT...            or: spark-submit lake.py --out LAKE INPUT...

INPUT: folders or globs that Spark can read (file:, s3a:, abfss:, hdfs:), with mails, report XML, gzip, zip, and archives of
them (mbox, zip, tar). Written to LAKE:

  records/month=YYYY-MM/      one row per record, the columns of `dmarquet export`
  reports/month=YYYY-MM/      one row per report
  quarantine/day=YYYY-MM-DD/  unreadable inputs, and reports in conflict with a stored one: origin, outcome, reason

Run one job at a time. A report whose report_key is already stored is dropped, so a second run over the same input adds
nothing. A run first writes to _runs/, then marks itself as complete, then moves its files. If it was killed after the mark,
the next run finishes its moves; if before, the next run removes its files. With --delta the tables are Delta tables, whose
logs (`lake_delta.py`) list the files that count.
"""
import argparse, datetime, json, os, subprocess, sys, tempfile, uuid

import pyarrow as pa
import pyarrow.ipc
from pyspark import cloudpickle
from pyspark.sql import SparkSession, Window, functions as F
from pyspark.sql.pandas.types import from_arrow_schema

import lake_executor
from lake_executor import OUTCOME, STAGED, converter, unpacker

# Its functions are sent to the executors: only Python packages have to be installed there.
cloudpickle.register_pickle_by_value(lake_executor)


def schemas(program):
    """The columns of each table as this version of dmarquet writes them, in types that Spark has."""
    with tempfile.TemporaryDirectory(prefix="dmarquet-") as folder:
        command = [program, "convert", "--frames", "--reports", f"{folder}/reports"]
        records = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
        with pa.ipc.open_stream(f"{folder}/reports") as reports:
            found = {"records": pa.ipc.open_stream(records).schema, "reports": reports.schema, "outcomes": OUTCOME}
    return {name: pa.schema([as_spark(field) for field in schema]) for name, schema in found.items()}


def as_spark(field):
    """A field in a type that Spark and its Arrow agree on: times in microseconds."""
    kind = field.type
    if pa.types.is_timestamp(kind):
        kind = pa.timestamp("us", tz="UTC")
    elif pa.types.is_list(kind):
        kind = pa.list_(as_spark(kind.value_field))
    elif pa.types.is_struct(kind):
        kind = pa.struct([as_spark(cell) for cell in kind])
    return pa.field(field.name, kind, field.nullable)


class Files:
    """Hadoop's view of the lake's file system, whatever it is."""

    def __init__(self, spark, root):
        self.jvm, self.root = spark._jvm, root.rstrip("/")
        self.fs = self.path("").getFileSystem(spark._jsc.hadoopConfiguration())

    def path(self, below):
        return self.jvm.org.apache.hadoop.fs.Path(f"{self.root}/{below}" if below else self.root)

    def sizes(self, below):
        """The files in a folder, by name, with their sizes."""
        path = self.path(below)
        found = self.fs.listStatus(path) if self.fs.exists(path) else []
        return {entry.getPath().getName(): entry.getLen() for entry in found}

    def list(self, below):
        return list(self.sizes(below))

    def has(self, below):
        return self.fs.exists(self.path(below))

    def write(self, below, value):
        """Write a JSON file atomically."""
        out = self.fs.create(self.path(f"{below}.part"), True)
        out.write(bytearray(json.dumps(value), "utf-8"))
        out.close()
        self.move(f"{below}.part", below)

    def read(self, below):
        source = self.fs.open(self.path(below))
        try:
            return json.loads(self.jvm.org.apache.commons.io.IOUtils.toString(source, "UTF-8"))
        finally:
            source.close()

    def remove(self, below):
        self.fs.delete(self.path(below), True)

    def move(self, source, target):
        self.fs.mkdirs(self.path(target).getParent())
        if not self.fs.rename(self.path(source), self.path(target)):
            raise RuntimeError(f"{self.root}: cannot move {source} to {target}")


# The same as in the store: a reader holds one row group at a time.
GROUP_ROWS = 65536
TABLES = {"records": "month", "reports": "month", "quarantine": "day"}


def settle(files):
    """Finish the moves and commits of complete runs, and remove the files of incomplete ones."""
    for run in files.list("_runs"):
        if files.has(f"_runs/{run}/_COMPLETE"):
            log = files.read(f"_runs/{run}/_COMPLETE").get("delta")
            if log:
                publish(files, run, log)
            else:
                for table in TABLES:
                    move(files, run, table)
        files.remove(f"_runs/{run}")


def move(files, run, table):
    for folder in files.list(f"_runs/{run}/{table}"):
        for name in files.list(f"_runs/{run}/{table}/{folder}"):
            if name.endswith(".parquet"):
                files.move(f"_runs/{run}/{table}/{folder}/{name}", f"{table}/{folder}/{run}-{name}")


def publish(files, run, log):
    """Move a run's files to their folders, and commit them to the logs of their tables."""
    import lake_delta
    tables = lake_delta.Tables(files.root)
    for table in lake_delta.ORDER:
        move(files, run, table)
        try:
            tables.commit(run, table, log["files"][table], log["base"] if table == "reports" else None)
        except lake_delta.Overtaken:
            for file in log["files"][table]:
                files.remove(f"{table}/{file['path']}")
            files.remove(f"_runs/{run}")
            raise


def is_delta(files):
    return files.has("reports/_delta_log")


def table(spark, files, name, schema=None):
    """The live rows of a table, or an empty table with the schema."""
    root = f"{files.root}/{name}"
    paths = [root] if files.list(name) else []
    if paths and is_delta(files):
        import lake_delta
        paths = [f"{root}/{path}" for path in lake_delta.Tables(files.root).files(name)[1]]
    return spark.read.option("basePath", root).parquet(*paths) if paths else spark.createDataFrame([], schema)


def described(spark, files, run, name):
    """A run's files of a table for a Delta log: with their number of rows, and the ranges that let a reader skip them."""
    root = f"{files.root}/_runs/{run}/{name}"
    sizes = {f"{folder}/{file}": size for folder in files.list(f"_runs/{run}/{name}") if "=" in folder
             for file, size in files.sizes(f"_runs/{run}/{name}/{folder}").items() if file.endswith(".parquet")}
    if not sizes:
        return []
    rows = spark.read.parquet(root)
    ranges = [column for column in ("date", "policy_domain") if column in rows.columns]
    ends = [end(column).cast("string").alias(f"{word}_{column}") for column in ranges for word, end in (("min", F.min), ("max", F.max))]
    found = []
    for row in rows.groupBy(F.col("_metadata.file_path").alias("path")).agg(F.count("*").alias("rows"), *ends).collect():
        folder, file = row["path"].split("/")[-2:]
        stats = {"numRecords": row["rows"]} | {
            f"{word}Values": {column: row[f"{word}_{column}"] for column in ranges if row[f"{word}_{column}"] is not None}
            for word in ("min", "max")}
        found.append({"path": f"{folder}/{run}-{file}", "size": sizes[f"{folder}/{file}"],
                      "partition": dict([folder.split("=", 1)]), "stats": stats})
    return found


def write(rows, files, run, table):
    """Merge small parts into large files, a few per partition, sorted as in the store."""
    partition = TABLES[table]
    # The store's files have milliseconds; a Delta table can only have microseconds.
    unit = "MICROS" if is_delta(files) else "MILLIS"
    rows.sparkSession.conf.set("spark.sql.parquet.outputTimestampType", f"TIMESTAMP_{unit}")
    order = [name for name in (partition, "date", "policy_domain", "source_ip") if name in rows.columns]
    rows.hint("rebalance", partition).sortWithinPartitions(*order) \
        .write.partitionBy(partition).option("parquet.block.row.count.limit", GROUP_ROWS) \
        .parquet(f"{files.root}/_runs/{run}/{table}")


def empty_files(spark, inputs):
    """The empty input files, which Spark skips: they are listed here."""
    found = []
    for name in inputs:
        pattern = spark._jvm.org.apache.hadoop.fs.Path(name)
        fs = pattern.getFileSystem(spark._jsc.hadoopConfiguration())
        for root in fs.globStatus(pattern) or []:
            entries, above = fs.listFiles(root.getPath(), True), root.getPath().toString()
            while entries.hasNext():
                entry = entries.next()
                path = entry.getPath().toString()
                # Hidden files are no input, as in Spark.
                hidden = any(part[:1] in ("_", ".") for part in path[len(above):].split("/"))
                if entry.getLen() == 0 and not hidden:
                    found.append(path)
    return found


def run_once(spark, program, inputs, out, partitions=None, delta=False):
    """Run once; returns the number of items per outcome."""
    files = Files(spark, out)
    settle(files)
    run = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S") + "-" + uuid.uuid4().hex[:8]
    columns = schemas(program)

    base = begin_delta(files, columns) if delta or is_delta(files) else None
    known = table(spark, files, "reports", "report_key string, content_hash string").select("report_key", "content_hash")

    found = spark.read.format("binaryFile").option("recursiveFileLookup", True).load(inputs).select("path", "content")
    if partitions:
        # Many small files: the paths are distributed, and the files are read where they are converted.
        found = found.coalesce(partitions)
    staged = f"{files.root}/_runs/{run}/staged"
    found.mapInArrow(converter(program), from_arrow_schema(STAGED)).write.option("compression", "uncompressed").parquet(staged)
    # The arrival of everything in this run, to the millisecond, as in a store.
    now = datetime.datetime.now(datetime.timezone.utc)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)

    def rows(name, *wanted):
        schema = pa.schema([pa.field("task", pa.int32())] + [field for field in columns[name] if not wanted or field.name in wanted])
        return spark.read.parquet(staged).where(F.col("table") == name).mapInArrow(unpacker(schema, now), from_arrow_schema(schema))

    # Only keys of reports are shuffled. The first report with a key stays; (key, task) identifies one copy of a report.
    seen = rows("reports", "report_key", "content_hash", "origin")
    seen = seen.join(known.withColumnRenamed("content_hash", "known_hash"), "report_key", "left")
    first = F.min(F.struct("origin", "task", "content_hash")).over(
        Window.partitionBy("report_key")).alias("first")
    seen = seen.select("*", first)
    stays = F.col("known_hash").isNull() & (F.col("first.task") == F.col("task"))
    dropped = seen.where(~stays).select(
        "report_key", "task", "origin",
        F.when(F.col("content_hash") == F.coalesce("known_hash", "first.content_hash"), "duplicate")
        .otherwise("conflict").alias("outcome")).persist()
    keys = dropped.select("report_key", "task")
    for name in ("records", "reports"):
        part = rows(name).join(keys, ["report_key", "task"], "left_anti").select(*columns[name].names)
        part = part.withColumn("month", F.date_format("date", "yyyy-MM"))
        write(part, files, run, name)

    # Every item has one outcome: what was dropped here does not count as stored.
    told = rows("outcomes")
    empty = [(path, "rejected", "empty file") for path in empty_files(spark, inputs)]
    told = told.unionByName(spark.createDataFrame(empty, "origin string, outcome string, reason string"), allowMissingColumns=True)
    later = dropped.select("report_key", "task", F.col("outcome").alias("later"))
    told = told.join(later, ["report_key", "task"], "left")
    told = told.withColumn("outcome", F.when((F.col("outcome") == "stored") & F.col("later").isNotNull(), F.col("later"))
                           .otherwise(F.col("outcome"))).persist()
    aside = told.where("outcome IN ('rejected', 'conflict')").select("origin", "outcome", "reason", "report_key")
    there = table(spark, files, "quarantine", "origin string, outcome string").select("origin", "outcome")
    aside = aside.join(there, ["origin", "outcome"], "left_anti")
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    write(aside.withColumn("day", F.lit(today)), files, run, "quarantine")
    counts = {row["outcome"]: row["count"] for row in told.groupBy("outcome").count().collect()}
    told.unpersist(), dropped.unpersist()
    mark = {}
    if base is not None:
        mark["delta"] = {"base": base, "files": {name: described(spark, files, run, name) for name in TABLES}}
    files.write(f"_runs/{run}/_COMPLETE", mark)
    settle(files)
    return dict(sorted(counts.items()))


def begin_delta(files, columns):
    """Create missing tables; returns the version of `reports` that this run compares with."""
    import lake_delta
    if files.list("reports") and not is_delta(files):
        raise SystemExit(f"{files.root}: expected Delta tables, found plain Parquet; `deltalake.convert_to_deltalake` makes them so")
    tables = lake_delta.Tables(files.root)
    for name, partition in TABLES.items():
        fields = columns["outcomes" if name == "quarantine" else name]
        missing = tables.create(name, fields.append(pa.field(partition, pa.string())), partition)
        if missing:
            raise SystemExit(f"{files.root}/{name}: expected the columns of this dmarquet, found none of its type for "
                             f"{', '.join(missing)}: another version made the table; make a new lake")
    return tables.files("reports")[0]


WEEKLY = """
CREATE OR REPLACE TEMPORARY VIEW weekly AS
SELECT concat(extract(YEAROFWEEK FROM date), '-W', lpad(weekofyear(date), 2, '0')) AS week, policy_domain,
       count(DISTINCT report_key) AS reports, count(*) AS records, sum(count) AS messages,
       coalesce(sum(count) FILTER (WHERE dmarc_pass), 0) AS dmarc_pass,
       coalesce(sum(count) FILTER (WHERE dkim_aligned AND spf_aligned), 0) AS `both`,
       coalesce(sum(count) FILTER (WHERE dkim_aligned AND spf_aligned IS NOT TRUE), 0) AS dkim_only,
       coalesce(sum(count) FILTER (WHERE spf_aligned AND dkim_aligned IS NOT TRUE), 0) AS spf_only,
       coalesce(sum(count) FILTER (WHERE dkim_aligned IS NOT TRUE AND spf_aligned IS NOT TRUE), 0) AS neither
FROM records GROUP BY ALL
"""


def views(spark, out):
    """The views `records` and `weekly`, for Spark SQL."""
    table(spark, Files(spark, out), "records").createOrReplaceTempView("records")
    spark.sql(WEEKLY)


def session(master=None):
    # Started by Python, not by spark-submit: the executors need this Python, which has the packages.
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    build = SparkSession.builder.appName("dmarquet")
    if master:
        build = build.master(master)
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.compression.codec": "zstd",
        # Many small files in one task: opening a file costs much less than Spark assumes.
        "spark.sql.files.openCostInBytes": "65536",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
        "spark.sql.execution.arrow.maxBytesPerBatch": "67108864",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    for name, value in settings.items():
        build = build.config(name, value)
    return build.getOrCreate()


def main():
    about = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    about.add_argument("inputs", nargs="+", metavar="INPUT")
    about.add_argument("--out", required=True, metavar="LAKE")
    about.add_argument("--dmarquet", default=os.environ.get("DMARQUET", "dmarquet"), metavar="PROGRAM",
                       help="the program, at the same path on every node [default: $DMARQUET, else dmarquet]")
    about.add_argument("--partitions", type=int, help="tasks to read with, for very many small files")
    about.add_argument("--delta", action="store_true", help="make Delta tables; a lake that has them keeps them")
    about.add_argument("--master", help="Spark's master [default: spark-submit's]")
    args = about.parse_args()
    spark = session(args.master)
    try:
        counts = run_once(spark, args.dmarquet, args.inputs, args.out, args.partitions, args.delta)
        print(json.dumps(counts))
        if counts.keys() & {"stored", "duplicate"}:
            views(spark, args.out)
            spark.sql("SELECT week, sum(reports) reports, sum(records) records, sum(messages) messages, sum(dmarc_pass) dmarc_pass "
                      "FROM weekly GROUP BY week ORDER BY week DESC LIMIT 8").show(truncate=False)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
