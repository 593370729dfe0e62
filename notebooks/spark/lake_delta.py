"""The lake's tables as Delta tables: in the driver, by the `deltalake` package, without a JAR.

The executors write Parquet as for a plain lake; one commit per table adds a run's files. A run that was overtaken by another
one adds nothing, because it did not check for the other run's reports.
"""
import json, re, time

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

# `reports` first: its commit decides whether a run counts.
ORDER = ("reports", "records", "quarantine")
# Commits that add no rows.
UPKEEP = {"OPTIMIZE", "VACUUM START", "VACUUM END", "FSCK", "SET TBLPROPERTIES", "ADD CONSTRAINT", "UPDATE TABLE METADATA"}


class Overtaken(Exception):
    """Another run added reports after this one had read the stored ones."""


class Tables:
    """The logs of the tables below a root, given as Spark writes addresses."""

    def __init__(self, root):
        self.root = re.sub(r"^file:/+", "/", re.sub(r"^s3[an]:", "s3:", root))

    def open(self, table):
        return DeltaTable(f"{self.root}/{table}")

    def create(self, table, schema, partition):
        """Create a table if it is missing. `schema` is Arrow's; returns the columns that an existing table lacks."""
        schema = Schema.from_arrow(schema)
        DeltaTable.create(f"{self.root}/{table}", schema=schema, mode="ignore", partition_by=[partition])
        types = {field.name: field.type for field in self.open(table).schema().fields}
        return [field.name for field in schema.fields if types.get(field.name) != field.type]

    def files(self, table):
        """The version of a table, and the paths of its live files below it."""
        there = self.open(table)
        return there.version(), there.get_add_actions(flatten=True)["path"].to_pylist()

    def commit(self, run, table, files, base=None):
        """Add a run's files, once; with `base`, only if nothing was added to the table since that version."""
        while True:
            there = self.open(table)
            if not files or there.transaction_version(run) is not None:
                return
            since = there.version() - base if base is not None else 0
            if since > 0 and any(commit.get("operation") not in UPKEEP for commit in there.history(since)):
                raise Overtaken(f"{self.root}: another run has added reports since this one began; run it again")
            now = int(time.time() * 1000)
            adds = [AddAction(file["path"], file["size"], file["partition"], now, True, json.dumps(file["stats"])) for file in files]
            # No automatic retry: it would ignore rows that were added in between.
            properties = CommitProperties(max_commit_retries=0, app_transactions=[Transaction(run, 1)])
            try:
                return there.create_write_transaction(adds, "append", there.schema(), there.metadata().partition_columns,
                                                      commit_properties=properties)
            except CommitFailedError:
                if self.open(table).version() == there.version():
                    raise
