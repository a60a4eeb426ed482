"""A lexeme: one or more tokens that mean one thing, with every reading that it may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# What a lexeme can be besides a word; a name can be several things at once (Ethereum is a chain and a coin).
KINDS = frozenset(
    {
        "num",
        "usd",
        "pct",
        "share",
        "range",
        "days",
        "unit",
        "months",
        "unclear",
        "foreign",
        "coin",
        "token",
        "chain",
        "protocol",
        "profile",
    }
)
NUMBERS = frozenset({"{num}", "{usd}", "{pct}", "{share}", "{range}", "{unclear}"})
STOPS = frozenset({".", ";", "?", "!", "\n"})


@dataclass(frozen=True, slots=True)
class Lexeme:
    """Tokens at [start, end) of the text.

    ``readings`` maps each kind that it may be to its value; ``flags`` say how it was written (``capital``, ``scaled``).
    """

    word: str
    start: int
    end: int
    readings: Mapping[str, Any] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    stems: frozenset[str] = frozenset()  # the stems of the grammar that the word starts with, each with its asterisk
    keys: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "keys", frozenset({self.word}) | self.stems | {"{" + kind + "}" for kind in self.readings}
        )

    def get(self, kind: str) -> Any:
        """Return the value of a reading, None when the lexeme has none of that kind."""
        return self.readings.get(kind)

    @property
    def is_number(self) -> bool:
        """Tell whether this is a number of any kind."""
        return not self.keys.isdisjoint(NUMBERS)
