#!/usr/bin/env python3
"""Run every notebook from top to bottom on an export, and fail if a cell fails.

usage: run_notebooks.py EXPORT [--save]      --save: keep the outputs in the notebooks

A notebook reads only the folder that DMARQUET_EXPORT names. Saved notebooks contain no execution times and no paths.
"""
import os, pathlib, sys

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = pathlib.Path(__file__).resolve().parent.parent / "notebooks"


def clean(notebook):
    """Keep only what is the same on every run: no execution times, no standard error."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}}


def main():
    export, save = pathlib.Path(sys.argv[1]).resolve(), "--save" in sys.argv[2:]
    os.environ["DMARQUET_EXPORT"] = str(export)
    failed = 0
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if not save and not any(cell.get("outputs") for cell in notebook.cells):
            print(f"{path.name}: no outputs saved; run this with --save")
            failed += 1
        try:
            NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(export)}}).execute()
        except Exception as error:  # whatever a cell may raise
            print(f"{path.name}: {error}")
            failed += 1
            continue
        if save:
            clean(notebook)
            nbformat.write(notebook, path)
        print(f"{path.name}: {len(notebook.cells)} cells")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
