"""Why a pool or a candidate is not what was chosen, read off the record and the market that it saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tools.counterfactual.in_profile import broken_alone, pool_in_profile
from tools.counterfactual.limits import stated_limits, with_only
from tools.counterfactual.records import (
    Failure,
    PoolInProfile,
    Stage,
    StatedLimit,
    Value,
    WhyNotCandidate,
    WhyNotPool,
)
from tools.errors import UsageError
from tools.market.quality import MAX_GAP_DAYS, MIN_HISTORY_DAYS
from tools.market.snapshot import Market
from tools.records import Candidate, ProfileId, Recommendation
from tools.scoring import PARTS
from tools.strategies.profiles import load_limits, load_profiles, permitted
from tools.strategies.selection import effective_limits
from tools.strategies.universe import Pool, Universe, ruled_out
from tools.units import safe_label


def why_not_candidate(record: Recommendation, candidate_id: str) -> WhyNotCandidate:
    """Say which gates a candidate failed, or by how many points of the score it is behind the choice.

    Raises UsageError for an id that is neither a candidate nor a profile and method that the run tried.
    """
    found = next((candidate for candidate in record.candidates if candidate.id == candidate_id), None)
    if found is not None:
        return _compared(found, record)
    tried = record.plan.unsolved if record.plan is not None else []
    unsolved = next((one for one in tried if f"{one.profile}.{one.method}" == candidate_id), None)
    emptied = next((one for one in record.emptied if one.profile == candidate_id.partition(".")[0]), None)
    if unsolved is None and emptied is None:
        raise UsageError(f"{safe_label(candidate_id)}: the run tried no such candidate")
    return WhyNotCandidate(
        candidate_id=candidate_id,
        chosen=False,
        failed=[],
        score=None,
        score_behind=None,
        parts_behind=None,
        unsolved=unsolved,
        emptied=emptied if unsolved is None else None,
    )


def _compared(candidate: Candidate, record: Recommendation) -> WhyNotCandidate:
    chosen = _chosen(record)
    own = candidate.score
    return WhyNotCandidate(
        candidate_id=candidate.id,
        chosen=candidate is chosen,
        failed=[Failure(rule=g.rule, value=g.value, limit=g.limit) for g in candidate.gates if not g.passed],
        score=own.total,
        score_behind=None if chosen is None else chosen.score.total - own.total,
        parts_behind=None if chosen is None else {part: chosen.score.parts[part] - own.parts[part] for part in PARTS},
        unsolved=None,
        emptied=None,
    )


def _chosen(record: Recommendation) -> Candidate | None:
    choice = record.choice
    return next((one for one in record.candidates if choice is not None and one.id == choice.candidate_id), None)


def why_not_pool(record: Recommendation, market: Market, universe: Universe, pool_id: str) -> WhyNotPool:
    """Say where on the way from the market to the choice a pool dropped out; see ``WhyNotPool``.

    Parameters
    ----------
    market, universe
        What the run of ``record`` saw and which pools of it were eligible.

    Notes
    -----
    Nothing is solved: filters and ranking are asked again for this pool, the rest stands in the record.
    """
    pool = next((pool for pool in universe.pools if pool.id == pool_id), None)
    if pool is None:
        failure = _excluded(market, universe, pool_id)
        return _answer(pool_id, "not_in_market" if failure is None else "excluded", failure=failure)
    limits = [
        limit for limit in stated_limits(record.mandate) if ruled_out((pool,), with_only(record.mandate, [limit]))
    ]
    if limits:
        return _answer(pool_id, "ruled_out", limits=limits)
    return _of_eligible(record, universe, pool)


def _of_eligible(record: Recommendation, universe: Universe, pool: Pool) -> WhyNotPool:
    holding = [one for one in record.candidates if any(held.pool_id == pool.id for held in one.pools)]
    holding.sort(key=lambda one: (not one.passed, -one.score.total, one.id))
    compared = [_compared(one, record) for one in holding]
    limits = effective_limits(record.mandate, load_limits()[record.mandate.risk][universe.asset])
    breaks = broken_alone(pool, record.mandate, limits)
    held = [] if record.choice is None else [one for one in record.choice.pools if one.pool_id == pool.id]
    if held:
        return _answer(pool.id, "held", breaks=breaks, candidates=compared, weight=held[0].weight)
    stage: Stage = "not_selected" if not holding else "lost" if any(one.passed for one in holding) else "failed"
    profiles = [pool_in_profile(record, universe, pool, limits, one) for one in _permitted(record)]
    return _answer(pool.id, stage, breaks=breaks, profiles=profiles, candidates=compared)


def _answer(
    pool_id: str,
    stage: Stage,
    *,
    failure: Failure | None = None,
    limits: Sequence[StatedLimit] = (),
    breaks: Sequence[Failure] = (),
    profiles: Sequence[PoolInProfile] = (),
    candidates: Sequence[WhyNotCandidate] = (),
    weight: float | None = None,
) -> WhyNotPool:
    return WhyNotPool(
        pool_id=pool_id,
        stage=stage,
        failure=failure,
        limits=list(limits),
        breaks=list(breaks),
        profiles=list(profiles),
        candidates=list(candidates),
        weight=weight,
    )


def _excluded(market: Market, universe: Universe, pool_id: str) -> Failure | None:
    """Return why the market's data or the asset's tokens keep a pool out; None where the market has no such pool."""
    reason = universe.excluded.get(pool_id)
    if reason is None:
        return None
    row, label = market.rows.get(pool_id), market.labels.get(pool_id)
    values: Mapping[str, Value] = {
        "too_small": None if row is None else row.tvl_usd,
        "token_not_allowed": None if label is None else safe_label(label.symbol),
    }
    return Failure(rule=reason, value=values.get(reason), limit=_asked().get(reason))


def _asked() -> Mapping[str, float]:
    """Return what the rules on data ask, where that is one figure."""
    return {
        "too_small": min(profile.min_tvl_usd for profile in load_profiles().values()),
        "short_history": float(MIN_HISTORY_DAYS),
        "gap": float(MAX_GAP_DAYS),
        "stale": float(MAX_GAP_DAYS),
    }


def _permitted(record: Recommendation) -> list[ProfileId]:
    """List the profiles that the mandate may be given, the named one or those of its risk; none if none was tried."""
    if record.plan is None:
        return []
    named, risk = record.mandate.profile, record.mandate.risk
    return [one for one, profile in load_profiles().items() if (one == named if named else permitted(profile, risk))]
