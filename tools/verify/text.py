"""The text: every figure shows its value. What lies between the figures is checked in ``prose`` and ``claims``."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from tools.verify import shape, shown
from tools.verify.claims import check_claims
from tools.verify.folder import RATIONALE
from tools.verify.prose import MARKUP, Figure, check_prose, mask_figures
from tools.verify.report import Difference, Findings, printable
from tools.verify.strict_json import NotStrictJsonError, PointerError, parse, resolve, tokens, value_at

MAX_MARKDOWN = 2**20
MAX_FIGURE = 300
_GAP = "[ \u00a0\u202f]?"
_UNIT_AFTER = re.compile(
    rf"[{MARKUP}]*{_GAP}[{MARKUP}]*(?P<unit>%|‰|(?:percentage|percent|per cent|bps?|basis|k|m|bn)(?![^\W\d_]))",
    re.IGNORECASE,
)
# Where the names that a text may show stand; a name has letters, and no markup.
_NAMES = re.compile(
    r"(?:/runs/[a-z][a-z0-9_]*)?(?:/assumptions/\d+/name|/candidates/\d+/pools/\d+/(name|weakest_party)|/candidates/\d+/risk/largest_(protocol|issuer|chain)/name"
    r"|/candidates/\d+/risk/exposure/nodes/\d+/name|/candidates/\d+/risk/stress/\d+/title"
    r"|/market/risk_free/source|/market/warnings/\d+|/alternatives/(hold|risk_free)/name|/mandate/notes/\d+"
    r"|/mandate/(chains|protocols|tokens)_(include|exclude)/\d+"
    r"|/infeasible/(conflict/\d+/value|ways_out/\d+/before)(/\d+)?)"
    r"|/subjects/\d+/name|/reason"
)
_READS_AS_A_NAME = re.compile(r"(?=.*[^\W\d_])(?![-−]?[$€£]?[\d.,]+\s?(%|k|m|bn|bps?|percent)?$)", re.IGNORECASE)
_ACTIVE = re.compile(r"[<>\[\]`|*]|\\")
_UNITS_ALLOWED_AFTER = {"percentage": "percentage_points", "bps": "bps", "bp": "bps", "basis": "bps"}


def check_text(record: dict[str, Any]) -> tuple[Difference, ...]:
    """Check the text of a record that is still plain data: its ``rationale`` and all that it points to.

    Returns what does not hold, at most 50 entries; numbers count as JSON writes them. Raises nothing for a text that is
    wrong.
    """
    findings = Findings()
    try:
        exact = parse(json.dumps(record, ensure_ascii=False).encode("utf-8", errors="surrogatepass"), exact=True)
    except (NotStrictJsonError, TypeError, RecursionError, ValueError) as error:
        findings.add(RATIONALE, f"belongs to a record that is not JSON: {printable(str(error))}")
    else:
        check_markdown(exact, None, findings)
    return findings.report().differences


def check_markdown(document: dict[str, Any], rationale: bytes | None, findings: Findings) -> None:
    """Check the text of a recommendation read with exact numbers; ``rationale`` is the file beside it."""
    part = document.get("rationale")
    if not isinstance(part, dict) or not isinstance(part.get("markdown"), str):
        findings.at("/rationale", "holds no text to check", "a text")
        return
    markdown = part["markdown"]
    _check_file(markdown, rationale, findings)
    if len(markdown) > MAX_MARKDOWN:
        findings.at("/rationale/markdown", f"is longer than {MAX_MARKDOWN} characters", MAX_MARKDOWN, len(markdown))
        return
    figures = _figures(part.get("figures"), len(markdown), findings)
    for figure in figures:
        _check_figure(figure, markdown, document, findings)
    _check_overlaps(figures, findings)
    _check_rows(figures, markdown, document, findings)
    prose = mask_figures(markdown, figures)
    check_claims(part.get("claims"), prose, document, findings)
    check_prose(prose, findings)


def _check_file(markdown: str, rationale: bytes | None, findings: Findings) -> None:
    if rationale is None:
        return
    try:
        saved = rationale.decode("utf-8")
    except UnicodeDecodeError as error:
        findings.add(RATIONALE, f"is not UTF-8 at byte {error.start}")
        return
    if saved != markdown:
        both = zip(saved, markdown, strict=False)
        at = next((i for i, (left, right) in enumerate(both) if left != right), min(len(saved), len(markdown)))
        here, there = (printable(text[max(0, at - 20) : at + 20]) for text in (saved, markdown))
        findings.add(RATIONALE, f"differs from /rationale/markdown at {at}: '{here}' instead of '{there}'", there, here)


def _figures(entries: object, length: int, findings: Findings) -> list[Figure]:
    """Return the entries that can be checked, in order of place.

    The shape of the others is reported with the record's.
    """
    figures = []
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        findings.figures += 1
        if not shape.FIGURE(entry, f"/rationale/figures/{index}", Findings()):
            continue
        figure = Figure(entry["start"], entry["end"], entry["text"], entry["pointer"], entry["unit"])
        if not figure.start < figure.end <= length:
            _wrong(figure, f"lies outside the text of {length} characters", findings)
        elif figure.end - figure.start > MAX_FIGURE:
            _wrong(figure, f"is longer than {MAX_FIGURE} characters", findings)
        else:
            figures.append(figure)
    return sorted(figures)


def _wrong(figure: Figure, what: str, findings: Findings, expected: object = "") -> None:
    place = f"'{printable(figure.text, 60)}' at {figure.start}–{figure.end}"
    findings.add(RATIONALE, f"{place} {what}", expected, figure.text)


def _check_figure(figure: Figure, markdown: str, document: dict[str, Any], findings: Findings) -> None:
    stands = markdown[figure.start : figure.end]
    if stands != figure.text:
        _wrong(figure, f"is not what stands there: '{printable(stands, 60)}'", findings, stands)
        return
    pointer = printable(figure.pointer)
    if figure.unit != "name":
        _check_neighbours(figure, markdown, findings)
    try:
        value = value_at(document, figure.pointer)
    except PointerError as error:
        _wrong(figure, f"points to {pointer}, which {error}", findings)
        return
    if figure.unit == "name" and (not _NAMES.fullmatch(figure.pointer) or not _READS_AS_A_NAME.match(figure.text)):
        _wrong(figure, f"is shown as a name, which {pointer} does not hold", findings, "a name")
    elif figure.unit == "name" and _ACTIVE.search(figure.text):
        _wrong(figure, "holds markup, which no name does", findings, "plain text")
    fault = shown.fault(figure.text, figure.unit, value)
    if fault:
        _wrong(figure, f"{printable(fault, 160)} ({pointer} is {printable(value, 60)})", findings, value)
    elif figure.unit not in _units_of(figure.pointer, document):
        _wrong(figure, f"shows {pointer} in the unit {figure.unit}", findings, "another unit")


def _units_of(pointer: str, document: dict[str, Any]) -> Sequence[str]:
    """Return the units that fit a field of the record, by its name; ``derived`` values have none of their own."""
    parts = tokens(pointer)
    name = parts[-1] if parts else ""
    if parts[:1] == ["runs"]:  # of an answer: the rest points into one of its runs
        parts = parts[2:]
        run = document["runs"].get(tokens(pointer)[1])
        document = run if isinstance(run, dict) else {}
    if parts[:1] == ["derived"] or parts[1:2] in (["excluded"], ["ruled_out"]):  # values of any kind; counts by rule
        return shape.UNITS
    if name.endswith("_usd"):
        return ("usd",)
    if name.endswith("_bps"):
        return ("bps",)
    if name in ("amount", "income", "income_low", "income_high", "net_income"):
        mandate = document.get("mandate")
        asset = mandate.get("asset") if isinstance(mandate, dict) else None
        return (asset.lower(),) if isinstance(asset, str) else ()
    of_a_score = "parts" in parts or "parts_behind" in parts
    if not of_a_score and (name == "weight" or name.startswith("apy") or name.endswith("_apy")):
        return ("percent", "percentage_points")
    return shape.UNITS


def _check_neighbours(figure: Figure, markdown: str, findings: Findings) -> None:
    """See that no digit, sign, currency, unit or multiple beside a figure makes it read as another number."""
    before = markdown[max(0, figure.start - 16) : figure.start].rstrip("*_`~\\")
    after = markdown[figure.end : figure.end + 32]
    if re.search(r"[\w$€£^]$|[^\W_][.,]$|[-−]$|(?:^|[\s(])–$", before):
        _wrong(figure, f"continues what stands before it: '{printable(before[-8:])}'", findings)
    if re.match(rf"[{MARKUP}]*(?:[^\W_]|[.,]\d)", after):
        _wrong(figure, f"is continued by what stands after it: '{printable(after[:8])}'", findings)
        return
    unit = _UNIT_AFTER.match(after)
    if unit and _UNITS_ALLOWED_AFTER.get(unit["unit"].lower()) != figure.unit:
        _wrong(
            figure, f"is followed by '{printable(unit['unit'])}', but its unit is {figure.unit}", findings, figure.unit
        )


def _check_overlaps(figures: Sequence[Figure], findings: Findings) -> None:
    reached = 0
    for figure in figures:
        if figure.start < reached:
            _wrong(figure, "overlaps another figure", findings)
        reached = max(reached, figure.end)


def _check_rows(figures: Sequence[Figure], markdown: str, document: dict[str, Any], findings: Findings) -> None:
    """See that the figures of one row of a table do not mix two pools.

    A swap of two pools' pointers would show true figures in wrong rows.
    """
    pools: dict[int, tuple[str, Figure]] = {}
    lines = [0, *(match.end() for match in re.finditer("\n", markdown))]
    for figure in figures:
        line = lines[bisect_right(lines, figure.start) - 1]
        pool = _pool_of(figure.pointer, document) if markdown.startswith("|", line) else None
        if pool is None:
            continue
        first, other = pools.setdefault(line, (pool, figure))
        if first != pool:
            _wrong(
                figure, f"belongs to another pool than '{printable(other.text, 40)}' in the same row", findings, first
            )


def _pool_of(pointer: str, document: dict[str, Any]) -> str | None:
    match = re.match(
        r"(?:/runs/[a-z][a-z0-9_]*)?(?:/candidates/[0-9]+/pools/[0-9]+|/choice/pools/[0-9]+)(?=/)", pointer
    )
    if match is None:
        return None
    try:
        pool_id = resolve(document, f"{match[0]}/pool_id")
    except PointerError:
        return None
    return pool_id if isinstance(pool_id, str) else None
