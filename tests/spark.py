#!/usr/bin/env python3
"""Run notebooks/spark/lake.py on generated reports of every form, and compare its lake with the numbers they were generated from.

usage: spark.py PROGRAM [--reports 500] [--master local[2]] [--kill]      PROGRAM: dmarquet

Checks: sums of the made reports, of the lake by week, of `summary` and `status --records` and of a store of the same reports are
equal, and so is every row and every column's type; all rows of a run have its time; a second run adds nothing; poisoned inputs are named and the rest is there; a run that is
killed before or after its mark is undone or ended by the next one; the same as Delta tables, read by `deltalake` and by
`--records` after a compaction. --kill kills an executor in mid-run (for
local-cluster). Prints differences and exits with 1.
"""
import argparse, collections, datetime, glob, gzip, importlib.util, io, json, os, pathlib, shutil, signal, subprocess, sys
import tarfile, tempfile, threading, time, zipfile
from email.message import EmailMessage

import pyarrow as pa
import pyarrow.parquet

HERE = pathlib.Path(__file__).resolve().parent
FIRST = datetime.date(2026, 10, 5)
SUMS = ("messages", "dmarc_pass", "both", "dkim_only", "spf_only", "neither", "records")


def load(path):
    # Not registered as a module: so Spark sends its functions to the executors by value.
    spec = importlib.util.spec_from_file_location("lake", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(number, sums):
    """The XML of report `number`; what is in it is added to `sums` of its week."""
    day = FIRST + datetime.timedelta(days=number % 42)
    begin = int(datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc).timestamp())
    domain = ("example.com", "example.net", "example.org")[number % 3]
    week = sums["{}-W{:02}".format(*day.isocalendar()[:2])]
    rows = []
    for row in range(1 + number * 7 % 11):
        dkim, spf, count = (number + row) % 3 > 0, (number + row) % 4 > 1, 1 + (number * 13 + row) % 29
        week["records"] += 1
        week["messages"] += count
        week["dmarc_pass"] += count * (dkim or spf)
        week["both" if dkim and spf else "dkim_only" if dkim else "spf_only" if spf else "neither"] += count
        word = {True: "pass", False: "fail"}
        rows.append(f"""<record><row><source_ip>192.0.2.{1 + row}</source_ip><count>{count}</count><policy_evaluated>
<disposition>none</disposition><dkim>{word[dkim]}</dkim><spf>{word[spf]}</spf></policy_evaluated></row>
<identifiers><header_from>{domain}</header_from><envelope_from>{domain}</envelope_from></identifiers><auth_results>
<dkim><domain>{domain}</domain><selector>s{row % 2}</selector><result>{word[dkim]}</result></dkim>
<spf><domain>{domain}</domain><result>{word[spf]}</result></spf></auth_results></record>""")
    return f"""<?xml version="1.0"?><feedback><report_metadata><org_name>mx{number % 5}.example.net</org_name>
<email>dmarc@mx{number % 5}.example.net</email><report_id>made-{number}</report_id><date_range><begin>{begin}</begin>
<end>{begin + 86399}</end></date_range></report_metadata><policy_published><domain>{domain}</domain><p>none</p>
<pct>{100 if number % 2 else 50}</pct></policy_published>{"".join(rows)}</feedback>""".encode()


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, body in members:
            pack.writestr(name, body)
    return out.getvalue()


def mail(name, body):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "dmarc@example.net", "dmarc@example.com", "Report Domain: example.com"
    message["Message-ID"] = f"<{name}@example.net>"
    message.set_content("A report is attached.")
    message.add_attachment(gzip.compress(body, mtime=0), maintype="application", subtype="gzip", filename=name + ".gz")
    return message.as_bytes()


def tarred(members, mode):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as pack:
        for name, body in members:
            member = tarfile.TarInfo(name)
            member.size = len(body)
            pack.addfile(member, io.BytesIO(body))
    return out.getvalue()


def make(folder, plain, count):
    """`count` reports in mixed forms in `folder`, the same as plain XML in `plain`; gives their sums by week."""
    sums = collections.defaultdict(collections.Counter)
    forms = collections.defaultdict(list)
    for number in range(count):
        name, body = f"made-{number:06}.xml", made(number, sums)
        (plain / name).write_bytes(body)
        forms[number % 8].append((name, body))
    for name, body in forms[0]:
        (folder / name).write_bytes(body)
    for name, body in forms[1]:
        (folder / f"{name}.gz").write_bytes(gzip.compress(body, mtime=0))
    for name, body in forms[2]:
        (folder / f"{name}.zip").write_bytes(zipped([(name, body)]))
    for name, body in forms[3]:
        (folder / f"{name}.eml").write_bytes(mail(name, body))
    mbox = b"".join(b"From dmarc@example.net Mon Oct  5 00:00:00 2026\n" + mail(name, body) + b"\n" for name, body in forms[4])
    (folder / "reports.mbox").write_bytes(mbox)
    (folder / "pack.zip").write_bytes(zipped(forms[5]))
    (folder / "pack.tar").write_bytes(tarred(forms[6], "w"))
    (folder / "pack.tar.gz").write_bytes(tarred(forms[7], "w:gz"))
    # The same reports once more, elsewhere and in another form: dropped, whichever executor reads them.
    (folder / "again").mkdir()
    for name, body in forms[0][:20] + forms[6][:20]:
        (folder / "again" / f"{name}.gz").write_bytes(gzip.compress(body, mtime=0))
    return sums


POISON = {
    "cut.xml.gz": gzip.compress(b"<feedback>" + os.urandom(4000), mtime=0)[:900],
    "empty.xml": b"",
    "half.xml": b"<feedback><report_metadata><org_name>mx.example.net",
    "bomb.xml.gz": gzip.compress(bytes(120 << 20), 9, mtime=0),
    "broken.zip": b"PK\3\4" + bytes(400 << 10),
    "cut.tar": tarred([("made.xml", made(0, collections.defaultdict(collections.Counter))), ("zeros", bytes(4000))], "w")[:3000],
}


class Faults(list):
    def equal(self, what, found, expected):
        if found != expected:
            self.append(f"{what}: expected {expected}, found {found}")


def weeks_of_lake(spark, lake, out):
    lake.views(spark, out)
    rows = spark.sql(f"SELECT week, {', '.join(f'sum(`{name}`) AS `{name}`' for name in SUMS)} FROM weekly GROUP BY week").collect()
    return {row["week"]: {name: row[name] for name in SUMS} for row in rows}


def run_program(program, *args):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True)
    if done.returncode > 1:
        sys.exit(f"dmarquet {args}: {done.stderr}")
    return done.stdout


def exported(program, *args):
    return [json.loads(line) for line in run_program(program, "export", "--format", "ndjson", *args).splitlines()]


def lines(program, *args):
    """All rows, without an order, and without the one column that is another in each lake; for that one there is `times`."""
    return sorted(json.dumps({name: row[name] for name in row if name != "ingested"}) for row in exported(program, *args))


def times(program, *args):
    """When the rows of each report say that it was stored."""
    found = collections.defaultdict(set)
    for row in exported(program, *args):
        found[row["report_key"]].add(datetime.datetime.fromisoformat(row["ingested"]))
    return {key: frozenset(values) for key, values in found.items()}


def check_times(faults, when, found, before, began):
    """That what was there before a run has the times it had, and all that it added has the one time of the run."""
    faults.equal(f"times {when} that changed", before.items() - found.items(), set())
    new = {time for key, values in found.items() if key not in before for time in values}
    faults.equal(f"number of times {when}", len(new), 1)
    # To the millisecond, as in a store: it may lie that much before the beginning.
    begun = datetime.datetime.fromtimestamp(began - 0.001, datetime.timezone.utc)
    now = datetime.datetime.now(datetime.timezone.utc)
    faults.equal(f"times {when} that are not of the run", {time for time in new if not begun <= time <= now}, set())


def times_of_reports(faults, rows):
    """The same as `times`, by a data frame of `reports`; Python's Spark gives times in the zone of this process."""
    faults.equal("reports stored before they arrived", rows.where("arrival > ingested").count(), 0)
    rows = rows.select("report_key", "ingested").collect()
    return {row["report_key"]: frozenset([row["ingested"].astimezone(datetime.timezone.utc)]) for row in rows}


def status(program, *args):
    """What `status` says of the reports, but for when and where they came."""
    said = json.loads(run_program(program, *args, "--format", "json"))
    reporters = [{name: value for name, value in reporter.items() if name != "newest_arrival"} for reporter in said["reporters"]]
    return {name: said[name] for name in ("reports", "records", "messages", "dmarc_pass", "months")} | {"reporters": reporters}


def columns(folder):
    """The columns of a table's files: where they lie, their types, what may be null (by the levels). All files have the same."""
    found = set()
    for path in glob.glob(f"{folder}/*=*/*.parquet"):
        schema = pyarrow.parquet.ParquetFile(path).schema
        leaves = (schema.column(number) for number in range(len(schema)))
        found.add(tuple((leaf.path, leaf.physical_type, str(leaf.logical_type), leaf.max_definition_level, leaf.max_repetition_level)
                        for leaf in leaves))
    return found


def is_ours(process):
    """Whether a process descends from this one."""
    while process > 1:
        if process == os.getpid():
            return True
        try:
            process = int(pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return False


def kill_an_executor(done):
    """SIGKILL to the first executor process of ours, while it works on a task."""
    while not done.is_set():
        time.sleep(0.5)
        for status in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                command = pathlib.Path(status).read_bytes().split(b"\0")
            except OSError:
                continue
            process = int(status.split("/")[2])
            busy = b"org.apache.spark.executor.CoarseGrainedExecutorBackend" in command and is_ours(process)
            if busy and glob.glob(f"{tempfile.gettempdir()}/dmarquet-*/outcomes"):
                time.sleep(1)
                os.kill(process, signal.SIGKILL)
                print("killed an executor", flush=True)
                return


def check_delta(spark, lake, program, work, of_store, faults):
    """The same reports as Delta tables: once, again, cut short between two commits, overtaken, compacted."""
    import deltalake, lake_delta
    out = str(work / "delta")
    tables = lake_delta.Tables(out)

    def equal(when, rows):
        faults.equal(f"rows of the Delta table {when}", tables.open("records").count(), len(rows))
        faults.equal(f"rows by --records {when}", lines(program, "--records", out) == rows, True)

    began = time.time()
    counts = lake.run_once(spark, program, [str(work / "in")], out, delta=True)
    faults.equal("stored as Delta", counts["stored"], len({json.loads(row)["report_key"] for row in of_store}))
    equal("after the first run", of_store)
    first = times(program, "--records", out)
    check_times(faults, "of the Delta table", first, {}, began)
    # A Delta table may only say microseconds.
    for table in ("records", "reports"):
        in_micros = {tuple((*leaf[:2], leaf[2].replace("milliseconds", "microseconds"), *leaf[3:]) for leaf in leaves)
                     for leaves in columns(work / "export" / table)}
        faults.equal(f"columns of the Delta table {table}", columns(f"{out}/{table}"), in_micros)
        needed = {leaf[0] for leaves in in_micros for leaf in leaves if leaf[3] == 0}
        faults.equal(f"columns that the log of {table} says are never null",
                     {field.name for field in tables.open(table).schema().fields if not field.nullable}, needed)

    # Over the same and more, and the power goes between the commit of `reports` and that of `records`: the next run ends it.
    commit = lake_delta.Tables.commit

    def cut(self, run, table, *args):
        if table == "records":
            raise InterruptedError
        commit(self, run, table, *args)

    began = time.time()
    lake_delta.Tables.commit = cut
    try:
        lake.run_once(spark, program, [str(work / "in"), str(work / "poison")], out)
        faults.append("a run cut between two commits: expected an error, found none")
    except InterruptedError:
        pass
    lake_delta.Tables.commit = commit
    lake.settle(lake.Files(spark, out))
    with_poison = lines(program, "--records", work / "lake")
    equal("after a run that was cut", with_poison)
    second = times(program, "--records", out)
    check_times(faults, "after a run that was cut", second, first, began)
    of_reports = times_of_reports(faults, lake.table(spark, lake.Files(spark, out), "reports"))
    faults.equal("times in which the Delta tables differ", of_reports.items() ^ second.items(), set())
    named = tables.open("quarantine").to_pyarrow_table().to_pylist()
    faults.equal("quarantine as Delta", sorted(row["origin"].rsplit("/", 1)[1] for row in named if row["outcome"] == "rejected"), sorted(POISON))

    # Two runs that looked at the same version: the later commit finds the other one's, and adds nothing.
    file = {"path": "month=2026-10/never.parquet", "size": 1, "partition": {"month": "2026-10"}, "stats": {}}
    try:
        tables.commit("another", "reports", [file], base=tables.open("reports").version() - 1)
        faults.append("a run that was overtaken: expected an error, found none")
    except lake_delta.Overtaken:
        pass

    for table in ("records", "reports"):
        there = tables.open(table)
        there.optimize.compact()
        there.create_checkpoint()
        for commit in (work / "delta" / table / "_delta_log").glob("*.json"):
            if int(commit.stem) < there.version():
                commit.unlink()
    equal("after a compaction, from its checkpoint", with_poison)
    faults.equal("times that differ after a compaction", times(program, "--records", out).items() ^ second.items(), set())
    period = ("--from", FIRST, "--to", FIRST + datetime.timedelta(days=41), "--format", "json")
    faults.equal("summary --records of Delta", json.loads(run_program(program, "summary", "--records", out, *period)),
                 json.loads(run_program(program, "summary", "--records", work / "lake", *period)))
    faults.equal("status --records of Delta", status(program, "status", "--records", out),
                 status(program, "status", "--records", work / "lake"))
    # What is committed after an upkeep is no run that overtakes.
    (work / "more").mkdir()
    (work / "more/more.xml").write_bytes(made(len(of_store), collections.defaultdict(collections.Counter)))
    base = tables.open("reports").version()
    deltalake.DeltaTable(f"{out}/reports").vacuum(0, dry_run=False, enforce_retention_duration=False)
    faults.equal("after a vacuum", lake.run_once(spark, program, [str(work / "more")], out), {"stored": 1})
    faults.equal("a version for it", tables.open("reports").version() > base, True)

    # Tables with the columns of another version are refused: their logs would not say what is in the files.
    older = lake.schemas(program)
    older["reports"] = pa.schema([field.with_type(pa.string()) if field.name == "findings" else
                                  field.with_name("begin") if field.name == "period_begin" else field for field in older["reports"]])
    lake.begin_delta(lake.Files(spark, str(work / "older")), older)
    try:
        lake.run_once(spark, program, [str(work / "more")], str(work / "older"))
        faults.append("a Delta table of another version: expected a refusal, found none")
    except SystemExit as refusal:
        faults.equal("what is refused", "/older/reports: expected the columns of this dmarquet, found none of its type for "
                     "period_begin, findings:" in str(refusal), True)


def main():
    about = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    about.add_argument("program")
    about.add_argument("--reports", type=int, default=500)
    about.add_argument("--master", default="local[2]")
    about.add_argument("--kill", action="store_true")
    about.add_argument("--work", help="a folder for all of it, kept")
    args = about.parse_args()
    program = str(pathlib.Path(args.program).resolve())
    import pyspark
    os.environ.update({"SPARK_HOME": str(pathlib.Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable,
                       "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"})
    sys.path.insert(0, str(HERE.parent / "notebooks/spark"))
    lake = load(HERE.parent / "notebooks/spark/lake.py")
    work = pathlib.Path(args.work or tempfile.mkdtemp(prefix="dmarquet-lake-"))
    for name in ("in", "plain", "poison"):
        (work / name).mkdir(parents=True)
    sums = make(work / "in", work / "plain", args.reports)
    faults = Faults()
    out = str(work / "lake")
    os.environ["PYSPARK_SUBMIT_ARGS"] = ("--conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false --conf spark.sql.shuffle.partitions=2 "
                                        "--conf spark.executor.memory=1g pyspark-shell")
    spark = lake.session(args.master)
    spark.sparkContext.setLogLevel("OFF" if args.kill else "ERROR")

    stop = threading.Event()
    if args.kill:
        threading.Thread(target=kill_an_executor, args=(stop,), daemon=True).start()
    began = time.time()
    counts = lake.run_once(spark, program, [str(work / "in")], out)
    print(f"first run: {counts} in {time.time() - began:.1f} s", flush=True)
    stop.set()
    again = len(list((work / "in/again").iterdir()))
    faults.equal("the first run", counts, {"duplicate": again, "stored": args.reports})
    expected = {week: {name: sum[name] for name in SUMS} for week, sum in sums.items()}
    faults.equal("sums by week", weeks_of_lake(spark, lake, out), expected)

    store = work / "store"
    run_program(program, "--store", store, "ingest", work / "plain")
    of_store = lines(program, "--store", store)
    faults.equal("rows other than the store's", len(set(lines(program, "--records", out)) ^ set(of_store)), 0)
    first = times(program, "--records", out)
    check_times(faults, "of the lake", first, {}, began)
    run_program(program, "--store", store, "export", "--out", work / "export")
    for table in ("records", "reports"):
        faults.equal(f"columns of {table}", columns(f"{out}/{table}"), columns(work / "export" / table))
        faults.equal(f"kinds of files of {table}", len(columns(f"{out}/{table}")), 1)
    period = ("--from", FIRST, "--to", FIRST + datetime.timedelta(days=41), "--format", "json")
    faults.equal("summary --records", json.loads(run_program(program, "summary", "--records", out, *period)),
                 json.loads(run_program(program, "--store", store, "summary", *period)))
    faults.equal("status --records", status(program, "status", "--records", out), status(program, "--store", store, "status"))

    began = time.time()
    counts = lake.run_once(spark, program, [str(work / "in")], out)
    print(f"second run: {counts} in {time.time() - began:.1f} s", flush=True)
    faults.equal("the second run", counts, {"duplicate": args.reports + again})
    faults.equal("rows after the second run", len(lines(program, "--records", out)), len(of_store))
    faults.equal("times that differ after the second run", times(program, "--records", out).items() ^ first.items(), set())

    for name, body in POISON.items():
        (work / "poison" / name).write_bytes(body)
    good = made(args.reports, sums)
    (work / "poison/good.xml").write_bytes(good)
    (work / "poison/other.xml").write_bytes(good.replace(b"<p>none</p>", b"<p>reject</p>"))
    began = time.time()
    for run in ("first", "second"):
        counts = lake.run_once(spark, program, [str(work / "poison")], out)
        print(f"poisoned: {counts}", flush=True)
        faults.equal(f"poisoned, {run} run: rejected", counts.get("rejected"), len(POISON))
        named = spark.read.parquet(f"{out}/quarantine").collect()
        faults.equal(f"quarantine after the {run} run", sorted(row["origin"].rsplit("/", 1)[1] for row in named if row["outcome"] == "rejected"),
                     sorted(POISON))
        faults.extend(f"{row['origin']}: expected a reason, found none" for row in named if row["outcome"] == "rejected" and not row["reason"])
    expected = {week: {name: sum[name] for name in SUMS} for week, sum in sums.items()}
    faults.equal("sums by week after the poison", weeks_of_lake(spark, lake, out), expected)
    later = times(program, "--records", out)
    check_times(faults, "after the poison", later, first, began)
    of_reports = times_of_reports(faults, spark.read.parquet(f"{out}/reports"))
    faults.equal("times in which the tables differ", of_reports.items() ^ later.items(), set())

    # A run killed before its mark is removed; one killed after it, with half its files in place, is ended.
    files = lake.Files(spark, out)
    (work / "lake/_runs/dead/records/month=2026-10").mkdir(parents=True)
    shutil.copy(glob.glob(f"{out}/records/month=2026-10/*.parquet")[0], work / "lake/_runs/dead/records/month=2026-10/part.parquet")
    lake.settle(files)
    faults.equal("sums after a dead run", weeks_of_lake(spark, lake, out), expected)
    moved = pathlib.Path(glob.glob(f"{out}/records/month=2026-10/*.parquet")[0])
    run, name = "-".join(moved.name.split("-")[:2]), "-".join(moved.name.split("-")[2:])
    (work / f"lake/_runs/{run}/records/month=2026-10").mkdir(parents=True)
    shutil.move(moved, work / f"lake/_runs/{run}/records/month=2026-10/{name}")
    (work / f"lake/_runs/{run}/_COMPLETE").write_text("{}")
    lake.settle(files)
    faults.equal("the file of a run that was complete", moved.exists(), True)
    faults.equal("sums after its end", weeks_of_lake(spark, lake, out), expected)
    check_delta(spark, lake, program, work, of_store, faults)
    spark.stop()
    if not args.work:
        shutil.rmtree(work)
    for fault in faults:
        print(str(fault)[:2000])
    print("all is as it should be" if not faults else f"{len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
