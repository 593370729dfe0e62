#!/usr/bin/env python3
"""DMARC aggregate reports of any form into a lake, by Spark: `dmarquet convert` in every executor.

usage: lake.py --out LAKE INPUT...            or: spark-submit lake.py --out LAKE INPUT...

Comes in: folders or globs that Spark can read (file:, s3a:, abfss:, hdfs:): mails, report XML, gzip, zip, and packs of
them (mbox, zip, tar). Goes out, below LAKE:

  records/month=YYYY-MM/    one row a record, the columns of `dmarquet export`
  reports/month=YYYY-MM/    one row a report
  quarantine/day=YYYY-MM-DD/  what could not be read, and reports in conflict with one that is there: origin, outcome, reason

One run at a time. A report whose report_key is there is dropped, so a run over the same input adds nothing. A run
first writes below _runs/, then marks itself complete, then moves its files to their places; the next run ends the moves
of one that was killed after the mark, and removes what was killed before it.
"""
import argparse, datetime, io, json, os, struct, subprocess, tarfile, tempfile, threading, uuid, zipfile, zlib

import pyarrow as pa
import pyarrow.ipc
from pyspark import TaskContext
from pyspark.sql import SparkSession, Window, functions as F
from pyspark.sql.pandas.types import from_arrow_schema

# Members of packs beyond this are handed over unopened: `convert` then says what is wrong with them.
MEMBER_BYTES = 64 << 20
# A pack smaller than this goes whole: `convert` opens mbox and zip itself, within its own limits.
SMALL_PACK = 256 << 10
BATCH_ROWS = 8192


# ---------------------------------------------------------------------------------------------------------------
# In the executors: files to frames, frames through `dmarquet convert`, its answer to rows.

def mbox_messages(body):
    """The messages of an mbox: a line that begins with "From " behind an empty one, or at the top, begins one."""
    start = 0
    while start < len(body):
        end = body.find(b"\n\nFrom ", start)
        end = len(body) if end < 0 else end + 2
        head = body.find(b"\n", start) + 1
        yield body[head or end:end]
        start = end


def is_tar(body):
    head = body[:512]
    if body[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(31).decompress(body, 512)
        except zlib.error:
            return False
    return head[257:262] == b"ustar"


def items(name, body):
    """What is in a file, as (name, bytes): a pack's members, else the file itself."""
    large = len(body) >= SMALL_PACK
    try:
        if large and body[:5] == b"From ":
            messages = enumerate(mbox_messages(body), 1)
            yield from ((f"{name} > message {number}", message) for number, message in messages)
            return
        if large and body[:4] == b"PK\3\4":
            with zipfile.ZipFile(io.BytesIO(body)) as pack:
                members = [member for member in pack.infolist() if not member.is_dir()]
                if all(member.file_size <= MEMBER_BYTES and not member.flag_bits & 1 for member in members):
                    yield from ((f"{name} > {member.filename}", pack.read(member)) for member in members)
                    return
        if is_tar(body):
            with tarfile.open(fileobj=io.BytesIO(body)) as pack:
                for member in pack:
                    if member.isfile() and member.size <= MEMBER_BYTES:
                        yield f"{name} > {member.name}", pack.extractfile(member).read()
            return
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError):
        pass    # What was read of it stands; all of it is handed over too, to be named with a reason.
    yield name, body


def frame(name, body):
    # The last step of a name, behind a slash, is what `convert` takes for the file's own name.
    name = name.encode("utf-8", "replace")[-60000:]
    return struct.pack("<I", len(name)) + name + struct.pack("<I", len(body)), body


class Feeder(threading.Thread):
    """Writes the frames while the main thread reads the answer: neither pipe can fill up and stop both."""

    def __init__(self, batches, pipe):
        super().__init__(daemon=True)
        self.batches, self.pipe, self.error = batches, pipe, None

    def run(self):
        try:
            with self.pipe:
                for batch in self.batches:
                    for name, body in zip(batch["path"], batch["content"]):
                        for member in items(name.as_py(), body.as_py()):
                            for piece in frame(*member):
                                self.pipe.write(piece)
        except BrokenPipeError:
            pass    # The exit code says why.
        except BaseException as error:
            self.error = error


def converter(program, schema):
    """The function for `mapInArrow`: file rows in, rows of (task, record | report | outcome) out."""

    def convert(batches):
        task = TaskContext.get().partitionId()

        def rows(name, part):
            """One of the three structs filled, the others null."""
            columns = []
            for field in schema:
                if field.name == "task":
                    columns.append(pa.array([task] * part.num_rows, pa.int32()))
                elif field.name == name:
                    cells = [part.column(cell.name).cast(cell.type) for cell in field.type]
                    columns.append(pa.StructArray.from_arrays(cells, fields=list(field.type)))
                else:
                    columns.append(pa.nulls(part.num_rows, field.type))
            return pa.RecordBatch.from_arrays(columns, schema=schema)

        with tempfile.TemporaryDirectory(prefix="dmarquet-") as folder:
            outcomes, reports = f"{folder}/outcomes", f"{folder}/reports"
            command = [program, "convert", "--frames", "--threads", "1", "--outcomes", outcomes, "--reports", reports]
            with open(f"{folder}/errors", "w+b") as errors:
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
                try:
                    # Python ends no daemon thread that waits for a pipe: the process is killed, and then it ends.
                    feeder = Feeder(batches, process.stdin)
                    feeder.start()
                    with pa.ipc.open_stream(process.stdout) as answer:
                        yield from (rows("record", batch) for batch in answer if batch.num_rows)
                    feeder.join()
                    if feeder.error:
                        raise feeder.error
                    # 1: something was unreadable; the outcomes name it.
                    if process.wait() not in (0, 1):
                        errors.seek(0)
                        raise RuntimeError(f"{program} ended with {process.returncode}: {errors.read(4096).decode(errors='replace')}")
                finally:
                    process.kill()
                    process.wait()
            with pa.ipc.open_stream(reports) as answer:
                yield from (rows("report", batch) for batch in answer if batch.num_rows)
            with open(outcomes, encoding="utf-8") as lines:
                waiting = []
                for line in lines:
                    waiting.append(json.loads(line))
                    if len(waiting) == BATCH_ROWS:
                        yield rows("outcome", as_outcomes(waiting))
                        waiting = []
                if waiting:
                    yield rows("outcome", as_outcomes(waiting))

    return convert


OUTCOME = pa.schema([(name, pa.string()) for name in ("origin", "outcome", "reason", "report_key")])


def as_outcomes(lines):
    return pa.RecordBatch.from_pylist([{name: line.get(name) for name in OUTCOME.names} for line in lines], schema=OUTCOME)


# ---------------------------------------------------------------------------------------------------------------
# In the driver.

def schemas(program):
    """The columns as this program writes them: asked, not copied."""
    with tempfile.TemporaryDirectory(prefix="dmarquet-") as folder:
        command = [program, "convert", "--frames", "--reports", f"{folder}/reports"]
        records = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
        with pa.ipc.open_stream(f"{folder}/reports") as reports:
            return pa.ipc.open_stream(records).schema, reports.schema


def as_spark(field):
    """A field in types that Spark and its Arrow agree on: microseconds, everything nullable."""
    kind = field.type
    if pa.types.is_timestamp(kind):
        kind = pa.timestamp("us", tz="UTC")
    elif pa.types.is_list(kind):
        kind = pa.list_(as_spark(kind.value_field))
    elif pa.types.is_struct(kind):
        kind = pa.struct([as_spark(cell) for cell in kind])
    return pa.field(field.name, kind)


class Files:
    """Hadoop's view of the lake's file system, whatever it is."""

    def __init__(self, spark, root):
        self.jvm, self.root = spark._jvm, root.rstrip("/")
        self.fs = self.path("").getFileSystem(spark._jsc.hadoopConfiguration())

    def path(self, below):
        return self.jvm.org.apache.hadoop.fs.Path(f"{self.root}/{below}" if below else self.root)

    def list(self, below):
        path = self.path(below)
        return [entry.getPath().getName() for entry in self.fs.listStatus(path)] if self.fs.exists(path) else []

    def has(self, below):
        return self.fs.exists(self.path(below))

    def create(self, below):
        self.fs.create(self.path(below), True).close()

    def remove(self, below):
        self.fs.delete(self.path(below), True)

    def move(self, source, target):
        self.fs.mkdirs(self.path(target).getParent())
        if not self.fs.rename(self.path(source), self.path(target)):
            raise RuntimeError(f"{self.root}: cannot move {source} to {target}")


TABLES = {"records": "month", "reports": "month", "quarantine": "day"}


def settle(files):
    """End the moves of complete runs, remove the rest of incomplete ones."""
    for run in files.list("_runs"):
        if files.has(f"_runs/{run}/_COMPLETE"):
            for table in TABLES:
                for folder in files.list(f"_runs/{run}/{table}"):
                    for name in files.list(f"_runs/{run}/{table}/{folder}"):
                        if name.endswith(".parquet"):
                            files.move(f"_runs/{run}/{table}/{folder}/{name}", f"{table}/{folder}/{run}-{name}")
        files.remove(f"_runs/{run}")


def known_keys(spark, files):
    if not files.list("reports"):
        return spark.createDataFrame([], "report_key string, content_hash string")
    return spark.read.parquet(f"{files.root}/reports").select("report_key", "content_hash")


def write(rows, files, run, table):
    """Gather small parts into large files, a few a partition, sorted as the store sorts its own."""
    partition = TABLES[table]
    order = [name for name in (partition, "date", "policy_domain", "source_ip") if name in rows.columns]
    rows.hint("rebalance", partition).sortWithinPartitions(*order) \
        .write.partitionBy(partition).parquet(f"{files.root}/_runs/{run}/{table}")


def run_once(spark, program, inputs, out, partitions=None):
    """One run; gives what became of everything, by outcome."""
    files = Files(spark, out)
    settle(files)
    run = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S") + "-" + uuid.uuid4().hex[:8]
    records, reports = schemas(program)
    structs = {"record": records, "report": reports, "outcome": OUTCOME}
    schema = pa.schema([pa.field("task", pa.int32())] +
                       [pa.field(name, pa.struct([as_spark(cell) for cell in cells])) for name, cells in structs.items()])

    found = spark.read.format("binaryFile").option("recursiveFileLookup", True).load(inputs).select("path", "content")
    if partitions:
        # For many small files: the paths are dealt out, and read where they are converted.
        found = found.coalesce(partitions)
    staged = f"{files.root}/_runs/{run}/staged"
    found.mapInArrow(converter(program, schema), from_arrow_schema(schema)).write.parquet(staged)
    rows = spark.read.parquet(staged)

    # Of the reports only keys are shuffled. The first of a key stays; (key, task) names one reading of a report.
    seen = rows.where("report IS NOT NULL").select("task", "report.report_key", "report.content_hash", "report.origin")
    seen = seen.join(known_keys(spark, files).withColumnRenamed("content_hash", "known_hash"), "report_key", "left")
    first = F.min(F.struct("origin", "task", "content_hash")).over(
        Window.partitionBy("report_key")).alias("first")
    seen = seen.select("*", first)
    stays = F.col("known_hash").isNull() & (F.col("first.task") == F.col("task"))
    dropped = seen.where(~stays).select(
        "report_key", "task", "origin",
        F.when(F.col("content_hash") == F.coalesce("known_hash", "first.content_hash"), "duplicate")
        .otherwise("conflict").alias("outcome")).persist()
    keys = dropped.select("report_key", "task")
    for table, struct in (("records", "record"), ("reports", "report")):
        part = rows.where(f"{struct} IS NOT NULL").select("task", f"{struct}.*").join(keys, ["report_key", "task"], "left_anti")
        part = part.select(*[F.col(name) for name in structs[struct].names]).withColumn("month", F.date_format("date", "yyyy-MM"))
        write(part, files, run, table)

    # Everything found ends in one place: what was dropped here is no longer stored.
    told = rows.where("outcome IS NOT NULL").select("task", "outcome.*")
    later = dropped.select("report_key", "task", F.col("outcome").alias("later"))
    told = told.join(later, ["report_key", "task"], "left")
    told = told.withColumn("outcome", F.when((F.col("outcome") == "stored") & F.col("later").isNotNull(), F.col("later"))
                           .otherwise(F.col("outcome"))).persist()
    aside = told.where("outcome IN ('rejected', 'conflict')").select("origin", "outcome", "reason", "report_key")
    if files.list("quarantine"):
        there = spark.read.parquet(f"{files.root}/quarantine").select("origin", "outcome")
        aside = aside.join(there, ["origin", "outcome"], "left_anti")
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    write(aside.withColumn("day", F.lit(today)), files, run, "quarantine")
    counts = {row["outcome"]: row["count"] for row in told.groupBy("outcome").count().collect()}
    told.unpersist(), dropped.unpersist()
    files.create(f"_runs/{run}/_COMPLETE")
    settle(files)
    return dict(sorted(counts.items()))


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
    spark.read.parquet(f"{out.rstrip('/')}/records").createOrReplaceTempView("records")
    spark.sql(WEEKLY)


def session(master=None):
    build = SparkSession.builder.appName("dmarquet")
    if master:
        build = build.master(master)
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MILLIS",
        # Many small files in one task: what a file costs to open is much less than Spark thinks.
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
    about.add_argument("--master", help="Spark's master [default: spark-submit's]")
    args = about.parse_args()
    spark = session(args.master)
    print(json.dumps(run_once(spark, args.dmarquet, args.inputs, args.out, args.partitions)))
    views(spark, args.out)
    spark.sql("SELECT week, sum(reports) reports, sum(records) records, sum(messages) messages, sum(dmarc_pass) dmarc_pass "
              "FROM weekly GROUP BY week ORDER BY week DESC LIMIT 8").show(truncate=False)


if __name__ == "__main__":
    main()
