"""All pictures: made of the record alone, the same for the same record, nothing a name says becomes markup."""

from __future__ import annotations

import copy
import math
import os
import random
import re
import struct
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import picture_records as records
import pytest

from tools.flowchart import elements, to_png, typeface
from tools.pictures import PICTURES, draw, sheet
from tools.records import AllIn, Exposure, StressResult
from tools.verify.flowchart import ACTIVE_SVG

NAMESPACE = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "desc", "rect", "path", "text", "g", "circle"}
NUMBER = r"-?[\d.]+"
ATTRIBUTES = {
    "width": r"[\d.]+", "height": r"[\d.]+", "viewBox": r"[\d. ]+", "role": "img",
    "font-family": re.escape(typeface.FAMILY), "font-weight": "bold", "transform": r"translate\(0 [\d.]+\)",
    "x": NUMBER, "y": NUMBER, "rx": r"[\d.]+", "cx": NUMBER, "cy": NUMBER, "r": r"[\d.]+",
    "fill": r"#[0-9a-f]{6}|none", "stroke": r"#[0-9a-f]{6}", "stroke-width": r"[\d.]+", "stroke-dasharray": r"\d \d",
    "stroke-linejoin": "round", "paint-order": "stroke", "d": r"[MCLZl\d. -]+", "font-size": r"[\d.]+",
    "text-anchor": "middle|end",
}  # fmt: skip
DRAWN = [(case, stem) for case in records.CASES for stem in PICTURES if (case, stem) != ("quiet", "stress")]


@pytest.fixture(scope="module")
def drawn() -> dict[str, dict[str, str]]:
    return {case: draw(made()) for case, made in records.CASES.items()}


@pytest.fixture(scope="module", params=DRAWN, ids="-".join)
def root(request: pytest.FixtureRequest, drawn: dict[str, dict[str, str]]) -> ElementTree.Element:
    case, stem = request.param
    return ElementTree.fromstring(drawn[case][stem])


@pytest.mark.parametrize("case", records.CASES)
def test_the_records_of_these_tests_have_the_shape_of_the_record(case: str) -> None:
    risk = records.CASES[case]()["candidates"][1]["risk"]
    shaped = [(AllIn, risk["all_in"]), (Exposure, risk["exposure"]), *((StressResult, e) for e in risk["stress"])]
    for model, entry in shaped:
        assert model.model_validate(entry).model_dump() == entry


@pytest.mark.parametrize("outcome", ["no_feasible_strategy", "not_enough_data", "out_of_scope"])
def test_without_a_choice_there_is_no_picture(outcome: str) -> None:
    assert draw({"outcome": outcome, "choice": None, "candidates": []}) == {}


def test_a_picture_without_its_data_is_left_out() -> None:
    assert set(draw(records.one_pool())) == {"losses", "drawdown", "stress", "exposure"}
    assert set(draw(records.one_pool(stress=[]))) == {"losses", "drawdown", "exposure"}
    assert set(draw(records.one_pool(all_in=records.all_in(drawdown_curve=[])))) == {"losses", "stress", "exposure"}
    older = records.all_in()
    del older["drawdown_curve"]
    assert "drawdown" not in draw(records.one_pool(all_in=older))


def test_no_text_becomes_an_element_or_an_attribute(root: ElementTree.Element) -> None:
    for element in root.iter():
        assert element.tag.removeprefix(NAMESPACE) in ELEMENTS
        for key, value in element.attrib.items():
            assert re.fullmatch(ATTRIBUTES[key], value), (key, value)


def test_no_control_or_bidi_character_is_left(root: ElementTree.Element) -> None:
    assert all(c.isprintable() or c == "\n" for c in "".join(root.itertext()))


@pytest.mark.parametrize(("case", "stem"), DRAWN)
def test_nothing_looks_active(case: str, stem: str, drawn: dict[str, dict[str, str]]) -> None:
    assert not ACTIVE_SVG.search(drawn[case][stem].encode())


def test_the_hostile_names_would_be_seen_as_active() -> None:
    assert all(ACTIVE_SVG.search(name.encode()) for name in records.HOSTILE[:4])


def test_the_picture_names_itself(root: ElementTree.Element) -> None:
    assert root.attrib["role"] == "img"
    assert root.attrib["width"] == "1000"
    title, description = root.findtext(f"{NAMESPACE}title"), root.findtext(f"{NAMESPACE}desc")
    assert title
    assert description
    assert description.startswith("As of 2025-02-28.")
    assert title in description


def extent(element: ElementTree.Element, shift: float) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a text: letters reach from 0.76 above the baseline to 0.24 below."""
    size, words = float(element.attrib["font-size"]), element.text or ""
    width = typeface.width(words, size, "font-weight" in element.attrib)
    x, y = float(element.attrib["x"]), float(element.attrib["y"]) + shift
    left = x - {"middle": width / 2, "end": width}.get(element.attrib.get("text-anchor", ""), 0.0)
    return left, y - 0.76 * size, left + width, y + 0.24 * size


def texts(root: ElementTree.Element) -> list[tuple[str, tuple[float, float, float, float]]]:
    body = root.find(f"{NAMESPACE}g")
    assert body is not None
    shift = float(re.findall(r"[\d.]+", body.attrib["transform"])[1])
    inside = [(e.text or "", extent(e, shift)) for e in body.iter(f"{NAMESPACE}text")]
    return [*((e.text or "", extent(e, 0.0)) for e in root.findall(f"{NAMESPACE}text")), *inside]


def test_every_text_lies_on_the_sheet(root: ElementTree.Element) -> None:
    for words, (left, top, right, bottom) in texts(root):
        assert left >= 0.0, words
        assert right <= 1000.0, words
        assert top >= 0.0, words
        assert bottom <= float(root.attrib["height"]), words


def test_no_two_texts_overlap(root: ElementTree.Element) -> None:
    for (a, one), (b, other) in combinations(texts(root), 2):
        beside = one[2] <= other[0] + 0.1 or other[2] <= one[0] + 0.1
        stacked = one[3] <= other[1] + 0.1 or other[3] <= one[1] + 0.1
        assert beside or stacked, (a, b)


def test_text_is_large_enough_to_read(root: ElementTree.Element) -> None:
    assert min(float(e.attrib["font-size"]) for e in root.iter(f"{NAMESPACE}text")) >= 11.5


def shuffled(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with every list of things (not of figures in order) in another order."""
    mixed, order = copy.deepcopy(record), random.Random(4)
    chosen = mixed["candidates"][1]
    for things in (
        mixed["candidates"], chosen["pools"], chosen["gates"], chosen["risk"]["stress"],
        chosen["risk"]["exposure"]["nodes"], chosen["risk"]["exposure"]["links"],
        chosen["risk"]["all_in"]["drawdown_curve"],
    ):  # fmt: skip
        order.shuffle(things)
    return mixed


@pytest.mark.parametrize("case", records.CASES)
def test_the_order_of_the_record_changes_no_byte(case: str, drawn: dict[str, dict[str, str]]) -> None:
    assert draw(shuffled(records.CASES[case]())) == drawn[case]


def test_the_seed_of_hashes_changes_no_byte() -> None:
    code = (
        "import hashlib, picture_records as r; from tools.pictures import draw;"
        "print(hashlib.sha256(''.join(draw(r.six_pools()).values()).encode()).hexdigest())"
    )
    here = Path(__file__)
    path = os.pathsep.join([str(here.parent), str(here.parents[3])])
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_drawing_leaves_the_record_as_it_is() -> None:
    record = records.six_pools()
    before = copy.deepcopy(record)
    draw(record)
    assert record == before


@pytest.mark.parametrize("stem", PICTURES)
def test_only_a_synthetic_market_carries_the_banner(stem: str) -> None:
    real, synthetic = (draw(records.six_pools(synthetic=made_up))[stem] for made_up in (False, True))
    assert "SYNTHETIC" not in real
    assert synthetic.count("SYNTHETIC") == 2  # seen and told


@pytest.mark.parametrize("stem", PICTURES)
def test_every_character_of_the_program_is_in_the_face(stem: str) -> None:
    assert typeface.REPLACEMENT not in draw(records.six_pools())[stem]


@pytest.mark.parametrize("stem", ["losses", "drawdown"])
def test_simulated_figures_say_from_what(stem: str) -> None:
    run = records.all_in(paths=50_000, seed=7, hazard_level="high")
    assert "simulated, 50,000 paths, seed 7, hazard: high" in draw(records.one_pool(all_in=run))[stem]


@pytest.mark.parametrize("stem", PICTURES)
def test_the_png_has_the_size_of_the_sheet(stem: str) -> None:
    picture = draw(records.six_pools())[stem]
    height = float(re.findall(r'height="([\d.]+)"', picture)[0])
    width, rows = struct.unpack(">II", to_png(picture, 1.0)[16:24])
    assert (width, rows) == (1000, pytest.approx(height, abs=1))


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return math.fsum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_and_bars_stand_out() -> None:
    """WCAG 2.2: 4.5 for text, 3 for what is not text."""
    for ground in (elements.PAPER, sheet.TAIL, "#fff5f3", "#fffaeb"):
        for ink in (elements.INK, elements.SOFT, sheet.LOSS, sheet.ACCENT, sheet.WARNING):
            assert contrast(ink, ground) >= 4.5, (ink, ground)
        assert contrast(sheet.GAIN, ground) >= 3
