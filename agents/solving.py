"""Solving again: other mandates, other rates, on a market that was read once.

What the searches of ``tools.counterfactual`` ask for many times is decided without a text; what is shown is a whole
recommendation. A counterfactual is solved by the embedded policy on both sides, so that a difference is never a model's
whim.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from langsmith.run_helpers import tracing_context

from agents.events import Listener
from agents.journal import Journal
from agents.models import Seat, policy_seat
from agents.state import Context, Settings, State, Workspace
from agents.workflow import Asker, advise, apart, build_workflow, gather
from tools.counterfactual import Decide, Decided, Feasible, feasible_by, remembered
from tools.market.evidence import Evidence
from tools.market.snapshot import Market, Source
from tools.records import Asset, Mandate, Recommendation
from tools.strategies.universe import Universe

_Key = tuple[Asset | None, dt.date | None, tuple[tuple[str, float], ...]]


class Solver:
    """Solves mandates on one market; what does not depend on the mandate is computed once.

    Parameters
    ----------
    source_for
        The market for an asset and a day (None: the source's own day).
    settings
        Of every run; day and assumed rates are set for each.
    """

    def __init__(self, source_for: Callable[[Asset | None, dt.date | None], Source], settings: Settings) -> None:
        self._source_for = source_for
        self._settings = settings
        self._read: dict[_Key, tuple[Evidence, Workspace]] = {}

    def recommend(
        self,
        question: str,
        mandate: Mandate | None,
        *,
        apys: Mapping[str, float] | None = None,
        as_of: dt.date | None = None,
        seat: Seat | None = None,
        journal: Journal | None = None,
        approve: bool = False,
        ask: Asker | None = None,
        listen: Listener | None = None,
        now: dt.datetime | None = None,
    ) -> tuple[Recommendation, Context]:
        """Return a whole recommendation, as ``agents.workflow.advise``; ``seat`` None: by the embedded policy."""
        settings = self._of(apys, as_of, approve)
        asset = mandate.asset if mandate else None
        evidence, workspace = self._market(asset, settings)
        recommendation, context = advise(
            question,
            evidence,
            given=mandate,
            seat=seat or policy_seat(),
            journal=journal,
            settings=settings,
            workspace=workspace,
            listen=listen,
            ask=ask,
            now=now,
        )
        self._keep(recommendation.mandate.asset, context)
        return recommendation, context

    def decide(self, as_of: dt.date | None = None) -> Decide:
        """Return a function that decides without writing anything, each problem once."""
        return remembered(lambda mandate, apys: self._decided(mandate, apys, as_of))

    def feasible(self, as_of: dt.date | None = None) -> Feasible:
        """Return a function that tells whether a mandate leads to a choice."""
        return feasible_by(self.decide(as_of))

    def look(self, mandate: Mandate, as_of: dt.date | None) -> tuple[Market, Universe]:
        """Return the market of a mandate and its eligible pools; where no run has read it yet, one does."""
        key = self._key(mandate.asset, self._of(None, as_of, False))
        if key not in self._read:
            self._decided(mandate, {}, as_of)
        _, workspace = self._read[key]
        assert workspace.market is not None
        assert workspace.universe is not None
        return workspace.market, workspace.universe

    def _decided(self, mandate: Mandate, apys: Mapping[str, float], as_of: dt.date | None) -> Decided:
        settings = self._of(apys, as_of, False)
        evidence, workspace = self._market(mandate.asset, settings)
        context = Context(source=evidence, seat=policy_seat(), settings=settings, given=mandate, workspace=workspace)
        state = apart(lambda: _ended(context))
        self._keep(mandate.asset, context)
        return _outcome(state)

    def _of(self, apys: Mapping[str, float] | None, as_of: dt.date | None, approve: bool) -> Settings:
        return dataclasses.replace(
            self._settings, assumed=dict(apys or {}), as_of=as_of or self._settings.as_of, approve=approve
        )

    def _key(self, asset: Asset | None, settings: Settings) -> _Key:
        return asset, settings.as_of, tuple(sorted(settings.assumed.items()))

    def _market(self, asset: Asset | None, settings: Settings) -> tuple[Evidence, Workspace]:
        """Return the market with the assumed rates in it, and what an earlier run on the very same left."""
        known = self._read.get(self._key(asset, settings)) if asset else None
        if known is not None:
            evidence, workspace = known
            return evidence, workspace.shared()
        return gather(self._source_for(asset, settings.as_of), settings), Workspace()

    def _keep(self, asset: Asset | None, context: Context) -> None:
        if context.workspace.market is not None and not context.settings.assumed:
            self._read[self._key(asset, context.settings)] = context.source, context.workspace


def _ended(context: Context) -> Any:
    with tracing_context(enabled=False):
        return build_workflow(whole=False).invoke({"question": "solved again"}, context=context)


def _outcome(state: State) -> Decided:
    """Return what a run that ended before its text decided."""
    outcome = state.get("outcome")
    if outcome is not None:
        return Decided(outcome=outcome, candidate_id=None, weights={}, net_apy=None, score=None)
    chosen = next(candidate for candidate in state["candidates"] if candidate.id == state["decided"])
    return Decided(
        outcome="choice",
        candidate_id=chosen.id,
        weights={pool.pool_id: pool.weight for pool in chosen.pools},
        net_apy=chosen.risk.all_in.net_apy,
        score=chosen.score.total,
    )
