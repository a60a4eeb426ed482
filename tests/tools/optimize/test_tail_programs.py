"""Lowest tail losses and drawdowns: parity with programs written out, scenario probabilities, ties, order, twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.optimize import Solution, solve
from tools.optimize.linear import VARIANTS, Program, SolverFailed, Variant, first_good, run
from tools.optimize.tails import drawdowns, tail_mean
from tools.risk.measures import conditional_value_at_risk
from tools.units import FloatArray

TAILS = ("min_cvar", "mean_cvar", "min_cdar", "min_max_drawdown")


def book(assets: int, seed: int, days: int = 60) -> FloatArray:
    random = np.random.default_rng(seed)
    common = random.standard_t(4, (days, 1)) * random.uniform(0.0, 1.0, assets)
    noise = random.standard_t(4, (days, assets))
    return np.asarray((common + noise) * random.uniform(0.002, 0.02, assets) + random.normal(5e-4, 5e-4, assets))


def primal(
    returns: FloatArray, method: str, cap: float, confidence: float, chances: FloatArray, aversion: float, floor: float
) -> float:
    """Solve the textbook program over (w, ζ, u, d), dense, unscaled returns times 100, HiGHS's own choice of method."""
    from scipy.optimize import linprog

    days, assets = returns.shape
    scaled, identity = 100.0 * returns, np.eye(days)
    level, none = np.ones((days, 1)), np.zeros((days, days))
    if method in ("min_cvar", "mean_cvar"):
        rows = np.hstack([-scaled, -level, -identity, none])
    else:
        recursion = np.hstack([-scaled, 0.0 * level, none, np.eye(days, k=-1) - identity])
        tail = np.hstack([0.0 * scaled, -level, none if method == "min_max_drawdown" else -identity, identity])
        rows = np.vstack([recursion, tail])
    expected = chances @ scaled
    rows = np.vstack([rows, np.r_[-expected, np.zeros(1 + 2 * days)]])
    values = np.r_[np.zeros(len(rows) - 1), -100.0 * floor]
    excess = np.zeros(days) if method == "min_max_drawdown" else chances / (1.0 - confidence)
    reward, weight = (expected, aversion) if method == "mean_cvar" else (np.zeros(assets), 1.0)
    costs = np.r_[-reward, weight, weight * excess, np.zeros(days)]
    bounds = [(0.0, cap)] * assets + [(None, None)] + [(0.0, None)] * (2 * days)
    budget = np.r_[np.ones(assets), np.zeros(1 + 2 * days)]
    result = linprog(costs, rows, values, budget[None], [1.0], bounds)
    assert result.status == 0
    return float(result.fun) / 100.0


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TAILS),
    st.integers(1, 8),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.8, 0.95, 0.99]),
    st.booleans(),
)
def test_parity_with_the_textbook_program(
    method: str, assets: int, seed: int, confidence: float, weighted: bool
) -> None:
    random = np.random.default_rng(seed)
    days = int(random.choice([1, 3, 20, 60]))
    returns, cap = book(assets, seed, days), max(float(random.choice([1.0, 0.4])), 1.0 / assets)
    weighted &= method in ("min_cvar", "mean_cvar")
    chances = random.dirichlet(np.ones(days)) if weighted else np.full(days, 1.0 / days)
    mean = chances @ returns
    floor = float(mean.mean() - random.uniform(0.0, 1.0) * np.ptp(mean))
    aversion = float(random.choice([0.0, 0.3, 5.0]))
    expected = primal(returns, method, cap, confidence, chances, aversion, floor)
    arguments: dict[str, Any] = {"max_weight": cap, "confidence": confidence, "risk_aversion": aversion}
    if weighted:
        arguments["probabilities"] = chances
    solution = solve(returns, method, return_floor=floor, **arguments)
    assert solution.value is not None
    found = -solution.value if solution.maximised else solution.value
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-9)  # the other program keeps its rows within 1e-7 of 0.01
    assert solution.gap is not None
    assert solution.gap <= 1e-8 * max(abs(found), 1e-3 * float(np.abs(returns).max()))
    assert mean @ solution.weights >= floor - 1e-9 * np.abs(mean).max()


@pytest.mark.parametrize("method", TAILS)
@pytest.mark.parametrize("assets", [10, 50])
def test_the_gap_is_below_1e_8_of_the_objective(method: str, assets: int) -> None:
    solution = solve(book(assets, 3, 365), method, max_weight=0.2)
    assert solution.gap is not None
    assert solution.value is not None
    assert solution.gap <= 1e-8 * abs(solution.value)
    assert solution.note is None


def test_value_is_the_fractional_cvar_of_the_weights() -> None:
    returns = book(6, 1, 365)
    solution = solve(returns, "min_cvar", confidence=0.95)
    assert solution.value == pytest.approx(float(conditional_value_at_risk(returns @ solution.weights)), rel=1e-12)


def test_the_worst_case_is_a_distribution_over_the_tail() -> None:
    returns = book(6, 2, 100)
    solution = solve(returns, "min_cvar", confidence=0.95)
    assert solution.worst_case is not None
    assert solution.worst_case.sum() == pytest.approx(1.0, abs=1e-12)
    assert (solution.worst_case >= 0.0).all()
    assert (solution.worst_case <= 0.2 + 1e-12).all()
    losses = -(returns @ solution.weights)
    assert solution.worst_case @ losses == pytest.approx(solution.value, rel=1e-9)
    assert (losses[solution.worst_case > 1e-9] >= np.sort(losses)[-5] - 1e-9).all()


def test_probabilities_count_like_repetitions() -> None:
    """A scenario of three times the probability is one that stands there three times."""
    returns, times = book(5, 4, 30), np.random.default_rng(0).integers(1, 4, 30)
    weighted = solve(returns, "min_cvar", confidence=0.9, max_weight=0.5, probabilities=times / times.sum())
    repeated = solve(np.repeat(returns, times, axis=0), "min_cvar", confidence=0.9, max_weight=0.5)
    assert weighted.weights == pytest.approx(repeated.weights, abs=1e-9)
    assert weighted.value == pytest.approx(repeated.value, rel=1e-12)
    assert weighted.worst_case is not None
    assert repeated.worst_case is not None
    blocks = np.add.reduceat(repeated.worst_case, np.r_[0, np.cumsum(times)[:-1]])
    assert weighted.worst_case == pytest.approx(blocks, abs=1e-9)


def test_impossible_scenarios_do_not_count() -> None:
    returns = book(4, 5, 40)
    chances = np.r_[np.full(30, 1 / 30), np.zeros(10)]
    spoilt = returns.copy()
    spoilt[30:] = -5.0
    base = solve(returns[:30], "min_cvar")
    assert solve(spoilt, "min_cvar", probabilities=chances).value == pytest.approx(base.value, rel=1e-10)


@pytest.mark.parametrize("method", ["min_cvar", "mean_cvar"])
def test_order_of_assets_and_scenarios_and_twins_with_everything_given(method: str) -> None:
    random = np.random.default_rng(8)
    returns = book(6, 6, 50)[:, [0, 1, 2, 0, 3, 4, 5]]
    mean = returns.mean(axis=0) + 1e-4
    previous = np.array([0.1, 0.2, 0.1, 0.1, 0.1, 0.2, 0.2])
    chances = random.dirichlet(np.ones(50))

    def weights(order: Any, days: Any) -> FloatArray:
        return solve(
            returns[days][:, order],
            method,
            max_weight=0.5,
            mean=mean[order],
            return_floor=float(np.median(mean)),
            previous=previous[order],
            turnover=0.8,
            probabilities=chances[days],
        ).weights

    base = weights(np.arange(7), np.arange(50))
    assert base[0] == pytest.approx(base[3], abs=1e-14)
    for _ in range(4):
        order, days = random.permutation(7), random.permutation(50)
        assert weights(order, days) == pytest.approx(base[order], abs=1e-14)


@pytest.mark.parametrize("method", TAILS)
def test_books_without_losses_get_an_answer_that_says_why(method: str) -> None:
    """No day loses: every portfolio has no drawdown, and the one with the best tail is taken."""
    returns = 1e-4 + 1e-6 * np.random.default_rng(1).normal(size=(90, 5))
    solution = solve(returns, method, max_weight=0.5)
    assert np.ptp(solution.weights) > 0.01
    if method in ("min_cdar", "min_max_drawdown"):
        assert solution.value == 0.0
        assert solution.gap == 0.0
        assert "no drawdown at all" in str(solution.note)
        assert solution.weights == pytest.approx(solve(returns, "min_cvar", max_weight=0.5).weights, abs=1e-12)


@pytest.mark.parametrize("method", ["min_cdar", "min_max_drawdown"])
def test_weights_that_never_lose_are_found_among_losing_assets(method: str) -> None:
    swing = 0.01 * np.random.default_rng(2).normal(size=80)
    returns = np.column_stack([1e-4 + swing, 2e-4 - swing, swing])
    solution = solve(returns, method)
    assert solution.value == pytest.approx(0.0, abs=1e-15)
    assert solution.weights == pytest.approx([0.0, 0.5, 0.5], abs=1e-6) or solution.weights @ [
        1,
        -1,
        1,
    ] == pytest.approx(0)
    assert "no drawdown at all" in str(solution.note)


@pytest.mark.parametrize("method", TAILS)
@pytest.mark.parametrize(
    "returns",
    [
        np.full((30, 3), 1e-4),
        np.zeros((1, 3)),
        np.full((1, 1), -0.2),
        -np.abs(book(4, 1, 25)),
        book(12, 1, 5),
        book(3, 1, 40)[:, [0, 0, 0]],
        np.tile([-1e-4, 1e-4, 0.0], (30, 1)),
    ],
    ids=["constant", "one day of nothing", "one asset", "all lose", "few days", "triplets", "constants"],
)
def test_degenerate_books(method: str, returns: FloatArray) -> None:
    assets = returns.shape[1]
    for cap in (1.0, max(0.5, 1.0 / assets), 1.0 / assets):
        solution = solve(returns, method, max_weight=cap)
        assert solution.weights.sum() == pytest.approx(1.0, abs=1e-12)
        assert solution.weights.max() <= cap + 1e-12
        assert solution.gap is not None
        assert solution.gap <= 1e-12
        if assets > 1 and cap > 1.0 / assets and np.ptp(solution.weights) < 1e-9 and np.ptp(returns, axis=1).any():
            pytest.fail("equal weights without a word")


def test_what_ties_says_so() -> None:
    assert "all weights tie" in str(solve(np.full((30, 3), 1e-4), "min_cvar").note)


def test_risk_aversion_runs_from_the_best_mean_to_the_lowest_cvar() -> None:
    returns = book(6, 9, 120)
    greedy = solve(returns, "mean_cvar", risk_aversion=0.0)
    assert greedy.weights[np.argmax(returns.mean(axis=0))] == pytest.approx(1.0)
    careful = solve(returns, "mean_cvar", risk_aversion=1e6)
    assert careful.weights == pytest.approx(solve(returns, "min_cvar").weights, abs=1e-4)
    with pytest.raises(ValueError, match="risk_aversion"):
        solve(returns, "mean_cvar", risk_aversion=-1.0)


@pytest.mark.parametrize("method", ["min_cdar", "min_max_drawdown"])
def test_drawdowns_take_no_probabilities(method: str) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        solve(book(3, 1), method, probabilities=np.full(60, 1 / 60))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"probabilities": [0.5, 0.4]}, "add up to 1"),
        ({"probabilities": [1.5, -0.5]}, "not be negative"),
        ({"probabilities": [1.0]}, "shape"),
        ({"mean": [0.1]}, "mean"),
        ({"mean": [0.1, float("nan"), 0.0]}, "mean"),
        ({"return_floor": float("inf")}, "return_floor"),
        ({"turnover": 0.5}, "previous"),
        ({"turnover": 0.5, "previous": [0.5, 0.6, 0.5]}, "previous"),
        ({"turnover": -0.5, "previous": [0.5, 0.0, 0.5]}, "turnover"),
        ({"shrinkage": "luck"}, "shrinkage"),
    ],
)
def test_unusable_settings_are_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        solve(book(3, 1, 2), "min_cvar", **change)


def test_drawdown_starts_at_the_start() -> None:
    assert drawdowns(np.array([-0.1, 0.3, -0.05, -0.05])) == pytest.approx([0.1, 0.0, 0.05, 0.1])


def test_tail_mean_counts_the_last_scenario_in_part() -> None:
    losses = np.array([1.0, 4.0, 2.0, 3.0])
    assert tail_mean(losses, np.full(4, 0.4)) == pytest.approx(0.4 * 4 + 0.4 * 3 + 0.2 * 2)
    assert tail_mean(losses, np.array([0.5, 0.3, 0.5, 0.1])) == pytest.approx(0.3 * 4 + 0.1 * 3 + 0.5 * 2 + 0.1 * 1)


def test_a_fallback_is_taken_in_its_order_and_told() -> None:
    def attempt(variant: Variant) -> int:
        if variant is VARIANTS[0]:
            raise SolverFailed("no")
        return VARIANTS.index(variant)

    assert first_good(attempt, lambda answer: answer == 1) == (
        1,
        "solved by dual simplex after presolving after dual simplex: no",
    )
    answer, note = first_good(attempt, lambda answer: False)
    assert answer == 2
    assert "not to the last digit" in str(note)
    with pytest.raises(SolverFailed, match=r"no.*no.*no"):
        first_good(lambda variant: run_out(), bool)


def run_out() -> Solution:
    raise SolverFailed("no")


def test_a_program_without_solution_fails() -> None:
    unbounded = Program(np.array([-1.0]), np.zeros((1, 1)), np.ones(1), np.zeros(1), np.full(1, np.inf))
    with pytest.raises(SolverFailed):
        run(unbounded)
