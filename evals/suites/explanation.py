"""Explanation: what the record states as a reason drives the choice. The reason is changed, and the choice must follow.

* ``yield``: the choice is for what it keeps. The rate of the pool that brings most of it falls to a fifth, and at least
  half of the money in it has to leave.
* ``loss``: at low risk the choice is for what it does not lose. The protocol of the largest position is said to fail
  every other year, and at least half of the money in it has to leave.
* ``limit``: caps on a pool are stated with their prices. All are loosened by a percentage point, and the objective of
  the same candidate has to gain what the prices add up to, between half and all of it: they are slopes, and the gain
  bends away from them.
* ``exclusion``: pools are stated to be ruled out by the user's own limit. Without that limit in the question they are
  not ruled out any more.
* ``bystander``: a pool that neither the choice nor any candidate holds vanishes from the market. It was no reason, so
  nearly nothing may move.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from evals.made_source import Listed
from evals.records import Score, Subject
from evals.suite import Identity, Suite
from evals.suites.advice import Chosen, ask, lines, market, moved, total
from tools.market.names import family_of
from tools.records import Recommendation
from tools.units import BASIS_POINTS

CUT = 0.2  # what is left of a rate
LEAVES = 0.5  # of the money in a pool whose rate was cut
GAIN = (0.5, 1.02)  # of the stated prices; the upper end leaves room for their last digits and the rounded weights
STAYS = 0.02  # of the money; every rate enters the market's median and the centre towards which rates are shrunk
FAST = {"e06", "e15"}
FAILURES = 0.5  # a year
Kind = Literal["yield", "loss", "limit", "exclusion", "bystander"]


class Case(NamedTuple):
    """A question, the reason that is put to the test, and for limits the question without it, or with it loosened."""

    id: str
    kind: Kind
    question: str
    changed: str | None = None


class Tested(NamedTuple):
    """What the record stated and what came of changing it, both as one figure; ``words`` say what they are.

    ``stated`` None: the record did not state such a reason, so there was nothing to test.
    """

    stated: float | None
    came: float
    words: str
    runs: tuple[Chosen, ...]


def solve(case: Case, subject: Subject) -> Tested:
    """Ask, change what was stated, and ask again."""
    first = ask(case.question, market(), subject)
    if first.record is None or first.record.choice is None:
        return Tested(None, 0.0, f"no choice to explain: {first.outcome}", (first,))
    return _TESTS[case.kind](case, first, subject)


def _by_yield(case: Case, first: Chosen, subject: Subject) -> Tested:
    rates = {pool.id: pool.apy_base + pool.apy_reward for pool in market()}
    driver = max(sorted(first.weights), key=lambda pool: first.weights[pool] * rates[pool])
    cut = [_cut(pool) if pool.id == driver else pool for pool in market()]
    second = ask(case.question, cut, subject)
    before, after = first.weights[driver], second.weights.get(driver, 0.0)
    return Tested(before, after, f"the weight of {driver} when its rate falls to a fifth", (first, second))


def _by_loss(case: Case, first: Chosen, subject: Subject) -> Tested:
    pools = {pool.id: pool for pool in market()}
    largest = max(sorted(first.weights), key=lambda pool: first.weights[pool])
    protocol = f"protocol:{family_of(pools[largest].project)}"
    second = ask(case.question, market(), subject, {protocol: FAILURES})
    before, after = first.weights[largest], second.weights.get(largest, 0.0)
    return Tested(before, after, f"the weight of {largest} when its protocol fails every other year", (first, second))


def _by_limit(case: Case, first: Chosen, subject: Subject) -> Tested:
    assert first.record is not None
    candidate, value, prices = _binding(first.record, None)
    if not prices:
        return Tested(None, 0.0, "no cap on a pool is stated to bind", (first,))
    second = ask(case.changed or "", market(), subject)
    assert second.record is not None
    _, loosened, _ = _binding(second.record, candidate)
    gain = 0.0 if loosened is None or value is None else (loosened - value) * BASIS_POINTS
    gain = -gain if _minimised(first.record) else gain
    return Tested(sum(prices), gain, f"the objective of {candidate}, bp, for a point on every cap", (first, second))


def _binding(record: Recommendation, candidate_id: str | None) -> tuple[str, float | None, list[float]]:
    """Return a candidate (None: the chosen one), its objective, and the prices of the caps on its pools."""
    assert record.choice is not None
    wanted = candidate_id or record.choice.candidate_id
    found = next((one for one in record.candidates if one.id == wanted), None)
    if found is None:
        return wanted, None, []
    binding = found.optimisation.binding
    return wanted, found.optimisation.value, [one.price_bps for one in binding if one.limit.startswith("max_weight:")]


def _minimised(record: Recommendation) -> bool:
    assert record.choice is not None
    chosen = next(one for one in record.candidates if one.id == record.choice.candidate_id)
    return chosen.optimisation.objective.startswith("minimise")


def _by_exclusion(case: Case, first: Chosen, subject: Subject) -> Tested:
    stated = _ruled_out(first)
    if not stated:
        return Tested(None, 0.0, "no pool is stated to be ruled out", (first,))
    second = ask(case.changed or "", market(), subject)
    return Tested(float(stated), float(_ruled_out(second)), "pools ruled out by the user's own limit", (first, second))


def _ruled_out(chosen: Chosen) -> int:
    assert chosen.record is not None
    summary = chosen.record.market
    return 0 if summary is None else sum(summary.ruled_out.values())


def _by_bystander(case: Case, first: Chosen, subject: Subject) -> Tested:
    assert first.record is not None
    held = {pool.pool_id for candidate in first.record.candidates for pool in candidate.pools}
    idle = [pool for pool in market() if pool.id not in held and _of_asset(pool, first.record)]
    if not idle:
        return Tested(None, 0.0, "every pool of the asset is in some candidate", (first,))
    gone = min(idle, key=lambda pool: pool.id)
    second = ask(case.question, [pool for pool in market() if pool.id != gone.id], subject)
    share = moved(first.weights, second.weights)
    return Tested(0.0, share, f"the share of the money that moves when {gone.id} vanishes", (first, second))


def _of_asset(pool: Listed, record: Recommendation) -> bool:
    assert record.market is not None
    return pool.id in record.market.benchmark_pools


def _cut(pool: Listed) -> Listed:
    return dataclasses.replace(pool, apy_base=CUT * pool.apy_base, apy_reward=CUT * pool.apy_reward)


_TESTS = {
    "yield": _by_yield,
    "loss": _by_loss,
    "limit": _by_limit,
    "exclusion": _by_exclusion,
    "bystander": _by_bystander,
}


def drives(case: Case, tested: Tested) -> Score:
    """Demand that the choice follows the stated reason, and no other."""
    if tested.stated is None:
        return Score(value=None, passed=None, explanation=tested.words)
    stated, came = tested.stated, tested.came
    follows = {
        "yield": came <= (1.0 - LEAVES) * stated,
        "loss": came <= (1.0 - LEAVES) * stated,
        "limit": GAIN[0] * stated <= came <= GAIN[1] * stated,
        "exclusion": came < stated,
        "bystander": came <= STAYS,
    }[case.kind]
    return Score(value=came, passed=follows, explanation=f"{tested.words}: stated {stated:.4g}, then {came:.4g}")


def details(case: Case, tested: Tested) -> Mapping[str, Any]:
    """Return the question and the choices."""
    weights = [dict(run.weights) for run in tested.runs]
    return {"question": case.question, "changed": case.changed, "weights": weights}


def load() -> Sequence[Case]:
    """Read the cases."""
    return [Case(**line) for line in lines("explanation.jsonl")]


SUITE = Suite(
    name="explanation",
    words="does the stated reason drive the choice: does it go when it goes?",
    load=load,
    identify=lambda case: Identity(case.id, (case.kind,), case._asdict()),
    solve=solve,
    scorers={"drives": drives},
    spent=lambda tested: total([run.spent for run in tested.runs]),
    details=details,
    fast=lambda case: case.id in FAST,
)
