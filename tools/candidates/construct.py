"""One draft per profile and weight method: which pools, with which weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from tools.optimize import Infeasible, optimize, round_weights
from tools.records import Emptied, Mandate, ProfileId, WeightMethod
from tools.strategies.profiles import Limits, Profile
from tools.strategies.selection import Selection, diversified, select
from tools.strategies.universe import Pool, Universe
from tools.units import FloatArray, daily_return

METHODS: tuple[WeightMethod, ...] = get_args(WeightMethod)
WINDOW_DAYS = 365
SMALLEST_WEIGHT = 0.05  # a position below this is not worth its transactions
MOST_NODES = 2_000  # of the search for pools that fit: a bound on time that does not depend on the machine


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
    while (failed := _broken_cap(pools, limits, amount_usd)) is not None:
        if len(pools) >= selection.maximum and spare:
            pools, spare = _that_fit(selection, limits, amount_usd), []
        elif spare:
            pools.append(spare.pop(0))
        else:
            return Emptied(profile=selection.profile_id, rule=failed, pools_before=len(selection.ranked), pools_after=0)
    return sorted(pools, key=lambda pool: pool.id)


def _that_fit(selection: Selection, limits: Limits, amount_usd: float | None) -> list[Pool]:
    """Choose few and well-ranked pools that can hold the money within the caps, or the best-ranked where none can.

    A mixed-integer program over the weights w and the choice z in {0, 1}: w ≤ cap · z, Σ w = 1, the caps on groups,
    between ``minimum`` and ``maximum`` pools; the sum of the ranks is least.
    """
    from scipy.optimize import LinearConstraint, milp

    ranked, n = selection.ranked, len(selection.ranked)
    none, each = np.zeros(n), np.ones(n)
    rows = [
        *np.hstack([np.eye(n), -np.diag(_upper_bounds(ranked, limits, amount_usd))]),
        *(np.append(shares, none) for shares, _ in _group_caps(ranked, limits)),
    ]
    ceilings = [*none, *(cap for _, cap in _group_caps(ranked, limits))]
    found = milp(
        np.append(none, np.arange(1.0, n + 1.0)),
        integrality=np.append(none, each),
        bounds=(0.0, 1.0),
        constraints=[
            LinearConstraint(np.array(rows), -np.inf, ceilings),
            LinearConstraint(np.append(each, none), 1.0, 1.0),
            LinearConstraint(np.append(none, each), selection.minimum, selection.maximum),
        ],
        options={"node_limit": MOST_NODES},
    )
    if found.x is None:
        return list(ranked[: selection.maximum])
    return [pool for pool, taken in zip(ranked, found.x[n:], strict=True) if taken > 0.5]


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
    upper = _upper_bounds(pools, limits, amount_usd)
    smallest = min(SMALLEST_WEIGHT, 0.5 / len(pools), float(upper.min()))
    return optimize(
        returns,
        method,
        max_weight=limits.max_weight,
        min_weight=smallest,
        max_weights=upper,
        group_caps=_group_caps(pools, limits),
    )


def _weights(
    pools: Sequence[Pool], method: WeightMethod, limits: Limits, amount_usd: float | None, days: int
) -> FloatArray:
    """Solve for the weights and round them to basis points where the caps allow it and no pool comes out empty."""
    returns = np.column_stack([daily_return(pool.history.apy[-days:]) for pool in pools])
    weights = _solve(returns, method, pools, limits, amount_usd)
    rounded = round_weights(weights, _upper_bounds(pools, limits, amount_usd), _group_caps(pools, limits))
    return rounded if rounded.min() > 0.0 else weights


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
