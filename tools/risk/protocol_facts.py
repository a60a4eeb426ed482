"""What is known of protocols, and since when: the records of ``data/protocols.toml``, and which hold at a day."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from tools.errors import UsageError
from tools.market.names import family_of, is_family_name
from tools.records import Record

FACTS = Path(__file__).parent / "data" / "protocols.toml"

Kind = Literal[
    "amm", "lending", "liquid_staking", "cdp", "curated_vault", "aggregator", "yield_tokens", "restaking",
    "custodial_staking", "perpetuals", "real_world_assets", "bridge", "leveraged", "credit", "basis_trading",
    "synthetic_dollar",
]  # fmt: skip
Governance = Literal["token_vote", "ungoverned", "council", "company"]
Admin = Literal["immutable", "timelock", "multisig", "company", "single_key"]
Oracle = Literal["none", "network", "market_chosen", "own", "issuer"]
Words = Annotated[str, Field(min_length=1, max_length=80)]
Dollars = Annotated[int, Field(gt=0)]

Value = TypeVar("Value")


class Fact(Record, Generic[Value]):
    """Something known from ``since`` on, says ``source``, of the slugs in ``covers`` (empty: of all the family)."""

    value: Value
    since: Annotated[dt.date, Field(ge=dt.date(2015, 7, 30))]
    source: Annotated[str, Field(pattern=r"^https://[^\s/]+\.\S+$")]
    covers: list[Words] = Field(default_factory=list)


class FamilyFacts(Record):
    """All that is known of a family; a kind of fact that is not there is unknown."""

    exploit_names: list[Words] = Field(default_factory=list)
    launch: Annotated[list[Fact[Words]], Field(min_length=1)]
    category: list[Fact[Kind]] = Field(default_factory=list)
    audit: list[Fact[Words]] = Field(default_factory=list)
    formal_verification: list[Fact[Words]] = Field(default_factory=list)
    upstream_audit: list[Fact[Words]] = Field(default_factory=list)
    bug_bounty_usd: list[Fact[Dollars]] = Field(default_factory=list)
    governance: list[Fact[Governance]] = Field(default_factory=list)
    admin: list[Fact[Admin]] = Field(default_factory=list)
    oracle: list[Fact[Oracle]] = Field(default_factory=list)

    def each(self) -> Iterator[Fact[Any]]:
        """Yield the facts of every kind."""
        words = (self.launch, self.audit, self.formal_verification, self.upstream_audit)
        graded: tuple[Sequence[Fact[Any]], ...] = (self.category, self.governance, self.admin, self.oracle)
        for facts in (*words, *graded, self.bug_bounty_usd):
            yield from facts


@lru_cache(maxsize=8)
def load_facts(path: Path = FACTS, *extra: Path) -> Mapping[str, FamilyFacts]:
    """Read and check files of facts, once per set of files: family → what is known of it.

    ``extra`` files hold facts of the user's own, in the same form: families that they add are new, facts of a known
    family stand beside those of the first file, and of two of the same day the user's counts.
    Raises ``UsageError`` naming the file and the entry: unreadable TOML, an unknown key or value, a fact without date
    or source, a table that is no family, a slug under the wrong family.
    """
    merged = _read_facts(path)
    for own in extra:
        merged |= {family: _beside(merged.get(family), facts) for family, facts in _read_facts(own, merged).items()}
    return merged


def _beside(known: FamilyFacts | None, own: FamilyFacts) -> FamilyFacts:
    """Join two sets of facts; the user's own come first, since the first of equals counts."""
    if known is None:
        return own
    joined: dict[str, Any] = {name: [*getattr(own, name), *getattr(known, name)] for name in FamilyFacts.model_fields}
    return FamilyFacts(**joined)


def _read_facts(path: Path, known: Mapping[str, FamilyFacts] = MappingProxyType({})) -> dict[str, FamilyFacts]:
    """Read a file of facts; a family of ``known`` need not say again when it was launched."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the protocol facts {path.name}: {error}") from error
    for family, table in raw.items():
        if family in known and isinstance(table, dict):
            table.setdefault("launch", [fact.model_dump() for fact in known[family].launch])
    try:
        families = TypeAdapter(dict[str, FamilyFacts]).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for family, facts in families.items():
        _check_names(family, facts, path.name)
    return families


def _check_names(family: str, known: FamilyFacts, source: str) -> None:
    if not is_family_name(family) or family_of(family) != family:
        raise UsageError(f"{source}: {family!r} is not a protocol family (lower case, hyphenated, as in families.toml)")
    for slug in (slug for fact in known.each() for slug in fact.covers):
        if family_of(slug) != family:
            raise UsageError(f"{source}: {family} covers {slug!r}, which belongs to {family_of(slug)!r}")


def holding(facts: Sequence[Fact[Value]], project: str, family: str, as_of: dt.date) -> list[Fact[Value]]:
    """Return the facts known at the day that hold for the slug; the name of a family stands for all its versions."""
    return [
        fact
        for fact in facts
        if fact.since <= as_of and (not fact.covers or project in fact.covers or project == family)
    ]


def latest(facts: Sequence[Fact[Value]], project: str, family: str, as_of: dt.date) -> Fact[Value] | None:
    """Return the fact that counts at the day: one that names the slug, then the latest; None if none holds."""
    return max(
        holding(facts, project, family, as_of), key=lambda fact: (project in fact.covers, fact.since), default=None
    )


def launched(facts: Sequence[Fact[str]], project: str, family: str, as_of: dt.date) -> Fact[str] | None:
    """Return the launch of a slug, the first if there are several; None when it had not happened or is not known.

    Where launches name slugs, a slug that none of them names is a version that the file has not heard of.
    """
    return min(holding(facts, project, family, as_of), key=lambda fact: fact.since, default=None)
