"""Assets that nothing tells apart, and scenarios that say the same: each kind enters a solver once, in a fixed order.

A corner of a feasible set depends on the order of the unknowns and may give twins different weights. The kinds are
sorted by their content, so the answer does not depend on the order of the input, and a kind's weight is shared equally.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.optimize.limits import Limits
from tools.optimize.problem import Problem
from tools.units import FloatArray

IndexArray = npt.NDArray[np.intp]
_ROUNDING = 1e-8  # of the largest figure, as in ``tools.metrics.inputs.without_variance``
_SAME = 1e-12  # relative: covariances that differ by less are alike


class Kinds(NamedTuple):
    """The ``first`` of each kind and its ``size``, both (n_kinds,), and the ``kind`` of each item (n_items,)."""

    first: IndexArray
    size: IndexArray
    kind: IndexArray

    def share(self, totals: FloatArray) -> FloatArray:
        """Give each item its equal part of the total of its kind: (n_kinds,) becomes (n_items,)."""
        return np.asarray((totals / self.size)[self.kind])

    def each(self, values: FloatArray) -> FloatArray:
        """Give each item the value of its kind: (n_kinds,) becomes (n_items,)."""
        return np.asarray(values[self.kind])


def kinds(items: FloatArray) -> Kinds:
    """Group equal rows of ``items`` (n_items, n_figures); only their content decides the order of the kinds."""
    keys = [row.tobytes() for row in np.ascontiguousarray(items) + 0.0]  # + 0.0 makes of −0.0 a 0.0
    groups = [list(group) for _, group in groupby(sorted(range(len(keys)), key=keys.__getitem__), keys.__getitem__)]
    kind = np.empty(len(keys), dtype=np.intp)
    for number, group in enumerate(groups):
        kind[group] = number
    return Kinds(np.array([group[0] for group in groups]), np.array([len(group) for group in groups]), kind)


def merge_assets(problem: Problem) -> tuple[Problem, Kinds]:
    """Merge the assets alike in returns, means, covariances and limits; a kind's weight is the sum of its assets'."""
    found = _kinds_of_assets(problem)
    first, count = found.first, found.size
    limits = problem.limits
    merged = Limits(
        limits.lower[first] * count,
        limits.upper[first] * count,
        limits.shares[:, first],
        limits.caps,
        limits.names,
        limits.most,
        None,
        None if limits.mean is None else limits.mean[first],
        limits.floor,
        None if limits.previous is None else limits.previous[first] * count,
        limits.turnover,
    )
    return (
        replace(
            problem,
            limits=merged,
            returns=np.ascontiguousarray(problem.returns[:, first]),
            mean=None if problem.mean is None else problem.mean[first],
            covariance=None if problem.covariance is None else _merged(problem.covariance, found),
        ),
        found,
    )


def possible(problem: Problem) -> tuple[Problem, npt.NDArray[np.bool_] | None]:
    """Leave out the scenarios of probability 0; also return which (n_scenarios,) stay, None where all do."""
    if problem.probabilities is None or (problem.probabilities > 0.0).all():
        return problem, None
    stay = problem.probabilities > 0.0
    return replace(problem, returns=problem.returns[stay], probabilities=problem.probabilities[stay]), stay


def placed(values: FloatArray | None, stay: npt.NDArray[np.bool_]) -> FloatArray | None:
    """Put the figures of the scenarios that ``stay`` (n_scenarios,) back into their places, 0 elsewhere."""
    if values is None:
        return None
    whole = np.zeros(stay.size)
    whole[stay] = values
    return whole


def alike(figures: FloatArray) -> bool:
    """Tell whether in every column of ``figures`` (n_figures, n_columns) all are alike but for rounding."""
    return bool((np.ptp(figures, axis=0) <= _ROUNDING * np.abs(figures).max(axis=0)).all())


def merge_scenarios(returns: FloatArray, probabilities: FloatArray) -> tuple[FloatArray, FloatArray, Kinds]:
    """Merge equal scenarios: returns (n_kinds, n_assets), summed probabilities (n_kinds,), and which are alike."""
    found = kinds(returns)
    if found.first.size == returns.shape[0]:
        return returns[found.first], probabilities[found.first], found
    weight = [math.fsum(probabilities[found.kind == kind]) for kind in np.flatnonzero(found.size > 1)]
    merged = probabilities[found.first].copy()
    merged[found.size > 1] = weight
    return returns[found.first], merged, found


def _kinds_of_assets(problem: Problem) -> Kinds:
    limits = problem.limits
    columns = [limits.lower, limits.upper, *limits.shares, *problem.returns]
    columns += [column for column in (limits.mean, limits.previous, problem.mean) if column is not None]
    if problem.covariance is not None:
        columns += [np.diag(problem.covariance), np.array([math.fsum(row) for row in problem.covariance])]
    found = kinds(np.array(columns).T)
    if problem.covariance is None or _interchangeable(problem.covariance, found):
        return found
    order = np.argsort(found.kind, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    return Kinds(order, np.ones_like(order), place)


def _interchangeable(covariance: FloatArray, found: Kinds) -> bool:
    """Tell whether every asset can change places with the first of its kind without changing the covariance."""
    size = _SAME * np.abs(covariance).max()
    for asset, first in enumerate(found.first[found.kind]):
        swapped = np.arange(covariance.shape[0])
        swapped[[asset, first]] = swapped[[first, asset]]
        if np.abs(covariance[asset] - covariance[first][swapped]).max() > size:
            return False
    return True


def _merged(covariance: FloatArray, found: Kinds) -> FloatArray:
    """Return the covariance of the means of each kind."""
    part = np.zeros((found.first.size, found.kind.size))
    part[found.kind, np.arange(found.kind.size)] = 1.0 / found.size[found.kind]
    return np.asarray(part @ covariance @ part.T)
