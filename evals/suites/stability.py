"""Stability: the same wish on the same market ends in the same choice, whatever the words, the order or the names.

Each case asks twice: as it stands, and changed in one way that must not matter. A choice flips when any of the money
would lie elsewhere.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from evals.made_source import Listed
from evals.records import CaseResult, Score, Subject
from evals.suite import Identity, Section, Suite, Table
from evals.suites.advice import Chosen, ask, lines, market, moved, total

SAME = 1e-9
FAST = {"s06", "s16"}


class Case(NamedTuple):
    """A question, and what is changed: its words (``question`` or units), or the ``order``, ``ids`` or names of pools.

    ``projects`` gives projects other slugs on both sides: [before, after], of protocols that nobody knows.
    """

    id: str
    kind: str
    question: str
    changed: str | None = None
    order: int | None = None
    ids: int | None = None
    projects: Mapping[str, Sequence[str]] = {}


class Pair(NamedTuple):
    """Both choices; the second one's pools by the first one's ids."""

    before: Chosen
    after: Chosen


def solve(case: Case, subject: Subject) -> Pair:
    """Ask both times."""
    pools = market()
    before = [_renamed(pool, case.projects, 0) for pool in pools]
    after = [_renamed(pool, case.projects, 1) for pool in pools]
    names = {pool.id: pool.id for pool in pools}
    if case.order is not None:
        random.Random(case.order).shuffle(after)  # noqa: S311 - no secret
    if case.ids is not None:
        numbers = random.Random(case.ids).sample(range(100, 1000), len(pools))  # noqa: S311 - no secret
        names = {f"pool-{number}": pool.id for number, pool in zip(numbers, pools, strict=True)}
        ids = {old: new for new, old in names.items()}
        after = [dataclasses.replace(pool, id=ids[pool.id]) for pool in after]
    first, second = ask(case.question, before, subject), ask(case.changed or case.question, after, subject)
    return Pair(first, second._replace(weights={names[pool]: weight for pool, weight in second.weights.items()}))


def _renamed(pool: Listed, projects: Mapping[str, Sequence[str]], side: int) -> Listed:
    return dataclasses.replace(pool, project=projects[pool.project][side]) if pool.project in projects else pool


def unmoved(case: Case, pair: Pair) -> Score:
    """Demand the same outcome and the same weights; the value is the share of the money that would lie elsewhere."""
    share = moved(pair.before.weights, pair.after.weights)
    same = pair.before.outcome == pair.after.outcome and share <= SAME
    words = "the same choice" if same else f"{pair.before.outcome}, then {pair.after.outcome}; {share:.2%} moved"
    return Score(value=share, passed=same, explanation=f"{case.kind}: {words}")


def sections(results: Sequence[CaseResult]) -> tuple[Section, ...]:
    """Return the flip rate by what was changed."""
    kinds = sorted({kind for result in results for kind in result.tags})
    rows = []
    for kind in kinds:
        own = [result for result in results if kind in result.tags and result.error is None]
        flips = sum(not result.passed for result in own)
        share = max((result.scores["unmoved"].value or 0.0 for result in own), default=0.0)
        rows.append((kind, str(len(own)), str(flips), f"{share:.2%}"))
    return (Table("Flips by what was changed", ("changed", "cases", "flips", "most of the money moved"), tuple(rows)),)


def details(case: Case, pair: Pair) -> Mapping[str, Any]:
    """Return both choices."""
    return {
        "question": case.question,
        "changed": case.changed,
        "before": dict(pair.before.weights),
        "after": dict(pair.after.weights),
    }


def load() -> Sequence[Case]:
    """Read the cases."""
    return [Case(**line) for line in lines("stability.jsonl")]


SUITE = Suite(
    name="stability",
    words="does the choice stay when only words, order, names or units change?",
    load=load,
    identify=lambda case: Identity(case.id, (case.kind,), case._asdict()),
    solve=solve,
    scorers={"unmoved": unmoved},
    spent=lambda pair: total([pair.before.spent, pair.after.spent]),
    details=details,
    fast=lambda case: case.id in FAST,
    sections=sections,
)
