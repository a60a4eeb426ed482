"""Laws of the loss measures: order, coherence, invariance; what may never depend on labels or on how a pool is split.

The tolerances are those of float sums: 1e-12 of the size of the returns (EVaR: of their range, 1e-9, for it is searched
for).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tools.risk.events import simulate, summarise
from tools.risk.measures import (
    conditional_drawdown_at_risk,
    conditional_value_at_risk,
    cornish_fisher_var,
    entropic_value_at_risk,
    historical_var,
    monte_carlo_var,
    normal_expected_shortfall,
    normal_var,
)
from tools.units import FloatArray

Measure = Callable[..., FloatArray]

few = settings(max_examples=50, deadline=None)  # of each of several measures

# Multiples of a millionth, as rates are stored: sums of them are not lost in the last bits of the largest.
SERIES = arrays(np.float64, st.integers(2, 80), elements=st.integers(-900_000, 900_000).map(lambda n: n / 1e6))
LEVELS = st.floats(0.01, 0.995)
TAILS: dict[str, Measure] = {
    "var": historical_var,
    "cvar": conditional_value_at_risk,
    "evar": entropic_value_at_risk,
    "normal": normal_var,
    "normal shortfall": normal_expected_shortfall,
}
COHERENT: dict[str, Measure] = {"cvar": conditional_value_at_risk, "evar": entropic_value_at_risk}


def close(returns: FloatArray) -> float:
    return 1e-9 * float(np.abs(returns).max() + np.ptp(returns)) + 1e-15


@given(SERIES, LEVELS)
def test_var_cvar_evar_worst_in_order(returns: FloatArray, level: float) -> None:
    var, cvar, evar = (float(TAILS[name](returns, level)) for name in ("var", "cvar", "evar"))
    assert var <= cvar
    assert cvar <= evar + 1e-12 * np.ptp(returns) + 1e-16
    assert evar <= -returns.min()
    assert evar >= -returns.mean() - 1e-15


@pytest.mark.parametrize("name", [*TAILS, "drawdown"])
@few
@given(returns=SERIES, levels=st.tuples(LEVELS, LEVELS))
def test_monotone_in_confidence(name: str, returns: FloatArray, levels: tuple[float, float]) -> None:
    measure = TAILS.get(name, conditional_drawdown_at_risk)
    low, high = sorted(levels)
    assert measure(returns, low) <= measure(returns, high) + close(returns) / 1e3


@pytest.mark.parametrize("name", [*TAILS, "drawdown"])
@few
@given(returns=SERIES, level=LEVELS, factor=st.floats(1e-3, 1e3))
def test_positive_homogeneity(name: str, returns: FloatArray, level: float, factor: float) -> None:
    measure = TAILS.get(name, conditional_drawdown_at_risk)
    scaled = float(measure(factor * returns, level))
    assert scaled == pytest.approx(factor * float(measure(returns, level)), abs=factor * close(returns))


@pytest.mark.parametrize("name", TAILS)
@few
@given(returns=SERIES, level=LEVELS, gain=st.floats(-0.5, 0.5))
def test_a_sure_gain_takes_as_much_off_the_loss(name: str, returns: FloatArray, level: float, gain: float) -> None:
    shifted = float(TAILS[name](returns + gain, level))
    assert shifted == pytest.approx(float(TAILS[name](returns, level)) - gain, abs=close(returns) + 1e-12)


@pytest.mark.parametrize("name", COHERENT)
@few
@given(pairs=arrays(np.float64, st.tuples(st.just(2), st.integers(2, 60)), elements=st.floats(-0.9, 0.9)), level=LEVELS)
def test_together_never_worse_than_apart(name: str, pairs: FloatArray, level: float) -> None:
    apart = COHERENT[name](pairs, level).sum()
    assert COHERENT[name](pairs.sum(axis=0), level) <= apart + close(pairs)


@pytest.mark.parametrize("name", COHERENT)
@few
@given(returns=SERIES, level=LEVELS, day=st.integers(0, 1000), less=st.floats(0.0, 0.5))
def test_a_worse_day_is_never_better(name: str, returns: FloatArray, level: float, day: int, less: float) -> None:
    worse = returns.copy()
    worse[day % returns.size] -= less
    assert COHERENT[name](worse, level) >= COHERENT[name](returns, level) - close(worse)


@pytest.mark.parametrize("name", TAILS)
@few
@given(returns=SERIES, level=LEVELS, seed=st.integers(0, 1000))
def test_order_of_days_changes_nothing(name: str, returns: FloatArray, level: float, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(returns)
    assert float(TAILS[name](shuffled, level)) == pytest.approx(float(TAILS[name](returns, level)), abs=close(returns))


@pytest.mark.parametrize("name", [*TAILS, "drawdown", "cornish-fisher", "monte carlo"])
@few
@given(
    rows=arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 40)), elements=st.floats(-0.9, 0.9)),
    level=LEVELS,
    seed=st.integers(0, 1000),
)
def test_a_strategy_is_judged_alone(name: str, rows: FloatArray, level: float, seed: int) -> None:
    """Relabelled or with other neighbours, each keeps its figure to the last bit."""
    others: dict[str, Measure] = {
        "drawdown": conditional_drawdown_at_risk,
        "cornish-fisher": cornish_fisher_var,
        "monte carlo": lambda returns, level: monte_carlo_var(returns, level, paths=100),
    }
    measure = (TAILS | others)[name]
    order = np.random.default_rng(seed).permutation(rows.shape[0])
    together = measure(rows, level)
    np.testing.assert_array_equal(measure(rows[order], level), together[order])
    np.testing.assert_array_equal([measure(row, level) for row in rows], together)


@pytest.mark.parametrize("name", [*TAILS, "drawdown"])
@few
@given(
    pools=arrays(np.float64, st.tuples(st.just(3), st.integers(2, 40)), elements=st.floats(-0.9, 0.9)),
    level=LEVELS,
    part=st.floats(0.0, 1.0),
)
def test_splitting_a_pool_changes_nothing(name: str, pools: FloatArray, level: float, part: float) -> None:
    measure = TAILS.get(name, conditional_drawdown_at_risk)
    whole = np.array([0.5, 0.2, 0.3]) @ pools
    split = np.array([0.5, 0.2, 0.3 * part, 0.3 * (1.0 - part)]) @ pools[[0, 1, 2, 2]]
    assert float(measure(split, level)) == pytest.approx(float(measure(whole, level)), abs=close(pools))


@given(data=st.data(), nodes=st.integers(0, 5), candidates=st.integers(1, 4))
def test_simulated_paths_depend_on_names_alone(data: st.DataObject, nodes: int, candidates: int) -> None:
    """Order of nodes and of candidates, a node that nobody depends on, a pool in two parts: the same paths."""
    random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    carry = random.normal(1e-4, 1e-3, (40, candidates))
    shares = random.random((nodes, candidates)).round(3) * (random.random((nodes, candidates)) < 0.7)
    rates, severities = random.random(nodes) * 2.0, np.sort(random.random((nodes, 2)), axis=1)
    keys, costs = [f"token:{letter}" for letter in "QAZXS"[:nodes]], random.random(candidates) * 0.01
    rows, columns = random.permutation(nodes), random.permutation(candidates)
    plain = simulate(carry, shares, rates, severities, costs=costs, keys=keys, paths=50)
    other = simulate(
        carry[:, columns],
        np.vstack([shares[rows][:, columns], np.zeros((1, candidates))]),
        np.append(rates[rows], 3.0),
        np.vstack([severities[rows], [0.5, 1.0]]),
        costs=costs[columns],
        keys=[*(keys[row] for row in rows), "token:EXTRA"],
        paths=50,
    )
    for one, same in zip(plain, other, strict=True):
        np.testing.assert_array_equal(one[:, columns], same)


@given(seed=st.integers(0, 10_000), part=st.floats(0.0, 1.0), more=st.floats(0.0, 1.0))
def test_more_exposure_never_loses_less(seed: int, part: float, more: float) -> None:
    """On the same draws: a candidate with a larger share of one node loses at least as much on every path."""
    larger = part + (1.0 - part) * more
    shares = np.array([[part, larger], [0.3, 0.3]])
    paths = simulate(
        np.zeros((1, 2)), shares, [2.0, 1.0], [[0.0, 1.0], [0.2, 0.4]], costs=[0.0, 0.0], paths=60, seed=seed
    )
    assert (paths.event_losses[:, 1] >= paths.event_losses[:, 0] - 1e-15).all()
    less, most = summarise(paths)
    assert most.cvar_95 >= less.cvar_95 - 1e-14
    assert less.var_95 <= less.cvar_95 <= less.evar_95 + 1e-12
