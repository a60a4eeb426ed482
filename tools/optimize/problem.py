"""What an allocation method is given, and what it answers: weights with proof of how good they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tools.optimize.limits import Limits
from tools.units import FloatArray


@dataclass(frozen=True, slots=True)
class Problem:
    """What a method works on.

    Parameters
    ----------
    returns
        Simple returns in each scenario, shape (n_scenarios, n_assets): days of a history, or years of a simulation.
    limits
        What the weights must keep.
    confidence
        Tail level of the methods that look at losses.
    covariance
        Of the returns, shape (n_assets, n_assets); None is the sample's (ddof 1).
    mean
        Expected returns, shape (n_assets,); None is the sample's.
    risk_free
        What a unit of money earns without risk in one scenario's span.
    probabilities
        Of the scenarios, shape (n_scenarios,), sum 1; None is all alike.
    risk_aversion
        λ of ``mean_variance`` (½ λ σ²) and ``mean_cvar`` (λ CVaR).
    """

    returns: FloatArray
    limits: Limits
    confidence: float = 0.95
    covariance: FloatArray | None = None
    mean: FloatArray | None = None
    risk_free: float = 0.0
    probabilities: FloatArray | None = None
    risk_aversion: float = 1.0

    @property
    def expected(self) -> FloatArray:
        """Return the expected return of each asset, shape (n_assets,)."""
        return expectation(self.returns, self.mean, self.probabilities)


def expectation(returns: FloatArray, mean: FloatArray | None, probabilities: FloatArray | None) -> FloatArray:
    """Return the expected return of each asset (n_assets,): as given, or else that of the scenarios."""
    if mean is not None:
        return mean
    return np.asarray(returns.mean(axis=0) if probabilities is None else (probabilities[:, None] * returns).sum(axis=0))


class Binding(NamedTuple):
    """A limit that stands in the way: how much the objective improves per unit that it is loosened (≥ 0)."""

    limit: str
    price: float


@dataclass(frozen=True, slots=True)
class Solution:
    """Weights, and how good they are.

    ``value`` is the objective at ``weights`` (n_assets,), in the unit of one scenario's return; ``bound`` is proven:
    no weights within the limits have an objective below it (for a method that maximises: above it). Both are None for
    methods without an objective. ``worst_case`` (n_scenarios,) is the distribution over scenarios that proves the
    bound, where the objective is a measure of loss: the scenarios that drive the risk. ``exact`` is False where the
    method's own idea cannot be had within the limits, and ``note`` says what was given up.
    """

    method: str
    weights: FloatArray
    objective: str
    maximised: bool = False
    value: float | None = None
    bound: float | None = None
    binding: tuple[Binding, ...] = ()
    worst_case: FloatArray | None = None
    exact: bool = True
    note: str | None = None
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """Return how far the objective can be from the best at most (≥ 0); None without a bound."""
        if self.value is None or self.bound is None:
            return None
        return max(0.0, self.bound - self.value if self.maximised else self.value - self.bound)
