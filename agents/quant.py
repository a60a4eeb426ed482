"""Quant: candidates from every profile and weight method, with their figures."""

from __future__ import annotations

import datetime as dt
from typing import Any

from langgraph.runtime import Runtime

from agents.state import Context, State, Steps
from tools.candidates import build_candidates, measure
from tools.records import Mandate, MarketSummary
from tools.strategies.profiles import Limits, load_limits, load_profiles
from tools.strategies.selection import effective_limits

DEFAULT_HORIZON_DAYS = 365


def quant(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Build the candidates, the second time without the pools that risk sent back.

    And compute all their figures in one call.
    """
    workspace = runtime.context.workspace
    mandate, market = state["mandate"], state["market"]
    assert market is not None
    assert workspace.universe is not None
    universe = workspace.universe
    vetoed = state.get("vetoed", {})
    steps = Steps("quant", state)
    drafts = steps.call(
        "build_candidates",
        {"mandate": mandate.model_dump(), "snapshot_sha256": market.snapshot_sha256, "vetoed": vetoed},
        lambda: build_candidates(
            universe, mandate, load_profiles(), limits_for(mandate), amount_usd(mandate, market), vetoed
        ),
        lambda d: [
            (draft.id, [pool.id for pool in draft.pools], [float(w) for w in draft.weights]) for draft in d.drafts
        ],
    )
    workspace.drafts = drafts
    workspace.measured = steps.call(
        "compute_metrics",
        {"drafts": [draft.id for draft in drafts.drafts], "days": drafts.days, "risk_free": market.risk_free.rate},
        lambda: measure(drafts, universe, dt.date.fromisoformat(market.snapshot_date), market.risk_free.rate),
        lambda m: [dict(candidate.metrics) for candidate in m],
    )
    return {"emptied": list(drafts.emptied), "round": state["round"] + 1, "trace": steps.taken}


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
