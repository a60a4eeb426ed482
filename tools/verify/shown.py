"""Read a figure of the text and compare it with the value that it shows.

The text must be the value rounded half to even at its last shown digit. Everything is exact decimal arithmetic on the
number as the record writes it; no floating point takes part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from tools.verify.words import CARDINAL_VALUES

MAX_TEXT_LENGTH = 100

# Enough digits for every number that the reader of JSON lets through, so that no step here rounds unasked.
_EXACT = Context(prec=1000, rounding=ROUND_HALF_EVEN)

_SPACE = "[ \u00a0\u202f]?"
_SIGN = "(?P<sign>[-−+]?)"
_DIGITS = r"(?P<digits>(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|0|[1-9][0-9]*)(?:\.[0-9]+)?)"
_POWERS = {"k": 3, "m": 6, "bn": 9, "thousand": 3, "million": 6, "billion": 9}
_MULTIPLE = f"(?:{_SPACE}(?P<multiple>{'|'.join(_POWERS)}))?"

# What a figure of each unit may look like; the record's value times 10 to the second entry is what the text shows.
_FORMS: dict[str, tuple[re.Pattern[str], int]] = {
    unit: (re.compile(_SIGN + form), power)
    for unit, form, power in (
        ("percent", f"{_DIGITS}{_SPACE}(?:%|percent)", 2),
        ("bps", f"{_DIGITS}(?:{_SPACE}(?:bps?|basis points?))?", 0),
        ("percentage_points", f"{_DIGITS}(?:{_SPACE}(?:pp|percentage points?))?", 2),
        ("usd", rf"(?:US)?\$?{_DIGITS}{_MULTIPLE}(?:{_SPACE}(?:USD|dollars?))?", 0),
        ("eth", f"{_DIGITS}{_MULTIPLE}(?:{_SPACE}ETH)?", 0),
        ("btc", f"{_DIGITS}{_MULTIPLE}(?:{_SPACE}BTC)?", 0),
        ("ratio", f"{_DIGITS}(?:{_SPACE}[x×])?", 0),
        ("count", f"{_DIGITS}{_MULTIPLE}", 0),
        ("days", f"{_DIGITS}(?:{_SPACE}days?)?", 0),
    )
}
_WHOLE = ("count", "days")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A number as shown, in the unit of the record.

    ``value``, and ``step``, what one more at its last shown digit would add.
    """

    value: Decimal
    step: Decimal


def read_number(text: str, unit: str) -> Shown | None:
    """Read a number of the text; None when it is not written as the unit demands, or is a zero with a sign."""
    if len(text) > MAX_TEXT_LENGTH:
        return None
    if unit in _WHOLE:
        whole = _cardinal(text)
        if whole is not None:
            return Shown(Decimal(whole), Decimal(1))
    form, power = _FORMS[unit]
    match = form.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    shift = _POWERS.get(parts.get("multiple") or "", 0) - power
    digits = parts["digits"].replace(",", "")
    decimals = len(digits.partition(".")[2])
    value = Decimal(digits).scaleb(shift, _EXACT)
    if parts["sign"] and value == 0:
        return None
    return Shown(-value if parts["sign"] in ("-", "−") else value, Decimal(1).scaleb(shift - decimals))


def _cardinal(text: str) -> int | None:
    """Read ``four``, ``twenty`` or ``twenty-one``."""
    tens, hyphen, units = text.lower().partition("-")
    if not hyphen:
        return CARDINAL_VALUES.get(tens)
    ten, unit = CARDINAL_VALUES.get(tens, 0), CARDINAL_VALUES.get(units, 0)
    return ten + unit if ten >= 20 and 1 <= unit <= 9 else None


def fault(text: str, unit: str, value: Any) -> str | None:
    """Say what is wrong with a figure of the text that shows ``value`` (a ``Decimal`` or an int for numbers).

    None when nothing is.
    """
    if unit in ("name", "date"):
        return _fault_of_text(text, unit, value)
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return "shows a number, but the value is none"
    shown = read_number(text, unit)
    if shown is None:
        return f"is not how a figure in {unit} is written"
    exact = Decimal(value)
    if unit in _WHOLE and exact != exact.to_integral_value(context=_EXACT):
        return "shows a whole number, but the value is none"
    if exact.quantize(shown.step, context=_EXACT) != shown.value:
        return f"shows {shown.value:f}, but the value is {exact}"
    return None


def _fault_of_text(text: str, unit: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"shows a {unit}, but the value is no text"
    if unit == "name":
        return None if text == value else "is not the name"
    if not _DAY.fullmatch(text):
        return "is not a date like 2025-02-28"
    if not value.startswith(text) or value[len(text) : len(text) + 1].isdigit():
        return "is not the date"
    return None
