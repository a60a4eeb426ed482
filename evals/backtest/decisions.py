"""What every strategy holds from a day on, decided by the project's own agents on what was known that evening.

No decision depends on another one, nor on what was held before: each task can be done anywhere. The agents run twice a
level: with the methods planned for it, which gives the adviser's choice, that of each profile and of each planned
method; then with the other methods.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from agents.mandates import limits_for
from evals.allocation import (
    METHODS,
    Candidates,
    MarketDay,
    best_of,
    decide,
    eligible,
    equal_all,
    greedy_apy,
    mandate_of,
    nothing,
    read_day,
    why_none,
)
from evals.backtest.known import is_recorded, open_known
from evals.backtest.records import DayDecisions, Decision, Holding, Request, StrategyKind
from tools.errors import MarketError
from tools.market.names import family_of
from tools.records import Asset, Candidate, Mandate, RiskLevel, digest
from tools.strategies.profiles import load_profiles
from tools.units import significant


class Task(NamedTuple):
    """One day at one level of risk, in plain values, so that it can travel to another process or machine."""

    source: str
    asset: Asset
    amount_usd: float
    day: str
    risk: RiskLevel
    seed: int
    paths: int

    @property
    def sha256(self) -> str:
        """Return a hash over what is asked; where the market lies is no part of it."""
        return digest([self.asset, self.amount_usd, self.day, self.risk, self.seed, self.paths])


def tasks_of(request: Request, source: str) -> list[Task]:
    """Return the tasks of a request, day by day."""
    return [
        Task(source, request.asset, request.amount_usd, day, level, request.seed, request.paths)
        for day in request.days
        for level in request.levels
    ]


def decide_task(task: Task) -> DayDecisions:
    """Decide for every strategy of a level on one day; a market that cannot be used is a result with its reason."""
    day = dt.date.fromisoformat(task.day)
    source = open_known(task.source, task.seed)
    read = _market_day(task.source, task.seed, task.asset, day, task.paths)
    decided = DayDecisions(
        task_sha256=task.sha256,
        day=task.day,
        risk=task.risk,
        snapshot="recorded" if is_recorded(source, day) else "from charts",
        market_sha256=None,
        reason=None,
        risk_free=None,
        pools_eligible=0,
        decisions=[],
    )
    if isinstance(read, str):
        return decided.model_copy(update={"reason": read})
    market = read.state["market"]
    assert market is not None
    return decided.model_copy(
        update={
            "market_sha256": market.snapshot_sha256,
            "risk_free": market.risk_free.rate,
            "pools_eligible": len(read.pools),
            "decisions": list(_decisions(read, mandate_of(task.asset, task.risk, task.amount_usd))),
        }
    )


@functools.lru_cache(maxsize=1)
def _market_day(name: str, seed: int, asset: Asset, day: dt.date, paths: int) -> MarketDay | str:
    """Read a day's market once for its levels; a text says why it cannot be used, without where it lies."""
    source = open_known(name, seed)
    try:
        return read_day(source, asset, day, seed=seed, paths=paths)
    except MarketError as error:
        return str(error).removeprefix(f"{source.label}: ")


def _decisions(day: MarketDay, mandate: Mandate) -> Iterator[Decision]:
    planned = decide(day, mandate)
    rest = [method for method in METHODS if method not in planned.plan.methods]
    others = decide(day, mandate, rest) if rest else planned
    yield _chosen(day, mandate, "adviser", best_of(planned.candidates, serving=planned.plan.methods[-1]), planned)
    for profile_id, profile in load_profiles().items():
        if profile.level == mandate.risk:
            own = [one for one in planned.candidates if one.profile == profile_id]
            best = best_of(own, serving=planned.plan.methods[-1])
            yield _chosen(day, mandate, "profile", best, planned, profile=profile_id)
    for method in METHODS:
        found = planned if method in planned.plan.methods else others
        yield _chosen(day, mandate, "method", best_of(found.candidates, method), found, method=method)
    yield from _baselines(day, mandate)


def _chosen(
    day: MarketDay, mandate: Mandate, kind: StrategyKind, best: Candidate | None, found: Candidates, **of: str
) -> Decision:
    """Return the decision for a candidate, or for none with the reason; ``of`` is the profile or the method."""
    weights = {pool.pool_id: pool.weight for pool in best.pools} if best else {}
    return _decision(day, mandate, kind, weights, best.id if best else None, _why_none(found, best, **of), **of)


def _why_none(found: Candidates, best: Candidate | None, profile: str = "", method: str = "") -> str | None:
    if best is not None:
        return None
    if method:
        return why_none(found, method)  # type: ignore[arg-type]
    own = [one for one in found.candidates if one.profile == profile]
    if not profile:
        return nothing(found)
    rules = sorted({gate.rule for one in own for gate in one.gates if not gate.passed})
    emptied = sorted({one.rule for one in found.emptied if one.profile == profile})
    return f"no candidate passed: {', '.join(rules)}" if rules else f"too few pools: {', '.join(emptied)}"


def _baselines(day: MarketDay, mandate: Mandate) -> Iterator[Decision]:
    """Yield what simple rules hold: all eligible pools alike, the highest APYs up to their caps, the largest pool."""
    pools = eligible(day, mandate)
    greedy = greedy_apy(pools, limits_for(mandate), mandate.amount_usd or 0.0)
    largest = max(day.pools, key=lambda pool: (pool.row.tvl_usd, pool.id))
    empty = None if pools else "no pool is eligible at this level"
    yield _decision(day, mandate, "equal", equal_all(pools), None, empty)
    yield _decision(
        day, mandate, "greedy", greedy or {}, None, None if greedy else "the eligible pools cannot hold the money"
    )
    yield _decision(day, mandate, "largest", {largest.id: 1.0}, None, None)


def _decision(
    day: MarketDay,
    mandate: Mandate,
    kind: StrategyKind,
    weights: Mapping[str, float],
    candidate: str | None,
    reason: str | None,
    **of: str,
) -> Decision:
    assert mandate.amount_usd is not None
    name = ".".join([kind, mandate.risk, *of.values()]) if kind != "largest" else kind
    return Decision.model_validate(
        {
            "strategy": name,
            "kind": kind,
            "risk": None if kind == "largest" else mandate.risk,
            "profile": of.get("profile"),
            "method": of.get("method"),
            "candidate": candidate,
            "reason": reason,
            "holdings": _holdings(day, weights, mandate.amount_usd),
        }
    )


def _holdings(day: MarketDay, weights: Mapping[str, float], amount: float) -> list[Holding]:
    pools = {pool.id: pool for pool in day.pools}
    held = []
    for pool_id in sorted(pool_id for pool_id, weight in weights.items() if weight > 0.0):
        pool, weight = pools[pool_id], weights[pool_id]
        rate = day.moving.curve(pool).rate(weight * amount)
        held.append(
            Holding(
                pool_id=pool_id,
                name=pool.name,
                family=family_of(pool.row.project),
                chain=pool.row.chain,
                tokens=list(pool.tokens),
                weight=significant(weight),
                apy=pool.row.apy,
                kept=significant(min(1.0, max(0.0, rate / pool.row.apy))) if pool.row.apy > 0.0 else 1.0,
            )
        )
    return held


def by_strategy(days: Sequence[DayDecisions]) -> dict[str, dict[str, Decision]]:
    """Return the decisions by strategy and day, in the order in which they were made; days without any are left out."""
    found: dict[str, dict[str, Decision]] = {}
    for one in days:
        for decision in one.decisions:
            found.setdefault(decision.strategy, {})[one.day] = decision
    return found
