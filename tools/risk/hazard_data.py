"""What the hazards are made of: the records of ``data/hazards.toml`` and ``data/depegs.csv``, read and checked once."""

from __future__ import annotations

import csv
import datetime as dt
import io
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple, get_args

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from tools.errors import UsageError
from tools.records import Fraction, Record
from tools.risk.protocol_facts import Kind

_DATA = Path(__file__).parent / "data"
HAZARDS = _DATA / "hazards.toml"
DEPEGS = _DATA / "depegs.csv"
UNKNOWN = "unknown"  # the class of what no class names

Rate = Annotated[float, Field(ge=0.0, le=10.0)]
Words = Annotated[str, Field(min_length=1, max_length=400)]
Sources = Annotated[list[Words], Field(min_length=1)]


class Prior(Record):
    """The rate of a class (events per year), from data up to the day before ``since``."""

    since: dt.date
    rate: Annotated[float, Field(gt=0.0, le=10.0)]


class Severity(Record):
    """The loss given an event, uniform between two fractions of what depends on the node."""

    severity: Annotated[list[Fraction], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _ordered(self) -> Severity:
        if self.severity[0] > self.severity[1]:
            raise ValueError("severity must be [low, high]")
        return self

    @property
    def mean_severity(self) -> float:
        """Return the mean loss given an event."""
        return (self.severity[0] + self.severity[1]) / 2.0


class ShrunkClass(Severity):
    """A class whose rate the own record of a member updates.

    ``strength_years`` is how many years of observation the class's rate is worth. Of tokens the members stand here,
    with the day of their launch or, ``undated``, without; of protocols only the ``families`` whose facts name several
    kinds and that do not belong to the oldest.
    """

    says: Words
    strength_years: Annotated[float, Field(gt=0.0)]
    sources: Sources
    prior: Annotated[list[Prior], Field(min_length=1)]
    tokens: dict[str, dt.date] = Field(default_factory=dict)
    undated: list[str] = Field(default_factory=list)
    families: list[str] = Field(default_factory=list)

    def prior_at(self, day: dt.date) -> Prior:
        """Return the latest prior known at the day; the first there is, where none was."""
        known = [prior for prior in self.prior if prior.since <= day]
        return max(known, key=lambda prior: prior.since) if known else min(self.prior, key=lambda prior: prior.since)


class JudgedClass(Severity):
    """A class whose range of rates is a judgement: low, central, high. Without names it holds for all the others."""

    says: Words
    rate: Annotated[list[Rate], Field(min_length=3, max_length=3)]
    sources: Sources
    names: list[Words] = Field(default_factory=list)
    endings: list[Words] = Field(default_factory=list)

    def holds(self, name: str) -> bool:
        """Tell whether the class names a node, in whatever case."""
        wanted = name.casefold()
        whole = any(wanted == known.casefold() for known in self.names)
        return whole or any(wanted.endswith(ending.casefold()) for ending in self.endings)

    @model_validator(mode="after")
    def _rising(self) -> JudgedClass:
        if self.rate != sorted(self.rate):
            raise ValueError("rate must be [low, central, high]")
        return self


class TvlThen(Record):
    """The TVL of a family just before an exploit, in dollars, where it is known."""

    family: Words
    day: dt.date
    tvl_usd: Annotated[float, Field(gt=0.0)]
    source: Words


class HazardTable(Record):
    """All classes: those of protocols, of tokens, and the judged ones by kind of node.

    ``native`` tokens have no hazard. Depegs and token-years count from ``depegs_since``.
    """

    native: list[str]
    depegs_since: dt.date
    tvl_then: list[TvlThen]
    protocol: dict[str, ShrunkClass]
    token: dict[str, ShrunkClass]
    issuer: dict[str, JudgedClass]
    curator: dict[str, JudgedClass]
    bridge: dict[str, JudgedClass]
    chain: dict[str, JudgedClass]
    oracle: dict[str, JudgedClass]
    unknown: dict[str, JudgedClass]

    def tvl_at(self, family: str, day: dt.date | None) -> float | None:
        """Return the TVL of a family just before the exploit of a day; None where it is not known."""
        return next((known.tvl_usd for known in self.tvl_then if (known.family, known.day) == (family, day)), None)

    def protocol_class(self, family: str, kind: str | None) -> str:
        """Return the name of the class of a family whose oldest kind is given (None: not known)."""
        named = (name for name, group in self.protocol.items() if family in group.families)
        return next(named, kind) if kind else UNKNOWN

    def token_class(self, symbol: str) -> str:
        """Return the name of the class that a token stands in; ``UNKNOWN`` for one that stands in none."""
        named = (name for name, group in self.token.items() if symbol in group.tokens or symbol in group.undated)
        return next(named, UNKNOWN)

    def judged(self, kind: str, name: str) -> JudgedClass:
        """Return the class that names the node, else the one for all the others."""
        classes: Mapping[str, JudgedClass] = getattr(self, kind)
        return next((group for group in classes.values() if group.holds(name)), classes[UNKNOWN])


class Depeg(NamedTuple):
    """A day on which a token traded below its peg: its low as a fraction of the peg, where, and by whose account."""

    day: dt.date
    token: str
    low: float
    venue: str
    source: str


@lru_cache(maxsize=8)
def load_hazards(path: Path = HAZARDS) -> HazardTable:
    """Read and check the classes.

    Raises ``UsageError`` naming the file and the entry: unreadable TOML, an unknown key, a rate or severity out of
    range, a class without a source, a kind of protocol or node without its class.
    """
    try:
        table = TypeAdapter(HazardTable).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the hazards {path.name}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    _check_classes(table, path.name)
    return table


def _check_classes(table: HazardTable, source: str) -> None:
    wanted = {"protocol": {*get_args(Kind), UNKNOWN}}
    for kind in ("protocol", "token", "issuer", "curator", "bridge", "chain", "oracle", "unknown"):
        missing = sorted(wanted.get(kind, {UNKNOWN}) - set(getattr(table, kind)))
        if missing:
            raise UsageError(f"{source}: the class {kind}.{missing[0]} is missing")
    symbols = [symbol for group in table.token.values() for symbol in (*group.tokens, *group.undated)] + table.native
    twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
    if twice:
        raise UsageError(f"{source}: {twice[0]} stands in two classes of tokens")


@lru_cache(maxsize=8)
def load_depegs(path: Path = DEPEGS) -> Sequence[Depeg]:
    """Read and check the recorded depegs, sorted by day and token.

    Raises ``UsageError`` naming the file and the line: a day that is none, a low that is no fraction of the peg, a
    line without a source.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the depegs {path.name}: {error}") from error
    return sorted(_depeg(row, path.name) for row in csv.DictReader(io.StringIO("\n".join(lines))))


def depegs_between(token: str, first: dt.date, last: dt.date) -> list[Depeg]:
    """Return the recorded depegs of a token from one day to another, both included."""
    return [depeg for depeg in load_depegs() if depeg.token == token and first <= depeg.day <= last]


def _depeg(row: Mapping[str, str], source: str) -> Depeg:
    try:
        depeg = Depeg(dt.date.fromisoformat(row["day"]), row["token"], float(row["low"]), row["venue"], row["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{source}: {dict(row)!r}: {error}") from error
    if not (0.0 <= depeg.low < 1.0 and depeg.token and depeg.source):
        raise UsageError(f"{source}: {dict(row)!r}: needs a token, a low from 0 up to 1 and a source")
    return depeg
