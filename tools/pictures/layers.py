"""Where the nodes of the exposure graph stand: pools, what they hold and lie in, and what stands behind that.

A layered drawing in three columns after Sugiyama, Tagawa and Toda (1981). A link that skips the middle column passes
it at a waypoint, one for each target, so that all links to one thing run together and none runs through a box. The
order within a column is that of the barycentre sweep with the fewest crossings. All lengths in px; y points down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from tools.flowchart.layout import isotonic

POOLS, MIDDLE, END = 0, 1, 2
WAYPOINT = 12.0
GAP = 12.0
_SWEEPS = 6


class Node(NamedTuple):
    """A box: its id, its column, its height, and its rank (what is lost with it, the most first)."""

    id: str
    column: int
    height: float
    rank: int


class Leg(NamedTuple):
    """Part of a link, between two places; ``share`` of the source, ``heavy`` where it leads to the highlighted node."""

    source: str
    target: str
    share: float
    heavy: bool


class Placed(NamedTuple):
    """The middles of all boxes and waypoints, the legs to draw, and how tall the whole is."""

    middles: dict[str, float]
    legs: list[Leg]
    waypoints: list[Leg]
    height: float


def waypoint(target: str) -> str:
    """Return the id of the place where links to a target pass the middle column."""
    return f"way:{target}"


def place(nodes: Sequence[Node], links: Iterable[Leg]) -> Placed:
    """Place nodes and route links between them; the same input, in whatever order, gives the same places."""
    column = {node.id: node.column for node in nodes}
    legs, crossing = _legs(column, sorted(links))
    heights = {node.id: node.height for node in nodes} | {leg.source: WAYPOINT for leg in crossing}
    lanes = _order(nodes, [leg.source for leg in crossing], legs)
    height = max(sum(heights[i] + GAP for i in lane) - GAP for lane in lanes if lane)
    return Placed(_stand(lanes, heights, legs, height), legs, crossing, height)


def _legs(column: dict[str, int], links: Sequence[Leg]) -> tuple[list[Leg], list[Leg]]:
    """Split links that skip the middle column; return all legs between columns, and one leg through per waypoint."""
    legs: dict[tuple[str, str], Leg] = {}
    through: dict[str, Leg] = {}
    for link in links:
        if column[link.target] - column[link.source] < END - POOLS:
            legs[link.source, link.target] = link
            continue
        way = waypoint(link.target)
        legs[link.source, way] = link._replace(target=way)
        known = through.get(way, link._replace(source=way))
        through[way] = Leg(way, link.target, max(known.share, link.share), known.heavy or link.heavy)
    onward = {(way, leg.target): leg for way, leg in through.items()}
    return [leg for _, leg in sorted((legs | onward).items())], [through[way] for way in sorted(through)]


def _order(nodes: Sequence[Node], ways: Sequence[str], legs: Sequence[Leg]) -> list[list[str]]:
    """Order each column: pools by weight, the others by the sweep that has the fewest crossings."""
    ranked = sorted(nodes, key=lambda node: (node.rank, node.id))
    lanes = [[node.id for node in ranked if node.column == column] for column in (POOLS, MIDDLE, END)]
    lanes[MIDDLE] += ways
    edges = [(leg.source, leg.target) for leg in legs]
    best, least = lanes, _tangle(lanes, edges)
    for sweep in range(_SWEEPS):
        lanes = _sweep(lanes, edges, (MIDDLE, END) if sweep % 2 == 0 else (MIDDLE,))
        found = _tangle(lanes, edges)
        if found < least:
            best, least = lanes, found
    return best


def _tangle(lanes: Sequence[Sequence[str]], edges: Sequence[tuple[str, str]]) -> int:
    """Count crossings, and for a link within a column the boxes that its arc passes."""
    place = {node: (column, i) for column, lane in enumerate(lanes) for i, node in enumerate(lane)}
    ends = [(place[source], place[target]) for source, target in edges]
    passed = sum(abs(a[1] - b[1]) - 1 for a, b in ends if a[0] == b[0])
    found = 0
    for column in (POOLS, MIDDLE):
        between = [(a[1], b[1]) for a, b in ends if (a[0], b[0]) == (column, column + 1)]
        found += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(between, 2))
    return passed + found


def _sweep(lanes: list[list[str]], edges: Sequence[tuple[str, str]], columns: Sequence[int]) -> list[list[str]]:
    """Sort columns by the mean place of all neighbours; a node without any keeps its place."""
    neighbours: dict[str, list[str]] = {node: [] for lane in lanes for node in lane}
    for source, target in edges:
        neighbours[source].append(target)
        neighbours[target].append(source)
    swept = [list(lane) for lane in lanes]
    for column in columns:
        places = {node: (i + 0.5) / len(lane) for lane in swept for i, node in enumerate(lane)}
        means = {node: _mean([places[other] for other in neighbours[node]] or [places[node]]) for node in swept[column]}
        swept[column].sort(key=means.__getitem__)
    return swept


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _stand(
    lanes: Sequence[Sequence[str]], heights: dict[str, float], legs: Sequence[Leg], height: float
) -> dict[str, float]:
    """Give every box the middle nearest to those of its neighbours that the order and the room allow."""
    middles: dict[str, float] = {}
    for lane in sorted(lanes, key=lambda lane: -sum(heights[node] + GAP for node in lane)):
        offsets, total = [], 0.0
        for node in lane:
            offsets.append(total)
            total += heights[node] + GAP
        room = height - total + GAP
        wishes = []
        for i, (node, offset) in enumerate(zip(lane, offsets, strict=True)):
            near = [middles[other] for leg in legs for other in _other_end(leg, node) if other in middles]
            spread = room * (i + 0.5) / len(lane)
            wishes.append((_mean(near) - heights[node] / 2.0 - offset if near else spread, 1.0))
        for node, offset, top in zip(lane, offsets, isotonic(wishes), strict=True):
            middles[node] = min(max(top, 0.0), room) + offset + heights[node] / 2.0
    return middles


def _other_end(leg: Leg, node: str) -> tuple[str, ...]:
    if leg.source == node:
        return (leg.target,)
    return (leg.source,) if leg.target == node else ()
