"""The elements of every picture as SVG text: only presentation attributes, every text reduced and escaped here."""

from __future__ import annotations

import re
from html import escape

from tools.flowchart import typeface

INK, SOFT, FAINT, PAPER, BAND, TRACK = "#1b2530", "#414c59", "#6f7b88", "#ffffff", "#f1f4f8", "#dfe5ec"

# What a reader that looks for scripts takes for one, though it is only a name: shown the same, written otherwise.
_LOOKS_ACTIVE = re.compile(r"\bon\w+\s*=|href\s*=|javascript:", re.IGNORECASE)


def clean(text: str) -> str:
    """Make a text safe inside an element: characters of the shipped face only, escaped, nothing that looks active."""
    escaped = escape(typeface.drawable(text), quote=True)
    return _LOOKS_ACTIVE.sub(lambda found: f"{found.group()[:-1]}&#{ord(found.group()[-1])};", escaped)


def px(value: float) -> str:
    """Write a coordinate with one decimal."""
    return f"{round(value, 1):g}"


def text(words: str, x: float, y: float, size: float, colour: str, *, bold: bool = False, extra: str = "") -> str:
    """Write one line of text, its baseline at y; ``extra`` are further attributes, none of them from outside."""
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{px(x)}" y="{px(y)}" font-size="{px(size)}"'
    return f'<text {place} fill="{colour}"{weight}{extra}>{clean(words)}</text>'


def rect(x: float, y: float, width: float, height: float, radius: float, rest: str) -> str:
    """Write a rectangle; ``rest`` are its fill and stroke."""
    size = f'width="{px(width)}" height="{px(height)}" rx="{px(radius)}"'
    return f'<rect x="{px(x)}" y="{px(y)}" {size} {rest}/>'


def dashed(pattern: str) -> str:
    """Write the attribute for a dashed line, nothing for a solid one."""
    return f' stroke-dasharray="{pattern}"' if pattern else ""
