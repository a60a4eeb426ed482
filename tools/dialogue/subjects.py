"""What a line is about: pools, candidates, profiles, protocols, tokens, chains and ways to weigh, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from tools.dialogue.records import Memory, NamedPool, Subject
from tools.market.names import family_aliases
from tools.question.grammar import Match
from tools.question.line import Line
from tools.records import ProfileId, WeightMethod

_RANKS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10,
    "runner": 2, "next": 2,
}  # fmt: skip
_COINS = frozenset({"ETH", "BTC"})
_POOL_WORDS = frozenset({"pool", "pools", "position", "vault", "line", "row", "entry"})
_POOL_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


class NoSuchPlace(ValueError):
    """A place in the last answer that it does not have: the seventh pool of five."""


def read_subject(line: Line, memory: Memory) -> Subject | None:
    """Return what the names of a line are about, None when it names nothing.

    ``it`` and ``that one`` are the subject before. Raises NoSuchPlace for a place that the last answer does not have.
    """
    found = _by_id(line, memory) or _by_place(line, memory) or _by_name(line, memory)
    if found is None and memory.subject is not None and line.has("talk.pronoun", line.whole):
        return memory.subject
    return found


def subject_or_none(line: Line, memory: Memory) -> Subject | None:
    """Return what ``read_subject`` does, None also for a place that the last answer does not have."""
    try:
        return read_subject(line, memory)
    except NoSuchPlace:
        return None


def is_by_place(line: Line) -> bool:
    """Tell whether a place of the last answer is named: ``the second one``, ``pool 3``."""
    return bool(line.find("talk.ordinal")) or any(line.find(f"talk.{name}") for name in ("largest", "smallest"))


def _words(line: Line, matches: Iterable[range]) -> str:
    spans = list(matches)
    return line.quote(range(min(span.start for span in spans), max(span.stop for span in spans)))


# ---------------------------------------------------------------- by place, or by id


def _by_id(line: Line, memory: Memory) -> Subject | None:
    """Return the candidate whose id stands in the line, in which the lexer sees a profile and some words."""
    text = line.text.lower()
    named = [candidate for candidate in memory.ranked if re.search(rf"(?<![\w.]){re.escape(candidate)}(?!\w)", text)]
    return _candidate(named[0], named[0]) if named else None


def _by_place(line: Line, memory: Memory) -> Subject | None:
    matches = line.find("talk.ordinal") or [
        m for m in line.find("talk.alone_ordinal") if m.end == len(line.lexemes) - _ends(line)
    ]
    if matches:
        match = matches[0]
        words = line.quote(match.span)
        names = [line.word(place) for place in match.span]
        place = _place(line, match, names)
        if _POOL_WORDS & set(names):
            pool = _at(memory.pools, place, "pool", words)
            return Subject(words=words, pool_ids=[pool.pool_id])
        return _candidate(words, _at(memory.ranked, place, "candidate", words))
    for name, at in (("largest", 1), ("smallest", 0)):
        for found in line.find(f"talk.{name}"):
            pool = _at(memory.pools, at, "pool", line.quote(found.span))
            return Subject(words=line.quote(found.span), pool_ids=[pool.pool_id])
    return None


def _ends(line: Line) -> int:
    return int(line.word(len(line.lexemes) - 1) in {"?", ".", "!"})


def _place(line: Line, match: Match, names: list[str]) -> int:
    """Return the place that is named, 1 for the first; 0 for the last."""
    if "rank" in match.captures:
        said = line.word(match.captures["rank"])
        value = line.lexemes[match.captures["rank"]].get("num") or (int(said) if said.isdecimal() else 0)
        return int(value) if value == int(value) and value >= 1 else -1
    return next((_RANKS[name.split()[0]] for name in names if name.split()[0] in _RANKS), 0)


def _at(items: tuple[Any, ...], place: int, what: str, words: str) -> Any:
    if not items or not 0 <= place <= len(items):
        known = (
            f"there {'is' if len(items) == 1 else 'are'} {len(items) or 'no'} {what}{'' if len(items) == 1 else 's'}"
        )
        raise NoSuchPlace(f"{words!r}: {known} in the last answer")
    return items[place - 1]


def _candidate(words: str, candidate: str) -> Subject:
    profile, _, method = candidate.partition(".")
    return Subject(
        words=words,
        candidate=candidate,
        profile=next((name for name in get_args(ProfileId) if name == profile), None),
        method=next((name for name in get_args(WeightMethod) if name == method), None),
    )


# ---------------------------------------------------------------- by name


def _by_name(line: Line, memory: Memory) -> Subject | None:
    places: list[range] = []
    families, tokens, chains = (_named(line, memory, kind, places) for kind in ("protocol", "token", "chain"))
    profile, method = _profile(line, places), _method(line, places)
    ids = _POOL_ID.findall(line.text.lower())
    if not places and not ids:
        return None
    fitting = [pool.pool_id for pool in memory.pools if pool.pool_id in ids or _fits(pool, families, tokens, chains)]
    named = f"{profile}.{method}"
    return Subject(
        words=_words(line, places) if places else ids[0],
        pool_ids=fitting or ids,
        candidate=named if named in memory.ranked else None,
        profile=profile,
        families=families,
        tokens=tokens,
        chains=chains,
        method=method,
    )


def _named(line: Line, memory: Memory, kind: str, places: list[range]) -> list[str]:
    """Return the names of a kind in the order of the line, each once, and remember where they stand."""
    found: list[str] = []
    for place, lexeme in enumerate(line.lexemes):
        value = lexeme.get(kind)
        if kind == "protocol" and value is None:
            value = _family_of_ours(lexeme.word, memory)
        if value is None or (kind == "token" and value in _COINS) or _is_coin(line, place, kind):
            continue
        places.append(range(place, place + 1))
        found += [] if value in found else [value]
    return found


def _is_coin(line: Line, place: int, kind: str) -> bool:
    """Tell the coin ETH, which is an asset, from the chain Ethereum."""
    return kind == "chain" and line.lexemes[place].get("coin") is not None and line.word(place) not in {"ethereum"}


def _family_of_ours(word: str, memory: Memory) -> str | None:
    """Return the family of the last choice that a plain word names: ``why fluid`` where Fluid was chosen."""
    family = family_aliases().get(word)
    return family if family in {pool.family for pool in memory.pools} else None


def _fits(pool: NamedPool, families: list[str], tokens: list[str], chains: list[str]) -> bool:
    if not (families or tokens or chains):
        return False
    fits_tokens = not tokens or not set(tokens).isdisjoint(pool.tokens)
    return (not families or pool.family in families) and fits_tokens and (not chains or pool.chain in chains)


def _profile(line: Line, places: list[range]) -> ProfileId | None:
    """Return the first profile that is named, by its name or id."""
    found: list[tuple[int, ProfileId, range]] = []
    for name in get_args(ProfileId):
        spans = [match.span for match in line.find(f"profile.{name}")]
        spans += [match.span for match in line.find(f"profile.bare_{name}")] if name in {"growth", "high_risk"} else []
        spans += [range(at, at + 1) for at, lexeme in enumerate(line.lexemes) if lexeme.get("profile") == name]
        found += [(-len(span), name, span) for span in spans]
    if not found:
        return None
    _, name, span = min(found, key=lambda item: (item[0], item[2].start))
    places.append(span)
    return name


def _method(line: Line, places: list[range]) -> WeightMethod | None:
    for name in get_args(WeightMethod):
        match = next(iter(line.find(f"talk.method_{name}")), None)
        if match is not None:
            places.append(match.span)
            method: WeightMethod = name
            return method
    return None
