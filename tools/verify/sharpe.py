"""How sure a Sharpe ratio is, recomputed from the saved rows.

The probabilistic ratio is Φ((SR − SR*)·√(T − 1)/√(1 − γ₃·SR + (γ₄ − 1)/4·SR²)) with SR* = 0 (Bailey & López de Prado
2012), γ₄ the raw kurtosis; the deflated one has SR* = √V·((1 − γ)·Φ⁻¹(1 − 1/N) + γ·Φ⁻¹(1 − 1/(N·e))), what the best of
N trials without skill would show, V the variance of the trials' own ratios (2014). All ratios are per day.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tools.verify.book import JsonObject
from tools.verify.metrics import LEAST_DAYS, LEAST_DISTINCT, TINY, TINY_OF_MEAN
from tools.verify.report import Findings
from tools.verify.series import daily_return

EULER_GAMMA = 0.5772156649015329
LARGEST_SHARPE = 1.0  # a day; above it the expansion behind the probability does not hold
NEAR = 1e-6
PROBABILITY = 1e-6  # within which probabilities agree


class Daily(NamedTuple):
    """A daily Sharpe ratio, None where it is undefined; T − 1 times the variance of its estimate; the days."""

    sharpe: float | None
    variance: float
    days: int

    @property
    def usable(self) -> bool | None:
        """Return whether a probability can be made of it; None where a rule is met or missed by rounding only."""
        if self.sharpe is None:
            return False
        if abs(abs(self.sharpe) - LARGEST_SHARPE) < NEAR or abs(self.variance) < NEAR:
            return None
        return abs(self.sharpe) < LARGEST_SHARPE and self.variance > 0.0


def check_sharpes(record: JsonObject, returns: Mapping[int, Sequence[float]], findings: Findings) -> None:
    """Recompute both probabilities of every candidate; every candidate is a trial.

    ``returns``: daily returns of each candidate by its place; without those of all nothing can be deflated.
    """
    candidates = record["candidates"]
    for index, candidate in enumerate(candidates):
        place = f"/candidates/{index}/risk/trials"
        findings.same(place, candidate["risk"]["trials"], len(candidates), "the number of candidates")
        findings.reasons(f"/candidates/{index}/risk", candidate["risk"], ("sharpe_probability", "deflated_sharpe"))
    if len(returns) < len(candidates):
        return
    rate = record["market"]["risk_free"]["rate"]
    daily = [daily_sharpe(returns[index], rate) for index in range(len(candidates))]
    threshold = best_without_skill([each.sharpe for each in daily if each.sharpe is not None], len(candidates))
    for index, each in enumerate(daily):
        risk, pointer = candidates[index]["risk"], f"/candidates/{index}/risk"
        _check(f"{pointer}/sharpe_probability", risk["sharpe_probability"], each, 0.0, findings)
        _check(f"{pointer}/deflated_sharpe", risk["deflated_sharpe"], each, threshold, findings)


def daily_sharpe(returns: Sequence[float], risk_free_rate: float) -> Daily:
    """Return the Sharpe ratio of a day, with skewness and kurtosis of the population in its variance.

    The rate is a fraction per year, above −1.
    """
    days = len(returns)
    mean = math.fsum(returns) / days
    squares = [(value - mean) ** 2 for value in returns]
    spread = math.sqrt(math.fsum(squares) / (days - 1))
    flat = spread <= max(TINY, TINY_OF_MEAN * abs(mean))
    if flat or days < LEAST_DAYS or len({round(value, 15) for value in returns}) < LEAST_DISTINCT:
        return Daily(None, 0.0, days)
    second = math.fsum(squares) / days
    third = math.fsum((value - mean) ** 3 for value in returns) / days
    fourth = math.fsum(square * square for square in squares) / days
    sharpe = (mean - daily_return(risk_free_rate)) / spread
    variance = 1.0 - third / second**1.5 * sharpe + (fourth / second**2 - 1.0) / 4.0 * sharpe**2
    return Daily(sharpe, variance, days)


def best_without_skill(sharpes: Sequence[float], trials: int) -> float | None:
    """Return the largest daily ratio to expect of so many trials without skill.

    A single trial has 0; None where several trials have no two ratios.
    """
    if trials < 2:
        return 0.0
    if len(sharpes) < 2:
        return None
    normal = statistics.NormalDist()
    best = (1.0 - EULER_GAMMA) * normal.inv_cdf(1.0 - 1.0 / trials)
    best += EULER_GAMMA * normal.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return statistics.stdev(sharpes) * best


def _check(pointer: str, found: float | None, daily: Daily, threshold: float | None, findings: Findings) -> None:
    if found is None and daily.usable is None:
        return
    expected = None
    if threshold is not None and daily.sharpe is not None and daily.variance > 0.0 and daily.usable is not False:
        z = (daily.sharpe - threshold) * math.sqrt((daily.days - 1) / daily.variance)
        expected = statistics.NormalDist().cdf(z)
    findings.number(pointer, found, expected, "what the saved rows give", PROBABILITY, PROBABILITY * 1e-3)
