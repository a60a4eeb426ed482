"""The question as lexemes, cut into sentences and clauses, with a record of what has been understood so far."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.errors import MandateError
from tools.question.grammar import Match
from tools.question.lexeme import STOPS, Lexeme
from tools.question.lexer import read_lexemes
from tools.question.lexicon import Lexicon, lexicon
from tools.records import Asset

_CUTS = STOPS | {",", "and", "but", "while", "|", "/", "-", "(", ")", '"', "although", "though", "whereas", "however"}
_BEFORE_PERIOD = frozenset(
    {"for", "over", "next", "coming", "during", "one", "per", "every", "each", "this", "within", "last"}
)
_MARKUP = str.maketrans(dict.fromkeys("<>[]{}|*_`\\#", " "))
_LONGEST_NOTE = 120


class Line:
    """A cleaned text as lexemes; ``words`` replaces the vocabulary of a question.

    ``used`` holds the places of lexemes that some field has taken; numbers and names are taken once.
    """

    def __init__(self, text: str, words: Lexicon | None = None) -> None:
        self.text = text
        self.words = words or lexicon()
        self.lexemes: Sequence[Lexeme] = _without_levels(read_lexemes(text, self.words))
        self.used: set[int] = set()
        self.segments: dict[int, range] = {}  # by the place of each number, filled when first asked for
        self.sentences = _cut(self.lexemes, STOPS)
        self.clauses = _cut(self.lexemes, _CUTS)
        self._clause_starts = [clause.start for clause in self.clauses]
        self._sentence_starts = [sentence.start for sentence in self.sentences]

    @property
    def whole(self) -> range:
        """Return the places of all lexemes."""
        return range(len(self.lexemes))

    def find(self, name: str, span: range | None = None) -> list[Match]:
        """Return where the phrases of a list stand (within ``span``)."""
        return self.words.grammar.find(name, self.lexemes, span)

    def fresh(self, name: str, span: range | None = None) -> Iterator[Match]:
        """Yield the matches of which no remembered number or name is taken, as it stands when each is asked for."""
        for match in self.find(name, span):
            if self.used.isdisjoint(match.captures.values()):
                yield match

    def has(self, name: str, span: range) -> bool:
        """Tell whether a phrase of the list stands within the span."""
        return bool(self.find(name, span))

    def use(self, places: Iterable[int]) -> None:
        """Mark lexemes as understood."""
        self.used.update(places)

    def value(self, match: Match, name: str) -> Any:
        """Return the reading of kind ``name`` of the lexeme that the match remembered under that name."""
        return self.lexemes[match.captures[name]].get(name)

    def match_at(self, name: str, span: range) -> Match | None:
        """Return the match of a list that starts where the span does."""
        return next((match for match in self.find(name, span) if match.start == span.start), None)

    def is_kind(self, place: int, *kinds: str) -> bool:
        """Tell whether the lexeme at a place, if there is one, has a reading of one of the kinds."""
        return 0 <= place < len(self.lexemes) and not self.lexemes[place].readings.keys().isdisjoint(kinds)

    def is_number(self, place: int) -> bool:
        """Tell whether a number stands at a place."""
        return 0 <= place < len(self.lexemes) and self.lexemes[place].is_number

    def word(self, place: int) -> str:
        """Return the word at a place, empty outside the line."""
        return self.lexemes[place].word if 0 <= place < len(self.lexemes) else ""

    def clause_of(self, place: int) -> range:
        """Return the clause in which a lexeme stands."""
        return self.clauses[max(bisect_right(self._clause_starts, place) - 1, 0)]

    def sentence_of(self, place: int) -> range:
        """Return the sentence in which a lexeme stands."""
        return self.sentences[max(bisect_right(self._sentence_starts, place) - 1, 0)]

    def numbers(self, span: range) -> list[int]:
        """Return the places of the numbers within a span; the ``one`` of ``any one pool`` counts nothing."""
        return [
            place
            for place in span
            if self.lexemes[place].is_number and not (self._is_article(place) or self._is_period(place))
        ]

    def _is_period(self, place: int) -> bool:
        """Tell the quarter of a year from the quarter of a sum: ``for a quarter``, ``next quarter``."""
        before = place - 1 - (self.word(place - 1) in {"a", "the"})
        return "days" in self.lexemes[place].readings and self.word(before) in _BEFORE_PERIOD

    def _is_article(self, place: int) -> bool:
        following = self.lexemes[place + 1].keys if place + 1 < len(self.lexemes) else frozenset()
        if self.lexemes[place].word == "one" and self.word(place - 1) in {
            "any",
            "each",
            "every",
            "per",
            "single",
            "no",
        }:
            return True
        return self.lexemes[place].word == "one" and following.isdisjoint({"{coin}", "{token}", "{unit}"})

    def asset_at(self, place: int) -> Asset | None:
        """Return the asset that the coin or token at a place stands for, None when it is none of ours."""
        readings = self.lexemes[place].readings
        coin: Asset | None = readings.get("coin")
        return coin or lexicon().symbol_assets.get(readings.get("token", ""))

    def coin_behind(self, place: int) -> Asset | None:
        """Return the asset of the coin or token right behind a number."""
        return self.asset_at(place + 1) if place + 1 < len(self.lexemes) else None

    def quote(self, span: range) -> str:
        """Return the user's own words for a span, on one line and trimmed."""
        raw = " ".join(self.text[self.lexemes[span.start].start : self.lexemes[span.stop - 1].end].split()).strip(
            " ,;:-"
        )
        # A note is shown again: what would be markup there goes; the words stay the user's own.
        raw = " ".join(raw.translate(_MARKUP).split())
        return raw if len(raw) <= _LONGEST_NOTE else raw[: _LONGEST_NOTE - 1].rstrip() + "…"


def _without_levels(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Make one word of ``95% VaR``, ``value at risk (95 %)``: the level is no limit; others are ``other var``."""
    for name, same in (("about.level", "var"), ("about.level_tail", "cvar")):
        plain: list[Lexeme] = []
        at = 0
        for match in lexicon().grammar.find(name, lexemes):
            level = lexemes[match.captures["level"]]
            percent = level.get("num") if level.get("pct") is None else 100 * level.get("pct")
            if not 90 <= percent < 100:
                continue
            word = same if percent == 95 or same == "cvar" else "other var"
            plain += [*lexemes[at : match.start], Lexeme(word, lexemes[match.start].start, lexemes[match.end - 1].end)]
            at = match.end
        lexemes = plain + lexemes[at:]
    return lexemes


def _cut(lexemes: Sequence[Lexeme], at_words: Iterable[str]) -> list[range]:
    """Cut the line before and after each of the words; the words themselves belong to no part."""
    cuts = frozenset(at_words)
    parts, start = [], 0
    for place, lexeme in enumerate(lexemes):
        if lexeme.word in cuts and not lexeme.is_number:
            parts.append(range(start, place))
            start = place + 1
    parts.append(range(start, len(lexemes)))
    return [part for part in parts if part] or [range(0, len(lexemes))]


@dataclass
class Draft:
    """The mandate while it is being read: values by field, and what could not be turned into one."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)

    def put(self, name: str, value: Any, what: str) -> None:
        """Set a field; raise MandateError when it was already set to something else."""
        old = self.values.setdefault(name, value)
        if old != value:
            raise MandateError(f"two different values for {what} ({name}): {old} and {value}; give one")

    def note(self, line: Line, span: range, taking: range | None = None) -> None:
        """Keep the words of a span as a note, and mark them (or only ``taking``) as understood."""
        text = line.quote(span)
        if text and text not in self.notes.values():
            self.notes[span.start] = text
        line.use(span if taking is None else taking)
