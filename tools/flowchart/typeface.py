"""The typeface of the picture: how wide a text is, and how it is broken into lines that fit.

The widths are those of the shipped DejaVu Sans. A viewer without it falls back to a face that is as wide (Verdana) or
narrower, so nothing grows out of its box.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

FAMILY = "'DejaVu Sans', Verdana, Geneva, Arial, sans-serif"
REPLACEMENT = "□"


@cache
def _widths(bold: bool) -> dict[str, float]:
    """Return the advance width of every character of the face, in em."""
    data = json.loads(resources.files("tools.flowchart").joinpath("fonts/widths.json").read_text("utf-8"))
    advances = data["bold" if bold else "regular"]
    return {
        character: advance / data["units_per_em"]
        for character, advance in zip(data["characters"], advances, strict=True)
    }


def drawable(text: str) -> str:
    """Replace every character that the face lacks by ``□``: among them controls, bidi marks and what XML forbids."""
    known = _widths(False)
    return "".join(c if c in known else REPLACEMENT for c in text)


def width(text: str, size: float, bold: bool = False) -> float:
    """Return the width in px of a drawable text."""
    known = _widths(bold)
    return size * sum(known[c] for c in text)


def wrap(text: str, room: float, size: float, bold: bool = False, most: int = 2) -> list[str]:
    """Break a text into at most ``most`` lines of ``room`` px; where it does not fit, it ends in an ellipsis."""
    words = drawable(text).split(" ")
    lines: list[str] = []
    while words:
        line, words = _fill(words, room, size, bold)
        lines.append(line)
        if len(lines) == most and words:
            lines[-1] = _shorten(f"{line} {words[0]}", room, size, bold)
            break
    return lines


def _fill(words: list[str], room: float, size: float, bold: bool) -> tuple[str, list[str]]:
    """Return the longest line that fits and the words that are left; a word wider than the room is cut."""
    line = words[0]
    taken = 1
    while taken < len(words) and width(f"{line} {words[taken]}", size, bold) <= room:
        line = f"{line} {words[taken]}"
        taken += 1
    if width(line, size, bold) > room:
        head = _fitting(line, room, size, bold)
        return head, [line[len(head) :], *words[1:]]
    return line, words[taken:]


def _fitting(text: str, room: float, size: float, bold: bool) -> str:
    """Return the longest beginning of the text that fits, at least one character."""
    end = len(text)
    while end > 1 and width(text[:end], size, bold) > room:
        end -= 1
    return text[:end]


def _shorten(text: str, room: float, size: float, bold: bool) -> str:
    return _fitting(text, room - width("…", size, bold), size, bold).rstrip() + "…"
