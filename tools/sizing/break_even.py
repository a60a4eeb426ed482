"""How long a position must be held before what is paid once is earned back, and what a bridge takes of it.

    days = 365 · once / (net_rate − alternative_rate)

``once`` is everything paid once, in and out, as a share of the money; interest on it is left out.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import tomllib
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from tools.errors import UsageError
from tools.market.names import canonical_chain
from tools.risk.costs import RECORDED_CHAIN, Cost
from tools.units import DAYS_PER_YEAR


class BridgeFee(NamedTuple):
    """What a bridge keeps of a token on each way between Ethereum and a chain, as a fraction; dated, with a source."""

    fee: float
    since: dt.date
    source: str


def break_even_days(once_cost_fraction: float, net_rate: float, alternative_rate: float) -> Cost:
    """Return the days after which a position has beaten the alternative, or None with the reason.

    ``net_rate`` is what it earns a year after dilution and expected losses, before what is paid once; the
    ``alternative_rate`` is 0 for holding, or the risk-free rate. Raises ValueError for a rate that is not finite and
    for a cost that is negative or not finite.
    """
    if not 0.0 <= once_cost_fraction < math.inf:
        raise ValueError(f"once_cost_fraction must be finite and not negative, not {once_cost_fraction}")
    for name, rate in (("net_rate", net_rate), ("alternative_rate", alternative_rate)):
        if not math.isfinite(rate):
            raise ValueError(f"{name} must be finite, not {rate}")
    if net_rate <= alternative_rate:
        return Cost(None, "it earns no more a year than the alternative")
    return Cost(DAYS_PER_YEAR * once_cost_fraction / (net_rate - alternative_rate))


def bridge_cost(chain: str, tokens: Collection[str], as_of: dt.date, path: Path | None = None) -> Cost:
    """Return what bridges keep of a position on both ways between Ethereum and ``chain``, as a fraction of it.

    0 on Ethereum itself; None with the reason where one of the tokens has no bridge on file as of the day. The gas of
    bridging is not in it: ``data/bridges.toml`` holds fees only. Raises UsageError for a data file that is not what it
    should be.
    """
    chain = canonical_chain(chain)
    if chain == RECORDED_CHAIN:
        return Cost(0.0)
    fees = [_fee(path, chain, token, as_of) for token in sorted(tokens)]
    known = [fee for fee in fees if fee is not None]
    if not fees or len(known) < len(fees):
        return Cost(None, f"what moving the money to {chain} and back costs is not known")
    return Cost(2.0 * max(known))


def _fee(path: Path | None, chain: str, token: str, as_of: dt.date) -> float | None:
    lines = [line for line in _fees(path).get(chain, {}).get(token.upper(), ()) if line.since <= as_of]
    return max(lines, key=lambda line: line.since).fee if lines else None


@functools.cache
def _fees(path: Path | None) -> Mapping[str, Mapping[str, tuple[BridgeFee, ...]]]:
    try:
        text = (path or resources.files(__package__) / "data" / "bridges.toml").read_text(encoding="utf-8")
        tables = tomllib.loads(text)
        fees = {
            chain: {token: tuple(BridgeFee(**line) for line in lines) for token, lines in tokens.items()}
            for chain, tokens in tables.items()
        }
        for chain, tokens in fees.items():
            if not all(_sound(line) for lines in tokens.values() for line in lines):
                raise ValueError(f"{chain} needs fee (0 to 1), since (a date) and source in every line")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{path or 'bridges.toml'}: {error!r}") from error
    return fees


def _sound(line: BridgeFee) -> bool:
    number = type(line.fee) in {int, float} and 0.0 <= line.fee < 1.0
    return number and type(line.since) is dt.date and isinstance(line.source, str) and line.source != ""
