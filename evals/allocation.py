"""Decide on days of a recorded market by every weight method, and see what came of it; and what changes with the size.

Each decision runs the project's own agents (data, quant, risk, decision) on what was known at the end of its day; only
the plan, which methods to try, is given. ``evals.outcomes`` then holds the weights through the days that followed.
``python -m evals.allocation --source FOLDER --out docs/allocation.md`` writes the tables into the page.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from agents.data import data
from agents.decision import decision, shortlist
from agents.models import policy_seat
from agents.planning import make_plan
from agents.quant import amount_usd, limits_for, quant
from agents.risk import risk
from agents.state import Context, Settings, State
from agents.world import Moving, moving_of
from evals.outcomes import Cost, Interval, Outcome, bootstrap_mean, outcome, turnover
from tools.candidates.all_in import PATHS, leaving
from tools.candidates.caps import caps_of
from tools.candidates.construct import WINDOW_DAYS
from tools.candidates.posing import SMALLEST_WEIGHT, expected_shortfall, least_weight
from tools.errors import MarketError
from tools.market.evidence import Evidence
from tools.market.snapshot import Progress, Source
from tools.market.sources.folder import FolderSource
from tools.records import (
    AllIn,
    Asset,
    Candidate,
    Conflict,
    Emptied,
    HazardLevel,
    Mandate,
    Optimisation,
    Plan,
    Preference,
    Record,
    RiskLevel,
    WeightMethod,
)
from tools.strategies.objectives import load_objectives
from tools.strategies.profiles import RISK_ORDER, Limits, load_profiles, permitted
from tools.strategies.selection import Selection, select
from tools.strategies.universe import Pool
from tools.units import DAYS_PER_YEAR, significant

METHODS: tuple[WeightMethod, ...] = get_args(WeightMethod)
Rule = Literal["equal_all", "greedy_apy"]
RULES: tuple[Rule, ...] = get_args(Rule)
AMOUNT_USD = 1_000_000.0
SIZES_USD = (10_000.0, 1_000_000.0, 10_000_000.0, 50_000_000.0)
AVERSIONS = (0.0, 0.05, 0.1, 0.2, 0.5)
_OFF = ("intake_model", "plan_model", "decision_model", "prose_model")  # no model sits anywhere in an evaluation
_SMALL = 1e-12


class Window(NamedTuple):
    """A day to decide on, the numbers of days to look at what followed, and the next day that has a snapshot."""

    asset: Asset
    day: dt.date
    horizons: tuple[int, ...]
    next_day: dt.date | None


WINDOWS = (
    Window("USD", dt.date(2024, 10, 1), (30, 90), dt.date(2024, 12, 1)),
    Window("USD", dt.date(2024, 12, 1), (30, 90), dt.date(2025, 1, 15)),
    Window("USD", dt.date(2025, 1, 15), (30,), dt.date(2025, 2, 28)),
    Window("ETH", dt.date(2025, 8, 31), (35,), dt.date(2025, 9, 26)),
    Window("BTC", dt.date(2025, 8, 31), (35,), dt.date(2025, 9, 26)),
)


class Realised(Record):
    """What a decision came to over ``days`` days; see ``outcomes.Outcome``.

    ``arrived`` is ``gross_apy`` over the APY that the day promised. ``edge`` is how much more a year than the equal
    weight of all eligible pools, before costs, by the daily differences of the window; ``edge_low`` to ``edge_high``
    holds nine of ten block resamples of its days.
    """

    days: int
    gross_apy: float
    net_apy: float | None
    volatility: float
    cvar_95: float
    carried: int
    unpaid: int
    arrived: float | None
    edge: float
    edge_low: float
    edge_high: float


class Decided(Record):
    """What a method or rule holds after a day's decision, and what came of it; ``reason`` says why it holds nothing.

    ``weights`` are by pool id. ``promised_apy`` is that of the day; ``expected_loss`` by events and ``cvar_95`` of a
    year with events come from the years that the weight methods see, the same for all methods and rules.
    ``turnover`` is the share of the money that the same method moves on the ``next_day``.
    """

    asset: Asset
    day: str
    risk: RiskLevel
    method: WeightMethod | Rule
    candidate: str | None
    reason: str | None
    weights: dict[str, float]
    promised_apy: float | None
    expected_loss: float | None
    cvar_95: float | None
    gas: float | None
    leaving: float | None
    dilution: float | None
    realised: list[Realised]
    turnover: float | None
    next_day: str | None


class Sized(Record):
    """A pool at a size: what it pays by the day's rate and with the own deposit in it, and what one visit costs."""

    pool_id: str
    name: str
    weight: float
    apy: float
    apy_at_size: float | None
    share_of_pool: float | None
    gas_usd: float | None


class AtSize(Record):
    """What the workflow chooses for an amount, or the ``reason`` why nothing.

    ``changes`` say what is held otherwise than for the amount before, and why.
    """

    asset: Asset
    day: str
    risk: RiskLevel
    amount_usd: float
    candidate: str | None
    method: WeightMethod | None
    reason: str | None
    pools: list[Sized]
    apy: float | None
    all_in: AllIn | None
    optimisation: Optimisation | None
    changes: list[str]


class Averse(Record):
    """What an aversion to loss comes to: the candidate of ``yield_less_loss`` that is chosen with it."""

    loss_aversion: float
    candidate: str | None
    weights: dict[str, float]
    apy: float | None
    net_apy: float | None
    expected_loss: float | None
    cvar_95: float | None
    passed: int


class Chosen(Record):
    """What the workflow chooses with the methods planned for a level, beside the candidate of the objective's method.

    Each with the yield expected to be kept and the mean loss of the worst twentieth of years; None where there is none.
    """

    asset: Asset
    day: str
    risk: RiskLevel
    candidate: str | None
    net_apy: float | None
    cvar_95: float | None
    serving: str | None
    serving_net_apy: float | None
    serving_cvar_95: float | None


class Events(NamedTuple):
    """Expected loss by events in a year, and the mean loss of its worst twentieth, yield counted."""

    expected_loss: float
    cvar_95: float


class _Runtime(NamedTuple):
    """Stands where the graph hands its agents their context; nobody listens to what they tell of their tools."""

    context: Context
    stream_writer: Callable[[Any], None] = lambda told: None


@dataclass(frozen=True)
class MarketDay:
    """A market that was read once, for every decision about one asset on one day."""

    asset: Asset
    state: State
    context: Context

    @property
    def day(self) -> str:
        """Return the day of the decision."""
        market = self.state["market"]
        assert market is not None
        return market.snapshot_date

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Return the eligible pools."""
        assert self.context.workspace.universe is not None
        return self.context.workspace.universe.pools

    @property
    def moving(self) -> Moving:
        """Return what moving money costs on the day."""
        return moving_of(self.context.workspace)


class Candidates(NamedTuple):
    """All candidates of one mandate, scored against each other, and what stood in the way of others."""

    plan: Plan
    candidates: list[Candidate]
    emptied: list[Emptied]
    conflicts: list[Conflict]


def read_day(
    source: Source,
    asset: Asset,
    as_of: dt.date | None,
    hazard: HazardLevel = "central",
    seed: int = 0,
    progress: Progress | None = None,
    paths: int = PATHS,
) -> MarketDay:
    """Read a market as a question about ``asset`` would; raises ``MarketError`` also where too few pools are usable."""
    settings = Settings(as_of=as_of, hazard=hazard, seed=seed, paths=paths, off=_OFF)
    context = Context(Evidence(source), policy_seat(), settings, progress=progress)
    state: State = {"question": "", "mandate": Mandate(asset=asset), "trace": []}
    state = _after(data, state, context)
    if "outcome" in state:
        raise MarketError(f"{source.label}: {state['reason']}")
    return MarketDay(asset, state, context)


def _after(agent: Any, state: State, context: Context) -> State:
    """Return the state after an agent's turn."""
    return State(**(state | agent(state, _Runtime(context))))  # type: ignore[typeddict-item]


def mandate_of(asset: Asset, risk_level: RiskLevel, amount: float, horizon_days: int | None = None) -> Mandate:
    """Return the mandate of so many dollars' worth of an asset."""
    return Mandate(asset=asset, amount_usd=amount, risk=risk_level, horizon_days=horizon_days)


def decide(
    day: MarketDay, mandate: Mandate, methods: Sequence[WeightMethod] | None = None, loss_aversion: float | None = None
) -> Candidates:
    """Run quant, risk and decision for a mandate: the methods planned for its risk, or those that are given."""
    state = State(**day.state, round=0, vetoed={}, emptied=[])
    state["mandate"] = mandate
    # The plan that the day was read with is for the mandate of that reading.
    state["plan"] = make_plan(mandate, day.context) if methods is None else _plan(mandate, methods, loss_aversion)
    while True:
        state = _after(risk, _after(quant, state, day.context), day.context)
        if not state["vetoed"]:
            break
    state = _after(decision, state, day.context)
    plan = state["plan"]
    assert plan is not None
    return Candidates(plan, state["candidates"], state["emptied"], state["conflicts"])


def _plan(mandate: Mandate, methods: Sequence[WeightMethod], loss_aversion: float | None) -> Plan:
    objective = load_objectives()[mandate.risk]
    return Plan(
        objective=objective.words,
        methods=list(methods),
        confidence=objective.confidence,
        loss_aversion=objective.loss_aversion if loss_aversion is None else loss_aversion,
        author="evaluation",
        why="to see what each of them comes to",
        unsolved=[],
    )


def best_of(
    candidates: Sequence[Candidate],
    method: WeightMethod | None = None,
    serving: WeightMethod | None = None,
    prefers: Preference | None = None,
) -> Candidate | None:
    """Return the first candidate that passed every gate, as the decision ranks them; None without any.

    ``serving`` is the method that serves the objective: it comes first among equals. ``prefers`` is the figure that
    decides where scores are near the best (``records.Plan``).
    """
    ranked = shortlist([one for one in candidates if method in {None, one.method}], serving, prefers=prefers)
    return ranked[0] if ranked else None


def eligible(day: MarketDay, mandate: Mandate) -> list[Pool]:
    """Return the pools that any profile of the mandate's level accepts and that break no limit by themselves."""
    limits, profiles = limits_for(mandate), load_profiles()
    accepted: dict[str, Pool] = {}
    for profile_id, profile in profiles.items():
        if permitted(profile, mandate.risk):
            selection = select(profile_id, profile, day.pools, mandate, limits, {})
            accepted |= {pool.id: pool for pool in selection.ranked} if isinstance(selection, Selection) else {}
    return [accepted[pool_id] for pool_id in sorted(accepted) if _keeps(accepted[pool_id], limits)]


def _keeps(pool: Pool, limits: Limits) -> bool:
    return (
        pool.protocol_risk <= limits.protocol_risk
        and pool.history.days >= limits.history_days
        and (pool.row.apy_reward or 0.0) <= limits.reward_share * pool.row.apy
        and pool.apy_multiple <= limits.apy_multiple
    )


def equal_all(pools: Sequence[Pool]) -> dict[str, float]:
    """Return the same weight for every pool; nothing without any."""
    return {pool.id: 1.0 / len(pools) for pool in pools}


def greedy_apy(pools: Sequence[Pool], limits: Limits, amount: float) -> dict[str, float] | None:
    """Fill the pools of the highest APY first, each up to its own cap; None where the caps cannot hold the money."""
    left, weights = 1.0, {}
    for pool in sorted(pools, key=lambda pool: (-pool.row.apy, pool.id)):
        weight = min(left, float(caps_of([pool], limits, amount).upper[0]))
        if weight > _SMALL:
            weights[pool.id] = weight
            left -= weight
    return weights if left <= _SMALL else None


def costs_of(day: MarketDay, weights: Mapping[str, float], amount: float) -> Cost | None:
    """Price gas in and out, leaving, and dilution of a holding; None where one of them is not known."""
    moving, pools = day.moving, {pool.id: pool for pool in day.pools}
    held = [(pools[pool_id], weights[pool_id]) for pool_id in sorted(weights)]
    gas = [moving.gas(pool).value for pool, _ in held]
    exits = [leaving(pool, weight * amount).value for pool, weight in held]
    if None in gas or None in exits:
        return None
    return Cost(
        gas=math.fsum(2.0 * cost for cost in gas if cost is not None) / amount,
        leaving=math.fsum(weight * cost for (_, weight), cost in zip(held, exits, strict=True) if cost is not None),
        dilution=math.fsum(weight * (pool.row.apy - moving.curve(pool).rate(weight * amount)) for pool, weight in held),
    )


def events_of(day: MarketDay, weights: Mapping[str, float]) -> Events:
    """Return what events may do to a holding in a year, from the years that ``day``'s decisions were made with."""
    outlook = day.context.workspace.outlook
    assert outlook is not None  # quant draws it before the first weights
    held = [pool for pool in day.pools if pool.id in weights]
    shares = np.array([weights[pool.id] for pool in held])
    years = outlook.years(held, min(WINDOW_DAYS, *(pool.history.apy.size for pool in held)))
    losses = -np.einsum("ij,j->i", years.returns, shares)
    return Events(
        math.fsum(outlook.expected_loss(held) * shares),
        expected_shortfall(losses, years.probabilities, 0.95),
    )


def decisions(day: MarketDay, risk_level: RiskLevel, amount: float = AMOUNT_USD) -> list[Decided]:
    """Return what every method and both rules hold on a day, without what came of it."""
    mandate = mandate_of(day.asset, risk_level, amount)
    found = decide(day, mandate, METHODS)
    pools = eligible(day, mandate)
    rules: dict[Rule, dict[str, float] | None] = {
        "equal_all": equal_all(pools),
        "greedy_apy": greedy_apy(pools, limits_for(mandate), amount),
    }
    by_method = [_by_method(day, risk_level, method, found, amount) for method in METHODS]
    return [*by_method, *(_by_rule(day, risk_level, rule, rules[rule] or {}, amount) for rule in RULES)]


def _by_method(
    day: MarketDay, risk_level: RiskLevel, method: WeightMethod, found: Candidates, amount: float
) -> Decided:
    best = best_of(found.candidates, method)
    if best is None:
        return _decided(day, risk_level, method, {}, None, reason=why_none(found, method))
    weights = {pool.pool_id: pool.weight for pool in best.pools}
    return _decided(day, risk_level, method, weights, costs_of(day, weights, amount), best)


def why_none(found: Candidates, method: WeightMethod) -> str:
    """Say why no candidate of a method can be held: it found no weights, or the gates that failed."""
    own = [one for one in found.candidates if one.method == method]
    reasons = {one.reason for one in found.plan.unsolved if one.method == method}
    if not own:
        return "; ".join(sorted(reasons)) or nothing(found)
    failed = sorted({gate.rule for one in own for gate in one.gates if not gate.passed} - {"profile_risk"})
    return f"no candidate passed: {', '.join(failed)}"


def _by_rule(day: MarketDay, risk_level: RiskLevel, rule: Rule, weights: dict[str, float], amount: float) -> Decided:
    if not weights:
        return _decided(day, risk_level, rule, {}, None, reason="the eligible pools cannot hold the money")
    return _decided(day, risk_level, rule, weights, costs_of(day, weights, amount))


def _decided(
    day: MarketDay,
    risk_level: RiskLevel,
    method: WeightMethod | Rule,
    weights: dict[str, float],
    cost: Cost | None,
    best: Candidate | None = None,
    reason: str | None = None,
) -> Decided:
    apys = {pool.id: pool.row.apy for pool in day.pools}
    promised = math.fsum(weight * apys[pool_id] for pool_id, weight in weights.items())
    events = events_of(day, weights) if weights else None
    return Decided(
        asset=day.asset,
        day=day.day,
        risk=risk_level,
        method=method,
        candidate=best.id if best else None,
        reason=reason,
        weights=weights,
        promised_apy=significant(promised) if weights else None,
        expected_loss=events.expected_loss if events else None,
        cvar_95=events.cvar_95 if events else None,
        gas=cost.gas if cost else None,
        leaving=cost.leaving if cost else None,
        dilution=cost.dilution if cost else None,
        realised=[],
        turnover=None,
        next_day=None,
    )


def with_outcomes(held: Sequence[Decided], source: Source, horizons: Sequence[int]) -> list[Decided]:
    """Add to the decisions of one day and level what came of them over each horizon.

    ``source`` must hold the charts of the days that followed; the last of ``held`` but one is the equal weight of all.
    """
    decided = dt.date.fromisoformat(held[0].day)
    last = decided + dt.timedelta(days=max(horizons))
    pools = sorted({pool_id for one in held for pool_id in one.weights})
    charts = {pool_id: rows or [] for pool_id, rows in source.charts(pools, last).items()}
    base = next(one for one in held if one.method == "equal_all")
    found = []
    for one in held:
        realised = []
        for days in horizons if one.weights and base.weights else ():
            came = outcome(one.weights, charts, decided, days, _cost(one))
            plain = outcome(base.weights, charts, decided, days, None)
            realised.append(_realised(one, came, bootstrap_mean(came.returns - plain.returns)))
        found.append(one.model_copy(update={"realised": realised}))
    return found


def _cost(one: Decided) -> Cost | None:
    if one.gas is None or one.leaving is None or one.dilution is None:
        return None
    return Cost(one.gas, one.leaving, one.dilution)


def _realised(one: Decided, came: Outcome, edge: Interval) -> Realised:
    return Realised(
        days=came.days,
        gross_apy=significant(came.gross_apy),
        net_apy=None if came.net_apy is None else significant(came.net_apy),
        volatility=significant(came.volatility, 9),
        cvar_95=significant(came.cvar_95),
        carried=came.carried,
        unpaid=came.unpaid,
        arrived=significant(came.gross_apy / one.promised_apy) if one.promised_apy else None,
        edge=significant(edge.mean * DAYS_PER_YEAR, 9),
        edge_low=significant(edge.low * DAYS_PER_YEAR, 9),
        edge_high=significant(edge.high * DAYS_PER_YEAR, 9),
    )


def with_turnover(held: Sequence[Decided], after: Sequence[Decided]) -> list[Decided]:
    """Add what each method has to move to hold what it would decide on the day of ``after``."""
    then = {one.method: one for one in after}
    return [
        one.model_copy(
            update={
                "next_day": then[one.method].day,
                "turnover": significant(turnover(one.weights, then[one.method].weights))
                if one.weights and then[one.method].weights
                else None,
            }
        )
        for one in held
    ]


def outcomes(
    source: Source,
    windows: Sequence[Window] = WINDOWS,
    levels: Sequence[RiskLevel] = RISK_ORDER,
    progress: Progress | None = None,
) -> list[Decided]:
    """Return what every method and rule decided on every day and level of risk, and what came of it."""
    days = sorted({(w.asset, day) for w in windows for day in (w.day, w.next_day) if day is not None})
    held: dict[tuple[str, dt.date, RiskLevel], list[Decided]] = {}
    for done, (asset, day) in enumerate(days, start=1):
        read = read_day(source, asset, day)
        held |= {(asset, day, level): decisions(read, level) for level in levels}
        if progress is not None:
            progress(done, len(days))
    found: list[Decided] = []
    for window in windows:
        for level in levels:
            own = with_outcomes(held[window.asset, window.day, level], source, window.horizons)
            later = held[window.asset, window.next_day, level] if window.next_day else None
            found += with_turnover(own, later) if later else own
    return found


def choices(day: MarketDay, amount: float = AMOUNT_USD) -> list[Chosen]:
    """Return what is chosen at each level of risk; the last method planned for a level serves its objective."""
    found = []
    for level in RISK_ORDER:
        decided = decide(day, mandate_of(day.asset, level, amount))
        serves = decided.plan.methods[-1]
        best = best_of(decided.candidates, None, serves, decided.plan.prefers)
        serving = best_of(decided.candidates, serves, serves, decided.plan.prefers)
        found.append(
            Chosen(
                asset=day.asset,
                day=day.day,
                risk=level,
                candidate=best.id if best else None,
                net_apy=best.risk.all_in.net_apy if best else None,
                cvar_95=best.risk.all_in.cvar_95 if best else None,
                serving=serving.id if serving else None,
                serving_net_apy=serving.risk.all_in.net_apy if serving else None,
                serving_cvar_95=serving.risk.all_in.cvar_95 if serving else None,
            )
        )
    return found


def sizes(
    day: MarketDay,
    risk_level: RiskLevel,
    amounts: Sequence[float] = SIZES_USD,
    methods: Sequence[WeightMethod] | None = None,
    horizon_days: int | None = None,
) -> list[AtSize]:
    """Return what is chosen for each amount in dollars, and how each differs from the one before."""
    found: list[AtSize] = []
    for amount in amounts:
        mandate = mandate_of(day.asset, risk_level, amount, horizon_days)
        before = next((one for one in reversed(found) if one.candidate), None)
        chosen = decide(day, mandate, methods)
        found.append(_at_size(day, mandate, chosen, before))
    return found


def _at_size(day: MarketDay, mandate: Mandate, found: Candidates, before: AtSize | None) -> AtSize:
    best, market = best_of(found.candidates, None, found.plan.methods[-1], found.plan.prefers), day.state["market"]
    assert market is not None
    amount = amount_usd(mandate, market)
    assert amount is not None
    row = AtSize(
        asset=day.asset,
        day=day.day,
        risk=mandate.risk,
        amount_usd=amount,
        candidate=best.id if best else None,
        method=best.method if best else None,
        reason=None if best else nothing(found),
        pools=_sized(day, best) if best else [],
        apy=best.metrics["portfolio_apy"] if best else None,
        all_in=best.risk.all_in if best else None,
        optimisation=best.optimisation if best else None,
        changes=[],
    )
    return row.model_copy(update={"changes": changes(day, before, row, limits_for(mandate))} if before and best else {})


def nothing(found: Candidates) -> str:
    """Say what keeps every candidate out: the limits that vetoed, or what emptied the profiles."""
    if found.conflicts:
        return "no candidate passes every limit: " + ", ".join(
            f"{conflict.rule} ({conflict.vetoed} times)" for conflict in found.conflicts
        )
    rules = sorted({one.rule for one in found.emptied})
    return f"no profile finds enough pools: {', '.join(rules)}"


def _sized(day: MarketDay, best: Candidate) -> list[Sized]:
    pools = {pool.id: pool for pool in day.pools}
    return [
        Sized(
            pool_id=one.pool_id,
            name=one.name,
            weight=one.weight,
            apy=one.apy,
            apy_at_size=one.at_size.apy,
            share_of_pool=one.share_of_pool,
            gas_usd=day.moving.gas(pools[one.pool_id]).value,
        )
        for one in best.pools
    ]


def changes(day: MarketDay, before: AtSize, after: AtSize, limits: Limits) -> list[str]:
    """Say what is held otherwise than for another amount, the largest difference first, and why.

    A cap is given as the reason only where the weight lies on it or the cap leaves less than a position is worth, a
    rate only where the deposit itself lowers it, gas only where it has become small beside the position.
    """
    old, new = ({pool.pool_id: pool.weight for pool in row.pools} for row in (before, after))
    pools = {pool.id: pool for pool in day.pools}
    moved = {pool_id: new.get(pool_id, 0.0) - old.get(pool_id, 0.0) for pool_id in {*old, *new}}
    ordered = sorted(moved, key=lambda pool_id: (-abs(round(moved[pool_id], 9)), pool_id))
    least = least_weight(after.amount_usd) if after.method == "net_yield" else SMALLEST_WEIGHT
    found = []
    if before.candidate != after.candidate:
        found.append(f"{after.candidate} in place of {before.candidate}, which may hold other pools")
    for pool_id in ordered:
        weights = old.get(pool_id, 0.0), new.get(pool_id, 0.0)
        if abs(moved[pool_id]) >= 0.01:
            why = _why(day, pools[pool_id], weights, (before.amount_usd, after.amount_usd), limits, least)
            found.append(f"{pools[pool_id].name} {weights[0]:.1%} → {weights[1]:.1%}{why}")
    return found


def _why(
    day: MarketDay,
    pool: Pool,
    weights: tuple[float, float],
    amounts: tuple[float, float],
    limits: Limits,
    least: float,
) -> str:
    """Give the reason that can be shown for a weight that changed; empty where there is none but the objective.

    ``least`` is the least weight of a position.
    """
    most = limits.position_share * pool.row.tvl_usd / amounts[1]
    if weights[1] < weights[0] and weights[0] > most and (most < least or weights[1] > most - 0.001):
        worth = f", and under {100.0 * least:g}% is not worth its transactions" if weights[1] == 0.0 else ""
        return f": no more than {limits.position_share:.0%} of what it holds may be ours, which is {most:.1%}{worth}"
    if weights[1] < weights[0]:
        rates = [day.moving.curve(pool).rate(weights[0] * amount) for amount in amounts]
        lower = rates[1] < rates[0] - 0.0005
        return f": with as large a share in it, it would pay {rates[1]:.2%}, not {rates[0]:.2%}" if lower else ""
    gas = day.moving.gas(pool).value
    costs = [2.0 * gas / (weights[1] * amount) for amount in amounts] if gas is not None else [0.0, 0.0]
    dear = costs[0] - costs[1] > 0.0005
    return f": its gas, {costs[0]:.2%} of such a position before, is {costs[1]:.2%} now" if dear else ""


def aversions(
    day: MarketDay, risk_level: RiskLevel = "medium", amount: float = AMOUNT_USD, values: Sequence[float] = AVERSIONS
) -> list[Averse]:
    """Return what each aversion to loss comes to by ``yield_less_loss`` alone."""
    mandate = mandate_of(day.asset, risk_level, amount)
    found = []
    for value in values:
        decided = decide(day, mandate, ("yield_less_loss",), value)
        best = best_of(decided.candidates)
        all_in = best.risk.all_in if best else None
        found.append(
            Averse(
                loss_aversion=value,
                candidate=best.id if best else None,
                weights={pool.name: pool.weight for pool in best.pools} if best else {},
                apy=best.metrics["portfolio_apy"] if best else None,
                net_apy=all_in.net_apy if all_in else None,
                expected_loss=all_in.expected_loss if all_in else None,
                cvar_95=all_in.cvar_95 if all_in else None,
                passed=sum(one.passed for one in decided.candidates),
            )
        )
    return found


def page_lines(source: Source, progress: Progress | None = None) -> list[str]:
    """Return the generated part of ``docs/allocation.md``."""
    from evals.allocation_tables import choice_table, objective_table, outcome_tables, size_tables, summary_table

    usd = read_day(source, "USD", dt.date(2025, 2, 28))
    eth = read_day(source, "ETH", dt.date(2025, 9, 26))
    before = [read_day(source, "USD", day) for day in (dt.date(2024, 10, 1), dt.date(2024, 12, 1))]
    sized = [
        row for day, levels in ((usd, RISK_ORDER), (eth, RISK_ORDER)) for level in levels for row in sizes(day, level)
    ]
    found = outcomes(source, progress=progress)
    return [
        "## Objectives in use",
        "",
        *objective_table(),
        "",
        "## Outcomes, all windows together",
        "",
        *summary_table(found),
        "",
        "## Outcomes, window by window",
        "",
        *outcome_tables(found),
        "## What the workflow chooses",
        "",
        *choice_table([row for read in _snapshots(source) for row in choices(read)]),
        "",
        "## What changes with the size",
        "",
        *size_tables(sized),
        "## The aversion to loss of medium risk",
        "",
        *(line for read in (*before, usd) for line in _aversion_lines(read)),
    ]


def _snapshots(source: Source) -> Iterator[MarketDay]:
    days = {(window.asset, day) for window in WINDOWS for day in (window.day, window.next_day) if day is not None}
    for asset, day in sorted(days):
        yield read_day(source, asset, day)


def _aversion_lines(day: MarketDay) -> list[str]:
    from evals.allocation_tables import aversion_table

    return [f"{day.asset}, {day.day}, $1 M, `yield_less_loss` alone:", "", *aversion_table(aversions(day)), ""]


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrite the generated part of a page from a recorded market."""
    from evals.allocation_tables import rewrite

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--source", type=Path, required=True, help="a folder of recorded answers")
    parser.add_argument("--out", type=Path, default=Path("docs/allocation.md"), help="the page")
    given = parser.parse_args(arguments)
    if not given.out.is_file():
        parser.error(f"{given.out} is no page")
    rewrite(given.out, page_lines(FolderSource(given.source)))


if __name__ == "__main__":
    main()
