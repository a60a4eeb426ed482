"""The weighted score: 70 % APY, 15 % Sharpe, 10 % alpha, 5 % beta near 1, −10 % volatility.

Each part is normalised across the candidates of one mandate before it is weighted. The published formula adds figures
of different units, so the largest unit decides alone. Each part is therefore replaced by its rank among the candidates,
scaled to [0, 1]: average ranks for ties, so that equal figures get equal parts. Ranks were preferred to a z-score
because carry Sharpe ratios run from 8 to several hundred and the wildest candidate of a market has an APY of hundreds
of percent: any normalisation by distance lets one candidate squeeze all others together. The price: adding a candidate
can move the others' parts by one rank. See ``docs/method.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tools.records import RiskView, Score
from tools.strategies.profiles import Preset, ScoreWeights

PARTS = ("apy", "sharpe", "alpha", "beta", "volatility")
NORMALISATION = "rank"
_RAW_KEYS = {
    "apy": "portfolio_apy",
    "sharpe": "sharpe",
    "alpha": "alpha",
    "beta": "beta",
    "volatility": "annual_volatility",
}
_WORST = {"apy": 0.0, "sharpe": 0.0, "alpha": 0.0, "beta": 0.0, "volatility": 1.0}


def normalised_ranks(values: Sequence[float | None]) -> list[float | None]:
    """Scale ranks to [0, 1], largest 1, ties (to 1e-12) sharing their average.

    A single value, or all equal, gives 0.5. None stays None.
    """
    known = sorted((value, index) for index, value in enumerate(values) if value is not None)
    ranks: list[float | None] = [None] * len(values)
    n = len(known)
    start = 0
    while start < n:
        end = start
        while end + 1 < n and math.isclose(known[end + 1][0], known[start][0], rel_tol=1e-12, abs_tol=1e-12):
            end += 1
        for _, index in known[start : end + 1]:
            ranks[index] = 0.5 if n == 1 else (start + end) / 2.0 / (n - 1)
        start = end + 1
    return ranks


def score_candidates(
    metrics: Sequence[Mapping[str, float | None]], weights: ScoreWeights, preset: Preset, view: RiskView
) -> list[Score]:
    """Score all candidates of a mandate against each other.

    Parameters
    ----------
    metrics
        One mapping per candidate, with the keys of the contract; None where a figure is undefined: it takes the worst
        value of its part (0; for volatility 1) and is named in ``missing``.
    view
        What these figures hold, for the record: carry alone, or events and costs too.

    Returns
    -------
    list of Score
        In the order of ``metrics``; ``total`` is the sum of ``parts``.
    """
    raw = [{part: candidate[_RAW_KEYS[part]] for part in PARTS} for candidate in metrics]
    normalised = {part: normalised_ranks([_comparable(part, candidate[part]) for candidate in raw]) for part in PARTS}
    scores = []
    for index, candidate in enumerate(raw):
        parts = {}
        for part in PARTS:
            value = normalised[part][index]
            parts[part] = getattr(weights, part) * (_WORST[part] if value is None else value) + 0.0  # no minus zero
        scores.append(
            Score(
                total=math.fsum(parts.values()),
                parts=parts,
                raw=candidate,
                missing=[part for part in PARTS if candidate[part] is None],
                normalisation=NORMALISATION,
                preset=preset,
                view=view,
            )
        )
    return scores


def _comparable(part: str, value: float | None) -> float | None:
    """Beta is best near 1; every other part counts as it is."""
    return -abs(value - 1.0) if part == "beta" and value is not None else value
