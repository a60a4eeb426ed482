"""The small market with pools of ETH and BTC beside its dollars, for questions about any of the three."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from made_market import MadeSource, chart, pool_id, raw_row, wavy
from small_market import market

COINS = [
    # project, chain, symbol, millions of dollars, percent a year
    ("lido", "Ethereum", "STETH", 900, 2.9),
    ("rocket-pool", "Ethereum", "RETH", 300, 2.7),
    ("aave-v3", "Ethereum", "WETH", 500, 2.2),
    ("aave-v3", "Base", "WETH", 80, 2.5),
    ("compound-v3", "Ethereum", "WETH", 150, 2.0),
    ("sparklend", "Ethereum", "WETH", 250, 2.4),
    ("morpho-blue", "Ethereum", "WETH", 90, 2.8),
    ("fluid-lending", "Ethereum", "WSTETH", 70, 3.1),
    ("aave-v3", "Ethereum", "WBTC", 400, 0.4),
    ("aave-v3", "Base", "CBBTC", 60, 0.7),
    ("compound-v3", "Ethereum", "WBTC", 90, 0.5),
    ("sparklend", "Ethereum", "CBBTC", 80, 0.6),
    ("morpho-blue", "Ethereum", "CBBTC", 110, 0.9),
    ("fluid-lending", "Ethereum", "CBBTC", 50, 1.0),
]
FIRST = 101
UNKNOWN = ("quiet-vaults", "Quietchain")
"""A protocol and a chain that nothing is known of: the only ones whose names are no evidence."""
UNKNOWN_POOL = 6  # of the small market


def bazaar() -> MadeSource:
    """Return the market; one of its pools is of a protocol and on a chain that nobody knows."""
    source = market({UNKNOWN_POOL: dict(zip(("project", "chain"), UNKNOWN, strict=True))})
    for number, (project, chain, symbol, millions, percent) in enumerate(COINS, start=FIRST):
        one = {"project": project, "chain": chain, "symbol": symbol, "tvlUsd": millions * 1e6, "apy": percent}
        source.rows.append(raw_row(pool_id(number), **one, apyBase=percent, apyReward=0.0))
        source.answers[pool_id(number)] = chart(wavy(120, level=percent, swing=0.05, phase=number))
    return source


def shuffled(source: MadeSource, seed: int) -> MadeSource:
    """The same rows in another order."""
    rows = list(source.rows)
    random.Random(seed).shuffle(rows)
    return MadeSource(rows, source.answers)


def respelled(source: MadeSource, seed: int) -> MadeSource:
    """The same numbers, written as whole numbers where they are, with other fields around them."""
    chance = random.Random(seed)

    def number(value: Any) -> Any:
        return int(value) if isinstance(value, float) and value.is_integer() else value

    rows = []
    for row in source.rows:
        fields = [(key, number(value)) for key, value in row.items()]
        fields += [("il7d", None), ("mu", chance.random()), ("stablecoin", True)]
        chance.shuffle(fields)
        rows.append(dict(fields))
    return MadeSource(rows, source.answers)


class Renamed:
    """The market under other names: all that a name is, where it is no evidence.

    Renamed are the pool's id, its ``poolMeta`` and ``url``, the case and the order of the tokens in its symbol, the
    order and case of a known name's letters never; and an unknown protocol and chain become others nobody knows.
    """

    def __init__(self, source: MadeSource, seed: int) -> None:
        chance = random.Random(seed)
        self.ids = {row["pool"]: str(uuid.UUID(int=chance.getrandbits(128), version=4)) for row in source.rows}
        unknown = {UNKNOWN[0]: f"{_word(chance)}-{_word(chance)}", UNKNOWN[1]: _word(chance).title()}
        rows = [self._row(row, unknown, chance) for row in source.rows]
        self.source = MadeSource(rows, {self.ids[pool]: rows for pool, rows in source.answers.items()})

    def _row(self, row: Mapping[str, Any], unknown: Mapping[str, str], chance: random.Random) -> dict[str, Any]:
        tokens = row["symbol"].split("-")
        chance.shuffle(tokens)
        case: Callable[[str], str] = chance.choice((str.upper, str.lower, str.title))
        return {
            **row,
            "pool": self.ids[row["pool"]],
            "symbol": case(chance.choice("-/").join(tokens)),
            "project": unknown.get(row["project"], row["project"]),
            "chain": unknown.get(row["chain"], row["chain"]),
            "poolMeta": chance.choice((None, _word(chance))),
            "url": f"https://{_word(chance)}.invalid",
        }

    def back(self, decision: Any) -> Any:
        """Return a decision with the ids of the market before it was renamed."""
        names = {new: old for old, new in self.ids.items()}
        if isinstance(decision, str):
            return names.get(decision, decision)
        if isinstance(decision, dict):
            return {key: self.back(value) for key, value in decision.items()}
        if isinstance(decision, list | tuple):
            return type(decision)(map(self.back, decision))
        return decision


def _word(chance: random.Random) -> str:
    return "".join(chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(4))
