#!/usr/bin/env python3
"""Time notebooks/spark/lake.py on packs of reports, without Spark's own start.

usage: spark.py PROGRAM PACKS [--master local-cluster[1,1,2048]] [--task-bytes N]

Runs with the Python of tests/spark-requirements.txt

PACKS: a folder of tars of gzip files (`simulate.py files` and tar make them). Prints one line per part and round: seconds,
records per second, and records per second of processor time of Spark, Python and `convert` together, which other work on
the machine affects less. Parts: `ingest` and `convert` alone, the conversion in executors (`convert`, staged as a run
stages it), a whole run into an empty lake. Run it with `taskset -c 0` to limit one executor core to one core.
"""
import argparse, os, pathlib, shutil, subprocess, sys, tarfile, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")


def spent():
    """Seconds of processor time of all processes that descend from this one, ended ones included."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        found[int(stat.parent.name)] = int(fields[1]), sum(map(int, fields[11:15])) / TICK

    def ours(process):
        while process > 1 and process != os.getpid():
            process = found.get(process, (0, 0))[0]
        return process == os.getpid()

    return sum(time for process, (_, time) in found.items() if ours(process))


def timed(what, rounds, act):
    for _ in range(rounds):
        began, before = time.time(), spent()
        records = act()
        seconds, processor = time.time() - began, spent() - before
        print(f"{what}: {seconds:.2f} s, {records / seconds:,.0f} records/s, {records / processor:,.0f} a processor second, "
              f"load {os.getloadavg()[0]:.1f}", flush=True)


def main():
    about = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    about.add_argument("program")
    about.add_argument("packs")
    about.add_argument("--master", default="local-cluster[1,1,2048]")
    about.add_argument("--rounds", type=int, default=4)
    about.add_argument("--task-bytes", type=int, help="bytes of packs a task takes on; those of one pack make a task a pack")
    args = about.parse_args()
    program, packs = (str(pathlib.Path(path).resolve()) for path in (args.program, args.packs))
    import pyspark
    os.environ.update({"SPARK_HOME": str(pathlib.Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable,
                       "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost",
                       "PYSPARK_SUBMIT_ARGS": "--conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false "
                                              "--conf spark.sql.shuffle.partitions=8 --conf spark.executor.memory=1g pyspark-shell"})
    sys.path.insert(0, str(HERE.parent / "notebooks/spark"))
    import lake, lake_executor
    import pyarrow as pa, pyarrow.ipc
    from pyspark.sql.pandas.types import from_arrow_schema

    work = pathlib.Path(tempfile.mkdtemp(prefix="dmarquet-bench-"))
    (work / "plain").mkdir()
    for number, pack in enumerate(sorted(pathlib.Path(packs).iterdir())):
        with tarfile.open(pack) as members:
            members.extractall(work / "plain" / str(number), filter="data")
    one = subprocess.run([program, "convert", work / "plain"], stdout=subprocess.PIPE, check=True).stdout
    records = pa.ipc.open_stream(one).read_all().num_rows
    frames = [b"".join(piece for member in lake_executor.items(pack.name, pack.read_bytes()) for piece in lake_executor.frame(*member))
              for pack in sorted(pathlib.Path(packs).iterdir())]

    def ingest():
        shutil.rmtree(work / "store", ignore_errors=True)
        subprocess.run([program, "--store", work / "store", "ingest", work / "plain"], check=True, capture_output=True)
        return records

    def convert():
        for pack in frames:
            subprocess.run([program, "convert", "--frames", "--threads", "1"], input=pack, check=True, stdout=subprocess.DEVNULL)
        return records

    timed("ingest", args.rounds, ingest)
    timed("convert, a process a pack", args.rounds, convert)
    spark = lake.session(args.master)
    spark.sparkContext.setLogLevel("ERROR")
    if args.task_bytes:
        spark.conf.set("spark.sql.files.maxPartitionBytes", args.task_bytes)

    def staged():
        found = spark.read.format("binaryFile").load(packs).select("path", "content")
        rows = found.mapInArrow(lake.converter(program), from_arrow_schema(lake.STAGED))
        rows.write.mode("overwrite").option("compression", "uncompressed").parquet(str(work / "staged"))
        return records

    def run():
        shutil.rmtree(work / "lake", ignore_errors=True)
        lake.run_once(spark, program, [packs], str(work / "lake"))
        return records

    timed(f"converted and staged, {args.master}", args.rounds, staged)
    timed(f"a whole run, {args.master}", args.rounds, run)
    spark.stop()
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
