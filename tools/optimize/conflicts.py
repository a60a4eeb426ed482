"""Whether limits can be kept at all, and if not, the smallest set of them that cannot, and what would help.

The answer is an irreducible infeasible subset: together the named limits leave no weights, and without any one of them
they would. What a single row leaves within the bounds is known in closed form, so conflicts of the bounds alone and of
the bounds with one row are found without a solver. Others come from the prices of one linear program and the deletion
filter (Chinneck & Dravnieks, "Locating minimal infeasible constraint sets in linear programs", ORSA J. on Computing 3,
1991). Every smaller set is then tried, up to a number of tries that keeps the answer quick: only beyond that the set
is irreducible but perhaps not the smallest there is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tools.optimize.limits import Infeasible, Limits, Polytope
from tools.optimize.linear import Program, SolverFailed, run
from tools.units import FloatArray

BoolArray = npt.NDArray[np.bool_]

_SLACK = 1e-11  # what rounding may break a limit by: n times 1/n falls on either side of 1
_TRIED = 40
_TRIED_IN_CLOSED_FORM = 200
_NO_PRICE = 1e-9


class Stated(NamedTuple):
    """A limit as it was stated: its name and value, and what it asks.

    ``lower`` and ``upper`` (n_assets,) are the bounds that it sets (0 and 1 where it sets none), ``row`` the row of the
    polytope that it stands for, of this ``scale``, if any. A ``floor`` is loosened downwards.
    """

    name: str
    value: float
    lower: FloatArray
    upper: FloatArray
    row: int | None
    scale: float
    floor: bool

    @property
    def bounds(self) -> bool:
        """Tell whether the limit is one of bounds."""
        return self.row is None


def check(limits: Limits) -> None:
    """Raise ``Infeasible`` when no weights keep all ``limits``: the smallest set in conflict, and what would help."""
    if _obviously_kept(limits):
        return
    stated = _stated(limits)
    conflict = _of_few(limits, stated)
    if conflict is None and limits.polytope().values.size:
        conflict = _of_many(limits, stated)
    if conflict is not None:
        raise Infeasible(_message(limits, stated, conflict), [limit.name for limit in conflict])


def keepable(limits: Limits) -> bool:
    """Tell whether any weights keep all ``limits``, without looking for what stands in the way."""
    if _obviously_kept(limits):
        return True
    stated = _stated(limits)
    if _of_few(limits, stated) is not None:
        return False
    polytope = limits.polytope()
    return not polytope.values.size or _shortage(polytope, stated)[0] <= _SLACK


def _obviously_kept(limits: Limits) -> bool:
    """Try weights that split what the floors leave in proportion to the room below the caps."""
    room = limits.upper - limits.lower
    left = 1.0 - float(limits.lower.sum())
    if not (room >= 0.0).all() or not 0.0 <= left <= float(room.sum()):
        return False
    return limits.hold(limits.lower + room * (left / (float(room.sum()) or 1.0)))


def _stated(limits: Limits) -> list[Stated]:
    """List the limits as they were stated, in the order of bounds, own caps, groups, floor and turnover."""
    zeros, ones = np.zeros(limits.lower.size), np.ones(limits.lower.size)
    own = np.where(limits.upper < limits.most, limits.upper, 1.0) if limits.own is None else limits.own
    found = [
        Stated("min_weight", float(limits.lower.max()), limits.lower, ones, None, 1.0, True),
        Stated("max_weight", limits.most, zeros, limits.most * ones, None, 1.0, False),
    ]
    for asset in np.flatnonzero(own < 1.0):
        single = np.where(np.arange(own.size) == asset, own, 1.0)
        found.append(Stated(f"max_weight[{asset}]", float(own[asset]), zeros, single, None, 1.0, False))
    polytope = limits.polytope()
    for row, name in enumerate(polytope.names):
        if name is not None:
            floor = name == "return_floor" and row == limits.caps.size
            found.append(Stated(name, _value(limits, row, floor), zeros, ones, row, float(polytope.scales[row]), floor))
    return [limit for limit in found if not limit.bounds or (limit.lower > 0.0).any() or (limit.upper < 1.0).any()]


def _value(limits: Limits, row: int, floor: bool) -> float:
    if row < limits.caps.size:
        return float(limits.caps[row])
    return float((limits.floor if floor else limits.turnover) or 0.0)


def _with_only(polytope: Polytope, kept: Sequence[Stated]) -> tuple[Polytope, BoolArray]:
    """Keep the limits ``kept`` and the rows without a name; also return which rows (n_rows,) that leaves."""
    assets = polytope.assets
    lower, upper = np.zeros(polytope.lower.size), np.ones(polytope.upper.size)
    for limit in kept:
        lower[:assets] = np.maximum(lower[:assets], limit.lower)
        upper[:assets] = np.minimum(upper[:assets], limit.upper)
    rows = {limit.row for limit in kept}
    stays = np.array([name is None or row in rows for row, name in enumerate(polytope.names)], dtype=bool)
    only = polytope._replace(
        rows=polytope.rows[stays],
        values=polytope.values[stays],
        lower=lower,
        upper=upper,
        names=tuple(name for name, stay in zip(polytope.names, stays, strict=True) if stay),
        scales=polytope.scales[stays],
    )
    return only, stays


def _of_few(limits: Limits, stated: Sequence[Stated]) -> list[Stated] | None:
    """Find a conflict among the bounds, or of the bounds with one row, of the fewest limits; None if there is none."""
    polytope = limits.polytope()
    bounds = [limit for limit in stated if limit.bounds]
    rows = [limit for limit in stated if not limit.bounds]
    found = _among_bounds(polytope, bounds)
    found += [_needed(polytope, bounds, row) for row in rows if _breaks(polytope, bounds, row)]
    return min(found, key=len) if found else None


def _among_bounds(polytope: Polytope, bounds: Sequence[Stated]) -> list[list[Stated]]:
    """List the conflicts of bounds alone: floors above 1 in sum, caps below 1 in sum, a floor above a cap."""
    floors, caps = [limit for limit in bounds if limit.floor], [limit for limit in bounds if not limit.floor]
    found = [[floor, cap] for floor in floors for cap in caps if (floor.lower > cap.upper + _SLACK).any()]
    found += [[floor] for floor in floors if math.fsum(floor.lower) > 1.0 + _SLACK]
    return found + ([_needed(polytope, caps, None)] if _breaks(polytope, caps, None) else [])


def _needed(polytope: Polytope, bounds: Sequence[Stated], row: Stated | None) -> list[Stated]:
    """Return the row and the fewest bounds that break it: all few are tried, then those left that can be dropped."""
    needed = list(bounds)
    for bound in bounds:
        fewer = [limit for limit in needed if limit is not bound]
        if _breaks(polytope, fewer, row):
            needed = fewer
    smaller = itertools.chain.from_iterable(itertools.combinations(bounds, count) for count in range(len(needed)))
    for some in itertools.islice(smaller, _TRIED_IN_CLOSED_FORM):
        if _breaks(polytope, some, row):
            needed = list(some)
            break
    return needed if row is None else [*needed, row]


def _breaks(polytope: Polytope, bounds: Sequence[Stated], row: Stated | None) -> bool:
    """Tell whether every portfolio within ``bounds`` breaks ``row``; without a row, whether the caps leave none."""
    assets = polytope.assets
    only, _ = _with_only(polytope, bounds)
    lower, upper = only.lower[:assets], only.upper[:assets]
    if row is None:
        return math.fsum(upper) < 1.0 - _SLACK
    if polytope.rows[row.row, assets:].any():
        return _least_turnover(polytope.values[-assets:], lower, upper) > row.value + _SLACK
    return bool(_least(polytope.rows[row.row, :assets], lower, upper) > polytope.values[row.row] + _SLACK)


def _least(shares: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    """Return the least ``shares`` @ w within the bounds: the smallest shares are filled first."""
    order = np.argsort(shares, kind="stable")
    room = np.maximum(upper - lower, 0.0)[order]
    before = np.concatenate([[0.0], np.cumsum(room)[:-1]])
    weights = lower[order] + np.clip(1.0 - lower.sum() - before, 0.0, room)
    return float((shares[order] * weights).sum())


def _least_turnover(previous: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    """Return the least Σ|w − w0| within the bounds: into the bounds, and then what the budget still asks."""
    clipped = np.clip(previous, lower, np.maximum(lower, upper))
    return float(np.abs(clipped - previous).sum() + abs(1.0 - clipped.sum()))


def _of_many(limits: Limits, stated: Sequence[Stated]) -> list[Stated] | None:
    """Find a conflict by linear programs: those with a price, then the deletion filter, then all smaller sets."""
    polytope = limits.polytope()
    shortage, priced = _shortage(polytope, stated)
    if shortage <= _SLACK:
        return None
    conflict = [limit for limit in stated if limit.name in priced]
    if _shortage(polytope, conflict)[0] <= _SLACK:
        conflict = list(stated)
    for limit in list(conflict):
        fewer = [other for other in conflict if other is not limit]
        if _shortage(polytope, fewer)[0] > _SLACK:
            conflict = fewer
    return _smaller(polytope, stated, len(conflict)) or conflict


def _smaller(polytope: Polytope, stated: Sequence[Stated], size: int) -> list[Stated] | None:
    """Return a conflict of fewer than ``size`` limits, if it is found within the tries that are allowed."""
    tries = 0
    for count in range(1, size):
        for some in itertools.combinations(stated, count):
            tries += 1
            if tries > _TRIED:
                return None
            if _shortage(polytope, some)[0] > _SLACK:
                return list(some)
    return None


def _shortage(polytope: Polytope, kept: Sequence[Stated]) -> tuple[float, set[str]]:
    """Return by how much the ``kept`` limits must all be loosened to be kept, and the names of those with a price.

    One more unknown, t ≥ 0, loosens every limit alike; bounds become rows for that.
    """
    identity = np.eye(polytope.assets, polytope.lower.size)
    only, stays = _with_only(polytope, kept)
    hard = np.array([0.0 if name is None else 1.0 for name in only.names])
    lowered, capped = only.lower[: polytope.assets] > 0.0, only.upper[: polytope.assets] < 1.0
    rows = np.vstack([only.rows, -identity[lowered], identity[capped]])
    loose = np.concatenate([hard, np.ones(lowered.sum() + capped.sum())])
    lower, upper = only.lower[: polytope.assets][lowered], only.upper[: polytope.assets][capped]
    rest = only.lower.size - polytope.assets
    size = only.lower.size
    optimum = run(
        Program(
            np.append(np.zeros(size), 1.0),
            np.column_stack([rows, -loose]),
            np.concatenate([only.values, -lower, upper]),
            np.zeros(size + 1),
            np.concatenate([np.ones(polytope.assets), np.ones(rest), [np.inf]]),
            (np.arange(size + 1) < polytope.assets).astype(float),
        )
    )
    dear = optimum.prices > _NO_PRICE
    count, floors = only.values.size, int(lowered.sum())
    below, above = np.zeros(polytope.assets, dtype=bool), np.zeros(polytope.assets, dtype=bool)
    below[lowered], above[capped] = dear[count : count + floors], dear[count + floors :]
    at = dict(zip(np.flatnonzero(stays).tolist(), dear[:count].tolist(), strict=True))
    return float(optimum.solution[-1]), {limit.name for limit in kept if _priced(limit, below, above, at)}


def _priced(limit: Stated, below: BoolArray, above: BoolArray, at: dict[int, bool]) -> bool:
    """Tell whether a bound or row of ``limit`` is one of those with a price."""
    if limit.row is not None:
        return at[limit.row]
    return bool((below & (limit.lower > 0.0)).any() or (above & (limit.upper < 1.0)).any())


def _message(limits: Limits, stated: Sequence[Stated], conflict: Sequence[Stated]) -> str:
    listed = " and ".join(f"{limit.name} ({limit.value:g})" for limit in conflict)
    keep = "no weights that add up to 1 keep" + (" together" if len(conflict) > 1 else "")
    return f"{keep} {listed}; {_remedy(limits, stated, conflict)}"


def _remedy(limits: Limits, stated: Sequence[Stated], conflict: Sequence[Stated]) -> str:
    """Tell the loosening of a single limit that is smallest in proportion to it, all the other limits kept."""
    remedies = []
    for limit in conflict:
        enough = _enough(limits, stated, limit)
        if enough is not None:
            change = abs(enough - limit.value) / max(abs(limit.value), _SLACK)
            remedies.append((change, f"{limit.name} {'at most' if limit.floor else 'at least'} {enough:.6g} would do"))
    if not remedies:
        return "loosening one of them alone does not help"
    return min(remedies, key=lambda remedy: remedy[0])[1]


def _enough(limits: Limits, stated: Sequence[Stated], limit: Stated) -> float | None:
    """Return the value of ``limit`` at which all the limits can be kept, nothing else changed, if there is one."""
    only, _ = _with_only(limits.polytope(), [other for other in stated if other is not limit])
    if (only.lower > only.upper).any():
        return None
    try:
        step = _least_step(limits.polytope(), only, limit) / limit.scale
    except SolverFailed:
        return None
    return limit.value - step if limit.floor else limit.value + step


def _least_step(polytope: Polytope, only: Polytope, limit: Stated) -> float:
    """Solve for the least t ≥ 0 by which ``limit`` alone must give way, the bounds being those of ``only``."""
    assets, size = polytope.assets, polytope.lower.size
    identity = np.eye(assets, size)
    lowered, capped = limit.lower > 0.0, limit.upper < 1.0
    loose = np.array([float(row == limit.row) for row in range(polytope.values.size)])
    program = Program(
        np.append(np.zeros(size), 1.0),
        np.column_stack(
            [
                np.vstack([polytope.rows, -identity[lowered], identity[capped]]),
                -np.append(loose, np.ones(int(lowered.sum() + capped.sum()))),
            ]
        ),
        np.concatenate([polytope.values, -limit.lower[lowered], limit.upper[capped]]),
        np.append(only.lower, 0.0),
        np.append(only.upper, np.inf),
        (np.arange(size + 1) < assets).astype(float),
    )
    return float(run(program).solution[-1])
