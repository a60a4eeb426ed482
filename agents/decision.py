"""Decision: score the candidates, choose among those that passed every gate, and say why; or say that none did.

decision (scores, and what the seat proposes) ── approval (a person, where one is to be asked) ── settle (the choice)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from agents.choosing import ask_for_choice
from agents.mandates import DEFAULT_HORIZON_DAYS, amount_in_asset, amount_usd, limits_for
from agents.models import POLICY
from agents.restore import restored
from agents.state import Context, State, Steps, Switch, Workspace
from agents.world import moving_of
from tools.candidates import Assessed, capped, conflicts, net_income, rejected, scored_figures
from tools.candidates.gates import position_share
from tools.candidates.watch import sized_features, watched
from tools.candidates.weighing import window_shift
from tools.errors import Declined, UsageError
from tools.forecast.interval import forecast_portfolio
from tools.market.snapshot import Market
from tools.reasons import own_reasons
from tools.records import (
    Alternative,
    Alternatives,
    Approval,
    Asset,
    Candidate,
    CandidatePool,
    Choice,
    ChosenPool,
    Expected,
    Forecast,
    Mandate,
    MarketSummary,
    Preference,
    ProfileId,
    ProtocolEvidence,
    Reason,
    Score,
    WeightMethod,
)
from tools.risk.thresholds import emergency_allocation, tripwires
from tools.scoring import score_candidates
from tools.sizing.dilution import at_size
from tools.strategies.profiles import load_presets
from tools.units import BASIS_POINTS, income

# A model may decide between near-equals only: candidates within this of the best score, at most so many.
SHORTLIST_MARGIN, SHORTLIST_LENGTH = 0.05, 5
_EQUAL = 1e-12  # yields that differ by less are the same
FORECAST_OFF = "forecasts were switched off"
POOL_URL = "https://defillama.com/yields/pool/"


def decision(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Score all candidates against each other and let the seat choose from the shortlist of those that passed."""
    context = runtime.context
    mandate, market = state["mandate"], state["market"]
    assert market is not None
    steps = Steps("decision", state, runtime)
    workspace = restored(state, runtime)
    assessed = workspace.assessed
    preset, off = context.settings.preset, context.settings.off
    carry = Switch.HAZARDS in off
    scores = steps.call(
        "score_candidates",
        {"candidates": [candidate.measured.draft.id for candidate in assessed], "preset": preset},
        lambda: score_candidates(
            [
                dict(a.measured.metrics) if carry else scored_figures(a.measured.metrics, a.risk.all_in)
                for a in assessed
            ],
            load_presets()[preset],
            preset,
            "carry_only" if carry else "all_in",
        ),
        lambda found: [score.model_dump() for score in found],
    )
    money = amount_usd(mandate, market)
    candidates = [_candidate(a, score, money, workspace) for a, score in zip(assessed, scores, strict=True)]
    update: dict[str, Any] = {
        "candidates": candidates,
        "conflicts": [],
        "protocols": _evidence(candidates, workspace),
        "limit_events": [] if Switch.RISK in off else rejected(assessed),
        "trace": steps.taken,
    }
    best = shortlist(candidates, _serving(state), off, _prefers(state))
    if not best:
        return update | {
            "outcome": "no_feasible_strategy",
            "reason": "no candidate passes every limit" if candidates else "no profile found enough pools",
            "conflicts": conflicts(assessed),
            "alternatives": _alternatives(None, mandate, market),
        }
    if {Switch.DECISION, Switch.DECISION_MODEL}.intersection(off):
        return update | {"decided": best[0].id, "reasons": [], "prose": {}}
    prose = Switch.PROSE_MODEL not in off
    decided = ask_for_choice(context.seat, best, candidates, mandate, prose=prose)
    return update | {"decided": decided.candidate_id, "reasons": decided.reasons, "prose": decided.prose}


def approval(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Ask a person before the choice is final; the graph waits here, for as long as it takes.

    The person is shown ``{"proposed": id, "risk_free": rate, "shortlist": [{"id", "net_apy", "cvar_95", "pools":
    {name: weight}}, …]}`` and answers ``{"candidate": id}`` with an id of that shortlist, or None for none of them.

    Raises
    ------
    Declined
        When the person wants none of them.
    UsageError
        When the answer names anything else.
    """
    best = shortlist(state["candidates"], _serving(state), runtime.context.settings.off, _prefers(state))
    proposed = state["decided"]
    market = state["market"]
    assert market is not None
    shown = {
        "proposed": proposed,
        "risk_free": market.risk_free.rate,
        "shortlist": [_shown(candidate) for candidate in best],
    }
    answer = interrupt(shown)["candidate"]
    if answer is None:
        raise Declined("you declined the choice; nothing was written")
    if answer not in {candidate.id for candidate in best}:
        raise UsageError(f"{answer!r} is not in the shortlist: {', '.join(candidate.id for candidate in best)}")
    update: dict[str, Any] = {"decided": answer, "approval": Approval(proposed=proposed, chosen=answer)}
    # What a model said in favour of another candidate says nothing of this one.
    return update | ({"prose": {}, "reasons": []} if answer != proposed else {})


def _shown(candidate: Candidate) -> dict[str, Any]:
    """Return what a person needs to see of a candidate before it is final."""
    return {
        "id": candidate.id,
        "net_apy": candidate.risk.all_in.net_apy,
        "cvar_95": candidate.risk.all_in.cvar_95,
        "pools": {pool.name: pool.weight for pool in candidate.pools},
    }


def settle(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Make the proposed candidate the choice: amounts, what it will earn, when to leave it, how its weights move."""
    workspace = restored(state, runtime)
    mandate, market, candidates = state["mandate"], state["market"], state["candidates"]
    asset = mandate.asset
    assert market is not None
    assert asset is not None
    assert workspace.market is not None
    assert workspace.weighing is not None
    steps = Steps("decision", state, runtime)
    chosen = next(candidate for candidate in candidates if candidate.id == state["decided"])
    off = runtime.context.settings.off
    reasons = _Reasons.of(state, chosen, runtime.context)
    choice = _choice(chosen, reasons, mandate, market, workspace.market)
    picked = next(a for a in workspace.assessed if a.measured.draft.id == chosen.id)
    forecast = steps.call(
        "forecast_portfolio",
        {"candidate": chosen.id, "horizon_days": choice.expected.horizon_days},
        lambda: FORECAST_OFF if Switch.FORECAST in off else _forecast(picked, choice, market, asset),
        lambda found: found if isinstance(found, str) else found.model_dump(),
    )
    limits, days = limits_for(mandate), chosen.window.days
    shift = window_shift(chosen.method, picked.measured.draft.pools, limits, workspace.weighing, days)
    return {
        "candidates": [_moved(candidate, shift) if candidate is chosen else candidate for candidate in candidates],
        "limit_events": capped(picked, limits, days, workspace.weighing),
        "outcome": "choice",
        "reason": _why(chosen, ranked(candidates, _serving(state), off, _prefers(state)), off),
        "choice": choice,
        "forecast": forecast,
        "alternatives": _alternatives(choice, mandate, market),
        "trace": steps.taken,
    }


def _why(chosen: Candidate, order: Sequence[Candidate], off: Collection[str]) -> str:
    """Say in one sentence what the choice is among the candidates in their order."""
    if chosen is not order[0]:
        return f"{chosen.id} was chosen from the shortlist"
    of = "all candidates, as no limit could veto" if Switch.RISK in off else "those that passed every limit"
    if Switch.DECISION in off:
        return f"{chosen.id} stands first by profile and id among {of}; no score decided"
    if chosen.score.total < max(candidate.score.total for candidate in order):
        return f"{chosen.id} is expected to keep the most of {of} with a score within {SHORTLIST_MARGIN} of the best"
    return f"{chosen.id} has the best score of {of}"


def _moved(chosen: Candidate, shift: float | None) -> Candidate:
    """Note how much of the money would lie elsewhere by the younger half of the window."""
    return chosen.model_copy(update={"optimisation": chosen.optimisation.model_copy(update={"window_shift": shift})})


def shortlist(
    candidates: Sequence[Candidate],
    serving: WeightMethod | None,
    off: Collection[str] = (),
    prefers: Preference | None = None,
) -> list[Candidate]:
    """Return the candidates that may be chosen, in their order, whose scores are near the best."""
    best = ranked(candidates, serving, off, prefers)
    return (best if Switch.DECISION in off else _near(best))[:SHORTLIST_LENGTH]


def _near(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates whose scores lie within the margin of the best of them."""
    best = max((candidate.score.total for candidate in candidates), default=0.0)
    return [candidate for candidate in candidates if candidate.score.total >= best - SHORTLIST_MARGIN]


def ranked(
    candidates: Sequence[Candidate],
    serving: WeightMethod | None,
    off: Collection[str] = (),
    prefers: Preference | None = None,
) -> list[Candidate]:
    """Return the candidates that may be chosen, best score first: those that passed, where risk is not switched off.

    Of equal scores the method that serves the objective (the last planned) comes first, then the steadier, then ids.
    Where the objective prefers the yield that is kept, that one of those with scores near the best which is expected to
    keep the most comes before all. Where decision is switched off, profiles stand in their own order, the safest first.
    """
    passed = [candidate for candidate in candidates if candidate.passed or Switch.RISK in off]
    if Switch.DECISION in off:
        profiles = get_args(ProfileId)
        return sorted(passed, key=lambda c: (profiles.index(c.profile), c.id))
    order = sorted(
        passed, key=lambda c: (-c.score.total, c.method != serving, c.metrics["annual_volatility"] or 0.0, c.id)
    )
    if prefers is None or not order:
        return order
    near = _near(order)
    most = max(candidate.risk.all_in.net_apy for candidate in near)
    first = next(candidate for candidate in near if candidate.risk.all_in.net_apy >= most - _EQUAL)
    return [first, *(candidate for candidate in order if candidate is not first)]


def _prefers(state: State) -> Preference | None:
    """Return the figure that decides between candidates whose scores are near the best."""
    plan = state.get("plan")
    return plan.prefers if plan else None


def _serving(state: State) -> WeightMethod | None:
    """Return the method that serves the objective: the last planned."""
    plan = state.get("plan")
    return plan.methods[-1] if plan else None


def _candidate(assessed: Assessed, score: Score, money: float | None, workspace: Workspace) -> Candidate:
    measured, moving = assessed.measured, moving_of(workspace)
    draft = measured.draft
    pools = [
        CandidatePool(
            pool_id=pool.id,
            project=pool.row.project,
            family=pool.family,
            name=pool.name,
            chain=pool.row.chain,
            symbol=pool.row.symbol,
            url=POOL_URL + pool.id,
            tokens=list(pool.tokens),
            issuers=sorted(pool.issuer_shares),
            weight=float(weight),
            apy=pool.row.apy,
            apy_base=pool.row.apy_base,
            apy_reward=pool.row.apy_reward,
            apy_mean_30d=pool.apy_mean_30d,
            tvl_usd=pool.row.tvl_usd,
            share_of_pool=None if money is None else position_share(float(weight), money, pool.row.tvl_usd),
            at_size=at_size(moving.curve(pool), None if money is None else float(weight) * money),
            protocol_risk=pool.protocol_risk,
            weakest_party=pool.weakest_party,
            apy_multiple=pool.apy_multiple,
            trend=pool.trend,
            history_days=pool.history.days,
            features=sized_features(
                workspace.features[pool.id], pool, None if money is None else float(weight) * money
            ),
        )
        for pool, weight in zip(draft.pools, draft.weights, strict=True)
    ]
    pools.sort(key=lambda pool: (-pool.weight, -pool.tvl_usd, pool.pool_id))
    return Candidate(
        id=draft.id,
        profile=draft.profile_id,
        method=draft.method,
        optimisation=draft.optimisation,
        revised=draft.revised,
        count_raised=draft.raised,
        pools=pools,
        window=measured.window,
        metrics=dict(measured.metrics),
        metrics_missing=dict(measured.missing),
        apy_mean_30d=measured.apy_mean_30d,
        apy_low=measured.apy_low,
        apy_high=measured.apy_high,
        risk=assessed.risk,
        gates=list(assessed.gates),
        passed=assessed.passed,
        score=score,
    )


def _evidence(candidates: list[Candidate], workspace: Workspace) -> list[ProtocolEvidence]:
    """Return what the protocol risks of all candidates' pools rest on: of their projects, then of token issuers."""
    assert workspace.risks is not None
    projects = sorted({pool.project for candidate in candidates for pool in candidate.pools})
    return [workspace.risks.evidence(project) for project in projects]


class _Reasons(NamedTuple):
    """The figures that decided, and who named them."""

    found: list[Reason]
    by: str

    @classmethod
    def of(cls, state: State, chosen: Candidate, context: Context) -> _Reasons:
        """Return a model's reasons, else those of the score: for the choice against what comes next.

        None where nothing was scored.
        """
        named, off = state.get("reasons"), context.settings.off
        if named:
            return cls(named, context.seat.name)
        if Switch.DECISION in off:
            return cls([], POLICY)
        candidates = state["candidates"]
        order = ranked(candidates, _serving(state), off, _prefers(state))
        rivals = [other for other in order if other.id != chosen.id]
        return cls(own_reasons(chosen, rivals, candidates), POLICY)


def _choice(chosen: Candidate, reasons: _Reasons, mandate: Mandate, market: MarketSummary, seen: Market) -> Choice:
    asset = mandate.asset
    assert asset is not None
    amount = amount_in_asset(mandate, market)
    days = mandate.horizon_days or DEFAULT_HORIZON_DAYS
    apy = chosen.metrics["portfolio_apy"]
    assert apy is not None

    def earned(rate: float) -> float | None:
        return None if amount is None else income(amount, rate, days)

    return Choice(
        candidate_id=chosen.id,
        method=chosen.method,
        reasons=reasons.found,
        reasons_by=reasons.by,
        amount=amount,
        pools=[
            ChosenPool(
                pool_id=pool.pool_id, weight=pool.weight, amount=None if amount is None else pool.weight * amount
            )
            for pool in chosen.pools
        ],
        expected=Expected(
            income=earned(apy),
            income_low=earned(chosen.apy_low),
            income_high=earned(chosen.apy_high),
            horizon_days=days,
            apy=apy,
            apy_low=chosen.apy_low,
            apy_high=chosen.apy_high,
            net_apy=chosen.risk.all_in.net_apy,
            net_income=None if amount is None else net_income(amount, chosen.risk.all_in, days),
        ),
        tripwires=tripwires(mandate.risk, asset, watched(chosen, asset, seen.as_of, seen.tables)),
        emergency=emergency_allocation(asset, "emergency"),
    )


def _forecast(picked: Assessed, choice: Choice, market: MarketSummary, asset: Asset) -> Forecast | str:
    """Forecast the mean APY of the choice over the horizon, from all days that its pools have in common."""
    draft = picked.measured.draft
    days = min(pool.history.apy.size for pool in draft.pools)
    series = np.array([pool.history.apy[-days:] for pool in draft.pools])
    as_of = dt.date.fromisoformat(market.snapshot_date)
    return forecast_portfolio(series, draft.weights, choice.expected.horizon_days, asset, as_of)


def _alternatives(choice: Choice | None, mandate: Mandate, market: MarketSummary) -> Alternatives:
    """Put doing nothing beside the choice: holding the asset, and its risk-free rate."""
    amount = amount_in_asset(mandate, market)
    days = mandate.horizon_days or DEFAULT_HORIZON_DAYS

    def alternative(name: str, apy: float) -> Alternative:
        return Alternative(
            name=name,
            apy=apy,
            income=None if amount is None else income(amount, apy, days),
            difference_bps=None if choice is None else (choice.expected.apy - apy) * BASIS_POINTS,
            net_difference_bps=None if choice is None else (choice.expected.net_apy - apy) * BASIS_POINTS,
        )

    return Alternatives(
        hold=alternative(f"hold {mandate.asset}", 0.0),
        risk_free=alternative(market.risk_free.source, market.risk_free.rate),
    )
