"""The optimisers against three libraries, plain SLSQP and the bare solver, on one table of one run.

365 days, long-only, caps of 25 / 15 / 5 % at 10 / 50 / 200 assets; books with price risk (daily volatility 1e-3 and up)
and books that only accrue (1e-4). A gap is against the best feasible weights that anybody found, the reference solvers
of the tests included; all are judged by one evaluator (``benchmarks.yardstick``), which shares no code with ours.
"""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.measure import Case, Measured, Unavailable, interleaved

DAYS = 365
CAPS = {10: 0.25, 50: 0.15, 200: 0.05}
ROUNDS = {10: 5, 50: 5, 200: 3}
BOOKS = ("price", "carry")
OURS, LIMIT = "ours", "limit"
FEASIBLE = 1e-9
SLOWEST = 50  # assets up to which SLSQP is also tried with a tight tolerance
LINEAR = ("min-CVaR95", "CVaR95, mean>=q60", "min-CDaR95", "min-max-drawdown")
METHODS = {
    "min-variance": "min_variance",
    "max-Sharpe": "max_sharpe",
    "min-CVaR95": "min_cvar",
    "CVaR95, mean>=q60": "min_cvar",
    "min-EVaR95": "min_evar",
    "min-CDaR95": "min_cdar",
    "min-max-drawdown": "min_max_drawdown",
    "risk parity": "risk_parity",
}


class Problem(NamedTuple):
    """One problem of the table: returns (n_days, n_assets) and limits in the words of ``tools.optimize.solve``."""

    name: str
    book: str
    returns: Any
    limits: Mapping[str, Any]

    @property
    def method(self) -> str:
        return METHODS[self.name]

    @property
    def assets(self) -> int:
        return int(self.returns.shape[1])


@dataclass(frozen=True)
class Entry:
    """What one implementation made of one problem; the objective and what follows from it are None for a limit."""

    problem: Problem
    who: str
    seconds: float
    value: float | None = None
    gap: float | None = None
    violation: float | None = None
    certified: float | None = None
    failure: str | None = None


@dataclass
class _Attempt:
    """An implementation at work: what it answered last, or why it did not."""

    who: str
    act: Callable[[], Any]
    answer: Any = None
    failure: str | None = None
    seconds: float = 0.0

    @property
    def weights(self) -> Any:
        """Return the weights (n_assets,) of an answer: ours come with a proof."""
        return getattr(self.answer, "weights", self.answer)

    def __call__(self) -> None:
        try:
            self.answer = self.act()
        except Exception as error:  # noqa: BLE001 -- a library may fail as it likes: the row says how
            self.failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:70]


def problems() -> Iterator[Problem]:
    """Yield the problems, books of one size together."""
    import numpy as np

    from benchmarks.yardstick import problems as generator

    for book in BOOKS:
        for assets, cap in CAPS.items():
            random = np.random.default_rng([BOOKS.index(book), assets])
            draw = generator.price_book if book == "price" else generator.carry_book
            returns = draw(random, assets, DAYS)
            floor = float(np.quantile(returns.mean(axis=0), 0.6))
            for name in METHODS:
                limits: dict[str, Any] = {} if name == "risk parity" else {"max_weight": cap}
                if name == "CVaR95, mean>=q60":
                    limits["return_floor"] = floor
                yield Problem(name, book, returns, limits)


def entries() -> list[Entry]:
    """Measure the whole table, once."""
    return [entry for place in range(len(_listed())) for entry in _measured(place)]


@functools.cache
def _listed() -> tuple[Problem, ...]:
    """Draw the problems, import what solves them, and spare the collector the libraries: each lap collects."""
    from benchmarks import optimizer_peers as peers

    peers.installed()
    gc.freeze()
    return tuple(problems())


@functools.cache
def _measured(place: int) -> list[Entry]:
    """Measure one problem, once."""
    problem = _listed()[place]
    attempts = _timed(problem)
    answered = [each for each in attempts if each.answer is not None]
    best = _best(problem, [each.weights for each in answered])
    failed = [Entry(problem, each.who, each.seconds, failure=each.failure) for each in attempts if each.answer is None]
    limit = interleaved(_limit(problem), rounds=ROUNDS[problem.assets])[0]
    return [*(_judged(problem, each, best) for each in answered), *failed, Entry(problem, LIMIT, limit)]


def _timed(problem: Problem) -> list[_Attempt]:
    """Let everybody solve a problem: in turns, but for those that take seconds, which run once."""
    quick, slow = _attempts(problem)
    for attempt, seconds in zip(quick, interleaved(*quick, rounds=ROUNDS[problem.assets]), strict=True):
        attempt.seconds = seconds
    for attempt in slow:
        gc.collect()
        start = time.perf_counter()
        attempt()
        attempt.seconds = time.perf_counter() - start
    return [*quick, *slow]


def _judged(problem: Problem, attempt: _Attempt, best: Any) -> Entry:
    """Evaluate an answer against the best weights that are known."""
    from benchmarks.yardstick import objectives

    sign = -1.0 if problem.method == "max_sharpe" else 1.0
    scale = 1.0 if problem.method == "risk_parity" else objectives.scale(problem.method, problem.returns, best)
    value, least = (objectives.OBJECTIVES[problem.method](problem.returns, at) for at in (attempt.weights, best))
    proof = getattr(attempt.answer, "gap", None)
    return Entry(
        problem,
        attempt.who,
        attempt.seconds,
        value,
        sign * (value - least) / scale,
        objectives.violation(attempt.weights, problem.limits, problem.returns),
        None if proof is None else proof / scale,
    )


def _attempts(problem: Problem) -> tuple[list[_Attempt], list[_Attempt]]:
    """Return ours, the libraries, and SLSQP; those that take seconds run but once, in the second list."""
    from benchmarks import optimizer_peers as peers
    from tools.optimize import solve

    arguments = (problem.method, problem.returns, problem.limits)
    quick = [_Attempt(OURS, lambda: solve(problem.returns, problem.method, **problem.limits))]
    for who, peer in peers.installed().items():
        if peers.offers(who, problem.method):
            quick.append(_Attempt(who, functools.partial(peer, *arguments)))
    plain = peers.quietly(peers.slsqp)
    tight = peers.quietly(functools.partial(peers.slsqp, tolerance=1e-12))
    slow = [_Attempt("SLSQP", functools.partial(plain, *arguments))]
    if problem.assets <= SLOWEST:
        slow.append(_Attempt("SLSQP ftol=1e-12", functools.partial(tight, *arguments)))
    if problem.assets > min(CAPS):
        return quick, slow
    return [*quick, *slow], []


def _best(problem: Problem, candidates: list[Any]) -> Any:
    """Return the feasible weights of the best objective: of the candidates and what the reference finds."""
    from benchmarks.yardstick import objectives, reference

    if problem.method != "risk_parity":
        candidates = [reference.bracket(problem.method, problem.returns, problem.limits).weights, *candidates]
    sign = -1.0 if problem.method == "max_sharpe" else 1.0
    kept = [at for at in candidates if objectives.violation(at, problem.limits, problem.returns) <= FEASIBLE]
    return min(kept, key=lambda at: sign * objectives.OBJECTIVES[problem.method](problem.returns, at))


def _limit(problem: Problem) -> Callable[[], object]:
    """Return the least that has to be done: the linear program's solution by HiGHS, its model built, or one Newton
    step (for EVaR with the Hessian that it needs), of which the other methods take several.
    """
    import numpy as np

    covariance = np.atleast_2d(np.cov(problem.returns, rowvar=False)) + 1e-12 * np.eye(problem.assets)
    if problem.name in LINEAR:
        return _bare_highs(problem)
    if problem.method == "min_evar":
        chances = np.full(DAYS, 1.0 / DAYS)[:, None]
        return lambda: np.linalg.cholesky(problem.returns.T @ (chances * problem.returns) + covariance)
    return lambda: np.linalg.cholesky(covariance)


def _bare_highs(problem: Problem) -> Callable[[], object]:
    """Return a run of HiGHS on Rockafellar and Uryasev's program, or that of the drawdowns, with its model loaded."""
    import highspy
    import numpy as np

    model = highspy.HighsModel()
    cost, rows, values, upper, free = _program(problem)
    infinity = highspy.kHighsInf
    model.lp_.num_col_, model.lp_.num_row_ = cost.size, values.size + 1
    model.lp_.col_cost_ = cost
    model.lp_.col_lower_ = np.where(free, -infinity, 0.0)
    model.lp_.col_upper_ = np.where(np.isinf(upper), infinity, upper)
    model.lp_.row_lower_ = np.append(np.full(values.size, -infinity), 1.0)
    model.lp_.row_upper_ = np.append(values, 1.0)
    model.lp_.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.lp_.a_matrix_.start_ = rows.indptr
    model.lp_.a_matrix_.index_ = rows.indices
    model.lp_.a_matrix_.value_ = rows.data

    def run() -> None:
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.passModel(model)
        solver.run()

    return run


def _program(problem: Problem) -> tuple[Any, Any, Any, Any, Any]:
    """Write a problem's linear program in w, ζ, u (n_days,) and, for drawdowns, d (n_days,), in returns of about 1.

    Returns the cost, the rows (the budget's last), their values, the upper bounds, and which unknowns are free.
    """
    import numpy as np
    from scipy import sparse

    assets, days = problem.assets, DAYS
    scaled = problem.returns / problem.returns.std()
    one, level = sparse.eye(days), np.ones((days, 1))
    drawdown = problem.method != "min_cvar"
    worst = problem.method == "min_max_drawdown"
    tail = np.concatenate([[1.0], np.full(days, 0.0 if worst else 1.0 / (0.05 * days))])
    if drawdown:
        blocks = [
            [-scaled, np.zeros((days, 1)), sparse.csr_matrix((days, days)), sparse.eye(days, k=-1) - one],
            [np.zeros((days, assets)), -level, sparse.csr_matrix((days, days)) if worst else -one, one],
        ]
    else:
        blocks = [[-scaled, -level, -one]]
    cost = np.concatenate([np.zeros(assets), tail, np.zeros(days if drawdown else 0)])
    rows = sparse.bmat([[sparse.csr_matrix(part) for part in row] for row in blocks])
    values = np.zeros(rows.shape[0])
    if "return_floor" in problem.limits:
        means = problem.returns.mean(axis=0)
        floor = np.concatenate([-means / np.abs(means).max(), np.zeros(cost.size - assets)])
        rows, values = (
            sparse.vstack([rows, floor]),
            np.append(values, -problem.limits["return_floor"] / abs(means).max()),
        )
    budget = np.concatenate([np.ones(assets), np.zeros(cost.size - assets)])
    upper = np.concatenate([np.full(assets, problem.limits["max_weight"]), np.full(cost.size - assets, np.inf)])
    return cost, sparse.csc_matrix(sparse.vstack([rows, budget])), values, upper, np.arange(cost.size) == assets


def report(say: Callable[[str], None]) -> None:
    """Print the table: a block for each book and size, in it a row for each problem and implementation."""
    say("gap: of the best feasible, in % of its scale (benchmarks/yardstick); risk parity: error of the shares")
    before = None
    for place, problem in enumerate(_listed()):
        if (problem.book, problem.assets) != before:
            before = (problem.book, problem.assets)
            say(f"\n{problem.book} book, {problem.assets} assets of {DAYS} days, cap {CAPS[problem.assets]:.0%}")
            say(f"{'problem':18} {'by':17} {'ms':>9} {'ratio':>8} {'objective':>15} {'gap %':>12} {'violated':>9}")
        rows = _measured(place)
        ours = next((each for each in rows if each.who == OURS and each.value is not None), None)
        for entry in rows:
            say(_line(entry, ours))
    say("")


def _line(entry: Entry, ours: Entry | None) -> str:
    ratio = "-" if ours is None else f"{entry.seconds / ours.seconds:.2f}x"
    start = f"{entry.problem.name:18} {entry.who:17} {entry.seconds * 1e3:9.2f} {ratio:>8} "
    if entry.failure is not None:
        return f"{start}failed: {entry.failure}"
    if entry.value is None:
        return f"{start}{_what_limit(entry.problem)}"
    if entry.problem.method == "risk_parity":
        return f"{start}{'':15} {f'err {entry.value:.1e}':>12} {entry.violation:9.0e}"
    certified = "" if entry.certified is None else f"  certified {entry.certified:.1e}"
    return f"{start}{entry.value:15.8g} {100 * (entry.gap or 0.0):+12.2e} {entry.violation:9.0e}{certified}"


def _what_limit(problem: Problem) -> str:
    if problem.name in LINEAR:
        return "HiGHS alone on the textbook program, its model built"
    return "one Hessian and its Cholesky factor" if problem.method == "min_evar" else "one Cholesky factor"


def _ours(names: tuple[str, ...], sizes: tuple[int, ...] = (10, 50, 200)) -> list[Entry]:
    """Return our rows of these problems; one that failed leaves nothing to judge the rest by."""
    mine = [each for each in entries()
            if each.who == OURS and each.problem.name in names and each.problem.assets in sizes]  # fmt: skip
    failed = [each for each in mine if each.value is None]
    if failed:
        raise Unavailable(f"{failed[0].problem.name} of {failed[0].problem.assets}: {failed[0].failure}")
    return mine


def _worst(
    names: tuple[str, ...], figure: Callable[[Entry], float], sizes: tuple[int, ...] = (10, 50, 200)
) -> Measured:
    """Return the largest figure of our rows, and where it stands."""
    last = max(_ours(names, sizes), key=figure)
    count = len(_ours(names, sizes))
    return Measured(
        figure(last), f"worst of {count}: {last.problem.name}, {last.problem.book}, n={last.problem.assets}"
    )


def _milliseconds(entry: Entry) -> float:
    return entry.seconds * 1e3


def _gap(entry: Entry) -> float:
    return entry.gap if entry.gap is not None else float("inf")


def _unproven(names: tuple[str, ...]) -> Measured:
    mine = _ours(names)
    lacking = [each for each in mine if each.certified is None]
    widest = max((each.certified or 0.0 for each in mine), default=0.0)
    return Measured(len(lacking), f"of {len(mine)}; the widest certified gap is {widest:.1e} of the scale")


SMOOTH = ("min-variance", "max-Sharpe")
CASES = (
    Case("linear-gap", "T4: CVaR, CDaR, max drawdown, gap to the LP optimum", "", "<=", 1e-8,
         lambda: _worst(LINEAR, _gap)),
    Case("linear-time", "T4: the same, time up to n = 200", "ms", "<=", 120.0, lambda: _worst(LINEAR, _milliseconds)),
    Case("linear-proof", "T4: the same, solutions without a certificate", "", "<=", 0.0, lambda: _unproven(LINEAR)),
    Case("smooth-gap", "T5: least variance, best Sharpe, gap", "", "<=", 1e-7, lambda: _worst(SMOOTH, _gap)),
    Case("smooth-time", "T5: the same, time at n = 50", "ms", "<=", 3.0, lambda: _worst(SMOOTH, _milliseconds, (50,))),
    Case("violations", "T5: limits broken, of all problems", "", "<=", 1e-9,
         lambda: _worst(tuple(METHODS), lambda entry: entry.violation or 0.0)),
    Case("evar-gap", "T6: least EVaR, gap", "", "<=", 1e-6, lambda: _worst(("min-EVaR95",), _gap)),
    Case("evar-time", "T6: the same, time up to n = 50", "ms", "<=", 100.0,
         lambda: _worst(("min-EVaR95",), _milliseconds, (10, 50))),
    Case("parity-error", "T7: risk parity, error of the shares of risk", "", "<=", 1e-10,
         lambda: _worst(("risk parity",), lambda entry: entry.value or 0.0)),
    Case("parity-time", "T7: the same, time at n = 200", "ms", "<=", 5.0,
         lambda: _worst(("risk parity",), _milliseconds, (200,))),
)  # fmt: skip
