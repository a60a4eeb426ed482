"""How far a pool came in one profile: its rules, its ranking, what risk sent back, the weights."""

from __future__ import annotations

from typing import NamedTuple

from tools.candidates.posing import CHOOSING
from tools.candidates.weighing import WIDEST
from tools.counterfactual.records import Failure, PoolInProfile, ProfileStage
from tools.records import Candidate, Mandate, ProfileId, Recommendation
from tools.strategies.profiles import Limits, load_profiles
from tools.strategies.selection import Selection, broken_rule, select
from tools.strategies.universe import Pool, Universe


def broken_alone(pool: Pool, mandate: Mandate, limits: Limits) -> list[Failure]:
    """List the limits that a portfolio of this pool alone would break, in the order in which risk looks at them.

    The same for which risk sends pools back (``tools.candidates.gates.vetoes``), with values. ``limits`` are those of
    the level with the user's own in their place.
    """
    row, least = pool.row, mandate.min_apy
    rewards = (row.apy_reward or 0.0) / row.apy if row.apy > 0.0 else 0.0
    days, fewest = float(pool.history.days), float(limits.history_days)
    checks: tuple[tuple[str, float, float | None, bool], ...] = (
        ("protocol_risk", pool.protocol_risk, limits.protocol_risk, pool.protocol_risk > limits.protocol_risk),
        ("history_days", days, fewest, days < fewest),
        ("reward_share", rewards, limits.reward_share, (row.apy_reward or 0.0) > limits.reward_share * row.apy),
        ("apy_multiple", pool.apy_multiple, limits.apy_multiple, pool.apy_multiple > limits.apy_multiple),
        ("min_apy", row.apy, least, least is not None and row.apy < least),
    )
    return [Failure(rule=rule, value=value, limit=limit) for rule, value, limit, breaks in checks if breaks]


def pool_in_profile(
    record: Recommendation, universe: Universe, pool: Pool, limits: Limits, profile_id: ProfileId
) -> PoolInProfile:
    """Say how far an eligible pool that no stated limit rules out came in a profile; see ``PoolInProfile``."""
    own = [candidate for candidate in record.candidates if candidate.profile == profile_id]
    holding = [one.id for one in own if any(held.pool_id == pool.id for held in one.pools)]
    ranking = _ranking(record, universe, pool, limits, profile_id)
    stage, failure = ("candidates", None) if holding else _dropped(record, pool, limits, profile_id, own, ranking)
    return PoolInProfile(
        profile=profile_id,
        stage=stage,
        failure=failure,
        rank=None if ranking is None else ranking.rank,
        ranked=None if ranking is None else ranking.ranked,
        places=None if ranking is None else ranking.places,
        looked_at=None if ranking is None else ranking.looked_at,
        candidates=holding,
    )


class _Ranking(NamedTuple):
    """A pool's place in the ranking of a profile, counted from 1, and how many places lead to a candidate."""

    rank: int
    ranked: int
    places: int
    looked_at: int


def _ranking(
    record: Recommendation, universe: Universe, pool: Pool, limits: Limits, profile_id: ProfileId
) -> _Ranking | None:
    """Rank the pools again as quant does in its first round; None where the profile does not accept the pool."""
    selection = select(profile_id, load_profiles()[profile_id], universe.pools, record.mandate, limits, {})
    if not isinstance(selection, Selection) or pool not in selection.ranked:
        return None
    methods = record.plan.methods if record.plan is not None else []
    widest = WIDEST if CHOOSING & set(methods) else 0
    ranked = len(selection.ranked)
    places = min(selection.count, ranked)
    return _Ranking(selection.ranked.index(pool) + 1, ranked, places, min(max(places, widest), ranked))


def _dropped(
    record: Recommendation,
    pool: Pool,
    limits: Limits,
    profile_id: ProfileId,
    own: list[Candidate],
    ranking: _Ranking | None,
) -> tuple[ProfileStage, Failure | None]:
    """Say at which stage the profile lost the pool, and by which rule where it is one."""
    broken = broken_rule(pool, load_profiles()[profile_id])
    if broken is not None:
        return "rule", Failure(rule=broken.rule, value=broken.value, limit=broken.limit)
    emptied = next((one.rule for one in record.emptied if one.profile == profile_id), None)
    fired = {event.rule for event in record.limit_events if event.action == "sent_back"} | {emptied}
    for failure in broken_alone(pool, record.mandate, limits):
        if failure.rule in fired and (emptied == failure.rule or any(candidate.revised for candidate in own)):
            return "sent_back", failure
    if emptied is not None:
        return "emptied", Failure(rule=emptied, value=None, limit=None)
    if ranking is not None and ranking.rank > ranking.looked_at:
        return "rank", None
    return "unweighted", None
