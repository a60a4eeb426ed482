"""The event simulation: closed forms within sampling error, what a draw may depend on, the demo of the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tools.risk.events import Simulated, Summary, _event_paths, expected_growth, histogram, simulate, summarise
from tools.risk.measures import conditional_value_at_risk, entropic_value_at_risk, historical_var
from tools.units import FloatArray

STANDARD_ERRORS = 4.5  # a fixed seed either passes or does not; a correct program fails one figure in 150,000
NODES, CANDIDATES, DAYS = 7, 4, 90


def world(seed: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    random = np.random.default_rng(seed)
    carry = random.normal(3e-4, 2e-4, (DAYS, CANDIDATES))
    shares = random.random((NODES, CANDIDATES)) * (random.random((NODES, CANDIDATES)) < 0.6)
    rates = random.random(NODES) * 0.3
    return carry, shares, rates, np.sort(random.random((NODES, 2)), axis=1)


def names(count: int) -> list[str]:
    return [f"protocol:{position}" for position in range(count)]


@pytest.mark.parametrize("horizon", [1, 45, 365, 800])
@pytest.mark.parametrize("seed", [1, 2])
def test_simulation_agrees_with_closed_forms(seed: int, horizon: int) -> None:
    carry, shares, rates, severities = world(seed)
    costs = np.array([0.0, 0.001, 0.01, 0.02])
    paths = simulate(carry, shares, rates, severities, costs=costs, horizon_days=horizon, paths=40_000, seed=seed)
    exact = expected_growth(carry, shares, rates, severities, costs=costs, horizon_days=horizon)
    for column in range(CANDIDATES):
        returns, lost = paths.returns[:, column], paths.event_losses[:, column]
        assert agrees(returns, exact.wealth[column] - 1.0)
        assert agrees(lost, 1.0 - exact.survival[column])
        assert agrees((lost > 0.0).astype(float), exact.event_probability[column])
        assert agrees((lost - 1.0 + exact.survival[column]) ** 2, exact.event_deviation[column] ** 2)


def agrees(sample: FloatArray, exact: float) -> bool:
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return abs(float(sample.mean()) - exact) <= STANDARD_ERRORS * error + 1e-12


@pytest.mark.parametrize("horizon", [1, 30, 365, 730])
def test_closed_forms_by_hand(horizon: int) -> None:
    carry = [[0.001], [-0.002], [0.003]]
    exact = expected_growth(
        carry, [[0.5], [0.0]], [0.2, 9.0], [[0.2, 1.0], [0.1, 0.1]], costs=[0.01], horizon_days=horizon, block_days=1
    )
    intensity = 0.2 * horizon / 365.0
    assert exact.carry[0] == pytest.approx((1.0 + 0.002 / 3.0) ** horizon, rel=1e-12)
    assert exact.survival[0] == pytest.approx(math.exp(-intensity * 0.5 * 0.6), rel=1e-14)
    assert exact.wealth[0] == pytest.approx(exact.carry[0] * exact.survival[0] - 0.01, rel=1e-14)
    assert exact.event_probability[0] == pytest.approx(1.0 - math.exp(-intensity), rel=1e-12)
    square = math.exp(intensity * (-2.0 * 0.5 * 0.6 + 0.25 * (0.04 + 0.2 + 1.0) / 3.0))
    assert exact.event_deviation[0] ** 2 == pytest.approx(square - exact.survival[0] ** 2, rel=1e-9)


def test_small_hazards_have_the_variance_of_a_compound_poisson_sum() -> None:
    shares, rates = np.array([[0.5], [1.0]]), np.array([0.001, 0.002])
    exact = expected_growth(np.zeros((1, 1)), shares, rates, [[0.2, 1.0], [0.0, 0.4]], costs=[0.0])
    squares = np.array([(0.04 + 0.2 + 1.0) / 3.0, 0.16 / 3.0])
    assert exact.event_deviation[0] ** 2 == pytest.approx(float((rates * shares[:, 0] ** 2 * squares).sum()), rel=0.01)


def demo(paths: int, seed: int) -> Summary:
    carry = np.full((365, 1), 1.1 ** (1.0 / 365.0) - 1.0)
    simulated = simulate(
        carry,
        [[1.0], [1.0]],
        [0.02, 0.05],
        [[0.2, 1.0], [0.08, 0.08]],
        costs=[0.0],
        keys=["protocol:demo", "token:DEMO"],
        paths=paths,
        seed=seed,
    )
    return summarise(simulated)[0]


def test_demo_of_the_reference(published: list[str]) -> None:
    """10 % APY, an exploit at 2 % a year that takes U(0.2, 1), a depeg at 5 % a year that takes 8 %.

    The reference was itself drawn at random, so a figure may be off by the error of both. Its mean 8.30 % is 1.5
    standard errors above the exact 1.1·exp(−0.02·0.6 − 0.05·0.08) − 1 = 8.254 %. Its chance of a loss, 1.9 %, is that
    of at most one event of a kind a year (1 − e^−0.02 = 1.98 % by an exploit); two depegs in a year lose as well, for
    1.1·0.92² < 1, which makes it 2.10 % here.
    """
    found = demo(100_000, seed=11)
    error = math.hypot(found.standard_error, found.standard_error)
    exact = 1.1 * math.exp(-0.02 * 0.6 - 0.05 * 0.08) - 1.0
    assert found.mean_return == pytest.approx(exact, abs=STANDARD_ERRORS * found.standard_error)
    assert found.mean_return == pytest.approx(0.0830, abs=3.0 * error)
    chance = 1.0 - math.exp(-0.02) * math.exp(-0.05) * 1.05
    assert found.loss_probability == pytest.approx(chance, abs=STANDARD_ERRORS * math.sqrt(chance / 100_000))
    assert found.var_95 == pytest.approx(-(1.1 * 0.92 - 1.0), abs=1e-12)  # the reference: −1.2 %, a gain
    errors = {"cvar_95": 0.006, "cvar_99": 0.010, "evar_95": 0.006}  # standard deviation over 40 seeds
    for name, reference in {"cvar_95": 0.21, "cvar_99": 0.78, "evar_95": 0.62}.items():
        assert getattr(found, name) == pytest.approx(reference, abs=3.0 * math.sqrt(2.0) * errors[name] + 0.005)
    published.append(
        f"hazard demo: mean {found.mean_return:.2%} ± {found.standard_error:.2%}, loss {found.loss_probability:.2%}, "
        f"VaR95 {found.var_95:.2%}, CVaR95 {found.cvar_95:.1%}, CVaR99 {found.cvar_99:.1%}, EVaR95 {found.evar_95:.1%}"
    )


def test_tail_of_the_demo_over_seeds() -> None:
    """The mean of ten seeds against the exact tails, each from the distribution of the year's wealth by quadrature."""
    exact_95, exact_99 = (exact_demo_cvar(level) for level in (0.95, 0.99))
    found = [demo(20_000, seed) for seed in range(10)]
    for name, exact in {"cvar_95": exact_95, "cvar_99": exact_99}.items():
        values = np.array([getattr(summary, name) for summary in found])
        assert values.mean() == pytest.approx(exact, abs=STANDARD_ERRORS * values.std(ddof=1) / math.sqrt(10.0))


def exact_demo_cvar(confidence: float) -> float:
    """Up to two exploits and four depegs a year, severities on a grid: losses and probabilities, then the tail mean."""
    grid = np.linspace(0.2, 1.0, 2001)[1:] - 0.0002
    once, twice = 1.0 - grid, np.multiply.outer(1.0 - grid[::20], 1.0 - grid[::20]).ravel()
    parts = []
    for exploits, left in enumerate((np.ones(1), once, twice)):
        for depegs in range(5):
            chance = stats.poisson.pmf(exploits, 0.02) * stats.poisson.pmf(depegs, 0.05)
            loss = 1.0 - 1.1 * left * 0.92**depegs
            parts.append(np.column_stack([loss, np.full(loss.size, chance / loss.size)]))
    losses, chances = np.concatenate(parts).T
    order = np.argsort(-losses)
    before = np.cumsum(chances[order]) - chances[order]
    tail = np.clip(1.0 - confidence - before, 0.0, chances[order])
    return float((losses[order] * tail).sum() / (1.0 - confidence))


def test_same_seed_same_bits_other_seed_other_paths() -> None:
    first, again, other = (simulate(*world(3), costs=np.zeros(CANDIDATES), paths=2000, seed=s) for s in (5, 5, 6))
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, different)


def test_order_of_nodes_changes_nothing() -> None:
    carry, shares, rates, severities = world(3)
    keys, order = names(NODES), [4, 2, 6, 0, 1, 5, 3]
    plain = simulate(carry, shares, rates, severities, costs=np.zeros(CANDIDATES), keys=keys, paths=5000)
    shuffled = simulate(
        carry,
        shares[order],
        rates[order],
        severities[order],
        costs=np.zeros(CANDIDATES),
        keys=[keys[node] for node in order],
        paths=5000,
    )
    for one, same in zip(plain, shuffled, strict=True):
        np.testing.assert_array_equal(one, same)


def test_candidates_do_not_depend_on_each_other() -> None:
    carry, shares, rates, severities = world(4)
    costs, order = np.array([0.0, 0.01, 0.02, 0.03]), [2, 0]
    together = simulate(carry, shares, rates, severities, costs=costs, paths=5000)
    some = simulate(carry[:, order], shares[:, order], rates, severities, costs=costs[order], paths=5000)
    for all_of, part in zip(together, some, strict=True):
        np.testing.assert_array_equal(all_of[:, order], part)


def test_another_node_leaves_the_draws_of_the_others() -> None:
    carry, shares, rates, severities = world(5)
    shares[:, 0] = np.r_[0.7, np.zeros(NODES - 1)]  # candidate 0 depends on the first node alone
    keys = names(NODES)
    full = simulate(carry, shares, rates, severities, costs=np.zeros(CANDIDATES), keys=keys, paths=5000)
    alone = simulate(
        carry, shares[:1], rates[:1], severities[:1], costs=np.zeros(CANDIDATES), keys=keys[:1], paths=5000
    )
    np.testing.assert_array_equal(full.event_losses[:, 0], alone.event_losses[:, 0])
    assert full.event_losses[:, 0].any()


def test_a_name_has_a_stream_of_its_own() -> None:
    carry, shares, rates, severities = world(5)
    one, other = (
        simulate(carry, shares, rates, severities, costs=np.zeros(CANDIDATES), keys=keys, paths=2000)
        for keys in (names(NODES), [f"{name}x" for name in names(NODES)])
    )
    assert not np.array_equal(one.event_losses, other.event_losses)
    two = simulate(
        np.zeros((1, 2)), np.eye(2), [5.0, 5.0], [[0.1, 0.9]] * 2, costs=[0.0, 0.0], keys=["a", "b"], paths=5000
    )
    correlation = np.corrcoef(two.event_losses.T)[0, 1]
    assert abs(correlation) < STANDARD_ERRORS / math.sqrt(5000)


def test_shared_node_strikes_all_with_one_severity() -> None:
    paths = simulate(np.zeros((1, 2)), [[1.0, 0.25]], [0.5], [[0.1, 0.9]], costs=[0.0, 0.0], paths=5000).event_losses
    struck = paths[:, 0] > 0.0
    np.testing.assert_array_equal(struck, paths[:, 1] > 0.0)
    single = struck & (paths[:, 1] <= 0.25 * paths[:, 0] + 1e-12)  # one event: exactly a quarter
    np.testing.assert_allclose(paths[single, 1], paths[single, 0] / 4.0, rtol=0, atol=1e-12)
    assert single.sum() > 1000


def test_counts_are_poisson_and_several_events_compound() -> None:
    paths = 50_000
    lost = simulate(np.zeros((1, 1)), [[1.0]], [1.7], [[0.5, 0.5]], costs=[0.0], paths=paths).event_losses[:, 0]
    counts = np.bincount(np.rint(-np.log2(1.0 - lost)).astype(int))
    np.testing.assert_array_equal(np.unique(lost), 1.0 - 0.5 ** np.arange(counts.size))
    cells = np.r_[counts[:6], counts[6:].sum()]
    chances = np.r_[stats.poisson.pmf(range(6), 1.7), stats.poisson.sf(5, 1.7)]
    assert stats.chisquare(cells, chances * paths).pvalue > 1e-4


class EvenWaits:
    """Random numbers that make every waiting time 0.1001 at an intensity of 1: more events than are drawn at once."""

    def random(self, count: int) -> FloatArray:
        return np.full(count, -math.expm1(-0.1001))


def test_events_go_on_until_the_last_path() -> None:
    found = _event_paths(EvenWaits(), 1.0, 50)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, np.floor(0.1001 * np.arange(1, 500)))


def test_severity_is_uniform() -> None:
    lost = simulate(np.zeros((1, 1)), [[1.0]], [0.01], [[0.3, 0.7]], costs=[0.0], paths=200_000).event_losses[:, 0]
    single = lost[(lost > 0.0) & (lost < 0.7)]
    assert stats.kstest(single, stats.uniform(0.3, 0.4).cdf).pvalue > 1e-3
    assert single.size > 1500


def test_carry_is_made_of_circular_blocks() -> None:
    random = np.random.default_rng(8)
    carry = random.normal(0.0, 0.01, (11, 1))
    twice = np.concatenate([carry, carry, carry])[:, 0] + 1.0
    blocks, rests = ([math.prod(twice[start : start + length]) for start in range(11)] for length in (7, 3))
    paths = simulate(
        carry, np.zeros((0, 1)), [], np.zeros((0, 2)), costs=[0.0], horizon_days=10, block_days=7, paths=4000
    )
    # Seven days and the three after them are three days and the seven after them: eleven products come up twice.
    possible, ways = np.unique(np.multiply.outer(blocks, rests).round(13), return_counts=True)
    grown = paths.returns[:, 0] + 1.0
    places = np.searchsorted(possible, grown - 1e-12)
    np.testing.assert_allclose(grown, possible[places], rtol=1e-12)
    assert possible.size == 110
    assert stats.chisquare(np.bincount(places, minlength=110), ways / 121.0 * 4000.0).pvalue > 1e-4


def test_candidates_see_the_same_days() -> None:
    carry = np.random.default_rng(9).normal(0.0, 0.01, (50, 1))
    paths = simulate(
        np.hstack([carry, carry]), np.zeros((0, 2)), [], np.zeros((0, 2)), costs=[0.0, 0.05], paths=1000
    ).returns
    np.testing.assert_allclose(paths[:, 0] - paths[:, 1], 0.05, rtol=0, atol=1e-14)


def test_splitting_a_pool_changes_nothing() -> None:
    """Half in each of two equal pools is the whole in one: the same carry and the same share of every node."""
    random = np.random.default_rng(10)
    pools, of_pool = random.normal(2e-4, 1e-4, (60, 3)), random.random((5, 3))
    whole, split = np.array([0.5, 0.3, 0.2]), np.array([0.5, 0.3, 0.12, 0.08])
    doubled = [0, 1, 2, 2]
    carry = np.column_stack([pools @ whole, pools[:, doubled] @ split])
    shares = np.column_stack([of_pool @ whole, of_pool[:, doubled] @ split])
    paths = simulate(carry, shares, np.full(5, 0.5), np.tile([0.1, 0.9], (5, 1)), costs=[0.0, 0.0], paths=3000)
    for part in paths:
        np.testing.assert_allclose(part[:, 0], part[:, 1], rtol=0, atol=1e-13)


def test_return_stops_at_the_loss_of_everything() -> None:
    paths = simulate(np.zeros((1, 1)), [[1.0]], [1.0], [[1.0, 1.0]], costs=[0.1], paths=1000)
    assert paths.returns.min() == -1.0
    assert paths.returns.max() == pytest.approx(-0.1)
    assert set(np.unique(paths.event_losses)) == {0.0, 1.0}


def test_nothing_happens_without_rate_or_share() -> None:
    paths = simulate(
        np.zeros((1, 2)), [[0.0, 0.0], [1.0, 1.0]], [1.0, 0.0], [[0.5, 0.5]] * 2, costs=[0.0] * 2, paths=99
    )
    assert not paths.returns.any()
    assert not paths.event_losses.any()
    assert summarise(paths)[0].loss_probability == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"carry": [[0.1, math.nan]]}, r"carry\[0, 1\]"),
        ({"carry": [[0.1, -1.5]]}, r"carry\[0, 1\]"),
        ({"carry": [0.1]}, "carry"),
        ({"carry": np.full((30, 2), 1e300)}, "range of floats"),
        ({"shares": [[0.5, 1.2]]}, r"shares\[0, 1\]"),
        ({"shares": [[0.5]]}, "shares must have shape"),
        ({"rates": [-0.1]}, r"rates\[0\]"),
        ({"rates": [math.inf]}, r"rates\[0\]"),
        ({"severities": [[0.6, 0.5]]}, "severities"),
        ({"severities": [[0.6, 1.5]]}, r"severities\[0, 1\]"),
        ({"costs": [0.0, -0.1]}, r"costs\[1\]"),
        ({"keys": ["a", "b"]}, "keys"),
        ({"horizon_days": 0}, "horizon_days"),
        ({"block_days": 0}, "block_days"),
        ({"paths": 0}, "paths"),
    ],
)
def test_refusals_name_the_place(change: dict[str, object], message: str) -> None:
    plain = {"carry": [[0.0, 0.0]], "shares": [[0.5, 0.5]], "rates": [0.1], "severities": [[0.1, 0.2]]}
    arguments = plain | {"costs": [0.0, 0.0], "paths": 10} | change
    with pytest.raises(ValueError, match=message):
        simulate(**arguments)  # type: ignore[arg-type]


def test_two_nodes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="different"):
        simulate([[0.0]], [[1.0]] * 2, [1.0] * 2, [[0.1, 0.2]] * 2, costs=[0.0], keys=["a", "a"])


def test_summary_is_made_of_the_measures() -> None:
    paths = simulate(*world(6), costs=np.zeros(CANDIDATES), paths=3000)
    for column, found in enumerate(summarise(paths)):
        returns, lost = paths.returns[:, column], paths.event_losses[:, column]
        for level, var, cvar in ((0.95, found.var_95, found.cvar_95), (0.99, found.var_99, found.cvar_99)):
            assert var == historical_var(returns, level)
            assert cvar == pytest.approx(float(conditional_value_at_risk(returns, level)), rel=1e-13)
        assert found.evar_95 == entropic_value_at_risk(returns, 0.95)
        assert found.drawdown_95 == historical_var(-lost, 0.95)
        assert found.mean_return == pytest.approx(float(returns.mean()), rel=1e-12)
        assert found.standard_error == pytest.approx(float(stats.sem(returns)), rel=1e-12)
        assert found.loss_probability == (returns < 0.0).mean()


def test_summary_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match=r"paths\[0, 1\]"):
        summarise(Simulated(np.array([[0.1], [math.nan]]), np.zeros((2, 1))))


@pytest.mark.parametrize("scale", [1e-6, 0.01, 1.0, 300.0])
def test_histogram_counts_between_round_edges(scale: float) -> None:
    losses = np.random.default_rng(12).normal(0.1, 1.0, 5000) * scale
    found = histogram(losses)
    assert sum(found.counts) == losses.size
    assert found.counts == np.histogram(losses, bins=found.edges)[0].tolist()
    assert 24 <= len(found.counts) <= 65
    assert found.edges[0] <= losses.min() < found.edges[1]
    assert found.edges[-2] <= losses.max() < found.edges[-1]
    assert 0.0 in found.edges
    assert max(len(repr(edge).rstrip("0").replace("-", "").replace(".", "").strip("0")) for edge in found.edges) <= 6


@pytest.mark.parametrize("value", [0.0, -0.08, 1.0, 3.0])
def test_histogram_of_one_value_is_one_bin(value: float) -> None:
    found = histogram(np.full(10, value))
    assert found.counts == [10]
    assert found.edges[0] <= value <= found.edges[1]
