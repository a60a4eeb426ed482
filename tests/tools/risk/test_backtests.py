"""Backtests of value at risk: published and hand-counted ratios, exact power, no look ahead, the recorded series."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tools.risk.backtests import (
    Backtest,
    backtest_var,
    christoffersen_ratio,
    kupiec_power,
    kupiec_ratio,
    rolling_var,
)
from tools.risk.measures import VAR_METHODS, VarMethod, cornish_fisher_reasons, value_at_risk
from tools.units import FloatArray, daily_return

# --- the tests themselves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "accepted"),
    [(255, (7, 20)), (510, (17, 35)), (1000, (38, 64))],
)
def test_kupiec_accepts_the_published_range(days: int, accepted: tuple[int, int]) -> None:
    """Kupiec (1995) gives 6 < N < 21, 16 < N < 36 and 37 < N < 65 for a rate of 5 %, tested at 95 %."""
    limit = stats.chi2.isf(0.05, 1)
    passing = [hits for hits in range(days + 1) if kupiec_ratio(hits, days, 0.05) < limit]
    assert (passing[0], passing[-1]) == accepted


def test_kupiec_by_hand() -> None:
    ratio = 2 * (6 * math.log(0.06) + 94 * math.log(0.94) - 6 * math.log(0.05) - 94 * math.log(0.95))
    assert kupiec_ratio(6, 100, 0.05) == pytest.approx(ratio, rel=1e-12)
    assert kupiec_ratio(0, 100, 0.05) == pytest.approx(-200 * math.log(0.95), rel=1e-12)
    assert kupiec_ratio(100, 100, 0.05) == pytest.approx(-200 * math.log(0.05), rel=1e-12)
    assert kupiec_ratio(5, 100, 0.05) == 0.0


def test_christoffersen_by_hand() -> None:
    """Thirteen days 0 0 1 1 0 0 0 1 1 1 0 0 0: n00 = 5, n01 = 2, n10 = 2, n11 = 3."""
    hits = [0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    chain = 5 * math.log(5 / 7) + 2 * math.log(2 / 7) + 2 * math.log(2 / 5) + 3 * math.log(3 / 5)
    alone = 7 * math.log(7 / 12) + 5 * math.log(5 / 12)
    assert christoffersen_ratio(hits) == pytest.approx(2 * (chain - alone), rel=1e-12)


def test_christoffersen_without_two_breaches_in_a_row() -> None:
    hits = np.zeros(100, dtype=bool)
    hits[[10, 50, 90]] = True
    chain = 93 * math.log(93 / 96) + 3 * math.log(3 / 96)  # n11 = 0: nothing to add
    alone = 96 * math.log(96 / 99) + 3 * math.log(3 / 99)
    assert christoffersen_ratio(hits) == pytest.approx(2 * (chain - alone), rel=1e-12)
    assert christoffersen_ratio(np.zeros(50)) == 0.0
    assert christoffersen_ratio(np.ones(50)) == 0.0
    assert christoffersen_ratio([True]) == 0.0


def test_christoffersen_does_not_jump_over_unknown_days() -> None:
    hits, known = [1, 0, 1, 0, 0, 1], [1, 1, 1, 0, 1, 1]
    pairs = [(1, 0), (0, 1), (0, 1)]  # not (1, 0) and (0, 0) around the fourth day
    first, second = [after for before, after in pairs if not before], [after for before, after in pairs if before]
    assert (first, second) == ([1, 1], [0])
    assert christoffersen_ratio(hits, known) == pytest.approx(-2 * (2 * math.log(2 / 3) + math.log(1 / 3)))


def test_power_is_exact() -> None:
    """Against all 2^12 sequences of breaches of twelve days."""
    limit = stats.chi2.isf(0.05, 1)
    for true_rate in (0.1, 0.3):
        total = 0.0
        for hits in itertools.product((0, 1), repeat=12):
            count = sum(hits)
            if kupiec_ratio(count, 12, 0.1) > limit:
                total += true_rate**count * (1 - true_rate) ** (12 - count)
        assert kupiec_power(12, 0.1, true_rate) == pytest.approx(total, rel=1e-12)


def test_power_grows_with_days_and_with_the_error() -> None:
    """Kupiec's own complaint: a year of days hardly tells 1 % from 2 %."""
    assert kupiec_power(255, 0.01, 0.02) < 0.35
    assert kupiec_power(255, 0.01, 0.02) < kupiec_power(1000, 0.01, 0.02) < kupiec_power(1000, 0.01, 0.03)
    assert kupiec_power(2000, 0.05, 0.05) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("bad", [{"days": 0}, {"rate": 0.0}, {"true_rate": 1.0}, {"significance": 1.5}])
def test_power_refuses_what_is_no_probability(bad: dict[str, float]) -> None:
    arguments = {"days": 100, "rate": 0.05, "true_rate": 0.1, "significance": 0.05} | bad
    with pytest.raises(ValueError, match=next(iter(bad))):
        kupiec_power(**arguments)  # type: ignore[arg-type]


# --- the backtest ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", VAR_METHODS)
def test_forecasts_look_back_only(method: VarMethod) -> None:
    returns = np.random.default_rng(30).standard_t(5, 90) * 0.01
    found = rolling_var(returns, method, 0.9, window_days=60)
    naive = [value_at_risk(returns[day - 60 : day], 0.9, method) for day in range(60, 90)]
    np.testing.assert_array_equal(found, naive)
    changed = returns.copy()
    changed[80:] = 0.5
    np.testing.assert_array_equal(rolling_var(changed, method, 0.9, window_days=60)[:21], found[:21])


def test_counts_of_a_short_series() -> None:
    """A loss is a breach only above the worst of the two days before: 90 % of two days is the worse of them."""
    returns = np.array([-0.1, -0.2, -0.3, -0.2, -0.31, -0.31, -0.4, 0.0])
    found = backtest_var(returns, "historical", 0.9, window_days=2)
    assert (found.days, found.breaches, found.repeated, found.undefined) == (6, 3, 0, 0)  # -0.3, -0.31, -0.4
    assert found.expected == pytest.approx(0.6)
    assert found.lr_coverage == found.lr_count + found.lr_independence
    assert found.p_count == pytest.approx(stats.chi2.sf(found.lr_count, 1))
    assert found.p_coverage == pytest.approx(stats.chi2.sf(found.lr_coverage, 2))


def test_days_without_a_figure_are_counted_and_left_out() -> None:
    returns = np.random.default_rng(31).normal(0.0, 0.01, 400)
    returns[200] = -0.5  # no Cornish-Fisher while this day is in the window
    found = backtest_var(returns, "cornish_fisher", 0.95, window_days=100)
    reasons = [cornish_fisher_reasons(returns[day - 100 : day])[0] for day in range(100, 400)]
    assert found.undefined == sum(reason is not None for reason in reasons) >= 100
    assert found.days == 300 - found.undefined
    known = [day for day, reason in zip(range(100, 400), reasons, strict=True) if reason is None]
    figures = [value_at_risk(returns[day - 100 : day], 0.95, "cornish_fisher") for day in known]
    assert found.breaches == sum(-returns[day] > figure for day, figure in zip(known, figures, strict=True))
    with pytest.raises(ValueError, match="no value at risk"):
        backtest_var(np.full(300, 1e-4), "cornish_fisher")


def test_a_right_model_passes_and_a_wrong_one_does_not() -> None:
    """Normal days; then days whose spread triples half-way; then days that come in calm and wild months."""
    random = np.random.default_rng(32)
    calm = random.normal(0.0, 0.01, 2250)
    right = backtest_var(calm, "normal")
    assert min(right.p_count, right.p_independence, right.p_coverage) > 0.05
    assert "may be chance" in right.reading
    assert f"{right.power:.0%}" in right.reading
    wrong = backtest_var(np.r_[calm[:260], calm[260:500] * 3.0], "normal")
    assert wrong.p_count < 1e-6
    assert "too many" in wrong.reading
    months = np.repeat(random.choice([0.3, 3.0], 75), 30)
    assert "clusters" in backtest_var(calm * months, "historical").reading
    assert "too few" in backtest_var(np.r_[calm[:250], calm[250:400] / 5.0], "normal").reading


@pytest.mark.parametrize(
    "bad", [{"window_days": 400}, {"window_days": 1}, {"confidence": 1.0}, {"alternative": 30.0}, {"significance": 0.0}]
)
def test_backtest_refuses(bad: dict[str, float]) -> None:
    returns = np.random.default_rng(33).normal(size=400)
    with pytest.raises(ValueError, match="between"):
        backtest_var(returns, **bad)  # type: ignore[arg-type]
    returns[7] = math.nan
    with pytest.raises(ValueError, match=r"returns\[7\]"):
        backtest_var(returns)


# --- the recorded series ---------------------------------------------------------------------------------------------

STETH, AAVE_USDC = "747c1d2a-c668-4682-b9f9-296708a3dd90", "aa70268e-4b52-42bf-a116-608b370f9501"


def carry(folder: Path, pool: str) -> FloatArray:
    """The daily carry of a pool on the days that were recorded; a gap of days is not filled."""
    with gzip.open(folder / "charts" / f"{pool}.json.gz", "rt", encoding="utf-8") as file:
        read = json.load(file)
    rows = read["data"] if isinstance(read, dict) else read
    apy = {row["timestamp"][:10]: row["apy"] for row in rows if row["apy"] is not None}
    return daily_return(np.array([apy[day] for day in sorted(apy)]) / 100.0)


def price(folder: Path, asset: str) -> FloatArray:
    with (folder / "prices" / f"{asset}_usd_daily.csv").open(encoding="utf-8", newline="") as file:
        close = np.array([float(row["close"]) for row in csv.DictReader(file)])
    return close[1:] / close[:-1] - 1.0


def line(name: str, found: dict[VarMethod, Backtest]) -> str:
    """Breaches of the expected number for each method, with the chance of their number and of their order."""
    parts = [
        f"{method} {test.breaches}/{test.expected:.1f} (p {test.p_count:.2g}, order {test.p_independence:.2g})"
        for method, test in found.items()
    ]
    return f"breaches of VaR{found['historical'].confidence:.0%}, {name}: {'; '.join(parts)}"


def judged(returns: FloatArray, confidence: float) -> dict[VarMethod, Backtest]:
    return {method: backtest_var(returns, method, confidence) for method in VAR_METHODS}


def test_carry_breaches_come_in_runs(market_folder: Path, published: list[str]) -> None:
    """A rate that drifts stays below its window's tail for weeks: every count of such breaches has few real events."""
    for name, pool in (("stETH", STETH), ("Aave USDC", AAVE_USDC)):
        found = judged(carry(market_folder, pool), 0.95)
        published.append(line(f"{name} carry", found))
        historical = found["historical"]
        assert historical.p_independence < 1e-10
        assert historical.repeated > 0.5 * historical.breaches
        # The expansion is no quantile of such series on most days.
        assert found["cornish_fisher"].undefined > 0.5 * (historical.days + historical.undefined)


def test_normal_tail_is_too_thin_for_ether_at_99(market_folder: Path, published: list[str]) -> None:
    found = judged(price(market_folder, "eth"), 0.99)
    published.append(line("ETH price", found))
    for method in ("normal", "monte_carlo"):
        assert found[method].breaches > 1.5 * found[method].expected
        assert found[method].p_count < 0.01
        assert found[method].power > 0.9


def test_normal_tail_is_too_wide_for_stablecoins_at_95(market_folder: Path) -> None:
    """A few days off the peg make the deviation, and no other day comes near it."""
    for asset in ("usdc", "dai"):
        found = judged(price(market_folder, asset), 0.95)
        assert found["normal"].breaches < 0.7 * found["normal"].expected
        assert found["normal"].p_count < 1e-4
