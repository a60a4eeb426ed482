"""The exposures of the recorded market's eligible pools."""

from __future__ import annotations

import datetime as dt
import functools
from collections import Counter

import pytest

from tools.exposure import exposures, portfolio_exposure
from tools.market.evidence import Evidence
from tools.market.load import read_market
from tools.market.sources import FolderSource
from tools.risk.lookup import ProtocolRisks
from tools.strategies.universe import build_universe, protocol_tvl, screen

DAYS = {"USD": dt.date(2025, 2, 28), "ETH": dt.date(2025, 9, 26), "BTC": dt.date(2025, 9, 26)}
# Counted here and told in docs/design/exposure.md: pools with an unknown node, of all that are eligible.
UNKNOWN = {
    "USD": (33, 16, {"unknown:oracle": 16, "unknown:collateral": 6}),
    "ETH": (9, 0, {}),
    "BTC": (3, 1, {"unknown:collateral": 1}),
}


@pytest.fixture(scope="module")
def recorded(market_folder):
    def pools(asset):
        screening = functools.partial(screen, asset=asset)
        market = read_market(Evidence(FolderSource(market_folder)), asset, DAYS[asset], screening, protocol_tvl)
        return build_universe(market, asset, ProtocolRisks(market)).pools

    return {asset: pools(asset) for asset in DAYS}


@pytest.mark.parametrize("asset", DAYS)
def test_what_is_not_known_of_the_eligible_pools(recorded, asset):
    hits = exposures(recorded[asset], DAYS[asset])
    found = Counter(node for pool_id in hits for node in hits[pool_id] if node.startswith("unknown:"))
    touched = sum(any(node.startswith("unknown:") for node in hits[pool_id]) for pool_id in hits)
    assert (len(hits), touched, dict(found)) == UNKNOWN[asset]


@pytest.mark.parametrize("asset", DAYS)
def test_every_issuer_that_the_universe_names_is_found_with_at_least_its_share(recorded, asset):
    hits = exposures(recorded[asset], DAYS[asset])
    for pool in recorded[asset]:
        parties = [
            hit.look_through for node, hit in hits[pool.id].items() if node.split(":")[0] not in ("chain", "oracle")
        ]
        for share in pool.issuer_shares.values():
            assert any(abs(found - share) < 1e-9 or found > share for found in parties)
        assert {f"protocol:{pool.family}", f"chain:{pool.row.chain}"} <= set(hits[pool.id])


def test_the_pools_of_lido_in_the_record_are_one_exposure(recorded):
    pools = [p for p in recorded["ETH"] if p.row.project == "lido" or p.row.symbol == "ETH-STETH"]
    assert len(pools) == 2
    weights = {pool.id: 0.5 for pool in pools}
    exposure = portfolio_exposure(weights, exposures(recorded["ETH"], DAYS["ETH"]), lambda node: None)
    assert (exposure.single_point, exposure.effective_risks) == ("protocol:lido", 1.0)
    assert exposure.nodes[[n.id for n in exposure.nodes].index("protocol:lido")].look_through == 0.75


def test_the_recorded_dollar_pools_are_far_fewer_risks_than_pools(recorded):
    pools = recorded["USD"]
    weights = {pool.id: 1.0 / len(pools) for pool in pools}
    exposure = portfolio_exposure(weights, exposures(pools, DAYS["USD"]), lambda node: None)
    assert exposure.single_point == "issuer:Circle"
    assert 1.0 < exposure.effective_risks < 2.0
