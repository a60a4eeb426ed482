"""Two hundred seeded problems: optimal to 1e-7, within the limits, with bounds that hold, against independent answers.

The reference solves each problem in another formulation (``optimizer_reference``), the judge computes every figure from
its definition. Each book takes a third of the methods in turn, so that each method meets each kind of book two or three
times; ``make parity`` puts all methods to all books, and to the libraries.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import optimizer_objectives as objectives
import optimizer_reference as reference
import pytest
from optimizer_problems import KINDS, Book, FloatArray, books
from optimizer_verdict import METHODS, Verdict, judge

from tools.optimize import solve
from tools.optimize.moments import Undefined

PARITY_ERROR = 1e-10
# A pair that cancels, or an asset that does not move, takes all the money of a parity: none exists.
WITHOUT_PARITY = ("hedge", "one-constant", "all-constant")


@functools.cache
def by_kind() -> dict[str, list[Book]]:
    kinds: dict[str, list[Book]] = {}
    for book in books():
        kinds.setdefault(book.kind, []).append(book)
    return kinds


NAMES = tuple(kind.__name__.strip("_").replace("_", "-") for kind in KINDS)


def faults(book: Book, method: str) -> list[str]:
    """Solve, have the reference solve, and say what is wrong; both must agree on what has no answer."""
    try:
        best = reference.bracket(method, book.returns, book.limits)
    except reference.NoAnswer:
        with pytest.raises(Undefined):
            solve(book.returns, method, **book.limits)
        return []
    found = solve(book.returns, method, **book.limits)
    assert found.value is not None
    assert found.bound is not None
    verdict = judge(book, method, found.weights, found.value, found.bound, [best.weights])
    silent = [] if found.exact or found.note else ["not exact, without a note"]
    return [f"{book.name} {method}: {fault}" for fault in [*verdict.faults(), *silent]]


def test_there_are_two_hundred_problems_of_25_kinds() -> None:
    assert set(by_kind()) == set(NAMES)
    assert [len(same) for same in by_kind().values()] == [8] * 25


@pytest.mark.parametrize("kind", NAMES)
def test_objective_is_the_best_known_and_the_bound_holds(kind: str) -> None:
    met = [
        fault
        for book in by_kind()[kind]
        for place, method in enumerate(METHODS)
        if (place + book.seed) % 3 == 0
        for fault in faults(book, method)
    ]
    assert met == []


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind not in WITHOUT_PARITY])
def test_shares_of_risk_are_equal_where_nothing_forbids_it(kind: str) -> None:
    for book in by_kind()[kind]:
        found = solve(book.returns, "risk_parity")
        assert found.exact, (book.name, found.note)
        assert objectives.parity_error(book.returns, found.weights) <= PARITY_ERROR, book.name
        assert abs(found.weights.sum() - 1.0) <= 1e-12


@pytest.mark.parametrize("kind", NAMES)
def test_risk_parity_within_limits_keeps_them_and_says_what_it_gave_up(kind: str) -> None:
    for book in by_kind()[kind][:2]:
        try:
            found = solve(book.returns, "risk_parity", **book.limits)
        except Undefined:
            assert kind in WITHOUT_PARITY
            continue
        assert objectives.violation(found.weights, book.limits, book.returns) <= 1e-9, book.name
        if found.exact:
            assert objectives.parity_error(book.returns, found.weights) <= PARITY_ERROR, book.name
            continue
        assert found.note, book.name
        if kind not in WITHOUT_PARITY:  # the one parity that there is breaks the limits
            free = solve(book.returns, "risk_parity").weights
            assert objectives.violation(free, book.limits, book.returns) > 1e-9, book.name


def judged(weights: Sequence[float], value: float | None = None, bound: float | None = None) -> Verdict:
    """Judge an answer to least variance of two assets of volatility 1 and 2, whose best weights are 0.8 and 0.2."""
    returns = np.array([[1.0, 2.0], [-1.0, 2.0], [1.0, -2.0], [-1.0, -2.0]]) * np.sqrt(0.75)
    book = Book("two", 0, returns, {"max_weight": 0.9})
    at: FloatArray = np.array(weights)
    worth = objectives.volatility(returns, at)
    return judge(book, "min_variance", at, worth if value is None else value, worth if bound is None else bound,
                 [np.array([0.8, 0.2])])  # fmt: skip


def test_judge_accepts_the_best_weights() -> None:
    assert judged([0.8, 0.2]).faults() == []


@pytest.mark.parametrize(
    ("weights", "value", "bound", "fault"),
    [
        ([0.5, 0.5], None, None, "short"),  # equal weights pass for an answer
        ([0.8, 0.2], None, 0.88, "certified"),  # a bound too low to prove anything
        ([0.79, 0.21], None, None, "overclaimed"),  # a bound above what somebody reached
        ([0.8, 0.2], 0.85, 0.85, "misreported"),
        ([0.95, 0.05], None, None, "violation"),
    ],
)
def test_judge_sees_each_fault(weights: list[float], value: float | None, bound: float | None, fault: str) -> None:
    assert any(found.startswith(fault) for found in judged(weights, value, bound).faults())
