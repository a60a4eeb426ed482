"""What each kind of question in a conversation needs solved: the runs that its answer speaks of, and what was found.

    prices   the mandate without each of its limits          flips     a pair of runs on either side of a rate
    what_if  the mandate with the changes                     why_not   the rate at which a pool would be taken
    changed  the same mandate on another day                  why       the choice if the pool paid nothing

No figures are made here: runs are whole recommendations, findings records of ``tools.counterfactual``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.desk import Desk
from tools.counterfactual import Flip, decided, flip_point, stated_limits, why_not_candidate, why_not_pool
from tools.counterfactual.limits import RISK_ID
from tools.dialogue import Subject, Turn
from tools.dialogue.answer import AnswerSubject
from tools.errors import SnapshotMissing
from tools.market.names import family_of
from tools.market.snapshot import Market
from tools.question import read
from tools.records import Candidate, Recommendation
from tools.strategies.universe import Universe
from tools.units import safe_label

MOST_SUBJECTS = 4
MOST_FLIPS = 3  # pools of a choice whose flip points are sought; each costs a dozen runs
FLIPS_OF_A_MIND = 2


@dataclass(frozen=True)
class Inquiry:
    """What was found; ``reason`` is one sentence where the question cannot be answered."""

    findings: dict[str, Any] = field(default_factory=dict)
    subjects: list[AnswerSubject] = field(default_factory=list)
    reason: str | None = None


def inquire(turn: Turn, desk: Desk) -> Inquiry:
    """Solve what a turn asks; the runs are kept by the desk under the names that the texts use."""
    solve = _KINDS.get(turn.kind)
    if solve is None:  # out_of_scope, unclear: nothing is solved
        return Inquiry(reason=turn.reason)
    return solve(turn, desk)


def _explain(turn: Turn, desk: Desk) -> Inquiry:
    """Show a term on what was chosen, where something was."""
    if desk.previous is not None:
        desk.before()
    return Inquiry(reason=turn.reason)


def _recommend(turn: Turn, desk: Desk) -> Inquiry:
    """Solve a question; one that stands by itself is read again by the run's intake, where a model may complete it."""
    assert turn.mandate is not None
    by_itself = read(desk.question).mandate == turn.mandate
    desk.run("choice", "as asked", None if by_itself else turn.mandate, by_seat=True)
    return Inquiry()


def _what_if(turn: Turn, desk: Desk) -> Inquiry:
    assert turn.mandate is not None
    desk.before()
    desk.run("after", "with the changes", turn.mandate, by_seat=True)
    return Inquiry()


def _changed(turn: Turn, desk: Desk) -> Inquiry:
    """Solve the same mandate on the earlier day."""
    now = desk.before()
    assert turn.since is not None
    mandate = turn.mandate or now.mandate
    try:
        desk.run("then", "the same mandate on the earlier day", mandate, as_of=dt.date.fromisoformat(turn.since))
    except SnapshotMissing as error:
        return Inquiry(reason=f"{error!s}. Ask for one of these days.")
    return Inquiry()


def _prices(turn: Turn, desk: Desk) -> Inquiry:
    """Solve the mandate without each of its limits."""
    before = desk.before()
    limits = [limit for limit in stated_limits(before.mandate) if not turn.limits or limit.field in turn.limits]
    found = []
    for place, limit in enumerate(limits):
        name = f"without_{place}"
        desk.run(name, f"without {limit.id}", limit.without(before.mandate))
        found.append({"run": name, "field": limit.field, "bolder": limit.id == RISK_ID, "value": limit.value})
    return Inquiry({"prices": found})


def _flips(turn: Turn, desk: Desk) -> Inquiry:
    """Find the rates at which the pools of the choice leave it; of one pool where the line names it."""
    before = desk.before()
    chosen = chosen_of(before)
    if chosen is None:
        return Inquiry(reason="Nothing was chosen, so nothing can leave the choice.")
    wanted = turn.subject.pool_ids if turn.subject else []
    pools = [pool.pool_id for pool in chosen.pools if not wanted or pool.pool_id in wanted]
    return Inquiry({"flips": [_flip(pool_id, desk, before) for pool_id in pools[:MOST_FLIPS]]})


def _mind(turn: Turn, desk: Desk) -> Inquiry:
    """Gather what would change the choice: the rates of its largest pools, and the limits."""
    before = desk.before()
    chosen = chosen_of(before)
    if chosen is None:
        return Inquiry(reason="Nothing was chosen; the page of the recommendation says what would have to change.")
    flips = [_flip(pool.pool_id, desk, before) for pool in chosen.pools[:FLIPS_OF_A_MIND]]
    return Inquiry({"flips": flips} | _prices(turn.model_copy(update={"limits": []}), desk).findings)


def _flip(pool_id: str, desk: Desk, before: Recommendation) -> dict[str, Any]:
    """Search for the rate at which a pool changes sides, and run both sides of it whole."""
    market, _ = desk.market(before)
    apy = market.rows[pool_id].apy
    base = desk.by_policy(before)
    desk.tell({"event": "search", "tool": "flip_point"})
    found = flip_point(desk.decide(before), before.mandate, decided(base), pool_id, apy)
    return found.model_dump(mode="json") | {"runs": _sides(found, desk, before)}


def _sides(flip: Flip, desk: Desk, before: Recommendation) -> dict[str, str]:
    """Run the last rate at which the pool is held, and the rate beside it at which it is not."""
    runs = {}
    for side, rate in (("kept", flip.kept_at), ("gone", flip.gone_at)):
        if rate is not None:
            name = f"{side}_{desk.count(side)}"
            desk.run(name, f"a pool assumed to pay {side}", before.mandate, apys={flip.pool_id: rate})
            runs[side] = name
    return runs


def _why(turn: Turn, desk: Desk) -> Inquiry:
    """Say why the choice, or why a pool is in it: what would be chosen if the pool paid nothing."""
    before = desk.before()
    chosen = chosen_of(before)
    if chosen is None:
        return Inquiry(reason="Nothing was chosen; the page of the recommendation says what is in the way.")
    held = _held(turn.subject, before, desk)
    if turn.subject is None or not turn.subject.is_named:
        return Inquiry()
    if not held:
        return _why_not(turn, desk)
    pool_id = held[0]
    desk.run("without", "a pool assumed to pay nothing", before.mandate, apys={pool_id: 0.0})
    return Inquiry({"held": pool_id}, [_subject(pool_id, *desk.market(before))])


def _held(subject: Subject | None, before: Recommendation, desk: Desk) -> list[str]:
    chosen = chosen_of(before)
    if subject is None or chosen is None:
        return []
    if subject.pool_ids:
        return [pool.pool_id for pool in chosen.pools if pool.pool_id in subject.pool_ids]
    wanted = set(_matching(subject, *desk.market(before)))
    return [pool.pool_id for pool in chosen.pools if pool.pool_id in wanted]


def _why_not(turn: Turn, desk: Desk) -> Inquiry:
    """Say where a pool, a profile or a candidate dropped out, and what it would take."""
    before = desk.before()
    subject = turn.subject
    if subject is None or not subject.is_named:
        return Inquiry(reason="Say which one: a pool, a protocol, a token, or a profile.")
    candidate = _candidate_meant(subject, before)
    if candidate is not None:
        return Inquiry({"candidate": why_not_candidate(before, candidate).model_dump(mode="json")})
    market, universe = desk.market(before)
    pool_ids = (subject.pool_ids or _matching(subject, market, universe))[:MOST_SUBJECTS]
    if not pool_ids:
        return Inquiry(reason="Nothing in the market of that day goes by that name.")
    found = [why_not_pool(before, market, universe, pool_id).model_dump(mode="json") for pool_id in pool_ids]
    subjects = [_subject(pool_id, market, universe) for pool_id in pool_ids]
    return Inquiry({"pools": found} | _what_it_takes(found[0], desk, before), subjects)


def _what_it_takes(first: Mapping[str, Any], desk: Desk, before: Recommendation) -> dict[str, Any]:
    """Search for what would bring a pool in: without the limit that rules it out, or at a better rate."""
    if first["stage"] == "ruled_out":
        limits = stated_limits(before.mandate)
        mandate = before.mandate
        for limit in limits:
            if limit.id in {entry["id"] for entry in first["limits"]}:
                mandate = limit.without(mandate)
        after = desk.run("without", "without the limits that rule the pool out", mandate)
        return {
            "enters": any(pool.pool_id == first["pool_id"] for pool in (after.choice.pools if after.choice else []))
        }
    if first["stage"] in {"not_selected", "failed", "lost"}:
        return {"flip": _flip(first["pool_id"], desk, before)}
    return {}


def _compare(turn: Turn, desk: Desk) -> Inquiry:
    """Put what is named beside the choice: candidates of the run, or the choice with that protocol alone."""
    before = desk.before()
    subject = turn.subject
    if subject is None:
        return Inquiry(reason="Say what to compare the choice with: a profile, a weight method or a protocol.")
    ids = _candidates_meant(subject, before)
    if ids:
        return Inquiry({"compared": ids})
    if not subject.is_named and before.choice is not None:  # "with a Treasury bill", "just holding"
        return Inquiry({"idle": True})
    if not subject.families:
        return Inquiry(reason="Say what to compare the choice with: a profile, a weight method or a protocol.")
    for place, family in enumerate(subject.families[:MOST_SUBJECTS]):
        only = before.mandate.model_copy(update={"protocols_include": [family], "protocols_exclude": []})
        desk.run(f"only_{place}", "with one protocol alone", only)
    return Inquiry({"families": subject.families[:MOST_SUBJECTS]})


def chosen_of(record: Recommendation) -> Candidate | None:
    """Return the chosen candidate, None without a choice."""
    choice = record.choice
    return next((one for one in record.candidates if choice is not None and one.id == choice.candidate_id), None)


def _candidates_meant(subject: Subject, record: Recommendation) -> list[str]:
    """Return the candidates that a line names, by id, profile or method; the best-scored of each profile."""
    if subject.candidate is not None:
        return [subject.candidate]
    ranked = sorted(record.candidates, key=lambda one: (not one.passed, -one.score.total, one.id))
    fits = [
        one.id
        for one in ranked
        if (subject.profile is None or one.profile == subject.profile)
        and (subject.method is None or one.method == subject.method)
    ]
    return fits[:1] if (subject.profile or subject.method) else []


def _candidate_meant(subject: Subject, record: Recommendation) -> str | None:
    """Return the candidate that a line names; of a profile without any, an id that says why there is none."""
    found = _candidates_meant(subject, record)
    if found or subject.profile is None:
        return found[0] if found else None
    tried = [one.profile for one in record.emptied] + [
        one.profile for one in (record.plan.unsolved if record.plan else [])
    ]
    return f"{subject.profile}.{subject.method or 'equal'}" if subject.profile in tried else None


def _matching(subject: Subject, market: Market, universe: Universe) -> list[str]:
    """Return the pools of the market that go by a name: the eligible first, then the largest."""
    eligible = {pool.id for pool in universe.pools}

    def fits(pool_id: str) -> bool:
        label = market.labels.get(pool_id)
        if label is None:
            return False
        tokens = _parts(label.symbol)
        return (
            (not subject.families or family_of(label.project) in subject.families)
            and (not subject.tokens or bool(tokens & set(subject.tokens)))
            and (not subject.chains or label.chain in subject.chains)
        )

    def order(pool_id: str) -> tuple[bool, float, str]:
        row = market.rows.get(pool_id)
        return pool_id not in eligible, -(row.tvl_usd if row else 0.0), pool_id

    if not (subject.families or subject.tokens or subject.chains):
        return []
    return sorted((pool_id for pool_id in market.labels if fits(pool_id)), key=order)


def _parts(symbol: str) -> set[str]:
    """Return the symbols that a pool's symbol is made of, upper case: ``DAI-USDC`` → DAI, USDC."""
    plain = "".join(character if character.isalnum() else " " for character in symbol.upper())
    return set(plain.split())


def _subject(pool_id: str, market: Market, universe: Universe) -> AnswerSubject:
    """Name a pool as the answers do, with its row's figures."""
    named = next((pool.name for pool in universe.pools if pool.id == pool_id), None)
    row, label = market.rows.get(pool_id), market.labels.get(pool_id)
    if named is None and label is not None:
        named = ", ".join([f"{safe_label(label.project)} {safe_label(label.symbol)}", safe_label(label.chain)])
    return AnswerSubject(
        pool_id=pool_id,
        name=named or "an unknown pool",
        apy=row.apy if row else None,
        tvl_usd=row.tvl_usd if row else None,
    )


_KINDS: Mapping[str, Callable[[Turn, Desk], Inquiry]] = {
    "explain": _explain,
    "recommend": _recommend,
    "what_if": _what_if,
    "changed": _changed,
    "prices": _prices,
    "flips": _flips,
    "mind": _mind,
    "why": _why,
    "why_not": _why_not,
    "compare": _compare,
}
