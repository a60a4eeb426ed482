"""Two runs of a suite beside each other: the mean difference of each score over the same cases, and what got worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from evals.intervals import Interval, bootstrap
from evals.records import SuiteResult
from tools.errors import UsageError


class Comparison(NamedTuple):
    """The differences new − baseline by score, with their intervals and the number of cases that both scored.

    ``regressions`` name the cases that passed and no longer do, ``repaired`` the reverse, ``unpaired`` those that only
    one side has, or whose data have changed.
    """

    differences: Mapping[str, tuple[Interval, int]]
    regressions: tuple[str, ...]
    repaired: tuple[str, ...]
    unpaired: tuple[str, ...]


def compare(new: SuiteResult, baseline: SuiteResult) -> Comparison:
    """Compare two results case by case; the bootstrap resamples the pairs. Raises UsageError for different suites."""
    if new.suite != baseline.suite:
        raise UsageError(f"the baseline is of the suite {baseline.suite!r}, not of {new.suite!r}")
    before = {case.case: case for case in baseline.cases}
    after = {case.case: case for case in new.cases}
    same = [name for name in after if name in before and after[name].case_sha256 == before[name].case_sha256]
    pairs: dict[str, list[float]] = {}
    for name in same:
        for score, found in after[name].scores.items():
            known = before[name].scores.get(score)
            if known is not None and found.value is not None and known.value is not None:
                pairs.setdefault(score, []).append(found.value - known.value)
    return Comparison(
        {score: (bootstrap(np.array(values)), len(values)) for score, values in pairs.items()},
        tuple(name for name in same if before[name].passed and not after[name].passed),
        tuple(name for name in same if after[name].passed and not before[name].passed),
        tuple(sorted((before.keys() | after.keys()) - set(same))),
    )
