"""Numbers with what stands beside them: a currency, a percent sign, a unit of time, a second number of a range."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tools.question.lexeme import Lexeme
from tools.question.numerals import TIME_UNITS, Numeral, numeral_at
from tools.question.text import Token, word_at
from tools.units import BASIS_POINTS, from_percent

_DOLLAR_SIGNS = frozenset({"$", "us$", "usd$"})
_DOLLARS = _DOLLAR_SIGNS | {"usd", "dollar", "dollars", "bucks"}
_FOREIGN_PREFIXES = frozenset({"€", "£", "¥", "eur", "gbp", "chf"})
_FOREIGN = _FOREIGN_PREFIXES | {"euro", "euros", "yen", "quid", "inr", "rupees", "jpy"}
_PERCENT = frozenset({"%", "percent", "percents", "pct", "prct", "procent"})
_BASIS_POINTS = frozenset({"bps", "bp", "basis"})
_SATS = frozenset({"sats", "sat", "satoshi", "satoshis"})
_SATS_PER_COIN = 100_000_000
# Units that no field knows: the number with its unit is left for the notes.
_OTHER_UNITS = frozenset({"hour", "hours", "hrs", "minute", "minutes", "seconds", "th", "st", "nd", "rd", "times"})
_MOST_DAYS = 36_500
_SPACED = 1_000  # "3 - 5 pools" is a range, "250000 - 12 months" is not
_MOST_MONTHS = 24


@dataclass(frozen=True, slots=True)
class Quantity:
    """The tokens [start, end) and the readings that they have together (see ``lexeme.KINDS``)."""

    start: int
    end: int
    readings: Mapping[str, Any]
    flags: frozenset[str] = frozenset()


def quantity_at(tokens: Sequence[Token], at: int) -> Quantity | None:
    """Read the number that starts at a token, with its currency, percent sign or unit; None when there is none."""
    sign = int(word_at(tokens, at) == "-" and word_at(tokens, at + 1) == "$" and _touch(tokens, at))
    prefix = _currency(tokens, at + sign)
    first = at + sign + prefix
    numeral = numeral_at(tokens, first) if first < len(tokens) else None
    if numeral is None or (prefix and numeral.share):
        return None
    if fraction := _fraction(tokens, at):
        return fraction
    numeral = replace(numeral, value=-numeral.value if sign else numeral.value, end=_said_twice(tokens, numeral))
    if prefix and word_at(tokens, at + sign) in _FOREIGN_PREFIXES:
        return _foreign(at, numeral.end, numeral.value, word_at(tokens, at + sign))
    return _money(tokens, at, numeral) if prefix else _measured(tokens, at, numeral)


def _touch(tokens: Sequence[Token], at: int) -> bool:
    return at + 1 < len(tokens) and tokens[at].end == tokens[at + 1].start


def _currency(tokens: Sequence[Token], at: int) -> int:
    """Return how many tokens of a currency stand in front of a number: ``$``, ``US $``, ``USD``, ``€``."""
    word = word_at(tokens, at)
    if word in {"us", "usd"} and word_at(tokens, at + 1) == "$":
        return 2
    before_digits = at + 1 < len(tokens) and tokens[at + 1].is_digits
    opens = word in _DOLLAR_SIGNS | _FOREIGN_PREFIXES | {"usd"}
    return int(word in {"$", "€", "£", "¥"} or (before_digits and opens))


def _fraction(tokens: Sequence[Token], at: int) -> Quantity | None:
    """Read ``1/4``: two small whole numbers, the sign touching both; ``50/50`` is no number."""
    over, sign, under = (word_at(tokens, at + step) for step in range(3))
    if re.fullmatch(r"\d\d", over) and sign == "/" and re.fullmatch(r"\d\d", under):
        return Quantity(at, at + 3, {"unclear": float(over)})
    if sign != "/" or not re.fullmatch(r"\d", over) or not re.fullmatch(r"\d|10", under):
        return None
    touching = _touch(tokens, at) and _touch(tokens, at + 1)
    proper = 0 < int(over) < int(under)
    return Quantity(at, at + 3, {"share": int(over) / int(under)}) if touching and proper else None


def _said_twice(tokens: Sequence[Token], numeral: Numeral) -> int:
    """Skip the digits of ``six (6) months``."""
    end = numeral.end
    if word_at(tokens, end) == "(" and word_at(tokens, end + 2) == ")" and tokens[end + 1].is_digits:
        again = numeral_at(tokens, end + 1)
        return end + 3 if again and again.value == numeral.value else end
    return end


def _foreign(start: int, end: int, value: float, currency: str) -> Quantity:
    return Quantity(start, end, {"foreign": currency, "unclear": value})


def _money(tokens: Sequence[Token], at: int, numeral: Numeral) -> Quantity:
    """Read dollars that had their sign in front; a word may repeat it (``$2m dollars``), a sign opens the next sum."""
    behind = word_at(tokens, numeral.end)
    end = numeral.end + int(behind in _DOLLARS - _DOLLAR_SIGNS)
    if numeral.unclear:
        return Quantity(at, end, {"unclear": numeral.value})
    return Quantity(at, end, {"usd": numeral.value}, _flags(numeral))


def _measured(tokens: Sequence[Token], at: int, numeral: Numeral) -> Quantity:
    """Read a number by the unit behind it."""
    end, unit = numeral.end, word_at(tokens, numeral.end)
    if percent := _percent(tokens, end):
        return Quantity(at, end + percent, {"pct": _share(numeral.value, basis_points=unit in _BASIS_POINTS)})
    if numeral.share:
        period = period_at(tokens, at, end, numeral.value)
        quarters = (
            {"days": days_of(round(4 * numeral.value), TIME_UNITS["quarter"])}
            if "quarter" in tokens[end - 1].word
            else {}
        )
        return period or Quantity(at, end, {"share": numeral.value, **quarters})
    if unit in _SATS and not numeral.unclear:
        return Quantity(at, end + 1, {"num": numeral.value / _SATS_PER_COIN, "coin": "BTC"}, frozenset({"sats"}))
    if unit in _FOREIGN:
        return _foreign(at, end + 1, numeral.value, unit)
    if suffix := _dollars_behind(tokens, end):
        kind = "unclear" if numeral.unclear else "usd"
        return Quantity(at, end + suffix, {kind: numeral.value}, _flags(numeral))
    return Quantity(at, end, {"unclear": numeral.value}) if numeral.unclear else _counted(tokens, at, numeral)


def _counted(tokens: Sequence[Token], at: int, numeral: Numeral) -> Quantity:
    """Read a number that no unit of money follows: a period, a multiple such as ``10x``, or just a number."""
    end, value, unit = numeral.end, numeral.value, word_at(tokens, numeral.end)
    if not numeral.scaled:
        if period := period_at(tokens, at, end, value):
            return period
        if unit == "x" and _touch(tokens, end - 1):
            return Quantity(at, end, {"num": value}, frozenset({"other_unit"}))
        if unit in _OTHER_UNITS:
            return Quantity(at, end, {"unclear": value}, frozenset({"other_unit"}))
    months = value / 1_000_000 if numeral.month_suffix else 0.0
    in_months = {"months": int(months)} if months >= 1 and months == int(months) else {}
    return Quantity(at, end, {"num": value, **in_months}, _flags(numeral))


def _flags(numeral: Numeral) -> frozenset[str]:
    return frozenset({"scaled"}) if numeral.scaled else frozenset()


def _share(value: float, *, basis_points: bool) -> float:
    return round(value / BASIS_POINTS, 12) if basis_points else from_percent(value)


def _percent(tokens: Sequence[Token], at: int) -> int:
    """Return how many tokens of a percent sign or word stand behind a number; percentage points are something else."""
    word, following = word_at(tokens, at), word_at(tokens, at + 1)
    if word in _PERCENT or word in {"bps", "bp"}:
        return 0 if following in {"point", "points"} else 1
    return 2 if (word, following) in {("per", "cent"), ("basis", "points"), ("basis", "point")} else 0


def _dollars_behind(tokens: Sequence[Token], at: int) -> int:
    """Return how many tokens of a dollar sign or word stand behind a number; the sign of a next number is not one."""
    word, following = word_at(tokens, at), word_at(tokens, at + 1)
    if word in {"us", "usd"} and following in {"$", "dollar", "dollars"}:
        return 2
    opens = word == "$" and at + 1 < len(tokens) and tokens[at + 1].is_digits
    return int(word in _DOLLARS and not opens)


# ---------------------------------------------------------------- time


def article_period_at(tokens: Sequence[Token], at: int) -> Quantity | None:
    """Read ``a week``, ``a year and a half``; a unit without article stays a word, ``a quarter`` may be a share."""
    unit = word_at(tokens, at + 1)
    if word_at(tokens, at) not in {"a", "an", "one"} or unit not in TIME_UNITS or len(unit) < 2 or "quarter" in unit:
        return None
    half = [word_at(tokens, at + step) for step in (2, 3, 4)] == ["and", "a", "half"]
    if half:
        period = period_at(tokens, at, at + 1, 1.5)
        return period and replace(period, end=period.end + 3)
    period = period_at(tokens, at, at + 1, 1.0)
    return period and replace(period, readings={**period.readings, "unit": TIME_UNITS[unit]})


def period_at(tokens: Sequence[Token], start: int, end: int, count: float) -> Quantity | None:
    """Read a period of ``count`` units whose unit stands at ``end``, perhaps after ``a``, ``of`` or a hyphen."""
    here = end
    while word_at(tokens, here) in {"a", "of", "-"} and here < end + 2:
        here += 1
    word = word_at(tokens, here)
    if word not in TIME_UNITS or (len(word) == 1 and not (here == end and _touch(tokens, end - 1))):
        return None
    days = days_of(count, TIME_UNITS[word])
    return Quantity(start, here + 1, {"days": days}) if 1 <= days <= _MOST_DAYS else None


def days_of(count: float, unit: int) -> int:
    """Return days: a month is 30, a quarter 90, but 12 months, 4 quarters or a year 365, and half a year 180."""
    if unit in {30, 90} and (count * unit) % 360 == 0:
        return round(count * unit / 360 * 365)
    return 180 if unit == 365 and count == 0.5 else round(min(count * unit, _MOST_DAYS + 1))


# ---------------------------------------------------------------- ranges


def join_ranges(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Join ``3-5``, ``between 3 and 5``, ``three to six`` to one lexeme with the reading ``range``."""
    joined: list[Lexeme] = []
    at = 0
    while at < len(lexemes):
        found = _range_at(lexemes, at)
        joined.append(found[0] if found else lexemes[at])
        at = found[1] if found else at + 1
    return joined


def _range_at(lexemes: list[Lexeme], at: int) -> tuple[Lexeme, int] | None:
    opened = lexemes[at].word in {"between", "from"}
    if at + opened + 2 >= len(lexemes):
        return None
    low, sign, high = lexemes[at + opened : at + opened + 3]
    kind = next((kind for kind in ("num", "usd", "pct", "days") if kind in high.readings), "")
    same = "num" if "num" in low.readings else kind
    if not kind or same not in low.readings or "sats" in high.flags:
        return None
    if not _joins(low, sign, high, between=lexemes[at].word == "between"):
        return None
    bottom, top = low.get(same), high.get(kind)
    if kind == "num" and not bottom < top:
        return None
    flags = frozenset({kind}) | low.flags | high.flags
    return Lexeme("range", lexemes[at].start, high.end, {"range": (bottom, top)}, flags), at + opened + 3


def _joins(low: Lexeme, sign: Lexeme, high: Lexeme, *, between: bool) -> bool:
    """Tell whether the word between two numbers makes them a range; a dash with spaces may be a break."""
    if sign.word == "-":
        return sign.start == low.end or _is_spaced_range(low, high)
    successive = low.get("num") is not None and high.get("num") == low.get("num") + 1
    return sign.word == "to" or (sign.word == "and" and between) or (sign.word == "or" and successive)


def _is_spaced_range(low: Lexeme, high: Lexeme) -> bool:
    """``3 - 5 pools`` and ``4 - 6 %`` are ranges; between numbers with a unit of their own the dash is a break."""
    if "num" not in low.readings or "usd" in high.readings or "scaled" in low.flags | high.flags:
        return False
    return bool(low.get("num") < (_MOST_MONTHS if "days" in high.readings else _SPACED))
