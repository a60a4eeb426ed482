"""Compare each figure with those of independent libraries: ``python -m benchmarks.parity``, in the peers' environment.

Many seeded series of several kinds and lengths go through our function and the peer's. Where definitions differ, the
peer's figure is turned into ours and the row says how. An error is relative to the peer's figure, or to the size of the
series' returns where the figure itself may vanish. The optimisers follow (``benchmarks.optimizer_parity``). Exits 1
when a tolerance is broken, 2 when a peer is not installed.
"""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks import optimizer_parity
from tools.metrics import compute_metrics
from tools.metrics.sharpe import probabilistic_sharpe
from tools.risk import measures
from tools.units import DAYS_PER_YEAR, FloatArray, daily_return

RATE = 0.03
THETA = daily_return(RATE)
LEVELS = (0.5, 0.9, 0.95, 0.975, 0.99)
LENGTHS = (30, 100, 365, 1095)
SERIES = 12  # of each kind and length
PEERS = ("skfolio", "empyrical", "quantstats")


class Panel(NamedTuple):
    """Series (n_series, n_days) of one kind and length, and a benchmark (n_days,)."""

    returns: FloatArray
    benchmark: FloatArray


@dataclass(frozen=True)
class Parity:
    """One figure and its peer. ``ours`` takes a panel, ``theirs`` the peer's module and one series of it.

    ``scale``: errors are relative to at least this, 0 for the peer's figure alone, None for the largest return.
    """

    figure: str
    peer: str
    tolerance: float
    ours: Callable[[Panel], FloatArray]
    theirs: Callable[[Any, FloatArray, FloatArray], float]
    scale: float | None = 0.0
    mapping: str = ""


@dataclass(frozen=True)
class Outcome:
    """The largest errors over the series that both sides have a figure for."""

    series: int
    absolute: float
    relative: float
    met: bool


def panels() -> Iterator[Panel]:
    """Yield normal days, fat tails, skewed days, a rare crash, and carry whose rate drifts, at each length."""
    kinds: tuple[Callable[[np.random.Generator, tuple[int, int]], FloatArray], ...] = (
        lambda random, shape: random.normal(5e-4, 0.02, shape),
        lambda random, shape: np.clip(random.standard_t(3, shape) * 0.01, -0.9, None),
        lambda random, shape: 0.02 - random.gamma(2.0, 0.012, shape),
        lambda random, shape: random.normal(3e-4, 1e-4, shape) - 0.3 * (random.random(shape) < 0.01),
        lambda random, shape: 2e-4 + 1e-5 * np.abs(np.cumsum(random.normal(size=shape), axis=1)) - 1e-4,
    )
    for kind, days in ((kind, days) for kind in range(len(kinds)) for days in LENGTHS):
        random = np.random.default_rng([kind, days])
        yield Panel(kinds[kind](random, (SERIES, days)), random.normal(1e-4, 0.01, days))


def _metric(name: str) -> Callable[[Panel], FloatArray]:
    return lambda panel: compute_metrics(panel.returns, panel.benchmark, RATE)[name]


def _skfolio_sortino(peer: Any, returns: FloatArray) -> float:
    below = peer.semi_deviation(returns, min_acceptable_return=THETA, biased=False)
    days = returns.size
    return float((returns.mean() - THETA) / (below * math.sqrt((days - 1) / days)) * math.sqrt(DAYS_PER_YEAR))


def _loss_rows(level: float) -> Iterator[Parity]:
    """Compare the loss measures at one level."""
    at = f" {level:.1%}"
    yield Parity(
        f"VaR{at}", "skfolio", 1e-12,
        lambda panel: measures.historical_var(panel.returns, level),
        lambda peer, r, _: peer.value_at_risk(r, level), None,
    )  # fmt: skip
    yield Parity(
        f"CVaR{at}", "skfolio", 1e-12,
        lambda panel: measures.conditional_value_at_risk(panel.returns, level),
        lambda peer, r, _: peer.cvar(r, level), None,
    )  # fmt: skip
    yield Parity(
        f"EVaR{at}", "skfolio", 1e-8,
        lambda panel: measures.entropic_value_at_risk(panel.returns, level),
        lambda peer, r, _: peer.evar(r, level), None,
    )  # fmt: skip
    yield Parity(
        f"CDaR{at}", "skfolio", 1e-12,
        lambda panel: measures.conditional_drawdown_at_risk(panel.returns, level),
        lambda peer, r, _: peer.cdar(peer.get_drawdowns(r, compounded=False), level), None, "uncompounded",
    )  # fmt: skip
    yield Parity(
        f"normal VaR{at}", "quantstats", 1e-12,
        lambda panel: measures.normal_var(panel.returns, level),
        lambda peer, r, _: -peer.value_at_risk(r, confidence=level, prepare_returns=False), None, "its value_at_risk",
    )  # fmt: skip
    yield Parity(
        f"normal shortfall{at}", "quantstats", 1e-12,
        lambda panel: measures.normal_expected_shortfall(panel.returns, level),
        lambda peer, r, _: -peer.conditional_value_at_risk(r, confidence=level, prepare_returns=False), None,
        "its conditional_value_at_risk, by default parametric",
    )  # fmt: skip


def _skfolio_rows() -> Iterator[Parity]:
    year = DAYS_PER_YEAR
    yield Parity(
        "max drawdown", "skfolio", 1e-12, lambda panel: measures.max_drawdown(panel.returns),
        lambda peer, r, _: peer.max_drawdown(peer.get_drawdowns(r, compounded=True)), 1e-3, "compounded",
    )  # fmt: skip
    yield Parity(
        "volatility", "skfolio", 1e-12, _metric("annual_volatility"),
        lambda peer, r, _: peer.standard_deviation(r) * math.sqrt(year), 0.0, "x sqrt(365)",
    )  # fmt: skip
    yield Parity(
        "Sharpe", "skfolio", 1e-10, _metric("sharpe"),
        lambda peer, r, _: (r.mean() - THETA) / peer.standard_deviation(r) * math.sqrt(year), 1.0, "x sqrt(365)",
    )  # fmt: skip
    yield Parity(
        "Sortino", "skfolio", 1e-10, _metric("sortino"), lambda peer, r, _: _skfolio_sortino(peer, r), 1.0,
        "its T - 1 turned into T",
    )  # fmt: skip
    yield Parity("skewness", "skfolio", 1e-9, _metric("skewness"), lambda peer, r, _: peer.skew(r), 1.0)
    yield Parity(
        "kurtosis", "skfolio", 1e-9, _metric("kurtosis"), lambda peer, r, _: peer.kurtosis(r) - 3.0, 1.0,
        "its raw kurtosis less 3",
    )  # fmt: skip
    for threshold in (0.0, 0.05):
        yield Parity(
            f"PSR over {threshold:g} a day", "skfolio", 1e-12,
            lambda panel, t=threshold: probabilistic_sharpe(panel.returns, t, RATE),  # type: ignore[misc]
            lambda peer, r, _, t=threshold: peer.probabilistic_sharpe_ratio(r, t, THETA), 1.0,  # type: ignore[misc]
        )  # fmt: skip


def _empyrical_rows() -> Iterator[Parity]:
    year = DAYS_PER_YEAR
    rows: tuple[tuple[str, float, Callable[[Any, FloatArray, FloatArray], float], float, str], ...] = (
        ("annual_return", 1e-10, lambda p, r, _: p.annual_return(r, annualization=year), 1.0, ""),
        ("annual_volatility", 1e-12, lambda p, r, _: p.annual_volatility(r, annualization=year), 0.0, ""),
        ("sharpe", 1e-10, lambda p, r, _: p.sharpe_ratio(r, THETA, annualization=year), 1.0, ""),
        ("sortino", 1e-10, lambda p, r, _: p.sortino_ratio(r, THETA, annualization=year), 1.0, ""),
        ("max_drawdown", 1e-12, lambda p, r, _: -p.max_drawdown(r), 1e-3, "its sign turned"),
        ("calmar", 1e-9, lambda p, r, _: p.calmar_ratio(r, annualization=year), 1.0, ""),
        ("omega", 1e-10, lambda p, r, _: p.omega_ratio(r, required_return=RATE, annualization=year), 1.0, ""),
        ("beta", 1e-10, lambda p, r, b: p.beta_aligned(r, b, THETA), 1.0, ""),
        (
            "alpha", 1e-10,
            lambda p, r, b: ((1.0 + p.alpha_aligned(r, b, THETA, annualization=year)) ** (1.0 / year) - 1.0) * year,
            1.0, "its compounding undone",
        ),
    )  # fmt: skip
    for name, tolerance, theirs, scale, mapping in rows:
        yield Parity(name.replace("_", " "), "empyrical", tolerance, _metric(name), theirs, scale, mapping)


def rows() -> list[Parity]:
    """Return every comparison, in the order of the table."""
    losses = [row for level in LEVELS for row in _loss_rows(level)]
    return [*losses, *_skfolio_rows(), *_empyrical_rows()]


def compare(row: Parity, peer: Any, series: list[Panel]) -> Outcome:
    """Return the largest errors of a row; a figure that ours leaves undefined, by its rules, is not compared.

    A figure that only ours has breaks the row, and so does one without a single series.
    """
    compared, absolute, relative = 0, 0.0, 0.0
    for panel in series:
        for ours, returns in zip(row.ours(panel), panel.returns, strict=True):
            if math.isnan(ours):
                continue
            theirs = float(row.theirs(peer, _as_peer_wants(returns, row.peer), panel.benchmark))
            scale = float(np.abs(returns).max()) if row.scale is None else row.scale
            error = abs(float(ours) - theirs) if math.isfinite(theirs) else math.inf
            compared += 1
            absolute = max(absolute, error)
            relative = max(relative, error / max(abs(theirs), scale)) if error else relative
    return Outcome(compared, absolute, relative, compared > 0 and relative <= row.tolerance)


def _as_peer_wants(returns: FloatArray, peer: str) -> Any:
    if peer != "quantstats":
        return returns
    import pandas

    return pandas.Series(returns)


def _load(peer: str) -> Any:
    """Return the module that holds a peer's measures, or None if it is not installed."""
    names = {"skfolio": "skfolio.measures", "empyrical": "empyrical", "quantstats": "quantstats.stats"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = importlib.import_module(names[peer])
        except ModuleNotFoundError:
            return None
    if peer == "skfolio":  # PSR and drawdowns are not among what the package itself names
        return importlib.import_module("skfolio.measures._measures")
    return module


def main() -> int:
    """Print one line for each figure and peer."""
    peers = {name: _load(name) for name in PEERS}
    for name in (name for name, module in peers.items() if module is None):
        print(f"{name} is not installed here: its rows are left out. `make parity` sets the peers up.")
    series = list(panels())
    print(f"{len(series) * SERIES} series of {', '.join(map(str, LENGTHS))} days, each kind seeded")
    print(f"{'figure':28} {'peer':11} {'series':>6} {'absolute':>9} {'relative':>9} {'tolerance':>9} verdict  mapping")
    broken = 0
    for row in rows():
        if peers[row.peer] is None:
            continue
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a peer warns of is not ours to fix
            found = compare(row, peers[row.peer], series)
        broken += not found.met
        verdict = "equal" if found.met else "BROKEN"
        print(
            f"{row.figure:28} {row.peer:11} {found.series:6d} {found.absolute:9.1e} {found.relative:9.1e} "
            f"{row.tolerance:9.0e} {verdict:8} {row.mapping}".rstrip(),
            flush=True,
        )
    if broken:
        print(f"{broken} tolerances are broken")
    return 1 if broken else 2 if None in peers.values() else 0


def everything() -> int:
    """Compare the figures, then the optimisers; return the worse of the two exit codes."""
    codes = (main(), optimizer_parity.main())
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(everything())
