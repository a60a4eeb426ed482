"""Run a backtest: decide, each task once and anywhere; then keep every strategy's book; then say what it proves.

request → tasks → (not in the journal) → Executor.map → journal, a line each → books → figures → Backtest
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from evals.backtest.accounting import Book, follow, paid_back
from evals.backtest.decisions import by_strategy, decide_task, tasks_of
from evals.backtest.known import fingerprint, open_known
from evals.backtest.notes import notes_of
from evals.backtest.overfitting import EMBARGO_DAYS, PURGE_DAYS, cscv, distinct, effective_trials
from evals.backtest.realised import Realised
from evals.backtest.records import (
    SCHEMA_VERSION,
    Among,
    Backtest,
    Basis,
    Comparison,
    DayDecisions,
    Decision,
    Overfitting,
    Request,
    StrategyKind,
    StrategyResult,
    Trials,
)
from evals.backtest.statistics import DIGITS, Tried, block_days, compare, figures
from evals.executors import Executor, Serial
from evals.journal import Journal, program_sha256
from tools.errors import UsageError
from tools.market.snapshot import Progress
from tools.market.store import write_atomically
from tools.records import Asset, RiskLevel, digest
from tools.strategies.profiles import RISK_ORDER
from tools.units import DAYS_PER_YEAR, FloatArray, daily_return, significant

RECORD = "backtest.json"
BASES: tuple[Basis, ...] = ("gross", "net", "priced")
_ORDER: tuple[StrategyKind, ...] = (
    "adviser", "profile", "method", "equal", "greedy", "largest", "held", "patient", "risk_free",
)  # fmt: skip
_Decisions = Mapping[str, Decision]


def request_of(
    asset: Asset,
    amount_usd: float,
    days: Sequence[dt.date],
    end: dt.date,
    levels: Sequence[RiskLevel] = RISK_ORDER,
    seed: int = 0,
) -> Request:
    """Return a request; raises UsageError for no days, days twice or out of order, and an end before the last one."""
    if list(days) != sorted(set(days)) or not days:
        raise UsageError("the days to decide on must be given in their order, each once, at least one")
    if end <= days[-1]:
        raise UsageError(f"the end, {end}, must lie after the last decision, {days[-1]}")
    return Request(
        asset=asset,
        amount_usd=amount_usd,
        days=[day.isoformat() for day in days],
        end=end.isoformat(),
        levels=[level for level in RISK_ORDER if level in levels],
        seed=seed,
    )


def calendar(start: dt.date, end: dt.date, every_days: int) -> list[dt.date]:
    """Return the days from ``start`` on, so many days apart, that lie before ``end``."""
    return [start + dt.timedelta(days=n) for n in range(0, (end - start).days, every_days)]


def run_backtest(
    request: Request,
    source: str,
    folder: Path,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Backtest:
    """Run a backtest, or the rest of one that was stopped, and write its record into ``folder``.

    The journal there, ``decisions-….jsonl``, counts for this program and this market alone. Raises UsageError for a
    source that has no past, and where no day has a market that can be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    decided = decide_all(request, source, folder, executor or Serial(), progress)
    result = settle(request, source, decided)
    write_atomically(folder / RECORD, (result.model_dump_json(indent=1) + "\n").encode())
    return result


def decide_all(
    request: Request, source: str, folder: Path, executor: Executor, progress: Progress | None = None
) -> list[DayDecisions]:
    """Return all decisions in the order of the tasks; those on the disk are not made again."""
    counts_for = digest([program_sha256(), fingerprint(source, request.seed)])
    journal = Journal(folder / f"decisions-{counts_for[:16]}.jsonl", DayDecisions)
    tasks = tasks_of(request, source)
    done = {one.task_sha256: one for one in journal.read()}
    missing = [task for task in tasks if task.sha256 not in done]
    if progress:
        progress(len(tasks) - len(missing), len(tasks))
    for number, one in enumerate(executor.map(decide_task, missing), start=len(tasks) - len(missing) + 1):
        journal.append(one)
        done[one.task_sha256] = one
        if progress:
            progress(number, len(tasks))
    return [done[task.sha256] for task in tasks]


def settle(request: Request, source: str, decided: Sequence[DayDecisions]) -> Backtest:
    """Return what came of decisions; nothing is decided here. Raises UsageError where nothing was decided at all."""
    usable = sorted({one.day for one in decided if one.decisions})
    if not usable:
        reasons = "; ".join(sorted({one.reason or "nothing" for one in decided}))
        raise UsageError(f"no day of the calendar has a market that can be used: {reasons}")
    first, last = dt.date.fromisoformat(usable[0]), dt.date.fromisoformat(request.end)
    strategies = _strategies(decided)
    holdings = [one for own in strategies.values() for decision in own.values() for one in decision.holdings]
    market = open_known(source, request.seed)
    realised = Realised(market, holdings, first, last)
    strategies |= {
        f"patient.{level}": _renamed(
            paid_back(strategies[f"adviser.{level}"], realised, request.amount_usd), f"patient.{level}", "patient"
        )
        for level in request.levels
    }
    followed = Followed(
        {
            basis: {name: follow(own, realised, request.amount_usd, basis) for name, own in strategies.items()}
            for basis in BASES
        },
        _risk_free(decided, realised),
    )
    net = np.array(list(followed.returns("net").values()))
    tried = Tried(len(strategies), effective_trials(net))
    results = [*_results(strategies, followed, tried, realised, request.amount_usd), _safe_result(followed, tried)]
    scopes: list[Among] = ["all", *request.levels]
    return Backtest(
        schema_version=SCHEMA_VERSION,
        request=request,
        synthetic=market.synthetic,
        program_sha256=program_sha256(),
        realised_sha256=realised.sha256,
        risk_free=significant(followed.rate, DIGITS),
        days=list(decided),
        strategies=results,
        comparisons=_comparisons(request.levels, followed),
        trials=Trials(all=tried.all, distinct=len(distinct(net)), effective=significant(tried.effective, 6)),
        overfitting=[_overfitting(basis, among, followed.returns(basis)) for basis in BASES for among in scopes],
        block_days=block_days(realised.days),
        notes=notes_of(request, decided, results),
    )


class Followed(NamedTuple):
    """The books of all strategies by basis, and the daily risk-free returns (n_days,)."""

    books: Mapping[Basis, Mapping[str, Book]]
    safe: FloatArray

    def returns(self, basis: Basis) -> dict[str, FloatArray]:
        """Return the daily returns (n_days,) of each strategy."""
        return {name: book.returns for name, book in self.books[basis].items()}

    @property
    def rate(self) -> float:
        """Return the risk-free rate a year over the window."""
        growth = float(np.prod(1.0 + self.safe))
        return float(growth ** (DAYS_PER_YEAR / self.safe.size)) - 1.0


def load_backtest(path: Path) -> Backtest:
    """Read the record of a run, or that in a folder; raises UsageError for a file that is none."""
    path = path / RECORD if path.is_dir() else path
    try:
        return Backtest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path}: not the record of a backtest ({type(error).__name__})") from error


def _strategies(decided: Sequence[DayDecisions]) -> dict[str, _Decisions]:
    """Return the decisions of each strategy by day; what is never changed has none after its first holdings."""
    found: dict[str, _Decisions] = {}
    for name, own in by_strategy(decided).items():
        decision = next(iter(own.values()))
        found[name] = _first_holdings(own) if decision.kind == "largest" else own
        if decision.kind == "adviser":
            held = f"held.{decision.risk}"
            found[held] = _renamed(_first_holdings(own), held, "held")
    return dict(sorted(found.items(), key=lambda item: _ORDER.index(next(iter(item[1].values())).kind)))


def _renamed(own: _Decisions, strategy: str, kind: StrategyKind) -> _Decisions:
    return {day: one.model_copy(update={"strategy": strategy, "kind": kind}) for day, one in own.items()}


def _first_holdings(own: _Decisions) -> _Decisions:
    """Return the decisions up to the first that holds something."""
    days = sorted(own)
    first = next((n for n, day in enumerate(days) if own[day].holdings), len(days))
    return {day: own[day] for day in days[: first + 1]}


def _risk_free(decided: Sequence[DayDecisions], realised: Realised) -> FloatArray:
    """Return the daily risk-free returns (n_days,): the rate known at each decision, until the next."""
    rates = np.zeros(realised.days)
    for one in decided:
        if one.risk_free is not None:
            rates[realised.number(one.day) :] = one.risk_free
    return daily_return(rates)


def _results(
    strategies: Mapping[str, _Decisions], followed: Followed, tried: Tried, realised: Realised, amount_usd: float
) -> list[StrategyResult]:
    found = {basis: figures(np.array(list(followed.returns(basis).values())), followed.rate, tried) for basis in BASES}
    results = []
    for n, (name, own) in enumerate(strategies.items()):
        net, priced = followed.books["net"][name], followed.books["priced"][name]
        first = next(iter(own.values()))
        tokens = {token for one in own.values() for holding in one.holdings for token in holding.tokens}
        paid = math.fsum(one.gas_usd + one.slippage_usd + one.bridge_usd for one in net.rebalancings)
        results.append(
            StrategyResult(
                strategy=name,
                kind=first.kind,
                risk=first.risk,
                gross=found["gross"][n],
                net=found["net"][n],
                priced=found["priced"][n],
                cost=significant(paid / amount_usd, DIGITS),
                turnover_per_year=significant(_turnover(net) * DAYS_PER_YEAR / realised.days, DIGITS),
                idle_days=net.idle_days,
                unpaid_days=net.unpaid_days,
                at_par=realised.at_par(sorted(tokens)),
                rebalancings=net.rebalancings,
                events=net.events,
                earned=net.earned,
                curve_net=_curve(net.value),
                curve_priced=_curve(priced.value),
            )
        )
    return results


def _turnover(book: Book) -> float:
    """Return what was moved between going in and out for good."""
    return math.fsum(one.turnover for one in book.rebalancings[1:-1])


def _safe_result(followed: Followed, tried: Tried) -> StrategyResult:
    (own,) = figures(followed.safe[None], followed.rate, tried)
    curve = _curve(np.concatenate([[1.0], np.cumprod(1.0 + followed.safe)]))
    return StrategyResult(
        strategy="risk_free",
        kind="risk_free",
        risk=None,
        gross=own,
        net=own,
        priced=own,
        cost=0.0,
        turnover_per_year=0.0,
        idle_days=0,
        unpaid_days=0,
        at_par=[],
        rebalancings=[],
        events=[],
        earned=[],
        curve_net=curve,
        curve_priced=curve,
    )


def _curve(value: FloatArray) -> list[float]:
    return [significant(float(one), DIGITS) for one in value]


def _comparisons(levels: Sequence[RiskLevel], followed: Followed) -> list[Comparison]:
    """Hold the adviser at each level against each baseline."""
    found = []
    for basis in BASES[1:]:
        own = {**followed.returns(basis), "risk_free": followed.safe}
        for level in levels:
            name, others = (
                f"adviser.{level}",
                (f"equal.{level}", f"greedy.{level}", "largest", f"held.{level}", f"patient.{level}", "risk_free"),
            )
            found += [compare(name, own[name], other, own[other], basis) for other in others]
    return found


def _overfitting(basis: Basis, among: Among, rates: Mapping[str, FloatArray]) -> Overfitting:
    """Cross-validate all strategies, or those of one level: across levels the choice is mostly one of risk."""
    rows = [row for name, row in rates.items() if among == "all" or among in name.split(".")]
    found = cscv(np.array(rows))
    return Overfitting(
        basis=basis,
        among=among,
        strategies=len(rows),
        probability=found.probability,
        reason=found.reason,
        blocks=found.blocks,
        splits=found.splits,
        purge_days=PURGE_DAYS,
        embargo_days=EMBARGO_DAYS,
        rank=None if found.rank is None else significant(found.rank, DIGITS),
        degradation=None if found.degradation is None else significant(found.degradation, DIGITS),
    )
