"""Regret in basis points: every adviser on every frozen market, against an optimum that is proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from evals.records import Score, Spent, Subject
from evals.regret.advisers import BASELINES, INFORMED, OURS, Advice, Adviser, our_workflow
from evals.regret.judging import Judged, judge, regret_bps
from evals.regret.markets import RegretCase, cases_of, load_markets
from evals.regret.oracle import Optimum, optimum
from evals.regret.raw_model import raw_model
from evals.regret.tables import sections
from evals.suite import Identity, Suite

MARGIN_BPS = 0.1  # by which ours may lie above the best simple rule
LARGEST_GAP_BPS = 1e-3  # of the optimum from its bound
ROUNDING_BPS = 1e-6
RAW = "raw_model"
SERVED = ("our_allocation_by_feed", "our_workflow")  # see markets.Market.servable
FAST = {"usd-kink-trap@1000000", "usd-all-alike@1000000", "usd-mixed-1@1000000", "btc-thin-1@10000000"}


class Asked(NamedTuple):
    """What an adviser said, and what became of it."""

    advice: Advice
    judged: Judged
    regret_bps: float


class Answer(NamedTuple):
    """The optimum of a case and all advisers that were asked."""

    optimum: Optimum
    asked: Mapping[str, Asked]


def advisers_for(case: RegretCase, subject: Subject) -> dict[str, Adviser]:
    """Return whom to ask about a case; what needs a served market is not asked about others."""
    found = {**BASELINES, **OURS, **INFORMED}
    if not case.market.servable:
        found = {name: adviser for name, adviser in found.items() if name not in SERVED}
    elif subject.seat is not None:
        seat = subject.seat
        found["our_workflow"] = lambda case: our_workflow(case, seat())
    if subject.endpoint is not None:
        found[RAW] = raw_model(subject.endpoint)
    return found


def solve(case: RegretCase, subject: Subject) -> Answer:
    """Find the optimum and ask everybody."""
    best = optimum(case)
    return answered(case, best, {name: adviser(case) for name, adviser in advisers_for(case, subject).items()})


def answered(case: RegretCase, best: Optimum, advice: Mapping[str, Advice]) -> Answer:
    """Judge what was advised."""
    asked = {}
    for name, given in advice.items():
        judged = judge(case, given.weights)
        asked[name] = Asked(given, judged, regret_bps(case, best.income_usd, judged.income_usd))
    return Answer(best, asked)


def certificate(case: RegretCase, answer: Answer) -> Score:
    """Demand that the optimum lies within a thousandth of a basis point of what is proven to be out of reach.

    And not above it by more than the last digits: then the proof would be none.
    """
    found = answer.optimum
    how = "KKT conditions" if found.method == "kkt" else f"branch and bound, {found.branches} branches"
    return Score(
        value=found.gap_bps,
        passed=-ROUNDING_BPS <= found.gap_bps <= LARGEST_GAP_BPS,
        explanation=f"{how}: at most {found.gap_bps:.2g} bp below the bound",
    )


def regret_of(name: str) -> Callable[[RegretCase, Answer], Score | None]:
    """Return the scorer of an adviser's regret; ours may lie above the best simple rule's by the margin at most."""

    def scorer(case: RegretCase, answer: Answer) -> Score | None:
        asked = answer.asked.get(name)
        if asked is None:
            return None
        best = min(BASELINES, key=lambda rule: answer.asked[rule].regret_bps)
        least = answer.asked[best].regret_bps
        words = f"{asked.regret_bps:.2f} bp a year below the optimum; {best}: {least:.2f} bp"
        if asked.advice.reason:
            words = f"no weights ({asked.advice.reason}), so the money stays idle: {words}"
        passed = asked.regret_bps <= least + MARGIN_BPS and not asked.advice.reason if name in OURS else None
        return Score(value=asked.regret_bps, passed=passed, explanation=words)

    return scorer


def limits_kept_by(name: str) -> Callable[[RegretCase, Answer], Score | None]:
    """Return the scorer of the limits that an adviser broke; ours must break none."""

    def scorer(case: RegretCase, answer: Answer) -> Score | None:
        asked = answer.asked.get(name)
        if asked is None:
            return None
        broken = asked.judged.violations
        passed = not broken if name in OURS else None
        return Score(value=float(len(broken)), passed=passed, explanation="; ".join(broken[:3]) or "none broken")

    return scorer


def spent(answer: Answer) -> Spent:
    """Add up what all advisers cost."""
    advice = [asked.advice for asked in answer.asked.values()]
    return Spent(
        calls=sum(one.calls for one in advice),
        input_tokens=sum(one.input_tokens for one in advice),
        output_tokens=sum(one.output_tokens for one in advice),
    )


def details(case: RegretCase, answer: Answer) -> dict[str, Any]:
    """Return the optimum with its certificate, and everybody's weights."""
    best = answer.optimum
    return {
        "market": case.market.id,
        "asset": case.market.asset,
        "amount_usd": case.amount_usd,
        "servable": case.market.servable,
        "optimum": best._asdict(),
        "weights": {name: dict(asked.advice.weights) for name, asked in answer.asked.items()},
        "idle": {name: asked.advice.reason for name, asked in answer.asked.items() if asked.advice.reason},
    }


def identify(case: RegretCase) -> Identity:
    """Name a case by market and amount."""
    return Identity(
        case.id, (case.market.asset, *case.market.tags), [case.market.model_dump(mode="json"), case.amount_usd]
    )


def load() -> Sequence[RegretCase]:
    """Return all cases."""
    return cases_of(load_markets())


NAMES = (*BASELINES, RAW, *OURS, *INFORMED)
SUITE = Suite(
    name="regret",
    words="how far is the advice from the best that could have been done?",
    load=load,
    identify=identify,
    solve=solve,
    scorers={"certificate": certificate}
    | {f"regret.{name}": regret_of(name) for name in NAMES}
    | {f"limits.{name}": limits_kept_by(name) for name in NAMES},
    spent=spent,
    details=details,
    fast=lambda case: case.id in FAST,
    sections=lambda results: sections(results, tuple(BASELINES), tuple(OURS), (RAW, *INFORMED)),
)
