"""Anybody's answers to the cases, from a file: what they lose against the optimum, size by size.

A line of the file is ``{"case": "usd-mixed-1@1000000", "weights": {"usd-mixed-1-01": 0.6, …}}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evals.intervals import bootstrap, median, p95
from evals.regret.judging import judge, regret_bps
from evals.regret.markets import RegretCase
from evals.regret.oracle import optimum
from evals.regret.tables import SIZES, bps, shown
from evals.suite import Table
from tools.errors import UsageError
from tools.market.snapshot import Progress

COLUMNS = ("size", "answered", "mean", "median", "p95", "worst", "limits broken in")


def read_answers(path: Path, cases: Mapping[str, RegretCase]) -> dict[str, Mapping[str, float]]:
    """Read weights by case; raises UsageError, naming the line, for what is no answer to one of the cases."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    answers: dict[str, Mapping[str, float]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        reason = _fault(found, cases, answers)
        if reason:
            raise UsageError(f"{path}, line {number}: {reason}")
        answers[found["case"]] = {pool: float(weight) for pool, weight in found["weights"].items()}
    return answers


def _fault(found: Any, cases: Mapping[str, RegretCase], known: Mapping[str, object]) -> str | None:
    if not isinstance(found, dict) or set(found) != {"case", "weights"} or not isinstance(found["weights"], dict):
        return 'not an answer; one is {"case": "…", "weights": {"pool": 0.5, …}}'
    if not isinstance(found["case"], str) or found["case"] not in cases:
        return f"no case is called {str(found['case'])[:60]!r}"
    if found["case"] in known:
        return f"the case {found['case']!r} is answered twice"
    for weight in found["weights"].values():
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not math.isfinite(weight):
            return "a weight is no finite number"
    return None


def judged(
    cases: Sequence[RegretCase], answers: Mapping[str, Mapping[str, float]], progress: Progress | None = None
) -> Table:
    """Return the regret of the answers by size; a case without one leaves the money idle, which loses all income."""
    regrets: dict[float, list[float]] = {}
    broken: dict[float, int] = {}
    for number, case in enumerate(cases, start=1):
        found = judge(case, answers.get(case.id, {}))
        loss = regret_bps(case, optimum(case).income_usd, found.income_usd)
        regrets.setdefault(case.amount_usd, []).append(loss)
        broken[case.amount_usd] = broken.get(case.amount_usd, 0) + bool(found.violations)
        if progress:
            progress(number, len(cases))
    answered = {size: sum(case.id in answers for case in cases if case.amount_usd == size) for size in regrets}
    return Table("Regret in basis points a year (95% of resamples)", COLUMNS, tuple(_rows(regrets, broken, answered)))


def _rows(
    regrets: Mapping[float, list[float]], broken: Mapping[float, int], answered: Mapping[float, int]
) -> Iterator[tuple[str, ...]]:
    for size in sorted(regrets):
        values = np.array(regrets[size])
        figures = (shown(bootstrap(values)), shown(bootstrap(values, median)), shown(bootstrap(values, p95)))
        name = SIZES.get(size, f"${size:,.0f}")
        of = f"{answered[size]} of {values.size}"
        yield (name, of, *figures, bps(float(values.max())), str(broken[size]))
