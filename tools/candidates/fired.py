"""The limits that fired on the way to a choice, each with what it found and what it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tools.candidates.construct import Draft
from tools.candidates.gates import Assessed
from tools.candidates.posing import Weighing
from tools.candidates.weighing import NO_WEIGHTS, free_weights
from tools.records import LimitEvent, ProfileId
from tools.strategies.profiles import Limits
from tools.units import significant

_BINDING = 1e-4  # weights are rounded to basis points: this close to a cap one is held by it


def sent_back(
    assessed: Sequence[Assessed], vetoed: Mapping[ProfileId, Mapping[str, str]], limits: Limits
) -> list[LimitEvent]:
    """Record each pool that risk sends back: the largest weight that a candidate of the profile gave it, and 0 now."""
    events = []
    for profile_id, broken in vetoed.items():
        drafts = [a.measured.draft for a in assessed if a.measured.draft.profile_id == profile_id]
        for pool_id, rule in sorted(broken.items()):
            before = max((_weight_of(draft, pool_id) for draft in drafts), default=0.0)
            if before > 0.0:
                events.append(_event(rule, pool_id, getattr(limits, rule, None), before, 0.0, "sent_back"))
    return _once(events)


def rejected(assessed: Sequence[Assessed]) -> list[LimitEvent]:
    """Record each gate that turned a candidate down: all of the money would have followed it, none does."""
    return [
        _event(gate.rule, candidate.measured.draft.id, gate.limit, 1.0, 0.0, "rejected")
        for candidate in assessed
        for gate in candidate.gates
        if not gate.passed
    ]


def capped(chosen: Assessed, limits: Limits, days: int, weighing: Weighing) -> list[LimitEvent]:
    """Record each pool of the choice that a cap holds below what its method alone would give it."""
    draft = chosen.measured.draft
    try:
        free = free_weights(draft.method, draft.pools, limits, weighing, days)
    except NO_WEIGHTS:  # without the caps the money does not fit, or the method has no answer
        return []
    gates = {gate.rule: gate for gate in chosen.gates}
    events = []
    for number, (pool, weight) in enumerate(zip(draft.pools, draft.weights, strict=True)):
        rule = _binding_cap(chosen, number, limits) if free[number] > weight + 2.0 * _BINDING else None
        if rule is not None:
            before, after = float(free[number]), float(weight)
            events.append(_event(rule, pool.id, gates[rule].limit, before, after, "capped"))
    return events


def _binding_cap(chosen: Assessed, number: int, limits: Limits) -> str | None:
    """Name the cap that holds a pool: its own weight, its protocol's or an issuer's, or the share of the pool.

    None where a weight gave way to others, as to the smallest that is worth its transactions.
    """
    draft, tightest = chosen.measured.draft, chosen.risk.largest_position_share
    pool, weights = draft.pools[number], draft.weights
    protocol = sum(w for other, w in zip(draft.pools, weights, strict=True) if other.family == pool.family)
    issuers = [
        sum(w * other.issuer_shares.get(issuer, 0.0) for other, w in zip(draft.pools, weights, strict=True))
        for issuer in pool.issuer_shares
    ]
    position = 0.0 if tightest is None else _position(chosen, number, tightest)
    checks = (
        ("max_weight", float(weights[number]), limits.max_weight, _BINDING),
        ("protocol_share", float(protocol), limits.protocol_share, _BINDING),
        ("issuer_share", float(max(issuers, default=0.0)), limits.issuer_share, _BINDING),
        ("position_share", position, limits.position_share, 0.01 * limits.position_share),
    )
    return next((rule for rule, value, cap, slack in checks if cap < 1.0 and value >= cap - slack), None)


def _position(chosen: Assessed, number: int, tightest: float) -> float:
    """Return the position over what can be withdrawn, from the tightest one: shares go as weight over TVL."""
    draft = chosen.measured.draft
    ratios = [float(weight) / pool.row.tvl_usd for pool, weight in zip(draft.pools, draft.weights, strict=True)]
    return tightest * ratios[number] / max(ratios)


def _weight_of(draft: Draft, pool_id: str) -> float:
    return next((float(w) for pool, w in zip(draft.pools, draft.weights, strict=True) if pool.id == pool_id), 0.0)


def _event(rule: str, subject: str, limit: object, before: float, after: float, action: str) -> LimitEvent:
    return LimitEvent.model_validate(
        {
            "rule": rule,
            "subject": subject,
            "limit": float(limit) if isinstance(limit, int) else limit,
            "before": significant(before),
            "after": significant(after),
            "action": action,
        }
    )


def _once(events: Sequence[LimitEvent]) -> list[LimitEvent]:
    """Keep one event for each rule and pool, with the largest weight that was taken from it."""
    kept: dict[tuple[str, str], LimitEvent] = {}
    for event in events:
        key = event.rule, event.subject
        if key not in kept or event.before > kept[key].before:
            kept[key] = event
    return [kept[key] for key in sorted(kept)]
