"""What the choice depends on, looked through: pools, protocols and tokens, and whoever stands behind them.

The number in a box and the bar under it are the contagion: the share of the money that is lost if it fails for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tools.flowchart import typeface
from tools.flowchart.elements import INK, PAPER, SOFT, TRACK, clean, dashed, px, rect, text
from tools.flowchart.wording import percent
from tools.pictures.layers import END, MIDDLE, POOLS, Leg, Node, Placed, place
from tools.pictures.sheet import (
    ACCENT,
    BODY,
    LOSS,
    MARGIN,
    SMALL,
    WARNING,
    Page,
    Plain,
    Subject,
    ending,
    paragraph,
    rule,
)
from tools.units import safe_label

_MOST = {POOLS: 12, MIDDLE: 14, END: 16}
_WIDTHS = (250.0, 244.0, 244.0)
_LANES = tuple((MARGIN + x, MARGIN + x + width) for x, width in zip((0.0, 336.0, 684.0), _WIDTHS, strict=True))
_HEADS = (
    ("Pools", "share of the money"),
    ("Tokens, protocols", "lost if it fails"),
    ("Behind them", "lost if it fails"),
)
_TOP = 52.0
_INSET = 12.0
_KIND = 11.5
_LINE = "#8b96a3"
_SINGLE = "largest single point of failure"


class Box(NamedTuple):
    """What a box shows: name lines, the line under them, the share of the money, and what it stands out as."""

    node: Node
    lines: Sequence[str]
    below: str
    share: float
    single: bool
    unknown: bool
    whole_name: str


def exposure(subject: Subject) -> Page:
    """Draw the exposure graph of the chosen candidate, its largest single point of failure highlighted."""
    found = subject.candidate["risk"]["exposure"]
    boxes, folded = _boxes(subject.candidate["pools"], found)
    shown = {box.node.id for box in boxes}
    placed = place([box.node for box in boxes], _links(found["links"], shown, found["single_point"]))
    notes, bottom = _notes(folded, _TOP + placed.height + 34.0)
    at = {box.node.id: box for box in boxes}
    body = [
        *_heads(),
        *_legs(placed, at),
        *(line for box in boxes for line in _box(box, placed.middles[box.node.id])),
        *_key(_TOP + placed.height + 34.0),
        *notes,
    ]
    single = next(node for node in found["nodes"] if node["id"] == found["single_point"])
    subtitle = (
        "What the money depends on, and what is lost if it fails for good; "
        "chains and oracles are shown, but not named as single point"
    )
    return Page(_finding(single, found), subtitle, _description(boxes), _SOURCE, body, bottom)


_SOURCE = "Source: the exposure graph of the record, looked through to the end; computed, not simulated."


def _finding(single: Plain, found: Plain) -> str:
    name, lost = _name(single), percent(single["lost_if_fails"], trim=True)
    subject = f"the {name}" if single["kind"] == "unknown" else name
    names = f"{len(found['nodes'])} names that the pools depend on"
    return (
        f"If {subject} fails, {lost} of the money is lost{_likewise(single, found)}; the {names} make {_risks(found)}"
    )


def _likewise(single: Plain, found: Plain) -> str:
    """Name what takes as much and does not go down with the single point anyway; the graph can name only one."""
    falling = _falling(found["links"], single["id"])
    equal = [
        node
        for node in sorted(found["nodes"], key=lambda node: str(node["id"]))
        if node["lost_if_fails"] >= single["lost_if_fails"]
        and node["id"] not in falling
        and not {"chain", "oracle"} & {*node["id"].split(":", 1)}
    ]
    if not equal:
        return ""
    return f", and likewise with {_name(equal[0])}" if len(equal) == 1 else f", and likewise with {len(equal)} others"


def _risks(found: Plain) -> str:
    number = f"{found['effective_risks']:.1f}".removesuffix(".0")
    return f"about {number} independent {'risk' if number == '1' else 'risks'}"


def _name(node: Plain) -> str:
    return safe_label(node["name"], 60)


def _boxes(pools: Sequence[Plain], found: Plain) -> tuple[list[Box], list[str]]:
    """Return what is drawn, and a sentence on each column that holds more than fits."""
    boxes = [_pool_box(pool, i) for i, pool in enumerate(sorted(pools, key=lambda p: (-p["weight"], p["pool_id"])))]
    nodes = sorted(found["nodes"], key=lambda n: (n["id"] != found["single_point"], -n["lost_if_fails"], n["id"]))
    boxes += [_node_box(node, i, found["single_point"]) for i, node in enumerate(nodes)]
    kept, folded = [], []
    for column, most in _MOST.items():
        own = [box for box in boxes if box.node.column == column]
        kept += own[:most]
        if own[most:]:
            largest = percent(max(box.share for box in own[most:]), trim=True)
            folded.append(f"{_HEADS[column][0]}: {len(own) - most} more, each at most {largest}")
    return kept, folded


def _column(kind: str) -> int:
    return MIDDLE if kind in {"protocol", "token"} else END


def _pool_box(pool: Plain, rank: int) -> Box:
    name = safe_label(pool["name"], 80)
    return _sized(f"pool:{pool['pool_id']}", POOLS, rank, name, "", pool["weight"], single=False, unknown=False)


def _node_box(node: Plain, rank: int, single_point: str) -> Box:
    look, lost = node["look_through"], node["lost_if_fails"]
    below = "not known" if node["kind"] == "unknown" else safe_label(node["kind"])
    if percent(look) != percent(lost):  # a pool of two tokens is left with the one that fails
        below = f"{below} · claim on it {percent(look, trim=True)}"
    single, unknown = node["id"] == single_point, node["kind"] == "unknown"
    return _sized(node["id"], _column(node["kind"]), rank, _name(node), below, lost, single=single, unknown=unknown)


def _sized(
    node_id: str, column: int, rank: int, name: str, below: str, share: float, *, single: bool, unknown: bool
) -> Box:
    room = _WIDTHS[column] - 2 * _INSET - 64.0 - (16.0 if unknown else 0.0)
    lines = typeface.wrap(name, room, BODY, bold=single, most=3)
    height = 25.0 + (len(lines) - 1) * 16.0 + (15.0 if below else 0.0) + (15.0 if single else 0.0) + 9.0
    return Box(Node(node_id, column, height, rank), lines, below, share, single, unknown, name)


def _links(links: Sequence[Plain], shown: set[str], single: str) -> list[Leg]:
    """Return the links between nodes that are drawn; heavy are those through which the single point takes effect."""
    falling = _falling(links, single)
    return [
        Leg(link["source"], link["target"], link["share"], link["target"] in falling)
        for link in links
        if link["source"] in shown and link["target"] in shown and link["source"] != link["target"]
    ]


def _falling(links: Sequence[Plain], single: str) -> set[str]:
    """Return what goes down with a node, itself among them."""
    above: dict[str, list[str]] = {}
    for link in links:
        above.setdefault(link["target"], []).append(link["source"])
    falling, open_ends = {single}, [single]
    while open_ends:
        fresh = [source for source in above.get(open_ends.pop(), []) if source not in falling]
        falling.update(fresh)
        open_ends += fresh
    return falling


def _heads() -> list[str]:
    parts = []
    for (left, right), (name, number) in zip(_LANES, _HEADS, strict=True):
        parts.append(text(name, left, 24, BODY + 1, ACCENT, bold=True))
        parts.append(ending(number, right, 24, SMALL, SOFT))
        parts.append(rule(left, 33, right, 33, ACCENT, 1.4))
    return parts


def _legs(placed: Placed, boxes: Mapping[str, Box]) -> list[str]:
    """Draw the links, the heavy ones last so that they lie on top."""
    parts = [(leg.heavy, _leg(leg, placed, boxes)) for leg in placed.legs]
    left, right = _LANES[MIDDLE]
    for way in placed.waypoints:
        y = _TOP + placed.middles[way.source]
        parts.append((way.heavy, f'<path d="M{px(left)} {px(y)}L{px(right)} {px(y)}" {_stroke(way)}/>'))
    return [path for _, path in sorted(parts)]


def _stroke(leg: Leg) -> str:
    colour, width = (LOSS, "2.2") if leg.heavy else (_LINE, "1.2")
    pattern = "" if leg.share >= 1.0 else "5 4"
    return f'fill="none" stroke="{colour}" stroke-width="{width}"{dashed(pattern)}'


def _leg(leg: Leg, placed: Placed, boxes: Mapping[str, Box]) -> str:
    source, target = _lane(leg.source, boxes), _lane(leg.target, boxes)
    y0, y1 = (_TOP + placed.middles[end] for end in (leg.source, leg.target))
    if source == target:
        return _arc(leg, _LANES[source][1], y0, y1)
    x0, x1 = (_LANES[source][1], _LANES[target][0]) if source < target else (_LANES[source][0], _LANES[target][1])
    middle = (x0 + x1) / 2
    curve = f"M{px(x0)} {px(y0)}C{px(middle)} {px(y0)} {px(middle)} {px(y1)} {px(x1)} {px(y1)}"
    tip = _tip(leg, x1, y1, -1.0) if source > target else ""
    return f'<path d="{curve}" {_stroke(leg)}/>{tip}'


def _arc(leg: Leg, x: float, y0: float, y1: float) -> str:
    """Draw a link within a column as an arc beside it, with a tip that says which way it goes."""
    reach = x + min(28.0, 12.0 + abs(y1 - y0) * 0.09)
    y0, y1 = (y0 + 6.0, y1 - 6.0) if y1 > y0 else (y0 - 6.0, y1 + 6.0)
    curve = f"M{px(x)} {px(y0)}C{px(reach)} {px(y0)} {px(reach)} {px(y1)} {px(x + 6)} {px(y1)}"
    return f'<path d="{curve}" {_stroke(leg)}/>{_tip(leg, x, y1, -1.0)}'


def _tip(leg: Leg, x: float, y: float, way: float) -> str:
    colour = LOSS if leg.heavy else _LINE
    back = px(x - way * 8)
    return f'<path d="M{px(x)} {px(y)}L{back} {px(y - 4)}L{back} {px(y + 4)}Z" fill="{colour}"/>'


def _lane(node: str, boxes: Mapping[str, Box]) -> int:
    return boxes[node].node.column if node in boxes else MIDDLE


def _look(box: Box) -> str:
    """Return border and fill: unknown is dashed, the single point heavy, whatever the colour."""
    border, fill, width = (LOSS, "#fff5f3", 3.0) if box.single else (_LINE, PAPER, 1.2)
    if box.unknown:
        border, fill = (border if box.single else WARNING), "#fffaeb"
    pattern = "4 3" if box.unknown else ""
    return f'fill="{fill}" stroke="{border}" stroke-width="{px(width)}"{dashed(pattern)}'


def _box(box: Box, middle: float) -> list[str]:
    left, right = _LANES[box.node.column]
    top, height = _TOP + middle - box.node.height / 2, box.node.height
    x, y = left + _INSET, top + 18.0
    parts = [
        f"<g><title>{clean(f'{box.whole_name}: {percent(box.share)}')}</title>",
        rect(left, top, right - left, height, 5, _look(box)),
    ]
    if box.unknown:
        parts.append(text("?", x, y, BODY, WARNING, bold=True))
        x += 16.0
    parts += [text(line, x, y + i * 16, BODY, INK, bold=box.single) for i, line in enumerate(box.lines)]
    parts.append(ending(percent(box.share, trim=True), right - _INSET, y, BODY, INK, bold=True))
    y += (len(box.lines) - 1) * 16 + 15
    if box.below:
        parts.append(text(box.below, x, y, _KIND, SOFT))
        y += 15
    if box.single:
        parts.append(text(f"▲ {_SINGLE}", left + _INSET, y, _KIND, LOSS, bold=True))
    return [*parts, *_bar(box, left + _INSET, right - _INSET, top + height - 10), "</g>"]


def _bar(box: Box, left: float, right: float, y: float) -> list[str]:
    full = right - left
    filled = max(1.5, full * box.share) if box.share > 0.0 else 0.0
    colour = ACCENT if box.node.column == POOLS else LOSS
    return [
        rect(left, y, full, 4, 0, f'fill="{TRACK}"'),
        *([rect(left, y, filled, 4, 0, f'fill="{colour}"')] if filled else []),
    ]


def _key(y: float) -> list[str]:
    """Explain lines and borders."""
    heavy, plain = Leg("", "", 1.0, True), Leg("", "", 1.0, False)
    entries = (
        (f'<path d="M{{}} {px(y - 4)}l30 0" {_stroke(plain)}/>', "depends on"),
        (f'<path d="M{{}} {px(y - 4)}l30 0" {_stroke(plain._replace(share=0.5))}/>', "with a part of it"),
        (f'<path d="M{{}} {px(y - 4)}l30 0" {_stroke(heavy)}/>', "falls with the single point"),
        (f'<path d="M{{}} {px(y - 11)}l30 0l0 13l-30 0Z" fill="#fffaeb" stroke="{WARNING}" stroke-width="1.2"'
         f'{dashed("4 3")}/>', "? not known: counted, never left out"),
    )  # fmt: skip
    x, parts = MARGIN, []
    for sign, words in entries:
        parts += [sign.format(px(x)), text(words, x + 38, y, SMALL, SOFT)]
        x += 38 + typeface.width(words, SMALL) + 26
    return parts


def _notes(folded: Sequence[str], y: float) -> tuple[list[str], float]:
    if not folded:
        return [], y + 6.0
    return paragraph(f"Not drawn: {'; '.join(folded)}.", y + 24.0)


def _description(boxes: Sequence[Box]) -> str:
    told = "; ".join(f"{box.whole_name} {percent(box.share)}" for box in boxes if box.node.column != POOLS)
    held = "; ".join(f"{box.whole_name} {percent(box.share)}" for box in boxes if box.node.column == POOLS)
    return f"Graph in three columns from pools to what stands behind them. Held: {held}. Lost if it fails: {told}."
