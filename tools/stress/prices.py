"""What a dollar strategy was worth from a day on, by the prices and yields that were recorded."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tools.units import daily_return

PriceRows = Iterable[Mapping[str, str]]

_SLACK = 1e-6


@dataclass(frozen=True)
class Holding:
    """One position: its weight (a fraction of the money), the tokens that it is in, and its APY (a fraction) by day.

    Without an ``apy`` it earns nothing.
    """

    weight: float
    tokens: tuple[str, ...]
    apy: Mapping[dt.date, float] = field(default_factory=dict)


class PathDay(NamedTuple):
    """The worth of one dollar put in at the close of the first day: at this day's close, and at its lowest prices."""

    day: dt.date
    close: float
    low: float


@dataclass(frozen=True)
class PricePath:
    """A replayed path.

    ``worst`` and ``worst_close`` are the largest losses against the start (fractions, at the day's lowest prices and at
    closing prices; 0 if it never lost), None without a single day after the first. ``recovered`` is the first later day
    that closed at the start's value or above, None if none did. ``missing`` maps what could not be used (a day, or a
    holding's yield) to the reason; such days are not among ``days``.
    """

    days: tuple[PathDay, ...]
    worst: float | None
    worst_day: dt.date | None
    worst_close: float | None
    recovered: dt.date | None
    final: float | None
    missing: Mapping[str, str]


class _Price(NamedTuple):
    close: float
    low: float


def replay_prices(
    weights: Mapping[str, float], rows: Mapping[str, PriceRows], first: dt.date, last: dt.date
) -> PricePath:
    """Return the path of money spread over tokens (token → fraction of the money) by their recorded prices alone."""
    return replay_through([Holding(weight, (token,)) for token, weight in sorted(weights.items())], rows, first, last)


def replay_through(
    holdings: Sequence[Holding], rows: Mapping[str, PriceRows], first: dt.date, last: dt.date
) -> PricePath:
    """Return the path of a strategy bought at the close of ``first`` and held to ``last``, both days included.

    ``rows`` has per token the daily rows of a price file (``date``, ``close`` and ``low``; without a low the close
    counts). A holding's worth is its carry, Π (1 + apy)^(1/365) over the days passed, times the relative price of the
    worst of its tokens: those who leave a pool in a run take the good token. Lows of different tokens are taken
    together though they fell at different hours, so ``worst`` errs on the dark side. What is not invested (weights
    below 1 in sum) keeps its dollar.

    A day without the price of every token is left out and named in ``missing``; a day without a yield earns nothing
    and is counted there. Raises ValueError for weights that are no fractions or above 1 in sum, holdings without a
    token, a yield that is not finite or not above −1, or a last day before the first.
    """
    _check(holdings, first, last)
    missing: dict[str, str] = {}
    tokens = sorted({token for holding in holdings for token in holding.tokens})
    calendar = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    prices = {token: _prices(rows.get(token, ()), calendar) for token in tokens}
    for day in calendar:
        if gone := [token for token in tokens if day not in prices[token]]:
            missing[day.isoformat()] = f"no price of {', '.join(gone)}"
    if first.isoformat() in missing:
        return PricePath((), None, None, None, None, None, missing)
    usable = [day for day in calendar if day.isoformat() not in missing]
    growth = [_growth(number, holding, calendar, missing) for number, holding in enumerate(holdings, start=1)]
    return _path([_worth(day, holdings, growth, prices, first) for day in usable], missing)


def _worth(
    day: dt.date,
    holdings: Sequence[Holding],
    growth: Sequence[Mapping[dt.date, float]],
    prices: Mapping[str, Mapping[dt.date, _Price]],
    first: dt.date,
) -> PathDay:
    closes, lows = [1.0 - math.fsum(h.weight for h in holdings)], [1.0 - math.fsum(h.weight for h in holdings)]
    for holding, grown in zip(holdings, growth, strict=True):
        relative = [(prices[token][day], prices[token][first].close) for token in holding.tokens]
        closes.append(holding.weight * grown[day] * min(price.close / start for price, start in relative))
        lows.append(holding.weight * grown[day] * min(price.low / start for price, start in relative))
    close = math.fsum(closes)
    return PathDay(day, close, close if day == first else math.fsum(lows))  # bought at the close, after the day's low


def _path(days: Sequence[PathDay], missing: Mapping[str, str]) -> PricePath:
    after = days[1:]
    if not after:
        return PricePath(tuple(days), None, None, None, None, None, missing)
    darkest = min(after, key=lambda day: day.low)
    worst = max(0.0, 1.0 - darkest.low)
    later = (day.day for day in after if day.day > darkest.day and day.close >= days[0].close)
    return PricePath(
        days=tuple(days),
        worst=worst,
        worst_day=darkest.day if worst > 0.0 else None,
        worst_close=max(0.0, 1.0 - min(day.close for day in after)),
        recovered=next(later, None) if worst > 0.0 else None,
        final=days[-1].close,
        missing=missing,
    )


def _growth(
    number: int, holding: Holding, calendar: Sequence[dt.date], missing: dict[str, str]
) -> dict[dt.date, float]:
    """Return what one dollar's carry has made of it by each day; the first day has earned nothing yet."""
    grown, total = {calendar[0]: 1.0}, 1.0
    without = 0
    for day in calendar[1:]:
        apy = holding.apy.get(day)
        without += apy is None
        total *= 1.0 + daily_return(apy or 0.0)
        grown[day] = total
    if without and holding.apy:
        missing[f"yield of holding {number}, {'-'.join(holding.tokens)}"] = (
            f"{without} of {len(calendar) - 1} days without an APY"
        )
    return grown


def _prices(rows: PriceRows, calendar: Sequence[dt.date]) -> dict[dt.date, _Price]:
    """Return the usable prices of the window; what is no finite number above 0 is no price."""
    wanted = {day.isoformat(): day for day in calendar}
    found = {}
    for row in rows:
        day = wanted.get(row.get("date", "")[:10])
        if day is not None and (close := _number(row.get("close", ""))) is not None:
            found[day] = _Price(close, min(close, _number(row.get("low", "")) or close))
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 < value < math.inf else None


def _check(holdings: Sequence[Holding], first: dt.date, last: dt.date) -> None:
    if last < first:
        raise ValueError(f"the last day {last} lies before the first, {first}")
    for holding in holdings:
        name = "-".join(holding.tokens)
        if not holding.tokens:
            raise ValueError("a holding names no token")
        if not 0.0 <= holding.weight <= 1.0:
            raise ValueError(f"the weight of {name} is {holding.weight}, not a fraction")
        for day, apy in holding.apy.items():
            if not -1.0 < apy < math.inf:
                raise ValueError(f"the APY of {name} on {day} is {apy}")
    if math.fsum(holding.weight for holding in holdings) > 1.0 + _SLACK:
        raise ValueError("the weights sum to more than 1")
