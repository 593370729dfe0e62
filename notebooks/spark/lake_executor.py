"""Runs in the executors: turns files into frames for `dmarquet convert`, and its output into rows."""
import gzip, io, itertools, os, struct, subprocess, tarfile, tempfile, threading, zipfile, zlib

import pyarrow as pa
import pyarrow.ipc, pyarrow.json
from pyspark import TaskContext

# The limit of `convert` for an item. Of a larger member, one byte more is passed on, so that `convert` reports it as too large.
MEMBER_BYTES = 64 << 20
# A smaller archive is passed on whole: `convert` opens mbox and zip itself, within its own limits.
SMALL_PACK = 256 << 10
BATCH_ROWS = 8192
PIPE_BYTES = 256 << 10


class Damaged(Exception):
    """An archive is damaged; what was read of it before is kept."""


def mbox_messages(body):
    """The messages of an mbox: each begins with a line "From ..." after an empty line or at the start."""
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


def extended(body):
    """The records of a pax header, as {key: value}: each consists of its length, a space, key=value, and a line end."""
    found, start = {}, 0
    while start < len(body):
        space = body.index(b" ", start)
        end = start + int(body[start:space])
        key, value = body[space + 1:end - 1].split(b"=", 1)
        found[key], start = value, end
    return found


def tar_members(source):
    """The regular files of a tar, as (name, bytes). `tarfile` takes longer for a member than `convert` for a report."""
    name = None
    while (head := source.read(512))[:1] != b"\0":
        if not head:
            raise Damaged("tar: expected its end mark, found the end")
        if head[257:262] != b"ustar":
            raise Damaged("tar: expected a header, found something else")
        size, kind = int(head[124:136].strip(b"\0 ") or b"0", 8), head[156:157]
        if kind in b"gS" or size > MEMBER_BYTES:
            raise NotImplementedError
        body = source.read(size + -size % 512)[:size]
        if len(body) < size:
            raise Damaged(f"tar: expected a member of {size} bytes, found the end after {len(body)}")
        if kind == b"L":
            name = body.rstrip(b"\0")
        elif kind == b"x":
            records = extended(body)
            if b"size" in records or b"GNU.sparse.major" in records:
                raise NotImplementedError
            name = records.get(b"path")
        else:
            if name is None:
                # After GNU's magic, "ustar  ", the field is not a prefix.
                prefix = head[345:500].rstrip(b"\0") if head[262:263] == b"\0" else b""
                name = (prefix + b"/" if prefix else b"") + head[:100].rstrip(b"\0")
            if kind in b"0\x007":
                yield name.decode("utf-8", "replace"), body
            name = None


def of_tar(body):
    """The members of a tar or tar.gz, as (name, bytes): by the fast reader as far as possible, else by `tarfile`."""
    source = gzip.GzipFile(fileobj=io.BytesIO(body)) if body[:2] == b"\x1f\x8b" else io.BytesIO(body)
    told = 0
    try:
        for member in tar_members(io.BufferedReader(source, 1 << 16)):
            yield member
            told += 1
        return
    except (NotImplementedError, ValueError):
        pass
    with tarfile.open(fileobj=io.BytesIO(body)) as pack:
        members = (member for member in pack if member.isfile())
        for member in itertools.islice(members, told, None):
            yield member.name, pack.extractfile(member).read(MEMBER_BYTES + 1)


def items(name, body):
    """The items in a file, as (name, bytes): an archive's members, else the file itself. Raises Damaged for an unreadable tar."""
    large = len(body) >= SMALL_PACK
    if large and body[:5] == b"From ":
        messages = enumerate(mbox_messages(body), 1)
        yield from ((f"{name} > message {number}", message) for number, message in messages)
        return
    if large and body[:4] == b"PK\3\4":
        try:
            with zipfile.ZipFile(io.BytesIO(body)) as pack:
                members = [member for member in pack.infolist() if not member.is_dir()]
                if all(member.file_size <= MEMBER_BYTES and not member.flag_bits & 1 for member in members):
                    yield from ((f"{name} > {member.filename}", pack.read(member)) for member in members)
                    return
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError):
            pass    # What was read of it stands; `convert` says of the whole what is wrong.
    if is_tar(body):
        try:
            yield from ((f"{name} > {member}", content) for member, content in of_tar(body))
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
            raise Damaged(f"tar: {error}") from error
        return
    yield name, body


def frame(name, body):
    # `convert` takes the part of a name after the last slash as the name of the file.
    name = name.encode("utf-8", "replace")[-60000:]
    return struct.pack("<I", len(name)), name, struct.pack("<I", len(body)), body


class Feeder(threading.Thread):
    """Writes the frames while the main thread reads the output, so that no full pipe can block both."""

    def __init__(self, batches, pipe):
        super().__init__(daemon=True)
        self.batches, self.pipe, self.damaged, self.error = batches, pipe, [], None

    def members(self):
        for batch in self.batches:
            for name, body in zip(batch["path"].to_pylist(), batch["content"]):
                try:
                    yield from items(name, body.as_py())
                except Damaged as error:
                    self.damaged.append({"origin": name, "outcome": "rejected", "reason": str(error)})

    def run(self):
        try:
            with self.pipe:
                pieces, waiting = [], 0
                for member in self.members():
                    pieces.extend(frame(*member))
                    waiting += len(member[1])
                    if waiting > PIPE_BYTES:
                        self.pipe.write(b"".join(pieces))
                        pieces, waiting = [], 0
                self.pipe.write(b"".join(pieces))
        except BrokenPipeError:
            pass    # The exit code says why.
        except BaseException as error:
            self.error = error


# A staged row holds some rows of a table as an Arrow IPC stream, so that Spark unpacks each row only once, later.
STAGED = pa.schema([("task", pa.int32()), ("table", pa.string()), ("rows", pa.binary())])
OUTCOME = pa.schema([(name, pa.string()) for name in ("origin", "outcome", "reason", "report_key")])


def converter(program):
    """The function for `mapInArrow`: file rows in, rows of STAGED out."""

    def convert(batches):
        task = TaskContext.get().partitionId()

        def staged(table, batches):
            for batch in batches:
                if batch.num_rows:
                    out = pa.BufferOutputStream()
                    with pa.ipc.new_stream(out, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
                        stream.write_batch(batch)
                    yield pa.RecordBatch.from_pylist([{"task": task, "table": table, "rows": out.getvalue().to_pybytes()}], schema=STAGED)

        with tempfile.TemporaryDirectory(prefix="dmarquet-") as folder:
            outcomes, reports = f"{folder}/outcomes", f"{folder}/reports"
            command = [program, "convert", "--frames", "--threads", "1", "--outcomes", outcomes, "--reports", reports]
            with open(f"{folder}/errors", "w+b") as errors:
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
                try:
                    # Python cannot end a daemon thread that waits for a pipe: killing the process ends it.
                    feeder = Feeder(batches, process.stdin)
                    feeder.start()
                    with pa.ipc.open_stream(process.stdout) as answer:
                        yield from staged("records", answer)
                    feeder.join()
                    if feeder.error:
                        raise feeder.error
                    # Exit code 1: something was unreadable; the outcomes name it.
                    if process.wait() not in (0, 1):
                        errors.seek(0)
                        raise RuntimeError(f"{program} ended with {process.returncode}: {errors.read(4096).decode(errors='replace')}")
                finally:
                    process.kill()
                    process.wait()
            with pa.ipc.open_stream(reports) as answer:
                yield from staged("reports", answer)
            if feeder.damaged:
                yield from staged("outcomes", [pa.RecordBatch.from_pylist(feeder.damaged, schema=OUTCOME)])
            if os.path.getsize(outcomes):
                lines = pa.json.ParseOptions(explicit_schema=OUTCOME, unexpected_field_behavior="ignore")
                yield from staged("outcomes", pa.json.read_json(outcomes, parse_options=lines).to_batches(BATCH_ROWS))

    return convert


def unpacker(schema, now):
    """The function for `mapInArrow`: rows of STAGED in, the rows in them out, with their task.

    All rows of a run get its one time `now`, as in a store. The `ingested` that `convert` writes is the time of
    its own start: another one in each task, by the clock of its machine.
    """

    def unpack(batches):
        for batch in batches:
            for task, rows in zip(batch["task"], batch["rows"]):
                with pa.ipc.open_stream(rows.as_buffer()) as parts:
                    for part in parts:
                        given = {"task": pa.scalar(task.as_py(), pa.int32()), "ingested": pa.scalar(now, pa.timestamp("us", tz="UTC"))}
                        cells = [pa.repeat(given[field.name], part.num_rows) if field.name in given
                                 else part.column(field.name).cast(field.type) for field in schema]
                        yield pa.RecordBatch.from_arrays(cells, schema=schema)

    return unpack
