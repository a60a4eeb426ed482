"""Least variance, mean against variance, and the largest Sharpe ratio: quadratic programs with a proven gap.

The bounds are linear: a volatility is convex, so σ(w) ≥ g·w with its gradient g = Σw*/σ* at any w* (Cauchy-Schwarz),
and the least g·w within the limits is known exactly (``tools.optimize.certificate``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tools.optimize.certificate import Support, binding, support
from tools.optimize.cones import (
    Cone,
    ConeProgram,
    Corner,
    Setting,
    by_active_set,
    first_good,
    multiples,
    polished,
    quadratic,
    run,
)
from tools.optimize.limits import Limits, Polytope
from tools.optimize.linear import SolverFailed
from tools.optimize.moments import Undefined, covariance_factor, covariance_matrix, scenario_probabilities
from tools.optimize.nearest import nearest, reached
from tools.optimize.problem import Problem, Solution
from tools.optimize.twins import Kinds, alike, merge_assets
from tools.units import FloatArray

CLOSE = 1e-9  # the gap, relative to the objective, at which no other setting is tried
_NOTHING = 1e-12  # of the typical volatility or of the largest mean: residue, not a property of the assets
_HEDGED = 1e-3  # of the typical volatility: below it, as where assets hedge each other, a gap is small against this
_TANGENTS = 8
_SETTLED = 1e-13  # relative change of τ
_TRIFLE = 1e-6
_AMISS = 1e-5  # of the money: by how much an answer may be moved into the limits, where its bound tells what that costs


class Point(NamedTuple):
    """Weights (n_assets,) with their objective, its proven bound, and the costs and support that prove it.

    ``size`` is what a gap is small against: the objective, or its larger part.
    """

    weights: FloatArray
    value: float
    bound: float
    size: float
    costs: FloatArray
    found: Support

    @property
    def gap(self) -> float:
        """Return the distance of the objective from its bound, whichever is larger."""
        return abs(self.value - self.bound)


@dataclass(frozen=True, slots=True)
class Book:
    """A problem with its twins merged: ``factor`` F with F'F = Σ, ``matrix`` Σ, and what returns them to the assets.

    ``thin`` says that Σ is singular for want of scenarios, and so goes to the solver as its factor.
    """

    limits: Limits
    merged: Limits
    kinds: Kinds
    factor: FloatArray
    matrix: FloatArray
    mean: FloatArray
    thin: bool

    def volatility(self, weights: FloatArray) -> float:
        """Return the volatility of the kinds' ``weights`` (n_kinds,)."""
        swings = np.einsum("ij,j->i", self.factor, weights)
        return float(np.sqrt((swings * swings).sum()))

    def gradient(self, weights: FloatArray) -> FloatArray:
        """Return Σw (n_kinds,)."""
        return np.asarray(np.einsum("ij,i->j", self.factor, np.einsum("ij,j->i", self.factor, weights)))

    def typical(self) -> float:
        """Return the median volatility of the assets that vary, 1 where none does."""
        volatility = np.sqrt(np.diag(self.matrix))
        return float(np.median(volatility[volatility > 0.0])) if (volatility > 0.0).any() else 1.0

    def support(self, costs: FloatArray, prices: FloatArray | None) -> tuple[Support, FloatArray]:
        """Bound the kinds' ``costs`` over the limits of all assets; the prices are those of the kinds' rows."""
        own = self.kinds.each(costs)
        return support(self.limits, own, None if prices is None else self.prices(prices)), own

    def tightest(self, costs: FloatArray, prices: FloatArray, weights: FloatArray) -> tuple[Support, FloatArray]:
        """Do so with the ``prices``, or where these leave a gap to the cost of the ``weights``, with HiGHS's."""
        found, own = self.support(costs, prices)
        gap = float((costs * weights).sum()) - found.value
        if not prices.size or gap <= CLOSE * float((np.abs(costs) * weights).sum()):
            return found, own
        return max(found, support(self.limits, own), key=lambda proof: proof.value), own

    def prices(self, prices: FloatArray) -> FloatArray:
        """Give every asset the price of the turnover row of its kind."""
        if self.limits.turnover is None:
            return prices
        own = prices.size - self.kinds.first.size
        return np.concatenate([prices[:own], self.kinds.each(prices[own:])])


def read_book(problem: Problem) -> Book:
    """Merge twins and factor the covariance. Raises what ``covariance_factor`` does."""
    merged, kinds = merge_assets(problem)
    factor = covariance_factor(merged)
    thin = factor.shape[0] <= factor.shape[1] and problem.covariance is None
    return Book(problem.limits, merged.limits, kinds, factor, covariance_matrix(merged, factor), merged.expected, thin)


def min_variance(problem: Problem) -> Solution:
    """Return the weights of the least variance; ``value`` is their volatility (ddof 1), in the unit of the returns.

    Markowitz, "Portfolio selection" (J. Finance 7, 1952). The covariance is ``problem.covariance``, or the scenarios'.
    An asset that does not vary has no variance here, and takes what its limits leave it: a workflow that must not
    believe that passes ``shrunk_covariance``. Raises ``Undefined`` for a single scenario without a covariance,
    ``SolverFailed`` where clarabel comes to no answer.
    """
    book = read_book(problem)
    if not book.factor.any():
        even = nearest(np.full(problem.returns.shape[1], 1.0 / problem.returns.shape[1]), problem.limits)
        return _all_still(problem, even)
    best, note = _solved(book, np.zeros(book.mean.size), lambda corner: _least_volatility(book, corner))
    return _solution("min_variance", "volatility, least", best, book, note)


def _all_still(problem: Problem, even: FloatArray) -> Solution:
    """Say that all weights tie, with the volatility of the ``even`` ones (n_assets,): residue, if not nothing."""
    residue, exact = 0.0, True
    if problem.covariance is None:
        chances, earned = scenario_probabilities(problem), (problem.returns * even).sum(axis=1)
        away = earned - (chances * earned).sum()
        residue = float(np.sqrt((chances * away * away).sum() / (1.0 - (chances * chances).sum())))
        exact = alike(problem.returns[chances > 0.0])
    note = f"no asset varies{'' if exact else ' by more than is taken for rounding'}: all weights tie"
    return Solution("min_variance", even, "volatility, least", value=residue, bound=0.0, exact=exact, note=note)


def mean_variance(problem: Problem) -> Solution:
    """Return the weights of the largest μ·w − ½ λ w'Σw; λ is ``problem.risk_aversion``, > 0.

    Means, covariance and risk are those of one scenario's span, as is λ: the best mix of an asset and cash has μ/(λσ²)
    of the asset. Raises ValueError for another λ, and as ``min_variance`` does.
    """
    aversion = problem.risk_aversion
    if not (np.isfinite(aversion) and aversion > 0.0):
        raise ValueError(f"risk_aversion must be above 0, not {aversion!r}")
    book = read_book(problem)
    centre = float(np.median(book.mean))
    wanted = (centre - book.mean) / aversion
    best, note = _solved(book, wanted, lambda corner: _most_utility(book, corner, aversion))
    return _solution("mean_variance", f"mean less {aversion:g}/2 variance, largest", best, book, note, maximised=True)


def max_sharpe(problem: Problem) -> Solution:
    """Return the weights of the largest Sharpe ratio (μ − r)·w / σ(w) of one scenario's span, r the risk-free rate.

    Solved by active sets as the least ½ y'Σy − (μ − r)·y over all multiples y of the weights, or where these do not
    settle as the least y'Σy with (μ − r)·y = 1 and the limits times κ = Σy, w = y/κ (Cornuejols & Tütüncü,
    "Optimization methods in finance", 2007, § 8.2); then polished: the optimum is that of ½ w'Σw − τ (μ − r)·w with its
    own τ = σ²/((μ − r)·w). Raises ``Undefined`` where no weights within the limits earn more than the risk-free rate
    (the ratio would reward risk), or where some that do have next to no volatility (it has no largest value); the rest
    as ``min_variance`` does.
    """
    book = read_book(problem)
    excess = book.mean - problem.risk_free
    most = -book.support(-excess, None)[0].value
    if most <= _NOTHING * max(float(np.abs(book.mean).max()), abs(problem.risk_free)):
        raise Undefined(f"no weights within the limits earn more than the risk-free rate (at most {most:.2e} more)")
    typical, only = book.typical(), _only(book.merged)

    def judge(start: Corner) -> Point:
        return _largest_ratio(book, excess, _tangent(book, excess / most, start, typical), most)

    if only is not None:
        best, note = _largest_ratio(book, excess, only, most), None
    else:
        best, note = _first_close(
            _tangent_quickly(book, excess / most, typical),
            judge,
            lambda setting: judge(_tangent_start(book, excess / most, typical, setting)),
        )
    if not np.isfinite(best.bound):
        raise Undefined("weights that earn more than the risk-free rate have next to no volatility: no largest ratio")
    return _solution("max_sharpe", "Sharpe ratio of one scenario, largest", best, book, note, maximised=True)


# --- least variance and utility --------------------------------------------------------------------------------------


def _solved(book: Book, linear: FloatArray, judge: Callable[[Corner], Point]) -> tuple[Point, str | None]:
    """Minimise ½ w'Σw + linear·w in units of the typical volatility, or of the last answer's where that fell short."""
    if (only := _only(book.merged)) is not None:
        return judge(only), None
    least = float(np.sqrt(np.abs(linear).max()))
    scales = [max(book.typical(), least)]

    def scaled(corner: Corner, unit: float) -> Point:
        return judge(Corner(corner.solution, corner.prices * unit**2))

    def attempt(setting: Setting) -> Point:
        unit = scales[-1] if setting.rescale else scales[0]
        rows = book.factor / unit if book.thin else None
        corner = quadratic(book.matrix / unit**2, linear / unit**2, book.merged.polytope(), setting, rows)
        point = scaled(corner, unit)
        attained = book.volatility(reached(corner.solution[: book.mean.size], book.merged, _AMISS))
        scales.append(max(attained, least, _NOTHING * scales[0]))
        return point

    unit, quick = scales[0], None
    if unit > least and not book.thin:  # or the means decide, and hold almost all weights at a limit
        quick = by_active_set(book.matrix / unit**2, linear / unit**2, book.merged.polytope())
    return _first_close(quick, lambda corner: scaled(corner, unit), attempt)


def _only(limits: Limits) -> Corner | None:
    """Return the only weights that the bounds leave, if they leave one: nothing is to be solved, all rows are free."""
    sole = limits.sole()
    return None if sole is None else Corner(sole, np.zeros(limits.polytope().values.size))


def _first_close(
    quick: Corner | None, judge: Callable[[Corner], Point], attempt: Callable[[Setting], Point]
) -> tuple[Point, str | None]:
    """Return what the ``quick`` corner proves, where that is close, or the first close one of the solver's settings."""
    if quick is not None:
        with suppress(SolverFailed):
            point = judge(quick)
            if _close(point):
                return point, None
    return first_good(attempt, _close, lambda point: point.gap)


def _close(point: Point) -> bool:
    return point.gap <= CLOSE * point.size


def _least_volatility(book: Book, corner: Corner) -> Point:
    """Prove a bound from a corner of ½ w'Σw; its prices are those of the variance, σ times those of the volatility."""
    weights = reached(corner.solution[: book.mean.size], book.merged, _AMISS)
    volatility = book.volatility(weights)
    over = volatility if volatility > 0.0 else 1.0
    found, costs = book.tightest(book.gradient(weights) / over, corner.prices / over, weights)
    bound = min(volatility, max(0.0, found.value))
    size = max(volatility, _HEDGED * book.typical())
    return Point(book.kinds.share(weights), volatility, bound, size, costs, found)


def _most_utility(book: Book, corner: Corner, aversion: float) -> Point:
    """Prove a bound from a corner of ½ w'Σw − μ·w/λ: a concave function lies below its tangents."""
    weights = reached(corner.solution[: book.mean.size], book.merged, _AMISS)
    earned, risk = float((book.mean * weights).sum()), aversion / 2.0 * book.volatility(weights) ** 2
    value = earned - risk
    slope = aversion * book.gradient(weights) - book.mean
    found, costs = book.tightest(slope, corner.prices * aversion, weights)
    bound = value + float((slope * weights).sum()) - found.value
    return Point(
        book.kinds.share(weights),
        value,
        max(value, bound),
        float((np.abs(book.mean) * weights).sum()) + risk,
        costs,
        found,
    )


# --- Sharpe ratio ----------------------------------------------------------------------------------------------------


def _tangent_start(book: Book, excess: FloatArray, unit: float, setting: Setting) -> Corner:
    """Solve for y and κ, both of about 1, and return w = y/κ with the prices of the rows."""
    polytope = book.merged.polytope()
    answer = run(_homogeneous(polytope, book, excess, unit), setting)
    count, total = polytope.lower.size, float(answer.solution[polytope.lower.size])
    if total <= 0.0:
        raise SolverFailed(f"{setting.name}: no money was placed")
    skipped = 2 + (book.factor.shape[0] if book.thin else 0)
    prices = answer.prices[skipped : skipped + polytope.values.size] / total
    return Corner(answer.solution[:count] / total, prices)


def _tangent_quickly(book: Book, excess: FloatArray, unit: float) -> Corner | None:
    """Minimise ½ y'Σy − excess·y over all multiples y of the weights: y is a multiple of those of the largest ratio."""
    if book.thin:
        return None
    polytope = book.merged.polytope()
    found = by_active_set(book.matrix / unit**2, -excess, multiples(polytope), budget=False)
    if found is None or (total := float(found.solution.sum())) <= 0.0:
        return None
    return Corner(found.solution / total, found.prices[: polytope.values.size] / total)


def _homogeneous(polytope: Polytope, book: Book, excess: FloatArray, unit: float) -> ConeProgram:
    """Put min ½ y'Σy, excess·y = 1, Σy = κ, limits times κ, into rows; unknowns y (purchases), κ, and Fy if thin."""
    count, assets = polytope.lower.size, polytope.assets
    factor = book.factor / unit if book.thin else np.zeros((0, assets))
    extra = factor.shape[0]
    capped = np.flatnonzero(polytope.upper < 1.0)
    identity = np.eye(count)
    limits = np.vstack([polytope.rows, identity[capped], -identity])
    values = np.concatenate([polytope.values, polytope.upper[capped], -polytope.lower])
    rows = np.zeros((2 + extra + values.size, count + 1 + extra))
    rows[0, :assets] = excess
    rows[1, :assets], rows[1, count] = 1.0, -1.0
    rows[2 : 2 + extra, :assets] = factor
    rows[2 : 2 + extra, count + 1 :] = -np.eye(extra)
    rows[2 + extra :, :count], rows[2 + extra :, count] = limits, -values
    whole = np.zeros((rows.shape[1], rows.shape[1]))
    if book.thin:
        whole[count + 1 :, count + 1 :] = np.eye(extra)
    else:
        whole[:assets, :assets] = book.matrix / unit**2
    wanted = np.zeros(rows.shape[0])
    wanted[0] = 1.0
    cones = (Cone("zero", 2 + extra), Cone("nonnegative", values.size))
    return ConeProgram(whole, np.zeros(rows.shape[1]), rows, wanted, cones)


def _tangent(book: Book, excess: FloatArray, start: Corner, unit: float) -> Corner:
    """Polish the optimum of ½ w'Σw − τ excess·w, with τ moved by the secant method until it is that optimum's own."""
    polytope, matrix = book.merged.polytope(), book.matrix / unit**2
    best, tau = start, _own(book, excess, start, unit)
    tried: list[tuple[float, float]] = []  # τ, and by how much that of its optimum differs
    for _ in range(_TANGENTS):
        if tau <= 0.0:
            break
        best = polished(matrix, -tau * excess, polytope, best.solution, best.prices)
        tried.append((tau, _own(book, excess, best, unit) - tau))
        if abs(tried[-1][1]) <= _SETTLED * tau:
            break
        tau = _secant(*tried[-2:])
    return best


def _own(book: Book, excess: FloatArray, corner: Corner, unit: float) -> float:
    """Return τ = σ²/(excess·w), 0 where nothing is earned."""
    weights = corner.solution[: excess.size]
    earned = float((excess * weights).sum())
    return (book.volatility(weights) / unit) ** 2 / earned if earned > 0.0 else 0.0


def _secant(last: tuple[float, float], now: tuple[float, float] | None = None) -> float:
    """Return where the difference would be 0 if it were linear in τ; with a single try, τ moved by it."""
    if now is None or now[1] == last[1]:
        tau, off = now or last
        return tau + off
    return now[0] - now[1] * (now[0] - last[0]) / (now[1] - last[1])


def _largest_ratio(book: Book, excess: FloatArray, corner: Corner, most: float) -> Point:
    """Prove a bound: U holds where (U g − excess)·w ≥ 0 for all w, since g·w ≤ σ(w) for g = Σw*/σ*.

    Where that misses by float residue it may miss for any U: ``_bound_by_volatility`` then proves it another way.
    """
    weights = reached(corner.solution[: excess.size], book.merged, _AMISS)
    volatility, earned = book.volatility(weights), float((excess * weights).sum())
    if volatility <= _NOTHING * book.typical():
        raise Undefined("weights that earn more than the risk-free rate have no volatility: the ratio has no bound")
    ratio, gradient = earned / volatility, book.gradient(weights) / volatility
    prices = corner.prices * book.typical() ** 2 / volatility**2 * max(ratio, 0.0)
    own, limits = book.prices(prices), book.limits

    def costs(above: float) -> FloatArray:
        return book.kinds.each(((ratio + above) * gradient - excess) / volatility)

    first = support(limits, costs(0.0), own)
    if own.size and -first.value > CLOSE * ratio:
        first = max(first, support(limits, costs(0.0)), key=lambda proof: proof.value)
    above = max(0.0, -first.value)
    found = support(limits, costs(above), first.prices)
    if found.value >= 0.0:
        return Point(book.kinds.share(weights), ratio, ratio + above, abs(ratio), costs(above), found)
    bound = _bound_by_volatility(book, ratio, above * volatility, most)
    return Point(book.kinds.share(weights), ratio, bound, abs(ratio), costs(0.0), first)


def _bound_by_volatility(book: Book, ratio: float, short: float, most: float) -> float:
    """Bound (μ − r)·w/σ(w) where (μ − r)·w ≤ ratio σ(w) + short for all w: by the least volatility that there is.

    Where some mix has none, the bound is that of the weights that earn a millionth of ``most`` or more.
    """
    least = _solved(book, np.zeros(book.mean.size), lambda corner: _least_volatility(book, corner))[0].bound
    if least > _NOTHING * book.typical():
        return ratio + short / least
    part = short / (_TRIFLE * most)
    return ratio / (1.0 - part) if part < 1.0 else np.inf


def _solution(
    method: str, objective: str, best: Point, book: Book, note: str | None, maximised: bool = False
) -> Solution:
    return Solution(
        method,
        best.weights,
        objective,
        maximised=maximised,
        value=best.value,
        bound=best.bound,
        binding=binding(book.limits, best.weights, best.found, best.costs),
        note=note,
    )
