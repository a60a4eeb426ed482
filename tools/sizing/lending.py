"""Lenders whose utilisation is on record: what was supplied, what of it is lent out, and the two slopes of the rate.

A lender's rate has two slopes with a kink between them (Aave, "Borrow interest rate"; Compound III, "Interest rates"):

    line(u) = slope · u                                 up to the kink
    line(u) = slope · kink + steep · (u − kink)         above it

``through_borrow`` (Aave): line is the borrow rate and the supply rate is u · line(u) · (1 − reserve factor).
``direct`` (Compound III): line is the supply rate. The parameters change by vote, so they are read off the recorded
days: the longest of the windows of 30, 21, 14 and 7 days in which one line explains the supply rate of every day.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tools.errors import UsageError
from tools.units import from_percent

Form = Literal["through_borrow", "direct"]
Rows = Sequence[Mapping[str, str]]
Tables = Mapping[str, Rows | None]

WINDOWS_DAYS = (30, 21, 14, 7)
LEAST_DAYS = 5
LONGEST_AGE_DAYS = 3  # of the newest row: utilisation moves by points a day
TOLERANCE = 0.02  # of the recorded supply rate, on every day of the window
BELOW_KINK = 1.005  # line(u)/u of a day over the least: within it, the day lies below the kink
LEAST_SPREAD = 0.01  # of the utilisation below the kink: fewer points tell no slope
LEAST_BELOW = 3
CODED = {"through_borrow", "direct"}


class Entry(NamedTuple):
    """Where a lender's days are found, and how its supply rate follows from utilisation (``data/curves.toml``)."""

    project: str
    chain: str
    symbol: str
    table: str
    form: Form
    date: str
    supplied_usd: str
    utilisation: str
    utilisation_unit: Literal["fraction", "percent"]
    supply_rate: str
    borrow_rate: str
    since: dt.date
    source: str


class Day(NamedTuple):
    """A recorded day: dollars supplied, the share of them lent out, supply and borrow rate (fractions per year)."""

    date: dt.date
    supplied_usd: float
    utilisation: float
    supply_rate: float
    borrow_rate: float


class TwoSlopes(NamedTuple):
    """The line of a lender; without a ``kink`` only its lower slope is known, which is all that a deposit can reach."""

    slope: float
    kink: float | None = None
    steep: float = 0.0

    def at(self, utilisation: float) -> float:
        """Return line(u), a fraction per year."""
        if self.kink is None or utilisation <= self.kink:
            return self.slope * utilisation
        return self.slope * self.kink + self.steep * (utilisation - self.kink)


class Lender(NamedTuple):
    """A lender on the day of the decision; ``line`` is None where no two slopes explain its last days.

    ``error`` is the largest error of the line in the window, of the recorded supply rate; ``days`` is its window.
    """

    entry: Entry
    today: Day
    line: TwoSlopes | None
    error: float | None
    days: int


def lender_of(project: str, chain: str, symbol: str, as_of: dt.date, tables: Tables) -> Lender | None:
    """Return what the recorded days up to ``as_of`` say of a lender.

    None without an entry, without a table, or where the newest row is older than three days.
    """
    entry = _entries(None).get((project, chain, symbol.upper()))
    if entry is None or as_of < entry.since:
        return None
    days = recorded_days(entry, tables.get(entry.table) or (), as_of)
    if not days or (as_of - days[-1].date).days > LONGEST_AGE_DAYS:
        return None
    for window in WINDOWS_DAYS:
        recent = [day for day in days if (days[-1].date - day.date).days < window]
        line = two_slopes([(day.utilisation, _line_rate(day, entry.form)) for day in recent])
        if line is not None and (error := largest_error(line, entry.form, recent)) <= TOLERANCE:
            return Lender(entry, days[-1], line, error, window)
    return Lender(entry, days[-1], None, None, 0)


def recorded_days(entry: Entry, rows: Rows, as_of: dt.date) -> list[Day]:
    """Return the days of a table up to ``as_of``, oldest first, the last row of a day.

    Rows are left out where a figure is missing or no finite number above 0, or the utilisation is above 1.
    """
    days: dict[dt.date, Day] = {}
    for row in rows:
        day = _day(entry, row)
        if day is not None and day.date <= as_of:
            days[day.date] = day
    return [days[date] for date in sorted(days)]


def two_slopes(points: Sequence[tuple[float, float]]) -> TwoSlopes | None:
    """Fit the line to (utilisation, rate) pairs; None where they do not tell.

    The lower slope is the median of rate/u over the days on which it is least (the lower leg goes through 0); at least
    three such days, a percentage point of utilisation apart. The upper leg is the least-squares line through the other
    days, and the kink is where the two meet.
    """
    if len(points) < LEAST_DAYS:
        return None
    least = min(rate / u for u, rate in points)
    below = [(u, rate) for u, rate in points if rate / u <= BELOW_KINK * least]
    above = [(u, rate) for u, rate in points if rate / u > BELOW_KINK * least]
    used = [u for u, _ in below]
    if len(below) < LEAST_BELOW or max(used) - min(used) < LEAST_SPREAD:
        return None
    slope = statistics.median(rate / u for u, rate in below)
    if not above:
        return TwoSlopes(slope)
    if len({u for u, _ in above}) < 2:
        return None
    steep, intercept = statistics.linear_regression(*zip(*above, strict=True))
    kink = intercept / (slope - steep) if steep > slope else math.nan
    return TwoSlopes(slope, kink, steep) if 0.0 < kink <= 1.0 else None


def largest_error(line: TwoSlopes, form: Form, days: Sequence[Day]) -> float:
    """Return the largest error of the supply rate that the line implies, as a share of the recorded one.

    ``through_borrow``: the share 1 − reserve factor that suppliers get is the median of supply/(u · borrow).
    """
    share = kept_share(days) if form == "through_borrow" else 1.0
    return max(abs(supply_shape(line, form, day.utilisation) * share / day.supply_rate - 1.0) for day in days)


def kept_share(days: Sequence[Day]) -> float:
    """Return 1 − reserve factor: the median of supply rate / (utilisation · borrow rate)."""
    return statistics.median(day.supply_rate / (day.utilisation * day.borrow_rate) for day in days)


def supply_shape(line: TwoSlopes, form: Form, utilisation: float) -> float:
    """Return the supply rate at a utilisation up to a constant factor: u · line(u), or line(u) itself."""
    return line.at(utilisation) * (utilisation if form == "through_borrow" else 1.0)


def dilution_tables(path: Path | None = None) -> tuple[str, ...]:
    """Return the names of the tables of ``rates/`` that the curves are read from."""
    return tuple(sorted({entry.table for entry in _entries(path).values()}))


def _line_rate(day: Day, form: Form) -> float:
    return day.borrow_rate if form == "through_borrow" else day.supply_rate


def _day(entry: Entry, row: Mapping[str, str]) -> Day | None:
    try:
        date = dt.date.fromisoformat(row[entry.date][:10])
        supplied, used, supply, borrow = (
            float(row[column])
            for column in (entry.supplied_usd, entry.utilisation, entry.supply_rate, entry.borrow_rate)
        )
    except (KeyError, ValueError):
        return None
    if not all(0.0 < value < math.inf for value in (supplied, used, supply, borrow)):
        return None
    utilisation = from_percent(used) if entry.utilisation_unit == "percent" else used
    return Day(date, supplied, utilisation, from_percent(supply), from_percent(borrow)) if utilisation <= 1.0 else None


@functools.cache
def _entries(path: Path | None) -> Mapping[tuple[str, str, str], Entry]:
    try:
        text = (path or resources.files(__package__) / "data" / "curves.toml").read_text(encoding="utf-8")
        entries = [_entry(table) for table in tomllib.loads(text)["market"]]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path or 'curves.toml'}: {error!r}") from error
    keyed = sorted(entries, key=lambda entry: (entry.project, entry.chain, entry.symbol))
    if any(a[:3] == b[:3] for a, b in itertools.pairwise(keyed)):
        raise UsageError(f"{path or 'curves.toml'}: a market is listed twice")
    return {(entry.project, entry.chain, entry.symbol.upper()): entry for entry in entries}


def _entry(table: Mapping[str, Any]) -> Entry:
    entry = Entry(**table)
    texts = [value for name, value in zip(Entry._fields, entry, strict=True) if name != "since"]
    sound = all(isinstance(text, str) and text for text in texts) and type(entry.since) is dt.date
    if not sound or entry.form not in CODED or entry.utilisation_unit not in {"fraction", "percent"}:
        raise ValueError(f"the market {entry.project} {entry.symbol} has a field that is not what it should be")
    return entry
