"""What dated events would have taken from the choice as it stands today: a bar each, the worst first."""

from __future__ import annotations

from tools.flowchart import typeface
from tools.flowchart.elements import INK, SOFT, rect, text
from tools.flowchart.wording import percent, sentence
from tools.pictures.scale import Scale, tick_label, ticks
from tools.pictures.sheet import (
    BODY,
    GRID,
    LOSS,
    MARGIN,
    SMALL,
    Page,
    Plain,
    Subject,
    centred,
    paragraph,
    rule,
)
from tools.units import safe_label

_NAMES, _LEFT, _END = 392.0, 452.0, 872.0  # where names end, where bars begin, where the axis ends
_TOP = 62.0
_LINE = 17.0
_MOST = 14
_LEAST_LOSS = 0.01


def stress(subject: Subject) -> Page | None:
    """Draw the loss of each event; None where no event was known on the day."""
    results = sorted(subject.candidate["risk"]["stress"], key=lambda r: (-r["loss"], r["date"], r["event"]))
    if not results:
        return None
    shown = results[:_MOST]
    scale = Scale(0.0, max(_LEAST_LOSS, results[0]["loss"]) * 1.04, _LEFT, _END)
    rows, bottom = _rows(shown)
    notes, end = paragraph(_note(results), bottom + 44.0)
    body = [*_key(), *_axis(scale, bottom)]
    for result, y in zip(shown, rows, strict=True):
        body += _row(result, y, scale)
    told = "; ".join(f"{_title(r)}, {safe_label(r['date'])}: {percent(r['loss'])}" for r in shown)
    description = f"Horizontal bars, the worst first. {told}."
    subtitle = "Past events replayed on what the choice holds today: loss at the worst, as a share of the money"
    source = "Source: replayed from dated losses, not simulated; the pages are listed in the record with each event."
    return Page(_finding(results), subtitle, description, source, [*body, *notes], end)


def _rows(results: list[Plain]) -> tuple[list[float], float]:
    """Return the y of each row and that under the last: an event that takes nothing needs less room."""
    places, y = [], _TOP
    for result in results:
        places.append(y)
        text_height = _LINE * (len(_names(result)) + 1)
        y += max(text_height, 38.0 if result["loss"] > 0.0 else 0.0) + 22.0
    return places, y


def _names(result: Plain) -> list[str]:
    return typeface.wrap(_title(result), _NAMES - MARGIN, BODY, bold=True)


def _finding(results: list[Plain]) -> str:
    worst, count = results[0], len(results)
    if worst["loss"] <= 0.0:
        none = f"None of {count} past events strikes" if count > 1 else "The one past event does not strike"
        return f"{none} what is held today"
    struck = sum(result["loss"] > 0.0 for result in results)
    strikes = f"; {struck} of {count} strike the choice" if count > 1 else ""
    lead = f"The worst of {count} past events" if count > 1 else "The one past event"
    return f"{lead} would have cost {percent(worst['loss'])} (“{_title(worst)}”){strikes}"


def _title(result: Plain) -> str:
    return sentence(result["title"], 90) or safe_label(result["event"])


def _key() -> list[str]:
    """Explain the two bars of an event."""
    return [
        rect(_LEFT, 4, 34, 13, 0, f'fill="{LOSS}"'),
        text("at the worst", _LEFT + 42, 15, SMALL, SOFT),
        rect(_LEFT + 150.5, 5.5, 33, 8, 0, f'fill="none" stroke="{LOSS}" stroke-width="1.4"'),
        text("still gone some days later", _LEFT + 192, 15, SMALL, SOFT),
    ]


def _axis(scale: Scale, bottom: float) -> list[str]:
    marked = ticks(0.0, scale.high, 6)
    step = marked[1] - marked[0]
    parts = [text("loss, share of the money", MARGIN, 15, SMALL, SOFT)]
    for value in marked:
        x = scale(value)
        parts.append(rule(x, _TOP - 10, x, bottom, GRID, 1.0))
        parts.append(centred(tick_label(value, step), x, bottom + 18, SMALL, INK, bold=value == 0.0))
    return [*parts, rule(_LEFT, _TOP - 10, _LEFT, bottom, INK, 1.4)]


def _row(result: Plain, y: float, scale: Scale) -> list[str]:
    """Draw one event: its name, its day and what it strikes, the loss at the worst, and what was still gone later."""
    below = [
        safe_label(result["date"]),
        f"through {_struck(result['hit'])}" if result["hit"] else "strikes nothing held",
    ]
    small = typeface.wrap(" · ".join(below), _NAMES - MARGIN, SMALL, most=1)[0]
    lines = _names(result)
    parts = [text(line, MARGIN, y + 12 + i * _LINE, BODY, INK, bold=True) for i, line in enumerate(lines)]
    parts.append(text(small, MARGIN, y + 12 + len(lines) * _LINE, SMALL, SOFT))
    loss, after = result["loss"], result["loss_after"]
    if loss <= 0.0:
        return [*parts, text("0%", _LEFT + 8, y + 13, BODY, INK, bold=True)]
    end = _LEFT + max(1.5, scale(loss) - _LEFT)
    parts.append(rect(_LEFT, y + 1, end - _LEFT, 19, 0, f'fill="{LOSS}"'))
    parts.append(text(percent(loss), end + 8, y + 16, BODY, INK, bold=True))
    return [*parts, *_after(after, result["days_after"], y + 26, scale)]


def _after(after: float | None, days: int, y: float, scale: Scale) -> list[str]:
    """Draw what was still gone so many days later; where that is not known, say so."""
    if after is None:
        return [text("later: not known", _LEFT + 8, y + 9, SMALL, SOFT)]
    width = max(1.5, scale(after) - _LEFT) if after > 0.0 else 0.0
    bar = rect(_LEFT + 0.7, y, width, 10, 0, f'fill="none" stroke="{LOSS}" stroke-width="1.4"')
    label = f"{percent(after)} after {days} days"
    return [*([bar] if width else []), text(label, _LEFT + width + 8, y + 9, SMALL, SOFT)]


def _struck(nodes: list[str]) -> str:
    """Name what an event strikes: ``token:USDC`` is ``USDC``."""
    return ", ".join(safe_label(node.partition(":")[2] or node, 24) for node in nodes)


def _note(results: list[Plain]) -> str:
    rest = results[_MOST:]
    folded = f"{len(rest)} more events, each at most {percent(rest[0]['loss'])}, are in the record. " if rest else ""
    return (
        f"{folded}An event that strikes nothing held is no proof of safety: the next one may strike elsewhere. "
        "Losses of one event are added over the pools: no diversification is assumed."
    )
