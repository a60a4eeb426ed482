"""What the checker hands back, and the list that the checks write into."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_LISTED = 50
RECORD_FILE = "recommendation.json"

Number = int | float


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not hold. ``what`` is a sentence for a person.

    ``expected`` and ``found`` are the two values as text.
    """

    where: str
    expected: str
    found: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome: what differs (at most 50 are listed), and how much was looked at."""

    differences: tuple[Difference, ...]
    figures: int
    claims: int
    recomputed: int

    @property
    def ok(self) -> bool:
        """Return whether nothing differs."""
        return not self.differences


def printable(value: object, limit: int = 120) -> str:
    """Write a value that came from a file so that it is safe to show.

    One line, nothing invisible, at most ``limit`` characters.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    text = str(value)
    text = text[:limit] + "…" if len(text) > limit else text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def close(left: float, right: float, relative: float, absolute: float) -> bool:
    """Return whether two finite numbers agree within ``absolute`` + ``relative`` · |right|."""
    return math.isfinite(left) and math.isfinite(right) and abs(left - right) <= absolute + relative * abs(right)


class Findings:
    """Collects differences in the order of the checks; keeps the first ones and counts the rest."""

    def __init__(self) -> None:
        self._listed: list[Difference] = []
        self._unlisted = 0
        self.figures = 0
        self.claims = 0
        self.recomputed = 0

    @property
    def total(self) -> int:
        """Return how many differences were found, listed or not."""
        return len(self._listed) + self._unlisted

    def add(self, where: str, what: str, expected: object = "", found: object = "") -> None:
        """Note a difference. ``what`` must already be printable; the values are made so here."""
        if len(self._listed) < MAX_LISTED:
            self._listed.append(Difference(where, printable(expected), printable(found), what))
        else:
            self._unlisted += 1

    def at(self, pointer: str, what: str, expected: object = "", found: object = "") -> None:
        """Note a difference at a place in the record."""
        self.add(f"{RECORD_FILE} {printable(pointer)}", what, expected, found)

    def number(
        self,
        pointer: str,
        found: Number | None,
        expected: Number | None,
        meaning: str,
        relative: float = 1e-9,
        absolute: float = 1e-12,
    ) -> None:
        """Compare a number of the record with the one recomputed; null agrees with null only."""
        self.recomputed += 1
        if found is None or expected is None:
            agree = found is expected
        else:
            agree = close(float(found), float(expected), relative, absolute)
        if not agree:
            self.at(pointer, f"is {printable(found)}, but {meaning} is {printable(expected)}", expected, found)

    def same(self, pointer: str, found: object, expected: object, meaning: str) -> None:
        """Compare a value of the record exactly with what it must be."""
        self.recomputed += 1
        if found != expected or isinstance(found, bool) != isinstance(expected, bool):
            self.at(pointer, f"is {printable(found)}, but {meaning} is {printable(expected)}", expected, found)

    def reasons(self, pointer: str, holder: Mapping[str, object], names: Iterable[str], allowed: str = "") -> None:
        """See that each null among these fields has a reason in ``missing`` beside them, and nothing else has one.

        ``allowed`` is a field whose reason may stand there or be that of another.
        """
        self.recomputed += 1
        missing = holder["missing"]
        given = missing if isinstance(missing, dict) else {}
        absent = {name for name in names if holder[name] is None}
        optional = {allowed} if allowed and holder[allowed] is None else set()
        for name in sorted(absent - given.keys()):
            self.at(f"{pointer}/{name}", "is null without a reason", "a value or a reason", None)
        for name in sorted(given.keys() - absent - optional):
            self.at(f"{pointer}/missing", f"gives a reason for {printable(name)}, which is not null", "", name)
        for name in sorted(given):
            if not str(given[name]).strip():
                self.at(f"{pointer}/missing", f"gives an empty reason for {printable(name)}", "a reason", "")

    def report(self) -> Report:
        """Freeze what was found; when not everything is listed, the last entry says how much is not."""
        listed = list(self._listed)
        if self._unlisted:
            listed[-1] = Difference("…", "", "", f"and {self._unlisted + 1} more differences that are not listed")
        return Report(tuple(listed), self.figures, self.claims, self.recomputed)
