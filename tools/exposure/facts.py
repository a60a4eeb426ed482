"""The facts of exposure: what hangs on what, which bridge carries what, and how far shared nodes make one risk.

Each fact has a source and a day from which it was publicly known; the files under ``data/`` explain their own format.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from tools.errors import UsageError
from tools.exposure.nodes import KINDS, split
from tools.market.names import canonical_chain, family_aliases, family_of
from tools.records import Fraction, Record

_DATA = Path(__file__).parent / "data"
LINKS, BRIDGES, TOGETHER = _DATA / "links.toml", _DATA / "bridges.toml", _DATA / "together.toml"
CANONICAL = "Canonical bridge"
# What two pools can share, known or not.
SHARED_KINDS = frozenset({*KINDS, "collateral"} - {"unknown"})
ORIGINS = frozenset({"protocol", "project", "token", "issuer"})

Words = Annotated[str, Field(min_length=1, max_length=200)]
Day = Annotated[dt.date, Field(ge=dt.date(2015, 7, 30))]
Page = Annotated[str, Field(pattern=r"^https://[^\s/]+\.\S+$")]
Shape = TypeVar("Shape", bound=Record)


class LinkFact(Record):
    """``origin`` hangs on ``on`` with a share of itself, known from ``since`` on."""

    origin: Annotated[Words, Field(alias="from")]
    on: Words
    share: Fraction
    since: Day
    why: Words
    source: Page


class NativeFact(Record):
    """The issuer mints these tokens itself on these chains."""

    tokens: list[Words]
    chains: list[Words]
    since: Day
    source: Page


class BridgedFact(NativeFact):
    """A bridge carries these tokens to these chains."""

    bridge: Words


class Bridges(Record):
    """Which issuers of the token lists are bridges, what a chain's own is called, and what is native or bridged."""

    issuers_that_are_bridges: list[Words]
    canonical_names: dict[str, Words]
    native: list[NativeFact]
    bridged: list[BridgedFact]

    def canonical(self, chain: str) -> str:
        """Return the node of a chain's own bridge."""
        return f"bridge:{self.canonical_names.get(chain, f'{chain} canonical bridge')}"


class Judgement(Record):
    """A number between 0 and 1 that somebody set, and why."""

    value: Fraction
    why: Words


class Together(Record):
    """How far two pools that share a node of a kind are one risk; single chains may differ."""

    kinds: dict[str, Judgement]
    chains: dict[str, Judgement]


class _LinkFile(Record):
    link: list[LinkFact]


@lru_cache(maxsize=8)
def load_links(path: Path = LINKS) -> tuple[LinkFact, ...]:
    """Read the facts of what hangs on what, in the order of their days.

    Raises ``UsageError`` naming the file and the entry: unreadable TOML, an unknown key or node, a share outside 0 to
    1, a fact without a source or a day.
    """
    links = sorted(_read(path, _LinkFile).link, key=lambda link: (link.since, link.origin, link.on))
    for link in links:
        _check_ends(link, path.name)
    for before, after in pairwise(links):
        if (before.since, before.origin, before.on) == (after.since, after.origin, after.on):
            raise UsageError(f"{path.name}: two links of {after.since} from {after.origin!r} on {after.on!r}")
    return tuple(links)


@lru_cache(maxsize=8)
def load_bridges(path: Path = BRIDGES) -> Bridges:
    """Read which bridge carries which token; raises ``UsageError`` as ``load_links`` does."""
    return _read(path, Bridges)


@lru_cache(maxsize=8)
def load_together(path: Path = TOGETHER) -> Together:
    """Read how far shared nodes make one risk; raises ``UsageError`` as ``load_links`` does, or for a kind left out."""
    table = _read(path, Together)
    if table.kinds.keys() != SHARED_KINDS:
        raise UsageError(f"{path.name}: [kinds] must judge {', '.join(sorted(SHARED_KINDS))} and nothing else")
    return table


@lru_cache(maxsize=32)
def links_at(as_of: dt.date) -> Mapping[str, tuple[LinkFact, ...]]:
    """Return the links that hold at a day by what they start from; of several for a pair the latest counts."""
    latest: dict[tuple[str, str], LinkFact] = {}
    for link in load_links():
        if link.since <= as_of:
            latest[link.origin, link.on] = link
    grouped: dict[str, list[LinkFact]] = {}
    for link in latest.values():
        if link.share > 0.0:
            grouped.setdefault(link.origin, []).append(link)
    return {origin: tuple(links) for origin, links in grouped.items()}


@lru_cache(maxsize=32)
def carriers_at(as_of: dt.date) -> Mapping[tuple[str, str], NativeFact | BridgedFact]:
    """Return, by token and chain, how the token came there as known at a day; the latest fact counts."""
    bridges = load_bridges()
    facts: list[NativeFact | BridgedFact] = [*bridges.native, *bridges.bridged]
    known = sorted((fact for fact in facts if fact.since <= as_of), key=lambda fact: fact.since)
    return {(token, canonical_chain(chain)): fact for fact in known for token in fact.tokens for chain in fact.chains}


def _read(path: Path, shape: type[Shape]) -> Shape:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the exposure facts {path.name}: {error}") from error
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _check_ends(link: LinkFact, source: str) -> None:
    kind, _, name = link.origin.partition(":")
    if kind not in ORIGINS or not name:
        raise UsageError(f"{source}: a link cannot start at {link.origin!r}")
    for end in (link.on, *((link.origin,) if kind != "project" else ())):
        kind, name = split(end)
        if kind == "unknown" and name not in SHARED_KINDS:
            raise UsageError(f"{source}: {end!r}: what is not known must be one of {', '.join(sorted(SHARED_KINDS))}")
        if kind == "protocol" and family_of(name) != name:
            raise UsageError(f"{source}: {end!r} is no protocol family")
        if kind == "issuer" and name.lower() in family_aliases():
            raise UsageError(f"{source}: {end!r} is a protocol family: protocol:{family_aliases()[name.lower()]}")
        if kind == "token" and name != name.upper():
            raise UsageError(f"{source}: {end!r} is not in upper case")
