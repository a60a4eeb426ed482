"""The picture as SVG, in presentation attributes only: it shows under any content security policy."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from tools.flowchart import typeface
from tools.flowchart.elements import BAND, FAINT, INK, PAPER, SOFT, TRACK, clean, dashed, px, rect, text
from tools.flowchart.layout import (
    FOOTER,
    HEADER,
    LABEL_SIZE,
    LANE_HEAD,
    LANE_INSET,
    MARGIN,
    PADDING,
    Band,
    Box,
    Drawing,
    Route,
    TextLine,
    lane_of,
    place,
)
from tools.flowchart.wording import MARKS

if TYPE_CHECKING:
    import networkx as nx


class Look(NamedTuple):
    """How a verdict looks. Border width and dashes differ too: colour is never the only sign."""

    border: str
    fill: str
    text: str
    line: float
    dashes: str


LOOKS = {
    "neutral": Look("#8b96a3", PAPER, INK, 1.2, ""),
    "passed": Look("#1a7f37", "#f2fbf4", "#0f5a24", 1.8, ""),
    "failed": Look("#b42318", "#fff5f3", "#8f1a11", 1.8, "7 4"),
    "untested": Look("#9a6700", "#fffaeb", "#704b00", 1.8, "2 3"),
    "chosen": Look("#0b57a4", "#e9f2fd", "#083f78", 3.4, ""),
}
LINE_COLOURS = {"✓": LOOKS["passed"].text, "✗": LOOKS["failed"].text, "?": LOOKS["untested"].text}
EDGE_LOOKS = {
    "flow": (FAINT, 1.4, ""),
    "chosen": ("#0b57a4", 2.6, ""),
    "untested": ("#9a6700", 1.6, "2 4"),
    "back": ("#6b4fa0", 1.6, "6 4"),
}
MEANINGS = (
    ("passed", "passed"),
    ("failed", "failed or dropped"),
    ("untested", "could not be tested"),
    ("chosen", "chosen"),
)


def to_svg(graph: nx.DiGraph[str]) -> str:
    """Write the graph as a self-contained SVG document, byte for byte the same for the same graph.

    Every text is reduced to the characters of the shipped face and escaped here, whatever the graph holds.
    """
    drawing = place(graph)
    parts = [
        _opening(graph, drawing),
        *(_band(band, drawing) for band in drawing.bands),
        *_heading(graph, drawing),
        *(_edge(route) for route in sorted(drawing.routes, key=lambda route: route.attributes["style"] == "chosen")),
        *(_box(graph, box) for box in drawing.boxes),
        *(_edge_label(route) for route in drawing.routes if route.attributes["label"]),
        *_legend(graph, drawing),
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def _opening(graph: nx.DiGraph[str], drawing: Drawing) -> str:
    width, height = px(drawing.width), px(drawing.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'role="img" font-family="{escape(typeface.FAMILY)}">',
            f"<title>{clean(_title(graph))}</title>",
            f"<desc>{clean(_description(graph, drawing))}</desc>",
            rect(0, 0, drawing.width, drawing.height, 0, f'fill="{PAPER}"'),
        ]
    )


def _title(graph: nx.DiGraph[str]) -> str:
    return str(graph.graph["title"])


def _description(graph: nx.DiGraph[str], drawing: Drawing) -> str:
    """Return the run in words, lane by lane, for those who cannot see the picture."""
    sentences = []
    for lane, band in enumerate(drawing.bands):
        nodes = [box.node for box in drawing.boxes if lane_of(graph, box.node) == lane]
        titles = (f"{graph.nodes[node]['label'][0]} ({graph.nodes[node]['verdict']})" for node in nodes)
        sentences.append(f"{band.name}: {', '.join(titles) or band.empty}.")
    return " ".join(
        [f"As of {graph.graph['as_of']}.", *(["Synthetic market."] if graph.graph["synthetic"] else []), *sentences]
    )


def _band(band: Band, drawing: Drawing) -> str:
    height = drawing.height - HEADER - FOOTER
    colour = FAINT if band.empty else INK
    parts = [
        rect(band.x, HEADER, band.width, height, 12, f'fill="{BAND}"'),
        text(band.name, band.x + LANE_INSET + 2, HEADER + 29, 15, colour, bold=True),
    ]
    if band.empty:
        parts.append(text(band.empty, band.x + LANE_INSET + 2, HEADER + LANE_HEAD + 14, 14, SOFT))
    return "\n".join(parts)


def _heading(graph: nx.DiGraph[str], drawing: Drawing) -> list[str]:
    room = drawing.width - 2 * MARGIN
    title = typeface.wrap(_title(graph), room, 24, bold=True, most=1)[0]
    parts = [
        text(title, MARGIN, 44, 24, INK, bold=True),
        text(f"The run, step by step, as of {graph.graph['as_of']}", MARGIN, 71, 15, SOFT),
    ]
    return [*parts, *(_synthetic(drawing) if graph.graph["synthetic"] else [])]


def _synthetic(drawing: Drawing) -> list[str]:
    label = "SYNTHETIC MARKET: these are not real pools"
    width = typeface.width(label, 14, bold=True) + 28
    x = drawing.width - MARGIN - width
    return [
        rect(x, 52, width, 28, 6, f'fill="{LOOKS["untested"].text}"'),
        text(label, x + 14, 71, 14, PAPER, bold=True),
    ]


def _edge(route: Route) -> str:
    colour, line, dashes = EDGE_LOOKS[route.attributes["style"]]
    if route.attributes["weight"] is not None:
        line = 1.5 + 7.0 * route.attributes["weight"]
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = route.points
    size = 6.0 + line * 0.7
    down, left = x2 == x3, x3 < x2
    tip = (x3, y3 - size) if down else (x3 + size * (1 if left else -1), y3)
    path = f"M{px(x0)} {px(y0)}C{px(x1)} {px(y1)} {px(x2)} {px(y2)} {px(tip[0])} {px(tip[1])}"
    curve = f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{px(line)}"{dashed(dashes)}/>'
    return f'{curve}\n<path d="{_arrowhead((x3, y3), tip, size * 0.55)}" fill="{colour}"/>'


def _arrowhead(point: tuple[float, float], base: tuple[float, float], half: float) -> str:
    if point[0] == base[0]:
        corners = [(base[0] - half, base[1]), (base[0] + half, base[1])]
    else:
        corners = [(base[0], base[1] - half), (base[0], base[1] + half)]
    return "M" + "L".join(f"{px(x)} {px(y)}" for x, y in [point, *corners]) + "Z"


def _edge_label(route: Route) -> str:
    (x0, y0), _, _, (x3, y3) = route.points
    x, y = (x0 + x3) / 2, (y0 + y3) / 2 + LABEL_SIZE * 1.25  # under the line, not on it
    colour = EDGE_LOOKS[route.attributes["style"]][0]
    halo = f' text-anchor="middle" stroke="{PAPER}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
    return text(route.attributes["label"], x, y, LABEL_SIZE, colour, extra=halo)


def _box(graph: nx.DiGraph[str], box: Box) -> str:
    verdict = graph.nodes[box.node]["verdict"]
    look = LOOKS[verdict]
    border = f'fill="{look.fill}" stroke="{look.border}" stroke-width="{px(look.line)}"{dashed(look.dashes)}'
    tooltip = "\n".join(clean(line) for line in graph.nodes[box.node]["label"])
    parts = [f"<g><title>{tooltip}</title>", rect(box.x, box.y, box.width, box.height, 9, border)]
    if MARKS[verdict]:
        parts.append(_badge(box.x + box.lines[0].x - 17, box.y + box.lines[0].y - 5.2, verdict))
    parts.extend(_line(box, line, look) for line in box.lines)
    if box.weight is not None:
        parts.extend(_bar(box, box.weight))
    return "\n".join([*parts, "</g>"])


def _line(box: Box, line: TextLine, look: Look) -> str:
    colour = look.text if line.title else LINE_COLOURS.get(line.tone, SOFT)
    words = text(line.text, box.x + line.x, box.y + line.y, line.size, colour, bold=line.title)
    return f"{text(line.mark, box.x + PADDING, box.y + line.y, line.size, colour)}\n{words}" if line.mark else words


def _bar(box: Box, weight: float) -> list[str]:
    """Draw the share of the money as a bar along the bottom of the box."""
    x, y, full = box.x + PADDING, box.y + box.height - PADDING - 3, box.width - 2 * PADDING
    return [
        rect(x, y, full, 5, 2.5, f'fill="{TRACK}"'),
        rect(x, y, max(5.0, full * weight), 5, 2.5, f'fill="{LOOKS["chosen"].border}"'),
    ]


def _badge(x: float, y: float, verdict: str) -> str:
    """Draw the mark of a verdict, white in a disc."""
    mark = text(MARKS[verdict], x, y + 4.7, 13, PAPER, bold=True, extra=' text-anchor="middle"')
    return f'<circle cx="{px(x)}" cy="{px(y)}" r="9" fill="{LOOKS[verdict].border}"/>\n{mark}'


def _legend(graph: nx.DiGraph[str], drawing: Drawing) -> Iterable[str]:
    """Explain the marks that the picture uses."""
    used = {verdict for _, verdict in graph.nodes(data="verdict")}
    x, y = MARGIN + 9, drawing.height - FOOTER / 2 + 4
    for verdict, meaning in MEANINGS:
        if verdict not in used:
            continue
        yield _badge(x, y - 4.6, verdict)
        yield text(meaning, x + 16, y, 14, SOFT)
        x += typeface.width(meaning, 14) + 52
