"""Run the promise suites in full, print what they found as a table, and write it to ``out/promises.json``.

Each suite is a process of its own, as many at once as there are processors; ``make promises`` calls this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OUT = ROOT / "out" / "promises.json"
# The longest first, so that the processors are done together.
SUITES = ("lying_model", "obedient_model", "hostile_names", "decision_flips", "weak_model", "servers_and_budgets")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def run(suite: str, folder: Path) -> tuple[str, int, float, str]:
    """Run a suite; returns its name, the exit code, the seconds that it took, and what pytest printed."""
    environment = {**os.environ, **ONE_THREAD, "PROMISES": "full", "PROMISES_OUT": str(folder)}
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", str(HERE / f"test_{suite}.py")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return suite, done.returncode, time.monotonic() - started, done.stdout + done.stderr


def table(tallies: Iterable[dict[str, Any]]) -> str:
    """Return the tallies as a table in Markdown."""
    lines = ["| suite | what is counted | cases | found | 95 % upper bound |", "|---|---|---|---|---|"]
    for one in tallies:
        bound = f"{one['upper_95']:.2%}" if one["promise"] else ""
        lines.append(f"| {one['suite']} | {one['what']} | {one['cases']:,} | {one['violations']:,} | {bound} |")
    return "\n".join(lines)


def main() -> int:
    """Run all suites; 1 when a promise was broken."""
    with tempfile.TemporaryDirectory() as kept, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        folder = Path(kept)
        done = list(pool.map(lambda suite: run(suite, folder), SUITES))
        kept_by = [folder / f"{suite}.json" for suite in SUITES]
        parts = [json.loads(path.read_text(encoding="utf-8")) for path in kept_by if path.is_file()]
    tallies = [tally for part in parts for tally in part["tallies"]]
    seconds = {suite: round(took, 1) for suite, _, took, _ in done}
    OUT.parent.mkdir(exist_ok=True)
    whole = {"seed": parts[0]["seed"] if parts else None, "seconds": seconds, "tallies": tallies}
    OUT.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(table(tallies) + "\n")
    for suite, code, took, said in done:
        sys.stdout.write(f"{suite}: {'kept' if code == 0 else 'BROKEN'} in {took:.0f} s\n" + (said if code else ""))
    return int(any(code for _, code, _, _ in done))


if __name__ == "__main__":
    sys.exit(main())
