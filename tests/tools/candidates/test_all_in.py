"""The all-in view: closed forms against sums by hand, the tail against the closed forms, what must not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_market import AS_OF, BY_HAND, MILLION, losses, pool, universe

from tools.candidates import CandidateSet, Draft, measure, scored_figures
from tools.candidates.all_in import gate_view_of
from tools.exposure import exposures
from tools.records import NodeHazard
from tools.risk.costs import Cost
from tools.sizing.dilution import Leg, RateCurve, Term

YEAR = 365


def hazard(rate=0.02, low=0.2, high=1.0, *, rate_low=0.0, rate_high=1.0):
    return NodeHazard(
        rate_low=min(rate_low, rate),
        rate=rate,
        rate_high=max(rate_high, rate),
        severity_low=low,
        severity_high=high,
        basis="made",
        sources=[],
    )


def protocols(rate=0.02):
    return lambda node: hazard(rate) if node.startswith("protocol:") else None


def measured(pools, weights, profile="balanced_apy"):
    draft = Draft(profile, "equal", tuple(pools), np.array(weights), BY_HAND, revised=False, raised=False)
    days = min(p.history.apy.size for p in pools)
    return measure(CandidateSet((draft,), (), days), universe(pools), AS_OF, 0.04)


def two(**options):
    first = {"family": "aave", "issuer_shares": {"Circle": 1.0}, "project": "aave-v3"} | options
    return [pool(1, **first), pool(2, family="compound", project="compound-v3", issuer_shares={"Circle": 1.0})]


def view(pools, weights, amount=None, **changes):
    return losses(measured(pools, weights), amount, **changes)[0]


def test_expected_loss_is_the_sum_over_nodes_of_share_rate_and_mean_severity():
    found = view(two(), [0.3, 0.7], hazard=protocols()).all_in
    assert found.expected_loss == pytest.approx((0.3 + 0.7) * 0.02 * 0.6, rel=1e-9)
    assert found.expected_loss_low == 0.0
    assert found.expected_loss_high == pytest.approx(0.6, rel=1e-9)
    assert found.net_apy == pytest.approx(0.05 - 0.012, rel=1e-9)
    assert found.net_apy_low == pytest.approx(0.05 - 0.6, rel=1e-9)
    assert found.net_apy_high == pytest.approx(0.05, rel=1e-9)
    assert found.event_probability == pytest.approx(1.0 - math.exp(-0.04), rel=1e-9)


def test_volatility_is_that_of_carry_and_of_a_compound_poisson_loss():
    candidates = measured(two(), [0.3, 0.7])
    (loss,) = losses(candidates, hazard=protocols())
    square = (0.04 + 0.2 + 1.0) / 3.0
    events = 0.02 * square * (0.3**2 + 0.7**2)
    carry = candidates[0].metrics["annual_volatility"]
    assert loss.all_in.volatility == pytest.approx(math.sqrt(carry**2 + events), rel=1e-9)
    assert loss.all_in.sharpe == pytest.approx((loss.all_in.net_apy - 0.04) / loss.all_in.volatility, rel=1e-9)


@pytest.mark.parametrize("level", ["low", "central", "high"])
def test_the_level_of_hazard_decides_the_figures_and_not_the_range(level):
    rates = {"low": 0.0, "central": 0.02, "high": 0.1}
    world = {"hazard": lambda node: hazard(rate_high=0.1) if node == "protocol:aave" else None, "hazard_level": level}
    found = view(two(), [0.5, 0.5], **world).all_in
    assert found.expected_loss == pytest.approx(0.5 * rates[level] * 0.6, rel=1e-9)
    assert (found.expected_loss_low, found.hazard_level) == (0.0, level)
    assert found.expected_loss_high == pytest.approx(0.03, rel=1e-9)
    assert found.net_apy_low <= found.net_apy <= found.net_apy_high


def test_the_simulated_mean_is_the_closed_form():
    found = view(two(), [0.3, 0.7], hazard=protocols(0.1)).all_in
    survival = math.exp(-0.1 * 0.6 * 0.3) * math.exp(-0.1 * 0.6 * 0.7)
    assert found.mean_return == pytest.approx(1.05 * survival - 1.0, abs=5 * found.standard_error)
    assert 0.0 < found.standard_error < 0.001


def test_pools_on_one_protocol_fail_together_and_on_two_they_do_not():
    apart, together = two(), two()
    together[1] = pool(2, family="aave", project="aave-v3", issuer_shares={"Circle": 1.0}, chain="Base")
    lost = {name: view(pools, [0.5, 0.5], hazard=protocols(0.05)).all_in for name, pools in
            (("apart", apart), ("together", together))}  # fmt: skip
    assert lost["apart"].expected_loss == pytest.approx(lost["together"].expected_loss)
    assert lost["together"].cvar_99 > lost["apart"].cvar_99 + 0.1
    assert lost["together"].loss_probability < lost["apart"].loss_probability


def test_costs_are_paid_once_and_spread_over_the_horizon():
    pools, costs = two(), {"gas": lambda p: Cost(25.0), "horizon_days": 73}
    found = view(pools, [0.5, 0.5], 10_000.0, **costs).all_in
    assert found.gas_usd == 100.0  # into and out of two pools
    assert found.gas_cost == pytest.approx(0.01)
    assert found.cost_per_year == pytest.approx(0.05)
    assert found.net_apy == pytest.approx(0.0, abs=1e-12)
    assert found.mean_return == pytest.approx(0.04, abs=1e-5)


def test_what_is_not_known_is_named_and_left_out():
    unknown = {"gas": lambda p: Cost(None, "no price of gas"), "impermanent_loss": lambda p: Cost(None, "no price")}
    found = view(two(), [0.5, 0.5], **unknown).all_in
    assert (found.gas_usd, found.gas_cost, found.exit_cost, found.impermanent_loss) == (None, None, None, None)
    assert set(found.missing) >= {"gas_cost", "exit_cost", "impermanent_loss"}
    assert found.missing["impermanent_loss"] == "no price"
    assert found.cost_per_year == 0.0
    assert found.net_apy == pytest.approx(0.05)


def test_what_drifted_apart_is_taken_from_the_yield():
    found = view(two(), [0.5, 0.5], impermanent_loss=lambda p: Cost(0.004)).all_in
    assert found.impermanent_loss == pytest.approx(0.004)
    assert found.net_apy == pytest.approx(0.046)


def test_names_of_nodes_do_not_matter():
    plain = two()
    renamed = [
        pool(1, family="aave", issuer_shares={"Circle": 1.0}, project="aave-v3", chain="Quietchain"),
        pool(2, family="compound", project="compound-v3", issuer_shares={"Circle": 1.0}, chain="Ethereum"),
    ]
    loud = [
        pool(1, family="aave", issuer_shares={"Circle": 1.0}, project="aave-v3", chain="OBEY me"),
        pool(2, family="compound", project="compound-v3", issuer_shares={"Circle": 1.0}, chain="Ethereum"),
    ]
    some = {"hazard": lambda node: hazard(0.1) if node.partition(":")[0] in {"chain", "protocol"} else None}
    assert view(renamed, [0.5, 0.5], **some).all_in == view(loud, [0.5, 0.5], **some).all_in
    assert view(plain, [0.5, 0.5], **some).all_in.cvar_99 > 0.0


def test_a_candidate_does_not_depend_on_those_beside_it():
    pools = [*two(), pool(3, family="morpho", project="morpho-blue")]
    everything = universe(pools)
    drafts = tuple(
        Draft("balanced_apy", "equal", tuple(pools), np.array(weights), BY_HAND, revised=False, raised=False)
        for weights in ([0.2, 0.3, 0.5], [0.5, 0.3, 0.2], [0.4, 0.4, 0.2])
    )
    found = measure(CandidateSet(drafts, (), 100), everything, AS_OF, 0.04)
    world = {"hits": exposures(pools, AS_OF), "hazard": protocols(0.1)}
    alone = losses(found[1:2], **world)[0]
    assert losses(found, **world)[1] == alone


def test_the_curve_of_losses_falls_and_meets_the_quantile():
    found = view(two(), [0.5, 0.5], hazard=protocols(0.3)).all_in
    curve = {point.probability: point.loss for point in found.drawdown_curve}
    assert curve[0.05] == found.drawdown_95 > 0.0
    assert list(curve.values()) == sorted(curve.values())
    assert list(curve) == sorted(curve, reverse=True)


def test_the_score_compares_what_is_kept_at_every_level_of_risk():
    candidates = measured(two(), [0.5, 0.5])
    (loss,) = losses(candidates, hazard=protocols())
    seen = scored_figures(candidates[0].metrics, loss.all_in)
    assert (seen["portfolio_apy"], seen["sharpe"]) == (loss.all_in.net_apy, loss.all_in.sharpe)
    assert (seen["annual_volatility"], seen["beta"]) == (loss.all_in.volatility, candidates[0].metrics["beta"])


def test_the_limits_on_loss_are_held_against_carry_alone_where_high_risk_is_wanted():
    assert [gate_view_of(risk) for risk in ("low", "medium", "high")] == ["all_in", "all_in", "carry_only"]


def test_the_own_deposit_is_taken_from_the_yield_and_the_tail_knows_it():
    def curve(pool):
        return RateCurve((Leg(math.inf, (Term(pool.row.apy, 1e6, 1),)),), "shared", 1e6, None, "made")

    alone = view(two(), [0.5, 0.5], 1e6).all_in
    found = view(two(), [0.5, 0.5], 1e6, curve=curve).all_in
    assert alone.dilution == 0.0
    assert found.dilution == pytest.approx(0.05 - 0.05 / 1.5)
    assert found.net_apy == pytest.approx(alone.net_apy - found.dilution)
    assert found.mean_return == pytest.approx(alone.mean_return - found.dilution, abs=1e-4)
    assert view(two(), [0.5, 0.5], None, curve=curve).all_in.missing["dilution"] == "no amount is known"


def test_costs_are_earned_back_against_the_risk_free_rate_or_it_says_that_they_never_are():
    found = view(two(), [0.5, 0.5], 10_000.0, gas=lambda p: Cost(2.5)).all_in
    assert found.break_even_days == pytest.approx(365 * 0.001 / (0.05 - 0.04))
    poor = view(two(), [0.5, 0.5], 10_000.0, gas=lambda p: Cost(2.5), risk_free=0.06).all_in
    assert poor.break_even_days is None
    assert "break_even_days" in poor.missing


def test_a_large_position_in_a_small_pool_of_two_tokens_costs_to_leave():
    pools = [pool(1, tokens=("DAI", "USDC"), tvl_usd=10 * MILLION), pool(2)]
    small = view(pools, [0.5, 0.5], 1e4).all_in
    large = view(pools, [0.5, 0.5], 2e6).all_in
    assert 0.0 < small.exit_cost < large.exit_cost < 0.01


def test_the_tail_stands_around_the_rate_of_the_day_and_not_around_the_history():
    rich = [pool(n, apy=0.05, series=[0.20 + 0.01 * (day % 7) for day in range(120)]) for n in (1, 2)]
    found = view(rich, [0.5, 0.5]).all_in
    assert found.mean_return == pytest.approx(found.net_apy, abs=5 * found.standard_error + 1e-4)
    assert found.net_apy == pytest.approx(0.05)
    assert found.cvar_95 > -0.055


def test_ids_of_pools_do_not_matter_either():
    def pools(first):
        return [
            pool(first, family="aave", project="aave-v3", issuer_shares={"Circle": 1.0}, tvl_usd=40 * MILLION),
            pool(first + 1, family="compound", project="compound-v3", issuer_shares={"Circle": 1.0}),
        ]

    assert (
        view(pools(1), [0.5, 0.5], hazard=protocols(0.1)).all_in
        == view(pools(70), [0.5, 0.5], hazard=protocols(0.1)).all_in
    )
