"""Where everything stands in the picture: lanes from left to right, boxes in them, curves between.

A layered drawing after Sugiyama, Tagawa and Toda (1981): the kind of a node gives its lane, barycentre sweeps its place
among the others of the lane (kept only where they reduce the crossings), and its height follows its neighbours as
closely as the order allows, in least squares (pool adjacent violators, Barlow et al. 1972).
All lengths are in px; y points down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tools.flowchart import typeface
from tools.flowchart.graph import LANE_OF_KIND, LANES, id_number

if TYPE_CHECKING:
    import networkx as nx

MARGIN = 28.0
HEADER = 92.0  # title and subtitle
LANE_HEAD = 46.0  # the lane's name
FOOTER = 50.0  # legend
LANE_WIDTHS = (234.0, 230.0, 268.0, 264.0, 250.0, 282.0)
LANE_INSET = 10.0
GAP = 44.0  # between lanes, at least
ROW_GAP = 14.0
CHAIN_GAP = 36.0  # between boxes of one lane that are linked
PADDING = 13.0
BADGE = 27.0  # room for the mark before the title
BAR = 16.0  # room for the bar that shows a weight
TITLE_SIZE, TEXT_SIZE, LABEL_SIZE = 16.0, 14.0, 13.0
LEADING = 1.3
ENTRY_GAP = 4.0  # between two entries of a label
PORT_STEP = 15.0
MOST_LINES = {"mandate": 6, "outcome": 9, "stopped": 9}

_MARKED = ("✓ ", "✗ ", "? ")
_QUANT = LANES.index("Quant agent")
_NO_WISH = 1e-9  # the weight of a box that stands anywhere

Lanes = list[list[str]]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of text, from the corner of its box; ``tone`` is the mark that colours it, ``mark`` stands before it."""

    text: str
    x: float
    y: float
    size: float
    title: bool = False
    tone: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A node in its place; ``weight`` is the share of the money that a pool gets."""

    node: str
    x: float
    y: float
    width: float
    height: float
    lines: tuple[TextLine, ...]
    weight: float | None = None

    @property
    def middle(self) -> float:
        """Return the y of the middle."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Route:
    """An edge as a cubic curve: start, two control points, end; and its attributes in the graph."""

    source: str
    target: str
    points: tuple[Point, Point, Point, Point]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Band:
    """A lane: its name, its place, and why it is empty where it is."""

    name: str
    x: float
    width: float
    empty: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that the writer has to draw."""

    width: float
    height: float
    bands: tuple[Band, ...]
    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]


def place(graph: nx.DiGraph[str]) -> Drawing:
    """Lay the graph out; the result depends on nothing but its nodes, its edges and their attributes."""
    lanes = _order(graph)
    bands = _bands(graph, lanes)
    boxes = {node: _measure(graph, node, bands[lane]) for lane, nodes in enumerate(lanes) for node in nodes}
    boxes = _level(graph, boxes)
    room = max(_offsets(graph, nodes, boxes)[-1] for nodes in lanes)
    top = HEADER + LANE_HEAD
    boxes = _stand(graph, lanes, boxes, top, room)
    width, height = bands[-1].x + bands[-1].width + MARGIN, top + room + LANE_INSET + FOOTER
    ordered = tuple(boxes[node] for node in sorted(boxes, key=id_number))
    return Drawing(width, height, tuple(bands), ordered, tuple(_routes(graph, boxes)))


def lane_of(graph: nx.DiGraph[str], node: str) -> int:
    """Return the lane of a node."""
    return LANE_OF_KIND[graph.nodes[node]["kind"]]


def _forward(graph: nx.DiGraph[str]) -> list[tuple[str, str]]:
    """Return the edges that lead from a lane to a later one, sorted."""
    edges = [edge for edge in graph.edges if lane_of(graph, edge[0]) < lane_of(graph, edge[1])]
    return sorted(edges, key=lambda edge: (id_number(edge[0]), id_number(edge[1])))


def _order(graph: nx.DiGraph[str]) -> Lanes:
    """Order the nodes of each lane: the order of the run, or the barycentre sweep from it that has fewer crossings."""
    lanes: Lanes = [[] for _ in LANES]
    for node in sorted(graph.nodes, key=id_number):
        lanes[lane_of(graph, node)].append(node)
    edges = _forward(graph)
    best, fewest = lanes, crossings(lanes, edges)
    for sweep in range(4):
        lanes = _sweep(lanes, edges, downstream=sweep % 2 == 0)
        found = crossings(lanes, edges)
        if found < fewest:
            best, fewest = lanes, found
    return best


def _sweep(lanes: Lanes, edges: Sequence[tuple[str, str]], *, downstream: bool) -> Lanes:
    """Sort each lane by the mean place of its neighbours on the one side; a node without any keeps its place."""
    neighbours: dict[str, list[str]] = {node: [] for lane in lanes for node in lane}
    for source, target in edges:
        neighbours[target if downstream else source].append(source if downstream else target)
    swept = [list(lane) for lane in lanes]
    for i in range(len(lanes)) if downstream else reversed(range(len(lanes))):
        places = {node: (j + 0.5) / len(lane) for lane in swept for j, node in enumerate(lane)}
        means = {node: _mean([places[other] for other in neighbours[node]] or [places[node]]) for node in swept[i]}
        swept[i] = sorted(swept[i], key=means.__getitem__)
    return swept


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def crossings(lanes: Lanes, edges: Sequence[tuple[str, str]]) -> int:
    """Count the pairs of edges between the same two lanes that cross."""
    place_in = {node: (lane, i) for lane, nodes in enumerate(lanes) for i, node in enumerate(nodes)}
    ends = [(place_in[source], place_in[target]) for source, target in edges]
    return sum(
        a[0][0] == b[0][0] and a[1][0] == b[1][0] and (a[0][1] - b[0][1]) * (a[1][1] - b[1][1]) < 0
        for i, a in enumerate(ends)
        for b in ends[i + 1 :]
    )


def _bands(graph: nx.DiGraph[str], lanes: Lanes) -> list[Band]:
    """Place the lanes side by side; a gap is as wide as the widest label of the edges in it."""
    bands: list[Band] = []
    x = MARGIN
    for i, (name, inner) in enumerate(zip(LANES, LANE_WIDTHS, strict=True)):
        bands.append(Band(name, x, inner + 2 * LANE_INSET, "" if lanes[i] else _why_empty(graph, name)))
        x += bands[-1].width + max([GAP, *_label_widths(graph, i)])
    return bands


def _why_empty(graph: nx.DiGraph[str], lane: str) -> str:
    """Say why a lane has no node: the run ended before it, or came to it with nothing in hand."""
    in_hand = {"Risk agent": "no candidates", "Result": "no strategy"}
    return in_hand.get(lane, "not reached") if graph.graph["outcome"] == "no_feasible_strategy" else "not reached"


def _label_widths(graph: nx.DiGraph[str], lane: int) -> list[float]:
    """Return the room that the labels of the edges between a lane and the next need."""
    between = [
        data for a, b, data in graph.edges(data=True) if {lane_of(graph, a), lane_of(graph, b)} == {lane, lane + 1}
    ]
    return [typeface.width(typeface.drawable(data["label"]), LABEL_SIZE) + 6.0 for data in between if data["label"]]


def _measure(graph: nx.DiGraph[str], node: str, band: Band) -> Box:
    """Set the text of a node and give its box the height that this takes; y is not known yet."""
    attributes = graph.nodes[node]
    room = band.width - 2 * LANE_INSET - 2 * PADDING
    lines: list[TextLine] = []
    y = PADDING
    for i, entry in enumerate(attributes["label"]):
        lines += _entry(entry, room, y, attributes) if i else _title(entry, room, y, attributes)
        y = lines[-1].y + lines[-1].size * (LEADING - 1.0) + ENTRY_GAP
    weights = [data["weight"] for _, _, data in graph.in_edges(node, data=True) if data["weight"] is not None]
    height = y + PADDING - 5.0 + (BAR if weights else 0.0)
    return Box(
        node,
        band.x + LANE_INSET,
        0.0,
        band.width - 2 * LANE_INSET,
        height,
        tuple(lines),
        weights[0] if weights else None,
    )


def _title(entry: str, room: float, y: float, attributes: Mapping[str, Any]) -> list[TextLine]:
    """Set the title, beside the mark of the verdict where there is one."""
    indent = BADGE if attributes["verdict"] != "neutral" else 0.0
    texts = typeface.wrap(entry, room - indent, TITLE_SIZE, bold=True)
    return [
        TextLine(text, PADDING + indent, y + TITLE_SIZE * (1 + i * LEADING), TITLE_SIZE, title=True)
        for i, text in enumerate(texts)
    ]


def _entry(entry: str, room: float, y: float, attributes: Mapping[str, Any]) -> list[TextLine]:
    """Set one entry of a label; where it begins with a mark, its other lines hang behind the mark."""
    mark = entry[0] if entry.startswith(_MARKED) else ""
    hang = typeface.width(f"{mark} ", TEXT_SIZE) if mark else 0.0
    text = entry.removeprefix(f"{mark} ") if mark else entry
    wrapped = typeface.wrap(text, room - hang, TEXT_SIZE, most=MOST_LINES.get(attributes["kind"], 2))
    return [
        TextLine(
            line, PADDING + hang, y + TEXT_SIZE * (1 + i * LEADING), TEXT_SIZE, tone=mark, mark=mark if i == 0 else ""
        )
        for i, line in enumerate(wrapped)
    ]


def _level(graph: nx.DiGraph[str], boxes: Mapping[str, Box]) -> dict[str, Box]:
    """Give a profile and its verdict the same height, so that each pair stands in one row."""
    levelled = dict(boxes)
    for source, target in _forward(graph):
        if (graph.nodes[source]["kind"], graph.nodes[target]["kind"]) == ("profile", "risk"):
            height = max(boxes[source].height, boxes[target].height)
            levelled |= {node: replace(boxes[node], height=height) for node in (source, target)}
    return levelled


def _stand(graph: nx.DiGraph[str], lanes: Lanes, boxes: Mapping[str, Box], top: float, room: float) -> dict[str, Box]:
    """Give every box its y: the quant lane (or the last before it) in the middle, then those left and right of it."""
    anchor = max((i for i in range(_QUANT + 1) if lanes[i]), default=0)
    standing: dict[str, Box] = {}
    for i in [*range(anchor, -1, -1), *range(anchor + 1, len(lanes))]:
        *offsets, height = _offsets(graph, lanes[i], boxes)
        lowest = top + room - height
        wishes = []
        for node, offset in zip(lanes[i], offsets, strict=True):
            middle = top + room / 2 if i == anchor else _neighbours_middle(graph, node, standing)
            if middle is not None:
                wishes.append((middle - boxes[node].height / 2 - offset, 1.0))
            else:  # right above the box that it leads to, else right under the one before
                wishes.append((lowest if _leads_down(graph, node) else top, _NO_WISH))
        starts = (min(max(start, top), lowest) for start in isotonic(wishes))
        standing |= {
            node: replace(boxes[node], y=start + offset)
            for node, start, offset in zip(lanes[i], starts, offsets, strict=True)
        }
    return standing


def _offsets(graph: nx.DiGraph[str], nodes: Sequence[str], boxes: Mapping[str, Box]) -> list[float]:
    """Return how far below the first each box begins when all stand as close as they may, and the height of that."""
    offsets = [0.0]
    for i, node in enumerate(nodes):
        below = nodes[i + 1] if i + 1 < len(nodes) else None
        gap = 0.0 if below is None else CHAIN_GAP if graph.has_edge(node, below) else ROW_GAP
        offsets.append(offsets[-1] + boxes[node].height + gap)
    return offsets


def _leads_down(graph: nx.DiGraph[str], node: str) -> bool:
    return any(lane_of(graph, other) == lane_of(graph, node) for other in graph.successors(node))


def _neighbours_middle(graph: nx.DiGraph[str], node: str, standing: Mapping[str, Box]) -> float | None:
    """Return the middle of the neighbours that stand already; where the chosen way leads to the node, of that alone."""
    before = [other for other in graph.predecessors(node) if other in standing]
    after = [other for other in graph.successors(node) if other in standing]
    chosen = [other for other in before if graph.edges[other, node]["style"] == "chosen"]
    middles = [standing[other].middle for other in chosen or [*before, *after]]
    return (min(middles) + max(middles)) / 2 if middles else None


def isotonic(wishes: Sequence[tuple[float, float]]) -> list[float]:
    """Return the non-decreasing values nearest, in least squares, to the wishes, which are (value, weight)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in wishes:
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, weight_a, size_a), (b, weight_b, size_b) = blocks[-2:]
            total = weight_a + weight_b
            blocks[-2:] = [((a * weight_a + b * weight_b) / total, total, size_a + size_b)]
    return [value for value, _, size in blocks for _ in range(size)]


def _routes(graph: nx.DiGraph[str], boxes: Mapping[str, Box]) -> list[Route]:
    ordered = sorted(graph.edges, key=lambda edge: (id_number(edge[0]), id_number(edge[1])))
    leaving, arriving = _ports(graph, boxes, 0), _ports(graph, boxes, 1)
    routes = []
    for a, b in ordered:
        ends = (leaving[a, b], arriving[a, b]) if (a, b) in leaving else None
        routes.append(Route(a, b, _curve(graph, boxes[a], boxes[b], ends), graph.edges[a, b]))
    return routes


def _ports(graph: nx.DiGraph[str], boxes: Mapping[str, Box], end: int) -> dict[tuple[str, str], float]:
    """Return the y at which each edge between lanes leaves (``end`` 0) or arrives (1), in the order of the other ends.

    Where one of those that arrive is the chosen one, it takes the middle, so that the chosen way runs straight.
    """
    ports: dict[tuple[str, str], float] = {}
    for node, box in boxes.items():
        own = sorted(
            (edge for edge in _forward(graph) if edge[end] == node),
            key=lambda edge: (boxes[edge[1 - end]].middle, edge),
        )
        chosen = [i for i, edge in enumerate(own) if graph.edges[edge]["style"] == "chosen"]
        middle = float(chosen[0]) if end == 1 and len(chosen) == 1 else (len(own) - 1) / 2
        reach = max(middle, len(own) - 1 - middle)
        step = min(PORT_STEP, (box.height / 2 - 12.0) / reach) if reach else 0.0
        ports |= {edge: box.middle + (i - middle) * step for i, edge in enumerate(own)}
    return ports


def _curve(
    graph: nx.DiGraph[str], a: Box, b: Box, ends: tuple[float, float] | None
) -> tuple[Point, Point, Point, Point]:
    """Return the points of a curve: sideways between lanes, straight down within one, back under the way there."""
    if ends is not None:
        return _sideways((a.x + a.width, ends[0]), (b.x, ends[1]))
    if lane_of(graph, a.node) == lane_of(graph, b.node):
        start, end = (a.x + a.width / 2, a.y + a.height), (b.x + b.width / 2, b.y)
        return start, start, end, end
    drop = min(a.height, b.height) / 2 - 14.0
    return _sideways((a.x, a.middle + drop), (b.x + b.width, b.middle + drop))


def _sideways(start: Point, end: Point) -> tuple[Point, Point, Point, Point]:
    middle = (start[0] + end[0]) / 2
    return start, (middle, start[1]), (middle, end[1]), end
