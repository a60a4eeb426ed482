"""The functions that solve, as the searches see them: a mandate and assumed rates in, an outcome out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tools.counterfactual.records import Decided
from tools.records import Mandate, Recommendation

Decide = Callable[[Mandate, Mapping[str, float]], Decided]
"""A mandate and assumed APYs of the day (fractions, by pool id) → what the deterministic workflow decides."""
Feasible = Callable[[Mandate], bool]
"""Whether a mandate leads to a choice."""


def decided(record: Recommendation) -> Decided:
    """Return what a search needs to know of a recommendation."""
    choice = record.choice
    if choice is None:
        return Decided(outcome=record.outcome, candidate_id=None, weights={}, net_apy=None, score=None)
    chosen = next(candidate for candidate in record.candidates if candidate.id == choice.candidate_id)
    return Decided(
        outcome=record.outcome,
        candidate_id=choice.candidate_id,
        weights={pool.pool_id: pool.weight for pool in choice.pools},
        net_apy=choice.expected.net_apy,
        score=chosen.score.total,
    )


def remembered(decide: Decide) -> Decide:
    """Solve each problem once: the same mandate with the same assumed rates has the same outcome.

    What cannot move a choice is not part of the key: the intent and the notes of the mandate.
    """
    known: dict[tuple[str, tuple[tuple[str, float], ...]], Decided] = {}

    def once(mandate: Mandate, apys: Mapping[str, float]) -> Decided:
        key = mandate.model_dump_json(exclude={"intent", "notes"}), tuple(sorted(apys.items()))
        if key not in known:
            known[key] = decide(mandate, apys)
        return known[key]

    return once


def feasible_by(decide: Decide) -> Feasible:
    """Make a function that tells whether a mandate leads to a choice, at the rates of the day."""
    return lambda mandate: decide(mandate, {}).outcome == "choice"
