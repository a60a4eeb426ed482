"""Which pools a profile would hold: the mandate's limits, the profile's own, its ranking and its count."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tools.records import Emptied, Mandate, ProfileId
from tools.strategies.profiles import Limits, Profile, SortKey
from tools.strategies.universe import Pool, ruled_out

MAX_POOLS = 20
SMALLEST_APY = 0.0005  # a pool that pays under five basis points on the day is not worth its risk

# Higher ranks first; ties go to the larger pool, then to the id.
_SORT: dict[SortKey, Callable[[Pool], float]] = {
    "tvl": lambda pool: pool.row.tvl_usd,
    "apy": lambda pool: pool.row.apy,
    "apy_mean_30d": lambda pool: pool.apy_mean_30d,
    "apy_base": lambda pool: pool.counted_base_apy,
    "risk_adjusted_apy": lambda pool: pool.row.apy * (1.0 - pool.protocol_risk),
    "risk_adjusted_base_apy": lambda pool: pool.counted_base_apy * (1.0 - pool.protocol_risk),
    "protocol_risk": lambda pool: -pool.protocol_risk,
}


class OwnRule(NamedTuple):
    """A rule of a profile itself: whether a pool keeps it, what it looks at, and what it asks."""

    name: str
    keeps: Callable[[Pool, Profile], bool]
    value: Callable[[Pool], float | str]
    limit: Callable[[Profile], float | str]


class Broken(NamedTuple):
    """A rule that a pool breaks, with what was found and what the rule asks."""

    rule: str
    value: float | str
    limit: float | str


_OWN_RULES = (
    OwnRule(
        "pays_nothing",
        lambda pool, profile: pool.row.apy >= SMALLEST_APY,
        lambda pool: pool.row.apy,
        lambda profile: SMALLEST_APY,
    ),
    OwnRule(
        "impermanent_loss",
        lambda pool, profile: pool.single or profile.impermanent_loss == "pegged",
        lambda pool: float(len(pool.tokens)),
        lambda profile: 1.0,
    ),
    OwnRule(
        "max_protocol_risk",
        lambda pool, profile: pool.protocol_risk <= profile.max_protocol_risk,
        lambda pool: pool.protocol_risk,
        lambda profile: profile.max_protocol_risk,
    ),
    OwnRule(
        "min_tvl",
        lambda pool, profile: pool.row.tvl_usd >= profile.min_tvl_usd,
        lambda pool: pool.row.tvl_usd,
        lambda profile: profile.min_tvl_usd,
    ),
    OwnRule(
        "not_trending_down",
        lambda pool, profile: not profile.not_trending_down or pool.trend == "not_down",
        lambda pool: pool.trend,
        lambda profile: "not_down",
    ),
)


@dataclass(frozen=True)
class Selection:
    """The pools a profile accepts, best first, and how many it wants.

    It wants ``count`` of them, never fewer than ``minimum`` nor more than ``maximum``. ``raised`` says that the caps
    need more pools than the profile's own count.
    """

    profile_id: ProfileId
    ranked: tuple[Pool, ...]
    minimum: int
    count: int
    maximum: int
    raised: bool


def effective_limits(mandate: Mandate, limits: Limits) -> Limits:
    """Put the user's own limits in the place of the level's.

    A cap on the number of pools loosens the default cap on one pool as far as it must; naming the only protocols or
    tokens to use accepts their concentration. The protocol risk that a level allows is never lifted.
    """
    changes: dict[str, float] = {}
    if mandate.max_weight is not None:
        changes["max_weight"] = mandate.max_weight
    elif mandate.max_pools is not None:
        changes["max_weight"] = max(limits.max_weight, 1.0 / mandate.max_pools)
    if mandate.protocols_include:
        changes["protocol_share"] = 1.0
    if mandate.tokens_include:
        changes["issuer_share"] = 1.0
    if mandate.max_var_95 is not None:
        changes["var_95"] = min(mandate.max_var_95, 1.0)
    if mandate.max_drawdown is not None:
        changes["max_drawdown"] = min(mandate.max_drawdown, 1.0)
    return limits.model_copy(update=changes)


def pools_needed(max_weight: float) -> int:
    """Return how many pools a cap on one pool needs: ceil(1 / max_weight), safe against 1/0.1 = 10.000000000000002."""
    return math.ceil(1.0 / max_weight - 1e-9)


def select(
    profile_id: ProfileId,
    profile: Profile,
    pools: Sequence[Pool],
    mandate: Mandate,
    limits: Limits,
    vetoed: Mapping[str, str],
) -> Selection | Emptied:
    """Filter and rank the pools for a profile, or name the rule that left too few.

    Parameters
    ----------
    vetoed
        Pools that the risk agent sent back, by id, with the rule they broke.
    """
    needed = pools_needed(limits.max_weight)
    floor = 1 if mandate.max_pools == 1 else 2
    minimum = max(needed, mandate.min_pools or floor)
    maximum = min(MAX_POOLS, mandate.max_pools or MAX_POOLS)
    kept, emptied = _filter(profile_id, profile, pools, mandate, vetoed, minimum)
    if emptied is not None:
        return emptied
    if minimum > maximum:
        return Emptied(profile=profile_id, rule="max_pools", pools_before=len(kept), pools_after=maximum)
    count = min(max(profile.pools, minimum), maximum)
    key = _SORT[profile.sort]
    ranked = tuple(sorted(kept, key=lambda pool: (-key(pool), -pool.row.tvl_usd, pool.id)))
    return Selection(profile_id, ranked, minimum, count, maximum, raised=needed > profile.pools)


def _filter(
    profile_id: ProfileId,
    profile: Profile,
    pools: Sequence[Pool],
    mandate: Mandate,
    vetoed: Mapping[str, str],
    minimum: int,
) -> tuple[list[Pool], Emptied | None]:
    """Apply the rules one after the other.

    The first that leaves fewer than ``minimum`` pools is the one that emptied the profile.
    """
    reasons = ruled_out(tuple(pools), mandate)
    rules: list[tuple[str, Callable[[Pool], bool]]] = [
        (rule, lambda pool, rule=rule: reasons.get(pool.id) != rule)  # type: ignore[misc]
        for rule in sorted(set(reasons.values()))
    ]
    rules += [(own.name, lambda pool, own=own: own.keeps(pool, profile)) for own in _OWN_RULES]  # type: ignore[misc]
    rules += [
        (rule, lambda pool, rule=rule: vetoed.get(pool.id) != rule)  # type: ignore[misc]
        for rule in dict.fromkeys(vetoed[pool_id] for pool_id in sorted(vetoed))
    ]
    kept = list(pools)
    if len(kept) < minimum:
        return kept, Emptied(profile=profile_id, rule="eligible_pools", pools_before=len(kept), pools_after=len(kept))
    for rule, keeps in rules:
        before = len(kept)
        kept = [pool for pool in kept if keeps(pool)]
        if len(kept) < minimum:
            return kept, Emptied(profile=profile_id, rule=rule, pools_before=before, pools_after=len(kept))
    return kept, None


def broken_rule(pool: Pool, profile: Profile) -> Broken | None:
    """Return the first of the profile's own rules that a pool breaks, in the order in which they filter."""
    return next(
        (Broken(own.name, own.value(pool), own.limit(profile)) for own in _OWN_RULES if not own.keeps(pool, profile)),
        None,
    )


def diversified(selection: Selection, limits: Limits) -> list[Pool]:
    """Take the best-ranked pools so that no protocol and no issuer gets more places than its share can fill.

    Shortages are made up in order of rank.
    With n places, a cap c on one pool and a share s for one group, the other places must be able to hold 1 − s: the
    group gets at most n − ceil((1 − s) / c) of them.
    """
    count = min(selection.count, len(selection.ranked))
    per_protocol = max(1, count - math.ceil((1.0 - limits.protocol_share) / limits.max_weight - 1e-9))
    per_issuer = max(1, count - math.ceil((1.0 - limits.issuer_share) / limits.max_weight - 1e-9))
    taken: list[Pool] = []
    protocols: dict[str, int] = {}
    issuers: dict[str, float] = {}
    for pool in selection.ranked:
        fits_protocol = protocols.get(pool.family, 0) < per_protocol
        fits_issuers = all(
            issuers.get(issuer, 0.0) + share <= per_issuer + 1e-9 for issuer, share in pool.issuer_shares.items()
        )
        if len(taken) < count and fits_protocol and fits_issuers:
            taken.append(pool)
            protocols[pool.family] = protocols.get(pool.family, 0) + 1
            for issuer, share in pool.issuer_shares.items():
                issuers[issuer] = issuers.get(issuer, 0.0) + share
    for pool in selection.ranked:
        if len(taken) < count and pool not in taken:
            taken.append(pool)
    return taken
