"""The sheet that every picture stands on: the finding as its headline, what is shown, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from tools.flowchart import typeface
from tools.flowchart.elements import INK, PAPER, SOFT, clean, dashed, px, rect, text
from tools.units import DAYS_PER_YEAR, safe_label

Plain = Mapping[str, Any]

WIDTH, MARGIN = 1000.0, 36.0
RIGHT = WIDTH - MARGIN
HEADLINE, SUBTITLE, BODY, SMALL = 22.0, 14.0, 13.0, 12.0
RULE, GRID = "#b9c2cc", "#e3e8ee"
ACCENT, GAIN, LOSS, TAIL, WARNING = "#0b3d70", "#6486ab", "#b5483a", "#fbefec", "#704b00"
HALO = f' stroke="{PAPER}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'

SET_BY_USER = "set by the user"  # the basis of such a hazard
_BANNER = "SYNTHETIC MARKET: these are not real pools"


class Subject(NamedTuple):
    """What the pictures are about: the chosen candidate, the day, and whether the market is made up."""

    candidate: Plain
    as_of: str
    synthetic: bool

    @classmethod
    def of(cls, record: Plain) -> Subject:
        """Take the chosen candidate out of a record with a choice."""
        chosen = record["choice"]["candidate_id"]
        candidate = next(each for each in record["candidates"] if each["id"] == chosen)
        market = record["market"]
        return cls(candidate, safe_label(record["as_of"])[:10], bool(market and market["synthetic"]))

    @property
    def all_in(self) -> Plain:
        """Return the view with events and costs."""
        all_in: Plain = self.candidate["risk"]["all_in"]
        return all_in

    @property
    def simulated(self) -> str:
        """Say where simulated figures come from."""
        run = self.all_in
        nodes = self.candidate["risk"]["exposure"]["nodes"]
        own = (
            ", some set by the user"
            if any(node["hazard"] and node["hazard"]["basis"] == SET_BY_USER for node in nodes)
            else ""
        )
        level = safe_label(run["hazard_level"])
        return f"simulated, {run['paths']:,} paths, seed {run['seed']}, hazard: {level}{own}"

    @property
    def spans(self) -> str:
        """Name what a path stands for: years, or spans of so many days."""
        days = self.all_in["horizon_days"]
        return "simulated years" if days == DAYS_PER_YEAR else f"simulated spans of {days} days"

    def limit(self, rule: str) -> float | None:
        """Return the limit that the all-in figure is held against, None where the gates look at carry alone."""
        if self.candidate["risk"]["gate_view"] != "all_in":
            return None
        limits = [gate["limit"] for gate in self.candidate["gates"] if gate["rule"] == rule]
        return limits[0] if limits and isinstance(limits[0], float) else None


class Page(NamedTuple):
    """One picture: its words, its elements drawn from y = 0 down, and how tall they are."""

    finding: str
    subtitle: str
    description: str
    source: str
    body: Sequence[str]
    height: float


def write(subject: Subject, page: Page) -> str:
    """Write a page as a self-contained SVG document, byte for byte the same for the same page."""
    heading, top = _heading(subject, page)
    footer = _footer(subject, page, top + page.height)
    height = top + page.height + 44.0
    origin = ["SYNTHETIC market, not real pools."] if subject.synthetic else []
    description = " ".join([f"As of {subject.as_of}.", *origin, f"{page.finding}.", page.description])
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{px(WIDTH)}" height="{px(height)}" '
            f'viewBox="0 0 {px(WIDTH)} {px(height)}" role="img" font-family="{escape(typeface.FAMILY)}">',
            f"<title>{clean(page.finding)}</title>",
            f"<desc>{clean(description)}</desc>",
            rect(0, 0, WIDTH, height, 0, f'fill="{PAPER}"'),
            rect(0, 0, WIDTH, 5, 0, f'fill="{ACCENT}"'),
            *heading,
            f'<g transform="translate(0 {px(top)})">',
            *page.body,
            "</g>",
            *footer,
            "</svg>\n",
        ]
    )


def _heading(subject: Subject, page: Page) -> tuple[list[str], float]:
    """Return banner, headline and subtitle, and the y at which the body begins."""
    parts, y = [], 44.0
    if subject.synthetic:
        width = typeface.width(_BANNER, SUBTITLE, bold=True) + 28
        parts += [
            rect(MARGIN, 20, width, 27, 5, f'fill="{WARNING}"'),
            text(_BANNER, MARGIN + 14, 38.5, SUBTITLE, PAPER, bold=True),
        ]
        y += 36.0
    for line in typeface.wrap(page.finding, RIGHT - MARGIN, HEADLINE, bold=True, most=3):
        parts.append(text(line, MARGIN, y, HEADLINE, INK, bold=True))
        y += HEADLINE * 1.3
    y -= 4.0
    for line in typeface.wrap(page.subtitle, RIGHT - MARGIN, SUBTITLE):
        parts.append(text(line, MARGIN, y, SUBTITLE, SOFT))
        y += SUBTITLE * 1.35
    return parts, y + 4.0


def _footer(subject: Subject, page: Page, y: float) -> list[str]:
    source = f"As of {subject.as_of}. {page.source}"
    (line,) = typeface.wrap(source, RIGHT - MARGIN, SMALL, most=1)
    return [rule(MARGIN, y + 10, RIGHT, y + 10, RULE, 1.0), text(line, MARGIN, y + 29, SMALL, SOFT)]


def rule(x0: float, y0: float, x1: float, y1: float, colour: str, width: float, pattern: str = "") -> str:
    """Write a straight line."""
    path = f"M{px(x0)} {px(y0)}L{px(x1)} {px(y1)}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{px(width)}"{dashed(pattern)}/>'


def centred(words: str, x: float, y: float, size: float, colour: str, *, bold: bool = False) -> str:
    """Write a text in the middle over x."""
    return text(words, x, y, size, colour, bold=bold, extra=' text-anchor="middle"')


def ending(words: str, x: float, y: float, size: float, colour: str, *, bold: bool = False) -> str:
    """Write a text that ends at x."""
    return text(words, x, y, size, colour, bold=bold, extra=' text-anchor="end"')


def paragraph(words: str, y: float, most: int = 2) -> tuple[list[str], float]:
    """Set a note across the sheet; return its lines and the y under them."""
    lines = typeface.wrap(words, RIGHT - MARGIN, SMALL, most=most)
    return [text(line, MARGIN, y + i * 17.0, SMALL, SOFT) for i, line in enumerate(lines)], y + len(lines) * 17.0
