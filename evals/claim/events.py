"""What may fail, what moving costs: the all-in side, by the project's own tables of hazards, gas and exits.

Hazards are as known on the evening of a decision. The names of pools and the sizes of protocols come from the newest
snapshot of the folder: the record has none of most days.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, get_args

import numpy as np

from evals.claim.record import Panel
from evals.claim.walk import AMOUNT_USD, Held, Price, Rule, Seen, moved
from tools.candidates.all_in import pool_mark
from tools.candidates.outlook import Outlook, build_outlook
from tools.errors import SourceError
from tools.exposure import exposures
from tools.market.load import COST_TABLES
from tools.market.quality import parse_rows
from tools.market.snapshot import History, Market, Row
from tools.market.sources.folder import FolderSource
from tools.optimize import solve
from tools.records import HazardLevel
from tools.risk.costs import exit_cost, gas_usd
from tools.risk.hazards import Hazards
from tools.risk.lookup import ProtocolRisks
from tools.strategies.universe import Pool, build_universe, protocol_tvl
from tools.units import FloatArray

CONFIDENCE = 0.95
SEED = 0
LEVELS: tuple[HazardLevel, ...] = get_args(HazardLevel)
_HISTORY_DAYS = 365


class Losses(NamedTuple):
    """What events take from a portfolio: the mean loss of a year, and the variance that they add to a year's return.

    ``low`` and ``high`` are the mean loss at the ends of what is known of the hazards (their 10 and 90 % quantiles).
    """

    expected: float
    variance: float
    low: float
    high: float


class Events:
    """The years to come as seen on the evening before a row of the panel; each evening is worked out once."""

    def __init__(self, source: FolderSource, panel: Panel) -> None:
        self._source, self._panel = source, panel
        self._sizes = protocol_tvl(parse_rows(source.pools(source.day(None))))
        self._known = functools.cache(self._seen_on)

    def years_seen(
        self, place: int, columns: Sequence[int], level: HazardLevel = "central"
    ) -> tuple[Outlook, list[Pool]]:
        """Return the outlook on the evening before row ``place``, and the pools of some columns in it."""
        outlooks, pools = self._known(place)
        return outlooks[level], [pools[column] for column in columns]

    def losses(self, held: Sequence[Held], days: Sequence[int]) -> Losses:
        """Return what events take from holdings that follow each other, each for so many days; a mean over time."""
        expected: dict[HazardLevel, list[float]] = {level: [] for level in LEVELS}
        variance = []
        for one, length in zip(held, days, strict=True):
            columns = [int(column) for column in np.flatnonzero(one.weights)]
            shares = one.weights[columns]
            for level in LEVELS:
                outlook, pools = self.years_seen(one.place, columns, level)
                expected[level].append(length * float(np.sum(outlook.expected_loss(pools) * shares)))
            outlook, pools = self.years_seen(one.place, columns)
            variance.append(length * float(np.einsum("i,ij,j->", shares, outlook.event_covariance(pools), shares)))
        means = {level: math.fsum(own) / sum(days) for level, own in expected.items()}
        return Losses(means["central"], math.fsum(variance) / sum(days), means["low"], means["high"])

    def _seen_on(self, place: int) -> tuple[dict[HazardLevel, Outlook], dict[int, Pool]]:
        evening = self._panel.days[place - 1]
        market, columns = self._market(place, evening)
        found = build_universe(market, "ETH", ProtocolRisks(market, None)).pools
        hazards = Hazards(evening, market.hacks, tvl_usd=market.protocol_tvl_usd)
        marks = {pool.id: pool_mark(pool) for pool in found}
        hits = exposures(found, evening)
        outlooks = {level: build_outlook(found, hits, marks, hazards.of, level, SEED) for level in LEVELS}
        return outlooks, {columns[pool.id]: pool for pool in found}

    def _market(self, place: int, evening: dt.date) -> tuple[Market, dict[str, int]]:
        panel, rows, histories, columns = self._panel, {}, {}, {}
        for column, one in enumerate(panel.series):
            known = np.flatnonzero(np.isfinite(panel.apy[:place, column]))[-_HISTORY_DAYS:]
            if not known.size:
                continue
            apy, sizes = panel.apy[known, column], np.nan_to_num(panel.tvl_usd[known, column])
            columns[one.id] = column
            rows[one.id] = Row(one.id, *one.label, float(sizes[-1]), float(apy[-1]), None, None, None)
            histories[one.id] = History(one.id, panel.days[known[0]], evening, apy, sizes, 0, 0, False)
        market = Market(
            source=self._source.label,
            synthetic=False,
            as_of=evening,
            pools_total=len(rows),
            rows=rows,
            screened=frozenset(rows),
            histories=histories,
            excluded={},
            labels={},
            protocol_tvl_usd=self._sizes,
            hacks=self._source.hacks(evening),
            prices=None,
            tables={},
            sha256="",
        )
        return market, columns


def least_loss(events: Events) -> Rule:
    """Return the rule of the least mean loss in the worst twentieth of the years that the hazards draw."""

    def rule(seen: Seen) -> FloatArray:
        outlook, pools = events.years_seen(seen.place, seen.columns)
        years = outlook.years(pools, len(seen.returns))
        return solve(
            years.returns,
            "min_cvar",
            max_weights=seen.caps,
            probabilities=years.probabilities,
            confidence=CONFIDENCE,
        ).weights

    return rule


def prices_of_trades(source: FolderSource, panel: Panel, amount_usd: float = AMOUNT_USD) -> Price:
    """Return what a trade of ``amount_usd`` costs: gas for each series that is touched, and slippage of pools.

    Entering a pool is priced like leaving it. Raises ``SourceError`` where one of the costs is not known.
    """
    gas_table, ether = (source.table("prices", name, panel.days[-1]) for name in COST_TABLES)

    @functools.cache
    def gas(place: int, column: int) -> float:
        one = panel.series[column]
        cost = gas_usd(one.label.chain, 1, gas_table, ether, panel.days[place - 1], amm=one.amm)
        if cost.value is None:
            raise SourceError(f"{source.label}: {one.name} on {panel.days[place - 1]}: {cost.reason}")
        return cost.value / amount_usd

    def price(place: int, before: FloatArray, after: FloatArray) -> float:
        change = moved(before, after)
        costs = []
        for column in np.flatnonzero(change):
            share = float(change[column])
            costs.append(gas(place, int(column)) + share * _slippage(panel, place, int(column), share * amount_usd))
        return math.fsum(costs)

    return price


def _slippage(panel: Panel, place: int, column: int, traded_usd: float) -> float:
    """Return the fraction of a trade that is lost to the pool; more than it holds goes at its worst price."""
    one, size = panel.series[column], float(panel.tvl_usd[place - 1, column])
    if not one.amm or math.isnan(size):
        return 0.0
    found = exit_cost(min(traded_usd, size), size, len(one.tokens), amm=True, pegged=True).value
    assert found is not None  # no more than the pool holds is priced
    return found


def days_held(held: Sequence[Held], days: int) -> list[int]:
    """Return for how many days each holding was kept, the last one to the end of ``days``."""
    first = held[0].place
    starts = [*(one.place for one in held), first + days]
    return [after - before for before, after in itertools.pairwise(starts)]
