"""The protocol risk score: how far a yield depends on a protocol that may fail.

    score = 0.30 TVL + 0.40 audits + 0.15 community + 0.15 technical        each from 0 (worst, or unknown) to 1
    risk  = max(1 − score, every cap that applies)                          from 0 (safest) to 1

What is known stands in ``data/protocols.toml``, each fact with a source and the day from which it was public: an
assessment sees the facts and the exploits of its day and no later ones. Unknown never counts as safe: a missing fact
scores 0, and no known audit, or no known protocol at all, has a cap. The reasons: ``docs/design/protocol-risk.md``.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tools.market.names import family_aliases, family_of
from tools.risk.protocol_facts import (
    FACTS,
    Admin,
    Fact,
    FamilyFacts,
    Governance,
    Kind,
    Oracle,
    holding,
    latest,
    launched,
    load_facts,
)
from tools.units import DAYS_PER_YEAR, end_of_day

WEIGHTS = {"tvl": 0.30, "audits": 0.40, "community": 0.15, "technical": 0.15}
COMMUNITY_WEIGHTS = {"age": 0.40, "bounty": 0.20, "governance": 0.20, "record": 0.20}
TECHNICAL_WEIGHTS = {"category": 0.50, "admin": 0.30, "oracle": 0.20}

# Linear in the logarithm: 0 up to the first, 1 from the second.
TVL_RANGE_USD = (1e6, 1e10)
BOUNTY_RANGE_USD = (1e4, 1e6)
# The share of the remaining faults that one more independent examination does not find.
MISSED_BY_AN_AUDIT = 0.7
MATURE_YEARS = 4.0
CLEAN_YEARS = 4.0

UNKNOWN_RISK = 0.75
UNAUDITED_RISK = 0.60
YOUNG_RISK, YOUNG_DAYS = 0.60, 180
# Whose word is enough: at least so risky, however good the rest. An oracle of one's own that prices collateral is worse
# than the report of one's own balances that every staking protocol needs.
ADMIN_RISK: Mapping[Admin, float] = {"company": 0.40, "single_key": 0.60}
ORACLE_RISK: Mapping[Oracle, float] = {"own": 0.30, "issuer": 0.40}
OWN_REPORT_RISK = 0.15
STAKING: frozenset[Kind] = frozenset({"liquid_staking", "restaking", "custodial_staking"})
EXPLOIT_DAYS = 365
# (risk, loss in dollars, loss as a share of the TVL): the first row counts of which the loss reaches either size.
EXPLOIT_TIERS = ((0.75, 1e8, 0.10), (0.60, 1e7, 0.01), (0.50, 1e6, 0.001), (0.45, 0.0, 0.0))


FactFiles: TypeAlias = tuple[Path, ...]


class Category(NamedTuple):
    """How far a kind of protocol can be trusted by its construction, and the risk below which it never goes."""

    score: float
    risk_at_least: float
    words: str


CATEGORIES: Mapping[Kind, Category] = {
    "amm": Category(0.90, 0.0, "exchange pools"),
    "lending": Category(0.85, 0.0, "lending against collateral"),
    "liquid_staking": Category(0.85, 0.0, "liquid staking"),
    "cdp": Category(0.75, 0.0, "dollars minted against collateral"),
    "curated_vault": Category(0.60, 0.30, "vaults steered by curators"),
    "aggregator": Category(0.60, 0.30, "vaults on top of other protocols"),
    "yield_tokens": Category(0.60, 0.35, "principal and yield tokens of other protocols"),
    "restaking": Category(0.50, 0.35, "restaking"),
    "custodial_staking": Category(0.50, 0.35, "staking held by one company"),
    "perpetuals": Category(0.45, 0.40, "counterparty to traders of perpetuals"),
    "real_world_assets": Category(0.45, 0.40, "claims on assets outside the chain"),
    "bridge": Category(0.40, 0.40, "bridge liquidity"),
    "leveraged": Category(0.35, 0.50, "leveraged positions"),
    "credit": Category(0.35, 0.50, "credit or funds run by a manager"),
    "basis_trading": Category(0.30, 0.50, "a dollar or fund that trades the basis"),
    "synthetic_dollar": Category(0.30, 0.50, "a synthetic dollar"),
}
GOVERNANCE: Mapping[Governance, tuple[float, str]] = {
    "token_vote": (1.0, "token holders vote"),
    "ungoverned": (1.0, "nobody governs it"),
    "council": (0.5, "a council or its multisig governs"),
    "company": (0.25, "one company decides"),
}
ADMIN: Mapping[Admin, tuple[float, str]] = {
    "immutable": (1.0, "nobody can change the code"),
    "timelock": (0.8, "changes wait in a timelock or a vote"),
    "multisig": (0.45, "a multisig can change it"),
    "company": (0.25, "one company can change it"),
    "single_key": (0.0, "one key can change it"),
}
ORACLE: Mapping[Oracle, tuple[float, str]] = {
    "none": (1.0, "needs no oracle"),
    "network": (0.75, "relies on an oracle network"),
    "market_chosen": (0.6, "relies on oracles chosen per market"),
    "own": (0.5, "relies on its own oracle"),
    "issuer": (0.3, "relies on the issuer's figures"),
}


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the score: 0 (worst, or unknown) to 1, why, according to whom, and the day of its latest fact."""

    score: float
    weight: float
    evidence: str
    sources: tuple[str, ...] = ()
    known_since: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """A reason for which the risk is at least so high, whatever the score."""

    risk_at_least: float
    reason: str


@dataclass(frozen=True, slots=True)
class ProtocolAssessment:
    """The risk of a protocol at a day, from 0 (safest) to 1, and everything that it was computed from.

    ``components`` has the keys of ``WEIGHTS``. ``caps`` holds every cap that applies, the highest first. ``known`` is
    false when nothing was known of the protocol, or of this version of it, at that day.
    """

    project: str
    family: str
    as_of: dt.date
    risk: float
    components: Mapping[str, Component]
    caps: tuple[Cap, ...]
    known: bool


_UNKNOWN = Cap(UNKNOWN_RISK, "nothing is known of this protocol or version at the date")
_UNAUDITED = Cap(UNAUDITED_RISK, "no audit known")


class Exploit(NamedTuple):
    """A row of the list of exploits; None where the list does not say or says something unreadable."""

    name: str
    day: dt.date | None
    loss_usd: float | None


class _Standing(NamedTuple):
    """What does not depend on the market of the day. ``community`` lacks the record of exploits."""

    family: str
    known: bool
    audits: Component
    community: tuple[Component, ...]
    technical: Component
    caps: tuple[Cap, ...]


def assess(
    project: str,
    *,
    as_of: dt.date,
    protocol_tvl_usd: float | None,
    hacks: Sequence[Mapping[str, Any]],
    facts: Path | None = None,
    extra: Path | None = None,
) -> ProtocolAssessment:
    """Assess the protocol behind a DefiLlama project slug at the end of the UTC day ``as_of``.

    ``protocol_tvl_usd`` is the TVL of the whole family in the market of that day, in dollars (see ``family_tvl``); None
    means unknown and scores worst. ``hacks`` are rows of DefiLlama's list of exploits (``date`` in unix seconds,
    ``name``, ``amount`` in dollars, ``targetType``, ``parentProtocolId``). Later rows are ignored, and a list without
    a row up to ``as_of`` is no proof of a clean record. ``facts`` replaces the project's own data file,
    ``extra`` adds facts of the user's own to it.
    Raises ``ValueError`` for a TVL that is negative or not finite, and ``UsageError`` for a file of facts that does not
    hold what it should.
    """
    return assess_all({project: protocol_tvl_usd}, as_of=as_of, hacks=hacks, facts=facts, extra=extra)[project]


def assess_all(
    tvl_usd: Mapping[str, float | None],
    *,
    as_of: dt.date,
    hacks: Sequence[Mapping[str, Any]],
    facts: Path | None = None,
    extra: Path | None = None,
) -> dict[str, ProtocolAssessment]:
    """Assess many project slugs of one day as ``assess`` does, reading the list of exploits once: slug → assessment."""
    files = fact_files(extra, facts or FACTS)
    exploits = exploits_by_family(hacks, as_of, files)
    return {project: _assess(project, as_of, tvl, exploits, files) for project, tvl in tvl_usd.items()}


def fact_files(extra: Path | None, facts: Path = FACTS) -> FactFiles:
    """Return the files of facts to read: the first, and the user's own if there is one."""
    return (facts,) if extra is None else (facts, extra)


def family_tvl(pools: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Sum the TVL (dollars) of pools, given as (project slug, TVL), by family, whatever the order of the pools."""
    by_family: dict[str, list[float]] = {}
    for project, tvl in pools:
        by_family.setdefault(family_of(project), []).append(tvl)
    return {family: math.fsum(values) for family, values in sorted(by_family.items())}


def _assess(
    project: str, as_of: dt.date, tvl_usd: float | None, exploits: Mapping[str, Sequence[Exploit]], files: FactFiles
) -> ProtocolAssessment:
    if tvl_usd is not None and not (math.isfinite(tvl_usd) and tvl_usd >= 0.0):
        raise ValueError(f"the TVL of {project!r} must be finite and not negative, not {tvl_usd!r}")
    standing = _standing(project, as_of, files)
    own = exploits.get(standing.family, ())
    record = _record(own, as_of, listed=bool(exploits))
    components = {
        "tvl": _tvl(tvl_usd, as_of),
        "audits": standing.audits,
        "community": _mix((*standing.community, record), WEIGHTS["community"]),
        "technical": standing.technical,
    }
    score = math.fsum(part.weight * part.score for part in components.values())
    caps = sorted(
        {*standing.caps, *_exploit_caps(own, as_of, tvl_usd)}, key=lambda cap: (-cap.risk_at_least, cap.reason)
    )
    risk = min(1.0, max([1.0 - score, *(cap.risk_at_least for cap in caps)]))
    return ProtocolAssessment(project, standing.family, as_of, risk, components, tuple(caps), standing.known)


# --- what the facts say ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=8192)
def _standing(project: str, as_of: dt.date, files: FactFiles) -> _Standing:
    family = family_of(project)
    known = load_facts(*files).get(family)
    launch = launched(known.launch, project, family, as_of) if known else None
    if known is None or launch is None:
        return _unknown(family)
    audits = _audits(known, project, family, as_of)
    category = _kind_of(known, project, family, as_of)
    bounty = latest(known.bug_bounty_usd, project, family, as_of)
    governance = latest(known.governance, project, family, as_of)
    admin = latest(known.admin, project, family, as_of)
    oracle = latest(known.oracle, project, family, as_of)
    community = (_age(launch, as_of), _bounty(bounty), _graded("governance", governance, GOVERNANCE, COMMUNITY_WEIGHTS))
    technical = (
        _category(category),
        _graded("admin", admin, ADMIN, TECHNICAL_WEIGHTS),
        _graded("oracle", oracle, ORACLE, TECHNICAL_WEIGHTS),
    )
    trusted = (*_changed_by_one(admin), *_priced_by_itself(oracle, category))
    caps = (*_young(launch, as_of), *_unaudited(known, project, family, as_of), *_layered(category), *trusted)
    return _Standing(family, True, audits, community, _mix(technical, WEIGHTS["technical"]), caps)


def _unknown(family: str) -> _Standing:
    audits, technical = (Component(0.0, WEIGHTS[key], "unknown") for key in ("audits", "technical"))
    community = tuple(
        Component(0.0, COMMUNITY_WEIGHTS[key], f"{key} unknown") for key in ("age", "bounty", "governance")
    )
    caps = (_UNKNOWN, _UNAUDITED)
    return _Standing(family, False, audits, community, technical, caps)


def _audits(known: FamilyFacts, project: str, family: str, as_of: dt.date) -> Component:
    """Score n independent examinations: one per firm, one for formal verification, one if the forked code was audited.

    score = 1 − 0.7^n: each is worth less than the one before, and no number of them proves the code right.
    """
    firms = holding(known.audit, project, family, as_of)
    proofs = holding(known.formal_verification, project, family, as_of)
    forks = holding(known.upstream_audit, project, family, as_of)
    names = sorted({fact.value for fact in firms})
    examinations = len(names) + bool(proofs) + bool(forks)
    parts = [f"audited by {', '.join(names)}" if names else "no audit of its own known"]
    parts += [f"formal verification by {', '.join(sorted({fact.value for fact in proofs}))}"] if proofs else []
    parts += [f"forked code was audited ({', '.join(sorted({fact.value for fact in forks}))})"] if forks else []
    score = 1.0 - MISSED_BY_AN_AUDIT**examinations
    return _from_facts(score, WEIGHTS["audits"], "; ".join(parts), [*firms, *proofs, *forks])


def _age(launch: Fact[str], as_of: dt.date) -> Component:
    years = (as_of - launch.since).days / DAYS_PER_YEAR
    score = min(1.0, math.log1p(years) / math.log1p(MATURE_YEARS))
    return _from_facts(
        score, COMMUNITY_WEIGHTS["age"], f"{launch.value} went live on {launch.since.isoformat()}", [launch]
    )


def _bounty(fact: Fact[int] | None) -> Component:
    if fact is None:
        return Component(0.0, COMMUNITY_WEIGHTS["bounty"], "bug bounty unknown")
    score = _log_score(fact.value, BOUNTY_RANGE_USD)
    return _from_facts(score, COMMUNITY_WEIGHTS["bounty"], f"bug bounty up to ${fact.value:,}", [fact])


def _kind_of(known: FamilyFacts, project: str, family: str, as_of: dt.date) -> Fact[Kind] | None:
    """Return the kind of a product; of a family as a whole, whose products are of several kinds, the riskiest."""
    if project != family or any(project in fact.covers for fact in known.category):
        return latest(known.category, project, family, as_of)
    facts = holding(known.category, project, family, as_of)
    return max(facts, key=lambda fact: (CATEGORIES[fact.value].risk_at_least, fact.since), default=None)


def _category(fact: Fact[Kind] | None) -> Component:
    if fact is None:
        return Component(0.0, TECHNICAL_WEIGHTS["category"], "category unknown")
    category = CATEGORIES[fact.value]
    return _from_facts(category.score, TECHNICAL_WEIGHTS["category"], category.words, [fact])


def _graded(
    name: str, fact: Fact[Any] | None, grades: Mapping[Any, tuple[float, str]], weights: Mapping[str, float]
) -> Component:
    if fact is None:
        return Component(0.0, weights[name], f"{name} unknown")
    score, words = grades[fact.value]
    return _from_facts(score, weights[name], words, [fact])


def _from_facts(score: float, weight: float, evidence: str, facts: Sequence[Fact[Any]]) -> Component:
    sources = tuple(sorted({fact.source for fact in facts}))
    return Component(score, weight, evidence, sources, max((fact.since for fact in facts), default=None))


def _mix(parts: Sequence[Component], weight: float) -> Component:
    """Combine parts whose weights sum to 1 into one component of the given weight."""
    score = math.fsum(part.weight * part.score for part in parts)
    sources = tuple(sorted({source for part in parts for source in part.sources}))
    days = [part.known_since for part in parts if part.known_since is not None]
    return Component(score, weight, "; ".join(part.evidence for part in parts), sources, max(days, default=None))


def _tvl(tvl_usd: float | None, as_of: dt.date) -> Component:
    if tvl_usd is None:
        return Component(0.0, WEIGHTS["tvl"], "TVL unknown")
    evidence = f"TVL ${tvl_usd / 1e6:,.0f} m in the market of the day"
    return Component(_log_score(tvl_usd, TVL_RANGE_USD), WEIGHTS["tvl"], evidence, ("market snapshot",), as_of)


def _log_score(value: float, bounds: tuple[float, float]) -> float:
    worst, best = bounds
    return 0.0 if value <= worst else min(1.0, math.log(value / worst) / math.log(best / worst))


# --- caps ------------------------------------------------------------------------------------------------------------


def _young(launch: Fact[str], as_of: dt.date) -> tuple[Cap, ...]:
    days = (as_of - launch.since).days
    return (Cap(YOUNG_RISK, f"live for {days} days, less than {YOUNG_DAYS}"),) if days < YOUNG_DAYS else ()


def _unaudited(known: FamilyFacts, project: str, family: str, as_of: dt.date) -> tuple[Cap, ...]:
    """Cap what nobody examined; the audit of the code that it was forked from says nothing of the changes."""
    own = holding([*known.audit, *known.formal_verification], project, family, as_of)
    return () if own else (_UNAUDITED,)


def _changed_by_one(admin: Fact[Admin] | None) -> tuple[Cap, ...]:
    at_least = ADMIN_RISK.get(admin.value) if admin else None
    return () if admin is None or at_least is None else (Cap(at_least, ADMIN[admin.value][1]),)


def _priced_by_itself(oracle: Fact[Oracle] | None, category: Fact[Kind] | None) -> tuple[Cap, ...]:
    at_least = ORACLE_RISK.get(oracle.value) if oracle else None
    if oracle is None or at_least is None:
        return ()
    if oracle.value == "own" and category is not None and category.value in STAKING:
        return (Cap(OWN_REPORT_RISK, "reports its own balances"),)
    return (Cap(at_least, ORACLE[oracle.value][1]),)


def _layered(fact: Fact[Kind] | None) -> tuple[Cap, ...]:
    """Cap a kind that carries more than the risk of its own code: what it sits on, who steers it, what it bets on."""
    category = CATEGORIES[fact.value] if fact else None
    return (Cap(category.risk_at_least, category.words),) if category and category.risk_at_least > 0.0 else ()


def _exploit_caps(exploits: Sequence[Exploit], as_of: dt.date, tvl_usd: float | None) -> list[Cap]:
    return [
        _exploit_cap(exploit, tvl_usd)
        for exploit in exploits
        if exploit.day is None or (as_of - exploit.day).days <= EXPLOIT_DAYS
    ]


def _exploit_cap(exploit: Exploit, tvl_usd: float | None) -> Cap:
    day = "on an unknown day" if exploit.day is None else f"on {exploit.day.isoformat()}"
    if exploit.loss_usd is None or tvl_usd is None:
        what = "loss" if exploit.loss_usd is None else "TVL to compare the loss with"
        return Cap(EXPLOIT_TIERS[0][0], f"exploited {day} ({exploit.name}), {what} unknown")
    share = exploit.loss_usd / tvl_usd if tvl_usd > 0.0 else math.inf
    risk = next(risk for risk, loss, part in EXPLOIT_TIERS if exploit.loss_usd >= loss or share >= part)
    return Cap(risk, f"exploited {day} ({exploit.name}), ${exploit.loss_usd:,.0f} lost")


# --- the list of exploits --------------------------------------------------------------------------------------------


def _record(exploits: Sequence[Exploit], as_of: dt.date, *, listed: bool) -> Component:
    """Score the years since the last exploit of the family; without a list there is no record to speak of."""
    weight = COMMUNITY_WEIGHTS["record"]
    if not listed:
        return Component(0.0, weight, "no list of exploits to look into")
    if not exploits:
        return Component(1.0, weight, "no exploit listed", ("DefiLlama's list of exploits",), as_of)
    days = [exploit.day for exploit in exploits if exploit.day is not None]
    last = max(days) if len(days) == len(exploits) else as_of
    score = min(1.0, (as_of - last).days / DAYS_PER_YEAR / CLEAN_YEARS)
    evidence = (
        f"{len(exploits)} exploits listed, the last on {last.isoformat()}"
        if len(exploits) > 1
        else f"exploited on {last.isoformat()}"
    )
    return Component(score, weight, evidence, ("DefiLlama's list of exploits",), last)


def exploits_by_family(
    hacks: Sequence[Mapping[str, Any]], as_of: dt.date, files: FactFiles = (FACTS,)
) -> dict[str, list[Exploit]]:
    """Return the exploits up to the end of the day by family, without those of centralised exchanges.

    A row whose day cannot be read is kept: an exploit of unknown date is not a reason to feel safe.
    """
    end = end_of_day(as_of).timestamp()
    found: dict[str, list[Exploit]] = {}
    for row in hacks:
        seconds = _number(row.get("date"))
        if row.get("targetType") == "CEX" or (seconds is not None and seconds > end):
            continue
        exploit = Exploit(str(row.get("name") or "").strip(), _day(seconds), _number(row.get("amount")))
        for family in _exploit_families(exploit.name, str(row.get("parentProtocolId") or ""), files):
            found.setdefault(family, []).append(exploit)
    return found


@lru_cache(maxsize=65_536)
def _exploit_families(name: str, parent: str, files: FactFiles) -> tuple[str, ...]:
    """Return the families that a row is about: by its parent protocol and by its name, both compared whole.

    What is in brackets is dropped (``Hegic(old contract)``). A family named in passing is not meant: ``LeadBlock's
    Morpho Blue Market`` was a market that somebody set up wrongly, not Morpho.
    """
    plain = re.sub(r"\(.*?\)", "", name).strip().lower()
    families = {_exploit_names(files).get(plain) or family_aliases().get(plain) or family_of(plain)} if plain else set()
    if parent.startswith("parent#"):
        families.add(family_of(parent.removeprefix("parent#")))
    return tuple(sorted(families))


@lru_cache(maxsize=8)
def _exploit_names(files: FactFiles) -> Mapping[str, str]:
    return {name.lower(): family for family, known in load_facts(*files).items() for name in known.exploit_names}


def _number(value: object) -> float | None:
    """Return a finite number that is not negative, else None; numbers in text and booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _day(seconds: float | None) -> dt.date | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC).date()
