"""Loss measures beside VaR and CVaR, each against an independent computation with a tolerance of its own.

| measure | computed again by | tolerance |
|---|---|---|
| horizon of h days | naive products of Python floats | 1e-14 |
| historical VaR, CVaR over h days | sorting those | exact, 1e-13 |
| normal VaR and shortfall | scipy.stats.norm; quadrature of its tail | 1e-13 |
| Cornish-Fisher VaR | the expansion in scipy quantiles and population moments of scipy | 1e-12 |
| Cornish-Fisher shortfall | quadrature of the expansion over the tail | 1e-10 |
| Monte Carlo VaR and shortfall | the log-normal quantile and tail mean | 4.5 standard errors |
| EVaR, primal | scipy's bounded search with log-sum-exp | 1e-8 |
| EVaR, dual | the tilted mean where the divergence is −ln(1 − α), by root finding | 1e-10 of the range |
| conditional drawdown at risk | naive sums, exact fractions of the tail | 1e-13 |
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from tools.risk.measures import (
    VAR_METHODS,
    conditional_drawdown_at_risk,
    conditional_value_at_risk,
    cornish_fisher_expected_shortfall,
    cornish_fisher_reasons,
    cornish_fisher_var,
    entropic_value_at_risk,
    historical_var,
    max_drawdown,
    monte_carlo_expected_shortfall,
    monte_carlo_var,
    normal_expected_shortfall,
    normal_var,
    overlapping_returns,
    value_at_risk,
)
from tools.units import FloatArray

LEVELS = [0.5, 0.9, 0.95, 0.99]


def samples() -> list[FloatArray]:
    random = np.random.default_rng(20)
    carry = np.full(365, 2.6e-4) + 1e-5 * np.cumsum(random.normal(size=365))
    crash = np.r_[random.normal(3e-4, 1e-4, 364), -0.6]
    return [
        random.normal(1e-3, 0.02, 400),
        random.standard_t(4, 1000) * 0.01,
        random.gamma(2.0, 0.01, 250) - 0.01,
        carry,
        crash,
        np.r_[np.zeros(90), np.full(10, -0.5)],
    ]


# --- horizon ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [1, 2, 7, 30])
def test_horizon_compounds_overlapping_days(days: int) -> None:
    returns = samples()[0]
    naive = [math.prod(1.0 + r for r in returns[i : i + days]) - 1.0 for i in range(returns.size - days + 1)]
    found = overlapping_returns(returns, days)
    np.testing.assert_allclose(found, naive, rtol=0, atol=1e-14)
    assert historical_var(returns, 0.95, horizon_days=days) == historical_var(found, 0.95)
    assert conditional_value_at_risk(returns, 0.95, horizon_days=days) == conditional_value_at_risk(found, 0.95)
    assert entropic_value_at_risk(returns, 0.95, horizon_days=days) == entropic_value_at_risk(found, 0.95)
    rows = np.vstack([returns, returns[::-1]])
    np.testing.assert_array_equal(overlapping_returns(rows, days)[0], found)


@pytest.mark.parametrize("days", [0, 401, -1])
def test_horizon_beyond_the_series_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match="horizon_days"):
        historical_var(samples()[0], horizon_days=days)


def test_nothing_compounds_beyond_the_loss_of_everything() -> None:
    with pytest.raises(ValueError, match="below -1"):
        overlapping_returns([0.1, -1.5, 0.1], 2)
    assert historical_var([0.1, -1.5, 0.1], 0.9) == 1.5  # one day at a time needs no wealth


# --- normal, Cornish-Fisher, Monte Carlo -----------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("days", [1, 10])
def test_normal(level: float, days: int) -> None:
    for returns in samples():
        mean, deviation = returns.mean() * days, returns.std(ddof=1) * math.sqrt(days)
        var = normal_var(returns, level, horizon_days=days)
        assert var == pytest.approx(-stats.norm.ppf(1.0 - level, mean, deviation), rel=1e-13, abs=1e-15)
        tail = integrate.quad(lambda p, m=mean, s=deviation: -stats.norm.ppf(p, m, s), 0.0, 1.0 - level, epsabs=1e-14)[
            0
        ]
        shortfall = normal_expected_shortfall(returns, level, horizon_days=days)
        assert shortfall == pytest.approx(tail / (1.0 - level), rel=1e-9)
        assert shortfall >= var


def expansion(q: float, s: float, k: float) -> float:
    return q + (q**2 - 1) * s / 6 + (q**3 - 3 * q) * k / 24 - (2 * q**3 - 5 * q) * s**2 / 36


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("days", [1, 10])
def test_cornish_fisher_within_its_domain(level: float, days: int) -> None:
    returns = np.random.default_rng(21).gamma(9.0, 0.004, 500) * -1.0 + 0.04
    s, k = stats.skew(returns) / math.sqrt(days), stats.kurtosis(returns) / days
    mean, deviation = returns.mean() * days, returns.std(ddof=1) * math.sqrt(days)
    assert cornish_fisher_reasons(returns, horizon_days=days) == [None]
    found = cornish_fisher_var(returns, level, horizon_days=days)
    assert found == pytest.approx(-(mean + deviation * expansion(stats.norm.ppf(1 - level), s, k)), rel=1e-12)

    def loss(z: float) -> float:
        return -(mean + deviation * expansion(z, s, k)) * stats.norm.pdf(z)

    tail = integrate.quad(loss, -12.0, stats.norm.ppf(1 - level), epsabs=1e-13)[0] / (1 - level)
    shortfall = cornish_fisher_expected_shortfall(returns, level, horizon_days=days)
    assert shortfall == pytest.approx(tail, rel=1e-10)
    assert shortfall > found > 0.0


def test_cornish_fisher_of_normal_moments_is_normal() -> None:
    """Four values with the skewness 0 and the excess kurtosis 0 of the normal: the expansion adds nothing."""
    returns = np.repeat([-math.sqrt(3.0), 0.0, math.sqrt(3.0)], [1, 4, 1]) * 0.01
    for level in LEVELS:
        assert cornish_fisher_var(np.tile(returns, 50), level) in (
            pytest.approx(float(normal_var(np.tile(returns, 50), level)), abs=1e-13),
            pytest.approx(math.nan, nan_ok=True),  # on the very edge of the domain, where rounding decides
        )


@pytest.mark.parametrize(
    ("skewness", "kurtosis"),
    [(0.0, 4.0), (-1.0, 3.5), (0.0, 9.0), (1.5, 1.0), (1.0, 1.5), (1.0, 1.63), (1.0, 8.8), (1.0, 8.95)],
)
def test_domain_is_where_the_expansion_rises(skewness: float, kurtosis: float) -> None:
    """Against the derivative on a grid: two values and a middle give any skewness and kurtosis that exist."""
    returns = three_values(skewness, kurtosis)
    assert stats.skew(returns) == pytest.approx(skewness, abs=0.002)
    s, k = stats.skew(returns), stats.kurtosis(returns)
    z = np.linspace(-40.0, 40.0, 80_001)
    rises = bool((np.diff(expansion(z, s, k)) > 0.0).all())  # type: ignore[arg-type]
    assert (cornish_fisher_reasons(returns) == [None]) is rises
    assert bool(np.isnan(cornish_fisher_var(returns))) is not rises
    assert bool(np.isnan(cornish_fisher_expected_shortfall(returns))) is not rises


def three_values(skewness: float, kurtosis: float) -> FloatArray:
    """Return 200,000 days on {a, 0, b} with mean 0, variance 1 and about these moments (Rohatgi & Székely 1989)."""
    fourth = kurtosis + 3.0
    product = fourth - skewness**2  # −a·b
    root = math.sqrt(skewness**2 + 4.0 * product)
    low, high = (skewness - root) / 2.0, (skewness + root) / 2.0
    counts = [round(200_000 / (high - low) / abs(end)) for end in (low, high)]
    return np.repeat([low, high, 0.0], [*counts, 200_000 - sum(counts)])


def test_cornish_fisher_says_why_it_is_undefined() -> None:
    crash, flat = samples()[4], np.full(365, 2.6e-4)
    reasons = cornish_fisher_reasons(np.vstack([crash, flat]))
    assert reasons[0] is not None
    assert "outside the domain" in reasons[0]
    assert reasons[1] == "the returns do not vary"
    assert np.isnan(cornish_fisher_var(np.vstack([crash, flat]))).all()


@pytest.mark.parametrize("days", [1, 30])
def test_monte_carlo_is_log_normal(days: int) -> None:
    returns, paths, level = samples()[0], 200_000, 0.95
    logs = np.log1p(returns)
    mean, deviation = logs.mean() * days, logs.std(ddof=1) * math.sqrt(days)
    quantile = stats.norm.ppf(1 - level)
    exact = 1.0 - math.exp(mean + deviation * quantile)
    error = math.sqrt(level * (1 - level) / paths) / stats.norm.pdf(quantile) * deviation * (1.0 - exact)
    assert monte_carlo_var(returns, level, horizon_days=days, paths=paths) == pytest.approx(exact, abs=4.5 * error)
    shortfall = 1.0 - math.exp(mean + deviation**2 / 2) * stats.norm.cdf(quantile - deviation) / (1 - level)
    found = monte_carlo_expected_shortfall(returns, level, horizon_days=days, paths=paths)
    assert found == pytest.approx(shortfall, abs=4.5 * 2.0 * error)


def test_monte_carlo_is_seeded() -> None:
    returns = samples()[0]
    assert monte_carlo_var(returns, seed=1) == monte_carlo_var(returns, seed=1) != monte_carlo_var(returns, seed=2)
    assert value_at_risk(returns, 0.95, "monte_carlo", seed=1) == monte_carlo_var(returns, 0.95, seed=1)
    with pytest.raises(ValueError, match="loses everything"):
        monte_carlo_var([0.1, -1.0])


# --- EVaR ------------------------------------------------------------------------------------------------------------


def primal(returns: FloatArray, level: float) -> float:
    """The smallest bound on a fine grid of ln t, refined by a bounded search."""
    losses = -returns
    scale = float(losses.max() - losses.min())

    def bound(log_t: float) -> float:
        t = math.exp(log_t)
        return t * (special.logsumexp(losses / t) - math.log(losses.size) - math.log(1.0 - level))

    grid = np.linspace(math.log(scale) - 12.0, math.log(scale) + 8.0, 400)
    best = int(np.argmin([bound(place) for place in grid]))
    ends = grid[max(0, best - 1)], grid[min(399, best + 1)]
    found = optimize.minimize_scalar(bound, bounds=ends, method="bounded", options={"xatol": 1e-10})
    return min(float(found.fun), float(losses.max()))


def dual(returns: FloatArray, level: float) -> float:
    """The mean loss under the exponential tilt whose divergence from the days is −ln(1 − α)."""
    losses = -returns
    spread = losses.max() - losses.min()
    x = (losses - losses.max()) / spread

    def excess(log_z: float) -> float:
        weights = special.softmax(math.exp(log_z) * x)
        return float(special.rel_entr(weights, 1.0 / x.size).sum()) + math.log(1.0 - level)

    z = math.exp(optimize.brentq(excess, -12.0, 40.0, xtol=1e-13))
    return float(losses.max() + spread * (special.softmax(z * x) * x).sum())


@pytest.mark.parametrize("level", LEVELS)
def test_evar_equals_primal_and_dual(level: float) -> None:
    for number, returns in enumerate(samples()):
        found = float(entropic_value_at_risk(returns, level))
        assert found == pytest.approx(primal(returns, level), abs=1e-8, rel=1e-8), number
        if (returns == returns.min()).mean() < 1.0 - level:
            assert found == pytest.approx(dual(returns, level), abs=1e-10 * np.ptp(returns)), number


def test_evar_of_a_normal_distribution() -> None:
    """μ_L + σ√(−2 ln(1 − α)), Ahmadi-Javid 2012, on even quantiles, whose tail ends early."""
    returns = stats.norm.ppf((np.arange(1_000_000) + 0.5) / 1_000_000) * 0.02 + 0.001
    expected = -0.001 + 0.02 * math.sqrt(-2.0 * math.log(0.05))
    assert entropic_value_at_risk(returns, 0.95) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("days", "level"), [(20, 0.95), (19, 0.95), (100, 0.99), (1, 0.5), (5, 0.9)])
def test_evar_of_few_days_is_the_worst(days: int, level: float) -> None:
    returns = np.random.default_rng(days).normal(size=days)
    assert entropic_value_at_risk(returns, level) == -returns.min()


def test_evar_at_the_edges() -> None:
    flat = np.full(500, 1e-4)
    assert entropic_value_at_risk(flat) == -1e-4
    tied = np.r_[np.zeros(95), np.full(5, -0.2)]
    assert entropic_value_at_risk(tied, 0.95) == 0.2  # the worst loss is the whole tail
    nearly = np.r_[np.zeros(96), np.full(4, -0.2)]
    assert 0.16 < entropic_value_at_risk(nearly, 0.95) < 0.2
    tiny = 1e-4 + np.random.default_rng(0).normal(0.0, 1e-15, 400)
    assert -1e-4 <= entropic_value_at_risk(tiny) + 1e-17 <= -tiny.min() + 2e-17
    huge = np.random.default_rng(0).normal(0.0, 1e150, 400)
    assert conditional_value_at_risk(huge) <= entropic_value_at_risk(huge) <= -huge.min()


def test_evar_of_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    rows = np.random.default_rng(22).standard_t(3, (700, 365)) * np.geomspace(1e-5, 1.0, 700)[:, None]
    together = entropic_value_at_risk(rows)
    np.testing.assert_array_equal(together[[0, 333, 699]], [entropic_value_at_risk(rows[i]) for i in (0, 333, 699)])


# --- drawdown at risk ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["0.5", "0.9", "0.95", "0.99"])
def test_drawdown_at_risk_equals_naive_sums(level: str) -> None:
    for returns in samples():
        wealth, peak, falls = 0.0, 0.0, []
        for value in returns.tolist():
            wealth += value
            peak = max(peak, wealth)
            falls.append(peak - wealth)
        size = (1 - Fraction(level)) * len(falls)
        worst, whole = sorted(falls, reverse=True), math.floor(size)
        part = float(size - whole) * worst[whole] if size > whole else 0.0
        naive = (math.fsum(worst[:whole]) + part) / float(size)
        assert conditional_drawdown_at_risk(returns, float(level)) == pytest.approx(naive, rel=1e-13, abs=1e-15)


def test_drawdown_at_risk_between_average_and_largest() -> None:
    returns = np.array([-0.1, 0.05, -0.02, 0.2, -0.1])
    falls = np.array([0.1, 0.05, 0.07, 0.0, 0.1])
    assert conditional_drawdown_at_risk(returns, 0.999) == pytest.approx(0.1)
    assert conditional_drawdown_at_risk(returns, 1e-9) == pytest.approx(falls.mean())
    assert conditional_drawdown_at_risk([-0.1, -0.1], 0.9) == pytest.approx(0.2)  # of sums
    assert max_drawdown([-0.1, -0.1]) == pytest.approx(0.19)  # compounded


# --- the front -------------------------------------------------------------------------------------------------------


def test_front_knows_every_method() -> None:
    returns = np.vstack(samples()[:1] * 2)
    direct = (historical_var, normal_var, cornish_fisher_var, monte_carlo_var)
    for method, function in zip(VAR_METHODS, direct, strict=True):
        found = value_at_risk(returns, 0.9, method, horizon_days=5)
        np.testing.assert_array_equal(found, function(returns, 0.9, horizon_days=5))
        assert found.shape == (2,)
    with pytest.raises(ValueError, match="method must be one of"):
        value_at_risk(returns, 0.9, "parametric")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "measure",
    [normal_var, normal_expected_shortfall, cornish_fisher_var, cornish_fisher_expected_shortfall, monte_carlo_var],
)
def test_fits_refuse_what_cannot_be_fitted(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(ValueError, match="single day"):
        measure([0.1])
    for bad in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="confidence"):
            measure([0.1, 0.2], bad)
    with pytest.raises(ValueError, match=r"returns\[1\]"):
        measure([0.1, math.nan])
    with pytest.raises(ValueError, match="horizon_days"):
        measure([0.1, 0.2], horizon_days=0)


@pytest.mark.parametrize("measure", [entropic_value_at_risk, conditional_drawdown_at_risk])
def test_measures_refuse_bad_levels_and_holes(measure: object) -> None:
    assert callable(measure)
    for bad in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="confidence"):
            measure([0.1, 0.2], bad)
    with pytest.raises(ValueError, match=r"returns\[0, 1\]"):
        measure([[0.1, math.inf]])
    assert measure(np.empty((0, 5))).shape == (0,)
