"""Simulated paths: expectation and spread, a naive loop over the same numbers, and reproducibility."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tools.risk.paths import simulate_gbm
from tools.units import FloatArray

MU, SIGMA = 0.08, 0.6


def naive(mu: float, sigma: float, days: int, seed: int, paths: int) -> tuple[list[float], list[float]]:
    """Prices day by day, from the numbers that the docstring promises: a child of the seed for every 2000 paths."""
    children = np.random.SeedSequence(seed).spawn(math.ceil(paths / 2000))
    ends, drawdowns = [], []
    for number, child in enumerate(children):
        width = min(2000, paths - 2000 * number)
        normals = np.random.Generator(np.random.SFC64(child)).standard_normal((days, width))
        for path in normals.T.tolist():
            price = peak = 1.0
            drawdown = 0.0
            for normal in path:
                price *= math.exp((mu - sigma**2 / 2) / 365 + sigma / math.sqrt(365) * normal)
                peak = max(peak, price)
                drawdown = max(drawdown, 1 - price / peak)
            ends.append(price)
            drawdowns.append(drawdown)
    return ends, drawdowns


@pytest.mark.parametrize(("days", "paths"), [(1, 3), (31, 5), (70, 2003)])
def test_equal_to_a_loop_over_prices(days: int, paths: int) -> None:
    ends, drawdowns = naive(MU, SIGMA, days, 11, paths)
    wealth, drawdown = simulate_gbm(MU, SIGMA, horizon_days=days, paths=paths, seed=11)
    np.testing.assert_allclose(wealth, ends, rtol=1e-12)
    np.testing.assert_allclose(drawdown, drawdowns, rtol=1e-12, atol=1e-14)


def test_expected_wealth_and_its_spread() -> None:
    """E[W] = e^{μT} and log W ~ N((μ − σ²/2)T, σ²T), each within four standard errors."""
    paths, years = 40_000, 90 / 365
    wealth, drawdown = simulate_gbm(MU, SIGMA, horizon_days=90, paths=paths, seed=2)
    assert abs(wealth.mean() - math.exp(MU * years)) < 4 * wealth.std() / paths**0.5
    logs = np.log(wealth)
    spread = SIGMA * years**0.5
    assert abs(logs.mean() - (MU - SIGMA**2 / 2) * years) < 4 * spread / paths**0.5
    assert logs.std() == pytest.approx(spread, rel=4 / (2 * paths) ** 0.5)
    assert (drawdown >= np.maximum(1.0 - wealth, 0.0) - 1e-12).all()  # the start is a peak
    assert drawdown.max() < 1.0


def test_depends_on_the_seed_and_on_nothing_else() -> None:
    def run(seed: int, workers: int) -> tuple[FloatArray, FloatArray]:
        return simulate_gbm(MU, SIGMA, horizon_days=40, paths=9001, seed=seed, workers=workers)

    first = run(5, 1)
    for workers in (1, 2, 3):
        for one, other in zip(first, run(5, workers), strict=True):
            np.testing.assert_array_equal(one, other)
    assert (first[0] != run(6, 1)[0]).all()
    assert np.unique(first[0]).size == 9001  # no two chunks share their numbers


def test_without_volatility_there_is_growth_and_no_drawdown() -> None:
    wealth, drawdown = simulate_gbm(0.05, 0.0, horizon_days=365, paths=4, seed=1)
    assert wealth == pytest.approx(np.full(4, math.exp(0.05)), rel=1e-12)
    assert (drawdown == 0.0).all()
    assert not np.signbit(drawdown).any()
    falling = simulate_gbm(-0.05, 0.0, horizon_days=365, paths=1, seed=1)[1]
    assert float(falling[0]) == pytest.approx(1 - math.exp(-0.05), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [("mu", math.nan), ("mu", math.inf), ("sigma", -0.1), ("sigma", math.nan)]
    + [(name, 0) for name in ("horizon_days", "paths", "workers")]
    + [("seed", -1)],
)
def test_impossible_arguments_are_refused(name: str, value: float) -> None:
    arguments = {"mu": MU, "sigma": SIGMA, "horizon_days": 10, "paths": 10, "workers": 1, "seed": 1} | {name: value}
    with pytest.raises(ValueError, match="non-negative" if name == "seed" else name):
        simulate_gbm(**arguments)  # type: ignore[arg-type]
