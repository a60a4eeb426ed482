"""Put two hundred seeded problems to our optimisers and to the libraries: ``python -m benchmarks.optimizer_parity``.

The problems, the evaluator, the reference solvers and the verdict are those of ``tests/tools/optimize``. Ours must
reach the best objective that a library or the reference reaches to 1e-7 of its scale, keep the limits to 1e-9, and
prove no bound that somebody's weights go beyond: then the certified gap is at least the true one. Where the reference
says that a problem has no answer, ours must refuse it. Exits 1 for a fault, 2 when a library is not installed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks import optimizer_peers as peers
from benchmarks.yardstick import objectives, problems, reference, verdict
from tools.optimize import solve
from tools.optimize.moments import Undefined
from tools.units import FloatArray

PARITY_ERROR = 1e-10


@dataclass
class Tally:
    """What became of one method's problems."""

    problems: int = 0
    undefined: int = 0
    worst: dict[str, float] = field(default_factory=dict)
    best: Counter[str] = field(default_factory=Counter)
    feasible: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def compare(method: str, books: list[Any], libraries: dict[str, peers.Peer]) -> Tally:
    """Put the problems of one method to everybody."""
    tally = Tally()
    for book in books:
        tally.problems += 1
        try:
            known = {"reference": reference.bracket(method, book.returns, book.limits).weights}
        except reference.NoAnswer:
            tally.undefined += 1
            tally.faults += _refusal(method, book)
            continue
        known |= dict(_answers(method, book, libraries, tally))
        try:
            found = solve(book.returns, method, **book.limits)
        except Exception as error:  # noqa: BLE001 -- any exception at all is what this looks for
            tally.faults.append(f"{book.name}: {type(error).__name__}: {error}")
            continue
        if found.value is None or found.bound is None:
            tally.faults.append(f"{book.name}: no objective or no bound")
            continue
        judged = verdict.judge(book, method, found.weights, found.value, found.bound, known.values())
        for name, figure in judged._asdict().items():
            tally.worst[name] = max(tally.worst.get(name, 0.0), figure)
        tally.faults += [f"{book.name}: {fault}" for fault in judged.faults()]
        _rank(tally, method, book, {"ours": found.weights} | known)
    return tally


def _refusal(method: str, book: Any) -> list[str]:
    try:
        solve(book.returns, method, **book.limits)
    except Undefined:
        return []
    return [f"{book.name}: an answer to a problem that has none"]


def _answers(
    method: str, book: Any, libraries: dict[str, peers.Peer], tally: Tally
) -> Iterator[tuple[str, FloatArray]]:
    for who, peer in libraries.items():
        try:
            yield who, peer(method, book.returns, book.limits)
        except peers.NotOffered:
            continue
        except Exception:  # noqa: BLE001 -- counted: libraries fail in many ways
            tally.failed[who] += 1


def _rank(tally: Tally, method: str, book: Any, known: dict[str, FloatArray]) -> None:
    """Count who keeps the limits, and who of those reaches the best objective to 1e-7 of its scale."""
    sign = -1.0 if method == "max_sharpe" else 1.0
    worth = {who: sign * objectives.OBJECTIVES[method](book.returns, at) for who, at in known.items()}
    kept = {who for who, at in known.items()
            if objectives.violation(at, book.limits, book.returns) <= verdict.FEASIBLE}  # fmt: skip
    if not kept:
        return
    best = min(kept, key=lambda who: worth[who])
    scale = objectives.scale(method, book.returns, known[best])
    tally.feasible.update(kept)
    tally.best.update(who for who in kept if worth[who] - worth[best] <= verdict.PARITY * scale)
    tally.failed.update(dict.fromkeys(known, 0))


def risk_parity(books: list[Any], libraries: dict[str, peers.Peer]) -> Tally:
    """Compare the errors of the shares of risk where every library has an answer: no limits but the budget."""
    tally = Tally()
    for book in books:
        free = problems.Book(book.kind, book.seed, book.returns)
        tally.problems += 1
        try:
            found = solve(book.returns, "risk_parity")
        except Undefined:
            tally.undefined += 1
            continue
        except Exception as error:  # noqa: BLE001 -- as in ``compare``
            tally.faults.append(f"{book.name}: {type(error).__name__}: {error}")
            continue
        error = objectives.parity_error(book.returns, found.weights)
        if not found.exact:
            tally.undefined += 1
            continue
        tally.worst["short"] = max(tally.worst.get("short", 0.0), error)
        if error > PARITY_ERROR:
            tally.faults.append(f"{book.name}: error {error:.1e}")
        for who, at in {"ours": found.weights, **dict(_answers("risk_parity", free, libraries, tally))}.items():
            tally.feasible[who] += 1
            tally.best[who] += objectives.parity_error(book.returns, at) <= verdict.PARITY
    return tally


def _print(method: str, tally: Tally) -> None:
    figures = " ".join(f"{tally.worst.get(name, 0.0):9.1e}" for name in verdict.Verdict._fields)
    print(f"{method:16} {tally.problems:8d} {tally.undefined:9d} {figures}  {len(tally.faults)} faults")
    for who in sorted({*tally.feasible, *tally.failed}, key=lambda name: (name != "ours", name)):
        failed = f", {tally.failed[who]} failed" if tally.failed[who] else ""
        print(f"{'':8}{who:16} best to 1e-7 in {tally.best[who]:3d}, feasible in {tally.feasible[who]:3d}{failed}")
    for fault in tally.faults:
        print(f"{'':8}FAULT {fault}")
    sys.stdout.flush()


def main() -> int:
    """Print, for each method, the worst figures of ours and how often each library is right."""
    libraries = peers.installed()
    missing = [name for name in peers.LIBRARIES if name not in libraries]
    for name in missing:
        print(f"{name} is not installed here: it is left out. `make parity` sets the peers up.")
    books = list(problems.books())
    print(f"{len(books)} problems of {len(problems.KINDS)} kinds; figures of ours, of the scale of the objective")
    names = " ".join(f"{name[:9]:>9}" for name in verdict.Verdict._fields)
    print(f"{'method':16} {'problems':>8} {'undefined':>9} {names}")
    tallies = {}
    for method in verdict.METHODS:
        tallies[method] = compare(method, books, libraries)
        _print(method, tallies[method])
    tallies["risk_parity"] = risk_parity(books, libraries)
    _print("risk_parity", tallies["risk_parity"])
    faults = sum(len(tally.faults) for tally in tallies.values())
    print(f"{faults} faults")
    return 1 if faults else 2 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
