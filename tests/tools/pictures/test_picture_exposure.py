"""The exposure graph: nothing overlaps, no link runs through a box, and what stands out does so without colour."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any, NamedTuple
from xml.etree import ElementTree

import picture_records as records
import pytest

from tools.flowchart import typeface
from tools.pictures import draw, layers
from tools.pictures.layers import END, MIDDLE, POOLS, Leg, Node, place

NAMESPACE = "{http://www.w3.org/2000/svg}"
CASES = ("one_pool", "six_pools", "hostile", "crowd")


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float
    attributes: dict[str, str]
    texts: list[ElementTree.Element]
    bar: float


def boxes(root: ElementTree.Element) -> list[Box]:
    found = []
    for group in root.findall(f"{NAMESPACE}g/{NAMESPACE}g"):
        frame, track, *filled = group.findall(f"{NAMESPACE}rect")
        x, y, width, height = (float(frame.attrib[key]) for key in ("x", "y", "width", "height"))
        share = float(filled[0].attrib["width"]) / float(track.attrib["width"]) if filled else 0.0
        found.append(Box(x, y, x + width, y + height, dict(frame.attrib), group.findall(f"{NAMESPACE}text"), share))
    return found


def curves(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """Return points along every link."""
    found = []
    for path in root.findall(f"{NAMESPACE}g/{NAMESPACE}path"):
        if path.attrib.get("fill") != "none" or "l" in path.attrib["d"]:
            continue
        points = [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.attrib["d"])]
        found.append([_at(points, i / 40) for i in range(41)] if "C" in path.attrib["d"] else points)
    return found


def _at(points: list[tuple[float, float]], t: float) -> tuple[float, float]:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    x, y = (sum(w * p[axis] for w, p in zip(weights, points, strict=True)) for axis in (0, 1))
    return x, y


def exposure(record: Any) -> ElementTree.Element:
    return ElementTree.fromstring(draw(record)["exposure"])


@pytest.fixture(scope="module", params=CASES)
def root(request: pytest.FixtureRequest) -> ElementTree.Element:
    return exposure(records.CASES[request.param]())


def test_no_two_boxes_overlap(root: ElementTree.Element) -> None:
    for a, b in combinations(boxes(root), 2):
        beside = a.right <= b.left or b.right <= a.left
        assert beside or a.bottom + 8 <= b.top or b.bottom + 8 <= a.top


def test_every_line_fits_its_box(root: ElementTree.Element) -> None:
    for box in boxes(root):
        for text in box.texts:
            size, x, y = (float(text.attrib[key]) for key in ("font-size", "x", "y"))
            width = typeface.width(text.text or "", size, "font-weight" in text.attrib)
            left = x - width if "text-anchor" in text.attrib else x
            assert box.left + 8 <= left
            assert left + width <= box.right - 8
            assert box.top + size <= y <= box.bottom - 12


def test_no_link_runs_through_a_box(root: ElementTree.Element) -> None:
    for box in boxes(root):
        for curve in curves(root):
            (x0, y0), (x1, _) = curve[0], curve[-1]
            samples = curve if len(curve) > 2 else [(x0 + (x1 - x0) * i / 40, y0) for i in range(41)]
            assert not any(box.left + 0.5 < x < box.right - 0.5 and box.top < y < box.bottom for x, y in samples)


def test_every_link_of_the_record_is_drawn() -> None:
    """Those that skip the middle column share one way per target: one leg to it each, one through, one on."""
    record = records.six_pools()
    links = record["candidates"][1]["risk"]["exposure"]["links"]
    column = {"pool": 0, "protocol": 1, "token": 1}
    skipping = [
        link for link in links if link["source"].startswith("pool") and column.get(link["target"].split(":")[0], 2) == 2
    ]
    headings = 3
    assert len(curves(exposure(record))) == len(links) + 2 * len({link["target"] for link in skipping}) + headings


def test_the_bar_and_the_number_are_what_is_lost() -> None:
    record = records.six_pools()
    chosen = record["candidates"][1]
    lost = {each["name"]: each["lost_if_fails"] for each in chosen["risk"]["exposure"]["nodes"]}
    lost |= {pool["name"]: pool["weight"] for pool in chosen["pools"]}
    drawn = exposure(record).findall(f"{NAMESPACE}g/{NAMESPACE}g")
    told = {}
    for group, box in zip(drawn, boxes(exposure(record)), strict=True):
        name = (group.findtext(f"{NAMESPACE}title") or "").rpartition(":")[0]
        (number,) = (t.text or "" for t in box.texts if (t.text or "").endswith("%"))
        told[name] = float(number.removesuffix("%")) / 100
        assert box.bar == pytest.approx(told[name], abs=0.003)
    assert told == pytest.approx(lost)


def test_only_the_single_point_stands_out_and_not_by_colour_alone() -> None:
    for record in (records.six_pools(), records.one_pool(), records.hostile()):
        heavy = [box for box in boxes(exposure(record)) if float(box.attributes["stroke-width"]) > 2]
        assert len(heavy) == 1
        assert any("largest single point of failure" in (t.text or "") for t in heavy[0].texts)


def test_only_the_unknown_is_dashed_and_marked() -> None:
    drawn = boxes(exposure(records.six_pools()))
    dashed = [box for box in drawn if "stroke-dasharray" in box.attributes]
    assert len(dashed) == 3
    for box in drawn:
        assert (box in dashed) == any(t.text == "?" for t in box.texts)


def test_the_way_to_the_single_point_is_heavy_and_no_other() -> None:
    paths = exposure(records.six_pools()).findall(f"{NAMESPACE}g/{NAMESPACE}path")
    heavy = [p for p in paths if p.attrib.get("stroke-width") == "2.2" and "l" not in p.attrib["d"]]
    # USDC: from 3 pools, from USDC.e, on to Circle; USDC.e: from Aave's pool
    assert len(heavy) == 6
    links = [p for p in paths if "stroke-width" in p.attrib and p.attrib["fill"] == "none" and "l" not in p.attrib["d"]]
    assert links[-6:] == heavy  # on top of all others


def test_a_slice_is_dashed() -> None:
    paths = exposure(records.six_pools()).findall(f"{NAMESPACE}g/{NAMESPACE}path")
    sliced = [p for p in paths if "stroke-dasharray" in p.attrib and "l" not in p.attrib["d"]]
    # half of USDC, crvUSD and the bridge (there, through, on), and the curator's slice of USDe
    assert len(sliced) == 6


def test_the_headline_is_the_finding() -> None:
    assert exposure(records.six_pools()).findtext(f"{NAMESPACE}title") == (
        "If Circle fails, 62% of the money is lost; the 26 names that the pools depend on make "
        "about 2.4 independent risks"
    )
    assert (exposure(records.one_pool()).findtext(f"{NAMESPACE}title") or "").endswith("about 1 independent risk")


def test_what_takes_as_much_is_not_hidden() -> None:
    """Tokens of the single point fall with it; another protocol that takes as much is another finding."""
    record = records.one_pool()
    found = record["candidates"][1]["risk"]["exposure"]
    assert "likewise" not in (exposure(record).findtext(f"{NAMESPACE}title") or "")
    found["nodes"].append(records.node("protocol:wrapper", 1, 1.0))
    found["links"].append(records.link("pool:pool-0", "protocol:wrapper"))
    assert "and likewise with Wrapper;" in (exposure(record).findtext(f"{NAMESPACE}title") or "")
    found["nodes"] += [records.node("curator:Somebody", 1, 1.0), records.node("unknown:oracle", 1, 1.0)]
    assert "and likewise with 2 others;" in (exposure(record).findtext(f"{NAMESPACE}title") or "")


def test_a_claim_smaller_than_the_loss_is_told() -> None:
    record = records.one_pool()
    record["candidates"][1]["risk"]["exposure"]["nodes"][1]["look_through"] = 0.725
    assert any("claim on it 72.5%" in (t.text or "") for box in boxes(exposure(record)) for t in box.texts)


def test_more_than_fits_is_summed_up_and_the_single_point_is_kept() -> None:
    record = records.crowd()
    drawn = boxes(exposure(record))
    assert len(drawn) <= 42
    text = "".join(exposure(record).itertext())
    assert "Not drawn: Pools: 18 more, each at most" in text
    record["candidates"][1]["risk"]["exposure"]["single_point"] = "protocol:Name 76"
    assert any(float(box.attributes["stroke-width"]) > 2 for box in boxes(exposure(record)))


def test_links_that_go_round_end() -> None:
    record = records.one_pool()
    found = record["candidates"][1]["risk"]["exposure"]
    found["links"] += [
        records.link("protocol:lido", "token:STETH"),
        records.link("token:STETH", "token:STETH"),
        records.link("chain:Ethereum", "token:STETH"),
    ]
    assert len(boxes(exposure(record))) == 4


# --- the layout ------------------------------------------------------------------------------------------------------


def leg(source: str, target: str) -> Leg:
    return Leg(source, target, 1.0, False)


def test_crossed_links_are_uncrossed() -> None:
    nodes = [Node(name, POOLS, 40.0, i) for i, name in enumerate("ab")]
    nodes += [Node(name, MIDDLE, 40.0, i) for i, name in enumerate("cd")]
    placed = place(nodes, [leg("a", "d"), leg("b", "c")])
    assert placed.middles["d"] < placed.middles["c"]


def test_links_that_skip_a_column_share_one_way_per_target() -> None:
    nodes = [Node("a", POOLS, 40.0, 0), Node("b", POOLS, 40.0, 1), Node("z", END, 40.0, 0)]
    placed = place(nodes, [leg("a", "z"), leg("b", "z")._replace(heavy=True)])
    way = layers.waypoint("z")
    assert [(each.source, each.target) for each in placed.legs] == [("a", way), ("b", way), (way, "z")]
    assert [each.heavy for each in placed.legs] == [False, True, True]
    assert [each.source for each in placed.waypoints] == [way]
