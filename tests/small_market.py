"""A market of a dozen pools and a question on which several candidates are nearly equal, for the tests of the seat."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from made_market import MadeSource, chart, pool_id, raw_row, wavy

from agents.models import Seat
from agents.state import Settings
from agents.workflow import advise
from tools.records import Recommendation

PATHS = 2_000  # these tests look at words, not at tails
NOW = dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)
QUESTION = "Put 2 million dollars to work, high risk, at most 30% per pool"
POOLS = [
    # project, chain, symbol, millions of dollars, percent a year
    ("aave-v3", "Ethereum", "USDC", 400, 4.1),
    ("aave-v3", "Base", "USDC", 90, 4.6),
    ("compound-v3", "Ethereum", "USDC", 120, 3.9),
    ("sparklend", "Ethereum", "USDS", 150, 5.2),
    ("fluid-lending", "Ethereum", "USDC", 80, 5.0),
    ("curve-dex", "Ethereum", "DAI-USDC-USDT", 170, 2.6),
    ("morpho-blue", "Ethereum", "USDC", 60, 5.6),
    ("fluid-lending", "Arbitrum", "USDT", 30, 5.8),
    ("aave-v3", "Arbitrum", "USDT", 45, 4.4),
    ("compound-v3", "Arbitrum", "USDC", 40, 4.8),
    ("euler-v2", "Ethereum", "USDC", 55, 6.0),
    ("yearn-finance", "Ethereum", "DAI", 20, 6.3),
]


def market(
    changes: Mapping[int, Mapping[str, Any]] | None = None, extra: Sequence[Mapping[str, Any]] = ()
) -> MadeSource:
    """The market above; ``changes`` by number of the pool, ``extra`` rows behind it."""
    rows, charts = [], {}
    for number, (project, chain, symbol, millions, percent) in enumerate(POOLS, start=1):
        named = {"project": project, "chain": chain, "symbol": symbol} | dict((changes or {}).get(number, {}))
        rows.append(
            raw_row(pool_id(number), tvlUsd=millions * 1e6, apy=percent, apyBase=percent, apyReward=0.0, **named)
        )
        charts[pool_id(number)] = chart(wavy(120, level=percent, phase=number))
    rows += [raw_row(pool_id(900 + number), **row) for number, row in enumerate(extra)]
    return MadeSource(rows, charts)


def run(seat: Seat | None, question: str = QUESTION, source: MadeSource | None = None) -> Recommendation:
    return advise(question, source or market(), seat=seat, settings=Settings(paths=PATHS), now=NOW)[0]
