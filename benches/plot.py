#!/usr/bin/env python3
"""Plot the output of `simulate.py daily --plot` as one SVG: the cost of a daily run as the store grows. A point is the median of
thirty runs, the pale line their maximum.

usage: plot.py FILE.tsv FILE.svg        needs matplotlib
"""

import csv
import datetime
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402: the backend comes first

PANELS = ["seconds of a daily run", "peak MiB of a daily run", "files of records and originals", "MB of the ledger"]


def main():
    source, target = sys.argv[1:]
    with open(source) as lines:
        rows = [(datetime.date.fromisoformat(day), *map(float, rest)) for day, *rest in csv.reader(lines, delimiter="\t")]
    thirties = [rows[at : at + 30] for at in range(0, len(rows), 30)]
    days = [some[0][0] for some in thirties]
    matplotlib.rcParams["svg.hashsalt"] = "the same bytes for the same figures"
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), layout="constrained")
    for column, (axis, title) in enumerate(zip(axes.flat, PANELS), 1):
        unit = 1e-6 if "MB" in title else 1
        axis.plot(days, [max(row[column] for row in some) * unit for some in thirties], color="#c5cad3", linewidth=1)
        axis.plot(days, [statistics.median(row[column] for row in some) * unit for some in thirties], color="#1f5fa8")
        axis.set_title(title, fontsize=10)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Date": None})


main()
