"""What weights are worth and which limits they break, computed from the definitions: nothing of the project is used.

Losses are positive, in the unit of one day's return; drawdowns are those of the uncompounded sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

FloatArray = npt.NDArray[np.float64]


def volatility(returns: FloatArray, weights: FloatArray) -> float:
    """Return the standard deviation (ddof 1) of the portfolio's days."""
    return float(np.linalg.norm((returns - returns.mean(axis=0)) @ weights) / np.sqrt(returns.shape[0] - 1))


def sharpe(returns: FloatArray, weights: FloatArray) -> float:
    """Return mean over volatility of one day, the risk-free rate being 0; infinite without volatility."""
    mean, risk = float(returns.mean(axis=0) @ weights), volatility(returns, weights)
    return mean / risk if risk else float(np.copysign(np.inf, mean))


def tail_mean(losses: FloatArray, confidence: float) -> float:
    """Return the mean of the worst (1 − confidence) of the losses, the last one in part (Acerbi & Tasche 2002)."""
    size = round((1.0 - confidence) * losses.size, 9)
    worst = np.sort(losses)[::-1]
    share = np.clip(size - np.arange(losses.size), 0.0, 1.0)
    return float(share @ worst / size)


def cvar(returns: FloatArray, weights: FloatArray, confidence: float = 0.95) -> float:
    return tail_mean(-(returns @ weights), confidence)


def entropic_temperature(losses: FloatArray, confidence: float) -> float:
    """Return the t at which t·(ln Σ exp(L/t) − ln((1 − confidence)·T)) is least, in units of the range; 0 for none.

    There the distribution proportional to exp(L/t) has the relative entropy −ln(1 − confidence) (Ahmadi-Javid 2012).
    """
    size = (1.0 - confidence) * losses.size
    scaled = losses - losses.max()
    reach = -float(scaled.min())
    if reach <= 0.0 or (scaled == 0.0).sum() >= size - 1e-9:
        return 0.0
    allowed = np.log(losses.size / size)

    def surplus(log_share: float) -> float:
        tilt = np.exp(scaled / (reach * np.exp(log_share)))
        chances = tilt / tilt.sum()
        return float(chances @ np.log(np.maximum(chances, 1e-300))) + np.log(losses.size) - allowed

    return reach * float(np.exp(brentq(surplus, -30.0, 30.0, xtol=1e-13)))


def evar(returns: FloatArray, weights: FloatArray, confidence: float = 0.95) -> float:
    losses = -(returns @ weights)
    temperature, most = entropic_temperature(losses, confidence), losses.max()
    if temperature == 0.0:
        return float(most)
    total = np.log(np.exp((losses - most) / temperature).sum()) - np.log((1.0 - confidence) * losses.size)
    return float(most + temperature * total)


def drawdowns(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """Return how far each day's sum of returns is below its highest so far, the start (0) included."""
    value = np.concatenate([[0.0], np.cumsum(returns @ weights)])
    return np.asarray((np.maximum.accumulate(value) - value)[1:])


def cdar(returns: FloatArray, weights: FloatArray, confidence: float = 0.95) -> float:
    return tail_mean(drawdowns(returns, weights), confidence)


def max_drawdown(returns: FloatArray, weights: FloatArray) -> float:
    return float(drawdowns(returns, weights).max())


def parity_error(returns: FloatArray, weights: FloatArray) -> float:
    """Return how far a share of the variance is from 1/n at most: max |w_i (Σw)_i / w'Σw − 1/n|."""
    centred = returns - returns.mean(axis=0)
    portfolio = centred @ weights
    return float(np.abs(weights * (centred.T @ portfolio) / (portfolio @ portfolio) - 1.0 / weights.size).max())


OBJECTIVES: dict[str, Callable[[FloatArray, FloatArray], float]] = {
    "min_variance": volatility,
    "max_sharpe": sharpe,
    "min_cvar": cvar,
    "min_evar": evar,
    "min_cdar": cdar,
    "min_max_drawdown": max_drawdown,
    "risk_parity": parity_error,
}


def scale(method: str, returns: FloatArray, weights: FloatArray) -> float:
    """Return what a gap is measured against.

    CVaR and EVaR change sign in books that only accrue and would vanish there as a scale, or hide the swings behind
    the level: their scale is what they exceed the mean loss of the same portfolio by, which a constant added to all
    returns leaves alone. The others are never negative and are their own scale. None is taken below 1e-5 of the
    largest return, where the rounding of a double (1e-16 of that return) would be all that is compared; a Sharpe
    ratio not below 1e-6.
    """
    value = OBJECTIVES[method](returns, weights)
    if method == "max_sharpe":
        return max(abs(value), 1e-6)
    if method in ("min_cvar", "min_evar"):
        value += float(returns.mean(axis=0) @ weights)
    return max(abs(value), 1e-5 * float(np.abs(returns).max()))


def violation(weights: FloatArray, limits: Mapping[str, Any], returns: FloatArray) -> float:
    """Return by how much the limit that is broken most is broken; 0 for none.

    A return floor counts in units of the spread of the mean returns, the others in weight.
    """
    means = returns.mean(axis=0)
    spread = float(np.ptp(means)) or float(np.abs(means).max()) or 1.0
    upper = np.minimum(limits.get("max_weights", 1.0), limits.get("max_weight", 1.0))
    broken = [abs(float(weights.sum()) - 1.0), float((limits.get("min_weight", 0.0) - weights).max())]
    broken.append(float((weights - upper).max()))
    broken += [float(np.asarray(group[0]) @ weights) - group[1] for group in limits.get("group_caps", ())]
    if "return_floor" in limits:
        broken.append((limits["return_floor"] - float(means @ weights)) / spread)
    if "turnover" in limits:
        broken.append(float(np.abs(weights - limits["previous"]).sum()) - limits["turnover"])
    return max(0.0, *broken)
