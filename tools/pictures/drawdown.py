"""How deep events may take the money within the year, and how often so deep: an exceedance curve, hung from zero.

The record holds a few points of the curve, each an order statistic of the paths. Between two of them the depth is drawn
at the lesser: nothing is interpolated, and no more is claimed than was counted.
"""

from __future__ import annotations

import math

from tools.flowchart.elements import INK, PAPER, SOFT, px, text
from tools.flowchart.wording import percent
from tools.pictures.scale import Scale, tick_label, ticks
from tools.pictures.sheet import (
    ACCENT,
    BODY,
    GRID,
    HALO,
    LOSS,
    MARGIN,
    RIGHT,
    SMALL,
    TAIL,
    Page,
    Subject,
    centred,
    ending,
    paragraph,
    rule,
)

_LEFT, _TOP, _BOTTOM = 96.0, 66.0, 376.0
_LEAST_DEPTH = 0.01
_FAR = 2.0  # a limit deeper than so many times the deepest point is named, not drawn
_BEYOND = 0.25  # decades that the last step is drawn on
_FIVE_IN_100 = 0.05

Points = list[tuple[float, float]]


def drawdown(subject: Subject) -> Page | None:
    """Draw the loss by events that is exceeded with each probability; None where the record holds no such curve."""
    points = _points(subject)
    if not points:
        return None
    limit = subject.limit("max_drawdown")
    across, down, drawn = _scales(points, limit)
    notes, bottom = paragraph(_note(subject, None if drawn else limit), _BOTTOM + 30.0)
    body = [
        *_grid(down),
        *_staircase(points, across, down),
        *_axis(points, across),
        *(_limit(limit, down) if drawn and limit is not None else []),
        *_labels(points, across, down),
        *notes,
    ]
    subtitle = "Loss by events alone (exploits, depegs, failures) within a year, as a share of the money"
    told = "; ".join(f"1 year in {_years(p)}: more than {percent(loss)}" for p, loss in points)
    description = f"Staircase hanging from zero, deeper to the right where years are rarer. {told}."
    return Page(_finding(subject, points), subtitle, description, f"Source: {subject.simulated}.", body, bottom)


def _points(subject: Subject) -> Points:
    """Return (probability, loss), the frequent first; a probability of 0 or 1 has no place on the axis."""
    curve = subject.all_in.get("drawdown_curve") or []
    points = [(float(point["probability"]), float(point["loss"])) for point in curve]
    return sorted(((p, loss) for p, loss in points if 0.0 < p < 1.0), key=lambda point: (-point[0], point[1]))


def _finding(subject: Subject, points: Points) -> str:
    rarest, deepest = points[-1]
    if deepest <= 0.0:
        return f"In all but 1 of {_years(rarest)} {subject.spans} events take nothing"
    usual = subject.all_in["drawdown_95"]
    most = f"no more than {percent(usual)} of the money" if usual > 0.0 else "nothing"
    return f"In 95 of 100 {subject.spans} events take {most}; in 1 of {_years(rarest)} more than {percent(deepest)}"


def _years(probability: float) -> str:
    """Write one in how many: 20 for 0.05, 3.3 for 0.3."""
    return f"{round(1.0 / probability, 1):,.1f}".removesuffix(".0")


def _scales(points: Points, limit: float | None) -> tuple[Scale, Scale, bool]:
    """Return the axis across (decades of years), the axis down, and whether the limit lies on it."""
    deepest = max(_LEAST_DEPTH, points[-1][1])
    drawn = limit is not None and limit <= _FAR * deepest
    low = max(deepest, limit) if drawn and limit is not None else deepest
    decades = [-math.log10(p) for p, _ in points]
    across = Scale(decades[0], decades[-1] + _BEYOND, _LEFT + 14.0, RIGHT)
    return across, Scale(0.0, low * 1.12, _TOP, _BOTTOM), drawn


def _grid(down: Scale) -> list[str]:
    marked = ticks(0.0, down.high, 6)
    step = marked[1] - marked[0]
    parts = []
    for value in marked:
        y = down(value)
        parts.append(ending(tick_label(value, step), _LEFT - 10, y + 4.3, SMALL, INK, bold=value == 0.0))
        parts.append(rule(_LEFT, y, RIGHT, y, GRID, 1.0))
    return parts


def _staircase(points: Points, across: Scale, down: Scale) -> list[str]:
    """Fill the depth that is reached at least, from each point to the next rarer one."""
    places = [(across(-math.log10(p)), down(loss)) for p, loss in points]
    corners = "".join(
        f"L{px(x)} {px(y)}L{px(after)} {px(y)}"
        for (x, y), after in zip(places, [*(x for x, _ in places[1:]), RIGHT], strict=True)
    )
    return [
        f'<path d="M{px(places[0][0])} {px(_TOP)}{corners}L{px(RIGHT)} {px(_TOP)}Z" fill="{TAIL}"/>',
        f'<path d="M{px(places[0][0])} {px(_TOP)}{corners}" fill="none" stroke="{LOSS}" stroke-width="2"/>',
    ]


def _axis(points: Points, across: Scale) -> list[str]:
    parts = [
        text("So deep or deeper comes about once in … years (log axis)", MARGIN, 16, SMALL, SOFT),
        rule(_LEFT, _TOP, RIGHT, _TOP, INK, 1.4),
    ]
    for p, _ in points:
        x, usual = across(-math.log10(p)), p == _FIVE_IN_100
        parts.append(rule(x, _TOP - 6, x, _TOP, INK, 1.2))
        parts.append(centred(f"1 in {_years(p)}", x, _TOP - 13, SMALL, INK, bold=usual))
        if usual:
            parts.append(rule(x, _TOP, x, _BOTTOM, ACCENT, 1.6, "7 4"))
            parts.append(text("95 of 100 end above", x + 6, _BOTTOM - 4, SMALL, ACCENT, bold=True, extra=HALO))
    return parts


def _limit(limit: float, down: Scale) -> list[str]:
    y = down(limit)
    label = f"limit for 95 of 100: {percent(limit, trim=True)}"
    return [
        rule(_LEFT, y, RIGHT, y, INK, 1.6, "2 3"),
        text(label, _LEFT + 6, y - 6, SMALL, INK, bold=True, extra=HALO),
    ]


def _labels(points: Points, across: Scale, down: Scale) -> list[str]:
    parts = []
    for p, loss in points:
        x, y = across(-math.log10(p)), down(loss)
        parts.append(f'<circle cx="{px(x)}" cy="{px(y)}" r="4.5" fill="{LOSS}" stroke="{PAPER}" stroke-width="1.5"/>')
        parts.append(text(percent(loss), x + 6, y + 19, BODY, INK, bold=True, extra=HALO))
    return parts


def _note(subject: Subject, limit: float | None) -> str:
    carry = percent(subject.candidate["risk"]["max_drawdown"])
    beyond = f" The limit of {percent(limit, trim=True)} lies deeper than anything drawn." if limit is not None else ""
    return (
        "Each point is counted, none between them interpolated: a step is the least depth of the years it spans."
        f"{beyond} Apart from events, the recorded yield alone fell by at most {carry} within its window."
    )
