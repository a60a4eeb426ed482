"""The charts: every bar, mark and step lies where its figure says, and the words say what the figures say."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import picture_records as records
import pytest

from tools.flowchart import elements
from tools.pictures import draw, sheet
from tools.pictures.scale import step_of, tick_label, ticks

NAMESPACE = "{http://www.w3.org/2000/svg}"


def picture(stem: str, record: Any) -> ElementTree.Element:
    return ElementTree.fromstring(draw(record)[stem])


def body(root: ElementTree.Element) -> ElementTree.Element:
    found = root.find(f"{NAMESPACE}g")
    assert found is not None
    return found


def words(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{NAMESPACE}text")]


def rects(root: ElementTree.Element, colours: tuple[str, ...]) -> list[tuple[float, float, float, float]]:
    return [
        (float(e.attrib["x"]), float(e.attrib["y"]), float(e.attrib["width"]), float(e.attrib["height"]))
        for e in body(root).iter(f"{NAMESPACE}rect")
        if e.attrib["fill"] in colours
    ]


def headline(root: ElementTree.Element) -> str:
    return root.findtext(f"{NAMESPACE}title") or ""


def upright(root: ElementTree.Element) -> list[tuple[float, str, str]]:
    """Return x, width and dashes of every vertical line that reaches the bottom of the plot."""
    found = []
    for path in body(root).iter(f"{NAMESPACE}path"):
        line = re.fullmatch(r"M([\d.]+) ([\d.]+)L([\d.]+) 454", path.attrib["d"])
        if line and line[1] == line[3] and path.attrib["stroke"] != elements.PAPER:
            found.append((float(line[1]), path.attrib["stroke-width"], path.attrib.get("stroke-dasharray", "")))
    return found


@pytest.fixture(scope="module")
def losses() -> ElementTree.Element:
    return picture("losses", records.six_pools())


def bars(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    return [bar for bar in rects(root, (sheet.GAIN, sheet.LOSS)) if bar[1] > 50.0]  # above lies the strip


def test_every_bar_stands_on_its_bin_and_is_as_tall_as_its_count(losses: ElementTree.Element) -> None:
    histogram = records.long_tail()
    drawn = bars(losses)
    assert len(drawn) == sum(count > 0 for count in histogram["counts"])
    first, last = drawn[0], drawn[-1]
    scale = (last[0] - first[0]) / (histogram["edges"][-2] - histogram["edges"][0])
    floor, top = (y for y in (454.0, 184.0))
    for (x, y, _, height), low, count in zip(drawn, histogram["edges"], histogram["counts"], strict=False):
        assert x == pytest.approx(first[0] + (low - histogram["edges"][0]) * scale, abs=0.11)
        assert y + height == pytest.approx(floor, abs=0.11)
        told = 0.5 * (100_000 / 0.5) ** (height / (floor - top))
        assert told == pytest.approx(count, rel=0.01)


def test_the_measures_lie_where_they_say(losses: ElementTree.Element) -> None:
    histogram, run = records.long_tail(), records.all_in()
    drawn = bars(losses)
    scale = (drawn[-1][0] - drawn[0][0]) / (histogram["edges"][-2] - histogram["edges"][0])
    told = sorted(histogram["edges"][0] + (x - drawn[0][0]) / scale for x, _, _ in upright(losses))
    expected = [-run["mean_return"], run["var_95"], run["cvar_95"], run["evar_95"]]
    assert told == pytest.approx(expected, abs=0.0005)
    (band,) = rects(losses, (sheet.TAIL,))
    assert histogram["edges"][0] + (band[0] - drawn[0][0]) / scale == pytest.approx(run["var_95"], abs=0.0005)


def test_the_measures_differ_without_colour(losses: ElementTree.Element) -> None:
    lines = upright(losses)
    assert len(lines) == 4
    assert len({(width, dashes) for _, width, dashes in lines}) == 4
    assert {dashes for _, _, dashes in lines} == {"", "7 3", "2 3"}


def test_bars_left_and_right_of_zero_differ_in_colour_and_in_words(losses: ElementTree.Element) -> None:
    gains, loses = (
        [bar for bar in bars(losses) if bar in rects(losses, (colour,))] for colour in (sheet.GAIN, sheet.LOSS)
    )
    assert (len(gains), len(loses)) == (5, 30)
    assert max(bar[0] for bar in gains) < min(bar[0] for bar in loses)
    assert "← gain" in words(losses)
    assert "loss over one year, share of the money →" in words(losses)
    assert "0%" in words(losses)


def test_the_strip_is_to_scale(losses: ElementTree.Element) -> None:
    gain, loss = (bar for bar in rects(losses, (sheet.GAIN, sheet.LOSS)) if bar[1] < 50.0)
    assert loss[2] / (gain[2] + loss[2]) == pytest.approx(records.all_in()["loss_probability"], abs=0.0005)
    assert gain[0] + gain[2] == pytest.approx(loss[0], abs=0.11)


def test_the_log_axis_says_so(losses: ElementTree.Element) -> None:
    assert any("log axis" in line and "2 percentage points" in line for line in words(losses))
    assert [w for w in words(losses) if re.fullmatch(r"10*(,0+)*", w)] == [
        "1", "10", "100", "1,000", "10,000", "100,000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("var", "cvar", "finding"),
    [
        (0.031, 0.1217, "you lose no more than 3.10%; the worst 5 end on average with a loss of 12.17%"),
        (-0.02, 0.11, "you gain at least 2.00%; the worst 5 end on average with a loss of 11.00%"),
        (-0.03, -0.01, "you gain at least 3.00%; the worst 5 end on average with a gain of 1.00%"),
    ],
)
def test_the_headline_of_the_losses_is_the_finding(var: float, cvar: float, finding: str) -> None:
    run = records.all_in(var_95=var, cvar_95=cvar)
    assert headline(picture("losses", records.one_pool(all_in=run))) == f"In 95 of 100 simulated years {finding}"
    odd = records.all_in(var_95=var, cvar_95=cvar, horizon_days=90)
    assert "simulated spans of 90 days" in headline(picture("losses", records.one_pool(all_in=odd)))


@pytest.mark.parametrize(("view", "shown"), [("all_in", True), ("carry_only", False)])
def test_a_limit_is_shown_only_where_it_holds_the_all_in_figure(view: str, shown: bool) -> None:
    made = draw(records.one_pool(gate_view=view))
    assert ("limit 10%" in made["losses"]) == shown
    assert ("limit for 95 of 100: 15%" in made["drawdown"]) == shown


def test_what_the_paths_leave_out_is_named() -> None:
    run = records.all_in(missing={"impermanent_loss": "no market price of STETH", "alpha": "no benchmark"})
    made = draw(records.one_pool(all_in=run))["losses"]
    assert "impermanent loss (no market price of STETH)" in made
    assert "benchmark" not in made
    known = draw(records.one_pool(all_in=records.all_in(impermanent_loss=0.012)))["losses"]
    assert "Impermanent loss, 1.20% a year, is not part of the paths." in known


def test_a_single_narrow_bar_is_seen() -> None:
    (bar,) = bars(picture("losses", records.quiet()))
    assert bar[2] >= 8.0
    assert 96.0 <= bar[0] < 130.0


def test_no_label_of_a_mark_leaves_the_sheet_on_the_right() -> None:
    run = records.all_in(evar_95=0.5999, cvar_95=0.598, var_95=0.59)
    root = picture("losses", records.one_pool(all_in=run))
    labels = [e for e in root.iter(f"{NAMESPACE}text") if (e.text or "").startswith(("VaR 95:", "CVaR", "EVaR 95:"))]
    assert [e.attrib.get("text-anchor") for e in labels if ":" in (e.text or "")] == ["end"] * 3


# --- drawdown --------------------------------------------------------------------------------------------------------


def test_every_point_hangs_as_deep_as_its_loss() -> None:
    root = picture("drawdown", records.six_pools())
    curve = records.all_in()["drawdown_curve"]
    places = [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in root.iter(f"{NAMESPACE}circle")]
    assert len(places) == len(curve)
    deepest = curve[-1]["loss"]
    for (_, y), point in zip(places, curve, strict=True):
        assert (y - 66.0) / (places[-1][1] - 66.0) == pytest.approx(point["loss"] / deepest, abs=0.001)
    steps = [b[0] - a[0] for a, b in pairwise(places)]
    assert steps[0] == pytest.approx(steps[3] * 1.3219, rel=0.01)  # log 2.5 over log 2
    assert steps[-1] == pytest.approx(steps[3] * 2.3219, rel=0.01)  # log 5 over log 2


def test_between_two_points_nothing_is_interpolated() -> None:
    root = picture("drawdown", records.six_pools())
    (stairs,) = (e.attrib["d"] for e in root.iter(f"{NAMESPACE}path") if e.attrib.get("stroke") == sheet.LOSS)
    corners = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", stairs)]
    places = [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in root.iter(f"{NAMESPACE}circle")]
    assert corners[1::2] == places
    assert len(corners) == 2 * 8 + 1
    for a, b in pairwise(corners):
        assert a[0] == b[0] or a[1] == b[1]


@pytest.mark.parametrize(
    ("usual", "losses", "finding"),
    [
        (0.0741, (0.0, 0.01, 0.03, 0.0741, 0.17, 0.28, 0.35, 0.4329),
         "In 95 of 100 simulated years events take no more than 7.41% of the money; in 1 of 1,000 more than 43.29%"),
        (0.0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2),
         "In 95 of 100 simulated years events take nothing; in 1 of 1,000 more than 20.00%"),
        (0.0, (0.0,) * 8, "In all but 1 of 1,000 simulated years events take nothing"),
    ],
)  # fmt: skip
def test_the_headline_of_the_drawdown_is_the_finding(usual: float, losses: tuple[float, ...], finding: str) -> None:
    run = records.all_in(drawdown_95=usual, drawdown_curve=records.curve(*losses))
    assert headline(picture("drawdown", records.one_pool(all_in=run))) == finding


def test_a_limit_far_below_is_named_instead_of_drawn() -> None:
    shallow = records.all_in(drawdown_curve=records.curve(*[0.0] * 6, 0.004, 0.02))
    lines = " ".join(words(picture("drawdown", records.one_pool(all_in=shallow))))
    assert "The limit of 15% lies deeper than anything drawn." in lines
    assert "limit for 95" not in lines


# --- stress ----------------------------------------------------------------------------------------------------------


def test_events_stand_worst_first_and_to_scale() -> None:
    root = picture("stress", records.six_pools())
    shown = [w for w in words(root) if re.fullmatch(r"\d\.\d\d%", w)]
    assert shown == ["6.13%", "2.58%", "0.93%"]
    full = [bar for bar in rects(root, (sheet.LOSS,)) if bar[3] == 19.0]
    assert [bar[2] / full[0][2] for bar in full] == pytest.approx([1.0, 0.0258 / 0.0613, 0.0093 / 0.0613], abs=0.001)
    assert {bar[0] for bar in full} == {452.0}
    assert [bar[1] for bar in full] == sorted(bar[1] for bar in full)


def test_an_event_that_takes_nothing_is_shown_as_nothing() -> None:
    lines = words(picture("stress", records.six_pools()))
    assert lines.count("0%") == 3  # two events and the axis
    assert "2022-06-10 · strikes nothing held" in lines
    assert "2023-03-10 · through USDC" in lines


def test_what_was_still_gone_later_is_shown_or_said_to_be_unknown() -> None:
    lines = words(picture("stress", records.six_pools()))
    assert lines.count("later: not known") == 1
    assert lines.count("0.04% after 30 days") == 2


def test_the_headline_of_the_stress_is_the_finding() -> None:
    many = headline(picture("stress", records.six_pools()))
    assert many == (
        "The worst of 5 past events would have cost 6.13% (“USDC: reserves at Silicon Valley Bank”); "
        "3 of 5 strike the choice"
    )
    none = [event | {"loss": 0.0, "hit": []} for event in records.events()]
    assert headline(picture("stress", records.six_pools(stress=none))) == (
        "None of 5 past events strikes what is held today"
    )
    assert headline(picture("stress", records.six_pools(stress=none[:1]))) == (
        "The one past event does not strike what is held today"
    )


def test_more_events_than_fit_are_summed_up() -> None:
    lines = " ".join(words(picture("stress", records.crowd())))
    assert "11 more events, each at most 11.00%, are in the record." in lines
    assert "Event 11" in lines
    assert "Event 10 " not in lines


# --- axes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "most", "step"), [(0.62, 8, 0.1), (0.1, 10, 0.01), (0.11, 10, 0.02), (1.0, 3, 0.5), (3e-7, 6, 5e-8)]
)
def test_a_step_is_round(span: float, most: int, step: float) -> None:
    assert step_of(span, most) == pytest.approx(step)


def test_ticks_hold_zero_exactly_and_show_their_digits() -> None:
    marked = ticks(-0.13, 0.61, 8)
    assert 0.0 in marked
    assert marked == pytest.approx([-0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert [tick_label(v, 0.1) for v in marked[:3]] == ["10%", "0%", "10%"]
    assert tick_label(0.005, 0.005) == "0.5%"
    assert tick_label(-0.0002, 0.0001) == "0.02%"
