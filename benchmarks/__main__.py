"""Print the table: ``python -m benchmarks [--json] [NAME ...]``. Exits 1 for a missed target, 2 for an unknown name."""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks import command, forecasts, numeric, optimizers
from benchmarks.measure import Case, Unavailable

GROUPS = {
    "numeric": numeric.CASES,
    "command": command.CASES,
    "forecasts": forecasts.CASES,
    "optimizers": optimizers.CASES,
}
CASES = {case.name: case for cases in GROUPS.values() for case in cases}
TABLED = {case.name for case in optimizers.CASES}


def main() -> int:
    """Run the named cases, or all of them, and print one row each as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed as ratios, measured in one run.")
    described = f"of {', '.join(CASES)}, or all of {', '.join(GROUPS)}; everything if none is named"
    parser.add_argument("names", nargs="*", metavar="NAME", help=described)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in CASES and name not in GROUPS]:
        parser.error(f"no case named {', '.join(unknown)}: choose from {', '.join((*GROUPS, *CASES))}")
    names = list(dict.fromkeys(_expanded(options.names or list(GROUPS))))
    rows: list[dict[str, Any]] = []
    if not options.json:
        print(f"{'case':18} {'measured':>9} {'target':10} {'verdict':8} what is measured")
    for name in names:
        if name in TABLED and not options.json and not any(row["name"] in TABLED for row in rows):
            optimizers.report(functools.partial(print, flush=True))
        rows.append(_measure(CASES[name]))
        if not options.json:
            print(_line(rows[-1]), flush=True)
    if options.json:
        print(json.dumps(rows, indent=2))
    return int(any(row["met"] is False for row in rows))


def _expanded(names: list[str]) -> Iterator[str]:
    """Put the cases of a group in its place."""
    for name in names:
        yield from (case.name for case in GROUPS[name]) if name in GROUPS else [name]


def _measure(case: Case) -> dict[str, Any]:
    """Run a case; one that lacks what it needs has no value, one whose command fails misses its target."""
    row = {"name": case.name, "what": case.what, "unit": case.unit, "bound": case.bound, "target": case.target}
    try:
        measured = case.run()
    except Unavailable as reason:
        return {**row, "value": None, "met": None, "note": f"skipped: {reason}"}
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        return {**row, "value": None, "met": False, "note": f"exit {error.returncode}: {' '.join(last)}"}
    return {**row, "value": float(f"{measured.value:.4g}"), "met": case.met(measured.value), "note": measured.note}


def _line(row: dict[str, Any]) -> str:
    value = "-" if row["value"] is None else f"{row['value']:.4g}{row['unit']}"
    verdict = {True: "met", False: "NOT MET", None: "skipped"}[row["met"]]
    limit = f"{row['bound']} {row['target']:g}{row['unit']}"
    return f"{row['name']:18} {value:>9} {limit:10} {verdict:8} {row['what']} ({row['note']})"


if __name__ == "__main__":
    sys.exit(main())
