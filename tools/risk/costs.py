"""What it costs to enter and to leave: slippage at the position's size, days to get out, gas.

A cost that cannot be told is None with its reason, never 0. The data: ``data/gas.toml`` and ``data/queues.toml``.

**Leaving a pool of n tokens.** A share s of the pool is withdrawn in proportion: (1 − s)·R_i is left of every reserve
R_i, and the s·R_i of n − 1 tokens are then swapped into the n-th through that same pool. With equal weights a swap of x
into a reserve R' pays x/(x + R') of the reserve on the other side (constant product; Martinelli & Mushegian 2019, the
Balancer whitepaper), here s·R/(s·R + (1 − s)·R) = s. The k-th swap finds (1 − s)^k R there, pays s·(1 − s)^k R for what
was s·R, and so loses 1 − (1 − s)^k of it:

    cost = (1/n) · Σ_{k=1}^{n−1} (1 − (1 − s)^k)          s/2 for two tokens

which is also what Balancer's withdrawal in a single asset costs. s is taken as position / TVL, as if the position were
not part of the TVL. This is an upper bound of the slippage: whoever wants the tokens as they are pays nothing,
amplified (Curve's stableswap) and concentrated pools have more depth around the price, and other venues take part of
the swap. It is no bound for a concentrated pool whose price has left its liquidity. The fee of the swap, 0.01 % to 1 %
of the part swapped, is not in it: the feed does not say it.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from tools.errors import UsageError
from tools.market.names import canonical_chain

# What leaving a stableswap pool costs of what constant product would, at amplification 10, the least in use: 0.10 to
# 0.13 for a share of 1 to 25 % (Egorov, "StableSwap", 2019). At 100 it is a tenth of that.
PEGGED_SHARE = 0.13
DAILY_SHARE = 0.10  # of what a pool holds, at most so much a day is taken out
GAS_DAYS, GAS_LEAST_DAYS = 30, 10
LONGEST_PRICE_AGE_DAYS = 3
WEI_PER_GWEI = 1e-9  # a gwei in ether
RECORDED_CHAIN = "Ethereum"  # whose gas prices the market records
AMOUNT_UNKNOWN = "no amount is known"

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Cost:
    """A cost, or None and the reason why it cannot be told."""

    value: float | None
    reason: str = ""


def exit_cost(position_usd: float | None, tvl_usd: float, tokens: int, amm: bool, *, pegged: bool = False) -> Cost:
    """Return the fraction of the position that is lost on leaving at once into one token.

    ``pegged``: the pool's tokens are all of one asset, so its liquidity lies around their peg: ``PEGGED_SHARE`` of the
    cost under constant product.

    ``tvl_usd`` is what can be withdrawn: for a lender what is not lent out. Nothing is lost where there is nothing to
    swap; a position larger than what can be withdrawn cannot be left at once at any price. Raises ValueError for
    negative or non-finite amounts and for a pool without tokens.
    """
    _check("position_usd", position_usd)
    _check("tvl_usd", tvl_usd)
    if tokens < 1:
        raise ValueError(f"tokens: a pool holds at least one, not {tokens}")
    if position_usd is None:
        return Cost(None, AMOUNT_UNKNOWN)
    share = position_usd / tvl_usd if tvl_usd > 0.0 else math.inf
    if share > 1.0:
        return Cost(None, "the position is larger than what can be withdrawn at once")
    lost = total = 0.0
    for _ in range(tokens - 1 if amm else 0):
        lost += share * (1.0 - lost)
        total += lost
    return Cost(total / tokens * (PEGGED_SHARE if pegged else 1.0))


def days_to_exit(
    position_usd: float | None, tvl_usd: float, daily_share: float = DAILY_SHARE, *, queue_days: float = 0.0
) -> Cost:
    """Return the days it takes to leave while taking out no more than ``daily_share`` of the pool a day.

    At least ``queue_days``, the wait that the project imposes (``queue_days_of``). Less than 1 is part of a day. Raises
    ValueError for negative or non-finite values and a share outside (0, 1].
    """
    _check("position_usd", position_usd)
    _check("tvl_usd", tvl_usd)
    _check("queue_days", queue_days)
    if not 0.0 < daily_share <= 1.0:
        raise ValueError(f"daily_share must lie above 0 and at most 1, not {daily_share}")
    if position_usd is None:
        return Cost(None, AMOUNT_UNKNOWN)
    if tvl_usd == 0.0:
        return Cost(None, "nothing can be withdrawn")
    return Cost(max(queue_days, position_usd / (daily_share * tvl_usd)))


def liquidity_haircut(position_usd: float, depth_usd: float, depth_share: float = DAILY_SHARE) -> float:
    """Return min(1, position / (depth_share · depth)): 0 leaves no trace, 1 is all that may be taken out in a day.

    Raises ValueError for negative or non-finite values and a share outside (0, 1]; an empty market has a haircut of 1.
    """
    _check("position_usd", position_usd)
    days = days_to_exit(position_usd, depth_usd, depth_share).value
    return 1.0 if days is None else min(1.0, days)


def queue_days_of(project: str, as_of: dt.date, path: Path | None = None) -> float:
    """Return the days that a project makes leavers wait, as known at ``as_of``; 0 where none is known."""
    line = _latest(_queues(path).get(project, []), as_of)
    return float(line["days"]) if line else 0.0


def gas_usd(
    chain: str,
    moves: int,
    gas: Rows | None,
    eth_prices: Rows | None,
    as_of: dt.date,
    *,
    amm: bool = False,
    path: Path | None = None,
) -> Cost:
    """Return what ``moves`` transactions into or out of a pool cost in dollars, as known at ``as_of``.

    A move is half of a round trip (approve, deposit, withdraw). On Ethereum: gas units × the median of the average gas
    price over the last 30 days (``date``, ``avg_gas_gwei`` of ``prices/eth_gas_gwei_daily.csv``; at least 10 days) ×
    ether's close of the day or at most three days before (``date``, ``close`` of ``prices/eth_usd_daily.csv``). On
    other chains an order of magnitude. What is no finite number above 0 is no price. Raises ValueError for a negative
    number of moves and UsageError for a data file that is not what it should be.
    """
    if moves < 0:
        raise ValueError(f"moves must not be negative: {moves}")
    chain = canonical_chain(chain)
    if chain == RECORDED_CHAIN:
        gwei, price = _median_gas_gwei(gas, as_of), _close(eth_prices, as_of)
        if gwei is None:
            return Cost(None, f"fewer than {GAS_LEAST_DAYS} gas prices of the last {GAS_DAYS} days are on record")
        if price is None:
            return Cost(None, "no price of ether is on record")
        return Cost(moves * gas_per_move(amm, path) * gwei * WEI_PER_GWEI * price)
    line = _latest(_gas(path)["fee"].get(chain, []), as_of)
    return Cost(moves * float(line["usd"])) if line else Cost(None, f"what a transaction costs on {chain} is not known")


def gas_per_move(amm: bool, path: Path | None = None) -> float:
    """Return the gas units of half a round trip: (approve + deposit + withdraw) / 2."""
    units = _gas(path)["units"]["amm" if amm else "single"]
    return float(units["approve"] + units["deposit"] + units["withdraw"]) / 2.0


def _median_gas_gwei(rows: Rows | None, as_of: dt.date) -> float | None:
    first, last = (as_of - dt.timedelta(days=GAS_DAYS - 1)).isoformat(), as_of.isoformat()
    dated = ((row.get("date", "")[:10], row) for row in rows or ())
    days = {day: _positive(row.get("avg_gas_gwei", "")) for day, row in dated if first <= day <= last}
    recent = [gwei for gwei in days.values() if gwei is not None]
    return statistics.median(recent) if len(recent) >= GAS_LEAST_DAYS else None


def _close(rows: Rows | None, as_of: dt.date) -> float | None:
    days = [(as_of - dt.timedelta(days=age)).isoformat() for age in range(LONGEST_PRICE_AGE_DAYS + 1)]
    dated = ((row.get("date", "")[:10], row) for row in rows or ())
    closes = {day: _positive(row.get("close", "")) for day, row in dated if day in days}
    return next((price for day in days if (price := closes.get(day)) is not None), None)


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 < value < math.inf else None


def _check(name: str, value: float | None) -> None:
    if value is not None and not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be finite and not negative: {value}")


def _latest(lines: Sequence[Mapping[str, Any]], as_of: dt.date) -> Mapping[str, Any] | None:
    return max((line for line in lines if line["since"] <= as_of), key=lambda line: line["since"], default=None)


@functools.cache
def _gas(path: Path | None) -> dict[str, Any]:
    data = _read(path, "gas.toml")
    try:
        for kind in ("single", "amm"):
            units = [data["units"][kind][move] for move in ("approve", "deposit", "withdraw")]
            if not all(type(number) is int and number > 0 for number in units):
                raise ValueError(f"the gas units of {kind} are not all whole numbers above 0")
        _check_lines(data["fee"], "usd")
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path or 'gas.toml'}: {error!r}") from error
    return data


@functools.cache
def _queues(path: Path | None) -> dict[str, Any]:
    data = _read(path, "queues.toml")
    try:
        _check_lines(data, "days")
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path or 'queues.toml'}: {error!r}") from error
    return data


def _read(path: Path | None, name: str) -> dict[str, Any]:
    """Read a data file of this package, or the user's own in its place; raise UsageError when it cannot be read."""
    try:
        text = (path or resources.files(__package__) / "data" / name).read_text(encoding="utf-8")
        return tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read {path or name}: {error}") from error


def _check_lines(entries: Mapping[str, Any], value: str) -> None:
    for name, lines in entries.items():
        for line in lines:
            number, since, source = line[value], line["since"], line["source"]
            sound = type(number) in (int, float) and 0.0 <= number < math.inf and type(since) is dt.date
            if not sound or not isinstance(source, str) or not source:
                raise ValueError(f"{name} needs {value} (a number, 0 or more), since (a date) and source")
