"""Mermaid, PNG, typeface and wording."""

from __future__ import annotations

import json
import re
import struct
from importlib import resources
from pathlib import Path

import flowchart_records as records
import pytest

from tools.flowchart import (
    RenderedFlowchart,
    build_graph,
    node_link,
    render,
    to_mermaid,
    to_png,
    to_svg,
    typeface,
    wording,
)
from tools.flowchart.png import SCALE

DRAWN = records.OUTCOMES | {"hostile": records.hostile, "hostile_end": records.hostile_end}
LABEL = r'"(?:[^"<>\[\]{}`|\\#&*_=;\'\n]|#\d+;|<br/>)*"'
LINES = (
    r"flowchart LR",
    rf"  subgraph lane\d\[{LABEL}\]",
    r"    direction TB",
    r"  end",
    rf"    n\d+\[{LABEL}\]:::(?:passed|failed|untested|chosen|neutral)",
    rf"  n\d+ (?:-->|==>|-\.->)(?:\|{LABEL}\|)? n\d+",
    r"  classDef [a-z]+ fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#[0-9a-f]{6},stroke-width:[\d.]+px"
    r"(?:,stroke-dasharray:\d \d)?",
)


def stray(mermaid: str) -> list[str]:
    """Return the lines that are none of the few forms which the writer uses."""
    return [line for line in mermaid.splitlines() if not any(re.fullmatch(form, line) for form in LINES)]


@pytest.mark.parametrize("name", DRAWN)
def test_mermaid_has_no_line_but_its_own(name: str) -> None:
    graph = build_graph(DRAWN[name]())
    text = to_mermaid(graph)
    assert stray(text) == []
    assert all(c.isprintable() or c == "\n" for c in text)
    assert len(re.findall(r"^    n\d+\[", text, re.MULTILINE)) == len(graph)
    assert len(re.findall(r"^  n\d+ .* n\d+$", text, re.MULTILINE)) == graph.number_of_edges()


@pytest.mark.parametrize("bad", records.HOSTILE)
def test_mermaid_writes_any_label_inert(bad: str) -> None:
    graph = build_graph(records.record())
    graph.nodes["n1"]["label"] = [bad, bad]
    edge = next(iter(graph.edges))
    graph.edges[edge]["label"] = bad
    text = to_mermaid(graph)
    assert stray(text) == []
    assert "javascript:" not in text
    assert text.count("\n") == to_mermaid(build_graph(records.record())).count("\n")


def test_a_stray_line_would_be_seen() -> None:
    assert stray('flowchart LR\nclick n1 "javascript:alert(1)"') == ['click n1 "javascript:alert(1)"']
    assert stray('    n1["a"]; click n1 "x"]:::passed')
    assert stray('    n1["<b>"]:::passed')


def test_mermaid_shows_marks_classes_and_dashes() -> None:
    text = to_mermaid(build_graph(records.record()))
    assert '["★ Balanced Score<br/>inverse volatility' in text
    assert re.search(r'\["✗ Failed<br/>✗ high-risk profile, limit medium.*"\]:::failed', text)
    assert '["? Untested#58; loss limits<br/>' in text
    assert re.search(r'n\d+ -\.->\|"sent back once"\| n\d+', text)


def size(png: bytes) -> tuple[int, int]:
    return struct.unpack(">II", png[16:24])  # type: ignore[return-value]


def test_the_png_is_the_svg_in_its_size() -> None:
    picture = to_svg(build_graph(records.out_of_scope()))
    width, height = (float(v) for v in re.findall(r'(?:width|height)="([\d.]+)"', picture)[:2])
    png = to_png(picture)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert size(png) == (pytest.approx(SCALE * width, abs=1), pytest.approx(SCALE * height, abs=1))
    assert size(to_png(picture, scale=0.5)) == (pytest.approx(width / 2, abs=1), pytest.approx(height / 2, abs=1))
    assert png == to_png(picture)


def test_text_is_drawn_with_the_shipped_face() -> None:
    """The system's fonts are off: without the shipped ones a text would leave no trace."""
    frame = '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20" font-family="{}">{}</svg>'
    empty = to_png(frame.format(typeface.FAMILY, ""))
    word = '<text x="2" y="15" font-size="14"{}>Plimsoll ✓✗★</text>'
    plain = to_png(frame.format(typeface.FAMILY, word.format("")))
    bold = to_png(frame.format(typeface.FAMILY, word.format(' font-weight="bold"')))
    assert len({empty, plain, bold}) == 3
    assert to_png(frame.format("Nowhere, sans-serif", word.format(""))) == plain


def test_what_is_no_svg_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        to_png("no picture")


def font_advances(path: Path) -> dict[str, int]:
    """Read the advance widths out of a TrueType file: cmap format 4 and hmtx (OpenType 1.9)."""
    data = path.read_bytes()
    tables = {data[i : i + 4]: struct.unpack(">I", data[i + 8 : i + 12])[0] for i in range(12, 12 + 16 * data[5], 16)}
    metrics_count = struct.unpack(">H", data[tables[b"hhea"] + 34 :][:2])[0]
    cmap = tables[b"cmap"]
    starts = [struct.unpack(">I", data[cmap + 8 + 8 * i :][:4])[0] for i in range(data[cmap + 3])]
    at = next(cmap + start for start in starts if data[cmap + start : cmap + start + 2] == b"\0\4")
    count = struct.unpack(">H", data[at + 6 : at + 8])[0] // 2
    unpacked = struct.unpack(f">{count}H2x{count}H{count}h{count}H", data[at + 14 : at + 16 + 8 * count])
    ends, firsts, deltas, ranges = (unpacked[i * count : (i + 1) * count] for i in range(4))
    advances = {}
    for i in range(count - 1):
        for code in range(firsts[i], ends[i] + 1):
            glyph = code
            if ranges[i]:
                place = at + 16 + 6 * count + 2 * i + ranges[i] + 2 * (code - firsts[i])
                glyph = struct.unpack(">H", data[place : place + 2])[0]
            index = min((glyph + deltas[i]) % 65536, metrics_count - 1)
            advances[chr(code)] = struct.unpack(">H", data[tables[b"hmtx"] + 4 * index :][:2])[0]
    return advances


@pytest.mark.parametrize(("face", "file"), [("regular", "DejaVuSans.ttf"), ("bold", "DejaVuSans-Bold.ttf")])
def test_the_widths_are_those_of_the_fonts(face: str, file: str) -> None:
    with resources.as_file(resources.files("tools.flowchart").joinpath("fonts")) as fonts:
        stored = json.loads((fonts / "widths.json").read_text("utf-8"))
        assert "Bitstream Vera" in (fonts / "LICENSE.txt").read_text("utf-8")
        assert dict(zip(stored["characters"], stored[face], strict=True)) == font_advances(fonts / file)


def test_wrapping_keeps_every_word_or_ends_in_an_ellipsis() -> None:
    text = "weight of one pool 41.22% to 43.54%, limit 40%"
    lines = typeface.wrap(text, 220, 14)
    assert " ".join(lines) == text
    assert all(typeface.width(line, 14) <= 220 for line in lines)
    (short,) = typeface.wrap(text, 100, 14, most=1)
    assert short.endswith("…")
    assert typeface.width(short, 14) <= 100
    endless = typeface.wrap("W" * 400, 100, 14, most=3)
    assert len(endless) == 3
    assert endless[-1].endswith("…")
    assert typeface.wrap("", 100, 14) == [""]


def test_what_the_face_lacks_is_replaced() -> None:
    assert typeface.drawable("日 ₮ Δ\x1b\u202e") == "□ ₮ Δ□□"


@pytest.mark.parametrize(
    ("value", "asset", "text"),
    [
        (100.0, "ETH", "100 ETH"),
        (34.567891, "ETH", "34.5679 ETH"),
        (0.05, "BTC", "0.05 BTC"),
        (0.0000012345, "BTC", "0.0000012 BTC"),
        (0.0, "ETH", "0 ETH"),
        (250_000.0, "USD", "$250,000"),
        (2487.1, "USD", "$2,487"),
        (487.1, "USD", "$487.10"),
        (0.0034, "USD", "$0.0034"),
    ],
)
def test_amounts(value: float, asset: str, text: str) -> None:
    assert wording.amount(value, asset) == text


def test_figures_are_rounded_half_to_even_on_their_decimals() -> None:
    assert [wording.percent(v) for v in (0.06125, 0.06135, 0.0615, -0.00001)] == ["6.12%", "6.14%", "6.15%", "0.00%"]
    assert [wording.money(v) for v in (10_000_000.0, 38_120_000.0, 1_236_400_000.0, 900_000.0)] == [
        "$10m",
        "$38.1m",
        "$1.2bn",
        "$900,000",
    ]
    assert wording.percent(0.4, trim=True) == "40%"
    assert wording.basis_points(331.4) == "+331 bps"
    assert wording.basis_points(-14.2) == "-14 bps"
    assert wording.basis_points(0.2) == "0 bps"


def test_a_sentence_keeps_its_signs_and_loses_what_does_not_print() -> None:
    assert wording.sentence("don't\n put $5 > 3\x1b[0m\u202e", 40) == "don't put $5 > 3 [0m"
    assert wording.sentence("a" * 50, 10) == "a" * 9 + "…"


def test_a_breach_shows_the_digits_that_tell_it_apart() -> None:
    assert wording.breach("max_weight", 0.400004, 0.4) == ("40.0004%", "40%")
    assert wording.breach("max_weight", 0.62, 0.4) == ("62%", "40%")
    assert wording.breach("profile_risk", "high", "low") == ("high", "low")


@pytest.mark.parametrize(
    ("rule", "value", "text"),
    [
        ("min_tvl", 12_300_000.0, "$12.3m"),
        ("history_days", 61.0, "61 days"),
        ("min_pools", 3.0, "3"),
        ("protocol_risk", 0.347, "0.35"),
        ("cvar_95", 0.03, "3%"),
        ("anything", None, "unknown"),
    ],
)
def test_a_gate_is_measured_in_the_unit_of_its_rule(rule: str, value: float | None, text: str) -> None:
    assert wording.measure(rule, value) == text


def test_render_writes_one_graph_in_every_form() -> None:
    made = records.record()
    graph = build_graph(made)
    picture = to_svg(graph)
    assert render(made) == RenderedFlowchart(node_link(graph), to_mermaid(graph), picture, to_png(picture))
