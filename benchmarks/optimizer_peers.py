"""The same allocation problems put to PyPortfolioOpt, Riskfolio-Lib, skfolio and plain SLSQP, as their manuals say.

Each takes a method of ours, the returns (n_days, n_assets) and the limits in the words of ``tools.optimize.solve``, and
returns weights (n_assets,). Building the model is part of the work, as it is for a caller. ``NotOffered`` is what a
library has no such problem or limit for; what it raises itself is passed on.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tools.units import FloatArray

Peer = Callable[[str, FloatArray, Mapping[str, Any]], FloatArray]

CONFIDENCE = 0.95


class NotOffered(Exception):
    """The library has no such problem, or not with these limits."""


def _bounds(assets: int, limits: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    upper = np.minimum(np.full(assets, limits.get("max_weight", 1.0)), limits.get("max_weights", 1.0))
    return np.full(assets, limits.get("min_weight", 0.0)), upper


def _rows(returns: FloatArray, limits: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Write the group caps as rows @ w ≤ values."""
    groups = limits.get("group_caps", ())
    rows = np.array([np.broadcast_to(group[0], returns.shape[1]) for group in groups])
    return rows.reshape(-1, returns.shape[1]), np.array([float(group[1]) for group in groups])


def pyportfolioopt(method: str, returns: FloatArray, limits: Mapping[str, Any]) -> FloatArray:
    from pypfopt import EfficientCDaR, EfficientCVaR, EfficientFrontier

    _no_turnover_of_ratios(method, limits)
    means, bounds = returns.mean(axis=0), list(zip(*_bounds(returns.shape[1], limits), strict=True))
    if method in ("min_variance", "max_sharpe"):
        frontier = EfficientFrontier(means, np.cov(returns, rowvar=False).reshape(means.size, -1), bounds)
    elif method in ("min_cvar", "min_cdar"):
        model = EfficientCVaR if method == "min_cvar" else EfficientCDaR
        frontier = model(means, returns, beta=CONFIDENCE, weight_bounds=bounds)
    else:
        raise NotOffered(method)
    for row, value in zip(*_rows(returns, limits), strict=True):
        frontier.add_constraint(lambda w, row=row, value=value: row @ w <= value)
    if "turnover" in limits:
        import cvxpy

        frontier.add_constraint(lambda w: cvxpy.norm1(w - limits["previous"]) <= limits["turnover"])
    if "return_floor" in limits:
        if method == "max_sharpe":
            frontier.add_constraint(lambda w: means @ w >= limits["return_floor"])
        else:
            weights = frontier.efficient_return(limits["return_floor"])
            return np.array(list(weights.values()))
    name = {"min_variance": "min_volatility"}.get(method, method)
    weights = frontier.max_sharpe(risk_free_rate=0.0) if method == "max_sharpe" else getattr(frontier, name)()
    return np.array(list(weights.values()))


def _no_turnover_of_ratios(method: str, limits: Mapping[str, Any]) -> None:
    """Refuse a turnover of the best ratio: a constraint handed over is not rescaled with the weights, as it must be."""
    if method == "max_sharpe" and "turnover" in limits:
        raise NotOffered("a turnover of the best Sharpe ratio")


def riskfolio(method: str, returns: FloatArray, limits: Mapping[str, Any]) -> FloatArray:
    import pandas
    import riskfolio as library

    assets = returns.shape[1]
    if "turnover" in limits:
        raise NotOffered("turnover")
    if assets == 1:
        raise NotOffered("one asset")
    portfolio = library.Portfolio(returns=pandas.DataFrame(returns, columns=[f"a{n}" for n in range(assets)]))
    portfolio.alpha = 1.0 - CONFIDENCE
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    if method == "risk_parity":
        return _found(portfolio.rp_optimization(model="Classic", rm="MV", rf=0, b=None, hist=True))
    lower, upper = _bounds(assets, limits)
    rows, values = _rows(returns, limits)
    identity = np.eye(assets)
    portfolio.ainequality = np.vstack([rows, identity, -identity])
    portfolio.binequality = np.concatenate([values, upper, -lower])[:, None]
    if "return_floor" in limits:
        portfolio.lowerret = limits["return_floor"]
    measure = {"min_variance": "MV", "max_sharpe": "MV", "min_cvar": "CVaR", "min_evar": "EVaR", "min_cdar": "CDaR",
               "min_max_drawdown": "MDD"}[method]  # fmt: skip
    aim = "Sharpe" if method == "max_sharpe" else "MinRisk"
    return _found(portfolio.optimization(model="Classic", rm=measure, obj=aim, rf=0, hist=True))


def _found(weights: Any) -> FloatArray:
    """Return what Riskfolio-Lib found; it prints and returns None where it found nothing."""
    if weights is None:
        raise RuntimeError("returned None")
    return np.asarray(weights).ravel()


def skfolio(method: str, returns: FloatArray, limits: Mapping[str, Any]) -> FloatArray:
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk, ObjectiveFunction, RiskBudgeting

    _no_turnover_of_ratios(method, limits)
    if method == "risk_parity":
        return np.asarray(RiskBudgeting(risk_measure=RiskMeasure.VARIANCE).fit(returns).weights_)
    measure = {
        "min_variance": RiskMeasure.VARIANCE, "max_sharpe": RiskMeasure.VARIANCE, "min_cvar": RiskMeasure.CVAR,
        "min_evar": RiskMeasure.EVAR, "min_cdar": RiskMeasure.CDAR, "min_max_drawdown": RiskMeasure.MAX_DRAWDOWN,
    }[method]  # fmt: skip
    lower, upper = _bounds(returns.shape[1], limits)
    options: dict[str, Any] = {"min_weights": lower, "max_weights": upper}
    rows, values = _rows(returns, limits)
    if values.size:
        options |= {"left_inequality": rows, "right_inequality": values}
    if "return_floor" in limits:
        options["min_return"] = limits["return_floor"]
    if "turnover" in limits:
        options |= {"previous_weights": limits["previous"], "add_constraints": _turnover(limits)}
    aim = ObjectiveFunction.MAXIMIZE_RATIO if method == "max_sharpe" else ObjectiveFunction.MINIMIZE_RISK
    model = MeanRisk(objective_function=aim, risk_measure=measure, **options)
    return np.asarray(model.fit(returns).weights_)


def _turnover(limits: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Bound the sum of all changes: the library's own ``max_turnover`` bounds the change of each asset."""
    import cvxpy

    return lambda w: cvxpy.norm1(w - limits["previous"]) <= limits["turnover"]


def slsqp(method: str, returns: FloatArray, limits: Mapping[str, Any], tolerance: float | None = None) -> FloatArray:
    """Minimise the textbook figure itself by scipy's SLSQP from equal weights, with numerical slopes for the tails."""
    from scipy.optimize import minimize

    from benchmarks.yardstick import objectives

    assets, worth = returns.shape[1], objectives.OBJECTIVES[method]
    if method == "risk_parity":
        aim = _risk_shares(returns)
    elif method in ("min_variance", "max_sharpe"):
        aim = _moments(method, returns)
    else:
        aim = lambda w: worth(returns, w)  # noqa: E731
    constraints = [{"type": "eq", "fun": lambda w: w.sum() - 1.0}]
    if "return_floor" in limits:
        means = returns.mean(axis=0)
        constraints.append({"type": "ineq", "fun": lambda w: means @ w - limits["return_floor"]})
    for row, value in zip(*_rows(returns, limits), strict=True):
        constraints.append({"type": "ineq", "fun": lambda w, row=row, value=value: value - row @ w})
    bounds = list(zip(*_bounds(assets, limits), strict=True))
    options = {"maxiter": 1000} | ({} if tolerance is None else {"ftol": tolerance})
    found = minimize(
        aim, np.full(assets, 1.0 / assets), method="SLSQP", bounds=bounds, constraints=constraints, options=options
    )
    return np.asarray(found.x)


def _moments(method: str, returns: FloatArray) -> Callable[[FloatArray], float]:
    means, covariance = returns.mean(axis=0), np.cov(returns, rowvar=False)
    if method == "min_variance":
        return lambda w: float(w @ covariance @ w)
    return lambda w: -float(means @ w) / float(np.sqrt(w @ covariance @ w))


def _risk_shares(returns: FloatArray) -> Callable[[FloatArray], float]:
    covariance = np.cov(returns, rowvar=False)

    def unevenness(w: FloatArray) -> float:
        shares = w * (covariance @ w)
        return float(((shares / shares.sum() - 1.0 / w.size) ** 2).sum())

    return unevenness


def quietly(peer: Peer) -> Peer:
    """Call ``peer`` without its warnings and what it prints: what a library warns of is not ours to fix."""

    def call(method: str, returns: FloatArray, limits: Mapping[str, Any]) -> FloatArray:
        with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return peer(method, returns, limits)

    return call


LIBRARIES: dict[str, tuple[str, Peer]] = {
    "PyPortfolioOpt": ("pypfopt", quietly(pyportfolioopt)),
    "Riskfolio-Lib": ("riskfolio", quietly(riskfolio)),
    "skfolio": ("skfolio", quietly(skfolio)),
}


def offers(library: str, method: str) -> bool:
    """Tell whether a library has the problem at all."""
    return library != "PyPortfolioOpt" or method in ("min_variance", "max_sharpe", "min_cvar", "min_cdar")


def installed() -> dict[str, Peer]:
    """Return the libraries that this environment has."""
    present = {}
    for name, (module, peer) in LIBRARIES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                importlib.import_module(module)
            except ModuleNotFoundError:
                continue
        present[name] = peer
    return present
