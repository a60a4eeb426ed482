"""One period of the record: what was held and what it came to, out of sample, in sample, all-in and in dollars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evals.claim.events import Events, Losses, days_held, least_loss, prices_of_trades
from evals.claim.figures import Difference, Figures, annual_return, difference, figures, range_of, sharpe, volatility
from evals.claim.record import Panel, eth_returns, read_panel
from evals.claim.walk import (
    HELD_DAYS,
    LEAST_RECORDED,
    METHODS,
    Rule,
    Walk,
    equal,
    hold,
    in_sample,
    optimised,
    seen_before,
    walk,
)
from evals.outcomes import Interval
from tools.errors import SourceError
from tools.market.sources.folder import FolderSource
from tools.strategies.rates import dated_rates
from tools.units import FloatArray, daily_return

EQUAL, STAKED, LEAST_LOSS = "equal", "plain stETH", "min_cvar of years with events"


class Period(NamedTuple):
    """Days to hold on, both included, and the lookbacks that weights are estimated on; the first is the one shown."""

    name: str
    first: dt.date
    last: dt.date
    lookbacks: tuple[int, ...]


PERIODS = (
    Period("Twelve months to 2024-09-04", dt.date(2023, 9, 6), dt.date(2024, 9, 4), (90, 60, 120)),
    Period("Twelve months to 2025-09-28", dt.date(2024, 9, 29), dt.date(2025, 9, 28), (90, 60, 120)),
    Period("Newer pools to 2025-10-06", dt.date(2025, 7, 16), dt.date(2025, 10, 6), (30,)),
)
TRIED = sum(len(METHODS) * len(period.lookbacks) + 1 for period in PERIODS)


class OfSeries(NamedTuple):
    """What a series paid in the period: on how many days it could be held, was on record, and what it came to."""

    name: str
    months: int
    without_row: int
    annual_return: float | None
    volatility: float | None
    tvl_usd: float | None
    expected_loss: float | None


class AllIn(NamedTuple):
    """A strategy with events counted, and in dollars over the Treasury bill.

    ``usd_return`` is that of the whole period, not of a year.
    """

    losses: Losses
    annual_return: float
    volatility: float
    over_staking: float
    usd_return: float
    usd_volatility: float
    usd_sharpe: float


class Outcome(NamedTuple):
    """A strategy of the period: net figures, what it has more than equal weights, all-in, and how it traded.

    ``kept`` is the return after costs and ``ratio`` the Sharpe ratio over 0 before them, with their ranges.
    """

    figures: Figures
    gross: Figures
    kept: Interval
    ratio: Interval
    more: Difference | None
    all_in: AllIn
    turnover: float
    cost: float
    fell_back: Mapping[str, int]


class InSample(NamedTuple):
    """Figures on the very days that the weights were chosen by, before costs; the Sharpe ratio is over 0."""

    annual_return: float
    volatility: float
    sharpe: float


@dataclass(frozen=True)
class Study:
    """Everything about one period; ``outcomes`` by strategy at the lookback shown, ``trials`` by (method, lookback)."""

    period: Period
    days: int
    series: tuple[OfSeries, ...]
    staking: float
    bill: float
    eth_volatility: float
    outcomes: Mapping[str, Outcome]
    trials: Mapping[tuple[str, int], Difference]
    in_sample: Mapping[str, InSample]


def study(source: FolderSource, period: Period) -> Study:
    """Run every strategy through a period. Raises ``SourceError`` where the folder lacks what it needs."""
    panel = read_panel(source, period.first - dt.timedelta(days=max(period.lookbacks)), period.last)
    staked = panel.staked
    if staked is None:
        raise SourceError(f"{source.label} has no chart of plain stETH, which everything is held against")
    first, last = panel.place(period.first), len(panel.days) - 1
    events, price = Events(source, panel), prices_of_trades(source, panel)
    shown = period.lookbacks[0]
    rules: dict[str, Rule] = {EQUAL: equal, LEAST_LOSS: least_loss(events)}
    walks = {STAKED: hold(panel, staked, first, last, price)}
    walks |= {name: walk(panel, rule, first, last, shown, price) for name, rule in rules.items()}
    tried = {
        (method, days): walk(panel, optimised(method), first, last, days, price)
        for method in METHODS
        for days in period.lookbacks
    }
    walks |= {method: tried[method, shown] for method in METHODS}
    ether, bill = eth_returns(source, panel.days[first:]), _bill(period)
    rivals = {days: walk(panel, equal, first, last, days, price) for days in period.lookbacks}
    plain = walks[STAKED]
    staking = float(annual_return(plain.gross))
    losses = {name: events.losses(one.held, days_held(one.held, one.net.size)) for name, one in walks.items()}
    trials = [one.net for one in (*tried.values(), walks[LEAST_LOSS])]
    return Study(
        period,
        plain.net.size,
        tuple(_of_series(panel, events, first, last, shown)),
        staking,
        bill,
        float(volatility(ether)),
        {
            name: _outcome(one, walks[EQUAL], staking, trials, losses[name], losses[STAKED], ether, bill)
            for name, one in walks.items()
        },
        {key: _more(one, rivals[key[1]], staking) for key, one in tried.items()},
        _in_sample(panel, first, last, shown),
    )


def _bill(period: Period) -> float:
    """Return the mean rate of the 3-month Treasury bill over the months of a period."""
    months = {(period.first + dt.timedelta(days=n)).isoformat()[:7] for n in range((period.last - period.first).days)}
    rates = [one.rate for one in dated_rates("USD") if one.month in months]
    if not rates:
        raise SourceError(f"no rate of the Treasury bill is on file for {period.name}")
    return float(np.mean(rates))


def _outcome(
    one: Walk,
    rival: Walk,
    staking: float,
    trials: list[FloatArray],
    losses: Losses,
    staked: Losses,
    ether: FloatArray,
    bill: float,
) -> Outcome:
    net = figures(one.net, staking, trials, TRIED)
    return Outcome(
        net,
        figures(one.gross, staking, trials, TRIED),
        range_of(one.net, annual_return),
        range_of(one.gross, sharpe),
        None if one is rival else _more(one, rival, staking),
        _all_in(one.net, net, losses, staking - staked.expected, ether, bill),
        sum(held.turnover for held in one.held[1:]),
        float(annual_return(one.gross) - annual_return(one.net)),
        _counted([held.fell_back for held in one.held if held.fell_back]),
    )


def _more(one: Walk, rival: Walk, staking: float) -> Difference:
    """Return what ``one`` has more than ``rival``: yields and the ratio over staking after costs, the others before.

    A cost is paid on one day, so that a month's trade would count as volatility of the market.
    """
    net, gross = difference(one.net, rival.net, staking), difference(one.gross, rival.gross, staking)
    return net._replace(volatility=gross.volatility, sharpe=gross.sharpe)


def _all_in(returns: FloatArray, net: Figures, losses: Losses, staking: float, ether: FloatArray, bill: float) -> AllIn:
    kept, spread = net.annual_return - losses.expected, float(np.hypot(net.volatility, np.sqrt(losses.variance)))
    dollars = (1.0 + returns) * (1.0 + ether) - 1.0
    return AllIn(
        losses,
        kept,
        spread,
        (kept - staking) / spread,
        float(np.prod(1.0 + dollars) - 1.0),
        float(volatility(dollars)),
        float(sharpe(dollars, bill)),
    )


def _counted(reasons: list[str]) -> dict[str, int]:
    return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


def _of_series(panel: Panel, events: Events, first: int, last: int, lookback: int) -> list[OfSeries]:
    """Describe every series that could be held in at least one month."""
    months: dict[int, list[int]] = {}
    for place in range(first, last + 1, HELD_DAYS):
        for column in seen_before(panel, place, lookback).columns:
            months.setdefault(column, []).append(place)
    found = []
    for column, places in sorted(months.items()):
        span = slice(places[0], last + 1)
        apy, sizes = panel.apy[span, column], panel.tvl_usd[span, column]
        returns = daily_return(apy)
        outlook, pools = events.years_seen(places[-1], [column])
        found.append(
            OfSeries(
                panel.series[column].name,
                len(places),
                int((~panel.recorded[span, column]).sum()),
                float(annual_return(returns)),
                float(volatility(returns)),
                None if np.isnan(sizes).all() else float(np.median(sizes)),
                float(outlook.expected_loss(pools)[0]),
            )
        )
    return found


def _in_sample(panel: Panel, first: int, last: int, lookback: int) -> dict[str, InSample]:
    """Return each method with hindsight, on the series that could be held at the start and are on record throughout."""
    recorded = panel.recorded[first : last + 1].mean(axis=0)
    columns = [column for column in seen_before(panel, first, lookback).columns if recorded[column] >= LEAST_RECORDED]
    rules: dict[str, Rule] = {EQUAL: equal} | {method: optimised(method) for method in METHODS}
    found = {name: in_sample(panel, rule, first, last, columns) for name, rule in rules.items()}
    return {
        name: InSample(float(annual_return(one)), float(volatility(one)), float(sharpe(one)))
        for name, one in found.items()
    }
