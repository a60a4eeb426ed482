"""The only place where rates and units are converted.

Everywhere else ``apy``, ``weight`` and every share is a fraction (0.05 is 5 %), money is in dollars or in the mandate's
asset, and time is UTC. DefiLlama speaks percent; people speak percent and basis points; both stop here.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray: TypeAlias = npt.NDArray[np.float64]
else:
    FloatArray = Any  # reading a question needs the names of the market, and those this module, but never numpy

DAYS_PER_YEAR = 365
BASIS_POINTS = 10_000
STORED_DIGITS = 12  # of figures in the record: the last bits of a sum depend on the machine

Rate = TypeVar("Rate", float, FloatArray)

# Controls, format characters (bidi overrides, zero-width), surrogates and private-use code points: never part of a
# label.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
_MARKUP = re.compile(r"[<>\[\]`|*_\\{}#\"'&$~]")


def from_percent(percent: float) -> float:
    """Convert percent to a fraction.

    The result is rounded to 12 decimals, so that 3.46657 % becomes 0.0346657 and not 0.034665699999999996: the API
    gives five decimals.
    """
    return round(percent / 100.0, 12)


def daily_return(apy: Rate) -> Rate:
    """Turn an annual percentage yield (fraction) into the simple daily return (1 + apy)^(1/365) − 1."""
    result: Rate = (1.0 + apy) ** (1.0 / DAYS_PER_YEAR) - 1.0
    return result


def income(amount: float, apy: float, days: int) -> float:
    """Return what ``amount`` earns in ``days`` at a constant ``apy``, compounded.

    Amount · ((1 + apy)^(days/365) − 1).
    """
    growth: float = (1.0 + apy) ** (days / DAYS_PER_YEAR)
    return amount * (growth - 1.0)


def end_of_day(day: dt.date) -> dt.datetime:
    """Return the last second of a UTC day."""
    return dt.datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=dt.UTC)


def iso(moment: dt.datetime) -> str:
    """Write an aware moment as ``2025-02-28T23:59:59Z``."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def significant(value: float, digits: int = STORED_DIGITS) -> float:
    """Round to significant digits; -0.0 becomes 0.0."""
    return float(f"{value:.{digits - 1}e}") + 0.0


def safe_label(raw: str, limit: int = 40) -> str:
    """Make a name from the market safe to show: printable, without markup, at most ``limit`` characters, never empty.

    Pool symbols and project names are written by whoever deploys a token. What is dropped here is what could forge a
    line in a terminal, open a tag in a page or end a table cell in Markdown. The result is for people; keys are pool
    ids.
    """
    normal = unicodedata.normalize("NFKC", raw)
    printable = "".join(c if unicodedata.category(c) not in _UNPRINTABLE else " " for c in normal)
    plain = " ".join(_MARKUP.sub(" ", printable).split())
    return (plain[: limit - 1] + "…" if len(plain) > limit else plain) or "unnamed"
