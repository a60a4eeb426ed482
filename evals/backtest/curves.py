"""Curves of a backtest as SVG: equity and drawdown, day by day, with the words of their lines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from evals.backtest.records import Backtest, StrategyResult
from evals.backtest.tables import first_day
from tools.flowchart import typeface
from tools.flowchart.elements import INK, PAPER, SOFT, dashed, px, rect, text
from tools.pictures.scale import Scale, step_of, tick_label, ticks
from tools.pictures.sheet import GRID, MARGIN, RIGHT, SMALL, WIDTH, ending, rule

SHOWN = (
    ("adviser.low", "#0b6e99", ""), ("adviser.medium", "#0b3d70", ""), ("adviser.high", "#6a3d9a", ""),
    ("equal.medium", "#8a8f98", ""), ("greedy.low", "#0b6e99", "6 4"), ("greedy.medium", "#0b3d70", "6 4"),
    ("greedy.high", "#6a3d9a", "6 4"), ("largest", "#b5483a", ""), ("risk_free", "#3f8f4f", "2 3"),
)  # fmt: skip
_LEFT, _TOP, _TALL, _LINE = 90.0, 70.0, 380.0, 19.0
_DATES = 6


class _Line(NamedTuple):
    name: str
    colour: str
    pattern: str
    values: list[float]


def equity(result: Backtest) -> str:
    """Draw what a dollar became, after costs, without the prices of tokens."""
    lines = _lines(result, lambda one: [value - 1.0 for value in one.curve_net])
    words = "Share of the money put in, net of costs and dilution; in the legend that of the last day"
    return _drawn(result, "What was gained, after costs", words, lines, lambda values: values[-1])


def drawdown(result: Backtest) -> str:
    """Draw how far each book lay below its highest value, with the recorded prices of tokens."""
    lines = _lines(result, lambda one: _below_peak(one.curve_priced))
    words = "Share of the highest value until then, with the recorded prices of tokens; in the legend the deepest"
    return _drawn(result, "How far below its peak each book lay", words, lines, min)


def _below_peak(values: Sequence[float]) -> list[float]:
    return [value / peak - 1.0 for value, peak in zip(values, accumulate(values, max), strict=True)]


def _lines(result: Backtest, values: Callable[[StrategyResult], list[float]]) -> list[_Line]:
    found = {one.strategy: one for one in result.strategies}
    return [_Line(name, colour, dash, values(found[name])) for name, colour, dash in SHOWN if name in found]


def _drawn(
    result: Backtest, title: str, subtitle: str, lines: Sequence[_Line], told: Callable[[list[float]], float]
) -> str:
    """Return a self-contained SVG document: axes, lines, and a legend below them."""
    low = min(0.0, *(min(line.values) for line in lines))
    high = max(0.0, *(max(line.values) for line in lines))
    room = max(high - low, 1e-4) * 0.04
    down = Scale(low - room, high + room, _TOP + _TALL, _TOP)
    across = Scale(0.0, float(len(lines[0].values) - 1), _LEFT, RIGHT)
    legend, bottom = _legend(lines, _TOP + _TALL + 50.0, told)
    made_up = "SYNTHETIC MARKET. " if result.synthetic else ""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {px(WIDTH)} {px(bottom)}" role="img" '
            f'width="{px(WIDTH)}" height="{px(bottom)}" font-family="{typeface.FAMILY}">',
            rect(0, 0, WIDTH, bottom, 0, f'fill="{PAPER}"'),
            text(title, MARGIN, 30, 20.0, INK, bold=True),
            text(f"{made_up}{subtitle}", MARGIN, 52, SMALL, SOFT),
            *_grid(down, low, high),
            *_dates(first_day(result), across),
            *(_polyline(line, across, down) for line in lines),
            *legend,
            "</svg>\n",
        ]
    )


def _grid(down: Scale, low: float, high: float) -> list[str]:
    step = step_of(max(high - low, 1e-4), 6)
    parts = []
    for value in ticks(down.low, down.high, 6):
        sign = "-" if value < -1e-12 else ""
        parts.append(rule(_LEFT, down(value), RIGHT, down(value), GRID, 1.0))
        parts.append(ending(f"{sign}{tick_label(value, step)}", _LEFT - 8, down(value) + 4, SMALL, INK))
    return parts


def _dates(first: dt.date, across: Scale) -> list[str]:
    days = int(across.high)
    marks = sorted({round(days * n / (_DATES - 1)) for n in range(_DATES)})
    return [
        text(
            (first + dt.timedelta(days=day)).isoformat(), across(day), _TOP + _TALL + 20, SMALL, SOFT,
            extra=f' text-anchor="{"end" if day == days else "start" if day == 0 else "middle"}"',
        )
        for day in marks
    ]  # fmt: skip


def _polyline(line: _Line, across: Scale, down: Scale) -> str:
    points = " ".join(f"{px(across(day))},{px(down(value))}" for day, value in enumerate(line.values))
    return f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="1.8"{dashed(line.pattern)}/>'


def _legend(lines: Sequence[_Line], top: float, told: Callable[[list[float]], float]) -> tuple[list[str], float]:
    """Return the legend in three columns, with one value of each line, and where it ends."""
    parts = []
    wide = (RIGHT - MARGIN) / 3.0
    for n, line in enumerate(lines):
        x, y = MARGIN + (n % 3) * wide, top + (n // 3) * _LINE
        parts.append(
            f'<path d="M{px(x)} {px(y - 4)}L{px(x + 30)} {px(y - 4)}" stroke="{line.colour}" stroke-width="2.4"'
            f"{dashed(line.pattern)}/>"
        )
        parts.append(text(f"{line.name}  {told(line.values):+.2%}", x + 38, y, SMALL, INK))
    return parts, top + ((len(lines) - 1) // 3) * _LINE + 24.0
