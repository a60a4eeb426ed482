"""How the year may end: the distribution of the all-in result with its risk measures marked.

Counts are on a log axis: nearly all paths end near the carry, and on a linear one the tail, which the picture is about,
would not be seen. A strip above shows to scale how many paths gain and how many lose.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from tools.flowchart import typeface
from tools.flowchart.elements import FAINT, INK, PAPER, SOFT, rect, text
from tools.flowchart.wording import percent, phrase
from tools.pictures.scale import Scale, tick_label, ticks
from tools.pictures.sheet import (
    ACCENT,
    BODY,
    GAIN,
    GRID,
    HALO,
    LOSS,
    MARGIN,
    RIGHT,
    SMALL,
    TAIL,
    Page,
    Plain,
    Subject,
    centred,
    ending,
    paragraph,
    rule,
)
from tools.units import safe_label

_LEFT = 96.0
_ROW = 20.0
_MARKS_TOP, _PLOT_TOP, _PLOT_BOTTOM = 96.0, 184.0, 454.0
_FLOOR = 0.5  # a log axis has no zero: a bar of one path is as tall as from here to 1
_LEAST_SPAN = 0.01
_MARGIN_SHARE = 0.012  # of the span, left and right of it
_LEAST_WIDTH = 10.0  # of all bars together
_LOSS_END = "loss over one year, share of the money →"
_COSTS = ("gas_cost", "exit_cost", "impermanent_loss")


class Mark(NamedTuple):
    """A measure on the axis: its name, its value as a loss, its line, and what it says."""

    name: str
    loss: float
    width: float
    pattern: str
    meaning: str
    limit: float | None


def losses(subject: Subject) -> Page:
    """Draw the histogram of the chosen candidate with mean, VaR, CVaR and EVaR; losses lie to the right."""
    run, marks = subject.all_in, _marks(subject)
    scale = _scale(run, marks)
    notes, bottom = _notes(run, _PLOT_BOTTOM + 66.0 + len(marks) * 22.0)
    body = [
        *_strip(run),
        *_frame(run, scale, marks),
        *_bars(run, scale),
        *_axis(scale),
        *_lines(marks, scale),
        *_key(marks, _PLOT_BOTTOM + 76.0),
        *notes,
    ]
    finding = _finding(subject, run)
    subtitle = "All-in result over one year: carry, events, gas and the cost of leaving, as a share of the money"
    described = "; ".join(f"{mark.name}: {outcome(mark.loss)}, {mark.meaning}" for mark in marks)
    description = f"Histogram on a log axis, losses to the right of zero. {described}. {_chance(run)}."
    return Page(finding, subtitle, description, f"Source: {subject.simulated}.", body, bottom)


def outcome(loss: float) -> str:
    """Write a result in words: ``loss 3.72%``, ``gain 2.14%``."""
    return f"loss {percent(loss)}" if loss >= 0.0 else f"gain {percent(-loss)}"


def _finding(subject: Subject, run: Plain) -> str:
    var, cvar = run["var_95"], run["cvar_95"]
    most = f"you lose no more than {percent(var)}" if var >= 0.0 else f"you gain at least {percent(-var)}"
    worst = f"a loss of {percent(cvar)}" if cvar >= 0.0 else f"a gain of {percent(-cvar)}"
    return f"In 95 of 100 {subject.spans} {most}; the worst 5 end on average with {worst}"


def _marks(subject: Subject) -> list[Mark]:
    run = subject.all_in
    var = ("VaR 95", run["var_95"], 2.4, "", "95 of 100 paths end no worse", subject.limit("var_95"))
    cvar = ("CVaR 95", run["cvar_95"], 2.0, "7 3", "mean of the worst 5 in 100 paths", subject.limit("cvar_95"))
    evar = ("EVaR 95", run["evar_95"], 2.0, "2 3", "entropic bound above both: weighs the far tail most", None)
    mean = Mark(
        "Mean", 0.0 - run["mean_return"], 1.4, "", "average of all paths, the carry as in the recorded history", None
    )
    return sorted([mean, Mark(*var), Mark(*cvar), Mark(*evar)], key=lambda mark: mark.loss)


def _scale(run: Plain, marks: list[Mark]) -> Scale:
    edges = run["histogram"]["edges"]
    values = [edges[0], edges[-1], 0.0, *(mark.loss for mark in marks)]
    low, high = min(values), max(values)
    pad = max((high - low) * _MARGIN_SHARE, (_LEAST_SPAN - (high - low)) / 2.0)
    return Scale(low - pad, high + pad, _LEFT, RIGHT)


def _chance(run: Plain) -> str:
    return f"{percent(run['loss_probability'])} of {run['paths']:,} paths end with a loss"


def _strip(run: Plain) -> list[str]:
    """Draw, to scale, how many paths end with a loss."""
    chance, width = run["loss_probability"], RIGHT - _LEFT
    losing = max(1.5, width * chance) if chance > 0.0 else 0.0
    return [
        text(f"{percent(1.0 - chance)} of the paths end without a loss", _LEFT, 16, SMALL, SOFT),
        ending(f"{percent(chance)} end with a loss", RIGHT, 16, SMALL, LOSS, bold=True),
        rect(_LEFT, 23, width - losing, 14, 0, f'fill="{GAIN}"'),
        *([rect(RIGHT - losing, 23, losing, 14, 0, f'fill="{LOSS}"')] if losing else []),
        ending("to scale", _LEFT - 10, 34.5, SMALL, SOFT),
    ]


def _powers(run: Plain) -> list[int]:
    top = math.ceil(math.log10(max(run["histogram"]["counts"])) - 1e-9)
    return [10**i for i in range(max(1, top) + 1)]


def _height(run: Plain) -> Scale:
    return Scale(math.log10(_FLOOR), math.log10(_powers(run)[-1]), _PLOT_BOTTOM, _PLOT_TOP)


def _frame(run: Plain, scale: Scale, marks: list[Mark]) -> list[str]:
    """Draw what lies behind the bars: the worst 5 in 100, the lines of equal counts, the name of the axis."""
    height = _height(run)
    (var,) = (mark for mark in marks if mark.name == "VaR 95")
    edges = run["histogram"]["edges"]
    x, end = scale(var.loss), scale(edges[-1])
    points = percent(edges[1] - edges[0], 6, trim=True).removesuffix("%")
    unit = "point" if points == "1" else "points"
    parts = [
        text(f"Paths per bar of {points} percentage {unit}; log axis: each line is ten times the one below",
             MARGIN, _MARKS_TOP - 26, SMALL, SOFT),
rect(x, _PLOT_TOP, max(0.0, end - x), _PLOT_BOTTOM - _PLOT_TOP, 0, f'fill="{TAIL}"'),
    ]  # fmt: skip
    for power in _powers(run):
        y = height(math.log10(power))
        parts += [rule(_LEFT, y, RIGHT, y, GRID, 1.0), ending(f"{power:,}", _LEFT - 10, y + 4.3, SMALL, SOFT)]
    if end - x > 190.0:
        parts.append(ending("the worst 5 in 100 paths", end - 8, _PLOT_TOP + 18, SMALL, LOSS))
    return parts


def _bars(run: Plain, scale: Scale) -> list[str]:
    """Draw a bar per bin; bins too narrow to be seen all together are drawn wider than they are."""
    height, parts, edges = _height(run), [], run["histogram"]["edges"]
    least = _LEAST_WIDTH if scale(edges[-1]) - scale(edges[0]) < _LEAST_WIDTH else 1.0
    for (low, high), count in zip(pairwise(edges), run["histogram"]["counts"], strict=True):
        if count:
            left, right = scale(low), scale(high)
            width = max(least, right - left - (1.0 if right - left > 4.0 else 0.0))
            x = left if width <= right - left else (left + right - width) / 2.0
            y = height(math.log10(count))
            colour = LOSS if low + high > 0.0 else GAIN
            parts.append(rect(x, y, width, _PLOT_BOTTOM - y, 0, f'fill="{colour}"'))
    return parts


def _axis(scale: Scale) -> list[str]:
    marked = ticks(scale.low, scale.high, 11)
    step = marked[1] - marked[0]
    parts = [rule(_LEFT, _PLOT_BOTTOM, RIGHT, _PLOT_BOTTOM, INK, 1.2)]
    for value in marked:
        x = scale(value)
        label = f"+{tick_label(value, step)}" if value < 0.0 else tick_label(value, step)
        parts += [rule(x, _PLOT_BOTTOM, x, _PLOT_BOTTOM + 5, INK, 1.2)]
        parts += [centred(label, x, _PLOT_BOTTOM + 20, SMALL, INK, bold=value == 0.0)]
    zero = scale(0.0)
    x = min(zero + 8.0, RIGHT - typeface.width(_LOSS_END, BODY, bold=True))
    parts += [
        rule(zero, _PLOT_TOP, zero, _PLOT_BOTTOM + 5, INK, 1.2),
        text(_LOSS_END, x, _PLOT_BOTTOM + 40, BODY, LOSS, bold=True),
    ]
    if scale.low < 0.0:
        parts.append(ending("← gain", x - 16, _PLOT_BOTTOM + 40, BODY, ACCENT, bold=True))
    return parts


def _lines(marks: list[Mark], scale: Scale) -> list[str]:
    """Draw each measure as a line down to the axis, its label at the top of it, each label in a row of its own."""
    parts = []
    for i, mark in enumerate(marks):
        x, y = scale(mark.loss), _MARKS_TOP + i * _ROW
        colour = FAINT if mark.name == "Mean" else INK
        parts.append(rule(x, _PLOT_TOP, x, _PLOT_BOTTOM, PAPER, mark.width + 2.4))
        parts.append(rule(x, y - 11, x, _PLOT_BOTTOM, colour, mark.width, mark.pattern))
    for i, mark in enumerate(marks):
        x, y, label = scale(mark.loss), _MARKS_TOP + i * _ROW, f"{mark.name}: {outcome(mark.loss)}"
        fits = x + 7 + typeface.width(label, BODY, bold=True) <= RIGHT
        place = x + 7 if fits else x - 7
        anchor = "" if fits else ' text-anchor="end"'
        parts.append(text(label, place, y, BODY, INK, bold=True, extra=HALO + anchor))
    return parts


def _key(marks: list[Mark], y: float) -> list[str]:
    """Say what each measure means, and what limit it is held against."""
    parts = []
    for i, mark in enumerate(marks):
        row = y + i * 22.0
        limit = f" · limit {percent(mark.limit, trim=True)}" if mark.limit is not None else ""
        colour = FAINT if mark.name == "Mean" else INK
        parts += [
            rule(_LEFT, row - 4, _LEFT + 34, row - 4, colour, mark.width, mark.pattern),
            text(mark.name, _LEFT + 46, row, BODY, INK, bold=True),
            ending(outcome(mark.loss), _LEFT + 224, row, BODY, INK),
            text(f"{mark.meaning}{limit}", _LEFT + 244, row, BODY, SOFT),
        ]
    return parts


def _notes(run: Plain, y: float) -> tuple[list[str], float]:
    """Name what the paths leave out."""
    left_out = [f"{phrase(name)} ({safe_label(run['missing'][name], 80)})" for name in _COSTS if name in run["missing"]]
    notes = [f"Could not be reckoned and is not in the figures: {'; '.join(left_out)}."] if left_out else []
    if run["impermanent_loss"]:
        notes.append(f"Impermanent loss, {percent(run['impermanent_loss'])} a year, is not part of the paths.")
    return paragraph(" ".join(notes), y + 12.0, most=3) if notes else ([], y)
