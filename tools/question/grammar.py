r"""A small phrase grammar, so that what the reader understands can be read in ``data/phrases.toml``.

    word        this word                      {name}      a phrase list of that name, or a lexeme of that kind
    stem*       a word that starts so          {name=x}    the same, remembered under x
    (a | b c)   one of these                   [a b]       perhaps
    \(          a bracket as it stands
    ~3          up to three words in between, but no number, comma or stop
    ^3          the same, and no name either

A phrase matches lexemes, not characters; the longest match at the leftmost place wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tools.errors import UsageError
from tools.question.lexeme import KINDS, NUMBERS, STOPS, Lexeme

_Captures = tuple[tuple[str, int], ...]
_State = tuple[int, _Captures]

_STEM = re.compile(r"([^\W\d_]+)\*")
_NAMES = frozenset({"{chain}", "{protocol}", "{token}", "{coin}", "il", "impermanent"})
_BARRIERS = NUMBERS | STOPS | {",", "-", "(", ")", "/"}
_PIECE = re.compile(r"\{[a-z_.]+(?:=[a-z_]+)?\}|[~^]\d|\\[()|\[\]]|[()|\[\]]|[^\s()|\[\]]+")


@dataclass(frozen=True, slots=True)
class Match:
    """Where a phrase was found: lexemes [start, end), and the places of what it remembered."""

    start: int
    end: int
    captures: Mapping[str, int]

    @property
    def span(self) -> range:
        """Return the places of the lexemes."""
        return range(self.start, self.end)


class _Node:
    """A piece of a phrase. ``first`` holds the keys that it can start with; None when it can start with anything."""

    first: frozenset[str] | None

    def ends(self, line: Sequence[Lexeme], at: int, captures: _Captures) -> Iterator[_State]:
        """Yield every place where the piece can end when it starts ``at``."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Key(_Node):
    """One lexeme with this word, with this stem, or of this kind."""

    key: str
    name: str | None
    first: frozenset[str] | None

    def ends(self, line: Sequence[Lexeme], at: int, captures: _Captures) -> Iterator[_State]:
        if at < len(line) and self.key in line[at].keys:
            yield at + 1, (*captures, (self.name, at)) if self.name else captures


@dataclass(frozen=True)
class _Gap(_Node):
    """Up to ``width`` lexemes, none of them a barrier."""

    width: int
    barriers: frozenset[str]
    first: frozenset[str] | None = None

    def ends(self, line: Sequence[Lexeme], at: int, captures: _Captures) -> Iterator[_State]:
        yield at, captures
        for step in range(self.width):
            if at + step >= len(line) or not line[at + step].keys.isdisjoint(self.barriers):
                return
            yield at + step + 1, captures


@dataclass(frozen=True)
class _Row(_Node):
    """Pieces one after the other."""

    parts: tuple[_Node, ...]
    first: frozenset[str] | None

    def ends(self, line: Sequence[Lexeme], at: int, captures: _Captures) -> Iterator[_State]:
        yield from self._from(0, line, at, captures)

    def _from(self, part: int, line: Sequence[Lexeme], at: int, captures: _Captures) -> Iterator[_State]:
        if part == len(self.parts):
            yield at, captures
            return
        for place, kept in self.parts[part].ends(line, at, captures):
            yield from self._from(part + 1, line, place, kept)


@dataclass(frozen=True)
class _Choice(_Node):
    """One of several pieces; with ``optional`` also nothing."""

    parts: tuple[_Node, ...]
    optional: bool
    first: frozenset[str] | None

    def ends(self, line: Sequence[Lexeme], at: int, captures: _Captures) -> Iterator[_State]:
        for part in self.parts:
            if part.first is None or (at < len(line) and not part.first.isdisjoint(line[at].keys)):
                yield from part.ends(line, at, captures)
        if self.optional:
            yield at, captures


@dataclass
class Grammar:
    """Phrase lists by name, compiled when first used."""

    lists: Mapping[str, Sequence[str]]
    _compiled: dict[str, _Node] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """Return every stem in the phrases, without its asterisk."""
        return tuple(
            sorted({stem for phrases in self.lists.values() for phrase in phrases for stem in _STEM.findall(phrase)})
        )

    def node(self, name: str) -> _Node:
        """Return the compiled list; raise UsageError when there is none, or when it contains itself."""
        if name not in self._compiled:
            if name not in self.lists:
                raise UsageError(f"phrases.toml: there is no list {name!r}")
            if name in self._open:
                raise UsageError(f"phrases.toml: the list {name!r} contains itself")
            self._open.add(name)
            self._compiled[name] = _choice(
                [_Phrase(self, phrase).read() for phrase in self.lists[name]], optional=False
            )
            self._open.discard(name)
        return self._compiled[name]

    def find(self, name: str, line: Sequence[Lexeme], span: range | None = None) -> list[Match]:
        """Return where phrases of the list stand within ``span``: from the left, the longest, without overlap."""
        node, found = self.node(name), []
        at, stop = (span.start, span.stop) if span is not None else (0, len(line))
        while at < stop:
            match = self._longest(node, line, at, stop)
            if match:
                found.append(match)
            at = match.end if match else at + 1
        return found

    @staticmethod
    def _longest(node: _Node, line: Sequence[Lexeme], at: int, stop: int) -> Match | None:
        if node.first is not None and node.first.isdisjoint(line[at].keys):
            return None
        ends = [state for state in node.ends(line, at, ()) if at < state[0] <= stop]
        if not ends:
            return None
        end, captures = max(ends, key=lambda state: state[0])
        return Match(at, end, dict(captures))


class _Phrase:
    """Reads one phrase of the grammar, piece by piece."""

    def __init__(self, grammar: Grammar, phrase: str) -> None:
        self._grammar, self._phrase = grammar, phrase
        self._pieces = _PIECE.findall(phrase)
        self._at = 0

    def read(self) -> _Node:
        node = self._alternatives()
        if self._at != len(self._pieces):
            raise UsageError(f"phrases.toml: cannot read {self._phrase!r}")
        return node

    def _alternatives(self) -> _Node:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _choice(parts, optional=False)

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in {"", "|", ")", "]"}:
            parts.append(self._piece())
        return parts[0] if len(parts) == 1 else _Row(tuple(parts), _first_of(parts))

    def _piece(self) -> _Node:
        piece = self._pieces[self._at]
        self._at += 1
        if piece in {"(", "["}:
            node = self._alternatives()
            if self._peek() != (")" if piece == "(" else "]"):
                raise UsageError(f"phrases.toml: an open bracket in {self._phrase!r}")
            self._at += 1
            return node if piece == "(" else _choice([node], optional=True)
        if piece.startswith("{"):
            return self._reference(piece[1:-1])
        if piece.startswith("~"):
            return _Gap(int(piece[1:]), _BARRIERS)
        if piece.startswith("^"):
            return _Gap(int(piece[1:]), _BARRIERS | _NAMES)
        piece = piece.removeprefix("\\")
        return _Key(piece, None, frozenset({piece}))

    def _reference(self, text: str) -> _Node:
        name, _, label = text.partition("=")
        if name in KINDS:
            return _Key("{" + name + "}", label or name, frozenset({"{" + name + "}"}))
        return self._grammar.node(name)

    def _peek(self) -> str:
        return self._pieces[self._at] if self._at < len(self._pieces) else ""


def _choice(parts: Sequence[_Node], *, optional: bool) -> _Choice:
    firsts = [part.first for part in parts]
    known = [first for first in firsts if first is not None]
    return _Choice(tuple(parts), optional, None if optional or len(known) < len(firsts) else frozenset().union(*known))


def _first_of(parts: Sequence[_Node]) -> frozenset[str] | None:
    """Return what a row can start with: its first piece, and the next while those before may be missing."""
    keys: set[str] = set()
    for part in parts:
        if isinstance(part, _Choice) and part.optional:
            inner = [choice.first for choice in part.parts]
            if any(first is None for first in inner):
                return None
            keys.update(*(first for first in inner if first is not None))
            continue
        return None if part.first is None else frozenset(keys) | part.first
    return None
