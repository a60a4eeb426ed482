"""One draft per profile and weight method: which pools, with which weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from tools.optimize import Infeasible, SolverFailed, optimize, round_weights
from tools.optimize.linear import minimise
from tools.records import Emptied, Mandate, ProfileId, WeightMethod
from tools.strategies.profiles import Limits, Profile
from tools.strategies.selection import Selection, diversified, select
from tools.strategies.universe import Pool, Universe
from tools.units import FloatArray, daily_return

METHODS: tuple[WeightMethod, ...] = get_args(WeightMethod)
WINDOW_DAYS = 365
SMALLEST_WEIGHT = 0.05  # a position below this is not worth its transactions
STORED_DECIMALS = 12
TINIEST_WEIGHT = 0.005  # unless nothing else fits the caps
MOST_NODES = 300  # of the search for pools that fit: a bound on time that does not depend on the machine
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Draft:
    """Pools and weights of one candidate; ``weights`` has shape (n_pools,) and sums to 1."""

    profile_id: ProfileId
    method: WeightMethod
    pools: tuple[Pool, ...]
    weights: FloatArray
    revised: bool
    raised: bool

    @property
    def id(self) -> str:
        """Return the candidate's id: profile and method."""
        return f"{self.profile_id}.{self.method}"


@dataclass(frozen=True)
class CandidateSet:
    """All drafts over one window of ``days`` days, and the profiles that ended without one."""

    drafts: tuple[Draft, ...]
    emptied: tuple[Emptied, ...]
    days: int


def build_candidates(
    universe: Universe,
    mandate: Mandate,
    profiles: Mapping[ProfileId, Profile],
    limits: Limits,
    amount_usd: float | None,
    vetoed: Mapping[ProfileId, Mapping[str, str]] | None = None,
) -> CandidateSet:
    """Build a candidate for each profile and weight method, within the caps on pools, protocols, issuers and positions.

    Parameters
    ----------
    limits
        The level's limits with the user's in their place (``selection.effective_limits``).
    amount_usd
        The money in dollars; None leaves positions uncapped by size, which the gate then reports as untested.
    vetoed
        Per profile, the pools that the risk agent sent back with the rule they broke: these profiles are built again
        without them.

    Notes
    -----
    Where the best-ranked pools cannot hold the money within the caps, the next in rank are added one by one up to the
    maximum, then others take their place; a profile for which that does not help is emptied by the cap that failed. All
    candidates share one window: the last min(365, shortest chosen pool) days.
    """
    vetoed = vetoed or {}
    chosen: dict[ProfileId, tuple[list[Pool], Selection]] = {}
    emptied: list[Emptied] = []
    for profile_id, profile in profiles.items():
        selection = select(profile_id, profile, universe.pools, mandate, limits, vetoed.get(profile_id, {}))
        if isinstance(selection, Emptied):
            emptied.append(selection)
            continue
        pools = _feasible(selection, limits, amount_usd)
        if isinstance(pools, Emptied):
            emptied.append(pools)
        else:
            chosen[profile_id] = pools, selection
    days = min([WINDOW_DAYS, *(pool.history.apy.size for pools, _ in chosen.values() for pool in pools)])
    drafts = [
        Draft(
            profile_id,
            method,
            tuple(pools),
            _weights(pools, method, limits, amount_usd, days),
            profile_id in vetoed,
            len(pools) > profiles[profile_id].pools,
        )
        for profile_id, (pools, _) in chosen.items()
        for method in METHODS
    ]
    return CandidateSet(tuple(drafts), tuple(emptied), days)


def _feasible(selection: Selection, limits: Limits, amount_usd: float | None) -> list[Pool] | Emptied:
    """Return the selected pools, with the next in rank added until the caps can hold the money; sorted by id.

    Where as many as may be cannot, others take their place.
    """
    pools = diversified(selection, limits)
    spare = [pool for pool in selection.ranked if pool not in pools]
    while (failed := _broken_cap(pools, limits, amount_usd)) is not None and spare and len(pools) < selection.maximum:
        pools.append(spare.pop(0))
    if failed is not None:
        pools = _that_fit(selection, limits, amount_usd)
        failed = _broken_cap(pools, limits, amount_usd)
    if failed is not None:
        return Emptied(profile=selection.profile_id, rule=failed, pools_before=len(selection.ranked), pools_after=0)
    return sorted(pools, key=lambda pool: pool.id)


def _that_fit(selection: Selection, limits: Limits, amount_usd: float | None) -> list[Pool]:
    """Choose well-ranked pools, at most ``maximum``, that can hold the money; the best-ranked where none can.

    Branch and bound over which pools are in and which are out: of those undecided, a linear program takes any part of
    what each may hold, a part of a pool counting as that part of one, with the least sum of ranks. Where that touches
    too many pools, the one of which most is taken in part is tried whole, and if that leads nowhere, left out. (HiGHS
    solves such programs by itself, but writes to the standard output while it does.)
    """
    ranked, upper = selection.ranked, _upper_bounds(selection.ranked, limits, amount_usd)
    caps = _group_caps(ranked, limits)
    nodes: list[tuple[frozenset[int], frozenset[int]]] = [(frozenset(), frozenset())]
    for _ in range(MOST_NODES):
        if not nodes:
            break
        inside, outside = nodes.pop()
        undecided = np.array([float(n not in inside) for n in range(len(ranked))])
        rows = np.vstack([*(shares * upper for shares, _ in caps), undecided])
        room = np.array([*(cap for _, cap in caps), selection.maximum - len(inside)])
        most = np.array([float(n not in outside) for n in range(len(ranked))])
        try:
            parts, _ = minimise(
                np.arange(1.0, len(ranked) + 1.0), rows, room, np.column_stack([0.0 * most, most]), upper
            )
        except SolverFailed:
            continue
        taken = inside | set(np.flatnonzero(parts > _NEGLIGIBLE).tolist())
        if len(taken) <= selection.maximum:
            others = [n for n in range(len(ranked)) if n not in taken]
            return [ranked[n] for n in sorted([*taken, *others[: max(0, selection.minimum - len(taken))]])]
        partly = max((n for n in taken - inside if parts[n] < 1.0 - _NEGLIGIBLE), key=lambda n: (parts[n], -n))
        nodes += [(inside, outside | {partly}), (inside | {partly}, outside)]
    return list(ranked[: selection.maximum])


def _broken_cap(pools: Sequence[Pool], limits: Limits, amount_usd: float | None) -> str | None:
    """Name the first cap, in the order of the list, with which the weights stop being feasible.

    None when all can be met.
    """
    flat = np.zeros((2, len(pools)))
    stages = (
        ("max_weight", limits.model_copy(update={"protocol_share": 1.0, "issuer_share": 1.0}), None),
        ("position_share", limits.model_copy(update={"protocol_share": 1.0, "issuer_share": 1.0}), amount_usd),
        ("protocol_share", limits.model_copy(update={"issuer_share": 1.0}), amount_usd),
        ("issuer_share", limits, amount_usd),
    )
    for rule, stage, amount in stages:
        try:
            _solve(flat, "equal", pools, stage, amount)
        except Infeasible:
            return rule
    return None


def _solve(
    returns: FloatArray, method: WeightMethod, pools: Sequence[Pool], limits: Limits, amount_usd: float | None
) -> FloatArray:
    """Solve for the weights; where positions worth their transactions do not fit the caps, small ones do."""
    upper = _upper_bounds(pools, limits, amount_usd)
    sizes = [min(size, 0.5 / len(pools), float(upper.min())) for size in (SMALLEST_WEIGHT, TINIEST_WEIGHT)]
    for smallest in sizes:
        try:
            return optimize(
                returns,
                method,
                max_weight=limits.max_weight,
                min_weight=smallest,
                max_weights=upper,
                group_caps=_group_caps(pools, limits),
            )
        except Infeasible as error:
            conflict = error
    raise conflict


def _weights(
    pools: Sequence[Pool], method: WeightMethod, limits: Limits, amount_usd: float | None, days: int
) -> FloatArray:
    """Solve for the weights and round them to basis points where the caps allow it and no pool comes out empty."""
    returns = np.column_stack([daily_return(pool.history.apy[-days:]) for pool in pools])
    weights = _solve(returns, method, pools, limits, amount_usd)
    rounded = round_weights(weights, _upper_bounds(pools, limits, amount_usd), _group_caps(pools, limits))
    # Weights that the caps keep off whole basis points: their last bits depend on where the arrays lie in memory.
    return np.round(rounded if rounded.min() > 0.0 else weights, STORED_DECIMALS)


def _upper_bounds(pools: Sequence[Pool], limits: Limits, amount_usd: float | None) -> FloatArray:
    """Return the cap of each pool, shape (n_pools,): the cap on one pool, and the share of what can be withdrawn."""
    if amount_usd is None:
        return np.full(len(pools), limits.max_weight)
    tvl = np.array([pool.row.tvl_usd for pool in pools])
    return np.minimum(limits.max_weight, limits.position_share * tvl / amount_usd)


def _group_caps(pools: Sequence[Pool], limits: Limits) -> list[tuple[FloatArray, float]]:
    """Return (share of each pool that belongs to the group, cap) for every protocol and issuer that could break it."""
    families = sorted({pool.family for pool in pools}) if limits.protocol_share < 1.0 else []
    issuers = sorted({issuer for pool in pools for issuer in pool.issuer_shares}) if limits.issuer_share < 1.0 else []
    return [
        *((np.array([float(pool.family == family) for pool in pools]), limits.protocol_share) for family in families),
        *((np.array([pool.issuer_shares.get(name, 0.0) for pool in pools]), limits.issuer_share) for name in issuers),
    ]
