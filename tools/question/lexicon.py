"""What the reader knows: phrases, names of assets, tokens, chains and protocols, and plain words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, get_args

from tools.market.names import canonical_chain, chain_aliases, family_aliases
from tools.question.grammar import Grammar
from tools.question.numerals import NUMBER_WORDS
from tools.question.text import SIGNS, tokenize
from tools.records import Asset, ProfileId
from tools.strategies.tokens import ASSETS, known_symbols, load_tokens

Readings = dict[str, Any]
Words = tuple[str, ...]

_PROFILE_IDS = {name: name for name in get_args(ProfileId) if "_" in name}


@dataclass(frozen=True)
class Lexicon:
    """The vocabulary.

    ``names`` maps the words of a name to what it can mean; ``special`` are names with signs in them; ``common`` and
    ``ordinary`` names are English words, ``as_written`` symbols too. ``correctable`` and ``plain`` hold, by first
    letter, what a misspelt word may stand for; ``known_words`` are never corrected, ``plain_words`` carry no wish.
    """

    grammar: Grammar
    names: Mapping[Words, Readings]
    special: tuple[str, ...]
    longest_name: int
    common: frozenset[Words]
    ordinary: frozenset[Words]
    as_written: frozenset[str]
    beside: Mapping[str, frozenset[str]]
    symbol_assets: Mapping[str, Asset]
    known_words: frozenset[str]
    plain_words: frozenset[str]
    correctable: Mapping[str, tuple[str, ...]]
    plain: Mapping[str, tuple[str, ...]]

    def words(self, name: str) -> frozenset[str]:
        """Return the single words of a phrase list."""
        return _single_words(tuple(self.grammar.lists[name]))


@cache
def _single_words(phrases: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word for phrase in phrases for word in phrase.split())


@cache
def lexicon() -> Lexicon:
    """Read the vocabulary, once."""
    phrases, data = _toml("phrases.toml"), _toml("names.toml")
    lists = {
        (name if section == "words" else f"{section}.{name}"): items
        for section, table in phrases.items()
        for name, items in table.items()
    }
    ambiguous = data["ambiguous"]
    names = _names(data, frozenset(ambiguous["never"]))
    special = tuple(
        sorted(
            {name for name in _spellings(data) if re.search(r"[^\w\s\-']|^\d", name) and " " not in name}
            | {*_PROFILE_IDS, *SIGNS}
        )
    )
    by_words = {_words(name, special): readings for name, readings in names.items()}
    spoken = _literals(lists) | NUMBER_WORDS
    own = spoken | {word for words in by_words for word in words}
    ordinary = frozenset(_words(name, special) for name in ambiguous["ordinary"])
    plain, kept = set(_text("words.txt").split()), set(_text("kept.txt").split())
    guard = {words[0] for words in ordinary if len(words) == 1}
    return Lexicon(
        grammar=Grammar(lists),
        names=by_words,
        special=special,
        longest_name=max(map(len, by_words)),
        common=frozenset(_words(name, special) for name in ambiguous["common"]),
        ordinary=ordinary,
        as_written=frozenset(ambiguous["symbols"]),
        beside={name: frozenset(items) for name, items in data["beside"].items()},
        symbol_assets={symbol: asset for asset in ASSETS for symbol in load_tokens().issuers[asset]},
        known_words=frozenset(own | plain | kept),
        plain_words=frozenset(own | plain),
        correctable=_by_first_letter(
            word for word in spoken | set(data["often_misspelt"]["words"]) if word not in guard
        ),
        plain=_by_first_letter(plain),
    )


def extended(lists: Mapping[str, Sequence[str]], beside: Mapping[str, Iterable[str]]) -> Lexicon:
    """Return the vocabulary with phrase lists of another room, whose words are then known and put right as well.

    ``beside`` adds words to those that make a name of an ambiguous word (see ``names.toml``).
    """
    base = lexicon()
    spoken = _literals(lists) - base.known_words
    correctable = _by_first_letter({word for words in base.correctable.values() for word in words} | spoken)
    return replace(
        base,
        grammar=Grammar({**base.grammar.lists, **lists}),
        beside={name: words | frozenset(beside.get(name, ())) for name, words in base.beside.items()},
        known_words=base.known_words | spoken,
        plain_words=base.plain_words | spoken,
        correctable=correctable,
    )


def _names(data: Mapping[str, Any], never: frozenset[str]) -> dict[str, Readings]:
    """Collect what each spelling can mean; a spelling may be several things (ethereum: a chain and a coin)."""
    names: dict[str, Readings] = {}
    for kind, spellings in _kinds(data):
        for spelling, value in spellings:
            if spelling in never and kind in {"chain", "protocol"}:
                continue
            names.setdefault(spelling, {})[kind] = value
    return names


def _kinds(data: Mapping[str, Any]) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    yield "chain", chain_aliases().items()
    yield "chain", ((spelling, canonical_chain(name)) for spelling, name in _flat(data["chains"]))
    yield "protocol", family_aliases().items()
    yield "protocol", _flat(data["protocols"])
    yield "token", ((symbol.lower(), symbol) for symbol in sorted(known_symbols() | set(data["others"]["symbols"])))
    yield "token", _flat(data["tokens"])
    yield "coin", _flat(data["coins"])
    yield "foreign", ((word, word) for words in data["foreign"].values() for word in words)
    yield "plain", ((phrase, phrase) for phrase in data["plain"]["words"])
    yield "profile", _PROFILE_IDS.items()


def _flat(table: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(spelling, value) for value, spellings in table.items() for spelling in spellings]


def _spellings(data: Mapping[str, Any]) -> set[str]:
    return {spelling for _, spellings in _kinds(data) for spelling, _ in spellings}


def _words(name: str, special: tuple[str, ...]) -> Words:
    """Return the words of a name as the lexer sees them: hyphens between words do not count."""
    return tuple(token.word for token in tokenize(name, special) if token.text not in "-_")


def _literals(lists: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the words that stand in the phrases themselves, stems and references aside."""
    return {
        word for items in lists.values() for item in items for word in re.findall(r"(?<![{=\w])[a-z]+(?![\w*}=])", item)
    }


def _by_first_letter(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    letters: dict[str, list[str]] = {}
    for word in sorted(words):
        if len(word) >= 4 and word.isalpha():
            letters.setdefault(word[0], []).append(word)
    return {letter: tuple(items) for letter, items in letters.items()}


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(_text(name))


def _text(name: str) -> str:
    return (resources.files(__package__) / "data" / name).read_text(encoding="utf-8")
