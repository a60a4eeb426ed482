"""Yield and loss together: what each candidate depends on, and what a year with events and costs does to it.

Expected figures are closed forms of the hazards; the tail comes from one simulation of all candidates together, so that
the difference between two of them is not the luck of the draw. Events strike nodes (a protocol, a token, an issuer, a
chain …), and every candidate loses according to its own share of that node: dependence comes from shared exposure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tools.candidates.measure import Measured
from tools.exposure import Exposures, portfolio_exposure
from tools.exposure.streams import rate_at, stream_keys
from tools.records import (
    AllIn,
    Exceeded,
    Exposure,
    HazardLevel,
    NodeExposure,
    NodeHazard,
    RiskLevel,
    RiskView,
    StressResult,
    digest,
)
from tools.risk.costs import Cost, exit_cost
from tools.risk.events import Summary, simulate, summarise
from tools.sizing.break_even import break_even_days
from tools.sizing.dilution import RateCurve
from tools.strategies.universe import Pool
from tools.stress import Event, replay
from tools.units import DAYS_PER_YEAR, FloatArray, income, significant

HORIZON_DAYS = 365
PATHS = 100_000
BLOCK_DAYS = 30
EXCEEDED_WITH = (0.5, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001)
SIMULATED_DIGITS = 6  # beyond these there is only noise
_NO_VARIATION = 1e-12


@dataclass(frozen=True)
class World:
    """What the all-in view needs beside the candidates.

    ``hits`` says for each pool and node what is lost, ``marks`` tells pools apart by their figures; ``gas`` what one
    visit to a pool (in or out) costs in dollars, ``curve`` what a pool pays by the size of the deposit. ``amount_usd``
    None leaves costs and dilution out, with the reason in the record.
    """

    hits: Exposures
    marks: Mapping[str, str]
    hazard: Callable[[str], NodeHazard | None]
    gas: Callable[[Pool], Cost]
    impermanent_loss: Callable[[Pool], Cost]
    curve: Callable[[Pool], RateCurve]
    events: Sequence[Event]
    amount_usd: float | None
    horizon_days: int
    risk_free: float
    hazard_level: HazardLevel = "central"
    seed: int = 0
    paths: int = PATHS


@dataclass(frozen=True)
class Loss:
    """The all-in view of one candidate, with what it rests on."""

    all_in: AllIn
    exposure: Exposure
    stress: tuple[StressResult, ...]


@dataclass(frozen=True)
class _Costs:
    """Costs of one candidate as fractions of the money, None where unknown with the reason in ``missing``."""

    gas_usd: float | None
    gas: float | None
    leaving: float | None
    impermanent_loss: float | None
    dilution: float | None
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def once(self) -> float:
        """Return what is known to be paid once."""
        return math.fsum(cost for cost in (self.gas, self.leaving) if cost is not None)


def pool_mark(pool: Pool) -> str:
    """Return what tells a pool apart without its names: its size and its rates."""
    return digest([pool.row.tvl_usd, pool.row.apy, pool.apy_mean_30d])


def gate_view_of(risk: RiskLevel) -> RiskView:
    """Say which view the limits on loss are held against: all-in, save where high risk is wanted."""
    return "carry_only" if risk == "high" else "all_in"


def net_income(amount: float, all_in: AllIn, days: int) -> float | None:
    """Return what ``amount`` is expected to keep over ``days``: compounded before costs, and these once.

    None where more than everything is expected to be lost in a year.
    """
    before_costs = all_in.net_apy + all_in.cost_per_year
    if before_costs <= -1.0:
        return None
    return income(amount, before_costs, days) - amount * all_in.cost_per_year * days / DAYS_PER_YEAR


def scored_figures(metrics: Mapping[str, float | None], all_in: AllIn) -> dict[str, float | None]:
    """Return the figures that the score compares: all-in at every level of risk.

    The yield is what is expected to be kept (whoever takes more risk wants more of that, not more to lose), and events
    add to volatility; beta says how the yield moves with its market, to which they add nothing.
    """
    return dict(metrics) | {
        "portfolio_apy": all_in.net_apy,
        "sharpe": all_in.sharpe,
        "alpha": all_in.alpha,
        "annual_volatility": all_in.volatility,
    }


def all_in_views(measured: Sequence[Measured], world: World) -> tuple[Loss, ...]:
    """Reckon every candidate with events and costs over one year, in one simulation.

    Losses are positive fractions of the money; what could not be reckoned is named in ``AllIn.missing`` and left out
    of the sums, never taken as known.
    """
    if not measured:
        return ()
    weights = [_weights(candidate) for candidate in measured]
    lost = {pool: {node: hit.lost_if_fails for node, hit in own.items()} for pool, own in world.hits.items()}
    exposures = [portfolio_exposure(own, world.hits, world.hazard) for own in weights]
    costs = [_costs(candidate, world) for candidate in measured]
    tails = _simulated(measured, exposures, costs, world)
    return tuple(
        Loss(
            _all_in(candidate, exposure, cost, tail, world),
            exposure,
            tuple(replay(event, own, lost) for event in world.events),
        )
        for candidate, own, exposure, cost, tail in zip(measured, weights, exposures, costs, tails, strict=True)
    )


def _weights(candidate: Measured) -> dict[str, float]:
    draft = candidate.draft
    return {pool.id: float(weight) for pool, weight in zip(draft.pools, draft.weights, strict=True)}


def _simulated(
    measured: Sequence[Measured], exposures: Sequence[Exposure], costs: Sequence[_Costs], world: World
) -> list[dict[str, Any]]:
    hazards = {node.id: node.hazard for exposure in exposures for node in exposure.nodes if node.hazard is not None}
    keys = sorted(hazards)
    shares = np.zeros((len(keys), len(measured)))
    place = {key: row for row, key in enumerate(keys)}
    for column, exposure in enumerate(exposures):
        for node in exposure.nodes:
            if node.hazard is not None:
                shares[place[node.id], column] = node.lost_if_fails
    simulated = simulate(
        np.column_stack([_around_the_day(candidate, cost) for candidate, cost in zip(measured, costs, strict=True)]),
        shares,
        np.array([rate_at(hazards[key], world.hazard_level) for key in keys]),
        np.array([(hazards[key].severity_low, hazards[key].severity_high) for key in keys]).reshape(-1, 2),
        costs=np.array([cost.once for cost in costs]),
        keys=stream_keys(keys, hazards, world.hits, world.marks),
        horizon_days=HORIZON_DAYS,
        paths=world.paths,
        block_days=BLOCK_DAYS,
        seed=world.seed,
    )
    return [
        _tail(summary, losses) for summary, losses in zip(summarise(simulated), simulated.event_losses.T, strict=True)
    ]


def _around_the_day(candidate: Measured, costs: _Costs) -> FloatArray:
    """Return the daily returns (n_days,) with the ups and downs of the history around the rate of the day, at size.

    The history's own mean would promise another yield than the one that is shown as expected.
    """
    apy = candidate.metrics["portfolio_apy"]
    assert apy is not None
    apy -= costs.dilution or 0.0
    drift = math.log1p(apy) / DAYS_PER_YEAR - math.fsum(np.log1p(candidate.returns)) / candidate.returns.size
    return np.asarray((1.0 + candidate.returns) * math.exp(drift) - 1.0)


def _costs(candidate: Measured, world: World) -> _Costs:
    """Price gas for going in and out, leaving at this size, and the drift of tokens against each other."""
    draft = candidate.draft
    missing: dict[str, str] = {}
    gas_usd = _summed([(2.0, world.gas(pool)) for pool in draft.pools], "gas_cost", missing)
    gas, exits = None, None
    if world.amount_usd is None:
        missing["gas_cost"] = missing["exit_cost"] = "no amount is known"
    else:
        gas = None if gas_usd is None else gas_usd / world.amount_usd
        positions = [
            (float(weight), leaving(pool, float(weight) * world.amount_usd))
            for pool, weight in zip(draft.pools, draft.weights, strict=True)
        ]
        exits = _summed(positions, "exit_cost", missing)
    drift = [
        (float(weight), world.impermanent_loss(pool)) for pool, weight in zip(draft.pools, draft.weights, strict=True)
    ]
    dilution = _dilution(candidate, world, missing)
    return _Costs(gas_usd, gas, exits, _summed(drift, "impermanent_loss", missing), dilution, missing)


def _dilution(candidate: Measured, world: World, missing: dict[str, str]) -> float | None:
    """Return what the own deposit takes off the yield, per year: Σ weight · (APY − APY at the position's size)."""
    if world.amount_usd is None:
        missing["dilution"] = "no amount is known"
        return None
    draft = candidate.draft
    return significant(
        math.fsum(
            float(weight) * (pool.row.apy - world.curve(pool).rate(float(weight) * world.amount_usd))
            for pool, weight in zip(draft.pools, draft.weights, strict=True)
        )
    )


def leaving(pool: Pool, position_usd: float | None) -> Cost:
    """Price leaving an eligible pool: its tokens are all of one asset, so its liquidity lies around their peg."""
    return exit_cost(position_usd, pool.row.tvl_usd, len(pool.tokens), amm=not pool.single, pegged=True)


def _summed(parts: Sequence[tuple[float, Cost]], name: str, missing: dict[str, str]) -> float | None:
    """Add costs with their weights; None, with the first reason, where one of them is unknown."""
    for _, cost in parts:
        if cost.value is None:
            missing[name] = cost.reason or "unknown"
            return None
    return significant(math.fsum(weight * cost.value for weight, cost in parts if cost.value is not None))


def _loss_per_year(nodes: Sequence[NodeExposure], level: HazardLevel) -> float:
    """Return Σ share lost · events a year · mean severity: the mean of a compound Poisson loss."""
    return math.fsum(
        node.lost_if_fails * rate_at(node.hazard, level) * (node.hazard.severity_low + node.hazard.severity_high) / 2.0
        for node in nodes
        if node.hazard is not None
    )


def _event_variance(nodes: Sequence[NodeExposure], level: HazardLevel) -> float:
    """Return Σ events a year · E[(share lost · severity)²]: the variance of a compound Poisson loss over a year."""

    def square(low: float, high: float) -> float:
        return (low * low + low * high + high * high) / 3.0

    return math.fsum(
        rate_at(node.hazard, level)
        * node.lost_if_fails**2
        * square(node.hazard.severity_low, node.hazard.severity_high)
        for node in nodes
        if node.hazard is not None
    )


def _all_in(candidate: Measured, exposure: Exposure, costs: _Costs, tail: Mapping[str, Any], world: World) -> AllIn:
    metrics, level, missing = candidate.metrics, world.hazard_level, dict(costs.missing)
    expected = {each: significant(_loss_per_year(exposure.nodes, each)) for each in ("low", "central", "high")}
    per_year = significant(costs.once * DAYS_PER_YEAR / world.horizon_days)
    drift = math.fsum(cost for cost in (costs.impermanent_loss, costs.dilution) if cost is not None)
    apy, carry_volatility = metrics["portfolio_apy"], metrics["annual_volatility"]
    assert apy is not None
    net = {each: significant(apy - loss - per_year - drift) for each, loss in expected.items()}
    volatility = significant(math.sqrt((carry_volatility or 0.0) ** 2 + _event_variance(exposure.nodes, level)))
    sharpe = significant((net[level] - world.risk_free) / volatility) if volatility > _NO_VARIATION else None
    if sharpe is None:
        missing["sharpe"] = "neither the yield nor any event makes the result vary"
    wait = _wait(costs, net[level] + per_year, world.risk_free)
    if wait.value is None:
        missing["break_even_days"] = wait.reason
    alpha = metrics["alpha"]
    if alpha is None:
        missing["alpha"] = candidate.missing["alpha"]
    rates = [
        rate_at(node.hazard, level) for node in exposure.nodes if node.hazard is not None and node.lost_if_fails > 0
    ]
    return AllIn(
        horizon_days=HORIZON_DAYS,
        paths=world.paths,
        block_days=BLOCK_DAYS,
        seed=world.seed,
        hazard_level=level,
        expected_loss=expected[level],
        expected_loss_low=expected["low"],
        expected_loss_high=expected["high"],
        event_probability=significant(1.0 - math.exp(-math.fsum(rates) * HORIZON_DAYS / DAYS_PER_YEAR)),
        gas_usd=costs.gas_usd,
        gas_cost=None if costs.gas is None else significant(costs.gas),
        exit_cost=costs.leaving,
        impermanent_loss=costs.impermanent_loss,
        dilution=costs.dilution,
        cost_per_year=per_year,
        break_even_days=wait.value,
        net_apy=net[level],
        net_apy_low=min(net["high"], net[level]),
        net_apy_high=max(net["low"], net[level]),
        volatility=volatility,
        sharpe=sharpe,
        alpha=None if alpha is None else significant(alpha - expected[level] - per_year - drift),
        missing=missing,
        **tail,
    )


def _wait(costs: _Costs, rate: float, risk_free: float) -> Cost:
    """Return the days in which what is paid once is earned back against the risk-free rate; None with the reason."""
    for name, cost in (("gas_cost", costs.gas), ("exit_cost", costs.leaving)):
        if cost is None:
            return Cost(None, costs.missing[name])
    return break_even_days(costs.once, rate, risk_free)


def _tail(summary: Summary, event_losses: FloatArray) -> dict[str, Any]:
    """Return what the simulation found, without the digits that are noise."""
    figures = {
        name: significant(value, SIMULATED_DIGITS) for name, value in summary._asdict().items() if name != "histogram"
    }
    return figures | {"histogram": summary.histogram, "drawdown_curve": _drawdown_curve(event_losses)}


def _drawdown_curve(event_losses: FloatArray) -> list[Exceeded]:
    """Return the loss by events that is exceeded with each probability: an order statistic, nothing interpolated."""
    places = [event_losses.size - 1 - round(event_losses.size * probability) for probability in EXCEEDED_WITH]
    ordered = np.partition(event_losses, places)
    return [
        Exceeded(probability=probability, loss=significant(float(ordered[place]), SIMULATED_DIGITS))
        for probability, place in zip(EXCEEDED_WITH, places, strict=True)
    ]
