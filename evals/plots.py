"""Figures with intervals as inline SVG: no script, no font, no request; every text escaped."""

from __future__ import annotations

import math
from collections.abc import Iterator

from markupsafe import Markup, escape

from evals.suite import Bar, Plot

WIDTH, LABELS, ROW, TOP = 760, 220, 24, 34
ROOM = 24  # to the right of the axis
DECADES = 30.0  # an axis that spans more than this factor is logarithmic


def svg(plot: Plot) -> Markup:
    """Draw a plot: a dot for each figure, a line for its interval.

    The axis is logarithmic where the figures ask for it. Raises ValueError for a figure that is not finite.
    """
    figures = [figure for bar in plot.bars for figure in (bar.value, bar.low, bar.high)]
    if not all(map(math.isfinite, figures)):
        raise ValueError(f"{plot.title}: a figure to draw is not finite")
    axis = _Axis(figures)
    height = TOP + ROW * len(plot.bars) + 30
    body = Markup("").join([*_ticks(axis, height), *(_row(bar, axis, place) for place, bar in enumerate(plot.bars))])
    title = Markup('<text x="0" y="16" class="title">{}: {}</text>').format(plot.title, plot.unit)
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        WIDTH, height, plot.title, title, body
    )


class _Axis:
    """Maps figures to places: linear from 0, or logarithmic above a least value, under which all lie at the left."""

    def __init__(self, figures: list[float]) -> None:
        largest = max([1e-9, *figures])
        positive = [figure for figure in figures if figure > largest / 1e4]
        self.least = min(positive, default=largest)
        self.logarithmic = min(figures, default=0.0) >= 0.0 and largest / self.least > DECADES
        self.low = min([0.0, *figures])
        self.high = largest

    def place(self, figure: float) -> float:
        if self.logarithmic:
            span = math.log(self.high / self.least)
            share = math.log(max(figure, self.least) / self.least) / span
        else:
            share = (figure - self.low) / (self.high - self.low)
        return LABELS + share * (WIDTH - LABELS - ROOM)

    def ticks(self) -> Iterator[float]:
        if self.logarithmic:
            first = math.ceil(math.log10(self.least) - 1e-9)
            yield from (10.0**power for power in range(first, math.floor(math.log10(self.high) + 1e-9) + 1))
        else:
            yield from (self.low + (self.high - self.low) * share / 4.0 for share in range(5))


def _ticks(axis: _Axis, height: int) -> Iterator[Markup]:
    for tick in axis.ticks():
        x = f"{axis.place(tick):.1f}"
        yield Markup('<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, TOP - 8, height - 22)
        yield Markup('<text class="tick" x="{}" y="{}">{}</text>').format(x, height - 6, f"{tick:.3g}")


def _row(bar: Bar, axis: _Axis, place: int) -> Markup:
    y = TOP + ROW * place + ROW // 2
    low, at, high = (f"{axis.place(figure):.1f}" for figure in (bar.low, bar.value, bar.high))
    own = Markup(' class="own"') if bar.label.startswith("our_") else Markup("")
    return Markup(
        '<g{own}><text class="label" x="{x}" y="{text}">{label}</text>'
        '<line class="interval" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>'
        '<circle cx="{at}" cy="{y}" r="4"><title>{value}</title></circle></g>'
    ).format(
        own=own, x=LABELS - 10, text=y + 4, label=escape(bar.label), low=low, high=high, y=y, at=at,
        value=f"{bar.value:.4g} ({bar.low:.4g} to {bar.high:.4g})",
    )  # fmt: skip
