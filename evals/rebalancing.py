"""Let the learned rebalancer and the simple rules manage dollars on recorded charts that none of them was trained on.

    python -m evals.rebalancing MARKET_FOLDER [--seeds 3] [--rules-only]

Prints one row per test period, amount and policy, each a mean over sets of pools: the annual return after costs, what
the costs were, the number of moves, the difference of the rebalancer to the policy with its bootstrap interval, and the
share of sets on which the rebalancer wins. See ``docs/rebalancing.md``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evals.forecasts import Panel, read_panel
from tools.errors import PlimsollError, SourceError
from tools.forecast.dqn import Agent, DqnSettings, greedy_policy
from tools.forecast.rebalancing import (
    RULES,
    Costs,
    Interval,
    Outcome,
    RateBook,
    annual_difference,
    follow,
)
from tools.forecast.training import train_dqn
from tools.forecast.walk_forward import STEP_DAYS, Origin
from tools.market.quality import MAX_GAP_DAYS
from tools.records import Asset
from tools.units import FloatArray

SPLITS = (dt.date(2024, 10, 1), dt.date(2024, 12, 1), dt.date(2025, 1, 15))
PURGE_DAYS = 7  # between the last day of training and the first of the test: a week, the memory of the means
SETS, POOLS = 12, 8
AMOUNTS_USD = (10_000.0, 1_000_000.0)
HEAD = "from       to         amount usd policy       return% reward% costs%  moves   dqn minus it, % a year, 90 %  won"

Train = Callable[[Sequence[RateBook], DqnSettings], Agent]


class Recorded(NamedTuple):
    """The rates of the pools of an asset day by day; ``first`` is the day of the first row."""

    book: RateBook
    pools: tuple[str, ...]
    first: dt.date

    def place(self, day: dt.date) -> int:
        """Return the row of a day."""
        return (day - self.first).days


class Row(NamedTuple):
    """What one policy made of a test period at one amount, over all sets of pools.

    ``annual`` is the mean annual return after costs (a log return), ``reward`` the same less the price of a rate that
    varies (see ``tools.forecast.rebalancing``), ``cost`` what was paid in the period as a fraction,
    ``moves`` the mean number of moves. ``against`` is the difference of the rebalancer to this policy per year, and
    ``won`` the share of the sets on which the rebalancer ends higher; None for the rebalancer itself and without one.
    """

    start: dt.date
    end: dt.date
    amount_usd: float
    policy: str
    annual: float
    reward: float
    cost: float
    moves: float
    against: Interval | None
    won: float | None


def recorded_book(panel: Panel, asset: Asset, until: dt.date = dt.date.max) -> Recorded:
    """Put what a panel's origins up to ``until`` knew into one book of an asset's pools, to the last origin used.

    A day's rate is the one that was known first. A pool is open from an origin that found it eligible until the next
    origin, as far as there is a record; where a pool is in no universe, its rates are those that a later history gives
    for the day, or else the mean of the week after its last origin, or else unknown. Raises ``SourceError`` where no
    origin had an eligible pool.
    """
    places = [place for place, assets in enumerate(panel.assets) if asset in assets]
    column = {place: number for number, place in enumerate(places)}
    origins = [origin for origin in panel.origins if origin.day <= until and column.keys() & set(origin.series)]
    if not origins:
        raise SourceError(f"no pool of {asset} was eligible by {until}")
    apy = np.full(((origins[-1].day - panel.first).days + 1, len(places)), np.nan)
    eligible = np.zeros(apy.shape, dtype=bool)
    for origin in origins:
        end = (origin.day - panel.first).days + 1
        for place, history in zip(origin.series, origin.histories, strict=True):
            if place in column:
                known = apy[end - history.size : end, column[place]]
                known[:] = np.where(np.isnan(known), history, known)
                eligible[end - 1 : end - 1 + STEP_DAYS, column[place]] = True
    _fill_last_weeks(apy, panel, origins, column)
    pools = tuple(panel.pools[place] for place in places)
    return Recorded(RateBook(apy, eligible & ~np.isnan(apy)), pools, panel.first)


def _fill_last_weeks(apy: FloatArray, panel: Panel, origins: Sequence[Origin], column: dict[int, int]) -> None:
    numbers = {origin.day: number for number, origin in enumerate(panel.origins)}
    for origin in origins:
        end = (origin.day - panel.first).days + 1
        for place in column.keys() & set(origin.series):
            week = apy[end : end + STEP_DAYS, column[place]]
            week[:] = np.where(np.isnan(week), panel.mean[STEP_DAYS][numbers[origin.day], place], week)


def train_part(panel: Panel, split: dt.date) -> RateBook:
    """Return what may be learned from before a split: what was known ``PURGE_DAYS`` before it.

    To learn from, a pool is open on every day with a record: the sixty days of history that holding it takes would
    leave next to nothing.
    """
    known = recorded_book(panel, "USD", split - dt.timedelta(days=PURGE_DAYS)).book
    return RateBook(known.apy, ~np.isnan(known.apy))


def held_out_books(recorded: Recorded, split: dt.date) -> list[RateBook]:
    """Return the days from a split to the end of the record, once for each of ``SETS`` sets of eligible pools.

    The sets are drawn from those that are open on the day of the split; all of them at once where they are no more than
    ``POOLS``.
    """
    first = recorded.place(split)
    candidates = np.flatnonzero(recorded.book.open[first])
    if candidates.size == 0:
        raise SourceError(f"no pool was eligible on {split}")
    draw = np.random.default_rng(0)
    sets = {tuple(sorted(int(place) for place in draw.permutation(candidates)[:POOLS])) for _ in range(SETS)}
    last = recorded.book.days - MAX_GAP_DAYS  # the last histories may end on filled days
    return [recorded.book.part(pools, first, last) for pools in sorted(sets)]


def evaluate(
    panel: Panel, train: Train | None, seeds: Sequence[int] = (0,), splits: Sequence[dt.date] = SPLITS
) -> Iterator[Row]:
    """Yield the rows of every split and amount; without ``train`` those of the rules alone.

    With several seeds the rebalancer is the mean of those that each of them leads to, as if the money were split.
    """
    recorded = recorded_book(panel, "USD")
    for split in splits:
        books = held_out_books(recorded, split)
        end = split + dt.timedelta(days=books[0].days - 1)
        agents = [train([train_part(panel, split)], DqnSettings(seed=seed)) for seed in seeds] if train else []
        for amount in AMOUNTS_USD:
            rules = {name: [follow(rule, book, Costs(amount)) for book in books] for name, rule in RULES.items()}
            learned = [_learned(agents, book, Costs(amount)) for book in books] if agents else None
            for name, outcomes in rules.items():
                yield _row(split, end, amount, name, outcomes, learned)
            if learned:
                yield _row(split, end, amount, "dqn", learned, None)


def _learned(agents: Sequence[Agent], book: RateBook, costs: Costs) -> Outcome:
    return _mean([follow(greedy_policy(agent), book, costs) for agent in agents])


def _mean(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(*(np.add.reduce(column, axis=0) / len(outcomes) for column in zip(*outcomes, strict=True)))


def _row(
    start: dt.date, end: dt.date, amount: float, name: str, outcomes: list[Outcome], learned: list[Outcome] | None
) -> Row:
    mean = _mean(outcomes)
    cost = math.fsum(mean.cost)
    moves = sum(outcome.moves for outcome in outcomes) / len(outcomes)
    if learned is None:
        return Row(start, end, amount, name, mean.annual, mean.annual_reward, cost, moves, None, None)
    won = sum(one.annual > other.annual for one, other in zip(learned, outcomes, strict=True)) / len(outcomes)
    against = annual_difference(_mean(learned), mean)
    return Row(start, end, amount, name, mean.annual, mean.annual_reward, cost, moves, against, won)


def _line(row: Row) -> str:
    text = f"{row.start} {row.end} {row.amount_usd:>10,.0f} {row.policy:12} {100 * row.annual:7.2f}"
    text += f" {100 * row.reward:7.2f} {100 * row.cost:6.2f} {row.moves:6.1f}"
    if row.against is None or row.won is None:
        return text
    mean, low, high = (100 * part for part in row.against[:3])
    return f"{text}   {mean:+6.2f} [{low:+6.2f}, {high:+6.2f}] {row.won:6.0%}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m evals.rebalancing")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rules-only", action="store_true", help="leave out the learned rebalancer: no torch needed")
    options = parser.parse_args()
    panel = read_panel(options.folder)
    sys.stdout.write(HEAD + "\n")
    for row in evaluate(panel, None if options.rules_only else train_dqn, tuple(range(options.seeds))):
        sys.stdout.write(_line(row) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PlimsollError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
