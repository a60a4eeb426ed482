"""One draft per profile and weight method: which pools, with which weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.candidates.caps import caps_of
from tools.candidates.posing import SMALLEST_WEIGHT, Weighing
from tools.candidates.weighing import NO_WEIGHTS, TINIEST_WEIGHT, weigh
from tools.optimize import SolverFailed
from tools.optimize.linear import minimise
from tools.records import Emptied, Mandate, Optimisation, ProfileId, Unsolved, WeightMethod
from tools.strategies.objectives import load_objectives
from tools.strategies.profiles import Limits, Profile
from tools.strategies.selection import Selection, diversified, select
from tools.strategies.universe import Pool, Universe
from tools.units import FloatArray

WINDOW_DAYS = 365
MOST_NODES = 300  # of the search for pools that fit: a bound on time that does not depend on the machine
_NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Draft:
    """Pools and weights of one candidate; ``weights`` has shape (n_pools,) and sums to 1."""

    profile_id: ProfileId
    method: WeightMethod
    pools: tuple[Pool, ...]
    weights: FloatArray
    optimisation: Optimisation
    revised: bool
    raised: bool

    @property
    def id(self) -> str:
        """Return the candidate's id: profile and method."""
        return f"{self.profile_id}.{self.method}"


@dataclass(frozen=True)
class CandidateSet:
    """All drafts over one window of ``days`` days, the profiles that ended without one, and the methods that failed."""

    drafts: tuple[Draft, ...]
    emptied: tuple[Emptied, ...]
    days: int
    unsolved: tuple[Unsolved, ...] = ()


def build_candidates(
    universe: Universe,
    mandate: Mandate,
    profiles: Mapping[ProfileId, Profile],
    limits: Limits,
    amount_usd: float | None,
    vetoed: Mapping[ProfileId, Mapping[str, str]] | None = None,
    weighing: Weighing | None = None,
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
    weighing
        Which methods, and what they may know beside the histories; without it those of the mandate's risk that need
        nothing else.

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
    weighing = weighing or _by_histories(mandate, amount_usd)
    drafts: list[Draft] = []
    unsolved: list[Unsolved] = []
    for profile_id, (pools, selection) in chosen.items():
        for method in weighing.methods:
            try:
                weighted = weigh(method, pools, selection, limits, weighing, days)
            except NO_WEIGHTS as error:
                unsolved.append(Unsolved(profile=profile_id, method=method, reason=str(error)))
                continue
            raised = len(weighted.pools) > profiles[profile_id].pools
            drafts.append(Draft(profile_id, method, *weighted, profile_id in vetoed, raised))
    return CandidateSet(tuple(drafts), tuple(emptied), days, tuple(unsolved))


def _by_histories(mandate: Mandate, amount_usd: float | None) -> Weighing:
    """Return the way to weigh that needs nothing but histories."""
    return Weighing(load_objectives()[mandate.risk], ("equal", "inverse_volatility", "min_cvar"), amount_usd=amount_usd)


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
    ranked = selection.ranked
    upper, _, caps = caps_of(ranked, limits, amount_usd)
    nodes: list[tuple[frozenset[int], frozenset[int]]] = [(frozenset(), frozenset())]
    for _ in range(MOST_NODES):
        if not nodes:
            break
        inside, outside = nodes.pop()
        undecided = np.array([float(n not in inside) for n in range(len(ranked))])
        rows = np.vstack([*(shares * upper for shares, _, _ in caps), undecided])
        room = np.array([*(cap for _, cap, _ in caps), selection.maximum - len(inside)])
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
    stages = (
        ("max_weight", limits.model_copy(update={"protocol_share": 1.0, "issuer_share": 1.0}), None),
        ("position_share", limits.model_copy(update={"protocol_share": 1.0, "issuer_share": 1.0}), amount_usd),
        ("protocol_share", limits.model_copy(update={"issuer_share": 1.0}), amount_usd),
        ("issuer_share", limits, amount_usd),
    )
    for rule, stage, amount in stages:
        caps = caps_of(pools, stage, amount)
        if not any(caps.hold(min(size, 0.5 / len(pools))) for size in (SMALLEST_WEIGHT, TINIEST_WEIGHT)):
            return rule
    return None
