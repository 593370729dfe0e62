#!/usr/bin/env python3
"""Run the recipes of docs/pipelines.md as printed: Iceberg with kills, a bucket, and lines for search engines.

usage: recipes.py PROGRAM [--moto PYTHON]      PYTHON has moto[s3,server] (default: this one)

Iceberg: the store grows in parts; the recipe is killed repeatedly, then completes; each row is in the table exactly once.
The bucket is moto's S3 server on loopback, which does not support how Arrow ends a multipart upload: small files are uploaded at once.
Exits with 1 if anything differs.
"""
import argparse, collections, datetime, json, os, pathlib, re, shutil, socket, subprocess, sys, tempfile, time

import pyarrow.dataset as ds
from pyarrow import fs
from pyiceberg.catalog.sql import SqlCatalog

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import spark as made

PAGE = (ROOT / "docs/pipelines.md").read_text()


def recipe(title):
    """The first Python of a section."""
    section = PAGE[PAGE.index(f" {title}\n"):]
    return re.search(r"```python\n(.*?)```", section, re.S)[1]


class Recipes:
    def __init__(self, program, work):
        self.work, self.faults = work, []
        (work / "bin").mkdir()
        (work / "bin/dmarquet").symlink_to(program)
        self.environment = {**os.environ, "PATH": f"{work}/bin:{os.environ['PATH']}", "DMARQUET_STORE": str(work / "store"),
                            "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1"}
        for name in ("in", "plain"):
            (work / name).mkdir()
        sums = made.make(work / "in", work / "plain", 120).values()
        self.records, self.messages = (sum(week[name] for week in sums) for name in ("records", "messages"))

    def equal(self, what, found, expected):
        if found != expected:
            self.faults.append(f"{what}: expected {expected}, found {found}")

    def run(self, *command, kill_after=None, ok=(0,)):
        child = subprocess.Popen([str(word) for word in command], env=self.environment, cwd=self.work,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = child.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return None
        if child.returncode not in ok:
            self.faults.append(f"{command[0]} {command[-1]}: exit {child.returncode}: {err.decode()[-500:]}")
        return out

    def iceberg(self):
        script = self.work / "iceberg.py"
        script.write_text(recipe("Iceberg"))
        files = sorted((self.work / "plain").iterdir())
        began = time.monotonic()
        for part in range(4):
            self.run("dmarquet", "ingest", *files[part::4])
            for after in (0.5, 0.9, 1.2, 1.5, 1.8, 2.2):
                self.run(sys.executable, script, kill_after=after * self.pace)
            started = time.monotonic()
            self.run(sys.executable, script)
            self.pace = max(1, (time.monotonic() - started) / 2)
            self.run(sys.executable, script)  # with nothing new
            lake = self.work / "lake"
            table = SqlCatalog("lake", uri=f"sqlite:///{lake}/catalog.db", warehouse=f"file://{lake}").load_table("dmarc.records")
            rows = table.scan(selected_fields=("report_id", "source_ip", "count")).to_arrow().to_pylist()
            lines = self.run("dmarquet", "export", "--format", "ndjson").decode().splitlines()
            stored = [{name: row[name] for name in ("report_id", "source_ip", "count")} for row in map(json.loads, lines)]
            count = lambda rows: collections.Counter(json.dumps(row, sort_keys=True) for row in rows)
            self.equal(f"rows in Iceberg after part {part + 1}", count(rows) == count(stored) and len(rows) == len(stored), True)
        self.equal("records in Iceberg", (len(rows), sum(row["count"] for row in rows)), (self.records, self.messages))
        print(f"Iceberg: {len(rows)} records, each once, after 24 kills, {time.monotonic() - began:.0f} s")

    pace = 1

    def bucket(self, python):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        try:
            end = f'endpoint_override="127.0.0.1:{port}", scheme="http", allow_delayed_open=True'
            text = recipe("Object storage")
            self.equal("lines of the recipe", len(text.splitlines()) <= 30, True)
            script = self.work / "bucket.py"
            script.write_text(text.replace("fs.S3FileSystem()", f"fs.S3FileSystem({end})"))
            os.environ.update({name: value for name, value in self.environment.items() if name.startswith("AWS_")})
            s3 = eval(f"fs.S3FileSystem({end}, allow_bucket_creation=True)")
            for _ in range(100):
                try:
                    s3.create_dir("inbox")
                    break
                except OSError:
                    time.sleep(0.2)
            s3.create_dir("lake")
            for file in (self.work / "plain").iterdir():
                with s3.open_output_stream(f"inbox/reports/{file.name}") as out:
                    out.write(file.read_bytes())
            self.run(sys.executable, script, "inbox/reports", "lake/records", ok=(0, 1))
            table = ds.dataset("lake/records", filesystem=s3, format="parquet", partitioning="hive").to_table(columns=["count", "month", "date"])
            self.equal("records and messages in the bucket", (table.num_rows, sum(table["count"].to_pylist())), (self.records, self.messages))
            months = {(str(month), str(day)[:7]) for month, day in zip(table["month"].to_pylist(), table["date"].to_pylist())}
            self.equal("rows in another month's folder", [pair for pair in months if pair[0] != pair[1]], [])
            print(f"bucket: {table.num_rows} records in {len(months)} months")
        finally:
            server.terminate()
            server.wait()

    def lines(self):
        """The bytes that Elasticsearch's bulk API and Vector's standard input take, and the index template."""
        data = self.run("dmarquet", "export", "--format", "ndjson")
        bulk = subprocess.run(["sed", re.search(r"sed '([^']*)'", PAGE)[1]], input=data, capture_output=True, check=True).stdout
        rows = data.decode().split("\n")
        self.equal("the end of the last line", rows.pop(), "")
        pairs = bulk.decode().split("\n")[:-1]
        self.equal("lines with actions", len(pairs), 2 * self.records)
        self.equal("actions", {json.dumps(json.loads(line)) for line in pairs[::2]}, {'{"create": {"_index": "dmarc-records"}}'})
        self.equal("rows behind the actions", pairs[1::2], rows)
        self.equal("bytes that no line may have", [byte for byte in (b"\r", b"\0", b"\xef\xbb\xbf") if byte in data], [])
        longest = int(re.search(r"max_length = (\d+)", PAGE)[1])
        self.equal("lines longer than Vector is told", [len(row) for row in rows if len(row) > longest], [])
        properties = json.loads((ROOT / "docs/elasticsearch.json").read_text())["template"]["mappings"]["properties"]
        fits = {"keyword": str, "ip": str, "integer": int, "long": int, "boolean": bool, "nested": list}
        for row in map(json.loads, rows):
            self.equal("columns of the index template", sorted(row), sorted(properties))
            for name, value in row.items():
                kind = properties[name]["type"]
                if value is None:
                    continue
                if kind == "date":
                    datetime.datetime.fromisoformat(value)
                elif not isinstance(value, fits[kind]):
                    self.faults.append(f"{name}: expected {kind}, found {value!r}")
                for item in value if kind == "nested" else []:
                    self.equal(f"fields of {name}", sorted(item), sorted(properties[name]["properties"]))
        print(f"lines: {len(rows)} rows fit the bulk API and the index template")


def main():
    about = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    about.add_argument("program")
    about.add_argument("--moto", metavar="PYTHON", default=sys.executable)
    args = about.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="dmarquet-recipes-"))
    recipes = Recipes(pathlib.Path(args.program).resolve(), work)
    recipes.iceberg()
    recipes.lines()
    recipes.bucket(args.moto)
    shutil.rmtree(work)
    print("\n".join(recipes.faults[:20]) or "all is as it should be")
    return bool(recipes.faults)


if __name__ == "__main__":
    sys.exit(main())
