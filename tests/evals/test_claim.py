"""The published claim put to the record: planted cases with known answers, and a short run on the recorded market."""

import dataclasses
import datetime as dt
import math

import numpy as np
import pytest

from evals.claim.figures import (
    annual_return,
    difference,
    figures,
    range_of,
    sharpe,
    sharpe_difference_error,
    volatility,
)
from evals.claim.record import Named, Panel, read_panel
from evals.claim.study import EQUAL, LEAST_LOSS, STAKED, Period, study
from evals.claim.tables import page_lines
from evals.claim.walk import METHODS, Seen, equal, hold, in_sample, optimised, seen_before, walk
from evals.outcomes import block_places, paid
from tools.errors import SourceError
from tools.market.snapshot import Label
from tools.market.sources.folder import FolderSource
from tools.metrics import compute_metrics
from tools.optimize import Undefined
from tools.units import daily_return

DAY = dt.date(2024, 1, 1)
RNG = np.random.default_rng(7)


def panel_of(apy: np.ndarray, tvl_usd: float = 1e9) -> Panel:
    days = tuple(DAY + dt.timedelta(days=n) for n in range(len(apy)))
    series = tuple(Named(f"p{n}", Label("lido", "Ethereum", f"T{n}"), (f"T{n}",)) for n in range(apy.shape[1]))
    return Panel(days, series, apy, np.isfinite(apy), np.full(apy.shape, tvl_usd))


def rates(days: int, series: int) -> np.ndarray:
    return 0.03 + 0.01 * RNG.random((days, series))


def test_what_is_better_by_a_known_margin_is_found_better() -> None:
    rival = RNG.normal(1e-4, 1e-4, 365)
    found = difference(rival + 1e-5, rival, 0.0)
    gain = annual_return(rival + 1e-5) - annual_return(rival)
    assert found.annual_return.mean == pytest.approx(gain)
    assert found.annual_return.low == pytest.approx(gain, rel=0.01)  # the noise is shared, so the margin is certain
    assert found.sharpe.low > 0.0
    assert abs(found.volatility.mean) < 1e-15


def test_a_range_holds_what_made_the_series() -> None:
    returns = RNG.normal(1e-4, 1e-3, 730)
    found = range_of(returns, annual_return)
    assert found.mean == float(annual_return(returns))
    assert found.low < np.expm1(365 * np.log1p(1e-4)) < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 1e-3 * 365 / math.sqrt(730), rel=0.25)
    with pytest.raises(ValueError, match="at least 60"):
        range_of(returns[:59], annual_return)


def test_two_of_the_same_kind_are_not_told_apart() -> None:
    own, rival = RNG.normal(1e-4, 1e-3, (2, 365))
    for interval in difference(own, rival, 0.01):
        assert interval.low < 0.0 < interval.high


def test_resamples_are_of_pairs_and_of_blocks() -> None:
    places = block_places(100, 10, 50)
    assert places.shape == (50, 100)
    assert (np.diff(places.reshape(50, 10, 10), axis=2) % 100 == 1).all()
    own = RNG.normal(0.0, 1e-3, 100)
    assert all(bound == 0.0 for found in difference(own, own.copy(), 0.0, 10) for bound in found[:3])


def test_difference_refuses_series_that_are_no_pair() -> None:
    with pytest.raises(ValueError, match="at least 60"):
        difference(np.zeros(59), np.zeros(59), 0.0)
    with pytest.raises(ValueError, match="same days"):
        difference(np.zeros(90), np.zeros(91), 0.0)


def test_figures_are_those_of_the_metrics() -> None:
    returns = RNG.normal(2e-4, 1e-3, 300)
    metrics = compute_metrics(returns[None], np.zeros(300), 0.03)
    found = figures(returns, 0.03, [RNG.normal(0.0, 1e-3, 300) for _ in range(5)], 6)
    assert found.annual_return == pytest.approx(metrics["annual_return"][0], rel=1e-12)
    assert found.volatility == pytest.approx(metrics["annual_volatility"][0], rel=1e-12)
    assert found.over_staking == pytest.approx(metrics["sharpe"][0], rel=1e-9)
    assert found.deflated is not None
    assert 0.0 < found.deflated < 1.0
    assert float(sharpe(returns)) == found.sharpe


def test_a_ratio_of_accruals_is_given_and_its_chance_refused() -> None:
    # A daily ratio above 1: the formula behind the probability does not hold there.
    smooth = daily_return(0.03 + 0.001 * RNG.random(365))
    found = figures(smooth, 0.0, [smooth, smooth + 1e-6], 2)
    assert found.sharpe is not None
    assert found.sharpe > 50.0
    assert found.deflated is None


def test_more_trials_leave_less_of_the_same_ratio() -> None:
    returns, trials = RNG.normal(1e-4, 1e-3, 365), list(RNG.normal(0.0, 1e-3, (8, 365)))
    few, many = (figures(returns, 0.0, trials, tried).deflated for tried in (8, 80))
    assert few is not None
    assert many is not None
    assert many < few


def test_error_of_a_difference_is_that_of_simulated_years() -> None:
    spread, correlation = 0.01, 0.9
    first, second = 0.7, 1.3
    common, own, other = RNG.normal(size=(3, 1_500, 365))

    def year(noise: np.ndarray, ratio: float) -> np.ndarray:
        mixed = math.sqrt(correlation) * common + math.sqrt(1 - correlation) * noise
        return spread * (mixed + ratio / math.sqrt(365.0))

    found = (sharpe(year(own, first)) - sharpe(year(other, second))).std()
    assert sharpe_difference_error(first, second, correlation, 1.0) == pytest.approx(found, rel=0.06)
    assert sharpe_difference_error(first, second, correlation, 4.0) == pytest.approx(found / 2.0, rel=0.06)
    with pytest.raises(ValueError, match="correlation"):
        sharpe_difference_error(first, second, 1.1, 1.0)


@pytest.mark.parametrize("method", ["min_variance", "max_sharpe", "mean_cvar"])
def test_the_future_changes_no_decision(method: str) -> None:
    apy = rates(200, 4)
    other = apy.copy()
    other[120:] = rates(80, 4)[:, ::-1] * 7.0
    before, after = (walk(panel_of(one), optimised(method), 90, 199, 60) for one in (apy, other))
    for own, same in zip(before.held, after.held, strict=True):
        # Rows 90 and 120 are decided on what lies before them; 150 and 180 have seen the change.
        assert np.array_equal(own.weights, same.weights) == (own.place <= 120)


def test_sizes_of_the_future_change_no_decision() -> None:
    panel = panel_of(rates(120, 3), 3e6)
    sizes = panel.tvl_usd.copy()
    sizes[90:] = 1.0
    shrunk = dataclasses.replace(panel, tvl_usd=sizes)
    own, same = (seen_before(one, 90, 60) for one in (panel, shrunk))
    assert own.columns == same.columns
    assert np.array_equal(own.caps, same.caps)


def test_only_what_could_be_held_is_held() -> None:
    apy = rates(100, 4)
    apy[:50, 1] = np.nan  # too young
    panel = panel_of(apy)
    panel.recorded[86:, 2] = False  # silent for more than three days
    panel.tvl_usd[:, 3] = 2e6  # a tenth of it is a fifth of the money
    seen = seen_before(panel, 90, 60)
    assert seen.columns == (0, 3)
    assert seen.caps.tolist() == [1.0, 0.2]
    assert equal(seen).tolist() == pytest.approx([0.8, 0.2])
    panel.tvl_usd[:, 3] = 9e5
    assert seen_before(panel, 90, 60).columns == (0,)
    with pytest.raises(ValueError, match="fewer than 60 days"):
        seen_before(panel, 59, 60)


def test_costs_are_taken_from_what_was_earned() -> None:
    panel = panel_of(np.full((100, 2), 0.05))
    charged = walk(panel, equal, 60, 99, 60, lambda place, before, after: 0.01 * np.abs(after - before).sum())
    assert np.prod(1.0 + charged.gross) == pytest.approx(1.05 ** (40 / 365))
    assert np.prod(1.0 + charged.net) == pytest.approx(1.05 ** (40 / 365) * 0.99**2)  # in and out, nothing between
    assert [held.turnover for held in charged.held] == pytest.approx([0.5, 0.0])
    kept = hold(panel, 1, 60, 99, lambda place, before, after: 0.01 * np.abs(after - before).sum())
    assert np.prod(1.0 + kept.net) == pytest.approx(np.prod(1.0 + charged.net))


def test_a_rule_without_an_answer_holds_alike_and_says_why() -> None:
    def refuses(seen: Seen) -> np.ndarray:
        raise Undefined("nothing to go by")

    held = walk(panel_of(rates(95, 2)), refuses, 60, 94, 60).held
    assert [one.fell_back for one in held] == ["nothing to go by", "nothing to go by"]
    assert held[0].weights.tolist() == [0.5, 0.5]


def test_hindsight_on_noise_beats_equal_weights_and_does_not_last() -> None:
    # Series of one kind: whatever hindsight finds in one half is luck, and the other half does not know of it.
    then, later = [], []
    for _ in range(40):
        panel = panel_of(rates(240, 6))
        rule = optimised("mean_variance")
        own, alike = (in_sample(panel, one, 0, 119, range(6)) for one in (rule, equal))
        then.append(float(annual_return(own) - annual_return(alike)))
        after = daily_return(panel.apy[120:])
        weights = rule(Seen(daily_return(panel.apy[:120]), np.ones(6), tuple(range(6)), 120))
        later.append(float(annual_return(after @ weights) - annual_return(after.mean(axis=1))))
    assert min(then) > 0.0
    assert abs(np.mean(later)) < 3.0 * np.std(later) / math.sqrt(40)
    assert np.mean(then) > 5.0 * abs(np.mean(later))


def test_a_longer_gap_is_carried_only_where_asked() -> None:
    chart = [{"timestamp": f"2024-01-{day:02d}T00:00:00Z", "apy": 4.0} for day in (1, 12)]
    strict, patient = (paid(chart, DAY - dt.timedelta(days=1), 12, gap) for gap in (3, 14))
    assert (strict.carried, strict.unpaid) == (3, 7)
    assert (patient.carried, patient.unpaid) == (10, 0)


def test_the_recorded_series_are_read(market_folder) -> None:
    panel = read_panel(FolderSource(market_folder), dt.date(2024, 8, 1), dt.date(2024, 9, 10))
    names = {one.name for one in panel.series}
    assert {"Lido STETH, Ethereum", "Rocket Pool RETH, Ethereum"} <= names
    assert not any("USDC" in name or "WBTC" in name for name in names)
    reth = next(n for n, one in enumerate(panel.series) if one.label.symbol == "RETH")
    ended = panel.place(dt.date(2024, 9, 5))
    assert panel.recorded[ended, reth]
    assert not panel.recorded[ended + 1 :, reth].any()
    assert np.median(panel.apy[: ended + 1, reth]) == pytest.approx(0.03, abs=0.01)
    assert np.isnan(panel.tvl_usd[:, reth]).all()


def test_a_folder_without_staked_ether_is_refused(market_folder) -> None:
    with pytest.raises(SourceError, match="no series of staked ether"):
        read_panel(FolderSource(market_folder), dt.date(2019, 1, 1), dt.date(2019, 2, 1))


def test_a_short_period_of_the_record_runs_through(market_folder) -> None:
    period = Period("Sixty days", dt.date(2024, 7, 6), dt.date(2024, 9, 3), (60,))
    found = study(FolderSource(market_folder), period)
    assert list(found.outcomes) == [STAKED, EQUAL, LEAST_LOSS, *METHODS]
    assert found.days == 60
    staked = found.outcomes[STAKED]
    assert staked.figures.annual_return == pytest.approx(0.03, abs=0.01)
    assert staked.all_in.losses.low < staked.all_in.losses.expected < staked.all_in.losses.high
    assert staked.all_in.annual_return < staked.figures.annual_return < staked.gross.annual_return
    assert 0.3 < staked.all_in.usd_volatility < 1.2  # ether's own: staking adds nothing that shows
    # With hindsight no weights of these series have a higher ratio than max_sharpe's, so equal ones have not.
    assert found.in_sample["max_sharpe"].sharpe >= found.in_sample[EQUAL].sharpe
    assert found.in_sample["min_variance"].volatility <= found.in_sample[EQUAL].volatility
    lines = list(page_lines([found]))
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 60
    assert not any("nan" in line or "inf" in line for line in lines if "info" not in line)


def test_volatility_is_over_the_last_axis() -> None:
    assert volatility(np.array([[0.0, 0.02], [0.01, 0.01]])).tolist() == pytest.approx(
        [math.sqrt(2.0) / 100.0 * math.sqrt(365.0), 0.0]
    )
