"""Quant: candidates from every profile and weight method, with their figures."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from langgraph.runtime import Runtime

from agents.data import data
from agents.prompts import prompt
from agents.state import Context, State, Steps
from agents.world import dependence, moving_of
from tools.candidates import Weighing, build_candidates, build_outlook, measure, pool_mark
from tools.records import Mandate, MarketSummary, Plan, WeightMethod
from tools.strategies.objectives import CONFIDENCES, METHOD_WORDS, Objective, allowed_methods, load_objectives
from tools.strategies.profiles import Limits, load_limits, load_profiles
from tools.strategies.selection import effective_limits

DEFAULT_HORIZON_DAYS = 365
MOST_METHODS = 6


def quant(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Build the candidates, the second time without the pools that risk sent back.

    And compute all their figures in one call.
    """
    workspace = runtime.context.workspace
    mandate, market = state["mandate"], state["market"]
    assert market is not None
    if workspace.universe is None:  # the run goes on in another process: its arrays are computed again
        data(state, runtime)
    assert workspace.universe is not None
    universe = workspace.universe
    vetoed = state.get("vetoed", {})
    steps = Steps("quant", state, runtime)
    plan = state.get("plan") or _plan(mandate, runtime.context)
    if state["round"] == 0 or workspace.weighing is None:  # later rounds keep what was weighed already
        workspace.weighing = _weighing(plan, mandate, market, runtime.context, steps)
    weighing = workspace.weighing
    drafts = steps.call(
        "build_candidates",
        {
            "mandate": mandate.model_dump(),
            "snapshot_sha256": market.snapshot_sha256,
            "vetoed": vetoed,
            "plan": plan.model_dump(),
        },
        lambda: build_candidates(
            universe, mandate, load_profiles(), limits_for(mandate), amount_usd(mandate, market), vetoed, weighing
        ),
        lambda d: [
            (draft.id, [pool.id for pool in draft.pools], [float(w) for w in draft.weights]) for draft in d.drafts
        ],
    )
    plan = plan.model_copy(update={"unsolved": list(drafts.unsolved)})
    workspace.drafts = drafts
    workspace.measured = steps.call(
        "compute_metrics",
        {"drafts": [draft.id for draft in drafts.drafts], "days": drafts.days, "risk_free": market.risk_free.rate},
        lambda: measure(drafts, universe, dt.date.fromisoformat(market.snapshot_date), market.risk_free.rate),
        lambda m: [dict(candidate.metrics) for candidate in m],
    )
    return {"plan": plan, "emptied": list(drafts.emptied), "round": state["round"] + 1, "trace": steps.taken}


def _plan(mandate: Mandate, context: Context) -> Plan:
    """Choose the weight methods by the mandate's objective; a model in the seat may ask for others within limits."""
    objective = load_objectives()[mandate.risk]
    asked = None
    if "quant" not in context.settings.off:
        asked = _asked(mandate, objective, context)
    return Plan(
        objective=objective.words,
        methods=objective.methods if asked is None else _with_the_simple_rule(asked.methods, objective),
        confidence=objective.confidence if asked is None else asked.confidence,
        loss_aversion=objective.loss_aversion,
        author="policy" if asked is None else context.seat.name,
        why=f"the objective of {mandate.risk} risk" if asked is None else "asked for by the model in quant's seat",
        unsolved=[],
    )


def _with_the_simple_rule(methods: list[WeightMethod], objective: Objective) -> list[WeightMethod]:
    """Keep the simple rule whatever a model asks for: it has weights wherever the caps leave room for any."""
    return list(dict.fromkeys([objective.methods[0], *methods]))


class _Asked(NamedTuple):
    methods: list[WeightMethod]
    confidence: float


def _asked(mandate: Mandate, objective: Objective, context: Context) -> _Asked | None:
    """Ask the seat which methods to try; None keeps what the objective plans."""
    allowed = allowed_methods(mandate.risk)

    def check(answer: dict[str, Any]) -> _Asked | None:
        methods, confidence = answer.get("methods"), answer.get("confidence", objective.confidence)
        if not answer:
            return None
        if (
            not isinstance(methods, list)
            or not 0 < len(methods) <= MOST_METHODS
            or len(set(map(str, methods))) < len(methods)
        ):
            raise ValueError(f"methods must be a list of one to {MOST_METHODS} different ids")
        if any(not isinstance(method, str) or method not in allowed for method in methods):
            raise ValueError("every method must be one of the ids in methods")
        if isinstance(confidence, bool) or confidence not in CONFIDENCES:
            raise ValueError("confidence must be one of confidences")
        if methods == objective.methods and confidence == objective.confidence:
            return None
        return _Asked(methods, float(confidence))

    payload = {
        "mandate": mandate.model_dump(mode="json", exclude={"notes"}),
        "objective": objective.words,
        "methods": {method: METHOD_WORDS[method] for method in allowed},
        "planned": objective.methods,
        "confidences": CONFIDENCES,
    }
    return context.seat.ask("plan", prompt("quant.md.j2", most=MOST_METHODS), payload, check)


def _weighing(plan: Plan, mandate: Mandate, market: MarketSummary, context: Context, steps: Steps) -> Weighing:
    """Gather what the weight methods may know; what may happen in a year is drawn once a run."""
    workspace = context.workspace
    assert workspace.universe is not None
    assert workspace.market is not None
    pools = workspace.universe.pools
    if workspace.outlook is None:
        hits, hazards = dependence(context, steps)
        settings = context.settings
        workspace.outlook = steps.call(
            "build_outlook",
            {"pools": [pool.id for pool in pools], "hazard": settings.hazard, "seed": settings.seed},
            lambda: build_outlook(
                pools, hits, {pool.id: pool_mark(pool) for pool in pools}, hazards.of, settings.hazard, settings.seed
            ),
            lambda outlook: [list(outlook.nodes), outlook.rates.tolist()],
        )
    return Weighing(
        load_objectives()[mandate.risk].model_copy(
            update={"confidence": plan.confidence, "loss_aversion": plan.loss_aversion}
        ),
        tuple(plan.methods),
        workspace.outlook,
        market.risk_free.rate,
        amount_usd(mandate, market),
        moving_of(workspace).curve,
        moving_of(workspace).gas,
        mandate.horizon_days or DEFAULT_HORIZON_DAYS,
    )


def limits_for(mandate: Mandate) -> Limits:
    """Return the limits of the mandate's risk with the user's own in their place."""
    assert mandate.asset is not None
    return effective_limits(mandate, load_limits()[mandate.risk][mandate.asset])


def amount_usd(mandate: Mandate, market: MarketSummary) -> float | None:
    """Return the money in dollars: as given, or the amount at the day's price; None when either is unknown."""
    if mandate.asset == "USD":
        return mandate.amount or mandate.amount_usd
    if mandate.amount_usd is not None:
        return mandate.amount_usd
    if mandate.amount is None or market.price_usd is None:
        return None
    return mandate.amount * market.price_usd


def amount_in_asset(mandate: Mandate, market: MarketSummary) -> float | None:
    """Return the money in the asset (dollars for USD); None when it, or the price it needs, is unknown."""
    if mandate.amount is not None or mandate.asset == "USD":
        return mandate.amount or mandate.amount_usd
    if mandate.amount_usd is None or market.price_usd is None:
        return None
    return mandate.amount_usd / market.price_usd
