"""The score: parts, normalisation by rank, missing figures, totals, and what must not change them."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.scoring import NORMALISATION, PARTS, normalised_ranks, score_candidates
from tools.strategies.profiles import load_presets

NEUTRAL = load_presets()["neutral"]
KEYS = {
    "apy": "portfolio_apy",
    "sharpe": "sharpe",
    "alpha": "alpha",
    "beta": "beta",
    "volatility": "annual_volatility",
}
VALUES = st.one_of(st.none(), st.floats(-10.0, 10.0), st.sampled_from([0.0, 1.0, 0.05]))
METRICS = st.fixed_dictionaries(dict.fromkeys(KEYS.values(), VALUES) | {"omega": VALUES})


def metrics(apy=0.05, sharpe=2.0, alpha=0.01, beta=1.0, volatility=0.002):
    return dict(zip(KEYS.values(), (apy, sharpe, alpha, beta, volatility), strict=True))


def score(*candidates, preset="neutral"):
    return score_candidates(candidates, load_presets()[preset], preset, "carry_only")


# Ranks


@pytest.mark.parametrize(
    ("values", "ranks"),
    [
        ([], []),
        ([7.0], [0.5]),
        ([7.0, 7.0, 7.0], [0.5, 0.5, 0.5]),
        ([1.0, 2.0], [0.0, 1.0]),
        ([3.0, 1.0, 2.0], [1.0, 0.0, 0.5]),
        ([1.0, 2.0, 2.0, 3.0], [0.0, 0.5, 0.5, 1.0]),
        ([2.0, 2.0, 1.0], [0.75, 0.75, 0.0]),
        ([None, 1.0, 2.0], [None, 0.0, 1.0]),
        ([None, 1.0], [None, 0.5]),
        ([None, None], [None, None]),
        ([-1e300, 0.0, 1e300], [0.0, 0.5, 1.0]),
        ([1.0, 1.0 + 1e-13, 2.0], [0.25, 0.25, 1.0]),
        ([0.0, -0.0], [0.5, 0.5]),
    ],
)
def test_ranks_are_scaled_to_one_and_ties_share_their_average(values, ranks):
    assert normalised_ranks(values) == ranks


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=20), st.randoms(use_true_random=False))
def test_a_rank_belongs_to_its_value_wherever_it_stands(values, rng):
    order = rng.sample(range(len(values)), len(values))
    ranks = normalised_ranks(values)
    assert normalised_ranks([values[n] for n in order]) == [ranks[n] for n in order]
    assert all(rank is None or 0.0 <= rank <= 1.0 for rank in ranks)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=20))
def test_ranks_keep_the_order_and_average_to_one_half(values):
    ranks = normalised_ranks([float(v) for v in values])
    for left, first in zip(values, ranks, strict=True):
        for right, second in zip(values, ranks, strict=True):
            assert (left < right) == (first < second)
    assert math.fsum(ranks) / len(ranks) == pytest.approx(0.5)


# Scores


def test_a_single_candidate_gets_half_of_every_part():
    (only,) = score(metrics())
    assert only.parts == {"apy": 0.35, "sharpe": 0.075, "alpha": 0.05, "beta": 0.025, "volatility": -0.05}
    assert only.total == pytest.approx(0.45)
    assert (only.missing, only.normalisation, only.preset) == ([], NORMALISATION, "neutral")


def test_the_best_in_everything_gets_all_weights_and_the_worst_none():
    best, worst = score(metrics(0.10, 9.0, 0.05, 1.0, 0.001), metrics(0.02, 1.0, -0.01, 3.0, 0.1))
    assert best.parts == {"apy": 0.70, "sharpe": 0.15, "alpha": 0.10, "beta": 0.05, "volatility": 0.0}
    assert worst.parts == {"apy": 0.0, "sharpe": 0.0, "alpha": 0.0, "beta": 0.0, "volatility": -0.10}
    assert (best.total, worst.total) == (pytest.approx(1.0), pytest.approx(-0.10))


def test_beta_counts_by_its_distance_from_one():
    betas = [1.0, 0.9, 1.1, 2.5, -0.2]
    parts = [s.parts["beta"] for s in score(*(metrics(beta=beta) for beta in betas))]
    assert parts[0] == 0.05
    assert parts[1] == parts[2] == pytest.approx(0.05 * 2.5 / 4)
    assert parts[0] > parts[1] > parts[4] > parts[3] == 0.0


def test_a_missing_figure_takes_the_worst_value_and_is_named():
    given_, missing = score(metrics(), metrics(sharpe=None, beta=None, volatility=None))
    assert (missing.parts["sharpe"], missing.parts["beta"]) == (0.0, 0.0)
    assert missing.parts["volatility"] == -0.10
    assert missing.missing == ["sharpe", "beta", "volatility"]
    assert missing.raw["sharpe"] is None
    assert given_.missing == []
    assert given_.parts["sharpe"] == 0.075, "the only one with the figure: half, as a single candidate"


def test_where_nobody_has_a_figure_everybody_gets_the_worst():
    for found in score(metrics(alpha=None), metrics(alpha=None)):
        assert found.parts["alpha"] == 0.0
        assert found.missing == ["alpha"]


def test_raw_figures_are_kept_as_they_were():
    found = score(metrics(0.1, 5.0, 0.02, 1.4, 0.03))[0]
    assert found.raw == {"apy": 0.1, "sharpe": 5.0, "alpha": 0.02, "beta": 1.4, "volatility": 0.03}


def test_presets_change_the_weights_and_are_named():
    for preset, weights in load_presets().items():
        best, _ = score(metrics(0.1, 9.0, 0.05, 1.0, 0.1), metrics(), preset=preset)
        assert best.preset == preset
        assert best.parts["apy"] == weights.apy
        assert best.parts["volatility"] == weights.volatility


def test_no_candidates_no_scores():
    assert score() == []


@given(st.lists(METRICS, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_scores_follow_their_candidates_in_any_order(candidates, rng):
    order = rng.sample(range(len(candidates)), len(candidates))
    first = score(*candidates)
    second = score(*(candidates[n] for n in order))
    assert [second[place] for place in range(len(order))] == [first[n] for n in order]


@given(st.lists(METRICS, min_size=1, max_size=12))
def test_totals_are_the_sum_of_parts_within_their_weights(candidates):
    for found, raw in zip(score(*candidates), candidates, strict=True):
        assert tuple(found.parts) == PARTS
        assert found.total == pytest.approx(math.fsum(found.parts.values()), abs=1e-15)
        for part in PARTS:
            weight = getattr(NEUTRAL, part)
            assert min(0.0, weight) <= found.parts[part] <= max(0.0, weight)
            assert math.copysign(1.0, found.parts[part]) == 1.0 or found.parts[part] < 0.0, "no minus zero"
            assert found.raw[part] == raw[KEYS[part]]
        assert found.missing == [part for part in PARTS if raw[KEYS[part]] is None]


@given(st.lists(METRICS, min_size=2, max_size=8))
def test_equal_candidates_get_equal_scores(candidates):
    scores = score(*candidates, *candidates)
    half = len(candidates)
    assert scores[:half] == scores[half:]


def test_a_wild_candidate_does_not_squeeze_the_others_together():
    """Ranks, not distances: an APY of hundreds of percent moves the others by one rank at most."""
    rng = random.Random(2)
    calm = [metrics(apy=rng.uniform(0.01, 0.1)) for _ in range(9)]
    before = [s.parts["apy"] for s in score(*calm)]
    after = [s.parts["apy"] for s in score(*calm, metrics(apy=500.0))][:9]
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) <= 0.70 / 9 + 1e-12
    assert len(set(after)) == 9
