"""The picture: nothing overlaps, nothing is cut, nothing that a name says becomes markup."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import flowchart_records as records
import pytest

from tools.flowchart import build_graph, svg, to_svg, typeface
from tools.flowchart.layout import Drawing, crossings, isotonic, lane_of, place
from tools.flowchart.wording import MARKS

DRAWN = records.OUTCOMES | {"hostile": records.hostile, "hostile_end": records.hostile_end}
NAMESPACE = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "desc", "rect", "path", "text", "g", "circle"}
# Every attribute, and what its values may look like: numbers, colours and fixed words, never a name.
ATTRIBUTES = {
    "width": r"[\d.]+", "height": r"[\d.]+", "viewBox": r"[\d. ]+", "role": "img",
    "font-family": re.escape(typeface.FAMILY), "font-weight": "bold",
    "x": r"[\d.]+", "y": r"[\d.]+", "rx": r"[\d.]+", "cx": r"[\d.]+", "cy": r"[\d.]+", "r": r"[\d.]+",
    "fill": r"#[0-9a-f]{6}|none", "stroke": r"#[0-9a-f]{6}", "stroke-width": r"[\d.]+", "stroke-dasharray": r"\d \d",
    "stroke-linejoin": "round", "paint-order": "stroke", "d": r"[MCLZ\d. -]+", "font-size": r"[\d.]+",
    "text-anchor": "middle",
}  # fmt: skip


@pytest.fixture(scope="module", params=DRAWN)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def graph(name: str) -> Any:
    return build_graph(DRAWN[name]())


@pytest.fixture(scope="module")
def drawing(graph: Any) -> Drawing:
    return place(graph)


@pytest.fixture(scope="module")
def root(graph: Any) -> ElementTree.Element:
    return ElementTree.fromstring(to_svg(graph))


def test_no_text_becomes_an_element_or_an_attribute(root: ElementTree.Element) -> None:
    for element in root.iter():
        assert element.tag.removeprefix(NAMESPACE) in ELEMENTS
        for key, value in element.attrib.items():
            assert re.fullmatch(ATTRIBUTES[key], value), (key, value)


def test_hostile_labels_change_no_structure() -> None:
    """What a writer is given may be worse than what the builder lets through."""
    plain, worse = build_graph(records.record()), build_graph(records.record())
    for graph, lines in ((plain, ["x"] * len(records.HOSTILE)), (worse, list(records.HOSTILE))):
        for node in graph:
            graph.nodes[node]["label"] = [*lines, "end"]
        graph.graph["title"] = " ".join(lines)
    shapes = []
    for graph in (plain, worse):
        elements = list(ElementTree.fromstring(to_svg(graph)).iter())
        shapes.append([sorted(e.attrib) for e in elements if not e.tag.endswith(("text", "title", "desc"))])
    assert shapes[0] == shapes[1]


def test_no_control_or_bidi_character_is_left(root: ElementTree.Element) -> None:
    text = "".join(root.itertext())
    assert all(c.isprintable() or c == "\n" for c in text)


def test_no_two_boxes_overlap(drawing: Drawing) -> None:
    for a, b in combinations(drawing.boxes, 2):
        beside = a.x + a.width <= b.x or b.x + b.width <= a.x
        stacked = a.y + a.height + 8 <= b.y or b.y + b.height + 8 <= a.y
        assert beside or stacked, (a.node, b.node)


def test_the_boxes_drawn_are_the_boxes_placed(root: ElementTree.Element, drawing: Drawing) -> None:
    rectangles = [group.find(f"{NAMESPACE}rect") for group in root.iter(f"{NAMESPACE}g")]
    drawn = [tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height")) for r in rectangles if r is not None]
    placed = [(box.x, box.y, box.width, box.height) for box in drawing.boxes]
    assert len(drawn) == len(placed)
    assert [pytest.approx(place, abs=0.06) for place in placed] == drawn


def test_boxes_stand_in_their_lanes(graph: Any, drawing: Drawing) -> None:
    for box in drawing.boxes:
        band = drawing.bands[lane_of(graph, box.node)]
        assert band.x < box.x
        assert box.x + box.width < band.x + band.width < drawing.width
        assert box.y >= svg.HEADER + svg.LANE_HEAD - 0.01
        assert box.y + box.height <= drawing.height - svg.FOOTER


def test_every_line_fits_its_box(drawing: Drawing) -> None:
    for box in drawing.boxes:
        for line in box.lines:
            assert line.x + typeface.width(line.text, line.size, line.title) <= box.width - 12
            assert line.size <= line.y <= box.height - 5
        for upper, lower in zip(box.lines, box.lines[1:], strict=False):
            assert lower.y - upper.y >= lower.size * 1.2


def test_no_edge_runs_through_a_box(graph: Any, drawing: Drawing) -> None:
    for route in drawing.routes:
        for box in drawing.boxes:
            if box.node in (route.source, route.target):
                continue
            for x, y in points(route.points):
                assert not (box.x < x < box.x + box.width and box.y < y < box.y + box.height), (route.source, box.node)


def test_a_profile_and_its_verdict_stand_in_one_row(graph: Any, drawing: Drawing) -> None:
    boxes = {box.node: box for box in drawing.boxes}
    for a, b in graph.edges:
        if (graph.nodes[a]["kind"], graph.nodes[b]["kind"]) == ("profile", "risk"):
            assert (boxes[a].y, boxes[a].height) == pytest.approx((boxes[b].y, boxes[b].height))


def test_the_chosen_way_runs_straight_into_the_choice() -> None:
    graph = build_graph(records.record())
    routes = [r for r in place(graph).routes if graph.nodes[r.target]["kind"] == "choice"]
    (chosen,) = (route for route in routes if route.attributes["style"] == "chosen")
    assert chosen.points[0][1] == pytest.approx(chosen.points[3][1])


def points(curve: Any) -> list[tuple[float, float]]:
    found = []
    for t in (i / 40 for i in range(41)):
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        found.append(tuple(sum(w * p[axis] for w, p in zip(weights, curve, strict=True)) for axis in (0, 1)))
    return found  # type: ignore[return-value]


def test_no_two_edges_cross(graph: Any, drawing: Drawing) -> None:
    lanes: list[list[str]] = [[] for _ in drawing.bands]
    for box in sorted(drawing.boxes, key=lambda box: box.y):
        lanes[lane_of(graph, box.node)].append(box.node)
    forward = [(a, b) for a, b in graph.edges if lane_of(graph, a) < lane_of(graph, b)]
    assert crossings(lanes, forward) == 0


def test_a_verdict_has_its_mark_and_its_border_beside_its_colour(root: ElementTree.Element, graph: Any) -> None:
    texts = [element.text for element in root.iter(f"{NAMESPACE}text")]
    verdicts = [data["verdict"] for _, data in graph.nodes(data=True)]
    for verdict in svg.LOOKS:
        count = verdicts.count(verdict)
        if count and MARKS[verdict]:
            assert texts.count(MARKS[verdict]) >= count + 1  # in the boxes and in the legend
    for group, verdict in zip(root.iter(f"{NAMESPACE}g"), verdicts, strict=True):
        look = svg.LOOKS[verdict]
        rectangle = group.find(f"{NAMESPACE}rect")
        assert rectangle is not None
        assert rectangle.attrib["stroke"] == look.border
        assert rectangle.attrib.get("stroke-dasharray", "") == look.dashes
        marks = [text.text for text in group.iter(f"{NAMESPACE}text") if text.attrib.get("text-anchor") == "middle"]
        assert marks == ([MARKS[verdict]] if MARKS[verdict] else [])


def test_borders_differ_without_colour() -> None:
    assert len({(look.line, look.dashes, MARKS[verdict]) for verdict, look in svg.LOOKS.items()}) == len(svg.LOOKS)
    assert len({(line, dashes) for _, line, dashes in svg.EDGE_LOOKS.values()}) == len(svg.EDGE_LOOKS)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_and_lines_stand_out() -> None:
    """WCAG 2.2: 4.5 for text, 3 for what is not text."""
    for look in svg.LOOKS.values():
        for colour in (look.text, svg.SOFT, *svg.LINE_COLOURS.values()):
            assert contrast(colour, look.fill) >= 4.5
        assert contrast(look.border, svg.BAND) >= 2.6
    for verdict in ("passed", "failed", "untested", "chosen"):
        assert contrast(svg.LOOKS[verdict].border, svg.PAPER) >= 4.5  # the mark in its disc
    for colour, _, _ in svg.EDGE_LOOKS.values():
        assert contrast(colour, svg.PAPER) >= 3
    assert contrast(svg.SOFT, svg.BAND) >= 4.5


def test_the_picture_names_itself(root: ElementTree.Element, graph: Any, name: str) -> None:
    assert root.attrib["role"] == "img"
    assert 1600 <= float(root.attrib["width"]) <= 2000
    title, description = root.findtext(f"{NAMESPACE}title"), root.findtext(f"{NAMESPACE}desc")
    if not name.startswith("hostile"):
        assert title == graph.graph["title"]
    assert description
    assert description.startswith("As of 2025-02-28.")
    assert ("not reached" in description) == (name in {"not_enough_data", "out_of_scope"})
    assert ("no strategy" in description) == (name in {"infeasible", "all_emptied", "hostile_end"})


def test_only_a_synthetic_market_carries_the_banner() -> None:
    synthetic, real = to_svg(build_graph(records.not_enough_data())), to_svg(build_graph(records.record()))
    assert "SYNTHETIC MARKET" in synthetic
    assert "SYNTHETIC" not in real


@pytest.mark.parametrize("outcome", records.OUTCOMES)
def test_every_character_of_the_program_is_in_the_face(outcome: str) -> None:
    assert typeface.REPLACEMENT not in to_svg(build_graph(records.OUTCOMES[outcome]()))


def test_a_dropped_box_would_be_seen() -> None:
    """The overlap test can fail: two boxes on one another are found."""
    drawing = place(build_graph(records.record()))
    with pytest.raises(AssertionError):
        test_no_two_boxes_overlap(
            Drawing(drawing.width, drawing.height, drawing.bands, drawing.boxes + drawing.boxes[:1], drawing.routes)
        )


def test_crossings_are_counted_and_removed() -> None:
    edges = [("a", "d"), ("b", "c")]
    assert crossings([["a", "b"], ["c", "d"]], edges) == 1
    assert crossings([["a", "b"], ["d", "c"]], edges) == 0


@pytest.mark.parametrize(
    ("wishes", "fitted"),
    [
        ([(1.0, 1.0), (2.0, 1.0)], [1.0, 2.0]),
        ([(3.0, 1.0), (1.0, 1.0)], [2.0, 2.0]),
        ([(3.0, 1.0), (0.0, 2.0)], [1.0, 1.0]),
        ([(1.0, 1.0), (5.0, 1.0), (4.0, 1.0), (3.0, 1.0), (6.0, 1.0)], [1.0, 4.0, 4.0, 4.0, 6.0]),
        ([], []),
    ],
)
def test_isotonic_is_the_nearest_in_order(wishes: list[tuple[float, float]], fitted: list[float]) -> None:
    assert isotonic(wishes) == pytest.approx(fitted)
