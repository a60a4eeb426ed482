"""Walk forward: weights from the days before, held for a month, paid for, and so on to the end of the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evals.claim.record import Panel
from evals.outcomes import portfolio_returns
from tools.market.quality import MAX_GAP_DAYS
from tools.optimize import Infeasible, SolverFailed, Undefined, solve
from tools.units import FloatArray, daily_return

HELD_DAYS = 30
AMOUNT_USD = 1_000_000.0
LEAST_TVL_USD = 1_000_000.0
LARGEST_SHARE = 0.10  # of what a pool holds: the position limit of high risk in tools/strategies/data/limits.toml
LEAST_RECORDED = 2.0 / 3.0  # of the days that weights are estimated on
METHODS = (
    "inverse_volatility", "risk_parity", "min_variance", "mean_variance", "max_sharpe", "min_cvar", "mean_cvar",
    "min_evar",
)  # fmt: skip
_MOVED = 1e-9
_SHRUNK = {"min_variance", "mean_variance", "max_sharpe", "risk_parity"}  # those that look at a covariance


class Seen(NamedTuple):
    """What a rule may look at on the evening before row ``place``: the series that could be held, and no later day.

    ``returns`` (n_days, n_series) are simple daily returns, ``caps`` (n_series,) the largest weights; ``columns`` are
    the places of the series in the panel.
    """

    returns: FloatArray
    caps: FloatArray
    columns: tuple[int, ...]
    place: int


Rule = Callable[[Seen], FloatArray]
"""Maps what is seen to weights (n_series,) that add up to 1."""

Price = Callable[[int, FloatArray, FloatArray], float]
"""Maps a row and weights before and after, each over all series, to the cost of the trade, a fraction of the money."""


class Held(NamedTuple):
    """A month's weights over all series of the panel, from row ``place`` on; turnover and cost as fractions.

    ``fell_back`` says why the rule had no weights and the series were held alike.
    """

    place: int
    weights: FloatArray
    turnover: float
    cost: float
    fell_back: str | None


@dataclass(frozen=True)
class Walk:
    """Daily returns (n_days,) before and after costs, and what was held."""

    gross: FloatArray
    net: FloatArray
    held: tuple[Held, ...]


def free(place: int, before: FloatArray, after: FloatArray) -> float:
    """Charge nothing."""
    return 0.0


def optimised(method: str) -> Rule:
    """Return the rule that asks one of ``tools.optimize``; covariances are shrunk, as the workflow shrinks them."""
    shrinkage = "correlation" if method in _SHRUNK else None

    def rule(seen: Seen) -> FloatArray:
        return solve(seen.returns, method, max_weights=seen.caps, shrinkage=shrinkage).weights

    return rule


def equal(seen: Seen) -> FloatArray:
    """Hold everything alike, as far as the caps allow."""
    return solve(seen.returns, "equal", max_weights=seen.caps).weights


def seen_before(panel: Panel, place: int, lookback_days: int, least_tvl_usd: float = LEAST_TVL_USD) -> Seen:
    """Return what could be held from row ``place`` on, and its last ``lookback_days``.

    A series needs a past as long as that with a row on two days of three and on one of the last four, and a TVL of
    ``least_tvl_usd`` where its TVL is on record. Raises ValueError for a row with less than the lookback before it.
    """
    if place < lookback_days:
        raise ValueError(f"row {place} has fewer than {lookback_days} days before it")
    past = slice(place - lookback_days, place)
    recorded, sizes = panel.recorded[past], panel.tvl_usd[place - 1]
    fit = np.isfinite(panel.apy[past]).all(axis=0)
    fit &= recorded.mean(axis=0) >= LEAST_RECORDED
    fit &= recorded[-MAX_GAP_DAYS - 1 :].any(axis=0)
    fit &= np.isnan(sizes) | (sizes >= least_tvl_usd)
    columns = tuple(int(column) for column in np.flatnonzero(fit))
    caps = np.minimum(1.0, np.where(np.isnan(sizes), 1.0, LARGEST_SHARE * sizes / AMOUNT_USD))
    return Seen(daily_return(panel.apy[past][:, list(columns)]), caps[list(columns)], columns, place)


def walk(
    panel: Panel,
    rule: Rule,
    first: int,
    last: int,
    lookback_days: int,
    price: Price = free,
    held_days: int = HELD_DAYS,
) -> Walk:
    """Decide on the evening before row ``first`` and every ``held_days`` after it, and hold to row ``last`` inclusive.

    Weights drift as the series grow. Entering, every rebalancing and leaving at the end are paid for. A rule without an
    answer (its method is undefined on the days seen, or its limits cannot hold) leaves the series held alike.
    """
    before = np.zeros(len(panel.series))
    gross: list[FloatArray] = []
    net: list[FloatArray] = []
    held: list[Held] = []
    for place in range(first, last + 1, held_days):
        weights, fell_back = _weights(panel, rule, seen_before(panel, place, lookback_days))
        turnover = float(np.abs(weights - before).sum()) / 2.0
        cost = price(place, before, weights)
        span = slice(place, min(place + held_days, last + 1))
        own = np.flatnonzero(weights)
        returns = portfolio_returns(list(panel.apy[span][:, own].T), list(weights[own]))
        gross.append(returns)
        net.append(_charged(returns, cost, 0))
        held.append(Held(place, weights, turnover, cost, fell_back))
        before = _drifted(panel.apy[span], weights)
    net[-1] = _charged(net[-1], price(last, before, np.zeros_like(before)), -1)
    return Walk(np.concatenate(gross), np.concatenate(net), tuple(held))


def hold(panel: Panel, column: int, first: int, last: int, price: Price = free) -> Walk:
    """Hold one series from row ``first`` to row ``last`` inclusive, paid for going in and out.

    Listed month by month, as the others are, so that what may fail is looked up as often.
    """
    nothing, weights = np.zeros(len(panel.series)), np.zeros(len(panel.series))
    weights[column] = 1.0
    gross = np.asarray(daily_return(panel.apy[first : last + 1, column]))
    entered = price(first, nothing, weights)
    net = _charged(_charged(gross, entered, 0), price(last, weights, nothing), -1)
    months = [Held(place, weights, 0.0, 0.0, None) for place in range(first, last + 1, HELD_DAYS)]
    return Walk(gross, net, (months[0]._replace(turnover=0.5, cost=entered), *months[1:]))


def _weights(panel: Panel, rule: Rule, seen: Seen) -> tuple[FloatArray, str | None]:
    whole, why = np.zeros(len(panel.series)), None
    try:
        found = rule(seen)
    except (Undefined, Infeasible, SolverFailed) as error:
        found, why = equal(seen), str(error)
    whole[list(seen.columns)] = np.where(found > _MOVED, found, 0.0)
    return whole / whole.sum(), why


def _charged(returns: FloatArray, cost: float, day: int) -> FloatArray:
    charged = returns.copy()
    charged[day] = (1.0 + charged[day]) * (1.0 - cost) - 1.0
    return charged


def _drifted(apy: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weights (n_series,) after the days of ``apy`` (n_days, n_series)."""
    own = np.flatnonzero(weights)
    grown = np.zeros_like(weights)
    grown[own] = weights[own] * np.prod(1.0 + daily_return(apy[:, own]), axis=0)
    return np.asarray(grown / grown.sum())


def in_sample(panel: Panel, rule: Rule, first: int, last: int, columns: Sequence[int]) -> FloatArray:
    """Return the daily returns (n_days,) that the rule has on the very days it chose its weights by, without costs.

    That is how a claim comes about: no limit on size, nothing paid, weights held constant, and hindsight.
    """
    returns = daily_return(panel.apy[first : last + 1][:, list(columns)])
    weights = rule(Seen(returns, np.ones(len(columns)), tuple(columns), last + 1))
    return np.asarray(np.einsum("ti,i->t", returns, weights))


def moved(before: npt.ArrayLike, after: npt.ArrayLike) -> FloatArray:
    """Return how much of the money moves in each series; what is mere residue moves nothing."""
    change = np.abs(np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64))
    return np.where(change > _MOVED, change, 0.0)
