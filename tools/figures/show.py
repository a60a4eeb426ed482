"""How a value is shown in each unit: rounded half to even at the last digit shown, never "about"."""

from __future__ import annotations

import datetime as dt
import math
from decimal import ROUND_HALF_EVEN, Context, Decimal

from tools.records import Unit

_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)  # room for every float: nothing is rounded but the last digit
_SCALES = ((Decimal(10) ** 9, "bn"), (Decimal(10) ** 6, "m"))


def show(value: float | str, unit: Unit, digits: int = 0, *, short: bool = False) -> str:
    """Write a value in its unit.

    Parameters
    ----------
    value
        A fraction for ``percent`` and ``percentage_points``, basis points for ``bps``, the thing itself otherwise.
    digits
        Decimals; amounts in ETH and BTC lose trailing zeros.
    short
        Money of a million and more in m and bn.

    Raises
    ------
    ValueError
        When the value does not fit the unit: text, NaN or infinity for a number, a fractional count, no date.
    """
    if unit in {"name", "date"}:
        if not isinstance(value, str):
            raise ValueError(f"a {unit} is text, not {value!r}")
        return value if unit == "name" else dt.date.fromisoformat(value[:10]).isoformat()
    if isinstance(value, str | bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number, yet it is to be shown as {unit}")
    number = Decimal(str(value))
    if unit in {"count", "days"}:
        if number != number.to_integral_value():
            raise ValueError(f"{value!r} is no whole number of {unit}")
        return _plain(number, 0)
    if unit in {"percent", "percentage_points"}:
        return _plain(number.scaleb(2, _EXACT), digits) + ("%" if unit == "percent" else "")
    if unit == "usd":
        return _dollars(number, digits, short)
    text = _plain(number, digits)
    return text.rstrip("0").rstrip(".") if unit in {"eth", "btc"} and "." in text else text


def _plain(number: Decimal, digits: int) -> str:
    rounded = number.quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    return f"{abs(rounded) if rounded == 0 else rounded:,f}"


def _dollars(number: Decimal, digits: int, short: bool) -> str:
    sign = "-" if number < 0 else ""
    if short:
        for scale, suffix in _SCALES:
            if abs(number) >= scale:
                text = _plain(_EXACT.divide(abs(number), scale), digits or 1)
                return f"{sign}${text}{suffix}"
    text = _plain(abs(number), digits)
    return f"{sign if text.strip('0.,') else ''}${text}"
