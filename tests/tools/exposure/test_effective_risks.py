"""The exposure of weights: independent risks, the single point of failure, contagion, and the laws they obey."""

from __future__ import annotations

import dataclasses
import math

import networkx as nx
import numpy as np
import pytest
from exposure_pools import DAY, lying_in
from hypothesis import given, settings
from hypothesis import strategies as st
from made_market import pool_id

from tools.exposure import (
    build_graph,
    contagion,
    contagion_table,
    effective_number,
    exposures,
    falls_with,
    portfolio_exposure,
)
from tools.exposure.facts import load_together
from tools.exposure.portfolio import diversity
from tools.records import NodeHazard

SUM_ERROR = 1e-9  # a number of risks is a sum of at most 400 products of fractions, kept to 12 decimals
HAZARD = NodeHazard(
    rate_low=0.01, rate=0.02, rate_high=0.04, severity_low=0.2, severity_high=1.0, basis="test", sources=[]
)


def no_hazard(node):
    return None


def assess(pools, weights=None):
    shares = weights or [1.0 / len(pools)] * len(pools)
    return portfolio_exposure(dict(zip([p.id for p in pools], shares, strict=True)), exposures(pools, DAY), no_hazard)


def node_of(exposure, node_id):
    return next(node for node in exposure.nodes if node.id == node_id)


LIDO = [lying_in(1, "lido", "STETH"), lying_in(2, "curve-dex", "ETH-STETH")]
LENDERS = ("aave-v3", "compound-v3", "fluid-lending", "moonwell-lending", "curve-dex")
ROWS = [
    ("aave-v3", "USDC", "Ethereum"), ("aave-v3", "USDT0", "Polygon"), ("aave-v3", "GHO", "Base"),
    ("compound-v3", "USDC", "Arbitrum"), ("curve-dex", "DAI-USDC-USDT", "Ethereum"), ("fluid-dex", "WEETH-ETH", "Base"),
    ("fluid-lending", "USDT", "Ethereum"), ("lido", "STETH", "Ethereum"), ("morpho-v1", "SPDAI", "Ethereum"),
    ("morpho-v1", "RE7USDC", "Base"), ("nobody-knows", "XUSD", "Sonic"), ("sky-lending", "SUSDS", "Ethereum"),
    ("uniswap-v3", "WETH", "Ethereum"), ("uniswap-v3", "WBTC-CBBTC", "Ethereum"), ("ethena-usde", "SUSDE", "Ethereum"),
]  # fmt: skip


@st.composite
def portfolios(draw):
    rows = draw(st.lists(st.sampled_from(ROWS), min_size=1, max_size=8))
    parts = draw(st.lists(st.integers(1, 1000), min_size=len(rows), max_size=len(rows)))
    return [lying_in(n, *row) for n, row in enumerate(rows)], [part / sum(parts) for part in parts]


def naive_number(pools, weights):
    """Σ over all pairs, node by node, from the shares lost and the table of judgements alone."""
    hits, table = exposures(pools, DAY), load_together()

    def together(node):
        kind, _, name = node.partition(":")
        if kind == "chain" and name in table.chains:
            return table.chains[name].value
        return table.kinds[name if kind == "unknown" else kind].value

    total = 0.0
    for i, first in enumerate(pools):
        for j, second in enumerate(pools):
            shared = set(hits[first.id]) & set(hits[second.id])
            alike = [
                together(n) * min(hits[first.id][n].lost_if_fails, hits[second.id][n].lost_if_fails) for n in shared
            ]
            total += weights[i] * weights[j] * (1.0 if i == j else max(alike, default=0.0))
    return 1.0 / total


def test_steth_and_a_pool_of_eth_and_steth_are_one_exposure_to_lido():
    exposure = assess(LIDO)
    assert exposure.single_point == "protocol:lido"
    lido = node_of(exposure, "protocol:lido")
    assert (lido.name, lido.pools, lido.look_through, lido.lost_if_fails) == ("Lido", 2, 0.75, 1.0)
    assert exposure.effective_risks == 1.0


def test_five_pools_on_one_issuer_are_one_risk_however_many_protocols():
    exposure = assess([lying_in(n, project, "USDC") for n, project in enumerate(LENDERS)])
    assert exposure.effective_risks == 1.0
    assert exposure.effective_by_kind == {"protocol": 5.0, "issuer": 1.0, "token": 1.0, "chain": 1.0}
    assert exposure.single_point == "issuer:Circle"


def test_pools_that_share_an_oracle_and_a_chain_only_are_nearly_two_risks():
    pools = [lying_in(1, "aave-v3", "USDC"), lying_in(2, "compound-v3", "USDT")]
    assert assess(pools).effective_risks == pytest.approx(1.0 / (0.5 + 0.5 * 0.25), abs=1e-12)
    apart = [lying_in(1, "uniswap-v3", "USDC"), lying_in(2, "curve-dex", "USDT")]
    assert assess(apart).effective_risks == pytest.approx(1.0 / (0.5 + 0.5 * 0.05), abs=1e-12)


def test_an_oracle_that_is_not_known_ties_pools_no_closer_than_one_that_is():
    pools = [lying_in(1, "navi-lending", "USDC"), lying_in(2, "lista-cdp", "USDT")]
    assert all("unknown:oracle" in nodes for nodes in exposures(pools, DAY).values())
    exposure = assess(pools)
    assert exposure.effective_risks == pytest.approx(1.0 / (0.5 + 0.5 * 0.25), abs=1e-12)
    assert node_of(exposure, "unknown:oracle").lost_if_fails == 1.0
    assert exposure.single_point == "issuer:Circle"  # an oracle is no single point, known or not


def test_a_pool_is_one_risk_even_where_sharing_means_nothing():
    hits = exposures(LIDO, DAY)
    hits.weight_of_node[:] = 0.0
    assert effective_number({LIDO[0].id: 0.6, LIDO[1].id: 0.4}, hits) == pytest.approx(1 / 0.52, abs=1e-12)


def test_the_number_by_kind_is_the_inverse_of_the_sum_of_squares_where_each_pool_hangs_on_one():
    pools = [lying_in(1, "aave-v3", "USDC"), lying_in(2, "aave-v3", "USDT"), lying_in(3, "compound-v3", "USDC")]
    kinds = assess(pools, [0.5, 0.2, 0.3]).effective_by_kind
    assert kinds["protocol"] == pytest.approx(1.0 / (0.7**2 + 0.3**2), abs=1e-12)
    assert kinds["issuer"] == kinds["token"] == pytest.approx(1.0 / (0.8**2 + 0.2**2), abs=1e-12)
    assert "issuer" not in assess([lying_in(1, "aave-v3", "WETH")]).effective_by_kind


def test_a_protocol_that_issues_counts_among_the_issuers_wherever_it_stands():
    pools = [lying_in(1, "aave-v3", "GHO"), lying_in(2, "aave-v3", "WSTETH"), lying_in(3, "curve-dex", "WSTETH")]
    assert assess(pools, [0.4, 0.3, 0.3]).effective_by_kind["issuer"] == pytest.approx(
        1.0 / (1.0 - 2 * 0.4 * 0.3), abs=1e-12
    )  # the first two share Aave, the last two Lido


def test_the_expected_loss_is_what_is_lost_times_rate_times_mean_severity():
    hits = exposures(LIDO, DAY)
    weights = {LIDO[0].id: 0.25, LIDO[1].id: 0.75}
    exposure = portfolio_exposure(weights, hits, {"protocol:curve": HAZARD}.get)
    assert node_of(exposure, "protocol:curve").expected_loss == pytest.approx(0.75 * 0.02 * 0.6, abs=1e-12)
    assert node_of(exposure, "protocol:curve").hazard == HAZARD
    assert node_of(exposure, "protocol:lido").expected_loss == 0.0


def test_a_pool_without_money_is_left_out():
    exposure = assess(LIDO, [1.0, 0.0])
    assert "protocol:curve" not in {node.id for node in exposure.nodes}
    assert exposure == portfolio_exposure({LIDO[0].id: 1.0}, exposures(LIDO, DAY), no_hazard)


@pytest.mark.parametrize("weights", [[0.5, 0.4], [math.nan, 1.0], [1.5, -0.5], [math.inf, 0.0], [0.0, 0.0]])
def test_weights_that_are_no_fractions_of_a_whole_are_refused(weights):
    with pytest.raises(ValueError, match="weight"):
        assess(LIDO, weights)


def test_a_pool_without_exposures_is_refused():
    hits = exposures(LIDO, DAY)
    with pytest.raises(ValueError, match="stranger"):
        portfolio_exposure({"stranger": 1.0}, hits, no_hazard)
    with pytest.raises(ValueError, match="stranger"):
        contagion(hits, "protocol:lido", {"stranger": 1.0})


@settings(max_examples=60)
@given(portfolios())
def test_the_number_of_risks_is_the_naive_double_sum_and_lies_between_one_and_the_pools(portfolio):
    pools, weights = portfolio
    number = assess(pools, weights).effective_risks
    assert 1.0 <= number <= len(pools)
    assert number == pytest.approx(naive_number(pools, weights), abs=SUM_ERROR)


@settings(max_examples=40)
@given(portfolios(), st.integers(0, 7), st.floats(0.05, 0.95))
def test_splitting_a_pool_changes_nothing(portfolio, which, part):
    pools, weights = portfolio
    whole, k = assess(pools, weights), which % len(pools)
    twin = dataclasses.replace(pools[k], row=dataclasses.replace(pools[k].row, pool_id=pool_id(999)))
    halves = [*weights[:k], weights[k] * part, *weights[k + 1 :], weights[k] * (1.0 - part)]
    split = assess([*pools, twin], halves)
    assert split.effective_risks == pytest.approx(whole.effective_risks, abs=SUM_ERROR)
    assert split.effective_by_kind == pytest.approx(whole.effective_by_kind, abs=SUM_ERROR)
    for node in whole.nodes:
        assert node_of(split, node.id).lost_if_fails == pytest.approx(node.lost_if_fails, abs=SUM_ERROR)


@settings(max_examples=40)
@given(portfolios(), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_names_of_the_pools_matter(portfolio, random):
    pools, weights = portfolio
    numbers = random.sample(range(len(pools)), len(pools))
    renamed = [
        dataclasses.replace(p, row=dataclasses.replace(p.row, pool_id=pool_id(n)))
        for p, n in zip(pools, numbers, strict=True)
    ]
    before, after = assess(pools, weights), assess(renamed[::-1], weights[::-1])
    assert after.nodes == before.nodes  # to the last bit
    assert (after.effective_risks, after.effective_by_kind) == (before.effective_risks, before.effective_by_kind)
    assert after.single_point == before.single_point


@settings(max_examples=40)
@given(portfolios())
def test_what_holds_of_every_exposure(portfolio):
    pools, weights = portfolio
    exposure = assess(pools, weights)
    hits = exposures(pools, DAY)
    table = contagion_table(hits, dict(zip([p.id for p in pools], weights, strict=True)))
    assert {row.node: row.lost for row in table} == {node.id: node.lost_if_fails for node in exposure.nodes}
    assert [row.lost for row in table] == [node.lost_if_fails for node in exposure.nodes]
    for node in exposure.nodes:
        assert 0.0 < node.look_through <= node.lost_if_fails <= 1.0
    if all(p.single for p in pools):
        assert all(node.look_through == node.lost_if_fails for node in exposure.nodes)
    single = node_of(exposure, exposure.single_point)
    assert single.kind not in {"chain", "oracle"}
    assert single.id != "unknown:oracle"
    assert single.lost_if_fails == max(
        n.lost_if_fails for n in exposure.nodes if n.kind not in {"chain", "oracle"} and n.id != "unknown:oracle"
    )
    below = {link.target for link in exposure.links}
    assert below == {node.id for node in exposure.nodes}
    assert {link.source for link in exposure.links} <= below | {f"pool:{p.id}" for p in pools}


def claim(links, node, wanted, path=()):
    """The share of ``node`` that is a claim on ``wanted``, one pair at a time and straight from the definition."""
    if node == wanted:
        return 1.0
    below = [
        (share, claim(links, c, wanted, (*path, node))) for c, share in links.get(node, {}).items() if c not in path
    ]
    whole = max((found for share, found in below if share == 1.0), default=0.0)
    return min(1.0, max(whole, sum(share * found for share, found in below if share < 1.0)))


@settings(max_examples=20)
@given(portfolios())
def test_the_links_in_the_record_alone_give_every_figure_of_its_nodes(portfolio):
    pools, weights = portfolio
    exposure = assess(pools, weights)
    links = {}
    for link in exposure.links:
        links.setdefault(link.source, {})[link.target] = link.share
    for node in exposure.nodes:
        look = [claim(links, f"pool:{p.id}", node.id) for p in pools]
        lost = [max(claim(links, direct, node.id) for direct in links[f"pool:{p.id}"]) for p in pools]
        assert node.look_through == pytest.approx(sum(w * x for w, x in zip(weights, look, strict=True)), abs=SUM_ERROR)
        assert node.lost_if_fails == pytest.approx(
            sum(w * x for w, x in zip(weights, lost, strict=True)), abs=SUM_ERROR
        )
        assert node.pools == sum(x > 0.0 for x in look)


def test_equal_species_give_the_inverse_herfindahl_index():
    shares = np.array([0.5, 0.3, 0.2])
    assert diversity(shares, np.eye(3)) == pytest.approx(1.0 / np.square(shares).sum(), abs=1e-12)
    assert diversity(shares, np.ones((3, 3))) == 1.0
    # Two kinds alike by a half: worked by hand, 1 / (0.36 + 0.16 + 2 · 0.24 · 0.5).
    assert diversity(np.array([0.6, 0.4]), np.array([[1.0, 0.5], [0.5, 1.0]])) == pytest.approx(1 / 0.76, abs=1e-12)


def test_what_falls_with_lido():
    pools = [*LIDO, lying_in(3, "aave-v3", "WSTETH"), lying_in(4, "aave-v3", "USDC")]
    hits = exposures(pools, DAY)
    weights = dict(zip([p.id for p in pools], [0.1, 0.2, 0.3, 0.4], strict=True))
    assert falls_with(hits, "protocol:lido") == {"token:STETH": 1.0, "token:WSTETH": 1.0}
    assert contagion(hits, "protocol:lido", weights) == pytest.approx(0.6, abs=1e-12)
    assert contagion(hits, "bridge:Axelar", weights) == 0.0
    row = next(row for row in contagion_table(hits, weights) if row.node == "protocol:lido")
    assert list(row.pools) == [pool_id(1), pool_id(2), pool_id(3)]
    assert row.falls == {"token:STETH": 1.0, "token:WSTETH": 1.0}
    assert contagion_table(hits, {LIDO[0].id: 1.0})[1].falls == {"token:STETH": 1.0}  # what is held, not all there is
    circle = falls_with(exposures([lying_in(1, "aave-v3", "SDAI")], DAY), "issuer:Circle")
    assert circle == {"token:USDC": 1.0, "token:DAI": 0.094, "token:SDAI": 0.094}


def test_the_graph_says_what_every_link_rests_on_and_agrees_with_the_record():
    pools = [lying_in(1, "aave-v3", "SDAI"), lying_in(2, "fluid-dex", "WEETH-ETH", "Base")]
    graph, exposure = build_graph(pools, DAY), assess(pools)
    assert nx.is_directed_acyclic_graph(graph)
    assert {(link.source, link.target): link.share for link in exposure.links} == {
        (source, target): about["share"] for source, target, about in graph.edges(data=True)
    }
    for made in pools:
        assert set(nx.descendants(graph, f"pool:{made.id}")) == set(exposures(pools, DAY)[made.id])
        assert graph.nodes[f"pool:{made.id}"] == {"kind": "pool", "name": made.name}
    assert graph.nodes["protocol:ether-fi"] == {"kind": "protocol", "name": "ether.fi"}
    dai = graph.edges["token:DAI", "token:USDC"]
    assert (dai["share"], dai["since"]) == (0.094, "2023-06-30")
    assert dai["source"].startswith("https://")
    assert "peg stability module" in dai["why"]
    assert list(graph) == [*[f"pool:{p.id}" for p in pools], *sorted(n for n in graph if not n.startswith("pool:"))]
