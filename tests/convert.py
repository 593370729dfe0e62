#!/usr/bin/env python3
"""Print what an Arrow stream of `dmarquet convert` contains, as pyarrow reads it, as one line of JSON.

usage: convert.py FILE [REPORTS]
"""
import json, sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc


def stream(path):
    with pa.ipc.open_stream(path) as reader:
        return reader.schema, list(reader)


schema, batches = stream(sys.argv[1])
rows = pa.Table.from_batches(batches, schema)
rows.validate(full=True)
said = {
    "version": (schema.metadata or {}).get(b"dmarquet.schema", b"").decode(),
    "columns": [[field.name, str(field.type), field.nullable] for field in schema],
    "batches": [batch.num_rows for batch in batches],
    "records": rows.num_rows,
    "reports": len(rows["report_key"].unique()),
    "messages": pc.sum(rows["count"]).as_py() or 0,
    "dmarc_pass": pc.sum(rows.filter(rows["dmarc_pass"])["count"]).as_py() or 0,
    "selectors": sorted({result["selector"] for results in rows["dkim_results"].to_pylist() for result in results or []
                         if result["selector"]}),
}
if len(sys.argv) > 2:
    schema, batches = stream(sys.argv[2])
    reports = pa.Table.from_batches(batches, schema)
    reports.validate(full=True)
    said["reports_table"] = {name: pc.sum(reports[name]).as_py() or 0 for name in ("records", "messages", "pass_messages")}
    said["reports_table"]["reports"] = reports.num_rows
print(json.dumps(said))
