#!/usr/bin/env python3
"""Check that a summary's JSON matches its JSON Schema, and that the schema is valid.

usage: schema.py SCHEMA SUMMARY

Prints each mismatch and exits with 1, or prints one line and exits with 0.
"""
import json, pathlib, sys

import jsonschema


def main():
    schema, summary = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:3])
    kind = jsonschema.Draft202012Validator
    kind.check_schema(schema)
    checker = kind(schema, format_checker=kind.FORMAT_CHECKER)
    faults = [f"{fault.json_path}: {fault.message[:300]}" for fault in checker.iter_errors(summary)]
    print("\n".join(faults) or f"schema {summary['schema']} holds")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
