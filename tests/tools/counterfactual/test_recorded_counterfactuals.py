"""The searches on the recorded market, by the whole workflow: what they say is what solving again says."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import pytest

from agents.solving import Solver
from agents.state import Settings
from agents.workflow import advise
from tools.counterfactual import (
    Decide,
    cheapest_relaxation,
    decided,
    feasible_by,
    flip_point,
    smallest_conflict,
    why_not_pool,
    with_only,
)
from tools.market.snapshot import Market
from tools.market.sources import FolderSource
from tools.records import Mandate, Recommendation
from tools.strategies.universe import Universe

DAY, NOW = dt.date(2025, 2, 28), dt.datetime(2025, 3, 1, 12, tzinfo=dt.UTC)
MANDATE = Mandate(asset="USD", amount=2e6, risk="low", max_weight=0.25)


class Recorded(NamedTuple):
    """One market, read once, and the answer to one mandate on it."""

    decide: Decide
    record: Recommendation
    market: Market
    universe: Universe


@pytest.fixture(scope="module")
def recorded(market_folder: Path) -> Recorded:
    source, settings = FolderSource(market_folder), Settings(as_of=DAY, paths=2000)
    solver = Solver(lambda asset, day: source, settings)
    record, context = advise("what if?", source, given=MANDATE, settings=settings, now=NOW)
    assert context.workspace.market is not None
    assert context.workspace.universe is not None
    return Recorded(solver.decide(), record, context.workspace.market, context.workspace.universe)


def test_a_flip_point_is_a_pair_of_runs_a_basis_point_apart(recorded: Recorded) -> None:
    held = max(
        (pool for one in recorded.record.candidates for pool in one.pools if pool.name.startswith("Aave v3 USDT")),
        key=lambda pool: pool.tvl_usd,
    )
    flip = flip_point(recorded.decide, MANDATE, decided(recorded.record), held.pool_id, held.apy)
    assert flip.held
    assert flip.kept_at is not None
    assert flip.gone_at is not None
    assert 0.0 < flip.gone_at < flip.kept_at < held.apy
    assert flip.kept_at - flip.gone_at == pytest.approx(1e-4)
    assert held.pool_id in recorded.decide(MANDATE, {held.pool_id: flip.kept_at}).weights
    assert held.pool_id not in recorded.decide(MANDATE, {held.pool_id: flip.gone_at}).weights


def test_a_conflict_is_found_and_the_way_out_of_it_leads_to_a_choice(recorded: Recorded) -> None:
    """Without Morpho's pools the caps of low risk cannot be kept, whatever else is lifted."""
    mandate = MANDATE.model_copy(update={"protocols_exclude": ["morpho", "curve"]})
    feasible = feasible_by(recorded.decide)
    conflict = smallest_conflict(feasible, mandate)
    assert [limit.id for limit in conflict.limits] == ["protocols_exclude:morpho"]
    assert (conflict.blame, conflict.smallest) == ("limits", True)
    assert not feasible(with_only(mandate, conflict.limits))
    assert feasible(with_only(mandate, []))
    found = cheapest_relaxation(feasible, mandate, conflict)
    assert found.cheapest is not None
    assert (found.cheapest.kind, found.cheapest.mandate.protocols_exclude) == ("removed", ["curve"])
    assert feasible(found.cheapest.mandate)


def test_every_pool_of_the_market_has_its_reason(recorded: Recorded) -> None:
    record, market, universe = recorded.record, recorded.market, recorded.universe
    assert record.choice is not None
    assert record.market is not None
    excluded = [name for name in universe.excluded if " " not in name]
    for pool_id in excluded[:: len(excluded) // 50]:
        found = why_not_pool(record, market, universe, pool_id)
        assert found.stage == "excluded"
        assert found.failure is not None
        assert found.failure.rule in record.market.excluded
    stages = [why_not_pool(record, market, universe, pool.id).stage for pool in universe.pools]
    assert stages.count("held") == len(record.choice.pools)
    assert set(stages) == {"held", "lost", "failed", "not_selected"}
