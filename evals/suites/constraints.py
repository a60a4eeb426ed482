"""Constraints: whatever limits a mandate names, and whatever its level of risk sets, the choice keeps them.

The limits of a case stand in it as data, beside a question that puts them into words; so a limit that was misread is a
limit that was broken. Scorers look at the weights and at the market's own rows, not at what the record says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evals.made_source import Listed
from evals.records import Score, Subject
from evals.suite import Identity, Suite
from evals.suites.advice import Chosen, ask, lines, market
from tools.market.names import family_of
from tools.records import Asset, RiskLevel
from tools.strategies.profiles import Limits, load_limits
from tools.strategies.tokens import load_tokens

TOLERANCE = 1e-9
FAST = {"c01", "c02"}


class Case(NamedTuple):
    """A question with its limits as data; ``limits`` holds only those that it names.

    ``must_answer``: pools that keep them exist beyond doubt, so that "nothing fits" is no answer.
    """

    id: str
    question: str
    asset: Asset
    amount_usd: float | None
    risk: RiskLevel
    limits: Mapping[str, Any]
    must_answer: bool


def solve(case: Case, subject: Subject) -> Chosen:
    """Ask the workflow."""
    return ask(case.question, market(), subject)


def adds_up(case: Case, chosen: Chosen) -> Score | None:
    """Demand weights that are none below 0, add up to 1, and are of pools that exist."""
    if chosen.outcome != "choice":
        return None
    known = {pool.id for pool in market()}
    off = abs(sum(chosen.weights.values()) - 1.0)
    right = (
        off <= TOLERANCE and all(weight >= 0.0 for weight in chosen.weights.values()) and known >= set(chosen.weights)
    )
    return Score(
        value=off, passed=right, explanation="weights add up to 1" if right else f"weights: {dict(chosen.weights)}"
    )


def own_limits(case: Case, chosen: Chosen) -> Score | None:
    """Demand every limit that the question names."""
    return _kept(chosen, list(_own(case, chosen.weights)))


def level_limits(case: Case, chosen: Chosen) -> Score | None:
    """Demand the limits of the level of risk, as its data file has them, where the question sets none instead."""
    limits = load_limits()[case.risk][case.asset]
    return _kept(chosen, list(_of_level(case, chosen.weights, limits)))


def answers(case: Case, chosen: Chosen) -> Score:
    """Demand a choice where one exists beyond doubt."""
    found = chosen.outcome == "choice"
    return Score(
        value=float(found),
        passed=found if case.must_answer else None,
        explanation=f"{chosen.outcome}{'; a choice exists' if case.must_answer else ''}",
    )


def _kept(chosen: Chosen, broken: list[str]) -> Score | None:
    if chosen.outcome != "choice":
        return None
    return Score(value=float(len(broken)), passed=not broken, explanation="; ".join(broken) or "all kept")


def _own(case: Case, weights: Mapping[str, float]) -> Iterator[str]:
    limits = case.limits
    held = [pool for pool in market() if weights.get(pool.id, 0.0) > 0.0]
    if max(weights.values(), default=0.0) > limits.get("max_weight", 1.0) + TOLERANCE:
        yield f"max_weight: {max(weights.values()):.4f}"
    if not limits.get("min_pools", 0) <= len(held) <= limits.get("max_pools", len(held)):
        yield f"{len(held)} pools"
    for pool in held:
        yield from (
            f"{name}: {pool.id}" for name, keeps in _EACH.items() if name in limits and not keeps(pool, limits[name])
        )


_EACH: Mapping[str, Callable[[Listed, Any], bool]] = {
    "chains_include": lambda pool, names: pool.chain in names,
    "chains_exclude": lambda pool, names: pool.chain not in names,
    "protocols_exclude": lambda pool, names: family_of(pool.project) not in names,
    "tokens_exclude": lambda pool, names: not set(pool.symbol.split("-")) & set(names),
    "single_token": lambda pool, wanted: not wanted or "-" not in pool.symbol,
    "min_tvl_usd": lambda pool, least: pool.tvl_usd >= least,
}


def _of_level(case: Case, weights: Mapping[str, float], limits: Limits) -> Iterator[str]:
    pools = {pool.id: pool for pool in market()}
    held = [(pools[pool], weight) for pool, weight in weights.items() if weight > 0.0 and pool in pools]
    if "max_weight" not in case.limits and "max_pools" not in case.limits:
        yield from (f"max_weight: {pool.id}" for pool, weight in held if weight > limits.max_weight + TOLERANCE)
    for pool, weight in held:
        if case.amount_usd is not None and weight * case.amount_usd > limits.position_share * pool.tvl_usd * (1 + 1e-9):
            yield f"position_share: {pool.id}"
    for name, share in _shares(held, lambda pool: [family_of(pool.project)]).items():
        if share > limits.protocol_share + TOLERANCE:
            yield f"protocol_share: {name} {share:.4f}"
    for name, share in _shares(held, lambda pool: _issuers(case.asset, pool)).items():
        if share > limits.issuer_share + TOLERANCE:
            yield f"issuer_share: {name} {share:.4f}"
    rewards = sum(weight * pool.apy_reward for pool, weight in held)
    if (
        rewards
        > limits.reward_share * sum(weight * (pool.apy_base + pool.apy_reward) for pool, weight in held) + TOLERANCE
    ):
        yield "reward_share"


def _shares(held: Sequence[tuple[Listed, float]], parties: Callable[[Listed], Sequence[str]]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for pool, weight in held:
        for party in parties(pool):
            shares[party] = shares.get(party, 0.0) + weight
    return shares


def _issuers(asset: Asset, pool: Listed) -> Sequence[str]:
    """Return who stands behind a pool of one token; of several tokens each counts in part, which is left out here."""
    return (
        load_tokens().issuers_of(asset, pool.symbol) if "-" not in pool.symbol and pool.project != "morpho-v1" else ()
    )


def load() -> Sequence[Case]:
    """Read the cases."""
    return [Case(**line) for line in lines("constraints.jsonl")]


SUITE = Suite(
    name="constraints",
    words="does the choice keep every limit of the mandate and of its level?",
    load=load,
    identify=lambda case: Identity(case.id, (case.asset, case.risk), case._asdict()),
    solve=solve,
    scorers={"adds_up": adds_up, "own_limits": own_limits, "level_limits": level_limits, "answers": answers},
    spent=lambda chosen: chosen.spent,
    details=lambda case, chosen: {
        "question": case.question,
        "outcome": chosen.outcome,
        "weights": dict(chosen.weights),
    },
    fast=lambda case: case.id in FAST,
)
