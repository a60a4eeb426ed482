"""Axes: where a value lies on the sheet, and round values to mark."""

from __future__ import annotations

import math
from typing import NamedTuple

from tools.flowchart.wording import percent


class Scale(NamedTuple):
    """A linear axis: values from ``low`` to ``high`` on the sheet from ``start`` to ``end`` px."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return where a value lies, in px."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def step_of(span: float, most: int) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that cuts a span into at most ``most`` parts."""
    least = span / most
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least * (1.0 - 1e-9))


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return the multiples of a round step between two values, zero among them where it lies between."""
    step = step_of(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def tick_label(value: float, step: float) -> str:
    """Write the size of a tick as percent with the digits that its step needs: 0.25 % apart, two."""
    places = max(0, -math.floor(math.log10(step * 100.0) + 1e-9))
    return percent(abs(value), places)
